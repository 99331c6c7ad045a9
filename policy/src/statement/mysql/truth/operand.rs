//! Operands of a clause: literals, columns, calls, subqueries, CASE.

use super::rough::vary;
use super::value::{self, Value};
use super::{Form, Judge, Read, Truth, VOLATILE};
use crate::statement::mysql::token::{Kind, Token};
use crate::statement::mysql::word::Word as W;

impl Judge<'_> {
    pub(super) fn operand(&mut self) -> Read {
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

    pub(super) fn bracketed(&mut self, from: usize) -> Read {
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
    pub(super) fn subquery(&mut self, from: usize) -> Read {
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
    pub(super) fn skip_to_close(&mut self) -> Option<()> {
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
    pub(super) fn name(&mut self, from: usize) -> Read {
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
    pub(super) fn call(&mut self, from: usize, name: Token) -> Read {
        self.at += 1;
        let start = self.at;
        self.skip_to_close()?;
        let arguments = self.tokens.get(start..self.at).unwrap_or_default();
        let volatile = VOLATILE
            .iter()
            .any(|known| name.bytes(self.text).eq_ignore_ascii_case(known));
        let varies = volatile || vary(arguments);
        self.looked |= !varies;
        let value = if varies { Value::Varies } else { Value::Opaque };
        Some(self.constant(value, from))
    }

    pub(super) fn exists(&mut self, from: usize) -> Read {
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
    pub(super) fn case(&mut self, from: usize) -> Read {
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
}
