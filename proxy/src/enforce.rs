//! Decision → verdict: forward with its permit, or the refusal that the client is told.

use std::rc::Rc;

use sqlward_audit_store::{journal::JournalError, record::EventId};
use sqlward_policy::{
    AuditFailure, Decision, Outcome, Permit, Policy, RefusalText, vocabulary::Dialect,
};
use sqlward_wire::{self as wire, SqlState, mysql::errcode};

use crate::{audit::Run, gaps::Gap, session::Tag, worker::Worker};

/// A verdict of this proxy.
pub(crate) type Verdict = wire::Verdict<Permit, Tag>;

/// `system_error` (PostgreSQL manual, "Error Codes", class 58): the journal can't take a record.
const AUDIT_UNAVAILABLE: &[u8] = b"58030";

/// `invalid_sql_statement_name`.
const INVALID_STATEMENT_NAME: &[u8] = b"26000";

/// The verdict that `decision` means for `run`, whose intent is event `event`.
pub(crate) fn verdict(
    decision: Decision,
    event: Option<EventId>,
    mut run: Run,
    dialect: Dialect,
) -> Verdict {
    match decision.into_outcome() {
        Outcome::Permitted(permit, _note) => Verdict::Forward {
            permit,
            tag: Rc::new(run),
        },
        Outcome::Refused(text) => {
            let refusal = refusal(&text, event, dialect);
            run.refusal = Some(Rc::new(refusal.clone()));
            Verdict::Refuse {
                refusal,
                tag: Rc::new(run),
            }
        }
    }
}

/// The verdict for a prepared statement that nobody has seen being prepared. If it is refused, it is so with the code
/// that the server has for one that does not exist, which drivers know to answer by preparing it again.
pub(crate) fn unknown_prepared(
    decision: Decision,
    event: Option<EventId>,
    mut run: Run,
    dialect: Dialect,
) -> Verdict {
    match decision.into_outcome() {
        Outcome::Permitted(permit, _note) => Verdict::Forward {
            permit,
            tag: Rc::new(run),
        },
        Outcome::Refused(text) => {
            let refusal = wire::Refusal {
                code: match dialect {
                    Dialect::Postgres => sqlstate(INVALID_STATEMENT_NAME).into(),
                    Dialect::Mysql | Dialect::Mariadb => errcode::UNKNOWN_STATEMENT,
                },
                message: "the prepared statement does not exist, or was prepared where sqlward \
                          could not see it"
                    .to_owned(),
                ..refusal(&text, event, dialect)
            };
            run.refusal = Some(Rc::new(refusal.clone()));
            Verdict::Refuse {
                refusal,
                tag: Rc::new(run),
            }
        }
    }
}

/// The verdict for a further message of a run that has its record.
pub(crate) fn again(decision: Decision, run: &Tag, dialect: Dialect) -> Verdict {
    match decision.into_outcome() {
        Outcome::Permitted(permit, _note) => Verdict::Forward {
            permit,
            tag: Rc::clone(run),
        },
        Outcome::Refused(text) => Verdict::Refuse {
            refusal: refusal(&text, None, dialect),
            tag: Rc::clone(run),
        },
    }
}

/// The run that a verdict is about.
pub(crate) fn tag(verdict: &Verdict) -> &Tag {
    match verdict {
        Verdict::Forward { tag, .. } | Verdict::Refuse { tag, .. } => tag,
    }
}

/// What the client of a refused statement is told, event id included.
fn refusal(text: &RefusalText, event: Option<EventId>, dialect: Dialect) -> wire::Refusal {
    let refused = match (dialect, text.terminate) {
        (Dialect::Postgres, _) => sqlstate(text.sqlstate.as_bytes()).into(),
        (Dialect::Mysql | Dialect::Mariadb, false) => errcode::REFUSED,
        (Dialect::Mysql | Dialect::Mariadb, true) => errcode::SHUTDOWN,
    };
    wire::Refusal {
        code: refused,
        message: text.message.to_string(),
        detail: text.detail.to_string(),
        hint: event
            .map(|event| format!("event {event}; `sqlward explain {event}` tells the whole story"))
            .unwrap_or_default(),
        then: if text.terminate {
            wire::AfterRefusal::Terminate
        } else {
            wire::AfterRefusal::Continue
        },
    }
}

/// Whether a statement whose intent can't be written may pass all the same. Each that does is counted, and told by a
/// record of its own when the journal takes records again.
pub(crate) fn may_go_unrecorded(policy: &Policy, worker: &Worker, error: &JournalError) -> bool {
    let metrics = &worker.shared.metrics;
    match policy.defaults.audit_failure {
        AuditFailure::Block => {
            metrics.audit_blocked_total.inc();
            worker.gaps.add(Gap::Blocked);
            tracing::error!(%error, "statement refused: its record can't be written");
            false
        }
        AuditFailure::Allow => {
            metrics.audit_dropped_total.inc();
            worker.gaps.add(Gap::Dropped);
            tracing::error!(%error, "statement passes unrecorded: audit_failure = \"allow\"");
            true
        }
    }
}

/// Whether a statement may pass though the disk can't be written any more. Each is counted, and told by a record.
pub(crate) fn may_go_unsynced(worker: &Worker) -> bool {
    let metrics = &worker.shared.metrics;
    match worker.policy().defaults.audit_failure {
        AuditFailure::Block => {
            metrics.audit_blocked_total.inc();
            worker.gaps.add(Gap::Blocked);
            false
        }
        AuditFailure::Allow => {
            metrics.audit_unsynced_total.inc();
            worker.gaps.add(Gap::Unsynced);
            true
        }
    }
}

/// The verdict for a statement whose intent can't be written.
pub(crate) fn unrecordable(mut run: Run, dialect: Dialect) -> Verdict {
    let refusal = wire::Refusal {
        code: code(sqlstate(AUDIT_UNAVAILABLE).into(), dialect),
        message: "sqlward can't record this statement, so it may not run".to_owned(),
        detail: "the audit journal is full or fails, and the policy says audit_failure = \"block\""
            .to_owned(),
        hint: "see sqlward's log and its metric sqlward_audit_blocked_total".to_owned(),
        then: wire::AfterRefusal::Continue,
    };
    run.refusal = Some(Rc::new(refusal.clone()));
    Verdict::Refuse {
        refusal,
        tag: Rc::new(run),
    }
}

/// An error code as the dialect has it: with a number in MySQL.
pub(crate) fn code(code: wire::ErrorCode, dialect: Dialect) -> wire::ErrorCode {
    match dialect {
        Dialect::Postgres => code,
        Dialect::Mysql | Dialect::Mariadb => errcode::with_number(code),
    }
}

fn sqlstate(code: &[u8]) -> SqlState {
    SqlState::new(code).unwrap_or(SqlState::INSUFFICIENT_PRIVILEGE)
}
