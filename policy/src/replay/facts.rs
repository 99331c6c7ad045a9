//! The facts of a recorded statement: as they were recorded, or read again and found to be the same.

use hashbrown::HashSet;
use smallvec::SmallVec;

use super::{Asks, Undecided};
use crate::statement::facts::{Facts, StatementFacts, strength};
use crate::statement::{LexState, Limits, analyse};
use crate::vocabulary::{Dialect, LimitShape, Unreadable, Verb, WhereShape};

/// What was recorded of a text's analysis: of several statements in one text, together; nothing of what they do to the
/// session.
#[derive(Clone, Debug)]
pub struct RecordedFacts {
    fingerprint: [u8; 16],
    statements: u32,
    normal: Box<str>,
    /// One statement with the facts of all.
    facts: Facts,
    named: bool,
    dotted: bool,
}

impl RecordedFacts {
    /// The facts of a text of so many statements, put together as [`merged`] does.
    #[must_use]
    pub fn new(
        (fingerprint, normal): ([u8; 16], &str),
        statements: u32,
        together: StatementFacts,
    ) -> Self {
        // What EXECUTE, FETCH, MOVE and CLOSE run is judged with them.
        let by_name = [Verb::Execute, Verb::Fetch, Verb::Close];
        let named = together.verbs_all().any(|verb| by_name.contains(&verb));
        let quoted = normal.contains(['"', '`']);
        let dotted = quoted && together.functions.iter().any(|name| name.schema.is_some());
        Self {
            fingerprint,
            statements,
            normal: normal.into(),
            named,
            dotted,
            facts: Facts {
                statements: vec![together],
                unreadable: None,
            },
        }
    }

    /// Names the normal form.
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 16] {
        self.fingerprint
    }

    /// The normal form.
    #[must_use]
    pub fn normal(&self) -> &str {
        &self.normal
    }

    /// The facts of all statements of the text together.
    #[must_use]
    pub fn together(&self) -> Option<&StatementFacts> {
        self.facts.statements.first()
    }

    /// How many statements the text holds.
    #[must_use]
    pub fn statements(&self) -> u32 {
        self.statements
    }

    pub(super) fn verbs(&self) -> &[Verb] {
        self.together().map_or(&[], |facts| &facts.verbs)
    }

    /// Whether it runs what SQL text has prepared or declared under a name.
    #[must_use]
    pub fn runs_named(&self) -> bool {
        self.named
    }

    pub(super) fn names_unqualified(&self) -> bool {
        let unqualified = |facts: &StatementFacts| {
            facts
                .objects
                .iter()
                .any(|object| object.name.schema.is_none())
        };
        self.together().is_some_and(unqualified)
    }

    /// Whether the recorded facts are all that such a policy asks for. Of several statements it may ask what one of them
    /// does, and a dot in a quoted function's name looks like a schema.
    pub(super) fn suffices(&self, asks: &Asks) -> bool {
        self.statements == 1 && !asks.settings && !self.dotted
    }

    pub(super) fn facts(&self, unreadable: Option<Unreadable>) -> Facts {
        Facts {
            unreadable,
            ..self.facts.clone()
        }
    }

    /// Reads the text in a fresh session's state; believes it if that comes to what was recorded.
    pub(super) fn reread(
        &self,
        text: &[u8],
        dialect: Dialect,
        unreadable: Option<Unreadable>,
    ) -> Result<Facts, Undecided> {
        let analysis = analyse(text, &LexState::of_dialect(dialect), &Limits::default());
        let of_session = matches!(
            unreadable,
            Some(Unreadable::Unsettled | Unreadable::UnknownPrepared)
        );
        let alike = analysis.fingerprint.0 == self.fingerprint
            && *analysis.normal == *self.normal
            && (analysis.facts.unreadable == unreadable
                || of_session && analysis.facts.unreadable.is_none())
            && u32::try_from(analysis.facts.statements.len()) == Ok(self.statements)
            && self
                .together()
                .is_some_and(|known| known.says(&merged(&analysis.facts)));
        if !alike {
            return Err(Undecided::ReadsDifferently);
        }
        Ok(Facts {
            unreadable,
            ..analysis.facts
        })
    }
}

impl StatementFacts {
    /// Whether it says the same as another one, of which the record has what it has of all.
    fn says(&self, other: &StatementFacts) -> bool {
        let functions = |facts: &StatementFacts| -> Vec<String> {
            facts
                .functions
                .iter()
                .map(crate::rule::statement::show)
                .collect()
        };
        self.verb == other.verb
            && self.verbs == other.verbs
            && self.class == other.class
            && self.objects == other.objects
            && self.columns == other.columns
            && functions(self) == functions(other)
            && self.where_shape == other.where_shape
            && self.limit == other.limit
            && self.egress == other.egress
            && self.dynamic == other.dynamic
    }
}

/// The facts of all statements of a text together, as the record has them: the first verb, the strongest class, the
/// weakest WHERE, the last LIMIT, of everything else each thing once; nothing of what they do to the session.
#[must_use]
pub(super) fn merged(facts: &Facts) -> StatementFacts {
    let all = || facts.statements.iter();
    let class = all()
        .map(|one| one.class)
        .max_by_key(|class| strength(*class));
    let weakest = all().map(|one| one.where_shape).min_by_key(restriction);
    StatementFacts {
        verb: all().next().map_or(Verb::Unknown, |one| one.verb),
        verbs: SmallVec::from_vec(unique(all().flat_map(|one| one.verbs.iter().copied()))),
        class: class.unwrap_or(crate::vocabulary::Class::Utility),
        objects: unique(all().flat_map(|one| one.objects.iter().cloned())),
        columns: unique(all().flat_map(|one| one.columns.iter().cloned())),
        functions: unique(all().flat_map(|one| one.functions.iter().cloned())),
        where_shape: weakest.unwrap_or(WhereShape::NotApplicable),
        limit: all()
            .last()
            .map_or(LimitShape::NotApplicable, |one| one.limit),
        egress: SmallVec::from_vec(unique(all().flat_map(|one| one.egress.iter().copied()))),
        dynamic: all().any(|one| one.dynamic),
        effects: Vec::new(),
        detections: Vec::new(),
    }
}

/// How far a WHERE restricts.
fn restriction(shape: &WhereShape) -> u8 {
    match shape {
        WhereShape::Absent => 0,
        WhereShape::AlwaysTrue => 1,
        WhereShape::Restricting => 2,
        WhereShape::NotApplicable => 3,
    }
}

/// Each item once, in order of first appearance.
fn unique<T: Clone + Eq + std::hash::Hash>(items: impl Iterator<Item = T>) -> Vec<T> {
    let mut seen = HashSet::new();
    items.filter(|item| seen.insert(item.clone())).collect()
}
