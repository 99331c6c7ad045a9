//! Comparisons of a clause: operators, IS, LIKE, IN, BETWEEN.

use super::value::{self, Value};
use super::{Form, Found, Judge, MATCH_ALL, Read, Truth};
use crate::statement::mysql::token::Kind;
use crate::statement::mysql::word::Word as W;

impl Judge<'_> {
    /// Comparisons, IS, LIKE, IN, BETWEEN.
    pub(super) fn comparison(&mut self) -> Read {
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
                let same = self.same(left_range.clone(), right_range.clone());
                let form = Form::Compared {
                    operator,
                    left: to,
                    right: right.from,
                };
                found = if found.value.varies() || right.value.varies() {
                    let truth = match operator {
                        Kind::Eq | Kind::NullSafeEq | Kind::Le | Kind::Ge if same => Truth::Always,
                        _ if same => Truth::Never,
                        _ => self.in_range(
                            operator,
                            (&found.value, left_range),
                            (&right.value, right_range),
                        ),
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

    pub(super) fn is_test(&mut self, found: Found, from: usize, to: usize) -> Read {
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
        found.form = Form::Is { word, to, negated };
        Some(found)
    }

    /// LIKE, REGEXP, IN, BETWEEN behind `left`; `None` inside if there is none of them.
    pub(super) fn predicate(&mut self, left: &Found) -> Option<Option<Truth>> {
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
                        pattern.contains(&b'%')
                            && pattern.iter().all(|byte| b"%_".contains(byte))
                            && pattern.iter().filter(|byte| **byte == b'_').count() <= 1
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
                if !self.eat_kind(Kind::Open) {
                    return None;
                }
                if matches!(self.word(), W::Select | W::With | W::Table) {
                    self.skip_to_close()?;
                    return Some(Some(Truth::Depends));
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
}
