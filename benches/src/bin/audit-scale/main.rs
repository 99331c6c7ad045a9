//! The audit at scale: what appending costs, how fast the shipper moves records into the store, what the store takes on
//! the disk, how soon it answers with tens of millions of statements in it, and how soon a journal is recovered.
//!
//! `audit-scale [STATEMENTS [FOLDER]]` (50,000,000 otherwise) needs some 50 bytes of disk for each, and 1 GiB for the journal. What is put in FOLDER
//! stays there; if it holds a store of an earlier run, only the questions are asked. The table of `make bench-audit` is in
//! benches/README.md.

mod journal;
mod load;
mod questions;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use sqlward_audit_store::journal::JournalSettings;
use sqlward_audit_store::{Audit, AuditSettings, STORE};

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let count = arguments
        .next()
        .map_or(Ok(STATEMENTS), |text| text.parse())
        .context("the number of statements")?;
    let temporary = tempfile::tempdir()?;
    let data = arguments
        .next()
        .map_or(temporary.path().to_owned(), PathBuf::from);
    println!("| what | time | processor time |\n|---|---|---|");
    if !data.join(STORE).exists() {
        for lanes in [1, 8] {
            journal::append(lanes)?;
        }
        journal::recover(RECOVERED)?;
        fill(&data, count)?;
    }
    questions::ask(&data, count)
}

fn fill(data: &Path, count: u32) -> Result<()> {
    let settings = AuditSettings {
        journal: JournalSettings {
            max_journal_bytes: 1 << 30,
            ..JournalSettings::default()
        },
        ..AuditSettings::default()
    };
    let (audit, _) = Audit::open(data, settings)?;
    let begun = Instant::now();
    let loaded = load::run(&audit, count)?;
    let what = format!("{count} statements from the journal into the store");
    show(&what, begun.elapsed(), loaded.shipper_cpu);
    let rate = f64::from(count) / loaded.shipper_cpu.as_secs_f64();
    println!("| statements per second of a processor | | {rate:.0} |");
    println!(
        "| most memory while they were | {} MiB | |",
        loaded.peak >> 20
    );
    let _ = audit.stop(Duration::from_secs(600));
    let size = load::store_bytes(data)?;
    println!(
        "| the store on the disk, indexes included | {} MiB, {:.1} bytes a statement | |",
        size >> 20,
        size as f64 / f64::from(count)
    );
    Ok(())
}

/// A line of the table.
fn show(what: &str, time: Duration, processor: Duration) {
    println!(
        "| {what} | {:.2} s | {:.2} s |",
        time.as_secs_f64(),
        processor.as_secs_f64()
    );
}

/// Does something; how long it takes, and how long of that this thread has a processor.
fn timed<T>(work: impl FnOnce() -> Result<T>) -> Result<(T, Duration, Duration)> {
    let own = Path::new("/proc/thread-self");
    let (begun, used) = (Instant::now(), load::processor(own)?);
    let done = work()?;
    Ok((done, begun.elapsed(), load::processor(own)? - used))
}

const STATEMENTS: u32 = 50_000_000;
const RECOVERED: u64 = 1 << 30;
