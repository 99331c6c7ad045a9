//! `sqlward demo`: an ephemeral PostgreSQL, the proxy in front of it, a short real session, and the audit's answer.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use tempfile::TempDir;

/// How long a server may take to start or stop.
const PATIENCE: Duration = Duration::from_secs(30);

/// Start an ephemeral PostgreSQL and the proxy, and show a refusal and its record.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  sqlward demo --policy rules/baseline\n\nLeaves nothing running and nothing on disk."
)]
pub(crate) struct Demo {
    /// Policy to put in force.
    #[arg(long, value_name = "PATH", default_value = "rules/baseline")]
    policy: PathBuf,
}

impl Demo {
    /// Play the demo.
    pub(crate) fn run(self) -> Result<ExitCode> {
        ensure!(
            self.policy.exists(),
            "`{}` does not exist: name the baseline pack with --policy",
            self.policy.display()
        );
        let scene = Scene::set(&self.policy)?;
        scene.play()?;
        Ok(ExitCode::SUCCESS)
    }
}

/// A child that is ended, by its pid, when the demo is over however it ends.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let pid = self.0.id().to_string();
        let asked = Command::new("kill").args(["-TERM", &pid]).status();
        let deadline = Instant::now() + PATIENCE;
        while asked.is_ok() && Instant::now() < deadline {
            match self.0.try_wait() {
                Ok(None) => thread::sleep(Duration::from_millis(20)),
                Ok(Some(_)) | Err(_) => return,
            }
        }
        // It did not go when asked.
        if self.0.kill().is_ok() {
            drop(self.0.wait());
        }
    }
}

struct Scene {
    proxy: Option<Running>,
    _server: Running,
    port: u16,
    psql: PathBuf,
    data: PathBuf,
    _folder: TempDir,
}

impl Scene {
    fn set(policy: &Path) -> Result<Self> {
        let bin = server_binaries()?;
        let folder = TempDir::with_prefix("sqlward-demo-")?;
        // The server runs as another user when we are root, and must be able to pass through.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o711))?;
        say("starting an ephemeral PostgreSQL");
        let (server, server_port) = start_server(&bin, folder.path())?;
        let psql = bin.join("psql");
        for sql in ["CREATE ROLE app LOGIN; CREATE DATABASE shop OWNER app"]
            .iter()
            .flat_map(|script| script.split(';'))
        {
            quiet(
                Command::new(&psql)
                    .args(connection(server_port, "postgres", "postgres"))
                    .args(["-c", sql]),
            )?;
        }
        say("starting sqlward in front of it, with the baseline pack");
        let data = folder.path().join("audit");
        let (proxy, port) = start_proxy(policy, server_port, &data)?;
        Ok(Self {
            proxy: Some(proxy),
            _server: server,
            port,
            psql,
            data,
            _folder: folder,
        })
    }

    fn play(mut self) -> Result<()> {
        say("an application works as usual");
        self.session(&[
            "CREATE TABLE accounts (id int PRIMARY KEY, owner text, balance numeric)",
            "INSERT INTO accounts SELECT n, 'owner ' || n, n * 10 FROM generate_series(1, 100) n",
            "UPDATE accounts SET balance = balance - 5 WHERE id = 7",
            "SELECT count(*), sum(balance) FROM accounts",
        ])?;
        say(
            "and then somebody forgets the WHERE, disguises its absence, and goes after the passwords",
        );
        self.session(&[
            "DELETE FROM accounts",
            "UPDATE accounts SET balance = 0 WHERE 1 = 1 OR id = 7",
            "SELECT rolname, rolpassword FROM pg_authid",
            "SELECT count(*) FROM accounts",
        ])?;
        // Stopping the proxy ships every record.
        self.proxy = None;
        say("who was refused what, and by which rule?");
        self.audit(&["search", "--decision", "deny", "--format", "table"])?;
        say("who does how much?");
        self.audit(&[
            "top",
            "--by",
            "verb",
            "--measure",
            "count",
            "--format",
            "table",
        ])?;
        say("done; nothing is left running");
        Ok(())
    }

    fn session(&self, statements: &[&str]) -> Result<()> {
        for statement in statements {
            println!("\nshop=> {statement};");
            let mut command = Command::new(&self.psql);
            command
                .args(connection(self.port, "app", "shop"))
                .args(["-c", statement]);
            let output = command.output().context("psql")?;
            std::io::stdout().write_all(&output.stdout)?;
            std::io::stdout().write_all(&output.stderr)?;
        }
        Ok(())
    }

    fn audit(&self, arguments: &[&str]) -> Result<()> {
        println!("\n$ sqlward audit {} --data …", arguments.join(" "));
        let status = Command::new(std::env::current_exe()?)
            .arg("audit")
            .args(arguments)
            .arg("--data")
            .arg(&self.data)
            .status()?;
        ensure!(status.success(), "the audit query failed");
        Ok(())
    }
}

fn say(text: &str) {
    println!("\n── {text}");
}

fn connection(port: u16, user: &str, database: &str) -> Vec<String> {
    let target =
        format!("host=127.0.0.1 port={port} user={user} dbname={database} application_name=demo");
    vec!["-X".into(), "-d".into(), target]
}

fn quiet(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    if !output.status.success() {
        bail!(
            "{command:?} failed:\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
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
    let deadline = Instant::now() + PATIENCE;
    let ready = || {
        Command::new(bin.join("psql"))
            .args(connection(port, "postgres", "postgres"))
            .args(["-c", ""])
            .output()
    };
    while !ready()?.status.success() {
        ensure!(
            Instant::now() < deadline,
            "PostgreSQL did not start in {} s",
            PATIENCE.as_secs()
        );
        thread::sleep(Duration::from_millis(50));
    }
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

fn start_proxy(policy: &Path, server_port: u16, data: &Path) -> Result<(Running, u16)> {
    let port = free_port()?;
    let mut command = Command::new(std::env::current_exe()?);
    command
        .arg("run")
        .args(["--listen", &format!("postgres://127.0.0.1:{port}")])
        .args(["--upstream", &format!("postgres://127.0.0.1:{server_port}")])
        .args(["--log", "text"])
        .arg("--policy")
        .arg(policy)
        .arg("--data")
        .arg(data)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut child = command.spawn().context("sqlward run")?;
    let stderr = child.stderr.take().context("sqlward's log")?;
    let running = Running(child);
    let mut log = String::new();
    let mut lines = BufReader::new(stderr).lines();
    for line in lines.by_ref() {
        let line = line?;
        if line.contains("listening") {
            // Keep the pipe empty, so that the proxy never waits for us to read its log.
            thread::spawn(move || lines.for_each(drop));
            return Ok((running, port));
        }
        log.push_str(&line);
        log.push('\n');
    }
    bail!("sqlward did not start:\n{log}")
}

/// A port below the ephemeral range that nobody listens on.
fn free_port() -> Result<u16> {
    let start = 20_000 + u16::try_from(std::process::id() % 10_000)?;
    (start..32_000)
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .context("no free port below 32000")
}
