//! Bodies of routines, triggers and events, and MariaDB's compound statements.

use super::query::Place;
use super::{Fault, Parse, Parser};
use crate::statement::mysql::token::Kind;
use crate::statement::mysql::word::Word as W;

impl Parser<'_> {
    /// One statement of a body, without its semicolon.
    pub(super) fn body(&mut self) -> Parse {
        self.nested(Self::body_statement)
    }

    fn body_statement(&mut self) -> Parse {
        if self.at_ident() && self.kind_at(1) == Kind::Colon {
            self.at += 2;
        }
        match self.word() {
            W::Begin => {
                self.at += 1;
                self.eat_words(&[W::Not, W::Atomic]);
                self.body_statements()?;
                if self.at(W::Exception) {
                    return Err(Fault::Syntax);
                }
                self.expect(W::End)?;
                self.end_label()
            }
            W::If => {
                self.at += 1;
                self.expr()?;
                self.expect(W::Then)?;
                self.body_statements()?;
                while self.eat(W::Elseif) {
                    self.expr()?;
                    self.expect(W::Then)?;
                    self.body_statements()?;
                }
                if self.eat(W::Else) {
                    self.body_statements()?;
                }
                self.expect(W::End)?;
                self.expect(W::If)
            }
            W::Case => {
                self.at += 1;
                if !self.at(W::When) {
                    self.expr()?;
                }
                while self.eat(W::When) {
                    self.expr()?;
                    self.expect(W::Then)?;
                    self.body_statements()?;
                }
                if self.eat(W::Else) {
                    self.body_statements()?;
                }
                self.expect(W::End)?;
                self.expect(W::Case)
            }
            W::Loop => self.looped(W::Loop),
            W::While => {
                self.at += 1;
                self.expr()?;
                self.expect(W::Do)?;
                self.body_statements()?;
                self.end_of(W::While)
            }
            W::Repeat if self.kind_at(1) != Kind::Open => {
                self.at += 1;
                self.body_statements()?;
                self.expect(W::Until)?;
                self.expr()?;
                self.end_of(W::Repeat)
            }
            W::For => self.for_loop(),
            W::Declare => self.declare(),
            W::Open => {
                self.at += 1;
                self.ident()?;
                if self.kind() == Kind::Open {
                    self.row()?;
                }
                if self.eat(W::For) {
                    return self.cursor_query();
                }
                Ok(())
            }
            W::Close => {
                self.at += 1;
                self.ident().map(|_| ())
            }
            W::Fetch => {
                self.at += 1;
                self.eat(W::Next);
                self.eat(W::From);
                self.ident()?;
                self.expect(W::Into)?;
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
            W::Return => {
                self.at += 1;
                self.expr()
            }
            W::Leave | W::Iterate => {
                self.at += 1;
                self.ident().map(|_| ())
            }
            _ => self.statement(),
        }
    }

    fn looped(&mut self, word: W) -> Parse {
        self.at += 1;
        self.body_statements()?;
        self.end_of(word)
    }

    fn end_of(&mut self, word: W) -> Parse {
        self.expect(W::End)?;
        self.expect(word)?;
        self.end_label()
    }

    fn end_label(&mut self) -> Parse {
        if self.at_ident() {
            self.at += 1;
        }
        Ok(())
    }

    /// `statement; statement; …` up to a word that ends the block.
    fn body_statements(&mut self) -> Parse {
        while !self.at_any(&[W::End, W::Else, W::Elseif, W::Until, W::When]) {
            self.body()?;
            self.expect_kind(Kind::Semicolon)?;
        }
        Ok(())
    }

    /// `FOR i IN a .. b DO`, `FOR record IN cursor DO`, `FOR record IN (query) DO`.
    fn for_loop(&mut self) -> Parse {
        self.at += 1;
        self.ident()?;
        self.expect(W::In)?;
        while !self.at(W::Do) {
            match self.kind() {
                Kind::End | Kind::Semicolon | Kind::Close => return Err(Fault::Syntax),
                Kind::Open if self.at_query_in_brackets() => self.subquery()?,
                Kind::Open => self.row()?,
                _ => self.at += 1,
            }
        }
        self.at += 1;
        self.body_statements()?;
        self.end_of(W::For)
    }

    fn declare(&mut self) -> Parse {
        self.at += 1;
        if self.at_any(&[W::Continue, W::Exit, W::Undo]) && self.word_at(1) == W::Handler {
            self.at += 2;
            self.expect(W::For)?;
            self.list(|parser| {
                if parser.eat(W::Sqlstate) {
                    parser.eat(W::Value);
                    parser.at += 1;
                } else if parser.eat(W::Not) {
                    parser.expect(W::Found)?;
                } else if parser.kind() == Kind::Integer
                    || matches!(parser.kind(), Kind::Word | Kind::Quoted)
                {
                    parser.at += 1;
                } else {
                    return Err(Fault::Syntax);
                }
                Ok(())
            })?;
            return self.body();
        }
        self.list(|parser| parser.ident().map(|_| ()))?;
        if self.eat(W::Cursor) {
            if self.kind() == Kind::Open {
                self.skip_brackets()?;
            }
            self.expect(W::For)?;
            return self.cursor_query();
        }
        if self.eat(W::Condition) {
            self.expect(W::For)?;
            if self.eat(W::Sqlstate) {
                self.eat(W::Value);
            }
            self.at += 1;
            return Ok(());
        }
        if self.eat(W::Row) {
            if self.eat(W::Type) {
                self.expect(W::Of)?;
                self.table_name()?;
            } else {
                self.skip_brackets()?;
            }
        } else if self.at(W::Type) && self.word_at(1) == W::Of {
            self.at += 2;
            self.column_path_start()?;
        } else {
            self.data_type()?;
        }
        if self.eat(W::Default) || self.eat_kind(Kind::Assign) {
            self.expr()?;
        }
        Ok(())
    }

    /// The query of a cursor, or the name of a prepared statement.
    fn cursor_query(&mut self) -> Parse {
        if self.at_query() {
            return self.query_statement(Place::Derived);
        }
        self.ident().map(|_| ())
    }
}
