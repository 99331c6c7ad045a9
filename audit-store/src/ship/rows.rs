//! Rows as pairing hands them to a store.

use std::sync::Arc;

use sqlward_policy::vocabulary::Action;

use crate::chain::Hash;
use crate::event::Seq;
use crate::record::{Completion, EndCause, ErrorCode, Intent, IntentKind, Outcome, SessionEnd};
use crate::ship::subject::{Session, Speaker};
use crate::time::Day;

/// What entries have turned into.
#[derive(Debug, Default)]
pub(crate) struct Emitted {
    pub(crate) statements: Vec<StatementRow>,
    /// Statements whose writer is gone: no entry says so.
    pub(crate) lost: Vec<StatementRow>,
    /// Rows of prepares that their execution has taken over.
    pub(crate) removals: Vec<(Day, Seq)>,
    pub(crate) events: Vec<EventRow>,
    pub(crate) admins: Vec<AdminRow>,
    /// Payloads of shape entries.
    pub(crate) shapes: Vec<Vec<u8>>,
}

impl Emitted {
    /// Moves everything from another one behind what is here.
    pub(crate) fn append(&mut self, other: &mut Self) {
        self.statements.append(&mut other.statements);
        self.lost.append(&mut other.lost);
        self.removals.append(&mut other.removals);
        self.events.append(&mut other.events);
        self.admins.append(&mut other.admins);
        self.shapes.append(&mut other.shapes);
    }
}

/// Where a row's text is.
#[derive(Clone, Debug)]
pub(crate) enum TextRef {
    /// In its own payload.
    Own,
    /// In the payload of another intent.
    Of(Seq, Arc<[u8]>),
    /// Nobody remembers; the shape's normal form stands in.
    Missing,
}

/// What sums and summaries want to know of an intent, so that it is read but once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Brief {
    pub(crate) kind: IntentKind,
    pub(crate) wall_us: u64,
    pub(crate) shape: Option<[u8; 16]>,
    pub(crate) action: Action,
    pub(crate) judged: Action,
}

impl Brief {
    pub(crate) fn of(intent: &Intent<'_>) -> Self {
        Self {
            kind: intent.kind,
            wall_us: intent.wall_us,
            shape: intent.shape,
            action: intent.judgement.action,
            judged: intent.judgement.judged,
        }
    }

    /// Whether auditors look at it first: it was not simply allowed, or failed.
    pub(crate) fn is_flagged(&self, outcome: &Outcome) -> bool {
        let judged = self.action >= Action::Deny || self.judged > Action::Allow;
        let failed = matches!(outcome.completion, Completion::Failed | Completion::Refused);
        judged || failed || outcome.sqlstate.is_some()
    }

    /// Whether it counts in sums and rankings: successful prepares do not, they run nothing.
    pub(crate) fn counts(&self, completion: Completion) -> bool {
        !matches!(
            (self.kind, completion),
            (IntentKind::Prepare, Completion::Prepared | Completion::Done)
        )
    }
}

/// A finished statement.
#[derive(Clone, Debug)]
pub(crate) struct StatementRow {
    pub(crate) lane: u16,
    pub(crate) seq: Seq,
    pub(crate) day: Day,
    pub(crate) chain: Hash,
    pub(crate) speaker: Arc<Speaker>,
    pub(crate) brief: Brief,
    /// The intent's payload.
    pub(crate) payload: Arc<[u8]>,
    pub(crate) text: TextRef,
    pub(crate) outcome: Outcome,
    /// The entry that is its outcome, unless that is an other's, or nobody's.
    pub(crate) told: Option<Seq>,
}

impl StatementRow {
    pub(crate) const fn key(&self) -> i64 {
        crate::event::row_key(self.lane, self.seq)
    }
}

/// A step in a session's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SessionStep {
    Start,
    Authenticated,
    Context,
    End,
}

impl SessionStep {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            SessionStep::Start => "start",
            SessionStep::Authenticated => "authenticated",
            SessionStep::Context => "context",
            SessionStep::End => "end",
        }
    }
}

/// A step in a session's life, with the subject as it was then.
#[derive(Clone, Debug)]
pub(crate) struct EventRow {
    pub(crate) key: i64,
    pub(crate) day: Day,
    pub(crate) step: SessionStep,
    pub(crate) at_us: Option<u64>,
    pub(crate) chain: Option<Hash>,
    pub(crate) speaker: Arc<Speaker>,
    pub(crate) cause: Option<EndCause>,
    pub(crate) sqlstate: Option<ErrorCode>,
    pub(crate) client_bytes: Option<u64>,
    pub(crate) server_bytes: Option<u64>,
}

impl EventRow {
    pub(crate) fn step(
        key: i64,
        step: SessionStep,
        at_us: u64,
        chain: Hash,
        session: &Session,
    ) -> Self {
        Self {
            key,
            day: Day::of(at_us),
            step,
            at_us: Some(at_us),
            chain: Some(chain),
            speaker: Arc::clone(&session.speaker),
            cause: None,
            sqlstate: None,
            client_bytes: None,
            server_bytes: None,
        }
    }

    pub(crate) fn end(key: i64, end: &SessionEnd<'_>, chain: Hash, session: &Session) -> Self {
        Self {
            cause: Some(end.cause),
            sqlstate: end.sqlstate,
            client_bytes: Some(end.client_bytes),
            server_bytes: Some(end.server_bytes),
            ..Self::step(key, SessionStep::End, end.at_us, chain, session)
        }
    }

    /// The end of a session that nobody wrote down: its writer is gone. Stands beside its beginning; a session whose
    /// beginning is not known has no such end.
    pub(crate) fn lost(lane: u16, session: &Session) -> Option<Self> {
        let (started, at_us) = (session.started?, session.speaker.who.started_us?);
        Some(Self {
            at_us: None,
            chain: None,
            cause: Some(EndCause::Lost),
            ..Self::step(
                crate::event::row_key(lane, started),
                SessionStep::End,
                at_us,
                [0; 32],
                session,
            )
        })
    }
}

/// An administrative entry.
#[derive(Clone, Debug)]
pub(crate) struct AdminRow {
    pub(crate) key: i64,
    pub(crate) day: Day,
    pub(crate) chain: Hash,
    pub(crate) payload: Arc<[u8]>,
}
