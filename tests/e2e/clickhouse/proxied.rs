//! A proxy in front of PostgreSQL ships to ClickHouse: its records equal the server's own log, while proxy and store
//! are killed again and again.
//!
//! `SQLWARD_KILLS` sets the number of kills.

use std::collections::HashSet;
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use sqlward_audit_store::clickhouse::migrate;
use sqlward_tests::clickhouse;
use sqlward_tests::proxy::{self, Policy, Proxy};
use sqlward_tests::server::{Options, Server, TRUSTED_USER};
use sqlward_tests::traffic::{self, Dice};
use sqlward_tests::{audit, oracle, paths, process};

const SESSIONS: u64 = 4;

fn kills() -> Result<u64> {
    match std::env::var("SQLWARD_KILLS") {
        Ok(text) => text.parse().context("SQLWARD_KILLS"),
        Err(_) => Ok(6),
    }
}

fn options(store: &clickhouse::Server) -> proxy::Options {
    proxy::Options {
        policy: Policy::RecordAll,
        audit: format!(
            "[audit.store]\nurls = [\"{}\"]\ntimeout_secs = 20\n",
            store.url("audit")
        ),
        ..Default::default()
    }
}

#[test]
fn nothing_that_ran_is_forgotten_or_told_twice() -> Result<()> {
    let mut server = Server::start(&Options {
        record: true,
        ..Options::default()
    })?;
    let (mut store, target) = crate::store()?;
    let mut proxy = Proxy::start(&[&server], &options(&store))?;
    let mut dice = Dice::new(std::process::id().into());
    for round in 0..kills()? {
        let port = proxy.port();
        let sessions: Vec<_> = (0..SESSIONS)
            .map(|number| {
                let seed = round * SESSIONS + number + 1;
                thread::spawn(move || traffic::play(port, TRUSTED_USER, seed, usize::MAX))
            })
            .collect();
        // Long enough for shipments, which come once a second, to be under way.
        thread::sleep(Duration::from_micros(300_000 + dice.below(1_500_000)));
        ensure!(
            proxy.running()?,
            "sqlward ended by itself:\n{}",
            proxy.log()
        );
        if round % 3 == 1 {
            store.crash_and_restart()?;
            thread::sleep(Duration::from_micros(dice.below(600_000)));
        }
        proxy.kill()?;
        for session in sessions {
            let outcome = session
                .join()
                .map_err(|_| anyhow::anyhow!("a session panicked"))?;
            ensure!(outcome.is_err(), "a session outlived the proxy");
        }
        proxy.restart().with_context(|| format!("round {round}"))?;
    }
    proxy.stop()?;
    server.stop()?;

    let recorded = audit::statements_at(&store.url("audit"))?;
    let findings = oracle::compare_records(&server.record_files()?, &recorded)?;
    println!("{} kills: {}", kills()?, findings.summary());
    ensure!(
        findings.statements > 100,
        "only {} statements",
        findings.statements
    );
    ensure!(findings.differences.is_empty(), "{}", findings.summary());
    let events: HashSet<&str> = recorded.iter().map(|one| one.event.as_str()).collect();
    ensure!(events.len() == recorded.len(), "an event is recorded twice");
    ensure!(
        migrate(&target, crate::RETENTION_DAYS)?
            .statements
            .is_empty()
    );
    Ok(())
}

#[test]
fn metrics_tell_how_the_store_is_doing() -> Result<()> {
    let server = Server::start(&Options::default())?;
    let (mut store, _) = crate::store()?;
    let mut proxy = Proxy::start(&[&server], &options(&store))?;
    traffic::play(proxy.port(), TRUSTED_USER, 1, 20)?;
    let limit = Duration::from_secs(30);
    process::until("a batch is acknowledged", limit, || {
        Ok((proxy.metric("sqlward_store_acknowledged_seconds")? > 1e9).then_some(()))
    })?;
    store.kill()?;
    traffic::play(proxy.port(), TRUSTED_USER, 2, 20)?;
    process::until("the store is missed", limit, || {
        let errors = proxy.metric("sqlward_store_errors_by_reason{reason=\"unreachable\"}")?;
        let retries = proxy.metric("sqlward_store_retries")?;
        let waiting = proxy.metric("sqlward_store_queue_bytes")?;
        let lag = proxy.metric("sqlward_store_lag_milliseconds")?;
        Ok((errors > 1.0 && retries > 0.0 && waiting > 0.0 && lag > 1000.0).then_some(()))
    })?;
    store.restart()?;
    process::until("it has caught up", limit, || {
        Ok((proxy.metric("sqlward_store_lag_milliseconds")? < 1500.0).then_some(()))
    })?;
    proxy.stop()
}

#[test]
fn a_configuration_with_a_store_is_checked() -> Result<()> {
    let server = Server::start(&Options::default())?;
    let (store, _) = crate::store()?;
    let proxy = Proxy::start(&[&server], &options(&store))?;
    let file = proxy.config_file();
    let good = std::fs::read_to_string(&file)?;
    let check = || {
        process::run(
            Command::new(paths::sqlward()?)
                .args(["config", "check"])
                .arg(&file),
        )
    };
    check()?;
    for (line, wanted) in [
        ("urls = []", "expected at least one address"),
        ("urls = [\"http://h/d\"]", "expected `clickhouse://"),
        (
            "urls = [\"clickhouse://u:p@h/d\"]",
            "no password in the address",
        ),
        (
            "urls = [\"clickhouse://a/x\", \"clickhouse://b/y\"]",
            "the database of the first",
        ),
        (
            "urls = [\"clickhouse://u@h/d\"]\nuser = \"v\"",
            "expected one",
        ),
        (
            "urls = [\"clickhouse://h/d\"]\nca = \"sqlward.toml\"",
            "clickhouses:// only",
        ),
        (
            "urls = [\"clickhouses://h/d\"]\nca = \"sqlward.toml\"",
            "no certificate in it",
        ),
        (
            "urls = [\"clickhouse://h/d\"]\npassword_file = \"none\"",
            "cannot be read",
        ),
        (
            "urls = [\"clickhouse://h/d\"]\npassword_env = \"SQLWARD_NO_SUCH\"",
            "the environment has no",
        ),
        (
            "urls = [\"clickhouse://h/d\"]\nbatch_entries = 5",
            "expected 1000 to 1000000 entries",
        ),
        (
            "urls = [\"clickhouse://h/d\"]\nurl = \"x\"",
            "unknown field `url`",
        ),
    ] {
        let begin = good.find("urls = ").context("no urls")?;
        let end = good
            .get(begin..)
            .and_then(|rest| rest.find('\n'))
            .context("no end")?
            + begin;
        let mut text = good.clone();
        text.replace_range(begin..end, line);
        std::fs::write(&file, text)?;
        let said = check()
            .err()
            .map(|error| format!("{error:#}"))
            .unwrap_or_default();
        ensure!(said.contains(wanted), "{line}: {said}");
    }
    Ok(())
}
