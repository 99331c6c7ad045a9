//! What the audit store says, through `sqlward audit`: the only place that knows its columns.

use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::proxy;

/// One recorded statement.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Statement {
    /// The event id.
    pub event: String,
    /// The session's id.
    pub session: String,
    /// Its number in the session.
    pub number: u64,
    /// When the session began, µs since 1970.
    pub session_start_us: u64,
    /// How it came: simple, prepare, execute, fetch, function-call, startup.
    pub kind: String,
    /// Its text.
    #[serde(default)]
    pub text: String,
    /// Whether the text is cut.
    #[serde(default)]
    pub truncated: bool,
    /// The first verb.
    #[serde(default)]
    pub verb: String,
    /// How it ended.
    pub completion: String,
    /// The error it ended with.
    pub sqlstate: Option<String>,
    /// Rows returned.
    #[serde(default)]
    pub rows: u64,
    /// Rows affected.
    #[serde(default)]
    pub affected: u64,
    /// The server's process id.
    pub backend_pid: Option<u32>,
    /// The client's port.
    pub client_port: Option<u16>,
    /// The database user.
    #[serde(default)]
    pub user: String,
    /// The database.
    #[serde(default)]
    pub database: String,
    /// The application name.
    #[serde(default)]
    pub application: String,
}

impl Statement {
    /// Whether the server must have it in its own record.
    #[must_use]
    pub fn must_be_in_server_record(&self) -> bool {
        match self.kind.as_str() {
            "startup" => false,
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
    proxy::audit(data, &["sql", STATEMENTS, "--limit", "100000000"])?
        .into_iter()
        .map(|row| {
            let shown = row.to_string();
            serde_json::from_value(row).with_context(|| shown)
        })
        .collect()
}

const STATEMENTS: &str = "SELECT * FROM statements";
