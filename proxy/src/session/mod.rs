//! One client's session: a task that feeds the protocol core and does what it says.
//!
//! [`pump`] moves bytes and judges what needs no waiting; what has to be waited for (TLS, the way to the server,
//! the analysis of a long statement) comes back here as a [`Next`].

mod context;
mod events;
mod identity;
mod names;
mod pump;

use std::{
    net::SocketAddr,
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::Poll,
    time::{Duration, Instant},
};

use sqlward_audit_store::record::SessionId;
use sqlward_policy::{Permit, Subject, statement::LexState};
use sqlward_wire::{Action, AuthMethod, CloseReason, Event, Fatal, Leg, Negotiation, pg};
use tokio::{net::TcpStream, time::Sleep};
use tokio_rustls::TlsAcceptor;

pub(crate) use context::{Context, effects};
use pump::Socket;

use crate::{
    audit::Run,
    cancel::{Backend, Registered},
    config::TlsMode,
    listener::{Accepted, Listener, Place},
    metrics::Open,
    record::SessionRecord,
    tls::{ServerMaterial, Stream},
    worker::Worker,
};

/// What the protocol core carries for us from verdict to outcome.
pub(crate) type Tag = Rc<Run>;
/// The protocol core of a session.
pub(crate) type Wire = pg::Session<Permit, Tag>;

/// How long the last bytes may take to leave.
const FAREWELL: Duration = Duration::from_secs(5);

/// What the pump can't do without waiting.
#[derive(Debug)]
enum Next {
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
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) worker: Rc<Worker>,
    pub(crate) listener: Arc<Listener>,
    pub(crate) id: SessionId,
    pub(crate) wire: Wire,
    pub(crate) context: Context,
    pub(crate) record: SessionRecord,
    replication: bool,
    lex: LexState,
    client: Socket,
    /// What the client was shown in its TLS handshake.
    shown: Option<Arc<ServerMaterial>>,
    server: Option<Socket>,
    clock: Instant,
    now_ns: u64,
    timing: Timing,
    cancel_key: Option<Registered>,
    /// Whether a place among the connections was free.
    placed: bool,
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
pub(crate) async fn serve(worker: Rc<Worker>, accepted: Accepted) {
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
            let mut session = Session::new(Rc::clone(&worker), listener, id, tcp, peer, &place);
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

impl Session {
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
        Self {
            wire: Wire::new(settings(&listener, limits.max_statement_bytes)),
            context: Context::new(Subject {
                client: peer.ip(),
                listener: listener.config.name.to_string(),
                ..Subject::default()
            }),
            record,
            worker,
            listener,
            id,
            replication: false,
            lex: LexState::default(),
            client: Socket::new(Stream::Plain(tcp)),
            shown: None,
            server: None,
            clock: Instant::now(),
            now_ns: 0,
            timing: Timing {
                established: false,
                active_ns: 0,
                timer,
                ending: false,
            },
            cancel_key: None,
            placed: place.is_some(),
        }
    }

    async fn run(&mut self) {
        self.started();
        let reason = loop {
            match std::future::poll_fn(|cx| self.pump(cx)).await {
                Next::StartTls(Leg::Client, negotiation) => self.encrypt_client(negotiation).await,
                Next::StartTls(Leg::Server, _) => self.encrypt_server().await,
                Next::Connect => self.connect().await,
                Next::ReconnectPlain => self.reconnect_plain().await,
                Next::Analyse => self.analyse().await,
                Next::Cancel(backend) => self.cancel(backend).await,
                Next::Closed(reason) => break reason,
            }
        };
        let farewell = std::future::poll_fn(|cx| self.farewell(cx));
        if tokio::time::timeout(FAREWELL, farewell).await.is_err() {
            tracing::debug!(session = self.id.0, "an end did not take its last bytes");
        }
        self.ended(&reason);
    }

    fn tick(&mut self) {
        self.now_ns = u64::try_from(self.clock.elapsed().as_nanos()).unwrap_or(u64::MAX);
    }

    pub(crate) fn tell(&mut self, event: Event<Permit, Tag>) {
        self.wire.handle(event, self.now_ns);
    }

    fn abort(&mut self, sqlstate: pg::SqlState, message: impl Into<String>) {
        self.tell(Event::Abort(Fatal {
            code: sqlstate.into(),
            message: message.into(),
        }));
    }

    async fn encrypt_client(&mut self, negotiation: Negotiation) {
        let Some(material) = self.listener.tls() else {
            return self.abort(pg::SqlState::INVALID_AUTHORIZATION, "TLS is not configured");
        };
        let preamble = match negotiation {
            Negotiation::Direct => self.wire.take_tls_preamble(),
            Negotiation::Requested => Vec::new(),
        };
        // The answer to the request has to be there before the handshake.
        if std::future::poll_fn(|cx| self.client.say(&mut self.wire.server, cx))
            .await
            .is_err()
        {
            return self.tell(Event::ClientClosed);
        }
        let Some(tcp) = self.take_client() else {
            return self.abort(pg::SqlState::PROTOCOL_VIOLATION, "TLS was already started");
        };
        let handshake =
            TlsAcceptor::from(Arc::clone(&material.config)).accept_with(tcp, |connection| {
                let mut unread = preamble.as_slice();
                // What does not fit or does not parse fails the handshake itself.
                while !unread.is_empty() && matches!(connection.read_tls(&mut unread), Ok(1..)) {}
            });
        let limit = self.worker.shared.config.limits.authentication_timeout;
        match tokio::time::timeout(limit, handshake).await {
            Ok(Ok(tls)) => {
                let named = tls.get_ref().1.alpn_protocol() == Some(crate::tls::ALPN);
                self.client = Socket::new(Stream::Tls(Box::new(tls.into())));
                self.shown = Some(material);
                self.record.encrypted(&self.client.stream);
                self.context.subject.tls_identity = self.record.tls_identity().map(String::from);
                if negotiation == Negotiation::Direct && !named {
                    let message = "direct TLS needs the ALPN protocol `postgresql`";
                    return self.abort(pg::SqlState::PROTOCOL_VIOLATION, message);
                }
                self.tell(Event::TlsUp(Leg::Client));
            }
            Ok(Err(error)) => {
                tracing::info!(session = self.id.0, %error, "TLS handshake with a client failed");
                self.tell(Event::ClientClosed);
            }
            Err(_) => self.tell(Event::ClientClosed),
        }
    }

    /// The client's TCP stream, out of the session for the time of a handshake.
    fn take_client(&mut self) -> Option<TcpStream> {
        match std::mem::replace(&mut self.client.stream, Stream::Closed) {
            Stream::Plain(tcp) => Some(tcp),
            other => {
                self.client.stream = other;
                None
            }
        }
    }

    async fn connect(&mut self) {
        let limit = self.worker.shared.config.limits.connect_timeout;
        match self.listener.upstream.dial(limit).await {
            Ok(tcp) => {
                self.server = Some(Socket::new(Stream::Plain(tcp)));
                self.tick();
                self.tell(Event::ServerConnected);
            }
            Err(error) => self.unreachable(&error),
        }
    }

    /// Leaves the encrypted connection for one in plaintext, over which the client can be authenticated.
    async fn reconnect_plain(&mut self) {
        if let Some(mut server) = self.server.take() {
            // A courtesy to the server's log: whether it could be said does not matter.
            let _said =
                std::future::poll_fn(|cx| Poll::Ready(server.stream.poll_shutdown(cx))).await;
        }
        let metrics = &self.worker.shared.metrics;
        metrics.upstream_plaintext_fallbacks_total.inc();
        let upstream = &*self.listener.upstream.config.name;
        tracing::info!(
            session = self.id.0,
            upstream,
            "no TLS to the upstream: the client expects channel binding, which can't be passed on"
        );
        self.connect().await;
    }

    async fn encrypt_server(&mut self) {
        let Some(Stream::Plain(tcp)) = self.server.take().map(|socket| socket.stream) else {
            return self.abort(
                pg::SqlState::CONNECTION_FAILURE,
                "the server's TLS was already up",
            );
        };
        let limit = self.worker.shared.config.limits.connect_timeout;
        match tokio::time::timeout(limit, self.listener.upstream.encrypt(tcp)).await {
            Ok(Ok(stream)) => {
                // One certificate on both legs is one that both ends can bind to.
                if let Some(shown) = &self.shown
                    && stream.peer_is(&shown.leaf)
                {
                    self.wire.set_channel_binding(pg::ChannelBinding::Offer);
                }
                self.server = Some(Socket::new(stream));
                self.tell(Event::TlsUp(Leg::Server));
            }
            Ok(Err(error)) => self.unreachable(&error),
            Err(_) => self.unreachable(&crate::upstream::ConnectError::Timeout),
        }
    }

    fn unreachable(&mut self, error: &crate::upstream::ConnectError) {
        self.worker.shared.metrics.upstream_failures_total.inc();
        let upstream = &self.listener.upstream.config;
        let name = &upstream.name;
        tracing::warn!(session = self.id.0, upstream = &**name, address = &*upstream.address, %error, "upstream unreachable");
        let message = format!("sqlward can't reach the server `{name}`: {error}");
        self.abort(pg::SqlState::CONNECTION_FAILURE, message);
    }

    async fn analyse(&mut self) {
        let Some((text, lex)) = self.held_text() else {
            return;
        };
        let analysis = self.worker.analysts.analyse(&text, lex).await;
        self.tick();
        let Some(analysis) = analysis else {
            let message = "statement analysis is not available";
            return self.abort(pg::SqlState::INTERNAL_ERROR, message);
        };
        self.worker.shared.metrics.analyses_total.inc();
        let known = self
            .worker
            .reader
            .borrow_mut()
            .remember(&text, &lex, analysis);
        // It is given, so it is not asked for again.
        let _judged = self.inspect(Some(known));
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
            Action::Inspect => return self.inspect(None),
            Action::Outcome(outcome) => self.outcome(&outcome),
            Action::CommitFailed { sqlstate } => self.commit_failed(sqlstate),
            Action::Cancel { pid, key } => {
                return Some(Next::Cancel(Backend { pid, key }));
            }
            Action::Authenticated { method } => self.authenticated(method),
            Action::AuthFailed { code } => self.authentication_failed(code.sqlstate),
            Action::BackendKey { pid, key } => {
                self.record.backend(pid);
                let backend = Backend { pid, key };
                let upstream = Arc::clone(&self.listener.upstream);
                self.cancel_key = Some(self.worker.shared.cancel_keys.register(backend, upstream));
            }
            Action::Established => {
                self.timing.established = true;
                self.timing.active_ns = self.now_ns;
                self.established();
            }
            Action::ParameterChanged(name) => self.parameter_changed(&name),
            Action::Close(reason) => return Some(Next::Closed(reason)),
            // MySQL's, which PostgreSQL's core never says.
            Action::Thread(_)
            | Action::SessionReset
            | Action::Tracked(_)
            | Action::Answered(_)
            | Action::FileRefused(_) => {}
        }
        None
    }

    fn authenticated(&mut self, method: AuthMethod) {
        self.record.method(method);
    }

    fn authentication_failed(&mut self, sqlstate: pg::SqlState) {
        self.worker
            .shared
            .metrics
            .authentication_failures_total
            .inc();
        self.record.failed(sqlstate);
    }
}

fn settings(listener: &Listener, max_statement_bytes: usize) -> pg::Settings {
    let server = &listener.upstream.config.tls;
    pg::Settings {
        max_statement_bytes: u32::try_from(max_statement_bytes).unwrap_or(u32::MAX),
        client_tls: match listener.config.tls.mode {
            TlsMode::Disable => pg::ClientTls::Disable,
            TlsMode::Prefer => pg::ClientTls::Prefer,
            TlsMode::Require => pg::ClientTls::Require,
        },
        server_tls: match server.mode {
            _ if server.direct => pg::ServerTls::Direct,
            TlsMode::Disable => pg::ServerTls::Disable,
            TlsMode::Prefer => pg::ServerTls::Prefer,
            TlsMode::Require => pg::ServerTls::Require,
        },
        ..pg::Settings::default()
    }
}
