//! What the rules of a policy come to: actions, defaults, modes, allow lists, unreadable statements, time.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::rc::Rc;

use jiff::Timestamp;
use sqlward_policy::explain::{Question, explain};
use sqlward_policy::rule::moment::Circumstances;
use sqlward_policy::statement::{Known, LexState, Limits, Reader, analyse};
use sqlward_policy::vocabulary::{Action, Mode, Unreadable, Verb};
use sqlward_policy::{
    Cause, Decision, EndUser, Outcome, Policy, Request, Subject, compile, decide,
    decide_function_call, decide_startup,
};

/// A Monday noon.
const NOW: Timestamp = Timestamp::constant(1_767_614_400, 0);

fn policy(text: &str) -> Policy {
    match compile(vec![("p.toml".into(), format!("schema = 1\n{text}"))]) {
        Ok(policy) => policy,
        Err(problems) => panic!("{problems}"),
    }
}

fn known(sql: &str) -> Rc<Known> {
    let (lex, limits) = (LexState::default(), Limits::default());
    let mut reader = Reader::new(1 << 20, limits.clone());
    reader.remember(sql.as_bytes(), &lex, analyse(sql.as_bytes(), &lex, &limits))
}

fn judge_as(policy: &Policy, subject: &Subject, sql: &str) -> Decision {
    let standing = policy.standing(subject);
    let known = known(sql);
    let request = Request {
        statement: &known,
        standing: &standing,
        now: NOW,
        also: &[],
        unreadable_override: None,
        circumstances: Circumstances::default(),
    };
    let fresh = decide(policy, &request);
    // The second decision uses the matches that the first one kept.
    let kept = decide(policy, &request);
    assert_eq!(summary(&fresh), summary(&kept), "{sql}");
    let question = Question {
        sql: sql.as_bytes(),
        subject,
        now: NOW,
        lex: LexState::default(),
        replication: false,
    };
    let explained = explain(policy, &question).unwrap();
    assert_eq!(summary(&fresh), summary(&explained.decision), "{sql}");
    // An explanation says of the same rules that they match.
    let mut matched: Vec<&str> = explained
        .rules
        .iter()
        .filter(|trace| !trace.matched.is_empty())
        .map(|trace| &*trace.rule.id)
        .collect();
    let mut decided = ids(policy, &fresh);
    matched.sort_unstable();
    decided.sort_unstable();
    assert_eq!(matched, decided, "{sql}");
    fresh
}

type Shown = (Action, Action, Mode, Vec<usize>, Cause, Option<String>);

fn summary(decision: &Decision) -> Shown {
    (
        decision.action,
        decision.judged,
        decision.mode,
        decision.rules.iter().map(|rule| rule.0).collect(),
        decision.cause,
        decision.refusal().map(|text| text.detail.to_string()),
    )
}

fn ids<'p>(policy: &'p Policy, decision: &Decision) -> Vec<&'p str> {
    decision
        .rules
        .iter()
        .filter_map(|rule| policy.rule(*rule))
        .map(|rule| &*rule.id)
        .collect()
}

fn judge(policy: &Policy, sql: &str) -> Action {
    judge_as(policy, &Subject::default(), sql).judged
}

fn user(name: &str) -> Subject {
    Subject {
        user: name.into(),
        role: Some(name.into()),
        ..Subject::default()
    }
}

#[test]
fn deny_beats_alert_beats_allow() {
    let policy = policy(
        r#"
defaults.action = "allow"
[[rule]]
id = "allow-all"
when = { everything = true }
action = "allow"
[[rule]]
id = "deny-drop"
when = { verb = ["drop"] }
action = "deny"
[[rule]]
id = "alert-ddl"
when = { class = ["ddl"] }
action = "alert"
[[rule]]
id = "end-truncate"
when = { verb = ["truncate"] }
action = "terminate"
"#,
    );
    let decision = judge_as(&policy, &user("u"), "DROP TABLE t");
    assert_eq!(decision.judged, Action::Deny);
    assert_eq!(
        ids(&policy, &decision),
        ["deny-drop", "alert-ddl", "allow-all"]
    );
    assert_eq!(judge(&policy, "CREATE TABLE t (a int)"), Action::Alert);
    assert_eq!(judge(&policy, "SELECT 1"), Action::Allow);
    let decision = judge_as(&policy, &user("u"), "SELECT 1; TRUNCATE t; SELECT 2");
    assert_eq!(decision.judged, Action::Terminate);
    match decision.into_outcome() {
        Outcome::Refused(text) => {
            assert!(text.terminate);
            assert_eq!(text.sqlstate, "42501");
            assert_eq!(&*text.detail, "Rule: end-truncate");
        }
        Outcome::Permitted(..) => panic!("passed"),
    }
}

#[test]
fn the_most_specific_rule_speaks() {
    let policy = policy(
        r#"
defaults.action = "allow"
[[rule]]
id = "broad"
severity = "critical"
when = { verb = ["drop"] }
action = "deny"
message = "broad"
[[rule]]
id = "narrow"
severity = "low"
when = { verb = ["drop"], object = ["ledger"] }
action = "deny"
message = "narrow"
"#,
    );
    let message = |sql: &str| {
        judge_as(&policy, &user("u"), sql)
            .refusal()
            .map(|text| text.message.to_string())
    };
    assert_eq!(message("DROP TABLE ledger").as_deref(), Some("narrow"));
    assert_eq!(message("DROP TABLE other").as_deref(), Some("broad"));
}

const ALLOW_LIST: &str = r#"
[defaults]
action = "deny"
search_path = ["public"]
[[rule]]
id = "app-reads"
when = { verb = ["select"], object = ["public.*"], user = "app" }
action = "allow"
[[rule]]
id = "app-writes"
when = { verb = ["insert", "update"], object = ["public.orders"], user = "app" }
action = "allow"
[[rule]]
id = "transactions"
when = { class = ["tcl"] }
action = "allow"
[[rule]]
id = "dba"
when = { user = "dba" }
action = "allow"
"#;

#[test]
fn an_allow_list_is_not_stretched() {
    let policy = policy(ALLOW_LIST);
    let app = user("app");
    for sql in [
        "SELECT * FROM users",
        "SELECT lower(name) FROM public.users u JOIN orders o ON o.u = u.id",
        "INSERT INTO orders VALUES (1)",
        "INSERT INTO orders SELECT * FROM orders WHERE id = 1",
        "INSERT INTO orders VALUES (1) ON CONFLICT (id) DO UPDATE SET a = 1",
        "SELECT nextval('orders_id_seq') FROM orders",
        "UPDATE public.orders SET a = 1 WHERE id = 1",
        "BEGIN; SELECT * FROM users; COMMIT",
    ] {
        assert_eq!(judge_as(&policy, &app, sql).judged, Action::Allow, "{sql}");
    }
    for sql in [
        // Something else is touched, too.
        "SELECT * FROM users, secret.keys",
        "WITH gone AS (DELETE FROM orders WHERE id = 1 RETURNING *) SELECT * FROM gone",
        "SELECT * FROM users; DROP TABLE users",
        "INSERT INTO orders SELECT * FROM users",
        "UPDATE orders SET a = (SELECT v FROM secret.keys) WHERE id = 1",
        "SELECT * INTO copied FROM users",
        "SELECT * INTO public.copied FROM users",
        "SELECT * FROM users FOR UPDATE; DELETE FROM users WHERE id = 1",
        "EXPLAIN ANALYZE SELECT * FROM users",
        // Unqualified names of pg_* lie in pg_catalog.
        "SELECT * FROM pg_authid",
        // Ways out and SQL in strings need to be named.
        "SELECT pg_read_file(name) FROM users",
        "SELECT query_to_xml(name, true, true, '') FROM users",
        "SELECT dblink(name, 'x') FROM users",
        // Nothing that was named is touched.
        "SELECT 1",
        "CREATE TABLE orders2 (a int)",
        // What can't be read is never allowed.
        "SELECT * FRM users",
        "",
    ] {
        let decision = judge_as(&policy, &app, sql);
        assert_eq!(decision.judged, Action::Deny, "{sql}");
        assert_eq!(decision.action, Action::Deny, "{sql}");
    }
    assert_eq!(
        judge_as(&policy, &user("other"), "SELECT * FROM users").judged,
        Action::Deny
    );
    assert_eq!(
        judge_as(&policy, &user("dba"), "DROP TABLE users").judged,
        Action::Allow
    );
    assert_eq!(
        judge_as(&policy, &user("dba"), "DROP TABEL users").judged,
        Action::Deny
    );
}

#[test]
fn without_a_search_path_unqualified_names_may_lie_anywhere() {
    let list = policy(&ALLOW_LIST.replace("search_path = [\"public\"]", ""));
    let app = user("app");
    assert_eq!(
        judge_as(&list, &app, "SELECT * FROM public.users").judged,
        Action::Allow
    );
    assert_eq!(
        judge_as(&list, &app, "SELECT * FROM users").judged,
        Action::Deny
    );
    let guard = policy(
        r#"
defaults.action = "allow"
[[rule]]
id = "ledger"
when = { object = ["finance.ledger"], access = ["write"] }
action = "deny"
"#,
    );
    assert_eq!(
        judge(&guard, "INSERT INTO finance.ledger VALUES (1)"),
        Action::Deny
    );
    assert_eq!(judge(&guard, "INSERT INTO ledger VALUES (1)"), Action::Deny);
    assert_eq!(
        judge(&guard, "INSERT INTO other.ledger VALUES (1)"),
        Action::Allow
    );
    // Access is that of the same object.
    assert_eq!(
        judge(&guard, "INSERT INTO t SELECT * FROM finance.ledger"),
        Action::Allow
    );
}

#[test]
fn what_happens_to_a_schema_happens_to_its_objects() {
    let policy = policy(
        r#"
defaults.action = "allow"
[[rule]]
id = "finance"
when = { object = ["finance.*", "hr.staff"], access = ["ddl"] }
action = "deny"
"#,
    );
    assert_eq!(judge(&policy, "DROP SCHEMA finance CASCADE"), Action::Deny);
    assert_eq!(judge(&policy, "DROP SCHEMA hr CASCADE"), Action::Deny);
    assert_eq!(judge(&policy, "DROP SCHEMA app CASCADE"), Action::Allow);
    assert_eq!(judge(&policy, "CREATE ROLE finance"), Action::Allow);
}

#[test]
fn unreadable_statements_get_their_own_answer() {
    let text = |unreadable: &str| {
        format!(
            r#"
[defaults]
action = "allow"
unreadable = "{unreadable}"
[[rule]]
id = "secret"
when = {{ object = ["secret"], access = ["read"] }}
action = "deny"
[[rule]]
id = "dba-errs"
when = {{ unreadable = ["syntax"], user = "dba" }}
action = "alert"
"#
        )
    };
    let sql = "SELEC * FROM t";
    for (default, expected) in [
        ("deny", Action::Deny),
        ("alert", Action::Alert),
        ("allow", Action::Allow),
    ] {
        let policy = policy(&text(default));
        let decision = judge_as(&policy, &user("app"), sql);
        assert_eq!(decision.judged, expected);
        assert_eq!(decision.cause, Cause::Unreadable(Unreadable::Syntax));
        // A rule that names unreadable statements answers for them.
        assert_eq!(judge_as(&policy, &user("dba"), sql).judged, Action::Alert);
        // Deny rules see what the lexer saw.
        assert_eq!(
            judge_as(&policy, &user("dba"), "SELEC * FROM secret").judged,
            Action::Deny
        );
    }
}

#[test]
fn the_session_may_know_that_a_reading_does_not_hold() {
    let policy = policy(
        "defaults.action = \"deny\"\n[[rule]]\nid = \"a\"\nwhen = { everything = true }\naction = \"allow\"",
    );
    let standing = policy.standing(&Subject::default());
    let known = known("SELECT 'a\\'");
    let request = |reason| Request {
        statement: &known,
        standing: &standing,
        now: NOW,
        also: &[],
        unreadable_override: reason,
        circumstances: Circumstances::default(),
    };
    assert_eq!(decide(&policy, &request(None)).judged, Action::Allow);
    let unsettled = decide(&policy, &request(Some(Unreadable::Unsettled)));
    assert_eq!(unsettled.judged, Action::Deny);
    assert_eq!(unsettled.cause, Cause::Unreadable(Unreadable::Unsettled));
    // The override left nothing behind.
    assert_eq!(decide(&policy, &request(None)).judged, Action::Allow);
}

#[test]
fn bodies_are_judged_with_the_message_that_runs_them() {
    let policy = policy(
        r#"
defaults.action = "deny"
[[rule]]
id = "run"
when = { verb = ["execute", "select"] }
action = "allow"
"#,
    );
    let standing = policy.standing(&Subject::default());
    let execute = known("EXECUTE s(1)");
    let (select, delete) = (known("SELECT 1"), known("DELETE FROM t WHERE id = 1"));
    let judge = |also: &[&sqlward_policy::statement::facts::Facts]| {
        let request = Request {
            statement: &execute,
            standing: &standing,
            now: NOW,
            also,
            unreadable_override: None,
            circumstances: Circumstances::default(),
        };
        decide(&policy, &request).judged
    };
    assert_eq!(judge(&[]), Action::Allow);
    assert_eq!(judge(&[&select.analysis.facts]), Action::Allow);
    assert_eq!(
        judge(&[&select.analysis.facts, &delete.analysis.facts]),
        Action::Deny
    );
}

#[test]
fn observing_carries_nothing_out() {
    let text = |mode: &str, own: &str| {
        format!(
            r#"
[defaults]
action = "deny"
mode = "{mode}"
[listener.trial]
mode = "observe"
[[rule]]
id = "reads"
when = {{ class = ["read"] }}
action = "allow"
[[rule]]
id = "secret"
when = {{ object = ["secret"] }}
action = "deny"
{own}
"#
        )
    };
    let secret = "SELECT * FROM secret";
    let observe = policy(&text("observe", ""));
    let decision = judge_as(&observe, &user("u"), secret);
    assert_eq!(
        (decision.judged, decision.action, decision.mode),
        (Action::Deny, Action::Allow, Mode::Observe)
    );
    assert!(matches!(decision.into_outcome(), Outcome::Permitted(..)));
    assert_eq!(
        judge_as(&observe, &user("u"), "DROP TABLE t").action,
        Action::Allow
    );
    assert_eq!(
        judge_as(&observe, &user("u"), "DROP TABEL t").action,
        Action::Allow
    );

    // One rule is tried in a policy that is enforced.
    let tried = policy(&text("enforce", "mode = \"observe\""));
    let decision = judge_as(&tried, &user("u"), secret);
    assert_eq!(
        (decision.judged, decision.action),
        (Action::Deny, Action::Allow)
    );
    assert_eq!(
        judge_as(&tried, &user("u"), "DROP TABLE t").action,
        Action::Deny
    );
    // It does not stand for the default that it hides.
    assert_eq!(
        judge_as(&tried, &user("u"), "DELETE FROM secret").action,
        Action::Deny
    );

    // One rule is enforced in a policy that is tried.
    let enforced = policy(&text("observe", "mode = \"enforce\""));
    assert_eq!(judge_as(&enforced, &user("u"), secret).action, Action::Deny);
    assert_eq!(
        judge_as(&enforced, &user("u"), "DROP TABLE t").action,
        Action::Allow
    );

    let trial = Subject {
        listener: "trial".into(),
        ..user("u")
    };
    let enforce = policy(&text("enforce", ""));
    assert_eq!(judge_as(&enforce, &trial, secret).action, Action::Allow);
    assert_eq!(judge_as(&enforce, &user("u"), secret).action, Action::Deny);
}

#[test]
fn channels_past_sql_need_a_rule_that_names_them() {
    let closed = policy(
        "defaults.action = \"allow\"\n[[rule]]\nid = \"a\"\nwhen = { everything = true }\naction = \"allow\"",
    );
    let subject = user("u");
    let standing = closed.standing(&subject);
    let call = decide_function_call(&closed, &standing, NOW);
    assert_eq!(call.judged, Action::Deny);
    assert_eq!(call.cause, Cause::NotNamed(Verb::FunctionCall));
    let start = decide_startup(&closed, &subject, true, NOW);
    assert_eq!(start.cause, Cause::NotNamed(Verb::Replication));
    assert_eq!(
        decide_startup(&closed, &subject, false, NOW).judged,
        Action::Allow
    );

    let open = policy(
        r#"
defaults.action = "allow"
[[rule]]
id = "calls"
when = { verb = ["function-call"], user = "u" }
action = "allow"
[[rule]]
id = "replica"
when = { replication = true, user = "replica" }
action = "allow"
"#,
    );
    assert_eq!(
        decide_function_call(&open, &open.standing(&subject), NOW).judged,
        Action::Allow
    );
    let other = open.standing(&user("x"));
    assert_eq!(
        decide_function_call(&open, &other, NOW).judged,
        Action::Deny
    );
    assert_eq!(
        decide_startup(&open, &subject, true, NOW).judged,
        Action::Deny
    );
    assert_eq!(
        decide_startup(&open, &user("replica"), true, NOW).judged,
        Action::Allow
    );
}

#[test]
fn rules_on_subjects_alone_refuse_the_session() {
    let policy = policy(
        r#"
defaults.action = "deny"
[[rule]]
id = "outside"
when = { not = { client = ["10.0.0.0/8"] } }
action = "deny"
[[rule]]
id = "reads"
when = { verb = ["select"] }
action = "allow"
"#,
    );
    let inside = Subject {
        client: "10.1.1.1".parse().unwrap(),
        ..user("u")
    };
    let outside = Subject {
        client: "192.168.1.1".parse().unwrap(),
        ..user("u")
    };
    assert_eq!(
        decide_startup(&policy, &inside, false, NOW).judged,
        Action::Allow
    );
    assert_eq!(
        decide_startup(&policy, &outside, false, NOW).judged,
        Action::Deny
    );
    assert_eq!(judge_as(&policy, &inside, "SELECT 1").judged, Action::Allow);
    assert_eq!(judge_as(&policy, &outside, "SELECT 1").judged, Action::Deny);
}

#[test]
fn time_is_looked_at_in_each_decision() {
    let policy = policy(
        r#"
defaults.action = "allow"
[time.office]
days = "mon-fri"
from = "08:00"
to = "18:00"
zone = "Europe/Berlin"
[[rule]]
id = "after-hours"
when = { object = "ledger", not = { time = "office" } }
action = "deny"
"#,
    );
    let standing = policy.standing(&Subject::default());
    let known = known("SELECT * FROM ledger");
    let at = |time: &str| {
        let request = Request {
            statement: &known,
            standing: &standing,
            now: time.parse().unwrap(),
            also: &[],
            unreadable_override: None,
            circumstances: Circumstances::default(),
        };
        decide(&policy, &request).judged
    };
    assert_eq!(at("2026-01-05T12:00:00Z"), Action::Allow);
    assert_eq!(at("2026-01-05T17:30:00Z"), Action::Deny);
    assert_eq!(at("2026-01-04T12:00:00Z"), Action::Deny);
    assert_eq!(at("2026-01-05T12:00:01Z"), Action::Allow);
}

#[test]
fn every_condition_on_subjects_counts() {
    let subject = Subject {
        database: "shop".into(),
        application: "etl".into(),
        listener: "inner".into(),
        role: Some("owner".into()),
        end_user: Some(EndUser {
            name: "li".into(),
            trust: "comment".into(),
        }),
        tls_identity: Some("CN=etl".into()),
        client: "10.1.2.3".parse().unwrap(),
        ..user("app_1")
    };
    for (yes, no) in [
        ("user = \"app_?\"", "user = \"app\""),
        ("role = \"owner\"", "role = \"app_1\""),
        ("database = [\"x\", \"sh*\"]", "database = \"hop\""),
        ("application = \"etl\"", "application = \"ETL\""),
        ("listener = \"inner\"", "listener = \"outer\""),
        (
            "client = \"10.1.0.0/16\"",
            "client = [\"10.2.0.0/16\", \"::1\"]",
        ),
        ("end_user = \"li\"", "end_user = \"wang\""),
        (
            "end_user_trust = \"comment\"",
            "end_user_trust = \"setting\"",
        ),
        ("tls_identity = \"CN=*\"", "tls_identity = \"etl\""),
        (
            "dialect = \"postgres\"",
            "dialect = [\"mysql\", \"mariadb\"]",
        ),
    ] {
        for (when, expected) in [(yes, Action::Deny), (no, Action::Allow)] {
            let text = format!(
                "defaults.action = \"allow\"\n[[rule]]\nid = \"r\"\naction = \"deny\"\nwhen = {{ {when} }}"
            );
            assert_eq!(
                judge_as(&policy(&text), &subject, "SELECT 1").judged,
                expected,
                "{when}"
            );
        }
    }
}

#[test]
fn every_condition_on_statements_counts() {
    let print = sqlward_policy::rule::statement::hex(&known("SELECT 1").analysis.fingerprint.0);
    let print = format!("fingerprint = \"{print}\"");
    for (when, yes, no) in [
        (
            "verb = \"delete\"",
            "WITH x AS (DELETE FROM t RETURNING 1) SELECT 1",
            "SELECT 1",
        ),
        ("class = [\"dcl\"]", "GRANT a TO b", "SELECT 1"),
        ("object = \"t\"", "SELECT 1 FROM a.t", "SELECT 1 FROM u"),
        ("object = \"a.t\"", "SELECT 1 FROM t", "SELECT 1 FROM b.t"),
        (
            "object = \"t\", access = \"write\"",
            "UPDATE t SET a = 1",
            "SELECT 1 FROM t",
        ),
        (
            "access = \"any\", object_kind = \"role\"",
            "CREATE ROLE r",
            "CREATE TABLE r (a int)",
        ),
        (
            "column = \"users.pass*\"",
            "SELECT u.password FROM users u",
            "SELECT u.id FROM users u",
        ),
        (
            "column = \"users.password\"",
            "SELECT * FROM users",
            "SELECT * FROM pets",
        ),
        (
            "column = \"users.password\"",
            "SELECT password FROM users, pets",
            "SELECT password FROM cats, pets",
        ),
        (
            "column = \"a\", column_use = \"write\"",
            "UPDATE t SET a = 1 WHERE b = 2",
            "UPDATE t SET b = 1 WHERE a = 2",
        ),
        (
            "function = \"pg_sleep*\"",
            "SELECT pg_catalog.pg_sleep_for('1 s')",
            "SELECT now()",
        ),
        ("function = \"p\"", "CALL p(1)", "CALL q(1)"),
        (
            "where = [\"absent\"]",
            "DELETE FROM t",
            "DELETE FROM t WHERE a = 1",
        ),
        (
            "limit = \"absent\", verb = \"select\"",
            "SELECT * FROM t",
            "SELECT * FROM t LIMIT 1",
        ),
        (
            "egress = \"copy-out\"",
            "COPY t TO STDOUT",
            "COPY t FROM STDIN",
        ),
        ("multi_statement = true", "SELECT 1; SELECT 2", "SELECT 1;"),
        ("dynamic = true", "DO $$ $$", "SELECT 1"),
        (print.as_str(), "select 2", "SELECT 'x'"),
        ("unreadable = true", "SELEC 1", "SELECT 1"),
        (
            "setting = \"row_security=off\"",
            "SET row_security = OFF",
            "SET row_security = on",
        ),
        (
            "setting = \"log_*\"",
            "ALTER DATABASE d SET log_statement = x",
            "SET work_mem = 1",
        ),
    ] {
        let text = format!(
            "[defaults]\naction = \"allow\"\nunreadable = \"allow\"\n[[rule]]\nid = \"r\"\naction = \"deny\"\nwhen = {{ {when} }}"
        );
        let policy = policy(&text);
        assert_eq!(judge(&policy, yes), Action::Deny, "{when}: {yes}");
        assert_eq!(judge(&policy, no), Action::Allow, "{when}: {no}");
    }
}

#[test]
fn standings_of_another_policy_decide_nothing() {
    let allow = "defaults.action = \"allow\"";
    let old = policy(allow).with_generation(1);
    let new = policy(allow).with_generation(2);
    let standing = old.standing(&Subject::default());
    let known = known("SELECT 1");
    let request = Request {
        statement: &known,
        standing: &standing,
        now: NOW,
        also: &[],
        unreadable_override: None,
        circumstances: Circumstances::default(),
    };
    assert_eq!(decide(&old, &request).action, Action::Allow);
    let decision = decide(&new, &request);
    assert_eq!(
        (decision.action, decision.cause),
        (Action::Deny, Cause::Stale)
    );
}

#[test]
fn kept_matches_belong_to_one_generation() {
    let known = known("DROP TABLE t");
    for (generation, action) in [(1, "deny"), (2, "alert"), (3, "terminate"), (4, "deny")] {
        let text = format!(
            "defaults.action = \"allow\"\n[[rule]]\nid = \"r\"\nwhen = {{ verb = \"drop\" }}\naction = \"{action}\""
        );
        let policy = policy(&text).with_generation(generation);
        let standing = policy.standing(&Subject::default());
        let request = Request {
            statement: &known,
            standing: &standing,
            now: NOW,
            also: &[],
            unreadable_override: None,
            circumstances: Circumstances::default(),
        };
        for _ in 0..2 {
            assert_eq!(decide(&policy, &request).judged.as_str(), action);
        }
    }
}

#[test]
fn unknown_roles_are_taken_for_the_worst() {
    let policy = policy(
        r#"
defaults.action = "deny"
[[rule]]
id = "admin"
when = { role = "admin", verb = "drop" }
action = "deny"
[[rule]]
id = "app"
when = { role = "app" }
action = "allow"
"#,
    );
    let unknown = Subject {
        role: None,
        ..user("app")
    };
    assert_eq!(
        judge_as(&policy, &user("app"), "SELECT 1").judged,
        Action::Allow
    );
    assert_eq!(judge_as(&policy, &unknown, "SELECT 1").judged, Action::Deny);
    assert_eq!(
        ids(&policy, &judge_as(&policy, &unknown, "DROP TABLE t")),
        ["admin"]
    );
}
