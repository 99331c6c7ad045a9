//! Requests that stand for all requests which the conditions of two policies treat alike.

use jiff::{Timestamp, ToSpan as _};

use super::samples;
use crate::detect::Detection;
use crate::policy::{Policy, SearchPath};
use crate::rule::Test;
use crate::rule::clause::Literal;
use crate::rule::moment::{Circumstances, MomentTest, Scene, Transaction};
use crate::rule::object::{ColumnTest, ObjectTest, SettingPattern};
use crate::rule::statement::{StatementTest, StatementView};
use crate::rule::subject::{EndUser, Subject, SubjectTest};
use crate::rule::version::{ServerVersion, VersionRange};
use crate::statement::facts::{
    ColumnAccess, Facts, Name, ObjectAccess, SessionEffect, StatementFacts,
};
use crate::vocabulary::{
    Access, Class, ColumnUse, Detector, Dialect, Egress, EndUserTrust, Isolation, LimitShape,
    ObjectKind, TransactionAccess, TransactionState, Unreadable, Verb, WhereShape,
};

/// A request, in facts.
#[derive(Clone, Debug)]
pub(super) struct Probe {
    pub(super) subject: Subject,
    pub(super) facts: StatementFacts,
    /// Whether its text holds a second statement, which reads nothing.
    pub(super) several: bool,
    pub(super) fingerprint: Option<[u8; 16]>,
    pub(super) unreadable: Option<Unreadable>,
    pub(super) at: Timestamp,
    pub(super) transaction: Transaction,
}

/// A condition of a policy and whether it shall hold.
#[derive(Clone, Copy)]
pub(super) struct Wish<'p> {
    pub(super) policy: &'p Policy,
    pub(super) literal: &'p Literal,
    pub(super) holds: bool,
}

impl Probe {
    /// A statement that reads a table, by a user of whom nothing is special.
    pub(super) fn new(at: Timestamp) -> Self {
        let mut probe = Self {
            subject: Subject {
                user: "someone".into(),
                role: Some("someone".into()),
                database: "some_database".into(),
                client: [192, 0, 2, 1].into(),
                application: "some application".into(),
                listener: "some-listener".into(),
                ..Subject::default()
            },
            facts: StatementFacts::new(Verb::Select, Class::Read),
            several: false,
            fingerprint: None,
            unreadable: None,
            at,
            // A session is in none, and its next one is an ordinary one.
            transaction: Transaction {
                state: TransactionState::ALL.first().copied(),
                access: TransactionAccess::ALL.first().copied(),
                isolation: Isolation::ALL.first().copied(),
            },
        };
        probe.facts.objects.push(object("some_table", Access::Read));
        probe
    }

    /// The same request with another verb and what goes with it.
    pub(super) fn with_verb(&self, verb: Verb) -> Self {
        let mut probe = self.clone();
        let facts = &mut probe.facts;
        (facts.verb, facts.verbs) = (verb, smallvec::smallvec![verb]);
        facts.class = class_of(verb);
        facts.where_shape = match verb {
            Verb::Update | Verb::Delete => WhereShape::Restricting,
            _ => WhereShape::NotApplicable,
        };
        for object in &mut facts.objects {
            object.access = access_of(verb);
        }
        probe
    }

    pub(super) fn facts(&self) -> Facts {
        let mut statements = vec![self.facts.clone()];
        if self.several {
            statements.push(StatementFacts::new(Verb::Select, Class::Read));
        }
        Facts {
            statements,
            unreadable: self.unreadable,
        }
    }

    fn grants(&self, wish: &Wish<'_>, path: Option<&SearchPath>) -> bool {
        let view = StatementView {
            statement: &self.facts,
            statements: 1 + usize::from(self.several),
            unreadable: self.unreadable,
            fingerprint: self.fingerprint,
            search_path: path,
        };
        let literal = wish.literal;
        let circumstances = Circumstances {
            transaction: self.transaction,
            ..Circumstances::default()
        };
        let scene = Scene::new(wish.policy, self.at, circumstances, Some(self.facts.verb));
        let holds = literal.admits_subject(&self.subject)
            && literal.admits_statement(&view)
            && literal.admits_moment(&scene, self.subject.end_user.as_ref());
        holds == wish.holds
    }

    /// A request that is as near as may be to this one and grants every wish; none if none is found.
    pub(super) fn granting(&self, wishes: &[Wish<'_>], times: &[Timestamp]) -> Option<Self> {
        let granted = |probe: &Self| -> Vec<bool> {
            let path = |wish: &Wish<'_>| wish.policy.search_path(&probe.subject);
            wishes
                .iter()
                .map(|wish| probe.grants(wish, path(wish).as_ref()))
                .collect()
        };
        let count = |list: &[bool]| list.iter().filter(|granted| **granted).count();
        let mut best = self.clone();
        let mut state = granted(&best);
        for _ in 0..ROUNDS {
            let before = count(&state);
            for at in 0..wishes.len() {
                if state.get(at).copied().unwrap_or(true) {
                    continue;
                }
                let Some(wish) = wishes.get(at) else { continue };
                let better = best
                    .proposals(wish, times)
                    .into_iter()
                    .map(|probe| (granted(&probe), probe))
                    .find(|(list, _)| count(list) > count(&state));
                if let Some((list, probe)) = better {
                    (state, best) = (list, probe);
                }
            }
            if count(&state) == wishes.len() {
                return Some(best);
            }
            if count(&state) == before {
                break;
            }
        }
        None
    }

    /// Requests like this one that may grant a wish, or break it.
    fn proposals(&self, wish: &Wish<'_>, times: &[Timestamp]) -> Vec<Self> {
        match &*wish.literal.test {
            Test::Subject(test) => self.other_subjects(test),
            Test::Statement(test) => self.other_statements(test),
            Test::Moment(test) => self.other_moments(test, times),
        }
    }

    fn other_moments(&self, test: &MomentTest, times: &[Timestamp]) -> Vec<Self> {
        let with = |change: &dyn Fn(&mut Self)| {
            let mut probe = self.clone();
            change(&mut probe);
            probe
        };
        match test {
            MomentTest::Time(_) | MomentTest::Period(_) => times
                .iter()
                .map(|at| with(&|probe| probe.at = *at))
                .collect(),
            MomentTest::Transaction(_) => TransactionState::ALL
                .iter()
                .map(|word| with(&|probe| probe.transaction.state = Some(*word)))
                .collect(),
            MomentTest::TransactionAccess(_) => TransactionAccess::ALL
                .iter()
                .map(|word| with(&|probe| probe.transaction.access = Some(*word)))
                .collect(),
            MomentTest::Isolation(_) => Isolation::ALL
                .iter()
                .map(|word| with(&|probe| probe.transaction.isolation = Some(*word)))
                .collect(),
            // These requests have no values and no history.
            MomentTest::Parameter(_) | MomentTest::Literal(_) | MomentTest::History { .. } => {
                Vec::new()
            }
        }
    }

    fn other_subjects(&self, test: &SubjectTest) -> Vec<Self> {
        let mut all = Vec::new();
        let mut push = |change: &dyn Fn(&mut Subject)| {
            let mut probe = self.clone();
            change(&mut probe.subject);
            all.push(probe);
        };
        let named = |name: &str, known: Option<&EndUser>| EndUser {
            name: name.to_owned(),
            trust: known.map_or("setting".into(), |user| user.trust.clone()),
        };
        match test {
            SubjectTest::User(globs) => samples::of_globs(globs).iter().for_each(|name| {
                push(&|subject| {
                    if subject.role.as_ref() == Some(&subject.user) {
                        subject.role = Some(name.clone());
                    }
                    subject.user.clone_from(name);
                });
            }),
            SubjectTest::Role(globs) => samples::of_globs(globs)
                .iter()
                .for_each(|name| push(&|subject| subject.role = Some(name.clone()))),
            SubjectTest::Database(globs) => samples::of_globs(globs)
                .iter()
                .for_each(|name| push(&|subject| subject.database.clone_from(name))),
            SubjectTest::Application(globs) => samples::of_globs(globs)
                .iter()
                .for_each(|name| push(&|subject| subject.application.clone_from(name))),
            SubjectTest::Listener(globs) => samples::of_globs(globs)
                .iter()
                .for_each(|name| push(&|subject| subject.listener.clone_from(name))),
            SubjectTest::TlsIdentity(globs) => {
                samples::of_globs(globs)
                    .iter()
                    .for_each(|name| push(&|subject| subject.tls_identity = Some(name.clone())));
                push(&|subject| subject.tls_identity = None);
            }
            SubjectTest::EndUser(globs) => {
                samples::of_globs(globs).iter().for_each(|name| {
                    push(&|subject| {
                        subject.end_user = Some(named(name, subject.end_user.as_ref()));
                    });
                });
                push(&|subject| subject.end_user = None);
            }
            SubjectTest::EndUserTrust(_) => {
                EndUserTrust::ALL.iter().for_each(|trust| {
                    push(&|subject| {
                        let mut user = named("some-end-user", None);
                        if let Some(known) = &subject.end_user {
                            user.name.clone_from(&known.name);
                        }
                        user.trust = trust.to_string();
                        subject.end_user = Some(user);
                    });
                });
                push(&|subject| subject.end_user = None);
            }
            SubjectTest::Client(networks) => samples::of_networks(networks)
                .iter()
                .for_each(|client| push(&|subject| subject.client = *client)),
            SubjectTest::Dialect(_) => Dialect::ALL
                .iter()
                .for_each(|dialect| push(&|subject| subject.dialect = *dialect)),
            SubjectTest::ServerVersion(ranges) => {
                let bounds = ranges
                    .iter()
                    .take(samples::MOST)
                    .flat_map(VersionRange::bounds);
                bounds
                    .chain([ServerVersion::OLDEST, ServerVersion::NEWEST])
                    .for_each(|version| push(&|subject| subject.server_version = Some(version)));
            }
        }
        all
    }

    fn other_statements(&self, test: &StatementTest) -> Vec<Self> {
        let change = |change: &dyn Fn(&mut Self)| {
            let mut probe = self.clone();
            change(&mut probe);
            probe
        };
        match test {
            StatementTest::Verb(_) => Verb::ALL.iter().map(|verb| self.with_verb(*verb)).collect(),
            StatementTest::Class(_) => {
                let by_verb = CLASS_VERBS.iter().map(|verb| self.with_verb(*verb));
                let alone = Class::ALL
                    .iter()
                    .map(|class| change(&|probe| probe.facts.class = *class));
                by_verb.chain(alone).collect()
            }
            StatementTest::Object(test) => self.other_objects(test),
            StatementTest::Column(test) => self.other_columns(test),
            StatementTest::Function(patterns) => {
                let with = samples::of_names(patterns).into_iter().flat_map(|name| {
                    let also = change(&|probe| probe.facts.functions.push(name.clone()));
                    [
                        change(&|probe| probe.facts.functions = vec![name.clone()]),
                        also,
                    ]
                });
                let none = change(&|probe| probe.facts.functions.clear());
                with.chain([none]).collect()
            }
            StatementTest::Where(_) => {
                let bases = [self.clone(), self.with_verb(Verb::Delete)];
                let shapes = |base: Self| {
                    WhereShape::ALL.iter().map(move |shape| {
                        let mut probe = base.clone();
                        probe.facts.where_shape = *shape;
                        probe
                    })
                };
                bases.into_iter().flat_map(shapes).collect()
            }
            StatementTest::Limit(_) => LimitShape::ALL
                .iter()
                .map(|limit| change(&|probe| probe.facts.limit = *limit))
                .collect(),
            StatementTest::Egress(_) => {
                let ways = Egress::ALL
                    .iter()
                    .map(|way| change(&|probe| probe.facts.egress = smallvec::smallvec![*way]));
                ways.chain([change(&|probe| probe.facts.egress.clear())])
                    .collect()
            }
            StatementTest::MultiStatement(_) => {
                vec![change(&|probe| probe.several = !probe.several)]
            }
            StatementTest::Dynamic(_) => {
                vec![change(&|probe| probe.facts.dynamic = !probe.facts.dynamic)]
            }
            StatementTest::Fingerprint(prints) => {
                let some = prints.iter().take(samples::MOST).map(Some).chain([None]);
                some.map(|print| change(&|probe| probe.fingerprint = print.copied()))
                    .collect()
            }
            StatementTest::Unreadable { .. } => {
                let reasons = Unreadable::ALL.iter().map(|reason| Some(*reason));
                reasons
                    .chain([None])
                    .map(|reason| change(&|probe| probe.unreadable = reason))
                    .collect()
            }
            StatementTest::Setting(patterns) => {
                let set = patterns.iter().take(samples::MOST).map(|pattern| {
                    let base = self.with_verb(Verb::Set);
                    Self {
                        facts: StatementFacts {
                            effects: vec![effect(pattern)],
                            objects: Vec::new(),
                            ..base.facts
                        },
                        ..base
                    }
                });
                let none = change(&|probe| probe.facts.effects.clear());
                set.chain([none]).collect()
            }
            StatementTest::Detect(_) | StatementTest::DetectScore(_) => {
                let seen = |detector: &Detector| Detection {
                    detector: *detector,
                    saw: "",
                    bytes: 0..0,
                };
                let each = Detector::ALL.iter().map(|detector| vec![seen(detector)]);
                each.chain([Vec::new(), Detector::ALL.iter().map(seen).collect()])
                    .map(|found| change(&|probe| probe.facts.detections.clone_from(&found)))
                    .collect()
            }
            // Each of these adds to the risk.
            StatementTest::Risk(_) => {
                let mut risky = self.with_verb(Verb::Delete);
                risky.facts.where_shape = WhereShape::Absent;
                let mut riskier = risky.clone();
                riskier.several = true;
                riskier.facts.dynamic = true;
                riskier.facts.egress = Egress::ALL.iter().copied().collect();
                vec![
                    self.with_verb(Verb::Select),
                    self.with_verb(Verb::Drop),
                    risky,
                    riskier,
                ]
            }
            StatementTest::Replication(_) => [Verb::Replication, Verb::Select]
                .iter()
                .map(|verb| self.with_verb(*verb))
                .collect(),
        }
    }

    fn other_objects(&self, test: &ObjectTest) -> Vec<Self> {
        let mut all = Vec::new();
        let accesses = test.access.map_or_else(
            || vec![access_of(self.facts.verb)],
            |accesses| accesses.iter().collect(),
        );
        let kinds: Vec<ObjectKind> = match test.kind {
            Some(kinds) => kinds.iter().take(2).collect(),
            None => vec![ObjectKind::Relation],
        };
        for name in samples::of_names(&test.names) {
            for access in &accesses {
                for kind in &kinds {
                    let object = ObjectAccess {
                        kind: *kind,
                        name: name.clone(),
                        access: *access,
                    };
                    let mut only = self.clone();
                    only.facts.objects = vec![object.clone()];
                    all.push(only);
                    let mut also = self.clone();
                    also.facts.objects.push(object);
                    all.push(also);
                }
            }
        }
        for objects in [
            Vec::new(),
            vec![object("some_table", access_of(self.facts.verb))],
        ] {
            let mut probe = self.clone();
            probe.facts.objects = objects;
            all.push(probe);
        }
        all
    }

    fn other_columns(&self, test: &ColumnTest) -> Vec<Self> {
        let uses: Vec<ColumnUse> = test.usage.map_or_else(
            || {
                vec![ColumnUse::ALL.first().copied()]
                    .into_iter()
                    .flatten()
                    .collect()
            },
            |uses| uses.iter().collect(),
        );
        let mut all = Vec::new();
        for (table, column) in samples::of_columns(&test.columns) {
            for usage in &uses {
                let mut probe = self.clone();
                probe.facts.columns = vec![ColumnAccess {
                    table: Some(table.clone()),
                    column: column.clone(),
                    usage: *usage,
                }];
                all.push(probe);
            }
        }
        let mut none = self.clone();
        none.facts.columns.clear();
        all.push(none);
        all
    }
}

/// Moments of a week that stand for all moments which the windows of the policies treat alike.
pub(super) fn times(policies: [&Policy; 2], now: Timestamp) -> Vec<Timestamp> {
    let mut seen = Vec::new();
    let mut times = Vec::new();
    let whole_week = policies.iter().any(|policy| !policy.windows.is_empty());
    let minutes = if whole_week { 7 * 24 * 60 } else { 1 };
    let week = (0..minutes).filter_map(|minute: i64| now.checked_add(minute.minutes()).ok());
    let overlays = policies.iter().flat_map(|policy| &policy.overlays);
    let edges = overlays.flat_map(|overlay| [overlay.period.from, overlay.period.until]);
    for at in week.chain(edges) {
        let windows = policies
            .iter()
            .flat_map(|policy| &policy.windows)
            .map(|window| window.covers(at));
        let rules = policies.iter().flat_map(|policy| &policy.rules);
        let periods = rules
            .filter_map(|rule| rule.periods.as_ref())
            .map(|periods| periods.cover(at));
        let inside: Vec<bool> = windows.chain(periods).collect();
        if times.len() < MOST_TIMES && !seen.contains(&inside) {
            seen.push(inside);
            times.push(at);
        }
    }
    times
}

fn object(name: &str, access: Access) -> ObjectAccess {
    ObjectAccess {
        kind: ObjectKind::Relation,
        name: Name {
            schema: None,
            name: name.into(),
        },
        access,
    }
}

fn effect(pattern: &SettingPattern) -> SessionEffect {
    let value = pattern.value.as_ref().map(samples::of_glob);
    SessionEffect::Set {
        name: samples::of_glob(&pattern.name).into(),
        value: Some(value.unwrap_or_else(|| "some value".into()).into()),
        local: false,
    }
}

/// What a verb does to the object that it names first.
pub(super) const fn access_of(verb: Verb) -> Access {
    match verb {
        Verb::Insert | Verb::Copy | Verb::Load | Verb::Merge => Access::Insert,
        Verb::Update => Access::Update,
        Verb::Delete | Verb::Truncate => Access::Delete,
        Verb::Create | Verb::Alter | Verb::Drop | Verb::Comment | Verb::Reindex => Access::Ddl,
        Verb::Call => Access::Execute,
        _ => Access::Read,
    }
}

/// The class that a plain statement with this verb has.
const fn class_of(verb: Verb) -> Class {
    match verb {
        Verb::Select | Verb::Show | Verb::Fetch => Class::Read,
        Verb::Insert
        | Verb::Update
        | Verb::Delete
        | Verb::Merge
        | Verb::Copy
        | Verb::Load
        | Verb::Truncate
        | Verb::Call
        | Verb::Do => Class::Write,
        Verb::Create | Verb::Alter | Verb::Drop | Verb::Comment | Verb::Reindex => Class::Ddl,
        Verb::Grant | Verb::Revoke | Verb::Reassign => Class::Dcl,
        Verb::Begin | Verb::Commit | Verb::Rollback | Verb::Savepoint => Class::Tcl,
        Verb::Set | Verb::Reset | Verb::Use => Class::Session,
        Verb::AlterSystem
        | Verb::Kill
        | Verb::Shutdown
        | Verb::Replication
        | Verb::FunctionCall => Class::Admin,
        _ => Class::Utility,
    }
}

/// A verb of each class.
const CLASS_VERBS: [Verb; 8] = [
    Verb::Select,
    Verb::Insert,
    Verb::Create,
    Verb::Grant,
    Verb::Begin,
    Verb::Set,
    Verb::Explain,
    Verb::AlterSystem,
];

/// How often wishes are gone through: one may spoil another.
const ROUNDS: usize = 4;
const MOST_TIMES: usize = 64;
