//! The drivers of other languages, as programs.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, ensure};
use sqlward_tests::driver::play;
use sqlward_tests::mysql::Product;
use sqlward_tests::paths::{profile_dir, repository};
use sqlward_tests::process::run;

use super::{FULL, Visit, everywhere};

const NATIVE: &str = "mysql_native_password";
const CACHING: &str = "caching_sha2_password";
const SHA256: &str = "sha256_password";
const ED25519: &str = "client_ed25519";
const PARSEC: &str = "parsec";

fn program(visit: &Visit, program: PathBuf) -> Command {
    let mut command = Command::new(program);
    command.current_dir(repository().join("tests/drivers"));
    command
        .env("NODE_DRIVERS", repository().join("build/node"))
        .env("NODE_NO_WARNINGS", "1")
        .env("PYTHONDONTWRITEBYTECODE", "1");
    visit.endpoint.describe_mysql(&mut command);
    command
}

fn python(file: &str, driver: &str, plugins: &[&str], extra: &[&str]) -> Result<()> {
    let interpreter = repository().join("build/venv/bin/python");
    ensure!(
        interpreter.exists(),
        "no {}: run `make setup`",
        interpreter.display()
    );
    everywhere(plugins, extra, |visit| {
        let mut command = program(visit, interpreter.clone());
        command.args([file, driver]);
        play(&format!("{driver} with {}", visit.plugin), command)
    })
}

#[test]
fn pymysql() -> Result<()> {
    let plugins = [NATIVE, CACHING, SHA256, ED25519];
    python("mysql_dbapi.py", "pymysql", &plugins, &FULL)
}

#[test]
fn mysqlclient() -> Result<()> {
    let plugins = [NATIVE, CACHING, SHA256, ED25519];
    python("mysql_dbapi.py", "mysqlclient", &plugins, &FULL)
}

#[test]
fn mysql_connector_pure() -> Result<()> {
    // Without TLS it knows only the fast path, which needs a login under TLS before.
    let plugins = [NATIVE, "caching_sha2_password+tls", "sha256_password+tls"];
    python("mysql_dbapi.py", "connector-pure", &plugins, &FULL)
}

#[test]
fn mysql_connector_c() -> Result<()> {
    let plugins = [NATIVE, "caching_sha2_password+tls", SHA256];
    python("mysql_dbapi.py", "connector-c", &plugins, &FULL)
}

#[test]
fn aiomysql() -> Result<()> {
    python(
        "mysql_async.py",
        "aiomysql",
        &[NATIVE, CACHING, SHA256],
        &FULL,
    )
}

#[test]
fn asyncmy() -> Result<()> {
    let plugins = [NATIVE, CACHING, SHA256, ED25519];
    python("mysql_async.py", "asyncmy", &plugins, &[])
}

#[test]
fn mysql2() -> Result<()> {
    let extra = [&FULL[..], &["queued"]].concat();
    everywhere(&[NATIVE, CACHING, SHA256], &extra, |visit| {
        let mut command = program(visit, "node".into());
        command.arg("node_mysql2.js");
        play("mysql2", command)
    })
}

#[test]
fn mariadb_jdbc() -> Result<()> {
    let driver = "/usr/share/java/mariadb-java-client.jar";
    let classes = profile_dir()?.join("sqlward-tests-mariadb-jdbc");
    let source = repository().join("tests/drivers/MariaDbJdbc.java");
    run(Command::new("javac")
        .args(["-cp", driver, "-d"])
        .arg(&classes)
        .arg(source))?;
    let path = format!("{driver}:{}", classes.display());
    let extra = [&FULL[..], &["batch", "batch-prepared", "cursor"]].concat();
    everywhere(&[NATIVE, CACHING, SHA256, ED25519], &extra, |visit| {
        let mut command = program(visit, "java".into());
        command.args([
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-cp",
            &path,
            "MariaDbJdbc",
        ]);
        play("Connector/J", command)
    })
}

fn client(product: Product, plugins: &str, known: &[&str]) -> Result<()> {
    let extra = [&FULL[..], &["continues-after-error"]].concat();
    everywhere(known, &extra, |visit| {
        let mut command = program(visit, "bash".into());
        command
            .arg("mysql_cli.sh")
            .env("DB_CLIENT", product.client())
            .env("DB_CLIENT_PLUGINS", product.base().join(plugins));
        play(product.name(), command)
    })
}

#[test]
fn mysql_client() -> Result<()> {
    client(
        Product::MySql,
        "lib/mysql/plugin",
        &[NATIVE, CACHING, SHA256],
    )
}

#[test]
fn mariadb_client() -> Result<()> {
    // Without TLS MySQL would have to be asked for its public key, which this client does not.
    let known = [
        NATIVE,
        ED25519,
        PARSEC,
        "caching_sha2_password+tls",
        "sha256_password+tls",
    ];
    let plugins = format!(
        "lib/{}-linux-gnu/libmariadb3/plugin",
        std::env::consts::ARCH
    );
    client(Product::MariaDb11, &plugins, &known)
}
