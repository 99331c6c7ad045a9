//! Every metric of the proxy, in one struct; each field's comment is its HELP text.

use std::time::Duration;

use prometheus::{
    Encoder, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, TextEncoder,
};
use sqlward_policy::vocabulary::Action;

/// The proxy's metrics.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Registry,
    /// Client connections accepted.
    pub connections_total: IntCounter,
    /// Client connections refused because a limit was reached.
    pub connections_refused_total: IntCounter,
    /// Sessions open now.
    pub sessions: IntGauge,
    /// Sessions that failed to authenticate.
    pub authentication_failures_total: IntCounter,
    /// Upstream connections that could not be made.
    pub upstream_failures_total: IntCounter,
    /// Sessions that did without the preferred TLS to their upstream, as the client could not be authenticated over it.
    pub upstream_plaintext_fallbacks_total: IntCounter,
    /// Files of clients that servers asked for and did not get.
    pub files_refused_total: IntCounter,
    /// Cancel requests passed on.
    pub cancels_total: IntCounter,
    /// Statements whose decision was to allow.
    pub allowed: IntCounter,
    /// Statements whose decision was to alert.
    pub alerted: IntCounter,
    /// Statements whose decision was to deny.
    pub denied: IntCounter,
    /// Statements whose decision was to terminate.
    pub terminated: IntCounter,
    /// Statements that could not be read exactly.
    pub unreadable_total: IntCounter,
    /// Statements analysed afresh, not found in the cache.
    pub analyses_total: IntCounter,
    /// Statements that ended in an error of the server.
    pub errors_total: IntCounter,
    /// Rows returned to clients.
    pub rows_total: IntCounter,
    /// Sessions ended for a protocol violation.
    pub violations_total: IntCounter,
    /// Statements refused because the journal could not take their record.
    pub audit_blocked_total: IntCounter,
    /// Statements passed unrecorded because the policy says audit_failure = "allow".
    pub audit_dropped_total: IntCounter,
    /// Statements passed before their record was on the disk because the policy says audit_failure = "allow".
    pub audit_unsynced_total: IntCounter,
    /// Escalations that refusals have led to.
    pub escalations_total: IntCounter,
    /// Policy and certificate reloads that took effect.
    pub reloads_total: IntCounter,
    /// Reloads that were refused because something in them is wrong.
    pub reload_failures_total: IntCounter,
    /// Generation of the policy in force.
    pub policy_generation: IntGauge,
    /// From statement received to response complete, in seconds.
    pub statement_duration_seconds: Histogram,
    /// Journal bytes that wait for the store.
    pub journal_lag_bytes: IntGauge,
    /// Records written to the store.
    pub store_rows: IntGauge,
    /// Failed attempts to write to the store.
    pub store_errors: IntGauge,
    /// Failed attempts to write to the store, by the reason.
    pub store_errors_by_reason: IntGaugeVec,
    /// Attempts after the first to write a batch to the store.
    pub store_retries: IntGauge,
    /// How long the oldest record that is not in the store has waited at most, in milliseconds.
    pub store_lag_milliseconds: IntGauge,
    /// Journal bytes that the store has not acknowledged.
    pub store_queue_bytes: IntGauge,
    /// Bytes that the journal takes on the disk.
    pub store_journal_bytes: IntGauge,
    /// When the store last acknowledged a batch, in seconds since 1970; 0 for not since the start.
    pub store_acknowledged_seconds: IntGauge,
    /// How often another proxy with this one's node number was noticed in the store.
    pub store_node_conflicts: IntGauge,
    /// Signed checkpoints made.
    pub checkpoints: IntGauge,
    /// Checkpoints that could not be made, appended to their file, or handed to the witness.
    pub checkpoint_errors: IntGauge,
}

impl Metrics {
    /// A fresh set in a registry of its own.
    ///
    /// # Errors
    /// Two metrics of one name, which a test would see.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new_custom(Some("sqlward".into()), None)?;
        let counter = |name: &str, help: &str| -> Result<IntCounter, prometheus::Error> {
            let counter = IntCounter::new(name, help)?;
            registry.register(Box::new(counter.clone()))?;
            Ok(counter)
        };
        let gauge = |name: &str, help: &str| -> Result<IntGauge, prometheus::Error> {
            let gauge = IntGauge::new(name, help)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok(gauge)
        };
        let store_errors_by_reason = IntGaugeVec::new(
            Opts::new(
                "store_errors_by_reason",
                "Failed attempts to write to the store, by the reason.",
            ),
            &["reason"],
        )?;
        registry.register(Box::new(store_errors_by_reason.clone()))?;
        let statements = IntCounterVec::new(
            Opts::new(
                "statements_total",
                "Statements judged, by the decision carried out.",
            ),
            &["decision"],
        )?;
        registry.register(Box::new(statements.clone()))?;
        let decided = |action: Action| statements.with_label_values(&[action.as_str()]);
        let duration = Histogram::with_opts(
            HistogramOpts::new(
                "statement_duration_seconds",
                "From statement received to response complete.",
            )
            .buckets(vec![
                0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 60.0,
            ]),
        )?;
        registry.register(Box::new(duration.clone()))?;
        Ok(Self {
            connections_total: counter("connections_total", "Client connections accepted.")?,
            connections_refused_total: counter(
                "connections_refused_total",
                "Client connections refused because a limit was reached.",
            )?,
            sessions: gauge("sessions", "Sessions open now.")?,
            authentication_failures_total: counter(
                "authentication_failures_total",
                "Sessions that failed to authenticate.",
            )?,
            upstream_failures_total: counter(
                "upstream_failures_total",
                "Upstream connections that could not be made.",
            )?,
            files_refused_total: counter(
                "files_refused_total",
                "Files of clients that servers asked for and no permitted statement named.",
            )?,
            upstream_plaintext_fallbacks_total: counter(
                "upstream_plaintext_fallbacks_total",
                "Sessions that did without the preferred TLS to their upstream.",
            )?,
            cancels_total: counter("cancels_total", "Cancel requests passed on.")?,
            allowed: decided(Action::Allow),
            alerted: decided(Action::Alert),
            denied: decided(Action::Deny),
            terminated: decided(Action::Terminate),
            unreadable_total: counter(
                "unreadable_total",
                "Statements that could not be read exactly.",
            )?,
            analyses_total: counter(
                "analyses_total",
                "Statements analysed afresh, not found in the cache.",
            )?,
            errors_total: counter("errors_total", "Statements that ended in a server error.")?,
            rows_total: counter("rows_total", "Rows returned to clients.")?,
            violations_total: counter(
                "violations_total",
                "Sessions ended for a protocol violation.",
            )?,
            audit_blocked_total: counter(
                "audit_blocked_total",
                "Statements refused because the journal could not take their record.",
            )?,
            audit_dropped_total: counter(
                "audit_dropped_total",
                "Statements passed unrecorded because the policy allows it.",
            )?,
            audit_unsynced_total: counter(
                "audit_unsynced_total",
                "Statements passed though their record could not be brought to the disk, because the policy allows it.",
            )?,
            escalations_total: counter("escalations_total", "Escalations reached.")?,
            reloads_total: counter("reloads_total", "Reloads that took effect.")?,
            reload_failures_total: counter(
                "reload_failures_total",
                "Reloads refused because something in them is wrong.",
            )?,
            policy_generation: gauge("policy_generation", "Generation of the policy in force.")?,
            statement_duration_seconds: duration,
            journal_lag_bytes: gauge(
                "journal_lag_bytes",
                "Journal bytes that wait for the store.",
            )?,
            store_rows: gauge(
                "store_rows",
                "Records written to the store since the start.",
            )?,
            store_errors: gauge(
                "store_errors",
                "Failed attempts to write to the store since the start.",
            )?,
            store_errors_by_reason,
            store_retries: gauge(
                "store_retries",
                "Attempts after the first to write a batch to the store.",
            )?,
            store_lag_milliseconds: gauge(
                "store_lag_milliseconds",
                "How long the oldest record that is not in the store has waited at most.",
            )?,
            store_queue_bytes: gauge(
                "store_queue_bytes",
                "Journal bytes that the store has not acknowledged.",
            )?,
            store_journal_bytes: gauge(
                "store_journal_bytes",
                "Bytes that the journal takes on the disk.",
            )?,
            store_acknowledged_seconds: gauge(
                "store_acknowledged_seconds",
                "When the store last acknowledged a batch, since 1970; 0 for not since the start.",
            )?,
            store_node_conflicts: gauge(
                "store_node_conflicts",
                "How often another proxy with this one's node number was noticed in the store.",
            )?,
            checkpoints: gauge("checkpoints", "Signed checkpoints made since the start.")?,
            checkpoint_errors: gauge(
                "checkpoint_errors",
                "Checkpoints not made, not appended to their file or not handed to the witness.",
            )?,
            registry,
        })
    }

    /// Count one decision.
    pub fn decided(&self, action: Action) {
        match action {
            Action::Allow => self.allowed.inc(),
            Action::Alert => self.alerted.inc(),
            Action::Deny => self.denied.inc(),
            Action::Terminate => self.terminated.inc(),
        }
    }

    /// Count one finished statement.
    pub fn finished(&self, duration: Duration, rows: u64, failed: bool) {
        self.statement_duration_seconds
            .observe(duration.as_secs_f64());
        self.rows_total.inc_by(rows);
        if failed {
            self.errors_total.inc();
        }
    }

    /// The metrics in Prometheus' text format.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = Vec::new();
        match TextEncoder::new().encode(&self.registry.gather(), &mut text) {
            Ok(()) => String::from_utf8(text).unwrap_or_default(),
            Err(error) => format!("# {error}\n"),
        }
    }
}

/// A gauge that counts something open: up when made, down when dropped.
#[derive(Debug)]
pub struct Open(IntGauge);

impl Open {
    /// Count one more until this is dropped.
    #[must_use]
    pub fn one(gauge: &IntGauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}
