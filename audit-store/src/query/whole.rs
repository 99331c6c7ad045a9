//! Everything that a day holds, for moving it to another store.

use std::collections::HashMap;
use std::fs::File;
use std::ops::ControlFlow;

use rustix::fs::FlockOperation;

use super::row::session_tables;
use super::{AdminRow, Archive, AuditQuery, Order, Row, SessionRow, open, read_whole};
use crate::chain::hex;
use crate::embedded::{MAIN_NAME, StoreError};
use crate::event::split_row_key;
use crate::query::Cell;
use crate::time::Day;

/// One thing of a day, as a row for the other store.
pub(crate) enum Thing {
    Statement(Box<Row>),
    Step(Box<SessionRow>),
    Admin(AdminRow),
    Block(BlockRow),
}

/// A block of the journal's entries.
pub(crate) struct BlockRow {
    pub(crate) lane: u16,
    pub(crate) first: u64,
    /// last, previous, head, length, frames; bytes in hexadecimal.
    pub(crate) cells: Vec<Cell>,
}

impl Archive {
    /// Keeps the store's writer away for as long as the answer lives.
    pub(crate) fn hold(&self) -> Result<File, StoreError> {
        let path = self.dir.join("lock");
        let lock = File::open(&path).map_err(StoreError::io(&path))?;
        rustix::fs::flock(&lock, FlockOperation::NonBlockingLockShared)
            .map_err(|_| StoreError::InUse(self.dir.clone()))?;
        Ok(lock)
    }

    /// The days that have a file, oldest first.
    pub(crate) fn all_days(&self) -> Result<Vec<Day>, StoreError> {
        self.days(None, None)
    }

    /// The node of each lane.
    pub(crate) fn nodes(&self) -> Result<HashMap<u16, u16>, StoreError> {
        let path = self.dir.join(MAIN_NAME);
        let main = open(&path)?;
        let read = || -> rusqlite::Result<HashMap<u16, u16>> {
            main.prepare("SELECT lane, node FROM lane")?
                .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect()
        };
        read().map_err(StoreError::sqlite(&path))
    }

    /// Shows everything that a day holds: blocks last, so that a proof stands only where its records do.
    pub(crate) fn whole_day(
        &self,
        day: Day,
        mut show: impl FnMut(Thing) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let Some((path, file)) = self.day(day)? else {
            return Ok(());
        };
        let mut read = || -> rusqlite::Result<()> {
            let query = AuditQuery {
                order: Order::Oldest,
                ..AuditQuery::default()
            };
            let mut going = ControlFlow::Continue(());
            read_whole(&file, &query, None, &mut |row| {
                going = show(Thing::Statement(Box::new(row)));
                going
            })?;
            let steps = format!(
                "SELECT {} FROM {} ORDER BY e.id, e.step",
                SessionRow::select(),
                session_tables("main")
            );
            let admins = format!("SELECT {} FROM admin a ORDER BY a.id", AdminRow::select());
            let blocks = "SELECT id, last, previous, head, length, frames FROM block ORDER BY id";
            let mut steps = file.prepare(&steps)?;
            let mut steps = steps.query([])?;
            while let (true, Some(row)) = (going.is_continue(), steps.next()?) {
                going = show(Thing::Step(Box::new(SessionRow::read(row)?)));
            }
            let mut admins = file.prepare(&admins)?;
            let mut admins = admins.query([])?;
            while let (true, Some(row)) = (going.is_continue(), admins.next()?) {
                going = show(Thing::Admin(AdminRow::read(row)?));
            }
            let mut blocks = file.prepare(blocks)?;
            let mut blocks = blocks.query([])?;
            while let (true, Some(row)) = (going.is_continue(), blocks.next()?) {
                going = show(Thing::Block(block(row)?));
            }
            Ok(())
        };
        read().map_err(StoreError::sqlite(&path))
    }
}

fn block(row: &rusqlite::Row<'_>) -> rusqlite::Result<BlockRow> {
    let (lane, first) = split_row_key(row.get(0)?);
    let bytes = |place: usize| row.get::<_, Vec<u8>>(place).map(|bytes| hex(&bytes));
    Ok(BlockRow {
        lane,
        first: first.0,
        cells: vec![
            Cell::Integer(row.get(1)?),
            Cell::Text(bytes(2)?),
            Cell::Text(bytes(3)?),
            Cell::Integer(row.get(4)?),
            Cell::Text(bytes(5)?),
        ],
    })
}
