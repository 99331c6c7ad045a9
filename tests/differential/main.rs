//! Differential fuzzing of the analysis: generated statements, the server's own account of the tables that each one
//! reads and changes, and the facts beside it. No table and no write may be missing.
//!
//! `SQLWARD_DIFFERENTIAL` says how many statements (`make differential`: 1,000,000 for each engine), `SQLWARD_SEED` where to begin;
//! `SQLWARD_EXAMPLES` shows more of what was unreadable, too much or rejected.

mod account;
mod grammar;
mod mysql;
mod postgres;
mod random;

use anyhow::{Context, Result, anyhow};
use sqlward_policy::statement::ANALYSIS_STACK_BYTES;
use sqlward_tests::mysql::Product;

/// Statements for each engine in everyday tests.
const FEW: usize = 2_000;

fn number(name: &str, otherwise: usize) -> Result<usize> {
    match std::env::var(name) {
        Ok(text) => text.parse().with_context(|| format!("{name}={text}")),
        Err(_) => Ok(otherwise),
    }
}

/// Runs where analyses have the stack that they need.
fn deep(run: impl FnOnce(usize, u64) -> Result<()> + Send) -> Result<()> {
    let wanted = number("SQLWARD_DIFFERENTIAL", FEW)?;
    let seed = u64::try_from(number("SQLWARD_SEED", 1)?)?;
    std::thread::scope(|scope| {
        let builder = std::thread::Builder::new().stack_size(ANALYSIS_STACK_BYTES);
        let thread = builder.spawn_scoped(scope, || run(wanted, seed))?;
        thread
            .join()
            .map_err(|_| anyhow!("the comparison panicked"))?
    })
}

#[test]
fn postgres18() -> Result<()> {
    deep(postgres::check)
}

#[test]
fn mysql9() -> Result<()> {
    deep(|wanted, seed| mysql::check(Product::MySql, wanted, seed))
}

#[test]
fn mariadb10() -> Result<()> {
    deep(|wanted, seed| mysql::check(Product::MariaDb10, wanted, seed))
}
