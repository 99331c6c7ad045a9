//! The packs beside the baseline: their own tests, and whether every rule of them is described and tested.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeMap;
use std::path::PathBuf;

use sqlward_policy::{Policy, load};

/// Some packs, loaded together.
fn packs(names: &[&str]) -> Policy {
    let rules = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../rules");
    let folders: Vec<PathBuf> = names.iter().map(|name| rules.join(name)).collect();
    match load(&folders) {
        Ok(policy) => policy,
        Err(problems) => panic!("{problems}"),
    }
}

fn check(name: &str) {
    let policy = packs(&[name]);
    let warnings: Vec<String> = policy.warnings.iter().map(ToString::to_string).collect();
    assert!(warnings.is_empty(), "{}", warnings.join("\n"));
    let results = policy.run_tests().unwrap();
    assert!(results.passed(), "{results}");
    assert_eq!(
        results.unproved,
        Vec::<String>::new(),
        "rules without a test that shows them to decide"
    );
    let mut positive: BTreeMap<&str, usize> = BTreeMap::new();
    let mut negative: BTreeMap<usize, usize> = BTreeMap::new();
    for case in &policy.tests {
        match &case.rule {
            Some(rule) => *positive.entry(rule).or_default() += case.sql.len(),
            None => *negative.entry(case.span.source).or_default() += case.sql.len(),
        }
    }
    let mut rules_of: BTreeMap<usize, usize> = BTreeMap::new();
    for rule in &policy.rules {
        let id = &rule.id;
        assert!(
            rule.title.en.is_some() && rule.title.zh.is_some(),
            "{id}: title"
        );
        assert!(!rule.tags.is_empty(), "{id}: tags");
        assert!(rule.message.is_some(), "{id}: message");
        assert!(
            positive.get(&**id).copied().unwrap_or(0) >= 2,
            "{id}: positive tests"
        );
        *rules_of.entry(rule.span.source).or_default() += 1;
    }
    for (source, rules) in rules_of {
        let tests = negative.get(&source).copied().unwrap_or(0);
        assert!(
            tests >= 2 * rules,
            "{}: negative tests",
            policy.sources[source].name
        );
    }
}

#[test]
fn injection() {
    check("injection");
}

#[test]
fn exfiltration() {
    check("exfiltration");
}

#[test]
fn privilege() {
    check("privilege");
}

#[test]
fn financial_hours() {
    check("financial-hours");
}

#[test]
fn personal_data() {
    check("personal-data");
}

#[test]
fn virtual_patches() {
    check("virtual-patches");
}

#[test]
fn all_of_them_load_together() {
    let policy = packs(&[
        "baseline",
        "injection",
        "exfiltration",
        "privilege",
        "virtual-patches",
        "financial-hours",
        "personal-data",
    ]);
    assert!(policy.rules.len() > 80, "{} rules", policy.rules.len());
}
