//! Sealing days that are over, and dropping those that are too old.

use std::fs::{File, Permissions};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};

use super::day::DayFile;
use super::{Store, StoreError, day_name, stored_days};
use crate::chain::Hash;
use crate::holds::HoldFile;
use crate::time::Day;

/// Days that retention lets go. No hold is placed before their files are dropped, or they are not.
#[derive(Default)]
pub(crate) struct LetGo {
    pub(crate) days: Vec<Day>,
    /// Held for its lock.
    _still: Option<File>,
}

impl Store {
    /// Seals every day that is over and that nothing still open belongs to; answers which.
    ///
    /// Sealing folds the write-ahead log in, makes the file read-only and records its
    /// SHA-256. A day that readers hold at that moment is left for the next time.
    pub(crate) fn seal_days(
        &mut self,
        now_us: u64,
        oldest_open: Option<Day>,
    ) -> Result<Vec<Day>, StoreError> {
        let mut sealed = Vec::new();
        for day in stored_days(&self.dir)? {
            let due = day
                .end_us()
                .saturating_add(self.settings.seal_delay_secs * 1_000_000);
            let open = oldest_open.is_some_and(|open| open <= day);
            if due <= now_us && !open && !self.main.is_sealed(day)? && self.seal(day)? {
                sealed.push(day);
            }
        }
        Ok(sealed)
    }

    fn seal(&mut self, day: Day) -> Result<bool, StoreError> {
        let path = self.dir.join(day_name(day));
        let file = match self.days.remove(&day) {
            Some(file) => file,
            None => DayFile::open(&path, self.settings.synced)?,
        };
        let connection = file.into_connection();
        let failed = || StoreError::sqlite(&path);
        connection
            .busy_timeout(Duration::from_millis(200))
            .map_err(failed())?;
        let mode = connection.pragma_update_and_check(None, "journal_mode", "DELETE", |row| {
            row.get::<_, String>(0)
        });
        match mode {
            Ok(mode) if mode == "delete" => {}
            Ok(_) | Err(_) => return Ok(false),
        }
        let rows = connection
            .query_row(COUNT, [], |row| row.get(0))
            .map_err(failed())?;
        connection.close().map_err(|(_, error)| failed()(error))?;
        std::fs::set_permissions(&path, Permissions::from_mode(0o400))
            .map_err(StoreError::io(&path))?;
        self.main.seal(day, &hash_file(&path)?, rows)?;
        Ok(true)
    }

    /// Makes a sealed day writable again: a record came late.
    pub(super) fn unseal(&mut self, day: Day) -> Result<(), StoreError> {
        if self.main.is_sealed(day)? {
            let path = self.dir.join(day_name(day));
            if path.exists() {
                std::fs::set_permissions(&path, Permissions::from_mode(0o600))
                    .map_err(StoreError::io(&path))?;
            }
            self.main.unseal(day)?;
        }
        Ok(())
    }

    /// The days whose files are older than the retention and under no legal hold, noted as let go before they are.
    ///
    /// A file must not only be named for an old day, but not have been written for as long: a clock that was
    /// wrong must not delete fresh records. While holds are being changed, nothing goes.
    pub(crate) fn let_go_days(&mut self, now_us: u64) -> Result<LetGo, StoreError> {
        let file = HoldFile::of(&self.dir);
        let Some(still) = file.still()? else {
            return Ok(LetGo::default());
        };
        let holds = file.read()?;
        let keep = u64::from(self.settings.retention_days) * crate::time::DAY_US;
        let horizon = now_us.saturating_sub(keep);
        let mut old = Vec::new();
        let stored = stored_days(&self.dir)?;
        for day in &stored {
            let path = self.dir.join(day_name(*day));
            if day.end_us() <= horizon && written_us(&path)? <= horizon && !holds.cover(*day) {
                old.push(*day);
            }
        }
        self.main.let_go(&old, &stored)?;
        Ok(LetGo {
            days: old,
            _still: Some(still),
        })
    }

    /// Drops the files of days that were let go.
    pub(crate) fn drop_days(&mut self, days: &[Day]) -> Result<(), StoreError> {
        for day in days {
            self.days.remove(day);
            for suffix in ["", "-wal", "-shm"] {
                let file = self.dir.join(format!("{}{suffix}", day_name(*day)));
                if suffix.is_empty() || file.exists() {
                    std::fs::remove_file(&file).map_err(StoreError::io(&file))?;
                }
            }
        }
        self.main.forget(days)
    }
}

/// How many statements a day has.
const COUNT: &str = "SELECT coalesce(sum(statements), 0) + (SELECT count(*) FROM carried)
    - (SELECT count(*) FROM removed) FROM block";

fn written_us(path: &Path) -> Result<u64, StoreError> {
    let modified = path
        .metadata()
        .and_then(|metadata| metadata.modified())
        .map_err(StoreError::io(path))?;
    let since = modified
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    Ok(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
}

/// SHA-256 of a file.
pub(super) fn hash_file(path: &Path) -> Result<Hash, StoreError> {
    let read = || {
        let mut file = File::open(path)?;
        let mut hasher = Sha256::new();
        let mut buffer = vec![0; 1 << 16];
        loop {
            let length = file.read(&mut buffer)?;
            if length == 0 {
                return Ok(hasher.finalize().into());
            }
            hasher.update(buffer.get(..length).unwrap_or_default());
        }
    };
    read().map_err(StoreError::io(path))
}
