//! Rules, the changes that overlays make to them, and what histories count.

use std::sync::Arc;

use hashbrown::HashMap;

use super::Compiler;
use super::lint::mark_windows;
use crate::decision::{RefusalText, SQLSTATE_REFUSED};
use crate::file::{Counted, File, RawChange, RawRule, Resolver};
use crate::policy::Defaults;
use crate::problem::Span;
use crate::rule::clause::{Clause, Owner, clauses};
use crate::rule::history::Counter;
use crate::rule::moment::MomentTest;
use crate::rule::overlay::{Overlay, Period, Periods, Side};
use crate::rule::window::Window;
use crate::rule::{Condition, Rule, Test, When};
use crate::vocabulary::Action;

/// The rules of a policy and what belongs to them.
pub(super) struct Ruled {
    pub(super) rules: Vec<Rule>,
    /// The counters' first.
    pub(super) clauses: Vec<Clause>,
    pub(super) counters: Vec<Counter>,
    pub(super) overlays: Vec<Overlay>,
}

/// A rule as it is at some time.
struct Version<'f> {
    change: Option<&'f RawChange>,
    overlay: Option<usize>,
    periods: Option<Arc<Periods>>,
}

/// What overlays do to rules.
struct Changes<'f> {
    overlays: Vec<Overlay>,
    /// The changes of each rule, by overlay.
    by_rule: HashMap<&'f str, Vec<(usize, &'f RawChange)>>,
}

/// The most that sessions may be made to count: times to keep in each.
const MAX_KEPT: u32 = 1 << 16;

impl Compiler {
    pub(super) fn rules(
        &mut self,
        files: &[File],
        windows: &[Window],
        defaults: &Defaults,
    ) -> Ruled {
        let changes = self.changes(files);
        let mut rules: Vec<Rule> = Vec::new();
        let (mut all, mut counted) = (Vec::new(), Vec::new());
        let mut known: HashMap<&str, &Span> = HashMap::new();
        let mut used = vec![false; windows.len()];
        let mut overlay = 0;
        for file in files {
            let own = file.overlay.as_ref().map(|_| overlay);
            overlay += usize::from(own.is_some());
            for raw in &file.rules {
                if let Some(first) = known.get(&*raw.id.value) {
                    let message = format!(
                        "the rule `{}` is defined twice, first at {}",
                        raw.id.value,
                        self.place(first)
                    );
                    let problem = self.problem(&raw.id.span, message);
                    self.report(problem);
                    continue;
                }
                known.insert(&raw.id.value, &raw.id.span);
                let when = self.when(raw, windows, &mut counted);
                mark_windows(&when, &mut used);
                self.suspicions(raw, &when, defaults);
                self.recorded_less(raw);
                self.idle_changes(raw, &changes);
                for version in versions(raw, own, &changes) {
                    let built = build(raw, when.clone(), &version);
                    let when = in_force(&built);
                    match clauses(Owner::Rule(rules.len()), &when, built.action) {
                        Ok(found) => all.extend(found),
                        Err(error) => {
                            let problem = self.problem(&raw.when.span, error.to_string());
                            self.report(problem);
                        }
                    }
                    rules.push(built);
                }
            }
        }
        self.unknown_changes(&known, &changes);
        self.shadowed(&rules, files);
        let counters = self.count(counted, &mut all, &mut used);
        self.unused(windows, &used, files);
        rank(&mut rules);
        Ruled {
            rules,
            clauses: all,
            counters,
            overlays: changes.overlays,
        }
    }

    fn when(&mut self, raw: &RawRule, windows: &[Window], counted: &mut Vec<Counted>) -> When {
        let mut resolver = Resolver {
            windows,
            unknown: Vec::new(),
            counted,
        };
        let when = raw.when.value.resolve(&mut resolver);
        for name in resolver.unknown {
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

    /// Puts the clauses of counters before those of rules.
    fn count(
        &mut self,
        counted: Vec<Counted>,
        all: &mut Vec<Clause>,
        used: &mut [bool],
    ) -> Vec<Counter> {
        let mut first = Vec::new();
        let mut kept = 0u32;
        for (number, counted) in (0u16..).zip(&counted) {
            mark_windows(&counted.when, used);
            if counted.counter.per.is_empty() {
                kept = kept.saturating_add(counted.counter.keep);
            }
            let complaint = match clauses(Owner::Counter(number), &counted.when, Action::Alert) {
                Ok(found) => {
                    first.extend(found);
                    (kept > MAX_KEPT).then(|| {
                        format!("histories count to {kept} in all, and at most {MAX_KEPT} may be kept in a session")
                    })
                }
                Err(error) => Some(error.to_string()),
            };
            if let Some(complaint) = complaint {
                let problem = self.problem(&counted.span, complaint);
                self.report(problem);
            }
        }
        first.append(all);
        *all = first;
        counted.into_iter().map(|counted| counted.counter).collect()
    }

    fn changes<'f>(&mut self, files: &'f [File]) -> Changes<'f> {
        let mut changes = Changes {
            overlays: Vec::new(),
            by_rule: HashMap::new(),
        };
        let overlaid = files.iter().filter_map(|f| Some((f, f.overlay.as_ref()?)));
        for (file, raw) in overlaid {
            let number = changes.overlays.len();
            if changes
                .overlays
                .iter()
                .any(|known| *known.id == *raw.id.value)
            {
                let message = format!("the overlay `{}` is defined twice", raw.id.value);
                let problem = self.problem(&raw.id.span, message);
                self.report(problem);
            }
            if file.changes.is_empty() && file.rules.is_empty() {
                let problem = self
                    .problem(&raw.id.span, "this overlay does nothing")
                    .expected("`[[change]]` or `[[rule]]`");
                self.report(problem);
            }
            changes.overlays.push(Overlay {
                id: raw.id.value.as_str().into(),
                owner: raw.owner.clone(),
                reason: raw.reason.clone(),
                period: raw.period,
            });
            for change in &file.changes {
                let others = changes.by_rule.entry(&*change.rule.value).or_default();
                let clash = others.iter().find_map(|(other, _)| {
                    let other = changes.overlays.get(*other)?;
                    other.period.meets(&raw.period).then(|| other.id.clone())
                });
                others.push((number, change));
                if let Some(other) = clash {
                    let message = format!(
                        "`{}` is changed by `{other}` at the same time",
                        change.rule.value
                    );
                    let problem = self
                        .problem(&change.rule.span, message)
                        .expected("one change of a rule at a time");
                    self.report(problem);
                }
            }
        }
        changes
    }

    /// A change to what the rule is anyway does nothing.
    fn idle_changes(&mut self, raw: &RawRule, changes: &Changes<'_>) {
        let list = changes.by_rule.get(&*raw.id.value);
        for (_, change) in list.into_iter().flatten() {
            let alike = change.action.is_none_or(|action| action == raw.action)
                && change
                    .severity
                    .is_none_or(|severity| severity == raw.severity)
                && change.mode.is_none_or(|mode| raw.mode == Some(mode));
            if alike {
                let message = format!("this leaves `{}` as it is", raw.id.value);
                let problem = self
                    .problem(&change.rule.span, message)
                    .expected("another action, mode or severity than the rule has");
                self.report(problem);
            }
        }
    }

    fn unknown_changes(&mut self, known: &HashMap<&str, &Span>, changes: &Changes<'_>) {
        let unknown = changes.by_rule.iter();
        for (id, list) in unknown.filter(|(id, _)| !known.contains_key(*id)) {
            for (_, change) in list {
                let problem = self
                    .problem(&change.rule.span, format!("there is no rule `{id}`"))
                    .one_of(id, known.keys().copied());
                self.report(problem);
            }
        }
    }
}

/// What a rule is at which time.
fn versions<'f>(raw: &RawRule, own: Option<usize>, changes: &Changes<'f>) -> Vec<Version<'f>> {
    let period = |overlay: usize| {
        let overlay = changes.overlays.get(overlay);
        overlay.map_or(Period::ALWAYS, |overlay| overlay.period)
    };
    let inside = |period: Period| {
        (period != Period::ALWAYS).then(|| {
            Arc::new(Periods {
                list: vec![period],
                side: Side::Inside,
            })
        })
    };
    let list = changes.by_rule.get(&*raw.id.value);
    let Some(list) = list.filter(|_| own.is_none()) else {
        return vec![Version {
            change: None,
            overlay: own,
            periods: own.and_then(|overlay| inside(period(overlay))),
        }];
    };
    let periods: Vec<Period> = list.iter().map(|(overlay, _)| period(*overlay)).collect();
    let mut versions = Vec::new();
    if !periods.contains(&Period::ALWAYS) {
        versions.push(Version {
            change: None,
            overlay: None,
            periods: Some(Arc::new(Periods {
                list: periods,
                side: Side::Outside,
            })),
        });
    }
    versions.extend(list.iter().map(|(overlay, change)| Version {
        change: Some(*change),
        overlay: Some(*overlay),
        periods: inside(period(*overlay)),
    }));
    versions
}

/// A rule's conditions and when it is in force.
fn in_force(rule: &Rule) -> When {
    let mut when = rule.when.clone();
    if let Some(periods) = &rule.periods {
        let test = Test::Moment(MomentTest::Period(Arc::clone(periods)));
        when.conditions.push(Condition::Test(Arc::new(test)));
    }
    when
}

fn build(raw: &RawRule, when: When, version: &Version<'_>) -> Rule {
    let change = version.change;
    let action = change
        .and_then(|change| change.action)
        .unwrap_or(raw.action);
    let title = raw.title.en.clone().or_else(|| raw.title.zh.clone());
    let message = raw.message.clone().or(title).unwrap_or_else(|| {
        format!("the policy refuses this statement (rule {})", raw.id.value).into()
    });
    let detail = format!("Rule: {}", raw.id.value);
    Rule {
        id: raw.id.value.as_str().into(),
        severity: change
            .and_then(|change| change.severity)
            .unwrap_or(raw.severity),
        title: raw.title.clone(),
        tags: raw.tags.clone(),
        specificity: when.size(),
        when,
        action,
        mode: change.and_then(|change| change.mode).or(raw.mode),
        message: raw.message.clone(),
        record: raw.record.as_ref().map(|record| record.value),
        rank: 0,
        overlay: version.overlay,
        periods: version.periods.clone(),
        span: raw.id.span.clone(),
        refusal: Arc::new(RefusalText {
            sqlstate: SQLSTATE_REFUSED,
            message,
            detail: detail.into(),
            rule: Some(raw.id.value.as_str().into()),
            terminate: action == Action::Terminate,
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
