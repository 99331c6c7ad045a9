//! What the core reports, brought into context, record and metrics.

use std::{rc::Rc, time::Duration};

use sqlward_audit_store::{
    journal::JournalError,
    record::{IntentKind, SessionId},
};
use sqlward_policy::statement::{Encoding, Known, LexState};
use sqlward_wire::{CloseReason, Completion, Event, Outcome, pg};

use super::{
    Context, Next, Session, Tag,
    context::EndUserSources,
    names::{Renamed, renamed},
};
use crate::{
    analysts::Channel,
    audit, enforce,
    inspect::{Bench, Judged},
    record::SessionRecord,
    worker::Worker,
};

impl Session {
    /// Judge the held message; `analysed` is what an analysis elsewhere has found.
    pub(super) fn inspect(&mut self, analysed: Option<Rc<Known>>) -> Option<Next> {
        let policy = self.worker.policy();
        let now = self.moment();
        let held = self.wire.held()?;
        if let pg::Held::Startup { replication, .. } = &held {
            self.channel = match replication {
                Some(_) => Channel::Replication,
                None => Channel::Sql,
            };
            if !self.placed {
                let message = "sorry, too many clients already";
                self.abort(pg::SqlState::TOO_MANY_CONNECTIONS, message);
                return None;
            }
        }
        // Names change their meaning when a statement runs, not when it is prepared or bound.
        let runs = matches!(held, pg::Held::Query { .. } | pg::Held::Execute { .. });
        if let Some(status) = self.wire.tx_status() {
            self.context.observe(status);
        }
        if self.context.refresh(end_user_sources(&self.worker)) && self.timing.established {
            tell_context(&self.worker, &self.context, &self.record);
        }
        let mut bench = Bench {
            worker: &self.worker,
            policy: &policy,
            session: self.id,
            context: &mut self.context,
            record: &mut self.record,
            lex: LexState::Postgres(self.lex),
            channel: self.channel,
            status: self.wire.tx_status(),
            now,
        };
        let verdict = match bench.judge(held, analysed) {
            Judged::Verdict(verdict) => verdict,
            Judged::Long => return Some(Next::Analyse),
        };
        let ran = match &verdict {
            enforce::Verdict::Forward { tag, .. } if runs => Some(Rc::clone(&tag.known)),
            enforce::Verdict::Forward { .. } | enforce::Verdict::Refuse { .. } => None,
        };
        self.tell(Event::Verdict(verdict));
        for renamed in ran.iter().flat_map(|known| renamed(known)) {
            match renamed {
                Renamed::Prepared(name) => self.wire.forget_prepared(name.map(str::as_bytes)),
                Renamed::Portal(name) => self.wire.forget_portals(name.map(str::as_bytes)),
                Renamed::Fetched(name) => self.wire.mark_portal_executed(name.as_bytes()),
            }
        }
        None
    }

    /// The text of the held message, for an analysis elsewhere.
    pub(super) fn held_text(&self) -> Option<(Box<[u8]>, LexState)> {
        match self.wire.held()? {
            pg::Held::Query { text, .. } | pg::Held::Parse { text, .. } => {
                Some((text.into(), LexState::Postgres(self.lex)))
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
        if run.kind == IntentKind::Startup {
            return;
        }
        let duration = Duration::from_nanos(outcome.ended.saturating_sub(run.started_ns));
        let failed = outcome.completion == Completion::Failed;
        self.worker
            .shared
            .metrics
            .finished(duration, outcome.rows, failed);
        match outcome.completion {
            Completion::Prepared => {
                self.context
                    .names
                    .prepared(&run.name, &run.known.analysis.facts);
            }
            Completion::Done => self.context.apply(&run.known),
            Completion::Failed => self.context.failed(),
            Completion::Suspended
            | Completion::Refused
            | Completion::Skipped
            | Completion::Unexecuted
            | Completion::Lost => {}
        }
        // The extended protocol's answers don't tell the state: it is observed before the next statement is judged.
        if let Some(status) = outcome.tx {
            self.context.observe(status);
        }
        self.refresh();
    }

    /// The implicit transaction of a pipeline could not be committed at its Sync: what it did is undone.
    pub(super) fn commit_failed(&mut self, sqlstate: pg::SqlState) {
        self.worker.shared.metrics.errors_total.inc();
        self.context.failed();
        tracing::info!(session = self.id.0, %sqlstate, "a pipeline's commit failed at its Sync");
    }

    /// The server has taken back what a pipeline did before something in it failed: their records, which say
    /// `done` as the server did, are told to be of no effect.
    pub(super) fn undone(&self, sqlstate: pg::SqlState, runs: &[Tag], more: u64) {
        let generation = self.worker.policy().generation;
        let written = audit::undone(
            &mut self.worker.lane.borrow_mut(),
            &audit::Undone {
                session: self.id,
                sqlstate,
                runs,
                more,
                generation,
            },
        );
        self.unrecorded(written);
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
        self.context.refresh(end_user_sources(&self.worker));
        if self.context.acts_for().is_some() {
            tell_context(&self.worker, &self.context, &self.record);
        }
    }

    pub(super) fn parameter_changed(&mut self, name: &[u8]) {
        let value = self.wire.parameter(name).unwrap_or_default();
        match name {
            b"standard_conforming_strings" => self.lex.standard_conforming_strings = value == b"on",
            b"client_encoding" => self.lex.encoding = Encoding::from_postgres_name(value),
            b"application_name" => {
                let changed = self.context.application(value);
                if changed && self.timing.established {
                    tell_context(&self.worker, &self.context, &self.record);
                }
            }
            b"session_authorization" if self.timing.established => {
                self.context.session_user(&String::from_utf8_lossy(value));
            }
            b"session_authorization" => self.context.begins_as(&String::from_utf8_lossy(value)),
            // Reported for the client's sake; nothing here depends on it.
            _ => {}
        }
        self.refresh();
    }

    /// Whom the session acts for, or as, may have changed: say so where it counts.
    fn refresh(&mut self) {
        if self.context.refresh(end_user_sources(&self.worker)) && self.timing.established {
            tell_context(&self.worker, &self.context, &self.record);
        }
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

    fn unrecorded(&self, written: Result<(), JournalError>) {
        unrecorded(&self.worker, self.id, written);
    }
}

/// Record that a session's subject has changed.
fn tell_context(worker: &Worker, context: &Context, record: &SessionRecord) {
    let written = {
        let mut lane = worker.lane.borrow_mut();
        record.context(&mut lane, &context.subject, context.acts_for())
    };
    unrecorded(worker, record.session(), written);
}

/// Something other than an intent could not be recorded. What has happened has happened: it is counted, logged,
/// and told by a record of its own when the journal takes records again.
fn unrecorded(worker: &Worker, session: SessionId, written: Result<(), JournalError>) {
    if let Err(error) = written {
        worker.dropped.set(worker.dropped.get().saturating_add(1));
        tracing::error!(%session, %error, "a record could not be written");
    }
}

fn end_user_sources(worker: &Worker) -> EndUserSources {
    let sources = &worker.shared.config.end_user;
    EndUserSources {
        setting: sources.setting,
        application_name: sources.application_name,
    }
}
