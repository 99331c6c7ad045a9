//! What is legal and hardly meant is found, with its place; what is meant is not.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use sqlward_policy::lint::{Hits, lint};
use sqlward_policy::{Policy, compile};

fn policy(text: &str) -> Policy {
    let text = format!("schema = 1\n{text}");
    compile(vec![("p.toml".into(), text)]).unwrap_or_else(|problems| panic!("{problems}"))
}

/// The findings, one a line.
fn found(text: &str) -> Vec<String> {
    let problems = lint(&policy(text), None);
    assert!(
        problems.iter().all(|one| one.expected.is_some()),
        "{problems:?}"
    );
    problems.iter().map(ToString::to_string).collect()
}

const OPEN: &str = "[defaults]\naction = \"allow\"\nsearch_path = [\"public\"]\n";
const CLOSED: &str = "[defaults]\naction = \"deny\"\nsearch_path = [\"public\"]\n";

fn rule(id: &str, when: &str, action: &str) -> String {
    format!("[[rule]]\nid = \"{id}\"\nwhen = {{ {when} }}\naction = \"{action}\"\n")
}

fn one(text: &str, part: &str) {
    let found = found(text);
    assert!(
        found.len() == 1 && found[0].contains(part),
        "{text}\n{found:#?}"
    );
    assert!(found[0].starts_with("p.toml:"), "{found:?}");
}

fn none(text: &str) {
    let found = found(text);
    assert!(found.is_empty(), "{text}\n{found:#?}");
}

#[test]
fn rules_that_another_one_always_beats() {
    let wide = rule("wide", "verb = [\"delete\", \"update\"]", "deny");
    for narrow in [
        "verb = \"delete\"",
        "verb = \"delete\", where = \"absent\"",
        "verb = \"update\", user = \"app\", not = { client = \"10.0.0.0/8\" }",
    ] {
        one(
            &format!("{OPEN}{wide}{}", rule("narrow", narrow, "alert")),
            "`narrow` never decides",
        );
        one(
            &format!("{OPEN}{wide}{}", rule("narrow", narrow, "deny")),
            "`narrow` adds nothing",
        );
    }
    let pairs = [
        ("user = \"app_*\"", "user = [\"app_ro\", \"app_r*\"]"),
        ("client = \"10.0.0.0/8\"", "client = \"10.1.0.0/16\""),
        (
            "object = \"shop.*\"",
            "object = \"shop.orders\", access = \"read\"",
        ),
        (
            "not = { user = \"dba\" }, verb = \"drop\"",
            "not = { user = [\"dba\", \"ops\"] }, verb = \"drop\"",
        ),
        (
            "any = [ { user = \"a\" }, { role = \"b\" } ]",
            "role = \"b\", verb = \"drop\"",
        ),
    ];
    for (wide, narrow) in pairs {
        let (wide, narrow) = (rule("wide", wide, "deny"), rule("narrow", narrow, "deny"));
        one(&format!("{OPEN}{wide}{narrow}"), "`narrow` adds nothing");
        one(&format!("{OPEN}{narrow}{wide}"), "`narrow` adds nothing");
    }
    let wide = rule("no", "object = \"secret\"", "deny");
    one(
        &format!(
            "{CLOSED}{wide}{}",
            rule("yes", "object = \"secret\", verb = \"select\"", "allow")
        ),
        "`yes` never decides",
    );
}

#[test]
fn rules_that_only_look_alike() {
    let pairs = [
        ("user = \"app_r*\"", "user = \"app_*\""),
        ("verb = \"delete\", where = \"absent\"", "verb = \"delete\""),
        (
            "not = { user = [\"dba\", \"ops\"] }, verb = \"drop\"",
            "not = { user = \"dba\" }, verb = \"drop\"",
        ),
        ("object = \"shop.*\"", "object = \"*.orders\""),
        ("user = \"a\"", "role = \"a\""),
    ];
    for (first, second) in pairs {
        // The second is wider than the first, or neither is: an alert that is wider than a denial decides.
        let (first, second) = (
            rule("first", first, "deny"),
            rule("second", second, "alert"),
        );
        none(&format!("{OPEN}{first}{second}"));
    }
    // One that is only observed does not stand in for one that is carried out.
    let observed = rule("wide", "verb = \"delete\"", "deny") + "mode = \"observe\"\n";
    none(&format!(
        "{OPEN}{observed}{}",
        rule("narrow", "verb = \"delete\", where = \"absent\"", "deny")
    ));
}

#[test]
fn alternatives_that_never_hold() {
    let text = "any = [ { user = \"a\", verb = \"drop\" }, { verb = \"begin\", class = \"ddl\" } ]";
    one(
        &format!("{OPEN}{}", rule("r", text, "deny")),
        "an alternative of `r` never holds",
    );
}

#[test]
fn allow_rules_that_let_everything_pass() {
    for broad in [
        "everything = true",
        "verb = \"select\"",
        "class = \"write\"",
        "object = \"*\", access = \"any\"",
    ] {
        one(
            &format!("{CLOSED}{}", rule("r", broad, "allow")),
            "`r` allows everything of its kind",
        );
    }
    for narrow in [
        "class = \"tcl\"",
        "verb = [\"begin\", \"commit\"]",
        "user = \"app\", verb = \"select\"",
        "object = \"shop.*\", verb = \"select\"",
        "verb = \"replication\"",
    ] {
        none(&format!("{CLOSED}{}", rule("r", narrow, "allow")));
    }
}

#[test]
fn rules_that_nothing_hits() {
    let text = format!(
        "{OPEN}{}{}",
        rule("hit", "verb = \"drop\"", "deny"),
        rule("idle", "verb = \"grant\"", "deny")
    );
    let hits = Hits {
        rules: vec!["hit".into(), "gone".into()],
        within: "30d".into(),
    };
    let problems = lint(&policy(&text), Some(&hits));
    let [problem] = problems.as_slice() else {
        panic!("{problems:?}")
    };
    assert_eq!(problem.message, "nothing has matched `idle` within 30d");
    assert_eq!((problem.line, &*problem.file), (10, "p.toml"));
}

#[test]
fn the_packs_are_clean() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../rules/baseline");
    let policy = sqlward_policy::load(&[folder]).unwrap();
    let problems = lint(&policy, None);
    assert!(problems.is_empty(), "{problems:#?}");
}
