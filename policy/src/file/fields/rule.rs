//! `[[rule]]`.

use super::words::words;
use super::{Field, Form, Section};
use crate::vocabulary::{Action, Mode, RecordDetail, Severity};

/// `[[rule]]`.
pub static RULE: Section = Section {
    name: "`[[rule]]`",
    fields: &[
        Field::required(
            "id",
            Form::Text,
            "The rule's name: letters, digits, `-`, `_` and `.`.",
        ),
        Field::optional(
            "severity",
            Form::Word(words::<Severity>),
            "How bad a match is; medium without it.",
        ),
        Field::optional("title", Form::TextOr(&TITLE), "What the rule is about."),
        Field::optional("tags", Form::Texts, "Labels for reports."),
        Field::required("when", Form::Condition, "When the rule matches."),
        Field::required("action", Form::Word(words::<Action>), "What is done then."),
        Field::optional(
            "mode",
            Form::Word(words::<Mode>),
            "Whether that is carried out.",
        ),
        Field::optional("message", Form::Text, "What the client is told."),
        Field::optional(
            "record",
            Form::Word(words::<RecordDetail>),
            "How much of what it allows is recorded; DDL, DCL and failures always are in full.",
        ),
    ],
};

/// `title`, as a table.
pub static TITLE: Section = Section {
    name: "`title`",
    fields: &[
        Field::optional("en", Form::Text, "The title in English."),
        Field::optional("zh", Form::Text, "The title in Chinese."),
    ],
};
