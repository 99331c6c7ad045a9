//! A machine that fails the proxy: its disk, its clock, its room for files.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rusqlite::Connection;
use sqlward_tests::paths::{profile_dir, repository};
use sqlward_tests::process::run;
use sqlward_tests::proxy::Proxy;

/// The environment that puts `machine.c` before the C library.
pub(crate) fn preload() -> Result<(String, String)> {
    static BUILT: Mutex<Option<PathBuf>> = Mutex::new(None);
    let mut built = BUILT.lock().ok().context("another test failed")?;
    let library = match &*built {
        Some(library) => library.clone(),
        None => built.insert(build()?).clone(),
    };
    Ok(("LD_PRELOAD".into(), library.display().to_string()))
}

fn build() -> Result<PathBuf> {
    let source = repository().join("tests/faults/machine.c");
    let folder = profile_dir()?;
    // Tests are processes of their own that may build it at the same time.
    let made = folder.join(format!("machine-{}.so", std::process::id()));
    let mut cc = Command::new("cc");
    run(cc
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .arg(&made)
        .arg(source))?;
    let library = folder.join("sqlward-machine.so");
    fs::rename(made, &library)?;
    Ok(library)
}

/// A wall clock that can be set, also while the proxy runs.
pub(crate) struct Clock {
    file: tempfile::NamedTempFile,
}

impl Clock {
    /// The right time.
    pub(crate) fn right() -> Result<Self> {
        let clock = Self {
            file: tempfile::NamedTempFile::new()?,
        };
        clock.set(0)?;
        Ok(clock)
    }

    /// By how many seconds it is wrong from now on.
    pub(crate) fn set(&self, wrong: i64) -> Result<()> {
        Ok(self.file.as_file().write_all_at(&wrong.to_ne_bytes(), 0)?)
    }

    /// What the proxy has to be started with.
    pub(crate) fn environment(&self) -> Result<Vec<(String, String)>> {
        let path = self.file.path().display().to_string();
        Ok(vec![preload()?, ("MACHINE_CLOCK".into(), path)])
    }
}

/// Keeps the store from taking anything while it lives.
pub(crate) struct Locked {
    _held: Vec<Connection>,
}

impl Locked {
    /// Locks every file that the store has.
    pub(crate) fn new(proxy: &Proxy) -> Result<Self> {
        let mut held = Vec::new();
        for entry in fs::read_dir(proxy.data().join("store"))? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "db") {
                let connection = Connection::open(&path)?;
                connection.busy_timeout(Duration::from_secs(20))?;
                connection.execute_batch("BEGIN IMMEDIATE")?;
                held.push(connection);
            }
        }
        ensure!(held.len() >= 2, "{} files in the store", held.len());
        Ok(Self { _held: held })
    }
}

/// What starts a process that outlives a file's limit: it gets the error instead of the signal (setrlimit(2)).
pub(crate) fn spared_the_signal() -> Vec<String> {
    ["sh", "-c", "trap '' XFSZ; exec \"$@\"", "sh"]
        .map(str::to_owned)
        .to_vec()
}

/// Lets no file of the proxy grow beyond `bytes` (`None`: any size): what writes more meets an error. Unlike a full file
/// system this needs no rights.
pub(crate) fn limit_files(proxy: &Proxy, bytes: Option<u64>) -> Result<()> {
    let soft = bytes.map_or("unlimited".to_owned(), |bytes| bytes.to_string());
    let mut prlimit = Command::new("prlimit");
    run(prlimit
        .args(["--pid", &proxy.id().to_string()])
        .arg(format!("--fsize={soft}:unlimited")))?;
    Ok(())
}

/// Changes one byte in the middle of what a file holds.
pub(crate) fn bend(path: &Path, at: impl Fn(&[u8]) -> Option<usize>) -> Result<()> {
    let bytes = fs::read(path)?;
    let at = at(&bytes).with_context(|| format!("nothing to bend in {}", path.display()))?;
    let byte = bytes.get(at).copied().context("beyond the end")?;
    let file = fs::OpenOptions::new().write(true).open(path)?;
    file.write_all_at(&[byte ^ 0x20], at as u64)?;
    Ok(())
}
