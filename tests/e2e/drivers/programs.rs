//! The drivers of other languages, as programs.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use sqlward_tests::driver::{Report, play};
use sqlward_tests::endpoint::Endpoint;
use sqlward_tests::paths::{postgres_program, profile_dir, repository};
use sqlward_tests::process::run;
use sqlward_tests::proxy;

use crate::{everywhere, everywhere_with};

fn program(endpoint: &Endpoint, program: &str) -> Command {
    let mut command = Command::new(program);
    command.current_dir(repository().join("tests/drivers"));
    command.env("NODE_DRIVERS", repository().join("build/node"));
    command.env("PSQL", postgres_program("psql"));
    command
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("NODE_NO_WARNINGS", "1");
    endpoint.describe(&mut command);
    command
}

fn python(endpoint: &Endpoint, file: &str) -> Result<Report> {
    let interpreter = repository().join("build/venv/bin/python");
    ensure!(
        interpreter.exists(),
        "no {}: run `make setup`",
        interpreter.display()
    );
    let mut command = program(endpoint, &interpreter.display().to_string());
    command.arg(file);
    play(file, command)
}

#[test]
fn psql() -> Result<()> {
    everywhere(&["cancel", "multi"], |endpoint| {
        let mut command = program(endpoint, "bash");
        command.arg("psql.sh");
        play("psql", command)
    })
}

#[test]
fn libpq() -> Result<()> {
    let built = profile_dir()?.join("sqlward-tests-libpq");
    let flags = run(Command::new("pkg-config").args(["--cflags", "--libs", "libpq"]))?;
    let mut compile = Command::new("cc");
    compile.args(["-Wall", "-O1", "-o"]).arg(&built);
    compile.arg(repository().join("tests/drivers/libpq_pipeline.c"));
    run(compile.args(flags.split_whitespace())).context("compile libpq_pipeline.c")?;
    let built = built.display().to_string();
    let extra = [
        "cancel",
        "pipeline",
        "pipeline-error",
        "pipeline-prepared",
        "copy-in-extended",
    ];
    everywhere(&extra, |endpoint| play("libpq", program(endpoint, &built)))
}

#[test]
fn psycopg() -> Result<()> {
    let extra = [
        "cancel",
        "pipeline",
        "pipeline-error",
        "binary",
        "copy-in-binary",
        "cursor",
    ];
    everywhere(&extra, |endpoint| python(endpoint, "psycopg3.py"))
}

#[test]
fn asyncpg() -> Result<()> {
    everywhere(&["cancel", "cursor", "execute-many"], |endpoint| {
        python(endpoint, "asyncpg_driver.py")
    })
}

#[test]
fn pg8000() -> Result<()> {
    // It has no switch against channel binding: where the server offers that, it insists on it
    // as soon as its own connection is encrypted. Without TLS behind the proxy there is no offer.
    let options = proxy::Options {
        server_tls: "disable",
        ..proxy::Options::default()
    };
    everywhere_with(&options, &[], |endpoint| {
        python(endpoint, "pg8000_driver.py")
    })
}

#[test]
fn node_postgres() -> Result<()> {
    everywhere(&["cancel", "cursor", "queued"], |endpoint| {
        let mut command = program(endpoint, "node");
        command.arg("node_pg.js");
        play("node-postgres", command)
    })
}

#[test]
fn jdbc() -> Result<()> {
    let driver = "/usr/share/java/postgresql.jar";
    let classes = profile_dir()?.join("sqlward-tests-jdbc");
    let source = repository().join("tests/drivers/Jdbc.java");
    run(Command::new("javac")
        .args(["-cp", driver, "-d"])
        .arg(&classes)
        .arg(source))?;
    // The JSSE trust store is not asked: sslrootcert names the authority.
    let path = format!("{driver}:{}", classes.display());
    everywhere(&["cancel", "cursor", "batch"], |endpoint| {
        let mut command = program(endpoint, "java");
        command.args([
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-cp",
            &path,
            "Jdbc",
        ]);
        play("jdbc", command)
    })
}
