//! A statement as auditors see it: one flat row.

use rusqlite::types::{FromSql, FromSqlResult, ValueRef};
use serde::Serialize;
use serde_json::Value;

use crate::query::table::Cell;
use crate::record::{AdminAction, Completion, Detail, EndUserSource, IntentKind, Trust, TxStatus};

/// JSON text that is already well-formed; output as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Json(pub String);

impl Serialize for Json {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let value: serde_json::Value = serde_json::from_str(&self.0).unwrap_or_default();
        value.serialize(serializer)
    }
}

impl FromSql for Json {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_str().map(|text| Json(text.to_owned()))
    }
}

/// A statement text; bytes that are no UTF-8 are shown as `\xNN`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredText(pub String);

impl Serialize for StoredText {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl FromSql for StoredText {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value {
            ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
                Ok(StoredText(crate::embedded::readable(bytes)))
            }
            ValueRef::Null | ValueRef::Integer(_) | ValueRef::Real(_) => {
                Err(rusqlite::types::FromSqlError::InvalidType)
            }
        }
    }
}

/// A field of a row, read from JSON in which JSON itself is text.
trait FromJson: Sized {
    fn from_json(value: Value) -> Option<Self>;
}

impl FromJson for String {
    fn from_json(value: Value) -> Option<Self> {
        match value {
            Value::String(text) => Some(text),
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::Array(_)
            | Value::Object(_) => None,
        }
    }
}

impl FromJson for Json {
    fn from_json(value: Value) -> Option<Self> {
        String::from_json(value).map(Json)
    }
}

impl FromJson for StoredText {
    fn from_json(value: Value) -> Option<Self> {
        String::from_json(value).map(StoredText)
    }
}

impl FromJson for i64 {
    fn from_json(value: Value) -> Option<Self> {
        value.as_i64()
    }
}

impl FromJson for bool {
    fn from_json(value: Value) -> Option<Self> {
        value.as_bool()
    }
}

impl<T: FromJson> FromJson for Option<T> {
    fn from_json(value: Value) -> Option<Self> {
        match value {
            Value::Null => Some(None),
            some => T::from_json(some).map(Some),
        }
    }
}

/// Declares a row: its fields, in the order of output, with the SQL expression behind each.
macro_rules! row {
    ($(#[$meta:meta])* $name:ident { $($(#[doc = $doc:literal])+ $field:ident: $type:ty = $sql:expr;)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq, Serialize)]
        pub struct $name { $($(#[doc = $doc])+ pub $field: $type,)+ }

        impl $name {
            /// The names of the columns, in order.
            pub const COLUMNS: &'static [&'static str] = &[$(stringify!($field),)+];

            /// What the columns mean, in order.
            pub(crate) const MEANINGS: &'static [&'static str] = &[$(concat!($($doc),+),)+];

            /// The select list.
            pub(crate) fn select() -> String {
                [$(format!("{} AS {}", $sql, stringify!($field)),)+].join(", ")
            }

            /// Reads a row of that select list.
            pub(crate) fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
                let mut places = 0usize..;
                Ok(Self { $($field: row.get(places.next().unwrap_or(usize::MAX))?,)+ })
            }

            /// Reads a row from its values in JSON, in the order of [`Self::COLUMNS`].
            pub(crate) fn from_json(values: Vec<Value>) -> Option<Self> {
                let mut values = values.into_iter();
                Some(Self { $($field: FromJson::from_json(values.next()?)?,)+ })
            }

            /// The values in the order of [`Self::COLUMNS`].
            #[must_use]
            pub fn cells(&self) -> Vec<Cell> {
                vec![$(Cell::from(self.$field.clone()),)+]
            }
        }
    };
}

row! {
    /// A statement and everything known about it.
    Row {
        /// The event id, as clients and operators quote it.
        event_id: String = "event_id(s.start_us, w.node, s.id)";
        /// When it began, RFC 3339 in UTC.
        at: String = "rfc3339(s.start_us)";
        /// The database user.
        user: Option<String> = "user_name.value";
        /// The effective role, where it differs; `?` where it was not known.
        role: Option<String> = "role_name.value";
        /// The end user.
        end_user: Option<String> = "end_user_name.value";
        /// How the end user was learnt.
        end_user_source: Option<String> = words("s.end_user_source", EndUserSource::ALL);
        /// How far that can be believed.
        end_user_trust: Option<String> = words("s.end_user_trust", Trust::ALL);
        /// The application.
        application: Option<String> = "application_name.value";
        /// The client's address.
        client: Option<String> = "w.client";
        /// The client's port.
        client_port: Option<i64> = "w.port";
        /// The database.
        database: Option<String> = "database_name.value";
        /// The first verb.
        verb: Option<String> = "h.verb";
        /// The strongest class.
        class: Option<String> = "h.class";
        /// By which message it came.
        kind: String = words("s.kind", IntentKind::ALL);
        /// The text as sent, redacted.
        text: Option<StoredText> = "s.text";
        /// Where the text comes from: sent, prepared, normal-form or none.
        text_state: String = states("s.text_state");
        /// The length of the text as sent; larger than the text where that was cut.
        text_length: Option<i64> = "s.text_len";
        /// SHA-256 of the whole text, where it was cut.
        text_hash: Option<String> = "nullif(lower(hex(s.text_hash)), '')";
        /// The normal form.
        normal: Option<StoredText> = "h.normal";
        /// The fingerprint of the normal form.
        fingerprint: Option<String> = "nullif(lower(hex(h.fingerprint)), '')";
        /// Parameter values.
        parameters: Option<Json> = "s.parameters";
        /// How much of it is recorded by its rules: full, no-parameters or digest.
        detail: String = words("s.detail", Detail::ALL);
        /// How many values and comments were taken out, as secrets or by redaction.
        redacted: i64 = "s.redacted";
        /// How many statements the text holds.
        statements: Option<i64> = "h.statements";
        /// Every verb in it.
        verbs: Option<Json> = "h.verbs";
        /// Objects by access.
        objects: Option<Json> = "h.objects";
        /// Columns by use.
        columns: Option<Json> = "h.columns";
        /// Functions called.
        functions: Option<Json> = "h.functions";
        /// Ways out of the database.
        egress: Option<Json> = "h.egress";
        /// The WHERE clause.
        where_shape: Option<String> = "h.where_shape";
        /// The LIMIT clause.
        limit_shape: Option<String> = "h.limit_shape";
        /// Whether it runs SQL built at run time.
        dynamic: Option<bool> = "h.dynamic";
        /// What was carried out.
        decision: String = "s.action";
        /// What the rules say.
        judged: String = "s.judged";
        /// The policy's mode.
        mode: String = "s.mode";
        /// The rules that matched.
        rules: Json = "s.rules";
        /// The severity.
        severity: Option<String> = "s.severity";
        /// The generation of the policy.
        policy_generation: i64 = "s.generation";
        /// Why it could not be read.
        unreadable: Option<String> = "s.unreadable";
        /// How it ended.
        completion: String = words("s.completion", Completion::ALL);
        /// The error code.
        error: Option<String> = "s.sqlstate";
        /// Rows returned.
        rows: i64 = "s.rows";
        /// Rows affected.
        affected: i64 = "s.affected";
        /// Bytes of the answer.
        bytes: i64 = "s.bytes";
        /// Time until the first byte of the answer, µs.
        first_byte_us: Option<i64> = "s.first_byte_us";
        /// Time until its end, µs.
        duration_us: i64 = "s.duration_us";
        /// How many statements of the text were completed.
        completed_statements: i64 = "s.statements";
        /// Warnings that the server counted; PostgreSQL counts none.
        warnings: i64 = "s.warnings";
        /// The session.
        session: String = "printf('%llu', s.session)";
        /// The number of the statement in its session.
        number: i64 = "s.number";
        /// The number of the transaction in its session.
        transaction_number: i64 = "s.tx";
        /// The transaction status before it.
        transaction_status: String = words("s.tx_status", TxStatus::ALL);
        /// The prepared statement's name.
        prepared_name: Option<String> = "s.prepared_name";
        /// The portal's name.
        portal: Option<String> = "s.portal";
        /// The event id's sequence number of the prepare whose row this is too.
        continues: Option<i64> = "s.continues";
        /// The trace id.
        trace: Option<String> = "s.trace";
        /// Monotonic time of the proxy process at its beginning, ns.
        mono_ns: i64 = "s.mono_ns";
        /// The server's process id for the session.
        backend_pid: Option<i64> = "w.backend_pid";
        /// The authentication method.
        auth_method: Option<String> = "w.method";
        /// The TLS version between client and proxy.
        tls_version: Option<String> = "w.tls_version";
        /// The identity in the client's certificate.
        tls_identity: Option<String> = "w.tls_identity";
        /// The dialect.
        dialect: Option<String> = "w.dialect";
        /// The protocol version.
        protocol: Option<String> = "w.protocol";
        /// The listener.
        listener: Option<String> = "listener_name.value";
        /// The upstream.
        upstream: Option<String> = "upstream_name.value";
        /// The node that recorded it.
        node: i64 = "w.node";
        /// The lane.
        lane: i64 = "(s.id >> 48)";
        /// The sequence number in its lane.
        seq: i64 = "(s.id & 281474976710655)";
        /// Its link of the hash chain.
        chain: String = "lower(hex(s.chain))";
    }
}

row! {
    /// A step in the life of a session.
    SessionRow {
        /// When, RFC 3339 in UTC; absent where the end was lost.
        at: Option<String> = "rfc3339(e.at_us)";
        /// start, authenticated, context or end.
        step: String = "e.step";
        /// The session.
        session: String = "printf('%llu', e.session)";
        /// The database user.
        user: Option<String> = "user_name.value";
        /// The effective role, where it differs; `?` where it was not known.
        role: Option<String> = "role_name.value";
        /// The end user.
        end_user: Option<String> = "end_user_name.value";
        /// How the end user was learnt.
        end_user_source: Option<String> = words("e.end_user_source", EndUserSource::ALL);
        /// How far that can be believed.
        end_user_trust: Option<String> = words("e.end_user_trust", Trust::ALL);
        /// The application.
        application: Option<String> = "application_name.value";
        /// The client's address.
        client: Option<String> = "w.client";
        /// The client's port.
        client_port: Option<i64> = "w.port";
        /// The database.
        database: Option<String> = "database_name.value";
        /// Why it ended.
        cause: Option<String> = "e.cause";
        /// The error code.
        error: Option<String> = "e.sqlstate";
        /// Bytes from the client.
        client_bytes: Option<i64> = "e.client_bytes";
        /// Bytes from the server.
        server_bytes: Option<i64> = "e.server_bytes";
        /// The authentication method.
        auth_method: Option<String> = "w.method";
        /// The server's process id for the session.
        backend_pid: Option<i64> = "w.backend_pid";
        /// The TLS version between client and proxy.
        tls_version: Option<String> = "w.tls_version";
        /// The identity in the client's certificate.
        tls_identity: Option<String> = "w.tls_identity";
        /// The dialect.
        dialect: Option<String> = "w.dialect";
        /// The protocol version.
        protocol: Option<String> = "w.protocol";
        /// The listener.
        listener: Option<String> = "listener_name.value";
        /// The upstream.
        upstream: Option<String> = "upstream_name.value";
        /// The node that recorded it.
        node: i64 = "w.node";
        /// The lane.
        lane: i64 = "(e.id >> 48)";
        /// The sequence number in its lane.
        seq: i64 = "(e.id & 281474976710655)";
        /// Its link of the hash chain.
        chain: Option<String> = "nullif(lower(hex(e.chain)), '')";
    }
}

row! {
    /// Something that happened to the proxy itself.
    AdminRow {
        /// When, RFC 3339 in UTC.
        at: String = "rfc3339(a.at_us)";
        /// What.
        action: String = "a.action";
        /// By whom or what.
        actor: String = "a.actor";
        /// Further detail.
        detail: String = "a.detail";
        /// The policy generation in force.
        policy_generation: i64 = "a.generation";
        /// SHA-256 of the configuration.
        config_hash: Option<String> = "nullif(lower(hex(a.config_hash)), '')";
        /// How many, where it counts something.
        count: i64 = "a.count";
        /// The lane.
        lane: i64 = "(a.id >> 48)";
        /// The sequence number in its lane.
        seq: i64 = "(a.id & 281474976710655)";
        /// Its link of the hash chain.
        chain: String = "lower(hex(a.chain))";
    }
}

impl AdminRow {
    /// The hash of the policy that a start or a load put into force.
    #[must_use]
    pub fn policy_hash(&self) -> Option<&str> {
        let at_start = self.action == AdminAction::Start.as_str();
        let at_load = self.action == AdminAction::Reload.as_str();
        let (_, hash) = self
            .detail
            .rsplit_once("policy ")
            .filter(|_| at_start || at_load)?;
        (hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(hash)
    }
}

/// The spelling of a code, as SQL.
fn words<W: Coded + 'static>(column: &str, all: &[W]) -> String {
    let cases: Vec<String> = all
        .iter()
        .map(|word| format!("WHEN {} THEN '{}'", word.code(), word.text()))
        .collect();
    format!("CASE {column} {} END", cases.join(" "))
}

fn states(column: &str) -> String {
    let cases: Vec<String> = crate::embedded::TextState::ALL
        .iter()
        .map(|(code, word)| format!("WHEN {code} THEN '{word}'"))
        .collect();
    format!("CASE {column} {} END", cases.join(" "))
}

/// A word with a stored code.
trait Coded {
    fn code(&self) -> u8;
    fn text(&self) -> &'static str;
}

macro_rules! coded {
    ($($name:ident),+) => {$(
        impl Coded for $name {
            fn code(&self) -> u8 {
                $name::code(*self)
            }
            fn text(&self) -> &'static str {
                self.as_str()
            }
        }
    )+};
}

coded!(
    Completion,
    Detail,
    EndUserSource,
    IntentKind,
    Trust,
    TxStatus
);

/// The tables behind [`Row`]: the statements that table `statements` shows, and what they refer to in schema `schema`.
/// The order of the joins is the order of the visit.
pub(crate) fn statement_tables(schema: &str, statements: &str) -> String {
    format!(
        "{statements} s CROSS JOIN {schema}.who w ON w.id = s.who
        LEFT JOIN {schema}.shape h ON h.id = s.shape
        LEFT JOIN {schema}.name end_user_name ON end_user_name.id = s.end_user
        LEFT JOIN {schema}.name role_name ON role_name.id = s.role {}",
        who_names(schema)
    )
}

/// The tables behind [`SessionRow`].
pub(crate) fn session_tables(schema: &str) -> String {
    format!(
        "{schema}.session_event e CROSS JOIN {schema}.who w ON w.id = e.who
        LEFT JOIN {schema}.name end_user_name ON end_user_name.id = e.end_user
        LEFT JOIN {schema}.name role_name ON role_name.id = e.role {}",
        who_names(schema)
    )
}

fn who_names(schema: &str) -> String {
    ["user", "database", "application", "listener", "upstream"]
        .map(|name| format!("LEFT JOIN {schema}.name {name}_name ON {name}_name.id = w.{name}"))
        .join(" ")
}
