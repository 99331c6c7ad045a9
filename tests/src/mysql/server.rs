//! A throw-away MySQL or MariaDB server: its own folder, its own port, gone with the value.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::process::Signal;
use tempfile::TempDir;

use super::product::Product;
use crate::certificates::Certificates;
use crate::ports;
use crate::process::{Process, run, until};
use crate::server::PASSWORD;
use crate::template;

/// Where the server records every statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record {
    /// Nowhere.
    Off,
    /// The general log, in a file: [`Server::general_log`].
    File,
    /// The general log, in the table `mysql.general_log`.
    Table,
    /// The general log in a file and MariaDB's server_audit: [`Server::audit_log`].
    FileAndAudit,
}

/// What a test wants of its server.
#[derive(Clone, Debug)]
pub struct Options {
    /// The product.
    pub product: Product,
    /// The server takes TLS connections with [`Server::certificates`]; otherwise it offers none.
    pub tls: bool,
    /// Where the server records every statement, for [`super::record`].
    pub record: Record,
    /// The server as its own tools initialise it, without the fixture.
    pub bare: bool,
    /// Further settings, `name=value` as in an option file.
    pub settings: Vec<String>,
}

impl Options {
    /// A server of this product without TLS and record.
    #[must_use]
    pub fn new(product: Product) -> Self {
        Self {
            product,
            tls: false,
            record: Record::Off,
            bare: false,
            settings: Vec::new(),
        }
    }
}

/// A running server with the tables of `fixture.sql` in the database `app`.
#[derive(Debug)]
pub struct Server {
    process: Process,
    product: Product,
    port: u16,
    certificates: Option<Certificates>,
    folder: TempDir,
}

/// The superuser: without a password, from the loopback address and the socket.
pub const ADMIN: &str = "root";

impl Server {
    /// Starts a server.
    ///
    /// # Errors
    /// When the product is not there (`make setup`) or does not come up.
    pub fn start(options: &Options) -> Result<Self> {
        let template = template(options.product, options.bare)?;
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
        template::copy(template, &folder.path().join("data"))?;
        // Each server has an identity of its own.
        match fs::remove_file(folder.path().join("data/auto.cnf")) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
        let certificates = options
            .tls
            .then(|| Certificates::create(folder.path()))
            .transpose()?;
        Self::launch(folder, certificates, options)
    }

    fn launch(
        folder: TempDir,
        certificates: Option<Certificates>,
        options: &Options,
    ) -> Result<Self> {
        let port = ports::free()?;
        let file = folder.path().join("server.cnf");
        let text = settings(folder.path(), port, certificates.as_ref(), options)?;
        fs::write(&file, text)?;
        let mut command = tied(options.product.daemon());
        command.arg(format!("--defaults-file={}", file.display()));
        as_root(&mut command);
        let mut process = Process::start(options.product.name(), command)?;
        let ready = until("the server accepts connections", START_LIMIT, || {
            if let Some(status) = process.ended()? {
                bail!("{} ended, {status}", options.product.name());
            }
            Ok(process
                .output()
                .contains("ready for connections")
                .then_some(()))
        });
        ready.with_context(|| process.output())?;
        Ok(Self {
            process,
            product: options.product,
            port,
            certificates,
            folder,
        })
    }

    /// The product.
    #[must_use]
    pub fn product(&self) -> Product {
        self.product
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

    /// The server's folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Its socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("server.sock")
    }

    /// The file of its general log.
    #[must_use]
    pub fn general_log(&self) -> PathBuf {
        self.folder.path().join("general.log")
    }

    /// The file of MariaDB's server_audit.
    #[must_use]
    pub fn audit_log(&self) -> PathBuf {
        self.folder.path().join("audit.log")
    }

    /// What it has written to its error log.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.output()
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Runs SQL as the superuser through the socket, past any proxy; tab-separated rows.
    ///
    /// # Errors
    /// When the client reports one.
    pub fn sql(&self, database: &str, sql: &str) -> Result<String> {
        let mut command = Command::new(self.product.client());
        command.args([
            "--no-defaults",
            "--batch",
            "--raw",
            "--skip-column-names",
            "--default-character-set=utf8mb4",
            "--user",
            ADMIN,
        ]);
        if self.product.is_mariadb() {
            // 11.8's insists on TLS otherwise, even on a socket.
            command.arg("--skip-ssl");
        }
        command.arg(format!("--socket={}", self.socket().display()));
        command.args(["--execute", sql, database]);
        Ok(run(&mut command)?.trim_end().to_owned())
    }

    /// Stops the server in order, so that its record is complete.
    ///
    /// # Errors
    /// When it does not stop.
    pub fn stop(&mut self) -> Result<()> {
        self.process.signal(Signal::TERM)?;
        self.process.wait(START_LIMIT)?;
        Ok(())
    }
}

/// The option file of a server.
fn settings(
    folder: &Path,
    port: u16,
    certificates: Option<&Certificates>,
    options: &Options,
) -> Result<String> {
    let product = options.product;
    let files = folder.join("files");
    fs::create_dir_all(&files)?;
    let mut text = String::from("[mysqld]\n");
    let mut set = |line: String| writeln!(text, "{line}");
    for line in BASE {
        set(line.to_owned())?;
    }
    let own = if product.is_mariadb() {
        &MARIADB[..]
    } else {
        &MYSQL[..]
    };
    for line in own {
        set((*line).to_owned())?;
    }
    set(format!("port={port}"))?;
    for (name, path) in [
        ("basedir", product.base()),
        ("plugin_dir", product.base().join("lib/mysql/plugin")),
        ("lc_messages_dir", product.share()),
        ("character_sets_dir", product.share().join("charsets")),
        ("datadir", folder.join("data")),
        ("socket", folder.join("server.sock")),
        ("pid_file", folder.join("server.pid")),
        ("secure_file_priv", files),
    ] {
        set(format!("{name}={}", path.display()))?;
    }
    for plugin in product.plugins() {
        set(format!("plugin_load_add={plugin}"))?;
    }
    match certificates {
        Some(made) => {
            set(format!("ssl_ca={}", made.authority.display()))?;
            set(format!("ssl_cert={}", made.certificate.display()))?;
            set(format!("ssl_key={}", made.key.display()))?;
        }
        None if product.is_mariadb() => set("skip_ssl".to_owned())?,
        None => set("tls_version=".to_owned())?,
    }
    for line in record_settings(folder, options)? {
        set(line)?;
    }
    for line in &options.settings {
        set(line.clone())?;
    }
    Ok(text)
}

fn record_settings(folder: &Path, options: &Options) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    let output = match options.record {
        Record::Off => return Ok(lines),
        Record::File | Record::FileAndAudit => "FILE",
        Record::Table => "TABLE",
    };
    lines.push("general_log=ON".to_owned());
    lines.push(format!("log_output={output}"));
    let file = folder.join("general.log");
    lines.push(format!("general_log_file={}", file.display()));
    if !options.product.is_mariadb() {
        // The text as it came, passwords too.
        lines.push("log_raw=ON".to_owned());
    }
    if options.record == Record::FileAndAudit {
        ensure!(options.product.is_mariadb(), "MySQL has no server_audit");
        lines.push("server_audit_logging=ON".to_owned());
        lines.push("server_audit_events=CONNECT,QUERY".to_owned());
        lines.push("server_audit_query_log_limit=1048576".to_owned());
        lines.push("server_audit_file_rotate_size=1000000000".to_owned());
        let file = folder.join("audit.log");
        lines.push(format!("server_audit_file_path={}", file.display()));
    }
    Ok(lines)
}

/// An initialised data folder, with or without the fixture.
fn template(product: Product, bare: bool) -> Result<PathBuf> {
    let version = run(Command::new(product.daemon()).args(["--no-defaults", "--version"]))
        .with_context(|| format!("{} is missing: run `make setup`", product.name()))?;
    let script = script(product);
    let base = product.base();
    let stamp = format!("{version}{script}{}", base.display());
    let name = format!("{}{}", product.name(), if bare { "-bare" } else { "" });
    template::cached(&name, &stamp, |ready| {
        let folder = private_folder()?;
        let data = folder.path().join("data");
        initialise(product, &data)?;
        if bare {
            return template::copy(&data, ready);
        }
        let mut server = Server::launch(folder, None, &Options::new(product))?;
        server.sql("mysql", &script)?;
        server.stop()?;
        template::copy(&data, ready)
    })
}

fn initialise(product: Product, data: &Path) -> Result<()> {
    let mut command = if product.is_mariadb() {
        let mut command = Command::new(product.base().join("bin/mariadb-install-db"));
        command.args([
            "--no-defaults",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
            "--skip-name-resolve",
            "--innodb-log-file-size=8M",
        ]);
        command.arg(format!("--basedir={}", product.base().display()));
        command.arg(format!("--lc-messages-dir={}", product.share().display()));
        command
    } else {
        let mut command = Command::new(product.daemon());
        command.args([
            "--no-defaults",
            "--initialize-insecure",
            "--innodb-redo-log-capacity=16M",
        ]);
        command
    };
    command.arg(format!("--datadir={}", data.display()));
    as_root(&mut command);
    run(&mut command)?;
    Ok(())
}

/// The fixture, its users and their rights.
fn script(product: Product) -> String {
    let mut script = FIXTURE.to_owned();
    let _infallible = write!(
        script,
        "CREATE USER IF NOT EXISTS {ADMIN}@'127.0.0.1';\n\
         GRANT ALL ON *.* TO {ADMIN}@'127.0.0.1' WITH GRANT OPTION;\n"
    );
    let mut users = vec![crate::server::TRUSTED_USER];
    for login in product.logins() {
        let _infallible = writeln!(script, "{};", login.create(PASSWORD));
        users.push(login.user);
    }
    for user in users {
        let _infallible = writeln!(
            script,
            "GRANT ALL ON app.* TO {user}; GRANT ALL ON other.* TO {user};"
        );
    }
    script
}

/// A folder whose socket other users may reach.
fn private_folder() -> Result<TempDir> {
    let folder = tempfile::Builder::new().prefix("sqlward-my-").tempdir()?;
    fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755))?;
    Ok(folder)
}

/// A program that the kernel kills when the thread that started it ends.
fn tied(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command.env("LC_ALL", "C").current_dir("/");
    command
}

/// The servers refuse root unless they are told that it is meant.
fn as_root(command: &mut Command) {
    if rustix::process::geteuid().is_root() {
        command.arg("--user=root");
    }
}

const ATTEMPTS: usize = 4;
const START_LIMIT: Duration = Duration::from_secs(60);

const BASE: [&str; 10] = [
    "bind_address=127.0.0.1",
    "skip_name_resolve=ON",
    "skip_log_bin",
    "max_connections=200",
    "max_allowed_packet=128M",
    "local_infile=ON",
    "innodb_buffer_pool_size=64M",
    "innodb_flush_log_at_trx_commit=0",
    "innodb_doublewrite=OFF",
    "performance_schema=OFF",
];
const MARIADB: [&str; 1] = ["innodb_log_file_size=8M"];
const MYSQL: [&str; 3] = [
    "mysqlx=OFF",
    "innodb_redo_log_capacity=16M",
    "log_error_verbosity=3",
];

const FIXTURE: &str = include_str!("fixture.sql");
