//! Judges statements in bulk: JSON lines in, JSON lines out, in the same order, on several threads.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Read as _, Write};
use std::num::NonZeroUsize;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::decision::{Decision, Request, decide, decide_facts};
use crate::policy::{Policy, Standing};
use crate::rule::moment::{Circumstances, Wording};
use crate::rule::statement::show;
use crate::rule::subject::{EndUser, Subject};
use crate::rule::version::ServerVersion;
use crate::statement::facts::Facts;
use crate::statement::{
    ANALYSIS_STACK_BYTES, LexState, Limits, Reader, ReadingOptions, analyse, analyse_replication,
};
use crate::vocabulary::{Action, Dialect, Verb};

/// How a batch is judged.
#[derive(Clone, Copy, Debug)]
pub struct Batch {
    /// The dialect of lines that name none.
    pub dialect: Dialect,
    /// The time of lines that name none.
    pub now: Timestamp,
    /// How many threads judge; as many as the machine has processors without it.
    pub threads: Option<NonZeroUsize>,
}

/// What a batch came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Lines judged.
    pub judged: u64,
    /// Lines that could not be judged.
    pub errors: u64,
}

/// A line of input; other fields are ignored.
#[derive(Deserialize)]
struct Line {
    #[serde(default)]
    id: Value,
    sql: String,
    dialect: Option<String>,
    user: Option<String>,
    role: Option<String>,
    database: Option<String>,
    application: Option<String>,
    listener: Option<String>,
    client: Option<String>,
    end_user: Option<String>,
    tls_identity: Option<String>,
    at: Option<String>,
    sql_mode: Option<String>,
    charset: Option<String>,
    server_version: Option<String>,
    #[serde(default)]
    replication: bool,
}

/// A line of output.
#[derive(Serialize)]
struct Judgement<'a> {
    id: &'a Value,
    /// What the rules say, whatever the mode.
    decision: Action,
    rules: Vec<&'a str>,
    verb: Verb,
    objects: Vec<String>,
    readable: bool,
}

/// A line of output for input that can't be judged.
#[derive(Serialize)]
struct Complaint {
    id: Value,
    error: String,
}

/// Lines with their place in the input.
type Chunk = (u64, Vec<u8>);
/// Lines of output with the place of their input.
type Judged = (u64, Vec<u8>, Summary);

/// Judges every line of `input` into a line of `output`. Lines that can't be judged become lines with an `error`.
///
/// # Errors
/// Input or output fail, a line is longer than any statement can be, or the system gives no thread.
pub fn judge(
    policy: &Policy,
    batch: &Batch,
    input: impl BufRead,
    output: &mut impl Write,
) -> io::Result<Summary> {
    let threads = batch
        .threads
        .or_else(|| thread::available_parallelism().ok());
    let threads = threads.map_or(1, NonZeroUsize::get).min(MAX_THREADS);
    // Neither channel is ever full: as many chunks are on their way as each has places.
    let (to_workers, work) = sync_channel::<Chunk>(threads * 2);
    let (to_writer, done) = sync_channel::<Judged>(threads * 2);
    let work = Mutex::new(work);
    let work = &work;
    thread::scope(move |scope| {
        for _ in 0..threads {
            let to_writer = to_writer.clone();
            thread::Builder::new()
                .stack_size(ANALYSIS_STACK_BYTES)
                .spawn_scoped(scope, move || {
                    let mut worker = Worker::new(policy, batch);
                    while let Some((number, lines)) = next(work) {
                        let (output, summary) = worker.judge_lines(&lines);
                        if to_writer.send((number, output, summary)).is_err() {
                            break;
                        }
                    }
                })?;
        }
        drop(to_writer);
        pump(input, output, to_workers, &done, threads * 2)
    })
}

fn next(work: &Mutex<Receiver<Chunk>>) -> Option<Chunk> {
    work.lock().ok()?.recv().ok()
}

/// Hands chunks to the workers and writes their results in the order of the input.
fn pump(
    mut input: impl BufRead,
    output: &mut impl Write,
    to_workers: SyncSender<Chunk>,
    done: &Receiver<Judged>,
    most_on_the_way: usize,
) -> io::Result<Summary> {
    let lost = || io::Error::other("a judging thread ended early");
    let mut to_workers = Some(to_workers);
    let mut early: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
    let (mut sent, mut written) = (0u64, 0u64);
    let mut on_the_way = 0;
    let mut total = Summary::default();
    loop {
        while let Some(workers) = to_workers.as_ref().filter(|_| on_the_way < most_on_the_way) {
            let lines = read_lines(&mut input)?;
            if lines.is_empty() {
                to_workers = None;
                break;
            }
            workers.send((sent, lines)).map_err(|_| lost())?;
            sent += 1;
            on_the_way += 1;
        }
        if on_the_way == 0 {
            output.flush()?;
            return Ok(total);
        }
        let (number, lines, summary) = done.recv().map_err(|_| lost())?;
        on_the_way -= 1;
        total.judged += summary.judged;
        total.errors += summary.errors;
        early.insert(number, lines);
        while let Some(lines) = early.remove(&written) {
            output.write_all(&lines)?;
            written += 1;
        }
    }
}

/// Whole lines of about [`CHUNK_BYTES`]; none at the end of the input.
fn read_lines(input: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut lines = Vec::new();
    while lines.len() < CHUNK_BYTES {
        let before = lines.len();
        let read = input
            .by_ref()
            .take(MAX_LINE_BYTES)
            .read_until(b'\n', &mut lines)?;
        if read == 0 {
            break;
        }
        if lines.last() != Some(&b'\n') && (lines.len() - before) as u64 >= MAX_LINE_BYTES {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "a line is too long",
            ));
        }
    }
    Ok(lines)
}

const CHUNK_BYTES: usize = 128 * 1024;
/// The longest statement, every byte of it escaped.
const MAX_LINE_BYTES: u64 = 128 << 20;
const MAX_THREADS: usize = 64;
const READER_BYTES: usize = 32 << 20;

/// One judging thread.
struct Worker<'p> {
    policy: &'p Policy,
    dialect: Dialect,
    now: Timestamp,
    reader: Reader,
    /// The last line's subject: most lines have the same one.
    last: Option<(Subject, Standing)>,
}

impl<'p> Worker<'p> {
    fn new(policy: &'p Policy, batch: &Batch) -> Self {
        Self {
            policy,
            dialect: batch.dialect,
            now: batch.now,
            reader: Reader::new(READER_BYTES, Limits::default()),
            last: None,
        }
    }

    fn judge_lines(&mut self, lines: &[u8]) -> (Vec<u8>, Summary) {
        let mut output = Vec::with_capacity(lines.len());
        let mut summary = Summary::default();
        for line in lines.split(|byte| *byte == b'\n') {
            if line.trim_ascii().is_empty() {
                continue;
            }
            match self.judge_line(line, &mut output) {
                Ok(()) => summary.judged += 1,
                Err(Complaint { id, error }) => {
                    summary.errors += 1;
                    write_line(&mut output, &Complaint { id, error });
                }
            }
        }
        (output, summary)
    }

    fn judge_line(&mut self, line: &[u8], output: &mut Vec<u8>) -> Result<(), Complaint> {
        let line: Line = serde_json::from_slice(line).map_err(|error| Complaint {
            id: Value::Null,
            error: error.to_string(),
        })?;
        let complain = |id: &Value, error: String| Complaint {
            id: id.clone(),
            error,
        };
        let subject = self
            .subject(&line)
            .map_err(|error| complain(&line.id, error))?;
        let now = match &line.at {
            Some(at) => at
                .parse()
                .map_err(|_| complain(&line.id, format!("`{at}` is no point in time")))?,
            None => self.now,
        };
        let standing = match self.last.take() {
            Some((last, standing)) if last == subject => standing,
            _ => self.policy.standing(&subject),
        };
        let options = ReadingOptions {
            sql_mode: line.sql_mode.clone(),
            charset: line.charset.clone(),
            server_version: line.server_version.clone(),
        };
        let lex = options
            .lex_state(subject.dialect)
            .map_err(|error| complain(&line.id, error))?;
        self.judge_sql((&line, &lex), &standing, now, output);
        self.last = Some((subject, standing));
        Ok(())
    }

    fn subject(&self, line: &Line) -> Result<Subject, String> {
        let dialect = match line.dialect.as_deref() {
            None => self.dialect,
            Some("pg") => Dialect::Postgres,
            Some(word) => {
                Dialect::from_word(word).ok_or_else(|| format!("`{word}` is no dialect"))?
            }
        };
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let user = text(&line.user);
        let mut subject = Subject {
            dialect,
            role: Some(line.role.clone().unwrap_or_else(|| user.clone())),
            user,
            database: text(&line.database),
            application: text(&line.application),
            listener: text(&line.listener),
            end_user: line.end_user.clone().map(|name| EndUser {
                name,
                trust: String::new(),
            }),
            tls_identity: line.tls_identity.clone(),
            server_version: match &line.server_version {
                None => Some(ServerVersion::NEWEST),
                Some(text) => ServerVersion::of_server(text),
            },
            ..Subject::default()
        };
        if let Some(client) = &line.client {
            subject.client = client
                .parse()
                .map_err(|_| format!("`{client}` is no address"))?;
        }
        Ok(subject)
    }

    fn judge_sql(
        &mut self,
        (line, lex): (&Line, &LexState),
        standing: &Standing,
        now: Timestamp,
        output: &mut Vec<u8>,
    ) {
        let text = line.sql.as_bytes();
        if line.replication {
            let facts = analyse_replication(text, lex, self.reader.limits()).facts;
            let decision = decide_facts(self.policy, standing, now, &facts);
            return write_line(output, &Judgement::of(self.policy, line, &decision, &facts));
        }
        let known = match self.reader.recall(text, lex).known {
            Some(known) => known,
            None => {
                let analysis = analyse(text, lex, self.reader.limits());
                self.reader.remember(text, lex, analysis)
            }
        };
        let request = Request {
            statement: &known,
            standing,
            now,
            also: &[],
            unreadable_override: None,
            circumstances: Circumstances {
                text: Wording::Text(text, *lex),
                ..Circumstances::default()
            },
        };
        let decision = decide(self.policy, &request);
        let facts = &known.analysis.facts;
        write_line(output, &Judgement::of(self.policy, line, &decision, facts));
    }
}

impl<'a> Judgement<'a> {
    fn of(policy: &'a Policy, line: &'a Line, decision: &Decision, facts: &Facts) -> Self {
        let rules = decision
            .rules
            .iter()
            .filter_map(|index| policy.rule(*index));
        let mut objects: Vec<String> = Vec::new();
        for object in facts
            .statements
            .iter()
            .flat_map(|statement| &statement.objects)
        {
            let name = show(&object.name);
            if objects.len() < MOST_OBJECTS && !objects.contains(&name) {
                objects.push(name);
            }
        }
        Self {
            id: &line.id,
            decision: decision.judged,
            rules: rules.map(|rule| &*rule.id).collect(),
            verb: facts
                .statements
                .first()
                .map_or(Verb::Unknown, |statement| statement.verb),
            objects,
            readable: facts.unreadable.is_none(),
        }
    }
}

/// The most names of objects in a line of output.
const MOST_OBJECTS: usize = 1000;

fn write_line(output: &mut Vec<u8>, line: &impl Serialize) {
    let before = output.len();
    // Words, texts and numbers always have a form in JSON.
    if serde_json::to_writer(&mut *output, line).is_err() {
        output.truncate(before);
        output.extend_from_slice(b"{\"error\":\"the judgement has no form in JSON\"}");
    }
    output.push(b'\n');
}
