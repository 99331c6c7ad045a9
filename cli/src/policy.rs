//! `sqlward policy`: check, test, explain and judge.

use std::{
    fs::File,
    io::{self, BufReader, BufWriter, Read, Write},
    net::IpAddr,
    num::NonZeroUsize,
    path::PathBuf,
    process::ExitCode,
};

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use jiff::Timestamp;
use sqlward_policy::{
    Policy as Compiled, Subject,
    check::check,
    explain::{Question, explain},
    judge::{Batch, judge},
    rule::subject::EndUser,
    statement::ReadingOptions,
    vocabulary::Dialect,
};

use crate::{
    BAD_INPUT,
    language::{Show, print_schema},
    output,
};

/// Check, test, explain and apply policies to statements.
#[derive(Debug, Subcommand)]
pub(crate) enum Policy {
    /// Check policy files; every error is told, with its place and what was expected.
    #[command(after_help = "Example:\n  sqlward policy check rules/baseline my-rules.toml")]
    Check {
        /// Policy files and folders.
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Run the [[test]] tables in policy files: decision and rule must be as expected.
    #[command(after_help = "Example:\n  sqlward policy test rules/baseline")]
    Test {
        /// Policy files and folders.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Print the JSON Schema of policy files, for editors.
    #[command(after_help = "Example:\n  sqlward policy schema > policy.schema.json")]
    Schema,
    /// Show packs, overlays and rules as they are in force at a time.
    #[command(
        after_help = "Example:\n  sqlward policy show --at 2026-12-24T20:00:00Z rules/baseline production.toml"
    )]
    Show(Show),
    /// Show how a statement is read, why each rule matches or not, and the decision.
    #[command(after_help = "\
Examples:
  sqlward policy explain --sql 'DELETE FROM t WHERE 1=1' --user app rules/baseline
  sqlward policy explain --sql-file q.sql --client 10.1.2.3 --json rules/baseline
  sqlward policy explain --dialect mysql --sql-mode ANSI_QUOTES --sql 'DELETE FROM \"t\"' rules/baseline")]
    Explain(Box<Explain>),
    /// Judge a batch of statements: JSON lines {\"id\", \"sql\", …} in, JSON lines {\"id\", \"decision\", …} out.
    #[command(after_help = "\
Examples:
  sqlward policy judge --dialect postgres --policy rules/baseline --in statements.jsonl
  jq -c '{id, sql}' log.json | sqlward policy judge --dialect postgres --policy rules/baseline --in -

A line may also say who asks: user, role, database, application, listener, client, end_user, at;
and for MySQL and MariaDB how the session reads it: dialect, sql_mode, charset, server_version.
Lines that can't be judged get an \"error\" in the output, and the exit code is then 2.")]
    Judge {
        /// The language of the statements.
        #[arg(long, default_value = "postgres", value_parser = dialect)]
        dialect: Dialect,
        /// Policy files and folders.
        #[arg(long, required = true, num_args = 1..)]
        policy: Vec<PathBuf>,
        /// File of JSON lines; - for standard input.
        #[arg(long = "in", value_name = "FILE")]
        input: PathBuf,
        /// Threads; one per processor if not given.
        #[arg(long)]
        threads: Option<NonZeroUsize>,
    },
}

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

impl Policy {
    /// Carry it out.
    pub(crate) fn run(self) -> Result<ExitCode> {
        match self {
            Self::Check { files, json } => {
                let report = check(&files);
                let text = if json {
                    format!("{:#}\n", report.json())
                } else {
                    report.text(output::colour())
                };
                output::quietly(io::stdout().write_all(text.as_bytes()))?;
                Ok(if report.passed() {
                    ExitCode::SUCCESS
                } else {
                    ExitCode::from(BAD_INPUT)
                })
            }
            Self::Test { files } => with(&files, |policy| {
                let results = policy.run_tests()?;
                print!("{results}");
                Ok(if results.passed() {
                    ExitCode::SUCCESS
                } else {
                    ExitCode::FAILURE
                })
            }),
            Self::Schema => print_schema(),
            Self::Show(arguments) => arguments.run(),
            Self::Explain(arguments) => arguments.run(),
            Self::Judge {
                dialect,
                policy,
                input,
                threads,
            } => with(&policy, |policy| {
                let batch = Batch {
                    dialect,
                    now: Timestamp::now(),
                    threads,
                };
                let mut out = BufWriter::new(io::stdout());
                let summary = match judge(policy, &batch, open(&input)?, &mut out) {
                    Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                        return Ok(ExitCode::SUCCESS);
                    }
                    other => other?,
                };
                out.flush()?;
                eprintln!("{} judged, {} in error", summary.judged, summary.errors);
                let failed = summary.errors > 0;
                Ok(if failed {
                    ExitCode::from(BAD_INPUT)
                } else {
                    ExitCode::SUCCESS
                })
            }),
        }
    }
}

impl Explain {
    fn run(self) -> Result<ExitCode> {
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

/// Load a policy and use it, or say everything that is wrong with it.
fn with(files: &[PathBuf], then: impl FnOnce(&Compiled) -> Result<ExitCode>) -> Result<ExitCode> {
    match sqlward_policy::load(files) {
        Ok(policy) => then(&policy),
        Err(problems) => Ok(output::bad_input(&problems)),
    }
}

fn open(path: &PathBuf) -> Result<Box<dyn io::BufRead>> {
    if path.as_os_str() == "-" {
        return Ok(Box::new(BufReader::new(io::stdin())));
    }
    let file = File::open(path).with_context(|| format!("`{}`", path.display()))?;
    Ok(Box::new(BufReader::new(file)))
}

fn dialect(word: &str) -> Result<Dialect, String> {
    match Dialect::from_word(word) {
        Some(dialect) => Ok(dialect),
        None => Err("expected postgres, mysql or mariadb".to_owned()),
    }
}
