//! Writes bundles.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::BundleError;
use super::compare::each_record;
use super::fill::fill;
use super::format::{
    ADMINISTRATION, BLOCKS, BlockLine, Bytes, CHECKPOINTS, EarlierLine, EdgeLine, EntryLine,
    FORMAT, KEYS, KeyLine, LANES, LaneLine, LeafLine, Manifest, MemberNote, SESSIONS, SHAPES,
    STATEMENTS, ShapeLine, TREE,
};
use super::parts::{Files, Part, pack};
use crate::chain::Hash;
use crate::embedded::{Entries, KeptEntry, StoredBlock, Walk};
use crate::event::{Seq, SessionId};
use crate::journal::Frame;
use crate::proof::Checkpoint;
use crate::proof::leaf::Leaf;
use crate::proof::merkle::{Frontier, leaf_hash};
use crate::query::Archive;
use crate::record::{AdminAction, Entry};
use crate::ship::pairing::{Keep, Pairing, wall_us};
use crate::ship::rows::Emitted;
use crate::time::{Day, now_us, rfc3339};

/// What a bundle shall hold.
#[derive(Clone, Copy, Debug)]
pub struct Range {
    /// From this moment on, µs since 1970.
    pub from_us: u64,
    /// Before this moment, µs since 1970.
    pub to_us: u64,
    /// Only the records of this session.
    pub session: Option<SessionId>,
}

/// What was written.
#[derive(Clone, Debug)]
pub struct Exported {
    /// What the bundle says of itself.
    pub manifest: Manifest,
    /// The checkpoint that proves it: size and time.
    pub checkpoint: String,
    /// How many statements, steps of sessions, and administrative records it holds.
    pub records: [u64; 3],
}

/// Writes what `range` asks for into a bundle, as far as a checkpoint covers it.
///
/// Reads the store from its beginning to the end of the range: who speaks may have been said long before.
///
/// # Errors
/// Where the store is not in order, nothing of the range is signed, or the bundle can't be written.
pub fn export(archive: &Archive, range: Range, output: &Path) -> Result<Exported, BundleError> {
    let dir = tempfile::tempdir().map_err(BundleError::io(output))?;
    let mut walk = Walk::new(archive)?;
    let signed = Signed::read(&walk)?;
    let range = Range {
        to_us: range.to_us.min(signed.newest.time_us().unwrap_or(u64::MAX)),
        ..range
    };
    let mut walker = Walker::new(&walk, range)?;
    let (started, behind) = walker.go(&mut walk, &signed, dir.path())?;
    let checkpoint = signed.covering(behind, &range);
    let mut part = Part::new(dir.path(), CHECKPOINTS)?;
    part.text(&checkpoint.to_string())?;
    let mut files = vec![
        write_keys(archive, dir.path())?,
        part.finish()?,
        write_tree(&walk, dir.path(), &started.edge, checkpoint.size)?,
        write_lanes(dir.path(), &started.lanes, &walker.with_blocks)?,
        write_shapes(&walk, dir.path(), &walker.shapes)?,
    ];
    files.append(&mut walker.notes);
    let records = write_records(dir.path(), &range, &mut files)?;
    let manifest = Manifest {
        format: FORMAT.to_owned(),
        origin: checkpoint.origin.clone(),
        made: rfc3339(now_us()),
        from_us: range.from_us,
        to_us: range.to_us,
        from: rfc3339(range.from_us),
        to: rfc3339(range.to_us),
        session: range.session.map(|session| session.0),
        first_leaf: started.edge.size(),
        behind_leaf: behind,
        files,
    };
    pack(dir.path(), &manifest, output)?;
    Ok(Exported {
        manifest,
        checkpoint: checkpoint.label(),
        records,
    })
}

/// The checkpoints of who signed the newest.
struct Signed {
    newest: Checkpoint,
    all: Vec<Checkpoint>,
}

impl Signed {
    fn read(walk: &Walk<'_>) -> Result<Self, BundleError> {
        let notes = walk.checkpoints()?;
        let mut all: Vec<Checkpoint> = notes
            .iter()
            .filter_map(|note| Checkpoint::parse(note).ok())
            .collect();
        let newest = all.last().cloned().ok_or(BundleError::Unsigned)?;
        all.retain(|one| one.signers() == newest.signers());
        all.sort_by_key(|one| one.size);
        Ok(Self { newest, all })
    }

    /// The first that covers so many leaves, and was made at the range's end or later.
    fn covering(&self, leaves: u64, range: &Range) -> &Checkpoint {
        let late = |one: &Checkpoint| one.time_us().is_some_and(|at_us| at_us >= range.to_us);
        let mut all = self.all.iter();
        all.find(|one| one.size >= leaves && late(one))
            .unwrap_or(&self.newest)
    }
}

/// A lane on the way.
#[derive(Clone)]
struct LaneState {
    node: u16,
    kept: BTreeMap<Seq, KeptEntry>,
    /// The link before `before`.
    previous: Hash,
    /// The latest entries, from the last on that has a time.
    before: Vec<EntryLine>,
    /// Whether it has shown an entry that is behind the range.
    closed: bool,
}

/// What was known where the first block of the bundle begins.
struct Started {
    edge: Frontier,
    lanes: BTreeMap<u16, LaneState>,
}

/// Goes through the store, and writes the blocks of the range.
struct Walker {
    range: Range,
    last_day: Day,
    /// The last leaf that has to do with the range, as far as the store's indexes tell.
    last_leaf: Option<u64>,
    edge: Frontier,
    lanes: BTreeMap<u16, LaneState>,
    pairings: BTreeMap<u16, Pairing>,
    with_blocks: BTreeSet<u16>,
    shapes: Shapes,
    notes: Vec<MemberNote>,
}

/// Which shapes the blocks need, and which they tell themselves.
#[derive(Default)]
struct Shapes {
    told: BTreeSet<[u8; 16]>,
    needed: BTreeSet<[u8; 16]>,
}

impl Walker {
    fn new(walk: &Walk<'_>, range: Range) -> Result<Self, BundleError> {
        let edge = walk.gone()?;
        let mut pairings = BTreeMap::new();
        for lane in walk.lanes()? {
            let number = lane.head.lane;
            pairings.insert(number, Pairing::new(number, lane.node, Day(0)));
        }
        Ok(Self {
            range,
            last_day: Day::of(range.to_us.saturating_sub(1)),
            last_leaf: None,
            edge,
            lanes: BTreeMap::new(),
            pairings,
            with_blocks: BTreeSet::new(),
            shapes: Shapes::default(),
            notes: Vec::new(),
        })
    }

    /// Answers where the bundle's blocks begin, and the first leaf behind them.
    fn go(
        &mut self,
        walk: &mut Walk<'_>,
        signed: &Signed,
        dir: &Path,
    ) -> Result<(Started, u64), BundleError> {
        let days = Day::of(self.range.from_us)..=self.last_day;
        let times = (self.range.from_us, self.range.to_us);
        self.last_leaf = walk.last_leaf(days.clone(), times)?;
        let mut started: Option<Started> = None;
        let mut part = Part::new(dir, BLOCKS)?;
        while self.edge.size() < signed.newest.size {
            let position = self.edge.size();
            if started.is_some()
                && self.is_done(walk, signed.covering(position, &self.range).size)?
            {
                break;
            }
            let data = leaf_at(walk, position)?;
            let leaf = decode(&data, position)?;
            match walk.block(&leaf)? {
                None if started.is_none() => {
                    // Retention took it; what was said there is unknown.
                    self.pairings.remove(&leaf.lane);
                    self.lanes.remove(&leaf.lane);
                }
                None => return Err(damaged(format!("a block is missing: {}", leaf.label()))),
                Some(block) => {
                    let entries = Entries::unpack(&block.frames, block.length)
                        .map_err(|error| damaged(format!("{}: {error}", leaf.label())))?;
                    if started.is_none() && days.contains(&leaf.day) && self.touches(&entries) {
                        started = Some(Started {
                            edge: self.edge.clone(),
                            lanes: self.lanes.clone(),
                        });
                    }
                    let inside = started.is_some();
                    self.apply(&leaf, &entries, inside);
                    if inside {
                        self.with_blocks.insert(leaf.lane);
                        part.line(&line_of(position, block))?;
                    }
                }
            }
            self.edge.push(leaf_hash(&data));
        }
        self.notes.push(part.finish()?);
        let started = started.ok_or(BundleError::Empty)?;
        Ok((started, self.edge.size()))
    }

    /// Whether a block has an entry of the range.
    fn touches(&self, entries: &Entries) -> bool {
        let range = self.range.from_us..self.range.to_us;
        (0..entries.len())
            .filter_map(|index| entries.entry(index))
            .filter_map(|(kind, payload)| Entry::decode(kind, payload).ok())
            .any(|entry| wall_us(&entry).is_some_and(|at_us| range.contains(&at_us)))
    }

    fn apply(&mut self, leaf: &Leaf, entries: &Entries, inside: bool) {
        let lane = leaf.lane;
        let pairing = self
            .pairings
            .entry(lane)
            .or_insert_with(|| Pairing::new(lane, 0, leaf.day));
        let state = self.lanes.entry(lane).or_insert_with(|| LaneState {
            node: pairing.node(),
            kept: BTreeMap::new(),
            previous: leaf.previous,
            before: Vec::new(),
            closed: false,
        });
        let (range, shapes) = (&self.range, &mut self.shapes);
        let mut out = Emitted::default();
        let mut link = leaf.previous;
        entries.replay(leaf.first.0, leaf.previous, |frame: &Frame<'_>| {
            let entry = Entry::decode(frame.kind, frame.payload);
            let at_us = entry.as_ref().ok().and_then(wall_us);
            if at_us.is_some() {
                state.previous = link;
                state.before.clear();
            }
            state.before.push(EntryLine {
                kind: frame.kind,
                payload: Bytes(frame.payload.to_vec()),
            });
            link = frame.chain;
            if let Ok(entry) = &entry {
                pairing.apply(entry, frame, &mut out);
                if inside {
                    shapes.take(entry);
                    state.closed |= at_us.is_some_and(|at_us| at_us >= range.to_us);
                }
            }
            out = Emitted::default();
        });
        state.node = pairing.node();
        for keep in pairing.changes() {
            state.keep(keep);
        }
    }

    /// Whether the leaves from here to the end have nothing to do with the range, and it shows.
    fn is_done(&self, walk: &Walk<'_>, end: u64) -> Result<bool, BundleError> {
        let range = &self.range;
        let position = self.edge.size();
        let open = |pairing: &Pairing| pairing.has_open(range.from_us, range.to_us);
        if self.last_leaf.is_some_and(|last| position <= last) || self.pairings.values().any(open) {
            return Ok(false);
        }
        for position in position..end {
            let leaf = decode(&leaf_at(walk, position)?, position)?;
            let closed = self.lanes.get(&leaf.lane).is_some_and(|lane| lane.closed);
            if leaf.day <= self.last_day && !closed {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl LaneState {
    fn keep(&mut self, keep: Keep) {
        match keep {
            Keep::Put {
                seq,
                kind,
                chain,
                payload,
                how,
            } => {
                let entry = KeptEntry {
                    seq,
                    kind,
                    chain,
                    payload: payload.to_vec(),
                    how,
                };
                self.kept.insert(seq, entry);
            }
            Keep::Drop(seq) => {
                self.kept.remove(&seq);
            }
        }
    }

    fn line(&self, lane: u16) -> LaneLine {
        let earlier = |entry: &KeptEntry| EarlierLine {
            seq: entry.seq.0,
            kind: entry.kind,
            payload: Bytes(entry.payload.clone()),
            link: Bytes(entry.chain.to_vec()),
            open: entry.how.open,
            text: entry.how.text,
            record: entry.how.row,
        };
        LaneLine {
            lane,
            node: self.node,
            previous: Bytes(self.previous.to_vec()),
            before: self.before.clone(),
            earlier: self.kept.values().map(earlier).collect(),
        }
    }
}

impl Shapes {
    fn take(&mut self, entry: &Entry<'_>) {
        match entry {
            Entry::Shape(shape) => {
                self.told.insert(shape.key);
            }
            Entry::Intent(intent) => {
                let unknown = intent.shape.filter(|key| !self.told.contains(key));
                self.needed.extend(unknown);
            }
            Entry::Epoch(_)
            | Entry::SessionStart(_)
            | Entry::SessionAuthenticated(_)
            | Entry::Context(_)
            | Entry::SessionEnd(_)
            | Entry::Outcome(_)
            | Entry::Admin(_) => {}
        }
    }
}

fn leaf_at(walk: &Walk<'_>, position: u64) -> Result<Vec<u8>, BundleError> {
    walk.leaf(position)?
        .ok_or_else(|| damaged(format!("leaf {position} of the tree is missing")))
}

fn decode(data: &[u8], position: u64) -> Result<Leaf, BundleError> {
    Leaf::decode(data).ok_or_else(|| damaged(format!("leaf {position} can't be read")))
}

fn damaged(what: String) -> BundleError {
    BundleError::Damaged(what)
}

fn line_of(leaf: u64, block: StoredBlock) -> BlockLine {
    BlockLine {
        leaf,
        length: block.length,
        entries: Bytes(block.frames),
    }
}

fn write_tree(
    walk: &Walk<'_>,
    dir: &Path,
    edge: &Frontier,
    end: u64,
) -> Result<MemberNote, BundleError> {
    let mut part = Part::new(dir, TREE)?;
    let peaks = edge.peaks();
    part.line(&EdgeLine {
        leaves: edge.size(),
        edge: peaks.chunks(32).map(|peak| Bytes(peak.to_vec())).collect(),
    })?;
    for leaf in edge.size()..end {
        let data = Bytes(leaf_at(walk, leaf)?);
        part.line(&LeafLine { leaf, data })?;
    }
    part.finish()
}

fn write_lanes(
    dir: &Path,
    lanes: &BTreeMap<u16, LaneState>,
    with_blocks: &BTreeSet<u16>,
) -> Result<MemberNote, BundleError> {
    let mut part = Part::new(dir, LANES)?;
    for lane in with_blocks {
        // Of others, nothing was before, or is kept.
        if let Some(state) = lanes.get(lane) {
            part.line(&state.line(*lane))?;
        }
    }
    part.finish()
}

fn write_shapes(walk: &Walk<'_>, dir: &Path, shapes: &Shapes) -> Result<MemberNote, BundleError> {
    let mut part = Part::new(dir, SHAPES)?;
    for key in &shapes.needed {
        if let Some(payload) = walk.shape(key)? {
            part.line(&ShapeLine {
                shape: Bytes(payload),
            })?;
        }
    }
    part.finish()
}

fn write_keys(archive: &Archive, dir: &Path) -> Result<MemberNote, BundleError> {
    let mut part = Part::new(dir, KEYS)?;
    for record in archive.administration(None, None)? {
        if record.action == AdminAction::SigningKey.as_str() {
            part.line(&KeyLine {
                record: record.detail,
            })?;
        }
    }
    part.finish()
}

/// Writes what the bundle's own blocks answer.
fn write_records(
    dir: &Path,
    range: &Range,
    notes: &mut Vec<MemberNote>,
) -> Result<[u64; 3], BundleError> {
    let filled = fill(&Files::of(dir))?;
    let mut counts = [0; 3];
    for (count, name) in counts
        .iter_mut()
        .zip([STATEMENTS, SESSIONS, ADMINISTRATION])
    {
        let mut part = Part::new(dir, name)?;
        each_record(&filled.archive, range, name, &mut |line| {
            *count += 1;
            part.text(line)?;
            part.text("\n")
        })?;
        notes.push(part.finish()?);
    }
    Ok(counts)
}
