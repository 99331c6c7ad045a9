//! Shipping straight from the journal: the store holds what an embedded one would, whatever happens on the way.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Result, ensure};
use sqlward_audit_store::clickhouse::{ClickHouse, DeliverySettings, Target};
use sqlward_audit_store::query::{AuditQuery, Cell, Row, SessionQuery, SessionRow};
use sqlward_audit_store::record::{Completion, Intent, IntentKind, Outcome, Text};
use sqlward_audit_store::{Audit, AuditSettings};

use crate::support::questions::{build, build_with};
use crate::support::{NOW, archive, begin, done, end, finish, intent, settings, start, stop};

/// How a proxy ships to `targets`.
pub(crate) fn shipping(targets: &[&Target]) -> AuditSettings {
    AuditSettings {
        delivery: Some(DeliverySettings {
            targets: targets.iter().copied().cloned().collect(),
            timeout: Duration::from_secs(20),
            node: 3,
            retention_days: crate::RETENTION_DAYS,
        }),
        ..settings()
    }
}

/// Compares the store at `target` with the embedded one below `data`, row by row.
pub(crate) fn compare(data: &Path, target: &Target) -> Result<usize> {
    let (store, archive) = (ClickHouse::open(target.clone())?, archive(data));
    // Two journals never have the same links: each begins with its own epoch.
    let unchained = |mut rows: Vec<Row>| {
        rows.iter_mut().for_each(|row| row.chain.clear());
        rows
    };
    let expected = unchained(archive.search(&AuditQuery::default())?);
    let found = unchained(store.search(&AuditQuery::default())?);
    for (found, expected) in found.iter().zip(&expected) {
        ensure!(found == expected, "{found:#?}\nexpected {expected:#?}");
    }
    ensure!(
        found.len() == expected.len(),
        "{} rows, not {}",
        found.len(),
        expected.len()
    );
    let unchained = |mut rows: Vec<SessionRow>| {
        rows.iter_mut().for_each(|row| row.chain = None);
        rows
    };
    let steps = SessionQuery::default();
    let found_steps = unchained(store.session_events(&steps)?);
    ensure!(found_steps == unchained(archive.session_events(&steps)?));
    let double = store.sql(
        "SELECT count() FROM (SELECT 1 FROM blocks GROUP BY node, lane, seq HAVING count() > 1)",
        None,
    )?;
    ensure!(double.rows == [[Cell::Integer(0)]], "{double:?}");
    let sums = store.sql(
        "SELECT (SELECT (sum(count), sum(errors), sum(rows)) FROM sums) =
         (SELECT (count(), count(error), sum(rows)) FROM statements
          WHERE NOT (kind = 'prepare' AND completion IN ('done', 'prepared')))",
        None,
    )?;
    ensure!(sums.rows == [[Cell::Integer(1)]], "{sums:?}");
    Ok(found.len())
}

#[test]
fn what_is_shipped_is_what_files_would_hold() -> Result<()> {
    let (files, data) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let (_server, target) = crate::store()?;
    build(files.path(), 4000);
    build_with(data.path(), 4000, shipping(&[&target]));
    ensure!(compare(files.path(), &target)? == 4000);
    Ok(())
}

/// Prepares that are executed in a later batch, texts of earlier blocks, and a client that never says how it ended.
fn prepare_and_execute(audit: Audit, pause: Duration) -> Result<()> {
    let mut lane = audit.lane(0)?;
    start(&mut lane, 1, NOW, "app");
    for round in 0..20_u32 {
        let at = NOW + u64::from(round) * 1_000_000;
        let text = format!("SELECT {round}");
        let prepare = Intent {
            kind: IntentKind::Prepare,
            prepared_name: b"p",
            ..intent(1, round * 3 + 1, at, text.as_bytes())
        };
        let prepared = begin(&mut lane, prepare);
        let outcome = Outcome {
            completion: Completion::Prepared,
            rows: 0,
            ..done(prepared)
        };
        finish(&mut lane, outcome);
        std::thread::sleep(pause);
        for times in 0..2 {
            let execute = Intent {
                kind: IntentKind::Execute,
                text: Text::Of(prepared),
                continues: (times == 0 && round % 3 != 0).then_some(prepared),
                prepared_name: b"p",
                ..intent(1, round * 3 + 2 + times, at + 1000, b"")
            };
            let executed = begin(&mut lane, execute);
            if round % 7 != 6 || times == 0 {
                finish(&mut lane, done(executed));
            }
        }
    }
    end(&mut lane, 1, NOW + 60_000_000);
    drop(lane);
    stop(audit);
    Ok(())
}

#[test]
fn an_execution_takes_its_prepare_over_whenever_it_comes() -> Result<()> {
    for pause in [Duration::ZERO, Duration::from_millis(40)] {
        let (files, data) = (tempfile::tempdir()?, tempfile::tempdir()?);
        let (_server, target) = crate::store()?;
        let (audit, _) = Audit::open(files.path(), settings())?;
        prepare_and_execute(audit, pause)?;
        let (audit, _) = Audit::open(data.path(), shipping(&[&target]))?;
        prepare_and_execute(audit, pause)?;
        ensure!(compare(files.path(), &target)? > 40);
    }
    Ok(())
}

#[test]
fn a_store_without_tables_is_refused_with_the_way_out() -> Result<()> {
    let server = sqlward_tests::clickhouse::Server::start()?;
    let target: Target = server.url("audit").parse()?;
    let data = tempfile::tempdir()?;
    let refused = Audit::open(data.path(), shipping(&[&target])).err();
    let said = refused.map(|error| error.to_string()).unwrap_or_default();
    ensure!(said.contains("`sqlward store migrate`"), "{said}");
    Ok(())
}

#[test]
fn two_proxies_of_one_number_are_noticed() -> Result<()> {
    let (one, other) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let (_server, target) = crate::store()?;
    let conflicts = |audit: &Audit| audit.metrics().node_conflicts.load(Ordering::Relaxed);
    for _ in 0..2 {
        // The same folder again is the same proxy.
        let (audit, _) = Audit::open(one.path(), shipping(&[&target]))?;
        std::thread::sleep(Duration::from_millis(300));
        ensure!(conflicts(&audit) == 0);
        stop(audit);
    }
    let (audit, _) = Audit::open(other.path(), shipping(&[&target]))?;
    crate::support::until("the other one is noticed", || conflicts(&audit) > 0);
    stop(audit);
    Ok(())
}
