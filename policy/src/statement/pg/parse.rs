//! The server's grammar, through libpg_query.

use std::cell::Cell;
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

/// libpg_query keeps its state thread by thread, but for the key under which threads give it back when they end: that
/// one it makes anew at the first call on each thread. Those calls are made one at a time.
static FIRST_CALL: Mutex<()> = Mutex::new(());

thread_local! {
    static CALLED: Cell<bool> = const { Cell::new(false) };
}

/// Parses a text that the guard has let through.
pub(crate) fn parse(text: &str, conforming: bool) -> Result<ParseResult, ParseError> {
    let mut options = ParserOptions::DISABLE_ESCAPE_STRING_WARNING;
    if !conforming {
        options |= ParserOptions::DISABLE_STANDARD_CONFORMING_STRINGS;
    }
    if !CALLED.replace(true) {
        let _alone = FIRST_CALL.lock().unwrap_or_else(PoisonError::into_inner);
        // For what it does to the thread; an empty text has an empty tree.
        let _tree = pg_query::parse("", options);
    }
    match pg_query::parse(text, options) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_parse_at_the_same_time_each_under_its_own_settings() {
        let text = r"SELECT 'a\'' || b FROM t -- '";
        let alone = [true, false].map(|conforming| format!("{:?}", parse(text, conforming)));
        assert_ne!(alone[0], alone[1]);
        std::thread::scope(|scope| {
            for number in 0..8 {
                let (expected, conforming) = (&alone[number % 2], number % 2 == 0);
                scope.spawn(move || {
                    for _ in 0..500 {
                        assert_eq!(format!("{:?}", parse(text, conforming)), *expected);
                    }
                });
            }
        });
    }
}
