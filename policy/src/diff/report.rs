//! What a comparison of policies came to.

use std::fmt::Write as _;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::probe::Probe;
use crate::rule::statement::{hex, show};
use crate::rule::subject::Subject;
use crate::statement::facts::SessionEffect;
use crate::vocabulary::Action;

/// Requests that fare otherwise, for the same reasons.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// What the old policy says.
    pub before: Action,
    /// What the new policy says.
    pub after: Action,
    /// Why: under the old one, under the new one.
    pub because: [String; 2],
    /// Requests that both policies have decided.
    pub examples: Vec<Example>,
}

/// A request that both policies have decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Example {
    /// The statement, if a plain text is decided so.
    pub sql: Option<String>,
    /// What is special about who sends it and when.
    pub subject: Vec<(&'static str, String)>,
    /// What is known of the statement.
    pub facts: Vec<(&'static str, String)>,
}

/// What a comparison came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// What differs.
    pub differences: Vec<Difference>,
    /// Defaults and modes that differ.
    pub notes: Vec<String>,
    /// How many alternatives of rules only one of the policies has.
    pub compared: usize,
    /// How many requests both policies have decided.
    pub tried: usize,
    /// Requests that a policy answers by values or by what went before, which they do not have.
    pub doubted: usize,
    /// Rules of which no request was found that they match.
    pub unmatched: Vec<String>,
    /// Whether everything that should be tried was.
    pub complete: bool,
}

impl Example {
    pub(super) fn new(probe: &Probe, sql: Option<String>, now: Timestamp) -> Self {
        let facts = &probe.facts;
        let mut lines = vec![
            ("verb", facts.verb.to_string()),
            ("class", facts.class.to_string()),
        ];
        let mut line = |name, values: Vec<String>| {
            if !values.is_empty() {
                lines.push((name, values.join(", ")));
            }
        };
        let objects = facts.objects.iter();
        line(
            "objects",
            objects
                .map(|one| format!("{} {} ({})", one.kind, show(&one.name), one.access))
                .collect(),
        );
        let columns = facts.columns.iter();
        line(
            "columns",
            columns
                .map(|one| {
                    let table = one.table.as_ref().map_or("?".into(), show);
                    format!("{table}.{} ({})", one.column, one.usage)
                })
                .collect(),
        );
        line("functions", facts.functions.iter().map(show).collect());
        line(
            "egress",
            facts.egress.iter().map(ToString::to_string).collect(),
        );
        let settings = facts.effects.iter().filter_map(|effect| match effect {
            SessionEffect::Set { name, value, .. } => {
                Some(format!("{name}={}", value.as_deref().unwrap_or("DEFAULT")))
            }
            _ => None,
        });
        line("sets", settings.collect());
        lines.push(("where", facts.where_shape.to_string()));
        lines.push(("limit", facts.limit.to_string()));
        lines.retain(|(_, value)| value != "not-applicable");
        if facts.dynamic {
            lines.push(("dynamic", "yes".into()));
        }
        let transaction = &probe.transaction;
        let mut state = |name, word: Option<String>| {
            if let Some(word) = word {
                lines.push((name, word));
            }
        };
        state(
            "transaction",
            transaction.state.map(|word| word.to_string()),
        );
        state(
            "transaction_access",
            transaction.access.map(|word| word.to_string()),
        );
        state(
            "isolation",
            transaction.isolation.map(|word| word.to_string()),
        );
        if probe.several {
            lines.push(("statements", "2".into()));
        }
        if let Some(print) = &probe.fingerprint {
            lines.push(("fingerprint", hex(print)));
        }
        if let Some(reason) = probe.unreadable {
            lines.push(("unreadable", reason.to_string()));
        }
        let mut subject = special(&probe.subject, &Probe::new(now).subject);
        if probe.at != now {
            subject.push(("at", probe.at.to_string()));
        }
        Self {
            sql,
            subject,
            facts: lines,
        }
    }

    fn text(&self) -> String {
        let list = |pairs: &[(&'static str, String)]| {
            pairs
                .iter()
                .map(|(name, value)| format!("{name} {value}"))
                .collect::<Vec<_>>()
                .join("; ")
        };
        let what = match &self.sql {
            Some(sql) => sql.clone(),
            None => format!(
                "a statement with {} (no plain text has just these facts)",
                list(&self.facts)
            ),
        };
        if self.subject.is_empty() {
            what
        } else {
            format!("{what}  [{}]", list(&self.subject))
        }
    }
}

/// What is special about a subject.
fn special(subject: &Subject, plain: &Subject) -> Vec<(&'static str, String)> {
    let mut all = Vec::new();
    let mut note = |name, value: String, usual: String| {
        if value != usual {
            all.push((name, value));
        }
    };
    let role = |subject: &Subject| subject.role.clone().unwrap_or_default();
    note(
        "dialect",
        subject.dialect.to_string(),
        plain.dialect.to_string(),
    );
    note("user", subject.user.clone(), plain.user.clone());
    if subject.role.as_ref() != Some(&subject.user) {
        note("role", role(subject), role(plain));
    }
    note("database", subject.database.clone(), plain.database.clone());
    note(
        "client",
        subject.client.to_string(),
        plain.client.to_string(),
    );
    note(
        "application",
        subject.application.clone(),
        plain.application.clone(),
    );
    note("listener", subject.listener.clone(), plain.listener.clone());
    let user = |subject: &Subject| {
        let user = subject.end_user.as_ref();
        user.map_or(String::new(), |user| {
            format!("{} ({})", user.name, user.trust)
        })
    };
    note("end_user", user(subject), user(plain));
    let identity = |subject: &Subject| subject.tls_identity.clone().unwrap_or_default();
    note("tls_identity", identity(subject), identity(plain));
    all
}

impl Report {
    /// Whether nothing that differs was found.
    #[must_use]
    pub fn is_same(&self) -> bool {
        self.differences.is_empty() && self.notes.is_empty()
    }

    /// The report as text.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a String can't fail.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        let mut last = None;
        for difference in &self.differences {
            let change = difference.change();
            if change != last {
                writeln!(
                    out,
                    "{}",
                    change.map_or("other", crate::replay::Change::as_str)
                )?;
                last = change;
            }
            let [was, is] = &difference.because;
            writeln!(
                out,
                "  {} by {was} -> {} by {is}",
                difference.before, difference.after
            )?;
            for example in &difference.examples {
                writeln!(out, "    {}", example.text())?;
            }
        }
        for note in &self.notes {
            writeln!(out, "{note}")?;
        }
        for unmatched in &self.unmatched {
            writeln!(out, "can't be decided: {unmatched}")?;
        }
        if self.doubted > 0 {
            writeln!(
                out,
                "can't be decided: {} requests: a rule asks for values of parameters or literals, or for what went before",
                self.doubted
            )?;
        }
        if !self.complete {
            writeln!(
                out,
                "can't be decided: there are more combinations than are tried"
            )?;
        }
        let verdict = if self.is_same() {
            "no difference found"
        } else {
            "decided by both"
        };
        writeln!(
            out,
            "{verdict}: {} requests that stand for {} alternatives of rules which one policy has alone; names are represented by one that fits each pattern and one that fits none",
            self.tried, self.compared
        )
    }

    /// The report as JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        let map = |pairs: &[(&'static str, String)]| {
            let pairs = pairs
                .iter()
                .map(|(name, value)| ((*name).to_owned(), json!(value)));
            Value::Object(pairs.collect())
        };
        json!({
            "same": self.is_same(),
            "differences": self.differences.iter().map(|one| json!({
                "change": one.change().map(crate::replay::Change::as_str),
                "before": one.before, "after": one.after,
                "before_because": one.because[0], "after_because": one.because[1],
                "examples": one.examples.iter().map(|example| json!({
                    "sql": example.sql, "subject": map(&example.subject), "facts": map(&example.facts),
                })).collect::<Vec<_>>(),
            })).collect::<Vec<_>>(),
            "notes": self.notes,
            "unmatched": self.unmatched,
            "complete": self.complete,
            "doubted": self.doubted,
            "requests": self.tried,
            "alternatives": self.compared,
        })
    }
}
