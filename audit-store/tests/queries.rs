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

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, TestRunner};
use sqlward_audit_store::query::{AuditQuery, Dimension, Measure, Order, Row, SqlError, SqlRange};
use support::questions::{build, matches, queries};
use support::*;

const COUNT: u32 = 6000;
const CASES: u32 = 150;

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
    build(data.path(), COUNT);
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
    // Today is a stored day as well, whenever the test runs.
    let twelve = SqlRange {
        to: Some(NOW + 86_400_000_000 * 12),
        ..SqlRange::default()
    };
    let sql = |text: &str| archive.sql(text, twelve);
    let answer = sql("SELECT user, count(*) AS n FROM statements GROUP BY user;").unwrap();
    let said = answer.partly.map(|partly| partly.to_string());
    assert_eq!(
        said.as_deref(),
        Some("only the last 10 of 12 stored days were read, 2026-11-25 to 2026-12-04")
    );
    let table = answer.table;
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
    let answer = archive
        .sql("SELECT event_id, at FROM statements ORDER BY at", range)
        .unwrap();
    assert_eq!((answer.table.rows.len(), answer.partly), (2, None));
    let ten = SqlRange {
        to: Some(NOW + 86_400_000_000 * 9),
        ..SqlRange::default()
    };
    let answer = archive.sql("SELECT * FROM statements", ten).unwrap();
    assert_eq!(
        (answer.table.rows.len(), answer.partly),
        (10, None),
        "all ten days of the range"
    );
    assert_eq!(
        sql("SELECT * FROM sessions").unwrap().table.rows.len(),
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
        .unwrap()
        .table;
    assert!(table.rows.is_empty() && table.columns.len() > 50);
}
