//! Learns a policy from recorded statements: what each user does, generalised to verbs and objects, as allow rules.
//!
//! The record is what is learnt from; nothing else is kept. A proposal is checked before it is shown: it is compiled, every
//! statement that it was learnt from is decided by it, and what its general rules don't allow is allowed by fingerprint.

mod deeds;
mod progress;
mod propose;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hashbrown::HashMap;

pub use self::progress::{Hour, Progress};
pub use self::propose::{Proposal, ProposeError, Style};
use crate::replay::{Entry, Recorded};
use crate::vocabulary::Action;

/// What was learnt of users so far.
#[derive(Debug, Default)]
pub struct Learnt {
    users: BTreeMap<Who, User>,
    /// Statements that teach nothing, by reason.
    pub left_out: BTreeMap<LeftOut, u64>,
}

/// Whom a rule will be about.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Who {
    pub(crate) dialect: &'static str,
    pub(crate) user: String,
}

/// What was learnt of a user.
#[derive(Debug, Default)]
pub(crate) struct User {
    pub(crate) seen: HashMap<[u8; 16], Lesson>,
    pub(crate) statements: u64,
    /// Statements by hour since 1970, whether new or not.
    pub(crate) hours: BTreeMap<i64, u64>,
    pub(crate) applications: BTreeSet<String>,
}

/// What was learnt from statements of one fingerprint.
#[derive(Clone, Debug)]
pub(crate) struct Lesson {
    /// One of them.
    pub(crate) example: Recorded,
    pub(crate) count: u64,
    /// The hour in which the first came, since 1970.
    pub(crate) first_hour: i64,
}

/// Why a statement teaches nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LeftOut {
    /// The policy in force refused it.
    Refused,
    /// It can't be read exactly: no allow rule matches it.
    Unreadable,
    /// It is no statement, or its record has no facts.
    NoFacts,
    /// It runs what SQL text has prepared or declared under a name: what that was its record does not say.
    Named,
    /// There are more fingerprints than are kept.
    TooMany,
}

impl LeftOut {
    /// The reason for people.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "the policy in force refused them",
            Self::Unreadable => "they can't be read exactly, and no allow rule matches such",
            Self::NoFacts => "they are no statements, or their record has no facts",
            Self::Named => {
                "they run what SQL text has prepared or declared under a name (EXECUTE, FETCH, CLOSE): write their rule by hand"
            }
            Self::TooMany => "there are more fingerprints than are kept",
        }
    }
}

impl Learnt {
    /// Takes in recorded statements; those of one entry must have begun in one hour.
    pub fn add(&mut self, batch: Vec<Recorded>) {
        for recorded in batch {
            let count = recorded.count;
            if let Err(reason) = self.lesson(recorded) {
                *self.left_out.entry(reason).or_default() += count;
            }
        }
    }

    fn lesson(&mut self, recorded: Recorded) -> Result<(), LeftOut> {
        let facts = recorded
            .facts
            .as_ref()
            .filter(|_| recorded.entry == Entry::Statement);
        let facts = Arc::clone(facts.ok_or(LeftOut::NoFacts)?);
        if recorded.action >= Action::Deny {
            return Err(LeftOut::Refused);
        }
        if recorded.unreadable.is_some() {
            return Err(LeftOut::Unreadable);
        }
        if facts.runs_named() {
            return Err(LeftOut::Named);
        }
        let who = Who {
            dialect: recorded.subject.dialect.as_str(),
            user: recorded.subject.user.clone(),
        };
        let hour = recorded.at.as_second().div_euclid(3600);
        let full = self
            .users
            .values()
            .map(|user| user.seen.len())
            .sum::<usize>()
            >= MOST_LESSONS;
        let user = self.users.entry(who).or_default();
        if full && !user.seen.contains_key(&facts.fingerprint()) {
            return Err(LeftOut::TooMany);
        }
        user.statements = user.statements.saturating_add(recorded.count);
        *user.hours.entry(hour).or_default() += recorded.count;
        if user.applications.len() < MOST_APPLICATIONS {
            user.applications
                .insert(recorded.subject.application.clone());
        }
        let count = recorded.count;
        let lesson = user
            .seen
            .entry(facts.fingerprint())
            .or_insert_with(|| Lesson {
                example: recorded.clone(),
                count: 0,
                first_hour: hour,
            });
        lesson.count = lesson.count.saturating_add(count);
        lesson.first_hour = lesson.first_hour.min(hour);
        // A text is worth more than none: it becomes a test.
        if lesson.example.text.is_none() && recorded.text.is_some() {
            lesson.example = recorded;
        }
        Ok(())
    }

    /// Whether nothing was learnt.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.users.is_empty()
    }
}

/// The most fingerprints that are kept, over all users.
const MOST_LESSONS: usize = 1_000_000;
const MOST_APPLICATIONS: usize = 32;
