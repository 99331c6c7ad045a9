//! A full journal: the policy's `audit_failure` decides, the metrics tell, and once there is room again
//! so does the audit.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use sqlward_tests::process::until;
use sqlward_tests::proxy::{self, Policy, Proxy};
use sqlward_tests::raw::{Raw, tags};
use sqlward_tests::server::{Options, Server, TRUSTED_USER};

use crate::machine::Locked;

/// Two workers and the administration, two segments of 64 MiB each: the least that is taken.
const LEAST: &str = "max_journal_bytes = 402653184\nmax_text_bytes = 4194304\n";

/// A proxy with little room, and a session.
pub(crate) struct Setup {
    _server: Server,
    /// The proxy.
    pub(crate) proxy: Proxy,
    /// The session.
    pub(crate) raw: Raw,
}

fn setup(audit_failure: &str) -> Result<Setup> {
    setup_as(audit_failure, proxy::Options::default())
}

/// The same, with further options.
pub(crate) fn setup_as(audit_failure: &str, options: proxy::Options) -> Result<Setup> {
    let server = Server::start(&Options::default())?;
    let policy = format!(
        "schema = 1\n[defaults]\naction = \"allow\"\naudit_failure = \"{audit_failure}\"\n"
    );
    let options = proxy::Options {
        policy: Policy::Text(policy),
        audit: LEAST.into(),
        ..options
    };
    let proxy = Proxy::start(&[&server], &options)?;
    let mut raw = Raw::login(proxy.port(), TRUSTED_USER, &[])?;
    ensure!(raw.value("SELECT 'before'")? == "before");
    until("the store has its files", Duration::from_secs(10), || {
        let found = proxy.audit(&["search", "--text", "before"])?;
        Ok((!found.is_empty()).then_some(()))
    })?;
    Ok(Setup {
        _server: server,
        proxy,
        raw,
    })
}

/// A statement that needs 4 MB of the journal, whatever little room is left in a segment.
pub(crate) fn large(word: &str) -> String {
    format!("SELECT '{word}', length('{}')", "x".repeat(4_000_000))
}

/// Sends statements until `metric` says that the journal could not take one. How many had an answer
/// with a row, and the answer to the last.
pub(crate) fn fill(setup: &mut Setup, metric: &str) -> Result<(u32, String)> {
    let text = large("filling");
    for passed in 0..100 {
        let answer = setup.raw.query(&text)?;
        let failed = answer.iter().find(|one| one.tag == b'E');
        if setup.proxy.metric(metric)? > 0.0 {
            let code = failed.map(|one| one.sqlstate()).unwrap_or_default();
            return Ok((passed, code));
        }
        ensure!(tags(&answer) == "TDCZ", "statement {passed}: {failed:?}");
    }
    anyhow::bail!("400 MB did not fill the journal")
}

/// Waits until the audit has told of `count` statements in gaps of this kind: each gap before the next record.
pub(crate) fn told(setup: &mut Setup, word: &str, count: u64) -> Result<()> {
    ensure!(setup.raw.value("SELECT 'behind'")? == "behind");
    let sql =
        format!("SELECT * FROM administration WHERE action = 'gap' AND detail LIKE '%{word}%'");
    let mut last = Vec::new();
    let told = until("the gap is told", LIMIT, || {
        last = setup.proxy.audit(&["sql", &sql])?;
        let counts = last.iter().filter_map(|row| row.get("count")?.as_u64());
        Ok((counts.sum::<u64>() == count).then_some(()))
    });
    told.with_context(|| format!("{count} were expected: {last:?}"))?;
    // And there is room again for what had none.
    until("the journal takes what it is given", LIMIT, || {
        setup.raw.query(&large("after"))?;
        let found = setup.proxy.audit(&["search", "--text", "after"])?;
        Ok((!found.is_empty()).then_some(()))
    })?;
    Ok(())
}

/// Ends the proxy; what it left verifies.
pub(crate) fn verified(proxy: &mut Proxy) -> Result<()> {
    proxy.stop()?;
    sqlward_tests::audit::verify(&proxy.data())
}

#[test]
fn a_full_journal_blocks_and_says_so_when_it_can() -> Result<()> {
    let mut setup = setup("block")?;
    let locked = Locked::new(&setup.proxy)?;
    let (passed, code) = fill(&mut setup, "sqlward_audit_blocked_total")?;
    ensure!(passed > 10, "full after {passed} statements");
    ensure!(code == "58030", "{code}");
    // The session goes on, and runs nothing that is not recorded.
    let mut refused: u32 = 1;
    for _ in 0..3 {
        let answer = setup.raw.query(&large("blocked"))?;
        ensure!(tags(&answer) == "EZ", "{answer:?}");
        refused += 1;
    }
    let counted = setup.proxy.metric("sqlward_audit_blocked_total")?;
    ensure!(counted == f64::from(refused), "{counted}");
    ensure!(setup.proxy.metric("sqlward_audit_dropped_total")? == 0.0);
    drop(locked);
    told(&mut setup, "refused", refused.into())?;
    let found = setup.proxy.audit(&["search", "--text", "blocked"])?;
    ensure!(found.is_empty(), "{found:?}");
    verified(&mut setup.proxy)
}

#[test]
fn a_full_journal_lets_pass_what_the_policy_says_and_tells_the_gap() -> Result<()> {
    let mut setup = setup("allow")?;
    let locked = Locked::new(&setup.proxy)?;
    let (_, code) = fill(&mut setup, "sqlward_audit_dropped_total")?;
    ensure!(code.is_empty(), "refused with {code}");
    ensure!(setup.raw.value(&large("unrecorded"))? == "unrecorded");
    let dropped = setup.proxy.metric("sqlward_audit_dropped_total")?;
    ensure!(dropped == 2.0, "{dropped}");
    drop(locked);
    told(&mut setup, "could not take", 2)?;
    let found = setup.proxy.audit(&["search", "--text", "unrecorded"])?;
    ensure!(found.is_empty(), "{found:?}");
    verified(&mut setup.proxy)
}

#[test]
fn a_gap_is_told_at_the_end_at_the_latest() -> Result<()> {
    let mut setup = setup("allow")?;
    let locked = Locked::new(&setup.proxy)?;
    fill(&mut setup, "sqlward_audit_dropped_total")?;
    drop(locked);
    // No further statement comes.
    setup.proxy.stop()?;
    let sql = "SELECT sum(count) AS count FROM administration WHERE action = 'gap'";
    let told = setup.proxy.audit(&["sql", sql])?;
    let count = told.first().and_then(|row| row.get("count")?.as_u64());
    ensure!(count == Some(1), "{told:?}");
    sqlward_tests::audit::verify(&setup.proxy.data())
}

/// Hundreds of megabytes go into the store first.
const LIMIT: Duration = Duration::from_secs(300);
