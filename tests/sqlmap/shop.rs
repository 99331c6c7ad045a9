//! The vulnerable shop as a child process.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use sqlward_tests::paths::repository;
use sqlward_tests::ports;
use sqlward_tests::process::{Process, until};

/// What only an attacker reads: in no page of the shop.
pub(crate) const CARDS: [&str; 2] = ["card-7f3a91", "card-c05e22"];

/// A page, and what it shows when it is asked as it should be.
const PAGES: [(&str, &str); 7] = [
    ("/item?id=3", "desk lamp"),
    ("/user?name=ann", "ann"),
    ("/user?name=nobody", "<pre>"),
    ("/search?q=lamp", "desk lamp"),
    ("/list?sort=id", "chair"),
    ("/note?id=1&text=or+1%3D1", "<pre>"),
    ("/health", "1"),
];

/// A running shop.
pub(crate) struct Shop {
    _process: Process,
    port: u16,
}

/// The interpreter that `make setup` has put the drivers into: `SQLWARD_PYTHON`, or the one in build/.
pub(crate) fn python() -> Result<std::path::PathBuf> {
    let path = match std::env::var_os("SQLWARD_PYTHON") {
        Some(path) => path.into(),
        None => repository().join("build/venv/bin/python"),
    };
    ensure!(path.exists(), "no {}: run `make setup`", path.display());
    Ok(path)
}

impl Shop {
    /// Opens a shop before the database at `port`.
    pub(crate) fn open(engine: &str, port: u16, user: &str, database: &str) -> Result<Self> {
        let listen = ports::free()?;
        let mut command = Command::new(python()?);
        command
            .arg(repository().join("tests/sqlmap/shop.py"))
            .args([
                engine,
                &port.to_string(),
                user,
                database,
                &listen.to_string(),
            ])
            .env("PYTHONDONTWRITEBYTECODE", "1");
        let mut process = Process::start("shop", command)?;
        until("the shop is open", Duration::from_secs(20), || {
            if let Some(status) = process.ended()? {
                bail!("the shop ended, {status}:\n{}", process.output());
            }
            Ok(TcpStream::connect(("127.0.0.1", listen))
                .is_ok()
                .then_some(()))
        })?;
        Ok(Shop {
            _process: process,
            port: listen,
        })
    }

    /// Where a page is.
    pub(crate) fn address(&self, page: &str) -> String {
        format!("http://127.0.0.1:{}{page}", self.port)
    }

    /// Asks for a page: its status and text.
    fn get(&self, page: &str) -> Result<(u16, String)> {
        let mut socket = TcpStream::connect(("127.0.0.1", self.port))?;
        socket.set_read_timeout(Some(Duration::from_secs(20)))?;
        write!(
            socket,
            "GET {page} HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n"
        )?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer)?;
        let status = answer.split_whitespace().nth(1).context("no status")?;
        Ok((status.parse()?, answer))
    }

    /// Checks that every page shows what it should.
    pub(crate) fn serves_its_pages(&self) -> Result<()> {
        for (page, shows) in PAGES {
            let (status, text) = self.get(page)?;
            ensure!(
                status == 200 && text.contains(shows),
                "{page} is broken: {text}"
            );
        }
        Ok(())
    }
}
