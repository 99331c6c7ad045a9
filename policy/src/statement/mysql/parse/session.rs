//! PREPARE, EXECUTE, DEALLOCATE, SHOW.

use super::{Fault, Parse, Parser};
use crate::statement::facts::{SessionEffect, StatementFacts};
use crate::statement::mysql::literal;
use crate::statement::mysql::read_nested;
use crate::statement::mysql::token::Kind;
use crate::statement::mysql::word::Word as W;
use crate::vocabulary::{Access, Class, ColumnUse, ObjectKind, Verb};

impl Parser<'_> {
    pub(super) fn prepared(&mut self) -> Parse {
        match self.advance().word {
            W::Prepare => {
                self.draft.command(Verb::Prepare, Class::Session);
                let name = self.folded_ident()?;
                self.expect(W::From)?;
                let body = Box::new(self.text_of_statement()?);
                self.draft.absorb(&body);
                self.draft.effect(SessionEffect::Prepare { name, body });
                Ok(())
            }
            W::Execute => {
                self.draft.command(Verb::Execute, Class::Session);
                if self.eat(W::Immediate) {
                    let body = self.text_of_statement()?;
                    self.draft.absorb(&body);
                    for effect in body.effects {
                        self.draft.effect(effect);
                    }
                    self.draft.effect(SessionEffect::MayChangeSettings);
                } else {
                    let name = self.folded_ident()?;
                    self.draft.effect(SessionEffect::Execute(name));
                }
                if self.eat(W::Using) {
                    self.exprs()?;
                }
                Ok(())
            }
            _ => {
                self.draft.command(Verb::Deallocate, Class::Session);
                self.expect(W::Prepare)?;
                self.deallocated()
            }
        }
    }

    pub(super) fn deallocated(&mut self) -> Parse {
        let name = self.folded_ident()?;
        self.draft.effect(SessionEffect::Deallocate(Some(name)));
        Ok(())
    }

    /// The facts of a statement that a string holds; of any other expression nothing is known.
    fn text_of_statement(&mut self) -> Parse<StatementFacts> {
        let start = self.at;
        self.expr()?;
        let tokens = self.tokens.get(start..self.at).unwrap_or_default();
        let Some(text) = literal::content(self.text, tokens, self.lex) else {
            let mut body = StatementFacts::new(Verb::Unknown, Class::Write);
            body.dynamic = true;
            return Ok(body);
        };
        self.draft.literals = true;
        if self.depth > MAX_TEXTS_IN_TEXTS {
            return Err(Fault::Depth);
        }
        read_nested(&text, self.lex, self.depth + 1, self.draft.schema.clone())
    }

    pub(super) fn show(&mut self) -> Parse {
        self.expect(W::Show)?;
        self.draft.command(Verb::Show, Class::Session);
        self.eat_any(&[W::Full, W::Extended]);
        self.eat(W::Full);
        match self.word() {
            W::Create => return self.show_create(),
            W::Columns | W::Fields | W::Index | W::Indexes | W::Keys => {
                self.at += 1;
                if !self.eat_any(&[W::From, W::In]) {
                    return Err(Fault::Syntax);
                }
                let mut table = self.table_name()?;
                if self.eat_any(&[W::From, W::In]) {
                    let schema = self.ident()?;
                    table = self.relation(Some(schema), table.name);
                }
                self.draft
                    .object(ObjectKind::Relation, table, Access::Refer);
            }
            W::Databases | W::Schemas => self.at += 1,
            W::Tables | W::Triggers | W::Events | W::Table => {
                self.at += 1;
                self.eat(W::Status);
                if self.eat_any(&[W::From, W::In]) {
                    self.schema_object(Access::Refer)?;
                }
            }
            W::Grants => {
                self.at += 1;
                if self.eat(W::For) {
                    self.account(Access::Refer)?;
                    if self.eat(W::Using) {
                        self.list(|parser| parser.account(Access::Refer))?;
                    }
                }
                return Ok(());
            }
            _ => {
                while !self.at_end() && !self.at_any(&[W::Where, W::Like]) {
                    if self.kind() == Kind::Open {
                        self.skip_brackets()?;
                    } else {
                        self.at += 1;
                    }
                }
            }
        }
        if self.eat(W::Like) {
            return self.text_literal().map(|_| ());
        }
        if self.eat(W::Where) {
            self.draft.open_frame(false);
            self.using(ColumnUse::Filter, Self::expr)?;
            self.draft.close_frame();
        }
        Ok(())
    }

    fn show_create(&mut self) -> Parse {
        self.at += 1;
        let kind = self.word();
        self.at += 1;
        match kind {
            W::Table | W::View | W::Sequence => {
                self.table_object(Access::Refer)?;
            }
            W::Database | W::Schema => {
                self.if_not_exists();
                self.schema_object(Access::Refer)?;
            }
            W::User => self.account(Access::Refer)?,
            W::Package => {
                self.eat(W::Body);
                self.routine_object(Access::Refer)?;
            }
            W::Procedure | W::Function | W::Event | W::Trigger | W::Library => {
                self.routine_object(Access::Refer)?
            }
            _ => return self.skip_rest(),
        }
        Ok(())
    }

    pub(super) fn routine_object(&mut self, access: Access) -> Parse {
        let name = self.routine_name()?;
        self.draft.object(ObjectKind::Routine, name, access);
        Ok(())
    }
}

/// How deeply statements may stand in strings of statements.
const MAX_TEXTS_IN_TEXTS: u32 = 400;
