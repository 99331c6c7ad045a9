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
mod pg;
mod reader;

use std::ops::Range;

pub use encoding::{Charset, Encoding};
pub use facts::{ColumnAccess, Facts, Name, ObjectAccess, SessionEffect, StatementFacts};
pub use fingerprint::Fingerprint;
pub use pg::{analyse, analyse_replication};
pub use reader::{Known, Reader, Recall, Slot, SlotEntry};

/// The stack that [`analyse`] needs, in bytes: run it on a thread of at least this size.
///
/// The tree is decoded and dropped by recursion, with about 42 KiB for each of its levels. Only texts that are that deep
/// touch the pages; `examples/analysis_stack.rs` shows that four times what the deepest readable text needs is there.
pub const ANALYSIS_STACK_BYTES: usize = 192 * 1024 * 1024;

/// The session state on which the reading of a text depends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LexState {
    /// `standard_conforming_strings`: whether backslashes in plain strings are ordinary characters.
    pub standard_conforming_strings: bool,
    /// `client_encoding`.
    pub encoding: Encoding,
}

impl Default for LexState {
    fn default() -> Self {
        LexState {
            standard_conforming_strings: true,
            encoding: Encoding::Utf8,
        }
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
