//! `sqlward store`: the audit store on ClickHouse.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use sqlward_audit_store::clickhouse::{self, Layout, Plan, Target};
use sqlward_audit_store::{STORE, query::Archive};

use crate::asking;

/// Make a ClickHouse store, and move an embedded one into it.
#[derive(Debug, Subcommand)]
pub(crate) enum Store {
    /// Bring a ClickHouse store's tables to this program's version.
    #[command(after_help = "\
Examples:
  sqlward store migrate --store clickhouse://127.0.0.1/audit --dry-run
  SQLWARD_STORE_PASSWORD=… sqlward store migrate --store clickhouse://audit@ch1/audit --retention-days 365
  sqlward store migrate --store clickhouse://ch1/audit --dry-run --cluster main   # statements for a cluster, only shown")]
    Migrate {
        #[command(flatten)]
        place: Place,
        /// How many days records are kept.
        #[arg(long, default_value_t = 190, value_parser = clap::value_parser!(u32).range(1..=15_000))]
        retention_days: u32,
        /// Show the statements and change nothing.
        #[arg(long)]
        dry_run: bool,
        /// Show the statements for a cluster of that name, with replicated and distributed tables.
        #[arg(long, requires = "dry_run", value_name = "NAME")]
        cluster: Option<String>,
    },
    /// Move an embedded store into ClickHouse, and verify counts and chain there. What is there already is left alone.
    #[command(after_help = "\
Example:
  sqlward store import --data ./data --store clickhouse://127.0.0.1/audit

Stop the proxy that writes the folder first. What was cut short goes on where it ended when it is called again.")]
    Import {
        /// The proxy's data folder.
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
        #[command(flatten)]
        place: Place,
    },
}

/// Where the store is, and as whom it is asked.
#[derive(Debug, Args)]
pub(crate) struct Place {
    /// The store: clickhouse://[user@]host[:port]/database, over HTTP; clickhouses:// over HTTPS.
    #[arg(long, value_name = "URL")]
    store: Target,
    /// A file with the password; without it, the variable SQLWARD_STORE_PASSWORD.
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// A file in PEM with the authorities that may have issued the certificate of clickhouses://; without, the web's.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
}

impl Place {
    fn target(self) -> Result<Target> {
        let target = target(self.store, self.password_file)?;
        Ok(target.with_authorities(self.ca))
    }
}

/// The store with its password, from a file or the environment.
pub(crate) fn target(store: Target, password_file: Option<PathBuf>) -> Result<Target> {
    let password = match password_file {
        Some(path) => {
            let text = std::fs::read_to_string(&path)
                .with_context(|| format!("the password file `{}`", path.display()))?;
            Some(text.trim_end_matches(['\r', '\n']).to_owned())
        }
        None => std::env::var("SQLWARD_STORE_PASSWORD").ok(),
    };
    Ok(store.with_password(password))
}

impl Store {
    /// Carry it out.
    pub(crate) fn run(self) -> Result<ExitCode> {
        match self {
            Self::Migrate {
                place,
                retention_days,
                dry_run,
                cluster,
            } => {
                let target = place.target()?;
                let plan = match (cluster, dry_run) {
                    (Some(cluster), _) => {
                        let layout = Layout::Cluster(&cluster);
                        clickhouse::fresh_plan(target.database(), layout, retention_days)
                    }
                    (None, true) => clickhouse::plan(&target, retention_days)?,
                    (None, false) => clickhouse::migrate(&target, retention_days)?,
                };
                show(&plan, dry_run);
            }
            Self::Import { data, place } => {
                let target = place.target()?;
                let dir = data.join(STORE);
                let archive = Archive::open(&dir)
                    .with_context(|| format!("`{}` holds no audit store", data.display()))?;
                let report = archive.verify()?;
                if let Some(finding) = report.findings.first() {
                    bail!(
                        "the store is damaged, `sqlward audit verify` tells all; {}: {}",
                        finding.file.display(),
                        finding.what
                    );
                }
                // An export is noted when it begins, and with its size when it has ended.
                asking::note(&data, 0)?;
                let done = clickhouse::import(&archive, &target, |day, done| {
                    println!("{day}: {} new, {} known so far", done.new, done.known);
                })?;
                asking::note(&data, usize::try_from(done.new)?)?;
                println!(
                    "{} days, {} records new, {} known, {} entries chained in {target}",
                    done.days, done.new, done.known, done.entries
                );
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn show(plan: &Plan, dry_run: bool) {
    if dry_run {
        for statement in &plan.statements {
            println!("{statement};\n");
        }
    }
    let count = plan.statements.len();
    let done = if dry_run { "to run" } else { "run" };
    println!(
        "-- schema version {} to {}: {count} statements {done}",
        plan.from, plan.to
    );
}
