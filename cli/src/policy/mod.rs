//! `sqlward policy`: one file per verb, short ones here.

mod apply;
mod diff;
mod explain;
mod learn;
mod lint;
pub(crate) mod recorded;
mod replay;
mod status;
mod versions;

use std::{
    fs::File,
    io::{self, BufReader, BufWriter, Write},
    num::NonZeroUsize,
    path::PathBuf,
    process::ExitCode,
};

use anyhow::{Context, Result};
use clap::Subcommand;
use jiff::Timestamp;
use sqlward_policy::{
    Policy as Compiled,
    check::check,
    judge::{Batch, judge},
    vocabulary::Dialect,
};

use crate::{
    BAD_INPUT,
    language::{Show, print_schema},
    output,
};

/// Check, test, explain, replay and apply policies.
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
    Explain(Box<explain::Explain>),
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
    /// Compare what two policies say: what is newly denied or allowed, with examples that both have decided.
    Diff(diff::Diff),
    /// Find what is legal and hardly meant: rules that never decide, that allow too much, that nothing hits.
    Lint(lint::Lint),
    /// Judge recorded traffic under a candidate: what would be newly denied, allowed or alerted.
    Replay(replay::Replay),
    /// Learn from recorded traffic: how far it is, and a policy that allows what was seen.
    Learn(learn::Learn),
    /// Show modes, rules and what they matched.
    Status(status::Status),
    /// Keep a policy as a new version, and put it into force.
    Apply(apply::Apply),
    /// Approve a policy as the second person.
    Approve(apply::Approve),
    /// Show the versions that were applied.
    Versions(versions::Versions),
    /// Put an older version into force again.
    Rollback(versions::Rollback),
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
            Self::Diff(arguments) => arguments.run(),
            Self::Lint(arguments) => arguments.run(),
            Self::Replay(arguments) => arguments.run(),
            Self::Learn(arguments) => arguments.run(),
            Self::Status(arguments) => arguments.run(),
            Self::Apply(arguments) => arguments.run(),
            Self::Approve(arguments) => arguments.run(),
            Self::Versions(arguments) => arguments.run(),
            Self::Rollback(arguments) => arguments.run(),
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

/// Load a policy and use it, or say everything that is wrong with it.
fn with(files: &[PathBuf], then: impl FnOnce(&Compiled) -> Result<ExitCode>) -> Result<ExitCode> {
    match sqlward_policy::load(files) {
        Ok(policy) => then(&policy),
        Err(problems) => Ok(output::bad_input(&problems)),
    }
}

/// As [`with`], where there may be no policy.
fn with_optional(
    files: &[PathBuf],
    then: impl FnOnce(Option<&Compiled>) -> Result<ExitCode>,
) -> Result<ExitCode> {
    if files.is_empty() {
        then(None)
    } else {
        with(files, |policy| then(Some(policy)))
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
