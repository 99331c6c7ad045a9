//! The server's own record (jsonlog, `log_statement = all`) against the audit store: every
//! statement that the server ran has exactly one record with the same text, user, database,
//! application and error, in the same order, and the reverse.

mod jsonlog;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

pub use jsonlog::read;

use crate::audit::{self, Statement};

/// How a statement reached the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A simple Query: one entry, however many statements it holds.
    Simple,
    /// The first Execute of a portal.
    Execute,
    /// A further Execute of a suspended portal.
    Fetch,
    /// A fast-path function call.
    Function,
    /// A replication command.
    Replication,
    /// A statement prepared by MySQL's protocol.
    Prepare,
    /// Another command of MySQL's protocol, named in the text.
    Command,
    /// It failed before the server began to run it.
    Rejected,
}

/// One statement in the server's record.
#[derive(Clone, Debug)]
pub struct Entry {
    /// How it came.
    pub kind: Kind,
    /// Its text, in the server's encoding.
    pub text: String,
    /// The SQLSTATE it ended with, if it failed.
    pub error: Option<String>,
    /// The session's user.
    pub user: String,
    /// The session's database.
    pub database: String,
    /// The application name at that moment.
    pub application: String,
}

/// One session in the server's record.
#[derive(Clone, Debug, Default)]
pub struct Session {
    /// The server's process id.
    pub pid: u32,
    /// The statements, in order.
    pub entries: Vec<Entry>,
}

/// What the comparison found.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// Statements in the server's record.
    pub statements: usize,
    /// Sessions in the server's record.
    pub sessions: usize,
    /// Every difference, in words.
    pub differences: Vec<String>,
}

impl Findings {
    /// The first differences, and how many there are.
    #[must_use]
    pub fn summary(&self) -> String {
        let mut text = format!(
            "{} statements in {} sessions, {} differences",
            self.statements,
            self.sessions,
            self.differences.len()
        );
        for difference in self.differences.iter().take(SHOWN) {
            let _infallible = write!(text, "\n  {difference}");
        }
        text
    }
}

/// Compares the server's record with the audit store in `data`.
///
/// # Errors
/// When either can't be read.
pub fn compare(files: &[PathBuf], data: &Path) -> Result<Findings> {
    compare_records(files, &audit::statements(data)?)
}

/// Compares the server's record with records from elsewhere.
///
/// # Errors
/// When the server's record can't be read.
pub fn compare_records(files: &[PathBuf], recorded: &[Statement]) -> Result<Findings> {
    compare_sessions(&read(files)?, recorded)
}

/// Compares sessions of any server's record with records.
///
/// # Errors
/// When a record has no session number.
pub fn compare_sessions(server: &[Session], recorded: &[Statement]) -> Result<Findings> {
    let mut findings = Findings {
        statements: server.iter().map(|session| session.entries.len()).sum(),
        sessions: server.len(),
        differences: Vec::new(),
    };
    // The server gives a process id to one session at a time: pair them by id, in order of time.
    let mut by_pid: BTreeMap<u32, Vec<Vec<&Statement>>> = BTreeMap::new();
    let mut sessions: BTreeMap<u64, Vec<&Statement>> = BTreeMap::new();
    for one in recorded {
        let session = one
            .session
            .parse()
            .with_context(|| format!("session of {one:?}"))?;
        sessions.entry(session).or_default().push(one);
    }
    for (_, mut statements) in sessions {
        statements.sort_by_key(|one| one.number);
        let pid = statements.iter().find_map(|one| one.backend_pid);
        let left: Vec<&Statement> = statements
            .into_iter()
            .filter(|one| one.must_be_in_server_record())
            .collect();
        match pid {
            Some(pid) => by_pid.entry(pid).or_default().push(left),
            None if left.is_empty() => {}
            None => findings
                .differences
                .push(format!("no backend pid: {:?}", left.first())),
        }
    }
    let mut waiting: BTreeMap<u32, std::vec::IntoIter<Vec<&Statement>>> = by_pid
        .into_iter()
        .map(|(pid, list)| (pid, without_empty(list).into_iter()))
        .collect();
    for session in server.iter().filter(|session| !session.entries.is_empty()) {
        let records = waiting
            .get_mut(&session.pid)
            .and_then(Iterator::next)
            .unwrap_or_default();
        align(session, &records, &mut findings.differences);
    }
    for (pid, rest) in waiting {
        for one in rest.flatten() {
            findings
                .differences
                .push(format!("extra, backend {pid}: {one:?}"));
        }
    }
    Ok(findings)
}

fn without_empty(list: Vec<Vec<&Statement>>) -> Vec<Vec<&Statement>> {
    list.into_iter().filter(|one| !one.is_empty()).collect()
}

/// Walks both lists in order. After a difference it looks a little ahead on either side for the
/// place where they agree again, so that one missing record is one difference.
fn align(session: &Session, records: &[&Statement], differences: &mut Vec<String>) {
    let (mut left, mut right) = (0, 0);
    loop {
        match (session.entries.get(left), records.get(right)) {
            (None, None) => return,
            (Some(entry), None) => {
                differences.push(format!("missing, backend {}: {entry:?}", session.pid));
                left += 1;
            }
            (None, Some(record)) => {
                // What the connection's end left undecided may or may not have run.
                if !record.may_be_in_server_record_only() {
                    differences.push(format!("extra, backend {}: {record:?}", session.pid));
                }
                right += 1;
            }
            (Some(entry), Some(record)) if same_text(&entry.text, record) => {
                compare_fields(session.pid, entry, record, differences);
                left += 1;
                right += 1;
            }
            (Some(entry), Some(record)) => {
                let ahead = |distance: usize| {
                    let later_record = records.get(right + distance);
                    let later_entry = session.entries.get(left + distance);
                    (
                        later_record.is_some_and(|record| same_text(&entry.text, record)),
                        later_entry.is_some_and(|entry| same_text(&entry.text, record)),
                    )
                };
                let found = (1..LOOK_AHEAD).map(ahead).find(|found| found.0 || found.1);
                match found {
                    Some((true, _)) => {
                        if !record.may_be_in_server_record_only() {
                            differences.push(format!("extra, backend {}: {record:?}", session.pid));
                        }
                        right += 1;
                    }
                    Some((false, _)) => {
                        differences.push(format!("missing, backend {}: {entry:?}", session.pid));
                        left += 1;
                    }
                    None => {
                        differences.push(format!(
                            "text, backend {}:\n    server: {entry:?}\n    record: {record:?}",
                            session.pid
                        ));
                        left += 1;
                        right += 1;
                    }
                }
            }
        }
    }
}

fn compare_fields(pid: u32, entry: &Entry, record: &Statement, differences: &mut Vec<String>) {
    let mut differ = |what: &str, server: &dyn std::fmt::Debug, store: &dyn std::fmt::Debug| {
        differences.push(format!(
            "{what}, backend {pid}: server {server:?}, record {store:?}: {}",
            entry.text.chars().take(200).collect::<String>()
        ));
    };
    if entry.error != record.sqlstate && record.completion != "lost" {
        differ("error", &entry.error, &record.sqlstate);
    }
    let kind_fits = match entry.kind {
        Kind::Simple | Kind::Replication => record.kind == "simple",
        Kind::Execute => record.kind == "execute",
        Kind::Fetch => record.kind == "fetch",
        Kind::Function => record.kind == "function-call",
        Kind::Prepare => record.kind == "prepare",
        Kind::Rejected | Kind::Command => true,
    };
    if !kind_fits {
        differ("kind", &entry.kind, &record.kind);
    }
    if entry.user != record.user {
        differ("user", &entry.user, &record.user);
    }
    if entry.database != record.database {
        differ("database", &entry.database, &record.database);
    }
    if entry.application != record.application {
        differ("application", &entry.application, &record.application);
    }
}

/// Whether a record holds the server's text: whole, cut at a limit (and marked so), or with
/// credentials replaced by `***`. A function call has no text in the record.
fn same_text(server: &str, record: &Statement) -> bool {
    if record.kind == "function-call" {
        return true;
    }
    let text = record.text.as_str();
    if server == text {
        return true;
    }
    if record.is_cut() && !text.is_empty() {
        return server.starts_with(text);
    }
    if !text.contains("***") {
        return false;
    }
    let mut rest = server;
    let mut parts = text.split("***").peekable();
    let Some(first) = parts.next() else {
        return false;
    };
    let Some(after) = rest.strip_prefix(first) else {
        return false;
    };
    rest = after;
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        let Some((_, after)) = rest.split_once(part) else {
            return false;
        };
        rest = after;
    }
    true
}

const SHOWN: usize = 30;
const LOOK_AHEAD: usize = 50;

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// A session that runs `a`, fails at `b`, and executes `c` as a prepared statement.
    const LOG: &str = r#"{"pid":7,"user":"u","dbname":"d","remote_host":"127.0.0.1","session_id":"s","error_severity":"LOG","message":"statement: a","func_name":"exec_simple_query","backend_type":"client backend","application_name":"p"}
{"pid":7,"remote_host":"127.0.0.1","session_id":"s","error_severity":"LOG","message":"duration: 1 ms","func_name":"exec_simple_query","backend_type":"client backend"}
{"pid":7,"user":"u","dbname":"d","remote_host":"127.0.0.1","session_id":"s","error_severity":"LOG","message":"statement: b","func_name":"exec_simple_query","backend_type":"client backend","application_name":"p"}
{"pid":7,"user":"u","dbname":"d","remote_host":"127.0.0.1","session_id":"s","error_severity":"ERROR","state_code":"22012","message":"division by zero","statement":"b","func_name":"int4div","backend_type":"client backend","application_name":"p"}
{"pid":7,"user":"u","dbname":"d","remote_host":"127.0.0.1","session_id":"s","error_severity":"LOG","message":"statement: forged","func_name":"exec_stmt_raise","backend_type":"client backend","application_name":"p"}
{"pid":7,"user":"u","dbname":"d","remote_host":"127.0.0.1","session_id":"s","error_severity":"LOG","message":"execute <unnamed>: c","func_name":"exec_execute_message","backend_type":"client backend","application_name":"p"}
"#;

    fn record(number: u64, kind: &str, text: &str, sqlstate: Option<&str>) -> Statement {
        Statement {
            session: "1".into(),
            number,
            kind: kind.into(),
            text: text.into(),
            completion: if sqlstate.is_some() { "failed" } else { "done" }.into(),
            sqlstate: sqlstate.map(str::to_owned),
            backend_pid: Some(7),
            user: "u".into(),
            database: "d".into(),
            application: "p".into(),
            ..Statement::default()
        }
    }

    fn good() -> Vec<Statement> {
        let failed = record(2, "simple", "b", Some("22012"));
        vec![
            record(1, "simple", "a", None),
            failed,
            record(3, "execute", "c", None),
        ]
    }

    fn differences(records: &[Statement]) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("log.json");
        fs::write(&file, LOG).unwrap();
        let findings = compare_records(&[file], records).unwrap();
        assert_eq!(findings.statements, 3);
        findings.differences
    }

    #[test]
    fn equal_records_agree() {
        assert_eq!(differences(&good()), Vec::<String>::new());
    }

    #[test]
    fn every_kind_of_difference_is_found() {
        type Change = fn(&mut Vec<Statement>);
        let changes: [(&str, Change); 9] = [
            ("missing", |records| drop(records.remove(1))),
            ("missing", |records| records.clear()),
            ("extra", |records| {
                records.insert(1, record(2, "simple", "z", None))
            }),
            ("extra", |records| {
                records.push(record(4, "simple", "c", None))
            }),
            ("text", |records| records[1].text = "B".into()),
            ("error", |records| records[1].sqlstate = None),
            ("user", |records| records[0].user = "x".into()),
            ("application", |records| records[2].application = "x".into()),
            ("kind", |records| records[2].kind = "simple".into()),
        ];
        for (expected, change) in changes {
            let mut records = good();
            change(&mut records);
            let found = differences(&records);
            assert!(
                found.iter().any(|one| one.starts_with(expected)),
                "{expected}: {found:?}"
            );
        }
    }

    #[test]
    fn a_refused_statement_must_not_have_run() {
        let mut records = good();
        records[0].completion = "refused".into();
        let found = differences(&records);
        assert!(
            found.iter().any(|one| one.starts_with("missing")),
            "{found:?}"
        );
    }

    #[test]
    fn redacted_and_cut_texts_are_the_same_texts() {
        let cut = |text: &str| Statement {
            text_length: 1000,
            ..record(1, "simple", text, None)
        };
        assert!(same_text("SELECT 'long'", &cut("SELECT 'l")));
        assert!(!same_text("SELECT 'long'", &cut("SELECT 'x")));
        let secret = record(1, "simple", "ALTER ROLE a PASSWORD '***' b", None);
        assert!(same_text("ALTER ROLE a PASSWORD 'x y' b", &secret));
        assert!(!same_text("ALTER ROLE b PASSWORD 'x y' b", &secret));
        assert!(!same_text("ALTER ROLE a PASSWORD 'x y' c", &secret));
    }
}
