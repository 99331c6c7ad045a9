//! Reads statements: bytes in, facts, normal form and fingerprint out.
//!
//! [`analyse`] reads a text from scratch, [`Reader`] remembers what it has read. A recalled analysis equals the fresh one
//! for the same bytes and lexing state.

mod cache;
mod encoding;
pub mod facts;
mod fingerprint;
#[doc(hidden)]
pub mod fuzzing;
mod literals;
mod mysql;
mod pg;
mod reader;

use std::ops::Range;

use crate::vocabulary::Dialect;

pub use encoding::{Charset, Encoding};
pub use facts::{ColumnAccess, Facts, Name, ObjectAccess, SessionEffect, StatementFacts};
pub use fingerprint::Fingerprint;
pub use literals::{MAX_LITERALS, literals};
pub use mysql::{ClientCharset, Flavour, MultiByte, MysqlLex, SqlMode};
pub use reader::{Known, Reader, Recall, Slot, SlotEntry};

/// The stack that [`analyse`] needs, in bytes: run it on a thread of at least this size.
///
/// The tree is decoded and dropped by recursion, with about 42 KiB for each of its levels. Only texts that are that deep
/// touch the pages; `examples/analysis_stack.rs` shows that four times what the deepest readable text needs is there.
pub const ANALYSIS_STACK_BYTES: usize = 192 * 1024 * 1024;

/// The session state on which the reading of a text depends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LexState {
    /// PostgreSQL.
    Postgres(PostgresLex),
    /// MySQL or MariaDB.
    Mysql(MysqlLex),
}

/// How a PostgreSQL session reads its texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PostgresLex {
    /// `standard_conforming_strings`: whether backslashes in plain strings are ordinary characters.
    pub standard_conforming_strings: bool,
    /// `client_encoding`.
    pub encoding: Encoding,
}

impl LexState {
    /// The state of a fresh session of this dialect.
    #[must_use]
    pub fn of_dialect(dialect: Dialect) -> Self {
        match dialect {
            Dialect::Postgres => LexState::Postgres(PostgresLex::default()),
            Dialect::Mysql => LexState::Mysql(MysqlLex::new(Flavour::Mysql)),
            Dialect::Mariadb => LexState::Mysql(MysqlLex::new(Flavour::Mariadb)),
        }
    }
}

/// The reading state that people give by hand: in `[[test]]`, on the command line, in lines to be judged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadingOptions {
    /// `sql_mode`.
    pub sql_mode: Option<String>,
    /// `character_set_client`.
    pub charset: Option<String>,
    /// The server's version: `9.7.4`, `10.11.6`.
    pub server_version: Option<String>,
}

impl ReadingOptions {
    /// The state of a session of this dialect.
    ///
    /// # Errors
    /// A value is unknown, or the dialect has no such thing.
    pub fn lex_state(&self, dialect: Dialect) -> Result<LexState, String> {
        let mut lex = match LexState::of_dialect(dialect) {
            LexState::Mysql(lex) => lex,
            LexState::Postgres(_) if self.sql_mode.is_some() || self.charset.is_some() => {
                return Err(format!("sql_mode and charset are no matter of {dialect}"));
            }
            postgres => return Ok(postgres),
        };
        if let Some(mode) = &self.sql_mode {
            let mode = SqlMode::parse(mode).ok_or_else(|| format!("`{mode}` is no sql_mode"))?;
            lex.sql_mode = Some(mode);
        }
        if let Some(name) = &self.charset {
            lex.charset = Some(ClientCharset::from_name(name));
        }
        if let Some(text) = &self.server_version {
            let version = MysqlLex::of_server(text.as_bytes());
            let (_, version) = version.ok_or_else(|| format!("`{text}` is no server version"))?;
            lex.version = version;
        }
        Ok(LexState::Mysql(lex))
    }
}

impl Default for PostgresLex {
    fn default() -> Self {
        PostgresLex {
            standard_conforming_strings: true,
            encoding: Encoding::Utf8,
        }
    }
}

impl Default for LexState {
    fn default() -> Self {
        LexState::Postgres(PostgresLex::default())
    }
}

/// Reads a text from scratch. Pure and total; needs [`ANALYSIS_STACK_BYTES`] of stack.
#[must_use]
pub fn analyse(text: &[u8], lex: &LexState, limits: &Limits) -> Analysis {
    match lex {
        LexState::Postgres(lex) => pg::analyse(text, lex, limits),
        LexState::Mysql(lex) => mysql::analyse(text, lex, limits),
    }
}

/// The tokens of a text for redaction; `None` where they can't be told apart without decoding it.
pub(crate) fn pieces(
    text: &[u8],
    lex: &LexState,
    limits: &Limits,
) -> Option<crate::redact::piece::Pieces> {
    match lex {
        LexState::Postgres(lex) => (text.is_ascii() || lex.encoding.is_ascii_safe())
            .then(|| pg::tokens(text, lex.standard_conforming_strings, limits)),
        LexState::Mysql(lex) => match lex.charset {
            Some(ClientCharset::Refused) => None,
            None if !text.is_ascii() => None,
            _ => Some(mysql::tokens(text, lex)),
        },
    }
}

/// Reads a text that came over a replication connection of PostgreSQL: its commands first, SQL otherwise.
#[must_use]
pub fn analyse_replication(text: &[u8], lex: &LexState, limits: &Limits) -> Analysis {
    match lex {
        LexState::Postgres(lex) => pg::analyse_replication(text, lex, limits),
        LexState::Mysql(lex) => mysql::analyse(text, lex, limits),
    }
}

/// How far the analysis may go; beyond, a text is unreadable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The greatest depth that the tokens may allow the tree to have.
    pub max_depth: u32,
    /// How deeply comments may nest.
    pub max_comment_nesting: u32,
    /// The longest operator, in bytes; the server's own limit.
    pub max_operator_run: usize,
    /// How many bytes beyond its own length the server's scanner may read a second time in a text.
    pub max_rereads: usize,
    /// The most tokens that the parser is given; long lists of literals count as a few.
    pub max_tokens: u32,
    /// How many bytes of the normal form are kept.
    pub max_normal_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            max_depth: 500,
            max_comment_nesting: 32,
            max_operator_run: 63,
            max_rereads: 1024 * 1024,
            max_tokens: 150_000,
            max_normal_bytes: 64 * 1024,
        }
    }
}

/// What is known about a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Analysis {
    /// What it does.
    pub facts: Facts,
    /// Identifies its normal form, on every node and in every version.
    pub fingerprint: Fingerprint,
    /// The normal form, of at most [`Limits::max_normal_bytes`].
    pub normal: Box<str>,
    /// Whether the normal form was cut.
    pub normal_cut: bool,
    /// Byte ranges of the text that must not be recorded, in order and disjoint.
    pub secrets: Vec<Range<usize>>,
    /// Whether values bound to its parameters must not be recorded: it has some, and something in it takes secrets.
    pub secret_parameters: bool,
    /// Whether the facts depend on the values of literals: then they hold for the exact text only.
    pub depends_on_literals: bool,
}
