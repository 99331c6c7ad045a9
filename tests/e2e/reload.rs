//! Reload: on SIGHUP and on file change, all or nothing, from the next statement on.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
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
