//! `[[redact_test]]`: statements with what must not be recorded of them.

use super::{Fate, Hidden, Redactions, StandIn};
use crate::file::At;
use crate::statement::LexState;
use crate::vocabulary::Dialect;

/// One `[[redact_test]]`.
#[derive(Clone, Debug)]
pub struct RedactCase {
    /// What it shows.
    pub title: Option<String>,
    /// The statement.
    pub sql: At<String>,
    /// The dialects to read it in.
    pub readings: Vec<(Dialect, LexState)>,
    /// Pieces of it that must not be recorded.
    pub hides: Vec<String>,
    /// Pieces of it that must be.
    pub keeps: Vec<String>,
    /// What happens to each parameter; not looked at if empty.
    pub parameters: Vec<Fate>,
}

impl RedactCase {
    /// What was expected and what was found, if that differs.
    pub(crate) fn failure(
        &self,
        rules: Option<&Redactions>,
        lex: &LexState,
    ) -> Option<(String, String)> {
        let text = self.sql.value.as_bytes();
        let hidden = rules.map_or_else(Hidden::default, |rules| rules.find(text, lex));
        let recorded = hidden.preview(text);
        if let Some(shown) = self
            .hides
            .iter()
            .find(|piece| recorded.contains(piece.as_str()))
        {
            return Some((format!("`{shown}` hidden"), format!("`{recorded}`")));
        }
        if let Some(lost) = self
            .keeps
            .iter()
            .find(|piece| !recorded.contains(piece.as_str()))
        {
            return Some((format!("`{lost}` kept"), format!("`{recorded}`")));
        }
        let found: Vec<Fate> = (0..self.parameters.len())
            .map(|number| hidden.parameters.of(number, 0))
            .collect();
        (found != self.parameters).then(|| {
            (
                format!("parameters {:?}", self.parameters),
                format!("{found:?}"),
            )
        })
    }
}

impl Hidden {
    /// The text as it would be recorded, with a word in place of hashes.
    #[must_use]
    pub fn preview(&self, text: &[u8]) -> String {
        let mut shown = Vec::with_capacity(text.len());
        let mut from = 0;
        for place in &self.places {
            shown.extend_from_slice(text.get(from..place.range.start).unwrap_or_default());
            shown.extend_from_slice(match place.stand_in {
                StandIn::Mask => b"'***'",
                StandIn::Comment => b"/***/",
                StandIn::Hash(_) => b"'hmac'",
            });
            from = place.range.end;
        }
        shown.extend_from_slice(text.get(from..).unwrap_or_default());
        String::from_utf8_lossy(&shown).into_owned()
    }
}
