//! Refusing without lying: the statement that takes a refused one's place, and what the client
//! is told in place of the server's error about it.

use crate::pg::encode;
use crate::session::{Fatal, Refusal};

/// The name of the statement that takes the place of a refused Bind or Execute. It is never
/// prepared, for its text is no statement.
pub(crate) const SUBSTITUTE: &[u8] = b"sqlward_refused";

/// The longest part of an error that a client is told, in bytes.
const MAX_FIELD: usize = 4096;

/// A text that no server can take for a statement, for no statement begins with a name.
pub(crate) fn text(refusal: &Refusal) -> Vec<u8> {
    let mut text = b"sqlward refused this statement: ".to_vec();
    let said = [&refusal.detail, &refusal.hint, &refusal.message];
    let mut last = b' ';
    for byte in said
        .iter()
        .flat_map(|part| part.bytes().chain([b' ']))
        .take(256)
    {
        let harmless = byte.is_ascii_alphanumeric() || b" _.:,-".contains(&byte);
        let repeated = last == byte && b" -".contains(&byte);
        if harmless && !repeated {
            text.push(byte);
            last = byte;
        }
    }
    text
}

/// The error that the client gets in place of the server's.
pub(crate) fn error(refusal: &Refusal, encoding: Encoding) -> Vec<u8> {
    let message = match refusal.message.as_str() {
        "" => "refused by policy",
        message => message,
    };
    let message = client_text(message, encoding);
    let detail = client_text(&refusal.detail, encoding);
    let hint = client_text(&refusal.hint, encoding);
    let fields = [
        (b'M', message.as_str()),
        (b'D', detail.as_str()),
        (b'H', hint.as_str()),
    ];
    encode::error_response("ERROR", refusal.code.sqlstate, &fields)
}

/// The error that a client gets at the end of its session.
pub(crate) fn fatal(fatal: &Fatal, detail: &str, hint: &str, encoding: Encoding) -> Vec<u8> {
    let message = client_text(&fatal.message, encoding);
    let detail = client_text(detail, encoding);
    let hint = client_text(hint, encoding);
    let fields = [
        (b'M', message.as_str()),
        (b'D', detail.as_str()),
        (b'H', hint.as_str()),
    ];
    encode::error_response("FATAL", fatal.code.sqlstate, &fields)
}

/// What the client reads text in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    Utf8,
    /// Another one, of which only ASCII is written.
    Other,
}

fn client_text(text: &str, encoding: Encoding) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if out.len().saturating_add(c.len_utf8()) > MAX_FIELD {
            break;
        }
        match (c, encoding) {
            ('\0', _) => {}
            (c, Encoding::Other) if !c.is_ascii() => out.push('?'),
            (c, _) => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::AfterRefusal;
    use crate::sqlstate::SqlState;

    fn refusal(message: &str) -> Refusal {
        Refusal {
            code: SqlState::INSUFFICIENT_PRIVILEGE.into(),
            message: message.into(),
            detail: "rule no-drop".into(),
            hint: String::new(),
            then: AfterRefusal::Continue,
        }
    }

    #[test]
    fn the_text_can_not_be_made_a_statement() {
        let text = text(&refusal("a'; DROP/**/TABLE t; -- --- $$x$$ \\ \0 \u{e9}\""));
        let text = String::from_utf8(text).unwrap();
        assert_eq!(
            text,
            "sqlward refused this statement: rule no-drop a DROPTABLE t - - x "
        );
    }

    #[test]
    fn the_error_is_what_the_refusal_says() {
        let bytes = error(&refusal("n\u{e9}"), Encoding::Other);
        assert_eq!(
            &bytes[5..],
            b"SERROR\0VERROR\0C42501\0Mn?\0Drule no-drop\0\0"
        );
        let long = "x".repeat(10_000);
        assert!(error(&refusal(&long), Encoding::Utf8).len() < 5_000);
    }
}
