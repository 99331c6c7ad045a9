//! Includes, packs and overlays.

use std::path::{Path, PathBuf};

use expect_test::expect;
use sqlward_policy::vocabulary::Action;
use sqlward_policy::{Policy, Subject, compile, decide_startup, load};

use super::passes;

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("sqlward-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, format!("schema = 1\n{text}")).unwrap();
        path
    }

    fn said(&self, path: &Path) -> String {
        let problems = load(&[path.to_owned()]).unwrap_err().to_string();
        problems.replace(&format!("{}/", self.0.display()), "")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

fn rule(id: &str, action: &str) -> String {
    format!("[[rule]]\nid = \"{id}\"\naction = \"{action}\"\nwhen = {{ user = \"{id}\" }}\n")
}

#[test]
fn includes_are_read_once_and_from_their_own_folder() {
    let folder = Folder::new("includes");
    folder.write("packs/a/one.toml", &rule("one", "deny"));
    folder.write(
        "packs/a/two.toml",
        &format!("include = \"../../base.toml\"\n{}", rule("two", "deny")),
    );
    let base = folder.write(
        "base.toml",
        &format!(
            "include = [\"packs/a\", \"base.toml\"]\ndefaults.action = \"allow\"\n{}",
            rule("base", "deny")
        ),
    );
    let policy = load(std::slice::from_ref(&base)).unwrap();
    let ids: Vec<&str> = policy.rules.iter().map(|rule| &*rule.id).collect();
    assert_eq!(ids, ["one", "two", "base"]);
    let again = load(&[base, folder.0.join("packs")]).unwrap();
    assert_eq!(again.rules.len(), 3);
    let missing = folder.write(
        "missing.toml",
        "include = [\"nothing.toml\"]\ndefaults.action = \"allow\"\n",
    );
    expect!["missing.toml:2:12: `nothing.toml` cannot be included: No such file or directory (os error 2)"]
        .assert_eq(&folder.said(&missing));
}

#[test]
fn packs_must_fit() {
    let pack = |id: &str, version: &str, requires: &str| {
        (
            format!("{id}.toml"),
            format!(
                "schema = 1\n[pack]\nid = \"{id}\"\nversion = \"{version}\"\nrequires = [{requires}]\n[[rule]]\nid = \"{id}\"\naction = \"deny\"\nwhen = {{ user = \"a\", verb = \"{id}\" }}\n"
            ),
        )
    };
    let defaults = (
        "d.toml".to_owned(),
        "schema = 1\ndefaults.action = \"allow\"\n".to_owned(),
    );
    let fits = compile(vec![
        defaults.clone(),
        pack("select", "1.10", "\"insert\""),
        pack("insert", "2", "\"select >= 1.9.3\""),
    ]);
    // An empty list requires nothing.
    let fits = fits.unwrap();
    let packs: Vec<String> = fits
        .packs
        .iter()
        .map(|p| format!("{} {}", p.id, p.version))
        .collect();
    assert_eq!(packs, ["select 1.10.0", "insert 2.0.0"]);
    let misfits = compile(vec![
        defaults,
        pack("select", "1.8", "\"insrt\""),
        pack("insert", "x", "\"select >= 1.9\", \"select >= 1.x\""),
        (
            "s.toml".to_owned(),
            "schema = 1\n[pack]\nid = \"select\"\nversion = \"1.7\"\n".to_owned(),
        ),
        pack("update", "1", "\"select >= 1.9\""),
    ]);
    expect![[r#"
        select.toml:5:13: `select` needs the pack `insrt`; expected one of select, update
        insert.toml:4:11: `x` is no version; expected one to three numbers with dots between, such as 1.4.0
        insert.toml:5:30: `1.x` is no version; expected one to three numbers with dots between, such as 1.4.0
        s.toml:3:6: the pack `select` is 1.7.0 here and 1.8.0 at select.toml:3:6
        update.toml:5:13: `update` needs `select` >= 1.9.0, and there is 1.8.0"#]]
    .assert_eq(&misfits.unwrap_err().to_string());
}

fn overlay(id: &str, window: &str, rest: &str) -> String {
    format!(
        "schema = 1\n[overlay]\nid = \"{id}\"\nowner = \"li\"\nreason = \"tried\"\n{window}\n{rest}"
    )
}

fn with_base(overlays: &[String]) -> Result<Policy, sqlward_policy::Problems> {
    let base = format!(
        "schema = 1\ndefaults.action = \"allow\"\n{}{}",
        rule("a", "deny"),
        rule("b", "alert")
    );
    let mut files = vec![("base.toml".to_owned(), base)];
    for (number, text) in overlays.iter().enumerate() {
        files.push((format!("o{number}.toml"), text.clone()));
    }
    compile(files)
}

#[test]
fn an_overlay_holds_from_its_first_minute_to_its_last() {
    let policy = with_base(&[
        overlay(
            "o",
            "from = 2026-12-01T20:00:00Z\nuntil = 2026-12-01T22:00:00Z",
            &format!(
                "[[change]]\nrule = \"a\"\naction = \"alert\"\nseverity = \"low\"\n{}",
                rule("c", "deny")
            ),
        ),
        overlay(
            "p",
            "from = 2026-12-01T22:00:00Z",
            "[[change]]\nrule = \"a\"\nmode = \"observe\"\n",
        ),
        overlay(
            "always",
            "",
            "[[change]]\nrule = \"b\"\naction = \"deny\"\n",
        ),
    ])
    .unwrap();
    let judged = |user: &str, at: &str| {
        let subject = Subject {
            user: user.into(),
            ..Subject::default()
        };
        let decision = decide_startup(&policy, &subject, false, at.parse().unwrap());
        (decision.judged, decision.action)
    };
    let (allow, alert, deny) = (Action::Allow, Action::Alert, Action::Deny);
    for (user, at, expected) in [
        ("a", "2026-12-01T19:59:59.999999999Z", (deny, deny)),
        ("a", "2026-12-01T20:00:00Z", (alert, alert)),
        ("a", "2026-12-01T21:59:59.999999999Z", (alert, alert)),
        ("a", "2026-12-01T22:00:00Z", (deny, allow)),
        ("b", "1970-01-01T00:00:00Z", (deny, deny)),
        ("c", "2026-12-01T19:59:59Z", (allow, allow)),
        ("c", "2026-12-01T20:00:00Z", (deny, deny)),
        ("c", "2026-12-01T22:00:00Z", (allow, allow)),
    ] {
        assert_eq!(judged(user, at), expected, "{user} {at}");
    }
    expect![[r#"
        at         2026-12-01T21:00:00Z
        changes    2026-12-01T22:00:00Z
        default    allow, unreadable deny, mode enforce
        overlay    o (in force, from 2026-12-01T20:00:00Z, until 2026-12-01T22:00:00Z): li; tried
        overlay    p (to come, from 2026-12-01T22:00:00Z): li; tried
        overlay    always (in force): li; tried
        rule       a  alert, low, enforce (overlay o)
        rule       b  deny, medium, enforce (overlay always)
        rule       c  deny, medium, enforce (overlay o)
    "#]]
    .assert_eq(&policy.at("2026-12-01T21:00:00Z".parse().unwrap()).text());
    let json = policy.at("2026-12-01T22:00:00Z".parse().unwrap()).json();
    assert_eq!(json["overlays"][0]["state"], "over");
    assert_eq!(json["rules"][0]["mode"], "observe");
    assert_eq!(json["rules"].as_array().unwrap().len(), 2);
    assert_eq!(json["next_change"], serde_json::Value::Null);
}

#[test]
fn an_overlay_that_can_do_nothing_is_an_error() {
    let said = |overlays: &[String]| with_base(overlays).unwrap_err().to_string();
    let change = "[[change]]\nrule = \"a\"\naction = \"alert\"\n";
    for (overlays, expected) in [
        (
            vec![overlay("o", "", "")],
            "o0.toml:3:6: this overlay does nothing",
        ),
        (
            vec![overlay(
                "o",
                "",
                "[[change]]\nrule = \"aa\"\naction = \"deny\"",
            )],
            "there is no rule `aa`; expected one of",
        ),
        (
            vec![overlay(
                "o",
                "",
                "[[change]]\nrule = \"a\"\naction = \"deny\"",
            )],
            "this leaves `a` as it is",
        ),
        (
            vec![overlay("o", "", "[[change]]\nrule = \"a\"")],
            "this changes nothing; expected `action`, `mode` or `severity`",
        ),
        (
            vec![overlay(
                "o",
                "from = 2026-01-02T00:00:00Z\nuntil = 2026-01-02T00:00:00Z",
                change,
            )],
            "this overlay is never in force",
        ),
        (
            vec![overlay("o", "from = 2026-01-02T00:00:30Z", change)],
            "`from` is not the begin of a minute",
        ),
        (
            vec![overlay("o", "from = 2026-01-02T00:00:00", change)],
            "is no point in time",
        ),
        (
            vec![
                overlay("o", "", change),
                overlay("o", "", "[[change]]\nrule = \"b\"\naction = \"deny\""),
            ],
            "the overlay `o` is defined twice",
        ),
        (
            vec![
                overlay("o", "until = 2026-01-02T00:01:00Z", change),
                overlay("p", "from = 2026-01-02T00:00:00Z", change),
            ],
            "o1.toml:8:8: `a` is changed by `o` at the same time",
        ),
        (
            vec![overlay("o", "defaults.action = \"deny\"", change)],
            "unknown field `defaults` in `[overlay]`",
        ),
        (
            vec![overlay(
                "o",
                "",
                &format!("{change}[defaults]\nmode = \"observe\""),
            )],
            "an overlay has no `[defaults]`",
        ),
        (
            vec![format!("schema = 1\n{change}")],
            "only an overlay changes rules",
        ),
        (
            vec!["schema = 1\n[overlay]\nid = \"o\"\nreason = \"r\"\n".to_owned()],
            "`owner` is missing in `[overlay]`",
        ),
    ] {
        let said = said(&overlays);
        assert!(said.contains(expected), "{expected}: {said}");
    }
}

#[test]
fn tests_see_the_overlay_of_their_time() {
    let policy = with_base(&[overlay(
        "o",
        "from = 2026-12-01T20:00:00Z",
        "[[change]]\nrule = \"a\"\naction = \"terminate\"\n\
         [[test]]\nsql = \"SELECT 1\"\nuser = \"a\"\nat = 2026-12-01T20:00:00Z\nexpect = { action = \"terminate\", rule = \"a\" }\n\
         [[test]]\nsql = \"SELECT 1\"\nuser = \"a\"\nat = 2026-12-01T19:59:00Z\nexpect = { action = \"deny\", rule = \"a\" }\n\
         [[test]]\nsql = \"SELECT 1\"\nuser = \"b\"\nexpect = { action = \"alert\", rule = \"b\" }\n",
    )])
    .unwrap();
    passes(&policy);
    assert_eq!(policy.run_tests().unwrap().unproved, Vec::<String>::new());
}
