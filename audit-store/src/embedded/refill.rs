//! Fills an empty store with blocks that come from elsewhere, so that it can be verified and asked as any other.

use std::collections::BTreeMap;
use std::path::Path;

use super::{Batch, Block, Entries, LaneProgress, Store, StoreError, StoreSettings};
use crate::journal::{Frame, LaneHead};
use crate::proof::leaf::Leaf;
use crate::proof::merkle::Frontier;
use crate::record::Entry;
use crate::ship::batch::{add, settle};
use crate::ship::pairing::Pairing;
use crate::ship::rows::Emitted;

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
        self.batch.shapes.push((crate::time::Day(0), payload));
        self.flush_where_large()
    }

    /// Adds a block; those of a lane in their order. Shows each of its entries, as far as they can be read.
    pub(crate) fn block(
        &mut self,
        leaf: &Leaf,
        entries: &Entries,
        mut visit: impl FnMut(&Entry<'_>),
    ) -> Result<(), StoreError> {
        let (lane, day) = (leaf.lane, leaf.day);
        let pairing = self
            .lanes
            .entry(lane)
            .or_insert_with(|| Pairing::new(lane, 0, day));
        let mut block = Block::begin(lane, leaf.first, leaf.previous);
        let id = block.id();
        let mut out = Emitted::default();
        let (batch, mut last) = (&mut self.batch, leaf.first);
        let chain = entries.replay(leaf.first.0, leaf.previous, |frame: &Frame<'_>| {
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
        self.flush_where_large()
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

    /// Ends filling: the tree is the one that is given, whatever the blocks would make of it.
    pub(crate) fn finish(
        mut self,
        gone: &Frontier,
        leaves: &[(u64, Vec<u8>)],
        checkpoints: &[String],
    ) -> Result<(), StoreError> {
        self.flush()?;
        self.store.main.plant(gone, leaves)?;
        for note in checkpoints {
            self.store.main.add_checkpoint(0, note)?;
        }
        Ok(())
    }
}

/// How many bytes of entries may wait for a transaction.
const MOST_WAITING: usize = 32 << 20;

/// How many shapes may.
const MOST_SHAPES: usize = 10_000;
