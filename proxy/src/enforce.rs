//! Decision → verdict: forward with its permit, or the refusal that the client is told.

use std::rc::Rc;

use sqlward_audit_store::{
    journal::JournalError,
    record::{EventId, IntentKind},
};
use sqlward_policy::{Decision, Outcome, Permit, Policy, statement::Known};
use sqlward_wire::{self as wire, pg};

use crate::{audit::Run, session::Tag, worker::Worker};

/// A verdict of this proxy.
pub(crate) type Verdict = wire::Verdict<Permit, Tag>;

/// The verdict that `decision` means for `run`, whose intent is event `event`.
pub(crate) fn verdict(
    decision: Decision,
    policy: &Policy,
    event: Option<EventId>,
    mut run: Run,
) -> Verdict {
    match decision.into_outcome(policy) {
        Outcome::Permitted(permit) => Verdict::Forward { permit, tag: Rc::new(run) },
        Outcome::Refused(text) => {
            let refusal = wire::Refusal {
                sqlstate: pg::SqlState::INSUFFICIENT_PRIVILEGE,
                message: text.message,
                detail: text.detail,
                hint: event.map(hint).unwrap_or_default(),
                then: if text.terminate {
                    wire::AfterRefusal::Terminate
                } else {
                    wire::AfterRefusal::Continue
                },
            };
            run.refusal = Some(Rc::new(refusal.clone()));
            Verdict::Refuse { refusal, tag: Rc::new(run) }
        }
    }
}

/// The verdict for a further message of a run that has its record.
pub(crate) fn repeat(decision: Decision, policy: &Policy, run: &Tag) -> Verdict {
    match decision.into_outcome(policy) {
        Outcome::Permitted(permit) => Verdict::Forward { permit, tag: Rc::clone(run) },
        Outcome::Refused(text) => Verdict::Refuse {
            refusal: wire::Refusal {
                sqlstate: pg::SqlState::INSUFFICIENT_PRIVILEGE,
                message: text.message,
                detail: text.detail,
                hint: String::new(),
                then: wire::AfterRefusal::Continue,
            },
            tag: Rc::clone(run),
        },
    }
}
