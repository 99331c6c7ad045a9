//! INSERT, REPLACE, UPDATE, DELETE, LOAD, HANDLER.

use super::query::Place;
use super::{Fault, Parse, Parser};
use crate::statement::facts::{Name, SessionEffect};
use crate::statement::mysql::literal;
use crate::statement::mysql::token::Kind;
use crate::statement::mysql::truth;
use crate::statement::mysql::word::Word as W;
use crate::vocabulary::{Access, Class, ColumnUse, Egress, ObjectKind, Verb, WhereShape};

/// What DELETE names: a table or an alias, with a database if it says one.
type Target = (Option<Box<str>>, Box<str>);

impl Parser<'_> {
    /// INSERT and REPLACE.
    pub(super) fn insert(&mut self) -> Parse {
        let replaces = self.at(W::Replace);
        self.at += 1;
        self.draft.command(Verb::Insert, Class::Write);
        self.eat_any(&[W::LowPriority, W::Delayed, W::HighPriority]);
        self.eat(W::Ignore);
        self.eat(W::Into);
        let target = self.table_object(Access::Insert)?;
        if replaces {
            self.draft
                .object(ObjectKind::Relation, target.clone(), Access::Delete);
        }
        if self.at(W::Partition) && self.kind_at(1) == Kind::Open {
            self.at += 1;
            self.skip_brackets()?;
        }
        if self.kind() == Kind::Open && !self.at_query_in_brackets() {
            self.insert_columns(&target)?;
        }
        self.draft.open_frame(false);
        self.draft
            .add_source(target.name.clone(), Some(target.clone()));
        self.insert_rows(&target)?;
        if self.eat(W::On) {
            self.expect(W::Duplicate)?;
            self.expect(W::Key)?;
            self.expect(W::Update)?;
            self.draft
                .object(ObjectKind::Relation, target.clone(), Access::Update);
            self.list(|parser| parser.assignment(Some(&target)).map(|_| ()))?;
        }
        self.returning()?;
        self.draft.close_frame();
        Ok(())
    }

    fn insert_columns(&mut self, target: &Name) -> Parse {
        self.expect_kind(Kind::Open)?;
        if self.eat_kind(Kind::Close) {
            return Ok(());
        }
        self.list(|parser| {
            let (_, column) = parser.column_target()?;
            parser.draft.assigned(Some(target.clone()), column);
            Ok(())
        })?;
        self.expect_kind(Kind::Close)
    }

    fn insert_rows(&mut self, target: &Name) -> Parse {
        if self.eat_any(&[W::Values, W::Value]) {
            self.list(|parser| {
                parser.eat(W::Row);
                parser.row()
            })?;
            return self.insert_alias(target);
        }
        if self.eat(W::Set) {
            self.list(|parser| parser.assignment(Some(target)).map(|_| ()))?;
            return self.insert_alias(target);
        }
        if self.at_query() {
            self.query_statement(Place::Derived)?;
            return self.insert_alias(target);
        }
        Err(Fault::Syntax)
    }

    /// MySQL: `AS new [(a, b)]`, what ON DUPLICATE KEY UPDATE calls the new row.
    fn insert_alias(&mut self, target: &Name) -> Parse {
        if self.eat(W::As) {
            let alias = self.ident()?;
            self.draft.add_source(alias, Some(target.clone()));
            if self.kind() == Kind::Open {
                self.skip_brackets()?;
            }
        }
        Ok(())
    }

    fn returning(&mut self) -> Parse {
        if self.eat(W::Returning) {
            self.using(ColumnUse::Read, |parser| {
                parser.list(|parser| {
                    if parser.eat_kind(Kind::Star) {
                        parser.draft.column(None, "*".into());
                        return Ok(());
                    }
                    parser.expr()?;
                    parser.alias()
                })
            })?;
        }
        Ok(())
    }

    /// `[[db.]table.]column`: the qualifier and the column.
    fn column_target(&mut self) -> Parse<(Option<Target>, Box<str>)> {
        self.eat_kind(Kind::Dot);
        let first = self.ident()?;
        if !self.eat_kind(Kind::Dot) {
            return Ok((None, super::names::fold(&first)));
        }
        let second = self.ident()?;
        if !self.eat_kind(Kind::Dot) {
            return Ok((Some((None, first)), super::names::fold(&second)));
        }
        let third = self.folded_ident()?;
        Ok((Some((Some(first), second)), third))
    }

    /// `column = expr`; what qualifies the column.
    fn assignment(&mut self, target: Option<&Name>) -> Parse<Option<Target>> {
        let (qualifier, column) = self.column_target()?;
        if !self.eat_kind(Kind::Eq) && !self.eat_kind(Kind::Assign) {
            return Err(Fault::Syntax);
        }
        match (target, &qualifier) {
            (Some(target), _) => self.draft.assigned(Some(target.clone()), column),
            (None, Some(qualifier)) => {
                let table = self.resolve(qualifier);
                self.draft.assigned(table, column);
            }
            (None, None) => {
                let table = match self.draft.sources() {
                    [only] => only.table.clone(),
                    _ => None,
                };
                self.draft.assigned(table, column);
            }
        }
        self.using(ColumnUse::Read, Self::expr)?;
        Ok(qualifier)
    }

    pub(super) fn update(&mut self) -> Parse {
        self.expect(W::Update)?;
        self.draft.command(Verb::Update, Class::Write);
        self.eat(W::LowPriority);
        self.eat(W::Ignore);
        self.draft.open_frame(false);
        let mark = self.draft.mark();
        self.table_refs()?;
        self.expect(W::Set)?;
        let single = self.draft.sources().len() == 1;
        let mut targets: Vec<Name> = Vec::new();
        loop {
            let qualifier = self.assignment(None)?;
            let named: Vec<Option<Name>> = match &qualifier {
                Some(qualifier) if !single => vec![self.resolve(qualifier)],
                // It may be a column of any of them.
                _ => self
                    .draft
                    .sources()
                    .iter()
                    .map(|source| source.table.clone())
                    .collect(),
            };
            for name in named.into_iter().flatten() {
                if !targets.contains(&name) {
                    targets.push(name);
                }
            }
            if !self.eat_kind(Kind::Comma) {
                break;
            }
        }
        self.draft.retarget(mark, single, targets, Access::Update);
        self.where_of_change()?;
        self.returning()?;
        self.draft.close_frame();
        Ok(())
    }

    /// The table that a qualifier stands for.
    fn resolve(&self, (schema, name): &Target) -> Option<Name> {
        let folded = self.table_case(name.clone());
        match schema {
            Some(schema) => Some(self.relation(Some(schema.clone()), name.clone())),
            None => {
                let sources = self.draft.sources();
                let exact = sources.iter().find(|source| source.alias == folded);
                let near = || {
                    sources
                        .iter()
                        .find(|source| source.alias.eq_ignore_ascii_case(&folded))
                };
                match exact.or_else(near) {
                    Some(source) => source.table.clone(),
                    None => Some(self.relation(None, name.clone())),
                }
            }
        }
    }

    /// WHERE, ORDER BY and LIMIT of UPDATE and DELETE.
    fn where_of_change(&mut self) -> Parse {
        if self.eat(W::Where) {
            let start = self.at;
            self.using(ColumnUse::Filter, Self::expr)?;
            let clause = self.tokens.get(start..self.at).unwrap_or_default();
            let shape = truth::shape(self.text, clause, self.lex, &mut self.draft.literals);
            self.draft.weaken(shape);
        } else {
            self.draft.weaken(WhereShape::Absent);
        }
        if self.eat_words(&[W::Order, W::By]) {
            self.using(ColumnUse::Filter, Self::order_items)?;
        }
        self.limit()?;
        Ok(())
    }

    pub(super) fn delete(&mut self) -> Parse {
        self.expect(W::Delete)?;
        self.draft.command(Verb::Delete, Class::Write);
        // The server takes these words as options whatever follows.
        while self.eat_any(&[W::LowPriority, W::Quick, W::Ignore]) {}
        self.eat(W::History);
        self.draft.open_frame(false);
        if self.eat(W::From) {
            let start = self.at;
            let targets = self.delete_targets();
            match targets {
                Ok(targets) if self.eat(W::Using) => self.delete_from(targets)?,
                _ => {
                    self.at = start;
                    self.table_reference(Access::Delete)?;
                    if self.eat_words(&[W::Before, W::SystemTime]) {
                        self.point_in_time()?;
                    }
                }
            }
        } else {
            let targets = self.delete_targets()?;
            self.expect(W::From)?;
            self.delete_from(targets)?;
        }
        self.where_of_change()?;
        self.returning()?;
        self.draft.close_frame();
        Ok(())
    }

    /// `table[.*], …`
    fn delete_targets(&mut self) -> Parse<Vec<Target>> {
        let mut targets = Vec::new();
        loop {
            self.eat_kind(Kind::Dot);
            let first = self.ident()?;
            let mut target = (None, first);
            if self.eat_kind(Kind::Dot) && !self.eat_kind(Kind::Star) {
                target = (Some(target.1), self.ident()?);
                if self.eat_kind(Kind::Dot) {
                    self.expect_kind(Kind::Star)?;
                }
            }
            targets.push(target);
            if !self.eat_kind(Kind::Comma) {
                return Ok(targets);
            }
        }
    }

    fn delete_from(&mut self, targets: Vec<Target>) -> Parse {
        let mark = self.draft.mark();
        self.table_refs()?;
        let tables = targets
            .iter()
            .filter_map(|target| self.resolve(target))
            .collect();
        self.draft.retarget(mark, false, tables, Access::Delete);
        Ok(())
    }

    /// LOAD DATA, LOAD XML; LOAD INDEX is elsewhere.
    pub(super) fn load(&mut self) -> Parse {
        self.expect(W::Load)?;
        if self.eat_words(&[W::Index, W::Into, W::Cache]) {
            self.draft.command(Verb::Check, Class::Utility);
            return self.maintained_tables();
        }
        if !self.eat_any(&[W::Data, W::Xml]) {
            return Err(Fault::Syntax);
        }
        self.draft.command(Verb::Load, Class::Write);
        self.eat_any(&[W::LowPriority, W::Concurrent]);
        self.eat(W::From);
        let local = self.eat(W::Local);
        if local {
            self.draft.open_egress(Egress::LoadLocal);
        } else {
            self.draft.open_egress(Egress::LoadInfile);
            self.draft.raise(Class::Admin);
        }
        if !self.eat_any(&[W::Infile, W::Url, W::S3]) {
            return Err(Fault::Syntax);
        }
        let start = self.at;
        self.text_literal()?;
        let file = self.tokens.get(start..self.at).unwrap_or_default();
        let file = literal::content(self.text, file, self.lex).map(String::from_utf8);
        if let (true, Some(Ok(file))) = (local, file) {
            self.draft.literals = true;
            self.draft.effect(SessionEffect::ReadFile(file.into()));
        }
        while !self.at(W::Into) && !self.at_any(&[W::Replace, W::Ignore]) && !self.at_end() {
            self.at += 1;
        }
        let replaces = self.at(W::Replace);
        self.eat_any(&[W::Replace, W::Ignore]);
        self.expect(W::Into)?;
        self.expect(W::Table)?;
        let target = self.table_object(Access::Insert)?;
        if replaces {
            self.draft
                .object(ObjectKind::Relation, target.clone(), Access::Delete);
        }
        if self.eat(W::Partition) {
            self.skip_brackets()?;
        }
        self.file_format_and_rows()?;
        self.draft.open_frame(false);
        self.draft
            .add_source(target.name.clone(), Some(target.clone()));
        if self.eat_kind(Kind::Open) && !self.eat_kind(Kind::Close) {
            self.list(|parser| {
                if parser.eat_kind(Kind::UserVar) {
                    return Ok(());
                }
                let (_, column) = parser.column_target()?;
                parser.draft.assigned(Some(target.clone()), column);
                Ok(())
            })?;
            self.expect_kind(Kind::Close)?;
        } else {
            self.draft.assigned(Some(target.clone()), "*".into());
        }
        if self.eat(W::Set) {
            self.list(|parser| parser.assignment(Some(&target)).map(|_| ()))?;
        }
        self.draft.close_frame();
        // MySQL: options of parallel loads.
        if self.at_any(&[W::Parallel, W::Memory, W::Algorithm]) {
            self.skip_rest()?;
        }
        Ok(())
    }

    fn file_format_and_rows(&mut self) -> Parse {
        if self.eat(W::Compression) {
            self.eat_kind(Kind::Eq);
            self.text_literal()?;
        }
        if self.at_any(&[W::Charset, W::Character, W::Char]) {
            self.file_format()?;
        }
        if self.eat_words(&[W::Rows, W::Identified, W::By]) {
            self.text_literal()?;
        }
        self.file_format()?;
        if self.eat(W::Ignore) {
            self.at += 1;
            if !self.eat_any(&[W::Lines, W::Rows]) {
                return Err(Fault::Syntax);
            }
        }
        Ok(())
    }

    /// HANDLER … OPEN, READ, CLOSE.
    pub(super) fn handler(&mut self) -> Parse {
        self.expect(W::Handler)?;
        self.draft.command(Verb::Handler, Class::Read);
        let table = self.table_object(Access::Read)?;
        if self.eat(W::Open) {
            return self.alias();
        }
        if self.eat(W::Close) {
            return Ok(());
        }
        self.expect(W::Read)?;
        self.draft.open_frame(false);
        self.draft.add_source(table.name.clone(), Some(table));
        self.draft.column(None, "*".into());
        if !self.at_any(&[W::Where, W::Limit]) && !self.at_end() {
            self.any_word()?;
            if self.eat_any(&[W::First, W::Next, W::Prev, W::Last]) {
            } else if matches!(
                self.kind(),
                Kind::Eq | Kind::Le | Kind::Ge | Kind::Lt | Kind::Gt
            ) {
                self.at += 1;
                self.row()?;
            }
        }
        if self.eat(W::Where) {
            self.using(ColumnUse::Filter, Self::expr)?;
        }
        self.limit()?;
        self.draft.close_frame();
        Ok(())
    }
}
