//! A proxy that signs, and what its store says when something was changed.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sqlward_audit_store::embedded::{Scope, Trust};
use sqlward_audit_store::proof::{ProofSettings, PublicKey, Signer, read_checkpoints};
use sqlward_audit_store::record::{Admin, AdminAction, Entry};
use sqlward_audit_store::{Audit, CHECKPOINTS};

use crate::support::*;

pub const DAY_US: u64 = 86_400_000_000;

/// A run of the proxy: two lanes with sessions, statements and administration on one day, ended in order.
pub fn run_proxy(data: &Path, signer: &Arc<Signer>, day: u64) {
    run_at(data, signer, day, NOW + day * DAY_US);
}

/// The same, at another time.
pub fn run_at(data: &Path, signer: &Arc<Signer>, day: u64, at: u64) {
    let mut settings = settings();
    settings.shipper.proof = ProofSettings {
        signer: Some(Arc::clone(signer)),
        file: Some(data.join(CHECKPOINTS)),
        ..ProofSettings::default()
    };
    let (audit, _) = Audit::open(data, settings).unwrap();
    for number in 0..2u16 {
        let mut lane = audit.lane(number).unwrap();
        let session = day * 10 + u64::from(number) + 1;
        start(&mut lane, session, at, "bob");
        for statement in 0..10u32 {
            let text = format!("SELECT {statement} FROM finance.ledger -- day {day}");
            run(
                &mut lane,
                session,
                statement,
                at + u64::from(statement),
                &text,
            );
        }
        lane.append(&Entry::Admin(Admin {
            at_us: at,
            action: AdminAction::Reload,
            actor: "signal",
            detail: "",
            generation: day,
            config_hash: None,
            count: 0,
        }))
        .unwrap();
        end(&mut lane, session, at + 100);
    }
    stop(audit);
}

pub fn signer() -> Arc<Signer> {
    Arc::new(Signer::generate("audit.example.org/shop").unwrap())
}

/// A signed store of three runs on three days.
pub fn signed() -> (tempfile::TempDir, Arc<Signer>) {
    let data = tempfile::tempdir().unwrap();
    let signer = signer();
    for day in 0..3 {
        run_proxy(data.path(), &signer, day);
    }
    (data, signer)
}

pub fn trust(keys: &[&PublicKey], witness: Option<&Path>) -> Trust {
    let witnessed = witness.map(|path| {
        let text = std::fs::read_to_string(path).unwrap();
        let kept = read_checkpoints(&text).unwrap().into_iter();
        kept.map(|one| (path.to_owned(), one)).collect()
    });
    Trust {
        keys: keys.iter().map(|key| (*key).clone()).collect(),
        witnessed: witnessed.unwrap_or_default(),
        key_records: Vec::new(),
    }
}

pub fn findings(data: &Path, trust: &Trust) -> Vec<String> {
    let report = archive(data)
        .verify_against(trust, &Scope::default())
        .unwrap();
    report
        .findings
        .into_iter()
        .map(|found| format!("{}: {}", found.file.display(), found.what))
        .collect()
}

#[track_caller]
pub fn expect(found: &[String], what: &str) {
    assert!(
        found.iter().any(|one| one.contains(what)),
        "no `{what}`: {found:#?}"
    );
}

pub fn store(data: &Path, name: &str) -> PathBuf {
    data.join("store").join(name)
}

pub fn edit(path: &Path, sql: &str) {
    let mode = path.metadata().unwrap().permissions();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let connection = rusqlite::Connection::open(path).unwrap();
    connection.execute_batch(sql).unwrap();
    drop(connection);
    std::fs::set_permissions(path, mode).unwrap();
}
