//! The engines of `policy check`, `test`, `explain` and `judge`, and the loading of files.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::fs;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use expect_test::{Expect, expect};
use jiff::Timestamp;
use sqlward_policy::check::check;
use sqlward_policy::explain::{Question, explain};
use sqlward_policy::judge::{Batch, Summary, judge};
use sqlward_policy::problem::Colour;
use sqlward_policy::statement::LexState;
use sqlward_policy::vocabulary::Dialect;
use sqlward_policy::{Policy, Subject, compile, load};

/// A Monday noon.
const NOW: Timestamp = Timestamp::constant(1_767_614_400, 0);

const POLICY: &str = r#"schema = 1
[defaults]
action = "deny"
search_path = ["public"]
[time.office]
days = "mon-fri"
from = "08:00"
to = "18:00"
[[rule]]
id = "no-unbounded-write"
severity = "high"
when = { verb = ["update", "delete"], where = ["absent", "always-true"] }
action = "deny"
message = "UPDATE and DELETE need a WHERE clause"
[[rule]]
id = "shop"
when = { object = ["public.*"], any = [ { user = "shop" }, { user = "report", access = "read" } ] }
action = "allow"
[[rule]]
id = "after-hours"
when = { not = { time = "office" }, client = "10.0.0.0/8" }
action = "alert"
"#;

fn policy(text: &str) -> Policy {
    compile(vec![("shop.toml".into(), text.into())]).unwrap()
}

fn explained(sql: &str, user: &str, expected: Expect) {
    let policy = policy(POLICY);
    let subject = Subject {
        user: user.into(),
        ..Subject::default()
    };
    let question = Question {
        sql: sql.as_bytes(),
        subject: &subject,
        now: NOW,
        lex: LexState::default(),
        replication: false,
    };
    let explanation = explain(&policy, &question).unwrap();
    let text = explanation.text();
    let without_print: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("fingerprint"))
        .collect();
    expected.assert_eq(&without_print.join("\n"));
    // The JSON form says the same.
    let json = explanation.json();
    assert_eq!(
        json["decision"]["judged"],
        explanation.decision.judged.as_str()
    );
    assert_eq!(json["rules"].as_array().map(Vec::len), Some(3));
}

#[test]
fn explanations_say_why() {
    explained(
        "DELETE FROM orders",
        "shop",
        expect![[r#"
            statement 1 of 1
              verb         delete
              class        write
              objects      relation orders (delete)
              where        absent
              limit        not-applicable
            text
              readable     yes
              normal form  delete from orders
            rules
              matches  no-unbounded-write  deny, high
              matches  shop                allow, medium
              -        after-hours         client: wanted 10.0.0.0/8; found 127.0.0.1
            decision
              judged       deny
              because      rule `no-unbounded-write` (shop.toml:10:6)
              decided by   where: wanted absent, always-true; found absent
                           verb: wanted update, delete; found delete
              carried out  deny
              client sees  ERROR 42501: UPDATE and DELETE need a WHERE clause
                           Rule: no-unbounded-write"#]],
    );
    explained(
        "SELECT a FROM orders; INSERT INTO orders VALUES (1)",
        "report",
        expect![[r#"
            statement 1 of 2
              verb         select
              class        read
              objects      relation orders (read)
              columns      orders.a (read)
              where        not-applicable
              limit        absent
            statement 2 of 2
              verb         insert
              class        write
              objects      relation orders (insert)
              where        not-applicable
              limit        not-applicable
            text
              readable     yes
              normal form  select a from orders; insert into orders values (?)
            rules
              matches  shop                allow, medium, statement 1
              -                            not statement 2: access: wanted (read); found relation orders (insert)
              -        no-unbounded-write  where: wanted absent, always-true; found not-applicable
              -        after-hours         client: wanted 10.0.0.0/8; found 127.0.0.1
            decision
              judged       deny
              because      no rule decides; the default is deny
              carried out  deny
              client sees  ERROR 42501: no rule of the policy allows this statement
                           Default: deny"#]],
    );
    explained(
        "SELECT query_to_xml(a, true, true, '') FROM orders",
        "shop",
        expect![[r#"
            statement 1 of 1
              verb         select
              class        read
              objects      relation orders (read)
              columns      orders.a (read)
              functions    query_to_xml
              where        not-applicable
              limit        absent
              dynamic      yes
            text
              readable     yes
              normal form  select query_to_xml(a, true, true, '?') from orders
            rules
              -        no-unbounded-write  where: wanted absent, always-true; found not-applicable
              -        after-hours         client: wanted 10.0.0.0/8; found 127.0.0.1
              -        shop                dynamic: wanted not true; found true
                                           (an allow rule that names objects covers SQL in strings only with `dynamic = true`)
            decision
              judged       deny
              because      no rule decides; the default is deny
              carried out  deny
              client sees  ERROR 42501: no rule of the policy allows this statement
                           Default: deny"#]],
    );
    explained(
        "SELEC 1",
        "shop",
        expect![[r#"
        statement 1 of 1
          verb         unknown
          class        utility
          objects      relation selec (refer)
          where        not-applicable
          limit        not-applicable
        text
          readable     no: syntax
          normal form  selec ?
        rules
          -        no-unbounded-write  where: wanted absent, always-true; found not-applicable
          -        after-hours         client: wanted 10.0.0.0/8; found 127.0.0.1
          -        shop                unreadable: wanted a statement that can be read; found syntax
                                       (an allow rule never matches an unreadable statement)
        decision
          judged       deny
          because      it can't be read exactly (syntax); the default for that is deny
          carried out  deny
          client sees  ERROR 42501: this statement cannot be read exactly (syntax)
                       Default: unreadable (syntax)"#]],
    );
}

#[test]
fn tests_check_decision_and_rule() {
    let text = format!(
        "{POLICY}{}",
        r#"
[[test]]
sql = ["DELETE FROM t", "UPDATE t SET a = 1"]
dialect = ["postgres", "mysql"]
expect = { action = "deny", rule = "no-unbounded-write" }
[[test]]
title = "other rule"
sql = "DELETE FROM t"
user = "shop"
expect = { action = "deny", rule = "shop" }
[[test]]
sql = "SELECT 1 FROM t"
user = "shop"
expect = { action = "deny" }
[[test]]
sql = "SELECT 1 FROM t"
user = "shop"
client = "10.1.1.1"
at = 2026-01-04T12:00:00Z
expect = { action = "alert", rule = "after-hours" }
"#
    );
    let results = policy(&text).run_tests().unwrap();
    assert!(!results.passed());
    expect![[r#"
        shop.toml:30:7: other rule: expected deny by `shop`, found deny by `no-unbounded-write` (also matching: shop)
            DELETE FROM t (postgres)
        shop.toml:34:7: expected deny, found allow by `shop`
            SELECT 1 FROM t (postgres)
        rules that no test shows to decide: shop
        5 passed, 2 failed
    "#]].assert_eq(&results.to_string());
}

#[test]
fn batches_keep_their_order() {
    let policy = policy(POLICY);
    let mut input = String::new();
    for number in 0..5000 {
        let line = match number % 5 {
            0 => r#""sql":"DELETE FROM t","user":"shop"}"#,
            1 => r#""sql":"SELECT * FROM t, secret.k","user":"shop","kind":"ignored"}"#,
            2 => r#""sql":"SELECT * FROM t","user":"shop","dialect":"pg"}"#,
            3 => r#""sql":"SELEC"}"#,
            _ => r#""sql":"SELECT 1","dialect":"oracle"}"#,
        };
        input.push_str(&format!("{{\"id\":{number},{line}\n"));
    }
    input.push_str("not json\n\n{\"id\":\"last\",\"sql\":\"SELECT 1\",\"client\":\"nowhere\"}");
    let mut outputs = Vec::new();
    for threads in [1, 3] {
        let batch = Batch {
            dialect: Dialect::Postgres,
            now: NOW,
            threads: NonZeroUsize::new(threads),
        };
        let mut output = Vec::new();
        let summary = judge(&policy, &batch, input.as_bytes(), &mut output).unwrap();
        assert_eq!(
            summary,
            Summary {
                judged: 4000,
                errors: 1002
            }
        );
        outputs.push(String::from_utf8(output).unwrap());
    }
    assert_eq!(outputs[0], outputs[1]);
    let lines: Vec<&str> = outputs[0].lines().collect();
    assert_eq!(lines.len(), 5002);
    let shown = [&lines[..5], &lines[4999..]].concat().join("\n");
    expect![[r#"
        {"id":0,"decision":"deny","rules":["no-unbounded-write","shop"],"verb":"delete","objects":["t"],"readable":true}
        {"id":1,"decision":"deny","rules":[],"verb":"select","objects":["t","secret.k"],"readable":true}
        {"id":2,"decision":"allow","rules":["shop"],"verb":"select","objects":["t"],"readable":true}
        {"id":3,"decision":"deny","rules":[],"verb":"unknown","objects":["selec"],"readable":false}
        {"id":4,"error":"`oracle` is no dialect"}
        {"id":4999,"error":"`oracle` is no dialect"}
        {"id":null,"error":"expected ident at line 1 column 2"}
        {"id":"last","error":"`nowhere` is no address"}"#]].assert_eq(&shown);
    for (number, line) in lines.iter().take(5000).enumerate() {
        assert!(line.starts_with(&format!("{{\"id\":{number},")), "{line}");
    }
}

/// A folder of its own that is removed in the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, text: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn folders_are_read_whole() {
    let folder = Folder::new("whole");
    let first = folder.write("a/one.toml", POLICY.as_bytes());
    folder.write(
        "b/two.toml",
        b"schema = 1\n[[rule]]\nid = \"two\"\nwhen = { user = \"x\" }\naction = \"deny\"\n",
    );
    folder.write("b/notes.txt", b"no policy");
    let policy = load(std::slice::from_ref(&folder.0)).unwrap();
    assert_eq!(policy.rules.len(), 4);
    assert_eq!(policy.rules[3].id.as_ref(), "two");
    // A file that is named twice is one file.
    assert_eq!(
        load(&[first.clone(), folder.0.clone()])
            .unwrap()
            .rules
            .len(),
        4
    );
    // The hash is that of the texts.
    let again = load(std::slice::from_ref(&folder.0)).unwrap();
    assert_eq!(policy.hash, again.hash);
    fs::write(&first, POLICY.replace("high", "low")).unwrap();
    assert_ne!(
        policy.hash,
        load(std::slice::from_ref(&folder.0)).unwrap().hash
    );
}

#[test]
fn files_that_can_not_be_read_are_problems() {
    let folder = Folder::new("unread");
    let missing = load(&[folder.0.join("missing.toml")])
        .unwrap_err()
        .to_string();
    assert!(
        missing.contains("missing.toml:1:1: cannot be read:"),
        "{missing}"
    );
    let empty = load(std::slice::from_ref(&folder.0))
        .unwrap_err()
        .to_string();
    assert!(empty.contains("the folder has no `*.toml`"), "{empty}");
    folder.write("bytes.toml", b"schema = 1 # \xff");
    folder.write("other.toml", b"schema = 2");
    let both = load(std::slice::from_ref(&folder.0))
        .unwrap_err()
        .to_string();
    assert!(
        both.contains("bytes.toml:1:1: cannot be read: the file is not UTF-8"),
        "{both}"
    );
    assert!(
        both.contains("other.toml:1:10: this version of the grammar is not known"),
        "{both}"
    );
}

#[test]
fn checks_report_everything() {
    let folder = Folder::new("check");
    let path = folder.write("p.toml", POLICY.as_bytes());
    let good = check(std::slice::from_ref(&path));
    assert!(good.passed());
    let text = good.text(Colour::Never);
    assert!(
        text.contains("p.toml:21:8: warning: what only this rule matches passes"),
        "{text}"
    );
    let summary: Vec<&str> = text.lines().rev().take(2).collect();
    assert_eq!(
        summary,
        [
            "0 errors, 1 warnings",
            "policy: 3 rules, 1 time windows, 0 tests in 1 files; default deny, unreadable deny, mode enforce",
        ]
    );
    fs::write(&path, POLICY.replace("\"update\"", "\"updat\"")).unwrap();
    let bad = check(std::slice::from_ref(&path));
    assert!(!bad.passed());
    let text = bad.text(Colour::Never);
    assert!(
        text.contains("p.toml:12:18: `updat` is no `verb`"),
        "{text}"
    );
    assert!(text.ends_with("1 errors, 1 warnings\n"), "{text}");
    assert_eq!(bad.json()["problems"][0]["nearest"], "update");
}

/// MySQL and MariaDB: the same door, with what their reading depends on.
#[test]
fn mysql_lines_are_judged_as_the_session_reads_them() {
    let policy = policy(
        r#"schema = 1
[defaults]
action = "allow"
[[rule]]
id = "finance"
when = { object = ["finance.*"] }
action = "deny"
[[rule]]
id = "kill"
when = { verb = ["kill"] }
action = "deny"
"#,
    );
    let input = r#"{"id":1,"sql":"SELECT 1 FROM ledger","dialect":"mysql","database":"finance"}
{"id":2,"sql":"SELECT 1 FROM ledger","dialect":"mysql","database":"shop"}
{"id":3,"sql":"SELECT 1 FROM finance.ledger","dialect":"mariadb","database":"shop"}
{"id":4,"sql":"SELECT 1 FROM ledger","dialect":"mysql","database":"finance"}
{"id":5,"sql":"SELECT 1 FROM \"ledger\"","dialect":"mysql","sql_mode":"ANSI_QUOTES"}
{"id":6,"sql":"SELECT 1 FROM \"ledger\"","dialect":"mysql"}
{"id":7,"sql":"SELECT 1 /*!90100 FROM finance.ledger */","dialect":"mysql","server_version":"8.4.3"}
{"id":8,"sql":"SELECT 1 /*!90100 FROM finance.ledger */","dialect":"mysql","server_version":"9.7.4"}
{"id":9,"sql":"SELECT 'é'","dialect":"mysql","charset":"ucs2"}
{"id":10,"sql":"KILL 5","dialect":"mariadb"}
{"id":11,"sql":"USE finance; DELETE FROM ledger WHERE id=1","dialect":"mysql","database":"shop"}
{"id":12,"sql":"SELECT 1","dialect":"mysql","sql_mode":"NONSENSE"}
{"id":13,"sql":"SELECT 1","sql_mode":"ANSI"}
"#;
    let batch = Batch {
        dialect: Dialect::Postgres,
        now: NOW,
        threads: NonZeroUsize::new(1),
    };
    let mut output = Vec::new();
    judge(&policy, &batch, input.as_bytes(), &mut output).unwrap();
    expect![[r#"
        {"id":1,"decision":"deny","rules":["finance"],"verb":"select","objects":["ledger"],"readable":true}
        {"id":2,"decision":"allow","rules":[],"verb":"select","objects":["ledger"],"readable":true}
        {"id":3,"decision":"deny","rules":["finance"],"verb":"select","objects":["finance.ledger"],"readable":true}
        {"id":4,"decision":"deny","rules":["finance"],"verb":"select","objects":["ledger"],"readable":true}
        {"id":5,"decision":"allow","rules":[],"verb":"select","objects":["ledger"],"readable":true}
        {"id":6,"decision":"deny","rules":[],"verb":"select","objects":[],"readable":false}
        {"id":7,"decision":"allow","rules":[],"verb":"select","objects":[],"readable":true}
        {"id":8,"decision":"deny","rules":["finance"],"verb":"select","objects":["finance.ledger"],"readable":true}
        {"id":9,"decision":"deny","rules":[],"verb":"select","objects":[],"readable":false}
        {"id":10,"decision":"deny","rules":["kill"],"verb":"kill","objects":[],"readable":true}
        {"id":11,"decision":"deny","rules":["finance"],"verb":"use","objects":["finance","finance.ledger"],"readable":true}
        {"id":12,"error":"`NONSENSE` is no sql_mode"}
        {"id":13,"error":"sql_mode and charset are no matter of postgres"}
    "#]]
    .assert_eq(&String::from_utf8(output).unwrap());
}

#[test]
fn tests_in_policies_say_how_they_are_read() {
    let text = format!(
        "{POLICY}{}",
        r#"
[[test]]
sql = "UPDATE t SET a = 1 WHERE 'x' OR 1"
dialect = ["mysql", "mariadb"]
expect = { action = "deny", rule = "no-unbounded-write" }
[[test]]
sql = 'SELECT 1 FROM "t"'
dialect = "mysql"
database = "public"
user = "shop"
sql_mode = "ANSI"
charset = "gbk"
server_version = "8.4.0"
expect = { action = "allow", rule = "shop" }
"#
    );
    let results = policy(&text).run_tests().unwrap();
    assert!(results.passed(), "{results}");
    let wrong = r#"
[[test]]
sql = "SELECT 1"
sql_mode = "ANSI"
expect = { action = "deny" }
"#;
    let problems = compile(vec![("p.toml".into(), format!("{POLICY}{wrong}"))]);
    let problems = problems.unwrap_err().to_string();
    assert!(problems.contains("no matter of postgres"), "{problems}");
}
