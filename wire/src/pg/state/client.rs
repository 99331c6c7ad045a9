//! The client's commands: each is read whole or streamed, checked, held or passed.

use crate::cursor::{Cursor, CursorError};
use crate::error::{Error, InvalidMessage, Limit, Misbehaviour, Unsupported};
use crate::pg::commands::Reading as ServerReading;
use crate::pg::copy::{CopyMode, Use};
use crate::pg::frame;
use crate::pg::frontend::{self, Frontend};
use crate::pg::held::HeldKind;
use crate::pg::names::Meaning;
use crate::pg::pending::{Entry, Kind};
use crate::pg::session::Session;
use crate::pg::state::{Awaits, Front, PREFIX, Phase, Reading, Rest, Size, Step};
use crate::pipe::Pipe;
use crate::session::{Action, CloseReason, Leg};

impl<P, T: Clone> Session<P, T> {
    /// Reads the client's messages until one has to wait or bytes are missing.
    pub(in crate::pg) fn read_commands(&mut self) -> Result<(), Error> {
        loop {
            if self.phase != Phase::ExpectCommand || self.ending.is_some() || self.handshake.halted
            {
                return Ok(());
            }
            if self.client.unsent() >= Pipe::LARGE {
                self.handshake.stalled = true;
                return Ok(());
            }
            let step = match (self.client_rest, self.front) {
                (Rest::Pass(_) | Rest::Discard(_), _) => self.stream(),
                (Rest::Nothing, Some(front)) => self.present(front)?,
                (Rest::Nothing, None) => self.read_command()?,
            };
            if step == Step::Stop {
                return Ok(());
            }
        }
    }

    fn stream(&mut self) -> Step {
        let there = self.client.unjudged().len();
        if there == 0 {
            return Step::Stop;
        }
        match self.client_rest {
            Rest::Nothing => {}
            Rest::Pass(n) => {
                self.client.pass(n.min(there));
                self.client_rest = Rest::pass(n.saturating_sub(there));
            }
            Rest::Discard(n) => {
                self.client.swallow(n.min(there));
                self.client_rest = Rest::discard(n.saturating_sub(there));
            }
        }
        Step::Continue
    }

    fn read_command(&mut self) -> Result<Step, Error> {
        let bytes = self.client.unjudged();
        let Some(&tag) = bytes.first() else {
            return Ok(Step::Stop);
        };
        let message = Frontend::from_tag(tag).ok_or(InvalidMessage::UnknownTag(tag))?;
        self.check_place(message)?;
        let Some(frame) = frame::peek(bytes) else {
            return Ok(Step::Stop);
        };
        let length = message.check_length(frame.body)?;
        let total = frame::total(length);
        let kind = match message {
            Frontend::Query => HeldKind::Query,
            Frontend::Parse => HeldKind::Parse,
            Frontend::Bind => HeldKind::Bind,
            Frontend::FunctionCall => HeldKind::FunctionCall,
            Frontend::Execute => HeldKind::Execute,
            Frontend::CopyData => {
                self.copy_data(total);
                return Ok(Step::Continue);
            }
            Frontend::Describe
            | Frontend::Close
            | Frontend::CopyDone
            | Frontend::CopyFail
            | Frontend::Flush
            | Frontend::Sync
            | Frontend::Terminate => {
                if bytes.len() < total {
                    self.client.need(total);
                    return Ok(Step::Stop);
                }
                return self.pass_command(message, total);
            }
            Frontend::Password => return Err(InvalidMessage::UnknownTag(tag).into()),
        };
        if !self.has_room() {
            return Ok(Step::Stop);
        }
        let size = if length > self.settings.max_statement_bytes && kind != HeldKind::Execute {
            Size::TooLarge
        } else {
            Size::Fits
        };
        let wanted = match size {
            Size::Fits => total,
            Size::TooLarge => total.min(frame::HEADER.saturating_add(PREFIX)),
        };
        if bytes.len() < wanted {
            self.client.need(wanted);
            return Ok(Step::Stop);
        }
        let reading = match size {
            Size::Fits => check_layout(kind, frame::body(bytes, total))
                .map_err(|_| InvalidMessage::Layout(tag))?,
            Size::TooLarge => Reading::Plain,
        };
        self.front = Some(Front {
            kind,
            total,
            awaits: Awaits::Answers,
            size,
            reading,
        });
        Ok(Step::Continue)
    }

    /// Shows a message to the caller as soon as it is settled how to read it.
    fn present(&mut self, front: Front) -> Result<Step, Error> {
        if front.is_shown() {
            return Ok(Step::Stop);
        }
        let limit = self.settings.max_names;
        let body = frame::body(self.client.unjudged(), front.total);
        let layout = |_| Error::Event;
        let mut cursor = Cursor::new(body);
        let names = match (front.size, front.kind) {
            (Size::Fits, HeldKind::Parse | HeldKind::Execute) => {
                [cursor.cstr().map_err(layout)?, b""]
            }
            (Size::Fits, HeldKind::Bind) => [
                cursor.cstr().map_err(layout)?,
                cursor.cstr().map_err(layout)?,
            ],
            (Size::Fits, HeldKind::Startup | HeldKind::Query | HeldKind::FunctionCall)
            | (Size::TooLarge, _) => [&[][..]; 2],
        };
        for name in names {
            if self.spelling(name)? == Spelling::Awaited {
                return Ok(Step::Stop);
            }
        }
        let (open, room) = match (front.size, front.kind) {
            (Size::TooLarge, _) => (false, true),
            (Size::Fits, HeldKind::Query) => (self.is_unreadable(front), true),
            (Size::Fits, HeldKind::Parse) => {
                let message = frontend::parse(body).map_err(layout)?;
                (
                    self.is_unreadable(front),
                    self.commands.statements.has_room(message.name, limit),
                )
            }
            (Size::Fits, HeldKind::Bind) => {
                let message = frontend::bind(body).map_err(layout)?;
                let open = matches!(self.commands.statement(message.name), Meaning::Open);
                (open, self.commands.portals.has_room(message.portal, limit))
            }
            (Size::Fits, HeldKind::Execute) => {
                let message = frontend::execute(body).map_err(layout)?;
                (
                    matches!(self.commands.portal(message.portal), Meaning::Open),
                    true,
                )
            }
            (Size::Fits, HeldKind::FunctionCall | HeldKind::Startup) => (false, true),
        };
        if open {
            return Ok(Step::Stop);
        }
        if !room {
            return Err(exceeded(Limit::Names, limit));
        }
        self.front = Some(Front {
            awaits: Awaits::Notice,
            ..front
        });
        self.out.push(Action::Inspect);
        Ok(Step::Stop)
    }

    /// Tells whether the server may yet report settings under which the text reads differently.
    fn is_unreadable(&self, front: Front) -> bool {
        front.reading == Reading::BySettings && self.commands.pending.sync_points() > 0
    }

    /// Checks that SQL knows a statement or a portal by the bytes that the client sends.
    fn spelling(&self, name: &[u8]) -> Result<Spelling, Error> {
        if name.is_ascii() {
            return Ok(Spelling::Plain);
        }
        if self.commands.pending.sync_points() > 0 {
            return Ok(Spelling::Awaited);
        }
        match self.parameter(b"client_encoding") {
            Some(b"UTF8") => Ok(Spelling::Plain),
            Some(b"SQL_ASCII") if std::str::from_utf8(name).is_ok() => Ok(Spelling::Plain),
            Some(_) | None => Err(Error::Unsupported(Unsupported::NonAsciiName)),
        }
    }

    /// Checks that the server would take the message for what it is.
    fn check_place(&self, message: Frontend) -> Result<(), Error> {
        let misbehaved = |what| {
            Err(Error::PeerMisbehaved {
                peer: Leg::Client,
                what,
            })
        };
        let commands = &self.commands;
        // a Sync that a failing COPY may or may not have read: nobody knows what is skipped
        let unknowable = commands.ambiguous > 0 && commands.reading == ServerReading::SkipUntilSync;
        match (commands.copy.usage(message), message) {
            (Use::OutOfPlace, _) => misbehaved(Misbehaviour::OutOfPlace(message.tag())),
            (
                Use::Command,
                Frontend::Bind
                | Frontend::Close
                | Frontend::Describe
                | Frontend::Execute
                | Frontend::FunctionCall
                | Frontend::Parse
                | Frontend::Query,
            ) if unknowable => misbehaved(Misbehaviour::PipelinedBehindCopy),
            (Use::Command | Use::Data | Use::EndOfData | Use::Ignored, _) => Ok(()),
        }
    }

    /// Tells whether another message may wait for its answer. The server writes its answers out
    /// whenever 8 KiB have gathered, so that room comes even where the client waits for nothing.
    fn has_room(&self) -> bool {
        self.commands.pending.len() < self.settings.max_pending
    }

    fn copy_data(&mut self, total: usize) {
        let usage = self.commands.copy.usage(Frontend::CopyData);
        if usage == Use::Data
            && let Some(entry) = self.commands.pending.front_mut()
        {
            let bytes = u64::try_from(total).unwrap_or(u64::MAX);
            entry.request = entry.request.saturating_add(bytes);
        }
        let there = self.client.unjudged().len().min(total);
        self.client.pass(there);
        self.client_rest = Rest::pass(total.saturating_sub(there));
    }

    /// Passes a message that needs no verdict and is there as a whole.
    fn pass_command(&mut self, message: Frontend, total: usize) -> Result<Step, Error> {
        let body = frame::body(self.client.unjudged(), total);
        let layout = |_| InvalidMessage::Layout(message.tag());
        if matches!(message, Frontend::Describe | Frontend::Close) {
            let (_, name) = frontend::target(body).map_err(layout)?;
            if self.spelling(name)? == Spelling::Awaited {
                return Ok(Step::Stop);
            }
        }
        let entry = match (message, self.commands.copy.usage(message)) {
            (Frontend::Terminate, _) => {
                self.terminate(total);
                return Ok(Step::Continue);
            }
            (Frontend::Flush, _) => None,
            (Frontend::Sync, Use::Ignored) => {
                self.commands.ambiguous = self.commands.ambiguous.saturating_add(1);
                None
            }
            (Frontend::CopyDone | Frontend::CopyFail, usage) => {
                if message == Frontend::CopyFail {
                    frontend::text(body).map_err(layout)?;
                }
                if usage == Use::EndOfData {
                    self.commands.copy = CopyMode::None;
                    None
                } else {
                    // of use only to a COPY that has not begun yet
                    (!self.commands.pending.is_empty()).then(|| Entry::plain(Kind::CopyEnd))
                }
            }
            (Frontend::Sync, _) => Some(Entry::plain(Kind::Sync)),
            (Frontend::Describe, _) => {
                let (target, _) = frontend::target(body).map_err(layout)?;
                Some(Entry::plain(Kind::Describe(target)))
            }
            (Frontend::Close, _) => {
                let (target, name) = frontend::target(body).map_err(layout)?;
                Some(Entry::plain(Kind::Close(target)).named(name))
            }
            (
                Frontend::Bind
                | Frontend::CopyData
                | Frontend::Execute
                | Frontend::FunctionCall
                | Frontend::Parse
                | Frontend::Password
                | Frontend::Query,
                _,
            ) => return Err(Error::Event),
        };
        if let Some(entry) = entry {
            if !self.has_room() {
                return Ok(Step::Stop);
            }
            let then = self.commands.forward(entry, &mut self.out);
            self.client.pass(total);
            self.follow(then);
        } else {
            self.client.pass(total);
        }
        Ok(Step::Continue)
    }

    fn terminate(&mut self, total: usize) {
        self.client.pass(total);
        self.client.drop_unjudged();
        if self.commands.pending.is_empty() {
            self.close(CloseReason::ClientTerminated, None);
        } else {
            self.phase = Phase::ExpectLastAnswers;
        }
    }
}

/// Whether it is settled in which encoding a name is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spelling {
    Plain,
    /// The server may yet report another one.
    Awaited,
}

/// Checks the body of a message that will be held, and tells how its text reads.
fn check_layout(kind: HeldKind, body: &[u8]) -> Result<Reading, CursorError> {
    Ok(match kind {
        HeldKind::Query => Reading::of(frontend::text(body)?),
        HeldKind::Parse => Reading::of(frontend::parse(body)?.text),
        HeldKind::Bind => frontend::bind(body).map(|_| Reading::Plain)?,
        HeldKind::Execute => frontend::execute(body).map(|_| Reading::Plain)?,
        HeldKind::FunctionCall => frontend::function_call(body).map(|_| Reading::Plain)?,
        HeldKind::Startup => return Err(CursorError::Invalid),
    })
}

fn exceeded(what: Limit, limit: usize) -> Error {
    Error::TooLarge {
        what,
        limit: u64::try_from(limit).unwrap_or(u64::MAX),
    }
}
