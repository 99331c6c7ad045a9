//! What the names of statements and portals mean to the next message.

use std::collections::BTreeMap;

use crate::pg::commands::{Commands, Out};
use crate::pg::frontend::Target;
use crate::pg::names::{Meaning, key};
use crate::pg::pending::{Kind, Used};

/// What a portal's name stands for.
#[derive(Debug, Clone)]
pub(crate) struct Portal<T> {
    pub(crate) tag: T,
    pub(crate) used: Used,
}

/// What refused messages would have given a meaning: up to the Sync, the server skips what uses it.
#[derive(Debug)]
pub(crate) struct RefusedNames<T> {
    statements: BTreeMap<Box<[u8]>, T>,
    portals: BTreeMap<Box<[u8]>, Portal<T>>,
}

impl<T> Default for RefusedNames<T> {
    fn default() -> Self {
        Self {
            statements: BTreeMap::new(),
            portals: BTreeMap::new(),
        }
    }
}

impl<T> RefusedNames<T> {
    /// Remembers the tag of a refused Parse; beyond `limit` names, it isn't known.
    pub(crate) fn parse(&mut self, name: &[u8], tag: T, limit: usize) {
        remember(&mut self.statements, name, tag, limit);
    }

    /// Remembers the tag of a refused Bind; beyond `limit` names, it isn't known.
    pub(crate) fn bind(&mut self, portal: &[u8], tag: T, limit: usize) {
        let value = Portal {
            tag,
            used: Used::Not,
        };
        remember(&mut self.portals, portal, value, limit);
    }

    /// Takes note of what the client sends next.
    pub(crate) fn pass(&mut self, kind: Kind, name: &[u8]) {
        match kind {
            Kind::Sync => {
                self.statements.clear();
                self.portals.clear();
            }
            Kind::Parse | Kind::Close(Target::Statement) => {
                self.statements.remove(key(name));
            }
            Kind::Bind | Kind::Close(Target::Portal) => {
                self.portals.remove(key(name));
            }
            // behind a refusal the server skips even a Query
            Kind::Describe(_)
            | Kind::Execute
            | Kind::Query
            | Kind::FunctionCall
            | Kind::Substitute
            | Kind::SubstituteQuery
            | Kind::CopyEnd
            | Kind::Swallowed => {}
        }
    }
}

fn remember<V>(names: &mut BTreeMap<Box<[u8]>, V>, name: &[u8], value: V, limit: usize) {
    if names.len() < limit || names.contains_key(key(name)) {
        names.insert(key(name).into(), value);
    }
}

impl<T: Clone> Commands<T> {
    /// Tells what a statement's name means to the next message.
    pub(crate) fn statement(&self, name: &[u8]) -> Meaning<&T> {
        match self.refused.statements.get(key(name)) {
            Some(tag) => Meaning::Known(Some(tag)),
            None if self.is_doubtful(name) => Meaning::Known(None),
            None => self.statements.meaning(name, self.batch),
        }
    }

    /// Tells what a portal's name means to the next message.
    pub(crate) fn portal(&self, name: &[u8]) -> Meaning<&Portal<T>> {
        match self.refused.portals.get(key(name)) {
            Some(portal) => Meaning::Known(Some(portal)),
            None if self.is_doubtful(name) => Meaning::Known(None),
            None => self.portals.meaning(name, self.batch),
        }
    }

    /// Takes note that an Execute of a portal goes to the server, which may yet skip it: its outcome
    /// is the portal's, whatever becomes of the name.
    pub(crate) fn mark_executed(&mut self, portal: &[u8]) {
        if self.refused.portals.contains_key(key(portal)) || self.is_doubtful(portal) {
            return;
        }
        let Some((portal, in_flight)) = self.portals.visible_mut(portal) else {
            return;
        };
        portal.used = Used::Executed;
        if let Some(entry) = in_flight.and_then(|seq| self.pending.get_mut(seq)) {
            entry.used = Used::Executed;
        }
    }

    /// Takes note that SQL fetches from a portal: from the one that the name means, and from the one
    /// that it will mean.
    pub(crate) fn mark_fetched(&mut self, portal: &[u8]) {
        let (confirmed, latest) = self.portals.both_mut(portal);
        if let Some(portal) = confirmed {
            portal.used = portal.used.max(Used::BySql);
        }
        let Some((portal, seq)) = latest else {
            return;
        };
        portal.used = portal.used.max(Used::BySql);
        if let Some(entry) = self.pending.get_mut(seq) {
            entry.used = portal.used;
        }
    }

    /// Forgets the names that another encoding may read otherwise.
    pub(crate) fn forget_beyond_ascii(&mut self, out: &mut Out<T>) {
        self.statements.forget_beyond_ascii(drop);
        self.portals
            .forget_beyond_ascii(|portal| out.portal_gone(portal));
        for entry in self.pending.iter_mut() {
            if matches!(entry.kind, Kind::Parse | Kind::Bind) && !entry.name().is_ascii() {
                entry.forgotten = true;
            }
        }
    }

    /// Tells whether an Execute of the batch may have changed the encoding that the name is read in.
    pub(crate) fn is_doubtful(&self, name: &[u8]) -> bool {
        self.executed && !key(name).is_ascii()
    }

    /// Forgets what the names of one kind, or one of them, stand for.
    pub(crate) fn forget(&mut self, target: Target, name: Option<&[u8]>, out: &mut Out<T>) {
        let kind = match target {
            Target::Statement => {
                self.statements.forget(name, drop);
                Kind::Parse
            }
            Target::Portal => {
                self.portals.forget(name, |portal| out.portal_gone(portal));
                Kind::Bind
            }
        };
        let name = name.map(key);
        for entry in self.pending.iter_mut() {
            if entry.kind == kind && name.is_none_or(|name| name == entry.name()) {
                entry.forgotten = true;
            }
        }
    }
}
