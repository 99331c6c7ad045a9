//! The shipper: a thread that moves entries from the journal to the store.
//!
//! At least once, with the effect of exactly once: rows are keyed by lane and sequence number, what is there
//! already is left alone, and progress is noted after the rows. Segments go when the progress is noted.

pub(crate) mod batch;
pub(crate) mod pairing;
mod priority;
pub(crate) mod rows;
pub(crate) mod subject;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use self::batch::Collector;
use self::priority::Priority;
use crate::embedded::{Batch, Store, StoreError, append};
use crate::journal::{Journal, JournalError, Shared};
use crate::proof::ProofSettings;
use crate::time::{Day, now_us};

/// How the shipper works.
#[derive(Clone, Debug)]
pub struct ShipperSettings {
    /// How long the shipper rests when it has caught up: the larger its batches, the less a statement costs.
    pub interval: Duration,
    /// How many entries go into one batch at most.
    pub batch_entries: usize,
    /// How many bytes of entries go into one batch at most (one entry may exceed it). They wait in memory compressed,
    /// save for a block per lane.
    pub batch_bytes: usize,
    /// How checkpoints are made of what is shipped.
    pub proof: ProofSettings,
}

impl Default for ShipperSettings {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(1),
            batch_entries: 400_000,
            batch_bytes: 64 << 20,
            proof: ProofSettings::default(),
        }
    }
}

/// What the shipper has done, for the proxy's metrics.
#[derive(Debug, Default)]
pub struct ShipperMetrics {
    /// Entries shipped.
    pub entries: AtomicU64,
    /// New statement rows in the store.
    pub rows: AtomicU64,
    /// Batches written.
    pub batches: AtomicU64,
    /// Attempts that failed.
    pub errors: AtomicU64,
    /// Entries that could not be read.
    pub unreadable: AtomicU64,
    /// Outcomes without an open intent.
    pub orphans: AtomicU64,
    /// Breaks in a lane's chain.
    pub gaps: AtomicU64,
    /// Bytes of the journal that are not in the store yet.
    pub lag_bytes: AtomicU64,
    /// How long the oldest of them has been waiting, at most, in ms.
    pub lag_ms: AtomicU64,
    /// Bytes that the journal takes on the disk.
    pub journal_bytes: AtomicU64,
    /// Checkpoints made.
    pub checkpoints: AtomicU64,
    /// Checkpoints that could not be made, kept in their file, or handed to those who hand them out.
    pub checkpoint_errors: AtomicU64,
}

/// Why the shipper can't start.
#[derive(Debug, thiserror::Error)]
pub enum ShipError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The journal failed.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The thread can't be started.
    #[error("the shipper's thread can't be started: {0}")]
    Thread(std::io::Error),
}

/// How a shipper ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drained {
    /// Everything in the journal is in the store.
    Whole,
    /// The time was over first; the journal keeps the rest for the next start.
    Partly,
}

/// A running shipper.
pub struct Shipper {
    control: Arc<Control>,
    metrics: Arc<ShipperMetrics>,
    thread: Option<JoinHandle<Drained>>,
}

struct Control {
    order: Mutex<Order>,
    changed: Condvar,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Run,
    /// Ship what is there, but not beyond this instant.
    Drain(Instant),
}

impl Shipper {
    /// Starts shipping from `journal` to `store`. Call it before the journal's lanes are taken.
    ///
    /// # Errors
    /// Where the store can't be read, a lane is taken already, or the thread can't be started.
    pub fn start(
        journal: &Journal,
        store: Store,
        settings: ShipperSettings,
    ) -> Result<Self, ShipError> {
        journal.continue_from(&store.heads()?)?;
        let metrics = Arc::new(ShipperMetrics::default());
        let control = Arc::new(Control {
            order: Mutex::new(Order::Run),
            changed: Condvar::new(),
        });
        let mut work = Work {
            collector: Collector::new(journal.shared(), &store)?,
            journal: journal.shared(),
            store,
            settings,
            control: Arc::clone(&control),
            metrics: Arc::clone(&metrics),
            caught_up: Instant::now(),
            housekeeping: None,
            checkpoint: Instant::now(),
        };
        let thread = std::thread::Builder::new()
            .name("sqlward-shipper".to_owned())
            .spawn(move || work.run())
            .map_err(ShipError::Thread)?;
        Ok(Self {
            control,
            metrics,
            thread: Some(thread),
        })
    }

    /// What has been done so far.
    #[must_use]
    pub fn metrics(&self) -> Arc<ShipperMetrics> {
        Arc::clone(&self.metrics)
    }

    /// Ships what the journal holds and stops; gives up when `patience` is over.
    #[must_use]
    pub fn stop(mut self, patience: Duration) -> Drained {
        self.drain(patience)
    }

    fn drain(&mut self, patience: Duration) -> Drained {
        *held(&self.control.order) = Order::Drain(Instant::now() + patience);
        self.control.changed.notify_all();
        let ended = self.thread.take().map(JoinHandle::join);
        ended.and_then(Result::ok).unwrap_or(Drained::Partly)
    }
}

impl Drop for Shipper {
    fn drop(&mut self) {
        if self.thread.is_some() {
            let _ = self.drain(Duration::ZERO);
        }
    }
}

struct Work {
    journal: Arc<Shared>,
    store: Store,
    collector: Collector,
    settings: ShipperSettings,
    control: Arc<Control>,
    metrics: Arc<ShipperMetrics>,
    caught_up: Instant,
    housekeeping: Option<Instant>,
    /// When the last checkpoint was due.
    checkpoint: Instant,
}

impl Work {
    fn run(&mut self) -> Drained {
        let mut priority = Priority::of_this_thread(self.journal.max_bytes());
        loop {
            if self
                .housekeeping
                .is_none_or(|last| last.elapsed() >= HOUSEKEEPING)
            {
                self.housekeeping = Some(Instant::now());
                self.keep_house();
            }
            // Asked first: what was appended before the order came is shipped.
            let order = *held(&self.control.order);
            let batch = self.collector.collect(&self.settings);
            self.metrics
                .unreadable
                .store(self.collector.unreadable, Ordering::Relaxed);
            self.metrics
                .orphans
                .store(self.collector.orphans(), Ordering::Relaxed);
            let caught_up = self.collector.caught_up();
            if let Some(batch) = batch
                && !self.commit(&batch)
            {
                return Drained::Partly;
            }
            let waiting = self.measure(caught_up);
            priority.follow(match order {
                Order::Run => waiting,
                Order::Drain(_) => u64::MAX,
            });
            match order {
                Order::Drain(_) if caught_up => {
                    self.sign();
                    return Drained::Whole;
                }
                Order::Drain(until) if Instant::now() >= until => {
                    self.sign();
                    return Drained::Partly;
                }
                _ if self.checkpoint.elapsed() >= self.settings.proof.interval => {
                    self.sign();
                }
                Order::Drain(_) | Order::Run => {}
            }
            match order {
                Order::Drain(_) => {}
                Order::Run if caught_up => {
                    self.wait(self.settings.interval);
                }
                Order::Run => {}
            }
        }
    }

    /// Writes a batch, for as long as it takes; answers `false` where the order to stop came first.
    fn commit(&mut self, batch: &Batch) -> bool {
        let mut pause = FIRST_PAUSE;
        loop {
            match self.store.commit(batch) {
                Ok(new) => {
                    self.metrics.rows.fetch_add(new, Ordering::Relaxed);
                    self.metrics.batches.fetch_add(1, Ordering::Relaxed);
                    let entries = self.collector.committed();
                    self.metrics.entries.fetch_add(entries, Ordering::Relaxed);
                    self.metrics
                        .gaps
                        .fetch_add(batch.gaps.len() as u64, Ordering::Relaxed);
                    return true;
                }
                Err(error) => {
                    self.metrics.errors.fetch_add(1, Ordering::Relaxed);
                    tracing::error!(%error, "the audit store took no batch; the journal keeps it");
                }
            }
            if let Order::Drain(until) = self.wait(pause)
                && Instant::now() >= until
            {
                return false;
            }
            pause = (pause * 2).min(LAST_PAUSE);
        }
    }

    /// Makes a checkpoint, if one is wanted and there is something new; answers `false` where it failed.
    fn sign(&mut self) -> bool {
        self.checkpoint = Instant::now();
        let proof = &self.settings.proof;
        let Some(signer) = &proof.signer else {
            return true;
        };
        let failed = |error: &dyn std::fmt::Display, what: &str| {
            self.metrics
                .checkpoint_errors
                .fetch_add(1, Ordering::Relaxed);
            tracing::error!(%error, "{what}");
        };
        let made = match self.store.checkpoint(signer) {
            Ok(None) => return true,
            Ok(Some(made)) => made,
            Err(error) => {
                failed(&error, "no checkpoint could be made");
                return false;
            }
        };
        self.metrics.checkpoints.fetch_add(1, Ordering::Relaxed);
        let note: Arc<str> = made.to_string().into();
        if let Some(path) = &proof.file
            && let Err(error) = append(path, &note)
        {
            failed(&error, "a checkpoint could not be appended to its file");
        }
        if let Some(hand_out) = &proof.hand_out
            && let Err(error) = hand_out.try_send(note)
        {
            failed(&error, "a checkpoint could not be handed out to witnesses");
        }
        true
    }

    fn keep_house(&mut self) {
        let now = now_us();
        let oldest_open = self.collector.oldest_open_day();
        let sealed = self.store.seal_days(now, oldest_open);
        self.tell(sealed, "sealed");
        match self.store.let_go_days(now) {
            Ok(old) if old.is_empty() => {}
            // What goes must be signed first: a file that is missing without is a deletion.
            Ok(old) => {
                if self.sign() {
                    let dropped = self.store.drop_days(&old).map(|()| old);
                    self.tell(dropped, "dropped");
                }
            }
            failed @ Err(_) => self.tell(failed, "dropped"),
        }
    }

    fn tell(&self, result: Result<Vec<Day>, StoreError>, what: &str) {
        match result {
            Ok(days) => {
                for day in days {
                    tracing::info!(%day, "audit day {what}");
                }
            }
            Err(error) => {
                self.metrics.errors.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(%error, "audit days could not be {what}");
            }
        }
    }

    /// Notes how far behind the shipper is; answers in bytes.
    fn measure(&mut self, caught_up: bool) -> u64 {
        if caught_up {
            self.caught_up = Instant::now();
        }
        let lag = u64::try_from(self.caught_up.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.metrics.lag_ms.store(lag, Ordering::Relaxed);
        let lag_bytes = self.collector.lag_bytes();
        self.metrics.lag_bytes.store(lag_bytes, Ordering::Relaxed);
        self.metrics
            .journal_bytes
            .store(self.journal.allocated(), Ordering::Relaxed);
        lag_bytes
    }

    /// Waits, but not once the order to stop has come; answers the order.
    fn wait(&self, pause: Duration) -> Order {
        let order = held(&self.control.order);
        if let Order::Drain(until) = *order {
            drop(order);
            std::thread::sleep(pause.min(until.saturating_duration_since(Instant::now())));
            return Order::Drain(until);
        }
        let waited = self
            .control
            .changed
            .wait_timeout_while(order, pause, |order| *order == Order::Run);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LAST_PAUSE: Duration = Duration::from_secs(5);
const HOUSEKEEPING: Duration = Duration::from_secs(30);
