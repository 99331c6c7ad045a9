//! What `policy check` says about files: everything that is wrong, or what they amount to.

use std::fmt::Write as _;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::compile::load;
use crate::policy::Policy;
use crate::problem::{self, Colour, Problem, Problems, draw};

/// The result of a check.
#[derive(Debug)]
pub struct Report {
    /// The policy, if nothing is wrong.
    pub policy: Option<Policy>,
    /// Errors and warnings, in the order of files and lines.
    pub problems: Vec<Problem>,
}

/// Loads files and folders and says everything about them.
#[must_use]
pub fn check(paths: &[PathBuf]) -> Report {
    match load(paths) {
        Ok(policy) => Report {
            problems: policy.warnings.clone(),
            policy: Some(policy),
        },
        Err(Problems(problems)) => Report {
            policy: None,
            problems,
        },
    }
}

impl Report {
    /// Whether the policy can be used.
    #[must_use]
    pub const fn passed(&self) -> bool {
        self.policy.is_some()
    }

    /// The report as text: the problems with their source lines, then one line in all.
    #[must_use]
    pub fn text(&self, colour: Colour) -> String {
        let mut text = draw(&self.problems, colour);
        let errors = self.problems.iter().filter(|problem| problem.fatal).count();
        let warnings = self.problems.len() - errors;
        if let Some(policy) = &self.policy {
            let name = policy.name.as_deref().unwrap_or("policy");
            let version = policy
                .version
                .as_deref()
                .map_or(String::new(), |v| format!(" {v}"));
            let defaults = &policy.defaults;
            // Writing to a String can't fail.
            let _ = writeln!(
                text,
                "{name}{version}: {} rules, {} time windows, {} tests in {} files; default {}, unreadable {}, mode {}",
                policy.rules.len(),
                policy.windows.len(),
                policy.tests.len(),
                policy.sources.len(),
                defaults.action,
                defaults.unreadable,
                defaults.mode,
            );
        }
        let _ = writeln!(text, "{errors} errors, {warnings} warnings");
        text
    }

    /// The report as JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        json!({
            "passed": self.passed(),
            "rules": self.policy.as_ref().map(|policy| policy.rules.len()),
            "problems": problem::json(&self.problems),
        })
    }
}
