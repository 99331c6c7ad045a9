//! Files → policy, or everything that is wrong with them.

mod escalations;
mod lint;
mod load;
mod packs;
mod redact;
mod rules;
mod windows;

use std::sync::Arc;

use sha2::{Digest, Sha256};

pub use self::load::load;
use self::rules::Ruled;
use crate::decision::{RefusalText, SQLSTATE_REFUSED};
use crate::file::{self, At, File, RawDefaults};
use crate::policy::{Answers, Asks, Defaults, Policy, SearchPath};
use crate::problem::{Problem, Problems, Source, Span};
use crate::rule::Rule;
use crate::rule::index::Index;
use crate::test_table::Case;
use crate::vocabulary::{Action, Mode, RecordDetail, Unreadable};

/// Compiles sources, each a name and a text.
///
/// # Errors
/// Everything that is wrong, at once.
pub fn compile(sources: Vec<(String, String)>) -> Result<Policy, Problems> {
    let sources: Vec<Source> = sources
        .into_iter()
        .map(|(name, text)| Source {
            name: name.into(),
            text: text.into(),
        })
        .collect();
    let (files, problems) = file::read(&sources);
    let mut compiler = Compiler { sources, problems };
    let policy = compiler.build(files);
    let Compiler {
        sources,
        mut problems,
    } = compiler;
    let order = |problem: &Problem| {
        let file = sources
            .iter()
            .position(|source| source.name == problem.file);
        (file, problem.line, problem.column)
    };
    problems.sort_by_key(order);
    problems.dedup();
    if problems.iter().any(|problem| problem.fatal) {
        return Err(Problems(problems));
    }
    Ok(Policy {
        warnings: problems,
        sources,
        ..policy
    })
}

struct Compiler {
    sources: Vec<Source>,
    problems: Vec<Problem>,
}

impl Compiler {
    fn problem(&self, span: &Span, message: impl Into<String>) -> Problem {
        match self.sources.get(span.source) {
            Some(source) => Problem::at(source, span.bytes.clone(), message),
            None => {
                let source = Source {
                    name: "policy".into(),
                    text: "".into(),
                };
                Problem::at(&source, 0..0, message)
            }
        }
    }

    fn report(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// The place of a span, for messages that point at a second one.
    fn place(&self, span: &Span) -> String {
        self.sources
            .get(span.source)
            .map_or_else(String::new, |source| {
                let (line, column) = source.line_column(span.bytes.start);
                format!("{}:{line}:{column}", source.name)
            })
    }

    /// Builds what can be built; the result counts only if no problem is fatal.
    fn build(&mut self, files: Vec<File>) -> Policy {
        let defaults = self.defaults(&files);
        let packs = self.packs(&files);
        let windows = self.windows(&files);
        let Ruled {
            rules,
            clauses,
            counters,
            overlays,
        } = self.rules(&files, &windows, &defaults);
        let escalations = self.escalations(&files, &rules);
        let tests = self.tests(&files, &rules);
        let listener_modes = self.listeners(&files);
        let redactions = self.redactions(&files);
        let less = |rule: &Rule| rule.record > Some(RecordDetail::Full);
        let reduces = rules.iter().any(less);
        let redact_tests = files
            .iter()
            .flat_map(|file| file.redact_tests.clone())
            .collect();
        let name = self.once("name", files.iter().filter_map(|file| file.name.clone()));
        let version = self.once(
            "version",
            files.iter().filter_map(|file| file.version.clone()),
        );
        let sound = !self.problems.iter().any(|problem| problem.fatal);
        if sound && rules.is_empty() && files.iter().all(|file| file.defaults.action.is_none()) {
            let problem = self
                .problem(&Span::default(), "the policy is empty")
                .expected("a `[[rule]]`, or `[defaults] action`");
            self.report(problem);
        }
        let mut by_rank = vec![0; rules.len()];
        for (position, rule) in rules.iter().enumerate() {
            let slot = usize::try_from(rule.rank)
                .ok()
                .and_then(|rank| by_rank.get_mut(rank));
            if let Some(slot) = slot {
                *slot = position;
            }
        }
        Policy {
            name: name.map(Into::into),
            version: version.map(Into::into),
            generation: 0,
            hash: hash(&self.sources),
            index: Index::new(&clauses),
            asks: Asks::of(&clauses, &counters),
            defaults,
            rules,
            windows,
            escalations,
            overlays,
            packs,
            tests,
            warnings: Vec::new(),
            sources: Vec::new(),
            listener_modes,
            clauses,
            counters,
            by_rank,
            answers: answers(),
            reduces,
            redactions,
            redact_tests,
        }
    }

    /// A value that several files may give, but not differently.
    fn once<T: PartialEq + Clone>(
        &mut self,
        field: &str,
        values: impl Iterator<Item = At<T>>,
    ) -> Option<T> {
        let mut first: Option<At<T>> = None;
        for value in values {
            match &first {
                None => first = Some(value),
                Some(known) if known.value == value.value => {}
                Some(known) => {
                    let message = format!(
                        "`{field}` differs from the one at {}",
                        self.place(&known.span)
                    );
                    let problem = self.problem(&value.span, message);
                    self.report(problem);
                }
            }
        }
        first.map(|first| first.value)
    }

    fn defaults(&mut self, files: &[File]) -> Defaults {
        fn of<'a, T: Clone + 'a>(
            files: &'a [File],
            field: impl Fn(&RawDefaults) -> &Option<At<T>> + 'a,
        ) -> impl Iterator<Item = At<T>> + 'a {
            files
                .iter()
                .filter_map(move |file| field(&file.defaults).clone())
        }
        let closed = Defaults::default();
        let action = self.once("action", of(files, |defaults| &defaults.action));
        let unreadable = self.once("unreadable", of(files, |defaults| &defaults.unreadable));
        let audit_failure = self.once(
            "audit_failure",
            of(files, |defaults| &defaults.audit_failure),
        );
        let mode = self.once("mode", of(files, |defaults| &defaults.mode));
        let search_path = self.once("search_path", of(files, |defaults| &defaults.search_path));
        let sound = !self.problems.iter().any(|problem| problem.fatal);
        if sound && action.is_none() && !files.is_empty() {
            let problem = self
                .problem(
                    &Span::default(),
                    "`[defaults] action` is not said, so that it is `deny`",
                )
                .expected("`allow` or `deny`")
                .warning();
            self.report(problem);
        }
        let defaults = Defaults {
            action: action.unwrap_or(closed.action),
            unreadable: unreadable.unwrap_or(closed.unreadable),
            audit_failure: audit_failure.unwrap_or(closed.audit_failure),
            mode: mode.unwrap_or(closed.mode),
            search_path: search_path.map(|schemas: Vec<Box<str>>| SearchPath {
                schemas: schemas.into(),
                catalog: Some("pg_catalog"),
            }),
        };
        let place = files
            .iter()
            .find_map(|file| file.defaults.unreadable.as_ref());
        if let Some(place) = place
            && defaults.action == Action::Deny
            && defaults.unreadable < Action::Deny
        {
            let problem = self
                .problem(
                    &place.span,
                    "statements that can't be read pass, although others need an allow rule",
                )
                .expected("`deny`")
                .warning();
            self.report(problem);
        }
        defaults
    }

    fn listeners(&mut self, files: &[File]) -> Vec<(Box<str>, Mode)> {
        let mut modes: Vec<(Box<str>, Mode)> = Vec::new();
        for listener in files.iter().flat_map(|file| &file.listeners) {
            let (name, mode) = &listener.value;
            if modes
                .iter()
                .any(|(known, other)| known == name && other != mode)
            {
                let message = format!("the listener `{name}` has two modes");
                let problem = self.problem(&listener.span, message);
                self.report(problem);
            }
            modes.push((name.clone(), *mode));
        }
        modes
    }

    fn tests(&mut self, files: &[File], rules: &[Rule]) -> Vec<Case> {
        let mut cases = Vec::new();
        for raw in files.iter().flat_map(|file| &file.tests) {
            if let Some(name) = &raw.rule
                && !rules.iter().any(|rule| *rule.id == *name.value)
            {
                let problem = self
                    .problem(&name.span, format!("there is no rule `{}`", name.value))
                    .one_of(&name.value, rules.iter().map(|rule| &*rule.id));
                self.report(problem);
            }
            cases.push(Case {
                span: raw.span.clone(),
                title: raw.title.clone(),
                sql: raw.sql.clone(),
                subjects: raw.subjects.clone(),
                at: raw.at,
                channel: raw.channel,
                transaction: raw.transaction,
                parameters: raw.parameters.clone(),
                before: raw.before.clone(),
                action: raw.action,
                rule: raw.rule.as_ref().map(|rule| rule.value.clone()),
            });
        }
        cases
    }
}

/// SHA-256 over the texts, each with its length in front.
fn hash(sources: &[Source]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for source in sources {
        hasher.update(
            u64::try_from(source.text.len())
                .unwrap_or(u64::MAX)
                .to_be_bytes(),
        );
        hasher.update(source.text.as_bytes());
    }
    hasher.finalize().into()
}

fn answers() -> Answers {
    let text = |message: &str, detail: &str| {
        Arc::new(RefusalText {
            sqlstate: SQLSTATE_REFUSED,
            message: message.into(),
            detail: detail.into(),
            rule: None,
            terminate: false,
        })
    };
    Answers {
        default: text(
            "no rule of the policy allows this statement",
            "Default: deny",
        ),
        replication: text(
            "replication needs a rule that allows it by name",
            "Default: verb replication is denied",
        ),
        function_call: text(
            "function calls of the protocol need a rule that allows them by name; use a SQL statement",
            "Default: verb function-call is denied",
        ),
        stale: text(
            "the policy changed while this statement was judged",
            "Default: deny",
        ),
        unreadable: Unreadable::ALL
            .iter()
            .map(|reason| {
                let message = format!("this statement cannot be read exactly ({reason})");
                (
                    *reason,
                    text(&message, &format!("Default: unreadable ({reason})")),
                )
            })
            .collect(),
    }
}
