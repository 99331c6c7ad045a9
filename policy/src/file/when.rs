//! Reads `when`: the conditions of a rule.

use std::sync::Arc;

use toml::de::{DeTable, DeValue};

use super::conditions::RawHistory;
use super::fields::{WHEN, access_words};
use super::reader::{At, Reader, Value};
use crate::problem::Span;
use crate::rule::glob::Glob;
use crate::rule::history::Counter;
use crate::rule::moment::MomentTest;
use crate::rule::object::{ColumnPattern, ColumnTest, NamePattern, ObjectTest};
use crate::rule::statement::StatementTest;
use crate::rule::subject::SubjectTest;
use crate::rule::version::VersionRange;
use crate::rule::window::Window;
use crate::rule::words::Words;
use crate::rule::{Condition, Test, When};
use crate::vocabulary::Access;

/// A `when` as it was written: the names of time windows are not yet looked up.
#[derive(Clone, Debug, Default)]
pub struct RawWhen {
    /// Its conditions.
    pub conditions: Vec<RawCondition>,
    /// Whether it says `everything = true`.
    pub everything: bool,
}

/// A condition as it was written.
#[derive(Clone, Debug)]
pub enum RawCondition {
    /// A test on subject or statement.
    Test(Arc<Test>),
    /// Names of time windows.
    Time(Vec<At<String>>),
    /// `not`.
    Not(RawWhen),
    /// `any`.
    Any(Vec<RawWhen>),
    /// `history`.
    History(RawHistory),
}

/// Looks up what conditions name or share.
pub(crate) struct Resolver<'a> {
    /// The time windows.
    pub(crate) windows: &'a [Window],
    /// Names of windows that there are none of.
    pub(crate) unknown: Vec<At<String>>,
    /// What is counted.
    pub(crate) counted: &'a mut Vec<Counted>,
}

/// A counter and the statements that it counts.
pub(crate) struct Counted {
    pub(crate) counter: Counter,
    pub(crate) when: When,
    pub(crate) span: Span,
}

impl Resolver<'_> {
    fn window(&mut self, name: &At<String>) -> Option<usize> {
        let found = self
            .windows
            .iter()
            .position(|window| *window.name == *name.value);
        if found.is_none() {
            self.unknown.push(name.clone());
        }
        found
    }

    /// The counter of a `history`; those that count the same are one.
    fn counter(&mut self, history: &RawHistory) -> usize {
        let of = history.of.value.resolve(self);
        let keep = history.count.greatest();
        let within_ms = history.within_ms;
        let counter = Counter {
            within_ms,
            keep,
            per: history.per.clone(),
        };
        let same = |known: &Counter| known.within_ms == within_ms && known.per == counter.per;
        let mut known = self.counted.iter_mut().enumerate();
        let known = known.find(|(_, counted)| same(&counted.counter) && counted.when == of);
        if let Some((position, counted)) = known {
            counted.counter.keep = counted.counter.keep.max(keep);
            return position;
        }
        self.counted.push(Counted {
            counter,
            when: of,
            span: history.of.span.clone(),
        });
        self.counted.len() - 1
    }
}

impl RawWhen {
    /// Looks up what it names.
    pub(crate) fn resolve(&self, resolver: &mut Resolver<'_>) -> When {
        let mut conditions = Vec::new();
        for condition in &self.conditions {
            conditions.push(match condition {
                RawCondition::Test(test) => Condition::Test(Arc::clone(test)),
                RawCondition::Time(names) => {
                    let found = names.iter().filter_map(|name| resolver.window(name));
                    let mut found: Vec<usize> = found.collect();
                    found.sort_unstable();
                    found.dedup();
                    Condition::Test(Arc::new(Test::Moment(MomentTest::Time(found))))
                }
                RawCondition::Not(when) => Condition::Not(when.resolve(resolver)),
                RawCondition::Any(whens) => {
                    Condition::Any(whens.iter().map(|when| when.resolve(resolver)).collect())
                }
                RawCondition::History(history) => {
                    let counter = resolver.counter(history);
                    let count = history.count.clone();
                    let test = MomentTest::History { counter, count };
                    Condition::Test(Arc::new(Test::Moment(test)))
                }
            });
        }
        When { conditions }
    }
}

impl Reader<'_> {
    /// Reads a `when`, or what is nested in one.
    pub(super) fn when(&mut self, value: &Value<'_>, nested: Nested) -> Option<RawWhen> {
        let table = self.table("when", value)?;
        self.section(&WHEN, WHEN.name, value.span(), table);
        let mut when = RawWhen::default();
        let before = self.problem_count();
        // The table of fields gives the order: conditions are shown and compared in it.
        for field in WHEN.fields {
            let Some(value) = table.get(field.name) else {
                continue;
            };
            match field.condition {
                Some(read) => when.conditions.extend(read(self, field.name, value, table)),
                None => when.everything = self.everything(value, table, nested),
            }
        }
        if table.is_empty() || (when.conditions.is_empty() && !when.everything) {
            if self.problem_count() == before {
                let problem = self
                    .problem(
                        value.span(),
                        "a `when` without conditions matches everything",
                    )
                    .expected(match nested {
                        Nested::No => "a condition, or `everything = true`",
                        Nested::Yes => "a condition",
                    });
                self.report(problem);
            }
            return None;
        }
        Some(when)
    }

    fn everything(&mut self, value: &Value<'_>, table: &DeTable<'_>, nested: Nested) -> bool {
        let Some(flag) = self.flag("everything", value) else {
            return false;
        };
        let complaint = match (flag, nested) {
            (false, _) => Some("`everything = false` says nothing"),
            (true, Nested::Yes) => Some("`everything` can't be nested"),
            (true, Nested::No) if table.len() > 1 => {
                Some("`everything` stands beside other conditions")
            }
            (true, Nested::No) => None,
        };
        if let Some(complaint) = complaint {
            let problem = self
                .problem(value.span(), complaint)
                .expected("either `everything = true` alone, or conditions");
            self.report(problem);
        }
        complaint.is_none()
    }

    pub(super) fn negation(&mut self, value: &Value<'_>) -> Option<RawCondition> {
        Some(RawCondition::Not(self.when(value, Nested::Yes)?))
    }

    /// Names of time windows.
    pub(super) fn time_names(&mut self, field: &str, value: &Value<'_>) -> Option<RawCondition> {
        let names = self.items(field, value);
        (!names.is_empty()).then_some(RawCondition::Time(names))
    }

    pub(super) fn globs(&mut self, field: &str, value: &Value<'_>) -> Option<Vec<Glob>> {
        self.patterns(field, value, Glob::parse)
    }

    pub(super) fn alternatives(&mut self, value: &Value<'_>) -> Option<RawCondition> {
        let DeValue::Array(items) = value.get_ref() else {
            let problem = self
                .problem(value.span(), "`any` is no list")
                .expected("a list of tables, such as [ { user = \"a\" }, { role = \"b\" } ]");
            self.report(problem);
            return None;
        };
        if items.len() < 2 {
            let problem = self
                .problem(value.span(), "`any` has no alternatives")
                .expected("at least two tables");
            self.report(problem);
            return None;
        }
        let read: Vec<Option<RawWhen>> = items
            .iter()
            .map(|item| self.when(item, Nested::Yes))
            .collect();
        Some(RawCondition::Any(read.into_iter().collect::<Option<_>>()?))
    }

    /// `object`, `access` and `object_kind` are one condition, which the first of them that is there holds: they hold of
    /// the same object.
    pub(super) fn object_test(
        &mut self,
        field: &str,
        table: &DeTable<'_>,
    ) -> Option<StatementTest> {
        if !leads(field, &["object", "access", "object_kind"], table) {
            return None;
        }
        let names = match table.get("object") {
            Some(value) => self.folded("object", value, NamePattern::parse)?,
            None => Vec::new(),
        };
        let access = match table.get("access") {
            Some(value) => Some(self.accesses(value)?),
            None => None,
        };
        let kind = match table.get("object_kind") {
            Some(value) => Some(self.words("object_kind", value)?),
            None => None,
        };
        Some(StatementTest::Object(ObjectTest {
            names,
            access,
            kind,
        }))
    }

    fn accesses(&mut self, value: &Value<'_>) -> Option<Words<Access>> {
        let mut set = Words::EMPTY;
        for text in self.items("access", value) {
            match (Access::from_word(&text.value), text.value.as_str()) {
                (Some(access), _) => set.insert(access),
                (None, "any") => set = Words::all(),
                (None, "write") => {
                    for access in [Access::Insert, Access::Update, Access::Delete] {
                        set.insert(access);
                    }
                }
                (None, _) => self.unknown_word("access", &text, access_words().into_iter()),
            }
        }
        (!set.is_empty()).then_some(set)
    }

    /// `column` and `column_use` are one condition as well.
    pub(super) fn column_test(
        &mut self,
        field: &str,
        table: &DeTable<'_>,
    ) -> Option<StatementTest> {
        if !leads(field, &["column", "column_use"], table) {
            return None;
        }
        let columns = match table.get("column") {
            Some(value) => self.folded("column", value, ColumnPattern::parse)?,
            None => Vec::new(),
        };
        let usage = match table.get("column_use") {
            Some(value) => Some(self.words("column_use", value)?),
            None => None,
        };
        Some(StatementTest::Column(ColumnTest { columns, usage }))
    }

    pub(super) fn unreadable(&mut self, value: &Value<'_>) -> Option<StatementTest> {
        if let DeValue::Boolean(wanted) = value.get_ref() {
            return Some(StatementTest::Unreadable {
                reasons: Words::all(),
                wanted: *wanted,
            });
        }
        let reasons = self.words("unreadable", value)?;
        Some(StatementTest::Unreadable {
            reasons,
            wanted: true,
        })
    }

    pub(super) fn versions(&mut self, name: &str, value: &Value<'_>) -> Option<SubjectTest> {
        let mut ranges = Vec::new();
        for text in self.texts(name, value) {
            match VersionRange::parse(&text.value) {
                Ok(range) => ranges.push(range),
                Err(expected) => {
                    let complaint = format!("`{}` is no range of versions", text.value);
                    let problem = self.problem(text.span.bytes, complaint).expected(expected);
                    self.report(problem);
                }
            }
        }
        (!ranges.is_empty()).then_some(SubjectTest::ServerVersion(ranges))
    }

    pub(super) fn score(&mut self, name: &str, value: &Value<'_>) -> Option<u32> {
        let text = self.text(name, value)?;
        let least = text
            .value
            .strip_prefix(">=")
            .and_then(|number| number.trim().parse().ok())
            .filter(|least| (1..=100).contains(least));
        if least.is_none() {
            let problem = self
                .problem(text.span.bytes, format!("`{}` is no score", text.value))
                .expected("`>= 1` to `>= 100`");
            self.report(problem);
        }
        least
    }

    pub(super) fn fingerprints(&mut self, value: &Value<'_>) -> Option<StatementTest> {
        let mut prints = Vec::new();
        for text in self.items("fingerprint", value) {
            match read_fingerprint(&text.value) {
                Some(print) => prints.push(print),
                None => {
                    let problem = self
                        .problem(
                            text.span.bytes.clone(),
                            format!("`{}` is no fingerprint{}", text.value, self.origin(&text)),
                        )
                        .expected("32 hexadecimal digits");
                    self.report(problem);
                }
            }
        }
        prints.sort_unstable();
        (!prints.is_empty()).then_some(StatementTest::Fingerprint(prints))
    }
}

/// A condition on the subject.
pub(super) fn subject(test: SubjectTest) -> RawCondition {
    RawCondition::Test(Arc::new(Test::Subject(test)))
}

/// A condition on the statement.
pub(super) fn statement(test: StatementTest) -> RawCondition {
    RawCondition::Test(Arc::new(Test::Statement(test)))
}

/// A condition on what is known only when a decision is made.
pub(super) fn moment(test: MomentTest) -> RawCondition {
    RawCondition::Test(Arc::new(Test::Moment(test)))
}

/// Whether `field` is the first of a group of fields that the table has.
fn leads(field: &str, group: &[&str], table: &DeTable<'_>) -> bool {
    group.iter().find(|name| table.contains_key(**name)) == Some(&field)
}

/// Whether a `when` stands in another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Nested {
    Yes,
    No,
}

fn read_fingerprint(text: &str) -> Option<[u8; 16]> {
    if text.len() != 32 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    u128::from_str_radix(text, 16).ok().map(u128::to_be_bytes)
}
