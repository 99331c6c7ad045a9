//! `[[redact]]` as it was typed → entries, or what is wrong with them.

use hashbrown::HashMap;
use regex::bytes::RegexBuilder;

use super::Compiler;
use crate::file::{At, File, RawRedact};
use crate::problem::Span;
use crate::redact::{Entry, Redactions, piece};
use crate::rule::glob::{Glob, split_parts};

/// How much memory one pattern may take when it is compiled.
const MAX_PATTERN_BYTES: usize = 1 << 20;
/// No server has longer names; MySQL counts characters.
const MAX_NAME_CHARS: usize = 64;

impl Compiler {
    pub(super) fn redactions(&mut self, files: &[File]) -> Option<Redactions> {
        let mut known: HashMap<String, Span> = HashMap::new();
        let mut named: HashMap<(&str, String), Span> = HashMap::new();
        let mut entries = Vec::new();
        for raw in files.iter().flat_map(|file| &file.redactions) {
            if let Some(first) = known.insert(raw.id.value.clone(), raw.id.span.clone()) {
                let message = format!(
                    "the redaction `{}` is defined twice, first at {}",
                    raw.id.value,
                    self.place(&first)
                );
                let problem = self.problem(&raw.id.span, message);
                self.report(problem);
                continue;
            }
            let fields = [
                ("column", &raw.columns),
                ("table", &raw.tables),
                ("function", &raw.functions),
            ];
            for (field, names) in fields {
                for name in names {
                    let key = (field, piece::fold(name.value.as_bytes()).into());
                    if let Some(first) = named.insert(key, name.span.clone()) {
                        let message = format!(
                            "the {field} `{}` is redacted already, at {}: this can't make a difference",
                            name.value,
                            self.place(&first)
                        );
                        let problem = self.problem(&name.span, message);
                        self.report(problem);
                    }
                }
            }
            entries.extend(self.redaction(raw));
        }
        Redactions::new(entries)
    }

    fn redaction(&mut self, raw: &RawRedact) -> Option<Entry> {
        let columns = raw.columns.iter().map(|name| self.column(name));
        let columns: Vec<_> = columns.collect();
        let tables: Vec<_> = raw.tables.iter().map(|name| self.last_part(name)).collect();
        let functions: Vec<_> = raw
            .functions
            .iter()
            .map(|name| self.last_part(name))
            .collect();
        let pattern = match &raw.pattern {
            Some(pattern) => Some(self.pattern(pattern)?),
            None => None,
        };
        Some(Entry {
            id: raw.id.value.as_str().into(),
            span: raw.id.span.clone(),
            how: raw.how,
            columns: columns.into_iter().collect::<Option<_>>()?,
            tables: tables.into_iter().collect::<Option<_>>()?,
            functions: functions.into_iter().collect::<Option<_>>()?,
            pattern,
        })
    }

    /// `column`, `table.column` or `schema.table.column`: schemas are not told apart.
    fn column(&mut self, name: &At<String>) -> Option<(Option<Glob>, Glob)> {
        let mut parts = self.parts(name, 3)?.into_iter().rev();
        let column = parts.next().unwrap_or_default();
        let table = match parts.next() {
            Some(table) => Some(self.name(name, table)?),
            None => None,
        };
        Some((table, self.name(name, column)?))
    }

    /// `name` or `schema.name`: schemas are not told apart.
    fn last_part(&mut self, name: &At<String>) -> Option<Glob> {
        let last = self.parts(name, 2)?.pop()?;
        self.name(name, last)
    }

    fn parts<'n>(&mut self, name: &'n At<String>, most: usize) -> Option<Vec<&'n str>> {
        match split_parts(&name.value, most) {
            Ok(parts) => Some(parts),
            Err(error) => {
                let problem = self.problem(&name.span, error.to_string());
                self.report(problem);
                None
            }
        }
    }

    fn name(&mut self, at: &At<String>, part: &str) -> Option<Glob> {
        let glob = match Glob::parse(&piece::fold(part.as_bytes())) {
            Ok(glob) => glob,
            Err(error) => {
                let problem = self.problem(&at.span, error.to_string());
                self.report(problem);
                return None;
            }
        };
        let problem = if !part.chars().any(char::is_alphanumeric) {
            self.problem(&at.span, format!("`{}` names everything", at.value))
                .expected("letters of the name beside `*` and `?`")
        } else if glob
            .literal()
            .is_some_and(|name| name.chars().count() > MAX_NAME_CHARS)
        {
            self.problem(&at.span, "no name is that long, so that this hides nothing")
                .expected(format!("at most {MAX_NAME_CHARS} characters"))
        } else {
            return Some(glob);
        };
        self.report(problem);
        None
    }

    fn pattern(&mut self, pattern: &At<String>) -> Option<regex::bytes::Regex> {
        let built = RegexBuilder::new(&pattern.value)
            .size_limit(MAX_PATTERN_BYTES)
            .build();
        let problem = match built {
            Ok(regex) if !regex.is_match(b"") => return Some(regex),
            Ok(_) => self
                .problem(
                    &pattern.span,
                    "the pattern matches the empty text, and so everything",
                )
                .expected("a pattern that needs at least one character"),
            Err(error) => self.problem(
                &pattern.span,
                format!("this is no regular expression: {error}"),
            ),
        };
        self.report(problem);
        None
    }
}
