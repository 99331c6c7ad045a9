//! The sqlward binary as a child process: generated configuration, readiness, signals, audit.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::certificates::Certificates;
use crate::endpoint::Endpoint;
use crate::mysql;
use crate::paths;
use crate::ports;
use crate::process::{Process, until};
use crate::server::Server;

/// Which policy a proxy enforces.
#[derive(Clone, Debug)]
pub enum Policy {
    /// The pack that ships with sqlward.
    Baseline,
    /// These packs of `rules/`.
    Packs(&'static [&'static str]),
    /// Everything passes and is recorded, unreadable statements, function calls and replication too.
    RecordAll,
    /// This text.
    Text(String),
}

/// What a test wants of its proxy.
#[derive(Clone, Debug)]
pub struct Options {
    /// The policy.
    pub policy: Policy,
    /// What clients and servers speak: `postgres` or `mysql`.
    pub protocol: &'static str,
    /// TLS mode towards clients: `disable`, `prefer` or `require`.
    pub client_tls: &'static str,
    /// TLS mode towards the servers: `disable`, `prefer`, `require`, `verify-ca`, `verify-full`.
    pub server_tls: &'static str,
    /// Lines for the `[limits]` table.
    pub limits: String,
    /// Lines for the `[audit]` table.
    pub audit: String,
    /// Lines for each `[upstream.tls]` table.
    pub upstream_tls: String,
    /// What it shows to clients; a certificate of its own if absent.
    pub shown: Option<Certificates>,
    /// Its environment, besides what it inherits.
    pub environment: Vec<(String, String)>,
    /// A program, with arguments, that starts it.
    pub starter: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            policy: Policy::Baseline,
            protocol: "postgres",
            client_tls: "prefer",
            server_tls: "prefer",
            limits: String::new(),
            audit: String::new(),
            upstream_tls: String::new(),
            shown: None,
            environment: Vec::new(),
            starter: Vec::new(),
        }
    }
}

/// A running proxy: one listener per upstream port.
#[derive(Debug)]
pub struct Proxy {
    process: Process,
    folder: TempDir,
    ports: Vec<u16>,
    admin: u16,
    certificates: Certificates,
    options: Options,
}

impl Proxy {
    /// Starts a proxy in front of `servers`.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn start(servers: &[&Server], options: &Options) -> Result<Self> {
        let authority = servers.iter().find_map(|server| server.certificates());
        let upstreams: Vec<u16> = servers.iter().map(|server| server.port()).collect();
        Self::start_at(&upstreams, authority, options)
    }

    /// Starts a proxy in front of a MySQL or MariaDB server.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn before(server: &mysql::Server, options: &Options) -> Result<Self> {
        let options = Options {
            protocol: "mysql",
            ..options.clone()
        };
        Self::start_at(&[server.port()], server.certificates(), &options)
    }

    /// Starts a proxy in front of whatever listens (or does not) on `upstreams`.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn start_at(
        upstreams: &[u16],
        authority: Option<&Certificates>,
        options: &Options,
    ) -> Result<Self> {
        let mut last = None;
        for _ in 0..ATTEMPTS {
            let folder = tempfile::Builder::new()
                .prefix("sqlward-proxy-")
                .tempdir()?;
            let certificates = match &options.shown {
                Some(shown) => shown.clone(),
                None => Certificates::create(folder.path())?,
            };
            let ports = upstreams
                .iter()
                .map(|_| ports::free())
                .collect::<Result<Vec<u16>>>()?;
            let admin = ports::free()?;
            let files = Files {
                folder: folder.path(),
                certificates: &certificates,
                authority,
            };
            files.write(&ports, upstreams, admin, options)?;
            match launch(folder.path(), &ports, admin, options) {
                Ok(process) => {
                    return Ok(Self {
                        process,
                        folder,
                        ports,
                        admin,
                        certificates,
                        options: options.clone(),
                    });
                }
                Err(error) => last = Some(error),
            }
        }
        Err(last.context("no attempt was made")?)
    }

    /// The port of the first listener.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.ports.first().copied().unwrap_or_default()
    }

    /// The ports of the listeners, in the order of the servers.
    #[must_use]
    pub fn ports(&self) -> &[u16] {
        &self.ports
    }

    /// The certificates that the proxy shows to clients.
    #[must_use]
    pub fn certificates(&self) -> &Certificates {
        &self.certificates
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// The folder of the journal and the store.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The policy file, for tests that change it.
    #[must_use]
    pub fn policy_file(&self) -> PathBuf {
        self.folder.path().join("policy.toml")
    }

    /// Its configuration file.
    #[must_use]
    pub fn config_file(&self) -> PathBuf {
        self.folder.path().join("sqlward.toml")
    }

    /// Its log so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.output()
    }

    /// A login without TLS.
    #[must_use]
    pub fn endpoint(&self, user: &str) -> Endpoint {
        Endpoint {
            port: self.port(),
            user: user.to_owned(),
            authority: None,
            refuses: true,
        }
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// When it is gone.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        self.process.signal(signal)
    }

    /// Kills it as a crash would.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn kill(&mut self) -> Result<()> {
        self.process.kill()
    }

    /// Starts it again over the same folder and ports, after [`Proxy::kill`] or [`Proxy::stop`].
    ///
    /// # Errors
    /// When it does not come up.
    pub fn restart(&mut self) -> Result<()> {
        self.process = launch(self.folder.path(), &self.ports, self.admin, &self.options)?;
        Ok(())
    }

    /// Starts it again, and kills it `after` that: while it recovers, seals days, ships and signs what it finds.
    ///
    /// # Errors
    /// When it can't be started, or ends by itself before.
    pub fn crash_while_starting(&mut self, after: Duration) -> Result<()> {
        self.process = Process::start("sqlward", command(self.folder.path(), &self.options)?)?;
        std::thread::sleep(after);
        if let Some(status) = self.process.ended()? {
            bail!("sqlward ended, {status}:\n{}", self.log());
        }
        self.kill()
    }

    /// Drains it: every record is in the store when this returns.
    ///
    /// # Errors
    /// When it does not end in good order.
    pub fn stop(&mut self) -> Result<()> {
        self.process.signal(Signal::TERM)?;
        self.stop_after_signal()
    }

    /// Waits for its end in good order, after a signal that asks for it.
    ///
    /// # Errors
    /// When it does not end, or not in good order.
    pub fn stop_after_signal(&mut self) -> Result<()> {
        let status = self.process.wait(STOP_LIMIT)?;
        if !status.success() {
            bail!("sqlward ended, {status}:\n{}", self.log());
        }
        Ok(())
    }

    /// Whether it still runs.
    ///
    /// # Errors
    /// When the system can't tell.
    pub fn running(&mut self) -> Result<bool> {
        Ok(self.process.ended()?.is_none())
    }

    /// Resident memory in bytes.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn resident(&self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = line
            .and_then(|rest| rest.split_whitespace().next())
            .context("no VmRSS")?;
        Ok(kilobytes.parse::<u64>()? * 1024)
    }

    /// One figure of `/metrics`.
    ///
    /// # Errors
    /// When the endpoint does not answer or has no such metric.
    pub fn metric(&self, name: &str) -> Result<f64> {
        let page = get(self.admin, "/metrics")?;
        let line = page.lines().find(|line| {
            line.strip_prefix(name)
                .is_some_and(|rest| rest.starts_with(' '))
        });
        let line = line.with_context(|| format!("no metric `{name}` in\n{page}"))?;
        Ok(line.rsplit(' ').next().context("no value")?.parse()?)
    }

    /// Runs `sqlward audit …` on its data; one JSON value per line of output.
    ///
    /// # Errors
    /// When the command fails.
    pub fn audit(&self, arguments: &[&str]) -> Result<Vec<Value>> {
        audit(&self.data(), arguments)
    }
}

/// Runs `sqlward audit …` on a data folder; one JSON value per line of output.
///
/// # Errors
/// When the command fails.
pub fn audit(data: &Path, arguments: &[&str]) -> Result<Vec<Value>> {
    let mut command = Command::new(paths::sqlward()?);
    command.arg("audit").args(arguments).arg("--data").arg(data);
    command.args(["--format", "json"]);
    let text = crate::process::run(&mut command)?;
    text.lines()
        .map(|line| serde_json::from_str(line).with_context(|| format!("not JSON: {line}")))
        .collect()
}

struct Files<'a> {
    folder: &'a Path,
    certificates: &'a Certificates,
    authority: Option<&'a Certificates>,
}

impl Files<'_> {
    fn write(&self, ports: &[u16], upstreams: &[u16], admin: u16, options: &Options) -> Result<()> {
        let policy = match &options.policy {
            Policy::Baseline => vec![paths::repository().join("rules/baseline")],
            Policy::Packs(names) => names
                .iter()
                .map(|name| paths::repository().join("rules").join(name))
                .collect(),
            Policy::RecordAll => vec![self.policy(RECORD_ALL)?],
            Policy::Text(text) => vec![self.policy(text)?],
        };
        let data = self.folder.join("data");
        let mut text = format!(
            "data_dir = {data:?}\npolicy = {policy:?}\nworkers = 2\n\
             [admin]\nlisten = \"127.0.0.1:{admin}\"\n[log]\nformat = \"json\"\n\
             [limits]\n{}\n[audit]\n{}\n",
            options.limits, options.audit
        );
        for (number, (port, upstream)) in ports.iter().zip(upstreams).enumerate() {
            text.push_str(&format!(
                "[[listener]]\nname = \"l{number}\"\naddress = \"127.0.0.1:{port}\"\n\
                 upstream = \"u{number}\"\nprotocol = \"{}\"\n",
                options.protocol
            ));
            if options.client_tls != "disable" {
                text.push_str(&format!(
                    "[listener.tls]\nmode = \"{}\"\ncertificate = {:?}\nkey = {:?}\n",
                    options.client_tls, self.certificates.certificate, self.certificates.key
                ));
            }
            text.push_str(&format!(
                "[[upstream]]\nname = \"u{number}\"\naddress = \"127.0.0.1:{upstream}\"\n\
                 [upstream.tls]\nmode = \"{}\"\n{}\n",
                options.server_tls, options.upstream_tls
            ));
            if let (true, Some(made)) = (options.server_tls.starts_with("verify"), self.authority) {
                text.push_str(&format!("ca = {:?}\n", made.authority));
            }
        }
        fs::write(self.folder.join("sqlward.toml"), text)?;
        Ok(())
    }

    fn policy(&self, text: &str) -> Result<PathBuf> {
        let path = self.folder.join("policy.toml");
        fs::write(&path, text)?;
        Ok(path)
    }
}

fn command(folder: &Path, options: &Options) -> Result<Command> {
    let mut command = Command::new("setpriv");
    command
        .args(["--pdeathsig", "KILL", "--"])
        .args(&options.starter)
        .arg(paths::sqlward()?);
    command
        .args(["run", "--config"])
        .arg(folder.join("sqlward.toml"))
        .envs(options.environment.iter().cloned());
    Ok(command)
}

fn launch(folder: &Path, ports: &[u16], admin: u16, options: &Options) -> Result<Process> {
    let mut process = Process::start("sqlward", command(folder, options)?)?;
    let ready = until("sqlward listens", START_LIMIT, || {
        if let Some(status) = process.ended()? {
            bail!("sqlward ended, {status}");
        }
        let listening = process
            .output()
            .matches("\"message\":\"listening\"")
            .count();
        Ok((listening >= ports.len() && get(admin, "/healthz").is_ok()).then_some(()))
    });
    ready.with_context(|| process.output())?;
    Ok(process)
}

/// The body of a page of the admin endpoint.
fn get(port: u16, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    )?;
    let mut page = String::new();
    stream.read_to_string(&mut page)?;
    let (head, body) = page.split_once("\r\n\r\n").context("no HTTP answer")?;
    if !head.starts_with("HTTP/1.1 200") {
        bail!("{path}: {head}");
    }
    Ok(body.to_owned())
}

const ATTEMPTS: usize = 3;
const START_LIMIT: Duration = Duration::from_secs(30);
const STOP_LIMIT: Duration = Duration::from_secs(60);

/// Everything passes and is recorded.
pub const RECORD_ALL: &str = r#"schema = 1

[defaults]
action = "allow"
unreadable = "allow"

[[rule]]
id = "record-function-calls"
when = { verb = ["function-call"] }
action = "allow"

[[rule]]
id = "record-replication"
when = { verb = ["replication"] }
action = "allow"
"#;
