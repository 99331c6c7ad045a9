//! How much of a statement is recorded: what its rules say, where nothing forbids to leave anything out.

use super::Decision;
use crate::policy::Policy;
use crate::statement::Facts;
use crate::vocabulary::{Action, Class, RecordDetail};

impl Policy {
    /// How much of a statement is recorded. What is not simply allowed, can't be read, changes the schema or privileges,
    /// or runs what can't be seen, is recorded in full; else the matching rule counts that wants most.
    #[must_use]
    pub fn detail(&self, decision: &Decision, facts: &Facts) -> RecordDetail {
        if !self.reduces {
            return RecordDetail::Full;
        }
        let ordinary = facts.statements.iter().all(|statement| {
            !matches!(statement.class, Class::Ddl | Class::Dcl | Class::Admin) && !statement.dynamic
        });
        if !ordinary || decision.judged > Action::Allow || facts.unreadable.is_some() {
            return RecordDetail::Full;
        }
        let rules = decision.rules.iter().filter_map(|index| self.rule(*index));
        let said = rules.filter_map(|rule| rule.record).min();
        said.unwrap_or(RecordDetail::Full)
    }
}
