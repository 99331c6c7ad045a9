//! Where answers come from: an embedded store or one on ClickHouse.

use std::fmt;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use sqlward_audit_store::STORE;
use sqlward_audit_store::clickhouse::{ClickHouse, Target};
use sqlward_audit_store::query::{
    AdminRow, Archive, AuditQuery, Coverage, Dimension, Measure, Row, Seen, SeenQuery,
    SessionEntry, SqlAnswer, SqlRange, TopEntry,
};
use sqlward_audit_store::record::{EventId, SessionId};

use crate::{asking, store::target};

/// Which store is asked.
#[derive(Debug, Args)]
#[group(required = true, multiple = false, id = "source")]
pub(crate) struct Place {
    /// The proxy's data folder.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// A ClickHouse store: clickhouse://[user@]host[:port]/database, or clickhouses:// for HTTPS; the password is in
    /// SQLWARD_STORE_PASSWORD, the file with its authorities in SQLWARD_STORE_CA.
    #[arg(long, value_name = "URL")]
    store: Option<Target>,
}

/// Which store is asked, if any.
#[derive(Debug, Args)]
#[group(required = false, multiple = false, id = "optional-source")]
pub(crate) struct OptionalPlace {
    /// The proxy's data folder.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// A ClickHouse store: clickhouse://[user@]host[:port]/database; the password is in SQLWARD_STORE_PASSWORD.
    #[arg(long, value_name = "URL")]
    store: Option<Target>,
}

impl OptionalPlace {
    /// Opens it, if one is named.
    pub(crate) fn open(&self) -> Result<Option<Source>> {
        if self.data.is_none() && self.store.is_none() {
            return Ok(None);
        }
        let place = Place {
            data: self.data.clone(),
            store: self.store.clone(),
        };
        place.open().map(Some)
    }
}

/// A store, open for reading.
pub(crate) enum Source {
    /// Files of this machine.
    Embedded(Archive),
    /// A server.
    ClickHouse(Box<ClickHouse>),
}

impl Place {
    /// The proxy's data folder, where it is that.
    pub(crate) fn data(&self) -> Option<&Path> {
        self.data.as_deref()
    }

    /// Notes that it was asked, before the answer is shown. What a ClickHouse store is asked, its own log has.
    pub(crate) fn note(&self, rows: usize) -> Result<()> {
        match &self.data {
            Some(data) => asking::note(data, rows),
            None => Ok(()),
        }
    }

    /// Opens it.
    pub(crate) fn open(&self) -> Result<Source> {
        match (&self.data, &self.store) {
            (Some(data), None) => {
                let archive = Archive::open(&data.join(STORE)).with_context(|| {
                    format!("`{}` holds no audit store of sqlward", data.display())
                })?;
                if archive.ships_elsewhere()? {
                    eprintln!(
                        "note: the proxy of `{}` ships its records to ClickHouse; ask there with --store URL",
                        data.display()
                    );
                }
                Ok(Source::Embedded(archive))
            }
            (None, Some(store)) => Ok(Source::ClickHouse(Box::new(open_clickhouse(store)?))),
            (None, None) | (Some(_), Some(_)) => bail!("say either --data or --store"),
        }
    }
}

/// Opens a ClickHouse store, as the environment says whom to trust and who asks.
pub(crate) fn open_clickhouse(store: &Target) -> Result<ClickHouse> {
    let authorities = std::env::var_os("SQLWARD_STORE_CA").map(PathBuf::from);
    let store = target(store.clone(), None)?.with_authorities(authorities);
    Ok(ClickHouse::open(store)?)
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.data, &self.store) {
            (Some(data), _) => write!(f, "{}", data.display()),
            (None, Some(store)) => write!(f, "{store}"),
            (None, None) => Ok(()),
        }
    }
}

impl Source {
    pub(crate) fn search(&self, query: &AuditQuery) -> Result<Vec<Row>> {
        Ok(match self {
            Self::Embedded(archive) => archive.search(query)?,
            Self::ClickHouse(store) => store.search(query)?,
        })
    }

    pub(crate) fn session(&self, id: SessionId) -> Result<Vec<SessionEntry>> {
        Ok(match self {
            Self::Embedded(archive) => archive.session(id)?,
            Self::ClickHouse(store) => store.session(id)?,
        })
    }

    pub(crate) fn event(&self, id: EventId) -> Result<Option<Row>> {
        Ok(match self {
            Self::Embedded(archive) => archive.event(id)?,
            Self::ClickHouse(store) => store.event(id)?,
        })
    }

    pub(crate) fn seen(
        &self,
        query: &SeenQuery,
        visit: &mut dyn FnMut(Vec<Seen>) -> ControlFlow<()>,
    ) -> Result<()> {
        match self {
            Self::Embedded(archive) => archive.seen(query, visit)?,
            Self::ClickHouse(store) => store.seen(query, visit)?,
        }
        Ok(())
    }

    /// What happened to proxies in a span of time, oldest first.
    pub(crate) fn administration(
        &self,
        from: Option<u64>,
        to: Option<u64>,
    ) -> Result<Vec<AdminRow>> {
        Ok(match self {
            Self::Embedded(archive) => archive.administration(from, to)?,
            Self::ClickHouse(store) => store.administration(from, to)?,
        })
    }

    /// Hash and generation of the policy in force, and when it came into force.
    pub(crate) fn in_force(&self) -> Result<Option<(String, i64, String)>> {
        let last = self.administration(None, None)?.into_iter().rev();
        let mut loads = last.filter_map(|admin| {
            let hash = admin.policy_hash()?.to_owned();
            Some((hash, admin.policy_generation, admin.at))
        });
        Ok(loads.next())
    }

    /// The hash of the policy that a statement was decided by: of the last start or load of its generation before it.
    pub(crate) fn policy_hash(&self, row: &Row) -> Result<Option<String>> {
        let before = self.administration(None, None)?.into_iter().rev();
        let mut of_generation = before
            .filter(|admin| admin.at <= row.at && admin.policy_generation == row.policy_generation);
        Ok(of_generation.find_map(|admin| admin.policy_hash().map(str::to_owned)))
    }

    pub(crate) fn top(
        &self,
        by: Dimension,
        measure: Measure,
        filter: &AuditQuery,
        most: usize,
    ) -> Result<Vec<TopEntry>> {
        Ok(match self {
            Self::Embedded(archive) => archive.top(by, measure, filter, most)?,
            Self::ClickHouse(store) => store.top(by, measure, filter, most)?,
        })
    }

    pub(crate) fn coverage(&self, from: Option<u64>, to: Option<u64>) -> Result<Coverage> {
        Ok(match self {
            Self::Embedded(archive) => archive.coverage(from, to)?,
            Self::ClickHouse(store) => store.coverage(from, to)?,
        })
    }

    /// An auditor's own query, in the SQL of the store.
    pub(crate) fn sql(&self, text: &str, range: SqlRange) -> Result<SqlAnswer> {
        Ok(match self {
            Self::Embedded(archive) => archive.sql(text, range)?,
            Self::ClickHouse(_) if range.from.is_some() || range.to.is_some() => {
                bail!(
                    "--from and --to choose the day files of --data; with --store, say WHERE at >= …"
                )
            }
            Self::ClickHouse(store) => SqlAnswer {
                table: store.sql(text, range.limit)?,
                partly: None,
            },
        })
    }
}
