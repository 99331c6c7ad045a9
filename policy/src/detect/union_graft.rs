//! **union-graft**: a UNION adds rows that do not come from where the first query's rows come from.
//!
//! `SELECT name FROM products WHERE id = -1 UNION SELECT password FROM users`: to fit the first query's columns, the
//! grafted one fills up with NULLs and numbers, reads a catalogue, or asks for version and user. Matched is an arm behind the
//! first that selects unnamed constants only, that mixes unnamed NULLs or numbers with calls, subqueries or other columns,
//! that reads a catalogue while the first arm does not, that has another number of columns, or that tells about the server. A list of choices with one row
//! added (`UNION SELECT 0, 'all'` before or behind a query without WHERE) is not matched.

use super::Sight;
use super::names;
use super::token::{Key, Kind};
use super::tree::{Arm, Id, Shape, Tree};
use crate::vocabulary::Detector;

pub(super) fn find(sight: &mut Sight<'_>) {
    let tree = &sight.tree;
    let mut found = Vec::new();
    for query in &tree.queries {
        let Some((first, grafts)) = query.arms.split_first() else {
            continue;
        };
        let first = Profile::of(tree, first);
        if !first.from {
            continue;
        }
        for arm in grafts {
            if let Some(saw) = judge(tree, &first, arm) {
                found.push((arm.tokens.clone(), saw));
            }
        }
    }
    for (tokens, saw) in found {
        sight.report(Detector::UnionGraft, &tokens, saw);
    }
}

/// What counts of an arm.
struct Profile {
    selects: bool,
    from: bool,
    filtered: bool,
    catalogue: bool,
    /// `*` is selected.
    star: bool,
    columns: usize,
    /// How many of them are unnamed NULLs and numbers.
    filled: usize,
}

impl Profile {
    fn of(tree: &Tree<'_>, arm: &Arm) -> Self {
        Profile {
            selects: arm.selects,
            from: arm.from,
            filtered: arm.filter.is_some(),
            catalogue: arm
                .tables
                .iter()
                .any(|table| names::is_catalogue(&tree.first_name(table), &tree.last_name(table))),
            star: arm.list.iter().any(|(id, _)| is_star(tree, *id)),
            columns: arm.list.len(),
            filled: arm
                .list
                .iter()
                .filter(|(id, named)| !named && is_filling(tree, *id))
                .count(),
        }
    }
}

fn judge(tree: &Tree<'_>, first: &Profile, arm: &Arm) -> Option<&'static str> {
    let own = Profile::of(tree, arm);
    if own.columns == 0 && !own.from {
        return None;
    }
    if own.catalogue && !first.catalogue {
        return Some("a catalogue behind UNION");
    }
    if arm.list.iter().any(|(id, _)| informs(tree, *id, own.from)) {
        return Some("version, user or files behind UNION");
    }
    let unnamed = arm.list.iter().all(|(_, named)| !named);
    let constant = arm.list.iter().all(|(id, _)| tree.is_constant(*id));
    if constant && unnamed && (first.filtered || own.filled == own.columns) {
        return Some("constants behind UNION");
    }
    if !first.star && !own.star && first.selects && own.selects && first.columns != own.columns {
        return Some("another number of columns behind UNION");
    }
    if !first.star && own.star && first.filtered && first.columns > 1 {
        return Some("every column behind UNION");
    }
    let filled = own.filled > 0 && first.filled == 0;
    (filled && unnamed && !own.star && first.filtered).then_some("columns filled up behind UNION")
}

/// Whether an expression tells about the server, reaches out or waits.
fn informs(tree: &Tree<'_>, id: Id, from: bool) -> bool {
    tree.any(id, &|tree, id| match tree.shape(id) {
        Shape::Call(name, _) => {
            let name = tree.last_name(name);
            names::informs(&name) || names::leaves(&name) || names::waits(&name)
        }
        Shape::Variable => true,
        Shape::Column => tree.node(id).is_some_and(|node| {
            !from && node.tokens.len() == 1 && names::informs(&tree.last_name(&node.tokens))
        }),
        _ => false,
    })
}

/// `*`, `t.*`
fn is_star(tree: &Tree<'_>, id: Id) -> bool {
    tree.node(id).is_some_and(|node| {
        matches!(node.shape, Shape::Column) && tree.bytes(node.tokens.end.saturating_sub(1)) == b"*"
    })
}

/// NULL or a number.
fn is_filling(tree: &Tree<'_>, id: Id) -> bool {
    matches!(
        tree.literal_kind(id),
        Some(Kind::Number | Kind::Key(Key::Null) | Kind::Hex)
    )
}
