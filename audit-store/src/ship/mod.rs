//! The shipper: a thread that moves entries from the journal to the store.
//!
//! At least once, with the effect of exactly once: rows are keyed by lane and sequence number, what is there
//! already is left alone, and progress is noted after the rows. Segments go when the progress is noted.

pub(crate) mod batch;
mod destination;
mod metrics;
pub(crate) mod pairing;
mod priority;
pub(crate) mod rows;
pub(crate) mod subject;

use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use self::batch::{Collector, Rows};
use self::destination::Destination;
pub use self::metrics::{Reason, ShipperMetrics};
use self::priority::Priority;
use crate::clickhouse::{ClickHouseError, Delivery, DeliverySettings};
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

/// Why the shipper can't start.
#[derive(Debug, thiserror::Error)]
pub enum ShipError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The ClickHouse store failed.
    #[error(transparent)]
    ClickHouse(#[from] ClickHouseError),
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
        Self::start_to(journal, Destination::Embedded(store), settings)
    }

    /// Starts shipping from `journal` to a ClickHouse store; `local` remembers how far. Call it before the journal's
    /// lanes are taken.
    ///
    /// # Errors
    /// As [`Shipper::start`], or where the store answers and is of another version.
    pub fn start_delivery(
        journal: &Journal,
        local: Store,
        delivery: &DeliverySettings,
        settings: ShipperSettings,
    ) -> Result<Self, ShipError> {
        let delivery = Delivery::open(local, delivery)?;
        Self::start_to(journal, Destination::ClickHouse(delivery), settings)
    }

    fn start_to(
        journal: &Journal,
        destination: Destination,
        settings: ShipperSettings,
    ) -> Result<Self, ShipError> {
        let store = destination.local();
        journal.continue_from(&store.heads()?)?;
        let rows = match destination {
            Destination::Embedded(_) => Rows::Carried,
            Destination::ClickHouse(_) => Rows::All,
        };
        let metrics = Arc::new(ShipperMetrics::default());
        let control = Arc::new(Control {
            order: Mutex::new(Order::Run),
            changed: Condvar::new(),
        });
        let mut work = Work {
            collector: Collector::new(journal.shared(), destination.local(), rows)?,
            journal: journal.shared(),
            destination,
            settings,
            control: Arc::clone(&control),
            metrics: Arc::clone(&metrics),
            caught_up: Instant::now(),
            housekeeping: None,
            checkpoint: None,
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
    destination: Destination,
    collector: Collector,
    settings: ShipperSettings,
    control: Arc<Control>,
    metrics: Arc<ShipperMetrics>,
    caught_up: Instant,
    housekeeping: Option<Instant>,
    /// When the last checkpoint was due; the first is as soon as what an earlier life left is shipped.
    checkpoint: Option<Instant>,
}

impl Work {
    fn run(&mut self) -> Drained {
        let mut priority = Priority::of_this_thread(self.journal.max_bytes());
        // What an earlier life could not deliver goes first.
        if self.destination.is_waiting() && !self.commit(&Batch::default()) {
            return Drained::Partly;
        }
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
                _ if self.is_checkpoint_due() => {
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
        let mut delivered = self.destination.delivered();
        loop {
            match self.destination.commit(batch) {
                Ok(new) => {
                    self.metrics
                        .acknowledged_us
                        .store(now_us(), Ordering::Relaxed);
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
                    self.metrics.failed(error.reason());
                    tracing::error!(
                        error = chain(&error),
                        "the audit store took no batch; the journal keeps it"
                    );
                }
            }
            // However long it lasts, it shows how much waits.
            self.measure(false);
            if std::mem::replace(&mut delivered, self.destination.delivered()) != delivered {
                pause = FIRST_PAUSE;
            }
            if let Order::Drain(until) = self.wait(jittered(pause))
                && Instant::now() >= until
            {
                return false;
            }
            self.metrics.retries.fetch_add(1, Ordering::Relaxed);
            pause = (pause * 2).min(LAST_PAUSE);
        }
    }

    fn is_checkpoint_due(&self) -> bool {
        let interval = self.settings.proof.interval;
        self.checkpoint
            .is_none_or(|last| last.elapsed() >= interval)
    }

    /// Makes a checkpoint, if one is wanted and there is something new; answers `false` where it failed.
    fn sign(&mut self) -> bool {
        self.checkpoint = Some(Instant::now());
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
        let made = match self.destination.checkpoint(signer) {
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
        if let Err(error) = self.destination.flush() {
            self.metrics.failed(error.reason());
            tracing::warn!(
                error = chain(&error),
                "a checkpoint waits for the audit store"
            );
        }
        true
    }

    fn keep_house(&mut self) {
        match &mut self.destination {
            Destination::Embedded(_) => self.keep_days(),
            Destination::ClickHouse(delivery) => {
                let let_go = delivery.let_go();
                let there = delivery.sign_on();
                let moved = matches!(let_go, Ok(true));
                self.tell(let_go.map(|_| Vec::new()), "let go");
                match there {
                    Ok(()) => {}
                    Err(error @ ClickHouseError::SameNode { .. }) => {
                        self.metrics.node_conflicts.fetch_add(1, Ordering::Relaxed);
                        tracing::error!(%error, "records of the two can't be told apart");
                    }
                    Err(error) => tracing::debug!(%error, "the audit store was not told"),
                }
                // What goes must be signed first: rows that are missing without are a deletion.
                if moved
                    && self.sign()
                    && let Destination::ClickHouse(delivery) = &mut self.destination
                {
                    let forgotten = delivery.local.forget_let_go();
                    self.tell(forgotten.map(|()| Vec::new()), "forgotten");
                }
            }
        }
    }

    fn keep_days(&mut self) {
        let Destination::Embedded(store) = &mut self.destination else {
            return;
        };
        let now = now_us();
        let sealed = store.seal_days(now, self.collector.oldest_open_day());
        let old = store.let_go_days(now);
        self.tell(sealed, "sealed");
        match old {
            Ok(old) if old.days.is_empty() => {}
            // What goes must be signed first: a file that is missing without is a deletion.
            Ok(old) => {
                if self.sign()
                    && let Destination::Embedded(store) = &mut self.destination
                {
                    let dropped = store.drop_days(&old.days).map(|()| old.days);
                    self.tell(dropped, "dropped");
                }
            }
            Err(error) => self.tell(Err(error), "dropped"),
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

/// Between half of a pause and all of it, so that proxies do not come back all at once.
fn jittered(pause: Duration) -> Duration {
    let part = u32::try_from(now_us() % 1000).unwrap_or_default();
    pause / 2 + pause / 2 * part / 1000
}

/// An error with all that it says of its cause.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let more = error.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        source = error.source();
    }
    text
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LAST_PAUSE: Duration = Duration::from_secs(5);
const HOUSEKEEPING: Duration = Duration::from_secs(30);
