//! Blocks: runs of a lane's entries, compressed. They are the proof, and they are the statements.
//!
//! A block holds entries `first..=last` without their chain links: those follow from `previous` and the
//! entries, and must end in `head`. Beside them stands a directory: for each statement that began and ended in the
//! block, which entries these are and who spoke. Sums, spans and filters are taken on the way.
//!
//! ```text
//! entry     = length u32 | kind u8 | payload
//! directory = (intent: zigzag distance from the one before | outcome: distance from the intent | speaker)*, LEB128
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hashbrown::HashMap;
use sqlward_policy::vocabulary::Action;

use super::context::{Aside, Context};
use super::grams::Grams;
use super::rollup::Sums;
use crate::chain::Hash;
use crate::event::{Seq, row_key};
use crate::journal::Frame;
use crate::proof::leaf::Leaf;
use crate::proof::merkle::{Frontier, leaf_hash};
use crate::record::{CodecError, Entry, Intent, Text};
use crate::ship::rows::{StatementRow, TextRef};
use crate::ship::subject::Speaker;
use crate::time::Day;

/// A block in the making.
pub(crate) struct Block {
    lane: u16,
    first: Seq,
    last: Seq,
    previous: Hash,
    head: Hash,
    entries: Vec<u8>,
    rows: Vec<Option<Place>>,
    /// Where rows of prepares stand in `rows`: an execution may take them over.
    prepares: HashMap<Seq, usize>,
    speakers: Places<Arc<Speaker>, usize>,
    shapes: Places<Option<[u8; 16]>, Option<[u8; 16]>>,
    sums: HashMap<SumKey, Sums>,
    prepared: BTreeMap<Seq, Arc<[u8]>>,
    grams: Grams,
    span: Span,
    /// How many statements of the directory have a text that nobody remembers.
    unknown_texts: u64,
    /// Whose texts these are.
    missing: BTreeSet<Seq>,
    /// A tree over the entries' links.
    links: Frontier,
    /// What its entries finished or told that does not stand in its directory.
    aside: Vec<Aside>,
}

/// A statement's entries, counted from the block's first, and its speaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) intent: u32,
    pub(crate) outcome: u32,
    pub(crate) speaker: u32,
}

/// Which statements a block has to do with, so that questions can pass it by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) from_us: u64,
    pub(crate) to_us: u64,
    pub(crate) flagged: u64,
}

impl Span {
    /// The span of nothing.
    const NONE: Self = Self {
        from_us: i64::MAX as u64,
        to_us: 0,
        flagged: 0,
    };
}

/// What is summed: minute, speaker, shape, decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SumKey {
    pub(crate) minute: u64,
    pub(crate) speaker: u32,
    pub(crate) shape: u32,
    pub(crate) action: Action,
}

/// Values in the order of their first appearance.
struct Places<T, K> {
    values: Vec<T>,
    places: HashMap<K, u32>,
}

impl<T, K: std::hash::Hash + Eq> Places<T, K> {
    fn new() -> Self {
        Self {
            values: Vec::new(),
            places: HashMap::new(),
        }
    }

    fn of(&mut self, key: K, value: impl FnOnce() -> T) -> u32 {
        let next = u32::try_from(self.values.len()).unwrap_or(u32::MAX);
        *self.places.entry(key).or_insert_with(|| {
            self.values.push(value());
            next
        })
    }
}

/// A block as it is stored.
pub(crate) struct Packed {
    pub(crate) lane: u16,
    pub(crate) first: Seq,
    pub(crate) last: Seq,
    pub(crate) previous: Hash,
    pub(crate) head: Hash,
    /// The length of the unpacked entries.
    pub(crate) length: u64,
    pub(crate) frames: Vec<u8>,
    /// How many statements the directory names.
    pub(crate) statements: u64,
    pub(crate) rows: Vec<u8>,
    pub(crate) speakers: Vec<Arc<Speaker>>,
    pub(crate) shapes: Vec<Option<[u8; 16]>>,
    pub(crate) sums: HashMap<SumKey, Sums>,
    /// Intents of earlier blocks whose text statements of this one have.
    pub(crate) prepared: BTreeMap<Seq, Arc<[u8]>>,
    pub(crate) grams: Vec<u8>,
    /// What is known of the filter, where texts are missing.
    pub(crate) known_grams: Option<Grams>,
    pub(crate) span: Span,
    /// How many of its statements have a text that nobody remembers.
    pub(crate) unknown_texts: u64,
    /// Whose texts these are.
    pub(crate) missing: BTreeSet<Seq>,
    /// The root of a tree over the entries' links.
    pub(crate) links: Hash,
    pub(crate) aside: Vec<Aside>,
    /// How many statements each speaker has.
    spoken: Vec<u64>,
}

impl Block {
    /// A block that is still empty, behind the entry with the link `previous`.
    pub(crate) fn begin(lane: u16, first: Seq, previous: Hash) -> Self {
        Self {
            lane,
            first,
            last: Seq(first.0.saturating_sub(1)),
            previous,
            head: previous,
            entries: Vec::new(),
            rows: Vec::new(),
            prepares: HashMap::new(),
            speakers: Places::new(),
            shapes: Places::new(),
            sums: HashMap::new(),
            prepared: BTreeMap::new(),
            grams: Grams::new(),
            span: Span::NONE,
            unknown_texts: 0,
            missing: BTreeSet::new(),
            links: Frontier::default(),
            aside: Vec::new(),
        }
    }

    /// The key of the block.
    pub(crate) fn id(&self) -> i64 {
        row_key(self.lane, self.first)
    }

    /// How many bytes its entries take.
    pub(crate) fn bytes(&self) -> usize {
        self.entries.len()
    }

    /// Takes in the next entry, which is the frame's, if it can be read.
    pub(crate) fn push(&mut self, frame: &Frame<'_>, entry: Option<&Entry<'_>>) {
        // Frames come from segments, whose size is below 4 GiB.
        let length = u32::try_from(frame.payload.len()).unwrap_or(u32::MAX);
        self.entries.extend_from_slice(&length.to_le_bytes());
        self.entries.push(frame.kind);
        self.entries.extend_from_slice(frame.payload);
        self.last = frame.seq;
        self.head = frame.chain;
        self.links.push(leaf_hash(&frame.chain));
        if let Some(Entry::Intent(Intent {
            text: Text::Sent { bytes, .. },
            ..
        })) = entry
        {
            self.grams.add(bytes);
        }
    }

    /// Takes in a statement of the block's day that an entry of the block has finished.
    ///
    /// Answers `false` where the block does not hold all of it, so that it must be stored whole.
    pub(crate) fn add(&mut self, row: &StatementRow) -> bool {
        let speaker = self.cover(row);
        let index = |seq: Seq| {
            let index = seq.0.checked_sub(self.first.0)?;
            u32::try_from(index).ok()
        };
        let (Some(intent), Some(outcome)) = (index(row.seq), row.told.and_then(index)) else {
            return false;
        };
        self.unknown_texts += u64::from(matches!(row.text, TextRef::Missing));
        if row.brief.kind == crate::record::IntentKind::Prepare {
            self.prepares.insert(row.seq, self.rows.len());
        }
        self.rows.push(Some(Place {
            intent,
            outcome,
            speaker,
        }));
        if row.brief.counts(row.outcome.completion) {
            let shape = row.brief.shape;
            let key = SumKey {
                minute: row.brief.wall_us / super::MINUTE_US,
                speaker,
                shape: self.shapes.of(shape, || shape),
                action: row.brief.action,
            };
            self.sums
                .entry(key)
                .or_default()
                .add(&row.brief, &row.outcome);
        }
        true
    }

    fn cover(&mut self, row: &StatementRow) -> u32 {
        let span = &mut self.span;
        span.from_us = span.from_us.min(row.brief.wall_us);
        span.to_us = span.to_us.max(row.brief.wall_us);
        span.flagged += u64::from(row.brief.is_flagged(&row.outcome));
        let shape = row.brief.shape;
        self.shapes.of(shape, || shape);
        match &row.text {
            TextRef::Own if row.seq < self.first => self.cover_text(&row.payload),
            TextRef::Of(seq, payload) if *seq < self.first && !self.prepared.contains_key(seq) => {
                self.cover_text(payload);
                self.prepared.insert(*seq, Arc::clone(payload));
            }
            TextRef::Own | TextRef::Of(..) => {}
            TextRef::Missing => {
                self.grams.admit_all();
                self.missing.extend(super::context::named(&row.payload));
            }
        }
        let speaker = &row.speaker;
        self.speakers
            .of(Arc::as_ptr(speaker).addr(), || Arc::clone(speaker))
    }

    fn cover_text(&mut self, payload: &[u8]) {
        if let Ok(Intent {
            text: Text::Sent { bytes, .. },
            ..
        }) = super::flat::intent(payload)
        {
            self.grams.add(bytes);
        }
    }

    /// Takes away the row of a prepare that an execution has taken over; `false` where it is not here.
    pub(crate) fn remove(&mut self, prepare: Seq) -> bool {
        self.prepares
            .remove(&prepare)
            .and_then(|place| self.rows.get_mut(place))
            .and_then(Option::take)
            .is_some()
    }

    /// Notes what an entry of the block told or finished and what is stored beside the directory.
    pub(crate) fn set_aside(&mut self, aside: Aside) {
        self.aside.push(aside);
    }

    /// Packs it; `None` where it is empty.
    pub(crate) fn finish(self) -> Option<Packed> {
        if self.entries.is_empty() {
            return None;
        }
        let (mut rows, mut statements, mut before) = (Vec::new(), 0, 0i64);
        let mut spoken = vec![0; self.speakers.values.len()];
        for place in self.rows.iter().flatten() {
            if let Some(spoken) = spoken.get_mut(place.speaker as usize) {
                *spoken += 1;
            }
            let distance = i64::from(place.intent) - before;
            before = i64::from(place.intent);
            put(&mut rows, ((distance << 1) ^ (distance >> 63)) as u64);
            put(
                &mut rows,
                u64::from(place.outcome.saturating_sub(place.intent)),
            );
            put(&mut rows, u64::from(place.speaker));
            statements += 1;
        }
        Some(Packed {
            lane: self.lane,
            first: self.first,
            last: self.last,
            previous: self.previous,
            head: self.head,
            length: self.entries.len() as u64,
            frames: pack(&self.entries),
            statements,
            rows,
            speakers: self.speakers.values,
            shapes: self.shapes.values,
            sums: self.sums,
            prepared: self.prepared,
            grams: self.grams.finish(),
            known_grams: self.grams.opened(),
            span: self.span,
            unknown_texts: self.unknown_texts,
            missing: self.missing,
            links: self.links.root(),
            aside: self.aside,
            spoken,
        })
    }
}

impl Packed {
    /// How many statements are of sessions whose beginning nobody remembers.
    pub(crate) fn unknown_sessions(&self) -> u64 {
        let unknown = |speaker: &Arc<Speaker>| speaker.who.started_us.is_none();
        self.speakers
            .iter()
            .zip(&self.spoken)
            .filter(|(speaker, _)| unknown(speaker))
            .map(|(_, spoken)| spoken)
            .sum()
    }

    /// The key of the block.
    pub(crate) fn id(&self) -> i64 {
        row_key(self.lane, self.first)
    }

    /// What the tree says of it.
    pub(crate) fn leaf(&self, day: Day) -> Leaf {
        let context = Context {
            first: self.first,
            speakers: &self.speakers,
            prepared: &self.prepared,
            aside: &self.aside,
        };
        Leaf {
            lane: self.lane,
            day,
            first: self.first,
            last: self.last,
            previous: self.previous,
            head: self.head,
            links: self.links,
            context: context.digest(),
        }
    }
}

/// LEB128.
pub(crate) fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// The statements that a directory names.
///
/// # Errors
/// Where it is no directory.
pub(crate) fn places(directory: &[u8]) -> Result<Vec<Place>, CodecError> {
    let mut reader = crate::record::Reader::new(directory);
    let (mut places, mut before) = (Vec::new(), 0i64);
    let invalid = |_| CodecError::Invalid("directory");
    while !reader.is_empty() {
        let zigzag = reader.var("intent")?;
        let distance = (zigzag >> 1) as i64 ^ -((zigzag & 1) as i64);
        before = before.saturating_add(distance);
        let intent = u32::try_from(before).map_err(invalid)?;
        let outcome = intent.saturating_add(reader.var32("outcome")?);
        let speaker = reader.var32("speaker")?;
        places.push(Place {
            intent,
            outcome,
            speaker,
        });
    }
    Ok(places)
}

/// Compresses entries. In vain only where memory is short; they are then stored as they are.
pub(super) fn pack(entries: &[u8]) -> Vec<u8> {
    zstd::bulk::compress(entries, LEVEL).unwrap_or_else(|_| entries.to_vec())
}

/// How hard to compress: entries are alike, so that little effort finds most of it.
const LEVEL: i32 = 1;

/// How many bytes of entries go into one block: what a question must unpack to see one statement of it.
pub(crate) const MOST_BYTES: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_is_none_is_an_error() {
        assert_eq!(places(&[]), Ok(Vec::new()));
        let place = |intent, outcome, speaker| Place {
            intent,
            outcome,
            speaker,
        };
        assert_eq!(
            places(&[4, 1, 0, 1, 5, 1]),
            Ok(vec![place(2, 3, 0), place(1, 6, 1)])
        );
        for bad in [&[1u8, 0, 0][..], &[0], &[0, 0], &[0x80]] {
            assert!(places(bad).is_err(), "{bad:?}");
        }
    }
}
