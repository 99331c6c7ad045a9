//! Whether a WHERE clause restricts anything: one pass over its tokens with precedence, values of constants folded.
//!
//! A clause that is the same for all rows restricts none: it is constant, compares a thing with itself, or is a disjunction
//! of opposites. What can't be decided restricts, except where no row has a say in it.

mod value;

use super::state::{MysqlLex, SqlMode};
use super::token::{Kind, Token};
use super::word::Word as W;
use crate::vocabulary::WhereShape;
use value::Value;

/// The shape of a clause; `literals` becomes true if the value of a literal was looked at.
pub(super) fn shape(
    text: &[u8],
    clause: &[Token],
    lex: &MysqlLex,
    literals: &mut bool,
) -> WhereShape {
    let mode = lex.sql_mode.unwrap_or_default();
    let mut judge = Judge {
        text,
        tokens: clause,
        at: 0,
        depth: 0,
        looked: false,
        pipes_concat: mode.has(SqlMode::PIPES_AS_CONCAT),
        high_not: mode.has(SqlMode::HIGH_NOT_PRECEDENCE),
    };
    let found = judge.disjunction();
    *literals |= judge.looked;
    let truth = match found {
        Some(found) if judge.at == clause.len() => found.truth,
        // Not understood: what no row has a say in is the same for all.
        _ if clause.iter().any(varies) => Truth::Depends,
        _ => Truth::SameForAll,
    };
    match truth {
        Truth::Always | Truth::SameForAll => WhereShape::AlwaysTrue,
        Truth::Never | Truth::Depends => WhereShape::Restricting,
    }
}

/// Tokens that may stand for something that differs between rows or executions.
fn varies(token: &Token) -> bool {
    matches!(token.kind, Kind::Name | Kind::Quoted | Kind::Param)
        || (token.kind == Kind::Word && (token.word == W::None || token.word == W::Select))
}

/// What a condition says about rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Truth {
    Always,
    Never,
    /// The same for all rows, but not known.
    SameForAll,
    /// Differs between rows, or may.
    Depends,
}

impl Truth {
    fn of(holds: bool) -> Truth {
        if holds { Truth::Always } else { Truth::Never }
    }

    fn not(self) -> Truth {
        match self {
            Truth::Always => Truth::Never,
            Truth::Never => Truth::Always,
            other => other,
        }
    }
}

/// An expression that was read.
#[derive(Clone, Debug)]
struct Found {
    value: Value,
    truth: Truth,
    from: usize,
    to: usize,
    form: Form,
}

/// What an arm of OR is compared by.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Form {
    Other,
    /// `operand IS [NOT] NULL`
    Null {
        to: usize,
        negated: bool,
    },
    /// `NOT operand`
    Not {
        from: usize,
    },
    /// `left operator right`
    Compared {
        operator: Kind,
        left: usize,
        right: usize,
    },
}

struct Judge<'t> {
    text: &'t [u8],
    tokens: &'t [Token],
    at: usize,
    depth: u32,
    looked: bool,
    pipes_concat: bool,
    high_not: bool,
}

type Read = Option<Found>;

impl Judge<'_> {
    fn token(&self) -> Token {
        self.tokens.get(self.at).copied().unwrap_or(Token::END)
    }

    fn kind(&self) -> Kind {
        self.token().kind
    }

    fn word(&self) -> W {
        self.token().word
    }

    fn eat(&mut self, word: W) -> bool {
        let found = self.word() == word;
        self.at += usize::from(found);
        found
    }

    fn eat_kind(&mut self, kind: Kind) -> bool {
        let found = self.kind() == kind;
        self.at += usize::from(found);
        found
    }

    fn constant(&self, value: Value, from: usize) -> Found {
        let truth = match &value {
            Value::Varies => Truth::Depends,
            Value::Opaque => Truth::SameForAll,
            Value::Null => Truth::Never,
            known => known
                .number()
                .map_or(Truth::SameForAll, |number| Truth::of(number != 0.0)),
        };
        Found {
            value,
            truth,
            from,
            to: self.at,
            form: Form::Other,
        }
    }

    fn condition(&self, truth: Truth, from: usize) -> Found {
        let value = match truth {
            Truth::Always => Value::Number(1.0),
            Truth::Never => Value::Number(0.0),
            Truth::SameForAll => Value::Opaque,
            Truth::Depends => Value::Varies,
        };
        Found {
            value,
            truth,
            from,
            to: self.at,
            form: Form::Other,
        }
    }

    /// OR and, where it means that, `||`.
    fn disjunction(&mut self) -> Read {
        if self.depth >= MAX_DEPTH {
            return None;
        }
        self.depth += 1;
        let from = self.at;
        let mut found = self.exclusive()?;
        let mut arms: Vec<Found> = Vec::new();
        loop {
            let or = self.word() == W::Or || (self.kind() == Kind::OrOr && !self.pipes_concat);
            if !or {
                break;
            }
            self.at += 1;
            let next = self.exclusive()?;
            let truth = match (found.truth, next.truth) {
                (Truth::Always, _) | (_, Truth::Always) => Truth::Always,
                (Truth::SameForAll, _) | (_, Truth::SameForAll) => Truth::SameForAll,
                (Truth::Depends, _) | (_, Truth::Depends) => Truth::Depends,
                (Truth::Never, Truth::Never) => Truth::Never,
            };
            if arms.is_empty() {
                arms.push(found.clone());
            }
            if arms.len() < MAX_OPPOSITES {
                arms.push(next);
            }
            found = self.condition(truth, from);
        }
        if found.truth == Truth::Depends && self.has_opposites(&arms) {
            found = self.condition(Truth::Always, from);
        }
        self.depth -= 1;
        Some(found)
    }

    fn has_opposites(&self, arms: &[Found]) -> bool {
        arms.iter().enumerate().any(|(index, left)| {
            arms.iter()
                .skip(index + 1)
                .any(|right| self.opposite(left, right) || self.opposite(right, left))
        })
    }

    fn opposite(&self, left: &Found, right: &Found) -> bool {
        match (&left.form, &right.form) {
            (Form::Null { to: a, negated: x }, Form::Null { to: b, negated: y }) => {
                x != y && self.same(left.from..*a, right.from..*b)
            }
            (Form::Not { from }, _) => self.same(*from..left.to, right.from..right.to),
            (
                Form::Compared {
                    operator: x,
                    left: a,
                    right: b,
                },
                Form::Compared {
                    operator: y,
                    left: c,
                    right: d,
                },
            ) => {
                let covering = matches!(
                    (x, y),
                    (Kind::Eq, Kind::Ne)
                        | (Kind::Lt, Kind::Ge)
                        | (Kind::Gt, Kind::Le)
                        | (Kind::Le, Kind::Ge)
                );
                covering
                    && self.same(left.from..*a, right.from..*c)
                    && self.same(*b..left.to, *d..right.to)
            }
            _ => false,
        }
    }

    fn exclusive(&mut self) -> Read {
        let from = self.at;
        let mut found = self.conjunction()?;
        while self.eat(W::Xor) {
            let next = self.conjunction()?;
            let truth = match (found.truth, next.truth) {
                (Truth::Always, other) | (other, Truth::Always) => other.not(),
                (Truth::Never, other) | (other, Truth::Never) => other,
                (Truth::SameForAll, Truth::SameForAll) => Truth::SameForAll,
                _ => Truth::Depends,
            };
            found = self.condition(truth, from);
        }
        Some(found)
    }

    fn conjunction(&mut self) -> Read {
        let from = self.at;
        let mut found = self.negation()?;
        while self.eat(W::And) || self.eat_kind(Kind::AndAnd) {
            let next = self.negation()?;
            let truth = match (found.truth, next.truth) {
                (Truth::Never, _) | (_, Truth::Never) => Truth::Never,
                (Truth::Depends, _) | (_, Truth::Depends) => Truth::Depends,
                (Truth::SameForAll, _) | (_, Truth::SameForAll) => Truth::SameForAll,
                (Truth::Always, Truth::Always) => Truth::Always,
            };
            found = self.condition(truth, from);
        }
        Some(found)
    }

    fn negation(&mut self) -> Read {
        let from = self.at;
        if self.high_not || !self.eat(W::Not) {
            return self.comparison();
        }
        if self.depth >= MAX_DEPTH {
            return None;
        }
        self.depth += 1;
        let found = self.negation()?;
        self.depth -= 1;
        Some(self.negated(found, from))
    }

    fn negated(&self, found: Found, from: usize) -> Found {
        let inner = found.from;
        let mut negated = match found.value {
            Value::Null => self.constant(Value::Null, from),
            _ => self.condition(found.truth.not(), from),
        };
        negated.form = Form::Not { from: inner };
        negated
    }

    /// Comparisons, IS, LIKE, IN, BETWEEN.
    fn comparison(&mut self) -> Read {
        let from = self.at;
        let mut found = self.sum(0)?;
        loop {
            let to = self.at;
            let operator = self.kind();
            if matches!(
                operator,
                Kind::Eq | Kind::NullSafeEq | Kind::Ne | Kind::Lt | Kind::Le | Kind::Gt | Kind::Ge
            ) {
                self.at += 1;
                let right = self.sum(0)?;
                let (left_range, right_range) = (found.from..to, right.from..right.to);
                let same = self.same(left_range, right_range);
                let form = Form::Compared {
                    operator,
                    left: to,
                    right: right.from,
                };
                found = if found.value.varies() || right.value.varies() {
                    let truth = match operator {
                        Kind::Eq | Kind::NullSafeEq | Kind::Le | Kind::Ge if same => Truth::Always,
                        _ if same => Truth::Never,
                        _ => Truth::Depends,
                    };
                    self.condition(truth, from)
                } else {
                    let value = value::compare(operator, &found.value, &right.value);
                    self.constant(value, from)
                };
                found.form = form;
                continue;
            }
            if self.eat(W::Is) {
                found = self.is_test(found, from, to)?;
                continue;
            }
            let negated = self.word() == W::Not
                && matches!(
                    self.tokens.get(self.at + 1).map(|token| token.word),
                    Some(W::Like | W::Rlike | W::Regexp | W::In | W::Between)
                );
            self.at += usize::from(negated);
            let Some(next) = self.predicate(&found)? else {
                return Some(found);
            };
            let truth = if negated { next.not() } else { next };
            found = self.condition(truth, from);
        }
    }

    fn is_test(&mut self, found: Found, from: usize, to: usize) -> Read {
        let negated = self.eat(W::Not);
        let word = self.word();
        self.at += 1;
        let truth = match (word, found.truth) {
            (W::Null | W::Unknown, _) => match found.value {
                Value::Null => Truth::Always,
                Value::Number(_) | Value::Text(_) => Truth::Never,
                Value::Opaque => Truth::SameForAll,
                Value::Varies => Truth::Depends,
            },
            (W::True, truth) => truth,
            (W::False, Truth::Always) => Truth::Never,
            (W::False, Truth::Never) => Truth::of(found.value != Value::Null),
            (W::False, truth) => truth,
            _ => return None,
        };
        let mut found = self.condition(if negated { truth.not() } else { truth }, from);
        if word == W::Null {
            found.form = Form::Null { to, negated };
        }
        Some(found)
    }

    /// LIKE, REGEXP, IN, BETWEEN behind `left`; `None` inside if there is none of them.
    fn predicate(&mut self, left: &Found) -> Option<Option<Truth>> {
        match self.word() {
            W::Like | W::Rlike | W::Regexp => {
                let like = self.word() == W::Like;
                self.at += 1;
                let right = self.sum(0)?;
                if self.eat(W::Escape) {
                    self.sum(0)?;
                }
                let all = match &right.value {
                    Value::Text(pattern) if like => {
                        !pattern.is_empty() && pattern.iter().all(|&byte| byte == b'%')
                    }
                    Value::Text(pattern) => MATCH_ALL.contains(&&**pattern),
                    _ => false,
                };
                let same = self.same(left.from..left.to, right.from..right.to);
                Some(Some(
                    match (
                        all || (like && same),
                        left.value.varies() || right.value.varies(),
                    ) {
                        (true, _) => Truth::Always,
                        (false, true) => Truth::Depends,
                        (false, false) => Truth::SameForAll,
                    },
                ))
            }
            W::Between => {
                self.at += 1;
                let low = self.sum(0)?;
                if !self.eat(W::And) {
                    return None;
                }
                let high = self.sum(0)?;
                let own = |bound: &Found| self.same(left.from..left.to, bound.from..bound.to);
                if own(&low) && own(&high) {
                    return Some(Some(Truth::Always));
                }
                if left.value.varies() || low.value.varies() || high.value.varies() {
                    return Some(Some(Truth::Depends));
                }
                let low = value::compare(Kind::Ge, &left.value, &low.value);
                let high = value::compare(Kind::Le, &left.value, &high.value);
                Some(Some(match (low, high) {
                    (Value::Number(low), Value::Number(high)) => {
                        Truth::of(low != 0.0 && high != 0.0)
                    }
                    (Value::Null, _) | (_, Value::Null) => Truth::Never,
                    _ => Truth::SameForAll,
                }))
            }
            W::In => {
                self.at += 1;
                if !self.eat_kind(Kind::Open) || self.word() == W::Select {
                    return None;
                }
                let mut truth = Truth::Never;
                loop {
                    let item = self.disjunction()?;
                    let same = self.same(left.from..left.to, item.from..item.to);
                    let equal = if same {
                        Truth::Always
                    } else if left.value.varies() || item.value.varies() {
                        Truth::Depends
                    } else {
                        self.constant(value::compare(Kind::Eq, &left.value, &item.value), 0)
                            .truth
                    };
                    truth = match (truth, equal) {
                        (Truth::Always, _) | (_, Truth::Always) => Truth::Always,
                        (Truth::Depends, _) | (_, Truth::Depends) => Truth::Depends,
                        (Truth::SameForAll, _) | (_, Truth::SameForAll) => Truth::SameForAll,
                        (Truth::Never, Truth::Never) => Truth::Never,
                    };
                    if !self.eat_kind(Kind::Comma) {
                        break;
                    }
                }
                self.eat_kind(Kind::Close).then_some(Some(truth))
            }
            _ => Some(None),
        }
    }

    /// Operators that compute, by the level of precedence at which they bind at least.
    fn sum(&mut self, level: u8) -> Read {
        if self.depth >= MAX_DEPTH {
            return None;
        }
        self.depth += 1;
        let from = self.at;
        let mut found = self.prefix()?;
        while let Some((binds, operator)) = self.arithmetic() {
            if binds < level {
                break;
            }
            self.at += 1;
            let right = self.sum(binds + 1)?;
            let value = if found.value.varies() || right.value.varies() {
                Value::Varies
            } else {
                value::compute(operator, &found.value, &right.value)
            };
            found = self.constant(value, from);
        }
        self.depth -= 1;
        Some(found)
    }

    fn arithmetic(&self) -> Option<(u8, Kind)> {
        let token = self.token();
        Some(match (token.kind, token.word) {
            (Kind::Pipe, _) => (0, Kind::Pipe),
            (Kind::Amp, _) => (1, Kind::Amp),
            (Kind::Shl | Kind::Shr, _) => (2, token.kind),
            (Kind::Plus | Kind::Minus, _) => (3, token.kind),
            (Kind::Star | Kind::Slash | Kind::Percent, _) => (4, token.kind),
            (_, W::Mod) => (4, Kind::Percent),
            (_, W::Div) => (4, Kind::Shr),
            (Kind::Caret, _) => (5, Kind::Caret),
            (Kind::OrOr, _) if self.pipes_concat => (6, Kind::OrOr),
            (Kind::Arrow | Kind::LongArrow, _) => (7, token.kind),
            _ => return None,
        })
    }

    fn prefix(&mut self) -> Read {
        let from = self.at;
        match self.kind() {
            Kind::Minus | Kind::Plus | Kind::Tilde => {
                let operator = self.kind();
                self.at += 1;
                let found = self.sum(6)?;
                let value = match (&found.value, operator) {
                    (Value::Varies, _) => Value::Varies,
                    (value, Kind::Plus) => value.clone(),
                    (value, Kind::Minus) => value
                        .number()
                        .map_or(Value::Opaque, |number| Value::Number(-number)),
                    _ => Value::Opaque,
                };
                let value = if found.value == Value::Null {
                    Value::Null
                } else {
                    value
                };
                Some(self.constant(value, from))
            }
            Kind::Bang => {
                self.at += 1;
                let found = self.sum(6)?;
                Some(self.negated(found, from))
            }
            _ if self.high_not && self.word() == W::Not => {
                self.at += 1;
                let found = self.sum(6)?;
                Some(self.negated(found, from))
            }
            _ => {
                let mut found = self.operand()?;
                while self.eat(W::Collate) {
                    self.at += 1;
                    found.to = self.at;
                }
                Some(found)
            }
        }
    }

    fn operand(&mut self) -> Read {
        let from = self.at;
        let token = self.token();
        let bytes = token.bytes(self.text);
        match token.kind {
            Kind::Integer | Kind::Decimal | Kind::Float => {
                self.looked = true;
                self.at += 1;
                let number = std::str::from_utf8(bytes)
                    .ok()
                    .and_then(|text| text.parse().ok());
                Some(self.constant(number.map_or(Value::Opaque, Value::Number), from))
            }
            Kind::Text => {
                self.looked = true;
                self.at += 1;
                let mut value = value::text(bytes);
                while self.kind() == Kind::Text {
                    value = Value::Opaque;
                    self.at += 1;
                }
                Some(self.constant(value, from))
            }
            Kind::Introducer
            | Kind::National
            | Kind::Dollar
            | Kind::Hex
            | Kind::Bits
            | Kind::Ellipsis => {
                self.looked = true;
                self.at += 1;
                if token.kind == Kind::Introducer {
                    if !self.kind().is_literal() {
                        self.at -= 1;
                        return self.name(from);
                    }
                    self.at += 1;
                }
                let hex = match token.kind {
                    Kind::Hex | Kind::Bits => value::digits(bytes),
                    _ => Value::Opaque,
                };
                Some(self.constant(hex, from))
            }
            Kind::Null => {
                self.at += 1;
                Some(self.constant(Value::Null, from))
            }
            Kind::Param => {
                self.at += 1;
                Some(self.constant(Value::Varies, from))
            }
            Kind::UserVar => {
                self.at += 1;
                Some(self.constant(Value::Opaque, from))
            }
            Kind::AtAt => {
                self.at += 2;
                while self.eat_kind(Kind::Dot) {
                    self.at += 1;
                }
                Some(self.constant(Value::Opaque, from))
            }
            Kind::Open => self.bracketed(from),
            Kind::Word | Kind::Name | Kind::Quoted => self.name(from),
            _ => None,
        }
    }

    fn bracketed(&mut self, from: usize) -> Read {
        self.at += 1;
        if self.word() == W::Select {
            return self.subquery(from);
        }
        let mut found = self.disjunction()?;
        if self.kind() == Kind::Comma {
            // A row: the same if each part is.
            let mut varies = found.value.varies();
            while self.eat_kind(Kind::Comma) {
                varies |= self.disjunction()?.value.varies();
            }
            found.value = if varies { Value::Varies } else { Value::Opaque };
            found.truth = if varies {
                Truth::Depends
            } else {
                Truth::SameForAll
            };
            found.form = Form::Other;
            self.looked |= !varies;
        }
        if !self.eat_kind(Kind::Close) {
            return None;
        }
        if found.form == Form::Other {
            found.from = from;
            found.to = self.at;
        }
        Some(found)
    }

    /// `(SELECT expr)` has one row whatever the tables hold.
    fn subquery(&mut self, from: usize) -> Read {
        self.at += 1;
        let found = self.disjunction()?;
        if self.eat_kind(Kind::Close) {
            let mut whole = found;
            whole.from = from;
            whole.to = self.at;
            whole.form = Form::Other;
            return Some(whole);
        }
        self.skip_to_close()?;
        Some(self.constant(Value::Varies, from))
    }

    /// Passes the bracket that closes the one that is open.
    fn skip_to_close(&mut self) -> Option<()> {
        let mut open = 1_u32;
        while open > 0 {
            match self.kind() {
                Kind::Open => open += 1,
                Kind::Close => open -= 1,
                Kind::End => return None,
                _ => {}
            }
            self.at += 1;
        }
        Some(())
    }

    /// A word: a constant, a call, CASE, or a column.
    fn name(&mut self, from: usize) -> Read {
        match self.word() {
            W::True | W::False => {
                let value = f64::from(u8::from(self.word() == W::True));
                self.at += 1;
                return Some(self.constant(Value::Number(value), from));
            }
            W::Null => {
                self.at += 1;
                return Some(self.constant(Value::Null, from));
            }
            W::Binary => {
                self.at += 1;
                return self.operand();
            }
            W::Case => return self.case(from),
            W::Exists => return self.exists(from),
            W::Interval | W::Match => return None,
            _ => {}
        }
        let mut last = self.token();
        self.at += 1;
        while self.eat_kind(Kind::Dot) {
            last = self.token();
            self.at += 1;
        }
        if self.kind() == Kind::Open {
            return self.call(from, last);
        }
        let today = matches!(
            last.word,
            W::CurrentDate
                | W::CurrentTime
                | W::CurrentTimestamp
                | W::CurrentUser
                | W::Localtime
                | W::Localtimestamp
        );
        let value = if today { Value::Opaque } else { Value::Varies };
        Some(self.constant(value, from))
    }

    /// A call is the same for all rows if its arguments are and it is not volatile.
    fn call(&mut self, from: usize, name: Token) -> Read {
        self.at += 1;
        let start = self.at;
        self.skip_to_close()?;
        let arguments = self.tokens.get(start..self.at).unwrap_or_default();
        let volatile = VOLATILE
            .iter()
            .any(|known| name.bytes(self.text).eq_ignore_ascii_case(known));
        let varies = volatile || arguments.iter().any(varies);
        self.looked |= !varies;
        let value = if varies { Value::Varies } else { Value::Opaque };
        Some(self.constant(value, from))
    }

    fn exists(&mut self, from: usize) -> Read {
        self.at += 1;
        if !self.eat_kind(Kind::Open) {
            return None;
        }
        let start = self.at;
        self.skip_to_close()?;
        let inner = self.tokens.get(start..self.at).unwrap_or_default();
        let reads = inner.iter().any(|token| {
            matches!(
                token.word,
                W::From | W::Where | W::Having | W::Limit | W::Table | W::Values
            )
        });
        let truth = if reads { Truth::Depends } else { Truth::Always };
        Some(self.condition(truth, from))
    }

    /// CASE all of whose results hold for every row.
    fn case(&mut self, from: usize) -> Read {
        self.at += 1;
        let mut varies = false;
        if self.word() != W::When {
            varies |= self.disjunction()?.value.varies();
        }
        let mut all = Truth::Always;
        while self.eat(W::When) {
            varies |= self.disjunction()?.value.varies();
            if !self.eat(W::Then) {
                return None;
            }
            let result = self.disjunction()?;
            varies |= result.value.varies();
            if result.truth != Truth::Always {
                all = Truth::Depends;
            }
        }
        if self.eat(W::Else) {
            let result = self.disjunction()?;
            varies |= result.value.varies();
            if result.truth != Truth::Always {
                all = Truth::Depends;
            }
        } else {
            all = Truth::Depends;
        }
        if !self.eat(W::End) {
            return None;
        }
        let truth = match (all, varies) {
            (Truth::Always, _) => Truth::Always,
            (_, true) => Truth::Depends,
            (_, false) => Truth::SameForAll,
        };
        Some(self.condition(truth, from))
    }

    /// Whether two ranges of tokens say the same, brackets and qualifiers aside.
    fn same(&self, left: std::ops::Range<usize>, right: std::ops::Range<usize>) -> bool {
        let (left, right) = (self.essence(left), self.essence(right));
        left.len() == right.len()
            && !left.is_empty()
            && left.iter().zip(right).all(|(a, b)| {
                let named =
                    |token: &Token| matches!(token.kind, Kind::Word | Kind::Name | Kind::Quoted);
                let trimmed = |token: &Token| -> Vec<u8> {
                    let bytes = token.bytes(self.text);
                    bytes
                        .iter()
                        .filter(|byte| !matches!(byte, b'`' | b'"'))
                        .map(u8::to_ascii_lowercase)
                        .collect()
                };
                if named(a) && named(b) {
                    let volatile = VOLATILE
                        .iter()
                        .any(|known| a.bytes(self.text).eq_ignore_ascii_case(known));
                    return !volatile && trimmed(a) == trimmed(b);
                }
                a.kind == b.kind && a.bytes(self.text) == b.bytes(self.text)
            })
    }

    /// The tokens of a range without brackets around it, and of a qualified column the last part.
    fn essence(&self, range: std::ops::Range<usize>) -> &[Token] {
        let mut tokens = self.tokens.get(range).unwrap_or_default();
        while let [open, inner @ .., close] = tokens {
            if open.kind != Kind::Open || close.kind != Kind::Close {
                break;
            }
            tokens = inner;
        }
        let dotted = tokens.len() > 1
            && tokens
                .iter()
                .enumerate()
                .all(|(place, token)| (token.kind == Kind::Dot) == (place % 2 == 1));
        match tokens.split_last() {
            Some((last, _)) if dotted => std::slice::from_ref(last),
            _ => tokens,
        }
    }
}

/// How deeply a clause is looked into.
const MAX_DEPTH: u32 = 200;
/// How many arms of an OR are compared with each other.
const MAX_OPPOSITES: usize = 32;
/// Regular expressions that match everything.
const MATCH_ALL: &[&[u8]] = &[
    b"", b".*", b"^", b"$", b"^.*$", b"^.*", b".*$", b".*?", b"()",
];
/// Functions whose value differs from row to row.
const VOLATILE: &[&[u8]] = &[
    b"rand",
    b"uuid",
    b"uuid_short",
    b"sys_guid",
    b"random_bytes",
    b"values",
    b"default",
    b"nextval",
    b"lastval",
];
