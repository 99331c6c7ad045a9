//! Alternatives of a `when`: its disjunctive normal form, with what can never hold taken out.

use std::sync::Arc;

use thiserror::Error;

use super::object::ObjectTest;
use super::statement::{StatementTest, StatementView};
use super::subject::{Subject, SubjectTest};
use super::window::Window;
use super::words::Words;
use super::{Condition, Sense, Test, When};
use crate::vocabulary::{Action, Class, Dialect, Egress, LimitShape, Unreadable, Verb, WhereShape};

/// One alternative of a rule: it holds if all its conditions do.
#[derive(Clone, Debug)]
pub struct Clause {
    /// The rule's position in the policy.
    pub rule: usize,
    /// Conditions on the subject.
    pub subject: Vec<Literal>,
    /// Conditions on the statement, the cheap ones first.
    pub statement: Vec<Literal>,
    /// Conditions on the time.
    pub time: Vec<Literal>,
    /// Whether a condition asks for unreadable statements, so that the rule answers for them.
    pub names_unreadable: bool,
}

/// A condition or its negation.
#[derive(Clone, Debug)]
pub struct Literal {
    /// The condition.
    pub test: Arc<Test>,
    /// Whether it must not hold.
    pub negated: bool,
    /// How it compares lists.
    pub sense: Sense,
    /// Why it is there although nobody wrote it.
    pub implied: Option<&'static str>,
}

/// Why a `when` has no alternatives.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ClauseError {
    /// Every alternative contradicts itself.
    #[error("this rule can never match: {0}")]
    NeverMatches(String),
    /// It has too many alternatives.
    #[error("`any` and `not` combine to more than {MAX_CLAUSES} alternatives")]
    TooMany,
}

/// The most alternatives that a rule may have.
pub const MAX_CLAUSES: usize = 256;

/// Verbs that only a rule that names them can allow.
pub const PRIVILEGED: [Verb; 2] = [Verb::Replication, Verb::FunctionCall];

impl Literal {
    /// Whether the condition holds for the subject; conditions on other things do.
    #[must_use]
    pub fn admits_subject(&self, subject: &Subject) -> bool {
        match &*self.test {
            Test::Subject(test) => test.holds(subject, self.sense) != self.negated,
            Test::Statement(_) | Test::Time(_) => true,
        }
    }

    /// Whether the condition holds for the statement; conditions on other things do.
    #[must_use]
    pub fn admits_statement(&self, view: &StatementView<'_>) -> bool {
        match &*self.test {
            Test::Statement(test) => test.holds(view, self.sense) != self.negated,
            Test::Subject(_) | Test::Time(_) => true,
        }
    }

    /// Whether the condition holds at that time; conditions on other things do.
    #[must_use]
    pub fn admits_time(&self, windows: &[Window], now: jiff::Timestamp) -> bool {
        match &*self.test {
            Test::Time(names) => {
                let inside = names
                    .iter()
                    .filter_map(|name| windows.get(*name))
                    .any(|window| window.covers(now));
                inside != self.negated
            }
            Test::Subject(_) | Test::Statement(_) => true,
        }
    }
}

impl Clause {
    /// Whether the conditions on the statement hold.
    #[must_use]
    pub fn admits_statement(&self, view: &StatementView<'_>) -> bool {
        self.statement
            .iter()
            .all(|literal| literal.admits_statement(view))
    }

    /// Whether the conditions on the subject hold.
    #[must_use]
    pub fn admits_subject(&self, subject: &Subject) -> bool {
        self.subject
            .iter()
            .all(|literal| literal.admits_subject(subject))
    }

    /// Whether the conditions on the time hold.
    #[must_use]
    pub fn admits_time(&self, windows: &[Window], now: jiff::Timestamp) -> bool {
        self.time
            .iter()
            .all(|literal| literal.admits_time(windows, now))
    }

    /// Every condition: subject, statement, time.
    pub fn literals(&self) -> impl Iterator<Item = &Literal> {
        self.subject.iter().chain(&self.statement).chain(&self.time)
    }
}

/// The alternatives of a rule.
///
/// # Errors
/// None of them can hold, or there are too many.
pub fn clauses(rule: usize, when: &When, action: Action) -> Result<Vec<Clause>, ClauseError> {
    let mut found = Vec::new();
    let mut reason = None;
    for literals in expand(when, false)? {
        let clause = Clause::of(rule, action, literals);
        match clause.contradiction(action) {
            Some(contradiction) => {
                reason.get_or_insert(contradiction);
            }
            None => found.push(clause),
        }
    }
    if found.is_empty() {
        let reason = reason.unwrap_or_else(|| "it has no alternative".into());
        return Err(ClauseError::NeverMatches(reason));
    }
    Ok(found)
}

type Literals = Vec<(Arc<Test>, bool)>;

fn expand(when: &When, negated: bool) -> Result<Vec<Literals>, ClauseError> {
    let parts = when.conditions.iter().map(|condition| match condition {
        Condition::Test(test) => Ok(vec![vec![(Arc::clone(test), negated)]]),
        Condition::Not(inner) => expand(inner, !negated),
        Condition::Any(inner) => {
            let parts = inner.iter().map(|when| expand(when, negated));
            if negated { product(parts) } else { sum(parts) }
        }
    });
    if negated { sum(parts) } else { product(parts) }
}

fn sum(
    parts: impl Iterator<Item = Result<Vec<Literals>, ClauseError>>,
) -> Result<Vec<Literals>, ClauseError> {
    let mut all = Vec::new();
    for part in parts {
        all.extend(part?);
        if all.len() > MAX_CLAUSES {
            return Err(ClauseError::TooMany);
        }
    }
    Ok(all)
}

fn product(
    parts: impl Iterator<Item = Result<Vec<Literals>, ClauseError>>,
) -> Result<Vec<Literals>, ClauseError> {
    let mut all = vec![Vec::new()];
    for part in parts {
        let part = part?;
        if all.len().saturating_mul(part.len()) > MAX_CLAUSES {
            return Err(ClauseError::TooMany);
        }
        all = all
            .iter()
            .flat_map(|left: &Literals| {
                part.iter()
                    .map(move |right| left.iter().chain(right).cloned().collect())
            })
            .collect();
    }
    Ok(all)
}

impl Clause {
    fn of(rule: usize, action: Action, literals: Literals) -> Self {
        let mut clause = Self {
            rule,
            subject: Vec::new(),
            statement: Vec::new(),
            time: Vec::new(),
            names_unreadable: false,
        };
        for (test, negated) in literals {
            let sense = Sense::of(action, negated);
            clause.push(Literal {
                test,
                negated,
                sense,
                implied: None,
            });
        }
        if action == Action::Allow {
            clause.imply_limits();
        }
        clause.statement.sort_by_key(cost);
        let names_unreadable = clause.tests().any(|(test, negated)| match test {
            StatementTest::Unreadable { wanted, .. } => *wanted != negated,
            _ => false,
        });
        Self {
            names_unreadable,
            ..clause
        }
    }

    fn push(&mut self, literal: Literal) {
        let list = match &*literal.test {
            Test::Subject(_) => &mut self.subject,
            Test::Statement(_) => &mut self.statement,
            Test::Time(_) => &mut self.time,
        };
        let known = list
            .iter()
            .any(|other| other.test == literal.test && other.negated == literal.negated);
        if !known {
            list.push(literal);
        }
    }

    /// The conditions on the statement, each with whether it is negated.
    pub fn tests(&self) -> impl Iterator<Item = (&StatementTest, bool)> {
        self.statement
            .iter()
            .filter_map(|literal| match &*literal.test {
                Test::Statement(test) => Some((test, literal.negated)),
                Test::Subject(_) | Test::Time(_) => None,
            })
    }

    /// Adds what an allow rule does not cover unless it names it.
    fn imply_limits(&mut self) {
        let mut named = Words::<Verb>::EMPTY;
        let (mut objects, mut egress, mut dynamic) = (false, false, false);
        for (test, negated) in self.tests() {
            match test {
                StatementTest::Verb(verbs) if !negated => named = named.union(*verbs),
                StatementTest::Replication(wanted) if *wanted != negated => {
                    named.insert(Verb::Replication);
                }
                StatementTest::Object(_) | StatementTest::Column(_) if !negated => objects = true,
                StatementTest::Egress(_) => egress = true,
                StatementTest::Dynamic(_) => dynamic = true,
                StatementTest::Verb(_)
                | StatementTest::Replication(_)
                | StatementTest::Object(_)
                | StatementTest::Column(_)
                | StatementTest::Class(_)
                | StatementTest::Function(_)
                | StatementTest::Where(_)
                | StatementTest::Limit(_)
                | StatementTest::MultiStatement(_)
                | StatementTest::Fingerprint(_)
                | StatementTest::Unreadable { .. }
                | StatementTest::Setting(_) => {}
            }
        }
        let privileged = PRIVILEGED
            .into_iter()
            .collect::<Words<Verb>>()
            .difference(named);
        if !privileged.is_empty() {
            self.imply(
                StatementTest::Verb(privileged),
                "only a rule that names this verb allows it",
            );
        }
        if objects && !egress {
            let ways = Egress::ALL.iter().copied().filter(|way| match way {
                Egress::CopyIn | Egress::CopyOut => false,
                Egress::CopyProgram
                | Egress::CopyFile
                | Egress::ServerFile
                | Egress::LargeObject
                | Egress::Dblink
                | Egress::Foreign
                | Egress::IntoOutfile
                | Egress::LoadInfile
                | Egress::LoadLocal
                | Egress::Code => true,
            });
            self.imply(
                StatementTest::Egress(ways.collect()),
                "an allow rule that names objects covers ways out of the database only if it names them by `egress`",
            );
        }
        if objects && !dynamic {
            self.imply(
                StatementTest::Dynamic(true),
                "an allow rule that names objects covers SQL in strings only with `dynamic = true`",
            );
        }
    }

    /// Adds the negation of a test.
    fn imply(&mut self, test: StatementTest, why: &'static str) {
        self.push(Literal {
            test: Arc::new(Test::Statement(test)),
            negated: true,
            sense: Sense::Any,
            implied: Some(why),
        });
    }

    /// Why the conditions can't hold together, if they can't.
    fn contradiction(&self, action: Action) -> Option<String> {
        if action == Action::Allow && self.names_unreadable {
            return Some(
                "an allow rule never matches an unreadable statement; say `[defaults] unreadable`, \
                 or let it pass with `action = \"alert\"`"
                    .into(),
            );
        }
        let opposed = |list: &[Literal]| {
            list.iter()
                .find(|literal| {
                    literal.negated
                        && list
                            .iter()
                            .any(|other| !other.negated && other.test == literal.test)
                })
                .map(|literal| literal.test.field())
        };
        // Statements hold several objects and verbs, so that a list and its negation may both hold of one.
        if let Some(field) = opposed(&self.subject).or_else(|| opposed(&self.time)) {
            return Some(format!("`{field}` is asked for and excluded"));
        }
        let mut single = Single::new();
        for (test, negated) in self.tests() {
            if let Some(field) = single.narrow(test, negated) {
                return Some(format!("no value of `{field}` is left"));
            }
        }
        if self.dialects().is_empty() {
            return Some("no value of `dialect` is left".into());
        }
        self.verb_contradiction(&single)
    }

    /// The dialects that the conditions leave.
    fn dialects(&self) -> Words<Dialect> {
        let mut left = Words::all();
        for literal in &self.subject {
            if let Test::Subject(SubjectTest::Dialect(set)) = &*literal.test {
                left = if literal.negated {
                    left.difference(*set)
                } else {
                    left.intersection(*set)
                };
            }
        }
        left
    }

    fn verb_contradiction(&self, single: &Single) -> Option<String> {
        for (test, negated) in self.tests() {
            let (StatementTest::Verb(verbs), false) = (test, negated) else {
                continue;
            };
            if !single.shapes.contains(WhereShape::NotApplicable)
                && !verbs.iter().any(can_hold_where)
            {
                return Some(format!("`{verbs}` has no WHERE clause"));
            }
            if !single.limits.contains(LimitShape::NotApplicable)
                && !verbs.iter().any(can_hold_query)
            {
                return Some(format!("`{verbs}` has no LIMIT clause"));
            }
            if verbs
                .iter()
                .all(|verb| !classes_of(verb).intersects(single.classes))
            {
                return Some(format!("`{verbs}` is never of class `{}`", single.classes));
            }
        }
        None
    }
}

/// What is left of the properties that a statement has one of.
struct Single {
    classes: Words<Class>,
    shapes: Words<WhereShape>,
    limits: Words<LimitShape>,
    reasons: Words<Unreadable>,
    readable: bool,
    multi: [bool; 2],
    dynamic: [bool; 2],
    replication: [bool; 2],
}

impl Single {
    fn new() -> Self {
        Self {
            classes: Words::all(),
            shapes: Words::all(),
            limits: Words::all(),
            reasons: Words::all(),
            readable: true,
            multi: [true; 2],
            dynamic: [true; 2],
            replication: [true; 2],
        }
    }

    /// Takes out what the condition excludes; the field's name if nothing is left.
    fn narrow(&mut self, test: &StatementTest, negated: bool) -> Option<&'static str> {
        fn cut<T: super::words::Word>(left: &mut Words<T>, set: Words<T>, negated: bool) -> bool {
            *left = if negated {
                left.difference(set)
            } else {
                left.intersection(set)
            };
            left.is_empty()
        }
        fn cut_bool([no, yes]: &mut [bool; 2], wanted: bool) -> bool {
            if wanted {
                *no = false
            } else {
                *yes = false
            }
            !*no && !*yes
        }
        let empty = match test {
            StatementTest::Class(set) => cut(&mut self.classes, *set, negated),
            StatementTest::Where(set) => cut(&mut self.shapes, *set, negated),
            StatementTest::Limit(set) => cut(&mut self.limits, *set, negated),
            StatementTest::Unreadable { reasons, wanted } => {
                if *wanted != negated {
                    self.readable = false;
                    cut(&mut self.reasons, *reasons, false);
                } else {
                    cut(&mut self.reasons, *reasons, true);
                }
                !self.readable && self.reasons.is_empty()
            }
            StatementTest::MultiStatement(wanted) => cut_bool(&mut self.multi, *wanted != negated),
            StatementTest::Dynamic(wanted) => cut_bool(&mut self.dynamic, *wanted != negated),
            StatementTest::Replication(wanted) => {
                cut_bool(&mut self.replication, *wanted != negated)
            }
            StatementTest::Verb(_)
            | StatementTest::Object(_)
            | StatementTest::Column(_)
            | StatementTest::Function(_)
            | StatementTest::Egress(_)
            | StatementTest::Fingerprint(_)
            | StatementTest::Setting(_) => false,
        };
        empty.then(|| test.field())
    }
}

/// Whether an UPDATE or DELETE may stand in a statement that contains this verb.
const fn can_hold_where(verb: Verb) -> bool {
    match verb {
        Verb::Update
        | Verb::Delete
        | Verb::Select
        | Verb::Insert
        | Verb::Merge
        | Verb::Copy
        | Verb::Create
        | Verb::Alter
        | Verb::Explain
        | Verb::Prepare
        | Verb::Execute
        | Verb::Declare
        | Verb::Fetch
        | Verb::Do
        | Verb::Call
        | Verb::Unknown => true,
        Verb::Truncate
        | Verb::Load
        | Verb::Drop
        | Verb::Comment
        | Verb::SecurityLabel
        | Verb::Grant
        | Verb::Revoke
        | Verb::Reassign
        | Verb::Begin
        | Verb::Commit
        | Verb::Rollback
        | Verb::Savepoint
        | Verb::PrepareTransaction
        | Verb::Lock
        | Verb::Set
        | Verb::Reset
        | Verb::Show
        | Verb::Use
        | Verb::Deallocate
        | Verb::Close
        | Verb::FunctionCall
        | Verb::Listen
        | Verb::Notify
        | Verb::Vacuum
        | Verb::Analyze
        | Verb::Cluster
        | Verb::Reindex
        | Verb::Refresh
        | Verb::Checkpoint
        | Verb::Import
        | Verb::AlterSystem
        | Verb::Replication
        | Verb::Empty => false,
    }
}

/// Whether a query may stand in a statement that contains this verb.
const fn can_hold_query(verb: Verb) -> bool {
    can_hold_where(verb) || matches!(verb, Verb::Refresh | Verb::Set | Verb::Show)
}

/// The classes that a statement with this verb may have; every one where it isn't certain.
fn classes_of(verb: Verb) -> Words<Class> {
    let without = |classes: &[Class]| Words::all().difference(classes.iter().copied().collect());
    match verb {
        Verb::Begin
        | Verb::Commit
        | Verb::Rollback
        | Verb::Savepoint
        | Verb::PrepareTransaction => [Class::Tcl].into_iter().collect(),
        Verb::Update | Verb::Delete | Verb::Insert | Verb::Merge | Verb::Truncate => {
            without(&[Class::Read, Class::Tcl, Class::Utility])
        }
        Verb::Drop | Verb::Alter => without(&[Class::Read, Class::Tcl, Class::Session]),
        Verb::Grant | Verb::Revoke => without(&[Class::Read, Class::Tcl, Class::Session]),
        Verb::Select => without(&[Class::Tcl]),
        _ => Words::all(),
    }
}

/// The order in which conditions are tried.
fn cost(literal: &Literal) -> u8 {
    match &*literal.test {
        Test::Subject(_) | Test::Time(_) => 0,
        Test::Statement(test) => match test {
            StatementTest::Class(_)
            | StatementTest::Where(_)
            | StatementTest::Limit(_)
            | StatementTest::MultiStatement(_)
            | StatementTest::Dynamic(_)
            | StatementTest::Unreadable { .. } => 0,
            StatementTest::Verb(_) | StatementTest::Egress(_) | StatementTest::Replication(_) => 1,
            StatementTest::Fingerprint(_) | StatementTest::Setting(_) => 2,
            StatementTest::Object(ObjectTest { .. })
            | StatementTest::Function(_)
            | StatementTest::Column(_) => 3,
        },
    }
}
