//! One session, whole and in order.

use serde::Serialize;

use super::row::{session_tables, statement_tables};
use super::{Archive, Row, SessionRow};
use crate::embedded::StoreError;
use crate::event::SessionId;

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
}

impl Archive {
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
        let statements = format!(
            "SELECT {} FROM {} WHERE s.session = ?",
            Row::select(),
            statement_tables("main")
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
                for row in statements.query_map(key, Row::read)? {
                    entries.push(SessionEntry::Statement(row?));
                }
                Ok(())
            };
            read(&mut entries).map_err(StoreError::sqlite(&path))?;
        }
        entries.sort_by_key(SessionEntry::place);
        Ok(entries)
    }
}
