//! `sqlward policy lint`.

use std::{io::Write as _, path::PathBuf, process::ExitCode};

use anyhow::Result;
use clap::Args;
use sqlward_audit_store::query::{AuditQuery, Dimension, Measure};
use sqlward_policy::{
    lint::{Hits, lint},
    problem,
};

use super::with;
use crate::{
    output,
    source::OptionalPlace,
    values::{self, now_us},
};

/// Find what is legal and hardly meant.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sqlward policy lint rules/
  sqlward policy lint rules/ --data ./data --unused-for 30d

Finds rules that another one always beats or makes needless, alternatives that never hold, allow rules that name neither who
nor what, and with --data or --store, rules that nothing has matched. Each finding says where, and what would mend it.
Exit code 0: nothing was found; 1: something was.")]
pub(crate) struct Lint {
    /// Policy files and folders.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    place: OptionalPlace,
    /// Rules that nothing has matched for so long are told; needs --data or --store.
    #[arg(long, value_name = "SPAN", default_value = "30d")]
    unused_for: String,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Lint {
    /// Carry it out.
    pub(crate) fn run(self) -> Result<ExitCode> {
        let from = values::time(&self.unused_for).map_err(anyhow::Error::msg)?;
        let hits = match self.place.open()? {
            None => None,
            Some(source) => {
                let filter = AuditQuery {
                    from: Some(from),
                    to: Some(now_us()),
                    ..AuditQuery::default()
                };
                let ranking = source.top(Dimension::Rule, Measure::Count, &filter, usize::MAX)?;
                Some(Hits {
                    rules: ranking
                        .into_iter()
                        .filter_map(|entry| entry.value)
                        .collect(),
                    within: self.unused_for,
                })
            }
        };
        with(&self.files, |policy| {
            let problems = lint(policy, hits.as_ref());
            let text = if self.json {
                format!("{:#}\n", problem::json(&problems))
            } else {
                let drawn = problem::draw(&problems, output::colour());
                format!("{drawn}{} findings\n", problems.len())
            };
            output::quietly(std::io::stdout().write_all(text.as_bytes()))?;
            Ok(if problems.is_empty() {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            })
        })
    }
}
