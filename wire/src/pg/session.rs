//! One client's session with one server: its parts, and what a caller may ask it.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::marker::PhantomData;

use crate::error::{Error, Limit};
use crate::pg::auth::Auth;
use crate::pg::commands::{Commands, Out};
use crate::pg::frame;
use crate::pg::frontend::{self, Target};
use crate::pg::held::{Held, HeldKind};
use crate::pg::names::{Meaning, key};
use crate::pg::pending::Used;
use crate::pg::settings::{ChannelBinding, Settings};
use crate::pg::startup::{self, Startup};
use crate::pg::state::{Awaits, Ending, Fallback, Front, Handshake, Phase, Rest};
use crate::pipe::Pipe;
use crate::session::{Action, Event, TxStatus};

/// One client's session with one server, as seen from between them.
pub struct Session<P, T> {
    /// From the client to the server.
    pub client: Pipe,
    /// From the server to the client.
    pub server: Pipe,
    pub(in crate::pg) settings: Settings,
    pub(in crate::pg) phase: Phase,
    pub(in crate::pg) handshake: Handshake,
    pub(in crate::pg) auth: Auth,
    /// What it takes to do without TLS to the server, until the client is in.
    pub(in crate::pg) fallback: Option<Box<Fallback>>,
    pub(in crate::pg) commands: Commands<T>,
    /// The client's message that has to wait.
    pub(in crate::pg) front: Option<Front>,
    /// What is to come of a message from the client whose front has been dealt with.
    pub(in crate::pg) client_rest: Rest,
    /// What is to come of a message from the server whose front has been dealt with.
    pub(in crate::pg) server_rest: Rest,
    /// What happens when the message from the server is through.
    pub(in crate::pg) ending: Option<Ending>,
    pub(in crate::pg) out: Out<T>,
    /// What the startup's verdict said, until its outcome is told.
    pub(in crate::pg) startup: Option<JudgedStartup<T>>,
    /// Portals to be forgotten behind the verdict on an Execute of one of them; none stands for all.
    forgotten_portals: Vec<Option<Box<[u8]>>>,
    parameters: BTreeMap<Box<[u8]>, Box<[u8]>>,
    parameter_bytes: usize,
    permit: PhantomData<fn(P)>,
}

/// A startup that had its verdict.
#[derive(Debug)]
pub(in crate::pg) struct JudgedStartup<T> {
    pub(in crate::pg) tag: T,
    /// The length of the message.
    pub(in crate::pg) request: u64,
}

/// The most that a server may report, in names and in bytes.
const MAX_PARAMETERS: usize = 256;
const MAX_PARAMETER_BYTES: usize = 1024 * 1024;

impl<P, T> fmt::Debug for Session<P, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("phase", &self.phase)
            .field("pending", &self.commands.pending.len())
            .field("client", &self.client)
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

impl<P, T: Clone> Session<P, T> {
    /// Begins with a client whose first bytes have not been read yet.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            client: Pipe::default(),
            server: Pipe::default(),
            settings,
            phase: Phase::ExpectStartup,
            handshake: Handshake::default(),
            auth: Auth::new(),
            fallback: None,
            commands: Commands::default(),
            front: None,
            client_rest: Rest::Nothing,
            server_rest: Rest::Nothing,
            ending: None,
            out: Out {
                actions: VecDeque::new(),
                now: 0,
            },
            startup: None,
            forgotten_portals: Vec::new(),
            parameters: BTreeMap::new(),
            parameter_bytes: 0,
            permit: PhantomData,
        }
    }

    /// Takes in what happened; `now_ns` is the caller's monotonic clock.
    ///
    /// What goes wrong comes back as [`Action::Close`], behind the outcomes of what it ended.
    pub fn handle(&mut self, event: Event<P, T>, now_ns: u64) {
        self.out.now = now_ns;
        if self.phase == Phase::Closed {
            return;
        }
        if let Err(error) = self.take(event) {
            self.violated(error);
        }
    }

    /// Gives the next thing to do; call until it gives none, also after writing.
    pub fn poll(&mut self) -> Option<Action<T>> {
        if self.phase == Phase::ExpectCommand
            && self.handshake.stalled
            && self.client.unsent() < Pipe::LARGE
        {
            self.handshake.stalled = false;
            if let Err(error) = self.read_commands() {
                self.violated(error);
            }
        }
        let action = self.out.actions.pop_front();
        if let (Some(Action::Inspect), Some(front)) = (&action, &mut self.front) {
            front.awaits = Awaits::Verdict;
        }
        action
    }

    /// Shows the message that waits for a verdict.
    #[must_use]
    pub fn held(&self) -> Option<Held<'_, T>> {
        let front = self.front.as_ref().filter(|front| front.is_shown())?;
        let bytes = self.client.unjudged();
        let body = frame::body(bytes, front.total.min(bytes.len()));
        if front.is_too_large() {
            return Some(Held::TooLarge {
                kind: front.kind,
                length: front.body_length(),
                prefix: front.prefix(body),
            });
        }
        let unsettled = self.commands.is_unsettled();
        match front.kind {
            HeldKind::Startup => match startup::packet(bytes.get(..front.total)?).ok()? {
                Startup::Message(message) => Some(Held::Startup {
                    protocol: message.protocol,
                    parameters: message.parameters,
                    replication: message.replication,
                }),
                Startup::SslRequest | Startup::GssEncRequest | Startup::CancelRequest { .. } => {
                    None
                }
            },
            HeldKind::Query => {
                let text = frontend::text(body).ok()?;
                Some(Held::Query { text, unsettled })
            }
            HeldKind::Parse => {
                let message = frontend::parse(body).ok()?;
                Some(Held::Parse {
                    name: message.name,
                    text: message.text,
                    parameter_types: message.types,
                    unsettled,
                })
            }
            HeldKind::Bind => {
                let message = frontend::bind(body).ok()?;
                let prepared = match self.commands.statement(message.name) {
                    Meaning::Known(tag) => tag,
                    Meaning::Open => None,
                };
                Some(Held::Bind {
                    portal: message.portal,
                    name: message.name,
                    prepared,
                    parameters: message.parameters,
                })
            }
            HeldKind::Execute => {
                let message = frontend::execute(body).ok()?;
                let portal = match self.commands.portal(message.portal) {
                    Meaning::Known(portal) => portal,
                    Meaning::Open => None,
                };
                Some(Held::Execute {
                    portal: message.portal,
                    max_rows: message.max_rows,
                    bound: portal.map(|portal| &portal.tag),
                    first: portal.is_none_or(|portal| portal.used != Used::Executed),
                })
            }
            HeldKind::FunctionCall => {
                let message = frontend::function_call(body).ok()?;
                Some(Held::FunctionCall {
                    oid: message.oid,
                    arguments: message.arguments,
                })
            }
        }
    }

    /// Shows the last value that the server reported for a parameter.
    #[must_use]
    pub fn parameter(&self, name: &[u8]) -> Option<&[u8]> {
        self.parameters.get(name).map(AsRef::as_ref)
    }

    /// Shows the transaction state that the server reported last; none before it was ready.
    #[must_use]
    pub fn tx_status(&self) -> Option<TxStatus> {
        self.commands.tx
    }

    /// Tells whether statements were sent since the server last reported settings and transaction state.
    #[must_use]
    pub fn is_unsettled(&self) -> bool {
        self.commands.is_unsettled()
    }

    /// Tells whether the client came over TLS.
    #[must_use]
    pub fn client_is_tls(&self) -> bool {
        self.handshake.client_is_tls
    }

    /// Tells whether the session is between commands: nothing is owed, held or buffered.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.phase == Phase::ExpectCommand
            && self.front.is_none()
            && self.commands.pending.is_empty()
            && self.client.is_empty()
            && self.server.is_empty()
    }

    /// Tells whether only the client can go on: nothing is owed or held, though part of a message may be there.
    #[must_use]
    pub fn awaits_client(&self) -> bool {
        self.phase == Phase::ExpectCommand
            && self.front.is_none()
            && self.commands.pending.is_empty()
            && self.server.is_empty()
    }

    /// Gives back the memory that an idle session doesn't need.
    pub fn release_idle(&mut self) {
        self.client.release_idle();
        self.server.release_idle();
        self.commands.pending.shrink();
        if self.out.actions.is_empty() {
            self.out.actions = VecDeque::new();
        }
    }

    /// Forgets what a prepared statement's name (or every name) stands for, because SQL
    /// (PREPARE, DEALLOCATE, DISCARD) may give it another meaning; its next Bind shows no tag.
    pub fn forget_prepared(&mut self, name: Option<&[u8]>) {
        self.commands.forget(Target::Statement, name, &mut self.out);
    }

    /// Forgets what a portal's name (or every name) stands for, because SQL (DECLARE, CLOSE) may
    /// give it another meaning; its next Execute shows no tag.
    ///
    /// To be called behind the verdict on that SQL. Where it is itself the portal whose Execute waits
    /// for the verdict, the portal is forgotten behind it.
    pub fn forget_portals(&mut self, name: Option<&[u8]>) {
        if self.judges_execute_of(name) {
            self.forgotten_portals.push(name.map(Into::into));
        } else {
            self.commands.forget(Target::Portal, name, &mut self.out);
        }
    }

    /// Takes note that SQL (FETCH, MOVE) runs a portal that a Bind has made, so that this Bind's
    /// outcome is no [`Unexecuted`](crate::Completion::Unexecuted): unless an Execute speaks for the
    /// Bind, its tag gets [`Done`](crate::Completion::Done) with no rows when the portal goes away.
    pub fn mark_portal_executed(&mut self, name: &[u8]) {
        self.commands.mark_fetched(name);
    }

    /// Shows the tag of the Bind that made a portal; where its answer is on its way, as if it
    /// succeeded. None if no Bind made it, or if it was forgotten.
    #[must_use]
    pub fn portal_tag(&self, name: &[u8]) -> Option<&T> {
        let portal = self.commands.portals.likely(name, self.commands.batch);
        portal.map(|portal| &portal.tag)
    }

    /// Forgets the portals that had to be known until the verdict.
    pub(in crate::pg) fn forget_judged_portals(&mut self) {
        for name in std::mem::take(&mut self.forgotten_portals) {
            self.commands
                .forget(Target::Portal, name.as_deref(), &mut self.out);
        }
    }

    /// Tells whether the caller is judging an Execute of this portal, or of any.
    fn judges_execute_of(&self, name: Option<&[u8]>) -> bool {
        if !self
            .front
            .is_some_and(|front| front.awaits == Awaits::Verdict)
        {
            return false;
        }
        let Some(Held::Execute { portal, .. }) = self.held() else {
            return false;
        };
        name.is_none_or(|name| key(name) == key(portal))
    }

    /// Says whether SCRAM-SHA-256-PLUS stays in the server's offer. To be told before the `TlsUp` of
    /// the server's leg; `Offer` is right only if both legs are TLS and show the same certificate.
    pub fn set_channel_binding(&mut self, binding: ChannelBinding) {
        self.settings.channel_binding = binding;
    }

    /// Takes the first bytes of a direct TLS handshake, which the TLS library has to get before
    /// it reads from the socket.
    pub fn take_tls_preamble(&mut self) -> Vec<u8> {
        match self.phase {
            Phase::ExpectClientTls(_) => self.client.take_unjudged(),
            Phase::ExpectStartup
            | Phase::ExpectStartupVerdict
            | Phase::ExpectServer
            | Phase::ExpectTlsAnswer
            | Phase::ExpectServerTls
            | Phase::ExpectAuthentication
            | Phase::ExpectSameOffer
            | Phase::ExpectFirstReady
            | Phase::ExpectCommand
            | Phase::ExpectLastAnswers
            | Phase::Closed => Vec::new(),
        }
    }

    pub(in crate::pg) fn report(&mut self, name: &[u8], value: &[u8]) -> Result<(), Error> {
        let old = self.parameters.get(name).map(|value| value.len());
        let known = old.is_some();
        if known && self.parameter(name) == Some(value) {
            return Ok(());
        }
        let used = match old {
            Some(length) => self.parameter_bytes.saturating_sub(length),
            None => self.parameter_bytes.saturating_add(name.len()),
        };
        let used = used.saturating_add(value.len());
        if used > MAX_PARAMETER_BYTES || (!known && self.parameters.len() >= MAX_PARAMETERS) {
            let limit = u64::try_from(MAX_PARAMETERS).unwrap_or(u64::MAX);
            return Err(Error::TooLarge {
                what: Limit::Parameters,
                limit,
            });
        }
        self.parameter_bytes = used;
        self.parameters.insert(name.into(), value.into());
        if name == b"client_encoding" {
            self.commands.forget_beyond_ascii(&mut self.out);
        }
        self.out.push(Action::ParameterChanged(name.into()));
        Ok(())
    }
}
