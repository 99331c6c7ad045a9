//! Remembers: the record of every statement, a crash-safe journal, a chain over it, a store that auditors query.
//!
//! ```text
//! proxy ──Entry──▶ journal::Lane ──segments──▶ ship ──batches──▶ embedded (a SQLite file per day) ◀── query
//! ```

mod chain;
mod event;
mod files;
pub mod journal;
pub mod record;
mod words;
