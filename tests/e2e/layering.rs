//! The dependency arrows between our crates are those that ARCHITECTURE.md draws.

use std::collections::BTreeMap;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// Which of our crates each crate may depend on. `tests` and `benches` may use anything.
const ALLOWED: [(&str, &[&str]); 5] = [
    ("sqlward-wire", &[]),
    ("sqlward-policy", &[]),
    ("sqlward-audit-store", &["sqlward-policy"]),
    (
        "sqlward-proxy",
        &["sqlward-wire", "sqlward-policy", "sqlward-audit-store"],
    ),
    (
        "sqlward-cli",
        &["sqlward-policy", "sqlward-audit-store", "sqlward-proxy"],
    ),
];

/// What the sans-IO and pure crates must never see.
const BANNED: [(&str, &[&str]); 2] = [
    (
        "sqlward-wire",
        &["tokio", "mio", "rand", "rustls", "socket2"],
    ),
    (
        "sqlward-policy",
        &["tokio", "mio", "rand", "rustls", "socket2", "rusqlite"],
    ),
];

fn dependencies() -> Result<BTreeMap<String, Vec<String>>> {
    let manifest = sqlward_tests::paths::repository().join("Cargo.toml");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args([
        "metadata",
        "--format-version=1",
        "--no-deps",
        "--offline",
        "--manifest-path",
    ]);
    let text = sqlward_tests::process::run(command.arg(manifest))?;
    let metadata: Value = serde_json::from_str(&text)?;
    let packages = metadata
        .get("packages")
        .and_then(Value::as_array)
        .context("no packages")?;
    let mut found = BTreeMap::new();
    for package in packages {
        let name = package["name"]
            .as_str()
            .context("a package without a name")?;
        let needed = package["dependencies"]
            .as_array()
            .context("no dependencies")?;
        let names = needed
            .iter()
            .filter(|dependency| dependency.get("kind").and_then(Value::as_str) != Some("dev"))
            .filter_map(|dependency| {
                dependency
                    .get("name")
                    .and_then(Value::as_str)
                    .map(str::to_owned)
            })
            .collect();
        found.insert(name.to_owned(), names);
    }
    Ok(found)
}

#[test]
fn arrows_are_the_drawn_ones() -> Result<()> {
    let found = dependencies()?;
    for (name, needed) in &found {
        if name == "sqlward-tests" || name == "sqlward-benches" {
            continue;
        }
        let allowed = ALLOWED.iter().find(|(crate_name, _)| crate_name == name);
        let (_, allowed) = allowed.with_context(|| format!("{name} is in no drawing"))?;
        for dependency in needed
            .iter()
            .filter(|dependency| dependency.starts_with("sqlward-"))
        {
            ensure!(
                allowed.contains(&dependency.as_str()),
                "{name} must not depend on {dependency}; it may on {allowed:?}"
            );
        }
    }
    Ok(())
}

#[test]
fn pure_crates_stay_pure() -> Result<()> {
    let found = dependencies()?;
    for (name, banned) in BANNED {
        let needed = found
            .get(name)
            .with_context(|| format!("no crate {name}"))?;
        for dependency in needed {
            ensure!(
                !banned.contains(&dependency.as_str()),
                "{name} must not use {dependency}"
            );
        }
    }
    Ok(())
}
