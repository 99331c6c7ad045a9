//! PostgreSQL's tokens for redaction.

use super::lex::Lexer;
use super::token::{Kind as K, Token};
use crate::redact::piece::{Kind, Piece, Pieces, fold};
use crate::statement::Limits;

/// The pieces of a text whose bytes below 0x80 are always ASCII.
pub(crate) fn pieces(text: &[u8], conforming: bool, limits: &Limits) -> Pieces {
    let mut pieces = Pieces::default();
    let mut lexer = Lexer::new(text, conforming, limits);
    let mut end = 0;
    loop {
        match lexer.next_token() {
            Ok(Some(token)) => {
                pieces.gap(text, end, token.start);
                end = token.end;
                pieces.all.push(Piece {
                    kind: kind(&token, token.bytes(text), conforming),
                    range: token.range(),
                });
            }
            Ok(None) => {
                pieces.gap(text, end, text.len());
                return pieces;
            }
            Err(_) => {
                pieces.broken = Some(end);
                return pieces;
            }
        }
    }
}

fn kind(token: &Token, bytes: &[u8], conforming: bool) -> Kind {
    match token.kind {
        K::Word => Kind::Word(fold(cut(bytes))),
        K::QuotedIdent => Kind::Quoted(fold(cut(&unquoted(bytes, b'"')))),
        K::UnicodeIdent => Kind::Veiled,
        K::Integer | K::Float | K::Bits | K::HexBits => Kind::Literal {
            value: Some(bytes.to_vec()),
            string: false,
        },
        K::Text => Kind::Literal {
            value: content(bytes, conforming),
            string: true,
        },
        K::UnicodeText => Kind::Literal {
            value: None,
            string: true,
        },
        K::National => Kind::Prefix,
        K::Param => Kind::Parameter(number(bytes)),
        K::Operator => match bytes {
            b"=" | b"<>" | b"!=" | b"<" | b"<=" | b">" | b">=" => Kind::Compare,
            b"+" | b"-" => Kind::Sign,
            _ => Kind::Other,
        },
        K::Comma => Kind::Comma,
        K::Semicolon => Kind::Semicolon,
        K::OpenParen => Kind::Open,
        K::CloseParen => Kind::Close,
        K::OpenBracket | K::CloseBracket => Kind::Bracket,
        K::Dot => Kind::Dot,
        K::Cast => Kind::Cast,
        K::Assign => Kind::Assign,
        K::DotDot | K::Colon | K::Arrow | K::Other => Kind::Other,
    }
}

/// A name as far as the server keeps it.
fn cut(name: &[u8]) -> &[u8] {
    name.get(..super::MAX_NAME_BYTES).unwrap_or(name)
}

/// `$1` is parameter 0.
fn number(bytes: &[u8]) -> usize {
    let digits = bytes.get(1..).unwrap_or_default();
    let number = std::str::from_utf8(digits)
        .ok()
        .and_then(|n| n.parse::<usize>().ok());
    number.unwrap_or(usize::MAX).saturating_sub(1)
}

/// What stands between quotes, where two of them are one.
fn unquoted(bytes: &[u8], quote: u8) -> Vec<u8> {
    let inner = bytes
        .get(1..bytes.len().saturating_sub(1))
        .unwrap_or_default();
    let mut content = Vec::with_capacity(inner.len());
    let mut bytes = inner.iter();
    while let Some(&byte) = bytes.next() {
        content.push(byte);
        if byte == quote {
            bytes.next();
        }
    }
    content
}

/// What a string says (PostgreSQL manual, "String Constants"); `None` where escapes or several parts make it hard to tell.
fn content(bytes: &[u8], conforming: bool) -> Option<Vec<u8>> {
    match bytes.first()? {
        b'$' => {
            let tag = bytes.iter().skip(1).position(|&byte| byte == b'$')? + 2;
            bytes
                .get(tag..bytes.len().checked_sub(tag)?)
                .map(<[u8]>::to_vec)
        }
        b'\'' if conforming || !bytes.contains(&b'\\') => one_part(bytes),
        b'E' | b'e' if !bytes.contains(&b'\\') => one_part(bytes.get(1..)?),
        b'E' | b'e' | b'\'' => escaped(bytes),
        _ => None,
    }
}

/// A string of one part: between the quotes none stands alone.
fn one_part(bytes: &[u8]) -> Option<Vec<u8>> {
    let inner = bytes.get(1..bytes.len().checked_sub(1)?)?;
    let mut rest = inner;
    while let Some(at) = rest.iter().position(|&byte| byte == b'\'') {
        if rest.get(at + 1) != Some(&b'\'') {
            return None;
        }
        rest = rest.get(at + 2..)?;
    }
    Some(unquoted(bytes, b'\''))
}

/// A string with the simple escapes: a backslash before what stands for itself, and `\n` and the like.
fn escaped(bytes: &[u8]) -> Option<Vec<u8>> {
    let start = bytes.iter().position(|&byte| byte == b'\'')? + 1;
    let inner = bytes.get(start..bytes.len().checked_sub(1)?)?;
    let mut content = Vec::with_capacity(inner.len());
    let mut rest = inner.iter();
    while let Some(&byte) = rest.next() {
        match byte {
            b'\\' => content.push(match rest.next()? {
                b'n' => b'\n',
                b't' => b'\t',
                b'r' => b'\r',
                b'b' => 8,
                b'f' => 12,
                b'0'..=b'7' | b'x' | b'u' | b'U' => return None,
                &other => other,
            }),
            b'\'' if rest.next() != Some(&b'\'') => return None,
            other => content.push(other),
        }
    }
    Some(content)
}
