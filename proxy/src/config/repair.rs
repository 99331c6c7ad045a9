//! Reads the values of a configuration file and goes on behind each that can't be read, so that all such mistakes are
//! told at once: what is wrong is told and taken out, what is then missing is filled in, and the reading begins anew.

use std::ops::Range;

use serde::Deserialize;
use sqlward_policy::{Problem, problem::Source};
use toml::{
    Spanned,
    de::{DeTable, DeValue, Deserializer},
};

use super::file::File;

/// The place of what stands in for a value that could not be read: nothing more is told of it.
pub(super) const STAND_IN: Range<usize> = usize::MAX..usize::MAX;

/// Read `root`. `None`: it can't be read even in part; `problems` then says why.
pub(super) fn read(
    source: &Source,
    mut root: Spanned<DeTable<'_>>,
    problems: &mut Vec<Problem>,
) -> Option<File> {
    let mut removed = Vec::new();
    // Each round takes out or fills in one value.
    for _ in 0..MOST_ROUNDS {
        let error = match File::deserialize(Deserializer::from(root.clone())) {
            Ok(file) => return Some(file),
            Err(error) => error,
        };
        let span = error.span().unwrap_or_default();
        if span == STAND_IN {
            return None;
        }
        let message = error.message();
        let missing = message
            .strip_prefix("missing field `")
            .and_then(|rest| rest.strip_suffix('`'));
        let repaired = match missing {
            Some(field) => {
                let at = (span.clone(), field.to_owned());
                // Misspelt, it has been told already.
                let misspelt = problems
                    .iter()
                    .any(|problem| problem.nearest.as_deref() == Some(field));
                if !misspelt && !removed.contains(&at) {
                    problems.push(Problem::at(source, header(source, &span), message));
                }
                fill_in(&mut root, &span, field)
            }
            None => {
                problems.push(Problem::at(source, span.clone(), message));
                let table = root.span();
                take_out(root.get_mut(), &table, &span)
                    .map(|at| removed.push(at))
                    .is_some()
            }
        };
        if !repaired {
            return None;
        }
    }
    None
}

/// The first line of a table: where it is said that something is missing in it.
fn header(source: &Source, table: &Range<usize>) -> Range<usize> {
    let text = source.text.get(table.clone()).unwrap_or_default();
    let line = text.find('\n').unwrap_or(text.len());
    table.start..table.start + line
}

/// Take out the value at `span`, or the innermost one around it. The place of its table, and its name there; an item of
/// a list has a stand-in instead.
fn take_out(
    table: &mut DeTable<'_>,
    place: &Range<usize>,
    span: &Range<usize>,
) -> Option<(Range<usize>, String)> {
    let around = |value: &Spanned<DeValue<'_>>| {
        let own = value.span();
        own.start <= span.start && span.end <= own.end
    };
    let exact = table
        .iter()
        .find(|(_, value)| value.span() == *span || holds(value.get_ref(), span));
    let name = exact
        .or_else(|| table.iter().find(|(_, value)| around(value)))
        .map(|(name, _)| name.clone())?;
    let value = table.get_mut(&name)?;
    let own = value.span();
    if own != *span
        && let Some(found) = inside(value.get_mut(), &own, span)
    {
        return Some(found);
    }
    table.remove(&name);
    Some((place.clone(), name.get_ref().to_string()))
}

/// The same within a value; `None`: there is nothing smaller in it.
fn inside(
    value: &mut DeValue<'_>,
    place: &Range<usize>,
    span: &Range<usize>,
) -> Option<(Range<usize>, String)> {
    match value {
        DeValue::Table(table) => take_out(table, place, span),
        DeValue::Array(items) => items.iter_mut().find_map(|item| {
            let own = item.span();
            if own == *span {
                *item = Spanned::new(STAND_IN, DeValue::String("/".into()));
                return Some((place.clone(), String::new()));
            }
            inside(item.get_mut(), &own, span)
        }),
        DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_) => None,
    }
}

/// Whether the value at `span` is somewhere in `value`: the parts of a table need not lie within its span.
fn holds(value: &DeValue<'_>, span: &Range<usize>) -> bool {
    let is = |value: &Spanned<DeValue<'_>>| value.span() == *span || holds(value.get_ref(), span);
    match value {
        DeValue::Table(table) => table.values().any(is),
        DeValue::Array(items) => items.iter().any(is),
        DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_) => false,
    }
}

/// Put something harmless in the place of `field` in the table at `span`.
fn fill_in(root: &mut Spanned<DeTable<'_>>, span: &Range<usize>, field: &str) -> bool {
    let value = match field {
        "policy" | "listener" | "upstream" if root.span() == *span => {
            DeValue::Array(Default::default())
        }
        "address" => DeValue::String("0.0.0.0:0".into()),
        "mode" => DeValue::String("disable".into()),
        _ => DeValue::String("".into()),
    };
    let table = if root.span() == *span {
        Some(root.get_mut())
    } else {
        table_at(root.get_mut(), span)
    };
    let Some(table) = table else { return false };
    let name = Spanned::new(STAND_IN, field.to_owned().into());
    table.insert(name, Spanned::new(STAND_IN, value)).is_none()
}

fn table_at<'t, 'i>(
    table: &'t mut DeTable<'i>,
    span: &Range<usize>,
) -> Option<&'t mut DeTable<'i>> {
    let values = table.iter_mut().map(|(_, value)| value);
    values.into_iter().find_map(|value| table_in(value, span))
}

fn table_in<'t, 'i>(
    value: &'t mut Spanned<DeValue<'i>>,
    span: &Range<usize>,
) -> Option<&'t mut DeTable<'i>> {
    let here = value.span() == *span;
    match value.get_mut() {
        DeValue::Table(table) => {
            if here {
                Some(table)
            } else {
                table_at(table, span)
            }
        }
        DeValue::Array(items) => items.iter_mut().find_map(|item| table_in(item, span)),
        DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_) => None,
    }
}

/// A file with more mistakes than this is told so many of them.
const MOST_ROUNDS: usize = 200;
