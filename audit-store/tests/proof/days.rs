//! Days that retention let go, and days that are not asked for.

use std::sync::Arc;

use sqlward_audit_store::Audit;
use sqlward_audit_store::embedded::Scope;
use sqlward_audit_store::proof::Signer;
use sqlward_audit_store::record::{Completion, Intent, IntentKind, Outcome, Text};

use crate::help::*;
use crate::support::*;

/// Who speaks, and what was prepared, is known from the tree when the day that told it is gone.
#[test]
fn sessions_and_texts_of_days_that_were_let_go_are_still_verified() {
    let cases = [
        (
            "UPDATE block SET grams = zeroblob(8) WHERE statements > 0",
            "the filter of its texts",
        ),
        (
            "UPDATE block SET grams = x'' WHERE statements > 0",
            "the filter of its texts",
        ),
        ("SELECT 1 FROM name", ""),
        (
            "UPDATE name SET value = 'eve' WHERE value = 'bob'",
            "who speaks in it, or an earlier text",
        ),
        (
            "UPDATE who SET client = '10.9.9.9'",
            "who speaks in it, or an earlier text",
        ),
        (
            "UPDATE prepared SET intent = zeroblob(length(intent))",
            "who speaks in it, or an earlier text",
        ),
        (
            "DELETE FROM prepared",
            "who speaks in it, or an earlier text",
        ),
    ];
    for (sql, what) in cases {
        let (data, signer) = let_go();
        edit(&store(data.path(), "2026-11-24.db"), &format!("{sql};"));
        let report = archive(data.path())
            .verify_against(&trust(&[signer.public()], None), &Scope::default())
            .unwrap();
        assert!(report.unknown_sessions > 0 && report.unknown_texts > 0);
        let found: Vec<String> = report
            .findings
            .into_iter()
            .map(|found| found.what)
            .collect();
        match what {
            "" => assert_eq!(found, Vec::<String>::new()),
            what => expect(&found, what),
        }
    }
}

/// A session that began, and prepared a statement, on a day that retention then let go.
fn let_go() -> (tempfile::TempDir, Arc<Signer>) {
    let (data, signer) = (tempfile::tempdir().unwrap(), signer());
    let open = |retention_days| {
        let mut settings = settings();
        settings.shipper.proof.signer = Some(Arc::clone(&signer));
        settings.store.retention_days = retention_days;
        Audit::open(data.path(), settings).unwrap().0
    };
    let audit = open(190);
    let mut lane = audit.lane(0).unwrap();
    start(&mut lane, 1, NOW, "bob");
    let prepare = begin(
        &mut lane,
        Intent {
            kind: IntentKind::Prepare,
            prepared_name: b"p",
            ..intent(1, 1, NOW + 1, b"SELECT $1 -- prepared")
        },
    );
    let prepared = Completion::Prepared;
    finish(
        &mut lane,
        Outcome {
            completion: prepared,
            ..done(prepare)
        },
    );
    for number in 2..5 {
        let execute = begin(
            &mut lane,
            Intent {
                kind: IntentKind::Execute,
                text: Text::Of(prepare),
                ..intent(1, number, NOW + DAY_US + u64::from(number), b"")
            },
        );
        finish(&mut lane, done(execute));
    }
    end(&mut lane, 1, NOW + DAY_US + 100);
    drop(lane);
    stop(audit);
    // Seals the days, which writes to them.
    stop(open(190));
    let day = store(data.path(), "2026-11-23.db");
    let at = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_micros(NOW);
    let file = std::fs::File::open(&day).unwrap();
    file.set_modified(at).unwrap();
    drop(file);
    stop(open(1));
    assert!(!day.exists() && store(data.path(), "2026-11-24.db").exists());
    (data, signer)
}

/// A range of a store is verified by itself: what its days say, and what became of its statements later.
#[test]
fn a_range_of_days_is_verified_alone() {
    let (data, signer) = signed();
    let (audit, _) = open(data.path());
    let mut lane = audit.lane(0).unwrap();
    start(&mut lane, 77, NOW + 2 * DAY_US + 500, "eve");
    let late = begin(
        &mut lane,
        intent(77, 1, NOW + 2 * DAY_US + 600, b"SELECT pg_sleep(90000)"),
    );
    context(&mut lane, 77, NOW + 3 * DAY_US, None);
    finish(&mut lane, done(late));
    end(&mut lane, 77, NOW + 3 * DAY_US + 1);
    drop(lane);
    stop(audit);
    run_proxy(data.path(), &signer, 4);
    let trust = trust(&[signer.public()], None);
    let verify = |from: u64, to: u64| {
        let scope = Scope::span(Some(NOW + from * DAY_US), Some(NOW + to * DAY_US));
        let report = archive(data.path()).verify_against(&trust, &scope).unwrap();
        let found = report.findings.into_iter().map(|found| found.what);
        (report.rows, found.collect::<Vec<_>>())
    };
    for from in 0..5 {
        for to in from + 1..6 {
            let (rows, found) = verify(from, to);
            assert_eq!(found, Vec::<String>::new(), "{from}..{to}");
            assert!(rows > 0);
        }
    }
    edit(
        &store(data.path(), "2026-11-24.db"),
        "UPDATE name SET value = 'eve' WHERE value = 'bob'",
    );
    assert_eq!(verify(2, 5).1, Vec::<String>::new());
    expect(&verify(1, 2).1, "was changed");
    std::fs::remove_file(store(data.path(), "2026-11-24.db")).unwrap();
    assert_eq!(verify(2, 5).1, Vec::<String>::new());
    expect(&verify(0, 5).1, "a block is missing");
}
