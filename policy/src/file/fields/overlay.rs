//! Packs and overlays.

use super::words::words;
use super::{Field, Form, Section};
use crate::vocabulary::{Action, Mode, Severity};

/// `[pack]`.
pub static PACK: Section = Section {
    name: "`[pack]`",
    fields: &[
        Field::required("id", Form::Text, "The pack's name."),
        Field::required(
            "version",
            Form::Text,
            "The pack's version: numbers with dots between, such as 1.4.0.",
        ),
        Field::optional(
            "requires",
            Form::Texts,
            "Packs that must be there, too: `name`, or `name >= 1.2`.",
        ),
    ],
};

/// `[overlay]`.
pub static OVERLAY: Section = Section {
    name: "`[overlay]`",
    fields: &[
        Field::required("id", Form::Text, "The overlay's name."),
        Field::required("owner", Form::Text, "Who answers for it."),
        Field::required("reason", Form::Text, "Why it is there."),
        Field::optional(
            "from",
            Form::Time,
            "The minute in which it comes into force; it always was without it.",
        ),
        Field::optional(
            "until",
            Form::Time,
            "The minute in which it is no longer in force; it remains without it.",
        ),
    ],
};

/// `[[change]]`.
pub static CHANGE: Section = Section {
    name: "`[[change]]`",
    fields: &[
        Field::required("rule", Form::Text, "The rule that is changed."),
        Field::optional("action", Form::Word(words::<Action>), "Its action then."),
        Field::optional("mode", Form::Word(words::<Mode>), "Its mode then."),
        Field::optional(
            "severity",
            Form::Word(words::<Severity>),
            "Its severity then.",
        ),
    ],
};
