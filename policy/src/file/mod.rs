//! What the user typed: one policy file, read field by field, every value with its place.

mod case;
mod conditions;
mod escalations;
pub mod fields;
mod overlays;
mod reader;
mod redact;
pub mod schema;
mod sections;
mod sets;
mod when;
mod windows;

pub use self::conditions::RawHistory;
pub use self::escalations::{RawEscalation, Then};
pub use self::reader::At;
pub use self::redact::RawRedact;
pub(crate) use self::when::{Counted, Resolver};
pub use self::when::{RawCondition, RawWhen};

use jiff::Timestamp;

use crate::policy::{AuditFailure, Version};
use crate::problem::{Problem, Source, Span};
use crate::redact::case::RedactCase;
use crate::rule::Title;
use crate::rule::calendar::Calendar;
use crate::rule::moment::Transaction;
use crate::rule::overlay::Period;
use crate::rule::subject::Subject;
use crate::rule::window::Window;
use crate::statement::LexState;
use crate::test_table::Channel;
use crate::vocabulary::{Action, Mode, RecordDetail, Severity};

/// One policy file.
#[derive(Clone, Debug, Default)]
pub struct File {
    /// `[policy] name`.
    pub name: Option<At<String>>,
    /// `[policy] version`.
    pub version: Option<At<String>>,
    /// `[defaults]`.
    pub defaults: RawDefaults,
    /// `include`.
    pub include: Vec<At<String>>,
    /// `[pack]`.
    pub pack: Option<RawPack>,
    /// `[overlay]`.
    pub overlay: Option<RawOverlay>,
    /// `[[change]]`.
    pub changes: Vec<RawChange>,
    /// `[calendar.NAME]`.
    pub calendars: Vec<At<Calendar>>,
    /// `[time.NAME]`.
    pub windows: Vec<At<RawWindow>>,
    /// `[listener.NAME]`.
    pub listeners: Vec<At<(Box<str>, Mode)>>,
    /// `[[rule]]`.
    pub rules: Vec<RawRule>,
    /// `[[escalation]]`.
    pub escalations: Vec<RawEscalation>,
    /// `[[test]]`.
    pub tests: Vec<RawCase>,
    /// `[[redact]]`.
    pub redactions: Vec<RawRedact>,
    /// `[[redact_test]]`.
    pub redact_tests: Vec<RedactCase>,
}

/// `[time.NAME]`: the calendar is not yet looked up.
#[derive(Clone, Debug)]
pub struct RawWindow {
    /// What else there is.
    pub window: Window,
    /// `calendar`.
    pub calendar: Option<At<String>>,
    /// Whether `days` has `workday`.
    pub workday: bool,
    /// Whether `days` has `holiday`.
    pub holiday: bool,
}

/// `[pack]`.
#[derive(Clone, Debug)]
pub struct RawPack {
    /// `id`.
    pub id: At<String>,
    /// `version`.
    pub version: Version,
    /// `requires`.
    pub requires: Vec<RawRequirement>,
}

/// A pack that another one needs.
#[derive(Clone, Debug)]
pub struct RawRequirement {
    /// Its name.
    pub id: At<String>,
    /// The least version that will do.
    pub least: Version,
}

/// `[overlay]`.
#[derive(Clone, Debug)]
pub struct RawOverlay {
    /// `id`.
    pub id: At<String>,
    /// `owner`.
    pub owner: Box<str>,
    /// `reason`.
    pub reason: Box<str>,
    /// `from` and `until`.
    pub period: Period,
}

/// `[[change]]`.
#[derive(Clone, Debug)]
pub struct RawChange {
    /// `rule`.
    pub rule: At<String>,
    /// `action`.
    pub action: Option<Action>,
    /// `mode`.
    pub mode: Option<Mode>,
    /// `severity`.
    pub severity: Option<Severity>,
}

/// `[defaults]`, as far as this file says something.
#[derive(Clone, Debug, Default)]
pub struct RawDefaults {
    /// `action`.
    pub action: Option<At<Action>>,
    /// `unreadable`.
    pub unreadable: Option<At<Action>>,
    /// `audit_failure`.
    pub audit_failure: Option<At<AuditFailure>>,
    /// `mode`.
    pub mode: Option<At<Mode>>,
    /// `search_path`.
    pub search_path: Option<At<Vec<Box<str>>>>,
}

/// `[[rule]]`.
#[derive(Clone, Debug)]
pub struct RawRule {
    /// `id`.
    pub id: At<String>,
    /// `severity`.
    pub severity: Severity,
    /// `title`.
    pub title: Title,
    /// `tags`.
    pub tags: Vec<Box<str>>,
    /// `when`.
    pub when: At<RawWhen>,
    /// `action`.
    pub action: Action,
    /// `mode`.
    pub mode: Option<Mode>,
    /// `message`.
    pub message: Option<Box<str>>,
    /// `record`.
    pub record: Option<At<RecordDetail>>,
}

/// `[[test]]`.
#[derive(Clone, Debug)]
pub struct RawCase {
    /// Where it stands.
    pub span: Span,
    /// `title`.
    pub title: Option<String>,
    /// `sql`, with the place of each statement.
    pub sql: Vec<At<String>>,
    /// One subject for each dialect.
    pub subjects: Vec<(Subject, LexState)>,
    /// `at`.
    pub at: Timestamp,
    /// `replication` and `function_call`.
    pub channel: Channel,
    /// `transaction`, `transaction_access` and `isolation`.
    pub transaction: Transaction,
    /// `parameters`.
    pub parameters: Option<Vec<Option<String>>>,
    /// `before`, as often as `before_times` says.
    pub before: Vec<String>,
    /// `expect.action`.
    pub action: Action,
    /// `expect.rule`.
    pub rule: Option<At<String>>,
}

/// The files that a text includes, each with its place; none if it can't be read.
pub(crate) fn includes(text: &str) -> Vec<(std::ops::Range<usize>, String)> {
    sections::includes(text)
}

/// Reads the sources of a policy; what could be read comes back together with everything that is wrong.
#[must_use]
pub fn read(sources: &[Source]) -> (Vec<File>, Vec<Problem>) {
    sections::read(sources)
}
