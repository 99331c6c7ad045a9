//! MariaDB's own test suite (`mtr`) in its extern mode: against a server that mtr itself has set up,
//! through whatever stands in between. The tests are those of `conformance/mtr*.list`, which pass
//! against the server directly.

use std::ffi::OsString;
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use sqlward_tests::certificates::Certificates;
use sqlward_tests::forward;
use sqlward_tests::paths::repository;
use sqlward_tests::process::{Process, run, until};
use sqlward_tests::proxy::{self, Policy, Proxy};
use sqlward_tests::server::as_server_user;
use sqlward_tests::template;

use super::{Arguments, Way, results, workshop};

/// A way of running the tests.
pub(super) struct Suite {
    /// Its name in arguments and results.
    pub(super) name: &'static str,
    /// What mtr is told beyond the tests.
    option: Option<&'static str>,
    /// The tests, one a line, in this file of `tests/conformance`.
    list: &'static str,
}

/// All of them.
pub(super) const SUITES: [Suite; 4] = [
    Suite {
        name: "mtr",
        option: None,
        list: "mtr.list",
    },
    Suite {
        name: "mtr-ps-protocol",
        option: Some("--ps-protocol"),
        list: "mtr-ps-protocol.list",
    },
    Suite {
        name: "mtr-compress",
        option: Some("--compress"),
        list: "mtr-compress.list",
    },
    Suite {
        name: "mtr-cursor-protocol",
        option: Some("--cursor-protocol"),
        list: "mtr-cursor-protocol.list",
    },
];

/// Runs one suite on a server of its own; whether all of it passed.
pub(super) fn run_suite(suite: &Suite, arguments: &Arguments) -> Result<bool> {
    let list = repository().join("tests/conformance").join(suite.list);
    let list = fs::read_to_string(&list).with_context(|| list.display().to_string())?;
    let step = if arguments.short { SHORT_STEP } else { 1 };
    let tests: Vec<&str> = list.lines().step_by(step).collect();
    let folder = workshop()?;
    let mut server = Server::set_up(folder.path())?;
    let between = Between::start(arguments.way, server.port)?;
    let started = Instant::now();
    let mut session = Session {
        suite,
        folder: folder.path(),
        port: between.port().unwrap_or(server.port),
        passed: 0,
        failed: Vec::new(),
        log: String::new(),
    };
    session.play(&tests, &mut server)?;
    println!(
        "{}, {}: {} of {} passed in {} s",
        suite.name,
        arguments.way.shown(),
        session.passed,
        tests.len(),
        started.elapsed().as_secs()
    );
    let expected = Expected::of(arguments.way)?;
    let mut surprises = 0;
    for (name, verdict) in &session.failed {
        if let Some(reason) = expected.reason(name) {
            println!("  differs, as it must: {name}: {reason}");
        } else {
            surprises += 1;
            println!("  FAILED {name} ({verdict})");
        }
    }
    for name in tests.iter().filter(|name| expected.reason(name).is_some()) {
        if !session.failed.iter().any(|(failed, _)| failed == name) {
            surprises += 1;
            println!("  FAILED {name}: passes, but conformance/{DIFFERS} says that it can't");
        }
    }
    if let Some(log) = between.log().filter(|_| surprises > 0) {
        session.log.push_str(&log);
    }
    fs::write(results()?.join(format!("{}.log", suite.name)), &session.log)?;
    Ok(surprises == 0 && session.passed + session.failed.len() == tests.len())
}

/// The tests that can't pass through an inspecting proxy, each with its reason.
struct Expected(String);

impl Expected {
    fn of(way: Way) -> Result<Self> {
        Ok(Self(match way {
            Way::Sqlward => {
                fs::read_to_string(repository().join("tests/conformance").join(DIFFERS))?
            }
            Way::Direct | Way::Blind | Way::Wire => String::new(),
        }))
    }

    fn reason(&self, test: &str) -> Option<&str> {
        let mut lines = self.0.lines().filter_map(|line| line.split_once(' '));
        lines
            .find(|(name, _)| *name == test)
            .map(|(_, reason)| reason)
    }
}

/// What stands between mtr and the server.
enum Between {
    Nothing,
    Forwarder(u16),
    Sqlward(Box<Proxy>),
}

impl Between {
    fn start(way: Way, upstream: u16) -> Result<Self> {
        match way {
            Way::Direct => Ok(Self::Nothing),
            Way::Blind => Ok(Self::Forwarder(forward::start(upstream)?)),
            Way::Sqlward => {
                let data = tests_folder().join("std_data");
                let options = proxy::Options {
                    policy: Policy::RecordAll,
                    // The server's own: some tests verify it.
                    shown: Some(Certificates {
                        authority: data.join("cacert.pem"),
                        certificate: data.join("server-cert.pem"),
                        key: data.join("server-key.pem"),
                    }),
                    protocol: "mysql",
                    // Some tests send statements as long as the server takes them.
                    limits: "max_statement_bytes = 134217728".to_owned(),
                    ..proxy::Options::default()
                };
                let proxy = Proxy::start_at(&[upstream], None, &options)?;
                Ok(Self::Sqlward(Box::new(proxy)))
            }
            Way::Wire => bail!("--wire is for PostgreSQL's suites"),
        }
    }

    fn port(&self) -> Option<u16> {
        match self {
            Self::Nothing => None,
            Self::Forwarder(port) => Some(*port),
            Self::Sqlward(proxy) => Some(proxy.port()),
        }
    }

    fn log(&self) -> Option<String> {
        match self {
            Self::Nothing | Self::Forwarder(_) => None,
            Self::Sqlward(proxy) => Some(proxy.log()),
        }
    }
}

/// The tests of one suite, run until none is left.
struct Session<'a> {
    suite: &'a Suite,
    folder: &'a Path,
    port: u16,
    passed: usize,
    /// With what mtr said of them.
    failed: Vec<(String, String)>,
    log: String,
}

impl Session<'_> {
    /// mtr ends at the first failure; the data is made as new then, and the rest goes on.
    fn play(&mut self, tests: &[&str], server: &mut Server) -> Result<()> {
        let mut rest = tests;
        while !rest.is_empty() {
            let output = self.mtr_somewhere(rest)?;
            let verdicts = verdicts(&output);
            // A test may run in several combinations, each with a line of its own.
            let mut done = 0;
            for (number, test) in rest.iter().enumerate() {
                let mut own = verdicts.iter().filter(|one| one.0 == *test).peekable();
                if own.peek().is_none() {
                    break;
                }
                done = number + 1;
                match own.find(|one| one.1 != "pass") {
                    None => self.passed += 1,
                    Some((_, verdict)) => self.failed.push(((*test).to_owned(), verdict.clone())),
                }
            }
            let failed = verdicts.iter().any(|one| one.1 == "fail");
            let other = verdicts.iter().any(|one| one.1 != "pass");
            if other || done < rest.len() {
                self.log.push_str(&output);
            }
            ensure!(done > 0, "mtr ran nothing:\n{output}");
            rest = rest.get(done..).unwrap_or_default();
            if failed && !rest.is_empty() {
                server.restore()?;
            }
        }
        Ok(())
    }

    /// Others may take one of mtr's ports before it does.
    fn mtr_somewhere(&self, tests: &[&str]) -> Result<String> {
        for _ in 0..ATTEMPTS {
            let output = self.mtr(tests)?;
            if !output.contains("port(s) was not free") {
                return Ok(output);
            }
        }
        bail!("mtr's ports were taken {ATTEMPTS} times")
    }

    fn mtr(&self, tests: &[&str]) -> Result<String> {
        // In a folder that it has used before, mtr takes tests for skipped whose plugins it has not looked up yet.
        let used = self.folder.join("extern");
        if used.exists() {
            fs::remove_dir_all(&used)?;
        }
        let mut command = mtr(self.folder, "extern", free_thread()?)?;
        for (name, value) in [
            ("host", "127.0.0.1".to_owned()),
            ("port", self.port.to_string()),
            ("user", "root".to_owned()),
            ("protocol", "tcp".to_owned()),
        ] {
            command.arg("--extern").arg(format!("{name}={value}"));
        }
        command.args([
            "--retry=0",
            "--nocheck-testcases",
            "--noreorder",
            "--testcase-timeout=4",
        ]);
        command.args(self.suite.option).args(tests);
        let output = command.output()?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr))
    }
}

/// The lines `main.name 'combination' [ verdict ] …`.
fn verdicts(output: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for line in output.lines() {
        let Some((name, rest)) = line.split_once(" [ ") else {
            continue;
        };
        let (Some(name), Some((verdict, _))) =
            (name.split_whitespace().next(), rest.split_once(" ]"))
        else {
            continue;
        };
        if name.contains('.') {
            found.push((name.to_owned(), verdict.to_owned()));
        }
    }
    found
}

/// The server that mtr has set up, run by this process from a copy of its data.
struct Server {
    process: Process,
    port: u16,
    data: PathBuf,
    pristine: PathBuf,
    arguments: Vec<OsString>,
    environment: Vec<OsString>,
}

impl Server {
    fn set_up(folder: &Path) -> Result<Self> {
        let thread = free_thread()?;
        let mut command = mtr(folder, "server", thread)?;
        command.args([
            "--start-and-exit",
            "--mysqld=--secure-file-priv=",
            "--mysqld=--loose-innodb",
            "--mysqld=--loose-partition=ON",
            "--mysqld=--loose-sequence=ON",
        ]);
        run(&mut command)?;
        let pid = fs::read_to_string(folder.join("server/run/mysqld.1.pid"))?;
        let pid = pid.trim();
        let (arguments, environment) = (proc_words(pid, "cmdline")?, proc_words(pid, "environ")?);
        let port = first_port(thread);
        listening(port)?;
        kill_process(
            pid.parse().ok().and_then(Pid::from_raw).context("no pid")?,
            Signal::TERM,
        )?;
        until("mtr's server has ended", LIMIT, || {
            Ok((!Path::new("/proc").join(pid).exists()).then_some(()))
        })?;
        let (data, pristine) = (folder.join("server/mysqld.1/data"), folder.join("pristine"));
        template::copy(&data, &pristine)?;
        let process = start(&arguments, &environment, port)?;
        Ok(Self {
            process,
            port,
            data,
            pristine,
            arguments,
            environment,
        })
    }

    /// Starts it again with the data that it had first.
    fn restore(&mut self) -> Result<()> {
        self.process.kill()?;
        fs::remove_dir_all(&self.data)?;
        template::copy(&self.pristine, &self.data)?;
        self.process = start(&self.arguments, &self.environment, self.port)?;
        Ok(())
    }
}

fn start(arguments: &[OsString], environment: &[OsString], port: u16) -> Result<Process> {
    let (program, rest) = arguments.split_first().context("no command line")?;
    let mut command = as_server_user(program)?;
    command.args(rest).current_dir(tests_folder()).env_clear();
    for pair in environment {
        let pair = pair.to_string_lossy();
        if let Some((name, value)) = pair.split_once('=') {
            command.env(name, value);
        }
    }
    let process = Process::start("mariadbd", command)?;
    listening(port)?;
    Ok(process)
}

/// The NUL-separated words of a file of `/proc/PID`.
fn proc_words(pid: &str, file: &str) -> Result<Vec<OsString>> {
    let bytes = fs::read(Path::new("/proc").join(pid).join(file))?;
    let words = bytes.split(|byte| *byte == 0).filter(|one| !one.is_empty());
    Ok(words
        .map(|word| OsString::from_vec(word.to_vec()))
        .collect())
}

fn listening(port: u16) -> Result<()> {
    until("somebody listens", LIMIT, || {
        Ok(TcpStream::connect(("127.0.0.1", port)).ok().map(drop))
    })
}

fn tests_folder() -> PathBuf {
    repository().join("build/beside/mtr-10.11/usr/share/mysql/mysql-test")
}

/// mtr with a folder of its own below `folder`; it refuses to run as root.
fn mtr(folder: &Path, name: &str, thread: u16) -> Result<Command> {
    let program = tests_folder().join("mtr");
    ensure!(
        program.is_file(),
        "no {}: run `make setup-conformance`",
        program.display()
    );
    let mut command = as_server_user(program)?;
    command
        .arg(format!("--vardir={}", folder.join(name).display()))
        .current_dir(tests_folder())
        .env("HOME", folder)
        .env("MTR_BUILD_THREAD", thread.to_string());
    Ok(command)
}

/// mtr gives each of its instances 30 ports.
fn first_port(thread: u16) -> u16 {
    10_000 + 30 * thread
}

fn free_thread() -> Result<u16> {
    let start = u16::try_from(std::process::id() % 180)?;
    for step in 0..180 {
        let thread = 550 + (start + step) % 180;
        let first = first_port(thread);
        if (first..first + 30).all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok()) {
            return Ok(thread);
        }
    }
    bail!("no 30 free ports in a row")
}

const DIFFERS: &str = "mtr-sqlward.list";
const LIMIT: Duration = Duration::from_secs(60);
const ATTEMPTS: usize = 4;
/// A short run takes every such test of the list.
const SHORT_STEP: usize = 19;
