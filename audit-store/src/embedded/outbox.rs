//! What is on its way to another store, in the main file: noted together with the progress that it stands for, and
//! kept until that store has acknowledged it. After a crash the same bytes go under the same name again.

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::{Batch, MAIN_NAME, Store, StoreError, tree};
use crate::chain::digest;
use crate::proof::leaf::Leaf;
use crate::query::{self, Archive};
use crate::time::Day;

/// One thing to be delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outgoing {
    /// Its place in the order of delivery.
    pub(crate) id: u64,
    pub(crate) what: What,
    /// The UTC day of what it holds.
    pub(crate) day: Day,
    /// How many rows it holds.
    pub(crate) rows: u64,
    /// The rows, packed with zstd, or the keys to take away.
    pub(crate) body: Vec<u8>,
}

/// What is done with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// Rows for this table.
    Rows(String),
    /// Rows of prepares that executions have taken over: `lane seq` in lines.
    TakeAway,
}

impl What {
    fn word(&self) -> &str {
        match self {
            What::Rows(table) => table,
            What::TakeAway => TAKE_AWAY,
        }
    }

    fn from_word(word: String) -> Self {
        if word == TAKE_AWAY {
            What::TakeAway
        } else {
            What::Rows(word)
        }
    }
}

impl Archive {
    /// Whether this folder only notes how far its proxy has shipped, and its records go to another store.
    ///
    /// # Errors
    /// Where the main file can't be read.
    pub fn ships_elsewhere(&self) -> Result<bool, StoreError> {
        let path = self.dir().join(MAIN_NAME);
        let main = query::open(&path)?;
        let table = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'sender'";
        main.query_row(table, [], |row| row.get::<_, i64>(0))
            .map(|tables| tables > 0)
            .map_err(StoreError::sqlite(&path))
    }
}

impl Store {
    /// Makes room for what is to be delivered; answers who delivers, a name that this folder keeps for ever.
    pub(crate) fn open_outbox(&self) -> Result<String, StoreError> {
        let main = &self.main;
        let open = || {
            main.connection.execute_batch(TABLES)?;
            main.connection
                .query_row("SELECT name FROM sender", [], |row| row.get(0))
        };
        open().map_err(main.failed())
    }

    /// Remembers shapes; rows that refer to them can be written then.
    pub(crate) fn remember(&mut self, shapes: &[(Day, Vec<u8>)]) -> Result<(), StoreError> {
        self.main.shapes(shapes)
    }

    /// Notes a shipment's progress together with what is to be delivered.
    pub(crate) fn note(&mut self, batch: &Batch, outgoing: &[Outgoing]) -> Result<(), StoreError> {
        self.main.progress(batch, outgoing)
    }

    /// Adds one more thing to be delivered.
    pub(crate) fn send_later(&mut self, outgoing: &[Outgoing]) -> Result<(), StoreError> {
        let main = &mut self.main;
        let mut write = || {
            let transaction = main.connection.transaction()?;
            put(&transaction, outgoing)?;
            transaction.commit()
        };
        write().map_err(StoreError::sqlite(&main.path))
    }

    /// The number of the next thing to be delivered.
    pub(crate) fn next_outgoing(&self) -> Result<u64, StoreError> {
        let last = self.main.connection.query_row(
            "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'outbox'",
            [],
            |row| row.get::<_, i64>(0),
        );
        last.map(|last| last as u64 + 1).map_err(self.main.failed())
    }

    /// What is to be delivered first.
    pub(crate) fn outgoing(&self) -> Result<Option<Outgoing>, StoreError> {
        first(&self.main.connection).map_err(self.main.failed())
    }

    /// Notes that it has arrived.
    pub(crate) fn delivered(&self, id: u64) -> Result<(), StoreError> {
        self.main
            .connection
            .execute("DELETE FROM outbox WHERE id = ?", params![id as i64])
            .map(drop)
            .map_err(self.main.failed())
    }

    /// The payload of the shape with that key.
    pub(crate) fn shape(
        &self,
        key: &[u8; 16],
        day: Day,
    ) -> Result<Option<std::sync::Arc<[u8]>>, StoreError> {
        self.main.shape(key, day)
    }

    /// The leaves that a batch adds to the tree, each with its number.
    pub(crate) fn leaves_of(&self, batch: &Batch) -> Result<Vec<(u64, Leaf)>, StoreError> {
        let (whole, _) = self.main.tree()?;
        Ok((whole.size()..).zip(tree::leaves(batch)).collect())
    }

    /// Notes that another store has let go of the days before this one.
    pub(crate) fn let_go_before(&mut self, day: Day) -> Result<(), StoreError> {
        match day.0.checked_sub(1) {
            Some(last) => self.main.let_go(&[Day(last)], &[]),
            None => Ok(()),
        }
    }

    /// Forgets the beginning of the tree that was let go.
    pub(crate) fn forget_let_go(&mut self) -> Result<(), StoreError> {
        self.main.forget(&[])
    }
}

/// The name under which a thing is delivered: equal for equal senders and numbers, and for no others.
pub(crate) fn batch_id(sender: &str, id: u64) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = digest(format!("{sender} {id}").as_bytes());
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

pub(super) fn put(transaction: &Transaction<'_>, outgoing: &[Outgoing]) -> rusqlite::Result<()> {
    for one in outgoing {
        transaction
            .prepare_cached("INSERT INTO outbox VALUES (?, ?, ?, ?, ?)")?
            .execute(params![
                one.id as i64,
                one.what.word(),
                one.day.0,
                one.rows as i64,
                one.body
            ])?;
    }
    Ok(())
}

fn first(connection: &Connection) -> rusqlite::Result<Option<Outgoing>> {
    connection
        .prepare_cached("SELECT id, what, day, rows, body FROM outbox ORDER BY id LIMIT 1")?
        .query_row([], |row| {
            Ok(Outgoing {
                id: row.get::<_, i64>(0)? as u64,
                what: What::from_word(row.get(1)?),
                day: Day(row.get(2)?),
                rows: row.get::<_, i64>(3)? as u64,
                body: row.get(4)?,
            })
        })
        .optional()
}

const TAKE_AWAY: &str = "-";

const TABLES: &str = "
BEGIN;
CREATE TABLE IF NOT EXISTS outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT, what TEXT NOT NULL, day INTEGER NOT NULL,
    rows INTEGER NOT NULL, body BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS sender (name TEXT NOT NULL) STRICT;
INSERT INTO sender SELECT lower(hex(randomblob(16))) WHERE NOT EXISTS (SELECT 1 FROM sender);
COMMIT;";
