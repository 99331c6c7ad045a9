//! The JSON Schema of a policy file, for editors: made of the table of fields.

use serde_json::{Map, Value, json};

use super::fields::{Field, Form, Need, Section, TOP, WHEN};

/// The schema (JSON Schema, draft 2020-12).
#[must_use]
pub fn schema() -> Value {
    let mut top = section(&TOP);
    if let Some(top) = top.as_object_mut() {
        top.insert(
            "$schema".into(),
            json!("https://json-schema.org/draft/2020-12/schema"),
        );
        top.insert("title".into(), json!("sqlward policy"));
        let mut when = section(&WHEN);
        if let Some(when) = when.as_object_mut() {
            when.insert("minProperties".into(), json!(1));
        }
        top.insert(
            "$defs".into(),
            json!({
                "when": when,
                "set": { "type": "string", "pattern": "^@" },
            }),
        );
    }
    top
}

fn section(section: &Section) -> Value {
    let mut properties = Map::new();
    for field in section.fields {
        properties.insert(field.name.into(), property(field));
    }
    let required: Vec<&str> = section
        .fields
        .iter()
        .filter(|field| field.need == Need::Required)
        .map(|field| field.name)
        .collect();
    let mut object = Map::new();
    object.insert("type".into(), json!("object"));
    object.insert("additionalProperties".into(), json!(false));
    object.insert("properties".into(), Value::Object(properties));
    if !required.is_empty() {
        object.insert("required".into(), json!(required));
    }
    Value::Object(object)
}

fn property(field: &Field) -> Value {
    let mut value = form(field.form, field.condition.is_some());
    if let Some(value) = value.as_object_mut() {
        value.insert("description".into(), json!(field.doc));
    }
    value
}

/// The schema of a form; in `when`, sets may stand in lists.
fn form(form: Form, in_when: bool) -> Value {
    let text = || json!({ "type": "string" });
    let list = |item: Value| {
        let item = if in_when && item.get("enum").is_some() {
            json!({ "anyOf": [item, { "$ref": "#/$defs/set" }] })
        } else {
            item
        };
        json!({ "anyOf": [item, { "type": "array", "items": item, "minItems": 1 }] })
    };
    match form {
        Form::Text | Form::Time => text(),
        Form::TimeOfDay => json!({ "type": "string", "pattern": "^[0-2][0-9]:[0-5][0-9]" }),
        Form::Texts | Form::Patterns | Form::Networks | Form::Days | Form::Dates | Form::Ranges => {
            list(text())
        }
        Form::AtLeast(words) => {
            let least = words().into_iter().map(|word| format!(">= {word}"));
            let words = words().into_iter().map(str::to_owned);
            list(json!({ "enum": words.chain(least).collect::<Vec<_>>() }))
        }
        Form::Duration => json!({ "type": "string", "pattern": "^[0-9]+[smhd]$" }),
        Form::Number => json!({ "type": "integer", "minimum": 1, "maximum": 65535 }),
        Form::Values => json!({ "type": "array", "items": { "type": ["string", "number"] } }),
        Form::Fingerprints => {
            list(json!({ "type": "string", "pattern": "^(@.*|[0-9a-fA-F]{32})$" }))
        }
        Form::Flag => json!({ "type": "boolean" }),
        Form::One => json!({ "const": 1 }),
        Form::Word(words) => json!({ "enum": words() }),
        Form::Words(words) => list(json!({ "enum": words() })),
        Form::FlagOrWords(words) => {
            json!({ "anyOf": [{ "type": "boolean" }, list(json!({ "enum": words() }))] })
        }
        Form::Condition => json!({ "$ref": "#/$defs/when" }),
        Form::Conditions => {
            json!({ "type": "array", "items": { "$ref": "#/$defs/when" }, "minItems": 2 })
        }
        Form::Sets => json!({
            "type": "object",
            "additionalProperties": { "type": "array", "items": text(), "minItems": 1 },
        }),
        Form::TextOr(table) => json!({ "anyOf": [text(), section(table)] }),
        Form::Table(table) => section(table),
        Form::Named(table) => json!({ "type": "object", "additionalProperties": section(table) }),
        Form::Tables(table) => json!({ "type": "array", "items": section(table) }),
    }
}
