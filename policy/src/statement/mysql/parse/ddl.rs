//! CREATE, ALTER and DROP.

use super::query::Place;
use super::{Fault, Parse, Parser};
use crate::statement::mysql::token::Kind;
use crate::statement::mysql::word::Word as W;
use crate::vocabulary::{Access, Class, ObjectKind, Verb};

impl Parser<'_> {
    pub(super) fn create(&mut self) -> Parse {
        self.expect(W::Create)?;
        self.eat_words(&[W::Or, W::Replace]);
        self.definer_options()?;
        self.eat_any(&[W::Temporary, W::Aggregate, W::Materialized, W::External]);
        self.eat_any(&[W::Online, W::Offline]);
        self.eat_any(&[W::Unique, W::Fulltext, W::Vector]);
        match self.advance().word {
            W::Table => self.create_table(),
            W::View => self.view(Verb::Create),
            W::Json if self.eat_words(&[W::Relational, W::Duality, W::View]) => {
                self.view(Verb::Create)
            }
            W::Index => self.create_index(),
            W::Spatial if self.eat(W::Index) => self.create_index(),
            W::Spatial => self.spatial_reference(Verb::Create),
            W::Database | W::Schema => self.database(Verb::Create),
            W::Procedure | W::Function => self.create_routine(),
            W::Package | W::Library => self.opaque_routine(Verb::Create),
            W::Trigger => self.create_trigger(),
            W::Event => self.event(Verb::Create),
            W::Server => self.server(Verb::Create),
            W::User => self.create_user(),
            W::Role => self.create_role(),
            W::Sequence => self.sequence(Verb::Create),
            W::Tablespace => self.server_ddl(Verb::Create, ObjectKind::Other),
            W::Undo if self.eat(W::Tablespace) => self.server_ddl(Verb::Create, ObjectKind::Other),
            W::Logfile | W::Resource if self.eat(W::Group) => {
                self.server_ddl(Verb::Create, ObjectKind::Other)
            }
            _ => Err(Fault::Syntax),
        }
    }

    /// DEFINER, ALGORITHM, SQL SECURITY.
    fn definer_options(&mut self) -> Parse {
        loop {
            if self.eat(W::Definer) {
                self.expect_kind(Kind::Eq)?;
                self.account(Access::Refer)?;
            } else if self.eat(W::Algorithm) {
                self.expect_kind(Kind::Eq)?;
                self.at += 1;
            } else if self.eat_words(&[W::Sql, W::Security]) {
                self.at += 1;
            } else {
                return Ok(());
            }
        }
    }

    pub(super) fn alter(&mut self) -> Parse {
        self.expect(W::Alter)?;
        self.definer_options()?;
        self.eat_any(&[W::Online, W::Offline, W::Ignore, W::Materialized]);
        self.eat(W::Ignore);
        match self.advance().word {
            W::Table => self.alter_table(),
            W::View => self.view(Verb::Alter),
            W::Json if self.eat_words(&[W::Relational, W::Duality, W::View]) => {
                self.view(Verb::Alter)
            }
            W::Database | W::Schema => self.database(Verb::Alter),
            W::Procedure | W::Function | W::Library => {
                self.draft.command(Verb::Alter, Class::Ddl);
                self.if_exists();
                self.routine_object(Access::Ddl)?;
                self.skip_rest()
            }
            W::Event => self.event(Verb::Alter),
            W::Server => self.server(Verb::Alter),
            W::User => self.alter_user(),
            W::Sequence => self.sequence(Verb::Alter),
            W::Tablespace => self.server_ddl(Verb::Alter, ObjectKind::Other),
            W::Undo if self.eat(W::Tablespace) => self.server_ddl(Verb::Alter, ObjectKind::Other),
            W::Logfile | W::Resource if self.eat(W::Group) => {
                self.server_ddl(Verb::Alter, ObjectKind::Other)
            }
            W::Instance => {
                self.draft.command(Verb::AlterSystem, Class::Admin);
                self.skip_rest()
            }
            _ => Err(Fault::Syntax),
        }
    }

    pub(super) fn drop(&mut self) -> Parse {
        self.expect(W::Drop)?;
        self.eat_any(&[W::Temporary, W::Materialized]);
        self.eat_any(&[W::Online, W::Offline]);
        let word = self.advance().word;
        match word {
            W::Table | W::Tables | W::View | W::Sequence => {
                self.draft.command(Verb::Drop, Class::Ddl);
                self.if_exists();
                self.table_objects(Access::Ddl)?;
                self.lock_options()?;
                self.eat_any(&[W::Restrict, W::Cascade]);
                Ok(())
            }
            W::Database | W::Schema => {
                self.draft.command(Verb::Drop, Class::Ddl);
                self.if_exists();
                self.schema_object(Access::Ddl).map(|_| ())
            }
            W::Index => {
                self.draft.command(Verb::Drop, Class::Ddl);
                self.if_exists();
                self.any_word()?;
                self.expect(W::On)?;
                self.table_object(Access::Ddl)?;
                self.skip_rest()
            }
            W::Prepare => {
                self.draft.command(Verb::Deallocate, Class::Session);
                self.deallocated()
            }
            W::Event => {
                self.draft.command(Verb::Drop, Class::Admin);
                self.if_exists();
                let name = self.routine_name()?;
                self.draft.object(ObjectKind::Other, name, Access::Ddl);
                Ok(())
            }
            W::Procedure | W::Function | W::Trigger | W::Package | W::Library => {
                self.draft.command(Verb::Drop, Class::Ddl);
                self.eat(W::Body);
                self.if_exists();
                self.routine_object(Access::Ddl)
            }
            W::User | W::Role => self.drop_accounts(),
            W::Server => self.server(Verb::Drop),
            W::Tablespace => self.server_ddl(Verb::Drop, ObjectKind::Other),
            W::Undo if self.eat(W::Tablespace) => self.server_ddl(Verb::Drop, ObjectKind::Other),
            W::Logfile | W::Resource if self.eat(W::Group) => {
                self.server_ddl(Verb::Drop, ObjectKind::Other)
            }
            W::Spatial => self.spatial_reference(Verb::Drop),
            _ => Err(Fault::Syntax),
        }
    }

    fn spatial_reference(&mut self, verb: Verb) -> Parse {
        self.expect(W::Reference)?;
        self.expect(W::System)?;
        self.draft.command(verb, Class::Admin);
        self.skip_rest()
    }

    fn view(&mut self, verb: Verb) -> Parse {
        self.draft.command(verb, Class::Ddl);
        self.if_not_exists();
        self.if_exists();
        self.table_object(Access::Ddl)?;
        if self.kind() == Kind::Open && !self.at_query_in_brackets() {
            self.skip_brackets()?;
        }
        self.expect(W::As)?;
        self.query_statement(Place::Derived)?;
        if self.eat(W::With) {
            self.eat_any(&[W::Cascaded, W::Local]);
            self.expect(W::Check)?;
            self.expect(W::Option)?;
        }
        Ok(())
    }

    fn create_index(&mut self) -> Parse {
        self.draft.command(Verb::Create, Class::Ddl);
        self.if_not_exists();
        self.any_word()?;
        if self.eat_any(&[W::Using, W::Type]) {
            self.at += 1;
        }
        self.expect(W::On)?;
        let table = self.table_object(Access::Ddl)?;
        self.draft.open_frame(false);
        self.draft.add_source(table.name.clone(), Some(table));
        self.key_parts()?;
        self.draft.close_frame();
        self.skip_rest()
    }

    fn database(&mut self, verb: Verb) -> Parse {
        self.draft.command(verb, Class::Ddl);
        self.if_not_exists();
        // ALTER DATABASE may leave out the name: the current one is meant.
        if self.at_ident() && !self.at_any(&[W::Charset, W::Encryption, W::Comment, W::Upgrade]) {
            self.schema_object(Access::Ddl)?;
        }
        self.skip_rest()
    }

    fn sequence(&mut self, verb: Verb) -> Parse {
        self.draft.command(verb, Class::Ddl);
        self.if_not_exists();
        self.if_exists();
        self.table_object(Access::Ddl)?;
        self.skip_rest()
    }

    /// Routines whose bodies are not read: packages, libraries in other languages.
    fn opaque_routine(&mut self, verb: Verb) -> Parse {
        self.draft.command(verb, Class::Ddl);
        self.draft.dynamic = true;
        self.eat(W::Body);
        self.if_not_exists();
        self.routine_object(Access::Ddl)?;
        while !self.at_end() {
            let plain = matches!(self.kind(), Kind::Word | Kind::Eq | Kind::Introducer);
            if !plain && !self.kind().is_literal() {
                return Err(Fault::Syntax);
            }
            self.at += 1;
        }
        Ok(())
    }

    /// The parameters of a routine; MariaDB's may have defaults (11.8), which are code and are not read.
    fn parameters(&mut self) -> Parse {
        let start = self.at;
        self.skip_brackets()?;
        let end = std::mem::replace(&mut self.at, start);
        while self.at < end {
            if self.at(W::Default) || self.kind() == Kind::Assign {
                return Err(Fault::Syntax);
            }
            self.at += 1;
        }
        Ok(())
    }

    fn create_routine(&mut self) -> Parse {
        self.draft.command(Verb::Create, Class::Ddl);
        self.if_not_exists();
        let name = self.routine_name()?;
        self.draft
            .object(ObjectKind::Routine, name.clone(), Access::Ddl);
        if self.kind() == Kind::Open {
            self.parameters()?;
        }
        if self.eat_any(&[W::Returns, W::Return]) {
            self.data_type()?;
        }
        if self.eat(W::Soname) {
            return self.loadable_function();
        }
        loop {
            if self.eat_any(&[W::Comment, W::Language]) {
                self.at += 1;
            } else if self.eat_words(&[W::Not, W::Deterministic])
                || self.eat(W::Deterministic)
                || self.eat_words(&[W::Contains, W::Sql])
                || self.eat_words(&[W::No, W::Sql])
                || self.eat_words(&[W::Reads, W::Sql, W::Data])
                || self.eat_words(&[W::Modifies, W::Sql, W::Data])
            {
            } else if self.eat_words(&[W::Sql, W::Security]) {
                self.at += 1;
            } else if self.at(W::Using) {
                self.at += 1;
                self.skip_brackets()?;
            } else {
                break;
            }
        }
        if self.at(W::As) && (self.kind_at(1).is_text() || self.kind_at(1) == Kind::Dollar) {
            // Code in another language.
            self.at += 2;
            self.draft.dynamic = true;
            return Ok(());
        }
        self.body_in(name.schema)
    }

    /// A body whose unqualified names lie in that database.
    fn body_in(&mut self, schema: Option<Box<str>>) -> Parse {
        let before = std::mem::replace(&mut self.draft.in_body, true);
        let outer = match schema {
            Some(schema) => self.draft.schema.replace(schema),
            None => self.draft.schema.clone(),
        };
        self.draft.open_frame(false);
        let start = self.at;
        let result = self.body().and_then(|()| self.stays_apart(start));
        self.draft.close_frame();
        self.draft.schema = outer;
        self.draft.in_body = before;
        result
    }

    /// Servers keep the text of a body without its version comments, and put nothing in their places: words that only
    /// such a comment holds apart are one when the body runs.
    fn stays_apart(&self, start: usize) -> Parse {
        let own = self.tokens.get(start..self.at).unwrap_or_default();
        let grows = own.windows(2).any(|pair| {
            let [left, right] = pair else {
                return false;
            };
            let gap = self.text.get(left.end as usize..right.start as usize);
            let gap = gap.unwrap_or_default();
            let blank = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_whitespace);
            gap.contains(&b'*') && !blank(gap.first()) && !blank(gap.last())
        });
        if grows {
            return Err(Fault::Syntax);
        }
        Ok(())
    }

    fn create_trigger(&mut self) -> Parse {
        self.draft.command(Verb::Create, Class::Ddl);
        self.if_not_exists();
        let name = self.routine_name()?;
        self.draft
            .object(ObjectKind::Routine, name.clone(), Access::Ddl);
        if !self.eat_any(&[W::Before, W::After]) {
            return Err(Fault::Syntax);
        }
        loop {
            if !self.eat_any(&[W::Insert, W::Update, W::Delete]) {
                return Err(Fault::Syntax);
            }
            if self.eat(W::Of) {
                self.list(|parser| parser.ident().map(|_| ()))?;
            }
            if !self.eat(W::Or) {
                break;
            }
        }
        self.expect(W::On)?;
        let outer = match &name.schema {
            Some(schema) => self.draft.schema.replace(schema.clone()),
            None => self.draft.schema.clone(),
        };
        self.table_object(Access::Ddl)?;
        self.draft.schema = outer;
        self.expect(W::For)?;
        self.expect(W::Each)?;
        self.expect(W::Row)?;
        if self.eat_any(&[W::Follows, W::Precedes]) {
            self.routine_name()?;
        }
        if self.eat(W::When) {
            self.nested(Self::expr)?;
        }
        self.body_in(name.schema)
    }

    fn event(&mut self, verb: Verb) -> Parse {
        // The server runs it on its own.
        self.draft.command(verb, Class::Admin);
        self.if_not_exists();
        let name = self.routine_name()?;
        self.draft
            .object(ObjectKind::Other, name.clone(), Access::Ddl);
        while !self.at_end() && !self.at(W::Do) {
            if self.eat_any(&[W::Every, W::At, W::Starts, W::Ends]) {
                self.expr()?;
                self.eat_unit();
            } else if self.eat_words(&[W::Rename, W::To]) {
                let renamed = self.routine_name()?;
                self.draft.object(ObjectKind::Other, renamed, Access::Ddl);
            } else if matches!(self.kind(), Kind::Word | Kind::Text) {
                self.at += 1;
            } else {
                return Err(Fault::Syntax);
            }
        }
        if self.eat(W::Do) {
            return self.body_in(name.schema);
        }
        Ok(())
    }
}
