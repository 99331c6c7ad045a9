//! `[[redact]]` and `[[redact_test]]`.

use super::words::{fates, hows, words};
use super::{Field, Form, Section};
use crate::vocabulary::Dialect;

/// `[[redact]]`.
pub static REDACT: Section = Section {
    name: "`[[redact]]`",
    fields: &[
        Field::required("id", Form::Text, "The entry's name."),
        Field::optional(
            "columns",
            Form::Patterns,
            "`column` or `table.column`: what is compared with it or assigned to it.",
        ),
        Field::optional(
            "tables",
            Form::Patterns,
            "Tables: every value of the statements that name them.",
        ),
        Field::optional(
            "functions",
            Form::Patterns,
            "Functions: every value among their arguments.",
        ),
        Field::optional(
            "pattern",
            Form::Text,
            "A regular expression: values, names and comments that match.",
        ),
        Field::required(
            "how",
            Form::Word(hows),
            "`mask`, or `hash` for a keyed hash that keeps equal values equal.",
        ),
    ],
};

/// `[[redact_test]]`.
pub static REDACT_TEST: Section = Section {
    name: "`[[redact_test]]`",
    fields: &[
        Field::optional("title", Form::Text, "What the test shows."),
        Field::required("sql", Form::Text, "The statement."),
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
            "hides",
            Form::Texts,
            "Pieces of the text that must not be recorded.",
        ),
        Field::optional("keeps", Form::Texts, "Pieces of the text that must be."),
        Field::optional(
            "parameters",
            Form::Words(fates),
            "What happens to each parameter, in order: keep, mask or hash.",
        ),
    ],
};
