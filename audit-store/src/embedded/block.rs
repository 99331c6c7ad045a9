//! Blocks: runs of a lane's entries, compressed, as the proof behind the rows.
//!
//! A block holds entries `first..=last` without their chain links: those follow from `previous` and the
//! entries, and must end in `head`.

use rusqlite::{Transaction, params};

use crate::chain::{self, Hash};
use crate::event::Seq;
use crate::journal::Frame;

/// A run of entries of one lane.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    pub(crate) lane: u16,
    pub(crate) first: Seq,
    pub(crate) last: Seq,
    pub(crate) previous: Hash,
    pub(crate) head: Hash,
    /// The entries: `length u32 | kind u8 | payload`, one behind the other.
    entries: Vec<u8>,
}

/// Why a block is not what was stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BlockError {
    #[error("its compressed entries can't be unpacked")]
    Packing,
    #[error("its entries can't be told apart")]
    Framing,
    #[error("it does not hold the entries it names")]
    Count,
    #[error("its entries do not hash to its head")]
    Head,
}

impl Block {
    /// A block that is still empty, behind the entry with the link `previous`.
    pub(crate) fn begin(lane: u16, first: Seq, previous: Hash) -> Self {
        let last = Seq(first.0.saturating_sub(1));
        Self {
            lane,
            first,
            last,
            previous,
            head: previous,
            entries: Vec::new(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many bytes its entries take.
    pub(crate) fn bytes(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn push(&mut self, frame: &Frame<'_>) {
        // Frames come from segments, whose size is below 4 GiB.
        let length = u32::try_from(frame.payload.len()).unwrap_or(u32::MAX);
        self.entries.extend_from_slice(&length.to_le_bytes());
        self.entries.push(frame.kind);
        self.entries.extend_from_slice(frame.payload);
        self.last = frame.seq;
        self.head = frame.chain;
    }

    /// Stores it; a block that begins with the same entry is replaced, since it comes of the same journal.
    pub(crate) fn insert(&self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        let packed = miniz_oxide::deflate::compress_to_vec(&self.entries, LEVEL);
        transaction
            .prepare_cached("INSERT OR REPLACE INTO block VALUES (?,?,?,?,?,?,?)")?
            .execute(params![
                self.lane,
                self.first.0 as i64,
                self.last.0 as i64,
                self.previous,
                self.head,
                self.entries.len() as i64,
                packed,
            ])
            .map(drop)
    }

    /// Shows every entry of a stored block, with its recomputed link, and checks that they end in `head`.
    pub(crate) fn replay(
        stored: &StoredBlock,
        mut visit: impl FnMut(&Frame<'_>),
    ) -> Result<(), BlockError> {
        let length = usize::try_from(stored.length)
            .unwrap_or(usize::MAX)
            .min(LONGEST);
        let entries = miniz_oxide::inflate::decompress_to_vec_with_limit(&stored.frames, length)
            .map_err(|_| BlockError::Packing)?;
        let mut rest = entries.as_slice();
        let mut chain = stored.previous;
        let mut seq = stored.first;
        let mut sequenced = Vec::new();
        while let Some((length, behind)) = rest.split_first_chunk::<4>() {
            let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
            let (kind, behind) = behind.split_first().ok_or(BlockError::Framing)?;
            let (payload, behind) = behind.split_at_checked(length).ok_or(BlockError::Framing)?;
            rest = behind;
            sequenced.clear();
            sequenced.extend_from_slice(&seq.to_le_bytes());
            sequenced.push(*kind);
            sequenced.extend_from_slice(payload);
            chain = chain::link(&chain, &sequenced);
            visit(&Frame::kept(Seq(seq), *kind, payload, chain));
            seq = seq.saturating_add(1);
        }
        if !rest.is_empty() {
            return Err(BlockError::Framing);
        }
        if seq != stored.last.saturating_add(1) {
            return Err(BlockError::Count);
        }
        if chain == stored.head {
            Ok(())
        } else {
            Err(BlockError::Head)
        }
    }
}

/// A block as a day file has it.
pub(crate) struct StoredBlock {
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) previous: Hash,
    pub(crate) head: Hash,
    /// The length of the unpacked entries.
    pub(crate) length: u64,
    pub(crate) frames: Vec<u8>,
}

/// How hard to compress: entries are alike, so that little effort finds most of it.
const LEVEL: u8 = 1;

/// How many bytes of entries go into one block.
pub(crate) const MOST_BYTES: usize = 4 << 20;

/// How long a block can be: the last entry may be as large as a segment.
const LONGEST: usize = MOST_BYTES + (1 << 30);
