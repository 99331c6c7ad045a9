//! Reads the sections of a policy file.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::fields::{
    CALENDAR, DEFAULTS, ESCALATION, LISTENER, POLICY, REDACT, REDACT_TEST, RULE, Section, TEST,
    TITLE, TOP, WINDOW, audit_failures, default_actions, unreadable_actions,
};
use super::reader::{At, Fields, Reader, Value};
use super::sets::Sets;
use super::when::Nested;
use super::{File, RawDefaults, RawRule};
use crate::policy::AuditFailure;
use crate::problem::{Problem, Source};
use crate::rule::Title;
use crate::vocabulary::{Action, Mode, RecordDetail, Severity};

/// The most bytes that one policy file may have.
pub(crate) const MAX_SOURCE_BYTES: usize = 4 << 20;

/// Reads the sources of a policy; what could be read comes back together with everything that is wrong.
pub(super) fn read(sources: &[Source]) -> (Vec<File>, Vec<Problem>) {
    let mut problems = Vec::new();
    let documents: Vec<Option<Spanned<DeTable<'_>>>> = sources
        .iter()
        .map(|source| parse(source, &mut problems))
        .collect();
    let mut sets = Sets::default();
    for (number, document) in documents.iter().enumerate() {
        let Some(document) = document else { continue };
        for (span, name) in sets.collect(number, document.get_ref()) {
            if let Some(source) = sources.get(number) {
                let message = format!("the set `{name}` is defined twice");
                problems.push(Problem::at(source, span.bytes, message));
            }
        }
    }
    let mut files = Vec::new();
    for ((number, source), document) in sources.iter().enumerate().zip(&documents) {
        let mut file = File::default();
        let mut reader = Reader::new(source, number, &sets);
        if let Some(document) = document {
            reader.top(document.get_ref(), &mut file);
        }
        problems.extend(reader.finish());
        files.push(file);
    }
    problems.extend(sets.problems(sources));
    (files, problems)
}

/// The values of `include`, as far as they are texts.
pub(super) fn includes(text: &str) -> Vec<(std::ops::Range<usize>, String)> {
    let (document, _) = DeTable::parse_recoverable(text);
    let Some(value) = document.get_ref().get("include") else {
        return Vec::new();
    };
    let text = |value: &Value<'_>| match value.get_ref() {
        DeValue::String(text) => Some((value.span(), text.to_string())),
        _ => None,
    };
    match value.get_ref() {
        DeValue::Array(items) => items.iter().filter_map(text).collect(),
        _ => text(value).into_iter().collect(),
    }
}

/// A document; none if it is broken: what stands after a broken line may have ended up in the wrong section.
fn parse<'s>(source: &'s Source, problems: &mut Vec<Problem>) -> Option<Spanned<DeTable<'s>>> {
    if source.text.len() > MAX_SOURCE_BYTES {
        let problem = Problem::at(source, 0..0, "the file is too long");
        problems.push(problem.expected(format!("at most {MAX_SOURCE_BYTES} bytes")));
        return None;
    }
    let (document, errors) = DeTable::parse_recoverable(&source.text);
    let sound = errors.is_empty();
    for error in errors {
        let span = error.span().unwrap_or_default();
        problems.push(Problem::at(source, span, error.message()));
    }
    sound.then_some(document)
}

impl Reader<'_> {
    fn top(&mut self, table: &DeTable<'_>, file: &mut File) {
        let top = self.section(&TOP, TOP.name, 0..0, table);
        self.schema(top);
        if let Some(policy) = self.single("policy", &POLICY, top) {
            file.name = policy
                .get("name")
                .and_then(|value| self.text("name", value));
            file.version = policy
                .get("version")
                .and_then(|value| self.text("version", value));
        }
        if let Some(defaults) = self.single("defaults", &DEFAULTS, top) {
            file.defaults = self.defaults(defaults);
        }
        self.sets(top);
        self.packs_and_overlays(top, file);
        file.calendars = self.named("calendar", &CALENDAR, top, Self::calendar);
        file.windows = self.named("time", &WINDOW, top, Self::window);
        file.listeners = self.named("listener", &LISTENER, top, Self::listener);
        file.rules = self.array("rule", &RULE, top, |reader, _, rule| reader.rule(rule));
        file.escalations = self.array("escalation", &ESCALATION, top, |reader, _, one| {
            reader.escalation(one)
        });
        file.tests = self.array("test", &TEST, top, Self::case);
        file.redactions = self.array("redact", &REDACT, top, |reader, item, one| {
            reader.redact(item, one)
        });
        file.redact_tests = self.array("redact_test", &REDACT_TEST, top, Self::redact_case);
    }

    /// Looks at the sets of this file; `Sets` has their items.
    fn sets(&mut self, top: Fields<'_, '_>) {
        let Some(sets) = top.get("sets").and_then(|value| self.table("sets", value)) else {
            return;
        };
        for (name, value) in sets.iter() {
            match value.get_ref() {
                DeValue::Array(_) => drop(self.texts(name.get_ref(), value)),
                _ => self.wrong_type(name.get_ref(), value, "a list of strings"),
            }
        }
    }

    fn schema(&mut self, top: Fields<'_, '_>) {
        let Some(value) = top.get("schema") else {
            return;
        };
        let one = value
            .get_ref()
            .as_integer()
            .is_some_and(|number| number.as_str() == "1");
        if !one {
            let problem = self
                .problem(value.span(), "this version of the grammar is not known")
                .expected("`schema = 1`");
            self.report(problem);
        }
    }

    fn defaults(&mut self, table: Fields<'_, '_>) -> RawDefaults {
        RawDefaults {
            action: self.choice("action", table, &default_actions(), Action::from_word),
            unreadable: self.choice(
                "unreadable",
                table,
                &unreadable_actions(),
                Action::from_word,
            ),
            audit_failure: self.choice(
                "audit_failure",
                table,
                &audit_failures(),
                |word| match word {
                    "block" => Some(AuditFailure::Block),
                    "allow" => Some(AuditFailure::Allow),
                    _ => None,
                },
            ),
            mode: table
                .get("mode")
                .and_then(|value| self.word::<Mode>("mode", value)),
            search_path: table.get("search_path").and_then(|value| {
                let schemas: Vec<Box<str>> = self
                    .texts("search_path", value)
                    .into_iter()
                    .map(|schema| schema.value.into())
                    .collect();
                (!schemas.is_empty()).then(|| self.at(value.span(), schemas))
            }),
        }
    }

    /// One of some words that are not a whole vocabulary.
    pub(super) fn choice<T>(
        &mut self,
        field: &str,
        table: Fields<'_, '_>,
        words: &[&'static str],
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<At<T>> {
        let text = self.text(field, table.get(field)?)?;
        match parse(&text.value).filter(|_| words.contains(&text.value.as_str())) {
            Some(value) => Some(At {
                value,
                span: text.span,
            }),
            None => {
                self.unknown_word(field, &text, words.iter().copied());
                None
            }
        }
    }

    /// The table of `[field]`.
    pub(super) fn single<'v, 'i>(
        &mut self,
        field: &str,
        section: &'static Section,
        within: Fields<'v, 'i>,
    ) -> Option<Fields<'v, 'i>> {
        let value = within.get(field)?;
        let table = self.table(field, value)?;
        Some(self.section(section, section.name, value.span(), table))
    }

    /// The tables of `[field.NAME]`.
    fn named<T>(
        &mut self,
        field: &str,
        section: &'static Section,
        top: Fields<'_, '_>,
        read: impl Fn(&mut Self, &str, Fields<'_, '_>) -> Option<T>,
    ) -> Vec<At<T>> {
        let Some(table) = top.get(field).and_then(|value| self.table(field, value)) else {
            return Vec::new();
        };
        let mut all = Vec::new();
        for (name, value) in table.iter() {
            let Some(table) = self.table(field, value) else {
                continue;
            };
            let title = format!("`[{field}.{}]`", name.get_ref());
            if table.is_empty() {
                let problem = self.problem(name.span(), format!("{title} says nothing"));
                self.report(problem);
                continue;
            }
            let fields = self.section(section, &title, name.span(), table);
            if let Some(item) = read(self, name.get_ref(), fields) {
                all.push(self.at(name.span(), item));
            }
        }
        all
    }

    /// The tables of `[[field]]`.
    pub(super) fn array<T>(
        &mut self,
        field: &str,
        section: &'static Section,
        top: Fields<'_, '_>,
        read: impl Fn(&mut Self, &Value<'_>, Fields<'_, '_>) -> Option<T>,
    ) -> Vec<T> {
        let Some(value) = top.get(field) else {
            return Vec::new();
        };
        let DeValue::Array(items) = value.get_ref() else {
            let problem = self
                .problem(value.span(), format!("`{field}` is no list of tables"))
                .expected(section.name);
            self.report(problem);
            return Vec::new();
        };
        let mut all = Vec::new();
        for item in items.iter() {
            let Some(table) = self.table(field, item) else {
                continue;
            };
            let fields = self.section(section, section.name, item.span(), table);
            all.extend(read(self, item, fields));
        }
        all
    }

    fn listener(&mut self, name: &str, table: Fields<'_, '_>) -> Option<(Box<str>, Mode)> {
        let mode = self.word::<Mode>("mode", table.get("mode")?)?;
        Some((name.into(), mode.value))
    }

    fn rule(&mut self, table: Fields<'_, '_>) -> Option<RawRule> {
        let id = table
            .get("id")
            .and_then(|value| self.text("id", value))
            .filter(|id| self.is_name(id));
        let when = table.get("when").and_then(|value| {
            let when = self.when(value, Nested::No)?;
            Some(self.at(value.span(), when))
        });
        let action = table
            .get("action")
            .and_then(|value| self.word::<Action>("action", value));
        let severity = table
            .get("severity")
            .map(|value| self.word::<Severity>("severity", value));
        let title = table.get("title").and_then(|value| self.title(value));
        let tags = table
            .get("tags")
            .map(|value| self.texts("tags", value))
            .unwrap_or_default();
        let mode = table
            .get("mode")
            .and_then(|value| self.word::<Mode>("mode", value));
        let message = table
            .get("message")
            .and_then(|value| self.line("message", value));
        let record = table
            .get("record")
            .and_then(|value| self.word::<RecordDetail>("record", value));
        Some(RawRule {
            id: id?,
            severity: severity.map_or(Some(Severity::Medium), |word| Some(word?.value))?,
            title: title.unwrap_or_default(),
            tags: tags.into_iter().map(|tag| tag.value.into()).collect(),
            when: when?,
            action: action?.value,
            mode: mode.map(|mode| mode.value),
            message,
            record,
        })
    }

    pub(super) fn is_name(&mut self, id: &At<String>) -> bool {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let good = !id.value.is_empty() && id.value.len() <= 128 && id.value.chars().all(fits);
        if !good {
            let problem = self
                .problem(
                    id.span.bytes.clone(),
                    format!("`{}` is no rule name", id.value),
                )
                .expected("1 to 128 letters, digits, `-`, `_` or `.`");
            self.report(problem);
        }
        good
    }

    /// A text that goes into one line of an answer.
    pub(super) fn line(&mut self, field: &str, value: &Value<'_>) -> Option<Box<str>> {
        let text = self.text(field, value)?;
        if text.value.trim().is_empty() || text.value.chars().any(char::is_control) {
            let problem = self
                .problem(
                    text.span.bytes,
                    format!("`{field}` is empty or has control characters"),
                )
                .expected("one line of text");
            self.report(problem);
            return None;
        }
        Some(text.value.into())
    }

    fn title(&mut self, value: &Value<'_>) -> Option<Title> {
        if let DeValue::String(_) = value.get_ref() {
            return Some(Title {
                en: self.line("title", value),
                zh: None,
            });
        }
        let table = self.table("title", value)?;
        let table = self.section(&TITLE, TITLE.name, value.span(), table);
        Some(Title {
            en: table.get("en").and_then(|value| self.line("en", value)),
            zh: table.get("zh").and_then(|value| self.line("zh", value)),
        })
    }
}
