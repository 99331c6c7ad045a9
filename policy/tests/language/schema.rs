//! The JSON Schema: that of the code, and true of every policy of this repository.

use boon::{Compiler, Schemas};
use serde_json::{Value, json};
use sqlward_policy::file::schema::schema;

use super::repository;

/// Whether the schema takes a policy file.
fn takes(text: &str) -> Result<(), String> {
    let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
    compiler.add_resource("policy.json", schema()).unwrap();
    let index = compiler.compile("policy.json", &mut schemas).unwrap();
    let table: toml::Table = text.parse().unwrap();
    let value = plain(toml::Value::Table(table));
    schemas
        .validate(&value, index)
        .map_err(|error| format!("{error:#}"))
}

/// TOML as JSON: dates become texts.
fn plain(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) => json!(text),
        toml::Value::Integer(number) => json!(number),
        toml::Value::Float(number) => json!(number),
        toml::Value::Boolean(flag) => json!(flag),
        toml::Value::Datetime(time) => json!(time.to_string()),
        toml::Value::Array(items) => items.into_iter().map(plain).collect(),
        toml::Value::Table(table) => {
            let fields = table.into_iter().map(|(key, value)| (key, plain(value)));
            Value::Object(fields.collect())
        }
    }
}

#[test]
fn the_file_is_that_of_the_code() {
    let path = repository("docs/policy.schema.json");
    let made = format!("{:#}\n", schema());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    assert!(
        std::fs::read_to_string(&path).unwrap_or_default() == made,
        "docs/policy.schema.json is stale: UPDATE_DOCS=1 cargo test -p sqlward-policy --test language"
    );
}

#[test]
fn it_takes_every_policy_here() {
    let mut folders = vec![repository("rules")];
    let mut count = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path
                .extension()
                .is_some_and(|extension| extension == "toml")
            {
                let text = std::fs::read_to_string(&path).unwrap();
                takes(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
                count += 1;
            }
        }
    }
    assert!(count > 10);
    for (_, text) in super::manual::examples() {
        takes(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    }
}

#[test]
fn it_refuses_what_the_reader_refuses() {
    for wrong in [
        "",
        "schema = 2",
        "schema = 1\nrul = []",
        "schema = 1\ndefaults.action = \"alow\"",
        "schema = 1\n[[rule]]\nid = \"r\"\naction = \"deny\"",
        "schema = 1\n[[rule]]\nid = \"r\"\naction = \"deny\"\nwhen = {}",
        "schema = 1\n[[rule]]\nid = \"r\"\naction = \"deny\"\nwhen = { verb = [\"selct\"] }",
        "schema = 1\n[[rule]]\nid = \"r\"\naction = \"deny\"\nwhen = { usr = [\"a\"] }",
        "schema = 1\n[[rule]]\nid = \"r\"\naction = \"deny\"\nwhen = { history = { count = \"> 1\", within = \"x\", of = { user = \"a\" } } }",
        "schema = 1\n[[rule]]\nid = \"r\"\naction = \"deny\"\nwhen = { not = { fingerprint = \"12\" } }",
    ] {
        assert!(takes(wrong).is_err(), "{wrong}");
        let read = sqlward_policy::compile(vec![("p.toml".into(), wrong.into())]);
        assert!(read.is_err(), "{wrong}");
    }
}
