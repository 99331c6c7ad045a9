//! PostgreSQL's account: the locks that a statement holds once it is prepared, or once it has run.

use anyhow::{Context, Result, bail, ensure};
use sqlward_policy::statement::LexState;
use sqlward_policy::vocabulary::Dialect;
use sqlward_tests::paths::Release;
use sqlward_tests::raw::{self, Message, Raw};
use sqlward_tests::server::{ADMIN, Options, Server};

use crate::account::{Ledger, Locks};
use crate::grammar::{Engine, Grammar, Kind, Statement, TABLES};

/// How many statements are on their way at once.
const BATCH: usize = 50;

const LOCKS: &str = "SELECT string_agg(n.nspname || '.' || c.relname || ' ' || l.mode, ';') FROM pg_locks l \
    JOIN pg_class c ON c.oid = l.relation JOIN pg_namespace n ON n.oid = c.relnamespace \
    WHERE l.pid = pg_backend_pid() AND l.relation >= 16384 AND c.relkind IN ('r', 'v', 'm', 'p')";

pub(crate) fn check(wanted: usize, seed: u64) -> Result<()> {
    let server = Server::start(&Options {
        release: Release::Newer,
        ..Options::default()
    })?;
    let mut session = Raw::login(server.port(), ADMIN, &[])?;
    let answer = session.query(&schema())?;
    let failed = answer.iter().find(|one| one.tag == b'E');
    ensure!(failed.is_none(), "{failed:?}");
    session.send(&[raw::parse("locks", LOCKS), raw::sync()].concat())?;
    session.until_ready()?;
    let mut grammar = Grammar::new(Engine::Postgres, seed);
    let mut ledger = Ledger::new(LexState::of_dialect(Dialect::Postgres), "public", wanted);
    while !ledger.is_full() {
        let batch: Vec<Statement> = (0..BATCH).map(|_| grammar.statement()).collect();
        let bytes: Vec<u8> = batch.iter().flat_map(messages).collect();
        session.send(&bytes)?;
        for statement in &batch {
            let locks =
                answer_to(&mut session, statement).with_context(|| statement.sql.clone())?;
            ledger.enter(statement, &locks);
        }
    }
    ledger.close("PostgreSQL 18")
}

fn schema() -> String {
    let mut text = "CREATE SCHEMA side;".to_owned();
    for (schema, name) in TABLES {
        let schema = if schema.is_empty() { "public" } else { schema };
        text.push_str(&format!(
            "CREATE TABLE {schema}.\"{name}\" (id serial PRIMARY KEY, a int, b int, c text);\
             INSERT INTO {schema}.\"{name}\" (a, b, c) VALUES (1, 2, 'x'), (3, 4, 'y');"
        ));
    }
    text.push_str(
        "CREATE VIEW seen AS SELECT a, b, c FROM alpha;\
         CREATE VIEW joined AS SELECT beta.a, \"Gamma\".b, beta.c FROM beta CROSS JOIN \"Gamma\"",
    );
    text
}

fn messages(statement: &Statement) -> Vec<u8> {
    match statement.kind {
        Kind::Plain => [
            raw::parse("", &statement.sql),
            raw::bind("", "locks", &[]),
            raw::execute("", 0),
            raw::sync(),
        ]
        .concat(),
        Kind::Run | Kind::Define => [
            raw::query("BEGIN"),
            raw::query(&statement.sql),
            raw::query(LOCKS),
            raw::query("ROLLBACK"),
        ]
        .concat(),
    }
}

fn answer_to(session: &mut Raw, statement: &Statement) -> Result<Locks> {
    let mut locks = Locks::default();
    let found = match statement.kind {
        Kind::Plain => session.until_ready()?,
        Kind::Run | Kind::Define => {
            session.until_ready()?;
            let ran = session.until_ready()?;
            locks.failed = failure(&ran);
            let found = session.until_ready()?;
            session.until_ready()?;
            found
        }
    };
    if locks.failed.is_some() {
        return Ok(locks);
    }
    locks.failed = failure(&found);
    let Some(row) = found.iter().find(|one| one.tag == b'D') else {
        ensure!(locks.failed.is_some(), "no answer: {found:?}");
        return Ok(locks);
    };
    let text = row.row().into_iter().next().flatten().unwrap_or_default();
    for lock in text.split(';').filter(|lock| !lock.is_empty()) {
        let Some((name, mode)) = lock.rsplit_once(' ') else {
            bail!("`{lock}`");
        };
        // What the statement itself has made is not there before.
        if name.contains(".z") {
            continue;
        }
        locks.all.insert(name.to_owned());
        if mode == "RowExclusiveLock" {
            locks.written.insert(name.to_owned());
        }
    }
    Ok(locks)
}

fn failure(messages: &[Message]) -> Option<String> {
    let error = messages.iter().find(|one| one.tag == b'E')?;
    Some(format!(
        "{} {}",
        error.sqlstate(),
        error.field(b'M').unwrap_or_default()
    ))
}
