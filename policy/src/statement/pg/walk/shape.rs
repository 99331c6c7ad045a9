//! Whether a WHERE clause restricts anything.
//!
//! A clause that is the same for all rows restricts none. Three ways to be so are recognised: it folds to a constant, it
//! compares a thing with itself, or it is a disjunction of opposites. What can't be decided restricts, except where no row
//! has a say in it.

use pg_query::{NodeRef, protobuf as p};

use super::fold::{Folder, is_aggregate, sole_target};
use super::names;
use super::value::Value;
use crate::vocabulary::WhereShape;

/// The shape of a WHERE clause; `literals` becomes true if the value of a literal was looked at.
pub(super) fn of(clause: &p::Node, cut: bool, literals: &mut bool) -> WhereShape {
    let mut folder = Folder::new(cut);
    let truth = truth(&mut folder, clause);
    *literals |= folder.looked();
    if folder.is_exhausted() {
        return WhereShape::AlwaysTrue;
    }
    match truth {
        Truth::Always | Truth::SameForAll => WhereShape::AlwaysTrue,
        Truth::Never | Truth::Depends => WhereShape::Restricting,
    }
}

/// What a condition says about rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Truth {
    /// Holds for every row.
    Always,
    /// Holds for no row.
    Never,
    /// The same for all rows, but not known.
    SameForAll,
    /// Differs between rows, or may.
    Depends,
}

impl Truth {
    pub(super) fn of(holds: bool) -> Truth {
        if holds { Truth::Always } else { Truth::Never }
    }

    fn not(self) -> Truth {
        match self {
            Truth::Always => Truth::Never,
            Truth::Never => Truth::Always,
            Truth::SameForAll | Truth::Depends => self,
        }
    }
}

/// What a condition says about rows.
pub(super) fn truth(folder: &mut Folder, node: &p::Node) -> Truth {
    let Some(node_ref) = names::node(Some(node)) else {
        return Truth::Depends;
    };
    let value = folder.value(node);
    if value != Value::Varies {
        return of_value(&value);
    }
    match node_ref {
        NodeRef::BoolExpr(expression) => boolean(folder, expression),
        NodeRef::AExpr(expression) => comparison(folder, expression),
        NodeRef::BooleanTest(test) => boolean_test(folder, test),
        NodeRef::CollateClause(clause) => inner(folder, clause.arg.as_deref()),
        NodeRef::TypeCast(cast) => inner(folder, cast.arg.as_deref()),
        NodeRef::SubLink(link) => sublink(folder, link),
        NodeRef::CoalesceExpr(coalesce) => inner(folder, coalesce.args.first()),
        NodeRef::CaseExpr(case) => case_arms(folder, case),
        _ => Truth::Depends,
    }
}

/// A CASE all of whose results hold for every row.
fn case_arms(folder: &mut Folder, case: &p::CaseExpr) -> Truth {
    let Some(default) = case.defresult.as_deref() else {
        return Truth::Depends;
    };
    let results = case.args.iter().map(|arm| match names::node(Some(arm)) {
        Some(NodeRef::CaseWhen(when)) => when.result.as_deref(),
        _ => None,
    });
    for result in results.chain([Some(default)]) {
        if inner(folder, result) != Truth::Always {
            return Truth::Depends;
        }
    }
    Truth::Always
}

fn inner(folder: &mut Folder, node: Option<&p::Node>) -> Truth {
    node.map_or(Truth::Depends, |node| truth(folder, node))
}

/// A value in the place of a condition.
fn of_value(value: &Value) -> Truth {
    match value {
        Value::Varies => Truth::Depends,
        Value::Opaque => Truth::SameForAll,
        Value::Null => Truth::Never,
        other => other.as_bool().map_or(Truth::SameForAll, Truth::of),
    }
}

fn boolean(folder: &mut Folder, expression: &p::BoolExpr) -> Truth {
    use p::BoolExprType as B;
    match B::try_from(expression.boolop).unwrap_or(B::Undefined) {
        B::NotExpr => match expression.args.as_slice() {
            [argument] => truth(folder, argument).not(),
            _ => Truth::Depends,
        },
        B::AndExpr => {
            let mut all = Truth::Always;
            for argument in &expression.args {
                all = match (all, truth(folder, argument)) {
                    (Truth::Never, _) | (_, Truth::Never) => Truth::Never,
                    (Truth::Depends, _) | (_, Truth::Depends) => Truth::Depends,
                    (Truth::SameForAll, _) | (_, Truth::SameForAll) => Truth::SameForAll,
                    (Truth::Always, Truth::Always) => Truth::Always,
                };
            }
            all
        }
        B::OrExpr => {
            let mut any = Truth::Never;
            for argument in &expression.args {
                any = match (any, truth(folder, argument)) {
                    (Truth::Always, _) | (_, Truth::Always) => Truth::Always,
                    (Truth::SameForAll, _) | (_, Truth::SameForAll) => Truth::SameForAll,
                    (Truth::Depends, _) | (_, Truth::Depends) => Truth::Depends,
                    (Truth::Never, Truth::Never) => Truth::Never,
                };
            }
            if any == Truth::Depends && has_opposites(folder, &expression.args) {
                return Truth::Always;
            }
            any
        }
        B::Undefined => Truth::Depends,
    }
}

/// How many arms of an OR are compared with each other.
const MAX_OPPOSITES: usize = 32;

/// Whether two arms of an OR are each other's negation.
fn has_opposites(folder: &mut Folder, arms: &[p::Node]) -> bool {
    let arms = arms
        .get(..arms.len().min(MAX_OPPOSITES))
        .unwrap_or_default();
    arms.iter().enumerate().any(|(index, left)| {
        arms.iter()
            .skip(index + 1)
            .any(|right| opposite(folder, left, right))
    })
}

fn opposite(folder: &mut Folder, left: &p::Node, right: &p::Node) -> bool {
    match (names::node(Some(left)), names::node(Some(right))) {
        (Some(NodeRef::NullTest(a)), Some(NodeRef::NullTest(b))) => {
            a.nulltesttype != b.nulltesttype && folder.same_opt(a.arg.as_deref(), b.arg.as_deref())
        }
        (Some(NodeRef::BoolExpr(a)), _) if is_not(a) => a
            .args
            .first()
            .is_some_and(|inner| folder.same(inner, right)),
        (_, Some(NodeRef::BoolExpr(b))) if is_not(b) => {
            b.args.first().is_some_and(|inner| folder.same(inner, left))
        }
        (Some(NodeRef::AExpr(a)), Some(NodeRef::AExpr(b))) => {
            let covering = matches!(
                (operator(a), operator(b)),
                ("=", "<>")
                    | ("<>", "=")
                    | ("<", ">=")
                    | (">=", "<")
                    | (">", "<=")
                    | ("<=", ">")
                    | ("<=", ">=")
                    | (">=", "<=")
            );
            covering
                && folder.same_opt(a.lexpr.as_deref(), b.lexpr.as_deref())
                && folder.same_opt(a.rexpr.as_deref(), b.rexpr.as_deref())
        }
        _ => false,
    }
}

fn is_not(expression: &p::BoolExpr) -> bool {
    p::BoolExprType::try_from(expression.boolop) == Ok(p::BoolExprType::NotExpr)
}

/// The operator of a plain binary expression.
fn operator(expression: &p::AExpr) -> &str {
    expression
        .name
        .last()
        .and_then(names::string)
        .unwrap_or_default()
}

fn comparison(folder: &mut Folder, expression: &p::AExpr) -> Truth {
    use p::AExprKind as K;
    let (left, right) = (expression.lexpr.as_deref(), expression.rexpr.as_deref());
    let (Some(left), Some(right)) = (left, right) else {
        return Truth::Depends;
    };
    let operator = operator(expression);
    match K::try_from(expression.kind).unwrap_or(K::Undefined) {
        K::AexprOp => match operator {
            "=" | ">=" | "<=" if folder.same(left, right) => Truth::Always,
            "<>" | "<" | ">" if folder.same(left, right) => Truth::Never,
            "<" | "<=" | ">" | ">=" => folder.range(operator, left, right),
            "~" | "~*" if folder.is_text(right, is_match_all) => Truth::Always,
            _ => Truth::Depends,
        },
        K::AexprLike | K::AexprIlike | K::AexprSimilar => {
            let negative = operator.starts_with('!');
            let all = folder.pattern(right, |text| {
                !text.is_empty() && text.bytes().all(|b| b == b'%')
            }) || folder.same(left, right);
            if all {
                Truth::of(!negative)
            } else {
                Truth::Depends
            }
        }
        K::AexprNotDistinct if folder.same(left, right) => Truth::Always,
        K::AexprDistinct if folder.same(left, right) => Truth::Never,
        K::AexprIn if operator == "=" && folder.listed(left, right) => Truth::Always,
        K::AexprOpAny if operator == "=" && folder.listed(left, right) => Truth::Always,
        K::AexprBetween | K::AexprBetweenSym => match names::node(Some(right)) {
            Some(NodeRef::List(bounds)) => match bounds.items.as_slice() {
                [low, high] if folder.same(left, low) && folder.same(left, high) => Truth::Always,
                _ => Truth::Depends,
            },
            _ => Truth::Depends,
        },
        K::AexprOpAny
        | K::AexprOpAll
        | K::AexprDistinct
        | K::AexprNotDistinct
        | K::AexprNullif
        | K::AexprIn
        | K::AexprNotBetween
        | K::AexprNotBetweenSym
        | K::Undefined => Truth::Depends,
    }
}

/// Regular expressions that match everything.
fn is_match_all(pattern: &str) -> bool {
    matches!(
        pattern,
        "" | ".*" | "^" | "$" | "^.*$" | "^.*" | ".*$" | ".*?" | "()"
    )
}

/// A test of a condition on which rows have a say.
fn boolean_test(folder: &mut Folder, test: &p::BooleanTest) -> Truth {
    use p::BoolTestType as T;
    let holds = inner(folder, test.arg.as_deref());
    match (
        T::try_from(test.booltesttype).unwrap_or(T::Undefined),
        holds,
    ) {
        (T::IsTrue | T::IsNotFalse, Truth::Always) => Truth::Always,
        (T::IsFalse | T::IsUnknown, Truth::Always) => Truth::Never,
        (T::IsNotTrue, Truth::Never) => Truth::Always,
        (_, Truth::SameForAll) => Truth::SameForAll,
        _ => Truth::Depends,
    }
}

fn sublink(folder: &mut Folder, link: &p::SubLink) -> Truth {
    use p::SubLinkType as S;
    match S::try_from(link.sub_link_type).unwrap_or(S::Undefined) {
        S::ExistsSublink if sole_target(link).is_some() || is_aggregate(link) => Truth::Always,
        S::ExprSublink => inner(folder, sole_target(link)),
        S::AnySublink if link.oper_name.is_empty() => {
            if folder.same_opt(link.testexpr.as_deref(), sole_target(link)) {
                Truth::Always
            } else {
                Truth::Depends
            }
        }
        S::ExistsSublink
        | S::AnySublink
        | S::AllSublink
        | S::RowcompareSublink
        | S::MultiexprSublink
        | S::ArraySublink
        | S::CteSublink
        | S::Undefined => Truth::Depends,
    }
}
