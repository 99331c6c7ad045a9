//! The children of every node kind: a flat table, complete by construction.
//!
//! Each entry destructures its message without `..`, and the match over the node kinds has no wildcard: a new field or node
//! kind of the parser is a compile error here, not a blind spot.

use pg_query::{NodeRef, protobuf as p};

/// What hangs below a node and can be visited.
trait Branch {
    fn visit<'t>(&'t self, f: &mut dyn FnMut(NodeRef<'t>));
}

impl Branch for p::Node {
    fn visit<'t>(&'t self, f: &mut dyn FnMut(NodeRef<'t>)) {
        if let Some(node) = &self.node {
            f(node.to_ref());
        }
    }
}

impl<T: Branch> Branch for Vec<T> {
    fn visit<'t>(&'t self, f: &mut dyn FnMut(NodeRef<'t>)) {
        for item in self {
            item.visit(f);
        }
    }
}

impl<T: Branch> Branch for Option<T> {
    fn visit<'t>(&'t self, f: &mut dyn FnMut(NodeRef<'t>)) {
        if let Some(item) = self {
            item.visit(f);
        }
    }
}

impl<T: Branch> Branch for Box<T> {
    fn visit<'t>(&'t self, f: &mut dyn FnMut(NodeRef<'t>)) {
        (**self).visit(f);
    }
}

/// Generates the visitor from rows of `Variant(Message) [fields with children] [plain fields]`.
macro_rules! table {
    ($($variant:ident($message:ident) [$($child:ident),*] [$($plain:ident),*];)+) => {
        $(
            impl Branch for p::$message {
                fn visit<'t>(&'t self, f: &mut dyn FnMut(NodeRef<'t>)) {
                    f(NodeRef::$variant(self));
                }
            }
        )+

        /// Calls `f` on each direct child of `node`, in the order of the node's fields.
        pub(super) fn children<'t>(node: NodeRef<'t>, f: &mut dyn FnMut(NodeRef<'t>)) {
            match node {
                $(NodeRef::$variant(n) => {
                    let p::$message { $($child,)* $($plain: _,)* } = n;
                    $($child.visit(f);)*
                    let _ = &f;
                })+
            }
        }
    };
}

table! {
    Alias(Alias) [colnames] [aliasname];
    RangeVar(RangeVar) [alias] [catalogname, schemaname, relname, inh, relpersistence, location];
    TableFunc(TableFunc) [ns_uris, ns_names, docexpr, rowexpr, colnames, coltypes, coltypmods, colcollations, colexprs, coldefexprs, colvalexprs, passingvalexprs, plan] [functype, notnulls, ordinalitycol, location];
    IntoClause(IntoClause) [rel, col_names, options, view_query] [access_method, on_commit, table_space_name, skip_data];
    Var(Var) [xpr] [varno, varattno, vartype, vartypmod, varcollid, varnullingrels, varlevelsup, varreturningtype, location];
    Param(Param) [xpr] [paramkind, paramid, paramtype, paramtypmod, paramcollid, location];
    Aggref(Aggref) [xpr, aggargtypes, aggdirectargs, args, aggorder, aggdistinct, aggfilter] [aggfnoid, aggtype, aggcollid, inputcollid, aggstar, aggvariadic, aggkind, agglevelsup, aggsplit, aggno, aggtransno, location];
    GroupingFunc(GroupingFunc) [xpr, args, refs] [agglevelsup, location];
    WindowFunc(WindowFunc) [xpr, args, aggfilter, run_condition] [winfnoid, wintype, wincollid, inputcollid, winref, winstar, winagg, location];
    WindowFuncRunCondition(WindowFuncRunCondition) [xpr, arg] [opno, inputcollid, wfunc_left];
    MergeSupportFunc(MergeSupportFunc) [xpr] [msftype, msfcollid, location];
    SubscriptingRef(SubscriptingRef) [xpr, refupperindexpr, reflowerindexpr, refexpr, refassgnexpr] [refcontainertype, refelemtype, refrestype, reftypmod, refcollid];
    FuncExpr(FuncExpr) [xpr, args] [funcid, funcresulttype, funcretset, funcvariadic, funcformat, funccollid, inputcollid, location];
    NamedArgExpr(NamedArgExpr) [xpr, arg] [name, argnumber, location];
    OpExpr(OpExpr) [xpr, args] [opno, opresulttype, opretset, opcollid, inputcollid, location];
    DistinctExpr(DistinctExpr) [xpr, args] [opno, opresulttype, opretset, opcollid, inputcollid, location];
    NullIfExpr(NullIfExpr) [xpr, args] [opno, opresulttype, opretset, opcollid, inputcollid, location];
    ScalarArrayOpExpr(ScalarArrayOpExpr) [xpr, args] [opno, use_or, inputcollid, location];
    BoolExpr(BoolExpr) [xpr, args] [boolop, location];
    SubLink(SubLink) [xpr, testexpr, oper_name, subselect] [sub_link_type, sub_link_id, location];
    SubPlan(SubPlan) [xpr, testexpr, param_ids, set_param, par_param, args] [sub_link_type, plan_id, plan_name, first_col_type, first_col_typmod, first_col_collation, use_hash_table, unknown_eq_false, parallel_safe, startup_cost, per_call_cost];
    AlternativeSubPlan(AlternativeSubPlan) [xpr, subplans] [];
    FieldSelect(FieldSelect) [xpr, arg] [fieldnum, resulttype, resulttypmod, resultcollid];
    FieldStore(FieldStore) [xpr, arg, newvals, fieldnums] [resulttype];
    RelabelType(RelabelType) [xpr, arg] [resulttype, resulttypmod, resultcollid, relabelformat, location];
    CoerceViaIo(CoerceViaIo) [xpr, arg] [resulttype, resultcollid, coerceformat, location];
    ArrayCoerceExpr(ArrayCoerceExpr) [xpr, arg, elemexpr] [resulttype, resulttypmod, resultcollid, coerceformat, location];
    ConvertRowtypeExpr(ConvertRowtypeExpr) [xpr, arg] [resulttype, convertformat, location];
    CollateExpr(CollateExpr) [xpr, arg] [coll_oid, location];
    CaseExpr(CaseExpr) [xpr, arg, args, defresult] [casetype, casecollid, location];
    CaseWhen(CaseWhen) [xpr, expr, result] [location];
    CaseTestExpr(CaseTestExpr) [xpr] [type_id, type_mod, collation];
    ArrayExpr(ArrayExpr) [xpr, elements] [array_typeid, array_collid, element_typeid, multidims, list_start, list_end, location];
    RowExpr(RowExpr) [xpr, args, colnames] [row_typeid, row_format, location];
    RowCompareExpr(RowCompareExpr) [xpr, opnos, opfamilies, inputcollids, largs, rargs] [cmptype];
    CoalesceExpr(CoalesceExpr) [xpr, args] [coalescetype, coalescecollid, location];
    MinMaxExpr(MinMaxExpr) [xpr, args] [minmaxtype, minmaxcollid, inputcollid, op, location];
    SqlvalueFunction(SqlValueFunction) [xpr] [op, r#type, typmod, location];
    XmlExpr(XmlExpr) [xpr, named_args, arg_names, args] [op, name, xmloption, indent, r#type, typmod, location];
    JsonFormat(JsonFormat) [] [format_type, encoding, location];
    JsonReturning(JsonReturning) [format] [typid, typmod];
    JsonValueExpr(JsonValueExpr) [raw_expr, formatted_expr, format] [];
    JsonConstructorExpr(JsonConstructorExpr) [xpr, args, func, coercion, returning] [r#type, absent_on_null, unique, location];
    JsonIsPredicate(JsonIsPredicate) [expr, format] [item_type, unique_keys, location];
    JsonBehavior(JsonBehavior) [expr] [btype, coerce, location];
    JsonExpr(JsonExpr) [xpr, formatted_expr, format, path_spec, returning, passing_names, passing_values, on_empty, on_error] [op, column_name, use_io_coercion, use_json_coercion, wrapper, omit_quotes, collation, location];
    JsonTablePath(JsonTablePath) [] [name];
    JsonTablePathScan(JsonTablePathScan) [plan, path, child] [error_on_error, col_min, col_max];
    JsonTableSiblingJoin(JsonTableSiblingJoin) [plan, lplan, rplan] [];
    NullTest(NullTest) [xpr, arg] [nulltesttype, argisrow, location];
    BooleanTest(BooleanTest) [xpr, arg] [booltesttype, location];
    MergeAction(MergeAction) [qual, target_list, update_colnos] [match_kind, command_type, r#override];
    CoerceToDomain(CoerceToDomain) [xpr, arg] [resulttype, resulttypmod, resultcollid, coercionformat, location];
    CoerceToDomainValue(CoerceToDomainValue) [xpr] [type_id, type_mod, collation, location];
    SetToDefault(SetToDefault) [xpr] [type_id, type_mod, collation, location];
    CurrentOfExpr(CurrentOfExpr) [xpr] [cvarno, cursor_name, cursor_param];
    NextValueExpr(NextValueExpr) [xpr] [seqid, type_id];
    InferenceElem(InferenceElem) [xpr, expr] [infercollid, inferopclass];
    ReturningExpr(ReturningExpr) [xpr, retexpr] [retlevelsup, retold];
    TargetEntry(TargetEntry) [xpr, expr] [resno, resname, ressortgroupref, resorigtbl, resorigcol, resjunk];
    RangeTblRef(RangeTblRef) [] [rtindex];
    JoinExpr(JoinExpr) [larg, rarg, using_clause, join_using_alias, quals, alias] [jointype, is_natural, rtindex];
    FromExpr(FromExpr) [fromlist, quals] [];
    OnConflictExpr(OnConflictExpr) [arbiter_elems, arbiter_where, on_conflict_set, on_conflict_where, excl_rel_tlist] [action, constraint, excl_rel_index];
    Query(Query) [utility_stmt, cte_list, rtable, rteperminfos, jointree, merge_action_list, merge_join_condition, target_list, on_conflict, returning_list, group_clause, grouping_sets, having_qual, window_clause, distinct_clause, sort_clause, limit_offset, limit_count, row_marks, set_operations, constraint_deps, with_check_options] [command_type, query_source, can_set_tag, result_relation, has_aggs, has_window_funcs, has_target_srfs, has_sub_links, has_distinct_on, has_recursive, has_modifying_cte, has_for_update, has_row_security, has_group_rte, is_return, merge_target_relation, r#override, returning_old_alias, returning_new_alias, group_distinct, limit_option, stmt_location, stmt_len];
    TypeName(TypeName) [names, typmods, array_bounds] [type_oid, setof, pct_type, typemod, location];
    ColumnRef(ColumnRef) [fields] [location];
    ParamRef(ParamRef) [] [number, location];
    AExpr(AExpr) [name, lexpr, rexpr] [kind, rexpr_list_start, rexpr_list_end, location];
    TypeCast(TypeCast) [arg, type_name] [location];
    CollateClause(CollateClause) [arg, collname] [location];
    RoleSpec(RoleSpec) [] [roletype, rolename, location];
    FuncCall(FuncCall) [funcname, args, agg_order, agg_filter, over] [agg_within_group, agg_star, agg_distinct, func_variadic, funcformat, location];
    AStar(AStar) [] [];
    AIndices(AIndices) [lidx, uidx] [is_slice];
    AIndirection(AIndirection) [arg, indirection] [];
    AArrayExpr(AArrayExpr) [elements] [list_start, list_end, location];
    ResTarget(ResTarget) [indirection, val] [name, location];
    MultiAssignRef(MultiAssignRef) [source] [colno, ncolumns];
    SortBy(SortBy) [node, use_op] [sortby_dir, sortby_nulls, location];
    WindowDef(WindowDef) [partition_clause, order_clause, start_offset, end_offset] [name, refname, frame_options, location];
    RangeSubselect(RangeSubselect) [subquery, alias] [lateral];
    RangeFunction(RangeFunction) [functions, alias, coldeflist] [lateral, ordinality, is_rowsfrom];
    RangeTableFunc(RangeTableFunc) [docexpr, rowexpr, namespaces, columns, alias] [lateral, location];
    RangeTableFuncCol(RangeTableFuncCol) [type_name, colexpr, coldefexpr] [colname, for_ordinality, is_not_null, location];
    RangeTableSample(RangeTableSample) [relation, method, args, repeatable] [location];
    ColumnDef(ColumnDef) [type_name, raw_default, cooked_default, identity_sequence, coll_clause, constraints, fdwoptions] [colname, compression, inhcount, is_local, is_not_null, is_from_type, storage, storage_name, identity, generated, coll_oid, location];
    TableLikeClause(TableLikeClause) [relation] [options, relation_oid];
    IndexElem(IndexElem) [expr, collation, opclass, opclassopts] [name, indexcolname, ordering, nulls_ordering];
    DefElem(DefElem) [arg] [defnamespace, defname, defaction, location, arg_location];
    LockingClause(LockingClause) [locked_rels] [strength, wait_policy];
    XmlSerialize(XmlSerialize) [expr, type_name] [xmloption, indent, location];
    PartitionElem(PartitionElem) [expr, collation, opclass] [name, location];
    PartitionSpec(PartitionSpec) [part_params] [strategy, location];
    PartitionBoundSpec(PartitionBoundSpec) [listdatums, lowerdatums, upperdatums] [strategy, is_default, modulus, remainder, location];
    PartitionRangeDatum(PartitionRangeDatum) [value] [kind, location];
    PartitionCmd(PartitionCmd) [name, bound] [concurrent];
    RangeTblEntry(RangeTblEntry) [alias, eref, tablesample, subquery, joinaliasvars, joinleftcols, joinrightcols, join_using_alias, functions, tablefunc, values_lists, coltypes, coltypmods, colcollations, groupexprs, security_quals] [rtekind, relid, inh, relkind, rellockmode, perminfoindex, security_barrier, jointype, joinmergedcols, funcordinality, ctename, ctelevelsup, self_reference, enrname, enrtuples, lateral, in_from_cl];
    RtepermissionInfo(RtePermissionInfo) [] [relid, inh, required_perms, check_as_user, selected_cols, inserted_cols, updated_cols];
    RangeTblFunction(RangeTblFunction) [funcexpr, funccolnames, funccoltypes, funccoltypmods, funccolcollations] [funccolcount, funcparams];
    TableSampleClause(TableSampleClause) [args, repeatable] [tsmhandler];
    WithCheckOption(WithCheckOption) [qual] [kind, relname, polname, cascaded];
    SortGroupClause(SortGroupClause) [] [tle_sort_group_ref, eqop, sortop, reverse_sort, nulls_first, hashable];
    GroupingSet(GroupingSet) [content] [kind, location];
    WindowClause(WindowClause) [partition_clause, order_clause, start_offset, end_offset] [name, refname, frame_options, start_in_range_func, end_in_range_func, in_range_coll, in_range_asc, in_range_nulls_first, winref, copied_order];
    RowMarkClause(RowMarkClause) [] [rti, strength, wait_policy, pushed_down];
    WithClause(WithClause) [ctes] [recursive, location];
    InferClause(InferClause) [index_elems, where_clause] [conname, location];
    OnConflictClause(OnConflictClause) [infer, target_list, where_clause] [action, location];
    CtesearchClause(CteSearchClause) [search_col_list] [search_breadth_first, search_seq_column, location];
    CtecycleClause(CteCycleClause) [cycle_col_list, cycle_mark_value, cycle_mark_default] [cycle_mark_column, cycle_path_column, location, cycle_mark_type, cycle_mark_typmod, cycle_mark_collation, cycle_mark_neop];
    CommonTableExpr(CommonTableExpr) [aliascolnames, ctequery, search_clause, cycle_clause, ctecolnames, ctecoltypes, ctecoltypmods, ctecolcollations] [ctename, ctematerialized, location, cterecursive, cterefcount];
    MergeWhenClause(MergeWhenClause) [condition, target_list, values] [match_kind, command_type, r#override];
    ReturningOption(ReturningOption) [] [option, value, location];
    ReturningClause(ReturningClause) [options, exprs] [];
    TriggerTransition(TriggerTransition) [] [name, is_new, is_table];
    JsonOutput(JsonOutput) [type_name, returning] [];
    JsonArgument(JsonArgument) [val] [name];
    JsonFuncExpr(JsonFuncExpr) [context_item, pathspec, passing, output, on_empty, on_error] [op, column_name, wrapper, quotes, location];
    JsonTablePathSpec(JsonTablePathSpec) [string] [name, name_location, location];
    JsonTable(JsonTable) [context_item, pathspec, passing, columns, on_error, alias] [lateral, location];
    JsonTableColumn(JsonTableColumn) [type_name, pathspec, format, columns, on_empty, on_error] [coltype, name, wrapper, quotes, location];
    JsonKeyValue(JsonKeyValue) [key, value] [];
    JsonParseExpr(JsonParseExpr) [expr, output] [unique_keys, location];
    JsonScalarExpr(JsonScalarExpr) [expr, output] [location];
    JsonSerializeExpr(JsonSerializeExpr) [expr, output] [location];
    JsonObjectConstructor(JsonObjectConstructor) [exprs, output] [absent_on_null, unique, location];
    JsonArrayConstructor(JsonArrayConstructor) [exprs, output] [absent_on_null, location];
    JsonArrayQueryConstructor(JsonArrayQueryConstructor) [query, output, format] [absent_on_null, location];
    JsonAggConstructor(JsonAggConstructor) [output, agg_filter, agg_order, over] [location];
    JsonObjectAgg(JsonObjectAgg) [constructor, arg] [absent_on_null, unique];
    JsonArrayAgg(JsonArrayAgg) [constructor, arg] [absent_on_null];
    RawStmt(RawStmt) [stmt] [stmt_location, stmt_len];
    InsertStmt(InsertStmt) [relation, cols, select_stmt, on_conflict_clause, returning_clause, with_clause] [r#override];
    DeleteStmt(DeleteStmt) [relation, using_clause, where_clause, returning_clause, with_clause] [];
    UpdateStmt(UpdateStmt) [relation, target_list, where_clause, from_clause, returning_clause, with_clause] [];
    MergeStmt(MergeStmt) [relation, source_relation, join_condition, merge_when_clauses, returning_clause, with_clause] [];
    SelectStmt(SelectStmt) [distinct_clause, into_clause, target_list, from_clause, where_clause, group_clause, having_clause, window_clause, values_lists, sort_clause, limit_offset, limit_count, locking_clause, with_clause, larg, rarg] [group_distinct, limit_option, op, all];
    SetOperationStmt(SetOperationStmt) [larg, rarg, col_types, col_typmods, col_collations, group_clauses] [op, all];
    ReturnStmt(ReturnStmt) [returnval] [];
    PlassignStmt(PlAssignStmt) [indirection, val] [name, nnames, location];
    CreateSchemaStmt(CreateSchemaStmt) [authrole, schema_elts] [schemaname, if_not_exists];
    AlterTableStmt(AlterTableStmt) [relation, cmds] [objtype, missing_ok];
    AlterTableCmd(AlterTableCmd) [newowner, def] [subtype, name, num, behavior, missing_ok, recurse];
    AtalterConstraint(AtAlterConstraint) [] [conname, alter_enforceability, is_enforced, alter_deferrability, deferrable, initdeferred, alter_inheritability, noinherit];
    ReplicaIdentityStmt(ReplicaIdentityStmt) [] [identity_type, name];
    AlterCollationStmt(AlterCollationStmt) [collname] [];
    AlterDomainStmt(AlterDomainStmt) [type_name, def] [subtype, name, behavior, missing_ok];
    GrantStmt(GrantStmt) [objects, privileges, grantees, grantor] [is_grant, targtype, objtype, grant_option, behavior];
    ObjectWithArgs(ObjectWithArgs) [objname, objargs, objfuncargs] [args_unspecified];
    AccessPriv(AccessPriv) [cols] [priv_name];
    GrantRoleStmt(GrantRoleStmt) [granted_roles, grantee_roles, opt, grantor] [is_grant, behavior];
    AlterDefaultPrivilegesStmt(AlterDefaultPrivilegesStmt) [options, action] [];
    CopyStmt(CopyStmt) [relation, query, attlist, options, where_clause] [is_from, is_program, filename];
    VariableSetStmt(VariableSetStmt) [args] [kind, name, jumble_args, is_local, location];
    VariableShowStmt(VariableShowStmt) [] [name];
    CreateStmt(CreateStmt) [relation, table_elts, inh_relations, partbound, partspec, of_typename, constraints, nnconstraints, options] [oncommit, tablespacename, access_method, if_not_exists];
    Constraint(Constraint) [raw_expr, keys, including, exclusions, options, where_clause, pktable, fk_attrs, pk_attrs, fk_del_set_cols, old_conpfeqop] [contype, conname, deferrable, initdeferred, is_enforced, skip_validation, initially_valid, is_no_inherit, cooked_expr, generated_when, generated_kind, nulls_not_distinct, without_overlaps, indexname, indexspace, reset_default_tblspc, access_method, fk_with_period, pk_with_period, fk_matchtype, fk_upd_action, fk_del_action, old_pktable_oid, location];
    CreateTableSpaceStmt(CreateTableSpaceStmt) [owner, options] [tablespacename, location];
    DropTableSpaceStmt(DropTableSpaceStmt) [] [tablespacename, missing_ok];
    AlterTableSpaceOptionsStmt(AlterTableSpaceOptionsStmt) [options] [tablespacename, is_reset];
    AlterTableMoveAllStmt(AlterTableMoveAllStmt) [roles] [orig_tablespacename, objtype, new_tablespacename, nowait];
    CreateExtensionStmt(CreateExtensionStmt) [options] [extname, if_not_exists];
    AlterExtensionStmt(AlterExtensionStmt) [options] [extname];
    AlterExtensionContentsStmt(AlterExtensionContentsStmt) [object] [extname, action, objtype];
    CreateFdwStmt(CreateFdwStmt) [func_options, options] [fdwname];
    AlterFdwStmt(AlterFdwStmt) [func_options, options] [fdwname];
    CreateForeignServerStmt(CreateForeignServerStmt) [options] [servername, servertype, version, fdwname, if_not_exists];
    AlterForeignServerStmt(AlterForeignServerStmt) [options] [servername, version, has_version];
    CreateForeignTableStmt(CreateForeignTableStmt) [base_stmt, options] [servername];
    CreateUserMappingStmt(CreateUserMappingStmt) [user, options] [servername, if_not_exists];
    AlterUserMappingStmt(AlterUserMappingStmt) [user, options] [servername];
    DropUserMappingStmt(DropUserMappingStmt) [user] [servername, missing_ok];
    ImportForeignSchemaStmt(ImportForeignSchemaStmt) [table_list, options] [server_name, remote_schema, local_schema, list_type];
    CreatePolicyStmt(CreatePolicyStmt) [table, roles, qual, with_check] [policy_name, cmd_name, permissive];
    AlterPolicyStmt(AlterPolicyStmt) [table, roles, qual, with_check] [policy_name];
    CreateAmStmt(CreateAmStmt) [handler_name] [amname, amtype];
    CreateTrigStmt(CreateTrigStmt) [relation, funcname, args, columns, when_clause, transition_rels, constrrel] [replace, isconstraint, trigname, row, timing, events, deferrable, initdeferred];
    CreateEventTrigStmt(CreateEventTrigStmt) [whenclause, funcname] [trigname, eventname];
    AlterEventTrigStmt(AlterEventTrigStmt) [] [trigname, tgenabled];
    CreatePlangStmt(CreatePLangStmt) [plhandler, plinline, plvalidator] [replace, plname, pltrusted];
    CreateRoleStmt(CreateRoleStmt) [options] [stmt_type, role];
    AlterRoleStmt(AlterRoleStmt) [role, options] [action];
    AlterRoleSetStmt(AlterRoleSetStmt) [role, setstmt] [database];
    DropRoleStmt(DropRoleStmt) [roles] [missing_ok];
    CreateSeqStmt(CreateSeqStmt) [sequence, options] [owner_id, for_identity, if_not_exists];
    AlterSeqStmt(AlterSeqStmt) [sequence, options] [for_identity, missing_ok];
    DefineStmt(DefineStmt) [defnames, args, definition] [kind, oldstyle, if_not_exists, replace];
    CreateDomainStmt(CreateDomainStmt) [domainname, type_name, coll_clause, constraints] [];
    CreateOpClassStmt(CreateOpClassStmt) [opclassname, opfamilyname, datatype, items] [amname, is_default];
    CreateOpClassItem(CreateOpClassItem) [name, order_family, class_args, storedtype] [itemtype, number];
    CreateOpFamilyStmt(CreateOpFamilyStmt) [opfamilyname] [amname];
    AlterOpFamilyStmt(AlterOpFamilyStmt) [opfamilyname, items] [amname, is_drop];
    DropStmt(DropStmt) [objects] [remove_type, behavior, missing_ok, concurrent];
    TruncateStmt(TruncateStmt) [relations] [restart_seqs, behavior];
    CommentStmt(CommentStmt) [object] [objtype, comment];
    SecLabelStmt(SecLabelStmt) [object] [objtype, provider, label];
    DeclareCursorStmt(DeclareCursorStmt) [query] [portalname, options];
    ClosePortalStmt(ClosePortalStmt) [] [portalname];
    FetchStmt(FetchStmt) [] [direction, how_many, portalname, ismove];
    IndexStmt(IndexStmt) [relation, index_params, index_including_params, options, where_clause, exclude_op_names] [idxname, access_method, table_space, idxcomment, index_oid, old_number, old_create_subid, old_first_relfilelocator_subid, unique, nulls_not_distinct, primary, isconstraint, iswithoutoverlaps, deferrable, initdeferred, transformed, concurrent, if_not_exists, reset_default_tblspc];
    CreateStatsStmt(CreateStatsStmt) [defnames, stat_types, exprs, relations] [stxcomment, transformed, if_not_exists];
    StatsElem(StatsElem) [expr] [name];
    AlterStatsStmt(AlterStatsStmt) [defnames, stxstattarget] [missing_ok];
    CreateFunctionStmt(CreateFunctionStmt) [funcname, parameters, return_type, options, sql_body] [is_procedure, replace];
    FunctionParameter(FunctionParameter) [arg_type, defexpr] [name, mode, location];
    AlterFunctionStmt(AlterFunctionStmt) [func, actions] [objtype];
    DoStmt(DoStmt) [args] [];
    InlineCodeBlock(InlineCodeBlock) [] [source_text, lang_oid, lang_is_trusted, atomic];
    CallStmt(CallStmt) [funccall, funcexpr, outargs] [];
    CallContext(CallContext) [] [atomic];
    RenameStmt(RenameStmt) [relation, object] [rename_type, relation_type, subname, newname, behavior, missing_ok];
    AlterObjectDependsStmt(AlterObjectDependsStmt) [relation, object, extname] [object_type, remove];
    AlterObjectSchemaStmt(AlterObjectSchemaStmt) [relation, object] [object_type, newschema, missing_ok];
    AlterOwnerStmt(AlterOwnerStmt) [relation, object, newowner] [object_type];
    AlterOperatorStmt(AlterOperatorStmt) [opername, options] [];
    AlterTypeStmt(AlterTypeStmt) [type_name, options] [];
    RuleStmt(RuleStmt) [relation, where_clause, actions] [rulename, event, instead, replace];
    NotifyStmt(NotifyStmt) [] [conditionname, payload, payload_location];
    ListenStmt(ListenStmt) [] [conditionname];
    UnlistenStmt(UnlistenStmt) [] [conditionname];
    TransactionStmt(TransactionStmt) [options] [kind, savepoint_name, gid, chain, location];
    CompositeTypeStmt(CompositeTypeStmt) [typevar, coldeflist] [];
    CreateEnumStmt(CreateEnumStmt) [type_name, vals] [];
    CreateRangeStmt(CreateRangeStmt) [type_name, params] [];
    AlterEnumStmt(AlterEnumStmt) [type_name] [old_val, new_val, new_val_neighbor, new_val_is_after, skip_if_new_val_exists];
    ViewStmt(ViewStmt) [view, aliases, query, options] [replace, with_check_option];
    LoadStmt(LoadStmt) [] [filename];
    CreatedbStmt(CreatedbStmt) [options] [dbname];
    AlterDatabaseStmt(AlterDatabaseStmt) [options] [dbname];
    AlterDatabaseRefreshCollStmt(AlterDatabaseRefreshCollStmt) [] [dbname];
    AlterDatabaseSetStmt(AlterDatabaseSetStmt) [setstmt] [dbname];
    DropdbStmt(DropdbStmt) [options] [dbname, missing_ok];
    AlterSystemStmt(AlterSystemStmt) [setstmt] [];
    ClusterStmt(ClusterStmt) [relation, params] [indexname];
    VacuumStmt(VacuumStmt) [options, rels] [is_vacuumcmd];
    VacuumRelation(VacuumRelation) [relation, va_cols] [oid];
    ExplainStmt(ExplainStmt) [query, options] [];
    CreateTableAsStmt(CreateTableAsStmt) [query, into] [objtype, is_select_into, if_not_exists];
    RefreshMatViewStmt(RefreshMatViewStmt) [relation] [concurrent, skip_data];
    CheckPointStmt(CheckPointStmt) [] [];
    DiscardStmt(DiscardStmt) [] [target];
    LockStmt(LockStmt) [relations] [mode, nowait];
    ConstraintsSetStmt(ConstraintsSetStmt) [constraints] [deferred];
    ReindexStmt(ReindexStmt) [relation, params] [kind, name];
    CreateConversionStmt(CreateConversionStmt) [conversion_name, func_name] [for_encoding_name, to_encoding_name, def];
    CreateCastStmt(CreateCastStmt) [sourcetype, targettype, func] [context, inout];
    CreateTransformStmt(CreateTransformStmt) [type_name, fromsql, tosql] [replace, lang];
    PrepareStmt(PrepareStmt) [argtypes, query] [name];
    ExecuteStmt(ExecuteStmt) [params] [name];
    DeallocateStmt(DeallocateStmt) [] [name, isall, location];
    DropOwnedStmt(DropOwnedStmt) [roles] [behavior];
    ReassignOwnedStmt(ReassignOwnedStmt) [roles, newrole] [];
    AlterTsdictionaryStmt(AlterTsDictionaryStmt) [dictname, options] [];
    AlterTsconfigurationStmt(AlterTsConfigurationStmt) [cfgname, tokentype, dicts] [kind, r#override, replace, missing_ok];
    PublicationTable(PublicationTable) [relation, where_clause, columns] [];
    PublicationObjSpec(PublicationObjSpec) [pubtable] [pubobjtype, name, location];
    CreatePublicationStmt(CreatePublicationStmt) [options, pubobjects] [pubname, for_all_tables];
    AlterPublicationStmt(AlterPublicationStmt) [options, pubobjects] [pubname, for_all_tables, action];
    CreateSubscriptionStmt(CreateSubscriptionStmt) [publication, options] [subname, conninfo, conninfo_location];
    AlterSubscriptionStmt(AlterSubscriptionStmt) [publication, options] [kind, subname, conninfo, conninfo_location];
    DropSubscriptionStmt(DropSubscriptionStmt) [] [subname, missing_ok, behavior];
    Integer(Integer) [] [ival];
    Float(Float) [] [fval];
    Boolean(Boolean) [] [boolval];
    String(String) [] [sval];
    BitString(BitString) [] [bsval];
    List(List) [items] [];
    IntList(IntList) [items] [];
    OidList(OidList) [items] [];
    AConst(AConst) [] [isnull, location, val];
}
