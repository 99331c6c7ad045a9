//! The tokens of MySQL's and MariaDB's scanners, by what the grammar and the normal form need to tell apart.

use super::word::Word;

/// What kind of token it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    /// An unquoted identifier or keyword.
    Word,
    /// An unquoted identifier where no keyword can stand: beside a dot.
    Name,
    /// A quoted identifier.
    Quoted,
    /// `'…'`, or `"…"` as a string.
    Text,
    /// `N'…'`.
    National,
    /// `$tag$…$tag$`.
    Dollar,
    /// `x'…'`, `0x…`.
    Hex,
    /// `b'…'`, `0b…`.
    Bits,
    /// A number without point or exponent.
    Integer,
    /// A number with a point.
    Decimal,
    /// A number with an exponent.
    Float,
    /// `\N`.
    Null,
    /// `_utf8mb4` and the like.
    Introducer,
    /// `?`
    Param,
    /// `@name`, also the host of an account.
    UserVar,
    /// `@@`
    AtAt,
    /// `,`
    Comma,
    /// `;`
    Semicolon,
    /// `(`
    Open,
    /// `)`
    Close,
    /// `{`
    OpenBrace,
    /// `}`
    CloseBrace,
    /// `.`
    Dot,
    /// `:`
    Colon,
    /// `:=`
    Assign,
    /// `=`
    Eq,
    /// `<=>`
    NullSafeEq,
    /// `<>`, `!=`
    Ne,
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `>`
    Gt,
    /// `>=`
    Ge,
    /// `+`
    Plus,
    /// `-`
    Minus,
    /// `*`
    Star,
    /// `/`
    Slash,
    /// `%`
    Percent,
    /// `^`
    Caret,
    /// `&`
    Amp,
    /// `|`
    Pipe,
    /// `<<`
    Shl,
    /// `>>`
    Shr,
    /// `||`
    OrOr,
    /// `&&`
    AndAnd,
    /// `!`
    Bang,
    /// `~`
    Tilde,
    /// `->`
    Arrow,
    /// `->>`
    LongArrow,
    /// What a long list of literals was cut down to.
    Ellipsis,
    /// The end of the statement.
    End,
}

impl Kind {
    /// Whether it is a literal whose value the normal form leaves out.
    pub(super) fn is_literal(self) -> bool {
        matches!(
            self,
            Kind::Text
                | Kind::National
                | Kind::Dollar
                | Kind::Hex
                | Kind::Bits
                | Kind::Integer
                | Kind::Decimal
                | Kind::Float
        )
    }

    /// Whether it is a string.
    pub(super) fn is_text(self) -> bool {
        matches!(self, Kind::Text | Kind::National)
    }
}

/// One token and where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token {
    /// Its kind.
    pub(super) kind: Kind,
    /// The keyword, if it is one.
    pub(super) word: Word,
    /// Offset of its first byte.
    pub(super) start: u32,
    /// Offset after its last byte.
    pub(super) end: u32,
}

impl Token {
    /// Stands behind the last token of a statement.
    pub(super) const END: Token = Token {
        kind: Kind::End,
        word: Word::None,
        start: 0,
        end: 0,
    };

    /// Its bytes in `text`.
    pub(super) fn bytes<'t>(&self, text: &'t [u8]) -> &'t [u8] {
        text.get(self.start as usize..self.end as usize)
            .unwrap_or_default()
    }
}

/// Why a text has no (further) tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum LexError {
    #[error("a string, identifier or comment has no end")]
    Unterminated,
    #[error("a literal is malformed")]
    Literal,
    #[error("a character starts no token")]
    Character,
    #[error("the text holds a zero byte")]
    Nul,
    #[error("bytes that mean nothing in the session's character set")]
    Encoding,
    #[error("a comment of hints ends inside a string")]
    Hint,
    #[error("the text is too long")]
    TooLong,
}
