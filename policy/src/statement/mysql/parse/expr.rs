//! Expressions: operands and operators in turn, without precedence; what matters are the names in them.

use super::{Fault, Parse, Parser};
use crate::statement::facts::Name;
use crate::statement::mysql::token::Kind;
use crate::statement::mysql::word::Word as W;
use crate::vocabulary::{Access, ObjectKind};

impl Parser<'_> {
    /// `expr (, expr)*`
    pub(super) fn exprs(&mut self) -> Parse {
        self.list(Self::expr)
    }

    /// Operands and the operators between them.
    pub(super) fn expr(&mut self) -> Parse {
        loop {
            while matches!(
                self.kind(),
                Kind::Minus | Kind::Plus | Kind::Tilde | Kind::Bang
            ) || self.at(W::Not)
                || (self.at(W::Binary) && self.kind_at(1) != Kind::Close)
                || self.at(W::Prior)
            {
                self.at += 1;
            }
            self.operand()?;
            if !self.operator()? {
                return Ok(());
            }
        }
    }

    /// Passes what may follow an operand; whether another operand must come.
    fn operator(&mut self) -> Parse<bool> {
        loop {
            match self.kind() {
                Kind::Eq
                | Kind::NullSafeEq
                | Kind::Ne
                | Kind::Lt
                | Kind::Le
                | Kind::Gt
                | Kind::Ge => {
                    self.at += 1;
                    if self.at_any(&[W::Any, W::Some, W::All]) && self.kind_at(1) == Kind::Open {
                        self.at += 1;
                    }
                    return Ok(true);
                }
                Kind::Plus
                | Kind::Minus
                | Kind::Star
                | Kind::Slash
                | Kind::Percent
                | Kind::Caret
                | Kind::Amp
                | Kind::Pipe
                | Kind::Shl
                | Kind::Shr
                | Kind::OrOr
                | Kind::AndAnd
                | Kind::Arrow
                | Kind::LongArrow
                | Kind::Assign => {
                    self.at += 1;
                    return Ok(true);
                }
                Kind::Word => {}
                _ => return Ok(false),
            }
            match self.word() {
                W::And
                | W::Or
                | W::Xor
                | W::Div
                | W::Mod
                | W::Like
                | W::Rlike
                | W::Regexp
                | W::Between
                | W::Escape => {
                    self.at += 1;
                    self.eat(W::Symmetric);
                    return Ok(true);
                }
                W::Sounds if self.word_at(1) == W::Like => {
                    self.at += 2;
                    return Ok(true);
                }
                W::Member if self.word_at(1) == W::Of || self.kind_at(1) == Kind::Open => {
                    self.at += 1;
                    self.eat(W::Of);
                    return Ok(true);
                }
                W::Not
                    if matches!(
                        self.word_at(1),
                        W::Like | W::Rlike | W::Regexp | W::Between | W::In
                    ) =>
                {
                    self.at += 1;
                }
                W::In => {
                    self.at += 1;
                    return Ok(true);
                }
                W::Is => {
                    self.at += 1;
                    self.eat(W::Not);
                    if self.eat(W::Json) {
                        self.eat_any(&[W::Object, W::Array, W::Scalar, W::Value]);
                        if self.eat_any(&[W::With, W::Without]) {
                            self.expect(W::Unique)?;
                            self.eat(W::Keys);
                        }
                    } else if !self.eat_any(&[W::Null, W::True, W::False, W::Unknown])
                        && !self.eat_kind(Kind::Null)
                    {
                        return Err(Fault::Syntax);
                    }
                }
                W::Collate => {
                    self.at += 1;
                    self.charset_name()?;
                }
                W::At if self.word_at(1) == W::Time || self.word_at(1) == W::Local => {
                    // AT TIME ZONE, AT LOCAL
                    self.at += 1;
                    if !self.eat(W::Local) {
                        self.at += 1;
                        self.expect(W::Zone)?;
                        self.eat(W::Interval);
                        return Ok(true);
                    }
                }
                _ => return Ok(false),
            }
        }
    }

    /// A character set or collation: a name, a string, `binary`, `ascii`, `default`.
    pub(super) fn charset_name(&mut self) -> Parse<Option<Box<str>>> {
        let token = self.token();
        if token.kind.is_text() {
            self.at += 1;
            return Ok(Some(super::names::string_content(token.bytes(self.text))));
        }
        if self.eat(W::Default) {
            return Ok(None);
        }
        if self.at(W::Binary) || self.at_ident() {
            return self.any_word().map(Some);
        }
        // MariaDB: an expression may give it at run time.
        if self.eat_kind(Kind::Param) || self.eat_kind(Kind::UserVar) {
            return Ok(None);
        }
        Err(Fault::Syntax)
    }

    /// One operand.
    fn operand(&mut self) -> Parse {
        let token = self.token();
        match token.kind {
            Kind::Integer
            | Kind::Decimal
            | Kind::Float
            | Kind::Hex
            | Kind::Bits
            | Kind::Param
            | Kind::Null
            | Kind::Ellipsis => {
                self.at += 1;
                Ok(())
            }
            Kind::Text | Kind::National => self.text_literal().map(|_| ()),
            Kind::Introducer if self.kind_at(1).is_literal() => {
                self.at += 2;
                while self.kind().is_text() {
                    self.at += 1;
                }
                Ok(())
            }
            Kind::UserVar => {
                self.at += 1;
                Ok(())
            }
            Kind::AtAt => self.system_variable().map(|_| ()),
            Kind::Open => self.nested(Self::bracketed),
            Kind::OpenBrace => self.nested(Self::escape),
            Kind::Dot => {
                self.at += 1;
                self.column_path(None)
            }
            Kind::Word if self.is_reserved(token.word) => self.nested(Self::keyword_operand),
            Kind::Word if !matches!(token.word, W::None) => self.nested(Self::soft_operand),
            Kind::Word | Kind::Name | Kind::Quoted | Kind::Introducer => self.nested(Self::named),
            _ => Err(Fault::Syntax),
        }
    }

    /// `( subquery )` or `( expr, … )`.
    fn bracketed(&mut self) -> Parse {
        if self.at_query_in_brackets() {
            return self.subquery();
        }
        self.expect_kind(Kind::Open)?;
        self.exprs()?;
        self.expect_kind(Kind::Close)
    }

    /// ODBC: `{d '2020-01-01'}`, `{fn f()}`, `{x expr}`.
    fn escape(&mut self) -> Parse {
        self.at += 1;
        if !matches!(self.kind(), Kind::Word | Kind::Quoted) {
            return Err(Fault::Syntax);
        }
        self.at += 1;
        self.expr()?;
        self.expect_kind(Kind::CloseBrace)
    }

    /// `@@name`, `@@global.name`, `@@session.structured.name`; whether it is the session's own, and the name.
    pub(super) fn system_variable(&mut self) -> Parse<(bool, Box<str>)> {
        self.expect_kind(Kind::AtAt)?;
        let mut name = self.any_word()?;
        let mut own = true;
        if matches!(
            &*name,
            "global" | "session" | "local" | "persist" | "persist_only"
        ) && self.eat_kind(Kind::Dot)
        {
            own = matches!(&*name, "session" | "local");
            name = self.any_word()?;
        }
        if self.eat_kind(Kind::Dot) {
            let last = self.any_word()?;
            name = format!("{name}.{last}").into();
        }
        Ok((own, name))
    }

    /// An operand that starts with a reserved word.
    fn keyword_operand(&mut self) -> Parse {
        match self.word() {
            W::Null | W::True | W::False => {
                self.at += 1;
                Ok(())
            }
            W::Default => {
                self.at += 1;
                if self.eat_kind(Kind::Open) {
                    self.column_path_start()?;
                    self.expect_kind(Kind::Close)?;
                }
                Ok(())
            }
            W::Maxvalue => {
                self.at += 1;
                Ok(())
            }
            // MariaDB: the column keeps its value.
            W::Ignore if matches!(self.kind_at(1), Kind::Comma | Kind::Close) => {
                self.at += 1;
                Ok(())
            }
            W::Case => self.case(),
            W::Exists => {
                self.at += 1;
                self.subquery()
            }
            W::Interval => {
                self.at += 1;
                self.expr()?;
                self.eat_unit();
                Ok(())
            }
            W::Match => self.match_against(),
            W::CurrentDate
            | W::CurrentTime
            | W::CurrentTimestamp
            | W::CurrentUser
            | W::CurrentRole
            | W::Localtime
            | W::Localtimestamp
            | W::UtcDate
            | W::UtcTime
            | W::UtcTimestamp
            | W::Sysdate => {
                let name = self.any_word()?;
                self.draft.function(Name { schema: None, name });
                if self.kind() == Kind::Open {
                    self.skip_brackets()?;
                }
                Ok(())
            }
            W::Values | W::Value if self.kind_at(1) == Kind::Open => {
                self.at += 2;
                self.column_path_start()?;
                self.expect_kind(Kind::Close)
            }
            W::Row if self.kind_at(1) == Kind::Open => {
                self.at += 1;
                self.bracketed()
            }
            W::All | W::Any | W::Some if self.kind_at(1) == Kind::Open => {
                self.at += 1;
                self.bracketed()
            }
            _ if self.kind_at(1) == Kind::Open => self.function(),
            _ => Err(Fault::Syntax),
        }
    }

    /// An operand that starts with a word that means something in places, but is no reserved one.
    fn soft_operand(&mut self) -> Parse {
        let next = self.kind_at(1);
        match self.word() {
            W::Date | W::Time | W::Timestamp if next.is_text() => {
                self.at += 2;
                Ok(())
            }
            W::Row if next == Kind::Open => {
                self.at += 1;
                self.bracketed()
            }
            W::Value if next == Kind::Open && self.is_mariadb() => {
                self.at += 2;
                self.column_path_start()?;
                self.expect_kind(Kind::Close)
            }
            W::Next | W::Previous if self.word_at(1) == W::Value && self.word_at(2) == W::For => {
                self.at += 3;
                let name = self.table_name()?;
                self.draft
                    .object(ObjectKind::Relation, name, Access::Update);
                Ok(())
            }
            W::Interval if next != Kind::Dot => {
                self.at += 1;
                self.expr()?;
                self.eat_unit();
                Ok(())
            }
            _ => self.named(),
        }
    }

    fn case(&mut self) -> Parse {
        self.at += 1;
        if !self.at(W::When) {
            self.expr()?;
        }
        while self.eat(W::When) {
            self.expr()?;
            self.expect(W::Then)?;
            self.expr()?;
        }
        if self.eat(W::Else) {
            self.expr()?;
        }
        self.expect(W::End)
    }

    fn match_against(&mut self) -> Parse {
        self.at += 1;
        if self.kind() == Kind::Open {
            self.bracketed()?;
        } else {
            self.list(Self::column_path_start)?;
        }
        self.expect(W::Against)?;
        self.expect_kind(Kind::Open)?;
        self.against()?;
        self.expect_kind(Kind::Close)
    }

    /// What AGAINST holds: `IN` belongs to the mode there, not to the expression.
    fn against(&mut self) -> Parse {
        loop {
            while matches!(self.kind(), Kind::Minus | Kind::Plus) {
                self.at += 1;
            }
            self.operand()?;
            if self.at(W::In) || self.at(W::With) || self.kind() == Kind::Close {
                break;
            }
            if !self.operator()? {
                break;
            }
        }
        if self.eat(W::In) {
            if self.eat(W::Boolean) {
                self.expect(W::Mode)?;
            } else {
                self.expect(W::Natural)?;
                self.expect(W::Language)?;
                self.expect(W::Mode)?;
            }
        }
        if self.eat(W::With) {
            self.expect(W::Query)?;
            self.expect(W::Expansion)?;
        }
        Ok(())
    }

    /// Passes the unit of an interval, if one comes.
    pub(super) fn eat_unit(&mut self) -> bool {
        self.eat_any(UNITS)
    }
}

/// The units of intervals.
pub(super) const UNITS: &[W] = &[
    W::Microsecond,
    W::Second,
    W::Minute,
    W::Hour,
    W::Day,
    W::Week,
    W::Month,
    W::Quarter,
    W::Year,
    W::SecondMicrosecond,
    W::MinuteMicrosecond,
    W::MinuteSecond,
    W::HourMicrosecond,
    W::HourSecond,
    W::HourMinute,
    W::DayMicrosecond,
    W::DaySecond,
    W::DayMinute,
    W::DayHour,
    W::YearMonth,
    W::SqlTsiSecond,
    W::SqlTsiMinute,
    W::SqlTsiHour,
    W::SqlTsiDay,
    W::SqlTsiWeek,
    W::SqlTsiMonth,
    W::SqlTsiQuarter,
    W::SqlTsiYear,
];
