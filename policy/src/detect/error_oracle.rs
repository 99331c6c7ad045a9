//! **error-oracle**: the statement makes the server fail with a message that holds what was asked for.
//!
//! `CAST((SELECT …)||'~' AS NUMERIC)`, `EXTRACTVALUE(1, CONCAT(0x5c, (SELECT …)))`, `EXP(~(SELECT …))`, `FLOOR(RAND(0)*2)` in a GROUP
//! BY, a division by zero or an impossible cast in a branch of CASE. Matched are functions that show their argument in an
//! error where that argument is built or asked for, numbers made of built text, and failures on a condition.

use super::Sight;
use super::names;
use super::tree::{Id, Infix, Place, Prefix, Shape, Tree};
use crate::vocabulary::Detector;

pub(super) fn find(sight: &mut Sight<'_>) {
    let tree = &sight.tree;
    let mut found = Vec::new();
    let mut looked = false;
    for (_, node) in tree.all() {
        let saw = match &node.shape {
            Shape::Call(name, arguments) => {
                let name = tree.last_name(name);
                let asked = arguments.iter().any(|id| is_asked(tree, *id));
                match &*name {
                    name if names::complains(name) && (asked || node.place == Place::Limit) => {
                        Some("a call whose error shows its argument")
                    }
                    b"exp" | b"pow" | b"power" if arguments.iter().any(|id| inverts(tree, *id)) => {
                        Some("a number that overflows")
                    }
                    b"floor" | b"round"
                        if calls_rand(tree, arguments) && tree.queries.len() > 1 =>
                    {
                        Some("a random group")
                    }
                    _ => None,
                }
            }
            Shape::Cast(value, kind) if names::is_number_type(&tree.first_name(kind)) => {
                is_built(tree, *value).then_some("a number made of built text")
            }
            Shape::Case(parts) => {
                looked |= parts.iter().any(|id| is_arithmetic(tree, *id));
                parts
                    .iter()
                    .any(|id| fails(tree, *id))
                    .then_some("a branch that can only fail")
            }
            _ => None,
        };
        if let Some(saw) = saw {
            found.push((node.tokens.clone(), saw));
        }
    }
    sight.looked |= looked;
    for (tokens, saw) in found {
        sight.report(Detector::ErrorOracle, &tokens, saw);
    }
}

/// Whether an argument asks the server for something, or is put together.
fn is_asked(tree: &Tree<'_>, id: Id) -> bool {
    tree.any(id, &|tree, id| match tree.shape(id) {
        Shape::Query(_) | Shape::Variable => true,
        Shape::Infix(Infix::Concat, _, _) => true,
        Shape::Call(name, _) => {
            let name = tree.last_name(name);
            names::informs(&name)
                || names::encodes(&name)
                || matches!(&*name, b"concat" | b"concat_ws")
        }
        _ => false,
    })
}

/// Text joined with what the server is asked for, or a query that reads no table.
fn is_built(tree: &Tree<'_>, id: Id) -> bool {
    let joined = matches!(tree.shape(id), Shape::Infix(Infix::Concat, _, _));
    let joined = joined
        || matches!(tree.shape(id), Shape::Call(name, _) if matches!(&*tree.last_name(name), b"concat" | b"concat_ws"));
    let asks = tree.any(id, &|tree, id| match tree.shape(id) {
        Shape::Query(_) => true,
        Shape::Call(name, _) => {
            let name = tree.last_name(name);
            names::informs(&name) || names::encodes(&name)
        }
        _ => false,
    });
    let bare = match tree.shape(id) {
        Shape::Query(query) => tree
            .queries
            .get(*query as usize)
            .is_some_and(|query| query.arms.iter().all(|arm| !arm.from)),
        Shape::Call(name, _) => names::informs(&tree.last_name(name)),
        _ => false,
    };
    (joined && asks) || bare
}

fn inverts(tree: &Tree<'_>, id: Id) -> bool {
    tree.any(id, &|tree, id| {
        matches!(tree.shape(id), Shape::Prefix(Prefix::Invert, _))
    })
}

fn calls_rand(tree: &Tree<'_>, arguments: &[Id]) -> bool {
    arguments.iter().any(|id| {
        tree.any(*id, &|tree, id| {
            matches!(tree.shape(id), Shape::Call(name, _) if matches!(&*tree.last_name(name), b"rand" | b"random"))
        })
    })
}

/// A result of CASE that is a division by zero, or a string that is made a number.
fn fails(tree: &Tree<'_>, id: Id) -> bool {
    if divides(tree, id) {
        return true;
    }
    match tree.shape(id) {
        Shape::Cast(value, kind) => {
            names::is_number_type(&tree.first_name(kind))
                && tree.is_constant(*value)
                && !matches!(tree.shape(*value), Shape::Literal)
        }
        Shape::Query(query) => tree
            .queries
            .get(*query as usize)
            .is_some_and(|query| query.arms.len() > 1 && query.arms.iter().all(|arm| !arm.from)),
        _ => false,
    }
}

fn is_arithmetic(tree: &Tree<'_>, id: Id) -> bool {
    matches!(tree.shape(id), Shape::Infix(Infix::Arithmetic, ..))
}

fn divides(tree: &Tree<'_>, id: Id) -> bool {
    match tree.shape(id) {
        Shape::Infix(Infix::Arithmetic, left, right) => {
            tree.is_constant(*left)
                && tree.node(*right).is_some_and(|node| {
                    matches!(node.shape, Shape::Query(_))
                        || node.tokens.clone().any(|at| tree.bytes(at) == b"0")
                })
        }
        _ => false,
    }
}
