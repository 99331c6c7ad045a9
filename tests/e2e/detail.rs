//! `record` of rules: what is recorded of statements that a rule allows, what is recorded in full all the same, and what
//! `audit coverage` says of it.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use sqlward_tests::proxy::{self, Policy, Proxy};
use sqlward_tests::raw::{Raw, bind, execute, parse, sync};
use sqlward_tests::server::{ADMIN, Options, Server, TRUSTED_USER};

const POLICY: &str = r#"schema = 1
[defaults]
action = "allow"

[[rule]]
id = "probe"
when = { application = ["probe"] }
action = "allow"
record = "digest"

[[rule]]
id = "values"
when = { application = ["values"] }
action = "allow"
record = "no-parameters"

[[rule]]
id = "watch"
when = { object = ["users"] }
action = "alert"

[[rule]]
id = "bounded"
when = { verb = ["delete"], where = ["absent"] }
action = "deny"
"#;

fn login(proxy: &Proxy, user: &str, application: &str) -> Result<Raw> {
    Raw::login(proxy.port(), user, &[("application_name", application)])
}

/// The records of a session with these words in their text, or (of digests) normal form.
fn records<'r>(rows: &'r [Value], words: &str) -> Vec<&'r Value> {
    let has = |value: &Value| value.as_str().is_some_and(|text| text.contains(words));
    rows.iter()
        .filter(|row| has(&row["text"]) || (row["text"] == "" && has(&row["normal"])))
        .collect()
}

fn only<'r>(rows: &'r [Value], words: &str) -> Result<&'r Value> {
    let found = records(rows, words);
    ensure!(found.len() == 1, "{words}: {found:#?}");
    found.first().copied().context("none")
}

#[test]
fn less_is_recorded_of_what_a_rule_says_and_of_nothing_else() -> Result<()> {
    let server = Server::start(&Options::default())?;
    let options = proxy::Options {
        policy: Policy::Text(POLICY.into()),
        ..Default::default()
    };
    let mut proxy = Proxy::start(&[&server], &options)?;
    let run = |raw: &mut Raw, sql: &str, values: &[Option<&str>]| -> Result<()> {
        raw.send(&[parse("", sql), bind("", "", values), execute("", 0), sync()].concat())?;
        raw.until_ready().map(drop)
    };

    let mut probe = login(&proxy, TRUSTED_USER, "probe")?;
    probe.query("SELECT owner AS digested FROM accounts WHERE id = 17")?;
    probe.query("SELECT 1/0 AS failing")?;
    run(
        &mut probe,
        "SELECT id AS bound FROM accounts WHERE id = $1::int",
        &[Some("18")],
    )?;
    run(&mut probe, "SELECT 10/$1::int AS divided", &[Some("0")])?;
    run(
        &mut probe,
        "SELECT nonesuch AS unparsed WHERE 1 = $1::int",
        &[Some("19")],
    )?;
    probe.query("SELECT name AS watched FROM users")?;
    probe.query("DELETE FROM accounts")?;
    probe.query("EXECUTE 'broken")?;
    // Named, executed twice, the second time with a failure: its text comes from a digest.
    probe.send(
        &[
            parse("named", "SELECT 20/$1::int AS named"),
            bind("", "named", &[Some("5")]),
            execute("", 0),
            sync(),
        ]
        .concat(),
    )?;
    probe.until_ready()?;
    probe.send(&[bind("", "named", &[Some("0")]), execute("", 0), sync()].concat())?;
    probe.until_ready()?;
    let mut admin = login(&proxy, ADMIN, "probe")?;
    admin.query("CREATE TABLE made_by_probe (id int)")?;
    admin.query("GRANT SELECT ON made_by_probe TO PUBLIC")?;
    let mut values = login(&proxy, TRUSTED_USER, "values")?;
    run(
        &mut values,
        "SELECT owner AS without FROM accounts WHERE id = $1::int",
        &[Some("21")],
    )?;
    run(
        &mut values,
        "SELECT 22/$1::int AS with_failure",
        &[Some("0")],
    )?;
    let mut other = login(&proxy, TRUSTED_USER, "other")?;
    other.query("SELECT 23 AS untouched")?;
    drop((probe, admin, values, other));
    proxy.stop()?;

    let rows = proxy.audit(&["search", "--limit", "0", "--order", "oldest"])?;
    let digested = only(&rows, "digested")?;
    ensure!(
        digested["detail"] == "digest" && digested["text"] == "",
        "{digested}"
    );
    ensure!(digested["text_length"] == 52, "{digested}");
    // SHA-256 of the text.
    let hash = digested["text_hash"].as_str().context("no hash")?;
    ensure!(hash.len() == 64, "{digested}");
    ensure!(
        digested["completion"] == "done" && digested["rows"] == 1,
        "{digested}"
    );
    let bound = only(&rows, "bound")?;
    ensure!(
        bound["detail"] == "digest" && bound["parameters"].is_null(),
        "{bound}"
    );

    // What fails, is denied, alerts, can't be read, or changes schema and privileges is whole.
    for (words, value) in [
        ("failing", None),
        ("divided", Some("\"0\"")),
        ("unparsed", Some("\"19\"")),
        ("watched", None),
        ("DELETE FROM accounts", None),
        ("EXECUTE 'broken", None),
        ("made_by_probe (id int)", None),
        ("GRANT SELECT ON made_by_probe", None),
        ("with_failure", Some("\"0\"")),
        ("untouched", None),
    ] {
        let row = only(&rows, words)?;
        ensure!(
            row["detail"] == "full" && row["text"] != "",
            "{words}: {row}"
        );
        ensure!(
            value.is_none_or(|value| row["parameters"].to_string().contains(value)),
            "{row}"
        );
    }
    let named = records(&rows, "named");
    let [first, second] = named.as_slice() else {
        anyhow::bail!("{named:#?}");
    };
    ensure!(
        first["detail"] == "digest" && first["completion"] == "done",
        "{first}"
    );
    ensure!(
        second["detail"] == "full" && second["completion"] == "failed",
        "{second}"
    );
    ensure!(second["text"] == "SELECT 20/$1::int AS named", "{second}");
    ensure!(
        second["parameters"].to_string().contains("\"0\""),
        "{second}"
    );

    let without = only(&rows, "without")?;
    ensure!(
        without["detail"] == "no-parameters" && without["parameters"].is_null(),
        "{without}"
    );
    ensure!(
        without["text"] == "SELECT owner AS without FROM accounts WHERE id = $1::int",
        "{without}"
    );

    sqlward_tests::audit::verify(&proxy.data())?;
    let coverage = proxy.audit(&["coverage"])?;
    let extent = |name: &str| -> Result<(i64, f64)> {
        let row = coverage
            .iter()
            .find(|row| row["extent"] == name)
            .context("no such extent")?;
        Ok((
            row["statements"].as_i64().context("no count")?,
            row["percent"].as_f64().context("no share")?,
        ))
    };
    let count = |detail: &str| rows.iter().filter(|row| row["detail"] == detail).count() as i64;
    ensure!(
        extent("digest")?.0 == count("digest") && count("digest") == 3,
        "{coverage:?}"
    );
    ensure!(extent("no-parameters")?.0 == 1, "{coverage:?}");
    ensure!(extent("full")?.0 == count("full"), "{coverage:?}");
    let all: f64 = coverage
        .iter()
        .filter_map(|row| row["percent"].as_f64())
        .sum();
    ensure!((all - 100.0).abs() < 0.01, "{coverage:?}");
    ensure!(
        proxy
            .audit(&["coverage", "--to", "2020-01-01"])?
            .iter()
            .all(|row| row["statements"] == 0)
    );
    Ok(())
}
