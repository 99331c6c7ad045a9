//! sqlward, its peers, a byte-blind forwarder and no proxy at all, side by side in one run.
//!
//! Rounds are interleaved, so that a change of the machine's mood meets all of them alike; figures
//! are medians. What the proxy costs is its own CPU time (utime + stime) per query, the figure to
//! compare where client, proxy and server share the processors. `SHORT=1` is a smoke run.
//!
//! `side-by-side [postgres|mariadb-10.11|mariadb-11.8|mysql-9] [TARGET…]`: PostgreSQL without an
//! engine, all targets without a name. Targets are direct, forwarder, sqlward, pgbouncer or
//! haproxy, and sqlward-no-nice (PostgreSQL): sqlward where it may not raise its workers' priority.

mod mysql;
mod postgres;

use std::fmt::Write as _;
use std::fs;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use sqlward_tests::mysql::Product;
use sqlward_tests::paths::{profile_dir, repository};
use sqlward_tests::ports;
use sqlward_tests::process::{Process, until};

fn main() -> Result<()> {
    let plan = Plan::read();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.split_first() {
        Some((engine, rest)) if engine == "postgres" => postgres::bench(&plan, rest),
        Some((engine, rest)) => match Product::named(engine) {
            Some(product) => mysql::bench(product, &plan, rest),
            None => postgres::bench(&plan, &arguments),
        },
        None => postgres::bench(&plan, &[]),
    }
}

/// Those of `all` that are asked for, or all of them.
fn chosen(all: &[&'static str], asked: &[String]) -> Result<Vec<&'static str>> {
    for name in asked {
        ensure!(
            all.contains(&name.as_str()),
            "unknown target `{name}`: {all:?}"
        );
    }
    let wanted = |name: &&&'static str| asked.is_empty() || asked.iter().any(|one| one == **name);
    Ok(all.iter().filter(wanted).copied().collect())
}

struct Plan {
    short: bool,
    rounds: usize,
    seconds: u64,
    scale: u32,
}

impl Plan {
    fn read() -> Self {
        let short = std::env::var("SHORT").is_ok_and(|text| !text.is_empty());
        if short {
            Self {
                short,
                rounds: 1,
                seconds: 1,
                scale: 1,
            }
        } else {
            // Scale 10 is one million accounts.
            Self {
                short,
                rounds: 3,
                seconds: 4,
                scale: 10,
            }
        }
    }
}

/// Something to connect to, and the process whose CPU time it costs.
struct Target {
    name: &'static str,
    port: u16,
    process: Option<Process>,
}

impl Target {
    fn direct(port: u16) -> Self {
        Self {
            name: "direct",
            port,
            process: None,
        }
    }

    fn started(
        name: &'static str,
        port: u16,
        command: Command,
        answers: impl Fn(u16) -> Result<bool>,
    ) -> Result<Self> {
        let mut process = Process::start(name, command)?;
        until("it answers", Duration::from_secs(20), || {
            if let Some(status) = process.ended()? {
                bail!("{name} ended, {status}:\n{}", process.output());
            }
            Ok(answers(port)?.then_some(()))
        })
        .with_context(|| process.output())?;
        Ok(Self {
            name,
            port,
            process: Some(process),
        })
    }

    fn forwarder(upstream: u16, answers: impl Fn(u16) -> Result<bool>) -> Result<Self> {
        let port = ports::free()?;
        let mut command = Command::new(profile_dir()?.join("blind-forwarder"));
        command.args([port.to_string(), upstream.to_string()]);
        Self::started("byte-blind forwarder", port, command, answers)
    }

    /// CPU time of the process so far, all threads, user and system.
    fn cpu(&self) -> Result<Duration> {
        let Some(process) = &self.process else {
            return Ok(Duration::ZERO);
        };
        let stat = fs::read_to_string(format!("/proc/{}/stat", process.id()))?;
        // The fields behind the name in parentheses: utime and stime are the 12th and 13th.
        let (_, fields) = stat.rsplit_once(')').context("no name in stat")?;
        let mut fields = fields.split_whitespace().skip(11);
        let mut next = || -> Result<u64> { Ok(fields.next().context("short stat")?.parse()?) };
        let ticks = next()? + next()?;
        Ok(Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND))
    }
}

/// One measurement: how fast, and what the proxy spent per unit.
#[derive(Clone, Copy, Default)]
struct Sample {
    rate: f64,
    micros_per_unit: f64,
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// Interleaved rounds of one measurement over all targets: medians per target.
fn measure(
    targets: &[Target],
    rounds: usize,
    mut one: impl FnMut(&Target) -> Result<Sample>,
) -> Result<Vec<Sample>> {
    let mut samples: Vec<Vec<Sample>> = targets.iter().map(|_| Vec::new()).collect();
    for _ in 0..rounds {
        for (target, list) in targets.iter().zip(&mut samples) {
            list.push(one(target).with_context(|| target.name)?);
        }
    }
    Ok(samples
        .into_iter()
        .map(|list| Sample {
            rate: median(list.iter().map(|sample| sample.rate).collect()),
            micros_per_unit: median(list.iter().map(|sample| sample.micros_per_unit).collect()),
        })
        .collect())
}

fn figure(report: &str, label: &str) -> Result<f64> {
    let line = report
        .lines()
        .find_map(|line| line.trim().strip_prefix(label));
    let line = line.with_context(|| format!("no `{label}` in\n{report}"))?;
    // A time carries its unit.
    let word = line
        .split_whitespace()
        .map(|word| word.trim_end_matches('s'))
        .find(|word| word.parse::<f64>().is_ok());
    Ok(word
        .with_context(|| format!("no figure in `{line}`"))?
        .parse()?)
}

fn row(name: &str, samples: &[Sample], reference: &[f64]) -> String {
    let mut line = format!("| {name} |");
    for (sample, reference) in samples.iter().zip(reference) {
        let ratio = sample.rate / reference.max(f64::MIN_POSITIVE);
        let _infallible = write!(line, " {ratio:.2} · {:.1} |", sample.micros_per_unit);
    }
    line.push('\n');
    line
}

/// One table: a line per target, a column per measurement.
fn table(targets: &[Target], columns: &[(String, Vec<Sample>)]) -> String {
    let mut text = String::from("| proxy |");
    let mut rule = String::from("|---|");
    for (name, _) in columns {
        let _infallible = write!(text, " {name} |");
        rule.push_str("---|");
    }
    let first = |samples: &[Sample]| samples.first().copied().unwrap_or_default().rate;
    let reference: Vec<f64> = columns.iter().map(|(_, samples)| first(samples)).collect();
    let _infallible = writeln!(text, "\n{rule}");
    for (number, target) in targets.iter().enumerate() {
        let samples: Vec<Sample> = columns
            .iter()
            .filter_map(|(_, list)| list.get(number).copied())
            .collect();
        text.push_str(&row(target.name, &samples, &reference));
    }
    text
}

/// Puts the tables between the marks of benches/README.md.
fn write_readme(mark: &str, text: &str) -> Result<()> {
    let path = repository().join("benches/README.md");
    let readme = fs::read_to_string(&path)?;
    let (begin, end) = (
        format!("<!-- {mark}: begin -->"),
        format!("<!-- {mark}: end -->"),
    );
    let (head, rest) = readme
        .split_once(&begin)
        .context("no begin mark in benches/README.md")?;
    let (_, tail) = rest
        .split_once(&end)
        .context("no end mark in benches/README.md")?;
    fs::write(&path, format!("{head}{begin}\n{text}{end}{tail}"))?;
    Ok(())
}

const TICKS_PER_SECOND: u64 = 100;
