//! Explains a decision: the facts of the statement, each rule with why it did or did not match, and what follows.

use std::fmt::Write as _;
use std::io;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::decision::{Cause, Decision, decide_parts, only_verb};
use crate::policy::Policy;
use crate::rule::clause::{Clause, Literal, Owner};
use crate::rule::moment::{Circumstances, Scene, Wording};
use crate::rule::statement::{StatementView, hex, show};
use crate::rule::subject::Subject;
use crate::rule::{Rule, Test};
use crate::statement::facts::StatementFacts;
use crate::statement::{Analysis, LexState, Limits, analyse, analyse_replication};
use crate::test_table::on_analysis_stack;
use crate::vocabulary::{Action, Mode, Unreadable};

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
    /// For the first statement that it did not match: its number and the condition that failed.
    pub missed: Option<(usize, Miss)>,
}

/// A condition that did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Miss {
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
            missed: None,
        };
        for (number, view) in (1..).zip(views) {
            match self.miss(rule, &clauses, view) {
                None => trace.matched.push(number),
                Some(miss) => {
                    trace.missed.get_or_insert((number, miss));
                }
            }
        }
        trace
    }

    /// The condition that failed in the alternative that came furthest; none if one alternative holds.
    fn miss(&self, rule: &Rule, clauses: &[&Clause], view: &StatementView<'_>) -> Option<Miss> {
        if rule.action == Action::Allow
            && let Some(reason) = view.unreadable
        {
            return Some(Miss {
                field: "unreadable",
                wanted: "a statement that can be read".into(),
                seen: reason.to_string(),
                note: Some("an allow rule never matches an unreadable statement"),
            });
        }
        let mut furthest: Option<(usize, Miss)> = None;
        for clause in clauses {
            let (passed, miss) = self.miss_of(clause, view)?;
            if furthest.as_ref().is_none_or(|(best, _)| passed > *best) {
                furthest = Some((passed, miss));
            }
        }
        furthest.map(|(_, miss)| miss)
    }

    fn miss_of(&self, clause: &Clause, view: &StatementView<'_>) -> Option<(usize, Miss)> {
        clause.literals().enumerate().find_map(|(passed, literal)| {
            let holds = literal.admits_subject(self.subject)
                && literal.admits_statement(view)
                && literal.admits_moment(&self.scene, self.subject.end_user.as_ref());
            (!holds).then(|| (passed, self.describe(literal, view)))
        })
    }

    fn describe(&self, literal: &Literal, view: &StatementView<'_>) -> Miss {
        let seen = match &*literal.test {
            Test::Subject(test) => test.seen(self.subject),
            Test::Statement(test) => test.seen(view),
            Test::Moment(test) => test.seen(&self.scene),
        };
        Miss {
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

impl Explanation<'_> {
    /// The explanation as plain text.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a String can't fail.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        let facts = &self.analysis.facts;
        let count = facts.statements.len();
        for (number, statement) in (1..).zip(facts.statements.iter().take(MOST_STATEMENTS)) {
            writeln!(out, "statement {number} of {count}")?;
            for (name, value) in fact_lines(statement) {
                writeln!(out, "  {name:<12} {value}")?;
            }
        }
        writeln!(out, "text")?;
        let readable = facts
            .unreadable
            .map_or("yes".into(), |reason| format!("no: {reason}"));
        writeln!(out, "  {:<12} {readable}", "readable")?;
        writeln!(
            out,
            "  {:<12} {}",
            "fingerprint",
            hex(&self.analysis.fingerprint.0)
        )?;
        writeln!(out, "  {:<12} {}", "normal form", self.analysis.normal)?;
        writeln!(out, "rules")?;
        let width = self
            .rules
            .iter()
            .map(|trace| trace.rule.id.len())
            .max()
            .unwrap_or(0);
        for trace in &self.rules {
            let Rule {
                id,
                action,
                severity,
                ..
            } = trace.rule;
            let several = if count > 1 {
                numbers(&trace.matched)
            } else {
                String::new()
            };
            if !trace.matched.is_empty() {
                writeln!(
                    out,
                    "  matches  {id:<width$}  {action}, {severity}{several}"
                )?;
            }
            let Some((number, miss)) = &trace.missed else {
                continue;
            };
            let (name, of) = match trace.matched.as_slice() {
                [] => (&**id, String::new()),
                _ => ("", format!("not statement {number}: ")),
            };
            let Miss {
                field,
                wanted,
                seen,
                note,
            } = miss;
            writeln!(
                out,
                "  -        {name:<width$}  {of}{field}: wanted {wanted}; found {seen}"
            )?;
            if let Some(note) = note {
                writeln!(out, "           {:<width$}  ({note})", "")?;
            }
        }
        self.write_decision(out)
    }

    fn write_decision(&self, out: &mut String) -> std::fmt::Result {
        let decision = &self.decision;
        writeln!(out, "decision")?;
        writeln!(out, "  {:<12} {}", "judged", decision.judged)?;
        writeln!(out, "  {:<12} {}", "because", self.because())?;
        let observed = decision.mode == Mode::Observe && decision.judged > Action::Alert;
        let note = if observed {
            " (observe mode: not carried out)"
        } else {
            ""
        };
        writeln!(out, "  {:<12} {}{note}", "carried out", decision.action)?;
        if let Some(refusal) = decision.refusal() {
            writeln!(
                out,
                "  {:<12} ERROR {}: {}",
                "client sees", refusal.sqlstate, refusal.message
            )?;
            writeln!(out, "  {:<12} {}", "", refusal.detail)?;
        }
        Ok(())
    }

    fn because(&self) -> String {
        match self.decision.cause {
            Cause::Rule(index) => match self.policy.rule(index) {
                Some(rule) => format!("rule `{}` ({})", rule.id, self.policy.place(&rule.span)),
                None => "a rule".into(),
            },
            Cause::Default => format!(
                "no rule decides; the default is {}",
                self.policy.defaults.action
            ),
            Cause::Unreadable(reason) => format!(
                "it can't be read exactly ({reason}); the default for that is {}",
                self.policy.defaults.unreadable
            ),
            Cause::NotNamed(verb) => format!("no allow rule names `{verb}`"),
            Cause::Blocked => "the subject is kept out by a block".into(),
            Cause::Stale => "the session's standing is of another policy".into(),
        }
    }

    /// The explanation as JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        let facts = &self.analysis.facts;
        let decision = &self.decision;
        let rule_id = |index| self.policy.rule(index).map(|rule| rule.id.to_string());
        json!({
            "statements": facts.statements.iter().take(MOST_STATEMENTS).map(statement_json).collect::<Vec<_>>(),
            "statement_count": facts.statements.len(),
            "readable": facts.unreadable.is_none(),
            "unreadable": facts.unreadable.map(Unreadable::as_str),
            "fingerprint": hex(&self.analysis.fingerprint.0),
            "normal": self.analysis.normal,
            "rules": self.rules.iter().map(|trace| json!({
                "id": trace.rule.id,
                "action": trace.rule.action,
                "severity": trace.rule.severity,
                "matches": !trace.matched.is_empty(),
                "statements": trace.matched,
                "missed": trace.missed.as_ref().map(|(statement, miss)| json!({
                    "statement": statement, "field": miss.field, "wanted": miss.wanted, "found": miss.seen, "note": miss.note,
                })),
            })).collect::<Vec<_>>(),
            "decision": {
                "judged": decision.judged,
                "action": decision.action,
                "mode": decision.mode,
                "because": self.because(),
                "rules": decision.rules.iter().filter_map(|index| rule_id(*index)).collect::<Vec<_>>(),
                "severity": decision.severity(self.policy),
                "message": decision.refusal().map(|refusal| &refusal.message),
                "detail": decision.refusal().map(|refusal| &refusal.detail),
                "sqlstate": decision.refusal().map(|refusal| refusal.sqlstate),
            },
        })
    }
}

fn numbers(list: &[usize]) -> String {
    let list: Vec<String> = list.iter().map(ToString::to_string).collect();
    format!(", statement {}", list.join(", "))
}

fn fact_lines(statement: &StatementFacts) -> Vec<(&'static str, String)> {
    fn join(items: impl Iterator<Item = String>) -> String {
        let mut items: Vec<String> = items.collect();
        items.dedup();
        items.join(", ")
    }
    let mut lines = vec![
        (
            "verb",
            join(statement.verbs_all().map(|verb| verb.to_string())),
        ),
        ("class", statement.class.to_string()),
        (
            "objects",
            join(statement.objects.iter().map(|object| {
                format!("{} {} ({})", object.kind, show(&object.name), object.access)
            })),
        ),
        (
            "columns",
            join(statement.columns.iter().map(|column| {
                let table = column.table.as_ref().map_or("?".into(), show);
                format!("{table}.{} ({})", column.column, column.usage)
            })),
        ),
        ("functions", join(statement.functions.iter().map(show))),
        ("where", statement.where_shape.to_string()),
        ("limit", statement.limit.to_string()),
        (
            "egress",
            join(statement.egress.iter().map(ToString::to_string)),
        ),
        (
            "dynamic",
            if statement.dynamic {
                "yes".into()
            } else {
                String::new()
            },
        ),
    ];
    lines.retain(|(_, value)| !value.is_empty());
    lines
}

fn statement_json(statement: &StatementFacts) -> Value {
    json!({
        "verb": statement.verb,
        "verbs": statement.verbs.as_slice(),
        "class": statement.class,
        "objects": statement.objects.iter().map(|object| json!({
            "kind": object.kind, "name": show(&object.name), "access": object.access,
        })).collect::<Vec<_>>(),
        "columns": statement.columns.iter().map(|column| json!({
            "table": column.table.as_ref().map(show), "column": column.column, "use": column.usage,
        })).collect::<Vec<_>>(),
        "functions": statement.functions.iter().map(show).collect::<Vec<_>>(),
        "where": statement.where_shape,
        "limit": statement.limit,
        "egress": statement.egress.as_slice(),
        "dynamic": statement.dynamic,
    })
}
