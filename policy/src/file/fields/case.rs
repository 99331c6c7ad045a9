//! `[[test]]`.

use super::words::words;
use super::{Field, Form, Section};
use crate::vocabulary::{
    Action, Dialect, EndUserTrust, Isolation, TransactionAccess, TransactionState,
};

/// `[[test]]`.
pub static TEST: Section = Section {
    name: "`[[test]]`",
    fields: &[
        Field::optional("title", Form::Text, "What the test shows."),
        Field::optional(
            "sql",
            Form::Texts,
            "The statement, or several that are judged one by one.",
        ),
        Field::optional(
            "dialect",
            Form::Words(words::<Dialect>),
            "The dialects to read it in; postgres without it.",
        ),
        Field::optional(
            "sql_mode",
            Form::Text,
            "The sql_mode to read it in; MySQL and MariaDB only.",
        ),
        Field::optional(
            "charset",
            Form::Text,
            "The character_set_client to read it in; utf8mb4 without it.",
        ),
        Field::optional(
            "server_version",
            Form::Text,
            "The version of the server; the newest without it.",
        ),
        Field::optional("user", Form::Text, "The session's user."),
        Field::optional(
            "role",
            Form::Text,
            "The session's role; the user without it.",
        ),
        Field::optional("database", Form::Text, "The session's database."),
        Field::optional("application", Form::Text, "The application's name."),
        Field::optional("listener", Form::Text, "The listener."),
        Field::optional(
            "client",
            Form::Text,
            "The client's address; 127.0.0.1 without it.",
        ),
        Field::optional("end_user", Form::Text, "The business user."),
        Field::optional(
            "end_user_trust",
            Form::Word(words::<EndUserTrust>),
            "Where the business user's name comes from; not known without it.",
        ),
        Field::optional(
            "tls_identity",
            Form::Text,
            "The name in the client's certificate.",
        ),
        Field::optional(
            "at",
            Form::Time,
            "The time of the statement; a Monday noon in UTC without it.",
        ),
        Field::optional(
            "transaction",
            Form::Word(words::<TransactionState>),
            "The state of the transaction; not known without it.",
        ),
        Field::optional(
            "transaction_access",
            Form::Word(words::<TransactionAccess>),
            "What the transaction may do; not known without it.",
        ),
        Field::optional(
            "isolation",
            Form::Word(words::<Isolation>),
            "The transaction's isolation; not known without it.",
        ),
        Field::optional(
            "parameters",
            Form::Values,
            "The values of the statement's parameters, in order; not known without it.",
        ),
        Field::optional(
            "before",
            Form::Texts,
            "Statements that the session has sent just before.",
        ),
        Field::optional(
            "before_times",
            Form::Number,
            "How often it has sent them; once without it.",
        ),
        Field::optional(
            "replication",
            Form::Flag,
            "The connection is a replication connection.",
        ),
        Field::optional(
            "function_call",
            Form::Flag,
            "It is a function call of the protocol; then there is no `sql`.",
        ),
        Field::required("expect", Form::Table(&EXPECT), "The decision."),
    ],
};

/// `expect`.
pub static EXPECT: Section = Section {
    name: "`expect`",
    fields: &[
        Field::required("action", Form::Word(words::<Action>), "What the rules say."),
        Field::optional("rule", Form::Text, "The rule that decides."),
    ],
};
