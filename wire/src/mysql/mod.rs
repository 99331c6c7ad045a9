//! The client/server protocol of MySQL (8.4, 9.x) and MariaDB (10.11, 11.x): protocol 10 behind a
//! 4.1 handshake.
//!
//! The caller drives a [`Session`] as it does one of PostgreSQL's (see the crate's page), with these
//! differences:
//!
//! * The server speaks first: a new session asks for [`Connect`](crate::Action::Connect) at once, and
//!   for a verdict on the login when it is in (`Held::Startup`). Until then nothing but the
//!   greeting has passed.
//! * [`StartTls`](crate::Action::StartTls) of the server's leg comes behind the login's verdict; of the client's leg,
//!   the handshake begins with [`take_tls_preamble`](Session::take_tls_preamble), which may be empty.
//! * [`Established`](crate::Action::Established), and [`SessionReset`](crate::Action::SessionReset) after
//!   COM_CHANGE_USER and COM_RESET_CONNECTION: what the caller [asks](Session::ask) before it polls
//!   again goes to the server before the client's next command; so does what it asks at any time
//!   between commands, and while a command is held.
//! * One command at a time is at the server. What a client sends in the meantime waits in its pipe.
//! * Refusals are ERR packets of sqlward's own, in order; their message is
//!   `message (detail; hint)`, cut to 512 bytes at the end of `message`. With
//!   [`Terminate`](crate::AfterRefusal::Terminate) the code is 1053 (08S01), and the session closes.
//! * `Outcome::error` has a number beside the SQLSTATE. `Completion::Skipped`, `Suspended` and
//!   `Unexecuted` don't occur; a Fetch of a cursor is `Done` like any other.
//!
//! Authentication passes through, unread but for its forms. Passwords have another form over TLS than
//! without for `caching_sha2_password` (only where its cache fails) and `sha256_password`; where only
//! one leg has TLS these fail with 1043, whose message says how to mend it. So do methods that show
//! the password to the server (`mysql_clear_password`, `dialog`, unknown ones) where the client has TLS
//! and the server's leg has not.

mod auth;
pub mod capabilities;
#[doc(hidden)]
pub mod check;
pub mod command;
pub mod encode;
pub mod errcode;
pub mod held;
mod login;
mod ok;
mod packet;
mod refuse;
mod response;
pub mod session;
pub mod settings;
mod state;
mod statements;
pub mod values;
mod variables;
mod view;

pub use capabilities::Capabilities;
pub use command::{Command, Fate};
pub use held::{Attributes, Held, Login, Rows};
pub use session::{AskError, Session};
pub use settings::{ClientTls, ServerTls, Settings};
pub use values::{BulkRows, Parameter, Parameters, Type, Value};
