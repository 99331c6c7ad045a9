//! Finds the clauses that a statement may match without looking at the others.

use std::sync::Arc;

use hashbrown::HashMap;
use smallvec::SmallVec;

use super::Test;
use super::clause::{Clause, Literal};
use super::object::{NamePattern, settings_of};
use super::statement::{StatementTest, StatementView};
use crate::policy::SearchPath;
use crate::statement::facts::Name;
use crate::vocabulary::{ObjectKind, Verb};

/// Clauses by the rarest thing that a statement must have to match them.
#[derive(Clone, Debug, Default)]
pub struct Index {
    fingerprints: HashMap<[u8; 16], Vec<u32>>,
    settings: HashMap<Box<str>, Vec<u32>>,
    functions: HashMap<Box<str>, Vec<u32>>,
    objects: HashMap<Box<str>, Vec<u32>>,
    schemas: HashMap<Box<str>, Vec<u32>>,
    /// Every clause of `schemas`: an unqualified name may lie in any of them.
    any_schema: Vec<u32>,
    columns: HashMap<Box<str>, Vec<u32>>,
    /// Every clause of `columns`: `*` may stand for any of them.
    any_column: Vec<u32>,
    /// Clauses that ask for something that a detector saw.
    detected: Vec<u32>,
    verbs: Vec<Vec<u32>>,
    rest: Vec<u32>,
}

/// Clause numbers in ascending order.
pub type ClauseList = SmallVec<[u32; 8]>;

impl Index {
    /// Sorts the clauses that have a condition on the statement into the index.
    #[must_use]
    pub fn new(clauses: &[Clause]) -> Self {
        let mut index = Self {
            verbs: vec![Vec::new(); Verb::ALL.len()],
            ..Self::default()
        };
        for (number, clause) in (0u32..).zip(clauses) {
            if !clause.statement.is_empty() {
                index.insert(number, clause);
            }
        }
        index
    }

    fn insert(&mut self, number: u32, clause: &Clause) {
        let anchor = clause
            .statement
            .iter()
            .filter(|literal| !literal.negated)
            .filter_map(Anchor::of)
            .min_by_key(Anchor::breadth);
        let add = |map: &mut HashMap<Box<str>, Vec<u32>>, keys: Vec<Box<str>>| {
            for key in keys {
                let list = map.entry(key).or_default();
                if list.last() != Some(&number) {
                    list.push(number);
                }
            }
        };
        match anchor {
            Some(Anchor::Fingerprints(prints)) => {
                for print in prints {
                    self.fingerprints.entry(print).or_default().push(number);
                }
            }
            Some(Anchor::Detected) => self.detected.push(number),
            Some(Anchor::Settings(names)) => add(&mut self.settings, names),
            Some(Anchor::Functions(names)) => add(&mut self.functions, names),
            Some(Anchor::Objects(names)) => add(&mut self.objects, names),
            Some(Anchor::Schemas(schemas)) => {
                add(&mut self.schemas, schemas);
                self.any_schema.push(number);
            }
            Some(Anchor::Columns(columns)) => {
                add(&mut self.columns, columns);
                self.any_column.push(number);
            }
            Some(Anchor::Verbs(verbs)) => {
                for verb in verbs {
                    if let Some(list) = self.verbs.get_mut(verb as usize) {
                        list.push(number);
                    }
                }
            }
            None => self.rest.push(number),
        }
    }

    /// The clauses whose conditions on the statement hold.
    #[must_use]
    pub fn matches(&self, clauses: &[Clause], view: &StatementView<'_>) -> ClauseList {
        let mut found = self.candidates(view);
        if !found.is_sorted_by(|a, b| a < b) {
            found.sort_unstable();
            found.dedup();
        }
        found.retain(|number| {
            usize::try_from(*number)
                .ok()
                .and_then(|number| clauses.get(number))
                .is_some_and(|clause| clause.verbs_only || clause.admits_statement(view))
        });
        found
    }

    fn candidates(&self, view: &StatementView<'_>) -> ClauseList {
        let statement = view.statement;
        let mut found = ClauseList::new();
        found.extend_from_slice(&self.rest);
        add(&mut found, self.verbs.get(statement.verb as usize));
        for verb in statement
            .verbs
            .iter()
            .filter(|verb| **verb != statement.verb)
        {
            add(&mut found, self.verbs.get(*verb as usize));
        }
        if let Some(print) = view.fingerprint.filter(|_| !self.fingerprints.is_empty()) {
            add(&mut found, self.fingerprints.get(&print));
        }
        if !statement.detections.is_empty() {
            found.extend_from_slice(&self.detected);
        }
        if !self.settings.is_empty() {
            for (name, _) in settings_of(view) {
                add(&mut found, self.settings.get(name));
            }
        }
        if !self.functions.is_empty() {
            for name in &statement.functions {
                add(&mut found, self.functions.get(&*name.name));
            }
        }
        if !self.any_column.is_empty() {
            for column in &statement.columns {
                match &*column.column {
                    "*" => found.extend_from_slice(&self.any_column),
                    name => add(&mut found, self.columns.get(name)),
                }
            }
        }
        for object in &statement.objects {
            if !self.functions.is_empty() && object.kind == ObjectKind::Routine {
                add(&mut found, self.functions.get(&*object.name.name));
            }
            if !self.objects.is_empty() {
                add(&mut found, self.objects.get(&*object.name.name));
            }
            if !self.any_schema.is_empty() {
                self.in_schema(&mut found, object.kind, &object.name, view.search_path);
            }
        }
        found
    }

    fn in_schema(
        &self,
        found: &mut ClauseList,
        kind: ObjectKind,
        name: &Name,
        path: Option<&SearchPath>,
    ) {
        if kind == ObjectKind::Schema {
            add(found, self.schemas.get(&*name.name));
        }
        match (&name.schema, path) {
            (Some(schema), _) => add(found, self.schemas.get(&**schema)),
            (None, Some(path)) => {
                for schema in path.schemas.iter() {
                    add(found, self.schemas.get(&**schema));
                }
                if let Some(catalog) = path.catalog {
                    add(found, self.schemas.get(catalog));
                }
            }
            (None, None) => found.extend_from_slice(&self.any_schema),
        }
    }
}

fn add(found: &mut ClauseList, list: Option<&Vec<u32>>) {
    if let Some(list) = list {
        found.extend_from_slice(list);
    }
}

/// What a statement must have one of, for a condition to hold.
enum Anchor {
    Fingerprints(Vec<[u8; 16]>),
    Detected,
    Settings(Vec<Box<str>>),
    Functions(Vec<Box<str>>),
    Objects(Vec<Box<str>>),
    Schemas(Vec<Box<str>>),
    Columns(Vec<Box<str>>),
    Verbs(Vec<Verb>),
}

impl Anchor {
    fn of(literal: &Literal) -> Option<Self> {
        let test: &Arc<Test> = &literal.test;
        let Test::Statement(test) = &**test else {
            return None;
        };
        match test {
            StatementTest::Fingerprint(prints) => Some(Self::Fingerprints(prints.clone())),
            StatementTest::Setting(patterns) => {
                let names = patterns
                    .iter()
                    .map(|pattern| pattern.name.literal().map(Into::into));
                Some(Self::Settings(names.collect::<Option<_>>()?))
            }
            StatementTest::Function(patterns) => {
                let names = patterns
                    .iter()
                    .map(|pattern| pattern.name.literal().map(Into::into));
                Some(Self::Functions(names.collect::<Option<_>>()?))
            }
            StatementTest::Object(test) if !test.names.is_empty() => Self::of_names(&test.names),
            StatementTest::Column(test) if !test.columns.is_empty() => {
                let names = test.columns.iter().map(|column| column.column.literal());
                let names = names.map(|name| name.map(Into::into));
                Some(Self::Columns(names.collect::<Option<_>>()?))
            }
            StatementTest::Verb(verbs) => Some(Self::Verbs(verbs.iter().collect())),
            StatementTest::Replication(true) => Some(Self::Verbs(vec![Verb::Replication])),
            StatementTest::Detect(_) | StatementTest::DetectScore(1..) => Some(Self::Detected),
            StatementTest::Replication(false)
            | StatementTest::DetectScore(0)
            | StatementTest::Object(_)
            | StatementTest::Class(_)
            | StatementTest::Column(_)
            | StatementTest::Where(_)
            | StatementTest::Limit(_)
            | StatementTest::Egress(_)
            | StatementTest::MultiStatement(_)
            | StatementTest::Dynamic(_)
            | StatementTest::Risk(_)
            | StatementTest::Unreadable { .. } => None,
        }
    }

    fn of_names(patterns: &[NamePattern]) -> Option<Self> {
        let mut names = Vec::new();
        for pattern in patterns {
            let Some(name) = pattern.name.literal() else {
                return Self::of_schemas(patterns);
            };
            names.push(name.into());
            // What happens to the schema happens to the object: the schema's own name leads here too.
            match &pattern.schema {
                None => {}
                Some(schema) => match schema.literal() {
                    Some(schema) => names.push(schema.into()),
                    None => return None,
                },
            }
        }
        Some(Self::Objects(names))
    }

    fn of_schemas(patterns: &[NamePattern]) -> Option<Self> {
        let schemas = patterns
            .iter()
            .map(|pattern| pattern.schema.as_ref()?.literal().map(Into::into));
        Some(Self::Schemas(schemas.collect::<Option<_>>()?))
    }

    /// The narrower, the fewer statements find the clause.
    const fn breadth(&self) -> u8 {
        match self {
            Self::Fingerprints(_) | Self::Detected => 0,
            Self::Settings(_) => 1,
            Self::Functions(_) => 2,
            Self::Objects(_) => 3,
            Self::Schemas(_) => 4,
            Self::Columns(_) => 5,
            Self::Verbs(_) => 6,
        }
    }
}
