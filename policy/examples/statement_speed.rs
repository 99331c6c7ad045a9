//! Measures what recalling and reading a statement takes.
//!
//! `cargo run --release --example statement_speed [mysql]` prints nanoseconds per statement, the best of several rounds.
#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a tool for developers"
)]

use std::hint::black_box;
use std::time::Instant;

use sqlward_policy::statement::{ANALYSIS_STACK_BYTES, LexState, Limits, Reader, analyse};
use sqlward_policy::vocabulary::Dialect;

const TEXTS: &[(&str, &str)] = &[
    (
        "point select",
        "SELECT abalance FROM pgbench_accounts WHERE aid = 4711427",
    ),
    (
        "prepared select",
        "SELECT abalance FROM pgbench_accounts WHERE aid = $1",
    ),
    (
        "update",
        "UPDATE pgbench_accounts SET abalance = abalance + -1783 WHERE aid = 4711427",
    ),
    (
        "insert",
        "INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES (12, 1, 4711427, -1783, CURRENT_TIMESTAMP)",
    ),
    ("begin", "BEGIN"),
    (
        "join",
        "SELECT COUNT(DISTINCT (s_i_id)) FROM order_line, stock WHERE ol_w_id = 3 AND ol_d_id = 4 AND ol_o_id < 3001 AND ol_o_id >= 2981 AND s_w_id = 3 AND s_i_id = ol_i_id AND s_quantity < 14",
    ),
    (
        "orm",
        "SELECT \"shop_order\".\"id\", \"shop_order\".\"customer_id\", \"shop_order\".\"total\" FROM \"shop_order\" WHERE (\"shop_order\".\"customer_id\" = 42 AND \"shop_order\".\"state\" IN ('new', 'paid')) ORDER BY \"shop_order\".\"id\" DESC LIMIT 21 /*route='/orders',traceparent='00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'*/",
    ),
    ("always true", "DELETE FROM t WHERE 1 = 1"),
];

const MYSQL_TEXTS: &[(&str, &str)] = &[
    ("point select", "SELECT c FROM sbtest1 WHERE id=4711427"),
    ("prepared select", "SELECT c FROM sbtest1 WHERE id=?"),
    (
        "update",
        "UPDATE sbtest1 SET c='08566691963-88624912351-16662227201-46648573979-64646226163' WHERE id=4711427",
    ),
    (
        "insert",
        "INSERT INTO sbtest1 (id, k, c, pad) VALUES (4711427, 50, 'abc', 'def')",
    ),
    ("begin", "BEGIN"),
    (
        "join",
        "SELECT COUNT(DISTINCT (s_i_id)) FROM order_line, stock WHERE ol_w_id = 3 AND ol_d_id = 4 AND ol_o_id < 3001 AND ol_o_id >= 2981 AND s_w_id = 3 AND s_i_id = ol_i_id AND s_quantity < 14",
    ),
    (
        "orm",
        "SELECT `shop_order`.`id`, `shop_order`.`customer_id`, `shop_order`.`total` FROM `shop_order` WHERE (`shop_order`.`customer_id` = 42 AND `shop_order`.`state` IN ('new', 'paid')) ORDER BY `shop_order`.`id` DESC LIMIT 21 /*route='/orders'*/",
    ),
    ("always true", "DELETE FROM t WHERE 1 = 1"),
];

/// The best round's nanoseconds per call.
fn best(calls: u32, mut f: impl FnMut()) -> f64 {
    let round = |f: &mut dyn FnMut()| {
        let start = Instant::now();
        for _ in 0..calls {
            f();
        }
        start.elapsed().as_nanos() as f64 / f64::from(calls)
    };
    (0..9).map(|_| round(&mut f)).fold(f64::INFINITY, f64::min)
}

/// An INSERT of a thousand rows, 100 KB long.
fn measure_bulk(lex: &LexState) {
    let limits = Limits::default();
    let row = format!("(1, 'name', '{}', 3.14)", "x".repeat(80));
    let text = format!("INSERT INTO t VALUES {}", vec![row; 1000].join(", "));
    let mut reader = Reader::new(16 << 20, limits.clone());
    let recall = best(50, || {
        drop(black_box(reader.recall(black_box(text.as_bytes()), lex)))
    });
    let fresh = best(50, || {
        drop(black_box(analyse(black_box(text.as_bytes()), lex, &limits)))
    });
    println!(
        "bulk insert ({} B): scan {:.0} us, analyse {:.0} us",
        text.len(),
        recall / 1e3,
        fresh / 1e3
    );
}

fn measure() {
    let mysql = std::env::args().nth(1).as_deref() == Some("mysql");
    let (lex, texts) = if mysql {
        (LexState::of_dialect(Dialect::Mysql), MYSQL_TEXTS)
    } else {
        (LexState::default(), TEXTS)
    };
    let limits = Limits::default();
    let mut reader = Reader::new(16 << 20, limits.clone());
    measure_bulk(&lex);
    for (name, text) in texts {
        let text = text.as_bytes();
        reader.remember(text, &lex, analyse(text, &lex, &limits));
        assert!(
            reader.recall(text, &lex).known.is_some(),
            "{name} is not recalled"
        );
        let recall = best(100_000, || {
            drop(black_box(reader.recall(black_box(text), &lex)))
        });
        // The same with literals that differ each time: the text must be scanned.
        let variants: Vec<Vec<u8>> = (0..100_000_u32)
            .step_by(41)
            .map(|number| String::from_utf8_lossy(text).replacen("4711427", &number.to_string(), 1))
            .map(String::into_bytes)
            .collect();
        let mut next = 0;
        let scanned = best(100_000, || {
            next = (next + 1) % variants.len();
            let text = variants.get(next).map(Vec::as_slice).unwrap_or_default();
            drop(black_box(reader.recall(black_box(text), &lex)));
        });
        let fresh = best(2_000, || {
            drop(black_box(analyse(black_box(text), &lex, &limits)))
        });
        let parse = best(2_000, || {
            drop(black_box(pg_query::parse(
                std::str::from_utf8(text).expect("text"),
                0,
            )));
        });
        println!(
            "{name} ({} B): recall {recall:.0} ns, of other literals {scanned:.0} ns, analyse {fresh:.0} ns, of which parser {parse:.0} ns; 1/{:.0}",
            text.len(),
            fresh / scanned
        );
    }
}

fn main() {
    let thread = std::thread::Builder::new().stack_size(ANALYSIS_STACK_BYTES);
    thread
        .spawn(measure)
        .expect("a thread")
        .join()
        .expect("no panic");
}
