//! Mixed traffic through the proxy: what the server ran is what the audit store has, each once, with the same text,
//! parameters, user, database, application, error and order; rows, affected rows and warnings are those that the clients
//! saw.
//!
//! `SQLWARD_STATEMENTS` sets the number of statements (`make faults`: 52,000).

use anyhow::{Context, Result, ensure};
use sqlward_tests::audit;
use sqlward_tests::mysql::Product;
use sqlward_tests::proxy::{self, Policy};

use crate::engine::{Engine, Mysql, Postgres};
use crate::wanted;

fn the_audit_is_the_servers_record<E: Engine>(engine: E) -> Result<()> {
    let options = proxy::Options {
        policy: Policy::RecordAll,
        ..Default::default()
    };
    let mut proxy = engine.proxy(&options)?;
    let count = usize::try_from(wanted("SQLWARD_STATEMENTS", 5_000)?)?;
    let played = E::play_all(proxy.port(), count).with_context(|| proxy.log())?;
    proxy.stop()?;
    let findings = engine.judge(&proxy.data(), Some(&played))?;
    ensure!(
        findings.statements >= count,
        "only {} statements",
        findings.statements
    );
    audit::verify(&proxy.data())
}

#[test]
fn postgres_mixed() -> Result<()> {
    the_audit_is_the_servers_record(Postgres::start()?)
}

#[test]
fn mariadb10_mixed() -> Result<()> {
    the_audit_is_the_servers_record(Mysql::start(Product::MariaDb10)?)
}

#[test]
fn mariadb11_mixed() -> Result<()> {
    the_audit_is_the_servers_record(Mysql::start(Product::MariaDb11)?)
}

#[test]
fn mysql_mixed() -> Result<()> {
    the_audit_is_the_servers_record(Mysql::start(Product::MySql)?)
}
