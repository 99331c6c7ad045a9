//! Reads the conditions that have fields of their own, and values that only conditions have.

use std::time::Duration;

use toml::de::{DeTable, DeValue};

use super::fields::{HISTORY, LITERAL, PARAMETER};
use super::reader::{At, Fields, Reader, Value};
use super::when::{Nested, RawCondition, RawWhen};
use crate::rule::history::MAX_WITHIN;
use crate::rule::range::{Range, RangeError};
use crate::rule::value::{Content, LiteralTest, ParameterTest};
use crate::rule::words::{Word, Words};
use crate::vocabulary::Trait;

/// `history`, as it was written.
#[derive(Clone, Debug)]
pub struct RawHistory {
    /// `count`.
    pub count: Range,
    /// `within`, in milliseconds.
    pub within_ms: i64,
    /// `of`.
    pub of: At<RawWhen>,
    /// `per`; empty without it.
    pub per: Box<[Trait]>,
}

impl Reader<'_> {
    /// Words, or `>= word` for it and those behind it.
    pub(super) fn at_least<T: Word>(&mut self, field: &str, value: &Value<'_>) -> Option<Words<T>> {
        let mut set = Words::EMPTY;
        for text in self.items(field, value) {
            let (least, word) = match text.value.strip_prefix(">=") {
                Some(rest) => (true, rest.trim().to_owned()),
                None => (false, text.value.clone()),
            };
            let Some(found) = T::parse(&word) else {
                let word = At {
                    value: word,
                    ..text
                };
                self.unknown_word(field, &word, T::WORDS.iter().map(|word| word.text()));
                continue;
            };
            for word in T::WORDS.iter().copied() {
                if word.bit() == found.bit() || (least && word.bit() > found.bit()) {
                    set.insert(word);
                }
            }
        }
        (!set.is_empty()).then_some(set)
    }

    /// Ranges of numbers or dates.
    fn ranges(
        &mut self,
        field: &str,
        value: &Value<'_>,
        parse: fn(&str) -> Result<Range, RangeError>,
    ) -> Option<Vec<Range>> {
        let mut ranges = Vec::new();
        for text in self.items(field, value) {
            match parse(&text.value) {
                Ok(range) => ranges.push(range),
                Err(error) => {
                    let origin = self.origin(&text);
                    let message = format!("`{}` is no `{field}`{origin}: {error}", text.value);
                    let problem = self
                        .problem(text.span.bytes, message)
                        .expected("such as `>= 70`, `< 5`, `= 1` or `10..20`");
                    self.report(problem);
                }
            }
        }
        (!ranges.is_empty()).then_some(ranges)
    }

    /// One range of whole numbers that not every number fits.
    pub(super) fn whole_range(&mut self, field: &str, value: &Value<'_>) -> Option<Range> {
        let most = if field == "risk" {
            crate::rule::risk::MOST
        } else {
            crate::rule::range::MAX_WHOLE
        };
        let text = self.text(field, value)?;
        let complaint = match Range::parse_whole(&text.value) {
            Ok(range) => match range.over(most) {
                None => return Some(range),
                Some(true) => format!("every `{field}` from 0 to {most} fits `{range}`"),
                Some(false) => format!("no `{field}` from 0 to {most} fits `{range}`"),
            },
            Err(error) => format!("`{}` is no `{field}`: {error}", text.value),
        };
        let problem = self
            .problem(text.span.bytes, complaint)
            .expected("such as `>= 70`, `< 5`, `= 1` or `10..20`");
        self.report(problem);
        None
    }

    /// A whole number from 1 to 65535.
    pub(super) fn number(&mut self, field: &str, value: &Value<'_>) -> Option<u16> {
        let number = value.get_ref().as_integer();
        let number = number.and_then(|number| number.as_str().parse::<u16>().ok());
        let number = number.filter(|number| *number > 0);
        if number.is_none() {
            let problem = self
                .problem(value.span(), format!("this is no `{field}`"))
                .expected("a whole number from 1 to 65535");
            self.report(problem);
        }
        number
    }

    /// A length of time from a second to `longest`, which is whole days.
    pub(super) fn duration(
        &mut self,
        field: &str,
        value: &Value<'_>,
        longest: Duration,
    ) -> Option<Duration> {
        let text = self.text(field, value)?;
        let read = text.value.char_indices().last().and_then(|(at, unit)| {
            let seconds = match unit {
                's' => 1,
                'm' => 60,
                'h' => 3600,
                'd' => 86_400,
                _ => return None,
            };
            let number: u64 = text.value.get(..at)?.parse().ok()?;
            number.checked_mul(seconds).map(Duration::from_secs)
        });
        let read = read.filter(|time| (Duration::from_secs(1)..=longest).contains(time));
        if read.is_none() {
            let problem = self
                .problem(
                    text.span.bytes,
                    format!("`{}` is no time for `{field}`", text.value),
                )
                .expected(format!(
                    "`30s`, `5m`, `1h` and the like, from 1s to {}d",
                    longest.as_secs() / 86_400
                ));
            self.report(problem);
        }
        read
    }

    fn nested<'v, 'i>(
        &mut self,
        field: &str,
        section: &'static super::fields::Section,
        value: &'v Value<'i>,
    ) -> Option<Fields<'v, 'i>> {
        let table: &'v DeTable<'i> = self.table(field, value)?;
        if table.is_empty() {
            let problem = self.problem(value.span(), format!("`{field}` says nothing"));
            self.report(problem);
            return None;
        }
        Some(self.section(section, section.name, value.span(), table))
    }

    fn content(&mut self, fields: Fields<'_, '_>) -> Option<Content> {
        let before = self.problem_count();
        let matches = fields
            .get("matches")
            .map(|value| self.globs("matches", value));
        let ranges = fields
            .get("range")
            .map(|value| self.ranges("range", value, Range::parse));
        let personal = fields
            .get("personal")
            .map(|value| self.words("personal", value));
        let content = Content {
            matches: matches.flatten().unwrap_or_default(),
            ranges: ranges.flatten().unwrap_or_default(),
            personal: personal.flatten().unwrap_or(Words::EMPTY),
        };
        (self.problem_count() == before).then_some(content)
    }

    pub(super) fn parameter(&mut self, value: &Value<'_>) -> Option<ParameterTest> {
        let before = self.problem_count();
        let fields = self.nested("parameter", &PARAMETER, value)?;
        let position = fields
            .get("position")
            .map(|value| self.number("position", value));
        let content = self.content(fields);
        let content = content.filter(|content| self.restricts("parameter", value, content))?;
        (self.problem_count() == before).then_some(ParameterTest {
            position: position.flatten(),
            content,
        })
    }

    pub(super) fn literal(&mut self, value: &Value<'_>) -> Option<LiteralTest> {
        let before = self.problem_count();
        let fields = self.nested("literal", &LITERAL, value)?;
        let mut names = |field: &str| {
            let value = fields.get(field);
            value.and_then(|value| self.globs(field, value))
        };
        let (columns, functions) = (names("column"), names("function"));
        let content = self.content(fields);
        let content = content.filter(|content| self.restricts("literal", value, content))?;
        (self.problem_count() == before).then_some(LiteralTest {
            columns: columns.unwrap_or_default(),
            functions: functions.unwrap_or_default(),
            content,
        })
    }

    fn restricts(&mut self, field: &str, value: &Value<'_>, content: &Content) -> bool {
        if content.is_any() {
            let problem = self
                .problem(value.span(), format!("`{field}` says nothing of a value"))
                .expected("`matches`, `range` or `personal`");
            self.report(problem);
        }
        !content.is_any()
    }

    pub(super) fn history(&mut self, value: &Value<'_>) -> Option<RawCondition> {
        let fields = self.nested("history", &HISTORY, value)?;
        let count = fields
            .get("count")
            .and_then(|value| self.whole_range("count", value));
        let within_ms = fields
            .get("within")
            .and_then(|value| self.duration("within", value, MAX_WITHIN))
            .and_then(|within| i64::try_from(within.as_millis()).ok());
        let of = fields.get("of").and_then(|value| {
            let of = self.when(value, Nested::No)?;
            if holds_history(&of) {
                let problem = self.problem(value.span(), "`history` can't be nested");
                self.report(problem);
                return None;
            }
            Some(self.at(value.span(), of))
        });
        let per = match fields.get("per") {
            Some(value) => self.traits("per", value)?,
            None => Vec::new(),
        };
        Some(RawCondition::History(RawHistory {
            count: count?,
            within_ms: within_ms?,
            per: per.into(),
            of: of?,
        }))
    }

    /// Texts and numbers that stand for values.
    pub(super) fn values(&mut self, field: &str, value: &Value<'_>) -> Option<Vec<Option<String>>> {
        let DeValue::Array(items) = value.get_ref() else {
            self.wrong_type(field, value, "a list of texts and numbers");
            return None;
        };
        let mut values = Vec::new();
        for item in items.iter() {
            match item.get_ref() {
                DeValue::String(text) => values.push(Some(text.to_string())),
                DeValue::Integer(number) => values.push(Some(number.as_str().to_owned())),
                DeValue::Float(number) => values.push(Some(number.as_str().to_owned())),
                DeValue::Datetime(time) => values.push(Some(time.to_string())),
                _ => self.wrong_type(field, item, "a text or a number"),
            }
        }
        Some(values)
    }
}

fn holds_history(when: &RawWhen) -> bool {
    when.conditions.iter().any(|condition| match condition {
        RawCondition::History(_) => true,
        RawCondition::Not(inner) => holds_history(inner),
        RawCondition::Any(inner) => inner.iter().any(holds_history),
        RawCondition::Test(_) | RawCondition::Time(_) => false,
    })
}
