//! One client's session: a task that feeds the protocol core and does what it says.
//!
//! The shell is common to both protocols: [`pump`] moves bytes and judges what needs no waiting; what has to be waited for
//! (TLS, the way to the server, the analysis of a long statement) comes back here as a [`Next`]. [`pg`] and [`mysql`] are
//! the halves that only one protocol has, behind [`Protocol`].

mod context;
mod events;
mod identity;
mod legs;
mod mysql;
mod names;
mod pg;
mod protocol;
mod pump;
mod transaction;

use std::{
    net::SocketAddr,
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::Waker,
    time::{Duration, Instant},
};

use sqlward_audit_store::record::{Seq, SessionId};
use sqlward_policy::{Permit, Subject, vocabulary};
use sqlward_wire::{
    Action, AuthMethod, CloseReason, ErrorCode, Event, Fatal, Leg, Negotiation, SqlState,
};
use tokio::{net::TcpStream, time::Sleep};

pub(crate) use context::{Context, FirstRole, Introduction, effects};
pub(crate) use mysql::Mysql;
pub(crate) use pg::Pg;
use protocol::{Core, Protocol};
use pump::Socket;

use crate::{
    audit::Run,
    blocks::escalate::{Refusal, count},
    cancel::Backend,
    listener::{Accepted, Listener, Place},
    metrics::Open,
    record::SessionRecord,
    shared::{Moment, wall_us},
    tls::{ServerMaterial, Stream},
    worker::Worker,
};

/// What the protocol core carries for us from verdict to outcome.
pub(crate) type Tag = Rc<Run>;

/// How long the last bytes may take to leave.
const FAREWELL: Duration = Duration::from_secs(5);

/// What the pump can't do without waiting.
#[derive(Debug)]
pub(crate) enum Next {
    /// Shake hands on one leg.
    StartTls(Leg, Negotiation),
    /// Connect to the server.
    Connect,
    /// Connect to the server again, to go on without TLS.
    ReconnectPlain,
    /// Analyse the held statement elsewhere: it is long.
    Analyse,
    /// Pass a cancel request on.
    Cancel(Backend),
    /// The session is over.
    Closed(CloseReason),
}

/// One client's session.
pub(crate) struct Session<P: Protocol> {
    pub(crate) worker: Rc<Worker>,
    pub(crate) listener: Arc<Listener>,
    pub(crate) id: SessionId,
    pub(crate) wire: P::Wire,
    /// What only this protocol knows of a session.
    protocol: P,
    pub(crate) context: Context,
    pub(crate) record: SessionRecord,
    client: Socket,
    /// What the client was shown in its TLS handshake.
    shown: Option<Arc<ServerMaterial>>,
    server: Option<Socket>,
    /// What is ready for the server waits for the disk.
    held_back: bool,
    /// The last intent whose statement passed though it could not be brought to the disk.
    unsynced: Option<Seq>,
    clock: Instant,
    now_ns: u64,
    /// The wall-clock time at `now_ns`, if anybody has asked for it.
    wall_us: Option<u64>,
    timing: Timing,
    /// Whether a place among the connections was free.
    placed: bool,
    /// How the worker wakes this session.
    waker: Option<Waker>,
}

/// When the session was last busy, and how far it has come.
#[derive(Debug)]
struct Timing {
    established: bool,
    active_ns: u64,
    /// Runs while a timeout can strike.
    timer: Option<Pin<Box<Sleep>>>,
    /// The client has been told that the session ends.
    ending: bool,
}

/// Serve one connection from accept to close.
pub(crate) async fn serve<P: Protocol>(worker: Rc<Worker>, accepted: Accepted) {
    let Accepted {
        socket,
        peer,
        listener,
        place,
    } = accepted;
    let id = worker.shared.next_session();
    match TcpStream::from_std(socket) {
        Ok(tcp) => {
            let open = Open::one(&worker.shared.metrics.sessions);
            let worker = Rc::clone(&worker);
            let mut session = Session::<P>::new(worker, listener, id, tcp, peer, &place);
            session.run().await;
            drop(open);
        }
        Err(error) => tracing::warn!(%error, %peer, "connection lost before it began"),
    }
    leave(&worker, id, place);
}

fn leave(worker: &Worker, id: SessionId, place: Option<Place>) {
    if place.is_none() {
        worker.shared.places.turned_away();
    }
    worker.leave(id.0);
}

impl<P: Protocol> Session<P> {
    fn new(
        worker: Rc<Worker>,
        listener: Arc<Listener>,
        id: SessionId,
        tcp: TcpStream,
        peer: SocketAddr,
        place: &Option<Place>,
    ) -> Self {
        let limits = &worker.shared.config.limits;
        let timer = Some(Box::pin(tokio::time::sleep(limits.authentication_timeout)));
        let record = SessionRecord::new(id, peer, Arc::clone(&listener));
        let (protocol, wire) = P::begin(&listener, limits);
        Self {
            wire,
            protocol,
            context: Context::new(Subject {
                client: peer.ip(),
                listener: listener.config.name.to_string(),
                ..Subject::default()
            }),
            record,
            worker,
            listener,
            id,
            client: Socket::new(Stream::Plain(tcp)),
            shown: None,
            server: None,
            held_back: false,
            unsynced: None,
            clock: Instant::now(),
            now_ns: 0,
            wall_us: None,
            timing: Timing {
                established: false,
                active_ns: 0,
                timer,
                ending: false,
            },
            placed: place.is_some(),
            waker: None,
        }
    }

    async fn run(&mut self) {
        P::begun(self);
        let reason = loop {
            match std::future::poll_fn(|cx| self.pump(cx)).await {
                Next::StartTls(Leg::Client, negotiation) => self.encrypt_client(negotiation).await,
                Next::StartTls(Leg::Server, _) => self.encrypt_server().await,
                Next::Connect => self.connect().await,
                Next::ReconnectPlain => self.reconnect_plain().await,
                Next::Analyse => P::analyse(self).await,
                Next::Cancel(backend) => self.cancel(backend).await,
                Next::Closed(reason) => break reason,
            }
        };
        // Counted before the client can know of it.
        self.blame(&reason);
        let vanished = matches!(reason, CloseReason::ClientClosed);
        let farewell = std::future::poll_fn(|cx| self.farewell(vanished, cx));
        if tokio::time::timeout(FAREWELL, farewell).await.is_err() {
            tracing::debug!(session = self.id.0, "an end did not take its last bytes");
        }
        self.ended(&reason);
    }

    fn tick(&mut self) {
        self.now_ns = u64::try_from(self.clock.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.wall_us = None;
    }

    /// The time of the last [`Self::tick`], on both clocks.
    fn moment(&mut self) -> Moment {
        Moment {
            mono_ns: self.now_ns,
            wall_us: *self.wall_us.get_or_insert_with(wall_us),
        }
    }

    pub(crate) fn tell(&mut self, event: Event<Permit, Tag>) {
        self.wire.handle(event, self.now_ns);
    }

    fn abort(&mut self, sqlstate: SqlState, message: impl Into<String>) {
        self.tell(Event::Abort(Fatal {
            code: sqlstate.into(),
            message: message.into(),
        }));
    }

    async fn cancel(&mut self, backend: Backend) {
        let keys = &self.worker.shared.cancel_keys;
        let Some(upstream) = keys.upstream(&backend) else {
            tracing::info!(session = self.id.0, "cancel request with an unknown key");
            return;
        };
        let limit = self.worker.shared.config.limits.connect_timeout;
        match upstream.cancel(&backend.request(), limit).await {
            Ok(()) => self.worker.shared.metrics.cancels_total.inc(),
            Err(error) => tracing::warn!(session = self.id.0, %error, "cancel request lost"),
        }
    }

    /// Do what the core says; what needs waiting is returned.
    fn act(&mut self, action: Action<Tag>) -> Option<Next> {
        match action {
            Action::StartTls { leg, negotiation } => return Some(Next::StartTls(leg, negotiation)),
            Action::Connect => return Some(Next::Connect),
            Action::ReconnectPlain => return Some(Next::ReconnectPlain),
            Action::Inspect => return P::inspect(self),
            Action::Outcome(outcome) => self.outcome(&outcome),
            Action::Authenticated { method } => self.authenticated(method),
            Action::AuthFailed { code } => self.authentication_failed(code),
            Action::Established => {
                self.timing.established = true;
                self.timing.active_ns = self.now_ns;
                self.established();
            }
            Action::Close(reason) => return Some(Next::Closed(reason)),
            Action::CommitFailed { .. }
            | Action::Undone { .. }
            | Action::Cancel { .. }
            | Action::BackendKey { .. }
            | Action::ParameterChanged(_)
            | Action::Thread(_)
            | Action::SessionReset
            | Action::Tracked(_)
            | Action::Answered(_)
            | Action::FileRefused(_)
            | Action::Rejected(_) => return P::act(self, action),
        }
        None
    }

    fn authenticated(&mut self, method: AuthMethod) {
        self.record.method(method);
    }

    fn authentication_failed(&mut self, code: ErrorCode) {
        self.worker
            .shared
            .metrics
            .authentication_failures_total
            .inc();
        self.record.failed(code);
        let (policy, now) = (self.worker.policy(), self.moment());
        let refusal = Refusal {
            what: vocabulary::Refused::FailedLogin,
            rules: &[],
            subject: &self.context.subject,
            end_user: self.context.acts_for().map(|(name, _)| name),
            now,
        };
        count(&self.worker, &policy, refusal).follow(&self.worker, &policy, refusal.now);
    }
}
