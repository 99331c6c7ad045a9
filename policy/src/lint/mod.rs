//! What is legal in a policy and hardly meant: rules that never decide, alternatives that never hold, allow rules that let
//! everything of a kind pass, and, where somebody knows what was hit, rules that nothing hits.

mod cover;

use crate::policy::Policy;
use crate::problem::{Problem, Source, Span};
use crate::rule::clause::{Clause, Literal, Owner, dead_alternatives};
use crate::rule::moment::MomentTest;
use crate::rule::statement::StatementTest;
use crate::rule::{Rule, Test};
use crate::vocabulary::{Action, Class, Mode, Verb};

/// Which rules matched something of late.
#[derive(Clone, Debug)]
pub struct Hits {
    /// The rules that did.
    pub rules: Vec<String>,
    /// Since when, for people: `30 days`.
    pub within: String,
}

/// Everything that is suspicious about a policy: what loading it has said, and what takes a closer look. In the order of
/// files and lines, each with its place and what would mend it.
#[must_use]
pub fn lint(policy: &Policy, hits: Option<&Hits>) -> Vec<Problem> {
    let mut problems = policy.warnings.clone();
    for (at, rule) in policy.rules.iter().enumerate() {
        let own: Vec<&Clause> = policy
            .clauses
            .iter()
            .filter(|one| one.owner == Owner::Rule(at))
            .collect();
        let found = shadowed(policy, rule)
            .or_else(|| too_broad(policy, rule, &own))
            .or_else(|| never_hit(policy, rule, hits));
        problems.extend(found);
        problems.extend(
            dead_alternatives(&rule.when, rule.action)
                .into_iter()
                .map(|why| {
                    problem(
                        policy,
                        &rule.span,
                        format!("an alternative of `{}` never holds: {why}", rule.id),
                    )
                    .expected("that alternative taken out, or one of its conditions")
                }),
        );
    }
    let file = |problem: &Problem| {
        policy
            .sources
            .iter()
            .position(|source| source.name == problem.file)
    };
    problems.sort_by_key(|problem| (file(problem), problem.line, problem.column));
    problems
}

/// A rule whose every match another rule matches, too, and answers at least as strongly.
fn shadowed(policy: &Policy, rule: &Rule) -> Option<Problem> {
    let carried = |rule: &Rule| rule.mode.unwrap_or(policy.defaults.mode) == Mode::Enforce;
    let at = |one: &Rule| {
        policy
            .rules
            .iter()
            .position(|known| std::ptr::eq(known, one))
    };
    let other = policy.rules.iter().find(|other| {
        let stronger = other.action > rule.action
            || (other.action == rule.action && at(other) < at(rule))
            || (other.action == rule.action && !covered(policy, other, rule));
        let listeners = policy.listener_modes.is_empty() || other.mode == rule.mode;
        // The most specific rule words the refusal.
        let says_more = rule.severity > other.severity
            || rule.message.is_some()
            || rule.title.en.is_some()
            || rule.title.zh.is_some();
        other.id != rule.id
            && (other.periods.is_none() || other.periods == rule.periods)
            && stronger
            && (other.action > rule.action || !says_more)
            && (rule.action == Action::Allow || other.action > Action::Allow)
            && (carried(other) || !carried(rule))
            && listeners
            && covered(policy, rule, other)
    })?;
    let place = policy.place(&other.span);
    let (message, mend) = if other.action > rule.action {
        (
            format!(
                "`{}` never decides: whatever it matches, `{}` at {place} matches too, and `{}` beats `{}`",
                rule.id, other.id, other.action, rule.action
            ),
            format!(
                "no `{}`, or an exception for it (`not`) in `{}`",
                rule.id, other.id
            ),
        )
    } else {
        (
            format!(
                "`{}` adds nothing: whatever it matches, `{}` at {place} matches too",
                rule.id, other.id
            ),
            format!("no `{}`, or a narrower `{}`", rule.id, other.id),
        )
    };
    Some(problem(policy, &rule.span, message).expected(mend))
}

/// Whether each alternative of `rule` is covered by one of `other`.
fn covered(policy: &Policy, rule: &Rule, other: &Rule) -> bool {
    let of = |one: &Rule| {
        let at = policy
            .rules
            .iter()
            .position(|known| std::ptr::eq(known, one));
        policy
            .clauses
            .iter()
            .filter(move |clause| at.is_some_and(|at| clause.owner == Owner::Rule(at)))
    };
    of(rule).all(|narrow| of(other).any(|wide| cover::covers(wide, narrow)))
}

/// An allow rule that lets everybody do everything of a kind that changes or gives away something.
fn too_broad(policy: &Policy, rule: &Rule, own: &[&Clause]) -> Option<Problem> {
    if rule.action != Action::Allow {
        return None;
    }
    own.iter().find(|clause| is_broad(clause))?;
    let message = format!(
        "`{}` allows everything of its kind: it names neither who nor what",
        rule.id
    );
    Some(problem(policy, &rule.span, message).expected(
        "the objects that are meant (`object`), or those who may (`user`, `application`, `client`, …)",
    ))
}

fn is_broad(clause: &Clause) -> bool {
    let written = || {
        clause
            .literals()
            .filter(|literal| literal.implied.is_none())
    };
    let restricts = |literal: &Literal| match &*literal.test {
        Test::Moment(MomentTest::Period(_)) => false,
        Test::Subject(_) | Test::Moment(_) => true,
        Test::Statement(test) => match test {
            StatementTest::Object(test) => {
                literal.negated || (!test.names.is_empty() && !test.names.iter().any(is_everything))
            }
            StatementTest::Column(_)
            | StatementTest::Function(_)
            | StatementTest::Fingerprint(_)
            | StatementTest::Setting(_)
            | StatementTest::Egress(_)
            | StatementTest::Detect(_)
            | StatementTest::DetectScore(_)
            | StatementTest::Replication(_) => !literal.negated,
            StatementTest::Verb(verbs) => !literal.negated && verbs.iter().all(is_harmless),
            StatementTest::Class(classes) => {
                !literal.negated && classes.iter().all(is_harmless_class)
            }
            StatementTest::Where(_)
            | StatementTest::Limit(_)
            | StatementTest::MultiStatement(_)
            | StatementTest::Dynamic(_)
            | StatementTest::Risk(_)
            | StatementTest::Unreadable { .. } => false,
        },
    };
    !written().any(restricts)
}

fn is_everything(name: &crate::rule::object::NamePattern) -> bool {
    name.name.is_any() && name.schema.as_ref().is_none_or(|schema| schema.is_any())
}

/// Whether statements with this verb touch no data.
const fn is_harmless(verb: Verb) -> bool {
    matches!(
        verb,
        Verb::Begin
            | Verb::Commit
            | Verb::Rollback
            | Verb::Savepoint
            | Verb::Show
            | Verb::Set
            | Verb::Reset
            | Verb::Use
            | Verb::Deallocate
            | Verb::Close
            | Verb::Listen
            | Verb::Notify
            | Verb::Replication
            | Verb::FunctionCall
            | Verb::Empty
    )
}

const fn is_harmless_class(class: Class) -> bool {
    match class {
        Class::Tcl | Class::Session | Class::Utility => true,
        Class::Read | Class::Write | Class::Ddl | Class::Dcl | Class::Admin => false,
    }
}

fn never_hit(policy: &Policy, rule: &Rule, hits: Option<&Hits>) -> Option<Problem> {
    let hits = hits.filter(|hits| !hits.rules.iter().any(|hit| **hit == *rule.id))?;
    let message = format!("nothing has matched `{}` within {}", rule.id, hits.within);
    let mend = match rule.action {
        Action::Allow => "no rule, if nobody needs what it allows",
        Action::Alert | Action::Deny | Action::Terminate => {
            "a look at its names and users with `policy explain`; it may just wait for what it is for"
        }
    };
    Some(problem(policy, &rule.span, message).expected(mend))
}

fn problem(policy: &Policy, span: &Span, message: String) -> Problem {
    let nowhere = Source {
        name: "policy".into(),
        text: "".into(),
    };
    let source = policy.sources.get(span.source).unwrap_or(&nowhere);
    Problem::at(source, span.bytes.clone(), message).warning()
}
