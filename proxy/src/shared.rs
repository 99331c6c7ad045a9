//! What all workers share: configuration, policy, limits, keys, metrics. Nothing in it is locked on a statement's way.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use arc_swap::ArcSwap;
use jiff::Timestamp;
use sqlward_audit_store::{record::SessionId, ship::Reason};
use sqlward_policy::Policy;
use tokio::sync::Notify;

use crate::{
    blocks::Blocks, cancel::CancelKeys, config::Config, listener::Places, metrics::Metrics,
    rates::Rates, worker::Workers,
};

/// What all workers share.
#[derive(Debug)]
pub struct Shared {
    /// The configuration in force.
    pub config: Config,
    /// The policy in force.
    pub policy: ArcSwap<Policy>,
    /// Whom it keeps out.
    pub blocks: Blocks,
    /// What it counts across sessions.
    pub(crate) rates: Rates,
    /// Counters.
    pub metrics: Metrics,
    /// Connections in use.
    pub places: Arc<Places>,
    /// Cancel keys of open sessions.
    pub cancel_keys: Arc<CancelKeys>,
    /// The worker threads.
    pub workers: Workers,
    /// The shipper's figures.
    pub shipping: Arc<sqlward_audit_store::ship::ShipperMetrics>,
    draining: AtomicBool,
    drain: Notify,
    next_session: AtomicU64,
}

impl Shared {
    /// Put together what the workers will share.
    #[must_use]
    pub fn new(
        config: Config,
        policy: Policy,
        blocks: Blocks,
        metrics: Metrics,
        workers: Workers,
        shipping: Arc<sqlward_audit_store::ship::ShipperMetrics>,
    ) -> Self {
        metrics
            .policy_generation
            .set(policy.generation.cast_signed());
        Self {
            config,
            policy: ArcSwap::from_pointee(policy),
            blocks,
            rates: Rates::default(),
            metrics,
            places: Arc::default(),
            cancel_keys: Arc::default(),
            workers,
            shipping,
            draining: AtomicBool::new(false),
            drain: Notify::new(),
            next_session: AtomicU64::new(wall_us()),
        }
    }

    /// A session number that no session of this proxy has had: microseconds of the start, counted on.
    pub fn next_session(&self) -> SessionId {
        SessionId(self.next_session.fetch_add(1, Ordering::Relaxed))
    }

    /// Take no new connections, and let sessions end when they are idle.
    pub fn start_draining(&self) {
        self.draining.store(true, Ordering::Release);
        self.drain.notify_waiters();
        self.workers.wake();
    }

    /// Whether the proxy is on its way out.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// Wait until draining starts.
    ///
    /// Cancel safe.
    pub async fn drained(&self) {
        let notified = self.drain.notified();
        if !self.is_draining() {
            notified.await;
        }
    }

    /// Bring the shipper's figures into the metrics.
    pub fn observe_store(&self) {
        let figures = &self.shipping;
        let figure = |of: &AtomicU64| of.load(Ordering::Relaxed).cast_signed();
        self.metrics
            .journal_lag_bytes
            .set(figure(&figures.lag_bytes));
        self.metrics.store_rows.set(figure(&figures.rows));
        self.metrics.store_errors.set(figure(&figures.errors));
        self.metrics.store_retries.set(figure(&figures.retries));
        self.metrics
            .store_lag_milliseconds
            .set(figure(&figures.lag_ms));
        self.metrics
            .store_queue_bytes
            .set(figure(&figures.lag_bytes));
        self.metrics
            .store_journal_bytes
            .set(figure(&figures.journal_bytes));
        self.metrics
            .store_acknowledged_seconds
            .set(figure(&figures.acknowledged_us) / 1_000_000);
        self.metrics
            .store_node_conflicts
            .set(figure(&figures.node_conflicts));
        for (reason, count) in Reason::ALL.iter().zip(&figures.errors_by_reason) {
            self.metrics
                .store_errors_by_reason
                .with_label_values(&[reason.as_str()])
                .set(figure(count));
        }
        self.metrics.checkpoints.set(figure(&figures.checkpoints));
        self.metrics
            .checkpoint_errors
            .set(figure(&figures.checkpoint_errors));
    }
}

/// When a session's task was woken: everything that it then looks at had come by that time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Moment {
    /// Nanoseconds since the session began.
    pub mono_ns: u64,
    /// Wall-clock time in microseconds since 1970.
    pub wall_us: u64,
}

impl Moment {
    /// The wall-clock time as policies know it.
    #[must_use]
    pub fn timestamp(self) -> Timestamp {
        i64::try_from(self.wall_us)
            .ok()
            .and_then(|us| Timestamp::from_microsecond(us).ok())
            .unwrap_or(Timestamp::MAX)
    }
}

/// Wall-clock time in microseconds since 1970.
#[must_use]
pub fn wall_us() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| {
            u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
        })
}
