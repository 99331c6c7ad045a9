//! `sqlward policy diff`.

use std::{io::Write as _, path::PathBuf, process::ExitCode};

use anyhow::Result;
use clap::Args;
use jiff::Timestamp;
use sqlward_policy::diff::diff;

use super::with;
use crate::output;

/// Compare what two policies say.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sqlward policy diff rules/ new-rules/
  sqlward policy diff old.toml new.toml --json
  sqlward policy replay --data ./data --from 7d --against rules/ new-rules/    # the same, on recorded traffic

Requests that stand for all which the conditions of both policies treat alike are decided by both; each difference is shown
with examples that were. Exit code 0: no difference was found; 1: there are some.")]
pub(crate) struct Diff {
    /// The old policy: a file or folder.
    old: PathBuf,
    /// The new policy: a file or folder.
    new: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Diff {
    /// Carry it out.
    pub(crate) fn run(self) -> Result<ExitCode> {
        with(std::slice::from_ref(&self.old), |old| {
            with(std::slice::from_ref(&self.new), |new| {
                let report = diff(old, new, Timestamp::now())?;
                let text = if self.json {
                    format!("{:#}\n", report.json())
                } else {
                    report.text()
                };
                output::quietly(std::io::stdout().write_all(text.as_bytes()))?;
                Ok(if report.is_same() {
                    ExitCode::SUCCESS
                } else {
                    ExitCode::FAILURE
                })
            })
        })
    }
}
