//! `sqlward block`: who is kept out, by hand, on both engines.

use std::{process::Command, time::Duration};

use anyhow::{Context, Result, ensure};
use sqlward_tests::mysql::{self, Product, raw};
use sqlward_tests::process::{run, until};
use sqlward_tests::proxy::{self, Policy, Proxy};
use sqlward_tests::raw::{
    Raw, bind, execute, flush, message, parse, query, startup_packet, sync, tags,
};
use sqlward_tests::server::{CLEAR_USER, Options, Server, TRUSTED_USER};

const SOON: Duration = Duration::from_secs(10);

fn block(proxy: &Proxy, arguments: &[&str]) -> Result<String> {
    let mut command = Command::new(sqlward_tests::paths::sqlward()?);
    command
        .arg("block")
        .arg(arguments.first().context("no verb")?);
    command.arg("--data").arg(proxy.data());
    command.args(arguments.get(1..).unwrap_or_default());
    run(&mut command)
}

/// Waits until a login is refused; answers with what the client is told.
fn kept_out(port: u16, parameters: &[(&str, &str)]) -> Result<String> {
    until("the login is refused", SOON, || {
        match Raw::login(port, TRUSTED_USER, parameters) {
            Ok(_) => Ok(None),
            Err(error) => Ok(Some(format!("{error:#}"))),
        }
    })
}

fn let_in(port: u16) -> Result<Raw> {
    until("the login passes", SOON, || {
        Ok(Raw::login(port, TRUSTED_USER, &[]).ok())
    })
}

fn admin(proxy: &Proxy) -> Result<Vec<(String, String, String)>> {
    let text =
        |row: &serde_json::Value, field: &str| row[field].as_str().unwrap_or_default().to_owned();
    let blocks = proxy.audit(&[
        "sql",
        "SELECT action, actor, detail FROM administration WHERE action IN ('block', 'unblock')",
    ])?;
    let blocks = blocks.iter();
    Ok(blocks
        .map(|row| (text(row, "action"), text(row, "actor"), text(row, "detail")))
        .collect())
}

#[test]
fn sessions_end_and_none_begins_until_it_is_removed() -> Result<()> {
    let server = Server::start(&Options::default())?;
    let mut proxy = Proxy::start(&[&server], &proxy::Options::default())?;
    let mut open = Raw::login(proxy.port(), TRUSTED_USER, &[])?;
    ensure!(open.value("SELECT 1")? == "1");
    let reason = "leaked password";
    let added = block(
        &proxy,
        &[
            "add",
            "--user",
            TRUSTED_USER,
            "--for",
            "1h",
            "--reason",
            reason,
        ],
    )?;
    ensure!(added.contains("block 1: user "), "{added}");
    let told = kept_out(proxy.port(), &[])?;
    ensure!(
        told.contains("42501") && told.contains("keeps you out until"),
        "{told}"
    );
    ensure!(!told.contains(reason), "{told}");
    // An open session learns it with its next statement, which the server does not see.
    open.send(&query("CREATE TABLE unwanted (id int)"))?;
    let last = open.until_closed()?;
    ensure!(
        last.iter()
            .any(|message| message.tag == b'E' && message.sqlstate() == "42501"),
        "{last:?}"
    );
    ensure!(server.psql("app", "SELECT to_regclass('unwanted') IS NULL")? == "t");
    // It outlives the proxy.
    proxy.stop()?;
    proxy.restart()?;
    kept_out(proxy.port(), &[])?;
    ensure!(block(&proxy, &["list"])?.contains(reason));
    block(&proxy, &["remove", "1"])?;
    ensure!(let_in(proxy.port())?.value("SELECT 2")? == "2");
    ensure!(block(&proxy, &["list"])?.is_empty());
    proxy.stop()?;
    let records = admin(&proxy)?;
    let actions: Vec<&str> = records.iter().map(|(action, ..)| action.as_str()).collect();
    ensure!(
        actions == ["block", "unblock"] || actions == ["unblock", "block"],
        "{records:?}"
    );
    ensure!(
        records
            .iter()
            .all(|(_, actor, detail)| !actor.is_empty() && detail.contains(reason)),
        "{records:?}"
    );
    let denied = proxy.audit(&["search", "--decision", "terminate"])?;
    ensure!(
        denied.iter().any(|row| row["text"]
            .as_str()
            .unwrap_or_default()
            .contains("unwanted")),
        "{denied:#?}"
    );
    ensure!(
        denied.iter().any(|row| row["text"] == "connection"),
        "{denied:#?}"
    );
    Ok(())
}

#[test]
fn what_was_bound_before_does_not_run_after() -> Result<()> {
    let server = Server::start(&Options::default())?;
    let mut proxy = Proxy::start(&[&server], &proxy::Options::default())?;
    let mut open = Raw::login(proxy.port(), TRUSTED_USER, &[])?;
    open.send(&[parse("", "SELECT 1"), bind("", "", &[]), flush()].concat())?;
    ensure!(tags(&open.until(b'2')?) == "12");
    block(&proxy, &["add", "--user", TRUSTED_USER, "--reason", "test"])?;
    kept_out(proxy.port(), &[])?;
    open.send(&[execute("", 0), sync()].concat())?;
    let told = tags(&open.until_closed()?);
    ensure!(told.starts_with('E') && !told.contains('D'), "{told}");
    proxy.stop()
}

#[test]
fn a_block_ends_by_itself_and_keeps_out_nobody_else() -> Result<()> {
    let server = Server::start(&Options::default())?;
    let mut proxy = Proxy::start(&[&server], &proxy::Options::default())?;
    let keep_out = |whom: &[&str]| {
        let rest = ["--for", "3s", "--reason", "test"];
        block(&proxy, &[&["add"], whom, &rest].concat())
    };
    keep_out(&["--application", "report", "--client", "127.0.0.0/8"])?;
    keep_out(&["--application", "other", "--client", "10.0.0.0/8"])?;
    keep_out(&["--end-user", "mallory"])?;
    kept_out(proxy.port(), &[("application_name", "report")])?;
    let mut other = Raw::login(proxy.port(), TRUSTED_USER, &[("application_name", "other")])?;
    ensure!(other.value("SELECT 1 /*end_user='alice'*/")? == "1");
    other.send(&query("SELECT 2 /*end_user='mallory'*/"))?;
    ensure!(tags(&other.until_closed()?).starts_with('E'));
    until("the block is over", SOON, || {
        Ok(Raw::login(
            proxy.port(),
            TRUSTED_USER,
            &[("application_name", "report")],
        )
        .ok())
    })?;
    until("each end is recorded", SOON, || {
        let ended = admin(&proxy)?;
        let ended = ended
            .iter()
            .filter(|(action, actor, _)| action == "unblock" && actor == "its end");
        Ok((ended.count() == 3).then_some(()))
    })?;
    ensure!(block(&proxy, &["list"])?.is_empty());
    proxy.stop()
}

#[test]
fn the_same_before_mysql() -> Result<()> {
    let server = mysql::Server::start(&mysql::Options::new(Product::MariaDb10))?;
    let mut proxy = Proxy::before(&server, &proxy::Options::default())?;
    let mut open = raw::Raw::login(proxy.port(), TRUSTED_USER)?;
    ensure!(open.value("SELECT 1")? == "1");
    block(&proxy, &["add", "--user", TRUSTED_USER, "--reason", "test"])?;
    let told = until("the login is refused", SOON, || {
        Ok(raw::Raw::login(proxy.port(), TRUSTED_USER).err())
    })?;
    ensure!(
        format!("{told:#}").contains("keeps you out until further notice"),
        "{told:#}"
    );
    let answer = open.query("SELECT 2")?;
    let failure = answer
        .first()
        .and_then(|answer| answer.failure.as_ref())
        .context("it passed")?;
    ensure!(failure.errno == 1053, "{failure:?}");
    ensure!(open.query("SELECT 3").is_err());
    block(&proxy, &["remove", "1"])?;
    until("the login passes", SOON, || {
        Ok(raw::Raw::login(proxy.port(), TRUSTED_USER).ok())
    })?;
    proxy.stop()
}

/// Denials end the session, guessed logins keep their client out.
const ESCALATIONS: &str = r#"
schema = 1
[defaults]
action = "allow"

[[rule]]
id = "no-drop"
when = { verb = ["drop"] }
action = "deny"

[[rule]]
id = "no-lock"
when = { verb = ["lock"] }
action = "deny"

[[escalation]]
id = "drops"
after = "denied"
rules = ["no-drop"]
count = 3
within = "10m"
per = ["user", "application"]
then = "terminate"

[[escalation]]
id = "guessing"
after = "failed-login"
count = 4
within = "10m"
per = ["client", "user"]
then = "block"
block_for = "1h"
"#;

fn escalations(proxy: &Proxy) -> Result<Vec<String>> {
    let rows = proxy.audit(&[
        "sql",
        "SELECT actor, detail FROM administration WHERE action = 'escalation'",
    ])?;
    Ok(rows.iter().map(ToString::to_string).collect())
}

fn denied(raw: &mut Raw, sql: &str) -> Result<()> {
    let answer = raw.query(sql).context(sql.to_owned())?;
    let refused = answer
        .iter()
        .any(|one| one.tag == b'E' && one.sqlstate() == "42501");
    ensure!(refused, "{sql}: {answer:?}");
    Ok(())
}

/// Logs in with a wrong password; answers with the error's code.
fn guess(port: u16) -> Result<String> {
    let mut raw = Raw::open(port)?;
    raw.send(&startup_packet(CLEAR_USER))?;
    let first = raw.receive()?.context("closed")?;
    if first.tag == b'E' {
        return Ok(first.sqlstate());
    }
    raw.send(&message(b'p', b"wrong\0"))?;
    let answer = raw.until_closed()?;
    let error = answer.iter().find(|one| one.tag == b'E');
    Ok(error.context("it passed")?.sqlstate())
}

#[test]
fn repeated_refusals_escalate() -> Result<()> {
    let server = Server::start(&Options::default())?;
    let options = proxy::Options {
        policy: Policy::Text(ESCALATIONS.to_owned()),
        ..proxy::Options::default()
    };
    let mut proxy = Proxy::start(&[&server], &options)?;
    // Another application's denials, and those by another rule, are none of its business.
    let mut other = Raw::login(proxy.port(), TRUSTED_USER, &[("application_name", "other")])?;
    denied(&mut other, "DROP TABLE a")?;
    let mut raw = Raw::login(proxy.port(), TRUSTED_USER, &[])?;
    denied(&mut raw, "DROP TABLE b")?;
    denied(&mut raw, "LOCK TABLE c")?;
    denied(&mut raw, "DROP TABLE d")?;
    ensure!(raw.value("SELECT 1")? == "1");
    raw.send(&query("DROP TABLE e"))?;
    let last = raw.until_closed().context("it stays open")?;
    ensure!(
        last.iter()
            .any(|one| one.tag == b'E' && one.sqlstate() == "42501"),
        "{last:?}"
    );
    // Counting begins anew, and nobody is kept out.
    denied(
        &mut Raw::login(proxy.port(), TRUSTED_USER, &[])?,
        "DROP TABLE f",
    )?;
    ensure!(other.value("SELECT 2")? == "2");
    // Guesses.
    for _ in 0..4 {
        ensure!(guess(proxy.port())? == "28P01");
    }
    ensure!(guess(proxy.port())? == "42501");
    let listed = until("the list has it", SOON, || {
        let listed = block(&proxy, &["list"])?;
        Ok((!listed.is_empty()).then_some(listed))
    })?;
    ensure!(
        listed.contains("block 1: user app_clear, client 127.0.0.1/32, until "),
        "{listed}"
    );
    ensure!(
        listed.contains("by escalation guessing: 4 times failed-login within 600s"),
        "{listed}"
    );
    ensure!(proxy.metric("sqlward_escalations_total")? == 2.0);
    // Undone.
    block(&proxy, &["remove", "1"])?;
    until("guesses reach the server again", SOON, || {
        Ok((guess(proxy.port())? == "28P01").then_some(()))
    })?;
    proxy.stop()?;
    let recorded = escalations(&proxy)?.join("\n");
    ensure!(
        recorded.contains("drops") && recorded.contains("guessing"),
        "{recorded}"
    );
    ensure!(admin(&proxy)?.len() == 2);
    let ended = proxy.audit(&["search", "--decision", "terminate"])?;
    ensure!(
        ended.iter().any(|row| row["text"] == "DROP TABLE e"),
        "{ended:#?}"
    );
    Ok(())
}

#[test]
fn what_is_wrong_is_told() -> Result<()> {
    let server = Server::start(&Options::default())?;
    let mut proxy = Proxy::start(&[&server], &proxy::Options::default())?;
    let wrong = |arguments: &[&str]| {
        block(&proxy, arguments)
            .err()
            .map(|error| format!("{error:#}"))
    };
    let told = wrong(&["remove", "9"]).context("it passed")?;
    ensure!(told.contains("there is no block 9"), "{told}");
    ensure!(wrong(&["add", "--reason", "nobody"]).is_some());
    ensure!(wrong(&["add", "--user", "a", "--reason", " "]).is_some());
    // A list that can't be read stops nobody who is in, but no proxy starts without knowing whom to keep out.
    let list = proxy.data().join("blocks.toml");
    std::fs::write(&list, "[[block]]\nnumber = 1\n")?;
    until("the proxy tells", SOON, || {
        Ok(proxy.log().contains("can't be taken up").then_some(()))
    })?;
    ensure!(let_in(proxy.port())?.value("SELECT 1")? == "1");
    proxy.stop()?;
    ensure!(proxy.restart().is_err());
    ensure!(
        proxy.log().contains("is no list of blocks"),
        "{}",
        proxy.log()
    );
    std::fs::remove_file(&list)?;
    proxy.restart()?;
    proxy.stop()
}
