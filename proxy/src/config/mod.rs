//! Configuration: what the operator typed ([`file`]), and what the proxy runs on ([`compile`]).

pub mod compile;
mod fields;
pub mod file;
mod journal;
mod proof;
mod quick;
mod repair;
mod retention;
mod store;
mod words;
mod workers;

pub use compile::{ClientTls, Config, Limits, Listener, ServerTls, Upstream};
pub use proof::Proof;
pub use retention::Retention;
pub use store::Store;
pub use words::{Protocol, TlsMode};
