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
        for effect in effects {
            match effect {
                SessionEffect::Execute(name) => match self.prepared.get(name) {
                    Some(bodies) if !self.overflowed && bodies.len() <= MAX_BODIES => {
                        referred.bodies.extend(bodies.iter().cloned());
                    }
                    _ => referred.unknown = true,
                },
                // An unknown cursor was opened inside a routine that was judged when it was called.
                SessionEffect::Cursor(name) => {
                    referred
                        .bodies
                        .extend(self.cursors.get(name).into_iter().flatten().cloned());
                }
                SessionEffect::Set { .. }
                | SessionEffect::Reset(_)
                | SessionEffect::Discard
                | SessionEffect::Prepare { .. }
                | SessionEffect::Declare { .. }
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
