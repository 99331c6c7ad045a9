//! What of a store is verified.

use std::collections::BTreeMap;
use std::ops::{Range, RangeInclusive};

use crate::embedded::KeptEntry;
use crate::ship::pairing::Pairing;
use crate::time::Day;

/// What of a store is verified: blocks of some days, of some places in the tree. The tree and its checkpoints always
/// are.
#[derive(Clone, Debug)]
pub struct Scope {
    days: RangeInclusive<Day>,
    leaves: Range<u64>,
    before: BTreeMap<u16, Before>,
}

/// What is known of a lane before its first block.
#[derive(Clone, Debug)]
pub(crate) struct Before {
    pub(crate) node: u16,
    pub(crate) kept: Vec<KeptEntry>,
}

impl Before {
    /// The lane's pairing as it was then.
    pub(crate) fn pairing(&self, lane: u16, day: Day) -> Pairing {
        let mut pairing = Pairing::new(lane, self.node, day);
        // What can't be read is missing from the blocks that need it, and shows there.
        pairing.restore_all(&self.kept);
        pairing
    }
}

impl Default for Scope {
    /// All of it.
    fn default() -> Self {
        Self::span(None, None)
    }
}

impl Scope {
    /// The days (UTC) of a span of time: from `from` on, before `to`, both in µs since 1970.
    #[must_use]
    pub fn span(from: Option<u64>, to: Option<u64>) -> Self {
        let first = from.map_or(Day(0), Day::of);
        let last = to.map_or(Day(u32::MAX), |to| Day::of(to.saturating_sub(1)));
        Self {
            days: first..=last,
            leaves: 0..u64::MAX,
            before: BTreeMap::new(),
        }
    }

    /// The blocks of these leaves, and what is known of their lanes before.
    pub(crate) fn leaves(leaves: Range<u64>, before: BTreeMap<u16, Before>) -> Self {
        Self {
            leaves,
            before,
            ..Self::default()
        }
    }

    /// The first leaf, and the first behind the last.
    pub(crate) fn bounds(&self) -> (u64, u64) {
        (self.leaves.start, self.leaves.end)
    }

    /// Whether something is left out.
    pub(super) fn is_part(&self) -> bool {
        let whole = Self::default();
        (&self.days, &self.leaves) != (&whole.days, &whole.leaves)
    }

    /// A lane's pairing where its first block is taken up.
    pub(super) fn pairing(&self, lane: u16, node: u16, day: Day) -> Pairing {
        match self.before.get(&lane) {
            Some(before) => before.pairing(lane, day),
            None => Pairing::new(lane, node, day),
        }
    }

    pub(super) fn first_leaf(&self) -> u64 {
        self.leaves.start
    }

    pub(super) fn holds_day(&self, day: Day) -> bool {
        self.days.contains(&day)
    }

    /// Whether a day is in it, or behind it.
    pub(super) fn reaches(&self, day: Day) -> bool {
        *self.days.start() <= day
    }

    pub(super) fn holds(&self, position: u64, day: Day) -> bool {
        self.leaves.contains(&position) && self.holds_day(day)
    }
}
