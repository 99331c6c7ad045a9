//! SQL that auditors write themselves: read-only, over views that hide the files.
//!
//! `statements`, `sessions` and `administration` show the columns of [`Row`], [`SessionRow`] and [`AdminRow`] over
//! up to ten days, and the answer says which days it leaves out. Nothing can be written, attached or loaded.

use std::fmt;

use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, params};

use super::row::{session_tables, statement_tables};
use super::{AdminRow, Archive, Cell, Row, STATEMENTS, SessionRow, Table, add_functions};
use crate::chain::hex;
use crate::embedded::{StoreError, VERSION, add_statements, day_name, readable};
use crate::time::Day;

/// Which days the views show.
#[derive(Clone, Copy, Debug, Default)]
pub struct SqlRange {
    /// From this time on, µs since 1970.
    pub from: Option<u64>,
    /// Before this time, µs since 1970.
    pub to: Option<u64>,
    /// How many rows at most.
    pub limit: Option<usize>,
}

/// What a query found.
#[derive(Clone, Debug)]
pub struct SqlAnswer {
    /// Its rows.
    pub table: Table,
    /// Present where days of the range were left out.
    pub partly: Option<Partly>,
}

/// That only the last days of a range were read, and which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partly {
    /// How many days the store has of the range.
    stored: usize,
    /// How many of them were read.
    read: usize,
    first: Day,
    last: Day,
}

impl fmt::Display for Partly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            stored,
            read,
            first,
            last,
        } = self;
        write!(
            f,
            "only the last {read} of {stored} stored days were read, {first} to {last}"
        )
    }
}

/// Why a statement of an auditor was not answered.
#[derive(Debug, thiserror::Error)]
pub enum SqlError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The text holds nothing, or more than one statement.
    #[error("expected exactly one statement")]
    NotOne,
    /// It is no query.
    #[error("only queries are allowed; the audit store can't be changed")]
    NotAQuery,
    /// SQLite refused it.
    #[error("{0}")]
    Sql(String),
}

impl From<rusqlite::Error> for SqlError {
    fn from(error: rusqlite::Error) -> Self {
        SqlError::Sql(error.to_string())
    }
}

impl Archive {
    /// Answers one query over the views `statements`, `sessions` and `administration`.
    ///
    /// The views show the last ten stored days of the range, whole.
    ///
    /// # Errors
    /// Where the text is not one query, or SQLite refuses it.
    pub fn sql(&self, text: &str, range: SqlRange) -> Result<SqlAnswer, SqlError> {
        let mut days = self.days(range.from, range.to)?;
        let stored = days.len();
        days.drain(..stored.saturating_sub(MOST_DAYS));
        let partly = match days.as_slice() {
            [first, .., last] if days.len() < stored => Some(Partly {
                stored,
                read: days.len(),
                first: *first,
                last: *last,
            }),
            _ => None,
        };
        let connection = self.attached(&days)?;
        let table = ask(&connection, text, range.limit)?;
        Ok(SqlAnswer { table, partly })
    }

    /// A connection that sees the days side by side.
    fn attached(&self, days: &[Day]) -> Result<Connection, SqlError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_MEMORY
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_URI;
        let connection = Connection::open_with_flags(":memory:", flags)?;
        connection.busy_timeout(std::time::Duration::from_secs(10))?;
        connection.pragma_update(None, "temp_store", "MEMORY")?;
        add_functions(&connection)?;
        let mut views = Views::default();
        for (number, day) in days.iter().enumerate() {
            let path = self.dir.join(day_name(*day));
            let schema = format!("day{number}");
            connection
                .execute(
                    &format!("ATTACH ? AS {schema}"),
                    params![read_only_uri(&path)],
                )
                .map_err(StoreError::sqlite(&path))?;
            let version: i64 = connection
                .pragma_query_value(Some(schema.as_str()), "user_version", |row| row.get(0))
                .map_err(StoreError::sqlite(&path))?;
            // A file that has just been made holds nothing yet.
            if version == 0 {
                continue;
            }
            if version != VERSION {
                return Err(SqlError::Store(StoreError::Version {
                    path,
                    found: version,
                    known: VERSION,
                }));
            }
            let statements = format!("{schema}_{STATEMENTS}");
            add_statements(&connection, &statements, &path)?;
            views.add(&schema, &statements);
        }
        connection.execute_batch(&views.sql())?;
        Ok(connection)
    }
}

/// Asks one query of a connection that can do nothing else from here on.
fn ask(connection: &Connection, text: &str, limit: Option<usize>) -> Result<Table, SqlError> {
    connection.pragma_update(None, "query_only", "ON")?;
    connection.authorizer(Some(authorize))?;
    let mut statements = rusqlite::Batch::new(connection, text);
    let one = rusqlite::fallible_iterator::FallibleIterator::next(&mut statements)?;
    let mut statement = one.ok_or(SqlError::NotOne)?;
    if rusqlite::fallible_iterator::FallibleIterator::next(&mut statements)?.is_some() {
        return Err(SqlError::NotOne);
    }
    if !statement.readonly() || statement.column_count() == 0 {
        return Err(SqlError::NotAQuery);
    }
    let mut table = Table::new(&statement.column_names());
    let columns = table.columns.len();
    let mut rows = statement.query([])?;
    while table.rows.len() < limit.unwrap_or(usize::MAX) {
        let Some(row) = rows.next()? else { break };
        let cells: Result<Vec<Cell>, rusqlite::Error> = (0..columns)
            .map(|place| row.get_ref(place).map(cell))
            .collect();
        table.rows.push(cells?);
    }
    Ok(table)
}

/// The views over all days.
#[derive(Default)]
struct Views {
    statements: Vec<String>,
    sessions: Vec<String>,
    administration: Vec<String>,
}

impl Views {
    fn add(&mut self, schema: &str, statements: &str) {
        let select = |list: String, tables: String| format!("SELECT {list} FROM {tables}");
        self.statements
            .push(select(Row::select(), statement_tables(schema, statements)));
        self.sessions
            .push(select(SessionRow::select(), session_tables(schema)));
        self.administration
            .push(select(AdminRow::select(), format!("{schema}.admin a")));
    }

    fn sql(&self) -> String {
        let view = |name: &str, selects: &[String], columns: &[&str]| {
            let body = if selects.is_empty() {
                // No day at all: the columns without rows.
                let columns: Vec<String> = columns
                    .iter()
                    .map(|column| format!("NULL AS {column}"))
                    .collect();
                format!("SELECT {} WHERE 0", columns.join(", "))
            } else {
                selects.join(" UNION ALL ")
            };
            format!("CREATE TEMP VIEW {name} AS {body};")
        };
        [
            view("statements", &self.statements, Row::COLUMNS),
            view("sessions", &self.sessions, SessionRow::COLUMNS),
            view("administration", &self.administration, AdminRow::COLUMNS),
        ]
        .concat()
    }
}

/// Lets reading pass and nothing else.
fn authorize(context: AuthContext<'_>) -> Authorization {
    match context.action {
        AuthAction::Select | AuthAction::Read { .. } | AuthAction::Recursive => {
            Authorization::Allow
        }
        AuthAction::Function { function_name } if !function_name.starts_with("load_ext") => {
            Authorization::Allow
        }
        _ => Authorization::Deny,
    }
}

/// The URI that opens a file for reading only.
fn read_only_uri(path: &std::path::Path) -> String {
    use std::os::unix::ffi::OsStrExt;
    let mut uri = String::from("file:");
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' => {
                uri.push(char::from(*byte));
            }
            other => uri.push_str(&format!("%{other:02X}")),
        }
    }
    uri.push_str("?mode=ro");
    uri
}

fn cell(value: ValueRef<'_>) -> Cell {
    match value {
        ValueRef::Null => Cell::Null,
        ValueRef::Integer(value) => Cell::Integer(value),
        ValueRef::Real(value) => Cell::Real(value),
        ValueRef::Text(text) => Cell::Text(readable(text)),
        ValueRef::Blob(bytes) => Cell::Text(hex(bytes)),
    }
}

/// How many files SQLite attaches at once.
const MOST_DAYS: usize = 10;
