//! What only newer servers and clients speak, against PostgreSQL 18: protocol 3.2 and direct TLS.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use sqlward_tests::paths::Release;
use sqlward_tests::process::{run, until};
use sqlward_tests::proxy::{self, Policy, Proxy};
use sqlward_tests::raw::{PROTOCOL_3_2, Raw, cancel_request, query};
use sqlward_tests::server::{DATABASE, Options, PASSWORD, SCRAM_USER, Server, TRUSTED_USER};

fn setup(options: proxy::Options) -> Result<(Server, Proxy)> {
    let server = Server::start(&Options {
        tls: true,
        release: Release::Newer,
        ..Options::default()
    })?;
    let proxy = Proxy::start(
        &[&server],
        &proxy::Options {
            policy: Policy::RecordAll,
            ..options
        },
    )?;
    Ok((server, proxy))
}

/// What psql of PostgreSQL 18 prints, connected with these words in addition.
fn psql(proxy: &Proxy, user: &str, words: &str, sql: &str) -> Result<String> {
    let mut command = Command::new(Release::Newer.program("psql"));
    let target = format!(
        "host=127.0.0.1 port={} user={user} dbname={DATABASE} gssencmode=disable {words}",
        proxy.port()
    );
    command.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d"]);
    command.arg(target).args(["-c", sql]);
    command.env("PGPASSWORD", PASSWORD).env_remove("PGSSLMODE");
    Ok(run(&mut command)?.trim_end().to_owned())
}

fn trusted(proxy: &Proxy) -> String {
    let authority = proxy.certificates().authority.display();
    format!("sslmode=verify-full sslrootcert={authority} channel_binding=disable")
}

/// The one session that the audit has of this application.
fn session(proxy: &Proxy, application: &str) -> Result<serde_json::Value> {
    until("the session's record", Duration::from_secs(10), || {
        let sql = format!("SELECT * FROM sessions WHERE application = '{application}'");
        Ok(proxy.audit(&["sql", &sql])?.pop())
    })
}

#[test]
fn protocol_3_2_and_its_long_cancel_keys_pass() -> Result<()> {
    let (server, proxy) = setup(proxy::Options::default())?;
    let mut raw = Raw::open(proxy.port())?;
    raw.protocol = PROTOCOL_3_2;
    raw.start(TRUSTED_USER, &[("application_name", "long-key")])?;
    let (pid, key) = raw.key.clone().context("no key")?;
    ensure!(key.len() == 32, "a key of {} bytes", key.len());
    raw.send(&query("SELECT pg_sleep(20)"))?;
    until("the server sleeps", Duration::from_secs(10), || {
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
        Ok((server.psql("postgres", sql)? == "1").then_some(()))
    })?;
    // A key that differs in its last byte alone is nobody's.
    let mut wrong = key.clone();
    if let Some(last) = wrong.last_mut() {
        *last ^= 1;
    }
    for (key, cancels) in [(&wrong, false), (&key, true)] {
        let mut canceller = Raw::open(proxy.port())?;
        canceller.send(&cancel_request(pid, key))?;
        ensure!(canceller.until_closed()?.is_empty());
        ensure!(proxy.metric("sqlward_cancels_total")? == f64::from(u8::from(cancels)));
    }
    let answer = raw.until_ready()?;
    let error = answer.iter().find(|one| one.tag == b'E');
    ensure!(
        error.is_some_and(|one| one.sqlstate() == "57014"),
        "{answer:?}"
    );
    let recorded = session(&proxy, "long-key")?;
    ensure!(recorded.to_string().contains("\"3.2\""), "{recorded}");
    Ok(())
}

#[test]
fn libpq_that_insists_on_3_2_gets_it() -> Result<()> {
    let (_server, proxy) = setup(proxy::Options::default())?;
    let words = "min_protocol_version=3.2 max_protocol_version=3.2 sslmode=disable \
                 application_name=insists";
    ensure!(psql(&proxy, SCRAM_USER, words, "SELECT 3 + 2")? == "5");
    let recorded = session(&proxy, "insists")?;
    ensure!(recorded.to_string().contains("\"3.2\""), "{recorded}");
    Ok(())
}

/// A server that knows 3.0 only says so, and libpq of PostgreSQL 18 goes on or gives up by its settings.
#[test]
fn an_older_server_negotiates_down_by_itself() -> Result<()> {
    let server = Server::start(&Options::default())?;
    let options = proxy::Options {
        policy: Policy::RecordAll,
        ..Default::default()
    };
    let proxy = Proxy::start(&[&server], &options)?;
    let words = "max_protocol_version=latest sslmode=disable";
    ensure!(psql(&proxy, TRUSTED_USER, words, "SELECT 7")? == "7");
    let words = "min_protocol_version=3.2 max_protocol_version=3.2 sslmode=disable";
    let error = psql(&proxy, TRUSTED_USER, words, "SELECT 7").err();
    let error = error.context("3.2 against a server that has 3.0 only")?;
    ensure!(error.to_string().contains("protocol"), "{error}");
    Ok(())
}

#[test]
fn tls_may_begin_directly_on_both_legs() -> Result<()> {
    let options = proxy::Options {
        client_tls: "require",
        server_tls: "verify-full",
        upstream_tls: "direct = true".into(),
        ..Default::default()
    };
    let (server, proxy) = setup(options)?;
    let encrypted = "SELECT ssl, version FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    let direct = format!("{} sslnegotiation=direct", trusted(&proxy));
    ensure!(psql(&proxy, SCRAM_USER, &direct, encrypted)? == "t|TLSv1.3");
    // The same listener serves those who ask first.
    ensure!(psql(&proxy, SCRAM_USER, &trusted(&proxy), encrypted)? == "t|TLSv1.3");
    // A cancel takes the same way to the server.
    let mut raw = Raw::open_tls(proxy.port(), &proxy.certificates().authority)?;
    raw.start(TRUSTED_USER, &[])?;
    let (pid, key) = raw.key.clone().context("no key")?;
    raw.send(&query("SELECT pg_sleep(20)"))?;
    until("the server sleeps", Duration::from_secs(10), || {
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
        Ok((server.psql("postgres", sql)? == "1").then_some(()))
    })?;
    let mut canceller = Raw::open_tls(proxy.port(), &proxy.certificates().authority)?;
    canceller.send(&cancel_request(pid, &key))?;
    canceller.until_closed()?;
    let answer = raw.until_ready()?;
    let error = answer.iter().find(|one| one.tag == b'E');
    ensure!(
        error.is_some_and(|one| one.sqlstate() == "57014"),
        "{answer:?}"
    );
    Ok(())
}

#[test]
fn a_listener_without_tls_takes_no_direct_handshake() -> Result<()> {
    let options = proxy::Options {
        client_tls: "disable",
        ..Default::default()
    };
    let (_server, proxy) = setup(options)?;
    let direct = format!("{} sslnegotiation=direct", trusted(&proxy));
    ensure!(psql(&proxy, SCRAM_USER, &direct, "SELECT 1").is_err());
    ensure!(psql(&proxy, SCRAM_USER, "sslmode=disable", "SELECT 1")? == "1");
    Ok(())
}
