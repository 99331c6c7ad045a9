//! Questions to a ClickHouse store: the same as to an embedded one, with the same answers.

use std::collections::HashSet;
use std::ops::ControlFlow;

use serde_json::Value;

use super::filter::moment;
use super::link::{ClickHouseError, Link, Question};
use super::schema::{ADMINISTRATION, Column, SESSIONS, STATEMENTS, TableDefinition};
use super::target::{Target, identifier};
use crate::event::{EventId, SessionId};
use crate::query::{
    AdminRow, AuditQuery, Cell, Dimension, EXTENT, Measure, Order, Row, Seen, SeenQuery, SeenRows,
    SessionEntry, SessionQuery, SessionRow, Table, TopEntry,
};

/// A ClickHouse store, open for reading.
pub struct ClickHouse {
    pub(super) link: Link,
}

impl ClickHouse {
    /// Opens the store at `target` for reading.
    ///
    /// # Errors
    /// Where the server can't be asked, or the store is of another version.
    pub fn open(target: Target) -> Result<Self, ClickHouseError> {
        let link = Link::new(target)?;
        super::migrate::check(&link)?;
        Ok(Self { link })
    }

    pub(super) fn table(&self, table: &TableDefinition) -> String {
        format!(
            "{}.{} AS s",
            identifier(&self.link.target.database),
            table.name
        )
    }

    /// The statements that a query asks for.
    ///
    /// # Errors
    /// Where the server can't be asked.
    pub fn search(&self, query: &AuditQuery) -> Result<Vec<Row>, ClickHouseError> {
        let mut question = Question::default();
        let asked = query.clickhouse(&mut question);
        question.sql = format!(
            "SELECT {} FROM {} WHERE {asked} ORDER BY {}{}",
            select(STATEMENTS.columns),
            self.table(&STATEMENTS),
            query.order.clickhouse(),
            limit(query.limit),
        );
        self.rows(&question, Row::from_json)
    }

    /// The statements that a node began in a span of time, in any order.
    pub(super) fn statements_of(
        &self,
        node: u16,
        (from, to): (u64, u64),
    ) -> Result<Vec<Row>, ClickHouseError> {
        let mut question = Question::default();
        let asked = span(from, to).clickhouse(&mut question);
        question.sql = format!(
            "SELECT {} FROM {} WHERE s.node = {node} AND {asked}",
            select(STATEMENTS.columns),
            self.table(&STATEMENTS),
        );
        self.rows(&question, Row::from_json)
    }

    /// How many there are.
    pub(super) fn count_of(
        &self,
        node: u16,
        (from, to): (u64, u64),
    ) -> Result<u64, ClickHouseError> {
        let mut question = Question::default();
        let asked = span(from, to).clickhouse(&mut question);
        question.sql = format!(
            "SELECT count() FROM {} WHERE s.node = {node} AND {asked}",
            self.table(&STATEMENTS),
        );
        self.link.number(&question)
    }

    /// Steps in the life of a node's sessions in a span of time, in any order.
    pub(super) fn steps_of(
        &self,
        node: u16,
        query: &SessionQuery,
    ) -> Result<Vec<SessionRow>, ClickHouseError> {
        let mut question = Question::default();
        let asked = query.clickhouse(&mut question);
        let asked = format!("s.node = {node} AND {asked}");
        self.steps(question, &asked, "s.lane, s.seq", None)
    }

    /// The statement of an event id. The id of a prepare whose row its execution took over finds that row.
    ///
    /// # Errors
    /// Where the server can't be asked.
    pub fn event(&self, id: EventId) -> Result<Option<Row>, ClickHouseError> {
        let place = format!(
            "s.node = {} AND s.lane = {} AND toDate(s.at) = toDate('{}')",
            id.node(),
            id.lane(),
            moment(id.wall_ms().saturating_mul(1000))
                .get(..10)
                .unwrap_or(""),
        );
        let seq = id.seq().0;
        let near = format!("s.continues = {seq} AND s.seq >= {seq}");
        for test in [format!("s.seq = {seq}"), near] {
            let question = Question::new(format!(
                "SELECT {} FROM {} WHERE {place} AND {test} ORDER BY s.seq LIMIT 1",
                select(STATEMENTS.columns),
                self.table(&STATEMENTS),
            ));
            let found = self.rows(&question, Row::from_json)?;
            if let Some(row) = found.into_iter().next() {
                return Ok(Some(row));
            }
        }
        Ok(None)
    }

    /// Shows what was seen, a batch at a time, as [`crate::query::Archive::seen`] does.
    ///
    /// # Errors
    /// Where the server can't be asked.
    pub fn seen(
        &self,
        query: &SeenQuery,
        visit: &mut dyn FnMut(Vec<Seen>) -> ControlFlow<()>,
    ) -> Result<(), ClickHouseError> {
        let mut rows = SeenRows::new(query, self.moved(query)?);
        let mut from = query.from;
        while from < query.to {
            let to = query.to.min(from.saturating_add(SEEN_AT_ONCE_US));
            let span = AuditQuery {
                from: Some(from),
                to: Some(to),
                order: Order::Oldest,
                ..AuditQuery::default()
            };
            for row in self.search(&span)? {
                rows.add(&row)
                    .ok_or_else(|| self.link.odd("a row says what is not known"))?;
                if rows.is_full() && visit(rows.take()).is_break() {
                    return Ok(());
                }
            }
            from = to;
        }
        let rest = rows.take();
        if !rest.is_empty() {
            let _ = visit(rest);
        }
        Ok(())
    }

    /// Sessions that were in several databases.
    fn moved(&self, query: &SeenQuery) -> Result<HashSet<String>, ClickHouseError> {
        let mut question = Question::default();
        let [from, to] =
            [query.from, query.to].map(|us| question.value(moment(us), "DateTime64(6, 'UTC')"));
        question.sql = format!(
            "SELECT toString(s.session) FROM {} WHERE s.at >= {from} AND s.at < {to}
             GROUP BY s.node, s.session HAVING uniqExact(s.database) > 1",
            self.table(&STATEMENTS),
        );
        let sessions = self.rows(&question, |row| {
            row.first().and_then(Value::as_str).map(str::to_owned)
        })?;
        Ok(sessions.into_iter().collect())
    }

    /// Steps in the life of sessions, the newest first; an end that nobody saw has no time and comes last of its day.
    ///
    /// # Errors
    /// Where the server can't be asked.
    pub fn session_events(&self, query: &SessionQuery) -> Result<Vec<SessionRow>, ClickHouseError> {
        let mut question = Question::default();
        let asked = query.clickhouse(&mut question);
        self.steps(
            question,
            &asked,
            "s.day DESC, s.at DESC NULLS LAST, s.lane DESC, s.seq DESC, s.step",
            query.limit,
        )
    }

    /// Everything recorded about a session, in order. Empty where there is none.
    ///
    /// # Errors
    /// Where the server can't be asked.
    pub fn session(&self, id: SessionId) -> Result<Vec<SessionEntry>, ClickHouseError> {
        let mut question = Question::default();
        let asked = format!("s.session = {}", question.value(id.to_string(), "UInt64"));
        // As an embedded store has them: day by day, in the order of their keys.
        let order = "s.day, s.lane, s.seq, s.step";
        let steps = self.steps(question, &asked, order, None)?;
        let query = AuditQuery {
            session: Some(id),
            order: crate::query::Order::Oldest,
            ..AuditQuery::default()
        };
        let mut entries: Vec<SessionEntry> = steps.into_iter().map(SessionEntry::Event).collect();
        let statements = self.search(&query)?;
        entries.extend(statements.into_iter().map(SessionEntry::Statement));
        SessionEntry::sort(&mut entries);
        Ok(entries)
    }

    fn steps(
        &self,
        mut question: Question,
        asked: &str,
        order: &str,
        most: Option<usize>,
    ) -> Result<Vec<SessionRow>, ClickHouseError> {
        let columns = SESSIONS.columns.get(1..).unwrap_or_default();
        question.sql = format!(
            "SELECT {} FROM {} WHERE {asked} ORDER BY {order}{}",
            select(columns),
            self.table(&SESSIONS),
            limit(most),
        );
        self.rows(&question, SessionRow::from_json)
    }

    /// What happened to proxies, oldest first.
    ///
    /// # Errors
    /// Where the server can't be asked.
    pub fn administration(
        &self,
        from: Option<u64>,
        to: Option<u64>,
    ) -> Result<Vec<AdminRow>, ClickHouseError> {
        self.administered("1".to_owned(), from, to)
    }

    /// What happened to the proxy of that node.
    pub(super) fn administration_of(
        &self,
        node: u16,
        from: Option<u64>,
        to: Option<u64>,
    ) -> Result<Vec<AdminRow>, ClickHouseError> {
        self.administered(format!("s.node = {node}"), from, to)
    }

    fn administered(
        &self,
        whose: String,
        from: Option<u64>,
        to: Option<u64>,
    ) -> Result<Vec<AdminRow>, ClickHouseError> {
        let mut question = Question::default();
        let mut asked = vec![whose];
        for (bound, test) in [(from, "s.at >="), (to, "s.at <")] {
            if let Some(us) = bound {
                let value = question.value(moment(us), "DateTime64(6, 'UTC')");
                asked.push(format!("{test} {value}"));
            }
        }
        question.sql = format!(
            "SELECT {} FROM {} WHERE {} ORDER BY s.at, s.lane, s.seq, s.node",
            select(ADMINISTRATION.columns.get(1..).unwrap_or_default()),
            self.table(&ADMINISTRATION),
            asked.join(" AND "),
        );
        self.rows(&question, AdminRow::from_json)
    }

    /// How many statements of a span of time are recorded to which extent.
    pub(crate) fn extents(
        &self,
        from: Option<u64>,
        to: Option<u64>,
    ) -> Result<Vec<(String, u64)>, ClickHouseError> {
        let mut question = Question::default();
        let filter = AuditQuery {
            from,
            to,
            ..AuditQuery::default()
        };
        let asked = filter.clickhouse(&mut question);
        question.sql = format!(
            "SELECT {EXTENT} AS extent, toInt64(count()) FROM {} WHERE {asked} GROUP BY extent",
            self.table(&STATEMENTS),
        );
        self.rows(&question, |row| {
            let [extent, count] = <[Value; 2]>::try_from(row).ok()?;
            Some((extent.as_str()?.to_owned(), count.as_u64()?))
        })
    }

    /// The `n` largest values of `dimension` by `measure`, among the statements that `filter` selects.
    ///
    /// Prepares that succeeded do not count: they run nothing. The filter's limit and order are not used.
    ///
    /// # Errors
    /// Where the server can't be asked.
    pub fn top(
        &self,
        dimension: Dimension,
        measure: Measure,
        filter: &AuditQuery,
        n: usize,
    ) -> Result<Vec<TopEntry>, ClickHouseError> {
        let mut question = Question::default();
        let asked = filter.clickhouse(&mut question);
        let (value, condition) = value(dimension);
        question.sql = format!(
            "SELECT {value} AS value_of, {} AS size FROM {} WHERE {asked} AND {PREPARES_ASIDE} AND {condition}
             GROUP BY value_of ORDER BY size DESC, value_of ASC NULLS FIRST{}",
            size(measure),
            self.table(&STATEMENTS),
            limit(Some(n)),
        );
        self.rows(&question, |row| {
            let [value, measure] = <[Value; 2]>::try_from(row).ok()?;
            Some(TopEntry {
                value: value.as_str().map(str::to_owned),
                measure: measure.as_i64()?,
            })
        })
    }

    /// Answers one query of an auditor in ClickHouse's SQL, read-only, over the store's tables.
    ///
    /// # Errors
    /// Where the server can't be asked, or refuses.
    pub fn sql(&self, text: &str, most: Option<usize>) -> Result<Table, ClickHouseError> {
        let database = self.link.target.database.clone();
        let rows = most.map_or_else(|| "0".to_owned(), |most| most.to_string());
        let settings = [
            ("readonly", "1"),
            ("database", database.as_str()),
            ("max_result_rows", rows.as_str()),
            ("result_overflow_mode", "break"),
        ];
        let question = Question::new(text);
        let lines = self
            .link
            .lines(&question, "JSONCompactEachRowWithNames", &settings)?;
        let mut lines = lines.iter();
        let names = match lines.next() {
            Some(line) => self.link.row(line)?,
            None => Vec::new(),
        };
        let names: Vec<&str> = names.iter().filter_map(Value::as_str).collect();
        let mut table = Table::new(&names);
        for line in lines.take(most.unwrap_or(usize::MAX)) {
            let row = self.link.row(line)?;
            table.rows.push(row.into_iter().map(cell).collect());
        }
        Ok(table)
    }

    fn rows<T>(
        &self,
        question: &Question,
        read: impl Fn(Vec<Value>) -> Option<T>,
    ) -> Result<Vec<T>, ClickHouseError> {
        let lines = self.link.lines(question, "JSONCompactEachRow", &[])?;
        lines
            .iter()
            .map(|line| read(self.link.row(line)?).ok_or_else(|| self.link.odd("no such row")))
            .collect()
    }
}

fn select(columns: &[Column]) -> String {
    let columns: Vec<String> = columns.iter().map(Column::select).collect();
    columns.join(", ")
}

fn span(from: u64, to: u64) -> AuditQuery {
    AuditQuery {
        from: Some(from),
        to: Some(to),
        ..AuditQuery::default()
    }
}

fn limit(most: Option<usize>) -> String {
    most.filter(|most| u64::try_from(*most).is_ok_and(|most| most < 1 << 62))
        .map_or_else(String::new, |most| format!(" LIMIT {most}"))
}

/// The expression of a dimension, and what must hold for a statement to have it.
const fn value(dimension: Dimension) -> (&'static str, &'static str) {
    match dimension {
        Dimension::User => ("s.user", "1"),
        Dimension::Database => ("s.database", "1"),
        Dimension::Application => ("s.application", "1"),
        Dimension::Client => ("s.client", "1"),
        Dimension::EndUser => ("s.end_user", "1"),
        Dimension::Fingerprint => ("s.fingerprint", "1"),
        Dimension::Verb => ("s.verb", "1"),
        Dimension::Object => ("arrayJoin(s.qualified_names)", "1"),
        Dimension::Rule => ("arrayJoin(s.rule_names)", "1"),
        Dimension::Error => ("s.error", "s.error IS NOT NULL"),
        Dimension::Session => ("toString(s.session)", "1"),
        Dimension::Decision => ("s.decision", "1"),
    }
}

const fn size(measure: Measure) -> &'static str {
    match measure {
        Measure::Count => "count()",
        Measure::Errors => "count(s.error)",
        Measure::Denied => "countIf(s.decision IN ('deny', 'terminate'))",
        Measure::Rows => "sum(s.rows)",
        Measure::Affected => "sum(s.affected)",
        Measure::Bytes => "sum(s.bytes)",
        Measure::TotalDuration => "sum(s.duration_us)",
        Measure::MaxDuration => "max(s.duration_us)",
    }
}

fn cell(value: Value) -> Cell {
    match value {
        Value::Null => Cell::Null,
        Value::Bool(value) => Cell::Bool(value),
        // Numbers beyond 63 bits stay exact as text.
        Value::Number(number) if number.is_u64() && number.as_i64().is_none() => {
            Cell::Text(number.to_string())
        }
        Value::Number(number) => number.as_i64().map_or_else(
            || number.as_f64().map_or(Cell::Null, Cell::Real),
            Cell::Integer,
        ),
        Value::String(text) => Cell::Text(text),
        other @ (Value::Array(_) | Value::Object(_)) => Cell::Json(other.to_string()),
    }
}

/// How much time's rows are asked for at once, µs.
const SEEN_AT_ONCE_US: u64 = 10 * 60 * 1_000_000;

/// Prepares that ended prepared or done.
const PREPARES_ASIDE: &str = "NOT (s.kind = 'prepare' AND s.completion IN ('done', 'prepared'))";
