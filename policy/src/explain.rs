//! Explains a decision: the facts of the statement, each rule with why it did or did not match, and what follows.

mod show;

use std::io;

use jiff::Timestamp;

use crate::decision::{Decision, decide_parts, only_verb};
use crate::policy::Policy;
use crate::replay::{Asks, Recorded, Undecided};
use crate::rule::clause::{Clause, Literal, Owner};
use crate::rule::moment::{Circumstances, Scene, Wording};
use crate::rule::statement::StatementView;
use crate::rule::subject::Subject;
use crate::rule::{Rule, Test};
use crate::statement::{Analysis, LexState, Limits, analyse, analyse_replication};
use crate::test_table::on_analysis_stack;
use crate::vocabulary::Action;

/// What is to be explained.
#[derive(Clone, Debug)]
pub struct Question<'a> {
    /// The text.
    pub sql: &'a [u8],
    /// Who sends it.
    pub subject: &'a Subject,
    /// The time.
    pub now: Timestamp,
    /// The state in which it is read.
    pub lex: LexState,
    /// Whether it comes over a replication connection.
    pub replication: bool,
}

/// A decision and everything that led to it.
#[derive(Debug)]
pub struct Explanation<'p> {
    /// The reading of the text.
    pub analysis: Analysis,
    /// Every rule, the strongest first.
    pub rules: Vec<Trace<'p>>,
    /// The decision.
    pub decision: Decision,
    policy: &'p Policy,
}

/// Why a rule matched or did not.
#[derive(Clone, Debug)]
pub struct Trace<'p> {
    /// The rule.
    pub rule: &'p Rule,
    /// The statements that it matched, counted from 1.
    pub matched: Vec<usize>,
    /// For the first statement that it matched: the conditions, and what they held of.
    pub held: Vec<Look>,
    /// For the first statement that it did not match: its number and the condition that failed.
    pub missed: Option<(usize, Look)>,
}

/// A condition and what it looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// The field of `when`.
    pub field: &'static str,
    /// What the rule wants.
    pub wanted: String,
    /// What there is.
    pub seen: String,
    /// Why the rule wants it, if nobody wrote that.
    pub note: Option<&'static str>,
}

/// Explains the decision about a text, on a thread with the stack that the analysis needs.
///
/// # Errors
/// The system gives no thread.
pub fn explain<'p>(policy: &'p Policy, question: &Question<'_>) -> io::Result<Explanation<'p>> {
    let limits = Limits::default();
    let analysis = on_analysis_stack(|| {
        if question.replication {
            analyse_replication(question.sql, &question.lex, &limits)
        } else {
            analyse(question.sql, &question.lex, &limits)
        }
    })?;
    let circumstances = Circumstances {
        text: Wording::Text(question.sql, question.lex),
        ..Circumstances::default()
    };
    let moment = (question.now, circumstances);
    Ok(explain_at(policy, question.subject, moment, analysis))
}

/// Explains the decision about a text that has been read.
#[must_use]
pub fn explain_analysis<'p>(
    policy: &'p Policy,
    subject: &Subject,
    now: Timestamp,
    analysis: Analysis,
) -> Explanation<'p> {
    explain_at(policy, subject, (now, Circumstances::default()), analysis)
}

fn explain_at<'p>(
    policy: &'p Policy,
    subject: &Subject,
    (now, circumstances): (Timestamp, Circumstances<'_>),
    analysis: Analysis,
) -> Explanation<'p> {
    let standing = policy.standing(subject);
    let print = Some(analysis.fingerprint.0);
    let verb = only_verb(&analysis.facts);
    let scene = || Scene::new(policy, now, circumstances, verb);
    let decision = decide_parts(policy, &standing, scene(), &analysis.facts, print);
    let views: Vec<StatementView<'_>> = StatementView::of(
        &analysis.facts,
        analysis.facts.unreadable,
        print,
        standing.path.as_ref(),
    )
    .take(MOST_STATEMENTS)
    .collect();
    let mut scene = scene();
    scene.counted = decision.counted.clone();
    let moment = Moment {
        policy,
        subject,
        scene,
    };
    let mut rules: Vec<Trace<'p>> = policy
        .rules
        .iter()
        .enumerate()
        .map(|(at, rule)| moment.trace(at, rule, &views))
        .collect();
    rules.sort_by_key(|trace| (trace.matched.is_empty(), trace.rule.rank));
    drop(views);
    Explanation {
        analysis,
        rules,
        decision,
        policy,
    }
}

/// Explains what a policy says of a recorded statement, from what its record has; on a thread with the stack that the
/// analysis needs.
///
/// # Errors
/// The system gives no thread; inside, the record does not tell what the policy asks.
pub fn explain_recorded<'p>(
    policy: &'p Policy,
    recorded: &Recorded,
) -> io::Result<Result<Explanation<'p>, Undecided>> {
    let analysis = on_analysis_stack(|| recorded.analysis(&Asks::of(policy)))?;
    Ok(analysis.map(|analysis| explain_analysis(policy, &recorded.subject, recorded.at, analysis)))
}

const MOST_STATEMENTS: usize = 100;

struct Moment<'p, 's> {
    policy: &'p Policy,
    subject: &'s Subject,
    scene: Scene<'s>,
}

impl<'p> Moment<'p, '_> {
    fn trace(&self, at: usize, rule: &'p Rule, views: &[StatementView<'_>]) -> Trace<'p> {
        let clauses: Vec<&Clause> = self
            .policy
            .clauses
            .iter()
            .filter(|clause| clause.owner == Owner::Rule(at))
            .collect();
        let mut trace = Trace {
            rule,
            matched: Vec::new(),
            held: Vec::new(),
            missed: None,
        };
        for (number, view) in (1..).zip(views) {
            match self.miss(rule, &clauses, view) {
                None => {
                    if trace.matched.is_empty() {
                        trace.held = self.held(&clauses, view);
                    }
                    trace.matched.push(number);
                }
                Some(miss) => {
                    trace.missed.get_or_insert((number, miss));
                }
            }
        }
        trace
    }

    /// The condition that failed in the alternative that came furthest; none if one alternative holds.
    fn miss(&self, rule: &Rule, clauses: &[&Clause], view: &StatementView<'_>) -> Option<Look> {
        if rule.action == Action::Allow
            && let Some(reason) = view.unreadable
        {
            return Some(Look {
                field: "unreadable",
                wanted: "a statement that can be read".into(),
                seen: reason.to_string(),
                note: Some("an allow rule never matches an unreadable statement"),
            });
        }
        let mut furthest: Option<(usize, Look)> = None;
        for clause in clauses {
            let (passed, miss) = self.miss_of(clause, view)?;
            if furthest.as_ref().is_none_or(|(best, _)| passed > *best) {
                furthest = Some((passed, miss));
            }
        }
        furthest.map(|(_, miss)| miss)
    }

    /// The conditions of the alternative that holds, those that nobody wrote aside.
    fn held(&self, clauses: &[&Clause], view: &StatementView<'_>) -> Vec<Look> {
        let matching = clauses
            .iter()
            .find(|clause| self.miss_of(clause, view).is_none());
        matching.map_or_else(Vec::new, |clause| {
            let written = clause
                .literals()
                .filter(|literal| literal.implied.is_none());
            written
                .map(|literal| self.describe(literal, view))
                .collect()
        })
    }

    fn miss_of(&self, clause: &Clause, view: &StatementView<'_>) -> Option<(usize, Look)> {
        clause.literals().enumerate().find_map(|(passed, literal)| {
            let holds = literal.admits_subject(self.subject)
                && literal.admits_statement(view)
                && literal.admits_moment(&self.scene, self.subject.end_user.as_ref());
            (!holds).then(|| (passed, self.describe(literal, view)))
        })
    }

    fn describe(&self, literal: &Literal, view: &StatementView<'_>) -> Look {
        let seen = match &*literal.test {
            Test::Subject(test) => test.seen(self.subject),
            Test::Statement(test) => test.seen(view),
            Test::Moment(test) => test.seen(&self.scene),
        };
        Look {
            field: literal.test.field(),
            wanted: wanted(literal, self.policy),
            seen,
            note: literal.implied,
        }
    }
}

/// A condition as people would write it.
fn wanted(literal: &Literal, policy: &Policy) -> String {
    let text = match &*literal.test {
        Test::Subject(test) => test.wanted(),
        Test::Statement(test) => test.wanted(),
        Test::Moment(test) => test.wanted(policy),
    };
    if literal.negated {
        format!("not {text}")
    } else {
        text
    }
}
