//! What is wrong with a policy is said at once, with place, expectation and nearest word.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use expect_test::{Expect, expect};
use sqlward_policy::compile;

/// Compiles a text and compares everything that is said about it.
fn check(text: &str, expected: Expect) {
    let said = match compile(vec![("p.toml".into(), text.into())]) {
        Ok(policy) => policy
            .warnings
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("\n"),
        Err(problems) => problems.to_string(),
    };
    expected.assert_eq(&said);
}

/// A rule in a policy that is otherwise in order.
fn rule(body: &str) -> String {
    format!(
        "schema = 1\ndefaults.action = \"allow\"\n[[rule]]\nid = \"r\"\naction = \"deny\"\n{body}\n"
    )
}

#[test]
fn everything_is_said_at_once() {
    check(
        r#"
[defaults]
action = "alow"
unreadble = "deny"

[[rule]]
id = "a"
severity = "hihg"
when = { verb = ["selct", "insert"], clas = ["read"], client = ["10.0.0.1/8"] }
action = "refuse"

[[rule]]
id = "b c"
when = {}
action = "deny"

[[rul]]
"#,
        expect![[r#"
            p.toml:1:1: `schema` is missing; expected `schema = 1` on top
            p.toml:3:10: `alow` is no `action`; expected one of allow, deny; did you mean `allow`?
            p.toml:4:1: unknown field `unreadble` in `[defaults]`; expected one of action, unreadable, audit_failure, mode, search_path; did you mean `unreadable`?
            p.toml:8:12: `hihg` is no `severity`; expected one of info, low, medium, high, critical; did you mean `high`?
            p.toml:9:18: `selct` is no `verb`; expected one of select, insert, update, delete, merge, truncate, copy, load, create, alter, drop, comment, security-label, grant, revoke, reassign, begin, commit, rollback, savepoint, prepare-transaction, lock, set, reset, show, use, explain, prepare, execute, deallocate, declare, fetch, close, do, call, function-call, listen, notify, vacuum, analyze, cluster, reindex, refresh, checkpoint, import, alter-system, kill, flush, handler, install, shutdown, purge, change-replication, check, binlog, clone, replication, empty, unknown; did you mean `select`?
            p.toml:9:38: unknown field `clas` in `when`; expected one of everything, not, any, user, role, database, application, listener, client, end_user, end_user_trust, tls_identity, time, dialect, server_version, verb, class, object, access, object_kind, column, column_use, function, where, limit, egress, multi_statement, dynamic, fingerprint, unreadable, setting, replication, risk, transaction, transaction_access, isolation, parameter, literal, history, detect, detect_score; did you mean `class`?
            p.toml:9:65: `10.0.0.1/8` is no network for `client`; expected `10.0.0.0/8`, the network's first address
            p.toml:10:10: `refuse` is no `action`; expected one of allow, alert, deny, terminate
            p.toml:13:6: `b c` is no rule name; expected 1 to 128 letters, digits, `-`, `_` or `.`
            p.toml:14:8: a `when` without conditions matches everything; expected a condition, or `everything = true`
            p.toml:17:3: unknown field `rul` in a policy file; expected one of schema, policy, include, pack, overlay, change, defaults, sets, calendar, time, listener, rule, escalation, test, redact, redact_test; did you mean `rule`?"#]],
    );
}

#[test]
fn broken_toml_is_located() {
    check(
        "schema = 1\n[[rule]\nid = \"x\"\n",
        expect!["p.toml:2:8: unclosed array table, expected `]`"],
    );
}

#[test]
fn rules_that_can_never_match_are_errors() {
    for (when, expected) in [
        (
            r#"{ verb = ["begin"], where = ["absent"] }"#,
            "`begin` has no WHERE clause",
        ),
        (
            r#"{ verb = ["commit", "truncate"], limit = ["absent"] }"#,
            "has no LIMIT clause",
        ),
        (
            r#"{ verb = ["delete"], class = ["read"] }"#,
            "`delete` is never of class `read`",
        ),
        (
            r#"{ verb = ["begin"], class = ["write", "ddl"] }"#,
            "`begin` is never of class",
        ),
        (
            r#"{ user = ["a"], not = { user = ["a"] } }"#,
            "`user` is asked for and excluded",
        ),
        (
            r#"{ class = ["read"], not = { class = ["read"] } }"#,
            "no value of `class` is left",
        ),
        (
            r#"{ unreadable = true, not = { unreadable = true } }"#,
            "no value of `unreadable`",
        ),
        (
            r#"{ dynamic = true, not = { dynamic = true } }"#,
            "no value of `dynamic` is left",
        ),
        (
            r#"{ dialect = "mysql", not = { dialect = ["mysql", "mariadb"] } }"#,
            "no value of `dialect`",
        ),
    ] {
        let error = compile(vec![("p".into(), rule(&format!("when = {when}")))]).unwrap_err();
        let said = error.to_string();
        assert!(
            said.starts_with("p:6:8: this rule can never match: "),
            "{when}: {said}"
        );
        assert!(said.contains(expected), "{when}: {said}");
    }
}

#[test]
fn rules_that_can_match_are_none() {
    for when in [
        r#"{ verb = ["select"], where = ["absent"] }"#,
        r#"{ verb = ["begin", "delete"], where = ["absent"] }"#,
        r#"{ verb = ["explain"], class = ["write"] }"#,
        r#"{ verb = ["select"], not = { verb = ["select"] } }"#,
        r#"{ unreadable = ["syntax"], not = { unreadable = ["encoding"] } }"#,
        r#"{ any = [ { user = "a" }, { class = "read", not = { class = "read" } } ] }"#,
        r#"{ where = ["not-applicable"], verb = ["begin"] }"#,
    ] {
        let result = compile(vec![("p".into(), rule(&format!("when = {when}")))]);
        assert!(result.is_ok(), "{when}: {}", result.unwrap_err());
    }
}

#[test]
fn an_allow_rule_can_not_ask_for_unreadable_statements() {
    check(
        r#"schema = 1
defaults.action = "deny"
[[rule]]
id = "r"
action = "allow"
when = { unreadable = true, user = "dba" }
"#,
        expect![[
            r#"p.toml:6:8: this rule can never match: an allow rule never matches an unreadable statement; say `[defaults] unreadable`, or let it pass with `action = "alert"`"#
        ]],
    );
}

#[test]
fn names_must_exist_once() {
    check(
        r#"schema = 1
defaults.action = "allow"
[time.office]
days = ["mon-fri"]
from = "09:00"
to = "17:00"
[time.night]
from = "22:00"
to = "06:00"
[[rule]]
id = "a"
when = { time = ["ofice"] }
action = "deny"
[[rule]]
id = "a"
when = { user = ["x"] }
action = "deny"
[[rule]]
id = "b"
when = { time = "office" }
action = "alert"
[[test]]
sql = "SELECT 1"
expect = { action = "deny", rule = "bb" }
"#,
        expect![[r#"
            p.toml:7:7: warning: no rule uses the window `night`
            p.toml:12:18: there is no time window `ofice`; expected one of night, office; did you mean `office`?
            p.toml:15:6: the rule `a` is defined twice, first at p.toml:11:6
            p.toml:24:36: there is no rule `bb`; expected one of a, b; did you mean `b`?"#]],
    );
}

#[test]
fn a_rule_in_the_shadow_of_another_is_an_error() {
    check(
        r#"schema = 1
defaults.action = "allow"
[[rule]]
id = "weak"
when = { verb = ["drop", "truncate"], user = ["b", "a"] }
action = "alert"
[[rule]]
id = "strong"
when = { user = ["a", "b"], verb = ["truncate", "drop"] }
action = "deny"
[[rule]]
id = "tried"
when = { user = ["a", "b"], verb = ["truncate", "drop"] }
action = "terminate"
mode = "observe"
"#,
        expect![
            "p.toml:5:8: the rule `weak` can never decide: `strong` at p.toml:8:6 has the same conditions and is at least as strong"
        ],
    );
}

#[test]
fn files_may_not_contradict_each_other() {
    let said = compile(vec![
        (
            "a.toml".into(),
            "schema = 1\n[defaults]\naction = \"allow\"\nmode = \"observe\"".into(),
        ),
        (
            "b.toml".into(),
            "schema = 1\n[defaults]\naction = \"deny\"\nmode = \"observe\"".into(),
        ),
    ])
    .unwrap_err();
    expect!["b.toml:3:10: `action` differs from the one at a.toml:3:10"]
        .assert_eq(&said.to_string());
}

#[test]
fn values_are_checked() {
    check(
        r#"schema = 1
[defaults]
action = "alert"
search_path = []
[time.always]
[time.w]
days = ["monday", "fri-mon"]
from = "25:00"
zone = "Europe/Berln"
[time.x]
from = 09:00:00
to = 09:00:00
[listener.main]
mode = "learn"
[[rule]]
id = 7
when = { user = [], object = ["a.b.c", "x["], fingerprint = "12", any = [ { user = "x" } ], not = { everything = true } }
action = "deny"
message = ""
[[test]]
sql = "SELECT 1"
at = "yesterday"
client = "localhost"
expect = { rule = "r" }
[[test]]
function_call = true
sql = "SELECT 1"
expect = { action = "deny" }
"#,
        expect![[r#"
            p.toml:3:10: `alert` is no `action`; expected one of allow, deny
            p.toml:4:15: `search_path` is an empty list; expected at least one value, or no such field
            p.toml:5:7: `[time.always]` says nothing
            p.toml:7:9: `monday` is no `days`; expected one of mon, tue, wed, thu, fri, sat, sun, mon-fri, workday, holiday; did you mean `mon`?
            p.toml:8:8: `25:00` is no time of day; expected `HH:MM` from 00:00 to 24:00
            p.toml:9:8: `Europe/Berln` is no time zone; expected a name such as `Europe/Berlin`, `Asia/Shanghai` or `UTC`
            p.toml:12:6: the window closes when it opens; expected `to` other than `from`; for the whole day, neither
            p.toml:16:6: `id` is an integer; expected a string
            p.toml:17:17: `user` is an empty list; expected at least one value, or no such field
            p.toml:17:31: `a.b.c` is no pattern for `object`: a name has at most 2 parts here; `\.` is a dot within a part
            p.toml:17:40: `x[` is no pattern for `object`: `[` has no meaning here: only `*` and `?` are wildcards, and `\[` is the character itself
            p.toml:17:61: `12` is no fingerprint; expected 32 hexadecimal digits
            p.toml:17:73: `any` has no alternatives; expected at least two tables
            p.toml:17:114: `everything` can't be nested; expected either `everything = true` alone, or conditions
            p.toml:19:11: `message` is empty or has control characters; expected one line of text
            p.toml:22:6: `yesterday` is no point in time; expected date, time and offset as in 2026-01-05T12:00:00Z
            p.toml:23:10: `localhost` is no address; expected an IPv4 or IPv6 address
            p.toml:24:10: `action` is missing in `expect`
            p.toml:27:7: a function call is nothing else; expected `function_call = true` without `sql` and `replication`"#]],
    );
}

#[test]
fn what_is_rarely_meant_is_a_warning() {
    check(
        r#"schema = 1
[defaults]
action = "deny"
unreadable = "allow"
[time.unused]
days = "sat"
[[rule]]
id = "a"
when = { object = ["public.*"] }
action = "allow"
[[rule]]
id = "b"
when = { object = ["finance.*"], user = "App*" }
action = "deny"
[[rule]]
id = "c"
when = { function = "Pg_Sleep" }
action = "alert"
# In MySQL, unqualified names lie in the current database.
[[rule]]
id = "d"
when = { object = ["mysql.*"], dialect = ["mysql", "mariadb"] }
action = "deny"
"#,
        expect![[r#"
            p.toml:4:14: warning: statements that can't be read pass, although others need an allow rule; expected `deny`
            p.toml:5:7: warning: no rule uses the window `unused`
            p.toml:9:8: warning: unqualified names are not covered: they may lie in any schema; expected `[defaults] search_path`, the schemas that unqualified names may lie in
            p.toml:13:8: warning: every unqualified name is meant, too: it may lie in that schema; expected `[defaults] search_path`, the schemas that unqualified names may lie in
            p.toml:17:8: warning: what only this rule matches passes with an alert, although the default denies; expected another action, if that is not meant
            p.toml:17:21: warning: `Pg_Sleep` fits quoted names only; expected lower case, to which SQL folds names that are not quoted"#]],
    );
}

#[test]
fn an_empty_policy_is_an_error() {
    check(
        "schema = 1\n",
        expect![[r#"
        p.toml:1:1: warning: `[defaults] action` is not said, so that it is `deny`; expected `allow` or `deny`
        p.toml:1:1: the policy is empty; expected a `[[rule]]`, or `[defaults] action`"#]],
    );
    let nothing = compile(Vec::new()).unwrap_err();
    expect!["policy:1:1: the policy is empty; expected a `[[rule]]`, or `[defaults] action`"]
        .assert_eq(&nothing.to_string());
}

#[test]
fn problems_are_drawn_with_their_lines() {
    let error = compile(vec![(
        "p.toml".into(),
        rule(r#"when = { verb = ["selct"] }"#),
    )])
    .unwrap_err();
    let drawn = error.draw(sqlward_policy::problem::Colour::Never);
    assert!(drawn.contains("when = { verb = [\"selct\"] }"), "{drawn}");
    assert!(drawn.contains("did you mean `select`?"), "{drawn}");
}

#[test]
fn hostile_files_end_in_problems() {
    let deep = format!(
        "schema = 1\nx = {}1{}",
        "[".repeat(10_000),
        "]".repeat(10_000)
    );
    assert!(compile(vec![("p".into(), deep)]).is_err());
    let nots = format!("{}user = \"x\"{}", "not = { ".repeat(60), " }".repeat(60));
    assert!(compile(vec![("p".into(), rule(&format!("when = {{ {nots} }}")))]).is_ok());
    let nots = format!(
        "{}user = \"x\"{}",
        "not = { ".repeat(5000),
        " }".repeat(5000)
    );
    assert!(compile(vec![("p".into(), rule(&format!("when = {{ {nots} }}")))]).is_err());
    let wide = (0..12)
        .map(|n| format!("{{ any = [ {{ user = \"a{n}\" }}, {{ user = \"b{n}\" }} ] }}"))
        .collect::<Vec<_>>();
    let mut nested = wide.first().cloned().unwrap();
    for part in &wide[1..] {
        nested = format!(
            "{{ any = [ {{ role = \"x\" }}, {{ role = \"y\" }} ], not = {{ not = {nested} }}, user = \"{}\" }}",
            part.len()
        );
    }
    let error = compile(vec![("p".into(), rule(&format!("when = {nested}")))]).unwrap_err();
    assert!(error.to_string().contains("alternatives"), "{error}");
    let long = format!("schema = 1\n# {}", "x".repeat(5 << 20));
    assert!(
        compile(vec![("p".into(), long)])
            .unwrap_err()
            .to_string()
            .contains("too long")
    );
}

#[test]
fn allow_rules_beside_an_allowing_default_are_warned_of() {
    let text = |when: &str| {
        format!(
            "schema = 1\ndefaults.action = \"allow\"\n[[rule]]\nid = \"r\"\naction = \"allow\"\nwhen = {{ {when} }}\n"
        )
    };
    check(
        &text("user = \"a\""),
        expect![[
            r#"p.toml:6:8: warning: the default allows this already: the rule is recorded and changes nothing; expected `[defaults] action = "deny"`, or a verb that only a rule can allow"#
        ]],
    );
    check(&text("replication = true, user = \"a\""), expect![[""]]);
}

#[test]
fn escalations_that_cannot_happen() {
    let head = rule("when = { verb = [\"drop\"] }");
    let watch = "[[rule]]\nid = \"watch\"\naction = \"alert\"\nwhen = { verb = [\"select\"] }\n";
    check(
        &format!(
            "{head}{watch}{}",
            r#"
[[escalation]]
id = "a"
after = "denied"
rules = ["r", "watch", "rr"]
count = 0
within = "5"
per = ["user"]
then = "block"

[[escalation]]
id = "b"
after = "failed-login"
rules = ["r"]
count = 3
within = "5m"
per = ["end-user"]
then = "terminate"

[[escalation]]
id = "b"
after = "denied"
count = 3
within = "5m"
per = ["host"]
then = "alert"

[[escalation]]
id = "c"
after = "denied"
rules = ["watch"]
count = 3
within = "5m"
per = ["user", "client"]
then = "block"

[[escalation]]
id = "c"
after = "denied"
count = 3
within = "5m"
per = ["user"]
then = "alert"
block_for = "1h"
"#
        ),
        expect![[r#"
            p.toml:16:9: this is no `count`; expected a whole number from 1 to 65535
            p.toml:17:10: `5` is no time for `within`; expected `30s`, `5m`, `1h` and the like, from 1s to 365d
            p.toml:24:10: no rule makes a login fail; expected `rules` only with `after = "denied"`
            p.toml:27:7: nobody knows the end user of a failed login; expected `user`, `client` or `application`
            p.toml:28:8: a failed login ends its session anyway; expected `alert` or `block`
            p.toml:35:8: `host` is no `per`; expected one of user, client, end-user, application
            p.toml:41:10: the rule `watch` never denies; expected rules with the action deny or terminate
            p.toml:45:8: `block_for` is missing; expected `block_for = "15m"` and the like
            p.toml:48:6: the escalation `c` is defined twice, first at p.toml:39:6"#]],
    );
}

#[test]
fn escalations_that_can() {
    let head = rule("when = { verb = [\"drop\"] }");
    let text = format!(
        "{head}{}",
        r#"
[[escalation]]
id = "guessing"
after = "failed-login"
count = 5
within = "10m"
per = ["client", "user"]
then = "block"
block_for = "1h"
"#
    );
    let policy = compile(vec![("p.toml".into(), text)]).unwrap();
    let [one] = policy.escalations.as_slice() else {
        panic!("{:?}", policy.escalations)
    };
    assert_eq!(
        (&*one.id, one.count, one.within.as_secs()),
        ("guessing", 5, 600)
    );
    assert_eq!(one.per.len(), 2);
}
