//! The words of a configuration that have a meaning beyond it.

use crate::tls::ALPN;

/// What clients and servers speak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// PostgreSQL's protocol.
    #[default]
    Postgres,
    /// MySQL's and MariaDB's protocol.
    Mysql,
}

impl Protocol {
    /// The word for it, in configurations and as the scheme of addresses.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Mysql => "mysql",
        }
    }

    /// What TLS handshakes of clients agree on, where they name protocols.
    #[must_use]
    pub const fn alpn(self) -> Option<&'static [u8]> {
        match self {
            Self::Postgres => Some(ALPN),
            Self::Mysql => None,
        }
    }

    /// The protocol of this word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Postgres, Self::Mysql]
            .into_iter()
            .find(|known| known.as_str() == word)
    }
}

/// How strictly TLS is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsMode {
    /// Never.
    Disable,
    /// If the peer can.
    Prefer,
    /// Always.
    Require,
}
