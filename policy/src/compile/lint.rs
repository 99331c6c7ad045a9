//! What is legal line by line and wrong or suspicious as a whole.

use hashbrown::HashMap;

use super::Compiler;
use crate::file::{File, RawRule};
use crate::policy::Defaults;
use crate::rule::clause::PRIVILEGED;
use crate::rule::moment::MomentTest;
use crate::rule::object::NamePattern;
use crate::rule::statement::StatementTest;
use crate::rule::subject::SubjectTest;
use crate::rule::window::Window;
use crate::rule::{Condition, Rule, Test, When};
use crate::vocabulary::{Action, Dialect};

impl Compiler {
    /// `record` where everything is recorded in full anyway.
    pub(super) fn recorded_less(&mut self, raw: &RawRule) {
        let Some(record) = &raw.record else { return };
        if raw.action != Action::Allow {
            let problem = self
                .problem(
                    &record.span,
                    "what is denied or alerts is recorded in full: `record` can't change that",
                )
                .expected("`record` in rules with `action = \"allow\"` only");
            self.report(problem);
        }
    }

    /// Warns of what is legal and rarely meant.
    pub(super) fn suspicions(&mut self, raw: &RawRule, when: &When, defaults: &Defaults) {
        let mut warn = |message: &str, expected: &str| {
            let problem = self
                .problem(&raw.when.span, message)
                .expected(expected)
                .warning();
            self.report(problem);
        };
        if defaults.action == Action::Deny && raw.action == Action::Alert {
            warn(
                "what only this rule matches passes with an alert, although the default denies",
                "another action, if that is not meant",
            );
        }
        if defaults.action == Action::Allow
            && raw.action == Action::Allow
            && raw.record.is_none()
            && !names_privileged(when)
        {
            warn(
                "the default allows this already: the rule is recorded and changes nothing",
                "`[defaults] action = \"deny\"`, or a verb that only a rule can allow",
            );
        }
        let mut patterns = Vec::new();
        names_of(when, &mut patterns);
        if defaults.search_path.is_some() {
            return;
        }
        if raw.action == Action::Allow && patterns.iter().any(|name| name.needs_schema()) {
            warn(
                "unqualified names are not covered: they may lie in any schema",
                "`[defaults] search_path`, the schemas that unqualified names may lie in",
            );
        }
        let schema_wide = |name: &NamePattern| name.needs_schema() && name.name.is_any();
        if raw.action > Action::Allow && patterns.iter().any(|name| schema_wide(name)) {
            warn(
                "every unqualified name is meant, too: it may lie in that schema",
                "`[defaults] search_path`, the schemas that unqualified names may lie in",
            );
        }
    }

    /// A rule that adds nothing to another one with the same conditions is a mistake.
    pub(super) fn shadowed(&mut self, rules: &[Rule], files: &[File]) {
        let mut groups: HashMap<String, Vec<&Rule>> = HashMap::new();
        for rule in rules {
            let key = format!("{:?}{:?}{:?}", rule.mode, rule.when, rule.periods);
            groups.entry(key).or_default().push(rule);
        }
        for group in groups.values() {
            let strongest = group.iter().max_by_key(|rule| rule.action);
            let Some(strongest) = strongest.filter(|_| group.len() > 1) else {
                continue;
            };
            let first = group.iter().find(|rule| rule.action == strongest.action);
            let Some(first) = first else { continue };
            for rule in group.iter().filter(|rule| rule.id != first.id) {
                let message = format!(
                    "the rule `{}` can never decide: `{}` at {} has the same conditions and is at least as strong",
                    rule.id,
                    first.id,
                    self.place(&first.span)
                );
                let raw = files
                    .iter()
                    .flat_map(|f| &f.rules)
                    .find(|raw| *raw.id.value == *rule.id);
                let span = raw.map_or(&rule.span, |raw| &raw.when.span);
                let problem = self.problem(span, message);
                self.report(problem);
            }
        }
    }

    pub(super) fn unused(&mut self, windows: &[Window], used: &[bool], files: &[File]) {
        for (window, _) in windows.iter().zip(used).filter(|(_, used)| !**used) {
            let defined = files.iter().flat_map(|file| &file.windows);
            let Some(place) = defined
                .into_iter()
                .find(|w| w.value.window.name == window.name)
            else {
                continue;
            };
            let message = format!("no rule uses the window `{}`", window.name);
            let problem = self.problem(&place.span, message).warning();
            self.report(problem);
        }
    }
}

/// Marks the windows that a rule uses.
pub(super) fn mark_windows(when: &When, used: &mut [bool]) {
    for condition in &when.conditions {
        match condition {
            Condition::Test(test) => {
                if let Test::Moment(MomentTest::Time(windows)) = &**test {
                    for window in windows {
                        if let Some(used) = used.get_mut(*window) {
                            *used = true;
                        }
                    }
                }
            }
            Condition::Not(when) => mark_windows(when, used),
            Condition::Any(whens) => whens.iter().for_each(|when| mark_windows(when, used)),
        }
    }
}

/// The objects that it names, where it isn't known in which schema an unqualified name lies.
fn names_of<'a>(when: &'a When, names: &mut Vec<&'a NamePattern>) {
    if when.conditions.iter().any(is_mysql_only) {
        return;
    }
    for condition in &when.conditions {
        match condition {
            Condition::Test(test) => {
                if let Test::Statement(StatementTest::Object(test)) = &**test {
                    names.extend(&test.names);
                }
            }
            // What is excepted is no matter of coverage.
            Condition::Not(_) => {}
            Condition::Any(whens) => whens.iter().for_each(|when| names_of(when, names)),
        }
    }
}

/// Whether it holds in MySQL and MariaDB alone: their unqualified names lie in the current database.
fn is_mysql_only(condition: &Condition) -> bool {
    let Condition::Test(test) = condition else {
        return false;
    };
    matches!(&**test, Test::Subject(SubjectTest::Dialect(set)) if !set.contains(Dialect::Postgres))
}

/// Whether a condition names a verb that only a rule can allow.
fn names_privileged(when: &When) -> bool {
    when.conditions.iter().any(|condition| match condition {
        Condition::Test(test) => match &**test {
            Test::Statement(StatementTest::Verb(verbs)) => {
                PRIVILEGED.iter().any(|verb| verbs.contains(*verb))
            }
            Test::Statement(StatementTest::Replication(wanted)) => *wanted,
            Test::Statement(_) | Test::Subject(_) | Test::Moment(_) => false,
        },
        Condition::Not(_) => false,
        Condition::Any(whens) => whens.iter().any(names_privileged),
    })
}
