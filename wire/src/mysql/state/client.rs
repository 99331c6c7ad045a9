//! The client's commands: each is read whole or streamed, checked, held, passed or refused.

use crate::cursor::Cursor;
use crate::error::{Error, InvalidMessage, Misbehaviour};
use crate::mysql::command::{Command, Fate};
use crate::mysql::errcode;
use crate::mysql::packet::{self, HEADER, Measured, Message};
use crate::mysql::response::{Current, Kind, Next, Stage, Way};
use crate::mysql::session::Session;
use crate::mysql::state::stream::stream;
use crate::mysql::state::{Awaits, Front, Hook, PREFIX, Phase, Rest, Size, Step};
use crate::mysql::view::Unread;
use crate::pipe::Pipe;
use crate::session::{Action, CloseReason, Leg};

/// The longest payload of a command that passes unheld.
const MAX_PASSED: usize = 5;

/// The bytes of a COM_STMT_SEND_LONG_DATA in front of the data.
const LONG_DATA: usize = 7;

impl<P, T: Clone> Session<P, T> {
    /// Reads the client's messages until one has to wait or bytes are missing.
    pub(in crate::mysql) fn read_commands(&mut self) -> Result<(), Error> {
        loop {
            if self.phase != Phase::ExpectCommand || self.ending.is_some() {
                return Ok(());
            }
            if self.client.unsent() >= Pipe::LARGE {
                self.stalled = true;
                return Ok(());
            }
            let step = if self.client_rest.is_some() {
                self.stream_command()?
            } else if self.current.is_none() && self.server_rest.is_some() {
                Step::Stop // the last answer is not through yet
            } else if let Some(refused) = self.refused.take() {
                self.deliver(refused);
                Step::Continue
            } else if let Some(current) = &self.current {
                match current.stage {
                    Stage::File(next) => self.read_file(next)?,
                    Stage::Auth => self.read_authentication()?,
                    Stage::First
                    | Stage::Definitions(..)
                    | Stage::DefinitionsEnd(_)
                    | Stage::Rows
                    | Stage::Log => Step::Stop,
                }
            } else if self.hook != Hook::Idle {
                Step::Stop
            } else if let Some(own) = self.own.pop_front() {
                self.send_own(&own);
                Step::Stop
            } else if self.front.is_some() {
                Step::Stop
            } else {
                self.read_command()?
            };
            if step == Step::Stop {
                return Ok(());
            }
        }
    }

    fn stream_command(&mut self) -> Result<Step, Error> {
        let numbers = (&mut self.numbers.client, &mut self.numbers.server);
        let (step, more) = stream(
            &mut self.client,
            &mut self.client_rest,
            numbers,
            Leg::Client,
        )?;
        if let Some((id, at)) = self.long {
            self.count_long_data(id, at, more);
            if self.client_rest.is_none() {
                self.long = None;
            }
        }
        if let Some(current) = &mut self.current {
            let more = u64::try_from(more).unwrap_or(u64::MAX);
            current.request = current.request.saturating_add(more);
        }
        Ok(step)
    }

    fn read_command(&mut self) -> Result<Step, Error> {
        let bytes = self.client.unjudged();
        let Some(packet) = packet::peek(bytes) else {
            return Ok(Step::Stop);
        };
        if packet.seq != 0 {
            return Err(misbehaved(Misbehaviour::Sequence));
        }
        self.numbers.client = 1;
        let number = match bytes.get(HEADER) {
            // an empty command is one of number 0 to the server
            None if packet.length == 0 => 0,
            None => return Ok(Step::Stop),
            Some(_) if packet.length == 0 => 0,
            Some(&number) => number,
        };
        let Some(command) = Command::from_number(number) else {
            self.answer_ourselves(errcode::UNKNOWN_COMMAND, "unknown or unsupported command");
            return Ok(Step::Continue);
        };
        if command == Command::SendLongData {
            return self.long_data(packet);
        }
        let limit = match command.fate() {
            Fate::Held => self.settings.max_statement_bytes,
            Fate::Passed => u32::try_from(MAX_PASSED).unwrap_or(0),
        };
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        match packet::measure(bytes, limit) {
            Measured::Need(n) => {
                self.client.need(n);
                Ok(Step::Stop)
            }
            Measured::Disorder => Err(misbehaved(Misbehaviour::Sequence)),
            Measured::Whole(message) => match command.fate() {
                Fate::Held => self.hold(command, message),
                Fate::Passed => self.pass_command(command, message),
            },
            Measured::TooLong(_) if command.fate() == Fate::Passed => {
                Err(InvalidMessage::Layout(number).into())
            }
            Measured::TooLong(length) => {
                let wanted = packet.total().min(HEADER.saturating_add(1 + PREFIX));
                if bytes.len() < wanted {
                    self.client.need(wanted);
                    return Ok(Step::Stop);
                }
                self.front = Some(Front {
                    command,
                    total: length,
                    packets: 1,
                    awaits: Awaits::Notice,
                    size: Size::TooLarge,
                });
                self.out.push(Action::Inspect);
                Ok(Step::Stop)
            }
        }
    }

    /// Shows a command that is there as a whole to the caller.
    fn hold(&mut self, command: Command, message: Message) -> Result<Step, Error> {
        let front = Front {
            command,
            total: message.total,
            packets: message.packets,
            awaits: Awaits::Notice,
            size: Size::Fits,
        };
        if message.packets > 1 {
            self.join(message);
        }
        self.numbers.client = number_behind(message.packets);
        self.front = Some(front);
        let types = match command {
            Command::BulkExecute => self.read_bulk_types(front),
            _ => Ok(()),
        };
        match types.and_then(|()| self.view().map(drop)) {
            Ok(()) if command == Command::Prepare && self.is_full() => {
                self.front = None;
                self.statements.not_prepared();
                let text = "too many prepared statements in this session";
                self.answer_ourselves(errcode::TOO_MANY_STATEMENTS, text);
                Ok(Step::Continue)
            }
            Ok(()) => {
                self.out.push(Action::Inspect);
                Ok(Step::Stop)
            }
            Err(Unread::UnknownStatement) => {
                self.front = None;
                self.answer_ourselves(errcode::UNKNOWN_STATEMENT, "unknown prepared statement");
                Ok(Step::Continue)
            }
            // its end is known, so that the session can go on, as it does at the server
            Err(Unread::Layout) => {
                self.front = None;
                self.answer_ourselves(errcode::MALFORMED, "malformed communication packet");
                Ok(Step::Continue)
            }
        }
    }

    fn is_full(&self) -> bool {
        self.statements.len() >= self.settings.max_names
    }

    /// Puts the payloads of a message's packets together, to be read.
    fn join(&mut self, message: Message) {
        self.joined.clear();
        self.joined.reserve_exact(message.payload);
        let mut rest = self
            .client
            .unjudged()
            .get(..message.total)
            .unwrap_or_default();
        while let Some(packet) = packet::peek(rest) {
            self.joined.extend_from_slice(packet.payload(rest));
            rest = rest.get(packet.total()..).unwrap_or_default();
        }
    }

    /// Passes a command that needs no verdict and is there as a whole.
    fn pass_command(&mut self, command: Command, message: Message) -> Result<Step, Error> {
        let bytes = self.client.unjudged();
        let body = bytes.get(HEADER.saturating_add(1)..message.total);
        let mut cursor = Cursor::new(body.unwrap_or_default());
        let layout = |_| InvalidMessage::Layout(command.number());
        match command {
            Command::Reset | Command::Close => {
                let id = cursor.u32_le().map_err(layout)?;
                cursor.finish().map_err(layout)?;
                let Some((own, _)) = self.statements.find(id) else {
                    return Ok(self.pass_unknown(command, message));
                };
                self.client
                    .overwrite(HEADER.saturating_add(1), &own.to_le_bytes());
                if let Some(statement) = self.statements.find_mut(own) {
                    statement.long.clear();
                }
                if command == Command::Close {
                    self.statements.close(own);
                    self.client.pass(message.total);
                    return Ok(Step::Continue);
                }
            }
            _ => cursor.finish().map_err(layout)?,
        }
        self.numbers = super::Numbers {
            client: 1,
            server: 1,
        };
        self.client.pass(message.total);
        if command == Command::Quit {
            self.client.drop_unjudged();
            self.close(CloseReason::ClientTerminated, None);
            return Ok(Step::Stop);
        }
        let kind = Kind::Client(command);
        self.current = Some(Current::new(kind, None, message.total));
        Ok(Step::Stop)
    }

    /// A statement that the server doesn't know either.
    fn pass_unknown(&mut self, command: Command, message: Message) -> Step {
        if command == Command::Close {
            self.client.swallow(message.total);
        } else {
            self.answer_ourselves(errcode::UNKNOWN_STATEMENT, "unknown prepared statement");
        }
        Step::Continue
    }

    fn long_data(&mut self, packet: packet::Packet) -> Result<Step, Error> {
        let layout = InvalidMessage::Layout(Command::SendLongData.number());
        if packet.length < LONG_DATA {
            return Err(layout.into());
        }
        let bytes = self.client.unjudged();
        let Some(front) = bytes.get(HEADER..HEADER.saturating_add(LONG_DATA)) else {
            self.client.need(HEADER.saturating_add(LONG_DATA));
            return Ok(Step::Stop);
        };
        let mut cursor = Cursor::new(front);
        let mut read = || {
            cursor.u8()?;
            Ok::<_, crate::cursor::CursorError>((cursor.u32_le()?, cursor.u16_le()?))
        };
        let (id, at) = read().map_err(|_| layout)?;
        let own = self.statements.find(id).map(|(own, _)| own);
        self.numbers = super::Numbers {
            client: 1,
            server: 1,
        };
        let way = match own {
            Some(own) => {
                self.client
                    .overwrite(HEADER.saturating_add(1), &own.to_le_bytes());
                self.count_long_data(own, at, packet.length.saturating_sub(LONG_DATA));
                self.long = Some((own, at));
                Way::Pass
            }
            None => Way::Discard,
        };
        self.client_rest = Rest::of(packet, 0, way);
        Ok(Step::Continue)
    }

    fn count_long_data(&mut self, id: u32, at: u16, more: usize) {
        let Some(statement) = self.statements.find_mut(id) else {
            return;
        };
        if at >= statement.parameters {
            return; // the server will answer the execution with an error
        }
        let more = u64::try_from(more).unwrap_or(u64::MAX);
        match statement
            .long
            .iter_mut()
            .find(|(position, _)| *position == at)
        {
            Some((_, length)) => *length = length.saturating_add(more),
            None => statement.long.push((at, more)),
        }
    }

    /// Passes the front of a packet of the file that the server has asked for; an empty one is the last.
    fn read_file(&mut self, next: Next) -> Result<Step, Error> {
        let Some(packet) = packet::peek(self.client.unjudged()) else {
            return Ok(Step::Stop);
        };
        if packet.seq != self.numbers.client {
            return Err(misbehaved(Misbehaviour::Sequence));
        }
        self.numbers.client = self.numbers.client.wrapping_add(1);
        self.client.overwrite(3, &[self.numbers.server]);
        self.numbers.server = self.numbers.server.wrapping_add(1);
        self.client.pass(HEADER);
        self.client_rest = Rest::of(packet, HEADER, Way::Pass).map(|rest| Rest {
            goes_on: false,
            ..rest
        });
        let Some(current) = &mut self.current else {
            return Err(Error::Event);
        };
        let length = u64::try_from(packet.length).unwrap_or(u64::MAX);
        current.request = current.request.saturating_add(length);
        current.stage = if packet.length == 0 && next == Next::Data {
            Stage::First
        } else if packet.goes_on() {
            Stage::File(Next::Continuation)
        } else {
            Stage::File(Next::Data)
        };
        Ok(Step::Continue)
    }
}

/// The sequence number behind a command of so many packets.
pub(super) fn number_behind(packets: usize) -> u8 {
    u8::try_from(packets & 0xff).unwrap_or(0)
}

fn misbehaved(what: Misbehaviour) -> Error {
    Error::PeerMisbehaved {
        peer: Leg::Client,
        what,
    }
}
