//! The list on the disk: `blocks.toml` in the data folder, which the proxy and `sqlward block` change under one lock.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::block::Block;

/// The most blocks in a list.
pub const MAX_BLOCKS: usize = 10_000;

/// The most bytes that a list may have.
const MAX_BYTES: u64 = 8 << 20;

const HEAD: &str = "# Whom sqlward keeps out. Change it with `sqlward block`: a running proxy takes changes up at once.\n";

/// The list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct List {
    /// The number of the next block.
    #[serde(default)]
    pub next: u64,
    /// The blocks, in the order of their numbers.
    #[serde(default, rename = "block")]
    pub blocks: Vec<Block>,
}

/// Why the list can't be used.
#[derive(Debug, thiserror::Error)]
pub enum BlockError {
    /// The file system says so.
    #[error("{path}: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// It is no list.
    #[error(
        "{path} is no list of blocks: {error}; mend it, or move it away and set the blocks again"
    )]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Why.
        error: Box<toml::de::Error>,
    },
    /// It can't be written as TOML.
    #[error("the list of blocks can't be written: {0}")]
    Write(#[from] Box<toml::ser::Error>),
    /// It has too many blocks.
    #[error("there are {MAX_BLOCKS} blocks already: remove some with `sqlward block remove`")]
    Full,
    /// There is no such block.
    #[error("there is no block {0}; `sqlward block list` shows them")]
    Unknown(u64),
    /// A block must say whom.
    #[error("say whom: --user, --client, --end-user or --application")]
    Nobody,
}

/// The file of a list.
#[derive(Clone, Debug)]
pub struct BlockFile {
    path: PathBuf,
}

/// Tells one state of the file from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp(Option<(u64, i64, i64, u64)>);

impl List {
    /// Adds a block, and gives it its number.
    ///
    /// # Errors
    /// The list is full, or the block says nothing.
    pub fn add(&mut self, block: Block) -> Result<u64, BlockError> {
        if block.whom.is_nobody() {
            return Err(BlockError::Nobody);
        }
        if self.blocks.len() >= MAX_BLOCKS {
            return Err(BlockError::Full);
        }
        let highest = self.blocks.iter().map(|block| block.number).max();
        let number = self.next.max(highest.unwrap_or(0).saturating_add(1));
        self.next = number.saturating_add(1);
        self.blocks.push(Block { number, ..block });
        Ok(number)
    }

    /// Marks a block as removed; the proxy records that and drops it.
    ///
    /// # Errors
    /// There is none of that number.
    pub fn remove(&mut self, number: u64, by: &str) -> Result<Block, BlockError> {
        let block = self
            .blocks
            .iter_mut()
            .find(|block| block.number == number && block.removed_by.is_none())
            .ok_or(BlockError::Unknown(number))?;
        block.removed_by = Some(by.to_owned());
        Ok(block.clone())
    }
}

impl BlockFile {
    /// The list of the proxy whose data folder is `data`.
    #[must_use]
    pub fn of(data: &Path) -> Self {
        Self {
            path: data.join("blocks.toml"),
        }
    }

    /// Reads the list; none is an empty one.
    ///
    /// # Errors
    /// It can't be read, or is none.
    pub fn read(&self) -> Result<List, BlockError> {
        let mut text = String::new();
        match File::open(&self.path) {
            Ok(file) => file
                .take(MAX_BYTES)
                .read_to_string(&mut text)
                .map_err(|error| self.io(error))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(List::default()),
            Err(error) => return Err(self.io(error)),
        };
        let list: List = toml::from_str(&text).map_err(|error| BlockError::Syntax {
            path: self.path.clone(),
            error: Box::new(error),
        })?;
        if list.blocks.len() > MAX_BLOCKS {
            return Err(BlockError::Full);
        }
        Ok(list)
    }

    /// Changes the list, alone.
    ///
    /// # Errors
    /// It can't be read or written, or `change` fails: then it stays as it was.
    pub fn edit<R>(
        &self,
        change: impl FnOnce(&mut List) -> Result<R, BlockError>,
    ) -> Result<R, BlockError> {
        let lock = self.private(&self.path.with_extension("lock"))?;
        lock.lock().map_err(|error| self.io(error))?;
        let before = self.read()?;
        let mut list = before.clone();
        let result = change(&mut list)?;
        if list != before {
            self.write(&list)?;
        }
        Ok(result)
    }

    fn write(&self, list: &List) -> Result<(), BlockError> {
        let text = toml::to_string(list).map_err(Box::new)?;
        let new = self.path.with_extension("new");
        let mut file = self.private(&new)?;
        let written = file
            .set_len(0)
            .and_then(|()| file.write_all(HEAD.as_bytes()))
            .and_then(|()| file.write_all(text.as_bytes()))
            .and_then(|()| file.sync_all())
            .and_then(|()| fs::rename(&new, &self.path));
        written.map_err(|error| self.io(error))
    }

    /// Which state the file is in.
    pub(super) fn stamp(&self) -> Stamp {
        let state = fs::metadata(&self.path).ok();
        Stamp(state.map(|state| (state.ino(), state.mtime(), state.mtime_nsec(), state.len())))
    }

    fn private(&self, path: &Path) -> Result<File, BlockError> {
        OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .map_err(|error| BlockError::Io {
                path: path.to_owned(),
                error,
            })
    }

    fn io(&self, error: io::Error) -> BlockError {
        BlockError::Io {
            path: self.path.clone(),
            error,
        }
    }
}
