//! Conditions on values: of parameters, and of literals in the text.

use std::borrow::Cow;

use super::Sense;
use super::glob::Glob;
use super::personal::PersonalData;
use super::range::{Fit, Range};
use super::subject::join;
use super::words::Words;

/// A value that was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// NULL.
    Null,
    /// A number, or a text, as SQL would write it without quotes.
    Plain(Cow<'a, str>),
    /// Bytes whose meaning isn't known.
    Opaque,
}

/// A literal of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Literal {
    /// What it belongs to.
    pub role: Role,
    /// Its value; `None` where only the server knows what it comes to.
    pub value: Option<Box<str>>,
}

/// What a literal belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// It is compared with, or assigned to, a column of this name.
    Column(Box<str>),
    /// It is an argument of a call, or of anything else in parentheses behind a name.
    Function(Box<str>),
    /// It is this argument of EXECUTE, counted from 1.
    Argument(u16),
    /// It counts rows: LIMIT, OFFSET.
    Limit,
    /// That isn't known.
    Free,
}

/// The literals of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Literals {
    /// Those that were found, in order.
    pub list: Vec<Literal>,
    /// Whether there are no others.
    pub complete: bool,
}

/// What a value must be like.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Content {
    /// Any of these patterns fits; every value does if there are none.
    pub matches: Vec<Glob>,
    /// It lies in any of these ranges.
    pub ranges: Vec<Range>,
    /// It holds a number of any of these kinds; every value does if there are none.
    pub personal: Words<PersonalData>,
}

/// `parameter`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParameterTest {
    /// Which one, counted from 1; any without it.
    pub position: Option<u16>,
    /// Its value.
    pub content: Content,
}

/// `literal`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiteralTest {
    /// The columns that it belongs to.
    pub columns: Vec<Glob>,
    /// The functions that it belongs to.
    pub functions: Vec<Glob>,
    /// Its value.
    pub content: Content,
}

/// The parameters of a statement that is to be run.
pub trait Parameters {
    /// Shows every parameter, in order.
    fn each(&self, show: &mut dyn FnMut(Value<'_>));
}

impl Parameters for &[Value<'_>] {
    fn each(&self, show: &mut dyn FnMut(Value<'_>)) {
        for value in *self {
            show(value.clone());
        }
    }
}

impl Content {
    /// Whether every value is like that.
    #[must_use]
    pub fn is_any(&self) -> bool {
        self.matches.is_empty() && self.ranges.is_empty() && self.personal.is_empty()
    }

    fn fit(&self, value: &Value<'_>) -> Fit {
        let text = match value {
            Value::Null => return Fit::No,
            Value::Opaque => return Fit::Maybe,
            Value::Plain(text) => text,
        };
        if !self.matches.is_empty() && !self.matches.iter().any(|glob| glob.matches(text)) {
            return Fit::No;
        }
        if !self.personal.is_empty() && !self.personal.iter().any(|kind| kind.fits(text)) {
            return Fit::No;
        }
        if self.ranges.is_empty() {
            return Fit::Yes;
        }
        any(self.ranges.iter().map(|range| range.fit(text)))
    }

    fn wanted(&self) -> String {
        let mut parts = Vec::new();
        if !self.matches.is_empty() {
            parts.push(join(&self.matches));
        }
        if !self.ranges.is_empty() {
            parts.push(join(&self.ranges));
        }
        if !self.personal.is_empty() {
            parts.push(self.personal.to_string());
        }
        parts.join(" and ")
    }
}

impl ParameterTest {
    /// Whether it holds of any parameter that it is about, or of all there are.
    #[must_use]
    pub fn holds(&self, parameters: &dyn Parameters, sense: Sense) -> bool {
        let (mut count, mut fits) = (0u32, Vec::new());
        parameters.each(&mut |value| {
            count += 1;
            if self
                .position
                .is_none_or(|position| u32::from(position) == count)
            {
                fits.push(self.content.fit(&value));
            }
        });
        settle(&fits, sense)
    }

    /// What it wants, for people.
    #[must_use]
    pub fn wanted(&self) -> String {
        match self.position {
            Some(position) => format!("${position}: {}", self.content.wanted()),
            None => self.content.wanted(),
        }
    }
}

impl LiteralTest {
    /// Whether it holds of any literal that it is about, or of all there are. A literal of which it isn't known what it
    /// belongs to may belong to what is meant.
    #[must_use]
    pub fn holds(&self, literals: &Literals, sense: Sense) -> bool {
        let mut fits: Vec<Fit> = literals
            .list
            .iter()
            .filter_map(|literal| self.fit(literal))
            .collect();
        if !literals.complete {
            fits.push(Fit::Maybe);
        }
        settle(&fits, sense)
    }

    /// Whether a literal fits; none if it is about others.
    fn fit(&self, literal: &Literal) -> Option<Fit> {
        let unbound = self.columns.is_empty() && self.functions.is_empty();
        let among = |globs: &[Glob], name: &str| globs.iter().any(|glob| glob.matches(name));
        let meant = match &literal.role {
            _ if unbound => Fit::Yes,
            Role::Column(name) if among(&self.columns, name) => Fit::Yes,
            Role::Function(name) if among(&self.functions, name) => Fit::Yes,
            Role::Free => Fit::Maybe,
            Role::Column(_) | Role::Function(_) | Role::Argument(_) | Role::Limit => Fit::No,
        };
        let value = match &literal.value {
            Some(text) => Value::Plain(Cow::Borrowed(text)),
            None => Value::Opaque,
        };
        match (meant, self.content.fit(&value)) {
            (Fit::No, _) => None,
            (_, Fit::No) => Some(Fit::No),
            (Fit::Yes, Fit::Yes) => Some(Fit::Yes),
            (_, _) => Some(Fit::Maybe),
        }
    }

    /// What it wants, for people.
    #[must_use]
    pub fn wanted(&self) -> String {
        let mut parts = Vec::new();
        if !self.columns.is_empty() {
            parts.push(format!("of {}", join(&self.columns)));
        }
        if !self.functions.is_empty() {
            parts.push(format!("in {}", join(&self.functions)));
        }
        parts.push(self.content.wanted());
        parts.retain(|part| !part.is_empty());
        parts.join(": ")
    }
}

fn any(fits: impl Iterator<Item = Fit>) -> Fit {
    let mut best = Fit::No;
    for fit in fits {
        match fit {
            Fit::Yes => return Fit::Yes,
            Fit::Maybe => best = Fit::Maybe,
            Fit::No => {}
        }
    }
    best
}

fn settle(fits: &[Fit], sense: Sense) -> bool {
    match sense {
        Sense::Any => fits.iter().any(|fit| *fit != Fit::No),
        Sense::All => !fits.is_empty() && fits.iter().all(|fit| *fit == Fit::Yes),
    }
}
