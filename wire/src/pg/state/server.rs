//! The server's messages: each is checked against the state, then passed, streamed or rewritten.

use crate::error::{Error, Misbehaviour};
use crate::pg::answers::{Errored, Run, Wrong};
use crate::pg::auth::Request;
use crate::pg::backend::{self, Backend, Completeness, ERROR_PREFIX, Severity, Wanted};
use crate::pg::frame;
use crate::pg::refuse;
use crate::pg::session::Session;
use crate::pg::state::{Ending, Phase, Rest, Step};
use crate::session::{Action, CancelKey, CloseReason, Completion, Leg};
use crate::sqlstate::SqlState;

impl<P, T: Clone> Session<P, T> {
    /// Reads the server's messages until bytes are missing, then goes on with the client's.
    pub(in crate::pg) fn read_answers(&mut self) -> Result<(), Error> {
        loop {
            let step = match self.server_rest {
                Rest::Nothing => self.read_answer()?,
                Rest::Pass(_) | Rest::Discard(_) => self.stream_answer(),
            };
            if self.server_rest == Rest::Nothing
                && let Some(ending) = self.ending.take()
            {
                self.end(ending);
            }
            if step == Step::Stop || self.phase == Phase::Closed {
                break;
            }
        }
        match self.phase {
            Phase::ExpectCommand => self.read_commands(),
            Phase::ExpectLastAnswers if self.commands.pending.head().is_none() => {
                self.end(Ending::Close(CloseReason::ClientTerminated));
                Ok(())
            }
            Phase::ExpectLastAnswers
            | Phase::ExpectStartup
            | Phase::ExpectClientTls(_)
            | Phase::ExpectStartupVerdict
            | Phase::ExpectServer
            | Phase::ExpectTlsAnswer
            | Phase::ExpectServerTls
            | Phase::ExpectAuthentication
            | Phase::ExpectSameOffer
            | Phase::ExpectFirstReady
            | Phase::Closed => Ok(()),
        }
    }

    fn stream_answer(&mut self) -> Step {
        let there = self.server.unjudged().len();
        if there == 0 {
            return Step::Stop;
        }
        match self.server_rest {
            Rest::Nothing => {}
            Rest::Pass(n) => {
                self.server.pass(n.min(there));
                self.server_rest = Rest::pass(n.saturating_sub(there));
            }
            Rest::Discard(n) => {
                self.server.swallow(n.min(there));
                self.server_rest = Rest::discard(n.saturating_sub(there));
            }
        }
        Step::Continue
    }

    fn read_answer(&mut self) -> Result<Step, Error> {
        let bytes = self.server.unjudged();
        let Some(&tag) = bytes.first() else {
            return Ok(Step::Stop);
        };
        let message = Backend::from_tag(tag).ok_or(misbehaved(Misbehaviour::UnknownTag(tag)))?;
        let Some(frame) = frame::peek(bytes) else {
            return Ok(Step::Stop);
        };
        let length = message.check_length(frame.body).map_err(misbehaved)?;
        let total = frame::total(length);
        let wanted = match message.wanted() {
            Wanted::Header => frame::HEADER,
            Wanted::Prefix => total.min(ERROR_PREFIX),
            Wanted::Whole => total,
        };
        if bytes.len() < wanted {
            self.server.need(wanted);
            return Ok(Step::Stop);
        }
        match self.phase {
            Phase::ExpectAuthentication => self.authentication(message, total)?,
            Phase::ExpectSameOffer => self.same_offer(message, total)?,
            Phase::ExpectFirstReady => self.session_start(message, total)?,
            Phase::ExpectCommand | Phase::ExpectLastAnswers => {
                self.answer(message, length, total)?;
            }
            Phase::ExpectStartup
            | Phase::ExpectClientTls(_)
            | Phase::ExpectStartupVerdict
            | Phase::ExpectServer
            | Phase::ExpectTlsAnswer
            | Phase::ExpectServerTls
            | Phase::Closed => return Err(Error::Event),
        }
        Ok(Step::Continue)
    }

    fn authentication(&mut self, message: Backend, total: usize) -> Result<(), Error> {
        let body = frame::body(self.server.unjudged(), total);
        match message {
            Backend::Authentication => {
                match self.auth.request(body, self.settings.channel_binding)? {
                    Request::Pass => self.server.pass(total),
                    Request::Replace(bytes) => {
                        self.server.replace(total, &bytes);
                        if let Some(fallback) = &mut self.fallback {
                            fallback.offered(bytes);
                        }
                    }
                    Request::Accepted(method) => {
                        self.server.pass(total);
                        self.fallback = None;
                        self.phase = Phase::ExpectFirstReady;
                        self.out.push(Action::Authenticated { method });
                    }
                }
                Ok(())
            }
            Backend::NegotiateProtocolVersion => {
                if let Some(fallback) = &mut self.fallback {
                    fallback.negotiated(self.server.unjudged().get(..total).unwrap_or_default());
                }
                self.pass_answer(total);
                Ok(())
            }
            Backend::NoticeResponse => {
                self.pass_answer(total);
                Ok(())
            }
            Backend::ErrorResponse => self.authentication_failed(total),
            other => Err(misplaced(other)),
        }
    }

    pub(in crate::pg) fn authentication_failed(&mut self, total: usize) -> Result<(), Error> {
        let (_, sqlstate) = self.read_error(total)?;
        self.out.push(Action::AuthFailed {
            code: sqlstate.into(),
        });
        self.startup_ended(Completion::Failed, Some(sqlstate));
        self.end_with_error(sqlstate, total);
        Ok(())
    }

    fn session_start(&mut self, message: Backend, total: usize) -> Result<(), Error> {
        let body = frame::body(self.server.unjudged(), total);
        match message {
            Backend::ParameterStatus => self.parameter_status(total),
            Backend::KeyData => {
                let (pid, key) = backend::key(body)
                    .map_err(|_| misbehaved(Misbehaviour::Layout(message.tag())))?;
                self.out.push(Action::BackendKey {
                    pid,
                    key: CancelKey::new(key),
                });
                self.server.pass(total);
                Ok(())
            }
            Backend::NoticeResponse | Backend::NotificationResponse => {
                self.pass_answer(total);
                Ok(())
            }
            Backend::ReadyForQuery => {
                let tx = backend::ready(body)
                    .map_err(|_| misbehaved(Misbehaviour::Layout(message.tag())))?;
                self.commands.ready(tx, &mut self.out);
                self.server.pass(total);
                self.phase = Phase::ExpectCommand;
                self.startup_ended(Completion::Done, None);
                self.out.push(Action::Established);
                Ok(())
            }
            Backend::ErrorResponse => {
                let (_, sqlstate) = self.read_error(total)?;
                self.startup_ended(Completion::Failed, Some(sqlstate));
                self.end_with_error(sqlstate, total);
                Ok(())
            }
            other => Err(misplaced(other)),
        }
    }

    fn answer(&mut self, message: Backend, length: u32, total: usize) -> Result<(), Error> {
        match message {
            Backend::NoticeResponse | Backend::NotificationResponse => self.pass_answer(total),
            Backend::ParameterStatus => self.parameter_status(total)?,
            Backend::Authentication | Backend::KeyData | Backend::NegotiateProtocolVersion => {
                return Err(misplaced(message));
            }
            Backend::ErrorResponse => self.error(total)?,
            Backend::BindComplete
            | Backend::CloseComplete
            | Backend::CommandComplete
            | Backend::CopyBothResponse
            | Backend::CopyData
            | Backend::CopyDone
            | Backend::CopyInResponse
            | Backend::CopyOutResponse
            | Backend::DataRow
            | Backend::EmptyQueryResponse
            | Backend::FunctionCallResponse
            | Backend::NoData
            | Backend::ParameterDescription
            | Backend::ParseComplete
            | Backend::PortalSuspended
            | Backend::ReadyForQuery
            | Backend::RowDescription => {
                let body = match message.wanted() {
                    Wanted::Whole => frame::body(self.server.unjudged(), total),
                    Wanted::Header | Wanted::Prefix => &[],
                };
                self.commands
                    .answered(message, length, body, &mut self.out)
                    .map_err(blame)?;
                self.pass_answer(total);
                if matches!(message, Backend::DataRow | Backend::CopyData) {
                    self.pass_run(message);
                }
            }
        }
        Ok(())
    }

    /// Passes whole messages of the type that was just passed: what one row may, the next may too.
    fn pass_run(&mut self, message: Backend) {
        let mut rest = self.server.unjudged();
        let mut run = Run::default();
        while let Some(frame) = frame::peek(rest)
            && frame.tag == message.tag()
            && let Ok(length) = message.check_length(frame.body)
            && let Some(tail) = rest.get(frame::total(length)..)
        {
            run.add(length);
            rest = tail;
        }
        let passed = self.server.unjudged().len().saturating_sub(rest.len());
        self.server.pass(passed);
        self.commands.answered_run(message, run);
    }

    fn error(&mut self, total: usize) -> Result<(), Error> {
        let (severity, sqlstate) = self.read_error(total)?;
        if severity == Severity::Fatal {
            self.commands.fatal(sqlstate, &mut self.out);
            self.end_with_error(sqlstate, total);
            return Ok(());
        }
        match self
            .commands
            .errored(sqlstate, &mut self.out)
            .map_err(blame)?
        {
            Errored::Pass(then) => {
                self.pass_answer(total);
                self.follow(then);
            }
            Errored::Rewrite(refusal, then) => {
                let there = self.server.unjudged().len().min(total);
                let bytes = refuse::error(&refusal, self.encoding());
                self.server.replace(there, &bytes);
                self.server_rest = Rest::discard(total.saturating_sub(there));
                self.follow(then);
            }
        }
        Ok(())
    }

    fn read_error(&self, total: usize) -> Result<(Severity, SqlState), Error> {
        let (end, complete) = if total <= ERROR_PREFIX {
            (total, Completeness::Whole)
        } else {
            (ERROR_PREFIX, Completeness::Prefix)
        };
        backend::error(frame::body(self.server.unjudged(), end), complete)
            .map_err(|_| misbehaved(Misbehaviour::Layout(b'E')))
    }

    fn end_with_error(&mut self, sqlstate: SqlState, total: usize) {
        self.pass_answer(total);
        self.end(Ending::Close(CloseReason::ServerFatal(sqlstate.into())));
    }

    fn parameter_status(&mut self, total: usize) -> Result<(), Error> {
        let body = frame::body(self.server.unjudged(), total).to_vec();
        let (name, value) =
            backend::parameter(&body).map_err(|_| misbehaved(Misbehaviour::Layout(b'S')))?;
        self.report(name, value)?;
        self.server.pass(total);
        Ok(())
    }

    pub(in crate::pg) fn pass_answer(&mut self, total: usize) {
        let there = self.server.unjudged().len().min(total);
        self.server.pass(there);
        self.server_rest = Rest::pass(total.saturating_sub(there));
    }
}

fn misbehaved(what: Misbehaviour) -> Error {
    Error::PeerMisbehaved {
        peer: Leg::Server,
        what,
    }
}

pub(super) fn misplaced(message: Backend) -> Error {
    misbehaved(Misbehaviour::OutOfPlace(message.tag()))
}

fn blame(wrong: Wrong) -> Error {
    match wrong {
        Wrong::Server(what) => misbehaved(what),
        Wrong::Client(what) => Error::PeerMisbehaved {
            peer: Leg::Client,
            what,
        },
    }
}
