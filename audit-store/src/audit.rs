//! Journal, shipper and store under one roof, as the proxy uses them.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::clickhouse::DeliverySettings;
use crate::embedded::{Store, StoreSettings};
use crate::journal::{Journal, JournalError, JournalSettings, Lane, Recovery};
use crate::ship::{Drained, ShipError, Shipper, ShipperMetrics, ShipperSettings};

/// How the audit trail is kept.
#[derive(Clone, Debug, Default)]
pub struct AuditSettings {
    /// The journal.
    pub journal: JournalSettings,
    /// The shipper.
    pub shipper: ShipperSettings,
    /// The store.
    pub store: StoreSettings,
    /// A ClickHouse store to ship to; files in the data folder otherwise.
    pub delivery: Option<DeliverySettings>,
}

/// A running audit trail: `<data>/journal` in front, `<data>/store` behind.
pub struct Audit {
    // The shipper stops before the journal: fields are dropped in this order.
    shipper: Shipper,
    journal: Journal,
}

impl Audit {
    /// Opens the trail in `data`, recovers what an earlier life left, and starts shipping it.
    ///
    /// # Errors
    /// Where the directory can't be written, is in use, or holds files of another version.
    pub fn open(data: &Path, settings: AuditSettings) -> Result<(Self, Recovery), ShipError> {
        let store = Store::open(&data.join(STORE), settings.store)?;
        let (journal, recovery) = Journal::open(&data.join("journal"), settings.journal)?;
        let shipper = match &settings.delivery {
            None => Shipper::start(&journal, store, settings.shipper)?,
            Some(delivery) => Shipper::start_delivery(&journal, store, delivery, settings.shipper)?,
        };
        Ok((Self { shipper, journal }, recovery))
    }

    /// Takes a lane for one worker thread.
    ///
    /// # Errors
    /// Where it is taken, or its first segment can't be made.
    pub fn lane(&self, number: u16) -> Result<Lane, JournalError> {
        self.journal.lane(number)
    }

    /// What has been shipped so far.
    #[must_use]
    pub fn metrics(&self) -> Arc<ShipperMetrics> {
        self.shipper.metrics()
    }

    /// Ships what the journal holds and stops; gives up when `patience` is over. Drop the lanes first.
    #[must_use]
    pub fn stop(self, patience: Duration) -> Drained {
        self.shipper.stop(patience)
    }
}

/// The name of the checkpoints' file below the data directory.
pub const CHECKPOINTS: &str = "checkpoints";

/// The name of the store's directory below the data directory.
pub const STORE: &str = "store";
