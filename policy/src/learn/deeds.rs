//! What statements of one user and verb do, as the conditions of rules.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::statement::facts::{Name, StatementFacts};
use crate::vocabulary::{Access, ObjectKind, WhereShape};

/// What statements of one verb do, all together.
#[derive(Default)]
pub(super) struct Deeds {
    pub(super) objects: BTreeSet<String>,
    /// Statements that name no object but types and routines.
    pub(super) bare: bool,
    pub(super) functions: BTreeSet<String>,
    /// Statements that call nothing.
    pub(super) plain: bool,
    /// Whether each UPDATE or DELETE restricts its rows.
    pub(super) restricted: bool,
}

impl Deeds {
    /// The condition that nothing is named and nothing is called.
    pub(super) fn none() -> String {
        not(&[no_object(), no_call()])
    }

    pub(super) fn note(&mut self, statement: &StatementFacts) {
        let objects = statement.objects.iter().filter(|object| {
            !matches!(
                (object.kind, object.access),
                (ObjectKind::Routine, Access::Execute) | (ObjectKind::Type, Access::Refer)
            )
        });
        let mut any = false;
        for object in objects {
            any = true;
            self.objects.insert(pattern(&object.name));
        }
        self.bare |= !any;
        self.plain |= statement.functions.is_empty();
        self.functions
            .extend(statement.functions.iter().map(pattern));
        self.restricted &= statement.where_shape == WhereShape::Restricting;
    }

    pub(super) fn with_objects(&self, verb: &str) -> Vec<String> {
        let mut conditions = vec![
            format!("verb = \"{verb}\""),
            format!("object = {}", list(&self.objects)),
        ];
        conditions.extend(self.rows());
        conditions.push(match (self.plain, self.functions.is_empty()) {
            (_, true) => not(&[no_call()]),
            (true, false) => format!(
                "any = [ {{ {} }}, {{ {} }} ]",
                not(&[no_call()]),
                self.calls()
            ),
            (false, false) => self.calls(),
        });
        conditions
    }

    pub(super) fn without_objects(&self, verb: &str) -> Vec<String> {
        let mut conditions = vec![format!("verb = \"{verb}\"")];
        conditions.extend(self.rows());
        match (self.plain, self.functions.is_empty()) {
            (_, true) => conditions.push(not(&[no_object(), no_call()])),
            (true, false) => {
                let either = format!(
                    "any = [ {{ {} }}, {{ {} }} ]",
                    not(&[no_call()]),
                    self.calls()
                );
                conditions.extend([not(&[no_object()]), either]);
            }
            (false, false) => conditions.extend([not(&[no_object()]), self.calls()]),
        }
        conditions
    }

    fn calls(&self) -> String {
        format!("function = {}", list(&self.functions))
    }

    fn rows(&self) -> Option<String> {
        self.restricted
            .then(|| "where = \"restricting\"".to_owned())
    }
}

/// The condition that nothing of the kind is there.
fn not(excluded: &[String]) -> String {
    match excluded {
        [one] => format!("not = {{ {one} }}"),
        several => {
            let each: Vec<String> = several.iter().map(|one| format!("{{ {one} }}")).collect();
            format!("not = {{ any = [ {} ] }}", each.join(", "))
        }
    }
}

fn no_call() -> String {
    "function = \"*\"".to_owned()
}

/// Every kind of object but those that calls and casts name.
fn no_object() -> String {
    let kinds = ObjectKind::ALL
        .iter()
        .filter(|kind| !matches!(kind, ObjectKind::Routine | ObjectKind::Type));
    let kinds: BTreeSet<String> = kinds.map(ToString::to_string).collect();
    format!("object_kind = {}", list(&kinds))
}

/// A name as a pattern that fits nothing else, in any schema where the text named none.
fn pattern(name: &Name) -> String {
    match &name.schema {
        Some(schema) => format!("{}.{}", escaped(schema), escaped(&name.name)),
        None => escaped(&name.name),
    }
}

pub(super) fn escaped(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for letter in name.chars() {
        if matches!(letter, '*' | '?' | '\\' | '[' | ']' | '{' | '}' | '.' | '=') {
            text.push('\\');
        }
        text.push(letter);
    }
    text
}

/// A text as a TOML basic string.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => out.extend(['\\', letter]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            other if other.is_control() => {
                let _ = write!(out, "\\u{:04X}", u32::from(other));
            }
            other => out.push(other),
        }
    }
    out.push('"');
    out
}

pub(super) fn list(items: &BTreeSet<String>) -> String {
    let items: Vec<String> = items.iter().map(|item| quoted(item)).collect();
    format!("[{}]", items.join(", "))
}
