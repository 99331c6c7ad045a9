//! What a replay came to: how many statements fare otherwise, and which.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use hashbrown::HashMap;
use serde_json::{Value, json};

use super::{Compared, Recorded, Undecided, because};
use crate::policy::Policy;
use crate::rule::statement::hex;
use crate::test_table::shorten;
use crate::vocabulary::Action;

/// How a statement fares otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Change {
    /// It passed, and would be refused.
    Denied,
    /// It was refused, and would pass.
    Allowed,
    /// It passed silently, and would raise an alert.
    Alerted,
    /// It raised an alert, and would pass silently.
    Silenced,
    /// It was refused, and would be, but the session ends where it did not, or does not where it did.
    Termination,
}

impl Change {
    /// The change from one action to another.
    #[must_use]
    pub const fn between(before: Action, after: Action) -> Option<Self> {
        match (before, after) {
            (Action::Allow, Action::Allow)
            | (Action::Alert, Action::Alert)
            | (Action::Deny, Action::Deny)
            | (Action::Terminate, Action::Terminate) => None,
            (Action::Allow | Action::Alert, Action::Deny | Action::Terminate) => Some(Self::Denied),
            (Action::Deny | Action::Terminate, Action::Allow | Action::Alert) => {
                Some(Self::Allowed)
            }
            (Action::Allow, Action::Alert) => Some(Self::Alerted),
            (Action::Alert, Action::Allow) => Some(Self::Silenced),
            (Action::Deny, Action::Terminate) | (Action::Terminate, Action::Deny) => {
                Some(Self::Termination)
            }
        }
    }

    /// The change for people.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Denied => "newly denied",
            Self::Allowed => "newly allowed",
            Self::Alerted => "newly alerted",
            Self::Silenced => "no longer alerted",
            Self::Termination => "session ends otherwise",
        }
    }
}

/// Statements of one user, application and fingerprint that fare otherwise in the same way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// How.
    pub change: Change,
    /// The database user.
    pub user: String,
    /// The application.
    pub application: String,
    /// The fingerprint.
    pub fingerprint: [u8; 16],
    /// What they got.
    pub before: Action,
    /// What the candidate says.
    pub after: Action,
    /// What decides under the candidate.
    pub because: String,
    /// How many.
    pub count: u64,
    /// One of them: its text, or the normal form where that is not recorded.
    pub example: String,
    /// Events, to be asked for with `sqlward explain`.
    pub events: Vec<String>,
}

/// What names a group.
type Key = (Change, String, String, [u8; 16], Action, Action, String);

/// What a replay came to.
#[derive(Debug, Default)]
pub struct Report {
    /// Statements looked at.
    pub statements: u64,
    /// How many of them were distinct: of another subject, shape, judgement (and minute, where the policy asks the time).
    pub distinct: u64,
    /// Those that fare as they did.
    pub unchanged: u64,
    /// Those that can't be decided, by reason.
    pub undecided: BTreeMap<Undecided, u64>,
    /// Those that fare otherwise, by change.
    pub changed: BTreeMap<Change, u64>,
    /// Statements of more groups than are kept.
    pub ungrouped: u64,
    /// How long judging took, reading the store aside.
    pub judging: Duration,
    groups: HashMap<Key, Group>,
}

impl Report {
    /// Takes in how a batch fares under `candidate`.
    pub fn add(
        &mut self,
        candidate: &Policy,
        batch: &[Recorded],
        compared: &[Result<Compared, Undecided>],
    ) {
        for (recorded, compared) in batch.iter().zip(compared) {
            self.statements = self.statements.saturating_add(recorded.count);
            self.distinct += 1;
            let compared = match compared {
                Ok(compared) => compared,
                Err(reason) => {
                    *self.undecided.entry(*reason).or_default() += recorded.count;
                    continue;
                }
            };
            match Change::between(compared.before, compared.after.action) {
                None => self.unchanged = self.unchanged.saturating_add(recorded.count),
                Some(change) => {
                    *self.changed.entry(change).or_default() += recorded.count;
                    self.group(candidate, change, recorded, compared);
                }
            }
        }
    }

    fn group(
        &mut self,
        candidate: &Policy,
        change: Change,
        recorded: &Recorded,
        compared: &Compared,
    ) {
        let subject = &recorded.subject;
        let facts = recorded.facts.as_ref();
        let fingerprint = facts.map_or([0; 16], |facts| facts.fingerprint());
        let because = because(candidate, compared.after.cause);
        let (before, after) = (compared.before, compared.after.action);
        let key = (
            change,
            subject.user.clone(),
            subject.application.clone(),
            fingerprint,
            before,
            after,
            because.clone(),
        );
        if self.groups.len() >= MOST_GROUPS && !self.groups.contains_key(&key) {
            self.ungrouped = self.ungrouped.saturating_add(recorded.count);
            return;
        }
        let group = self.groups.entry(key).or_insert_with(|| {
            let text = recorded
                .text
                .as_ref()
                .map(|text| String::from_utf8_lossy(text));
            let normal = facts.map_or("", |facts| facts.normal());
            Group {
                change,
                user: subject.user.clone(),
                application: subject.application.clone(),
                fingerprint,
                before,
                after,
                because,
                count: 0,
                example: shorten(text.as_deref().unwrap_or(normal)),
                events: Vec::new(),
            }
        });
        group.count = group.count.saturating_add(recorded.count);
        for event in &recorded.events {
            if group.events.len() < MOST_EVENTS && !group.events.contains(event) {
                group.events.push(event.clone());
            }
        }
    }

    /// The groups: by change, the largest first.
    #[must_use]
    pub fn groups(&self) -> Vec<&Group> {
        let mut groups: Vec<&Group> = self.groups.values().collect();
        groups.sort_by(|one, other| {
            let place = |group: &Group| (group.change, std::cmp::Reverse(group.count));
            place(one)
                .cmp(&place(other))
                .then_with(|| one.user.cmp(&other.user))
                .then_with(|| one.application.cmp(&other.application))
                .then_with(|| one.fingerprint.cmp(&other.fingerprint))
                .then_with(|| one.because.cmp(&other.because))
        });
        groups
    }

    /// Distinct statements judged in a second.
    #[must_use]
    pub fn per_second(&self) -> f64 {
        self.distinct as f64 / self.judging.as_secs_f64().max(1e-9)
    }

    /// The report as text; of each change the `most` largest groups.
    #[must_use]
    pub fn text(&self, most: usize) -> String {
        let mut text = String::new();
        // Writing to a String can't fail.
        let _ = self.write(&mut text, most);
        text
    }

    fn write(&self, out: &mut String, most: usize) -> std::fmt::Result {
        let groups = self.groups();
        for (change, count) in &self.changed {
            let of: Vec<_> = groups
                .iter()
                .filter(|group| group.change == *change)
                .collect();
            writeln!(
                out,
                "{}: {count} statements in {} groups",
                change.as_str(),
                of.len()
            )?;
            for group in of.iter().take(most) {
                let application = match group.application.as_str() {
                    "" => "no application name".to_owned(),
                    name => format!("application `{name}`"),
                };
                writeln!(
                    out,
                    "  {} by user `{}`, {application}, fingerprint {}",
                    group.count,
                    group.user,
                    hex(&group.fingerprint)
                )?;
                writeln!(
                    out,
                    "    {} -> {} by {}",
                    group.before, group.after, group.because
                )?;
                writeln!(out, "    {}", group.example)?;
                writeln!(out, "    events {}", group.events.join(", "))?;
            }
            if of.len() > most {
                writeln!(
                    out,
                    "  … and {} more groups; --limit shows more",
                    of.len() - most
                )?;
            }
        }
        if self.ungrouped > 0 {
            writeln!(
                out,
                "{} changed statements of further groups are counted only",
                self.ungrouped
            )?;
        }
        for (reason, count) in &self.undecided {
            writeln!(
                out,
                "can't be decided: {count} statements: {}",
                reason.as_str()
            )?;
        }
        let changed: u64 = self.changed.values().sum();
        let undecided: u64 = self.undecided.values().sum();
        writeln!(
            out,
            "{} statements, {} distinct: {changed} changed, {} unchanged, {undecided} can't be decided; judged {:.0} distinct statements a second",
            self.statements,
            self.distinct,
            self.unchanged,
            self.per_second(),
        )
    }

    /// The report as JSON.
    #[must_use]
    pub fn json(&self, most: usize) -> Value {
        let groups = self.groups();
        let count = |change: &Change| {
            groups
                .iter()
                .filter(|group| group.change == *change)
                .count()
        };
        let mut shown: BTreeMap<Change, usize> = BTreeMap::new();
        let listed: Vec<Value> = groups
            .iter()
            .filter(|group| {
                let number = shown.entry(group.change).or_default();
                *number += 1;
                *number <= most
            })
            .map(|group| json!({
                "change": group.change.as_str(), "user": group.user, "application": group.application,
                "fingerprint": hex(&group.fingerprint), "before": group.before, "after": group.after,
                "because": group.because, "count": group.count, "example": group.example,
                "events": group.events,
            }))
            .collect();
        json!({
            "statements": self.statements,
            "distinct": self.distinct,
            "unchanged": self.unchanged,
            "changed": self.changed.iter().map(|(change, statements)| json!({
                "change": change.as_str(), "statements": statements, "groups": count(change),
            })).collect::<Vec<_>>(),
            "undecided": self.undecided.iter().map(|(reason, statements)| json!({
                "reason": reason.as_str(), "statements": statements,
            })).collect::<Vec<_>>(),
            "ungrouped": self.ungrouped,
            "distinct_per_second": self.per_second().round(),
            "groups": listed,
        })
    }
}

const MOST_EVENTS: usize = 3;
/// The most groups that are kept; statements of more are counted only.
const MOST_GROUPS: usize = 100_000;
