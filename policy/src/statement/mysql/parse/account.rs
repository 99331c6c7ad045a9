//! GRANT and REVOKE, users and roles.

use super::{Fault, Parse, Parser};
use crate::statement::facts::Name;
use crate::statement::mysql::token::Kind;
use crate::statement::mysql::word::Word as W;
use crate::vocabulary::{Access, Class, ColumnUse, ObjectKind, Verb};

impl Parser<'_> {
    pub(super) fn grant(&mut self) -> Parse {
        self.expect(W::Grant)?;
        self.draft.command(Verb::Grant, Class::Dcl);
        if self.eat(W::Proxy) {
            self.expect(W::On)?;
            self.account(Access::Dcl)?;
            self.expect(W::To)?;
        } else if self.privileges()? {
            self.granted_on()?;
            self.expect(W::To)?;
        } else {
            self.roles_before(W::To)?;
        }
        self.list(|parser| {
            parser.account(Access::Dcl)?;
            parser.authentication()
        })?;
        self.account_options()
    }

    pub(super) fn revoke(&mut self) -> Parse {
        self.expect(W::Revoke)?;
        self.draft.command(Verb::Revoke, Class::Dcl);
        self.if_exists();
        if self.eat(W::Proxy) {
            self.expect(W::On)?;
            self.account(Access::Dcl)?;
        } else if self.privileges()? {
            self.granted_on()?;
        } else {
            self.roles_before(W::From)?;
            return self.revoked_from();
        }
        self.expect(W::From)?;
        self.revoked_from()
    }

    fn revoked_from(&mut self) -> Parse {
        self.list(|parser| parser.account(Access::Dcl))?;
        if self.eat(W::Ignore) {
            self.expect(W::Unknown)?;
            self.expect(W::User)?;
        }
        Ok(())
    }

    /// Passes privileges up to ON; `false`, and nothing passed, if these are roles.
    fn privileges(&mut self) -> Parse<bool> {
        let start = self.at;
        let mut columns: Vec<Box<str>> = Vec::new();
        loop {
            match self.kind() {
                Kind::Word if self.at(W::On) => break,
                Kind::Word if self.at_any(&[W::To, W::From]) => {
                    self.at = start;
                    return Ok(false);
                }
                Kind::Word
                | Kind::Comma
                | Kind::Quoted
                | Kind::Text
                | Kind::UserVar
                | Kind::Introducer => self.at += 1,
                Kind::Open => {
                    self.at += 1;
                    self.list(|parser| {
                        columns.push(parser.folded_ident()?);
                        Ok(())
                    })?;
                    self.expect_kind(Kind::Close)?;
                }
                _ => return Err(Fault::Syntax),
            }
        }
        for column in columns {
            self.draft.usage.0 = ColumnUse::Read;
            self.draft.column_of(None, column);
        }
        self.expect(W::On)?;
        Ok(true)
    }

    /// `*`, `*.*`, `db.*`, `[TABLE] db.table`, `PROCEDURE db.p`.
    fn granted_on(&mut self) -> Parse {
        let routine = self.eat_any(&[W::Function, W::Procedure, W::Package, W::Library]);
        self.eat(W::Body);
        if routine {
            return self.routine_object(Access::Dcl);
        }
        if self.at(W::Table) {
            self.at += 1;
        }
        if self.eat_kind(Kind::Star) {
            if self.eat_kind(Kind::Dot) {
                self.expect_kind(Kind::Star)?;
            }
            self.server_object(ObjectKind::Schema, "*", Access::Dcl);
            return Ok(());
        }
        if self.at_ident() && self.kind_at(1) == Kind::Dot && self.kind_at(2) == Kind::Star {
            self.schema_object(Access::Dcl)?;
            self.at += 2;
            return Ok(());
        }
        self.table_object(Access::Dcl).map(|_| ())
    }

    fn roles_before(&mut self, end: W) -> Parse {
        // `ALL PRIVILEGES, GRANT OPTION FROM user`, or roles.
        while !self.at(end) {
            if self.at_end() {
                return Err(Fault::Syntax);
            }
            if self.eat_kind(Kind::Comma) || self.at_any(&[W::All, W::Grant]) {
                self.at += usize::from(self.at_any(&[W::All, W::Grant]));
                self.eat_any(&[W::Privileges, W::Option]);
                continue;
            }
            if self.eat_words(&[W::Admin, W::Option, W::For]) {
                continue;
            }
            self.account(Access::Dcl)?;
        }
        self.expect(end)
    }

    /// IDENTIFIED BY, VIA, WITH …; MySQL's further factors.
    fn authentication(&mut self) -> Parse {
        loop {
            if self.eat(W::Identified) {
                self.identified()?;
            } else if self.at_any(&[W::Discard]) {
                self.at += 3;
            } else if self.eat_any(&[W::Add, W::Modify, W::Drop]) {
                if !matches!(self.kind(), Kind::Integer) {
                    return Err(Fault::Syntax);
                }
                self.at += 1;
                self.expect(W::Factor)?;
            } else if matches!(self.kind(), Kind::Integer) && self.word_at(1) == W::Factor {
                self.at += 2;
                while self.at_any(&[
                    W::Initiate,
                    W::Finish,
                    W::Unregister,
                    W::Registration,
                    W::Set,
                    W::Challenge,
                ]) {
                    self.at += 1;
                }
                if self.eat(W::As) {
                    self.text_literal()?;
                }
            } else if self.at(W::And) && self.word_at(1) == W::Identified {
                self.at += 1;
            } else if self.at_words(&[W::Initial, W::Authentication]) {
                self.at += 2;
            } else {
                return Ok(());
            }
        }
    }

    fn identified(&mut self) -> Parse {
        if self.eat(W::By) {
            if self.eat(W::Random) {
                self.expect(W::Password)?;
            } else {
                self.eat(W::Password);
                self.secret_text()?;
            }
        } else {
            if !self.eat_any(&[W::With, W::Via]) {
                return Err(Fault::Syntax);
            }
            loop {
                self.any_word_or_text()?;
                if self.eat(W::By) {
                    if self.eat(W::Random) {
                        self.expect(W::Password)?;
                    } else {
                        self.secret_text()?;
                    }
                } else if self.eat_any(&[W::As, W::Using]) {
                    if self.kind().is_text() || self.kind() == Kind::Hex {
                        self.at += 1;
                    } else {
                        self.any_word()?;
                        self.expect_kind(Kind::Open)?;
                        self.text_literal()?;
                        self.expect_kind(Kind::Close)?;
                    }
                }
                if !self.eat(W::Or) {
                    break;
                }
            }
        }
        if self.eat(W::Replace) {
            self.text_literal()?;
        }
        if self.eat(W::Retain) {
            self.expect(W::Current)?;
            self.expect(W::Password)?;
        }
        Ok(())
    }

    fn secret_text(&mut self) -> Parse {
        if self.kind() == Kind::Hex || self.kind() == Kind::Param {
            self.at += 1;
            return Ok(());
        }
        self.text_literal().map(|_| ())
    }

    /// REQUIRE, WITH, PASSWORD …, ACCOUNT …, COMMENT, ATTRIBUTE, AS … WITH ROLE: no objects but roles.
    fn account_options(&mut self) -> Parse {
        while !self.at_end() {
            if self.eat_words(&[W::Default, W::Role]) {
                if !self.eat_any(&[W::All, W::Nothing]) {
                    self.list(|parser| parser.account(Access::Refer))?;
                }
                continue;
            }
            match self.kind() {
                Kind::Word
                | Kind::Text
                | Kind::Integer
                | Kind::Comma
                | Kind::UserVar
                | Kind::Quoted
                | Kind::Hex
                | Kind::Minus
                | Kind::Eq => {
                    self.at += 1;
                }
                Kind::Open => self.skip_brackets()?,
                _ => return Err(Fault::Syntax),
            }
        }
        Ok(())
    }

    pub(super) fn create_user(&mut self) -> Parse {
        self.draft.command(Verb::Create, Class::Dcl);
        self.if_not_exists();
        self.users_with_authentication()
    }

    pub(super) fn alter_user(&mut self) -> Parse {
        self.draft.command(Verb::Alter, Class::Dcl);
        self.if_exists();
        // USER() is the session's own.
        if self.kind() == Kind::Open || (self.at(W::User) && self.kind_at(1) == Kind::Open) {
            self.eat(W::User);
            self.skip_brackets()?;
            self.authentication()?;
            return self.account_options();
        }
        self.users_with_authentication()
    }

    fn users_with_authentication(&mut self) -> Parse {
        self.list(|parser| {
            if parser.at(W::User) && parser.kind_at(1) == Kind::Open {
                parser.at += 1;
                parser.skip_brackets()?;
            } else {
                parser.account(Access::Ddl)?;
            }
            parser.authentication()
        })?;
        self.account_options()
    }

    pub(super) fn create_role(&mut self) -> Parse {
        self.draft.command(Verb::Create, Class::Dcl);
        self.if_not_exists();
        self.list(|parser| parser.account(Access::Ddl))?;
        if self.eat_words(&[W::With, W::Admin]) {
            self.account(Access::Refer)?;
        }
        Ok(())
    }

    pub(super) fn drop_accounts(&mut self) -> Parse {
        self.draft.command(Verb::Drop, Class::Dcl);
        self.if_exists();
        self.list(|parser| parser.account(Access::Ddl))
    }

    /// A name of the kind that only administration knows.
    pub(super) fn named_object(&mut self, kind: ObjectKind, access: Access) -> Parse {
        let name = self.any_word()?;
        self.draft.object(kind, Name { schema: None, name }, access);
        Ok(())
    }
}
