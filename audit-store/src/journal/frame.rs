//! Frames: how entries lie in a segment.
//!
//! ```text
//! word  = length of body u32 | crc32c of body u32     zero: nothing here yet
//! body  = seq u64 | kind u8 | payload | chain [u8; 32]  chain = SHA-256(previous chain | seq | kind | payload)
//! padding to a multiple of 8
//! ```
//! All integers are little-endian. A word of all ones closes a segment.

use super::map::WORD;
use crate::chain::{self, Hash};
use crate::event::Seq;
use crate::record::Entry;

/// The word that closes a segment.
pub(super) const CLOSED: u64 = u64::MAX;

/// Bytes of a body around its payload.
pub(super) const OVERHEAD: usize = 8 + 1 + 32;

/// A frame as it lies in a segment.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// The entry's sequence number.
    pub seq: Seq,
    /// The entry's kind.
    pub kind: u8,
    /// The entry's payload.
    pub payload: &'a [u8],
    /// Its link of the chain, as stored.
    pub chain: [u8; 32],
    /// What the link covers beside its predecessor.
    sequenced: &'a [u8],
}

impl<'a> Frame<'a> {
    /// An entry that was kept outside the journal; it follows nothing.
    pub(crate) const fn kept(seq: Seq, kind: u8, payload: &'a [u8], chain: Hash) -> Self {
        Self {
            seq,
            kind,
            payload,
            chain,
            sequenced: &[],
        }
    }

    /// Whether the frame follows `previous` in the chain.
    #[must_use]
    pub fn follows(&self, previous: &[u8; 32]) -> bool {
        chain::link(previous, self.sequenced) == self.chain
    }
}

/// What stands at a place of a segment.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place<'a> {
    /// A frame, and where the next one begins.
    Frame(Frame<'a>, usize),
    /// Nothing (yet).
    Empty,
    /// The end of a segment that was closed.
    Closed,
    /// Bytes that are no frame.
    Broken(Broken),
}

/// Why bytes are no frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// The length does not fit the segment.
    #[error("the frame's length is impossible")]
    Length,
    /// The checksum does not match.
    #[error("the frame's checksum does not match")]
    Checksum,
    /// The chain does not match.
    #[error("the frame does not follow its predecessor in the chain")]
    Chain,
    /// The segment has no header that fits its name, its lane and its predecessors.
    #[error("the segment has no fitting header")]
    Header,
    /// The sequence number does not follow.
    #[error("the frame's sequence number does not follow its predecessor's")]
    Sequence,
}

/// The parts of an encoded frame that its writer needs.
pub(super) struct Encoded {
    pub(super) word: u64,
    pub(super) length: usize,
    pub(super) chain: Hash,
}

/// Writes the body of a frame into `room`; in vain, answers the room it would need.
#[inline]
pub(super) fn encode(
    room: &mut [u8],
    seq: Seq,
    previous: &Hash,
    entry: &Entry<'_>,
) -> Result<Encoded, usize> {
    let mut writer = crate::record::Writer::new(room);
    writer.u64(seq.0);
    writer.u8(entry.kind());
    entry.encode(&mut writer);
    let sequenced = writer.finish().map_err(|needed| needed + 32)?;
    let length = sequenced + 32;
    let Some((covered, hash_place)) = room
        .get_mut(..length)
        .and_then(|body| body.split_at_mut_checked(sequenced))
    else {
        return Err(length);
    };
    let chain = chain::link(previous, covered);
    hash_place.copy_from_slice(&chain);
    let body = room.get(..length).ok_or(length)?;
    let crc = crc32c::crc32c(body);
    // A body of 4 GiB or more has no word; `needed` beyond any segment makes it too large.
    let length_word = u32::try_from(length)
        .ok()
        .filter(|l| *l != u32::MAX)
        .ok_or(usize::MAX)?;
    Ok(Encoded {
        word: word(length_word, crc),
        length,
        chain,
    })
}

const fn word(length: u32, crc: u32) -> u64 {
    length as u64 | ((crc as u64) << 32)
}

/// Reads what stands at `at` of a segment's bytes.
pub(super) fn read(bytes: &[u8], at: usize) -> Place<'_> {
    let Some(rest) = bytes.get(at..) else {
        return Place::Empty;
    };
    let Some((first, rest)) = rest.split_first_chunk::<WORD>() else {
        return Place::Empty;
    };
    let found = u64::from_le_bytes(*first);
    if found == 0 {
        return Place::Empty;
    }
    if found == CLOSED {
        return Place::Closed;
    }
    let (length, crc) = ((found & 0xFFFF_FFFF) as usize, (found >> 32) as u32);
    let Some(body) = rest.get(..length).filter(|body| body.len() >= OVERHEAD) else {
        return Place::Broken(Broken::Length);
    };
    if crc32c::crc32c(body) != crc {
        return Place::Broken(Broken::Checksum);
    }
    let Some(frame) = split(body) else {
        return Place::Broken(Broken::Length);
    };
    Place::Frame(frame, at + WORD + length.next_multiple_of(WORD))
}

fn split(body: &[u8]) -> Option<Frame<'_>> {
    let (sequenced, chain) = body.split_last_chunk::<32>()?;
    let (seq, rest) = sequenced.split_first_chunk::<8>()?;
    let (kind, payload) = rest.split_first()?;
    let seq = Seq(u64::from_le_bytes(*seq));
    Some(Frame {
        seq,
        kind: *kind,
        payload,
        chain: *chain,
        sequenced,
    })
}
