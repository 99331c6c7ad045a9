//! `sqlward policy replay`.

use std::{io::Write as _, num::NonZeroUsize, path::PathBuf, process::ExitCode, time::Instant};

use anyhow::Result;
use clap::Args;
use sqlward_audit_store::query::SeenQuery;
use sqlward_policy::replay::{self, Report};

use super::{recorded::each_batch, with, with_optional};
use crate::{
    output,
    source::Place,
    values::{self, MINUTE_US},
};

/// Judge recorded traffic under a candidate.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sqlward policy replay --data ./data --from 24h new-rules/
  sqlward policy replay --data ./data --from 2026-11-24 --to 2026-11-25 --json new-rules/
  sqlward policy replay --store clickhouse://ch1/audit --from 7d --against rules/ new-rules/

What the candidate's rules say, whatever its mode, is compared with what was carried out, or with what the policy of
--against says. Statements whose record does not tell what the candidate asks are counted, with the reason: they are
never guessed. Times are RFC 3339, a date (UTC), or a time span that reaches back from now (90m, 24h, 7d).")]
pub(crate) struct Replay {
    /// The candidate's files and folders.
    #[arg(required = true, value_name = "CANDIDATE")]
    candidate: Vec<PathBuf>,
    /// Begun at or after this time.
    #[arg(long, value_parser = values::time)]
    from: u64,
    /// Begun before this time; now if not given.
    #[arg(long, value_parser = values::time)]
    to: Option<u64>,
    #[command(flatten)]
    place: Place,
    /// Compare with what this policy says, not with what was carried out; may be said several times.
    #[arg(long, value_name = "PATH")]
    against: Vec<PathBuf>,
    /// Groups shown of each kind of change.
    #[arg(long, default_value_t = 20)]
    limit: usize,
    /// Threads; one per processor if not given.
    #[arg(long)]
    threads: Option<NonZeroUsize>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Replay {
    /// Carry it out.
    pub(crate) fn run(self) -> Result<ExitCode> {
        with(&self.candidate, |candidate| {
            with_optional(&self.against, |against| {
                let replay = replay::Replay {
                    candidate,
                    against,
                    threads: self.threads,
                };
                let query = SeenQuery {
                    from: self.from,
                    to: self.to.unwrap_or_else(values::now_us),
                    span_us: replay.asks_time().then_some(MINUTE_US),
                };
                let mut report = Report::default();
                each_batch(&self.place.open()?, &query, |batch| {
                    let begun = Instant::now();
                    let compared = replay.compare(&batch)?;
                    report.judging += begun.elapsed();
                    report.add(candidate, &batch, &compared);
                    Ok(())
                })?;
                self.place
                    .note(usize::try_from(report.statements).unwrap_or(usize::MAX))?;
                let text = if self.json {
                    format!("{:#}\n", report.json(self.limit))
                } else {
                    report.text(self.limit)
                };
                output::quietly(std::io::stdout().write_all(text.as_bytes()))?;
                Ok(ExitCode::SUCCESS)
            })
        })
    }
}
