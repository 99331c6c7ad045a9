//! `sqlward audit hold`: days that retention must not let go.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::{Args, Subcommand};
use sqlward_audit_store::{
    STORE,
    holds::{Hold, HoldFile},
    inbox::{self, Deed},
    query::Archive,
    query::Table,
};

use crate::{
    operator,
    output::{self, Format},
    values::{now_us, time},
};

/// Keep days past retention: legal holds.
///
/// A day (UTC) that a hold touches is not dropped, however old, until every hold on it is released. Who places or releases
/// one, when and why is a record of the administration. Holds are kept in `store/holds.json` of the data folder; where that
/// can't be read, no day is dropped.
#[derive(Debug, Subcommand)]
pub(crate) enum HoldCommand {
    /// Place a hold.
    #[command(after_help = "\
Examples:
  sqlward audit hold add --data ./data --from 2026-03-01 --to 2026-04-01 --reason 'case 17/26'
  sqlward audit hold add --data ./data --from 30d --reason 'order of 2026-11-25'")]
    Add {
        #[command(flatten)]
        place: DataFolder,
        /// From the day of this time on.
        #[arg(long, value_parser = time)]
        from: u64,
        /// Before this time; without it, all that comes, until the hold is released.
        #[arg(long, value_parser = time)]
        to: Option<u64>,
        /// Why: it stands in the list and in the record.
        #[arg(long)]
        reason: String,
    },
    /// Show the holds that stand.
    #[command(after_help = "Example:\n  sqlward audit hold list --data ./data")]
    List {
        #[command(flatten)]
        place: DataFolder,
        /// How the answer is printed.
        #[arg(long, value_enum, default_value = "table")]
        format: Format,
    },
    /// Release a hold: what is older than the retention goes within a minute.
    #[command(
        after_help = "Example:\n  sqlward audit hold release 3 --data ./data --reason 'case 17/26 is closed'"
    )]
    Release {
        #[command(flatten)]
        place: DataFolder,
        /// The hold's number, as `list` shows it.
        id: u64,
        /// Why: it stands in the record.
        #[arg(long)]
        reason: String,
    },
}

/// Where the holds are.
#[derive(Debug, Args)]
pub(crate) struct DataFolder {
    /// The proxy's data folder.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
}

impl HoldCommand {
    pub(crate) fn run(self) -> Result<()> {
        match self {
            Self::Add {
                place,
                from,
                to,
                reason,
            } => {
                check(&reason)?;
                place.keeps_records()?;
                let hold = Hold {
                    id: 0,
                    from_us: from,
                    to_us: to,
                    reason,
                    by: operator::name(),
                    at_us: now_us(),
                };
                let placed = place.file()?.edit(|holds| {
                    let placed = holds.add(hold)?;
                    note(&place.data, Deed::Hold, &placed.to_string())?;
                    anyhow::Ok(placed)
                })?;
                println!("{placed}");
            }
            Self::List { place, format } => {
                let holds = place.file()?.read()?;
                let mut table = Table::new(&["id", "from", "to", "by", "at", "reason"]);
                for hold in holds.standing() {
                    let id = i64::try_from(hold.id).unwrap_or(i64::MAX);
                    table.rows.push(vec![
                        id.into(),
                        hold.first().into(),
                        hold.last().unwrap_or_default().into(),
                        hold.by.clone().into(),
                        hold.placed().into(),
                        hold.reason.clone().into(),
                    ]);
                }
                output::table(&table, format)?;
            }
            Self::Release { place, id, reason } => {
                check(&reason)?;
                let released = place.file()?.edit(|holds| {
                    let released = holds.release(id)?;
                    let what = format!("{released}; released by {}: {reason}", operator::name());
                    note(&place.data, Deed::HoldRelease, &what)?;
                    anyhow::Ok(released)
                })?;
                println!("released {released}");
            }
        }
        Ok(())
    }
}

impl DataFolder {
    /// A hold that nobody honours is worse than none.
    fn keeps_records(&self) -> Result<()> {
        let archive = Archive::open(&self.data.join(STORE));
        let elsewhere = archive.and_then(|archive| archive.ships_elsewhere());
        ensure!(
            !matches!(elsewhere, Ok(true)),
            "the records of `{}` are on ClickHouse, and holds don't reach there: raise the retention with \
             `sqlward store migrate --retention-days`, or copy the partitions of these days",
            self.data.display()
        );
        Ok(())
    }

    fn file(&self) -> Result<HoldFile> {
        let store = self.data.join(STORE);
        ensure!(
            store.is_dir(),
            "`{}` is no data folder of a proxy",
            self.data.display()
        );
        Ok(HoldFile::of(&store))
    }
}

fn check(reason: &str) -> Result<()> {
    let one_line = !reason.trim().is_empty() && !reason.contains(char::is_control);
    ensure!(one_line, "--reason is empty or has control characters");
    ensure!(
        reason.len() <= MOST_REASON,
        "--reason is longer than {MOST_REASON} bytes"
    );
    Ok(())
}

/// Notes what is done before it is: nothing changes unrecorded.
fn note(data: &Path, deed: Deed, what: &str) -> Result<()> {
    inbox::note_deed(data, deed, what, 0).with_context(|| {
        format!(
            "it can't be noted in `{}`, so that it is not done",
            data.join("inbox").display()
        )
    })
}

/// The most bytes of a reason.
const MOST_REASON: usize = 1000;
