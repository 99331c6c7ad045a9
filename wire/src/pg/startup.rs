//! The first packet of a connection, which has no type byte.

use crate::cursor::{Cursor, CursorError};
use crate::error::{Error, InvalidMessage, Unsupported};
use crate::pg::held::{Replication, StartupParameters};

/// The longest startup packet that the server itself accepts.
pub(crate) const MAX_PACKET: u32 = 10_000;

/// The first byte of a TLS handshake; no startup packet is long enough to begin with it.
pub(crate) const TLS_HANDSHAKE: u8 = 0x16;

const CANCEL_REQUEST: u32 = 80_877_102;
const SSL_REQUEST: u32 = 80_877_103;
const GSSENC_REQUEST: u32 = 80_877_104;

/// A first packet.
#[derive(Debug, Clone)]
pub(crate) enum Startup<'a> {
    /// A request for TLS.
    SslRequest,
    /// A request for GSSAPI encryption.
    GssEncRequest,
    /// A request to cancel what another session runs.
    CancelRequest {
        pid: u32,
        key: &'a [u8],
    },
    Message(Message<'a>),
}

/// A session's first message.
#[derive(Debug, Clone)]
pub(crate) struct Message<'a> {
    pub(crate) protocol: (u16, u16),
    pub(crate) parameters: StartupParameters<'a>,
    pub(crate) replication: Option<Replication>,
}

/// Reads the length of a packet, itself included; none when bytes are missing.
pub(crate) fn length(bytes: &[u8]) -> Result<Option<usize>, Error> {
    let Ok(length) = Cursor::new(bytes).u32() else {
        return Ok(None);
    };
    if !(8..=MAX_PACKET).contains(&length) {
        return Err(InvalidMessage::StartupLength.into());
    }
    Ok(usize::try_from(length).ok())
}

/// Reads a packet that is there as a whole, its length included.
pub(crate) fn packet(bytes: &[u8]) -> Result<Startup<'_>, Error> {
    let mut cursor = Cursor::new(bytes);
    let code = cursor
        .u32()
        .and_then(|_| cursor.u32())
        .map_err(|_| InvalidMessage::StartupLength)?;
    let body = cursor.rest();
    match code {
        CANCEL_REQUEST => cancel(body).map_err(|_| InvalidMessage::StartupLayout.into()),
        SSL_REQUEST if body.is_empty() => Ok(Startup::SslRequest),
        GSSENC_REQUEST if body.is_empty() => Ok(Startup::GssEncRequest),
        SSL_REQUEST | GSSENC_REQUEST => Err(InvalidMessage::StartupLayout.into()),
        version => {
            let [a, b, c, d] = version.to_be_bytes();
            let protocol = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
            if protocol.0 != 3 {
                return Err(Error::Unsupported(Unsupported::Protocol(
                    protocol.0, protocol.1,
                )));
            }
            message(protocol, body)
                .map(Startup::Message)
                .map_err(|_| InvalidMessage::StartupLayout.into())
        }
    }
}

fn cancel(body: &[u8]) -> Result<Startup<'_>, CursorError> {
    let mut cursor = Cursor::new(body);
    let pid = cursor.u32()?;
    let key = cursor.rest();
    if (4..=256).contains(&key.len()) {
        Ok(Startup::CancelRequest { pid, key })
    } else {
        Err(CursorError::Invalid)
    }
}

fn message(protocol: (u16, u16), body: &[u8]) -> Result<Message<'_>, CursorError> {
    let mut cursor = Cursor::new(body);
    let mut seen = [false; 4];
    let mut replication = None;
    loop {
        let name = cursor.cstr()?;
        if name.is_empty() {
            break;
        }
        let value = cursor.cstr()?;
        // the server takes the last one: who reads the first would judge another session
        let once = match name {
            b"user" => seen.first_mut(),
            b"database" => seen.get_mut(1),
            b"options" => seen.get_mut(2),
            b"replication" => {
                replication = kind(value);
                seen.get_mut(3)
            }
            _ => None,
        };
        if once.is_some_and(|seen| std::mem::replace(seen, true)) {
            return Err(CursorError::Invalid);
        }
    }
    cursor.finish()?;
    Ok(Message {
        protocol,
        parameters: StartupParameters::new(body),
        replication,
    })
}

/// Reads the value as the server does; what it would reject counts as replication.
fn kind(value: &[u8]) -> Option<Replication> {
    if value == b"database" {
        return Some(Replication::Logical);
    }
    let value = value.to_ascii_lowercase();
    let begins = |word: &[u8], least: usize| value.len() >= least && word.starts_with(&value);
    if begins(b"false", 1) || begins(b"no", 1) || begins(b"off", 2) || value == b"0" {
        return None;
    }
    Some(Replication::Physical)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pg::encode;

    fn read(bytes: &[u8]) -> Result<Startup<'_>, Error> {
        assert_eq!(length(bytes).unwrap(), Some(bytes.len()));
        packet(bytes)
    }

    #[test]
    fn reads_a_message() {
        let bytes = encode::startup((3, 2), &[(b"user", b"ann"), (b"replication", b"database")]);
        let Ok(Startup::Message(message)) = read(&bytes) else {
            panic!("no message")
        };
        assert_eq!(message.protocol, (3, 2));
        assert_eq!(message.parameters.value(b"user"), Some(&b"ann"[..]));
        assert_eq!(message.replication, Some(Replication::Logical));
        assert_eq!(message.parameters.count(), 2);
    }

    #[test]
    fn refuses_what_is_said_twice() {
        let bytes = encode::startup((3, 0), &[(b"user", b"ann"), (b"user", b"root")]);
        assert_eq!(
            read(&bytes).err(),
            Some(InvalidMessage::StartupLayout.into())
        );
    }

    #[test]
    fn refuses_other_protocols_and_lengths() {
        let bytes = encode::startup((2, 0), &[]);
        assert_eq!(
            read(&bytes).err(),
            Some(Error::Unsupported(Unsupported::Protocol(2, 0)))
        );
        assert_eq!(
            length(b"GET ").err(),
            Some(InvalidMessage::StartupLength.into())
        );
        assert_eq!(
            length(b"\0\0\0\x07").err(),
            Some(InvalidMessage::StartupLength.into())
        );
        assert_eq!(length(b"\0\0\0").unwrap(), None);
        let mut bytes = encode::SSL_REQUEST.to_vec();
        bytes.push(0);
        assert!(packet(&bytes).is_err());
    }

    #[test]
    fn reads_replication_as_the_server_does() {
        for no in ["f", "FALSE", "n", "no", "of", "off", "0"] {
            assert_eq!(kind(no.as_bytes()), None, "{no}");
        }
        for yes in ["t", "true", "on", "1", "yes", "o", "", "falsey", "Database"] {
            assert_eq!(kind(yes.as_bytes()), Some(Replication::Physical), "{yes}");
        }
    }

    #[test]
    fn reads_cancel_keys_of_both_protocols() {
        for (length, good) in [(3, false), (4, true), (32, true), (256, true), (257, false)] {
            let key = vec![7; length];
            let bytes = encode::cancel_request(9, &key);
            match packet(&bytes) {
                Ok(Startup::CancelRequest { pid: 9, key: read }) if good => assert_eq!(read, key),
                other => assert!(!good && other.is_err(), "{other:?}"),
            }
        }
    }
}
