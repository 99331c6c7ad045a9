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

/// What a session awaits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The connection to the server.
    ExpectServer,
    /// Nothing.
    Closed,
}
