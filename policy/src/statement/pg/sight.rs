//! The tokens of a text as detectors see them.

use crate::detect::token::{Kind as Seen, Op, Token, Tokens, tail_comment};
use crate::statement::Limits;

use super::lex::Lexer;
use super::token::Kind;

/// Reads a text's tokens, up to the first fault.
pub(super) fn tokens(text: &[u8], conforming: bool, limits: &Limits) -> Tokens {
    let mut lexer = Lexer::new(text, conforming, limits);
    let mut list = Vec::with_capacity(text.len() / 6);
    loop {
        match lexer.next_token() {
            Ok(Some(token)) if list.len() < MAX_TOKENS => {
                let kind = seen(token.kind, token.bytes(text));
                let (Ok(start), Ok(end)) = (u32::try_from(token.start), u32::try_from(token.end))
                else {
                    break;
                };
                list.push(Token { kind, start, end });
            }
            Ok(Some(_)) | Err(_) => break,
            Ok(None) => {
                let from = list.last().map_or(0, |token| token.end as usize);
                let tail = tail_comment(text, from);
                return Tokens { list, tail };
            }
        }
    }
    Tokens { list, tail: None }
}

/// More than the guard lets through to the grammar.
const MAX_TOKENS: usize = 1_000_000;

fn seen(kind: Kind, bytes: &[u8]) -> Seen {
    match kind {
        Kind::Word => Seen::of_word(bytes),
        Kind::QuotedIdent | Kind::UnicodeIdent | Kind::National => Seen::Name,
        Kind::Integer | Kind::Float if matches!(bytes, [b'0', b'x' | b'X', ..]) => Seen::Hex,
        Kind::Integer | Kind::Float => Seen::Number,
        Kind::Text | Kind::UnicodeText => Seen::Text,
        Kind::Bits | Kind::HexBits => Seen::Hex,
        Kind::Param => Seen::Param,
        Kind::Operator => Seen::Op(match bytes {
            b"=" => Op::Eq,
            b"<>" | b"!=" | b"<" | b">" | b"<=" | b">=" => Op::Compare,
            b"||" => Op::Concat,
            b"+" | b"-" => Op::Sum,
            b"*" => Op::Star,
            b"/" | b"%" => Op::Product,
            b"~" => Op::Tilde,
            _ => Op::Other,
        }),
        Kind::Comma => Seen::Comma,
        Kind::Semicolon => Seen::Semicolon,
        Kind::OpenParen => Seen::Open,
        Kind::CloseParen => Seen::Close,
        Kind::OpenBracket => Seen::OpenOther,
        Kind::CloseBracket => Seen::CloseOther,
        Kind::Dot => Seen::Dot,
        Kind::Cast => Seen::Cast,
        Kind::DotDot | Kind::Colon | Kind::Assign | Kind::Arrow | Kind::Other => Seen::Other,
    }
}
