//! The tokens of PostgreSQL's scanner, by what the grammar and the normal form need to tell apart.

use std::ops::Range;

/// What kind of token it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// An unquoted identifier or keyword.
    Word,
    /// `"…"`.
    QuotedIdent,
    /// `U&"…"`.
    UnicodeIdent,
    /// An integer that fits 32 bits.
    Integer,
    /// Any other number.
    Float,
    /// `'…'`, `E'…'`, `$tag$…$tag$`, or the string part of `N'…'`.
    Text,
    /// `U&'…'`.
    UnicodeText,
    /// The `N` of `N'…'`.
    National,
    /// `B'…'`.
    Bits,
    /// `X'…'`.
    HexBits,
    /// `$1`.
    Param,
    /// An operator, of one character or more.
    Operator,
    /// `,`
    Comma,
    /// `;`
    Semicolon,
    /// `(`
    OpenParen,
    /// `)`
    CloseParen,
    /// `[`
    OpenBracket,
    /// `]`
    CloseBracket,
    /// `.`
    Dot,
    /// `..`
    DotDot,
    /// `:`
    Colon,
    /// `::`
    Cast,
    /// `:=`
    Assign,
    /// `=>`
    Arrow,
    /// A character that starts no token: the grammar refuses it.
    Other,
}

impl Kind {
    /// Whether it is a literal whose value the normal form leaves out.
    pub(crate) fn is_literal(self) -> bool {
        matches!(
            self,
            Kind::Integer
                | Kind::Float
                | Kind::Text
                | Kind::UnicodeText
                | Kind::Bits
                | Kind::HexBits
        )
    }

    /// Whether it names something.
    pub(crate) fn is_name(self) -> bool {
        matches!(self, Kind::Word | Kind::QuotedIdent | Kind::UnicodeIdent)
    }
}

/// One token and where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    /// Its kind.
    pub(crate) kind: Kind,
    /// Offset of its first byte.
    pub(crate) start: usize,
    /// Offset after its last byte.
    pub(crate) end: usize,
    /// Whether the grammar may accept or refuse it by its value: escapes that can be malformed.
    pub(crate) hazard: bool,
}

impl Token {
    /// Where it stands.
    pub(crate) fn range(&self) -> Range<usize> {
        self.start..self.end
    }

    /// Its bytes in `text`.
    pub(crate) fn bytes<'t>(&self, text: &'t [u8]) -> &'t [u8] {
        text.get(self.start..self.end).unwrap_or_default()
    }
}

/// Why a text has no (further) tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LexError {
    #[error("a string, identifier or comment has no end")]
    Unterminated,
    #[error("a number or parameter is malformed")]
    Number,
    #[error("an identifier has no characters")]
    EmptyIdentifier,
    #[error("an operator is too long")]
    Operator,
    #[error("a string with Unicode escapes while standard_conforming_strings is off")]
    UnsafeUnicode,
    #[error("the text holds a zero byte")]
    Nul,
    #[error("comments are nested too deeply")]
    CommentNesting,
    #[error("there are too many tokens")]
    TooManyTokens,
    #[error("operators and comments would be read too many times")]
    Rereads,
}

impl LexError {
    /// Whether the server might run the text all the same.
    pub(crate) fn is_complexity(self) -> bool {
        matches!(
            self,
            LexError::CommentNesting | LexError::Rereads | LexError::TooManyTokens
        )
    }
}
