//! The baseline pack: its own tests, and what it says about statements of ordinary applications.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeMap;
use std::path::PathBuf;

use jiff::Timestamp;
use sqlward_policy::judge::{Batch, judge};
use sqlward_policy::vocabulary::Dialect;
use sqlward_policy::{Policy, load};

/// A Monday noon.
const NOW: Timestamp = Timestamp::constant(1_767_614_400, 0);

fn baseline() -> Policy {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../rules/baseline");
    match load(&[folder]) {
        Ok(policy) => policy,
        Err(problems) => panic!("{problems}"),
    }
}

#[test]
fn its_own_tests_pass() {
    let policy = baseline();
    let warnings: Vec<String> = policy.warnings.iter().map(ToString::to_string).collect();
    assert!(warnings.is_empty(), "{}", warnings.join("\n"));
    let results = policy.run_tests().unwrap();
    assert!(results.passed(), "{results}");
    assert_eq!(
        results.unproved,
        Vec::<String>::new(),
        "rules without a test that shows them to decide"
    );
}

#[test]
fn every_rule_is_described_and_tested_both_ways() {
    let policy = baseline();
    let mut positive: BTreeMap<&str, usize> = BTreeMap::new();
    let mut negative: BTreeMap<usize, usize> = BTreeMap::new();
    for case in &policy.tests {
        match &case.rule {
            Some(rule) => *positive.entry(rule).or_default() += case.sql.len(),
            None => *negative.entry(case.span.source).or_default() += case.sql.len(),
        }
    }
    for rule in &policy.rules {
        assert!(
            rule.title.en.is_some() && rule.title.zh.is_some(),
            "{}: title",
            rule.id
        );
        assert!(!rule.tags.is_empty(), "{}: tags", rule.id);
        assert!(rule.message.is_some(), "{}: message", rule.id);
        assert!(
            positive.get(&*rule.id).copied().unwrap_or(0) >= 2,
            "{}: positive tests",
            rule.id
        );
    }
    let mut rules_of: BTreeMap<usize, usize> = BTreeMap::new();
    for rule in &policy.rules {
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

/// Where the statement corpora lie; `None` (and the tests pass without them) on machines that have none.
fn corpora() -> Option<PathBuf> {
    let folder = std::env::var_os("SQLWARD_CORPORA")
        .map(PathBuf::from)
        .unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpora"));
    let file = folder.join("pg-benign.jsonl");
    file.exists().then_some(folder)
}

/// Judges a corpus of harmless statements. What is not allowed, by kind and rule, must be what the pack is for.
fn pass(corpus: &str, dialect: Dialect, exotic: &[&str]) {
    let Some(folder) = corpora() else {
        eprintln!("no corpora: skipped");
        return;
    };
    let policy = baseline();
    let input = std::fs::read(folder.join(corpus)).unwrap();
    let mut output = Vec::new();
    let batch = Batch {
        dialect,
        now: NOW,
        threads: None,
    };
    let summary = judge(&policy, &batch, &*input, &mut output).unwrap();
    assert_eq!(summary.errors, 0);

    let mut judged: BTreeMap<(String, String), usize> = BTreeMap::new();
    let lines = input
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty());
    for (line, judgement) in lines.zip(output.split(|byte| *byte == b'\n')) {
        let line: serde_json::Value = serde_json::from_slice(line).unwrap();
        let judgement: serde_json::Value = serde_json::from_slice(judgement).unwrap();
        assert_eq!(line["id"], judgement["id"], "the order is kept");
        let kind = line["kind"].as_str().unwrap();
        if judgement["decision"] == "allow" || exotic.contains(&kind) {
            continue;
        }
        // Test suites empty and drop their own tables, and benchmarks sleep; that is what these rules are for.
        let rule = judgement["rules"][0].as_str().unwrap_or("(unreadable)");
        let honest = [
            "unbounded-write",
            "drop-relation",
            "drop-container",
            "truncate",
            "sleep",
        ];
        assert!(honest.contains(&rule), "{kind} {rule}: {}", line["sql"]);
        *judged.entry((kind.into(), rule.into())).or_default() += 1;
    }
    for ((kind, rule), statements) in judged {
        println!("{statements:5} {kind} {rule}");
    }
}

#[test]
fn statements_of_ordinary_applications_pass() {
    pass(
        "pg-benign.jsonl",
        Dialect::Postgres,
        &["regress", "grammar"],
    );
}

#[test]
fn statements_of_ordinary_mysql_applications_pass() {
    pass("mysql-benign.jsonl", Dialect::Mysql, &["grammar"]);
}
