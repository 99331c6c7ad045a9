//! The tokens of a text as detectors see them.

use crate::detect::token::{Kind as Seen, Op, Token as SeenToken, Tokens, tail_comment};

use super::normal::Scan;
use super::state::{MysqlLex, SqlMode};
use super::token::{Kind, Token};

/// Translates the tokens of a scan.
pub(super) fn tokens(text: &[u8], lex: &MysqlLex, scan: &Scan, tokens: &[Token]) -> Tokens {
    let pipes = lex
        .sql_mode
        .unwrap_or_default()
        .has(SqlMode::PIPES_AS_CONCAT);
    let list = tokens
        .iter()
        .filter(|token| !matches!(token.kind, Kind::Ellipsis | Kind::End));
    let list = list.map(|token| SeenToken {
        kind: seen(token.kind, token.bytes(text), pipes),
        start: token.start,
        end: token.end,
    });
    Tokens {
        list: list.collect(),
        tail: match scan.error {
            None => tail_comment(text, scan.end),
            Some(_) => None,
        },
    }
}

fn seen(kind: Kind, bytes: &[u8], pipes_concat: bool) -> Seen {
    match kind {
        Kind::Word => Seen::of_word(bytes),
        Kind::Name | Kind::Quoted | Kind::Introducer => Seen::Name,
        Kind::Text | Kind::National | Kind::Dollar => Seen::Text,
        Kind::Hex | Kind::Bits => Seen::Hex,
        Kind::Integer | Kind::Decimal | Kind::Float => Seen::Number,
        Kind::Null => Seen::of_word(b"null"),
        Kind::Param => Seen::Param,
        Kind::UserVar | Kind::AtAt => Seen::Variable,
        Kind::Comma => Seen::Comma,
        Kind::Semicolon => Seen::Semicolon,
        Kind::Open => Seen::Open,
        Kind::Close => Seen::Close,
        Kind::OpenBrace => Seen::OpenOther,
        Kind::CloseBrace => Seen::CloseOther,
        Kind::Dot => Seen::Dot,
        Kind::Eq | Kind::NullSafeEq => Seen::Op(Op::Eq),
        Kind::Ne | Kind::Lt | Kind::Le | Kind::Gt | Kind::Ge => Seen::Op(Op::Compare),
        Kind::Plus | Kind::Minus => Seen::Op(Op::Sum),
        Kind::Star => Seen::Op(Op::Star),
        Kind::Slash | Kind::Percent => Seen::Op(Op::Product),
        Kind::OrOr if pipes_concat => Seen::Op(Op::Concat),
        Kind::OrOr => Seen::Op(Op::Or),
        Kind::AndAnd => Seen::Op(Op::And),
        Kind::Bang => Seen::Op(Op::Not),
        Kind::Tilde => Seen::Op(Op::Tilde),
        Kind::Caret
        | Kind::Amp
        | Kind::Pipe
        | Kind::Shl
        | Kind::Shr
        | Kind::Arrow
        | Kind::LongArrow => Seen::Op(Op::Other),
        Kind::Colon | Kind::Assign | Kind::Ellipsis | Kind::End => Seen::Other,
    }
}
