//! A store made of what another one holds: its blocks read anew, under the other's own tree and checkpoints.

use rusqlite::params;

use super::day::DayBatch;
use super::entries::{Entries, StoredBlock};
use super::tree::{self, GONE, WHOLE};
use super::{Batch, Block, LaneProgress, Store, StoreError};
use crate::event::Seq;
use crate::journal::LaneHead;
use crate::proof::Checkpoint;
use crate::proof::leaf::Leaf;
use crate::proof::merkle::{Frontier, leaf_hash};
use crate::record::Entry;
use crate::ship::batch::{add, settle};
use crate::ship::pairing::Pairing;
use crate::ship::rows::Emitted;
use crate::time::Day;

impl Store {
    /// The edge of the leaves that are gone, as `made` says it.
    pub(crate) fn gone_edge(&self, made: &Checkpoint) -> Result<Vec<u8>, StoreError> {
        let gone = tree::gone(&self.main.connection, &made.kept);
        Ok(gone.map_err(self.main.failed())?.peaks())
    }

    /// Adds a block of a lane behind those before, read anew from its entries; answers whether they lead to its head.
    /// What can't be read of it is left out: then it is not what the tree says.
    pub(crate) fn read_anew(
        &mut self,
        pairing: &mut Pairing,
        (lane, day): (u16, Day),
        stored: &StoredBlock,
    ) -> Result<bool, StoreError> {
        let mut batch = Batch::default();
        let mut block = Block::begin(lane, Seq(stored.first), stored.previous);
        let (id, mut out) = (block.id(), Emitted::default());
        let Ok(entries) = Entries::unpack(&stored.frames, stored.length) else {
            return Ok(false);
        };
        let (mut last, mut chain) = (Seq(stored.first), stored.previous);
        entries.replay(stored.first, stored.previous, |frame| {
            let entry = Entry::decode(frame.kind, frame.payload);
            if let Ok(entry) = &entry {
                pairing.apply(entry, frame, &mut out);
            }
            block.push(frame, entry.as_ref().ok());
            settle(&mut out, day, &mut block);
            for shape in out.shapes.drain(..) {
                batch.shapes.push((day, shape));
            }
            add(&mut out, lane, Some((day, id)), &mut batch);
            (last, chain) = (frame.seq, frame.chain);
        });
        if let Some(packed) = block.finish() {
            batch.day(day).blocks.push(packed);
        }
        let head = LaneHead {
            lane,
            seq: last,
            chain,
        };
        let node = pairing.node();
        batch.lanes.push(LaneProgress { head, node, day });
        self.commit(&batch)?;
        Ok((last.0, chain) == (stored.last, stored.head))
    }

    /// Adds statements that nothing has finished, as lost.
    pub(crate) fn lose(&mut self, pairings: Vec<(u16, Pairing)>) -> Result<(), StoreError> {
        let mut batch = Batch::default();
        for (lane, mut pairing) in pairings {
            let mut out = Emitted::default();
            pairing.lose_all(&mut out);
            add(&mut out, lane, None, &mut batch);
        }
        batch
            .days
            .retain(|_, rows: &mut DayBatch| !rows.carried.is_empty());
        self.commit(&batch).map(drop)
    }

    /// Puts another store's tree in place of the one that has grown: leaves behind those that are gone, and
    /// checkpoints.
    pub(crate) fn impose(
        &mut self,
        gone: &Frontier,
        leaves: &[(u64, Vec<u8>)],
        checkpoints: &[String],
    ) -> Result<(), StoreError> {
        let main = &mut self.main;
        let mut write = || {
            let transaction = main.connection.transaction()?;
            transaction.execute("DELETE FROM leaf", [])?;
            let mut whole = gone.clone();
            for (id, data) in leaves {
                let block = Leaf::decode(data).map_or(-1, |leaf| leaf.block());
                transaction
                    .prepare_cached("INSERT OR IGNORE INTO leaf VALUES (?, ?, ?)")?
                    .execute(params![*id as i64, block, data])?;
                whole.push(leaf_hash(data));
            }
            for (what, edge) in [(WHOLE, &whole), (GONE, gone)] {
                transaction
                    .prepare_cached("UPDATE edge SET size = ?2, peaks = ?3 WHERE what = ?1")?
                    .execute(params![what, edge.size() as i64, edge.peaks()])?;
            }
            for note in checkpoints {
                let size = Checkpoint::parse(note).map_or(0, |checkpoint| checkpoint.size);
                transaction
                    .prepare_cached("INSERT INTO checkpoint (size, note) VALUES (?, ?)")?
                    .execute(params![size as i64, note])?;
            }
            transaction.commit()
        };
        write().map_err(StoreError::sqlite(&main.path))
    }
}
