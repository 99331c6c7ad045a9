//! Explanations as text and as JSON.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{Explanation, Look, MOST_STATEMENTS};
use crate::decision::Cause;
use crate::rule::Rule;
use crate::rule::statement::{hex, show};
use crate::statement::facts::StatementFacts;
use crate::vocabulary::{Action, Mode, Unreadable};

impl Explanation<'_> {
    /// The explanation as plain text.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a String can't fail.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        let facts = &self.analysis.facts;
        let count = facts.statements.len();
        for (number, statement) in (1..).zip(facts.statements.iter().take(MOST_STATEMENTS)) {
            writeln!(out, "statement {number} of {count}")?;
            for (name, value) in fact_lines(statement) {
                writeln!(out, "  {name:<12} {value}")?;
            }
        }
        writeln!(out, "text")?;
        let readable = facts
            .unreadable
            .map_or("yes".into(), |reason| format!("no: {reason}"));
        writeln!(out, "  {:<12} {readable}", "readable")?;
        writeln!(
            out,
            "  {:<12} {}",
            "fingerprint",
            hex(&self.analysis.fingerprint.0)
        )?;
        writeln!(out, "  {:<12} {}", "normal form", self.analysis.normal)?;
        writeln!(out, "rules")?;
        let width = self
            .rules
            .iter()
            .map(|trace| trace.rule.id.len())
            .max()
            .unwrap_or(0);
        for trace in &self.rules {
            let Rule {
                id,
                action,
                severity,
                ..
            } = trace.rule;
            let several = if count > 1 {
                numbers(&trace.matched)
            } else {
                String::new()
            };
            if !trace.matched.is_empty() {
                writeln!(
                    out,
                    "  matches  {id:<width$}  {action}, {severity}{several}"
                )?;
            }
            let Some((number, miss)) = &trace.missed else {
                continue;
            };
            let (name, of) = match trace.matched.as_slice() {
                [] => (&**id, String::new()),
                _ => ("", format!("not statement {number}: ")),
            };
            let Look {
                field,
                wanted,
                seen,
                note,
            } = miss;
            writeln!(
                out,
                "  -        {name:<width$}  {of}{field}: wanted {wanted}; found {seen}"
            )?;
            if let Some(note) = note {
                writeln!(out, "           {:<width$}  ({note})", "")?;
            }
        }
        self.write_decision(out)
    }

    fn write_decision(&self, out: &mut String) -> std::fmt::Result {
        let decision = &self.decision;
        writeln!(out, "decision")?;
        writeln!(out, "  {:<12} {}", "judged", decision.judged)?;
        writeln!(out, "  {:<12} {}", "because", self.because())?;
        for (number, look) in self.deciding().iter().enumerate() {
            let name = if number == 0 { "decided by" } else { "" };
            let Look {
                field,
                wanted,
                seen,
                ..
            } = look;
            writeln!(out, "  {name:<12} {field}: wanted {wanted}; found {seen}")?;
        }
        let observed = decision.mode != Mode::Enforce && decision.judged > Action::Alert;
        let note = if observed {
            " (not carried out: the mode is not enforce)"
        } else {
            ""
        };
        writeln!(out, "  {:<12} {}{note}", "carried out", decision.action)?;
        if let Some(refusal) = decision.refusal() {
            writeln!(
                out,
                "  {:<12} ERROR {}: {}",
                "client sees", refusal.sqlstate, refusal.message
            )?;
            writeln!(out, "  {:<12} {}", "", refusal.detail)?;
        }
        Ok(())
    }

    /// The conditions of the deciding rule, and what they held of.
    fn deciding(&self) -> &[Look] {
        let Cause::Rule(index) = self.decision.cause else {
            return &[];
        };
        let rule = self.policy.rule(index);
        let trace = self
            .rules
            .iter()
            .find(|trace| rule.is_some_and(|rule| rule.id == trace.rule.id));
        trace.map_or(&[], |trace| &trace.held)
    }

    fn because(&self) -> String {
        match self.decision.cause {
            Cause::Rule(index) => match self.policy.rule(index) {
                Some(rule) => format!("rule `{}` ({})", rule.id, self.policy.place(&rule.span)),
                None => "a rule".into(),
            },
            Cause::Default => format!(
                "no rule decides; the default is {}",
                self.policy.defaults.action
            ),
            Cause::Unreadable(reason) => format!(
                "it can't be read exactly ({reason}); the default for that is {}",
                self.policy.defaults.unreadable
            ),
            Cause::NotNamed(verb) => format!("no allow rule names `{verb}`"),
            Cause::Blocked => "the subject is kept out by a block".into(),
            Cause::Stale => "the session's standing is of another policy".into(),
        }
    }

    /// The explanation as JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        let facts = &self.analysis.facts;
        let decision = &self.decision;
        let rule_id = |index| self.policy.rule(index).map(|rule| rule.id.to_string());
        json!({
            "statements": facts.statements.iter().take(MOST_STATEMENTS).map(statement_json).collect::<Vec<_>>(),
            "statement_count": facts.statements.len(),
            "readable": facts.unreadable.is_none(),
            "unreadable": facts.unreadable.map(Unreadable::as_str),
            "fingerprint": hex(&self.analysis.fingerprint.0),
            "normal": self.analysis.normal,
            "rules": self.rules.iter().map(|trace| json!({
                "id": trace.rule.id,
                "action": trace.rule.action,
                "severity": trace.rule.severity,
                "matches": !trace.matched.is_empty(),
                "statements": trace.matched,
                "held": trace.held.iter().map(|look| json!({
                    "field": look.field, "wanted": look.wanted, "found": look.seen,
                })).collect::<Vec<_>>(),
                "missed": trace.missed.as_ref().map(|(statement, miss)| json!({
                    "statement": statement, "field": miss.field, "wanted": miss.wanted, "found": miss.seen, "note": miss.note,
                })),
            })).collect::<Vec<_>>(),
            "decision": {
                "judged": decision.judged,
                "action": decision.action,
                "mode": decision.mode,
                "because": self.because(),
                "rules": decision.rules.iter().filter_map(|index| rule_id(*index)).collect::<Vec<_>>(),
                "severity": decision.severity(self.policy),
                "message": decision.refusal().map(|refusal| &refusal.message),
                "detail": decision.refusal().map(|refusal| &refusal.detail),
                "sqlstate": decision.refusal().map(|refusal| refusal.sqlstate),
            },
        })
    }
}

fn numbers(list: &[usize]) -> String {
    let list: Vec<String> = list.iter().map(ToString::to_string).collect();
    format!(", statement {}", list.join(", "))
}

fn fact_lines(statement: &StatementFacts) -> Vec<(&'static str, String)> {
    fn join(items: impl Iterator<Item = String>) -> String {
        let mut items: Vec<String> = items.collect();
        items.dedup();
        items.join(", ")
    }
    let mut lines = vec![
        (
            "verb",
            join(statement.verbs_all().map(|verb| verb.to_string())),
        ),
        ("class", statement.class.to_string()),
        (
            "objects",
            join(statement.objects.iter().map(|object| {
                format!("{} {} ({})", object.kind, show(&object.name), object.access)
            })),
        ),
        (
            "columns",
            join(statement.columns.iter().map(|column| {
                let table = column.table.as_ref().map_or("?".into(), show);
                format!("{table}.{} ({})", column.column, column.usage)
            })),
        ),
        ("functions", join(statement.functions.iter().map(show))),
        ("where", statement.where_shape.to_string()),
        ("limit", statement.limit.to_string()),
        (
            "egress",
            join(statement.egress.iter().map(ToString::to_string)),
        ),
        (
            "dynamic",
            if statement.dynamic {
                "yes".into()
            } else {
                String::new()
            },
        ),
    ];
    lines.retain(|(_, value)| !value.is_empty());
    lines
}

fn statement_json(statement: &StatementFacts) -> Value {
    json!({
        "verb": statement.verb,
        "verbs": statement.verbs.as_slice(),
        "class": statement.class,
        "objects": statement.objects.iter().map(|object| json!({
            "kind": object.kind, "name": show(&object.name), "access": object.access,
        })).collect::<Vec<_>>(),
        "columns": statement.columns.iter().map(|column| json!({
            "table": column.table.as_ref().map(show), "column": column.column, "use": column.usage,
        })).collect::<Vec<_>>(),
        "functions": statement.functions.iter().map(show).collect::<Vec<_>>(),
        "where": statement.where_shape,
        "limit": statement.limit,
        "egress": statement.egress.as_slice(),
        "dynamic": statement.dynamic,
    })
}
