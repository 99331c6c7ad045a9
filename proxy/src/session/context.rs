//! What is known of a session besides the protocol: its subject, and the statements and cursors that SQL text has named.

use std::{collections::HashMap, rc::Rc};

use sqlward_audit_store::record::EndUserSource;
use sqlward_policy::{
    Policy, Standing, Subject,
    rule::subject::EndUser,
    statement::{
        Facts, Known,
        facts::{SessionEffect, StatementFacts},
    },
    vocabulary::Unreadable,
};
use sqlward_wire::pg;

/// Names that a session may define by SQL text; beyond, the oldest knowledge is given up and their use is unreadable.
const MAX_NAMES: usize = 4096;
/// Settings on which the reading of a text depends.
const READING: [&str; 3] = ["standard_conforming_strings", "client_encoding", "names"];
/// Bodies that one name may stand for; the server knows which, we judge them all.
const MAX_BODIES: usize = 16;

/// A value that a transaction may take back.
#[derive(Clone, Debug, Default)]
struct Transactional<T> {
    committed: T,
    current: T,
}

impl<T: Clone> Transactional<T> {
    fn settle(&mut self, kept: bool) {
        if kept {
            self.committed = self.current.clone();
        } else {
            self.current = self.committed.clone();
        }
    }
}

/// What SQL text has given a name to.
type Bodies = HashMap<Box<str>, Vec<Rc<Facts>>>;

/// What is known of a session besides the protocol.
#[derive(Debug)]
pub(crate) struct Context {
    /// Who acts, from where, with what.
    pub subject: Subject,
    standing: Option<(u64, Standing)>,
    end_user: Transactional<Option<Box<str>>>,
    source: EndUserSource,
    prepared: Bodies,
    cursors: Bodies,
    overflowed: bool,
    /// A statement that may have changed how texts are read has been forwarded, and the server has not reported yet.
    may_read_differently: bool,
}

/// What a statement's text refers to by name.
#[derive(Debug, Default)]
pub(crate) struct Referred {
    /// The facts that run with it.
    pub bodies: Vec<Rc<Facts>>,
    /// It runs a prepared statement that is not known.
    pub unknown: bool,
}

impl Referred {
    fn add(&mut self, name: &str, here: &[(&str, &StatementFacts)]) {
        let bodies = here.iter().filter(|(defined, _)| *defined == name);
        self.bodies
            .extend(bodies.map(|(_, body)| Rc::new(only(body))));
    }
}

impl Context {
    /// The context of a session that has just begun.
    #[must_use]
    pub(crate) fn new(subject: Subject) -> Self {
        Self {
            subject,
            standing: None,
            end_user: Transactional::default(),
            source: EndUserSource::Setting,
            prepared: Bodies::new(),
            cursors: Bodies::new(),
            overflowed: false,
            may_read_differently: false,
        }
    }

    /// Take in who the client says it is (PostgreSQL manual, StartupMessage): the database defaults to the user.
    pub(crate) fn introduce(&mut self, parameters: &pg::StartupParameters<'_>) {
        let value = |name: &[u8]| {
            parameters
                .value(name)
                .map(|value| String::from_utf8_lossy(value).into_owned())
        };
        let subject = &mut self.subject;
        subject.user = value(b"user").unwrap_or_default();
        subject.role = Some(subject.user.clone());
        subject.database = value(b"database").unwrap_or_else(|| subject.user.clone());
        subject.application = value(b"application_name").unwrap_or_default();
        self.standing = None;
    }

    /// Which rules can apply to this session under `policy`; computed when either has changed.
    pub(crate) fn standing(&mut self, policy: &Policy) -> &Standing {
        let current =
            matches!(&self.standing, Some((generation, _)) if *generation == policy.generation);
        if !current {
            self.standing = None;
        }
        let subject = &self.subject;
        &self
            .standing
            .get_or_insert_with(|| (policy.generation, policy.standing(subject)))
            .1
    }

    /// The end user that the session has set, if it has.
    #[must_use]
    pub(crate) fn end_user(&self) -> Option<&str> {
        self.end_user.current.as_deref()
    }

    /// The subject has changed, and with it perhaps the end user: rules must be looked at again.
    pub(crate) fn act_for(&mut self, end_user: Option<(String, EndUserSource)>) {
        self.subject.end_user = end_user.map(|(name, source)| {
            self.source = source;
            EndUser {
                name,
                trust: source.as_str().to_owned(),
            }
        });
        self.standing = None;
    }

    /// The end user that the session acts for, and how that is known.
    #[must_use]
    pub(crate) fn acts_for(&self) -> Option<(&str, EndUserSource)> {
        self.subject
            .end_user
            .as_ref()
            .map(|user| (user.name.as_str(), self.source))
    }

    /// Why `text` can't be read for certain: it may be read differently by the time that it arrives. `unsettled`: statements
    /// were executed since the server last reported its settings.
    pub(crate) fn doubt(&mut self, unsettled: bool, text: &[u8]) -> Option<Unreadable> {
        self.may_read_differently &= unsettled;
        let depends = || text.iter().any(|byte| *byte == b'\\' || *byte >= 0x80);
        (self.may_read_differently && depends()).then_some(Unreadable::Unsettled)
    }

    /// What the names in `effects` stand for.
    #[must_use]
    pub(crate) fn referred<'a>(
        &self,
        effects: impl Iterator<Item = &'a SessionEffect>,
    ) -> Referred {
        let mut referred = Referred::default();
        // What the same text has prepared before counts as well: it may run at once.
        let mut here: Vec<(&str, &StatementFacts)> = Vec::new();
        for effect in effects {
            match effect {
                SessionEffect::Prepare { name, body } | SessionEffect::Declare { name, body } => {
                    here.push((name, body));
                }
                SessionEffect::Execute(name) => {
                    let known = referred.bodies.len();
                    referred.add(name, &here);
                    match self.prepared.get(name) {
                        Some(bodies) if !self.overflowed && bodies.len() <= MAX_BODIES => {
                            referred.bodies.extend(bodies.iter().cloned());
                        }
                        Some(_) => referred.unknown = true,
                        None => referred.unknown |= referred.bodies.len() == known,
                    }
                }
                // An unknown cursor was opened inside a routine that was judged when it was called.
                SessionEffect::Cursor(name) => {
                    referred.add(name, &here);
                    referred
                        .bodies
                        .extend(self.cursors.get(name).into_iter().flatten().cloned());
                }
                SessionEffect::Set { .. }
                | SessionEffect::Reset(_)
                | SessionEffect::Discard
                | SessionEffect::Deallocate(_)
                | SessionEffect::MayChangeSettings => {}
            }
        }
        referred
    }

    /// Before a statement leaves: remember the names that it may define. A name keeps every body it may stand for,
    /// since only the server knows which PREPARE succeeded.
    pub(crate) fn announce<'a>(&mut self, effects: impl Iterator<Item = &'a SessionEffect>) {
        for effect in effects {
            match effect {
                SessionEffect::Prepare { name, body } => self.define_prepared(name, body),
                SessionEffect::Declare { name, body } => {
                    define(&mut self.cursors, name, only(body));
                }
                SessionEffect::Set { name, .. } | SessionEffect::Reset(Some(name)) => {
                    self.may_read_differently |= READING.contains(&&**name);
                }
                SessionEffect::Reset(None)
                | SessionEffect::Discard
                | SessionEffect::MayChangeSettings => self.may_read_differently = true,
                SessionEffect::Execute(_)
                | SessionEffect::Cursor(_)
                | SessionEffect::Deallocate(_) => {}
            }
        }
    }

    /// After a statement succeeded: take over what it did to the session. Returns whether the subject changed.
    pub(crate) fn apply<'a>(&mut self, effects: impl Iterator<Item = &'a SessionEffect>) -> bool {
        let mut changed = false;
        for effect in effects {
            match effect {
                SessionEffect::Set { name, value, .. } => changed |= self.set(name, value.clone()),
                SessionEffect::Reset(Some(name)) => changed |= self.set(name, None),
                SessionEffect::Reset(None) => changed |= self.reset(),
                SessionEffect::Discard => {
                    changed |= self.reset();
                    self.prepared.clear();
                    self.cursors.clear();
                }
                SessionEffect::Deallocate(Some(name)) => {
                    self.prepared.remove(name);
                }
                SessionEffect::Deallocate(None) => self.prepared.clear(),
                SessionEffect::Prepare { name, body } => self.define_prepared(name, body),
                SessionEffect::Declare { .. }
                | SessionEffect::Execute(_)
                | SessionEffect::Cursor(_)
                | SessionEffect::MayChangeSettings => {}
            }
        }
        changed
    }

    /// The server has prepared a statement by protocol: its name stands for this and nothing else.
    pub(crate) fn prepared(&mut self, name: &[u8], known: &Known) {
        let name = String::from_utf8_lossy(name);
        if !name.is_empty() {
            self.prepared.remove(&*name);
            self.overflowed |= !define(&mut self.prepared, &name, known.analysis.facts.clone());
        }
    }

    fn define_prepared(&mut self, name: &str, body: &StatementFacts) {
        self.overflowed |= !define(&mut self.prepared, name, only(body));
    }

    fn reset(&mut self) -> bool {
        let role = self.set("role", None);
        self.set("sqlward.end_user", None) || role
    }

    fn set(&mut self, name: &str, value: Option<Box<str>>) -> bool {
        match name {
            "sqlward.end_user" => {
                let value = value.filter(|user| !user.is_empty());
                let changed = self.end_user.current != value;
                self.end_user.current = value;
                changed
            }
            "role" => {
                let role = value.filter(|role| &**role != "none");
                let role = role.map_or_else(|| self.subject.user.clone(), String::from);
                let changed = self.subject.role.as_ref() != Some(&role);
                self.subject.role = Some(role);
                changed
            }
            _ => false,
        }
    }

    /// A transaction has ended: keep what was set in it, or take it back.
    pub(crate) fn transaction_ended(&mut self, committed: bool) {
        self.end_user.settle(committed);
    }
}

/// Give `name` one more body that it may stand for. `false`: names were given up to make room.
fn define(bodies: &mut Bodies, name: &str, body: Facts) -> bool {
    let room = bodies.len() < MAX_NAMES || bodies.contains_key(name);
    if !room {
        bodies.clear();
    }
    let known = bodies.entry(name.into()).or_default();
    if known.len() <= MAX_BODIES && !known.iter().any(|other| **other == body) {
        known.push(Rc::new(body));
    }
    room
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
    use sqlward_policy::statement::{LexState, Limits, analyse};

    use super::*;

    fn effects(sql: &str) -> Vec<SessionEffect> {
        let analysis = analyse(sql.as_bytes(), &LexState::default(), &Limits::default());
        analysis
            .facts
            .statements
            .into_iter()
            .flat_map(|statement| statement.effects)
            .collect()
    }

    fn context() -> Context {
        Context::new(Subject {
            user: "app".into(),
            ..Subject::default()
        })
    }

    #[test]
    fn a_name_stands_for_every_body_that_may_have_been_prepared() {
        let mut context = context();
        context.announce(effects("PREPARE s AS SELECT 1").iter());
        context.announce(effects("PREPARE s AS DELETE FROM t").iter());
        let referred = context.referred(effects("EXECUTE s").iter());
        assert_eq!((referred.bodies.len(), referred.unknown), (2, false));
        context.apply(effects("DEALLOCATE s").iter());
        assert!(context.referred(effects("EXECUTE s").iter()).unknown);
    }

    #[test]
    fn what_a_text_prepares_it_may_execute() {
        let referred = context().referred(effects("PREPARE s AS SELECT 1; EXECUTE s").iter());
        assert_eq!((referred.bodies.len(), referred.unknown), (1, false));
        assert!(
            context()
                .referred(effects("EXECUTE s; PREPARE s AS SELECT 1").iter())
                .unknown
        );
    }

    #[test]
    fn what_the_server_prepared_by_protocol_is_all_that_a_name_stands_for() {
        let mut context = context();
        context.announce(effects("PREPARE s AS DELETE FROM t").iter());
        let analysis = analyse(b"SELECT 2", &LexState::default(), &Limits::default());
        let known = Known {
            analysis: std::sync::Arc::new(analysis),
            slot: Default::default(),
        };
        context.prepared(b"s", &known);
        let referred = context.referred(effects("EXECUTE s").iter());
        assert_eq!(referred.bodies.len(), 1);
    }

    #[test]
    fn too_many_names_are_unknown_not_forgotten() {
        let mut context = context();
        for number in 0..=MAX_NAMES {
            context.announce(effects(&format!("PREPARE s{number} AS SELECT 1")).iter());
        }
        assert!(context.referred(effects("EXECUTE s0").iter()).unknown);
    }

    #[test]
    fn an_end_user_set_in_a_transaction_goes_with_it() {
        let mut context = context();
        assert!(context.apply(effects("SET sqlward.end_user = 'alice'").iter()));
        context.transaction_ended(true);
        assert!(context.apply(effects("SET sqlward.end_user = 'bob'").iter()));
        assert_eq!(context.end_user(), Some("bob"));
        context.transaction_ended(false);
        assert_eq!(context.end_user(), Some("alice"));
        assert!(context.apply(effects("RESET ALL").iter()));
        assert_eq!(context.end_user(), None);
    }

    #[test]
    fn a_role_is_the_user_again_when_it_is_reset() {
        let mut context = context();
        assert!(context.apply(effects("SET ROLE boss").iter()));
        assert_eq!(context.subject.role.as_deref(), Some("boss"));
        assert!(context.apply(effects("RESET ROLE").iter()));
        assert_eq!(context.subject.role.as_deref(), Some("app"));
    }

    #[test]
    fn texts_that_depend_on_settings_are_doubted_while_these_may_change() {
        let mut context = context();
        assert_eq!(context.doubt(true, b"SELECT '\\'"), None);
        context.announce(effects("SET standard_conforming_strings = off").iter());
        assert_eq!(context.doubt(true, b"SELECT 1"), None);
        assert_eq!(
            context.doubt(true, b"SELECT '\\'"),
            Some(Unreadable::Unsettled)
        );
        // Settled again: the server has reported.
        assert_eq!(context.doubt(false, b"SELECT '\\'"), None);
        assert_eq!(context.doubt(true, b"SELECT '\\'"), None);
    }
}
