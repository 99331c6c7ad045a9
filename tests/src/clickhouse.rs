//! A throw-away ClickHouse: the engine that `tools/setup.sh clickhouse` brings, in a process of its own.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::{paths, ports, process};

/// A running server; it ends with its owner, whatever becomes of that one.
#[derive(Debug)]
pub struct Server {
    dir: TempDir,
    port: u16,
    child: Child,
    /// The server runs for as long as this is open.
    _held: ChildStdin,
}

impl Server {
    /// Starts one on a fresh directory.
    ///
    /// # Errors
    /// When the engine is missing or does not come up.
    pub fn start() -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let port = ports::free()?;
        let (child, held) = launch(&dir, port)?;
        let mut server = Self {
            dir,
            port,
            child,
            _held: held,
        };
        server.wait()?;
        Ok(server)
    }

    /// Kills it as a crash would and starts it again on the same data and port.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn crash_and_restart(&mut self) -> Result<()> {
        self.kill()?;
        self.restart()
    }

    /// Starts it again on the same data and port, after [`Server::kill`].
    ///
    /// # Errors
    /// When it does not come up.
    pub fn restart(&mut self) -> Result<()> {
        let (child, held) = launch(&self.dir, self.port)?;
        (self.child, self._held) = (child, held);
        self.wait()
    }

    /// Stops it from doing anything, with [`Signal::STOP`], until [`Signal::CONT`].
    ///
    /// # Errors
    /// When the system refuses.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), signal)?;
        Ok(())
    }

    /// Its port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Kills it as a crash would.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// The address for `--store`, with the database.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!("clickhouse://127.0.0.1:{}/{database}", self.port)
    }

    /// Has it carry out a statement, as its administrator would.
    ///
    /// # Errors
    /// When it refuses.
    pub fn execute(&self, sql: &str) -> Result<String> {
        let mut socket = TcpStream::connect(("127.0.0.1", self.port))?;
        write!(
            socket,
            "POST / HTTP/1.0\r\nContent-Length: {}\r\n\r\n{sql}",
            sql.len()
        )?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").context("no answer")?;
        ensure!(head.contains(" 200 "), "{sql}: {body}");
        Ok(body.to_owned())
    }

    fn wait(&mut self) -> Result<()> {
        process::until("ClickHouse answers", START, || {
            ensure!(self.child.try_wait()?.is_none(), "ClickHouse has ended");
            Ok(TcpStream::connect(("127.0.0.1", self.port)).ok().map(drop))
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // One that is gone already is what we want.
        let _gone = self.kill();
    }
}

fn launch(dir: &TempDir, port: u16) -> Result<(Child, ChildStdin)> {
    let library = paths::repository().join("build/clickhouse/libchdb.so");
    ensure!(
        library.is_file(),
        "no {}: run `tools/setup.sh clickhouse`",
        library.display()
    );
    let launcher = paths::profile_dir()?.join("clickhouse-server");
    let mut child = Command::new(&launcher)
        .arg(library)
        .arg(dir.path())
        .arg(port.to_string())
        .arg(ports::free()?.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .with_context(|| format!("start {}", launcher.display()))?;
    let held = child.stdin.take().context("no standard input")?;
    Ok((child, held))
}

const START: Duration = Duration::from_secs(60);
