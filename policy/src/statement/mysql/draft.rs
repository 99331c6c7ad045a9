//! The facts of a statement while it is read.

use smallvec::SmallVec;

use crate::statement::facts::{
    ColumnAccess, Name, ObjectAccess, SessionEffect, StatementFacts, strength,
};
use crate::vocabulary::{
    Access, Class, ColumnUse, Egress, LimitShape, ObjectKind, Verb, WhereShape,
};

/// What has been learnt of a statement.
#[derive(Debug, Default)]
pub(super) struct Draft {
    verb: Option<Verb>,
    verbs: SmallVec<[Verb; 2]>,
    class: Option<Class>,
    objects: Vec<ObjectAccess>,
    columns: Vec<ColumnAccess>,
    functions: Vec<Name>,
    where_shape: Option<WhereShape>,
    pub(super) limit: Option<LimitShape>,
    egress: SmallVec<[Egress; 1]>,
    pub(super) dynamic: bool,
    effects: Vec<SessionEffect>,
    /// The value of a literal had a say.
    pub(super) literals: bool,
    /// Only explained, not run.
    pub(super) dormant: bool,
    /// Inside the body of a routine, trigger or event: it has no effect on this session.
    pub(super) in_body: bool,
    /// Where unqualified names lie, if that is not the session's database.
    pub(super) schema: Option<Box<str>>,
    pub(super) ctes: Vec<Box<str>>,
    /// Of that many names, the outermost, it is not certain that they are seen here.
    pub(super) doubtful_ctes: usize,
    frames: Vec<Frame>,
    pub(super) usage: Usage,
}

/// How columns that come now are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Usage(pub(super) ColumnUse);

impl Default for Usage {
    fn default() -> Self {
        Usage(ColumnUse::Read)
    }
}

/// What stands in the FROM of one query level, and the columns that wait for it.
#[derive(Debug, Default)]
struct Frame {
    sources: SmallVec<[Source; 2]>,
    pending: Vec<Pending>,
    /// Sees nothing of the level right around it.
    derived: bool,
}

/// What columns can call one FROM item, and its table if it is one.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) alias: Box<str>,
    pub(super) table: Option<Name>,
}

#[derive(Debug)]
struct Pending {
    table: Option<Box<str>>,
    column: Box<str>,
    usage: ColumnUse,
}

impl Draft {
    pub(super) fn finish(mut self) -> (StatementFacts, bool) {
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
            where_shape: self.where_shape.unwrap_or(WhereShape::NotApplicable),
            limit: self.limit.unwrap_or(LimitShape::NotApplicable),
            egress: self.egress,
            dynamic: self.dynamic,
            effects: self.effects,
            detections: Vec::new(),
        };
        (facts, self.literals)
    }

    /// Notes a command: the first one names the statement.
    pub(super) fn command(&mut self, verb: Verb, class: Class) {
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
    pub(super) fn raise(&mut self, class: Class) {
        if !self.dormant
            && self
                .class
                .is_none_or(|known| strength(known) < strength(class))
        {
            self.class = Some(class);
        }
    }

    pub(super) fn object(&mut self, kind: ObjectKind, name: Name, access: Access) {
        let access = if self.dormant { Access::Read } else { access };
        self.objects.push(ObjectAccess { kind, name, access });
    }

    pub(super) fn function(&mut self, name: Name) {
        self.functions.push(name);
    }

    pub(super) fn open_egress(&mut self, egress: Egress) {
        if !self.egress.contains(&egress) {
            self.egress.push(egress);
        }
    }

    pub(super) fn effect(&mut self, effect: SessionEffect) {
        let known = self.effects.len() < MAX_COMPARED && self.effects.contains(&effect);
        if !self.dormant && !self.in_body && !known {
            self.effects.push(effect);
        }
    }

    /// Keeps the weakest clause.
    pub(super) fn weaken(&mut self, shape: WhereShape) {
        let weakness = |shape| match shape {
            WhereShape::NotApplicable => 0,
            WhereShape::Restricting => 1,
            WhereShape::AlwaysTrue => 2,
            WhereShape::Absent => 3,
        };
        let known = self.where_shape.map_or(0, weakness);
        if !self.dormant && weakness(shape) > known {
            self.where_shape = Some(shape);
        }
    }

    /// Takes over the facts of a statement that was read on its own; its effects are its own.
    pub(super) fn absorb(&mut self, nested: &StatementFacts) {
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

    pub(super) fn open_frame(&mut self, derived: bool) {
        self.frames.push(Frame {
            derived,
            ..Frame::default()
        });
    }

    pub(super) fn add_source(&mut self, alias: Box<str>, table: Option<Name>) {
        if let Some(frame) = self.frames.last_mut() {
            frame.sources.push(Source { alias, table });
        }
    }

    /// The FROM items of the innermost query.
    pub(super) fn sources(&self) -> &[Source] {
        self.frames.last().map_or(&[], |frame| &frame.sources)
    }

    /// Notes the use of a column that may be qualified by a table's name or alias.
    pub(super) fn column(&mut self, table: Option<Box<str>>, column: Box<str>) {
        let usage = self.usage.0;
        match self.frames.last_mut() {
            Some(frame) => frame.pending.push(Pending {
                table,
                column,
                usage,
            }),
            None => self.attributed(None, column, usage),
        }
    }

    /// Notes the use of a column of a known table.
    pub(super) fn column_of(&mut self, table: Option<Name>, column: Box<str>) {
        self.attributed(table, column, self.usage.0);
    }

    /// Notes that a column of a known table is assigned.
    pub(super) fn assigned(&mut self, table: Option<Name>, column: Box<str>) {
        let usage = if self.dormant {
            ColumnUse::Read
        } else {
            ColumnUse::Write
        };
        self.attributed(table, column, usage);
    }

    fn attributed(&mut self, table: Option<Name>, column: Box<str>, usage: ColumnUse) {
        self.columns.push(ColumnAccess {
            table,
            column,
            usage,
        });
    }

    /// Ends a query level: its columns find their tables, or look for them further out.
    pub(super) fn close_frame(&mut self) {
        let Some(frame) = self.frames.pop() else {
            return;
        };
        let around = self.frames.len().saturating_sub(usize::from(frame.derived));
        for pending in frame.pending {
            let found = frame.sources.iter().find(|source| {
                let called = pending.table.as_ref();
                called.is_some_and(|called| source.alias.eq_ignore_ascii_case(called))
            });
            match (&pending.table, found) {
                (Some(_), Some(source)) => {
                    self.attributed(source.table.clone(), pending.column, pending.usage);
                }
                (Some(_), None) => self.outwards(pending),
                (None, _) if &*pending.column == "*" => {
                    for source in &frame.sources {
                        self.attributed(source.table.clone(), "*".into(), pending.usage);
                    }
                    if frame.sources.is_empty() {
                        self.attributed(None, "*".into(), pending.usage);
                    }
                }
                (None, _) if frame.sources.is_empty() => self.outwards(pending),
                (None, _) => {
                    let only = match (frame.sources.as_slice(), around) {
                        ([source], 0) => source.table.clone(),
                        _ => None,
                    };
                    self.attributed(only, pending.column, pending.usage);
                }
            }
        }
    }

    fn outwards(&mut self, pending: Pending) {
        match self.frames.last_mut() {
            Some(frame) => frame.pending.push(pending),
            None => self.attributed(None, pending.column, pending.usage),
        }
    }
}

/// Effects are compared with each other while they are few.
const MAX_COMPARED: usize = 64;

/// A place among the objects.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark(usize);

impl Draft {
    pub(super) fn mark(&self) -> Mark {
        Mark(self.objects.len())
    }

    /// Says of tables named since `mark` that they are changed; a single table is not also read by that.
    pub(super) fn retarget(
        &mut self,
        mark: Mark,
        single: bool,
        targets: Vec<Name>,
        access: Access,
    ) {
        if self.dormant {
            return;
        }
        for name in targets {
            let since = self.objects.get_mut(mark.0..).unwrap_or_default();
            let only = since
                .iter_mut()
                .find(|object| single && object.name == name && object.access == Access::Read);
            match only {
                Some(object) => object.access = access,
                None => self.objects.push(ObjectAccess {
                    kind: ObjectKind::Relation,
                    name,
                    access,
                }),
            }
        }
    }
}
