//! The states of a session, each named for what it awaits.
//!
//! ```text
//!            SSLRequest, 0x16        TlsUp(Client)
//!            ┌──────────── ExpectClientTls ─────┐
//!            │                                  │
//!   ──▶ ExpectStartup ◀─────────────────────────┘       CancelRequest ──▶ Closed
//!            │ StartupMessage
//!            ▼                  Refuse
//!   ExpectStartupVerdict ───────────────▶ Closed
//!            │ Forward
//!            ▼ ServerConnected      'S'                TlsUp(Server)
//!       ExpectServer ──▶ ExpectTlsAnswer ──▶ ExpectServerTls ──┐
//!            │ no TLS           │ 'N'                          │
//!            ▼                  ▼                              │
//!   ExpectAuthentication ◀──────┴──────────────────────────────┘
//!            │ AuthenticationOk                ErrorResponse ──▶ Closed
//!            ▼
//!     ExpectFirstReady
//!            │ ReadyForQuery
//!            ▼           Terminate
//!      ExpectCommand ──────────────▶ ExpectLastAnswers ──▶ Closed
//! ```
//!
//! Where TLS to the server is only preferred, a client may turn out to need it gone: then
//! `ExpectAuthentication` goes back to `ExpectServer`, and by `ExpectSameOffer` to itself (`fallback.rs`).
//!
//! `ExpectCommand` is the cycle; what is owed in it is in `commands.rs`. Every state ends in
//! `Closed` on a violation, on the end of either connection and at the caller's wish.

mod client;
mod ending;
mod fallback;
mod handshake;
mod server;
mod verdict;

pub(crate) use fallback::Fallback;

use crate::pg::held::HeldKind;
use crate::session::{CloseReason, Negotiation};

/// What a session awaits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The client's first packet, or the one behind a request for encryption.
    ExpectStartup,
    /// The client's TLS handshake.
    ExpectClientTls(Negotiation),
    /// The verdict on the startup.
    ExpectStartupVerdict,
    /// The connection to the server.
    ExpectServer,
    /// The server's answer to our SSLRequest.
    ExpectTlsAnswer,
    /// The server's TLS handshake.
    ExpectServerTls,
    /// AuthenticationOk.
    ExpectAuthentication,
    /// The offer that the client has answered already, from a server connected to anew.
    ExpectSameOffer,
    /// The first ReadyForQuery.
    ExpectFirstReady,
    /// Commands and their answers.
    ExpectCommand,
    /// The answers to what was sent before the client's Terminate.
    ExpectLastAnswers,
    /// Nothing.
    Closed,
}

/// What the first packets have settled.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Handshake {
    pub(crate) client_is_tls: bool,
    pub(crate) ssl_asked: bool,
    pub(crate) gss_asked: bool,
    /// Whether scanning waits for the server to take what is ready.
    pub(crate) stalled: bool,
    /// Whether nothing more is read from the client, for a refusal ends the session.
    pub(crate) halted: bool,
}

/// What becomes of the bytes of a message that are still to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rest {
    /// There are none.
    Nothing,
    /// So many go to the peer.
    Pass(usize),
    /// So many are thrown away.
    Discard(usize),
}

impl Rest {
    /// What is left when so many go to the peer.
    pub(crate) fn pass(n: usize) -> Self {
        if n == 0 { Self::Nothing } else { Self::Pass(n) }
    }

    /// What is left when so many are thrown away.
    pub(crate) fn discard(n: usize) -> Self {
        if n == 0 {
            Self::Nothing
        } else {
            Self::Discard(n)
        }
    }
}

/// What happens when the message from the server is through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The session closes.
    Close(CloseReason),
    /// The client is told that policy ends the session, which closes.
    Terminate,
}

/// Whether there is more to be done with the bytes that are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Continue,
    Stop,
}

/// The client's message that has to wait.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Front {
    pub(crate) kind: HeldKind,
    /// The length of the message, its header included.
    pub(crate) total: usize,
    pub(crate) awaits: Awaits,
    pub(crate) size: Size,
    /// Whether the text reads differently under different settings of the session.
    pub(crate) reading: Reading,
}

/// What a message waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Awaits {
    /// Answers that settle how it is to be read.
    Answers,
    /// That the caller takes notice of it.
    Notice,
    /// The verdict of the caller, who knows of it.
    Verdict,
}

/// Whether a message may be forwarded at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Size {
    Fits,
    TooLarge,
}

/// How a text depends on the session's settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    /// It reads the same under all of them.
    Plain,
    /// It has backslashes or bytes beyond ASCII.
    BySettings,
}

impl Reading {
    pub(crate) fn of(text: &[u8]) -> Self {
        if text.is_ascii() && !text.contains(&b'\\') {
            Self::Plain
        } else {
            Self::BySettings
        }
    }
}

impl Front {
    pub(crate) fn is_shown(&self) -> bool {
        match self.awaits {
            Awaits::Answers => false,
            Awaits::Notice | Awaits::Verdict => true,
        }
    }

    pub(crate) fn is_too_large(&self) -> bool {
        self.size == Size::TooLarge
    }

    /// The length of the body.
    pub(crate) fn body_length(&self) -> u64 {
        u64::try_from(self.total.saturating_sub(crate::pg::frame::HEADER)).unwrap_or(u64::MAX)
    }

    /// The beginning of the text, of which `body` is a part.
    pub(crate) fn prefix<'a>(&self, body: &'a [u8]) -> &'a [u8] {
        let body = body.get(..PREFIX).unwrap_or(body);
        match self.kind {
            HeldKind::Parse => {
                let mut parts = body.splitn(2, |&byte| byte == 0);
                parts.next();
                parts.next().unwrap_or_default()
            }
            HeldKind::Startup
            | HeldKind::Query
            | HeldKind::Bind
            | HeldKind::Execute
            | HeldKind::FunctionCall => body,
        }
    }
}

/// How much of the body of a message that is too large has to be there.
pub(crate) const PREFIX: usize = 4096;
