//! Statements as a virtual table: read out of the blocks of a day file, row by row.
//!
//! `statement` has the columns of a finished statement; names, subjects and shapes are ids of the file's tables. A
//! question that knows which blocks can answer it says so by the hidden column `block`; 0 stands for the statements
//! that belong to none.
#![expect(
    unsafe_code,
    reason = "rusqlite's traits of virtual tables are unsafe to implement; the reasons stand beside them"
)]

mod source;

use std::borrow::Cow;
use std::ffi::{CStr, c_int};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use rusqlite::Connection;
use rusqlite::vtab::{
    Context, Filters, IndexConstraintOp, IndexInfo, Module, VTab, VTabConfig, VTabConnection,
    VTabCursor, sqlite3_vtab, sqlite3_vtab_cursor,
};

use self::source::{Shown, Source, StoredRow, damaged};
use super::flat::{self, signed};
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
    "detail INTEGER" = put!(row => row.intent()?.reduction.detail.code()),
    "redacted INTEGER" = put!(row => row.intent()?.reduction.redacted),
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
    "warnings INTEGER" = put!(row => signed(row.row.outcome.warnings)),
    "flagged INTEGER" = put!(row => Brief::of(row.intent()?).is_flagged(&row.row.outcome)),
    "chain BLOB" = put!(row => row.row.block.chain(row.row.intent)),
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
        let shown = Shown::new(self.row()?);
        match usize::try_from(column).ok().and_then(|at| VALUES.get(at)) {
            Some(value) => value(&shown, &self.source, context),
            None => context.set_result(&self.block),
        }
    }

    fn rowid(&self) -> rusqlite::Result<i64> {
        Ok(self.row()?.key)
    }
}

/// The place of the hidden column.
const BLOCK: c_int = VALUES.len() as c_int;

/// The plan that looks at one block.
const ONE_BLOCK: c_int = 1;
