//! Queries against a naive filter over the same records, and what auditors' SQL may not do.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    unreachable_pub,
    reason = "a test that fails may panic"
)]

mod support;

use std::collections::HashMap;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use sqlward_audit_store::query::{AuditQuery, Dimension, Measure, Order, Row, SqlError, SqlRange};
use sqlward_audit_store::record::{
    Completion, EndUser, EndUserSource, Entry, Intent, IntentKind, Judgement, Outcome, SessionId,
    SessionStart, Trust,
};
use sqlward_policy::vocabulary::{Action, Class, Dialect, Mode, Severity, Verb};
use support::*;

const USERS: [&str; 4] = ["app_read", "app_write", "admin", "李雷"];
const END_USERS: [&str; 3] = ["anna", "bert", "张三"];
const TABLES: [(&str, Verb); 3] = [
    ("ledger", Verb::Select),
    ("salary", Verb::Update),
    ("audit_log", Verb::Delete),
];
const WORDS: [&str; 8] = [
    "工资", "100%", "O'Hara", "a\"b", "Größe", "[x]?*", "DROP", "\\path\\",
];
const RULES: [&str; 3] = ["no-unbounded-write", "ledger-hours", "watch"];
const COUNT: u32 = 6000;
const CASES: u32 = 150;
const SPREAD_US: u64 = 50_000_000;

/// A small generator, so that the records are many, mixed and always the same.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) % sides
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.roll(from.len() as u64) as usize]
    }
}

/// Writes thousands of statements of two lanes over four days; the days overlap midnight.
fn build(data: &std::path::Path) {
    let (audit, _) = open(data);
    let mut lanes = [audit.lane(0).unwrap(), audit.lane(1).unwrap()];
    let mut dice = Dice(42);
    for (number, lane) in lanes.iter_mut().enumerate() {
        for (key, (table, verb)) in TABLES.iter().enumerate() {
            lane.append(&shape(key as u8 + 1, *verb, table)).unwrap();
        }
        for (user, name) in USERS.iter().enumerate() {
            let session = (number * 100 + user + 1) as u64;
            start(lane, session, NOW, name);
            // Half of them come from another network.
            if user % 2 == 1 {
                lane.append(&Entry::SessionStart(SessionStart {
                    session: SessionId(session),
                    at_us: NOW,
                    client: "[2001:db8::7]:99".parse().unwrap(),
                    listener: "127.0.0.1:6432",
                    upstream: "main",
                    dialect: Dialect::Postgres,
                    tls: None,
                }))
                .unwrap();
            }
        }
    }
    for number in 0..COUNT {
        let side = dice.roll(2) as usize;
        let lane = &mut lanes[side];
        let user = dice.roll(4);
        let session = side as u64 * 100 + user + 1;
        let shape = dice.roll(4);
        let text = format!(
            "SELECT '{}' FROM t{} WHERE x = {}",
            dice.pick(&WORDS),
            dice.roll(30),
            dice.roll(9)
        );
        let action = dice.pick(&[Action::Allow, Action::Allow, Action::Alert, Action::Deny]);
        let rules: Vec<&str> = if action == Action::Allow {
            vec![]
        } else {
            vec![dice.pick(&RULES), RULES[2]]
        };
        let end_user = (dice.roll(2) == 0).then(|| EndUser {
            name: dice.pick(&END_USERS),
            source: EndUserSource::Comment,
            trust: Trust::Claimed,
        });
        let seq = begin(
            lane,
            Intent {
                shape: (shape > 0).then_some([shape as u8; 16]),
                kind: dice.pick(&[IntentKind::Simple, IntentKind::Execute]),
                judgement: Judgement {
                    action,
                    judged: action,
                    mode: Mode::Enforce,
                    rules: rules.into(),
                    severity: (action != Action::Allow)
                        .then(|| dice.pick(&[Severity::Low, Severity::High])),
                    generation: 1 + dice.roll(2),
                    unreadable: None,
                },
                end_user,
                ..intent(
                    session,
                    number,
                    NOW + u64::from(number) * SPREAD_US,
                    text.as_bytes(),
                )
            },
        );
        let failed = dice.roll(10) == 0;
        finish(
            lane,
            Outcome {
                completion: if failed {
                    Completion::Failed
                } else {
                    Completion::Done
                },
                sqlstate: failed.then(|| dice.pick(&[*b"42601", *b"42P01", *b"23505"]).into()),
                rows: dice.roll(1000),
                affected: dice.roll(50),
                duration_us: dice.roll(100_000),
                ..done(seq)
            },
        );
    }
    drop(lanes);
    stop(audit);
}

fn glob(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((before, behind)) => {
            name.len() >= before.len() + behind.len()
                && name.starts_with(before)
                && name.ends_with(behind)
        }
    }
}

fn any(patterns: &[String], name: Option<&str>) -> bool {
    patterns.is_empty() || name.is_some_and(|name| patterns.iter().any(|p| glob(p, name)))
}

/// What the filters mean, without SQL.
fn matches(query: &AuditQuery, row: &Row) -> bool {
    let micros = |at: &str| -> u64 {
        let at: jiff::Timestamp = at.parse().unwrap();
        u64::try_from(at.as_microsecond()).unwrap()
    };
    let at = micros(&row.at);
    let texts = |json: &str| serde_json::from_str::<Vec<String>>(json).unwrap();
    let word = |list: Vec<&str>, value: Option<&str>| {
        list.is_empty() || value.is_some_and(|value| list.contains(&value))
    };
    let rank = |name: &str| {
        Severity::ALL
            .iter()
            .position(|known| known.as_str() == name)
    };
    query.from.is_none_or(|from| at >= from)
        && query.to.is_none_or(|to| at < to)
        && any(&query.user, row.user.as_deref())
        && any(&query.end_user, row.end_user.as_deref())
        && any(&query.application, row.application.as_deref())
        && any(&query.database, row.database.as_deref())
        && any(&query.error, row.error.as_deref())
        && (query.client.is_empty()
            || query.client.iter().any(|net| {
                row.client
                    .as_ref()
                    .is_some_and(|ip| net.contains(&ip.parse::<std::net::IpAddr>().unwrap()))
            }))
        && (query.verb.is_empty()
            || row.verbs.as_ref().is_some_and(|verbs| {
                texts(&verbs.0)
                    .iter()
                    .any(|v| query.verb.iter().any(|q| q.as_str() == v))
            }))
        && word(
            query.class.iter().map(|c| c.as_str()).collect(),
            row.class.as_deref(),
        )
        && word(
            query.decision.iter().map(|d| d.as_str()).collect(),
            Some(&row.decision),
        )
        && word(
            query.kind.iter().map(|k| k.as_str()).collect(),
            Some(&row.kind),
        )
        && word(
            query.completion.iter().map(|c| c.as_str()).collect(),
            Some(&row.completion),
        )
        && (query.rule.is_empty()
            || texts(&row.rules.0)
                .iter()
                .any(|rule| query.rule.iter().any(|q| glob(q, rule))))
        && query
            .severity
            .is_none_or(|least| row.severity.as_deref().and_then(rank) >= rank(least.as_str()))
        && query
            .session
            .is_none_or(|session| row.session == session.to_string())
        && query
            .min_duration
            .is_none_or(|least| row.duration_us >= least as i64)
        && query
            .min_rows
            .is_none_or(|least| row.rows.max(row.affected) >= least as i64)
        && query.fingerprint.is_none_or(|wanted| {
            let hex: String = wanted.iter().map(|byte| format!("{byte:02x}")).collect();
            row.fingerprint.as_deref() == Some(&hex)
        })
        && (query.object.is_empty()
            || row.objects.as_ref().is_some_and(|objects| {
                let objects: Vec<serde_json::Value> = serde_json::from_str(&objects.0).unwrap();
                objects.iter().any(|object| {
                    let (schema, name) = (
                        object["schema"].as_str().unwrap(),
                        object["name"].as_str().unwrap(),
                    );
                    query.object.iter().any(|wanted| {
                        if wanted.contains('.') {
                            glob(wanted, &format!("{schema}.{name}"))
                        } else {
                            glob(wanted, name)
                        }
                    })
                })
            }))
        && query.text.as_ref().is_none_or(|wanted| {
            let text = row.text.as_ref().map_or("", |text| &text.0);
            text.to_ascii_lowercase()
                .contains(&wanted.to_ascii_lowercase())
        })
}

fn some<T: Clone + std::fmt::Debug + 'static>(
    from: &[T],
) -> impl Strategy<Value = Vec<T>> + use<T> {
    let from = from.to_vec();
    prop_oneof![
        4 => Just(Vec::new()),
        1 => proptest::collection::vec(proptest::sample::select(from), 1..3),
    ]
}

fn names(from: &[&str]) -> impl Strategy<Value = Vec<String>> + use<> {
    some(
        &from
            .iter()
            .map(|name| (*name).to_owned())
            .collect::<Vec<_>>(),
    )
}

fn maybe<T: Clone + std::fmt::Debug + 'static>(
    from: &[T],
) -> impl Strategy<Value = Option<T>> + use<T> {
    let from = from.to_vec();
    prop_oneof![4 => Just(None), 1 => proptest::sample::select(from).prop_map(Some)]
}

fn queries() -> impl Strategy<Value = AuditQuery> {
    let span = u64::from(COUNT) * SPREAD_US;
    let time = proptest::option::of((0..span).prop_map(|after| NOW + after));
    let who = (
        names(&["app_*", "admin", "李*", "*_write"]),
        names(&["张三", "a*"]),
        some(&[
            "10.1.0.0/16".parse().unwrap(),
            "2001:db8::/32".parse().unwrap(),
            "10.9.0.0/16".parse().unwrap(),
        ]),
        names(&["till", "x"]),
        maybe(&[SessionId(1), SessionId(102), SessionId(9)]),
    );
    let what = (
        some(&[Verb::Select, Verb::Delete]),
        some(&[Class::Read, Class::Ddl]),
        names(&["finance.*", "ledger", "*.salary", "nothing"]),
        maybe(
            &[
                "工资",
                "资",
                "100%",
                "o'hara",
                "A\"B",
                "GRößE",
                "größe",
                "[x]?*",
                "t1",
                "\\path",
                "ect '",
                "' from t2",
                "zzz",
            ]
            .map(str::to_owned),
        ),
        maybe(&[[1 ^ 0xFF; 16], [0; 16]]),
    );
    let judged = (
        some(&[Action::Allow, Action::Alert, Action::Deny]),
        names(&["no-*", "watch", "ledger-hours"]),
        maybe(&[Severity::Low, Severity::Medium, Severity::High]),
        names(&["42*", "23505", "*"]),
    );
    let result = (
        maybe(&[1000, 90_000]),
        maybe(&[10, 990]),
        some(&[IntentKind::Simple, IntentKind::Fetch]),
        some(&[Completion::Done, Completion::Failed]),
        proptest::sample::select(vec![
            Order::Newest,
            Order::Oldest,
            Order::Longest,
            Order::MostRows,
        ]),
        maybe(&[1usize, 10, 500]),
    );
    (time.clone(), time, who, what, judged, result).prop_map(
        |(from, to, who, what, judged, result)| AuditQuery {
            from,
            to,
            user: who.0,
            end_user: who.1,
            client: who.2,
            application: who.3,
            session: who.4,
            verb: what.0,
            class: what.1,
            object: what.2,
            text: what.3,
            fingerprint: what.4,
            decision: judged.0,
            rule: judged.1,
            severity: judged.2,
            error: judged.3,
            min_duration: result.0,
            min_rows: result.1,
            kind: result.2,
            completion: result.3,
            order: result.4,
            limit: result.5,
            ..AuditQuery::default()
        },
    )
}

fn order(order: Order, rows: &mut [Row]) {
    let lane = |row: &Row| (row.lane, row.seq);
    rows.sort_by(|a, b| b.at.cmp(&a.at).then(lane(b).cmp(&lane(a))));
    match order {
        Order::Newest => {}
        Order::Oldest => rows.reverse(),
        Order::Longest => rows.sort_by_key(|row| std::cmp::Reverse(row.duration_us)),
        Order::MostRows => rows.sort_by_key(|row| std::cmp::Reverse(row.rows.max(row.affected))),
    }
}

#[test]
fn every_query_answers_what_a_naive_filter_does() {
    let data = tempfile::tempdir().unwrap();
    build(data.path());
    let archive = archive(data.path());
    let everything = all(data.path());
    assert_eq!(everything.len(), COUNT as usize);
    let mut hits = 0;
    let mut runner = TestRunner::new(Config {
        cases: CASES,
        ..Config::default()
    });
    let strategy = queries();
    for _ in 0..CASES {
        let query =
            proptest::strategy::ValueTree::current(&strategy.new_tree(&mut runner).unwrap());
        let mut expected: Vec<Row> = everything
            .iter()
            .filter(|row| matches(&query, row))
            .cloned()
            .collect();
        order(query.order, &mut expected);
        hits += usize::from(!expected.is_empty());
        expected.truncate(query.limit.unwrap_or(usize::MAX));
        let found = archive.search(&query).unwrap();
        let ids = |rows: &[Row]| {
            rows.iter()
                .map(|row| row.event_id.clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(ids(&found), ids(&expected), "{query:?}");
    }
    assert!(hits > 30, "only {hits} queries found anything");
    rankings(&archive, &everything);
    every_text_is_found(&archive, &everything);
}

fn rankings(archive: &sqlward_audit_store::query::Archive, everything: &[Row]) {
    let measure = |measure: Measure, row: &Row| match measure {
        Measure::Count => 1,
        Measure::Errors => i64::from(row.error.is_some()),
        Measure::Denied => i64::from(row.decision == "deny"),
        Measure::Rows => row.rows,
        Measure::Affected => row.affected,
        Measure::Bytes => row.bytes,
        Measure::TotalDuration | Measure::MaxDuration => row.duration_us,
    };
    let values = |dimension: Dimension, row: &Row| -> Vec<Option<String>> {
        match dimension {
            Dimension::User => vec![row.user.clone()],
            Dimension::Database => vec![row.database.clone()],
            Dimension::Application => vec![row.application.clone()],
            Dimension::Client => vec![row.client.clone()],
            Dimension::EndUser => vec![row.end_user.clone()],
            Dimension::Fingerprint => vec![row.fingerprint.clone()],
            Dimension::Verb => vec![row.verb.clone()],
            Dimension::Session => vec![Some(row.session.clone())],
            Dimension::Decision => vec![Some(row.decision.clone())],
            Dimension::Error => row.error.clone().map(Some).into_iter().collect(),
            Dimension::Rule => {
                let rules: Vec<String> = serde_json::from_str(&row.rules.0).unwrap();
                rules.into_iter().map(Some).collect()
            }
            Dimension::Object => row
                .objects
                .iter()
                .map(|objects| {
                    let objects: Vec<serde_json::Value> = serde_json::from_str(&objects.0).unwrap();
                    Some(format!("finance.{}", objects[0]["name"].as_str().unwrap()))
                })
                .collect(),
        }
    };
    // Whole minutes are answered from sums, others from rows.
    let minute = NOW / 60_000_000 * 60_000_000;
    let filters = [
        AuditQuery::default(),
        AuditQuery {
            from: Some(minute + 86_400_000_000),
            ..AuditQuery::default()
        },
        AuditQuery {
            from: Some(NOW + 12_345),
            to: Some(NOW + 200_000_000_001),
            ..AuditQuery::default()
        },
        AuditQuery {
            user: vec!["app_*".to_owned()],
            ..AuditQuery::default()
        },
    ];
    for (first, filter) in filters.iter().enumerate() {
        for (second, (_, dimension)) in Dimension::ALL.iter().enumerate() {
            for (third, (name, by)) in Measure::ALL.iter().enumerate() {
                // A quarter of the combinations: every measure of every dimension under some filter.
                if (first + second + third) % 4 != 0 {
                    continue;
                }
                let mut sums: HashMap<Option<String>, i64> = HashMap::new();
                for row in everything.iter().filter(|row| matches(filter, row)) {
                    for value in values(*dimension, row) {
                        let sum = sums.entry(value).or_insert(0);
                        let one = measure(*by, row);
                        *sum = if *by == Measure::MaxDuration {
                            one.max(*sum)
                        } else {
                            *sum + one
                        };
                    }
                }
                let mut expected: Vec<_> = sums.into_iter().collect();
                expected.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
                expected.truncate(3);
                let top = archive.top(*dimension, *by, filter, 3).unwrap();
                let top: Vec<_> = top
                    .into_iter()
                    .map(|top| (top.value, top.measure))
                    .collect();
                assert_eq!(top, expected, "{dimension:?} by {name}, {filter:?}");
            }
        }
    }
}

/// Every piece of one to five characters of some texts finds that text, indexed or not.
fn every_text_is_found(archive: &sqlward_audit_store::query::Archive, everything: &[Row]) {
    for row in everything.iter().step_by(977) {
        let letters: Vec<char> = row.text.as_ref().unwrap().0.chars().collect();
        for length in 1..6 {
            for piece in letters.windows(length).step_by(3) {
                let query = AuditQuery {
                    text: Some(piece.iter().collect()),
                    session: Some(row.session.parse().unwrap()),
                    ..AuditQuery::default()
                };
                let found = archive.search(&query).unwrap();
                assert!(
                    found.iter().any(|found| found.event_id == row.event_id),
                    "{query:?}"
                );
            }
        }
    }
}

#[test]
fn auditors_sql_reads_and_does_nothing_else() {
    let data = tempfile::tempdir().unwrap();
    let (audit, _) = open(data.path());
    let mut lane = audit.lane(0).unwrap();
    start(&mut lane, 1, NOW, "bob");
    for day in 0..12 {
        run(
            &mut lane,
            1,
            day,
            NOW + u64::from(day) * 86_400_000_000,
            "SELECT 1",
        );
    }
    drop(lane);
    stop(audit);
    let archive = archive(data.path());
    let sql = |text: &str| archive.sql(text, SqlRange::default());
    let table = sql("SELECT user, count(*) AS n FROM statements GROUP BY user;").unwrap();
    assert_eq!(table.columns, ["user", "n"]);
    assert_eq!(
        format!("{:?}", table.rows),
        r#"[[Text("bob"), Integer(10)]]"#,
        "ten days are shown"
    );
    let range = SqlRange {
        from: Some(NOW),
        to: Some(NOW + 86_400_000_000 * 3),
        limit: Some(2),
    };
    let table = archive
        .sql("SELECT event_id, at FROM statements ORDER BY at", range)
        .unwrap();
    assert_eq!(table.rows.len(), 2);
    assert_eq!(
        sql("SELECT * FROM sessions").unwrap().rows.len(),
        0,
        "the session began before"
    );
    assert!(sql("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<5) SELECT * FROM n").is_ok());
    let outside = data.path().join("outside.db");
    let attach = format!("ATTACH '{}' AS o", outside.display());
    let vacuum = format!("VACUUM INTO '{}'", outside.display());
    for text in [
        "DELETE FROM day0.statement",
        "UPDATE day0.statement SET rows = 0",
        "INSERT INTO day0.name (value) VALUES ('x')",
        "DROP TABLE day0.statement",
        "CREATE TABLE t (a)",
        "CREATE TEMP TABLE t (a)",
        "PRAGMA query_only = OFF",
        "PRAGMA writable_schema = ON",
        "BEGIN",
        "DETACH day0",
        "SELECT load_extension('x')",
        "REINDEX",
        "ANALYZE",
        &attach,
        &vacuum,
    ] {
        assert!(sql(text).is_err(), "{text}");
    }
    assert!(!outside.exists());
    for text in [
        "",
        "  -- nothing",
        "SELECT 1; SELECT 2",
        "SELECT 1; DROP TABLE day0.name",
    ] {
        assert!(
            matches!(sql(text), Err(SqlError::NotOne | SqlError::Sql(_))),
            "{text}"
        );
    }
    assert!(archive.verify().unwrap().is_intact());
}

#[test]
fn a_store_that_is_not_there_is_an_error_and_an_empty_one_is_empty() {
    let data = tempfile::tempdir().unwrap();
    let missing = sqlward_audit_store::query::Archive::open(data.path())
        .err()
        .unwrap();
    assert!(
        missing.to_string().contains("there is no audit store"),
        "{missing}"
    );
    ship_all(data.path());
    assert!(all(data.path()).is_empty());
    let table = archive(data.path())
        .sql("SELECT * FROM statements", SqlRange::default())
        .unwrap();
    assert!(table.rows.is_empty() && table.columns.len() > 50);
}
