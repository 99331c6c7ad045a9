//! SET.

use super::{Fault, Parse, Parser};
use crate::statement::facts::{Name, SessionEffect};
use crate::statement::mysql::token::Kind;
use crate::statement::mysql::word::Word as W;
use crate::vocabulary::{Access, Class, ColumnUse, ObjectKind, Verb};

/// What a variable belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    Session,
    Server,
    /// A user variable, or one of a routine.
    Value,
}

impl Parser<'_> {
    pub(super) fn set(&mut self) -> Parse {
        self.expect(W::Set)?;
        if self.is_mariadb() && self.eat(W::Statement) {
            return self.set_statement();
        }
        if self.at(W::Password) {
            return self.set_password();
        }
        self.draft.command(Verb::Set, Class::Session);
        match self.word() {
            W::Role => return self.set_role(),
            W::Default if self.word_at(1) == W::Role => return self.set_default_role(),
            W::Resource if self.word_at(1) == W::Group => return self.skip_rest(),
            _ => {}
        }
        self.draft.open_frame(false);
        self.list(Self::set_item)?;
        self.draft.close_frame();
        Ok(())
    }

    /// MariaDB: `SET STATEMENT a = 1, … FOR statement`: the settings hold for that statement.
    fn set_statement(&mut self) -> Parse {
        let mut reading = false;
        self.list(|parser| {
            let name = parser.any_word()?;
            if parser.eat_kind(Kind::Dot) {
                parser.any_word()?;
            }
            if !parser.eat_kind(Kind::Eq) && !parser.eat_kind(Kind::Assign) {
                return Err(Fault::Syntax);
            }
            reading |= is_reading(&name);
            let start = parser.at;
            parser.set_value()?;
            let value = parser.constant(start);
            parser.draft.effect(SessionEffect::Set {
                name,
                value,
                local: true,
            });
            Ok(())
        })?;
        self.expect(W::For)?;
        // The statement itself has been read by the time that the settings change; texts inside it have not.
        let plain = self.at_any(&[
            W::Select,
            W::Insert,
            W::Replace,
            W::Update,
            W::Delete,
            W::Alter,
        ]) || self.at_words(&[W::Create, W::Table]);
        if reading && !plain {
            return Err(Fault::Unsettled);
        }
        self.statement()?;
        self.draft.command(Verb::Set, Class::Session);
        Ok(())
    }

    /// One assignment, or NAMES, CHARACTER SET, TRANSACTION.
    fn set_item(&mut self) -> Parse {
        if self.kind() == Kind::UserVar {
            self.at += 1;
            self.assign_sign()?;
            return self.using(ColumnUse::Read, Self::expr);
        }
        if self.kind() == Kind::AtAt {
            let (scope, name) = self.scoped_variable()?;
            return self.set_variable(scope, name);
        }
        if self.at(W::Names) && self.kind_at(1) != Kind::Eq && self.kind_at(1) != Kind::Assign {
            self.at += 1;
            let value = self.charset_name()?;
            if self.eat(W::Collate) {
                self.charset_name()?;
            }
            self.reading_effect("names", value);
            return Ok(());
        }
        let charset = (self.at(W::Charset) && self.kind_at(1) != Kind::Eq)
            || (self.at_any(&[W::Character, W::Char]) && self.word_at(1) == W::Set);
        if charset {
            self.at += if self.at(W::Charset) { 1 } else { 2 };
            let value = self.charset_name()?;
            self.reading_effect("character_set", value);
            return Ok(());
        }
        let mut scope = Scope::Session;
        if self.at_any(&[W::Global, W::Persist, W::PersistOnly, W::Session, W::Local])
            && !matches!(self.kind_at(1), Kind::Eq | Kind::Assign | Kind::Dot)
        {
            if !matches!(self.advance().word, W::Session | W::Local) {
                scope = Scope::Server;
            }
            if self.kind() == Kind::AtAt {
                self.at += 1;
            }
        }
        if self.at(W::Transaction) && !matches!(self.kind_at(1), Kind::Eq | Kind::Assign) {
            return self.set_transaction(scope);
        }
        let name = self.any_word()?;
        let name = if self.eat_kind(Kind::Dot) {
            let last = self.any_word()?;
            if matches!(&*name, "new" | "old") {
                scope = Scope::Value;
                last
            } else {
                format!("{name}.{last}").into()
            }
        } else {
            name
        };
        self.set_variable(scope, name)
    }

    /// `@@global.name` and its like.
    fn scoped_variable(&mut self) -> Parse<(Scope, Box<str>)> {
        let (own, name) = self.system_variable()?;
        let scope = if own { Scope::Session } else { Scope::Server };
        Ok((scope, name))
    }

    fn assign_sign(&mut self) -> Parse {
        if self.eat_kind(Kind::Eq) || self.eat_kind(Kind::Assign) {
            Ok(())
        } else {
            Err(Fault::Syntax)
        }
    }

    fn set_variable(&mut self, scope: Scope, name: Box<str>) -> Parse {
        self.assign_sign()?;
        let start = self.at;
        self.set_value()?;
        match scope {
            Scope::Value => {}
            Scope::Server => {
                self.draft.raise(Class::Admin);
                self.server_object(ObjectKind::Setting, &name, Access::Ddl);
            }
            Scope::Session => {
                if self.is_unchanged(start, &name) {
                    return Ok(());
                }
                let value = self.constant(start);
                self.draft.effect(SessionEffect::Set {
                    name,
                    value,
                    local: false,
                });
            }
        }
        Ok(())
    }

    /// An expression, or one of the words that are values.
    fn set_value(&mut self) -> Parse {
        let ends = |kind| matches!(kind, Kind::Comma | Kind::End | Kind::Semicolon);
        if self.at_any(&[W::On, W::All, W::Binary, W::Row, W::Default, W::Ignore])
            && ends(self.kind_at(1))
        {
            self.at += 1;
            return Ok(());
        }
        // A bare word is a value here, not a column.
        let word = matches!(self.kind(), Kind::Word | Kind::Quoted | Kind::Name);
        if word && ends(self.kind_at(1)) {
            self.at += 1;
            return Ok(());
        }
        if word && self.word_at(1) == W::For && self.is_mariadb() {
            self.at += 1;
            return Ok(());
        }
        self.using(ColumnUse::Read, Self::expr)
    }

    /// The value that was just read, if it is a constant.
    fn constant(&self, start: usize) -> Option<Box<str>> {
        let [token] = self.tokens.get(start..self.at)? else {
            return None;
        };
        let bytes = token.bytes(self.text);
        match token.kind {
            Kind::Text if !bytes.contains(&b'\\') => Some(super::names::string_content(bytes)),
            Kind::Integer | Kind::Decimal | Kind::Word | Kind::Name | Kind::Quoted
                if token.word != W::Default =>
            {
                self.spelling(*token).ok().map(Into::into)
            }
            _ => None,
        }
    }

    /// Whether a variable is set to what it is.
    fn is_unchanged(&self, start: usize, name: &str) -> bool {
        let tokens = self.tokens.get(start..self.at).unwrap_or_default();
        let named = |token: &crate::statement::mysql::token::Token, name: &str| {
            token.bytes(self.text).eq_ignore_ascii_case(name.as_bytes())
        };
        match tokens {
            [at, variable] => at.kind == Kind::AtAt && named(variable, name),
            [at, scope, _, variable] => {
                at.kind == Kind::AtAt
                    && (named(scope, "session") || named(scope, "local"))
                    && named(variable, name)
            }
            _ => false,
        }
    }

    fn reading_effect(&mut self, name: &str, value: Option<Box<str>>) {
        self.draft.effect(SessionEffect::Set {
            name: name.into(),
            value,
            local: false,
        });
    }

    fn set_transaction(&mut self, scope: Scope) -> Parse {
        self.at += 1;
        if scope == Scope::Server {
            self.draft.raise(Class::Admin);
            self.server_object(ObjectKind::Setting, "transaction_isolation", Access::Ddl);
        }
        self.list(|parser| {
            if parser.eat(W::Read) {
                parser.at += 1;
                return Ok(());
            }
            parser.expect(W::Isolation)?;
            parser.expect(W::Level)?;
            if parser.eat_any(&[W::Read, W::Repeatable]) {
                parser.at += 1;
                return Ok(());
            }
            parser.expect(W::Serializable)
        })
    }

    fn set_password(&mut self) -> Parse {
        self.at += 1;
        self.draft.command(Verb::Alter, Class::Dcl);
        if self.eat(W::For) {
            self.account(Access::Ddl)?;
        }
        if self.eat(W::To) {
            self.expect(W::Random)?;
        } else {
            self.assign_sign()?;
            if self.kind().is_text() {
                self.text_literal()?;
            } else {
                self.any_word()?;
                self.expect_kind(Kind::Open)?;
                self.text_literal()?;
                self.expect_kind(Kind::Close)?;
            }
        }
        self.skip_rest()
    }

    fn set_role(&mut self) -> Parse {
        self.at += 1;
        let start = self.at;
        if self.eat_any(&[W::Nothing, W::All, W::Default]) {
            if self.eat(W::Except) {
                self.list(|parser| parser.account(Access::Refer))?;
            }
        } else {
            self.list(|parser| parser.account(Access::Refer))?;
        }
        let value = self.constant(start);
        self.reading_effect("role", value);
        Ok(())
    }

    fn set_default_role(&mut self) -> Parse {
        self.at += 2;
        self.draft.command(Verb::Grant, Class::Dcl);
        self.list(|parser| parser.account(Access::Dcl))?;
        if self.eat_any(&[W::To, W::For]) {
            self.list(|parser| parser.account(Access::Dcl))?;
        }
        Ok(())
    }

    /// Notes an account or role.
    pub(super) fn account(&mut self, access: Access) -> Parse {
        let token = self.token();
        if self.eat_any(&[W::CurrentUser, W::CurrentRole]) {
            if self.kind() == Kind::Open {
                self.skip_brackets()?;
            }
            return Ok(());
        }
        let mut name: String = if token.kind.is_text() {
            self.at += 1;
            super::names::string_content(token.bytes(self.text)).into()
        } else if matches!(
            token.kind,
            Kind::Word | Kind::Name | Kind::Quoted | Kind::Introducer
        ) {
            self.at += 1;
            self.spelling(token)?.into()
        } else {
            return Err(Fault::Syntax);
        };
        let host = self.token();
        if host.kind == Kind::UserVar {
            self.at += 1;
            let bytes = host.bytes(self.text).get(1..).unwrap_or_default();
            let quoted = matches!(bytes.first(), Some(b'\'' | b'"' | b'`'));
            let written = match bytes.first() {
                Some(b'`') => String::from_utf8_lossy(bytes).trim_matches('`').into(),
                _ if quoted => super::names::string_content(bytes),
                _ => String::from_utf8_lossy(bytes).into(),
            };
            name.push('@');
            name.push_str(&written);
        }
        self.draft.object(
            ObjectKind::Role,
            Name {
                schema: None,
                name: name.into(),
            },
            access,
        );
        Ok(())
    }
}

/// Variables on which the reading of texts depends.
pub(in crate::statement::mysql) fn is_reading(name: &str) -> bool {
    matches!(
        name,
        "sql_mode" | "character_set_client" | "names" | "character_set"
    )
}
