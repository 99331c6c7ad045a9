//! CREATE TABLE and ALTER TABLE: what names other tables in them, and their expressions.

use super::query::Place;
use super::{Fault, Parse, Parser};
use crate::statement::facts::Name;
use crate::statement::mysql::token::Kind;
use crate::statement::mysql::word::Word as W;
use crate::vocabulary::{Access, Class, Egress, ObjectKind, Verb};

impl Parser<'_> {
    pub(super) fn create_table(&mut self) -> Parse {
        self.draft.command(Verb::Create, Class::Ddl);
        self.if_not_exists();
        let table = self.table_object(Access::Ddl)?;
        if self.eat(W::Like) {
            return self.table_object(Access::Refer).map(|_| ());
        }
        if self.kind() == Kind::Open && self.word_at(1) == W::Like {
            self.at += 2;
            self.table_object(Access::Refer)?;
            return self.expect_kind(Kind::Close);
        }
        self.draft.open_frame(false);
        self.draft.add_source(table.name.clone(), Some(table));
        if self.kind() == Kind::Open && !self.at_query_in_brackets() {
            self.nested(|parser| {
                parser.at += 1;
                parser.definitions()?;
                parser.expect_kind(Kind::Close)
            })?;
        }
        self.table_options()?;
        self.draft.close_frame();
        if self.at_end() {
            return Ok(());
        }
        self.query_statement(Place::Derived)
    }

    /// Options and partitions, up to the query or the end.
    fn table_options(&mut self) -> Parse {
        while !self.at_end() {
            if self.eat_any(&[W::As, W::Ignore, W::Replace]) {
                if self.at_query() {
                    return Ok(());
                }
                continue;
            }
            if self.at(W::With) && self.word_at(1) == W::System {
                self.at += 3;
                continue;
            }
            if self.at_any(&[W::Select, W::With]) || self.at_query_in_brackets() {
                return Ok(());
            }
            if self.at_any(&[W::Values, W::Table])
                && self.kind_at(1) != Kind::Eq
                && self.is_mariadb() == self.at(W::Values)
            {
                return Ok(());
            }
            self.definition_token()?;
        }
        Ok(())
    }

    /// Passes definitions up to the bracket that closes them.
    fn definitions(&mut self) -> Parse {
        while self.kind() != Kind::Close {
            if self.kind() == Kind::End {
                return Err(Fault::Syntax);
            }
            self.definition_token()?;
        }
        Ok(())
    }

    /// Passes one thing in a definition.
    fn definition_token(&mut self) -> Parse {
        match self.kind() {
            Kind::Open => {
                return self.nested(|parser| {
                    parser.at += 1;
                    parser.definitions()?;
                    parser.expect_kind(Kind::Close)
                });
            }
            Kind::Close => return Err(Fault::Syntax),
            Kind::Word => {}
            _ => {
                self.at += 1;
                return Ok(());
            }
        }
        match self.word() {
            W::References => {
                self.at += 1;
                self.table_object(Access::Refer).map(|_| ())
            }
            W::Check | W::As if self.kind_at(1) == Kind::Open => {
                self.at += 1;
                self.nested(|parser| {
                    parser.expect_kind(Kind::Open)?;
                    parser.expr()?;
                    parser.expect_kind(Kind::Close)
                })
            }
            W::Default if self.has_default() => {
                self.at += 1;
                self.expr()
            }
            W::Key | W::Index | W::Unique => self.key(),
            W::Union => {
                self.at += 1;
                self.eat_kind(Kind::Eq);
                self.expect_kind(Kind::Open)?;
                if self.kind() != Kind::Close {
                    self.table_objects(Access::Read)?;
                }
                self.expect_kind(Kind::Close)
            }
            W::Engine => {
                self.at += 1;
                self.eat_kind(Kind::Eq);
                let bytes = self.token().bytes(self.text);
                let engine = String::from_utf8_lossy(bytes).to_ascii_lowercase();
                let engine = engine.trim_matches(['\'', '"', '`']);
                if matches!(
                    engine,
                    "federated" | "federatedx" | "spider" | "connect" | "s3" | "odbc" | "mongo"
                ) {
                    self.draft.open_egress(Egress::Foreign);
                }
                self.at += 1;
                Ok(())
            }
            W::Connection => {
                self.at += 1;
                if self.kind() == Kind::Eq || self.kind().is_text() {
                    self.draft.open_egress(Egress::Foreign);
                }
                Ok(())
            }
            _ => {
                self.at += 1;
                Ok(())
            }
        }
    }

    /// A key and its parts, or the same word as an attribute of a column.
    fn key(&mut self) -> Parse {
        self.at += 1;
        let reserved = [W::Check, W::As, W::Default, W::References, W::Key, W::Index];
        let mut ahead = usize::from(self.at_ident() && !self.at_any(&reserved));
        if matches!(self.word_at(ahead), W::Using | W::Type) {
            ahead += 2;
        }
        if self.kind_at(ahead) == Kind::Open {
            self.at += ahead;
            self.key_parts()?;
        }
        Ok(())
    }

    /// The parts of a key in their brackets: columns, or expressions in brackets of their own (MySQL 8.0.13).
    pub(super) fn key_parts(&mut self) -> Parse {
        self.nested(|parser| {
            parser.expect_kind(Kind::Open)?;
            let mut begins = true;
            while parser.kind() != Kind::Close {
                match parser.kind() {
                    Kind::End => return Err(Fault::Syntax),
                    Kind::Open if begins => {
                        parser.at += 1;
                        parser.expr()?;
                        parser.expect_kind(Kind::Close)?;
                    }
                    Kind::Open => parser.skip_brackets()?,
                    _ => {}
                }
                begins = parser.kind() == Kind::Comma;
                if parser.kind() != Kind::Close {
                    parser.at += 1;
                }
            }
            parser.expect_kind(Kind::Close)
        })
    }

    /// Whether DEFAULT gives a value here.
    fn has_default(&self) -> bool {
        !matches!(
            self.word_at(1),
            W::Charset
                | W::Character
                | W::Char
                | W::Collate
                | W::Value
                | W::Encryption
                | W::On
                | W::Role
        ) && !matches!(
            self.kind_at(1),
            Kind::Eq | Kind::Comma | Kind::Close | Kind::End | Kind::Semicolon
        )
    }

    pub(super) fn alter_table(&mut self) -> Parse {
        self.draft.command(Verb::Alter, Class::Ddl);
        self.if_exists();
        let table = self.table_object(Access::Ddl)?;
        self.lock_options()?;
        self.draft.open_frame(false);
        self.draft
            .add_source(table.name.clone(), Some(table.clone()));
        while !self.at_end() {
            self.alteration(&table)?;
        }
        self.draft.close_frame();
        Ok(())
    }

    fn alteration(&mut self, table: &Name) -> Parse {
        match self.word() {
            W::Rename if !matches!(self.word_at(1), W::Column | W::Index | W::Key) => {
                self.at += 1;
                self.eat_any(&[W::To, W::As]);
                self.eat_kind(Kind::Eq);
                self.table_object(Access::Ddl).map(|_| ())
            }
            W::Exchange if self.word_at(1) == W::Partition => {
                self.at += 2;
                self.ident()?;
                self.expect(W::With)?;
                self.expect(W::Table)?;
                let other = self.table_object(Access::Ddl)?;
                self.draft
                    .object(ObjectKind::Relation, other, Access::Delete);
                self.draft
                    .object(ObjectKind::Relation, table.clone(), Access::Delete);
                Ok(())
            }
            W::Convert if self.word_at(1) == W::Partition => {
                self.at += 2;
                self.ident()?;
                self.expect(W::To)?;
                self.expect(W::Table)?;
                self.table_object(Access::Ddl).map(|_| ())
            }
            W::Convert if self.word_at(1) == W::Table => {
                self.at += 2;
                self.table_object(Access::Ddl).map(|_| ())
            }
            W::Drop | W::Truncate if self.word_at(1) == W::Partition => {
                self.at += 2;
                self.draft
                    .object(ObjectKind::Relation, table.clone(), Access::Delete);
                Ok(())
            }
            W::Order if self.word_at(1) == W::By => {
                self.at += 2;
                self.order_items()
            }
            _ => self.definition_token(),
        }
    }
}
