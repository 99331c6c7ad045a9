//! Proposes a policy: for each user and verb the objects, and tests of what was seen.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io;

use thiserror::Error;

use super::deeds::{Deeds, escaped, list, quoted};
use super::{Learnt, Lesson, User, Who};
use crate::compile::compile;
use crate::decision::{Cause, decide_parts, only_verb};
use crate::policy::Policy;
use crate::problem::Problems;
use crate::replay::{Fate, Judge, Undecided};
use crate::rule::moment::{Circumstances, Scene, Wording};
use crate::rule::statement::hex;
use crate::rule::subject::Subject;
use crate::statement::facts::StatementFacts;
use crate::statement::{LexState, Limits, analyse};
use crate::test_table::{on_analysis_stack, shorten};
use crate::vocabulary::Verb;

/// How rules are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Verbs and objects; fingerprints only where these do not say it.
    General,
    /// Every fingerprint.
    Digests,
}

/// A policy that allows what was seen.
#[derive(Clone, Debug)]
pub struct Proposal {
    /// The file.
    pub text: String,
    /// Its rules.
    pub rules: usize,
    /// Its tests, all of which pass.
    pub tests: usize,
    /// Statements that it allows, of those that it was learnt from.
    pub allowed: u64,
    /// Statements that it does not allow, with a text for each kind.
    pub refused: Vec<(u64, String)>,
}

/// Why nothing can be proposed.
#[derive(Debug, Error)]
pub enum ProposeError {
    /// Nothing was learnt.
    #[error("there is nothing to learn from: no statement of that time can be learnt")]
    Nothing,
    /// The proposal is no policy: a fault of this program.
    #[error("the proposal is no policy:\n{0}")]
    Policy(Problems),
    /// The system gives no thread.
    #[error(transparent)]
    System(#[from] io::Error),
}

impl Learnt {
    /// Proposes a policy, in mode `observe`, having tried it on what was learnt.
    ///
    /// # Errors
    /// Nothing was learnt, or the system gives no thread.
    pub fn propose(&self, style: Style) -> Result<Proposal, ProposeError> {
        if self.is_empty() {
            return Err(ProposeError::Nothing);
        }
        on_analysis_stack(|| self.propose_here(style))?
    }

    fn propose_here(&self, style: Style) -> Result<Proposal, ProposeError> {
        let mut draft = Draft::default();
        for (who, user) in &self.users {
            if style == Style::General {
                draft.general(who, user);
            }
        }
        let first = draft.policy()?;
        for (who, user) in &self.users {
            draft.digests(who, user, first.as_ref());
        }
        let policy = draft.policy()?.ok_or(ProposeError::Nothing)?;
        for user in self.users.values() {
            draft.tests(user, &policy);
        }
        let policy = draft.policy()?.ok_or(ProposeError::Nothing)?;
        let (mut allowed, mut refused) = (0u64, Vec::new());
        let lessons = self.users.values().flat_map(|user| sorted(user));
        let mut judge = Judge::new(&policy);
        for lesson in lessons {
            if allows(judge.judge(&lesson.example)).is_some() {
                allowed = allowed.saturating_add(lesson.count);
            } else {
                let normal = lesson
                    .example
                    .facts
                    .as_ref()
                    .map_or("", |facts| facts.normal());
                refused.push((lesson.count, shorten(normal)));
            }
        }
        Ok(Proposal {
            rules: policy.rules.len(),
            tests: policy.tests.len(),
            text: draft.text(),
            allowed,
            refused,
        })
    }
}

/// The rule that allows a statement, if one does.
fn allows(fate: Result<Fate, Undecided>) -> Option<usize> {
    match fate {
        Ok(Fate {
            action: crate::vocabulary::Action::Allow,
            cause: Cause::Rule(index),
        }) => Some(index.0),
        Ok(_) | Err(_) => None,
    }
}

/// The lessons of a user, those that came most often first.
fn sorted(user: &User) -> Vec<&Lesson> {
    let mut lessons: Vec<&Lesson> = user.seen.values().collect();
    let print = |lesson: &Lesson| {
        lesson
            .example
            .facts
            .as_ref()
            .map(|facts| facts.fingerprint())
    };
    lessons.sort_by(|one, other| {
        other
            .count
            .cmp(&one.count)
            .then_with(|| print(one).cmp(&print(other)))
    });
    lessons
}

/// The file as far as it is written.
#[derive(Default)]
struct Draft {
    rules: String,
    tests: String,
    count: usize,
}

const HEAD: &str = "\
schema = 1

[policy]
name = \"learnt\"

[defaults]
action = \"deny\"        # what was not seen
unreadable = \"deny\"
mode = \"observe\"       # decided and recorded, not carried out; `enforce` once nothing is denied that should pass
";

impl Draft {
    fn text(&self) -> String {
        format!("{HEAD}{}{}", self.rules, self.tests)
    }

    fn policy(&self) -> Result<Option<Policy>, ProposeError> {
        if self.count == 0 {
            return Ok(None);
        }
        let source = ("learnt.toml".to_owned(), self.text());
        compile(vec![source])
            .map(Some)
            .map_err(ProposeError::Policy)
    }

    /// Rules by verb and objects.
    fn general(&mut self, who: &Who, user: &User) {
        let mut by_verb: BTreeMap<&'static str, (Verb, Deeds)> = BTreeMap::new();
        for lesson in user.seen.values() {
            let Some(facts) = lesson.example.facts.as_ref() else {
                continue;
            };
            let Some(statement) = facts.together().filter(|_| facts.statements() == 1) else {
                continue;
            };
            if !is_plain(statement) {
                continue;
            }
            let entry = by_verb.entry(statement.verb.as_str());
            let (_, deeds) = entry.or_insert_with(|| {
                let deeds = Deeds {
                    restricted: true,
                    ..Deeds::default()
                };
                (statement.verb, deeds)
            });
            deeds.note(statement);
        }
        let mut together: BTreeSet<String> = BTreeSet::new();
        for (word, (verb, deeds)) in by_verb {
            // Verbs that touch nothing share a rule.
            if deeds.objects.is_empty() && deeds.functions.is_empty() && touches_nothing(verb) {
                together.insert(word.to_owned());
                continue;
            }
            if !deeds.objects.is_empty() {
                self.rule(who, (word, "objects"), &deeds.with_objects(word));
            }
            if deeds.bare && verb == Verb::Select {
                self.rule(who, (word, "no-objects"), &deeds.without_objects(word));
            }
        }
        if !together.is_empty() {
            let conditions = [format!("verb = {}", list(&together)), Deeds::none()];
            self.rule(who, ("session", "verbs"), &conditions);
        }
    }

    /// Rules by fingerprint: of everything, or of what `first` does not allow.
    fn digests(&mut self, who: &Who, user: &User, first: Option<&Policy>) {
        let mut judge = first.map(Judge::new);
        let mut prints = String::new();
        for lesson in sorted(user) {
            let allowed = judge
                .as_mut()
                .and_then(|judge| allows(judge.judge(&lesson.example)));
            let Some(facts) = lesson.example.facts.as_ref().filter(|_| allowed.is_none()) else {
                continue;
            };
            // Writing to a String can't fail.
            let _ = writeln!(
                prints,
                "    \"{}\",  # {}",
                hex(&facts.fingerprint()),
                shorten(facts.normal())
            );
        }
        if !prints.is_empty() {
            let conditions = [format!("fingerprint = [\n{prints}]")];
            self.rule(who, ("statement", "digests"), &conditions);
        }
    }

    fn rule(&mut self, who: &Who, (verb, what): (&str, &str), conditions: &[String]) {
        self.count += 1;
        let name: String = who
            .user
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
            .take(40)
            .collect();
        let _ = write!(
            self.rules,
            "\n[[rule]]\nid = \"learnt-{name}-{verb}-{what}-{}\"\nwhen.user = {}\nwhen.dialect = \"{}\"\n{}action = \"allow\"\n",
            self.count,
            quoted(&escaped(&who.user)),
            who.dialect,
            conditions
                .iter()
                .map(|one| format!("when.{one}\n"))
                .collect::<String>(),
        );
    }

    /// Tests: of each rule some statements as they came, and one that was never seen.
    fn tests(&mut self, user: &User, policy: &Policy) {
        let mut shown: BTreeMap<usize, usize> = BTreeMap::new();
        let mut judge = Judge::new(policy);
        for lesson in sorted(user) {
            let Some(rule) = allows(judge.judge(&lesson.example)) else {
                continue;
            };
            let number = shown.entry(rule).or_default();
            if *number >= TESTS_OF_A_RULE {
                continue;
            }
            let id = policy.rules.get(rule).map_or("", |rule| &rule.id);
            if let Some(test) = test(policy, lesson, id) {
                *number += 1;
                self.tests.push_str(&test);
            }
        }
    }
}

/// A text as it came, if a session of whom nothing is known but the user gets the same answer for it.
fn test(policy: &Policy, lesson: &Lesson, rule: &str) -> Option<String> {
    let recorded = &lesson.example;
    let text = std::str::from_utf8(recorded.text.as_deref()?).ok()?;
    let subject = Subject {
        dialect: recorded.subject.dialect,
        user: recorded.subject.user.clone(),
        role: Some(recorded.subject.user.clone()),
        database: recorded.subject.database.clone(),
        ..Subject::default()
    };
    let lex = LexState::of_dialect(subject.dialect);
    let analysis = analyse(text.as_bytes(), &lex, &Limits::default());
    let circumstances = Circumstances {
        text: Wording::Text(text.as_bytes(), lex),
        ..Circumstances::default()
    };
    let verb = only_verb(&analysis.facts);
    let scene = Scene::new(policy, recorded.at, circumstances, verb);
    let print = Some(analysis.fingerprint.0);
    let standing = policy.standing(&subject);
    let decision = decide_parts(policy, &standing, scene, &analysis.facts, print);
    let decides = match decision.cause {
        Cause::Rule(index) => policy.rule(index).is_some_and(|found| *found.id == *rule),
        Cause::Default
        | Cause::Unreadable(_)
        | Cause::NotNamed(_)
        | Cause::Blocked
        | Cause::Stale => false,
    };
    let fits = text.len() <= MOST_TEST_BYTES && !text.contains('\0');
    (decides && fits).then(|| {
        format!(
            "\n[[test]]\nsql = {}\ndialect = \"{}\"\nuser = {}\ndatabase = {}\nexpect = {{ action = \"allow\", rule = \"{rule}\" }}\n",
            quoted(text),
            subject.dialect,
            quoted(&subject.user),
            quoted(&subject.database),
        )
    })
}

/// Whether an allow rule that names verb and objects covers it: nothing leaves the database, nothing is hidden.
fn is_plain(statement: &StatementFacts) -> bool {
    let nested = statement
        .verbs
        .iter()
        .all(|verb| *verb == statement.verb || *verb == Verb::Select);
    // Which settings a SET changes is not in the record: fingerprints tell them apart.
    let sets = matches!(statement.verb, Verb::Set | Verb::Reset);
    nested && !sets && statement.egress.is_empty() && !statement.dynamic
}

/// Whether statements with this verb touch no data by themselves.
const fn touches_nothing(verb: Verb) -> bool {
    matches!(
        verb,
        Verb::Begin
            | Verb::Commit
            | Verb::Rollback
            | Verb::Savepoint
            | Verb::Use
            | Verb::Show
            | Verb::Deallocate
            | Verb::Close
            | Verb::Empty
    )
}

const TESTS_OF_A_RULE: usize = 3;
const MOST_TEST_BYTES: usize = 2000;
