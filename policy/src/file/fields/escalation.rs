//! `[[escalation]]`.

use super::words::{consequences, words};
use super::{Field, Form, Section};
use crate::vocabulary::{Refused, Trait};

/// `[[escalation]]`.
pub static ESCALATION: Section = Section {
    name: "`[[escalation]]`",
    fields: &[
        Field::required(
            "id",
            Form::Text,
            "The escalation's name: letters, digits, `-`, `_` and `.`.",
        ),
        Field::required("after", Form::Word(words::<Refused>), "What is counted."),
        Field::optional(
            "rules",
            Form::Texts,
            "With `after = \"denied\"`: only denials by these rules are counted; all without it.",
        ),
        Field::required(
            "count",
            Form::Number,
            "How many lead to it; then counting begins anew.",
        ),
        Field::required("within", Form::Duration, "Within which time."),
        Field::required(
            "per",
            Form::Words(words::<Trait>),
            "What those that are counted together have in common.",
        ),
        Field::required(
            "then",
            Form::Word(consequences),
            "What follows, besides a record: nothing, the end of the session, or that whoever has `per` in common is kept out.",
        ),
        Field::optional(
            "block_for",
            Form::Duration,
            "With `then = \"block\"`: for how long.",
        ),
    ],
};
