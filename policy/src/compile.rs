//! Files → policy, or everything that is wrong with them.

mod escalations;
mod lint;
mod load;
mod redact;

use std::sync::Arc;

use hashbrown::HashMap;
use sha2::{Digest, Sha256};

use self::lint::mark_windows;
pub use self::load::load;
use crate::decision::{RefusalText, SQLSTATE_REFUSED};
use crate::file::{At, File, RawDefaults, RawRule};
use crate::policy::{Answers, Defaults, Policy, SearchPath};
use crate::problem::{Problem, Problems, Source, Span};
use crate::rule::clause::{Clause, clauses};
use crate::rule::index::Index;
use crate::rule::window::Window;
use crate::rule::{Rule, When};
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
    let mut problems = Vec::new();
    let mut files = Vec::new();
    for (number, source) in sources.iter().enumerate() {
        let (file, found) = File::read(source, number);
        problems.extend(found);
        files.push(file);
    }
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
        let windows = self.windows(&files);
        let (rules, clauses) = self.rules(&files, &windows, &defaults);
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
            defaults,
            rules,
            windows,
            escalations,
            tests,
            warnings: Vec::new(),
            sources: Vec::new(),
            listener_modes,
            clauses,
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

    fn windows(&mut self, files: &[File]) -> Vec<Window> {
        let mut known: HashMap<Box<str>, Span> = HashMap::new();
        let mut windows = Vec::new();
        for window in files.iter().flat_map(|file| &file.windows) {
            if let Some(first) = known.get(&window.value.name) {
                let message = format!(
                    "the window `{}` is defined twice, first at {}",
                    window.value.name,
                    self.place(first)
                );
                let problem = self.problem(&window.span, message);
                self.report(problem);
                continue;
            }
            known.insert(window.value.name.clone(), window.span.clone());
            windows.push(window.value.clone());
        }
        windows
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

    fn rules(
        &mut self,
        files: &[File],
        windows: &[Window],
        defaults: &Defaults,
    ) -> (Vec<Rule>, Vec<Clause>) {
        let mut rules: Vec<Rule> = Vec::new();
        let mut all = Vec::new();
        let mut known: HashMap<String, Span> = HashMap::new();
        let mut used = vec![false; windows.len()];
        for raw in files.iter().flat_map(|file| &file.rules) {
            if let Some(first) = known.get(&raw.id.value) {
                let message = format!(
                    "the rule `{}` is defined twice, first at {}",
                    raw.id.value,
                    self.place(first)
                );
                let problem = self.problem(&raw.id.span, message);
                self.report(problem);
                continue;
            }
            known.insert(raw.id.value.clone(), raw.id.span.clone());
            let when = self.when(raw, windows);
            mark_windows(&when, &mut used);
            match clauses(rules.len(), &when, raw.action) {
                Ok(found) => all.extend(found),
                Err(error) => {
                    let problem = self.problem(&raw.when.span, error.to_string());
                    self.report(problem);
                }
            }
            self.suspicions(raw, &when, defaults);
            self.recorded_less(raw);
            rules.push(rule(raw, when));
        }
        self.shadowed(&rules, files);
        self.unused(windows, &used, files);
        rank(&mut rules);
        (rules, all)
    }

    fn when(&mut self, raw: &RawRule, windows: &[Window]) -> When {
        let mut unknown = Vec::new();
        let find = |name: &str| windows.iter().position(|window| *window.name == *name);
        let when = raw.when.value.resolve(&find, &mut unknown);
        for name in unknown {
            let problem = self
                .problem(
                    &name.span,
                    format!("there is no time window `{}`", name.value),
                )
                .one_of(&name.value, windows.iter().map(|window| &*window.name));
            let problem = if windows.is_empty() {
                problem.expected(format!("a section `[time.{}]`", name.value))
            } else {
                problem
            };
            self.report(problem);
        }
        when
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
                action: raw.action,
                rule: raw.rule.as_ref().map(|rule| rule.value.clone()),
            });
        }
        cases
    }
}

fn rule(raw: &RawRule, when: When) -> Rule {
    let title = raw.title.en.clone().or_else(|| raw.title.zh.clone());
    let message = raw.message.clone().or(title).unwrap_or_else(|| {
        format!("the policy refuses this statement (rule {})", raw.id.value).into()
    });
    let detail = format!("Rule: {}", raw.id.value);
    Rule {
        id: raw.id.value.as_str().into(),
        severity: raw.severity,
        title: raw.title.clone(),
        tags: raw.tags.clone(),
        specificity: when.size(),
        when,
        action: raw.action,
        mode: raw.mode,
        message: raw.message.clone(),
        record: raw.record.as_ref().map(|record| record.value),
        rank: 0,
        span: raw.id.span.clone(),
        refusal: Arc::new(RefusalText {
            sqlstate: SQLSTATE_REFUSED,
            message,
            detail: detail.into(),
            rule: Some(raw.id.value.as_str().into()),
            terminate: raw.action == Action::Terminate,
        }),
    }
}

/// Ranks rules by action, number of conditions, severity and order.
fn rank(rules: &mut [Rule]) {
    let mut order: Vec<usize> = (0..rules.len()).collect();
    order.sort_by_key(|position| {
        rules
            .get(*position)
            .map(|rule| std::cmp::Reverse((rule.action, rule.specificity, rule.severity)))
    });
    for (rank, position) in (0u32..).zip(order) {
        if let Some(rule) = rules.get_mut(position) {
            rule.rank = rank;
        }
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
