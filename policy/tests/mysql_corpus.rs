//! MySQL and MariaDB texts in bulk: what is recalled equals what is read afresh, and nothing crashes, stalls or grows.
#![allow(
    clippy::panic,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests"
)]

use std::path::PathBuf;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use sqlward_policy::statement::{
    ANALYSIS_STACK_BYTES, Flavour, LexState, Limits, MysqlLex, Reader, analyse, fuzzing,
};
use sqlward_policy::vocabulary::Unreadable;

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

const SAMPLES: &[&str] = &[
    "SELECT a, b FROM t WHERE id = 1 AND name LIKE 'x%' ORDER BY b LIMIT 10, 20",
    "INSERT INTO t (a, b) VALUES (1, 'x'), (2, 'y'), (3, NULL) ON DUPLICATE KEY UPDATE a = VALUES(a)",
    "UPDATE t SET a = a + 1 WHERE id IN (1, 2, 3, 4, 5, 6)",
    "DELETE FROM t WHERE 1 = 1",
    "DELETE t FROM t JOIN u ON t.id = u.id WHERE u.x = 'a\\n'",
    "SELECT f(1, 2, 3), g(-1, +2), h(1, -a), (1, 2) FROM t PROCEDURE ANALYSE(1, 2)",
    "INSERT INTO t VALUES (1, NOW()), (2, NOW()), (3, NOW()), (4, NOW()), (5, NOW()), (6, NOW())",
    "SELECT * FROM t WHERE a IN (?, ?, ?) AND b BETWEEN 1 AND 2 AND c = _utf8mb4'x'",
    "SELECT `a`.`b`, a.b, a . b FROM `db`.`t` AS `a`, (VALUES ROW(1, 2), ROW(3, 4)) v",
    "SET sql_mode = 'ANSI'; SELECT 1",
    "SET @a = 1, NAMES utf8mb4",
    "CREATE TABLE t (a INT DEFAULT 1, b VARCHAR(10) CHECK (b IN ('x', 'y')))",
    "SELECT /* trace */ 1 /*!80000 + 1 */ -- x",
    "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 5) SELECT * FROM r",
    "SELECT CASE WHEN 1 THEN 2 ELSE 3 END, INTERVAL 1 DAY + d, MATCH (a) AGAINST ('x' IN BOOLEAN MODE) FROM t",
];

/// The texts of the corpora, where they are, and a few of ours.
fn texts() -> Vec<String> {
    let folder = match std::env::var_os("SQLWARD_CORPORA") {
        Some(folder) => folder.into(),
        None => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpora"),
    };
    let mut texts: Vec<String> = SAMPLES.iter().map(|&text| text.to_owned()).collect();
    for file in ["mysql-benign.jsonl", "mysql-attack.jsonl"] {
        let Ok(lines) = std::fs::read_to_string(folder.join(file)) else {
            eprintln!("no corpus {file}: only samples are tested");
            continue;
        };
        for line in lines.lines() {
            let value: serde_json::Value = serde_json::from_str(line).expect("a line of JSON");
            texts.push(value["sql"].as_str().expect("a text").to_owned());
        }
    }
    texts
}

/// The same tokens with other literals, other lengths of lists, other spacing; or other tokens.
fn variations(sql: &str) -> Vec<String> {
    [
        ("1", "2"),
        ("1", "0"),
        ("0", "1"),
        ("= 1", "= 12345"),
        ("'", "'x"),
        ("%", "a"),
        (", 2", ", 2, 3"),
        (", 2", ""),
        ("(1", "(1, 1, 1, 1, 1, 1, 1, 1, 1"),
        ("),", "), (1, NOW()),"),
        ("NULL", "1"),
        (" ", "  "),
        (" ", "/**/"),
        ("t", "T"),
        ("select", "SELECT"),
        ("1", "-1"),
        ("?", "1"),
        (";", ";;"),
        ("x", "\\\\"),
    ]
    .iter()
    .filter(|(from, _)| sql.contains(from))
    .flat_map(|(from, to)| [sql.replace(from, to), sql.replacen(from, to, 1)])
    .collect()
}

fn states() -> [LexState; 2] {
    [Flavour::Mysql, Flavour::Mariadb].map(|flavour| LexState::Mysql(MysqlLex::new(flavour)))
}

#[test]
fn what_is_recalled_equals_what_is_fresh() {
    let (texts, limits) = (texts(), Limits::default());
    let (mut recalled, mut wrong) = (0, Vec::new());
    on_stack(|| {
        for lex in states() {
            for text in texts.iter().filter(|text| text.len() < 4000) {
                let mut reader = Reader::new(1 << 22, limits.clone());
                let fresh = analyse(text.as_bytes(), &lex, &limits);
                reader.remember(text.as_bytes(), &lex, fresh);
                for variation in std::iter::once(text.clone()).chain(variations(text)) {
                    let Some(known) = reader.recall(variation.as_bytes(), &lex).known else {
                        continue;
                    };
                    recalled += 1;
                    let fresh = analyse(variation.as_bytes(), &lex, &limits);
                    if *known.analysis != fresh {
                        wrong.push(format!("{text}\n  {variation}"));
                    }
                }
            }
        }
    });
    println!("{recalled} recalled");
    assert!(recalled > 20);
    wrong.truncate(20);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn normal_forms_hold_no_literals_and_no_placeholder_bytes() {
    let (texts, limits) = (texts(), Limits::default());
    let [lex, _] = states();
    on_stack(|| {
        for text in &texts {
            let normal = analyse(text.as_bytes(), &lex, &limits).normal;
            let control = |byte: u8| matches!(byte, 1..=7);
            assert!(
                text.bytes().any(control) || !normal.bytes().any(control),
                "{normal}"
            );
        }
        let normal = |sql: &str| analyse(sql.as_bytes(), &lex, &limits).normal;
        assert_eq!(
            &*normal("select A.b, 'x', 1.5 from T where id in (1, 2, 3) /* c */"),
            "select A.b, '?', ?.? from T where id in (?, \u{2026})"
        );
        assert_eq!(
            normal("SELECT a FROM t WHERE id IN (1)"),
            normal("select a from t where id in (1,2)")
        );
        assert_eq!(
            normal("INSERT INTO t VALUES (1,NOW()),(2,NOW())"),
            normal("INSERT INTO t VALUES (1,NOW()),(2,NOW()),(3,NOW())")
        );
    });
}

const PIECES: &[&str] = &[
    " ",
    "\n",
    "--",
    "-- ",
    "#",
    "/*",
    "*/",
    "/*!",
    "/*!50000",
    "/*!99999",
    "/*M!100000",
    "/*+",
    "'",
    "''",
    "\"",
    "`",
    "``",
    "\\",
    "\\'",
    "(",
    ")",
    "(1,2)",
    "(?,?)",
    "(1",
    ",2",
    ",",
    ";",
    ".",
    "@",
    "@@",
    "@a",
    ":=",
    "{",
    "}",
    "1",
    "1.",
    ".1",
    "1e5",
    "0x1",
    "x'41'",
    "b'1'",
    "N'x'",
    "_utf8'x'",
    "?",
    "a",
    "b.c",
    "select ",
    " from ",
    " where ",
    " and ",
    " or ",
    " not ",
    " in ",
    " like ",
    " between ",
    "insert into t values ",
    "update t set a=",
    "delete from t ",
    " join ",
    " union ",
    " as ",
    " with ",
    "case when ",
    " end ",
    "begin ",
    "set ",
    "sql_mode=",
    "interval ",
    "values ",
    "row",
    " limit ",
    "null",
    "true",
    "=",
    "<=>",
    "<>",
    "||",
    "&&",
    "!",
    "$$",
    "\u{e9}",
    "\u{8868}",
    "\0",
    "password",
    " identified by ",
    "create user ",
    "prepare s from ",
    "execute immediate ",
    "create procedure p() ",
    "declare ",
    "-",
    "+",
    "*",
    "/",
    "%",
    "exists",
    "count(*)",
    "f(",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn any_text_is_read_and_recalled_alike(
        first in 0_u8..8,
        second in any::<u8>(),
        pieces in prop::collection::vec(0..PIECES.len(), 0..40),
    ) {
        let mut data = vec![first, second];
        for piece in pieces {
            data.extend_from_slice(PIECES[piece].as_bytes());
        }
        fuzzing::mysql_statement(&data);
    }

    #[test]
    fn any_bytes_are_read_and_recalled_alike(data in prop::collection::vec(any::<u8>(), 0..80)) {
        fuzzing::mysql_statement(&data);
    }
}

fn nested(open: &str, inner: &str, close: &str, levels: usize) -> String {
    format!("{}{inner}{}", open.repeat(levels), close.repeat(levels))
}

#[test]
fn nothing_crashes_or_stalls() {
    let deep = 100_000;
    let bombs = [
        (
            "brackets",
            format!("SELECT {}", nested("(", "1", ")", deep)),
        ),
        ("open brackets", format!("SELECT {}", "(".repeat(deep))),
        (
            "brackets in FROM",
            format!("SELECT 1 FROM {}", nested("(", "t", ")", deep)),
        ),
        ("subqueries", nested("SELECT (", "SELECT 1", ")", deep)),
        (
            "derived tables",
            format!(
                "SELECT * FROM {}",
                nested("(SELECT * FROM ", "t", ") x", 20_000)
            ),
        ),
        ("calls", format!("SELECT {}", nested("f(", "1", ")", deep))),
        (
            "OR",
            format!("DELETE FROM t WHERE a=1{}", " OR a=1".repeat(50_000)),
        ),
        (
            "AND",
            format!("DELETE FROM t WHERE a=1{}", " AND a=1".repeat(50_000)),
        ),
        ("plus", format!("SELECT 1{}", "+1".repeat(50_000))),
        (
            "NOT",
            format!("DELETE FROM t WHERE {}1", "NOT ".repeat(deep)),
        ),
        (
            "minus",
            format!("DELETE FROM t WHERE {}1", "- ".repeat(deep)),
        ),
        (
            "bang",
            format!("DELETE FROM t WHERE {}1", "! ".repeat(deep)),
        ),
        (
            "union",
            format!("SELECT 1{}", " UNION ALL SELECT 1".repeat(50_000)),
        ),
        (
            "joins",
            format!("SELECT 1 FROM t{}", " JOIN t".repeat(50_000)),
        ),
        ("CASE", format!("SELECT {}", "CASE WHEN ".repeat(deep))),
        ("comments", format!("SELECT 1 {}", "/*".repeat(deep))),
        (
            "version comments",
            format!("SELECT 1 {}", "/*!50000 ".repeat(deep)),
        ),
        (
            "skipped comments",
            format!("SELECT 1 /*!99999 {}", "/* */".repeat(deep)),
        ),
        (
            "blocks",
            format!("CREATE PROCEDURE p() {}", "BEGIN ".repeat(deep)),
        ),
        (
            "IF",
            format!("CREATE PROCEDURE p() {}", "IF 1 THEN ".repeat(deep)),
        ),
        ("statements", "SELECT 1;".repeat(50_000)),
        (
            "CTEs",
            format!(
                "WITH a AS (SELECT 1){} SELECT 1",
                ", a AS (SELECT * FROM a)".repeat(20_000)
            ),
        ),
        (
            "tables",
            format!("SELECT 1 FROM t{}", ", t".repeat(100_000)),
        ),
        (
            "columns",
            format!("SELECT a{} FROM t", ", a".repeat(100_000)),
        ),
        ("braces", format!("SELECT {}", "{x ".repeat(deep))),
        (
            "rows",
            format!("INSERT INTO t VALUES (1){}", ",(a)".repeat(200_000)),
        ),
        ("quotes", format!("SELECT {}", "'".repeat(200_001))),
        (
            "list",
            format!("SELECT 1 FROM t WHERE a IN (1{})", ",1".repeat(500_000)),
        ),
        ("dollars", format!("SELECT {}", "$a$".repeat(20_000))),
        (
            "large",
            format!("INSERT INTO t VALUES ('{}')", "x".repeat(16 << 20)),
        ),
        (
            "large lists",
            format!(
                "INSERT INTO t VALUES (1,'abc'){}",
                ",(1,'abc')".repeat(1_600_000)
            ),
        ),
    ];
    for (name, sql) in bombs {
        for lex in states() {
            let start = Instant::now();
            let reason = on_stack(|| {
                analyse(sql.as_bytes(), &lex, &Limits::default())
                    .facts
                    .unreadable
            });
            let took = start.elapsed();
            println!("{name}: {} bytes, {took:?}, {reason:?}", sql.len());
            assert!(took < Duration::from_secs(20), "{name}: {took:?}");
        }
    }
}

#[test]
fn ordinary_sizes_are_readable() {
    let texts = [
        format!(
            "INSERT INTO t VALUES (1,'abc',NULL){}",
            ",(2,'def',3.5)".repeat(400_000)
        ),
        format!(
            "INSERT INTO t VALUES (1,NOW()){}",
            ",(2,NOW())".repeat(300_000)
        ),
        format!("SELECT 1 FROM t WHERE id IN (1{})", ",2".repeat(200_000)),
        format!("SELECT 1 FROM t WHERE a=1{}", " OR a=1".repeat(5_000)),
        format!("SELECT {}", nested("(", "1", ")", 60)),
        format!("SELECT 1{}", " UNION ALL SELECT 1".repeat(500)),
        nested("SELECT (", "SELECT 1", ")", 60),
        format!("INSERT INTO t VALUES ('{}')", "\\'\u{e9}".repeat(4 << 20)),
    ];
    for sql in texts {
        for lex in states() {
            let reason = on_stack(|| {
                analyse(sql.as_bytes(), &lex, &Limits::default())
                    .facts
                    .unreadable
            });
            assert_eq!(
                reason,
                None::<Unreadable>,
                "{}",
                sql.get(..60).unwrap_or(&sql)
            );
        }
    }
}
