//! `sqlward policy replay`: what was decided once is decided so again, and a candidate differs where it should.

use std::fs;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use sqlward_tests::mysql::{self, Product};
use sqlward_tests::proxy::Proxy;
use sqlward_tests::raw::{Raw, bind, execute, parse, sync};
use sqlward_tests::server::TRUSTED_USER;
use sqlward_tests::traffic;

use super::{json, text};

/// Conditions of every kind that a record must answer.
const POLICY: &str = r#"schema = 1

[defaults]
action = "allow"
unreadable = "deny"

[[rule]]
id = "bounded"
when = { verb = ["update", "delete"], where = ["absent", "always-true"] }
action = "deny"

[[rule]]
id = "no-secret"
when = { object = ["secret"], access = ["read"], not = { role = "dba" } }
action = "deny"

[[rule]]
id = "watch-notes"
when = { column = ["notes.body"], column_use = ["read"] }
action = "alert"

[[rule]]
id = "several"
when = { multi_statement = true, verb = ["insert"] }
action = "alert"

[[rule]]
id = "sleepers"
when = { function = ["pg_sleep", "sleep"] }
action = "alert"

[[rule]]
id = "settings"
when = { setting = ["search_path", "sql_mode"] }
action = "alert"

[[rule]]
id = "at-noon"
when = { object = ["users"], time = "always" }
action = "alert"

[time.always]
from = "00:00"
to = "24:00"
"#;

fn replay(proxy: &Proxy, candidate: &str) -> Result<Value> {
    let data = proxy.data();
    json(&[
        "policy",
        "replay",
        "--data",
        text(&data)?,
        "--from",
        "1h",
        "--json",
        candidate,
    ])
}

fn number(report: &Value, name: &str) -> Result<u64> {
    report[name]
        .as_u64()
        .with_context(|| format!("{name}: {report}"))
}

/// The number of statements that a list of parts of a report names.
fn sum(report: &Value, list: &str) -> u64 {
    let parts = report[list].as_array().map_or(&[][..], Vec::as_slice);
    parts
        .iter()
        .filter_map(|part| part["statements"].as_u64())
        .sum()
}

/// What the policy decided while it was in force it decides again; what can't be decided is no more than `undecided`.
fn decides_alike(proxy: &Proxy, undecided: u64) -> Result<u64> {
    let policy = proxy.policy_file();
    let report = replay(proxy, text(&policy)?)?;
    ensure!(sum(&report, "changed") == 0, "{report:#}");
    ensure!(sum(&report, "undecided") <= undecided, "{report:#}");
    let (all, same) = (
        number(&report, "statements")?,
        number(&report, "unchanged")?,
    );
    ensure!(same + sum(&report, "undecided") == all, "{report:#}");
    ensure!(same >= 20, "{report:#}");
    Ok(all)
}

#[test]
fn postgres_sessions_are_decided_as_they_were() -> Result<()> {
    let (_server, mut proxy) = super::postgres(POLICY)?;
    traffic::play(proxy.port(), TRUSTED_USER, 7, 300)?;
    let mut raw = Raw::login(proxy.port(), TRUSTED_USER, &[("application_name", "till")])?;
    for sql in [
        "SELECT v FROM secret",
        "SELECT body FROM notes",
        "DELETE FROM notes",
        "DELETE FROM notes WHERE id = 7",
        "INSERT INTO notes VALUES (70, 'x'); SELECT 1",
        "SELECT pg_sleep(0)",
        "SET search_path = public",
        "SELECT name FROM users",
        "SELECT 'not closed",
        // The role is not known for the rest of the text.
        "SET ROLE app_trusted; SELECT v FROM secret",
        "SELECT E'\\'', 'schöne Grüße'",
        "SET standard_conforming_strings = off",
        "SELECT 'it\\'s', v FROM secret",
        "RESET standard_conforming_strings",
    ] {
        raw.query(sql)?;
    }
    let run = [
        parse("p", "SELECT id FROM accounts WHERE id = $1"),
        bind("", "p", &[Some("3")]),
        execute("", 0),
        sync(),
    ];
    raw.send(&run.concat())?;
    raw.until_ready()?;
    raw.query("PREPARE q AS SELECT v FROM secret")?;
    raw.query("EXECUTE q")?;
    raw.terminate()?;
    proxy.stop()?;
    decides_alike(&proxy, 12)?;
    Ok(())
}

#[test]
fn a_candidate_is_told_apart() -> Result<()> {
    let (_server, mut proxy) = super::postgres(POLICY)?;
    let mut raw = Raw::login(proxy.port(), TRUSTED_USER, &[("application_name", "till")])?;
    for id in 0..5 {
        raw.query(&format!("SELECT owner FROM accounts WHERE id = {id}"))?;
    }
    raw.query("DELETE FROM notes")?;
    raw.query("SELECT v FROM secret")?;
    raw.query("PREPARE q AS SELECT 1")?;
    raw.query("EXECUTE q")?;
    raw.terminate()?;
    proxy.stop()?;
    let candidate = proxy.policy_file().with_file_name("candidate.toml");
    fs::write(
        &candidate,
        POLICY
            .replace(
                r#"object = ["secret"], access = ["read"]"#,
                r#"object = ["accounts"]"#,
            )
            .replace("no-secret", "no-accounts"),
    )?;
    let report = replay(&proxy, text(&candidate)?)?;
    let groups = report["groups"].as_array().context("groups")?;
    let of = |change: &str| groups.iter().find(|group| group["change"] == change);
    let denied = of("newly denied").with_context(|| format!("{report:#}"))?;
    ensure!(
        denied["count"] == 5 && denied["because"] == "`no-accounts`",
        "{denied}"
    );
    ensure!(
        denied["user"] == TRUSTED_USER && denied["application"] == "till",
        "{denied}"
    );
    let allowed = of("newly allowed").with_context(|| format!("{report:#}"))?;
    ensure!(
        allowed["count"] == 1 && allowed["because"] == "the default",
        "{allowed}"
    );
    ensure!(allowed["example"] == "SELECT v FROM secret", "{allowed}");
    // The events are those that the audit has.
    let event = allowed["events"][0].as_str().context("event")?;
    let rows = proxy.audit(&["search", "--text", "FROM secret"])?;
    ensure!(
        rows.iter().any(|row| row["event_id"] == event),
        "{event} {rows:?}"
    );
    // What runs under a name can't be decided, and that is said.
    ensure!(sum(&report, "undecided") == 1, "{report:#}");
    // Which rules nothing has hit the audit knows.
    let (data, policy) = (proxy.data(), proxy.policy_file());
    let output = super::sqlward(&[
        "policy",
        "lint",
        text(&policy)?,
        "--data",
        text(&data)?,
        "--unused-for",
        "1h",
    ])?;
    let said = String::from_utf8(output.stdout)?;
    ensure!(
        said.contains("nothing has matched `sleepers` within 1h"),
        "{said}"
    );
    ensure!(
        !said.contains("`bounded`") && !said.contains("`no-secret`"),
        "{said}"
    );
    // The comparison of the policies alone says so, too.
    let (old, new) = (proxy.policy_file(), candidate);
    let output = super::sqlward(&["policy", "diff", text(&old)?, text(&new)?])?;
    let said = String::from_utf8(output.stdout)?;
    ensure!(output.status.code() == Some(1), "{said}");
    ensure!(
        said.contains("by the default -> deny by `no-accounts`"),
        "{said}"
    );
    ensure!(said.contains("SELECT some_column FROM accounts"), "{said}");
    ensure!(
        said.contains("deny by `no-secret` -> allow by the default"),
        "{said}"
    );
    // Compared with another policy instead of the record, nothing was denied but by that.
    let (data, policy) = (proxy.data(), proxy.policy_file());
    let same = json(&[
        "policy",
        "replay",
        "--data",
        text(&data)?,
        "--from",
        "1h",
        "--json",
        "--against",
        text(&policy)?,
        text(&policy)?,
    ])?;
    ensure!(sum(&same, "changed") == 0, "{same:#}");
    Ok(())
}

fn mysql_sessions_are_decided_as_they_were(product: Product) -> Result<()> {
    let (_server, mut proxy) = super::mysql(product, POLICY)?;
    mysql::traffic::play(proxy.port(), TRUSTED_USER, 7, 200)?;
    let mut raw = mysql::raw::Raw::login(proxy.port(), TRUSTED_USER)?;
    for sql in [
        "SELECT v FROM secret",
        "SELECT body FROM notes",
        "DELETE FROM notes",
        "DELETE FROM notes WHERE id = 7",
        "INSERT INTO notes VALUES (70, 'x'); SELECT 1",
        "SELECT sleep(0)",
        "SET sql_mode = 'ANSI_QUOTES'",
        "SELECT \"id\" FROM \"accounts\"",
        "SET sql_mode = ''",
        "SELECT 'not closed",
        "SELECT 'it\\'s'",
    ] {
        raw.query(sql)?;
    }
    let select = raw.prepare("SELECT id FROM accounts WHERE owner = ?")?;
    let select = select.map_err(|error| anyhow::anyhow!("{error:?}"))?;
    raw.execute(select, &[Some("owner 9")], false)?;
    raw.quit()?;
    proxy.stop()?;
    decides_alike(&proxy, 4)?;
    Ok(())
}

#[test]
fn mysql_sessions() -> Result<()> {
    mysql_sessions_are_decided_as_they_were(Product::MySql)
}

#[test]
fn mariadb_sessions() -> Result<()> {
    mysql_sessions_are_decided_as_they_were(Product::MariaDb11)
}
