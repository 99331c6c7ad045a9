//! Tokens as the search for literals sees them.

use std::borrow::Cow;

use super::lex::Lexer;
use super::literal;
use super::state::MysqlLex;
use super::token::{Kind, Token};
use crate::statement::literals::{Piece, Quoted, Shape};

/// The pieces of a text, and whether that is all of it.
pub(crate) fn pieces<'t>(text: &'t [u8], lex: &MysqlLex) -> (Vec<Piece<'t>>, bool) {
    let mut lexer = Lexer::new(text, lex);
    let mut pieces = Vec::new();
    loop {
        match lexer.next_token() {
            Ok(Some(token)) => pieces.push(piece(text, &token, lex)),
            Ok(None) => return (pieces, true),
            Err(_) => return (pieces, false),
        }
    }
}

fn piece<'t>(text: &'t [u8], token: &Token, lex: &MysqlLex) -> Piece<'t> {
    let written = String::from_utf8_lossy(token.bytes(text));
    match token.kind {
        Kind::Word | Kind::Name => Piece::Word(written.to_lowercase().into(), Quoted::No),
        Kind::Quoted => {
            let inner = written.trim_matches(['`', '"']).replace("``", "`");
            Piece::Word(inner.to_lowercase().into(), Quoted::Yes)
        }
        Kind::Text => {
            let content = literal::content(text, std::slice::from_ref(token), lex);
            let content = content.and_then(|bytes| String::from_utf8(bytes).ok());
            Piece::Literal(content.map(Cow::Owned), Shape::Text)
        }
        Kind::National | Kind::Dollar | Kind::Hex | Kind::Bits => Piece::Literal(None, Shape::Text),
        Kind::Integer | Kind::Decimal | Kind::Float => Piece::Literal(Some(written), Shape::Number),
        Kind::Introducer => Piece::Cast,
        Kind::Comma => Piece::Comma,
        Kind::Semicolon => Piece::Semicolon,
        Kind::Open => Piece::Open,
        Kind::Close => Piece::Close,
        Kind::Dot => Piece::Dot,
        Kind::Assign
        | Kind::Eq
        | Kind::NullSafeEq
        | Kind::Ne
        | Kind::Lt
        | Kind::Le
        | Kind::Gt
        | Kind::Ge
        | Kind::Plus
        | Kind::Minus
        | Kind::Star
        | Kind::Slash
        | Kind::Percent
        | Kind::Caret
        | Kind::Amp
        | Kind::Pipe
        | Kind::Shl
        | Kind::Shr
        | Kind::OrOr
        | Kind::AndAnd
        | Kind::Bang
        | Kind::Tilde
        | Kind::Arrow
        | Kind::LongArrow => Piece::Operator(written),
        Kind::Null
        | Kind::Param
        | Kind::UserVar
        | Kind::AtAt
        | Kind::OpenBrace
        | Kind::CloseBrace
        | Kind::Colon
        | Kind::Ellipsis
        | Kind::End => Piece::Other,
    }
}
