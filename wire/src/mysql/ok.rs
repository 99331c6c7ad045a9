//! The server's short answers: OK, EOF and ERR packets, and the session's state in OK packets.
//!
//! Source: MySQL source documentation, "OK_Packet", "EOF_Packet", "ERR_Packet", "SERVER_STATUS_flags_enum".

use crate::cursor::{Cursor, CursorError};
use crate::mysql::capabilities::Capabilities;
use crate::mysql::encode;
use crate::sqlstate::{ErrorCode, SqlState};

/// The status flags of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Status(pub(crate) u16);

impl Status {
    const IN_TRANS: u16 = 0x0001;
    const AUTOCOMMIT: u16 = 0x0002;
    const MORE_RESULTS: u16 = 0x0008;
    const CURSOR_EXISTS: u16 = 0x0040;
    const IN_TRANS_READONLY: u16 = 0x2000;
    const STATE_CHANGED: u16 = 0x4000;

    pub(crate) fn is_in_transaction(self) -> bool {
        self.0 & Self::IN_TRANS != 0
    }

    pub(crate) fn is_autocommit(self) -> bool {
        self.0 & Self::AUTOCOMMIT != 0
    }

    pub(crate) fn is_read_only(self) -> bool {
        self.0 & Self::IN_TRANS_READONLY != 0
    }

    pub(crate) fn has_more_results(self) -> bool {
        self.0 & Self::MORE_RESULTS != 0
    }

    pub(crate) fn has_cursor(self) -> bool {
        self.0 & Self::CURSOR_EXISTS != 0
    }
}

/// An OK or EOF packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Done<'a> {
    pub(crate) affected: u64,
    pub(crate) status: Status,
    pub(crate) warnings: u16,
    /// What has changed in the session.
    pub(crate) changes: &'a [u8],
    /// The packet up to the status flags.
    front: &'a [u8],
    info: &'a [u8],
}

/// Reads an OK packet's payload, whose first byte is 0x00 or 0xfe.
pub(crate) fn ok(payload: &[u8], server: Capabilities) -> Result<Done<'_>, CursorError> {
    let mut cursor = Cursor::new(payload);
    cursor.u8()?;
    let affected = cursor.lenenc()?;
    cursor.lenenc()?;
    let front = payload
        .get(..payload.len().saturating_sub(cursor.remaining()))
        .unwrap_or_default();
    let status = Status(cursor.u16_le()?);
    let warnings = cursor.u16_le()?;
    let (mut info, mut changes) = (&[][..], &[][..]);
    if server.has(Capabilities::SESSION_TRACK) {
        if cursor.remaining() > 0 {
            info = cursor.lenenc_bytes()?;
        }
        if cursor.remaining() > 0 && status.0 & Status::STATE_CHANGED != 0 {
            changes = cursor.lenenc_bytes()?;
        }
        cursor.finish()?;
    }
    Ok(Done {
        affected,
        status,
        warnings,
        changes,
        front,
        info,
    })
}

/// Reads an EOF packet's payload.
pub(crate) fn eof(payload: &[u8]) -> Result<Done<'_>, CursorError> {
    let mut cursor = Cursor::new(payload);
    cursor.u8()?;
    let warnings = cursor.u16_le()?;
    let status = Status(cursor.u16_le()?);
    cursor.finish()?;
    Ok(Done {
        affected: 0,
        status,
        warnings,
        changes: &[],
        front: &[],
        info: &[],
    })
}

impl Done<'_> {
    /// The OK packet's payload for a client that doesn't track the session; none if it stays as it is.
    pub(crate) fn untracked(&self) -> Option<Vec<u8>> {
        if self.status.0 & Status::STATE_CHANGED == 0 {
            return None;
        }
        let mut payload = self.front.to_vec();
        payload.extend_from_slice(&(self.status.0 & !Status::STATE_CHANGED).to_le_bytes());
        payload.extend_from_slice(&self.warnings.to_le_bytes());
        if !self.info.is_empty() {
            payload.extend(encode::lenenc_bytes(self.info));
        }
        Some(payload)
    }
}

/// A MariaDB server's number for "not an error, but how far it is".
pub(crate) const PROGRESS: u16 = 0xffff;

/// Reads the beginning of an ERR packet's payload. Before the login, and from servers that are full, there is
/// no SQLSTATE in it.
pub(crate) fn error(payload: &[u8]) -> Result<ErrorCode, CursorError> {
    let mut cursor = Cursor::new(payload);
    cursor.u8()?;
    let errno = cursor.u16_le()?;
    let mut rest = cursor;
    let sqlstate = match rest.u8() {
        Ok(b'#') => SqlState::new(rest.take(5)?),
        Ok(_) | Err(_) => None,
    };
    Ok(ErrorCode {
        errno,
        sqlstate: sqlstate.unwrap_or(SqlState::GENERAL_ERROR),
    })
}

/// The longest beginning of an ERR packet that is read.
pub(crate) const ERROR_PREFIX: usize = 9;

/// A change of the session's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change<'a> {
    Variable { name: &'a [u8], value: &'a [u8] },
    Schema(&'a [u8]),
    State,
    Gtids(&'a [u8]),
    Characteristics(&'a [u8]),
    Transaction([u8; 8]),
}

/// Walks over changes; a kind that is unknown is skipped.
pub(crate) struct Changes<'a> {
    cursor: Cursor<'a>,
    variables: Cursor<'a>,
}

impl<'a> Changes<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self {
            cursor: Cursor::new(bytes),
            variables: Cursor::new(&[]),
        }
    }

    /// Gives the next change.
    pub(crate) fn step(&mut self) -> Result<Option<Change<'a>>, CursorError> {
        loop {
            // MariaDB puts several variables into one entry
            if self.variables.remaining() > 0 {
                let name = self.variables.lenenc_bytes()?;
                let value = self.variables.lenenc_bytes()?;
                return Ok(Some(Change::Variable { name, value }));
            }
            if self.cursor.remaining() == 0 {
                return Ok(None);
            }
            let kind = self.cursor.u8()?;
            let mut data = Cursor::new(self.cursor.lenenc_bytes()?);
            let change = match kind {
                0 => {
                    self.variables = data;
                    continue;
                }
                1 => Change::Schema(data.lenenc_bytes()?),
                2 => Change::State,
                3 => {
                    data.u8()?;
                    Change::Gtids(data.lenenc_bytes()?)
                }
                4 => Change::Characteristics(data.lenenc_bytes()?),
                5 => {
                    let state = data.lenenc_bytes()?;
                    Change::Transaction(state.try_into().map_err(|_| CursorError::Invalid)?)
                }
                _ => continue,
            };
            return Ok(Some(change));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_state_out() {
        let payload = b"\0\x01\0\x02\x40\0\0\x02ab\x09\x01\x03\x02db\x02\x02\x011";
        let read = ok(payload, Capabilities::SESSION_TRACK).unwrap();
        let mut changes = Changes::new(read.changes);
        assert_eq!(changes.step(), Ok(Some(Change::Schema(b"db"))));
        assert_eq!(changes.step(), Ok(Some(Change::State)));
        assert_eq!(changes.step(), Ok(None));
        assert_eq!(read.untracked().unwrap(), b"\0\x01\0\x02\0\0\0\x02ab");
        let plain = encode::ok(300, 2, 7);
        let read = ok(&plain, Capabilities::SESSION_TRACK).unwrap();
        assert_eq!((read.affected, read.warnings), (300, 7));
        assert_eq!(read.untracked(), None);
    }

    #[test]
    fn reads_errors_of_all_ages() {
        assert_eq!(error(b"\xff\x10\x04Too many").unwrap().errno, 1040);
        let code = error(b"\xff\x7a\x04#42S02no").unwrap();
        assert_eq!(code.to_string(), "1146 (42S02)");
        assert!(error(b"\xff\x10").is_err());
        assert!(error(b"\xff\x10\x04#42").is_err());
    }
}
