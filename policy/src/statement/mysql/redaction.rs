//! MySQL's and MariaDB's tokens for redaction.

use super::lex::Lexer;
use super::literal;
use super::state::MysqlLex;
use super::token::{Kind as K, Token};
use crate::redact::piece::{Kind, Piece, Pieces, fold};

/// The pieces of a text.
pub(crate) fn pieces(text: &[u8], lex: &MysqlLex) -> Pieces {
    let mut pieces = Pieces::default();
    if text.len() >= u32::MAX as usize {
        pieces.broken = Some(0);
        return pieces;
    }
    let mut lexer = Lexer::new(text, lex);
    let (mut end, mut parameters) = (0, 0);
    loop {
        match lexer.next_token() {
            Ok(Some(token)) => {
                let range = token.start as usize..token.end as usize;
                pieces.gap(text, end, range.start);
                end = range.end;
                let kind = kind(&token, text, lex, parameters);
                parameters += usize::from(token.kind == K::Param);
                pieces.all.push(Piece { kind, range });
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

fn kind(token: &Token, text: &[u8], lex: &MysqlLex, parameters: usize) -> Kind {
    let bytes = token.bytes(text);
    match token.kind {
        K::Word => Kind::Word(fold(bytes)),
        K::Name => Kind::Quoted(fold(bytes)),
        K::Quoted => Kind::Quoted(fold(&unquoted(bytes))),
        K::Text => Kind::Literal {
            value: literal::content(text, std::slice::from_ref(token), lex),
            string: true,
        },
        K::National => Kind::Literal {
            value: national(token, text, lex),
            string: true,
        },
        K::Dollar => Kind::Literal {
            value: dollar(bytes),
            string: true,
        },
        K::Hex => Kind::Literal {
            value: hex(bytes),
            string: true,
        },
        K::Bits | K::Integer | K::Decimal | K::Float => Kind::Literal {
            value: Some(bytes.to_vec()),
            string: false,
        },
        K::Introducer => Kind::Prefix,
        K::Param => Kind::Parameter(parameters),
        K::UserVar => Kind::Variable,
        K::Comma => Kind::Comma,
        K::Semicolon => Kind::Semicolon,
        K::Open => Kind::Open,
        K::Close => Kind::Close,
        K::Dot => Kind::Dot,
        K::Assign => Kind::Assign,
        K::Eq | K::NullSafeEq | K::Ne | K::Lt | K::Le | K::Gt | K::Ge => Kind::Compare,
        K::Plus | K::Minus => Kind::Sign,
        K::Null
        | K::AtAt
        | K::OpenBrace
        | K::CloseBrace
        | K::Colon
        | K::Star
        | K::Slash
        | K::Percent
        | K::Caret
        | K::Amp
        | K::Pipe
        | K::Shl
        | K::Shr
        | K::OrOr
        | K::AndAnd
        | K::Bang
        | K::Tilde
        | K::Arrow
        | K::LongArrow
        | K::Ellipsis
        | K::End => Kind::Other,
    }
}

/// What stands between the quotes of a name, where two of them are one.
fn unquoted(bytes: &[u8]) -> Vec<u8> {
    let Some((&quote, rest)) = bytes.split_first() else {
        return Vec::new();
    };
    let mut inner = rest
        .get(..rest.len().saturating_sub(1))
        .unwrap_or_default()
        .iter();
    let mut name = Vec::with_capacity(rest.len());
    while let Some(&byte) = inner.next() {
        name.push(byte);
        if byte == quote {
            inner.next();
        }
    }
    name
}

/// What `N'…'` says.
fn national(token: &Token, text: &[u8], lex: &MysqlLex) -> Option<Vec<u8>> {
    let quote = token.bytes(text).iter().position(|byte| *byte == b'\'')?;
    let string = Token {
        kind: K::Text,
        start: token.start.checked_add(u32::try_from(quote).ok()?)?,
        ..*token
    };
    literal::content(text, &[string], lex)
}

/// What `$tag$…$tag$` says.
fn dollar(bytes: &[u8]) -> Option<Vec<u8>> {
    let tag = bytes.iter().skip(1).position(|&byte| byte == b'$')? + 2;
    bytes
        .get(tag..bytes.len().checked_sub(tag)?)
        .map(<[u8]>::to_vec)
}

/// The bytes that `x'…'` and `0x…` stand for.
fn hex(bytes: &[u8]) -> Option<Vec<u8>> {
    let digits = match bytes {
        [b'x' | b'X', b'\'', digits @ .., b'\''] | [b'0', b'x', digits @ ..] => digits,
        _ => return None,
    };
    let digits = std::str::from_utf8(digits).ok()?;
    let padded = if digits.len() % 2 == 1 {
        format!("0{digits}")
    } else {
        digits.to_owned()
    };
    (0..padded.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(padded.get(at..at + 2)?, 16).ok())
        .collect()
}
