//! MySQL and MariaDB: throw-away servers, a raw protocol client, traffic with a known outcome, and
//! the server's own record of it.

pub mod capability;
pub mod oracle;
pub mod packet;
pub mod product;
pub mod raw;
pub mod record;
pub mod server;
pub mod traffic;

pub use product::{Login, Product};
pub use server::{ADMIN, Options, Record, Server};
