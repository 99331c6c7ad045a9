//! Verification of what a proxy has shipped: a clean store raises no alarm, and each change is named.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use sqlward_audit_store::clickhouse::{ClickHouse, Target, import, migrate};
use sqlward_audit_store::embedded::Trust;
use sqlward_audit_store::proof::{Signer, read_checkpoints};
use sqlward_audit_store::{Audit, AuditSettings, CHECKPOINTS};
use sqlward_tests::clickhouse::Server;
use sqlward_tests::paths;

use crate::shipping::shipping;
use crate::support::questions::build_with;
use crate::support::{archive, stop};

const COUNT: u32 = 1_500;
const NODE: u16 = 3;

fn signing(target: &Target, data: &Path, signer: &Arc<Signer>) -> AuditSettings {
    let mut settings = shipping(&[target]);
    settings.shipper.batch_entries = 1_000;
    settings.shipper.proof.signer = Some(Arc::clone(signer));
    settings.shipper.proof.file = Some(data.join(CHECKPOINTS));
    settings
}

fn trust(signer: &Signer) -> Trust {
    Trust {
        keys: vec![signer.public().clone()],
        ..Trust::default()
    }
}

/// A store with the records of one signing proxy, and its data folder.
fn shipped() -> Result<(Server, Target, Arc<Signer>, tempfile::TempDir)> {
    let data = tempfile::tempdir()?;
    let signer = Arc::new(Signer::generate("audit.example.org/shop")?);
    let (server, target) = crate::store()?;
    build_with(data.path(), COUNT, signing(&target, data.path(), &signer));
    Ok((server, target, signer, data))
}

fn findings(target: &Target, trust: &Trust) -> Result<Vec<String>> {
    let report = ClickHouse::open(target.clone())?.verify(NODE, trust)?;
    let named = report.findings.into_iter();
    Ok(named
        .map(|found| format!("{:?} {:?}: {}", found.lane, found.seq, found.what))
        .collect())
}

/// The same records in a database of their own.
fn copy(server: &Server, name: &str) -> Result<Target> {
    let target: Target = server.url(name).parse()?;
    migrate(&target, crate::RETENTION_DAYS)?;
    for table in [
        "statements",
        "sessions",
        "administration",
        "blocks",
        "leaves",
        "checkpoints",
    ] {
        server.execute(&format!(
            "INSERT INTO {name}.{table} SELECT * FROM audit.{table}"
        ))?;
    }
    Ok(target)
}

#[test]
fn a_clean_store_raises_no_alarm_and_each_change_is_named() -> Result<()> {
    let (server, target, signer, data) = shipped()?;
    let trust = trust(&signer);
    let store = ClickHouse::open(target.clone())?;
    ensure!(store.nodes()? == [NODE]);
    let report = store.verify(NODE, &trust)?;
    ensure!(report.findings.is_empty(), "{:#?}", report.findings);
    ensure!(report.rows >= u64::from(COUNT), "{} rows", report.rows);
    let signed = report.signed.context("nothing is signed")?;
    ensure!(report.unsigned_blocks == 0 && signed.signer == signer.public().label());

    // A later life goes on, without an alarm.
    let (audit, _) = Audit::open(data.path(), signing(&target, data.path(), &signer))?;
    stop(audit);
    ensure!(findings(&target, &trust)?.is_empty());

    let cases = [
        (
            "ALTER TABLE {db}.statements UPDATE text = 'SELECT 1' WHERE seq = (SELECT max(seq) FROM {db}.statements WHERE lane = 1) AND lane = 1",
            "the row was changed: text",
        ),
        (
            "ALTER TABLE {db}.statements UPDATE rows = rows + 1 WHERE seq % 100 = 7",
            "the row was changed: rows",
        ),
        (
            "ALTER TABLE {db}.statements DELETE WHERE seq % 100 = 7",
            "the row was removed",
        ),
        (
            "INSERT INTO {db}.statements SELECT * REPLACE (seq + 100000000 AS seq) FROM {db}.statements LIMIT 1",
            "a row that no entry explains",
        ),
        (
            "INSERT INTO {db}.statements SELECT * FROM {db}.statements WHERE seq % 100 = 7",
            "the row stands twice",
        ),
        ("TRUNCATE TABLE {db}.statements", "the row was removed"),
        (
            "ALTER TABLE {db}.sessions DELETE WHERE step = 'start' AND lane = 0",
            "the session's step `start` was removed",
        ),
        (
            "INSERT INTO {db}.administration (node, at, action, seq) VALUES (3, '2027-12-01 00:00:00', 'stop', 77)",
            "an administrative record that no entry explains",
        ),
        (
            "INSERT INTO {db}.sessions SELECT * REPLACE (at + INTERVAL 400 DAY AS at, seq + 5000000 AS seq) FROM {db}.sessions WHERE step = 'start'",
            "a session's step `start` that no entry explains",
        ),
        (
            "INSERT INTO {db}.blocks SELECT * REPLACE (9 AS lane) FROM {db}.blocks AS b WHERE b.lane = 0",
            "the tree has no leaf for this block: it was added",
        ),
        (
            "ALTER TABLE {db}.blocks DELETE WHERE lane = 0 AND seq > 1 AND seq < (SELECT max(seq) FROM {db}.blocks WHERE lane = 0)",
            "missing",
        ),
        (
            "ALTER TABLE {db}.blocks DELETE WHERE (lane, seq) IN (SELECT lane, max(seq) FROM {db}.blocks GROUP BY lane)",
            "missing",
        ),
        (
            "ALTER TABLE {db}.blocks UPDATE head = previous WHERE lane = 1",
            "do not hash to its head",
        ),
        (
            "ALTER TABLE {db}.leaves DELETE WHERE id = (SELECT max(id) FROM {db}.leaves)",
            "cut off or rolled back",
        ),
        (
            "ALTER TABLE {db}.leaves UPDATE data = (SELECT data FROM {db}.leaves WHERE id = 0 LIMIT 1) WHERE id = 1",
            "leaf 1 was changed",
        ),
        (
            "ALTER TABLE {db}.checkpoints UPDATE note = replaceOne(note, 'time 2', 'time 3') WHERE 1",
            "signature is not good",
        ),
        (
            "TRUNCATE TABLE {db}.checkpoints",
            "no checkpoint of a trusted key fits",
        ),
    ];
    for (number, (change, said)) in cases.iter().enumerate() {
        let name = format!("case_{number}");
        let copied = copy(&server, &name)?;
        if number == 0 {
            ensure!(findings(&copied, &trust)?.is_empty(), "a copy is no change");
        }
        let settings = if change.starts_with("ALTER") {
            " SETTINGS mutations_sync = 2, allow_nondeterministic_mutations = 1"
        } else {
            ""
        };
        server.execute(&format!("{}{settings}", change.replace("{db}", &name)))?;
        let found = findings(&copied, &trust)?;
        ensure!(
            found.iter().any(|one| one.contains(said)),
            "{change}: no `{said}` in {found:#?}"
        );
        server.execute(&format!("DROP DATABASE {name}"))?;
    }

    // Rolled back to an older copy, whole: found by whoever has kept a checkpoint.
    let copied = copy(&server, "rolled_back")?;
    for table in ["blocks", "leaves", "statements", "sessions", "checkpoints"] {
        server.execute(&format!("TRUNCATE TABLE rolled_back.{table}"))?;
    }
    let kept = std::fs::read_to_string(data.path().join(CHECKPOINTS))?;
    let kept = read_checkpoints(&kept)?.into_iter();
    let mut witnessing = trust;
    witnessing.witnessed = kept.map(|one| ("witness".into(), one)).collect();
    let found = findings(&copied, &witnessing)?;
    ensure!(
        found
            .iter()
            .any(|one| one.contains("cut off or rolled back")),
        "{found:#?}"
    );
    Ok(())
}

#[test]
fn rows_of_days_that_were_let_go_are_no_alarm() -> Result<()> {
    let data = tempfile::tempdir()?;
    let signer = Arc::new(Signer::generate("audit.example.org/shop")?);
    let (_server, target) = crate::store()?;
    let mut settings = signing(&target, data.path(), &signer);
    // The server keeps its rows as long as it likes.
    if let Some(delivery) = &mut settings.delivery {
        delivery.retention_days = 2;
    }
    build_with(data.path(), COUNT, settings.clone());
    let (audit, _) = Audit::open(data.path(), settings)?;
    stop(audit);
    let found = findings(&target, &trust(&signer))?;
    ensure!(found.is_empty(), "{found:#?}");
    Ok(())
}

#[test]
fn a_moved_store_is_proved_where_it_is_now() -> Result<()> {
    let data = tempfile::tempdir()?;
    let signer = Arc::new(Signer::generate("audit.example.org/shop")?);
    let (_server, target) = crate::store()?;
    let shipping = signing(&target, data.path(), &signer);
    let embedded = AuditSettings {
        delivery: None,
        ..shipping.clone()
    };
    build_with(data.path(), COUNT, embedded);
    import(&archive(data.path()), &target, |_, _| {})?;
    import(&archive(data.path()), &target, |_, _| {})?;
    let (store, trust) = (ClickHouse::open(target.clone())?, trust(&signer));
    let report = store.verify(NODE, &trust)?;
    ensure!(report.findings.is_empty(), "{:#?}", report.findings);
    ensure!(report.rows >= u64::from(COUNT) && report.unsigned_blocks == 0);

    // The proxy goes on and ships there itself.
    let (audit, _) = Audit::open(data.path(), shipping)?;
    stop(audit);
    let after = store.verify(NODE, &trust)?;
    ensure!(after.findings.is_empty(), "{:#?}", after.findings);
    ensure!(after.entries >= report.entries && after.checkpoints >= report.checkpoints);
    Ok(())
}

#[test]
fn the_command_verifies_each_node_with_the_public_key_alone() -> Result<()> {
    let (server, _, signer, data) = shipped()?;
    let key = data.path().join("signing.pub");
    std::fs::write(&key, format!("{}\n", signer.public()))?;
    let (key, url) = (key.display().to_string(), server.url("audit"));
    let verify = |arguments: &[&str]| -> Result<(Option<i32>, String)> {
        let mut command = Command::new(paths::sqlward()?);
        let output = command
            .args(["audit", "verify"])
            .args(arguments)
            .args(["--public-key", &key])
            .output()?;
        let said = [output.stdout, output.stderr].concat();
        Ok((output.status.code(), String::from_utf8(said)?))
    };
    let (code, said) = verify(&["--store", &url])?;
    ensure!(
        code == Some(0) && said.contains("node 3: ") && said.contains(" 0 findings"),
        "{said}"
    );
    // The folder has the tree, and the server the records: that is said, and is no finding.
    let folder = data.path().display().to_string();
    let (code, said) = verify(&["--data", &folder])?;
    ensure!(
        code != Some(0) && said.contains("sqlward audit verify --store"),
        "{code:?} {said}"
    );
    // A question there has no answer, and says why; a bundle of nothing is not made.
    let ask = |arguments: &[&str]| -> Result<(bool, String)> {
        let output = Command::new(paths::sqlward()?)
            .arg("audit")
            .args(arguments)
            .args(["--data", &folder])
            .output()?;
        Ok((output.status.success(), String::from_utf8(output.stderr)?))
    };
    let (_, said) = ask(&["search"])?;
    ensure!(said.contains("ask there with --store URL"), "{said}");
    let bundle = data.path().join("all.bundle").display().to_string();
    let (made, said) = ask(&["export", "--from", "2026-01-01", "--output", &bundle])?;
    ensure!(!made && said.contains("are on ClickHouse"), "{said}");
    // So a hold there would hold nothing.
    let hold = Command::new(paths::sqlward()?)
        .args(["audit", "hold", "add", "--data", &folder])
        .args(["--from", "2026-11-01", "--reason", "case 7"])
        .output()?;
    let refused = String::from_utf8(hold.stderr)?;
    ensure!(
        !hold.status.success() && refused.contains("holds don't reach there"),
        "{refused}"
    );
    server.execute(
        "ALTER TABLE audit.statements DELETE WHERE seq % 100 = 7 SETTINGS mutations_sync = 2",
    )?;
    let (code, said) = verify(&["--store", &url, "--node", "3"])?;
    ensure!(
        code == Some(1) && said.contains("the row was removed"),
        "{said}"
    );
    let (code, said) = verify(&["--store", &url, "--node", "4"])?;
    ensure!(
        code == Some(1) && said.contains("node 4 has no records"),
        "{said}"
    );
    Ok(())
}
