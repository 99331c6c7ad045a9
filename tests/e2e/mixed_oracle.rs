//! Mixed traffic through the proxy, with the server's own record as the judge: the statements that
//! the server ran are the statements in the audit store, each once, with the same text, user,
//! database, application, error and order; rows are those that the clients saw.
//!
//! `SQLWARD_STATEMENTS` sets the number of statements (`make faults`: 50,000).

use std::collections::HashMap;

use anyhow::{Context, Result, ensure};
use sqlward_tests::audit::{self, Statement};
use sqlward_tests::oracle;
use sqlward_tests::proxy::{self, Policy, Proxy};
use sqlward_tests::server::{Options, Server, TRUSTED_USER};
use sqlward_tests::traffic::{self, Played};

const SESSIONS: u64 = 16;

fn wanted() -> Result<usize> {
    match std::env::var("SQLWARD_STATEMENTS") {
        Ok(text) => text.parse().context("SQLWARD_STATEMENTS"),
        Err(_) => Ok(5_000),
    }
}

#[test]
fn the_audit_is_the_servers_record() -> Result<()> {
    let mut server = Server::start(&Options {
        record: true,
        ..Options::default()
    })?;
    let options = proxy::Options {
        policy: Policy::RecordAll,
        ..Default::default()
    };
    let mut proxy = Proxy::start(&[&server], &options)?;
    let port = proxy.port();
    let each = wanted()?.div_ceil(usize::try_from(SESSIONS)?);
    let played = std::thread::scope(|scope| -> Result<Vec<Played>> {
        let sessions: Vec<_> = (1..=SESSIONS)
            .map(|seed| scope.spawn(move || traffic::play(port, TRUSTED_USER, seed, each)))
            .collect();
        sessions
            .into_iter()
            .map(|session| {
                session
                    .join()
                    .map_err(|_| anyhow::anyhow!("a session panicked"))?
            })
            .collect()
    })
    .with_context(|| proxy.log())?;
    proxy.stop()?;
    server.stop()?;

    let findings = oracle::compare(&server.record_files()?, &proxy.data())?;
    println!("{}", findings.summary());
    ensure!(
        findings.statements >= wanted()?,
        "only {} statements",
        findings.statements
    );
    ensure!(findings.differences.is_empty(), "{}", findings.summary());

    let recorded = audit::statements(&proxy.data())?;
    let wrong = rows_differ(&played, &recorded)?;
    ensure!(
        wrong.is_empty(),
        "{} row counts differ:\n{}",
        wrong.len(),
        shown(&wrong)
    );
    Ok(())
}

/// Where the rows of the record are not those that the client saw.
fn rows_differ(played: &[Played], recorded: &[Statement]) -> Result<Vec<String>> {
    let mut sessions: HashMap<u16, Vec<&Statement>> = HashMap::new();
    for one in recorded.iter().filter(|one| one.must_be_in_server_record()) {
        let port = one.client_port.context("a record without client port")?;
        sessions.entry(port).or_default().push(one);
    }
    let mut wrong = Vec::new();
    for session in played {
        let mut records = sessions
            .remove(&session.port)
            .context("a session without records")?;
        records.sort_by_key(|one| one.number);
        ensure!(
            records.len() == session.done.len(),
            "not the same statements"
        );
        for (done, record) in session.done.iter().zip(records) {
            // What an error undid is counted differently by each side.
            if done.error.is_none()
                && (done.rows != record.rows || done.affected != record.affected)
            {
                wrong.push(format!("{done:?}\n  {record:?}"));
            }
        }
    }
    Ok(wrong)
}

fn shown(list: &[String]) -> String {
    list.iter().take(10).cloned().collect::<Vec<_>>().join("\n")
}
