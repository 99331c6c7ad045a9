//! Goes through a store's blocks in the order of the tree.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use rusqlite::{Connection, OptionalExtension};

use super::entries::StoredBlock;
use super::error::StoreError;
use super::main_file::LaneProgress;
use super::tree::{self, GONE};
use super::{MAIN_NAME, main_file};
use crate::proof::leaf::Leaf;
use crate::proof::merkle::Frontier;
use crate::query::Archive;
use crate::time::Day;

/// A store, seen as it was when the walk began.
pub(crate) struct Walk<'a> {
    archive: &'a Archive,
    main: Connection,
    path: PathBuf,
    days: HashMap<Day, Option<(PathBuf, Connection)>>,
}

impl<'a> Walk<'a> {
    pub(crate) fn new(archive: &'a Archive) -> Result<Self, StoreError> {
        let path = archive.dir().join(MAIN_NAME);
        let main = crate::query::open(&path)?;
        main.execute_batch("BEGIN")
            .map_err(StoreError::sqlite(&path))?;
        Ok(Self {
            archive,
            main,
            path,
            days: HashMap::new(),
        })
    }

    fn main<T>(&self, read: rusqlite::Result<T>) -> Result<T, StoreError> {
        read.map_err(StoreError::sqlite(&self.path))
    }

    /// The edge of the leaves that retention took.
    pub(crate) fn gone(&self) -> Result<Frontier, StoreError> {
        self.main(tree::edge(&self.main, GONE))
    }

    /// The notes of the checkpoints, oldest first.
    pub(crate) fn checkpoints(&self) -> Result<Vec<String>, StoreError> {
        self.main(tree::checkpoints(&self.main))
    }

    /// How far each lane came.
    pub(crate) fn lanes(&self) -> Result<Vec<LaneProgress>, StoreError> {
        self.main(main_file::lanes(&self.main))
    }

    /// A leaf, as it is stored.
    pub(crate) fn leaf(&self, position: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let read = || {
            self.main
                .prepare_cached("SELECT data FROM leaf WHERE id = ?")?
                .query_row([position as i64], |row| row.get(0))
                .optional()
        };
        self.main(read())
    }

    /// The payload of a shape.
    pub(crate) fn shape(&self, key: &[u8; 16]) -> Result<Option<Vec<u8>>, StoreError> {
        let read = || {
            self.main
                .prepare_cached("SELECT payload FROM shape WHERE key = ?")?
                .query_row([key], |row| row.get(0))
                .optional()
        };
        self.main(read())
    }

    /// The last leaf whose block has statements of a span of time, in µs since 1970.
    pub(crate) fn last_leaf(
        &mut self,
        days: RangeInclusive<Day>,
        (from_us, to_us): (u64, u64),
    ) -> Result<Option<u64>, StoreError> {
        let mut last = None;
        for day in super::stored_days(self.archive.dir())? {
            if !days.contains(&day) {
                continue;
            }
            let Some((path, connection)) = self.archive.day(day)? else {
                continue;
            };
            let read = || -> rusqlite::Result<Vec<i64>> {
                connection
                    .prepare("SELECT id FROM block WHERE to_us >= ? AND from_us < ?")?
                    .query_map([from_us as i64, to_us as i64], |row| row.get(0))?
                    .collect()
            };
            for block in read().map_err(StoreError::sqlite(&path))? {
                let found = self.main(tree::leaf_of(&self.main, block))?;
                last = last.max(found.map(|(position, _)| position));
            }
        }
        Ok(last)
    }

    /// The block of a leaf; `None` where it is gone.
    pub(crate) fn block(&mut self, leaf: &Leaf) -> Result<Option<StoredBlock>, StoreError> {
        if !self.days.contains_key(&leaf.day) {
            if self.days.len() >= MOST_OPEN {
                self.days.clear();
            }
            let day = self.archive.day(leaf.day)?;
            self.days.insert(leaf.day, day);
        }
        let Some(Some((path, connection))) = self.days.get(&leaf.day) else {
            return Ok(None);
        };
        StoredBlock::read(connection, leaf.block()).map_err(StoreError::sqlite(path))
    }
}

/// How many day files are held open.
const MOST_OPEN: usize = 4;
