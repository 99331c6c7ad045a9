//! What is wrong with a policy: every problem at once, each with its place, what was expected and the nearest name.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use miette::{Diagnostic, LabeledSpan, NamedSource, Severity as Level, SourceCode};
use thiserror::Error;

/// A place in one of the sources of a policy.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Span {
    /// Which source.
    pub source: usize,
    /// Which bytes of it.
    pub bytes: Range<usize>,
}

/// A file of a policy, or a text given in its place.
#[derive(Clone, Debug)]
pub struct Source {
    /// Its name, for messages.
    pub name: Arc<str>,
    /// Its text.
    pub text: Arc<str>,
}

impl Source {
    /// The line and column of a byte, both counted from 1; columns count characters.
    #[must_use]
    pub fn line_column(&self, byte: usize) -> (usize, usize) {
        let before = self
            .text
            .as_bytes()
            .get(..byte)
            .unwrap_or(self.text.as_bytes());
        let line = before.iter().filter(|byte| **byte == b'\n').count();
        let tail = before
            .rsplit(|byte| *byte == b'\n')
            .next()
            .unwrap_or_default();
        // Continuation bytes are not characters of their own.
        let column = tail.iter().filter(|byte| **byte & 0xc0 != 0x80).count();
        (line + 1, column + 1)
    }
}

/// One thing that is wrong, or suspicious, in a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong.
    pub message: String,
    /// What would be right.
    pub expected: Option<String>,
    /// The nearest right word.
    pub nearest: Option<String>,
    /// The file.
    pub file: Arc<str>,
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1.
    pub column: usize,
    /// Whether it stops the policy from being loaded.
    pub fatal: bool,
    bytes: Range<usize>,
    text: Arc<str>,
}

impl Problem {
    /// A problem at a place.
    #[must_use]
    pub fn at(source: &Source, bytes: Range<usize>, message: impl Into<String>) -> Self {
        let (line, column) = source.line_column(bytes.start);
        Self {
            message: message.into(),
            expected: None,
            nearest: None,
            file: Arc::clone(&source.name),
            line,
            column,
            fatal: true,
            bytes,
            text: Arc::clone(&source.text),
        }
    }

    /// Says what was expected.
    #[must_use]
    pub fn expected(mut self, expected: impl Into<String>) -> Self {
        self.expected = Some(expected.into());
        self
    }

    /// Says which of `words` was expected, and which is nearest to what was found.
    #[must_use]
    pub fn one_of<'a>(mut self, found: &str, words: impl IntoIterator<Item = &'a str>) -> Self {
        let words: Vec<&str> = words.into_iter().collect();
        self.nearest = nearest(found, &words).map(str::to_owned);
        self.expected = Some(match words.as_slice() {
            [] => "nothing".into(),
            [only] => format!("`{only}`"),
            _ if words.len() > MOST_LISTED => {
                format!("one of the {} known names", words.len())
            }
            _ => format!("one of {}", words.join(", ")),
        });
        self
    }

    /// Makes it a warning.
    #[must_use]
    pub fn warning(mut self) -> Self {
        self.fatal = false;
        self
    }
}

const MOST_LISTED: usize = 80;

/// The word that is nearest to `found`, if one is near.
#[must_use]
pub fn nearest<'a>(found: &str, words: &[&'a str]) -> Option<&'a str> {
    let lower = found.to_lowercase();
    words
        .iter()
        .map(|word| {
            (
                strsim::damerau_levenshtein(&lower, &word.to_lowercase()),
                *word,
            )
        })
        .filter(|(distance, word)| {
            *distance <= 1 + word.chars().count().max(found.chars().count()) / 4
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
        .or_else(|| {
            (lower.len() > 3)
                .then(|| {
                    words
                        .iter()
                        .find(|w| w.contains(&*lower) || lower.contains(**w))
                        .copied()
                })
                .flatten()
        })
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: ", self.file, self.line, self.column)?;
        if !self.fatal {
            f.write_str("warning: ")?;
        }
        f.write_str(&self.message)?;
        if let Some(expected) = &self.expected {
            write!(f, "; expected {expected}")?;
        }
        if let Some(nearest) = &self.nearest {
            write!(f, "; did you mean `{nearest}`?")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problem {}

/// A view of a problem that a terminal can draw with its source text.
#[derive(Debug)]
pub struct Drawn<'a> {
    problem: &'a Problem,
    source: NamedSource<Arc<str>>,
}

impl Problem {
    /// The problem as a diagnostic with source text and label.
    #[must_use]
    pub fn drawn(&self) -> Drawn<'_> {
        Drawn {
            problem: self,
            source: NamedSource::new(&*self.file, Arc::clone(&self.text)).with_language("TOML"),
        }
    }
}

impl fmt::Display for Drawn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problem.message)
    }
}

impl std::error::Error for Drawn<'_> {}

impl Diagnostic for Drawn<'_> {
    fn severity(&self) -> Option<Level> {
        Some(if self.problem.fatal {
            Level::Error
        } else {
            Level::Warning
        })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        let problem = self.problem;
        let mut help = String::new();
        if let Some(expected) = &problem.expected {
            help.push_str(&format!("expected {expected}"));
        }
        if let Some(nearest) = &problem.nearest {
            if !help.is_empty() {
                help.push('\n');
            }
            help.push_str(&format!("did you mean `{nearest}`?"));
        }
        (!help.is_empty()).then(|| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(&self.source)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let end = self.problem.text.len();
        let start = self.problem.bytes.start.min(end);
        let length = self.problem.bytes.end.min(end).saturating_sub(start);
        Some(Box::new(std::iter::once(LabeledSpan::underline((
            start, length,
        )))))
    }
}

/// Everything that is wrong with a policy, in the order of files and lines; at least one problem is fatal.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    /// Draws every problem with its source text, in colour if asked for.
    #[must_use]
    pub fn draw(&self, colour: Colour) -> String {
        draw(&self.0, colour)
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut first = true;
        for problem in &self.0 {
            if !first {
                f.write_str("\n")?;
            }
            first = false;
            problem.fmt(f)?;
        }
        Ok(())
    }
}

/// Whether output is coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// With terminal colours.
    Always,
    /// Plain text.
    Never,
}

/// Problems as JSON.
#[must_use]
pub fn json(problems: &[Problem]) -> serde_json::Value {
    let one = |problem: &Problem| {
        serde_json::json!({
            "file": *problem.file,
            "line": problem.line,
            "column": problem.column,
            "fatal": problem.fatal,
            "message": problem.message,
            "expected": problem.expected,
            "nearest": problem.nearest,
        })
    };
    problems.iter().map(one).collect()
}

/// Draws problems with their source text: `file:line:column` first, then the lines concerned.
#[must_use]
pub fn draw(problems: &[Problem], colour: Colour) -> String {
    let theme = match colour {
        Colour::Always => miette::GraphicalTheme::unicode(),
        Colour::Never => miette::GraphicalTheme::unicode_nocolor(),
    };
    let handler = miette::GraphicalReportHandler::new_themed(theme).with_links(false);
    let mut text = String::new();
    for problem in problems {
        // The plain line stands on top: it is what editors and scripts read.
        text.push_str(&problem.to_string());
        text.push('\n');
        let mut drawing = String::new();
        if handler
            .render_report(&mut drawing, &problem.drawn())
            .is_ok()
        {
            text.push_str(&drawing);
        }
    }
    text
}
