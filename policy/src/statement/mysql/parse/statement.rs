//! Which statement it is.

use super::query::Place;
use super::{Fault, Parse, Parser};
use crate::statement::facts::{Name, SessionEffect};
use crate::statement::mysql::token::Kind;
use crate::statement::mysql::word::Word as W;
use crate::vocabulary::{Access, Class, ObjectKind, Verb};

impl Parser<'_> {
    /// One statement, without what separates it from the next.
    pub(super) fn statement(&mut self) -> Parse {
        self.nested(Self::one_statement)
    }

    fn one_statement(&mut self) -> Parse {
        match self.word() {
            W::Select | W::Table => self.query_statement(Place::Whole),
            W::Values | W::Value => self.query_statement(Place::Whole),
            W::With => self.with_statement(),
            W::Insert | W::Replace => self.insert(),
            W::Update => self.update(),
            W::Delete => self.delete(),
            W::Load => self.load(),
            W::Handler => self.handler(),
            W::Set => self.set(),
            W::Show => self.show(),
            W::Use => self.use_database(),
            W::Explain | W::Describe | W::Desc => self.explain(),
            W::Analyze => self.analyze(),
            W::Call => self.call_statement(),
            W::Do => self.do_statement(),
            W::Create => self.create(),
            W::Alter => self.alter(),
            W::Drop => self.drop(),
            W::Rename => self.rename(),
            W::Truncate => self.truncate(),
            W::Grant => self.grant(),
            W::Revoke => self.revoke(),
            W::Begin | W::Start | W::Commit | W::Rollback | W::Savepoint | W::Release | W::Xa => {
                self.transaction()
            }
            W::Lock | W::Unlock => self.lock(),
            W::Prepare | W::Execute | W::Deallocate => self.prepared(),
            W::Kill
            | W::Flush
            | W::Reset
            | W::Purge
            | W::Change
            | W::Stop
            | W::Slave
            | W::Install
            | W::Uninstall
            | W::Clone
            | W::Import
            | W::Shutdown
            | W::Restart
            | W::Binlog
            | W::Cache
            | W::Check
            | W::Checksum
            | W::Repair
            | W::Optimize
            | W::Backup
            | W::Help => self.administer(),
            W::Signal | W::Resignal | W::Get => self.diagnostics(),
            W::If | W::Case | W::Loop | W::While | W::Repeat | W::For if self.is_mariadb() => {
                self.compound()
            }
            _ if self.kind() == Kind::Open => self.query_statement(Place::Whole),
            _ => Err(Fault::Syntax),
        }
    }

    /// WITH before SELECT, UPDATE, DELETE.
    fn with_statement(&mut self) -> Parse {
        let start = self.at;
        // What comes behind the list says what it is.
        let mut depth = 0_u32;
        let mut leader = W::None;
        for token in self.tokens.get(start..).unwrap_or_default() {
            match token.kind {
                Kind::Open => depth += 1,
                Kind::Close => depth = depth.saturating_sub(1),
                Kind::Semicolon | Kind::End if depth == 0 => break,
                Kind::Word
                    if depth == 0
                        && matches!(
                            token.word,
                            W::Select
                                | W::Update
                                | W::Delete
                                | W::Insert
                                | W::Replace
                                | W::Values
                                | W::Table
                        ) =>
                {
                    leader = token.word;
                    break;
                }
                _ => {}
            }
        }
        match leader {
            W::Update | W::Delete => {
                let (verb, class) = if leader == W::Update {
                    (Verb::Update, Class::Write)
                } else {
                    (Verb::Delete, Class::Write)
                };
                self.draft.command(verb, class);
                let mark = self.draft.ctes.len();
                self.with_clause()?;
                if leader == W::Update {
                    self.update()?
                } else {
                    self.delete()?
                }
                self.draft.ctes.truncate(mark);
                Ok(())
            }
            _ => self.query_statement(Place::Whole),
        }
    }

    fn use_database(&mut self) -> Parse {
        self.expect(W::Use)?;
        self.draft.command(Verb::Use, Class::Session);
        let name = self.schema_object(Access::Refer)?;
        self.draft.effect(SessionEffect::Use(name));
        Ok(())
    }

    /// EXPLAIN, DESCRIBE: of a table, of a statement, of a connection.
    fn explain(&mut self) -> Parse {
        let first = self.advance().word;
        self.draft.command(Verb::Explain, Class::Read);
        let mut runs = false;
        loop {
            if self.eat(W::Analyze) {
                runs = true;
            } else if self.at_any(&[W::Extended, W::Partitions]) && !self.is_table_end(1) {
                self.at += 1;
            } else if self.at(W::Format) && self.kind_at(1) == Kind::Eq {
                self.at += 2;
                self.any_word_or_text()?;
            } else if self.at(W::Into) {
                self.at += 1;
                self.expect_kind(Kind::UserVar)?;
            } else {
                break;
            }
        }
        if self.at(W::For) {
            self.at += 1;
            if self.eat(W::Connection) {
                return self.expr();
            }
            if !self.eat_any(&[W::Schema, W::Database]) {
                return Err(Fault::Syntax);
            }
            self.schema_object(Access::Refer)?;
        }
        let explained = self.at_any(&[
            W::Select,
            W::Insert,
            W::Replace,
            W::Update,
            W::Delete,
            W::With,
            W::Values,
        ]) || self.at(W::Table)
            || self.kind() == Kind::Open
            || (first != W::None && self.at_any(&[W::Analyze]));
        if explained {
            let before = self.draft.dormant;
            self.draft.dormant = before || !runs;
            let result = self.statement();
            self.draft.dormant = before;
            return result;
        }
        let table = self.table_object(Access::Read)?;
        if !self.at_end() {
            if self.kind().is_text() {
                self.at += 1;
            } else {
                let column = self.folded_ident()?;
                self.draft.column_of(Some(table), column);
            }
        }
        Ok(())
    }

    fn is_table_end(&self, ahead: usize) -> bool {
        matches!(self.kind_at(ahead), Kind::End | Kind::Semicolon | Kind::Dot)
    }

    pub(super) fn any_word_or_text(&mut self) -> Parse {
        if self.kind().is_text() {
            self.at += 1;
            return Ok(());
        }
        self.any_word().map(|_| ())
    }

    /// ANALYZE TABLE; MariaDB's ANALYZE of a statement, which runs it.
    fn analyze(&mut self) -> Parse {
        let next = self.word_at(1);
        let table = matches!(next, W::Table | W::Tables)
            || (matches!(next, W::NoWriteToBinlog | W::Local)
                && matches!(self.word_at(2), W::Table | W::Tables));
        if table {
            self.at += 1;
            self.draft.command(Verb::Analyze, Class::Utility);
            return self.maintained_tables();
        }
        if !self.is_mariadb() {
            return Err(Fault::Syntax);
        }
        self.at += 1;
        self.draft.command(Verb::Explain, Class::Read);
        if self.at(W::Format) && self.kind_at(1) == Kind::Eq {
            self.at += 2;
            self.any_word_or_text()?;
        }
        self.statement()
    }

    fn do_statement(&mut self) -> Parse {
        self.expect(W::Do)?;
        self.draft.command(Verb::Do, Class::Read);
        self.draft.open_frame(false);
        self.list(|parser| {
            parser.expr()?;
            parser.alias()
        })?;
        self.draft.close_frame();
        Ok(())
    }

    fn truncate(&mut self) -> Parse {
        self.expect(W::Truncate)?;
        self.draft.command(Verb::Truncate, Class::Write);
        self.eat(W::Table);
        self.table_object(Access::Delete)?;
        self.lock_options()
    }

    /// MariaDB: WAIT n, NOWAIT.
    pub(super) fn lock_options(&mut self) -> Parse {
        if self.eat(W::Wait) {
            self.at += 1;
        } else {
            self.eat(W::Nowait);
        }
        Ok(())
    }

    /// RENAME TABLE, RENAME USER.
    fn rename(&mut self) -> Parse {
        self.expect(W::Rename)?;
        if self.eat(W::User) {
            self.draft.command(Verb::Alter, Class::Dcl);
            return self.list(|parser| {
                parser.account(Access::Ddl)?;
                parser.expect(W::To)?;
                parser.account(Access::Ddl)
            });
        }
        if !self.eat_any(&[W::Table, W::Tables]) {
            return Err(Fault::Syntax);
        }
        self.draft.command(Verb::Alter, Class::Ddl);
        self.if_exists();
        self.list(|parser| {
            parser.table_object(Access::Ddl)?;
            parser.lock_options()?;
            parser.expect(W::To)?;
            parser.table_object(Access::Ddl).map(|_| ())
        })
    }

    fn transaction(&mut self) -> Parse {
        match self.word() {
            W::Begin => {
                if self.word_at(1) == W::Not {
                    return self.compound();
                }
                self.at += 1;
                self.eat(W::Work);
                self.draft.command(Verb::Begin, Class::Tcl);
                Ok(())
            }
            W::Start => {
                self.at += 1;
                if self.at_any(&[W::Replica, W::Slave, W::GroupReplication, W::All]) {
                    return self.change_replication();
                }
                self.expect(W::Transaction)?;
                self.draft.command(Verb::Begin, Class::Tcl);
                if !self.at_end() {
                    self.list(|parser| {
                        if parser.eat(W::Read) {
                            if !parser.eat_any(&[W::Only, W::Write]) {
                                return Err(Fault::Syntax);
                            }
                            return Ok(());
                        }
                        parser.expect(W::With)?;
                        parser.expect(W::Consistent)?;
                        parser.expect(W::Snapshot)
                    })?;
                }
                Ok(())
            }
            W::Commit => {
                self.at += 1;
                self.draft.command(Verb::Commit, Class::Tcl);
                self.chain()
            }
            W::Rollback => {
                self.at += 1;
                self.eat(W::Work);
                if self.eat(W::To) {
                    self.draft.command(Verb::Savepoint, Class::Tcl);
                    self.eat(W::Savepoint);
                    return self.ident().map(|_| ());
                }
                self.draft.command(Verb::Rollback, Class::Tcl);
                self.chain()
            }
            W::Savepoint => {
                self.at += 1;
                self.draft.command(Verb::Savepoint, Class::Tcl);
                self.ident().map(|_| ())
            }
            W::Release => {
                self.at += 1;
                self.draft.command(Verb::Savepoint, Class::Tcl);
                self.expect(W::Savepoint)?;
                self.ident().map(|_| ())
            }
            _ => {
                self.expect(W::Xa)?;
                self.draft.command(Verb::PrepareTransaction, Class::Tcl);
                self.skip_rest()
            }
        }
    }

    /// `[WORK] [AND [NO] CHAIN] [[NO] RELEASE]`
    fn chain(&mut self) -> Parse {
        self.eat(W::Work);
        if self.eat(W::And) {
            self.eat(W::No);
            self.expect(W::Chain)?;
        }
        if self.eat(W::No) {
            return self.expect(W::Release);
        }
        self.eat(W::Release);
        Ok(())
    }

    fn lock(&mut self) -> Parse {
        let unlocks = self.advance().word == W::Unlock;
        if self.eat(W::Instance) || self.eat_words(&[W::Binlog]) {
            self.draft.command(Verb::Lock, Class::Admin);
            return self.skip_rest();
        }
        if !self.eat_any(&[W::Table, W::Tables]) {
            return Err(Fault::Syntax);
        }
        self.draft.command(Verb::Lock, Class::Utility);
        if unlocks {
            return Ok(());
        }
        self.list(|parser| {
            parser.table_object(Access::Refer)?;
            if !parser.at_any(&[W::Read, W::Write, W::LowPriority, W::Concurrent]) {
                parser.alias()?;
            }
            parser.eat_any(&[W::LowPriority, W::Concurrent]);
            if parser.eat(W::Read) {
                parser.eat(W::Local);
                return Ok(());
            }
            parser.expect(W::Write)?;
            parser.eat(W::Concurrent);
            Ok(())
        })?;
        self.lock_options()
    }

    /// SIGNAL, RESIGNAL, GET DIAGNOSTICS.
    fn diagnostics(&mut self) -> Parse {
        let word = self.advance().word;
        if word == W::Get {
            self.eat_any(&[W::Current, W::Stacked]);
            self.expect(W::Diagnostics)?;
            self.draft.command(Verb::Show, Class::Session);
        } else {
            self.draft.command(Verb::Do, Class::Session);
        }
        self.skip_rest()
    }

    /// MariaDB: a compound statement that runs at once.
    fn compound(&mut self) -> Parse {
        self.draft.command(Verb::Do, Class::Write);
        let before = std::mem::replace(&mut self.draft.in_body, true);
        let result = self.body();
        self.draft.in_body = before;
        self.draft.effect(SessionEffect::MayChangeSettings);
        result
    }

    /// Notes something of the server itself.
    pub(super) fn server_object(&mut self, kind: ObjectKind, name: &str, access: Access) {
        self.draft.object(
            kind,
            Name {
                schema: None,
                name: name.into(),
            },
            access,
        );
    }
}
