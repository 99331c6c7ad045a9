//! MySQL and MariaDB: sysbench, a big result and connections; HAProxy is the peer.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use sqlward_tests::mysql::raw::Raw;
use sqlward_tests::mysql::{Options, Product, Server};
use sqlward_tests::paths::repository;
use sqlward_tests::ports;
use sqlward_tests::process::run;
use sqlward_tests::server::{DATABASE, TRUSTED_USER};

use super::{Plan, Sample, Target, chosen, figure, measure, table, write_readme};

pub(super) fn bench(product: Product, plan: &Plan, asked: &[String]) -> Result<()> {
    let server = Server::start(&Options {
        settings: [
            "innodb_buffer_pool_size=256M",
            "max_prepared_stmt_count=100000",
        ]
        .map(str::to_owned)
        .to_vec(),
        ..Options::new(product)
    })?;
    eprintln!("side-by-side: filling the tables");
    run(sysbench(server.port(), plan, "oltp_point_select").arg("prepare"))?;
    let targets = targets(&server, asked)?;
    let mut text = header(product, plan)?;
    text.push_str(&queries(&targets, plan)?);
    text.push_str(&bulk(product, &targets, plan)?);
    println!("{text}");
    if !plan.short && product == Product::MariaDb10 && targets.len() == TARGETS.len() {
        write_readme("side-by-side-mysql", &text)?;
    }
    Ok(())
}

fn targets(server: &Server, asked: &[String]) -> Result<Vec<Target>> {
    let (port, folder) = (server.port(), server.folder());
    let mut targets = Vec::new();
    for name in chosen(&TARGETS, asked)? {
        targets.push(match name {
            "forwarder" => Target::forwarder(port, answers)?,
            "haproxy" => haproxy(port, folder)?,
            "sqlward" => sqlward(port, folder)?,
            _ => Target::direct(port),
        });
    }
    Ok(targets)
}

fn haproxy(upstream: u16, folder: &Path) -> Result<Target> {
    let port = ports::free()?;
    let file = folder.join("haproxy.cfg");
    let text = format!(
        "global\n  maxconn 1000\ndefaults\n  mode tcp\n  timeout connect 10s\n  \
         timeout client 1h\n  timeout server 1h\nlisten mysql\n  bind 127.0.0.1:{port}\n  \
         server upstream 127.0.0.1:{upstream}\n"
    );
    fs::write(&file, text)?;
    let mut command = Command::new("/usr/sbin/haproxy");
    command.arg("-db").arg("-f").arg(&file);
    Target::started("HAProxy, TCP", port, command, answers)
}

fn sqlward(upstream: u16, folder: &Path) -> Result<Target> {
    let port = ports::free()?;
    let mut command = Command::new(sqlward_tests::paths::sqlward()?);
    command.args(["run", "--listen", &format!("mysql://127.0.0.1:{port}")]);
    command.args(["--upstream", &format!("mysql://127.0.0.1:{upstream}")]);
    command
        .arg("--policy")
        .arg(repository().join("rules/baseline"));
    command.arg("--data").arg(folder.join("sqlward"));
    Target::started("sqlward, baseline pack and audit", port, command, answers)
}

/// Whether a server answers at a port.
#[expect(clippy::unnecessary_wraps, reason = "the shape that targets share")]
fn answers(port: u16) -> Result<bool> {
    Ok(Raw::login(port, TRUSTED_USER).is_ok())
}

fn sysbench(port: u16, plan: &Plan, script: &str) -> Command {
    let mut command = Command::new("sysbench");
    let rows = plan.scale * 10_000;
    command.arg(script).args([
        "--db-driver=mysql",
        "--mysql-host=127.0.0.1",
        &format!("--mysql-port={port}"),
        &format!("--mysql-user={TRUSTED_USER}"),
        &format!("--mysql-db={DATABASE}"),
        "--mysql-ssl=off",
        "--rand-seed=7",
        &format!("--table-size={rows}"),
    ]);
    command
}

fn queries(targets: &[Target], plan: &Plan) -> Result<String> {
    let mut columns = Vec::new();
    for threads in ["1", "16"] {
        for (script, name) in [("oltp_point_select", "point"), ("oltp_read_write", "rw")] {
            for (mode, shown) in [("auto", "ps"), ("disable", "text")] {
                eprintln!("side-by-side: {script}, {shown}, {threads} thread(s)");
                let samples = measure(targets, plan.rounds, |target| {
                    oltp(target, plan, script, &[threads, mode])
                })?;
                columns.push((format!("{name} {shown} {threads}"), samples));
            }
        }
    }
    let mut text = String::from(
        "\nsysbench: rate relative to direct · CPU µs per query of the proxy (point: \
         oltp_point_select, rw: oltp_read_write; ps: prepared)\n\n",
    );
    text.push_str(&table(targets, &columns));
    Ok(text)
}

fn oltp(target: &Target, plan: &Plan, script: &str, options: &[&str; 2]) -> Result<Sample> {
    let [threads, mode] = options;
    let before = target.cpu()?;
    let mut command = sysbench(target.port, plan, script);
    command
        .arg(format!("--threads={threads}"))
        .arg(format!("--db-ps-mode={mode}"))
        .arg(format!("--time={}", plan.seconds))
        .arg("run");
    let report = run(&mut command)?;
    let spent = target.cpu()?.saturating_sub(before);
    let done = figure(&report, "queries:")?;
    ensure!(done > 0.0, "nothing was processed:\n{report}");
    Ok(Sample {
        rate: done / figure(&report, "total time:")?,
        micros_per_unit: spent.as_secs_f64() * 1e6 / done,
    })
}

fn bulk(product: Product, targets: &[Target], plan: &Plan) -> Result<String> {
    eprintln!("side-by-side: big result");
    // Each row is 120 + 60 characters and what the protocol puts around them.
    let rows = f64::from(plan.scale) * 10_000.0 * COPIES;
    let megabytes = rows * ROW_BYTES / 1e6;
    let big = measure(targets, plan.rounds, |target| {
        let before = target.cpu()?;
        let started = Instant::now();
        let mut command = Command::new(product.client());
        command.args([
            "--no-defaults",
            "--protocol=tcp",
            "--host=127.0.0.1",
            "--quick",
        ]);
        command.args([
            &format!("--port={}", target.port),
            &format!("--user={TRUSTED_USER}"),
            "--skip-column-names",
            "--batch",
        ]);
        command.args(if product.is_mariadb() {
            ["--skip-ssl"]
        } else {
            ["--ssl-mode=DISABLED"]
        });
        command.args(["--execute", BIG, DATABASE]);
        let status = command.stdout(Stdio::null()).status()?;
        ensure!(status.success(), "the big result failed");
        let took = started.elapsed().as_secs_f64();
        let spent = target.cpu()?.saturating_sub(before);
        Ok(Sample {
            rate: megabytes / took,
            micros_per_unit: spent.as_secs_f64() * 1e6 / megabytes,
        })
    })?;
    eprintln!("side-by-side: connections");
    let connect = measure(targets, plan.rounds, |target| connections(target, plan))?;
    let mut text = String::from(
        "\nBulk and connections: rate relative to direct · CPU µs per MB or per connection\n\n",
    );
    let columns = [
        ("big SELECT".to_owned(), big),
        ("connect, 4 clients".to_owned(), connect),
    ];
    text.push_str(&table(targets, &columns));
    Ok(text)
}

/// Four clients that log in, ask one thing and leave.
fn connections(target: &Target, plan: &Plan) -> Result<Sample> {
    let before = target.cpu()?;
    let started = Instant::now();
    let end = started + Duration::from_secs(plan.seconds);
    let done = std::thread::scope(|scope| -> Result<u32> {
        let clients: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| -> Result<u32> {
                    let mut done = 0;
                    while Instant::now() < end {
                        let mut raw = Raw::login(target.port, TRUSTED_USER)?;
                        raw.value("SELECT 1")?;
                        raw.quit()?;
                        done += 1;
                    }
                    Ok(done)
                })
            })
            .collect();
        clients.into_iter().try_fold(0, |sum, client| {
            let done = client.join().ok().context("a client panicked")??;
            Ok(sum + done)
        })
    })?;
    ensure!(done > 0, "nobody could connect");
    let took = started.elapsed().as_secs_f64();
    let spent = target.cpu()?.saturating_sub(before);
    Ok(Sample {
        rate: f64::from(done) / took,
        micros_per_unit: spent.as_secs_f64() * 1e6 / f64::from(done),
    })
}

fn header(product: Product, plan: &Plan) -> Result<String> {
    let mut command = Command::new(product.daemon());
    let version = run(command.args(["--no-defaults", "--version"]))?;
    let version = version.split_once("Ver ").map_or("", |(_, rest)| rest);
    let processors = std::thread::available_parallelism()?;
    Ok(format!(
        "{}, {processors} processors shared by client, proxy and server, no TLS, medians of {} \
         interleaved rounds of {} s\n",
        version.trim(),
        plan.rounds,
        plan.seconds
    ))
}

const TARGETS: [&str; 4] = ["direct", "forwarder", "haproxy", "sqlward"];
const COPIES: f64 = 5.0;
const ROW_BYTES: f64 = 185.0;
const BIG: &str = "SELECT c, pad FROM sbtest1, (SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 \
                   UNION ALL SELECT 4 UNION ALL SELECT 5) copies";
