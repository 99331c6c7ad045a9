//! Leaves: what the tree says of a block.
//!
//! ```text
//! leaf = 1 | lane u16 | day u32 | first u64 | last u64 | previous 32 | head 32 | links 32 | context 32
//! ```
//! Little-endian. `previous` and `head` are the chain's links around the block, `links` the root of a tree over its
//! entries' links, so that an entry can be shown without its neighbours. `context` covers what the block's statements
//! have from entries of other blocks: who speaks, and texts that were prepared earlier.

use crate::chain::Hash;
use crate::event::{Seq, row_key};
use crate::time::Day;

/// What the tree says of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Leaf {
    pub(crate) lane: u16,
    pub(crate) day: Day,
    pub(crate) first: Seq,
    pub(crate) last: Seq,
    pub(crate) previous: Hash,
    pub(crate) head: Hash,
    pub(crate) links: Hash,
    pub(crate) context: Hash,
}

impl Leaf {
    /// The key of the block.
    pub(crate) fn block(&self) -> i64 {
        row_key(self.lane, self.first)
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        bytes.extend_from_slice(&self.lane.to_le_bytes());
        bytes.extend_from_slice(&self.day.0.to_le_bytes());
        bytes.extend_from_slice(&self.first.0.to_le_bytes());
        bytes.extend_from_slice(&self.last.0.to_le_bytes());
        for hash in [&self.previous, &self.head, &self.links, &self.context] {
            bytes.extend_from_slice(hash);
        }
        bytes
    }

    /// Reads a leaf; `None` where it is none.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (version, rest) = bytes.split_first()?;
        let (lane, rest) = rest.split_first_chunk()?;
        let (day, rest) = rest.split_first_chunk()?;
        let (first, rest) = rest.split_first_chunk()?;
        let (last, rest) = rest.split_first_chunk()?;
        let (previous, rest) = rest.split_first_chunk()?;
        let (head, rest) = rest.split_first_chunk()?;
        let (links, rest) = rest.split_first_chunk()?;
        let (context, rest) = rest.split_first_chunk()?;
        (*version == VERSION && rest.is_empty()).then(|| Self {
            lane: u16::from_le_bytes(*lane),
            day: Day(u32::from_le_bytes(*day)),
            first: Seq(u64::from_le_bytes(*first)),
            last: Seq(u64::from_le_bytes(*last)),
            previous: *previous,
            head: *head,
            links: *links,
            context: *context,
        })
    }

    /// What differs from another leaf, for people.
    pub(crate) fn differing(&self, other: &Self) -> Vec<&'static str> {
        let mut differing = Vec::new();
        let mut compare = |same: bool, what| {
            if !same {
                differing.push(what);
            }
        };
        compare(self.day == other.day, "its day");
        let range = (self.lane, self.first, self.last) == (other.lane, other.first, other.last);
        compare(range, "which entries it holds");
        compare(self.previous == other.previous, "what it follows");
        let entries = self.head == other.head && self.links == other.links;
        compare(entries, "its entries");
        let context = self.context == other.context;
        compare(context, "who speaks in it, or an earlier text that it uses");
        differing
    }

    /// Where the block is, for people.
    pub(crate) fn label(&self) -> String {
        format!(
            "lane {}, entries {} to {}, of {}",
            self.lane, self.first.0, self.last.0, self.day
        )
    }
}

const VERSION: u8 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaves_round_trip() {
        let leaf = Leaf {
            lane: 3,
            day: Day(20_000),
            first: Seq(7),
            last: Seq(9),
            previous: [1; 32],
            head: [2; 32],
            links: [3; 32],
            context: [4; 32],
        };
        let bytes = leaf.encode();
        assert_eq!(Leaf::decode(&bytes), Some(leaf));
        for cut in 0..bytes.len() {
            assert_eq!(Leaf::decode(&bytes[..cut]), None);
        }
        assert_eq!(Leaf::decode(&[&bytes[..], &[0]].concat()), None);
    }
}
