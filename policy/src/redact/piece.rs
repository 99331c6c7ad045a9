//! Tokens as redaction sees them, the same for every dialect.

use std::ops::Range;

/// One token, or what stands between two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    /// What it is.
    pub(crate) kind: Kind,
    /// Where it stands in the text.
    pub(crate) range: Range<usize>,
}

/// What kind of token it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A keyword or an unquoted name, in lower case.
    Word(Box<str>),
    /// A quoted name, or one that can't be a keyword, in lower case.
    Quoted(Box<str>),
    /// A name spelt with escapes: it may be any.
    Veiled,
    /// A literal; its value where that can be told exactly.
    Literal {
        /// What it says.
        value: Option<Vec<u8>>,
        /// Whether it is a string, which may hold SQL.
        string: bool,
    },
    /// A parameter: its number from 0.
    Parameter(usize),
    /// `@name`.
    Variable,
    /// `(`
    Open,
    /// `)`
    Close,
    /// `[` or `]`
    Bracket,
    /// `,`
    Comma,
    /// `.`
    Dot,
    /// `;`
    Semicolon,
    /// An operator that compares: `=`, `<>`, `<` and the like.
    Compare,
    /// `+` or `-`.
    Sign,
    /// `::`
    Cast,
    /// `:=`
    Assign,
    /// What only announces a literal: `N`, `_utf8mb4`.
    Prefix,
    /// A comment.
    Comment,
    /// Anything else.
    Other,
}

impl Piece {
    /// The word, if it may be a keyword.
    pub(crate) fn word(&self) -> Option<&str> {
        match &self.kind {
            Kind::Word(word) => Some(word),
            _ => None,
        }
    }

    /// The name, quoted or not.
    pub(crate) fn name(&self) -> Option<&str> {
        match &self.kind {
            Kind::Word(name) | Kind::Quoted(name) => Some(name),
            _ => None,
        }
    }

    /// Whether it is a value: a literal or a parameter.
    pub(crate) fn is_value(&self) -> bool {
        matches!(self.kind, Kind::Literal { .. } | Kind::Parameter(_))
    }
}

/// The pieces of a text.
#[derive(Debug, Default)]
pub(crate) struct Pieces {
    /// Every token, and every comment, in order.
    pub(crate) all: Vec<Piece>,
    /// From where on the text can't be scanned.
    pub(crate) broken: Option<usize>,
}

impl Pieces {
    /// Adds what stands between the last token and `start`, if that is more than white space.
    pub(crate) fn gap(&mut self, text: &[u8], from: usize, start: usize) {
        let between = text.get(from..start).unwrap_or_default();
        let blank = |byte: &u8| byte.is_ascii_whitespace() || *byte == 0x0b;
        let Some(first) = between.iter().position(|byte| !blank(byte)) else {
            return;
        };
        let last = between
            .iter()
            .rposition(|byte| !blank(byte))
            .unwrap_or(first);
        self.all.push(Piece {
            kind: Kind::Comment,
            range: from + first..from + last + 1,
        });
    }
}

/// A name in lower case, whatever its letters: servers fold ASCII or all of Unicode, and more names alike is the safe side.
pub(crate) fn fold(name: &[u8]) -> Box<str> {
    match std::str::from_utf8(name) {
        Ok(name) if name.is_ascii() => name.to_ascii_lowercase().into(),
        _ => String::from_utf8_lossy(name)
            .chars()
            .flat_map(char::to_uppercase)
            .flat_map(char::to_lowercase)
            .collect(),
    }
}
