//! `when`: the conditions, and how each is read.

use super::access_words;
use super::words::words;
use super::{Field, Form, HISTORY, LITERAL, PARAMETER, Section};
use crate::file::when::{moment, statement, subject};
use crate::rule::moment::MomentTest;
use crate::rule::object::{NamePattern, SettingPattern};
use crate::rule::statement::StatementTest;
use crate::rule::subject::SubjectTest;
use crate::vocabulary::{
    Class, ColumnUse, Detector, Dialect, Egress, EndUserTrust, Isolation, LimitShape, ObjectKind,
    TransactionAccess, TransactionState, Unreadable, Verb, WhereShape,
};

/// `when`, and whatever is nested in it.
pub static WHEN: Section = Section {
    name: "`when`",
    fields: &[
        Field::optional("everything", Form::Flag, "The rule has no condition."),
        Field::condition(
            "not",
            Form::Condition,
            "The nested condition does not hold.",
            |reader, _, value, _| reader.negation(value),
        ),
        Field::condition(
            "any",
            Form::Conditions,
            "At least one of the nested conditions holds.",
            |reader, _, value, _| reader.alternatives(value),
        ),
        Field::condition(
            "user",
            Form::Patterns,
            "The user that the session logged in as.",
            |reader, name, value, _| {
                reader
                    .globs(name, value)
                    .map(SubjectTest::User)
                    .map(subject)
            },
        ),
        Field::condition(
            "role",
            Form::Patterns,
            "The role whose rights hold now.",
            |reader, name, value, _| {
                reader
                    .globs(name, value)
                    .map(SubjectTest::Role)
                    .map(subject)
            },
        ),
        Field::condition(
            "database",
            Form::Patterns,
            "The database.",
            |reader, name, value, _| {
                reader
                    .globs(name, value)
                    .map(SubjectTest::Database)
                    .map(subject)
            },
        ),
        Field::condition(
            "application",
            Form::Patterns,
            "The application's name.",
            |reader, name, value, _| {
                reader
                    .globs(name, value)
                    .map(SubjectTest::Application)
                    .map(subject)
            },
        ),
        Field::condition(
            "listener",
            Form::Patterns,
            "The listener that the client came through.",
            |reader, name, value, _| {
                reader
                    .globs(name, value)
                    .map(SubjectTest::Listener)
                    .map(subject)
            },
        ),
        Field::condition(
            "client",
            Form::Networks,
            "The client's address.",
            |reader, name, value, _| {
                reader
                    .networks(name, value)
                    .map(SubjectTest::Client)
                    .map(subject)
            },
        ),
        Field::condition(
            "end_user",
            Form::Patterns,
            "The business user behind the session.",
            |reader, name, value, _| {
                reader
                    .globs(name, value)
                    .map(SubjectTest::EndUser)
                    .map(subject)
            },
        ),
        Field::condition(
            "end_user_trust",
            Form::AtLeast(words::<EndUserTrust>),
            "Where the business user's name comes from, or `>= setting` for that and better.",
            |reader, name, value, _| {
                reader
                    .at_least(name, value)
                    .map(SubjectTest::EndUserTrust)
                    .map(subject)
            },
        ),
        Field::condition(
            "tls_identity",
            Form::Patterns,
            "The name in the client's certificate.",
            |reader, name, value, _| {
                reader
                    .globs(name, value)
                    .map(SubjectTest::TlsIdentity)
                    .map(subject)
            },
        ),
        Field::condition(
            "time",
            Form::Texts,
            "Inside one of these time windows.",
            |reader, name, value, _| reader.time_names(name, value),
        ),
        Field::condition(
            "dialect",
            Form::Words(words::<Dialect>),
            "The language of the server.",
            |reader, name, value, _| {
                reader
                    .words(name, value)
                    .map(SubjectTest::Dialect)
                    .map(subject)
            },
        ),
        Field::condition(
            "server_version",
            Form::Texts,
            "Ranges of the server's version, such as `>= 14, < 14.12`.",
            |reader, name, value, _| reader.versions(name, value).map(subject),
        ),
        Field::condition(
            "verb",
            Form::Words(words::<Verb>),
            "What the statement does.",
            |reader, name, value, _| {
                reader
                    .words(name, value)
                    .map(StatementTest::Verb)
                    .map(statement)
            },
        ),
        Field::condition(
            "class",
            Form::Words(words::<Class>),
            "The statement's class.",
            |reader, name, value, _| {
                reader
                    .words(name, value)
                    .map(StatementTest::Class)
                    .map(statement)
            },
        ),
        Field::condition(
            "object",
            Form::Patterns,
            "An object: `name` in any schema, or `schema.name`.",
            |reader, name, _, table| reader.object_test(name, table).map(statement),
        ),
        Field::condition(
            "access",
            Form::Words(access_words),
            "What is done to that object.",
            |reader, name, _, table| reader.object_test(name, table).map(statement),
        ),
        Field::condition(
            "object_kind",
            Form::Words(words::<ObjectKind>),
            "What kind of thing that object is.",
            |reader, name, _, table| reader.object_test(name, table).map(statement),
        ),
        Field::condition(
            "column",
            Form::Patterns,
            "A column: `column`, `table.column` or `schema.table.column`.",
            |reader, name, _, table| reader.column_test(name, table).map(statement),
        ),
        Field::condition(
            "column_use",
            Form::Words(words::<ColumnUse>),
            "How that column is used.",
            |reader, name, _, table| reader.column_test(name, table).map(statement),
        ),
        Field::condition(
            "function",
            Form::Patterns,
            "A function that is called.",
            |reader, name, value, _| {
                reader
                    .folded(name, value, NamePattern::parse)
                    .map(StatementTest::Function)
                    .map(statement)
            },
        ),
        Field::condition(
            "where",
            Form::Words(words::<WhereShape>),
            "The WHERE clause of UPDATE and DELETE.",
            |reader, name, value, _| {
                reader
                    .words(name, value)
                    .map(StatementTest::Where)
                    .map(statement)
            },
        ),
        Field::condition(
            "limit",
            Form::Words(words::<LimitShape>),
            "The LIMIT clause.",
            |reader, name, value, _| {
                reader
                    .words(name, value)
                    .map(StatementTest::Limit)
                    .map(statement)
            },
        ),
        Field::condition(
            "egress",
            Form::Words(words::<Egress>),
            "A way out of the database.",
            |reader, name, value, _| {
                reader
                    .words(name, value)
                    .map(StatementTest::Egress)
                    .map(statement)
            },
        ),
        Field::condition(
            "multi_statement",
            Form::Flag,
            "The message holds several statements.",
            |reader, name, value, _| {
                reader
                    .flag(name, value)
                    .map(StatementTest::MultiStatement)
                    .map(statement)
            },
        ),
        Field::condition(
            "dynamic",
            Form::Flag,
            "It runs SQL that is hidden in a string.",
            |reader, name, value, _| {
                reader
                    .flag(name, value)
                    .map(StatementTest::Dynamic)
                    .map(statement)
            },
        ),
        Field::condition(
            "fingerprint",
            Form::Fingerprints,
            "The fingerprint of the text, 32 hexadecimal digits.",
            |reader, _, value, _| reader.fingerprints(value).map(statement),
        ),
        Field::condition(
            "unreadable",
            Form::FlagOrWords(words::<Unreadable>),
            "It can't be read exactly.",
            |reader, _, value, _| reader.unreadable(value).map(statement),
        ),
        Field::condition(
            "setting",
            Form::Patterns,
            "A setting that it changes: `name` or `name=value`.",
            |reader, name, value, _| {
                reader
                    .folded(name, value, SettingPattern::parse)
                    .map(StatementTest::Setting)
                    .map(statement)
            },
        ),
        Field::condition(
            "replication",
            Form::Flag,
            "It is a replication command.",
            |reader, name, value, _| {
                reader
                    .flag(name, value)
                    .map(StatementTest::Replication)
                    .map(statement)
            },
        ),
        Field::condition(
            "risk",
            Form::Ranges,
            "The estimated risk, a number from 0 to 100.",
            |reader, name, value, _| {
                reader
                    .whole_range(name, value)
                    .map(StatementTest::Risk)
                    .map(statement)
            },
        ),
        Field::condition(
            "transaction",
            Form::Words(words::<TransactionState>),
            "The state of the session's transaction.",
            |reader, name, value, _| {
                reader
                    .words(name, value)
                    .map(MomentTest::Transaction)
                    .map(moment)
            },
        ),
        Field::condition(
            "transaction_access",
            Form::Words(words::<TransactionAccess>),
            "What the transaction may do.",
            |reader, name, value, _| {
                reader
                    .words(name, value)
                    .map(MomentTest::TransactionAccess)
                    .map(moment)
            },
        ),
        Field::condition(
            "isolation",
            Form::Words(words::<Isolation>),
            "How far the transaction is kept apart from others.",
            |reader, name, value, _| {
                reader
                    .words(name, value)
                    .map(MomentTest::Isolation)
                    .map(moment)
            },
        ),
        Field::condition(
            "parameter",
            Form::Table(&PARAMETER),
            "A value that is bound to a parameter, or given to EXECUTE.",
            |reader, _, value, _| {
                reader
                    .parameter(value)
                    .map(MomentTest::Parameter)
                    .map(moment)
            },
        ),
        Field::condition(
            "literal",
            Form::Table(&LITERAL),
            "A literal in the text.",
            |reader, _, value, _| reader.literal(value).map(MomentTest::Literal).map(moment),
        ),
        Field::condition(
            "history",
            Form::Table(&HISTORY),
            "What the session, or all of them, have done lately.",
            |reader, _, value, _| reader.history(value),
        ),
        Field::condition(
            "detect",
            Form::Words(words::<Detector>),
            "A detector of injection that matched.",
            |reader, name, value, _| {
                reader
                    .words(name, value)
                    .map(StatementTest::Detect)
                    .map(statement)
            },
        ),
        Field::condition(
            "detect_score",
            Form::Text,
            "The detectors' score is at least this, `>= 1` to `>= 100`.",
            |reader, name, value, _| {
                reader
                    .score(name, value)
                    .map(StatementTest::DetectScore)
                    .map(statement)
            },
        ),
    ],
};
