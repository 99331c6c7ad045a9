//! MySQL and MariaDB: scanner, normal form, fact parser and the net of table names.

mod charset;
mod state;

use std::ops::Range;

use super::facts::{Facts, StatementFacts};
use super::{Analysis, Fingerprint, Limits};
use crate::vocabulary::{Class, Unreadable, Verb};

pub use charset::{ClientCharset, MultiByte};
pub use state::{Flavour, MysqlLex, SqlMode};

/// What one pass over a text tells besides its key.
pub(crate) struct Sketch {
    /// Only the exact text identifies it.
    pub(crate) exact: bool,
    /// The comment in which applications put their context.
    pub(crate) comment: Option<Range<usize>>,
}

/// Writes the key of a text.
pub(crate) fn key(text: &[u8], _lex: &MysqlLex, _limits: &Limits, key: &mut Vec<u8>) -> Sketch {
    key.extend_from_slice(text);
    Sketch {
        exact: true,
        comment: None,
    }
}

/// Reads a text from scratch. Pure and total.
#[must_use]
pub(crate) fn analyse(text: &[u8], _lex: &MysqlLex, _limits: &Limits) -> Analysis {
    Analysis {
        facts: Facts {
            statements: vec![StatementFacts::new(Verb::Unknown, Class::Utility)],
            unreadable: Some(Unreadable::Syntax),
        },
        fingerprint: Fingerprint::of(text),
        normal: Box::default(),
        normal_cut: false,
        secrets: std::iter::once(0..text.len()).collect(),
        secret_parameters: true,
        depends_on_literals: true,
    }
}
