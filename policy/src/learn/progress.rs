//! How far learning is: what is new, and whether there still is anything new.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::Learnt;

/// How far learning is of one user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What the user's sessions speak.
    pub dialect: &'static str,
    /// The database user.
    pub user: String,
    /// Statements seen.
    pub statements: u64,
    /// Distinct fingerprints among them.
    pub fingerprints: usize,
    /// Hours with statements, the oldest first.
    pub hours: Vec<Hour>,
}

/// What came in an hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hour {
    /// When it began.
    pub at: Timestamp,
    /// Statements.
    pub statements: u64,
    /// Fingerprints that had not come before.
    pub new: u64,
}

impl Progress {
    /// The share of the last hours' statements, of `hours` that had any, that had come before, in percent: 100 where nothing
    /// was new.
    #[must_use]
    pub fn saturation(&self, hours: usize) -> u64 {
        let last = self.hours.iter().rev().take(hours);
        let (all, new) = last.fold((0u64, 0u64), |(all, new), hour| {
            (
                all.saturating_add(hour.statements),
                new.saturating_add(hour.new),
            )
        });
        // Rounded down: 100 means that nothing was new.
        all.saturating_sub(new)
            .saturating_mul(100)
            .checked_div(all)
            .unwrap_or(0)
    }
}

impl Learnt {
    /// How far learning is, user by user.
    #[must_use]
    pub fn progress(&self) -> Vec<Progress> {
        let of = |(who, user): (&super::Who, &super::User)| {
            let mut new: BTreeMap<i64, u64> = BTreeMap::new();
            for lesson in user.seen.values() {
                *new.entry(lesson.first_hour).or_default() += 1;
            }
            let hours = user.hours.iter().map(|(hour, statements)| Hour {
                at: Timestamp::from_second(hour.saturating_mul(3600)).unwrap_or_default(),
                statements: *statements,
                new: new.get(hour).copied().unwrap_or(0),
            });
            Progress {
                dialect: who.dialect,
                user: who.user.clone(),
                statements: user.statements,
                fingerprints: user.seen.len(),
                hours: hours.collect(),
            }
        };
        self.users.iter().map(of).collect()
    }

    /// The progress as text: for each user the last `hours` that had statements.
    #[must_use]
    pub fn progress_text(&self, hours: usize) -> String {
        let mut text = String::new();
        for progress in self.progress() {
            // Writing to a String can't fail.
            let _ = writeln!(
                text,
                "user `{}` ({}): {} statements of {} fingerprints; of the last {} hours with statements {}% had come before",
                progress.user,
                progress.dialect,
                progress.statements,
                progress.fingerprints,
                hours.min(progress.hours.len()),
                progress.saturation(hours)
            );
            let left = progress.hours.len().saturating_sub(hours);
            for hour in progress.hours.iter().skip(left) {
                let _ = writeln!(
                    text,
                    "  {}  {:>9} statements  {:>6} new fingerprints",
                    hour.at, hour.statements, hour.new
                );
            }
        }
        for (reason, count) in &self.left_out {
            let _ = writeln!(text, "left out: {count} statements: {}", reason.as_str());
        }
        text
    }

    /// The progress as JSON.
    #[must_use]
    pub fn progress_json(&self, hours: usize) -> Value {
        let of = |progress: &Progress| {
            json!({
                "user": progress.user, "dialect": progress.dialect, "statements": progress.statements,
                "fingerprints": progress.fingerprints, "saturation": progress.saturation(hours),
                "hours": progress.hours.iter().map(|hour| json!({
                    "at": hour.at.to_string(), "statements": hour.statements, "new": hour.new,
                })).collect::<Vec<_>>(),
            })
        };
        json!({
            "users": self.progress().iter().map(of).collect::<Vec<_>>(),
            "left_out": self.left_out.iter().map(|(reason, count)| json!({
                "reason": reason.as_str(), "statements": count,
            })).collect::<Vec<_>>(),
        })
    }
}
