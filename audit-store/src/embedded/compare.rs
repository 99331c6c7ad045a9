//! Compares stored rows with what their entries say they must be.

use std::collections::HashMap;

use rusqlite::types::{ToSqlOutput, Value};
use rusqlite::{Connection, OptionalExtension, ToSql};

use super::flat::{self, Flat, FlatShape, TextState, signed};
use crate::chain::{Hash, digest};
use crate::record::{Entry, Shape};
use crate::ship::rows::{AdminRow, EventRow, StatementRow, TextRef};
use crate::ship::subject::{KnownEndUser, Who};

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

/// Compares a statement's row with what its entries say.
pub(super) fn statement(
    connection: &Connection,
    row: &StatementRow,
    shapes: &HashMap<[u8; 16], Hash>,
) -> rusqlite::Result<Comparison> {
    let Ok(intent) = flat::intent(&row.payload) else {
        return Ok(Comparison::Absent);
    };
    let prepared = match &row.text {
        TextRef::Of(payload) => flat::intent(payload).ok(),
        TextRef::Own | TextRef::Missing => None,
    };
    let flat = Flat::new(row, &intent, prepared.as_ref());
    let unknown_session = row.who.started_us.is_none();
    let unknown_text = matches!(row.text, TextRef::Missing);
    let mut expected = Expected::default();
    statement_columns(&mut expected, row, &flat);
    // An analysis that no entry tells was not known when the row was written either.
    if intent.shape.is_none_or(|key| shapes.contains_key(&key)) {
        expected.column("shape", "h.key", intent.shape.map(Vec::from));
    }
    judgement_columns(&mut expected, &flat);
    if !unknown_text {
        text_columns(&mut expected, &flat);
    }
    if !unknown_session {
        expected.who(&row.who);
        subject_columns(&mut expected, row.role.as_deref(), row.end_user.as_ref());
    }
    let tables = "statement s JOIN who w ON w.id = s.who JOIN judgement j ON j.id = s.judgement
        LEFT JOIN shape h ON h.id = s.shape LEFT JOIN text t ON t.id = s.text WHERE s.id = ?";
    let differing = expected.check(connection, tables, &[&row.key])?;
    match differing {
        Some(columns) if columns.is_empty() => Ok(Comparison::Same {
            unknown_session,
            unknown_text,
        }),
        Some(columns) => Ok(Comparison::Differs(columns)),
        // A row whose subject or judgement is gone is as bad as a changed one.
        None => {
            let exists = connection
                .prepare_cached("SELECT 1 FROM statement WHERE id = ?")?
                .exists([row.key])?;
            if exists {
                Ok(Comparison::Differs(vec!["subject"]))
            } else {
                Ok(Comparison::Absent)
            }
        }
    }
}

fn statement_columns(expected: &mut Expected, row: &StatementRow, flat: &Flat<'_>) {
    let (intent, outcome) = (flat.intent, &row.outcome);
    expected.column("session", "s.session", intent.session.0 as i64);
    expected.column("session of subject", "w.session", intent.session.0 as i64);
    expected.column("number", "s.number", intent.number);
    expected.column("kind", "s.kind", intent.kind.code());
    expected.column("parameters", "s.parameters", &flat.parameters);
    expected.column("prepared name", "s.prepared_name", &flat.prepared_name);
    expected.column("portal", "s.portal", &flat.portal);
    expected.column("start", "s.start_us", signed(intent.wall_us));
    expected.column("monotonic time", "s.mono_ns", signed(intent.mono_ns));
    expected.column("transaction", "s.tx", intent.transaction);
    expected.column("transaction status", "s.tx_status", intent.status.code());
    expected.column("trace", "s.trace", intent.trace);
    expected.column(
        "continues",
        "s.continues",
        intent.continues.map(|seq| signed(seq.0)),
    );
    expected.column("completion", "s.completion", outcome.completion.code());
    expected.column("rows", "s.rows", signed(outcome.rows));
    expected.column("affected", "s.affected", signed(outcome.affected));
    expected.column("bytes", "s.bytes", signed(outcome.bytes));
    expected.column("error", "s.sqlstate", &flat.sqlstate);
    expected.column(
        "first byte",
        "s.first_byte_us",
        outcome.first_byte_us.map(signed),
    );
    expected.column("duration", "s.duration_us", signed(outcome.duration_us));
    expected.column("statements", "s.statements", outcome.statements);
    expected.column("flag", "s.flagged", flat.flagged);
    expected.column("chain", "s.chain", row.chain);
}

fn judgement_columns(expected: &mut Expected, flat: &Flat<'_>) {
    let judgement = &flat.judgement;
    expected.column("decision", "j.action", judgement.action);
    expected.column("judged", "j.judged", judgement.judged);
    expected.column("mode", "j.mode", judgement.mode);
    expected.column("rules", "j.rules", &judgement.rules);
    expected.column("severity", "j.severity", judgement.severity);
    expected.column("severity rank", "j.severity_rank", judgement.severity_rank);
    expected.column("policy generation", "j.generation", judgement.generation);
    expected.column("unreadable", "j.unreadable", judgement.unreadable);
}

fn text_columns(expected: &mut Expected, flat: &Flat<'_>) {
    expected.column("text state", "s.text_state", flat.text_state as i64);
    expected.column("text length", "s.text_len", flat.text_len);
    expected.column("text hash", "s.text_hash", flat.text_hash.map(Vec::from));
    if flat.text_state != TextState::Normal {
        expected.column("text", "CAST(t.body AS BLOB)", flat.text);
        let digest = flat
            .text
            .map(|text| crate::chain::short_digest(text).to_vec());
        expected.column("text digest", "t.digest", digest);
    }
}

fn subject_columns(expected: &mut Expected, role: Option<&str>, end_user: Option<&KnownEndUser>) {
    expected.column("role", "(SELECT value FROM name WHERE id = s.role)", role);
    let name = end_user.map(|end_user| &*end_user.name);
    expected.column(
        "end user",
        "(SELECT value FROM name WHERE id = s.end_user)",
        name,
    );
    let source = end_user.map(|end_user| end_user.source.code());
    expected.column("end user source", "s.end_user_source", source);
    let trust = end_user.map(|end_user| end_user.trust.code());
    expected.column("end user trust", "s.end_user_trust", trust);
}

/// Compares a session event's row with its entry.
pub(super) fn event(connection: &Connection, row: &EventRow) -> rusqlite::Result<Comparison> {
    let mut expected = Expected::default();
    expected.column("session", "s.session", row.who.session as i64);
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
    let unknown_session = row.who.started_us.is_none();
    if !unknown_session {
        expected.who(&row.who);
        subject_columns(&mut expected, row.role.as_deref(), row.end_user.as_ref());
    }
    let tables = "session_event s JOIN who w ON w.id = s.who WHERE s.id = ? AND s.step = ?";
    let step = row.step.as_str();
    Ok(
        match expected.check(connection, tables, &[&row.key, &step])? {
            None => Comparison::Absent,
            Some(columns) if columns.is_empty() => Comparison::Same {
                unknown_session,
                unknown_text: false,
            },
            Some(columns) => Comparison::Differs(columns),
        },
    )
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

/// A digest over everything a day file says about a shape.
pub(super) fn shape_digest(shape: &Shape<'_>) -> Hash {
    let lists = FlatShape::new(shape);
    digest_of(&[
        &shape.fingerprint,
        shape.normal.as_bytes(),
        shape.statements.to_string().as_bytes(),
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
    ])
}

/// The keys of stored shapes that are not what their entry said.
pub(super) fn changed_shapes(
    connection: &Connection,
    known: &HashMap<[u8; 16], Hash>,
) -> rusqlite::Result<Vec<[u8; 16]>> {
    let mut select = connection.prepare(
        "SELECT h.key, h.fingerprint, CAST(t.body AS BLOB), h.statements, h.verb, h.class, h.verbs,
            h.objects, h.columns, h.functions, h.egress, h.where_shape, h.limit_shape, h.dynamic
         FROM shape h LEFT JOIN text t ON t.id = h.normal",
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
            fields.push(match row.get::<_, Value>(place)? {
                Value::Null => Vec::new(),
                Value::Integer(value) => value.to_string().into_bytes(),
                Value::Real(value) => value.to_string().into_bytes(),
                Value::Text(text) => text.into_bytes(),
                Value::Blob(bytes) => bytes,
            });
        }
        let fields: Vec<&[u8]> = fields.iter().map(Vec::as_slice).collect();
        if digest_of(&fields) != *wanted {
            changed.push(key);
        }
    }
    Ok(changed)
}

fn digest_of(fields: &[&[u8]]) -> Hash {
    let mut all = Vec::new();
    for field in fields {
        all.extend_from_slice(&(field.len() as u64).to_le_bytes());
        all.extend_from_slice(field);
    }
    digest(&all)
}
