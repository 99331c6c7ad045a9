//! Capability flags.

/// A database in the login.
pub const CONNECT_WITH_DB: u32 = 1 << 3;
/// LOAD DATA LOCAL.
pub const LOCAL_FILES: u32 = 1 << 7;
/// TLS.
pub const SSL: u32 = 1 << 11;
/// Several statements in one text.
pub const MULTI_STATEMENTS: u32 = 1 << 16;
/// Query attributes.
pub const QUERY_ATTRIBUTES: u32 = 1 << 27;
/// MariaDB's own: COM_STMT_BULK_EXECUTE.
pub const BULK_OPERATIONS: u32 = 1 << 2;
/// No EOF packets.
pub const DEPRECATE_EOF: u32 = 1 << 24;
/// What this client always asks for: long flags, 4.1 and its passwords, transactions, several
/// results of both protocols, named plugins with long data.
pub const BASE: u32 = 1 | 1 << 2 | 1 << 9 | 1 << 13 | 1 << 15 | 0b110 << 16 | 1 << 19 | 1 << 21;
