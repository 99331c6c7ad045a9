//! What analysis claims about a statement. Pure data; rules match on it, records carry it.

use smallvec::SmallVec;

use crate::detect::Detection;
use crate::vocabulary::{
    Access, Class, ColumnUse, Egress, LimitShape, ObjectKind, Unreadable, Verb, WhereShape,
};

/// The facts of one message's text: every statement in it, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// One entry per statement; never empty (an empty message has one of verb `empty`).
    pub statements: Vec<StatementFacts>,
    /// Why the text can't be read exactly; the statements then hold what the lexer alone can tell.
    pub unreadable: Option<Unreadable>,
}

/// The facts of one statement, everything nested in it included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatementFacts {
    /// The leading command; EXPLAIN, PREPARE and DECLARE keep their own verb.
    pub verb: Verb,
    /// Every verb in the statement, nested ones too (CTEs, EXPLAIN ANALYZE, PREPARE bodies, rule actions).
    pub verbs: SmallVec<[Verb; 2]>,
    /// The strongest class in the statement: a write hidden in a read makes it a write.
    pub class: Class,
    /// Named things and what is done to them.
    pub objects: Vec<ObjectAccess>,
    /// Columns by use.
    pub columns: Vec<ColumnAccess>,
    /// Functions called, folded, qualified where the text qualifies them.
    pub functions: Vec<Name>,
    /// The weakest WHERE clause of any UPDATE or DELETE in it.
    pub where_shape: WhereShape,
    /// The LIMIT of the outermost query.
    pub limit: LimitShape,
    /// Ways out of the database and into the server.
    pub egress: SmallVec<[Egress; 1]>,
    /// It runs SQL that is built at run time or hidden in a string.
    pub dynamic: bool,
    /// What it does to the session when it succeeds.
    pub effects: Vec<SessionEffect>,
    /// What the detectors saw in it.
    pub detections: Vec<Detection>,
}

impl StatementFacts {
    /// Facts that say nothing but the verb.
    #[must_use]
    pub fn new(verb: Verb, class: Class) -> Self {
        StatementFacts {
            verb,
            verbs: smallvec::smallvec![verb],
            class,
            objects: Vec::new(),
            columns: Vec::new(),
            functions: Vec::new(),
            where_shape: WhereShape::NotApplicable,
            limit: LimitShape::NotApplicable,
            egress: SmallVec::new(),
            dynamic: false,
            effects: Vec::new(),
            detections: Vec::new(),
        }
    }
}

/// A name as the server resolves it: folded, truncated, quotes removed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name {
    /// The schema (or database, in MySQL) that the text names, if it names one.
    pub schema: Option<Box<str>>,
    /// The name itself.
    pub name: Box<str>,
}

/// One object and one kind of access to it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectAccess {
    /// What kind of thing it is.
    pub kind: ObjectKind,
    /// Its name.
    pub name: Name,
    /// What is done to it.
    pub access: Access,
}

/// One column and one use of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ColumnAccess {
    /// The table that the text lets us attribute it to: a qualifier resolved through aliases, or the only table in scope.
    pub table: Option<Name>,
    /// The column's name; `*` for all.
    pub column: Box<str>,
    /// How it is used.
    pub usage: ColumnUse,
}

/// A change of session state that a statement makes when it succeeds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionEffect {
    /// `SET [LOCAL] name = value`; `None` where the value is DEFAULT or not a constant.
    Set {
        /// The setting, folded.
        name: Box<str>,
        /// Its new value.
        value: Option<Box<str>>,
        /// Whether it lasts for the transaction only.
        local: bool,
    },
    /// RESET of one setting, or of all (`None`).
    Reset(Option<Box<str>>),
    /// USE of a database: unqualified names lie in it from here on.
    Use(Box<str>),
    /// LOAD DATA LOCAL (MySQL): the server will ask the client for its file of this name.
    ReadFile(Box<str>),
    /// DISCARD ALL; the other DISCARDs change nothing that is followed.
    Discard,
    /// SQL-level PREPARE of the named statement, with the facts of its body.
    Prepare {
        /// The statement's name, folded.
        name: Box<str>,
        /// What EXECUTE of it will do.
        body: Box<StatementFacts>,
    },
    /// SQL-level EXECUTE of the named statement.
    Execute(Box<str>),
    /// DEALLOCATE of one name, or of all (`None`).
    Deallocate(Option<Box<str>>),
    /// DECLARE of a cursor, with the facts of its query.
    Declare {
        /// The cursor's name, folded.
        name: Box<str>,
        /// What FETCH from it will do.
        body: Box<StatementFacts>,
    },
    /// FETCH, MOVE or CLOSE of a cursor.
    Cursor(Box<str>),
    /// Transaction end, or anything else after which settings may differ: set_config, CALL, DO, EXECUTE, FETCH, and calls
    /// of functions that are not known to be harmless.
    ///
    /// Code that no call shows does not count: triggers, rules and column defaults of the tables that INSERT, UPDATE,
    /// DELETE, MERGE and COPY FROM change, functions inside views, functions behind operators and casts. What they set is
    /// noticed when the server reports it.
    MayChangeSettings,
}

/// How strong a class is: what a statement does at most.
pub(crate) fn strength(class: Class) -> u8 {
    match class {
        Class::Utility => 0,
        Class::Tcl => 1,
        Class::Session => 2,
        Class::Read => 3,
        Class::Write => 4,
        Class::Ddl => 5,
        Class::Dcl => 6,
        Class::Admin => 7,
    }
}

/// Roughly what the facts of a statement take in memory.
pub(crate) fn size(facts: &StatementFacts) -> usize {
    let name = |name: &Name| {
        size_of::<Name>() + name.name.len() + name.schema.as_ref().map_or(0, |s| s.len())
    };
    let objects: usize = facts
        .objects
        .iter()
        .map(|object| name(&object.name) + 16)
        .sum();
    let columns: usize = facts
        .columns
        .iter()
        .map(|column| {
            size_of::<ColumnAccess>() + column.column.len() + column.table.as_ref().map_or(0, name)
        })
        .sum();
    let functions: usize = facts.functions.iter().map(name).sum();
    let effects: usize = facts
        .effects
        .iter()
        .map(|effect| {
            size_of::<SessionEffect>()
                + match effect {
                    SessionEffect::Prepare { name, body }
                    | SessionEffect::Declare { name, body } => name.len() + size(body),
                    SessionEffect::Set { name, value, .. } => {
                        name.len() + value.as_ref().map_or(0, |value| value.len())
                    }
                    SessionEffect::Reset(name) | SessionEffect::Deallocate(name) => {
                        name.as_ref().map_or(0, |name| name.len())
                    }
                    SessionEffect::Execute(name)
                    | SessionEffect::Cursor(name)
                    | SessionEffect::Use(name)
                    | SessionEffect::ReadFile(name) => name.len(),
                    SessionEffect::Discard | SessionEffect::MayChangeSettings => 0,
                }
        })
        .sum();
    let detections = facts.detections.len() * size_of::<Detection>();
    size_of::<StatementFacts>() + objects + columns + functions + effects + detections
}
