//! What string literals say.

use super::charset::ClientCharset;
use super::state::{MysqlLex, SqlMode};
use super::token::{Kind, Token};

/// The content of adjacent string literals, as the server takes it; `None` if they are anything else.
pub(super) fn content(text: &[u8], tokens: &[Token], lex: &MysqlLex) -> Option<Vec<u8>> {
    if tokens.is_empty() || tokens.iter().any(|token| token.kind != Kind::Text) {
        return None;
    }
    let escapes = !lex
        .sql_mode
        .unwrap_or_default()
        .has(SqlMode::NO_BACKSLASH_ESCAPES);
    let charset = lex.charset.unwrap_or(ClientCharset::Utf8);
    let mut content = Vec::new();
    for token in tokens {
        let bytes = token.bytes(text);
        let (&quote, rest) = bytes.split_first()?;
        let inner = rest.get(..rest.len().saturating_sub(1))?;
        let mut at = 0;
        while let Some(&byte) = inner.get(at) {
            let length = charset.char_len(inner.get(at..)?).max(1);
            if length > 1 {
                content.extend_from_slice(inner.get(at..at + length)?);
            } else if byte == b'\\' && escapes {
                at += 1;
                unescape(*inner.get(at)?, &mut content);
            } else {
                content.push(byte);
                // A doubled quote is one.
                at += usize::from(byte == quote);
            }
            at += length;
        }
    }
    Some(content)
}

/// What a backslash and this byte stand for (MySQL manual, "String Literals").
fn unescape(byte: u8, content: &mut Vec<u8>) {
    if matches!(byte, b'%' | b'_') {
        content.push(b'\\');
    }
    content.push(match byte {
        b'0' => 0,
        b'b' => 8,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'Z' => 26,
        other => other,
    });
}
