//! How much the journal may take, and when an entry counts as taken.

use std::time::Duration;

use sqlward_audit_store::journal::{Durability, JournalSettings};

use super::{compile::Checker, file};

impl Checker<'_> {
    pub(super) fn max_journal_bytes(&mut self, audit: &file::Audit, workers: usize) -> u64 {
        let least = least_journal_bytes(workers);
        match &audit.max_journal_bytes {
            Some(bytes) if *bytes.get_ref() < least => {
                let message = format!(
                    "expected at least {least}: two segments for each of {workers} workers and for the administration"
                );
                self.problem(bytes.span(), message);
                least
            }
            Some(bytes) => *bytes.get_ref(),
            None => default_journal_bytes(workers),
        }
    }

    pub(super) fn durability(&mut self, audit: &file::Audit) -> Durability {
        let interval = match &audit.sync_interval_ms {
            Some(ms) if audit.durability != file::Durability::Deferred => {
                let message = "sync_interval_ms goes with durability = \"deferred\" only";
                self.problem(ms.span(), message);
                DEFAULT_SYNC_INTERVAL_MS
            }
            Some(ms) if !(1..=60_000).contains(ms.get_ref()) => {
                self.problem(ms.span(), "expected 1 to 60000 milliseconds");
                DEFAULT_SYNC_INTERVAL_MS
            }
            Some(ms) => *ms.get_ref(),
            None => DEFAULT_SYNC_INTERVAL_MS,
        };
        match audit.durability {
            file::Durability::Process => Durability::Process,
            file::Durability::Deferred => Durability::Deferred(Duration::from_millis(interval)),
            file::Durability::Disk => Durability::Disk,
        }
    }
}

/// How long `deferred` records wait for the disk.
const DEFAULT_SYNC_INTERVAL_MS: u64 = 1000;

/// What the journal needs at least: every lane has a segment in use and may need another before the store has
/// taken the first. With less, a journal that is full once stays full.
fn least_journal_bytes(workers: usize) -> u64 {
    let lanes = u64::try_from(workers).unwrap_or(u64::MAX).saturating_add(1);
    lanes
        .saturating_mul(2)
        .saturating_mul(JournalSettings::default().segment_bytes)
}

/// 4 GiB, or more where there are so many workers that they need it.
pub(super) fn default_journal_bytes(workers: usize) -> u64 {
    least_journal_bytes(workers).max(4 << 30)
}
