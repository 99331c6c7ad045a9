//! `durability = "disk"`: nothing leaves for the server before its record is on the disk; sessions share the wait; a
//! disk that fails is answered as `audit_failure` says.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use sqlward_tests::process::until;
use sqlward_tests::proxy::{self, Policy, Proxy};
use sqlward_tests::raw::{Raw, query, tags};
use sqlward_tests::server::{Options, Server, TRUSTED_USER};
use tempfile::TempDir;

use crate::machine::preload;

/// How long the disk takes.
const DISK: Duration = Duration::from_millis(300);

struct Setup {
    server: Server,
    proxy: Proxy,
    folder: TempDir,
}

impl Setup {
    fn new(audit: &str, audit_failure: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let server = Server::start(&Options::default())?;
        let policy = format!(
            "schema = 1\n[defaults]\naction = \"allow\"\naudit_failure = \"{audit_failure}\"\n"
        );
        let fails = folder.path().join("fails");
        let options = proxy::Options {
            policy: Policy::Text(policy),
            audit: audit.into(),
            environment: [
                preload()?,
                ("MACHINE_SYNC_MS".into(), DISK.as_millis().to_string()),
                ("MACHINE_SYNC_FAILS".into(), fails.display().to_string()),
            ]
            .to_vec(),
            ..Default::default()
        };
        let proxy = Proxy::start(&[&server], &options)?;
        Ok(Self {
            server,
            proxy,
            folder,
        })
    }

    fn login(&self) -> Result<Raw> {
        Raw::login(self.proxy.port(), TRUSTED_USER, &[])
    }

    /// A statement on the server itself.
    fn truth(&self, sql: &str) -> Result<String> {
        Raw::login(self.server.port(), TRUSTED_USER, &[])?.value(sql)
    }

    /// Waits for gaps in the record that are told so; how many statements they are about.
    fn told(&self, like: &str) -> Result<u64> {
        let sql = format!(
            "SELECT * FROM administration WHERE action = 'gap' AND detail LIKE '{}'",
            like.replace('\'', "''")
        );
        let rows = until("the gap is recorded", Duration::from_secs(20), || {
            let rows = self.proxy.audit(&["sql", &sql])?;
            Ok((!rows.is_empty()).then_some(rows))
        })?;
        Ok(rows
            .iter()
            .filter_map(|row| row.get("count")?.as_u64())
            .sum())
    }

    fn break_disk(&self) -> Result<()> {
        Ok(std::fs::write(self.folder.path().join("fails"), "")?)
    }
}

#[test]
fn a_statement_waits_for_its_record_and_sessions_share_the_wait() -> Result<()> {
    const SESSIONS: u32 = 16;
    let setup = Setup::new("durability = \"disk\"", "block")?;
    let mut sessions = std::thread::scope(|scope| {
        let logins: Vec<_> = (0..SESSIONS)
            .map(|_| scope.spawn(|| setup.login()))
            .collect();
        let joined = logins
            .into_iter()
            .map(|login| login.join().ok().context("login")?);
        joined.collect::<Result<Vec<Raw>>>()
    })?;
    let alone = Instant::now();
    ensure!(
        sessions
            .first_mut()
            .context("no session")?
            .value("SELECT 7")?
            == "7"
    );
    ensure!(alone.elapsed() >= DISK, "{:?}", alone.elapsed());
    let together = Instant::now();
    for session in &mut sessions {
        session.send(&query("SELECT 8"))?;
    }
    for session in &mut sessions {
        ensure!(tags(&session.until_ready()?) == "TDCZ");
    }
    // Two workers have a lane each; a statement just missed by one sync is taken by the next.
    let took = together.elapsed();
    ensure!(took >= DISK && took < DISK * SESSIONS / 2, "{took:?}");
    Ok(())
}

#[test]
fn what_a_client_said_before_it_left_is_run_when_it_is_on_the_disk() -> Result<()> {
    let setup = Setup::new("durability = \"disk\"", "block")?;
    let mut session = setup.login()?;
    ensure!(tags(&session.query("CREATE TABLE left_behind (n int)")?) == "CZ");
    session.send(&query("INSERT INTO left_behind VALUES (1)"))?;
    session.terminate()?;
    drop(session);
    until("the row is there", Duration::from_secs(10), || {
        let count = setup.truth("SELECT count(*) FROM left_behind")?;
        Ok((count == "1").then_some(()))
    })
}

#[test]
fn nothing_passes_a_disk_that_fails() -> Result<()> {
    let setup = Setup::new("durability = \"disk\"", "block")?;
    let mut session = setup.login()?;
    ensure!(tags(&session.query("CREATE TABLE kept_out (n int)")?) == "CZ");
    setup.break_disk()?;
    session.send(&query("INSERT INTO kept_out VALUES (1)"))?;
    let answer = session.until_closed()?;
    let error = answer.last().context("no answer")?;
    ensure!(error.sqlstate() == "58030", "{answer:?}");
    ensure!(setup.truth("SELECT count(*) FROM kept_out")? == "0");
    ensure!(setup.proxy.metric("sqlward_audit_blocked_total")? >= 1.0);
    setup.told("%can't be brought to the disk any more%")?;
    ensure!(setup.told("statements refused because%")? >= 1);
    Ok(())
}

#[test]
fn a_policy_may_let_statements_pass_a_disk_that_fails() -> Result<()> {
    let setup = Setup::new("durability = \"disk\"", "allow")?;
    let mut session = setup.login()?;
    setup.break_disk()?;
    ensure!(session.value("SELECT 'passes'")? == "passes");
    ensure!(setup.proxy.metric("sqlward_audit_unsynced_total")? >= 1.0);
    for number in 0..20 {
        session.value(&format!("SELECT {number}"))?;
    }
    until("it is recorded", Duration::from_secs(10), || {
        let found = setup.proxy.audit(&["search", "--text", "passes"])?;
        Ok((!found.is_empty()).then_some(()))
    })?;
    // The choice is exercised for 21 statements and perhaps the login, and the audit says so, in few words.
    setup.told("%can't be brought to the disk any more%")?;
    let passed = setup.proxy.metric("sqlward_audit_unsynced_total")?;
    ensure!(passed >= 21.0, "{passed}");
    until("every one is told", Duration::from_secs(10), || {
        let told = setup.told("statements passed though%")?;
        Ok((told as f64 == passed).then_some(()))
    })
}

#[test]
fn deferred_records_make_nobody_wait() -> Result<()> {
    let setup = Setup::new("durability = \"deferred\"\nsync_interval_ms = 100", "block")?;
    let mut session = setup.login()?;
    let started = Instant::now();
    for number in 0..20 {
        ensure!(session.value(&format!("SELECT {number}"))? == number.to_string());
    }
    ensure!(started.elapsed() < DISK * 10, "{:?}", started.elapsed());
    setup.break_disk()?;
    until("the log tells", Duration::from_secs(10), || {
        let told = setup.proxy.log().contains("can't be brought to the disk");
        Ok(told.then_some(()))
    })?;
    setup
        .told("%can't be brought to the disk any more%")
        .map(drop)
}
