//! A small proxy for tests: writes sessions and statements into a lane.
#![allow(dead_code, reason = "each test file uses a part")]

pub mod questions;

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use sqlward_audit_store::journal::{Durability, JournalSettings, Lane, LaneHead, Recovery};
use sqlward_audit_store::query::{Archive, AuditQuery, Row};
use sqlward_audit_store::record::{
    Completion, Context, EndCause, EndUser, Entry, Intent, IntentKind, Judgement, List, Object,
    Outcome, Reduction, Seq, SessionAuthenticated, SessionEnd, SessionId, SessionStart, Shape,
    Subject, Text, TxStatus,
};
use sqlward_audit_store::ship::{Drained, ShipperSettings};
use sqlward_audit_store::{Audit, AuditSettings, STORE};
use sqlward_policy::vocabulary::{
    Access, Action, Class, Dialect, LimitShape, Mode, ObjectKind, Verb, WhereShape,
};

/// 2026-11-23T05:59:59Z.
pub const NOW: u64 = 1_795_413_599_000_000;

/// Small segments, no waiting.
pub fn settings() -> AuditSettings {
    AuditSettings {
        journal: JournalSettings {
            node: 3,
            segment_bytes: 64 * 1024,
            max_journal_bytes: 64 << 20,
            durability: Durability::Process,
        },
        shipper: ShipperSettings {
            interval: Duration::from_millis(1),
            ..ShipperSettings::default()
        },
        ..AuditSettings::default()
    }
}

pub fn open(data: &Path) -> (Audit, Recovery) {
    Audit::open(data, settings()).unwrap()
}

/// Ships everything and ends the trail.
pub fn stop(audit: Audit) {
    assert_eq!(audit.stop(Duration::from_secs(60)), Drained::Whole);
}

/// Ships what a journal without writers holds.
pub fn ship_all(data: &Path) {
    let (audit, _) = open(data);
    stop(audit);
}

/// A temporary directory in memory, where there is such a thing: thousands of small journals want no disk.
pub fn quick_dir() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .unwrap()
}

/// A copy of a data directory as it is at this instant.
pub fn crashed(data: &Path) -> tempfile::TempDir {
    fn copy(from: &Path, to: &Path) {
        std::fs::create_dir_all(to).unwrap();
        for entry in std::fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            let to = to.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                copy(&entry.path(), &to);
            } else {
                std::fs::copy(entry.path(), to).unwrap();
            }
        }
    }
    let copied = tempfile::tempdir().unwrap();
    copy(data, copied.path());
    copied
}

pub fn archive(data: &Path) -> Archive {
    Archive::open(&data.join(STORE)).unwrap()
}

pub fn all(data: &Path) -> Vec<Row> {
    archive(data).search(&AuditQuery::default()).unwrap()
}

/// Waits until `holds`; panics after a while.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(20), "never: {what}");
        std::thread::yield_now();
    }
}

pub fn head(lane: u16) -> LaneHead {
    LaneHead {
        lane,
        seq: Seq(0),
        chain: [0; 32],
    }
}

pub const ALLOW: Judgement<'static> = Judgement {
    action: Action::Allow,
    judged: Action::Allow,
    mode: Mode::Enforce,
    rules: List::Lent(&[]),
    severity: None,
    generation: 1,
    unreadable: None,
};

pub fn subject(user: &'static str) -> Subject<'static> {
    Subject {
        user,
        database: "shop",
        application: "till",
    }
}

pub fn start(lane: &mut Lane, session: u64, at_us: u64, user: &'static str) {
    let session = SessionId(session);
    let client: SocketAddr = "10.1.2.3:4567".parse().unwrap();
    lane.append(&Entry::SessionStart(SessionStart {
        session,
        at_us,
        client,
        listener: "127.0.0.1:6432",
        upstream: "main",
        dialect: Dialect::Postgres,
        tls: None,
    }))
    .unwrap();
    lane.append(&Entry::SessionAuthenticated(SessionAuthenticated {
        session,
        at_us: at_us + 1,
        subject: subject(user),
        role: None,
        method: "scram-sha-256",
        backend_pid: Some(77),
        protocol: "3.0",
        tls: None,
    }))
    .unwrap();
}

pub fn context(lane: &mut Lane, session: u64, at_us: u64, end_user: Option<EndUser<'_>>) {
    lane.append(&Entry::Context(Context {
        session: SessionId(session),
        at_us,
        subject: subject("bob"),
        role: Some("teller"),
        end_user,
    }))
    .unwrap();
}

pub fn end(lane: &mut Lane, session: u64, at_us: u64) {
    lane.append(&Entry::SessionEnd(SessionEnd {
        session: SessionId(session),
        at_us,
        cause: EndCause::ClientClosed,
        sqlstate: None,
        claimed: None,
        client_bytes: 10,
        server_bytes: 20,
    }))
    .unwrap();
}

/// An intent of an allowed simple query; change what you need.
pub fn intent(session: u64, number: u32, wall_us: u64, text: &[u8]) -> Intent<'_> {
    Intent {
        session: SessionId(session),
        number,
        kind: IntentKind::Simple,
        continues: None,
        text: Text::whole(text),
        shape: None,
        parameters: List::empty(),
        prepared_name: b"",
        portal: b"",
        wall_us,
        mono_ns: wall_us * 1000,
        transaction: number,
        status: TxStatus::Idle,
        judgement: ALLOW,
        end_user: None,
        role: None,
        trace: None,
        reduction: Reduction::NONE,
    }
}

pub fn done(intent: Seq) -> Outcome {
    Outcome {
        intent,
        completion: Completion::Done,
        rows: 1,
        affected: 0,
        bytes: 100,
        sqlstate: None,
        first_byte_us: Some(50),
        duration_us: 90,
        statements: 1,
        warnings: 2,
    }
}

pub fn begin(lane: &mut Lane, intent: Intent<'_>) -> Seq {
    lane.append(&Entry::Intent(intent)).unwrap()
}

pub fn finish(lane: &mut Lane, outcome: Outcome) {
    lane.append(&Entry::Outcome(outcome)).unwrap();
}

/// A whole simple statement.
pub fn run(lane: &mut Lane, session: u64, number: u32, wall_us: u64, text: &str) -> Seq {
    let seq = begin(lane, intent(session, number, wall_us, text.as_bytes()));
    finish(lane, done(seq));
    seq
}

/// A shape over one table.
pub fn shape(key: u8, verb: Verb, table: &'static str) -> Entry<'static> {
    let object = Object {
        kind: ObjectKind::Relation,
        schema: Some("finance"),
        name: table,
        access: Access::Read,
    };
    Entry::Shape(Shape {
        key: [key; 16],
        fingerprint: [key ^ 0xFF; 16],
        normal: "SELECT * FROM finance.ledger WHERE id = ?",
        statements: 1,
        verb,
        class: Class::Read,
        verbs: vec![verb].into(),
        objects: vec![object].into(),
        columns: List::empty(),
        functions: List::empty(),
        egress: List::empty(),
        where_shape: WhereShape::Restricting,
        limit: LimitShape::Absent,
        dynamic: false,
    })
}
