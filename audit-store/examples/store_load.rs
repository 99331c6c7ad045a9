//! Prints what the store carries: `cargo run --release --example store_load [STATEMENTS [REPEATED]]`.
//!
//! One statement in three carries a text of its own, as applications without parameters send them; with
//! REPEATED, one in so many (1: every one).

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use sqlward_audit_store::query::{Archive, AuditQuery, Dimension, Measure, SqlRange};
use sqlward_audit_store::record::{
    Completion, Entry, Intent, IntentKind, Judgement, List, Outcome, SessionAuthenticated,
    SessionId, SessionStart, Subject, Text, TxStatus,
};
use sqlward_audit_store::{Audit, AuditSettings, STORE};
use sqlward_policy::vocabulary::{Action, Dialect, Mode};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let count: u32 = std::env::args()
        .nth(1)
        .map_or(Ok(300_000), |text| text.parse())?;
    let repeated: u32 = std::env::args().nth(2).map_or(Ok(3), |text| text.parse())?;
    let dir = tempfile::tempdir()?;
    let (audit, _) = Audit::open(dir.path(), AuditSettings::default())?;
    let metrics = audit.metrics();
    let mut lane = audit.lane(0)?;
    let wall_us = 1_795_413_599_000_000;
    let session = SessionId(1);
    lane.append(&Entry::SessionStart(SessionStart {
        session,
        at_us: wall_us,
        client: "10.1.2.3:4567".parse()?,
        listener: "127.0.0.1:6432",
        upstream: "main",
        dialect: Dialect::Postgres,
        tls: None,
    }))?;
    lane.append(&Entry::SessionAuthenticated(SessionAuthenticated {
        session,
        at_us: wall_us,
        subject: Subject {
            user: "bench",
            database: "bench",
            application: "store_load",
        },
        role: None,
        method: "scram-sha-256",
        backend_pid: Some(1),
        protocol: "3.0",
        tls: None,
    }))?;
    let begin = Instant::now();
    for number in 0..count {
        let text = if number % repeated.max(1) == 0 {
            format!("SELECT abalance FROM pgbench_accounts WHERE aid = {number} AND note = '工资'")
        } else {
            "UPDATE pgbench_accounts SET abalance = abalance + $1 WHERE aid = $2".to_owned()
        };
        let seq = lane.append(&Entry::Intent(intent(session, number, wall_us, &text)))?;
        lane.append(&Entry::Outcome(Outcome {
            intent: seq,
            completion: Completion::Done,
            rows: 1,
            affected: 0,
            bytes: 30,
            sqlstate: None,
            first_byte_us: Some(100),
            duration_us: u64::from(number % 1000),
            statements: 1,
        }))?;
    }
    println!("appended in {:?}", begin.elapsed());
    while metrics.rows.load(Ordering::Relaxed) < u64::from(count) {
        std::thread::sleep(Duration::from_millis(5));
    }
    let spent = begin.elapsed();
    if let Some(cpu) = shipper_cpu_us() {
        println!("shipper CPU: {:.1} µs/row", cpu / f64::from(count));
    }
    println!(
        "shipped in {spent:?}: {:.0} rows/s",
        f64::from(count) / spent.as_secs_f64()
    );
    drop(lane);
    let _ = audit.stop(Duration::from_secs(60));
    for entry in std::fs::read_dir(dir.path().join(STORE))? {
        let entry = entry?;
        let size = entry.metadata()?.len();
        println!(
            "{:?}: {size} bytes, {} per row",
            entry.file_name(),
            size / u64::from(count)
        );
    }
    questions(&Archive::open(&dir.path().join(STORE))?)
}

/// CPU time of the shipper's thread, where the system tells.
fn shipper_cpu_us() -> Option<f64> {
    for task in std::fs::read_dir("/proc/self/task").ok()?.flatten() {
        let name = std::fs::read_to_string(task.path().join("comm")).ok()?;
        if name.trim_end().starts_with("sqlward-shipper") {
            let spent = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
            let ns: f64 = spent.split(' ').next()?.parse().ok()?;
            return Some(ns / 1000.0);
        }
    }
    None
}

fn intent(session: SessionId, number: u32, wall_us: u64, text: &str) -> Intent<'_> {
    Intent {
        session,
        number,
        kind: IntentKind::Simple,
        continues: None,
        text: Text::whole(text.as_bytes()),
        shape: None,
        parameters: List::empty(),
        prepared_name: b"",
        portal: b"",
        wall_us: wall_us + u64::from(number) * 100,
        mono_ns: u64::from(number) * 100_000,
        transaction: number,
        status: TxStatus::Idle,
        judgement: Judgement {
            action: Action::Allow,
            judged: Action::Allow,
            mode: Mode::Enforce,
            rules: List::empty(),
            severity: None,
            generation: 1,
            unreadable: None,
        },
        end_user: None,
        role: None,
        trace: None,
    }
}

fn questions(archive: &Archive) -> Result<(), Box<dyn std::error::Error>> {
    let newest = AuditQuery {
        limit: Some(100),
        ..AuditQuery::default()
    };
    let time = |what: &str, begin: Instant, found: usize| {
        println!("{what}: {found} in {:?}", begin.elapsed());
    };
    let begin = Instant::now();
    time("newest 100", begin, archive.search(&newest)?.len());
    for text in ["aid = 299", "工资", "nowhere to be found"] {
        let begin = Instant::now();
        let query = AuditQuery {
            text: Some(text.to_owned()),
            ..newest.clone()
        };
        time(text, begin, archive.search(&query)?.len());
    }
    let begin = Instant::now();
    let slow = AuditQuery {
        min_duration: Some(999),
        limit: None,
        ..AuditQuery::default()
    };
    time("slow", begin, archive.search(&slow)?.len());
    let begin = Instant::now();
    let top = archive.top(Dimension::User, Measure::Count, &AuditQuery::default(), 5)?;
    time("top users", begin, top.len());
    let begin = Instant::now();
    let top = archive.top(Dimension::Client, Measure::Rows, &AuditQuery::default(), 5)?;
    time("top clients", begin, top.len());
    let begin = Instant::now();
    let sql = "SELECT kind, count(*) FROM statements GROUP BY kind";
    time(
        "sql",
        begin,
        archive.sql(sql, SqlRange::default())?.rows.len(),
    );
    let begin = Instant::now();
    let report = archive.verify()?;
    time("verify", begin, usize::try_from(report.rows)?);
    println!("findings: {:?}", report.findings);
    Ok(())
}
