//! What the core reports, brought into context, record and metrics.

use std::{rc::Rc, time::Duration};

use sqlward_audit_store::{journal::JournalError, record::EndUserSource};
use sqlward_policy::statement::{Encoding, Known, LexState};
use sqlward_wire::{CloseReason, Completion, Event, Outcome, TxStatus, pg};

use super::{Next, Session, Tag};
use crate::{
    audit, end_user, enforce,
    inspect::{self, Bench, Judged, Renamed},
};

impl Session {
    /// Judge the held message; `analysed` is what an analysis elsewhere has found.
    pub(super) fn inspect(&mut self, analysed: Option<Rc<Known>>) -> Option<Next> {
        let policy = self.worker.policy();
        let held = self.wire.held()?;
        if let pg::Held::Startup { replication, .. } = &held {
            self.replication = replication.is_some();
            if !self.placed {
                let message = "sorry, too many clients already";
                self.abort(pg::SqlState::TOO_MANY_CONNECTIONS, message);
                return None;
            }
        }
        let mut bench = Bench {
            worker: &self.worker,
            policy: &policy,
            session: self.id,
            context: &mut self.context,
            record: &mut self.record,
            lex: self.lex,
            replication: self.replication,
            status: self.wire.tx_status(),
            now_ns: self.now_ns,
        };
        let verdict = match bench.judge(held, analysed) {
            Judged::Verdict(verdict) => verdict,
            Judged::Long => return Some(Next::Analyse),
        };
        if let enforce::Verdict::Forward { tag, .. } = &verdict {
            for renamed in inspect::renamed(&tag.known) {
                match renamed {
                    Renamed::Prepared(name) => {
                        self.wire.forget_prepared(name.map(str::as_bytes));
                    }
                    Renamed::Portal(name) => self.wire.forget_portals(name.map(str::as_bytes)),
                }
            }
        }
        self.tell(Event::Verdict(verdict));
        None
    }

    /// The text of the held message, for an analysis elsewhere.
    pub(super) fn held_text(&self) -> Option<(Box<[u8]>, LexState)> {
        match self.wire.held()? {
            pg::Held::Query { text, .. } | pg::Held::Parse { text, .. } => {
                Some((text.into(), self.lex))
            }
            pg::Held::Startup { .. }
            | pg::Held::Bind { .. }
            | pg::Held::Execute { .. }
            | pg::Held::FunctionCall { .. }
            | pg::Held::TooLarge { .. } => None,
        }
    }

    pub(super) fn outcome(&mut self, outcome: &Outcome<Tag>) {
        let run = &outcome.tag;
        let written = audit::outcome(&mut self.worker.lane.borrow_mut(), outcome);
        self.unrecorded(written);
        let duration = Duration::from_nanos(outcome.ended.saturating_sub(run.started_ns));
        let failed = outcome.completion == Completion::Failed;
        self.worker
            .shared
            .metrics
            .finished(duration, outcome.rows, failed);
        if outcome.completion == Completion::Prepared {
            self.context.prepared(&run.name, &run.known);
        }
        let done = outcome.completion == Completion::Done;
        if done {
            let changed = self.context.apply(inspect::effects(&run.known));
            self.subject_changed(changed);
        }
        // In the extended protocol the answer does not tell the state: what was reported last holds outside blocks.
        let status = outcome.tx.or_else(|| self.wire.tx_status());
        if status == Some(TxStatus::Idle) {
            self.context
                .transaction_ended(done && !inspect::rolls_back(&run.known));
        }
    }

    /// The implicit transaction of a pipeline could not be committed at its Sync: what it did is undone.
    pub(super) fn commit_failed(&mut self, sqlstate: pg::SqlState) {
        self.worker.shared.metrics.errors_total.inc();
        self.context.transaction_ended(false);
        tracing::info!(session = self.id.0, %sqlstate, "a pipeline's commit failed at its Sync");
    }

    pub(super) fn established(&mut self) {
        let written = {
            let subject = &self.context.subject;
            self.record
                .authenticated(&mut self.worker.lane.borrow_mut(), subject)
        };
        self.unrecorded(written);
        // From authenticating on, only idleness is timed.
        let idle = self.worker.shared.config.limits.idle_timeout;
        self.timing.timer = idle.map(|limit| Box::pin(tokio::time::sleep(limit)));
        self.act_for_end_user();
        if self.context.acts_for().is_some() {
            self.tell_context();
        }
    }

    pub(super) fn parameter_changed(&mut self, name: &[u8]) {
        let value = self.wire.parameter(name).unwrap_or_default();
        let mut changed = false;
        match name {
            b"standard_conforming_strings" => self.lex.standard_conforming_strings = value == b"on",
            b"client_encoding" => self.lex.encoding = Encoding::from_postgres_name(value),
            b"application_name" => {
                changed = replace(&mut self.context.subject.application, value);
            }
            b"session_authorization" => {
                let role = String::from_utf8_lossy(value).into_owned();
                changed = self.context.subject.role.as_ref() != Some(&role);
                self.context.subject.role = Some(role);
            }
            // Reported for the client's sake; nothing here depends on it.
            _ => {}
        }
        self.subject_changed(changed);
    }

    /// The subject, or what it is derived from, may have changed: say so where it counts.
    fn subject_changed(&mut self, changed: bool) {
        if changed {
            self.act_for_end_user();
            if self.timing.established {
                self.tell_context();
            }
        }
    }

    /// Find out whom the session acts for: the setting tells best.
    fn act_for_end_user(&mut self) {
        let sources = &self.worker.shared.config.end_user;
        let set = self.context.end_user().filter(|_| sources.setting);
        let end_user = match set {
            Some(name) => Some((name.to_owned(), EndUserSource::Setting)),
            None if sources.application_name => {
                let name = end_user::in_application_name(&self.context.subject.application);
                name.map(|name| (name.to_owned(), EndUserSource::Application))
            }
            None => None,
        };
        self.context.act_for(end_user);
    }

    fn tell_context(&mut self) {
        let written = {
            let context = &self.context;
            let mut lane = self.worker.lane.borrow_mut();
            self.record
                .context(&mut lane, &context.subject, context.acts_for())
        };
        self.unrecorded(written);
    }

    pub(super) fn started(&mut self) {
        let written = self.record.started(&mut self.worker.lane.borrow_mut());
        self.unrecorded(written);
    }

    pub(super) fn ended(&mut self, reason: &CloseReason) {
        if let CloseReason::Violation(error) = reason {
            self.worker.shared.metrics.violations_total.inc();
            tracing::warn!(session = self.id.0, client = %self.record.client(), %error, "session ended");
        }
        let subject = &self.context.subject;
        let written = self
            .record
            .ended(&mut self.worker.lane.borrow_mut(), subject, reason);
        self.unrecorded(written);
    }

    /// Something other than an intent could not be recorded. What has happened has happened: it is counted, logged,
    /// and told by a record of its own when the journal takes records again.
    fn unrecorded(&self, written: Result<(), JournalError>) {
        if let Err(error) = written {
            self.worker
                .dropped
                .set(self.worker.dropped.get().saturating_add(1));
            tracing::error!(session = self.id.0, %error, "a record could not be written");
        }
    }
}

fn replace(text: &mut String, value: &[u8]) -> bool {
    let value = String::from_utf8_lossy(value);
    let changed = *text != value;
    if changed {
        *text = value.into_owned();
    }
    changed
}
