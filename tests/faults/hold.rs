//! Legal holds: retention, with a clock that runs ahead, drops the day beside the held one and not that.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use sqlward_tests::audit;
use sqlward_tests::process::{run, until};
use sqlward_tests::proxy::{self, Policy, Proxy};
use sqlward_tests::raw::Raw;
use sqlward_tests::server::TRUSTED_USER;

use crate::engine::{Engine, Postgres};
use crate::machine::Clock;

const DAY: i64 = 86_400;

/// Retention is looked after every half minute.
const SOON: Duration = Duration::from_secs(90);

/// The command line by the proxy's clock.
struct Auditor<'a> {
    clock: &'a Clock,
    data: PathBuf,
}

impl Auditor<'_> {
    fn run(&self, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new(sqlward_tests::paths::sqlward()?);
        command.envs(self.clock.environment()?).arg("audit");
        run(command.args(arguments).arg("--data").arg(&self.data))
    }

    fn hold(&self, arguments: &[&str]) -> Result<String> {
        self.run(&[&["hold"], arguments].concat())
    }

    fn ask(&self, arguments: &[&str]) -> Result<Vec<Value>> {
        let text = self.run(&[arguments, &["--format", "json"]].concat())?;
        let lines = text.lines().map(|line| Ok(serde_json::from_str(line)?));
        lines.collect()
    }

    fn found(&self, text: &str) -> Result<usize> {
        Ok(self.ask(&["search", "--text", text])?.len())
    }

    fn recorded(&self, action: &str) -> Result<Value> {
        let asked = format!("SELECT actor, detail FROM administration WHERE action = '{action}'");
        until(action, SOON, || Ok(self.ask(&["sql", &asked])?.pop()))
    }
}

fn days(proxy: &Proxy) -> Result<Vec<String>> {
    let mut days = Vec::new();
    for entry in std::fs::read_dir(proxy.data().join("store"))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        days.extend(
            name.strip_suffix(".db")
                .filter(|day| day.starts_with("20"))
                .map(str::to_owned),
        );
    }
    days.sort();
    Ok(days)
}

fn says(record: &Value, field: &str, words: &str) -> Result<()> {
    let has = record[field]
        .as_str()
        .is_some_and(|text| text.contains(words));
    ensure!(has, "no `{words}` in {record}");
    Ok(())
}

fn state(proxy: &mut Proxy, texts: &[&str]) -> Result<()> {
    let mut raw = Raw::login(proxy.port(), TRUSTED_USER, &[])?;
    for text in texts {
        raw.query(text)?;
    }
    drop(raw);
    proxy.stop()
}

#[test]
fn a_held_day_outlives_its_retention() -> Result<()> {
    let engine = Postgres::start()?;
    let clock = Clock::right()?;
    let options = proxy::Options {
        policy: Policy::RecordAll,
        environment: clock.environment()?,
        ..Default::default()
    };
    let mut proxy = engine.proxy(&options)?;
    state(&mut proxy, &["SELECT 'evidence'"])?;
    let held = days(&proxy)?;
    let (first, last) = (held.first(), held.last());
    let (first, last) = (first.context("no day")?, last.context("no day")?);
    clock.set(2 * DAY)?;
    proxy.restart()?;
    state(&mut proxy, &["SELECT 'ordinary'"])?;
    let before = days(&proxy)?;
    clock.set(400 * DAY)?;
    let data = proxy.data();
    let auditor = Auditor {
        clock: &clock,
        data: data.clone(),
    };

    // A hold that is refused, or can't be recorded, is none.
    ensure!(
        auditor
            .hold(&["add", "--from", first, "--reason", " "])
            .is_err()
    );
    ensure!(
        auditor
            .hold(&["add", "--from", first, "--to", first, "--reason", "x"])
            .is_err()
    );
    ensure!(auditor.hold(&["release", "1", "--reason", "x"]).is_err());
    ensure!(auditor.ask(&["hold", "list"])?.is_empty());
    let end = format!("{last}T00:00:01Z");
    let placed = auditor.hold(&[
        "add",
        "--from",
        first,
        "--to",
        &end,
        "--reason",
        "case 17/26",
    ])?;
    ensure!(
        placed.contains(&format!("hold 1: {first} to {last}")),
        "{placed}"
    );
    let listed = auditor.ask(&["hold", "list"])?;
    ensure!(listed.len() == 1);
    says(listed.first().context("none")?, "reason", "case 17/26")?;

    // A list that can't be read keeps everything, and is told.
    let file = data.join("store/holds.json");
    let text = std::fs::read(&file)?;
    std::fs::write(&file, "[")?;
    ensure!(auditor.hold(&["list"]).is_err());
    proxy.restart()?;
    until("the list is found fault with", SOON, || {
        Ok(proxy
            .log()
            .contains("is no list of legal holds")
            .then_some(()))
    })?;
    proxy.stop()?;
    let kept = days(&proxy)?;
    ensure!(before.iter().all(|day| kept.contains(day)), "{kept:?}");
    std::fs::write(&file, text)?;

    // With it, the day beside the held one goes.
    proxy.restart()?;
    until("retention", SOON, || {
        Ok((auditor.found("ordinary")? == 0).then_some(()))
    })?;
    ensure!(auditor.found("evidence")? == 1);
    let record = auditor.recorded("hold")?;
    says(&record, "detail", "case 17/26")?;
    let me = rustix::process::getuid().as_raw();
    says(&record, "actor", &format!("uid {me}"))?;
    proxy.stop()?;
    audit::verify(&data)?;

    proxy.restart()?;
    let closed = ["release", "1", "--reason", "the case is closed"];
    auditor.hold(&closed)?;
    ensure!(auditor.hold(&closed).is_err(), "released twice");
    until("retention", SOON, || {
        Ok((auditor.found("evidence")? == 0).then_some(()))
    })?;
    let left = days(&proxy)?;
    ensure!(!held.iter().any(|day| left.contains(day)), "{left:?}");
    says(
        &auditor.recorded("hold-release")?,
        "detail",
        "the case is closed",
    )?;
    proxy.stop()?;
    audit::verify(&data)
}
