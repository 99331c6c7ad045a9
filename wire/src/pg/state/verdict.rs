//! What a verdict does to the message that waited for it.

use crate::error::Error;
use crate::pg::commands::Then;
use crate::pg::encode;
use crate::pg::frame;
use crate::pg::frontend;
use crate::pg::held::HeldKind;
use crate::pg::pending::{Entry, Kind};
use crate::pg::refuse;
use crate::pg::session::{JudgedStartup, Session};
use crate::pg::state::{Ending, Front, Phase, Rest};
use crate::session::{Action, AfterRefusal, CloseReason, Completion, Fatal, Refusal, Verdict};
use crate::sqlstate::SqlState;

impl<P, T: Clone> Session<P, T> {
    pub(in crate::pg) fn judged(&mut self, verdict: Verdict<P, T>) -> Result<(), Error> {
        let Some(front) = self.front.filter(Front::is_shown) else {
            return Err(Error::Event);
        };
        let request = u64::try_from(front.total).unwrap_or(u64::MAX);
        match (self.phase, verdict) {
            (Phase::ExpectStartupVerdict, Verdict::Forward { permit, tag }) => {
                drop(permit);
                self.startup = Some(JudgedStartup { tag, request });
                self.phase = Phase::ExpectServer;
                self.out.push(Action::Connect);
                return Ok(());
            }
            (Phase::ExpectStartupVerdict, Verdict::Refuse { refusal, tag }) => {
                self.startup = Some(JudgedStartup { tag, request });
                self.refuse_startup(&refusal);
                return Ok(());
            }
            (Phase::ExpectCommand, Verdict::Forward { tag, .. }) if front.is_too_large() => {
                self.front = None;
                let refusal = self.too_large(&front);
                self.refuse(front, Box::new(refusal), tag);
            }
            (Phase::ExpectCommand, Verdict::Forward { permit, tag }) => {
                drop(permit);
                self.front = None;
                self.forward(front, tag)?;
            }
            (Phase::ExpectCommand, Verdict::Refuse { refusal, tag }) => {
                self.front = None;
                self.refuse(front, Box::new(refusal), tag);
            }
            (_, _) => return Err(Error::Event),
        }
        self.forget_judged_portals();
        self.read_commands()
    }

    fn refuse_startup(&mut self, refusal: &Refusal) {
        let message = if refusal.message.is_empty() {
            "refused by policy".into()
        } else {
            refusal.message.clone()
        };
        let fatal = Fatal {
            code: refusal.code,
            message,
        };
        let bytes = refuse::fatal(&fatal, &refusal.detail, &refusal.hint, self.encoding());
        self.tell_client(&bytes);
        self.startup_ended(Completion::Refused, Some(refusal.code.sqlstate));
        self.close(CloseReason::Refused, None);
    }

    fn forward(&mut self, front: Front, tag: T) -> Result<(), Error> {
        let body = frame::body(self.client.unjudged(), front.total);
        let request = u64::try_from(front.total).unwrap_or(u64::MAX);
        let entry = match front.kind {
            HeldKind::Query => Entry::judged(Kind::Query, tag, request),
            HeldKind::Parse => {
                let message = frontend::parse(body).map_err(|_| Error::Event)?;
                Entry::judged(Kind::Parse, tag, request).named(message.name)
            }
            HeldKind::Bind => {
                let message = frontend::bind(body).map_err(|_| Error::Event)?;
                Entry::judged(Kind::Bind, tag, request).named(message.portal)
            }
            HeldKind::Execute => {
                let message = frontend::execute(body).map_err(|_| Error::Event)?;
                self.commands.mark_executed(message.portal);
                Entry::judged(Kind::Execute, tag, request)
            }
            HeldKind::FunctionCall => Entry::judged(Kind::FunctionCall, tag, request),
            HeldKind::Startup => return Err(Error::Event),
        };
        let then = self.commands.forward(entry, &mut self.out);
        self.client.pass(front.total);
        self.follow(then);
        Ok(())
    }

    fn refuse(&mut self, front: Front, refusal: Box<Refusal>, tag: T) {
        let text = refuse::text(&refusal);
        let request = u64::try_from(front.total).unwrap_or(u64::MAX);
        let there = self.client.unjudged().len().min(front.total);
        let body = frame::body(self.client.unjudged(), there);
        let named = crate::cursor::Cursor::new(body).cstr();
        let refused = &mut self.commands.refused;
        let limit = self.settings.max_names;
        let (kind, name) = match (front.kind, named) {
            (HeldKind::Query | HeldKind::FunctionCall | HeldKind::Startup, _) => {
                (Kind::SubstituteQuery, refuse::SUBSTITUTE)
            }
            (HeldKind::Parse, Ok(name)) => {
                refused.parse(name, tag.clone(), limit);
                (Kind::Substitute, name)
            }
            (HeldKind::Bind, Ok(portal)) => {
                refused.bind(portal, tag.clone(), limit);
                (Kind::Substitute, refuse::SUBSTITUTE)
            }
            (HeldKind::Parse | HeldKind::Bind | HeldKind::Execute, _) => {
                (Kind::Substitute, refuse::SUBSTITUTE)
            }
        };
        let bytes = match kind {
            Kind::SubstituteQuery => encode::query(&text),
            _ => encode::parse(name, &text, &[]),
        };
        let after = refusal.then;
        let mut entry = Entry::judged(kind, tag, request).named(name);
        entry.refusal = Some(refusal);
        let then = self.commands.forward(entry, &mut self.out);
        self.client.replace(there, &bytes);
        self.client_rest = Rest::discard(front.total.saturating_sub(there));
        self.handshake.halted = after == AfterRefusal::Terminate;
        self.follow(then);
    }

    fn too_large(&self, front: &Front) -> Refusal {
        Refusal {
            code: SqlState::PROGRAM_LIMIT_EXCEEDED.into(),
            message: format!(
                "a message of {} bytes exceeds max_statement_bytes ({})",
                front.body_length(),
                self.settings.max_statement_bytes
            ),
            detail: String::new(),
            hint: String::new(),
            then: AfterRefusal::Continue,
        }
    }

    /// Ends the session if a refusal that the server skips says so.
    pub(in crate::pg) fn follow(&mut self, then: Then) {
        match then {
            Then::GoOn => {}
            Then::Terminate => self.end(Ending::Terminate),
        }
    }
}
