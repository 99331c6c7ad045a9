//! What can go wrong in the embedded store.

use std::io;
use std::path::{Path, PathBuf};

use crate::holds::HoldError;

/// Why the store can't do its work.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The directory can't be made or written.
    #[error("the store directory `{path}` can't be written: {source}")]
    NotWritable {
        /// The directory.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// Another process writes the store.
    #[error("the store `{0}` is in use by another process")]
    InUse(PathBuf),
    /// There is no store there.
    #[error("there is no audit store in `{0}`")]
    Missing(PathBuf),
    /// The store was written by another version.
    #[error("the store file `{path}` has schema version {found}; this program knows {known}")]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// A file operation failed.
    #[error("store `{path}`: {source}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// SQLite refused.
    #[error("store `{path}`: {source}")]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// Something stored is not what was put there.
    #[error("store `{path}`: {what}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// Which days are held is not known.
    #[error(transparent)]
    Holds(#[from] HoldError),
}

impl StoreError {
    pub(crate) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |source| Self::Io {
            path: path.to_owned(),
            source,
        }
    }

    pub(crate) fn sqlite(path: &Path) -> impl FnOnce(rusqlite::Error) -> Self + '_ {
        move |source| Self::Sqlite {
            path: path.to_owned(),
            source,
        }
    }
}
