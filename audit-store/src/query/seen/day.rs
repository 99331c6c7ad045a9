//! What was seen on a day of an embedded store.

use std::cell::RefCell;
use std::ops::ControlFlow;
use std::sync::Arc;

use hashbrown::HashMap;
use rusqlite::{Connection, OptionalExtension, Row, params};
use sqlward_policy::vocabulary::{Action, Dialect, Unreadable};

use super::super::STATEMENTS;
use super::super::top::PREPARES_ASIDE;
use super::shape::Columns;
use super::{Fold, Seen, SeenQuery, SeenShape, SeenSubject, SeenText};
use crate::event::{EventId, split_row_key};
use crate::record::{EndUserSource, IntentKind};

/// What is alike has equal ones; names, subjects and shapes are ids of the day.
type Key = (usize, i64, u8, String, String, Option<String>, u64);

pub(super) fn read(
    connection: &Connection,
    query: &SeenQuery,
    visit: &mut dyn FnMut(Vec<Seen>) -> ControlFlow<()>,
) -> rusqlite::Result<ControlFlow<()>> {
    let day = Day::new(connection);
    let bound = |us: u64| i64::try_from(us).unwrap_or(i64::MAX);
    let sql = format!(
        "SELECT s.id, s.start_us, s.who, s.role, s.end_user, s.end_user_source, s.kind, s.shape, s.action, s.judged,
            s.unreadable, s.text_state, s.text_len, s.text
         FROM {STATEMENTS} s
         WHERE s.block IN (SELECT b.id FROM block b WHERE b.to_us >= ?1 AND b.from_us < ?2 UNION ALL SELECT 0)
            AND s.start_us >= ?1 AND s.start_us < ?2 AND {PREPARES_ASIDE}"
    );
    let mut select = connection.prepare(&sql)?;
    let mut rows = select.query([bound(query.from), bound(query.to)])?;
    let mut fold: Fold<Key> = Fold::new();
    while let Some(row) = rows.next()? {
        let start_us = u64::try_from(row.get::<_, i64>(1)?).unwrap_or(0);
        let speaker = Speaker {
            who: row.get(2)?,
            role: row.get(3)?,
            end_user: row.get(4)?,
            source: row.get(5)?,
        };
        let (subject, node) = day.speaker(speaker)?;
        let (lane, seq) = split_row_key(row.get(0)?);
        let event = EventId::new(start_us / 1000, node, lane, seq);
        let shape: Option<i64> = row.get(7)?;
        let key = (
            subject,
            shape.unwrap_or(0),
            row.get(6)?,
            row.get(8)?,
            row.get(9)?,
            row.get(10)?,
            query.span(start_us),
        );
        fold.count(key, (start_us, event), || {
            day.describe(row, (subject, shape), (start_us, event))
        })?;
        if fold.is_full() && visit(fold.take()).is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    let rest = fold.take();
    Ok(if rest.is_empty() {
        ControlFlow::Continue(())
    } else {
        visit(rest)
    })
}

/// Who speaks, in ids of the day.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Speaker {
    who: i64,
    role: Option<i64>,
    end_user: Option<i64>,
    source: Option<u8>,
}

/// What the ids of a day stand for, as far as somebody has asked.
struct Day<'c> {
    connection: &'c Connection,
    speakers: RefCell<HashMap<Speaker, (usize, u16)>>,
    subjects: RefCell<Subjects>,
    shapes: RefCell<HashMap<i64, Option<Arc<SeenShape>>>>,
}

/// Subjects, each once: sessions differ more than those who open them.
#[derive(Default)]
struct Subjects {
    places: HashMap<Arc<SeenSubject>, usize>,
    all: Vec<Arc<SeenSubject>>,
}

impl Subjects {
    fn place(&mut self, subject: SeenSubject) -> usize {
        if let Some(place) = self.places.get(&subject) {
            return *place;
        }
        let subject = Arc::new(subject);
        self.places.insert(Arc::clone(&subject), self.all.len());
        self.all.push(subject);
        self.all.len() - 1
    }
}

impl<'c> Day<'c> {
    fn new(connection: &'c Connection) -> Self {
        Self {
            connection,
            speakers: RefCell::default(),
            subjects: RefCell::default(),
            shapes: RefCell::default(),
        }
    }

    /// The place of a speaker's subject, and the node that recorded it.
    fn speaker(&self, speaker: Speaker) -> rusqlite::Result<(usize, u16)> {
        if let Some(known) = self.speakers.borrow().get(&speaker) {
            return Ok(*known);
        }
        let (subject, node) = self.read_speaker(speaker)?;
        let place = self.subjects.borrow_mut().place(subject);
        self.speakers.borrow_mut().insert(speaker, (place, node));
        Ok((place, node))
    }

    fn read_speaker(&self, speaker: Speaker) -> rusqlite::Result<(SeenSubject, u16)> {
        let mut select = self.connection.prepare_cached(
            "SELECT w.dialect, (SELECT value FROM name WHERE id = w.user),
                (SELECT value FROM name WHERE id = w.database),
                (SELECT value FROM name WHERE id = w.application), w.client,
                (SELECT value FROM name WHERE id = w.listener), w.tls_identity, w.node,
                (SELECT count(DISTINCT x.database) FROM who x WHERE x.session = w.session) > 1
             FROM who w WHERE w.id = ?",
        )?;
        let (mut subject, node) = select.query_row([speaker.who], |row| {
            let text = |at: usize| {
                row.get::<_, Option<String>>(at)
                    .map(Option::unwrap_or_default)
            };
            let subject = SeenSubject {
                dialect: Dialect::from_word(&text(0)?).unwrap_or(Dialect::Postgres),
                user: text(1)?,
                role: None,
                database: text(2)?,
                client: text(4)?.parse().ok(),
                application: text(3)?,
                listener: text(5)?,
                end_user: None,
                tls_identity: row.get(6)?,
                moved: row.get(8)?,
            };
            Ok((subject, row.get(7)?))
        })?;
        subject.role = self.name(speaker.role)?;
        let source = speaker.source.and_then(EndUserSource::from_code);
        subject.end_user = self.name(speaker.end_user)?.zip(source);
        Ok((subject, node))
    }

    fn name(&self, id: Option<i64>) -> rusqlite::Result<Option<String>> {
        let Some(id) = id else { return Ok(None) };
        self.connection
            .prepare_cached("SELECT value FROM name WHERE id = ?")?
            .query_row([id], |row| row.get(0))
            .optional()
    }

    fn shape(&self, id: i64) -> rusqlite::Result<Option<Arc<SeenShape>>> {
        if let Some(known) = self.shapes.borrow().get(&id) {
            return Ok(known.clone());
        }
        let mut select = self.connection.prepare_cached(
            "SELECT fingerprint, normal, statements, verb, class, verbs, objects, columns, functions, egress,
                where_shape, limit_shape, dynamic FROM shape WHERE id = ?",
        )?;
        let found = select
            .query_row(params![id], |row| {
                let text = |at: usize| -> rusqlite::Result<&str> { Ok(row.get_ref(at)?.as_str()?) };
                let columns = Columns {
                    fingerprint: row.get(0)?,
                    normal: text(1)?,
                    statements: row.get(2)?,
                    verb: text(3)?,
                    class: text(4)?,
                    verbs: text(5)?,
                    objects: text(6)?,
                    columns: text(7)?,
                    functions: text(8)?,
                    egress: text(9)?,
                    where_shape: text(10)?,
                    limit: text(11)?,
                    dynamic: row.get(12)?,
                };
                Ok(columns.read())
            })
            .optional()?;
        let shape = found.flatten().map(Arc::new);
        self.shapes.borrow_mut().insert(id, shape.clone());
        Ok(shape)
    }

    fn describe(
        &self,
        row: &Row<'_>,
        (subject, shape): (usize, Option<i64>),
        (start_us, event): (u64, EventId),
    ) -> rusqlite::Result<Seen> {
        let by = self.subjects.borrow().all.get(subject).cloned();
        let unreadable: Option<String> = row.get(10)?;
        Ok(Seen {
            by: by.ok_or(rusqlite::Error::QueryReturnedNoRows)?,
            kind: word(row, 6, |code: u8| IntentKind::from_code(code))?,
            shape: shape.map(|id| self.shape(id)).transpose()?.flatten(),
            action: word(row, 8, |text: String| Action::from_word(&text))?,
            judged: word(row, 9, |text: String| Action::from_word(&text))?,
            unreadable: unreadable.and_then(|text| Unreadable::from_word(&text)),
            text: text(row)?,
            count: 1,
            first: event,
            first_us: start_us,
            last: event,
            last_us: start_us,
        })
    }
}

/// A value of a vocabulary.
fn word<T: rusqlite::types::FromSql, W>(
    row: &Row<'_>,
    at: usize,
    read: impl Fn(T) -> Option<W>,
) -> rusqlite::Result<W> {
    let odd = rusqlite::Error::InvalidColumnType(at, "word".into(), rusqlite::types::Type::Text);
    read(row.get(at)?).ok_or(odd)
}

fn text(row: &Row<'_>) -> rusqlite::Result<SeenText> {
    let (state, length): (i64, Option<i64>) = (row.get(11)?, row.get(12)?);
    let (SENT | PREPARED) = state else {
        return Ok(SeenText::Gone);
    };
    let Some(bytes) = row.get_ref(13)?.as_bytes_or_null()? else {
        return Ok(SeenText::Gone);
    };
    let whole = length.is_none_or(|length| usize::try_from(length) == Ok(bytes.len()));
    Ok(if whole {
        SeenText::Whole(bytes.into())
    } else {
        SeenText::Cut(bytes.into())
    })
}

const SENT: i64 = 1;
const PREPARED: i64 = 2;
