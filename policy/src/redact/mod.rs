//! `[[redact]]`: which values of a statement must not be recorded, or only as a keyed hash.
//!
//! It works on tokens, so that texts that can't be read are covered too. A text that names nothing of an entry keeps its
//! values. In one that does, a value stays only if it is known to belong to another column ([`owner`]); whatever can't be
//! told is masked. Values may be given by other statements before: user variables, own settings and the arguments of
//! EXECUTE are masked whenever there is an entry about columns, tables or functions.

pub mod case;
mod find;
mod owner;
pub(crate) mod piece;
#[cfg(test)]
mod tests;

use std::ops::Range;

use regex::bytes::Regex;

use self::find::Finder;
use self::piece::fold;
use crate::problem::Span;
use crate::rule::glob::Glob;
use crate::statement::{LexState, Limits, StatementFacts};

/// What stands in a value's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// Always the same.
    Mask,
    /// A keyed hash of the value: equal values stay equal.
    Hash,
}

/// What happens to a value. Of two, the greater counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// It is recorded.
    Keep,
    /// Its hash is recorded.
    Hash,
    /// Nothing of it is recorded.
    Mask,
}

impl From<How> for Fate {
    fn from(how: How) -> Self {
        match how {
            How::Mask => Fate::Mask,
            How::Hash => Fate::Hash,
        }
    }
}

/// One `[[redact]]`.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its name.
    pub id: Box<str>,
    /// Where it stands.
    pub span: Span,
    /// What stands in a value's place.
    pub how: How,
    /// Columns, with the table they are in where that is said.
    pub columns: Vec<(Option<Glob>, Glob)>,
    /// Tables, all of whose statements' values are meant.
    pub tables: Vec<Glob>,
    /// Functions, all of whose arguments are meant.
    pub functions: Vec<Glob>,
    /// Values that look like this.
    pub pattern: Option<Regex>,
}

/// Every `[[redact]]` of a policy; there is at least one.
#[derive(Clone, Debug)]
pub struct Redactions {
    entries: Vec<Entry>,
    /// Some entry is about names, not only about what values look like.
    named: bool,
}

/// What must not be recorded of a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hidden {
    /// Places of the text, in order and disjoint.
    pub places: Vec<Place>,
    /// Its parameters.
    pub parameters: Fates,
}

/// A place of a text, and what comes there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Where.
    pub range: Range<usize>,
    /// What comes there.
    pub stand_in: StandIn,
}

/// What comes in place of a piece of text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StandIn {
    /// The mask.
    Mask,
    /// An empty comment.
    Comment,
    /// The hash of this value.
    Hash(Vec<u8>),
}

/// What happens to the parameters of a statement.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fates {
    own: Vec<Fate>,
    rest: Option<Fate>,
}

impl Fates {
    /// All of them have the same fate.
    #[must_use]
    pub fn all(fate: Fate) -> Self {
        Fates {
            own: Vec::new(),
            rest: Some(fate),
        }
    }

    /// The fate of parameter `number`, from 0. Rows of a bulk execution are told one after another, `row` values each.
    #[must_use]
    pub fn of(&self, number: usize, row: usize) -> Fate {
        let number = number.checked_rem(row).unwrap_or(number);
        let rest = self.rest.unwrap_or(Fate::Keep);
        self.own.get(number).copied().unwrap_or(rest)
    }

    /// The fate of what is sent beside the parameters.
    #[must_use]
    pub fn rest(&self) -> Fate {
        self.rest.unwrap_or(Fate::Keep)
    }

    fn add(&mut self, number: usize, fate: Fate) {
        if number >= MAX_PARAMETERS {
            return;
        }
        if self.own.len() <= number {
            self.own.resize(number + 1, Fate::Keep);
        }
        if let Some(known) = self.own.get_mut(number) {
            *known = (*known).max(fate);
        }
    }
}

/// More parameters than either protocol can bind.
const MAX_PARAMETERS: usize = 65_536;

impl Redactions {
    /// The entries of a policy; `None` without any.
    #[must_use]
    pub fn new(entries: Vec<Entry>) -> Option<Self> {
        let named = entries.iter().any(|entry| {
            !entry.columns.is_empty() || !entry.tables.is_empty() || !entry.functions.is_empty()
        });
        (!entries.is_empty()).then_some(Self { entries, named })
    }

    /// The entries.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Whether some entry wants a hash, for which there must be a key.
    #[must_use]
    pub fn hashes(&self) -> bool {
        self.entries.iter().any(|entry| entry.how == How::Hash)
    }

    /// What happens to a value, by what it looks like.
    #[must_use]
    pub fn value(&self, value: &[u8]) -> Fate {
        self.patterns()
            .filter(|(pattern, _)| pattern.is_match(value))
            .map(|(_, how)| Fate::from(how))
            .max()
            .unwrap_or(Fate::Keep)
    }

    /// Whether a statement does anything with what some entry names.
    #[must_use]
    pub fn touches(&self, facts: &StatementFacts) -> bool {
        let columns = facts.columns.iter().map(|column| &*column.column);
        let objects = facts.objects.iter().map(|object| &*object.name.name);
        let functions = facts.functions.iter().map(|function| &*function.name);
        self.named
            && (columns.chain(objects).chain(functions))
                .any(|name| self.is_named(&fold(name.as_bytes())))
    }

    /// What must not be recorded of `text`.
    #[must_use]
    pub fn find(&self, text: &[u8], lex: &LexState) -> Hidden {
        let limits = Limits::default();
        let Some(pieces) = crate::statement::pieces(text, lex, &limits) else {
            return self.unscannable(text);
        };
        let mut finder = Finder::new(self, text, &pieces);
        finder.judge();
        finder.finish()
    }

    /// A text in whose encoding tokens can't be told apart: all or nothing.
    fn unscannable(&self, text: &[u8]) -> Hidden {
        let hide = self.mentions(text) || self.value(text) > Fate::Keep;
        if !hide {
            return Hidden::default();
        }
        Hidden {
            places: vec![Place {
                range: 0..text.len(),
                stand_in: StandIn::Mask,
            }],
            parameters: Fates::all(Fate::Mask),
        }
    }

    fn patterns(&self) -> impl Iterator<Item = (&Regex, How)> {
        let entries = self.entries.iter();
        entries.filter_map(|entry| entry.pattern.as_ref().map(|pattern| (pattern, entry.how)))
    }

    /// Every name that an entry gives.
    fn names(&self) -> impl Iterator<Item = &Glob> {
        self.entries.iter().flat_map(|entry| {
            // Where a table is named, the column alone says nothing.
            let columns = entry
                .columns
                .iter()
                .map(|(table, column)| table.as_ref().unwrap_or(column));
            columns.chain(&entry.tables).chain(&entry.functions)
        })
    }

    fn is_named(&self, name: &str) -> bool {
        self.names().any(|glob| glob.matches(name))
    }

    /// Whether some bytes that are no tokens hold a name of an entry.
    fn mentions(&self, bytes: &[u8]) -> bool {
        if !self.named {
            return false;
        }
        let text = fold(bytes);
        let is_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$');
        let words = text.split(|c| !is_name(c)).filter(|word| !word.is_empty());
        let mut odd = self
            .names()
            .filter_map(|glob| glob.literal())
            .filter(|name| !name.chars().all(is_name));
        words.into_iter().any(|word| self.is_named(word)) || odd.any(|name| text.contains(name))
    }
}
