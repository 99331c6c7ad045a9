//! The audit store on ClickHouse, against its real engine: the schema, the move of an embedded store, and the same
//! answers from both stores.

#[path = "../../../audit-store/tests/support/mod.rs"]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    unreachable_pub,
    missing_docs,
    reason = "shared with the store's own tests"
)]
mod support;

mod command;
mod conformance;
mod moving;
mod proxied;
mod schema;
mod shipping;
mod troubled;
mod verified;

use anyhow::Result;
use sqlward_audit_store::clickhouse::{Target, migrate};
use sqlward_tests::clickhouse::Server;

/// Long enough for records of any day near now.
const RETENTION_DAYS: u32 = 3000;

/// A store on a fresh server.
fn store() -> Result<(Server, Target)> {
    let server = Server::start()?;
    let target: Target = server.url("audit").parse()?;
    migrate(&target, RETENTION_DAYS)?;
    Ok((server, target))
}
