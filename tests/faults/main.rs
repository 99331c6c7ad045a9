//! Every row of docs/audit-contract.md, for real: what fails is failed, and the database server's own record says which
//! statements ran.

mod away;
mod clock;
mod damage;
mod disk_full;
mod durability;
mod ends;
mod engine;
mod full;
mod hold;
mod kill;
mod machine;
mod mixed;

use anyhow::{Context, Result};

/// A number from the environment, or the one for a short run.
fn wanted(variable: &str, short: u64) -> Result<u64> {
    match std::env::var(variable) {
        Ok(text) => text.parse().with_context(|| variable.to_owned()),
        Err(_) => Ok(short),
    }
}

/// The beginning of a list.
fn shown(list: &[String]) -> String {
    list.iter().take(10).cloned().collect::<Vec<_>>().join("\n")
}
