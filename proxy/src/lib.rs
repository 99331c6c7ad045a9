//! Moves: the I/O shell around `wire`, `policy` and `audit-store`, and the only place where they meet.
//!
//! [`run`] starts everything. A client's connection goes [`listener`] → [`worker`] → [`session`]; a statement in it goes
//! `session` → [`inspect`] → [`enforce`] and, on both ways, [`audit`].

pub mod admin;
mod administration;
mod analysts;
mod audit;
pub mod blocks;
pub mod cancel;
pub mod config;
mod end_user;
mod enforce;
mod gaps;
mod holds;
mod inspect;
pub mod listener;
pub mod metrics;
mod rates;
mod record;
pub mod redaction;
pub mod reload;
mod run;
mod session;
mod shapes;
pub mod shared;
pub mod tls;
pub mod upstream;
pub mod versions;
mod witness;
pub mod worker;

pub use run::{StartError, run};
