//! The journal: append-only, crash-safe, hash-chained. One lane per worker thread of the proxy.
//!
//! Order of calls: [`Journal::open`] (recovers what an earlier life left), [`Journal::continue_from`] with what
//! the store knows, [`Journal::lane`] once per worker, [`Lane::append`] ever after. A shipper reads behind the
//! writers and releases what the store has acknowledged.
//!
//! An entry is in the page cache when `append` returns: it survives a `kill -9` of the process at any instant. Whether it
//! is on the disk, too, [`Disk`] tells where [`Durability`] asks for it.

mod disk;
mod frame;
mod keeper;
mod lane;
mod map;
mod recovery;
mod segment;
mod tail;

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

pub use self::disk::{Disk, Durability, SyncFailed};
pub use self::frame::{Broken, Frame};
pub use self::lane::Lane;
pub use self::recovery::{Gap, LaneRecovery, Recovery, Torn};
pub(crate) use self::tail::{LaneReader, Step, Stopped};

use self::keeper::Spare;
use self::segment::Segment;
use crate::chain::GENESIS;
use crate::event::{MAX_LANE, Seq};

/// How the journal is laid out.
#[derive(Clone, Debug)]
pub struct JournalSettings {
    /// The node's number, part of every event id.
    pub node: u16,
    /// The size of a segment; an entry can't be larger.
    pub segment_bytes: u64,
    /// How much all segments together may take on the disk before appending fails with [`JournalError::Full`].
    ///
    /// Entries that complete others (outcomes, session ends) may take one segment per lane more.
    pub max_journal_bytes: u64,
    /// When an entry counts as taken.
    pub durability: Durability,
}

impl Default for JournalSettings {
    fn default() -> Self {
        Self {
            node: 0,
            segment_bytes: 64 << 20,
            max_journal_bytes: 8 << 30,
            durability: Durability::Process,
        }
    }
}

/// Why the journal can't do its work.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The store lags behind and the journal has reached its size.
    #[error("the journal is full: max_journal_bytes = {limit} are waiting for the store")]
    Full {
        /// The limit that was reached.
        limit: u64,
    },
    /// The entry is larger than a segment.
    #[error("an entry of {needed} bytes does not fit a segment")]
    TooLarge {
        /// What it takes.
        needed: usize,
    },
    /// The lane has a writer already.
    #[error("lane {0} has a writer already")]
    LaneTaken(u16),
    /// There is no such lane.
    #[error("lane {0} is beyond the largest lane number, {MAX_LANE}")]
    LaneNumber(u16),
    /// A setting makes no sense.
    #[error("invalid journal settings: {0}")]
    Settings(&'static str),
    /// Another process has the journal.
    #[error("the journal `{0}` is in use by another process")]
    InUse(PathBuf),
    /// The operating system said no.
    #[error("journal `{path}`: {source}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// The lane's numbers are used up.
    #[error("lane {0} has used all its sequence numbers")]
    Exhausted(u16),
}

impl JournalError {
    fn io(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |source| Self::Io {
            path: path.to_owned(),
            source,
        }
    }
}

/// Where a lane stands: its last entry and that entry's link of the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneHead {
    /// The lane.
    pub lane: u16,
    /// The last sequence number; 0 where there is none.
    pub seq: Seq,
    /// The link of the last entry.
    pub chain: [u8; 32],
}

impl LaneHead {
    /// The head of a lane of which nothing is known.
    pub(crate) const fn none(lane: u16) -> Self {
        Self {
            lane,
            seq: Seq(0),
            chain: GENESIS,
        }
    }
}

/// The journal of one node.
pub struct Journal {
    shared: Arc<Shared>,
    keeper: Option<JoinHandle<()>>,
}

/// What the journal, its lanes, its keeper and its readers share.
pub(crate) struct Shared {
    dir: PathBuf,
    settings: JournalSettings,
    /// Bytes that all segments, spares included, take on the disk.
    allocated: AtomicU64,
    lanes: Mutex<BTreeMap<u16, Arc<LaneShared>>>,
    stop: Mutex<bool>,
    stopped: Condvar,
    /// Held for its lock.
    _lock: std::fs::File,
}

/// One lane as its writer, the keeper and readers share it.
struct LaneShared {
    number: u16,
    dir: PathBuf,
    /// Oldest first; the last one is being written, or holds the lane's head.
    segments: Mutex<VecDeque<Segment>>,
    /// A segment prepared ahead of need.
    spare: Mutex<Option<Spare>>,
    /// The lane's head while it has no writer.
    idle: Mutex<Option<LaneHead>>,
}

impl Journal {
    /// Opens the journal in `dir`, recovers what an earlier life left, and tells what it found.
    ///
    /// # Errors
    /// Where the directory can't be made, written or locked, or a segment can't be read or truncated.
    pub fn open(dir: &Path, settings: JournalSettings) -> Result<(Self, Recovery), JournalError> {
        check(&settings)?;
        crate::files::private_dir(dir).map_err(JournalError::io(dir))?;
        let lock = lock(dir)?;
        let (found, recovery) = recovery::recover(dir)?;
        let mut allocated = 0;
        let mut lanes = BTreeMap::new();
        for (lane, head) in found {
            allocated += lane
                .lock_segments()
                .iter()
                .map(|segment| segment.size)
                .sum::<u64>();
            *held(&lane.idle) = Some(head);
            lanes.insert(lane.number, Arc::new(lane));
        }
        let shared = Arc::new(Shared {
            dir: dir.to_owned(),
            settings,
            allocated: AtomicU64::new(allocated),
            lanes: Mutex::new(lanes),
            stop: Mutex::new(false),
            stopped: Condvar::new(),
            _lock: lock,
        });
        let keeper = keeper::start(&shared).map_err(JournalError::io(dir))?;
        Ok((
            Self {
                shared,
                keeper: Some(keeper),
            },
            recovery,
        ))
    }

    /// Makes lanes continue behind what the store has, where the journal itself remembers less.
    ///
    /// Call it before the first [`Journal::lane`]: numbers that the store has seen are never given again, even
    /// if somebody removed the journal's files.
    ///
    /// # Errors
    /// Where a lane has a writer already or its directory can't be made.
    pub fn continue_from(&self, heads: &[LaneHead]) -> Result<(), JournalError> {
        for head in heads {
            let lane = self.shared.lane(head.lane)?;
            let mut idle = held(&lane.idle);
            let known = idle.as_mut().ok_or(JournalError::LaneTaken(head.lane))?;
            if known.seq < head.seq {
                *known = *head;
            }
        }
        Ok(())
    }

    /// Takes lane `number` for one writer, in a fresh segment, and writes its epoch entry.
    ///
    /// Dropping the [`Lane`] gives it back.
    ///
    /// # Errors
    /// Where the lane is taken, its number is too large, or the segment can't be made.
    pub fn lane(&self, number: u16) -> Result<Lane, JournalError> {
        Lane::take(&self.shared, number)
    }

    /// Bytes that the journal takes on the disk.
    #[must_use]
    pub fn allocated_bytes(&self) -> u64 {
        self.shared.allocated()
    }

    pub(crate) fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        *held(&self.shared.stop) = true;
        self.shared.stopped.notify_all();
        if let Some(keeper) = self.keeper.take() {
            let _ = keeper.join();
        }
    }
}

impl Shared {
    pub(crate) fn node(&self) -> u16 {
        self.settings.node
    }

    pub(crate) fn allocated(&self) -> u64 {
        self.allocated.load(Ordering::Relaxed)
    }

    pub(crate) fn max_bytes(&self) -> u64 {
        self.settings.max_journal_bytes
    }

    /// The lane of that number, made where there is none yet.
    fn lane(&self, number: u16) -> Result<Arc<LaneShared>, JournalError> {
        if number > MAX_LANE {
            return Err(JournalError::LaneNumber(number));
        }
        let mut lanes = held(&self.lanes);
        if let Some(lane) = lanes.get(&number) {
            return Ok(Arc::clone(lane));
        }
        let dir = self.dir.join(number.to_string());
        crate::files::private_dir(&dir).map_err(JournalError::io(&dir))?;
        let lane = LaneShared::new(number, dir);
        *held(&lane.idle) = Some(LaneHead {
            lane: number,
            seq: Seq(0),
            chain: GENESIS,
        });
        let lane = Arc::new(lane);
        lanes.insert(number, Arc::clone(&lane));
        Ok(lane)
    }

    fn lanes(&self) -> Vec<Arc<LaneShared>> {
        held(&self.lanes).values().cloned().collect()
    }

    /// Takes the bytes of one segment out of the budget.
    fn reserve(&self, claim: Claim) -> Result<(), JournalError> {
        let size = self.settings.segment_bytes;
        let limit = match claim {
            Claim::Ordinary => self.settings.max_journal_bytes,
            Claim::Completing => {
                let lanes = held(&self.lanes).len() as u64;
                self.settings
                    .max_journal_bytes
                    .saturating_add(lanes.saturating_mul(size))
            }
        };
        let reserved = |allocated: u64| allocated.checked_add(size).filter(|sum| *sum <= limit);
        match self
            .allocated
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, reserved)
        {
            Ok(_) => Ok(()),
            Err(_) => Err(JournalError::Full {
                limit: self.settings.max_journal_bytes,
            }),
        }
    }

    fn release(&self, size: u64) {
        let less = |allocated: u64| Some(allocated.saturating_sub(size));
        let _ = self
            .allocated
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }
}

/// On whose behalf a segment is reserved.
#[derive(Clone, Copy)]
enum Claim {
    /// A new thing.
    Ordinary,
    /// The completion of something recorded.
    Completing,
}

impl LaneShared {
    fn new(number: u16, dir: PathBuf) -> Self {
        Self {
            number,
            dir,
            segments: Mutex::new(VecDeque::new()),
            spare: Mutex::new(None),
            idle: Mutex::new(None),
        }
    }

    fn lock_segments(&self) -> MutexGuard<'_, VecDeque<Segment>> {
        held(&self.segments)
    }
}

/// Locks; a panic elsewhere leaves these values whole, so poisoning means nothing.
fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn check(settings: &JournalSettings) -> Result<(), JournalError> {
    let size = settings.segment_bytes;
    if !(64 * 1024..=1 << 30).contains(&size) || !size.is_multiple_of(4096) {
        let why = "segment_bytes must be a multiple of 4096 between 64 KiB and 1 GiB";
        return Err(JournalError::Settings(why));
    }
    if settings.max_journal_bytes < size.saturating_mul(2) {
        return Err(JournalError::Settings(
            "max_journal_bytes must hold two segments at least",
        ));
    }
    Ok(())
}

fn lock(dir: &Path) -> Result<std::fs::File, JournalError> {
    let path = dir.join("lock");
    let file = crate::files::private_file(&path).map_err(JournalError::io(&path))?;
    match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(JournalError::InUse(dir.to_owned())),
        Err(error) => Err(JournalError::Io {
            path,
            source: error.into(),
        }),
    }
}
