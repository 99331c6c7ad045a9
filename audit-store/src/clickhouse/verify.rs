//! Verification of a ClickHouse store, node by node: its blocks are read anew into files in a temporary folder, under its
//! own tree and checkpoints, and verified there as an embedded store is; then each row is compared with what the blocks
//! say, a span of time at a time.
//!
//! Proxies may be shipping meanwhile: what a lane has moved on from since its blocks were read is not judged.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::path::PathBuf;

use serde_json::Value;

use super::ask::ClickHouse;
use super::import::{stored, unhex};
use super::link::{ClickHouseError, Question};
use super::schema::{ADMINISTRATION, BLOCKS, CHECKPOINTS, LEAVES, SESSIONS, STATEMENTS};
use crate::embedded::{
    BlockStart, ChainReport, Entries, Finding, MOST_UNPACKED, Refill, Scope, Trust, stored_days,
};
use crate::event::{Seq, row_key, split_row_key};
use crate::proof::Checkpoint;
use crate::proof::leaf::Leaf;
use crate::proof::merkle::Frontier;
use crate::query::{Archive, AuditQuery, Cell, Row, SessionQuery, SessionRow};
use crate::ship::pairing::Pairing;
use crate::time::{DAY_US, Day};

/// What was read of a node's blocks.
#[derive(Default)]
struct Lanes {
    /// The last entry of each lane.
    last: BTreeMap<u16, u64>,
    /// Lanes of which something is gone.
    cut: BTreeSet<u16>,
    /// The first day that is kept.
    from: Day,
    /// Blocks whose entries do not lead to their heads.
    broken: Vec<i64>,
    /// Blocks behind the last leaf of their lane: theirs come with the next ones, or never.
    leafless: Vec<i64>,
}

impl ClickHouse {
    /// The nodes that have records here.
    ///
    /// # Errors
    /// Where the server can't be asked.
    pub fn nodes(&self) -> Result<Vec<u16>, ClickHouseError> {
        let mut nodes = Vec::new();
        let tables = [&BLOCKS, &LEAVES, &CHECKPOINTS];
        let all = tables.map(|table| format!("SELECT node FROM {}", self.table(table)));
        let question = format!(
            "SELECT DISTINCT node FROM ({}) ORDER BY node",
            all.join(" UNION ALL ")
        );
        for row in self.link.ask(&Question::new(question))? {
            nodes.extend(row.first().and_then(short));
        }
        Ok(nodes)
    }

    /// Verifies what a node has recorded here.
    ///
    /// # Errors
    /// Where the server can't be asked, or the temporary files can't be written. Damage is no error but a finding.
    pub fn verify(&self, node: u16, trust: &Trust) -> Result<ChainReport, ClickHouseError> {
        let folder = tempfile::tempdir()?;
        let lanes = self.read_anew(node, Refill::new(folder.path())?)?;
        let archive = Archive::open(folder.path())?;
        let mut report = archive.verify_against(trust, &Scope::default())?;
        // What began in a block that is gone is not known here.
        report.findings.retain(|finding| {
            let cut = finding.lane.is_some_and(|lane| lanes.cut.contains(&lane));
            let unknown = cut && finding.what.contains("who speaks in it");
            report.unknown_sessions += u64::from(unknown);
            !unknown
        });
        let place = PathBuf::from(format!("{}, node {node}", self.link.target));
        for finding in &mut report.findings {
            finding.file.clone_from(&place);
        }
        let comparison = Comparison {
            store: self,
            node,
            archive: &archive,
            lanes,
            findings: Vec::new(),
            perhaps: Vec::new(),
        };
        let found = comparison.run()?.into_iter();
        report.findings.extend(found.map(|Found { key, what }| {
            let (lane, seq) = split_row_key(key);
            Finding {
                file: place.clone(),
                lane: Some(lane),
                seq: Some(seq.0),
                what,
            }
        }));
        report.findings.truncate(MOST_FINDINGS);
        Ok(report)
    }

    /// Reads a node's blocks, tree and checkpoints.
    fn read_anew(&self, node: u16, mut store: Refill) -> Result<Lanes, ClickHouseError> {
        // A proxy ships blocks, then leaves, then checkpoints: read the other way round, nothing seems to be missing.
        let checkpoints = self.checkpoints(node)?;
        let (gone, from) = checkpoints.last.clone().unwrap_or_default();
        let leaves = self.leaves(node, gone.size())?;
        let mut covered: BTreeMap<u16, u64> = BTreeMap::new();
        for leaf in leaves.iter().filter_map(|(_, data)| Leaf::decode(data)) {
            let last = covered.entry(leaf.lane).or_default();
            *last = (*last).max(leaf.first.0);
        }
        let mut lanes = Lanes {
            from,
            ..Lanes::default()
        };
        let mut behind = (0, 0);
        loop {
            let (lane, seq) = behind;
            let question = Question::new(format!(
                "SELECT lane, toUInt32(day), seq, last, length, previous, head, frames FROM {}
                 WHERE node = {node} AND day >= toDate({}) AND (lane, seq) > ({lane}, {seq})
                 ORDER BY lane, seq LIMIT {AT_ONCE}",
                self.table(&BLOCKS),
                from.0,
            ));
            let blocks = self.link.ask(&question)?;
            for row in &blocks {
                let none = || self.link.odd("a block that is none");
                let [lane, day, seq, rest @ ..] = row.as_slice() else {
                    return Err(none());
                };
                let lane = short(lane).ok_or_else(none)?;
                let day = day.as_u64().and_then(|day| u32::try_from(day).ok());
                let day = Day(day.ok_or_else(none)?);
                let seq = seq.as_u64().ok_or_else(none)?;
                behind = (lane, seq);
                if covered.get(&lane).is_none_or(|first| seq > *first) {
                    if lanes.leafless.len() < MOST_FINDINGS {
                        lanes.leafless.push(row_key(lane, Seq(seq)));
                    }
                    continue;
                }
                let before = lanes.last.insert(lane, seq);
                if before.is_none() {
                    store.lane(lane, Pairing::new(lane, node, day));
                }
                // Blocks of days that were let go are not here; others that are not, the tree misses.
                if before.unwrap_or(0).checked_add(1) != Some(seq) {
                    lanes.cut.insert(lane);
                }
                // One that can't be read at all is missing below.
                let Some(block) = stored(seq, rest).filter(|block| block.length <= MOST_UNPACKED)
                else {
                    continue;
                };
                lanes.last.insert(lane, block.last);
                let start = BlockStart {
                    lane,
                    day,
                    first: Seq(seq),
                    previous: block.previous,
                };
                let led = match Entries::unpack(&block.frames, block.length) {
                    Ok(entries) => Some(store.block(start, &entries, |_| {})?),
                    Err(_) => None,
                };
                if led != Some((Seq(block.last), block.head)) {
                    lanes.broken.push(row_key(lane, Seq(seq)));
                }
            }
            if blocks.len() < AT_ONCE {
                break;
            }
        }
        store.lose_open()?;
        store.finish(&gone, &leaves, &checkpoints.notes, from)?;
        Ok(lanes)
    }

    fn checkpoints(&self, node: u16) -> Result<Checkpoints, ClickHouseError> {
        let rows = self.link.ask(&Question::new(format!(
            "SELECT note, edge FROM {} WHERE node = {node} ORDER BY at, size",
            self.table(&CHECKPOINTS),
        )))?;
        let texts = |row: &Vec<Value>| -> Option<(String, String)> {
            let [note, edge] = row.as_slice() else {
                return None;
            };
            Some((note.as_str()?.to_owned(), edge.as_str()?.to_owned()))
        };
        let rows: Vec<(String, String)> = rows.iter().filter_map(texts).collect();
        let last = rows.last().and_then(|(note, edge)| {
            let kept = Checkpoint::parse(note).ok()?.kept;
            let gone = Frontier::restore(kept.gone, &unhex(edge)?)?;
            Some((gone, kept.from))
        });
        Ok(Checkpoints {
            notes: rows.into_iter().map(|(note, _)| note).collect(),
            last,
        })
    }

    /// The leaves of a node from `first` on, in order.
    fn leaves(&self, node: u16, first: u64) -> Result<Vec<(u64, Vec<u8>)>, ClickHouseError> {
        let leaves = self.link.ask(&Question::new(format!(
            "SELECT id, data FROM {} WHERE node = {node} AND id >= {first} ORDER BY id",
            self.table(&LEAVES),
        )))?;
        let leaf = |row: &Vec<Value>| -> Option<(u64, Vec<u8>)> {
            let [id, data] = row.as_slice() else {
                return None;
            };
            Some((id.as_u64()?, unhex(data.as_str()?)?))
        };
        Ok(leaves.iter().filter_map(leaf).collect())
    }
}

/// A node's checkpoints, oldest first.
struct Checkpoints {
    notes: Vec<String>,
    /// The leaves that are gone by the last one, and the first day that is kept.
    last: Option<(Frontier, Day)>,
}

/// Rows on their way to be compared.
struct Comparison<'s> {
    store: &'s ClickHouse,
    node: u16,
    archive: &'s Archive,
    lanes: Lanes,
    findings: Vec<Found>,
    /// What blocks that come later may explain.
    perhaps: Vec<Found>,
}

/// What is wrong with the row of a key.
struct Found {
    key: i64,
    what: String,
}

impl Comparison<'_> {
    fn run(mut self) -> Result<Vec<Found>, ClickHouseError> {
        for day in self.days()? {
            let begin = u64::from(day.0) * DAY_US;
            self.span((begin, begin + DAY_US))?;
        }
        self.settle()?;
        self.settle_leafless()?;
        for key in std::mem::take(&mut self.lanes.broken) {
            self.note(key, "the block's entries do not hash to its head");
        }
        Ok(self.findings)
    }

    /// The days that are kept and of which anything is there. Rows of days that were let go go when the server likes.
    fn days(&self) -> Result<BTreeSet<Day>, ClickHouseError> {
        let mut days: BTreeSet<Day> = stored_days(self.archive.dir())?.into_iter().collect();
        for table in [&STATEMENTS, &SESSIONS, &ADMINISTRATION] {
            let question = Question::new(format!(
                "SELECT DISTINCT toUInt32(toDate(s.at)) FROM {} WHERE s.node = {} AND s.at IS NOT NULL",
                self.store.table(table),
                self.node,
            ));
            for row in self.store.link.ask(&question)? {
                let day = row.first().and_then(Value::as_u64);
                days.extend(day.and_then(|day| u32::try_from(day).ok()).map(Day));
            }
        }
        days.retain(|day| *day >= self.lanes.from);
        Ok(days)
    }

    /// Compares what began in a span, in parts where that is much.
    fn span(&mut self, (from, to): (u64, u64)) -> Result<(), ClickHouseError> {
        let half = from.midpoint(to);
        if to - from > LEAST_US && self.store.count_of(self.node, (from, to))? > MOST_ROWS {
            self.span((from, half))?;
            return self.span((half, to));
        }
        self.statements((from, to))?;
        self.steps((from, to))?;
        self.administration((from, to))
    }

    fn note(&mut self, key: i64, what: impl Into<String>) {
        if self.findings.len() < MOST_FINDINGS {
            let what = what.into();
            self.findings.push(Found { key, what });
        }
    }

    /// Notes what a later block may explain; what is too much to remember is not excused.
    fn note_perhaps(&mut self, key: i64, what: String) {
        if self.perhaps.len() < MOST_PERHAPS {
            self.perhaps.push(Found { key, what });
        } else {
            self.note(key, what);
        }
    }

    /// A row that no entry of the blocks says.
    fn unexplained(&mut self, key: i64, what: &str) {
        let (lane, seq) = split_row_key(key);
        let what = format!("{what} that no entry explains");
        match self.lanes.last.get(&lane) {
            Some(last) if seq.0 <= *last => self.note(key, what),
            Some(_) | None => self.note_perhaps(key, what),
        }
    }

    /// Takes back what blocks that came since explain: rows up to the last entry of a lane that has moved on.
    fn settle(&mut self) -> Result<(), ClickHouseError> {
        if self.perhaps.is_empty() {
            return Ok(());
        }
        let now = self.store.link.ask(&Question::new(format!(
            "SELECT lane, max(last) FROM {} WHERE node = {} GROUP BY lane",
            self.store.table(&BLOCKS),
            self.node,
        )))?;
        let now: BTreeMap<u16, u64> = now
            .iter()
            .filter_map(|row| Some((short(row.first()?)?, row.get(1)?.as_u64()?)))
            .collect();
        for Found { key, what } in std::mem::take(&mut self.perhaps) {
            let (lane, seq) = split_row_key(key);
            let known = self.lanes.last.get(&lane).copied().unwrap_or(0);
            let came = now
                .get(&lane)
                .is_some_and(|now| *now > known && *now >= seq.0);
            if !came {
                self.note(key, what);
            }
        }
        Ok(())
    }

    /// Names the blocks whose leaves have not come since.
    fn settle_leafless(&mut self) -> Result<(), ClickHouseError> {
        let leafless = std::mem::take(&mut self.lanes.leafless);
        if leafless.is_empty() {
            return Ok(());
        }
        let leaves = self.store.leaves(self.node, 0)?;
        let leaves = leaves.iter().filter_map(|(_, data)| Leaf::decode(data));
        let known: BTreeSet<i64> = leaves.map(|leaf| row_key(leaf.lane, leaf.first)).collect();
        for key in leafless {
            if !known.contains(&key) {
                self.note(key, "the tree has no leaf for this block: it was added");
            }
        }
        Ok(())
    }

    /// Whether the beginning of the session of a row may be gone.
    fn is_cut(&self, key: i64, user: Option<&str>) -> bool {
        user.is_none() && self.lanes.cut.contains(&split_row_key(key).0)
    }

    fn statements(&mut self, span: (u64, u64)) -> Result<(), ClickHouseError> {
        let mut found = BTreeMap::new();
        for row in self.store.statements_of(self.node, span)? {
            let key = key(row.lane, row.seq);
            if found.insert(key, row).is_some() {
                self.note(key, "the row stands twice");
            }
        }
        let said = AuditQuery {
            from: Some(span.0),
            to: Some(span.1),
            ..Default::default()
        };
        let archive = self.archive;
        archive.each(&said, |row| {
            let key = key(row.lane, row.seq);
            match found.remove(&key) {
                // Nobody may have noticed yet that it is lost.
                None if row.completion == "lost" => {}
                None => self.note(key, "the row was removed"),
                Some(found) => {
                    let lane_cut = self.lanes.cut.contains(&split_row_key(key).0);
                    let mut columns = differing(
                        Row::COLUMNS,
                        (found.cells(), row.cells()),
                        self.is_cut(key, row.user.as_deref()),
                    );
                    // A text that was prepared before the beginning is not known here.
                    if lane_cut && found.text_state == "prepared" && row.text_state != "prepared" {
                        columns.retain(|column| !OF_TEXT.contains(column));
                    }
                    if columns.is_empty() {
                        return ControlFlow::Continue(());
                    }
                    let what = format!("the row was changed: {}", columns.join(", "));
                    // It may have ended in a block that came since.
                    if row.completion == "lost" {
                        self.note_perhaps(key, what);
                    } else {
                        self.note(key, what);
                    }
                }
            }
            ControlFlow::Continue(())
        })?;
        for key in found.into_keys() {
            self.unexplained(key, "a row");
        }
        Ok(())
    }

    fn steps(&mut self, (from, to): (u64, u64)) -> Result<(), ClickHouseError> {
        let query = SessionQuery {
            from: Some(from),
            to: Some(to),
            ..SessionQuery::default()
        };
        let mut found = BTreeMap::new();
        for row in self.store.steps_of(self.node, &query)? {
            let key = key(row.lane, row.seq);
            if found.insert((key, row.step.clone()), row).is_some() {
                self.note(key, "the session's step stands twice");
            }
        }
        for row in self.archive.session_events(&query)? {
            let key = key(row.lane, row.seq);
            let what = match found.remove(&(key, row.step.clone())) {
                // An end that nobody saw.
                None if row.at.is_none() => continue,
                None => "removed",
                Some(found) => {
                    let cut = self.is_cut(key, row.user.as_deref());
                    let cells = (found.cells(), row.cells());
                    if differing(SessionRow::COLUMNS, cells, cut).is_empty() {
                        continue;
                    }
                    "changed"
                }
            };
            self.note(key, format!("the session's step `{}` was {what}", row.step));
        }
        for ((key, step), row) in found {
            if row.at.is_some() {
                self.unexplained(key, &format!("a session's step `{step}`"));
            }
        }
        Ok(())
    }

    fn administration(&mut self, (from, to): (u64, u64)) -> Result<(), ClickHouseError> {
        let (from, to) = (Some(from), Some(to));
        let mut found = BTreeMap::new();
        for row in self.store.administration_of(self.node, from, to)? {
            let key = key(row.lane, row.seq);
            if found.insert(key, row).is_some() {
                self.note(key, "the administrative record stands twice");
            }
        }
        for row in self.archive.administration(from, to)? {
            let key = key(row.lane, row.seq);
            match found.remove(&key) {
                Some(found) if found == row => {}
                Some(_) => self.note(key, "the administrative record was changed"),
                None => self.note(key, "an administrative record was removed"),
            }
        }
        for key in found.into_keys() {
            self.unexplained(key, "an administrative record");
        }
        Ok(())
    }
}

/// The columns in which two rows differ; where the beginning is gone, what is not known is not judged.
fn differing(
    columns: &[&'static str],
    (found, said): (Vec<Cell>, Vec<Cell>),
    cut: bool,
) -> Vec<&'static str> {
    let cells = found.into_iter().zip(said);
    let differing = columns
        .iter()
        .zip(cells)
        .filter(|(_, (found, said))| found != said && !(cut && *said == Cell::Null));
    differing.map(|(name, _)| *name).collect()
}

fn key(lane: i64, seq: i64) -> i64 {
    let lane = u16::try_from(lane).unwrap_or_default();
    row_key(lane, Seq(u64::try_from(seq).unwrap_or_default()))
}

fn short(value: &Value) -> Option<u16> {
    u16::try_from(value.as_u64()?).ok()
}

/// How many blocks are asked for at once.
const AT_ONCE: usize = 32;

/// How many statements are compared at once, unless they began within a second.
const MOST_ROWS: u64 = 50_000;
const LEAST_US: u64 = 1_000_000;
const MOST_FINDINGS: usize = 1000;
const MOST_PERHAPS: usize = 100_000;

/// What a row says of its text.
const OF_TEXT: [&str; 4] = ["text", "text_state", "text_length", "text_hash"];
