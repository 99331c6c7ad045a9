//! Statements as a virtual table: read out of the blocks of a day file, row by row.
//!
//! `statement` has the columns of a finished statement; names, subjects and shapes are ids of the file's tables. A
//! question that knows which blocks can answer it says so by the hidden column `block`; 0 stands for the statements
//! that belong to none.
#![expect(
    unsafe_code,
    reason = "rusqlite's traits of virtual tables are unsafe to implement; the reasons stand beside them"
)]

use std::borrow::Cow;
use std::cell::{OnceCell, RefCell};
use std::collections::{HashMap, HashSet};
use std::ffi::{CStr, c_int};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use rusqlite::types::Null;
use rusqlite::vtab::{
    Context, Filters, IndexConstraintOp, IndexInfo, Module, VTab, VTabConfig, VTabConnection,
    VTabCursor, sqlite3_vtab, sqlite3_vtab_cursor,
};
use rusqlite::{Connection, OptionalExtension};

use super::block::{Entries, Place, places};
use super::day::SpeakerIds;
use super::flat::{self, Resolved, TextState, signed};
use crate::chain::Hash;
use crate::event::{Seq, row_key, split_row_key};
use crate::record::{Intent, Outcome, Text};
use crate::ship::rows::Brief;

/// Makes the statements of the day file at `path` readable as table `name`.
///
/// Its view of the file is as old as its first use in a query, so that everything it refers to is seen by that query.
pub(crate) fn add_statements(
    connection: &Connection,
    name: &str,
    path: &Path,
) -> rusqlite::Result<()> {
    const MODULE: &Module<'static, StatementTable> = &Module::eponymous_only_module();
    connection.create_module(name, MODULE, Some(path.to_owned()))
}

/// Declares the columns, each with the value it has in a row.
macro_rules! columns {
    ($($name:literal = $value:expr,)+) => {
        const DECLARATION: &str = concat!("CREATE TABLE x(", $($name, ", ",)+ "block INTEGER HIDDEN)");
        const VALUES: &[fn(&Shown<'_>, &Source, &mut Context) -> rusqlite::Result<()>] = &[$($value,)+];
    };
}

/// A value that the row has at hand.
macro_rules! put {
    ($row:ident => $value:expr) => {
        |$row, _, context| context.set_result(&$value)
    };
}

columns! {
    "id INTEGER" = put!(row => row.row.key),
    "who INTEGER" = put!(row => row.row.speaker.who),
    "role INTEGER" = put!(row => row.row.speaker.role),
    "end_user INTEGER" = put!(row => row.row.speaker.end_user),
    "end_user_source INTEGER" = put!(row => row.row.speaker.source),
    "end_user_trust INTEGER" = put!(row => row.row.speaker.trust),
    "session INTEGER" = put!(row => row.intent()?.session.0 as i64),
    "number INTEGER" = put!(row => row.intent()?.number),
    "kind INTEGER" = put!(row => row.intent()?.kind.code()),
    "text" = |row, source, context| row.text(source, context),
    "text_state INTEGER" = |row, source, context| {
        row.with_text(source, |text| context.set_result(&(text.state as i64)))
    },
    "text_len INTEGER" = |row, source, context| {
        row.with_text(source, |text| context.set_result(&text.length))
    },
    "text_hash BLOB" = |row, source, context| {
        row.with_text(source, |text| context.set_result(&text.hash))
    },
    "shape INTEGER" = |row, source, context| {
        context.set_result(&source.shape(row.intent()?.shape)?.map(|shape| shape.id))
    },
    "parameters TEXT" = put!(row => flat::parameters(&row.intent()?.parameters)),
    "prepared_name TEXT" = put!(row => flat::name(row.intent()?.prepared_name)),
    "portal TEXT" = put!(row => flat::name(row.intent()?.portal)),
    "start_us INTEGER" = put!(row => signed(row.intent()?.wall_us)),
    "mono_ns INTEGER" = put!(row => signed(row.intent()?.mono_ns)),
    "tx INTEGER" = put!(row => row.intent()?.transaction),
    "tx_status INTEGER" = put!(row => row.intent()?.status.code()),
    "action TEXT" = put!(row => row.intent()?.judgement.action.as_str()),
    "judged TEXT" = put!(row => row.intent()?.judgement.judged.as_str()),
    "mode TEXT" = put!(row => row.intent()?.judgement.mode.as_str()),
    "rules TEXT" = put!(row => flat::rules(&row.intent()?.judgement.rules)),
    "severity TEXT" = put!(row => row.intent()?.judgement.severity.map(|severity| severity.as_str())),
    "severity_rank INTEGER" = put!(row => flat::rank(row.intent()?.judgement.severity)),
    "generation INTEGER" = put!(row => signed(row.intent()?.judgement.generation)),
    "unreadable TEXT" = put!(row => row.intent()?.judgement.unreadable.map(|reason| reason.as_str())),
    "trace TEXT" = put!(row => row.intent()?.trace),
    "continues INTEGER" = put!(row => row.intent()?.continues.map(|seq| signed(seq.0))),
    "completion INTEGER" = put!(row => row.row.outcome.completion.code()),
    "rows INTEGER" = put!(row => signed(row.row.outcome.rows)),
    "affected INTEGER" = put!(row => signed(row.row.outcome.affected)),
    "bytes INTEGER" = put!(row => signed(row.row.outcome.bytes)),
    "sqlstate TEXT" = put!(row => row.row.outcome.sqlstate.map(flat::sqlstate)),
    "first_byte_us INTEGER" = put!(row => row.row.outcome.first_byte_us.map(signed)),
    "duration_us INTEGER" = put!(row => signed(row.row.outcome.duration_us)),
    "statements INTEGER" = put!(row => row.row.outcome.statements),
    "flagged INTEGER" = put!(row => Brief::of(row.intent()?).is_flagged(&row.row.outcome)),
    "chain BLOB" = put!(row => row.row.block.chain(row.row.intent)),
}

/// A day file as the table reads it.
struct Source {
    connection: Connection,
    shapes: RefCell<HashMap<[u8; 16], Option<ShapeText>>>,
    /// The intents of table `prepared` that were asked for.
    prepared: RefCell<HashMap<i64, Option<Rc<[u8]>>>>,
    removed: HashSet<i64>,
}

#[derive(Clone)]
struct ShapeText {
    id: i64,
    normal: Rc<str>,
}

impl Source {
    fn open(path: &Path) -> rusqlite::Result<Self> {
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
            removed,
        })
    }

    fn shape(&self, key: Option<[u8; 16]>) -> rusqlite::Result<Option<ShapeText>> {
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
        if known.len() >= MOST_PREPARED {
            known.clear();
        }
        known.insert(key, found.clone());
        Ok(found)
    }

    fn block_ids(&self) -> rusqlite::Result<Vec<i64>> {
        self.connection
            .prepare_cached(
                "SELECT id FROM block WHERE statements > 0 OR to_us > 0 UNION ALL SELECT 0",
            )?
            .query_map([], |row| row.get(0))?
            .collect()
    }

    /// The statements of a block; of none at all where it is unknown.
    fn load(&self, id: i64) -> rusqlite::Result<Vec<StoredRow>> {
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
            "SELECT id, who, role, end_user, end_user_source, end_user_trust, intent, prepared,
                outcome, chain FROM carried WHERE block = ?",
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
                outcome: flat::outcome(row.get_ref(8)?.as_blob()?).map_err(damaged)?,
                block: Rc::new(Held::Whole {
                    intent: row.get(6)?,
                    prepared: row.get(7)?,
                    chain: row.get(9)?,
                }),
            });
        }
        Ok(())
    }
}

/// What rows read their entries from.
enum Held {
    Block {
        id: i64,
        entries: Entries,
        previous: Hash,
        /// Every entry's link, once somebody asks.
        links: RefCell<Vec<Hash>>,
    },
    Whole {
        intent: Vec<u8>,
        prepared: Option<Vec<u8>>,
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

    fn intent(&self, index: u32) -> Option<&[u8]> {
        match self {
            Held::Block { entries, .. } => entries.intent(index as usize),
            Held::Whole { intent, .. } => Some(intent),
        }
    }

    fn chain(&self, index: u32) -> Option<Hash> {
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
struct StoredRow {
    key: i64,
    speaker: SpeakerIds,
    /// Where its intent stands in the block.
    intent: u32,
    outcome: Outcome,
    block: Rc<Held>,
}

/// A row that is being shown; its intent is read once it is asked for.
struct Shown<'a> {
    row: &'a StoredRow,
    intent: OnceCell<Intent<'a>>,
}

impl<'a> Shown<'a> {
    fn intent(&self) -> rusqlite::Result<&Intent<'a>> {
        if let Some(intent) = self.intent.get() {
            return Ok(intent);
        }
        let payload = self.row.block.intent(self.row.intent);
        let payload = payload.ok_or_else(|| damaged("an intent is missing"))?;
        let intent = flat::intent(payload).map_err(damaged)?;
        Ok(self.intent.get_or_init(|| intent))
    }

    /// Finds the text and shows it to `show`.
    fn with_text<T>(
        &self,
        source: &Source,
        show: impl FnOnce(&Resolved<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        let intent = self.intent()?;
        let Text::Of(seq) = intent.text else {
            return show(&Resolved::new(intent, None));
        };
        let elsewhere;
        let payload = match &*self.row.block {
            Held::Whole { prepared, .. } => prepared.as_deref(),
            Held::Block { id, entries, .. } => {
                let (lane, first) = split_row_key(*id);
                match seq.0.checked_sub(first.0) {
                    Some(index) => entries.intent(usize::try_from(index).unwrap_or(usize::MAX)),
                    None => {
                        elsewhere = source.prepared(row_key(lane, Seq(seq.0)))?;
                        elsewhere.as_deref()
                    }
                }
            }
        };
        let prepared = payload.map(flat::intent).transpose().map_err(damaged)?;
        show(&Resolved::new(intent, prepared.as_ref()))
    }

    /// The text; a BLOB where the bytes are no UTF-8; the normal form where nothing else is known.
    fn text(&self, source: &Source, context: &mut Context) -> rusqlite::Result<()> {
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

#[repr(C)]
struct StatementTable {
    /// SQLite's part; must come first.
    base: sqlite3_vtab,
    source: Rc<Source>,
}

// SAFETY: the struct is `repr(C)` and begins with a `sqlite3_vtab`, which is all that the trait asks for.
unsafe impl<'vtab> VTab<'vtab> for StatementTable {
    type Aux = PathBuf;
    type Cursor = Cursor<'vtab>;

    fn connect(
        connection: &mut VTabConnection,
        aux: Option<&Self::Aux>,
        _module: &[u8],
        _database: &[u8],
        _table: &[u8],
        _arguments: &[&[u8]],
    ) -> rusqlite::Result<(Cow<'static, CStr>, Self)> {
        let path = aux.ok_or_else(|| damaged("no file is named"))?;
        connection.config(VTabConfig::Innocuous)?;
        let declaration = std::ffi::CString::new(DECLARATION).map_err(damaged)?;
        let table = Self {
            base: sqlite3_vtab::default(),
            source: Rc::new(Source::open(path)?),
        };
        Ok((Cow::Owned(declaration), table))
    }

    fn best_index(&self, info: &mut IndexInfo) -> rusqlite::Result<bool> {
        let block = info.constraints().position(|constraint| {
            constraint.column() == BLOCK
                && constraint.is_usable()
                && constraint.operator() == IndexConstraintOp::SQLITE_INDEX_CONSTRAINT_EQ
        });
        if let Some(place) = block {
            let mut usage = info.constraint_usage(place);
            usage.set_argv_index(1);
            usage.set_omit(true);
            info.set_idx_num(ONE_BLOCK);
            info.set_estimated_cost(10_000.0);
            info.set_estimated_rows(1_000);
        } else {
            info.set_idx_num(0);
            info.set_estimated_cost(1e9);
            info.set_estimated_rows(10_000_000);
        }
        Ok(true)
    }

    fn open(&'vtab mut self) -> rusqlite::Result<Cursor<'vtab>> {
        Ok(Cursor {
            base: sqlite3_vtab_cursor::default(),
            source: Rc::clone(&self.source),
            blocks: Vec::new(),
            block: 0,
            rows: Vec::new(),
            at: 0,
            table: PhantomData,
        })
    }
}

/// Steps through statements, block by block.
#[repr(C)]
struct Cursor<'vtab> {
    /// SQLite's part; must come first.
    base: sqlite3_vtab_cursor,
    source: Rc<Source>,
    /// Blocks that are still to come, the next one last.
    blocks: Vec<i64>,
    /// The one that `rows` are of.
    block: i64,
    rows: Vec<StoredRow>,
    at: usize,
    table: PhantomData<&'vtab StatementTable>,
}

impl Cursor<'_> {
    /// Goes on to the next block that has statements, if this one has no more.
    fn fill(&mut self) -> rusqlite::Result<()> {
        while self.at >= self.rows.len() {
            let Some(block) = self.blocks.pop() else {
                break;
            };
            (self.rows, self.at) = (self.source.load(block)?, 0);
            self.block = block;
        }
        Ok(())
    }

    fn row(&self) -> rusqlite::Result<&StoredRow> {
        self.rows
            .get(self.at)
            .ok_or_else(|| damaged("there is no row here"))
    }
}

// SAFETY: the struct is `repr(C)` and begins with a `sqlite3_vtab_cursor`, which is all that the trait asks for.
unsafe impl VTabCursor for Cursor<'_> {
    fn filter(
        &mut self,
        plan: c_int,
        _: Option<&str>,
        arguments: &Filters<'_>,
    ) -> rusqlite::Result<()> {
        self.blocks = if plan == ONE_BLOCK {
            arguments.get::<Option<i64>>(0)?.into_iter().collect()
        } else {
            let mut blocks = self.source.block_ids()?;
            blocks.reverse();
            blocks
        };
        (self.rows, self.at) = (Vec::new(), 0);
        self.fill()
    }

    fn next(&mut self) -> rusqlite::Result<()> {
        self.at += 1;
        self.fill()
    }

    fn eof(&self) -> bool {
        self.at >= self.rows.len()
    }

    fn column(&self, context: &mut Context, column: c_int) -> rusqlite::Result<()> {
        let shown = Shown {
            row: self.row()?,
            intent: OnceCell::new(),
        };
        match usize::try_from(column).ok().and_then(|at| VALUES.get(at)) {
            Some(value) => value(&shown, &self.source, context),
            None => context.set_result(&self.block),
        }
    }

    fn rowid(&self) -> rusqlite::Result<i64> {
        Ok(self.row()?.key)
    }
}

/// What is stored is not what was put there.
fn damaged(what: impl std::fmt::Display) -> rusqlite::Error {
    rusqlite::Error::ModuleError(format!("a block can't be read: {what}"))
}

/// The place of the hidden column.
const BLOCK: c_int = VALUES.len() as c_int;

/// The plan that looks at one block.
const ONE_BLOCK: c_int = 1;

/// How many prepared intents are remembered.
const MOST_PREPARED: usize = 10_000;
