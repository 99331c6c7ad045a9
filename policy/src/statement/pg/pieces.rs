//! Tokens as the search for literals sees them.

use std::borrow::Cow;

use super::lex::Lexer;
use super::token::{Kind, Token};
use crate::statement::literals::{Piece, Quoted, Shape};
use crate::statement::{Limits, PostgresLex};

/// The pieces of a text, and whether that is all of it.
pub(crate) fn pieces<'t>(text: &'t str, lex: &PostgresLex) -> (Vec<Piece<'t>>, bool) {
    let conforming = lex.standard_conforming_strings;
    let mut lexer = Lexer::new(text.as_bytes(), conforming, &Limits::default());
    let mut pieces = Vec::new();
    loop {
        match lexer.next_token() {
            Ok(Some(token)) => pieces.push(piece(text, &token, conforming)),
            Ok(None) => return (pieces, true),
            Err(_) => return (pieces, false),
        }
    }
}

fn piece<'t>(text: &'t str, token: &Token, conforming: bool) -> Piece<'t> {
    let written = text.get(token.range()).unwrap_or_default();
    match token.kind {
        Kind::Word if written.bytes().any(|byte| byte.is_ascii_uppercase()) => {
            Piece::Word(written.to_ascii_lowercase().into(), Quoted::No)
        }
        Kind::Word => Piece::Word(written.into(), Quoted::No),
        Kind::QuotedIdent => Piece::Word(unquoted(written, '"'), Quoted::Yes),
        Kind::UnicodeIdent => Piece::Word(written.into(), Quoted::Yes),
        Kind::Integer | Kind::Float => Piece::Literal(Some(written.into()), Shape::Number),
        Kind::Text => Piece::Literal(content(written, conforming), Shape::Text),
        Kind::UnicodeText | Kind::Bits | Kind::HexBits => Piece::Literal(None, Shape::Text),
        Kind::Operator => Piece::Operator(written.into()),
        Kind::Assign => Piece::Operator(":=".into()),
        // A named argument: the name says nothing of columns.
        Kind::Arrow | Kind::National | Kind::Cast => Piece::Cast,
        Kind::Dot => Piece::Dot,
        Kind::Comma => Piece::Comma,
        Kind::Semicolon => Piece::Semicolon,
        Kind::OpenParen | Kind::OpenBracket => Piece::Open,
        Kind::CloseParen | Kind::CloseBracket => Piece::Close,
        Kind::Param | Kind::DotDot | Kind::Colon | Kind::Other => Piece::Other,
    }
}

/// What a string literal says; none where backslashes stand for something else.
fn content(written: &str, conforming: bool) -> Option<Cow<'_, str>> {
    if written.starts_with('$') {
        let tag = written.get(1..)?.find('$')? + 2;
        let inner = written.get(tag..written.len().checked_sub(tag)?)?;
        return Some(inner.into());
    }
    let (inner, escapes) = match written.strip_prefix(['e', 'E']) {
        Some(rest) => (rest, true),
        None => (written, !conforming),
    };
    let inner = inner.strip_prefix('\'')?.strip_suffix('\'')?;
    // The scanner joins literals with a line break between.
    let joined = inner.replace("''", "").contains('\'');
    if joined || (escapes && inner.contains('\\')) {
        return None;
    }
    Some(unquoted_inner(inner, '\''))
}

fn unquoted(written: &str, quote: char) -> Cow<'_, str> {
    let inner = written.strip_prefix(quote).unwrap_or(written);
    unquoted_inner(inner.strip_suffix(quote).unwrap_or(inner), quote)
}

fn unquoted_inner(inner: &str, quote: char) -> Cow<'_, str> {
    if !inner.contains(quote) {
        return inner.into();
    }
    let doubled = [quote, quote].iter().collect::<String>();
    inner.replace(&doubled, &quote.to_string()).into()
}
