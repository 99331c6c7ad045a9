//! Judges corpora of attacks and of harmless statements, and says per class what is stopped, without and with learning.
//!
//! ```text
//! cargo run --release -p sqlward-policy --example corpora -- FOLDER POLICY… [--show KIND] [--limits]
//! ```
//!
//! The folder has the files `pg-attack`, `pg-benign`, `mysql-attack`, `mysql-benign` (`.jsonl`, lines of `id`, `sql`, `label`,
//! `kind` and, for what the server refuses, `"parses": false`); texts for MySQL are read as MariaDB's, too. *Without learning*
//! the policies alone decide. *With learning* a statement is also stopped if its fingerprint is not one of the harmless
//! corpus, and is passed if it is and only detections spoke against it. `--show` lists what was decided wrongly.
//! `--limits` makes the run fail where the figures are worse than what this project promises.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use jiff::Timestamp;
use serde::Deserialize;
use sqlward_policy::rule::moment::Circumstances;
use sqlward_policy::statement::{ANALYSIS_STACK_BYTES, Facts, LexState, Limits, Reader, analyse};
use sqlward_policy::vocabulary::{Action, Dialect};
use sqlward_policy::{Cause, Policy, Request, Subject, decide, load};

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> ExitCode {
    let work = std::thread::Builder::new()
        .stack_size(ANALYSIS_STACK_BYTES)
        .spawn(run);
    let outcome = work.map(|thread| thread.join());
    match outcome {
        Ok(Ok(Ok(true))) => ExitCode::SUCCESS,
        Ok(Ok(Ok(false))) => ExitCode::FAILURE,
        Ok(Ok(Err(error))) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
        Ok(Err(_)) | Err(_) => ExitCode::from(2),
    }
}

struct Options {
    folder: PathBuf,
    policies: Vec<PathBuf>,
    show: Option<String>,
    limits: bool,
}

fn options() -> Result<Options, Failure> {
    let mut paths = Vec::new();
    let (mut show, mut limits) = (None, false);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--show" => show = Some(arguments.next().ok_or("--show needs a kind, or `all`")?),
            "--limits" => limits = true,
            _ => paths.push(PathBuf::from(argument)),
        }
    }
    if paths.len() < 2 {
        return Err("usage: corpora FOLDER POLICY… [--show KIND] [--limits]".into());
    }
    let policies = paths.split_off(1);
    let folder = paths.pop().ok_or("no folder")?;
    Ok(Options {
        folder,
        policies,
        show,
        limits,
    })
}

/// A line of a corpus.
#[derive(Deserialize)]
struct Line {
    sql: String,
    kind: String,
    #[serde(default = "yes")]
    parses: bool,
}

const fn yes() -> bool {
    true
}

/// What became of a statement.
struct Judged {
    /// The reason to stop it.
    stopped: Option<String>,
    /// Whether detections are the only reason.
    detected: bool,
    fingerprint: [u8; 16],
    /// What the detectors saw.
    seen: String,
}

/// The figures of one kind of statements.
#[derive(Default)]
struct Figure {
    all: usize,
    stopped: usize,
    learnt: usize,
    reasons: BTreeMap<String, usize>,
}

fn run() -> Result<bool, Failure> {
    let options = options()?;
    let policy = load(&options.policies).map_err(|problems| problems.to_string())?;
    let mut held = true;
    for (name, dialects) in [
        ("pg", &[Dialect::Postgres][..]),
        ("mysql", &[Dialect::Mysql, Dialect::Mariadb][..]),
    ] {
        let benign = lines(&options.folder.join(format!("{name}-benign.jsonl")))?;
        let attacks = lines(&options.folder.join(format!("{name}-attack.jsonl")))?;
        for dialect in dialects {
            held &= report(&options, &policy, *dialect, &benign, &attacks);
        }
    }
    Ok(held || !options.limits)
}

fn lines(path: &Path) -> Result<Vec<Line>, Failure> {
    let text =
        std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let lines = text.lines().filter(|line| !line.is_empty());
    Ok(lines.map(serde_json::from_str).collect::<Result<_, _>>()?)
}

/// Kinds that are there for exactness: no application sends them.
fn is_exotic(kind: &str) -> bool {
    matches!(kind, "regress" | "grammar")
}

/// Rules that speak of what a harmless corpus honestly does: it empties and drops its tables, and grants.
fn is_honest(reason: &str) -> bool {
    HONEST.contains(&reason)
}

const HONEST: &[&str] = &[
    "unbounded-write",
    "drop-relation",
    "drop-container",
    "truncate",
    "sleep",
];

fn report(
    options: &Options,
    policy: &Policy,
    dialect: Dialect,
    benign: &[Line],
    attacks: &[Line],
) -> bool {
    let mut judge = Judge::new(policy, dialect);
    let harmless: Vec<Judged> = benign.iter().map(|line| judge.judge(&line.sql)).collect();
    let learnt: HashSet<[u8; 16]> = benign
        .iter()
        .zip(&harmless)
        .filter(|(line, _)| !is_exotic(&line.kind))
        .map(|(_, judged)| judged.fingerprint)
        .collect();
    let show = |kind: &str| {
        let wanted = options.show.as_deref();
        wanted.is_some_and(|wanted| wanted == "all" || kind.starts_with(wanted))
    };

    let mut figures: BTreeMap<String, Figure> = BTreeMap::new();
    let (mut wrong, mut wrong_learnt, mut judged_all) = (0, 0, 0);
    for (line, judged) in benign.iter().zip(&harmless) {
        let figure = figures.entry(line.kind.clone()).or_default();
        figure.all += 1;
        let counts = !is_exotic(&line.kind);
        judged_all += usize::from(counts);
        if let Some(reason) = &judged.stopped {
            figure.stopped += 1;
            *figure.reasons.entry(reason.clone()).or_default() += 1;
            let honest = is_honest(reason);
            figure.learnt += usize::from(!judged.detected);
            wrong += usize::from(counts && !honest);
            wrong_learnt += usize::from(counts && !honest && !judged.detected);
            if show(&line.kind) && !honest {
                println!(
                    "    DENIED {} [{reason} {}]: {}",
                    line.kind,
                    judged.seen,
                    line.sql.escape_debug()
                );
            }
        }
    }
    println!(
        "\n== {dialect}: harmless statements, and how many are denied without and with learning"
    );
    print(&figures);
    println!(
        "   of {judged_all} that applications send, {wrong} denied without learning, {wrong_learnt} with, beside honest drops and unbounded writes"
    );
    let mut held = wrong * 10_000 <= judged_all.max(10_000) && wrong_learnt == 0;

    let mut figures: BTreeMap<String, Figure> = BTreeMap::new();
    let mut total = Figure::default();
    for line in attacks {
        let judged = judge.judge(&line.sql);
        let kind = if line.parses {
            line.kind.clone()
        } else {
            format!("{} (probes that fail)", line.kind)
        };
        let known = learnt.contains(&judged.fingerprint);
        let figure = figures.entry(kind.clone()).or_default();
        for figure in [figure, &mut total] {
            figure.all += 1;
            figure.stopped += usize::from(judged.stopped.is_some());
            figure.learnt += usize::from(judged.stopped.is_some() || !known);
            *figure
                .reasons
                .entry(judged.stopped.clone().unwrap_or_else(|| "(passed)".into()))
                .or_default() += 1;
        }
        if show(&kind) && judged.stopped.is_none() {
            println!(
                "    PASSED {kind}{}: {}",
                if known { " (known)" } else { "" },
                line.sql.escape_debug()
            );
        }
    }
    println!("\n== {dialect}: attacks, and how many are stopped without and with learning");
    print(&figures);
    let share = |part: usize| part as f64 * 100.0 / total.all.max(1) as f64;
    println!(
        "   all {} attacks: {:.2} % stopped without learning, {:.2} % with",
        total.all,
        share(total.stopped),
        share(total.learnt)
    );
    held &= share(total.stopped) >= 95.0 && share(total.learnt) >= 99.0;
    held
}

fn print(figures: &BTreeMap<String, Figure>) {
    for (kind, figure) in figures {
        let reasons: Vec<String> = figure
            .reasons
            .iter()
            .map(|(reason, count)| format!("{reason} {count}"))
            .collect();
        println!(
            "{kind:42} {:6} {:6} {:6}   {}",
            figure.all,
            figure.stopped,
            figure.learnt,
            reasons.join(", ")
        );
    }
}

/// One session's eyes.
struct Judge<'p> {
    policy: &'p Policy,
    reader: Reader,
    lex: LexState,
    standing: sqlward_policy::Standing,
}

impl<'p> Judge<'p> {
    fn new(policy: &'p Policy, dialect: Dialect) -> Self {
        let subject = Subject {
            dialect,
            server_version: Some(sqlward_policy::ServerVersion::NEWEST),
            user: "app".into(),
            role: Some("app".into()),
            database: "shop".into(),
            ..Subject::default()
        };
        Judge {
            policy,
            reader: Reader::new(64 << 20, Limits::default()),
            lex: match LexState::of_dialect(dialect) {
                LexState::Mysql(lex) => LexState::Mysql(sqlward_policy::statement::MysqlLex {
                    multi_statements: true,
                    ..lex
                }),
                postgres => postgres,
            },
            standing: policy.standing(&subject),
        }
    }

    fn judge(&mut self, sql: &str) -> Judged {
        let recalled = self.reader.recall(sql.as_bytes(), &self.lex).known;
        let known = match recalled {
            Some(known) => known,
            None => {
                let analysis = analyse(sql.as_bytes(), &self.lex, self.reader.limits());
                self.reader.remember(sql.as_bytes(), &self.lex, analysis)
            }
        };
        let decision = decide(
            self.policy,
            &Request {
                statement: &known,
                standing: &self.standing,
                now: NOW,
                circumstances: Circumstances::default(),
                also: &[],
                unreadable_override: None,
            },
        );
        let refused = matches!(decision.judged, Action::Deny | Action::Terminate);
        let stopped = refused.then(|| match decision.cause {
            Cause::Rule(index) => self
                .policy
                .rule(index)
                .map_or_else(String::new, |rule| rule.id.to_string()),
            Cause::Unreadable(reason) => format!("unreadable: {reason}"),
            Cause::Default | Cause::NotNamed(_) | Cause::Stale | Cause::Blocked => "default".into(),
        });
        let detected = decision
            .rules
            .iter()
            .filter_map(|index| self.policy.rule(*index))
            .filter(|rule| matches!(rule.action, Action::Deny | Action::Terminate))
            .all(|rule| rule.tags.iter().any(|tag| &**tag == "injection"));
        Judged {
            detected: refused && detected && matches!(decision.cause, Cause::Rule(_)),
            stopped,
            seen: seen(&known.analysis.facts),
            fingerprint: known.analysis.fingerprint.0,
        }
    }
}

/// What detectors saw, as a list.
fn seen(facts: &Facts) -> String {
    let detections = facts
        .statements
        .iter()
        .flat_map(|statement| &statement.detections);
    let seen =
        detections.map(|seen| format!("{}: {} at {:?}", seen.detector, seen.saw, seen.bytes));
    seen.collect::<Vec<_>>().join("; ")
}

/// A Monday noon.
const NOW: Timestamp = Timestamp::constant(1_767_614_400, 0);
