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
    pub count: At<u16>,
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
        let count = table.get("count").and_then(|value| {
            let count = self.number("count", value)?;
            Some(self.at(value.span(), count))
        });
        let within = table
            .get("within")
            .and_then(|value| self.duration("within", value, LONGEST));
        let per = table.get("per").and_then(|value| {
            let per = self.traits("per", value)?;
            Some(self.at(value.span(), per))
        });
        let then = self.choice("then", table, &consequences(), |word| match word {
            "alert" => Some(Then::Alert),
            "terminate" => Some(Then::Terminate),
            "block" => Some(Then::Block),
            _ => None,
        });
        let block_for = table.get("block_for").map(|value| {
            let lasts = self.duration("block_for", value, LONGEST)?;
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

    /// What sessions have in common, in the order of the vocabulary.
    pub(super) fn traits(&mut self, field: &str, value: &Value<'_>) -> Option<Vec<Trait>> {
        let words = self.words::<Trait>(field, value)?;
        let all = Trait::WORDS.iter().copied();
        Some(all.filter(|word| words.contains(*word)).collect())
    }
}

/// The longest time.
const LONGEST: Duration = Duration::from_secs(365 * 86_400);
