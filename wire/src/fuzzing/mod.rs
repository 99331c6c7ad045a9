//! The bodies of the fuzz targets, and of the test that runs them over mutated conversations.
//!
//! Each plays a session against `data` and asserts what must hold whatever the peers send:
//! what goes to the server is well-formed, every verdict has at most one outcome and at the end
//! exactly one (but for Binds that were executed), memory is bounded, and the cuts don't matter.
#![doc(hidden)]

mod mysql;
mod pg;

pub use mysql::{mysql_backend, mysql_frontend, mysql_session};
pub use pg::{pg_backend, pg_frontend, pg_session};
