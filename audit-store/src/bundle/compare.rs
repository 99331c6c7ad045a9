//! The records of a bundle against what its blocks answer.

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;

use serde_json::Value;

use super::BundleError;
use super::export::Range;
use super::format::{SESSIONS, STATEMENTS};
use super::parts::{Lines, form};
use crate::query::{Archive, AuditQuery, Order, SessionQuery};

/// Shows the records that a bundle's file must hold, in their order, each a line of JSON.
pub(super) fn each_record(
    archive: &Archive,
    range: &Range,
    name: &str,
    show: &mut dyn FnMut(&str) -> Result<(), BundleError>,
) -> Result<(), BundleError> {
    let (from, to) = (Some(range.from_us), Some(range.to_us));
    if name == STATEMENTS {
        let query = AuditQuery {
            from,
            to,
            session: range.session,
            order: Order::Oldest,
            ..AuditQuery::default()
        };
        let mut result = Ok(());
        archive.each(&query, |row| {
            result = line(&row).and_then(|line| show(&line));
            match result {
                Ok(()) => ControlFlow::Continue(()),
                Err(_) => ControlFlow::Break(()),
            }
        })?;
        result
    } else if name == SESSIONS {
        let query = SessionQuery {
            from,
            to,
            ..SessionQuery::default()
        };
        let wanted = range.session.map(|session| session.to_string());
        for event in archive.session_events(&query)?.iter().rev() {
            if wanted.as_ref().is_none_or(|id| *id == event.session) {
                show(&line(event)?)?;
            }
        }
        Ok(())
    } else if range.session.is_some() {
        Ok(())
    } else {
        for record in archive.administration(from, to)? {
            show(&line(&record)?)?;
        }
        Ok(())
    }
}

fn line(record: &impl serde::Serialize) -> Result<String, BundleError> {
    serde_json::to_string(record).map_err(|error| form(format!("a record can't be shown: {error}")))
}

/// Compares the records of a file with what the blocks answer; says what differs.
///
/// # Errors
/// Where a file can't be read.
pub(super) fn compare(
    archive: &Archive,
    range: &Range,
    name: &'static str,
    open: impl Fn() -> Result<Lines, BundleError>,
) -> Result<(u64, Vec<String>), BundleError> {
    let mut found = open()?;
    let (mut records, mut same) = (0, true);
    each_record(archive, range, name, &mut |expected| {
        records += 1;
        same = same && found.next_text()? == Some(expected);
        Ok(())
    })?;
    if same && found.next_text()?.is_none() {
        return Ok((records, Vec::new()));
    }
    let mut said = Said::read(open()?)?;
    each_record(archive, range, name, &mut |expected| {
        said.check(expected);
        Ok(())
    })?;
    Ok((records, said.finish()))
}

/// The records that a file holds, by what names them.
struct Said {
    records: HashMap<String, (u64, Value)>,
    /// The last line that was in its place.
    last: u64,
    wrong: Vec<String>,
}

impl Said {
    fn read(mut lines: Lines) -> Result<Self, BundleError> {
        let mut said = Self {
            records: HashMap::new(),
            last: 0,
            wrong: Vec::new(),
        };
        let mut number = 0;
        while let Some(text) = lines.next_text()? {
            number += 1;
            match serde_json::from_str::<Value>(text) {
                Err(_) => said.say(format!("line {number} is no record")),
                Ok(record) => {
                    let name = name_of(&record);
                    let twice = said.records.insert(name.clone(), (number, record));
                    if twice.is_some() {
                        said.say(format!(
                            "line {number}: the record {name:.200} is there twice"
                        ));
                    }
                }
            }
        }
        Ok(said)
    }

    fn say(&mut self, what: String) {
        if self.wrong.len() < MOST_WRONG {
            self.wrong.push(what);
        }
    }

    fn check(&mut self, expected: &str) {
        let expected: Value = serde_json::from_str(expected).unwrap_or_default();
        let name = name_of(&expected);
        let Some((number, record)) = self.records.remove(&name) else {
            self.say(format!("the record {name} is missing"));
            return;
        };
        if record != expected {
            let columns = differing(&expected, &record).join(", ");
            self.say(format!(
                "line {number}: the record {name} was changed: {columns:.500}"
            ));
        }
        if number < self.last {
            self.say(format!(
                "line {number}: the record {name} is not in its place"
            ));
        }
        self.last = self.last.max(number);
    }

    /// What is left is in no block.
    fn finish(mut self) -> Vec<String> {
        let left: BTreeMap<u64, String> = std::mem::take(&mut self.records)
            .into_iter()
            .map(|(name, (number, _))| (number, name))
            .collect();
        for (number, name) in left {
            self.say(format!(
                "line {number}: the record {name:.200} was added: no block holds it"
            ));
        }
        if self.wrong.is_empty() {
            self.say("its lines are not written as they were".to_owned());
        }
        self.wrong
    }
}

/// What names a record: its event id, or its place in its lane.
fn name_of(record: &Value) -> String {
    let field = |name: &str| match record.get(name) {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    };
    match record.get("event_id") {
        Some(_) => field("event_id"),
        None => format!(
            "lane {}, entry {} {}",
            field("lane"),
            field("seq"),
            field("step")
        )
        .trim_end()
        .to_owned(),
    }
}

fn differing(expected: &Value, found: &Value) -> Vec<String> {
    let (Value::Object(expected), Value::Object(found)) = (expected, found) else {
        return vec!["all of it".to_owned()];
    };
    let mut columns: Vec<String> = expected
        .iter()
        .filter(|(name, value)| found.get(*name) != Some(value))
        .map(|(name, _)| name.clone())
        .collect();
    let added = found.keys().filter(|name| !expected.contains_key(*name));
    columns.extend(added.cloned());
    columns
}

/// How many findings are told of a file.
const MOST_WRONG: usize = 1000;
