//! A wall clock that steps: back and forth under load, over the end of a day, and back into a day that is sealed.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use sqlward_tests::audit;
use sqlward_tests::proxy::{self, Policy};

use crate::engine::{Engine, Postgres};
use crate::machine::Clock;
use crate::wanted;

const HOUR: i64 = 3600;

/// By how many hours the clock is wrong, one after the other.
const STEPS: [i64; 7] = [-2, 3, -26, 30, 0, -49, 1];

#[test]
fn a_clock_that_steps_loses_nothing() -> Result<()> {
    let engine = Postgres::start()?;
    let clock = Clock::right()?;
    let options = proxy::Options {
        policy: Policy::RecordAll,
        environment: clock.environment()?,
        ..Default::default()
    };
    let mut proxy = engine.proxy(&options)?;
    let port = proxy.port();
    let count = usize::try_from(wanted("SQLWARD_STATEMENTS", 5_000)? / 2)?;
    let over = AtomicBool::new(false);
    let made = AtomicUsize::new(0);
    let played = thread::scope(|scope| {
        let steps = scope.spawn(|| -> Result<()> {
            for step in STEPS.iter().cycle() {
                clock.set(step * HOUR)?;
                made.fetch_add(1, Ordering::Relaxed);
                thread::sleep(Duration::from_millis(150));
                if over.load(Ordering::Relaxed) {
                    break;
                }
            }
            Ok(())
        });
        // A fast machine plays on until the clock has made every step.
        let mut played = Vec::new();
        while made.load(Ordering::Relaxed) < STEPS.len() && !steps.is_finished() {
            played.push(Postgres::play_all(port, count));
        }
        over.store(true, Ordering::Relaxed);
        steps.join().ok().context("the clock panicked")??;
        played.into_iter().collect::<Result<Vec<_>>>()
    })?;
    // Days are sealed at a start; then their time comes again, and their records come late.
    ensure!(!played.is_empty());
    clock.set(100 * HOUR)?;
    proxy.stop()?;
    proxy.restart()?;
    proxy.stop()?;
    ensure!(proxy.log().contains("audit day sealed"), "{}", proxy.log());
    clock.set(-25 * HOUR)?;
    proxy.restart()?;
    let late = Postgres::play_all(port, count)?;
    proxy.stop()?;
    // Server and clients have the right time; what they say is compared by session and order, not by time.
    engine.judge(&proxy.data(), None)?;
    ensure!(!late.is_empty());
    audit::verify(&proxy.data())
}
