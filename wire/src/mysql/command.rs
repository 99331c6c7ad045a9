//! Every command number, and what becomes of a command of that number.
//!
//! | number | command | answer |
//! |---|---|---|
//! | 0x00 | COM_SLEEP | refused: the server's own, no client may send it |
//! | 0x01 | COM_QUIT | passed; the session ends |
//! | 0x02 | COM_INIT_DB | held |
//! | 0x03 | COM_QUERY | held |
//! | 0x04 | COM_FIELD_LIST | held |
//! | 0x05, 0x06 | COM_CREATE_DB, COM_DROP_DB | held |
//! | 0x07 | COM_REFRESH | held |
//! | 0x08 | COM_SHUTDOWN | held |
//! | 0x09 | COM_STATISTICS | held: it tells about other sessions |
//! | 0x0a | COM_PROCESS_INFO | held: it tells others' statements |
//! | 0x0b | COM_CONNECT | refused: the server's own |
//! | 0x0c | COM_PROCESS_KILL | held |
//! | 0x0d | COM_DEBUG | held: it writes the server's log |
//! | 0x0e | COM_PING | passed |
//! | 0x0f, 0x10 | COM_TIME, COM_DELAYED_INSERT | refused: the server's own |
//! | 0x11 | COM_CHANGE_USER | held; its authentication passes like the first |
//! | 0x12 | COM_BINLOG_DUMP | held; a semi-synchronous replica's acknowledgements don't pass |
//! | 0x13 | COM_TABLE_DUMP | refused: no server has it any more |
//! | 0x14 | COM_CONNECT_OUT | refused: the server's own |
//! | 0x15 | COM_REGISTER_SLAVE | held |
//! | 0x16 | COM_STMT_PREPARE | held |
//! | 0x17 | COM_STMT_EXECUTE | held; of an unknown statement: refused with 1243, as the server does |
//! | 0x18 | COM_STMT_SEND_LONG_DATA | passed and counted: the execution that uses it is held |
//! | 0x19 | COM_STMT_CLOSE | passed |
//! | 0x1a | COM_STMT_RESET | passed; of an unknown statement: refused with 1243 |
//! | 0x1b | COM_SET_OPTION | held |
//! | 0x1c | COM_STMT_FETCH | held; of an unknown statement: refused with 1243 |
//! | 0x1d | COM_DAEMON | refused: the server's own |
//! | 0x1e | COM_BINLOG_DUMP_GTID | held |
//! | 0x1f | COM_RESET_CONNECTION | passed |
//! | 0x20 | COM_CLONE | refused: what follows is another protocol |
//! | 0x21 | COM_SUBSCRIBE_GROUP_REPLICATION_STREAM | refused: what follows is another protocol |
//! | 0xfa | COM_STMT_BULK_EXECUTE (MariaDB) | held; of an unknown statement: refused with 1243 |
//! | 0xfb to 0xfd | COM_SLAVE_WORKER, COM_SLAVE_IO, COM_SLAVE_SQL (MariaDB) | refused: the server's own |
//! | 0xfe | COM_MULTI (MariaDB) | refused: abandoned |
//! | others | | refused: unknown |
//!
//! *Refused* here means by the core itself, whatever a policy says: with 1047 (08S01), without a byte
//! to the server. *Held* waits for a verdict. *Passed* goes to the server unasked.

macro_rules! commands {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $text:literal, $fate:ident;)*) => {
        /// A command that a client may send.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Command {
            $($(#[$doc])* $name,)*
        }

        impl Command {
            /// Every command, in the order of the numbers.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// Finds the command of a number; none for those that are always refused.
            #[must_use]
            pub fn from_number(number: u8) -> Option<Self> {
                match number {
                    $($number => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// Tells the number.
            #[must_use]
            pub fn number(self) -> u8 {
                match self {
                    $(Self::$name => $number,)*
                }
            }

            /// Tells the manual's name, such as `COM_QUERY`.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }

            /// Tells whether it waits for a verdict.
            #[must_use]
            pub fn fate(self) -> Fate {
                match self {
                    $(Self::$name => Fate::$fate,)*
                }
            }
        }
    };
}

/// What becomes of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fate {
    /// It waits for a verdict.
    Held,
    /// It goes to the server.
    Passed,
}

commands! {
    /// Ends the session.
    Quit = 0x01, "COM_QUIT", Passed;
    /// Changes the default database.
    InitDb = 0x02, "COM_INIT_DB", Held;
    /// Runs a text.
    Query = 0x03, "COM_QUERY", Held;
    /// Describes a table's columns.
    FieldList = 0x04, "COM_FIELD_LIST", Held;
    /// Creates a database.
    CreateDb = 0x05, "COM_CREATE_DB", Held;
    /// Drops a database.
    DropDb = 0x06, "COM_DROP_DB", Held;
    /// Flushes.
    Refresh = 0x07, "COM_REFRESH", Held;
    /// Shuts the server down.
    Shutdown = 0x08, "COM_SHUTDOWN", Held;
    /// Tells figures about the server.
    Statistics = 0x09, "COM_STATISTICS", Held;
    /// Lists the sessions.
    ProcessInfo = 0x0a, "COM_PROCESS_INFO", Held;
    /// Kills a session.
    ProcessKill = 0x0c, "COM_PROCESS_KILL", Held;
    /// Writes the server's state to its log.
    Debug = 0x0d, "COM_DEBUG", Held;
    /// Asks whether the server is there.
    Ping = 0x0e, "COM_PING", Passed;
    /// Authenticates anew.
    ChangeUser = 0x11, "COM_CHANGE_USER", Held;
    /// Streams the binary log.
    BinlogDump = 0x12, "COM_BINLOG_DUMP", Held;
    /// Announces a replica.
    RegisterSlave = 0x15, "COM_REGISTER_SLAVE", Held;
    /// Prepares a text.
    Prepare = 0x16, "COM_STMT_PREPARE", Held;
    /// Executes a prepared statement.
    Execute = 0x17, "COM_STMT_EXECUTE", Held;
    /// Sends a part of a parameter.
    SendLongData = 0x18, "COM_STMT_SEND_LONG_DATA", Passed;
    /// Forgets a prepared statement.
    Close = 0x19, "COM_STMT_CLOSE", Passed;
    /// Forgets long data and the cursor of a prepared statement.
    Reset = 0x1a, "COM_STMT_RESET", Passed;
    /// Switches multi-statements on or off.
    SetOption = 0x1b, "COM_SET_OPTION", Held;
    /// Fetches rows from a cursor.
    Fetch = 0x1c, "COM_STMT_FETCH", Held;
    /// Streams the binary log from a set of transactions on.
    BinlogDumpGtid = 0x1e, "COM_BINLOG_DUMP_GTID", Held;
    /// Puts the session back to its beginning.
    ResetConnection = 0x1f, "COM_RESET_CONNECTION", Passed;
    /// Executes a prepared statement once for each row of parameters (MariaDB).
    BulkExecute = 0xfa, "COM_STMT_BULK_EXECUTE", Held;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_one_answer() {
        let known = (0..=u8::MAX).filter_map(Command::from_number).count();
        assert_eq!(known, Command::ALL.len());
        for &command in Command::ALL {
            assert_eq!(Command::from_number(command.number()), Some(command));
            assert!(command.name().starts_with("COM_"));
        }
        for refused in [
            0x00, 0x0b, 0x0f, 0x10, 0x13, 0x14, 0x1d, 0x20, 0x21, 0x22, 0xfe, 0xff,
        ] {
            assert_eq!(Command::from_number(refused), None);
        }
    }
}
