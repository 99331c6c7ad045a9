//! PostgreSQL's own regression, isolation and libpq_pipeline suites through sqlward, and the
//! audit of those runs against the server's own record; MariaDB's own suite. See `conformance/run.sh`.
//!
//! `conformance [--direct|--blind|--wire] [--short] [SUITE…]`; `--blind` runs MariaDB's suite through
//! a byte-blind forwarder, `--wire` PostgreSQL's through the protocol core alone, without policy and
//! audit.

mod mtr;

use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use sqlward_tests::oracle;
use sqlward_tests::paths::{postgres_program, profile_dir, repository};
use sqlward_tests::ports;
use sqlward_tests::process::{Process, until};
use sqlward_tests::proxy::{self, Policy, Proxy};
use sqlward_tests::server::{ADMIN, Options, Server, as_server_user, server_user};
use tempfile::TempDir;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Direct,
    Blind,
    Wire,
    Sqlward,
}

impl Way {
    fn shown(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Blind => "through a byte-blind forwarder",
            Self::Wire => "through the protocol core",
            Self::Sqlward => "through sqlward",
        }
    }
}

struct Arguments {
    way: Way,
    short: bool,
    suites: Vec<String>,
}

impl Arguments {
    fn read() -> Result<Self> {
        let mut read = Self {
            way: Way::Sqlward,
            short: false,
            suites: Vec::new(),
        };
        for argument in std::env::args().skip(1) {
            match argument.as_str() {
                "--direct" => read.way = Way::Direct,
                "--blind" => read.way = Way::Blind,
                "--wire" => read.way = Way::Wire,
                "--short" => read.short = true,
                "regress" | "isolation" | "libpq_pipeline" => read.suites.push(argument),
                other if mtr::SUITES.iter().any(|suite| suite.name == other) => {
                    read.suites.push(argument);
                }
                other => bail!("unknown argument `{other}`"),
            }
        }
        if read.suites.is_empty() {
            read.suites = ["regress", "isolation", "libpq_pipeline"]
                .map(str::to_owned)
                .to_vec();
        }
        Ok(read)
    }
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::read()?;
    let mut good = true;
    for suite in &arguments.suites {
        good &= match mtr::SUITES.iter().find(|one| one.name == suite) {
            Some(found) => mtr::run_suite(found, &arguments),
            None => run(suite, &source()?, &arguments),
        }
        .with_context(|| suite.clone())?;
    }
    Ok(if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The built source tree.
fn source() -> Result<PathBuf> {
    let folder = repository().join("build/conformance/source");
    let entries = fs::read_dir(&folder)
        .with_context(|| format!("{}: run `make conformance`", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.join("src/test/regress/pg_regress").is_file() {
            return Ok(path);
        }
    }
    bail!(
        "no built source in {}: run `make conformance`",
        folder.display()
    )
}

/// Runs one suite on a server of its own; whether all of it passed and the audit agrees.
fn run(suite: &str, tree: &Path, arguments: &Arguments) -> Result<bool> {
    let settings = [
        ("autovacuum", "on"),
        ("max_prepared_transactions", "2"),
        ("wal_level", "replica"),
        ("shared_buffers", "128MB"),
    ];
    let mut server = Server::start(&Options {
        record: arguments.way != Way::Direct,
        bare: true,
        settings: settings
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec(),
        ..Options::default()
    })?;
    let folder = workshop()?;
    let notes = folder.path().join("notes.json");
    let mut proxy = None;
    let mut forwarder = None;
    let port = match arguments.way {
        Way::Direct => server.port(),
        Way::Blind => bail!("--blind is for MariaDB's suite"),
        Way::Wire => {
            let port = ports::free()?;
            let mut command = Command::new(profile_dir()?.join("wire-forwarder"));
            command
                .args([port.to_string(), server.port().to_string()])
                .arg(&notes);
            forwarder = Some(Process::start("wire-forwarder", command)?);
            until("the forwarder listens", Duration::from_secs(10), || {
                Ok(TcpStream::connect(("127.0.0.1", port)).ok())
            })?;
            port
        }
        Way::Sqlward => {
            let options = proxy::Options {
                policy: Policy::RecordAll,
                ..proxy::Options::default()
            };
            proxy.insert(Proxy::start(&[&server], &options)?).port()
        }
    };
    let started = Instant::now();
    let tally = match suite {
        "regress" => regress(tree, folder.path(), port, arguments.short)?,
        "isolation" => isolation(tree, folder.path(), port, arguments.short)?,
        _ => libpq_pipeline(tree, folder.path(), port)?,
    };
    let seconds = started.elapsed().as_secs();
    println!(
        "{suite}, {}: {} of {} passed in {seconds} s",
        arguments.way.shown(),
        tally.passed,
        tally.total()
    );
    for name in &tally.failed {
        println!("  FAILED {name}");
    }
    let mut good = tally.failed.is_empty() && tally.passed > 0;
    let findings = if let Some(forwarder) = forwarder {
        print!("{}", forwarder.output());
        server.stop()?;
        let notes = fs::read_to_string(notes)?;
        let records = notes
            .lines()
            .map(serde_json::from_str)
            .collect::<serde_json::Result<Vec<_>>>()?;
        oracle::compare_records(&server.record_files()?, &records)?
    } else if let Some(mut proxy) = proxy {
        proxy.stop()?;
        server.stop()?;
        oracle::compare(&server.record_files()?, &proxy.data())?
    } else {
        return Ok(good);
    };
    println!(
        "{suite}, record against the server's own: {}",
        findings.summary()
    );
    ensure!(findings.statements > 0, "the server recorded nothing");
    good &= findings.differences.is_empty();
    keep(suite, folder.path(), &findings)?;
    Ok(good)
}

/// Leaves what is needed to look into a failure under build/conformance/results.
fn keep(suite: &str, folder: &Path, findings: &oracle::Findings) -> Result<()> {
    let results = results()?;
    let differences = findings.differences.join("\n");
    fs::write(results.join(format!("{suite}.audit.txt")), differences)?;
    let diffs = folder.join("out/regression.diffs");
    if diffs.is_file() {
        fs::copy(diffs, results.join(format!("{suite}.diffs")))?;
    }
    Ok(())
}

fn results() -> Result<PathBuf> {
    let results = repository().join("build/conformance/results");
    fs::create_dir_all(&results)?;
    Ok(results)
}

#[derive(Default)]
struct Tally {
    passed: usize,
    failed: Vec<String>,
}

impl Tally {
    fn total(&self) -> usize {
        self.passed + self.failed.len()
    }
}

/// A folder that belongs to the server's user: the server itself writes results there.
fn workshop() -> Result<TempDir> {
    let folder = tempfile::Builder::new()
        .prefix("sqlward-conformance-")
        .tempdir()?;
    give(folder.path())?;
    Ok(folder)
}

fn give(path: &Path) -> Result<()> {
    if let Some((uid, gid)) = server_user()? {
        chown(path, Some(uid), Some(gid))?;
    }
    Ok(())
}

/// A copy of a folder of the source tree that the server's user owns.
fn copied(from: &Path, to: &Path) -> Result<()> {
    sqlward_tests::process::run(Command::new("cp").arg("-a").arg(from).arg(to))?;
    if let Some((uid, gid)) = server_user()? {
        let mut command = Command::new("chown");
        sqlward_tests::process::run(command.args(["-R", &format!("{uid}:{gid}")]).arg(to))?;
    }
    Ok(())
}

fn bindir() -> PathBuf {
    postgres_program("psql")
        .parent()
        .map(Path::to_path_buf)
        .unwrap_or_default()
}

fn regress(tree: &Path, folder: &Path, port: u16, short: bool) -> Result<Tally> {
    let input = folder.join("regress");
    copied(&tree.join("src/test/regress"), &input)?;
    let mut command = as_server_user(input.join("pg_regress"))?;
    suite_options(&mut command, &input, folder, port)?;
    command
        .arg("--dlpath")
        .arg(&input)
        .args(["--dbname=regression", "--max-concurrent-tests=20"]);
    if short {
        command.args(SHORT_REGRESS);
    } else {
        command
            .arg("--schedule")
            .arg(input.join("parallel_schedule"));
    }
    tally(command)
}

fn isolation(tree: &Path, folder: &Path, port: u16, short: bool) -> Result<Tally> {
    let input = folder.join("isolation");
    copied(&tree.join("src/test/isolation"), &input)?;
    let mut command = as_server_user(input.join("pg_isolation_regress"))?;
    suite_options(&mut command, &input, folder, port)?;
    command.arg("--dbname=isolation_regression");
    if short {
        command.args(SHORT_ISOLATION);
    } else {
        command
            .arg("--schedule")
            .arg(input.join("isolation_schedule"));
    }
    tally(command)
}

fn suite_options(command: &mut Command, input: &Path, folder: &Path, port: u16) -> Result<()> {
    let output = folder.join("out");
    fs::create_dir(&output)?;
    give(&output)?;
    command
        .arg("--inputdir")
        .arg(input)
        .arg("--outputdir")
        .arg(&output);
    command
        .arg("--bindir")
        .arg(bindir())
        .arg("--host=127.0.0.1");
    command
        .arg(format!("--port={port}"))
        .arg(format!("--user={ADMIN}"));
    command
        .env("PGSSLMODE", "prefer")
        .env("PGCHANNELBINDING", "disable")
        .current_dir(input);
    Ok(())
}

/// Counts the lines `test NAME ... ok` and `... FAILED` that pg_regress prints.
fn tally(mut command: Command) -> Result<Tally> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let mut tally = Tally::default();
    for line in text.lines() {
        let Some((name, verdict)) = line.split_once(" ... ") else {
            continue;
        };
        let name = name.trim().trim_start_matches("test ").trim();
        match verdict.split_whitespace().next() {
            Some("ok") => tally.passed += 1,
            Some("FAILED" | "failed") => tally.failed.push(name.to_owned()),
            Some(_) | None => {}
        }
    }
    if tally.total() == 0 || (tally.failed.is_empty() && !output.status.success()) {
        bail!(
            "{command:?}, {}:\n{text}{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(tally)
}

/// Each test of libpq_pipeline; its trace, where the source holds one, must be the same as well.
fn libpq_pipeline(tree: &Path, folder: &Path, port: u16) -> Result<Tally> {
    let tests = tree.join("src/test/modules/libpq_pipeline");
    let program = tests.join("libpq_pipeline");
    let target = format!("host=127.0.0.1 port={port} user={ADMIN} dbname=postgres");
    let names = sqlward_tests::process::run(Command::new(&program).arg("tests"))?;
    let mut tally = Tally::default();
    for name in names.lines().map(str::trim).filter(|name| !name.is_empty()) {
        let made = folder.join(format!("{name}.trace"));
        let expected = tests.join("traces").join(format!("{name}.trace"));
        let mut command = Command::new(&program);
        command.arg("-r").arg("700").env("LC_ALL", "C");
        if expected.is_file() {
            command.arg("-t").arg(&made);
        }
        let output = command.args([name, &target]).output()?;
        let same = !expected.is_file() || fs::read(&made)? == fs::read(&expected)?;
        if output.status.success() && same {
            tally.passed += 1;
        } else {
            let why = if same { "" } else { " (trace differs)" };
            let text = String::from_utf8_lossy(&output.stderr).into_owned();
            tally.failed.push(format!(
                "{name}{why} {}",
                text.lines().last().unwrap_or_default()
            ));
        }
    }
    Ok(tally)
}

const SHORT_REGRESS: [&str; 20] = [
    "test_setup",
    "boolean",
    "int4",
    "text",
    "numeric",
    "strings",
    "create_table",
    "insert",
    "update",
    "delete",
    "copy2",
    "transactions",
    "prepare",
    "plpgsql",
    "errors",
    "insert_conflict",
    "guc",
    "combocid",
    "plancache",
    "prepared_xacts",
];
const SHORT_ISOLATION: [&str; 5] = [
    "read-only-anomaly",
    "deadlock-simple",
    "insert-conflict-do-nothing",
    "nowait",
    "async-notify",
];
