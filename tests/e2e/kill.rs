//! kill -9 of the proxy at random instants under load: no statement that the server ran is
//! missing from the store, and none is there twice.
//!
//! `SQLWARD_KILLS` sets the number of kills (`make faults`: 100).

use std::collections::HashSet;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use sqlward_tests::audit;
use sqlward_tests::oracle;
use sqlward_tests::proxy::{self, Policy, Proxy};
use sqlward_tests::server::{Options, Server, TRUSTED_USER};
use sqlward_tests::traffic::{self, Dice};

const SESSIONS: u64 = 6;

fn kills() -> Result<u64> {
    match std::env::var("SQLWARD_KILLS") {
        Ok(text) => text.parse().context("SQLWARD_KILLS"),
        Err(_) => Ok(5),
    }
}

#[test]
fn nothing_that_ran_is_forgotten() -> Result<()> {
    let mut server = Server::start(&Options {
        record: true,
        ..Options::default()
    })?;
    let options = proxy::Options {
        policy: Policy::RecordAll,
        ..Default::default()
    };
    let mut proxy = Proxy::start(&[&server], &options)?;
    let mut dice = Dice::new(std::process::id().into());
    for round in 0..kills()? {
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
        proxy.restart().with_context(|| format!("round {round}"))?;
    }
    proxy.stop()?;
    server.stop()?;

    let findings = oracle::compare(&server.record_files()?, &proxy.data())?;
    println!("{} kills: {}", kills()?, findings.summary());
    ensure!(
        findings.statements > 100,
        "only {} statements",
        findings.statements
    );
    ensure!(findings.differences.is_empty(), "{}", findings.summary());
    let recorded = audit::statements(&proxy.data())?;
    let events: HashSet<&str> = recorded.iter().map(|one| one.event.as_str()).collect();
    ensure!(events.len() == recorded.len(), "an event is recorded twice");
    audit::verify(&proxy.data())
}
