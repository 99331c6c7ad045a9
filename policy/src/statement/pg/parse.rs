//! The server's grammar, through libpg_query.

use std::sync::{Mutex, PoisonError};

use pg_query::{ParserOptions, protobuf::ParseResult};

/// Why a text has no tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ParseError {
    #[error("the grammar does not accept the text")]
    Syntax,
    #[error("the tree is too deep")]
    Depth,
}

/// libpg_query points the process's standard error elsewhere while it parses. Two threads that do so at the same time
/// would leave it there.
static STANDARD_ERROR: Mutex<()> = Mutex::new(());

/// Parses a text that the guard has let through.
pub(crate) fn parse(text: &str, conforming: bool) -> Result<ParseResult, ParseError> {
    let mut options = ParserOptions::DISABLE_ESCAPE_STRING_WARNING;
    if !conforming {
        options |= ParserOptions::DISABLE_STANDARD_CONFORMING_STRINGS;
    }
    let parsed = {
        let _alone = STANDARD_ERROR
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        pg_query::parse(text, options)
    };
    match parsed {
        Ok(result) => Ok(result.protobuf),
        Err(pg_query::Error::Parse(message)) if is_depth(&message) => Err(ParseError::Depth),
        Err(pg_query::Error::Decode(_)) => Err(ParseError::Depth),
        Err(_) => Err(ParseError::Syntax),
    }
}

/// Tells the limits of the parser and of the tree's encoding from errors of syntax.
fn is_depth(message: &str) -> bool {
    message.contains("stack depth")
        || message.contains("memory exhausted")
        || message.contains("too deep")
        || message.contains("out of memory")
}
