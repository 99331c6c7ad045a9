//! MySQL and MariaDB under long mixed traffic and kill -9 of the proxy, with the server's own record as
//! the judge.

mod kill;
mod oracle;

use anyhow::{Context, Result};

/// A number from the environment, or the one for a short run.
fn wanted(variable: &str, short: usize) -> Result<usize> {
    match std::env::var(variable) {
        Ok(text) => text.parse().with_context(|| variable.to_owned()),
        Err(_) => Ok(short),
    }
}

/// The beginning of a list.
fn shown(list: &[String]) -> String {
    list.iter().take(10).cloned().collect::<Vec<_>>().join("\n")
}
