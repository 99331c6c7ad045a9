//! The Merkle tree of RFC 6962, section 2.1: SHA-256, leaves hashed behind a 0, nodes behind a 1.

use sha2::{Digest, Sha256};

use crate::chain::Hash;

/// The hash of a leaf.
pub(crate) fn leaf_hash(data: &[u8]) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update([0]);
    hasher.update(data);
    hasher.finalize().into()
}

/// The hash of a node.
pub(crate) fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update([1]);
    hasher.update(left);
    hasher.update(right);
    hasher.finalize().into()
}

/// The right edge of a growing tree: the roots of its full subtrees, largest first. As many as `size` has bits set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Frontier {
    size: u64,
    peaks: Vec<Hash>,
}

impl Frontier {
    /// How many leaves it has.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Adds the hash of the next leaf.
    pub(crate) fn push(&mut self, leaf: Hash) {
        let mut hash = leaf;
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.peaks.pop() {
                hash = node_hash(&left, &hash);
            }
        }
        self.peaks.push(hash);
        self.size = self.size.saturating_add(1);
    }

    /// The root; of no leaves, it is the hash of nothing.
    pub(crate) fn root(&self) -> Hash {
        let mut peaks = self.peaks.iter().rev();
        let Some(smallest) = peaks.next() else {
            return crate::chain::digest(&[]);
        };
        peaks.fold(*smallest, |right, left| node_hash(left, &right))
    }

    /// The subtrees' roots in one string.
    pub(crate) fn peaks(&self) -> Vec<u8> {
        self.peaks.concat()
    }

    /// The edge of a tree of `size` leaves; `None` where `peaks` can't be that.
    pub(crate) fn restore(size: u64, peaks: &[u8]) -> Option<Self> {
        let (peaks, rest) = peaks.as_chunks::<32>();
        let fits = rest.is_empty() && u32::try_from(peaks.len()) == Ok(size.count_ones());
        fits.then(|| Self {
            size,
            peaks: peaks.to_vec(),
        })
    }
}

/// The root of some leaves.
#[cfg(test)]
pub(crate) fn root(leaves: &[Hash]) -> Hash {
    let mut frontier = Frontier::default();
    leaves.iter().for_each(|leaf| frontier.push(*leaf));
    frontier.root()
}

/// The largest power of two below `size`, which is at least 2.
#[cfg(test)]
fn split(size: u64) -> u64 {
    1 << (63 - (size - 1).leading_zeros())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition, word for word.
    fn defined(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => crate::chain::digest(&[]),
            [one] => *one,
            many => {
                let (left, right) = many.split_at(split(many.len() as u64) as usize);
                node_hash(&defined(left), &defined(right))
            }
        }
    }

    fn leaves(count: u64) -> Vec<Hash> {
        (0..count).map(|at| leaf_hash(&at.to_le_bytes())).collect()
    }

    #[test]
    fn roots_are_as_defined() {
        for count in 0..70 {
            let leaves = leaves(count);
            assert_eq!(root(&leaves), defined(&leaves), "{count}");
        }
    }

    /// Test vectors of RFC 6962 implementations (certificate-transparency's Merkle tree tests).
    #[test]
    fn roots_are_those_of_others() {
        let data: [&[u8]; 4] = [b"", b"\0", b"\x10", b"\x20\x21"];
        let hashes: Vec<Hash> = data.iter().map(|data| leaf_hash(data)).collect();
        let expected = [
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
            "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ];
        for (count, expected) in expected.iter().enumerate() {
            assert_eq!(crate::chain::hex(&root(&hashes[..count])), *expected);
        }
    }

    #[test]
    fn edges_are_restored() {
        let mut frontier = Frontier::default();
        for leaf in leaves(21) {
            frontier.push(leaf);
            let restored = Frontier::restore(frontier.size(), &frontier.peaks()).unwrap();
            assert_eq!(restored, frontier);
        }
        assert_eq!(Frontier::restore(22, &[0; 64]), None);
        assert_eq!(Frontier::restore(1, &[0; 33]), None);
    }
}
