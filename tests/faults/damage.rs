//! Bytes that rot: in the journal and in the store. What is left is found, said, and not fatal to the rest.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use sqlward_tests::paths::sqlward;
use sqlward_tests::process::until;
use sqlward_tests::proxy::{self, Policy, Proxy};
use sqlward_tests::raw::Raw;
use sqlward_tests::server::{Options, Server, TRUSTED_USER};

use crate::machine::{Locked, bend};

fn start(server: &Server) -> Result<Proxy> {
    let options = proxy::Options {
        policy: Policy::RecordAll,
        ..Default::default()
    };
    Proxy::start(&[server], &options)
}

fn say(proxy: &Proxy, word: &str, count: u32) -> Result<()> {
    let mut raw = Raw::login(proxy.port(), TRUSTED_USER, &[])?;
    for number in 0..count {
        ensure!(raw.value(&format!("SELECT '{word} {number} said'"))? != "");
    }
    Ok(raw.terminate()?)
}

fn in_the_store(proxy: &Proxy, text: &str) -> Result<usize> {
    let found = proxy.audit(&["search", "--text", text, "--limit", "1000"])?;
    Ok(found.len())
}

/// What `audit verify` says; that it says anything is expected.
fn findings(proxy: &Proxy) -> Result<String> {
    let output = Command::new(sqlward()?)
        .args(["audit", "verify", "--data"])
        .arg(proxy.data())
        .output()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(output.status.code() == Some(1), "{output:?}");
    Ok(said)
}

/// Where `text` is.
fn place_of(bytes: &[u8], text: &str) -> Option<usize> {
    bytes
        .windows(text.len())
        .position(|window| window == text.as_bytes())
}

#[test]
fn damage_in_the_journal_is_set_aside_and_said() -> Result<()> {
    let server = Server::start(&Options::default())?;
    let mut proxy = start(&server)?;
    say(&proxy, "before", 1)?;
    until("the store has its files", Duration::from_secs(20), || {
        Ok((in_the_store(&proxy, "before 0 said")? == 1).then_some(()))
    })?;
    let locked = Locked::new(&proxy)?;
    say(&proxy, "waiting", 100)?;
    proxy.kill()?;
    drop(locked);
    let segment = segment_with(&proxy, "waiting 50 said")?;
    bend(&segment, |bytes| place_of(bytes, "waiting 50 said"))?;
    proxy.restart()?;
    let log = proxy.log();
    ensure!(log.contains("were set aside"), "{log}");
    let aside = fs::read_dir(segment.parent().context("no folder")?)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| {
            path.extension()
                .is_some_and(|extension| extension == "torn")
        });
    let aside = fs::read(aside.context("nothing is set aside")?)?;
    ensure!(place_of(&aside, "waiting 99 said").is_some());
    // The rest goes on.
    say(&proxy, "behind", 10)?;
    until("what follows is stored", Duration::from_secs(20), || {
        Ok((in_the_store(&proxy, "behind ")? == 10).then_some(()))
    })?;
    proxy.stop()?;
    for (text, count) in [("waiting 49 said", 1), ("waiting 50 said", 0)] {
        ensure!(in_the_store(&proxy, text)? == count, "{text}");
    }
    Ok(())
}

fn segment_with(proxy: &Proxy, text: &str) -> Result<PathBuf> {
    for lane in ["1", "2"] {
        for entry in fs::read_dir(proxy.data().join(lane))? {
            let path = entry?.path();
            if place_of(&fs::read(&path)?, text).is_some() {
                return Ok(path);
            }
        }
    }
    anyhow::bail!("no segment has `{text}`")
}

fn day_file(proxy: &Proxy) -> Result<PathBuf> {
    fs::read_dir(proxy.data().join("store"))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| {
            let name = path.file_name().and_then(|name| name.to_str());
            name.is_some_and(|name| name.starts_with("20") && name.ends_with(".db"))
        })
        .context("the store has no day")
}

#[test]
fn damage_in_the_store_is_named_and_the_rest_is_read() -> Result<()> {
    let server = Server::start(&Options::default())?;
    let mut proxy = start(&server)?;
    for round in 0..5 {
        say(&proxy, &format!("round {round} of"), 200)?;
        // A shipment, and so a block, of its own.
        until("it is stored", Duration::from_secs(20), || {
            let found = in_the_store(&proxy, &format!("round {round} of 199 said"))?;
            Ok((found == 1).then_some(()))
        })?;
    }
    proxy.stop()?;
    let day = day_file(&proxy)?;
    let connection = rusqlite::Connection::open(&day)?;
    let frames: Vec<u8> = connection.query_row(
        "SELECT frames FROM block WHERE statements > 100 ORDER BY id LIMIT 1 OFFSET 1",
        [],
        |row| row.get(0),
    )?;
    drop(connection);
    // Bytes of a block as they lie in the file, which SQLite itself does not look into.
    let some = frames.get(40..72).context("a short block")?;
    bend(&day, |bytes| {
        bytes.windows(some.len()).position(|window| window == some)
    })?;
    let said = findings(&proxy)?;
    let name = day
        .file_name()
        .and_then(|name| name.to_str())
        .context("no name")?;
    ensure!(said.contains(name), "{said}");
    // It starts over it and goes on.
    proxy.restart()?;
    say(&proxy, "behind", 10)?;
    until("what follows is stored", Duration::from_secs(20), || {
        Ok((in_the_store(&proxy, "behind ")? == 10).then_some(()))
    })?;
    proxy.stop()
}

/// Spoils the day's file from byte `from` on, and shows that the proxy sets it aside and goes on.
fn set_aside_when_spoilt(from: usize) -> Result<()> {
    let server = Server::start(&Options::default())?;
    let mut proxy = start(&server)?;
    say(&proxy, "spoilt", 300)?;
    until("it is stored", Duration::from_secs(20), || {
        Ok((in_the_store(&proxy, "spoilt 299 said")? == 1).then_some(()))
    })?;
    proxy.stop()?;
    let day = day_file(&proxy)?;
    let mut bytes = fs::read(&day)?;
    let spoilt = bytes.get_mut(from..).context("a short file")?;
    ensure!(spoilt.len() > 4096);
    spoilt.fill(0xa5);
    fs::write(&day, &bytes)?;
    proxy.restart()?;
    say(&proxy, "behind", 10)?;
    until("what follows is stored", Duration::from_secs(20), || {
        Ok((in_the_store(&proxy, "behind ")? == 10).then_some(()))
    })?;
    proxy.stop()?;
    let log = proxy.log();
    ensure!(log.contains("its file was set aside"), "{log}");
    let name = day
        .file_name()
        .and_then(|name| name.to_str())
        .context("no name")?;
    ensure!(fs::read(day.with_file_name(format!("{name}.damaged-1")))? == bytes);
    // What is missing is said.
    let said = findings(&proxy)?;
    ensure!(said.contains("a block is missing"), "{said}");
    ensure!(in_the_store(&proxy, "spoilt ")? == 0);
    Ok(())
}

#[test]
fn a_day_that_is_no_database_is_set_aside() -> Result<()> {
    set_aside_when_spoilt(0)
}

#[test]
fn a_day_whose_tables_are_spoilt_is_set_aside() -> Result<()> {
    set_aside_when_spoilt(4096)
}
