//! The demo's PostgreSQL.

use std::{
    fs,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result};

use super::{Engine, Running, free_port, quiet, wait_for};

/// What the application does.
pub(super) const USUAL: [&str; 4] = [
    "CREATE TABLE accounts (id int PRIMARY KEY, owner text, balance numeric)",
    "INSERT INTO accounts SELECT n, 'owner ' || n, n * 10 FROM generate_series(1, 100) n",
    "UPDATE accounts SET balance = balance - 5 WHERE id = 7",
    "SELECT count(*), sum(balance) FROM accounts",
];
/// What the policy is there for, and that life goes on.
pub(super) const DANGEROUS: [&str; 4] = [
    "DELETE FROM accounts",
    "UPDATE accounts SET balance = 0 WHERE 1 = 1 OR id = 7",
    "SELECT rolname, rolpassword FROM pg_authid",
    "SELECT count(*) FROM accounts",
];

/// Start a server with the database `shop` of the user `app`.
pub(super) fn start(folder: &Path) -> Result<Engine> {
    let bin = server_binaries()?;
    let (server, port) = start_server(&bin, folder)?;
    let psql = bin.join("psql");
    for sql in ["CREATE ROLE app LOGIN", "CREATE DATABASE shop OWNER app"] {
        quiet(
            Command::new(&psql)
                .args(connection(port, "postgres", "postgres"))
                .args(["-c", sql]),
        )?;
    }
    Ok(Engine {
        server,
        port,
        scheme: "postgres",
        client: Box::new(move |port, sql| {
            let mut command = Command::new(&psql);
            command
                .args(connection(port, "app", "shop"))
                .args(["-c", sql]);
            command
        }),
    })
}

/// The newest server binaries on this machine.
fn server_binaries() -> Result<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .map(|version| version.path().join("bin"))
        .collect();
    found.sort();
    found.extend(
        std::env::var_os("PATH")
            .iter()
            .flat_map(std::env::split_paths)
            .collect::<Vec<_>>(),
    );
    let complete = |bin: &PathBuf| {
        ["initdb", "postgres", "psql"]
            .iter()
            .all(|name| bin.join(name).is_file())
    };
    // The highest version of Debian's layout first, then the search path.
    found.into_iter().rev().find(complete).context(
        "no PostgreSQL server found: `make setup` installs it (Debian: apt-get install postgresql)",
    )
}

fn start_server(bin: &Path, folder: &Path) -> Result<(Running, u16)> {
    let data = folder.join("server");
    fs::create_dir(&data)?;
    let user = server_user()?;
    if let Some((uid, gid)) = user {
        std::os::unix::fs::chown(&data, Some(uid), Some(gid))?;
    }
    let command = |name: &str| {
        let mut command = Command::new(bin.join(name));
        command.current_dir("/").stdin(Stdio::null());
        if let Some((uid, gid)) = user {
            command.uid(uid).gid(gid);
        }
        command
    };
    let mut init = command("initdb");
    quiet(
        init.args([
            "--no-sync",
            "--auth=trust",
            "--username=postgres",
            "--encoding=UTF8",
            "--locale=C",
            "-D",
        ])
        .arg(&data),
    )?;
    let port = free_port()?;
    let mut server = command("postgres");
    server
        .arg("-D")
        .arg(&data)
        .args(["-h", "127.0.0.1", "-p", &port.to_string(), "-F"]);
    server
        .arg("-c")
        .arg(format!("unix_socket_directories={}", data.display()));
    server.stdout(Stdio::null()).stderr(Stdio::null());
    let running = Running(server.spawn().context("postgres")?);
    wait_for("PostgreSQL", || {
        let mut command = Command::new(bin.join("psql"));
        command.args(connection(port, "postgres", "postgres"));
        command.args(["-c", ""]);
        command
    })?;
    Ok((running, port))
}

/// PostgreSQL refuses to run as root: the user that it may run as then.
fn server_user() -> Result<Option<(u32, u32)>> {
    let own = fs::metadata("/proc/self")?;
    if std::os::unix::fs::MetadataExt::uid(&own) != 0 {
        return Ok(None);
    }
    let passwd = fs::read_to_string("/etc/passwd")?;
    ["postgres", "nobody"]
        .iter()
        .find_map(|wanted| {
            let line = passwd
                .lines()
                .find(|line| line.split(':').next() == Some(wanted))?;
            let mut ids = line.split(':').skip(2).map_while(|id| id.parse().ok());
            Some((ids.next()?, ids.next()?))
        })
        .map(Some)
        .context("PostgreSQL does not run as root, and there is no user `postgres` or `nobody`")
}

fn connection(port: u16, user: &str, database: &str) -> Vec<String> {
    let target =
        format!("host=127.0.0.1 port={port} user={user} dbname={database} application_name=demo");
    vec!["-X".into(), "-d".into(), target]
}
