//! Texts made to exhaust a reader: refused or read, within time and stack.
#![allow(
    clippy::panic,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "tests"
)]

use std::time::{Duration, Instant};

use sqlward_policy::statement::{ANALYSIS_STACK_BYTES, LexState, Limits, analyse};
use sqlward_policy::vocabulary::Unreadable;

fn timed(sql: &str) -> (Option<Unreadable>, Duration) {
    std::thread::scope(|scope| {
        std::thread::Builder::new()
            .stack_size(ANALYSIS_STACK_BYTES)
            .spawn_scoped(scope, || {
                let start = Instant::now();
                let analysis = analyse(sql.as_bytes(), &LexState::default(), &Limits::default());
                (analysis.facts.unreadable, start.elapsed())
            })
            .expect("a thread")
            .join()
            .expect("no panic")
    })
}

fn nested(open: &str, inner: &str, close: &str, levels: usize) -> String {
    format!(
        "SELECT {}{inner}{}",
        open.repeat(levels),
        close.repeat(levels)
    )
}

fn bombs() -> Vec<(&'static str, String)> {
    let case = "CASE WHEN a AND ";
    vec![
        ("parens", nested("(", "1", ")", 100_000)),
        ("open parens", format!("SELECT {}", "(".repeat(100_000))),
        (
            "or",
            format!("SELECT 1 WHERE a=1{}", " OR a=1".repeat(50_000)),
        ),
        (
            "delete or",
            format!("DELETE FROM t WHERE a=1{}", " OR a=1".repeat(50_000)),
        ),
        (
            "delete and",
            format!("DELETE FROM t WHERE a=1{}", " AND b=b+1".repeat(20_000)),
        ),
        ("plus", format!("SELECT 1{}", "+1".repeat(50_000))),
        ("concat", format!("SELECT 'a'{}", "||'b'".repeat(50_000))),
        (
            "joins",
            format!("SELECT 1 FROM a{}", " JOIN b ON a.x AND b.y".repeat(5_000)),
        ),
        ("subqueries", nested("(SELECT ", "1", ")", 1_000)),
        (
            "union all",
            format!("SELECT 1, 2{}", " UNION ALL SELECT 1, 2".repeat(50_000)),
        ),
        (
            "comments",
            format!("SELECT 1 {}{}", "/*".repeat(50_000), "*/".repeat(50_000)),
        ),
        (
            "comments in a row",
            format!("SELECT 1 {}", "/**/".repeat(500_000)),
        ),
        ("stars", format!("SELECT 1 /*{}*/", "*".repeat(1_000_000))),
        ("minus plus", format!("SELECT {}1", "-+".repeat(50_000))),
        ("put back", format!("SELECT 1{}", "+/**/".repeat(50_000))),
        (
            "put back in comment",
            format!("SELECT 1 {}", "/*//**//*".repeat(20_000)),
        ),
        ("case", format!("SELECT {}1", case.repeat(20_000))),
        ("case closed", nested(case, "1", " THEN 1 END", 20_000)),
        ("not", format!("SELECT {}true", "NOT ".repeat(50_000))),
        (
            "between not",
            format!("SELECT {}true", "1 BETWEEN 1 AND NOT ".repeat(50_000)),
        ),
        ("array", nested("ARRAY[", "1", "]", 50_000)),
        ("cast", format!("SELECT 1{}", "::int".repeat(50_000))),
        ("index", format!("SELECT a{}", "[1]".repeat(50_000))),
        ("is null", format!("SELECT 1{}", " IS NULL".repeat(50_000))),
        ("functions", nested("f(", "1", ")", 50_000)),
        ("statements", "SELECT 1;".repeat(100_000)),
        ("dots", format!("SELECT {}a", "a.".repeat(100_000))),
        (
            "in list",
            format!(
                "SELECT 1 WHERE a IN (1{})",
                ",12345678".repeat(16 * 1024 * 1024 / 9)
            ),
        ),
        (
            "insert",
            format!(
                "INSERT INTO t VALUES (1,'abc'){}",
                ",(2,'abcdefgh')".repeat(1024 * 1024)
            ),
        ),
        (
            "string",
            format!("SELECT '{}'", "x".repeat(16 * 1024 * 1024)),
        ),
        ("names", format!("SELECT 1{}", ",a".repeat(8 * 1024 * 1024))),
        (
            "function calls",
            format!("SELECT f(1){}", ",f(x)".repeat(3 * 1024 * 1024)),
        ),
        (
            "atomic",
            "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC ".repeat(5_000),
        ),
        (
            "delete not",
            format!("DELETE FROM t WHERE {}(1=1)", "NOT ".repeat(450)),
        ),
        (
            "delete nested",
            format!(
                "DELETE FROM t WHERE {}1=1{}",
                "NOT (a AND ".repeat(160),
                ")".repeat(160)
            ),
        ),
        (
            "delete plus",
            format!(
                "DELETE FROM t WHERE a{} = a{}",
                "+1".repeat(200),
                "+1".repeat(200)
            ),
        ),
        (
            "with",
            format!(
                "{}SELECT 1{}",
                "WITH a AS (".repeat(2_000),
                ") SELECT 1".repeat(2_000)
            ),
        ),
        (
            "row values",
            format!("SELECT 1 WHERE a IN ((1,2){})", ",(3,4)".repeat(500_000)),
        ),
    ]
}

#[test]
fn nothing_crashes_or_stalls() {
    for (name, sql) in bombs() {
        let (unreadable, took) = timed(&sql);
        println!("{name}: {unreadable:?} in {took:?} ({} bytes)", sql.len());
        let limit = if cfg!(debug_assertions) { 8 } else { 2 };
        assert!(took < Duration::from_secs(limit), "{name} took {took:?}");
    }
}

#[test]
fn ordinary_sizes_are_readable() {
    let columns = "id int, ".repeat(500);
    let texts = [
        (
            "60 joins",
            format!("SELECT 1 FROM a{}", " LEFT JOIN b USING (id)".repeat(60)),
        ),
        (
            "30 cases",
            nested("CASE WHEN a = 1 THEN 2 ELSE ", "1", " END", 30),
        ),
        ("30 subqueries", nested("(SELECT ", "1", ")", 30)),
        (
            "100 unions",
            format!("SELECT 1{}", " UNION SELECT 1".repeat(100)),
        ),
        (
            "100 concatenations",
            format!("SELECT 'a'{}", "||'b'".repeat(100)),
        ),
        ("60 parens", nested("(", "1", ")", 60)),
        (
            "in list",
            format!("SELECT 1 FROM t WHERE a IN (1{})", ",2".repeat(50_000)),
        ),
        (
            "in list of casts",
            format!(
                "SELECT 1 FROM t WHERE a IN ('1'::uuid{})",
                ",'2'::uuid".repeat(20_000)
            ),
        ),
        (
            "insert",
            format!(
                "INSERT INTO t VALUES (1,'a',now()){}",
                ",(2,'b',now())".repeat(1_000)
            ),
        ),
        (
            "parameters",
            format!("INSERT INTO t VALUES ($1,$2){}", ",($1,$2)".repeat(10_000)),
        ),
        (
            "ors",
            format!(
                "DELETE FROM t WHERE a = 1{}",
                " OR a = 2 AND b = 3".repeat(900)
            ),
        ),
        (
            "when",
            format!(
                "UPDATE t SET a = CASE id{} END WHERE id = 1",
                " WHEN 1 THEN 2".repeat(5_000)
            ),
        ),
        ("columns", format!("CREATE TABLE t ({columns} x int)")),
        (
            "banner",
            format!(
                "{}SELECT 1",
                "/*****************************/\n".repeat(1_000)
            ),
        ),
    ];
    for (name, sql) in texts {
        let (unreadable, took) = timed(&sql);
        println!("{name}: {took:?}");
        assert_eq!(unreadable, None, "{name}");
    }
}
