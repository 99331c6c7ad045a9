//! The system variables that the server reports, within bounds.

use std::collections::BTreeMap;

use crate::error::{Error, Limit};

/// The most that a server may report, in names and in bytes.
const MAX_NAMES: usize = 256;
const MAX_BYTES: usize = 1024 * 1024;

/// Names and last values.
#[derive(Debug, Default)]
pub(crate) struct Variables {
    values: BTreeMap<Box<[u8]>, Box<[u8]>>,
    bytes: usize,
}

/// Whether a value is another one than before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reported {
    Anew,
    Again,
}

impl Variables {
    pub(crate) fn value(&self, name: &[u8]) -> Option<&[u8]> {
        self.values.get(name).map(AsRef::as_ref)
    }

    pub(crate) fn report(&mut self, name: &[u8], value: &[u8]) -> Result<Reported, Error> {
        let old = self.value(name);
        if old == Some(value) {
            return Ok(Reported::Again);
        }
        let known = old.is_some();
        let used = match old {
            Some(old) => self.bytes.saturating_sub(old.len()),
            None => self.bytes.saturating_add(name.len()),
        };
        let used = used.saturating_add(value.len());
        if used > MAX_BYTES || (!known && self.values.len() >= MAX_NAMES) {
            return Err(Error::TooLarge {
                what: Limit::Parameters,
                limit: u64::try_from(MAX_NAMES).unwrap_or(u64::MAX),
            });
        }
        self.bytes = used;
        self.values.insert(name.into(), value.into());
        Ok(Reported::Anew)
    }

    /// Forgets all: they have their first values again, which nobody reports.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}
