//! A compiled policy: immutable, shared by all sessions.

use std::sync::Arc;

use crate::decision::RefusalText;
use crate::problem::{Problem, Source};
use crate::redact::Redactions;
use crate::redact::case::RedactCase;
use crate::rule::clause::{Clause, Owner};
use crate::rule::escalation::Escalation;
use crate::rule::history::Counter;
use crate::rule::index::Index;
use crate::rule::moment::MomentTest;
use crate::rule::overlay::Overlay;
use crate::rule::subject::{EndUser, SessionPath, Subject};
use crate::rule::window::Window;
use crate::rule::{Rule, Test};
use crate::test_table::Case;
use crate::vocabulary::{Action, Dialect, Mode, Trait, Unreadable};

/// What a failing part of the audit does to statements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditFailure {
    /// They wait or are refused.
    Block,
    /// They pass.
    Allow,
}

/// `[defaults]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Defaults {
    /// What a statement gets that no rule names: allow or deny.
    pub action: Action,
    /// What a statement gets that can't be read: allow, alert or deny.
    pub unreadable: Action,
    /// What happens when the journal can't take the record.
    pub audit_failure: AuditFailure,
    /// Whether decisions are carried out.
    pub mode: Mode,
    /// The schemas that an unqualified name may lie in; without them, any.
    pub search_path: Option<SearchPath>,
}

impl Default for Defaults {
    fn default() -> Self {
        Self {
            action: Action::Deny,
            unreadable: Action::Deny,
            audit_failure: AuditFailure::Block,
            mode: Mode::Enforce,
            search_path: None,
        }
    }
}

/// A pack of rules: `[pack]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pack {
    /// Its name.
    pub id: Box<str>,
    /// Its version.
    pub version: Version,
}

/// A version of numbers with dots between; 1.2 is 1.2.0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub [u32; 3]);

impl Version {
    /// Reads a version of one to three numbers.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut numbers = [0; 3];
        let mut parts = text.split('.');
        for (position, slot) in numbers.iter_mut().enumerate() {
            match parts.next() {
                Some(part) if part.bytes().all(|byte| byte.is_ascii_digit()) => {
                    *slot = part.parse().ok()?;
                }
                Some(_) => return None,
                None if position == 0 => return None,
                None => {}
            }
        }
        parts.next().is_none().then_some(Self(numbers))
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self([major, minor, patch]) = self;
        write!(f, "{major}.{minor}.{patch}")
    }
}

/// A compiled policy.
#[derive(Debug)]
pub struct Policy {
    /// The name that its files give it.
    pub name: Option<Box<str>>,
    /// The version that its files give it.
    pub version: Option<Box<str>>,
    /// Which load of the process this is; verdicts are never kept across generations.
    pub generation: u64,
    /// SHA-256 over the names and texts of the sources.
    pub hash: [u8; 32],
    /// The answers that need no rule.
    pub defaults: Defaults,
    /// The rules, in the order of the files.
    pub rules: Vec<Rule>,
    /// The time windows.
    pub windows: Vec<Window>,
    /// What repeated refusals lead to.
    pub escalations: Vec<Escalation>,
    /// The overlays, whether in force or not.
    pub overlays: Vec<Overlay>,
    /// The packs that it is made of.
    pub packs: Vec<Pack>,
    /// The cases of `[[test]]`.
    pub tests: Vec<Case>,
    /// What is suspicious but no error.
    pub warnings: Vec<Problem>,
    /// The files.
    pub sources: Vec<Source>,
    /// Whether some rule has less than all recorded.
    pub reduces: bool,
    /// `[[redact]]`: what must not be recorded.
    pub redactions: Option<Redactions>,
    /// The cases of `[[redact_test]]`.
    pub redact_tests: Vec<RedactCase>,
    pub(crate) listener_modes: Vec<(Box<str>, Mode)>,
    pub(crate) clauses: Vec<Clause>,
    pub(crate) counters: Vec<Counter>,
    pub(crate) asks: Asks,
    pub(crate) index: Index,
    /// The rules' positions by rank.
    pub(crate) by_rank: Vec<usize>,
    pub(crate) answers: Answers,
}

/// What rules ask for that is found out only if they do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asks {
    /// The end user that a statement claims.
    pub end_users: bool,
    /// The values of parameters.
    pub parameters: bool,
    /// What all sessions have done.
    pub across: bool,
}

impl Asks {
    /// What the conditions of these clauses and these counters ask for.
    pub(crate) fn of(clauses: &[Clause], counters: &[Counter]) -> Self {
        let mut asks = Self::default();
        for counter in counters {
            asks.across |= !counter.per.is_empty();
            asks.end_users |= counter.per.contains(&Trait::EndUser);
        }
        for literal in clauses.iter().flat_map(|clause| &clause.moment) {
            match &*literal.test {
                Test::Subject(_) => asks.end_users = true,
                Test::Moment(MomentTest::Parameter(_)) => asks.parameters = true,
                Test::Moment(_) | Test::Statement(_) => {}
            }
        }
        asks
    }
}

/// The refusals that no rule words.
#[derive(Debug)]
pub(crate) struct Answers {
    pub(crate) default: Arc<RefusalText>,
    pub(crate) replication: Arc<RefusalText>,
    pub(crate) function_call: Arc<RefusalText>,
    pub(crate) stale: Arc<RefusalText>,
    pub(crate) unreadable: Vec<(Unreadable, Arc<RefusalText>)>,
}

/// Which rules may match in a session: the subject side of every rule, matched once.
///
/// It is good for one policy generation and one subject; make a new one when either changes.
#[derive(Clone, Debug)]
pub struct Standing {
    pub(crate) generation: u64,
    pub(crate) mode: Mode,
    /// Clauses with conditions on the statement, whose subject side holds; one bit each.
    pub(crate) bits: Box<[u64]>,
    /// The same, as an ascending list.
    pub(crate) list: Box<[u32]>,
    /// Clauses without conditions on the statement, whose subject side holds.
    pub(crate) free: Box<[u32]>,
    /// Where the session's unqualified names lie.
    pub(crate) path: Option<SearchPath>,
    /// The session's end user.
    pub(crate) end_user: Option<EndUser>,
}

/// The schemas (databases, in MySQL) that an unqualified name may lie in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchPath {
    /// Their names.
    pub schemas: Arc<[Box<str>]>,
    /// The schema that routines and catalogs are found in whatever the path says.
    pub catalog: Option<&'static str>,
}

impl Standing {
    /// Whether decisions are carried out in this session, where a rule doesn't say otherwise.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    pub(crate) fn holds(&self, clause: u32) -> bool {
        let word = usize::try_from(clause / 64)
            .ok()
            .and_then(|word| self.bits.get(word));
        word.is_some_and(|word| word & 1u64.wrapping_shl(clause % 64) != 0)
    }
}

impl Policy {
    /// The same policy as another load of the process.
    #[must_use]
    pub fn with_generation(mut self, generation: u64) -> Self {
        self.generation = generation;
        self
    }

    /// Which rules may match for this subject.
    #[must_use]
    pub fn standing(&self, subject: &Subject) -> Standing {
        let mut bits = vec![0u64; self.clauses.len().div_ceil(64)];
        let (mut list, mut free) = (Vec::new(), Vec::new());
        for (number, clause) in (0u32..).zip(&self.clauses) {
            if !clause.admits_subject(subject) {
                continue;
            }
            if clause.statement.is_empty() {
                free.push(number);
                continue;
            }
            list.push(number);
            let word = usize::try_from(number / 64)
                .ok()
                .and_then(|word| bits.get_mut(word));
            if let Some(word) = word {
                *word |= 1u64.wrapping_shl(number % 64);
            }
        }
        let listener = self
            .listener_modes
            .iter()
            .find(|(name, _)| **name == *subject.listener)
            .map(|(_, mode)| *mode);
        Standing {
            generation: self.generation,
            mode: listener.unwrap_or(self.defaults.mode),
            bits: bits.into_boxed_slice(),
            list: list.into_boxed_slice(),
            free: free.into_boxed_slice(),
            path: self.search_path(subject),
            end_user: subject.end_user.clone(),
        }
    }

    /// What is counted, by number: see [`crate::Decision::counted`].
    #[must_use]
    pub fn counters(&self) -> &[Counter] {
        &self.counters
    }

    /// What its rules ask for.
    #[must_use]
    pub const fn asks(&self) -> Asks {
        self.asks
    }

    /// The rule of that index.
    #[must_use]
    pub fn rule(&self, index: crate::decision::RuleIndex) -> Option<&Rule> {
        self.rules.get(index.0)
    }

    /// The rule of that name.
    #[must_use]
    pub fn rule_named(&self, id: &str) -> Option<&Rule> {
        self.rules.iter().find(|rule| *rule.id == *id)
    }

    /// Where a subject's unqualified names lie: in MySQL, in the current database and nowhere else.
    pub(crate) fn search_path(&self, subject: &Subject) -> Option<SearchPath> {
        match subject.dialect {
            Dialect::Postgres => self.postgres_path(subject),
            Dialect::Mysql | Dialect::Mariadb => Some(SearchPath {
                schemas: Arc::from([subject.database.as_str().into()]),
                catalog: None,
            }),
        }
    }

    /// What a session sets only adds to what the policy says: a routine, a view or `pg_settings` may have set another path
    /// since, unseen.
    fn postgres_path(&self, subject: &Subject) -> Option<SearchPath> {
        let policy = self.defaults.search_path.as_ref()?;
        let schemas = match &subject.search_path {
            SessionPath::Policy => return Some(policy.clone()),
            SessionPath::Unknown => return None,
            SessionPath::Known(schemas) => schemas,
        };
        let mut named: Vec<Box<str>> = policy.schemas.to_vec();
        for schema in schemas {
            match schema.as_str() {
                "$user" => named.push(subject.role.as_deref()?.into()),
                schema => named.push(schema.into()),
            }
        }
        Some(SearchPath {
            schemas: named.into(),
            catalog: Some("pg_catalog"),
        })
    }

    pub(crate) fn clause(&self, number: u32) -> Option<(&Clause, &Rule)> {
        let clause = self.clauses.get(usize::try_from(number).ok()?)?;
        match clause.owner {
            Owner::Rule(rule) => Some((clause, self.rules.get(rule)?)),
            Owner::Counter(_) => None,
        }
    }

    /// A clause of a counter, and which; the clauses of counters come before those of rules.
    pub(crate) fn counting(&self, number: u32) -> Option<(&Clause, u16)> {
        let clause = self.clauses.get(usize::try_from(number).ok()?)?;
        match clause.owner {
            Owner::Counter(counter) => Some((clause, counter)),
            Owner::Rule(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_session_sets_adds_to_the_path_of_the_policy() {
        let compile = |path: &str| {
            let text = format!("schema = 1\n[defaults]\naction = \"allow\"\n{path}");
            crate::compile(vec![("p.toml".into(), text)]).unwrap()
        };
        let subject = |path: &SessionPath| Subject {
            search_path: path.clone(),
            ..Subject::default()
        };
        let (with, without) = (compile("search_path = [\"a\"]"), compile(""));
        let set = SessionPath::Known(["b".to_owned()].into());
        for (path, expected) in [
            (&SessionPath::Policy, Some("a")),
            (&set, Some("a b")),
            (&SessionPath::Unknown, None),
        ] {
            let found = with.search_path(&subject(path));
            let found = found.map(|path| path.schemas.join(" "));
            assert_eq!(found.as_deref(), expected);
            assert_eq!(without.search_path(&subject(path)), None);
        }
    }
}
