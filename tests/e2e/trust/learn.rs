//! Learn → observe → enforce: what was seen passes, what was never seen does not.

use std::fs;

use anyhow::{Context, Result, ensure};
use sqlward_tests::mysql::{self, Product};
use sqlward_tests::proxy::Proxy;
use sqlward_tests::raw::{Raw, bind, execute, parse, sync, tags};
use sqlward_tests::server::TRUSTED_USER;

use super::{json, managed, printed, sqlward, text};

/// Everything passes and is recorded; what would be refused is recorded, too.
const LEARN: &str = r#"schema = 1

[defaults]
action = "deny"
unreadable = "deny"
mode = "learn"
"#;

/// What an application does.
const SQL: [&str; 9] = [
    "SELECT owner, balance FROM accounts WHERE id = 7",
    "SELECT count(*) FROM accounts",
    "SELECT body FROM notes ORDER BY id LIMIT 3",
    "INSERT INTO notes (id, body) VALUES (901, 'a')",
    "UPDATE accounts SET balance = balance + 1 WHERE id = 3",
    "DELETE FROM notes WHERE id = 901",
    "SELECT 1",
    "BEGIN",
    "COMMIT",
];

/// What it never did.
const NEVER: [&str; 5] = [
    "DELETE FROM accounts WHERE id = 3",
    "UPDATE accounts SET balance = 0",
    "SELECT v FROM secret",
    "DROP TABLE notes",
    "SELECT owner FROM accounts WHERE id = (SELECT count(*) FROM secret)",
];

/// Learns from what the proxy has recorded, and enforces it: the proxy is stopped, and runs again.
fn enforce(proxy: &mut Proxy, style: &[&str]) -> Result<()> {
    proxy.stop()?;
    let data = proxy.data();
    let file = proxy.policy_file().with_file_name("learnt.toml");
    let learn = [
        "policy",
        "learn",
        "--data",
        text(&data)?,
        "--from",
        "1h",
        "--out",
        text(&file)?,
    ];
    let output = sqlward(&[&learn, style].concat())?;
    let (out, err) = (
        String::from_utf8(output.stdout)?,
        String::from_utf8(output.stderr)?,
    );
    ensure!(output.status.success(), "{out}{err}");
    ensure!(out.contains(&format!("user `{TRUSTED_USER}`")), "{out}");
    ensure!(
        out.contains("new fingerprints") && !err.contains("not allowed"),
        "{out}{err}"
    );
    let policy = fs::read_to_string(&file)?;
    ensure!(policy.contains("mode = \"observe\""), "{policy}");
    ensure!(
        style.is_empty() == policy.contains("when.object = "),
        "{policy}"
    );
    let tested = printed(&["policy", "test", text(&file)?])?;
    ensure!(tested.ends_with(" 0 failed\n"), "{tested}");
    ensure!(!tested.starts_with("0 passed"), "{tested}");
    // Nothing that passed would be denied.
    let replay = [
        "policy",
        "replay",
        "--data",
        text(&data)?,
        "--from",
        "1h",
        "--json",
        text(&file)?,
    ];
    let report = json(&replay)?;
    ensure!(
        report["changed"].as_array().is_some_and(Vec::is_empty),
        "{report:#}\n{policy}"
    );
    fs::write(
        &file,
        policy.replace("mode = \"observe\"", "mode = \"enforce\""),
    )?;
    managed(proxy)?;
    printed(&[
        "policy",
        "apply",
        text(&file)?,
        "--data",
        text(&data)?,
        "--author",
        "ann",
        "--reason",
        "learnt",
    ])?;
    proxy.restart()
}

fn status_tells(proxy: &Proxy) -> Result<()> {
    let (data, policy) = (proxy.data(), proxy.policy_file());
    let status = json(&[
        "policy",
        "status",
        text(&policy)?,
        "--data",
        text(&data)?,
        "--json",
    ])?;
    ensure!(
        status["mode"] == "learn" && status["in_force"]["this"] == true,
        "{status:#}"
    );
    ensure!(
        status["would_be_refused"]["the default"].as_u64() >= Some(9),
        "{status:#}"
    );
    let user = status["learning"]["users"][0].clone();
    ensure!(
        user["user"] == TRUSTED_USER && user["fingerprints"].as_u64() >= Some(9),
        "{user:#}"
    );
    let hours = user["hours"].as_array().context("hours")?;
    ensure!(
        hours
            .iter()
            .filter_map(|hour| hour["new"].as_u64())
            .sum::<u64>()
            >= 9,
        "{user:#}"
    );
    Ok(())
}

fn learnt_from_postgres(style: &[&str]) -> Result<()> {
    let (_server, mut proxy) = super::postgres(LEARN)?;
    let run = [
        parse("p", "SELECT id FROM accounts WHERE owner = $1"),
        bind("", "p", &[Some("owner 3")]),
        execute("", 0),
        sync(),
    ]
    .concat();
    let play = |proxy: &Proxy| -> Result<()> {
        let mut raw = Raw::login(proxy.port(), TRUSTED_USER, &[])?;
        for sql in SQL {
            let answer = raw.query(sql)?;
            ensure!(!tags(&answer).contains('E'), "{sql}: {answer:?}");
        }
        raw.query("SET statement_timeout = '7s'")?;
        raw.query(
            "WITH gone AS (DELETE FROM notes WHERE id = 77 RETURNING id) SELECT id FROM gone",
        )?;
        raw.send(&run)?;
        let answer = raw.until_ready()?;
        ensure!(!tags(&answer).contains('E'), "{answer:?}");
        Ok(raw.terminate()?)
    };
    play(&proxy)?;
    enforce(&mut proxy, style)?;
    play(&proxy)?;
    let mut raw = Raw::login(proxy.port(), TRUSTED_USER, &[])?;
    for sql in NEVER
        .iter()
        .chain(&["SELECT pg_sleep(1)", "SET ROLE postgres"])
    {
        let answer = raw.query(sql)?;
        let refused = answer
            .iter()
            .any(|one| one.tag == b'E' && one.sqlstate() == "42501");
        ensure!(refused, "{sql}: {answer:?}");
    }
    Ok(raw.terminate()?)
}

#[test]
fn postgres_by_verbs_and_objects() -> Result<()> {
    learnt_from_postgres(&[])
}

#[test]
fn postgres_by_digests() -> Result<()> {
    learnt_from_postgres(&["--digests"])
}

#[test]
fn mysql_by_verbs_and_objects() -> Result<()> {
    let (_server, mut proxy) = super::mysql(Product::MySql, LEARN)?;
    let play = |proxy: &Proxy| -> Result<()> {
        let mut raw = mysql::raw::Raw::login(proxy.port(), TRUSTED_USER)?;
        for sql in SQL {
            let answers = raw.query(sql)?;
            let failed = answers.iter().find_map(|answer| answer.failure.as_ref());
            ensure!(failed.is_none(), "{sql}: {failed:?}");
        }
        let select = raw.prepare("SELECT id FROM accounts WHERE owner = ?")?;
        let select = select.map_err(|error| anyhow::anyhow!("{error:?}"))?;
        let answer = raw.execute(select, &[Some("owner 9")], false)?;
        ensure!(answer.iter().all(|one| one.failure.is_none()), "{answer:?}");
        raw.quit()
    };
    play(&proxy)?;
    // It is in the store soon.
    std::thread::sleep(std::time::Duration::from_secs(3));
    status_tells(&proxy)?;
    enforce(&mut proxy, &[])?;
    play(&proxy)?;
    let mut raw = mysql::raw::Raw::login(proxy.port(), TRUSTED_USER)?;
    for sql in NEVER.iter().chain(&["SELECT sleep(1)"]) {
        let answers = raw.query(sql)?;
        let failure = answers.iter().find_map(|answer| answer.failure.as_ref());
        ensure!(
            failure.is_some_and(|failure| failure.errno == 1227),
            "{sql}: {answers:?}"
        );
    }
    raw.quit()
}
