//! Runs the driver programs of `drivers/` and reads their reports.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::process::Process;

/// One refused statement, as the driver showed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The check's name.
    pub name: String,
    /// SQLSTATE.
    pub sqlstate: String,
    /// The primary message.
    pub message: String,
    /// DETAIL.
    pub detail: String,
    /// HINT.
    pub hint: String,
}

/// What a driver program reported.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Names of the checks that held.
    pub held: Vec<String>,
    /// Lines of those that did not.
    pub failed: Vec<String>,
    /// The refusals.
    pub refused: Vec<Refused>,
}

/// Runs a driver program to its end.
///
/// # Errors
/// When it can't be started, does not end, or ends without having played the session through.
pub fn play(name: &str, command: Command) -> Result<Report> {
    let mut process = Process::start(name, command)?;
    let status = process.wait(LIMIT)?;
    // Its output is complete once the reading threads have seen both ends.
    let output = crate::process::until("the driver's last line", Duration::from_secs(5), || {
        let output = process.output();
        Ok((output.lines().any(|line| line == "done") || !status.success()).then_some(output))
    })
    .with_context(|| {
        format!(
            "{name} ended, {status}, without `done`:\n{}",
            process.output()
        )
    })?;
    if !status.success() {
        bail!("{name} ended, {status}:\n{output}");
    }
    let mut report = Report::default();
    for line in output.lines() {
        match line.split_once(' ') {
            Some(("ok", name)) => report.held.push(name.to_owned()),
            Some(("FAIL", _)) => report.failed.push(line.to_owned()),
            Some(("refused", rest)) => report.refused.push(refusal(rest)?),
            Some(_) | None if line == "done" => {}
            Some(_) | None => report.failed.push(format!("unexpected line: {line}")),
        }
    }
    Ok(report)
}

fn refusal(rest: &str) -> Result<Refused> {
    let (name, fields) = rest
        .split_once(' ')
        .with_context(|| format!("no fields: {rest}"))?;
    let mut fields = fields.split('|').map(|field| field.trim().to_owned());
    let mut next = || fields.next().unwrap_or_default();
    Ok(Refused {
        name: name.to_owned(),
        sqlstate: next(),
        message: next(),
        detail: next(),
        hint: next(),
    })
}

const LIMIT: Duration = Duration::from_secs(90);
