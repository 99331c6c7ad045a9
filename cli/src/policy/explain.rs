//! `sqlward policy explain`.

use std::{
    io::{self, Read as _, Write as _},
    net::IpAddr,
    path::PathBuf,
    process::ExitCode,
};

use anyhow::Result;
use clap::Args;
use jiff::Timestamp;
use sqlward_policy::{
    ServerVersion, Subject,
    explain::{Question, explain},
    rule::subject::EndUser,
    statement::ReadingOptions,
    vocabulary::Dialect,
};

use super::{dialect, open, with};
use crate::output;

/// Show how a statement is read and decided.
#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// Policy files and folders.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// The statement.
    #[arg(
        long,
        required_unless_present = "sql_file",
        conflicts_with = "sql_file"
    )]
    sql: Option<String>,
    /// File with the statement; - for standard input.
    #[arg(long, value_name = "FILE")]
    sql_file: Option<PathBuf>,
    /// Database user.
    #[arg(long, default_value = "app")]
    user: String,
    /// Effective role; the user if not given.
    #[arg(long)]
    role: Option<String>,
    /// Database.
    #[arg(long, default_value = "postgres")]
    database: String,
    /// Client address.
    #[arg(long, default_value = "127.0.0.1")]
    client: IpAddr,
    /// Application name.
    #[arg(long, default_value = "")]
    application: String,
    /// Listener.
    #[arg(long, default_value = "")]
    listener: String,
    /// End user.
    #[arg(long)]
    end_user: Option<String>,
    /// Time of the decision, RFC 3339; now if not given.
    #[arg(long)]
    at: Option<Timestamp>,
    /// The language of the statement.
    #[arg(long, default_value = "postgres", value_parser = dialect)]
    dialect: Dialect,
    /// The session's sql_mode (MySQL and MariaDB).
    #[arg(long)]
    sql_mode: Option<String>,
    /// The session's character_set_client (MySQL and MariaDB).
    #[arg(long)]
    charset: Option<String>,
    /// The server's version (MySQL and MariaDB).
    #[arg(long)]
    server_version: Option<String>,
    /// Read it as a replication connection would.
    #[arg(long)]
    replication: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Explain {
    /// Carry it out.
    pub(super) fn run(self) -> Result<ExitCode> {
        let sql = match (self.sql, &self.sql_file) {
            (Some(sql), _) => sql.into_bytes(),
            (None, Some(path)) => {
                let mut sql = Vec::new();
                open(path)?.read_to_end(&mut sql)?;
                sql
            }
            (None, None) => Vec::new(),
        };
        let options = ReadingOptions {
            sql_mode: self.sql_mode,
            charset: self.charset,
            server_version: self.server_version,
        };
        let lex = match options.lex_state(self.dialect) {
            Ok(lex) => lex,
            Err(error) => anyhow::bail!(error),
        };
        let subject = Subject {
            dialect: self.dialect,
            server_version: match &options.server_version {
                None => Some(ServerVersion::NEWEST),
                Some(text) => ServerVersion::of_server(text),
            },
            role: Some(self.role.unwrap_or_else(|| self.user.clone())),
            user: self.user,
            database: self.database,
            client: self.client,
            application: self.application,
            listener: self.listener,
            end_user: self.end_user.map(|name| EndUser {
                name,
                trust: "setting".to_owned(),
            }),
            ..Subject::default()
        };
        with(&self.files, |policy| {
            let question = Question {
                sql: &sql,
                subject: &subject,
                now: self.at.unwrap_or_else(Timestamp::now),
                lex,
                replication: self.replication,
            };
            let explanation = explain(policy, &question)?;
            let text = if self.json {
                format!("{:#}\n", explanation.json())
            } else {
                explanation.text()
            };
            output::quietly(io::stdout().write_all(text.as_bytes()))?;
            Ok(ExitCode::SUCCESS)
        })
    }
}
