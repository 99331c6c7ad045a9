//! Decides: what happens to a statement, why, and the permit without which none leaves.
//!
//! Per statement: the strongest action of the matching alert, deny and terminate rules; without one, `allow` if an allow
//! rule matches or the default allows; else `deny`. A message gets the strongest action of its statements and of the
//! statements that it runs (`also`). A statement that can't be read gets `[defaults] unreadable`, unless a rule with an
//! `unreadable` condition answers for it; allow rules never match it. Replication and function calls pass only if an
//! allow rule names them. Rules in observe mode count for `judged`, not for `action`.

mod detail;
mod tally;

use std::sync::Arc;

use jiff::Timestamp;
use smallvec::SmallVec;

use self::tally::{Tally, statement_matches};
use crate::policy::{Policy, Standing};
use crate::rule::moment::{Circumstances, Scene};
use crate::rule::subject::Subject;
use crate::rule::value::Literals;
use crate::statement::facts::{Facts, StatementFacts};
use crate::statement::{Known, SlotEntry};
use crate::vocabulary::{Action, Class, LimitShape, Mode, Severity, Unreadable, Verb, WhereShape};

/// What is to be decided.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// The message's statement.
    pub statement: &'a Known,
    /// Which rules may match in this session.
    pub standing: &'a Standing,
    /// The time of the decision.
    pub now: Timestamp,
    /// What else the session knows.
    pub circumstances: Circumstances<'a>,
    /// Bodies of SQL-level prepared statements and cursors that the message runs; judged together with it.
    pub also: &'a [&'a Facts],
    /// Why the session can't rely on the reading, where only the session knows.
    pub unreadable_override: Option<Unreadable>,
}

/// The position of a rule in its policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RuleIndex(pub usize);

/// Why a decision is what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A rule matched.
    Rule(RuleIndex),
    /// No rule matched.
    Default,
    /// The statement can't be read exactly.
    Unreadable(Unreadable),
    /// No allow rule names this verb, which only a rule can allow.
    NotNamed(Verb),
    /// Somebody keeps the subject out, whatever the policy says.
    Blocked,
    /// The session's standing belongs to another generation of the policy.
    Stale,
}

/// Leave for one statement to go to the server. Only a passing decision holds one.
#[derive(Debug)]
pub struct Permit(());

/// What happens to a message, and why.
#[derive(Debug)]
#[must_use]
pub struct Decision {
    /// What is carried out.
    pub action: Action,
    /// What the rules say.
    pub judged: Action,
    /// Whether what the rules say is carried out.
    pub mode: Mode,
    /// Every rule that matched, the strongest first.
    pub rules: SmallVec<[RuleIndex; 4]>,
    /// Why `judged` is what it is.
    pub cause: Cause,
    /// What counts for the session's history: for [`History::note`], once the statement is to be run.
    ///
    /// [`History::note`]: crate::rule::history::History::note
    pub counted: SmallVec<[u16; 4]>,
    /// The statement's literals, if a rule has asked for them.
    pub literals: Option<Arc<Literals>>,
    /// Whether a condition was asked of something that the caller did not know.
    pub doubted: bool,
    verdict: Verdict,
}

#[derive(Debug)]
enum Verdict {
    Pass(Permit),
    Refuse(Arc<RefusalText>),
}

/// What the client of a refused statement is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusalText {
    /// The error code.
    pub sqlstate: &'static str,
    /// The message.
    pub message: Box<str>,
    /// The detail line: which rule or default refused.
    pub detail: Box<str>,
    /// The rule, if one refused.
    pub rule: Option<Box<str>>,
    /// Whether the session ends, too.
    pub terminate: bool,
}

/// `insufficient_privilege`.
pub const SQLSTATE_REFUSED: &str = "42501";

/// What is left of a decision that let its statement pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Note {
    /// `allow` or `alert`.
    pub action: Action,
    /// What the rules say.
    pub judged: Action,
    /// Whether what the rules say is carried out.
    pub mode: Mode,
}

/// A decision, taken apart.
#[derive(Debug)]
#[must_use]
pub enum Outcome {
    /// The statement may go.
    Permitted(Permit, Note),
    /// It may not.
    Refused(Arc<RefusalText>),
}

impl Decision {
    /// Takes the decision apart: a permit, or what the client is told.
    pub fn into_outcome(self) -> Outcome {
        match self.verdict {
            Verdict::Pass(permit) => Outcome::Permitted(
                permit,
                Note {
                    action: self.action,
                    judged: self.judged,
                    mode: self.mode,
                },
            ),
            Verdict::Refuse(text) => Outcome::Refused(text),
        }
    }

    /// What the client is told, if the statement is refused.
    #[must_use]
    pub fn refusal(&self) -> Option<&RefusalText> {
        match &self.verdict {
            Verdict::Pass(_) => None,
            Verdict::Refuse(text) => Some(text),
        }
    }

    /// The severity of the strongest rule that alerts or denies; without one, that of a denial by default is `low`.
    #[must_use]
    pub fn severity(&self, policy: &Policy) -> Option<Severity> {
        if self.judged == Action::Allow {
            return None;
        }
        let rule = match self.cause {
            Cause::Rule(index) => policy.rule(index).map(|rule| rule.severity),
            Cause::Default
            | Cause::Unreadable(_)
            | Cause::NotNamed(_)
            | Cause::Blocked
            | Cause::Stale => None,
        };
        Some(rule.unwrap_or(Severity::Low))
    }
}

/// Decides about one message.
pub fn decide(policy: &Policy, request: &Request<'_>) -> Decision {
    let Known { analysis, slot } = request.statement;
    let (print, path) = (Some(analysis.fingerprint.0), request.standing.path.as_ref());
    let verb = only_verb(&analysis.facts);
    let scene = Scene::new(policy, request.now, request.circumstances, verb);
    let Some(mut tally) = Tally::new(policy, request.standing, scene) else {
        return Decision::stale(policy);
    };
    if let Some(reason) = request
        .unreadable_override
        .filter(|_| analysis.facts.unreadable.is_none())
    {
        let matches = statement_matches(policy, &analysis.facts, Some(reason), (print, path));
        tally.add(&matches, Some(reason));
        return tally.finish_with(request.also);
    }
    let unreadable = analysis.facts.unreadable;
    let kept = slot.with(policy.generation, path, |matches| {
        tally.add(matches, unreadable)
    });
    if kept.is_none() {
        let rules = statement_matches(policy, &analysis.facts, unreadable, (print, path));
        tally.add(&rules, unreadable);
        slot.set(SlotEntry {
            generation: policy.generation,
            path: path.cloned(),
            rules,
        });
    }
    tally.finish_with(request.also)
}

/// Decides about facts that no cache keeps.
pub fn decide_facts(
    policy: &Policy,
    standing: &Standing,
    now: Timestamp,
    facts: &Facts,
) -> Decision {
    let scene = Scene::new(policy, now, Circumstances::default(), only_verb(facts));
    decide_parts(policy, standing, scene, facts, None)
}

/// Decides about facts with a fingerprint.
pub(crate) fn decide_parts(
    policy: &Policy,
    standing: &Standing,
    scene: Scene<'_>,
    facts: &Facts,
    fingerprint: Option<[u8; 16]>,
) -> Decision {
    let Some(mut tally) = Tally::new(policy, standing, scene) else {
        return Decision::stale(policy);
    };
    let path = standing.path.as_ref();
    let matches = statement_matches(policy, facts, facts.unreadable, (fingerprint, path));
    tally.add(&matches, facts.unreadable);
    tally.finish()
}

/// Decides about the start of a session: rules that have no condition on statements may refuse it, and a replication
/// connection needs an allow rule that names the verb.
pub fn decide_startup(
    policy: &Policy,
    subject: &Subject,
    replication: bool,
    now: Timestamp,
) -> Decision {
    let standing = policy.standing(subject);
    if replication {
        return decide_facts(policy, &standing, now, &privileged_facts(Verb::Replication));
    }
    let scene = Scene::new(policy, now, Circumstances::default(), None);
    match Tally::new(policy, &standing, scene) {
        Some(mut tally) => {
            tally.add_start();
            tally.finish()
        }
        None => Decision::stale(policy),
    }
}

/// Decides about a function call of the protocol: it needs an allow rule that names the verb.
pub fn decide_function_call(policy: &Policy, standing: &Standing, now: Timestamp) -> Decision {
    decide_facts(policy, standing, now, &privileged_facts(Verb::FunctionCall))
}

/// The verb of a message's only statement.
pub(crate) fn only_verb(facts: &Facts) -> Option<Verb> {
    match facts.statements.as_slice() {
        [only] => Some(only.verb),
        _ => None,
    }
}

/// The facts of a request that is no statement.
fn privileged_facts(verb: Verb) -> Facts {
    let statement = StatementFacts {
        verb,
        verbs: SmallVec::from_iter([verb]),
        class: Class::Admin,
        objects: Vec::new(),
        columns: Vec::new(),
        functions: Vec::new(),
        where_shape: WhereShape::NotApplicable,
        limit: LimitShape::NotApplicable,
        egress: SmallVec::new(),
        dynamic: false,
        effects: Vec::new(),
        detections: Vec::new(),
    };
    Facts {
        statements: vec![statement],
        unreadable: None,
    }
}

impl Decision {
    /// The end of a session whose subject is kept out, whatever the policy says.
    pub fn blocked(refusal: Arc<RefusalText>) -> Self {
        Self {
            action: Action::Terminate,
            judged: Action::Terminate,
            mode: Mode::Enforce,
            rules: SmallVec::new(),
            cause: Cause::Blocked,
            counted: SmallVec::new(),
            literals: None,
            doubted: false,
            verdict: Verdict::Refuse(refusal),
        }
    }

    /// The same decision, ending the session if it refuses.
    pub fn ending_session(self) -> Self {
        match self.verdict {
            Verdict::Refuse(text) if !text.terminate => Self {
                action: Action::Terminate,
                verdict: Verdict::Refuse(Arc::new(RefusalText {
                    terminate: true,
                    ..RefusalText::clone(&text)
                })),
                ..self
            },
            verdict => Self { verdict, ..self },
        }
    }

    fn stale(policy: &Policy) -> Self {
        Self {
            action: Action::Deny,
            judged: Action::Deny,
            mode: Mode::Enforce,
            rules: SmallVec::new(),
            cause: Cause::Stale,
            counted: SmallVec::new(),
            literals: None,
            doubted: false,
            verdict: Verdict::Refuse(Arc::clone(&policy.answers.stale)),
        }
    }
}
