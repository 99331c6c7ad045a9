//! The server's account of a statement against sqlward's.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use sqlward_policy::statement::{Facts, LexState, Limits, analyse};
use sqlward_policy::vocabulary::{Access, ObjectKind};

use crate::grammar::{Kind, Statement, VIEWS};

/// What a server has locked for a statement, as `schema.table`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Locks {
    pub(crate) all: BTreeSet<String>,
    pub(crate) written: BTreeSet<String>,
    pub(crate) failed: Option<String>,
}

/// Compares and counts.
pub(crate) struct Ledger {
    lex: LexState,
    home: &'static str,
    wanted: usize,
    seen: usize,
    failed: usize,
    tables: usize,
    writes: usize,
    unreadable: Vec<String>,
    unreadable_count: usize,
    excess: Vec<String>,
    excess_count: usize,
    errors: Vec<String>,
    misses: Vec<String>,
    begun: Instant,
    told: Instant,
}

/// How many examples are kept.
const EXAMPLES: usize = 20;
/// How often it is said how far things are.
const PAUSE: Duration = Duration::from_secs(30);

impl Ledger {
    pub(crate) fn new(lex: LexState, home: &'static str, wanted: usize) -> Self {
        Self {
            lex,
            home,
            wanted,
            seen: 0,
            failed: 0,
            tables: 0,
            writes: 0,
            unreadable: Vec::new(),
            unreadable_count: 0,
            excess: Vec::new(),
            excess_count: 0,
            errors: Vec::new(),
            misses: Vec::new(),
            begun: Instant::now(),
            told: Instant::now(),
        }
    }

    /// Whether there have been enough; statements that the server rejects don't count.
    pub(crate) fn is_full(&self) -> bool {
        self.seen >= self.wanted
    }

    pub(crate) fn enter(&mut self, statement: &Statement, locks: &Locks) {
        let facts = analyse(statement.sql.as_bytes(), &self.lex, &Limits::default()).facts;
        if let Some(message) = &locks.failed {
            self.failed += 1;
            note(&mut self.errors, || format!("{message}: {}", statement.sql));
        } else {
            self.seen += 1;
        }
        if facts.unreadable.is_some() {
            if locks.failed.is_none() {
                self.unreadable_count += 1;
                note(&mut self.unreadable, || statement.sql.clone());
            }
            return;
        }
        let (named, changed) = self.named(&facts);
        let missing: Vec<&String> = locks.all.difference(&named).collect();
        let written = locks.written.iter().filter(|_| statement.exact);
        let claimed = statement.targets.iter().filter(|_| locks.failed.is_none());
        let unwritten: Vec<&String> = written
            .chain(claimed)
            .filter(|name| !changed.contains(*name))
            .collect();
        self.tables += locks.all.len();
        self.writes += locks.written.len();
        if !missing.is_empty() || !unwritten.is_empty() {
            self.misses.push(format!(
                "tables {missing:?}, writes {unwritten:?}: {}\n      named {named:?}, changed {changed:?}",
                statement.sql
            ));
        }
        let more = statement.kind == Kind::Plain && locks.failed.is_none();
        if more
            && !named
                .iter()
                .all(|name| locks.all.contains(name) || is_behind_view(name, self.home))
        {
            self.excess_count += 1;
            note(&mut self.excess, || format!("{named:?}: {}", statement.sql));
        }
        if self.told.elapsed() > PAUSE {
            self.told = Instant::now();
            println!("{}", self.line());
        }
    }

    /// The relations that the facts name, what stands behind views included, and those that they say are changed.
    fn named(&self, facts: &Facts) -> (BTreeSet<String>, BTreeSet<String>) {
        let (mut named, mut changed) = (BTreeSet::new(), BTreeSet::new());
        let objects = facts.statements.iter().flat_map(|one| &one.objects);
        for object in objects.filter(|object| object.kind == ObjectKind::Relation) {
            let schema = object.name.schema.as_deref().unwrap_or(self.home);
            let name = format!("{schema}.{}", object.name.name);
            if let Some((_, behind)) = VIEWS
                .iter()
                .find(|(view, _)| name == format!("{}.{view}", self.home))
            {
                named.extend(behind.iter().map(|table| format!("{}.{table}", self.home)));
            }
            if !matches!(
                object.access,
                Access::Read | Access::Refer | Access::Execute
            ) {
                changed.insert(name.clone());
            }
            named.insert(name);
        }
        (named, changed)
    }

    fn line(&self) -> String {
        format!(
            "{} statements of {} ({} more rejected by the server), {} tables and {} writes accounted for: {} missed; \
             {} unreadable, {} name more than the server locks; {} s",
            self.seen,
            self.wanted,
            self.failed,
            self.tables,
            self.writes,
            self.misses.len(),
            self.unreadable_count,
            self.excess_count,
            self.begun.elapsed().as_secs()
        )
    }

    /// The end: an error if anything was missed.
    pub(crate) fn close(self, name: &str) -> anyhow::Result<()> {
        println!("{name}: {}", self.line());
        let mut text = String::new();
        for (title, examples) in [
            ("unreadable", &self.unreadable),
            ("naming more", &self.excess),
            ("rejected", &self.errors),
        ] {
            for one in examples
                .iter()
                .take(if std::env::var_os("SQLWARD_EXAMPLES").is_some() {
                    EXAMPLES
                } else {
                    2
                })
            {
                writeln!(text, "  {title}: {one}")?;
            }
        }
        print!("{text}");
        let shown: Vec<&String> = self.misses.iter().take(EXAMPLES).collect();
        anyhow::ensure!(
            self.misses.is_empty(),
            "{name}: {} missed: {shown:#?}",
            self.misses.len()
        );
        // What is unreadable is not missed, but a generator that nobody can read would prove nothing.
        anyhow::ensure!(
            self.unreadable_count * 100 <= self.seen,
            "{name}: too much is unreadable"
        );
        anyhow::ensure!(
            self.failed <= 2 * self.seen,
            "{name}: the server rejects too much"
        );
        Ok(())
    }
}

fn note(examples: &mut Vec<String>, one: impl FnOnce() -> String) {
    if examples.len() < EXAMPLES {
        examples.push(one());
    }
}

/// Naming a view names what stands behind it here, whether the server had to look there or not.
fn is_behind_view(name: &str, home: &str) -> bool {
    VIEWS
        .iter()
        .flat_map(|(_, tables)| tables.iter())
        .any(|table| name == format!("{home}.{table}"))
}
