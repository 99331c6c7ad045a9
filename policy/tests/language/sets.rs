//! `[sets]`.

use expect_test::expect;
use sqlward_policy::compile;

use super::{passes, policy, said};

#[test]
fn sets_stand_in_every_list_of_conditions() {
    let print = "0123456789abcdef0123456789abcdef";
    let policy = policy(&format!(
        r#"
defaults.action = "allow"
[sets]
users = ["a", "b_*"]
nets = ["10.0.0.0/8"]
verbs = ["insert", "update"]
ways = ["write"]
prints = ["{print}"]
windows = ["noon"]
trusted = [">= setting"]
[time.noon]
from = "12:00"
to = "13:00"
[[rule]]
id = "r"
action = "deny"
when = {{ user = "@users", client = ["@nets", "192.168.0.1"], verb = "@verbs", access = "@ways", time = "@windows", not = {{ fingerprint = "@prints" }} }}
[[rule]]
id = "s"
action = "deny"
when = {{ user = "\\@users", end_user_trust = "@trusted" }}
[[test]]
sql = "INSERT INTO t VALUES (1)"
user = "b_1"
client = "10.9.9.9"
expect = {{ action = "deny", rule = "r" }}
[[test]]
sql = "INSERT INTO t VALUES (1)"
user = "c"
client = "10.9.9.9"
expect = {{ action = "allow" }}
[[test]]
sql = "SELECT 1"
user = "@users"
end_user = "x"
end_user_trust = "attribute"
expect = {{ action = "deny", rule = "s" }}
"#
    ));
    assert!(policy.warnings.is_empty(), "{:?}", policy.warnings);
    passes(&policy);
}

#[test]
fn what_is_wrong_with_sets_is_said() {
    let text = r#"defaults.action = "allow"
[sets]
one = ["@two"]
two = ["@one", "@thre"]
three = ["x[", "10.0.0.1/8"]
unused = ["a"]
four = "a"
five = [1]
[[rule]]
id = "r"
action = "deny"
when = { user = ["@one", "@three"], client = "@three", role = "@fuor", verb = "@three" }
"#;
    expect![[r#"
        p.toml:4:1: the set `one` holds itself
        p.toml:5:1: the set `two` holds itself
        p.toml:5:16: there is no set `thre`; expected one of five, one, three, two, unused; did you mean `three`?
        p.toml:7:1: warning: no rule uses the set `unused`
        p.toml:8:8: `four` is a string; expected a list of strings
        p.toml:9:1: warning: no rule uses the set `five`
        p.toml:9:9: `five` is an integer; expected a string
        p.toml:13:26: `x[` is no pattern for `user` (from the set `three`): `[` has no meaning here: only `*` and `?` are wildcards, and `\[` is the character itself
        p.toml:13:46: `x[` is no network for `client` (from the set `three`); expected an address or a network such as 10.1.0.0/16
        p.toml:13:46: `10.0.0.1/8` is no network for `client` (from the set `three`); expected `10.0.0.0/8`, the network's first address
        p.toml:13:63: there is no set `fuor`; expected one of five, one, three, two, unused
        p.toml:13:79: `x[` is no `verb` (from the set `three`); expected one of select, insert, update, delete, merge, truncate, copy, load, create, alter, drop, comment, security-label, grant, revoke, reassign, begin, commit, rollback, savepoint, prepare-transaction, lock, set, reset, show, use, explain, prepare, execute, deallocate, declare, fetch, close, do, call, function-call, listen, notify, vacuum, analyze, cluster, reindex, refresh, checkpoint, import, alter-system, kill, flush, handler, install, shutdown, purge, change-replication, check, binlog, clone, replication, empty, unknown
        p.toml:13:79: `10.0.0.1/8` is no `verb` (from the set `three`); expected one of select, insert, update, delete, merge, truncate, copy, load, create, alter, drop, comment, security-label, grant, revoke, reassign, begin, commit, rollback, savepoint, prepare-transaction, lock, set, reset, show, use, explain, prepare, execute, deallocate, declare, fetch, close, do, call, function-call, listen, notify, vacuum, analyze, cluster, reindex, refresh, checkpoint, import, alter-system, kill, flush, handler, install, shutdown, purge, change-replication, check, binlog, clone, replication, empty, unknown"#]]
    .assert_eq(&said(text));
}

#[test]
fn sets_are_known_in_every_file_and_defined_once() {
    let rule = "schema = 1\ndefaults.action = \"allow\"\n[[rule]]\nid = \"r\"\naction = \"deny\"\nwhen = { user = \"@staff\" }\n";
    let sets = "schema = 1\n[sets]\nstaff = [\"a\"]\n";
    let compiled = compile(vec![
        ("rule.toml".into(), rule.into()),
        ("sets.toml".into(), sets.into()),
    ]);
    assert!(compiled.unwrap().warnings.is_empty());
    let twice = compile(vec![
        ("rule.toml".into(), rule.into()),
        ("a.toml".into(), sets.into()),
        ("b.toml".into(), sets.into()),
    ]);
    expect!["b.toml:3:1: the set `staff` is defined twice"]
        .assert_eq(&twice.unwrap_err().to_string());
}
