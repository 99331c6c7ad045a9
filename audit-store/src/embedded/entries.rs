//! Blocks as a day file has them, unpacked again.

use rusqlite::{Connection, OptionalExtension};

use super::MOST_BYTES;
use crate::chain::{self, Hash};
use crate::event::{Seq, split_row_key};
use crate::journal::Frame;

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

/// Unpacked entries, and where each begins.
pub(crate) struct Entries {
    bytes: Vec<u8>,
    starts: Vec<u32>,
}

impl Entries {
    /// Unpacks what a block stores.
    pub(crate) fn unpack(frames: &[u8], length: u64) -> Result<Self, BlockError> {
        let length = usize::try_from(length).unwrap_or(usize::MAX).min(LONGEST);
        let bytes = match zstd::bulk::decompress(frames, length) {
            Ok(bytes) => bytes,
            Err(_) if frames.len() == length => frames.to_vec(),
            Err(_) => return Err(BlockError::Packing),
        };
        let mut starts = Vec::new();
        let mut rest = bytes.as_slice();
        while let Some((length, behind)) = rest.split_first_chunk::<4>() {
            let start = bytes.len() - rest.len();
            let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
            let whole = length.checked_add(1).ok_or(BlockError::Framing)?;
            (_, rest) = behind.split_at_checked(whole).ok_or(BlockError::Framing)?;
            starts.push(u32::try_from(start).map_err(|_| BlockError::Framing)?);
        }
        if rest.is_empty() {
            Ok(Self { bytes, starts })
        } else {
            Err(BlockError::Framing)
        }
    }

    /// How many bytes they take.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.len() as u64
    }

    pub(crate) fn len(&self) -> usize {
        self.starts.len()
    }

    /// Kind and payload of an entry.
    pub(crate) fn entry(&self, index: usize) -> Option<(u8, &[u8])> {
        let rest = self.bytes.get(*self.starts.get(index)? as usize..)?;
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let (kind, rest) = rest.split_first()?;
        let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
        Some((*kind, rest.get(..length)?))
    }

    /// The payload of an intent.
    pub(crate) fn intent(&self, index: usize) -> Option<&[u8]> {
        self.entry(index)
            .filter(|(kind, _)| *kind == super::flat::INTENT)
            .map(|(_, payload)| payload)
    }

    /// Shows every entry with its recomputed link; answers the last link.
    pub(crate) fn replay(
        &self,
        first: u64,
        previous: Hash,
        mut visit: impl FnMut(&Frame<'_>),
    ) -> Hash {
        let mut chain = previous;
        let mut sequenced = Vec::new();
        for (seq, index) in (first..).zip(0..self.len()) {
            let Some((kind, payload)) = self.entry(index) else {
                break;
            };
            sequenced.clear();
            sequenced.extend_from_slice(&seq.to_le_bytes());
            sequenced.push(kind);
            sequenced.extend_from_slice(payload);
            chain = chain::link(&chain, &sequenced);
            visit(&Frame::kept(Seq(seq), kind, payload, chain));
        }
        chain
    }
}

impl StoredBlock {
    /// Reads a block of a day file.
    pub(crate) fn read(connection: &Connection, id: i64) -> rusqlite::Result<Option<Self>> {
        let (_, first) = split_row_key(id);
        connection
            .prepare_cached("SELECT last, previous, head, length, frames FROM block WHERE id = ?")?
            .query_row([id], |row| {
                Ok(Self {
                    first: first.0,
                    last: row.get::<_, i64>(0)? as u64,
                    previous: row.get(1)?,
                    head: row.get(2)?,
                    length: row.get::<_, i64>(3)? as u64,
                    frames: row.get(4)?,
                })
            })
            .optional()
    }

    /// Shows every entry of the block, with its recomputed link, and checks that they end in `head`.
    pub(crate) fn replay(&self, visit: impl FnMut(&Frame<'_>)) -> Result<(), BlockError> {
        let entries = Entries::unpack(&self.frames, self.length)?;
        let head = entries.replay(self.first, self.previous, visit);
        if self.first.checked_add(entries.len() as u64) != self.last.checked_add(1) {
            return Err(BlockError::Count);
        }
        if head == self.head {
            Ok(())
        } else {
            Err(BlockError::Head)
        }
    }
}

/// How long a block can be: the last entry may be as large as a segment.
const LONGEST: usize = MOST_BYTES + (1 << 30);

/// How long a block's entries can be.
pub(crate) const MOST_UNPACKED: u64 = 256 << 20;

#[cfg(test)]
mod tests {
    use super::super::block::pack;
    use super::*;

    #[test]
    fn entries_unpack_as_they_were_packed_or_left() {
        let entries = b"\x03\0\0\0\x07abc\0\0\0\0\x08";
        for stored in [pack(entries), entries.to_vec()] {
            let unpacked = Entries::unpack(&stored, entries.len() as u64).unwrap();
            assert_eq!(unpacked.len(), 2);
            assert_eq!(unpacked.entry(0), Some((7, &b"abc"[..])));
            assert_eq!(unpacked.entry(1), Some((8, &b""[..])));
            assert_eq!((unpacked.entry(2), unpacked.intent(1)), (None, None));
        }
        assert!(
            Entries::unpack(&pack(entries), 3).is_err(),
            "longer than said"
        );
        assert!(Entries::unpack(&entries[1..], 12).is_err());
    }
}
