//! Alternatives of a `when`: its disjunctive normal form, with what can never hold taken out.

use std::sync::Arc;

use thiserror::Error;

use super::moment::Scene;
use super::object::ObjectTest;
use super::statement::{StatementTest, StatementView};
use super::subject::{EndUser, Subject};
use super::words::Words;
use super::{Condition, Sense, Test, When};
use crate::vocabulary::{Access, Action, Egress, Verb};

/// One alternative of a rule: it holds if all its conditions do.
#[derive(Clone, Debug)]
pub struct Clause {
    /// What it belongs to.
    pub owner: Owner,
    /// Conditions on the subject.
    pub subject: Vec<Literal>,
    /// Conditions on the statement, the cheap ones first.
    pub statement: Vec<Literal>,
    /// Conditions on what is known only when a decision is made.
    pub moment: Vec<Literal>,
    /// Whether a condition asks for unreadable statements, so that the rule answers for them.
    pub names_unreadable: bool,
    /// Whether the only condition on the statement is that it has one of some verbs.
    pub verbs_only: bool,
}

/// What a clause belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// The rule at this position of the policy.
    Rule(usize),
    /// The counter at this position.
    Counter(u16),
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
            Test::Subject(test) if !test.of_statement() => {
                test.holds(subject, self.sense) != self.negated
            }
            Test::Subject(_) | Test::Statement(_) | Test::Moment(_) => true,
        }
    }

    /// Whether the condition holds for the statement; conditions on other things do.
    #[must_use]
    pub fn admits_statement(&self, view: &StatementView<'_>) -> bool {
        match &*self.test {
            Test::Statement(test) => test.holds(view, self.sense) != self.negated,
            Test::Subject(_) | Test::Moment(_) => true,
        }
    }

    /// Whether the condition holds at the moment; conditions on other things do.
    pub(crate) fn admits_moment(&self, scene: &Scene<'_>, standing: Option<&EndUser>) -> bool {
        let holds = match &*self.test {
            Test::Moment(test) => test.holds(scene, self.sense),
            Test::Subject(test) if test.of_statement() => {
                test.holds_of_end_users([standing, scene.circumstances.end_user], self.sense)
            }
            Test::Subject(_) | Test::Statement(_) => return true,
        };
        holds != self.negated
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

    /// Whether the conditions on the moment hold.
    pub(crate) fn admits_moment(&self, scene: &Scene<'_>, standing: Option<&EndUser>) -> bool {
        self.moment
            .iter()
            .all(|literal| literal.admits_moment(scene, standing))
    }

    /// Every condition: subject, statement, moment.
    pub fn literals(&self) -> impl Iterator<Item = &Literal> {
        self.subject
            .iter()
            .chain(&self.statement)
            .chain(&self.moment)
    }
}

/// The alternatives of a rule.
///
/// # Errors
/// None of them can hold, or there are too many.
pub fn clauses(owner: Owner, when: &When, action: Action) -> Result<Vec<Clause>, ClauseError> {
    let mut found = Vec::new();
    let mut reason = None;
    for literals in expand(when, false)? {
        let clause = Clause::of(owner, action, literals);
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

/// Why alternatives of a rule can't hold, of those that contradict themselves.
pub(crate) fn dead_alternatives(when: &When, action: Action) -> Vec<String> {
    let alternatives = expand(when, false).unwrap_or_default();
    alternatives
        .into_iter()
        .filter_map(|literals| Clause::of(Owner::Rule(0), action, literals).contradiction(action))
        .collect()
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
    fn of(owner: Owner, action: Action, literals: Literals) -> Self {
        let mut clause = Self {
            owner,
            subject: Vec::new(),
            statement: Vec::new(),
            moment: Vec::new(),
            names_unreadable: false,
            verbs_only: false,
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
        let verbs_only = match clause.statement.as_slice() {
            [only] => match &*only.test {
                Test::Statement(StatementTest::Verb(_)) => {
                    !only.negated && only.sense == Sense::Any
                }
                Test::Statement(_) | Test::Subject(_) | Test::Moment(_) => false,
            },
            _ => false,
        };
        Self {
            names_unreadable,
            verbs_only,
            ..clause
        }
    }

    fn push(&mut self, literal: Literal) {
        let list = match &*literal.test {
            // The end user may be another one for each statement.
            Test::Subject(test) if test.of_statement() => &mut self.moment,
            Test::Subject(_) => &mut self.subject,
            Test::Statement(_) => &mut self.statement,
            Test::Moment(_) => &mut self.moment,
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
                Test::Subject(_) | Test::Moment(_) => None,
            })
    }

    /// Adds what an allow rule does not cover unless it names it.
    fn imply_limits(&mut self) {
        let mut named = Words::<Verb>::EMPTY;
        let (mut objects, mut access, mut egress, mut dynamic) = (false, false, false, false);
        for (test, negated) in self.tests() {
            match test {
                StatementTest::Verb(verbs) if !negated => named = named.union(*verbs),
                StatementTest::Replication(wanted) if *wanted != negated => {
                    named.insert(Verb::Replication);
                }
                StatementTest::Object(test) if !negated => {
                    objects = true;
                    access |= test.access.is_some();
                }
                StatementTest::Column(_) if !negated => objects = true,
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
                | StatementTest::Detect(_)
                | StatementTest::DetectScore(_)
                | StatementTest::Risk(_)
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
        let verbs = named.difference(PRIVILEGED.into_iter().collect());
        let natural: Words<Access> = verbs
            .iter()
            .map(accesses_of)
            .fold(Words::EMPTY, Words::union);
        let hidden = Words::all().difference(natural);
        if !verbs.is_empty() && !access && !hidden.is_empty() {
            self.imply(
                StatementTest::Object(ObjectTest {
                    names: Vec::new(),
                    access: Some(hidden),
                    kind: None,
                }),
                "an allow rule covers what its verbs do by themselves, and more only if it names the `access`",
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
}

/// What a verb does to objects by itself: reading what it needs is part of it, SELECT INTO and upserts are not.
fn accesses_of(verb: Verb) -> Words<Access> {
    let own: &[Access] = match verb {
        Verb::Select
        | Verb::Show
        | Verb::Explain
        | Verb::Declare
        | Verb::Fetch
        | Verb::Close
        | Verb::Lock
        | Verb::Listen
        | Verb::Notify
        | Verb::Begin
        | Verb::Commit
        | Verb::Rollback
        | Verb::Savepoint
        | Verb::Empty => &[],
        Verb::Insert => &[Access::Insert],
        Verb::Update => &[Access::Update],
        Verb::Delete | Verb::Truncate => &[Access::Delete],
        Verb::Merge => &[Access::Insert, Access::Update, Access::Delete],
        Verb::Copy => &[Access::Insert],
        Verb::Load
        | Verb::Create
        | Verb::Alter
        | Verb::Drop
        | Verb::Comment
        | Verb::SecurityLabel
        | Verb::Grant
        | Verb::Revoke
        | Verb::Reassign
        | Verb::PrepareTransaction
        | Verb::Set
        | Verb::Reset
        | Verb::Use
        | Verb::Prepare
        | Verb::Execute
        | Verb::Deallocate
        | Verb::Do
        | Verb::Call
        | Verb::FunctionCall
        | Verb::Vacuum
        | Verb::Analyze
        | Verb::Cluster
        | Verb::Reindex
        | Verb::Refresh
        | Verb::Checkpoint
        | Verb::Import
        | Verb::AlterSystem
        | Verb::Kill
        | Verb::Flush
        | Verb::Handler
        | Verb::Install
        | Verb::Shutdown
        | Verb::Purge
        | Verb::ChangeReplication
        | Verb::Check
        | Verb::Binlog
        | Verb::Clone
        | Verb::Replication
        | Verb::Unknown => Access::ALL,
    };
    [Access::Read, Access::Refer, Access::Execute]
        .iter()
        .chain(own)
        .copied()
        .collect()
}

/// The order in which conditions are tried.
fn cost(literal: &Literal) -> u8 {
    match &*literal.test {
        Test::Subject(_) | Test::Moment(_) => 0,
        Test::Statement(test) => match test {
            StatementTest::Class(_)
            | StatementTest::Where(_)
            | StatementTest::Limit(_)
            | StatementTest::MultiStatement(_)
            | StatementTest::Dynamic(_)
            | StatementTest::Unreadable { .. } => 0,
            StatementTest::Verb(_)
            | StatementTest::Egress(_)
            | StatementTest::Detect(_)
            | StatementTest::DetectScore(_)
            | StatementTest::Replication(_) => 1,
            StatementTest::Fingerprint(_) | StatementTest::Setting(_) | StatementTest::Risk(_) => 2,
            StatementTest::Object(ObjectTest { .. })
            | StatementTest::Function(_)
            | StatementTest::Column(_) => 3,
        },
    }
}
