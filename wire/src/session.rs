//! The words that the sessions of both protocols use towards their caller.

use std::fmt;

use crate::error::Error;
use crate::sqlstate::ErrorCode;

/// An end of the proxied connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Leg {
    /// Between the client and the proxy.
    Client,
    /// Between the proxy and the server.
    Server,
}

/// How a TLS handshake begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Negotiation {
    /// It was agreed on by a request in plaintext.
    Requested,
    /// It is the first thing on the connection; ALPN `postgresql` is required.
    Direct,
}

/// What the caller decided about a held message.
///
/// `P` is the caller's proof that a policy was asked. Forwarding takes one.
#[derive(Debug)]
pub enum Verdict<P, T> {
    /// Let it go to the server.
    Forward {
        /// The proof that it was judged; used up.
        permit: P,
        /// What the caller wants to get back with the outcome.
        tag: T,
    },
    /// Let the server reject a harmless message in its place.
    Refuse {
        /// What the client is told.
        refusal: Refusal,
        /// What the caller wants to get back with the outcome.
        tag: T,
    },
}

/// What a client is told about a message that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The error code, usually [`SqlState::INSUFFICIENT_PRIVILEGE`](crate::SqlState::INSUFFICIENT_PRIVILEGE).
    pub code: ErrorCode,
    /// The primary message.
    pub message: String,
    /// The detail line; left out when empty. Names the rule.
    pub detail: String,
    /// The hint line; left out when empty. Names the event.
    pub hint: String,
    /// Whether the session goes on after the error.
    pub then: AfterRefusal,
}

/// What happens to the session after a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterRefusal {
    /// It goes on.
    Continue,
    /// It ends: in PostgreSQL with 57P01 after the error, in MySQL with 1053 in place of the code.
    Terminate,
}

/// An error of the caller's that ends the session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fatal {
    /// The error code.
    pub code: ErrorCode,
    /// The primary message.
    pub message: String,
}

/// How a message that had a verdict ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Completion {
    /// The statement ran to its end; of a startup: the session is established; of a portal that only SQL has fetched from: it went away.
    Done,
    /// The statement was prepared.
    Prepared,
    /// The portal returned as many rows as were asked for and can go on.
    Suspended,
    /// The server answered with an error; of a startup, also before its first ReadyForQuery.
    Failed,
    /// It was refused by verdict.
    Refused,
    /// The server skipped it because of an earlier error in the pipeline.
    Skipped,
    /// A portal was bound and went away without having been executed.
    Unexecuted,
    /// The connection ended before the answer.
    Lost,
}

/// The transaction state that the server reports when it is ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TxStatus {
    /// Not in a transaction block.
    Idle,
    /// In a transaction block.
    Active,
    /// In a transaction block that failed.
    Failed,
}

/// What became of a message that had a verdict; the startup's verdict has one, too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome<T> {
    /// The caller's own token, from the verdict.
    pub tag: T,
    /// How it ended.
    pub completion: Completion,
    /// Rows returned to the client: DataRow messages, COPY OUT rows, rows of all result sets.
    pub rows: u64,
    /// Rows written, as the command tags or OK packets say.
    pub affected: u64,
    /// Warnings that the OK and EOF packets counted (MySQL; PostgreSQL has none).
    pub warnings: u64,
    /// Results that came to their end: OK packets and result sets (MySQL; PostgreSQL counts none).
    pub results: u64,
    /// Bytes of rows, COPY data and function results sent to the client.
    pub bytes: u64,
    /// Bytes of the message and of the COPY data that the client sent for it.
    pub request_bytes: u64,
    /// The code of the error that the server answered with.
    pub error: Option<ErrorCode>,
    /// When the first byte of the answer came, in the caller's nanoseconds.
    pub first_byte: Option<u64>,
    /// When it ended, in the caller's nanoseconds.
    pub ended: u64,
    /// The transaction state, where the answer told it (simple queries and function calls).
    pub tx: Option<TxStatus>,
}

/// A command that was not to be forwarded, whatever a policy says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rejected {
    /// Its number.
    pub command: u8,
    /// Its first packet's bytes.
    pub bytes: u64,
    /// The error that the client gets.
    pub code: ErrorCode,
    /// What is wrong with it.
    pub reason: &'static str,
}

/// What the caller tells a session.
#[derive(Debug)]
pub enum Event<P, T> {
    /// This many bytes were read from the client into `client.space()`.
    ClientBytes(usize),
    /// This many bytes were read from the server into `server.space()`.
    ServerBytes(usize),
    /// The connection asked for by [`Action::Connect`] or [`Action::ReconnectPlain`] stands.
    ServerConnected,
    /// The TLS handshake asked for by [`Action::StartTls`] is done.
    TlsUp(Leg),
    /// The verdict asked for by [`Action::Inspect`].
    Verdict(Verdict<P, T>),
    /// The client's end is closed.
    ClientClosed,
    /// The server's end is closed.
    ServerClosed,
    /// The session has to end for a reason of the caller's.
    Abort(Fatal),
}

/// How the client proved who it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum AuthMethod {
    /// Nothing was asked.
    Trust,
    /// A password in clear.
    Cleartext,
    /// A password hashed with MD5.
    Md5,
    /// SCRAM-SHA-256.
    ScramSha256,
    /// SCRAM-SHA-256 bound to the TLS channel.
    ScramSha256Plus,
    /// Another SASL mechanism, such as OAUTHBEARER.
    Sasl,
    /// GSSAPI.
    Gss,
    /// SSPI.
    Sspi,
    /// `mysql_native_password`.
    MysqlNative,
    /// `caching_sha2_password`.
    CachingSha2,
    /// `sha256_password`.
    Sha256,
    /// `client_ed25519`.
    Ed25519,
    /// `parsec`.
    Parsec,
    /// `mysql_clear_password`.
    MysqlClear,
    /// Another plugin of MySQL or MariaDB, by the name that the client knows it by; several of a
    /// multi-factor authentication are joined by `+`.
    Plugin(Box<str>),
}

/// The secret that permits to cancel what a session runs. Its debug form hides it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct CancelKey(Box<[u8]>);

impl CancelKey {
    pub(crate) fn new(key: &[u8]) -> Self {
        Self(key.into())
    }

    /// Shows the key.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for CancelKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CancelKey(..)")
    }
}

/// What a session asks its caller to do, or tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action<T> {
    /// Write what is ready to that leg, then do the TLS handshake on it.
    StartTls {
        /// The leg.
        leg: Leg,
        /// How the handshake begins.
        negotiation: Negotiation,
    },
    /// Connect to the server: the startup was permitted.
    Connect,
    /// Drop the connection to the server and connect anew, answering with [`Event::ServerConnected`]
    /// as to `Connect`: only without TLS can the server take the client's way to authenticate.
    ReconnectPlain,
    /// Look at `held()` and answer with [`Event::Verdict`].
    Inspect,
    /// A message that had a verdict has ended.
    Outcome(Outcome<T>),
    /// A Sync failed, as with a deferred constraint: what was Done since the sync point before it
    /// is undone, unless it ran in a transaction block.
    CommitFailed {
        /// The server's error code.
        sqlstate: crate::SqlState,
    },
    /// The server rolled back the implicit transaction of a pipeline in which something failed or was
    /// refused: of what was reported as [`Done`](Completion::Done), all that no statement of its own has
    /// committed is undone. Told at the ReadyForQuery behind it, if there is anything to tell.
    Undone {
        /// The error code.
        sqlstate: crate::SqlState,
        /// What was executed since the last sync point, in order; of a long pipeline its end.
        tags: Vec<T>,
        /// How many more there were, before these.
        more: u64,
    },
    /// The connection is a cancel request: find the server and pass the key on.
    Cancel {
        /// The process to be cancelled.
        pid: u32,
        /// Its secret key.
        key: CancelKey,
    },
    /// The server accepted the client.
    Authenticated {
        /// How the client proved who it is.
        method: AuthMethod,
    },
    /// The server refused the client; a close follows.
    AuthFailed {
        /// The server's error code.
        code: ErrorCode,
    },
    /// The server told the key that cancels this session.
    BackendKey {
        /// The server process.
        pid: u32,
        /// Its secret key.
        key: CancelKey,
    },
    /// The server is ready for the first command.
    Established,
    /// The server reported another value for the parameter of this name.
    ParameterChanged(Box<[u8]>),
    /// MySQL: the server told the number of the thread that serves this session, as KILL knows it.
    Thread(u32),
    /// MySQL: COM_CHANGE_USER or COM_RESET_CONNECTION has succeeded: prepared statements are gone and
    /// variables have their first values again. As behind `Established`, the client's next command
    /// waits for what is asked before the next `poll`.
    SessionReset,
    /// MySQL: the server told of a change of the session's state.
    Tracked(Tracked),
    /// MySQL: the answer to the oldest question that has none yet.
    Answered(Answer),
    /// MySQL: the server asked for a client's file that the statement in flight may not read; it got an
    /// empty one, and the client an error. Up to 4096 bytes of the name.
    FileRefused(Box<[u8]>),
    /// MySQL: a command that waits for no verdict, since no policy can let it pass, was answered with an error. No byte of
    /// it goes to the server.
    Rejected(Rejected),
    /// Write what is ready to both legs, then close them. Nothing follows.
    Close(CloseReason),
}

/// What a MySQL server told of its session's state in an OK packet, besides system variables
/// (those are [`Action::ParameterChanged`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tracked {
    /// The default database has this name now; empty for none.
    Schema(Box<[u8]>),
    /// Something of the session's state has changed (`session_track_state_change`).
    Changed,
    /// The transaction's state (`session_track_transaction_info`): eight characters, such as `T___W___`.
    Transaction([u8; 8]),
    /// The statements that would begin the transaction anew, cut off behind 4096 bytes.
    Characteristics(Box<[u8]>),
    /// The identities of the transactions that were committed, cut off behind 4096 bytes.
    Gtids(Box<[u8]>),
}

/// The server's answer to a question of the caller's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Rows of values, in text; `None` for NULL.
    Rows(Vec<Vec<Option<Box<[u8]>>>>),
    /// The server's error.
    Failed(ErrorCode),
    /// More than a thousand values or 64 KiB; they were thrown away.
    TooLarge,
}

/// Why a session ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CloseReason {
    /// The client said goodbye.
    ClientTerminated,
    /// The client's end closed without a goodbye.
    ClientClosed,
    /// The server's end closed without a word.
    ServerClosed,
    /// The server ended the session with this error.
    ServerFatal(ErrorCode),
    /// The connection was a cancel request.
    CancelRequest,
    /// The startup was refused by verdict, or a refusal said to terminate.
    Refused,
    /// The caller asked for it.
    Aborted(ErrorCode),
    /// An end broke the protocol, a limit or a requirement.
    Violation(Error),
}
