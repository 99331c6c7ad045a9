//! Administration: KILL, FLUSH, RESET, PURGE, replication, plugins, maintenance.

use super::{Fault, Parse, Parser};
use crate::statement::facts::Name;
use crate::statement::mysql::token::Kind;
use crate::statement::mysql::word::Word as W;
use crate::vocabulary::{Access, Class, Egress, ObjectKind, Verb};

impl Parser<'_> {
    pub(super) fn administer(&mut self) -> Parse {
        let word = self.advance().word;
        match word {
            W::Kill => {
                self.draft.command(Verb::Kill, Class::Admin);
                self.eat_any(&[W::Hard, W::Soft]);
                self.eat_any(&[W::Connection, W::Query]);
                self.eat(W::Id);
                if self.eat(W::User) {
                    return self.account(Access::Refer);
                }
                self.expr()
            }
            W::Flush => self.flush(),
            W::Reset => self.reset(),
            W::Purge => {
                self.draft.command(Verb::Purge, Class::Admin);
                while !self.at_any(&[W::To, W::Before]) && !self.at_end() {
                    self.at += 1;
                }
                if self.at_end() {
                    return Ok(());
                }
                self.at += 1;
                self.expr()
            }
            W::Change | W::Stop | W::Slave => self.change_replication(),
            W::Install | W::Uninstall => self.install(),
            W::Clone => {
                self.draft.command(Verb::Clone, Class::Admin);
                self.draft.open_egress(Egress::Foreign);
                self.skip_rest()
            }
            W::Import => {
                self.draft.command(Verb::Import, Class::Admin);
                self.draft.open_egress(Egress::LoadInfile);
                self.skip_rest()
            }
            W::Shutdown | W::Restart => {
                self.draft.command(Verb::Shutdown, Class::Admin);
                self.skip_rest()
            }
            W::Binlog => {
                self.draft.command(Verb::Binlog, Class::Admin);
                self.skip_rest()
            }
            W::Cache => {
                self.expect(W::Index)?;
                self.draft.command(Verb::Check, Class::Utility);
                self.maintained_tables()
            }
            W::Check | W::Checksum | W::Repair | W::Optimize => {
                self.draft.command(Verb::Check, Class::Utility);
                self.maintained_tables()
            }
            W::Backup => {
                self.draft.command(Verb::Flush, Class::Admin);
                self.skip_rest()
            }
            W::Help => {
                self.draft.command(Verb::Show, Class::Session);
                self.any_word_or_text()
            }
            _ => Err(Fault::Syntax),
        }
    }

    fn flush(&mut self) -> Parse {
        self.draft.command(Verb::Flush, Class::Admin);
        self.eat_any(&[W::NoWriteToBinlog, W::Local]);
        if self.eat_any(&[W::Table, W::Tables]) {
            if self.at_ident() && !self.at(W::With) {
                self.table_objects(Access::Refer)?;
            }
            if self.at_end() {
                return Ok(());
            }
            if self.eat(W::For) {
                self.expect(W::Export)?;
                return Ok(());
            }
            self.expect(W::With)?;
            self.expect(W::Read)?;
            self.expect(W::Lock)?;
            self.eat_words(&[W::And, W::Disable, W::Checkpoint]);
            return Ok(());
        }
        self.skip_rest()
    }

    fn reset(&mut self) -> Parse {
        self.draft.command(Verb::Reset, Class::Admin);
        if self.eat(W::Persist) {
            if self.eat_words(&[W::If, W::Exists]) || self.at_ident() {
                self.named_object(ObjectKind::Setting, Access::Ddl)?;
                if self.eat_kind(Kind::Dot) {
                    self.named_object(ObjectKind::Setting, Access::Ddl)?;
                }
                return Ok(());
            }
            return Ok(());
        }
        self.skip_rest()
    }

    /// CHANGE REPLICATION SOURCE, CHANGE MASTER, START and STOP of replicas.
    pub(super) fn change_replication(&mut self) -> Parse {
        self.draft.command(Verb::ChangeReplication, Class::Admin);
        self.draft.open_egress(Egress::Foreign);
        self.skip_rest()
    }

    /// INSTALL and UNINSTALL of plugins, components and libraries.
    pub(super) fn install(&mut self) -> Parse {
        self.draft.command(Verb::Install, Class::Admin);
        self.draft.open_egress(Egress::Code);
        if self.eat(W::Component) {
            self.list(|parser| parser.other_object(ObjectKind::Extension, Access::Ddl))?;
            if self.eat(W::Set) {
                return self.skip_rest();
            }
            return Ok(());
        }
        if self.eat(W::Soname) {
            self.if_exists();
            return self.other_object(ObjectKind::Extension, Access::Ddl);
        }
        self.expect(W::Plugin)?;
        self.if_exists();
        self.if_not_exists();
        self.named_object(ObjectKind::Extension, Access::Ddl)?;
        if self.eat(W::Soname) {
            self.text_literal()?;
        }
        Ok(())
    }

    /// Tables that are checked, repaired, analysed; the options behind them name nothing.
    pub(super) fn maintained_tables(&mut self) -> Parse {
        self.eat_any(&[W::NoWriteToBinlog, W::Local]);
        if self.eat(W::View) {
            self.draft.raise(Class::Utility);
        } else if !self.eat_any(&[W::Table, W::Tables]) && !self.at_ident() {
            return Err(Fault::Syntax);
        }
        self.list(|parser| {
            parser.table_object(Access::Refer)?;
            if parser.eat(W::Partition) {
                parser.skip_brackets()?;
            }
            if parser.eat_any(&[W::Index, W::Key, W::Keys]) {
                parser.skip_brackets()?;
            }
            parser.eat_words(&[W::Ignore, W::Leaves]);
            Ok(())
        })?;
        self.skip_rest()
    }

    /// CREATE, ALTER, DROP SERVER.
    pub(super) fn server(&mut self, verb: Verb) -> Parse {
        self.draft.command(verb, Class::Ddl);
        self.draft.open_egress(Egress::Foreign);
        self.if_exists();
        self.if_not_exists();
        let token = self.token();
        let name = if token.kind.is_text() {
            self.at += 1;
            super::names::string_content(token.bytes(self.text))
        } else {
            self.ident()?
        };
        self.draft.object(
            ObjectKind::Foreign,
            Name { schema: None, name },
            Access::Ddl,
        );
        self.skip_rest()
    }

    /// CREATE FUNCTION … SONAME: code of a library.
    pub(super) fn loadable_function(&mut self) -> Parse {
        self.draft.raise(Class::Admin);
        self.draft.open_egress(Egress::Code);
        self.skip_rest()
    }

    /// Something of the server that has a name: tablespaces, log file groups, resource groups.
    pub(super) fn server_ddl(&mut self, verb: Verb, kind: ObjectKind) -> Parse {
        self.draft.command(verb, Class::Admin);
        self.if_exists();
        self.if_not_exists();
        if matches!(self.kind(), Kind::Word | Kind::Quoted | Kind::Name) {
            self.named_object(kind, Access::Ddl)?;
        }
        self.skip_rest()
    }
}
