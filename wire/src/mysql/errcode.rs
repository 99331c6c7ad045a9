//! The errors that sqlward sends to MySQL and MariaDB clients itself.
//!
//! | number | SQLSTATE | when |
//! |---|---|---|
//! | 1040 | 08004 | too many connections |
//! | 1043 | 08S01 | the login is malformed, or older than 4.1, or the way to authenticate can't be carried |
//! | 1045 | 28000 | the client may not connect this way |
//! | 1047 | 08S01 | the command is unknown, or always refused |
//! | 1053 | 08S01 | policy or the operator ends the session |
//! | 1105 | HY000 | anything else |
//! | 1148 | 42000 | the server asked for a file that the statement did not name or policy does not allow |
//! | 1153 | 08S01 | a command is longer than `max_statement_bytes` |
//! | 1156 | 08S01 | packets out of order |
//! | 1158 | 08S01 | the server broke the protocol or went away |
//! | 1227 | 42000 | refused by policy |
//! | 1243 | HY000 | the prepared statement is unknown |
//! | 1461 | 42000 | too many prepared statements |
//! | 1835 | HY000 | a malformed packet; behind a command that would be held, the session goes on |
//! | 2003 | HY000 | the server can't be reached as the settings demand |
//! | 3159 | HY000 | TLS is required |
//! | 4031 | HY000 | idle for too long |
//!
//! Source: MySQL "Server Error Message Reference" (2003 is the client library's number, which
//! clients know for a server that is not there).

use crate::sqlstate::{ErrorCode, SqlState};

const fn code(errno: u16, sqlstate: &[u8; 5]) -> ErrorCode {
    ErrorCode {
        sqlstate: SqlState::from_bytes(*sqlstate),
        errno,
    }
}

/// 1040 (08004): too many connections.
pub const TOO_MANY_CONNECTIONS: ErrorCode = code(1040, b"08004");
/// 1043 (08S01): the login can't be taken.
pub const HANDSHAKE: ErrorCode = code(1043, b"08S01");
/// 1045 (28000): the client may not connect this way.
pub const ACCESS_DENIED: ErrorCode = code(1045, b"28000");
/// 1047 (08S01): the command is unknown, or always refused.
pub const UNKNOWN_COMMAND: ErrorCode = code(1047, b"08S01");
/// 1053 (08S01): the session ends.
pub const SHUTDOWN: ErrorCode = code(1053, b"08S01");
/// 1105 (HY000): anything else.
pub const UNKNOWN: ErrorCode = code(1105, b"HY000");
/// 1148 (42000): the server may not have the file.
pub const NOT_ALLOWED: ErrorCode = code(1148, b"42000");
/// 1153 (08S01): a command is too long.
pub const TOO_LARGE: ErrorCode = code(1153, b"08S01");
/// 1156 (08S01): packets out of order.
pub const OUT_OF_ORDER: ErrorCode = code(1156, b"08S01");
/// 1158 (08S01): the server broke the protocol or went away.
pub const SERVER_LOST: ErrorCode = code(1158, b"08S01");
/// 1227 (42000): refused by policy.
pub const REFUSED: ErrorCode = code(1227, b"42000");
/// 1243 (HY000): the prepared statement is unknown.
pub const UNKNOWN_STATEMENT: ErrorCode = code(1243, b"HY000");
/// 1461 (42000): too many prepared statements.
pub const TOO_MANY_STATEMENTS: ErrorCode = code(1461, b"42000");
/// 1835 (HY000): a malformed packet.
pub const MALFORMED: ErrorCode = code(1835, b"HY000");
/// 2003 (HY000): the server can't be reached as the settings demand.
pub const UNREACHABLE: ErrorCode = code(2003, b"HY000");
/// 3159 (HY000): TLS is required.
pub const TLS_REQUIRED: ErrorCode = code(3159, b"HY000");
/// 4031 (HY000): idle for too long.
pub const IDLE: ErrorCode = code(4031, b"HY000");

/// Gives an error without a number the nearest one that MySQL has.
#[must_use]
pub fn with_number(given: ErrorCode) -> ErrorCode {
    if given.errno != 0 {
        return given;
    }
    match given.sqlstate {
        SqlState::CONNECTION_FAILURE => UNREACHABLE,
        SqlState::PROTOCOL_VIOLATION => MALFORMED,
        SqlState::INVALID_AUTHORIZATION => ACCESS_DENIED,
        SqlState::INSUFFICIENT_PRIVILEGE => REFUSED,
        SqlState::TOO_MANY_CONNECTIONS => TOO_MANY_CONNECTIONS,
        SqlState::PROGRAM_LIMIT_EXCEEDED => TOO_LARGE,
        SqlState::ADMIN_SHUTDOWN => SHUTDOWN,
        SqlState::IDLE_SESSION_TIMEOUT => IDLE,
        sqlstate => ErrorCode {
            sqlstate,
            errno: UNKNOWN.errno,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_found_for_every_state() {
        assert_eq!(
            with_number(SqlState::INSUFFICIENT_PRIVILEGE.into()),
            REFUSED
        );
        assert_eq!(with_number(IDLE), IDLE);
        let other = SqlState::new(b"58030").map(ErrorCode::from);
        assert_eq!(other.map(with_number).map(|code| code.errno), Some(1105));
    }
}
