//! Verification: do the rows say what the journal said, and does the journal's chain hold?
//!
//! Every day file consists of the journal's entries. Verification unpacks them, recomputes the chain across all
//! days, repeats the pairing, and compares what the file says of them (which entries are a statement, who spoke, what
//! is stored beside) with what it finds. An edited, removed,
//! added or reordered row or entry shows; so does a cut-off tail, as long as the main file was not cut with it.
//! Whoever can rewrite everything consistently is caught by the signed checkpoints over it.
//!
//! What began before the oldest day that is kept can't be known: such sessions and texts are counted, not judged.

mod proof;
mod resolve;
mod rows;
mod scope;
mod sums;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};

use rusqlite::Connection;

pub use self::proof::Trust;
pub(crate) use self::scope::Before;
pub use self::scope::Scope;
use super::compare::{self, Comparison};
use super::entries::StoredBlock;
use super::main_file;
use super::seal::hash_file;
use super::{Block, LaneProgress, MAIN_NAME, Packed, StoreError, day_name, stored_days};
use crate::chain::Hash;
use crate::event::{Seq, split_row_key};
use crate::journal::Frame;
use crate::proof::Kept;
use crate::query::Archive;
use crate::record::Entry;
use crate::ship::batch::settle;
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
    /// Checkpoints in the store.
    pub checkpoints: u64,
    /// The newest checkpoint that fits; signed by a trusted key, where there are any.
    pub signed: Option<SignedUpTo>,
    /// Blocks that no such checkpoint covers.
    pub unsigned_blocks: u64,
}

/// How far a store is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedUpTo {
    /// How many blocks the checkpoint covers.
    pub size: u64,
    /// The checkpoint: its size and time.
    pub checkpoint: String,
    /// Whose signatures it bears.
    pub signer: String,
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
        self.verify_against(&Trust::default(), &Scope::default())
    }

    /// As [`Archive::verify`], and holds the store, or a part of it, against keys and witnessed checkpoints.
    ///
    /// # Errors
    /// Where a file can't be read at all. Damage is no error but a finding.
    pub fn verify_against(&self, trust: &Trust, scope: &Scope) -> Result<ChainReport, StoreError> {
        let mut verifier = Verifier::new(self, scope.clone())?;
        // Before the day files: they are written first, and must reach at least as far.
        let read = verifier.read_heads();
        verifier.survive(read)?;
        let mut days = stored_days(self.dir())?;
        verifier.check_seals(&days)?;
        let mut blocks = Vec::new();
        // Days behind the scope may tell how its statements ended.
        days.retain(|day| scope.reaches(*day));
        for day in &days {
            let listed = verifier.open_day(*day, &mut blocks);
            verifier.survive(listed)?;
        }
        let checked = verifier.check_tree(trust);
        verifier.survive(checked)?;
        // By lane and number, whichever days the entries are of.
        blocks.sort();
        for (id, day) in blocks {
            if verifier.concerns(day, id) {
                let checked = verifier.check_block(day, id);
                verifier.survive(checked)?;
            }
        }
        days.retain(|day| scope.holds_day(*day));
        let finished = verifier.finish(&days);
        verifier.survive(finished)?;
        Ok(verifier.report)
    }
}

struct Verifier<'a> {
    archive: &'a Archive,
    scope: Scope,
    main: Connection,
    main_path: PathBuf,
    lanes: BTreeMap<u16, Lane>,
    /// How far the shipper says each lane came.
    heads: Vec<LaneProgress>,
    /// Digests of shapes, by key, as the entries have them.
    shapes: HashMap<[u8; 16], Hash>,
    /// Every day file, seen as it was when verification began.
    days: BTreeMap<Day, (PathBuf, Connection)>,
    /// How many rows entries explain, per day: statements stored whole, session events, administration, removals.
    explained: HashMap<Day, [u64; 4]>,
    /// Rows that are missing unless their execution turns out to have taken them over.
    absent: HashSet<(Day, i64)>,
    /// What may be gone.
    kept: Kept,
    /// Keys that records name as no longer in use.
    retired: BTreeSet<String>,
    anew: sums::Anew,
    report: ChainReport,
}

struct Lane {
    pairing: Pairing,
    seq: Seq,
    chain: Hash,
}

impl<'a> Verifier<'a> {
    fn new(archive: &'a Archive, scope: Scope) -> Result<Self, StoreError> {
        let main_path = archive.dir().join(MAIN_NAME);
        let main = crate::query::open(&main_path)?;
        // One view of the file, whatever is written meanwhile.
        main.execute_batch("BEGIN")
            .map_err(StoreError::sqlite(&main_path))?;
        Ok(Self {
            archive,
            scope,
            main,
            main_path,
            lanes: BTreeMap::new(),
            heads: Vec::new(),
            shapes: HashMap::new(),
            days: BTreeMap::new(),
            explained: HashMap::new(),
            absent: HashSet::new(),
            kept: Kept::default(),
            retired: BTreeSet::new(),
            anew: sums::Anew::default(),
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

    fn read_heads(&mut self) -> Result<(), StoreError> {
        self.heads = main_file::lanes(&self.main).map_err(StoreError::sqlite(&self.main_path))?;
        Ok(())
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
            if !self.scope.holds_day(day) {
                continue;
            }
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

    /// Opens a day file and lists its blocks.
    fn open_day(&mut self, day: Day, blocks: &mut Vec<(i64, Day)>) -> Result<(), StoreError> {
        let Some((path, connection)) = self.archive.day(day)? else {
            return Ok(());
        };
        let list = || -> rusqlite::Result<Vec<i64>> {
            // One view of the file, whatever is written meanwhile.
            connection.execute_batch("BEGIN")?;
            connection
                .prepare("SELECT id FROM block")?
                .query_map([], |row| row.get(0))?
                .collect()
        };
        let listed = list().map_err(StoreError::sqlite(&path))?;
        blocks.extend(listed.into_iter().map(|id| (id, day)));
        self.explained.entry(day).or_default();
        self.days.insert(day, (path, connection));
        Ok(())
    }

    fn stored(&self, day: Day, id: i64) -> Result<Option<(PathBuf, StoredBlock)>, StoreError> {
        let Some((path, connection)) = self.days.get(&day) else {
            return Ok(None);
        };
        let stored = StoredBlock::read(connection, id).map_err(StoreError::sqlite(path))?;
        Ok(stored.map(|stored| (path.clone(), stored)))
    }

    /// Whether a block is in the scope, or may tell how something of it ended.
    fn concerns(&self, day: Day, id: i64) -> bool {
        let (lane, _) = split_row_key(id);
        let open = || self.lanes.get(&lane)?.pairing.oldest_open_day();
        self.scope.holds_day(day) || open().is_some_and(|open| self.scope.holds_day(open))
    }

    fn check_block(&mut self, day: Day, id: i64) -> Result<(), StoreError> {
        let Some((path, stored)) = self.stored(day, id)? else {
            return Ok(());
        };
        let (number, first) = split_row_key(id);
        let key = Some(id);
        if let Some(lane) = self.lanes.get(&number) {
            let follows =
                stored.first == lane.seq.0.saturating_add(1) && stored.previous == lane.chain;
            if !follows && self.is_let_go(lane.chain, (number, lane.seq), &stored)? {
                // What was said there is as unknown as what was said before the oldest day.
                if let Some(lane) = self.lanes.remove(&number) {
                    self.check_leftovers(lane.pairing)?;
                }
            } else if !follows {
                let what = if self.is_known_gap(number, lane.seq, stored.first)? {
                    "entries are missing; the proxy itself noticed when it recovered its journal"
                } else {
                    "the chain is broken: this block does not follow the one before"
                };
                self.report.add(&path, key, what);
            }
        }
        // What no entry of its days says of the writer is what the shipper noted.
        let mut noted = self.heads.iter().filter(|noted| noted.head.lane == number);
        let node = noted.next().map_or(0, |noted| noted.node);
        let scope = &self.scope;
        let lane = self.lanes.entry(number).or_insert_with(|| Lane {
            pairing: scope.pairing(number, node, day),
            seq: Seq(0),
            chain: stored.previous,
        });
        lane.seq = Seq(stored.last);
        lane.chain = stored.head;
        let mut block = Block::begin(number, first, stored.previous);
        let (mut out, mut rest) = (Emitted::default(), Emitted::default());
        let mut unreadable = 0u64;
        let mut entries = 0u64;
        let replayed = stored.replay(|frame: &Frame<'_>| {
            entries += 1;
            let entry = Entry::decode(frame.kind, frame.payload);
            if let Ok(entry) = &entry {
                lane.pairing.apply(entry, frame, &mut out);
            }
            unreadable += u64::from(entry.is_err());
            block.push(frame, entry.as_ref().ok());
            settle(&mut out, day, &mut block);
            rest.append(&mut out);
        });
        self.report.entries += entries;
        if let Err(error) = replayed {
            self.report
                .add(&path, key, format!("the chain is broken: {error}"));
        }
        if unreadable > 0 {
            self.report
                .add(&path, key, format!("{unreadable} entries can't be read"));
        }
        self.note_shapes(&rest);
        if let Some(packed) = block.finish() {
            self.check_directory(day, &path, &packed)?;
            self.check_leaf(&path, &packed, day)?;
            self.sum_block(day, &path, &packed)?;
        }
        self.check_rows(rest, day, id)
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
        let Some((path, connection)) = self.days.get(&day) else {
            return Ok(());
        };
        let explained = self.explained.entry(day).or_default();
        let tables = [
            ("carried", "statements"),
            ("session_event", "session events"),
            ("admin", "administrative entries"),
            ("removed", "removals"),
        ];
        for ((table, what), explained) in tables.iter().zip(explained) {
            // Which prepares an execution took over may stand in days behind the scope.
            if *table == "removed" && self.scope.is_part() {
                continue;
            }
            let sql = format!("SELECT count(*) FROM {table}");
            let stored: i64 = connection
                .query_row(&sql, [], |row| row.get(0))
                .map_err(StoreError::sqlite(path))?;
            let extra = stored - i64::try_from(*explained).unwrap_or(i64::MAX);
            if extra > 0 {
                let what = format!("{extra} {what} that no entry explains");
                self.report.add(path, None, what);
            }
        }
        Ok(())
    }

    fn finish(&mut self, days: &[Day]) -> Result<(), StoreError> {
        let mut reached = BTreeMap::new();
        for (number, lane) in std::mem::take(&mut self.lanes) {
            reached.insert(number, (lane.seq, lane.chain));
            self.check_leftovers(lane.pairing)?;
        }
        for (day, key) in std::mem::take(&mut self.absent) {
            let due = days.contains(&day) || days.first().is_some_and(|first| *first < day);
            if due && self.scope.holds_day(day) {
                let path = self.archive.dir().join(day_name(day));
                self.report.add(&path, Some(key), "a row was removed");
            }
        }
        for day in days {
            let counted = self.count(*day);
            self.survive(counted)?;
            let checked = self.check_shapes(*day);
            self.survive(checked)?;
            let checked = self.check_sums(*day);
            self.survive(checked)?;
        }
        self.check_heads(&reached)
    }

    /// What is still open may have been given up as lost, if its writer is gone for good.
    fn check_leftovers(&mut self, mut pairing: Pairing) -> Result<(), StoreError> {
        let mut out = Emitted::default();
        pairing.lose_all(&mut out);
        for row in &out.lost {
            self.check_statement(row, None, Presence::Optional)?;
        }
        for row in &out.events {
            if let Some((path, connection)) = self.days.get(&row.day) {
                let path = path.clone();
                let found = compare::event(connection, row).map_err(StoreError::sqlite(&path))?;
                if found != Comparison::Absent {
                    self.note(row.day, EVENTS, row.key, &path, &found, "session event");
                }
            }
        }
        Ok(())
    }

    /// The entries must reach as far as the shipper says it came, unless retention has let the last ones go.
    fn check_heads(&mut self, reached: &BTreeMap<u16, (Seq, Hash)>) -> Result<(), StoreError> {
        let kept_from = main_file::kept_from(&self.main)
            .map_err(StoreError::sqlite(&self.main_path))?
            .or_else(|| self.days.keys().next().copied());
        for progress in std::mem::take(&mut self.heads) {
            let LaneProgress { head, day, .. } = progress;
            // A lane's last entries are in the file of the day that its progress names.
            let gone = !self.days.contains_key(&day) && kept_from.is_none_or(|from| day < from);
            if gone || !self.scope.holds_day(day) {
                continue;
            }
            let key = Some(crate::event::row_key(head.lane, head.seq));
            match reached.get(&head.lane) {
                None if head.seq.0 > 0 => {
                    let what = "all of the lane's entries are missing";
                    self.report.add(&self.main_path, key, what);
                }
                Some((seq, _)) if *seq < head.seq => {
                    let what = format!(
                        "the lane's last entries are missing, from {}",
                        seq.0.saturating_add(1)
                    );
                    self.report.add(&self.main_path, key, what);
                }
                Some((seq, chain)) if *seq == head.seq && *chain != head.chain => {
                    let what = "the lane's last link is not the one that was recorded";
                    self.report.add(&self.main_path, key, what);
                }
                None | Some(_) => {}
            }
        }
        Ok(())
    }
}

/// The places of `Verifier::explained`.
const CARRIED: usize = 0;
const EVENTS: usize = 1;
const ADMINS: usize = 2;
const REMOVALS: usize = 3;

/// Whether a row must be there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Presence {
    Required,
    Optional,
}
