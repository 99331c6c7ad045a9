//! `[[test]]`: statements with the decision that they must get.

use jiff::Timestamp;

use crate::file::At;
use crate::problem::Span;
use crate::rule::subject::Subject;
use crate::vocabulary::Action;

/// One `[[test]]`.
#[derive(Clone, Debug)]
pub struct Case {
    /// Where it stands.
    pub span: Span,
    /// What it shows.
    pub title: Option<String>,
    /// The statements, each judged by itself.
    pub sql: Vec<At<String>>,
    /// The subjects, one for each dialect.
    pub subjects: Vec<Subject>,
    /// The time.
    pub at: Timestamp,
    /// Whether the connection is a replication connection.
    pub replication: bool,
    /// The action that the rules must say.
    pub action: Action,
    /// The rule that must decide.
    pub rule: Option<String>,
}
