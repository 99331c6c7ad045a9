//! Judges recorded statements once more, under another policy.
//!
//! A statement is decided as its session had it: by the subject and the facts that were recorded with it. Where these
//! don't suffice the text is read again, and believed only if the reading is the recorded one. What can be decided
//! neither way is said to be so, with the reason, and never guessed.

mod asks;
mod facts;
mod report;

use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread;

use jiff::Timestamp;

pub use self::asks::Asks;
pub use self::facts::RecordedFacts;
pub use self::report::{Change, Group, Report};
use crate::decision::{Cause, RuleIndex, decide_parts, decide_startup, only_verb};
use crate::policy::{Policy, Standing};
use crate::rule::moment::{Circumstances, Scene};
use crate::rule::subject::Subject;
use crate::statement::facts::Facts;
use crate::statement::{ANALYSIS_STACK_BYTES, Analysis, Fingerprint};
use crate::vocabulary::{Action, Unreadable, Verb};

/// Statements that were recorded, alike in everything that a policy can ask.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// Who sent them.
    pub subject: Arc<Subject>,
    /// What the record does not say of the session.
    pub unknown: Unknown,
    /// What they are.
    pub entry: Entry,
    /// What analysis said of them.
    pub facts: Option<Arc<RecordedFacts>>,
    /// Why they could not be read exactly.
    pub unreadable: Option<Unreadable>,
    /// The text of one of them, if the record has it whole.
    pub text: Option<Arc<[u8]>>,
    /// When the first of them came.
    pub at: Timestamp,
    /// What was carried out.
    pub action: Action,
    /// How many.
    pub count: u64,
    /// Event ids of some of them.
    pub events: Vec<String>,
}

impl Recorded {
    /// What is known of them, and the facts to decide on.
    fn known(&self, asks: &Asks) -> Result<(&RecordedFacts, Facts), Undecided> {
        let known = self.facts.as_ref().ok_or(Undecided::NoFacts)?;
        if self.unreadable == Some(Unreadable::TooComplex) && self.text.is_none() {
            return Err(Undecided::TooLong);
        }
        if self.unknown.database && known.names_unqualified() {
            return Err(Undecided::Database);
        }
        let facts = if known.suffices(asks) {
            known.facts(self.unreadable)
        } else {
            let text = self.text.as_ref().ok_or(Undecided::TextCut)?;
            known.reread(text, self.subject.dialect, self.unreadable)?
        };
        Ok((known, facts))
    }

    /// Their analysis, as far as a policy that asks for so much looks at it.
    pub(crate) fn analysis(&self, asks: &Asks) -> Result<Analysis, Undecided> {
        if asks.end_user && self.unknown.end_user {
            return Err(Undecided::EndUser);
        }
        let (known, facts) = self.known(asks)?;
        Ok(Analysis {
            facts,
            fingerprint: Fingerprint(known.fingerprint()),
            normal: known.normal().into(),
            normal_cut: false,
            secrets: Vec::new(),
            secret_parameters: false,
            depends_on_literals: false,
        })
    }
}

/// What the record does not say of a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unknown {
    /// The session's end user: the statement's own, on which nothing is decided, stands in its place.
    pub end_user: bool,
    /// The database in which unqualified names were looked up.
    pub database: bool,
}

/// What was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A statement, or a command that is judged as one.
    Statement,
    /// The start of a session.
    Start,
    /// The start of another session in its place: its subject is not in this record.
    ChangeUser,
}

/// Why statements can't be decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Undecided {
    /// The record has no facts, or none that this program knows.
    NoFacts,
    /// The facts do not suffice, and the text was recorded in part or not at all.
    TextCut,
    /// The facts do not suffice, and the text reads differently without the session's settings.
    ReadsDifferently,
    /// It runs what SQL text has prepared or declared under a name.
    Named,
    /// It was refused for its length, whatever the policy.
    TooLong,
    /// The policy asks for the end user, and the session's is not known.
    EndUser,
    /// It was prepared while the session may have been in another database.
    Database,
    /// A rule asks for what only the session knew: values, the transaction, its history.
    Moment,
    /// The subject of the session that begins is not known.
    NextSubject,
}

impl Undecided {
    /// The reason for people.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoFacts => "the record has no facts that this version knows",
            Self::TextCut => {
                "the policy asks for what only the text tells, and it was not recorded whole"
            }
            Self::ReadsDifferently => {
                "the text reads differently without the settings of its session"
            }
            Self::Named => "it runs what SQL text has prepared or declared under a name",
            Self::TooLong => "it was refused for its length, whatever the policy",
            Self::EndUser => {
                "the policy asks for the end user, and a statement's own stands in place of the session's"
            }
            Self::Database => "it was prepared while its session may have been in another database",
            Self::Moment => {
                "a rule asks for values, the transaction or what the session did before"
            }
            Self::NextSubject => {
                "the subject of the session that COM_CHANGE_USER began is not recorded"
            }
        }
    }
}

/// What a policy says of recorded statements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fate {
    /// What the rules say, whatever the mode.
    pub action: Action,
    /// Why.
    pub cause: Cause,
}

/// Judges recorded statements under one policy.
#[derive(Debug)]
pub struct Judge<'p> {
    policy: &'p Policy,
    asks: Asks,
    last: Option<(Arc<Subject>, Standing)>,
}

impl<'p> Judge<'p> {
    /// A judge under `policy`.
    #[must_use]
    pub fn new(policy: &'p Policy) -> Self {
        Self {
            policy,
            asks: Asks::of(policy),
            last: None,
        }
    }

    /// Judges. Reads a text again where it must: needs [`ANALYSIS_STACK_BYTES`] of stack.
    ///
    /// # Errors
    /// It can't be decided.
    pub fn judge(&mut self, recorded: &Recorded) -> Result<Fate, Undecided> {
        if self.asks.end_user && recorded.unknown.end_user {
            return Err(Undecided::EndUser);
        }
        match recorded.entry {
            Entry::Statement => self.statement(recorded),
            Entry::ChangeUser => Err(Undecided::NextSubject),
            Entry::Start => {
                let verbs = recorded.facts.as_ref().map(|facts| facts.verbs());
                let replication = verbs.is_some_and(|verbs| verbs.contains(&Verb::Replication));
                let decision =
                    decide_startup(self.policy, &recorded.subject, replication, recorded.at);
                Ok(Fate {
                    action: decision.judged,
                    cause: decision.cause,
                })
            }
        }
    }

    fn statement(&mut self, recorded: &Recorded) -> Result<Fate, Undecided> {
        let (known, facts) = recorded.known(&self.asks)?;
        let print = Some(known.fingerprint());
        let policy = self.policy;
        let standing = self.standing(&recorded.subject);
        let verb = only_verb(&facts);
        let scene = Scene::new(policy, recorded.at, Circumstances::default(), verb);
        let decision = decide_parts(policy, standing, scene, &facts, print);
        if decision.doubted {
            return Err(Undecided::Moment);
        }
        // What runs under the name can make it only worse.
        if known.runs_named() && decision.judged < Action::Deny {
            return Err(Undecided::Named);
        }
        Ok(Fate {
            action: decision.judged,
            cause: decision.cause,
        })
    }

    fn standing(&mut self, subject: &Arc<Subject>) -> &Standing {
        let same = |(last, _): &(Arc<Subject>, Standing)| {
            Arc::ptr_eq(last, subject) || **last == **subject
        };
        if !self.last.as_ref().is_some_and(same) {
            self.last = None;
        }
        let policy = self.policy;
        &self
            .last
            .get_or_insert_with(|| (Arc::clone(subject), policy.standing(subject)))
            .1
    }
}

/// How recorded statements fare under a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compared {
    /// What they got: what was carried out, or what the policy to compare with says.
    pub before: Action,
    /// What the candidate says.
    pub after: Fate,
}

/// Compares a candidate with what was carried out, or with another policy.
#[derive(Clone, Copy, Debug)]
pub struct Replay<'p> {
    /// The policy that is tried.
    pub candidate: &'p Policy,
    /// The policy that it is compared with; without one, with what was carried out.
    pub against: Option<&'p Policy>,
    /// How many threads judge; as many as the machine has processors without it.
    pub threads: Option<NonZeroUsize>,
}

impl Replay<'_> {
    /// Whether a policy asks for the time, so that statements of different minutes must not be put together.
    #[must_use]
    pub fn asks_time(&self) -> bool {
        Asks::of(self.candidate).time || self.against.is_some_and(|policy| Asks::of(policy).time)
    }

    /// Judges a batch, in its order.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn compare(&self, batch: &[Recorded]) -> io::Result<Vec<Result<Compared, Undecided>>> {
        let threads = self
            .threads
            .or_else(|| thread::available_parallelism().ok())
            .map_or(1, NonZeroUsize::get)
            .min(MAX_THREADS);
        let part = batch.len().div_ceil(threads).max(LEAST_PART);
        thread::scope(|scope| {
            let started: io::Result<Vec<_>> = batch
                .chunks(part)
                .map(|part| {
                    thread::Builder::new()
                        .stack_size(ANALYSIS_STACK_BYTES)
                        .spawn_scoped(scope, move || self.compare_part(part))
                })
                .collect();
            let mut all = Vec::with_capacity(batch.len());
            for thread in started? {
                match thread.join() {
                    Ok(part) => all.extend(part),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
            Ok(all)
        })
    }

    fn compare_part(&self, part: &[Recorded]) -> Vec<Result<Compared, Undecided>> {
        let mut candidate = Judge::new(self.candidate);
        let mut against = self.against.map(Judge::new);
        let compare = |recorded: &Recorded| {
            let before = match &mut against {
                Some(judge) => judge.judge(recorded)?.action,
                None => recorded.action,
            };
            let after = candidate.judge(recorded)?;
            Ok(Compared { before, after })
        };
        part.iter().map(compare).collect()
    }
}

/// The rule of a cause, by its name.
pub(crate) fn rule_of(policy: &Policy, cause: Cause) -> Option<&str> {
    let index: RuleIndex = match cause {
        Cause::Rule(index) => index,
        Cause::Default
        | Cause::Unreadable(_)
        | Cause::NotNamed(_)
        | Cause::Blocked
        | Cause::Stale => return None,
    };
    policy.rule(index).map(|rule| &*rule.id)
}

/// What decides, in a few words: a rule's name in backquotes, or the default.
pub(crate) fn because(policy: &Policy, cause: Cause) -> String {
    match (rule_of(policy, cause), cause) {
        (Some(rule), _) => format!("`{rule}`"),
        (None, Cause::Unreadable(reason)) => format!("unreadable ({reason})"),
        (None, Cause::NotNamed(verb)) => format!("no allow rule names `{verb}`"),
        (None, Cause::Default | Cause::Rule(_) | Cause::Blocked | Cause::Stale) => {
            "the default".to_owned()
        }
    }
}

const MAX_THREADS: usize = 64;
/// The fewest statements that are worth a thread.
const LEAST_PART: usize = 512;
