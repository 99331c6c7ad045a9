//! What repeated refusals lead to: `[[escalation]]`.

use std::sync::Arc;
use std::time::Duration;

use crate::vocabulary::{Refused, Trait};

/// So many refusals within a time, and what follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Escalation {
    /// Its name.
    pub id: Arc<str>,
    /// What is counted.
    pub after: Refused,
    /// Only denials by these rules are; empty for all.
    pub rules: Box<[Box<str>]>,
    /// How many lead to it.
    pub count: usize,
    /// Within which time.
    pub within: Duration,
    /// What those that are counted together have in common.
    pub per: Box<[Trait]>,
    /// What follows, besides a record.
    pub then: Consequence,
}

/// What follows from repeated refusals. Each is recorded and counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consequence {
    /// Nothing else.
    Alert,
    /// The session of the last one ends.
    Terminate,
    /// Whoever has `per` in common is kept out for a time.
    Block(Duration),
}

impl Escalation {
    /// Whether a refusal of this kind, by these rules, counts.
    pub fn counts<'r>(&self, refused: Refused, mut rules: impl Iterator<Item = &'r str>) -> bool {
        self.after == refused
            && (self.rules.is_empty()
                || rules.any(|rule| self.rules.iter().any(|named| **named == *rule)))
    }
}
