//! The record: what the proxy remembers, as it is handed to the journal and read back from it.
//!
//! Every entry borrows. The proxy lends its lists; the decoder owns them.

mod codec;
mod decode;
mod encode;
mod kept;
mod list;
#[cfg(test)]
pub(crate) mod samples;

use std::net::SocketAddr;

use sqlward_policy::vocabulary::{
    Access, Action, Class, ColumnUse, Dialect, Egress, LimitShape, Mode, ObjectKind, Severity,
    Unreadable, Verb, WhereShape,
};

pub use self::codec::CodecError;
pub(crate) use self::codec::{Reader, Writer};
pub use self::kept::KeptIntent;
pub use self::list::List;
pub use crate::event::{EventId, Seq, SessionId};
pub use crate::words::{
    AdminAction, Completion, Detail, EndCause, EndUserSource, IntentKind, ParameterFormat, Trust,
    TxStatus,
};

/// One entry of the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry<'a> {
    /// A writer took the lane; everything still open before it is lost. Written by the journal itself.
    Epoch(Epoch),
    /// A client connected.
    SessionStart(SessionStart<'a>),
    /// The server accepted the client.
    SessionAuthenticated(SessionAuthenticated<'a>),
    /// Something about the session's subject changed.
    Context(Context<'a>),
    /// A session ended, or never began properly.
    SessionEnd(SessionEnd<'a>),
    /// What analysis says about a statement text; intents refer to it by key.
    Shape(Shape<'a>),
    /// A statement is about to be sent or refused.
    Intent(Intent<'a>),
    /// A statement ended.
    Outcome(Outcome),
    /// Something happened to the proxy itself.
    Admin(Admin<'a>),
}

/// The start of a lane's life under one writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Epoch {
    /// The node's number.
    pub node: u16,
    /// Wall time, µs since 1970.
    pub at_us: u64,
}

/// A client connected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionStart<'a> {
    /// The session.
    pub session: SessionId,
    /// Wall time, µs since 1970.
    pub at_us: u64,
    /// The client's address and port.
    pub client: SocketAddr,
    /// The listener's name or address.
    pub listener: &'a str,
    /// The upstream's name or address.
    pub upstream: &'a str,
    /// The protocol family.
    pub dialect: Dialect,
    /// TLS between client and proxy.
    pub tls: Option<Tls<'a>>,
}

/// TLS between client and proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tls<'a> {
    /// The version, e.g. `TLSv1.3`.
    pub version: &'a str,
    /// The identity in the client's certificate, if it presented one.
    pub identity: Option<&'a str>,
}

/// Who a client says it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subject<'a> {
    /// The database user.
    pub user: &'a str,
    /// The database.
    pub database: &'a str,
    /// The application name.
    pub application: &'a str,
}

/// The server accepted the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionAuthenticated<'a> {
    /// The session.
    pub session: SessionId,
    /// Wall time, µs since 1970.
    pub at_us: u64,
    /// Who it is.
    pub subject: Subject<'a>,
    /// The effective role, where it differs from the user.
    pub role: Option<&'a str>,
    /// The authentication method, e.g. `scram-sha-256`.
    pub method: &'a str,
    /// The server's process id (or connection id) for the session.
    pub backend_pid: Option<u32>,
    /// The protocol version, e.g. `3.0`.
    pub protocol: &'a str,
    /// TLS, where it came up after the session started.
    pub tls: Option<Tls<'a>>,
}

/// The end user of a statement or session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndUser<'a> {
    /// The name.
    pub name: &'a str,
    /// How it was learnt.
    pub source: EndUserSource,
    /// How far it can be believed.
    pub trust: Trust,
}

/// The session's subject after a change, whole: it replaces what was known before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context<'a> {
    /// The session.
    pub session: SessionId,
    /// Wall time, µs since 1970.
    pub at_us: u64,
    /// User, database and application now.
    pub subject: Subject<'a>,
    /// The effective role, where it differs from the user.
    pub role: Option<&'a str>,
    /// The end user of the session.
    pub end_user: Option<EndUser<'a>>,
}

/// A session ended, or never began properly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionEnd<'a> {
    /// The session.
    pub session: SessionId,
    /// Wall time, µs since 1970.
    pub at_us: u64,
    /// Why.
    pub cause: EndCause,
    /// The error the client was sent, if any.
    pub sqlstate: Option<ErrorCode>,
    /// Who the client claimed to be, where it never got authenticated.
    pub claimed: Option<Subject<'a>>,
    /// Bytes received from the client.
    pub client_bytes: u64,
    /// Bytes received from the server.
    pub server_bytes: u64,
}

/// An error code: SQLSTATE, and MySQL's error number beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorCode {
    /// The five characters of SQL.
    pub sqlstate: [u8; 5],
    /// The error number; 0 where there is none, as always in PostgreSQL.
    pub errno: u16,
}

impl From<[u8; 5]> for ErrorCode {
    fn from(sqlstate: [u8; 5]) -> Self {
        Self { sqlstate, errno: 0 }
    }
}

/// A named object in a shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Object<'a> {
    /// What kind of thing it is.
    pub kind: ObjectKind,
    /// The schema, if the text names one.
    pub schema: Option<&'a str>,
    /// The name.
    pub name: &'a str,
    /// What is done to it.
    pub access: Access,
}

/// A column in a shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Column<'a> {
    /// The table's schema, if known.
    pub schema: Option<&'a str>,
    /// The table, if known.
    pub table: Option<&'a str>,
    /// The column; `*` for all.
    pub column: &'a str,
    /// How it is used.
    pub usage: ColumnUse,
}

/// What analysis says about a text. Written once per lane and process; repetition is harmless.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape<'a> {
    /// Names this analysis; equal keys mean equal analyses.
    pub key: [u8; 16],
    /// Names the normal form.
    pub fingerprint: [u8; 16],
    /// The normalised text.
    pub normal: &'a str,
    /// How many statements the text holds.
    pub statements: u32,
    /// The verb of the (first) statement.
    pub verb: Verb,
    /// The strongest class.
    pub class: Class,
    /// Every verb in the text, nested ones too.
    pub verbs: List<'a, Verb>,
    /// Objects by access.
    pub objects: List<'a, Object<'a>>,
    /// Columns by use.
    pub columns: List<'a, Column<'a>>,
    /// Functions called, qualified where the text qualifies them.
    pub functions: List<'a, &'a str>,
    /// Ways out of the database.
    pub egress: List<'a, Egress>,
    /// The weakest WHERE.
    pub where_shape: WhereShape,
    /// The outermost LIMIT.
    pub limit: LimitShape,
    /// It runs SQL built at run time.
    pub dynamic: bool,
}

/// Where an intent's text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Text<'a> {
    /// There is none (a function call, a startup).
    None,
    /// Here, as sent, redacted, perhaps cut.
    Sent {
        /// The (beginning of the) text.
        bytes: &'a [u8],
        /// The full length in bytes.
        full_len: u64,
        /// SHA-256 of the full text as recorded before the cut; present where `bytes` is cut.
        full_hash: Option<[u8; 32]>,
    },
    /// The text of an earlier intent of the same lane.
    Of(Seq),
}

impl<'a> Text<'a> {
    /// A text that is recorded whole.
    #[must_use]
    pub const fn whole(bytes: &'a [u8]) -> Self {
        Text::Sent {
            bytes,
            full_len: bytes.len() as u64,
            full_hash: None,
        }
    }

    /// Nothing but the length and hash of a text that would be recorded.
    #[must_use]
    pub fn digest(self) -> Self {
        match self {
            Text::Sent {
                bytes,
                full_len,
                full_hash,
            } => Text::Sent {
                bytes: &[],
                full_len,
                full_hash: Some(full_hash.unwrap_or_else(|| crate::chain::digest(bytes))),
            },
            Text::None | Text::Of(_) => self,
        }
    }

    /// A text that is recorded up to `limit` bytes; what is cut is marked with length and hash.
    #[must_use]
    pub fn cut(bytes: &'a [u8], limit: usize) -> Self {
        match bytes.get(..limit) {
            Some(head) if head.len() < bytes.len() => Text::Sent {
                bytes: head,
                full_len: bytes.len() as u64,
                full_hash: Some(crate::chain::digest(bytes)),
            },
            _ => Text::whole(bytes),
        }
    }
}

/// One parameter value of an execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameter<'a> {
    /// Text or binary.
    pub format: ParameterFormat,
    /// The type's OID, or 0 where it isn't known.
    pub type_oid: u32,
    /// The (beginning of the) value; `None` for NULL.
    pub value: Option<&'a [u8]>,
    /// The full length in bytes; larger than `value` where that is cut.
    pub full_len: u64,
    /// Whether `value` was replaced by redaction.
    pub redacted: bool,
}

impl<'a> Parameter<'a> {
    /// A value recorded up to `limit` bytes.
    #[must_use]
    pub fn cut(
        format: ParameterFormat,
        type_oid: u32,
        value: Option<&'a [u8]>,
        limit: usize,
    ) -> Self {
        let full_len = value.map_or(0, |value| value.len() as u64);
        let value = value.map(|value| value.get(..limit).unwrap_or(value));
        Self {
            format,
            type_oid,
            value,
            full_len,
            redacted: false,
        }
    }
}

/// What the policy decided about a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement<'a> {
    /// What was carried out.
    pub action: Action,
    /// What the rules say; differs from `action` where the mode is `observe`.
    pub judged: Action,
    /// The mode.
    pub mode: Mode,
    /// Every rule that matched, the deciding one first.
    pub rules: List<'a, &'a str>,
    /// The severity of the deciding rule.
    pub severity: Option<Severity>,
    /// The generation of the policy.
    pub generation: u64,
    /// Why the statement could not be read exactly.
    pub unreadable: Option<Unreadable>,
}

/// Stands for the effective role of a statement where it was not known: after a SET ROLE that the server has not confirmed,
/// or with several active roles. No role has this name unless somebody quotes it.
pub const UNKNOWN_ROLE: &str = "?";

/// A statement is about to be sent or refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intent<'a> {
    /// The session.
    pub session: SessionId,
    /// The number of the statement in its session, from 1.
    pub number: u32,
    /// How it came.
    pub kind: IntentKind,
    /// The prepare intent whose row this execution takes over.
    pub continues: Option<Seq>,
    /// The text.
    pub text: Text<'a>,
    /// The key of its shape.
    pub shape: Option<[u8; 16]>,
    /// Parameter values.
    pub parameters: List<'a, Parameter<'a>>,
    /// The prepared statement's name; empty for none or the unnamed one.
    pub prepared_name: &'a [u8],
    /// The portal's name; empty for none or the unnamed one.
    pub portal: &'a [u8],
    /// Wall time, µs since 1970.
    pub wall_us: u64,
    /// Monotonic time of the process, ns.
    pub mono_ns: u64,
    /// The number of the transaction in its session.
    pub transaction: u32,
    /// The transaction status before the statement.
    pub status: TxStatus,
    /// The decision.
    pub judgement: Judgement<'a>,
    /// The end user of this statement, where it differs from the session's.
    pub end_user: Option<EndUser<'a>>,
    /// The effective role, where it differs from the session's; [`UNKNOWN_ROLE`] where it was not known.
    pub role: Option<&'a str>,
    /// The trace id, where the statement carries one.
    pub trace: Option<&'a str>,
    /// What is left out of it.
    pub reduction: Reduction,
}

/// What is left out of a record by choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reduction {
    /// How much is recorded, as the rules say.
    pub detail: Detail,
    /// How many values and comments of text and parameters were replaced, as secrets or by `[[redact]]`.
    pub redacted: u32,
}

impl Reduction {
    /// Nothing is left out.
    pub const NONE: Self = Self {
        detail: Detail::Full,
        redacted: 0,
    };
}

/// A statement ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The intent it belongs to; same lane.
    pub intent: Seq,
    /// How.
    pub completion: Completion,
    /// Rows returned to the client.
    pub rows: u64,
    /// Rows affected.
    pub affected: u64,
    /// Bytes of the answer.
    pub bytes: u64,
    /// The server's (or our) error code.
    pub sqlstate: Option<ErrorCode>,
    /// Time until the first byte of the answer, µs.
    pub first_byte_us: Option<u64>,
    /// Time until the end of the answer, µs.
    pub duration_us: u64,
    /// How many statements of the text were completed.
    pub statements: u32,
    /// Warnings that the server counted, over all results; 0 of PostgreSQL, which does not count them.
    pub warnings: u64,
}

/// Something happened to the proxy itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admin<'a> {
    /// Wall time, µs since 1970.
    pub at_us: u64,
    /// What.
    pub action: AdminAction,
    /// By whom or what: `signal`, `file-change`, an operator's name.
    pub actor: &'a str,
    /// Further detail for people; no secrets.
    pub detail: &'a str,
    /// The policy generation in force.
    pub generation: u64,
    /// SHA-256 of the configuration in force.
    pub config_hash: Option<[u8; 32]>,
    /// How many, where the action counts something.
    pub count: u64,
}
