//! PostgreSQL's own record: jsonlog with `log_statement = all`, read into sessions and what they ran.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde::Deserialize;

use super::{Entry, Kind, Session};

#[derive(Deserialize)]
struct Line {
    #[serde(default)]
    user: String,
    #[serde(default)]
    dbname: String,
    #[serde(default)]
    pid: u32,
    #[serde(default)]
    remote_host: String,
    #[serde(default)]
    session_id: String,
    #[serde(default)]
    error_severity: String,
    #[serde(default)]
    state_code: String,
    #[serde(default)]
    message: String,
    statement: Option<String>,
    #[serde(default)]
    func_name: String,
    #[serde(default)]
    application_name: String,
    #[serde(default)]
    backend_type: String,
}

/// Reads the server's record; sessions in the order in which they began.
///
/// # Errors
/// When a file can't be read or a line is not what the server writes.
pub fn read(files: &[PathBuf]) -> Result<Vec<Session>> {
    let mut sessions: Vec<Session> = Vec::new();
    let mut numbers: BTreeMap<String, usize> = BTreeMap::new();
    // Per session: the entry that a later error would belong to.
    let mut open: BTreeMap<String, usize> = BTreeMap::new();
    for path in files {
        for line in BufReader::new(File::open(path)?).lines() {
            let line = line?;
            let line: Line = serde_json::from_str(&line)
                .with_context(|| format!("{}: {line}", path.display()))?;
            let client = matches!(line.backend_type.as_str(), "client backend" | "walsender");
            if !client || line.remote_host == "[local]" || line.remote_host.is_empty() {
                continue;
            }
            let number = *numbers.entry(line.session_id.clone()).or_insert_with(|| {
                sessions.push(Session {
                    pid: line.pid,
                    entries: Vec::new(),
                });
                sessions.len() - 1
            });
            let Some(session) = sessions.get_mut(number) else {
                continue;
            };
            take(session, &mut open, line);
        }
    }
    Ok(sessions)
}

fn take(session: &mut Session, open: &mut BTreeMap<String, usize>, line: Line) {
    if let Some((kind, text)) = statement(&line) {
        open.insert(line.session_id.clone(), session.entries.len());
        session
            .entries
            .push(entry(kind, text.to_owned(), None, &line));
        return;
    }
    if line.message.starts_with("duration: ") {
        open.remove(&line.session_id);
        return;
    }
    if !matches!(line.error_severity.as_str(), "ERROR" | "FATAL" | "PANIC") {
        return;
    }
    // The loss of the connection says nothing of the statement that was under way.
    if line.error_severity == "FATAL" && line.state_code == "08006" {
        return;
    }
    let Some(text) = line.statement.clone() else {
        return;
    };
    let error = Some(line.state_code.clone());
    let current = open
        .remove(&line.session_id)
        .and_then(|number| session.entries.get_mut(number));
    match current {
        Some(entry) if entry.text == text => entry.error = error,
        Some(_) | None => session
            .entries
            .push(entry(Kind::Rejected, text, error, &line)),
    }
}

fn entry(kind: Kind, text: String, error: Option<String>, line: &Line) -> Entry {
    Entry {
        kind,
        text,
        error,
        user: line.user.clone(),
        database: line.dbname.clone(),
        application: line.application_name.clone(),
    }
}

/// The statement that a line reports as about to run. The function that wrote the line tells it
/// from what a user's RAISE LOG may imitate.
fn statement(line: &Line) -> Option<(Kind, &str)> {
    let message = line.message.as_str();
    match line.func_name.as_str() {
        "exec_simple_query" => Some((Kind::Simple, message.strip_prefix("statement: ")?)),
        "exec_execute_message" => {
            let (kind, rest) = match message.strip_prefix("execute fetch from ") {
                Some(rest) => (Kind::Fetch, rest),
                None => (Kind::Execute, message.strip_prefix("execute ")?),
            };
            Some((kind, rest.split_once(": ")?.1))
        }
        "HandleFunctionRequest" => Some((
            Kind::Function,
            message.strip_prefix("fastpath function call: ")?,
        )),
        "exec_replication_command" => Some((
            Kind::Replication,
            message.strip_prefix("received replication command: ")?,
        )),
        _ => None,
    }
}
