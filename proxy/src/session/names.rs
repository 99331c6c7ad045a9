//! What SQL text has given a name to: prepared statements and cursors, with the facts that run under each name.

use std::{
    collections::{HashMap, HashSet},
    rc::Rc,
};

use sqlward_policy::{
    statement::{
        Facts, Known, Name,
        facts::{SessionEffect, StatementFacts},
    },
    vocabulary::{ObjectKind, Verb},
};

/// Names that a session may define.
const MAX_NAMES: usize = 4096;
/// Bodies that one name may stand for; the server knows which, we judge them all.
const MAX_BODIES: usize = 16;
/// How much the bodies may weigh in all, in objects, columns and functions.
const MAX_WEIGHT: usize = 200_000;

/// What names stand for.
type Bodies = HashMap<Box<str>, Vec<Rc<Facts>>>;

/// The names of a session's prepared statements and cursors. Beyond its bounds, everything is unknown.
#[derive(Debug, Default)]
pub(crate) struct Names {
    prepared: Bodies,
    cursors: Bodies,
    weight: usize,
    overflowed: bool,
    /// Routines may prepare statements under the session's names, and settings may change what these mean (MySQL, MariaDB).
    routines_prepare: bool,
    /// Once names were unsettled: those that a text has prepared since, and that are known for certain.
    certain: Option<HashSet<Box<str>>>,
}

/// What a statement's text refers to by name.
#[derive(Debug, Default)]
pub(crate) struct Referred {
    /// The facts that run with it.
    pub(crate) bodies: Vec<Rc<Facts>>,
    /// It runs a prepared statement that is not known.
    pub(crate) unknown: bool,
}

impl Referred {
    /// What the same text has given `name` to before.
    fn add(&mut self, name: &str, here: &[(&str, &StatementFacts)]) {
        let bodies = here.iter().filter(|(defined, _)| *defined == name);
        self.bodies
            .extend(bodies.map(|(_, body)| Rc::new(only(body))));
    }

    /// Everything that what it refers to does to the session.
    pub(crate) fn effects(&self) -> impl Iterator<Item = &SessionEffect> {
        let statements = self.bodies.iter().flat_map(|body| &body.statements);
        statements.flat_map(|statement| &statement.effects)
    }
}

impl Names {
    /// No names, in a session whose routines may prepare some, or not.
    pub(crate) fn new(routines_prepare: bool) -> Self {
        Self {
            routines_prepare,
            ..Self::default()
        }
    }

    /// Something unknown may run, or texts are read differently: what names stand for is not known until they are
    /// prepared again.
    pub(crate) fn unsettle(&mut self) {
        if self.routines_prepare {
            self.certain = Some(HashSet::new());
        }
    }

    /// What the names in `effects` stand for.
    pub(crate) fn referred<'a>(
        &self,
        effects: impl Iterator<Item = &'a SessionEffect>,
    ) -> Referred {
        let mut referred = Referred::default();
        let effects: Vec<&SessionEffect> = effects.collect();
        let unsettled = self.routines_prepare && effects.iter().copied().any(unsettles_names);
        // What the same text has prepared before counts as well: it may run at once.
        let mut here: Vec<(&str, &StatementFacts)> = Vec::new();
        for effect in effects {
            match effect {
                SessionEffect::Prepare { name, body } | SessionEffect::Declare { name, body } => {
                    here.push((name, body));
                }
                SessionEffect::Execute(name) => {
                    let before = referred.bodies.len();
                    referred.add(name, &here);
                    let known = self.prepared.get(name);
                    referred.bodies.extend(known.into_iter().flatten().cloned());
                    let many = known.is_some_and(|bodies| bodies.len() > MAX_BODIES);
                    let none = referred.bodies.len() == before;
                    let certain = match &self.certain {
                        None => true,
                        Some(certain) => {
                            certain.contains(name)
                                || here.iter().any(|(defined, _)| *defined == &**name)
                        }
                    };
                    referred.unknown |= none || many || self.overflowed || unsettled || !certain;
                }
                // An unknown cursor was opened inside a routine that was judged when it was called.
                SessionEffect::Cursor(name) => {
                    referred.add(name, &here);
                    let known = self.cursors.get(name);
                    referred.bodies.extend(known.into_iter().flatten().cloned());
                    referred.unknown |= self.overflowed;
                }
                SessionEffect::Set { .. }
                | SessionEffect::Reset(_)
                | SessionEffect::Discard
                | SessionEffect::Deallocate(_)
                | SessionEffect::Use(_)
                | SessionEffect::ReadFile(_)
                | SessionEffect::MayChangeSettings => {}
            }
        }
        referred
    }

    /// Before a statement leaves: remember the names that it may define. A name keeps every body that it may stand for,
    /// since only the server knows which PREPARE succeeded.
    ///
    /// `database`: where unqualified names of a prepared body lie for good, whatever is current when it is executed (MySQL).
    pub(crate) fn announce<'a>(
        &mut self,
        effects: impl Iterator<Item = &'a SessionEffect>,
        database: Option<&str>,
    ) {
        for effect in effects {
            match effect {
                SessionEffect::Prepare { name, body } => {
                    self.prepare(name, qualified(only(body), database));
                }
                SessionEffect::Declare { name, body } => self.open(name, only(body)),
                SessionEffect::Set { .. }
                | SessionEffect::Reset(_)
                | SessionEffect::Discard
                | SessionEffect::Execute(_)
                | SessionEffect::Cursor(_)
                | SessionEffect::Deallocate(_)
                | SessionEffect::Use(_)
                | SessionEffect::ReadFile(_)
                | SessionEffect::MayChangeSettings => {}
            }
        }
    }

    /// After a statement succeeded: forget the names that it has freed.
    pub(crate) fn apply<'a>(&mut self, effects: impl Iterator<Item = &'a SessionEffect>) {
        let effects: Vec<&SessionEffect> = effects.collect();
        let unsettled = effects.iter().copied().any(unsettles_names);
        for effect in effects {
            match effect {
                SessionEffect::Discard => *self = Self::new(self.routines_prepare),
                SessionEffect::Deallocate(Some(name)) => {
                    self.prepared.remove(name);
                }
                SessionEffect::Deallocate(None) => self.prepared.clear(),
                // It may have been freed and defined anew in one text.
                SessionEffect::Prepare { name, body } => {
                    self.prepare(name, only(body));
                    if let (Some(certain), false) = (&mut self.certain, unsettled)
                        && certain.len() < MAX_NAMES
                    {
                        certain.insert(name.clone());
                    }
                }
                SessionEffect::Set { .. }
                | SessionEffect::Use(_)
                | SessionEffect::ReadFile(_)
                | SessionEffect::Reset(_)
                | SessionEffect::Declare { .. }
                | SessionEffect::Execute(_)
                | SessionEffect::Cursor(_)
                | SessionEffect::MayChangeSettings => {}
            }
        }
    }

    /// The server has prepared a statement by protocol: its name stands for this and nothing else.
    pub(crate) fn prepared(&mut self, name: &[u8], facts: &Facts) {
        if !name.is_empty() {
            let name = String::from_utf8_lossy(name);
            self.prepared.remove(&*name);
            self.prepare(&name, facts.clone());
        }
    }

    /// A portal is bound by protocol: SQL can FETCH from it.
    pub(crate) fn bound(&mut self, portal: &[u8], facts: &Facts) {
        if !portal.is_empty() {
            self.open(&String::from_utf8_lossy(portal), facts.clone());
        }
    }

    fn prepare(&mut self, name: &str, body: Facts) {
        let added = define(&mut self.prepared, name, body);
        self.weigh(added);
    }

    fn open(&mut self, name: &str, body: Facts) {
        let added = define(&mut self.cursors, name, body);
        self.weigh(added);
    }

    fn weigh(&mut self, added: usize) {
        self.weight = self.weight.saturating_add(added);
        let names = self.prepared.len().saturating_add(self.cursors.len());
        if self.weight > MAX_WEIGHT || names > MAX_NAMES {
            *self = Self {
                overflowed: true,
                ..Self::new(self.routines_prepare)
            };
        }
    }
}

/// Whose name a text may give another meaning; `None` for all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Renamed<'a> {
    /// Prepared statements.
    Prepared(Option<&'a str>),
    /// Portals, which cursors are.
    Portal(Option<&'a str>),
    /// A portal keeps its meaning, but is run by SQL.
    Fetched(&'a str),
}

/// The names that SQL shares with the protocol, and that a text may give another meaning.
pub(crate) fn renamed(known: &Known) -> impl Iterator<Item = Renamed<'_>> {
    let statements = known.analysis.facts.statements.iter();
    let effects = statements.flat_map(|statement| {
        statement
            .effects
            .iter()
            .map(|effect| (statement.verb, effect))
    });
    effects
        .flat_map(|(verb, effect)| match effect {
            SessionEffect::Prepare { name, .. } => [Some(Renamed::Prepared(Some(name))), None],
            SessionEffect::Deallocate(name) => [Some(Renamed::Prepared(name.as_deref())), None],
            SessionEffect::Declare { name, .. } => [Some(Renamed::Portal(Some(name))), None],
            SessionEffect::Cursor(name) if verb == Verb::Close => [
                Some(Renamed::Portal((!name.is_empty()).then_some(&**name))),
                None,
            ],
            SessionEffect::Cursor(name) => [Some(Renamed::Fetched(name)), None],
            SessionEffect::Discard => [Some(Renamed::Prepared(None)), Some(Renamed::Portal(None))],
            SessionEffect::Set { .. }
            | SessionEffect::Use(_)
            | SessionEffect::ReadFile(_)
            | SessionEffect::Reset(_)
            | SessionEffect::Execute(_)
            | SessionEffect::MayChangeSettings => [None, None],
        })
        .flatten()
}

/// Whether names may stand for something else behind it: it runs code that no text shows, which may prepare, or it sets how
/// texts are read, and MySQL reads a prepared one again when its tables have changed.
pub(super) fn unsettles_names(effect: &SessionEffect) -> bool {
    match effect {
        SessionEffect::MayChangeSettings => true,
        SessionEffect::Set { name, .. } | SessionEffect::Reset(Some(name)) => matches!(
            &**name,
            "sql_mode" | "character_set_client" | "names" | "character_set"
        ),
        SessionEffect::Reset(None)
        | SessionEffect::Discard
        | SessionEffect::Prepare { .. }
        | SessionEffect::Execute(_)
        | SessionEffect::Deallocate(_)
        | SessionEffect::Declare { .. }
        | SessionEffect::Cursor(_)
        | SessionEffect::Use(_)
        | SessionEffect::ReadFile(_) => false,
    }
}

/// Give `name` one more body that it may stand for. Returns what that adds in weight.
fn define(bodies: &mut Bodies, name: &str, body: Facts) -> usize {
    let known = bodies.entry(name.into()).or_default();
    if known.len() > MAX_BODIES || known.iter().any(|other| **other == body) {
        return 0;
    }
    let weight = body.statements.iter().map(weight).sum();
    known.push(Rc::new(body));
    weight
}

fn weight(statement: &StatementFacts) -> usize {
    let lists = statement.objects.len() + statement.columns.len() + statement.functions.len();
    4 + lists + statement.effects.len()
}

/// The same facts, with tables and routines without a schema in `database`.
fn qualified(mut facts: Facts, database: Option<&str>) -> Facts {
    let Some(database) = database.filter(|database| !database.is_empty()) else {
        return facts;
    };
    let put = |name: &mut Name| {
        name.schema.get_or_insert_with(|| database.into());
    };
    for statement in &mut facts.statements {
        for object in &mut statement.objects {
            match object.kind {
                ObjectKind::Relation | ObjectKind::Routine => put(&mut object.name),
                ObjectKind::Schema
                | ObjectKind::Database
                | ObjectKind::Role
                | ObjectKind::Extension
                | ObjectKind::Foreign
                | ObjectKind::Setting
                | ObjectKind::Type
                | ObjectKind::Other => {}
            }
        }
        let columns = statement.columns.iter_mut();
        columns
            .filter_map(|column| column.table.as_mut())
            .for_each(put);
    }
    facts
}

/// The facts of a text that is this statement alone.
fn only(body: &StatementFacts) -> Facts {
    Facts {
        statements: vec![body.clone()],
        unreadable: None,
    }
}

#[cfg(test)]
mod tests {
    use sqlward_policy::vocabulary::Dialect;

    use super::{super::context::tests::effects, *};

    fn facts(sql: &str) -> Facts {
        let (lex, limits) = Default::default();
        sqlward_policy::statement::analyse(sql.as_bytes(), &lex, &limits).facts
    }

    #[test]
    fn a_name_stands_for_every_body_that_may_have_been_prepared() {
        let mut names = Names::default();
        names.announce(effects("PREPARE s AS SELECT 1").iter(), None);
        names.announce(effects("PREPARE s AS DELETE FROM t").iter(), None);
        let referred = names.referred(effects("EXECUTE s").iter());
        assert_eq!((referred.bodies.len(), referred.unknown), (2, false));
        names.apply(effects("DEALLOCATE s").iter());
        assert!(names.referred(effects("EXECUTE s").iter()).unknown);
    }

    #[test]
    fn what_a_text_prepares_it_may_execute() {
        let names = Names::default();
        let referred = names.referred(effects("PREPARE s AS SELECT 1; EXECUTE s").iter());
        assert_eq!((referred.bodies.len(), referred.unknown), (1, false));
        assert!(
            names
                .referred(effects("EXECUTE s; PREPARE s AS SELECT 1").iter())
                .unknown
        );
    }

    #[test]
    fn what_a_routine_may_have_prepared_is_not_known_until_a_text_prepares_it() {
        let mysql = |sql: &str| {
            let lex = sqlward_policy::statement::LexState::of_dialect(Dialect::Mysql);
            let analysis =
                sqlward_policy::statement::analyse(sql.as_bytes(), &lex, &Default::default());
            let statements = analysis.facts.statements.into_iter();
            let effects = statements.flat_map(|statement| statement.effects);
            effects.collect::<Vec<_>>()
        };
        let unknown = |names: &Names, sql: &str| names.referred(mysql(sql).iter()).unknown;
        let prepare = mysql("PREPARE s FROM 'SELECT 1'");
        let mut names = Names::new(true);
        names.announce(prepare.iter(), None);
        names.apply(prepare.iter());
        assert!(!unknown(&names, "EXECUTE s"));
        assert!(unknown(&names, "CALL p(); EXECUTE s"));
        names.unsettle();
        assert!(unknown(&names, "EXECUTE s"));
        // Under way, it may fail.
        names.announce(prepare.iter(), None);
        assert!(unknown(&names, "EXECUTE s"));
        assert!(!unknown(&names, "PREPARE s FROM 'SELECT 1'; EXECUTE s"));
        names.apply(prepare.iter());
        assert!(!unknown(&names, "EXECUTE s") && unknown(&names, "EXECUTE t"));
        // Read again, it may be another statement.
        for set in ["SET sql_mode = 'ANSI_QUOTES'", "SET NAMES gbk"] {
            assert!(unknown(&names, &format!("{set}; EXECUTE s")), "{set}");
        }
        assert!(!unknown(&names, "SET autocommit = 0; EXECUTE s"));
        // No routine of PostgreSQL's prepares what EXECUTE would find.
        let mut names = Names::default();
        names.unsettle();
        assert!(names.certain.is_none());
    }

    #[test]
    fn what_the_server_prepared_by_protocol_is_all_that_a_name_stands_for() {
        let mut names = Names::default();
        names.announce(effects("PREPARE s AS DELETE FROM t").iter(), None);
        names.prepared(b"s", &facts("SELECT 2"));
        assert_eq!(names.referred(effects("EXECUTE s").iter()).bodies.len(), 1);
    }

    #[test]
    fn a_fetch_runs_what_a_portal_is_bound_to() {
        let mut names = Names::default();
        names.bound(b"p", &facts("DELETE FROM t RETURNING *"));
        assert_eq!(
            names
                .referred(effects("FETCH ALL FROM p").iter())
                .bodies
                .len(),
            1
        );
        assert!(!names.referred(effects("FETCH ALL FROM q").iter()).unknown);
    }

    #[test]
    fn too_many_names_are_unknown_not_forgotten() {
        let mut names = Names::default();
        for number in 0..=MAX_NAMES {
            names.announce(
                effects(&format!("PREPARE s{number} AS SELECT 1")).iter(),
                None,
            );
        }
        assert!(names.referred(effects("EXECUTE s0").iter()).unknown);
    }

    #[test]
    fn bodies_are_bounded_by_weight() {
        let mut names = Names::default();
        let columns = (0..5_000)
            .map(|n| format!("c{n}"))
            .collect::<Vec<_>>()
            .join(",");
        let body = effects(&format!("PREPARE s AS SELECT {columns} FROM t"));
        for _ in 0..100 {
            names.announce(body.iter(), None);
        }
        for number in 0..100 {
            let body = effects(&format!("PREPARE s{number} AS SELECT {columns} FROM t"));
            names.announce(body.iter(), None);
        }
        assert!(names.overflowed && names.weight <= MAX_WEIGHT);
    }
}
