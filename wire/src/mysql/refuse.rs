//! What a client is told in an ERR packet of our own.

use crate::mysql::encode::{self, MAX_MESSAGE};
use crate::mysql::errcode;
use crate::session::{AfterRefusal, Fatal, Refusal};

/// What the client reads text in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    Utf8,
    /// Another one, of which only ASCII is written.
    Other,
}

/// The payload of the ERR packet for a refused command: `message (detail; hint)`.
pub(crate) fn refusal(refusal: &Refusal, encoding: Encoding) -> Vec<u8> {
    let code = match refusal.then {
        AfterRefusal::Continue => errcode::with_number(refusal.code),
        AfterRefusal::Terminate => errcode::SHUTDOWN,
    };
    let message = match refusal.message.as_str() {
        "" => "refused by policy",
        message => message,
    };
    let tail = match (refusal.detail.as_str(), refusal.hint.as_str()) {
        ("", "") => String::new(),
        (detail, "") => format!(" ({detail})"),
        ("", hint) => format!(" ({hint})"),
        (detail, hint) => format!(" ({detail}; {hint})"),
    };
    let tail = text(&tail, encoding, MAX_MESSAGE);
    let room = MAX_MESSAGE.saturating_sub(tail.len());
    let message = text(message, encoding, room);
    encode::error(code, [message, tail].concat().as_bytes())
}

/// The payload of the ERR packet at the end of a session.
pub(crate) fn fatal(fatal: &Fatal, encoding: Encoding) -> Vec<u8> {
    let message = text(&fatal.message, encoding, MAX_MESSAGE);
    encode::error(errcode::with_number(fatal.code), message.as_bytes())
}

fn text(text: &str, encoding: Encoding, limit: usize) -> String {
    let mut out = String::new();
    for c in text.chars() {
        let c = match (c, encoding) {
            ('\0', _) => continue,
            (c, Encoding::Other) if !c.is_ascii() => '?',
            (c, _) => c,
        };
        if out.len().saturating_add(c.len_utf8()) > limit {
            break;
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlstate::SqlState;

    #[test]
    fn the_rule_and_the_event_are_never_cut() {
        let mut said = Refusal {
            code: SqlState::INSUFFICIENT_PRIVILEGE.into(),
            message: "n\u{e9}".repeat(400),
            detail: "rule r".into(),
            hint: "event e".into(),
            then: AfterRefusal::Continue,
        };
        let bytes = refusal(&said, Encoding::Other);
        assert_eq!(bytes.len(), 9 + MAX_MESSAGE);
        assert!(bytes.starts_with(b"\xff\xcb\x04#42000n?n?"));
        assert!(bytes.ends_with(b" (rule r; event e)"));
        said.then = AfterRefusal::Terminate;
        assert!(refusal(&said, Encoding::Utf8).starts_with(b"\xff\x1d\x04#08S01"));
    }
}
