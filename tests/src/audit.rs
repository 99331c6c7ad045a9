//! What the audit store says, through `sqlward audit`: the only place that knows its columns.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::paths;
use crate::process::run;
use crate::proxy;

/// One recorded statement.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Statement {
    /// The event id.
    pub event: String,
    /// The session's id: a number that grows with time.
    pub session: String,
    /// Its number in the session.
    pub number: u64,
    /// How it came: simple, prepare, execute, fetch, function-call, startup.
    pub kind: String,
    /// Its text.
    pub text: String,
    /// The length of the text as sent; larger than the text where that is cut.
    pub text_length: u64,
    /// The first verb.
    pub verb: String,
    /// How it ended.
    pub completion: String,
    /// The error it ended with.
    pub sqlstate: Option<String>,
    /// Rows returned.
    pub rows: u64,
    /// Rows affected.
    pub affected: u64,
    /// Warnings.
    pub warnings: u64,
    /// The server's process id.
    pub backend_pid: Option<u32>,
    /// The client's port.
    pub client_port: Option<u16>,
    /// The database user.
    pub user: String,
    /// The database.
    pub database: String,
    /// The application name.
    pub application: String,
    /// What the session speaks: postgres, mysql, mariadb.
    pub dialect: String,
    /// The prepared statement's name.
    pub prepared_name: Option<String>,
    /// The parameters, as JSON.
    pub parameters: Option<String>,
}

impl Statement {
    /// Whether the text is cut.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.text_length > self.text.len() as u64
    }

    /// Whether the server must have it in its own record.
    #[must_use]
    pub fn must_be_in_server_record(&self) -> bool {
        let at_mysql = matches!(self.dialect.as_str(), "mysql" | "mariadb");
        match self.kind.as_str() {
            "startup" => false,
            // MySQL and MariaDB record the prepares that succeed, and no fetches.
            "fetch" if at_mysql => false,
            "prepare" if at_mysql => matches!(self.completion.as_str(), "prepared" | "lost"),
            "prepare" | "bind" => self.completion == "failed",
            // The server answers the execution of an empty text without recording it.
            "execute" if self.verb == "empty" && self.completion == "done" => false,
            _ => matches!(
                self.completion.as_str(),
                "done" | "failed" | "suspended" | "lost"
            ),
        }
    }

    /// Whether only the end of the connection hides how it ended: the server may have run it.
    #[must_use]
    pub fn may_be_in_server_record_only(&self) -> bool {
        self.completion == "lost"
    }
}

/// Every recorded statement.
///
/// # Errors
/// When the command fails or a column is missing.
pub fn statements(data: &Path) -> Result<Vec<Statement>> {
    let mut all = Vec::new();
    // One question sees ten days at most.
    for days in stored_days(data)?.chunks(10) {
        let (Some(first), Some(last)) = (days.first(), days.last()) else {
            continue;
        };
        let (from, to) = (
            format!("{first}T00:00:00Z"),
            format!("{last}T23:59:59.999999Z"),
        );
        let asked = ["sql", STATEMENTS, "--limit", "100000000"];
        let range = ["--from", &from, "--to", &to];
        for row in proxy::audit(data, &[asked.as_slice(), &range].concat())? {
            let shown = row.to_string();
            all.push(serde_json::from_value(row).with_context(|| shown)?);
        }
    }
    Ok(all)
}

/// The days that the store has a file of.
fn stored_days(data: &Path) -> Result<Vec<String>> {
    let mut days = Vec::new();
    for entry in std::fs::read_dir(data.join("store"))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let day = name.strip_suffix(".db").filter(|day| day.starts_with("20"));
        days.extend(day.map(str::to_owned));
    }
    days.sort();
    Ok(days)
}

/// Every recorded statement in the ClickHouse store at `url`.
///
/// # Errors
/// When the command fails or a column is missing.
pub fn statements_at(url: &str) -> Result<Vec<Statement>> {
    // A session's number is one there, and text in files.
    let sql = STATEMENTS.replacen(" session,", " toString(session) AS session,", 1);
    let mut command = Command::new(paths::sqlward()?);
    command.args(["audit", "sql", &sql, "--limit", "100000000"]);
    let text = run(command.args(["--store", url, "--format", "json"]))?;
    text.lines()
        .map(|line| serde_json::from_str(line).with_context(|| line.to_owned()))
        .collect()
}

/// Runs `sqlward audit verify`.
///
/// # Errors
/// When it finds anything; the error holds what it said.
pub fn verify(data: &Path) -> Result<()> {
    let mut command = Command::new(paths::sqlward()?);
    run(command.args(["audit", "verify", "--data"]).arg(data))?;
    Ok(())
}

const STATEMENTS: &str = "SELECT event_id AS event, session, number, kind, \
     coalesce(text, '') AS text, coalesce(text_length, 0) AS text_length, \
     coalesce(verb, '') AS verb, completion, error AS sqlstate, rows, affected, warnings, backend_pid, \
     client_port, coalesce(user, '') AS user, coalesce(\"database\", '') AS \"database\", \
     coalesce(application, '') AS application, coalesce(dialect, '') AS dialect, prepared_name, \
     parameters FROM statements";
