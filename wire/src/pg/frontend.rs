//! The messages that a client sends after its startup, and the exact form of each.

use crate::cursor::{Cursor, CursorError};
use crate::error::InvalidMessage;
use crate::pg::frame::{LARGE_BODY, SMALL_BODY};
use crate::pg::held::{ParameterTypes, Parameters};

/// The type of a client's message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Frontend {
    Bind,
    Close,
    CopyData,
    CopyDone,
    CopyFail,
    Describe,
    Execute,
    Flush,
    FunctionCall,
    Parse,
    /// PasswordMessage, SASLInitialResponse, SASLResponse or GSSResponse.
    Password,
    Query,
    Sync,
    Terminate,
}

impl Frontend {
    /// Reads a type byte.
    pub(crate) fn from_tag(tag: u8) -> Option<Self> {
        Some(match tag {
            b'B' => Self::Bind,
            b'C' => Self::Close,
            b'd' => Self::CopyData,
            b'c' => Self::CopyDone,
            b'f' => Self::CopyFail,
            b'D' => Self::Describe,
            b'E' => Self::Execute,
            b'H' => Self::Flush,
            b'F' => Self::FunctionCall,
            b'P' => Self::Parse,
            b'p' => Self::Password,
            b'Q' => Self::Query,
            b'S' => Self::Sync,
            b'X' => Self::Terminate,
            _ => return None,
        })
    }

    /// The type byte.
    pub(crate) fn tag(self) -> u8 {
        match self {
            Self::Bind => b'B',
            Self::Close => b'C',
            Self::CopyData => b'd',
            Self::CopyDone => b'c',
            Self::CopyFail => b'f',
            Self::Describe => b'D',
            Self::Execute => b'E',
            Self::Flush => b'H',
            Self::FunctionCall => b'F',
            Self::Parse => b'P',
            Self::Password => b'p',
            Self::Query => b'Q',
            Self::Sync => b'S',
            Self::Terminate => b'X',
        }
    }

    /// Checks the length of a body against what its type allows.
    pub(crate) fn check_length(self, body: Option<u32>) -> Result<u32, InvalidMessage> {
        let limit = match self {
            Self::Query | Self::Parse | Self::Bind | Self::FunctionCall | Self::CopyData => {
                LARGE_BODY
            }
            Self::Describe | Self::Execute | Self::Close | Self::CopyFail => SMALL_BODY,
            Self::Password => 65_536,
            Self::CopyDone | Self::Flush | Self::Sync | Self::Terminate => 0,
        };
        body.filter(|&length| length <= limit)
            .ok_or(InvalidMessage::Length(self.tag()))
    }
}

/// What Describe and Close name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Target {
    Statement,
    Portal,
}

/// A Parse message.
#[derive(Debug, Clone)]
pub(crate) struct Parse<'a> {
    pub(crate) name: &'a [u8],
    pub(crate) text: &'a [u8],
    pub(crate) types: ParameterTypes<'a>,
}

/// A Bind message.
#[derive(Debug, Clone)]
pub(crate) struct Bind<'a> {
    pub(crate) portal: &'a [u8],
    pub(crate) name: &'a [u8],
    pub(crate) parameters: Parameters<'a>,
}

/// An Execute message.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Execute<'a> {
    pub(crate) portal: &'a [u8],
    pub(crate) max_rows: u32,
}

/// A FunctionCall message.
#[derive(Debug, Clone)]
pub(crate) struct FunctionCall<'a> {
    pub(crate) oid: u32,
    pub(crate) arguments: Parameters<'a>,
}

/// Reads the body of a Query or a CopyFail: one string.
pub(crate) fn text(body: &[u8]) -> Result<&[u8], CursorError> {
    let mut cursor = Cursor::new(body);
    let text = cursor.cstr()?;
    cursor.finish()?;
    Ok(text)
}

/// Reads the body of a Parse.
pub(crate) fn parse(body: &[u8]) -> Result<Parse<'_>, CursorError> {
    let mut cursor = Cursor::new(body);
    let name = cursor.cstr()?;
    let text = cursor.cstr()?;
    let count = usize::from(cursor.u16()?);
    let types = ParameterTypes::new(cursor.take(count.saturating_mul(4))?);
    cursor.finish()?;
    Ok(Parse { name, text, types })
}

/// Reads the body of a Bind.
pub(crate) fn bind(body: &[u8]) -> Result<Bind<'_>, CursorError> {
    let mut cursor = Cursor::new(body);
    let portal = cursor.cstr()?;
    let name = cursor.cstr()?;
    let parameters = parameters(&mut cursor)?;
    let formats = usize::from(cursor.u16()?);
    cursor.take(formats.saturating_mul(2))?;
    cursor.finish()?;
    Ok(Bind {
        portal,
        name,
        parameters,
    })
}

/// Reads the body of an Execute.
pub(crate) fn execute(body: &[u8]) -> Result<Execute<'_>, CursorError> {
    let mut cursor = Cursor::new(body);
    let portal = cursor.cstr()?;
    let max_rows = u32::try_from(cursor.i32()?).unwrap_or(0); // the server takes <= 0 for "all"
    cursor.finish()?;
    Ok(Execute { portal, max_rows })
}

/// Reads the body of a Describe or a Close.
pub(crate) fn target(body: &[u8]) -> Result<(Target, &[u8]), CursorError> {
    let mut cursor = Cursor::new(body);
    let target = match cursor.u8()? {
        b'S' => Target::Statement,
        b'P' => Target::Portal,
        _ => return Err(CursorError::Invalid),
    };
    let name = cursor.cstr()?;
    cursor.finish()?;
    Ok((target, name))
}

/// Reads the body of a FunctionCall.
pub(crate) fn function_call(body: &[u8]) -> Result<FunctionCall<'_>, CursorError> {
    let mut cursor = Cursor::new(body);
    let oid = cursor.u32()?;
    let arguments = parameters(&mut cursor)?;
    cursor.u16()?;
    cursor.finish()?;
    Ok(FunctionCall { oid, arguments })
}

fn parameters<'a>(cursor: &mut Cursor<'a>) -> Result<Parameters<'a>, CursorError> {
    let formats = cursor.u16()?;
    let codes = cursor.take(usize::from(formats).saturating_mul(2))?;
    let count = cursor.u16()?;
    if formats > 1 && formats != count {
        return Err(CursorError::Invalid);
    }
    let values = cursor.rest();
    for _ in 0..count {
        cursor.value()?;
    }
    let length = values.len().saturating_sub(cursor.remaining());
    Ok(Parameters::new(
        codes,
        count,
        values.get(..length).unwrap_or_default(),
    ))
}
