//! Decides: what happens to a statement, why, and the permit without which none leaves.
//!
//! Per statement: the strongest action of the matching alert, deny and terminate rules; without one, `allow` if an allow
//! rule matches or the default allows; else `deny`. A message gets the strongest action of its statements and of the
//! statements that it runs (`also`). A statement that can't be read gets `[defaults] unreadable`, unless a rule with an
//! `unreadable` condition answers for it; allow rules never match it. Replication and function calls pass only if an
//! allow rule names them. Rules in observe mode count for `judged`, not for `action`.

use std::sync::Arc;

use jiff::Timestamp;
use smallvec::SmallVec;

use crate::policy::{Policy, Standing};
use crate::rule::clause::PRIVILEGED;
use crate::rule::index::ClauseList;
use crate::rule::statement::StatementView;
use crate::rule::subject::Subject;
use crate::statement::facts::{Facts, StatementFacts};
use crate::statement::{Known, SlotEntry};
use crate::vocabulary::{Action, Class, LimitShape, Mode, Severity, Unreadable, Verb, WhereShape};

/// What is to be decided.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The message's statement.
    pub statement: &'a Known,
    /// Which rules may match in this session.
    pub standing: &'a Standing,
    /// The time of the decision.
    pub now: Timestamp,
    /// Bodies of SQL-level prepared statements and cursors that the message runs; judged together with it.
    pub also: &'a [&'a Facts],
    /// Why the session can't rely on the reading, where only the session knows.
    pub unreadable_override: Option<Unreadable>,
}

/// The position of a rule in its policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RuleIndex(pub usize);

/// Why a decision is what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A rule matched.
    Rule(RuleIndex),
    /// No rule matched.
    Default,
    /// The statement can't be read exactly.
    Unreadable(Unreadable),
    /// No allow rule names this verb, which only a rule can allow.
    NotNamed(Verb),
    /// The session's standing belongs to another generation of the policy.
    Stale,
}

/// Leave for one statement to go to the server. Only a passing decision holds one.
#[derive(Debug)]
pub struct Permit(());

/// What happens to a message, and why.
#[derive(Debug)]
#[must_use]
pub struct Decision {
    /// What is carried out.
    pub action: Action,
    /// What the rules say.
    pub judged: Action,
    /// Whether what the rules say is carried out.
    pub mode: Mode,
    /// Every rule that matched, the strongest first.
    pub rules: SmallVec<[RuleIndex; 4]>,
    /// Why `judged` is what it is.
    pub cause: Cause,
    verdict: Verdict,
}

#[derive(Debug)]
enum Verdict {
    Pass(Permit),
    Refuse(Arc<RefusalText>),
}

/// What the client of a refused statement is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusalText {
    /// The error code.
    pub sqlstate: &'static str,
    /// The message.
    pub message: Box<str>,
    /// The detail line: which rule or default refused.
    pub detail: Box<str>,
    /// The rule, if one refused.
    pub rule: Option<Box<str>>,
    /// Whether the session ends, too.
    pub terminate: bool,
}

/// `insufficient_privilege`.
pub const SQLSTATE_REFUSED: &str = "42501";

/// What is left of a decision that let its statement pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Note {
    /// `allow` or `alert`.
    pub action: Action,
    /// What the rules say.
    pub judged: Action,
    /// Whether what the rules say is carried out.
    pub mode: Mode,
}

/// A decision, taken apart.
#[derive(Debug)]
#[must_use]
pub enum Outcome {
    /// The statement may go.
    Permitted(Permit, Note),
    /// It may not.
    Refused(Arc<RefusalText>),
}

impl Decision {
    /// Takes the decision apart: a permit, or what the client is told.
    pub fn into_outcome(self) -> Outcome {
        match self.verdict {
            Verdict::Pass(permit) => Outcome::Permitted(
                permit,
                Note {
                    action: self.action,
                    judged: self.judged,
                    mode: self.mode,
                },
            ),
            Verdict::Refuse(text) => Outcome::Refused(text),
        }
    }

    /// What the client is told, if the statement is refused.
    #[must_use]
    pub fn refusal(&self) -> Option<&RefusalText> {
        match &self.verdict {
            Verdict::Pass(_) => None,
            Verdict::Refuse(text) => Some(text),
        }
    }

    /// The severity of the strongest rule that alerts or denies; without one, that of a denial by default is `low`.
    #[must_use]
    pub fn severity(&self, policy: &Policy) -> Option<Severity> {
        if self.judged == Action::Allow {
            return None;
        }
        let rule = match self.cause {
            Cause::Rule(index) => policy.rule(index).map(|rule| rule.severity),
            Cause::Default | Cause::Unreadable(_) | Cause::NotNamed(_) | Cause::Stale => None,
        };
        Some(rule.unwrap_or(Severity::Low))
    }
}

/// Decides about one message.
pub fn decide(policy: &Policy, request: &Request<'_>) -> Decision {
    let Known { analysis, slot } = request.statement;
    let print = Some(analysis.fingerprint.0);
    let Some(mut tally) = Tally::new(policy, request.standing, request.now) else {
        return Decision::stale(policy);
    };
    if let Some(reason) = request
        .unreadable_override
        .filter(|_| analysis.facts.unreadable.is_none())
    {
        let matches = statement_matches(policy, &analysis.facts, Some(reason), print);
        tally.add(&matches, Some(reason));
        return tally.finish_with(request.also);
    }
    let unreadable = analysis.facts.unreadable;
    let kept = slot.with(policy.generation, |matches| tally.add(matches, unreadable));
    if kept.is_none() {
        let rules = statement_matches(policy, &analysis.facts, unreadable, print);
        tally.add(&rules, unreadable);
        slot.set(SlotEntry {
            generation: policy.generation,
            rules,
        });
    }
    tally.finish_with(request.also)
}

/// Decides about facts that no cache keeps.
pub fn decide_facts(
    policy: &Policy,
    standing: &Standing,
    now: Timestamp,
    facts: &Facts,
) -> Decision {
    decide_parts(policy, standing, now, facts, None)
}

/// Decides about facts with a fingerprint.
pub(crate) fn decide_parts(
    policy: &Policy,
    standing: &Standing,
    now: Timestamp,
    facts: &Facts,
    fingerprint: Option<[u8; 16]>,
) -> Decision {
    let Some(mut tally) = Tally::new(policy, standing, now) else {
        return Decision::stale(policy);
    };
    let matches = statement_matches(policy, facts, facts.unreadable, fingerprint);
    tally.add(&matches, facts.unreadable);
    tally.finish()
}

/// Decides about the start of a session: rules that have no condition on statements may refuse it, and a replication
/// connection needs an allow rule that names the verb.
pub fn decide_startup(
    policy: &Policy,
    subject: &Subject,
    replication: bool,
    now: Timestamp,
) -> Decision {
    let standing = policy.standing(subject);
    if replication {
        return decide_facts(policy, &standing, now, &privileged_facts(Verb::Replication));
    }
    match Tally::new(policy, &standing, now) {
        Some(mut tally) => {
            tally.add_start();
            tally.finish()
        }
        None => Decision::stale(policy),
    }
}

/// Decides about a function call of the protocol: it needs an allow rule that names the verb.
pub fn decide_function_call(policy: &Policy, standing: &Standing, now: Timestamp) -> Decision {
    decide_facts(policy, standing, now, &privileged_facts(Verb::FunctionCall))
}

/// The facts of a request that is no statement.
fn privileged_facts(verb: Verb) -> Facts {
    let statement = StatementFacts {
        verb,
        verbs: SmallVec::from_iter([verb]),
        class: Class::Admin,
        objects: Vec::new(),
        columns: Vec::new(),
        functions: Vec::new(),
        where_shape: WhereShape::NotApplicable,
        limit: LimitShape::NotApplicable,
        egress: SmallVec::new(),
        dynamic: false,
        effects: Vec::new(),
    };
    Facts {
        statements: vec![statement],
        unreadable: None,
    }
}

/// Ends the clauses of one statement in a list of matches.
const END: u32 = u32::MAX;
/// Marks a statement that only a rule that names its verb can allow; the first of [`PRIVILEGED`], then the next.
const PRIVILEGED_MARKS: [u32; 2] = [u32::MAX - 1, u32::MAX - 2];

/// The clauses that each distinct statement of a message matches, whatever the session and the time.
pub(crate) fn statement_matches(
    policy: &Policy,
    facts: &Facts,
    unreadable: Option<Unreadable>,
    fingerprint: Option<[u8; 16]>,
) -> ClauseList {
    let mut views = StatementView::of(facts, unreadable, fingerprint, policy.search_path());
    if let (Some(view), 1) = (views.next(), facts.statements.len()) {
        return one_statement(policy, &view);
    }
    let mut seen = hashbrown::HashSet::new();
    let mut all = ClauseList::new();
    for view in StatementView::of(facts, unreadable, fingerprint, policy.search_path()) {
        let one = one_statement(policy, &view);
        if !seen.contains(&one) {
            all.extend_from_slice(&one);
            seen.insert(one);
        }
    }
    all
}

fn one_statement(policy: &Policy, view: &StatementView<'_>) -> ClauseList {
    let mut clauses = policy.index.matches(&policy.clauses, view);
    for (verb, mark) in PRIVILEGED.into_iter().zip(PRIVILEGED_MARKS) {
        if view.statement.verbs_all().any(|found| found == verb) {
            clauses.push(mark);
        }
    }
    clauses.push(END);
    clauses
}

/// An action and its cause; the causes are compared by rank.
#[derive(Clone, Copy, Debug)]
struct Weight {
    action: Action,
    cause: Ground,
}

#[derive(Clone, Copy, Debug)]
enum Ground {
    Rule { rank: u32 },
    Default,
    Unreadable(Unreadable),
    NotNamed(Verb),
}

impl Weight {
    /// The stronger one; of equals, the rule that is shown first.
    const fn max(self, other: Self) -> Self {
        let (mine, others) = (self.action as u8, other.action as u8);
        if others > mine {
            return other;
        }
        if others < mine {
            return self;
        }
        match (self.cause, other.cause) {
            (Ground::Rule { rank: mine }, Ground::Rule { rank: others }) if others < mine => other,
            (Ground::Rule { .. }, _) => self,
            (_, Ground::Rule { .. }) => other,
            (_, _) => self,
        }
    }
}

/// What the rules say about one statement: all of them, or those that are carried out.
#[derive(Clone, Copy, Default)]
struct Voices {
    strongest: Option<Weight>,
    allowed: Option<Weight>,
    answers_unreadable: bool,
}

impl Voices {
    fn hear(&mut self, weight: Weight, names_unreadable: bool) {
        let side = match weight.action {
            Action::Allow => &mut self.allowed,
            Action::Alert | Action::Deny | Action::Terminate => {
                self.answers_unreadable |= names_unreadable;
                &mut self.strongest
            }
        };
        *side = Some(side.map_or(weight, |known| known.max(weight)));
    }

    /// The statement's action.
    fn settle(
        self,
        policy: &Policy,
        unreadable: Option<Unreadable>,
        privileged: Option<Verb>,
    ) -> Weight {
        let base = match (unreadable, privileged, self.allowed) {
            (Some(_), _, _) if self.answers_unreadable => None,
            (Some(reason), _, _) => Some(Weight {
                action: policy.defaults.unreadable,
                cause: Ground::Unreadable(reason),
            }),
            (None, Some(verb), None) => Some(Weight {
                action: Action::Deny,
                cause: Ground::NotNamed(verb),
            }),
            (None, _, Some(allowed)) => Some(allowed),
            (None, None, None) if self.strongest.is_some() => None,
            (None, None, None) => Some(Weight {
                action: policy.defaults.action,
                cause: Ground::Default,
            }),
        };
        match (self.strongest, base) {
            (Some(strongest), Some(base)) => strongest.max(base),
            (Some(only), None) | (None, Some(only)) => only,
            (None, None) => Weight {
                action: Action::Deny,
                cause: Ground::Default,
            },
        }
    }
}

struct Tally<'a> {
    policy: &'a Policy,
    standing: &'a Standing,
    now: Timestamp,
    judged: Option<Weight>,
    carried: Option<Weight>,
    ranks: SmallVec<[u32; 8]>,
}

impl<'a> Tally<'a> {
    /// An empty tally; none if the standing belongs to another policy.
    fn new(policy: &'a Policy, standing: &'a Standing, now: Timestamp) -> Option<Self> {
        (standing.generation == policy.generation).then(|| Self {
            policy,
            standing,
            now,
            judged: None,
            carried: None,
            ranks: SmallVec::new(),
        })
    }

    /// Adds every statement of a list of matches.
    fn add(&mut self, matches: &[u32], unreadable: Option<Unreadable>) {
        for set in matches.split_inclusive(|clause| *clause == END) {
            self.add_statement(set, unreadable);
        }
    }

    fn add_statement(&mut self, set: &[u32], unreadable: Option<Unreadable>) {
        let mut clauses = set;
        let mut privileged = None;
        while let Some((last, rest)) = clauses.split_last() {
            let mark = PRIVILEGED_MARKS.iter().position(|mark| mark == last);
            match mark.and_then(|at| PRIVILEGED.get(at)) {
                Some(verb) => privileged = Some(*verb),
                None if *last == END => {}
                None => break,
            }
            clauses = rest;
        }
        let (mut judged, mut carried) = (Voices::default(), Voices::default());
        let standing = self.standing;
        for clause in &standing.free {
            self.hear(*clause, unreadable, &mut judged, &mut carried);
        }
        // The shorter list is walked: neither many rules of other sessions nor many of other statements cost time.
        if clauses.len() <= standing.list.len() {
            for clause in clauses.iter().filter(|clause| standing.holds(**clause)) {
                self.hear(*clause, unreadable, &mut judged, &mut carried);
            }
        } else {
            for clause in standing
                .list
                .iter()
                .filter(|c| clauses.binary_search(c).is_ok())
            {
                self.hear(*clause, unreadable, &mut judged, &mut carried);
            }
        }
        let judged = judged.settle(self.policy, unreadable, privileged);
        let mut carried = carried.settle(self.policy, unreadable, privileged);
        let from_rule = matches!(carried.cause, Ground::Rule { .. });
        if self.standing.mode == Mode::Observe && !from_rule && carried.action >= Action::Deny {
            carried.action = Action::Allow;
        }
        self.weigh(judged, carried);
    }

    /// Adds the start of a session: the defaults are for statements.
    fn add_start(&mut self) {
        let (mut judged, mut carried) = (Voices::default(), Voices::default());
        for clause in &self.standing.free {
            self.hear(*clause, None, &mut judged, &mut carried);
        }
        let start = Weight {
            action: Action::Allow,
            cause: Ground::Default,
        };
        let settle = |voices: Voices| voices.strongest.unwrap_or(start);
        self.weigh(settle(judged), settle(carried));
    }

    fn weigh(&mut self, judged: Weight, carried: Weight) {
        self.judged = Some(self.judged.map_or(judged, |known| known.max(judged)));
        self.carried = Some(self.carried.map_or(carried, |known| known.max(carried)));
    }

    fn hear(
        &mut self,
        number: u32,
        unreadable: Option<Unreadable>,
        judged: &mut Voices,
        carried: &mut Voices,
    ) {
        let Some((clause, rule)) = self.policy.clause(number) else {
            return;
        };
        if rule.action == Action::Allow && unreadable.is_some() {
            return;
        }
        if !clause.time.is_empty() && !clause.admits_time(&self.policy.windows, self.now) {
            return;
        }
        let weight = Weight {
            action: rule.action,
            cause: Ground::Rule { rank: rule.rank },
        };
        judged.hear(weight, clause.names_unreadable);
        if rule.mode.unwrap_or(self.standing.mode) == Mode::Enforce {
            carried.hear(weight, clause.names_unreadable);
        }
        self.ranks.push(rule.rank);
    }

    /// Adds the bodies that the message runs, and decides.
    fn finish_with(mut self, also: &[&Facts]) -> Decision {
        for facts in also {
            let matches = statement_matches(self.policy, facts, facts.unreadable, None);
            self.add(&matches, facts.unreadable);
        }
        self.finish()
    }

    fn finish(mut self) -> Decision {
        let policy = self.policy;
        // Without a statement there is nothing that was examined.
        let none = Weight {
            action: Action::Deny,
            cause: Ground::Unreadable(Unreadable::Syntax),
        };
        let judged = self.judged.unwrap_or(none);
        let carried = self.carried.unwrap_or(none);
        self.ranks.sort_unstable();
        self.ranks.dedup();
        let rule_of = |rank: u32| {
            let position = usize::try_from(rank)
                .ok()
                .and_then(|rank| policy.by_rank.get(rank));
            position.copied().map(RuleIndex)
        };
        let (cause, mode) = match judged.cause {
            Ground::Rule { rank } => match rule_of(rank) {
                Some(index) => {
                    let own = policy.rule(index).and_then(|rule| rule.mode);
                    (Cause::Rule(index), own.unwrap_or(self.standing.mode))
                }
                None => (Cause::Stale, Mode::Enforce),
            },
            Ground::Default => (Cause::Default, self.standing.mode),
            Ground::Unreadable(reason) => (Cause::Unreadable(reason), self.standing.mode),
            Ground::NotNamed(verb) => (Cause::NotNamed(verb), self.standing.mode),
        };
        let verdict = match carried.action {
            Action::Allow | Action::Alert => Verdict::Pass(Permit(())),
            Action::Deny | Action::Terminate => {
                Verdict::Refuse(self.refusal(carried.cause, rule_of))
            }
        };
        Decision {
            action: carried.action,
            judged: judged.action,
            mode,
            rules: self
                .ranks
                .iter()
                .filter_map(|rank| rule_of(*rank))
                .collect(),
            cause,
            verdict,
        }
    }

    fn refusal(
        &self,
        cause: Ground,
        rule_of: impl Fn(u32) -> Option<RuleIndex>,
    ) -> Arc<RefusalText> {
        let answers = &self.policy.answers;
        let text = match cause {
            Ground::Rule { rank } => rule_of(rank)
                .and_then(|index| self.policy.rule(index))
                .map_or(&answers.stale, |rule| &rule.refusal),
            Ground::Default => &answers.default,
            Ground::Unreadable(reason) => answers
                .unreadable
                .iter()
                .find(|(known, _)| *known == reason)
                .map_or(&answers.default, |(_, text)| text),
            Ground::NotNamed(Verb::FunctionCall) => &answers.function_call,
            Ground::NotNamed(_) => &answers.replication,
        };
        Arc::clone(text)
    }
}

impl Decision {
    fn stale(policy: &Policy) -> Self {
        Self {
            action: Action::Deny,
            judged: Action::Deny,
            mode: Mode::Enforce,
            rules: SmallVec::new(),
            cause: Cause::Stale,
            verdict: Verdict::Refuse(Arc::clone(&policy.answers.stale)),
        }
    }
}
