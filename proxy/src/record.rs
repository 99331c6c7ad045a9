//! What is recorded besides statements: sessions from connect to end.

use std::{net::SocketAddr, sync::Arc};

use sqlward_audit_store::{
    journal::{JournalError, Lane},
    record::{
        self, EndCause, EndUserSource, Entry, Seq, SessionAuthenticated, SessionEnd, SessionId,
        SessionStart, Tls,
    },
};
use sqlward_policy::{Subject, vocabulary::Dialect};
use sqlward_wire::{AuthMethod, CloseReason, Error, ErrorCode, SqlState, mysql::errcode};

use crate::{audit::code, end_user::claimed, listener::Listener, shared::wall_us, tls::Stream};

/// A session's own story, as far as it has come.
#[derive(Debug)]
pub(crate) struct SessionRecord {
    id: SessionId,
    client: SocketAddr,
    listener: Arc<Listener>,
    accepted_us: u64,
    started: bool,
    protocol: String,
    tls: Option<(&'static str, Option<String>)>,
    method: Option<AuthMethod>,
    backend_pid: Option<u32>,
    authenticated: bool,
    failed_with: Option<ErrorCode>,
    /// Its last intent in the journal.
    pub(crate) last_intent: Seq,
    /// Statements so far.
    pub(crate) statements: u32,
    /// Transactions so far.
    pub(crate) transactions: u32,
    /// Bytes from the client.
    pub(crate) client_bytes: u64,
    /// Bytes from the server.
    pub(crate) server_bytes: u64,
}

impl SessionRecord {
    /// The record of a session that has just been accepted.
    pub(crate) fn new(id: SessionId, client: SocketAddr, listener: Arc<Listener>) -> Self {
        Self {
            id,
            client,
            listener,
            accepted_us: wall_us(),
            started: false,
            protocol: String::new(),
            tls: None,
            method: None,
            backend_pid: None,
            authenticated: false,
            failed_with: None,
            last_intent: Seq(0),
            statements: 0,
            transactions: 0,
            client_bytes: 0,
            server_bytes: 0,
        }
    }

    /// The session's number.
    pub(crate) fn session(&self) -> SessionId {
        self.id
    }

    /// Who connected.
    pub(crate) fn client(&self) -> SocketAddr {
        self.client
    }

    /// Write that a client has connected, unless it is written.
    pub(crate) fn started(
        &mut self,
        lane: &mut Lane,
        dialect: Dialect,
    ) -> Result<(), JournalError> {
        if std::mem::replace(&mut self.started, true) {
            return Ok(());
        }
        let start = SessionStart {
            session: self.id,
            at_us: self.accepted_us,
            client: self.client,
            listener: &self.listener.config.name,
            upstream: &self.listener.upstream.config.name,
            dialect,
            tls: self.tls(),
        };
        lane.append(&Entry::SessionStart(start)).map(drop)
    }

    /// The client leg is encrypted now.
    pub(crate) fn encrypted(&mut self, stream: &Stream) {
        self.tls = stream
            .tls_version()
            .map(|version| (version, stream.peer_name()));
    }

    /// The name in the client's certificate.
    pub(crate) fn tls_identity(&self) -> Option<&str> {
        self.tls.as_ref()?.1.as_deref()
    }

    fn tls(&self) -> Option<Tls<'_>> {
        self.tls.as_ref().map(|(version, identity)| Tls {
            version,
            identity: identity.as_deref(),
        })
    }

    /// The protocol version that the client asked for.
    pub(crate) fn protocol(&mut self, version: String) {
        self.protocol = version;
    }

    /// The server has accepted the client.
    pub(crate) fn method(&mut self, method: AuthMethod) {
        self.method = Some(method);
    }

    /// The server has named its process.
    pub(crate) fn backend(&mut self, pid: u32) {
        self.backend_pid = Some(pid);
    }

    /// The server has refused the client.
    pub(crate) fn failed(&mut self, code: ErrorCode) {
        self.failed_with = Some(code);
    }

    /// Write that the session stands.
    pub(crate) fn authenticated(
        &mut self,
        lane: &mut Lane,
        subject: &Subject,
    ) -> Result<(), JournalError> {
        self.authenticated = true;
        let entry = SessionAuthenticated {
            session: self.id,
            at_us: wall_us(),
            subject: of(subject),
            role: role(subject),
            method: self.method.as_ref().map_or("unknown", method),
            backend_pid: self.backend_pid,
            protocol: &self.protocol,
            tls: self.tls(),
        };
        lane.append(&Entry::SessionAuthenticated(entry)).map(drop)
    }

    /// Write that the session's subject has changed.
    pub(crate) fn context(
        &self,
        lane: &mut Lane,
        subject: &Subject,
        end_user: Option<(&str, EndUserSource)>,
    ) -> Result<(), JournalError> {
        let entry = record::Context {
            session: self.id,
            at_us: wall_us(),
            subject: of(subject),
            role: role(subject),
            end_user: end_user.map(|(name, source)| claimed(name, source)),
        };
        lane.append(&Entry::Context(entry)).map(drop)
    }

    /// Write how the session ended.
    pub(crate) fn ended(
        &self,
        lane: &mut Lane,
        subject: &Subject,
        reason: &CloseReason,
    ) -> Result<(), JournalError> {
        let error = self.failed_with.or(told(reason));
        let error = match subject.dialect {
            Dialect::Postgres => error,
            Dialect::Mysql | Dialect::Mariadb => error.map(errcode::with_number),
        };
        let end = SessionEnd {
            session: self.id,
            at_us: wall_us(),
            cause: self.cause(reason),
            sqlstate: error.map(code),
            claimed: (!self.authenticated).then(|| of(subject)),
            client_bytes: self.client_bytes,
            server_bytes: self.server_bytes,
        };
        lane.append(&Entry::SessionEnd(end)).map(drop)
    }

    fn cause(&self, reason: &CloseReason) -> EndCause {
        if self.failed_with.is_some() {
            return EndCause::AuthFailed;
        }
        match reason {
            CloseReason::ClientTerminated => EndCause::ClientClosed,
            CloseReason::ClientClosed => EndCause::ClientLost,
            CloseReason::ServerClosed | CloseReason::ServerFatal(_) => EndCause::ServerClosed,
            CloseReason::CancelRequest => EndCause::Cancel,
            CloseReason::Refused if self.authenticated => EndCause::Terminated,
            CloseReason::Refused => EndCause::Refused,
            CloseReason::Aborted(code) => match code.sqlstate {
                SqlState::ADMIN_SHUTDOWN if self.authenticated => EndCause::Shutdown,
                SqlState::ADMIN_SHUTDOWN => EndCause::AuthTimeout,
                SqlState::IDLE_SESSION_TIMEOUT => EndCause::IdleTimeout,
                SqlState::TOO_MANY_CONNECTIONS => EndCause::Limit,
                SqlState::CONNECTION_FAILURE => EndCause::UpstreamUnreachable,
                _ => EndCause::Internal,
            },
            CloseReason::Violation(Error::Unsupported(_)) => EndCause::Refused,
            CloseReason::Violation(_) => EndCause::ProtocolViolation,
        }
    }
}

/// The code that the client was told, where the reason tells it.
fn told(reason: &CloseReason) -> Option<ErrorCode> {
    match reason {
        CloseReason::ServerFatal(code) | CloseReason::Aborted(code) => Some(*code),
        CloseReason::Violation(_) => Some(SqlState::PROTOCOL_VIOLATION.into()),
        CloseReason::Refused => Some(SqlState::INSUFFICIENT_PRIVILEGE.into()),
        CloseReason::ClientTerminated
        | CloseReason::ClientClosed
        | CloseReason::ServerClosed
        | CloseReason::CancelRequest => None,
    }
}

fn of(subject: &Subject) -> record::Subject<'_> {
    record::Subject {
        user: &subject.user,
        database: &subject.database,
        application: &subject.application,
    }
}

fn role(subject: &Subject) -> Option<&str> {
    subject.role.as_deref().filter(|role| *role != subject.user)
}

/// The authentication method's word (PostgreSQL manual, pg_hba.conf), or the plugin's name.
fn method(method: &AuthMethod) -> &str {
    match method {
        AuthMethod::Trust => "trust",
        AuthMethod::Cleartext => "password",
        AuthMethod::Md5 => "md5",
        AuthMethod::ScramSha256 => "scram-sha-256",
        AuthMethod::ScramSha256Plus => "scram-sha-256-plus",
        AuthMethod::Sasl => "sasl",
        AuthMethod::Gss => "gss",
        AuthMethod::Sspi => "sspi",
        AuthMethod::MysqlNative => "mysql_native_password",
        AuthMethod::CachingSha2 => "caching_sha2_password",
        AuthMethod::Sha256 => "sha256_password",
        AuthMethod::Ed25519 => "client_ed25519",
        AuthMethod::Parsec => "parsec",
        AuthMethod::MysqlClear => "mysql_clear_password",
        AuthMethod::Plugin(name) => name,
    }
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            // Writing into a string does not fail.
            let _written = write!(text, "{byte:02x}");
            text
        })
}
