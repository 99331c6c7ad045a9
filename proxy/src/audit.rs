//! Decision and outcome → the journal: intents before a statement leaves, outcomes when it has ended.

use std::{
    borrow::Cow,
    cell::{Cell, RefCell},
    collections::HashSet,
    rc::{Rc, Weak},
    sync::Arc,
};

use sha2::{Digest, Sha256};
use smallvec::SmallVec;
use sqlward_audit_store::{
    journal::{JournalError, Lane},
    record::{
        Admin, AdminAction, Column, Completion, Entry, ErrorCode, EventId, IntentKind, List,
        Object, Outcome, Parameter, ParameterFormat, Seq, SessionId, Shape,
    },
    redact,
};
use sqlward_policy::{
    rule::value::Literals,
    statement::{Analysis, Known, MysqlLex, StatementFacts},
    vocabulary::{Class, LimitShape, Verb, WhereShape},
};
use sqlward_wire::{self as wire, pg};

use crate::{session::Tag, shared::wall_us};

/// The type of a parameter that only the server knows.
const UNKNOWN_TYPE: u32 = 0;
/// Shapes remembered as written; forgetting them only costs writing them again.
const MAX_SHAPES: usize = 65_536;

/// One message that had a verdict, from intent to outcome.
#[derive(Debug)]
pub(crate) struct Run {
    /// How it came.
    pub(crate) kind: IntentKind,
    /// What its text says.
    pub(crate) known: Rc<Known>,
    /// Its intent; `None` where there is no record of its own.
    pub(crate) intent: Option<Seq>,
    /// The name of its record; `None` where there is no record of its own.
    pub(crate) event: Option<EventId>,
    /// When it was received, in the session's nanoseconds.
    pub(crate) started_ns: u64,
    /// The name of the prepared statement, empty for the unnamed one.
    pub(crate) name: Box<[u8]>,
    /// The database that a prepared statement's unqualified names were resolved in (MySQL, MariaDB).
    pub(crate) database: Box<str>,
    /// What a prepared statement's reading depended on (MySQL, MariaDB): the server may read its text again.
    pub(crate) reading: Option<MysqlLex>,
    /// The literals of its text, if a rule has asked for them, and the generation of the policy that did.
    pub(crate) literals: Option<(u64, Arc<Literals>)>,
    /// The types that a Parse has fixed for its parameters, if a rule asks for parameters.
    pub(crate) types: Box<[u32]>,
    /// The generation of the policy that a Bind was judged by.
    pub(crate) generation: u64,
    /// What the client was told instead of running it.
    pub(crate) refusal: Option<Rc<wire::Refusal>>,
    /// The Parse that it executes.
    pub(crate) prepare: Option<Tag>,
    progress: Cell<Progress>,
    /// The execution whose row has taken over this Parse's.
    execution: RefCell<Weak<Run>>,
}

/// How far the record of a [`Run`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    /// Nothing but the intent is written.
    Open,
    /// An execution's row has taken over this Parse's.
    TakenOver,
    /// The outcome is written.
    Closed,
}

impl Run {
    /// A run whose intent has just been written, or that has none.
    pub(crate) fn new(
        kind: IntentKind,
        known: Rc<Known>,
        intent: Option<Seq>,
        started_ns: u64,
    ) -> Self {
        Self {
            kind,
            known,
            intent,
            event: None,
            started_ns,
            name: Box::default(),
            database: Box::default(),
            reading: None,
            literals: None,
            types: Box::default(),
            generation: 0,
            refusal: None,
            prepare: None,
            progress: Cell::new(Progress::Open),
            execution: RefCell::default(),
        }
    }

    /// Whether it runs a statement, not only prepares it.
    pub(crate) fn runs(&self) -> bool {
        match self.kind {
            IntentKind::Simple
            | IntentKind::Execute
            | IntentKind::Fetch
            | IntentKind::FunctionCall
            | IntentKind::Command => true,
            IntentKind::Prepare | IntentKind::Startup => false,
        }
    }

    /// The intent that a first execution of this Parse takes over, unless something has been said of it.
    pub(crate) fn takeable(&self) -> Option<Seq> {
        self.intent
            .filter(|_| self.progress.get() == Progress::Open)
    }

    /// The row of `execution` takes over this Parse's.
    pub(crate) fn taken_over_by(&self, execution: &Tag) {
        self.progress.set(Progress::TakenOver);
        *self.execution.borrow_mut() = Rc::downgrade(execution);
    }

    /// The intent that an outcome belongs to, if it still needs one. Each gets at most one.
    fn close(&self, completion: wire::Completion) -> Option<Seq> {
        match (self.progress.get(), completion) {
            (Progress::Closed, _) | (Progress::TakenOver, wire::Completion::Prepared) => None,
            // The execution behind a Parse that failed will only be skipped: its row tells of the failure.
            (Progress::TakenOver, _) => {
                self.progress.set(Progress::Closed);
                self.execution.borrow().upgrade()?.close(completion)
            }
            (Progress::Open, _) => {
                self.progress.set(Progress::Closed);
                self.intent
            }
        }
    }
}

/// Write the outcome of a run, where it needs one. A closed run says nothing twice.
///
/// # Errors
/// The journal can't take it.
pub(crate) fn outcome(lane: &mut Lane, outcome: &wire::Outcome<Tag>) -> Result<(), JournalError> {
    let run = &outcome.tag;
    let Some(intent) = run.close(outcome.completion) else {
        return Ok(());
    };
    let since = |at: u64| at.saturating_sub(run.started_ns) / 1_000;
    let refused = run.refusal.as_ref().map(|refusal| refusal.code);
    let error = match outcome.completion {
        wire::Completion::Refused => refused,
        _ => outcome.error,
    };
    let entry = Outcome {
        intent,
        completion: completion(outcome.completion),
        rows: outcome.rows,
        affected: outcome.affected,
        bytes: outcome.bytes,
        sqlstate: error.map(code),
        first_byte_us: outcome.first_byte.map(since),
        duration_us: since(outcome.ended),
        statements: u32::try_from(run.known.analysis.facts.statements.len()).unwrap_or(u32::MAX),
        warnings: outcome.warnings,
    };
    lane.append(&Entry::Outcome(entry)).map(drop)
}

/// What a pipeline did before something in it failed.
pub(crate) struct Undone<'a> {
    /// Whose it was.
    pub(crate) session: SessionId,
    /// Why it is undone.
    pub(crate) sqlstate: pg::SqlState,
    /// What was executed, in order.
    pub(crate) runs: &'a [Tag],
    /// How much was executed before that.
    pub(crate) more: u64,
    /// The policy in force.
    pub(crate) generation: u64,
}

/// Write which statements the server has undone, if there are any: what came behind the last that commits by itself.
///
/// # Errors
/// The journal can't take it.
pub(crate) fn undone(lane: &mut Lane, undone: &Undone<'_>) -> Result<(), JournalError> {
    let committed = undone.runs.iter().rposition(|run| commits(&run.known));
    let (runs, more) = match committed {
        Some(last) => (undone.runs.get(last + 1..).unwrap_or_default(), 0),
        None => (undone.runs, undone.more),
    };
    let count = more.saturating_add(runs.len() as u64);
    if count == 0 {
        return Ok(());
    }
    let events: Vec<String> = runs
        .iter()
        .filter_map(|run| run.event)
        .map(|event| event.to_string())
        .collect();
    let before = match more {
        0 => String::new(),
        more => format!("{more} statements and "),
    };
    let detail = format!(
        "session {}: the server rolled back the implicit transaction of {before}{} with {}",
        undone.session.0,
        events.join(", "),
        undone.sqlstate
    );
    lane.append(&Entry::Admin(Admin {
        at_us: wall_us(),
        action: AdminAction::Undone,
        actor: "server",
        detail: &detail,
        generation: undone.generation,
        config_hash: None,
        count,
    }))
    .map(drop)
}

/// Whether a text ends its transaction, or is one that the server lets run only as a transaction of its own.
fn commits(known: &Known) -> bool {
    let mut verbs = known.analysis.facts.statements.iter().map(|one| one.verb);
    verbs.any(|verb| {
        matches!(
            verb,
            Verb::Begin
                | Verb::Commit
                | Verb::Rollback
                | Verb::Vacuum
                | Verb::AlterSystem
                | Verb::Call
                | Verb::Do
        )
    })
}

/// An error code as the record keeps it.
pub(crate) fn code(code: wire::ErrorCode) -> ErrorCode {
    let sqlstate = code.sqlstate.as_str().as_bytes();
    ErrorCode {
        sqlstate: sqlstate.try_into().unwrap_or(*b"XX000"),
        errno: code.errno,
    }
}

fn completion(completion: wire::Completion) -> Completion {
    match completion {
        wire::Completion::Done => Completion::Done,
        wire::Completion::Prepared => Completion::Prepared,
        wire::Completion::Suspended => Completion::Suspended,
        wire::Completion::Failed => Completion::Failed,
        wire::Completion::Refused => Completion::Refused,
        wire::Completion::Skipped => Completion::Skipped,
        wire::Completion::Unexecuted => Completion::Unexecuted,
        wire::Completion::Lost => Completion::Lost,
    }
}

/// Whether parameters may be recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Secrecy {
    /// They are data.
    Open,
    /// They are, or may be, passwords and keys.
    Secret,
}

impl Secrecy {
    /// What analysis says about the parameters of a statement.
    pub(crate) fn of(known: &Known) -> Self {
        if known.analysis.secret_parameters {
            Self::Secret
        } else {
            Self::Open
        }
    }
}

/// The parameters of a Bind as the record keeps them: `limit` bytes in all, what is cut marked with its length.
/// Secrets leave nothing but their lengths.
pub(crate) fn parameters(
    parameters: pg::Parameters<'_>,
    limit: usize,
    secrecy: Secrecy,
) -> SmallVec<[Parameter<'_>; 8]> {
    let mut left = limit;
    parameters
        .map(|(format, value)| {
            let format = match format {
                pg::Format::Text => ParameterFormat::Text,
                pg::Format::Binary | pg::Format::Unknown(_) => ParameterFormat::Binary,
            };
            let parameter = Parameter::cut(format, UNKNOWN_TYPE, value, left);
            left = left.saturating_sub(parameter.value.map_or(0, <[u8]>::len));
            match secrecy {
                Secrecy::Open => parameter,
                Secrecy::Secret => Parameter {
                    value: parameter.value.map(|_| redact::MASK),
                    redacted: true,
                    ..parameter
                },
            }
        })
        .collect()
}

/// The analysis shapes that this process has written to its lane.
#[derive(Debug, Default)]
pub struct Shapes(HashSet<[u8; 16]>);

impl Shapes {
    /// The key of a statement's shape, which is in the journal from now on.
    ///
    /// # Errors
    /// The journal can't take it.
    pub(crate) fn write(
        &mut self,
        lane: &mut Lane,
        known: &Known,
    ) -> Result<[u8; 16], JournalError> {
        // What is known belongs to this worker, as the lane does: a key that it has was written here.
        if let Some(key) = known.slot.key() {
            return Ok(key);
        }
        let analysis = &known.analysis;
        let key = key(analysis);
        if !self.0.contains(&key) {
            let functions = functions(analysis);
            let mut shape = shape(key, analysis);
            shape.functions = List::Owned(functions.iter().map(|name| &**name).collect());
            lane.append(&Entry::Shape(shape))?;
            if self.0.len() >= MAX_SHAPES {
                self.0.clear();
            }
            self.0.insert(key);
        }
        known.slot.set_key(key);
        Ok(key)
    }
}

/// What names an analysis in the journal: its fingerprint, where every text with that fingerprint has these facts.
fn key(analysis: &Analysis) -> [u8; 16] {
    if !analysis.depends_on_literals {
        return analysis.fingerprint.0;
    }
    let mut hasher = Sha256::new();
    hasher.update(analysis.fingerprint.0);
    hasher.update(format!("{:?}", analysis.facts));
    let digest = hasher.finalize();
    digest.first_chunk().copied().unwrap_or_default()
}

fn shape(key: [u8; 16], analysis: &Analysis) -> Shape<'_> {
    let statements = &analysis.facts.statements;
    let all = || statements.iter();
    Shape {
        key,
        fingerprint: analysis.fingerprint.0,
        normal: &analysis.normal,
        statements: u32::try_from(statements.len()).unwrap_or(u32::MAX),
        verb: statements
            .first()
            .map_or(Verb::Unknown, |statement| statement.verb),
        class: all()
            .map(|statement| statement.class)
            .max_by_key(strength)
            .unwrap_or(Class::Utility),
        verbs: unique(all().flat_map(|statement| statement.verbs.iter().copied())),
        objects: unique(all().flat_map(objects)),
        columns: unique(all().flat_map(columns)),
        functions: List::empty(),
        egress: unique(all().flat_map(|statement| statement.egress.iter().copied())),
        where_shape: all()
            .map(|statement| statement.where_shape)
            .min_by_key(restriction)
            .unwrap_or(WhereShape::NotApplicable),
        limit: statements
            .last()
            .map_or(LimitShape::NotApplicable, |statement| statement.limit),
        dynamic: all().any(|statement| statement.dynamic),
    }
}

/// The functions that a text calls, qualified where it qualifies them.
fn functions(analysis: &Analysis) -> List<'_, Cow<'_, str>> {
    let statements = analysis.facts.statements.iter();
    unique(
        statements
            .flat_map(|statement| &statement.functions)
            .map(|function| match &function.schema {
                Some(schema) => Cow::Owned(format!("{schema}.{}", function.name)),
                None => Cow::Borrowed(&*function.name),
            }),
    )
}

/// How strong a class is: a message is of the strongest class in it.
fn strength(class: &Class) -> u8 {
    match class {
        Class::Utility => 0,
        Class::Tcl => 1,
        Class::Session => 2,
        Class::Read => 3,
        Class::Write => 4,
        Class::Ddl => 5,
        Class::Dcl => 6,
        Class::Admin => 7,
    }
}

/// How far a WHERE restricts: a message's is the weakest in it.
fn restriction(shape: &WhereShape) -> u8 {
    match shape {
        WhereShape::Absent => 0,
        WhereShape::AlwaysTrue => 1,
        WhereShape::Restricting => 2,
        WhereShape::NotApplicable => 3,
    }
}

fn objects(statement: &StatementFacts) -> impl Iterator<Item = Object<'_>> {
    statement.objects.iter().map(|object| Object {
        kind: object.kind,
        schema: object.name.schema.as_deref(),
        name: &object.name.name,
        access: object.access,
    })
}

fn columns(statement: &StatementFacts) -> impl Iterator<Item = Column<'_>> {
    statement.columns.iter().map(|column| Column {
        schema: column
            .table
            .as_ref()
            .and_then(|table| table.schema.as_deref()),
        table: column.table.as_ref().map(|table| &*table.name),
        column: &column.column,
        usage: column.usage,
    })
}

/// Each item once, in order of first appearance.
fn unique<'a, T: Clone + Eq + std::hash::Hash>(items: impl Iterator<Item = T>) -> List<'a, T> {
    let mut seen = HashSet::new();
    List::Owned(items.filter(|item| seen.insert(item.clone())).collect())
}
