//! Clauses that restrict whatever their literals are: columns compared with literals, joined by AND. They are most of what
//! applications send, and an analysis that has looked at no literal holds for every text of that form.

use crate::statement::mysql::token::{Kind, Token};
use crate::statement::mysql::word::{Reserved, Word as W};

/// Whether a clause is one.
pub(super) fn is_plain(mut tokens: &[Token]) -> bool {
    loop {
        let Some(rest) = comparison(tokens) else {
            return false;
        };
        match rest {
            [] => return true,
            [and, rest @ ..] if and.word == W::And || and.kind == Kind::AndAnd => tokens = rest,
            _ => return false,
        }
    }
}

/// What stands behind `column = literal` and the like.
fn comparison(tokens: &[Token]) -> Option<&[Token]> {
    match column(tokens)? {
        [operator, rest @ ..] if compares(operator.kind) => literal(rest),
        _ => None,
    }
}

/// What stands behind a column, which may be qualified.
fn column(tokens: &[Token]) -> Option<&[Token]> {
    let [name, rest @ ..] = tokens else {
        return None;
    };
    let is_name = |token: &Token| {
        matches!(token.kind, Kind::Name | Kind::Quoted)
            || token.kind == Kind::Word && token.word.reserved() == Reserved::Nowhere
    };
    let mut rest = rest;
    if !is_name(name) {
        return None;
    }
    while let [dot, part, behind @ ..] = rest
        && dot.kind == Kind::Dot
    {
        if !is_name(part) {
            return None;
        }
        rest = behind;
    }
    Some(rest)
}

fn compares(operator: Kind) -> bool {
    matches!(
        operator,
        Kind::Eq | Kind::Ne | Kind::Lt | Kind::Le | Kind::Gt | Kind::Ge
    )
}

/// What stands behind a literal. A string that another one follows is one with it.
fn literal(tokens: &[Token]) -> Option<&[Token]> {
    let tokens = match tokens {
        [sign, number, ..] if sign.kind == Kind::Minus && is_number(*number) => tokens.get(1..)?,
        _ => tokens,
    };
    match tokens {
        [literal, rest @ ..] if literal.kind == Kind::Text => match rest {
            [next, ..] if next.kind == Kind::Text => None,
            _ => Some(rest),
        },
        [literal, rest @ ..] if is_number(*literal) || literal.kind == Kind::Param => Some(rest),
        _ => None,
    }
}

fn is_number(token: Token) -> bool {
    matches!(token.kind, Kind::Integer | Kind::Decimal | Kind::Float)
}
