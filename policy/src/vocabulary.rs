//! The words that policies, records and queries share: verbs, classes, accesses, actions.
//!
//! Every enum here has one spelling (`as_str`), used in policy files, records, stores and output alike.

/// Declares a field-less enum whose variants have one lower-case spelling each.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[$vmeta])* $variant,)+ }

        impl $name {
            /// Every word, in declaration order.
            pub const ALL: &'static [$name] = &[$($name::$variant,)+];

            /// The one spelling of this word.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $($name::$variant => $text,)+ }
            }

            /// The word spelled `text`, if there is one.
            #[must_use]
            pub fn from_word(text: &str) -> Option<Self> {
                match text { $($text => Some($name::$variant),)+ _ => None }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }
    };
}

pub(crate) use words;

words! {
    /// How much of a statement is recorded; the first is the most.
    RecordDetail {
        /// All of it.
        Full = "full",
        /// All but the values of its parameters.
        NoParameters = "no-parameters",
        /// Length and hash of its text, and its normal form.
        Digest = "digest",
    }
}

words! {
    /// The SQL language and protocol family of a statement.
    Dialect {
        /// PostgreSQL.
        Postgres = "postgres",
        /// MySQL.
        Mysql = "mysql",
        /// MariaDB.
        Mariadb = "mariadb",
    }
}

words! {
    /// What a statement does, in one word: its leading command.
    Verb {
        /// SELECT, VALUES, TABLE.
        Select = "select",
        /// INSERT (and MySQL REPLACE).
        Insert = "insert",
        /// UPDATE.
        Update = "update",
        /// DELETE.
        Delete = "delete",
        /// MERGE.
        Merge = "merge",
        /// TRUNCATE.
        Truncate = "truncate",
        /// COPY.
        Copy = "copy",
        /// LOAD DATA, LOAD 'library'.
        Load = "load",
        /// CREATE of anything.
        Create = "create",
        /// ALTER of anything, RENAME.
        Alter = "alter",
        /// DROP of anything.
        Drop = "drop",
        /// COMMENT ON.
        Comment = "comment",
        /// SECURITY LABEL.
        SecurityLabel = "security-label",
        /// GRANT.
        Grant = "grant",
        /// REVOKE.
        Revoke = "revoke",
        /// REASSIGN OWNED, DROP OWNED.
        Reassign = "reassign",
        /// BEGIN, START TRANSACTION.
        Begin = "begin",
        /// COMMIT, END, COMMIT PREPARED.
        Commit = "commit",
        /// ROLLBACK, ABORT, ROLLBACK PREPARED.
        Rollback = "rollback",
        /// SAVEPOINT, RELEASE, ROLLBACK TO.
        Savepoint = "savepoint",
        /// PREPARE TRANSACTION, XA.
        PrepareTransaction = "prepare-transaction",
        /// LOCK TABLE.
        Lock = "lock",
        /// SET of a session or transaction setting.
        Set = "set",
        /// RESET, DISCARD.
        Reset = "reset",
        /// SHOW.
        Show = "show",
        /// USE.
        Use = "use",
        /// EXPLAIN, DESCRIBE.
        Explain = "explain",
        /// SQL-level PREPARE.
        Prepare = "prepare",
        /// SQL-level EXECUTE.
        Execute = "execute",
        /// DEALLOCATE.
        Deallocate = "deallocate",
        /// DECLARE CURSOR.
        Declare = "declare",
        /// FETCH, MOVE.
        Fetch = "fetch",
        /// CLOSE of a cursor.
        Close = "close",
        /// DO: a block, or expressions for their effects.
        Do = "do",
        /// CALL.
        Call = "call",
        /// Fast-path function call of the protocol.
        FunctionCall = "function-call",
        /// LISTEN, UNLISTEN.
        Listen = "listen",
        /// NOTIFY.
        Notify = "notify",
        /// VACUUM.
        Vacuum = "vacuum",
        /// ANALYZE.
        Analyze = "analyze",
        /// CLUSTER.
        Cluster = "cluster",
        /// REINDEX.
        Reindex = "reindex",
        /// REFRESH MATERIALIZED VIEW.
        Refresh = "refresh",
        /// CHECKPOINT.
        Checkpoint = "checkpoint",
        /// IMPORT FOREIGN SCHEMA, IMPORT TABLE.
        Import = "import",
        /// ALTER SYSTEM.
        AlterSystem = "alter-system",
        /// KILL.
        Kill = "kill",
        /// FLUSH.
        Flush = "flush",
        /// HANDLER.
        Handler = "handler",
        /// INSTALL and UNINSTALL of plugins, components and libraries.
        Install = "install",
        /// SHUTDOWN, RESTART.
        Shutdown = "shutdown",
        /// PURGE of logs.
        Purge = "purge",
        /// CHANGE REPLICATION and CHANGE MASTER, START and STOP of replication.
        ChangeReplication = "change-replication",
        /// CHECK, REPAIR, OPTIMIZE and CHECKSUM TABLE, CACHE INDEX.
        Check = "check",
        /// BINLOG.
        Binlog = "binlog",
        /// CLONE.
        Clone = "clone",
        /// A replication command, or the start of a replication connection.
        Replication = "replication",
        /// A message that holds no statement.
        Empty = "empty",
        /// What could not be read.
        Unknown = "unknown",
    }
}

words! {
    /// The class of a statement, as pgaudit uses the word.
    Class {
        /// Reads data.
        Read = "read",
        /// Changes data.
        Write = "write",
        /// Changes structure.
        Ddl = "ddl",
        /// Changes roles and privileges.
        Dcl = "dcl",
        /// Transaction control.
        Tcl = "tcl",
        /// Session state: settings, prepared statements, cursors.
        Session = "session",
        /// Maintenance and everything harmless that fits nowhere else.
        Utility = "utility",
        /// Server administration: system settings, replication, libraries, server files.
        Admin = "admin",
    }
}

words! {
    /// What is done to an object.
    Access {
        /// Rows are read.
        Read = "read",
        /// Rows are added.
        Insert = "insert",
        /// Rows are changed.
        Update = "update",
        /// Rows are removed.
        Delete = "delete",
        /// The object is created, changed, renamed or dropped.
        Ddl = "ddl",
        /// Privileges or ownership of the object change.
        Dcl = "dcl",
        /// A routine is run.
        Execute = "execute",
        /// The object is locked, maintained or merely referred to.
        Refer = "refer",
    }
}

words! {
    /// What kind of thing an object is.
    ObjectKind {
        /// Table, view, materialized view, foreign table or index: whatever stands in FROM.
        Relation = "relation",
        /// Function, procedure or aggregate.
        Routine = "routine",
        /// Schema.
        Schema = "schema",
        /// Database.
        Database = "database",
        /// Role or user.
        Role = "role",
        /// Extension, loadable library or language.
        Extension = "extension",
        /// Foreign server, user mapping, foreign-data wrapper, subscription, publication.
        Foreign = "foreign",
        /// Configuration setting.
        Setting = "setting",
        /// Type or domain.
        Type = "type",
        /// Anything else that has a name.
        Other = "other",
    }
}

words! {
    /// How a column is used.
    ColumnUse {
        /// Its value is returned or copied.
        Read = "read",
        /// It stands in WHERE, ON, HAVING, GROUP BY or ORDER BY.
        Filter = "filter",
        /// It is assigned.
        Write = "write",
    }
}

words! {
    /// The WHERE clause of UPDATE and DELETE (of the outermost one with the weakest clause).
    WhereShape {
        /// The statement has no place for one.
        NotApplicable = "not-applicable",
        /// There is none.
        Absent = "absent",
        /// There is one, and it holds for every row.
        AlwaysTrue = "always-true",
        /// There is one that restricts.
        Restricting = "restricting",
    }
}

words! {
    /// The LIMIT of a query that returns rows.
    LimitShape {
        /// The statement returns no rows of a table.
        NotApplicable = "not-applicable",
        /// There is none.
        Absent = "absent",
        /// There is one.
        Present = "present",
    }
}

words! {
    /// A way by which data or commands leave the database or enter it past the protocol.
    Egress {
        /// COPY … TO/FROM PROGRAM.
        CopyProgram = "copy-program",
        /// COPY … TO/FROM a server file.
        CopyFile = "copy-file",
        /// COPY … TO STDOUT.
        CopyOut = "copy-out",
        /// COPY … FROM STDIN.
        CopyIn = "copy-in",
        /// Functions that read or write server files (pg_read_file, pg_ls_dir, …).
        ServerFile = "server-file",
        /// Large-object import and export (lo_import, lo_export, …).
        LargeObject = "large-object",
        /// dblink and its kin.
        Dblink = "dblink",
        /// Foreign servers, foreign tables, subscriptions.
        Foreign = "foreign",
        /// MySQL INTO OUTFILE and INTO DUMPFILE.
        IntoOutfile = "into-outfile",
        /// MySQL LOAD DATA INFILE on the server.
        LoadInfile = "load-infile",
        /// MySQL LOAD DATA LOCAL INFILE.
        LoadLocal = "load-local",
        /// Loading of code: libraries, extensions, untrusted languages.
        Code = "code",
    }
}

words! {
    /// A detector of SQL injection; see `detect`.
    Detector {
        /// A condition that no row has a say in, beside one that does.
        Tautology = "tautology",
        /// A statement of another kind behind a query.
        StackedStatement = "stacked-statement",
        /// A UNION with rows from elsewhere.
        UnionGraft = "union-graft",
        /// A comment that swallows the rest.
        CommentTail = "comment-tail",
        /// A wait whose length is the answer.
        TimeOracle = "time-oracle",
        /// An error whose message is the answer.
        ErrorOracle = "error-oracle",
        /// A condition whose truth is the answer.
        BooleanOracle = "boolean-oracle",
        /// Text put together from codes.
        EncodedText = "encoded-text",
        /// A catalogue read beside tables.
        CatalogueProbe = "catalogue-probe",
        /// A file or host reached beside rows.
        FileAccess = "file-access",
    }
}

words! {
    /// What a rule or a policy does with a statement; ordered by strength.
    Action {
        /// Let it pass.
        Allow = "allow",
        /// Let it pass and raise an alert.
        Alert = "alert",
        /// Refuse it.
        Deny = "deny",
        /// Refuse it and end the session.
        Terminate = "terminate",
    }
}

words! {
    /// Whether decisions are carried out.
    Mode {
        /// Let everything pass and be recorded, for a policy to be learnt from it.
        Learn = "learn",
        /// Decide and record, but let everything pass.
        Observe = "observe",
        /// Decide and carry out.
        Enforce = "enforce",
    }
}

words! {
    /// What escalations count.
    Refused {
        /// Statements and sessions that were denied.
        Denied = "denied",
        /// Logins that the server refused.
        FailedLogin = "failed-login",
    }
}

words! {
    /// What sessions may have in common.
    Trait {
        /// The database user.
        User = "user",
        /// The client's address.
        Client = "client",
        /// The end user.
        EndUser = "end-user",
        /// The application's name.
        Application = "application",
    }
}

words! {
    /// How bad a match of a rule is; ordered.
    Severity {
        /// For information.
        Info = "info",
        /// Low.
        Low = "low",
        /// Medium.
        Medium = "medium",
        /// High.
        High = "high",
        /// Critical.
        Critical = "critical",
    }
}

words! {
    /// Why a statement can't be read exactly.
    Unreadable {
        /// The server's grammar does not accept it.
        Syntax = "syntax",
        /// It is deeper or longer than the analysis may go.
        TooComplex = "too-complex",
        /// Its bytes are not valid in the session's encoding, or the encoding can't be read.
        Encoding = "encoding",
        /// Its reading depends on session state that is not known at this point.
        Unsettled = "unsettled",
        /// It runs a prepared statement, cursor or portal whose text is not known.
        UnknownPrepared = "unknown-prepared",
        /// The readers disagree about it.
        Disagreement = "disagreement",
    }
}

words! {
    /// Where the name of an end user comes from, the least trusted first: what a statement's text can say, what a session's
    /// settings can, what only a driver can.
    EndUserTrust {
        /// A comment in the statement.
        Comment = "comment",
        /// `application_name`.
        Application = "application-name",
        /// `SET sqlward.end_user`.
        Setting = "setting",
        /// An attribute of the connection or the query.
        Attribute = "attribute",
    }
}

words! {
    /// The state of a session's transaction.
    TransactionState {
        /// There is none: each statement is its own.
        None = "none",
        /// One is open.
        Open = "open",
        /// One is open and has failed: the server refuses all but its end.
        Failed = "failed",
    }
}

words! {
    /// What a transaction may do.
    TransactionAccess {
        /// It reads.
        ReadOnly = "read-only",
        /// It reads and writes.
        ReadWrite = "read-write",
    }
}

words! {
    /// How far a transaction is kept apart from others.
    Isolation {
        /// READ UNCOMMITTED.
        ReadUncommitted = "read-uncommitted",
        /// READ COMMITTED.
        ReadCommitted = "read-committed",
        /// REPEATABLE READ.
        RepeatableRead = "repeatable-read",
        /// SERIALIZABLE.
        Serializable = "serializable",
    }
}
