//! Remembers: the record of every statement, a crash-safe journal, a chain over it, a store that auditors query.
//!
//! ```text
//! proxy ──Entry──▶ journal::Lane ──segments──▶ ship ──batches──▶ embedded (a SQLite file per day) ◀── query
//! ```

mod audit;
pub mod bundle;
mod chain;
pub mod clickhouse;
pub mod embedded;
mod event;
mod files;
pub mod holds;
pub mod inbox;
pub mod journal;
pub mod proof;
pub mod query;
pub mod record;
pub mod redact;
pub mod ship;
mod time;
mod words;

pub use audit::{Audit, AuditSettings, CHECKPOINTS, STORE};
