//! `sqlward explain`: the whole story of one event.

use std::{io::Write as _, path::PathBuf, process::ExitCode};

use anyhow::{Context, Result, bail};
use clap::Args;
use sqlward_audit_store::{
    query::{Row, Seen, Table},
    record::EventId,
};
use sqlward_policy::{
    Policy, Problems,
    explain::{Explanation, explain_recorded},
    replay::{Recorded, Undecided},
};
use sqlward_proxy::versions::Versions;

use crate::{
    output::{self, Format},
    policy::recorded,
    source::{Place, Source},
};

/// Tell the whole story of one event.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sqlward explain 01KAR3Q8V5000000001000000A --data ./data
  sqlward explain 01KAR3Q8V5000000001000000A --data ./data --policy rules/

Shows the record; with a policy, the facts that were decided on, each rule with the condition that it failed by, and the values
that decided. The policy is the one that was in force, where `policy apply` keeps versions in the data folder; else the one of
--policy, and it is said if that decides otherwise than it was decided then.")]
pub(crate) struct Explain {
    /// The event id, as the client saw it.
    event: EventId,
    #[command(flatten)]
    place: Place,
    /// The policy to explain by: files and folders; may be said several times.
    #[arg(long, value_name = "PATH")]
    policy: Vec<PathBuf>,
    /// How the answer is printed.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

impl Explain {
    /// Carry it out.
    pub(crate) fn run(self) -> Result<ExitCode> {
        let source = self.place.open()?;
        let found = source.event(self.event)?;
        self.place.note(usize::from(found.is_some()))?;
        let Some(row) = found else {
            bail!("no event {} in `{}`", self.event, self.place);
        };
        let policy = match self.policy(&source, &row)? {
            Ok(policy) => policy,
            Err(problems) => return Ok(output::bad_input(&problems)),
        };
        let recorded = Seen::of(&row).and_then(recorded::recorded);
        let explained = match (&policy, &recorded) {
            (Some(policy), Some(recorded)) => Some(explain_recorded(policy, recorded)?),
            (None, _) | (_, None) => None,
        };
        match self.format {
            Format::Table => self.tell(&row, explained, recorded.as_ref()),
            Format::Json => {
                let mut value = serde_json::to_value(&row)?;
                if let (Some(fields), Some(explained)) = (value.as_object_mut(), &explained) {
                    let explanation = match explained {
                        Ok(explanation) => explanation.json(),
                        Err(reason) => serde_json::json!({ "undecided": reason.as_str() }),
                    };
                    fields.insert("explanation".to_owned(), explanation);
                }
                output::quietly(writeln!(std::io::stdout(), "{value}"))
            }
            Format::Csv => {
                let mut table = Table::new(Row::COLUMNS);
                table.rows = vec![row.cells()];
                output::table(&table, Format::Csv)
            }
        }?;
        Ok(ExitCode::SUCCESS)
    }

    /// The policy to explain by: the one that is named, or the version that was in force.
    fn policy(&self, source: &Source, row: &Row) -> Result<Result<Option<Policy>, Problems>> {
        if !self.policy.is_empty() {
            return Ok(sqlward_policy::load(&self.policy).map(Some));
        }
        let (Some(data), Some(hash)) = (self.place.data(), source.policy_hash(row)?) else {
            return Ok(Ok(None));
        };
        let found = Versions::of(data)
            .with_hash(&hash)
            .context("the versions of the policy")?;
        Ok(Ok(found))
    }

    fn tell(
        &self,
        row: &Row,
        explained: Option<Result<Explanation<'_>, Undecided>>,
        recorded: Option<&Recorded>,
    ) -> Result<()> {
        let mut table = Table::new(&["what", "value"]);
        table.rows = Row::COLUMNS
            .iter()
            .zip(row.cells())
            .map(|(name, value)| vec![(*name).to_owned().into(), value])
            .collect();
        output::table(&table, Format::Table)?;
        let text = match explained {
            Some(Ok(explanation)) => {
                let other = recorded.is_some_and(|_| row.judged != explanation.decision.judged.as_str());
                let note = if other {
                    format!("this policy decides otherwise than the one that was in force: it said {}\n", row.judged)
                } else {
                    String::new()
                };
                format!("\n{}{note}", explanation.text())
            }
            Some(Err(reason)) => format!("\nthe record does not tell why: {}\n", reason.as_str()),
            None => "\nthe policy that was in force is not kept here: --policy names one to explain by\n".to_owned(),
        };
        output::quietly(std::io::stdout().write_all(text.as_bytes()))
    }
}
