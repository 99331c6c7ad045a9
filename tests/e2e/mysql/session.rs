//! Texts, prepared statements, multi-statements, transactions, local files, KILL: with refusals in between.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use sqlward_tests::mysql::raw::IN_TRANSACTION;
use sqlward_tests::mysql::{Options, Product};
use sqlward_tests::process::until;

use super::{Scene, for_each_product, nth, refused};

for_each_product![
    goes_on_after_refusals,
    loads_named_files_only,
    kills_the_right_thread,
    a_client_that_vanishes_takes_its_statement_along,
];

fn goes_on_after_refusals(product: Product) -> Result<()> {
    let scene = Scene::of(product)?;
    let mut raw = scene.login()?;
    ensure!(raw.value("SELECT count(*) FROM accounts")? == "100");

    // In a transaction: it stays open, and what was done in it can be taken back.
    raw.query("BEGIN")?;
    let updated = raw.query("UPDATE accounts SET balance = 1 WHERE id = 1")?;
    ensure!(nth(&updated, 0)?.affected == 1 && nth(&updated, 0)?.status & IN_TRANSACTION != 0);
    refused(&raw.query("UPDATE accounts SET balance = 0")?, "bounded")?;
    let seen = raw.query("SELECT balance FROM accounts WHERE id = 1")?;
    ensure!(
        nth(&seen, 0)?.first.as_deref() == Some("1") && nth(&seen, 0)?.status & IN_TRANSACTION != 0
    );
    raw.query("ROLLBACK")?;
    ensure!(raw.value("SELECT balance FROM accounts WHERE id = 1")? == "1000");

    // One refused statement refuses its text; nothing of it runs.
    let sql = "INSERT INTO users VALUES (7, 'x'); DELETE FROM accounts; SELECT 3";
    refused(&raw.query(sql)?, "bounded")?;
    ensure!(raw.value("SELECT count(*) FROM users")? == "1");
    let several = raw.query("SELECT 1; SELECT nonesuch; SELECT 3")?;
    ensure!(
        several.len() == 2 && nth(&several, 1)?.failure.is_some(),
        "{several:?}"
    );

    // Prepared: refused when prepared, judged again when executed; server-side cursors.
    let failed = raw.prepare("DELETE FROM accounts")?;
    let failure = failed.err().context("it was prepared")?;
    ensure!(
        failure.errno == 1227 && failure.message.contains("bounded"),
        "{failure:?}"
    );
    let select = raw
        .prepare("SELECT id FROM accounts WHERE id <= ? ORDER BY id")?
        .map_err(|error| anyhow::anyhow!("{error:?}"))?;
    ensure!(nth(&raw.execute(select, &[Some("7")], false)?, 0)?.rows == 7);
    refused(&raw.query("DELETE FROM accounts")?, "bounded")?;
    let opened = raw.execute(select, &[Some("9")], true)?;
    ensure!(nth(&opened, 0)?.rows == 0);
    ensure!(raw.fetch(select, 5)?.rows == 5 && raw.fetch(select, 5)?.rows == 4);
    raw.close(select)?;

    // SQL-level PREPARE: the body is judged, also when it is executed.
    refused(
        &raw.query("PREPARE s FROM 'DELETE FROM accounts'")?,
        "bounded",
    )?;
    ensure!(
        nth(
            &raw.query("PREPARE s FROM 'SELECT count(*) FROM users'")?,
            0
        )?
        .failure
        .is_none()
    );
    ensure!(raw.value("EXECUTE s")? == "1");
    ensure!(nth(&raw.query("EXECUTE nobody")?, 0)?.failure.is_some());

    // Commands without SQL.
    ensure!(raw.simple(14, &[])?.failure.is_none(), "COM_PING");
    for command in [9, 10] {
        let answer = raw.simple(command, &[])?;
        let failure = answer.failure.context("an administrative command passed")?;
        ensure!(failure.errno == 1227, "{failure:?}");
    }
    raw.command(4, b"hidden\0")?;
    let payload = raw.receive()?.context("closed")?;
    ensure!(
        payload.first() == Some(&0xff),
        "COM_FIELD_LIST of the hidden"
    );
    ensure!(raw.value("SELECT 5")? == "5");

    // Ended by policy.
    let answer = raw.query("SELECT * FROM doomed")?;
    let failure = nth(&answer, 0)?.failure.as_ref().context("it passed")?;
    ensure!(
        failure.errno == 1053 && failure.sqlstate == "08S01",
        "{failure:?}"
    );
    ensure!(raw.receive()?.is_none(), "the session goes on");
    ensure!(scene.server.sql("app", "SELECT count(*) FROM accounts")? == "100");
    Ok(())
}

fn loads_named_files_only(product: Product) -> Result<()> {
    let scene = Scene::of(product)?;
    let mut raw = scene.login()?;
    let sql = "LOAD DATA LOCAL INFILE '/tmp/any file' INTO TABLE notes (id)";
    let loaded = raw.query_with(sql, b"1\n2\n3\n")?;
    ensure!(nth(&loaded, 0)?.affected == 3, "{loaded:?}");
    let sql = "LOAD DATA LOCAL INFILE '/etc/passwd' INTO TABLE users (name)";
    refused(&raw.query_with(sql, b"1\n2\n3\n")?, "no-users-file")?;
    ensure!(raw.value("SELECT count(*) FROM users")? == "1");
    ensure!(raw.value("SELECT count(*) FROM notes")? == "3");
    Ok(())
}

fn kills_the_right_thread(product: Product) -> Result<()> {
    let scene = Scene::of(product)?;
    let mut sleeper = scene.login()?;
    let mut bystander = scene.login()?;
    ensure!(sleeper.value("SELECT connection_id()")? == sleeper.id.to_string());
    let began = Instant::now();
    let (id, mut killer) = (sleeper.id, scene.login()?);
    let slept = std::thread::scope(|scope| {
        let slept = scope.spawn(move || {
            sleeper
                .query("SELECT sleep(25)")
                .map(|slept| (slept, sleeper))
        });
        std::thread::sleep(Duration::from_millis(700));
        killer.query(&format!("KILL QUERY {id}"))?;
        match slept.join() {
            Ok(slept) => slept,
            Err(_) => bail!("the sleeper panicked"),
        }
    });
    let (_, mut sleeper) = slept?;
    ensure!(began.elapsed() < Duration::from_secs(20), "it slept on");
    ensure!(sleeper.value("SELECT 7")? == "7");
    killer.query(&format!("KILL {id}"))?;
    ensure!(sleeper.query("SELECT 8").is_err(), "the connection lives");
    ensure!(bystander.value("SELECT 9")? == "9");
    Ok(())
}

/// The server leg is encrypted: what it sees of the client's end must not be a goodbye that it has yet to read.
fn a_client_that_vanishes_takes_its_statement_along(product: Product) -> Result<()> {
    const RUNNING: &str =
        "SELECT count(*) FROM information_schema.processlist WHERE info = 'SELECT sleep(60)'";
    let scene = Scene::with(&Options {
        tls: true,
        ..Options::new(product)
    })?;
    let mut other = scene.login()?;
    let mut sleeper = scene.login()?;
    sleeper.command(3, b"SELECT sleep(60)")?;
    until("it sleeps", Duration::from_secs(10), || {
        Ok((other.value(RUNNING)? == "1").then_some(()))
    })?;
    drop(sleeper);
    until("nobody sleeps", Duration::from_secs(20), || {
        Ok((other.value(RUNNING)? == "0").then_some(()))
    })
}
