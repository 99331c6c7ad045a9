//! The states of a session, each named for what it awaits.
//!
//! ```text
//!                  ServerConnected         greeting
//!   ──▶ ExpectServer ──────▶ ExpectGreeting ──────▶ ExpectLogin ◀────────────────┐
//!                                                     │  │ SSLRequest           │ TlsUp(Client)
//!                                                     │  └─────▶ ExpectClientTls ┘
//!                                   login             ▼                Refuse
//!                                            ExpectLoginVerdict ──────────────▶ Closed
//!                                   Forward     │         │ TLS to the server
//!                                               │         ▼
//!                                               │     ExpectServerTls
//!                                               ▼         │ TlsUp(Server)
//!                                         ExpectAuthentication ◀────┘
//!                                               │ OK                   ERR ──▶ Closed
//!                                               ▼        COM_QUIT
//!                                          ExpectCommand ────────▶ Closed
//! ```
//!
//! `ExpectCommand` is the cycle; what the command in flight is owed is in `response.rs`. Every state ends in
//! `Closed` on a violation, on the end of either connection and at the caller's wish.

mod client;
mod ending;
mod handshake;
mod own;
mod result;
mod server;
mod stream;
mod verdict;

pub(in crate::mysql) use own::Own;
pub(in crate::mysql) use stream::Rest;
pub(in crate::mysql) use verdict::Refused;

use crate::mysql::command::Command;

/// What a session awaits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The connection to the server.
    ExpectServer,
    /// The server's greeting.
    ExpectGreeting,
    /// The client's login, or its request for TLS.
    ExpectLogin,
    /// The client's TLS handshake.
    ExpectClientTls,
    /// The verdict on the login.
    ExpectLoginVerdict,
    /// The server's TLS handshake.
    ExpectServerTls,
    /// The end of the authentication.
    ExpectAuthentication,
    /// Commands and their answers.
    ExpectCommand,
    /// Nothing.
    Closed,
}

/// Whether there is more to be done with the bytes that are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Continue,
    Stop,
}

/// The next sequence number on each leg, whoever speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Numbers {
    pub(crate) client: u8,
    pub(crate) server: u8,
}

/// The client's command that has to wait.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Front {
    pub(crate) command: Command,
    /// Its length on the wire, as far as it is there; of one that is too large, the length of its payload so far.
    pub(crate) total: usize,
    pub(crate) packets: usize,
    pub(crate) awaits: Awaits,
    pub(crate) size: Size,
}

/// What a command waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Awaits {
    /// That the caller takes notice of it.
    Notice,
    /// The verdict of the caller, who knows of it.
    Verdict,
}

/// Whether a command may be forwarded at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Size {
    Fits,
    TooLarge,
}

/// Whether the caller may ask before the client's next command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hook {
    /// There is nothing to be asked for.
    Idle,
    /// The caller does not know yet.
    Told,
    /// The caller knows, and asks before it polls again.
    Open,
}

/// How much of a command that is too large is shown.
pub(crate) const PREFIX: usize = 4096;
