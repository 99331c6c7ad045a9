//! Values of constant expressions, and what operators make of them.

/// What an expression is worth.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    Row(Vec<Value>),
    /// The same for all rows, but not worked out.
    Opaque,
    /// May differ between rows, or is not known before the statement runs.
    Varies,
}

impl Value {
    pub(super) fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    pub(super) fn is_known(&self) -> bool {
        !matches!(self, Value::Opaque | Value::Varies)
    }

    /// The value as a truth, as the server casts it.
    pub(super) fn as_bool(&self) -> Option<bool> {
        match self {
            Value::Bool(value) => Some(*value),
            Value::Number(value) => Some(*value != 0.0),
            Value::Text(text) => match text.trim().to_ascii_lowercase().as_str() {
                "t" | "tr" | "tru" | "true" | "y" | "ye" | "yes" | "on" | "1" => Some(true),
                "f" | "fa" | "fal" | "fals" | "false" | "n" | "no" | "of" | "off" | "0" => {
                    Some(false)
                }
                _ => None,
            },
            Value::Null | Value::Row(_) | Value::Opaque | Value::Varies => None,
        }
    }

    pub(super) fn as_number(&self) -> Option<f64> {
        match self {
            Value::Number(value) => Some(*value),
            Value::Text(text) => text.trim().parse().ok(),
            Value::Bool(_) | Value::Null | Value::Row(_) | Value::Opaque | Value::Varies => None,
        }
    }
}

pub(super) fn number(text: &str) -> Value {
    text.replace('_', "")
        .parse()
        .map_or(Value::Opaque, Value::Number)
}

/// The value of `operator value`.
pub(super) fn unary(operator: &str, value: &Value) -> Value {
    match (operator, value) {
        (_, Value::Null) => Value::Null,
        ("-", value) => value
            .as_number()
            .map_or(Value::Opaque, |number| Value::Number(-number)),
        ("+", value) => value.as_number().map_or(Value::Opaque, Value::Number),
        ("@", value) => value
            .as_number()
            .map_or(Value::Opaque, |number| Value::Number(number.abs())),
        _ => Value::Opaque,
    }
}

/// The value of `left operator right`.
pub(super) fn binary(operator: &str, left: &Value, right: &Value) -> Value {
    if left.is_null() || right.is_null() {
        return Value::Null;
    }
    if let (Value::Row(left), Value::Row(right)) = (left, right) {
        return rows(operator, left, right);
    }
    if !left.is_known() || !right.is_known() {
        return Value::Opaque;
    }
    if operator == "||"
        && let (Value::Text(left), Value::Text(right)) = (left, right)
    {
        return Value::Text(format!("{left}{right}"));
    }
    let ordering = match (left, right) {
        (Value::Text(left), Value::Text(right)) => Some(text_comparison(operator, left, right)),
        (Value::Bool(_), _) | (_, Value::Bool(_)) => match (left.as_bool(), right.as_bool()) {
            (Some(left), Some(right)) => comparison(operator, left.cmp(&right)),
            _ => return Value::Opaque,
        }
        .into(),
        _ => None,
    };
    if let Some(holds) = ordering {
        return holds.map_or(Value::Opaque, Value::Bool);
    }
    let (Some(left), Some(right)) = (left.as_number(), right.as_number()) else {
        return Value::Opaque;
    };
    arithmetic(operator, left, right)
}

fn rows(operator: &str, left: &[Value], right: &[Value]) -> Value {
    if operator != "=" || left.len() != right.len() {
        return Value::Opaque;
    }
    let mut all = Value::Bool(true);
    for (left, right) in left.iter().zip(right) {
        match binary("=", left, right) {
            Value::Bool(true) => {}
            Value::Bool(false) => return Value::Bool(false),
            other => all = other,
        }
    }
    all
}

/// Equality of texts is certain; their order is the collation's business.
fn text_comparison(operator: &str, left: &str, right: &str) -> Option<bool> {
    let equal = left == right;
    match operator {
        "=" => Some(equal),
        "<>" => Some(!equal),
        "<=" | ">=" if equal => Some(true),
        "<" | ">" if equal => Some(false),
        _ => None,
    }
}

fn comparison(operator: &str, ordering: std::cmp::Ordering) -> Option<bool> {
    Some(match operator {
        "=" => ordering.is_eq(),
        "<>" => ordering.is_ne(),
        "<" => ordering.is_lt(),
        "<=" => ordering.is_le(),
        ">" => ordering.is_gt(),
        ">=" => ordering.is_ge(),
        _ => return None,
    })
}

/// Numbers; near equality counts as equality, for the server's numerics are exact and these are not.
fn arithmetic(operator: &str, left: f64, right: f64) -> Value {
    let near = (left - right).abs() <= 1e-9 * left.abs().max(right.abs());
    let whole = left.fract() == 0.0 && right.fract() == 0.0;
    let value = match operator {
        "=" => return Value::Bool(near),
        "<>" => return Value::Bool(left != right),
        "<" => return Value::Bool(left < right),
        ">" => return Value::Bool(left > right),
        "<=" => return Value::Bool(near || left < right),
        ">=" => return Value::Bool(near || left > right),
        "+" => left + right,
        "-" => left - right,
        "*" => left * right,
        "/" if right != 0.0 && whole => (left / right).trunc(),
        "/" if right != 0.0 => left / right,
        "%" if right != 0.0 => left % right,
        _ => return Value::Opaque,
    };
    if value.is_finite() {
        Value::Number(value)
    } else {
        Value::Opaque
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_fold_as_the_server_reckons() {
        assert_eq!(arithmetic("=", 0.1 + 0.2, 0.3), Value::Bool(true));
        assert_eq!(arithmetic("/", 7.0, 2.0), Value::Number(3.0));
        assert_eq!(arithmetic("/", 1.0, 0.0), Value::Opaque);
        assert_eq!(number("1_000.5"), Value::Number(1000.5));
    }
}
