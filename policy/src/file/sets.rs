//! `[sets]`: lists by names, for the list fields of `when`.

use std::cell::RefCell;
use std::collections::btree_map::{BTreeMap, Entry};

use hashbrown::HashSet;
use toml::de::{DeTable, DeValue};

use super::reader::At;
use crate::problem::{Problem, Source, Span};

/// The sets of every file of a policy.
#[derive(Debug, Default)]
pub(super) struct Sets {
    sets: BTreeMap<Box<str>, Set>,
    used: RefCell<HashSet<Box<str>>>,
}

#[derive(Debug)]
struct Set {
    span: Span,
    items: Vec<At<String>>,
}

/// What a reference comes to.
#[derive(Debug)]
pub(super) enum Lookup {
    Items(Vec<Box<str>>),
    Unknown,
}

/// What begins the name of a set in a list; a pattern that begins so itself is written `\@`.
pub(super) const SIGIL: char = '@';

/// The most items that all sets may have together.
const MAX_ITEMS: usize = 1 << 18;

impl Sets {
    /// Takes in the sets of one file; what is wrong with them is reported when the file is read.
    pub(super) fn collect(
        &mut self,
        number: usize,
        document: &DeTable<'_>,
    ) -> Vec<(Span, Box<str>)> {
        let mut twice = Vec::new();
        let Some(sets) = document
            .get("sets")
            .and_then(|value| value.get_ref().as_table())
        else {
            return twice;
        };
        for (name, value) in sets.iter() {
            let at = |bytes| Span {
                source: number,
                bytes,
            };
            let DeValue::Array(items) = value.get_ref() else {
                continue;
            };
            let items = items.iter().filter_map(|item| match item.get_ref() {
                DeValue::String(text) => Some(At {
                    value: text.to_string(),
                    span: at(item.span()),
                }),
                _ => None,
            });
            let set = Set {
                span: at(name.span()),
                items: items.collect(),
            };
            let key: Box<str> = name.get_ref().as_ref().into();
            match self.sets.entry(key) {
                Entry::Occupied(known) => twice.push((set.span, known.key().clone())),
                Entry::Vacant(free) => {
                    free.insert(set);
                }
            }
        }
        twice
    }

    /// The items of a set, those of the sets in it included; each once.
    pub(super) fn items(&self, name: &str) -> Lookup {
        if !self.sets.contains_key(name) {
            return Lookup::Unknown;
        }
        let (mut items, mut seen) = (Vec::new(), HashSet::new());
        let mut opened: HashSet<&str> = HashSet::new();
        let mut waiting = vec![name];
        while let Some(name) = waiting.pop() {
            let Some((key, set)) = self.sets.get_key_value(name) else {
                continue;
            };
            if !opened.insert(key) {
                continue;
            }
            self.used.borrow_mut().insert(key.clone());
            for item in &set.items {
                match item.value.strip_prefix(SIGIL) {
                    Some(inner) => waiting.push(inner),
                    None => {
                        if seen.insert(item.value.as_str()) {
                            items.push(item.value.as_str().into());
                        }
                    }
                }
            }
        }
        Lookup::Items(items)
    }

    /// The names of all sets.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.sets.keys().map(|name| &**name)
    }

    /// What is wrong with the sets as a whole: references to none, circles, too many items; and those that nothing uses.
    pub(super) fn problems(&self, sources: &[Source]) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut say = |span: &Span, make: &dyn Fn(Problem) -> Problem, message: String| {
            if let Some(source) = sources.get(span.source) {
                problems.push(make(Problem::at(source, span.bytes.clone(), message)));
            }
        };
        let total: usize = self.sets.values().map(|set| set.items.len()).sum();
        for (name, set) in &self.sets {
            for item in &set.items {
                if let Some(inner) = item.value.strip_prefix(SIGIL)
                    && !self.sets.contains_key(inner)
                {
                    say(
                        &item.span,
                        &|problem| problem.one_of(inner, self.names()),
                        format!("there is no set `{inner}`"),
                    );
                }
            }
            if self.holds_itself(name) {
                let message = format!("the set `{name}` holds itself");
                say(&set.span, &|problem| problem, message);
            }
            if !self.used.borrow().contains(name) {
                let message = format!("no rule uses the set `{name}`");
                say(&set.span, &Problem::warning, message);
            }
            if total > MAX_ITEMS {
                let message = format!("the sets have {total} items");
                let most = format!("at most {MAX_ITEMS}");
                say(
                    &set.span,
                    &|problem| problem.expected(most.as_str()),
                    message,
                );
            }
        }
        problems
    }

    fn holds_itself(&self, name: &str) -> bool {
        let mut opened: HashSet<&str> = HashSet::new();
        let mut waiting = vec![name];
        while let Some(next) = waiting.pop() {
            let Some(set) = self.sets.get(next) else {
                continue;
            };
            for inner in set
                .items
                .iter()
                .filter_map(|item| item.value.strip_prefix(SIGIL))
            {
                if inner == name {
                    return true;
                }
                if opened.insert(inner) {
                    waiting.push(inner);
                }
            }
        }
        false
    }
}
