//! One session, whole and in order.

use rusqlite::params_from_iter;
use serde::Serialize;

use super::row::{session_tables, statement_tables};
use super::{Archive, AuditQuery, Row, STATEMENTS, SessionRow};
use crate::embedded::StoreError;
use crate::event::SessionId;
use crate::record::EndCause;

/// A step of a session or one of its statements.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "entry", rename_all = "lowercase")]
#[expect(clippy::large_enum_variant, reason = "most entries are statements")]
pub enum SessionEntry {
    /// Start, authentication, a change of the subject, end.
    Event(SessionRow),
    /// A statement.
    Statement(Row),
}

impl SessionEntry {
    /// Where it stands in the session's lane; a lost end comes last.
    fn place(&self) -> (i64, i64) {
        match self {
            SessionEntry::Event(event) if event.at.is_none() => (i64::MAX, event.seq),
            SessionEntry::Event(event) => (event.lane, event.seq),
            SessionEntry::Statement(row) => (row.lane, row.seq),
        }
    }

    /// Puts a session's steps and statements in order.
    pub(crate) fn sort(entries: &mut [Self]) {
        entries.sort_by_key(Self::place);
    }
}

/// A question about the life of sessions: who connected, who failed to.
#[derive(Clone, Debug, Default)]
pub struct SessionQuery {
    /// At or after this, µs since 1970.
    pub from: Option<u64>,
    /// Before this, µs since 1970.
    pub to: Option<u64>,
    /// Database users; `*` stands for any characters.
    pub user: Vec<String>,
    /// Client networks.
    pub client: Vec<ipnet::IpNet>,
    /// Why sessions ended; only ends are shown where this is set.
    pub cause: Vec<EndCause>,
    /// How many at most.
    pub limit: Option<usize>,
}

impl Archive {
    /// Steps in the life of sessions, the newest first; an end that nobody saw has no time and comes last of its
    /// day.
    ///
    /// # Errors
    /// Where a day file can't be read.
    pub fn session_events(&self, query: &SessionQuery) -> Result<Vec<SessionRow>, StoreError> {
        let conditions = query.conditions();
        let mut found: Vec<SessionRow> = Vec::new();
        for day in self.days(query.from, query.to)?.into_iter().rev() {
            let left = query.limit.map_or(-1, |limit| {
                i64::try_from(limit.saturating_sub(found.len())).unwrap_or(-1)
            });
            if left == 0 {
                break;
            }
            let Some((path, connection)) = self.day(day)? else {
                continue;
            };
            let sql = format!(
                "SELECT {} FROM {} WHERE {} ORDER BY e.at_us DESC, e.id DESC, e.step LIMIT {left}",
                SessionRow::select(),
                session_tables("main"),
                conditions.sql()
            );
            let read = || -> rusqlite::Result<Vec<SessionRow>> {
                connection
                    .prepare(&sql)?
                    .query_map(params_from_iter(conditions.values()), SessionRow::read)?
                    .collect()
            };
            found.extend(read().map_err(StoreError::sqlite(&path))?);
        }
        Ok(found)
    }

    /// Everything recorded about a session, in order. Empty where there is none.
    ///
    /// # Errors
    /// Where a day file can't be read.
    pub fn session(&self, id: SessionId) -> Result<Vec<SessionEntry>, StoreError> {
        let mut entries = Vec::new();
        let events = format!(
            "SELECT {} FROM {} WHERE e.session = ?",
            SessionRow::select(),
            session_tables("main")
        );
        let query = AuditQuery {
            session: Some(id),
            ..AuditQuery::default()
        };
        let (asked, values) = query.conditions().whole();
        let statements = format!(
            "SELECT {} FROM {} WHERE {asked}",
            Row::select(),
            statement_tables("main", STATEMENTS)
        );
        for day in self.days(None, None)? {
            let Some((path, connection)) = self.day(day)? else {
                continue;
            };
            let read = |entries: &mut Vec<SessionEntry>| {
                let key = [id.0 as i64];
                let mut events = connection.prepare(&events)?;
                for event in events.query_map(key, SessionRow::read)? {
                    entries.push(SessionEntry::Event(event?));
                }
                let mut statements = connection.prepare(&statements)?;
                for row in statements.query_map(params_from_iter(&values), Row::read)? {
                    entries.push(SessionEntry::Statement(row?));
                }
                Ok(())
            };
            read(&mut entries).map_err(StoreError::sqlite(&path))?;
        }
        SessionEntry::sort(&mut entries);
        Ok(entries)
    }
}
