//! What a session, or what all of them have done lately: exact counts over windows of time, in bounded memory.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::Timestamp;

use crate::policy::Policy;
use crate::vocabulary::Trait;

/// Something that is counted: the statements that match `of`, over a window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counter {
    /// The window, in milliseconds.
    pub within_ms: i64,
    /// The greatest count that must be told from the next one; no more times than this are kept.
    pub keep: u32,
    /// What the sessions have in common whose statements are counted together; empty: each session for itself.
    pub per: Box<[Trait]>,
}

/// What all sessions have done, as far as it counts for the one at hand. The caller keeps these counts: a policy has no
/// memory.
pub trait Across {
    /// How many statements a counter with [`Counter::per`] has counted in its window, up to what it keeps; `None`: that
    /// is not known.
    fn count(&self, counter: usize) -> Option<u32>;
}

/// The longest window: a day.
pub const MAX_WITHIN: Duration = Duration::from_secs(24 * 60 * 60);

/// What one session has done, under one generation of the policy. It takes no memory until something is counted.
#[derive(Clone, Debug, Default)]
pub struct History {
    generation: u64,
    scope: Scope,
    rings: Vec<VecDeque<i64>>,
}

/// What a history takes note of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Scope {
    /// What is counted in a session.
    #[default]
    Session,
    /// Also what is counted across sessions: there is no other one.
    Only,
}

impl History {
    /// The history of a session that is the only one.
    #[must_use]
    pub fn of_the_only_session() -> Self {
        Self {
            scope: Scope::Only,
            ..Self::default()
        }
    }

    /// Whether it has what this counter counts.
    pub(crate) fn has(&self, counter: &Counter) -> bool {
        counter.per.is_empty() || self.scope == Scope::Only
    }

    /// Takes note of a statement that was judged: `counted` is [`crate::Decision::counted`]. Another generation of the
    /// policy begins to count anew.
    pub fn note(&mut self, policy: &Policy, counted: &[u16], now: Timestamp) {
        if counted.is_empty() {
            return;
        }
        if self.generation != policy.generation || self.rings.len() != policy.counters.len() {
            self.generation = policy.generation;
            self.rings = vec![VecDeque::new(); policy.counters.len()];
        }
        let now = now.as_millisecond();
        for number in counted {
            let number = usize::from(*number);
            let (Some(ring), Some(counter)) =
                (self.rings.get_mut(number), policy.counters.get(number))
            else {
                continue;
            };
            if !(counter.per.is_empty() || self.scope == Scope::Only) {
                continue;
            }
            let keep = usize::try_from(counter.keep).unwrap_or(usize::MAX);
            while ring.len() >= keep.max(1)
                || ring
                    .front()
                    .is_some_and(|time| *time <= now - counter.within_ms)
            {
                ring.pop_front();
            }
            ring.push_back(now);
        }
    }

    /// How many statements a counter has counted in its window, up to what it keeps.
    #[must_use]
    pub fn count(&self, policy: &Policy, number: usize, now: Timestamp) -> u32 {
        let (Some(ring), Some(counter)) = (self.rings.get(number), policy.counters.get(number))
        else {
            return 0;
        };
        if self.generation != policy.generation {
            return 0;
        }
        // The times are in order, unless the clock was set back.
        let since = now.as_millisecond() - counter.within_ms;
        let recent = ring.iter().rev().take_while(|time| **time > since).count();
        u32::try_from(recent).unwrap_or(u32::MAX)
    }
}
