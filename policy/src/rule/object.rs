//! Conditions on the things that a statement names: objects, columns, functions, settings.

use std::fmt;

use super::Sense;
use super::glob::{Glob, GlobError, split_parts};
use super::statement::StatementView;
use super::subject::join;
use super::words::Words;
use crate::policy::SearchPath;
use crate::statement::facts::{ColumnAccess, Name, ObjectAccess, SessionEffect};
use crate::vocabulary::{Access, ColumnUse, ObjectKind};

/// A pattern over a name with an optional schema.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NamePattern {
    /// The schema's pattern; without one, any schema fits.
    pub schema: Option<Glob>,
    /// The name's pattern.
    pub name: Glob,
}

/// `object`, `access` and `object_kind`: all of them hold of the same object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectTest {
    /// Any of these names; every name if there are none.
    pub names: Vec<NamePattern>,
    /// Any of these accesses; every access if absent.
    pub access: Option<Words<Access>>,
    /// Any of these kinds; every kind if absent.
    pub kind: Option<Words<ObjectKind>>,
}

/// A pattern over a column, with an optional table.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ColumnPattern {
    /// The table's pattern; without one, any table fits.
    pub table: Option<NamePattern>,
    /// The column's pattern.
    pub column: Glob,
}

/// `column` and `column_use`: both hold of the same column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnTest {
    /// Any of these columns; every column if there are none.
    pub columns: Vec<ColumnPattern>,
    /// Any of these uses; every use if absent.
    pub usage: Option<Words<ColumnUse>>,
}

/// A pattern over a setting, with an optional value: `name` or `name=value`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SettingPattern {
    /// The setting's pattern.
    pub name: Glob,
    /// The value's pattern; without one, any value fits.
    pub value: Option<Glob>,
}

impl NamePattern {
    /// Reads `name` or `schema.name`.
    ///
    /// # Errors
    /// A part is not a pattern, or there are more than two.
    pub fn parse(source: &str) -> Result<Self, GlobError> {
        match split_parts(source, 2)?.as_slice() {
            [schema, name] => Ok(Self {
                schema: Some(Glob::parse(schema)?),
                name: Glob::parse(name)?,
            }),
            _ => Ok(Self {
                schema: None,
                name: Glob::parse(source)?,
            }),
        }
    }

    /// Whether it names a schema, so that an unqualified name in SQL may or may not be meant.
    #[must_use]
    pub fn needs_schema(&self) -> bool {
        self.schema.as_ref().is_some_and(|schema| !schema.is_any())
    }

    /// Whether `name` fits. An unqualified name fits a qualified pattern if the schemas it may lie in do:
    /// any of them in `Sense::Any`, each of them in `Sense::All`.
    fn fits(&self, kind: ObjectKind, name: &Name, sense: Sense, path: Option<&SearchPath>) -> bool {
        let Some(schema) = &self.schema else {
            return self.name.matches(&name.name);
        };
        match kind {
            ObjectKind::Relation | ObjectKind::Routine | ObjectKind::Type | ObjectKind::Other => {}
            // What happens to a schema happens to everything in it.
            ObjectKind::Schema => {
                return schema.matches(&name.name) && (self.name.is_any() || sense == Sense::Any);
            }
            ObjectKind::Database
            | ObjectKind::Role
            | ObjectKind::Extension
            | ObjectKind::Foreign
            | ObjectKind::Setting => return false,
        }
        if !self.name.matches(&name.name) {
            return false;
        }
        if let Some(named) = &name.schema {
            return schema.matches(named);
        }
        if schema.is_any() {
            return true;
        }
        let Some(path) = path else {
            return sense == Sense::Any;
        };
        // Relations of pg_catalog all begin with `pg_`; its routines and types have any name.
        let catalog = path
            .catalog
            .filter(|_| kind != ObjectKind::Relation || name.name.starts_with("pg_"));
        let mut schemas = path.schemas.iter().map(|schema| &**schema).chain(catalog);
        match sense {
            Sense::Any => schemas.any(|candidate| schema.matches(candidate)),
            Sense::All => schemas.all(|candidate| schema.matches(candidate)),
        }
    }
}

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(schema) = &self.schema {
            write!(f, "{schema}.")?;
        }
        self.name.fmt(f)
    }
}

impl ObjectTest {
    /// The objects that fit, as they were written.
    #[must_use]
    pub fn wanted(&self) -> String {
        let mut parts = Vec::new();
        if let Some(kinds) = self.kind {
            parts.push(kinds.to_string());
        }
        if !self.names.is_empty() {
            parts.push(join(&self.names));
        }
        if let Some(access) = self.access {
            parts.push(format!("({access})"));
        }
        parts.join(" ")
    }

    /// Whether the condition holds of any object, or of all there are.
    #[must_use]
    pub fn holds(&self, view: &StatementView<'_>, sense: Sense) -> bool {
        let objects = &view.statement.objects;
        match sense {
            Sense::Any => objects
                .iter()
                .any(|object| self.holds_of(object, view, sense)),
            Sense::All => {
                let mut counted = objects
                    .iter()
                    .filter(|object| self.counts(object))
                    .peekable();
                counted.peek().is_some() && counted.all(|object| self.holds_of(object, view, sense))
            }
        }
    }

    fn holds_of(&self, object: &ObjectAccess, view: &StatementView<'_>, sense: Sense) -> bool {
        // The lexer alone can tell the name of an object, not its kind nor what is done to it.
        let vague =
            sense == Sense::Any && view.unreadable.is_some() && object.access == Access::Refer;
        let kind = vague || self.kind.is_none_or(|kinds| kinds.contains(object.kind));
        let access = vague
            || self
                .access
                .is_none_or(|accesses| accesses.contains(object.access));
        kind && access
            && (self.names.is_empty()
                || self.names.iter().any(|pattern| {
                    pattern.fits(object.kind, &object.name, sense, view.search_path)
                }))
    }

    /// Whether an object counts when all must fit: calls and casts are no business of a rule about tables.
    fn counts(&self, object: &ObjectAccess) -> bool {
        let named = self.kind.is_some_and(|kinds| kinds.contains(object.kind))
            || self
                .access
                .is_some_and(|accesses| accesses.contains(object.access));
        match (object.kind, object.access) {
            (ObjectKind::Routine, Access::Execute) | (ObjectKind::Type, Access::Refer) => named,
            _ => true,
        }
    }
}

/// Whether a function condition holds of any call, or of all there are.
#[must_use]
pub fn functions_hold(patterns: &[NamePattern], view: &StatementView<'_>, sense: Sense) -> bool {
    let called = view.statement.objects.iter().filter_map(|object| {
        (object.kind == ObjectKind::Routine && object.access == Access::Execute)
            .then_some(&object.name)
    });
    let mut names = view.statement.functions.iter().chain(called).peekable();
    let fits = |name: &Name| {
        patterns
            .iter()
            .any(|pattern| pattern.fits(ObjectKind::Routine, name, sense, view.search_path))
    };
    match sense {
        Sense::Any => names.any(fits),
        Sense::All => names.peek().is_some() && names.all(fits),
    }
}

impl ColumnPattern {
    /// Reads `column`, `table.column` or `schema.table.column`.
    ///
    /// # Errors
    /// A part is not a pattern, or there are more than three.
    pub fn parse(source: &str) -> Result<Self, GlobError> {
        let parts = split_parts(source, 3)?;
        let Some((column, table)) = parts.split_last() else {
            return Err(GlobError::Empty);
        };
        let table = match table {
            [] => None,
            [name] => Some(NamePattern {
                schema: None,
                name: Glob::parse(name)?,
            }),
            [schema, name, ..] => Some(NamePattern {
                schema: Some(Glob::parse(schema)?),
                name: Glob::parse(name)?,
            }),
        };
        Ok(Self {
            table,
            column: Glob::parse(column)?,
        })
    }

    fn fits(&self, column: &ColumnAccess, view: &StatementView<'_>, sense: Sense) -> bool {
        // `*` stands for every column: it may be the one that is meant.
        let name = match (&*column.column, sense) {
            ("*", Sense::Any) => true,
            ("*", Sense::All) => self.column.is_any(),
            (name, _) => self.column.matches(name),
        };
        name && match (&self.table, &column.table) {
            (None, _) => true,
            (Some(pattern), Some(table)) => {
                pattern.fits(ObjectKind::Relation, table, sense, view.search_path)
            }
            (Some(pattern), None) => sense == Sense::Any && may_come_from(pattern, view),
        }
    }
}

/// Whether a column that can't be attributed may belong to a table that fits.
fn may_come_from(pattern: &NamePattern, view: &StatementView<'_>) -> bool {
    view.statement.objects.iter().any(|object| {
        object.kind == ObjectKind::Relation
            && pattern.fits(object.kind, &object.name, Sense::Any, view.search_path)
    })
}

impl fmt::Display for ColumnPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(table) = &self.table {
            write!(f, "{table}.")?;
        }
        self.column.fmt(f)
    }
}

impl ColumnTest {
    /// The columns that fit, as they were written.
    #[must_use]
    pub fn wanted(&self) -> String {
        let uses = self
            .usage
            .map_or(String::new(), |uses| format!(" ({uses})"));
        format!("{}{uses}", join(&self.columns))
            .trim_start()
            .to_owned()
    }

    /// Whether the condition holds of any column, or of all there are.
    #[must_use]
    pub fn holds(&self, view: &StatementView<'_>, sense: Sense) -> bool {
        let fits = |column: &ColumnAccess| {
            self.usage.is_none_or(|uses| uses.contains(column.usage))
                && (self.columns.is_empty()
                    || self
                        .columns
                        .iter()
                        .any(|pattern| pattern.fits(column, view, sense)))
        };
        let columns = &view.statement.columns;
        match sense {
            Sense::Any => columns.iter().any(fits),
            Sense::All => !columns.is_empty() && columns.iter().all(fits),
        }
    }
}

impl fmt::Display for SettingPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.name.fmt(f)?;
        match &self.value {
            Some(value) => write!(f, "={value}"),
            None => Ok(()),
        }
    }
}

impl SettingPattern {
    /// Reads `name` or `name=value`.
    ///
    /// # Errors
    /// A part is not a pattern.
    pub fn parse(source: &str) -> Result<Self, GlobError> {
        match source.split_once('=') {
            Some((name, value)) => Ok(Self {
                name: Glob::parse(name.trim_end())?,
                value: Some(Glob::parse(value.trim_start())?),
            }),
            None => Ok(Self {
                name: Glob::parse(source)?,
                value: None,
            }),
        }
    }

    fn fits(&self, name: &str, value: Option<&str>, sense: Sense) -> bool {
        self.name.matches(name)
            && match (&self.value, value) {
                (None, _) => true,
                (Some(pattern), Some(value)) => pattern.matches(&value.to_lowercase()),
                (Some(_), None) => sense == Sense::Any,
            }
    }
}

/// The settings that a statement changes, with the value where it is known.
pub fn settings_of<'a>(
    view: &'a StatementView<'_>,
) -> impl Iterator<Item = (&'a str, Option<&'a str>)> {
    let statement = view.statement;
    let effects = statement.effects.iter().filter_map(|effect| match effect {
        SessionEffect::Set { name, value, .. } => Some((&**name, value.as_deref())),
        SessionEffect::Reset(Some(name)) => Some((&**name, None)),
        SessionEffect::Reset(None)
        | SessionEffect::Use(_)
        | SessionEffect::ReadFile(_)
        | SessionEffect::Discard
        | SessionEffect::Prepare { .. }
        | SessionEffect::Execute(_)
        | SessionEffect::Deallocate(_)
        | SessionEffect::Declare { .. }
        | SessionEffect::Cursor(_)
        | SessionEffect::MayChangeSettings => None,
    });
    // Settings of databases, roles and the server are objects; those of the session are effects as well.
    let objects = statement.objects.iter().filter_map(|object| {
        (object.kind == ObjectKind::Setting
            && object.access != Access::Read
            && !sets(&statement.effects, &object.name.name))
        .then_some((&*object.name.name, None))
    });
    effects.chain(objects)
}

fn sets(effects: &[SessionEffect], setting: &str) -> bool {
    effects.iter().any(|effect| match effect {
        SessionEffect::Set { name, .. } => **name == *setting,
        _ => false,
    })
}

/// Whether a setting condition holds of any setting changed, or of all there are.
#[must_use]
pub fn settings_hold(patterns: &[SettingPattern], view: &StatementView<'_>, sense: Sense) -> bool {
    let mut settings = settings_of(view).peekable();
    let fits = |(name, value): (&str, Option<&str>)| {
        patterns
            .iter()
            .any(|pattern| pattern.fits(name, value, sense))
    };
    match sense {
        Sense::Any => settings.any(fits),
        Sense::All => settings.peek().is_some() && settings.all(fits),
    }
}
