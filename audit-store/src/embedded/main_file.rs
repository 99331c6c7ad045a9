//! The main file: what the shipper needs to go on after a restart.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::error::StoreError;
use super::outbox::{self, Outgoing};
use super::{Batch, flat, schema, tree};
use crate::chain::Hash;
use crate::event::Seq;
use crate::journal::LaneHead;
use crate::proof::Kept;
use crate::proof::merkle::Frontier;
use crate::ship::pairing::{Keep, Restored};
use crate::time::Day;

pub(super) struct MainFile {
    pub(super) path: PathBuf,
    pub(super) connection: Connection,
}

/// How far a lane has been shipped.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LaneProgress {
    pub(crate) head: LaneHead,
    pub(crate) node: u16,
    pub(crate) day: Day,
}

/// An entry that is still needed.
#[derive(Clone, Debug)]
pub(crate) struct KeptEntry {
    pub(crate) seq: Seq,
    pub(crate) kind: u8,
    pub(crate) chain: Hash,
    pub(crate) payload: Vec<u8>,
    pub(crate) how: Restored,
}

/// What the store remembers of a lane.
pub(crate) struct LaneState {
    pub(crate) progress: LaneProgress,
    pub(crate) kept: Vec<KeptEntry>,
}

impl MainFile {
    pub(super) fn open(path: &Path, synced: bool) -> Result<Self, StoreError> {
        let connection = super::open_writable(path, schema::MAIN, synced)?;
        Ok(Self {
            path: path.to_owned(),
            connection,
        })
    }

    pub(super) fn failed(&self) -> impl FnOnce(rusqlite::Error) -> StoreError + '_ {
        StoreError::sqlite(&self.path)
    }

    pub(super) fn lanes(&self) -> Result<Vec<LaneProgress>, StoreError> {
        self.read_lanes().map_err(self.failed())
    }

    fn read_lanes(&self) -> rusqlite::Result<Vec<LaneProgress>> {
        lanes(&self.connection)
    }

    pub(super) fn states(&self) -> Result<Vec<LaneState>, StoreError> {
        let mut states = Vec::new();
        for progress in self.lanes()? {
            let kept = self.kept(progress.head.lane).map_err(self.failed())?;
            states.push(LaneState { progress, kept });
        }
        Ok(states)
    }

    fn kept(&self, lane: u16) -> rusqlite::Result<Vec<KeptEntry>> {
        self.connection
            .prepare_cached(
                "SELECT seq, kind, chain, payload, open, text, written FROM kept
                 WHERE lane = ? ORDER BY seq",
            )?
            .query_map([lane], |row| {
                let how = Restored {
                    open: row.get(4)?,
                    text: row.get(5)?,
                    row: row.get(6)?,
                };
                Ok(KeptEntry {
                    seq: Seq(row.get::<_, i64>(0)? as u64),
                    kind: row.get(1)?,
                    chain: row.get(2)?,
                    payload: row.get(3)?,
                    how,
                })
            })?
            .collect()
    }

    /// Remembers shapes; they must be there before a row refers to them.
    pub(super) fn shapes(&mut self, shapes: &[(Day, Vec<u8>)]) -> Result<(), StoreError> {
        if shapes.is_empty() {
            return Ok(());
        }
        let mut write = || {
            let transaction = self.connection.transaction()?;
            let mut insert = transaction.prepare_cached(
                "INSERT INTO shape VALUES (?, ?, ?) ON CONFLICT DO UPDATE
                 SET last_day = max(last_day, excluded.last_day)",
            )?;
            for (day, payload) in shapes {
                if let Ok(shape) = flat::shape(payload) {
                    insert.execute(params![shape.key, payload, day.0])?;
                }
            }
            drop(insert);
            transaction.commit()
        };
        write().map_err(StoreError::sqlite(&self.path))
    }

    /// The payload of a shape, noting that `day` needs it.
    pub(super) fn shape(&self, key: &[u8; 16], day: Day) -> Result<Option<Arc<[u8]>>, StoreError> {
        let read = || {
            let mut update = self.connection.prepare_cached(
                "UPDATE shape SET last_day = ?2 WHERE key = ?1 AND last_day < ?2",
            )?;
            update.execute(params![key, day.0])?;
            self.connection
                .prepare_cached("SELECT payload FROM shape WHERE key = ?")?
                .query_row([key], |row| row.get::<_, Arc<[u8]>>(0))
                .optional()
        };
        read().map_err(self.failed())
    }

    /// Notes how far a shipment got, and what it leaves open.
    pub(super) fn progress(
        &mut self,
        batch: &Batch,
        outgoing: &[Outgoing],
    ) -> Result<(), StoreError> {
        let mut write = || {
            let transaction = self.connection.transaction()?;
            for (lane, keep) in &batch.kept {
                match keep {
                    Keep::Put {
                        seq,
                        kind,
                        chain,
                        payload,
                        how,
                    } => transaction
                        .prepare_cached("INSERT OR REPLACE INTO kept VALUES (?,?,?,?,?,?,?,?)")?
                        .execute(params![
                            lane,
                            seq.0 as i64,
                            kind,
                            chain,
                            payload,
                            how.open,
                            how.text,
                            how.row
                        ])?,
                    Keep::Drop(seq) => transaction
                        .prepare_cached("DELETE FROM kept WHERE lane = ? AND seq = ?")?
                        .execute(params![lane, seq.0 as i64])?,
                };
            }
            for LaneProgress { head, node, day } in &batch.lanes {
                transaction
                    .prepare_cached("INSERT OR REPLACE INTO lane VALUES (?,?,?,?,?)")?
                    .execute(params![
                        head.lane,
                        head.seq.0 as i64,
                        head.chain,
                        node,
                        day.0
                    ])?;
            }
            for (lane, gap) in &batch.gaps {
                let (after, next) = (gap.after.0 as i64, gap.next.0 as i64);
                let now = crate::time::now_us() as i64;
                transaction
                    .prepare_cached("INSERT OR IGNORE INTO gap VALUES (?,?,?,?)")?
                    .execute(params![lane, after, next, now])?;
            }
            tree::grow(&transaction, batch)?;
            outbox::put(&transaction, outgoing)?;
            transaction.commit()
        };
        write().map_err(StoreError::sqlite(&self.path))
    }

    /// Whether a day is sealed.
    pub(super) fn is_sealed(&self, day: Day) -> Result<bool, StoreError> {
        let read = || {
            self.connection
                .prepare_cached("SELECT sealed_us IS NOT NULL FROM day WHERE day = ?")?
                .query_row([day.0], |row| row.get(0))
                .optional()
        };
        Ok(read().map_err(self.failed())?.unwrap_or(false))
    }

    /// Notes that a day is sealed, with the hash of its file and the number of its statements.
    pub(super) fn seal(&self, day: Day, sha256: &Hash, rows: i64) -> Result<(), StoreError> {
        let now = crate::time::now_us() as i64;
        let sealed = "INSERT INTO day (day, sealed_us, sha256, rows) VALUES (?,?,?,?)
            ON CONFLICT DO UPDATE SET sealed_us = excluded.sealed_us, sha256 = excluded.sha256,
                rows = excluded.rows";
        self.execute(sealed, params![day.0, now, sha256, rows])
    }

    /// Notes that a sealed day is open again.
    pub(super) fn unseal(&self, day: Day) -> Result<(), StoreError> {
        let unsealed = "UPDATE day SET sealed_us = NULL, sha256 = NULL, reopened = reopened + 1
            WHERE day = ?";
        self.execute(unsealed, params![day.0])
    }

    /// Notes which days retention lets go, and which before the last of them it does not: whatever lane ended in one
    /// that was let go may have nothing left.
    pub(super) fn let_go(&mut self, old: &[Day], stored: &[Day]) -> Result<(), StoreError> {
        let mut write = || {
            let transaction = self.connection.transaction()?;
            if let Some(last) = old.iter().max() {
                transaction.execute(
                    "UPDATE meta SET value = max(value, ?) WHERE key = 'kept_from'",
                    [last.0.saturating_add(1)],
                )?;
            }
            let from = kept_from(&transaction)?.unwrap_or(Day(0));
            for day in stored.iter().filter(|day| **day < from) {
                let noted = if old.contains(day) {
                    "DELETE FROM spared WHERE day = ?"
                } else {
                    "INSERT OR IGNORE INTO spared VALUES (?)"
                };
                transaction.prepare_cached(noted)?.execute([day.0])?;
            }
            transaction.commit()
        };
        write().map_err(StoreError::sqlite(&self.path))
    }

    /// Forgets days that are gone, and the beginning of the tree if all of that is.
    pub(super) fn forget(&mut self, days: &[Day]) -> Result<(), StoreError> {
        let mut write = || {
            let transaction = self.connection.transaction()?;
            for day in days {
                transaction
                    .prepare_cached("DELETE FROM day WHERE day = ?")?
                    .execute([day.0])?;
            }
            tree::prune(&transaction)?;
            transaction.commit()
        };
        write().map_err(StoreError::sqlite(&self.path))
    }

    /// The whole tree's edge, and what of it is kept.
    pub(super) fn tree(&self) -> Result<(Frontier, Kept), StoreError> {
        let read = || {
            let whole = tree::edge(&self.connection, tree::WHOLE)?;
            Ok((whole, tree::kept(&self.connection)?))
        };
        read().map_err(self.failed())
    }

    /// Puts a tree in the place of the one that is there: the edge of what is before its leaves, and its leaves.
    pub(super) fn plant(
        &mut self,
        gone: &Frontier,
        leaves: &[(u64, Vec<u8>)],
    ) -> Result<(), StoreError> {
        let mut write = || {
            let transaction = self.connection.transaction()?;
            tree::plant(&transaction, gone, leaves)?;
            transaction.commit()
        };
        write().map_err(StoreError::sqlite(&self.path))
    }

    /// Keeps a checkpoint.
    pub(super) fn add_checkpoint(&self, size: u64, note: &str) -> Result<(), StoreError> {
        self.execute(
            "INSERT INTO checkpoint (size, note) VALUES (?, ?)",
            params![size as i64, note],
        )
    }

    /// The notes of the checkpoints, oldest first.
    pub(super) fn checkpoints(&self) -> Result<Vec<String>, StoreError> {
        tree::checkpoints(&self.connection).map_err(self.failed())
    }

    /// Forgets the shapes that neither `oldest` nor a later day needed.
    ///
    /// Only before there are writers: each tells what a shape is but once, and may refer to it for as long as it lives.
    pub(super) fn forget_shapes(&self, oldest: Day) -> Result<(), StoreError> {
        self.execute("DELETE FROM shape WHERE last_day < ?", params![oldest.0])
    }

    fn execute(&self, sql: &str, values: &[&dyn rusqlite::ToSql]) -> Result<(), StoreError> {
        self.connection
            .execute(sql, values)
            .map(drop)
            .map_err(self.failed())
    }
}

/// The first day that retention has not reached; `None` where the file is older than this note.
pub(super) fn kept_from(connection: &Connection) -> rusqlite::Result<Option<Day>> {
    connection
        .query_row(
            "SELECT value FROM meta WHERE key = 'kept_from'",
            [],
            |row| row.get(0).map(Day),
        )
        .optional()
}

/// The lanes in a main file.
pub(super) fn lanes(connection: &Connection) -> rusqlite::Result<Vec<LaneProgress>> {
    connection
        .prepare("SELECT lane, seq, chain, node, day FROM lane ORDER BY lane")?
        .query_map([], |row: &Row<'_>| {
            let seq = Seq(row.get::<_, i64>(1)? as u64);
            let head = LaneHead {
                lane: row.get(0)?,
                seq,
                chain: row.get(2)?,
            };
            Ok(LaneProgress {
                head,
                node: row.get(3)?,
                day: Day(row.get(4)?),
            })
        })?
        .collect()
}
