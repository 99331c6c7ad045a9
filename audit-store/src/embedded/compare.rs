//! Compares stored rows with what their entries say they must be.

use std::collections::{BTreeMap, HashMap};

use rusqlite::types::{ToSqlOutput, Value};
use rusqlite::{Connection, OptionalExtension, ToSql};

use super::block::Packed;
use super::day::SpeakerIds;
use super::flat::{self, FlatShape, signed};
use crate::chain::{Hash, digest};
use crate::event::{Seq, row_key};
use crate::record::{Entry, Shape};
use crate::ship::rows::{AdminRow, EventRow, StatementRow, TextRef};
use crate::ship::subject::{Speaker, Who};

/// What a comparison came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    /// There is no such row.
    Absent,
    /// It says what it must, as far as that is known.
    Same {
        unknown_session: bool,
        unknown_text: bool,
    },
    /// These columns say something else.
    Differs(Vec<&'static str>),
}

impl Comparison {
    fn of(differing: Vec<&'static str>, unknown_session: bool, unknown_text: bool) -> Self {
        if differing.is_empty() {
            Comparison::Same {
                unknown_session,
                unknown_text,
            }
        } else {
            Comparison::Differs(differing)
        }
    }
}

/// Columns with the values they must have.
#[derive(Default)]
struct Expected {
    columns: Vec<(&'static str, &'static str, Value)>,
}

impl Expected {
    /// `name` is for people, `sql` finds the value.
    fn column(&mut self, name: &'static str, sql: &'static str, value: impl ToSql) {
        self.columns.push((name, sql, owned(&value)));
    }

    fn select(&self) -> String {
        self.columns
            .iter()
            .map(|(_, sql, _)| *sql)
            .collect::<Vec<_>>()
            .join(", ")
    }

    fn differing(&self, row: &rusqlite::Row<'_>) -> rusqlite::Result<Vec<&'static str>> {
        let mut differing = Vec::new();
        for (place, (name, _, value)) in self.columns.iter().enumerate() {
            if row.get::<_, Value>(place)? != *value {
                differing.push(*name);
            }
        }
        Ok(differing)
    }

    /// Reads the columns of one row and compares them.
    fn check(
        &self,
        connection: &Connection,
        tables: &str,
        key: &[&dyn ToSql],
    ) -> rusqlite::Result<Option<Vec<&'static str>>> {
        let sql = format!("SELECT {} FROM {tables}", self.select());
        connection
            .prepare_cached(&sql)?
            .query_row(key, |row| self.differing(row))
            .optional()
    }

    fn who(&mut self, who: &Who) {
        self.column("node", "w.node", who.node);
        self.column("session start", "w.started_us", who.started_us.map(signed));
        self.column(
            "user",
            "(SELECT value FROM name WHERE id = w.user)",
            &who.user,
        );
        self.column(
            "database",
            "(SELECT value FROM name WHERE id = w.database)",
            &who.database,
        );
        let application = "(SELECT value FROM name WHERE id = w.application)";
        self.column("application", application, &who.application);
        self.column(
            "client",
            "w.client",
            who.client.map(|client| client.ip().to_string()),
        );
        let address = who.client.map(|client| super::address(client.ip()));
        self.column("client address", "w.address", address);
        self.column(
            "client port",
            "w.port",
            who.client.map(|client| client.port()),
        );
        self.column(
            "listener",
            "(SELECT value FROM name WHERE id = w.listener)",
            &who.listener,
        );
        self.column(
            "upstream",
            "(SELECT value FROM name WHERE id = w.upstream)",
            &who.upstream,
        );
        self.column(
            "dialect",
            "w.dialect",
            who.dialect.map(|dialect| dialect.as_str()),
        );
        self.column("tls version", "w.tls_version", &who.tls_version);
        self.column("tls identity", "w.tls_identity", &who.tls_identity);
        self.column("authentication", "w.method", &who.method);
        self.column("backend pid", "w.backend_pid", who.backend_pid);
        self.column("protocol", "w.protocol", &who.protocol);
    }
}

fn owned(value: &dyn ToSql) -> Value {
    match value.to_sql() {
        Ok(ToSqlOutput::Owned(value)) => value,
        Ok(ToSqlOutput::Borrowed(value)) => value.try_into().unwrap_or(Value::Null),
        Ok(_) | Err(_) => Value::Null,
    }
}

/// Compares a speaker as a block or row names it with who it must be; answers what differs.
pub(super) fn speaker(
    connection: &Connection,
    ids: &SpeakerIds,
    speaker: &Speaker,
) -> rusqlite::Result<Vec<&'static str>> {
    let mut expected = Expected::default();
    expected.who(&speaker.who);
    expected.column(
        "session of subject",
        "w.session",
        speaker.who.session as i64,
    );
    let role = "(SELECT value FROM name WHERE id = ?2)";
    expected.column("role", role, speaker.role.as_deref());
    let end_user = speaker.end_user.as_ref();
    let name = "(SELECT value FROM name WHERE id = ?3)";
    expected.column("end user", name, end_user.map(|end_user| &*end_user.name));
    let source = end_user.map(|end_user| end_user.source.code());
    expected.column("end user source", "?4", source);
    let trust = end_user.map(|end_user| end_user.trust.code());
    expected.column("end user trust", "?5", trust);
    let key: [&dyn ToSql; 5] = [&ids.who, &ids.role, &ids.end_user, &ids.source, &ids.trust];
    let differing = expected.check(connection, "who w WHERE w.id = ?1", &key)?;
    Ok(differing.unwrap_or_else(|| vec!["subject"]))
}

/// Compares a statement that is stored whole with what its entries say. `block` is the one that ended it, where an
/// entry did.
pub(super) fn carried(
    connection: &Connection,
    row: &StatementRow,
    block: Option<i64>,
) -> rusqlite::Result<Comparison> {
    let ids = connection
        .prepare_cached(
            "SELECT who, role, end_user, end_user_source, end_user_trust FROM carried WHERE id = ?",
        )?
        .query_row([row.key()], |row| {
            Ok(SpeakerIds {
                who: row.get(0)?,
                role: row.get(1)?,
                end_user: row.get(2)?,
                source: row.get(3)?,
                trust: row.get(4)?,
            })
        })
        .optional()?;
    let Some(ids) = ids else {
        return Ok(Comparison::Absent);
    };
    let mut expected = Expected::default();
    expected.column("intent", "c.intent", row.payload.to_vec());
    let outcome = flat::outcome_payload(&row.outcome);
    expected.column("outcome", "c.outcome", outcome);
    expected.column("chain", "c.chain", row.chain.to_vec());
    if let Some(block) = block {
        expected.column("block", "c.block", block);
    }
    let differing = expected.check(connection, "carried c WHERE c.id = ?", &[&row.key()])?;
    let mut differing = differing.unwrap_or_default();
    if let TextRef::Of(seq, payload) = &row.text
        && !has_prepared(connection, row.lane, *seq, payload)?
    {
        differing.push("text");
    }
    let unknown_text = matches!(row.text, TextRef::Missing);
    let unknown_session = row.speaker.who.started_us.is_none();
    if !unknown_session {
        differing.extend(speaker(connection, &ids, &row.speaker)?);
    }
    Ok(Comparison::of(differing, unknown_session, unknown_text))
}

/// Compares what a day file says of a block with what its entries say; answers what differs.
pub(super) fn block(
    connection: &Connection,
    packed: &Packed,
) -> rusqlite::Result<Vec<&'static str>> {
    let mut expected = Expected::default();
    expected.column("rows", "b.rows", packed.rows.clone());
    expected.column("statements", "b.statements", signed(packed.statements));
    expected.column("from", "b.from_us", signed(packed.span.from_us));
    expected.column("to", "b.to_us", signed(packed.span.to_us));
    expected.column("flagged", "b.flagged", signed(packed.span.flagged));
    // Texts that are no longer known can't be told from the filter.
    if !packed.grams.is_empty() {
        expected.column("grams", "b.grams", packed.grams.clone());
    }
    let found = expected.check(connection, "block b WHERE b.id = ?", &[&packed.id()])?;
    let mut differing = found.unwrap_or_default();
    let speakers = connection
        .prepare_cached("SELECT speakers FROM block WHERE id = ?")?
        .query_row([packed.id()], |row| row.get::<_, Vec<u8>>(0))?;
    let speakers = SpeakerIds::read(&speakers).unwrap_or_default();
    if speakers.len() != packed.speakers.len() {
        differing.push("speakers");
    }
    for (ids, known) in speakers.iter().zip(&packed.speakers) {
        if known.who.started_us.is_some() {
            differing.extend(speaker(connection, ids, known)?);
        }
        let found = connection
            .prepare_cached("SELECT 1 FROM block_who WHERE who = ? AND block = ?")?
            .exists([ids.who, packed.id()])?;
        if !found {
            differing.push("who speaks in it");
        }
    }
    for (seq, payload) in &packed.prepared {
        if !has_prepared(connection, packed.lane, *seq, payload)? {
            differing.push("text");
        }
    }
    Ok(differing)
}

/// Whether the intent whose text others have is stored as it was written.
fn has_prepared(
    connection: &Connection,
    lane: u16,
    seq: Seq,
    payload: &[u8],
) -> rusqlite::Result<bool> {
    let same = connection
        .prepare_cached("SELECT intent FROM prepared WHERE id = ?")?
        .query_row([row_key(lane, seq)], |row| {
            Ok(row.get_ref(0)?.as_blob()? == payload)
        })
        .optional()?;
    Ok(same.unwrap_or(false))
}

/// Compares a session event's row with its entry.
pub(super) fn event(connection: &Connection, row: &EventRow) -> rusqlite::Result<Comparison> {
    let mut expected = Expected::default();
    let session = row.speaker.who.session as i64;
    expected.column("session", "s.session", session);
    expected.column("time", "s.at_us", row.at_us.map(signed));
    expected.column("cause", "s.cause", row.cause.map(|cause| cause.as_str()));
    expected.column("error", "s.sqlstate", row.sqlstate.map(flat::sqlstate));
    expected.column(
        "client bytes",
        "s.client_bytes",
        row.client_bytes.map(signed),
    );
    expected.column(
        "server bytes",
        "s.server_bytes",
        row.server_bytes.map(signed),
    );
    expected.column("chain", "s.chain", row.chain.map(Vec::from));
    let step = row.step.as_str();
    let key: [&dyn ToSql; 2] = [&row.key, &step];
    let tables = "session_event s WHERE s.id = ? AND s.step = ?";
    let Some(mut differing) = expected.check(connection, tables, &key)? else {
        return Ok(Comparison::Absent);
    };
    let unknown_session = row.speaker.who.started_us.is_none();
    if !unknown_session {
        let ids = connection
            .prepare_cached(
                "SELECT who, role, end_user, end_user_source, end_user_trust FROM session_event
                 WHERE id = ? AND step = ?",
            )?
            .query_row(key, |row| {
                Ok(SpeakerIds {
                    who: row.get(0)?,
                    role: row.get(1)?,
                    end_user: row.get(2)?,
                    source: row.get(3)?,
                    trust: row.get(4)?,
                })
            })?;
        differing.extend(speaker(connection, &ids, &row.speaker)?);
    }
    Ok(Comparison::of(differing, unknown_session, false))
}

/// Compares an administrative row with its entry.
pub(super) fn admin(connection: &Connection, row: &AdminRow) -> rusqlite::Result<Comparison> {
    let Ok(Entry::Admin(admin)) = Entry::decode(9, &row.payload) else {
        return Ok(Comparison::Absent);
    };
    let mut expected = Expected::default();
    expected.column("time", "s.at_us", signed(admin.at_us));
    expected.column("action", "s.action", admin.action.as_str());
    expected.column("actor", "s.actor", admin.actor);
    expected.column("detail", "s.detail", admin.detail);
    expected.column("generation", "s.generation", signed(admin.generation));
    expected.column(
        "config hash",
        "s.config_hash",
        admin.config_hash.map(Vec::from),
    );
    expected.column("count", "s.count", signed(admin.count));
    expected.column("chain", "s.chain", row.chain);
    Ok(
        match expected.check(connection, "admin s WHERE s.id = ?", &[&row.key])? {
            None => Comparison::Absent,
            Some(columns) if columns.is_empty() => Comparison::Same {
                unknown_session: false,
                unknown_text: false,
            },
            Some(columns) => Comparison::Differs(columns),
        },
    )
}

/// A digest over everything a day file says about a shape, the rows of its objects included.
pub(super) fn shape_digest(shape: &Shape<'_>) -> Hash {
    let lists = FlatShape::new(shape);
    let mut objects = BTreeMap::new();
    for object in shape.objects.iter() {
        let qualified = flat::qualified(object.schema, object.name);
        // As they are stored: the first of those that are alike.
        objects
            .entry((qualified, object.kind.as_str(), object.access.as_str()))
            .or_insert(object.name);
    }
    let statements = shape.statements.to_string();
    let mut fields: Vec<&[u8]> = vec![
        &shape.fingerprint,
        shape.normal.as_bytes(),
        statements.as_bytes(),
        shape.verb.as_str().as_bytes(),
        shape.class.as_str().as_bytes(),
        lists.verbs.as_bytes(),
        lists.objects.as_bytes(),
        lists.columns.as_bytes(),
        lists.functions.as_bytes(),
        lists.egress.as_bytes(),
        shape.where_shape.as_str().as_bytes(),
        shape.limit.as_str().as_bytes(),
        if shape.dynamic { b"1" } else { b"0" },
    ];
    for ((qualified, kind, access), name) in &objects {
        fields.extend([qualified, *kind, *access, *name].map(str::as_bytes));
    }
    digest_of(&fields)
}

/// The keys of stored shapes that, or whose objects, are not what their entry said.
pub(super) fn changed_shapes(
    connection: &Connection,
    known: &HashMap<[u8; 16], Hash>,
) -> rusqlite::Result<Vec<[u8; 16]>> {
    let mut select = connection.prepare(
        "SELECT key, fingerprint, normal, statements, verb, class, verbs, objects, columns, functions,
            egress, where_shape, limit_shape, dynamic, id FROM shape",
    )?;
    let mut objects = connection.prepare(
        "SELECT qualified, kind, access, name FROM shape_object WHERE shape = ?
            ORDER BY qualified, kind, access",
    )?;
    let mut rows = select.query([])?;
    let mut changed = Vec::new();
    while let Some(row) = rows.next()? {
        let Ok(key) = row.get::<_, [u8; 16]>(0) else {
            changed.push([0; 16]);
            continue;
        };
        let Some(wanted) = known.get(&key) else {
            continue;
        };
        let mut fields = Vec::new();
        for place in 1..14 {
            fields.push(bytes_of(row.get(place)?));
        }
        let mut objects = objects.query([row.get::<_, i64>(14)?])?;
        while let Some(object) = objects.next()? {
            for place in 0..4 {
                fields.push(bytes_of(object.get(place)?));
            }
        }
        let fields: Vec<&[u8]> = fields.iter().map(Vec::as_slice).collect();
        if digest_of(&fields) != *wanted {
            changed.push(key);
        }
    }
    Ok(changed)
}

/// How many objects are stored for shapes that are not.
pub(super) fn stray_objects(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row(
        "SELECT count(*) FROM shape_object WHERE shape NOT IN (SELECT id FROM shape)",
        [],
        |row| row.get(0),
    )
}

fn bytes_of(value: Value) -> Vec<u8> {
    match value {
        Value::Null => Vec::new(),
        Value::Integer(value) => value.to_string().into_bytes(),
        Value::Real(value) => value.to_string().into_bytes(),
        Value::Text(text) => text.into_bytes(),
        Value::Blob(bytes) => bytes,
    }
}

fn digest_of(fields: &[&[u8]]) -> Hash {
    let mut all = Vec::new();
    for field in fields {
        all.extend_from_slice(&(field.len() as u64).to_le_bytes());
        all.extend_from_slice(field);
    }
    digest(&all)
}
