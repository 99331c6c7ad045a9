//! A store that takes nothing for hours.

use std::time::Duration;

use anyhow::{Result, ensure};
use sqlward_tests::audit;
use sqlward_tests::process::until;
use sqlward_tests::proxy::{self, Policy};

use crate::engine::{Engine, Postgres};
use crate::machine::{Clock, Locked};
use crate::wanted;

#[test]
fn a_store_that_was_away_for_hours_misses_nothing() -> Result<()> {
    let engine = Postgres::start()?;
    let clock = Clock::right()?;
    let options = proxy::Options {
        policy: Policy::RecordAll,
        environment: clock.environment()?,
        ..Default::default()
    };
    let mut proxy = engine.proxy(&options)?;
    let port = proxy.port();
    let count = usize::try_from(wanted("SQLWARD_STATEMENTS", 5_000)? / 4)?;
    let mut played = Postgres::play_all(port, count)?;
    until("the store has its files", Duration::from_secs(10), || {
        Ok((proxy.metric("sqlward_store_rows")? > 0.0).then_some(()))
    })?;
    let locked = Locked::new(&proxy)?;
    for hour in 1..=3 {
        clock.set(hour * 3600)?;
        played.extend(Postgres::play_all(port, count)?);
    }
    until("it is told", Duration::from_secs(60), || {
        let lag = proxy.metric("sqlward_journal_lag_bytes")?;
        let errors = proxy.metric("sqlward_store_errors")?;
        Ok((lag > 0.0 && errors > 0.0).then_some(()))
    })?;
    ensure!(proxy.log().contains("the audit store took no batch"));
    // The proxy is killed meanwhile, and starts when the store is back.
    proxy.kill()?;
    drop(locked);
    proxy.restart()?;
    proxy.stop()?;
    engine.judge(&proxy.data(), Some(&played))?;
    audit::verify(&proxy.data())
}
