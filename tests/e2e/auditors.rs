//! Who asks the audit store is in it, with what and how much: while the proxy runs, and while it does not.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use sqlward_tests::process::until;
use sqlward_tests::proxy::{self, Policy, Proxy};
use sqlward_tests::raw::Raw;
use sqlward_tests::server::{Options, Server, TRUSTED_USER};

const ADMINISTRATION: &str = "SELECT * FROM administration";

fn setup() -> Result<(Server, Proxy)> {
    let server = Server::start(&Options::default())?;
    let options = proxy::Options {
        policy: Policy::RecordAll,
        ..Default::default()
    };
    let proxy = Proxy::start(&[&server], &options)?;
    Ok((server, proxy))
}

fn of(proxy: &Proxy, action: &str) -> Result<Vec<Value>> {
    let all = proxy.audit(&["sql", ADMINISTRATION, "--limit", "0"])?;
    Ok(all
        .into_iter()
        .filter(|row| row["action"] == action)
        .collect())
}

#[test]
fn every_question_is_recorded() -> Result<()> {
    let (_server, mut proxy) = setup()?;
    let mut raw = Raw::login(proxy.port(), TRUSTED_USER, &[])?;
    raw.query("SELECT 1 AS asked_for")?;
    raw.query("SELECT 2 AS asked_for")?;
    drop(raw);
    let found = until("both statements", Duration::from_secs(10), || {
        let found = proxy.audit(&["search", "--text", "asked_for"])?;
        Ok((found.len() == 2).then_some(found))
    })?;
    let event = found
        .first()
        .and_then(|row| row["event_id"].as_str())
        .context("no event")?;
    proxy.audit(&["top", "--by", "user"])?;
    proxy.audit(&["coverage"])?;
    let mut explain = std::process::Command::new(sqlward_tests::paths::sqlward()?);
    let explained = explain
        .args(["explain", event, "--data"])
        .arg(proxy.data())
        .output()?;
    ensure!(explained.status.success(), "{explained:?}");
    // While the proxy runs.
    let asked = until("the questions", Duration::from_secs(10), || {
        let asked = of(&proxy, "audit-query")?;
        let has = |words: &str| {
            asked.iter().any(|row| {
                row["detail"]
                    .as_str()
                    .is_some_and(|what| what.contains(words))
            })
        };
        let all = [
            "search --text asked_for",
            "top --by user",
            "coverage",
            "explain",
        ]
        .into_iter()
        .all(has);
        Ok(all.then_some(asked))
    })?;
    let search = asked.iter().find(|row| {
        row["count"] == 2
            && row["detail"]
                .as_str()
                .is_some_and(|what| what.contains("asked_for"))
    });
    let search = search.with_context(|| format!("{asked:#?}"))?;
    let me = rustix::process::getuid().as_raw();
    ensure!(
        search["actor"]
            .as_str()
            .is_some_and(|who| who.contains(&format!("uid {me}"))),
        "{search}"
    );

    // While it does not: the question waits, and is in the record when the proxy runs again.
    proxy.stop()?;
    proxy.audit(&["search", "--text", "while_stopped"])?;
    proxy.restart()?;
    until("what was asked before", Duration::from_secs(10), || {
        let asked = of(&proxy, "audit-query")?;
        let found = asked.iter().any(|row| {
            row["detail"]
                .as_str()
                .is_some_and(|what| what.contains("while_stopped"))
        });
        Ok(found.then_some(()))
    })?;
    proxy.stop()?;
    sqlward_tests::audit::verify(&proxy.data())?;

    // What can't be noted is not answered.
    let inbox = proxy.data().join("inbox");
    std::fs::remove_dir_all(&inbox)?;
    std::fs::write(&inbox, "no folder")?;
    ensure!(proxy.audit(&["search"]).is_err());
    std::fs::remove_file(&inbox)?;
    ensure!(proxy.audit(&["search", "--text", "asked_for"])?.len() == 2);
    Ok(())
}

/// Anybody may leave a file in the inbox: it is recorded as whose it is, and does no harm.
#[test]
fn a_file_that_is_no_question_is_told() -> Result<()> {
    let (_server, proxy) = setup()?;
    let inbox = proxy.data().join("inbox");
    ensure!(std::fs::metadata(&inbox)?.permissions().mode() & 0o7777 == 0o1733);
    std::fs::write(inbox.join("1.json"), vec![b'x'; 1 << 20])?;
    std::os::unix::fs::symlink("/dev/zero", inbox.join("2.json"))?;
    std::fs::write(
        inbox.join("3.json"),
        r#"{"at_us":99999999999999999,"what":"tomorrow","rows":1}"#,
    )?;
    std::fs::write(
        inbox.join("4.json"),
        r#"{"at_us":0,"what":"long ago","rows":1}"#,
    )?;
    let told = until("the files", Duration::from_secs(10), || {
        let told = of(&proxy, "audit-query")?;
        let last = told.iter().any(|row| row["detail"] == "long ago");
        Ok((last && told.len() >= 4).then_some(told))
    })?;
    let odd = told.iter().filter(|row| {
        row["detail"]
            .as_str()
            .is_some_and(|what| what.contains("no question"))
    });
    ensure!(odd.count() == 2, "{told:#?}");
    let old = told.iter().find(|row| row["detail"] == "long ago");
    let at = old.and_then(|row| row["at"].as_str()).context("no time")?;
    ensure!(at > "2020", "a day that retention has let go: {at}");
    ensure!(!inbox.join("1.json").exists() && !inbox.join("2.json").exists());
    Ok(())
}

/// Less than the legal minimum is kept only where it says why, in the record.
#[test]
fn a_retention_below_the_legal_minimum_is_recorded() -> Result<()> {
    let server = Server::start(&Options::default())?;
    let short = "retention_days = 30\nlegal_minimum_days = 190\n";
    let of = |audit: String| {
        let options = proxy::Options {
            audit,
            ..Default::default()
        };
        Proxy::start(&[&server], &options)
    };
    let refused = of(short.into()).err().context("it started")?;
    let told = format!("{refused:#}");
    ensure!(told.contains("expected at least 190"), "{told}");
    let proxy = of(format!("{short}below_legal_minimum = \"order 7/26\"\n"))?;
    let recorded = until("the record", Duration::from_secs(10), || {
        Ok(self::of(&proxy, "operator")?.pop())
    })?;
    let detail = recorded["detail"].as_str().context("no detail")?;
    let wanted = "records are kept 30 days, less than the legal minimum of 190: order 7/26";
    ensure!(detail == wanted, "{recorded}");
    Ok(())
}

/// Start, configuration, reload with what it changed and who, and stop.
#[test]
fn what_happens_to_the_proxy_is_recorded() -> Result<()> {
    let (_server, mut proxy) = setup()?;
    let text = std::fs::read_to_string(proxy.policy_file())?;
    let rule = "\n[[rule]]\nid = \"brand-new\"\nwhen = { verb = [\"drop\"] }\naction = \"deny\"\n";
    std::fs::write(proxy.policy_file(), text + rule)?;
    until("the reload", Duration::from_secs(10), || {
        Ok((proxy.metric("sqlward_policy_generation")? >= 2.0).then_some(()))
    })?;
    std::fs::write(proxy.policy_file(), "schema = 2")?;
    until("the refusal", Duration::from_secs(10), || {
        Ok((proxy.metric("sqlward_reload_failures_total")? >= 1.0).then_some(()))
    })?;
    proxy.stop()?;
    let first = |action: &str| -> Result<Value> {
        of(&proxy, action)?
            .into_iter()
            .next()
            .with_context(|| format!("no {action}"))
    };
    let (start, configuration) = (first("start")?, first("configuration")?);
    ensure!(
        start["config_hash"]
            .as_str()
            .is_some_and(|hash| hash.len() == 64),
        "{start}"
    );
    ensure!(start["config_hash"] == configuration["config_hash"]);
    let values = configuration["detail"].as_str().context("no values")?;
    ensure!(values.contains("max_text_bytes: 1048576"), "{values}");
    let reload = first("reload")?;
    let detail = reload["detail"].as_str().context("no detail")?;
    ensure!(
        detail.contains("added brand-new") && detail.contains("(uid "),
        "{detail}"
    );
    ensure!(
        first("reload-failed")?["detail"]
            .as_str()
            .is_some_and(|what| what.contains("schema"))
    );
    ensure!(first("stop")?["actor"] == "signal");
    Ok(())
}
