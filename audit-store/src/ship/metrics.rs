//! What the shipper has done, as the proxy's metrics tell it.

use std::sync::atomic::{AtomicU64, Ordering};

/// What the shipper has done, for the proxy's metrics.
#[derive(Debug, Default)]
pub struct ShipperMetrics {
    /// Entries shipped.
    pub entries: AtomicU64,
    /// New statement rows in the store.
    pub rows: AtomicU64,
    /// Batches written.
    pub batches: AtomicU64,
    /// Attempts that failed.
    pub errors: AtomicU64,
    /// Entries that could not be read.
    pub unreadable: AtomicU64,
    /// Outcomes without an open intent.
    pub orphans: AtomicU64,
    /// Breaks in a lane's chain.
    pub gaps: AtomicU64,
    /// Bytes of the journal that are not in the store yet.
    pub lag_bytes: AtomicU64,
    /// How long the oldest of them has been waiting, at most, in ms.
    pub lag_ms: AtomicU64,
    /// Bytes that the journal takes on the disk.
    pub journal_bytes: AtomicU64,
    /// Attempts that failed, by their reason, in the order of [`Reason::ALL`].
    pub errors_by_reason: [AtomicU64; Reason::ALL.len()],
    /// Attempts after the first to ship a batch.
    pub retries: AtomicU64,
    /// When the store last acknowledged a batch, µs since 1970; 0 for never.
    pub acknowledged_us: AtomicU64,
    /// How often another proxy with this one's number was noticed.
    pub node_conflicts: AtomicU64,
    /// Checkpoints made.
    pub checkpoints: AtomicU64,
    /// Checkpoints that could not be made, kept in their file, or handed to those who hand them out.
    pub checkpoint_errors: AtomicU64,
}

/// Why a store took no batch, as metrics have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The files of the data folder.
    Local,
    /// No connection, or one that broke.
    Unreachable,
    /// No answer in time.
    Timeout,
    /// The server refused.
    Refused,
    /// The server's schema is of another version.
    Schema,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 5] = [
        Self::Local,
        Self::Unreachable,
        Self::Timeout,
        Self::Refused,
        Self::Schema,
    ];

    /// Its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Unreachable => "unreachable",
            Self::Timeout => "timeout",
            Self::Refused => "refused",
            Self::Schema => "schema",
        }
    }
}

impl ShipperMetrics {
    /// Counts an attempt that failed.
    pub(super) fn failed(&self, reason: Reason) {
        self.errors.fetch_add(1, Ordering::Relaxed);
        let counts = Reason::ALL.iter().zip(&self.errors_by_reason);
        for (_, count) in counts.filter(|(known, _)| **known == reason) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}
