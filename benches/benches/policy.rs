//! What it costs to judge a statement: one seen before, a new one, and with more and more rules.

use std::fmt::Write as _;
use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use sqlward_policy::rule::moment::Circumstances;
use sqlward_policy::statement::{LexState, Limits, Reader, analyse};
use sqlward_policy::{Policy, Request, Subject, compile, decide, load};
use sqlward_tests::paths::repository;

const OLTP: &str = "SELECT c.name, o.total FROM customers c JOIN orders o ON o.customer = c.id \
                    WHERE c.id = 42 AND o.state = 'open' ORDER BY o.created DESC LIMIT 20";
const POINT: &str = "SELECT abalance FROM pgbench_accounts WHERE aid = 77777;";

/// A policy of `n` rules of the kinds that people write.
fn rules(n: usize) -> Policy {
    let mut text = String::from("schema = 1\n[defaults]\naction = \"allow\"\n");
    for number in 0..n {
        let when = match number % 6 {
            0 => format!("{{ object = [\"secret_{number}\"], access = [\"read\"] }}"),
            1 => format!("{{ function = [\"danger_{number}\"] }}"),
            2 => format!("{{ verb = [\"delete\"], object = [\"s{number}.*\"] }}"),
            3 => format!("{{ user = [\"guest_{number}\"], class = [\"ddl\"] }}"),
            4 => {
                format!("{{ object = [\"p_{number}\"], parameter = {{ range = \"> {number}\" }} }}")
            }
            _ => format!(
                "{{ object = [\"t_{number}\"], transaction = [\"none\"], end_user = [\"e_*\"] }}"
            ),
        };
        let _infallible = write!(
            text,
            "[[rule]]\nid = \"r{number}\"\nwhen = {when}\naction = \"deny\"\n"
        );
    }
    compile(vec![("bench.toml".into(), text)]).unwrap_or_else(|error| fail(&error))
}

fn baseline() -> Policy {
    load(&[repository().join("rules/baseline")]).unwrap_or_else(|error| fail(&error))
}

/// A bench whose policy does not load measures nothing.
fn fail(error: &dyn std::fmt::Debug) -> Policy {
    eprintln!("the policy does not load: {error:?}");
    std::process::exit(1)
}

fn judging(c: &mut Criterion) {
    let lex = LexState::default();
    let subject = Subject {
        user: "app".into(),
        database: "shop".into(),
        ..Subject::default()
    };
    let mut group = c.benchmark_group("policy");
    let policies = [
        ("baseline".to_owned(), baseline()),
        ("10 rules".to_owned(), rules(10)),
        ("100 rules".to_owned(), rules(100)),
        ("1000 rules".to_owned(), rules(1000)),
        ("10000 rules".to_owned(), rules(10_000)),
    ];
    for (name, policy) in &policies {
        let standing = policy.standing(&subject);
        let now = jiff::Timestamp::UNIX_EPOCH;
        let mut reader = Reader::new(32 << 20, Limits::default());
        let analysis = analyse(POINT.as_bytes(), &lex, &Limits::default());
        reader.remember(POINT.as_bytes(), &lex, analysis);
        group.bench_function(format!("seen before, {name}"), |b| {
            b.iter(|| {
                let known = reader.recall(black_box(POINT.as_bytes()), &lex).known;
                known.map(|known| {
                    let statement = &known;
                    let request = Request {
                        statement,
                        standing: &standing,
                        now,
                        also: &[],
                        unreadable_override: None,
                        circumstances: Circumstances::default(),
                    };
                    black_box(decide(policy, &request).action)
                })
            });
        });
        group.bench_function(format!("new statement, {name}"), |b| {
            b.iter_batched(
                || Reader::new(1 << 20, Limits::default()),
                |mut reader| {
                    let text = black_box(OLTP.as_bytes());
                    let analysis = analyse(text, &lex, &Limits::default());
                    let known = reader.remember(text, &lex, analysis);
                    let request = Request {
                        statement: &known,
                        standing: &standing,
                        now,
                        also: &[],
                        unreadable_override: None,
                        circumstances: Circumstances::default(),
                    };
                    black_box(decide(policy, &request).action)
                },
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, judging);
criterion_main!(benches);
