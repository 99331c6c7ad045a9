//! What was seen, put together from rows: for stores that answer in rows alone.

use std::collections::HashSet;
use std::sync::Arc;

use hashbrown::HashMap;
use sqlward_policy::vocabulary::{Action, Dialect, Unreadable};

use super::shape::Columns;
use super::{Fold, Seen, SeenQuery, SeenShape, SeenSubject, SeenText};
use crate::event::EventId;
use crate::query::Row;
use crate::record::{Completion, EndUserSource, IntentKind};

/// What is alike has equal ones; subjects and shapes stand for their places.
type Key = (usize, usize, [String; 3], Option<String>, u64);

/// Puts rows together.
pub(crate) struct Rows<'q> {
    query: &'q SeenQuery,
    /// Sessions that were in several databases.
    moved: HashSet<String>,
    subjects: HashMap<Arc<SeenSubject>, usize>,
    shapes: HashMap<Option<Arc<SeenShape>>, usize>,
    fold: Fold<Key>,
}

impl<'q> Rows<'q> {
    pub(crate) fn new(query: &'q SeenQuery, moved: HashSet<String>) -> Self {
        Self {
            query,
            moved,
            subjects: HashMap::new(),
            shapes: HashMap::new(),
            fold: Fold::new(),
        }
    }

    /// Counts a row unless it is a prepare that succeeded; `None` where it says something that this program does not know.
    pub(crate) fn add(&mut self, row: &Row) -> Option<()> {
        let prepared = [Completion::Done, Completion::Prepared]
            .iter()
            .any(|how| how.as_str() == row.completion);
        if row.kind == IntentKind::Prepare.as_str() && prepared {
            return Some(());
        }
        self.count(row)
    }

    /// Counts a row.
    pub(super) fn count(&mut self, row: &Row) -> Option<()> {
        let kind = IntentKind::from_word(&row.kind)?;
        let event: EventId = row.event_id.parse().ok()?;
        let at: jiff::Timestamp = row.at.parse().ok()?;
        let start_us = u64::try_from(at.as_microsecond()).ok()?;
        let (by, shape) = (Arc::new(self.subject(row)?), shape(row).map(Arc::new));
        let (subjects, shapes) = (self.subjects.len(), self.shapes.len());
        let subject = *self.subjects.entry(Arc::clone(&by)).or_insert(subjects);
        let place = *self.shapes.entry(shape.clone()).or_insert(shapes);
        let words = [row.kind.clone(), row.decision.clone(), row.judged.clone()];
        let span = self.query.span(start_us);
        let key = (subject, place, words, row.unreadable.clone(), span);
        let unreadable = row.unreadable.as_deref().and_then(Unreadable::from_word);
        self.fold
            .count(key, (start_us, event), || {
                Ok::<_, ()>(Seen {
                    by,
                    kind,
                    shape,
                    action: Action::from_word(&row.decision).ok_or(())?,
                    judged: Action::from_word(&row.judged).ok_or(())?,
                    unreadable,
                    text: text(row),
                    count: 1,
                    first: event,
                    first_us: start_us,
                    last: event,
                    last_us: start_us,
                })
            })
            .ok()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.fold.is_full()
    }

    pub(crate) fn take(&mut self) -> Vec<Seen> {
        self.fold.take()
    }

    fn subject(&self, row: &Row) -> Option<SeenSubject> {
        let source = row.end_user_source.as_deref();
        let source = source.and_then(EndUserSource::from_word);
        Some(SeenSubject {
            dialect: Dialect::from_word(row.dialect.as_deref()?)?,
            user: row.user.clone().unwrap_or_default(),
            role: row.role.clone(),
            database: row.database.clone().unwrap_or_default(),
            client: row.client.as_deref().and_then(|client| client.parse().ok()),
            application: row.application.clone().unwrap_or_default(),
            listener: row.listener.clone().unwrap_or_default(),
            end_user: row.end_user.clone().zip(source),
            tls_identity: row.tls_identity.clone(),
            moved: self.moved.contains(&row.session),
        })
    }
}

fn shape(row: &Row) -> Option<SeenShape> {
    let json = |json: &'_ Option<crate::query::Json>| json.clone().map(|json| json.0);
    let print = u128::from_str_radix(row.fingerprint.as_deref()?, 16).ok()?;
    Columns {
        fingerprint: print.to_be_bytes(),
        normal: &row.normal.as_ref()?.0,
        statements: row.statements?,
        verb: row.verb.as_deref()?,
        class: row.class.as_deref()?,
        verbs: &json(&row.verbs)?,
        objects: &json(&row.objects)?,
        columns: &json(&row.columns)?,
        functions: &json(&row.functions)?,
        egress: &json(&row.egress)?,
        where_shape: row.where_shape.as_deref()?,
        limit: row.limit_shape.as_deref()?,
        dynamic: row.dynamic?,
    }
    .read()
}

fn text(row: &Row) -> SeenText {
    match (&row.text, row.text_state.as_str()) {
        (Some(text), "sent" | "prepared") => {
            let bytes: Arc<[u8]> = text.0.as_bytes().into();
            // Bytes that are no UTF-8 are written longer than they are: such a text is as good as cut.
            let whole = row
                .text_length
                .is_none_or(|length| usize::try_from(length) == Ok(bytes.len()));
            if whole {
                SeenText::Whole(bytes)
            } else {
                SeenText::Cut(bytes)
            }
        }
        (Some(_) | None, _) => SeenText::Gone,
    }
}
