//! Names that stand for all names which patterns treat alike: for each pattern one that fits, and one that fits none.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::rule::glob::Glob;
use crate::rule::object::{ColumnPattern, NamePattern};
use crate::statement::facts::Name;

/// The most patterns of a list that are looked at.
pub(super) const MOST: usize = 16;

/// A text that fits.
pub(super) fn of_glob(glob: &Glob) -> String {
    let mut text = String::new();
    let mut characters = glob.as_str().chars();
    while let Some(character) = characters.next() {
        match character {
            '*' => text.push_str("any"),
            '?' => text.push('x'),
            '\\' => text.extend(characters.next()),
            literal => text.push(literal),
        }
    }
    text
}

/// A text for each pattern, and one that fits none of them if there is one.
pub(super) fn of_globs(globs: &[Glob]) -> Vec<String> {
    let mut all: Vec<String> = globs.iter().take(MOST).map(of_glob).collect();
    all.extend(
        OTHERS
            .iter()
            .filter(|other| !globs.iter().any(|glob| glob.matches(other)))
            .map(|other| (*other).to_owned()),
    );
    all
}

/// A name for each pattern; any name without patterns.
pub(super) fn of_names(patterns: &[NamePattern]) -> Vec<Name> {
    if patterns.is_empty() {
        return vec![name(None, "some_table")];
    }
    patterns.iter().take(MOST).map(of_name).collect()
}

fn of_name(pattern: &NamePattern) -> Name {
    let schema = pattern.schema.as_ref().filter(|schema| !schema.is_any());
    name(schema.map(of_glob), &of_glob(&pattern.name))
}

/// A column for each pattern, with its table.
pub(super) fn of_columns(patterns: &[ColumnPattern]) -> Vec<(Name, Box<str>)> {
    if patterns.is_empty() {
        return vec![(name(None, "some_table"), "some_column".into())];
    }
    let of = |pattern: &ColumnPattern| {
        let table = pattern.table.as_ref().map(of_name);
        let table = table.unwrap_or_else(|| name(None, "some_table"));
        (table, of_glob(&pattern.column).into())
    };
    patterns.iter().take(MOST).map(of).collect()
}

/// An address of each network, and some of none.
pub(super) fn of_networks(networks: &[IpNet]) -> Vec<IpAddr> {
    let inside = networks.iter().take(MOST).map(IpNet::addr);
    let outside: [IpAddr; 3] = [
        [192, 0, 2, 1].into(),
        [198, 51, 100, 1].into(),
        [203, 0, 113, 1].into(),
    ];
    inside.chain(outside).collect()
}

fn name(schema: Option<String>, name: &str) -> Name {
    Name {
        schema: schema.map(Into::into),
        name: name.into(),
    }
}

/// Names that hardly any pattern means.
const OTHERS: [&str; 2] = ["someone", "zz-none"];
