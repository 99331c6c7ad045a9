//! Every field of a policy file: its name, its form and what it means. Messages, schema and manual read this table.

use crate::rule::words::Word;
use crate::vocabulary::{
    Access, Action, Class, ColumnUse, Detector, Dialect, Egress, LimitShape, Mode, ObjectKind,
    Severity, Unreadable, Verb, WhereShape,
};

/// A field of a section.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// The form of its value.
    pub form: Form,
    /// What it means, in one line.
    pub doc: &'static str,
}

/// The form of a value.
#[derive(Clone, Copy, Debug)]
pub enum Form {
    /// Any text.
    Text,
    /// A list of texts, or one.
    Texts,
    /// true or false.
    Flag,
    /// The number 1.
    One,
    /// One of these words.
    Word(fn() -> Vec<&'static str>),
    /// A list of these words, or one.
    Words(fn() -> Vec<&'static str>),
    /// true, false or a list of these words.
    FlagOrWords(fn() -> Vec<&'static str>),
    /// Patterns with `*` and `?`.
    Patterns,
    /// Addresses and networks.
    Networks,
    /// A time of day, `HH:MM`.
    TimeOfDay,
    /// A point in time, RFC 3339.
    Time,
    /// A table with the fields of `when`.
    Condition,
    /// A list of them.
    Conditions,
    /// A text, or one in `en` and one in `zh`.
    Title,
    /// A table with the fields of `expect`.
    Expectation,
    /// A section of its own.
    Section,
}

fn words<T: Word>() -> Vec<&'static str> {
    T::WORDS.iter().map(|word| word.text()).collect()
}

/// The words of `access`: those of the vocabulary, and two that stand for several.
pub(super) fn access_words() -> Vec<&'static str> {
    let mut all = words::<Access>();
    all.extend(["write", "any"]);
    all
}

/// The actions that a default may have.
pub(super) fn default_actions() -> Vec<&'static str> {
    vec!["allow", "deny"]
}

/// The actions that the default for unreadable statements may have.
pub(super) fn unreadable_actions() -> Vec<&'static str> {
    vec!["deny", "alert", "allow"]
}

/// The choices for a failing audit.
pub(super) fn audit_failures() -> Vec<&'static str> {
    vec!["block", "allow"]
}

fn days() -> Vec<&'static str> {
    crate::rule::window::DAYS.to_vec()
}

const fn field(name: &'static str, form: Form, doc: &'static str) -> Field {
    Field { name, form, doc }
}

/// The top level.
pub const TOP: &[Field] = &[
    field(
        "schema",
        Form::One,
        "The version of this grammar; always 1.",
    ),
    field("policy", Form::Section, "The policy's name and version."),
    field("defaults", Form::Section, "The answers that need no rule."),
    field("time", Form::Section, "Time windows by name."),
    field("listener", Form::Section, "Settings of listeners by name."),
    field("rule", Form::Section, "The rules."),
    field(
        "test",
        Form::Section,
        "Statements with the decision that they must get.",
    ),
];

/// `[policy]`.
pub const POLICY: &[Field] = &[
    field("name", Form::Text, "The policy's name."),
    field("version", Form::Text, "The policy's version."),
];

/// `[defaults]`.
pub const DEFAULTS: &[Field] = &[
    field(
        "action",
        Form::Word(default_actions),
        "What a statement gets that no rule names.",
    ),
    field(
        "unreadable",
        Form::Word(unreadable_actions),
        "What a statement gets that can't be read exactly.",
    ),
    field(
        "audit_failure",
        Form::Word(audit_failures),
        "What happens to statements when the journal can't take their record.",
    ),
    field(
        "mode",
        Form::Word(words::<Mode>),
        "Whether decisions are carried out.",
    ),
    field(
        "search_path",
        Form::Texts,
        "The schemas that an unqualified name may lie in; without it, any schema.",
    ),
];

/// `[time.NAME]`.
pub const WINDOW: &[Field] = &[
    field(
        "days",
        Form::Words(days),
        "The days on which the window opens, or ranges such as mon-fri.",
    ),
    field("from", Form::TimeOfDay, "When it opens."),
    field(
        "to",
        Form::TimeOfDay,
        "When it has closed; before `from`, on the next day.",
    ),
    field(
        "zone",
        Form::Text,
        "The time zone, by its IANA name; UTC without it.",
    ),
];

/// `[listener.NAME]`.
pub const LISTENER: &[Field] = &[field(
    "mode",
    Form::Word(words::<Mode>),
    "Whether decisions are carried out there.",
)];

/// `[[rule]]`.
pub const RULE: &[Field] = &[
    field(
        "id",
        Form::Text,
        "The rule's name: letters, digits, `-`, `_` and `.`.",
    ),
    field(
        "severity",
        Form::Word(words::<Severity>),
        "How bad a match is; medium without it.",
    ),
    field("title", Form::Title, "What the rule is about."),
    field("tags", Form::Texts, "Labels for reports."),
    field("when", Form::Condition, "When the rule matches."),
    field("action", Form::Word(words::<Action>), "What is done then."),
    field(
        "mode",
        Form::Word(words::<Mode>),
        "Whether that is carried out.",
    ),
    field("message", Form::Text, "What the client is told."),
];

/// `title`, as a table.
pub const TITLE: &[Field] = &[
    field("en", Form::Text, "The title in English."),
    field("zh", Form::Text, "The title in Chinese."),
];

/// `when`, and whatever is nested in it.
pub const WHEN: &[Field] = &[
    field("everything", Form::Flag, "The rule has no condition."),
    field(
        "not",
        Form::Condition,
        "The nested condition does not hold.",
    ),
    field(
        "any",
        Form::Conditions,
        "At least one of the nested conditions holds.",
    ),
    field(
        "user",
        Form::Patterns,
        "The user that the session logged in as.",
    ),
    field("role", Form::Patterns, "The role whose rights hold now."),
    field("database", Form::Patterns, "The database."),
    field("application", Form::Patterns, "The application's name."),
    field(
        "listener",
        Form::Patterns,
        "The listener that the client came through.",
    ),
    field("client", Form::Networks, "The client's address."),
    field(
        "end_user",
        Form::Patterns,
        "The business user behind the session.",
    ),
    field(
        "end_user_trust",
        Form::Patterns,
        "How the business user was learnt.",
    ),
    field(
        "tls_identity",
        Form::Patterns,
        "The name in the client's certificate.",
    ),
    field("time", Form::Texts, "Inside one of these time windows."),
    field(
        "dialect",
        Form::Words(words::<Dialect>),
        "The language of the server.",
    ),
    field(
        "server_version",
        Form::Texts,
        "Ranges of the server's version, such as `>= 14, < 14.12`.",
    ),
    field(
        "verb",
        Form::Words(words::<Verb>),
        "What the statement does.",
    ),
    field(
        "class",
        Form::Words(words::<Class>),
        "The statement's class.",
    ),
    field(
        "object",
        Form::Patterns,
        "An object: `name` in any schema, or `schema.name`.",
    ),
    field(
        "access",
        Form::Words(access_words),
        "What is done to that object.",
    ),
    field(
        "object_kind",
        Form::Words(words::<ObjectKind>),
        "What kind of thing that object is.",
    ),
    field(
        "column",
        Form::Patterns,
        "A column: `column`, `table.column` or `schema.table.column`.",
    ),
    field(
        "column_use",
        Form::Words(words::<ColumnUse>),
        "How that column is used.",
    ),
    field("function", Form::Patterns, "A function that is called."),
    field(
        "where",
        Form::Words(words::<WhereShape>),
        "The WHERE clause of UPDATE and DELETE.",
    ),
    field(
        "limit",
        Form::Words(words::<LimitShape>),
        "The LIMIT clause.",
    ),
    field(
        "egress",
        Form::Words(words::<Egress>),
        "A way out of the database.",
    ),
    field(
        "multi_statement",
        Form::Flag,
        "The message holds several statements.",
    ),
    field(
        "dynamic",
        Form::Flag,
        "It runs SQL that is hidden in a string.",
    ),
    field(
        "fingerprint",
        Form::Texts,
        "The fingerprint of the text, 32 hexadecimal digits.",
    ),
    field(
        "unreadable",
        Form::FlagOrWords(words::<Unreadable>),
        "It can't be read exactly.",
    ),
    field(
        "setting",
        Form::Patterns,
        "A setting that it changes: `name` or `name=value`.",
    ),
    field("replication", Form::Flag, "It is a replication command."),
    field(
        "detect",
        Form::Words(words::<Detector>),
        "A detector of injection that matched.",
    ),
    field(
        "detect_score",
        Form::Text,
        "The detectors' score is at least this, `>= 1` to `>= 100`.",
    ),
];

/// `[[test]]`.
pub const TEST: &[Field] = &[
    field("title", Form::Text, "What the test shows."),
    field(
        "sql",
        Form::Texts,
        "The statement, or several that are judged one by one.",
    ),
    field(
        "dialect",
        Form::Words(words::<Dialect>),
        "The dialects to read it in; postgres without it.",
    ),
    field(
        "sql_mode",
        Form::Text,
        "The sql_mode to read it in; MySQL and MariaDB only.",
    ),
    field(
        "charset",
        Form::Text,
        "The character_set_client to read it in; utf8mb4 without it.",
    ),
    field(
        "server_version",
        Form::Text,
        "The version of the server; the newest without it.",
    ),
    field("user", Form::Text, "The session's user."),
    field(
        "role",
        Form::Text,
        "The session's role; the user without it.",
    ),
    field("database", Form::Text, "The session's database."),
    field("application", Form::Text, "The application's name."),
    field("listener", Form::Text, "The listener."),
    field(
        "client",
        Form::Text,
        "The client's address; 127.0.0.1 without it.",
    ),
    field("end_user", Form::Text, "The business user."),
    field(
        "end_user_trust",
        Form::Text,
        "How the business user was learnt.",
    ),
    field(
        "tls_identity",
        Form::Text,
        "The name in the client's certificate.",
    ),
    field(
        "at",
        Form::Time,
        "The time of the statement; a Monday noon in UTC without it.",
    ),
    field(
        "replication",
        Form::Flag,
        "The connection is a replication connection.",
    ),
    field(
        "function_call",
        Form::Flag,
        "It is a function call of the protocol; then there is no `sql`.",
    ),
    field("expect", Form::Expectation, "The decision."),
];

/// `expect`.
pub const EXPECT: &[Field] = &[
    field("action", Form::Word(words::<Action>), "What the rules say."),
    field("rule", Form::Text, "The rule that decides."),
];
