//! The proof of the audit trail, from the command line: keys, a bundle that verifies by itself, and what is said of damage.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that fails may panic"
)]

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use sqlward_audit_store::proof::{ProofSettings, Signer};
use sqlward_audit_store::record::{Admin, AdminAction, Entry};
use sqlward_audit_store::{Audit, AuditSettings, CHECKPOINTS};

fn sqlward(arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_sqlward"))
        .args(arguments)
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).unwrap())
}

/// A store with ten administrative records, signed with the key in `key`.
fn store(data: &Path, key: &Path) {
    let mut settings = AuditSettings::default();
    settings.shipper.proof = ProofSettings {
        signer: Some(Arc::new(Signer::read(key).unwrap())),
        file: Some(data.join(CHECKPOINTS)),
        ..ProofSettings::default()
    };
    let (audit, _) = Audit::open(data, settings).unwrap();
    let mut lane = audit.lane(0).unwrap();
    for number in 0..10 {
        lane.append(&Entry::Admin(Admin {
            at_us: 1_700_000_000_000_000 + number,
            action: AdminAction::Reload,
            actor: "signal",
            detail: "",
            generation: number,
            config_hash: None,
            count: 0,
        }))
        .unwrap();
    }
    drop(lane);
    let _ = audit.stop(Duration::from_secs(60));
}

#[test]
fn a_bundle_is_exported_and_verified() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (key, public, data, bundle) = (path("key"), path("pub"), path("data"), path("a.bundle"));
    let made = [
        "audit",
        "keygen",
        "--name",
        "example.org/a",
        "--out",
        &key,
        "--public",
        &public,
    ];
    assert_eq!(sqlward(&made).0, Some(0));
    store(Path::new(&data), Path::new(&key));

    let export = [
        "audit",
        "export",
        "--data",
        &data,
        "--from",
        "2023-11-14",
        "--to",
        "2023-11-15",
        "--output",
        &bundle,
    ];
    let (code, said) = sqlward(&export);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("10 administrative records from 2023-11-14T"),
        "{said}"
    );
    let verify = ["audit", "verify", &bundle, "--public-key", &public];
    let (code, said) = sqlward(&verify);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("0 findings") && said.contains("signed up to checkpoint"),
        "{said}"
    );
    let (code, said) = sqlward(&[&verify[..], &["--from", "2023-11-01"]].concat());
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("manifest.json: it covers only 2023-11-14T"),
        "{said}"
    );

    // One letter of one record.
    let bytes = std::fs::read(&bundle).unwrap();
    let at = bytes
        .windows(6)
        .rposition(|window| window == b"signal")
        .unwrap();
    let changed = [&bytes[..at], b"s1gnal", &bytes[at + 6..]].concat();
    std::fs::write(&bundle, changed).unwrap();
    let (code, said) = sqlward(&verify);
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("administration.jsonl: its SHA-256 is not what the manifest says"),
        "{said}"
    );
    assert!(said.contains("was changed: actor"), "{said}");
    std::fs::write(&bundle, "no bundle").unwrap();
    assert_eq!(sqlward(&verify).0, Some(1));

    // The store, in whole and by its days.
    let verify = ["audit", "verify", "--data", &data, "--public-key", &public];
    let (code, said) =
        sqlward(&[&verify[..], &["--from", "2023-11-14", "--to", "2023-11-15"]].concat());
    assert_eq!(code, Some(0), "{said}");
    let file = Path::new(&data).join(CHECKPOINTS);
    let notes = std::fs::read_to_string(&file).unwrap();
    for damaged in [
        notes.replace("\ntime", "\n\ntime"),
        notes.replacen("example", "example\u{0}", 1),
        "\u{2014}\n".to_owned(),
    ] {
        std::fs::write(&file, damaged).unwrap();
        let (code, said) = sqlward(&verify);
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("was changed: "), "{said}");
    }
    std::fs::write(&file, [0xff, 0xfe]).unwrap();
    assert_eq!(sqlward(&verify).0, Some(1));
    std::fs::remove_file(&file).unwrap();
    assert!(
        sqlward(&verify)
            .1
            .contains("the checkpoints' file is missing")
    );
}
