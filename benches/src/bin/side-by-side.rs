//! sqlward, PgBouncer, a byte-blind forwarder and no proxy at all, side by side in one run.
//!
//! Rounds are interleaved, so that a change of the machine's mood meets all of them alike; figures
//! are medians. What the proxy costs is its own CPU time (utime + stime) per query, the figure to
//! compare where client, proxy and server share the processors. `SHORT=1` is a smoke run.
//!
//! `side-by-side [direct|forwarder|pgbouncer|sqlward]…`: without a name, all of them.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use sqlward_tests::paths::{postgres_program, profile_dir, repository};
use sqlward_tests::ports;
use sqlward_tests::process::{Process, run, until};
use sqlward_tests::server::{ADMIN, Options, Server, as_server_user};

fn main() -> Result<()> {
    let plan = Plan::read();
    let server = Server::start(&Options {
        bare: true,
        settings: [("shared_buffers", "256MB"), ("max_connections", "200")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec(),
        ..Options::default()
    })?;
    eprintln!("side-by-side: filling the tables");
    let mut fill = pgbench(server.port());
    run(fill.args(["-i", "-q", "-s", &plan.scale.to_string()]))?;
    let targets = targets(&server)?;
    let mut text = header(&plan)?;
    text.push_str(&queries(&targets, &plan)?);
    text.push_str(&bulk(&targets, &plan)?);
    println!("{text}");
    if !plan.short && targets.len() == TARGETS.len() {
        write_readme(&text)?;
    }
    Ok(())
}

fn targets(server: &Server) -> Result<Vec<Target>> {
    let asked: Vec<String> = std::env::args().skip(1).collect();
    for name in &asked {
        ensure!(
            TARGETS.contains(&name.as_str()),
            "unknown target `{name}`: {TARGETS:?}"
        );
    }
    let (port, folder) = (server.port(), server.folder());
    let mut targets = Vec::new();
    for name in TARGETS {
        if !asked.is_empty() && !asked.iter().any(|one| one == name) {
            continue;
        }
        targets.push(match name {
            "forwarder" => Target::forwarder(port)?,
            "pgbouncer" => Target::pgbouncer(port, folder)?,
            "sqlward" => Target::sqlward(port, folder)?,
            _ => Target {
                name: "direct",
                port,
                process: None,
            },
        });
    }
    Ok(targets)
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
    fn started(name: &'static str, port: u16, command: Command) -> Result<Self> {
        let mut process = Process::start(name, command)?;
        until("it answers", Duration::from_secs(20), || {
            if let Some(status) = process.ended()? {
                bail!("{name} ended, {status}:\n{}", process.output());
            }
            Ok(psql(port, "SELECT 1")
                .output()?
                .status
                .success()
                .then_some(()))
        })
        .with_context(|| process.output())?;
        Ok(Self {
            name,
            port,
            process: Some(process),
        })
    }

    fn forwarder(upstream: u16) -> Result<Self> {
        let port = ports::free()?;
        let mut command = Command::new(profile_dir()?.join("blind-forwarder"));
        command.args([port.to_string(), upstream.to_string()]);
        Self::started("byte-blind forwarder", port, command)
    }

    fn pgbouncer(upstream: u16, folder: &Path) -> Result<Self> {
        let port = ports::free()?;
        let users = folder.join("pgbouncer.users");
        fs::write(&users, format!("\"{ADMIN}\" \"\"\n"))?;
        let file = folder.join("pgbouncer.ini");
        fs::write(
            &file,
            format!(
                "[databases]\n* = host=127.0.0.1 port={upstream}\n[pgbouncer]\n\
                 listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
                 auth_type = trust\nauth_file = {}\npool_mode = session\n\
                 max_client_conn = 500\ndefault_pool_size = 100\n\
                 ignore_startup_parameters = extra_float_digits\n",
                users.display()
            ),
        )?;
        let mut command = as_server_user("/usr/sbin/pgbouncer")?;
        command.arg("-q").arg(&file);
        Self::started("PgBouncer, session pooling", port, command)
    }

    fn sqlward(upstream: u16, folder: &Path) -> Result<Self> {
        let port = ports::free()?;
        let mut command = Command::new(sqlward_tests::paths::sqlward()?);
        command.args(["run", "--listen", &format!("postgres://127.0.0.1:{port}")]);
        command.args(["--upstream", &format!("postgres://127.0.0.1:{upstream}")]);
        command
            .arg("--policy")
            .arg(repository().join("rules/baseline"));
        command.arg("--data").arg(folder.join("sqlward"));
        Self::started("sqlward, baseline pack and audit", port, command)
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

fn pgbench(port: u16) -> Command {
    let mut command = Command::new(postgres_program("pgbench"));
    command.args(["-h", "127.0.0.1", "-p", &port.to_string(), "-U", ADMIN]);
    command
        .env("PGSSLMODE", "disable")
        .env("PGDATABASE", "postgres");
    command
}

fn psql(port: u16, sql: &str) -> Command {
    let mut command = Command::new(postgres_program("psql"));
    command.args([
        "-X",
        "-q",
        "-h",
        "127.0.0.1",
        "-p",
        &port.to_string(),
        "-U",
        ADMIN,
    ]);
    command
        .args(["-d", "postgres", "-c", sql])
        .env("PGSSLMODE", "disable");
    command
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
    let word = line
        .split_whitespace()
        .find(|word| word.parse::<f64>().is_ok());
    Ok(word
        .with_context(|| format!("no figure in `{line}`"))?
        .parse()?)
}

fn select_only(target: &Target, plan: &Plan, options: &[&str]) -> Result<Sample> {
    let before = target.cpu()?;
    let mut command = pgbench(target.port);
    command
        .args(["-n", "-S", "-T", &plan.seconds.to_string()])
        .args(options);
    let report = run(&mut command)?;
    let spent = target.cpu()?.saturating_sub(before);
    let done = figure(&report, "number of transactions actually processed:")?;
    ensure!(done > 0.0, "nothing was processed:\n{report}");
    ensure!(
        figure(&report, "number of failed transactions:")? == 0.0,
        "{report}"
    );
    Ok(Sample {
        rate: figure(&report, "tps =")?,
        micros_per_unit: spent.as_secs_f64() * 1e6 / done,
    })
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

fn queries(targets: &[Target], plan: &Plan) -> Result<String> {
    let mut columns = Vec::new();
    for clients in ["1", "16"] {
        for mode in ["simple", "extended", "prepared"] {
            eprintln!("side-by-side: {mode}, {clients} client(s)");
            let options = [
                "-M",
                mode,
                "-c",
                clients,
                "-j",
                if clients == "1" { "1" } else { "2" },
            ];
            let samples = measure(targets, plan.rounds, |target| {
                select_only(target, plan, &options)
            })?;
            columns.push((format!("{mode} {clients}"), samples));
        }
    }
    let mut text = String::from(
        "\npgbench, select-only: rate relative to direct · CPU µs per query of the proxy\n\n",
    );
    text.push_str(&table(targets, &columns));
    Ok(text)
}

fn bulk(targets: &[Target], plan: &Plan) -> Result<String> {
    eprintln!("side-by-side: COPY out");
    let rounds = plan.rounds;
    let bytes = run(&mut psql(
        targets.first().context("no target")?.port,
        "COPY (SELECT sum(length(a::text) + 1)::bigint FROM pgbench_accounts a) TO STDOUT",
    ))?;
    let megabytes = bytes.trim().parse::<f64>()? / 1e6;
    let copy = measure(targets, rounds, |target| {
        let before = target.cpu()?;
        let started = Instant::now();
        let mut command = psql(target.port, "COPY pgbench_accounts TO STDOUT");
        let status = command.stdout(Stdio::null()).status()?;
        ensure!(status.success(), "COPY failed");
        let took = started.elapsed().as_secs_f64();
        let spent = target.cpu()?.saturating_sub(before);
        Ok(Sample {
            rate: megabytes / took,
            micros_per_unit: spent.as_secs_f64() * 1e6 / megabytes,
        })
    })?;
    eprintln!("side-by-side: connections");
    let connect = measure(targets, rounds, |target| {
        select_only(target, plan, &["-C", "-c", "4", "-j", "2"])
    })?;
    let mut text = String::from(
        "\nBulk and connections: rate relative to direct · CPU µs per MB or per connection\n\n",
    );
    let columns = [
        ("COPY out".to_owned(), copy),
        ("connect, 4 clients".to_owned(), connect),
    ];
    text.push_str(&table(targets, &columns));
    Ok(text)
}

fn header(plan: &Plan) -> Result<String> {
    let version = run(Command::new(postgres_program("postgres")).arg("--version"))?;
    let processors = std::thread::available_parallelism()?;
    Ok(format!(
        "{}, {processors} processors shared by client, proxy and server, no TLS, medians of {} \
         interleaved rounds of {} s\n",
        version.trim(),
        plan.rounds,
        plan.seconds
    ))
}

/// Puts the tables between the marks of benches/README.md.
fn write_readme(text: &str) -> Result<()> {
    let path = repository().join("benches/README.md");
    let readme = fs::read_to_string(&path)?;
    let (head, rest) = readme
        .split_once(BEGIN)
        .context("no begin mark in benches/README.md")?;
    let (_, tail) = rest
        .split_once(END)
        .context("no end mark in benches/README.md")?;
    fs::write(&path, format!("{head}{BEGIN}\n{text}{END}{tail}"))?;
    Ok(())
}

const TARGETS: [&str; 4] = ["direct", "forwarder", "pgbouncer", "sqlward"];
const TICKS_PER_SECOND: u64 = 100;
const BEGIN: &str = "<!-- side-by-side: begin -->";
const END: &str = "<!-- side-by-side: end -->";
