//! Rows as they lie in the blocks of a day file.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::rc::Rc;

use rusqlite::types::Null;
use rusqlite::vtab::Context;
use rusqlite::{Connection, OptionalExtension};

use crate::chain::Hash;
use crate::embedded::block::{Place, places};
use crate::embedded::day::SpeakerIds;
use crate::embedded::entries::Entries;
use crate::embedded::flat::{self, Resolved, TextState};
use crate::event::{row_key, split_row_key};
use crate::record::{Intent, Outcome, Text};

/// A day file as the table reads it.
pub(super) struct Source {
    connection: Connection,
    shapes: RefCell<HashMap<[u8; 16], Option<ShapeText>>>,
    /// The intents of table `prepared` that were asked for.
    prepared: RefCell<HashMap<i64, Option<Rc<[u8]>>>>,
    prepared_bytes: Cell<usize>,
    removed: HashSet<i64>,
}

#[derive(Clone)]
pub(super) struct ShapeText {
    pub(super) id: i64,
    normal: Rc<str>,
}

impl Source {
    pub(super) fn open(path: &Path) -> rusqlite::Result<Self> {
        let flags =
            rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY | rusqlite::OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(std::time::Duration::from_secs(10))?;
        connection.execute_batch("BEGIN")?;
        let removed = connection
            .prepare("SELECT id FROM removed")?
            .query_map([], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        Ok(Self {
            connection,
            shapes: RefCell::default(),
            prepared: RefCell::default(),
            prepared_bytes: Cell::new(0),
            removed,
        })
    }

    pub(super) fn shape(&self, key: Option<[u8; 16]>) -> rusqlite::Result<Option<ShapeText>> {
        let Some(key) = key else { return Ok(None) };
        if let Some(known) = self.shapes.borrow().get(&key) {
            return Ok(known.clone());
        }
        let found = self
            .connection
            .prepare_cached("SELECT id, normal FROM shape WHERE key = ?")?
            .query_row([key], |row| {
                Ok(ShapeText {
                    id: row.get(0)?,
                    normal: row.get::<_, String>(1)?.into(),
                })
            })
            .optional()?;
        self.shapes.borrow_mut().insert(key, found.clone());
        Ok(found)
    }

    fn prepared(&self, key: i64) -> rusqlite::Result<Option<Rc<[u8]>>> {
        if let Some(known) = self.prepared.borrow().get(&key) {
            return Ok(known.clone());
        }
        let found: Option<Rc<[u8]>> = self
            .connection
            .prepare_cached("SELECT intent FROM prepared WHERE id = ?")?
            .query_row([key], |row| row.get(0))
            .optional()?;
        let mut known = self.prepared.borrow_mut();
        let bytes = found.as_ref().map_or(0, |intent| intent.len());
        let held = self.prepared_bytes.get();
        if known.len() >= MOST_PREPARED || held > MOST_PREPARED_BYTES {
            known.clear();
            self.prepared_bytes.set(bytes);
        } else {
            self.prepared_bytes.set(held.saturating_add(bytes));
        }
        known.insert(key, found.clone());
        Ok(found)
    }

    pub(super) fn block_ids(&self) -> rusqlite::Result<Vec<i64>> {
        self.connection
            .prepare_cached(
                "SELECT id FROM block WHERE statements > 0 OR to_us > 0 UNION ALL SELECT 0",
            )?
            .query_map([], |row| row.get(0))?
            .collect()
    }

    /// The statements of a block; of none at all where it is unknown.
    pub(super) fn load(&self, id: i64) -> rusqlite::Result<Vec<StoredRow>> {
        let mut rows = Vec::new();
        let block = self
            .connection
            .prepare_cached(
                "SELECT length, frames, previous, rows, speakers FROM block WHERE id = ?",
            )?
            .query_row([id], |row| {
                let (length, frames) = (row.get::<_, i64>(0)?, row.get_ref(1)?.as_blob()?);
                let entries = Entries::unpack(frames, length as u64).map_err(damaged)?;
                let speakers = SpeakerIds::read(row.get_ref(4)?.as_blob()?).map_err(damaged)?;
                let places = places(row.get_ref(3)?.as_blob()?).map_err(damaged)?;
                Ok((Held::new(id, entries, row.get(2)?), speakers, places))
            })
            .optional()?;
        if let Some((held, speakers, places)) = block {
            let held = Rc::new(held);
            rows.reserve(places.len());
            for place in places {
                let speaker = speakers.get(place.speaker as usize);
                let speaker = *speaker.ok_or_else(|| damaged("a speaker is missing"))?;
                let row = held.row(place, speaker)?;
                if !self.removed.contains(&row.key) {
                    rows.push(row);
                }
            }
        }
        self.load_carried(id, &mut rows)?;
        Ok(rows)
    }

    fn load_carried(&self, block: i64, rows: &mut Vec<StoredRow>) -> rusqlite::Result<()> {
        let mut select = self.connection.prepare_cached(
            "SELECT id, who, role, end_user, end_user_source, end_user_trust, intent, outcome,
                chain FROM carried WHERE block = ?",
        )?;
        let mut found = select.query([block])?;
        while let Some(row) = found.next()? {
            let speaker = SpeakerIds {
                who: row.get(1)?,
                role: row.get(2)?,
                end_user: row.get(3)?,
                source: row.get(4)?,
                trust: row.get(5)?,
            };
            let key = row.get(0)?;
            if self.removed.contains(&key) {
                continue;
            }
            rows.push(StoredRow {
                key,
                speaker,
                intent: 0,
                outcome: flat::outcome(row.get_ref(7)?.as_blob()?).map_err(damaged)?,
                block: Rc::new(Held::Whole {
                    intent: row.get(6)?,
                    chain: row.get(8)?,
                }),
            });
        }
        Ok(())
    }
}

/// What rows read their entries from.
pub(super) enum Held {
    Block {
        id: i64,
        entries: Entries,
        previous: Hash,
        /// Every entry's link, once somebody asks.
        links: RefCell<Vec<Hash>>,
    },
    Whole {
        intent: Vec<u8>,
        chain: Hash,
    },
}

impl Held {
    fn new(id: i64, entries: Entries, previous: Hash) -> Self {
        Held::Block {
            id,
            entries,
            previous,
            links: RefCell::default(),
        }
    }

    fn row(self: &Rc<Self>, place: Place, speaker: SpeakerIds) -> rusqlite::Result<StoredRow> {
        let outcome = match &**self {
            Held::Block { entries, .. } => entries.entry(place.outcome as usize),
            Held::Whole { .. } => None,
        };
        let (_, outcome) = outcome.ok_or_else(|| damaged("an outcome is missing"))?;
        Ok(StoredRow {
            key: self.key(place.intent),
            speaker,
            intent: place.intent,
            outcome: flat::outcome(outcome).map_err(damaged)?,
            block: Rc::clone(self),
        })
    }

    fn key(&self, index: u32) -> i64 {
        match self {
            Held::Block { id, .. } => id.saturating_add(i64::from(index)),
            Held::Whole { .. } => 0,
        }
    }

    pub(super) fn intent(&self, index: u32) -> Option<&[u8]> {
        match self {
            Held::Block { entries, .. } => entries.intent(index as usize),
            Held::Whole { intent, .. } => Some(intent),
        }
    }

    pub(super) fn chain(&self, index: u32) -> Option<Hash> {
        match self {
            Held::Whole { chain, .. } => Some(*chain),
            Held::Block {
                id,
                entries,
                previous,
                links,
            } => {
                let mut links = links.borrow_mut();
                if links.is_empty() {
                    let (_, first) = split_row_key(*id);
                    entries.replay(first.0, *previous, |frame| links.push(frame.chain));
                }
                links.get(index as usize).copied()
            }
        }
    }
}

/// A row as it lies in a block.
pub(super) struct StoredRow {
    pub(super) key: i64,
    pub(super) speaker: SpeakerIds,
    /// Where its intent stands in the block.
    pub(super) intent: u32,
    pub(super) outcome: Outcome,
    pub(super) block: Rc<Held>,
}

/// A row that is being shown; its intent is read once it is asked for.
pub(super) struct Shown<'a> {
    pub(super) row: &'a StoredRow,
    intent: OnceCell<Intent<'a>>,
}

impl<'a> Shown<'a> {
    pub(super) fn new(row: &'a StoredRow) -> Self {
        Self {
            row,
            intent: OnceCell::new(),
        }
    }

    pub(super) fn intent(&self) -> rusqlite::Result<&Intent<'a>> {
        if let Some(intent) = self.intent.get() {
            return Ok(intent);
        }
        let payload = self.row.block.intent(self.row.intent);
        let payload = payload.ok_or_else(|| damaged("an intent is missing"))?;
        let intent = flat::intent(payload).map_err(damaged)?;
        Ok(self.intent.get_or_init(|| intent))
    }

    /// Finds the text and shows it to `show`.
    pub(super) fn with_text<T>(
        &self,
        source: &Source,
        show: impl FnOnce(&Resolved<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        let intent = self.intent()?;
        let Text::Of(seq) = intent.text else {
            return show(&Resolved::new(intent, None));
        };
        let elsewhere;
        let place = match &*self.row.block {
            Held::Whole { .. } => None,
            Held::Block { id, entries, .. } => {
                let (_, first) = split_row_key(*id);
                seq.0.checked_sub(first.0).map(|index| (entries, index))
            }
        };
        let payload = match place {
            Some((entries, index)) => entries.intent(usize::try_from(index).unwrap_or(usize::MAX)),
            None => {
                let (lane, _) = split_row_key(self.row.key);
                elsewhere = source.prepared(row_key(lane, seq))?;
                elsewhere.as_deref()
            }
        };
        let prepared = payload.map(flat::intent).transpose().map_err(damaged)?;
        show(&Resolved::new(intent, prepared.as_ref()))
    }

    /// The text; a BLOB where the bytes are no UTF-8; the normal form where nothing else is known.
    pub(super) fn text(&self, source: &Source, context: &mut Context) -> rusqlite::Result<()> {
        self.with_text(source, |text| match (text.bytes, text.state) {
            (Some(bytes), _) => match std::str::from_utf8(bytes) {
                Ok(text) if !text.contains('\0') => context.set_result(&text),
                Ok(_) | Err(_) => context.set_result(&bytes),
            },
            (None, TextState::Normal) => {
                let shape = source.shape(self.intent()?.shape)?;
                context.set_result(&shape.as_ref().map(|shape| &*shape.normal))
            }
            (None, TextState::None | TextState::Sent | TextState::Prepared) => {
                context.set_result(&Null)
            }
        })
    }
}

/// What is stored is not what was put there.
pub(super) fn damaged(what: impl std::fmt::Display) -> rusqlite::Error {
    rusqlite::Error::ModuleError(format!("a block can't be read: {what}"))
}

/// How many prepared intents are remembered.
const MOST_PREPARED: usize = 1_000;

/// How many bytes of them: beyond, all are read again.
const MOST_PREPARED_BYTES: usize = 16 << 20;
