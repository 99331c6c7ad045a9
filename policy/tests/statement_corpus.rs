//! Properties over the corpora: readable where the grammar is, complete against the raw tree, recalled as analysed.
#![allow(
    clippy::panic,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde_json::Value;
use sqlward_policy::statement::{
    ANALYSIS_STACK_BYTES, Encoding, LexState, Limits, Name, PostgresLex, Reader, analyse, fuzzing,
};
use sqlward_policy::vocabulary::{Unreadable, WhereShape};

struct Text {
    sql: String,
    kind: String,
}

/// The PostgreSQL corpora, where they are: `$SQLWARD_CORPORA`, or `shared/corpora` beside the workspace.
fn corpora() -> Vec<Text> {
    let folder = match std::env::var_os("SQLWARD_CORPORA") {
        Some(folder) => PathBuf::from(folder),
        None => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpora"),
    };
    let own = [
        "SELECT a FROM t WHERE id = 1",
        "INSERT INTO t VALUES (1, 'x'), (2, 'y')",
        "DELETE FROM t WHERE 1 = 1",
        "DELETE FROM t WHERE a LIKE '%'",
        "SET search_path = a, b",
    ];
    let mut texts: Vec<Text> = own
        .iter()
        .map(|&sql| Text {
            sql: sql.to_owned(),
            kind: "own".to_owned(),
        })
        .collect();
    for file in ["pg-benign.jsonl", "pg-attack.jsonl"] {
        let Ok(lines) = std::fs::read_to_string(folder.join(file)) else {
            eprintln!("no corpus {file}: only our own texts are tested");
            continue;
        };
        for line in lines.lines() {
            let value: Value = serde_json::from_str(line).expect("a line of JSON");
            let label = value["label"].as_str().expect("a label");
            let kind = value["kind"]
                .as_str()
                .expect("a kind")
                .split(':')
                .next()
                .expect("a kind");
            let sql = value["sql"].as_str().expect("a text").to_owned();
            texts.push(Text {
                sql,
                kind: format!("{label} {kind}"),
            });
        }
    }
    texts
}

fn on_stack<R: Send>(f: impl FnOnce() -> R + Send) -> R {
    std::thread::scope(|scope| {
        std::thread::Builder::new()
            .stack_size(ANALYSIS_STACK_BYTES)
            .spawn_scoped(scope, f)
            .expect("a thread")
            .join()
            .expect("no panic")
    })
}

#[test]
fn what_the_grammar_accepts_is_readable() {
    let (texts, lex, limits) = (corpora(), LexState::default(), Limits::default());
    let mut figures: BTreeMap<&str, (usize, usize, usize)> = BTreeMap::new();
    let mut wrong = Vec::new();
    on_stack(|| {
        for text in &texts {
            let accepted = pg_query::parse(&text.sql, 0).is_ok();
            let analysis = analyse(text.sql.as_bytes(), &lex, &limits);
            let figure = figures.entry(&text.kind).or_default();
            figure.0 += 1;
            figure.1 += usize::from(accepted);
            figure.2 += usize::from(analysis.facts.unreadable.is_none());
            let expected = if accepted {
                None
            } else {
                Some(Unreadable::Syntax)
            };
            if analysis.facts.unreadable != expected {
                wrong.push(format!("{:?} {}", analysis.facts.unreadable, text.sql));
            }
        }
    });
    for (kind, (all, accepted, readable)) in figures {
        println!("{kind}: {all} texts, {accepted} accepted by the grammar, {readable} readable");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Names in a tree, found by the shape of its JSON form alone.
#[derive(Default)]
struct Names {
    relations: BTreeSet<(String, String)>,
    functions: BTreeSet<(String, String)>,
    ctes: BTreeSet<String>,
}

fn part(value: &Value) -> String {
    let text = value.pointer("/node/String/sval");
    text.and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn collect(value: &Value, names: &mut Names) {
    match value {
        Value::Object(fields) => {
            if let (Some(name), Some(schema)) = (fields.get("relname"), fields.get("schemaname")) {
                let text = |value: &Value| value.as_str().unwrap().to_owned();
                names.relations.insert((text(schema), text(name)));
            }
            if let (Some(Value::Array(parts)), true) =
                (fields.get("funcname"), fields.contains_key("funcformat"))
            {
                let schema = parts.len().checked_sub(2).map(|at| part(&parts[at]));
                names
                    .functions
                    .insert((schema.unwrap_or_default(), part(parts.last().unwrap())));
            }
            if let Some(Value::String(name)) = fields.get("ctename") {
                names.ctes.insert(name.clone());
            }
            for (key, field) in fields {
                // FOR UPDATE OF names FROM items, not relations.
                if key != "locking_clause" {
                    collect(field, names);
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, names)),
        _ => {}
    }
}

fn pair(name: &Name) -> (String, String) {
    (
        name.schema.as_deref().unwrap_or_default().to_owned(),
        name.name.to_string(),
    )
}

#[test]
fn no_name_in_the_tree_is_missed() {
    let (texts, lex, limits) = (corpora(), LexState::default(), Limits::default());
    let mut wrong = Vec::new();
    let (mut relations, mut functions) = (0, 0);
    on_stack(|| {
        for text in &texts {
            let Ok(tree) = pg_query::parse(&text.sql, 0) else {
                continue;
            };
            let mut names = Names::default();
            collect(
                &serde_json::to_value(&tree.protobuf).expect("JSON"),
                &mut names,
            );
            let facts = analyse(text.sql.as_bytes(), &lex, &limits).facts;
            let objects: BTreeSet<_> = facts
                .statements
                .iter()
                .flat_map(|statement| &statement.objects)
                .map(|object| pair(&object.name))
                .collect();
            let called: BTreeSet<_> = facts
                .statements
                .iter()
                .flat_map(|statement| &statement.functions)
                .map(pair)
                .collect();
            relations += names.relations.len();
            functions += names.functions.len();
            for relation in &names.relations {
                let cte = relation.0.is_empty() && names.ctes.contains(&relation.1);
                if !cte && !objects.contains(relation) {
                    wrong.push(format!("relation {relation:?} of {}", text.sql));
                }
            }
            for function in names.functions.difference(&called) {
                wrong.push(format!("function {function:?} of {}", text.sql));
            }
        }
    });
    println!("{relations} relations and {functions} functions");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_normal_form_of_a_normal_form_is_itself() {
    let (texts, lex, limits) = (corpora(), LexState::default(), Limits::default());
    let mut wrong = Vec::new();
    on_stack(|| {
        for text in &texts {
            let once = analyse(text.sql.as_bytes(), &lex, &limits);
            let scannable = pg_query::scan(&text.sql).is_ok();
            if !scannable || once.normal_cut {
                continue;
            }
            let twice = analyse(once.normal.as_bytes(), &lex, &limits);
            if once.normal != twice.normal {
                wrong.push(format!(
                    "{}\n  {}\n  {}",
                    text.sql, once.normal, twice.normal
                ));
            }
        }
    });
    assert!(
        wrong.is_empty(),
        "{} of them\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// The same tokens with other literals and other lengths of lists.
fn variations(sql: &str) -> Vec<String> {
    let swaps = [
        ("1", "2"),
        ("1", "0"),
        ("0", "1"),
        ("= 1", "= 12345"),
        ("'", "'x"),
        ("%", "a"),
        ("'a", "'%"),
        ("true", "false"),
        ("IN (", "IN (1, "),
        ("in (", "in (5, "),
        ("IN (", "IN (NULL, "),
        ("VALUES (", "VALUES (1),("),
        ("5", "99999999999"),
        ("'", "E'\\\\n"),
        (" ", "/* x */ "),
        (" ", "  \n"),
        ("SELECT", "select"),
        ("from", "FROM"),
        ("(10", "(9"),
        ("(1)", "(2)"),
    ];
    swaps
        .iter()
        .map(|(from, to)| sql.replacen(from, to, 1))
        .filter(|text| text != sql)
        .collect()
}

#[test]
fn a_recalled_analysis_is_the_fresh_one() {
    let (texts, lex, limits) = (corpora(), LexState::default(), Limits::default());
    let mut wrong = Vec::new();
    let (mut recalled, mut all) = (0, 0);
    on_stack(|| {
        let mut reader = Reader::new(256 << 20, limits.clone());
        let own = [
            "DELETE FROM t WHERE 1 IN (1, 2, 3)",
            "DELETE FROM t WHERE 1 = 1 AND a = 5",
            "DELETE FROM t WHERE a = 5 OR 5 = 1",
            "UPDATE t SET a = 1 WHERE id IN (1, 2) AND name LIKE 'x%'",
            "SELECT a::float(10) FROM t",
            "SELECT 1 WHERE a IN ($1, $2)",
            "DELETE FROM t WHERE 1 IN ($1, 1)",
            "INSERT INTO t VALUES (1, 'x'), (f(1), 'y'), (3, 'z')",
            "SELECT a 1",
            "SELECT a ? 'b'",
            "SELECT ARRAY[1, 2, 3]",
            "SELECT 1 \u{1}",
            "SELECT \"\u{1}\" FROM t",
            "EXPLAIN (ANALYZE 1) DELETE FROM t",
            "SELECT N'x'",
            "SELECT n 'x'",
            "DELETE FROM t WHERE random() < 1",
            "DELETE FROM t WHERE a = a + 0",
            "SELECT U&'\\0061'",
            "SELECT E'\\u0061'",
            "SELECT 1 LIMIT 1",
        ];
        let texts = own
            .iter()
            .map(|sql| sql.to_string())
            .chain(texts.into_iter().map(|text| text.sql));
        for sql in texts {
            for variant in std::iter::once(sql.clone()).chain(variations(&sql)) {
                all += 1;
                let fresh = analyse(variant.as_bytes(), &lex, &limits);
                match reader.recall(variant.as_bytes(), &lex).known {
                    Some(known) => {
                        recalled += 1;
                        if *known.analysis != fresh {
                            wrong.push(format!("{variant}\n  {:?}\n  {fresh:?}", known.analysis));
                        }
                    }
                    None => {
                        reader.remember(variant.as_bytes(), &lex, fresh);
                    }
                }
            }
        }
    });
    println!("{recalled} of {all} recalled");
    assert!(
        wrong.is_empty(),
        "{} of them\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn damaged_texts_do_no_harm() {
    let texts = corpora();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut below = move |bound: usize| {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % bound
    };
    on_stack(|| {
        for text in texts.iter().step_by(5) {
            let mut bytes = text.sql.clone().into_bytes();
            for _ in 0..=below(4) {
                let at = below(bytes.len().max(1)).min(bytes.len());
                match below(4) {
                    0 => bytes.truncate(at),
                    1 if at < bytes.len() => bytes[at] = b"'\"$/*-\\;(\0\xff\xe3,"[below(13)],
                    2 if at < bytes.len() => drop(bytes.remove(at)),
                    _ => bytes.insert(at, b"'\"$/*-\\;()[]\x81,"[below(14)]),
                }
            }
            bytes.insert(0, below(256) as u8);
            fuzzing::statement(&bytes);
        }
    });
}

#[test]
fn other_encodings_are_read_strictly() {
    let limits = Limits::default();
    let read = |name: &str, text: &'static [u8]| {
        let lex = LexState::Postgres(PostgresLex {
            standard_conforming_strings: true,
            encoding: Encoding::from_postgres_name(name),
        });
        on_stack(|| analyse(text, &lex, &limits))
    };
    let name = |name: &str, text: &'static [u8]| {
        let analysis = read(name, text);
        assert_eq!(analysis.facts.unreadable, None, "{name}");
        analysis.facts.statements[0].objects[0]
            .name
            .name
            .to_string()
    };
    assert_eq!(name("LATIN1", b"SELECT v FROM caf\xe9"), "caf\u{e9}");
    assert_eq!(name("iso-8859-1", b"SELECT v FROM \x80x"), "\u{80}x");
    assert_eq!(name("WIN1252", b"SELECT v FROM \x80x"), "\u{20ac}x");
    assert_eq!(name("EUC_JP", b"SELECT v FROM \xc6\xfc"), "\u{65e5}");
    assert_eq!(name("SJIS", b"SELECT v FROM \x95\x5c"), "\u{8868}");
    // The second half of a character is no quote and no backslash.
    let hidden = b"SELECT '\x95\x5c' UNION SELECT v FROM secret -- '";
    assert_eq!(read("SJIS", hidden).facts.statements[0].objects.len(), 1);
    for (name, text) in [
        ("UTF8", &b"SELECT '\xff'"[..]),
        ("SQL_ASCII", b"SELECT '\xe9'"),
        ("EUC_JP", b"SELECT '\xff'"),
        ("JOHAB", b"SELECT '\x8c\xa1'"),
        ("no such encoding", b"SELECT '\xe9'"),
        ("WIN1253", b"SELECT '\xd2'"),
    ] {
        assert_eq!(
            read(name, text).facts.unreadable,
            Some(Unreadable::Encoding),
            "{name}"
        );
    }
    assert_eq!(read("JOHAB", b"SELECT 1").facts.unreadable, None);
    let secret = read("GBK", b"ALTER ROLE a PASSWORD '\xd6\xd0'");
    assert_eq!(secret.secrets.first(), Some(&(0..26)));
    let secret = read("LATIN1", b"ALTER ROLE \xe9 PASSWORD '\xe9'");
    assert_eq!(secret.secrets.first(), Some(&(22..25)));
}

#[test]
fn where_shapes_over_the_corpora() {
    let (texts, lex, limits) = (corpora(), LexState::default(), Limits::default());
    let mut figures: BTreeMap<(WhereShape, String), usize> = BTreeMap::new();
    on_stack(|| {
        for text in &texts {
            for facts in analyse(text.sql.as_bytes(), &lex, &limits).facts.statements {
                let shape = facts.where_shape;
                if shape == WhereShape::AlwaysTrue && std::env::var_os("SHOW_SHAPES").is_some() {
                    println!("{}: {}", text.kind, text.sql);
                }
                *figures.entry((shape, text.kind.clone())).or_default() += 1;
            }
        }
    });
    for ((shape, kind), count) in &figures {
        println!("{shape} {kind}: {count}");
    }
    assert!(
        figures
            .keys()
            .any(|(shape, _)| *shape == WhereShape::AlwaysTrue)
    );
}
