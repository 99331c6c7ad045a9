//! What is asked: the conditions on a statement.

use super::Sense;
use super::object::{
    ColumnTest, NamePattern, ObjectTest, SettingPattern, functions_hold, settings_hold, settings_of,
};
use super::range::Range;
use super::risk::risk;
use super::subject::join;
use super::words::Words;
use crate::detect::score;
use crate::policy::SearchPath;
use crate::statement::facts::{Facts, Name, StatementFacts};
use crate::vocabulary::{Class, Detector, Egress, LimitShape, Unreadable, Verb, WhereShape};

/// One statement of a message, as conditions see it.
#[derive(Clone, Copy, Debug)]
pub struct StatementView<'a> {
    /// The statement's facts.
    pub statement: &'a StatementFacts,
    /// How many statements the message holds.
    pub statements: usize,
    /// Why the message can't be read exactly, if it can't.
    pub unreadable: Option<Unreadable>,
    /// The fingerprint of the message's text, where it has one.
    pub fingerprint: Option<[u8; 16]>,
    /// The schemas that an unqualified name may lie in, where that is known.
    pub search_path: Option<&'a SearchPath>,
}

impl<'a> StatementView<'a> {
    /// The views of a message's statements.
    pub fn of(
        facts: &'a Facts,
        unreadable: Option<Unreadable>,
        fingerprint: Option<[u8; 16]>,
        search_path: Option<&'a SearchPath>,
    ) -> impl Iterator<Item = StatementView<'a>> {
        let statements = facts.statements.len();
        facts.statements.iter().map(move |statement| StatementView {
            statement,
            statements,
            unreadable,
            fingerprint,
            search_path,
        })
    }
}

/// A condition on a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StatementTest {
    /// The verbs.
    Verb(Words<Verb>),
    /// The class.
    Class(Words<Class>),
    /// The objects, their kinds and accesses.
    Object(ObjectTest),
    /// The columns and their uses.
    Column(ColumnTest),
    /// The functions called.
    Function(Vec<NamePattern>),
    /// The shape of WHERE.
    Where(Words<WhereShape>),
    /// The shape of LIMIT.
    Limit(Words<LimitShape>),
    /// Ways out of the database.
    Egress(Words<Egress>),
    /// Whether the message holds several statements.
    MultiStatement(bool),
    /// Whether it runs SQL hidden in strings.
    Dynamic(bool),
    /// The fingerprint.
    Fingerprint(Vec<[u8; 16]>),
    /// Whether, and why, it can't be read.
    Unreadable {
        /// The reasons that fit; all of them for `true` and `false`.
        reasons: Words<Unreadable>,
        /// Whether it must be unreadable, or readable.
        wanted: bool,
    },
    /// Detectors that matched.
    Detect(Words<Detector>),
    /// The least score of the detectors that matched.
    DetectScore(u32),
    /// The settings changed.
    Setting(Vec<SettingPattern>),
    /// Whether it is a replication command.
    Replication(bool),
    /// The estimated risk.
    Risk(Range),
}

impl StatementTest {
    /// The field of `when` that holds this condition.
    #[must_use]
    pub const fn field(&self) -> &'static str {
        match self {
            Self::Verb(_) => "verb",
            Self::Class(_) => "class",
            Self::Object(test) => match (test.names.is_empty(), &test.access) {
                (false, _) => "object",
                (true, Some(_)) => "access",
                (true, None) => "object_kind",
            },
            Self::Column(test) if test.columns.is_empty() => "column_use",
            Self::Column(_) => "column",
            Self::Function(_) => "function",
            Self::Where(_) => "where",
            Self::Limit(_) => "limit",
            Self::Egress(_) => "egress",
            Self::MultiStatement(_) => "multi_statement",
            Self::Dynamic(_) => "dynamic",
            Self::Fingerprint(_) => "fingerprint",
            Self::Unreadable { .. } => "unreadable",
            Self::Detect(_) => "detect",
            Self::DetectScore(_) => "detect_score",
            Self::Setting(_) => "setting",
            Self::Replication(_) => "replication",
            Self::Risk(_) => "risk",
        }
    }

    /// Whether the condition holds: of any of the things it looks at, or of all there are.
    #[must_use]
    pub fn holds(&self, view: &StatementView<'_>, sense: Sense) -> bool {
        let statement = view.statement;
        match self {
            Self::Verb(verbs) => verbs_hold(*verbs, statement, sense),
            Self::Class(classes) => classes.contains(statement.class),
            Self::Object(test) => test.holds(view, sense),
            Self::Column(test) => test.holds(view, sense),
            Self::Function(patterns) => functions_hold(patterns, view, sense),
            Self::Where(shapes) => shapes.contains(statement.where_shape),
            Self::Limit(shapes) => shapes.contains(statement.limit),
            Self::Egress(ways) => match sense {
                Sense::Any => statement.egress.iter().any(|way| ways.contains(*way)),
                Sense::All => {
                    !statement.egress.is_empty()
                        && statement.egress.iter().all(|way| ways.contains(*way))
                }
            },
            Self::MultiStatement(wanted) => (view.statements > 1) == *wanted,
            Self::Dynamic(wanted) => statement.dynamic == *wanted,
            Self::Fingerprint(prints) => view
                .fingerprint
                .is_some_and(|print| prints.contains(&print)),
            Self::Unreadable { reasons, wanted } => {
                view.unreadable
                    .is_some_and(|reason| reasons.contains(reason))
                    == *wanted
            }
            Self::Detect(wanted) => {
                let mut seen = statement.detections.iter().map(|seen| seen.detector);
                match sense {
                    Sense::Any => seen.any(|detector| wanted.contains(detector)),
                    Sense::All => {
                        !statement.detections.is_empty()
                            && seen.all(|detector| wanted.contains(detector))
                    }
                }
            }
            Self::DetectScore(least) => score(&statement.detections) >= *least,
            Self::Setting(patterns) => settings_hold(patterns, view, sense),
            Self::Risk(range) => range.holds(risk(view)),
            Self::Replication(wanted) => {
                statement.verbs_all().any(|verb| verb == Verb::Replication) == *wanted
            }
        }
    }

    /// The values that fit, as they were written.
    #[must_use]
    pub fn wanted(&self) -> String {
        match self {
            Self::Verb(verbs) => verbs.to_string(),
            Self::Class(classes) => classes.to_string(),
            Self::Object(test) => test.wanted(),
            Self::Column(test) => test.wanted(),
            Self::Function(patterns) => join(patterns),
            Self::Where(shapes) => shapes.to_string(),
            Self::Limit(shapes) => shapes.to_string(),
            Self::Egress(ways) => ways.to_string(),
            Self::MultiStatement(wanted) | Self::Dynamic(wanted) | Self::Replication(wanted) => {
                wanted.to_string()
            }
            Self::Fingerprint(prints) => {
                join(&prints.iter().map(|print| hex(print)).collect::<Vec<_>>())
            }
            Self::Unreadable { wanted: false, .. } => "false".into(),
            Self::Unreadable { reasons, .. } if *reasons == Words::all() => "true".into(),
            Self::Unreadable { reasons, .. } => reasons.to_string(),
            Self::Detect(wanted) => wanted.to_string(),
            Self::DetectScore(least) => format!(">= {least}"),
            Self::Setting(patterns) => join(patterns),
            Self::Risk(range) => range.to_string(),
        }
    }

    /// The statement's value that the condition looks at, for people.
    #[must_use]
    pub fn seen(&self, view: &StatementView<'_>) -> String {
        let statement = view.statement;
        let list = |items: Vec<String>| {
            if items.is_empty() {
                "none".to_owned()
            } else {
                items.join(", ")
            }
        };
        match self {
            Self::Verb(_) => list(distinct(statement.verbs_all().map(|v| v.to_string()))),
            Self::Class(_) => statement.class.to_string(),
            Self::Object(_) => list(distinct(statement.objects.iter().map(|object| {
                format!("{} {} ({})", object.kind, show(&object.name), object.access)
            }))),
            Self::Column(_) => list(distinct(statement.columns.iter().map(|column| {
                let table = column.table.as_ref().map_or("?".into(), show);
                format!("{table}.{} ({})", column.column, column.usage)
            }))),
            Self::Function(_) => list(distinct(statement.functions.iter().map(show))),
            Self::Where(_) => statement.where_shape.to_string(),
            Self::Limit(_) => statement.limit.to_string(),
            Self::Egress(_) => list(distinct(statement.egress.iter().map(|w| w.to_string()))),
            Self::MultiStatement(_) => (view.statements > 1).to_string(),
            Self::Dynamic(_) => statement.dynamic.to_string(),
            Self::Fingerprint(_) => view
                .fingerprint
                .as_ref()
                .map_or("none".into(), |print| hex(print)),
            Self::Unreadable { .. } => view
                .unreadable
                .map_or("readable".into(), |reason| reason.to_string()),
            Self::Detect(_) => list(distinct(statement.detections.iter().map(|seen| {
                let std::ops::Range { start, end } = seen.bytes;
                format!("{} ({}, bytes {start} to {end})", seen.detector, seen.saw)
            }))),
            Self::DetectScore(_) => score(&statement.detections).to_string(),
            Self::Setting(_) => list(distinct(settings_of(view).map(|(name, value)| {
                value.map_or_else(|| name.to_owned(), |value| format!("{name}={value}"))
            }))),
            Self::Risk(_) => risk(view).to_string(),
            Self::Replication(_) => statement
                .verbs_all()
                .any(|verb| verb == Verb::Replication)
                .to_string(),
        }
    }
}

/// An allow rule names the leading verb and every verb nested in it; a SELECT that feeds another verb is part of that.
fn verbs_hold(verbs: Words<Verb>, statement: &StatementFacts, sense: Sense) -> bool {
    match sense {
        Sense::Any => statement.verbs_all().any(|verb| verbs.contains(verb)),
        Sense::All => {
            verbs.contains(statement.verb)
                && statement
                    .verbs
                    .iter()
                    .all(|verb| *verb == Verb::Select || verbs.contains(*verb))
        }
    }
}

impl StatementFacts {
    /// The leading verb and every nested one; some may come twice.
    pub fn verbs_all(&self) -> impl Iterator<Item = Verb> + '_ {
        std::iter::once(self.verb).chain(self.verbs.iter().copied())
    }
}

/// A name as SQL would write it.
#[must_use]
pub fn show(name: &Name) -> String {
    match &name.schema {
        Some(schema) => format!("{schema}.{}", name.name),
        None => name.name.to_string(),
    }
}

/// Bytes in hexadecimal.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn distinct(items: impl Iterator<Item = String>) -> Vec<String> {
    let mut list: Vec<String> = Vec::new();
    for item in items {
        if !list.contains(&item) {
            list.push(item);
        }
        if list.len() >= MOST_SHOWN {
            list.push("…".into());
            break;
        }
    }
    list
}

const MOST_SHOWN: usize = 32;
