//! The sans-IO cores of the database protocols, as seen by a proxy in the middle.
//!
//! Bytes go in, events and bytes come out; there is no socket, no clock and no randomness in
//! here. Codec crates such as `pgwire` decode into messages and encode them again; this core
//! inspects the very bytes that it forwards, which is why it is written anew.
//!
//! The caller (the proxy) drives a [`pg::Session`] like this, and a [`mysql::Session`] but for what its
//! module says:
//!
//! 1. read from a socket into [`Pipe::space`] of that direction, then
//!    [`handle`](pg::Session::handle) `ClientBytes(n)` or `ServerBytes(n)`;
//! 2. [`poll`](pg::Session::poll) until it gives nothing, and do what each [`Action`] says:
//!    * `Inspect`: look at [`held`](pg::Session::held), decide, journal, `handle` the `Verdict`;
//!    * `StartTls`: write what is ready to that leg, shake hands, `handle` `TlsUp`; for
//!      `Negotiation::Direct` on the client leg, feed
//!      [`take_tls_preamble`](pg::Session::take_tls_preamble) to the TLS library first;
//!    * `Connect`: connect to the server, `handle` `ServerConnected` (or `Abort` with 08001);
//!    * `ReconnectPlain`: drop that connection unheard, then as with `Connect`;
//!    * `Close`: write what is ready to both legs, close them; nothing follows;
//! 3. write [`Pipe::ready`] of each direction to its peer and say so by [`Pipe::sent`], then poll
//!    again: scanning pauses while too much waits for a slow peer, and `poll` resumes it.
//!
//! A verdict that comes behind `Close` is dropped together with its tag: nothing was forwarded.
//! Every other verdict but the startup's yields exactly one `Outcome`, with one exception: a Bind that
//! the server completed and whose portal was executed yields none, as the Executes speak for it.
#![forbid(unsafe_code)]

pub mod cursor;
pub mod error;
pub mod fuzzing;

pub mod mysql;
pub mod pg;
pub mod pipe;
pub mod session;
pub mod sqlstate;

pub use error::Error;
pub use pipe::Pipe;
pub use session::{
    Action, AfterRefusal, Answer, AuthMethod, CancelKey, CloseReason, Completion, Event, Fatal,
    Leg, Negotiation, Outcome, Refusal, Rejected, Tracked, TxStatus, Verdict,
};
pub use sqlstate::{ErrorCode, SqlState};
