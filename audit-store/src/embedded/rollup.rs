//! Sums per minute, kept at insert so that overviews need not read every row.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::{Transaction, params};

use super::flat::{Flat, signed};
use crate::record::{Completion, IntentKind, Outcome};

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

#[derive(Default)]
struct Sums {
    count: i64,
    errors: i64,
    denied: i64,
    rows: i64,
    affected: i64,
    bytes: i64,
    total_duration: i64,
    max_duration: i64,
}

/// Whether a row counts in sums and rankings: successful prepares do not, they run nothing.
pub(crate) const fn counts(kind: IntentKind, completion: Completion) -> bool {
    !matches!(
        (kind, completion),
        (IntentKind::Prepare, Completion::Prepared | Completion::Done)
    )
}

impl Rollups {
    pub(super) fn add(
        &mut self,
        names: [i64; 3],
        shape: Option<([u8; 16], Arc<str>)>,
        flat: &Flat<'_>,
        outcome: &Outcome,
    ) {
        if !counts(flat.intent.kind, outcome.completion) {
            return;
        }
        let (fingerprint, verb) = shape.unwrap_or_else(|| ([0; 16], "".into()));
        let decision = flat.judgement.action;
        let minute = signed(flat.intent.wall_us / MINUTE_US);
        let key = Key {
            minute,
            names,
            fingerprint,
            verb,
            decision,
        };
        let sums = self.sums.entry(key).or_default();
        let duration = signed(outcome.duration_us);
        sums.count += 1;
        sums.errors += i64::from(flat.sqlstate.is_some());
        sums.denied += i64::from(matches!(decision, "deny" | "terminate"));
        sums.rows = sums.rows.saturating_add(signed(outcome.rows));
        sums.affected = sums.affected.saturating_add(signed(outcome.affected));
        sums.bytes = sums.bytes.saturating_add(signed(outcome.bytes));
        sums.total_duration = sums.total_duration.saturating_add(duration);
        sums.max_duration = sums.max_duration.max(duration);
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
