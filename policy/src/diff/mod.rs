//! Compares what two policies say: not their texts, but what is denied or allowed under one and not under the other.
//!
//! The conditions of both policies cut the requests that there can be into classes whose members both treat alike. From
//! each alternative of each rule a request is made that it matches, then requests that alternatives of the other rules
//! match as well, or miss by one condition. Each is decided by both policies; what differs is shown with an example, as
//! text where one reads so. Nothing is claimed that was not decided: what was not found is not said to be the same.

mod probe;
mod report;
mod samples;
mod sql;

use std::io;

use hashbrown::{HashMap, HashSet};
use jiff::Timestamp;

use self::probe::{Probe, Wish, times};
pub use self::report::{Difference, Example, Report};
use crate::decision::{Decision, decide_parts, only_verb};
use crate::policy::Policy;
use crate::replay::because;
use crate::rule::Test;
use crate::rule::clause::{Clause, Owner};
use crate::rule::moment::{Circumstances, MomentTest, Scene, Wording};
use crate::statement::Facts;
use crate::statement::{LexState, Limits, analyse};
use crate::test_table::on_analysis_stack;
use crate::vocabulary::{Action, Unreadable, Verb};

/// Compares `old` with `new`, at times from `now` on, on a thread with the stack that the analysis needs.
///
/// # Errors
/// The system gives no thread.
pub fn diff(old: &Policy, new: &Policy, now: Timestamp) -> io::Result<Report> {
    on_analysis_stack(|| Comparison::new(old, new, now).run())
}

struct Comparison<'p> {
    policies: [&'p Policy; 2],
    times: Vec<Timestamp>,
    now: Timestamp,
    found: HashMap<Key, Difference>,
    tried: usize,
    attempts: usize,
    doubted: usize,
    unmatched: Vec<String>,
    complete: bool,
}

/// What names a difference: both actions and both reasons.
type Key = ([Action; 2], [String; 2]);

impl<'p> Comparison<'p> {
    fn new(old: &'p Policy, new: &'p Policy, now: Timestamp) -> Self {
        Self {
            policies: [old, new],
            times: times([old, new], now),
            now,
            found: HashMap::new(),
            tried: 0,
            attempts: 0,
            doubted: 0,
            unmatched: Vec::new(),
            complete: true,
        }
    }

    fn run(mut self) -> Report {
        let different = self.different();
        let all: Vec<(&Policy, &Clause)> = self
            .policies
            .iter()
            .flat_map(|policy| policy.clauses.iter().map(move |clause| (*policy, clause)))
            .filter(|(policy, clause)| rule_of(policy, clause).is_some())
            .collect();
        let mut seeds = self.plain();
        for (policy, clause) in &different {
            match self.plain_matching(policy, clause) {
                Some(seed) => seeds.push(seed),
                None => self.say_unmatched(policy, clause),
            }
        }
        for seed in &seeds {
            self.compare(seed);
        }
        // Those that other alternatives match as well, and those that differing ones just miss.
        for seed in &seeds {
            for (policy, clause) in &different {
                for wishes in misses(policy, clause) {
                    self.try_with(seed, &wishes);
                }
            }
            for (policy, clause) in &all {
                self.try_with(seed, &wishes(policy, clause));
            }
        }
        Report {
            differences: self.sorted(),
            notes: notes(self.policies),
            compared: different.len(),
            tried: self.tried,
            doubted: self.doubted,
            unmatched: self.unmatched,
            complete: self.complete,
        }
    }

    /// The alternatives of rules that the other policy does not have.
    fn different(&self) -> Vec<(&'p Policy, &'p Clause)> {
        let [old, new] = self.policies.map(forms);
        let mut all = Vec::new();
        for (policy, others) in [(self.policies[0], &new), (self.policies[1], &old)] {
            all.extend(
                policy
                    .clauses
                    .iter()
                    .filter(|clause| rule_of(policy, clause).is_some())
                    .filter(|clause| !others.contains(&form(policy, clause)))
                    .map(|clause| (policy, clause)),
            );
        }
        all
    }

    /// Requests that no rule need name: they show the defaults.
    fn plain(&self) -> Vec<Probe> {
        let base = Probe::new(self.now);
        let verbs = Verb::ALL.iter().map(|verb| base.with_verb(*verb));
        let unreadable = Unreadable::ALL.iter().map(|reason| Probe {
            unreadable: Some(*reason),
            ..base.clone()
        });
        verbs.chain(unreadable).collect()
    }

    fn plain_matching(&self, policy: &'p Policy, clause: &'p Clause) -> Option<Probe> {
        let wishes = wishes(policy, clause);
        let base = Probe::new(self.now);
        base.granting(&wishes, &self.times).or_else(|| {
            let mut others = Verb::ALL.iter().map(|verb| base.with_verb(*verb));
            others.find_map(|probe| probe.granting(&wishes, &self.times))
        })
    }

    fn say_unmatched(&mut self, policy: &Policy, clause: &Clause) {
        if let Some(rule) = rule_of(policy, clause) {
            let place = policy.place(&rule.span);
            let said = format!(
                "rule `{}` ({place}): no request was found that it matches",
                rule.id
            );
            if !self.unmatched.contains(&said) {
                self.unmatched.push(said);
            }
        }
    }

    fn try_with(&mut self, seed: &Probe, wishes: &[Wish<'_>]) {
        if self.attempts >= MOST_ATTEMPTS {
            self.complete = false;
            return;
        }
        self.attempts += 1;
        if let Some(probe) = seed.granting(wishes, &self.times) {
            self.compare(&probe);
        }
    }

    /// Decides a request under both policies, and keeps it if they differ.
    fn compare(&mut self, probe: &Probe) {
        self.tried += 1;
        let facts = probe.facts();
        let decided = self
            .policies
            .map(|policy| decide(policy, probe, (&facts, probe.fingerprint), Wording::Unknown));
        // Who asks for values or for what went before is not answered by a request without them.
        if decided.iter().any(|decision| decision.doubted) {
            self.doubted += 1;
            return;
        }
        let reasons = self.policies.iter().zip(&decided);
        let mut reasons = reasons.map(|(policy, decision)| because(policy, decision.cause));
        let [was, is] = [0, 1].map(|at| decided.get(at).map_or(Action::Deny, |one| one.judged));
        let (was_because, is_because) = (
            reasons.next().unwrap_or_default(),
            reasons.next().unwrap_or_default(),
        );
        if was == is || self.is_strange(probe) {
            return;
        }
        let example = self.example(probe, [was, is]);
        let key = ([was, is], [was_because.clone(), is_because.clone()]);
        let difference = self.found.entry(key).or_insert_with(|| Difference {
            before: was,
            after: is,
            because: [was_because, is_because],
            examples: Vec::new(),
        });
        let as_text = example.sql.is_some();
        let place = difference
            .examples
            .iter()
            .position(|known| known.sql.is_none());
        if difference.examples.contains(&example) {
        } else if difference.examples.len() < MOST_EXAMPLES {
            difference.examples.push(example);
        } else if let (true, Some(known)) = (
            as_text,
            place.and_then(|at| difference.examples.get_mut(at)),
        ) {
            *known = example;
        }
    }

    /// Whether no statement is like that: a policy's answer to it says nothing.
    fn is_strange(&self, probe: &Probe) -> bool {
        probe.facts.verb == Verb::Unknown && probe.unreadable.is_none()
    }

    /// The example that shows a difference: its text, if both policies decide the text so, too.
    fn example(&self, probe: &Probe, wanted: [Action; 2]) -> Example {
        let sql = sql::text(probe).filter(|text| {
            let lex = LexState::of_dialect(probe.subject.dialect);
            let analysis = analyse(text.as_bytes(), &lex, &Limits::default());
            let print = probe.fingerprint.or(Some(analysis.fingerprint.0));
            let decided = self.policies.map(|policy| {
                let text = Wording::Text(text.as_bytes(), lex);
                decide(policy, probe, (&analysis.facts, print), text).judged
            });
            decided == wanted
        });
        Example::new(probe, sql, self.now)
    }

    fn sorted(&mut self) -> Vec<Difference> {
        let mut all: Vec<Difference> = self.found.drain().map(|(_, one)| one).collect();
        for difference in &mut all {
            difference
                .examples
                .sort_by_key(|example| example.sql.is_none());
        }
        all.sort_by(|one, other| {
            let key = |one: &Difference| (one.change(), one.because.clone());
            key(one).cmp(&key(other))
        });
        all
    }
}

/// What a policy says of a request with these facts.
fn decide(
    policy: &Policy,
    probe: &Probe,
    (facts, print): (&Facts, Option<[u8; 16]>),
    text: Wording<'_>,
) -> Decision {
    let circumstances = Circumstances {
        transaction: probe.transaction,
        text,
        ..Circumstances::default()
    };
    let scene = Scene::new(policy, probe.at, circumstances, only_verb(facts));
    decide_parts(
        policy,
        &policy.standing(&probe.subject),
        scene,
        facts,
        print,
    )
}

/// The rule of an alternative; none for what is only counted.
fn rule_of<'p>(policy: &'p Policy, clause: &Clause) -> Option<&'p crate::rule::Rule> {
    match clause.owner {
        Owner::Rule(at) => policy.rules.get(at),
        Owner::Counter(_) => None,
    }
}

fn wishes<'p>(policy: &'p Policy, clause: &'p Clause) -> Vec<Wish<'p>> {
    let wish = |literal| Wish {
        policy,
        literal,
        holds: true,
    };
    clause.literals().map(wish).collect()
}

/// For each condition of an alternative, the wish that it alone does not hold.
fn misses<'p>(policy: &'p Policy, clause: &'p Clause) -> Vec<Vec<Wish<'p>>> {
    let all = wishes(policy, clause);
    (0..all.len())
        .map(|missed| {
            all.iter()
                .enumerate()
                .map(|(at, wish)| Wish {
                    holds: at != missed,
                    ..*wish
                })
                .collect()
        })
        .collect()
}

/// An alternative as it counts: its action and its conditions, whatever its rule is called and where it stands.
fn form(policy: &Policy, clause: &Clause) -> String {
    let mut parts: Vec<String> = clause
        .literals()
        .map(|literal| {
            let test = match &*literal.test {
                Test::Moment(MomentTest::Time(windows)) => {
                    let windows = windows.iter().filter_map(|at| policy.windows.get(*at));
                    format!("{:?}", windows.collect::<Vec<_>>())
                }
                Test::Moment(MomentTest::History { counter, count }) => {
                    format!("{:?} {count}", policy.counters.get(*counter))
                }
                Test::Subject(_) | Test::Statement(_) | Test::Moment(_) => {
                    format!("{:?}", literal.test)
                }
            };
            format!("{} {test}", literal.negated)
        })
        .collect();
    parts.sort_unstable();
    let action = rule_of(policy, clause).map(|rule| rule.action);
    format!("{action:?} {parts:?}")
}

fn forms(policy: &Policy) -> HashSet<String> {
    policy
        .clauses
        .iter()
        .map(|clause| form(policy, clause))
        .collect()
}

/// What differs beside decisions: defaults and modes, which say what is carried out.
fn notes([old, new]: [&Policy; 2]) -> Vec<String> {
    let mut notes = Vec::new();
    let mut note = |what: String, was: String, is: String| {
        if was != is {
            notes.push(format!("{what}: {was} -> {is}"));
        }
    };
    let (was, is) = (&old.defaults, &new.defaults);
    note(
        "defaults.action".into(),
        was.action.to_string(),
        is.action.to_string(),
    );
    note(
        "defaults.unreadable".into(),
        was.unreadable.to_string(),
        is.unreadable.to_string(),
    );
    note(
        "defaults.mode".into(),
        was.mode.to_string(),
        is.mode.to_string(),
    );
    note(
        "defaults.audit_failure".into(),
        format!("{:?}", was.audit_failure).to_lowercase(),
        format!("{:?}", is.audit_failure).to_lowercase(),
    );
    let listeners = old.listener_modes.iter().chain(&new.listener_modes);
    let names: HashSet<&str> = listeners.map(|(name, _)| &**name).collect();
    let mode = |policy: &Policy, name: &str| {
        let found = policy
            .listener_modes
            .iter()
            .find(|(known, _)| **known == *name);
        found.map_or("the default".to_owned(), |(_, mode)| mode.to_string())
    };
    let mut names: Vec<&str> = names.into_iter().collect();
    names.sort_unstable();
    for name in names {
        note(
            format!("listener.{name}.mode"),
            mode(old, name),
            mode(new, name),
        );
    }
    for rule in &new.rules {
        if let Some(known) = old.rule_named(&rule.id) {
            let word = |mode: Option<crate::vocabulary::Mode>| {
                mode.map_or("the default".to_owned(), |mode| mode.to_string())
            };
            note(
                format!("rule `{}` mode", rule.id),
                word(known.mode),
                word(rule.mode),
            );
        }
    }
    notes
}

impl Difference {
    /// How a statement fares otherwise.
    #[must_use]
    pub fn change(&self) -> Option<crate::replay::Change> {
        crate::replay::Change::between(self.before, self.after)
    }
}

const MOST_EXAMPLES: usize = 3;
/// How many combinations are tried at most.
const MOST_ATTEMPTS: usize = 100_000;
