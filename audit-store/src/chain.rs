//! The hash chain: each entry's hash covers the one before it.

use sha2::{Digest, Sha256};

/// A link of the chain: SHA-256.
pub(crate) type Hash = [u8; 32];

/// What the first entry of a lane is chained to.
pub(crate) const GENESIS: Hash = [0; 32];

/// SHA-256(previous ‖ sequenced), where `sequenced` = sequence number ‖ kind ‖ payload.
#[must_use]
pub(crate) fn link(previous: &Hash, sequenced: &[u8]) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update(previous);
    hasher.update(sequenced);
    hasher.finalize().into()
}

/// SHA-256 of some bytes.
#[must_use]
pub(crate) fn digest(bytes: &[u8]) -> Hash {
    Sha256::digest(bytes).into()
}

/// The first half of SHA-256: enough to tell texts apart.
#[must_use]
pub(crate) fn short_digest(bytes: &[u8]) -> [u8; 16] {
    let mut short = [0; 16];
    for (to, from) in short.iter_mut().zip(digest(bytes)) {
        *to = from;
    }
    short
}

/// Lower-case hexadecimal.
#[must_use]
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}
