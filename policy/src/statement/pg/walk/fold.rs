//! Folds constant expressions, as far as disguises of `true` go.

use pg_query::{NodeRef, protobuf as p};

use super::names;
use super::value::{Value, binary, number, unary};
use crate::statement::pg::functions;
use crate::statement::pg::lists::KEPT;

/// Folds the expressions of one clause.
pub(super) struct Folder {
    looked: bool,
    cut: bool,
    fuel: u32,
}

/// How many nodes are looked at before a clause is given up.
const FUEL: u32 = 2_000_000;

impl Folder {
    pub(super) fn new(cut: bool) -> Self {
        Folder {
            looked: false,
            cut,
            fuel: FUEL,
        }
    }

    /// Whether the value of a literal was looked at.
    pub(super) fn looked(&self) -> bool {
        self.looked
    }

    /// Whether the clause was too entangled to be understood.
    pub(super) fn is_exhausted(&self) -> bool {
        self.fuel == 0
    }

    /// Pays for looking at a node; `false` if there is nothing left to pay with.
    pub(super) fn spend(&mut self) -> bool {
        self.fuel = self.fuel.saturating_sub(1);
        self.looked |= self.fuel == 0;
        self.fuel > 0
    }

    /// The value of an expression; an expression on which rows have a say is not looked into.
    pub(super) fn value(&mut self, node: &p::Node) -> Value {
        if self.is_constant(node) {
            self.fold(node)
        } else {
            Value::Varies
        }
    }

    /// Whether no row, parameter or volatile function has a say in an expression. Looks at no literal's value.
    pub(super) fn is_constant(&mut self, node: &p::Node) -> bool {
        let mut pending = vec![node];
        while let Some(node) = pending.pop() {
            let Some(node) = names::node(Some(node)) else {
                continue;
            };
            if !self.spend() {
                return true;
            }
            match node {
                NodeRef::AConst(_) | NodeRef::SqlvalueFunction(_) => {}
                NodeRef::TypeCast(cast) => pending.extend(cast.arg.as_deref()),
                NodeRef::CollateClause(clause) => pending.extend(clause.arg.as_deref()),
                NodeRef::AExpr(expression) => {
                    pending.extend(expression.lexpr.as_deref());
                    pending.extend(expression.rexpr.as_deref());
                }
                NodeRef::BoolExpr(expression) => pending.extend(&expression.args),
                NodeRef::NullTest(test) => pending.extend(test.arg.as_deref()),
                NodeRef::BooleanTest(test) => pending.extend(test.arg.as_deref()),
                NodeRef::CoalesceExpr(coalesce) => pending.extend(&coalesce.args),
                NodeRef::MinMaxExpr(expression) => pending.extend(&expression.args),
                NodeRef::RowExpr(row) => pending.extend(&row.args),
                NodeRef::AArrayExpr(array) => pending.extend(&array.elements),
                NodeRef::List(list) => pending.extend(&list.items),
                NodeRef::NamedArgExpr(argument) => pending.extend(argument.arg.as_deref()),
                NodeRef::CaseExpr(case) => {
                    pending.extend(case.arg.as_deref());
                    pending.extend(&case.args);
                    pending.extend(case.defresult.as_deref());
                }
                NodeRef::CaseWhen(when) => {
                    pending.extend(when.expr.as_deref());
                    pending.extend(when.result.as_deref());
                }
                NodeRef::FuncCall(call) => {
                    let steady = names::dotted(&call.funcname).is_some_and(|name| {
                        functions::is_steady(name.schema.as_deref(), &name.name)
                    });
                    if !steady || call.over.is_some() || call.agg_star {
                        return false;
                    }
                    pending.extend(&call.args);
                }
                NodeRef::SubLink(link) => match sole_target(link) {
                    Some(target) => {
                        pending.push(target);
                        pending.extend(link.testexpr.as_deref());
                    }
                    None => return false,
                },
                _ => return false,
            }
        }
        true
    }

    fn fold(&mut self, node: &p::Node) -> Value {
        if !self.spend() {
            return Value::Opaque;
        }
        let Some(node_ref) = names::node(Some(node)) else {
            return Value::Opaque;
        };
        match node_ref {
            NodeRef::AConst(constant) => self.literal(constant),
            NodeRef::TypeCast(cast) => self.cast(cast),
            NodeRef::CollateClause(clause) => self.fold_opt(clause.arg.as_deref()),
            NodeRef::AExpr(expression) => self.expression(expression),
            NodeRef::BoolExpr(expression) => self.boolean(expression),
            NodeRef::NullTest(test) => match self.fold_opt(test.arg.as_deref()) {
                value if !value.is_known() => Value::Opaque,
                value => {
                    let wanted = p::NullTestType::try_from(test.nulltesttype);
                    Value::Bool(value.is_null() == (wanted == Ok(p::NullTestType::IsNull)))
                }
            },
            NodeRef::BooleanTest(test) => self.boolean_test(test),
            NodeRef::CaseExpr(case) => self.case(case),
            NodeRef::CoalesceExpr(coalesce) => {
                for argument in &coalesce.args {
                    match self.fold(argument) {
                        Value::Null => {}
                        value => return value,
                    }
                }
                Value::Null
            }
            NodeRef::FuncCall(call) => self.function(call),
            NodeRef::RowExpr(row) => Value::Row(self.all(&row.args)),
            NodeRef::SubLink(link) => self.sublink(link),
            _ => Value::Opaque,
        }
    }

    /// AND, OR and NOT of constants, NULL included.
    fn boolean(&mut self, expression: &p::BoolExpr) -> Value {
        use p::BoolExprType as B;
        let kind = B::try_from(expression.boolop).unwrap_or(B::Undefined);
        let decisive = kind == B::OrExpr;
        let (mut null, mut opaque) = (false, false);
        for argument in &expression.args {
            let value = self.fold(argument);
            match (value.is_null(), value.as_bool(), kind) {
                (_, Some(value), B::NotExpr) => return Value::Bool(!value),
                (_, Some(value), B::AndExpr | B::OrExpr) if value == decisive => {
                    return Value::Bool(decisive);
                }
                (_, Some(_), _) => {}
                (true, None, _) => null = true,
                (false, None, _) => opaque = true,
            }
        }
        match (opaque, null) {
            (true, _) => Value::Opaque,
            (false, true) => Value::Null,
            (false, false) => Value::Bool(!decisive),
        }
    }

    fn boolean_test(&mut self, test: &p::BooleanTest) -> Value {
        use p::BoolTestType as T;
        let value = self.fold_opt(test.arg.as_deref());
        let known = value.as_bool();
        if known.is_none() && !value.is_null() {
            return Value::Opaque;
        }
        match T::try_from(test.booltesttype).unwrap_or(T::Undefined) {
            T::IsTrue => Value::Bool(known == Some(true)),
            T::IsNotTrue => Value::Bool(known != Some(true)),
            T::IsFalse => Value::Bool(known == Some(false)),
            T::IsNotFalse => Value::Bool(known != Some(false)),
            T::IsUnknown => Value::Bool(known.is_none()),
            T::IsNotUnknown => Value::Bool(known.is_some()),
            T::Undefined => Value::Opaque,
        }
    }

    fn sublink(&mut self, link: &p::SubLink) -> Value {
        use p::SubLinkType as S;
        let Some(target) = sole_target(link) else {
            return Value::Opaque;
        };
        match S::try_from(link.sub_link_type).unwrap_or(S::Undefined) {
            S::ExistsSublink => Value::Bool(true),
            S::ExprSublink => self.fold(target),
            S::AnySublink if link.oper_name.is_empty() => match link.testexpr.as_deref() {
                Some(test) => self.fold_compared("=", test, target),
                None => Value::Opaque,
            },
            S::AnySublink
            | S::AllSublink
            | S::RowcompareSublink
            | S::MultiexprSublink
            | S::ArraySublink
            | S::CteSublink
            | S::Undefined => Value::Opaque,
        }
    }

    fn fold_opt(&mut self, node: Option<&p::Node>) -> Value {
        node.map_or(Value::Opaque, |node| self.fold(node))
    }

    fn all(&mut self, nodes: &[p::Node]) -> Vec<Value> {
        nodes.iter().map(|node| self.fold(node)).collect()
    }

    pub(super) fn literal(&mut self, constant: &p::AConst) -> Value {
        use p::a_const::Val;
        self.looked = true;
        match &constant.val {
            _ if constant.isnull => Value::Null,
            Some(Val::Ival(value)) => Value::Number(f64::from(value.ival)),
            Some(Val::Fval(value)) => number(&value.fval),
            Some(Val::Boolval(value)) => Value::Bool(value.boolval),
            Some(Val::Sval(value)) => Value::Text(value.sval.clone()),
            Some(Val::Bsval(_)) => Value::Opaque,
            None => Value::Null,
        }
    }

    fn cast(&mut self, cast: &p::TypeCast) -> Value {
        let value = self.fold_opt(cast.arg.as_deref());
        if value.is_null() || !value.is_known() {
            return value;
        }
        let name = cast.type_name.as_ref().and_then(names::type_name);
        let converted = match name.as_ref().map(|name| &*name.name) {
            Some("bool") => value.as_bool().map(Value::Bool),
            Some("int2" | "int4" | "int8") => match &value {
                Value::Bool(value) => Some(Value::Number(f64::from(u8::from(*value)))),
                other => other
                    .as_number()
                    .map(|number| Value::Number(number.round_ties_even())),
            },
            Some("numeric" | "float4" | "float8") => value.as_number().map(Value::Number),
            Some("text" | "varchar" | "bpchar" | "name") => match &value {
                Value::Text(_) => Some(value),
                Value::Bool(value) => Some(Value::Text(value.to_string())),
                Value::Number(number) => Some(Value::Text(number.to_string())),
                _ => None,
            },
            _ => None,
        };
        converted.unwrap_or(Value::Opaque)
    }

    fn case(&mut self, case: &p::CaseExpr) -> Value {
        for arm in &case.args {
            let Some(NodeRef::CaseWhen(when)) = names::node(Some(arm)) else {
                return Value::Opaque;
            };
            let Some(condition) = when.expr.as_deref() else {
                return Value::Opaque;
            };
            let holds = match case.arg.as_deref() {
                Some(subject) => self.fold_compared("=", subject, condition).as_bool(),
                None => match self.fold(condition) {
                    Value::Null => Some(false),
                    value => value.as_bool(),
                },
            };
            match holds {
                Some(true) => return self.fold_opt(when.result.as_deref()),
                Some(false) => {}
                None => return Value::Opaque,
            }
        }
        match case.defresult.as_deref() {
            Some(default) => self.fold(default),
            None => Value::Null,
        }
    }

    fn expression(&mut self, expression: &p::AExpr) -> Value {
        use p::AExprKind as K;
        let operator = expression
            .name
            .last()
            .and_then(names::string)
            .unwrap_or_default();
        let (left, right) = (expression.lexpr.as_deref(), expression.rexpr.as_deref());
        match (
            K::try_from(expression.kind).unwrap_or(K::Undefined),
            left,
            right,
        ) {
            (K::AexprOp, Some(left), Some(right)) => self.fold_compared(operator, left, right),
            (K::AexprOp, None, Some(right)) => unary(operator, &self.fold(right)),
            (K::AexprDistinct | K::AexprNotDistinct, Some(left), Some(right)) => {
                let (left, right) = (self.fold(left), self.fold(right));
                let equal = match (left.is_null(), right.is_null()) {
                    (true, true) => Some(true),
                    (true, false) | (false, true) if left.is_known() && right.is_known() => {
                        Some(false)
                    }
                    _ => binary("=", &left, &right).as_bool(),
                };
                let wanted = expression.kind == K::AexprNotDistinct as i32;
                equal.map_or(Value::Opaque, |equal| Value::Bool(equal == wanted))
            }
            (K::AexprNullif, Some(left), Some(right)) => {
                let value = self.fold(left);
                match binary("=", &value, &self.fold(right)).as_bool() {
                    Some(true) => Value::Null,
                    Some(false) => value,
                    None => Value::Opaque,
                }
            }
            (K::AexprIn | K::AexprOpAny | K::AexprOpAll, Some(left), Some(right)) => {
                let all = expression.kind == K::AexprOpAll as i32
                    || (expression.kind == K::AexprIn as i32 && operator == "<>");
                self.quantified(operator, left, right, all)
            }
            (K::AexprLike | K::AexprIlike, Some(left), Some(right)) => {
                let (left, right) = (self.fold(left), self.fold(right));
                match (&left, &right) {
                    (Value::Null, _) | (_, Value::Null) => Value::Null,
                    (Value::Text(text), Value::Text(pattern)) if text == pattern => {
                        Value::Bool(!operator.starts_with('!'))
                    }
                    _ => Value::Opaque,
                }
            }
            (K::AexprBetween | K::AexprNotBetween, Some(left), Some(right)) => {
                let between = self.between(left, right);
                match between.as_bool() {
                    Some(inside) => {
                        Value::Bool(inside == (expression.kind == K::AexprBetween as i32))
                    }
                    None => between,
                }
            }
            _ => Value::Opaque,
        }
    }

    fn between(&mut self, subject: &p::Node, bounds: &p::Node) -> Value {
        let Some(NodeRef::List(list)) = names::node(Some(bounds)) else {
            return Value::Opaque;
        };
        let [low, high] = list.items.as_slice() else {
            return Value::Opaque;
        };
        match (
            self.fold_compared(">=", subject, low),
            self.fold_compared("<=", subject, high),
        ) {
            (Value::Bool(low), Value::Bool(high)) => Value::Bool(low && high),
            (Value::Null, _) | (_, Value::Null) => Value::Null,
            _ => Value::Opaque,
        }
    }

    fn quantified(&mut self, operator: &str, left: &p::Node, right: &p::Node, all: bool) -> Value {
        let Some(items) = items(right) else {
            return Value::Opaque;
        };
        // The parser was not given all of a long list.
        if self.cut && items.len() >= KEPT as usize {
            self.looked = true;
            return Value::Opaque;
        }
        let mut unknown = None;
        for item in items {
            match self.fold_compared(operator, left, item) {
                Value::Bool(holds) if holds != all => return Value::Bool(holds),
                Value::Bool(_) => {}
                Value::Null => unknown = unknown.or(Some(Value::Null)),
                _ => unknown = Some(Value::Opaque),
            }
        }
        unknown.unwrap_or(Value::Bool(all))
    }

    /// The value of `left operator right`, both being constant.
    fn fold_compared(&mut self, operator: &str, left: &p::Node, right: &p::Node) -> Value {
        binary(operator, &self.fold(left), &self.fold(right))
    }

    fn function(&mut self, call: &p::FuncCall) -> Value {
        let Some(name) = names::dotted(&call.funcname) else {
            return Value::Opaque;
        };
        let values = self.all(&call.args);
        if values.iter().any(Value::is_null) {
            return Value::Opaque;
        }
        match (&*name.name, values.as_slice()) {
            ("length" | "char_length" | "character_length", [Value::Text(text)]) => {
                Value::Number(text.chars().count() as f64)
            }
            ("octet_length", [Value::Text(text)]) => Value::Number(text.len() as f64),
            ("lower", [Value::Text(text)]) => Value::Text(text.to_lowercase()),
            ("upper", [Value::Text(text)]) => Value::Text(text.to_uppercase()),
            ("abs", [Value::Number(number)]) => Value::Number(number.abs()),
            ("ascii", [Value::Text(text)]) => {
                Value::Number(text.chars().next().map_or(0.0, |c| f64::from(u32::from(c))))
            }
            ("chr", [Value::Number(number)]) => {
                let character = char::from_u32(*number as u32).filter(|_| *number >= 1.0);
                character.map_or(Value::Opaque, |c| Value::Text(c.to_string()))
            }
            ("concat", values) if values.iter().all(|value| matches!(value, Value::Text(_))) => {
                let parts = values.iter().map(|value| match value {
                    Value::Text(text) => text.as_str(),
                    _ => "",
                });
                Value::Text(parts.collect())
            }
            _ => Value::Opaque,
        }
    }
}

/// The only target of a subquery that has one row whatever the tables hold: `(SELECT 1)`, `(VALUES (1))`.
pub(super) fn sole_target(link: &p::SubLink) -> Option<&p::Node> {
    let Some(NodeRef::SelectStmt(select)) = names::node(link.subselect.as_deref()) else {
        return None;
    };
    if !select.from_clause.is_empty()
        || select.larg.is_some()
        || select.where_clause.is_some()
        || select.having_clause.is_some()
        || !select.group_clause.is_empty()
        || select.limit_count.is_some()
        || select.limit_offset.is_some()
    {
        return None;
    }
    match (
        select.target_list.as_slice(),
        select.values_lists.as_slice(),
    ) {
        ([target, ..], []) => match names::node(Some(target)) {
            Some(NodeRef::ResTarget(target)) => target.val.as_deref(),
            _ => None,
        },
        ([], [row]) => match names::node(Some(row)) {
            Some(NodeRef::List(row)) => row.items.first(),
            _ => None,
        },
        _ => None,
    }
}

/// Whether a subquery is an aggregate without groups: one row, whatever the tables hold.
pub(super) fn is_aggregate(link: &p::SubLink) -> bool {
    let Some(NodeRef::SelectStmt(select)) = names::node(link.subselect.as_deref()) else {
        return false;
    };
    let sole = select.larg.is_none()
        && select.group_clause.is_empty()
        && select.having_clause.is_none()
        && select.limit_count.is_none()
        && select.limit_offset.is_none();
    let Some(NodeRef::ResTarget(target)) = names::node(select.target_list.first()) else {
        return false;
    };
    let Some(NodeRef::FuncCall(call)) = names::node(target.val.as_deref()) else {
        return false;
    };
    let name = names::dotted(&call.funcname);
    let aggregate = matches!(
        name.as_ref().map(|name| &*name.name),
        Some(
            "count"
                | "sum"
                | "min"
                | "max"
                | "avg"
                | "array_agg"
                | "string_agg"
                | "bool_and"
                | "bool_or"
                | "every"
                | "json_agg"
                | "jsonb_agg"
        )
    );
    sole && aggregate && call.over.is_none()
}

/// The elements of a list or array constructor.
pub(super) fn items(node: &p::Node) -> Option<&[p::Node]> {
    match names::node(Some(node))? {
        NodeRef::List(list) => Some(&list.items),
        NodeRef::AArrayExpr(array) => Some(&array.elements),
        NodeRef::TypeCast(cast) => items(cast.arg.as_deref()?),
        _ => None,
    }
}
