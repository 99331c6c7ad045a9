//! The messages that a server sends after the startup.

use crate::cursor::{Cursor, CursorError};
use crate::error::Misbehaviour;
use crate::pg::frame::LARGE_BODY;
use crate::session::TxStatus;
use crate::sqlstate::SqlState;

/// The type of a server's message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Backend {
    Authentication,
    KeyData,
    BindComplete,
    CloseComplete,
    CommandComplete,
    CopyBothResponse,
    CopyData,
    CopyDone,
    CopyInResponse,
    CopyOutResponse,
    DataRow,
    EmptyQueryResponse,
    ErrorResponse,
    FunctionCallResponse,
    NegotiateProtocolVersion,
    NoData,
    NoticeResponse,
    NotificationResponse,
    ParameterDescription,
    ParameterStatus,
    ParseComplete,
    PortalSuspended,
    ReadyForQuery,
    RowDescription,
}

/// How much of a message has to be there before it is dealt with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// The header; the body streams.
    Header,
    /// As much as tells an error's severity and code.
    Prefix,
    /// All of it.
    Whole,
}

impl Backend {
    /// Reads a type byte.
    pub(crate) fn from_tag(tag: u8) -> Option<Self> {
        Some(match tag {
            b'R' => Self::Authentication,
            b'K' => Self::KeyData,
            b'2' => Self::BindComplete,
            b'3' => Self::CloseComplete,
            b'C' => Self::CommandComplete,
            b'W' => Self::CopyBothResponse,
            b'd' => Self::CopyData,
            b'c' => Self::CopyDone,
            b'G' => Self::CopyInResponse,
            b'H' => Self::CopyOutResponse,
            b'D' => Self::DataRow,
            b'I' => Self::EmptyQueryResponse,
            b'E' => Self::ErrorResponse,
            b'V' => Self::FunctionCallResponse,
            b'v' => Self::NegotiateProtocolVersion,
            b'n' => Self::NoData,
            b'N' => Self::NoticeResponse,
            b'A' => Self::NotificationResponse,
            b't' => Self::ParameterDescription,
            b'S' => Self::ParameterStatus,
            b'1' => Self::ParseComplete,
            b's' => Self::PortalSuspended,
            b'Z' => Self::ReadyForQuery,
            b'T' => Self::RowDescription,
            _ => return None,
        })
    }

    /// The type byte.
    pub(crate) fn tag(self) -> u8 {
        match self {
            Self::Authentication => b'R',
            Self::KeyData => b'K',
            Self::BindComplete => b'2',
            Self::CloseComplete => b'3',
            Self::CommandComplete => b'C',
            Self::CopyBothResponse => b'W',
            Self::CopyData => b'd',
            Self::CopyDone => b'c',
            Self::CopyInResponse => b'G',
            Self::CopyOutResponse => b'H',
            Self::DataRow => b'D',
            Self::EmptyQueryResponse => b'I',
            Self::ErrorResponse => b'E',
            Self::FunctionCallResponse => b'V',
            Self::NegotiateProtocolVersion => b'v',
            Self::NoData => b'n',
            Self::NoticeResponse => b'N',
            Self::NotificationResponse => b'A',
            Self::ParameterDescription => b't',
            Self::ParameterStatus => b'S',
            Self::ParseComplete => b'1',
            Self::PortalSuspended => b's',
            Self::ReadyForQuery => b'Z',
            Self::RowDescription => b'T',
        }
    }

    /// Checks the length of a body against what its type allows.
    pub(crate) fn check_length(self, body: Option<u32>) -> Result<u32, Misbehaviour> {
        let allowed = match self {
            Self::BindComplete
            | Self::CloseComplete
            | Self::CopyDone
            | Self::EmptyQueryResponse
            | Self::NoData
            | Self::ParseComplete
            | Self::PortalSuspended => 0..=0,
            Self::ReadyForQuery => 1..=1,
            Self::KeyData => 8..=4 + 256,
            Self::CommandComplete => 1..=8_192,
            Self::Authentication | Self::NegotiateProtocolVersion => 4..=65_536,
            Self::CopyBothResponse | Self::CopyInResponse | Self::CopyOutResponse => 3..=131_073,
            Self::ParameterDescription => 2..=262_142,
            Self::NotificationResponse => 6..=65_536,
            Self::ParameterStatus => 2..=1_048_576,
            Self::CopyData => 0..=LARGE_BODY,
            Self::DataRow | Self::RowDescription => 2..=LARGE_BODY,
            Self::FunctionCallResponse => 4..=LARGE_BODY,
            Self::ErrorResponse | Self::NoticeResponse => 1..=LARGE_BODY,
        };
        body.filter(|length| allowed.contains(length))
            .ok_or(Misbehaviour::Length(self.tag()))
    }

    /// Tells how much has to be there before the message is dealt with.
    pub(crate) fn wanted(self) -> Wanted {
        match self {
            Self::CopyBothResponse
            | Self::CopyData
            | Self::CopyInResponse
            | Self::CopyOutResponse
            | Self::DataRow
            | Self::FunctionCallResponse
            | Self::NoticeResponse
            | Self::NotificationResponse
            | Self::ParameterDescription
            | Self::RowDescription => Wanted::Header,
            Self::ErrorResponse => Wanted::Prefix,
            Self::Authentication
            | Self::KeyData
            | Self::BindComplete
            | Self::CloseComplete
            | Self::CommandComplete
            | Self::CopyDone
            | Self::EmptyQueryResponse
            | Self::NegotiateProtocolVersion
            | Self::NoData
            | Self::ParameterStatus
            | Self::ParseComplete
            | Self::PortalSuspended
            | Self::ReadyForQuery => Wanted::Whole,
        }
    }
}

/// As many bytes of an error as surely hold its severity and its code.
pub(crate) const ERROR_PREFIX: usize = 16 * 1024;

/// How bad an error is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Severity {
    /// The session goes on.
    Error,
    /// The session ends.
    Fatal,
}

/// Reads severity and code of an ErrorResponse of which `body` may be a mere prefix.
pub(crate) fn error(
    body: &[u8],
    complete: Completeness,
) -> Result<(Severity, SqlState), CursorError> {
    let mut cursor = Cursor::new(body);
    let mut severity = None;
    let mut localized = None;
    let mut code = None;
    loop {
        let field = match (cursor.u8(), complete) {
            (Ok(0), Completeness::Whole) => break cursor.finish()?,
            (Ok(0), Completeness::Prefix) => return Err(CursorError::Invalid),
            (Ok(field), _) => field,
            (Err(error), Completeness::Whole) => return Err(error),
            (Err(_), Completeness::Prefix) => break,
        };
        let value = match (cursor.cstr(), complete) {
            (Ok(value), _) => value,
            (Err(error), Completeness::Whole) => return Err(error),
            (Err(_), Completeness::Prefix) => break,
        };
        match field {
            b'V' => severity = Some(value),
            b'S' => localized = Some(value),
            b'C' => code = SqlState::new(value),
            _ => {} // the other fields are for the client
        }
    }
    let severity = match severity.or(localized) {
        Some(b"FATAL" | b"PANIC") => Severity::Fatal,
        Some(_) => Severity::Error,
        None => return Err(CursorError::Invalid),
    };
    Ok((severity, code.unwrap_or(SqlState::INTERNAL_ERROR)))
}

/// Whether a body is there as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Completeness {
    Whole,
    Prefix,
}

/// Reads the body of a ReadyForQuery.
pub(crate) fn ready(body: &[u8]) -> Result<TxStatus, CursorError> {
    match body {
        b"I" => Ok(TxStatus::Idle),
        b"T" => Ok(TxStatus::Active),
        b"E" => Ok(TxStatus::Failed),
        _ => Err(CursorError::Invalid),
    }
}

/// Reads the body of a ParameterStatus.
pub(crate) fn parameter(body: &[u8]) -> Result<(&[u8], &[u8]), CursorError> {
    let mut cursor = Cursor::new(body);
    let name = cursor.cstr()?;
    let value = cursor.cstr()?;
    cursor.finish()?;
    Ok((name, value))
}

/// Reads the body of a BackendKeyData.
pub(crate) fn key(body: &[u8]) -> Result<(u32, &[u8]), CursorError> {
    let mut cursor = Cursor::new(body);
    Ok((cursor.u32()?, cursor.rest()))
}

/// What a command tag counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Counted {
    /// Rows written.
    Written(u64),
    /// Rows that COPY moved.
    Copied(u64),
    /// Rows that a query found; written by it if none came back.
    Selected(u64),
    /// Nothing of interest.
    Nothing,
}

/// Reads the body of a CommandComplete.
pub(crate) fn command_tag(body: &[u8]) -> Result<Counted, CursorError> {
    let mut cursor = Cursor::new(body);
    let tag = cursor.cstr()?;
    cursor.finish()?;
    let mut words = tag.split(|&byte| byte == b' ');
    let verb = words.next().unwrap_or_default();
    let Some(count) = words.next_back().and_then(number) else {
        return Ok(Counted::Nothing);
    };
    Ok(match verb {
        b"INSERT" | b"UPDATE" | b"DELETE" | b"MERGE" => Counted::Written(count),
        b"COPY" => Counted::Copied(count),
        b"SELECT" => Counted::Selected(count),
        _ => Counted::Nothing,
    })
}

fn number(digits: &[u8]) -> Option<u64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_round_trip() {
        for byte in 0..=u8::MAX {
            if let Some(message) = Backend::from_tag(byte) {
                assert_eq!(message.tag(), byte);
            }
        }
        assert_eq!((0..=u8::MAX).filter_map(Backend::from_tag).count(), 24);
    }

    #[test]
    fn reads_command_tags() {
        let read = |tag: &[u8]| command_tag(tag).unwrap();
        assert_eq!(read(b"INSERT 0 3\0"), Counted::Written(3));
        assert_eq!(
            read(b"DELETE 18446744073709551615\0"),
            Counted::Written(u64::MAX)
        );
        assert_eq!(read(b"COPY 7\0"), Counted::Copied(7));
        assert_eq!(read(b"SELECT 2\0"), Counted::Selected(2));
        assert_eq!(read(b"CREATE TABLE\0"), Counted::Nothing);
        assert_eq!(read(b"UPDATE x\0"), Counted::Nothing);
        assert_eq!(read(b"\0"), Counted::Nothing);
        assert!(command_tag(b"INSERT 0 3\0x").is_err());
    }

    #[test]
    fn reads_errors_whole_and_cut() {
        let body = b"SFATAL\0VFATAL\0C57P01\0Mx\0\0";
        let fatal = (Severity::Fatal, SqlState::ADMIN_SHUTDOWN);
        assert_eq!(error(body, Completeness::Whole), Ok(fatal));
        assert_eq!(error(&body[..22], Completeness::Prefix), Ok(fatal));
        assert!(error(&body[..22], Completeness::Whole).is_err());
        assert!(error(b"\0", Completeness::Whole).is_err());
        assert!(error(b"SERROR\0\0x", Completeness::Whole).is_err());
        // the unlocalized field decides
        let error = error(b"SFATAL\0VERROR\0C42601\0\0", Completeness::Whole);
        assert_eq!(error, Ok((Severity::Error, SqlState::SYNTAX_ERROR)));
    }
}
