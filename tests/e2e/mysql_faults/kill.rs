//! kill -9 of the proxy at random instants under load: no statement that the server ran is missing from
//! the store, and none is there twice.
//!
//! `SQLWARD_KILLS` sets the number of kills (`make faults`: 100).

use std::collections::HashSet;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use sqlward_tests::audit;
use sqlward_tests::mysql::{Options, Product, Record, Server, oracle, record, traffic};
use sqlward_tests::oracle::compare_sessions;
use sqlward_tests::process::until;
use sqlward_tests::proxy::{self, Policy, Proxy};
use sqlward_tests::server::TRUSTED_USER;
use sqlward_tests::traffic::Dice;

use super::wanted;

fn nothing_that_ran_is_forgotten(product: Product) -> Result<()> {
    let mut server = Server::start(&Options {
        record: Record::File,
        ..Options::new(product)
    })?;
    let options = proxy::Options {
        policy: Policy::RecordAll,
        ..Default::default()
    };
    let mut proxy = Proxy::before(&server, &options)?;
    let mut dice = Dice::new(std::process::id().into());
    let kills = wanted("SQLWARD_KILLS", 5)?;
    for round in 0..u64::try_from(kills)? {
        let port = proxy.port();
        let sessions: Vec<_> = (0..SESSIONS)
            .map(|number| {
                let seed = round * SESSIONS + number + 1;
                thread::spawn(move || traffic::play(port, TRUSTED_USER, seed, usize::MAX))
            })
            .collect();
        // The instant is random: that is the point of the test.
        thread::sleep(Duration::from_micros(20_000 + dice.below(400_000)));
        ensure!(
            proxy.running()?,
            "round {round}: sqlward ended by itself:\n{}",
            proxy.log()
        );
        proxy.kill()?;
        for session in sessions {
            // Every session ends with its connection.
            let outcome = session
                .join()
                .map_err(|_| anyhow::anyhow!("a session panicked"))?;
            ensure!(outcome.is_err(), "a session outlived the proxy");
        }
        end_threads(&server)?;
        proxy.restart().with_context(|| format!("round {round}"))?;
    }
    proxy.stop()?;
    server.stop()?;

    let mut ran = record::general_log(&server.general_log())?;
    let own = oracle::take_own(&mut ran)?;
    let inner = oracle::take_inner(&mut ran);
    let recorded = audit::statements(&proxy.data())?;
    let events: HashSet<&str> = recorded.iter().map(|one| one.event.as_str()).collect();
    ensure!(events.len() == recorded.len(), "an event is recorded twice");
    ensure!(
        !recorded.iter().any(|one| one.text.contains(oracle::MARK)),
        "a question of sqlward's own is in the store"
    );
    let mut recorded = oracle::as_the_server_shows(recorded)?;
    for one in &mut recorded {
        // The general log has no errors.
        one.sqlstate = None;
    }
    let findings = compare_sessions(&ran, &recorded)?;
    println!(
        "{}: {kills} kills: {}; besides, {} of sqlward's own questions, {inner} entries of PREPARE and EXECUTE",
        product.name(),
        findings.summary(),
        own.track + own.state
    );
    ensure!(
        findings.statements > 100,
        "only {} statements",
        findings.statements
    );
    ensure!(findings.differences.is_empty(), "{}", findings.summary());
    audit::verify(&proxy.data())
}

/// Ends what the server still runs for clients that are gone: it would notice only at the end of each
/// statement.
fn end_threads(server: &Server) -> Result<()> {
    let list =
        format!("SELECT id FROM information_schema.processlist WHERE user = '{TRUSTED_USER}'");
    until("the server has ended its sessions", END_LIMIT, || {
        let threads = server.sql("mysql", &list)?;
        for thread in threads.lines() {
            // It may have ended on its own.
            if let Err(error) = server.sql("mysql", &format!("KILL {thread}")) {
                ensure!(format!("{error:#}").contains("1094"), "{error:#}");
            }
        }
        Ok(threads.is_empty().then_some(()))
    })
}

#[test]
fn mariadb10() -> Result<()> {
    nothing_that_ran_is_forgotten(Product::MariaDb10)
}

#[test]
fn mysql() -> Result<()> {
    nothing_that_ran_is_forgotten(Product::MySql)
}

const SESSIONS: u64 = 6;
const END_LIMIT: Duration = Duration::from_secs(30);
