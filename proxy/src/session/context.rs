//! What is known of a session besides the protocol: who acts, under which rules, and what SQL text has named.

use sqlward_audit_store::record::EndUserSource;
use sqlward_policy::{
    Policy, ServerVersion, Standing, Subject,
    rule::{
        history::History,
        subject::{EndUser, SessionPath},
    },
    statement::{Known, facts::SessionEffect},
    vocabulary::{Dialect, Unreadable},
};
use sqlward_wire::TxStatus;

use super::{
    identity::{Identity, calls_set_config, may_change_path, may_change_role, unwinds},
    names::{Names, Referred, unsettles_names},
    transaction::Transactions,
};
use crate::end_user;

/// Settings on which the reading of a text depends.
const READING: [&str; 3] = ["standard_conforming_strings", "client_encoding", "names"];

/// What is known of a session besides the protocol.
#[derive(Debug)]
pub(crate) struct Context {
    /// Who acts, from where, with what.
    pub(crate) subject: Subject,
    /// What SQL text has named.
    pub(crate) names: Names,
    identity: Identity,
    standing: Option<(u64, Standing)>,
    /// What the session has done, as far as the policy counts it.
    pub(crate) history: History,
    /// What its transactions may do.
    pub(crate) transactions: Transactions,
    /// The end user that the application's name tells.
    application_user: Option<String>,
    source: EndUserSource,
    /// The end user that the connection's attributes name.
    attribute: Option<String>,
    /// A statement that may have changed how texts are read has been forwarded, and the server has not reported yet.
    may_read_differently: bool,
}

/// Who a client says it is.
#[derive(Debug)]
pub(crate) struct Introduction {
    /// The user that it logs in as.
    pub(crate) user: String,
    /// The database; empty for none.
    pub(crate) database: String,
    /// The application's name; empty if it gives none.
    pub(crate) application: String,
    /// The role whose rights hold at first.
    pub(crate) role: FirstRole,
    /// The end user that the connection's attributes name.
    pub(crate) end_user: Option<String>,
    /// Where it asks for unqualified names to lie.
    pub(crate) path: SessionPath,
}

impl Introduction {
    /// The subject that `subject` becomes with it.
    pub(crate) fn over(&self, subject: &Subject) -> Subject {
        Subject {
            user: self.user.clone(),
            role: (self.role == FirstRole::User).then(|| self.user.clone()),
            database: self.database.clone(),
            application: self.application.clone(),
            ..subject.clone()
        }
    }
}

/// The role whose rights hold at the start of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FirstRole {
    /// The user's own.
    User,
    /// The client asks for another one; which one is for the server to say.
    Unknown,
}

/// Where end users are looked for, besides comments.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EndUserSources {
    /// In `SET sqlward.end_user`.
    pub(crate) setting: bool,
    /// In `application_name`.
    pub(crate) application_name: bool,
}

impl Context {
    /// The context of a session that has just begun.
    pub(crate) fn new(subject: Subject) -> Self {
        Self {
            subject,
            names: Names::default(),
            identity: Identity::default(),
            standing: None,
            history: History::default(),
            transactions: Transactions::default(),
            application_user: None,
            source: EndUserSource::Setting,
            attribute: None,
            may_read_differently: false,
        }
    }

    /// Take in who the client says it is.
    pub(crate) fn introduce(&mut self, introduction: Introduction) {
        let Introduction {
            user,
            database,
            application,
            role,
            end_user,
            path,
        } = introduction;
        self.attribute = end_user;
        self.identity = Identity::of(&user, (role == FirstRole::User).then_some(user.as_str()));
        self.identity.begins_in(path.clone());
        let subject = &mut self.subject;
        subject.search_path = path;
        subject.database = database;
        subject.application = application;
        self.application_user =
            end_user::in_application_name(&subject.application).map(String::from);
        subject.role = self.identity.role().map(String::from);
        subject.user = user;
        self.standing = None;
    }

    /// Which rules can apply to this session under `policy`; computed when either has changed. Returns the session's
    /// history, too.
    pub(crate) fn standing(&mut self, policy: &Policy) -> (&Standing, &History) {
        let current =
            matches!(&self.standing, Some((generation, _)) if *generation == policy.generation);
        if !current {
            self.standing = None;
        }
        let subject = &self.subject;
        let (_, standing) = self
            .standing
            .get_or_insert_with(|| (policy.generation, policy.standing(subject)));
        (standing, &self.history)
    }

    /// The end user that the session acts for, and how that is known.
    pub(crate) fn acts_for(&self) -> Option<(&str, EndUserSource)> {
        self.subject
            .end_user
            .as_ref()
            .map(|user| (user.name.as_str(), self.source))
    }

    /// The role, while a text is judged that may change it before its later statements run: it is not known then.
    /// Returns what it was, if it is not known any more.
    pub(crate) fn doubt_role(&mut self, known: &Known, referred: &Referred) -> Option<String> {
        let several = known.analysis.facts.statements.len() > 1;
        if !several || !may_change_role(effects(known).chain(referred.effects())) {
            return None;
        }
        let before = self.subject.role.clone();
        self.role(None);
        before
    }

    /// Where unqualified names lie, while a text is judged that may change it before its later statements run: that is not
    /// known then. Returns where they lay, if it is not known any more.
    pub(crate) fn doubt_path(&mut self, known: &Known, referred: &Referred) -> Option<SessionPath> {
        let several = known.analysis.facts.statements.len() > 1;
        if !several || !moves(known, referred) {
            return None;
        }
        let before = self.subject.search_path.clone();
        self.path(SessionPath::Unknown);
        Some(before)
    }

    /// Unqualified names lie there.
    pub(crate) fn path(&mut self, path: SessionPath) {
        if self.subject.search_path != path {
            self.subject.search_path = path;
            self.standing = None;
        }
    }

    /// The server's dialect has turned out.
    pub(crate) fn speak(&mut self, dialect: Dialect) {
        self.subject.dialect = dialect;
        self.names = Names::new(dialect != Dialect::Postgres);
        self.standing = None;
    }

    /// The server's version has turned out.
    pub(crate) fn served_by(&mut self, version: &[u8]) {
        self.subject.server_version = std::str::from_utf8(version)
            .ok()
            .and_then(ServerVersion::of_server);
        self.standing = None;
    }

    /// The current database. Returns whether it is another one.
    pub(crate) fn database(&mut self, database: String) -> bool {
        if self.subject.database == database {
            return false;
        }
        self.subject.database = database;
        self.standing = None;
        true
    }

    /// Put the session into `database` for a judgement. Returns where it was, if that is elsewhere.
    pub(crate) fn put_in_database(&mut self, database: &str) -> Option<String> {
        if self.subject.database == database {
            return None;
        }
        self.standing = None;
        Some(std::mem::replace(
            &mut self.subject.database,
            database.to_owned(),
        ))
    }

    /// The server has told which role's rights hold; `None`: several roles' do.
    pub(crate) fn told_role(&mut self, role: Option<&str>) {
        let user = &self.subject.user;
        self.identity = Identity::of(user, role);
        self.role(role.map(String::from));
    }

    /// The role holds (again).
    pub(crate) fn role(&mut self, role: Option<String>) {
        if self.subject.role != role {
            self.subject.role = role;
            self.standing = None;
        }
    }

    /// Why `text` can't be read for certain: it may be read differently by the time that it arrives. `unsettled`: statements
    /// were executed since the server last reported its settings.
    pub(crate) fn doubt(&mut self, unsettled: bool, text: &[u8]) -> Option<Unreadable> {
        self.may_read_differently &= unsettled;
        let depends = || text.iter().any(|byte| *byte == b'\\' || *byte >= 0x80);
        (self.may_read_differently && depends()).then_some(Unreadable::Unsettled)
    }

    /// Before a statement leaves: take note of what it may do to the session.
    pub(crate) fn announce(&mut self, known: &Known, referred: &Referred) {
        let database = match self.subject.dialect {
            Dialect::Postgres => None,
            Dialect::Mysql | Dialect::Mariadb => Some(&*self.subject.database),
        };
        self.names.announce(effects(known), database);
        let all = || effects(known).chain(referred.effects());
        if referred.unknown || all().any(unsettles_names) {
            self.names.unsettle();
        }
        self.may_read_differently |= all().any(may_change_reading);
        if may_change_role(all()) {
            self.identity.announce();
            self.role(None);
        }
        if moves(known, referred) {
            self.identity.announce_path();
            self.path(SessionPath::Unknown);
        }
        if runs_mover(referred) {
            self.identity.moved_anywhere();
        }
        if unwinds(&known.analysis.facts.statements) {
            self.identity.unwound();
            self.path(self.identity.path().clone());
            self.role(self.identity.role().map(String::from));
        }
    }

    /// After a statement succeeded: forget the names that it has freed.
    pub(crate) fn apply_names(&mut self, known: &Known) {
        self.names.apply(effects(known));
    }

    /// After a statement succeeded: take over what it did to the session.
    pub(crate) fn apply(&mut self, known: &Known) {
        self.names.apply(effects(known));
        self.identity.apply(effects(known));
        if sets_unseen(known) {
            self.identity.moved_anywhere();
        }
        self.transactions.apply(&known.analysis.facts.statements);
        if rolls_back(known) {
            self.identity.rolled_back();
        }
    }

    /// A statement has failed.
    pub(crate) fn failed(&mut self) {
        self.identity.failed();
    }

    /// The server reports the state of the transaction.
    pub(crate) fn observe(&mut self, status: TxStatus) {
        self.identity.observe(status);
        self.transactions.observe(status != TxStatus::Idle);
    }

    /// The server reports the user of a session that begins.
    pub(crate) fn begins_as(&mut self, user: &str) {
        self.identity.begins_as(user);
    }

    /// The server reports another session user.
    pub(crate) fn session_user(&mut self, user: &str) {
        self.identity.session_user(user);
    }

    /// Bring the subject up to date with what is known now. Returns whether it has changed.
    pub(crate) fn refresh(&mut self, sources: EndUserSources) -> bool {
        if self.subject.search_path != *self.identity.path() {
            let path = self.identity.path().clone();
            self.path(path);
        }
        let set = self.identity.end_user().filter(|_| sources.setting);
        let found = match set {
            Some(name) => Some((name, EndUserSource::Setting)),
            None if self.attribute.is_some() => self
                .attribute
                .as_deref()
                .map(|name| (name, EndUserSource::Attribute)),
            None if sources.application_name => self
                .application_user
                .as_deref()
                .map(|name| (name, EndUserSource::Application)),
            None => None,
        };
        let same_role = self.subject.role.as_deref() == self.identity.role();
        if same_role && found == self.acts_for() {
            return false;
        }
        let end_user = found.map(|(name, source)| (name.to_owned(), source));
        self.subject.role = self.identity.role().map(String::from);
        self.subject.end_user = end_user.map(|(name, source)| {
            self.source = source;
            EndUser {
                name,
                trust: source.as_str().to_owned(),
            }
        });
        self.standing = None;
        true
    }

    /// The application has another name.
    pub(crate) fn application(&mut self, name: &[u8]) -> bool {
        let name = String::from_utf8_lossy(name);
        if self.subject.application == name {
            return false;
        }
        self.application_user = end_user::in_application_name(&name).map(String::from);
        self.subject.application = name.into_owned();
        self.standing = None;
        true
    }
}

/// Everything that the statements of a text do to the session.
pub(crate) fn effects(known: &Known) -> impl Iterator<Item = &SessionEffect> {
    known
        .analysis
        .facts
        .statements
        .iter()
        .flat_map(|statement| &statement.effects)
}

/// Whether unqualified names may lie elsewhere once it has run.
fn moves(known: &Known, referred: &Referred) -> bool {
    may_change_path(effects(known)) || sets_unseen(known) || runs_mover(referred)
}

/// Whether what runs under a name may set a path; what exactly, nobody follows.
fn runs_mover(referred: &Referred) -> bool {
    let mut statements = referred.bodies.iter().flat_map(|body| &body.statements);
    may_change_path(referred.effects())
        || statements.any(|statement| calls_set_config(&statement.functions))
}

/// Whether it calls `set_config` in a way that doesn't show what is set.
fn sets_unseen(known: &Known) -> bool {
    let mut statements = known.analysis.facts.statements.iter();
    if !statements.any(|statement| calls_set_config(&statement.functions)) {
        return false;
    }
    let seen = effects(known)
        .filter(|effect| matches!(effect, SessionEffect::Set { .. }))
        .count();
    known.analysis.normal_cut || known.analysis.normal.matches("set_config").count() != seen
}

/// Whether a text ends its transaction by taking it back.
fn rolls_back(known: &Known) -> bool {
    let last = known.analysis.facts.statements.last();
    last.is_some_and(|statement| statement.verb == sqlward_policy::vocabulary::Verb::Rollback)
}

fn may_change_reading(effect: &SessionEffect) -> bool {
    match effect {
        SessionEffect::Set { name, .. } | SessionEffect::Reset(Some(name)) => {
            READING.contains(&&**name)
        }
        SessionEffect::Reset(None)
        | SessionEffect::Discard
        | SessionEffect::Execute(_)
        | SessionEffect::Cursor(_)
        | SessionEffect::MayChangeSettings => true,
        SessionEffect::Prepare { .. }
        | SessionEffect::Declare { .. }
        | SessionEffect::Use(_)
        | SessionEffect::ReadFile(_)
        | SessionEffect::Deallocate(_) => false,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Arc;

    use sqlward_policy::statement::{LexState, Limits, analyse};
    use sqlward_policy::vocabulary::EndUserTrust;

    use super::*;

    #[test]
    fn rules_know_where_end_users_come_from() {
        for source in [
            EndUserSource::Setting,
            EndUserSource::Application,
            EndUserSource::Comment,
            EndUserSource::Attribute,
        ] {
            let known = EndUserTrust::from_word(source.as_str());
            assert!(known.is_some(), "{}", source.as_str());
        }
    }

    pub(in crate::session) fn effects(sql: &str) -> Vec<SessionEffect> {
        let analysis = analyse(sql.as_bytes(), &LexState::default(), &Limits::default());
        let statements = analysis.facts.statements.into_iter();
        statements.flat_map(|statement| statement.effects).collect()
    }

    fn known(sql: &str) -> Known {
        let analysis = analyse(sql.as_bytes(), &LexState::default(), &Limits::default());
        Known {
            analysis: Arc::new(analysis),
            slot: Default::default(),
        }
    }

    #[test]
    fn texts_that_depend_on_settings_are_doubted_while_these_may_change() {
        for change in [
            "SET standard_conforming_strings = off",
            "SELECT set_config('standard_conforming_strings', 'off', false)",
            "EXECUTE something",
            "RESET ALL",
        ] {
            let mut context = Context::new(Subject::default());
            assert_eq!(context.doubt(true, b"SELECT '\\'"), None);
            context.announce(&known(change), &Referred::default());
            assert_eq!(context.doubt(true, b"SELECT 1"), None);
            assert_eq!(
                context.doubt(true, b"SELECT '\\'"),
                Some(Unreadable::Unsettled),
                "{change}"
            );
            // Settled again: the server has reported.
            assert_eq!(context.doubt(false, b"SELECT '\\'"), None);
            assert_eq!(context.doubt(true, b"SELECT '\\'"), None);
        }
    }

    #[test]
    fn the_role_is_not_known_within_a_text_that_changes_it() {
        let mut context = Context::new(Subject {
            role: Some("app".into()),
            ..Subject::default()
        });
        context.doubt_role(&known("SELECT 1; SELECT 2"), &Referred::default());
        assert_eq!(context.subject.role.as_deref(), Some("app"));
        let before = context.doubt_role(&known("SET ROLE dba; DROP TABLE t"), &Referred::default());
        assert_eq!(
            (before.as_deref(), context.subject.role.as_deref()),
            (Some("app"), None)
        );
    }
}
