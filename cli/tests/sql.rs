//! SQL of an auditor's own, from the command line: what it was not asked of is said.
#![allow(clippy::unwrap_used, reason = "a test that fails may panic")]

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use sqlward_audit_store::record::{Admin, AdminAction, Entry};
use sqlward_audit_store::{Audit, AuditSettings};

/// A store of twelve days from 2023-11-14 on, each with a record of the administration.
fn store(data: &Path) {
    let (audit, _) = Audit::open(data, AuditSettings::default()).unwrap();
    let mut lane = audit.lane(0).unwrap();
    for day in 0..12 {
        lane.append(&Entry::Admin(Admin {
            at_us: 1_700_000_000_000_000 + day * 86_400_000_000,
            action: AdminAction::Reload,
            actor: "signal",
            detail: "",
            generation: day,
            config_hash: None,
            count: 0,
        }))
        .unwrap();
    }
    drop(lane);
    let _ = audit.stop(Duration::from_secs(60));
}

/// What a query prints, and what is said beside it.
fn ask(data: &Path, more: &[&str]) -> (String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_sqlward"))
        .args(["audit", "sql", "SELECT count(*) AS n FROM administration"])
        .args(["--format", "csv", "--data"])
        .arg(data)
        .args(more)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr))
}

#[test]
fn days_that_are_not_read_are_named() {
    let data = tempfile::tempdir().unwrap();
    store(data.path());

    // The store has a thirteenth day, today, of its own start.
    let twelve = ["--to", "2023-11-26"];
    let (answer, beside) = ask(data.path(), &twelve);
    assert_eq!(answer.split_whitespace().collect::<Vec<_>>(), ["n", "10"]);
    assert_eq!(
        beside,
        "note: only the last 10 of 12 stored days were read, 2023-11-16 to 2023-11-25; --from and --to choose others\n"
    );

    let first = ["--to", "2023-11-24"];
    let (answer, beside) = ask(data.path(), &first);
    assert_eq!(answer.split_whitespace().collect::<Vec<_>>(), ["n", "10"]);
    assert_eq!(beside, "", "all ten days of the range");

    let two = [
        "--from",
        "2023-11-14T23:59:00Z",
        "--to",
        "2023-11-15T00:01:00Z",
    ];
    let (answer, beside) = ask(data.path(), &two);
    assert_eq!(answer.split_whitespace().collect::<Vec<_>>(), ["n", "2"]);
    assert_eq!(beside, "", "days count whole");
}
