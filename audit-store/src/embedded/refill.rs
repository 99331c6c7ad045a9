//! Fills an empty store with blocks that come from elsewhere, so that it can be verified and asked as any other.

use std::collections::BTreeMap;
use std::path::Path;

use super::{Batch, Block, Entries, LaneProgress, Store, StoreError, StoreSettings};
use crate::chain::Hash;
use crate::event::Seq;
use crate::journal::{Frame, LaneHead};
use crate::proof::merkle::Frontier;
use crate::record::Entry;
use crate::ship::batch::{add, settle};
use crate::ship::pairing::Pairing;
use crate::ship::rows::Emitted;
use crate::time::Day;

/// Where a block begins.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BlockStart {
    pub(crate) lane: u16,
    pub(crate) day: Day,
    /// Its first entry.
    pub(crate) first: Seq,
    /// The link before it.
    pub(crate) previous: Hash,
}

/// A store that is being filled.
pub(crate) struct Refill {
    store: Store,
    lanes: BTreeMap<u16, Pairing>,
    batch: Batch,
    /// How many bytes of entries wait in `batch`.
    waiting: usize,
}

impl Refill {
    /// Begins with an empty store in `dir`.
    pub(crate) fn new(dir: &Path) -> Result<Self, StoreError> {
        Ok(Self {
            store: Store::open(dir, StoreSettings::default())?,
            lanes: BTreeMap::new(),
            batch: Batch::default(),
            waiting: 0,
        })
    }

    /// Says what is known of a lane before its first block.
    pub(crate) fn lane(&mut self, number: u16, pairing: Pairing) {
        self.lanes.insert(number, pairing);
    }

    /// Says what a shape is that no block tells.
    pub(crate) fn shape(&mut self, payload: Vec<u8>) -> Result<(), StoreError> {
        self.batch.shapes.push((Day(0), payload));
        self.flush_where_large()
    }

    /// Adds a block; those of a lane in their order. Shows each of its entries, as far as they can be read. Answers its
    /// last entry and the link there.
    pub(crate) fn block(
        &mut self,
        start: BlockStart,
        entries: &Entries,
        mut visit: impl FnMut(&Entry<'_>),
    ) -> Result<(Seq, Hash), StoreError> {
        let BlockStart {
            lane,
            day,
            first,
            previous,
        } = start;
        let pairing = self
            .lanes
            .entry(lane)
            .or_insert_with(|| Pairing::new(lane, 0, day));
        let mut block = Block::begin(lane, first, previous);
        let id = block.id();
        let mut out = Emitted::default();
        let (batch, mut last) = (&mut self.batch, first);
        let chain = entries.replay(first.0, previous, |frame: &Frame<'_>| {
            let entry = Entry::decode(frame.kind, frame.payload);
            if let Ok(entry) = &entry {
                pairing.apply(entry, frame, &mut out);
                visit(entry);
            }
            block.push(frame, entry.as_ref().ok());
            settle(&mut out, day, &mut block);
            let shapes = out.shapes.drain(..);
            batch.shapes.extend(shapes.map(|shape| (day, shape)));
            add(&mut out, lane, Some((day, id)), batch);
            last = frame.seq;
        });
        self.waiting += block.bytes();
        if let Some(packed) = block.finish() {
            batch.day(day).blocks.push(packed);
        }
        let node = pairing.node();
        let head = LaneHead {
            lane,
            seq: last,
            chain,
        };
        batch.lanes.retain(|known| known.head.lane != lane);
        batch.lanes.push(LaneProgress { head, node, day });
        self.flush_where_large()?;
        Ok((last, chain))
    }

    /// Adds the statements that nothing has finished, as lost.
    pub(crate) fn lose_open(&mut self) -> Result<(), StoreError> {
        self.flush()?;
        for (lane, pairing) in &mut self.lanes {
            let mut out = Emitted::default();
            pairing.lose_all(&mut out);
            add(&mut out, *lane, None, &mut self.batch);
        }
        self.batch.days.retain(|_, rows| !rows.carried.is_empty());
        self.flush()
    }

    fn flush_where_large(&mut self) -> Result<(), StoreError> {
        if self.waiting >= MOST_WAITING || self.batch.shapes.len() >= MOST_SHAPES {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        let batch = std::mem::take(&mut self.batch);
        self.waiting = 0;
        self.store.commit(&batch).map(drop)
    }

    /// Ends filling: the tree is the one that is given, whatever the blocks would make of it, and the days before
    /// `kept_from` were let go.
    pub(crate) fn finish(
        mut self,
        gone: &Frontier,
        leaves: &[(u64, Vec<u8>)],
        checkpoints: &[String],
        kept_from: Day,
    ) -> Result<(), StoreError> {
        self.flush()?;
        self.store.main.plant(gone, leaves)?;
        for note in checkpoints {
            self.store.main.add_checkpoint(0, note)?;
        }
        self.store.let_go_before(kept_from)
    }
}

/// How many bytes of entries may wait for a transaction.
const MOST_WAITING: usize = 32 << 20;

/// How many shapes may.
const MOST_SHAPES: usize = 10_000;
