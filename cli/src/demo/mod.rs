//! `sqlward demo`: an ephemeral server, the proxy in front of it, a short real session, and the audit's answer.

mod mysql;
mod postgres;

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, ValueEnum};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// How long a server may take to start or stop.
const PATIENCE: Duration = Duration::from_secs(30);

/// Start an ephemeral server and the proxy, and show a refusal and its record.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sqlward demo --policy rules/baseline
  sqlward demo --engine mysql
  sqlward demo --engine mariadb

Leaves nothing running and nothing on disk.")]
pub(crate) struct Demo {
    /// Policy to put in force.
    #[arg(long, value_name = "PATH", default_value = "rules/baseline")]
    policy: PathBuf,
    /// The database server.
    #[arg(long, value_enum, default_value = "postgres")]
    engine: Product,
}

/// The server that the demo starts.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Product {
    Postgres,
    Mysql,
    Mariadb,
}

impl Demo {
    /// Play the demo.
    pub(crate) fn run(self) -> Result<ExitCode> {
        ensure!(
            self.policy.exists(),
            "`{}` does not exist: name the baseline pack with --policy",
            self.policy.display()
        );
        let scene = Scene::set(&self.policy, self.engine)?;
        match self.engine {
            Product::Postgres => scene.play(&postgres::USUAL, &postgres::DANGEROUS)?,
            Product::Mysql | Product::Mariadb => scene.play(&mysql::USUAL, &mysql::DANGEROUS)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// A running server, and how its client is started.
struct Engine {
    server: Running,
    port: u16,
    /// The scheme of its addresses.
    scheme: &'static str,
    /// The command that runs a statement as the application, at a port.
    client: Client,
}

type Client = Box<dyn Fn(u16, &str) -> Command>;

/// A child that is ended, by its pid, when the demo is over however it ends.
struct Running(Child);

impl Running {
    /// Ask it to end, and wait until it has.
    fn stop(&mut self) -> Result<()> {
        kill_process(Pid::from_child(&self.0), Signal::TERM)?;
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(status) = self.0.try_wait()? {
                ensure!(status.success(), "it ended with {status}");
                return Ok(());
            }
            thread::sleep(Duration::from_millis(20));
        }
        bail!("it did not end in {} s", PATIENCE.as_secs())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let gone = matches!(self.0.try_wait(), Ok(Some(_)));
        // It did not go when asked.
        if !gone && self.stop().is_err() && self.0.kill().is_ok() {
            drop(self.0.wait());
        }
    }
}

struct Scene {
    proxy: Running,
    _server: Running,
    port: u16,
    client: Client,
    data: PathBuf,
    _folder: TempDir,
}

impl Scene {
    fn set(policy: &Path, product: Product) -> Result<Self> {
        let folder = TempDir::with_prefix("sqlward-demo-")?;
        // The server runs as another user when we are root, and must be able to pass through.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o711))?;
        say(match product {
            Product::Postgres => "starting an ephemeral PostgreSQL",
            Product::Mysql => "starting an ephemeral MySQL",
            Product::Mariadb => "starting an ephemeral MariaDB",
        });
        let engine = match product {
            Product::Postgres => postgres::start(folder.path())?,
            Product::Mysql => mysql::start(mysql::Family::Mysql, folder.path())?,
            Product::Mariadb => mysql::start(mysql::Family::Mariadb, folder.path())?,
        };
        say("starting sqlward in front of it, with the baseline pack");
        let data = folder.path().join("audit");
        let (proxy, port) = start_proxy(policy, &engine, &data)?;
        Ok(Self {
            proxy,
            _server: engine.server,
            port,
            client: engine.client,
            data,
            _folder: folder,
        })
    }

    fn play(mut self, usual: &[&str], dangerous: &[&str]) -> Result<()> {
        say("an application works as usual");
        self.session(usual)?;
        say(
            "and then somebody forgets the WHERE, disguises its absence, and goes after the passwords",
        );
        self.session(dangerous)?;
        // Stopping the proxy ships every record.
        self.proxy.stop().context("stopping sqlward")?;
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
            let mut command = (self.client)(self.port, statement);
            let output = command.output().context("the client")?;
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

fn start_proxy(policy: &Path, engine: &Engine, data: &Path) -> Result<(Running, u16)> {
    let port = free_port()?;
    let mut command = Command::new(std::env::current_exe()?);
    command
        .arg("run")
        .args(["--listen", &format!("{}://127.0.0.1:{port}", engine.scheme)])
        .args([
            "--upstream",
            &format!("{}://127.0.0.1:{}", engine.scheme, engine.port),
        ])
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

/// Wait until the server answers the client that `probe` makes.
fn wait_for(what: &str, probe: impl Fn() -> Command) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !probe().output()?.status.success() {
        ensure!(
            Instant::now() < deadline,
            "{what} did not start in {} s",
            PATIENCE.as_secs()
        );
        thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// A port below the ephemeral range that nobody listens on.
fn free_port() -> Result<u16> {
    let start = 20_000 + u16::try_from(std::process::id() % 10_000)?;
    (start..32_000)
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .context("no free port below 32000")
}
