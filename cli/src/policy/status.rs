//! `sqlward policy status`.

use std::{collections::BTreeMap, io::Write as _, path::PathBuf, process::ExitCode};

use anyhow::Result;
use clap::Args;
use sqlward_audit_store::query::{AuditQuery, Dimension, Measure};
use sqlward_policy::{
    status::{self, REFUSING, Recent},
    vocabulary::Action,
};

use super::{learn::learnt, with};
use crate::{
    output,
    source::{OptionalPlace, Source},
    values::{self, now_us},
};

/// Show modes, rules and what they matched.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sqlward policy status rules/
  sqlward policy status rules/ --data ./data --within 7d
  sqlward policy status ./data/policy/current --data ./data --json

With --data or --store: whether this policy is in force and since when, how often each rule matched, what would be refused if it
were enforced, and how far learning is.")]
pub(crate) struct Status {
    /// Policy files and folders.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    place: OptionalPlace,
    /// How far back to look.
    #[arg(long, value_name = "SPAN", default_value = "24h")]
    within: String,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Status {
    /// Carry it out.
    pub(crate) fn run(self) -> Result<ExitCode> {
        let from = values::time(&self.within).map_err(anyhow::Error::msg)?;
        let (mut recent, mut progress) = (None, None);
        if let Some(source) = self.place.open()? {
            recent = Some(self.recent(&source, from)?);
            progress = Some(learnt(&source, from, now_us())?);
        }
        with(&self.files, |policy| {
            let text = if self.json {
                let mut value = status::json(policy, recent.as_ref());
                if let (Some(fields), Some(learnt)) = (value.as_object_mut(), &progress) {
                    fields.insert("learning".to_owned(), learnt.progress_json(HOURS));
                }
                format!("{value:#}\n")
            } else {
                let learning = progress
                    .as_ref()
                    .map_or_else(String::new, |learnt| learnt.progress_text(0));
                format!("{}{learning}", status::text(policy, recent.as_ref()))
            };
            output::quietly(std::io::stdout().write_all(text.as_bytes()))?;
            Ok(ExitCode::SUCCESS)
        })
    }

    fn recent(&self, source: &Source, from: u64) -> Result<Recent> {
        let filter = AuditQuery {
            from: Some(from),
            to: Some(now_us()),
            ..AuditQuery::default()
        };
        let count = |by, filter: &AuditQuery| -> Result<BTreeMap<String, i64>> {
            let ranking = source.top(by, Measure::Count, filter, usize::MAX)?;
            let named = ranking
                .into_iter()
                .filter_map(|one| Some((one.value?, one.measure)));
            Ok(named.collect())
        };
        let passed = AuditQuery {
            judged: REFUSING.to_vec(),
            decision: vec![Action::Allow, Action::Alert],
            ..filter.clone()
        };
        let mut would_be_refused = count(Dimension::Rule, &passed)?;
        let all: i64 = count(Dimension::Decision, &passed)?.values().sum();
        if would_be_refused.is_empty() && all > 0 {
            would_be_refused.insert("the default".to_owned(), all);
        }
        Ok(Recent {
            hits: count(Dimension::Rule, &filter)?,
            carried: count(Dimension::Decision, &filter)?,
            would_be_refused,
            within: self.within.clone(),
            in_force: source.in_force()?,
        })
    }
}

/// Hours with statements that learning is shown by.
const HOURS: usize = 24;
