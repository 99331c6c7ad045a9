//! What analysis says of a statement → the journal's shapes, each written once.

use std::{borrow::Cow, collections::HashSet};

use sha2::{Digest, Sha256};
use sqlward_audit_store::{
    journal::{JournalError, Lane},
    record::{Column, Entry, List, Object, Shape},
};
use sqlward_policy::{
    Policy,
    statement::{Analysis, Known, StatementFacts},
    vocabulary::{Class, LimitShape, Verb, WhereShape},
};

use crate::redaction;

/// Shapes remembered as written; forgetting them only costs writing them again.
const MAX_SHAPES: usize = 65_536;

/// The analysis shapes that this process has written to its lane.
#[derive(Debug, Default)]
pub struct Shapes(HashSet<[u8; 16]>);

impl Shapes {
    /// The key of a statement's shape, which is in the journal from now on.
    ///
    /// # Errors
    /// The journal can't take it.
    pub(crate) fn write(
        &mut self,
        lane: &mut Lane,
        known: &Known,
        policy: &Policy,
    ) -> Result<[u8; 16], JournalError> {
        // What is known belongs to this worker, as the lane does: a key that it has was written here.
        if let Some(key) = known.slot.key() {
            return Ok(key);
        }
        let analysis = &known.analysis;
        let key = key(analysis);
        if !self.0.contains(&key) {
            let clean = redaction::analysis(policy, analysis);
            let analysis = clean.as_ref().unwrap_or(analysis);
            let functions = functions(analysis);
            let mut shape = shape(key, analysis);
            shape.functions = List::Owned(functions.iter().map(|name| &**name).collect());
            lane.append(&Entry::Shape(shape))?;
            if self.0.len() >= MAX_SHAPES {
                self.0.clear();
            }
            self.0.insert(key);
        }
        known.slot.set_key(key);
        Ok(key)
    }
}

/// What names an analysis in the journal: its fingerprint, where every text with that fingerprint has these facts.
fn key(analysis: &Analysis) -> [u8; 16] {
    if !analysis.depends_on_literals {
        return analysis.fingerprint.0;
    }
    let mut hasher = Sha256::new();
    hasher.update(analysis.fingerprint.0);
    hasher.update(format!("{:?}", analysis.facts));
    let digest = hasher.finalize();
    digest.first_chunk().copied().unwrap_or_default()
}

fn shape(key: [u8; 16], analysis: &Analysis) -> Shape<'_> {
    let statements = &analysis.facts.statements;
    let all = || statements.iter();
    Shape {
        key,
        fingerprint: analysis.fingerprint.0,
        normal: &analysis.normal,
        statements: u32::try_from(statements.len()).unwrap_or(u32::MAX),
        verb: statements
            .first()
            .map_or(Verb::Unknown, |statement| statement.verb),
        class: all()
            .map(|statement| statement.class)
            .max_by_key(strength)
            .unwrap_or(Class::Utility),
        verbs: unique(all().flat_map(|statement| statement.verbs.iter().copied())),
        objects: unique(all().flat_map(objects)),
        columns: unique(all().flat_map(columns)),
        functions: List::empty(),
        egress: unique(all().flat_map(|statement| statement.egress.iter().copied())),
        where_shape: all()
            .map(|statement| statement.where_shape)
            .min_by_key(restriction)
            .unwrap_or(WhereShape::NotApplicable),
        limit: statements
            .last()
            .map_or(LimitShape::NotApplicable, |statement| statement.limit),
        dynamic: all().any(|statement| statement.dynamic),
    }
}

/// The functions that a text calls, qualified where it qualifies them.
fn functions(analysis: &Analysis) -> List<'_, Cow<'_, str>> {
    let statements = analysis.facts.statements.iter();
    unique(
        statements
            .flat_map(|statement| &statement.functions)
            .map(|function| match &function.schema {
                Some(schema) => Cow::Owned(format!("{schema}.{}", function.name)),
                None => Cow::Borrowed(&*function.name),
            }),
    )
}

/// How strong a class is: a message is of the strongest class in it.
fn strength(class: &Class) -> u8 {
    match class {
        Class::Utility => 0,
        Class::Tcl => 1,
        Class::Session => 2,
        Class::Read => 3,
        Class::Write => 4,
        Class::Ddl => 5,
        Class::Dcl => 6,
        Class::Admin => 7,
    }
}

/// How far a WHERE restricts: a message's is the weakest in it.
fn restriction(shape: &WhereShape) -> u8 {
    match shape {
        WhereShape::Absent => 0,
        WhereShape::AlwaysTrue => 1,
        WhereShape::Restricting => 2,
        WhereShape::NotApplicable => 3,
    }
}

fn objects(statement: &StatementFacts) -> impl Iterator<Item = Object<'_>> {
    statement.objects.iter().map(|object| Object {
        kind: object.kind,
        schema: object.name.schema.as_deref(),
        name: &object.name.name,
        access: object.access,
    })
}

fn columns(statement: &StatementFacts) -> impl Iterator<Item = Column<'_>> {
    statement.columns.iter().map(|column| Column {
        schema: column
            .table
            .as_ref()
            .and_then(|table| table.schema.as_deref()),
        table: column.table.as_ref().map(|table| &*table.name),
        column: &column.column,
        usage: column.usage,
    })
}

/// Each item once, in order of first appearance.
fn unique<'a, T: Clone + Eq + std::hash::Hash>(items: impl Iterator<Item = T>) -> List<'a, T> {
    let mut seen = HashSet::new();
    List::Owned(items.filter(|item| seen.insert(item.clone())).collect())
}
