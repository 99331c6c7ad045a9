//! Rankings: the n largest values of a dimension by a measure.

use std::collections::HashMap;
use std::fmt::Write as _;

use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, OptionalExtension, params_from_iter};
use serde::Serialize;

use super::row::statement_tables;
use super::{Archive, AuditQuery, STATEMENTS};
use crate::embedded::{MINUTE_US, StoreError};

/// What is ranked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dimension {
    /// Database users.
    User,
    /// Databases.
    Database,
    /// Applications.
    Application,
    /// Client addresses.
    Client,
    /// End users.
    EndUser,
    /// Fingerprints.
    Fingerprint,
    /// Verbs.
    Verb,
    /// Objects.
    Object,
    /// Rules.
    Rule,
    /// Error codes.
    Error,
    /// Sessions.
    Session,
    /// Decisions.
    Decision,
}

/// By what it is ranked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// How many statements.
    Count,
    /// How many of them failed.
    Errors,
    /// How many were refused.
    Denied,
    /// Rows returned.
    Rows,
    /// Rows affected.
    Affected,
    /// Bytes of the answers.
    Bytes,
    /// The sum of their durations, µs.
    TotalDuration,
    /// The longest duration, µs.
    MaxDuration,
}

/// One place of a ranking.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TopEntry {
    /// The value of the dimension; `None` where statements have none.
    pub value: Option<String>,
    /// The measure.
    pub measure: i64,
}

impl Dimension {
    /// Every dimension with its name.
    pub const ALL: &'static [(&'static str, Dimension)] = &[
        ("user", Dimension::User),
        ("database", Dimension::Database),
        ("application", Dimension::Application),
        ("client", Dimension::Client),
        ("end_user", Dimension::EndUser),
        ("fingerprint", Dimension::Fingerprint),
        ("verb", Dimension::Verb),
        ("object", Dimension::Object),
        ("rule", Dimension::Rule),
        ("error", Dimension::Error),
        ("session", Dimension::Session),
        ("decision", Dimension::Decision),
    ];

    /// The dimension of that name.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .find(|(name, _)| *name == word)
            .map(|(_, dimension)| *dimension)
    }

    /// The expression for rows, and the table it may need beside them.
    const fn of_rows(self) -> (&'static str, &'static str) {
        match self {
            Dimension::User => ("user_name.value", ""),
            Dimension::Database => ("database_name.value", ""),
            Dimension::Application => ("application_name.value", ""),
            Dimension::Client => ("w.client", ""),
            Dimension::EndUser => ("end_user_name.value", ""),
            Dimension::Fingerprint => ("nullif(lower(hex(h.fingerprint)), '')", ""),
            Dimension::Verb => ("h.verb", ""),
            Dimension::Object => (
                "o.qualified",
                "JOIN (SELECT DISTINCT shape, qualified FROM shape_object) o ON o.shape = s.shape",
            ),
            Dimension::Rule => ("r.value", "JOIN json_each(s.rules) r"),
            Dimension::Error => ("s.sqlstate", ""),
            Dimension::Session => ("printf('%llu', s.session)", ""),
            Dimension::Decision => ("s.action", ""),
        }
    }

    /// The column of the sums; `None` where these don't tell.
    const fn of_sums(self) -> Option<&'static str> {
        match self {
            Dimension::User => Some("r.user"),
            Dimension::Database => Some("r.database"),
            Dimension::Application => Some("r.application"),
            // Without a verb there is no analysis.
            Dimension::Fingerprint => Some("CASE WHEN r.verb <> '' THEN r.fingerprint END"),
            Dimension::Verb => Some("r.verb"),
            Dimension::Decision => Some("r.decision"),
            Dimension::Client
            | Dimension::EndUser
            | Dimension::Object
            | Dimension::Rule
            | Dimension::Error
            | Dimension::Session => None,
        }
    }

    /// What a value in that column says.
    fn readable(self, connection: &Connection, value: &[u8]) -> rusqlite::Result<Option<String>> {
        match self {
            Dimension::User | Dimension::Database | Dimension::Application => {
                let id = value.try_into().map(i64::from_le_bytes).ok();
                connection
                    .query_row("SELECT value FROM name WHERE id = ?", [id], |row| {
                        row.get(0)
                    })
                    .optional()
            }
            Dimension::Fingerprint => Ok((!value.is_empty()).then(|| {
                value.iter().fold(String::new(), |mut text, byte| {
                    let _infallible = write!(text, "{byte:02x}");
                    text
                })
            })),
            Dimension::Verb
            | Dimension::Decision
            | Dimension::Client
            | Dimension::EndUser
            | Dimension::Object
            | Dimension::Rule
            | Dimension::Error
            | Dimension::Session => {
                Ok((!value.is_empty()).then(|| String::from_utf8_lossy(value).into_owned()))
            }
        }
    }
}

impl Measure {
    /// Every measure with its name.
    pub const ALL: &'static [(&'static str, Measure)] = &[
        ("count", Measure::Count),
        ("errors", Measure::Errors),
        ("denied", Measure::Denied),
        ("rows", Measure::Rows),
        ("affected", Measure::Affected),
        ("bytes", Measure::Bytes),
        ("total_duration", Measure::TotalDuration),
        ("max_duration", Measure::MaxDuration),
    ];

    /// The measure of that name.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .find(|(name, _)| *name == word)
            .map(|(_, measure)| *measure)
    }

    const fn of_rows(self) -> &'static str {
        match self {
            Measure::Count => "count(*)",
            Measure::Errors => "count(s.sqlstate)",
            Measure::Denied => "sum(s.action IN ('deny', 'terminate'))",
            Measure::Rows => "sum(s.rows)",
            Measure::Affected => "sum(s.affected)",
            Measure::Bytes => "sum(s.bytes)",
            Measure::TotalDuration => "sum(s.duration_us)",
            Measure::MaxDuration => "max(s.duration_us)",
        }
    }

    const fn of_sums(self) -> &'static str {
        match self {
            Measure::Count => "r.count",
            Measure::Errors => "r.errors",
            Measure::Denied => "r.denied",
            Measure::Rows => "r.rows",
            Measure::Affected => "r.affected",
            Measure::Bytes => "r.bytes",
            Measure::TotalDuration => "r.total_duration",
            Measure::MaxDuration => "r.max_duration",
        }
    }

    /// Joins the measures of two days.
    fn join(self, one: i64, other: i64) -> i64 {
        match self {
            Measure::MaxDuration => one.max(other),
            Measure::Count
            | Measure::Errors
            | Measure::Denied
            | Measure::Rows
            | Measure::Affected
            | Measure::Bytes
            | Measure::TotalDuration => one.saturating_add(other),
        }
    }
}

impl Archive {
    /// The `n` largest values of `dimension` by `measure`, among the statements that `filter` selects.
    ///
    /// Prepares that succeeded do not count: they run nothing. The filter's limit and order are not used.
    ///
    /// # Errors
    /// Where a day file can't be read.
    pub fn top(
        &self,
        dimension: Dimension,
        measure: Measure,
        filter: &AuditQuery,
        n: usize,
    ) -> Result<Vec<TopEntry>, StoreError> {
        let rows = || Asked::Rows(of_rows(dimension, measure, filter));
        let asked = of_sums(dimension, measure, filter).map_or_else(rows, Asked::Sums);
        let mut sums: HashMap<Option<String>, i64> = HashMap::new();
        for day in self.days(filter.from, filter.to)? {
            let Some((path, connection)) = self.day(day)? else {
                continue;
            };
            let found = match &asked {
                Asked::Rows(question) => grouped(&connection, question),
                Asked::Sums(question) => added_up(&connection, question, dimension, measure),
            };
            for (value, size) in found.map_err(StoreError::sqlite(&path))? {
                let sum = sums.entry(value).or_insert(0);
                *sum = measure.join(*sum, size);
            }
        }
        let mut top: Vec<TopEntry> = sums
            .into_iter()
            .map(|(value, measure)| TopEntry { value, measure })
            .collect();
        top.sort_by(|a, b| {
            b.measure
                .cmp(&a.measure)
                .then_with(|| a.value.cmp(&b.value))
        });
        top.truncate(n);
        Ok(top)
    }
}

/// SQL and its values.
type Question = (String, Vec<Value>);

/// What is asked of a day: its statements, or its sums per minute.
enum Asked {
    Rows(Question),
    Sums(Question),
}

type Sizes = HashMap<Option<String>, i64>;

fn grouped(connection: &Connection, question: &Question) -> rusqlite::Result<Sizes> {
    connection
        .prepare(&question.0)?
        .query_map(params_from_iter(question.1.iter()), |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?
        .collect()
}

/// Adds up the sums of many minutes. A day has millions of them but few values: by hand that takes a fraction of the time
/// of SQLite's grouping, which sorts them.
fn added_up(
    connection: &Connection,
    question: &Question,
    dimension: Dimension,
    measure: Measure,
) -> rusqlite::Result<Sizes> {
    let mut select = connection.prepare(&question.0)?;
    let mut rows = select.query(params_from_iter(question.1.iter()))?;
    let mut sums: HashMap<Vec<u8>, i64> = HashMap::new();
    let mut key = Vec::new();
    while let Some(row) = rows.next()? {
        key.clear();
        match row.get_ref(0)? {
            ValueRef::Integer(id) => key.extend_from_slice(&id.to_le_bytes()),
            ValueRef::Blob(bytes) | ValueRef::Text(bytes) => key.extend_from_slice(bytes),
            ValueRef::Null | ValueRef::Real(_) => {}
        }
        let size = row.get(1)?;
        match sums.get_mut(key.as_slice()) {
            Some(sum) => *sum = measure.join(*sum, size),
            None => {
                sums.insert(key.clone(), size);
            }
        }
    }
    let mut sizes = Sizes::new();
    for (key, size) in sums {
        let sum = sizes
            .entry(dimension.readable(connection, &key)?)
            .or_insert(0);
        *sum = measure.join(*sum, size);
    }
    Ok(sizes)
}

fn of_rows(dimension: Dimension, measure: Measure, filter: &AuditQuery) -> Question {
    let (value, beside) = dimension.of_rows();
    let mut conditions = filter.conditions();
    conditions.add(PREPARES_ASIDE);
    if matches!(dimension, Dimension::Error) {
        conditions.add("s.sqlstate IS NOT NULL");
    }
    let (asked, values) = conditions.whole();
    let sql = format!(
        "SELECT {value}, {} FROM {} {beside} WHERE {asked} GROUP BY 1",
        measure.of_rows(),
        statement_tables("main", STATEMENTS),
    );
    (sql, values)
}

/// The same answer from the sums per minute, where they can give it.
fn of_sums(dimension: Dimension, measure: Measure, filter: &AuditQuery) -> Option<Question> {
    let value = dimension.of_sums()?;
    let minute = |us: Option<u64>| match us {
        None => Some(None),
        Some(us) if us.is_multiple_of(MINUTE_US) => Some(Some(us / MINUTE_US)),
        Some(_) => None,
    };
    let (from, to) = (minute(filter.from)?, minute(filter.to)?);
    let bare = AuditQuery {
        from: None,
        to: None,
        limit: None,
        order: super::Order::default(),
        ..filter.clone()
    };
    if !bare.conditions().is_empty() {
        return None;
    }
    let mut sql = format!(
        "SELECT {value}, {} FROM rollup r WHERE 1",
        measure.of_sums()
    );
    let mut values = Vec::new();
    for (bound, clause) in [(from, " AND r.minute >= ?"), (to, " AND r.minute < ?")] {
        if let Some(minute) = bound {
            sql.push_str(clause);
            values.push(i64::try_from(minute).unwrap_or(i64::MAX).into());
        }
    }
    Some((sql, values))
}

/// Prepares (2) that ended prepared (2) or done (1).
pub(super) const PREPARES_ASIDE: &str = "NOT (s.kind = 2 AND s.completion IN (1, 2))";
