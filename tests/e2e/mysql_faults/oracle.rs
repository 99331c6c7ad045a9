//! Mixed traffic through the proxy: what the server ran is what the audit store has, each once, with the
//! same text, parameters, user, database, thread, error and order; rows, affected rows and warnings are
//! those that the clients saw.
//!
//! `SQLWARD_STATEMENTS` sets the number of statements (`make faults`: 50,000).

use anyhow::{Context, Result, ensure};
use sqlward_tests::audit;
use sqlward_tests::mysql::oracle::{self, Own};
use sqlward_tests::mysql::{Options, Product, Record, Server, record, traffic};
use sqlward_tests::oracle::compare_sessions;
use sqlward_tests::proxy::{self, Policy, Proxy};

use super::{shown, wanted};

fn the_audit_is_the_servers_record(product: Product) -> Result<()> {
    let with_audit = product.is_mariadb();
    let mut server = Server::start(&Options {
        record: if with_audit {
            Record::FileAndAudit
        } else {
            Record::File
        },
        ..Options::new(product)
    })?;
    let options = proxy::Options {
        policy: Policy::RecordAll,
        ..Default::default()
    };
    let mut proxy = Proxy::before(&server, &options)?;
    let count = wanted("SQLWARD_STATEMENTS", 5_000)?;
    let played = traffic::play_all(proxy.port(), SESSIONS, count).with_context(|| proxy.log())?;
    proxy.stop()?;
    server.stop()?;

    let mut ran = record::general_log(&server.general_log())?;
    let own = oracle::take_own(&mut ran)?;
    oracle::tell_errors(&played, &mut ran)?;
    let inner = oracle::take_inner(&mut ran);
    let recorded = audit::statements(&proxy.data())?;
    ensure!(
        !recorded.iter().any(|one| one.text.contains(oracle::MARK)),
        "a question of sqlward's own is in the store"
    );
    let recorded = oracle::as_the_server_shows(recorded)?;
    let findings = compare_sessions(&ran, &recorded)?;
    println!(
        "{}: {}; besides, {} and {} of sqlward's own questions, {inner} entries of PREPARE and EXECUTE",
        product.name(),
        findings.summary(),
        own.track,
        own.state
    );
    ensure!(findings.differences.is_empty(), "{}", findings.summary());
    ensure!(
        findings.statements + inner >= count,
        "only {} statements",
        findings.statements
    );
    // The server is asked at each login, where a session begins anew (as its temporary table shows), and
    // after each EXECUTE, which may change anything; never between other statements.
    let asked = ran.iter().map(|session| {
        let texts = || session.entries.iter().map(|one| one.text.as_str());
        let tables = texts().filter(|text| text.starts_with("CREATE TEMPORARY TABLE app.t "));
        let executions = texts().filter(|text| text.starts_with("EXECUTE "));
        tables.count().max(1) + executions.count()
    });
    let asked = asked.sum();
    ensure!(
        own == Own {
            // Servers report the character set by default.
            track: 0,
            state: asked
        },
        "{asked} questions of each expected, {own:?}"
    );
    let wrong = oracle::differ_from_clients(&played, &recorded)?;
    ensure!(
        wrong.is_empty(),
        "{} outcomes differ:\n{}",
        wrong.len(),
        shown(&wrong)
    );
    if with_audit {
        let errors = record::server_audit(&server.audit_log())?;
        let wrong = oracle::differ_from_audit(&errors, &recorded);
        ensure!(wrong.is_empty(), "{}", shown(&wrong));
    }
    audit::verify(&proxy.data())
}

#[test]
fn mariadb10() -> Result<()> {
    the_audit_is_the_servers_record(Product::MariaDb10)
}

#[test]
fn mariadb11() -> Result<()> {
    the_audit_is_the_servers_record(Product::MariaDb11)
}

#[test]
fn mysql() -> Result<()> {
    the_audit_is_the_servers_record(Product::MySql)
}

const SESSIONS: u64 = 16;
