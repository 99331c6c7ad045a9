//! From a configuration to a running proxy, and from SIGTERM to an empty one.

use std::{convert::Infallible, io, sync::Arc, time::Duration};

use sqlward_audit_store::{
    CHECKPOINTS,
    clickhouse::DeliverySettings,
    embedded::{Store, StoreError, StoreSettings},
    inbox,
    journal::{Durability, Journal, JournalError, JournalSettings, Recovery},
    proof::ProofSettings,
    ship::{Drained, ShipError, Shipper, ShipperSettings},
};
use sqlward_policy::Problems;
use thiserror::Error;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::{
    admin,
    administration::Administration,
    analysts::Analysts,
    blocks::{BlockError, Blocks},
    config::Config,
    holds,
    listener::{self, Listener},
    metrics::Metrics,
    redaction,
    reload::{Reload, Watch},
    shared::Shared,
    tls::TlsError,
    upstream::Upstream,
    versions, witness,
    worker::{self, Workers},
};

/// How long sessions may take to write their last bytes once they are told to end.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// How often auditors' questions are taken into the record.
const QUESTIONS: Duration = Duration::from_secs(1);

/// How long the journal's last records may take into the store.
const LAST_RECORDS: Duration = Duration::from_secs(60);

/// Why the proxy can't start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The policy has errors, all of them located.
    #[error("the policy can't be loaded")]
    Policy(#[from] Problems),
    /// The journal can't be opened.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The store can't be opened.
    #[error("audit store: {0}")]
    Store(#[from] StoreError),
    /// Shipping can't start.
    #[error("audit store: {0}")]
    Ship(#[from] ShipError),
    /// TLS material can't be used.
    #[error("{0}")]
    Tls(#[from] TlsError),
    /// An address can't be listened on.
    #[error("can't listen on {address}: {error}")]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// Why.
        error: io::Error,
    },
    /// The policy needs what the configuration does not have.
    #[error("{0}")]
    Redaction(String),
    /// Metrics can't be registered.
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
    /// Whom to keep out is not known.
    #[error(transparent)]
    Blocks(#[from] BlockError),
    /// A thread or a runtime can't be made.
    #[error("{0}")]
    System(#[from] io::Error),
}

/// Run the proxy until SIGTERM or SIGINT, then drain it.
///
/// # Errors
/// Anything that keeps it from starting.
pub fn run(config: Config) -> Result<(), StartError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(serve(config))
}

async fn serve(config: Config) -> Result<(), StartError> {
    let policy = sqlward_policy::load(&versions::resolved(&config.policy))?.with_generation(1);
    redaction::check(&policy, config.redaction_key.as_ref()).map_err(StartError::Redaction)?;
    let settings = JournalSettings {
        node: config.node,
        max_journal_bytes: config.max_journal_bytes,
        durability: config.durability,
        ..JournalSettings::default()
    };
    let (journal, recovery) = Journal::open(&config.data_dir, settings)?;
    report(&recovery);
    let keeping = StoreSettings {
        retention_days: config.retention.days,
        // A segment of the journal goes once its records are committed to the store.
        // What is on its way to a server is noted before it goes, and must not be forgotten.
        synced: config.durability != Durability::Process || config.store.is_some(),
        ..StoreSettings::default()
    };
    let store = Store::open(&config.data_dir.join("store"), keeping)?;
    let signed_before = store.last_signers()?;
    let (hand_out, hand_out_from) = witness::channel(&config.proof.witnesses);
    let mut shipping = ShipperSettings {
        proof: ProofSettings {
            signer: config.proof.signer.clone(),
            interval: config.proof.interval,
            file: Some(config.data_dir.join(CHECKPOINTS)),
            hand_out,
        },
        ..ShipperSettings::default()
    };
    let shipper = match &config.store {
        None => Shipper::start(&journal, store, shipping)?,
        Some(remote) => {
            if let Some(problem) = holds::unhonoured(&config.data_dir) {
                tracing::error!("{problem}");
            }
            shipping.batch_entries = remote.batch_entries;
            shipping.batch_bytes = remote.batch_bytes;
            let delivery = DeliverySettings {
                targets: remote.targets.clone(),
                timeout: remote.timeout,
                node: config.node,
                retention_days: config.retention.days,
            };
            // It waits for servers, and must not hold up this runtime.
            let start = || Shipper::start_delivery(&journal, store, &delivery, shipping);
            std::thread::scope(|scope| scope.spawn(start).join())
                .map_err(|_| io::Error::other("the shipper could not be started"))??
        }
    };
    let witnesses = witness::start(hand_out_from, &config.proof.witnesses, &shipper.metrics())?;
    let blocks = Blocks::open(&config.data_dir)?;
    let (workers, seats) = Workers::new(config.workers);
    let shared = Arc::new(Shared::new(
        config,
        policy,
        blocks,
        Metrics::new()?,
        workers,
        shipper.metrics(),
    ));
    let analysts = Analysts::start(shared.config.workers)?;
    let administration = Administration::new(journal.lane(0)?);
    administration.started(&shared.config, &shared.policy.load());
    inbox::open(&shared.config.data_dir)?;
    match &shared.config.proof.signer {
        Some(signer) => administration.signs(signer, signed_before.as_deref()),
        None => tracing::warn!("no signing_key in [audit]: the audit trail is not signed"),
    }

    let listeners = listeners(&shared.config)?;
    let mut sockets = Vec::new();
    for listener in &listeners {
        let socket = listener::bind(listener).map_err(|error| StartError::Listen {
            address: listener.config.address,
            error,
        })?;
        sockets.push((socket, Arc::clone(listener)));
    }
    let mut threads = Vec::new();
    for (number, seat) in (1..).zip(seats) {
        let lane = journal.lane(number)?;
        threads.push(worker::start(
            seat,
            lane,
            analysts.clone(),
            Arc::clone(&shared),
        )?);
    }
    if let Some(address) = shared.config.admin {
        let bound = admin::serve(address, Arc::clone(&shared))
            .await
            .map_err(|error| StartError::Listen { address, error })?;
        tracing::info!(%bound, "admin endpoint ready");
    }
    for (socket, listener) in sockets {
        let (address, upstream) = (socket.local_addr()?, &listener.config.upstream);
        let name = &*listener.config.name;
        tracing::info!(listener = name, %address, upstream = &*upstream.address, "listening");
        tokio::spawn(listener::accept(socket, listener, Arc::clone(&shared)));
    }
    tell_systemd(sd_notify::NotifyState::Ready);

    let reload = Reload::new(Arc::clone(&shared), listeners, administration.clone());
    until_told_to_stop(&shared, &reload, &administration).await?;
    tell_systemd(sd_notify::NotifyState::Stopping);
    drain(&shared, threads).await;
    reload.take_questions();
    administration.stopped();
    drop(reload);
    drop(administration);
    drop(journal);
    match shipper.stop(LAST_RECORDS) {
        Drained::Whole => tracing::info!("stopped, every record is in the store"),
        Drained::Partly => tracing::warn!("stopped, the journal keeps records for the next start"),
    }
    witness::stop(witnesses);
    Ok(())
}

/// Say what an earlier run has left in the journal.
fn report(recovery: &Recovery) {
    for lane in &recovery.lanes {
        let (number, entries) = (lane.lane, lane.entries);
        tracing::debug!(
            lane = number,
            entries,
            last = lane.last.0,
            "journal lane recovered"
        );
        for torn in &lane.torn {
            let (segment, saved) = (torn.segment.display(), torn.saved.display());
            tracing::warn!(lane = number, %segment, offset = torn.offset, bytes = torn.bytes, damage = ?torn.damage, %saved, "bytes that are no whole record were set aside");
        }
        for gap in &lane.gaps {
            let (after, next) = (gap.after.0, gap.next.0);
            tracing::error!(
                lane = number,
                after,
                next,
                "the journal's chain is broken: records are missing"
            );
        }
    }
}

fn listeners(config: &Config) -> Result<Vec<Arc<Listener>>, TlsError> {
    let mut upstreams: Vec<Arc<Upstream>> = Vec::new();
    let mut listeners = Vec::new();
    for listener in &config.listeners {
        let known = upstreams
            .iter()
            .find(|upstream| Arc::ptr_eq(&upstream.config, &listener.upstream))
            .cloned();
        let upstream = match known {
            Some(upstream) => upstream,
            None => {
                let upstream = Arc::new(Upstream::new(Arc::clone(&listener.upstream))?);
                upstreams.push(Arc::clone(&upstream));
                upstream
            }
        };
        listeners.push(Arc::new(Listener::new(listener.clone(), upstream)?));
    }
    Ok(listeners)
}

async fn until_told_to_stop(
    shared: &Shared,
    reload: &Reload,
    administration: &Administration,
) -> io::Result<()> {
    let mut terminate: Signal = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let mut watch = Watch::start(shared);
    // Never done, so that it does not cut short what settles beside it.
    let mut questions = std::pin::pin!(take_questions(reload));
    let mut keeping = std::pin::pin!(shared.blocks.keep(administration));
    loop {
        tokio::select! {
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
            _ = hangup.recv() => reload.reload("SIGHUP"),
            () = watch.changed() => reload.reload("file change"),
            never = &mut questions => match never {},
            never = &mut keeping => match never {},
        }
    }
}

/// Take in what auditors ask, for ever.
async fn take_questions(reload: &Reload) -> Infallible {
    let mut ticks = tokio::time::interval(QUESTIONS);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        reload.take_questions();
    }
}

/// Let idle sessions go at once and busy ones when they are done; end the rest after the drain time.
async fn drain(shared: &Shared, threads: Vec<std::thread::JoinHandle<()>>) {
    tracing::info!(sessions = shared.metrics.sessions.get(), "draining");
    shared.start_draining();
    let gone = |threads: &[std::thread::JoinHandle<()>]| {
        threads.iter().all(std::thread::JoinHandle::is_finished)
    };
    let wait = async |limit: Duration| {
        let deadline = tokio::time::Instant::now() + limit;
        while !gone(&threads) && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    wait(shared.config.limits.drain_timeout).await;
    if !gone(&threads) {
        tracing::warn!(
            sessions = shared.metrics.sessions.get(),
            "drain time is over, ending the sessions that remain"
        );
        shared.workers.abort();
        wait(LAST_WORDS * 2).await;
    }
}

/// Tell systemd that clients may come, or no longer, where it started us (`Type=notify`).
fn tell_systemd(state: sd_notify::NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::debug!(%error, "systemd was not told");
    }
}
