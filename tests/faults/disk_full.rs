//! A disk without room: for the journal, for the store, for both. By a limit on the size of files, which any process may
//! set for another of its user, and with a real file system where this machine lets a test mount one.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use sqlward_tests::process::{run, until};
use sqlward_tests::proxy;
use sqlward_tests::raw::tags;

use crate::full::{Setup, fill, large, setup_as, told, verified};
use crate::machine::{limit_files, spared_the_signal};

fn limited(audit_failure: &str) -> Result<Setup> {
    let options = proxy::Options {
        starter: spared_the_signal(),
        ..Default::default()
    };
    setup_as(audit_failure, options)
}

/// Large enough for the store's files, too small for a segment of the journal.
const NO_SEGMENT: u64 = 60 << 20;

#[test]
fn no_room_for_the_journal_blocks_and_is_told() -> Result<()> {
    let mut setup = limited("block")?;
    limit_files(&setup.proxy, Some(NO_SEGMENT))?;
    let (passed, code) = fill(&mut setup, "sqlward_audit_blocked_total")?;
    ensure!(passed > 5, "full after {passed} statements");
    ensure!(code == "58030", "{code}");
    ensure!(tags(&setup.raw.query(&large("blocked"))?) == "EZ");
    limit_files(&setup.proxy, None)?;
    told(&mut setup, "refused", 2)?;
    let found = setup.proxy.audit(&["search", "--text", "blocked"])?;
    ensure!(found.is_empty(), "{found:?}");
    verified(&mut setup.proxy)
}

#[test]
fn no_room_for_the_journal_lets_pass_what_the_policy_says() -> Result<()> {
    let mut setup = limited("allow")?;
    limit_files(&setup.proxy, Some(NO_SEGMENT))?;
    let (_, code) = fill(&mut setup, "sqlward_audit_dropped_total")?;
    ensure!(code.is_empty(), "refused with {code}");
    ensure!(setup.raw.value(&large("unrecorded"))? == "unrecorded");
    limit_files(&setup.proxy, None)?;
    told(&mut setup, "could not take", 2)?;
    verified(&mut setup.proxy)
}

#[test]
fn no_room_for_the_store_loses_nothing() -> Result<()> {
    let mut setup = limited("block")?;
    limit_files(&setup.proxy, Some(0))?;
    let kept: Vec<String> = (0..200).map(|number| format!("kept {number}")).collect();
    for word in &kept {
        ensure!(setup.raw.value(&format!("SELECT '{word}'"))? == *word);
    }
    until("the store fails", Duration::from_secs(30), || {
        let errors = setup.proxy.metric("sqlward_store_errors")?;
        Ok((errors > 0.0).then_some(()))
    })?;
    ensure!(setup.proxy.metric("sqlward_audit_blocked_total")? == 0.0);
    limit_files(&setup.proxy, None)?;
    until("the store has them", Duration::from_secs(60), || {
        let found = setup
            .proxy
            .audit(&["search", "--text", "kept", "--limit", "1000"])?;
        Ok((found.len() == kept.len()).then_some(()))
    })?;
    verified(&mut setup.proxy)
}

#[test]
fn no_room_for_anything_blocks_and_loses_nothing() -> Result<()> {
    let mut setup = limited("block")?;
    limit_files(&setup.proxy, Some(0))?;
    let (passed, code) = fill(&mut setup, "sqlward_audit_blocked_total")?;
    ensure!(passed > 5, "full after {passed} statements");
    ensure!(code == "58030", "{code}");
    limit_files(&setup.proxy, None)?;
    told(&mut setup, "refused", 1)?;
    let sql = "SELECT count(*) AS count FROM statements WHERE text LIKE 'SELECT ''filling%' \
               AND completion = 'done'";
    let found = setup.proxy.audit(&["sql", sql])?;
    let count = found.first().and_then(|row| row.get("count")?.as_u64());
    ensure!(count == Some(u64::from(passed)), "{passed}: {found:?}");
    verified(&mut setup.proxy)
}

/// Runs in namespaces of its own, which the test before makes: everything temporary is on a file system of 900 MiB.
#[test]
fn on_a_small_file_system() -> Result<()> {
    let Some(small) = std::env::var_os(SMALL).map(PathBuf::from) else {
        return start_on_a_small_file_system();
    };
    let mut setup = setup_as("block", proxy::Options::default())?;
    let filler = small.join("filler");
    fill_up(&filler)?;
    let (passed, code) = fill(&mut setup, "sqlward_audit_blocked_total")?;
    ensure!(code == "58030", "{code} after {passed}");
    until("the store fails", Duration::from_secs(30), || {
        let errors = setup.proxy.metric("sqlward_store_errors")?;
        Ok((errors > 0.0).then_some(()))
    })?;
    ensure!(tags(&setup.raw.query(&large("blocked"))?) == "EZ");
    fs::remove_file(&filler)?;
    told(&mut setup, "refused", 2)?;
    verified(&mut setup.proxy)?;
    println!("{DONE}");
    Ok(())
}

fn start_on_a_small_file_system() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let unshare: &[&str] = if rustix::process::geteuid().is_root() {
        &["--mount"]
    } else {
        &["--mount", "--user", "--map-current-user", "--keep-caps"]
    };
    let mount = format!(
        "mount -t tmpfs -o size=900m,mode=1777 none '{}'",
        folder.path().display()
    );
    let tried = Command::new("unshare")
        .args(unshare)
        .args(["sh", "-c", &mount])
        .output()?;
    if !tried.status.success() {
        eprintln!(
            "NOT RUN: a small file system needs CAP_SYS_ADMIN, or user namespaces: {}",
            String::from_utf8_lossy(&tried.stderr)
        );
        return Ok(());
    }
    let this = std::env::current_exe()?;
    let inside = run(Command::new("unshare")
        .args(unshare)
        .args(["sh", "-c", &format!("{mount} && exec \"$@\""), "sh"])
        .arg(this)
        .args([
            "--exact",
            "disk_full::on_a_small_file_system",
            "--nocapture",
        ])
        .env(SMALL, folder.path())
        .env("TMPDIR", folder.path()))?;
    ensure!(inside.contains(DONE), "{inside}");
    Ok(())
}

/// Takes all the room that there is.
fn fill_up(path: &Path) -> Result<()> {
    let mut file = fs::File::create(path)?;
    let block = vec![1; 1 << 16];
    loop {
        match file.write_all(&block) {
            Ok(()) => {}
            Err(error) if error.raw_os_error() == Some(28) => return Ok(()),
            Err(error) => return Err(error).context("the filler"),
        }
    }
}

const SMALL: &str = "SQLWARD_SMALL_FILE_SYSTEM";
const DONE: &str = "the small file system was full";
