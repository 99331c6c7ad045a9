//! Fills an empty store with what a bundle holds.

use std::collections::BTreeMap;
use std::path::Path;

use tempfile::TempDir;

use super::BundleError;
use super::format::{
    BLOCKS, BlockLine, CHECKPOINTS, EdgeLine, KEYS, KeyLine, LANES, LaneLine, LeafLine, SHAPES,
    ShapeLine, TREE,
};
use super::parts::{Files, form};
use crate::chain::{self, Hash};
use crate::embedded::{Before, BlockStart, Entries, KeptEntry, MOST_UNPACKED, Refill, Scope};
use crate::proof::leaf::Leaf;
use crate::proof::merkle::Frontier;
use crate::proof::{Checkpoint, read_checkpoints};
use crate::query::Archive;
use crate::record::Entry;
use crate::ship::pairing::wall_us;
use crate::time::Day;

/// A store with what a bundle holds.
pub(super) struct Filled {
    _dir: TempDir,
    pub(super) archive: Archive,
    pub(super) scope: Scope,
    pub(super) checkpoints: Vec<Checkpoint>,
    pub(super) key_records: Vec<String>,
    /// The leaves, with their places.
    pub(super) leaves: Leaves,
    pub(super) lanes: BTreeMap<u16, Seen>,
    /// Shapes that no block of the bundle tells.
    pub(super) unproved_shapes: u64,
    /// What is wrong, and in which file.
    pub(super) wrong: Vec<(&'static str, String)>,
}

/// Leaves, with their places in the tree.
type Leaves = Vec<(u64, Vec<u8>)>;

/// What the blocks of a lane show, and what was before them.
#[derive(Default)]
pub(super) struct Seen {
    /// The first entry of its first block.
    pub(super) first: u64,
    /// The times of the first entry with one, and the latest.
    pub(super) times: Option<(u64, u64)>,
    /// The time of the last entry before the first block that has one, where that entry is shown.
    pub(super) before_us: Option<u64>,
}

/// Fills a store.
///
/// # Errors
/// Where a file can't be read at all.
pub(super) fn fill(files: &Files) -> Result<Filled, BundleError> {
    let dir = tempfile::tempdir().map_err(BundleError::io(Path::new("temporary directory")))?;
    let mut wrong = Vec::new();
    let notes = files.text(CHECKPOINTS)?;
    let checkpoints = read_checkpoints(&notes).unwrap_or_else(|error| {
        wrong.push((CHECKPOINTS, error.to_string()));
        Vec::new()
    });
    let mut key_records = Vec::new();
    let mut lines = files.lines(KEYS)?;
    while let Some(KeyLine { record }) = lines.next()? {
        key_records.push(record);
    }
    let (gone, leaves) = tree(files, &mut wrong)?;
    let mut refill = Refill::new(dir.path())?;
    let lane_lines = lanes(files)?;
    let mut before = BTreeMap::new();
    for (number, line) in &lane_lines {
        let known = known(line, &mut wrong);
        refill.lane(*number, known.pairing(*number, Day(0)));
        before.insert(*number, known);
    }
    let mut unproved_shapes = 0;
    let mut lines = files.lines(SHAPES)?;
    while let Some(ShapeLine { shape }) = lines.next()? {
        refill.shape(shape.0)?;
        unproved_shapes += 1;
    }
    let mut blocks = Blocks {
        leaves: &leaves,
        lanes: BTreeMap::new(),
        lines: &lane_lines,
        wrong: &mut wrong,
        next: gone.size(),
    };
    let mut lines = files.lines(BLOCKS)?;
    while let Some(line) = lines.next()? {
        blocks.take(&line, &mut refill)?;
    }
    let (lanes, behind) = (blocks.lanes, blocks.next);
    let notes: Vec<String> = checkpoints.iter().map(ToString::to_string).collect();
    refill.finish(&gone, &leaves, &notes, Day(0))?;
    Ok(Filled {
        archive: Archive::open(dir.path())?,
        _dir: dir,
        scope: Scope::leaves(gone.size()..behind, before),
        checkpoints,
        key_records,
        leaves,
        lanes,
        unproved_shapes,
        wrong,
    })
}

fn tree(
    files: &Files,
    wrong: &mut Vec<(&'static str, String)>,
) -> Result<(Frontier, Leaves), BundleError> {
    let mut lines = files.lines(TREE)?;
    let none = || form(format!("{TREE} is empty"));
    let edge: EdgeLine = lines.next()?.ok_or_else(none)?;
    let peaks = edge.edge.iter().map(|peak| peak.0.as_slice());
    let gone = Frontier::restore(edge.leaves, &peaks.collect::<Vec<_>>().concat())
        .filter(|_| edge.leaves <= MOST_LEAVES)
        .ok_or_else(|| lines.wrong("is no edge of a tree"))?;
    let (mut leaves, mut next) = (Vec::new(), gone.size());
    while let Some(LeafLine { leaf, data }) = lines.next()? {
        if leaf > MOST_LEAVES {
            return Err(lines.wrong("is of no leaf"));
        }
        if leaf < next {
            wrong.push((TREE, format!("leaf {leaf} is not in its place")));
            continue;
        }
        next = leaf + 1;
        leaves.push((leaf, data.0));
    }
    Ok((gone, leaves))
}

fn lanes(files: &Files) -> Result<BTreeMap<u16, LaneLine>, BundleError> {
    let mut found = BTreeMap::new();
    let mut lines = files.lines(LANES)?;
    while let Some(line) = lines.next::<LaneLine>()? {
        found.insert(line.lane, line);
    }
    Ok(found)
}

fn known(line: &LaneLine, wrong: &mut Vec<(&'static str, String)>) -> Before {
    let mut kept = Vec::new();
    for entry in &line.earlier {
        match entry.link.hash() {
            Some(chain) => kept.push(KeptEntry {
                seq: entry.seq(),
                kind: entry.kind,
                chain,
                payload: entry.payload.0.clone(),
                how: entry.how(),
            }),
            None => {
                let what = format!("lane {}: entry {} has no link", line.lane, entry.seq);
                wrong.push((LANES, what));
            }
        }
    }
    kept.sort_by_key(|entry| entry.seq);
    Before {
        node: line.node,
        kept,
    }
}

/// Takes up one block after the other.
struct Blocks<'a> {
    leaves: &'a [(u64, Vec<u8>)],
    lanes: BTreeMap<u16, Seen>,
    lines: &'a BTreeMap<u16, LaneLine>,
    wrong: &'a mut Vec<(&'static str, String)>,
    /// The first leaf whose block was not there yet.
    next: u64,
}

impl Blocks<'_> {
    fn take(&mut self, line: &BlockLine, refill: &mut Refill) -> Result<(), BundleError> {
        if line.leaf < self.next {
            self.say(format!(
                "the block of leaf {} is not in its place",
                line.leaf
            ));
            return Ok(());
        }
        self.next = line.leaf.saturating_add(1);
        let place = self
            .leaves
            .binary_search_by_key(&line.leaf, |(leaf, _)| *leaf);
        let leaf = place.ok().and_then(|place| self.leaves.get(place));
        let Some(leaf) = leaf.and_then(|(_, data)| Leaf::decode(data)) else {
            self.say(format!("the block of leaf {} has no leaf", line.leaf));
            return Ok(());
        };
        if line.length > MOST_UNPACKED {
            self.say(format!("the block of leaf {} is too large", line.leaf));
            return Ok(());
        }
        let entries = match Entries::unpack(&line.entries.0, line.length) {
            Ok(entries) if entries.bytes() == line.length => entries,
            Ok(_) => {
                self.say(format!(
                    "the block of leaf {} is not as long as it says",
                    line.leaf
                ));
                return Ok(());
            }
            Err(error) => {
                self.say(format!("the block of leaf {}: {error}", line.leaf));
                return Ok(());
            }
        };
        if !self.lanes.contains_key(&leaf.lane) {
            let seen = self.first_of(&leaf);
            self.lanes.insert(leaf.lane, seen);
        }
        let seen = self.lanes.entry(leaf.lane).or_default();
        let start = BlockStart {
            lane: leaf.lane,
            day: leaf.day,
            first: leaf.first,
            previous: leaf.previous,
        };
        refill.block(start, &entries, |entry| {
            if let Some(at_us) = wall_us(entry) {
                let (first, latest) = seen.times.unwrap_or((at_us, at_us));
                seen.times = Some((first, latest.max(at_us)));
            }
        })?;
        Ok(())
    }

    /// What is shown of a lane before its first block.
    fn first_of(&mut self, leaf: &Leaf) -> Seen {
        let mut seen = Seen {
            first: leaf.first.0,
            ..Seen::default()
        };
        let Some(line) = self.lines.get(&leaf.lane) else {
            return seen;
        };
        if line.earlier.iter().any(|entry| entry.seq >= leaf.first.0) {
            let what = format!("lane {}: an earlier entry is none", leaf.lane);
            self.wrong.push((LANES, what));
        }
        let shown = line.previous.hash().and_then(|previous| {
            let first = leaf.first.0.checked_sub(line.before.len() as u64)?;
            follow(line, previous, first)
        });
        match shown {
            Some((at_us, link)) if link == leaf.previous => seen.before_us = at_us,
            Some(_) | None => {
                let what = format!(
                    "lane {}: the entries before its first block do not lead to it",
                    leaf.lane
                );
                self.wrong.push((LANES, what));
            }
        }
        seen
    }

    fn say(&mut self, what: String) {
        self.wrong.push((BLOCKS, what));
    }
}

/// Follows the chain through the entries before a lane's first block; answers the time of the first, and the last link.
fn follow(line: &LaneLine, previous: Hash, first: u64) -> Option<(Option<u64>, Hash)> {
    let (mut link, mut at_us) = (previous, None);
    for (seq, entry) in (first..).zip(&line.before) {
        let mut sequenced = seq.to_le_bytes().to_vec();
        sequenced.push(entry.kind);
        sequenced.extend_from_slice(&entry.payload.0);
        link = chain::link(&link, &sequenced);
        let read = Entry::decode(entry.kind, &entry.payload.0).ok()?;
        at_us = at_us.or(wall_us(&read));
    }
    Some((at_us, link))
}

/// How many leaves a tree can have here: SQLite's integers are signed.
const MOST_LEAVES: u64 = i64::MAX as u64;
