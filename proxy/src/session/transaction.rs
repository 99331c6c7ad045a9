//! What the session's transactions may do and how far they are kept apart, as far as that is known (PostgreSQL).
//!
//! Whether a transaction is open the server reports. Its access mode and isolation are those of BEGIN and SET
//! TRANSACTION, else the session's; the session's access mode the server reports since version 14, its isolation is known
//! from when the session sets it. Whatever might change them in another way makes them unknown.

use sqlward_policy::{
    statement::facts::{SessionEffect, StatementFacts},
    vocabulary::{Class, Isolation, TransactionAccess, Verb},
};

/// Access mode and isolation; `None` is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Modes {
    pub(crate) access: Option<TransactionAccess>,
    pub(crate) isolation: Option<Isolation>,
}

/// The modes of a session's transactions.
#[derive(Debug, Default)]
pub(crate) struct Transactions {
    session: Modes,
    /// Those of the open transaction.
    block: Option<Modes>,
    /// The open transaction has changed the session's, and may take that back.
    doubtful: bool,
}

impl Transactions {
    /// The modes that the next statement runs in.
    pub(crate) fn modes(&self) -> Modes {
        self.block.unwrap_or(self.session)
    }

    /// The session's access mode, as the server has reported it; `None` if it doesn't.
    pub(crate) fn reported(&mut self, read_only: Option<&[u8]>) {
        self.session.access = read_only.map(|value| access(value == b"on"));
    }

    /// No transaction is open, or one is.
    pub(crate) fn observe(&mut self, open: bool) {
        if open {
            self.block.get_or_insert(self.session);
            return;
        }
        if self.block.take().is_some() && std::mem::take(&mut self.doubtful) {
            self.session.isolation = None;
        }
    }

    /// A statement has succeeded.
    pub(crate) fn apply(&mut self, statements: &[StatementFacts]) {
        for statement in statements {
            if statement.verb == Verb::Begin {
                self.block.get_or_insert(self.session);
            }
            // The end of a transaction is observed.
            let ends = statement.class == Class::Tcl
                || (statement.verb == Verb::Set && statement.effects.iter().any(sets_modes));
            for effect in &statement.effects {
                self.take(effect, ends);
            }
        }
    }

    fn take(&mut self, effect: &SessionEffect, ends: bool) {
        match effect {
            SessionEffect::Set { name, value, .. } => self.set(name, value.as_deref()),
            SessionEffect::Reset(Some(name)) => self.set(name, None),
            SessionEffect::MayChangeSettings if ends => {}
            SessionEffect::Reset(None)
            | SessionEffect::Discard
            | SessionEffect::Execute(_)
            | SessionEffect::Cursor(_)
            | SessionEffect::MayChangeSettings => self.forget(),
            SessionEffect::Prepare { .. }
            | SessionEffect::Declare { .. }
            | SessionEffect::Deallocate(_)
            | SessionEffect::Use(_)
            | SessionEffect::ReadFile(_) => {}
        }
    }

    fn set(&mut self, name: &str, value: Option<&str>) {
        match name {
            "default_transaction_isolation" => {
                self.session.isolation = value.and_then(isolation);
                self.doubtful |= self.block.is_some();
            }
            "transaction_isolation" => {
                if let Some(block) = &mut self.block {
                    block.isolation = value.and_then(isolation);
                }
            }
            "transaction_read_only" => {
                if let Some(block) = &mut self.block {
                    block.access = value.and_then(flag).map(access);
                }
            }
            // The session's access mode is reported.
            _ => {}
        }
    }

    fn forget(&mut self) {
        self.session.isolation = None;
        if let Some(block) = &mut self.block {
            *block = Modes::default();
        }
    }
}

/// SET TRANSACTION says all that it does.
fn sets_modes(effect: &SessionEffect) -> bool {
    match effect {
        SessionEffect::Set { name, .. } => name.contains("transaction_"),
        _ => false,
    }
}

fn access(read_only: bool) -> TransactionAccess {
    if read_only {
        TransactionAccess::ReadOnly
    } else {
        TransactionAccess::ReadWrite
    }
}

fn isolation(text: &str) -> Option<Isolation> {
    Isolation::from_word(&text.to_ascii_lowercase().replace(' ', "-"))
}

/// A boolean as PostgreSQL reads it, by its commonest spellings.
fn flag(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "on" | "true" | "yes" | "1" => Some(true),
        "off" | "false" | "no" | "0" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use sqlward_policy::statement::{LexState, Limits, analyse};

    use super::*;

    fn run(transactions: &mut Transactions, sql: &str, open: bool) {
        let analysis = analyse(sql.as_bytes(), &LexState::default(), &Limits::default());
        transactions.apply(&analysis.facts.statements);
        transactions.observe(open);
    }

    #[test]
    fn modes_follow_what_the_session_says() {
        let mut now = Transactions::default();
        now.reported(Some(b"off"));
        let modes = |access, isolation| Modes { access, isolation };
        let (reads, writes) = (
            Some(TransactionAccess::ReadOnly),
            Some(TransactionAccess::ReadWrite),
        );
        assert_eq!(now.modes(), modes(writes, None));
        run(
            &mut now,
            "BEGIN ISOLATION LEVEL SERIALIZABLE, READ ONLY",
            true,
        );
        assert_eq!(now.modes(), modes(reads, Some(Isolation::Serializable)));
        run(
            &mut now,
            "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ",
            true,
        );
        assert_eq!(now.modes(), modes(reads, Some(Isolation::RepeatableRead)));
        run(&mut now, "SELECT unknown_function()", true);
        assert_eq!(now.modes(), modes(None, None));
        run(&mut now, "COMMIT", false);
        assert_eq!(now.modes(), modes(writes, None));
        run(
            &mut now,
            "SET default_transaction_isolation = 'read committed'",
            false,
        );
        assert_eq!(now.modes(), modes(writes, Some(Isolation::ReadCommitted)));
        run(&mut now, "BEGIN", true);
        assert_eq!(now.modes(), modes(writes, Some(Isolation::ReadCommitted)));
        run(
            &mut now,
            "SET default_transaction_isolation = 'serializable'",
            true,
        );
        assert_eq!(now.modes().isolation, Some(Isolation::ReadCommitted));
        run(&mut now, "ROLLBACK", false);
        assert_eq!(now.modes().isolation, None, "that may be undone");
        now.reported(Some(b"on"));
        assert_eq!(now.modes().access, reads);
        now.reported(None);
        assert_eq!(now.modes().access, None);
    }
}
