//! Proof: signed checkpoints over a Merkle tree of everything that the store holds.
//!
//! A leaf of the tree is a sealed block of a lane ([`leaf::Leaf`]). Blocks hold the journal's entries, all kinds of them,
//! and every other row of the store follows from entries: so the tree covers statements, sessions and administration of
//! all lanes, and the lanes' hash chains meet in its root. A checkpoint (C2SP tlog-checkpoint) is the root, signed.

mod checkpoint;
mod key;
pub(crate) mod leaf;
pub(crate) mod merkle;
mod note;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

pub(crate) use self::checkpoint::Kept;
pub use self::checkpoint::{Checkpoint, in_one_line, read_checkpoints, read_witnessed};
pub use self::key::{Handover, KeyError, PublicKey, Signer, read_public_keys};
pub use self::note::{Note, NoteError, NoteSignature};
pub use crate::embedded::append;

/// How checkpoints are made.
#[derive(Clone, Debug)]
pub struct ProofSettings {
    /// Who signs; without, there are no checkpoints.
    pub signer: Option<Arc<Signer>>,
    /// How long new blocks wait for a checkpoint at most.
    pub interval: Duration,
    /// The file that checkpoints are appended to, beside the store.
    pub file: Option<PathBuf>,
    /// Who hands checkpoints out to witnesses. One that does not keep up misses some; the store has them all.
    pub hand_out: Option<SyncSender<Arc<str>>>,
}

/// Stands between the new key and the old one in the record of a change of keys.
pub(crate) const IN_PLACE_OF: &str = " in place of ";

/// What the administration records when a key comes into force: the new key, the old one's label, and the handover.
#[must_use]
pub fn key_record(signer: &Signer, before: Option<&str>) -> String {
    let mut record = format!("key {}", signer.public());
    if let Some(before) = before {
        record.push_str(IN_PLACE_OF);
        record.push_str(before);
    }
    if let Some(handover) = signer.handover() {
        record.push('\n');
        record.push_str(&handover.to_string());
    }
    record
}

impl Default for ProofSettings {
    fn default() -> Self {
        Self {
            signer: None,
            interval: Duration::from_secs(60),
            file: None,
            hand_out: None,
        }
    }
}
