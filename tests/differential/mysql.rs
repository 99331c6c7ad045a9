//! MySQL's and MariaDB's account: the metadata locks that a transaction holds behind a statement.

use anyhow::{Context, Result, bail, ensure};
use sqlward_policy::statement::ReadingOptions;
use sqlward_policy::vocabulary::Dialect;
use sqlward_tests::mysql::raw::{Answer, Raw};
use sqlward_tests::mysql::server::ADMIN;
use sqlward_tests::mysql::{Options, Product, Server};

use crate::account::{Ledger, Locks};
use crate::grammar::{Engine, Grammar, Kind, Statement, TABLES};

/// How many statements are on their way at once.
const BATCH: usize = 16;

const LOCKS: &str = "SELECT GROUP_CONCAT(OBJECT_SCHEMA, '.', OBJECT_NAME, ' ', LOCK_TYPE SEPARATOR ';') \
    FROM performance_schema.metadata_locks WHERE OBJECT_TYPE = 'TABLE' AND LOCK_STATUS = 'GRANTED' \
    AND OBJECT_SCHEMA IN ('app', 'side') AND OWNER_THREAD_ID = @thread";

const SESSION: &str = "SET SESSION sql_mode = 'NO_ENGINE_SUBSTITUTION', autocommit = 0, group_concat_max_len = 100000; \
    SET @thread = (SELECT THREAD_ID FROM performance_schema.threads WHERE PROCESSLIST_ID = CONNECTION_ID())";

pub(crate) fn check(product: Product, wanted: usize, seed: u64) -> Result<()> {
    let (engine, dialect) = if product.is_mariadb() {
        (Engine::Mariadb, Dialect::Mariadb)
    } else {
        (Engine::Mysql, Dialect::Mysql)
    };
    let mut host = Host::start(product)?;
    let options = ReadingOptions {
        sql_mode: Some("NO_ENGINE_SUBSTITUTION".to_owned()),
        server_version: Some(host.session.version.clone()),
        ..ReadingOptions::default()
    };
    let lex = options.lex_state(dialect).map_err(anyhow::Error::msg)?;
    let mut grammar = Grammar::new(engine, seed);
    let mut ledger = Ledger::new(lex, "app", wanted);
    let mut crashes = 0;
    while !ledger.is_full() {
        let batch: Vec<Statement> = (0..BATCH).map(|_| grammar.statement()).collect();
        if let Err(error) = host.run(&batch, &mut ledger) {
            // Some statements are more than these servers bear.
            ensure!(host.session.simple(14, &[]).is_err(), "{error:#}");
            crashes += 1;
            ensure!(
                crashes <= 10 + wanted / 500,
                "the server crashed {crashes} times"
            );
            host = Host::start(product)?;
        }
    }
    println!("{}: the server crashed {crashes} times", product.name());
    ledger.close(product.name())
}

/// A server and a session on it.
struct Host {
    _server: Server,
    session: Raw,
}

impl Host {
    fn start(product: Product) -> Result<Self> {
        let mut settings = vec!["performance-schema=ON".to_owned()];
        if product.is_mariadb() {
            settings
                .push("performance-schema-instrument='wait/lock/metadata/sql/mdl=ON'".to_owned());
        }
        let server = Server::start(&Options {
            settings,
            ..Options::new(product)
        })?;
        let mut session = Raw::login(server.port(), ADMIN)?;
        for sql in [schema(), SESSION.to_owned()] {
            let answers = session.query(&sql)?;
            let failed = answers.iter().find_map(|one| one.failure.as_ref());
            ensure!(failed.is_none(), "{failed:?}");
        }
        Ok(Self {
            _server: server,
            session,
        })
    }

    fn run(&mut self, batch: &[Statement], ledger: &mut Ledger) -> Result<()> {
        for text in batch.iter().flat_map(texts) {
            self.session.command(3, text.as_bytes())?;
        }
        for statement in batch {
            let locks =
                answer_to(&mut self.session, statement).with_context(|| statement.sql.clone())?;
            ledger.enter(statement, &locks);
        }
        Ok(())
    }
}

fn schema() -> String {
    let mut text = "CREATE DATABASE side CHARACTER SET utf8mb4;".to_owned();
    for (schema, name) in TABLES {
        let schema = if schema.is_empty() { "app" } else { schema };
        text.push_str(&format!(
            "CREATE TABLE {schema}.`{name}` (id int AUTO_INCREMENT PRIMARY KEY, a int, b int, c varchar(100));\
             INSERT INTO {schema}.`{name}` (a, b, c) VALUES (1, 2, 'x'), (3, 4, 'y');"
        ));
    }
    text.push_str(
        "CREATE VIEW app.seen AS SELECT a, b, c FROM app.alpha;\
         CREATE VIEW app.joined AS SELECT x.a, y.b, x.c FROM app.beta x CROSS JOIN app.`Gamma` y",
    );
    text
}

/// Everything that is sent for a statement.
fn texts(statement: &Statement) -> Vec<&str> {
    match statement.probe {
        Some(probe) => vec![
            "DROP PROCEDURE IF EXISTS zf",
            "DROP FUNCTION IF EXISTS zf",
            &statement.sql,
            "ROLLBACK",
            probe,
            LOCKS,
            "ROLLBACK",
        ],
        None => vec![
            &statement.sql,
            LOCKS,
            "DROP TEMPORARY TABLE IF EXISTS zt",
            "ROLLBACK",
        ],
    }
}

fn answer_to(session: &mut Raw, statement: &Statement) -> Result<Locks> {
    let mut next = || -> Result<Vec<Answer>> {
        session.next_answer();
        session.answers(false, &[])
    };
    let mut locks = Locks::default();
    if statement.kind == Kind::Define {
        next()?;
        next()?;
        locks.failed = failure(&next()?);
        next()?;
        // What the probe runs into does not matter: its tables are open by then.
        next()?;
    } else {
        locks.failed = failure(&next()?);
    }
    let found = next()?;
    next()?;
    if statement.kind != Kind::Define {
        next()?;
    }
    let answer = found.first().context("no answer")?;
    ensure!(answer.failure.is_none(), "{:?}", answer.failure);
    if statement.kind == Kind::Define && locks.failed.is_some() {
        // The probe looked at an older definition.
        return Ok(locks);
    }
    let text = answer.first.clone().unwrap_or_default();
    for lock in text.split(';').filter(|lock| !lock.is_empty()) {
        let Some((name, mode)) = lock.rsplit_once(' ') else {
            bail!("`{lock}`");
        };
        // What the statement itself has made is not there before.
        if name.contains(".z") {
            continue;
        }
        locks.all.insert(name.to_owned());
        if matches!(mode, "SHARED_WRITE" | "SHARED_WRITE_LOW_PRIO") {
            locks.written.insert(name.to_owned());
        }
    }
    Ok(locks)
}

fn failure(answers: &[Answer]) -> Option<String> {
    let failure = answers.iter().find_map(|one| one.failure.as_ref())?;
    Some(format!("{} {}", failure.errno, failure.message))
}
