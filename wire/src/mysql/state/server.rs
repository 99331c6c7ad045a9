//! The server's packets: each is checked against what the command at the server is owed, then passed, streamed
//! or thrown away.

use crate::error::{Error, Limit, Misbehaviour};
use crate::mysql::capabilities::Capabilities;
use crate::mysql::ok::{self, Change, Changes, Done, ERROR_PREFIX, PROGRESS};
use crate::mysql::packet::{self, FULL, HEADER, Packet};
use crate::mysql::response::{Kind, MAX_COLLECTED, Stage, Way};
use crate::mysql::session::Session;
use crate::mysql::state::handshake::server as misbehaved;
use crate::mysql::state::stream::stream;
use crate::mysql::state::{Phase, Rest, Step};
use crate::mysql::variables::Reported;
use crate::session::{Action, Leg, Tracked};

/// The longest OK packet, whose end tells what has changed in the session.
pub(super) const MAX_OK: usize = 256 * 1024;

/// The most changes that one OK packet tells.
const MAX_CHANGES: usize = 1024;

/// How much of a tracked text is shown.
const MAX_TRACKED: usize = 4096;

impl<P, T: Clone> Session<P, T> {
    /// Reads the server's packets until bytes are missing, then goes on with the client's.
    pub(super) fn read_answers(&mut self) -> Result<(), Error> {
        loop {
            let step = if self.server_rest.is_some() {
                self.stream_answer()?
            } else {
                self.read_answer()?
            };
            if self.server_rest.is_none()
                && let Some(reason) = self.ending.take()
            {
                self.close(reason, None);
            }
            if step == Step::Stop || self.phase == Phase::Closed {
                break;
            }
            // what the server says behind an answer belongs to the next command, if there is one
            if self.current.is_none() && self.server_rest.is_none() {
                self.read_commands()?;
            }
        }
        self.read_commands()
    }

    fn stream_answer(&mut self) -> Result<Step, Error> {
        let numbers = (&mut self.numbers.server, &mut self.numbers.client);
        let (step, more) = stream(
            &mut self.server,
            &mut self.server_rest,
            numbers,
            Leg::Server,
        )?;
        if let Some(current) = &mut self.current
            && current.stage == Stage::Rows
        {
            let more = u64::try_from(more).unwrap_or(u64::MAX);
            current.answer.bytes = current.answer.bytes.saturating_add(more);
        }
        Ok(step)
    }

    fn read_answer(&mut self) -> Result<Step, Error> {
        let Some(packet) = packet::peek(self.server.unjudged()) else {
            return Ok(Step::Stop);
        };
        match self.phase {
            Phase::ExpectGreeting => self.greet(packet),
            Phase::ExpectAuthentication => self.authentication(packet),
            Phase::ExpectCommand if self.current.is_some() => self.answer(packet),
            Phase::ExpectCommand | Phase::ExpectLogin | Phase::ExpectLoginVerdict => {
                self.unasked(packet)
            }
            Phase::ExpectServer | Phase::ExpectClientTls | Phase::ExpectServerTls => {
                Err(Error::Event)
            }
            Phase::Closed => Ok(Step::Stop),
        }
    }

    /// A server may say goodbye at any time, with an error; it may not say anything else.
    fn unasked(&mut self, packet: Packet) -> Result<Step, Error> {
        match self.server.unjudged().get(HEADER) {
            None if packet.length > 0 => Ok(Step::Stop),
            Some(0xff) if packet.length > 0 => {
                if self.phase == Phase::ExpectCommand && !self.client_waits() {
                    self.numbers.client = packet.seq;
                }
                self.refused_by_server(packet)
            }
            Some(0xfb) => Err(misbehaved(Misbehaviour::FileRequest)),
            first => Err(misbehaved(Misbehaviour::OutOfPlace(
                first.copied().unwrap_or_default(),
            ))),
        }
    }

    fn answer(&mut self, packet: Packet) -> Result<Step, Error> {
        let bytes = self.server.unjudged();
        let first = match bytes.get(HEADER) {
            _ if packet.length == 0 => None,
            None => return Ok(Step::Stop),
            Some(first) => Some(*first),
        };
        let Some(current) = &mut self.current else {
            return Err(Error::Event);
        };
        if packet.seq != self.numbers.server && first != Some(0xff) {
            return Err(misbehaved(Misbehaviour::Sequence));
        }
        current.answer.first_byte.get_or_insert(self.out.now);
        let (kind, stage) = (current.kind, current.stage);
        if stage == Stage::Auth {
            return self.authentication(packet);
        }
        if first == Some(0xff) && packet.length < FULL {
            return self.error(packet);
        }
        match stage {
            Stage::First => self.first(packet, first, kind),
            Stage::Definitions(left, after) => {
                if first.is_none() {
                    return Err(misbehaved(Misbehaviour::Layout(0)));
                }
                self.move_own(packet);
                self.defined(left, after)
            }
            Stage::DefinitionsEnd(after) => self.definitions_end(packet, first, after),
            Stage::Rows => self.row(packet, first, kind),
            Stage::Log => self.log(packet, first),
            Stage::File(_) => Err(misbehaved(Misbehaviour::OutOfPlace(
                first.unwrap_or_default(),
            ))),
            Stage::Auth => Err(Error::Event),
        }
    }

    fn error(&mut self, packet: Packet) -> Result<Step, Error> {
        let wanted = packet.total().min(HEADER.saturating_add(ERROR_PREFIX));
        let Some(front) = self.server.unjudged().get(HEADER..wanted) else {
            self.server.need(wanted);
            return Ok(Step::Stop);
        };
        let code = ok::error(front).map_err(|_| misbehaved(Misbehaviour::Layout(0xff)))?;
        if code.errno == PROGRESS && self.agreement.client.has(Capabilities::PROGRESS) {
            if packet.seq != self.numbers.server {
                return Err(misbehaved(Misbehaviour::Sequence));
            }
            self.move_own(packet);
            return Ok(Step::Continue);
        }
        self.answer_failed(packet, code);
        Ok(Step::Continue)
    }

    fn row(&mut self, packet: Packet, first: Option<u8>, kind: Kind) -> Result<Step, Error> {
        match first {
            Some(0xfe) if packet.length < FULL => return self.result_end(packet),
            Some(_) => {}
            None => return Err(misbehaved(Misbehaviour::Layout(0))),
        }
        if kind == Kind::Ask {
            return self.collect(packet);
        }
        self.count_row(packet.length);
        self.move_own(packet);
        self.row_run();
        Ok(Step::Continue)
    }

    /// Passes whole rows behind the one that was just passed: what one row may, the next may too.
    fn row_run(&mut self) {
        let Some(current) = &mut self.current else {
            return;
        };
        if self.server_rest.is_some() || current.way == Way::Discard {
            return;
        }
        let bytes = self.server.unjudged();
        let (mut at, mut rows, mut payload) = (0_usize, 0_u64, 0_u64);
        let mut seq = self.numbers.server;
        while let Some(rest) = bytes.get(at..)
            && let Some(packet) = packet::peek(rest)
            && packet.seq == seq
            && packet.length < FULL
            && packet.total() <= rest.len()
            && !matches!(packet.payload(rest).first(), None | Some(0xfe | 0xff))
        {
            at = at.saturating_add(packet.total());
            rows = rows.saturating_add(1);
            payload = payload.saturating_add(u64::try_from(packet.length).unwrap_or(u64::MAX));
            seq = seq.wrapping_add(1);
        }
        if self.numbers.client != self.numbers.server {
            self.renumber(at);
        } else {
            self.numbers.client = seq;
        }
        self.numbers.server = seq;
        self.server.pass(at);
        if let Some(current) = &mut self.current {
            let answer = &mut current.answer;
            answer.rows = answer.rows.saturating_add(rows);
            answer.bytes = answer.bytes.saturating_add(payload);
        }
    }

    /// Gives the whole packets in the first `end` bytes the client's numbers.
    fn renumber(&mut self, end: usize) {
        let mut at = 0_usize;
        while at < end
            && let Some(packet) = self.server.unjudged().get(at..).and_then(packet::peek)
        {
            self.server
                .overwrite(at.saturating_add(3), &[self.numbers.client]);
            self.numbers.client = self.numbers.client.wrapping_add(1);
            at = at.saturating_add(packet.total());
        }
    }

    fn count_row(&mut self, length: usize) {
        if let Some(current) = &mut self.current {
            let answer = &mut current.answer;
            answer.rows = answer.rows.saturating_add(1);
            let length = u64::try_from(length).unwrap_or(u64::MAX);
            answer.bytes = answer.bytes.saturating_add(length);
        }
    }

    /// Keeps a row of an answer to the caller.
    fn collect(&mut self, packet: Packet) -> Result<Step, Error> {
        let small = packet.length <= MAX_COLLECTED;
        if small && !self.has_whole(packet, MAX_COLLECTED)? {
            return Ok(Step::Stop);
        }
        let payload = small.then(|| packet.payload(self.server.unjudged()));
        let Some(current) = &mut self.current else {
            return Err(Error::Event);
        };
        current
            .collected
            .add(payload)
            .map_err(|_| misbehaved(Misbehaviour::Layout(0)))?;
        self.move_own(packet);
        Ok(Step::Continue)
    }

    /// A packet of the binary log, or the end of it.
    fn log(&mut self, packet: Packet, first: Option<u8>) -> Result<Step, Error> {
        match first {
            Some(0xfe) if packet.length < 9 => self.result_end(packet),
            Some(0x00) => {
                self.count_row(packet.length);
                self.move_own(packet);
                Ok(Step::Continue)
            }
            first => Err(misbehaved(Misbehaviour::OutOfPlace(
                first.unwrap_or_default(),
            ))),
        }
    }

    /// Passes a packet to the client, or throws it away, as the command at the server has it.
    pub(super) fn move_own(&mut self, packet: Packet) {
        let way = self
            .current
            .as_ref()
            .map_or(Way::Pass, |current| current.way);
        self.move_answer(packet, way);
    }

    /// Passes a packet with the client's number, or throws it away; what of it is still to come follows.
    pub(super) fn move_answer(&mut self, packet: Packet, way: Way) {
        self.numbers.server = packet.seq.wrapping_add(1);
        let there = self.server.unjudged().len().min(packet.total());
        match way {
            Way::Pass => {
                if packet.seq != self.numbers.client {
                    self.server.overwrite(3, &[self.numbers.client]);
                }
                self.numbers.client = self.numbers.client.wrapping_add(1);
                self.server.pass(there);
            }
            Way::Discard => self.server.swallow(there),
        }
        self.server_rest = Rest::of(packet, there, way);
    }

    /// Takes note of the status and the changes that an OK or EOF packet tells.
    pub(super) fn take_status(&mut self, done: &Done<'_>) -> Result<(), Error> {
        self.status = Some(done.status);
        let mut changes = Changes::new(done.changes);
        for _ in 0..MAX_CHANGES {
            let Some(change) = changes
                .step()
                .map_err(|_| misbehaved(Misbehaviour::Layout(0)))?
            else {
                return Ok(());
            };
            let cut = |text: &[u8]| text.get(..MAX_TRACKED).unwrap_or(text).into();
            let tracked = match change {
                Change::Variable { name, value } => {
                    if self.variables.report(name, value)? == Reported::Anew {
                        self.out.push(Action::ParameterChanged(name.into()));
                    }
                    continue;
                }
                Change::Schema(name) => Tracked::Schema(cut(name)),
                Change::State => Tracked::Changed,
                Change::Gtids(text) => Tracked::Gtids(cut(text)),
                Change::Characteristics(text) => Tracked::Characteristics(cut(text)),
                Change::Transaction(state) => Tracked::Transaction(state),
            };
            self.out.push(Action::Tracked(tracked));
        }
        Err(Error::TooLarge {
            what: Limit::Answer,
            limit: u64::try_from(MAX_CHANGES).unwrap_or(u64::MAX),
        })
    }

    /// Passes an OK or EOF packet in the form that the client agreed on.
    pub(super) fn pass_done(&mut self, packet: Packet, done: &Done<'_>) {
        let passes = self
            .current
            .as_ref()
            .is_none_or(|current| current.way == Way::Pass);
        let tracks = self.agreement.client.has(Capabilities::SESSION_TRACK);
        match done.untracked().filter(|_| passes && !tracks) {
            Some(payload) => {
                let (bytes, next) = packet::frame(&payload, self.numbers.client);
                self.numbers.client = next;
                self.numbers.server = packet.seq.wrapping_add(1);
                self.server.replace(packet.total(), &bytes);
            }
            None => self.move_own(packet),
        }
    }
}
