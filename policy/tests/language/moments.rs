//! Conditions on what is known only when a decision is made.

use jiff::Timestamp;
use sqlward_policy::rule::history::{Across, History};
use sqlward_policy::rule::moment::{Bound, Circumstances, Counting, Wording};
use sqlward_policy::rule::subject::EndUser;
use sqlward_policy::rule::value::{Role, Value};
use sqlward_policy::statement::{Known, LexState, Limits, Reader, analyse, literals};
use sqlward_policy::vocabulary::{Action, Dialect};
use sqlward_policy::{Decision, Policy, Request, Subject, decide};

use super::{passes, policy, said};

const NOW: Timestamp = Timestamp::constant(1_767_614_400, 0);

fn known(sql: &str) -> std::rc::Rc<Known> {
    let lex = LexState::default();
    let analysis = analyse(sql.as_bytes(), &lex, &Limits::default());
    Reader::new(1 << 20, Limits::default()).remember(sql.as_bytes(), &lex, analysis)
}

fn judge(policy: &Policy, sql: &str, circumstances: Circumstances<'_>, now: Timestamp) -> Decision {
    let subject = Subject::default();
    let request = Request {
        statement: &known(sql),
        standing: &policy.standing(&subject),
        now,
        also: &[],
        unreadable_override: None,
        circumstances,
    };
    decide(policy, &request)
}

#[test]
fn what_is_not_known_counts_against_the_statement() {
    for field in [
        "transaction = \"open\"",
        "transaction_access = \"read-write\"",
        "isolation = \"serializable\"",
        "parameter = { range = \"> 5\" }",
        "literal = { column = \"a\", range = \"> 5\" }",
    ] {
        for (when, action) in [
            (field.to_owned(), "deny"),
            (format!("not = {{ {field} }}"), "deny"),
            (field.to_owned(), "allow"),
            (format!("not = {{ {field} }}"), "allow"),
        ] {
            let default = if action == "deny" { "allow" } else { "deny" };
            let policy = policy(&format!(
                "defaults.action = \"{default}\"\n[[rule]]\nid = \"r\"\naction = \"{action}\"\nwhen = {{ {when} }}"
            ));
            let decision = judge(&policy, "SELECT $1", Circumstances::default(), NOW);
            assert_eq!(decision.judged, Action::Deny, "{action} {when}");
        }
    }
}

#[test]
fn parameters_that_come_later_are_judged_later() {
    let later = Circumstances {
        parameters: Bound::Later,
        ..Circumstances::default()
    };
    for (action, default) in [("deny", "allow"), ("allow", "deny")] {
        for when in [
            "parameter = { range = \"> 5\" }",
            "not = { parameter = { range = \"> 5\" } }",
        ] {
            let policy = policy(&format!(
                "defaults.action = \"{default}\"\n[[rule]]\nid = \"r\"\naction = \"{action}\"\nwhen = {{ {when} }}"
            ));
            let decision = judge(&policy, "SELECT $1", later, NOW);
            assert_eq!(decision.judged, Action::Allow, "{action} {when}");
        }
    }
}

#[test]
fn arguments_of_execute_are_parameters() {
    let policy = policy(
        r#"defaults.action = "allow"
[[rule]]
id = "r"
action = "deny"
when = { parameter = { position = 2, range = "> 100" } }
[[test]]
sql = ["EXECUTE p(1, 101)", "EXECUTE p(1, 2 * 3)", "EXECUTE p(1, f(2))", "EXECUTE p", "SELECT $2"]
expect = { action = "deny", rule = "r" }
[[test]]
sql = ["EXECUTE p(1000, 100)", "EXECUTE p(1, 'x')", "PREPARE p AS SELECT $1, $2"]
expect = { action = "allow" }
"#,
    );
    passes(&policy);
}

#[test]
fn a_statement_may_name_another_end_user() {
    let policy = policy(
        r#"defaults.action = "allow"
[[rule]]
id = "mallory"
action = "deny"
when = { end_user = "mallory" }
[[rule]]
id = "trusted"
action = "deny"
when = { object = "files", not = { end_user_trust = ">= setting" } }
"#,
    );
    let user = |name: &str, trust: &str| EndUser {
        name: name.into(),
        trust: trust.into(),
    };
    let session = Subject {
        end_user: Some(user("alice", "attribute")),
        ..Subject::default()
    };
    let judge = |sql: &str, claimed: Option<&EndUser>| {
        let request = Request {
            statement: &known(sql),
            standing: &policy.standing(&session),
            now: NOW,
            also: &[],
            unreadable_override: None,
            circumstances: Circumstances {
                end_user: claimed,
                ..Circumstances::default()
            },
        };
        decide(&policy, &request).judged
    };
    assert_eq!(judge("SELECT 1", None), Action::Allow);
    assert_eq!(judge("SELECT 1 FROM files", None), Action::Allow);
    let forged = user("bob", "comment");
    assert_eq!(judge("SELECT 1 FROM files", Some(&forged)), Action::Deny);
    assert_eq!(
        judge("SELECT 1", Some(&user("mallory", "comment"))),
        Action::Deny
    );
}

#[test]
fn histories_count_exactly_and_forget() {
    let policy = policy(
        r#"defaults.action = "allow"
[[rule]]
id = "many"
action = "deny"
when = { history = { count = "> 3", within = "10s", of = { object = "t" } } }
[[rule]]
id = "idle"
action = "alert"
when = { verb = "commit", history = { count = "= 0", within = "10s", of = { object = "t" } } }
"#,
    );
    let mut history = History::default();
    let mut send = |sql: &str, second: i64| {
        let now = NOW + jiff::SignedDuration::from_secs(second);
        let circumstances = Circumstances {
            history: Some(&history),
            ..Circumstances::default()
        };
        let decision = judge(&policy, sql, circumstances, now);
        history.note(&policy, &decision.counted, now);
        decision.judged
    };
    assert_eq!(send("COMMIT", 0), Action::Alert);
    for second in [0, 1, 2] {
        assert_eq!(send("SELECT 1 FROM t", second), Action::Allow);
        assert_eq!(send("SELECT 1 FROM u", second), Action::Allow);
    }
    assert_eq!(send("COMMIT", 2), Action::Allow);
    assert_eq!(send("SELECT 1 FROM t", 9), Action::Deny);
    // The first is forgotten after ten seconds; the refused one counts.
    assert_eq!(send("SELECT 1 FROM t", 10), Action::Deny);
    assert_eq!(send("SELECT 1 FROM u", 10), Action::Deny);
    assert_eq!(send("SELECT 1 FROM u", 12), Action::Allow);
    // Statements of one text count one by one.
    assert_eq!(send("SELECT 1 FROM t; SELECT 2 FROM t", 12), Action::Deny);
    assert_eq!(send("COMMIT", 60), Action::Alert);
}

struct Sent(Option<u32>);

impl Across for Sent {
    fn count(&self, counter: usize) -> Option<u32> {
        assert_eq!(counter, 0);
        self.0
    }
}

#[test]
fn what_all_sessions_have_done_comes_with_the_request() {
    let rule = |action: &str, count: &str, default: &str| {
        policy(&format!(
            "defaults.action = \"{default}\"\n[[rule]]\nid = \"rate\"\naction = \"{action}\"\n\
             when = {{ object = \"t\", history = {{ count = \"{count}\", within = \"1m\", of = {{ object = \"t\" }}, per = [\"user\"] }} }}\n"
        ))
    };
    let (beyond, up_to) = (rule("deny", "> 3", "allow"), rule("allow", "<= 3", "deny"));
    let mut history = History::default();
    let mut send = |policy: &Policy, sent: Option<u32>, counting: Counting| {
        let sent = Sent(sent);
        let circumstances = Circumstances {
            history: Some(&history),
            across: Some(&sent),
            counting,
            ..Circumstances::default()
        };
        let decision = judge(policy, "SELECT 1 FROM t", circumstances, NOW);
        assert_eq!(&*decision.counted, [0]);
        history.note(policy, &decision.counted, NOW);
        (decision.judged, decision.doubted)
    };
    for policy in [&beyond, &up_to] {
        assert_eq!(
            send(policy, Some(2), Counting::Anew),
            (Action::Allow, false)
        );
        assert_eq!(send(policy, Some(3), Counting::Anew), (Action::Deny, false));
        // Not known: it counts against the statement.
        assert_eq!(send(policy, None, Counting::Anew), (Action::Deny, true));
        // What was counted when it was bound was judged then.
        assert_eq!(
            send(policy, Some(9), Counting::Already),
            (Action::Allow, false)
        );
    }
    assert!(beyond.asks().across && !beyond.asks().end_users);
    // The session's own history has nothing of it.
    assert_eq!(history.count(&beyond, 0, NOW), 0);
    // Nobody has counted: explanations and comparisons say so.
    let decision = judge(&beyond, "SELECT 1 FROM t", Circumstances::default(), NOW);
    assert!(decision.doubted && decision.judged == Action::Deny);
}

#[test]
fn a_new_policy_counts_anew() {
    let text = r#"defaults.action = "allow"
[[rule]]
id = "many"
action = "deny"
when = { history = { count = "> 1", within = "1h", of = { everything = true } } }
"#;
    let (old, new) = (policy(text), policy(text).with_generation(1));
    let mut history = History::default();
    history.note(&old, &[0, 0, 0], NOW);
    assert_eq!(history.count(&old, 0, NOW), 2);
    assert_eq!(history.count(&new, 0, NOW), 0);
    history.note(&new, &[0], NOW);
    assert_eq!(history.count(&new, 0, NOW), 1);
}

#[test]
fn literals_are_found_with_what_they_belong_to() {
    let column = |name: &str| Role::Column(name.into());
    let function = |name: &str| Role::Function(name.into());
    let check = |sql: &str, dialect: Dialect, expected: &[(Role, Option<&str>)]| {
        let found = literals(sql.as_bytes(), &LexState::of_dialect(dialect));
        let found: Vec<(Role, Option<&str>)> = found
            .list
            .iter()
            .map(|literal| (literal.role.clone(), literal.value.as_deref()))
            .collect();
        assert_eq!(found, expected, "{sql} ({dialect})");
    };
    for dialect in [Dialect::Postgres, Dialect::Mysql, Dialect::Mariadb] {
        let check = |sql: &str, expected: &[(Role, Option<&str>)]| check(sql, dialect, expected);
        check("SELECT 1", &[(Role::Free, Some("1"))]);
        check(
            "SELECT a FROM t WHERE Salary > -5",
            &[(column("salary"), Some("-5"))],
        );
        check(
            "SELECT a FROM t WHERE 5 < t.salary LIMIT 3",
            &[(column("salary"), Some("5")), (Role::Limit, Some("3"))],
        );
        check(
            "SELECT a FROM t WHERE s.salary NOT IN (1, 'b''c')",
            &[
                (column("salary"), Some("1")),
                (column("salary"), Some("b'c")),
            ],
        );
        check(
            "SELECT a FROM t WHERE b BETWEEN 1 AND 2 AND c LIKE 'x%'",
            &[
                (column("b"), Some("1")),
                (column("b"), Some("2")),
                (column("c"), Some("x%")),
            ],
        );
        check(
            "UPDATE t SET a = 1, b = 2 * 3 WHERE c = 4 AND d <> 'e'",
            &[
                (column("a"), Some("1")),
                (column("b"), None),
                (Role::Free, None),
                (column("c"), Some("4")),
                (column("d"), Some("e")),
            ],
        );
        check(
            "INSERT INTO t (a, b) VALUES (1, 'x'), (2, f(3))",
            &[
                (column("a"), Some("1")),
                (column("b"), Some("x")),
                (column("a"), Some("2")),
                (function("f"), Some("3")),
            ],
        );
        check(
            "SELECT f(1, g('x')) FROM t",
            &[(function("f"), Some("1")), (function("g"), Some("x"))],
        );
        check(
            "SELECT a FROM t WHERE b = f(7)",
            &[(function("f"), Some("7"))],
        );
    }
    check(
        "SELECT E'a\\'b', $t$x$t$, 1.5e3, B'1', \"A\" = 7",
        Dialect::Postgres,
        &[
            (Role::Free, None),
            (Role::Free, Some("x")),
            (Role::Free, Some("1.5e3")),
            (Role::Free, None),
            (column("A"), Some("7")),
        ],
    );
    check(
        "SELECT a FROM t WHERE b = ANY (ARRAY[1, 2]) AND c = '5'::int",
        Dialect::Postgres,
        &[
            (Role::Free, Some("1")),
            (Role::Free, Some("2")),
            (column("c"), Some("5")),
        ],
    );
    check(
        "SELECT a FROM t WHERE `B` = \"x\\ty\" AND c = 0x41",
        Dialect::Mysql,
        &[(column("b"), Some("x\ty")), (column("c"), None)],
    );
    let broken = literals(b"SELECT 'a", &LexState::default());
    assert!(!broken.complete);
    let many = format!("SELECT {}1", "1,".repeat(5000));
    assert!(!literals(many.as_bytes(), &LexState::default()).complete);
}

#[test]
fn literals_are_kept_for_later() {
    let policy = policy(
        r#"defaults.action = "allow"
[[rule]]
id = "r"
action = "deny"
when = { literal = { column = "a", range = "> 5" }, parameter = { range = "> 5" } }
"#,
    );
    let sql = "SELECT 1 FROM t WHERE a = 7 AND b = $1";
    let prepared = judge(
        &policy,
        sql,
        Circumstances {
            text: Wording::Text(sql.as_bytes(), LexState::default()),
            parameters: Bound::Later,
            ..Circumstances::default()
        },
        NOW,
    );
    assert_eq!(prepared.judged, Action::Allow);
    let kept = prepared.literals.unwrap();
    for (value, expected) in [("6", Action::Deny), ("5", Action::Allow)] {
        let values: &[Value<'_>] = &[Value::Plain(value.into())];
        let bound = Circumstances {
            text: Wording::Kept(&kept),
            parameters: Bound::Given(&values),
            ..Circumstances::default()
        };
        assert_eq!(judge(&policy, sql, bound, NOW).judged, expected);
    }
}

#[test]
fn what_can_not_be_meant_is_said() {
    let rule = |when: &str| {
        said(&format!(
            "defaults.action = \"allow\"\n[[rule]]\nid = \"r\"\naction = \"deny\"\nwhen = {{ {when} }}"
        ))
    };
    for (when, expected) in [
        (
            "risk = \"70\"",
            "`70` is no `risk`: a range is a comparison or two values",
        ),
        ("risk = \"> 100\"", "no `risk` from 0 to 100 fits `> 100`"),
        ("risk = \">= 0\"", "every `risk` from 0 to 100 fits `>= 0`"),
        ("end_user_trust = \">= seting\"", "did you mean `setting`?"),
        ("transaction = \"opn\"", "did you mean `open`?"),
        ("parameter = {}", "`parameter` says nothing"),
        (
            "parameter = { position = 1 }",
            "`parameter` says nothing of a value; expected `matches`, `range` or `personal`",
        ),
        (
            "parameter = { position = 0, range = \"> 1\" }",
            "expected a whole number from 1 to 65535",
        ),
        (
            "parameter = { range = \"> x\" }",
            "`x` is neither a number nor a date",
        ),
        (
            "literal = { colum = \"a\", range = \"> 1\" }",
            "unknown field `colum` in `literal`; expected one of column, function, matches, range, personal; did you mean `column`?",
        ),
        (
            "history = { count = \"> 1\", within = \"2d\", of = { user = \"a\" } }",
            "`2d` is no time for `within`; expected `30s`, `5m`, `1h`",
        ),
        (
            "history = { count = \"> 1\", of = { user = \"a\" } }",
            "`within` is missing in `history`",
        ),
        (
            "history = { count = \"> 10001\", within = \"1m\", of = { user = \"a\" } }",
            "no whole number from 0 to 10000",
        ),
        (
            "history = { count = \"> 1\", within = \"1m\", of = { history = { count = \"> 1\", within = \"1m\", of = { user = \"a\" } } } }",
            "`history` can't be nested",
        ),
        (
            "history = { count = \"> 1\", within = \"1m\", of = { verb = \"begin\", where = \"absent\" } }",
            "`begin` has no WHERE clause",
        ),
    ] {
        let said = rule(when);
        assert!(said.contains(expected), "{when}: {said}");
    }
    let many: String = (0..7)
        .map(|n| format!("[[rule]]\nid = \"r{n}\"\naction = \"deny\"\nwhen = {{ history = {{ count = \"> 9998\", within = \"{}s\", of = {{ user = \"a\" }} }} }}\n", n + 1))
        .collect();
    let said = said(&format!("defaults.action = \"allow\"\n{many}"));
    assert!(
        said.contains("at most 65536 may be kept in a session"),
        "{said}"
    );
}
