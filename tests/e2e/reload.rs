//! Reload: on SIGHUP and on file change, all or nothing, from the next statement on.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
use sqlward_tests::certificates::Certificates;
use sqlward_tests::process::until;
use sqlward_tests::proxy::{self, Policy, Proxy};
use sqlward_tests::raw::{Raw, bind, execute, parse, sync, tags};
use sqlward_tests::server::{Options, Server, TRUSTED_USER};

const OPEN: &str = "schema = 1\n[defaults]\naction = \"allow\"\n";
const CLOSED: &str = r#"schema = 1
[defaults]
action = "allow"
[[rule]]
id = "no-users"
when = { object = ["users"] }
action = "deny"
message = "not this table"
"#;
const BAD: &str = "schema = 1\n[defaults]\naction = \"perhaps\"\n";

const LIMIT: Duration = Duration::from_secs(15);
const READ: &str = "SELECT name FROM users";

fn setup() -> Result<(Server, Proxy)> {
    let server = Server::start(&Options::default())?;
    let options = proxy::Options {
        policy: Policy::Text(OPEN.into()),
        ..Default::default()
    };
    let proxy = Proxy::start(&[&server], &options)?;
    Ok((server, proxy))
}

fn generation(proxy: &Proxy, wanted: f64) -> Result<()> {
    until(
        "the new policy is in force",
        Duration::from_secs(10),
        || Ok((proxy.metric("sqlward_policy_generation")? >= wanted).then_some(())),
    )
    .with_context(|| proxy.log())
}

#[test]
fn a_changed_file_is_in_force_at_the_next_statement() -> Result<()> {
    let (_server, proxy) = setup()?;
    let mut raw = Raw::login(proxy.port(), TRUSTED_USER, &[])?;
    raw.send(&[parse("read", READ), sync()].concat())?;
    ensure!(tags(&raw.until_ready()?) == "1Z");
    let run = [bind("", "read", &[]), execute("", 0), sync()].concat();
    raw.send(&run)?;
    ensure!(tags(&raw.until_ready()?) == "2DCZ");
    fs::write(proxy.policy_file(), CLOSED)?;
    generation(&proxy, 2.0)?;
    let answer = raw.query(READ)?;
    ensure!(tags(&answer) == "EZ", "{answer:?}");
    ensure!(
        answer.first().is_some_and(|one| one.sqlstate() == "42501"),
        "{answer:?}"
    );
    // Prepared under the old policy, executed under the new one.
    raw.send(&run)?;
    let answer = raw.until_ready()?;
    let refused = answer
        .iter()
        .any(|one| one.tag == b'E' && one.sqlstate() == "42501");
    ensure!(
        refused && !answer.iter().any(|one| one.tag == b'D'),
        "{answer:?}"
    );
    ensure!(raw.value("SELECT 1")? == "1");
    // And back: the prepared statement still exists, the refusal did not cost the client anything.
    fs::write(proxy.policy_file(), OPEN)?;
    generation(&proxy, 3.0)?;
    raw.send(&run)?;
    ensure!(tags(&raw.until_ready()?) == "2DCZ");
    Ok(())
}

#[test]
fn sighup_reloads() -> Result<()> {
    let (_server, proxy) = setup()?;
    let mut raw = Raw::login(proxy.port(), TRUSTED_USER, &[])?;
    let before = proxy.metric("sqlward_policy_generation")?;
    proxy.signal(Signal::HUP)?;
    generation(&proxy, before + 1.0)?;
    ensure!(raw.value(READ)? == "ann");
    Ok(())
}

#[test]
fn a_bad_policy_never_replaces_a_good_one() -> Result<()> {
    let (_server, proxy) = setup()?;
    let mut raw = Raw::login(proxy.port(), TRUSTED_USER, &[])?;
    fs::write(proxy.policy_file(), CLOSED)?;
    generation(&proxy, 2.0)?;
    fs::write(proxy.policy_file(), BAD)?;
    proxy.signal(Signal::HUP)?;
    until(
        "the refused reload is counted",
        Duration::from_secs(10),
        || Ok((proxy.metric("sqlward_reload_failures_total")? >= 1.0).then_some(())),
    )?;
    let answer = raw.query(READ)?;
    ensure!(tags(&answer) == "EZ", "{answer:?}");
    let log = proxy.log();
    ensure!(
        log.contains("perhaps") && log.contains("policy.toml:3"),
        "{log}"
    );
    Ok(())
}

/// Puts the certificate and key of `new` where the proxy reads its own: two steps, as an operator's.
fn install(new: &Certificates, proxy: &Proxy) -> Result<()> {
    fs::copy(&new.certificate, &proxy.certificates().certificate)?;
    fs::copy(&new.key, &proxy.certificates().key)?;
    Ok(())
}

fn shown_to(proxy: &Proxy, authority: &Path) -> Result<Vec<u8>> {
    let mut raw = Raw::open_tls(proxy.port(), authority)?;
    raw.start(TRUSTED_USER, &[])?;
    raw.peer_certificate().context("no certificate")
}

#[test]
fn clients_are_shown_a_new_certificate() -> Result<()> {
    let (_server, proxy) = setup()?;
    let old = proxy.certificates().authority.clone();
    let mut kept = Raw::open_tls(proxy.port(), &old)?;
    kept.start(TRUSTED_USER, &[])?;
    let before = shown_to(&proxy, &old)?;
    let folder = tempfile::tempdir()?;
    let new = Certificates::create(folder.path())?;
    install(&new, &proxy)?;
    let after = until("the new certificate is shown", LIMIT, || {
        Ok(shown_to(&proxy, &new.authority).ok())
    })
    .with_context(|| proxy.log())?;
    ensure!(after != before);
    ensure!(shown_to(&proxy, &old).is_err(), "the old one is shown too");
    ensure!(
        kept.value("SELECT 1")? == "1",
        "a session that stood has to go on"
    );

    // What is no certificate replaces none, and is told.
    let refused = proxy.metric("sqlward_reload_failures_total")?;
    fs::write(&proxy.certificates().certificate, "no certificate")?;
    until("the refused reload is counted", LIMIT, || {
        Ok((proxy.metric("sqlward_reload_failures_total")? > refused).then_some(()))
    })?;
    ensure!(shown_to(&proxy, &new.authority)? == after);
    let name = proxy.certificates().certificate.display().to_string();
    ensure!(proxy.log().contains(&name), "{}", proxy.log());
    Ok(())
}

#[test]
fn servers_are_verified_by_a_new_authority() -> Result<()> {
    let server = Server::start(&Options {
        tls: true,
        ..Default::default()
    })?;
    let folder = tempfile::tempdir()?;
    // At first the upstream's authority is one that never signed for it.
    let trusted = Certificates::create(folder.path())?;
    let options = proxy::Options {
        policy: Policy::RecordAll,
        server_tls: "verify-full",
        ..Default::default()
    };
    let proxy = Proxy::start_at(&[server.port()], Some(&trusted), &options)?;
    let told = Raw::login(proxy.port(), TRUSTED_USER, &[]).err();
    let told = told
        .context("an unknown authority was trusted")?
        .to_string();
    ensure!(told.contains("08006") || told.contains("08001"), "{told}");
    let right = server.certificates().context("no certificates")?;
    fs::copy(&right.authority, &trusted.authority)?;
    let mut raw = until("the server is trusted", LIMIT, || {
        Ok(Raw::login(proxy.port(), TRUSTED_USER, &[]).ok())
    })
    .with_context(|| proxy.log())?;
    let sql = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    ensure!(raw.value(sql)? == "t");
    // And no longer, once the authority is another again; who is in stays in.
    let other = tempfile::tempdir()?;
    let wrong = Certificates::create(other.path())?;
    fs::copy(&wrong.authority, &trusted.authority)?;
    until("the server is not trusted", LIMIT, || {
        Ok(Raw::login(proxy.port(), TRUSTED_USER, &[]).err())
    })?;
    ensure!(raw.value("SELECT 1")? == "1");
    Ok(())
}
