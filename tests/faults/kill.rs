//! kill -9 of the proxy at random instants, under load and while it starts over what it left: no statement that the server
//! ran is missing from the store, none is there twice, and what is signed verifies.
//!
//! Checkpoints are made every second, and the store takes shipments every second; where days pass, each start seals the
//! day before: so the instants fall into every piece of work. `SQLWARD_KILLS` sets the number of kills under load
//! for each server (`make faults`: 100); where days pass there are as many in all.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use sqlward_tests::mysql::Product;
use sqlward_tests::paths::sqlward;
use sqlward_tests::process::{run, until};
use sqlward_tests::proxy::{self, Policy, Proxy};
use sqlward_tests::traffic::Dice;
use tempfile::TempDir;

use crate::engine::{Engine, Mysql, Postgres};
use crate::machine::Clock;
use crate::wanted;

/// A key that signs, and the one to verify with.
struct Key {
    folder: TempDir,
}

impl Key {
    fn make() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut keygen = Command::new(sqlward()?);
        keygen.args(["audit", "keygen", "--name", "faults.example.org/kill"]);
        let key = Self { folder };
        keygen.arg("--out").arg(key.path("private"));
        run(keygen.arg("--public").arg(key.public()))?;
        Ok(key)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn public(&self) -> PathBuf {
        self.path("public")
    }

    fn verify(&self, data: &Path) -> Result<()> {
        let mut verify = Command::new(sqlward()?);
        verify.args(["audit", "verify", "--data"]).arg(data);
        run(verify.arg("--public-key").arg(self.public())).map(drop)
    }

    fn options(&self) -> proxy::Options {
        let private = self.path("private");
        proxy::Options {
            policy: Policy::RecordAll,
            audit: format!("signing_key = {private:?}\ncheckpoint_interval_secs = 1\n"),
            ..Default::default()
        }
    }
}

/// Plays until the proxy is killed, after a time between `least` and `least + spread`.
fn play_and_kill<E: Engine>(proxy: &mut Proxy, round: u64, after: Duration) -> Result<()> {
    let port = proxy.port();
    let sessions: Vec<_> = (0..SESSIONS)
        .map(|number| {
            let seed = round * SESSIONS + number + 1;
            thread::spawn(move || E::play(port, seed, usize::MAX))
        })
        .collect();
    // The instant is random: that is the point of the test.
    thread::sleep(after);
    ensure!(
        proxy.running()?,
        "round {round}: sqlward ended by itself:\n{}",
        proxy.log()
    );
    proxy.kill()?;
    for session in sessions {
        // Every session ends with its connection.
        let outcome = session
            .join()
            .map_err(|_| anyhow::anyhow!("a session panicked"))?;
        ensure!(outcome.is_err(), "a session outlived the proxy");
    }
    Ok(())
}

fn nothing_that_ran_is_forgotten<E: Engine>(engine: E) -> Result<()> {
    let key = Key::make()?;
    let mut proxy = engine.proxy(&key.options())?;
    let mut dice = Dice::new(std::process::id().into());
    let kills = wanted("SQLWARD_KILLS", 5)?;
    for round in 0..kills {
        // Most soon, when it ships what its last life left; some when it ships and signs what it got in this one.
        let spread = if round % 4 == 3 { 2_000_000 } else { 400_000 };
        let after = Duration::from_micros(20_000 + dice.below(spread));
        play_and_kill::<E>(&mut proxy, round, after)?;
        engine.settle()?;
        proxy.restart().with_context(|| format!("round {round}"))?;
        if round % 25 == 24 {
            key.verify(&proxy.data())
                .with_context(|| format!("round {round}"))?;
        }
    }
    proxy.stop()?;
    println!("{}: {kills} kills", engine.name());
    let findings = engine.judge(&proxy.data(), None)?;
    ensure!(
        findings.statements > 100,
        "only {} statements",
        findings.statements
    );
    key.verify(&proxy.data())
}

#[test]
fn postgres_kill() -> Result<()> {
    nothing_that_ran_is_forgotten(Postgres::start()?)
}

#[test]
fn mariadb10_kill() -> Result<()> {
    nothing_that_ran_is_forgotten(Mysql::start(Product::MariaDb10)?)
}

#[test]
fn mysql_kill() -> Result<()> {
    nothing_that_ran_is_forgotten(Mysql::start(Product::MySql)?)
}

#[test]
fn killed_while_it_seals_days_ships_and_signs() -> Result<()> {
    let engine = Postgres::start()?;
    let (key, clock) = (Key::make()?, Clock::right()?);
    let options = proxy::Options {
        environment: clock.environment()?,
        ..key.options()
    };
    let mut proxy = engine.proxy(&options)?;
    let mut dice = Dice::new(std::process::id().into());
    let days = wanted("SQLWARD_KILLS", 5)?.div_ceil(2 * STARTS + 2);
    for day in 1..=days {
        let after = Duration::from_micros(100_000 + dice.below(1_500_000));
        play_and_kill::<Postgres>(&mut proxy, day, after)?;
        clock.set(i64::try_from(day * 26 * 3600)?)?;
        crash_while_starting(&mut proxy, &mut dice)?;
        proxy.restart().with_context(|| format!("day {day}"))?;
        // A day is sealed at a start, when nothing of it is open any more.
        until("everything is in the store", SHIP_LIMIT, || {
            Ok((proxy.metric("sqlward_journal_lag_bytes")? == 0.0).then_some(()))
        })?;
        proxy.kill()?;
        crash_while_starting(&mut proxy, &mut dice)?;
        proxy.restart().with_context(|| format!("day {day}"))?;
    }
    proxy.stop()?;
    let log = proxy.log();
    ensure!(log.contains("every record is in the store"), "{log}");
    // Whatever was cut short is made up for.
    clock.set(i64::try_from((days + 1) * 26 * 3600)?)?;
    proxy.restart()?;
    proxy.stop()?;
    println!("{} kills, {days} days", days * (2 * STARTS + 2));
    engine.judge(&proxy.data(), None)?;
    let main = rusqlite::Connection::open(proxy.data().join("store/main.db"))?;
    let sealed: i64 = main.query_row(
        "SELECT count(*) FROM day WHERE sealed_us IS NOT NULL",
        [],
        |row| row.get(0),
    )?;
    ensure!(
        sealed + 1 >= i64::try_from(days)?,
        "{sealed} of {days} days are sealed"
    );
    key.verify(&proxy.data())
}

/// Kills it a few times while it starts, and looks that no file was damaged.
fn crash_while_starting(proxy: &mut Proxy, dice: &mut Dice) -> Result<()> {
    for _ in 0..STARTS {
        proxy.crash_while_starting(Duration::from_micros(dice.below(400_000)))?;
        for entry in std::fs::read_dir(proxy.data().join("store"))? {
            let name = entry?.file_name();
            let aside = name.to_string_lossy().contains(".damaged");
            ensure!(!aside, "{} was set aside:\n{}", name.display(), proxy.log());
        }
    }
    Ok(())
}

const SHIP_LIMIT: Duration = Duration::from_secs(60);
/// How often it is killed in a row while it starts.
const STARTS: u64 = 3;
const SESSIONS: u64 = 6;
