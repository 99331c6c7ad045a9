//! Asks a server to prepare every statement.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use anyhow::{Context, Result, ensure};
use sqlward_tests::mysql::raw::{Login, Raw};
use sqlward_tests::mysql::{Options, Product, Server};
use sqlward_tests::paths::repository;
use sqlward_tests::server::TRUSTED_USER;

use super::{Statement, reader};

/// Writes the server's view of every statement to `file`.
pub(super) fn ask(product: Product, file: &Path) -> Result<()> {
    let texts = texts(product)?;
    println!("{}: {} different statements", product.name(), texts.len());
    let server = Server::start(&Options::new(product))?;
    server.sql(
        "mysql",
        "CREATE DATABASE facts; GRANT ALL ON *.* TO app_trusted",
    )?;
    let part = file.with_extension("part");
    let output = Mutex::new(BufWriter::new(File::create(&part)?));
    let work = Mutex::new(texts.iter().enumerate());
    std::thread::scope(|scope| -> Result<()> {
        let workers: Vec<_> = (0..WORKERS)
            .map(|_| scope.spawn(|| worker(product, server.port(), &work, &output)))
            .collect();
        for worker in workers {
            worker
                .join()
                .map_err(|_| anyhow::anyhow!("a worker panicked"))??;
        }
        Ok(())
    })?;
    output
        .into_inner()
        .map_err(|_| anyhow::anyhow!("a worker panicked"))?
        .flush()?;
    fs::rename(&part, file)?;
    println!("{}", file.display());
    Ok(())
}

fn worker<'a>(
    product: Product,
    port: u16,
    work: &Mutex<impl Iterator<Item = (usize, &'a String)>>,
    output: &Mutex<BufWriter<File>>,
) -> Result<()> {
    let mut session = None;
    loop {
        let next = work.lock().ok().and_then(|mut work| work.next());
        let Some((id, sql)) = next else {
            return Ok(());
        };
        let mut raw = match session.take() {
            Some(raw) => raw,
            None => connect(port)?,
        };
        // What ends the connection is asked once; the next statement gets a new one.
        let Ok(statement) = look(&mut raw, product, id, sql) else {
            continue;
        };
        let mut line = serde_json::to_vec(&statement)?;
        line.push(b'\n');
        output
            .lock()
            .map_err(|_| anyhow::anyhow!("a worker panicked"))?
            .write_all(&line)?;
        session = Some(raw);
    }
}

fn connect(port: u16) -> Result<Raw> {
    let login = Login {
        user: TRUSTED_USER,
        database: Some("facts"),
        capabilities: 0,
        authority: None,
    };
    Raw::start(port, &login)
}

fn look(raw: &mut Raw, product: Product, id: usize, sql: &str) -> Result<Statement> {
    let (prepared, message) = match raw.prepare(sql)? {
        Ok(statement) => {
            raw.close(statement)?;
            (0, String::new())
        }
        Err(failure) => (failure.errno, failure.message),
    };
    // Table 'database.name' doesn't exist: the name may hold quotes.
    let named = message.split_once('\'').map(|(_, rest)| rest);
    let named = named.and_then(|rest| rest.rsplit_once("' doesn't"));
    let missing = named
        .filter(|_| prepared == NO_SUCH_TABLE)
        .map(|(name, _)| name.to_owned());
    let mut digest = None;
    if !product.is_mariadb() && prepared != SYNTAX_ERROR {
        let quoted = sql.replace('\\', "\\\\").replace('\'', "\\'");
        let answers = raw.query(&format!("SELECT STATEMENT_DIGEST_TEXT('{quoted}')"))?;
        digest = answers.first().and_then(|one| one.first.clone());
    }
    Ok(Statement {
        id,
        dialect: if product.is_mariadb() {
            "mariadb"
        } else {
            "mysql"
        }
        .to_owned(),
        sql: sql.to_owned(),
        prepared,
        missing_table: missing,
        digest,
    })
}

/// The different statements of all scripts of the product's own suite.
fn texts(product: Product) -> Result<BTreeSet<String>> {
    let folder = repository()
        .join("build/beside")
        .join(if product.is_mariadb() {
            "mtr-10.11/usr/share/mysql/mysql-test"
        } else {
            "mysql-testsuite/usr/lib/mysql-test"
        });
    ensure!(
        folder.is_dir(),
        "no {}: run `make setup-conformance`",
        folder.display()
    );
    let mut texts = BTreeSet::new();
    for script in scripts(&folder)? {
        let bytes = fs::read(&script).with_context(|| script.display().to_string())?;
        for sql in reader::statements(&bytes) {
            // What is not UTF-8 is written for another character set than the session's.
            if sql.len() <= LONGEST
                && let Ok(text) = String::from_utf8(sql)
            {
                texts.insert(text);
            }
        }
    }
    Ok(texts)
}

fn scripts(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let (path, kind) = (entry.path(), entry.file_type()?);
            let extension = path.extension().and_then(|text| text.to_str());
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file() && matches!(extension, Some("test" | "inc")) {
                found.push(path);
            }
        }
    }
    Ok(found)
}

const WORKERS: usize = 4;
const LONGEST: usize = 1 << 20;
const SYNTAX_ERROR: u16 = 1064;
const NO_SUCH_TABLE: u16 = 1146;
