//! What a session is told by the configuration.

/// How a session treats its two legs, and its limits.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The longest Query, Parse, Bind or FunctionCall that is buffered, in bytes.
    pub max_statement_bytes: u32,
    /// Whether clients may or must use TLS.
    pub client_tls: ClientTls,
    /// Whether TLS is asked of the server.
    pub server_tls: ServerTls,
    /// Whether SCRAM-SHA-256-PLUS stays in the server's offer.
    pub channel_binding: ChannelBinding,
    /// How many messages may wait for the server's answer before the client has to wait too;
    /// a few thousand at least, as the server may keep 8 KiB of answers back.
    pub max_pending: usize,
    /// How many prepared statements and how many portals may exist.
    pub max_names: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_statement_bytes: 16 * 1024 * 1024,
            client_tls: ClientTls::Prefer,
            server_tls: ServerTls::Prefer,
            channel_binding: ChannelBinding::Strip,
            max_pending: 65_536,
            max_names: 65_536,
        }
    }
}

/// Whether clients may or must use TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ClientTls {
    /// TLS is not offered.
    Disable,
    /// TLS is offered.
    Prefer,
    /// A session without TLS is refused.
    Require,
}

/// Whether TLS is asked of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ServerTls {
    /// Never asked for.
    Disable,
    /// Asked for; without it if the server has none.
    Prefer,
    /// Asked for; no session without it.
    Require,
    /// Begun at once, without a request (PostgreSQL 17 and later).
    Direct,
}

/// What becomes of authentication that binds the TLS channel, which an inspector can't bind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChannelBinding {
    /// It is taken out of the server's offer.
    Strip,
    /// It stays in; only of use where both legs show the same certificate.
    Offer,
}
