//! INSERT, UPDATE, DELETE, MERGE, COPY, TRUNCATE.

use pg_query::{NodeRef, protobuf as p};

use super::columns::Frame;
use super::{Walk, names, shape};
use crate::statement::facts::SessionEffect;
use crate::vocabulary::{Access, Class, ColumnUse, Egress, ObjectKind, Verb, WhereShape};

impl<'t> Walk<'t> {
    /// The target of a statement: never a CTE.
    fn target(&mut self, target: Option<&p::RangeVar>, access: Access) {
        if let Some(target) = target {
            // This view has a rule: what is assigned to a row of it is set.
            if access == Access::Update && target.relname == "pg_settings" {
                self.effect(SessionEffect::MayChangeSettings);
                self.effect(SessionEffect::Set {
                    name: "search_path".into(),
                    value: None,
                    local: false,
                });
            }
            self.object(ObjectKind::Relation, names::relation(target), access);
        }
    }

    /// The columns of a target that a list assigns, and the values that they get.
    fn assignments(&mut self, target: Option<&p::RangeVar>, list: &'t [p::Node]) {
        for node in list {
            match names::node(Some(node)) {
                Some(NodeRef::ResTarget(item)) => {
                    if !item.name.is_empty() {
                        self.assigned(target, &item.name);
                    }
                    self.using(ColumnUse::Read, |walk| {
                        walk.visit_all(&item.indirection);
                        walk.visit_box(&item.val);
                    });
                }
                Some(other) => self.visit(other),
                None => {}
            }
        }
    }

    fn returning(&mut self, clause: &'t Option<p::ReturningClause>) {
        if let Some(clause) = clause {
            self.using(ColumnUse::Read, |walk| {
                walk.descend(NodeRef::ReturningClause(clause))
            });
        }
    }

    pub(super) fn insert(&mut self, insert: &'t p::InsertStmt) {
        self.command(Verb::Insert, Class::Write);
        let target = insert.relation.as_ref();
        self.target(target, Access::Insert);
        let with = self.enter_with(insert.with_clause.as_ref());
        self.assignments(target, &insert.cols);
        if let Some(source) = names::node(insert.select_stmt.as_deref()) {
            self.nested_statement(source);
        }
        let mut frame = Frame::default();
        if let Some(target) = target {
            self.add_target(&mut frame, target);
        }
        self.frames.push(frame);
        if let Some(conflict) = insert.on_conflict_clause.as_deref() {
            self.on_conflict(target, conflict);
        }
        self.returning(&insert.returning_clause);
        self.frames.pop();
        self.leave_with(with);
    }

    fn on_conflict(&mut self, target: Option<&'t p::RangeVar>, conflict: &'t p::OnConflictClause) {
        use p::OnConflictAction as A;
        match A::try_from(conflict.action).unwrap_or(A::OnconflictUpdate) {
            A::OnconflictUpdate => self.target(target, Access::Update),
            A::OnconflictNothing | A::OnconflictNone | A::Undefined => {}
        }
        if let Some(infer) = conflict.infer.as_deref() {
            self.using(ColumnUse::Filter, |walk| {
                walk.descend(NodeRef::InferClause(infer))
            });
        }
        let mut excluded = Frame::default();
        if let Some(target) = target {
            Walk::add_excluded(&mut excluded, target);
        }
        self.frames.push(excluded);
        self.assignments(target, &conflict.target_list);
        self.using(ColumnUse::Filter, |walk| {
            walk.visit_box(&conflict.where_clause)
        });
        self.frames.pop();
    }

    pub(super) fn update(&mut self, update: &'t p::UpdateStmt) {
        self.command(Verb::Update, Class::Write);
        let target = update.relation.as_ref();
        self.target(target, Access::Update);
        let with = self.enter_with(update.with_clause.as_ref());
        self.enter_target(target, &update.from_clause);
        self.assignments(target, &update.target_list);
        self.using(ColumnUse::Read, |walk| walk.visit_all(&update.from_clause));
        self.where_of_change(&update.where_clause);
        self.returning(&update.returning_clause);
        self.frames.pop();
        self.leave_with(with);
    }

    pub(super) fn delete(&mut self, delete: &'t p::DeleteStmt) {
        self.command(Verb::Delete, Class::Write);
        let target = delete.relation.as_ref();
        self.target(target, Access::Delete);
        let with = self.enter_with(delete.with_clause.as_ref());
        self.enter_target(target, &delete.using_clause);
        self.using(ColumnUse::Read, |walk| walk.visit_all(&delete.using_clause));
        self.where_of_change(&delete.where_clause);
        self.returning(&delete.returning_clause);
        self.frames.pop();
        self.leave_with(with);
    }

    /// Opens the frame of a target and the FROM items beside it.
    fn enter_target(&mut self, target: Option<&'t p::RangeVar>, items: &'t [p::Node]) {
        let mut frame = Frame::default();
        if let Some(target) = target {
            self.add_target(&mut frame, target);
        }
        for item in items {
            if let Some(item) = names::node(Some(item)) {
                self.add_source(&mut frame, item);
            }
        }
        self.frames.push(frame);
    }

    fn where_of_change(&mut self, clause: &'t Option<Box<p::Node>>) {
        let shape = match clause {
            None => WhereShape::Absent,
            Some(clause) => shape::of(clause, self.cut, &mut self.literals),
        };
        self.weaken(shape);
        self.using(ColumnUse::Filter, |walk| walk.visit_box(clause));
    }

    pub(super) fn merge(&mut self, merge: &'t p::MergeStmt) {
        self.command(Verb::Merge, Class::Write);
        let target = merge.relation.as_ref();
        let with = self.enter_with(merge.with_clause.as_ref());
        let mut frame = Frame::default();
        if let Some(target) = target {
            self.add_target(&mut frame, target);
        }
        if let Some(source) = names::node(merge.source_relation.as_deref()) {
            self.add_source(&mut frame, source);
        }
        self.frames.push(frame);
        self.using(ColumnUse::Read, |walk| {
            walk.visit_box(&merge.source_relation)
        });
        self.using(ColumnUse::Filter, |walk| {
            walk.visit_box(&merge.join_condition)
        });
        let mut idle = true;
        for clause in &merge.merge_when_clauses {
            if let Some(NodeRef::MergeWhenClause(clause)) = names::node(Some(clause)) {
                idle &= !self.merge_action(target, clause);
            }
        }
        if idle {
            self.target(target, Access::Read);
        }
        self.returning(&merge.returning_clause);
        self.frames.pop();
        self.leave_with(with);
    }

    /// One WHEN clause; whether it changes the target.
    fn merge_action(
        &mut self,
        target: Option<&'t p::RangeVar>,
        clause: &'t p::MergeWhenClause,
    ) -> bool {
        use p::CmdType as C;
        let access = match C::try_from(clause.command_type).unwrap_or(C::CmdDelete) {
            C::CmdInsert => Some(Access::Insert),
            C::CmdUpdate => Some(Access::Update),
            C::CmdDelete => Some(Access::Delete),
            C::CmdNothing => None,
            C::Undefined | C::CmdUnknown | C::CmdSelect | C::CmdMerge | C::CmdUtility => {
                Some(Access::Delete)
            }
        };
        if let Some(access) = access {
            self.target(target, access);
        }
        self.using(ColumnUse::Filter, |walk| walk.visit_box(&clause.condition));
        self.assignments(target, &clause.target_list);
        self.using(ColumnUse::Read, |walk| walk.visit_all(&clause.values));
        access.is_some()
    }

    pub(super) fn truncate(&mut self, truncate: &'t p::TruncateStmt) {
        self.command(Verb::Truncate, Class::Write);
        for relation in &truncate.relations {
            if let Some(NodeRef::RangeVar(relation)) = names::node(Some(relation)) {
                self.target(Some(relation), Access::Delete);
            }
        }
    }

    pub(super) fn copy(&mut self, copy: &'t p::CopyStmt) {
        let class = if copy.is_from {
            Class::Write
        } else {
            Class::Read
        };
        self.command(Verb::Copy, class);
        let access = if copy.is_from {
            Access::Insert
        } else {
            Access::Read
        };
        let target = copy.relation.as_ref();
        self.target(target, access);
        self.open_egress(
            match (copy.is_program, copy.filename.is_empty(), copy.is_from) {
                (true, _, _) => Egress::CopyProgram,
                (false, false, _) => Egress::CopyFile,
                (false, true, true) => Egress::CopyIn,
                (false, true, false) => Egress::CopyOut,
            },
        );
        if copy.is_program || !copy.filename.is_empty() {
            self.raise(Class::Admin);
        }
        for column in copy.attlist.iter().filter_map(names::string) {
            if copy.is_from {
                self.assigned(target, column);
            } else {
                self.read_column(target, column);
            }
        }
        if copy.attlist.is_empty() && target.is_some() {
            if copy.is_from {
                self.assigned(target, "*");
            } else {
                self.read_column(target, "*");
            }
        }
        if let Some(query) = names::node(copy.query.as_deref()) {
            self.using(ColumnUse::Read, |walk| walk.statement(query));
        }
        let mut frame = Frame::default();
        if let Some(target) = target {
            self.add_target(&mut frame, target);
        }
        self.frames.push(frame);
        self.using(ColumnUse::Filter, |walk| walk.visit_box(&copy.where_clause));
        self.frames.pop();
        self.visit_all(&copy.options);
    }
}
