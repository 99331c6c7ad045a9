//! Beyond the death of the process: a thread per lane that brings what was appended to the disk, for everybody who waits
//! at once (group commit).

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread::JoinHandle;
use std::time::Duration;

use super::{LaneShared, held};
use crate::event::Seq;

/// When an entry counts as taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// In the page cache: survives the death of the process, not of the machine.
    #[default]
    Process,
    /// In the page cache, and on the disk after this time at the latest: the loss of power loses no more.
    Deferred(Duration),
    /// On the disk: [`Disk::poll_synced`] says when.
    Disk,
}

/// The disk can't be trusted any more. What was said to be on it is; what was appended since may not be. It lasts until
/// the lane is taken anew: after a failed sync the kernel may have dropped the pages that it could not write (fsync(2)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the journal can't be brought to the disk")]
pub struct SyncFailed;

/// How far a lane is on the disk.
pub struct Disk {
    appended: AtomicU64,
    synced: AtomicU64,
    queue: Mutex<Queue>,
    asked: Condvar,
}

#[derive(Default)]
struct Queue {
    waiting: Vec<(Seq, Waker)>,
    /// Who is told of a failure.
    watcher: Option<Waker>,
    failed: bool,
    stop: bool,
}

impl Disk {
    /// Ready once entry `seq` survives the loss of power; the task is woken then. Asked once per task at a time.
    pub fn poll_synced(&self, seq: Seq, cx: &mut Context<'_>) -> Poll<Result<(), SyncFailed>> {
        if self.is_synced(seq) {
            return Poll::Ready(Ok(()));
        }
        let mut queue = held(&self.queue);
        if queue.failed {
            return Poll::Ready(Err(SyncFailed));
        }
        // The thread moves the mark before it takes the lock to wake: whoever misses the mark here is in the queue then.
        if self.is_synced(seq) {
            return Poll::Ready(Ok(()));
        }
        let known = queue
            .waiting
            .iter_mut()
            .find(|(_, waker)| waker.will_wake(cx.waker()));
        match known {
            Some((awaited, _)) => *awaited = seq,
            None => queue.waiting.push((seq, cx.waker().clone())),
        }
        self.asked.notify_one();
        Poll::Pending
    }

    /// Ready once the disk can't be trusted any more; one task is woken then.
    pub fn poll_failed(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut queue = held(&self.queue);
        if queue.failed {
            return Poll::Ready(());
        }
        queue.watcher = Some(cx.waker().clone());
        Poll::Pending
    }

    fn is_synced(&self, seq: Seq) -> bool {
        self.synced.load(Ordering::Acquire) >= seq.0
    }

    /// The writer has appended `seq`.
    #[inline]
    pub(super) fn appended(&self, seq: Seq) {
        self.appended.store(seq.0, Ordering::Release);
    }

    /// Waits until there is something to do; whether the writer is gone.
    fn rest(&self, durability: Durability) -> bool {
        let queue = held(&self.queue);
        let queue = match durability {
            Durability::Deferred(interval) => {
                let idle = |queue: &mut Queue| !queue.stop;
                let waited = self.asked.wait_timeout_while(queue, interval, idle);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
            Durability::Disk | Durability::Process => {
                let idle = |queue: &mut Queue| !queue.stop && queue.waiting.is_empty();
                let waited = self.asked.wait_while(queue, idle);
                waited.unwrap_or_else(PoisonError::into_inner)
            }
        };
        queue.stop
    }

    /// Wakes those who need not wait any longer.
    fn wake(&self, failed: bool) {
        let mut queue = held(&self.queue);
        queue.failed |= failed;
        let failed = queue.failed;
        if let Some(watcher) = queue.watcher.take_if(|_| failed) {
            watcher.wake();
        }
        queue.waiting.retain(|(seq, waker)| {
            let done = failed || self.is_synced(*seq);
            if done {
                waker.wake_by_ref();
            }
            !done
        });
    }
}

/// The thread that serves one lane; it brings the rest to the disk and ends when this is dropped.
pub(super) struct Syncer {
    pub(super) disk: Arc<Disk>,
    thread: Option<JoinHandle<()>>,
}

impl Syncer {
    /// Starts it for the lane whose last entry is `last`.
    pub(super) fn start(
        lane: &Arc<LaneShared>,
        last: Seq,
        durability: Durability,
    ) -> std::io::Result<Self> {
        let disk = Arc::new(Disk {
            appended: AtomicU64::new(last.0),
            synced: AtomicU64::new(0),
            queue: Mutex::default(),
            asked: Condvar::new(),
        });
        let (lane, served) = (Arc::clone(lane), Arc::clone(&disk));
        let thread = std::thread::Builder::new()
            .name("sqlward-disk".to_owned())
            .spawn(move || serve(&lane, &served, durability))?;
        Ok(Self {
            disk,
            thread: Some(thread),
        })
    }
}

impl Drop for Syncer {
    fn drop(&mut self) {
        held(&self.disk.queue).stop = true;
        self.disk.asked.notify_all();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(lane: &LaneShared, disk: &Disk, durability: Durability) {
    let mut place = Place {
        segment: Seq(0),
        offset: 0,
    };
    loop {
        let stop = disk.rest(durability);
        // Whatever is appended by now comes along, and is in the segments that are listed later.
        let target = disk.appended.load(Ordering::Acquire);
        let failed = match place.bring(lane) {
            Ok(()) => {
                disk.synced.store(target, Ordering::Release);
                false
            }
            Err(error) => {
                tracing::error!(lane = lane.number, %error, "the journal can't be brought to the disk");
                true
            }
        };
        disk.wake(failed);
        if stop || failed {
            return;
        }
    }
}

/// Up to where a lane is on the disk.
struct Place {
    segment: Seq,
    offset: usize,
}

impl Place {
    fn bring(&mut self, lane: &LaneShared) -> std::io::Result<()> {
        let segments: Vec<_> = lane
            .lock_segments()
            .iter()
            .filter(|segment| segment.header.first_seq >= self.segment)
            .cloned()
            .collect();
        for segment in segments {
            let published = segment.read.published_len();
            let fresh = segment.header.first_seq > self.segment || self.offset == 0;
            if fresh {
                self.segment = segment.header.first_seq;
                self.offset = 0;
            }
            if published > self.offset {
                segment.read.flush(self.offset, published - self.offset)?;
                self.offset = published;
            }
            if fresh {
                // The name of a new segment is in its folder, and the folder's in the journal's.
                std::fs::File::open(&lane.dir)?.sync_all()?;
                if let Some(journal) = lane.dir.parent() {
                    std::fs::File::open(journal)?.sync_all()?;
                }
            }
        }
        Ok(())
    }
}
