//! Facts from the parser's tree, by a complete walk: every node kind is named in [`Walk::visit`] and in `children`.

mod children;
mod columns;
mod constant;
mod ddl;
mod dml;
mod fold;
mod names;
mod objects;
mod privilege;
mod query;
mod routine;
mod same;
mod session;
mod shape;
mod value;
mod visit;

use pg_query::{NodeRef, protobuf as p};
use smallvec::SmallVec;

pub(super) use crate::statement::facts::strength;
use crate::statement::facts::{ColumnAccess, Name, ObjectAccess, SessionEffect, StatementFacts};
use crate::vocabulary::{
    Access, Class, ColumnUse, Egress, LimitShape, ObjectKind, Verb, WhereShape,
};

use children::children;
use columns::Frame;

/// What the walk of one statement found.
pub(super) struct Walked {
    /// The facts.
    pub(super) facts: StatementFacts,
    /// Whether the value of a literal had a say in them.
    pub(super) literals: bool,
}

/// Walks one statement; `cut` says that long lists of literals were left out of the tree.
pub(super) fn walk(statement: NodeRef<'_>, cut: bool) -> Walked {
    let mut walk = Walk::new(cut);
    walk.outermost(statement);
    walk.finish()
}

/// How a nested statement counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// It is the statement, or as good as: a body, a CTE, a branch.
    Whole,
    /// It is an expression or a FROM item.
    Operand,
}

/// The state of a walk.
struct Walk<'t> {
    verb: Option<Verb>,
    verbs: SmallVec<[Verb; 2]>,
    class: Option<Class>,
    objects: Vec<ObjectAccess>,
    columns: Vec<ColumnAccess>,
    functions: Vec<Name>,
    where_shape: WhereShape,
    limit: LimitShape,
    egress: SmallVec<[Egress; 1]>,
    dynamic: bool,
    effects: Vec<SessionEffect>,
    literals: bool,
    cut: bool,
    /// Only explained, not run.
    dormant: bool,
    /// Names of the CTEs in scope, innermost last.
    ctes: Vec<&'t str>,
    frames: Vec<Frame<'t>>,
    usage: ColumnUse,
}

impl<'t> Walk<'t> {
    fn new(cut: bool) -> Self {
        Walk {
            verb: None,
            verbs: SmallVec::new(),
            class: None,
            objects: Vec::new(),
            columns: Vec::new(),
            functions: Vec::new(),
            where_shape: WhereShape::NotApplicable,
            limit: LimitShape::NotApplicable,
            egress: SmallVec::new(),
            dynamic: false,
            effects: Vec::new(),
            literals: false,
            cut,
            dormant: false,
            ctes: Vec::new(),
            frames: Vec::new(),
            usage: ColumnUse::Read,
        }
    }

    fn finish(mut self) -> Walked {
        self.objects.sort();
        self.objects.dedup();
        self.columns.sort();
        self.columns.dedup();
        self.functions.sort();
        self.functions.dedup();
        let verb = self.verb.unwrap_or(Verb::Unknown);
        if self.verbs.is_empty() {
            self.verbs.push(verb);
        }
        let facts = StatementFacts {
            verb,
            verbs: self.verbs,
            class: self.class.unwrap_or(Class::Utility),
            objects: self.objects,
            columns: self.columns,
            functions: self.functions,
            where_shape: self.where_shape,
            limit: self.limit,
            egress: self.egress,
            dynamic: self.dynamic,
            effects: self.effects,
            detections: Vec::new(),
        };
        Walked {
            facts,
            literals: self.literals,
        }
    }

    /// Notes a command: the first one names the statement.
    fn command(&mut self, verb: Verb, class: Class) {
        if self.dormant {
            return;
        }
        self.verb.get_or_insert(verb);
        if !self.verbs.contains(&verb) {
            self.verbs.push(verb);
        }
        self.raise(class);
    }

    /// Makes the class at least as strong as `class`.
    fn raise(&mut self, class: Class) {
        if !self.dormant
            && self
                .class
                .is_none_or(|known| strength(known) < strength(class))
        {
            self.class = Some(class);
        }
    }

    fn object(&mut self, kind: ObjectKind, name: Name, access: Access) {
        let access = if self.dormant { Access::Read } else { access };
        if !name.name.is_empty() {
            self.objects.push(ObjectAccess { kind, name, access });
        }
    }

    fn open_egress(&mut self, egress: Egress) {
        if !self.egress.contains(&egress) {
            self.egress.push(egress);
        }
    }

    fn effect(&mut self, effect: SessionEffect) {
        if !self.dormant && !self.effects.contains(&effect) {
            self.effects.push(effect);
        }
    }

    /// Keeps the weakest clause.
    fn weaken(&mut self, shape: WhereShape) {
        let weakness = |shape| match shape {
            WhereShape::NotApplicable => 0,
            WhereShape::Restricting => 1,
            WhereShape::AlwaysTrue => 2,
            WhereShape::Absent => 3,
        };
        if !self.dormant && weakness(shape) > weakness(self.where_shape) {
            self.where_shape = shape;
        }
    }

    /// Takes over the facts of a nested statement that was walked on its own; its effects are its own.
    fn absorb(&mut self, nested: &StatementFacts) {
        for &verb in &nested.verbs {
            if !self.verbs.contains(&verb) {
                self.verbs.push(verb);
            }
        }
        self.raise(nested.class);
        self.objects.extend(nested.objects.iter().cloned());
        self.columns.extend(nested.columns.iter().cloned());
        self.functions.extend(nested.functions.iter().cloned());
        self.weaken(nested.where_shape);
        for &egress in &nested.egress {
            self.open_egress(egress);
        }
        self.dynamic |= nested.dynamic;
    }

    /// Walks a statement that is kept for later, on its own.
    fn separate(&mut self, statement: Option<&'t p::Node>) -> StatementFacts {
        let mut walk = Walk::new(self.cut);
        if let Some(node) = names::node(statement) {
            walk.outermost(node);
        }
        let walked = walk.finish();
        self.literals |= walked.literals;
        walked.facts
    }

    /// Visits `f`'s nodes with columns used as `usage`.
    fn using(&mut self, usage: ColumnUse, f: impl FnOnce(&mut Self)) {
        let outer = std::mem::replace(&mut self.usage, usage);
        f(self);
        self.usage = outer;
    }

    fn visit_opt(&mut self, node: Option<&'t p::Node>) {
        if let Some(node) = names::node(node) {
            self.visit(node);
        }
    }

    fn visit_box(&mut self, node: &'t Option<Box<p::Node>>) {
        self.visit_opt(node.as_deref());
    }

    fn visit_all(&mut self, nodes: &'t [p::Node]) {
        for node in nodes {
            self.visit_opt(Some(node));
        }
    }

    /// Visits what hangs below a node; chains of plain expressions take no stack.
    fn descend(&mut self, node: NodeRef<'t>) {
        let mut pending: SmallVec<[NodeRef<'t>; 8]> = SmallVec::new();
        children(node, &mut |child| pending.push(child));
        pending.reverse();
        while let Some(next) = pending.pop() {
            if is_plain(next) {
                if let NodeRef::TypeCast(cast) = next {
                    self.regclass(cast);
                }
                let mark = pending.len();
                children(next, &mut |child| pending.push(child));
                if let Some(added) = pending.get_mut(mark..) {
                    added.reverse();
                }
            } else {
                self.visit(next);
            }
        }
    }

    /// Walks a statement that no other holds.
    fn outermost(&mut self, node: NodeRef<'t>) {
        let bare = match node {
            NodeRef::RawStmt(raw) => names::node(raw.stmt.as_deref()),
            other => Some(other),
        };
        if let Some(NodeRef::SelectStmt(select)) = bare {
            self.settings_set_by(select);
        }
        self.statement(node);
    }

    /// Walks the node of a whole statement.
    fn statement(&mut self, node: NodeRef<'t>) {
        match node {
            NodeRef::SelectStmt(select) => self.select(select, Part::Whole),
            NodeRef::RawStmt(raw) => {
                if let Some(node) = names::node(raw.stmt.as_deref()) {
                    self.statement(node);
                }
            }
            other => self.visit(other),
        }
    }
}

/// Expressions that mean nothing beyond their parts.
fn is_plain(node: NodeRef<'_>) -> bool {
    matches!(
        node,
        NodeRef::AExpr(_)
            | NodeRef::BoolExpr(_)
            | NodeRef::TypeCast(_)
            | NodeRef::AConst(_)
            | NodeRef::ParamRef(_)
            | NodeRef::List(_)
            | NodeRef::String(_)
            | NodeRef::TypeName(_)
            | NodeRef::CaseExpr(_)
            | NodeRef::CaseWhen(_)
            | NodeRef::AArrayExpr(_)
            | NodeRef::RowExpr(_)
            | NodeRef::NullTest(_)
            | NodeRef::BooleanTest(_)
            | NodeRef::CoalesceExpr(_)
            | NodeRef::MinMaxExpr(_)
            | NodeRef::CollateClause(_)
            | NodeRef::AIndirection(_)
            | NodeRef::AIndices(_)
            | NodeRef::Integer(_)
            | NodeRef::Float(_)
            | NodeRef::Boolean(_)
    )
}
