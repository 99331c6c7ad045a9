//! The keeper: a thread that prepares segments and memory ahead of the writers.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use super::map::{self, ReadHalf, WriteHalf};
use super::segment::{self, HEADER, Header, Segment};
use super::{Claim, JournalError, LaneShared, Shared, held};
use crate::event::Seq;

/// A segment that has blocks and a map but no place in the lane yet.
pub(super) struct Spare {
    path: PathBuf,
    size: u64,
    write: WriteHalf,
    read: ReadHalf,
}

impl Spare {
    /// Makes one, on the budget that `claim` may use.
    pub(super) fn make(
        shared: &Shared,
        lane: &LaneShared,
        claim: Claim,
    ) -> Result<Self, JournalError> {
        static NAMES: AtomicU64 = AtomicU64::new(0);
        shared.reserve(claim)?;
        let size = shared.settings.segment_bytes;
        let name = format!("spare-{}.tmp", NAMES.fetch_add(1, Ordering::Relaxed));
        let path = lane.dir.join(name);
        let mapped = segment::preallocate(&path, size)
            .and_then(|file| map::writable(&file, usize::try_from(size).unwrap_or(usize::MAX)));
        match mapped {
            Ok((write, read)) => Ok(Self {
                path,
                size,
                write,
                read,
            }),
            Err(error) => {
                shared.release(size);
                Err(JournalError::Io {
                    path,
                    source: error,
                })
            }
        }
    }

    /// Gives it its name and its header.
    pub(super) fn activate(
        mut self,
        path: PathBuf,
        header: Header,
    ) -> Result<(WriteHalf, Segment), JournalError> {
        std::fs::rename(&self.path, &path).map_err(JournalError::io(&path))?;
        if !header.write(&mut self.write) {
            return Err(JournalError::TooLarge { needed: HEADER });
        }
        Ok((
            self.write,
            Segment {
                path,
                header,
                read: self.read,
                size: self.size,
            },
        ))
    }
}

/// Starts the thread; it ends when the journal is dropped.
pub(super) fn start(shared: &Arc<Shared>) -> std::io::Result<JoinHandle<()>> {
    let shared = Arc::downgrade(shared);
    std::thread::Builder::new()
        .name("sqlward-journal".to_owned())
        .spawn(move || keep(&shared))
}

fn keep(shared: &Weak<Shared>) {
    let mut ahead = HashMap::new();
    let mut pause = BUSY;
    loop {
        let Some(shared) = shared.upgrade() else {
            return;
        };
        let stop = held(&shared.stop);
        let waited = shared
            .stopped
            .wait_timeout_while(stop, pause, |stop| !*stop);
        if *waited.unwrap_or_else(PoisonError::into_inner).0 {
            return;
        }
        pause = IDLE;
        ahead.retain(|_, seen: &mut Seen| std::mem::take(&mut seen.alive));
        for lane in shared.lanes() {
            if look_after(&shared, &lane, &mut ahead) == Pace::Busy {
                pause = BUSY;
            }
        }
    }
}

/// How far a segment was written and populated at the last look.
struct Seen {
    written: usize,
    populated: usize,
    alive: bool,
}

#[derive(PartialEq, Eq)]
enum Pace {
    Busy,
    Idle,
}

fn look_after(shared: &Shared, lane: &LaneShared, ahead: &mut HashMap<(u16, Seq), Seen>) -> Pace {
    if held(&lane.idle).is_some() {
        return Pace::Idle;
    }
    let Some(active) = lane.lock_segments().back().cloned() else {
        return Pace::Idle;
    };
    let written = active.read.published_len();
    let seen = ahead
        .entry((lane.number, active.header.first_seq))
        .or_insert(Seen {
            written: 0,
            populated: HEADER,
            alive: true,
        });
    seen.alive = true;
    let step = written.saturating_sub(seen.written);
    seen.written = written;
    let wanted = written.saturating_add((2 * step).clamp(LEAST_AHEAD, MOST_AHEAD));
    if wanted.saturating_sub(seen.populated) >= LEAST_AHEAD / 2 {
        let from = seen.populated.max(written);
        active.read.populate(from, wanted.saturating_sub(from));
        seen.populated = wanted;
    }
    if written > active.read.len() / 2 && held(&lane.spare).is_none() {
        // Failure is no news here: the writer meets it at the end of the segment and reports it.
        if let Ok(spare) = Spare::make(shared, lane, Claim::Ordinary) {
            spare.read.populate(0, MOST_AHEAD);
            *held(&lane.spare) = Some(spare);
        }
    }
    if step > 0 { Pace::Busy } else { Pace::Idle }
}

const BUSY: Duration = Duration::from_millis(5);
const IDLE: Duration = Duration::from_millis(100);
const LEAST_AHEAD: usize = 256 << 10;
const MOST_AHEAD: usize = 16 << 20;
