//! `sqlward demo`: what a new user sees first is the refusal and its record, on every engine.

use std::process::Command;

use anyhow::{Result, ensure};
use sqlward_tests::paths::{repository, sqlward};
use sqlward_tests::process::run;

/// The rules that the demo runs into.
const REFUSED: [&str; 3] = [
    "unbounded-write",
    "unbounded-write-in-disguise",
    "password-catalog",
];

fn demo(engine: &str) -> Result<()> {
    let mut command = Command::new(sqlward()?);
    command.args(["demo", "--engine", engine]);
    let shown = run(command.current_dir(repository()))?;
    for rule in REFUSED {
        ensure!(
            shown.contains(&format!("Rule: {rule}")),
            "the client was not told of {rule}:\n{shown}"
        );
        let record = format!("[\"{rule}\"]");
        ensure!(
            shown
                .lines()
                .any(|line| line.contains(&record) && line.contains("  deny  ")),
            "the audit does not tell of {rule}:\n{shown}"
        );
    }
    Ok(())
}

#[test]
fn postgres() -> Result<()> {
    demo("postgres")
}

#[test]
fn mysql() -> Result<()> {
    demo("mysql")
}

#[test]
fn mariadb() -> Result<()> {
    demo("mariadb")
}
