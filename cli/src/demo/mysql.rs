//! The demo's MySQL or MariaDB.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result};

use super::{Engine, Running, free_port, quiet, wait_for};

/// What the application does.
pub(super) const USUAL: [&str; 4] = [
    "CREATE TABLE accounts (id int PRIMARY KEY, owner text, balance int)",
    "INSERT INTO accounts VALUES (1, 'ann', 1000), (2, 'bob', 500), (7, 'eve', 250)",
    "UPDATE accounts SET balance = balance - 5 WHERE id = 7",
    "SELECT count(*), sum(balance) FROM accounts",
];
/// What the policy is there for, and that life goes on.
pub(super) const DANGEROUS: [&str; 4] = [
    "DELETE FROM accounts",
    "UPDATE accounts SET balance = 0 WHERE 1 = 1 OR id = 7",
    "SELECT user, authentication_string FROM mysql.user",
    "SELECT count(*) FROM accounts",
];

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    Mysql,
    Mariadb,
}

/// Where a server's programs are.
struct Programs {
    family: Family,
    daemon: PathBuf,
    client: PathBuf,
    /// The folder above them: `usr`.
    base: PathBuf,
}

/// Start a server with the database `shop` of the user `app`.
pub(super) fn start(family: Family, folder: &Path) -> Result<Engine> {
    let programs = Programs::find(family)?;
    let data = folder.join("server");
    programs.initialise(&data)?;
    let port = free_port()?;
    let socket = data.join("server.sock");
    let mut daemon = programs.daemon_command();
    daemon
        .arg(format!("--datadir={}", data.display()))
        .arg(format!("--socket={}", socket.display()))
        .arg(format!("--pid-file={}", data.join("server.pid").display()))
        .arg(format!("--port={port}"))
        .arg("--bind-address=127.0.0.1");
    if family == Family::Mysql {
        // Debian's folder for files is not there without its package's scripts.
        daemon.args(["--mysqlx=OFF", "--secure-file-priv=NULL"]);
    }
    daemon
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let server = Running(daemon.spawn().context("the server")?);
    let admin = |sql: &str| {
        let mut command = programs.client_command();
        command.arg(format!("--socket={}", socket.display()));
        command.args(["--user=root", "--execute", sql]);
        command
    };
    wait_for("the server", || admin("SELECT 1"))?;
    quiet(&mut admin(
        "CREATE USER app@'127.0.0.1'; CREATE USER app@localhost; CREATE DATABASE shop; \
         GRANT ALL ON shop.* TO app@'127.0.0.1'; GRANT ALL ON shop.* TO app@localhost",
    ))?;
    Ok(Engine {
        server,
        port,
        scheme: "mysql",
        client: Box::new(move |port, sql| {
            let mut command = programs.client_command();
            command.args([
                "--protocol=tcp",
                "--host=127.0.0.1",
                "--user=app",
                "--table",
            ]);
            command.args(["--database=shop", "--execute", sql]);
            command.arg(format!("--port={port}"));
            command
        }),
    })
}

impl Programs {
    /// Debian's own, or what `make setup` has unpacked into the build folder.
    fn find(family: Family) -> Result<Self> {
        let (daemon, client, unpacked) = match family {
            Family::Mysql => ("mysqld", "mysql", "mysql-"),
            Family::Mariadb => ("mariadbd", "mariadb", "mariadb-"),
        };
        let mut bases = vec![PathBuf::from("/usr")];
        let beside = fs::read_dir("build/beside").into_iter().flatten().flatten();
        let beside =
            beside.filter(|entry| entry.file_name().to_string_lossy().starts_with(unpacked));
        let mut beside: Vec<PathBuf> = beside.map(|entry| entry.path().join("usr")).collect();
        beside.sort();
        bases.extend(beside.into_iter().rev());
        bases
            .into_iter()
            .filter_map(|base| {
                let base = base.canonicalize().ok()?;
                Some(Self {
                    family,
                    daemon: base.join("sbin").join(daemon),
                    client: base.join("bin").join(client),
                    base,
                })
            })
            .find(Self::are_there)
            .with_context(|| {
                format!("no {daemon} found in /usr or build/beside: `make setup` brings it")
            })
    }

    /// Whether these are the programs that their names say: MariaDB has links under MySQL's names.
    fn are_there(&self) -> bool {
        let is = |path: &Path| {
            path.canonicalize()
                .is_ok_and(|found| found.is_file() && found.file_name() == path.file_name())
        };
        is(&self.daemon) && is(&self.client)
    }

    fn initialise(&self, data: &Path) -> Result<()> {
        let mut command = match self.family {
            Family::Mysql => {
                let mut command = self.daemon_command();
                command.arg("--initialize-insecure");
                command
            }
            Family::Mariadb => {
                let mut command = Command::new(self.base.join("bin/mariadb-install-db"));
                command
                    .args(["--no-defaults", "--auth-root-authentication-method=normal"])
                    .args(["--skip-test-db", "--skip-name-resolve"])
                    .arg(format!("--basedir={}", self.base.display()));
                if let Some(messages) = self.messages() {
                    command.arg(format!("--lc-messages-dir={}", messages.display()));
                }
                as_root(&mut command);
                command
            }
        };
        quiet(command.arg(format!("--datadir={}", data.display())))
    }

    fn daemon_command(&self) -> Command {
        let mut command = Command::new(&self.daemon);
        command
            .arg("--no-defaults")
            .arg(format!("--basedir={}", self.base.display()))
            .arg(format!(
                "--plugin-dir={}",
                self.base.join("lib/mysql/plugin").display()
            ))
            .current_dir("/");
        if let Some(messages) = self.messages() {
            command
                .arg(format!("--lc-messages-dir={}", messages.display()))
                .arg(format!(
                    "--character-sets-dir={}",
                    messages.join("charsets").display()
                ));
        }
        as_root(&mut command);
        command
    }

    fn client_command(&self) -> Command {
        let mut command = Command::new(&self.client);
        command.arg("--no-defaults");
        if self.family == Family::Mariadb {
            // Newer ones insist on TLS otherwise, even on a socket.
            command.arg("--skip-ssl");
        }
        command
    }

    /// The folder of messages and character sets, which has two names.
    fn messages(&self) -> Option<PathBuf> {
        ["mariadb", "mysql"]
            .map(|name| self.base.join("share").join(name))
            .into_iter()
            .find(|folder| folder.join("charsets").is_dir())
    }
}

/// The servers refuse root unless they are told that it is meant.
fn as_root(command: &mut Command) {
    let own = fs::metadata("/proc/self");
    if own.is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0) {
        command.arg("--user=root");
    }
}
