//! The server's own record of MySQL and MariaDB against the audit store.
//!
//! Each side counts a few things in its own way, which this module names and brings to one form, for
//! [`crate::oracle`] to compare:
//!
//! * The general log shows sqlward's own questions, by their mark; the store must not have them.
//! * It shows what PREPARE and EXECUTE in SQL text hold as entries of their own, behind the text's.
//! * It shows parameters within the text, and neither white space nor semicolon at a text's ends.
//! * It shows neither failed prepares nor fetches, and no outcome: the errors are those that the
//!   clients saw, and those of MariaDB's server_audit.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::traffic::{self, trimmed};
use crate::audit::Statement;
use crate::oracle::{Entry, Kind, Session};
use crate::server::{DATABASE, TRUSTED_USER};
use crate::traffic::{Done, Played};

/// sqlward's own questions in a server's record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Own {
    /// Those that have the server report changes.
    pub track: usize,
    /// Those about the session's state.
    pub state: usize,
}

/// Takes sqlward's own questions out of the server's record.
///
/// # Errors
/// When a marked text is none of them.
pub fn take_own(sessions: &mut [Session]) -> Result<Own> {
    let mut own = Own::default();
    for session in sessions {
        let (questions, rest): (Vec<Entry>, Vec<Entry>) = std::mem::take(&mut session.entries)
            .into_iter()
            .partition(|entry| entry.text.contains(MARK));
        session.entries = rest;
        for question in questions {
            let text = question.text.as_str();
            if text.starts_with("SET /* sqlward */ session_track_system_variables = ") {
                own.track += 1;
            } else if text.starts_with("SELECT /* sqlward */ @@sql_mode, ") {
                own.state += 1;
            } else {
                bail!("marked as ours: {question:?}");
            }
        }
    }
    Ok(own)
}

/// Takes out what PREPARE and EXECUTE in SQL text held; how many entries that were.
pub fn take_inner(sessions: &mut [Session]) -> usize {
    let mut taken = 0;
    for session in sessions {
        let mut before = String::new();
        session.entries.retain(|entry| {
            let inner = is_inner(&before, entry.kind);
            before.clone_from(&entry.text);
            taken += usize::from(inner);
            !inner
        });
    }
    taken
}

/// Whether what follows the text `before` is what that text holds.
fn is_inner(before: &str, kind: Kind) -> bool {
    match kind {
        Kind::Prepare => before.starts_with("PREPARE "),
        Kind::Execute => before.starts_with("EXECUTE "),
        Kind::Simple
        | Kind::Fetch
        | Kind::Function
        | Kind::Replication
        | Kind::Command
        | Kind::Rejected => false,
    }
}

/// Every command that clients played is in the general log, in its session, in order, with user and
/// database; the entries get the errors that the clients saw.
///
/// # Errors
/// When anything differs.
pub fn tell_errors(played: &[Played], record: &mut [Session]) -> Result<()> {
    for one in played {
        let found = record.iter_mut().find(|session| session.pid == one.pid);
        let found = found.with_context(|| format!("no session {}", one.pid))?;
        let mut database = DATABASE;
        for (done, entry) in one.done.iter().zip(&mut found.entries) {
            ensure!(
                done.kind == entry.kind && done.text == entry.text,
                "client: {done:?}\nserver: {entry:?}"
            );
            ensure!(
                entry.user == TRUSTED_USER
                    && (entry.database == database || entry.kind == Kind::Command),
                "{database}: {entry:?}"
            );
            entry.error.clone_from(&done.error);
            for name in [DATABASE, traffic::OTHER_DATABASE] {
                if done.text == format!("USE {name}") || done.text == format!("Init DB {name}") {
                    database = name;
                }
            }
        }
        ensure!(
            one.done.len() == found.entries.len(),
            "{} {}: {:?}",
            one.done.len(),
            found.entries.len(),
            found.entries.get(one.done.len())
        );
    }
    Ok(())
}

/// The records as the server's record shows their statements, in order of session and number; rows and
/// warnings of a fetch belong to its execution.
///
/// # Errors
/// When a fetch has no execution, or parameters are not what the store writes.
pub fn as_the_server_shows(mut recorded: Vec<Statement>) -> Result<Vec<Statement>> {
    recorded.sort_by_key(|one| (one.session.clone(), one.number));
    let mut shown: Vec<Statement> = Vec::with_capacity(recorded.len());
    for mut one in recorded {
        if one.kind == "fetch" {
            let execution = shown.iter_mut().rev().find(|other| other.kind == "execute");
            let execution = execution.with_context(|| format!("a fetch of nothing: {one:?}"))?;
            ensure!(
                execution.session == one.session && execution.prepared_name == one.prepared_name,
                "a fetch of nothing: {one:?}"
            );
            execution.rows += one.rows;
            execution.warnings += one.warnings;
            continue;
        }
        let whole = !one.is_cut();
        one.text = match (one.kind.as_str(), one.text.as_str()) {
            ("command", "COM_CHANGE_USER") => bail!("nobody to change to: {one:?}"),
            ("command", text) => match text.strip_prefix("COM_CHANGE_USER ") {
                Some(user) => format!(
                    "Change user {user}@127.0.0.1 on {} using TCP/IP",
                    one.database
                ),
                None => text.replace("USE `", "Init DB ").replace('`', ""),
            },
            ("execute", text) => with_parameters(text, one.parameters.as_deref())?,
            (_, text) => text.to_owned(),
        };
        if whole {
            one.text = trimmed(&one.text).to_owned();
            one.text_length = one.text.len() as u64;
        }
        // The number; what the store shows has the SQLSTATE behind it.
        one.sqlstate = one
            .sqlstate
            .and_then(|error| error.split(' ').next().map(str::to_owned));
        shown.push(one);
    }
    Ok(shown)
}

/// A text with its parameters in the places of their marks; no text of the traffic has others.
fn with_parameters(text: &str, parameters: Option<&str>) -> Result<String> {
    let values: Vec<Value> = match parameters {
        Some(json) => serde_json::from_str(json).with_context(|| json.to_owned())?,
        None => Vec::new(),
    };
    let mut whole = text.to_owned();
    for value in values {
        let value = match value.get("value") {
            Some(Value::Null) => "NULL".to_owned(),
            Some(Value::String(value)) => format!("'{value}'"),
            _ => bail!("a parameter of `{text}`: {value}"),
        };
        whole = whole.replacen('?', &value, 1);
    }
    Ok(whole)
}

/// Where records, [as the server shows](as_the_server_shows) them, are not what the clients saw: threads,
/// rows returned and affected, warnings.
///
/// # Errors
/// When a session or a statement has no record.
pub fn differ_from_clients(played: &[Played], shown: &[Statement]) -> Result<Vec<String>> {
    let mut sessions: HashMap<u16, Vec<&Statement>> = HashMap::new();
    for one in shown.iter().filter(|one| one.must_be_in_server_record()) {
        let port = one.client_port.context("a record without client port")?;
        sessions.entry(port).or_default().push(one);
    }
    let mut wrong = Vec::new();
    for session in played {
        let records = sessions.remove(&session.port);
        let records = records.context("a session without records")?;
        let mut before = "";
        let outer: Vec<&Done> = session
            .done
            .iter()
            .filter(|done| !is_inner(std::mem::replace(&mut before, &done.text), done.kind))
            .collect();
        ensure!(
            records.len() == outer.len(),
            "{} records of {} statements",
            records.len(),
            outer.len()
        );
        for (done, record) in outer.into_iter().zip(records) {
            if done.rows != record.rows
                || done.affected != record.affected
                || done.warnings != record.warnings
                || record.backend_pid != Some(session.pid)
            {
                wrong.push(format!("{done:?}\n  {record:?}"));
            }
        }
    }
    Ok(wrong)
}

/// Where the errors of server_audit, thread by thread and in order, are not those of the records. It tells
/// of failed prepares too.
#[must_use]
pub fn differ_from_audit(server: &[Session], shown: &[Statement]) -> Vec<String> {
    let mut of_server: BTreeMap<u32, Vec<&str>> = BTreeMap::new();
    for session in server {
        let errors = session
            .entries
            .iter()
            .filter_map(|one| one.error.as_deref());
        of_server.entry(session.pid).or_default().extend(errors);
    }
    let mut of_store: BTreeMap<u32, Vec<&str>> = BTreeMap::new();
    for one in shown {
        let errors = of_store.entry(one.backend_pid.unwrap_or_default());
        errors.or_default().extend(one.sqlstate.as_deref());
    }
    of_server.retain(|_, errors| !errors.is_empty());
    of_store.retain(|_, errors| !errors.is_empty());
    let mut threads: Vec<&u32> = of_server.keys().chain(of_store.keys()).collect();
    threads.sort_unstable();
    threads.dedup();
    threads
        .into_iter()
        .filter(|thread| of_server.get(thread) != of_store.get(thread))
        .map(|thread| {
            format!(
                "errors of thread {thread}: server {:?}, record {:?}",
                of_server.get(thread),
                of_store.get(thread)
            )
        })
        .collect()
}

/// What is in every question of sqlward's own.
pub const MARK: &str = "/* sqlward */";
