//! A throw-away PostgreSQL server: its own folder, its own port, gone with the value.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::certificates::Certificates;
use crate::paths::Release;
use crate::ports;
use crate::process::{Process, run, until};
use crate::template;

/// What a test wants of its server.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The server takes TLS connections with [`Server::certificates`].
    pub tls: bool,
    /// The server records every statement, for [`crate::oracle`].
    pub record: bool,
    /// The cluster as initdb makes it, without the fixture.
    pub bare: bool,
    /// Further settings, `name = value` as in postgresql.conf.
    pub settings: Vec<(String, String)>,
    /// Which PostgreSQL.
    pub release: Release,
}

/// A running server with the fixture of `fixture.sql` in the database `app`.
#[derive(Debug)]
pub struct Server {
    process: Process,
    port: u16,
    certificates: Option<Certificates>,
    folder: TempDir,
    release: Release,
}

/// The database that holds the fixture.
pub const DATABASE: &str = "app";
/// The superuser; needs no password from the loopback address.
pub const ADMIN: &str = "postgres";
/// A user who authenticates with SCRAM-SHA-256.
pub const SCRAM_USER: &str = "app_scram";
/// A user who authenticates with md5.
pub const MD5_USER: &str = "app_md5";
/// A user who authenticates with a cleartext password.
pub const CLEAR_USER: &str = "app_clear";
/// A user without a password.
pub const TRUSTED_USER: &str = "app_trusted";
/// The password of every user who has one.
pub const PASSWORD: &str = "correct horse battery staple";

impl Server {
    /// Starts a server.
    ///
    /// # Errors
    /// When PostgreSQL is not installed (`make setup`) or does not come up.
    pub fn start(options: &Options) -> Result<Self> {
        let template = template(options.release, options.bare)?;
        let mut last = None;
        for _ in 0..ATTEMPTS {
            match Self::try_start(&template, options) {
                Ok(server) => return Ok(server),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| anyhow::anyhow!("no attempt was made")))
    }

    fn try_start(template: &Path, options: &Options) -> Result<Self> {
        let folder = private_folder()?;
        let data = folder.path().join("data");
        template::copy(template, &data)?;
        let certificates = if options.tls {
            Some(server_certificates(folder.path())?)
        } else {
            None
        };
        let port = ports::free()?;
        let mut settings = BASE
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec();
        settings.push(("port".into(), port.to_string()));
        settings.push(("unix_socket_directories".into(), quoted(folder.path())));
        if let Some(made) = &certificates {
            settings.push(("ssl".into(), "on".into()));
            settings.push(("ssl_cert_file".into(), quoted(&made.certificate)));
            settings.push(("ssl_key_file".into(), quoted(&made.key)));
        }
        if options.record {
            settings.extend(RECORD.map(|(name, value)| (name.to_owned(), value.to_owned())));
        }
        settings.extend(options.settings.iter().cloned());
        let text: String = settings
            .iter()
            .map(|(name, value)| format!("{name} = {value}\n"))
            .collect();
        fs::write(data.join("postgresql.auto.conf"), text)?;
        fs::write(data.join("pg_hba.conf"), HBA)?;

        let mut command = as_server_user_of(options.release, "postgres")?;
        command.arg("-D").arg(&data);
        let mut process = Process::start("postgres", command)?;
        let ready = until("the server accepts connections", START_LIMIT, || {
            if let Some(status) = process.ended()? {
                bail!("postgres ended, {status}:\n{}", process.output());
            }
            // The eighth line of the lock file says "ready" once connections are accepted.
            let lock = fs::read_to_string(data.join("postmaster.pid")).unwrap_or_default();
            Ok(lock
                .lines()
                .nth(7)
                .is_some_and(|state| state.trim() == "ready")
                .then_some(()))
        });
        ready.with_context(|| process.output())?;
        Ok(Self {
            process,
            port,
            certificates,
            folder,
            release: options.release,
        })
    }

    /// The TCP port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The certificates of a server with TLS.
    #[must_use]
    pub fn certificates(&self) -> Option<&Certificates> {
        self.certificates.as_ref()
    }

    /// The server's folder, which it can write to.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The files of the server's own record, oldest first.
    ///
    /// # Errors
    /// When the folder can't be read.
    pub fn record_files(&self) -> Result<Vec<PathBuf>> {
        let mut files: Vec<PathBuf> = fs::read_dir(self.folder.path().join("data/log"))?
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<std::io::Result<_>>()?;
        files.retain(|path| {
            path.extension()
                .is_some_and(|extension| extension == "json")
        });
        files.sort();
        Ok(files)
    }

    /// Runs SQL as the superuser, past any proxy; the unaligned output.
    ///
    /// # Errors
    /// When psql reports one.
    pub fn psql(&self, database: &str, sql: &str) -> Result<String> {
        let mut command = Command::new(self.release.program("psql"));
        command.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h"]);
        command
            .arg(self.folder.path())
            .args(["-p", &self.port.to_string(), "-U", ADMIN]);
        command.args(["-d", database, "-c", sql]);
        Ok(run(&mut command)?.trim_end().to_owned())
    }

    /// Stops the server in order, so that its record is complete.
    ///
    /// # Errors
    /// When it does not stop.
    pub fn stop(&mut self) -> Result<()> {
        self.process.signal(Signal::INT)?;
        self.process.wait(START_LIMIT)?;
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // An immediate shutdown takes the backends along; SIGKILL follows if it does not help.
        if self.process.signal(Signal::QUIT).is_ok() {
            let _ended = self.process.wait(Duration::from_secs(5));
        }
    }
}

/// An initialised cluster, made once per build folder and copied by every test.
fn template(release: Release, bare: bool) -> Result<PathBuf> {
    let version = run(Command::new(release.program("postgres")).arg("--version"))
        .context("PostgreSQL's server programs are missing: run `make setup`")?;
    let stamp = format!("{version}{FIXTURE}{HBA}");
    let name = match (release, bare) {
        (Release::Installed, true) => "bare",
        (Release::Installed, false) => "template",
        (Release::Newer, true) => "bare-18",
        (Release::Newer, false) => "template-18",
    };
    template::cached(name, &stamp, |ready| initialise(release, ready, bare))
}

fn initialise(release: Release, ready: &Path, bare: bool) -> Result<()> {
    let folder = private_folder()?;
    let data = folder.path().join("data");
    let mut initdb = as_server_user_of(release, "initdb")?;
    initdb.args([
        "--no-sync",
        "--auth=trust",
        "--locale=C",
        "--encoding=UTF8",
        "-U",
        ADMIN,
    ]);
    run(initdb.arg("-D").arg(&data))?;
    if !bare {
        single_user(release, &data, "postgres", CREATE)?;
        single_user(release, &data, DATABASE, FIXTURE)?;
    }
    template::copy(&data, ready)
}

/// Runs a script in single-user mode: no port, no socket, no waiting.
fn single_user(release: Release, data: &Path, database: &str, sql: &str) -> Result<()> {
    let script = data.with_extension("sql");
    fs::write(&script, sql)?;
    let mut command = as_server_user_of(release, "postgres")?;
    // -j: a statement ends at a semicolon followed by an empty line.
    command.args([
        "--single",
        "-j",
        "-c",
        "exit_on_error=on",
        "-c",
        "fsync=off",
        "-D",
    ]);
    command.arg(data).arg(database).stdin(File::open(&script)?);
    run(&mut command)?;
    Ok(())
}

/// A temporary folder that belongs to the user the server runs as.
fn private_folder() -> Result<TempDir> {
    let folder = tempfile::Builder::new().prefix("sqlward-pg-").tempdir()?;
    if let Some((uid, gid)) = server_user()? {
        chown(folder.path(), Some(uid), Some(gid))?;
    }
    Ok(folder)
}

fn server_certificates(folder: &Path) -> Result<Certificates> {
    let made = Certificates::create(folder)?;
    if let Some((uid, gid)) = server_user()? {
        for path in [&made.authority, &made.certificate, &made.key] {
            chown(path, Some(uid), Some(gid))?;
        }
    }
    fs::set_permissions(&made.key, PermissionsExt::from_mode(0o600))?;
    Ok(made)
}

/// The server refuses to run as root: then it runs as `postgres` or `nobody`.
///
/// # Errors
/// When neither user exists.
pub fn server_user() -> Result<Option<(u32, u32)>> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let users = fs::read_to_string("/etc/passwd")?;
    for wanted in ["postgres", "nobody"] {
        for line in users.lines() {
            let mut fields = line.split(':');
            let (name, uid, gid) = (fields.next(), fields.nth(1), fields.next());
            if let (Some(name), Some(uid), Some(gid)) = (name, uid, gid)
                && name == wanted
            {
                return Ok(Some((uid.parse()?, gid.parse()?)));
            }
        }
    }
    bail!("neither the user postgres nor nobody exists, and the server refuses to run as root")
}

/// A program, run as the server's user and killed by the kernel when the thread that
/// started it ends: a test that dies leaves no server behind.
///
/// # Errors
/// When the system's users can't be read.
pub fn as_server_user(program: impl AsRef<OsStr>) -> Result<Command> {
    run_as_server_user(program.as_ref(), &[])
}

fn as_server_user_of(release: Release, program: &str) -> Result<Command> {
    let capabilities: &[&str] = match release {
        Release::Installed => &[],
        // Its programs are below the repository, which may lie where only root can look.
        Release::Newer => &[
            "--securebits=+no_setuid_fixup",
            "--inh-caps=+dac_read_search",
            "--ambient-caps=+dac_read_search",
        ],
    };
    run_as_server_user(release.program(program).as_os_str(), capabilities)
}

/// `capabilities`: options of setpriv, used where root becomes the server's user.
fn run_as_server_user(program: &OsStr, capabilities: &[&str]) -> Result<Command> {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]);
    if let Some((uid, gid)) = server_user()? {
        command
            .arg(format!("--reuid={uid}"))
            .arg(format!("--regid={gid}"))
            .arg("--clear-groups")
            .args(capabilities);
    }
    command
        .arg("--")
        .arg(program)
        .env("LC_ALL", "C")
        .current_dir("/");
    Ok(command)
}

fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', "''"))
}

const ATTEMPTS: usize = 4;
const START_LIMIT: Duration = Duration::from_secs(60);

const BASE: [(&str, &str); 12] = [
    ("listen_addresses", "'127.0.0.1'"),
    ("fsync", "off"),
    ("full_page_writes", "off"),
    ("synchronous_commit", "off"),
    ("shared_buffers", "32MB"),
    ("max_connections", "120"),
    ("autovacuum", "off"),
    ("wal_level", "logical"),
    ("max_wal_senders", "4"),
    ("max_prepared_transactions", "4"),
    ("compute_query_id", "off"),
    ("lc_messages", "'C'"),
];

const RECORD: [(&str, &str); 10] = [
    ("logging_collector", "on"),
    ("log_destination", "'jsonlog'"),
    ("log_rotation_size", "0"),
    ("log_statement", "'all'"),
    ("log_duration", "on"),
    ("log_connections", "on"),
    ("log_disconnections", "on"),
    ("log_replication_commands", "on"),
    ("log_parameter_max_length", "-1"),
    ("log_error_verbosity", "'verbose'"),
];

const HBA: &str = "\
local all all trust
host all postgres,app_trusted 127.0.0.1/32 trust
host all app_md5 127.0.0.1/32 md5
host all app_clear 127.0.0.1/32 password
host all all 127.0.0.1/32 scram-sha-256
host replication postgres,app_trusted 127.0.0.1/32 trust
";

const CREATE: &str = "CREATE DATABASE app;\n\n";
const FIXTURE: &str = include_str!("fixture.sql");
