//! Prints what the store carries, and what it costs:
//! `cargo run --release --example store_load [WORKLOAD [STATEMENTS]]`.
//!
//! `prepared`, `simple` and `extended` are pgbench's select-only runs of 16 clients as the proxy records them; `mixed`
//! (the default) has one text of its own in three statements. With `pace` as third argument statements come at
//! 20,000/s, as from a busy proxy, instead of as fast as the journal takes them.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use sqlward_audit_store::journal::{JournalError, Lane};
use sqlward_audit_store::query::{Archive, AuditQuery, Dimension, Measure, SqlRange};
use sqlward_audit_store::record::{
    Completion, Entry, Intent, IntentKind, Judgement, List, Outcome, Parameter, ParameterFormat,
    Reduction, Seq, SessionAuthenticated, SessionId, SessionStart, Shape, Subject, Text, TxStatus,
};
use sqlward_audit_store::{Audit, AuditSettings, STORE};
use sqlward_policy::vocabulary::{
    Access, Action, Class, ColumnUse, Dialect, LimitShape, Mode, ObjectKind, Verb, WhereShape,
};

const CLIENTS: u32 = 16;
const NOW: u64 = 1_795_413_599_000_000;
const SHAPE: [u8; 16] = *b"\x9f\x12shape of it\xfe\x01\x77";
const PREPARED: &str = "SELECT abalance FROM pgbench_accounts WHERE aid = $1;";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let workload = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "mixed".to_owned());
    let count: u32 = std::env::args()
        .nth(2)
        .map_or(Ok(300_000), |text| text.parse())?;
    let paced = std::env::args().nth(3).is_some();
    let dir = tempfile::tempdir()?;
    let (audit, _) = Audit::open(dir.path(), AuditSettings::default())?;
    let metrics = audit.metrics();
    let mut client = Clients {
        lane: audit.lane(0)?,
        prepared: Vec::new(),
        number: 0,
    };
    for session in 0..CLIENTS {
        client.connect(session)?;
    }
    let begin = Instant::now();
    for number in 0..count {
        client.run(&workload, number)?;
        if paced && number % 200 == 0 {
            let due = Duration::from_micros(u64::from(number) * 50);
            std::thread::sleep(due.saturating_sub(begin.elapsed()));
        }
    }
    println!("appended in {:?}", begin.elapsed());
    let wanted = u64::from(count);
    while metrics.rows.load(Ordering::Relaxed) < wanted {
        std::thread::sleep(Duration::from_millis(5));
    }
    let spent = begin.elapsed();
    if let Some(cpu) = shipper_cpu_us() {
        println!("shipper CPU: {:.2} µs/statement", cpu / f64::from(count));
    }
    println!(
        "shipped in {spent:?}: {:.0} rows/s",
        f64::from(count) / spent.as_secs_f64()
    );
    drop(client);
    let _ = audit.stop(Duration::from_secs(60));
    for entry in std::fs::read_dir(dir.path().join(STORE))? {
        let entry = entry?;
        let size = entry.metadata()?.len();
        println!(
            "{:?}: {size} bytes, {} per row",
            entry.file_name(),
            size / wanted
        );
    }
    questions(&Archive::open(&dir.path().join(STORE))?)
}

/// The clients of one worker.
struct Clients {
    lane: Lane,
    /// Each client's prepared statement.
    prepared: Vec<Seq>,
    number: u32,
}

impl Clients {
    fn connect(&mut self, client: u32) -> Result<(), Box<dyn std::error::Error>> {
        let session = session(client);
        self.lane.append(&Entry::SessionStart(SessionStart {
            session,
            at_us: NOW,
            client: format!("10.1.2.3:{}", 40_000 + client).parse()?,
            listener: "127.0.0.1:6432",
            upstream: "main",
            dialect: Dialect::Postgres,
            tls: None,
        }))?;
        self.lane
            .append(&Entry::SessionAuthenticated(SessionAuthenticated {
                session,
                at_us: NOW,
                subject: Subject {
                    user: "bench",
                    database: "bench",
                    application: "pgbench",
                },
                role: None,
                method: "scram-sha-256",
                backend_pid: Some(client),
                protocol: "3.0",
                tls: None,
            }))?;
        if client == 0 {
            self.lane.append(&shape())?;
        }
        Ok(())
    }

    fn run(&mut self, workload: &str, number: u32) -> Result<(), JournalError> {
        self.number = number;
        // Some disorder, as among real clients.
        let client = number.wrapping_mul(2_654_435_761) >> 28;
        let aid = number.wrapping_mul(2_246_822_519) % 1_000_000;
        let seq = match workload {
            "prepared" => self.execute(client, aid)?,
            "extended" => {
                let prepare = self.begin(Intent {
                    kind: IntentKind::Prepare,
                    ..self.intent(client, Text::whole(PREPARED.as_bytes()))
                })?;
                self.bind(client, aid, prepare, Some(prepare), b"")?
            }
            "simple" => {
                let text = format!("SELECT abalance FROM pgbench_accounts WHERE aid = {aid};");
                self.begin(self.intent(client, Text::whole(text.as_bytes())))?
            }
            _ => {
                let text = if number.is_multiple_of(3) {
                    format!("SELECT '工资 {number}' FROM accounts WHERE note = '{aid}'")
                } else {
                    "UPDATE accounts SET abalance = abalance + $1 WHERE aid = $2".to_owned()
                };
                self.begin(self.intent(client, Text::whole(text.as_bytes())))?
            }
        };
        self.finish(seq, Completion::Done)
    }

    /// What `pgbench -M prepared` does: the client's first statement prepares.
    fn execute(&mut self, client: u32, aid: u32) -> Result<Seq, JournalError> {
        let known = client as usize;
        while self.prepared.len() <= known {
            let client = u32::try_from(self.prepared.len()).unwrap_or(0);
            let seq = self.begin(Intent {
                kind: IntentKind::Prepare,
                prepared_name: b"P_0",
                ..self.intent(client, Text::whole(PREPARED.as_bytes()))
            })?;
            self.finish(seq, Completion::Prepared)?;
            self.prepared.push(seq);
        }
        let prepare = self.prepared.get(known).copied().unwrap_or(Seq(0));
        let continues = (self.number < CLIENTS).then_some(prepare);
        self.bind(client, aid, prepare, continues, b"P_0")
    }

    fn bind(
        &mut self,
        client: u32,
        aid: u32,
        prepare: Seq,
        continues: Option<Seq>,
        prepared_name: &[u8],
    ) -> Result<Seq, JournalError> {
        let value = aid.to_string();
        let parameter = Parameter::cut(ParameterFormat::Text, 0, Some(value.as_bytes()), 4096);
        self.begin(Intent {
            kind: IntentKind::Execute,
            continues,
            parameters: List::Lent(&[parameter]),
            prepared_name,
            ..self.intent(client, Text::Of(prepare))
        })
    }

    fn begin(&mut self, intent: Intent<'_>) -> Result<Seq, JournalError> {
        self.lane.append(&Entry::Intent(intent))
    }

    fn finish(&mut self, intent: Seq, completion: Completion) -> Result<(), JournalError> {
        let took = 30 + u64::from(self.number.wrapping_mul(2_246_822_519) >> 25);
        self.lane
            .append(&Entry::Outcome(Outcome {
                intent,
                completion,
                rows: 1,
                affected: 0,
                bytes: 57,
                sqlstate: None,
                first_byte_us: Some(took),
                duration_us: took + 5,
                statements: 1,
                warnings: 0,
            }))
            .map(drop)
    }

    fn intent<'a>(&self, client: u32, text: Text<'a>) -> Intent<'a> {
        let number = self.number;
        Intent {
            session: session(client),
            number: number / CLIENTS + 1,
            kind: IntentKind::Simple,
            continues: None,
            text,
            shape: Some(SHAPE),
            parameters: List::empty(),
            prepared_name: b"",
            portal: b"",
            wall_us: NOW + u64::from(number) * 50,
            mono_ns: u64::from(number) * 50_013,
            transaction: number / CLIENTS + 1,
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
            reduction: Reduction::NONE,
        }
    }
}

fn session(client: u32) -> SessionId {
    SessionId(1_795_413_599_000_000 + u64::from(client))
}

fn shape() -> Entry<'static> {
    use sqlward_audit_store::record::{Column, Object};
    Entry::Shape(Shape {
        key: SHAPE,
        fingerprint: SHAPE,
        normal: "SELECT abalance FROM pgbench_accounts WHERE aid = ?",
        statements: 1,
        verb: Verb::Select,
        class: Class::Read,
        verbs: vec![Verb::Select].into(),
        objects: vec![Object {
            kind: ObjectKind::Relation,
            schema: None,
            name: "pgbench_accounts",
            access: Access::Read,
        }]
        .into(),
        columns: vec![Column {
            schema: None,
            table: None,
            column: "abalance",
            usage: ColumnUse::Read,
        }]
        .into(),
        functions: List::empty(),
        egress: List::empty(),
        where_shape: WhereShape::Restricting,
        limit: LimitShape::Absent,
        dynamic: false,
    })
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
    for text in ["aid = 2999", "工资", "nowhere to be found"] {
        let begin = Instant::now();
        let query = AuditQuery {
            text: Some(text.to_owned()),
            ..newest.clone()
        };
        time(text, begin, archive.search(&query)?.len());
    }
    let begin = Instant::now();
    let session = AuditQuery {
        session: Some(session(3)),
        ..newest.clone()
    };
    time("session", begin, archive.search(&session)?.len());
    let begin = Instant::now();
    let slow = AuditQuery {
        min_duration: Some(160),
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
