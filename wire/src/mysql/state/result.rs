//! The results of commands: how they begin, how they end, and what follows.

use crate::cursor::{Cursor, CursorError};
use crate::error::{Error, Misbehaviour};
use crate::mysql::capabilities::Capabilities;
use crate::mysql::command::Command;
use crate::mysql::encode;
use crate::mysql::errcode;
use crate::mysql::held::Rows;
use crate::mysql::ok;
use crate::mysql::packet::{self, FULL, Packet};
use crate::mysql::response::{After, Kind, Next, Stage, Way};
use crate::mysql::session::Session;
use crate::mysql::state::handshake::server as misbehaved;
use crate::mysql::state::server::MAX_OK;
use crate::mysql::state::{Hook, Step};
use crate::session::{Action, Completion};
use crate::sqlstate::ErrorCode;

/// The shortest OK packet; a result set's head that begins with 0x00 is shorter.
const SHORTEST_OK: usize = 7;

/// The longest head of a result set: a flag, a length-encoded integer, a flag.
const LONGEST_HEAD: usize = 11;

/// The most columns that any server has.
const MAX_COLUMNS: u64 = 65_535;

/// The answer to a COM_STMT_PREPARE, with the flag that says whether definitions follow.
const PREPARED: usize = 12;

/// How much of a refused file's name is shown, and the longest name.
const MAX_SHOWN: usize = 4096;
const MAX_NAME: usize = 64 * 1024;

impl<P, T: Clone> Session<P, T> {
    /// Takes the first packet of a result.
    pub(super) fn first(
        &mut self,
        packet: Packet,
        first: Option<u8>,
        kind: Kind,
    ) -> Result<Step, Error> {
        let misplaced = Err(misbehaved(Misbehaviour::OutOfPlace(
            first.unwrap_or_default(),
        )));
        let Some(first) = first else {
            return misplaced;
        };
        let (rows, files) = match kind {
            Kind::Client(Command::Statistics) => {
                self.move_own(packet);
                self.finish(Completion::Done);
                return Ok(Step::Continue);
            }
            Kind::Client(Command::Prepare) => {
                return if first == 0 {
                    self.prepared(packet)
                } else {
                    misplaced
                };
            }
            Kind::Client(Command::Query) => (true, true),
            Kind::Client(Command::Execute | Command::BulkExecute | Command::ProcessInfo)
            | Kind::Ask => (true, false),
            Kind::Client(
                Command::InitDb
                | Command::CreateDb
                | Command::DropDb
                | Command::Refresh
                | Command::Shutdown
                | Command::ProcessKill
                | Command::Debug
                | Command::Ping
                | Command::RegisterSlave
                | Command::Reset
                | Command::SetOption
                | Command::ResetConnection,
            )
            | Kind::Reset => (false, false),
            // these begin otherwise, or have no answer
            Kind::Client(
                Command::Quit
                | Command::FieldList
                | Command::ChangeUser
                | Command::BinlogDump
                | Command::BinlogDumpGtid
                | Command::SendLongData
                | Command::Close
                | Command::Fetch,
            ) => return misplaced,
        };
        match first {
            0x00 if packet.length >= SHORTEST_OK => self.result_end(packet),
            0xfe if !rows && packet.length < FULL => self.result_end(packet),
            0xfb if files => self.file_request(packet),
            0x00..=0xfa | 0xfc..=0xfe if rows => self.head(packet),
            _ => misplaced,
        }
    }

    /// Takes a result set's head: how many columns there are, and whether they are defined.
    fn head(&mut self, packet: Packet) -> Result<Step, Error> {
        let layout = |_| misbehaved(Misbehaviour::Layout(0));
        if packet.length > LONGEST_HEAD {
            return Err(layout(CursorError::Invalid));
        }
        if !self.has_whole(packet, LONGEST_HEAD)? {
            return Ok(Step::Stop);
        }
        let mut cursor = Cursor::new(packet.payload(self.server.unjudged()));
        let both = self.agreement.both;
        let mut defined = true;
        if both.has(Capabilities::OPTIONAL_RESULTSET_METADATA) {
            defined = cursor.u8().map_err(layout)? != 0;
        }
        let columns = cursor.lenenc().map_err(layout)?;
        if both.has(Capabilities::CACHE_METADATA) {
            defined = cursor.u8().map_err(layout)? != 0;
        }
        cursor.finish().map_err(layout)?;
        if columns == 0 || columns > MAX_COLUMNS {
            return Err(layout(CursorError::Invalid));
        }
        let columns = u32::try_from(columns).unwrap_or(0);
        self.move_own(packet);
        self.defined(
            if defined {
                columns.saturating_add(1)
            } else {
                1
            },
            After::Rows,
        )
    }

    fn prepared(&mut self, packet: Packet) -> Result<Step, Error> {
        let layout = |_| misbehaved(Misbehaviour::Layout(0));
        if !self.has_whole(packet, PREPARED + 1)? {
            return Ok(Step::Stop);
        }
        let mut cursor = Cursor::new(packet.payload(self.server.unjudged()));
        cursor.u8().map_err(layout)?;
        let id = cursor.u32_le().map_err(layout)?;
        let columns = u32::from(cursor.u16_le().map_err(layout)?);
        let parameters = cursor.u16_le().map_err(layout)?;
        cursor.u8().map_err(layout)?;
        let warnings = cursor.u16_le().map_err(layout)?;
        let defined = match cursor.u8() {
            Ok(flag) => flag != 0,
            Err(_) => true,
        };
        cursor.finish().map_err(layout)?;
        let Some(current) = &mut self.current else {
            return Err(Error::Event);
        };
        current.answer.warnings = warnings.into();
        current.answer.results = 1;
        current.prepared = Some((id, parameters));
        self.move_own(packet);
        match (defined, parameters) {
            (false, _) => self.end_of_prepared(),
            (true, 0) => self.columns_of_prepared(columns),
            (true, _) => self.defined(
                u32::from(parameters).saturating_add(1),
                After::Columns(columns),
            ),
        }
    }

    fn columns_of_prepared(&mut self, columns: u32) -> Result<Step, Error> {
        match columns {
            0 => self.end_of_prepared(),
            columns => self.defined(columns.saturating_add(1), After::Nothing),
        }
    }

    fn end_of_prepared(&mut self) -> Result<Step, Error> {
        self.complete(Completion::Prepared)?;
        Ok(Step::Continue)
    }

    /// One definition, or a head, is through, of `left` things.
    pub(super) fn defined(&mut self, left: u32, after: After) -> Result<Step, Error> {
        let left = left.saturating_sub(1);
        let ends = self.agreement.both.has(Capabilities::DEPRECATE_EOF);
        if left == 0 && ends {
            return self.after_definitions(after);
        }
        if let Some(current) = &mut self.current {
            current.stage = match left {
                0 => Stage::DefinitionsEnd(after),
                left => Stage::Definitions(left, after),
            };
        }
        Ok(Step::Continue)
    }

    fn after_definitions(&mut self, after: After) -> Result<Step, Error> {
        match after {
            After::Rows => {
                if let Some(current) = &mut self.current {
                    current.stage = Stage::Rows;
                }
                Ok(Step::Continue)
            }
            After::Columns(columns) => self.columns_of_prepared(columns),
            After::Nothing => self.end_of_prepared(),
        }
    }

    /// Takes the EOF packet behind definitions; where a cursor was opened, no rows follow it.
    pub(super) fn definitions_end(
        &mut self,
        packet: Packet,
        first: Option<u8>,
        after: After,
    ) -> Result<Step, Error> {
        if first != Some(0xfe) || packet.length > 5 {
            return Err(misbehaved(Misbehaviour::OutOfPlace(
                first.unwrap_or_default(),
            )));
        }
        if !self.has_whole(packet, 5)? {
            return Ok(Step::Stop);
        }
        let done = ok::eof(packet.payload(self.server.unjudged()))
            .map_err(|_| misbehaved(Misbehaviour::Layout(0xfe)))?;
        // the flag alone says little: it is also set while a routine has a cursor open
        let in_cursor = matches!(&self.current, Some(current) if current.rows == Rows::InCursor);
        if after == After::Rows && in_cursor && done.status.has_cursor() {
            return self.result_end(packet);
        }
        self.move_own(packet);
        self.after_definitions(after)
    }

    /// Takes the OK or EOF packet at the end of a result.
    pub(super) fn result_end(&mut self, packet: Packet) -> Result<Step, Error> {
        if !self.has_whole(packet, MAX_OK)? {
            return Ok(Step::Stop);
        }
        let both = self.agreement.both;
        let payload = packet.payload(self.server.unjudged());
        let first = payload.first().copied().unwrap_or_default();
        let layout = |_| misbehaved(Misbehaviour::Layout(first));
        let done = end(payload, both).map_err(layout)?;
        let Some(current) = &mut self.current else {
            return Err(Error::Event);
        };
        let answer = &mut current.answer;
        answer.results = answer.results.saturating_add(1);
        answer.warnings = answer.warnings.saturating_add(done.warnings.into());
        if first == 0 {
            answer.affected = answer.affected.saturating_add(done.affected);
        }
        let more = done.status.has_more_results();
        if more {
            current.stage = Stage::First;
        }
        if current.kind == Kind::Client(Command::ResetConnection) {
            self.variables.clear();
        }
        if done.changes.is_empty() && done.untracked().is_none() {
            self.status = Some(done.status);
            self.move_own(packet);
        } else {
            let payload = payload.to_vec();
            let done = end(&payload, both).map_err(layout)?;
            self.take_status(&done)?;
            self.pass_done(packet, &done);
        }
        if !more {
            self.complete(Completion::Done)?;
        }
        Ok(Step::Continue)
    }

    /// Takes an ERR packet that ends the command.
    pub(super) fn answer_failed(&mut self, packet: Packet, code: ErrorCode) {
        if let Some(current) = &mut self.current {
            current.answer.error.get_or_insert(code);
        }
        let in_file =
            matches!(&self.current, Some(current) if matches!(current.stage, Stage::File(_)));
        self.move_own(packet);
        self.finish(Completion::Failed);
        if in_file {
            // the client goes on sending what nobody reads any more
            self.end(crate::session::CloseReason::ServerFatal(code));
        }
    }

    /// Gives the client's file away, if the statement may have it.
    fn file_request(&mut self, packet: Packet) -> Result<Step, Error> {
        if !self.has_whole(packet, MAX_NAME)? {
            return Ok(Step::Stop);
        }
        let name = packet
            .payload(self.server.unjudged())
            .get(1..)
            .unwrap_or_default();
        let expected = self.files.front().is_some_and(|file| **file == *name);
        let Some(current) = &mut self.current else {
            return Err(Error::Event);
        };
        if expected
            && current.way == Way::Pass
            && self.agreement.client.has(Capabilities::LOCAL_FILES)
        {
            self.files.pop_front();
            current.stage = Stage::File(Next::Data);
            self.move_own(packet);
            return Ok(Step::Continue);
        }
        let shown = name.get(..MAX_SHOWN).unwrap_or(name).into();
        self.out.push(Action::FileRefused(shown));
        current.way = Way::Discard;
        current.answer.error.get_or_insert(errcode::NOT_ALLOWED);
        self.move_own(packet);
        let empty = [0, 0, 0, self.numbers.server];
        self.numbers.server = self.numbers.server.wrapping_add(1);
        self.client.inject(&empty);
        Ok(Step::Continue)
    }

    /// Ends the command at the server.
    pub(super) fn complete(&mut self, completion: Completion) -> Result<(), Error> {
        let Some(current) = &mut self.current else {
            return Err(Error::Event);
        };
        // a refused file: the server may have gone on all the same, but not for the client
        if current.way == Way::Discard && matches!(current.kind, Kind::Client(_)) {
            self.finish(Completion::Failed);
            return Ok(());
        }
        let prepared = current.prepared.zip(current.tag.clone());
        let (kind, option) = (current.kind, current.option);
        self.finish(completion);
        match (kind, prepared) {
            (Kind::Client(Command::Prepare), Some(((id, parameters), tag))) => {
                self.statements.add(id, tag, parameters);
            }
            (Kind::Client(Command::SetOption), _) => {
                self.agreement.multi_statements = option == Some(0);
            }
            (Kind::Client(Command::ChangeUser | Command::ResetConnection), _) => {
                self.statements = crate::mysql::statements::Statements::default();
                self.hook = Hook::Told;
                self.out.push(Action::SessionReset);
            }
            _ => {}
        }
        Ok(())
    }

    fn finish(&mut self, completion: Completion) {
        self.files.clear();
        let Some(current) = &self.current else {
            return;
        };
        let muted = current.way == Way::Discard && matches!(current.kind, Kind::Client(_));
        if current.kind == Kind::Client(Command::Prepare) && completion == Completion::Failed {
            self.statements.not_prepared();
        }
        if muted {
            let text = b"the server asked for a file that this statement may not read";
            let error = encode::error(errcode::NOT_ALLOWED, text);
            let (bytes, next) = packet::frame(&error, self.numbers.client);
            self.numbers.client = next;
            self.server.inject(&bytes);
        }
        self.report(completion);
    }
}

/// Reads what ends a result: an EOF packet, or an OK packet that may begin like one.
fn end(payload: &[u8], server: Capabilities) -> Result<ok::Done<'_>, CursorError> {
    match payload {
        [0xfe, _, _, _, _] => ok::eof(payload),
        _ => ok::ok(payload, server),
    }
}
