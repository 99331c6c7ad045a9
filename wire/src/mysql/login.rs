//! The first packets of a connection: the server's greeting, the client's login; and COM_CHANGE_USER, which is
//! a login again.
//!
//! Sources: MySQL source documentation, "HandshakeV10", "SSLRequest", "HandshakeResponse41", "COM_CHANGE_USER";
//! MariaDB "Connection".

use crate::cursor::{Cursor, CursorError};
use crate::mysql::capabilities::Capabilities;
use crate::mysql::held::{Attributes, Login};

/// What of a server's greeting matters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Greeting<'a> {
    pub(crate) version: &'a [u8],
    pub(crate) thread: u32,
    pub(crate) capabilities: Capabilities,
    pub(crate) plugin: &'a [u8],
    /// Where in the payload the lower capabilities begin; the upper ones are five bytes behind, MariaDB's
    /// eight bytes behind those.
    pub(crate) at: usize,
}

/// Reads a greeting's payload. `Invalid` stands for another protocol, too.
pub(crate) fn greeting(payload: &[u8]) -> Result<Greeting<'_>, CursorError> {
    let mut cursor = Cursor::new(payload);
    if cursor.u8()? != 10 {
        return Err(CursorError::Invalid);
    }
    let version = cursor.cstr()?;
    let thread = cursor.u32_le()?;
    cursor.take(8)?;
    cursor.u8()?;
    let at = payload.len().saturating_sub(cursor.remaining());
    let low = cursor.u16_le()?;
    cursor.u8()?;
    cursor.u16_le()?;
    let high = cursor.u16_le()?;
    let length = cursor.u8()?;
    cursor.take(6)?;
    let extended = cursor.u32_le()?;
    let flags = u32::from(low) | u32::from(high) << 16;
    let mariadb = flags & Capabilities::LONG_PASSWORD.low() == 0;
    let capabilities = Capabilities::new(flags, if mariadb { extended } else { 0 });
    if !capabilities.has(Capabilities::PROTOCOL_41.with(Capabilities::SECURE_CONNECTION)) {
        return Err(CursorError::Invalid);
    }
    cursor.take(usize::from(length.saturating_sub(8)).max(13))?;
    let plugin = if capabilities.has(Capabilities::PLUGIN_AUTH) {
        until_nul(&mut cursor)?
    } else {
        &[]
    };
    cursor.finish()?;
    Ok(Greeting {
        version,
        thread,
        capabilities,
        plugin,
        at,
    })
}

/// The length of the part that an SSLRequest and a login have in common.
pub(crate) const FRONT: usize = 32;

/// The common front of an SSLRequest and a login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Front {
    pub(crate) capabilities: Capabilities,
    pub(crate) collation: u8,
}

/// Reads the front; none if it is too short, or that of a protocol older than 4.1.
pub(crate) fn front(payload: &[u8]) -> Option<Front> {
    let mut cursor = Cursor::new(payload);
    let flags = cursor.u32_le().ok()?;
    cursor.u32_le().ok()?;
    let collation = cursor.u8().ok()?;
    cursor.take(19).ok()?;
    let extended = cursor.u32_le().ok()?;
    let mariadb = flags & Capabilities::LONG_PASSWORD.low() == 0;
    let capabilities = Capabilities::new(flags, if mariadb { extended } else { 0 });
    let needed = Capabilities::PROTOCOL_41.with(Capabilities::SECURE_CONNECTION);
    capabilities.has(needed).then_some(Front {
        capabilities,
        collation,
    })
}

/// A login, and what it answers to the greeting.
#[derive(Clone)]
pub(crate) struct Read<'a> {
    pub(crate) login: Login<'a>,
    /// The client's first answer to its authentication plugin: a secret.
    pub(crate) answer: &'a [u8],
}

/// Reads a login's payload by the flags that both ends have: clients leave out what the server does not know,
/// whatever flags they set.
pub(crate) fn login(payload: &[u8], agreed: Capabilities) -> Result<Read<'_>, CursorError> {
    let front = front(payload).ok_or(CursorError::Invalid)?;
    let mut cursor = Cursor::new(payload);
    cursor.take(FRONT)?;
    let user = cursor.cstr()?;
    let answer = if agreed.has(Capabilities::PLUGIN_AUTH_LENENC) {
        cursor.lenenc_bytes()?
    } else {
        let length = cursor.u8()?;
        cursor.take(usize::from(length))?
    };
    let database = if agreed.has(Capabilities::CONNECT_WITH_DB) {
        until_nul(&mut cursor)?
    } else {
        &[]
    };
    let plugin = if agreed.has(Capabilities::PLUGIN_AUTH) {
        until_nul(&mut cursor)?
    } else {
        &[]
    };
    let attributes = attributes(&mut cursor, agreed)?;
    cursor.finish()?;
    Ok(Read {
        login: Login {
            capabilities: agreed,
            collation: front.collation.into(),
            user,
            database,
            plugin,
            attributes,
        },
        answer,
    })
}

/// Reads what follows the number of a COM_CHANGE_USER; the end may be left out from the collation on.
pub(crate) fn change_user(body: &[u8], agreed: Capabilities) -> Result<Read<'_>, CursorError> {
    let mut cursor = Cursor::new(body);
    let user = cursor.cstr()?;
    let length = cursor.u8()?;
    let answer = cursor.take(usize::from(length))?;
    let database = cursor.cstr()?;
    let mut login = Login {
        capabilities: agreed,
        collation: 0,
        user,
        database,
        plugin: &[],
        attributes: Attributes::new(&[]),
    };
    if cursor.remaining() > 0 {
        login.collation = cursor.u16_le()?;
    }
    if cursor.remaining() > 0 && agreed.has(Capabilities::PLUGIN_AUTH) {
        login.plugin = until_nul(&mut cursor)?;
    }
    if cursor.remaining() > 0 {
        login.attributes = attributes(&mut cursor, agreed)?;
    }
    cursor.finish()?;
    Ok(Read { login, answer })
}

fn attributes<'a>(
    cursor: &mut Cursor<'a>,
    capabilities: Capabilities,
) -> Result<Attributes<'a>, CursorError> {
    if !capabilities.has(Capabilities::CONNECT_ATTRS) {
        return Ok(Attributes::new(&[]));
    }
    let bytes = cursor.lenenc_bytes()?;
    let mut walk = Cursor::new(bytes);
    while walk.remaining() > 0 {
        walk.lenenc_bytes()?;
        walk.lenenc_bytes()?;
    }
    Ok(Attributes::new(bytes))
}

/// Takes a text that ends in a NUL, or with the packet: some ends leave the last NUL out.
fn until_nul<'a>(cursor: &mut Cursor<'a>) -> Result<&'a [u8], CursorError> {
    match cursor.cstr() {
        Ok(text) => Ok(text),
        Err(_) => cursor.take(cursor.remaining()),
    }
}
