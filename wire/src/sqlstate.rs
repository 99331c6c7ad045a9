//! The error codes of both protocols: SQLSTATE, and MySQL's error number beside it.

use std::fmt;

/// An error code: five ASCII digits or upper-case letters.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SqlState([u8; 5]);

impl SqlState {
    /// 08001: the server can't be reached as the settings demand.
    pub const CONNECTION_FAILURE: Self = Self(*b"08001");
    /// 08P01: an end broke the protocol.
    pub const PROTOCOL_VIOLATION: Self = Self(*b"08P01");
    /// 0A000: not offered.
    pub const FEATURE_NOT_SUPPORTED: Self = Self(*b"0A000");
    /// 28000: the client may not connect this way.
    pub const INVALID_AUTHORIZATION: Self = Self(*b"28000");
    /// 42501: refused by policy.
    pub const INSUFFICIENT_PRIVILEGE: Self = Self(*b"42501");
    /// 42601: what the server answers to a substituted statement.
    pub const SYNTAX_ERROR: Self = Self(*b"42601");
    /// 53300: no more connections.
    pub const TOO_MANY_CONNECTIONS: Self = Self(*b"53300");
    /// 54000: a limit is exceeded.
    pub const PROGRAM_LIMIT_EXCEEDED: Self = Self(*b"54000");
    /// 57P01: shut down, or ended by policy.
    pub const ADMIN_SHUTDOWN: Self = Self(*b"57P01");
    /// 57P05: idle for too long.
    pub const IDLE_SESSION_TIMEOUT: Self = Self(*b"57P05");
    /// 58030: a file can't be read or written.
    pub const IO_ERROR: Self = Self(*b"58030");
    /// HY000: an error of MySQL's that has no SQLSTATE of its own.
    pub const GENERAL_ERROR: Self = Self(*b"HY000");
    /// XX000: the error carried no usable code.
    pub const INTERNAL_ERROR: Self = Self(*b"XX000");

    /// Reads a code; `None` unless it is five ASCII digits or upper-case letters.
    #[must_use]
    pub fn new(code: &[u8]) -> Option<Self> {
        let code: [u8; 5] = code.try_into().ok()?;
        code.iter()
            .all(|b| b.is_ascii_digit() || b.is_ascii_uppercase())
            .then_some(Self(code))
    }

    pub(crate) const fn from_bytes(code: [u8; 5]) -> Self {
        Self(code)
    }

    /// Shows the code as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("XX000")
    }
}

impl fmt::Display for SqlState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for SqlState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The code of an error, as the protocol at hand has it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ErrorCode {
    /// The five characters of SQL.
    pub sqlstate: SqlState,
    /// MySQL's error number; 0 where there is none, as always in PostgreSQL. A `Refusal` or `Fatal`
    /// for a MySQL session may leave it 0: the nearest one is sent.
    pub errno: u16,
}

impl From<SqlState> for ErrorCode {
    fn from(sqlstate: SqlState) -> Self {
        Self { sqlstate, errno: 0 }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.errno {
            0 => self.sqlstate.fmt(f),
            errno => write!(f, "{errno} ({})", self.sqlstate),
        }
    }
}

impl fmt::Debug for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_only_codes() {
        assert_eq!(
            SqlState::new(b"42501"),
            Some(SqlState::INSUFFICIENT_PRIVILEGE)
        );
        assert_eq!(SqlState::new(b"4250"), None);
        assert_eq!(SqlState::new(b"4250a"), None);
        assert_eq!(SqlState::new(b"42 01"), None);
    }
}
