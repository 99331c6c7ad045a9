//! Whom a session acts as: its effective role and its end user, which transactions may take back.

use sqlward_policy::{
    rule::subject::SessionPath,
    statement::facts::{Name, SessionEffect, StatementFacts},
    vocabulary::Verb,
};
use sqlward_wire::TxStatus;

/// A setting under transactions: what holds now, and what holds when the transaction is over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Tracked<T> {
    session: T,
    current: T,
    /// What a commit makes of `session`.
    pending: Option<T>,
}

impl<T: Clone + PartialEq> Tracked<T> {
    fn of(value: T) -> Self {
        Self {
            session: value.clone(),
            current: value,
            pending: None,
        }
    }

    fn set(&mut self, value: T, scope: Scope) {
        if scope == Scope::Session {
            self.pending = Some(value.clone());
        }
        self.current = value;
    }

    /// The transaction goes back to a savepoint: what it has set may hold or not.
    fn unwind(&mut self, unknown: &T) {
        if self.pending.is_some() || self.current != self.session {
            self.set(unknown.clone(), Scope::Session);
        }
    }

    fn settle(&mut self, committed: bool) {
        if let (Some(value), true) = (self.pending.take(), committed) {
            self.session = value;
        }
        // Nearly always they are the same, and nothing has to be copied.
        if self.current != self.session {
            self.current = self.session.clone();
        }
    }
}

/// How long a setting lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    Transaction,
    Session,
}

/// Whom a session acts as.
#[derive(Debug, Default)]
pub(crate) struct Identity {
    user: String,
    /// Whether RESET makes the role the user again: options of the client may say something else.
    resets_to_user: bool,
    /// `None` while it can't be known.
    role: Tracked<Option<String>>,
    end_user: Tracked<Option<String>>,
    /// Where unqualified names lie.
    path: Tracked<SessionPath>,
    /// What RESET makes of that.
    first_path: SessionPath,
    block: bool,
    failed: bool,
    rolled_back: bool,
}

impl Identity {
    /// A session of `user` whose role is known from the start, or not.
    pub(crate) fn of(user: &str, role: Option<&str>) -> Self {
        Self {
            user: user.to_owned(),
            resets_to_user: role.is_some(),
            role: Tracked::of(role.map(String::from)),
            ..Self::default()
        }
    }

    /// The effective role; `None` while it can't be known.
    pub(crate) fn role(&self) -> Option<&str> {
        self.role.current.as_deref()
    }

    /// The end user that the session has set, if it has.
    pub(crate) fn end_user(&self) -> Option<&str> {
        self.end_user.current.as_deref()
    }

    /// The server reports the user of a session that begins; a role that options of the client may have set stays unknown.
    pub(crate) fn begins_as(&mut self, user: &str) {
        self.user = user.to_owned();
        if self.resets_to_user {
            self.role = Tracked::of(Some(user.to_owned()));
        }
    }

    /// The server reports another session user; the role is then that user.
    pub(crate) fn session_user(&mut self, user: &str) {
        self.user = user.to_owned();
        self.role = Tracked::of(Some(user.to_owned()));
    }

    /// Before a statement leaves: until it is known to have succeeded, the role that it changes is not known.
    pub(crate) fn announce(&mut self) {
        self.role.current = None;
    }

    /// Where unqualified names lie.
    pub(crate) fn path(&self) -> &SessionPath {
        &self.path.current
    }

    /// Where the client asked for them to lie at first.
    pub(crate) fn begins_in(&mut self, path: SessionPath) {
        self.path = Tracked::of(path.clone());
        self.first_path = path;
    }

    /// After a statement that may have set any path succeeded.
    pub(crate) fn moved_anywhere(&mut self) {
        self.path.set(SessionPath::Unknown, Scope::Session);
    }

    /// Before a statement leaves: until it is known to have succeeded, unqualified names may lie anywhere.
    pub(crate) fn announce_path(&mut self) {
        self.path.current = SessionPath::Unknown;
    }

    /// After a statement succeeded.
    pub(crate) fn apply<'a>(&mut self, effects: impl Iterator<Item = &'a SessionEffect>) {
        for effect in effects {
            match effect {
                SessionEffect::Set { name, value, local } => {
                    let scope = if *local {
                        Scope::Transaction
                    } else {
                        Scope::Session
                    };
                    self.set(name, value.as_deref(), scope);
                }
                SessionEffect::Reset(Some(name)) if &**name == "search_path" => {
                    self.path.set(self.first_path.clone(), Scope::Session);
                }
                SessionEffect::Reset(Some(name)) => self.set(name, None, Scope::Session),
                // RESET ALL leaves the role as it is.
                SessionEffect::Reset(None) => {
                    self.set("sqlward.end_user", None, Scope::Session);
                    self.path.set(self.first_path.clone(), Scope::Session);
                }
                SessionEffect::Discard => {
                    self.set("role", None, Scope::Session);
                    self.set("sqlward.end_user", None, Scope::Session);
                    self.path.set(self.first_path.clone(), Scope::Session);
                }
                SessionEffect::Prepare { .. }
                | SessionEffect::Declare { .. }
                | SessionEffect::Execute(_)
                | SessionEffect::Cursor(_)
                | SessionEffect::Deallocate(_)
                | SessionEffect::Use(_)
                | SessionEffect::ReadFile(_)
                | SessionEffect::MayChangeSettings => {}
            }
        }
    }

    fn set(&mut self, name: &str, value: Option<&str>, scope: Scope) {
        match name {
            "sqlward.end_user" => {
                let value = value.filter(|user| !user.is_empty());
                self.end_user.set(value.map(String::from), scope);
            }
            "role" => {
                let role = match value {
                    Some("none") => Some(self.user.clone()),
                    Some(role) => Some(role.to_owned()),
                    None => self.resets_to_user.then(|| self.user.clone()),
                };
                self.role.set(role, scope);
            }
            "search_path" => {
                let path = value.map_or(SessionPath::Unknown, SessionPath::parse);
                self.path.set(path, scope);
            }
            // Other settings say nothing about who acts.
            _ => {}
        }
    }

    /// A statement has ended its transaction by taking it back.
    pub(crate) fn rolled_back(&mut self) {
        self.rolled_back = true;
    }

    /// A transaction goes, or has gone, back to a savepoint.
    pub(crate) fn unwound(&mut self) {
        self.role.unwind(&None);
        self.end_user.unwind(&None);
        self.path.unwind(&SessionPath::Unknown);
    }

    /// A statement has failed.
    pub(crate) fn failed(&mut self) {
        self.failed = true;
    }

    /// The transaction state that the server has reported last. What a transaction set is settled when it is over.
    pub(crate) fn observe(&mut self, status: TxStatus) {
        match status {
            TxStatus::Active => (self.block, self.failed) = (true, false),
            TxStatus::Failed => (self.block, self.failed) = (true, true),
            TxStatus::Idle => {
                let committed = !(self.failed || self.rolled_back);
                self.role.settle(committed);
                self.end_user.settle(committed);
                self.path.settle(committed);
                (self.block, self.failed, self.rolled_back) = (false, false, false);
            }
        }
    }
}

/// Whether the role may be another one after these effects.
pub(crate) fn may_change_role<'a>(mut effects: impl Iterator<Item = &'a SessionEffect>) -> bool {
    effects.any(|effect| match effect {
        SessionEffect::Set { name, .. } | SessionEffect::Reset(Some(name)) => {
            matches!(&**name, "role" | "session_authorization")
        }
        SessionEffect::Discard => true,
        SessionEffect::Reset(None) => false,
        SessionEffect::Prepare { .. }
        | SessionEffect::Declare { .. }
        | SessionEffect::Execute(_)
        | SessionEffect::Cursor(_)
        | SessionEffect::Deallocate(_)
        | SessionEffect::Use(_)
        | SessionEffect::ReadFile(_)
        | SessionEffect::MayChangeSettings => false,
    })
}

/// Whether unqualified names may lie elsewhere after these effects.
pub(crate) fn may_change_path<'a>(mut effects: impl Iterator<Item = &'a SessionEffect>) -> bool {
    effects.any(|effect| match effect {
        SessionEffect::Set { name, .. } | SessionEffect::Reset(Some(name)) => {
            &**name == "search_path"
        }
        SessionEffect::Discard | SessionEffect::Reset(None) => true,
        SessionEffect::Prepare { .. }
        | SessionEffect::Declare { .. }
        | SessionEffect::Execute(_)
        | SessionEffect::Cursor(_)
        | SessionEffect::Deallocate(_)
        | SessionEffect::Use(_)
        | SessionEffect::ReadFile(_)
        | SessionEffect::MayChangeSettings => false,
    })
}

/// Whether one of them sets a setting that its arguments name.
pub(crate) fn calls_set_config(functions: &[Name]) -> bool {
    functions
        .iter()
        .any(|function| &*function.name == "set_config")
}

/// Whether a text goes back to a savepoint.
pub(crate) fn unwinds(statements: &[StatementFacts]) -> bool {
    statements.iter().any(|statement| {
        statement.verb == Verb::Savepoint
            && statement
                .effects
                .contains(&SessionEffect::MayChangeSettings)
    })
}

#[cfg(test)]
mod tests {
    use super::{super::context::tests::effects, *};

    fn run(identity: &mut Identity, sql: &str, after: TxStatus) {
        let effects = effects(sql);
        if may_change_role(effects.iter()) {
            identity.announce();
        }
        identity.apply(effects.iter());
        if sql.starts_with("ROLLBACK") {
            identity.rolled_back();
        }
        identity.observe(after);
    }

    #[test]
    fn what_a_transaction_set_goes_with_it() {
        let mut identity = Identity::of("app", Some("app"));
        run(
            &mut identity,
            "SET sqlward.end_user = 'alice'",
            TxStatus::Idle,
        );
        run(&mut identity, "BEGIN", TxStatus::Active);
        run(
            &mut identity,
            "SET sqlward.end_user = 'bob'",
            TxStatus::Active,
        );
        run(&mut identity, "SET ROLE boss", TxStatus::Active);
        assert_eq!(
            (identity.end_user(), identity.role()),
            (Some("bob"), Some("boss"))
        );
        run(&mut identity, "ROLLBACK", TxStatus::Idle);
        assert_eq!(
            (identity.end_user(), identity.role()),
            (Some("alice"), Some("app"))
        );
    }

    #[test]
    fn what_is_local_ends_with_the_commit() {
        let mut identity = Identity::of("app", Some("app"));
        run(&mut identity, "BEGIN", TxStatus::Active);
        run(&mut identity, "SET LOCAL ROLE boss", TxStatus::Active);
        run(
            &mut identity,
            "SET LOCAL sqlward.end_user = 'bob'",
            TxStatus::Active,
        );
        assert_eq!(
            (identity.end_user(), identity.role()),
            (Some("bob"), Some("boss"))
        );
        run(&mut identity, "COMMIT", TxStatus::Idle);
        assert_eq!((identity.end_user(), identity.role()), (None, Some("app")));
    }

    #[test]
    fn a_commit_of_a_failed_transaction_takes_it_back() {
        let mut identity = Identity::of("app", Some("app"));
        run(&mut identity, "BEGIN", TxStatus::Active);
        run(&mut identity, "SET ROLE boss", TxStatus::Active);
        identity.failed();
        identity.observe(TxStatus::Failed);
        run(&mut identity, "COMMIT", TxStatus::Idle);
        assert_eq!(identity.role(), Some("app"));
    }

    #[test]
    fn a_role_that_options_may_have_set_is_not_known() {
        let mut identity = Identity::of("app", None);
        identity.begins_as("app");
        identity.observe(TxStatus::Idle);
        assert_eq!(identity.role(), None);
        run(&mut identity, "RESET ROLE", TxStatus::Idle);
        assert_eq!(identity.role(), None, "options say what it is reset to");
        run(&mut identity, "SET ROLE boss", TxStatus::Idle);
        assert_eq!(identity.role(), Some("boss"));
    }

    #[test]
    fn a_role_on_its_way_is_not_known() {
        let mut identity = Identity::of("app", Some("app"));
        identity.announce();
        assert_eq!(identity.role(), None);
        identity.failed();
        identity.observe(TxStatus::Idle);
        assert_eq!(identity.role(), Some("app"));
    }

    #[test]
    fn paths_come_and_go_with_transactions() {
        let known = |path: &str| SessionPath::Known(vec![path.to_owned()]);
        let mut identity = Identity::of("app", Some("app"));
        identity.begins_in(SessionPath::Policy);
        run(&mut identity, "SET search_path TO a", TxStatus::Idle);
        assert_eq!(*identity.path(), known("a"));
        run(&mut identity, "BEGIN", TxStatus::Active);
        run(&mut identity, "SET search_path TO b", TxStatus::Active);
        assert_eq!(*identity.path(), known("b"));
        run(&mut identity, "ROLLBACK", TxStatus::Idle);
        assert_eq!(*identity.path(), known("a"));
        identity.announce_path();
        assert_eq!(*identity.path(), SessionPath::Unknown);
        identity.failed();
        identity.observe(TxStatus::Idle);
        assert_eq!(*identity.path(), known("a"));
        run(&mut identity, "SET search_path TO \"A\"", TxStatus::Idle);
        assert_eq!(*identity.path(), SessionPath::Unknown);
        run(&mut identity, "RESET ALL", TxStatus::Idle);
        assert_eq!(*identity.path(), SessionPath::Policy);
    }

    #[test]
    fn a_reset_makes_the_role_the_user_again() {
        let mut identity = Identity::of("app", Some("app"));
        run(&mut identity, "SET ROLE boss", TxStatus::Idle);
        run(&mut identity, "RESET ROLE", TxStatus::Idle);
        assert_eq!(identity.role(), Some("app"));
    }

    #[test]
    fn what_a_savepoint_takes_back_is_not_known() {
        let mut identity = Identity::of("app", Some("app"));
        run(&mut identity, "SET search_path TO a", TxStatus::Idle);
        run(&mut identity, "BEGIN", TxStatus::Active);
        identity.unwound();
        let before = identity.path().clone();
        assert_ne!(before, SessionPath::Unknown);
        run(&mut identity, "SET search_path TO b", TxStatus::Active);
        identity.unwound();
        assert_eq!(*identity.path(), SessionPath::Unknown);
        assert_eq!(identity.role(), Some("app"));
        run(&mut identity, "ROLLBACK", TxStatus::Idle);
    }
}
