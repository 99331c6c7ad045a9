//! Talking to a server: over HTTP, compressed, one question at a time.

use std::time::Duration;

use bytes::Bytes;
use clickhouse::{Client, Compression};
use serde::Serialize;
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};

use super::target::Target;
use crate::query::Cell;

/// Why a ClickHouse store can't do its work.
#[derive(Debug, thiserror::Error)]
pub enum ClickHouseError {
    /// The program can't set itself up.
    #[error("no connection can be made: {0}")]
    Runtime(std::io::Error),
    /// The server did not answer in time.
    #[error("`{target}` does not answer within {wait:?}")]
    Slow {
        /// The store.
        target: String,
        /// How long it had.
        wait: Duration,
    },
    /// The certificates of authorities can't be used.
    #[error("the authorities in `{path}`: {what}")]
    Authorities {
        /// The file.
        path: String,
        /// What is wrong.
        what: String,
    },
    /// A batch can't be made.
    #[error("a batch can't be packed: {0}")]
    Pack(#[from] std::io::Error),
    /// An entry of a batch can't be read.
    #[error("an entry can't be read: {0}")]
    Entry(#[from] crate::record::CodecError),
    /// What was acknowledged is not there.
    #[error("`{target}` acknowledged {rows} rows of {table}, batch {batch}, and has {found}")]
    Lost {
        /// The store.
        target: String,
        /// The table.
        table: String,
        /// The batch.
        batch: u64,
        /// How many rows it has.
        rows: u64,
        /// How many are there.
        found: u64,
    },
    /// Another proxy ships under the same number.
    #[error(
        "`{target}`: another proxy with node = {node} was there at {at}: every proxy needs a number of its own"
    )]
    SameNode {
        /// The store.
        target: String,
        /// The number.
        node: u16,
        /// When, as the server has it.
        at: String,
    },
    /// The server can't be reached, or refused.
    #[error("`{target}`: {source}")]
    Server {
        /// The store.
        target: String,
        /// What was said.
        source: clickhouse::error::Error,
    },
    /// An answer that is none.
    #[error("`{target}`: {what}")]
    Answer {
        /// The store.
        target: String,
        /// What is wrong with it.
        what: String,
    },
    /// The store is not of this program's version.
    #[error(
        "`{target}` has schema version {found}; this program knows {known}: `sqlward store migrate` takes it there"
    )]
    Version {
        /// The store.
        target: String,
        /// Its version.
        found: u32,
        /// Ours.
        known: u32,
    },
    /// The embedded store that is read failed.
    #[error(transparent)]
    Embedded(#[from] crate::embedded::StoreError),
    /// What arrived is not what was sent.
    #[error("day {day}: {what}")]
    Import {
        /// The day.
        day: String,
        /// What differs.
        what: String,
    },
}

/// A connection to a store.
pub(crate) struct Link {
    pub(crate) target: Target,
    client: Client,
    runtime: Runtime,
    wait: Duration,
}

/// A question with its values: `{p0:String}` in the text stands for the first.
#[derive(Default)]
pub(crate) struct Question {
    pub(crate) sql: String,
    values: Vec<String>,
}

impl Question {
    pub(crate) fn new(sql: impl Into<String>) -> Self {
        Self {
            sql: sql.into(),
            values: Vec::new(),
        }
    }

    /// The placeholder of a further value of that type.
    pub(crate) fn value(&mut self, value: impl Into<String>, kind: &str) -> String {
        let place = self.values.len();
        self.values.push(value.into());
        format!("{{p{place}:{kind}}}")
    }
}

impl Link {
    pub(crate) fn new(target: Target) -> Result<Self, ClickHouseError> {
        Self::with_wait(target, WAIT)
    }

    /// A connection whose answers may take `wait` each.
    pub(crate) fn with_wait(target: Target, wait: Duration) -> Result<Self, ClickHouseError> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(ClickHouseError::Runtime)?;
        let mut client = super::tls::client(&target)?
            .with_url(&target.url)
            .with_compression(Compression::Lz4);
        if let Some(user) = &target.user {
            client = client.with_user(user);
        }
        if let Some(password) = &target.password {
            client = client.with_password(password);
        }
        for (name, value) in SETTINGS {
            client = client.with_setting(name, value);
        }
        Ok(Self {
            target,
            client,
            runtime,
            wait,
        })
    }

    fn failed(&self, source: clickhouse::error::Error) -> ClickHouseError {
        ClickHouseError::Server {
            target: self.target.to_string(),
            source,
        }
    }

    pub(crate) fn odd(&self, what: impl Into<String>) -> ClickHouseError {
        ClickHouseError::Answer {
            target: self.target.to_string(),
            what: what.into(),
        }
    }

    fn wait<T>(
        &self,
        work: impl Future<Output = Result<T, clickhouse::error::Error>>,
    ) -> Result<T, ClickHouseError> {
        self.runtime
            .block_on(async { tokio::time::timeout(self.wait, work).await })
            .map_err(|_| ClickHouseError::Slow {
                target: self.target.to_string(),
                wait: self.wait,
            })?
            .map_err(|error| self.failed(error))
    }

    /// Carries out a statement without an answer; the database need not be there yet.
    pub(crate) fn execute(&self, sql: &str) -> Result<(), ClickHouseError> {
        self.wait(self.client.query_raw(sql).execute())
    }

    /// The rows of an answer, each an array.
    pub(crate) fn ask(&self, question: &Question) -> Result<Vec<Vec<Value>>, ClickHouseError> {
        let lines = self.lines(question, "JSONCompactEachRow", &[])?;
        lines.iter().map(|line| self.row(line)).collect()
    }

    pub(crate) fn row(&self, line: &[u8]) -> Result<Vec<Value>, ClickHouseError> {
        serde_json::from_slice(line).map_err(|error| self.odd(format!("no row: {error}")))
    }

    /// The one number of an answer.
    pub(crate) fn number(&self, question: &Question) -> Result<u64, ClickHouseError> {
        self.ask(question)?
            .first()
            .and_then(|row| row.first())
            .and_then(Value::as_u64)
            .ok_or_else(|| self.odd("no number where one was asked for"))
    }

    /// The lines of an answer.
    pub(crate) fn lines(
        &self,
        question: &Question,
        format: &str,
        settings: &[(&str, &str)],
    ) -> Result<Vec<Vec<u8>>, ClickHouseError> {
        let mut query = self.client.query_raw(&question.sql);
        for (place, value) in question.values.iter().enumerate() {
            query = query.param(&format!("p{place}"), value);
        }
        for (name, value) in settings {
            query = query.with_setting(*name, *value);
        }
        let answer = self.wait(async { query.fetch_bytes(format)?.collect().await })?;
        let lines = answer.split(|byte| *byte == b'\n');
        Ok(lines
            .filter(|line| !line.is_empty())
            .map(<[u8]>::to_vec)
            .collect())
    }

    /// Puts rows into a table, all or none, and once however often the same `token` comes.
    pub(crate) fn insert(
        &self,
        table: &str,
        names: &str,
        rows: Vec<u8>,
        token: &str,
    ) -> Result<(), ClickHouseError> {
        let sql = format!("INSERT INTO {table} ({names}) FORMAT JSONCompactEachRow");
        self.wait(async {
            let mut insert = self
                .client
                .insert_formatted_with(sql)
                .with_setting("insert_deduplication_token", token);
            insert.send(Bytes::from(rows)).await?;
            insert.end().await
        })
    }
}

impl Link {
    /// Puts rows that are written in `RowBinary` and packed with zstd into a table; see [`Link::insert`].
    pub(crate) fn insert_packed(
        &self,
        table: &str,
        names: &str,
        packed: Vec<u8>,
        token: &str,
    ) -> Result<(), ClickHouseError> {
        let sql = format!("INSERT INTO {table} ({names}) FORMAT RowBinary");
        let client = self.client.clone();
        self.wait(async {
            let mut insert = client
                .with_compression(Compression::None)
                .with_header("Content-Encoding", "zstd")
                .insert_formatted_with(sql)
                .with_setting("insert_deduplication_token", token);
            insert.send(Bytes::from(packed)).await?;
            insert.end().await
        })
    }
}

/// Writes a row as the format wants it: JSON columns are texts here.
pub(crate) fn write_row(cells: &[Cell], out: &mut Vec<u8>) {
    let wires: Vec<Wire<'_>> = cells.iter().map(Wire).collect();
    // Writing numbers and texts into memory does not fail.
    if serde_json::to_writer(&mut *out, &wires).is_ok() {
        out.push(b'\n');
    }
}

struct Wire<'a>(&'a Cell);

impl Serialize for Wire<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Cell::Json(text) => serializer.serialize_str(text),
            other => other.serialize(serializer),
        }
    }
}

const SETTINGS: [(&str, &str); 9] = [
    ("async_insert", "0"),
    ("insert_deduplicate", "1"),
    ("deduplicate_blocks_in_dependent_materialized_views", "1"),
    // A batch is one part, so that it is there whole or not at all.
    ("input_format_parallel_parsing", "0"),
    ("date_time_input_format", "best_effort"),
    ("date_time_output_format", "iso"),
    ("output_format_json_quote_64bit_integers", "0"),
    ("output_format_json_escape_forward_slashes", "0"),
    // Errors come before the first row, or end the answer as errors.
    ("wait_end_of_query", "1"),
];

/// How long an answer may take.
const WAIT: Duration = Duration::from_secs(300);
