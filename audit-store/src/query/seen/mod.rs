//! What was seen: the statements of a span of time, those that are alike as one, for judging them once more.
//!
//! Alike are statements of one subject, one shape, one way of coming and one judgement. The shape has everything that
//! analysis said of them, so that most can be judged again without being read again.

mod day;
mod row;
mod shape;

use std::collections::HashSet;
use std::hash::Hash;
use std::net::IpAddr;
use std::ops::ControlFlow;
use std::sync::Arc;

use hashbrown::HashMap;
use sqlward_policy::vocabulary::{Action, Dialect, Unreadable};

pub(crate) use self::row::Rows;
pub use self::shape::{SeenColumn, SeenObject, SeenShape};
use super::{Archive, Row};
use crate::embedded::StoreError;
use crate::event::EventId;
use crate::record::{EndUserSource, IntentKind};

/// Statements that are alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Who sent them.
    pub by: Arc<SeenSubject>,
    /// By which message.
    pub kind: IntentKind,
    /// What analysis said of them; `None` where the record can't be read.
    pub shape: Option<Arc<SeenShape>>,
    /// What was carried out.
    pub action: Action,
    /// What the rules said.
    pub judged: Action,
    /// Why they could not be read exactly.
    pub unreadable: Option<Unreadable>,
    /// The text of one of them, secrets taken out.
    pub text: SeenText,
    /// How many.
    pub count: u64,
    /// The first of them.
    pub first: EventId,
    /// When it began, µs since 1970.
    pub first_us: u64,
    /// The last of them.
    pub last: EventId,
    /// When it began, µs since 1970.
    pub last_us: u64,
}

/// Who sent statements, as far as policies can ask.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SeenSubject {
    /// What the session speaks.
    pub dialect: Dialect,
    /// The database user.
    pub user: String,
    /// The effective role, where it differs; [`crate::record::UNKNOWN_ROLE`] where it was not known.
    pub role: Option<String>,
    /// The database.
    pub database: String,
    /// The client's address; `None` where the record has none.
    pub client: Option<IpAddr>,
    /// The application.
    pub application: String,
    /// The listener.
    pub listener: String,
    /// The end user and how it was learnt.
    pub end_user: Option<(String, EndUserSource)>,
    /// The name in the client's certificate.
    pub tls_identity: Option<String>,
    /// Whether the session was in several databases on that day.
    pub moved: bool,
}

/// The text of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SeenText {
    /// As sent, whole.
    Whole(Arc<[u8]>),
    /// The beginning of it: the rest was not recorded.
    Cut(Arc<[u8]>),
    /// The record has none.
    Gone,
}

impl SeenText {
    /// What there is of it.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match self {
            SeenText::Whole(text) | SeenText::Cut(text) => text,
            SeenText::Gone => b"",
        }
    }
}

/// Which statements are looked at, and how far they are put together.
#[derive(Clone, Copy, Debug)]
pub struct SeenQuery {
    /// Begun at or after this, µs since 1970.
    pub from: u64,
    /// Begun before this, µs since 1970.
    pub to: u64,
    /// Statements that began in different spans of this length are never one, µs.
    pub span_us: Option<u64>,
}

impl SeenQuery {
    fn span(&self, start_us: u64) -> u64 {
        self.span_us
            .and_then(|span| start_us.checked_div(span))
            .unwrap_or(0)
    }
}

impl Archive {
    /// Shows what was seen, a batch at a time, oldest day first. Of statements that are alike a batch has one entry; the
    /// next batch may have them again. Prepares that succeeded do not count: they ran nothing.
    ///
    /// # Errors
    /// Where a day file can't be read.
    pub fn seen(
        &self,
        query: &SeenQuery,
        visit: &mut dyn FnMut(Vec<Seen>) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        for day in self.days(Some(query.from), Some(query.to))? {
            let Some((path, connection)) = self.day(day)? else {
                continue;
            };
            let read = day::read(&connection, query, visit);
            if read.map_err(StoreError::sqlite(&path))?.is_break() {
                break;
            }
        }
        Ok(())
    }
}

impl Seen {
    /// The statement of a row, alone; `None` where it says something that this program does not know.
    #[must_use]
    pub fn of(row: &Row) -> Option<Self> {
        let query = SeenQuery {
            from: 0,
            to: u64::MAX,
            span_us: None,
        };
        let mut rows = Rows::new(&query, HashSet::new());
        rows.count(row)?;
        rows.take().pop()
    }
}

/// Puts statements that are alike together.
struct Fold<K> {
    groups: HashMap<K, usize>,
    seen: Vec<Seen>,
}

impl<K: Hash + Eq> Fold<K> {
    fn new() -> Self {
        Self {
            groups: HashMap::new(),
            seen: Vec::new(),
        }
    }

    /// Counts a statement of group `key`; the first of a group is described by `new`.
    fn count<E>(
        &mut self,
        key: K,
        (start_us, event): (u64, EventId),
        new: impl FnOnce() -> Result<Seen, E>,
    ) -> Result<(), E> {
        if let Some(group) = self.groups.get(&key).and_then(|at| self.seen.get_mut(*at)) {
            group.count = group.count.saturating_add(1);
            if start_us < group.first_us {
                (group.first_us, group.first) = (start_us, event);
            }
            if start_us >= group.last_us {
                (group.last_us, group.last) = (start_us, event);
            }
            return Ok(());
        }
        let seen = new()?;
        self.groups.insert(key, self.seen.len());
        self.seen.push(seen);
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.seen.len() >= MOST_GROUPS
    }

    /// What has been put together so far; begins anew.
    fn take(&mut self) -> Vec<Seen> {
        self.groups.clear();
        std::mem::take(&mut self.seen)
    }
}

/// The most groups of a batch.
const MOST_GROUPS: usize = 65_536;
