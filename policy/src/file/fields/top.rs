//! The top level of a policy file, and its sections that are no rules.

use super::words::{audit_failures, default_actions, unreadable_actions, words};
use super::{
    CHANGE, ESCALATION, Field, Form, OVERLAY, PACK, REDACT, REDACT_TEST, RULE, Section, TEST,
};
use crate::vocabulary::Mode;

/// The top level.
pub static TOP: Section = Section {
    name: "a policy file",
    fields: &[
        Field::required(
            "schema",
            Form::One,
            "The version of this grammar; always 1.",
        ),
        Field::optional(
            "policy",
            Form::Table(&POLICY),
            "The policy's name and version.",
        ),
        Field::optional(
            "include",
            Form::Texts,
            "Files and folders that belong to the policy, relative to this file.",
        ),
        Field::optional(
            "pack",
            Form::Table(&PACK),
            "The pack that this file belongs to.",
        ),
        Field::optional(
            "overlay",
            Form::Table(&OVERLAY),
            "This file is an overlay: what its rules and changes are for, and when.",
        ),
        Field::optional(
            "change",
            Form::Tables(&CHANGE),
            "The changes that this overlay makes to rules.",
        ),
        Field::optional(
            "defaults",
            Form::Table(&DEFAULTS),
            "The answers that need no rule.",
        ),
        Field::optional(
            "sets",
            Form::Sets,
            "Lists by names: `@NAME` in a list of a `when` stands for the items of the set.",
        ),
        Field::optional(
            "calendar",
            Form::Named(&CALENDAR),
            "Calendars of working days by name.",
        ),
        Field::optional("time", Form::Named(&WINDOW), "Time windows by name."),
        Field::optional(
            "listener",
            Form::Named(&LISTENER),
            "Settings of listeners by name.",
        ),
        Field::optional("rule", Form::Tables(&RULE), "The rules."),
        Field::optional(
            "escalation",
            Form::Tables(&ESCALATION),
            "What repeated refusals lead to.",
        ),
        Field::optional(
            "test",
            Form::Tables(&TEST),
            "Statements with the decision that they must get.",
        ),
        Field::optional(
            "redact",
            Form::Tables(&REDACT),
            "Values that must not be recorded.",
        ),
        Field::optional(
            "redact_test",
            Form::Tables(&REDACT_TEST),
            "Statements with what must not be recorded of them.",
        ),
    ],
};

/// `[policy]`.
pub static POLICY: Section = Section {
    name: "`[policy]`",
    fields: &[
        Field::optional("name", Form::Text, "The policy's name."),
        Field::optional("version", Form::Text, "The policy's version."),
    ],
};

/// `[defaults]`.
pub static DEFAULTS: Section = Section {
    name: "`[defaults]`",
    fields: &[
        Field::optional(
            "action",
            Form::Word(default_actions),
            "What a statement gets that no rule names; deny without it.",
        ),
        Field::optional(
            "unreadable",
            Form::Word(unreadable_actions),
            "What a statement gets that can't be read exactly; deny without it.",
        ),
        Field::optional(
            "audit_failure",
            Form::Word(audit_failures),
            "What happens to statements when the journal can't take their record; block without it.",
        ),
        Field::optional(
            "mode",
            Form::Word(words::<Mode>),
            "Whether decisions are carried out; enforce without it.",
        ),
        Field::optional(
            "search_path",
            Form::Texts,
            "The schemas that an unqualified name may lie in; without it, any schema.",
        ),
    ],
};

/// `[time.NAME]`.
pub static WINDOW: Section = Section {
    name: "`[time.NAME]`",
    fields: &[
        Field::optional(
            "days",
            Form::Days,
            "The days on which the window opens, or ranges such as mon-fri; workday and holiday are days of the calendar.",
        ),
        Field::optional(
            "dates",
            Form::Dates,
            "The window opens on these days only, or ranges such as 2026-12-24..2026-12-31.",
        ),
        Field::optional(
            "calendar",
            Form::Text,
            "The calendar that says what workday and holiday are.",
        ),
        Field::optional("from", Form::TimeOfDay, "When it opens."),
        Field::optional(
            "to",
            Form::TimeOfDay,
            "When it has closed; before `from`, on the next day.",
        ),
        Field::optional(
            "zone",
            Form::Text,
            "The time zone, by its IANA name; UTC without it.",
        ),
    ],
};

/// `[calendar.NAME]`.
pub static CALENDAR: Section = Section {
    name: "`[calendar.NAME]`",
    fields: &[
        Field::optional(
            "holidays",
            Form::Dates,
            "Days that are not worked on, or ranges such as 2026-10-01..2026-10-07.",
        ),
        Field::optional(
            "workdays",
            Form::Dates,
            "Days that are worked on although they are holidays or at a weekend.",
        ),
        Field::optional(
            "weekend",
            Form::Days,
            "The days of the week that are not worked on; sat and sun without it.",
        ),
    ],
};

/// `[listener.NAME]`.
pub static LISTENER: Section = Section {
    name: "`[listener.NAME]`",
    fields: &[Field::optional(
        "mode",
        Form::Word(words::<Mode>),
        "Whether decisions are carried out there.",
    )],
};
