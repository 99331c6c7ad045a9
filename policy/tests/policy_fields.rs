//! The table of fields is what is read: no field without a reader, no reader without a field.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use sqlward_policy::compile;
use sqlward_policy::file::fields::{Form, Section, TOP, WHEN};

/// A value that no field takes.
const WRONG: &str = "[[2026-01-01]]";

/// What is said about `text`, with the marked value in it.
fn complaints(text: &str) -> Vec<(usize, usize)> {
    match compile(vec![("p.toml".into(), text.to_owned())]) {
        Ok(policy) => panic!("accepted with {:?}: {text}", policy.warnings),
        Err(problems) => problems
            .0
            .iter()
            .map(|problem| (problem.line, problem.column))
            .collect(),
    }
}

/// Puts a wrong value into every field of `section` and sees that each is looked at. `before` opens the section.
fn every_field_is_read(section: &Section, before: &str) {
    for field in section.fields {
        let text = format!("{before}{} = {WRONG}\n", field.name);
        let line = text.lines().count();
        let column = field.name.len() + " = ".len() + 1;
        let looked = complaints(&text)
            .iter()
            .any(|(at, from)| *at == line && *from >= column);
        assert!(looked, "{} is not read: {text}", field.name);
        let nested: Option<(&Section, String)> = match field.form {
            Form::Table(section) | Form::TextOr(section) => {
                Some((section, format!("{before}[{}]\n", path(before, field.name))))
            }
            Form::Named(section) => Some((section, format!("{before}[{}.x]\n", field.name))),
            Form::Tables(section) => Some((section, format!("{before}[[{}]]\n", field.name))),
            Form::Condition => None,
            _ => None,
        };
        if let Some((section, before)) = nested {
            every_field_is_read(section, &before);
        }
    }
}

/// The path of a table in the section that `before` has opened last.
fn path(before: &str, name: &str) -> String {
    let last = before.lines().rfind(|line| line.starts_with('['));
    match last {
        Some(open) => format!("{}.{name}", open.trim_matches(['[', ']'])),
        None => name.to_owned(),
    }
}

#[test]
fn every_field_of_every_section_is_read() {
    // `schema` itself must stand alone.
    assert!(!complaints(&format!("schema = {WRONG}\n")).is_empty());
    let rest = Section {
        name: "top",
        fields: TOP.fields.get(1..).unwrap(),
    };
    assert_eq!(TOP.fields.first().unwrap().name, "schema");
    every_field_is_read(&rest, "schema = 1\n");
}

#[test]
fn every_condition_is_read() {
    every_field_is_read(
        &WHEN,
        "schema = 1\n[[rule]]\nid = \"r\"\naction = \"deny\"\n[rule.when]\n",
    );
}

#[test]
fn fields_have_one_name_and_one_line() {
    fn check(section: &Section) {
        for (position, field) in section.fields.iter().enumerate() {
            let before = section.fields.iter().take(position);
            assert!(
                !before.into_iter().any(|other| other.name == field.name),
                "{} comes twice in {}",
                field.name,
                section.name
            );
            assert!(
                field.doc.ends_with('.') && !field.doc.contains('\n'),
                "{}",
                field.name
            );
            match field.form {
                Form::Table(nested)
                | Form::TextOr(nested)
                | Form::Named(nested)
                | Form::Tables(nested) => check(nested),
                _ => {}
            }
        }
    }
    check(&TOP);
    check(&WHEN);
}
