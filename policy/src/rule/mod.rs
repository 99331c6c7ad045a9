//! Rules: what a `when` may hold, and how it is matched against subjects and statements.
//!
//! A `when` is a tree of conditions. It is compiled into alternatives ([`clause::Clause`]), each a list of conditions
//! on the subject, on the statement and on the moment, so that the three can be matched at three different moments:
//! once per session, once per statement text, and at each decision.

pub mod calendar;
pub mod clause;
mod contradiction;
pub mod escalation;
pub mod glob;
pub mod history;
pub mod index;
pub mod moment;
pub mod object;
pub mod overlay;
pub mod personal;
pub mod range;
pub mod risk;
pub mod statement;
pub mod subject;
pub mod value;
pub mod version;
pub mod window;
pub mod words;

use std::sync::Arc;

use self::moment::MomentTest;
use self::statement::StatementTest;
use self::subject::SubjectTest;
use crate::decision::RefusalText;
use crate::problem::Span;
use crate::vocabulary::{Action, Mode, RecordDetail, Severity};

/// One rule of a policy.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Its name, unique in the policy.
    pub id: Box<str>,
    /// How bad a match is.
    pub severity: Severity,
    /// What it is about, in one line.
    pub title: Title,
    /// Labels for reports.
    pub tags: Vec<Box<str>>,
    /// When it matches.
    pub when: When,
    /// What is done then.
    pub action: Action,
    /// Whether that is carried out; the listener's or the policy's mode if absent.
    pub mode: Option<Mode>,
    /// What the client is told.
    pub message: Option<Box<str>>,
    /// How much of the statements that it allows is recorded.
    pub record: Option<RecordDetail>,
    /// How many conditions it has.
    pub specificity: u32,
    /// Its place among all rules, the one that is shown first being 0.
    pub rank: u32,
    /// The overlay that adds it or changes it, by its position in the policy.
    pub overlay: Option<usize>,
    /// When it is in force; always without periods.
    pub periods: Option<Arc<self::overlay::Periods>>,
    /// Where it is written.
    pub span: Span,
    /// What a client is answered when this rule refuses.
    pub(crate) refusal: Arc<RefusalText>,
}

/// A title in the languages of reports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Title {
    /// English.
    pub en: Option<Box<str>>,
    /// Chinese.
    pub zh: Option<Box<str>>,
}

/// Conditions that must all hold; none of them is `everything`.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct When {
    /// The conditions.
    pub conditions: Vec<Condition>,
}

/// A condition of a `when`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// A field of `when`.
    Test(Arc<Test>),
    /// `not = { … }`.
    Not(When),
    /// `any = [ { … }, … ]`.
    Any(Vec<When>),
}

/// One test on one of the three things that are matched at different moments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Test {
    /// On the subject.
    Subject(SubjectTest),
    /// On the statement.
    Statement(StatementTest),
    /// On what is known only when a decision is made.
    Moment(MomentTest),
}

impl Test {
    /// The field of `when` that holds this condition.
    #[must_use]
    pub const fn field(&self) -> &'static str {
        match self {
            Self::Subject(test) => test.field(),
            Self::Statement(test) => test.field(),
            Self::Moment(test) => test.field(),
        }
    }
}

/// How a list is compared with the several things that a statement touches.
///
/// A denial must not be escaped by touching something else as well, a permission must not be stretched by it: so a
/// condition holds for a denying or alerting rule if *any* thing fits, for an allowing rule if *all* do. `not` turns it
/// round. What is not certain counts as fitting in the first sense and as not fitting in the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sense {
    /// Any thing fits, or may fit.
    Any,
    /// There is something, and all of it surely fits.
    All,
}

impl Sense {
    /// The sense of a condition of a rule with this action.
    #[must_use]
    pub const fn of(action: Action, negated: bool) -> Self {
        match (action, negated) {
            (Action::Allow, false) | (Action::Alert | Action::Deny | Action::Terminate, true) => {
                Self::All
            }
            (Action::Allow, true) | (Action::Alert | Action::Deny | Action::Terminate, false) => {
                Self::Any
            }
        }
    }
}

impl When {
    /// How many conditions there are, nested ones included.
    #[must_use]
    pub fn size(&self) -> u32 {
        self.conditions
            .iter()
            .map(|condition| match condition {
                Condition::Test(_) => 1,
                Condition::Not(when) => when.size(),
                // Alternatives restrict no more than their widest one.
                Condition::Any(whens) => whens.iter().map(Self::size).min().unwrap_or(0),
            })
            .fold(0, u32::saturating_add)
    }
}
