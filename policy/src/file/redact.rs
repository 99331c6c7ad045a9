//! Reads `[[redact]]` and `[[redact_test]]`.

use toml::de::DeTable;

use super::fields::{Field, Form, field, words};
use super::reader::{At, Reader, Value};
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

/// `[[redact]]`.
pub const REDACT: &[Field] = &[
    field("id", Form::Text, "The entry's name."),
    field(
        "columns",
        Form::Patterns,
        "`column` or `table.column`: what is compared with it or assigned to it.",
    ),
    field(
        "tables",
        Form::Patterns,
        "Tables: every value of the statements that name them.",
    ),
    field(
        "functions",
        Form::Patterns,
        "Functions: every value among their arguments.",
    ),
    field(
        "pattern",
        Form::Text,
        "A regular expression: values, names and comments that match.",
    ),
    field(
        "how",
        Form::Word(hows),
        "`mask`, or `hash` for a keyed hash that keeps equal values equal.",
    ),
];

/// `[[redact_test]]`.
pub const REDACT_TEST: &[Field] = &[
    field("title", Form::Text, "What the test shows."),
    field("sql", Form::Text, "The statement."),
    field(
        "dialect",
        Form::Words(words::<Dialect>),
        "The dialects to read it in; postgres without it.",
    ),
    field(
        "sql_mode",
        Form::Text,
        "The sql_mode to read it in; MySQL and MariaDB only.",
    ),
    field(
        "hides",
        Form::Texts,
        "Pieces of the text that must not be recorded.",
    ),
    field("keeps", Form::Texts, "Pieces of the text that must be."),
    field(
        "parameters",
        Form::Words(fates),
        "What happens to each parameter: keep, mask or hash.",
    ),
];

fn hows() -> Vec<&'static str> {
    vec!["mask", "hash"]
}

fn fates() -> Vec<&'static str> {
    vec!["keep", "mask", "hash"]
}

impl Reader<'_> {
    pub(super) fn redact(&mut self, item: &Value<'_>, table: &DeTable<'_>) -> Option<RawRedact> {
        self.known_fields("`[[redact]]`", table, REDACT);
        let id = self.required("id", "`[[redact]]`", item, table);
        let id = id
            .and_then(|value| self.text("id", value))
            .filter(|id| self.is_name(id));
        self.required("how", "`[[redact]]`", item, table)?;
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
        table: &DeTable<'_>,
    ) -> Option<RedactCase> {
        self.known_fields("`[[redact_test]]`", table, REDACT_TEST);
        let before = self.problem_count();
        let sql = self.required("sql", "`[[redact_test]]`", item, table)?;
        let sql = self.text("sql", sql)?;
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
            sql,
            readings,
            hides: plain(hides),
            keeps: plain(keeps),
            parameters: expected,
        };
        (self.problem_count() == before).then_some(case)
    }
}
