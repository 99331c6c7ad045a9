//! Why a session can't go on, by blame. No payload is in these errors.

use crate::session::Leg;

/// Why a session ended for the proxy's own reasons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The client sent bytes that are no message.
    #[error("invalid message from the client: {0}")]
    InvalidMessage(#[from] InvalidMessage),
    /// An end sent a message where it may not.
    #[error("protocol violation by the {}: {what}", name(*.peer))]
    PeerMisbehaved {
        /// Who.
        peer: Leg,
        /// What it did.
        what: Misbehaviour,
    },
    /// An end wants something that is not offered.
    #[error("unsupported: {0}")]
    Unsupported(Unsupported),
    /// A limit was exceeded.
    #[error("the {what} exceeds the limit of {limit}")]
    TooLarge {
        /// What was counted.
        what: Limit,
        /// The limit.
        limit: u64,
    },
    /// The caller told of something that can't happen in the state.
    #[error("event out of order")]
    Event,
}

fn name(leg: Leg) -> &'static str {
    match leg {
        Leg::Client => "client",
        Leg::Server => "server",
    }
}

fn shown(tag: &u8) -> std::ascii::EscapeDefault {
    std::ascii::escape_default(*tag)
}

/// What is wrong with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMessage {
    /// The startup packet's length is out of bounds.
    #[error("invalid length of startup packet")]
    StartupLength,
    /// The startup packet's parameters are malformed or given twice.
    #[error("invalid startup packet layout")]
    StartupLayout,
    /// The message type is unknown.
    #[error("invalid frontend message type `{}`", shown(.0))]
    UnknownTag(u8),
    /// The message length is out of bounds for its type.
    #[error("invalid length of frontend message type `{}`", shown(.0))]
    Length(u8),
    /// The body doesn't have the form that its type demands.
    #[error("invalid layout of frontend message type `{}`", shown(.0))]
    Layout(u8),
    /// A MySQL client's login doesn't have the form that its capabilities demand.
    #[error("invalid layout of the login")]
    Login,
}

/// What an end did that it may not do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Misbehaviour {
    /// A message type that has no place in the current state.
    #[error("message type `{}` is out of place", shown(.0))]
    OutOfPlace(u8),
    /// A message type that doesn't exist.
    #[error("message type `{}` is unknown", shown(.0))]
    UnknownTag(u8),
    /// A message length out of bounds for its type.
    #[error("message type `{}` has an invalid length", shown(.0))]
    Length(u8),
    /// A message body that doesn't have the form that its type demands.
    #[error("message type `{}` has an invalid layout", shown(.0))]
    Layout(u8),
    /// Plaintext behind a request for encryption.
    #[error("unencrypted data after encryption request")]
    PlaintextBehindTls,
    /// An answer to an SSLRequest that is none.
    #[error("invalid response to encryption request")]
    TlsAnswer,
    /// Commands were sent behind one that turned out to be COPY FROM STDIN.
    #[error("commands pipelined behind COPY FROM STDIN")]
    PipelinedBehindCopy,
    /// A MySQL packet without the next sequence number.
    #[error("packets out of order")]
    Sequence,
    /// A MySQL capability that was not offered.
    #[error("a capability that was not offered")]
    Capabilities,
    /// A MySQL server asked for a file when no statement may have one.
    #[error("a request for a file that no statement names")]
    FileRequest,
}

/// What is asked for and not offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unsupported {
    /// A protocol version other than 3.
    #[error("frontend protocol {0}.{1}")]
    Protocol(u16, u16),
    /// A connection without TLS where the settings demand it.
    #[error("connection without TLS")]
    ClientWithoutTls,
    /// A TLS handshake where the settings forbid it.
    #[error("TLS is disabled for clients")]
    ClientTlsDisabled,
    /// The server offers no TLS where the settings demand it.
    #[error("server without TLS")]
    ServerWithoutTls,
    /// The server offers only authentication that binds the TLS channel.
    #[error("authentication only with channel binding")]
    OnlyChannelBinding,
    /// The client would make the server believe in a downgrade.
    #[error("client expects channel binding")]
    ChannelBindingExpected,
    /// A name that SQL may know by other bytes than the client sends.
    #[error("non-ASCII statement names need client_encoding UTF8")]
    NonAsciiName,
    /// A MySQL server or client with a handshake older than that of 4.1.
    #[error("a handshake older than that of MySQL 4.1")]
    OldHandshake,
    /// A way to authenticate that sends the password in another form over TLS than without, or that
    /// would show it: and only one of the legs has TLS.
    #[error("authentication that needs TLS on both legs, or on neither")]
    MixedTls,
}

/// What a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Limit {
    /// Prepared statements or portals.
    #[error("number of prepared statements and portals")]
    Names,
    /// Parameters that the server reported.
    #[error("number of reported parameters")]
    Parameters,
    /// Packets of a MySQL handshake, or bytes of one of them.
    #[error("length of the handshake")]
    Handshake,
    /// Bytes of a MySQL server's answer that has to be read whole.
    #[error("length of an answer")]
    Answer,
}
