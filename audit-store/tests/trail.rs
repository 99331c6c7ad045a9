//! From the lane to the auditor: pairing, takeover, losses, restarts.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    unreachable_pub,
    reason = "a test that fails may panic"
)]

mod support;

use expect_test::expect;
use sqlward_audit_store::journal::{Journal, JournalSettings};
use sqlward_audit_store::query::{
    AuditQuery, Dimension, Measure, Order, SessionEntry, SessionQuery,
};
use sqlward_audit_store::record::{
    Admin, AdminAction, Completion, EndUser, EndUserSource, Entry, ErrorCode, Intent, IntentKind,
    Outcome, Parameter, ParameterFormat, Seq, SessionId, Text, Trust,
};
use sqlward_policy::vocabulary::Verb;
use support::*;

/// The rows in order of their place: kind, text, completion, error.
fn story(data: &std::path::Path) -> String {
    let mut rows = all(data);
    rows.sort_by_key(|row| (row.lane, row.seq));
    rows.iter()
        .map(|row| {
            let text = row.text.as_ref().map_or("-", |text| &text.0);
            let error = row.error.as_deref().unwrap_or("-");
            format!(
                "{} {} [{text}] {} {} {error}\n",
                row.seq, row.kind, row.text_state, row.completion
            )
        })
        .collect()
}

fn prepare<'a>(number: u32, text: &'a str) -> Intent<'a> {
    Intent {
        kind: IntentKind::Prepare,
        ..intent(1, number, NOW, text.as_bytes())
    }
}

fn execute(number: u32, prepare: Seq, continues: bool) -> Intent<'static> {
    Intent {
        kind: IntentKind::Execute,
        text: Text::Of(prepare),
        continues: continues.then_some(prepare),
        ..intent(1, number, NOW, b"")
    }
}

fn outcome(intent: Seq, completion: Completion, sqlstate: Option<[u8; 5]>) -> Outcome {
    Outcome {
        completion,
        sqlstate: sqlstate.map(Into::into),
        ..done(intent)
    }
}

#[test]
fn an_error_is_found_by_its_number_and_by_its_sqlstate() {
    let data = tempfile::tempdir().unwrap();
    let (audit, _) = open(data.path());
    let mut lane = audit.lane(0).unwrap();
    start(&mut lane, 1, NOW, "bob");
    for (number, errno) in [(1, 1146), (2, 0)] {
        let seq = begin(&mut lane, intent(1, number, NOW + 5, b"SELECT * FROM t"));
        let sqlstate = Some(ErrorCode {
            sqlstate: *b"42S02",
            errno,
        });
        let failed = outcome(seq, Completion::Failed, None);
        finish(&mut lane, Outcome { sqlstate, ..failed });
    }
    drop(lane);
    stop(audit);
    let archive = archive(data.path());
    let found = |error: &str| -> Vec<Option<String>> {
        let query = AuditQuery {
            error: vec![error.to_owned()],
            order: Order::Oldest,
            ..AuditQuery::default()
        };
        let rows = archive.search(&query).unwrap();
        rows.into_iter().map(|row| row.error).collect()
    };
    let both = vec![Some("1146 (42S02)".to_owned()), Some("42S02".to_owned())];
    assert_eq!(found("1146"), both[..1]);
    assert_eq!(found("1146 (42S02)"), both[..1]);
    assert_eq!(found("42S02"), both);
    assert_eq!(found("42*"), both);
    assert_eq!(found("114"), []);
}

#[test]
fn a_statement_is_found_with_everything_about_it() {
    let data = tempfile::tempdir().unwrap();
    let (audit, recovery) = open(data.path());
    assert!(recovery.is_clean());
    let mut lane = audit.lane(0).unwrap();
    start(&mut lane, 1, NOW, "bob");
    lane.append(&shape(9, Verb::Select, "ledger")).unwrap();
    let end_user = EndUser {
        name: "张三",
        source: EndUserSource::Comment,
        trust: Trust::Asserted,
    };
    let parameter = Parameter::cut(
        ParameterFormat::Text,
        25,
        Some("O'Hara, 李".as_bytes()),
        100,
    );
    let id = lane.next_event_id((NOW + 5) / 1000);
    let seq = begin(
        &mut lane,
        Intent {
            shape: Some([9; 16]),
            end_user: Some(end_user),
            parameters: vec![parameter].into(),
            ..intent(1, 1, NOW + 5, b"SELECT * FROM finance.ledger WHERE id = $1")
        },
    );
    finish(&mut lane, done(seq));
    assert_eq!(id.seq(), seq);
    // While the proxy runs:
    let found = || sqlward_audit_store::query::Archive::open(&data.path().join("store"));
    until("the row is in the store", || {
        found().is_ok_and(|archive| archive.event(id).is_ok_and(|row| row.is_some()))
    });
    let row = archive(data.path()).event(id).unwrap().unwrap();
    let json = serde_json::to_string_pretty(&row).unwrap();
    // The lane's epoch carries the clock, so the chain differs from run to run.
    let chain = row.chain.clone();
    expect![[r#"
        {
          "event_id": "01M83FTRRR001G000000000005",
          "at": "2026-11-23T05:59:59.000005Z",
          "user": "bob",
          "role": null,
          "end_user": "张三",
          "end_user_source": "comment",
          "end_user_trust": "asserted",
          "application": "till",
          "client": "10.1.2.3",
          "client_port": 4567,
          "database": "shop",
          "verb": "select",
          "class": "read",
          "kind": "simple",
          "text": "SELECT * FROM finance.ledger WHERE id = $1",
          "text_state": "sent",
          "text_length": 42,
          "text_hash": null,
          "normal": "SELECT * FROM finance.ledger WHERE id = ?",
          "fingerprint": "f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6",
          "parameters": [
            {
              "format": "text",
              "type": 25,
              "value": "O'Hara, 李"
            }
          ],
          "detail": "full",
          "redacted": 0,
          "statements": 1,
          "verbs": [
            "select"
          ],
          "objects": [
            {
              "access": "read",
              "kind": "relation",
              "name": "ledger",
              "schema": "finance"
            }
          ],
          "columns": [],
          "functions": [],
          "egress": [],
          "where_shape": "restricting",
          "limit_shape": "absent",
          "dynamic": false,
          "decision": "allow",
          "judged": "allow",
          "mode": "enforce",
          "rules": [],
          "severity": null,
          "policy_generation": 1,
          "unreadable": null,
          "completion": "done",
          "error": null,
          "rows": 1,
          "affected": 0,
          "bytes": 100,
          "first_byte_us": 50,
          "duration_us": 90,
          "completed_statements": 1,
          "warnings": 2,
          "session": "1",
          "number": 1,
          "transaction_number": 1,
          "transaction_status": "idle",
          "prepared_name": null,
          "portal": null,
          "continues": null,
          "trace": null,
          "mono_ns": 1795413599000005000,
          "backend_pid": 77,
          "auth_method": "scram-sha-256",
          "tls_version": null,
          "tls_identity": null,
          "dialect": "postgres",
          "protocol": "3.0",
          "listener": "127.0.0.1:6432",
          "upstream": "main",
          "node": 3,
          "lane": 0,
          "seq": 5,
          "chain": "CHAIN"
        }"#]]
    .assert_eq(&json.replace(&chain, "CHAIN"));
    drop(lane);
    stop(audit);
}

#[test]
fn a_session_is_told_in_order() {
    let data = tempfile::tempdir().unwrap();
    let (audit, _) = open(data.path());
    let mut lane = audit.lane(0).unwrap();
    start(&mut lane, 1, NOW, "bob");
    start(&mut lane, 2, NOW, "eve");
    run(&mut lane, 1, 1, NOW + 1, "SELECT 1");
    context(&mut lane, 1, NOW + 2, None);
    run(&mut lane, 1, 2, NOW + 3, "SELECT 2");
    run(&mut lane, 2, 1, NOW + 3, "SELECT 9");
    end(&mut lane, 1, NOW + 4);
    drop(lane);
    stop(audit);
    let told: Vec<String> = archive(data.path())
        .session(SessionId(1))
        .unwrap()
        .iter()
        .map(|entry| match entry {
            SessionEntry::Event(event) => {
                format!("{} {:?} {:?}", event.step, event.role, event.cause)
            }
            SessionEntry::Statement(row) => {
                format!("{} {:?}", row.text.as_ref().unwrap().0, row.role)
            }
        })
        .collect();
    expect![[r#"
        [
            "start None None",
            "authenticated None None",
            "SELECT 1 None",
            "context Some(\"teller\") None",
            "SELECT 2 Some(\"teller\")",
            "end Some(\"teller\") Some(\"client-closed\")",
        ]
    "#]]
    .assert_debug_eq(&told);
    // The other session never ended: its writer did.
    let lost = archive(data.path()).session(SessionId(2)).unwrap();
    let Some(SessionEntry::Event(last)) = lost.last() else {
        panic!("{lost:?}")
    };
    assert_eq!(
        (last.step.as_str(), last.cause.as_deref()),
        ("end", Some("lost"))
    );
}

#[test]
fn an_execution_takes_over_its_prepare() {
    let data = tempfile::tempdir().unwrap();
    let (audit, _) = open(data.path());
    let mut lane = audit.lane(0).unwrap();
    start(&mut lane, 1, NOW, "bob");
    // Pipelined: the execution begins before the prepare is answered.
    let p = begin(&mut lane, prepare(1, "SELECT pipelined"));
    let e = begin(&mut lane, execute(2, p, true));
    finish(&mut lane, outcome(p, Completion::Prepared, None));
    finish(&mut lane, done(e));
    // Pipelined, and the proxy leaves out the prepare's outcome.
    let p = begin(&mut lane, prepare(1, "SELECT unanswered"));
    let e = begin(&mut lane, execute(2, p, true));
    finish(&mut lane, done(e));
    // In two round trips, and once more later.
    let p = begin(&mut lane, prepare(3, "SELECT twice"));
    finish(&mut lane, outcome(p, Completion::Prepared, None));
    for (number, continues) in [(4, true), (5, false)] {
        let e = begin(&mut lane, execute(number, p, continues));
        finish(&mut lane, done(e));
    }
    // Never executed.
    let p = begin(&mut lane, prepare(6, "SELECT never"));
    finish(&mut lane, outcome(p, Completion::Prepared, None));
    // The prepare fails, so the execution is skipped.
    let p = begin(&mut lane, prepare(7, "SELEC failed"));
    let e = begin(&mut lane, execute(8, p, true));
    finish(&mut lane, outcome(p, Completion::Failed, Some(*b"42601")));
    finish(&mut lane, outcome(e, Completion::Skipped, None));
    // The prepare fails alone.
    let p = begin(&mut lane, prepare(9, "SELEC alone"));
    finish(&mut lane, outcome(p, Completion::Failed, Some(*b"42601")));
    drop(lane);
    stop(audit);
    expect![[r#"
        5 execute [SELECT pipelined] prepared done -
        9 execute [SELECT unanswered] prepared done -
        13 execute [SELECT twice] prepared done -
        15 execute [SELECT twice] prepared done -
        17 prepare [SELECT never] sent prepared -
        20 execute [SELEC failed] prepared failed 42601
        23 prepare [SELEC alone] sent failed 42601
    "#]]
    .assert_eq(&story(data.path()));
    let count = archive(data.path())
        .top(Dimension::User, Measure::Count, &AuditQuery::default(), 9)
        .unwrap();
    assert_eq!(
        count[0].measure, 6,
        "a prepare that ran nothing does not count"
    );
}

#[test]
fn a_restart_neither_loses_nor_doubles_what_is_open() {
    let data = tempfile::tempdir().unwrap();
    let (audit, _) = open(data.path());
    let mut lane = audit.lane(0).unwrap();
    start(&mut lane, 1, NOW, "bob");
    let p = begin(&mut lane, prepare(1, "SELECT prepared"));
    finish(&mut lane, outcome(p, Completion::Prepared, None));
    let open_statement = begin(&mut lane, intent(1, 2, NOW + 1, b"SELECT pg_sleep(1000)"));
    let metrics = audit.metrics();
    until("shipped", || {
        metrics.entries.load(std::sync::atomic::Ordering::Relaxed) >= 6
    });
    drop(audit);
    // The process dies here: what a kill would leave is copied before the lane is given back.
    let data = crashed(data.path());
    drop(lane);
    assert_eq!(
        all(data.path()).len(),
        1,
        "the open statement has no row yet"
    );
    for _ in 0..2 {
        ship_all(data.path());
        let rows = all(data.path());
        assert_eq!(rows.len(), 2);
        let lost = rows
            .iter()
            .find(|row| row.seq == open_statement.0 as i64)
            .unwrap();
        assert_eq!(lost.completion, "lost");
        assert_eq!(lost.user.as_deref(), Some("bob"));
    }
    // The lane goes on behind what it had.
    let (audit, recovery) = open(data.path());
    assert!(recovery.is_clean(), "{recovery:?}");
    let lane = audit.lane(0).unwrap();
    assert_eq!(
        lane.next_seq(),
        Seq(open_statement.0 + 2),
        "one number went to the epoch"
    );
    drop(lane);
    stop(audit);
}

#[test]
fn numbers_are_never_given_twice_even_if_the_journal_is_removed() {
    let data = tempfile::tempdir().unwrap();
    let (audit, _) = open(data.path());
    let mut lane = audit.lane(0).unwrap();
    start(&mut lane, 1, NOW, "bob");
    let last = run(&mut lane, 1, 1, NOW, "SELECT 1");
    drop(lane);
    stop(audit);
    std::fs::remove_dir_all(data.path().join("journal")).unwrap();
    let (audit, _) = open(data.path());
    let mut lane = audit.lane(0).unwrap();
    assert!(lane.next_seq() > last);
    start(&mut lane, 2, NOW, "eve");
    run(&mut lane, 2, 1, NOW, "SELECT 2");
    drop(lane);
    stop(audit);
    assert_eq!(all(data.path()).len(), 2);
}

#[test]
fn a_forgotten_text_shows_its_normal_form_and_says_so() {
    let data = tempfile::tempdir().unwrap();
    let (audit, _) = open(data.path());
    let mut lane = audit.lane(0).unwrap();
    lane.append(&shape(9, Verb::Select, "ledger")).unwrap();
    let seq = begin(
        &mut lane,
        Intent {
            shape: Some([9; 16]),
            ..execute(1, Seq(1), false)
        },
    );
    finish(&mut lane, done(seq));
    drop(lane);
    stop(audit);
    expect![[r#"
        3 execute [SELECT * FROM finance.ledger WHERE id = ?] normal-form done -
    "#]]
    .assert_eq(&story(data.path()));
}

#[test]
fn administration_is_on_record() {
    let data = tempfile::tempdir().unwrap();
    let (audit, _) = open(data.path());
    let mut lane = audit.lane(0).unwrap();
    lane.append(&Entry::Admin(Admin {
        at_us: NOW,
        action: AdminAction::Reload,
        actor: "signal",
        detail: "policy.toml",
        generation: 2,
        config_hash: Some([1; 32]),
        count: 0,
    }))
    .unwrap();
    drop(lane);
    stop(audit);
    let entries = archive(data.path()).administration(None, None).unwrap();
    assert_eq!(entries.len(), 1);
    assert_eq!(
        (&*entries[0].action, entries[0].policy_generation),
        ("reload", 2)
    );
}

#[test]
fn two_proxies_do_not_share_a_directory() {
    let data = tempfile::tempdir().unwrap();
    let (audit, _) = open(data.path());
    let error = sqlward_audit_store::Audit::open(data.path(), settings())
        .err()
        .unwrap();
    assert!(
        error.to_string().contains("in use by another process"),
        "{error}"
    );
    stop(audit);
}

#[test]
fn a_directory_that_cannot_be_made_is_named() {
    let data = tempfile::tempdir().unwrap();
    std::fs::write(data.path().join("file"), "").unwrap();
    let error = sqlward_audit_store::Audit::open(&data.path().join("file"), settings())
        .err()
        .unwrap();
    assert!(error.to_string().contains("can't be written"), "{error}");
}

#[test]
fn a_shipment_that_was_cut_short_changes_nothing_when_it_is_repeated() {
    let data = tempfile::tempdir().unwrap();
    let (audit, _) = open(data.path());
    let mut lane = audit.lane(0).unwrap();
    start(&mut lane, 1, NOW, "bob");
    run(&mut lane, 1, 1, NOW, "SELECT 'shipped before'");
    let p = begin(&mut lane, prepare(2, "SELECT 'continued later'"));
    finish(&mut lane, outcome(p, Completion::Prepared, None));
    let metrics = audit.metrics();
    until("shipped", || {
        metrics.rows.load(std::sync::atomic::Ordering::Relaxed) >= 2
    });
    drop(audit);
    // Nobody ships while these are written; two days, a takeover and an open statement among them.
    for number in 3..200 {
        let at = NOW + u64::from(number) * 800_000_000;
        run(&mut lane, 1, number, at, &format!("SELECT {number}"));
    }
    let e = begin(&mut lane, execute(200, p, true));
    finish(&mut lane, done(e));
    begin(&mut lane, intent(1, 201, NOW + 1, b"SELECT 'lost'"));
    let before = crashed(data.path());
    drop(lane);
    let whole = crashed(before.path());
    ship_all(whole.path());
    let wanted = all(whole.path());
    // The crash: day files are written (one of them, or all), the progress is not.
    for days in [
        vec!["2026-11-23.db"],
        vec!["2026-11-23.db", "2026-11-24.db"],
    ] {
        let crash = crashed(before.path());
        for day in days {
            let store = |dir: &tempfile::TempDir| dir.path().join("store").join(day);
            for side in ["-wal", "-shm"] {
                let _ = std::fs::remove_file(format!("{}{side}", store(&crash).display()));
            }
            std::fs::copy(store(&whole), store(&crash)).unwrap();
        }
        for _ in 0..2 {
            ship_all(crash.path());
            assert_eq!(all(crash.path()), wanted);
            let top = |data: &std::path::Path| {
                let filter = AuditQuery::default();
                archive(data)
                    .top(Dimension::User, Measure::Bytes, &filter, 9)
                    .unwrap()
            };
            assert_eq!(
                top(crash.path()),
                top(whole.path()),
                "sums were counted twice"
            );
            let report = archive(crash.path()).verify().unwrap();
            assert!(report.is_intact(), "{:#?}", report.findings);
        }
    }
}

/// A journal that a killed proxy has left behind, with an open session and nothing shipped of it.
fn left_behind(statements: u32) -> tempfile::TempDir {
    let data = quick_dir();
    let (audit, _) = open(data.path());
    let mut lane = audit.lane(0).unwrap();
    let metrics = audit.metrics();
    until("the epoch is shipped", || {
        metrics.entries.load(std::sync::atomic::Ordering::Relaxed) >= 1
    });
    drop(audit);
    start(&mut lane, 1, NOW, "bob");
    for number in 0..statements {
        run(&mut lane, 1, number, NOW, &format!("SELECT {number}"));
    }
    begin(&mut lane, intent(1, statements, NOW, b"SELECT 'lost'"));
    crashed(data.path())
}

/// How the sessions ended, as (session, cause).
fn ends(data: &std::path::Path) -> Vec<(String, Option<String>)> {
    let events = archive(data)
        .session_events(&SessionQuery::default())
        .unwrap();
    let mut ends: Vec<_> = events
        .into_iter()
        .filter(|event| event.step == "end")
        .map(|event| (event.session, event.cause))
        .collect();
    ends.sort();
    ends
}

#[test]
fn a_session_that_begins_while_a_backlog_is_shipped_is_not_lost() {
    let data = left_behind(15_000);
    let (audit, _) = open(data.path());
    // The shipper reads the backlog now, and comes to these entries behind it.
    let mut lane = audit.lane(0).unwrap();
    start(&mut lane, 2, NOW, "eve");
    let seq = begin(&mut lane, intent(2, 1, NOW, b"SELECT 'alive'"));
    let metrics = audit.metrics();
    until("the backlog is shipped", || {
        metrics.rows.load(std::sync::atomic::Ordering::Relaxed) > 15_000
    });
    finish(&mut lane, done(seq));
    end(&mut lane, 2, NOW + 9);
    drop(lane);
    stop(audit);
    let cause = |session: &str, cause: &str| (session.to_owned(), Some(cause.to_owned()));
    let wanted = [cause("1", "lost"), cause("2", "client-closed")];
    assert_eq!(ends(data.path()), wanted);
    let rows = all(data.path());
    assert_eq!(rows.len(), 15_002);
    let of = |text: &str| {
        let row = rows.iter().find(|row| row.text.as_ref().unwrap().0 == text);
        row.unwrap().completion.clone()
    };
    assert_eq!(
        (&*of("SELECT 'alive'"), &*of("SELECT 'lost'")),
        ("done", "lost")
    );
    let report = archive(data.path()).verify().unwrap();
    assert!(report.is_intact(), "{:#?}", report.findings);
}

#[test]
fn a_session_lost_in_a_shipment_that_was_cut_short_is_lost_once() {
    let before = left_behind(50);
    let whole = crashed(before.path());
    ship_all(whole.path());
    // The day files know that the session was lost, the progress does not.
    for file in std::fs::read_dir(whole.path().join("store")).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        if name.starts_with("2026") {
            let store = before.path().join("store");
            for side in ["-wal", "-shm"] {
                let _ = std::fs::remove_file(store.join(format!("{name}{side}")));
            }
            std::fs::copy(whole.path().join("store").join(&name), store.join(&name)).unwrap();
        }
    }
    // A second life, killed before anything of it is shipped, and the shipment after that.
    let shared = JournalSettings {
        node: 3,
        ..settings().journal
    };
    let (journal, _) = Journal::open(&before.path().join("journal"), shared).unwrap();
    let mut lane = journal.lane(0).unwrap();
    start(&mut lane, 2, NOW + 5, "eve");
    begin(&mut lane, intent(2, 1, NOW + 6, b"SELECT 'lost too'"));
    let again = crashed(before.path());
    drop(lane);
    for _ in 0..2 {
        ship_all(again.path());
        let lost = |session: &str| (session.to_owned(), Some("lost".to_owned()));
        assert_eq!(ends(again.path()), [lost("1"), lost("2")]);
        assert_eq!(all(again.path()).len(), 52);
        let report = archive(again.path()).verify().unwrap();
        assert!(report.is_intact(), "{:#?}", report.findings);
        assert_eq!(report.rows, 52);
    }
}

#[test]
fn many_lanes_are_shipped_while_they_are_written() {
    let data = tempfile::tempdir().unwrap();
    let (audit, _) = open(data.path());
    std::thread::scope(|scope| {
        for number in 0..4u16 {
            let mut lane = audit.lane(number).unwrap();
            scope.spawn(move || {
                let session = u64::from(number) + 1;
                start(&mut lane, session, NOW, "bob");
                for statement in 0..2000 {
                    let at = NOW + u64::from(statement);
                    run(
                        &mut lane,
                        session,
                        statement,
                        at,
                        &format!("SELECT {statement}"),
                    );
                }
                end(&mut lane, session, NOW + 9999);
            });
        }
    });
    stop(audit);
    let rows = all(data.path());
    assert_eq!(rows.len(), 8000);
    assert!(
        rows.iter()
            .all(|row| row.completion == "done" && row.user.as_deref() == Some("bob"))
    );
    let report = archive(data.path()).verify().unwrap();
    assert!(report.is_intact(), "{:#?}", report.findings);
    // Segments that were shipped are gone, save the one that holds each lane's head.
    for number in 0..4 {
        let dir = data.path().join("journal").join(number.to_string());
        let segments = std::fs::read_dir(dir)
            .unwrap()
            .filter(|entry| {
                entry
                    .as_ref()
                    .unwrap()
                    .path()
                    .extension()
                    .is_some_and(|e| e == "seg")
            })
            .count();
        assert_eq!(segments, 1, "lane {number}");
    }
}

#[test]
fn a_finished_statement_is_found_within_three_seconds() {
    let data = tempfile::tempdir().unwrap();
    let (audit, _) = sqlward_audit_store::Audit::open(
        data.path(),
        sqlward_audit_store::AuditSettings::default(),
    )
    .unwrap();
    let mut lane = audit.lane(0).unwrap();
    run(&mut lane, 1, 1, NOW, "SELECT 'fresh'");
    let begun = std::time::Instant::now();
    until("found", || {
        sqlward_audit_store::query::Archive::open(&data.path().join("store"))
            .is_ok_and(|archive| archive.search(&AuditQuery::default()).unwrap().len() == 1)
    });
    assert!(
        begun.elapsed() < std::time::Duration::from_secs(3),
        "{:?}",
        begun.elapsed()
    );
    drop(lane);
    stop(audit);
}

#[test]
fn a_failed_login_is_on_record() {
    use sqlward_audit_store::record::{EndCause, SessionEnd};
    let data = tempfile::tempdir().unwrap();
    let (audit, _) = open(data.path());
    let mut lane = audit.lane(0).unwrap();
    start(&mut lane, 1, NOW, "bob");
    end(&mut lane, 1, NOW + 5);
    lane.append(&Entry::SessionEnd(SessionEnd {
        session: SessionId(2),
        at_us: NOW + 7,
        cause: EndCause::AuthFailed,
        sqlstate: Some((*b"28P01").into()),
        claimed: Some(subject("mallory")),
        client_bytes: 1,
        server_bytes: 2,
    }))
    .unwrap();
    drop(lane);
    stop(audit);
    let archive = archive(data.path());
    let failed = SessionQuery {
        cause: vec![EndCause::AuthFailed],
        ..SessionQuery::default()
    };
    let failed = archive.session_events(&failed).unwrap();
    assert_eq!(failed.len(), 1);
    assert_eq!(
        (failed[0].user.as_deref(), failed[0].error.as_deref()),
        (Some("mallory"), Some("28P01"))
    );
    let steps = |query: &SessionQuery| -> Vec<String> {
        archive
            .session_events(query)
            .unwrap()
            .into_iter()
            .map(|event| event.step)
            .collect()
    };
    let bob = SessionQuery {
        user: vec!["b*".to_owned()],
        limit: Some(2),
        ..Default::default()
    };
    assert_eq!(steps(&bob), ["end", "authenticated"]);
    let near = SessionQuery {
        client: vec!["10.1.0.0/16".parse().unwrap()],
        ..Default::default()
    };
    assert_eq!(steps(&near).len(), 3);
    let early = SessionQuery {
        to: Some(NOW + 1),
        ..Default::default()
    };
    assert_eq!(steps(&early), ["start"]);
}

#[test]
fn a_store_that_fails_is_tried_again_and_nothing_is_lost() {
    let data = tempfile::tempdir().unwrap();
    let (audit, _) = open(data.path());
    let metrics = audit.metrics();
    let load =
        |counter: &std::sync::atomic::AtomicU64| counter.load(std::sync::atomic::Ordering::Relaxed);
    // A directory stands where the day's file should be.
    let in_the_way = data.path().join("store/2026-11-23.db");
    std::fs::create_dir(&in_the_way).unwrap();
    let mut lane = audit.lane(0).unwrap();
    start(&mut lane, 1, NOW, "bob");
    for number in 0..50 {
        run(&mut lane, 1, number, NOW, "SELECT 1");
    }
    until("the store fails", || load(&metrics.errors) > 0);
    assert_eq!(load(&metrics.rows), 0);
    std::fs::remove_dir(&in_the_way).unwrap();
    until("the store takes it", || load(&metrics.rows) == 50);
    drop(lane);
    stop(audit);
    assert_eq!(all(data.path()).len(), 50);
}

#[test]
fn what_must_survive_a_restart_stays_small() {
    let data = tempfile::tempdir().unwrap();
    let (audit, _) = open(data.path());
    let mut lane = audit.lane(0).unwrap();
    start(&mut lane, 1, NOW, "bob");
    for number in 0..500 {
        // Each execution prepares anew, and changes the subject while it is open.
        let text = format!("SELECT {number}");
        let p = begin(&mut lane, prepare(2 * number, &text));
        let e = begin(&mut lane, execute(2 * number + 1, p, true));
        finish(&mut lane, outcome(p, Completion::Prepared, None));
        let name = format!("user {number}");
        let end_user = EndUser {
            name: &name,
            source: EndUserSource::Setting,
            trust: Trust::Asserted,
        };
        context(&mut lane, 1, NOW + u64::from(number), Some(end_user));
        finish(&mut lane, done(e));
    }
    let metrics = audit.metrics();
    until("shipped", || {
        metrics.rows.load(std::sync::atomic::Ordering::Relaxed) == 500
    });
    drop(audit);
    let main = rusqlite::Connection::open(data.path().join("store/main.db")).unwrap();
    let kept: i64 = main
        .query_row("SELECT count(*) FROM kept", [], |row| row.get(0))
        .unwrap();
    assert!(kept < 12, "{kept} entries are kept for a restart");
    drop(main);
    drop(lane);
    ship_all(data.path());
    let rows = all(data.path());
    assert!(
        rows.iter()
            .all(|row| row.text_state == "prepared" && row.completion == "done")
    );
    let wanted = |row: &sqlward_audit_store::query::Row| match (row.number - 1) / 2 {
        0 => None,
        number => Some(format!("user {}", number - 1)),
    };
    assert!(rows.iter().all(|row| row.end_user == wanted(row)));
    assert!(archive(data.path()).verify().unwrap().is_intact());
}
