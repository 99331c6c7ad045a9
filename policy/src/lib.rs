//! Decides: (Policy, Request) → Decision. Pure, synchronous, total; owns statement analysis.
//!
//! [`compile::load`] makes a [`policy::Policy`] of files, [`policy::Policy::standing`] matches its rules against a
//! session's subject once, [`decision::decide`] decides about a statement and mints its [`decision::Permit`].

pub mod check;
pub mod compile;
pub mod decision;
pub mod detect;
pub mod diff;
pub mod explain;
pub mod file;
pub mod judge;
pub mod learn;
pub mod lint;
pub mod policy;
pub mod problem;
pub mod redact;
pub mod replay;
pub mod rule;
pub mod show;
pub mod statement;
pub mod status;
pub mod test_table;
pub mod vocabulary;

pub use compile::{compile, load};
pub use decision::{
    Cause, Decision, Note, Outcome, Permit, RefusalText, Request, RuleIndex, SQLSTATE_REFUSED,
    decide, decide_function_call, decide_startup,
};
pub use policy::{AuditFailure, Defaults, Policy, Standing};
pub use problem::{Problem, Problems};
pub use rule::subject::{EndUser, Subject};
pub use rule::version::ServerVersion;
