//! Verification: an intact store is found intact, every kind of tampering is found.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    unreachable_pub,
    reason = "a test that fails may panic"
)]

mod support;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use sqlward_audit_store::query::{Archive, AuditQuery};
use sqlward_audit_store::record::{
    Admin, AdminAction, Completion, Entry, Intent, IntentKind, Outcome, Text,
};
use sqlward_policy::vocabulary::Verb;
use support::*;

/// A store with a bit of everything, over two days and a restart.
fn build(data: &Path) {
    for round in 0..2u64 {
        let (audit, _) = open(data);
        for number in 0..2 {
            let mut lane = audit.lane(number).unwrap();
            let session = round * 10 + u64::from(number) + 1;
            let at = NOW + round * 86_400_000_000;
            start(&mut lane, session, at, "bob");
            lane.append(&shape(9, Verb::Select, "ledger")).unwrap();
            for statement in 0..20u32 {
                let text = format!("SELECT {statement} FROM finance.ledger -- 工资 {round}");
                let seq = begin(
                    &mut lane,
                    Intent {
                        shape: Some([9; 16]),
                        ..intent(
                            session,
                            statement,
                            at + u64::from(statement),
                            text.as_bytes(),
                        )
                    },
                );
                finish(&mut lane, done(seq));
            }
            let prepare = begin(
                &mut lane,
                Intent {
                    kind: IntentKind::Prepare,
                    ..intent(session, 30, at + 50, b"SELECT $1")
                },
            );
            finish(
                &mut lane,
                Outcome {
                    completion: Completion::Prepared,
                    ..done(prepare)
                },
            );
            let execute = begin(
                &mut lane,
                Intent {
                    kind: IntentKind::Execute,
                    text: Text::Of(prepare),
                    continues: Some(prepare),
                    ..intent(session, 31, at + 51, b"")
                },
            );
            finish(&mut lane, done(execute));
            context(&mut lane, session, at + 60, None);
            // Over midnight: begun today, ended when tomorrow's entries are already there.
            let long = begin(
                &mut lane,
                intent(session, 32, at + 61, b"SELECT pg_sleep(80000)"),
            );
            run(
                &mut lane,
                session,
                33,
                at + 86_400_000_000,
                "SELECT 'tomorrow'",
            );
            finish(&mut lane, done(long));
            lane.append(&Entry::Admin(Admin {
                at_us: at,
                action: AdminAction::Reload,
                actor: "signal",
                detail: "",
                generation: round,
                config_hash: None,
                count: 0,
            }))
            .unwrap();
            if round == 0 {
                end(&mut lane, session, at + 86_400_000_001);
            } else {
                // Left open: lost with the lane.
                begin(
                    &mut lane,
                    intent(session, 40, at + 86_400_000_002, b"SELECT lost"),
                );
            }
        }
        stop(audit);
    }
}

fn day(data: &Path, number: u64) -> PathBuf {
    let name = ["2026-11-23.db", "2026-11-24.db", "2026-11-25.db"];
    data.join("store")
        .join(name[usize::try_from(number).unwrap()])
}

fn edit(path: &Path, sql: &str) {
    let mode = path.metadata().unwrap().permissions();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let connection = rusqlite::Connection::open(path).unwrap();
    let changed = connection.execute(sql, []).unwrap();
    assert!(changed > 0, "the edit changed nothing: {sql}");
    drop(connection);
    std::fs::set_permissions(path, mode).unwrap();
}

/// What is found after an edit of the given day's file.
fn after(number: u64, sql: &str) -> String {
    let data = tempfile::tempdir().unwrap();
    build(data.path());
    edit(&day(data.path(), number), sql);
    let report = archive(data.path()).verify().unwrap();
    let findings: Vec<String> = report
        .findings
        .iter()
        .map(|found| found.what.clone())
        .collect();
    findings.join("; ")
}

#[test]
fn an_intact_store_is_intact() {
    let data = tempfile::tempdir().unwrap();
    build(data.path());
    let report = archive(data.path()).verify().unwrap();
    assert!(report.is_intact(), "{:#?}", report.findings);
    let rows = archive(data.path()).search(&AuditQuery::default()).unwrap();
    assert_eq!(report.rows, rows.len() as u64);
    assert_eq!((report.unknown_sessions, report.unknown_texts), (0, 0));
    assert!(report.entries > report.rows);
}

#[test]
fn every_edit_of_a_row_is_found() {
    let one = "WHERE id = (SELECT min(id) FROM statement)";
    let cases = [
        ("UPDATE statement SET rows = 99 {one}", "rows"),
        ("UPDATE statement SET sqlstate = '42501' {one}", "error"),
        (
            "UPDATE statement SET start_us = start_us + 1 {one}",
            "start",
        ),
        (
            "UPDATE statement SET who = who + 1 {one}",
            "the row was changed",
        ),
        ("UPDATE statement SET shape = NULL {one}", "shape"),
        ("UPDATE statement SET text = text + 1 {one}", "text"),
        ("UPDATE statement SET flagged = 1 {one}", "flag"),
        ("UPDATE statement SET chain = zeroblob(32) {one}", "chain"),
        ("UPDATE text SET body = 'SELECT 1' WHERE id = 2", "text"),
        ("UPDATE name SET value = 'eve' WHERE value = 'bob'", "user"),
        ("UPDATE who SET client = '10.9.9.9'", "client"),
        ("UPDATE judgement SET action = 'deny'", "decision"),
        ("UPDATE shape SET objects = '[]'", "the shape"),
        ("UPDATE session_event SET at_us = at_us + 1", "time"),
        ("UPDATE admin SET actor = 'nobody'", "actor"),
    ];
    for (sql, column) in cases {
        let found = after(0, &sql.replace("{one}", one));
        assert!(
            found.contains("changed") && found.contains(column),
            "{sql}: {found}"
        );
    }
}

#[test]
fn every_removal_and_addition_is_found() {
    let cases = [
        ("DELETE FROM statement WHERE id = (SELECT max(id) FROM statement)", "a row was removed"),
        ("DELETE FROM session_event WHERE step = 'authenticated'", "a session event was removed"),
        ("DELETE FROM admin", "a administrative entry was removed"),
        (
            "INSERT INTO statement SELECT id + 1000, who, session, number, kind, text, text_state,
                text_len, text_hash, shape, parameters, prepared_name, portal, start_us, mono_ns, tx,
                tx_status, judgement, end_user, end_user_source, end_user_trust, role, trace,
                continues, completion, rows, affected, bytes, sqlstate, first_byte_us, duration_us,
                statements, flagged, chain FROM statement LIMIT 1",
            "1 statements that no entry explains",
        ),
    ];
    for (sql, expected) in cases {
        let found = after(0, sql);
        assert!(found.contains(expected), "{sql}: {found}");
    }
}

#[test]
fn every_edit_of_the_proof_is_found() {
    let cases = [
        (
            "DELETE FROM block WHERE rowid = (SELECT min(rowid) FROM block)",
            "chain is broken",
        ),
        (
            "UPDATE block SET head = zeroblob(32)",
            "do not hash to its head",
        ),
        (
            "UPDATE block SET last = last + 1",
            "does not hold the entries it names",
        ),
        (
            "UPDATE block SET previous = zeroblob(32) WHERE first > 1",
            "do not hash to its head",
        ),
        (
            "UPDATE block SET frames = substr(frames, 2)",
            "can't be unpacked",
        ),
        ("UPDATE block SET lane = lane + 7", "removed"),
    ];
    for (sql, expected) in cases {
        let found = after(1, sql);
        assert!(found.contains(expected), "{sql}: {found}");
    }
}

#[test]
fn a_cut_tail_is_found() {
    let data = tempfile::tempdir().unwrap();
    build(data.path());
    std::fs::remove_file(day(data.path(), 2)).unwrap();
    let report = archive(data.path()).verify().unwrap();
    let whats: Vec<_> = report.findings.iter().map(|found| &*found.what).collect();
    assert!(
        whats
            .iter()
            .any(|what| what.contains("last entries are missing")),
        "{whats:?}"
    );
}

#[test]
fn a_restored_older_file_is_found() {
    let data = tempfile::tempdir().unwrap();
    build(data.path());
    let before = std::fs::read(day(data.path(), 2)).unwrap();
    let (audit, _) = open(data.path());
    let mut lane = audit.lane(0).unwrap();
    run(
        &mut lane,
        99,
        1,
        NOW + 2 * 86_400_000_000,
        "SELECT 'regretted'",
    );
    drop(lane);
    stop(audit);
    assert!(archive(data.path()).verify().unwrap().is_intact());
    std::fs::write(day(data.path(), 2), before).unwrap();
    let report = Archive::open(&data.path().join("store"))
        .unwrap()
        .verify()
        .unwrap();
    assert!(!report.is_intact());
}
