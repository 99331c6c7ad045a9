//! **tautology**: a condition that no row has a say in stands beside one that does.
//!
//! An application filters by what its rows hold. Where text gets out of its literal, conditions on nothing follow:
//! `id = 7 OR 1=1`, `name = '' OR 'a'='a'`, `… AND 4260=4260`, `… OR 2>1`, `… OR x=x`, `name = ''-''`, `id = 1=1`.
//! Matched are: a constant after OR, XOR or AND; a comparison of constants where a value is expected; a column compared
//! with itself; a string or number used as a condition; comparisons of comparisons; arithmetic on strings that are no
//! numbers; a pattern that fits everything behind OR. Queries that read no table have no filter to get round.
//!
//! Not matched is what query builders write: `WHERE 1=1 AND …`, `… AND 1=0`, `… AND FALSE`, `TRUE`, and optional
//! filters that are filled in (`'x' = '' OR name = 'x'`).

use super::Sight;
use super::token::Kind;
use super::tree::{Id, Infix, Node, Place, Prefix, Shape};
use crate::vocabulary::Detector;

pub(super) fn find(sight: &mut Sight<'_>) {
    let mut found = Vec::new();
    let mut looked = false;
    for (_, node) in sight.tree.all() {
        if !sight.tree.is_beside_rows(node) {
            continue;
        }
        if let Some(saw) = judge(sight, node, &mut looked) {
            found.push((node.tokens.clone(), saw));
        }
    }
    for query in &sight.tree.queries {
        for arm in &query.arms {
            if let Some(filter) = arm.filter
                && sight.tree.literal_kind(filter) == Some(Kind::Text)
            {
                let tokens = sight.tree.node(filter).map(|node| node.tokens.clone());
                found.extend(tokens.map(|tokens| (tokens, "a string as a condition")));
            }
        }
    }
    sight.looked |= looked;
    for (tokens, saw) in found {
        sight.report(Detector::Tautology, &tokens, saw);
    }
}

fn judge(sight: &Sight<'_>, node: &Node, looked: &mut bool) -> Option<&'static str> {
    match &node.shape {
        Shape::Infix(infix, left, right) if infix.joins() => {
            joined(sight, node, (*infix, *left, *right), looked)
        }
        Shape::Infix(infix, left, right) if infix.compares() => {
            compared(sight, node, (*infix, *left, *right))
        }
        Shape::Infix(Infix::Arithmetic | Infix::Concat | Infix::Other, left, right) => {
            computed(sight, node, (*left, *right), looked)
        }
        Shape::Prefix(Prefix::Not, value) => {
            is_value(sight, *value, looked).then_some("a string or number as a condition")
        }
        Shape::Column => is_odd_name(sight, node).then_some("a name that reads like a condition"),
        _ => None,
    }
}

/// AND, OR, XOR.
fn joined(
    sight: &Sight<'_>,
    node: &Node,
    (infix, left, right): (Infix, Id, Id),
    looked: &mut bool,
) -> Option<&'static str> {
    let tree = &sight.tree;
    if node.place != Place::Select
        && (is_value(sight, right, looked) || is_value(sight, left, looked))
    {
        return Some("a string or number as a condition");
    }
    if node.place == Place::Assign && !node.enclosed && assigns_value(sight, left) {
        return Some("an assigned value as a condition");
    }
    let constant = |id: Id| tree.is_constant(id) && !matches!(tree.shape(id), Shape::Literal);
    if constant(right) {
        *looked = true;
        let enclosed = tree.node(right).is_some_and(|node| node.enclosed);
        let harmless = match (infix, filler(sight, right)) {
            (_, None) => false,
            (Infix::Or | Infix::Xor, Some(holds)) => !holds,
            (_, Some(holds)) => !holds || enclosed,
        };
        if !harmless {
            return Some("a constant condition beside a filter");
        }
    }
    if infix == Infix::And && constant(left) {
        *looked = true;
        if filler(sight, left).is_none() {
            return Some("a constant condition before a filter");
        }
    }
    if infix == Infix::Or
        && filler(sight, right) == Some(true)
        && matches!(tree.shape(right), Shape::Literal)
    {
        return Some("a constant condition beside a filter");
    }
    let first = match tree.shape(right) {
        Shape::Infix(Infix::And, first, _) => *first,
        _ => right,
    };
    if infix == Infix::Or
        && let Shape::Infix(Infix::Equal, _, value) = tree.shape(left)
        && tree.literal_kind(*value).is_some()
        && let Shape::Infix(Infix::Match, _, pattern) = tree.shape(first)
        && tree.literal_kind(*pattern).is_some()
    {
        *looked = true;
        return fits_all(sight, *pattern).then_some("a pattern that fits everything");
    }
    None
}

/// Comparisons.
fn compared(
    sight: &Sight<'_>,
    node: &Node,
    (infix, left, right): (Infix, Id, Id),
) -> Option<&'static str> {
    let tree = &sight.tree;
    let chained = tree.node(left).is_some_and(|node| {
        !node.enclosed
            && matches!(node.shape, Shape::Infix(inner, _, _) if inner.compares() && inner != Infix::Is)
    });
    if infix != Infix::Is && node.place != Place::Select && chained {
        return Some("a comparison of a comparison");
    }
    if node.place == Place::Assign && tree.is_constant(left) && tree.is_constant(right) {
        return Some("a constant comparison as a value");
    }
    if node.place == Place::Having && tree.is_constant(left) && tree.is_constant(right) {
        return Some("a constant condition on groups");
    }
    (node.place != Place::Assign
        && tree.same(left, right)
        && matches!(tree.shape(left), Shape::Column | Shape::Variable))
    .then_some("a column compared with itself")
}

/// Arithmetic and concatenation.
fn computed(
    sight: &Sight<'_>,
    node: &Node,
    (left, right): (Id, Id),
    looked: &mut bool,
) -> Option<&'static str> {
    let tree = &sight.tree;
    if node.place == Place::Select {
        return None;
    }
    let text = |id: Id| tree.literal_kind(id) == Some(Kind::Text) && !typed(sight, id);
    let joins = matches!(node.shape, Shape::Infix(Infix::Concat, ..));
    if text(left) && text(right) && (!joins || matches!(node.place, Place::Where | Place::Assign)) {
        return Some("a computation on two strings");
    }
    if joins {
        return None;
    }
    let condition = |id: Id| is_comparison(tree.shape(id)) && tree.is_constant(id);
    if condition(left) || condition(right) {
        return Some("arithmetic on a constant comparison");
    }
    let word = |id: Id| {
        text(id)
            && tree
                .node(id)
                .is_some_and(|node| !is_numeric(tree.bytes(node.tokens.start)))
    };
    if (text(left) || text(right)) && multiplies(sight, left, right) {
        *looked = true;
        return (word(left) || word(right)).then_some("arithmetic on a string");
    }
    None
}

/// Whether `*`, `/` or `%` stands between two operands.
fn multiplies(sight: &Sight<'_>, left: Id, right: Id) -> bool {
    let tree = &sight.tree;
    let (Some(left), Some(right)) = (tree.node(left), tree.node(right)) else {
        return false;
    };
    (left.tokens.end..right.tokens.start).any(|at| {
        tree.is_op(at, super::token::Op::Star) || tree.is_op(at, super::token::Op::Product)
    })
}

/// `'12.5'`
fn is_numeric(literal: &[u8]) -> bool {
    literal
        .iter()
        .all(|byte| byte.is_ascii_digit() || matches!(byte, b'\'' | b'"' | b'.' | b'-' | b'+'))
        && literal.iter().any(u8::is_ascii_digit)
}

/// `'%'`
fn fits_all(sight: &Sight<'_>, id: Id) -> bool {
    let tree = &sight.tree;
    tree.literal_kind(id) == Some(Kind::Text)
        && tree.node(id).is_some_and(|node| {
            let bytes = tree.bytes(node.tokens.start);
            bytes.len() > 2 && bytes.iter().all(|byte| matches!(byte, b'%' | b'\'' | b'"'))
        })
}

/// A quoted name that holds a comparison: quotes that were meant for strings.
fn is_odd_name(sight: &Sight<'_>, node: &Node) -> bool {
    node.place != Place::Select
        && node.tokens.clone().any(|at| {
            let bytes = sight.tree.bytes(at);
            matches!(bytes.first(), Some(b'"' | b'`')) && bytes.contains(&b'=')
        })
}

fn is_comparison(shape: &Shape) -> bool {
    matches!(shape, Shape::Infix(infix, _, _) if infix.compares())
}

/// `date '2020-01-01'`
fn typed(sight: &Sight<'_>, id: Id) -> bool {
    sight.tree.node(id).is_some_and(|node| {
        sight
            .tree
            .token(node.tokens.start)
            .is_some_and(|token| token.kind == Kind::Name)
    })
}

/// A string, or a number that is neither 0 nor 1, where a condition is expected.
fn is_value(sight: &Sight<'_>, id: Id, looked: &mut bool) -> bool {
    match sight.tree.literal_kind(id) {
        Some(Kind::Text | Kind::Hex) => true,
        Some(Kind::Number) => {
            *looked = true;
            bit(sight, id).is_none()
        }
        _ => false,
    }
}

/// `SET name = 'x' OR …`: the grammar compares, the reading here assigns first.
fn assigns_value(sight: &Sight<'_>, id: Id) -> bool {
    let tree = &sight.tree;
    match tree.shape(id) {
        Shape::Infix(Infix::Equal, column, value) => {
            tree.node(id).is_some_and(|node| !node.enclosed)
                && matches!(tree.shape(*column), Shape::Column)
                && matches!(
                    tree.literal_kind(*value),
                    Some(Kind::Text | Kind::Number | Kind::Hex)
                )
        }
        _ => false,
    }
}

/// The value of a literal 0 or 1.
fn bit(sight: &Sight<'_>, id: Id) -> Option<bool> {
    let node = sight.tree.node(id)?;
    let at = match node.shape {
        Shape::Literal if node.enclosed => node.tokens.start + 1,
        Shape::Literal => node.tokens.start,
        _ => return None,
    };
    match sight.tree.bytes(at) {
        b"0" => Some(false),
        b"1" => Some(true),
        _ => None,
    }
}

/// Whether a condition that query builders put in holds: `1=1`, `0=1`, `1<>1`, TRUE, FALSE, 0, 1.
fn filler(sight: &Sight<'_>, id: Id) -> Option<bool> {
    let tree = &sight.tree;
    match tree.shape(id) {
        Shape::Literal => match tree.literal_kind(id)? {
            Kind::Key(super::token::Key::True) => Some(true),
            Kind::Key(_) => Some(false),
            _ => bit(sight, id),
        },
        Shape::Infix(Infix::Equal, left, right) => Some(bit(sight, *left)? == bit(sight, *right)?),
        Shape::Infix(Infix::Compare, left, right) => {
            Some(bit(sight, *left)? != bit(sight, *right)?)
        }
        Shape::Prefix(Prefix::Not, value) => filler(sight, *value).map(|holds| !holds),
        _ => None,
    }
}
