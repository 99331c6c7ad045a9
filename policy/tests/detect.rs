//! Detectors: what they say they saw, where, and that a remembered analysis says the same as a fresh one.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test fails by panicking"
)]

use sqlward_policy::detect::{Detection, score};
use sqlward_policy::statement::{
    ANALYSIS_STACK_BYTES, LexState, Limits, MysqlLex, Reader, analyse,
};
use sqlward_policy::vocabulary::{Detector, Dialect};

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

fn lex(dialect: Dialect) -> LexState {
    match LexState::of_dialect(dialect) {
        LexState::Mysql(lex) => LexState::Mysql(MysqlLex {
            multi_statements: true,
            ..lex
        }),
        postgres => postgres,
    }
}

fn detections(sql: &str, dialect: Dialect) -> Vec<Detection> {
    let analysis = on_stack(|| analyse(sql.as_bytes(), &lex(dialect), &Limits::default()));
    let statements = analysis.facts.statements;
    statements
        .into_iter()
        .flat_map(|statement| statement.detections)
        .collect()
}

/// The detectors that match, and the bytes that each one points at.
fn seen(sql: &str, dialect: Dialect) -> Vec<String> {
    detections(sql, dialect)
        .iter()
        .map(|seen| format!("{}: {}", seen.detector, &sql[seen.bytes.clone()]))
        .collect()
}

#[test]
fn evidence_points_at_what_was_seen() {
    let both = [Dialect::Postgres, Dialect::Mysql, Dialect::Mariadb];
    for dialect in both {
        assert_eq!(
            seen("SELECT a FROM t WHERE id = 7 OR 2 > 1", dialect),
            ["tautology: id = 7 OR 2 > 1"]
        );
        assert_eq!(
            seen("SELECT a, b FROM t WHERE id = 7 UNION SELECT 1, 2", dialect),
            ["union-graft: UNION SELECT 1, 2"]
        );
        assert_eq!(
            seen("SELECT a FROM t WHERE n = 'x' -- ' AND b = 1", dialect),
            ["comment-tail: 'x' -- ' AND b = 1"]
        );
        assert_eq!(
            seen("SELECT a FROM t; DROP TABLE t", dialect),
            ["stacked-statement: DROP TABLE t"]
        );
        assert_eq!(
            seen("SELECT a FROM t WHERE id = 7", dialect),
            Vec::<String>::new()
        );
    }
}

#[test]
fn a_detection_belongs_to_its_statement() {
    let sql = "SELECT a FROM t; SELECT b FROM u WHERE id = 1 OR 'x' = 'x'";
    for dialect in [Dialect::Postgres, Dialect::Mysql] {
        let analysis = on_stack(|| analyse(sql.as_bytes(), &lex(dialect), &Limits::default()));
        let counts: Vec<usize> = analysis
            .facts
            .statements
            .iter()
            .map(|statement| statement.detections.len())
            .collect();
        assert_eq!(counts, [0, 1], "{dialect}");
    }
}

#[test]
fn what_cannot_be_read_is_looked_at_all_the_same() {
    let broken = "SELECT a FROM t WHERE id = 1) OR 7=7 UNION SELECT NULL, version() FROM";
    for dialect in [Dialect::Postgres, Dialect::Mysql] {
        let found = detections(broken, dialect);
        assert!(
            found
                .iter()
                .any(|seen| seen.detector == Detector::Tautology),
            "{dialect}: {found:?}"
        );
    }
}

#[test]
fn scores_add_up_to_a_hundred_at_most() {
    let score_of = |sql| score(&detections(sql, Dialect::Postgres));
    assert_eq!(score_of("SELECT a FROM t WHERE id = 1"), 0);
    assert_eq!(score_of("SELECT a FROM t WHERE b = chr(97) || chr(98)"), 40);
    assert_eq!(
        score_of("SELECT a FROM t WHERE id = 1 OR 2=2 UNION SELECT NULL, version() -- x"),
        100
    );
}

#[test]
fn a_remembered_analysis_is_the_fresh_one() {
    // Texts that have, but for literals and comments, the same words.
    let texts = [
        "SELECT a FROM t WHERE id = 1",
        "SELECT a FROM t WHERE id = 22",
        "SELECT a FROM t WHERE id = 1 -- ",
        "SELECT a FROM t WHERE id = 1 -- what the page shows",
        "SELECT a FROM t WHERE id = 1 -- ' AND b = 2",
        "SELECT a FROM t WHERE id = 1 /* x */",
        "SELECT a FROM t WHERE id = 1 AND 1 = 0",
        "SELECT a FROM t WHERE id = 1 AND 1 = 1",
        "SELECT a FROM t WHERE id = 1 AND 44 = 44",
        "SELECT a FROM t WHERE id = 1 AND 5 = 6",
        "SELECT a FROM t WHERE id = 1 OR 0",
        "SELECT a FROM t WHERE id = 1 OR 7",
        "SELECT a FROM t WHERE b = 'x' OR c LIKE 'y'",
        "SELECT a FROM t WHERE b = 'x' OR c LIKE '%'",
        "SELECT a FROM t WHERE b = 'x' * c",
        "SELECT a FROM t WHERE b = '2' * c",
        "SELECT CASE WHEN a = 1 THEN 1 / 0 ELSE 1 END FROM t",
        "SELECT CASE WHEN a = 1 THEN 1 / 2 ELSE 1 END FROM t",
        "SELECT a FROM t WHERE id IN (1, 2, 3) OR 3 IN (1, 2, 3)",
        "SELECT a FROM t WHERE id IN (1, 2, 3, 4, 5) OR 3 IN (1, 2, 3, 4, 5, 6)",
    ];
    for dialect in [Dialect::Postgres, Dialect::Mysql, Dialect::Mariadb] {
        let state = lex(dialect);
        on_stack(|| {
            for order in [
                texts.iter().collect::<Vec<_>>(),
                texts.iter().rev().collect(),
            ] {
                let mut reader = Reader::new(1 << 20, Limits::default());
                for text in order.iter().chain(&order) {
                    let fresh = analyse(text.as_bytes(), &state, &Limits::default());
                    let known = reader.recall(text.as_bytes(), &state).known;
                    let recalled = match known {
                        Some(known) => known,
                        None => reader.remember(text.as_bytes(), &state, fresh.clone()),
                    };
                    assert_eq!(recalled.analysis.facts, fresh.facts, "{dialect}: {text}");
                }
            }
        });
    }
}

#[test]
fn depth_and_length_are_bounded() {
    let open = "(".repeat(5_000);
    let texts = [
        format!("SELECT a FROM t WHERE {open}1"),
        format!("SELECT a FROM t WHERE a = 1 {}", "OR a = 1 ".repeat(20_000)),
        format!("SELECT a FROM t WHERE {}a", "NOT ".repeat(5_000)),
        format!("SELECT {}1", "CASE WHEN 1 = 1 THEN ".repeat(2_000)),
        format!("SELECT {}", "(SELECT ".repeat(2_000)),
        "SELECT 1;".repeat(5_000),
        "UNION ".repeat(5_000),
    ];
    for dialect in [Dialect::Postgres, Dialect::Mysql] {
        for text in &texts {
            detections(text, dialect);
        }
    }
}
