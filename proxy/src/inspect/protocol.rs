//! What is judged and is no SQL, in either protocol: the start of a session, and messages that are too long to be read.

use std::rc::Rc;

use sqlward_audit_store::{
    journal::JournalError,
    record::{Completion, Detail, Entry, IntentKind, Judgement, List, Outcome, Text},
    redact,
};
use sqlward_policy::{
    decide_startup,
    statement::{Analysis, Facts, Known, LexState, Limits, StatementFacts, analyse},
    vocabulary::{Action, Class, Mode, Unreadable, Verb},
};
use sqlward_wire as wire;

use super::{Bench, Filing, Role, fresh};
use crate::{
    audit::{self, Run},
    enforce::{self, Verdict},
};

/// How much of a statement that is too long is looked at.
const GLANCE_BYTES: usize = 4 << 10;

impl Bench<'_> {
    /// The start of a session that has introduced itself: whether it may be.
    pub(super) fn start(&mut self, replication: bool) -> Verdict {
        let decision = decide_startup(
            self.policy,
            &self.context.subject,
            replication,
            self.now.timestamp(),
        );
        let (text, known) = if replication {
            let text = "replication connection";
            (text, protocol_request(Verb::Replication, text))
        } else {
            ("connection", protocol_request(Verb::Empty, "connection"))
        };
        let filing = Filing::new(IntentKind::Startup, Text::whole(text.as_bytes()));
        let silent = decision.judged == Action::Allow && self.kept_out(&filing).is_none();
        if silent && !replication {
            // The session's own records tell of it.
            let run = Run::new(IntentKind::Startup, known, None, self.now.mono_ns);
            return enforce::verdict(decision, None, run, self.dialect());
        }
        self.conclude(known, decision, filing, None)
    }

    /// Refuse a message that is too long; of its text, `prefix` is at hand.
    pub(super) fn refuse_too_large(
        &mut self,
        kind: IntentKind,
        length: u64,
        prefix: &[u8],
    ) -> Verdict {
        let glance = prefix.get(..GLANCE_BYTES).unwrap_or(prefix);
        let known = fresh(analyse(glance, &self.lex, &Limits::default()));
        let clean = redact::redact(glance, &known.analysis.secrets);
        // What stands behind the glance may say that something in it must not be recorded.
        let shown: &[u8] = match &self.policy.redactions {
            Some(_) => &[],
            None => &clean,
        };
        let text = Text::Sent {
            bytes: shown,
            full_len: length,
            full_hash: None,
        };
        let judgement = self.denied(Unreadable::TooComplex);
        let filing = Filing::new(kind, text);
        let how = (Role::Known, Detail::Full);
        let filed = self.file(&known, judgement, &filing, how);
        let limit = self.worker.shared.config.limits.max_statement_bytes;
        let refusal = wire::Refusal {
            code: enforce::code(
                wire::SqlState::PROGRAM_LIMIT_EXCEEDED.into(),
                self.dialect(),
            ),
            message: format!("a message of {length} bytes is too long for sqlward to judge"),
            detail: format!("max_statement_bytes is {limit}"),
            hint: "raise limits.max_statement_bytes in sqlward's configuration".to_owned(),
            then: wire::AfterRefusal::Continue,
        };
        let intent = filed.ok().map(|filed| filed.seq);
        let mut run = Run::new(kind, known, intent, self.now.mono_ns);
        run.refusal = Some(Rc::new(refusal.clone()));
        Verdict::Refuse {
            refusal,
            tag: Rc::new(run),
        }
    }

    /// Record a command that no policy can let pass, and that its client has got an error for. Nothing of what it holds is
    /// for the record: where its parameters and secrets are is not known.
    ///
    /// # Errors
    /// The journal can't take it.
    pub(crate) fn rejected(&mut self, rejected: &wire::Rejected) -> Result<(), JournalError> {
        let name = wire::mysql::Command::from_number(rejected.command)
            .map_or("unknown command", wire::mysql::Command::name);
        let text = format!(
            "{name} ({:#04x}), {} bytes: {}",
            rejected.command, rejected.bytes, rejected.reason
        );
        let known = protocol_request(Verb::Unknown, name);
        let filing = Filing::new(IntentKind::Command, Text::whole(text.as_bytes()));
        let judgement = self.denied(Unreadable::Syntax);
        self.worker.shared.metrics.decided(judgement.action);
        let how = (Role::Known, Detail::Full);
        let intent = self.file(&known, judgement, &filing, how)?.seq;
        let entry = Entry::Outcome(Outcome {
            intent,
            completion: Completion::Refused,
            rows: 0,
            affected: 0,
            bytes: 0,
            sqlstate: Some(audit::code(rejected.code)),
            first_byte_us: None,
            duration_us: 0,
            statements: 0,
            warnings: 0,
        });
        self.worker.lane.borrow_mut().append(&entry).map(drop)
    }

    /// The judgement on what can't be read, whatever a policy says.
    fn denied(&self, unreadable: Unreadable) -> Judgement<'static> {
        Judgement {
            action: Action::Deny,
            judged: Action::Deny,
            mode: Mode::Enforce,
            rules: List::empty(),
            severity: None,
            generation: self.policy.generation,
            unreadable: Some(unreadable),
        }
    }
}

/// The analysis of a request that is no SQL.
pub(super) fn protocol_request(verb: Verb, normal: &str) -> Rc<Known> {
    let class = if verb == Verb::Empty {
        Class::Utility
    } else {
        Class::Admin
    };
    let statements = vec![StatementFacts::new(verb, class)];
    fresh(Analysis {
        facts: Facts {
            statements,
            unreadable: None,
        },
        normal: normal.into(),
        // Its own, so that the record does not take it for an empty text.
        fingerprint: analyse(normal.as_bytes(), &LexState::default(), &Limits::default())
            .fingerprint,
        ..analyse(b"", &LexState::default(), &Limits::default())
    })
}
