//! Measures how much stack the deepest readable texts need, against the documented stack of the analysis.
//!
//! `cargo run --example analysis_stack` prints one line per shape of text; each trial runs in a process of its own, for a
//! stack overflow ends the process.
#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a tool for developers"
)]

use std::process::{Command, ExitCode, Stdio};

use sqlward_policy::statement::{ANALYSIS_STACK_BYTES, LexState, Limits, analyse};

const SHAPES: &[(&str, &str, &str, &str)] = &[
    ("parens", "(", "1", ")"),
    ("plus", "", "1", "+1"),
    ("plus right", "1+(", "1", ")"),
    ("concat", "", "a", "||b"),
    ("minus", "- ", "1", ""),
    ("not", "NOT ", "true", ""),
    ("between not", "a BETWEEN b AND NOT ", "true", ""),
    ("case", "CASE WHEN a THEN ", "1", " END"),
    ("case else", "CASE WHEN a THEN 1 ELSE ", "1", " END"),
    ("case when", "CASE WHEN ", "a", " THEN 1 END"),
    ("cast", "", "1", "::int"),
    ("cast function", "CAST(", "1", " AS int)"),
    ("array", "ARRAY[", "1", "]"),
    ("index", "(", "a", ")[1]"),
    ("is null", "", "(a)", " IS NULL = a"),
    ("collate", "(", "a", " COLLATE x)"),
    ("function", "f(", "1", ")"),
    ("coalesce", "coalesce(", "1", ")"),
    ("row", "ROW(", "1", ")"),
    ("subquery", "(SELECT ", "1", ")"),
    ("exists", "EXISTS (SELECT ", "1", ")"),
    ("in subquery", "a IN (SELECT ", "1", ")"),
    ("from subquery", "1 FROM (SELECT ", "1", ") x"),
    ("where", "1 WHERE EXISTS (SELECT ", "1", ")"),
    ("join", "", "1 FROM a", " JOIN b ON true AND a"),
    (
        "join nested",
        "1 FROM (a JOIN b ON EXISTS (SELECT ",
        "1",
        "))",
    ),
    ("union", "1", "", " UNION SELECT 1"),
    ("union nested", "1 UNION (SELECT ", "1", ")"),
    ("with", "1 FROM (WITH x AS (SELECT ", "1", ") SELECT 1) x"),
    ("filter", "f(1) FILTER (WHERE ", "true", ")"),
    ("over", "f(1) OVER (ORDER BY ", "1", ")"),
    ("order by", "1 ORDER BY (SELECT ", "1", ")"),
    ("json", "JSON_OBJECT('a': ", "1", ")"),
    ("xml", "xmlelement(name a, ", "1", ")"),
    ("exists and", "EXISTS (SELECT 1 WHERE a AND ", "1", ")"),
    ("and or", "(a AND (b OR ", "c", "))"),
    ("at time zone", "", "a", " AT TIME ZONE b"),
    ("any", "1 = ANY (ARRAY[", "1", "])"),
    ("values", "(VALUES (", "1", "))"),
    ("lateral", "1 FROM a, LATERAL (SELECT ", "1", ") x"),
    ("rows from", "1 FROM ROWS FROM (f((SELECT ", "1", ")))"),
];

/// What a shape stands in; the last is read for the shape of its condition, too.
const PREFIXES: &[&str] = &["SELECT ", "DELETE FROM t WHERE "];

fn text(prefix: &str, shape: usize, levels: usize) -> String {
    let (_, open, inner, close) = SHAPES.get(shape).copied().unwrap_or(("", "", "", ""));
    format!(
        "{prefix}{}{inner}{}",
        open.repeat(levels),
        close.repeat(levels)
    )
}

fn readable(prefix: &str, shape: usize, levels: usize) -> bool {
    let text = text(prefix, shape, levels);
    let analyse = || analyse(text.as_bytes(), &LexState::default(), &Limits::default());
    let analysis = std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(256 << 20);
        thread
            .spawn_scoped(scope, analyse)
            .expect("a thread")
            .join()
            .expect("no panic")
    });
    analysis.facts.unreadable.is_none()
}

fn trial(prefix: &str, shape: usize, levels: usize, stack: usize) {
    let text = text(prefix, shape, levels);
    let thread = std::thread::Builder::new().stack_size(stack);
    let analyse = move || analyse(text.as_bytes(), &LexState::default(), &Limits::default());
    thread
        .spawn(analyse)
        .expect("a thread")
        .join()
        .expect("no panic");
}

/// The least value between the bounds for which `holds`, to about a `part`th of it.
fn least((mut low, mut high): (usize, usize), part: usize, holds: impl Fn(usize) -> bool) -> usize {
    while high - low > 1 + low / part {
        let middle = low + (high - low) / 2;
        if holds(middle) {
            high = middle;
        } else {
            low = middle;
        }
    }
    high
}

fn main() -> ExitCode {
    let arguments: Vec<usize> = std::env::args()
        .skip(1)
        .filter_map(|text| text.parse().ok())
        .collect();
    if let [prefix, shape, levels, stack] = *arguments.as_slice() {
        trial(
            PREFIXES.get(prefix).copied().unwrap_or_default(),
            shape,
            levels,
            stack,
        );
        return ExitCode::SUCCESS;
    }
    let program = std::env::current_exe().expect("this program");
    let mut worst = 0;
    for (at, prefix) in PREFIXES.iter().enumerate() {
        for (shape, (name, ..)) in SHAPES.iter().enumerate() {
            let levels = least((1, 10_000), 20_000, |levels| {
                !readable(prefix, shape, levels)
            }) - 1;
            let stack = least((16 << 10, 256 << 20), 32, |stack| {
                let numbers = [at, shape, levels, stack].map(|number| number.to_string());
                let status = Command::new(&program)
                    .args(numbers)
                    .stderr(Stdio::null())
                    .status();
                status.is_ok_and(|status| status.success())
            });
            worst = worst.max(stack);
            println!("{prefix}{name}: {levels} levels, {} KiB", stack >> 10);
        }
    }
    println!(
        "worst {} KiB of {} KiB",
        worst >> 10,
        ANALYSIS_STACK_BYTES >> 10
    );
    if worst * 4 <= ANALYSIS_STACK_BYTES {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
