//! The embedded store: one SQLite file per UTC day, and a main file with the shipper's progress.
//!
//! ```text
//! <dir>/main.db          progress of each lane, entries still needed, analyses, hashes of sealed days
//! <dir>/2026-11-23.db    one day, complete in itself
//! ```
//! A day file holds the journal's entries in compressed blocks, and statements are read out of these; what else is in
//! it makes them quick to find. The writer keeps in memory what a shipment holds (compressed, and at most one block
//! per lane that is not yet) and the ids of some ten thousand names; a reader one unpacked block and its rows.
//!
//! One process writes ([`Store`]); any number read ([`crate::query::Archive`]) at the same time.

mod aside;
mod block;
mod compare;
mod context;
mod day;
mod entries;
mod error;
mod flat;
mod grams;
mod main_file;
mod outbox;
mod refill;
mod rollup;
mod schema;
mod seal;
mod statements;
#[cfg(test)]
mod tests;
mod tree;
mod verify;
mod walk;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

pub(crate) use self::block::{Block, MOST_BYTES, Packed};
pub(crate) use self::context::Aside;
pub(crate) use self::day::{DayBatch, address};
pub(crate) use self::entries::{Entries, MOST_UNPACKED, StoredBlock};
pub use self::error::StoreError;
pub(crate) use self::flat::{
    FlatShape, Resolved, TextState, intent, name, parameters, rank, rules, shape, sqlstate,
    text as readable,
};
pub(crate) use self::grams::may_hold;
pub(crate) use self::main_file::{KeptEntry, LaneProgress, LaneState};
pub(crate) use self::outbox::{Outgoing, What, batch_id};
pub(crate) use self::refill::{BlockStart, Refill};
pub(crate) use self::rollup::MINUTE_US;
pub(crate) use self::statements::add_statements;
pub use self::tree::append;
pub(crate) use self::verify::Before;
pub use self::verify::{ChainReport, Finding, Scope, SignedUpTo, Trust};

pub(crate) use self::walk::Walk;

use self::day::DayFile;
use self::main_file::MainFile;
use crate::event::{MAX_SEQ, Seq, row_key};
use crate::journal::{Gap, LaneHead};
use crate::ship::pairing::Keep;
use crate::time::Day;

/// How the embedded store behaves.
#[derive(Clone, Debug)]
pub struct StoreSettings {
    /// How many days are kept.
    pub retention_days: u32,
    /// How long after its end a day is sealed at the earliest, in seconds: late records should not reopen it.
    pub seal_delay_secs: u64,
    /// Whether what is committed is on the disk, so that it survives the loss of power.
    pub synced: bool,
}

impl Default for StoreSettings {
    fn default() -> Self {
        Self {
            retention_days: 190,
            seal_delay_secs: 3600,
            synced: false,
        }
    }
}

/// The embedded store, as its one writer has it.
pub struct Store {
    dir: PathBuf,
    settings: StoreSettings,
    main: MainFile,
    days: HashMap<Day, DayFile>,
    last_checkpoint: Option<tree::Said>,
    /// Held for its lock.
    _lock: std::fs::File,
}

/// What one shipment changes.
#[derive(Default)]
pub(crate) struct Batch {
    pub(crate) days: BTreeMap<Day, DayBatch>,
    /// Payloads of shape entries, with the day they were seen.
    pub(crate) shapes: Vec<(Day, Vec<u8>)>,
    pub(crate) kept: Vec<(u16, Keep)>,
    pub(crate) lanes: Vec<LaneProgress>,
    pub(crate) gaps: Vec<(u16, Gap)>,
}

impl Batch {
    /// What the batch changes in one day.
    pub(crate) fn day(&mut self, day: Day) -> &mut DayBatch {
        self.days.entry(day).or_default()
    }
}

impl Store {
    /// Opens the store in `dir`, making it where there is none.
    ///
    /// # Errors
    /// Where the directory can't be written, another process writes there, or a file is of another version.
    pub fn open(dir: &Path, settings: StoreSettings) -> Result<Self, StoreError> {
        crate::files::private_dir(dir).map_err(|source| StoreError::NotWritable {
            path: dir.to_owned(),
            source,
        })?;
        let path = dir.join("lock");
        let lock = crate::files::private_file(&path).map_err(StoreError::io(&path))?;
        rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive)
            .map_err(|_| StoreError::InUse(dir.to_owned()))?;
        let main = MainFile::open(&dir.join(MAIN_NAME), settings.synced)?;
        if let Some(oldest) = stored_days(dir)?.first() {
            main.forget_shapes(*oldest)?;
        }
        let store = Self {
            dir: dir.to_owned(),
            settings,
            main,
            days: HashMap::new(),
            last_checkpoint: None,
            _lock: lock,
        };
        store.set_unreadable_aside()?;
        Ok(store)
    }

    /// How far each lane has come in the store, what a shipment that was cut short wrote included.
    ///
    /// # Errors
    /// Where the store can't be read.
    pub fn heads(&self) -> Result<Vec<LaneHead>, StoreError> {
        let mut heads = Vec::new();
        for progress in self.main.lanes()? {
            let behind = self.blocks_behind(progress.head, Some(progress.day))?;
            heads.push(behind.last().copied().unwrap_or(progress.head));
        }
        Ok(heads)
    }

    /// What the store remembers of each lane.
    pub(crate) fn lanes(&self) -> Result<Vec<LaneState>, StoreError> {
        self.main.states()
    }

    /// The ends of the blocks that a lane has behind its progress, in order: a shipment wrote them, and was cut short
    /// before it noted so. When it is repeated its blocks must end where they did, also if their day was sealed since.
    ///
    /// `since` is the day that the lane had come to, if it had come to any: what is sealed and before it holds none.
    pub(crate) fn blocks_behind(
        &self,
        head: LaneHead,
        since: Option<Day>,
    ) -> Result<Vec<LaneHead>, StoreError> {
        let mut ends = Vec::new();
        for day in stored_days(&self.dir)? {
            let sealed = self.main.is_sealed(day)?;
            if sealed && since.is_some_and(|since| day < since) {
                continue;
            }
            let path = self.dir.join(day_name(day));
            if !sealed {
                roll_back(&path).map_err(StoreError::sqlite(&path))?;
            }
            let file = match crate::query::open(&path) {
                Ok(file) => file,
                Err(StoreError::Version { found: 0, .. }) => continue,
                Err(error) => return Err(error),
            };
            let range = [head.seq, Seq(MAX_SEQ)].map(|seq| row_key(head.lane, seq));
            let read = || -> rusqlite::Result<Vec<LaneHead>> {
                file.prepare("SELECT last, head FROM block WHERE id > ? AND id <= ?")?
                    .query_map(range, |row| {
                        Ok(LaneHead {
                            lane: head.lane,
                            seq: Seq(row.get::<_, i64>(0)? as u64),
                            chain: row.get(1)?,
                        })
                    })?
                    .collect()
            };
            match read().map_err(StoreError::sqlite(&path)) {
                Ok(read) => ends.extend(read),
                Err(error) if error.is_damage() => aside::set_aside(&path, &error)?,
                Err(error) => return Err(error),
            }
        }
        ends.sort_by_key(|end| end.seq);
        Ok(ends)
    }

    /// Writes a shipment: day files first, then the progress. Repeating it changes nothing.
    ///
    /// Answers how many statements were new.
    pub(crate) fn commit(&mut self, batch: &Batch) -> Result<u64, StoreError> {
        self.main.shapes(&batch.shapes)?;
        let mut new = 0;
        for (day, rows) in &batch.days {
            new += self.commit_day(*day, rows)?;
        }
        self.main.progress(batch, &[])?;
        Ok(new)
    }

    fn commit_day(&mut self, day: Day, rows: &DayBatch) -> Result<u64, StoreError> {
        match self.add_to_day(day, rows) {
            Err(error) if error.is_damage() => {
                self.set_day_aside(day, &error)?;
                self.add_to_day(day, rows)
            }
            done => done,
        }
    }

    fn add_to_day(&mut self, day: Day, rows: &DayBatch) -> Result<u64, StoreError> {
        self.open_day(day)?;
        let Some(file) = self.days.get_mut(&day) else {
            return Ok(0);
        };
        let main = &self.main;
        file.insert(rows, &mut |key| main.shape(key, day))
    }

    fn open_day(&mut self, day: Day) -> Result<(), StoreError> {
        if self.days.contains_key(&day) {
            return Ok(());
        }
        if self.days.len() >= MOST_DAYS {
            self.days.clear();
        }
        self.unseal(day)?;
        let file = DayFile::open(&self.dir.join(day_name(day)), self.settings.synced)?;
        self.days.insert(day, file);
        Ok(())
    }
}

/// The name of the main file.
pub(crate) const MAIN_NAME: &str = "main.db";

/// The name of a day's file.
pub(crate) fn day_name(day: Day) -> String {
    format!("{day}.db")
}

/// The days that have a file in `dir`, oldest first.
pub(crate) fn stored_days(dir: &Path) -> Result<Vec<Day>, StoreError> {
    let mut days = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(StoreError::io(dir))? {
        let entry = entry.map_err(StoreError::io(dir))?;
        let name = entry.file_name();
        days.extend(
            name.to_str()
                .and_then(|name| name.strip_suffix(".db"))
                .and_then(Day::parse),
        );
    }
    days.sort();
    Ok(days)
}

/// Opens a file for its one writer and makes its tables.
fn open_writable(path: &Path, tables: &str, synced: bool) -> Result<Connection, StoreError> {
    // SQLite would make it with the process's umask; its side files take the permissions from it.
    crate::files::private_file(path).map_err(StoreError::io(path))?;
    let connection = Connection::open(path).map_err(StoreError::sqlite(path))?;
    prepare(&connection, tables, synced).map_err(StoreError::sqlite(path))?;
    let found = version(&connection).map_err(StoreError::sqlite(path))?;
    if found != schema::VERSION {
        let known = schema::VERSION;
        return Err(StoreError::Version {
            path: path.to_owned(),
            found,
            known,
        });
    }
    Ok(connection)
}

/// Takes back what a process that was killed while it sealed or unsealed a day had not finished: readers can't.
fn roll_back(path: &Path) -> rusqlite::Result<()> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(std::time::Duration::from_secs(10))?;
    version(&connection).map(drop)
}

fn prepare(connection: &Connection, tables: &str, synced: bool) -> rusqlite::Result<()> {
    connection.set_prepared_statement_cache_capacity(64);
    connection.busy_timeout(std::time::Duration::from_secs(10))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // NORMAL keeps the file whole at the loss of power, but not the last commits.
    let synchronous = if synced { "FULL" } else { "NORMAL" };
    connection.pragma_update(None, "synchronous", synchronous)?;
    // The later a checkpoint, the fewer times a page is written.
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "cache_size", -32_768)?;
    // The writer alone keeps references right; readers never change anything.
    connection.pragma_update(None, "foreign_keys", "OFF")?;
    if version(connection)? == 0 {
        // All at once: readers find either nothing or everything.
        let transaction = connection.unchecked_transaction()?;
        transaction.execute_batch(tables)?;
        transaction.pragma_update(None, "user_version", schema::VERSION)?;
        transaction.commit()?;
    }
    Ok(())
}

/// The schema version that a file carries; 0 for a fresh one.
pub(crate) fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// The schema version that this program writes.
pub(crate) const VERSION: i64 = schema::VERSION;

/// How many pages (of 4 KiB) a write-ahead log holds before they move to its file.
const CHECKPOINT_PAGES: i64 = 4096;

/// How many day files are held open for writing.
const MOST_DAYS: usize = 4;
