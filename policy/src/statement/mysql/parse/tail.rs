//! What stands behind a query: order, limit, destination, locks.

use super::query::Place;
use super::{Fault, Parse, Parser};
use crate::statement::mysql::token::Kind;
use crate::statement::mysql::word::Word as W;
use crate::vocabulary::{Class, ColumnUse, Egress, LimitShape};

impl Parser<'_> {
    /// ORDER BY, LIMIT, PROCEDURE, INTO, locks.
    pub(super) fn query_tail(&mut self, place: Place) -> Parse {
        if self.eat_words(&[W::Order, W::By]) {
            self.using(ColumnUse::Filter, Self::order_items)?;
        }
        if self.limit()? && place == Place::Whole && self.draft.limit.is_some() {
            self.draft.limit = Some(LimitShape::Present);
        }
        if self.eat(W::Procedure) {
            let name = self.folded_ident()?;
            self.draft
                .function(crate::statement::facts::Name { schema: None, name });
            self.row()?;
        }
        self.destination()?;
        loop {
            if self.eat(W::For) {
                if !self.eat_any(&[W::Update, W::Share]) {
                    return Err(Fault::Syntax);
                }
                if self.eat(W::Of) {
                    self.list(|parser| parser.table_name().map(|_| ()))?;
                }
                self.lock_wait()?;
            } else if self.eat_words(&[W::Lock, W::In, W::Share, W::Mode]) {
                self.lock_wait()?;
            } else {
                break;
            }
        }
        self.destination()
    }

    pub(super) fn lock_wait(&mut self) -> Parse {
        if self.eat(W::Wait) {
            self.at += 1;
        } else if !self.eat(W::Nowait) {
            self.eat_words(&[W::Skip, W::Locked]);
        }
        Ok(())
    }

    /// LIMIT, OFFSET, FETCH; whether there is one.
    pub(super) fn limit(&mut self) -> Parse<bool> {
        let mut found = false;
        if self.eat(W::Limit) {
            found = true;
            if !self.at(W::Rows) {
                self.limit_value()?;
                if self.eat_kind(Kind::Comma) || self.eat(W::Offset) {
                    self.limit_value()?;
                }
            }
            if self.eat(W::Rows) {
                self.expect(W::Examined)?;
                self.limit_value()?;
            }
        }
        if self.is_mariadb() {
            if self.eat(W::Offset) {
                self.limit_value()?;
                self.eat_any(&[W::Row, W::Rows]);
            }
            if self.eat(W::Fetch) {
                found = true;
                self.eat_any(&[W::First, W::Next]);
                if !self.at_any(&[W::Row, W::Rows]) {
                    self.limit_value()?;
                }
                self.eat_any(&[W::Row, W::Rows]);
                if !self.eat(W::Only) {
                    self.expect(W::With)?;
                    self.expect(W::Ties)?;
                }
            }
        }
        Ok(found)
    }

    pub(super) fn limit_value(&mut self) -> Parse {
        match self.kind() {
            Kind::Integer
            | Kind::Decimal
            | Kind::Float
            | Kind::Hex
            | Kind::Bits
            | Kind::Param
            | Kind::UserVar => {
                self.at += 1;
                Ok(())
            }
            Kind::AtAt => self.system_variable().map(|_| ()),
            Kind::Minus => {
                self.at += 1;
                self.limit_value()
            }
            // A variable of a routine.
            _ => self.ident().map(|_| ()),
        }
    }

    /// `INTO OUTFILE`, `INTO DUMPFILE`, `INTO @a, b`.
    pub(super) fn destination(&mut self) -> Parse {
        if !self.eat(W::Into) {
            return Ok(());
        }
        if self.eat_any(&[W::Outfile, W::Dumpfile]) {
            self.text_literal()?;
            self.draft.open_egress(Egress::IntoOutfile);
            self.draft.raise(Class::Admin);
            return self.file_format();
        }
        self.list(|parser| {
            if parser.eat_kind(Kind::UserVar) {
                return Ok(());
            }
            parser.ident()?;
            if parser.eat_kind(Kind::Dot) {
                parser.ident()?;
            }
            Ok(())
        })
    }

    /// CHARACTER SET, FIELDS, LINES.
    pub(super) fn file_format(&mut self) -> Parse {
        if self.eat(W::Charset)
            || self.eat_words(&[W::Character, W::Set])
            || self.eat_words(&[W::Char, W::Set])
        {
            self.charset_name()?;
        }
        if self.eat_any(&[W::Fields, W::Columns]) {
            loop {
                if self.eat_words(&[W::Optionally, W::Enclosed])
                    || self.eat_any(&[W::Terminated, W::Enclosed, W::Escaped])
                {
                    self.expect(W::By)?;
                    self.format_text()?;
                } else {
                    break;
                }
            }
        }
        if self.eat(W::Lines) {
            while self.eat_any(&[W::Starting, W::Terminated]) {
                self.expect(W::By)?;
                self.format_text()?;
            }
        }
        Ok(())
    }

    pub(super) fn format_text(&mut self) -> Parse {
        if matches!(
            self.kind(),
            Kind::Text | Kind::Hex | Kind::Bits | Kind::Introducer
        ) {
            self.eat_kind(Kind::Introducer);
            self.at += 1;
            return Ok(());
        }
        Err(Fault::Syntax)
    }
}
