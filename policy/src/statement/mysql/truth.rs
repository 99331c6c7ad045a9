//! Whether a WHERE clause restricts anything: one pass over its tokens with precedence, values of constants folded.
//!
//! A clause that is the same for all rows restricts none: it is constant, compares a thing with itself, or is a disjunction
//! of opposites. What can't be decided restricts, except where no row has a say in it.

mod compare;
mod operand;
mod plain;
mod range;
mod rough;
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
    if plain::is_plain(clause) {
        return WhereShape::Restricting;
    }
    let truth = rough::truth(text, clause, lex, literals);
    match truth {
        Truth::Always | Truth::SameForAll => WhereShape::AlwaysTrue,
        Truth::Never | Truth::Depends => WhereShape::Restricting,
    }
}

/// What a clause says, if it is understood to its end.
fn understood(text: &[u8], clause: &[Token], lex: &MysqlLex, literals: &mut bool) -> Option<Truth> {
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
    found
        .filter(|_| judge.at == clause.len())
        .map(|found| found.truth)
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
    /// `operand IS [NOT] NULL`, TRUE, FALSE
    Is {
        word: W,
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
            (
                Form::Is {
                    word: v,
                    to: a,
                    negated: x,
                },
                Form::Is {
                    word: w,
                    to: b,
                    negated: y,
                },
            ) => v == w && x != y && self.same(left.from..*a, right.from..*b),
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
            let to = self.at - 1;
            let right = self.sum(binds + 1)?;
            let of_itself = self.of_itself(operator, from..to, right.from..right.to);
            let value = if let Some(value) = of_itself {
                value
            } else if found.value.varies() || right.value.varies() {
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

    /// Whether two ranges of tokens say the same, brackets and qualifiers aside.
    fn same(&self, left: std::ops::Range<usize>, right: std::ops::Range<usize>) -> bool {
        let ((table, left), (other, right)) = (self.essence(left), self.essence(right));
        let joined = table
            .zip(other)
            .is_some_and(|(table, other)| self.spelling(&table) != self.spelling(&other));
        !joined
            && left.len() == right.len()
            && !left.is_empty()
            && left.iter().zip(right).all(|(a, b)| {
                let named =
                    |token: &Token| matches!(token.kind, Kind::Word | Kind::Name | Kind::Quoted);
                if named(a) && named(b) {
                    let volatile = VOLATILE
                        .iter()
                        .any(|known| a.bytes(self.text).eq_ignore_ascii_case(known));
                    return !volatile && self.spelling(a) == self.spelling(b);
                }
                a.kind == b.kind && a.bytes(self.text) == b.bytes(self.text)
            })
    }

    /// A name without quotes, in lower case.
    fn spelling(&self, token: &Token) -> Vec<u8> {
        let bytes = token.bytes(self.text).iter();
        bytes
            .filter(|byte| !matches!(byte, b'`' | b'"'))
            .map(u8::to_ascii_lowercase)
            .collect()
    }

    /// The tokens of a range without brackets and neutral operations around it; of a qualified column its table and the last part.
    fn essence(&self, range: std::ops::Range<usize>) -> (Option<Token>, &[Token]) {
        let tokens = self.bare(self.tokens.get(range).unwrap_or_default());
        let dotted = tokens.len() > 1
            && tokens
                .iter()
                .enumerate()
                .all(|(place, token)| (token.kind == Kind::Dot) == (place % 2 == 1));
        match tokens {
            [.., table, _, last] if dotted => (Some(*table), std::slice::from_ref(last)),
            _ => (None, tokens),
        }
    }
}

/// How deeply a clause is looked into.
const MAX_DEPTH: u32 = 200;
/// How many arms of an OR are compared with each other.
const MAX_OPPOSITES: usize = 32;
/// Regular expressions that match everything.
const MATCH_ALL: &[&[u8]] = &[
    b"", b".*", b"^", b"$", b"^.*$", b"^.*", b".*$", b".*?", b"()", b".", b".+", b"^.", b"^.+$",
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
