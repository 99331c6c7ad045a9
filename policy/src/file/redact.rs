//! Reads `[[redact]]` and `[[redact_test]]`.

use super::fields::{fates, hows};
use super::reader::{At, Fields, Reader, Value};
use crate::redact::case::RedactCase;
use crate::redact::{Fate, How};
use crate::rule::words::Words;
use crate::statement::ReadingOptions;
use crate::vocabulary::Dialect;

/// `[[redact]]`, as it was typed.
#[derive(Clone, Debug)]
pub struct RawRedact {
    /// `id`.
    pub id: At<String>,
    /// `how`.
    pub how: How,
    /// `columns`.
    pub columns: Vec<At<String>>,
    /// `tables`.
    pub tables: Vec<At<String>>,
    /// `functions`.
    pub functions: Vec<At<String>>,
    /// `pattern`.
    pub pattern: Option<At<String>>,
}

impl Reader<'_> {
    pub(super) fn redact(&mut self, item: &Value<'_>, table: Fields<'_, '_>) -> Option<RawRedact> {
        let id = table
            .get("id")
            .and_then(|value| self.text("id", value))
            .filter(|id| self.is_name(id));
        let how = self.choice("how", table, &hows(), |word| match word {
            "mask" => Some(How::Mask),
            "hash" => Some(How::Hash),
            _ => None,
        });
        let mut names = |field: &str| {
            let value = table.get(field);
            value.map_or_else(Vec::new, |value| self.texts(field, value))
        };
        let (columns, tables, functions) = (names("columns"), names("tables"), names("functions"));
        let pattern = table
            .get("pattern")
            .and_then(|value| self.text("pattern", value));
        if columns.is_empty() && tables.is_empty() && functions.is_empty() && pattern.is_none() {
            let problem = self
                .problem(
                    item.span(),
                    "the entry names nothing, so that it can't hide anything",
                )
                .expected("`columns`, `tables`, `functions` or `pattern`");
            self.report(problem);
            return None;
        }
        Some(RawRedact {
            id: id?,
            how: how?.value,
            columns,
            tables,
            functions,
            pattern,
        })
    }

    pub(super) fn redact_case(
        &mut self,
        item: &Value<'_>,
        table: Fields<'_, '_>,
    ) -> Option<RedactCase> {
        let before = self.problem_count();
        let sql = table.get("sql").and_then(|value| self.text("sql", value));
        let title = table
            .get("title")
            .and_then(|value| self.text("title", value));
        let sql_mode = table
            .get("sql_mode")
            .and_then(|value| self.text("sql_mode", value));
        let mut texts = |field: &str| {
            let value = table.get(field);
            value.map_or_else(Vec::new, |value| self.texts(field, value))
        };
        let (hides, keeps, parameters) = (texts("hides"), texts("keeps"), texts("parameters"));
        for piece in hides.iter().chain(&keeps) {
            let Some(sql) = &sql else { break };
            if piece.value.is_empty() || !sql.value.contains(&piece.value) {
                let message = format!("`{}` is no piece of `sql`", piece.value);
                let problem = self.problem(piece.span.bytes.clone(), message);
                self.report(problem);
            }
        }
        if hides.is_empty() && keeps.is_empty() && parameters.is_empty() {
            let problem = self
                .problem(item.span(), "the test expects nothing")
                .expected("`hides`, `keeps` or `parameters`");
            self.report(problem);
        }
        let mut expected = Vec::new();
        for word in &parameters {
            match word.value.as_str() {
                "keep" => expected.push(Fate::Keep),
                "mask" => expected.push(Fate::Mask),
                "hash" => expected.push(Fate::Hash),
                _ => self.unknown_word("parameters", word, fates().into_iter()),
            }
        }
        let dialects = match table.get("dialect") {
            Some(value) => self
                .words::<Dialect>("dialect", value)
                .unwrap_or(Words::EMPTY),
            None => [Dialect::Postgres].into_iter().collect(),
        };
        let options = ReadingOptions {
            sql_mode: sql_mode.map(|mode| mode.value),
            ..ReadingOptions::default()
        };
        let mut readings = Vec::new();
        for dialect in dialects.iter() {
            match options.lex_state(dialect) {
                Ok(lex) => readings.push((dialect, lex)),
                Err(error) => {
                    let problem = self.problem(item.span(), error);
                    self.report(problem);
                }
            }
        }
        let plain = |pieces: Vec<At<String>>| pieces.into_iter().map(|piece| piece.value).collect();
        let case = RedactCase {
            title: title.map(|title| title.value),
            sql: sql?,
            readings,
            hides: plain(hides),
            keeps: plain(keeps),
            parameters: expected,
        };
        (self.problem_count() == before).then_some(case)
    }
}
