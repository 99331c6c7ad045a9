//! The envelope of every message behind the startup: a type byte and a length.

use crate::cursor::Cursor;

/// The bytes in front of a message's body.
pub(crate) const HEADER: usize = 5;

/// The server's own limit for a large message, without the length itself.
pub(crate) const LARGE_BODY: u32 = 0x3fff_fffe - 4;

/// The server's own limit for a small message.
pub(crate) const SMALL_BODY: u32 = 10_000;

/// The front of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Frame {
    /// The message type.
    pub(crate) tag: u8,
    /// The length of the body; none when the length on the wire can't be one.
    pub(crate) body: Option<u32>,
}

/// Reads the front of a message; none when bytes are missing.
pub(crate) fn peek(bytes: &[u8]) -> Option<Frame> {
    let mut cursor = Cursor::new(bytes);
    let tag = cursor.u8().ok()?;
    let length = cursor.u32().ok()?;
    Some(Frame {
        tag,
        body: length.checked_sub(4),
    })
}

/// Adds the header's length to that of a body.
pub(crate) fn total(body: u32) -> usize {
    usize::try_from(body)
        .unwrap_or(usize::MAX)
        .saturating_add(HEADER)
}

/// Shows the body of a message that is there as a whole.
pub(crate) fn body(bytes: &[u8], total: usize) -> &[u8] {
    bytes.get(HEADER..total).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_headers() {
        assert_eq!(peek(b"Q\0\0\0"), None);
        assert_eq!(
            peek(b"Q\0\0\0\x06a\0"),
            Some(Frame {
                tag: b'Q',
                body: Some(2)
            })
        );
        assert_eq!(
            peek(b"Q\0\0\0\x03"),
            Some(Frame {
                tag: b'Q',
                body: None
            })
        );
        assert_eq!(body(b"Q\0\0\0\x06a\0z", total(2)), b"a\0");
    }
}
