//! `docs/policy.md`: its tables are those of the code, its examples are true, and every field has one.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use sqlward_policy::file::fields::{
    CALENDAR, CHANGE, DEFAULTS, ESCALATION, EXPECT, Form, HISTORY, LISTENER, LITERAL, Need,
    OVERLAY, PACK, PARAMETER, POLICY, REDACT, REDACT_TEST, RULE, Section, TEST, TITLE, TOP, WHEN,
    WINDOW,
};
use sqlward_policy::{compile, load, rule::risk};

use super::repository;

/// The sections of the page's tables.
fn sections() -> Vec<(&'static str, &'static Section)> {
    vec![
        ("top", &TOP),
        ("policy", &POLICY),
        ("defaults", &DEFAULTS),
        ("listener", &LISTENER),
        ("rule", &RULE),
        ("title", &TITLE),
        ("when", &WHEN),
        ("time", &WINDOW),
        ("calendar", &CALENDAR),
        ("parameter", &PARAMETER),
        ("literal", &LITERAL),
        ("history", &HISTORY),
        ("escalation", &ESCALATION),
        ("redact", &REDACT),
        ("redact_test", &REDACT_TEST),
        ("pack", &PACK),
        ("overlay", &OVERLAY),
        ("change", &CHANGE),
        ("test", &TEST),
        ("expect", &EXPECT),
    ]
}

fn page() -> String {
    std::fs::read_to_string(repository("docs/policy.md")).unwrap()
}

#[test]
fn its_tables_are_those_of_the_code() {
    let page = page();
    let mut made = page.clone();
    for (name, section) in sections() {
        made = fill(&made, &format!("<!-- fields: {name} -->"), &table(section));
    }
    let mut factors = String::from("| adds | if |\n|---:|---|\n");
    for factor in risk::FACTORS {
        writeln!(factors, "| {} | {} |", factor.points, factor.doc).unwrap();
    }
    made = fill(&made, "<!-- risk -->", &factors);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(repository("docs/policy.md"), &made).unwrap();
    } else {
        assert!(
            made == page,
            "docs/policy.md is stale: UPDATE_DOCS=1 cargo test -p sqlward-policy --test language"
        );
    }
    // Every section of the language has its table.
    fn visit(section: &'static Section, seen: &mut BTreeSet<&'static str>) {
        if !seen.insert(section.name) {
            return;
        }
        for field in section.fields {
            match field.form {
                Form::Table(nested)
                | Form::TextOr(nested)
                | Form::Named(nested)
                | Form::Tables(nested) => visit(nested, seen),
                Form::Condition => visit(&WHEN, seen),
                _ => {}
            }
        }
    }
    let mut all = BTreeSet::new();
    visit(&TOP, &mut all);
    let shown: BTreeSet<&str> = sections().iter().map(|(_, section)| section.name).collect();
    assert_eq!(all, shown);
}

fn fill(page: &str, marker: &str, content: &str) -> String {
    let (before, rest) = page
        .split_once(marker)
        .unwrap_or_else(|| panic!("{marker}"));
    let (_, after) = rest.split_once("<!-- end -->").unwrap();
    format!("{before}{marker}\n{content}<!-- end -->{after}")
}

fn table(section: &Section) -> String {
    let mut table = String::from("| field | form | meaning |\n|---|---|---|\n");
    for field in section.fields {
        let need = match field.need {
            Need::Required => " (required)",
            Need::Optional => "",
        };
        let form = form(field.form);
        writeln!(table, "| `{}` | {form}{need} | {} |", field.name, field.doc).unwrap();
    }
    table
}

fn form(form: Form) -> String {
    let words = |words: fn() -> Vec<&'static str>| {
        let words: Vec<String> = words().iter().map(|word| format!("`{word}`")).collect();
        words.join(" ")
    };
    match form {
        Form::Text => "text".into(),
        Form::Texts => "texts".into(),
        Form::Flag => "true, false".into(),
        Form::One => "`1`".into(),
        Form::Word(list) => words(list),
        Form::Words(list) => format!("any of {}", words(list)),
        Form::FlagOrWords(list) => format!("true, false, any of {}", words(list)),
        Form::AtLeast(list) => format!("any of {}, or `>= …`", words(list)),
        Form::Days => "days".into(),
        Form::Dates => "dates".into(),
        Form::Ranges => "ranges".into(),
        Form::Duration => "`30s` `5m` `1h`".into(),
        Form::Number => "number".into(),
        Form::Values => "texts and numbers".into(),
        Form::Patterns => "patterns".into(),
        Form::Networks => "addresses, networks".into(),
        Form::Fingerprints => "fingerprints".into(),
        Form::TimeOfDay => "`HH:MM`".into(),
        Form::Time => "date and time".into(),
        Form::Condition => "fields of `when`".into(),
        Form::Conditions => "list of tables of fields of `when`".into(),
        Form::Sets => "lists by name".into(),
        Form::TextOr(section) => format!("text, or {}", section.name),
        Form::Table(section) | Form::Named(section) | Form::Tables(section) => section.name.into(),
    }
}

/// The examples: what stands behind the language of the fence, and the text.
pub(super) fn examples() -> Vec<(String, String)> {
    let page = page();
    let mut examples = Vec::new();
    let mut open: Option<(String, String)> = None;
    for line in page.lines() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(fence)) => open = Some((fence.into(), String::new())),
            (Some(_), Some(_)) => examples.extend(open.take()),
            (Some((_, text)), None) => {
                text.push_str(line);
                text.push('\n');
            }
            (None, None) => {}
        }
    }
    examples.retain(|(fence, _)| fence.starts_with("toml"));
    assert!(examples.len() > 10);
    examples
}

#[test]
fn its_examples_are_true() {
    let folder = std::env::temp_dir().join(format!("sqlward-manual-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    for (fence, text) in examples() {
        let policy = match fence.split_once("file=") {
            Some((_, name)) => {
                let path = folder.join(name);
                std::fs::write(&path, &text).unwrap();
                load(&[path])
            }
            None => compile(vec![("example.toml".into(), text.clone())]),
        };
        let policy = policy.unwrap_or_else(|problems| panic!("{problems}\n{text}"));
        let results = policy.run_tests().unwrap();
        assert!(results.passed() && results.run > 0, "{results}\n{text}");
        // A fingerprint and a digest of roles can't be written by hand: all other rules are shown to decide.
        let unproved: Vec<&String> = results
            .unproved
            .iter()
            .filter(|id| !["known-bad", "roles"].contains(&id.as_str()))
            .collect();
        assert!(unproved.is_empty(), "{unproved:?}\n{text}");
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn every_field_has_an_example() {
    let mut used: BTreeSet<(&str, String)> = BTreeSet::new();
    for (_, text) in examples() {
        let table: toml::Table = text.parse().unwrap();
        note(&TOP, &table, &mut used);
    }
    for (name, section) in sections() {
        for field in section.fields {
            assert!(
                used.contains(&(section.name, field.name.to_owned())),
                "{name}: `{}` has no example",
                field.name
            );
        }
    }
}

/// Notes the fields that a table uses.
fn note(
    section: &'static Section,
    table: &toml::Table,
    used: &mut BTreeSet<(&'static str, String)>,
) {
    for (key, value) in table {
        used.insert((section.name, key.clone()));
        let Some(field) = section.field(key) else {
            panic!("{key} is no field");
        };
        let nested = |value: &toml::Value| match value {
            toml::Value::Table(table) => vec![table.clone()],
            toml::Value::Array(items) => items
                .iter()
                .filter_map(|item| item.as_table().cloned())
                .collect(),
            _ => Vec::new(),
        };
        let (section, tables): (&'static Section, Vec<toml::Table>) = match field.form {
            Form::Table(section) | Form::TextOr(section) | Form::Tables(section) => {
                (section, nested(value))
            }
            Form::Named(section) => {
                let named = value.as_table().unwrap().values();
                (section, named.flat_map(nested).collect())
            }
            Form::Condition | Form::Conditions => (&WHEN, nested(value)),
            _ => continue,
        };
        for table in tables {
            note(section, &table, used);
        }
    }
}
