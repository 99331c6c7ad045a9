//! Bad input and broken surroundings: each has one written answer.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use sqlward_tests::paths::sqlward;
use sqlward_tests::ports;
use sqlward_tests::proxy::{self, Policy, Proxy};
use sqlward_tests::raw::Raw;
use sqlward_tests::server::{Options, Server, TRUSTED_USER};

fn run(arguments: &[&str]) -> Result<Output> {
    Ok(Command::new(sqlward()?).args(arguments).output()?)
}

fn error_of(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn an_unreachable_server_is_08001() -> Result<()> {
    let nobody = ports::free()?;
    let options = proxy::Options {
        policy: Policy::RecordAll,
        ..Default::default()
    };
    let proxy = Proxy::start_at(&[nobody], None, &options)?;
    let mut raw = Raw::open(proxy.port())?;
    let error = raw
        .start(TRUSTED_USER, &[])
        .err()
        .context("logged in to nobody")?
        .to_string();
    ensure!(error.contains("08001"), "{error}");
    ensure!(proxy.metric("sqlward_upstream_failures_total")? >= 1.0);
    // The failed session is in the audit as well.
    sqlward_tests::process::until("the session's record", Duration::from_secs(3), || {
        let rows = proxy.audit(&["sql", "SELECT * FROM sessions"])?;
        Ok(rows
            .iter()
            .any(|row| row.to_string().contains("upstream-unreachable"))
            .then_some(()))
    })
}

#[test]
fn a_server_that_dies_ends_its_sessions_only() -> Result<()> {
    let (first, second) = (
        Server::start(&Options::default())?,
        Server::start(&Options::default())?,
    );
    let options = proxy::Options {
        policy: Policy::RecordAll,
        ..Default::default()
    };
    let proxy = Proxy::start(&[&first, &second], &options)?;
    let [one, two] = proxy.ports() else {
        anyhow::bail!("not two listeners")
    };
    let mut lost = Raw::login(*one, TRUSTED_USER, &[])?;
    let mut kept = Raw::login(*two, TRUSTED_USER, &[])?;
    drop(first);
    let last = lost.until_closed()?;
    ensure!(
        last.iter().all(|one| matches!(one.tag, b'E' | b'N')),
        "{last:?}"
    );
    ensure!(kept.value("SELECT 1")? == "1");
    Ok(())
}

#[test]
fn a_bad_policy_keeps_it_from_starting() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let policy = folder.path().join("bad.toml");
    fs::write(
        &policy,
        "schema = 1\n\n[[rule]]\nid = \"x\"\nwhen = { verbs = [\"delete\"] }\naction = \"dney\"\n",
    )?;
    let (policy, data) = (policy.display().to_string(), folder.path().join("data"));
    let (data, port) = (data.display().to_string(), ports::free()?);
    let listen = format!("postgres://127.0.0.1:{port}");
    let output = run(&[
        "run",
        "--listen",
        &listen,
        "--upstream",
        "postgres://127.0.0.1:1",
        "--policy",
        &policy,
        "--data",
        &data,
    ])?;
    ensure!(output.status.code() == Some(2), "{output:?}");
    let text = error_of(&output);
    // Both mistakes at once, each with its place and the near word.
    for expected in ["bad.toml:5:", "bad.toml:6:", "verb", "deny"] {
        ensure!(text.contains(expected), "no `{expected}` in\n{text}");
    }
    let output = run(&["policy", "check", &policy])?;
    ensure!(output.status.code() == Some(2), "{output:?}");
    Ok(())
}

#[test]
fn a_bad_configuration_is_exit_2_with_places() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("sqlward.toml");
    fs::write(
        &file,
        "data_dir = \"/nonexistent\"\npolicy = []\n[[listener]]\nname = \"a\"\n\
         address = \"127.0.0.1:1\"\nupstream = \"nobody\"\n[[upstream]]\nname = \"b\"\n\
         address = \"no port\"\n",
    )?;
    let path = file.display().to_string();
    for arguments in [["config", "check", &path], ["run", "--config", &path]] {
        let output = run(&arguments)?;
        ensure!(output.status.code() == Some(2), "{arguments:?}: {output:?}");
        let text = error_of(&output);
        for expected in ["sqlward.toml:6:", "sqlward.toml:9:"] {
            ensure!(text.contains(expected), "no `{expected}` in\n{text}");
        }
    }
    Ok(())
}

#[test]
fn an_unwritable_data_folder_keeps_it_from_starting() -> Result<()> {
    let folder = tempfile::tempdir()?;
    // A file where the folder should be stops root as well.
    let data = folder.path().join("data");
    fs::write(&data, "")?;
    let policy = folder.path().join("policy.toml");
    fs::write(&policy, proxy::RECORD_ALL)?;
    let listen = format!("postgres://127.0.0.1:{}", ports::free()?);
    let (policy, data) = (policy.display().to_string(), data.display().to_string());
    let output = run(&[
        "run",
        "--listen",
        &listen,
        "--upstream",
        "postgres://127.0.0.1:1",
        "--policy",
        &policy,
        "--data",
        &data,
    ])?;
    ensure!(!output.status.success(), "{output:?}");
    ensure!(error_of(&output).contains(&data), "{}", error_of(&output));
    Ok(())
}

/// sqlward without root's right to write everywhere: as an operator's mistake in ownership or mode meets it.
fn run_unprivileged(arguments: &[&str]) -> Result<Output> {
    if !rustix::process::geteuid().is_root() {
        return run(arguments);
    }
    Ok(Command::new("setpriv")
        .args([
            "--bounding-set=-dac_override,-dac_read_search,-fowner",
            "--",
        ])
        .arg(sqlward()?)
        .args(arguments)
        .output()?)
}

#[test]
fn a_store_that_is_not_writable_keeps_it_from_starting() -> Result<()> {
    let server = Server::start(&Options::default())?;
    let options = proxy::Options {
        policy: Policy::RecordAll,
        ..Default::default()
    };
    let mut proxy = Proxy::start(&[&server], &options)?;
    let mut raw = Raw::login(proxy.port(), TRUSTED_USER, &[])?;
    ensure!(raw.value("SELECT 1")? == "1");
    raw.terminate()?;
    proxy.stop()?;
    let data = proxy.data();
    let files = [data.clone(), data.join("store"), data.join("store/main.db")];
    for path in files {
        let mode = fs::metadata(&path)?.permissions().mode();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode & !0o222))?;
        let config = proxy.config_file().display().to_string();
        let output = run_unprivileged(&["run", "--config", &config])?;
        fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
        let told = error_of(&output);
        ensure!(!output.status.success(), "{}: it ran", path.display());
        // Which file, and what the system said of it.
        ensure!(
            told.contains(&path.display().to_string()),
            "{}: {told}",
            path.display()
        );
    }
    // Nothing was harmed: it starts again, and the records are whole.
    proxy.restart()?;
    proxy.stop()?;
    sqlward_tests::audit::verify(&data)
}

#[test]
fn systemd_is_told_when_clients_may_come() -> Result<()> {
    let server = Server::start(&Options::default())?;
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path)?;
    socket.set_read_timeout(Some(Duration::from_secs(10)))?;
    let options = proxy::Options {
        policy: Policy::RecordAll,
        environment: vec![("NOTIFY_SOCKET".into(), path.display().to_string())],
        ..Default::default()
    };
    let mut proxy = Proxy::start(&[&server], &options)?;
    let told = || -> Result<String> {
        let mut bytes = [0; 4096];
        let length = socket.recv(&mut bytes)?;
        Ok(String::from_utf8_lossy(bytes.get(..length).unwrap_or_default()).into_owned())
    };
    ensure!(told()?.lines().any(|line| line == "READY=1"));
    let mut raw = Raw::login(proxy.port(), TRUSTED_USER, &[])?;
    ensure!(raw.value("SELECT 1")? == "1");
    drop(raw);
    proxy.signal(rustix::process::Signal::TERM)?;
    ensure!(told()?.lines().any(|line| line == "STOPPING=1"));
    proxy.stop_after_signal()?;
    // One that can't start never says that it is ready.
    let output = Command::new(sqlward()?)
        .args(["run", "--config", "/nonexistent/sqlward.toml"])
        .env("NOTIFY_SOCKET", &path)
        .output()?;
    ensure!(!output.status.success());
    socket.set_nonblocking(true)?;
    ensure!(told().is_err(), "something was told");
    Ok(())
}

#[test]
fn the_data_folder_is_private_and_used_once() -> Result<()> {
    let server = Server::start(&Options::default())?;
    let options = proxy::Options {
        policy: Policy::RecordAll,
        ..Default::default()
    };
    let proxy = Proxy::start(&[&server], &options)?;
    let mode = fs::metadata(proxy.data())?.permissions().mode() & 0o777;
    ensure!(mode == 0o700, "{mode:o}");
    let listen = format!("postgres://127.0.0.1:{}", ports::free()?);
    let (policy, data) = (proxy.policy_file(), proxy.data());
    let output = run(&[
        "run",
        "--listen",
        &listen,
        "--upstream",
        "postgres://127.0.0.1:1",
        "--policy",
        &policy.display().to_string(),
        "--data",
        &data.display().to_string(),
    ])?;
    ensure!(
        !output.status.success(),
        "two proxies on one folder: {output:?}"
    );
    Ok(())
}

#[test]
fn a_drain_lets_a_running_statement_end() -> Result<()> {
    let server = Server::start(&Options::default())?;
    let options = proxy::Options {
        policy: Policy::RecordAll,
        ..Default::default()
    };
    let mut proxy = Proxy::start(&[&server], &options)?;
    let mut idle = Raw::login(proxy.port(), TRUSTED_USER, &[])?;
    let mut busy = Raw::login(proxy.port(), TRUSTED_USER, &[])?;
    busy.send(&sqlward_tests::raw::query("SELECT pg_sleep(1), 5"))?;
    sqlward_tests::process::until("the server sleeps", Duration::from_secs(10), || {
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
        Ok((server.psql("postgres", sql)? == "1").then_some(()))
    })?;
    proxy.signal(rustix::process::Signal::TERM)?;
    let goodbye = idle.until_closed()?;
    ensure!(
        goodbye.iter().any(|one| one.sqlstate() == "57P01"),
        "{goodbye:?}"
    );
    let answer = busy.until_closed()?;
    ensure!(
        answer.iter().any(|one| one.tag == b'D'),
        "the statement was cut off: {answer:?}"
    );
    proxy.stop_after_signal()?;
    let rows = proxy.audit(&["sql", "SELECT text FROM statements"])?;
    ensure!(
        rows.iter()
            .any(|row| row.to_string().contains("pg_sleep(1)")),
        "{rows:?}"
    );
    Ok(())
}
