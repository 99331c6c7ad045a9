//! What a decision costs by the number of rules: nanoseconds, the least of many rounds, all sizes in turn.
//!
//! ```sh
//! cargo run --release -p sqlward-policy --example rule_count
//! ```
#![allow(clippy::disallowed_methods, reason = "a tool for developers")]

use std::fmt::Write as _;
use std::hint::black_box;
use std::time::Instant;

use jiff::Timestamp;
use sqlward_policy::rule::moment::Circumstances;
use sqlward_policy::statement::{Known, LexState, Limits, Reader, Slot, analyse};
use sqlward_policy::{Policy, Request, Subject, compile, decide};

const SIZES: [usize; 4] = [10, 100, 1_000, 10_000];
const TEXT: &str = "SELECT c.name, o.total FROM customers c JOIN orders o ON o.customer = c.id \
                    WHERE c.id = 42 AND o.state = 'open' ORDER BY o.created DESC LIMIT 20";
const ROUNDS: usize = 40;
const BATCH: u32 = 2_000;

/// Rules of the kinds that people write; none of them matches.
fn rules(count: usize) -> Option<Policy> {
    let mut text = String::from("schema = 1\ndefaults.action = \"allow\"\n");
    for n in 0..count {
        let when = match n % 6 {
            0 => format!("object = [\"secret_{n}\"], access = [\"read\"]"),
            1 => format!("function = [\"danger_{n}\"]"),
            2 => format!("verb = [\"delete\"], object = [\"s{n}.*\"]"),
            3 => format!("user = [\"guest_{n}\"], class = [\"ddl\"]"),
            4 => format!("object = [\"p_{n}\"], parameter = {{ range = \"> {n}\" }}"),
            _ => format!("object = [\"t_{n}\"], transaction = [\"none\"], end_user = [\"e_*\"]"),
        };
        // Writing to a String can't fail.
        let _ = writeln!(
            text,
            "[[rule]]\nid = \"r{n}\"\nwhen = {{ {when} }}\naction = \"deny\""
        );
    }
    compile(vec![("rules.toml".into(), text)])
        .map_err(|problems| eprintln!("{problems}"))
        .ok()
}

fn request<'a>(known: &'a Known, standing: &'a sqlward_policy::Standing) -> Request<'a> {
    Request {
        statement: known,
        standing,
        now: Timestamp::UNIX_EPOCH,
        circumstances: Circumstances::default(),
        also: &[],
        unreadable_override: None,
    }
}

/// Nanoseconds of one run of `work`, of a batch.
fn time(mut work: impl FnMut()) -> f64 {
    let start = Instant::now();
    for _ in 0..BATCH {
        work();
    }
    start.elapsed().as_secs_f64() * 1e9 / f64::from(BATCH)
}

fn main() {
    let (lex, limits) = (LexState::default(), Limits::default());
    let subject = Subject {
        user: "app".into(),
        ..Subject::default()
    };
    let policies: Vec<Policy> = SIZES.into_iter().filter_map(rules).collect();
    let mut best = [[f64::MAX; 3]; SIZES.len()];
    for _ in 0..ROUNDS {
        for (policy, best) in policies.iter().zip(&mut best) {
            let standing = policy.standing(&subject);
            let mut reader = Reader::new(1 << 20, limits.clone());
            let analysis = analyse(TEXT.as_bytes(), &lex, &limits);
            let seen = reader.remember(TEXT.as_bytes(), &lex, analysis);
            let cached = time(|| {
                if let Some(known) = reader.recall(black_box(TEXT.as_bytes()), &lex).known {
                    black_box(decide(policy, &request(&known, &standing)).action);
                }
            });
            let matched = time(|| {
                let known = Known {
                    analysis: std::sync::Arc::clone(&seen.analysis),
                    slot: Slot::default(),
                };
                black_box(decide(policy, &request(&known, &standing)).action);
            });
            let start = Instant::now();
            for _ in 0..BATCH / 20 {
                let known = Known {
                    analysis: analyse(black_box(TEXT.as_bytes()), &lex, &limits).into(),
                    slot: Slot::default(),
                };
                black_box(decide(policy, &request(&known, &standing)).action);
            }
            let new = start.elapsed().as_secs_f64() * 1e9 / f64::from(BATCH / 20);
            for (best, now) in best.iter_mut().zip([cached, matched, new]) {
                *best = best.min(now);
            }
        }
    }
    println!("| rules | seen before, ns | matched anew, ns | new, ns |\n|---:|---:|---:|---:|");
    for (size, [cached, matched, new]) in SIZES.into_iter().zip(best) {
        println!("| {size} | {cached:.0} | {matched:.0} | {new:.0} |");
    }
}
