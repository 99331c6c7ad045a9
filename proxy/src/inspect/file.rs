//! The intent of a statement, on its way to the journal.

use sqlward_audit_store::{
    journal::JournalError,
    record::{
        Detail, Entry, EventId, Intent, Judgement, KeptIntent, List, Reduction, Seq, TxStatus,
        UNKNOWN_ROLE,
    },
};
use sqlward_policy::{Decision, statement::Known, vocabulary::RecordDetail};
use sqlward_wire as wire;

use super::{Bench, Filing, Role};
use crate::{end_user, redaction, session::effects};

impl Bench<'_> {
    /// How much of a statement is recorded.
    pub(super) fn detail(&self, known: &Known, decision: &Decision) -> Detail {
        if !self.policy.reduces {
            return Detail::Full;
        }
        let referred = self.context.names.referred(effects(known));
        if referred.unknown || !referred.bodies.is_empty() {
            return Detail::Full;
        }
        match self.policy.detail(decision, &known.analysis.facts) {
            RecordDetail::Full => Detail::Full,
            RecordDetail::NoParameters => Detail::NoParameters,
            RecordDetail::Digest => Detail::Digest,
        }
    }

    /// Write the intent.
    ///
    /// # Errors
    /// The journal can't take it.
    pub(super) fn file(
        &mut self,
        known: &Known,
        judgement: Judgement<'_>,
        filing: &Filing<'_>,
        (role, detail): (Role, Detail),
    ) -> Result<Filed, JournalError> {
        let (worker, policy) = (self.worker, self.policy);
        let mut lane = worker.lane.borrow_mut();
        worker.gaps.tell(&mut lane, self.policy.generation)?;
        let shape = worker.shapes.borrow_mut().write(&mut lane, known, policy)?;
        let wall_us = self.now.wall_us;
        let event = lane.next_event_id(wall_us / 1_000);
        self.record.statements = self.record.statements.saturating_add(1);
        let status = status(self.status);
        if status == TxStatus::Idle {
            // Outside a block, each statement begins a transaction of its own; BEGIN begins the block's.
            self.record.transactions = self.record.transactions.saturating_add(1);
        }
        let sources = &worker.shared.config.end_user;
        let comment = filing.comment.unwrap_or_default();
        let claims = filing
            .claims
            .clone()
            .or_comment(comment, &sources.comment_keys);
        let trace = claims.trace.map(|trace| redaction::name(policy, trace));
        let end_user = claims.end_user.as_deref();
        let end_user = end_user.map(|name| redaction::name(policy, name));
        let redacted = redaction::replaced(filing.parameters);
        let mut intent = Intent {
            session: self.session,
            number: self.record.statements,
            kind: filing.kind,
            continues: filing.continues,
            text: filing.text,
            shape: Some(shape),
            parameters: List::Lent(filing.parameters),
            prepared_name: redaction::bytes(policy, filing.prepared_name),
            portal: redaction::bytes(policy, filing.portal),
            wall_us,
            mono_ns: self.now.mono_ns,
            transaction: self.record.transactions,
            status,
            judgement,
            end_user: (end_user.as_deref()).map(|name| end_user::claimed(name, claims.source)),
            role: (role == Role::Unknown).then_some(UNKNOWN_ROLE),
            trace: trace.as_deref(),
            reduction: Reduction {
                detail: Detail::Full,
                redacted: filing.redacted.saturating_add(redacted),
            },
        };
        // What can't be kept for a failure is recorded in full at once.
        let kept = match detail {
            Detail::Full => None,
            Detail::NoParameters | Detail::Digest => KeptIntent::new(&intent),
        };
        if kept.is_some() {
            intent.reduction.detail = detail;
            intent.parameters = List::empty();
        }
        if kept.is_some() && detail == Detail::Digest {
            intent.text = intent.text.digest();
        }
        let seq = lane.append(&Entry::Intent(intent))?;
        self.record.last_intent = seq;
        Ok(Filed { seq, event, kept })
    }
}

/// An intent that is in the journal.
pub(super) struct Filed {
    pub(super) seq: Seq,
    pub(super) event: EventId,
    /// All of it, where less is recorded.
    pub(super) kept: Option<KeptIntent>,
}

fn status(status: Option<wire::TxStatus>) -> TxStatus {
    match status {
        None | Some(wire::TxStatus::Idle) => TxStatus::Idle,
        Some(wire::TxStatus::Active) => TxStatus::Block,
        Some(wire::TxStatus::Failed) => TxStatus::Failed,
    }
}
