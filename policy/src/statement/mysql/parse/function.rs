//! Calls of functions, those with a grammar of their own included.

use super::{Fault, Parse, Parser};
use crate::statement::facts::Name;
use crate::statement::mysql::functions;
use crate::statement::mysql::token::Kind;
use crate::statement::mysql::word::Word as W;
use crate::vocabulary::{Access, Class, ObjectKind};

impl Parser<'_> {
    /// An unqualified call.
    pub(super) fn function(&mut self) -> Parse {
        let token = self.advance();
        let name = super::names::fold(&self.spelling(token)?);
        self.call(Name { schema: None, name })
    }

    /// The brackets of a call and what may follow them.
    pub(super) fn call(&mut self, name: Name) -> Parse {
        if let Some(mark) = functions::mark(name.schema.as_deref(), &name.name) {
            if let Some(class) = mark.class {
                self.draft.raise(class);
            }
            if let Some(egress) = mark.egress {
                self.draft.open_egress(egress);
            }
            self.draft.dynamic |= mark.dynamic;
            if mark.sequence {
                return self.sequence_call(name);
            }
        } else if !functions::is_native(&name.name) || name.schema.is_some() {
            // A stored or loaded function: what it does is not known.
            self.draft.object(
                ObjectKind::Routine,
                Name {
                    schema: name.schema.clone().or_else(|| self.draft.schema.clone()),
                    name: name.name.clone(),
                },
                Access::Execute,
            );
        }
        let word = match name.schema {
            None => W::of(name.name.as_bytes()),
            Some(_) => W::None,
        };
        self.draft.function(name);
        self.nested(|parser| {
            parser.expect_kind(Kind::Open)?;
            parser.arguments(word)?;
            parser.expect_kind(Kind::Close)
        })?;
        self.after_call()
    }

    /// NEXTVAL(seq), SETVAL(seq, …): the argument is a name.
    fn sequence_call(&mut self, name: Name) -> Parse {
        self.draft.function(name);
        self.expect_kind(Kind::Open)?;
        let table = self.table_name()?;
        self.draft
            .object(ObjectKind::Relation, table, Access::Update);
        if self.eat_kind(Kind::Comma) {
            self.exprs()?;
        }
        self.expect_kind(Kind::Close)
    }

    fn arguments(&mut self, word: W) -> Parse {
        if self.kind() == Kind::Close {
            return Ok(());
        }
        match word {
            W::Extract => {
                if !self.eat_unit() {
                    return Err(Fault::Syntax);
                }
                self.expect(W::From)?;
                return self.expr();
            }
            W::Timestampadd | W::Timestampdiff => {
                if !self.eat_unit() {
                    return Err(Fault::Syntax);
                }
                self.expect_kind(Kind::Comma)?;
                return self.exprs();
            }
            W::GetFormat => {
                if !self.eat_any(&[W::Date, W::Time, W::Datetime, W::Timestamp]) {
                    return Err(Fault::Syntax);
                }
                self.expect_kind(Kind::Comma)?;
                return self.expr();
            }
            W::Cast => {
                self.expr()?;
                self.at_time_zone()?;
                self.expect(W::As)?;
                self.data_type()?;
                self.eat(W::Array);
                return Ok(());
            }
            W::Convert => {
                self.expr()?;
                if self.eat(W::Using) {
                    return self.charset_name().map(|_| ());
                }
                self.expect_kind(Kind::Comma)?;
                return self.data_type();
            }
            W::Trim => {
                self.eat_any(&[W::Leading, W::Trailing, W::Both]);
                if !self.at(W::From) {
                    self.expr()?;
                }
                if self.eat(W::From) {
                    self.expr()?;
                }
                return Ok(());
            }
            W::Count if self.kind() == Kind::Star => {
                self.at += 1;
                return Ok(());
            }
            W::WeightString => {
                self.expr()?;
                if self.eat(W::As) {
                    self.data_type()?;
                }
                if self.eat(W::Level) {
                    while !matches!(self.kind(), Kind::Close | Kind::End) {
                        self.at += 1;
                    }
                }
                if self.eat_kind(Kind::Comma) {
                    self.exprs()?;
                }
                return Ok(());
            }
            _ => {}
        }
        self.eat_any(&[W::Distinct, W::All]);
        self.eat(W::All);
        self.list(Self::argument)?;
        self.argument_tail()
    }

    /// One argument: a query may stand without brackets of its own.
    fn argument(&mut self) -> Parse {
        if self.at(W::With) && !matches!(self.kind_at(1), Kind::Quoted) && self.duality_tags()? {
            return self.argument();
        }
        if self.at_any(&[W::Select, W::With]) {
            return self.inner_query();
        }
        if self.kind().is_text() && self.kind_at(1) == Kind::Colon {
            // JSON_DUALITY_OBJECT('key': value)
            self.at += 2;
        }
        self.expr()?;
        if self.eat(W::As) {
            // Loadable functions name their arguments, dynamic columns type them.
            if self.kind().is_text() {
                self.at += 1;
            } else {
                self.data_type()?;
            }
        } else if self.kind().is_text() {
            self.at += 1;
        }
        Ok(())
    }

    /// SUBSTRING(… FROM … FOR …), GROUP_CONCAT(… ORDER BY … SEPARATOR …), CHAR(… USING …), JSON_VALUE(… RETURNING …).
    fn argument_tail(&mut self) -> Parse {
        if self.eat(W::From) {
            self.expr()?;
        }
        if self.eat(W::For) {
            self.expr()?;
        }
        if self.eat(W::Using) {
            self.charset_name()?;
        }
        if self.eat(W::Returning) {
            self.data_type()?;
        }
        self.json_handlers()?;
        if self.eat_words(&[W::Order, W::By]) {
            self.order_items()?;
        }
        if self.eat(W::Limit) {
            self.exprs()?;
            if self.eat(W::Offset) {
                self.expr()?;
            }
        }
        if self.eat(W::Separator) {
            self.eat_kind(Kind::Introducer);
            if !self.kind().is_literal() && self.kind() != Kind::Param {
                return Err(Fault::Syntax);
            }
            self.at += 1;
        }
        Ok(())
    }

    /// `NULL ON EMPTY`, `ERROR ON ERROR`, `DEFAULT x ON EMPTY`, `NULL ON NULL`.
    pub(super) fn json_handlers(&mut self) -> Parse {
        for _ in 0..2 {
            let starts = self.at_words(&[W::Null, W::On])
                || self.at_words(&[W::Error, W::On])
                || self.at_words(&[W::Absent, W::On])
                || self.at(W::Default);
            if !starts {
                return Ok(());
            }
            if self.eat(W::Default) {
                self.expr()?;
            } else {
                self.at += 1;
            }
            self.expect(W::On)?;
            if !self.eat_any(&[W::Empty, W::Error, W::Null]) {
                return Err(Fault::Syntax);
            }
        }
        Ok(())
    }

    /// JSON_DUALITY_OBJECT(WITH (INSERT, UPDATE) …): what may be done through the view.
    fn duality_tags(&mut self) -> Parse<bool> {
        let tags = &[W::Insert, W::Update, W::Delete];
        let bracketed = self.kind_at(1) == Kind::Open;
        let word = self.word_at(1 + usize::from(bracketed));
        if !tags.contains(&word) {
            return Ok(false);
        }
        self.at += 1;
        if bracketed {
            self.skip_brackets()?;
        } else {
            while self.eat_any(tags)
                || (self.kind() == Kind::Comma && tags.contains(&self.word_at(1)))
            {
                self.eat_kind(Kind::Comma);
            }
        }
        Ok(true)
    }

    fn at_time_zone(&mut self) -> Parse {
        if self.eat(W::At) {
            self.expect(W::Time)?;
            self.expect(W::Zone)?;
            self.eat(W::Interval);
            self.text_literal()?;
        }
        Ok(())
    }

    /// WITHIN GROUP, RESPECT NULLS, FROM FIRST, OVER.
    fn after_call(&mut self) -> Parse {
        if self.eat_words(&[W::Within, W::Group]) {
            self.expect_kind(Kind::Open)?;
            self.expect(W::Order)?;
            self.expect(W::By)?;
            self.order_items()?;
            self.expect_kind(Kind::Close)?;
        }
        if self.at(W::From)
            && matches!(self.word_at(1), W::First | W::Last)
            && self.word_at(2) != W::None
        {
            let over = matches!(self.word_at(2), W::Over | W::Respect | W::Ignore);
            self.at += if over { 2 } else { 0 };
        }
        if self.at_any(&[W::Respect, W::Ignore]) && self.word_at(1) == W::Nulls {
            self.at += 2;
        }
        if self.eat(W::Over) {
            if self.kind() == Kind::Open {
                self.nested(Self::window)?;
            } else {
                self.ident()?;
            }
        }
        Ok(())
    }

    /// `( [name] [PARTITION BY …] [ORDER BY …] [frame] )`
    pub(super) fn window(&mut self) -> Parse {
        self.expect_kind(Kind::Open)?;
        if self.at_ident() && !self.at_any(&[W::Partition, W::Rows, W::Range, W::Groups]) {
            self.ident()?;
        }
        if self.eat_words(&[W::Partition, W::By]) {
            self.exprs()?;
        }
        if self.eat_words(&[W::Order, W::By]) {
            self.order_items()?;
        }
        if self.eat_any(&[W::Rows, W::Range, W::Groups]) {
            if self.eat(W::Between) {
                self.window_bound()?;
                self.expect(W::And)?;
            }
            self.window_bound()?;
            if self.eat(W::Exclude) {
                while !matches!(self.kind(), Kind::Close | Kind::End) {
                    self.at += 1;
                }
            }
        }
        self.expect_kind(Kind::Close)
    }

    fn window_bound(&mut self) -> Parse {
        if self.eat_words(&[W::Current, W::Row]) {
            return Ok(());
        }
        if !self.eat(W::Unbounded) {
            match self.word() {
                W::Interval => {
                    self.at += 1;
                    self.simple_bound()?;
                    self.eat_unit();
                }
                _ => self.simple_bound()?,
            }
        }
        if self.eat_any(&[W::Preceding, W::Following]) {
            Ok(())
        } else {
            Err(Fault::Syntax)
        }
    }

    fn simple_bound(&mut self) -> Parse {
        if self.kind().is_literal() || matches!(self.kind(), Kind::Param | Kind::UserVar) {
            self.at += 1;
            return Ok(());
        }
        self.expr()
    }

    /// A type: a word or two, brackets, character set and signs.
    pub(super) fn data_type(&mut self) -> Parse {
        let word = self.word();
        if !matches!(self.kind(), Kind::Word | Kind::Quoted | Kind::Name) {
            return Err(Fault::Syntax);
        }
        self.at += 1;
        if self.eat_kind(Kind::Dot) {
            self.at += 1;
        }
        match word {
            W::Double => {
                self.eat(W::Precision);
            }
            W::Long => {
                self.eat_any(&[W::Varchar, W::Varbinary]);
                self.eat(W::Varying);
            }
            W::National => {
                self.eat_any(&[W::Char, W::Character, W::Varchar, W::Varcharacter]);
                self.eat(W::Varying);
            }
            W::Char | W::Character | W::Nchar => {
                self.eat(W::Varying);
                self.eat_any(&[W::Varchar]);
            }
            W::Enum | W::Set => return self.enumeration(),
            _ => {}
        }
        if self.kind() == Kind::Open {
            self.skip_brackets()?;
        }
        self.type_options()
    }

    fn enumeration(&mut self) -> Parse {
        self.skip_brackets()?;
        self.type_options()
    }

    fn type_options(&mut self) -> Parse {
        loop {
            if self.eat_any(&[
                W::Unsigned,
                W::Signed,
                W::Zerofill,
                W::Ascii,
                W::Unicode,
                W::Byte,
                W::Binary,
                W::Integer,
                W::Int,
            ]) {
                continue;
            }
            if self.at_any(&[W::Charset, W::Character, W::Char]) {
                if self.at(W::Charset) {
                    self.at += 1;
                } else if self.word_at(1) == W::Set {
                    self.at += 2;
                } else {
                    return Ok(());
                }
                self.eat_kind(Kind::Eq);
                self.charset_name()?;
                continue;
            }
            if self.eat(W::Collate) {
                self.eat_kind(Kind::Eq);
                self.charset_name()?;
                continue;
            }
            if self.at(W::Srid) {
                self.at += 2;
                continue;
            }
            return Ok(());
        }
    }

    /// CALL of a procedure.
    pub(super) fn call_statement(&mut self) -> Parse {
        use crate::statement::facts::SessionEffect;
        use crate::vocabulary::Verb;
        self.expect(W::Call)?;
        self.draft.command(Verb::Call, Class::Write);
        let name = self.routine_name()?;
        if let Some(mark) = functions::mark(name.schema.as_deref(), &name.name) {
            self.draft.dynamic |= mark.dynamic;
            if let Some(class) = mark.class {
                self.draft.raise(class);
            }
        }
        self.draft
            .object(ObjectKind::Routine, name.clone(), Access::Execute);
        self.draft.function(name);
        if self.eat_kind(Kind::Open) {
            if self.kind() != Kind::Close {
                self.list(Self::argument)?;
            }
            self.expect_kind(Kind::Close)?;
        }
        self.draft.effect(SessionEffect::MayChangeSettings);
        Ok(())
    }
}
