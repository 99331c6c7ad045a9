//! Routines: calls, definitions, anonymous blocks.

use pg_query::{NodeRef, protobuf as p};

use super::{Walk, constant, names};
use crate::statement::facts::{Name, SessionEffect};
use crate::statement::pg::functions;
use crate::vocabulary::{Access, Class, Egress, ObjectKind, Verb};

impl<'t> Walk<'t> {
    /// A function call in an expression or in FROM.
    pub(super) fn function_call(&mut self, call: &'t p::FuncCall) {
        if let Some(name) = names::dotted(&call.funcname) {
            if !matches!(name.schema.as_deref(), None | Some("pg_catalog")) {
                self.object(ObjectKind::Routine, name.clone(), Access::Execute);
            }
            self.sequence(&name, call);
            self.call(name);
        }
        self.descend(NodeRef::FuncCall(call));
    }

    /// The sequence that a literal names to nextval and its kin.
    fn sequence(&mut self, function: &Name, call: &p::FuncCall) {
        if !matches!(function.schema.as_deref(), None | Some("pg_catalog")) {
            return;
        }
        if matches!(&*function.name, "nextval" | "setval" | "currval")
            && let Some(text) = call.args.first().and_then(constant::text)
        {
            self.relation_in_literal(&text);
        }
    }

    /// A cast of a literal to regclass names a relation.
    pub(super) fn regclass(&mut self, cast: &p::TypeCast) {
        let of_relation = cast.type_name.as_ref().and_then(names::type_name);
        if of_relation.is_some_and(|name| {
            &*name.name == "regclass" && matches!(name.schema.as_deref(), None | Some("pg_catalog"))
        }) && let Some(text) = cast.arg.as_deref().and_then(constant::text)
        {
            self.relation_in_literal(&text);
        }
    }

    /// A relation that a text names, as the server reads the input of regclass.
    fn relation_in_literal(&mut self, text: &str) {
        self.literals = true;
        if let Some(name) = names::in_text(text) {
            self.object(ObjectKind::Relation, name, Access::Refer);
        }
    }

    /// What calling a function of this name means; one that is not known may run any code.
    pub(super) fn call(&mut self, name: Name) {
        let mark = functions::mark(name.schema.as_deref(), &name.name);
        let changes = match mark {
            Some(mark) => mark.settings || mark.dynamic,
            None => !functions::is_harmless(name.schema.as_deref(), &name.name),
        };
        if changes {
            self.effect(SessionEffect::MayChangeSettings);
        }
        if let Some(mark) = mark {
            if let Some(class) = mark.class {
                self.raise(class);
            }
            if let Some(egress) = mark.egress {
                self.open_egress(egress);
            }
            self.dynamic |= mark.dynamic;
            self.literals |= mark.settings;
        }
        self.functions.push(name);
    }

    pub(super) fn call_statement(&mut self, call: &'t p::CallStmt) {
        self.command(Verb::Call, Class::Write);
        self.dynamic = true;
        self.effect(SessionEffect::MayChangeSettings);
        if let Some(function) = call.funccall.as_deref() {
            if let Some(name) = names::dotted(&function.funcname) {
                self.object(ObjectKind::Routine, name, Access::Execute);
            }
            self.function_call(function);
        }
        self.visit_all(&call.outargs);
    }

    pub(super) fn do_block(&mut self, block: &'t p::DoStmt) {
        self.command(Verb::Do, Class::Write);
        self.dynamic = true;
        self.effect(SessionEffect::MayChangeSettings);
        for argument in &block.args {
            if let Some(NodeRef::DefElem(option)) = names::node(Some(argument))
                && option.defname == "language"
            {
                self.language_used(option.arg.as_deref());
            }
        }
    }

    pub(super) fn create_function(&mut self, function: &'t p::CreateFunctionStmt) {
        self.command(Verb::Create, Class::Ddl);
        if let Some(name) = names::dotted(&function.funcname) {
            self.object(ObjectKind::Routine, name, Access::Ddl);
        }
        self.visit_all(&function.parameters);
        if let Some(kind) = &function.return_type {
            self.descend(NodeRef::TypeName(kind));
        }
        for option in &function.options {
            self.function_option(option);
        }
        if let Some(body) = names::node(function.sql_body.as_deref()) {
            self.body(body);
        }
    }

    pub(super) fn alter_function(&mut self, alter: &'t p::AlterFunctionStmt) {
        self.command(Verb::Alter, Class::Ddl);
        if let Some(name) = alter
            .func
            .as_ref()
            .and_then(|func| names::dotted(&func.objname))
        {
            self.object(ObjectKind::Routine, name, Access::Ddl);
        }
        for action in &alter.actions {
            self.function_option(action);
        }
    }

    fn function_option(&mut self, option: &'t p::Node) {
        let Some(NodeRef::DefElem(option)) = names::node(Some(option)) else {
            return;
        };
        match option.defname.as_str() {
            // The body: a string that other languages read.
            "as" => self.dynamic = true,
            "language" => self.language_used(option.arg.as_deref()),
            // SECURITY DEFINER lends its owner's rights to whoever may call it.
            "security" => {
                if let Some(NodeRef::Boolean(definer)) = names::node(option.arg.as_deref())
                    && definer.boolval
                {
                    self.raise(Class::Dcl);
                }
            }
            "support" => {
                if let Some(name) = names::of_argument(option.arg.as_deref()) {
                    self.object(ObjectKind::Routine, name, Access::Refer);
                }
            }
            _ => self.visit_box(&option.arg),
        }
    }

    /// A routine's body in SQL: statements that run when it is called.
    fn body(&mut self, body: NodeRef<'t>) {
        match body {
            NodeRef::List(list) => {
                for item in &list.items {
                    if let Some(item) = names::node(Some(item)) {
                        self.body(item);
                    }
                }
            }
            NodeRef::ReturnStmt(value) => self.descend(NodeRef::ReturnStmt(value)),
            statement => self.nested_statement(statement),
        }
    }

    /// A language that a body is written in: untrusted ones bring code onto the server.
    fn language_used(&mut self, argument: Option<&p::Node>) {
        self.literals = true;
        let Some(name) = names::of_argument(argument) else {
            return;
        };
        if !matches!(
            &*name.name,
            "sql" | "plpgsql" | "plperl" | "pltcl" | "plv8" | "plcoffee" | "plls"
        ) {
            self.open_egress(Egress::Code);
            self.raise(Class::Admin);
        }
        self.object(ObjectKind::Extension, name, Access::Refer);
    }
}
