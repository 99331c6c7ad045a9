//! The normal form: the text without comments, spacing, letter case of keywords and the values of literals.
//!
//! It is written twice: as a *key*, in which a placeholder is a control byte that no token can be, and from it as the
//! readable text that records carry. Two texts with one key have the same tokens but for literal values and the length of
//! literal lists.

use std::ops::Range;

use super::guard::Guard;
use super::lex::{Comments, Lexer};
use super::lists::{Fold, Lists};
use super::token::{Kind, LexError, Token};
use super::word::Word;
use crate::statement::Limits;

/// What one pass over a text tells besides its key.
#[derive(Clone, Debug)]
pub(crate) struct Sketch {
    /// Literals that the grammar may refuse by their value, or bytes that no key can tell apart: only the exact text identifies it.
    pub(crate) exact: bool,
    /// Why the text could not be read to its end, and where.
    pub(crate) error: Option<(LexError, usize)>,
    /// Its block comments.
    pub(crate) comments: Comments,
    /// The greatest depth that its tree can have.
    pub(crate) depth: u32,
    /// Where its last token ends.
    pub(crate) end: usize,
}

/// Reads `text` once and writes its key; the places where long literal lists can be cut go to `cuts`.
pub(crate) fn sketch(
    text: &[u8],
    conforming: bool,
    limits: &Limits,
    key: &mut Vec<u8>,
    mut cuts: Option<&mut Vec<Range<usize>>>,
) -> Sketch {
    let mut lexer = Lexer::new(text, conforming, limits);
    let mut guard = Guard::new();
    let mut writer = Writer {
        key,
        previous: None,
        marker_end: usize::MAX,
    };
    let mut lists = Lists::new();
    let mut exact = false;
    let mut tokens = 0_u32;
    let mut end = 0;
    let error = loop {
        let token = match lexer.next_token() {
            Ok(Some(token)) => token,
            Ok(None) => break None,
            Err(error) => break Some((error, lexer.position())),
        };
        let word = match token.kind {
            Kind::Word => Word::of(token.bytes(text)),
            _ => Word::Other,
        };
        exact |= token.hazard || token.kind == Kind::Other;
        tokens = tokens.saturating_add(1);
        end = token.end;
        if lists.is_idle() {
            guard.push(&token, word);
            writer.push(&token, word, text);
            lists.announce(word);
        } else {
            if !lists.skips(&token, word) {
                guard.push(&token, word);
            }
            let before = writer.key.len();
            writer.push(&token, word, text);
            let after = writer.key.len();
            match lists.push((&token, word), text, (before, after), cuts.as_deref_mut()) {
                Fold::Keep => {}
                Fold::List { key } => {
                    writer.fold(key);
                    writer.push(&token, word, text);
                }
                Fold::Row { key } => writer.fold(key),
            }
        }
        if tokens > limits.max_tokens && tokens - lists.spare() > limits.max_tokens {
            break Some((LexError::TooManyTokens, token.end));
        }
    };
    let comments = lexer.comments().clone();
    Sketch {
        exact,
        error,
        comments,
        depth: guard.deepest(),
        end,
    }
}

const INTEGER: u8 = 1;
const FLOAT: u8 = 2;
const TEXT: u8 = 3;
const BITS: u8 = 4;
const HEX_BITS: u8 = 5;
const MARKER: u8 = 6;
const NATIONAL: u8 = 7;

/// Writes tokens to a key.
struct Writer<'k> {
    key: &'k mut Vec<u8>,
    previous: Option<(Kind, Word)>,
    marker_end: usize,
}

impl Writer<'_> {
    #[inline]
    fn push(&mut self, token: &Token, word: Word, text: &[u8]) {
        let float_precision = self.after_float(token.kind);
        if let Some(previous) = self.previous
            && !glued(previous, token.kind)
        {
            self.key.push(b' ');
        }
        match token.kind {
            Kind::Word => {
                self.key
                    .extend(token.bytes(text).iter().map(u8::to_ascii_lowercase));
            }
            Kind::Integer if float_precision => self.key.extend_from_slice(token.bytes(text)),
            Kind::Integer => self.key.push(INTEGER),
            Kind::Float => self.key.push(FLOAT),
            Kind::Text | Kind::UnicodeText => self.key.push(TEXT),
            Kind::Bits => self.key.push(BITS),
            Kind::HexBits => self.key.push(HEX_BITS),
            Kind::National => self.key.push(NATIONAL),
            Kind::QuotedIdent
            | Kind::UnicodeIdent
            | Kind::Param
            | Kind::Operator
            | Kind::Comma
            | Kind::Semicolon
            | Kind::OpenParen
            | Kind::CloseParen
            | Kind::OpenBracket
            | Kind::CloseBracket
            | Kind::Dot
            | Kind::DotDot
            | Kind::Colon
            | Kind::Cast
            | Kind::Assign
            | Kind::Arrow
            | Kind::Other => self.key.extend_from_slice(token.bytes(text)),
        }
        let word = if float_precision || (word == Word::Other && self.opens_float(token.kind)) {
            Word::Float
        } else {
            word
        };
        self.previous = Some((token.kind, word));
    }

    /// `FLOAT (`: the grammar checks the precision that follows.
    fn opens_float(&self, kind: Kind) -> bool {
        kind == Kind::OpenParen && self.previous == Some((Kind::Word, Word::Float))
    }

    fn after_float(&self, kind: Kind) -> bool {
        kind == Kind::Integer && self.previous == Some((Kind::OpenParen, Word::Float))
    }

    /// Cuts the key back and says that a list goes on.
    fn fold(&mut self, key: usize) {
        self.key.truncate(key);
        if self.marker_end != key {
            self.key.extend_from_slice(&[b',', b' ', MARKER]);
            self.marker_end = self.key.len();
        }
        self.previous = Some((Kind::Word, Word::Other));
    }
}

/// Whether no space stands between two tokens.
fn glued((previous, word): (Kind, Word), kind: Kind) -> bool {
    match (previous, kind) {
        (Kind::OpenParen | Kind::OpenBracket | Kind::National, _)
        | (_, Kind::CloseParen | Kind::CloseBracket | Kind::Comma | Kind::Semicolon)
        | (_, Kind::OpenBracket) => true,
        (Kind::Dot | Kind::DotDot, Kind::Dot | Kind::DotDot) => false,
        (Kind::Dot, _) | (_, Kind::Dot) => true,
        (
            Kind::Colon | Kind::Cast | Kind::Assign | Kind::Arrow | Kind::Operator,
            Kind::Colon | Kind::Cast | Kind::Assign | Kind::Arrow | Kind::Operator,
        ) => previous == Kind::Operator && kind == Kind::Cast,
        (Kind::Cast, _) | (_, Kind::Cast) => true,
        (Kind::Word, Kind::OpenParen) => matches!(word, Word::Other | Word::Float),
        (Kind::QuotedIdent, Kind::OpenParen) => true,
        _ => false,
    }
}

/// The readable text of a key, of at most `limit` bytes, and whether it was cut.
pub(crate) fn render(key: &[u8], limit: usize) -> (Box<str>, bool) {
    let mut text = Vec::with_capacity(key.len().saturating_add(16).min(limit));
    let mut quoted = false;
    let mut cut = false;
    for byte in key {
        let piece: &[u8] = match byte {
            b'"' => {
                quoted = !quoted;
                b"\""
            }
            _ if quoted => std::slice::from_ref(byte),
            &INTEGER => b"?",
            &FLOAT => b"?.?",
            &TEXT => b"'?'",
            &BITS => b"b'?'",
            &HEX_BITS => b"x'?'",
            &NATIONAL => b"n",
            &MARKER => "\u{2026}".as_bytes(),
            _ => std::slice::from_ref(byte),
        };
        if text.len() + piece.len() > limit {
            cut = true;
            break;
        }
        text.extend_from_slice(piece);
    }
    let text = match String::from_utf8(text) {
        Ok(text) => text,
        Err(error) => {
            // Cut inside a character, or a text that is not UTF-8 at all.
            let text = error.into_bytes();
            text.utf8_chunks().map(|chunk| chunk.valid()).collect()
        }
    };
    (text.into_boxed_str(), cut)
}
