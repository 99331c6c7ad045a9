//! The mixed workload: what a proxy records of a day, through journal and shipper into the embedded store.
//!
//! 1,024 sessions, all day long; 8 applications with 4 users and 32 fingerprints each, some much more often than others.
//! Of three statements one has a text of its own, which the store must index; two have a text with two parameters.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use sqlward_audit_store::journal::{JournalError, Lane};
use sqlward_audit_store::record::{
    Column, Completion, Entry, Intent, IntentKind, Judgement, List, Object, Outcome, Parameter,
    ParameterFormat, Reduction, SessionAuthenticated, SessionId, SessionStart, Shape, Subject,
    Text, TxStatus,
};
use sqlward_audit_store::{Audit, STORE};
use sqlward_policy::vocabulary::{
    Access, Action, Class, ColumnUse, Dialect, LimitShape, Mode, ObjectKind, Verb, WhereShape,
};

/// The beginning of the day, µs since 1970.
pub(crate) const NOW: u64 = 1_795_305_600_000_000;

/// The day's length, µs.
pub(crate) const DAY: u64 = 86_400_000_000;

/// How a load went.
pub(crate) struct Loaded {
    /// Processor time of the shipper's thread.
    pub(crate) shipper_cpu: Duration,
    /// The most memory that was not a mapped file, in bytes.
    pub(crate) peak: u64,
}

/// Records `count` statements spread over one day and waits until all are in the store.
pub(crate) fn run(audit: &Audit, count: u32) -> Result<Loaded> {
    let metrics = audit.metrics();
    let mut clients = Clients::new(audit.lane(0)?)?;
    let mut peak = 0;
    let step = DAY / u64::from(count).max(1);
    for number in 0..count {
        while let Err(error) = clients.run(number, NOW + u64::from(number) * step) {
            anyhow::ensure!(matches!(error, JournalError::Full { .. }), "{error}");
            std::thread::sleep(WAIT);
        }
        if number % 10_000 == 0 {
            peak = peak.max(memory()?);
            while metrics.lag_bytes.load(Ordering::Relaxed) > MOST_WAITING {
                std::thread::sleep(WAIT);
            }
        }
    }
    let begun = Instant::now();
    while metrics.rows.load(Ordering::Relaxed) < u64::from(count) {
        anyhow::ensure!(
            begun.elapsed() < LIMIT,
            "the shipper does not come to an end"
        );
        std::thread::sleep(WAIT);
        peak = peak.max(memory()?);
    }
    Ok(Loaded {
        shipper_cpu: shipper_cpu()?,
        peak,
    })
}

/// What the store takes on the disk, in bytes.
pub(crate) fn store_bytes(data: &Path) -> Result<u64> {
    let mut size = 0;
    for entry in std::fs::read_dir(data.join(STORE))? {
        size += entry?.metadata()?.len();
    }
    Ok(size)
}

/// The clients of one worker.
pub(crate) struct Clients {
    lane: Lane,
}

impl Clients {
    /// Lets every client log in.
    pub(crate) fn new(lane: Lane) -> Result<Self, JournalError> {
        let mut clients = Self { lane };
        (0..SESSIONS).try_for_each(|session| clients.connect(session))?;
        (0..SHAPES).try_for_each(|shape| clients.shape(shape))?;
        Ok(clients)
    }

    fn connect(&mut self, number: u32) -> Result<(), JournalError> {
        let session = session(number);
        self.lane.append(&Entry::SessionStart(SessionStart {
            session,
            at_us: NOW,
            client: ([10, 1, (number % 4) as u8, (number % 251) as u8], 40_000).into(),
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
                    user: &user(number),
                    database: "shop",
                    application: &format!("app{}", number % APPLICATIONS),
                },
                role: None,
                method: "scram-sha-256",
                backend_pid: Some(number),
                protocol: "3.0",
                tls: None,
            }))
            .map(drop)
    }

    fn shape(&mut self, number: u32) -> Result<(), JournalError> {
        let table = format!("table{number}");
        let normal = format!("SELECT abalance FROM {table} WHERE aid = ?");
        self.lane
            .append(&Entry::Shape(Shape {
                key: key(number),
                fingerprint: key(number),
                normal: &normal,
                statements: 1,
                verb: Verb::Select,
                class: Class::Read,
                verbs: vec![Verb::Select].into(),
                objects: vec![Object {
                    kind: ObjectKind::Relation,
                    schema: None,
                    name: &table,
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
            }))
            .map(drop)
    }

    /// Records statement `number` and its outcome.
    #[inline]
    pub(crate) fn run(&mut self, number: u32, wall_us: u64) -> Result<(), JournalError> {
        // Some disorder, as among real clients.
        let mixed = number.wrapping_mul(2_654_435_761);
        let client = (mixed >> 8) % SESSIONS;
        // Each application has statements of its own; the smaller of two: some come much more often than others.
        let often = (mixed >> 3 & (EACH - 1)).min(mixed >> 19 & (EACH - 1));
        let shape = client % APPLICATIONS * EACH + often;
        let aid = number.wrapping_mul(2_246_822_519) % 1_000_000;
        let value = aid.to_string();
        let parameters = [&*value, "12.50"]
            .map(|value| Parameter::cut(ParameterFormat::Text, 0, Some(value.as_bytes()), 64));
        let text = if number.is_multiple_of(3) {
            format!("SELECT 'note {number}', abalance FROM table{shape} WHERE aid = {aid}")
        } else {
            format!("SELECT abalance FROM table{shape} WHERE aid = $1 AND price < $2")
        };
        let seq = self.lane.append(&Entry::Intent(Intent {
            session: session(client),
            number: number / SESSIONS + 1,
            kind: IntentKind::Simple,
            continues: None,
            text: Text::whole(text.as_bytes()),
            shape: Some(key(shape)),
            parameters: if number.is_multiple_of(3) {
                List::empty()
            } else {
                List::Lent(&parameters)
            },
            prepared_name: b"",
            portal: b"",
            wall_us,
            mono_ns: wall_us * 1_000,
            transaction: number / SESSIONS + 1,
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
            reduction: Reduction::NONE,
            role: None,
            trace: None,
        }))?;
        let took = 30 + u64::from(aid >> 12);
        self.lane
            .append(&Entry::Outcome(Outcome {
                intent: seq,
                completion: Completion::Done,
                rows: u64::from(mixed >> 28),
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
}

/// The database user of a session.
pub(crate) fn user(session: u32) -> String {
    format!("user{}", session % USERS)
}

/// The id of a session.
pub(crate) fn session(number: u32) -> SessionId {
    SessionId(NOW + u64::from(number))
}

fn key(shape: u32) -> [u8; 16] {
    let mut key = *b"\x9f\x12shape of it\xfe\x01\x77";
    if let Some(end) = key.last_chunk_mut() {
        *end = shape.to_be_bytes();
    }
    key
}

/// Processor time of the shipper's thread.
fn shipper_cpu() -> Result<Duration> {
    for task in std::fs::read_dir("/proc/self/task")?.flatten() {
        let name = std::fs::read_to_string(task.path().join("comm"))?;
        if name.starts_with("sqlward-shipper") {
            return processor(&task.path());
        }
    }
    anyhow::bail!("there is no shipper")
}

/// Processor time of a task (proc(5), schedstat).
pub(crate) fn processor(task: &Path) -> Result<Duration> {
    let spent = std::fs::read_to_string(task.join("schedstat"))?;
    let ns = spent.split(' ').next().context("schedstat")?.parse()?;
    Ok(Duration::from_nanos(ns))
}

/// Memory of this process that is not a mapped file, in bytes.
fn memory() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"))
        .context("no RssAnon")?;
    let kilobytes = line.split_whitespace().next().context("no number")?;
    Ok(kilobytes.parse::<u64>()? << 10)
}

/// How many sessions there are.
pub(crate) const SESSIONS: u32 = 1024;
const USERS: u32 = 32;
const APPLICATIONS: u32 = 8;
/// Fingerprints of an application.
const EACH: u32 = 32;
const SHAPES: u32 = APPLICATIONS * EACH;
const WAIT: Duration = Duration::from_millis(5);
const LIMIT: Duration = Duration::from_secs(3600);
const MOST_WAITING: u64 = 512 << 20;
