//! What the cores of both protocols report, brought into context, record and metrics.

use std::{rc::Rc, time::Duration};

use sqlward_audit_store::{
    journal::JournalError,
    record::{IntentKind, SessionId},
};
use sqlward_policy::statement::{Known, LexState};
use sqlward_wire::{CloseReason, Completion, Outcome, SqlState};

use super::{Context, Session, Tag, Timing, context::EndUserSources, protocol::Protocol};
use crate::{
    analysts::Channel, audit, gaps::Gap, inspect::fresh, record::SessionRecord, redaction,
    worker::Worker,
};

impl<P: Protocol> Session<P> {
    /// Analyse the text that `held` finds, on another thread, and remember what it says. `None`: the session ends, since
    /// that can't be done, or there is no text any more.
    pub(super) async fn analyse_elsewhere(
        &mut self,
        channel: Channel,
        held: impl Fn(&Self) -> Option<(Box<[u8]>, LexState)>,
    ) -> Option<Rc<Known>> {
        let worker = Rc::clone(&self.worker);
        let turn = worker.analysts.turn().await?;
        // Copied only now: of those that wait, the texts are where they were read into.
        let (text, lex) = held(self)?;
        let analysis = turn.analyse(text.clone(), lex, channel).await;
        self.tick();
        let Some(analysis) = analysis else {
            let message = "statement analysis is not available";
            self.abort(SqlState::INTERNAL_ERROR, message);
            return None;
        };
        self.worker.shared.metrics.analyses_total.inc();
        Some(match channel {
            Channel::Sql => worker.reader.borrow_mut().remember(&text, &lex, analysis),
            Channel::Replication => fresh(analysis),
        })
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
        P::ended(self, outcome);
        self.refresh();
    }

    pub(super) fn established(&mut self) {
        let written = {
            let subject = redaction::subject(&self.worker.policy(), &self.context.subject);
            self.record
                .authenticated(&mut self.worker.lane.borrow_mut(), &subject)
        };
        self.unrecorded(written);
        // From authenticating on, only idleness is timed.
        let idle = self.worker.shared.config.limits.idle_timeout;
        self.timing.timer = idle.map(|limit| Box::pin(tokio::time::sleep(limit)));
        self.context.refresh(end_user_sources(&self.worker));
        if self.context.acts_for().is_some() {
            self.tell_context();
        }
        P::established(self);
    }

    /// Record that the session's subject has changed.
    pub(super) fn tell_context(&self) {
        tell_context(&self.worker, &self.context, &self.record, &self.timing);
    }

    /// Whom the session acts for, or as, may have changed: say so where it counts.
    pub(super) fn refresh(&mut self) {
        refresh(&self.worker, &mut self.context, &self.record, &self.timing);
    }

    /// Record that a client has connected, unless that is done.
    pub(super) fn started(&mut self) {
        let dialect = self.context.subject.dialect;
        let written = self
            .record
            .started(&mut self.worker.lane.borrow_mut(), dialect);
        self.unrecorded(written);
    }

    /// Count and log an end that broke the protocol, a limit or a requirement.
    pub(super) fn blame(&self, reason: &CloseReason) {
        if let CloseReason::Violation(error) = reason {
            self.worker.shared.metrics.violations_total.inc();
            tracing::warn!(session = self.id.0, client = %self.record.client(), %error, "session ended");
        }
    }

    pub(super) fn ended(&mut self, reason: &CloseReason) {
        self.started();
        let subject = redaction::subject(&self.worker.policy(), &self.context.subject);
        let written = self
            .record
            .ended(&mut self.worker.lane.borrow_mut(), &subject, reason);
        self.unrecorded(written);
    }

    pub(super) fn unrecorded(&self, written: Result<(), JournalError>) {
        unrecorded(&self.worker, self.id, written);
    }
}

/// Whom the session acts for, or as, may have changed: say so where it counts.
pub(super) fn refresh(
    worker: &Worker,
    context: &mut Context,
    record: &SessionRecord,
    timing: &Timing,
) {
    if context.refresh(end_user_sources(worker)) {
        tell_context(worker, context, record, timing);
    }
}

/// Record that a session's subject has changed. Before it stands, its own record will tell.
fn tell_context(worker: &Worker, context: &Context, record: &SessionRecord, timing: &Timing) {
    if !timing.established {
        return;
    }
    let written = {
        let mut lane = worker.lane.borrow_mut();
        let policy = worker.policy();
        let subject = redaction::subject(&policy, &context.subject);
        let acts_for = context.acts_for();
        let acts_for = acts_for.map(|(name, source)| (redaction::name(&policy, name), source));
        let acts_for = acts_for.as_ref().map(|(name, source)| (&**name, *source));
        record.context(&mut lane, &subject, acts_for)
    };
    unrecorded(worker, record.session(), written);
}

/// Something other than an intent could not be recorded. What has happened has happened: it is counted, logged,
/// and told by a record of its own when the journal takes records again.
fn unrecorded(worker: &Worker, session: SessionId, written: Result<(), JournalError>) {
    if let Err(error) = written {
        worker.gaps.add(Gap::Dropped);
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
