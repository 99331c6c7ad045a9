//! The Merkle tree and its checkpoints, as the main file has them.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::{Batch, MAIN_NAME, Store, StoreError};
use crate::proof::leaf::Leaf;
use crate::proof::merkle::{Frontier, leaf_hash};
use crate::proof::{Checkpoint, Kept, Signer};
use crate::query::{self, Archive};
use crate::time::{Day, now_us};

/// The edge of the whole tree.
pub(super) const WHOLE: &str = "whole";

/// The edge of the leaves that are gone.
pub(super) const GONE: &str = "gone";

/// The leaves of a batch, by lane and number.
pub(super) fn leaves(batch: &Batch) -> Vec<Leaf> {
    let days = batch.days.iter();
    let mut leaves: Vec<Leaf> = days
        .flat_map(|(day, rows)| rows.blocks.iter().map(|block| block.leaf(*day)))
        .collect();
    leaves.sort_by_key(Leaf::block);
    leaves
}

/// Adds the leaves of a batch.
pub(super) fn grow(transaction: &Transaction<'_>, batch: &Batch) -> rusqlite::Result<()> {
    let leaves = leaves(batch);
    if leaves.is_empty() {
        return Ok(());
    }
    let mut whole = edge(transaction, WHOLE)?;
    for leaf in leaves {
        let data = leaf.encode();
        transaction
            .prepare_cached("INSERT INTO leaf VALUES (?, ?, ?)")?
            .execute(params![whole.size() as i64, leaf.block(), data])?;
        whole.push(leaf_hash(&data));
    }
    set_edge(transaction, WHOLE, &whole)
}

/// An edge of the tree; what can't be one is none.
pub(super) fn edge(connection: &Connection, what: &str) -> rusqlite::Result<Frontier> {
    let read = "SELECT size, peaks FROM edge WHERE what = ?";
    let found = connection
        .prepare_cached(read)?
        .query_row([what], |row| {
            let (size, peaks) = (row.get::<_, i64>(0)? as u64, row.get::<_, Vec<u8>>(1)?);
            Ok(Frontier::restore(size, &peaks))
        })
        .optional()?;
    found.flatten().ok_or_else(|| {
        let what = format!("the tree's edge `{what}` is none");
        rusqlite::Error::FromSqlConversionFailure(1, rusqlite::types::Type::Blob, what.into())
    })
}

fn set_edge(connection: &Connection, what: &str, edge: &Frontier) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE edge SET size = ?2, peaks = ?3 WHERE what = ?1")?
        .execute(params![what, edge.size() as i64, edge.peaks()])
        .map(drop)
}

/// A tree as it is moved to another store.
pub(crate) struct Tree {
    /// Its leaves, by number.
    pub(crate) leaves: Vec<(u64, Vec<u8>)>,
    /// Its checkpoints, oldest first.
    pub(crate) checkpoints: Vec<Checkpoint>,
    /// The edge of what retention has let go before its leaves.
    pub(crate) gone: Vec<u8>,
}

impl Archive {
    /// The store's tree.
    pub(crate) fn tree(&self) -> Result<Tree, StoreError> {
        let path = self.dir().join(MAIN_NAME);
        let main = query::open(&path)?;
        let read = || {
            let leaves = main
                .prepare("SELECT id, data FROM leaf ORDER BY id")?
                .query_map([], |row| Ok((row.get::<_, i64>(0)? as u64, row.get(1)?)))?
                .collect::<rusqlite::Result<_>>()?;
            let notes = checkpoints(&main)?;
            Ok(Tree {
                leaves,
                checkpoints: (notes.iter())
                    .filter_map(|note| Checkpoint::parse(note).ok())
                    .collect(),
                gone: gone(&main, &kept(&main)?)?.peaks(),
            })
        };
        read().map_err(StoreError::sqlite(&path))
    }
}

impl Store {
    /// The edge of the leaves that are gone, as `made` says it.
    pub(crate) fn gone_edge(&self, made: &Checkpoint) -> Result<Vec<u8>, StoreError> {
        let gone = gone(&self.main.connection, &made.kept);
        Ok(gone.map_err(self.main.failed())?.peaks())
    }
}

/// The notes of the checkpoints, oldest first.
pub(super) fn checkpoints(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    connection
        .prepare("SELECT note FROM checkpoint ORDER BY id")?
        .query_map([], |row| row.get(0))?
        .collect()
}

/// What retention has left of the store.
pub(super) fn kept(connection: &Connection) -> rusqlite::Result<Kept> {
    let mut kept = Kept {
        from: super::main_file::kept_from(connection)?.unwrap_or(Day(0)),
        also: connection
            .prepare("SELECT day FROM spared ORDER BY day")?
            .query_map([], |row| row.get(0).map(Day))?
            .collect::<Result<_, _>>()?,
        gone: 0,
    };
    kept.gone = gone(connection, &kept)?.size();
    Ok(kept)
}

/// The edge of the leaves at the beginning whose days were let go.
fn gone(connection: &Connection, kept: &Kept) -> rusqlite::Result<Frontier> {
    let mut gone = edge(connection, GONE)?;
    let mut select =
        connection.prepare_cached("SELECT data FROM leaf WHERE id >= ? ORDER BY id")?;
    let mut rows = select.query([gone.size() as i64])?;
    while let Some(row) = rows.next()? {
        let data = row.get_ref(0)?.as_blob()?;
        if Leaf::decode(data).is_none_or(|leaf| !kept.let_go(leaf.day)) {
            break;
        }
        gone.push(leaf_hash(data));
    }
    Ok(gone)
}

/// Forgets the leaves at the beginning whose days were let go, and the checkpoints among them.
pub(super) fn prune(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    let gone = gone(transaction, &kept(transaction)?)?;
    let size = gone.size() as i64;
    transaction.execute("DELETE FROM leaf WHERE id < ?", [size])?;
    transaction.execute("DELETE FROM checkpoint WHERE size < ?", [size])?;
    set_edge(transaction, GONE, &gone)
}

/// Puts a tree in the place of the one that is there. A leaf that can't be read is that of no block.
pub(super) fn plant(
    transaction: &Transaction<'_>,
    gone: &Frontier,
    leaves: &[(u64, Vec<u8>)],
) -> rusqlite::Result<()> {
    transaction.execute("DELETE FROM leaf", [])?;
    let mut whole = gone.clone();
    for (position, data) in leaves {
        let block = Leaf::decode(data).map_or(-1, |leaf| leaf.block());
        transaction
            .prepare_cached("INSERT OR REPLACE INTO leaf VALUES (?, ?, ?)")?
            .execute(params![*position as i64, block, data])?;
        whole.push(leaf_hash(data));
    }
    set_edge(transaction, GONE, gone)?;
    set_edge(transaction, WHOLE, &whole)
}

impl Store {
    /// Makes a checkpoint, if there is something that the last one of this key does not say.
    ///
    /// It is in the store when this returns.
    pub(crate) fn checkpoint(&mut self, signer: &Signer) -> Result<Option<Checkpoint>, StoreError> {
        let (whole, kept) = self.main.tree()?;
        let said = (whole.size(), kept.clone(), signer.public().id());
        if whole.size() == 0 || self.last_checkpoint.as_ref() == Some(&said) {
            return Ok(None);
        }
        let made = Checkpoint::sign(signer, (whole.size(), whole.root()), now_us(), kept);
        self.main.add_checkpoint(made.size, &made.to_string())?;
        self.last_checkpoint = Some(said);
        Ok(Some(made))
    }

    /// Who signed the newest checkpoint, by name and key id; `None` where there is none.
    ///
    /// # Errors
    /// Where the store can't be read.
    pub fn last_signers(&self) -> Result<Option<String>, StoreError> {
        let last = self.main.checkpoints()?.pop();
        Ok(last
            .and_then(|note| Checkpoint::parse(&note).ok())
            .map(|checkpoint| checkpoint.signers()))
    }
}

/// What the last checkpoint said: size, what is kept, key.
pub(super) type Said = (u64, Kept, [u8; 4]);

/// Appends to a file, which is made where there is none, and waits for the disk.
///
/// # Errors
/// Where the file can't be written.
pub fn append(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_data()
}

/// The leaf of a block, with its place in the tree; `None` where the tree has none.
pub(crate) fn leaf_of(
    connection: &Connection,
    block: i64,
) -> rusqlite::Result<Option<(u64, Vec<u8>)>> {
    connection
        .prepare_cached("SELECT id, data FROM leaf WHERE block = ? ORDER BY id LIMIT 1")?
        .query_row([block], |row| {
            Ok((row.get::<_, i64>(0)? as u64, row.get(1)?))
        })
        .optional()
}
