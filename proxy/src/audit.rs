//! Decision and outcome → the journal: intents before a statement leaves, outcomes when it has ended.

use std::{
    cell::{Cell, RefCell},
    rc::{Rc, Weak},
    sync::Arc,
};

use smallvec::SmallVec;
use sqlward_audit_store::{
    journal::{JournalError, Lane},
    record::{
        Admin, AdminAction, Completion, Entry, ErrorCode, EventId, IntentKind, KeptIntent, Outcome,
        Parameter, ParameterFormat, Seq, SessionId, Text,
    },
    redact,
};
use sqlward_policy::{
    rule::value::Literals,
    statement::{Known, MysqlLex},
    vocabulary::Verb,
};
use sqlward_wire::{self as wire, pg};

use crate::{
    redaction::{ParameterFates, Screen, StandIns},
    session::Tag,
    shared::wall_us,
};

/// The type of a parameter that only the server knows.
const UNKNOWN_TYPE: u32 = 0;

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
    /// What happens to the parameters of what it prepares.
    pub(crate) fates: Option<Rc<ParameterFates>>,
    /// Its whole intent, where less is recorded.
    pub(crate) kept: Option<KeptIntent>,
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
            fates: None,
            kept: None,
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

    /// The intent that an outcome belongs to, if it still needs one. Each gets at most one. Beside it, what is recorded
    /// in its place if it failed.
    fn close(&self, completion: wire::Completion) -> Option<(Seq, Option<Whole>)> {
        match (self.progress.get(), completion) {
            (Progress::Closed, _) | (Progress::TakenOver, wire::Completion::Prepared) => None,
            // The execution behind a Parse that failed will only be skipped: its row tells of the failure.
            (Progress::TakenOver, _) => {
                self.progress.set(Progress::Closed);
                self.execution.borrow().upgrade()?.close(completion)
            }
            (Progress::Open, _) => {
                self.progress.set(Progress::Closed);
                self.intent.map(|intent| (intent, self.whole(completion)))
            }
        }
    }

    /// The whole intent of a run that failed, or may have, and of which less is recorded.
    fn whole(&self, completion: wire::Completion) -> Option<Whole> {
        match completion {
            wire::Completion::Done
            | wire::Completion::Prepared
            | wire::Completion::Suspended
            | wire::Completion::Refused => None,
            wire::Completion::Failed
            | wire::Completion::Skipped
            | wire::Completion::Unexecuted
            | wire::Completion::Lost => Some(Whole {
                intent: self.kept.clone()?,
                prepare: self.prepare.as_ref().and_then(|run| run.kept.clone()),
            }),
        }
    }
}

/// All that is known of a statement of which less was recorded.
struct Whole {
    intent: KeptIntent,
    /// Where its text is.
    prepare: Option<KeptIntent>,
}

/// Write a whole intent in place of `reduced`. Where the journal has no room for it, what there is must do.
fn write_whole(lane: &mut Lane, reduced: Seq, whole: &Whole) -> Seq {
    let Ok(mut intent) = whole.intent.intent() else {
        return reduced;
    };
    let prepare = whole.prepare.as_ref().and_then(|kept| kept.intent().ok());
    if let (Text::Of(_), Some(prepare)) = (intent.text, &prepare) {
        intent.text = prepare.text;
    }
    intent.continues = Some(reduced);
    lane.append(&Entry::Intent(intent)).unwrap_or(reduced)
}

/// Write the outcome of a run, where it needs one. A closed run says nothing twice.
///
/// # Errors
/// The journal can't take it.
pub(crate) fn outcome(lane: &mut Lane, outcome: &wire::Outcome<Tag>) -> Result<(), JournalError> {
    let run = &outcome.tag;
    let Some((intent, whole)) = run.close(outcome.completion) else {
        return Ok(());
    };
    let intent = whole.map_or(intent, |whole| write_whole(lane, intent, &whole));
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
/// Secrets leave nothing but their lengths; what is redacted has its stand-in.
pub(crate) fn parameters<'a>(
    parameters: pg::Parameters<'a>,
    limit: usize,
    secrecy: Secrecy,
    stand_ins: &'a StandIns,
) -> SmallVec<[Parameter<'a>; 8]> {
    let mut left = limit;
    parameters
        .enumerate()
        .map(|(number, (format, value))| {
            let format = match format {
                pg::Format::Text => ParameterFormat::Text,
                pg::Format::Binary | pg::Format::Unknown(_) => ParameterFormat::Binary,
            };
            let parameter = match stand_ins.get(number) {
                Some(Some(stand_in)) => Parameter {
                    format: ParameterFormat::Text,
                    type_oid: UNKNOWN_TYPE,
                    value: Some(stand_in),
                    full_len: value.map_or(0, |value| value.len() as u64),
                    redacted: true,
                },
                Some(None) | None => Parameter::cut(format, UNKNOWN_TYPE, value, left),
            };
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

/// What stands in for some parameters of a Bind.
pub(crate) fn stand_ins(parameters: pg::Parameters<'_>, screen: &Screen<'_>) -> StandIns {
    if screen.is_clear() {
        return StandIns::new();
    }
    parameters
        .enumerate()
        .map(|(number, (_, value))| screen.stand_in(number, value?))
        .collect()
}
