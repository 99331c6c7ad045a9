//! Every field of a policy file: its name, its form, what it means, and, in `when`, how it is read.
//!
//! This is the one table: reader, messages, schema and manual go by it. A new condition is one entry of [`WHEN`]; a new
//! section is a [`Section`], an entry of [`TOP`], and a reader that asks [`Reader::section`] for its fields.

mod case;
mod escalation;
mod nested;
mod overlay;
mod redact;
mod rule;
mod top;
mod when;
mod words;

use super::reader::{Reader, Value};
use super::when::RawCondition;
use toml::de::DeTable;

pub use self::case::{EXPECT, TEST};
pub use self::escalation::ESCALATION;
pub use self::nested::{HISTORY, LITERAL, PARAMETER};
pub use self::overlay::{CHANGE, OVERLAY, PACK};
pub use self::redact::{REDACT, REDACT_TEST};
pub use self::rule::{RULE, TITLE};
pub use self::top::{CALENDAR, DEFAULTS, LISTENER, POLICY, TOP, WINDOW};
pub use self::when::WHEN;
pub(super) use self::words::{
    access_words, audit_failures, consequences, default_actions, fates, hows, unreadable_actions,
};

/// A kind of table in a policy file.
#[derive(Debug)]
pub struct Section {
    /// Its name in messages.
    pub name: &'static str,
    /// The fields that it may have.
    pub fields: &'static [Field],
}

/// A field of a section.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// The form of its value.
    pub form: Form,
    /// Whether its section must have it.
    pub need: Need,
    /// What it means, in one line.
    pub doc: &'static str,
    /// How it is read, if it is a field of `when`.
    pub(super) condition: Option<ReadCondition>,
}

/// Whether a section must have a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// It may be left out.
    Optional,
    /// It must be there.
    Required,
}

/// Reads the condition of a field, given its name, its value and the table that it stands in.
pub(super) type ReadCondition =
    fn(&mut Reader<'_>, &'static str, &Value<'_>, &DeTable<'_>) -> Option<RawCondition>;

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
    /// Days of the week and ranges of them.
    Days,
    /// A list of these words, or `>= word`: it and those behind it.
    AtLeast(fn() -> Vec<&'static str>),
    /// Dates, and ranges of them.
    Dates,
    /// Ranges of numbers or dates: `>= 70`, `10..20`.
    Ranges,
    /// A length of time: `90s`, `15m`, `1h`.
    Duration,
    /// A whole number, from 1.
    Number,
    /// Texts and numbers that stand for values.
    Values,
    /// Patterns with `*` and `?`.
    Patterns,
    /// Addresses and networks.
    Networks,
    /// 32 hexadecimal digits each.
    Fingerprints,
    /// A time of day, `HH:MM`.
    TimeOfDay,
    /// A point in time, RFC 3339.
    Time,
    /// A table with the fields of `when`.
    Condition,
    /// A list of at least two of them.
    Conditions,
    /// Lists of texts by names that people choose.
    Sets,
    /// A text, or a table.
    TextOr(&'static Section),
    /// A table: `[field]`.
    Table(&'static Section),
    /// Tables by names that people choose: `[field.NAME]`.
    Named(&'static Section),
    /// A list of tables: `[[field]]`.
    Tables(&'static Section),
}

impl Field {
    /// A field that may be left out.
    const fn optional(name: &'static str, form: Form, doc: &'static str) -> Self {
        Self {
            name,
            form,
            need: Need::Optional,
            doc,
            condition: None,
        }
    }

    /// A field that its section must have.
    const fn required(name: &'static str, form: Form, doc: &'static str) -> Self {
        Self {
            need: Need::Required,
            ..Self::optional(name, form, doc)
        }
    }

    /// A field of `when`.
    const fn condition(
        name: &'static str,
        form: Form,
        doc: &'static str,
        read: ReadCondition,
    ) -> Self {
        Self {
            condition: Some(read),
            ..Self::optional(name, form, doc)
        }
    }
}

impl Section {
    /// The field of that name.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }
}
