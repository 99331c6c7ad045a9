//! Rankings: the n largest values of a dimension by a measure.

use std::collections::HashMap;

use rusqlite::params_from_iter;
use rusqlite::types::Value;
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

    /// The expression for sums; `None` where these don't tell.
    const fn of_sums(self) -> Option<&'static str> {
        match self {
            Dimension::User => Some("(SELECT value FROM name WHERE id = r.user)"),
            Dimension::Database => Some("(SELECT value FROM name WHERE id = r.database)"),
            Dimension::Application => Some("(SELECT value FROM name WHERE id = r.application)"),
            Dimension::Fingerprint => {
                Some("CASE WHEN r.verb <> '' THEN lower(hex(r.fingerprint)) END")
            }
            Dimension::Verb => Some("nullif(r.verb, '')"),
            Dimension::Decision => Some("r.decision"),
            Dimension::Client
            | Dimension::EndUser
            | Dimension::Object
            | Dimension::Rule
            | Dimension::Error
            | Dimension::Session => None,
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
            Measure::Count => "sum(r.count)",
            Measure::Errors => "sum(r.errors)",
            Measure::Denied => "sum(r.denied)",
            Measure::Rows => "sum(r.rows)",
            Measure::Affected => "sum(r.affected)",
            Measure::Bytes => "sum(r.bytes)",
            Measure::TotalDuration => "sum(r.total_duration)",
            Measure::MaxDuration => "max(r.max_duration)",
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
        let (sql, values) = of_sums(dimension, measure, filter)
            .unwrap_or_else(|| of_rows(dimension, measure, filter));
        let mut sums: HashMap<Option<String>, i64> = HashMap::new();
        for day in self.days(filter.from, filter.to)? {
            let Some((path, connection)) = self.day(day)? else {
                continue;
            };
            let read = |sums: &mut HashMap<Option<String>, i64>| {
                let mut statement = connection.prepare(&sql)?;
                let mut rows = statement.query(params_from_iter(values.iter()))?;
                while let Some(row) = rows.next()? {
                    let size: i64 = row.get(1)?;
                    let sum = sums.entry(row.get(0)?).or_insert(0);
                    *sum = measure.join(*sum, size);
                }
                Ok(())
            };
            read(&mut sums).map_err(StoreError::sqlite(&path))?;
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

fn of_rows(dimension: Dimension, measure: Measure, filter: &AuditQuery) -> (String, Vec<Value>) {
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
fn of_sums(
    dimension: Dimension,
    measure: Measure,
    filter: &AuditQuery,
) -> Option<(String, Vec<Value>)> {
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
    sql.push_str(" GROUP BY 1");
    Some((sql, values))
}

/// Prepares (2) that ended prepared (2) or done (1).
pub(super) const PREPARES_ASIDE: &str = "NOT (s.kind = 2 AND s.completion IN (1, 2))";
