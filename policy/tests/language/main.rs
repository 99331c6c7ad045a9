//! The language as a whole: its manual, its schema, and what conditions and sections mean.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod manual;
mod moments;
mod overlays;
mod schema;
mod sets;

use std::path::PathBuf;

use sqlward_policy::{Policy, compile};

/// A file of the repository.
fn repository(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .join(path)
}

/// A policy of one file.
fn policy(text: &str) -> Policy {
    match compile(vec![("p.toml".into(), format!("schema = 1\n{text}"))]) {
        Ok(policy) => policy,
        Err(problems) => panic!("{problems}\n{text}"),
    }
}

/// Everything that is said about a policy of one file.
fn said(text: &str) -> String {
    match compile(vec![("p.toml".into(), format!("schema = 1\n{text}"))]) {
        Ok(policy) => {
            let warnings = policy.warnings.iter().map(ToString::to_string);
            warnings.collect::<Vec<_>>().join("\n")
        }
        Err(problems) => problems.to_string(),
    }
}

/// Runs the tests of a policy and expects them to pass.
fn passes(policy: &Policy) {
    let results = policy.run_tests().unwrap();
    assert!(results.passed() && results.run > 0, "{results}");
}
