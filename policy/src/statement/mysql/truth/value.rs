//! Values of constants, and what operators make of them.

use crate::statement::mysql::token::Kind;

/// What an expression is worth.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Null,
    Number(f64),
    Text(Box<[u8]>),
    /// The same for all rows, but not worked out.
    Opaque,
    /// May differ between rows, or is not known before the statement runs.
    Varies,
}

impl Value {
    pub(super) fn varies(&self) -> bool {
        matches!(self, Value::Varies)
    }

    /// The value as a number: of a string, what it starts with.
    pub(super) fn number(&self) -> Option<f64> {
        match self {
            Value::Number(number) => Some(*number),
            Value::Text(text) => Some(leading_number(text)),
            Value::Null | Value::Opaque | Value::Varies => None,
        }
    }
}

/// A string literal's value; one with escapes is not worked out.
pub(super) fn text(literal: &[u8]) -> Value {
    let quote = literal.first().copied().unwrap_or_default();
    let inner = literal
        .get(1..literal.len().saturating_sub(1))
        .unwrap_or_default();
    if inner.iter().any(|&byte| byte == b'\\' || byte == quote) {
        return Value::Opaque;
    }
    Value::Text(inner.into())
}

/// `0x…`, `x'…'`, `0b…`, `b'…'`: not zero if any digit is not.
pub(super) fn digits(literal: &[u8]) -> Value {
    let digits = literal.get(2..).unwrap_or_default();
    let zero = digits.iter().all(|&byte| matches!(byte, b'0' | b'\''));
    if zero {
        Value::Number(0.0)
    } else {
        Value::Opaque
    }
}

fn leading_number(text: &[u8]) -> f64 {
    let text = text.trim_ascii_start();
    let mut end = 0;
    let mut best = 0.0;
    while end < text.len().min(40) {
        end += 1;
        let part = text
            .get(..end)
            .and_then(|part| std::str::from_utf8(part).ok());
        let plain = part.filter(|part| {
            part.bytes()
                .all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte))
        });
        match plain {
            Some(part) => best = part.parse().unwrap_or(best),
            None => break,
        }
    }
    best
}

fn truth(holds: bool) -> Value {
    Value::Number(f64::from(u8::from(holds)))
}

/// The value of `left operator right`.
pub(super) fn compare(operator: Kind, left: &Value, right: &Value) -> Value {
    if operator == Kind::NullSafeEq {
        match (left, right) {
            (Value::Null, Value::Null) => return truth(true),
            (Value::Null, Value::Number(_) | Value::Text(_))
            | (Value::Number(_) | Value::Text(_), Value::Null) => {
                return truth(false);
            }
            _ => {}
        }
    }
    if *left == Value::Null || *right == Value::Null {
        return Value::Null;
    }
    if let (Value::Text(left), Value::Text(right)) = (left, right) {
        return texts(operator, left, right);
    }
    let (Some(left), Some(right)) = (left.number(), right.number()) else {
        return Value::Opaque;
    };
    truth(match operator {
        Kind::Eq | Kind::NullSafeEq => left == right,
        Kind::Ne => left != right,
        Kind::Lt => left < right,
        Kind::Le => left <= right,
        Kind::Gt => left > right,
        Kind::Ge => left >= right,
        _ => return Value::Opaque,
    })
}

/// Equal texts are equal; whether texts that differ are is the collation's business, as is their order.
fn texts(operator: Kind, left: &[u8], right: &[u8]) -> Value {
    let equal = if left == right {
        true
    } else {
        let folded = |text: &[u8]| text.trim_ascii_end().to_ascii_lowercase();
        let plain = left
            .iter()
            .chain(right)
            .all(|byte| byte.is_ascii_graphic() || *byte == b' ');
        if !plain || folded(left) == folded(right) {
            return Value::Opaque;
        }
        false
    };
    match (operator, equal) {
        (Kind::Eq | Kind::NullSafeEq, equal) => truth(equal),
        (Kind::Ne, equal) => truth(!equal),
        (Kind::Le | Kind::Ge, true) => truth(true),
        (Kind::Lt | Kind::Gt, true) => truth(false),
        _ => Value::Opaque,
    }
}

/// The value of an arithmetic operation.
pub(super) fn compute(operator: Kind, left: &Value, right: &Value) -> Value {
    if *left == Value::Null || *right == Value::Null {
        return Value::Null;
    }
    let (Some(left), Some(right)) = (left.number(), right.number()) else {
        return Value::Opaque;
    };
    let value = match operator {
        Kind::Plus => left + right,
        Kind::Minus => left - right,
        Kind::Star => left * right,
        Kind::Slash if right != 0.0 => left / right,
        Kind::Slash | Kind::Percent if right == 0.0 => return Value::Null,
        Kind::Percent => left % right,
        _ => return Value::Opaque,
    };
    if value.is_finite() {
        Value::Number(value)
    } else {
        Value::Opaque
    }
}
