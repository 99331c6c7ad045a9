//! The typed reader: TOML values into Rust values, or problems with their place. It never stops at the first one.

use std::net::IpAddr;

use ipnet::IpNet;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::fields::{Form, Need, Section};
use super::sets::{Lookup, SIGIL, Sets};
use crate::problem::{Problem, Source, Span};
use crate::rule::glob::GlobError;
use crate::rule::words::{Word, Words};

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct At<T> {
    /// The value.
    pub value: T,
    /// Its place.
    pub span: Span,
}

/// A value in a TOML document.
pub(super) type Value<'i> = Spanned<DeValue<'i>>;

/// Reads one source and collects what is wrong with it.
pub(super) struct Reader<'s> {
    source: &'s Source,
    number: usize,
    sets: &'s Sets,
    problems: Vec<Problem>,
}

/// A table as a section: only the fields of the section can be asked for.
#[derive(Clone, Copy)]
pub(super) struct Fields<'v, 'i> {
    section: &'static Section,
    table: &'v DeTable<'i>,
}

impl<'v, 'i> Fields<'v, 'i> {
    /// The value of a field, if the table has it.
    pub(super) fn get(&self, name: &str) -> Option<&'v Value<'i>> {
        debug_assert!(
            self.section.field(name).is_some(),
            "`{name}` is not in the table of fields"
        );
        self.table.get(name)
    }
}

impl<'s> Reader<'s> {
    pub(super) fn new(source: &'s Source, number: usize, sets: &'s Sets) -> Self {
        Self {
            source,
            number,
            sets,
            problems: Vec::new(),
        }
    }

    pub(super) fn problem_count(&self) -> usize {
        self.problems.len()
    }

    pub(super) fn finish(self) -> Vec<Problem> {
        self.problems
    }

    /// A problem at a span of this source; it counts when it is handed to `report`.
    pub(super) fn problem(
        &self,
        bytes: std::ops::Range<usize>,
        message: impl Into<String>,
    ) -> Problem {
        Problem::at(self.source, bytes, message)
    }

    pub(super) fn report(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    pub(super) fn at<T>(&self, bytes: std::ops::Range<usize>, value: T) -> At<T> {
        At {
            value,
            span: Span {
                source: self.number,
                bytes,
            },
        }
    }

    pub(super) fn wrong_type(&mut self, field: &str, value: &Value<'_>, expected: &str) {
        let found = value.get_ref().type_str();
        let problem = self
            .problem(
                value.span(),
                format!("`{field}` is {}", with_article(found)),
            )
            .expected(expected);
        self.report(problem);
    }

    /// The fields of a table: reports the keys that are none, and those that are missing. `name` is the section's in
    /// messages, `place` where a missing field is reported.
    pub(super) fn section<'v, 'i>(
        &mut self,
        section: &'static Section,
        name: &str,
        place: std::ops::Range<usize>,
        table: &'v DeTable<'i>,
    ) -> Fields<'v, 'i> {
        for (key, _) in table.iter() {
            let found: &str = key.get_ref();
            if section.field(found).is_none() {
                let problem = self
                    .problem(key.span(), format!("unknown field `{found}` in {name}"))
                    .one_of(found, section.fields.iter().map(|field| field.name));
                self.report(problem);
            }
        }
        for field in section.fields {
            if field.need == Need::Required && !table.contains_key(field.name) {
                let message = match field.form {
                    Form::One => format!("`{}` is missing", field.name),
                    _ => format!("`{}` is missing in {name}", field.name),
                };
                let problem = self.problem(place.clone(), message);
                self.report(match field.form {
                    Form::One => problem.expected(format!("`{} = 1` on top", field.name)),
                    _ => problem,
                });
            }
        }
        Fields { section, table }
    }

    pub(super) fn table<'v, 'i>(
        &mut self,
        field: &str,
        value: &'v Value<'i>,
    ) -> Option<&'v DeTable<'i>> {
        let table = value.get_ref().as_table();
        if table.is_none() {
            self.wrong_type(field, value, "a table");
        }
        table
    }

    pub(super) fn text(&mut self, field: &str, value: &Value<'_>) -> Option<At<String>> {
        match value.get_ref() {
            DeValue::String(text) => Some(self.at(value.span(), text.to_string())),
            _ => {
                self.wrong_type(field, value, "a string");
                None
            }
        }
    }

    pub(super) fn flag(&mut self, field: &str, value: &Value<'_>) -> Option<bool> {
        let flag = value.get_ref().as_bool();
        if flag.is_none() {
            self.wrong_type(field, value, "true or false");
        }
        flag
    }

    /// A string, or a list of them; an empty list can never fit anything.
    pub(super) fn texts(&mut self, field: &str, value: &Value<'_>) -> Vec<At<String>> {
        match value.get_ref() {
            DeValue::String(_) => self.text(field, value).into_iter().collect(),
            DeValue::Array(items) => {
                if items.is_empty() {
                    let problem = self
                        .problem(value.span(), format!("`{field}` is an empty list"))
                        .expected("at least one value, or no such field");
                    self.report(problem);
                }
                items
                    .iter()
                    .filter_map(|item| self.text(field, item))
                    .collect()
            }
            _ => {
                self.wrong_type(field, value, "a string or a list of strings");
                Vec::new()
            }
        }
    }

    /// As [`Self::texts`], with the items of a set in the place of `@NAME`; their place is that of the reference.
    pub(super) fn items(&mut self, field: &str, value: &Value<'_>) -> Vec<At<String>> {
        let mut items = Vec::new();
        for text in self.texts(field, value) {
            let Some(name) = text.value.strip_prefix(SIGIL) else {
                items.push(text);
                continue;
            };
            match self.sets.items(name) {
                Lookup::Items(found) => items.extend(found.into_iter().map(|item| At {
                    value: item.into(),
                    span: text.span.clone(),
                })),
                Lookup::Unknown => {
                    let problem = self
                        .problem(text.span.bytes.clone(), format!("there is no set `{name}`"))
                        .one_of(name, self.sets.names());
                    self.report(problem);
                }
            }
        }
        items
    }

    /// Says behind a complaint about an item which set it comes from.
    pub(super) fn origin(&self, item: &At<String>) -> String {
        let written = self.source.text.get(item.span.bytes.clone());
        let written = written.unwrap_or_default().trim_matches(['"', '\'']);
        match written.strip_prefix(SIGIL) {
            Some(set) => format!(" (from the set `{set}`)"),
            None => String::new(),
        }
    }

    /// One word of the vocabulary.
    pub(super) fn word<T: Word>(&mut self, field: &str, value: &Value<'_>) -> Option<At<T>> {
        let text = self.text(field, value)?;
        let word = self.parse_word(field, &text)?;
        Some(At {
            value: word,
            span: text.span,
        })
    }

    fn parse_word<T: Word>(&mut self, field: &str, text: &At<String>) -> Option<T> {
        let word = T::parse(&text.value);
        if word.is_none() {
            self.unknown_word(field, text, T::WORDS.iter().map(|word| word.text()));
        }
        word
    }

    pub(super) fn unknown_word<'a>(
        &mut self,
        field: &str,
        text: &At<String>,
        words: impl Iterator<Item = &'a str>,
    ) {
        let problem = self
            .problem(
                text.span.bytes.clone(),
                format!("`{}` is no `{field}`{}", text.value, self.origin(text)),
            )
            .one_of(&text.value, words);
        self.report(problem);
    }

    /// A set of words of the vocabulary.
    pub(super) fn words<T: Word>(&mut self, field: &str, value: &Value<'_>) -> Option<Words<T>> {
        let texts = self.items(field, value);
        let mut set = Words::EMPTY;
        for text in &texts {
            if let Some(word) = self.parse_word::<T>(field, text) {
                set.insert(word);
            }
        }
        (!set.is_empty()).then_some(set)
    }

    /// A list of patterns of some kind.
    pub(super) fn patterns<P: Ord>(
        &mut self,
        field: &str,
        value: &Value<'_>,
        parse: impl Fn(&str) -> Result<P, GlobError>,
    ) -> Option<Vec<P>> {
        let mut patterns = Vec::new();
        for text in self.items(field, value) {
            match parse(&text.value) {
                Ok(pattern) => patterns.push(pattern),
                Err(error) => {
                    let origin = self.origin(&text);
                    let problem = self.problem(
                        text.span.bytes,
                        format!(
                            "`{}` is no pattern for `{field}`{origin}: {error}",
                            text.value
                        ),
                    );
                    self.report(problem);
                }
            }
        }
        patterns.sort();
        (!patterns.is_empty()).then_some(patterns)
    }

    /// Patterns over names that SQL folds to lower case.
    pub(super) fn folded<P: Ord>(
        &mut self,
        field: &str,
        value: &Value<'_>,
        parse: impl Fn(&str) -> Result<P, GlobError>,
    ) -> Option<Vec<P>> {
        for text in self.peek_texts(value) {
            if !text.value.starts_with(SIGIL) && text.value.chars().any(char::is_uppercase) {
                let problem = self
                    .problem(
                        text.span.bytes.clone(),
                        format!("`{}` fits quoted names only", text.value),
                    )
                    .expected("lower case, to which SQL folds names that are not quoted")
                    .warning();
                self.report(problem);
            }
        }
        self.patterns(field, value, parse)
    }

    fn peek_texts(&self, value: &Value<'_>) -> Vec<At<String>> {
        let text = |value: &Value<'_>| match value.get_ref() {
            DeValue::String(text) => Some(self.at(value.span(), text.to_string())),
            _ => None,
        };
        match value.get_ref() {
            DeValue::Array(items) => items.iter().filter_map(text).collect(),
            _ => text(value).into_iter().collect(),
        }
    }

    /// Networks in CIDR notation, or single addresses.
    pub(super) fn networks(&mut self, field: &str, value: &Value<'_>) -> Option<Vec<IpNet>> {
        let mut networks = Vec::new();
        for text in self.items(field, value) {
            match read_network(&text.value) {
                Ok(network) => networks.push(network),
                Err(expected) => {
                    let origin = self.origin(&text);
                    let problem = self
                        .problem(
                            text.span.bytes,
                            format!("`{}` is no network for `{field}`{origin}", text.value),
                        )
                        .expected(expected);
                    self.report(problem);
                }
            }
        }
        networks.sort();
        (!networks.is_empty()).then_some(networks)
    }
}

fn read_network(text: &str) -> Result<IpNet, String> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(IpNet::from(address.to_canonical()));
    }
    let network: IpNet = text
        .parse()
        .map_err(|_| "an address or a network such as 10.1.0.0/16".to_owned())?;
    if network != network.trunc() {
        return Err(format!(
            "`{}`, the network's first address",
            network.trunc()
        ));
    }
    Ok(network)
}

fn with_article(noun: &str) -> String {
    let article = if noun.starts_with(['a', 'e', 'i', 'o', 'u']) {
        "an"
    } else {
        "a"
    };
    format!("{article} {noun}")
}
