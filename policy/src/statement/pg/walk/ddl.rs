//! Structure: tables, views, types, schemas and the rest of DDL.

use pg_query::{NodeRef, protobuf as p};

use super::columns::Frame;
use super::objects::{kind_of, object_type};
use super::{Walk, names};
use crate::statement::facts::ColumnAccess;
use crate::vocabulary::{Access, Class, ColumnUse, Egress, ObjectKind, Verb};

impl<'t> Walk<'t> {
    pub(super) fn create_table(&mut self, create: &'t p::CreateStmt) {
        self.command(Verb::Create, Class::Ddl);
        self.relation(create.relation.as_ref(), Access::Ddl);
        self.referred(&create.inh_relations);
        self.enter_relation(create.relation.as_ref());
        self.visit_all(&create.table_elts);
        self.visit_all(&create.constraints);
        self.visit_all(&create.nnconstraints);
        self.visit_all(&create.options);
        if let Some(kind) = &create.of_typename {
            self.descend(NodeRef::TypeName(kind));
        }
        if let Some(bound) = &create.partbound {
            self.descend(NodeRef::PartitionBoundSpec(bound));
        }
        if let Some(spec) = &create.partspec {
            self.descend(NodeRef::PartitionSpec(spec));
        }
        self.frames.pop();
    }

    pub(super) fn create_foreign_table(&mut self, create: &'t p::CreateForeignTableStmt) {
        if let Some(base) = &create.base_stmt {
            self.create_table(base);
        }
        self.command(Verb::Create, Class::Ddl);
        self.named(ObjectKind::Foreign, &create.servername, Access::Refer);
        self.open_egress(Egress::Foreign);
        self.visit_all(&create.options);
    }

    /// Relations that a definition refers to without reading their rows.
    fn referred(&mut self, relations: &'t [p::Node]) {
        for relation in relations {
            match names::node(Some(relation)) {
                Some(NodeRef::RangeVar(relation)) => {
                    self.relation(Some(relation), Access::Refer);
                }
                Some(other) => self.visit(other),
                None => {}
            }
        }
    }

    /// Opens the frame in which a definition's expressions name columns.
    fn enter_relation(&mut self, relation: Option<&'t p::RangeVar>) {
        let mut frame = Frame::default();
        if let Some(relation) = relation {
            self.add_target(&mut frame, relation);
        }
        self.frames.push(frame);
    }

    /// A constraint of a table or column: foreign keys refer to another table.
    pub(super) fn constraint(&mut self, constraint: &'t p::Constraint) {
        self.relation(constraint.pktable.as_ref(), Access::Refer);
        self.using(ColumnUse::Filter, |walk| {
            walk.visit_box(&constraint.raw_expr);
            walk.visit_box(&constraint.where_clause);
            walk.visit_all(&constraint.exclusions);
            walk.visit_all(&constraint.options);
        });
    }

    pub(super) fn table_like(&mut self, clause: &'t p::TableLikeClause) {
        self.relation(clause.relation.as_ref(), Access::Refer);
    }

    pub(super) fn alter_table(&mut self, alter: &'t p::AlterTableStmt) {
        self.command(Verb::Alter, Class::Ddl);
        self.relation(alter.relation.as_ref(), Access::Ddl);
        self.enter_relation(alter.relation.as_ref());
        for command in &alter.cmds {
            self.visit_opt(Some(command));
        }
        self.frames.pop();
    }

    pub(super) fn alter_table_command(&mut self, command: &'t p::AlterTableCmd) {
        use p::AlterTableType as A;
        self.role(command.newowner.as_ref(), Access::Dcl);
        let kind = A::try_from(command.subtype).unwrap_or(A::Undefined);
        match kind {
            // Switching off what guards the rows changes privileges, not structure.
            A::AtDisableTrig
            | A::AtDisableTrigAll
            | A::AtDisableTrigUser
            | A::AtEnableReplicaTrig
            | A::AtDisableRule
            | A::AtEnableReplicaRule
            | A::AtChangeOwner
            | A::AtEnableRowSecurity
            | A::AtDisableRowSecurity
            | A::AtForceRowSecurity
            | A::AtNoForceRowSecurity => self.raise(Class::Dcl),
            // What the rows hold there goes, or becomes another thing.
            A::AtDropColumn | A::AtAlterColumnType => self.columns.push(ColumnAccess {
                table: self.only_table(),
                column: command.name.as_str().into(),
                usage: ColumnUse::Write,
            }),
            _ => {}
        }
        match names::node(command.def.as_deref()) {
            // ATTACH, DETACH, INHERIT: the other table is part of the change.
            Some(NodeRef::PartitionCmd(partition)) => {
                self.relation(partition.name.as_ref(), Access::Ddl);
                if let Some(bound) = &partition.bound {
                    self.descend(NodeRef::PartitionBoundSpec(bound));
                }
            }
            Some(NodeRef::RangeVar(parent)) => {
                self.relation(Some(parent), Access::Ddl);
            }
            Some(other) => self.visit(other),
            None => {}
        }
    }

    pub(super) fn create_table_as(&mut self, create: &'t p::CreateTableAsStmt) {
        if create.is_select_into {
            self.command(Verb::Select, Class::Write);
        } else {
            self.command(Verb::Create, Class::Ddl);
        }
        if let Some(into) = create.into.as_deref() {
            self.created_by(into);
        }
        if let Some(query) = names::node(create.query.as_deref()) {
            self.nested_statement(query);
        }
    }

    pub(super) fn create_view(&mut self, view: &'t p::ViewStmt) {
        self.command(Verb::Create, Class::Ddl);
        self.relation(view.view.as_ref(), Access::Ddl);
        if let Some(query) = names::node(view.query.as_deref()) {
            self.nested_statement(query);
        }
        self.visit_all(&view.options);
    }

    pub(super) fn create_index(&mut self, index: &'t p::IndexStmt) {
        self.command(Verb::Create, Class::Ddl);
        self.relation(index.relation.as_ref(), Access::Ddl);
        if !index.idxname.is_empty() {
            self.named(ObjectKind::Relation, &index.idxname, Access::Ddl);
        }
        self.enter_relation(index.relation.as_ref());
        self.using(ColumnUse::Filter, |walk| {
            walk.visit_all(&index.index_params);
            walk.visit_all(&index.index_including_params);
            walk.visit_box(&index.where_clause);
        });
        self.frames.pop();
        self.visit_all(&index.options);
    }

    pub(super) fn create_statistics(&mut self, statistics: &'t p::CreateStatsStmt) {
        self.command(Verb::Create, Class::Ddl);
        self.named_list(ObjectKind::Other, &statistics.defnames, Access::Ddl);
        self.referred(&statistics.relations);
        self.visit_all(&statistics.exprs);
    }

    pub(super) fn create_trigger(&mut self, trigger: &'t p::CreateTrigStmt) {
        self.command(Verb::Create, Class::Ddl);
        self.relation(trigger.relation.as_ref(), Access::Ddl);
        self.relation(trigger.constrrel.as_ref(), Access::Refer);
        self.named_list(ObjectKind::Routine, &trigger.funcname, Access::Execute);
        self.using(ColumnUse::Filter, |walk| {
            walk.visit_box(&trigger.when_clause)
        });
    }

    pub(super) fn create_event_trigger(&mut self, trigger: &'t p::CreateEventTrigStmt) {
        self.command(Verb::Create, Class::Admin);
        self.named(ObjectKind::Other, &trigger.trigname, Access::Ddl);
        self.named_list(ObjectKind::Routine, &trigger.funcname, Access::Execute);
    }

    pub(super) fn create_rule(&mut self, rule: &'t p::RuleStmt) {
        self.command(Verb::Create, Class::Ddl);
        self.relation(rule.relation.as_ref(), Access::Ddl);
        self.enter_relation(rule.relation.as_ref());
        self.using(ColumnUse::Filter, |walk| walk.visit_box(&rule.where_clause));
        self.frames.pop();
        for action in &rule.actions {
            if let Some(action) = names::node(Some(action)) {
                self.nested_statement(action);
            }
        }
    }

    pub(super) fn create_schema(&mut self, schema: &'t p::CreateSchemaStmt) {
        self.command(Verb::Create, Class::Ddl);
        self.named(ObjectKind::Schema, &schema.schemaname, Access::Ddl);
        self.role(schema.authrole.as_ref(), Access::Dcl);
        for element in &schema.schema_elts {
            if let Some(element) = names::node(Some(element)) {
                self.nested_statement(element);
            }
        }
    }

    pub(super) fn create_sequence(&mut self, sequence: &'t p::CreateSeqStmt) {
        self.command(Verb::Create, Class::Ddl);
        self.relation(sequence.sequence.as_ref(), Access::Ddl);
        self.sequence_options(&sequence.options);
    }

    pub(super) fn alter_sequence(&mut self, sequence: &'t p::AlterSeqStmt) {
        self.command(Verb::Alter, Class::Ddl);
        self.relation(sequence.sequence.as_ref(), Access::Ddl);
        self.sequence_options(&sequence.options);
    }

    /// OWNED BY names a column of a table.
    fn sequence_options(&mut self, options: &'t [p::Node]) {
        for option in options {
            if let Some(NodeRef::DefElem(option)) = names::node(Some(option))
                && option.defname == "owned_by"
                && let Some(NodeRef::List(list)) = names::node(option.arg.as_deref())
                && let Some((_, table)) = list.items.split_last()
            {
                self.named_list(ObjectKind::Relation, table, Access::Refer);
            }
        }
    }

    pub(super) fn define(&mut self, define: &'t p::DefineStmt) {
        self.command(Verb::Create, Class::Ddl);
        self.named_list(
            kind_of(object_type(define.kind)),
            &define.defnames,
            Access::Ddl,
        );
        for option in &define.definition {
            let Some(NodeRef::DefElem(option)) = names::node(Some(option)) else {
                continue;
            };
            // Aggregates, operators and types are made of functions.
            let routine = matches!(
                option.defname.as_str(),
                "sfunc"
                    | "finalfunc"
                    | "combinefunc"
                    | "msfunc"
                    | "minvfunc"
                    | "mfinalfunc"
                    | "serialfunc"
                    | "deserialfunc"
                    | "procedure"
                    | "function"
                    | "restrict"
                    | "join"
                    | "input"
                    | "output"
                    | "receive"
                    | "send"
                    | "analyze"
                    | "typmod_in"
                    | "typmod_out"
                    | "subscript"
            );
            if routine && let Some(name) = names::of_argument(option.arg.as_deref()) {
                self.object(ObjectKind::Routine, name, Access::Refer);
            }
        }
        self.visit_all(&define.args);
    }

    pub(super) fn rename(&mut self, rename: &'t p::RenameStmt) {
        let kind = object_type(rename.rename_type);
        let class = if kind == p::ObjectType::ObjectRole {
            Class::Dcl
        } else {
            Class::Ddl
        };
        self.command(Verb::Alter, class);
        self.relation(rename.relation.as_ref(), Access::Ddl);
        if let Some(object) = rename.object.as_deref() {
            self.typed_object(kind, object, Access::Ddl);
        }
        if rename.relation.is_none() && rename.object.is_none() {
            self.named(kind_of(kind), &rename.subname, Access::Ddl);
        }
        if matches!(
            kind_of(kind),
            ObjectKind::Role | ObjectKind::Database | ObjectKind::Schema
        ) {
            self.named(kind_of(kind), &rename.newname, Access::Ddl);
        }
    }

    pub(super) fn alter_schema(&mut self, alter: &'t p::AlterObjectSchemaStmt) {
        self.command(Verb::Alter, Class::Ddl);
        self.relation(alter.relation.as_ref(), Access::Ddl);
        if let Some(object) = alter.object.as_deref() {
            self.typed_object(object_type(alter.object_type), object, Access::Ddl);
        }
        self.named(ObjectKind::Schema, &alter.newschema, Access::Ddl);
    }

    pub(super) fn alter_depends(&mut self, alter: &'t p::AlterObjectDependsStmt) {
        self.command(Verb::Alter, Class::Ddl);
        self.relation(alter.relation.as_ref(), Access::Ddl);
        if let Some(object) = alter.object.as_deref() {
            self.typed_object(object_type(alter.object_type), object, Access::Ddl);
        }
    }

    /// A statement about one object of a dotted name, whose other parts say nothing more.
    pub(super) fn change(
        &mut self,
        (verb, class): (Verb, Class),
        (kind, name): (ObjectKind, &'t [p::Node]),
        rest: NodeRef<'t>,
    ) {
        self.command(verb, class);
        self.named_list(kind, name, Access::Ddl);
        self.descend(rest);
    }

    /// The same, for a name of one word.
    pub(super) fn change_named(
        &mut self,
        (verb, class): (Verb, Class),
        (kind, name): (ObjectKind, &'t str),
        rest: NodeRef<'t>,
    ) {
        self.command(verb, class);
        self.named(kind, name, Access::Ddl);
        self.descend(rest);
    }

    pub(super) fn create_extension(&mut self, extension: &'t p::CreateExtensionStmt) {
        self.command(Verb::Create, Class::Ddl);
        self.named(ObjectKind::Extension, &extension.extname, Access::Ddl);
        self.open_egress(Egress::Code);
    }

    pub(super) fn alter_extension_contents(&mut self, alter: &'t p::AlterExtensionContentsStmt) {
        self.command(Verb::Alter, Class::Ddl);
        self.named(ObjectKind::Extension, &alter.extname, Access::Ddl);
        if let Some(object) = alter.object.as_deref() {
            self.typed_object(object_type(alter.objtype), object, Access::Ddl);
        }
    }

    pub(super) fn load(&mut self, load: &'t p::LoadStmt) {
        self.command(Verb::Load, Class::Admin);
        self.named(ObjectKind::Extension, &load.filename, Access::Execute);
        self.open_egress(Egress::Code);
    }

    /// Foreign-data wrappers, servers, mappings, publications and subscriptions.
    pub(super) fn foreign(
        &mut self,
        (verb, class): (Verb, Class),
        name: &'t str,
        rest: NodeRef<'t>,
    ) {
        self.command(verb, class);
        self.named(ObjectKind::Foreign, name, Access::Ddl);
        self.open_egress(Egress::Foreign);
        self.descend(rest);
    }

    pub(super) fn import_schema(&mut self, import: &'t p::ImportForeignSchemaStmt) {
        self.command(Verb::Import, Class::Ddl);
        self.named(ObjectKind::Foreign, &import.server_name, Access::Refer);
        self.named(ObjectKind::Schema, &import.local_schema, Access::Ddl);
        self.open_egress(Egress::Foreign);
        for relation in &import.table_list {
            if let Some(NodeRef::RangeVar(relation)) = names::node(Some(relation)) {
                let name = names::qualified(&import.local_schema, &relation.relname);
                self.object(ObjectKind::Relation, name, Access::Ddl);
                self.relation(Some(relation), Access::Ddl);
            }
        }
    }

    pub(super) fn published(&mut self, object: &'t p::PublicationObjSpec) {
        if !object.name.is_empty() {
            self.named(ObjectKind::Schema, &object.name, Access::Refer);
        }
        if let Some(table) = &object.pubtable {
            self.relation(table.relation.as_ref(), Access::Read);
            self.using(ColumnUse::Filter, |walk| {
                walk.visit_box(&table.where_clause)
            });
        }
    }

    pub(super) fn maintain(&mut self, verb: Verb, relation: Option<&'t p::RangeVar>) {
        self.command(verb, Class::Utility);
        self.relation(relation, Access::Refer);
    }

    pub(super) fn vacuum(&mut self, vacuum: &'t p::VacuumStmt) {
        let verb = if vacuum.is_vacuumcmd {
            Verb::Vacuum
        } else {
            Verb::Analyze
        };
        self.command(verb, Class::Utility);
        for relation in &vacuum.rels {
            if let Some(NodeRef::VacuumRelation(relation)) = names::node(Some(relation)) {
                self.relation(relation.relation.as_ref(), Access::Refer);
            }
        }
    }

    pub(super) fn reindex(&mut self, reindex: &'t p::ReindexStmt) {
        use p::ReindexObjectType as R;
        self.maintain(Verb::Reindex, reindex.relation.as_ref());
        let kind = match R::try_from(reindex.kind).unwrap_or(R::Undefined) {
            R::ReindexObjectSchema => ObjectKind::Schema,
            R::ReindexObjectSystem | R::ReindexObjectDatabase => ObjectKind::Database,
            R::ReindexObjectIndex | R::ReindexObjectTable | R::Undefined => ObjectKind::Relation,
        };
        if !reindex.name.is_empty() {
            self.named(kind, &reindex.name, Access::Refer);
        }
    }

    pub(super) fn refresh(&mut self, refresh: &'t p::RefreshMatViewStmt) {
        self.command(Verb::Refresh, Class::Write);
        self.relation(refresh.relation.as_ref(), Access::Refer);
    }

    pub(super) fn composite(&mut self, composite: &'t p::CompositeTypeStmt) {
        self.command(Verb::Create, Class::Ddl);
        if let Some(name) = &composite.typevar {
            self.object(ObjectKind::Type, names::relation(name), Access::Ddl);
        }
        self.visit_all(&composite.coldeflist);
    }

    /// SET CONSTRAINTS: names of constraints, not of relations.
    pub(super) fn set_constraints(&mut self, set: &'t p::ConstraintsSetStmt) {
        self.command(Verb::Set, Class::Tcl);
        for constraint in &set.constraints {
            if let Some(NodeRef::RangeVar(name)) = names::node(Some(constraint)) {
                self.object(ObjectKind::Other, names::relation(name), Access::Refer);
            }
        }
    }

    /// A notification channel.
    pub(super) fn channel(&mut self, verb: Verb, name: &str) {
        self.command(verb, Class::Session);
        self.named(ObjectKind::Other, name, Access::Refer);
    }

    /// A WITH that its statement did not take: counted as if it were one's own.
    pub(super) fn stray_with(&mut self, node: NodeRef<'t>) {
        match node {
            NodeRef::CommonTableExpr(cte) => {
                if let Some(query) = names::node(cte.ctequery.as_deref()) {
                    self.nested_statement(query);
                }
            }
            other => self.descend(other),
        }
    }

    pub(super) fn lock(&mut self, lock: &'t p::LockStmt) {
        self.command(Verb::Lock, Class::Utility);
        self.referred(&lock.relations);
    }
}
