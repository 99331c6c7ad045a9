//! Borrowed views of the command that waits for a verdict.

use crate::cursor::Cursor;
use crate::mysql::capabilities::Capabilities;
use crate::mysql::command::Command;
use crate::mysql::values::{BulkRows, Parameters};

/// The message that waits for a verdict; it borrows the very bytes that will be forwarded.
#[derive(Debug, Clone)]
pub enum Held<'a, T> {
    /// The client's login, before it leaves for the server.
    Startup(Login<'a>),
    /// COM_CHANGE_USER. Its authentication passes as that of the login does; if it succeeds, everything
    /// else of the session is as new.
    ChangeUser(Login<'a>),
    /// COM_QUERY: one or more statements.
    Query {
        /// The statements.
        text: &'a [u8],
        /// The query attributes; none unless QUERY_ATTRIBUTES was agreed on.
        attributes: Parameters<'a>,
    },
    /// COM_STMT_PREPARE. Its tag is shown with every later execution.
    Prepare {
        /// The statement.
        text: &'a [u8],
    },
    /// COM_STMT_EXECUTE.
    Execute {
        /// The server's id of the statement, also where the client said −1 for the last prepared one.
        statement: u32,
        /// The tag given to the statement's Prepare.
        prepared: &'a T,
        /// Whether the rows stay at the server, in a cursor.
        cursor: Rows,
        /// The statement's parameters, and behind them the query attributes, which have names.
        parameters: Parameters<'a>,
        /// How many of `parameters` belong to the statement; the others are query attributes.
        own: u16,
    },
    /// COM_STMT_BULK_EXECUTE (MariaDB).
    BulkExecute {
        /// The server's id of the statement.
        statement: u32,
        /// The tag given to the statement's Prepare.
        prepared: &'a T,
        /// The parameters, row by row.
        rows: BulkRows<'a>,
    },
    /// COM_STMT_FETCH: more rows of a cursor.
    Fetch {
        /// The server's id of the statement.
        statement: u32,
        /// The tag given to the statement's Prepare.
        prepared: &'a T,
        /// The most rows to return.
        max_rows: u32,
    },
    /// COM_INIT_DB: a new default database.
    InitDb {
        /// Its name.
        database: &'a [u8],
    },
    /// COM_CREATE_DB.
    CreateDb {
        /// Its name.
        database: &'a [u8],
    },
    /// COM_DROP_DB.
    DropDb {
        /// Its name.
        database: &'a [u8],
    },
    /// COM_FIELD_LIST.
    FieldList {
        /// The table.
        table: &'a [u8],
        /// Which columns, as LIKE has it; empty for all.
        wildcard: &'a [u8],
    },
    /// COM_SET_OPTION: 0 switches multi-statements on, 1 off.
    SetOption {
        /// The option.
        option: u16,
    },
    /// COM_PROCESS_KILL.
    ProcessKill {
        /// The server's thread, as [`Action::Thread`](crate::Action::Thread) tells it.
        thread: u32,
    },
    /// COM_REFRESH, COM_SHUTDOWN, COM_STATISTICS, COM_PROCESS_INFO or COM_DEBUG.
    Admin {
        /// Which.
        command: Command,
        /// What follows the command's number: flags of COM_REFRESH and COM_SHUTDOWN.
        body: &'a [u8],
    },
    /// COM_BINLOG_DUMP, COM_BINLOG_DUMP_GTID or COM_REGISTER_SLAVE.
    Replication {
        /// Which.
        command: Command,
        /// What follows the command's number; of COM_REGISTER_SLAVE, what stands before the password.
        body: &'a [u8],
    },
    /// A command longer than `max_statement_bytes`; it can only be refused. Its bytes are thrown away as they come.
    TooLarge {
        /// Which.
        command: Command,
        /// How long its first packets are; where more follow it is even longer.
        length: u64,
        /// The beginning of what follows the command's number.
        prefix: &'a [u8],
    },
}

/// Where an execution's rows go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rows {
    /// To the client.
    Sent,
    /// They wait at the server for COM_STMT_FETCH, where the statement allows it.
    InCursor,
}

/// Who wants to log in, where. Authentication data is not in it.
#[derive(Clone)]
pub struct Login<'a> {
    /// What client and server agreed on.
    pub capabilities: Capabilities,
    /// The collation (of a login: its lower 8 bits), which settles the character set at first.
    pub collation: u16,
    /// The user.
    pub user: &'a [u8],
    /// The database; empty if none is named.
    pub database: &'a [u8],
    /// The authentication plugin that the client begins with; empty if none is named.
    pub plugin: &'a [u8],
    /// The connection attributes, in the order sent.
    pub attributes: Attributes<'a>,
}

impl std::fmt::Debug for Login<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login")
            .field("user", &self.user.escape_ascii().to_string())
            .field("database", &self.database.escape_ascii().to_string())
            .field("plugin", &self.plugin.escape_ascii().to_string())
            .finish_non_exhaustive()
    }
}

/// Walks over connection attributes: names and values.
#[derive(Debug, Clone)]
pub struct Attributes<'a> {
    cursor: Cursor<'a>,
}

impl<'a> Attributes<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self {
            cursor: Cursor::new(bytes),
        }
    }

    /// Finds the value of the attribute `name`; the first one counts.
    #[must_use]
    pub fn value(&self, name: &[u8]) -> Option<&'a [u8]> {
        self.clone()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value)
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let name = self.cursor.lenenc_bytes().ok()?;
        Some((name, self.cursor.lenenc_bytes().ok()?))
    }
}
