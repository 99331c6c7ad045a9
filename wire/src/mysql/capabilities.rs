//! What client and server agree on at the start, flag by flag: what sqlward carries, and what it
//! takes out of the server's offer.
//!
//! | flag | offered to the client | why |
//! |---|---|---|
//! | `LONG_PASSWORD` (MariaDB: `CLIENT_MYSQL`) | as the server | tells which of the two dialects an end speaks |
//! | `FOUND_ROWS`, `LONG_FLAG`, `NO_SCHEMA`, `ODBC`, `IGNORE_SPACE`, `INTERACTIVE`, `IGNORE_SIGPIPE`, `TRANSACTIONS`, `RESERVED`, `PS_MULTI_RESULTS`, `CAN_HANDLE_EXPIRED_PASSWORDS`, `SSL_VERIFY_SERVER_CERT`, `REMEMBER_OPTIONS` | as the server | changes no framing |
//! | `CONNECT_WITH_DB`, `PROTOCOL_41`, `SECURE_CONNECTION`, `PLUGIN_AUTH`, `PLUGIN_AUTH_LENENC`, `CONNECT_ATTRS`, `MULTI_FACTOR_AUTHENTICATION` | as the server | the login is read by them |
//! | `COMPRESS`, `ZSTD_COMPRESSION_ALGORITHM` | never | a compressed stream would have to be unpacked and packed again on both legs to be read |
//! | `SSL` | as `client_tls` says | each leg has its own TLS |
//! | `LOCAL_FILES` | as the server | a server's request for a file is checked against the statement |
//! | `MULTI_STATEMENTS`, `MULTI_RESULTS` | as the server | all results are counted |
//! | `SESSION_TRACK` | as the server | always asked of the server; for a client that doesn't want it, OK packets are rewritten |
//! | `DEPRECATE_EOF`, `OPTIONAL_RESULTSET_METADATA`, `QUERY_ATTRIBUTES` | as the server | understood |
//! | MariaDB's `PROGRESS`, `STMT_BULK_OPERATIONS`, `EXTENDED_METADATA`, `CACHE_METADATA`, `BULK_UNIT_RESULTS` | as the server | understood |
//! | MariaDB's `COM_MULTI` and any flag that is not named here | never | its meaning for the framing is unknown |
//!
//! A client that sets `SSL`, `COMPRESS` or `ZSTD_COMPRESSION_ALGORITHM` without an offer breaks the
//! protocol: the bytes that it sends next can't be read. Other flags without an offer are cleared on their
//! way to the server: MySQL's own client library sets many of them whatever the server says, and acts, as
//! the server does, by what both have. So is the login read.
//!
//! Sources: MySQL source documentation, "Capabilities Flags"; MariaDB "Connection", "Capabilities".

use std::fmt;

/// The capabilities of an end, or those that both have: MySQL's 32 flags, above them MariaDB's.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Capabilities(u64);

macro_rules! flags {
    ($($(#[$doc:meta])* $name:ident = $bit:expr;)*) => {
        impl Capabilities {
            $($(#[$doc])* pub const $name: Self = Self(1 << $bit);)*

            /// Every flag that has a name, in order.
            pub const NAMED: &[(&str, Self)] = &[$((stringify!($name), Self::$name)),*];
        }
    };
}

flags! {
    /// In MariaDB `CLIENT_MYSQL`: the end is not MariaDB.
    LONG_PASSWORD = 0;
    /// Affected rows are those found.
    FOUND_ROWS = 1;
    /// Longer flags in column definitions.
    LONG_FLAG = 2;
    /// The login names a database.
    CONNECT_WITH_DB = 3;
    /// `database.table.column` is not allowed.
    NO_SCHEMA = 4;
    /// Compression by zlib.
    COMPRESS = 5;
    /// No special behaviour any more.
    ODBC = 6;
    /// `LOAD DATA LOCAL INFILE`.
    LOCAL_FILES = 7;
    /// Spaces before `(`: part of the SQL mode.
    IGNORE_SPACE = 8;
    /// The protocol of MySQL 4.1.
    PROTOCOL_41 = 9;
    /// `interactive_timeout` in place of `wait_timeout`.
    INTERACTIVE = 10;
    /// TLS.
    SSL = 11;
    /// A client's own affair.
    IGNORE_SIGPIPE = 12;
    /// Status flags in OK packets.
    TRANSACTIONS = 13;
    /// The 4.1 protocol, under its old name.
    RESERVED = 14;
    /// Passwords as in 4.1; later `RESERVED2`.
    SECURE_CONNECTION = 15;
    /// Several statements in a COM_QUERY.
    MULTI_STATEMENTS = 16;
    /// Several results of a COM_QUERY.
    MULTI_RESULTS = 17;
    /// Several results of a COM_STMT_EXECUTE.
    PS_MULTI_RESULTS = 18;
    /// Authentication by plugins.
    PLUGIN_AUTH = 19;
    /// Connection attributes.
    CONNECT_ATTRS = 20;
    /// Authentication data of any length in the login.
    PLUGIN_AUTH_LENENC = 21;
    /// The client can change an expired password.
    CAN_HANDLE_EXPIRED_PASSWORDS = 22;
    /// State changes in OK packets.
    SESSION_TRACK = 23;
    /// OK packets in place of EOF packets.
    DEPRECATE_EOF = 24;
    /// Result sets may come without column definitions.
    OPTIONAL_RESULTSET_METADATA = 25;
    /// Compression by zstd.
    ZSTD_COMPRESSION_ALGORITHM = 26;
    /// Parameters beside the text of a COM_QUERY.
    QUERY_ATTRIBUTES = 27;
    /// Up to three factors.
    MULTI_FACTOR_AUTHENTICATION = 28;
    /// A client's own affair.
    SSL_VERIFY_SERVER_CERT = 30;
    /// A client's own affair.
    REMEMBER_OPTIONS = 31;
    /// MariaDB: progress reports.
    PROGRESS = 32;
    /// MariaDB: an abandoned COM_MULTI.
    COM_MULTI = 33;
    /// MariaDB: COM_STMT_BULK_EXECUTE.
    STMT_BULK_OPERATIONS = 34;
    /// MariaDB: more about the types of columns.
    EXTENDED_METADATA = 35;
    /// MariaDB: column definitions of a prepared statement are not repeated.
    CACHE_METADATA = 36;
    /// MariaDB: a result for each row of a bulk execution.
    BULK_UNIT_RESULTS = 37;
}

impl Capabilities {
    /// What changes the bytes of a whole leg; a client may set these only if they are offered.
    const FRAMING: Self = Self(Self::SSL.0 | Self::COMPRESS.0 | Self::ZSTD_COMPRESSION_ALGORITHM.0);
    /// What is never offered although it has a name.
    const REMOVED: Self = Self(
        Self::COMPRESS.0 | Self::ZSTD_COMPRESSION_ALGORITHM.0 | Self::SSL.0 | Self::COM_MULTI.0,
    );

    /// Makes them of MySQL's flags and MariaDB's.
    #[must_use]
    pub fn new(low: u32, high: u32) -> Self {
        Self(u64::from(low) | u64::from(high) << 32)
    }

    /// MySQL's flags.
    #[must_use]
    pub fn low(self) -> u32 {
        u32::try_from(self.0 & 0xffff_ffff).unwrap_or(0)
    }

    /// MariaDB's flags.
    #[must_use]
    pub fn high(self) -> u32 {
        u32::try_from(self.0 >> 32).unwrap_or(0)
    }

    /// Tells whether all of `other` is in it.
    #[must_use]
    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// What is in either.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What is in it but not in `other`.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// What is in both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// What of a server's flags is offered to a client, TLS apart.
    pub(crate) fn offer(self) -> Self {
        let named = Self::NAMED
            .iter()
            .fold(Self::default(), |all, (_, flag)| all.with(*flag));
        self.and(named).without(Self::REMOVED)
    }

    /// Tells whether a client may have set these flags when it was offered `offer`.
    pub(crate) fn may_follow(self, offer: Self) -> bool {
        self.and(Self::FRAMING).without(offer) == Self::default()
    }
}

impl fmt::Debug for Capabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = Self::NAMED.iter().filter(|(_, flag)| self.has(*flag));
        f.debug_list().entries(names.map(|(name, _)| name)).finish()
    }
}
