//! `sqlward policy learn`.

use std::{fs, io::Write as _, path::PathBuf, process::ExitCode};

use anyhow::{Context, Result};
use clap::Args;
use sqlward_audit_store::query::SeenQuery;
use sqlward_policy::learn::{Learnt, Style};

use super::recorded::each_batch;
use crate::{
    output,
    source::{Place, Source},
    values::{self, HOUR_US, now_us},
};

/// Learn a policy from recorded traffic.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sqlward policy learn --data ./data --from 7d                       # how far it is: new fingerprints by hour
  sqlward policy learn --data ./data --from 7d --out learnt.toml     # and a policy that allows what was seen
  sqlward policy replay --data ./data --from 24h learnt.toml         # what it would deny of yesterday's

The audit record is what is learnt from: run listeners in mode `learn` or `observe` meanwhile. The policy has, for each user, a
rule for each verb with the objects and functions seen; what such rules don't say well (nested writes, ways out of the database,
SET) is allowed by fingerprint, as is everything with --digests. Its tests are statements that came; it was tried on all that it
was learnt from, and what it does not allow is told. It begins in mode `observe`.")]
pub(crate) struct Learn {
    /// Begun at or after this time.
    #[arg(long, value_parser = values::time)]
    from: u64,
    /// Begun before this time; now if not given.
    #[arg(long, value_parser = values::time)]
    to: Option<u64>,
    #[command(flatten)]
    place: Place,
    /// Where the policy goes; without, only the progress is shown. Must not exist.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Allow each fingerprint by itself, not verbs and objects.
    #[arg(long, requires = "out")]
    digests: bool,
    /// Hours with statements that are shown.
    #[arg(long, default_value_t = 12)]
    hours: usize,
    /// Print the progress as JSON.
    #[arg(long)]
    json: bool,
}

/// What was seen in a span of time.
pub(super) fn learnt(source: &Source, from: u64, to: u64) -> Result<Learnt> {
    let query = SeenQuery {
        from,
        to,
        span_us: Some(HOUR_US),
    };
    let mut learnt = Learnt::default();
    each_batch(source, &query, |batch| {
        learnt.add(batch);
        Ok(())
    })?;
    Ok(learnt)
}

impl Learn {
    /// Carry it out.
    pub(crate) fn run(self) -> Result<ExitCode> {
        let to = self.to.unwrap_or_else(now_us);
        let learnt = learnt(&self.place.open()?, self.from, to)?;
        let text = if self.json {
            format!("{:#}\n", learnt.progress_json(self.hours))
        } else {
            learnt.progress_text(self.hours)
        };
        output::quietly(std::io::stdout().write_all(text.as_bytes()))?;
        let Some(path) = &self.out else {
            return Ok(ExitCode::SUCCESS);
        };
        let style = if self.digests {
            Style::Digests
        } else {
            Style::General
        };
        let proposal = learnt.propose(style)?;
        let written = fs::File::create_new(path)
            .and_then(|mut file| file.write_all(proposal.text.as_bytes()));
        written.with_context(|| format!("`{}`", path.display()))?;
        eprintln!(
            "{}: {} rules, {} tests; allows {} of the statements that it was learnt from",
            path.display(),
            proposal.rules,
            proposal.tests,
            proposal.allowed
        );
        for (count, normal) in &proposal.refused {
            eprintln!("not allowed: {count} statements: {normal}");
        }
        Ok(ExitCode::SUCCESS)
    }
}
