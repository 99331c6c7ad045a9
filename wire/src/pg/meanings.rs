//! What the names of statements and portals mean to the next message.

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

impl<T: Clone> Commands<T> {
    /// Tells what a statement's name means to the next message.
    pub(crate) fn statement(&self, name: &[u8]) -> Meaning<&T> {
        self.statements.meaning(name, self.batch)
    }

    /// Tells what a portal's name means to the next message.
    pub(crate) fn portal(&self, name: &[u8]) -> Meaning<&Portal<T>> {
        self.portals.meaning(name, self.batch)
    }

    /// Takes note that an Execute of a portal goes to the server, which may yet skip it: its outcome
    /// is the portal's, whatever becomes of the name.
    pub(crate) fn mark_executed(&mut self, portal: &[u8]) {
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
