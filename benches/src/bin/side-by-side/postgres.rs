//! PostgreSQL: pgbench, COPY and connections; PgBouncer is the peer.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use sqlward_tests::paths::{postgres_program, repository};
use sqlward_tests::ports;
use sqlward_tests::process::run;
use sqlward_tests::server::{ADMIN, Options, Server, as_server_user};

use super::{Plan, Sample, Target, chosen, figure, measure, table, write_readme};

pub(super) fn bench(plan: &Plan, asked: &[String]) -> Result<()> {
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
    let targets = targets(&server, asked)?;
    let mut text = header(plan)?;
    text.push_str(&queries(&targets, plan)?);
    text.push_str(&bulk(&targets, plan)?);
    println!("{text}");
    if !plan.short && targets.len() == TARGETS.len() {
        write_readme("side-by-side", &text)?;
    }
    Ok(())
}

fn targets(server: &Server, asked: &[String]) -> Result<Vec<Target>> {
    let (port, folder) = (server.port(), server.folder());
    let mut targets = Vec::new();
    for name in chosen(&TARGETS, asked)? {
        targets.push(match name {
            "forwarder" => Target::forwarder(port, answers)?,
            "pgbouncer" => pgbouncer(port, folder)?,
            "sqlward" => {
                let program = Command::new(sqlward_tests::paths::sqlward()?);
                sqlward("sqlward, baseline pack and audit", program, port, folder)?
            }
            "sqlward-no-nice" => {
                let mut program = Command::new("setpriv");
                program.args(["--bounding-set=-sys_nice", "--inh-caps=-sys_nice"]);
                program.arg(sqlward_tests::paths::sqlward()?);
                sqlward("the same without CAP_SYS_NICE", program, port, folder)?
            }
            _ => Target::direct(port),
        });
    }
    Ok(targets)
}

fn pgbouncer(upstream: u16, folder: &Path) -> Result<Target> {
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
    Target::started("PgBouncer, session pooling", port, command, answers)
}

fn sqlward(
    name: &'static str,
    mut command: Command,
    upstream: u16,
    folder: &Path,
) -> Result<Target> {
    let port = ports::free()?;
    command.args(["run", "--listen", &format!("postgres://127.0.0.1:{port}")]);
    command.args(["--upstream", &format!("postgres://127.0.0.1:{upstream}")]);
    command
        .arg("--policy")
        .arg(repository().join("rules/baseline"));
    command
        .arg("--data")
        .arg(folder.join(format!("sqlward-{port}")));
    Target::started(name, port, command, answers)
}

/// Whether a server answers at a port.
fn answers(port: u16) -> Result<bool> {
    Ok(psql(port, "SELECT 1").output()?.status.success())
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

const TARGETS: [&str; 5] = [
    "direct",
    "forwarder",
    "pgbouncer",
    "sqlward",
    "sqlward-no-nice",
];
