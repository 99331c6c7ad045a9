//! Where readers of SQL differ from MySQL and MariaDB: every case runs on the real servers, and what is read in it
//! must name `secret` wherever the server touched it, or say that it can't tell.
//!
//! The cases stand in `mysql_cases.tsv`: comments that run or don't, quotes, escapes, character sets, modes, options
//! that look like names, and statements that only one of the families knows.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, DriverError, Error, OptsBuilder, Row, Value};
use sqlward_policy::statement::{
    ANALYSIS_STACK_BYTES, Facts, LexState, Limits, ReadingOptions, analyse,
};
use sqlward_policy::vocabulary::{Dialect, ObjectKind, WhereShape};
use sqlward_tests::mysql::server::ADMIN;
use sqlward_tests::mysql::{Options, Product, Server};

/// One line of the table, for one family.
#[derive(Debug)]
struct Case {
    id: &'static str,
    session: &'static str,
    server: &'static str,
    read: &'static str,
    sql: Vec<u8>,
}

/// What the server did.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    /// The marker came back, or `secret` changed, or its content was copied.
    Touches,
    Ok,
    Error(u16),
}

const MARKER: &str = "S3CR3T";
/// How long an event may take to run.
const PATIENCE: Duration = Duration::from_secs(20);

const RESET: &str = "DROP DATABASE IF EXISTS app; CREATE DATABASE app CHARACTER SET utf8mb4; USE app; \
    CREATE TABLE users (id int UNIQUE, name varchar(100)); INSERT INTO users VALUES (1, 'ann'); \
    CREATE TABLE secret (v varchar(100)); INSERT INTO secret VALUES ('S3CR3T')";

fn cases(mariadb: bool, folder: &str) -> Result<Vec<Case>> {
    let lines = include_str!("mysql_cases.tsv").lines();
    let cases = lines.filter(|line| !line.starts_with('#')).map(|line| {
        let fields: Vec<&'static str> = line.split('\t').collect();
        let [id, session, mysql, mysql_read, other, other_read, sql] = fields.as_slice() else {
            bail!("{line}");
        };
        let (server, read) = if mariadb {
            (other, other_read)
        } else {
            (mysql, mysql_read)
        };
        Ok(Case {
            id,
            session,
            server,
            read,
            sql: unescape(&sql.replace("FOLDER", folder))?,
        })
    });
    cases.collect()
}

/// `\xNN` is a byte.
fn unescape(text: &str) -> Result<Vec<u8>> {
    let mut parts = text.split(r"\x");
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2).context("two digits")?;
        bytes.push(u8::from_str_radix(digits, 16)?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    Ok(bytes)
}

impl Case {
    fn mode(&self) -> Option<&'static str> {
        (self.session == "ANSI_QUOTES").then_some(self.session)
    }

    fn charset(&self) -> Option<&'static str> {
        (self.session != "-" && self.mode().is_none()).then_some(self.session)
    }

    /// Runs the text on a fresh database.
    async fn run(&self, server: &Server) -> Result<Outcome> {
        let options = || {
            OptsBuilder::default()
                .ip_or_hostname("127.0.0.1")
                .tcp_port(server.port())
                .user(Some(ADMIN))
                .prefer_socket(false)
        };
        let mut admin = Conn::new(options()).await?;
        admin.query_drop(RESET).await?;
        let mut session = Conn::new(options().db_name(Some("app"))).await?;
        if let Some(mode) = self.mode() {
            session
                .query_drop(format!("SET sql_mode = '{mode}'"))
                .await?;
        }
        if let Some(charset) = self.charset() {
            session.query_drop(format!("SET NAMES {charset}")).await?;
        }
        match answers(&mut session, self.sql.clone()).await {
            Ok(rows) if rows.iter().any(|row| row.contains(MARKER)) => return Ok(Outcome::Touches),
            Ok(_) => {}
            Err(Error::Server(error)) => return Ok(Outcome::Error(error.code)),
            // The server would have read a file of the client, which gave none.
            Err(Error::Driver(DriverError::LocalInfile(_))) => return Ok(Outcome::Ok),
            Err(error) => return Err(error.into()),
        }
        if self.id == "M95" {
            return Ok(Outcome::Ok);
        }
        let until = Instant::now() + PATIENCE;
        while self.server == "touches" && Instant::now() < until {
            if touched(&mut admin).await? {
                return Ok(Outcome::Touches);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(if touched(&mut admin).await? {
            Outcome::Touches
        } else {
            Outcome::Ok
        })
    }

    /// What the project reads in the text.
    fn read(&self, dialect: Dialect, version: &str) -> Result<Facts> {
        let options = ReadingOptions {
            sql_mode: self.mode().map(Into::into),
            charset: self.charset().map(Into::into),
            server_version: Some(version.to_owned()),
        };
        let lex = options.lex_state(dialect).map_err(anyhow::Error::msg)?;
        Ok(on_deep_stack(&self.sql, &lex)?)
    }
}

fn on_deep_stack(sql: &[u8], lex: &LexState) -> std::io::Result<Facts> {
    std::thread::scope(|scope| {
        let builder = std::thread::Builder::new().stack_size(ANALYSIS_STACK_BYTES);
        let reader = builder.spawn_scoped(scope, || analyse(sql, lex, &Limits::default()).facts)?;
        reader
            .join()
            .map_err(|_| std::io::Error::other("the reader panicked"))
    })
}

/// Every row of every result, as text.
async fn answers(session: &mut Conn, sql: Vec<u8>) -> Result<Vec<String>, Error> {
    let mut result = session.query_iter(sql).await?;
    let mut rows = Vec::new();
    while !result.is_empty() {
        let found: Vec<Row> = result.collect().await?;
        rows.extend(found.into_iter().map(|row| {
            let texts = row.unwrap_raw().into_iter().flatten().map(text);
            texts.collect::<Vec<_>>().join("\t")
        }));
    }
    Ok(rows)
}

fn text(value: Value) -> String {
    match value {
        Value::Bytes(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        other => other.as_sql(true),
    }
}

/// Whether `secret` is not what it was, or its content stands elsewhere.
async fn touched(admin: &mut Conn) -> Result<bool> {
    let secret: Result<Vec<Option<String>>, Error> = admin.query("SELECT v FROM app.secret").await;
    let same = matches!(secret.as_deref(), Ok([Some(only)]) if only == MARKER);
    let copied: Option<u64> = admin
        .query_first(format!(
            "SELECT count(*) FROM app.users WHERE name = '{MARKER}'"
        ))
        .await?;
    Ok(!same || copied != Some(0))
}

fn names_secret(facts: &Facts) -> bool {
    let mut objects = facts.statements.iter().flat_map(|one| &one.objects);
    objects.any(|object| object.kind == ObjectKind::Relation && &*object.name.name == "secret")
}

/// Whether the facts are what the table demands.
fn fits(read: &str, facts: &Facts) -> bool {
    let statements = || facts.statements.iter();
    if read == "unreadable" || facts.unreadable.is_some() {
        return read == "unreadable" && facts.unreadable.is_some();
    }
    match read {
        "secret" => names_secret(facts),
        "nothing" => !names_secret(facts) && statements().all(|one| !one.dynamic),
        "dynamic" => statements().any(|one| one.dynamic),
        "unbounded" => {
            !names_secret(facts) && statements().any(|one| one.where_shape == WhereShape::Absent)
        }
        call => statements().any(|one| {
            let mut names = one.functions.iter();
            names.any(|name| call.strip_suffix("()") == Some(&name.name))
        }),
    }
}

/// Whether what the server did is what sqlward may not miss.
fn is_told(facts: &Facts) -> bool {
    names_secret(facts) || facts.unreadable.is_some() || facts.statements.iter().any(|s| s.dynamic)
}

async fn check(product: Product) -> Result<()> {
    let server = Server::start(&Options {
        settings: vec![
            "secure-file-priv=".to_owned(),
            "event-scheduler=ON".to_owned(),
        ],
        ..Options::new(product)
    })?;
    let dialect = if product.is_mariadb() {
        Dialect::Mariadb
    } else {
        Dialect::Mysql
    };
    let version = server.sql("app", "SELECT version()")?;
    let files = server.folder().join("files");
    let cases = cases(product.is_mariadb(), &files.to_string_lossy())?;
    ensure!(cases.len() > 80, "{} cases", cases.len());
    let mut wrong = String::new();
    for case in &cases {
        let sql = String::from_utf8_lossy(&case.sql);
        let outcome = case.run(&server).await.context(case.id)?;
        let expected = match case.server {
            "touches" => Outcome::Touches,
            "ok" => Outcome::Ok,
            number => Outcome::Error(number.parse()?),
        };
        if outcome != expected {
            writeln!(
                wrong,
                "{}: the server: {outcome:?}, not {expected:?}: {sql}",
                case.id
            )?;
        }
        let facts = case.read(dialect, &version)?;
        if !fits(case.read, &facts) {
            writeln!(
                wrong,
                "{}: {} expected: {sql}\n    {facts:?}",
                case.id, case.read
            )?;
        }
        if outcome == Outcome::Touches && !is_told(&facts) {
            writeln!(wrong, "{}: MISSED: {sql}", case.id)?;
        }
    }
    ensure!(wrong.is_empty(), "{version}:\n{wrong}");
    println!("{version}: {} cases", cases.len());
    Ok(())
}

#[tokio::test]
async fn mysql() -> Result<()> {
    check(Product::MySql).await
}

#[tokio::test]
async fn mariadb10() -> Result<()> {
    check(Product::MariaDb10).await
}

#[tokio::test]
async fn mariadb11() -> Result<()> {
    check(Product::MariaDb11).await
}
