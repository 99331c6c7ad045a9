//! `sqlward block`: who is kept out.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use clap::{Args, Subcommand};
use ipnet::IpNet;
use jiff::{SignedDuration, Timestamp};
use sqlward_audit_store::STORE;
use sqlward_proxy::blocks::{self, BlockFile, Whom};

use crate::{operator, values};

/// Keep somebody out for a time, whatever the policy says.
///
/// Who is kept out can't connect, and open sessions end at their next statement. A running proxy takes changes up within a
/// second; each is an administration record.
#[derive(Debug, Subcommand)]
pub(crate) enum Block {
    /// Show who is kept out.
    #[command(after_help = "Example:\n  sqlward block list --data ./data")]
    List {
        #[command(flatten)]
        place: Place,
    },
    /// Keep sessions out that fit everything that is said of them.
    #[command(after_help = "\
Examples:
  sqlward block add --data ./data --user app_billing --for 1h --reason 'leaked password'
  sqlward block add --data ./data --client 10.1.7.0/24 --reason 'scanner'
  sqlward block add --data ./data --user app --end-user mallory --for 30m --reason 'mass export'")]
    Add {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        whom: Described,
        /// How long, such as 30m or 12h; without it, until the block is removed.
        #[arg(long = "for", value_name = "TIME", value_parser = values::duration)]
        lasts: Option<u64>,
        /// Why: it stands in the list and in the record.
        #[arg(long)]
        reason: String,
    },
    /// Let sessions in again.
    #[command(after_help = "Example:\n  sqlward block remove --data ./data 7")]
    Remove {
        #[command(flatten)]
        place: Place,
        /// The block's number.
        number: u64,
    },
}

/// Where the list is.
#[derive(Debug, Args)]
pub(crate) struct Place {
    /// The proxy's data folder.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
}

/// Whom a block keeps out.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub(crate) struct Described {
    /// The database user.
    #[arg(long)]
    user: Option<String>,
    /// The client's address or network.
    #[arg(long, value_name = "CIDR", value_parser = values::network)]
    client: Option<IpNet>,
    /// The end user.
    #[arg(long)]
    end_user: Option<String>,
    /// The application's name.
    #[arg(long)]
    application: Option<String>,
}

impl Block {
    pub(crate) fn run(self) -> Result<ExitCode> {
        match self {
            Self::List { place } => {
                for block in place.list()?.read()?.blocks {
                    if block.holds(Timestamp::now()) {
                        println!("{block}");
                    }
                }
            }
            Self::Add {
                place,
                whom,
                lasts,
                reason,
            } => {
                let one_line = !reason.trim().is_empty() && !reason.contains(char::is_control);
                ensure!(one_line, "--reason is empty or has control characters");
                let now = Timestamp::now();
                let block = blocks::Block {
                    number: 0,
                    whom: whom.into(),
                    since: now,
                    until: lasts.map(|lasts| end(now, lasts)).transpose()?,
                    reason,
                    by: operator::name(),
                    recorded: false,
                    removed_by: None,
                };
                let added = place.list()?.edit(|list| {
                    let number = list.add(block.clone())?;
                    Ok(blocks::Block { number, ..block })
                })?;
                println!("{added}");
            }
            Self::Remove { place, number } => {
                let by = operator::name();
                let removed = place.list()?.edit(|list| list.remove(number, &by))?;
                println!("removed {removed}");
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Place {
    fn list(&self) -> Result<BlockFile> {
        ensure!(
            self.data.join(STORE).is_dir(),
            "`{}` is no data folder of a proxy",
            self.data.display()
        );
        Ok(BlockFile::of(&self.data))
    }
}

impl From<Described> for Whom {
    fn from(described: Described) -> Self {
        let Described {
            user,
            client,
            end_user,
            application,
        } = described;
        Self {
            user,
            client,
            end_user,
            application,
        }
    }
}

/// The end of what begins now and lasts so many µs.
fn end(now: Timestamp, lasts: u64) -> Result<Timestamp> {
    i64::try_from(lasts)
        .ok()
        .and_then(|lasts| now.checked_add(SignedDuration::from_micros(lasts)).ok())
        .context("--for is too long")
}
