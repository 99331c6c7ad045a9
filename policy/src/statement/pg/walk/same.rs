//! When a comparison says nothing: of a thing with itself, of a pattern that matches all, of a range that holds all.

use pg_query::{NodeRef, protobuf as p};

use super::fold::{Folder, items};
use super::names;
use super::shape::Truth;
use super::value::Value;
use crate::statement::pg::functions;

impl Folder {
    /// Whether `node` is a text constant that `holds`.
    pub(super) fn is_text(&mut self, node: &p::Node, holds: impl Fn(&str) -> bool) -> bool {
        match self.value(node) {
            Value::Text(text) => holds(&text),
            _ => false,
        }
    }

    /// The same for the pattern of LIKE, which may come with an escape character.
    pub(super) fn pattern(&mut self, node: &p::Node, holds: impl Fn(&str) -> bool) -> bool {
        match names::node(Some(node)) {
            Some(NodeRef::FuncCall(call)) => call
                .args
                .first()
                .is_some_and(|pattern| self.is_text(pattern, holds)),
            _ => self.is_text(node, holds),
        }
    }

    /// Whether an expression stands in a list itself: `id IN (id, 1)`.
    pub(super) fn listed(&mut self, subject: &p::Node, list: &p::Node) -> bool {
        let Some(items) = items(list) else {
            return false;
        };
        items
            .iter()
            .any(|item| !self.is_constant(item) && self.same(subject, item))
    }

    /// Comparisons of functions whose range is known: `random() < 2`, `length(x) >= 0`.
    pub(super) fn range(&mut self, operator: &str, left: &p::Node, right: &p::Node) -> Truth {
        let (operator, call, bound) = match (range_of(left), range_of(right)) {
            (Some(range), None) => (operator, range, right),
            (None, Some(range)) => (mirrored(operator), range, left),
            _ => return Truth::Depends,
        };
        let Some(bound) = self.value(bound).as_number() else {
            return Truth::Depends;
        };
        let (low, high) = call;
        let always = match operator {
            "<" => high <= bound,
            "<=" => high <= bound,
            ">" => low > bound,
            ">=" => low >= bound,
            _ => false,
        };
        if always {
            Truth::Always
        } else {
            Truth::Depends
        }
    }

    pub(super) fn same_opt(&mut self, left: Option<&p::Node>, right: Option<&p::Node>) -> bool {
        match (left, right) {
            (Some(left), Some(right)) => self.same(left, right),
            (None, None) => true,
            _ => false,
        }
    }

    /// Whether two expressions are the same thing, neutral operations aside: `id`, `id + 0`, `id::int`, `(id)`.
    pub(super) fn same(&mut self, left: &p::Node, right: &p::Node) -> bool {
        if !self.spend() {
            return true;
        }
        let (left, right) = (self.bare(left), self.bare(right));
        let (Some(left), Some(right)) = (names::node(Some(left)), names::node(Some(right))) else {
            return false;
        };
        match (left, right) {
            (NodeRef::ColumnRef(a), NodeRef::ColumnRef(b)) => same_column(a, b),
            (NodeRef::ParamRef(a), NodeRef::ParamRef(b)) => a.number == b.number,
            (NodeRef::AConst(a), NodeRef::AConst(b)) => {
                let (a, b) = (self.literal(a), self.literal(b));
                a.is_known() && a == b
            }
            (NodeRef::AExpr(a), NodeRef::AExpr(b)) => {
                a.kind == b.kind
                    && same_names(&a.name, &b.name)
                    && self.same_opt(a.lexpr.as_deref(), b.lexpr.as_deref())
                    && self.same_opt(a.rexpr.as_deref(), b.rexpr.as_deref())
            }
            (NodeRef::NullTest(a), NodeRef::NullTest(b)) => {
                a.nulltesttype == b.nulltesttype
                    && self.same_opt(a.arg.as_deref(), b.arg.as_deref())
            }
            (NodeRef::List(a), NodeRef::List(b)) => self.same_all(&a.items, &b.items),
            (NodeRef::RowExpr(a), NodeRef::RowExpr(b)) => self.same_all(&a.args, &b.args),
            (NodeRef::CoalesceExpr(a), NodeRef::CoalesceExpr(b)) => self.same_all(&a.args, &b.args),
            (NodeRef::FuncCall(a), NodeRef::FuncCall(b)) => {
                let steady = names::dotted(&a.funcname)
                    .is_some_and(|name| functions::is_steady(name.schema.as_deref(), &name.name));
                steady && same_names(&a.funcname, &b.funcname) && self.same_all(&a.args, &b.args)
            }
            _ => false,
        }
    }

    fn same_all(&mut self, left: &[p::Node], right: &[p::Node]) -> bool {
        left.len() == right.len() && left.iter().zip(right).all(|(a, b)| self.same(a, b))
    }

    /// The expression without casts and neutral operations around it.
    fn bare<'n>(&mut self, mut node: &'n p::Node) -> &'n p::Node {
        loop {
            let inner = match names::node(Some(node)) {
                Some(NodeRef::TypeCast(cast)) => cast.arg.as_deref(),
                Some(NodeRef::CollateClause(clause)) => clause.arg.as_deref(),
                Some(NodeRef::AExpr(expression)) => self.neutral(expression),
                _ => None,
            };
            match inner {
                Some(inner) => node = inner,
                None => return node,
            }
        }
    }

    /// The operand of `x + 0`, `x * 1`, `x || ''` and the like.
    fn neutral<'n>(&mut self, expression: &'n p::AExpr) -> Option<&'n p::Node> {
        if expression.kind != p::AExprKind::AexprOp as i32 {
            return None;
        }
        let operator = expression.name.last().and_then(names::string)?;
        let Some(left) = expression.lexpr.as_deref() else {
            return if operator == "+" {
                expression.rexpr.as_deref()
            } else {
                None
            };
        };
        let right = expression.rexpr.as_deref()?;
        let neutral = match operator {
            "+" | "-" | "|" | "#" => Value::Number(0.0),
            "*" | "/" | "^" => Value::Number(1.0),
            "||" => Value::Text(String::new()),
            _ => return None,
        };
        if self.value(right) == neutral {
            return Some(left);
        }
        if matches!(operator, "+" | "*" | "||" | "|" | "#") && self.value(left) == neutral {
            return Some(right);
        }
        None
    }
}

fn same_column(left: &p::ColumnRef, right: &p::ColumnRef) -> bool {
    let last = |column: &p::ColumnRef| {
        column
            .fields
            .last()
            .and_then(names::string)
            .map(str::to_owned)
    };
    // `t.id` and `id` are taken for the same column: where both can be named, they nearly always are.
    last(left).is_some()
        && last(left) == last(right)
        && (same_names(&left.fields, &right.fields)
            || left.fields.len() == 1
            || right.fields.len() == 1)
}

fn same_names(left: &[p::Node], right: &[p::Node]) -> bool {
    left.len() == right.len()
        && left
            .iter()
            .zip(right)
            .all(|(a, b)| names::string(a).is_some_and(|a| Some(a) == names::string(b)))
}

/// The range of a function's values: least, and least upper bound.
fn range_of(node: &p::Node) -> Option<(f64, f64)> {
    let Some(NodeRef::FuncCall(call)) = names::node(Some(node)) else {
        return None;
    };
    let name = names::dotted(&call.funcname)?;
    match (&*name.name, call.args.len()) {
        ("random", 0) => Some((0.0, 1.0)),
        ("length" | "char_length" | "character_length" | "octet_length" | "bit_length", 1)
        | ("abs", 1) => Some((0.0, f64::INFINITY)),
        _ => None,
    }
}

/// The operator with its sides exchanged.
fn mirrored(operator: &str) -> &str {
    match operator {
        "<" => ">",
        "<=" => ">=",
        ">" => "<",
        ">=" => "<=",
        other => other,
    }
}
