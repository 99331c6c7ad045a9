//! Sums per minute, kept at insert so that overviews need not read every row.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::{Transaction, params};
use sqlward_policy::vocabulary::Action;

use super::flat::signed;
use crate::record::Outcome;
use crate::ship::rows::Brief;

/// The sums of one batch.
#[derive(Default)]
pub(super) struct Rollups {
    sums: HashMap<Key, Sums>,
}

#[derive(PartialEq, Eq, Hash)]
struct Key {
    minute: i64,
    /// User, database, application.
    names: [i64; 3],
    fingerprint: [u8; 16],
    verb: Arc<str>,
    decision: &'static str,
}

/// Sums of statements that are alike.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sums {
    count: i64,
    errors: i64,
    denied: i64,
    rows: i64,
    affected: i64,
    bytes: i64,
    total_duration: i64,
    max_duration: i64,
}

impl Sums {
    #[inline]
    pub(crate) fn add(&mut self, brief: &Brief, outcome: &Outcome) {
        let duration = signed(outcome.duration_us);
        self.join(&Self {
            count: 1,
            errors: i64::from(outcome.sqlstate.is_some()),
            denied: i64::from(matches!(brief.action, Action::Deny | Action::Terminate)),
            rows: signed(outcome.rows),
            affected: signed(outcome.affected),
            bytes: signed(outcome.bytes),
            total_duration: duration,
            max_duration: duration,
        });
    }

    #[inline]
    fn join(&mut self, other: &Self) {
        self.count += other.count;
        self.errors += other.errors;
        self.denied += other.denied;
        self.rows = self.rows.saturating_add(other.rows);
        self.affected = self.affected.saturating_add(other.affected);
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.total_duration = self.total_duration.saturating_add(other.total_duration);
        self.max_duration = self.max_duration.max(other.max_duration);
    }
}

impl Rollups {
    pub(super) fn add(
        &mut self,
        minute: u64,
        names: [i64; 3],
        shape: Option<([u8; 16], Arc<str>)>,
        action: Action,
        sums: &Sums,
    ) {
        let (fingerprint, verb) = shape.unwrap_or_else(|| ([0; 16], "".into()));
        let key = Key {
            minute: signed(minute),
            names,
            fingerprint,
            verb,
            decision: action.as_str(),
        };
        self.sums.entry(key).or_default().join(sums);
    }

    pub(super) fn write(&self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        let mut upsert = transaction.prepare_cached(UPSERT)?;
        for (key, sums) in &self.sums {
            let [user, database, application] = key.names;
            upsert.execute(params![
                key.minute,
                user,
                database,
                application,
                key.fingerprint,
                &*key.verb,
                key.decision,
                sums.count,
                sums.errors,
                sums.denied,
                sums.rows,
                sums.affected,
                sums.bytes,
                sums.total_duration,
                sums.max_duration,
            ])?;
        }
        Ok(())
    }
}

/// Microseconds of a minute.
pub(crate) const MINUTE_US: u64 = 60_000_000;

const UPSERT: &str = "
INSERT INTO rollup VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)
ON CONFLICT DO UPDATE SET count = count + excluded.count, errors = errors + excluded.errors,
    denied = denied + excluded.denied, rows = rows + excluded.rows,
    affected = affected + excluded.affected, bytes = bytes + excluded.bytes,
    total_duration = total_duration + excluded.total_duration,
    max_duration = max(max_duration, excluded.max_duration)";
