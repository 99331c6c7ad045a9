//! Conditions on what is known only when a decision is made: the time, the transaction, values, what went before.

use std::cell::{Cell, OnceCell};
use std::sync::Arc;

use jiff::Timestamp;

use super::clause::Clause;
use super::history::{Across, Counter, History};
use super::overlay::Periods;
use super::range::Range;
use super::subject::EndUser;
use super::value::{Literal, LiteralTest, Literals, ParameterTest, Parameters, Role, Value};
use super::words::{Word, Words};
use super::{Sense, Test};
use crate::policy::Policy;
use crate::statement::{LexState, literals};
use crate::vocabulary::{Isolation, TransactionAccess, TransactionState, Verb};

/// What the caller of a decision knows besides the statement. What it doesn't know counts against the statement.
#[derive(Clone, Copy, Default)]
pub struct Circumstances<'a> {
    /// The session's transaction.
    pub transaction: Transaction,
    /// The end user that the statement itself claims, in a comment or an attribute.
    pub end_user: Option<&'a EndUser>,
    /// The values of its parameters.
    pub parameters: Bound<'a>,
    /// Where its literals are.
    pub text: Wording<'a>,
    /// What the session has done before; nothing, if there is none.
    pub history: Option<&'a History>,
    /// What all sessions have done before, if that is known.
    pub across: Option<&'a dyn Across>,
    /// Whether the statement is in both already.
    pub counting: Counting,
}

/// Whether a statement is in the histories already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Counting {
    /// It comes on top.
    #[default]
    Anew,
    /// It was counted when it was bound, and is judged once more.
    Already,
}

/// The state of a session's transaction, as far as it is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Transaction {
    /// Whether one is open.
    pub state: Option<TransactionState>,
    /// What it may do.
    pub access: Option<TransactionAccess>,
    /// How far it is kept apart.
    pub isolation: Option<Isolation>,
}

/// The values of a statement's parameters.
#[derive(Clone, Copy, Default)]
pub enum Bound<'a> {
    /// They are not known.
    #[default]
    Unknown,
    /// They come later, and the statement is judged again then.
    Later,
    /// These.
    Given(&'a dyn Parameters),
}

/// Where a statement's literals are.
#[derive(Clone, Copy, Default)]
pub enum Wording<'a> {
    /// They are not known.
    #[default]
    Unknown,
    /// In this text, which is read only if a rule asks for them.
    Text(&'a [u8], LexState),
    /// They were read when the statement was prepared.
    Kept(&'a Arc<Literals>),
}

/// A condition on what is known only when a decision is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MomentTest {
    /// Inside any of these windows.
    Time(Vec<usize>),
    /// While an overlay is in force, or not.
    Period(Arc<Periods>),
    /// The state of the transaction.
    Transaction(Words<TransactionState>),
    /// What the transaction may do.
    TransactionAccess(Words<TransactionAccess>),
    /// The transaction's isolation.
    Isolation(Words<Isolation>),
    /// The parameters.
    Parameter(ParameterTest),
    /// The literals.
    Literal(LiteralTest),
    /// How often something was done.
    History {
        /// What is counted.
        counter: usize,
        /// How often.
        count: Range,
    },
}

/// Everything that conditions on the moment look at.
pub(crate) struct Scene<'a> {
    pub(crate) policy: &'a Policy,
    pub(crate) now: Timestamp,
    pub(crate) circumstances: Circumstances<'a>,
    /// The only statement's verb; none if there are several.
    pub(crate) verb: Option<Verb>,
    literals: OnceCell<Arc<Literals>>,
    /// Whether something was asked for that isn't known.
    doubted: Cell<bool>,
    /// How often this very message counts for each counter.
    pub(crate) counted: smallvec::SmallVec<[u16; 4]>,
}

impl<'a> Scene<'a> {
    pub(crate) fn new(
        policy: &'a Policy,
        now: Timestamp,
        circumstances: Circumstances<'a>,
        verb: Option<Verb>,
    ) -> Self {
        Self {
            policy,
            now,
            circumstances,
            verb,
            literals: OnceCell::new(),
            doubted: Cell::new(false),
            counted: smallvec::SmallVec::new(),
        }
    }

    /// The literals, read at most once.
    fn literals(&self) -> &Arc<Literals> {
        self.literals.get_or_init(|| match self.circumstances.text {
            Wording::Unknown => {
                self.doubted.set(true);
                Arc::new(Literals {
                    list: Vec::new(),
                    complete: false,
                })
            }
            Wording::Text(text, lex) => Arc::new(literals(text, &lex)),
            Wording::Kept(literals) => Arc::clone(literals),
        })
    }

    /// Whether something was asked for that isn't known.
    pub(crate) const fn doubted(&self) -> bool {
        self.doubted.get()
    }

    /// A word that is known or not.
    fn known<T: Word>(&self, set: Words<T>, word: Option<T>, sense: Sense) -> bool {
        word.map_or_else(
            || {
                self.doubted.set(true);
                sense == Sense::Any
            },
            |word| set.contains(word),
        )
    }

    /// Reads the literals of a statement that is prepared, where a condition will ask for them when it is run.
    pub(crate) fn keep_literals(&self, clause: &Clause) {
        let asks = |literal: &super::clause::Literal| {
            matches!(&*literal.test, Test::Moment(MomentTest::Literal(_)))
        };
        if matches!(self.circumstances.parameters, Bound::Later) && clause.moment.iter().any(asks) {
            self.literals();
        }
    }

    /// The literals, if a condition has asked for them.
    pub(crate) fn into_parts(self) -> (Option<Arc<Literals>>, smallvec::SmallVec<[u16; 4]>) {
        (self.literals.into_inner(), self.counted)
    }

    fn parameter_holds(&self, test: &ParameterTest, sense: Sense) -> bool {
        // A condition that is judged again later forbids nothing yet and permits what it may.
        let later = sense == Sense::All;
        let unknown = sense == Sense::Any;
        match (self.circumstances.parameters, self.verb) {
            (Bound::Later, _) | (_, Some(Verb::Prepare)) => later,
            (_, Some(Verb::Execute)) => {
                let arguments: Vec<Value<'_>> = arguments(&self.literals().list);
                if self.literals().complete && !arguments.is_empty() {
                    test.holds(&arguments.as_slice(), sense)
                } else {
                    unknown
                }
            }
            (Bound::Given(parameters), _) => test.holds(parameters, sense),
            (Bound::Unknown, _) => {
                self.doubted.set(true);
                unknown
            }
        }
    }

    fn history_holds(&self, counter: usize, range: &Range, sense: Sense) -> bool {
        let Some(across) = self.across(counter) else {
            return range.holds(self.count(counter));
        };
        // It was judged when it was counted; what others have sent since is none of its business.
        if self.circumstances.counting == Counting::Already {
            return sense == Sense::All;
        }
        match across {
            Some(before) => range.holds(before.saturating_add(self.here(counter))),
            None => {
                self.doubted.set(true);
                sense == Sense::Any
            }
        }
    }

    /// What a counter across sessions has counted before, if that is known; none, if the session's history has it.
    fn across(&self, number: usize) -> Option<Option<u32>> {
        let alone = |counter: &Counter| match self.circumstances.history {
            Some(history) => history.has(counter),
            None => counter.per.is_empty(),
        };
        if self.policy.counters.get(number).is_none_or(alone) {
            return None;
        }
        if self.circumstances.counting == Counting::Already {
            return Some(None);
        }
        Some(
            self.circumstances
                .across
                .and_then(|across| across.count(number)),
        )
    }

    fn count(&self, counter: usize) -> u32 {
        let before = match self.circumstances.history {
            Some(history) => history.count(self.policy, counter, self.now),
            None => {
                self.doubted.set(true);
                0
            }
        };
        if self.circumstances.counting == Counting::Already {
            return before;
        }
        before.saturating_add(self.here(counter))
    }

    /// How often this very message counts.
    fn here(&self, counter: usize) -> u32 {
        let here = self.counted.iter();
        let here = here
            .filter(|number| usize::from(**number) == counter)
            .count();
        u32::try_from(here).unwrap_or(u32::MAX)
    }
}

/// The arguments of EXECUTE by position; opaque where there is no literal.
fn arguments(literals: &[Literal]) -> Vec<Value<'_>> {
    let mut values = Vec::new();
    for literal in literals {
        let Role::Argument(position) = literal.role else {
            continue;
        };
        let position = usize::from(position);
        if values.len() < position {
            values.resize(position, Value::Opaque);
        }
        if let (Some(slot), Some(text)) = (values.get_mut(position - 1), &literal.value) {
            *slot = Value::Plain((&**text).into());
        }
    }
    values
}

impl MomentTest {
    /// The field of `when` that holds this condition.
    #[must_use]
    pub const fn field(&self) -> &'static str {
        match self {
            Self::Time(_) => "time",
            Self::Period(_) => "overlay",
            Self::Transaction(_) => "transaction",
            Self::TransactionAccess(_) => "transaction_access",
            Self::Isolation(_) => "isolation",
            Self::Parameter(_) => "parameter",
            Self::Literal(_) => "literal",
            Self::History { .. } => "history",
        }
    }

    pub(crate) fn holds(&self, scene: &Scene<'_>, sense: Sense) -> bool {
        let transaction = &scene.circumstances.transaction;
        match self {
            Self::Time(names) => names
                .iter()
                .filter_map(|name| scene.policy.windows.get(*name))
                .any(|window| window.covers(scene.now)),
            Self::Period(periods) => periods.cover(scene.now),
            Self::Transaction(set) => scene.known(*set, transaction.state, sense),
            Self::TransactionAccess(set) => scene.known(*set, transaction.access, sense),
            Self::Isolation(set) => scene.known(*set, transaction.isolation, sense),
            Self::Parameter(test) => scene.parameter_holds(test, sense),
            Self::Literal(test) => test.holds(scene.literals(), sense),
            Self::History { counter, count } => scene.history_holds(*counter, count, sense),
        }
    }

    /// The values that fit, as they were written.
    #[must_use]
    pub fn wanted(&self, policy: &Policy) -> String {
        match self {
            Self::Time(windows) => {
                let names = windows.iter().filter_map(|at| policy.windows.get(*at));
                names
                    .map(|w| w.name.to_string())
                    .collect::<Vec<_>>()
                    .join(", ")
            }
            Self::Period(periods) => periods.to_string(),
            Self::Transaction(set) => set.to_string(),
            Self::TransactionAccess(set) => set.to_string(),
            Self::Isolation(set) => set.to_string(),
            Self::Parameter(test) => test.wanted(),
            Self::Literal(test) => test.wanted(),
            Self::History { counter, count } => {
                let Some(counter) = policy.counters.get(*counter) else {
                    return count.to_string();
                };
                let per: Vec<&str> = counter.per.iter().map(|word| word.as_str()).collect();
                let per = match per.as_slice() {
                    [] => String::new(),
                    per => format!(" per {}", per.join(" and ")),
                };
                format!("{count} within {} s{per}", counter.within_ms / 1000)
            }
        }
    }

    /// What there is, for people.
    pub(crate) fn seen(&self, scene: &Scene<'_>) -> String {
        fn shown<T: ToString>(word: Option<T>) -> String {
            word.map_or("unknown".into(), |word| word.to_string())
        }
        let transaction = &scene.circumstances.transaction;
        match self {
            Self::Time(_) | Self::Period(_) => scene.now.to_string(),
            Self::Transaction(_) => shown(transaction.state),
            Self::TransactionAccess(_) => shown(transaction.access),
            Self::Isolation(_) => shown(transaction.isolation),
            // Values may be secrets.
            Self::Parameter(_) => match scene.circumstances.parameters {
                Bound::Unknown => "unknown values".into(),
                Bound::Later => "values that come later".into(),
                Bound::Given(_) => "other values".into(),
            },
            Self::Literal(_) => match scene.circumstances.text {
                Wording::Unknown => "unknown values".into(),
                Wording::Text(..) | Wording::Kept(_) => "other values".into(),
            },
            Self::History { counter, .. } => match scene.across(*counter) {
                None => scene.count(*counter).to_string(),
                Some(None) => "unknown".into(),
                Some(Some(before)) => before.saturating_add(scene.here(*counter)).to_string(),
            },
        }
    }
}
