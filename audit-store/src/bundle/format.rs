//! What the lines of a bundle's files hold.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::chain::Hash;
use crate::event::Seq;
use crate::ship::pairing::Restored;

/// The format that this program writes and reads.
pub(super) const FORMAT: &str = "sqlward-audit-bundle/1";

/// The files of a bundle, in their order; the manifest stands before them.
pub(super) const MEMBERS: [&str; 9] = [
    KEYS,
    CHECKPOINTS,
    TREE,
    LANES,
    SHAPES,
    BLOCKS,
    STATEMENTS,
    SESSIONS,
    ADMINISTRATION,
];
pub(super) const MANIFEST: &str = "manifest.json";
pub(super) const KEYS: &str = "keys.jsonl";
pub(super) const CHECKPOINTS: &str = "checkpoint.txt";
pub(super) const TREE: &str = "tree.jsonl";
pub(super) const LANES: &str = "lanes.jsonl";
pub(super) const SHAPES: &str = "shapes.jsonl";
pub(super) const BLOCKS: &str = "blocks.jsonl";
pub(super) const STATEMENTS: &str = "statements.jsonl";
pub(super) const SESSIONS: &str = "sessions.jsonl";
pub(super) const ADMINISTRATION: &str = "administration.jsonl";

/// What a bundle says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The format's name and version.
    pub format: String,
    /// Whose store, as its checkpoints say.
    pub origin: String,
    /// When the bundle was made, RFC 3339.
    pub made: String,
    /// The first moment that it covers, µs since 1970.
    pub from_us: u64,
    /// The first moment behind what it covers, µs since 1970.
    pub to_us: u64,
    /// The same, for people, RFC 3339.
    pub from: String,
    /// The same, for people, RFC 3339.
    pub to: String,
    /// The only session that its records are of.
    pub session: Option<u64>,
    /// The first leaf of the tree whose block is here.
    pub first_leaf: u64,
    /// The first leaf behind those whose blocks are here.
    pub behind_leaf: u64,
    /// Its files.
    pub files: Vec<MemberNote>,
}

/// What a manifest says of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemberNote {
    /// Its name.
    pub name: String,
    /// How many lines it has.
    pub lines: u64,
    /// How many bytes it has.
    pub bytes: u64,
    /// Its SHA-256, hexadecimal.
    pub sha256: String,
}

/// The first line of the tree's file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EdgeLine {
    /// How many leaves stand before those that follow.
    pub(super) leaves: u64,
    /// The roots of the full subtrees over these, largest first.
    pub(super) edge: Vec<Bytes>,
}

/// A leaf of the tree.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LeafLine {
    pub(super) leaf: u64,
    pub(super) data: Bytes,
}

/// A lane, as it stood before its first block.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LaneLine {
    pub(super) lane: u16,
    pub(super) node: u16,
    /// The link before `before`.
    pub(super) previous: Bytes,
    /// The entries directly before its first block, from the last on that has a time; none where they are gone.
    pub(super) before: Vec<EntryLine>,
    /// Earlier entries that the blocks refer to.
    pub(super) earlier: Vec<EarlierLine>,
}

/// An entry.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EntryLine {
    pub(super) kind: u8,
    pub(super) payload: Bytes,
}

/// An earlier entry that blocks refer to.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EarlierLine {
    pub(super) seq: u64,
    pub(super) kind: u8,
    pub(super) payload: Bytes,
    pub(super) link: Bytes,
    /// An intent without an outcome.
    pub(super) open: bool,
    /// An intent whose text others have.
    pub(super) text: bool,
    /// An intent with a record that an execution may take over.
    pub(super) record: bool,
}

/// What analysis said of a text that was first seen earlier.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ShapeLine {
    pub(super) shape: Bytes,
}

/// A block.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BlockLine {
    pub(super) leaf: u64,
    /// How long its entries are, unpacked.
    pub(super) length: u64,
    /// Its entries, packed with zstd.
    pub(super) entries: Bytes,
}

/// A record of a change of keys.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyLine {
    pub(super) record: String,
}

/// Bytes, in base 64.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bytes(pub(super) Vec<u8>);

impl Bytes {
    /// A hash; `None` where it is none.
    pub(super) fn hash(&self) -> Option<Hash> {
        self.0.as_slice().try_into().ok()
    }
}

impl Serialize for Bytes {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        let bytes = STANDARD.decode(text.as_bytes());
        bytes
            .map(Self)
            .map_err(|_| serde::de::Error::custom("expected base 64"))
    }
}

impl EarlierLine {
    /// How pairing takes it up.
    pub(super) fn how(&self) -> Restored {
        Restored {
            open: self.open,
            text: self.text,
            row: self.record,
        }
    }

    pub(super) fn seq(&self) -> Seq {
        Seq(self.seq)
    }
}
