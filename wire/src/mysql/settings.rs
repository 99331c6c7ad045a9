//! What a session is told by the configuration.

pub use crate::pg::settings::ClientTls;

/// How a session treats its two legs, and its limits.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The longest command that is buffered to be judged, in bytes of its payload. COM_STMT_SEND_LONG_DATA
    /// and the data of a LOAD DATA LOCAL are not buffered and have no limit here.
    pub max_statement_bytes: u32,
    /// Whether clients may or must use TLS: whether `SSL` is in the offer.
    pub client_tls: ClientTls,
    /// Whether TLS is asked of the server.
    pub server_tls: ServerTls,
    /// How many prepared statements may exist; one more is refused with 1461.
    pub max_names: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_statement_bytes: 16 * 1024 * 1024,
            client_tls: ClientTls::Prefer,
            server_tls: ServerTls::Prefer,
            max_names: 65_536,
        }
    }
}

/// Whether TLS is asked of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ServerTls {
    /// Never.
    Disable,
    /// If and only if the client came over TLS and the server offers it: passwords then have the
    /// same form on both legs.
    Prefer,
    /// Always; no session without it.
    Require,
}
