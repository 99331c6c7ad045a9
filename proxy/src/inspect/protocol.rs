//! What is judged and is no SQL: the start of a session, function calls, and messages that are too long to be read.

use std::rc::Rc;

use jiff::Timestamp;
use sqlward_audit_store::{
    record::{IntentKind, Judgement, List, Text},
    redact,
};
use sqlward_policy::{
    decide_function_call, decide_startup,
    statement::{Analysis, Facts, Known, LexState, Limits, StatementFacts, analyse},
    vocabulary::{Action, Class, Mode, Unreadable, Verb},
};
use sqlward_wire::{self as wire, pg};

use super::{Bench, Filing, fresh};
use crate::{
    audit::{self, Run, Secrecy},
    enforce::{self, Verdict},
};

/// How much of a statement that is too long is looked at.
const GLANCE_BYTES: usize = 4 << 10;

impl Bench<'_> {
    /// The start of a session: who it is, and whether it may be.
    pub(super) fn startup(
        &mut self,
        protocol: (u16, u16),
        parameters: &pg::StartupParameters<'_>,
        replication: Option<pg::Replication>,
    ) -> Verdict {
        self.record.protocol(protocol);
        self.context.introduce(parameters);
        let decision = decide_startup(
            self.policy,
            &self.context.subject,
            replication.is_some(),
            Timestamp::now(),
        );
        let (text, known) = if replication.is_some() {
            let text = "replication connection";
            (text, protocol_request(Verb::Replication, text))
        } else {
            ("connection", protocol_request(Verb::Empty, "connection"))
        };
        if decision.judged == Action::Allow && replication.is_none() {
            // The session's own records tell of it.
            let run = Run::new(IntentKind::Startup, known, None, self.now_ns);
            return enforce::verdict(decision, None, run);
        }
        let filing = Filing::new(IntentKind::Startup, Text::whole(text.as_bytes()));
        self.conclude(known, decision, filing, None)
    }

    pub(super) fn function_call(&mut self, oid: u32, arguments: pg::Parameters<'_>) -> Verdict {
        let text = format!("function call {oid}");
        let known = protocol_request(Verb::FunctionCall, "function call");
        let limit = self
            .worker
            .shared
            .config
            .limits
            .max_recorded_parameter_bytes;
        // Which function it is only the server knows.
        let parameters = audit::parameters(arguments, limit, Secrecy::Secret);
        let filing = Filing {
            parameters: &parameters,
            ..Filing::new(IntentKind::FunctionCall, Text::whole(text.as_bytes()))
        };
        let standing = self.context.standing(self.policy);
        let decision = decide_function_call(self.policy, standing, Timestamp::now());
        self.conclude(known, decision, filing, None)
    }

    pub(super) fn too_large(&mut self, kind: pg::HeldKind, length: u64, prefix: &[u8]) -> Verdict {
        // Only texts may be looked at: what is bound is not for the record of a statement.
        let glance = match kind {
            pg::HeldKind::Query | pg::HeldKind::Parse => {
                prefix.get(..GLANCE_BYTES).unwrap_or(prefix)
            }
            pg::HeldKind::Startup
            | pg::HeldKind::Bind
            | pg::HeldKind::Execute
            | pg::HeldKind::FunctionCall => &[],
        };
        let known = fresh(analyse(glance, &self.lex, &Limits::default()));
        let kind = match kind {
            pg::HeldKind::Query | pg::HeldKind::Startup => IntentKind::Simple,
            pg::HeldKind::Parse => IntentKind::Prepare,
            pg::HeldKind::Bind | pg::HeldKind::Execute => IntentKind::Execute,
            pg::HeldKind::FunctionCall => IntentKind::FunctionCall,
        };
        let glance = redact::redact(glance, &known.analysis.secrets);
        let text = Text::Sent {
            bytes: &glance,
            full_len: length,
            full_hash: None,
        };
        let judgement = Judgement {
            action: Action::Deny,
            judged: Action::Deny,
            mode: Mode::Enforce,
            rules: List::empty(),
            severity: None,
            generation: self.policy.generation,
            unreadable: Some(Unreadable::TooComplex),
        };
        let filed = self.file(&known, judgement, &Filing::new(kind, text));
        let limit = self.worker.shared.config.limits.max_statement_bytes;
        let refusal = wire::Refusal {
            code: pg::SqlState::PROGRAM_LIMIT_EXCEEDED.into(),
            message: format!("a message of {length} bytes is too long for sqlward to judge"),
            detail: format!("max_statement_bytes is {limit}"),
            hint: "raise limits.max_statement_bytes in sqlward's configuration".to_owned(),
            then: wire::AfterRefusal::Continue,
        };
        let intent = filed.ok().map(|(seq, _)| seq);
        let mut run = Run::new(kind, known, intent, self.now_ns);
        run.refusal = Some(Rc::new(refusal.clone()));
        Verdict::Refuse {
            refusal,
            tag: Rc::new(run),
        }
    }
}

/// The analysis of a request that is no SQL.
fn protocol_request(verb: Verb, normal: &str) -> Rc<Known> {
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
