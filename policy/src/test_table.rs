//! `[[test]]`: statements with the decision that they must get.

use std::{fmt, io};

use jiff::Timestamp;
use smallvec::SmallVec;

use crate::decision::{Cause, Decision, RuleIndex, decide_function_call, decide_parts, only_verb};
use crate::file::At;
use crate::policy::{Policy, Standing};
use crate::problem::Span;
use crate::rule::history::History;
use crate::rule::moment::{Bound, Circumstances, Counting, Scene, Transaction, Wording};
use crate::rule::subject::Subject;
use crate::rule::value::Value;
use crate::statement::{ANALYSIS_STACK_BYTES, LexState, Limits, analyse, analyse_replication};
use crate::vocabulary::{Action, Dialect};

/// One `[[test]]`.
#[derive(Clone, Debug)]
pub struct Case {
    /// Where it stands.
    pub span: Span,
    /// What it shows.
    pub title: Option<String>,
    /// The statements, each judged by itself.
    pub sql: Vec<At<String>>,
    /// The subjects, one for each dialect, and how their texts are read.
    pub subjects: Vec<(Subject, LexState)>,
    /// The time.
    pub at: Timestamp,
    /// How they come in.
    pub channel: Channel,
    /// The transaction that they come in.
    pub transaction: Transaction,
    /// The values of their parameters, if they are said; `None` for one that can't be said.
    pub parameters: Option<Vec<Option<String>>>,
    /// What the session has sent before.
    pub before: Vec<String>,
    /// The action that the rules must say.
    pub action: Action,
    /// The rule that must decide.
    pub rule: Option<String>,
}

/// How a statement of a test comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// As a query or a prepared statement.
    Query,
    /// Over a replication connection.
    Replication,
    /// As a function call of the protocol, without SQL.
    FunctionCall,
}

/// The result of every `[[test]]` of a policy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Results {
    /// How many statements were judged, each in each of its dialects.
    pub run: usize,
    /// Those that got another decision than expected.
    pub failures: Vec<Failure>,
    /// Rules that no passing test shows to decide.
    pub unproved: Vec<String>,
}

/// A statement that got another decision than expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Where the statement stands: file, line, column.
    pub place: String,
    /// The test's title.
    pub title: Option<String>,
    /// The statement.
    pub sql: String,
    /// The dialect that it was read in.
    pub dialect: Dialect,
    /// What was expected.
    pub expected: String,
    /// What came instead.
    pub found: String,
}

impl Results {
    /// Whether every test passed.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.failures.is_empty()
    }
}

impl fmt::Display for Results {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for failure in &self.failures {
            write!(f, "{}: ", failure.place)?;
            if let Some(title) = &failure.title {
                write!(f, "{title}: ")?;
            }
            writeln!(f, "expected {}, found {}", failure.expected, failure.found)?;
            writeln!(f, "    {} ({})", failure.sql, failure.dialect)?;
        }
        if !self.unproved.is_empty() {
            writeln!(
                f,
                "rules that no test shows to decide: {}",
                self.unproved.join(", ")
            )?;
        }
        write!(
            f,
            "{} passed, {} failed",
            self.run - self.failures.len(),
            self.failures.len()
        )?;
        writeln!(f)
    }
}

impl Policy {
    /// Runs every `[[test]]` and `[[redact_test]]`, on a thread with the stack that the analysis needs.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn run_tests(&self) -> io::Result<Results> {
        on_analysis_stack(|| {
            let mut results = Results::default();
            let mut proved = vec![false; self.rules.len()];
            for case in &self.tests {
                for reading in &case.subjects {
                    self.run_case(case, reading, &mut results, &mut proved);
                }
            }
            self.run_redact_cases(&mut results);
            let unproved = self
                .rules
                .iter()
                .zip(&proved)
                .filter(|(_, proved)| !**proved);
            // A rule that overlays change is several; one that is shown to decide will do.
            let proved = |id: &str| {
                let mut all = self.rules.iter().zip(&proved);
                all.any(|(rule, proved)| *proved && *rule.id == *id)
            };
            let mut ids: Vec<String> = unproved.map(|(rule, _)| rule.id.to_string()).collect();
            ids.retain(|id| !proved(id));
            ids.dedup();
            results.unproved = ids;
            results
        })
    }

    fn run_redact_cases(&self, results: &mut Results) {
        for case in &self.redact_tests {
            for (dialect, lex) in &case.readings {
                results.run += 1;
                let Some((expected, found)) = case.failure(self.redactions.as_ref(), lex) else {
                    continue;
                };
                results.failures.push(Failure {
                    place: self.place(&case.sql.span),
                    title: case.title.clone(),
                    sql: shorten(&case.sql.value),
                    dialect: *dialect,
                    expected,
                    found,
                });
            }
        }
    }

    fn run_case(
        &self,
        case: &Case,
        (subject, lex): &(Subject, LexState),
        results: &mut Results,
        proved: &mut [bool],
    ) {
        let standing = self.standing(subject);
        for sql in &case.sql {
            results.run += 1;
            let decision = self.decide_case(case, (&sql.value, lex), &standing);
            let decider = match decision.cause {
                Cause::Rule(index) => self.rule(index),
                Cause::Default
                | Cause::Unreadable(_)
                | Cause::NotNamed(_)
                | Cause::Blocked
                | Cause::Stale => None,
            };
            let right_rule = case
                .rule
                .as_ref()
                .is_none_or(|wanted| decider.is_some_and(|rule| *rule.id == **wanted));
            if decision.judged == case.action && right_rule {
                if let Cause::Rule(RuleIndex(index)) = decision.cause
                    && let Some(proved) = proved.get_mut(index)
                {
                    *proved = true;
                }
                continue;
            }
            let named = |action: Action, rule: Option<&str>| match rule {
                Some(rule) => format!("{action} by `{rule}`"),
                None => action.to_string(),
            };
            let mut found = named(decision.judged, decider.map(|rule| &*rule.id));
            match decision.cause {
                Cause::Rule(_) | Cause::Blocked | Cause::Stale => {}
                Cause::Default => found.push_str(" by default"),
                Cause::Unreadable(reason) => found.push_str(&format!(" as unreadable ({reason})")),
                Cause::NotNamed(verb) => found.push_str(&format!(" as no rule names `{verb}`")),
            }
            let others = self.others(&decision.rules, decider.map(|rule| &*rule.id));
            if !others.is_empty() {
                found.push_str(&format!(" (also matching: {others})"));
            }
            results.failures.push(Failure {
                place: self.place(&sql.span),
                title: case.title.clone(),
                sql: shorten(&sql.value),
                dialect: subject.dialect,
                expected: named(case.action, case.rule.as_deref()),
                found,
            });
        }
    }

    fn decide_case(
        &self,
        case: &Case,
        (sql, lex): (&str, &LexState),
        standing: &Standing,
    ) -> Decision {
        let mut history = History::of_the_only_session();
        for before in &case.before {
            let decision = self.decide_one(case, (before, lex), standing, &history);
            history.note(self, &decision.counted, case.at);
        }
        self.decide_one(case, (sql, lex), standing, &history)
    }

    fn decide_one(
        &self,
        case: &Case,
        (sql, lex): (&str, &LexState),
        standing: &Standing,
        history: &History,
    ) -> Decision {
        let limits = Limits::default();
        let analysis = match case.channel {
            Channel::Query => analyse(sql.as_bytes(), lex, &limits),
            Channel::Replication => analyse_replication(sql.as_bytes(), lex, &limits),
            Channel::FunctionCall => return decide_function_call(self, standing, case.at),
        };
        let values: Option<Vec<Value<'_>>> = case.parameters.as_ref().map(|values| {
            let texts = values.iter().map(Option::as_deref);
            texts
                .map(|text| text.map_or(Value::Opaque, |text| Value::Plain(text.into())))
                .collect()
        });
        let values = values.as_deref();
        let circumstances = Circumstances {
            transaction: case.transaction,
            end_user: None,
            parameters: match &values {
                Some(values) => Bound::Given(values),
                None => Bound::Unknown,
            },
            text: Wording::Text(sql.as_bytes(), *lex),
            history: Some(history),
            across: None,
            counting: Counting::Anew,
        };
        let scene = Scene::new(self, case.at, circumstances, only_verb(&analysis.facts));
        let print = Some(analysis.fingerprint.0);
        decide_parts(self, standing, scene, &analysis.facts, print)
    }

    fn others(&self, rules: &SmallVec<[RuleIndex; 4]>, decider: Option<&str>) -> String {
        let ids = rules
            .iter()
            .filter_map(|index| self.rule(*index))
            .map(|rule| &*rule.id);
        ids.filter(|id| Some(*id) != decider)
            .collect::<Vec<_>>()
            .join(", ")
    }

    /// A place as `file:line:column`.
    #[must_use]
    pub fn place(&self, span: &Span) -> String {
        self.sources
            .get(span.source)
            .map_or_else(String::new, |source| {
                let (line, column) = source.line_column(span.bytes.start);
                format!("{}:{line}:{column}", source.name)
            })
    }
}

pub(crate) fn shorten(sql: &str) -> String {
    const MOST: usize = 200;
    let line = sql.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= MOST {
        return line;
    }
    let mut cut: String = line.chars().take(MOST).collect();
    cut.push('…');
    cut
}

/// Runs `work` on a thread whose stack the analysis can't exhaust.
///
/// # Errors
/// The system gives no thread.
pub(crate) fn on_analysis_stack<T: Send>(work: impl FnOnce() -> T + Send) -> io::Result<T> {
    std::thread::scope(|scope| {
        let builder = std::thread::Builder::new().stack_size(ANALYSIS_STACK_BYTES);
        match builder.spawn_scoped(scope, work)?.join() {
            Ok(result) => Ok(result),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}
