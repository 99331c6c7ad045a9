//! Weighs the matching clauses of a message's statements into one decision.

use smallvec::SmallVec;
use std::sync::Arc;

use super::{Cause, Decision, Permit, RefusalText, RuleIndex, Verdict};
use crate::policy::{Policy, SearchPath, Standing};
use crate::rule::clause::PRIVILEGED;
use crate::rule::index::ClauseList;
use crate::rule::moment::Scene;
use crate::rule::statement::StatementView;
use crate::statement::facts::Facts;
use crate::vocabulary::{Action, Mode, Unreadable, Verb};

/// A list of matches holds, for each statement, a head and then as many clauses as the head's low bits say. The high
/// bits mark verbs that only a rule that names them can allow, in the order of [`PRIVILEGED`].
const PRIVILEGED_BITS: [u32; 2] = [1 << 31, 1 << 30];
/// The bits of the number of clauses.
const COUNT: u32 = (1 << 30) - 1;

/// The clauses that each distinct statement of a message matches, whatever the session and the time.
pub(super) fn statement_matches(
    policy: &Policy,
    facts: &Facts,
    unreadable: Option<Unreadable>,
    (fingerprint, path): (Option<[u8; 16]>, Option<&SearchPath>),
) -> ClauseList {
    let mut views = StatementView::of(facts, unreadable, fingerprint, path);
    if let (Some(view), 1) = (views.next(), facts.statements.len()) {
        return one_statement(policy, &view);
    }
    let mut seen = hashbrown::HashSet::new();
    let mut all = ClauseList::new();
    for view in StatementView::of(facts, unreadable, fingerprint, path) {
        let one = one_statement(policy, &view);
        // What is counted is counted as often as it is there.
        let counted = one
            .get(1)
            .and_then(|first| policy.counting(*first))
            .is_some();
        if counted || !seen.contains(&one) {
            all.extend_from_slice(&one);
            seen.insert(one);
        }
    }
    all
}

fn one_statement(policy: &Policy, view: &StatementView<'_>) -> ClauseList {
    let mut list = policy.index.matches(&policy.clauses, view);
    let mut head = u32::try_from(list.len()).unwrap_or(COUNT).min(COUNT);
    for (verb, bit) in PRIVILEGED.into_iter().zip(PRIVILEGED_BITS) {
        if view.statement.verbs_all().any(|found| found == verb) {
            head |= bit;
        }
    }
    list.insert(0, head);
    list
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
            (_, Some(verb), None) => Some(Weight {
                action: Action::Deny,
                cause: Ground::NotNamed(verb),
            }),
            (Some(_), _, _) if self.answers_unreadable => None,
            (Some(reason), _, _) => Some(Weight {
                action: policy.defaults.unreadable,
                cause: Ground::Unreadable(reason),
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

/// What has been heard so far.
pub(super) struct Tally<'a> {
    policy: &'a Policy,
    standing: &'a Standing,
    scene: Scene<'a>,
    judged: Option<Weight>,
    carried: Option<Weight>,
    ranks: SmallVec<[u32; 8]>,
}

impl<'a> Tally<'a> {
    /// An empty tally; none if the standing belongs to another policy.
    pub(super) fn new(
        policy: &'a Policy,
        standing: &'a Standing,
        scene: Scene<'a>,
    ) -> Option<Self> {
        (standing.generation == policy.generation).then(|| Self {
            policy,
            standing,
            scene,
            judged: None,
            carried: None,
            ranks: SmallVec::new(),
        })
    }

    /// Adds every statement of a list of matches.
    pub(super) fn add(&mut self, matches: &[u32], unreadable: Option<Unreadable>) {
        let mut rest = matches;
        while let Some((head, tail)) = rest.split_first() {
            let count = usize::try_from(head & COUNT).unwrap_or(usize::MAX);
            let (clauses, next) = tail.split_at_checked(count).unwrap_or((tail, &[]));
            let marked = PRIVILEGED.into_iter().zip(PRIVILEGED_BITS);
            let privileged = marked
                .filter(|(_, bit)| head & bit != 0)
                .map(|(verb, _)| verb)
                .next();
            self.add_statement(clauses, unreadable, privileged);
            rest = next;
        }
    }

    fn add_statement(
        &mut self,
        clauses: &[u32],
        unreadable: Option<Unreadable>,
        privileged: Option<Verb>,
    ) {
        let (mut judged, mut carried) = (Voices::default(), Voices::default());
        let standing = self.standing;
        if !self.policy.counters.is_empty() {
            self.count(clauses);
        }
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
        if self.standing.mode != Mode::Enforce && !from_rule && carried.action >= Action::Deny {
            carried.action = Action::Allow;
        }
        self.weigh(judged, carried);
    }

    /// Adds the start of a session: the defaults are for statements.
    pub(super) fn add_start(&mut self) {
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

    /// Counts the statement for each counter that it matches; their clauses come first.
    fn count(&mut self, clauses: &[u32]) {
        let free = self.standing.free.iter();
        let held = clauses
            .iter()
            .filter(|clause| self.standing.holds(**clause));
        let mut found: SmallVec<[u16; 4]> = SmallVec::new();
        for list in [
            &mut free.copied() as &mut dyn Iterator<Item = u32>,
            &mut held.copied(),
        ] {
            for (clause, counter) in list.map_while(|number| self.policy.counting(number)) {
                let standing = self.standing.end_user.as_ref();
                if !found.contains(&counter) && clause.admits_moment(&self.scene, standing) {
                    found.push(counter);
                }
            }
        }
        self.scene.counted.extend(found);
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
        if !clause.moment.is_empty() {
            self.scene.keep_literals(clause);
        }
        if !clause.moment.is_empty()
            && !clause.admits_moment(&self.scene, self.standing.end_user.as_ref())
        {
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
    pub(super) fn finish_with(mut self, also: &[&Facts]) -> Decision {
        for facts in also {
            let matches = statement_matches(
                self.policy,
                facts,
                facts.unreadable,
                (None, self.standing.path.as_ref()),
            );
            self.add(&matches, facts.unreadable);
        }
        self.finish()
    }

    pub(super) fn finish(mut self) -> Decision {
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
        let doubted = self.scene.doubted();
        let (literals, counted) = self.scene.into_parts();
        Decision {
            counted,
            literals,
            doubted,
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
