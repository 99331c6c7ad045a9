//! SELECT, VALUES, TABLE, WITH and what joins them.

use super::{Fault, Parse, Parser};
use crate::statement::mysql::draft::Usage;
use crate::statement::mysql::token::Kind;
use crate::statement::mysql::word::Word as W;
use crate::vocabulary::{Access, Class, ColumnUse, LimitShape, Verb};

/// Where a query stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// It is the statement, or as good as: its rows are returned.
    Whole,
    /// In an expression: it sees the columns around it.
    Inner,
    /// In FROM, WITH or a branch: it does not see the level right around it.
    Derived,
}

impl Parser<'_> {
    /// Runs `f` with columns used as `usage`.
    pub(super) fn using(&mut self, usage: ColumnUse, f: impl FnOnce(&mut Self) -> Parse) -> Parse {
        let outer = std::mem::replace(&mut self.draft.usage, Usage(usage));
        let result = f(self);
        self.draft.usage = outer;
        result
    }

    /// Whether a bracket opens a query, not an expression or a join.
    pub(super) fn at_query_in_brackets(&self) -> bool {
        let bracket = |place: usize| self.brackets.get(place).copied().unwrap_or_default();
        if self.kind() != Kind::Open {
            return false;
        }
        let opened = (bracket(self.at).inside as usize).saturating_sub(self.at);
        if opened == 0 || !self.starts_query(opened) {
            return false;
        }
        if opened == 1 {
            return true;
        }
        // What follows the second bracket tells whether a query or something larger holds it.
        let close = bracket(self.at + 1).close as usize;
        let next = self.tokens.get(close + 1).copied();
        next.is_some_and(|next| {
            next.kind == Kind::Close
                || matches!(
                    next.word,
                    W::Union
                        | W::Except
                        | W::Intersect
                        | W::Order
                        | W::Limit
                        | W::Into
                        | W::For
                        | W::Lock
                        | W::Offset
                        | W::Fetch
                )
        })
    }

    fn starts_query(&self, ahead: usize) -> bool {
        match self.word_at(ahead) {
            W::Select | W::With | W::Table => true,
            W::Values | W::Value => {
                let next = self.token_at(ahead + 1);
                next.word == W::Row
                    || (self.is_mariadb() && next.kind == Kind::Open && {
                        let inner = self.token_at(ahead + 2);
                        !self.is_ident(inner)
                    })
            }
            _ => false,
        }
    }

    /// `( query )` in an expression.
    pub(super) fn subquery(&mut self) -> Parse {
        self.query_in_brackets(Place::Inner)
    }

    /// `( query )`
    pub(super) fn query_in_brackets(&mut self, place: Place) -> Parse {
        self.nested(|parser| {
            parser.expect_kind(Kind::Open)?;
            let usage = match place {
                Place::Inner if parser.draft.usage == Usage(ColumnUse::Filter) => ColumnUse::Filter,
                _ => ColumnUse::Read,
            };
            parser.using(usage, |parser| parser.query(place))?;
            parser.expect_kind(Kind::Close)
        })
    }

    /// A query inside an expression, without brackets of its own.
    pub(super) fn inner_query(&mut self) -> Parse {
        self.nested(|parser| parser.query(Place::Inner))
    }

    /// A query with everything that belongs to it.
    pub(super) fn query(&mut self, place: Place) -> Parse {
        let (mark, doubtful) = (self.draft.ctes.len(), self.draft.doubtful_ctes);
        self.with_clause()?;
        self.query_body(place)?;
        self.draft.ctes.truncate(mark);
        self.draft.doubtful_ctes = doubtful;
        Ok(())
    }

    /// Notes the name of a CTE.
    fn add_cte(&mut self, name: Box<str>) -> Parse {
        if self.draft.ctes.len() >= MAX_NAMES_IN_SCOPE {
            return Err(Fault::Depth);
        }
        self.draft.ctes.push(name);
        Ok(())
    }

    /// `WITH [RECURSIVE] name [(columns)] AS (query), …`
    pub(super) fn with_clause(&mut self) -> Parse {
        if !self.eat(W::With) {
            return Ok(());
        }
        let recursive = self.eat(W::Recursive);
        // Behind a WITH of their own, queries do not always see the names of one around them: in MariaDB its elements
        // don't, in MySQL (9.7) neither they nor what follows, where WITH RECURSIVE stands in WITH or in a union.
        self.draft.doubtful_ctes = self.draft.ctes.len();
        if recursive && self.is_mariadb() {
            self.announce_ctes()?;
        }
        self.list(Self::with_element(recursive))?;
        // MySQL: INSERT … WITH … VALUES sees none of them.
        if self.at_any(&[W::Values, W::Value]) {
            self.draft.doubtful_ctes = self.draft.ctes.len();
        }
        Ok(())
    }

    /// `name [(columns)] AS (query)`
    fn with_element(recursive: bool) -> impl FnMut(&mut Self) -> Parse {
        move |parser| {
            let name = parser.ident()?;
            let name = parser.table_case(name);
            if parser.kind() == Kind::Open {
                parser.skip_brackets()?;
            }
            parser.expect(W::As)?;
            if recursive {
                parser.add_cte(name.clone())?;
            }
            parser.query_in_brackets(Place::Derived)?;
            if !recursive {
                parser.add_cte(name)?;
            }
            if parser.eat(W::Cycle) {
                parser.list(|parser| parser.ident().map(|_| ()))?;
                parser.expect(W::Restrict)?;
            }
            Ok(())
        }
    }

    /// MariaDB: the elements of WITH RECURSIVE know each other, whatever their order.
    fn announce_ctes(&mut self) -> Parse {
        let start = self.at;
        loop {
            let name = self.ident()?;
            let name = self.table_case(name);
            self.add_cte(name)?;
            if self.kind() == Kind::Open {
                self.skip_brackets()?;
            }
            self.expect(W::As)?;
            self.skip_brackets()?;
            if self.eat(W::Cycle) {
                self.list(|parser| parser.ident().map(|_| ()))?;
                self.expect(W::Restrict)?;
            }
            if !self.eat_kind(Kind::Comma) {
                break;
            }
        }
        self.at = start;
        Ok(())
    }

    /// Branches and the clauses behind the last.
    fn query_body(&mut self, place: Place) -> Parse {
        let mut open = self.branch(place)?;
        let mut several = false;
        while self.eat_any(&[W::Union, W::Except, W::Intersect]) {
            several = true;
            if std::mem::take(&mut open) {
                self.draft.close_frame();
            }
            self.eat_any(&[W::All, W::Distinct]);
            open = self.branch(place)?;
        }
        if several && open {
            self.draft.close_frame();
            open = false;
        }
        if !open {
            self.draft.open_frame(place == Place::Derived);
        }
        self.query_tail(place)?;
        self.draft.close_frame();
        Ok(())
    }

    /// One branch; whether its frame is still open.
    fn branch(&mut self, place: Place) -> Parse<bool> {
        match self.word() {
            W::Select => {
                self.select(place)?;
                Ok(true)
            }
            W::Table => {
                self.at += 1;
                self.draft.command_of_query();
                self.draft.open_frame(place == Place::Derived);
                let name = self.table_object(Access::Read)?;
                self.draft.column_of(Some(name.clone()), "*".into());
                self.draft.add_source(name.name.clone(), Some(name));
                if place == Place::Whole {
                    self.draft.limit.get_or_insert(LimitShape::Absent);
                }
                Ok(true)
            }
            W::Values | W::Value => {
                self.at += 1;
                self.draft.command_of_query();
                self.list(|parser| {
                    parser.eat(W::Row);
                    parser.row()
                })?;
                Ok(false)
            }
            _ if self.kind() == Kind::Open => {
                self.nested(|parser| {
                    parser.expect_kind(Kind::Open)?;
                    parser.query(place)?;
                    parser.expect_kind(Kind::Close)
                })?;
                Ok(false)
            }
            _ => Err(Fault::Syntax),
        }
    }

    /// `(expr, …)`, empty too.
    pub(super) fn row(&mut self) -> Parse {
        self.expect_kind(Kind::Open)?;
        if self.eat_kind(Kind::Close) {
            return Ok(());
        }
        self.list(|parser| parser.nested(Self::expr))?;
        self.expect_kind(Kind::Close)
    }

    fn select(&mut self, place: Place) -> Parse {
        self.expect(W::Select)?;
        self.draft.command_of_query();
        self.draft.open_frame(place == Place::Derived);
        while self.eat_any(&[
            W::All,
            W::Distinct,
            W::Distinctrow,
            W::HighPriority,
            W::StraightJoin,
            W::SqlSmallResult,
            W::SqlBigResult,
            W::SqlBufferResult,
            W::SqlCalcFoundRows,
            W::SqlNoCache,
            W::SqlCache,
        ]) {}
        self.list(Self::select_item)?;
        self.destination()?;
        if self.eat(W::From) {
            self.table_refs()?;
            if place == Place::Whole && !self.draft.sources().is_empty() {
                self.draft.limit.get_or_insert(LimitShape::Absent);
            }
        }
        self.filters()
    }

    /// WHERE, GROUP BY, HAVING, WINDOW.
    fn filters(&mut self) -> Parse {
        self.using(ColumnUse::Filter, |parser| {
            if parser.eat(W::Where) {
                parser.expr()?;
            }
            if parser.eat_words(&[W::Group, W::By]) {
                if parser.eat_words(&[W::Grouping, W::Sets]) {
                    parser.expect_kind(Kind::Open)?;
                    parser.list(Self::row)?;
                    parser.expect_kind(Kind::Close)?;
                } else if parser.at_any(&[W::Rollup, W::Cube]) && parser.kind_at(1) == Kind::Open {
                    parser.at += 1;
                    parser.row()?;
                } else {
                    parser.order_items()?;
                }
                if parser.at(W::With) && matches!(parser.word_at(1), W::Rollup | W::Cube) {
                    parser.at += 2;
                }
            }
            if parser.eat(W::Having) {
                parser.expr()?;
            }
            if parser.at(W::Window) && parser.word_at(2) == W::As {
                parser.at += 1;
                parser.list(|parser| {
                    parser.ident()?;
                    parser.expect(W::As)?;
                    parser.nested(Self::window)
                })?;
            }
            if parser.at(W::Qualify) {
                parser.at += 1;
                parser.expr()?;
            }
            Ok(())
        })
    }

    fn select_item(&mut self) -> Parse {
        if self.eat_kind(Kind::Star) {
            self.draft.column(None, "*".into());
            return Ok(());
        }
        self.expr()?;
        self.alias()
    }

    /// `[AS] alias`, of a column: a string may be one.
    pub(super) fn alias(&mut self) -> Parse {
        let named = self.eat(W::As);
        if self.kind().is_text() {
            self.at += 1;
            return Ok(());
        }
        if self.at_ident() {
            self.at += 1;
            return Ok(());
        }
        if named { Err(Fault::Syntax) } else { Ok(()) }
    }

    /// `expr [ASC | DESC], …`
    pub(super) fn order_items(&mut self) -> Parse {
        self.list(|parser| {
            parser.expr()?;
            parser.eat_any(&[W::Asc, W::Desc]);
            Ok(())
        })
    }

    /// A query that is the statement, or what another statement takes its rows from.
    pub(super) fn query_statement(&mut self, place: Place) -> Parse {
        self.using(ColumnUse::Read, |parser| parser.query(place))
    }

    /// Whether a query comes next, in brackets or not.
    pub(super) fn at_query(&self) -> bool {
        self.at_any(&[W::Select, W::With, W::Table])
            || (self.at_any(&[W::Values, W::Value])
                && (self.word_at(1) == W::Row || self.is_mariadb()))
            || self.at_query_in_brackets()
    }
}

impl crate::statement::mysql::draft::Draft {
    /// A query reads.
    pub(super) fn command_of_query(&mut self) {
        self.command(Verb::Select, Class::Read);
    }
}

/// How many tables or CTEs one query may have; the servers join no more than 61 tables.
pub(super) const MAX_NAMES_IN_SCOPE: usize = 256;
