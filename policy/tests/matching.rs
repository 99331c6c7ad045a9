//! The index, the alternatives and the kept matches agree with the conditions as they are written.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::rc::Rc;

use jiff::Timestamp;
use proptest::prelude::*;
use sqlward_policy::rule::moment::Circumstances;
use sqlward_policy::rule::statement::StatementView;
use sqlward_policy::rule::{Condition, Sense, Test, When};
use sqlward_policy::statement::{Known, LexState, Limits, Reader, analyse};
use sqlward_policy::vocabulary::Action;
use sqlward_policy::{Policy, Request, Subject, compile, decide};

/// A Monday noon.
const NOW: Timestamp = Timestamp::constant(1_767_614_400, 0);

/// Whether a `when` holds, read as it is written.
fn holds(
    when: &When,
    action: Action,
    negated: bool,
    subject: &Subject,
    view: &StatementView<'_>,
) -> bool {
    when.conditions.iter().all(|condition| match condition {
        Condition::Test(test) => {
            let sense = Sense::of(action, negated);
            match &**test {
                Test::Subject(test) => test.holds(subject, sense),
                Test::Statement(test) => test.holds(view, sense),
                Test::Moment(_) => panic!("no moments here"),
            }
        }
        Condition::Not(inner) => !holds(inner, action, !negated, subject, view),
        Condition::Any(inner) => inner
            .iter()
            .any(|when| holds(when, action, negated, subject, view)),
    })
}

const FIELDS: [&str; 35] = [
    "risk = \">= 40\"",
    "risk = \"0..9\"",
    "user = \"a\"",
    "user = [\"b\", \"c*\"]",
    "database = \"d\"",
    "client = \"10.0.0.0/8\"",
    "verb = \"select\"",
    "verb = [\"insert\", \"update\"]",
    "verb = [\"delete\", \"drop\"]",
    "class = [\"write\", \"ddl\"]",
    "class = \"read\"",
    "object = \"t\"",
    "object = \"s.t\"",
    "object = [\"s.*\", \"u\"]",
    "object = \"*.u\"",
    "object = \"s.*\"",
    "object = [\"s.t*\", \"r.*\"]",
    "object = \"pg_catalog.*\"",
    "object = \"t*\", access = \"write\"",
    "object_kind = [\"schema\", \"role\"]",
    "access = \"read\"",
    "function = \"lower\"",
    "function = [\"pg_*\", \"public.f\"]",
    "column = \"t.a\"",
    "column = \"b\", column_use = [\"filter\"]",
    "where = [\"absent\", \"always-true\"]",
    "limit = \"absent\"",
    "egress = [\"copy-out\", \"server-file\"]",
    "multi_statement = true",
    "dynamic = false",
    "unreadable = true",
    "unreadable = [\"encoding\"]",
    "setting = \"work_mem\"",
    "setting = [\"log_*\", \"row_security=off\"]",
    "replication = false",
];

const STATEMENTS: [&str; 27] = [
    "SELECT a FROM t",
    "SELECT a, b FROM s.t WHERE b = 1 LIMIT 1",
    "SELECT lower(x), pg_read_file('f') FROM r.u",
    "SELECT public.f(1)",
    "SELECT 1",
    "INSERT INTO t SELECT * FROM u",
    "INSERT INTO s.t (a) VALUES (1)",
    "UPDATE t SET a = 1",
    "UPDATE t SET a = 1 WHERE b = 2",
    "DELETE FROM s.u WHERE 1 = 1",
    "WITH x AS (DELETE FROM t RETURNING a) SELECT * FROM x, u",
    "DROP TABLE t, s.u",
    "DROP SCHEMA s",
    "CREATE ROLE t",
    "COPY t TO STDOUT",
    "SET work_mem = 1",
    "SET row_security = off",
    "ALTER DATABASE d SET log_statement = 'all'",
    "DO $$ begin end $$",
    "BEGIN; UPDATE t SET a = 1; SELECT 1 FROM s.u; COMMIT",
    "SELECT 1; SELECT 1; SELECT 2 FROM t",
    "SELEC a FROM t",
    "",
    "EXPLAIN ANALYZE DELETE FROM t WHERE a = 1",
    "TRUNCATE s.t",
    "CALL lower('x')",
    "SELECT relname FROM pg_class",
];

fn conditions() -> impl Strategy<Value = String> {
    let leaf =
        prop::sample::subsequence((0..FIELDS.len()).collect::<Vec<_>>(), 1..3).prop_map(|picked| {
            let mut names: Vec<&str> = Vec::new();
            let mut fields = Vec::new();
            for field in picked.into_iter().filter_map(|at| FIELDS.get(at)) {
                let keys: Vec<&str> = field
                    .split(", ")
                    .filter_map(|f| f.split(" = ").next())
                    .collect();
                // A key stands once; lists inside brackets have no key of their own.
                if keys.iter().all(|key| !names.contains(key)) {
                    names.extend(keys);
                    fields.push((*field).to_owned());
                }
            }
            fields.join(", ")
        });
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|when| format!("not = {{ {when} }}")),
            (inner.clone(), inner.clone())
                .prop_map(|(a, b)| format!("any = [ {{ {a} }}, {{ {b} }} ]")),
            (inner.clone(), inner.clone(), inner)
                .prop_map(|(a, b, c)| format!("any = [ {{ {a} }}, {{ {b} }} ], not = {{ {c} }}")),
        ]
    })
}

fn build(whens: &[String], actions: &[&str], path: Option<&str>) -> Option<Policy> {
    let mut text =
        "schema = 1\n[defaults]\naction = \"allow\"\nunreadable = \"allow\"\n".to_owned();
    if let Some(path) = path {
        text.push_str(&format!("search_path = [\"{path}\"]\n"));
    }
    for (number, (when, action)) in whens.iter().zip(actions.iter().cycle()).enumerate() {
        text.push_str(&format!(
            "[[rule]]\nid = \"r{number}\"\nwhen = {{ {when} }}\naction = \"{action}\"\n"
        ));
    }
    // Rules that can never match and rules in the shadow of another are refused: nothing to compare.
    compile(vec![("p".into(), text)]).ok()
}

fn known(sql: &str) -> Rc<Known> {
    let (lex, limits) = (LexState::default(), Limits::default());
    let mut reader = Reader::new(1 << 20, limits.clone());
    reader.remember(sql.as_bytes(), &lex, analyse(sql.as_bytes(), &lex, &limits))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn rules_match_as_they_are_written(
        whens in prop::collection::vec(conditions(), 1..6),
        path in prop::option::of(prop::sample::select(vec!["s", "r"])),
        users in prop::sample::select(vec!["a", "b", "cc"]),
        inside in any::<bool>(),
    ) {
        let Some(policy) = build(&whens, &["deny", "alert", "terminate"], path) else {
            return Ok(());
        };
        let subject = Subject {
            user: users.into(),
            database: "d".into(),
            client: if inside { "10.1.1.1" } else { "127.0.0.1" }.parse().unwrap(),
            ..Subject::default()
        };
        let standing = policy.standing(&subject);
        for sql in STATEMENTS {
            let known = known(sql);
            let facts = &known.analysis.facts;
            let print = Some(known.analysis.fingerprint.0);
            let mut expected: Vec<&str> = Vec::new();
            for rule in &policy.rules {
                let path = policy.defaults.search_path.as_ref();
                let matched = StatementView::of(facts, facts.unreadable, print, path)
                    .any(|view| holds(&rule.when, rule.action, false, &subject, &view));
                if matched {
                    expected.push(&rule.id);
                }
            }
            let request = Request {
                statement: &known, standing: &standing, now: NOW, also: &[], unreadable_override: None, circumstances: Circumstances::default(),
            };
            for _ in 0..2 {
                let decision = decide(&policy, &request);
                let mut found: Vec<&str> = decision
                    .rules
                    .iter()
                    .filter_map(|index| policy.rule(*index))
                    .map(|rule| &*rule.id)
                    .collect();
                found.sort_unstable();
                prop_assert_eq!(&found, &expected, "{}", sql);
            }
        }
    }

    /// Touching more never turns a refusal by a rule into a pass, nor a pass by default-deny into a refusal's opposite.
    #[test]
    fn adding_a_statement_never_opens(
        whens in prop::collection::vec(conditions(), 1..5),
        default in prop::sample::select(vec!["allow", "deny"]),
        first in prop::sample::select(STATEMENTS.to_vec()),
        second in prop::sample::select(STATEMENTS.to_vec()),
    ) {
        // Conditions on the number of statements, and texts that are not read, are about the message as a whole.
        // So is the risk, which the number of statements adds to.
        let alone = |when: &String| !when.contains("multi_statement") && !when.contains("risk");
        prop_assume!(whens.iter().all(alone));
        let (one, two) = (known(first), known(second));
        let both = known(&format!("{first}; {second}"));
        let readable = |known: &Known| known.analysis.facts.unreadable.is_none();
        prop_assume!(readable(&one) && readable(&two) && readable(&both));
        let text = build(&whens, &["allow", "deny", "allow"], None);
        let Some(mut policy) = text else { return Ok(()) };
        policy.defaults.action = if default == "deny" { Action::Deny } else { Action::Allow };
        let standing = policy.standing(&Subject::default());
        let judge = |known: &Known| {
            let request = Request {
                statement: known, standing: &standing, now: NOW, also: &[], unreadable_override: None, circumstances: Circumstances::default(),
            };
            decide(&policy, &request).judged
        };
        if !first.is_empty() && !second.is_empty() {
            prop_assert_eq!(judge(&both), judge(&one).max(judge(&two)));
        }
    }
}

/// The properties above compare something: most random policies compile.
#[test]
fn most_random_policies_compile() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let compiled = (0..200)
        .filter(|_| {
            let when = conditions().new_tree(&mut runner).unwrap().current();
            build(&[when], &["deny"], None).is_some()
        })
        .count();
    assert!(compiled > 150, "{compiled} of 200");
}
