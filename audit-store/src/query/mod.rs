//! Questions to the store: the typed reads that the command line, reports and the console use.
//!
//! [`Archive`] reads what [`crate::embedded::Store`] writes, at the same time and from any process.

mod by_time;
mod coverage;
mod filter;
mod row;
mod seen;
mod session;
mod sql;
mod table;
mod top;
mod whole;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::functions::FunctionFlags;
use rusqlite::{Connection, OpenFlags, params_from_iter};

pub(crate) use self::coverage::EXTENT;
pub use self::coverage::{Coverage, Extent, UNRECORDED};
pub use self::filter::{AuditQuery, Order};
pub use self::row::{AdminRow, Json, Row, SessionRow, StoredText};
pub(crate) use self::seen::Rows as SeenRows;
pub use self::seen::{Seen, SeenColumn, SeenObject, SeenQuery, SeenShape, SeenSubject, SeenText};
pub use self::session::{SessionEntry, SessionQuery};
pub use self::sql::{Partly, SqlAnswer, SqlError, SqlRange};
pub use self::table::{Cell, Format, Table};
pub use self::top::{Dimension, Measure, TopEntry};
pub(crate) use self::whole::Thing;

use self::row::statement_tables;
use crate::embedded::{
    MAIN_NAME, StoreError, VERSION, add_statements, day_name, may_hold, stored_days, version,
};
use crate::event::{EventId, row_key, split_row_key};
use crate::time::{Day, rfc3339};

/// A store, open for reading.
#[derive(Clone, Debug)]
pub struct Archive {
    dir: PathBuf,
}

impl Archive {
    /// Opens the store in `dir` for reading.
    ///
    /// # Errors
    /// Where there is no store.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        if dir.join(MAIN_NAME).is_file() {
            Ok(Self {
                dir: dir.to_owned(),
            })
        } else {
            Err(StoreError::Missing(dir.to_owned()))
        }
    }

    /// The statements that a query asks for.
    ///
    /// # Errors
    /// Where a day file can't be read.
    pub fn search(&self, query: &AuditQuery) -> Result<Vec<Row>, StoreError> {
        let mut rows = Vec::new();
        self.each(query, |row| {
            rows.push(row);
            ControlFlow::Continue(())
        })?;
        Ok(rows)
    }

    /// Shows the statements that a query asks for one after the other, until `visit` breaks off.
    ///
    /// # Errors
    /// Where a day file can't be read.
    pub fn each(
        &self,
        query: &AuditQuery,
        mut visit: impl FnMut(Row) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        match query.order {
            Order::Newest | Order::Oldest => self.each_by_time(query, &mut visit),
            Order::Longest | Order::MostRows => self.each_by_size(query, &mut visit),
        }
    }

    fn each_by_time(
        &self,
        query: &AuditQuery,
        visit: &mut dyn FnMut(Row) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let mut left = query.limit;
        let mut days = self.days(query.from, query.to)?;
        if query.order == Order::Newest {
            days.reverse();
        }
        for day in days {
            let Some((path, connection)) = self.day(day)? else {
                continue;
            };
            let wanted = left;
            let mut stop = false;
            let mut show = |row| {
                left = left.map(|left| left.saturating_sub(1));
                stop = visit(row).is_break();
                if stop {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            };
            match wanted {
                Some(0) => break,
                Some(wanted) => by_time::read(&connection, query, wanted, &mut show),
                None => read_whole(&connection, query, None, &mut show),
            }
            .map_err(StoreError::sqlite(&path))?;
            if stop {
                break;
            }
        }
        Ok(())
    }

    /// The largest of every day, then the largest of those.
    fn each_by_size(
        &self,
        query: &AuditQuery,
        visit: &mut dyn FnMut(Row) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let mut rows: Vec<Row> = Vec::new();
        let size = |row: &Row| match query.order {
            Order::MostRows => row.rows.max(row.affected),
            Order::Longest | Order::Newest | Order::Oldest => row.duration_us,
        };
        for day in self.days(query.from, query.to)?.into_iter().rev() {
            let Some((path, connection)) = self.day(day)? else {
                continue;
            };
            read_whole(&connection, query, query.limit, &mut |row| {
                rows.push(row);
                ControlFlow::Continue(())
            })
            .map_err(StoreError::sqlite(&path))?;
            // Stable, and days come newest first: equals stay in the order of time.
            rows.sort_by_key(|row| std::cmp::Reverse(size(row)));
            rows.truncate(query.limit.unwrap_or(usize::MAX));
        }
        for row in rows {
            if visit(row).is_break() {
                break;
            }
        }
        Ok(())
    }

    /// The statement of an event id. The id of a prepare whose row its execution took over finds that row.
    ///
    /// # Errors
    /// Where the day file can't be read.
    pub fn event(&self, id: EventId) -> Result<Option<Row>, StoreError> {
        let day = Day::of(id.wall_ms().saturating_mul(1000));
        let exact = "s.id = ?1 AND w.node = ?2 AND s.block IN (
            SELECT max(id) FROM block WHERE id <= ?1 UNION SELECT block FROM carried WHERE id = ?1)";
        if let Some(row) = self.one(day, exact, id)? {
            return Ok(Some(row));
        }
        // An execution comes soon behind its prepare.
        let near = format!(
            "s.id BETWEEN ?1 AND ?1 + {NEAR} AND s.continues = (?1 & 281474976710655) AND w.node = ?2
             AND s.block IN (SELECT max(id) FROM block WHERE id <= ?1
                UNION SELECT id FROM block WHERE id BETWEEN ?1 AND ?1 + {NEAR}
                UNION SELECT block FROM carried WHERE id BETWEEN ?1 AND ?1 + {NEAR})"
        );
        self.one(day, &near, id)
    }

    fn one(&self, day: Day, condition: &str, id: EventId) -> Result<Option<Row>, StoreError> {
        let Some((path, connection)) = self.day(day)? else {
            return Ok(None);
        };
        let (select, tables) = (Row::select(), statement_tables("main", STATEMENTS));
        let sql = format!("SELECT {select} FROM {tables} WHERE {condition} ORDER BY s.id LIMIT 1");
        let read = || {
            let mut statement = connection.prepare(&sql)?;
            let mut rows = statement.query((id.row_key(), id.node()))?;
            rows.next()?.map(Row::read).transpose()
        };
        read().map_err(StoreError::sqlite(&path))
    }

    /// What happened to the proxy itself, oldest first.
    ///
    /// # Errors
    /// Where a day file can't be read.
    pub fn administration(
        &self,
        from: Option<u64>,
        to: Option<u64>,
    ) -> Result<Vec<AdminRow>, StoreError> {
        let bound =
            |us: Option<u64>, none: i64| us.map_or(none, |us| us.min(i64::MAX as u64) as i64);
        let (low, high) = (bound(from, i64::MIN), bound(to, i64::MAX));
        let mut found = Vec::new();
        for day in self.days(from, to)? {
            let Some((path, connection)) = self.day(day)? else {
                continue;
            };
            let sql = format!(
                "SELECT {} FROM admin a WHERE a.at_us >= ? AND a.at_us < ? ORDER BY a.at_us, a.id",
                AdminRow::select()
            );
            let read = || -> rusqlite::Result<Vec<AdminRow>> {
                connection
                    .prepare(&sql)?
                    .query_map([low, high], AdminRow::read)?
                    .collect()
            };
            found.extend(read().map_err(StoreError::sqlite(&path))?);
        }
        Ok(found)
    }

    /// The days that may hold something of a span of time, oldest first.
    fn days(&self, from: Option<u64>, to: Option<u64>) -> Result<Vec<Day>, StoreError> {
        let first = from.map_or(Day(0), Day::of);
        let last = to.map_or(Day(u32::MAX), |to| Day::of(to.saturating_sub(1)));
        let mut days = stored_days(&self.dir)?;
        days.retain(|day| (first..=last).contains(day));
        Ok(days)
    }

    /// The directory.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Opens a day file; `None` where it is gone by now, or has just been made and holds nothing yet.
    pub(crate) fn day(&self, day: Day) -> Result<Option<(PathBuf, Connection)>, StoreError> {
        let path = self.dir.join(day_name(day));
        if !path.exists() {
            return Ok(None);
        }
        match open(&path) {
            Ok(connection) => Ok(Some((path, connection))),
            Err(StoreError::Version { found: 0, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Opens a file for reading, with the functions that the select lists use.
pub(crate) fn open(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(StoreError::sqlite(path))?;
    let set_up = || {
        connection.busy_timeout(Duration::from_secs(10))?;
        connection.pragma_update(None, "query_only", "ON")?;
        connection.pragma_update(None, "temp_store", "MEMORY")?;
        add_functions(&connection)?;
        add_statements(&connection, STATEMENTS, path)?;
        version(&connection)
    };
    let found = set_up().map_err(StoreError::sqlite(path))?;
    if found != VERSION {
        return Err(StoreError::Version {
            path: path.to_owned(),
            found,
            known: VERSION,
        });
    }
    Ok(connection)
}

/// Shows what a query asks of one day, in its order.
fn read_whole(
    connection: &Connection,
    query: &AuditQuery,
    limit: Option<usize>,
    visit: &mut dyn FnMut(Row) -> ControlFlow<()>,
) -> rusqlite::Result<()> {
    let (asked, values) = query.conditions().whole();
    let limit = limit.map_or(-1, |limit| i64::try_from(limit).unwrap_or(-1));
    let sql = format!(
        "SELECT {} FROM {} WHERE {asked} ORDER BY {} LIMIT {limit}",
        Row::select(),
        statement_tables("main", STATEMENTS),
        query.order.sql(),
    );
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query(params_from_iter(values))?;
    while let Some(row) = rows.next()? {
        if visit(Row::read(row)?).is_break() {
            break;
        }
    }
    Ok(())
}

/// `event_id(start_us, node, id)`, `rfc3339(us)` and `may_hold(filter, text)`.
fn add_functions(connection: &Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    connection.create_scalar_function("event_id", 3, flags, |context| {
        let (start_us, node, key) = (context.get::<i64>(0)?, context.get(1)?, context.get(2)?);
        let (lane, seq) = split_row_key(key);
        let wall_ms = u64::try_from(start_us).unwrap_or(0) / 1000;
        Ok(EventId::new(wall_ms, node, lane, seq).to_string())
    })?;
    connection.create_scalar_function("rfc3339", 1, flags, |context| {
        let us: Option<i64> = context.get(0)?;
        Ok(us.map(|us| rfc3339(u64::try_from(us).unwrap_or(0))))
    })?;
    connection.create_scalar_function("may_hold", 2, flags, |context| {
        let wanted = context.get_raw(1).as_bytes()?;
        Ok(may_hold(context.get_raw(0).as_blob()?, wanted))
    })
}

/// The virtual table of a day file's statements.
const STATEMENTS: &str = "statement";

/// How far behind its prepare an execution is looked for, in entries of the lane.
const NEAR: i64 = 100_000;

const _: () = assert!(row_key(0, crate::event::Seq(crate::event::MAX_SEQ)) == 281_474_976_710_655);
