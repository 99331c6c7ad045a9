//! Queries: SELECT and what may stand in it.

use pg_query::{NodeRef, protobuf as p};

use super::columns::Frame;
use super::{Part, Walk, names};
use crate::vocabulary::{Access, Class, ColumnUse, LimitShape, ObjectKind, Verb};

impl<'t> Walk<'t> {
    /// Whether an unqualified name means a CTE here.
    pub(super) fn is_cte(&self, range: &p::RangeVar) -> bool {
        range.schemaname.is_empty()
            && range.catalogname.is_empty()
            && self.ctes.iter().any(|&cte| cte == range.relname)
    }

    /// A relation whose rows are read, unless the name means a CTE.
    pub(super) fn read_relation(&mut self, range: &'t p::RangeVar) {
        if !self.is_cte(range) {
            self.object(ObjectKind::Relation, names::relation(range), Access::Read);
        }
    }

    /// Walks the CTEs of a statement and brings them into scope; returns what to hand to [`Walk::leave_with`].
    ///
    /// A CTE sees those before it; with RECURSIVE it sees all of them, itself included.
    pub(super) fn enter_with(&mut self, with: Option<&'t p::WithClause>) -> usize {
        let outer = self.ctes.len();
        let Some(with) = with else {
            return outer;
        };
        let expressions = || {
            with.ctes
                .iter()
                .filter_map(|node| match names::node(Some(node)) {
                    Some(NodeRef::CommonTableExpr(cte)) => Some(cte),
                    _ => None,
                })
        };
        if with.recursive {
            self.ctes
                .extend(expressions().map(|cte| cte.ctename.as_str()));
        }
        for cte in expressions() {
            self.using(ColumnUse::Read, |walk| walk.cte(cte));
            if !with.recursive {
                self.ctes.push(&cte.ctename);
            }
        }
        outer
    }

    /// Takes the CTEs of a statement out of scope.
    pub(super) fn leave_with(&mut self, outer: usize) {
        self.ctes.truncate(outer);
    }

    fn cte(&mut self, cte: &'t p::CommonTableExpr) {
        // A CTE does not see the FROM items of the statement that it belongs to, but those around that statement.
        if let Some(query) = names::node(cte.ctequery.as_deref()) {
            self.nested_statement(query);
        }
        if let Some(search) = &cte.search_clause {
            self.descend(NodeRef::CtesearchClause(search));
        }
        if let Some(cycle) = &cte.cycle_clause {
            self.descend(NodeRef::CtecycleClause(cycle));
        }
    }

    /// A statement inside another that counts as a whole: its verb is among the verbs, its LIMIT is its own.
    pub(super) fn nested_statement(&mut self, node: NodeRef<'t>) {
        let limit = self.limit;
        self.using(ColumnUse::Read, |walk| walk.statement(node));
        self.limit = limit;
    }

    /// A query.
    pub(super) fn select(&mut self, select: &'t p::SelectStmt, part: Part) {
        let values_only = !select.values_lists.is_empty();
        if part == Part::Whole && (self.verb.is_none() || !values_only) {
            self.command(Verb::Select, Class::Read);
        } else {
            self.raise(Class::Read);
        }
        if part == Part::Whole && self.frames.is_empty() && self.limit == LimitShape::NotApplicable
        {
            self.limit = limit_of(select);
        }
        let with = self.enter_with(select.with_clause.as_ref());
        self.frames.push(Frame::default());
        self.branches(select);
        self.frames.pop();
        self.leave_with(with);
    }

    /// The branches of a set operation, or the single one; chains to the left take no stack.
    fn branches(&mut self, select: &'t p::SelectStmt) {
        let mut pending = vec![(select, true)];
        while let Some((select, outermost)) = pending.pop() {
            if select.larg.is_none() && select.rarg.is_none() {
                let with = match outermost {
                    true => self.ctes.len(),
                    false => self.enter_with(select.with_clause.as_ref()),
                };
                self.branch(select);
                self.leave_with(with);
                continue;
            }
            let ordered = outermost || select.with_clause.is_none();
            if ordered {
                self.tail(select);
                pending.extend(select.rarg.as_deref().map(|side| (side, false)));
                pending.extend(select.larg.as_deref().map(|side| (side, false)));
            } else {
                // A branch with CTEs of its own: a scope of its own.
                self.select(select, Part::Operand);
            }
        }
    }

    /// One SELECT … FROM … or VALUES.
    fn branch(&mut self, select: &'t p::SelectStmt) {
        let mut frame = Frame::default();
        for item in &select.from_clause {
            if let Some(item) = names::node(Some(item)) {
                self.add_source(&mut frame, item);
            }
        }
        let outer = match self.frames.last_mut() {
            Some(last) => std::mem::replace(last, frame),
            None => Frame::default(),
        };
        if let Some(into) = &select.into_clause {
            self.created_by(into);
            self.raise(Class::Write);
        }
        self.using(ColumnUse::Read, |walk| {
            walk.visit_all(&select.target_list);
            walk.visit_all(&select.values_lists);
            walk.visit_all(&select.from_clause);
        });
        self.using(ColumnUse::Filter, |walk| {
            walk.visit_all(&select.distinct_clause);
            walk.visit_box(&select.where_clause);
            walk.visit_all(&select.group_clause);
            walk.visit_box(&select.having_clause);
            walk.visit_all(&select.window_clause);
        });
        self.tail(select);
        if let Some(last) = self.frames.last_mut() {
            *last = outer;
        }
    }

    /// ORDER BY, LIMIT and locking.
    fn tail(&mut self, select: &'t p::SelectStmt) {
        self.using(ColumnUse::Filter, |walk| {
            walk.visit_all(&select.sort_clause);
            walk.visit_box(&select.limit_offset);
            walk.visit_box(&select.limit_count);
        });
        // FOR UPDATE OF names FROM items, which are objects already: `locking_clause` has nothing to add.
    }

    /// The table that SELECT INTO or CREATE TABLE AS creates and fills.
    pub(super) fn created_by(&mut self, into: &'t p::IntoClause) {
        if let Some(target) = &into.rel {
            let name = names::relation(target);
            self.object(ObjectKind::Relation, name.clone(), Access::Ddl);
            self.object(ObjectKind::Relation, name, Access::Insert);
        }
        self.visit_all(&into.options);
    }

    /// A join: both sides and its condition; chains to the left take no stack.
    pub(super) fn join(&mut self, join: &'t p::JoinExpr) {
        let mut next = Some(join);
        while let Some(join) = next {
            next = match names::node(join.larg.as_deref()) {
                Some(NodeRef::JoinExpr(left)) => Some(left),
                Some(left) => {
                    self.visit(left);
                    None
                }
                None => None,
            };
            self.visit_box(&join.rarg);
            self.using(ColumnUse::Filter, |walk| walk.visit_box(&join.quals));
            for column in join.using_clause.iter().filter_map(names::string) {
                self.used_by_join(column);
            }
        }
    }

    fn used_by_join(&mut self, column: &str) {
        self.columns.push(crate::statement::facts::ColumnAccess {
            table: None,
            column: column.into(),
            usage: ColumnUse::Filter,
        });
    }

    /// A subquery in an expression or in FROM.
    pub(super) fn subquery(&mut self, query: &'t Option<Box<p::Node>>) {
        match names::node(query.as_deref()) {
            Some(NodeRef::SelectStmt(select)) => {
                self.using(ColumnUse::Read, |walk| walk.select(select, Part::Operand));
            }
            Some(other) => self.visit(other),
            None => {}
        }
    }
}

/// The LIMIT of a query; LIMIT ALL is none.
fn limit_of(select: &p::SelectStmt) -> LimitShape {
    if !returns_table_rows(select) {
        return LimitShape::NotApplicable;
    }
    match names::node(select.limit_count.as_deref()) {
        None => LimitShape::Absent,
        Some(NodeRef::AConst(constant)) if constant.isnull => LimitShape::Absent,
        Some(_) => LimitShape::Present,
    }
}

/// Whether any branch has a FROM.
fn returns_table_rows(select: &p::SelectStmt) -> bool {
    let mut pending = vec![select];
    while let Some(select) = pending.pop() {
        if !select.from_clause.is_empty() {
            return true;
        }
        pending.extend(select.larg.as_deref());
        pending.extend(select.rarg.as_deref());
    }
    false
}
