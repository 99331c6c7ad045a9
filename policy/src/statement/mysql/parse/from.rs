//! FROM: tables, joins, derived tables, JSON_TABLE.

use super::query::{MAX_NAMES_IN_SCOPE, Place};
use super::{Fault, Parse, Parser};
use crate::statement::facts::Name;
use crate::statement::mysql::token::Kind;
use crate::statement::mysql::word::Word as W;
use crate::vocabulary::{Access, ColumnUse, ObjectKind};

impl Parser<'_> {
    /// Everything behind FROM, or the tables of UPDATE.
    pub(super) fn table_refs(&mut self) -> Parse {
        self.table_factor()?;
        loop {
            if self.eat_kind(Kind::Comma) {
                self.table_factor()?;
                continue;
            }
            if self.at(W::On) && self.word_at(1) != W::Duplicate {
                self.at += 1;
                self.using(ColumnUse::Filter, Self::expr)?;
                continue;
            }
            if self.at(W::Using) && self.kind_at(1) == Kind::Open {
                self.at += 1;
                self.join_columns()?;
                continue;
            }
            if !self.join()? {
                return Ok(());
            }
            self.table_factor()?;
        }
    }

    /// Passes the words of a join; whether there were any.
    fn join(&mut self) -> Parse<bool> {
        if self.eat(W::StraightJoin) {
            return Ok(true);
        }
        let natural = self.eat(W::Natural);
        let sided = self.eat_any(&[W::Left, W::Right, W::Full]);
        if sided {
            self.eat(W::Outer);
        } else {
            self.eat_any(&[W::Inner, W::Cross]);
        }
        if self.eat(W::Join) {
            return Ok(true);
        }
        // The words before JOIN are reserved: none was passed if it isn't there.
        if natural || sided || self.word_before_was_join() {
            return Err(Fault::Syntax);
        }
        Ok(false)
    }

    fn word_before_was_join(&self) -> bool {
        let before = self
            .at
            .checked_sub(1)
            .and_then(|before| self.tokens.get(before));
        before.is_some_and(|token| matches!(token.word, W::Inner | W::Cross))
    }

    fn join_columns(&mut self) -> Parse {
        self.expect_kind(Kind::Open)?;
        self.using(ColumnUse::Filter, |parser| {
            parser.list(|parser| {
                let column = parser.folded_ident()?;
                parser.draft.column(None, column);
                Ok(())
            })
        })?;
        self.expect_kind(Kind::Close)
    }

    fn table_factor(&mut self) -> Parse {
        if self.draft.sources().len() >= MAX_NAMES_IN_SCOPE {
            return Err(Fault::Depth);
        }
        match self.kind() {
            Kind::Open if self.at_query_in_brackets() => {
                self.query_in_brackets(Place::Derived)?;
                self.derived_alias()
            }
            Kind::Open => self.nested(|parser| {
                parser.at += 1;
                parser.table_refs()?;
                parser.expect_kind(Kind::Close)?;
                // MariaDB lets a bracketed join have no alias, MySQL neither.
                Ok(())
            }),
            Kind::OpenBrace => self.nested(|parser| {
                parser.at += 1;
                if parser.kind() != Kind::Word {
                    return Err(Fault::Syntax);
                }
                parser.at += 1;
                parser.table_refs()?;
                parser.expect_kind(Kind::CloseBrace)
            }),
            _ if self.at(W::Lateral) && self.kind_at(1) == Kind::Open => {
                self.at += 1;
                self.query_in_brackets(Place::Inner)?;
                self.derived_alias()
            }
            _ if self.at(W::JsonTable) && self.kind_at(1) == Kind::Open => {
                self.at += 1;
                self.json_table()?;
                self.derived_alias()
            }
            _ if self.at(W::Dual) && self.kind_at(1) != Kind::Dot => {
                self.at += 1;
                Ok(())
            }
            _ => self.table_reference(Access::Read).map(|_| ()),
        }
    }

    /// A table with everything that may follow its name.
    pub(super) fn table_reference(&mut self, access: Access) -> Parse<Option<Name>> {
        let qualified = self.kind() == Kind::Dot || self.kind_at(1) == Kind::Dot;
        let written = self.token();
        let name = self.table_name()?;
        let cte = if qualified {
            Cte::No
        } else {
            self.is_cte(written)?
        };
        if cte != Cte::Certain {
            self.draft
                .object(ObjectKind::Relation, name.clone(), access);
        }
        if self.at(W::Partition) && self.kind_at(1) == Kind::Open {
            self.at += 1;
            self.skip_brackets()?;
        }
        self.system_time()?;
        let named = self.eat(W::As);
        let alias = if self.at_alias(named) {
            let alias = self.ident()?;
            self.table_case(alias)
        } else if named {
            return Err(Fault::Syntax);
        } else {
            name.name.clone()
        };
        self.system_time()?;
        self.index_hints()?;
        self.table_sample()?;
        // A name that is perhaps a CTE's is perhaps the table that is written.
        let table = (cte != Cte::Certain).then(|| name.clone());
        self.draft.add_source(alias, table.clone());
        Ok(table)
    }

    fn at_alias(&self, named: bool) -> bool {
        if !self.at_ident() {
            return false;
        }
        let next = self.word_at(1);
        match self.word() {
            // Words of clauses that MariaDB does not reserve.
            W::Window => named || next == W::None || self.is_reserved(next),
            W::Set | W::Values | W::Value => named,
            W::Wait | W::Nowait => named,
            _ => true,
        }
    }

    /// MariaDB: FOR SYSTEM_TIME …, FOR PORTION OF … FROM … TO ….
    fn system_time(&mut self) -> Parse {
        if self.eat_words(&[W::For, W::SystemTime]) {
            if self.eat(W::All) {
                return Ok(());
            }
            if self.eat(W::As) {
                self.expect(W::Of)?;
                return self.point_in_time();
            }
            if self.eat(W::Between) {
                // The expression takes AND and the second point as well.
                return self.point_in_time();
            }
            self.expect(W::From)?;
            self.point_in_time()?;
            self.expect(W::To)?;
            return self.point_in_time();
        }
        if self.eat_words(&[W::For, W::Portion, W::Of]) {
            self.ident()?;
            self.expect(W::From)?;
            self.expr()?;
            self.expect(W::To)?;
            return self.expr();
        }
        Ok(())
    }

    pub(super) fn point_in_time(&mut self) -> Parse {
        if self.at(W::Transaction) || (self.at(W::Timestamp) && !self.kind_at(1).is_text()) {
            self.at += 1;
        }
        self.expr()
    }

    fn index_hints(&mut self) -> Parse {
        loop {
            let hint = self.at_any(&[W::Use, W::Force, W::Ignore])
                && matches!(self.word_at(1), W::Index | W::Key);
            if !hint {
                return Ok(());
            }
            self.at += 2;
            if self.eat(W::For) && !self.eat(W::Join) {
                self.at += 1;
                self.expect(W::By)?;
            }
            self.skip_brackets()?;
            // Hints may be listed with commas.
            if self.kind() == Kind::Comma
                && matches!(self.word_at(1), W::Use | W::Force | W::Ignore)
                && matches!(self.word_at(2), W::Index | W::Key)
            {
                self.at += 1;
            }
        }
    }

    fn table_sample(&mut self) -> Parse {
        if self.eat(W::Tablesample) {
            self.at += 1;
            self.skip_brackets()?;
        }
        Ok(())
    }

    /// `[AS] alias [(columns)]` of what is no table.
    fn derived_alias(&mut self) -> Parse {
        self.system_time()?;
        let named = self.eat(W::As);
        let alias = if self.at_alias(named) {
            let alias = self.ident()?;
            self.table_case(alias)
        } else if named {
            return Err(Fault::Syntax);
        } else {
            Box::default()
        };
        if self.kind() == Kind::Open {
            self.skip_brackets()?;
        }
        self.draft.add_source(alias, None);
        Ok(())
    }

    /// `(document, path COLUMNS (…))`
    fn json_table(&mut self) -> Parse {
        self.nested(|parser| {
            parser.expect_kind(Kind::Open)?;
            parser.expr()?;
            parser.expect_kind(Kind::Comma)?;
            parser.expr()?;
            parser.json_columns()?;
            parser.json_handlers()?;
            parser.expect_kind(Kind::Close)
        })
    }

    fn json_columns(&mut self) -> Parse {
        self.nested(|parser| {
            parser.expect(W::Columns)?;
            parser.expect_kind(Kind::Open)?;
            parser.list(|parser| {
                if parser.at(W::Nested)
                    && (parser.word_at(1) == W::Path || parser.kind_at(1).is_text())
                {
                    parser.at += 1;
                    parser.eat(W::Path);
                    parser.text_literal()?;
                    return parser.json_columns();
                }
                parser.ident()?;
                if parser.eat_words(&[W::For, W::Ordinality]) {
                    return Ok(());
                }
                parser.data_type()?;
                parser.eat(W::Exists);
                parser.expect(W::Path)?;
                parser.text_literal()?;
                parser.json_handlers()
            })?;
            parser.expect_kind(Kind::Close)
        })
    }

    /// Whether an unqualified name is that of a CTE in scope.
    fn is_cte(&self, written: crate::statement::mysql::token::Token) -> Parse<Cte> {
        if self.draft.ctes.is_empty() {
            return Ok(Cte::No);
        }
        let name = self.table_case(self.spelling(written)?.into());
        if let Some(place) = self.draft.ctes.iter().rposition(|cte| *cte == name) {
            let doubtful = place < self.draft.doubtful_ctes;
            return Ok(if doubtful { Cte::Perhaps } else { Cte::Certain });
        }
        let folded = super::names::fold(&name);
        let near = self
            .draft
            .ctes
            .iter()
            .any(|cte| super::names::fold(cte) == folded);
        Ok(if near { Cte::Perhaps } else { Cte::No })
    }
}

/// What a name may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cte {
    No,
    /// It differs from one in case only, or a WITH stands between: whether that counts depends on the server.
    Perhaps,
    Certain,
}
