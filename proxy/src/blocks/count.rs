//! Counts refusals per whoever is refused, within bounds.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hashbrown::HashMap;
use sqlward_policy::rule::escalation::Escalation;

use super::Whom;

/// The most that are counted at once; beyond, those whose time is over make room, and if there are none, nobody new is
/// counted.
const MOST: usize = 10_000;

/// Refusals that are not over yet.
#[derive(Debug, Default)]
pub(super) struct Counts(Mutex<HashMap<Counted, Times>>);

#[derive(Debug, PartialEq, Eq, Hash)]
struct Counted {
    escalation: Arc<str>,
    whom: Whom,
}

#[derive(Debug)]
struct Times {
    within_us: u64,
    /// When, in µs; the oldest first.
    at: VecDeque<u64>,
}

impl Counts {
    /// Counts one more at `now`; answers whether that makes as many as lead on. Then counting begins anew.
    pub(super) fn reach(&self, escalation: &Escalation, whom: Whom, now_us: u64) -> bool {
        let within_us = micros(escalation.within);
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let counted = Counted {
            escalation: Arc::clone(&escalation.id),
            whom,
        };
        if counts.len() >= MOST && !counts.contains_key(&counted) {
            counts.retain(|_, times| times.is_open(now_us));
            if counts.len() >= MOST {
                tracing::warn!(escalation = %escalation.id, "too many are counted for escalations");
                return false;
            }
        }
        let times = counts.entry(counted).or_insert_with(|| Times {
            within_us,
            at: VecDeque::new(),
        });
        times.within_us = within_us;
        let since = now_us.saturating_sub(within_us);
        while times.at.front().is_some_and(|at| *at < since) {
            times.at.pop_front();
        }
        times.at.push_back(now_us);
        let reached = times.at.len() >= escalation.count;
        if reached {
            times.at.clear();
        }
        reached
    }
}

impl Times {
    fn is_open(&self, now_us: u64) -> bool {
        let since = now_us.saturating_sub(self.within_us);
        self.at.back().is_some_and(|at| *at >= since)
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use sqlward_policy::rule::escalation::Consequence;
    use sqlward_policy::vocabulary::{Refused, Trait};

    use super::*;

    fn escalation(count: usize, seconds: u64) -> Escalation {
        Escalation {
            id: "guessing".into(),
            after: Refused::FailedLogin,
            rules: Box::default(),
            count,
            within: Duration::from_secs(seconds),
            per: Box::new([Trait::User]),
            then: Consequence::Alert,
        }
    }

    fn user(name: &str) -> Whom {
        Whom {
            user: Some(name.to_owned()),
            ..Whom::default()
        }
    }

    #[test]
    fn counts_within_a_time_per_whom() {
        let (counts, three) = (Counts::default(), escalation(3, 10));
        let second = 1_000_000;
        let reached = |name: &str, at: u64| counts.reach(&three, user(name), at * second);
        assert!(!reached("a", 100) && !reached("a", 105) && !reached("b", 105));
        // The first is over.
        assert!(!reached("a", 111));
        assert!(reached("a", 112));
        assert!(!reached("a", 113) && !reached("b", 113));
        assert!(reached("b", 114));
        // A clock that steps back does not lose count.
        assert!(!reached("a", 50));
        assert!(reached("a", 51));
    }

    #[test]
    fn memory_is_bounded() {
        let (counts, two) = (Counts::default(), escalation(2, 10));
        for number in 0..MOST {
            assert!(!counts.reach(&two, user(&number.to_string()), 1_000_000));
        }
        assert!(!counts.reach(&two, user("late"), 2_000_000));
        assert!(!counts.reach(&two, user("late"), 2_000_000));
        // When their time is over, there is room again.
        assert!(!counts.reach(&two, user("late"), 20_000_000));
        assert!(counts.reach(&two, user("late"), 20_000_000));
        let kept = counts.0.lock().unwrap().len();
        assert_eq!(kept, 1);
    }
}
