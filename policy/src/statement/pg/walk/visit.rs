//! The dispatch: what each node kind means.
//!
//! There is no wildcard arm. A node kind that a new version of the parser brings must be placed here before it compiles.

use pg_query::NodeRef;

use super::{Part, Walk, names};
use crate::vocabulary::{Access, Class, ColumnUse, Egress, ObjectKind, Verb};

const CREATE: (Verb, Class) = (Verb::Create, Class::Ddl);
const ALTER: (Verb, Class) = (Verb::Alter, Class::Ddl);
const DROP: (Verb, Class) = (Verb::Drop, Class::Ddl);

impl<'t> Walk<'t> {
    /// Walks a node and what hangs below it.
    pub(super) fn visit(&mut self, node: NodeRef<'t>) {
        match node {
            NodeRef::SelectStmt(n) => self.select(n, Part::Whole),
            NodeRef::InsertStmt(n) => self.insert(n),
            NodeRef::UpdateStmt(n) => self.update(n),
            NodeRef::DeleteStmt(n) => self.delete(n),
            NodeRef::MergeStmt(n) => self.merge(n),
            NodeRef::TruncateStmt(n) => self.truncate(n),
            NodeRef::CopyStmt(n) => self.copy(n),
            NodeRef::CallStmt(n) => self.call_statement(n),
            NodeRef::DoStmt(n) => self.do_block(n),
            NodeRef::ExplainStmt(n) => self.explain(n),
            NodeRef::PrepareStmt(n) => self.prepare(n),
            NodeRef::ExecuteStmt(n) => self.execute(n),
            NodeRef::DeallocateStmt(n) => self.deallocate(n),
            NodeRef::DeclareCursorStmt(n) => self.declare(n),
            NodeRef::FetchStmt(n) => self.fetch(n),
            NodeRef::ClosePortalStmt(n) => self.close(n),
            NodeRef::VariableSetStmt(n) => self.set(n),
            NodeRef::VariableShowStmt(n) => self.show(n),
            NodeRef::DiscardStmt(n) => self.discard(n),
            NodeRef::TransactionStmt(n) => self.transaction(n),
            NodeRef::ConstraintsSetStmt(n) => self.set_constraints(n),
            NodeRef::ListenStmt(n) => self.channel(Verb::Listen, &n.conditionname),
            NodeRef::UnlistenStmt(n) => self.channel(Verb::Listen, &n.conditionname),
            NodeRef::NotifyStmt(n) => self.channel(Verb::Notify, &n.conditionname),
            NodeRef::LockStmt(n) => self.lock(n),
            NodeRef::VacuumStmt(n) => self.vacuum(n),
            NodeRef::ClusterStmt(n) => self.maintain(Verb::Cluster, n.relation.as_ref()),
            NodeRef::ReindexStmt(n) => self.reindex(n),
            NodeRef::RefreshMatViewStmt(n) => self.refresh(n),
            NodeRef::CheckPointStmt(_) => self.command(Verb::Checkpoint, Class::Admin),
            NodeRef::LoadStmt(n) => self.load(n),
            NodeRef::GrantStmt(n) => self.grant(n),
            NodeRef::GrantRoleStmt(n) => self.grant_role(n),
            NodeRef::AlterDefaultPrivilegesStmt(n) => self.default_privileges(n),
            NodeRef::CreateRoleStmt(n) => self.create_role(n),
            NodeRef::AlterRoleStmt(n) => self.alter_role(n),
            NodeRef::AlterRoleSetStmt(n) => self.alter_role_set(n),
            NodeRef::DropRoleStmt(n) => self.drop_role(n),
            NodeRef::DropOwnedStmt(n) => self.drop_owned(n),
            NodeRef::ReassignOwnedStmt(n) => self.reassign_owned(n),
            NodeRef::AlterOwnerStmt(n) => self.alter_owner(n),
            NodeRef::SecLabelStmt(n) => self.security_label(n),
            NodeRef::CreatePolicyStmt(n) => self.create_policy(n),
            NodeRef::AlterPolicyStmt(n) => self.alter_policy(n),
            NodeRef::AlterSystemStmt(n) => self.alter_system(n),
            NodeRef::CommentStmt(n) => self.comment(n),
            NodeRef::DropStmt(n) => self.drop_objects(n),
            NodeRef::CreateStmt(n) => self.create_table(n),
            NodeRef::CreateForeignTableStmt(n) => self.create_foreign_table(n),
            NodeRef::AlterTableStmt(n) => self.alter_table(n),
            NodeRef::AlterTableCmd(n) => self.alter_table_command(n),
            NodeRef::CreateTableAsStmt(n) => self.create_table_as(n),
            NodeRef::ViewStmt(n) => self.create_view(n),
            NodeRef::IndexStmt(n) => self.create_index(n),
            NodeRef::CreateStatsStmt(n) => self.create_statistics(n),
            NodeRef::CreateTrigStmt(n) => self.create_trigger(n),
            NodeRef::CreateEventTrigStmt(n) => self.create_event_trigger(n),
            NodeRef::RuleStmt(n) => self.create_rule(n),
            NodeRef::CreateSchemaStmt(n) => self.create_schema(n),
            NodeRef::CreateSeqStmt(n) => self.create_sequence(n),
            NodeRef::AlterSeqStmt(n) => self.alter_sequence(n),
            NodeRef::DefineStmt(n) => self.define(n),
            NodeRef::RenameStmt(n) => self.rename(n),
            NodeRef::AlterObjectSchemaStmt(n) => self.alter_schema(n),
            NodeRef::AlterObjectDependsStmt(n) => self.alter_depends(n),
            NodeRef::CreateFunctionStmt(n) => self.create_function(n),
            NodeRef::AlterFunctionStmt(n) => self.alter_function(n),
            NodeRef::CreateExtensionStmt(n) => self.create_extension(n),
            NodeRef::AlterExtensionContentsStmt(n) => self.alter_extension_contents(n),
            NodeRef::ImportForeignSchemaStmt(n) => self.import_schema(n),
            NodeRef::PublicationObjSpec(n) => self.published(n),
            NodeRef::Constraint(n) => self.constraint(n),
            NodeRef::TableLikeClause(n) => self.table_like(n),
            NodeRef::AlterExtensionStmt(n) => {
                self.open_egress(Egress::Code);
                self.change_named(ALTER, (ObjectKind::Extension, &n.extname), node);
            }
            NodeRef::CreatePlangStmt(n) => {
                self.open_egress(Egress::Code);
                self.change_named(
                    (Verb::Create, Class::Admin),
                    (ObjectKind::Extension, &n.plname),
                    node,
                );
            }
            NodeRef::CreateAmStmt(n) => {
                self.open_egress(Egress::Code);
                self.named_list(ObjectKind::Routine, &n.handler_name, Access::Execute);
                self.change_named(
                    (Verb::Create, Class::Admin),
                    (ObjectKind::Other, &n.amname),
                    node,
                );
            }
            NodeRef::CreateTableSpaceStmt(n) => {
                self.change_named(
                    (Verb::Create, Class::Admin),
                    (ObjectKind::Other, &n.tablespacename),
                    node,
                );
            }
            NodeRef::DropTableSpaceStmt(n) => {
                self.change_named(
                    (Verb::Drop, Class::Admin),
                    (ObjectKind::Other, &n.tablespacename),
                    node,
                );
            }
            NodeRef::AlterTableSpaceOptionsStmt(n) => {
                self.change_named(
                    (Verb::Alter, Class::Admin),
                    (ObjectKind::Other, &n.tablespacename),
                    node,
                );
            }
            NodeRef::AlterTableMoveAllStmt(n) => {
                self.roles(&n.roles, Access::Refer);
                self.change_named(ALTER, (ObjectKind::Other, &n.orig_tablespacename), node);
            }
            NodeRef::CreateFdwStmt(n) => {
                self.foreign((Verb::Create, Class::Admin), &n.fdwname, node)
            }
            NodeRef::AlterFdwStmt(n) => self.foreign((Verb::Alter, Class::Admin), &n.fdwname, node),
            NodeRef::CreateForeignServerStmt(n) => self.foreign(CREATE, &n.servername, node),
            NodeRef::AlterForeignServerStmt(n) => self.foreign(ALTER, &n.servername, node),
            NodeRef::CreateUserMappingStmt(n) => {
                self.role(n.user.as_ref(), Access::Dcl);
                self.foreign((Verb::Create, Class::Dcl), &n.servername, node);
            }
            NodeRef::AlterUserMappingStmt(n) => {
                self.role(n.user.as_ref(), Access::Dcl);
                self.foreign((Verb::Alter, Class::Dcl), &n.servername, node);
            }
            NodeRef::DropUserMappingStmt(n) => {
                self.role(n.user.as_ref(), Access::Dcl);
                self.foreign((Verb::Drop, Class::Dcl), &n.servername, node);
            }
            NodeRef::CreatePublicationStmt(n) => self.foreign(CREATE, &n.pubname, node),
            NodeRef::AlterPublicationStmt(n) => self.foreign(ALTER, &n.pubname, node),
            NodeRef::CreateSubscriptionStmt(n) => {
                self.foreign((Verb::Create, Class::Admin), &n.subname, node);
            }
            NodeRef::AlterSubscriptionStmt(n) => {
                self.foreign((Verb::Alter, Class::Admin), &n.subname, node);
            }
            NodeRef::DropSubscriptionStmt(n) => {
                self.foreign((Verb::Drop, Class::Admin), &n.subname, node);
            }
            NodeRef::CreatedbStmt(n) => {
                self.change_named(CREATE, (ObjectKind::Database, &n.dbname), node)
            }
            NodeRef::DropdbStmt(n) => {
                self.change_named(DROP, (ObjectKind::Database, &n.dbname), node)
            }
            NodeRef::AlterDatabaseStmt(n) => {
                self.change_named(ALTER, (ObjectKind::Database, &n.dbname), node)
            }
            NodeRef::AlterDatabaseRefreshCollStmt(n) => {
                self.change_named(ALTER, (ObjectKind::Database, &n.dbname), node);
            }
            NodeRef::AlterDatabaseSetStmt(n) => {
                self.command(Verb::Alter, Class::Dcl);
                self.named(ObjectKind::Database, &n.dbname, Access::Dcl);
                self.setting_of_other(n.setstmt.as_ref());
            }
            NodeRef::AlterEventTrigStmt(n) => {
                self.change_named(
                    (Verb::Alter, Class::Admin),
                    (ObjectKind::Other, &n.trigname),
                    node,
                );
            }
            NodeRef::CreateDomainStmt(n) => {
                self.change(CREATE, (ObjectKind::Type, &n.domainname), node)
            }
            NodeRef::AlterDomainStmt(n) => {
                self.change(ALTER, (ObjectKind::Type, &n.type_name), node)
            }
            NodeRef::CreateEnumStmt(n) => {
                self.change(CREATE, (ObjectKind::Type, &n.type_name), node)
            }
            NodeRef::AlterEnumStmt(n) => self.change(ALTER, (ObjectKind::Type, &n.type_name), node),
            NodeRef::CreateRangeStmt(n) => {
                self.change(CREATE, (ObjectKind::Type, &n.type_name), node)
            }
            NodeRef::AlterTypeStmt(n) => self.change(ALTER, (ObjectKind::Type, &n.type_name), node),
            NodeRef::CompositeTypeStmt(n) => self.composite(n),
            NodeRef::CreateOpClassStmt(n) => {
                self.change(CREATE, (ObjectKind::Other, &n.opclassname), node)
            }
            NodeRef::CreateOpFamilyStmt(n) => {
                self.change(CREATE, (ObjectKind::Other, &n.opfamilyname), node)
            }
            NodeRef::AlterOpFamilyStmt(n) => {
                self.change(ALTER, (ObjectKind::Other, &n.opfamilyname), node)
            }
            NodeRef::AlterOperatorStmt(_)
            | NodeRef::CreateTransformStmt(_)
            | NodeRef::CreateCastStmt(_) => {
                let verb = if matches!(node, NodeRef::AlterOperatorStmt(_)) {
                    Verb::Alter
                } else {
                    Verb::Create
                };
                self.command(verb, Class::Ddl);
                self.descend(node);
            }
            NodeRef::CreateConversionStmt(n) => {
                self.named_list(ObjectKind::Routine, &n.func_name, Access::Refer);
                self.change(CREATE, (ObjectKind::Other, &n.conversion_name), node);
            }
            NodeRef::AlterCollationStmt(n) => {
                self.change(ALTER, (ObjectKind::Other, &n.collname), node)
            }
            NodeRef::AlterStatsStmt(n) => {
                self.change(ALTER, (ObjectKind::Other, &n.defnames), node)
            }
            NodeRef::AlterTsdictionaryStmt(n) => {
                self.change(ALTER, (ObjectKind::Other, &n.dictname), node)
            }
            NodeRef::AlterTsconfigurationStmt(n) => {
                self.change(ALTER, (ObjectKind::Other, &n.cfgname), node)
            }
            NodeRef::ObjectWithArgs(n) => {
                self.named_list(ObjectKind::Routine, &n.objname, Access::Refer)
            }
            NodeRef::RoleSpec(n) => self.object(ObjectKind::Role, names::role(n), Access::Refer),

            NodeRef::RangeVar(n) => self.read_relation(n),
            NodeRef::ColumnRef(n) => self.column_ref(n),
            NodeRef::FuncCall(n) => self.function_call(n),
            NodeRef::TypeCast(n) => {
                self.regclass(n);
                self.descend(node);
            }
            NodeRef::JoinExpr(n) => self.join(n),
            NodeRef::RangeSubselect(n) => self.subquery(&n.subquery),
            NodeRef::SubLink(n) => {
                self.visit_box(&n.testexpr);
                self.subquery(&n.subselect);
            }
            NodeRef::WithClause(_) | NodeRef::CommonTableExpr(_) => self.stray_with(node),
            NodeRef::IntoClause(n) => self.created_by(n),
            NodeRef::SortBy(_)
            | NodeRef::WindowDef(_)
            | NodeRef::GroupingSet(_)
            | NodeRef::GroupingFunc(_) => {
                self.using(ColumnUse::Filter, |walk| walk.descend(node));
            }
            // Names FROM items, not relations.
            NodeRef::LockingClause(_) => {}

            // Expressions, clauses and lists: what hangs below them says it all.
            NodeRef::Alias(_)
            | NodeRef::TableFunc(_)
            | NodeRef::Var(_)
            | NodeRef::Param(_)
            | NodeRef::Aggref(_)
            | NodeRef::WindowFunc(_)
            | NodeRef::WindowFuncRunCondition(_)
            | NodeRef::MergeSupportFunc(_)
            | NodeRef::SubscriptingRef(_)
            | NodeRef::FuncExpr(_)
            | NodeRef::NamedArgExpr(_)
            | NodeRef::OpExpr(_)
            | NodeRef::DistinctExpr(_)
            | NodeRef::NullIfExpr(_)
            | NodeRef::ScalarArrayOpExpr(_)
            | NodeRef::BoolExpr(_)
            | NodeRef::SubPlan(_)
            | NodeRef::AlternativeSubPlan(_)
            | NodeRef::FieldSelect(_)
            | NodeRef::FieldStore(_)
            | NodeRef::RelabelType(_)
            | NodeRef::CoerceViaIo(_)
            | NodeRef::ArrayCoerceExpr(_)
            | NodeRef::ConvertRowtypeExpr(_)
            | NodeRef::CollateExpr(_)
            | NodeRef::CaseExpr(_)
            | NodeRef::CaseWhen(_)
            | NodeRef::CaseTestExpr(_)
            | NodeRef::ArrayExpr(_)
            | NodeRef::RowExpr(_)
            | NodeRef::RowCompareExpr(_)
            | NodeRef::CoalesceExpr(_)
            | NodeRef::MinMaxExpr(_)
            | NodeRef::SqlvalueFunction(_)
            | NodeRef::XmlExpr(_)
            | NodeRef::JsonFormat(_)
            | NodeRef::JsonReturning(_)
            | NodeRef::JsonValueExpr(_)
            | NodeRef::JsonConstructorExpr(_)
            | NodeRef::JsonIsPredicate(_)
            | NodeRef::JsonBehavior(_)
            | NodeRef::JsonExpr(_)
            | NodeRef::JsonTablePath(_)
            | NodeRef::JsonTablePathScan(_)
            | NodeRef::JsonTableSiblingJoin(_)
            | NodeRef::NullTest(_)
            | NodeRef::BooleanTest(_)
            | NodeRef::MergeAction(_)
            | NodeRef::CoerceToDomain(_)
            | NodeRef::CoerceToDomainValue(_)
            | NodeRef::SetToDefault(_)
            | NodeRef::CurrentOfExpr(_)
            | NodeRef::NextValueExpr(_)
            | NodeRef::InferenceElem(_)
            | NodeRef::ReturningExpr(_)
            | NodeRef::TargetEntry(_)
            | NodeRef::RangeTblRef(_)
            | NodeRef::FromExpr(_)
            | NodeRef::OnConflictExpr(_)
            | NodeRef::Query(_)
            | NodeRef::TypeName(_)
            | NodeRef::ParamRef(_)
            | NodeRef::AExpr(_)
            | NodeRef::CollateClause(_)
            | NodeRef::AStar(_)
            | NodeRef::AIndices(_)
            | NodeRef::AIndirection(_)
            | NodeRef::AArrayExpr(_)
            | NodeRef::ResTarget(_)
            | NodeRef::MultiAssignRef(_)
            | NodeRef::RangeFunction(_)
            | NodeRef::RangeTableFunc(_)
            | NodeRef::RangeTableFuncCol(_)
            | NodeRef::RangeTableSample(_)
            | NodeRef::ColumnDef(_)
            | NodeRef::IndexElem(_)
            | NodeRef::DefElem(_)
            | NodeRef::XmlSerialize(_)
            | NodeRef::PartitionElem(_)
            | NodeRef::PartitionSpec(_)
            | NodeRef::PartitionBoundSpec(_)
            | NodeRef::PartitionRangeDatum(_)
            | NodeRef::PartitionCmd(_)
            | NodeRef::RangeTblEntry(_)
            | NodeRef::RtepermissionInfo(_)
            | NodeRef::RangeTblFunction(_)
            | NodeRef::TableSampleClause(_)
            | NodeRef::WithCheckOption(_)
            | NodeRef::SortGroupClause(_)
            | NodeRef::WindowClause(_)
            | NodeRef::RowMarkClause(_)
            | NodeRef::InferClause(_)
            | NodeRef::OnConflictClause(_)
            | NodeRef::CtesearchClause(_)
            | NodeRef::CtecycleClause(_)
            | NodeRef::MergeWhenClause(_)
            | NodeRef::ReturningOption(_)
            | NodeRef::ReturningClause(_)
            | NodeRef::TriggerTransition(_)
            | NodeRef::JsonOutput(_)
            | NodeRef::JsonArgument(_)
            | NodeRef::JsonFuncExpr(_)
            | NodeRef::JsonTablePathSpec(_)
            | NodeRef::JsonTable(_)
            | NodeRef::JsonTableColumn(_)
            | NodeRef::JsonKeyValue(_)
            | NodeRef::JsonParseExpr(_)
            | NodeRef::JsonScalarExpr(_)
            | NodeRef::JsonSerializeExpr(_)
            | NodeRef::JsonObjectConstructor(_)
            | NodeRef::JsonArrayConstructor(_)
            | NodeRef::JsonArrayQueryConstructor(_)
            | NodeRef::JsonAggConstructor(_)
            | NodeRef::JsonObjectAgg(_)
            | NodeRef::JsonArrayAgg(_)
            | NodeRef::RawStmt(_)
            | NodeRef::SetOperationStmt(_)
            | NodeRef::ReturnStmt(_)
            | NodeRef::PlassignStmt(_)
            | NodeRef::AtalterConstraint(_)
            | NodeRef::ReplicaIdentityStmt(_)
            | NodeRef::AccessPriv(_)
            | NodeRef::CreateOpClassItem(_)
            | NodeRef::StatsElem(_)
            | NodeRef::FunctionParameter(_)
            | NodeRef::InlineCodeBlock(_)
            | NodeRef::CallContext(_)
            | NodeRef::VacuumRelation(_)
            | NodeRef::PublicationTable(_)
            | NodeRef::Integer(_)
            | NodeRef::Float(_)
            | NodeRef::Boolean(_)
            | NodeRef::String(_)
            | NodeRef::BitString(_)
            | NodeRef::List(_)
            | NodeRef::IntList(_)
            | NodeRef::OidList(_)
            | NodeRef::AConst(_) => self.descend(node),
        }
    }
}
