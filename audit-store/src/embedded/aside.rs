//! Day files that can't be read any more: they are set aside, so that the rest goes on. What was in them is missing, as
//! [`super::verify`] says, until somebody restores the file.

use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

use super::{Store, StoreError, day_name, stored_days};
use crate::time::Day;

impl StoreError {
    /// Whether SQLite finds that the file is none of its own, or not whole.
    pub(super) fn is_damage(&self) -> bool {
        let Self::Sqlite { source, .. } = self else {
            return false;
        };
        matches!(
            source.sqlite_error_code(),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
        )
    }
}

impl Store {
    /// Looks at the beginning of every day file; not at all of it, which would take too long.
    pub(super) fn set_unreadable_aside(&self) -> Result<(), StoreError> {
        for day in stored_days(&self.dir)? {
            let path = self.dir.join(day_name(day));
            let look = || {
                let file = crate::query::open(&path)?;
                file.query_row("SELECT max(id) FROM block", [], |_| Ok(()))
                    .map_err(StoreError::sqlite(&path))
            };
            if let Err(error) = look()
                && error.is_damage()
            {
                set_aside(&path, &error)?;
            }
        }
        Ok(())
    }

    /// Sets a day's file aside; the next record of the day begins another.
    pub(super) fn set_day_aside(&mut self, day: Day, why: &StoreError) -> Result<(), StoreError> {
        self.days.remove(&day);
        set_aside(&self.dir.join(day_name(day)), why)
    }
}

/// Gives a file and what SQLite keeps beside it names that are no day's.
pub(super) fn set_aside(path: &Path, why: &StoreError) -> Result<(), StoreError> {
    let saved = free_name(path);
    for suffix in ["", "-wal", "-shm"] {
        let with = |path: &Path| PathBuf::from(format!("{}{suffix}", path.display()));
        match std::fs::rename(with(path), with(&saved)) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(StoreError::io(path)(error)),
        }
    }
    tracing::error!(error = %why, saved = %saved.display(), "a day of the audit store can't be read: its file was set aside, and what it held is missing until it is restored");
    Ok(())
}

fn free_name(path: &Path) -> PathBuf {
    let name = |number: u32| PathBuf::from(format!("{}.damaged-{number}", path.display()));
    (1..)
        .map(name)
        .find(|path| !path.exists())
        .unwrap_or_else(|| name(0))
}
