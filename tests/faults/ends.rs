//! Statements whose end nobody sees: the server is killed in the middle, or the client goes while rows come.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use sqlward_tests::mysql::{self, Product};
use sqlward_tests::process::until;
use sqlward_tests::proxy::{self, Policy, Proxy};
use sqlward_tests::raw::{Raw, query};
use sqlward_tests::server::{Options, Server, TRUSTED_USER};

fn options() -> proxy::Options {
    proxy::Options {
        policy: Policy::RecordAll,
        ..Default::default()
    }
}

/// Kills a process as a crash would.
fn kill(pid: &str) -> Result<()> {
    let pid = Pid::from_raw(pid.parse()?).context("no pid")?;
    Ok(kill_process(pid, Signal::KILL)?)
}

/// The record of the one statement that contains `text`, and how its session ended.
fn record_of(proxy: &Proxy, text: &str) -> Result<(Value, Value)> {
    let sql = format!("SELECT * FROM statements WHERE kind = 'simple' AND text LIKE '%{text}%'");
    until("the record is whole", Duration::from_secs(20), || {
        let rows = proxy.audit(&["sql", &sql])?;
        ensure!(rows.len() < 2, "{rows:?}");
        let Some(row) = rows.into_iter().next() else {
            return Ok(None);
        };
        let sessions = proxy.audit(&["sql", "SELECT * FROM sessions"])?;
        let session = sessions.into_iter().find(|one| {
            one.get("session") == row.get("session") && !one.get("cause").is_none_or(Value::is_null)
        });
        Ok(session.map(|session| (row, session)))
    })
}

fn is(row: &Value, column: &str, expected: &str) -> Result<()> {
    let found = row.get(column).and_then(Value::as_str);
    ensure!(
        found == Some(expected),
        "{column}: {expected} expected: {row}"
    );
    Ok(())
}

#[test]
fn postgres_killed_in_the_middle_of_a_statement() -> Result<()> {
    let server = Server::start(&Options::default())?;
    let mut proxy = Proxy::start(&[&server], &options())?;
    let mut raw = Raw::login(proxy.port(), TRUSTED_USER, &[])?;
    raw.send(&query("SELECT pg_sleep(600), 'cut short'"))?;
    let running = "SELECT pid FROM pg_stat_activity WHERE query LIKE '%cut short%' \
                   AND wait_event = 'PgSleep'";
    let pid = until("the statement runs", Duration::from_secs(20), || {
        let pid = server.psql("postgres", running)?;
        Ok((!pid.is_empty()).then_some(pid))
    })?;
    kill(&pid)?;
    let last = raw.until_closed()?;
    ensure!(last.iter().all(|one| one.tag != b'C'), "{last:?}");
    let (statement, session) = record_of(&proxy, "cut short")?;
    is(&statement, "completion", "lost")?;
    is(&session, "cause", "server-closed")?;
    proxy.stop()?;
    sqlward_tests::audit::verify(&proxy.data())
}

fn killed_in_the_middle(product: Product) -> Result<()> {
    let server = mysql::Server::start(&mysql::Options::new(product))?;
    let mut proxy = Proxy::before(&server, &options())?;
    let mut raw = mysql::raw::Raw::login(proxy.port(), TRUSTED_USER)?;
    raw.command(3, b"SELECT sleep(600), 'cut short'")?;
    let running = "SELECT count(*) FROM information_schema.processlist \
                   WHERE info LIKE 'SELECT sleep(600)%'";
    until("the statement runs", Duration::from_secs(20), || {
        Ok((server.sql("mysql", running)? == "1").then_some(()))
    })?;
    kill(&server.id().to_string())?;
    ensure!(
        raw.receive()
            .ok()
            .flatten()
            .is_none_or(|last| last.first() == Some(&0xff))
    );
    let (statement, session) = record_of(&proxy, "cut short")?;
    is(&statement, "completion", "lost")?;
    is(&session, "cause", "server-closed")?;
    proxy.stop()?;
    sqlward_tests::audit::verify(&proxy.data())
}

#[test]
fn mariadb10_killed_in_the_middle_of_a_statement() -> Result<()> {
    killed_in_the_middle(Product::MariaDb10)
}

#[test]
fn mysql_killed_in_the_middle_of_a_statement() -> Result<()> {
    killed_in_the_middle(Product::MySql)
}

/// More than the buffers between server and client hold.
const LONG: &str = "SELECT repeat('x', 1000), 'given up' FROM generate_series(1, 1000000)";

#[test]
fn a_client_that_goes_while_rows_come() -> Result<()> {
    let server = Server::start(&Options::default())?;
    let mut proxy = Proxy::start(&[&server], &options())?;
    let mut raw = Raw::login(proxy.port(), TRUSTED_USER, &[])?;
    raw.send(&query(LONG))?;
    for _ in 0..100 {
        raw.receive()?.context("no row")?;
    }
    drop(raw);
    let (statement, session) = record_of(&proxy, "given up")?;
    is(&statement, "completion", "lost")?;
    // What had left for the client is in the record: some rows, not all.
    let rows = statement.get("rows").and_then(Value::as_u64);
    ensure!(
        rows.is_some_and(|rows| (99..1_000_000).contains(&rows)),
        "{statement}"
    );
    is(&session, "cause", "client-lost")?;
    proxy.stop()?;
    sqlward_tests::audit::verify(&proxy.data())
}
