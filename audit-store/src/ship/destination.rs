//! Where batches go.

use super::{Reason, ShipError};
use crate::clickhouse::{ClickHouseError, Delivery};
use crate::embedded::{Batch, Store, StoreError};
use crate::proof::{Checkpoint, Signer};

/// Where batches go.
pub(super) enum Destination {
    /// Into files beside the journal.
    Embedded(Store),
    /// To a server; files beside the journal remember how far.
    ClickHouse(Delivery),
}

impl Destination {
    /// What remembers how far lanes have come.
    pub(super) fn local(&self) -> &Store {
        match self {
            Self::Embedded(store) => store,
            Self::ClickHouse(delivery) => &delivery.local,
        }
    }

    /// Writes a batch; answers how many statements were new. Repeating it changes nothing.
    pub(super) fn commit(&mut self, batch: &Batch) -> Result<u64, ShipError> {
        Ok(match self {
            Self::Embedded(store) => store.commit(batch)?,
            Self::ClickHouse(delivery) => delivery.commit(batch)?,
        })
    }

    /// Makes a checkpoint, if there is something that the last one does not say.
    pub(super) fn checkpoint(&mut self, signer: &Signer) -> Result<Option<Checkpoint>, StoreError> {
        match self {
            Self::Embedded(store) => store.checkpoint(signer),
            Self::ClickHouse(delivery) => delivery.checkpoint(signer),
        }
    }

    /// Whether something waits for delivery, as far as can be told.
    pub(super) fn is_waiting(&self) -> bool {
        match self {
            Self::Embedded(_) => false,
            Self::ClickHouse(delivery) => delivery.is_waiting().unwrap_or(true),
        }
    }

    /// A figure that grows while a batch gets on, even if it is not there yet.
    pub(super) fn delivered(&self) -> u64 {
        match self {
            Self::Embedded(_) => 0,
            Self::ClickHouse(delivery) => delivery.delivered,
        }
    }

    /// Delivers what waits besides batches.
    pub(super) fn flush(&mut self) -> Result<(), ShipError> {
        match self {
            Self::Embedded(_) => Ok(()),
            Self::ClickHouse(delivery) => Ok(delivery.flush()?),
        }
    }
}

impl ShipError {
    /// Why, as metrics have it.
    pub(super) fn reason(&self) -> Reason {
        match self {
            Self::Store(_) | Self::Journal(_) | Self::Thread(_) => Reason::Local,
            Self::ClickHouse(error) => match error {
                ClickHouseError::Slow { .. } => Reason::Timeout,
                ClickHouseError::Version { .. } => Reason::Schema,
                ClickHouseError::Server { source, .. } => match source {
                    clickhouse::error::Error::BadResponse(_) => Reason::Refused,
                    clickhouse::error::Error::TimedOut => Reason::Timeout,
                    _ => Reason::Unreachable,
                },
                ClickHouseError::Answer { .. }
                | ClickHouseError::Import { .. }
                | ClickHouseError::Lost { .. }
                | ClickHouseError::SameNode { .. } => Reason::Refused,
                ClickHouseError::Runtime(_)
                | ClickHouseError::Authorities { .. }
                | ClickHouseError::Embedded(_)
                | ClickHouseError::Pack(_)
                | ClickHouseError::Entry(_) => Reason::Local,
            },
        }
    }
}
