//! `sqlward policy versions` and `sqlward policy rollback`.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use clap::Args;
use sqlward_audit_store::query::Table;
use sqlward_proxy::versions::{self, Change};

use crate::output::{self, Format};

/// Show the versions that were applied.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  sqlward policy versions --data ./data

`state` is `current`, `kept`, or `changed` where its files do not have the version's hash any more. --log shows what came into
force when, rollbacks too.")]
pub(crate) struct Versions {
    /// The proxy's data folder.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Show what came into force when.
    #[arg(long)]
    log: bool,
    /// How the answer is printed.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

/// Put an older version into force again.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  sqlward policy rollback 3 --data ./data --author ann --reason 'version 4 blocks the night job'")]
pub(crate) struct Rollback {
    /// The version's number, as `policy versions` shows it.
    version: u32,
    /// The proxy's data folder.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Who does it.
    #[arg(long)]
    author: String,
    /// Why.
    #[arg(long)]
    reason: String,
}

impl Versions {
    /// Carry it out.
    pub(crate) fn run(self) -> Result<ExitCode> {
        let versions = versions::Versions::of(&self.data);
        let approved = |change: &Change| change.approved_by.clone().unwrap_or_default();
        let table = if self.log {
            let mut table = Table::new(&[
                "at",
                "action",
                "version",
                "author",
                "reason",
                "approved_by",
                "hash",
            ]);
            table.rows = versions
                .log()?
                .into_iter()
                .map(|one| {
                    let approved = approved(&one.change);
                    let (author, reason) = (one.change.author, one.change.reason);
                    vec![
                        one.at.into(),
                        one.action.into(),
                        i64::from(one.version).into(),
                        author.into(),
                        reason.into(),
                        approved.into(),
                        one.hash.into(),
                    ]
                })
                .collect();
            table
        } else {
            let mut table = Table::new(&[
                "version",
                "state",
                "at",
                "author",
                "reason",
                "approved_by",
                "hash",
            ]);
            table.rows = versions
                .list()?
                .into_iter()
                .map(|kept| {
                    let state = match (kept.intact, kept.current) {
                        (false, _) => "changed",
                        (true, true) => "current",
                        (true, false) => "kept",
                    };
                    let one = kept.version;
                    let approved = approved(&one.change);
                    let (author, reason) = (one.change.author, one.change.reason);
                    vec![
                        i64::from(one.number).into(),
                        state.to_owned().into(),
                        one.at.into(),
                        author.into(),
                        reason.into(),
                        approved.into(),
                        one.hash.into(),
                    ]
                })
                .collect();
            table
        };
        output::table(&table, self.format)?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Rollback {
    /// Carry it out.
    pub(crate) fn run(self) -> Result<ExitCode> {
        let change = Change {
            author: self.author,
            reason: self.reason,
            approved_by: None,
        };
        let version = versions::Versions::of(&self.data).rollback(self.version, &change)?;
        println!(
            "version {} is in force again: {}",
            version.number, version.hash
        );
        Ok(ExitCode::SUCCESS)
    }
}
