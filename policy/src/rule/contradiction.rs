//! Conditions that can't hold together: a rule of which nothing is left can never match.

use super::Test;
use super::clause::{Clause, Literal};
use super::statement::StatementTest;
use super::subject::SubjectTest;
use super::words::{Word, Words};
use crate::vocabulary::{Action, Class, Dialect, LimitShape, Unreadable, Verb, WhereShape};

impl Clause {
    /// Why the conditions can't hold together, if they can't.
    pub(super) fn contradiction(&self, action: Action) -> Option<String> {
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
        if let Some(field) = opposed(&self.subject).or_else(|| opposed(&self.moment)) {
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
        fn cut<T: Word>(left: &mut Words<T>, set: Words<T>, negated: bool) -> bool {
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
            | StatementTest::Detect(_)
            | StatementTest::DetectScore(_)
            | StatementTest::Risk(_)
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
