//! Initialised data folders: made once per build folder, copied by every test.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::paths::profile_dir;
use crate::process::run;

/// The folder `name`, made by `make` unless one with the same `stamp` is there already. One process
/// makes it; others wait.
///
/// # Errors
/// When it can't be made.
pub fn cached(name: &str, stamp: &str, make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let cache = profile_dir()?.join("sqlward-tests");
    fs::create_dir_all(&cache)?;
    let lock = File::create(cache.join(format!("{name}.lock")))?;
    lock.lock()?;
    let (ready, seal) = (cache.join(name), cache.join(format!("{name}.stamp")));
    if fs::read_to_string(&seal).is_ok_and(|found| found == stamp) && ready.is_dir() {
        return Ok(ready);
    }
    if ready.exists() {
        fs::remove_dir_all(&ready)?;
    }
    make(&ready)?;
    fs::write(&seal, stamp)?;
    Ok(ready)
}

/// Copies a folder with all owners and modes.
///
/// # Errors
/// When `cp` reports one.
pub fn copy(from: &Path, to: &Path) -> Result<()> {
    run(Command::new("cp")
        .arg("-a")
        .arg("--reflink=auto")
        .arg(from)
        .arg(to))?;
    Ok(())
}
