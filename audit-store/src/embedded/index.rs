//! The text index: trigrams of statement texts, built behind the inserts so that it never delays them.
//!
//! `meta.indexed` says up to which text the index is complete. A search uses it up to there and reads the
//! rest, so that its answer does not depend on how far the index has come.

use std::time::{Duration, Instant};

use rusqlite::types::ValueRef;
use rusqlite::{Connection, params};

use super::{Store, StoreError};
use crate::time::Day;

/// The key in `meta` of the last text that is indexed.
pub(crate) const INDEXED: &str = "indexed";

/// How many texts go into one transaction.
const STEP: i64 = 500;

impl Store {
    /// Indexes texts of the open days until all are, or `budget` is spent; answers whether any is left.
    pub(crate) fn index_texts(&mut self, budget: Duration) -> Result<bool, StoreError> {
        let until = Instant::now() + budget;
        let days: Vec<Day> = self.days.keys().copied().collect();
        for day in days {
            let path = self.dir.join(super::day_name(day));
            let Some(file) = self.days.get(&day) else {
                continue;
            };
            while step(file.connection()).map_err(StoreError::sqlite(&path))? {
                if Instant::now() >= until {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }
}

/// Indexes everything that is not yet.
pub(super) fn complete(connection: &Connection) -> rusqlite::Result<()> {
    while step(connection)? {}
    Ok(())
}

/// Indexes the next texts; answers whether more may be left.
fn step(connection: &Connection) -> rusqlite::Result<bool> {
    let transaction = connection.unchecked_transaction()?;
    let done: i64 = transaction
        .prepare_cached("SELECT coalesce((SELECT value FROM meta WHERE key = ?), 0)")?
        .query_row([INDEXED], |row| row.get(0))?;
    let mut last = done;
    let mut count = 0;
    {
        let mut select = transaction
            .prepare_cached("SELECT id, body FROM text WHERE id > ? ORDER BY id LIMIT ?")?;
        let mut insert =
            transaction.prepare_cached("INSERT INTO text_index (rowid, body) VALUES (?, ?)")?;
        let mut rows = select.query(params![done, STEP])?;
        while let Some(row) = rows.next()? {
            last = row.get(0)?;
            count += 1;
            let body = match row.get_ref(1)? {
                ValueRef::Text(text) | ValueRef::Blob(text) => String::from_utf8_lossy(text),
                ValueRef::Null | ValueRef::Integer(_) | ValueRef::Real(_) => "".into(),
            };
            insert.execute(params![last, body])?;
        }
    }
    if count == 0 {
        return Ok(false);
    }
    transaction
        .prepare_cached("INSERT OR REPLACE INTO meta VALUES (?, ?)")?
        .execute(params![INDEXED, last])?;
    transaction.commit()?;
    Ok(count == STEP)
}
