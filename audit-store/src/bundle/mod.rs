//! Bundles: a part of a store in one file, with its proof, for people who have neither the store nor a network.
//!
//! A bundle is a tar archive of text files; `docs/audit-bundle.md` says what is in them. [`export`] writes one,
//! [`verify`] checks one: it fills an empty store with the bundle's entries, which the store's own verifier then checks
//! against the tree and its checkpoint, and whose answers the bundle's records must be.

mod compare;
mod export;
mod fill;
mod format;
mod parts;
mod verify;

use std::path::PathBuf;

pub use self::export::{Exported, Range, export};
pub use self::format::Manifest;
pub use self::verify::{BundleReport, verify};
use crate::embedded::StoreError;

/// Why a bundle can't be written or read.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file can't be written or read.
    #[error("`{path}`: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// There is no checkpoint.
    #[error(
        "no checkpoint covers anything: name a `signing_key` in [audit], and wait for the first"
    )]
    Unsigned,
    /// Nothing was recorded in that time.
    #[error("nothing that a checkpoint covers was recorded in that time")]
    Empty,
    /// The store is not in order.
    #[error("the store is not in order, `sqlward audit verify` tells more: {0}")]
    Damaged(String),
    /// The file is no bundle.
    #[error("{0}")]
    Form(String),
}

impl BundleError {
    fn io(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        move |source| Self::Io {
            path: path.to_owned(),
            source,
        }
    }
}
