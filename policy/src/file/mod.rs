//! What the user typed: one policy file, read field by field, every value with its place.

mod case;
mod escalations;
pub mod fields;
mod reader;
mod redact;
mod sections;
mod when;

pub use self::escalations::{RawEscalation, Then};
pub use self::reader::At;
pub use self::redact::RawRedact;
pub use self::when::{RawCondition, RawWhen};

use jiff::Timestamp;

use crate::policy::AuditFailure;
use crate::problem::{Problem, Source, Span};
use crate::redact::case::RedactCase;
use crate::rule::Title;
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
    /// `[time.NAME]`.
    pub windows: Vec<At<Window>>,
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
    /// `expect.action`.
    pub action: Action,
    /// `expect.rule`.
    pub rule: Option<At<String>>,
}

impl File {
    /// Reads a source; what could be read comes back together with everything that is wrong.
    #[must_use]
    pub fn read(source: &Source, number: usize) -> (Self, Vec<Problem>) {
        sections::read(source, number)
    }
}
