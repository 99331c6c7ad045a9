//! What auditors may ask, as ClickHouse's SQL: the same questions as the embedded store answers, in another dialect.

use std::net::IpAddr;

use ipnet::IpNet;
use sqlward_policy::vocabulary::Severity;

use super::link::Question;
use crate::chain::hex;
use crate::query::{AuditQuery, Order, SessionQuery};
use crate::time::rfc3339;

impl Order {
    /// Ties stand in the order of time, the newest first.
    pub(super) const fn clickhouse(self) -> &'static str {
        match self {
            Order::Newest => "s.at DESC, s.lane DESC, s.seq DESC, s.node DESC",
            Order::Oldest => "s.at, s.lane, s.seq, s.node",
            Order::Longest => "s.duration_us DESC, s.at DESC, s.lane DESC, s.seq DESC, s.node DESC",
            Order::MostRows => {
                "greatest(s.rows, s.affected) DESC, s.at DESC, s.lane DESC, s.seq DESC, s.node DESC"
            }
        }
    }
}

/// Conditions that all must hold.
struct Conditions<'q> {
    question: &'q mut Question,
    clauses: Vec<String>,
}

impl Conditions<'_> {
    fn time(&mut self, test: &str, us: u64) {
        let value = self.question.value(moment(us), "DateTime64(6, 'UTC')");
        self.clauses.push(format!("{test} {value}"));
    }

    fn any(&mut self, alternatives: Vec<String>) {
        if !alternatives.is_empty() {
            self.clauses
                .push(format!("({})", alternatives.join(" OR ")));
        }
    }

    fn names(&mut self, column: &str, patterns: &[String]) {
        let tests = patterns
            .iter()
            .map(|pattern| self.matching(column, pattern))
            .collect();
        self.any(tests);
    }

    /// One element of an array column matches.
    fn elements(&mut self, patterns: &[String], column: impl Fn(&str) -> &'static str) {
        let tests = patterns
            .iter()
            .map(|pattern| {
                let test = self.matching("x", pattern);
                format!("arrayExists(x -> {test}, {})", column(pattern))
            })
            .collect();
        self.any(tests);
    }

    /// The test of a name against a pattern, in which `*` stands for any characters.
    fn matching(&mut self, column: &str, pattern: &str) -> String {
        if !pattern.contains('*') {
            return format!("{column} = {}", self.question.value(pattern, "String"));
        }
        let mut like = String::with_capacity(pattern.len() + 8);
        for letter in pattern.chars() {
            match letter {
                '*' => like.push('%'),
                '%' | '_' | '\\' => like.extend(['\\', letter]),
                other => like.push(other),
            }
        }
        format!("{column} LIKE {}", self.question.value(like, "String"))
    }

    /// Words of our own vocabulary.
    fn words<'w>(&mut self, column: &str, words: impl Iterator<Item = &'w str>) {
        let tests = words
            .map(|word| format!("{column} = {}", self.question.value(word, "String")))
            .collect();
        self.any(tests);
    }

    fn clients(&mut self, networks: &[IpNet]) {
        let tests = networks
            .iter()
            .map(|network| {
                let [low, high] = [network.network(), network.broadcast()]
                    .map(|end| self.question.value(mapped(end), "IPv6"));
                format!("s.address BETWEEN {low} AND {high}")
            })
            .collect();
        self.any(tests);
    }

    fn least(&mut self, column: &str, least: Option<u64>) {
        if let Some(least) = least {
            let value = self.question.value(signed(least).to_string(), "Int64");
            self.clauses.push(format!("{column} >= {value}"));
        }
    }

    fn finish(self) -> String {
        if self.clauses.is_empty() {
            "1".to_owned()
        } else {
            self.clauses.join(" AND ")
        }
    }
}

impl AuditQuery {
    /// What the filters ask of statements `s`.
    pub(super) fn clickhouse(&self, question: &mut Question) -> String {
        let mut asked = Conditions {
            question,
            clauses: Vec::new(),
        };
        if let Some(from) = self.from {
            asked.time("s.at >=", from);
        }
        if let Some(to) = self.to {
            asked.time("s.at <", to);
        }
        if let Some(session) = self.session {
            let value = asked.question.value(session.to_string(), "UInt64");
            asked.clauses.push(format!("s.session = {value}"));
        }
        asked.names("s.user", &self.user);
        asked.names("s.application", &self.application);
        asked.names("s.database", &self.database);
        asked.names("s.end_user", &self.end_user);
        asked.clients(&self.client);
        let verbs = self.verb.iter().map(|verb| verb.as_str().to_owned());
        asked.elements(&verbs.collect::<Vec<_>>(), |_| "s.verb_names");
        asked.words("s.class", self.class.iter().map(|class| class.as_str()));
        asked.elements(&self.object, |pattern| {
            if pattern.contains('.') {
                "s.qualified_names"
            } else {
                "s.object_names"
            }
        });
        asked.elements(&self.rule, |_| "s.rule_names");
        let decisions = self.decision.iter().map(|action| action.as_str());
        asked.words("s.decision", decisions);
        asked.words("s.judged", self.judged.iter().map(|action| action.as_str()));
        if let Some(least) = self.severity {
            let beyond = Severity::ALL.iter().filter(|severity| **severity >= least);
            asked.words("s.severity", beyond.map(|severity| severity.as_str()));
        }
        // Either half of `1146 (42S02)` may be asked for.
        let errors: Vec<String> = self
            .error
            .iter()
            .flat_map(|pattern| {
                let halves = [format!("{pattern} (*)"), format!("* ({pattern})")];
                [pattern.clone()].into_iter().chain(halves)
            })
            .collect();
        asked.names("s.error", &errors);
        asked.least("s.duration_us", self.min_duration);
        asked.least("greatest(s.rows, s.affected)", self.min_rows);
        asked.words("s.kind", self.kind.iter().map(|kind| kind.as_str()));
        asked.words(
            "s.completion",
            self.completion.iter().map(|how| how.as_str()),
        );
        if let Some(fingerprint) = self.fingerprint {
            asked.words("s.fingerprint", [hex(&fingerprint).as_str()].into_iter());
        }
        if let Some(text) = self.text.as_ref().filter(|text| !text.is_empty()) {
            // Lowered here, so that the index can be asked: only ASCII letters, like `lower`.
            let wanted = asked.question.value(text.to_ascii_lowercase(), "String");
            let test = format!("position(lower(ifNull(s.text, '')), {wanted}) > 0");
            asked.clauses.push(test);
        }
        asked.finish()
    }
}

impl SessionQuery {
    /// What the filters ask of steps `s`.
    pub(super) fn clickhouse(&self, question: &mut Question) -> String {
        let mut asked = Conditions {
            question,
            clauses: Vec::new(),
        };
        if let Some(from) = self.from {
            asked.time("s.at >=", from);
        }
        if let Some(to) = self.to {
            asked.time("s.at <", to);
        }
        asked.names("s.user", &self.user);
        asked.clients(&self.client);
        asked.words("s.cause", self.cause.iter().map(|cause| cause.as_str()));
        asked.finish()
    }
}

/// A wall time as ClickHouse reads it; days are counted in 16 bits there, and retention is added to them.
pub(super) fn moment(us: u64) -> String {
    clamped(rfc3339(us)).replace('T', " ").replace('Z', "")
}

/// A wall time that ClickHouse can hold.
pub(super) fn clamped(at: String) -> String {
    if at.as_str() > LAST {
        LAST.to_owned()
    } else {
        at
    }
}

fn mapped(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().to_string(),
        IpAddr::V6(ip) => ip.to_string(),
    }
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

const LAST: &str = "2100-12-31T23:59:59.999999Z";
