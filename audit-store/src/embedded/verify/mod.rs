//! Verification: do the rows say what the journal said, and does the journal's chain hold?
//!
//! Every day file carries the journal's entries behind its rows. Verification unpacks them, recomputes the
//! chain across all days, repeats the pairing, and compares every row with what it finds. An edited, removed,
//! added or reordered row or entry shows; so does a cut-off tail, as long as the main file was not cut with it.
//! (Whoever can rewrite everything consistently is caught by signed checkpoints, not here.)
//!
//! What began before the oldest day that is kept can't be known: such sessions and texts are counted, not judged.

mod rows;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension};

use super::block::{Block, StoredBlock};
use super::compare::{self, Comparison};
use super::main_file;
use super::seal::hash_file;
use super::{MAIN_NAME, StoreError, day_name, stored_days};
use crate::chain::Hash;
use crate::event::{Seq, split_row_key};
use crate::journal::Frame;
use crate::query::Archive;
use crate::ship::pairing::Pairing;
use crate::ship::rows::Emitted;
use crate::time::Day;

/// What verification found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChainReport {
    /// Entries whose chain was recomputed.
    pub entries: u64,
    /// Statement rows that were compared with their entries.
    pub rows: u64,
    /// Rows whose session began before the oldest day that is kept.
    pub unknown_sessions: u64,
    /// Rows whose text was sent before the oldest day that is kept.
    pub unknown_texts: u64,
    /// Everything that is not as it should be; empty where all is well. The first thousand.
    pub findings: Vec<Finding>,
}

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Finding {
    /// The file.
    pub file: PathBuf,
    /// The lane, where it is about one.
    pub lane: Option<u16>,
    /// The entry, where it is about one.
    pub seq: Option<u64>,
    /// What is wrong.
    pub what: String,
}

impl ChainReport {
    /// Whether nothing was found.
    #[must_use]
    pub fn is_intact(&self) -> bool {
        self.findings.is_empty()
    }

    fn add(&mut self, file: &Path, key: Option<i64>, what: impl Into<String>) {
        if self.findings.len() < MOST_FINDINGS {
            let (lane, seq) = key.map(split_row_key).map_or((None, None), |(lane, seq)| {
                (Some(lane), (seq.0 > 0).then_some(seq.0))
            });
            self.findings.push(Finding {
                file: file.to_owned(),
                lane,
                seq,
                what: what.into(),
            });
        }
    }
}

const MOST_FINDINGS: usize = 1000;

impl Archive {
    /// Recomputes the chain from what is stored and compares every row with it.
    ///
    /// A proxy may be writing meanwhile; at midnight a shipment that touches two days can then be seen by
    /// halves, so a finding made while it runs is worth a second look.
    ///
    /// # Errors
    /// Where a file can't be read at all. Damage is no error but a finding.
    pub fn verify(&self) -> Result<ChainReport, StoreError> {
        let mut verifier = Verifier::new(self)?;
        let days = stored_days(self.dir())?;
        verifier.check_seals(&days)?;
        for day in &days {
            let checked = verifier.check_day(*day);
            verifier.survive(checked)?;
        }
        let finished = verifier.finish(&days);
        verifier.survive(finished)?;
        Ok(verifier.report)
    }
}

struct Verifier<'a> {
    archive: &'a Archive,
    main: Connection,
    main_path: PathBuf,
    lanes: BTreeMap<u16, Lane>,
    /// Digests of shapes, by key, as the entries have them.
    shapes: HashMap<[u8; 16], Hash>,
    days: HashMap<Day, (PathBuf, Connection)>,
    /// How many rows entries explain, per day: statements, session events, administration.
    explained: HashMap<Day, [u64; 3]>,
    /// Rows that are missing unless their execution turns out to have taken them over.
    absent: HashSet<(Day, i64)>,
    report: ChainReport,
}

struct Lane {
    pairing: Pairing,
    seq: Seq,
    chain: Hash,
}

impl<'a> Verifier<'a> {
    fn new(archive: &'a Archive) -> Result<Self, StoreError> {
        let main_path = archive.dir().join(MAIN_NAME);
        let main = crate::query::open(&main_path)?;
        Ok(Self {
            archive,
            main,
            main_path,
            lanes: BTreeMap::new(),
            shapes: HashMap::new(),
            days: HashMap::new(),
            explained: HashMap::new(),
            absent: HashSet::new(),
            report: ChainReport::default(),
        })
    }

    /// What SQLite can't read is a finding; anything else is an error.
    fn survive(&mut self, result: Result<(), StoreError>) -> Result<(), StoreError> {
        match result {
            Err(StoreError::Sqlite { path, source }) => {
                self.report
                    .add(&path, None, format!("the file can't be read: {source}"));
                Ok(())
            }
            other => other,
        }
    }

    /// Sealed files must hash to what was recorded, and be there.
    fn check_seals(&mut self, days: &[Day]) -> Result<(), StoreError> {
        let read = || -> rusqlite::Result<Vec<(u32, Hash)>> {
            self.main
                .prepare("SELECT day, sha256 FROM day WHERE sha256 IS NOT NULL ORDER BY day")?
                .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect()
        };
        for (day, recorded) in read().map_err(StoreError::sqlite(&self.main_path))? {
            let day = Day(day);
            let path = self.archive.dir().join(day_name(day));
            if !days.contains(&day) {
                self.report
                    .add(&path, None, "the sealed day's file is missing");
            } else if hash_file(&path)? != recorded {
                self.report
                    .add(&path, None, "the sealed day's file was changed");
            }
        }
        Ok(())
    }

    fn check_day(&mut self, day: Day) -> Result<(), StoreError> {
        let Some((path, connection)) = self.archive.day(day)? else {
            return Ok(());
        };
        // One view of the file, whatever is written meanwhile.
        connection
            .execute_batch("BEGIN")
            .map_err(StoreError::sqlite(&path))?;
        self.explained.entry(day).or_default();
        self.days.insert(day, (path.clone(), connection));
        let mut after = (-1i64, -1i64);
        while let Some((lane, block)) = self.next_block(day, after)? {
            after = (i64::from(lane), block.first as i64);
            self.check_block(day, &path, lane, &block)?;
        }
        self.check_shapes(day)?;
        // Outcomes of yesterday's statements still come in; older files are opened again where one does.
        self.days.retain(|seen, _| seen.0 + 1 >= day.0);
        Ok(())
    }

    fn next_block(
        &self,
        day: Day,
        after: (i64, i64),
    ) -> Result<Option<(u16, StoredBlock)>, StoreError> {
        let Some((path, connection)) = self.days.get(&day) else {
            return Ok(None);
        };
        let read = || {
            connection
                .prepare_cached(
                    "SELECT lane, first, last, previous, head, length, frames FROM block
                     WHERE (lane, first) > (?, ?) ORDER BY lane, first LIMIT 1",
                )?
                .query_row(after, |row| {
                    Ok((
                        row.get(0)?,
                        StoredBlock {
                            first: row.get::<_, i64>(1)? as u64,
                            last: row.get::<_, i64>(2)? as u64,
                            previous: row.get(3)?,
                            head: row.get(4)?,
                            length: row.get::<_, i64>(5)? as u64,
                            frames: row.get(6)?,
                        },
                    ))
                })
                .optional()
        };
        read().map_err(StoreError::sqlite(path))
    }

    fn check_block(
        &mut self,
        day: Day,
        path: &Path,
        number: u16,
        block: &StoredBlock,
    ) -> Result<(), StoreError> {
        let key = Some(crate::event::row_key(number, Seq(block.first)));
        if let Some(lane) = self.lanes.get(&number) {
            let follows = block.first == lane.seq.0 + 1 && block.previous == lane.chain;
            if !follows {
                let what = if self.is_known_gap(number, lane.seq, block.first)? {
                    "entries are missing; the proxy itself noticed when it recovered its journal"
                } else {
                    "the chain is broken: this block does not follow the one before"
                };
                self.report.add(path, key, what);
            }
        }
        let lane = self.lanes.entry(number).or_insert_with(|| Lane {
            pairing: Pairing::new(number, 0, day),
            seq: Seq(0),
            chain: block.previous,
        });
        lane.seq = Seq(block.last);
        lane.chain = block.head;
        let mut out = Emitted::default();
        let mut unreadable = 0u64;
        let mut entries = 0u64;
        let replayed = Block::replay(block, |frame: &Frame<'_>| {
            entries += 1;
            unreadable += u64::from(lane.pairing.apply(frame, &mut out).is_err());
        });
        self.report.entries += entries;
        if let Err(error) = replayed {
            self.report
                .add(path, key, format!("the chain is broken: {error}"));
        }
        if unreadable > 0 {
            self.report
                .add(path, key, format!("{unreadable} entries can't be read"));
        }
        self.check_rows(out)
    }

    fn is_known_gap(&self, lane: u16, after: Seq, next: u64) -> Result<bool, StoreError> {
        let known = "SELECT count(*) FROM gap WHERE lane = ? AND after = ? AND next = ?";
        self.main
            .query_row(known, (lane, after.0 as i64, next as i64), |row| {
                row.get::<_, i64>(0)
            })
            .map(|count| count > 0)
            .map_err(StoreError::sqlite(&self.main_path))
    }

    /// Compares how many rows a day has with how many the entries explain.
    fn count(&mut self, day: Day) -> Result<(), StoreError> {
        let opened = match self.days.remove(&day) {
            Some(opened) => Some(opened),
            None => self.archive.day(day)?,
        };
        let Some((path, connection)) = opened else {
            return Ok(());
        };
        let explained = self.explained.entry(day).or_default();
        let tables = [
            ("statement", "statements"),
            ("session_event", "session events"),
            ("admin", "administrative entries"),
        ];
        for ((table, what), explained) in tables.iter().zip(explained) {
            let sql = format!("SELECT count(*) FROM {table}");
            let stored: i64 = connection
                .query_row(&sql, [], |row| row.get(0))
                .map_err(StoreError::sqlite(&path))?;
            let extra = stored - i64::try_from(*explained).unwrap_or(i64::MAX);
            if extra > 0 {
                self.report.add(
                    &path,
                    None,
                    format!("{extra} {what} that no entry explains"),
                );
            }
        }
        Ok(())
    }

    fn finish(&mut self, days: &[Day]) -> Result<(), StoreError> {
        // What is still open may have been given up as lost, if its writer is gone for good.
        let mut out = Emitted::default();
        for lane in self.lanes.values_mut() {
            lane.pairing.lose_all(&mut out);
        }
        for row in &out.statements {
            self.check_statement(row, Presence::Optional)?;
        }
        for row in &out.events {
            if let Some((path, connection)) = self.day_of(row.day)? {
                let found = compare::event(connection, row).map_err(StoreError::sqlite(&path))?;
                if found != Comparison::Absent {
                    self.note(row.day, 1, row.key, &path, &found, "session event");
                }
            }
        }
        for (day, key) in std::mem::take(&mut self.absent) {
            if days.contains(&day) || days.first().is_some_and(|first| *first < day) {
                let path = self.archive.dir().join(day_name(day));
                self.report.add(&path, Some(key), "a row was removed");
            }
        }
        for day in days {
            let counted = self.count(*day);
            self.survive(counted)?;
        }
        self.check_heads()
    }

    /// The entries must reach as far as the shipper says it came.
    fn check_heads(&mut self) -> Result<(), StoreError> {
        let heads = main_file::lanes(&self.main).map_err(StoreError::sqlite(&self.main_path))?;
        for progress in heads {
            let head = progress.head;
            let key = Some(crate::event::row_key(head.lane, head.seq));
            match self.lanes.get(&head.lane) {
                // Everything of the lane is older than the days that are kept.
                None => {}
                Some(lane) if lane.seq < head.seq => {
                    let what = format!(
                        "the lane's last entries are missing, from {}",
                        lane.seq.0 + 1
                    );
                    self.report.add(&self.main_path, key, what);
                }
                Some(lane) if lane.seq == head.seq && lane.chain != head.chain => {
                    let what = "the lane's last link is not the one that was recorded";
                    self.report.add(&self.main_path, key, what);
                }
                Some(_) => {}
            }
        }
        Ok(())
    }
}

/// Whether a row must be there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Presence {
    Required,
    Optional,
}
