//! Every question of the embedded store's own tests, asked of both stores over the same records: equal answers.

use anyhow::{Context, Result, ensure};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, TestRunner};
use sqlward_audit_store::clickhouse::{ClickHouse, import};
use sqlward_audit_store::query::{AuditQuery, Dimension, Extent, Measure, SessionQuery};
use sqlward_audit_store::record::{EventId, SessionId};

use crate::support::questions::{build, queries};
use crate::support::{NOW, archive};

/// How many records: `SQLWARD_RECORDS`, or a short form.
fn records() -> u32 {
    let asked = std::env::var("SQLWARD_RECORDS").ok();
    asked.and_then(|count| count.parse().ok()).unwrap_or(5_000)
}

const CASES: usize = 80;

#[test]
fn both_stores_give_the_same_answers() -> Result<()> {
    let data = tempfile::tempdir()?;
    build(data.path(), records());
    let archive = archive(data.path());
    let (_server, target) = crate::store()?;
    let done = import(&archive, &target, |_, _| {})?;
    ensure!(done.new > u64::from(records()), "{done:?}");
    let store = ClickHouse::open(target)?;

    let everything = archive.search(&AuditQuery::default())?;
    ensure!(everything.len() == usize::try_from(records())?);
    ensure!(store.search(&AuditQuery::default())? == everything);

    let mut runner = TestRunner::new(Config::default());
    let strategy = queries();
    let mut hits = 0;
    for _ in 0..CASES {
        let query = strategy.new_tree(&mut runner).map_err(anyhow::Error::msg)?;
        let query = query.current();
        let expected = archive.search(&query)?;
        hits += usize::from(!expected.is_empty());
        let found = store.search(&query)?;
        ensure!(
            found == expected,
            "{query:?}: {} against {}",
            found.len(),
            expected.len()
        );
        let session = SessionQuery {
            from: query.from,
            to: query.to,
            user: query.user,
            client: query.client,
            ..SessionQuery::default()
        };
        ensure!(store.session_events(&session)? == archive.session_events(&session)?);
    }
    ensure!(hits > CASES / 5, "only {hits} queries found anything");

    for (_, dimension) in Dimension::ALL {
        for (_, measure) in Measure::ALL {
            for filter in [
                AuditQuery::default(),
                AuditQuery {
                    from: Some(NOW + 12_345),
                    user: vec!["app_*".to_owned()],
                    ..AuditQuery::default()
                },
            ] {
                let expected = archive.top(*dimension, *measure, &filter, 5)?;
                let found = store.top(*dimension, *measure, &filter, 5)?;
                ensure!(
                    found == expected,
                    "{dimension:?} {measure:?}: {found:?} {expected:?}"
                );
            }
        }
    }
    for session in [1, 2, 104, 999] {
        let session = SessionId(session);
        ensure!(
            store.session(session)? == archive.session(session)?,
            "{session}"
        );
    }
    for row in everything.iter().step_by(everything.len() / 20) {
        let id: EventId = row.event_id.parse()?;
        ensure!(store.event(id)?.context("no such event")? == *row);
    }
    ensure!(store.administration(None, None)? == archive.administration(None, None)?);

    for (from, to) in [
        (None, None),
        (Some(NOW + 1_000_000), None),
        (Some(NOW), Some(NOW + 90_000_000_000)),
    ] {
        let (expected, found) = (archive.coverage(from, to)?, store.coverage(from, to)?);
        for extent in Extent::ALL {
            ensure!(
                expected.count(extent) == found.count(extent),
                "{extent:?} {expected:?} {found:?}"
            );
        }
    }
    let digests = archive.coverage(None, None)?.count(Extent::Digest);
    ensure!(digests > u64::from(records()) / 13, "{digests}");

    // The sums per minute say what the records do.
    let compare =
        "SELECT (SELECT (sum(count), sum(errors), sum(rows), max(max_duration_us)) FROM sums) =
        (SELECT (count(), count(error), sum(rows), max(duration_us)) FROM statements) AS equal";
    ensure!(format!("{:?}", store.sql(compare, None)?.rows) == "[[Integer(1)]]");
    Ok(())
}
