//! What the audit could not do as it should: counted by each worker, and told by records of the administration as soon as
//! one can be written.

use std::{
    cell::Cell,
    rc::{Rc, Weak},
    sync::Arc,
    time::Duration,
};

use sqlward_audit_store::{
    journal::{Disk, JournalError, Lane},
    record::{Admin, AdminAction, Entry},
};
use tokio::sync::Notify;

use crate::{shared::wall_us, worker::Worker};

/// What happened to a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gap {
    /// The journal could not take it, and what it tells of happened all the same.
    Dropped,
    /// The journal could not take it, and its statement was refused.
    Blocked,
    /// It could not be brought to the disk, and its statement passed all the same.
    Unsynced,
}

/// What is still to be told.
#[derive(Debug, Default)]
pub(crate) struct Gaps {
    dropped: Cell<Count>,
    blocked: Cell<Count>,
    unsynced: Cell<Count>,
    noticed: Notify,
}

/// How often, and when first and last, in µs since 1970.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    times: u64,
    first_us: u64,
    last_us: u64,
}

impl Gap {
    fn detail(self) -> &'static str {
        match self {
            Self::Dropped => "records that the journal could not take",
            Self::Blocked => "statements refused because the journal could not take their records",
            Self::Unsynced => {
                "statements passed though their records could not be brought to the disk"
            }
        }
    }
}

impl Gaps {
    /// Count one.
    pub(crate) fn add(&self, gap: Gap) {
        let now_us = wall_us();
        let cell = self.of(gap);
        let mut count = cell.get();
        if count.times == 0 {
            count.first_us = now_us;
        }
        count.times = count.times.saturating_add(1);
        count.last_us = now_us;
        cell.set(count);
        self.noticed.notify_one();
    }

    /// Write what is to be told, if anything is. Called before each intent: a gap is told before the record behind it.
    ///
    /// # Errors
    /// The journal can't take it; the gap stays to be told.
    #[inline]
    pub(crate) fn tell(&self, lane: &mut Lane, generation: u64) -> Result<(), JournalError> {
        self.tell_one(Gap::Dropped, lane, generation)?;
        self.tell_one(Gap::Blocked, lane, generation)
    }

    /// Write everything that is to be told, also what is counted for a while so that not every statement has a
    /// record of its own for it.
    fn tell_all(&self, lane: &mut Lane, generation: u64) -> Result<(), JournalError> {
        self.tell(lane, generation)?;
        self.tell_one(Gap::Unsynced, lane, generation)
    }

    fn tell_one(&self, gap: Gap, lane: &mut Lane, generation: u64) -> Result<(), JournalError> {
        let cell = self.of(gap);
        let count = cell.get();
        if count.times == 0 {
            return Ok(());
        }
        let what = gap.detail();
        let detail = format!(
            "{what}, {} to {}",
            time(count.first_us),
            time(count.last_us)
        );
        write(lane, &detail, generation, count.times)?;
        cell.set(Count::default());
        Ok(())
    }

    fn of(&self, gap: Gap) -> &Cell<Count> {
        match gap {
            Gap::Dropped => &self.dropped,
            Gap::Blocked => &self.blocked,
            Gap::Unsynced => &self.unsynced,
        }
    }
}

/// Tell what `gaps` counts while the worker lives, soon after it came and as often as it takes.
///
/// Cancel safe: what is untold stays counted.
pub(crate) async fn keep_telling(gaps: Rc<Gaps>, worker: Weak<Worker>) {
    loop {
        gaps.noticed.notified().await;
        loop {
            tokio::time::sleep(PAUSE).await;
            let Some(worker) = worker.upgrade() else {
                return;
            };
            if tell_now(&worker).is_ok() {
                break;
            }
        }
    }
}

/// Tell everything now; the worker's last word, too.
///
/// # Errors
/// The journal can't take it.
pub(crate) fn tell_now(worker: &Worker) -> Result<(), JournalError> {
    let generation = worker.policy().generation;
    worker
        .gaps
        .tell_all(&mut worker.lane.borrow_mut(), generation)
}

/// Write one record when the lane can't be brought to the disk any more: what was promised of the loss of power does not
/// hold for what comes behind it.
///
/// Cancel safe: it has done nothing until it is done.
pub(crate) async fn tell_failure(disk: Arc<Disk>, worker: Weak<Worker>) {
    std::future::poll_fn(|cx| disk.poll_failed(cx)).await;
    if let Some(worker) = worker.upgrade() {
        let generation = worker.policy().generation;
        let told = write(&mut worker.lane.borrow_mut(), FAILED, generation, 0);
        if let Err(error) = told {
            worker.gaps.add(Gap::Dropped);
            tracing::error!(%error, "the disk's failure could not be recorded");
        }
    }
}

fn write(lane: &mut Lane, detail: &str, generation: u64, count: u64) -> Result<(), JournalError> {
    lane.append(&Entry::Admin(Admin {
        at_us: wall_us(),
        action: AdminAction::Gap,
        actor: "sqlward",
        detail,
        generation,
        config_hash: None,
        count,
    }))
    .map(drop)
}

fn time(us: u64) -> String {
    i64::try_from(us)
        .ok()
        .and_then(|us| jiff::Timestamp::from_microsecond(us).ok())
        .map(|time| time.to_string())
        .unwrap_or_default()
}

const FAILED: &str = "the journal can't be brought to the disk any more: records from here on may not survive the loss of power, until sqlward is started anew";

/// How long things are counted before they are told.
const PAUSE: Duration = Duration::from_secs(1);
