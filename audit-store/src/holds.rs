//! Legal holds: days that retention must not let go.
//!
//! They are in `store/holds.json` of the data folder, which `sqlward audit hold` changes and the store's writer asks before
//! it lets a day go, both under one lock. Where it can't be read every day is kept. A hold covers whole days (UTC), since
//! it is days that go.

use std::fmt;
use std::fs::{File, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, fchown};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::files::private_file;
use crate::time::Day;

/// The most holds that stand at a time.
pub const MAX_HOLDS: usize = 10_000;

/// The most bytes that their file may have.
const MAX_BYTES: u64 = 16 << 20;

/// A hold: what it covers, why, and who placed it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hold {
    /// Its number; numbers are not given twice.
    pub id: u64,
    /// From the day of this time on, µs since 1970.
    pub from_us: u64,
    /// Up to the day that holds the last moment before this time; without it, whatever comes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to_us: Option<u64>,
    /// Why: a case, an order.
    pub reason: String,
    /// Who placed it: a user of the operating system.
    pub by: String,
    /// When, µs since 1970.
    pub at_us: u64,
}

/// What the file holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Holds {
    /// The number that was given last.
    last: u64,
    /// The holds that stand, in the order of their numbers.
    holds: Vec<Hold>,
}

/// The holds of a store.
#[derive(Clone, Debug)]
pub struct HoldFile {
    path: PathBuf,
}

/// Why holds can't be told or changed.
#[derive(Debug, thiserror::Error)]
pub enum HoldError {
    /// The file system says so.
    #[error("`{path}`: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// It is no list of holds.
    #[error(
        "`{path}` is no list of legal holds, so that every day is kept: {why}; mend it, or move it away and place the holds again"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// There are too many.
    #[error(
        "{MAX_HOLDS} legal holds stand already: release some with `sqlward audit hold release`"
    )]
    Full,
    /// There is no such hold.
    #[error("no legal hold {0} stands; `sqlward audit hold list` shows those that do")]
    Unknown(u64),
    /// It covers nothing.
    #[error("the hold ends before it begins")]
    Empty,
}

impl Hold {
    /// Whether it covers a day.
    pub(crate) fn covers(&self, day: Day) -> bool {
        Day::of(self.from_us) <= day && self.last_day().is_none_or(|last| day <= last)
    }

    fn last_day(&self) -> Option<Day> {
        self.to_us.map(|to| Day::of(to.saturating_sub(1)))
    }

    /// Its first day, such as `2026-03-01`.
    #[must_use]
    pub fn first(&self) -> String {
        Day::of(self.from_us).to_string()
    }

    /// Its last day; `None` where it has none.
    #[must_use]
    pub fn last(&self) -> Option<String> {
        self.last_day().map(|day| day.to_string())
    }

    /// When it was placed, in RFC 3339.
    #[must_use]
    pub fn placed(&self) -> String {
        crate::time::rfc3339(self.at_us)
    }
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, reason, by, .. } = self;
        match self.last() {
            Some(last) => write!(f, "hold {id}: {} to {last}", self.first())?,
            None => write!(f, "hold {id}: from {} on", self.first())?,
        }
        write!(f, ", by {by}: {reason}")
    }
}

impl Holds {
    /// The holds that stand.
    #[must_use]
    pub fn standing(&self) -> &[Hold] {
        &self.holds
    }

    /// Places a hold, and gives it its number.
    ///
    /// # Errors
    /// There are too many, or it covers nothing.
    pub fn add(&mut self, hold: Hold) -> Result<Hold, HoldError> {
        if hold.to_us.is_some_and(|to| to <= hold.from_us) {
            return Err(HoldError::Empty);
        }
        if self.holds.len() >= MAX_HOLDS {
            return Err(HoldError::Full);
        }
        let highest = self.holds.iter().map(|hold| hold.id).max().unwrap_or(0);
        self.last = self.last.max(highest).saturating_add(1);
        let hold = Hold {
            id: self.last,
            ..hold
        };
        self.holds.push(hold.clone());
        Ok(hold)
    }

    /// Releases a hold.
    ///
    /// # Errors
    /// None of that number stands.
    pub fn release(&mut self, id: u64) -> Result<Hold, HoldError> {
        let at = self.holds.iter().position(|hold| hold.id == id);
        let at = at.ok_or(HoldError::Unknown(id))?;
        Ok(self.holds.remove(at))
    }

    pub(crate) fn cover(&self, day: Day) -> bool {
        self.holds.iter().any(|hold| hold.covers(day))
    }
}

impl HoldFile {
    /// The holds of the store in the folder `store`.
    #[must_use]
    pub fn of(store: &Path) -> Self {
        Self {
            path: store.join("holds.json"),
        }
    }

    /// Reads the holds; no file is none.
    ///
    /// # Errors
    /// They can't be read: then every day has to be kept.
    pub fn read(&self) -> Result<Holds, HoldError> {
        let mut text = String::new();
        match File::open(&self.path) {
            Ok(file) => file
                .take(MAX_BYTES)
                .read_to_string(&mut text)
                .map_err(|error| self.io(error))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Holds::default()),
            Err(error) => return Err(self.io(error)),
        };
        serde_json::from_str(&text).map_err(|error| HoldError::Damaged {
            path: self.path.clone(),
            why: error.to_string(),
        })
    }

    /// Changes the holds, alone; what they are then is on the disk when this returns.
    ///
    /// # Errors
    /// They can't be read or written, or `change` fails: then they stay as they were.
    pub fn edit<R, E: From<HoldError>>(
        &self,
        change: impl FnOnce(&mut Holds) -> Result<R, E>,
    ) -> Result<R, E> {
        let lock = self.lock_file()?;
        lock.lock().map_err(|error| self.io(error))?;
        let mut holds = self.read()?;
        let result = change(&mut holds)?;
        self.write(&holds).map_err(|error| self.io(error))?;
        Ok(result)
    }

    /// Keeps the holds as they are for as long as the lock lives; `None` while they are being changed.
    ///
    /// # Errors
    /// They can't be locked.
    pub(crate) fn still(&self) -> Result<Option<File>, HoldError> {
        let lock = self.lock_file()?;
        match lock.try_lock() {
            Ok(()) => Ok(Some(lock)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(self.io(error)),
        }
    }

    fn lock_file(&self) -> Result<File, HoldError> {
        let path = self.path.with_extension("lock");
        self.private(&path).map_err(|error| self.io(error))
    }

    fn write(&self, holds: &Holds) -> io::Result<()> {
        let new = self.path.with_extension("new");
        let mut file = self.private(&new)?;
        file.set_len(0)?;
        file.write_all(&serde_json::to_vec_pretty(holds)?)?;
        file.sync_all()?;
        std::fs::rename(&new, &self.path)?;
        File::open(self.folder())?.sync_all()
    }

    /// A file of the store's owner, also where root makes it.
    fn private(&self, path: &Path) -> io::Result<File> {
        let file = private_file(path)?;
        let (owner, folder) = (file.metadata()?, self.folder().metadata()?);
        if owner.uid() != folder.uid() {
            fchown(&file, Some(folder.uid()), Some(folder.gid()))?;
        }
        Ok(file)
    }

    fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(&self.path)
    }

    fn io(&self, error: io::Error) -> HoldError {
        HoldError::Io {
            path: self.path.clone(),
            error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::DAY_US;

    fn hold(from_us: u64, to_us: Option<u64>) -> Hold {
        Hold {
            id: 0,
            from_us,
            to_us,
            reason: "case 17".into(),
            by: "root".into(),
            at_us: 0,
        }
    }

    #[test]
    fn whole_days_are_covered() {
        let days = |hold: Hold| [0, 1, 2, 3].map(|day| hold.covers(Day(day)));
        assert_eq!(
            days(hold(DAY_US, Some(2 * DAY_US))),
            [false, true, false, false]
        );
        assert_eq!(
            days(hold(2 * DAY_US - 1, Some(2 * DAY_US + 1))),
            [false, true, true, false]
        );
        assert_eq!(days(hold(2 * DAY_US, None)), [false, false, true, true]);
    }

    #[test]
    fn numbers_are_not_given_twice() {
        let folder = tempfile::tempdir().unwrap();
        let file = HoldFile::of(folder.path());
        let add = || file.edit(|holds| holds.add(hold(0, None))).unwrap().id;
        assert_eq!((add(), add()), (1, 2));
        let release = |id| file.edit(|holds| holds.release(id));
        assert_eq!(release(2).unwrap().id, 2);
        assert!(matches!(release(2), Err(HoldError::Unknown(2))));
        assert_eq!(add(), 3);
        let standing: Vec<u64> = file.read().unwrap().holds.iter().map(|h| h.id).collect();
        assert_eq!(standing, [1, 3]);
    }

    #[test]
    fn a_hold_of_nothing_and_a_broken_file_change_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let file = HoldFile::of(folder.path());
        let empty = file.edit(|holds| holds.add(hold(5, Some(5))));
        assert!(matches!(empty, Err(HoldError::Empty)));
        std::fs::write(&file.path, "{").unwrap();
        let add = file.edit(|holds| holds.add(hold(0, None)));
        assert!(matches!(add, Err(HoldError::Damaged { .. })));
        assert_eq!(std::fs::read_to_string(&file.path).unwrap(), "{");
    }
}
