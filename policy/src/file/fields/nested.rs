//! Conditions that have fields of their own.

use super::words::words;
use super::{Field, Form, Section};
use crate::rule::personal::PersonalData;
use crate::vocabulary::Trait;

/// `parameter`.
pub static PARAMETER: Section = Section {
    name: "`parameter`",
    fields: &[
        Field::optional(
            "position",
            Form::Number,
            "Which parameter, counted from 1; any without it.",
        ),
        Field::optional(
            "matches",
            Form::Patterns,
            "Its value fits one of these patterns.",
        ),
        Field::optional(
            "range",
            Form::Ranges,
            "Its value lies in one of these ranges.",
        ),
        Field::optional(
            "personal",
            Form::Words(words::<PersonalData>),
            "Its value holds a number of one of these kinds, by its check digits.",
        ),
    ],
};

/// `literal`.
pub static LITERAL: Section = Section {
    name: "`literal`",
    fields: &[
        Field::optional(
            "column",
            Form::Patterns,
            "It is compared with, or assigned to, a column of this name; of any without it.",
        ),
        Field::optional(
            "function",
            Form::Patterns,
            "It is an argument of a function of this name.",
        ),
        Field::optional(
            "matches",
            Form::Patterns,
            "Its value fits one of these patterns.",
        ),
        Field::optional(
            "range",
            Form::Ranges,
            "Its value lies in one of these ranges.",
        ),
        Field::optional(
            "personal",
            Form::Words(words::<PersonalData>),
            "Its value holds a number of one of these kinds, by its check digits.",
        ),
    ],
};

/// `history`.
pub static HISTORY: Section = Section {
    name: "`history`",
    fields: &[
        Field::required(
            "count",
            Form::Ranges,
            "How often, this statement included: a range of whole numbers.",
        ),
        Field::required(
            "within",
            Form::Duration,
            "In which time, up to now; at most 24h.",
        ),
        Field::required(
            "of",
            Form::Condition,
            "The statements that are counted, refused ones included.",
        ),
        Field::optional(
            "per",
            Form::Words(words::<Trait>),
            "Count the statements of all sessions that have this in common; without it, those of this session.",
        ),
    ],
};
