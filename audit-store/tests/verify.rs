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
use std::sync::atomic::Ordering;

use sqlward_audit_store::Audit;
use sqlward_audit_store::query::{Archive, AuditQuery, Cell, SqlRange};
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
            let slow = begin(
                &mut lane,
                Intent {
                    kind: IntentKind::Execute,
                    text: Text::Of(prepare),
                    ..intent(session, 34, at + 62, b"")
                },
            );
            run(
                &mut lane,
                session,
                33,
                at + 86_400_000_000,
                "SELECT 'tomorrow'",
            );
            finish(&mut lane, done(long));
            finish(&mut lane, done(slow));
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
    connection
        .pragma_update(None, "foreign_keys", "OFF")
        .unwrap();
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
    let one = "WHERE id = (SELECT min(id) FROM carried)";
    let cases = [
        // Which entries are a statement, who spoke, and what lets questions pass a block by.
        (
            "UPDATE block SET rows = substr(rows, 4) WHERE rows <> x''",
            "rows",
        ),
        ("UPDATE block SET rows = x''", "rows"),
        (
            "UPDATE block SET speakers = zeroblob(5) WHERE statements > 0",
            "subject",
        ),
        ("UPDATE block SET flagged = flagged + 1", "flagged"),
        (
            "UPDATE block SET from_us = from_us + 1 WHERE statements > 0",
            "from",
        ),
        ("UPDATE block SET to_us = 0 WHERE to_us > 0", "to"),
        (
            "UPDATE block SET grams = zeroblob(8) WHERE statements > 0",
            "grams",
        ),
        ("UPDATE block SET statements = statements + 1", "statements"),
        ("DELETE FROM block_who", "who speaks in it"),
        // What is stored whole.
        ("UPDATE carried SET outcome = x'00' {one}", "outcome"),
        ("UPDATE carried SET intent = x'00' {one}", "intent"),
        ("UPDATE prepared SET intent = x'00'", "text"),
        (
            "UPDATE prepared SET intent = (SELECT intent FROM carried LIMIT 1)",
            "text",
        ),
        ("DELETE FROM prepared", "text"),
        (
            "UPDATE carried SET who = who + 1 {one}",
            "the row was changed",
        ),
        ("UPDATE carried SET end_user = 1 {one}", "end user"),
        ("UPDATE carried SET chain = zeroblob(32) {one}", "chain"),
        ("UPDATE name SET value = 'eve' WHERE value = 'bob'", "user"),
        ("UPDATE who SET client = '10.9.9.9'", "client"),
        ("UPDATE shape SET objects = '[]'", "the shape"),
        // What finds statements by their objects.
        ("UPDATE shape_object SET qualified = 'other'", "the shape"),
        ("UPDATE shape_object SET name = 'other'", "the shape"),
        ("UPDATE shape_object SET access = 'write'", "the shape"),
        ("DELETE FROM shape_object", "the shape"),
        (
            "INSERT INTO shape_object SELECT shape, kind, 'more', 'more', access FROM shape_object",
            "the shape",
        ),
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
        ("DELETE FROM carried", "a row was removed"),
        ("DELETE FROM shape", "was removed"),
        (
            "DELETE FROM session_event WHERE step = 'authenticated'",
            "the session event was removed",
        ),
        ("DELETE FROM admin", "the administrative entry was removed"),
        (
            "INSERT INTO carried SELECT id + 1000, block, who, role, end_user, end_user_source,
                end_user_trust, intent, outcome, chain FROM carried LIMIT 1",
            "1 statements that no entry explains",
        ),
        (
            "INSERT INTO removed SELECT id + 2 FROM block WHERE statements > 0 LIMIT 1",
            "1 removals that no entry explains",
        ),
        (
            "INSERT INTO shape_object SELECT shape + 1000, kind, qualified, name, access
                FROM shape_object LIMIT 1",
            "1 objects of shapes that do not exist",
        ),
    ];
    for (sql, expected) in cases {
        let found = after(0, sql);
        assert!(found.contains(expected), "{sql}: {found}");
    }
}

/// A pipeline's outcomes may all come after its intents were shipped: its text must not be stored for each.
#[test]
fn a_text_of_many_is_stored_once() {
    const MANY: u32 = 2_000;
    let data = tempfile::tempdir().unwrap();
    let mut settings = settings();
    settings.journal.segment_bytes = 4 << 20;
    let (audit, _) = Audit::open(data.path(), settings).unwrap();
    let metrics = audit.metrics();
    let mut lane = audit.lane(0).unwrap();
    start(&mut lane, 1, NOW, "bob");
    let text = format!("SELECT $1 -- {}", "工资 ".repeat(256 * 1024 / 7));
    let prepare = begin(
        &mut lane,
        Intent {
            kind: IntentKind::Prepare,
            ..intent(1, 1, NOW + 1, text.as_bytes())
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
    let executions: Vec<_> = (0..MANY)
        .map(|number| {
            let execute = Intent {
                kind: IntentKind::Execute,
                text: Text::Of(prepare),
                ..intent(1, number + 2, NOW + 2, b"")
            };
            begin(&mut lane, execute)
        })
        .collect();
    let last = executions.last().unwrap().0;
    until("the intents are shipped", || {
        metrics.entries.load(Ordering::Relaxed) >= last
    });
    for execution in executions {
        finish(&mut lane, done(execution));
    }
    drop(lane);
    stop(audit);
    let file = day(data.path(), 0);
    let size = file.metadata().unwrap().len();
    assert!(size < 3 << 20, "{size} bytes");
    let stored = rusqlite::Connection::open(&file).unwrap();
    let count = |table: &str| -> u32 {
        let sql = format!("SELECT count(*) FROM {table}");
        stored.query_row(&sql, [], |row| row.get(0)).unwrap()
    };
    assert_eq!((count("carried"), count("prepared")), (MANY, 1));
    drop(stored);
    let shown = archive(data.path())
        .sql(
            "SELECT count(*), count(DISTINCT text), min(text) FROM statements
             WHERE kind = 'execute' AND text_state = 'prepared'",
            SqlRange::default(),
        )
        .unwrap()
        .table;
    let expected = [
        Cell::Integer(MANY.into()),
        Cell::Integer(1),
        Cell::Text(text),
    ];
    assert!(shown.rows == [expected], "every row shows the text");
    let report = archive(data.path()).verify().unwrap();
    assert!(report.is_intact(), "{:#?}", report.findings);
    assert_eq!((report.rows, report.unknown_texts), (2_001, 0));
    edit(
        &file,
        "UPDATE prepared SET intent = substr(intent, 1, length(intent) - 1)",
    );
    let report = archive(data.path()).verify().unwrap();
    assert!(
        report
            .findings
            .iter()
            .any(|found| found.what == "the row was changed: text"),
        "{:#?}",
        report.findings.first()
    );
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
            "UPDATE block SET previous = zeroblob(32) WHERE id & 281474976710655 > 1",
            "do not hash to its head",
        ),
        (
            "UPDATE block SET frames = substr(frames, 2)",
            "can't be unpacked",
        ),
        ("UPDATE block SET id = id + (7 << 48)", "removed"),
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

/// A new store, of today, in which lanes 0 and 1 spoke; answers its day files.
fn build_today(data: &Path) -> Vec<PathBuf> {
    let since = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
    let now = u64::try_from(since.as_micros()).unwrap();
    let (audit, _) = open(data);
    for number in 0..2 {
        let mut lane = audit.lane(number).unwrap();
        let session = u64::from(number) + 1;
        start(&mut lane, session, now, "bob");
        run(&mut lane, session, 1, now, "SELECT 'only'");
        end(&mut lane, session, now);
    }
    stop(audit);
    assert!(archive(data).verify().unwrap().is_intact());
    let files = data.join("store").read_dir().unwrap();
    files
        .map(|file| file.unwrap().path())
        .filter(|path| path.extension() == Some("db".as_ref()) && !path.ends_with("main.db"))
        .collect()
}

fn lanes_missing(data: &Path) -> Vec<Option<u16>> {
    let report = archive(data).verify().unwrap();
    let missing = "all of the lane's entries are missing";
    let found = report.findings.iter().filter(|found| found.what == missing);
    found.map(|found| found.lane).collect()
}

#[test]
fn a_removed_first_day_is_found() {
    let data = tempfile::tempdir().unwrap();
    for path in build_today(data.path()) {
        std::fs::remove_file(path).unwrap();
    }
    assert_eq!(lanes_missing(data.path()), [Some(0), Some(1)]);
}

#[test]
fn a_removed_lane_is_found() {
    let data = tempfile::tempdir().unwrap();
    for path in build_today(data.path()) {
        for table in ["block", "session_event"] {
            edit(&path, &format!("DELETE FROM {table} WHERE id >> 48 = 1"));
        }
    }
    assert_eq!(lanes_missing(data.path()), [Some(1)]);
}
