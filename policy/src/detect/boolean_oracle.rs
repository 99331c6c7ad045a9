//! **boolean-oracle**: a condition asks the server about itself, or a text letter by letter, and the rows that come are the answer.
//!
//! `… AND ASCII(SUBSTRING((SELECT password …) FROM 3 FOR 1)) > 64`, `… AND version() LIKE '8%'`, `ORDER BY (CASE WHEN 1=2 THEN …)`.
//! Matched are: pieces of a subquery or of what the server tells, compared with a constant; a choice (CASE, IF, ELT) on
//! a constant condition; a condition where rows are ordered or counted; a subquery that selects a constant, compared with it.

use super::Sight;
use super::names;
use super::token::Kind;
use super::tree::{Id, Place, Prefix, Shape, Tree};
use crate::vocabulary::Detector;

pub(super) fn find(sight: &mut Sight<'_>) {
    let tree = &sight.tree;
    let mut found = Vec::new();
    let mut looked = false;
    for (_, node) in tree.all() {
        let beside_rows = || tree.is_beside_rows(node);
        let saw = match &node.shape {
            Shape::Infix(infix, left, right) if infix.compares() && beside_rows() => {
                let (left, right) = (*left, *right);
                let asks = |one: Id, other: Id| {
                    (is_fixed(tree, other) && (takes_apart(tree, one) || tells(tree, one)))
                        || (tree.is_constant(other) && selects_constant(tree, one))
                        || (matches!(tree.shape(other), Shape::Column)
                            && takes_server_apart(tree, one))
                };
                (asks(left, right) || asks(right, left))
                    .then_some("an answer compared with a constant")
            }
            Shape::Infix(infix, ..) if infix.joins() => {
                matches!(node.place, Place::Order | Place::Limit | Place::Group)
                    .then_some("a condition where rows are ordered")
            }
            Shape::Case(parts) => {
                let constant = parts.iter().any(|id| compares_constants(tree, *id));
                looked |= constant;
                (constant && beside_rows()).then_some("a choice on a constant condition")
            }
            Shape::Call(name, arguments) if names::chooses(&tree.last_name(name)) => {
                let constant = arguments
                    .first()
                    .is_some_and(|id| compares_constants(tree, *id));
                (constant && beside_rows()).then_some("a choice on a constant condition")
            }
            Shape::Prefix(Prefix::Sign, value) if node.place == Place::Order => {
                (tree.literal_kind(*value) == Some(Kind::Number))
                    .then_some("a constant where rows are ordered")
            }
            _ => None,
        };
        if let Some(saw) = saw {
            found.push((node.tokens.clone(), saw));
        }
    }
    sight.looked |= looked;
    for (tokens, saw) in found {
        sight.report(Detector::BooleanOracle, &tokens, saw);
    }
}

/// A constant, or a list of them.
fn is_fixed(tree: &Tree<'_>, id: Id) -> bool {
    tree.is_constant(id)
}

fn compares_constants(tree: &Tree<'_>, id: Id) -> bool {
    matches!(tree.shape(id), Shape::Infix(infix, _, _) if infix.compares() || infix.joins())
        && tree.is_constant(id)
}

/// A call that cuts up what a subquery or the server says.
fn takes_apart(tree: &Tree<'_>, id: Id) -> bool {
    tree.any(id, &|tree, id| match tree.shape(id) {
        Shape::Call(name, arguments) => {
            names::extracts(&tree.last_name(name))
                && arguments.iter().any(|id| {
                    tree.any(*id, &|tree, id| {
                        matches!(tree.shape(id), Shape::Query(_)) || says(tree, id)
                    })
                })
        }
        _ => false,
    })
}

/// A call that cuts up what the server says of itself.
fn takes_server_apart(tree: &Tree<'_>, id: Id) -> bool {
    match tree.shape(id) {
        Shape::Call(name, arguments) => {
            names::extracts(&tree.last_name(name))
                && arguments.iter().any(|id| tree.any(*id, &says))
                || arguments.iter().any(|id| takes_server_apart(tree, *id))
        }
        Shape::Infix(_, left, right) => {
            takes_server_apart(tree, *left) || takes_server_apart(tree, *right)
        }
        _ => false,
    }
}

/// Something that tells about the server, by itself.
fn tells(tree: &Tree<'_>, id: Id) -> bool {
    says(tree, id)
        || match tree.shape(id) {
            Shape::Query(query) => tree.queries.get(*query as usize).is_some_and(|query| {
                query.arms.iter().all(|arm| !arm.from)
                    && query.arms.iter().flat_map(|arm| &arm.list).any(|(id, _)| {
                        tree.any(*id, &says)
                            || tree.any(*id, &|tree, id| matches!(tree.shape(id), Shape::Case(_)))
                    })
            }),
            Shape::Infix(infix, left, right) if !infix.compares() && !infix.joins() => {
                tells(tree, *left) || tells(tree, *right)
            }
            Shape::Cast(value, _) => tells(tree, *value),
            _ => false,
        }
}

fn says(tree: &Tree<'_>, id: Id) -> bool {
    match tree.shape(id) {
        Shape::Call(name, _) => names::informs(&tree.last_name(name)),
        Shape::Column => tree.node(id).is_some_and(|node| {
            node.tokens.len() == 1
                && matches!(
                    &*tree.last_name(&node.tokens),
                    b"current_user" | b"session_user" | b"current_catalog" | b"current_role"
                )
        }),
        Shape::Variable => tree.node(id).is_some_and(|node| {
            let bytes = tree.bytes(node.tokens.start);
            bytes.starts_with(b"@@")
        }),
        _ => false,
    }
}

/// `(SELECT 7 …)`, compared with a constant: what it reads decides.
fn selects_constant(tree: &Tree<'_>, id: Id) -> bool {
    match tree.shape(id) {
        Shape::Query(query) => tree.queries.get(*query as usize).is_some_and(|query| {
            query.arms.iter().all(|arm| {
                !arm.list.is_empty()
                    && arm.list.iter().all(|(id, _)| {
                        tree.is_constant(*id) || matches!(tree.shape(*id), Shape::Case(_))
                    })
            })
        }),
        _ => false,
    }
}
