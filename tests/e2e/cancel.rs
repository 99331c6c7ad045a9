//! CancelRequest: plain and encrypted, to the right server of two, and harmless with a wrong key.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use sqlward_tests::process::until;
use sqlward_tests::proxy::{self, Policy, Proxy};
use sqlward_tests::raw::{Raw, cancel_request, query};
use sqlward_tests::server::{Options, Server, TRUSTED_USER};

const SLEEPING: &str = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'";

fn sleeping(server: &Server) -> Result<()> {
    until("the server sleeps", Duration::from_secs(10), || {
        Ok((server.psql("postgres", SLEEPING)? != "0").then_some(()))
    })
}

fn cancelled(raw: &mut Raw) -> Result<()> {
    let started = Instant::now();
    let answer = raw.until_ready()?;
    let error = answer
        .iter()
        .find(|one| one.tag == b'E')
        .context("not cancelled")?;
    ensure!(error.sqlstate() == "57014", "{error:?}");
    ensure!(started.elapsed() < Duration::from_secs(10));
    ensure!(raw.value("SELECT 8")? == "8");
    Ok(())
}

#[test]
fn a_cancel_reaches_the_right_server() -> Result<()> {
    let (first, second) = (
        Server::start(&Options::default())?,
        Server::start(&Options::default())?,
    );
    let options = proxy::Options {
        policy: Policy::RecordAll,
        ..Default::default()
    };
    let proxy = Proxy::start(&[&first, &second], &options)?;
    let [one, two] = proxy.ports() else {
        anyhow::bail!("not two listeners")
    };
    let mut sessions = [
        Raw::login(*one, TRUSTED_USER, &[])?,
        Raw::login(*two, TRUSTED_USER, &[])?,
    ];
    for session in &mut sessions {
        session.send(&query("SELECT pg_sleep(15)"))?;
    }
    sleeping(&first)?;
    sleeping(&second)?;
    let [_, other] = &mut sessions;
    let (pid, key) = other.key.clone().context("no key")?;
    // Sent to the first listener: the key alone says whose session it is.
    let mut canceller = Raw::open(*one)?;
    canceller.send(&cancel_request(pid, &key))?;
    ensure!(
        canceller.until_closed()?.is_empty(),
        "a cancel request was answered"
    );
    cancelled(other)?;
    ensure!(
        first.psql("postgres", SLEEPING)? == "1",
        "the wrong session was cancelled"
    );
    Ok(())
}

#[test]
fn a_cancel_may_be_encrypted() -> Result<()> {
    let server = Server::start(&Options {
        tls: true,
        ..Default::default()
    })?;
    let options = proxy::Options {
        policy: Policy::RecordAll,
        client_tls: "require",
        server_tls: "verify-full",
        ..Default::default()
    };
    let proxy = Proxy::start(&[&server], &options)?;
    let authority = &proxy.certificates().authority;
    let mut session = Raw::open_tls(proxy.port(), authority)?;
    session.start(TRUSTED_USER, &[])?;
    session.send(&query("SELECT pg_sleep(15)"))?;
    sleeping(&server)?;
    let (pid, key) = session.key.clone().context("no key")?;
    let mut canceller = Raw::open_tls(proxy.port(), authority)?;
    canceller.send(&cancel_request(pid, &key))?;
    ensure!(
        canceller.until_closed()?.is_empty(),
        "a cancel request was answered"
    );
    cancelled(&mut session)
}

#[test]
fn a_wrong_key_cancels_nothing() -> Result<()> {
    let server = Server::start(&Options::default())?;
    let options = proxy::Options {
        policy: Policy::RecordAll,
        ..Default::default()
    };
    let proxy = Proxy::start(&[&server], &options)?;
    let mut session = Raw::login(proxy.port(), TRUSTED_USER, &[])?;
    session.send(&query("SELECT pg_sleep(1), 5"))?;
    sleeping(&server)?;
    let (pid, mut key) = session.key.clone().context("no key")?;
    if let Some(byte) = key.last_mut() {
        *byte ^= 1;
    }
    for _ in 0..3 {
        let mut canceller = Raw::open(proxy.port())?;
        canceller.send(&cancel_request(pid, &key))?;
        ensure!(
            canceller.until_closed()?.is_empty(),
            "a cancel request was answered"
        );
    }
    let answer = session.until_ready()?;
    ensure!(
        answer.iter().any(|one| one.tag == b'D'),
        "cancelled by a stranger: {answer:?}"
    );
    ensure!(session.value("SELECT 8")? == "8");
    Ok(())
}
