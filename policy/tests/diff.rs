//! Policies compared by what they say, not by how they are written.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use jiff::Timestamp;
use sqlward_policy::diff::{Report, diff};
use sqlward_policy::explain::{Question, explain};
use sqlward_policy::replay::Change;
use sqlward_policy::statement::LexState;
use sqlward_policy::vocabulary::Action;
use sqlward_policy::{Policy, Subject, compile};

const NOW: &str = "2026-11-25T12:00:00Z";

fn policy(body: &str) -> Policy {
    let text = format!("schema = 1\n{body}");
    compile(vec![("p.toml".into(), text)]).unwrap_or_else(|problems| panic!("{problems}"))
}

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

fn compared(old: &str, new: &str) -> Report {
    let (old, new) = (policy(old), policy(new));
    let report = diff(&old, &new, now()).unwrap();
    for difference in &report.differences {
        assert!(!difference.examples.is_empty());
        for example in &difference.examples {
            confirm([&old, &new], [difference.before, difference.after], example);
        }
    }
    report
}

/// Decides an example's text anew, for subjects that differ in nothing but user, time and client.
fn confirm(policies: [&Policy; 2], actions: [Action; 2], example: &sqlward_policy::diff::Example) {
    let Some(sql) = &example.sql else { return };
    let mut subject = Subject {
        user: "someone".into(),
        role: Some("someone".into()),
        database: "some_database".into(),
        client: [192, 0, 2, 1].into(),
        application: "some application".into(),
        listener: "some-listener".into(),
        ..Subject::default()
    };
    let mut at = now();
    for (name, value) in &example.subject {
        match *name {
            "user" => {
                subject.user.clone_from(value);
                subject.role = Some(value.clone());
            }
            "client" => subject.client = value.parse().unwrap(),
            "at" => at = value.parse().unwrap(),
            other => panic!("{other}"),
        }
    }
    for (policy, action) in policies.into_iter().zip(actions) {
        let question = Question {
            sql: sql.as_bytes(),
            subject: &subject,
            now: at,
            lex: LexState::default(),
            replication: false,
        };
        let found = explain(policy, &question).unwrap();
        assert_eq!(found.decision.judged, action, "{sql}: {}", found.text());
    }
}

const OPEN: &str = "[defaults]\naction = \"allow\"\n";

fn rule(id: &str, when: &str, action: &str) -> String {
    format!("[[rule]]\nid = \"{id}\"\nwhen = {{ {when} }}\naction = \"{action}\"\n")
}

#[test]
fn what_is_called_otherwise_is_the_same() {
    let one = rule("a", "verb = \"delete\", user = \"app\"", "deny");
    let other = rule("b", "user = \"app\", verb = \"delete\"", "deny");
    let report = compared(&format!("{OPEN}{one}"), &format!("{OPEN}{other}"));
    assert!(report.is_same() && report.complete, "{}", report.text());
}

#[test]
fn a_new_rule_denies() {
    let new = rule(
        "bounded",
        "verb = [\"update\", \"delete\"], where = [\"absent\", \"always-true\"]",
        "deny",
    );
    let report = compared(OPEN, &format!("{OPEN}{new}"));
    let [difference] = report.differences.as_slice() else {
        panic!("{}", report.text());
    };
    assert_eq!(difference.change(), Some(Change::Denied));
    assert_eq!(difference.because, ["the default", "`bounded`"]);
    let sql = difference.examples[0].sql.as_deref().unwrap();
    assert!(
        sql.starts_with("UPDATE") || sql.starts_with("DELETE"),
        "{sql}"
    );
    // The other way round it is allowed.
    let back = compared(&format!("{OPEN}{new}"), OPEN);
    assert_eq!(back.differences[0].change(), Some(Change::Allowed));
}

#[test]
fn a_narrower_name_lets_some_through() {
    let of = |user: &str| {
        format!(
            "{OPEN}{}",
            rule("r", &format!("user = \"{user}\", verb = \"drop\""), "deny")
        )
    };
    let report = compared(&of("app_*"), &of("app_r*"));
    let [difference] = report.differences.as_slice() else {
        panic!("{}", report.text());
    };
    assert_eq!(difference.change(), Some(Change::Allowed));
    assert_eq!(
        difference.examples[0].subject,
        [("user", "app_any".to_owned())]
    );
}

#[test]
fn what_another_rule_denies_anyway_is_no_difference() {
    let wide = rule("wide", "verb = \"delete\"", "deny");
    let narrow = rule("narrow", "verb = \"delete\", where = \"absent\"", "deny");
    let report = compared(&format!("{OPEN}{wide}"), &format!("{OPEN}{wide}{narrow}"));
    assert!(report.is_same(), "{}", report.text());
    assert!(report.compared > 0);
}

#[test]
fn exceptions_count() {
    let old = rule("r", "object = \"secret\", access = \"read\"", "deny");
    let new = rule(
        "r",
        "object = \"secret\", access = \"read\", not = { client = \"10.1.0.0/16\" }",
        "deny",
    );
    let report = compared(&format!("{OPEN}{old}"), &format!("{OPEN}{new}"));
    let [difference] = report.differences.as_slice() else {
        panic!("{}", report.text());
    };
    assert_eq!(difference.change(), Some(Change::Allowed));
    assert!(
        difference.examples[0]
            .subject
            .iter()
            .any(|(name, value)| *name == "client" && value.starts_with("10.1."))
    );
}

#[test]
fn times_and_defaults_count() {
    let of = |to: &str| {
        format!(
            "{OPEN}[time.work]\nfrom = \"08:00\"\nto = \"{to}\"\n{}",
            rule("late", "verb = \"drop\", not = { time = \"work\" }", "deny")
        )
    };
    let report = compared(&of("18:00"), &of("20:00"));
    let [difference] = report.differences.as_slice() else {
        panic!("{}", report.text());
    };
    assert_eq!(difference.change(), Some(Change::Allowed));
    let (_, at) = difference.examples[0]
        .subject
        .iter()
        .find(|(name, _)| *name == "at")
        .unwrap();
    assert!(at.contains("T18:") || at.contains("T19:"), "{at}");

    let report = compared(OPEN, "[defaults]\naction = \"deny\"\nmode = \"observe\"\n");
    assert!(
        report
            .notes
            .contains(&"defaults.action: allow -> deny".to_owned())
    );
    assert!(
        report
            .notes
            .contains(&"defaults.mode: enforce -> observe".to_owned())
    );
    assert!(
        report
            .differences
            .iter()
            .all(|one| one.change() == Some(Change::Denied))
    );
}

#[test]
fn every_condition_of_the_language_has_requests_that_match_it() {
    let conditions = [
        "user = \"a\"",
        "role = \"a\"",
        "database = \"a\"",
        "application = \"a\"",
        "listener = \"a\"",
        "end_user = \"a\"",
        "end_user_trust = \"comment\"",
        "tls_identity = \"a*\"",
        "client = \"10.0.0.0/8\"",
        "dialect = \"mysql\"",
        "verb = \"vacuum\"",
        "class = \"dcl\"",
        "object = \"a.b\"",
        "object = \"a\", access = \"ddl\"",
        "object_kind = \"role\"",
        "column = \"t.c\", column_use = \"filter\"",
        "function = \"f\"",
        "where = \"always-true\"",
        "limit = \"present\"",
        "egress = \"dblink\"",
        "multi_statement = true",
        "dynamic = true",
        "fingerprint = \"00112233445566778899aabbccddeeff\"",
        "unreadable = \"encoding\"",
        "setting = \"a=b\"",
        "replication = true",
        "any = [ { user = \"a\", verb = \"drop\" }, { not = { class = [\"read\", \"write\"] }, object = \"x*\" } ]",
    ];
    for condition in conditions {
        let (old, new) = (
            policy(OPEN),
            policy(&format!("{OPEN}{}", rule("r", condition, "deny"))),
        );
        let report = diff(&old, &new, now()).unwrap();
        assert!(
            report.unmatched.is_empty(),
            "{condition}: {}",
            report.text()
        );
        let denied = report
            .differences
            .iter()
            .any(|one| one.after == Action::Deny);
        // Replication and what can't be read are denied by default.
        let anyway = condition.starts_with("replication") || condition.starts_with("unreadable");
        assert!(denied || anyway, "{condition}: {}", report.text());
    }
}

#[test]
fn allow_rules_have_requests_that_match_them() {
    let closed = "[defaults]\naction = \"deny\"\n";
    for (when, sql) in [
        ("verb = \"select\", object = \"shop.*\"", true),
        (
            "user = \"app\", verb = \"insert\", object = \"orders\"",
            true,
        ),
        ("class = \"tcl\"", true),
        ("verb = \"replication\"", false),
    ] {
        let (old, new) = (
            policy(closed),
            policy(&format!("{closed}{}", rule("r", when, "allow"))),
        );
        let report = diff(&old, &new, now()).unwrap();
        let allowed = report
            .differences
            .iter()
            .find(|one| one.change() == Some(Change::Allowed));
        let allowed = allowed.unwrap_or_else(|| panic!("{when}: {}", report.text()));
        assert_eq!(
            allowed.examples[0].sql.is_some(),
            sql,
            "{when}: {}",
            report.text()
        );
    }
}
