//! Replication with PostgreSQL's own clients: refused unless a policy names it, and then streamed
//! both ways and recorded.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use sqlward_tests::paths::postgres_program;
use sqlward_tests::process::{run, until};
use sqlward_tests::proxy::{self, Policy, Proxy};
use sqlward_tests::raw::{Raw, tags};
use sqlward_tests::server::{DATABASE, Options, Server, TRUSTED_USER};

/// Everything passes that a rule needn't name.
const ALLOW: &str = "schema = 1\n[defaults]\naction = \"allow\"\n";

fn setup(policy: Policy) -> Result<(Server, Proxy)> {
    let server = Server::start(&Options::default())?;
    server.psql(DATABASE, "GRANT pg_read_all_settings TO app_trusted")?;
    let options = proxy::Options {
        policy,
        ..Default::default()
    };
    let proxy = Proxy::start(&[&server], &options)?;
    Ok((server, proxy))
}

fn client(program: &str, proxy: &Proxy) -> Command {
    let mut command = Command::new(postgres_program(program));
    command.args(["-w", "-h", "127.0.0.1", "-U", TRUSTED_USER, "-p"]);
    command.arg(proxy.port().to_string());
    command
        .env("PGSSLMODE", "disable")
        .env("PGGSSENCMODE", "disable")
        .env("PGAPPNAME", program)
        .env("LC_ALL", "C");
    command
}

/// Makes a transaction that is in the log, and on the disk, when this returns.
fn write(server: &Server, sql: &str) -> Result<()> {
    server.psql(DATABASE, &format!("SET synchronous_commit = on; {sql}"))?;
    Ok(())
}

/// The end of what the server has written so far.
fn position(server: &Server) -> Result<String> {
    server.psql(DATABASE, "SELECT pg_current_wal_flush_lsn()")
}

fn receive_wal(proxy: &Proxy, folder: &Path, end: &str) -> Command {
    let mut command = client("pg_receivewal", proxy);
    command.arg("-D").arg(folder).args(["--no-loop", "-E", end]);
    command
}

/// The statements of an application whose text contains `word`, once there are some.
fn recorded(proxy: &Proxy, application: &str, word: &str) -> Result<Vec<serde_json::Value>> {
    until(word, Duration::from_secs(10), || {
        let filters = ["search", "--application", application, "--text", word];
        let found = proxy.audit(&filters)?;
        Ok((!found.is_empty()).then_some(found))
    })
}

#[test]
fn it_needs_a_rule_that_names_it() -> Result<()> {
    let (server, proxy) = setup(Policy::Text(ALLOW.into()))?;
    let folder = tempfile::tempdir()?;
    let commands = [
        receive_wal(&proxy, folder.path(), &position(&server)?),
        {
            let mut command = client("pg_basebackup", &proxy);
            command.arg("-D").arg(folder.path().join("copy"));
            command
        },
        {
            let mut command = client("pg_recvlogical", &proxy);
            command.args([
                "-d",
                DATABASE,
                "--slot=s",
                "--create-slot",
                "-P",
                "test_decoding",
            ]);
            command
        },
    ];
    for mut command in commands {
        let output = command.output()?;
        let told = String::from_utf8_lossy(&output.stderr);
        ensure!(!output.status.success(), "{command:?} was let in");
        ensure!(
            told.contains("replication needs a rule that allows it by name"),
            "{command:?}: {told}"
        );
    }
    ensure!(
        fs::read_dir(folder.path())?.next().is_none(),
        "files came through"
    );
    let slots = server.psql(DATABASE, "SELECT count(*) FROM pg_replication_slots")?;
    ensure!(slots == "0", "{slots} slots");
    ensure!(proxy.metric("sqlward_violations_total")? == 0.0);
    Ok(())
}

#[test]
fn pg_receivewal_streams_both_ways() -> Result<()> {
    let (server, proxy) = setup(Policy::RecordAll)?;
    let folder = tempfile::tempdir()?;
    write(
        &server,
        "INSERT INTO notes SELECT g, 'n' FROM generate_series(1, 20000) g",
    )?;
    let end = position(&server)?;
    run(&mut receive_wal(&proxy, folder.path(), &end))?;
    let received = fs::read_dir(folder.path())?.count();
    ensure!(received > 0, "no file");
    let started = recorded(&proxy, "pg_receivewal", "START_REPLICATION")?;
    let row = started.first().context("no record")?.to_string();
    ensure!(
        row.contains("\"replication\"") && row.contains("\"done\""),
        "{row}"
    );
    Ok(())
}

#[test]
fn pg_recvlogical_decodes_what_happened_meanwhile() -> Result<()> {
    let (server, proxy) = setup(Policy::RecordAll)?;
    let logical = |arguments: &[&str]| {
        let mut command = client("pg_recvlogical", &proxy);
        command
            .args(["-d", DATABASE, "--slot=decoded"])
            .args(arguments);
        command
    };
    run(&mut logical(&["--create-slot", "-P", "test_decoding"]))?;
    write(
        &server,
        "INSERT INTO notes VALUES (4711, 'decoded through the proxy')",
    )?;
    let end = format!("--endpos={}", position(&server)?);
    let text = run(&mut logical(&["--start", "--no-loop", &end, "-f", "-"]))?;
    ensure!(text.contains("decoded through the proxy"), "{text}");
    run(&mut logical(&["--drop-slot"]))?;
    for command in [
        "CREATE_REPLICATION_SLOT",
        "START_REPLICATION",
        "DROP_REPLICATION_SLOT",
    ] {
        recorded(&proxy, "pg_recvlogical", command)?;
    }
    Ok(())
}

#[test]
fn pg_basebackup_brings_a_cluster_that_verifies() -> Result<()> {
    let (_server, proxy) = setup(Policy::RecordAll)?;
    let folder = tempfile::tempdir()?;
    let copy = folder.path().join("copy");
    let mut command = client("pg_basebackup", &proxy);
    command.args(["-c", "fast", "-X", "stream", "--no-sync", "-D"]);
    run(command.arg(&copy))?;
    run(Command::new(postgres_program("pg_verifybackup")).arg(&copy))?;
    recorded(&proxy, "pg_basebackup", "BASE_BACKUP")?;
    Ok(())
}

/// However long it is, what comes over a replication connection is read as the server reads it there.
#[test]
fn a_long_command_is_read_as_one() -> Result<()> {
    let (_server, proxy) = setup(Policy::RecordAll)?;
    let mut raw = Raw::login(proxy.port(), TRUSTED_USER, &[("replication", "database")])?;
    for padding in [0, 20_000] {
        let answer = raw.query(&format!("IDENTIFY_SYSTEM{}", " ".repeat(padding)))?;
        ensure!(tags(&answer) == "TDCZ", "{padding}: {answer:?}");
    }
    let sql = "SELECT verb FROM statements WHERE text LIKE 'IDENTIFY_SYSTEM%'";
    let rows = until("both records", Duration::from_secs(10), || {
        let rows = proxy.audit(&["sql", sql])?;
        Ok((rows.len() == 2).then_some(rows))
    })?;
    let verb = |row: &serde_json::Value| row.get("verb").cloned();
    ensure!(
        rows.iter()
            .all(|row| verb(row) == Some("replication".into())),
        "{rows:?}"
    );
    Ok(())
}
