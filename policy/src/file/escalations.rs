//! Reads `[[escalation]]`.

use std::time::Duration;

use super::fields::consequences;
use super::reader::{At, Fields, Reader, Value};
use crate::rule::words::Word;
use crate::vocabulary::{Refused, Trait};

/// `[[escalation]]`.
#[derive(Clone, Debug)]
pub struct RawEscalation {
    /// `id`.
    pub id: At<String>,
    /// `after`.
    pub after: At<Refused>,
    /// `rules`.
    pub rules: Vec<At<String>>,
    /// `count`.
    pub count: u16,
    /// `within`.
    pub within: Duration,
    /// `per`.
    pub per: At<Vec<Trait>>,
    /// `then`.
    pub then: At<Then>,
    /// `block_for`.
    pub block_for: Option<At<Duration>>,
}

/// The words of `then`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// Only a record.
    Alert,
    /// The session ends.
    Terminate,
    /// Somebody is kept out.
    Block,
}

impl Reader<'_> {
    pub(super) fn escalation(&mut self, table: Fields<'_, '_>) -> Option<RawEscalation> {
        let id = table
            .get("id")
            .and_then(|value| self.text("id", value))
            .filter(|id| self.is_name(id));
        let after = table
            .get("after")
            .and_then(|value| self.word::<Refused>("after", value));
        let rules = table
            .get("rules")
            .map(|value| self.texts("rules", value))
            .unwrap_or_default();
        let count = table
            .get("count")
            .and_then(|value| self.number("count", value));
        let within = table
            .get("within")
            .and_then(|value| self.duration("within", value));
        let per = table.get("per").and_then(|value| {
            let words = self.words::<Trait>("per", value)?;
            let all = Trait::WORDS.iter().copied();
            let per = all.filter(|word| words.contains(*word)).collect();
            Some(self.at(value.span(), per))
        });
        let then = self.choice("then", table, &consequences(), |word| match word {
            "alert" => Some(Then::Alert),
            "terminate" => Some(Then::Terminate),
            "block" => Some(Then::Block),
            _ => None,
        });
        let block_for = table.get("block_for").map(|value| {
            let lasts = self.duration("block_for", value)?;
            Some(self.at(value.span(), lasts))
        });
        Some(RawEscalation {
            id: id?,
            after: after?,
            rules,
            count: count?,
            within: within?,
            per: per?,
            then: then?,
            block_for: match block_for {
                Some(read) => Some(read?),
                None => None,
            },
        })
    }

    /// A whole number from 1 to 10,000.
    fn number(&mut self, field: &str, value: &Value<'_>) -> Option<u16> {
        let number = value.get_ref().as_integer();
        let number = number.and_then(|number| number.as_str().parse::<u16>().ok());
        let number = number.filter(|number| (1..=MOST).contains(number));
        if number.is_none() {
            let problem = self
                .problem(value.span(), format!("this is no `{field}`"))
                .expected(format!("a whole number from 1 to {MOST}"));
            self.report(problem);
        }
        number
    }

    fn duration(&mut self, field: &str, value: &Value<'_>) -> Option<Duration> {
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
            number.checked_mul(seconds)
        });
        let read = read.filter(|seconds| (1..=LONGEST).contains(seconds));
        if read.is_none() {
            let problem = self
                .problem(
                    text.span.bytes,
                    format!("`{}` is no time for `{field}`", text.value),
                )
                .expected("`30s`, `5m`, `1h`, `7d` and the like, from 1s to 365d");
            self.report(problem);
        }
        read.map(Duration::from_secs)
    }
}

/// The most refusals that an escalation may wait for: each is remembered.
const MOST: u16 = 10_000;

/// The longest time, in seconds.
const LONGEST: u64 = 365 * 86_400;
