//! What the policy counts across sessions: `history` with `per`. Exact, in bounded memory, under one lock that nobody takes
//! whose policy has no such condition.
//!
//! The lock is held from the first look at a count to the note of the statement that looked, so that of two statements at
//! once one is the last that fits and the other is the first beyond.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use hashbrown::HashMap;
use ipnet::IpNet;
use jiff::Timestamp;
use sqlward_policy::{
    Policy, Subject,
    rule::history::{Across, Counter},
    vocabulary::Trait,
};

use crate::blocks::Whom;

/// The most that are counted at once: subjects times counters.
const MOST: usize = 10_000;

/// The most times that are kept in all: 32 MiB.
const MOST_TIMES: usize = 1 << 22;

/// How often room is looked for at most, in milliseconds.
const LOOK_MS: i64 = 1_000;

/// What all sessions have done, as far as the policy counts it.
#[derive(Debug, Default)]
pub(crate) struct Rates(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    generation: u64,
    counts: HashMap<Counted, VecDeque<i64>>,
    /// Times in all of them.
    kept: usize,
    /// When room may be looked for again.
    look_at: i64,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Counted {
    counter: u16,
    /// What `per` names of the session; nobody, where there is no end user.
    whom: Whom,
}

/// The counts as one statement sees them.
pub(crate) struct Sight<'a> {
    rates: &'a Rates,
    policy: &'a Policy,
    now_ms: i64,
    traits: Whom,
    held: RefCell<Option<MutexGuard<'a, Table>>>,
}

impl Rates {
    /// The counts for a statement of this subject, who acts for `end_user`; `None` if the policy asks for none.
    pub(crate) fn sight<'a>(
        &'a self,
        policy: &'a Policy,
        (subject, end_user): (&Subject, Option<&str>),
        now: Timestamp,
    ) -> Option<Sight<'a>> {
        policy.asks().across.then(|| Sight {
            rates: self,
            policy,
            now_ms: now.as_millisecond(),
            traits: Whom {
                user: Some(subject.user.clone()),
                client: Some(IpNet::from(subject.client.to_canonical())),
                end_user: end_user.map(str::to_owned),
                application: Some(subject.application.clone()),
            },
            held: RefCell::new(None),
        })
    }
}

impl<'a> Sight<'a> {
    /// Take note of the statement: `counted` is [`sqlward_policy::Decision::counted`].
    pub(crate) fn note(self, counted: &[u16]) {
        for number in counted {
            let Some(counter) = self.counter(usize::from(*number)) else {
                continue;
            };
            let key = self.key(*number, counter);
            self.with(|table| table.note(key, counter, self.now_ms));
        }
    }

    /// A counter, if it counts across sessions.
    fn counter(&self, number: usize) -> Option<&'a Counter> {
        let counter = self.policy.counters().get(number)?;
        (!counter.per.is_empty()).then_some(counter)
    }

    fn key(&self, number: u16, counter: &Counter) -> Counted {
        let mut whom = Whom::default();
        for what in &counter.per {
            match what {
                Trait::User => whom.user.clone_from(&self.traits.user),
                Trait::Client => whom.client = self.traits.client,
                Trait::EndUser => whom.end_user.clone_from(&self.traits.end_user),
                Trait::Application => whom.application.clone_from(&self.traits.application),
            }
        }
        Counted {
            counter: number,
            whom,
        }
    }

    /// Looks at the table, and holds it from then on. `None`: another load of the policy has it already.
    fn with<T>(&self, look: impl FnOnce(&mut Table) -> T) -> Option<T> {
        let mut held = self.held.borrow_mut();
        let table =
            held.get_or_insert_with(|| self.rates.0.lock().unwrap_or_else(PoisonError::into_inner));
        if table.generation < self.policy.generation {
            **table = Table {
                generation: self.policy.generation,
                ..Table::default()
            };
        }
        (table.generation == self.policy.generation).then(|| look(table))
    }
}

impl Across for Sight<'_> {
    fn count(&self, number: usize) -> Option<u32> {
        let counter = self.counter(number)?;
        let key = self.key(u16::try_from(number).ok()?, counter);
        self.with(|table| table.count(&key, (self.policy.counters(), counter), self.now_ms))?
    }
}

impl Table {
    fn count(
        &mut self,
        key: &Counted,
        (counters, counter): (&[Counter], &Counter),
        now_ms: i64,
    ) -> Option<u32> {
        self.make_room(counters, now_ms);
        let since = now_ms.saturating_sub(counter.within_ms);
        let keep = usize::try_from(counter.keep).unwrap_or(usize::MAX);
        match self.counts.get(key) {
            // It could not grow.
            Some(times) if self.kept >= MOST_TIMES && times.len() < keep => None,
            Some(times) => {
                let recent = times.iter().rev().take_while(|time| **time > since).count();
                Some(u32::try_from(recent).unwrap_or(u32::MAX))
            }
            None if self.is_full() => None,
            None => Some(0),
        }
    }

    fn note(&mut self, key: Counted, counter: &Counter, now_ms: i64) {
        if self.is_full() && !self.counts.contains_key(&key) {
            return;
        }
        let since = now_ms.saturating_sub(counter.within_ms);
        let keep = usize::try_from(counter.keep).unwrap_or(usize::MAX).max(1);
        let times = self.counts.entry(key).or_default();
        let before = times.len();
        while times.len() >= keep || times.front().is_some_and(|time| *time <= since) {
            times.pop_front();
        }
        self.kept = self.kept.saturating_sub(before - times.len());
        if self.kept < MOST_TIMES {
            // Sessions don't look at the clock at the same moment: the times stay in order.
            let last = times.back().copied().unwrap_or(now_ms);
            times.push_back(now_ms.max(last));
            self.kept += 1;
        }
    }

    fn is_full(&self) -> bool {
        self.counts.len() >= MOST || self.kept >= MOST_TIMES
    }

    /// When it is full: forget what is over.
    fn make_room(&mut self, counters: &[Counter], now_ms: i64) {
        if !self.is_full() || now_ms < self.look_at {
            return;
        }
        self.look_at = now_ms.saturating_add(LOOK_MS);
        self.counts.retain(|key, times| {
            let within = counters.get(usize::from(key.counter)).map(|c| c.within_ms);
            let since = now_ms.saturating_sub(within.unwrap_or_default());
            while times.front().is_some_and(|time| *time <= since) {
                times.pop_front();
            }
            !times.is_empty()
        });
        self.kept = self.counts.values().map(VecDeque::len).sum();
        if self.is_full() {
            tracing::warn!("too many are counted for `history` with `per`: nobody new is");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: &str = r#"schema = 1
defaults.action = "allow"
[[rule]]
id = "rate"
action = "deny"
when = { history = { count = "> 2", within = "10s", of = { everything = true }, per = ["user"] } }
"#;

    fn policy(generation: u64) -> Policy {
        let policy = sqlward_policy::compile(vec![("p.toml".into(), POLICY.into())]).unwrap();
        policy.with_generation(generation)
    }

    /// Counts, then notes: what a statement does.
    fn send(rates: &Rates, policy: &Policy, user: &str, second: i64) -> Option<u32> {
        let subject = Subject {
            user: user.into(),
            ..Subject::default()
        };
        let now = Timestamp::from_second(second).unwrap();
        let sight = rates.sight(policy, (&subject, None), now).unwrap();
        let count = sight.count(0);
        sight.note(&[0]);
        count
    }

    #[test]
    fn each_user_has_a_window_of_its_own_that_slides() {
        let (rates, policy) = (Rates::default(), policy(1));
        let send = |user: &str, second: i64| send(&rates, &policy, user, second).unwrap();
        assert_eq!([send("a", 0), send("a", 4), send("b", 4)], [0, 1, 0]);
        assert_eq!(send("a", 9), 2);
        // Of the three at 0, 4 and 9, those of the last ten seconds.
        assert_eq!(send("a", 10), 2);
        assert_eq!(send("a", 20), 0);
        // A session that looked at the clock earlier does not hide what came later.
        assert_eq!([send("c", 21), send("c", 20), send("c", 30)], [0, 1, 2]);
    }

    #[test]
    fn of_all_at_once_exactly_as_many_fit_as_may() {
        let (rates, policy) = (Rates::default(), policy(1));
        let fit = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| {
                        let counts = (0..50).map(|_| send(&rates, &policy, "a", 5));
                        counts.filter(|count| count.unwrap() < 2).count()
                    })
                })
                .collect();
            threads
                .into_iter()
                .map(|one| one.join().unwrap())
                .sum::<usize>()
        });
        assert_eq!(fit, 2);
    }

    #[test]
    fn memory_is_bounded_and_what_is_beyond_is_not_known() {
        let (rates, policy) = (Rates::default(), policy(1));
        for number in 0..MOST {
            assert_eq!(send(&rates, &policy, &number.to_string(), 0), Some(0));
        }
        assert_eq!(send(&rates, &policy, "late", 5), None);
        assert_eq!(send(&rates, &policy, "7", 5), Some(1));
        assert_eq!(rates.0.lock().unwrap().counts.len(), MOST);
        // Their time is over: there is room again, and "7" is still known.
        assert_eq!(send(&rates, &policy, "late", 11), Some(0));
        assert_eq!(send(&rates, &policy, "7", 11), Some(1));
        let table = rates.0.lock().unwrap();
        assert_eq!((table.counts.len(), table.kept), (2, 3));
    }

    #[test]
    fn times_are_bounded_in_all() {
        let (rates, policy) = (Rates::default(), policy(1));
        assert_eq!(send(&rates, &policy, "a", 0), Some(0));
        rates.0.lock().unwrap().kept = MOST_TIMES;
        let subject = Subject::default();
        let now = Timestamp::from_second(1).unwrap();
        // Room is looked for, and what is kept is counted anew.
        let sight = rates.sight(&policy, (&subject, None), now).unwrap();
        assert_eq!(sight.count(0), Some(0));
        drop(sight);
        let mut table = rates.0.lock().unwrap();
        assert_eq!(table.kept, 1);
        table.kept = MOST_TIMES;
        drop(table);
        assert_eq!(send(&rates, &policy, "a", 1), None);
        assert_eq!(send(&rates, &policy, "b", 1), None);
        assert_eq!(rates.0.lock().unwrap().kept, MOST_TIMES);
    }

    #[test]
    fn another_policy_counts_anew_and_the_one_before_knows_nothing() {
        let (rates, old, new) = (Rates::default(), policy(1), policy(2));
        assert_eq!(send(&rates, &old, "a", 0), Some(0));
        assert_eq!(send(&rates, &old, "a", 0), Some(1));
        assert_eq!(send(&rates, &new, "a", 0), Some(0));
        assert_eq!(send(&rates, &old, "a", 0), None);
        assert_eq!(send(&rates, &new, "a", 0), Some(1));
    }

    #[test]
    fn who_counts_nothing_looks_at_nothing() {
        let text = "schema = 1\ndefaults.action = \"allow\"\n";
        let policy = sqlward_policy::compile(vec![("p.toml".into(), text.into())]).unwrap();
        let rates = Rates::default();
        let sight = rates.sight(&policy, (&Subject::default(), None), Timestamp::UNIX_EPOCH);
        assert!(sight.is_none());
    }
}
