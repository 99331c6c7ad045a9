//! The command that waits, read as the server will read it.

use crate::cursor::{Cursor, CursorError};
use crate::mysql::capabilities::Capabilities;
use crate::mysql::command::Command;
use crate::mysql::held::{Held, Rows};
use crate::mysql::login;
use crate::mysql::packet;
use crate::mysql::session::Session;
use crate::mysql::state::{Front, PREFIX, Phase, Size};
use crate::mysql::values::{BulkRows, Names, Parameters, Type, kind};

/// Why a command can't be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unread {
    /// It doesn't have the form that its number demands.
    Layout,
    /// No such statement is prepared.
    UnknownStatement,
}

impl From<CursorError> for Unread {
    fn from(_: CursorError) -> Self {
        Self::Layout
    }
}

/// COM_STMT_EXECUTE: the number of parameters is told, as there may be query attributes.
const PARAMETER_COUNT_AVAILABLE: u8 = 8;
/// COM_STMT_EXECUTE: the flags that ask for a cursor.
const CURSORS: u8 = 7;
/// COM_STMT_BULK_EXECUTE: the types are sent.
const SEND_TYPES: u16 = 128;
/// COM_STMT_BULK_EXECUTE: the types, and that the generated ids are to be returned.
const BULK_FLAGS: u16 = SEND_TYPES | 64;

impl<P, T: Clone> Session<P, T> {
    /// Shows the payload of a command that is there, or the beginning of one that is too large.
    pub(in crate::mysql) fn payload(&self, front: Front) -> &[u8] {
        match front.size {
            Size::Fits if front.packets > 1 => &self.joined,
            Size::Fits | Size::TooLarge => {
                let bytes = self.client.unjudged();
                packet::peek(bytes)
                    .map(|packet| bytes.get(packet::HEADER..packet.total().min(bytes.len())))
                    .unwrap_or_default()
                    .unwrap_or_default()
            }
        }
    }

    /// Reads the command that waits.
    pub(in crate::mysql) fn view(&self) -> Result<Option<Held<'_, T>>, Unread> {
        let Some(front) = self.front else {
            return Ok(None);
        };
        let payload = self.payload(front);
        let agreed = self.agreement.client;
        if self.phase == Phase::ExpectLoginVerdict {
            let read = login::login(payload, agreed)?;
            return Ok(Some(Held::Startup(read.login)));
        }
        let body = payload.get(1..).unwrap_or_default();
        if front.size == Size::TooLarge {
            return Ok(Some(Held::TooLarge {
                command: front.command,
                length: u64::try_from(front.total).unwrap_or(u64::MAX),
                prefix: body.get(..PREFIX).unwrap_or(body),
            }));
        }
        let mut cursor = Cursor::new(body);
        Ok(Some(match front.command {
            Command::Query => {
                let attributes = if agreed.has(Capabilities::QUERY_ATTRIBUTES) {
                    attributes(&mut cursor)?
                } else {
                    Parameters::default()
                };
                let text = cursor.rest();
                Held::Query { text, attributes }
            }
            Command::Prepare => Held::Prepare { text: body },
            Command::Execute => self.execute(cursor)?,
            Command::BulkExecute => {
                let (statement, known) = self.statement(cursor.u32_le()?)?;
                bulk_types(&mut cursor, known.parameters, |_| {})?;
                Held::BulkExecute {
                    statement,
                    prepared: &known.tag,
                    rows: BulkRows::read(cursor, &self.bulk_types)?,
                }
            }
            Command::Fetch => {
                let (statement, known) = self.statement(cursor.u32_le()?)?;
                let max_rows = cursor.u32_le()?;
                cursor.finish()?;
                Held::Fetch {
                    statement,
                    prepared: &known.tag,
                    max_rows,
                }
            }
            Command::InitDb => Held::InitDb { database: body },
            Command::CreateDb => Held::CreateDb { database: body },
            Command::DropDb => Held::DropDb { database: body },
            Command::FieldList => Held::FieldList {
                table: cursor.cstr()?,
                wildcard: cursor.rest(),
            },
            Command::SetOption => {
                let option = cursor.u16_le()?;
                cursor.finish()?;
                Held::SetOption { option }
            }
            Command::ProcessKill => {
                let thread = cursor.u32_le()?;
                cursor.finish()?;
                Held::ProcessKill { thread }
            }
            Command::ChangeUser => Held::ChangeUser(login::change_user(body, agreed)?.login),
            command @ (Command::Refresh
            | Command::Shutdown
            | Command::Statistics
            | Command::ProcessInfo
            | Command::Debug) => {
                if body.len() > 1 {
                    return Err(Unread::Layout);
                }
                Held::Admin { command, body }
            }
            command @ (Command::BinlogDump | Command::BinlogDumpGtid) => {
                Held::Replication { command, body }
            }
            command @ Command::RegisterSlave => Held::Replication {
                command,
                body: before_password(body)?,
            },
            Command::Quit
            | Command::Ping
            | Command::SendLongData
            | Command::Close
            | Command::Reset
            | Command::ResetConnection => return Err(Unread::Layout),
        }))
    }

    fn execute<'a>(&'a self, mut cursor: Cursor<'a>) -> Result<Held<'a, T>, Unread> {
        let (statement, known) = self.statement(cursor.u32_le()?)?;
        let flags = cursor.u8()?;
        cursor.u32_le()?;
        let count = execute_count(&mut cursor, flags, known.parameters, self.agreement.client)?;
        let names = match self.agreement.client.has(Capabilities::QUERY_ATTRIBUTES) {
            true => Names::Sent,
            false => Names::None,
        };
        let parameters = Parameters::read(&mut cursor, count, names, (&known.types, &known.long))?;
        cursor.finish()?;
        Ok(Held::Execute {
            statement,
            prepared: &known.tag,
            cursor: if flags & CURSORS == 0 {
                Rows::Sent
            } else {
                Rows::InCursor
            },
            parameters,
            own: known.parameters,
        })
    }

    fn statement(&self, id: u32) -> Result<(u32, &crate::mysql::statements::Statement<T>), Unread> {
        self.statements.find(id).ok_or(Unread::UnknownStatement)
    }

    /// Reads the types of a COM_STMT_BULK_EXECUTE that is going to wait, or remembers those of the last one.
    pub(in crate::mysql) fn read_bulk_types(&mut self, front: Front) -> Result<(), Unread> {
        let mut types = std::mem::take(&mut self.bulk_types);
        types.clear();
        let mut cursor = Cursor::new(self.payload(front).get(1..).unwrap_or_default());
        let (_, known) = self.statement(cursor.u32_le()?)?;
        if !bulk_types(&mut cursor, known.parameters, |kind| types.push(kind))? {
            types.extend_from_slice(&known.types);
        }
        if types.len() != usize::from(known.parameters) {
            return Err(Unread::Layout);
        }
        self.bulk_types = types;
        Ok(())
    }

    /// Takes note of the types that an execution brings, which the server will know only if it is forwarded;
    /// tells whether it brings them.
    pub(in crate::mysql) fn learn_types(&mut self, front: Front) -> Result<Types, Unread> {
        let mut types = Vec::new();
        let (id, sent) = match self.view()? {
            Some(Held::Execute {
                statement,
                parameters,
                ..
            }) => {
                // nothing to be copied, as a rule
                if parameters.len() == 0 {
                    return Ok(Types::Remembered);
                }
                let known = self.statements.find(statement);
                if parameters.has_same_types(known.map_or(&[], |(_, known)| &known.types)) {
                    (statement, parameters.sends_types())
                } else {
                    parameters.copy_types(&mut types);
                    (statement, true)
                }
            }
            Some(Held::BulkExecute { statement, .. }) => {
                types.clone_from(&self.bulk_types);
                let mut cursor = Cursor::new(self.payload(front).get(1..).unwrap_or_default());
                cursor.u32_le()?;
                (statement, cursor.u16_le()? & SEND_TYPES != 0)
            }
            _ => return Ok(Types::Remembered),
        };
        if let Some(known) = self.statements.find_mut(id).filter(|_| !types.is_empty()) {
            known.types = types;
        }
        Ok(if sent { Types::Sent } else { Types::Remembered })
    }

    /// An execution's payload with the types in it that the server does not know yet.
    pub(in crate::mysql) fn with_types(&self, front: Front) -> Result<Vec<u8>, Unread> {
        let payload = self.payload(front);
        let mut cursor = Cursor::new(payload);
        cursor.u8()?;
        let (_, known) = self.statement(cursor.u32_le()?)?;
        let mut out;
        let names = match front.command {
            Command::BulkExecute => {
                let flags = cursor.u16_le()? | SEND_TYPES;
                out = payload.get(..5).unwrap_or_default().to_vec();
                out.extend_from_slice(&flags.to_le_bytes());
                Names::None
            }
            _ => {
                let flags = cursor.u8()?;
                cursor.u32_le()?;
                let agreed = self.agreement.client;
                let count = execute_count(&mut cursor, flags, known.parameters, agreed)?;
                cursor.take(usize::from(count).div_ceil(8))?;
                let so_far = payload.len().saturating_sub(cursor.remaining());
                cursor.u8()?;
                out = payload.get(..so_far).unwrap_or_default().to_vec();
                out.push(1);
                match agreed.has(Capabilities::QUERY_ATTRIBUTES) {
                    true => Names::Sent,
                    false => Names::None,
                }
            }
        };
        for kind in &known.types {
            out.push(kind.number);
            out.push(if kind.unsigned { 0x80 } else { 0 });
            if names == Names::Sent {
                out.push(0);
            }
        }
        out.extend_from_slice(cursor.rest());
        Ok(out)
    }
}

/// Where an execution's types come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Types {
    Sent,
    Remembered,
}

/// What of a COM_REGISTER_SLAVE may be shown: the replica's number, host and user.
fn before_password(body: &[u8]) -> Result<&[u8], Unread> {
    let mut cursor = Cursor::new(body);
    cursor.u32_le()?;
    for _ in 0..2 {
        let length = cursor.u8()?;
        cursor.take(usize::from(length))?;
    }
    let shown = body.len().saturating_sub(cursor.remaining());
    let length = cursor.u8()?;
    cursor.take(usize::from(length))?;
    // a port, a rank, and the number of the source
    cursor.take(10)?;
    cursor.finish()?;
    Ok(body.get(..shown).unwrap_or_default())
}

fn attributes<'a>(cursor: &mut Cursor<'a>) -> Result<Parameters<'a>, Unread> {
    let count = u16::try_from(cursor.lenenc()?).map_err(|_| Unread::Layout)?;
    if cursor.lenenc()? != 1 {
        return Err(Unread::Layout);
    }
    Ok(Parameters::read(cursor, count, Names::Sent, (&[], &[]))?)
}

/// Reads how many parameters an execution has, attributes included.
fn execute_count(
    cursor: &mut Cursor<'_>,
    flags: u8,
    own: u16,
    agreed: Capabilities,
) -> Result<u16, Unread> {
    if flags & !(CURSORS | PARAMETER_COUNT_AVAILABLE) != 0 {
        return Err(Unread::Layout);
    }
    let attributes = agreed.has(Capabilities::QUERY_ATTRIBUTES);
    if !attributes {
        return Ok(own);
    }
    let told = flags & PARAMETER_COUNT_AVAILABLE != 0;
    if own == 0 && (!told || cursor.remaining() == 0) {
        return Ok(0);
    }
    let count = u16::try_from(cursor.lenenc()?).map_err(|_| Unread::Layout)?;
    if count < own || (count > own && !told) {
        return Err(Unread::Layout);
    }
    Ok(count)
}

/// Reads the flags of a bulk execution, and the types if they are there; tells whether they are.
fn bulk_types(
    cursor: &mut Cursor<'_>,
    count: u16,
    mut each: impl FnMut(Type),
) -> Result<bool, Unread> {
    let flags = cursor.u16_le()?;
    if flags & !BULK_FLAGS != 0 {
        return Err(Unread::Layout);
    }
    if flags & SEND_TYPES == 0 {
        return Ok(false);
    }
    for _ in 0..count {
        each(kind(cursor)?);
    }
    Ok(true)
}
