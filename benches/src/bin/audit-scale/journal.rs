//! The journal alone: what an append costs, and how long recovery takes.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use sqlward_audit_store::journal::{Journal, JournalSettings, Lane};

use crate::{load, show, timed};

/// Shows what appending costs when as many `lanes` have writers, each on a thread of its own, one statement in 20 µs.
pub(crate) fn append(lanes: u16) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (journal, _) = Journal::open(dir.path(), JournalSettings::default())?;
    let mut costs: Vec<u64> = Vec::new();
    std::thread::scope(|scope| -> Result<()> {
        let writers: Vec<_> = (0..lanes)
            .map(|number| {
                let lane = journal.lane(number)?;
                Ok(scope.spawn(move || paced(lane)))
            })
            .collect::<Result<_>>()?;
        for writer in writers {
            costs.extend(writer.join().ok().context("a writer panicked")??);
        }
        Ok(())
    })?;
    costs.sort_unstable();
    let at = |percent: usize| costs.get(costs.len() * percent / 100).copied();
    let mut clock: Vec<u64> = (0..10_000).map(|_| since(Instant::now())).collect();
    clock.sort_unstable();
    println!(
        "| journal append, {lanes} lanes with writers | p50 {} ns, p99 {} ns | (asking for the time: {} ns) |",
        at(50).context("nothing was timed")?,
        at(99).context("nothing was timed")?,
        clock.get(clock.len() / 2).context("no clock")? / 2
    );
    Ok(())
}

fn paced(lane: Lane) -> Result<Vec<u64>> {
    let mut clients = load::Clients::new(lane)?;
    let mut costs = Vec::with_capacity(2 * TIMED as usize);
    for number in 0..TIMED {
        let begun = Instant::now();
        clients.run(number, load::NOW)?;
        // Intent and outcome.
        costs.push(since(begun) / 2);
        if number % 50 == 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    Ok(costs)
}

fn since(begun: Instant) -> u64 {
    u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// Shows how long it takes to open a journal of `bytes` that its process left behind.
pub(crate) fn recover(bytes: u64) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (journal, _) = Journal::open(dir.path(), JournalSettings::default())?;
    let mut clients = load::Clients::new(journal.lane(0)?)?;
    let mut number = 0;
    while journal.allocated_bytes() <= bytes {
        clients.run(number, load::NOW)?;
        number += 1;
    }
    drop(clients);
    drop(journal);
    let open = || Ok(Journal::open(dir.path(), JournalSettings::default())?);
    let ((_journal, recovery), took, used) = timed(open)?;
    anyhow::ensure!(recovery.is_clean(), "{recovery:?}");
    anyhow::ensure!(size(dir.path())? >= bytes * 9 / 10, "too small a journal");
    show("recovery of 1 GiB of journal", took, used);
    Ok(())
}

fn size(dir: &Path) -> Result<u64> {
    let mut size = 0;
    for entry in std::fs::read_dir(dir.join("0"))? {
        size += entry?.metadata()?.len();
    }
    Ok(size)
}

/// How many statements are timed in each lane.
const TIMED: u32 = 100_000;
