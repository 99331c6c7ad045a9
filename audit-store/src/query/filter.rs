//! What auditors may ask, and the SQL it becomes.

use ipnet::IpNet;
use rusqlite::types::Value;
use sqlward_policy::vocabulary::{Action, Class, Severity, Verb};

use crate::embedded::{address, rank};
use crate::event::SessionId;
use crate::query::SessionQuery;
use crate::record::{Completion, IntentKind};

/// A question about statements: every filter that is set must hold; within a list, one value must.
///
/// Names are compared exactly; `*` stands for any characters.
#[derive(Clone, Debug, Default)]
pub struct AuditQuery {
    /// Begun at or after this, µs since 1970.
    pub from: Option<u64>,
    /// Begun before this, µs since 1970.
    pub to: Option<u64>,
    /// Database users.
    pub user: Vec<String>,
    /// End users.
    pub end_user: Vec<String>,
    /// Client networks.
    pub client: Vec<IpNet>,
    /// Applications.
    pub application: Vec<String>,
    /// Databases.
    pub database: Vec<String>,
    /// Verbs, nested ones included.
    pub verb: Vec<Verb>,
    /// Classes.
    pub class: Vec<Class>,
    /// Objects, as `name` (in any schema) or `schema.name`.
    pub object: Vec<String>,
    /// What was carried out.
    pub decision: Vec<Action>,
    /// What the rules say, also where it was only observed.
    pub judged: Vec<Action>,
    /// Rules that matched.
    pub rule: Vec<String>,
    /// The least severity.
    pub severity: Option<Severity>,
    /// One session.
    pub session: Option<SessionId>,
    /// Error codes, by SQLSTATE or by MySQL's number; `*` for any error.
    pub error: Vec<String>,
    /// The least duration, µs.
    pub min_duration: Option<u64>,
    /// The least number of rows returned or affected.
    pub min_rows: Option<u64>,
    /// Characters that the text contains, in either case (of ASCII letters).
    pub text: Option<String>,
    /// The fingerprint.
    pub fingerprint: Option<[u8; 16]>,
    /// By which messages.
    pub kind: Vec<IntentKind>,
    /// How it ended.
    pub completion: Vec<Completion>,
    /// How many rows at most; `None` for all.
    pub limit: Option<usize>,
    /// In which order.
    pub order: Order,
}

/// The order of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// The newest first.
    #[default]
    Newest,
    /// The oldest first.
    Oldest,
    /// The longest first.
    Longest,
    /// Those that returned or affected most rows first.
    MostRows,
}

impl Order {
    pub(crate) const fn sql(self) -> &'static str {
        match self {
            Order::Newest => "s.start_us DESC, s.id DESC",
            Order::Oldest => "s.start_us, s.id",
            Order::Longest => "s.duration_us DESC, s.start_us DESC, s.id DESC",
            Order::MostRows => "max(s.rows, s.affected) DESC, s.start_us DESC, s.id DESC",
        }
    }
}

/// Conditions over the tables of a day file, and the values they name.
///
/// Those on blocks tell where to look, the others what to find there.
#[derive(Default)]
pub(crate) struct Conditions {
    blocks: Vec<String>,
    block_values: Vec<Value>,
    clauses: Vec<String>,
    values: Vec<Value>,
}

impl Conditions {
    /// The conditions on rows alone.
    pub(crate) fn sql(&self) -> String {
        if self.clauses.is_empty() {
            "1".to_owned()
        } else {
            self.clauses.join(" AND ")
        }
    }

    /// The values of the conditions on rows.
    pub(crate) fn values(&self) -> Vec<Value> {
        self.values.clone()
    }

    /// The conditions on blocks `b`, and their values.
    pub(crate) fn blocks(&self) -> (String, Vec<Value>) {
        let mut clauses = vec!["b.to_us > 0".to_owned()];
        clauses.extend(self.blocks.iter().cloned());
        (clauses.join(" AND "), self.block_values.clone())
    }

    /// All conditions, on statements `s`, and their values.
    pub(crate) fn whole(&self) -> (String, Vec<Value>) {
        if self.blocks.is_empty() {
            return (self.sql(), self.values());
        }
        let (blocks, mut values) = self.blocks();
        values.extend(self.values());
        let sql = format!(
            "s.block IN (SELECT b.id FROM block b WHERE {blocks} UNION ALL SELECT 0) AND {}",
            self.sql()
        );
        (sql, values)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.clauses.is_empty()
    }

    pub(crate) fn add(&mut self, clause: impl Into<String>) {
        self.clauses.push(clause.into());
    }

    fn with(&mut self, clause: &str, value: impl Into<Value>) {
        self.clauses.push(clause.to_owned());
        self.values.push(value.into());
    }

    fn block(&mut self, clause: &str, value: impl Into<Value>) {
        self.blocks.push(clause.to_owned());
        self.block_values.push(value.into());
    }

    /// What the conditions given since say of subjects holds of one who speaks in the block.
    fn speakers(&mut self, clauses: usize, values: usize) {
        let asked = self
            .clauses
            .get(clauses..)
            .unwrap_or_default()
            .join(" AND ");
        if !asked.is_empty() {
            self.blocks.push(format!(
                "b.id IN (SELECT x.block FROM who w CROSS JOIN block_who x ON x.who = w.id WHERE {asked})"
            ));
            let asked = self.values.get(values..).unwrap_or_default().to_vec();
            self.block_values.extend(asked);
        }
    }

    /// One of the alternatives must hold.
    fn any(&mut self, alternatives: Vec<(String, Value)>) {
        if alternatives.is_empty() {
            return;
        }
        let (clauses, values): (Vec<_>, Vec<_>) = alternatives.into_iter().unzip();
        self.clauses.push(format!("({})", clauses.join(" OR ")));
        self.values.extend(values);
    }

    fn names(&mut self, column: &str, patterns: &[String]) {
        let alternatives = patterns
            .iter()
            .map(|pattern| {
                let test = matching("value", pattern);
                (
                    format!("{column} IN (SELECT id FROM name WHERE {test})"),
                    glob(pattern).into(),
                )
            })
            .collect();
        self.any(alternatives);
    }

    fn words(&mut self, column: &str, words: impl Iterator<Item = &'static str>) {
        self.any(
            words
                .map(|word| (format!("{column} = ?"), word.to_owned().into()))
                .collect(),
        );
    }

    fn codes(&mut self, column: &str, codes: impl Iterator<Item = u8>) {
        self.any(
            codes
                .map(|code| (format!("{column} = ?"), i64::from(code).into()))
                .collect(),
        );
    }

    fn clients(&mut self, networks: &[IpNet]) {
        let mut clauses = Vec::new();
        for network in networks {
            clauses.push("(w.address BETWEEN ? AND ?)");
            for end in [network.network(), network.broadcast()] {
                self.values.push(address(end).to_vec().into());
            }
        }
        if !clauses.is_empty() {
            self.add(format!("({})", clauses.join(" OR ")));
        }
    }

    fn text(&mut self, wanted: &str) {
        if !wanted.is_empty() {
            self.block("may_hold(b.grams, ?)", wanted.to_owned());
            self.with("instr(lower(s.text), lower(?)) > 0", wanted.to_owned());
        }
    }
}

impl AuditQuery {
    /// The conditions that the filters become.
    pub(crate) fn conditions(&self) -> Conditions {
        let mut conditions = Conditions::default();
        if let Some(from) = self.from {
            conditions.block("b.to_us >= ?", signed(from));
            conditions.with("s.start_us >= ?", signed(from));
        }
        if let Some(to) = self.to {
            conditions.block("b.from_us < ?", signed(to));
            conditions.with("s.start_us < ?", signed(to));
        }
        if self.is_about_flagged() {
            conditions.blocks.push("b.flagged > 0".to_owned());
            conditions.add("s.flagged = 1");
        }
        let (clauses, values) = (conditions.clauses.len(), conditions.values.len());
        if let Some(session) = self.session {
            conditions.with("w.session = ?", session.0 as i64);
        }
        conditions.names("w.user", &self.user);
        conditions.names("w.application", &self.application);
        conditions.names("w.database", &self.database);
        conditions.clients(&self.client);
        conditions.speakers(clauses, values);
        conditions.names("s.end_user", &self.end_user);
        self.statements(&mut conditions);
        conditions.words(
            "s.action",
            self.decision.iter().map(|action| action.as_str()),
        );
        conditions.words("s.judged", self.judged.iter().map(|action| action.as_str()));
        let rule = |pattern: &String| {
            let test = matching("value", pattern);
            (
                format!("EXISTS (SELECT 1 FROM json_each(s.rules) WHERE {test})"),
                glob(pattern).into(),
            )
        };
        conditions.any(self.rule.iter().map(rule).collect());
        if let Some(severity) = self.severity {
            conditions.with("s.severity_rank >= ?", rank(Some(severity)));
        }
        // Either half of `1146 (42S02)` may be asked for.
        let error = |pattern: &String| {
            let whole = (matching("s.sqlstate", pattern), glob(pattern).into());
            let number = format!("{} (*)", glob(pattern));
            let state = format!("* ({})", glob(pattern));
            let half = |glob: String| ("s.sqlstate GLOB ?".to_owned(), glob.into());
            [whole, half(number), half(state)]
        };
        conditions.any(self.error.iter().flat_map(error).collect());
        if let Some(duration) = self.min_duration {
            conditions.with("s.duration_us >= ?", signed(duration));
        }
        if let Some(rows) = self.min_rows {
            conditions.with("max(s.rows, s.affected) >= ?", signed(rows));
        }
        conditions.codes("s.kind", self.kind.iter().map(|kind| kind.code()));
        conditions.codes("s.completion", self.completion.iter().map(|how| how.code()));
        if let Some(text) = &self.text {
            conditions.text(text);
        }
        conditions
    }

    /// Whether only rows that were not simply allowed, or failed, can answer: those have an index.
    fn is_about_flagged(&self) -> bool {
        let beyond = |actions: &[Action], least: Action| {
            !actions.is_empty() && actions.iter().all(|action| *action >= least)
        };
        beyond(&self.decision, Action::Deny)
            || beyond(&self.judged, Action::Alert)
            || !self.error.is_empty()
    }

    fn statements(&self, conditions: &mut Conditions) {
        let verb = |verb: &Verb| {
            let clause = "EXISTS (SELECT 1 FROM json_each(h.verbs) WHERE value = ?)";
            (clause.to_owned(), verb.as_str().to_owned().into())
        };
        conditions.any(self.verb.iter().map(verb).collect());
        conditions.words("h.class", self.class.iter().map(|class| class.as_str()));
        let object = |pattern: &String| {
            let column = if pattern.contains('.') {
                "qualified"
            } else {
                "name"
            };
            let test = matching(column, pattern);
            let clause = format!("h.id IN (SELECT shape FROM shape_object WHERE {test})");
            (clause, glob(pattern).into())
        };
        conditions.any(self.object.iter().map(object).collect());
        if let Some(fingerprint) = self.fingerprint {
            conditions.with("h.fingerprint = ?", fingerprint.to_vec());
        }
    }
}

impl SessionQuery {
    pub(crate) fn conditions(&self) -> Conditions {
        let mut conditions = Conditions::default();
        if let Some(from) = self.from {
            conditions.with("e.at_us >= ?", signed(from));
        }
        if let Some(to) = self.to {
            conditions.with("e.at_us < ?", signed(to));
        }
        conditions.names("w.user", &self.user);
        conditions.clients(&self.client);
        conditions.words("e.cause", self.cause.iter().map(|cause| cause.as_str()));
        conditions
    }
}

/// The test of a name against a pattern.
fn matching(column: &str, pattern: &str) -> String {
    if pattern.contains('*') {
        format!("{column} GLOB ?")
    } else {
        format!("{column} = ?")
    }
}

/// The pattern as SQLite's GLOB reads it; a name without `*` as it is.
fn glob(pattern: &str) -> String {
    if !pattern.contains('*') {
        return pattern.to_owned();
    }
    pattern.replace('[', "[[]").replace('?', "[?]")
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
