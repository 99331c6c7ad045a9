//! Rows as pairing hands them to a store.

use std::sync::Arc;

use crate::chain::Hash;
use crate::record::{EndCause, ErrorCode, Outcome, SessionEnd};
use crate::ship::subject::{KnownEndUser, Session, Who};
use crate::time::Day;

/// What entries have turned into.
#[derive(Default)]
pub(crate) struct Emitted {
    pub(crate) statements: Vec<StatementRow>,
    /// Rows of prepares that their execution has taken over.
    pub(crate) removals: Vec<(Day, i64)>,
    pub(crate) events: Vec<EventRow>,
    pub(crate) admins: Vec<AdminRow>,
    /// Payloads of shape entries.
    pub(crate) shapes: Vec<Vec<u8>>,
}

/// Where a row's text is.
#[derive(Clone, Debug)]
pub(crate) enum TextRef {
    /// In its own payload.
    Own,
    /// In the payload of another intent.
    Of(Arc<[u8]>),
    /// Nobody remembers; the shape's normal form stands in.
    Missing,
}

/// A finished statement.
#[derive(Clone, Debug)]
pub(crate) struct StatementRow {
    pub(crate) key: i64,
    pub(crate) day: Day,
    pub(crate) chain: Hash,
    pub(crate) who: Arc<Who>,
    pub(crate) role: Option<Arc<str>>,
    pub(crate) end_user: Option<KnownEndUser>,
    /// The intent's payload.
    pub(crate) payload: Arc<[u8]>,
    pub(crate) text: TextRef,
    pub(crate) outcome: Outcome,
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
    pub(crate) who: Arc<Who>,
    pub(crate) role: Option<Arc<str>>,
    pub(crate) end_user: Option<KnownEndUser>,
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
            who: Arc::clone(&session.who),
            role: session.role.clone(),
            end_user: session.end_user.clone(),
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

    /// The end of a session that nobody wrote down: its writer is gone. Stands in the day the session began.
    pub(crate) fn lost(key: i64, day: Day, session: &Session) -> Self {
        let day = session.who.started_us.map_or(day, Day::of);
        Self {
            day,
            at_us: None,
            chain: None,
            cause: Some(EndCause::Lost),
            ..Self::step(key, SessionStep::End, 0, [0; 32], session)
        }
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
