//! Operations that change nothing, and values whose range is known: `id + 0`, `id / id`, `RAND() < 2`.

use std::ops::Range;

use super::value::Value;
use super::{Judge, Truth};
use crate::statement::mysql::token::{Kind, Token};
use crate::statement::mysql::word::Word as W;

impl Judge<'_> {
    /// The value of an operation on a thing and itself, NULL aside: `id / id`, `id - id`.
    pub(super) fn of_itself(
        &mut self,
        operator: Kind,
        left: Range<usize>,
        right: Range<usize>,
    ) -> Option<Value> {
        let divides = operator == Kind::Slash
            || operator == Kind::Shr
                && self.tokens.get(left.end).map(|token| token.word) == Some(W::Div);
        let cancels = matches!(operator, Kind::Minus | Kind::Percent | Kind::Caret);
        if !(divides || cancels) || !self.same(left, right) {
            return None;
        }
        Some(Value::Number(f64::from(u8::from(divides))))
    }

    /// The tokens of an expression without brackets and neutral operations around it.
    pub(super) fn bare<'t>(&self, mut tokens: &'t [Token]) -> &'t [Token] {
        loop {
            tokens = match tokens {
                [open, inner @ .., close] if encloses(tokens, *open, *close) => inner,
                [sign, rest @ ..] if sign.kind == Kind::Plus && !rest.is_empty() => rest,
                [number, operator, rest @ ..]
                    if !rest.is_empty() && self.is_neutral_before(*number, *operator) =>
                {
                    rest
                }
                [rest @ .., operator, number]
                    if !rest.is_empty() && self.is_neutral_behind(*operator, *number) =>
                {
                    rest
                }
                _ => return tokens,
            };
        }
    }

    /// `0 +`, `1 *`
    fn is_neutral_before(&self, number: Token, operator: Token) -> bool {
        match operator.kind {
            Kind::Plus => self.is_number(number, b"0"),
            Kind::Star => self.is_number(number, b"1"),
            _ => false,
        }
    }

    /// `+ 0`, `- 0`, `| 0`, `^ 0`, `<< 0`, `>> 0`, `* 1`, `/ 1`, `DIV 1`
    fn is_neutral_behind(&self, operator: Token, number: Token) -> bool {
        match operator.kind {
            Kind::Plus | Kind::Minus | Kind::Pipe | Kind::Caret | Kind::Shl | Kind::Shr => {
                self.is_number(number, b"0")
            }
            Kind::Star | Kind::Slash => self.is_number(number, b"1"),
            _ => operator.word == W::Div && self.is_number(number, b"1"),
        }
    }

    fn is_number(&self, token: Token, digits: &[u8]) -> bool {
        token.kind == Kind::Integer && token.bytes(self.text) == digits
    }

    /// What a comparison says of which one side is a call whose range is known, the other a constant.
    pub(super) fn in_range(
        &self,
        operator: Kind,
        left: (&Value, Range<usize>),
        right: (&Value, Range<usize>),
    ) -> Truth {
        let (operator, range, bound) = match (self.range_of(left.1), self.range_of(right.1)) {
            (Some(range), None) => (operator, range, right.0),
            (None, Some(range)) => (mirrored(operator), range, left.0),
            _ => return Truth::Depends,
        };
        let Some(bound) = bound.number() else {
            return Truth::Depends;
        };
        let (low, high) = range;
        let always = match operator {
            Kind::Lt => high < bound || high <= bound && high == 1.0,
            Kind::Le => high <= bound,
            Kind::Gt => low > bound,
            Kind::Ge => low >= bound,
            Kind::Ne => bound < low || bound > high,
            _ => false,
        };
        if always {
            Truth::Always
        } else {
            Truth::Depends
        }
    }

    /// Between which values a call lies.
    fn range_of(&self, range: Range<usize>) -> Option<(f64, f64)> {
        let [name, open, .., close] = self.bare(self.tokens.get(range)?) else {
            return None;
        };
        let (kinds, name) = ((open.kind, close.kind), name.bytes(self.text));
        if kinds != (Kind::Open, Kind::Close) {
            return None;
        }
        RANGES
            .iter()
            .find(|(known, _, _)| name.eq_ignore_ascii_case(known))
            .map(|(_, low, high)| (*low, *high))
    }
}

/// Whether the first and the last bracket belong together.
fn encloses(tokens: &[Token], open: Token, close: Token) -> bool {
    if open.kind != Kind::Open || close.kind != Kind::Close {
        return false;
    }
    let mut depth = 0_u32;
    for (left, token) in tokens.iter().enumerate() {
        match token.kind {
            Kind::Open => depth += 1,
            Kind::Close => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return left + 1 == tokens.len();
        }
    }
    false
}

fn mirrored(operator: Kind) -> Kind {
    match operator {
        Kind::Lt => Kind::Gt,
        Kind::Le => Kind::Ge,
        Kind::Gt => Kind::Lt,
        Kind::Ge => Kind::Le,
        other => other,
    }
}

/// Functions between two values; RAND stays below its upper one.
const RANGES: &[(&[u8], f64, f64)] = &[
    (b"rand", 0.0, 1.0),
    (b"abs", 0.0, f64::INFINITY),
    (b"length", 0.0, f64::INFINITY),
    (b"octet_length", 0.0, f64::INFINITY),
    (b"char_length", 0.0, f64::INFINITY),
    (b"character_length", 0.0, f64::INFINITY),
    (b"bit_length", 0.0, f64::INFINITY),
    (b"bit_count", 0.0, f64::INFINITY),
    (b"ascii", 0.0, f64::INFINITY),
    (b"ord", 0.0, f64::INFINITY),
    (b"crc32", 0.0, f64::INFINITY),
    (b"uuid_short", 1.0, f64::INFINITY),
];
