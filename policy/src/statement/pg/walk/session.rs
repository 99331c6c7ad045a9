//! Session state: settings, transactions, prepared statements, cursors; and EXPLAIN.

use pg_query::{NodeRef, protobuf as p};

use super::value::Value;
use super::{Part, Walk, constant, names};
use crate::statement::facts::SessionEffect;
use crate::vocabulary::{Access, Class, ColumnUse, LimitShape, ObjectKind, Verb};

impl<'t> Walk<'t> {
    pub(super) fn set(&mut self, set: &'t p::VariableSetStmt) {
        use p::VariableSetKind as K;
        self.literals = true;
        let kind = K::try_from(set.kind).unwrap_or(K::Undefined);
        let reset = matches!(kind, K::VarReset | K::VarResetAll);
        self.command(if reset { Verb::Reset } else { Verb::Set }, Class::Session);
        let name: Box<str> = set.name.to_ascii_lowercase().into();
        if !name.is_empty() {
            self.object(ObjectKind::Setting, names::bare(&name), Access::Refer);
        }
        let local = set.is_local;
        match kind {
            K::VarSetValue => {
                let value = constant::setting(&set.args);
                self.effect(SessionEffect::Set {
                    name: canonical(&name),
                    value,
                    local,
                });
            }
            K::VarSetDefault => {
                self.effect(SessionEffect::Set {
                    name: canonical(&name),
                    value: None,
                    local,
                });
            }
            K::VarReset => self.effect(SessionEffect::Reset(Some(canonical(&name)))),
            K::VarResetAll => self.effect(SessionEffect::Reset(None)),
            // SET … FROM CURRENT stands in routine definitions only.
            K::VarSetCurrent => self.effect(SessionEffect::MayChangeSettings),
            K::VarSetMulti => {
                self.effect(SessionEffect::MayChangeSettings);
                let scope = match name.as_ref() {
                    "session characteristics" => Lasts::Session,
                    _ => Lasts::Transaction,
                };
                self.transaction_modes(&set.args, scope);
            }
            K::Undefined => self.effect(SessionEffect::MayChangeSettings),
        }
        self.visit_all(&set.args);
    }

    /// `SELECT set_config('name', 'value', is_local)`: a SET by another name, where the call certainly runs, just as it
    /// stands. Whether others run depends on rows, so that they only may change settings.
    pub(super) fn settings_set_by(&mut self, select: &'t p::SelectStmt) {
        let one_row = select.op == i32::from(p::SetOperation::SetopNone)
            && select.from_clause.is_empty()
            && select.where_clause.is_none()
            && select.having_clause.is_none()
            && select.group_clause.is_empty()
            && select.limit_count.is_none()
            && select.limit_offset.is_none();
        if !one_row {
            return;
        }
        for target in &select.target_list {
            if let Some(NodeRef::ResTarget(target)) = names::node(Some(target))
                && let Some(NodeRef::FuncCall(call)) = names::node(target.val.as_deref())
                && let Some(effect) = set_config(call)
            {
                self.effect(effect);
            }
        }
    }

    /// A setting that belongs to something else than the session: a role, a database, a routine, the server.
    pub(super) fn setting_of_other(&mut self, set: Option<&'t p::VariableSetStmt>) {
        let Some(set) = set else {
            return;
        };
        self.literals = true;
        if !set.name.is_empty() {
            let name = set.name.to_ascii_lowercase();
            self.object(ObjectKind::Setting, names::bare(&name), Access::Ddl);
        }
        self.visit_all(&set.args);
    }

    pub(super) fn show(&mut self, show: &'t p::VariableShowStmt) {
        self.command(Verb::Show, Class::Session);
        let name = show.name.to_ascii_lowercase();
        self.object(ObjectKind::Setting, names::bare(&name), Access::Read);
    }

    /// Plans, sequence values and temporary tables are no state that is followed.
    pub(super) fn discard(&mut self, discard: &p::DiscardStmt) {
        use p::DiscardMode as D;
        self.command(Verb::Reset, Class::Session);
        match D::try_from(discard.target).unwrap_or(D::Undefined) {
            D::DiscardAll | D::Undefined => self.effect(SessionEffect::Discard),
            D::DiscardPlans | D::DiscardSequences | D::DiscardTemp => {}
        }
    }

    pub(super) fn transaction(&mut self, transaction: &'t p::TransactionStmt) {
        use p::TransactionStmtKind as K;
        let (verb, may_change) = match K::try_from(transaction.kind).unwrap_or(K::Undefined) {
            K::TransStmtBegin | K::TransStmtStart => (Verb::Begin, false),
            K::TransStmtCommit => (Verb::Commit, true),
            K::TransStmtRollback => (Verb::Rollback, true),
            K::TransStmtSavepoint | K::TransStmtRelease => (Verb::Savepoint, false),
            K::TransStmtRollbackTo => (Verb::Savepoint, true),
            K::TransStmtPrepare => (Verb::PrepareTransaction, true),
            K::TransStmtCommitPrepared => (Verb::Commit, false),
            K::TransStmtRollbackPrepared => (Verb::Rollback, false),
            K::Undefined => (Verb::Unknown, true),
        };
        self.command(verb, Class::Tcl);
        if may_change {
            self.effect(SessionEffect::MayChangeSettings);
        }
        if verb == Verb::Begin {
            self.transaction_modes(&transaction.options, Lasts::Transaction);
        }
    }

    /// What BEGIN, SET TRANSACTION and SET SESSION CHARACTERISTICS say is what a SET of these settings would say.
    fn transaction_modes(&mut self, modes: &'t [p::Node], lasts: Lasts) {
        for mode in modes {
            let Some(NodeRef::DefElem(mode)) = names::node(Some(mode)) else {
                continue;
            };
            let (name, default) = match mode.defname.as_str() {
                "transaction_isolation" => {
                    ("transaction_isolation", "default_transaction_isolation")
                }
                "transaction_read_only" => {
                    ("transaction_read_only", "default_transaction_read_only")
                }
                _ => continue,
            };
            self.literals = true;
            let value = mode.arg.as_deref();
            self.effect(SessionEffect::Set {
                name: match lasts {
                    Lasts::Session => default.into(),
                    Lasts::Transaction => name.into(),
                },
                value: value.and_then(|value| constant::setting(std::slice::from_ref(value))),
                local: lasts == Lasts::Transaction,
            });
        }
    }

    pub(super) fn prepare(&mut self, prepare: &'t p::PrepareStmt) {
        self.command(Verb::Prepare, Class::Session);
        let body = self.separate(prepare.query.as_deref());
        self.absorb(&body);
        let name = prepare.name.as_str().into();
        self.effect(SessionEffect::Prepare {
            name,
            body: Box::new(body),
        });
        self.visit_all(&prepare.argtypes);
    }

    pub(super) fn execute(&mut self, execute: &'t p::ExecuteStmt) {
        self.command(Verb::Execute, Class::Session);
        self.effect(SessionEffect::Execute(execute.name.as_str().into()));
        self.effect(SessionEffect::MayChangeSettings);
        self.visit_all(&execute.params);
    }

    pub(super) fn deallocate(&mut self, deallocate: &'t p::DeallocateStmt) {
        self.command(Verb::Deallocate, Class::Session);
        let name = (!deallocate.isall).then(|| deallocate.name.as_str().into());
        self.effect(SessionEffect::Deallocate(name));
    }

    pub(super) fn declare(&mut self, declare: &'t p::DeclareCursorStmt) {
        self.command(Verb::Declare, Class::Session);
        let body = self.separate(declare.query.as_deref());
        self.absorb(&body);
        self.limit = body.limit;
        let name = declare.portalname.as_str().into();
        self.effect(SessionEffect::Declare {
            name,
            body: Box::new(body),
        });
    }

    pub(super) fn fetch(&mut self, fetch: &'t p::FetchStmt) {
        self.command(Verb::Fetch, Class::Session);
        self.effect(SessionEffect::Cursor(fetch.portalname.as_str().into()));
        // It runs the cursor's query.
        self.effect(SessionEffect::MayChangeSettings);
    }

    pub(super) fn close(&mut self, close: &'t p::ClosePortalStmt) {
        self.command(Verb::Close, Class::Session);
        self.effect(SessionEffect::Cursor(close.portalname.as_str().into()));
    }

    /// EXPLAIN runs its statement with ANALYZE only. Without, the statement's objects count as read, so that rules which
    /// guard them see the attempt to look at their plans.
    pub(super) fn explain(&mut self, explain: &'t p::ExplainStmt) {
        self.command(Verb::Explain, Class::Read);
        let runs = explain
            .options
            .iter()
            .any(|option| match names::node(Some(option)) {
                Some(NodeRef::DefElem(option)) if option.defname == "analyze" => {
                    self.literals |= option.arg.is_some();
                    constant::option_is_on(option.arg.as_deref())
                }
                _ => false,
            });
        let Some(query) = names::node(explain.query.as_deref()) else {
            return;
        };
        let outer = self.dormant;
        self.dormant |= !runs;
        match query {
            NodeRef::SelectStmt(select) => {
                self.using(ColumnUse::Read, |walk| walk.select(select, Part::Whole));
            }
            other => self.nested_statement(other),
        }
        self.dormant = outer;
        self.limit = LimitShape::NotApplicable;
    }
}

/// How long a mode of transactions lasts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lasts {
    Transaction,
    Session,
}

/// What a call of `set_config` with constant arguments does.
fn set_config(call: &p::FuncCall) -> Option<SessionEffect> {
    let function = names::dotted(&call.funcname)?;
    let core = matches!(function.schema.as_deref(), None | Some("pg_catalog"));
    let [name, value, local] = call.args.as_slice() else {
        return None;
    };
    if !core || &*function.name != "set_config" || call.agg_filter.is_some() {
        return None;
    }
    let local = Value::Text(constant::exact_text(local)??).as_bool()?;
    Some(SessionEffect::Set {
        name: constant::exact_text(name)??.to_ascii_lowercase().into(),
        value: constant::exact_text(value)?.map(Into::into),
        local,
    })
}

/// The one name of a setting that has several.
fn canonical(name: &str) -> Box<str> {
    match name {
        "names" => "client_encoding".into(),
        other => other.into(),
    }
}
