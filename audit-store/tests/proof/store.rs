//! Edits of the tree, its checkpoints and what is summed; stores that were made anew or rolled back.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use sqlward_audit_store::CHECKPOINTS;
use sqlward_audit_store::embedded::Scope;
use sqlward_audit_store::proof::{Signer, read_checkpoints};

use crate::help::*;
use crate::support::*;

#[test]
fn a_clean_store_is_silent_and_signed_to_its_end() {
    let (data, signer) = signed();
    let file = data.path().join(CHECKPOINTS);
    let trust = trust(&[signer.public()], Some(&file));
    let report = archive(data.path())
        .verify_against(&trust, &Scope::default())
        .unwrap();
    assert_eq!(report.findings, []);
    // One at each life's end; a slow life also makes its first one before it has said everything.
    assert!(report.checkpoints >= 3, "{}", report.checkpoints);
    assert_eq!(report.unsigned_blocks, 0);
    assert_eq!(report.signed.unwrap().signer, signer.public().label());
    assert_eq!(
        u64::try_from(trust.witnessed.len()).unwrap(),
        report.checkpoints
    );
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn edits_of_the_tree_and_its_checkpoints_are_named() {
    let cases = [
        (
            "DELETE FROM leaf WHERE id = 2",
            "leaves 2 to 2 of the tree are missing",
        ),
        (
            "DELETE FROM leaf WHERE id = (SELECT max(id) FROM leaf)",
            "cut off or rolled back",
        ),
        (
            "UPDATE leaf SET data = zeroblob(length(data)) WHERE id = 1",
            "leaf 1 can't be read",
        ),
        (
            "UPDATE leaf SET block = block + 1 WHERE id = 1",
            "leaf 1 was changed",
        ),
        (
            "UPDATE leaf SET data = (SELECT data FROM leaf WHERE id = 0) WHERE id = 1",
            "leaf 1 was changed or is not in its place",
        ),
        (
            "UPDATE edge SET size = 0, peaks = x'' WHERE what = 'whole'",
            "edge was changed",
        ),
        (
            "UPDATE edge SET peaks = x'00'",
            "the tree's edge `gone` is none",
        ),
        (
            "UPDATE edge SET size = 1, peaks = zeroblob(32) WHERE what = 'gone';
             DELETE FROM leaf WHERE id = 0",
            "the tree's first 1 leaves are gone, and only 0 were let go",
        ),
        (
            "UPDATE checkpoint SET note = replace(note, 'time 2', 'time 3')",
            "signature is not good",
        ),
        (
            "UPDATE checkpoint SET note = 'x' || note",
            "signature is not good",
        ),
        (
            "UPDATE checkpoint SET note = ''",
            "a checkpoint of the store was changed",
        ),
        (
            "DELETE FROM checkpoint WHERE id > 1",
            "minutes are behind the last checkpoint: later ones are missing",
        ),
        (
            "UPDATE lane SET seq = seq - 1",
            "the lane's progress was changed",
        ),
        ("DELETE FROM lane", "the lane's progress was changed"),
        ("UPDATE meta SET value = 99999", "no finding"),
    ];
    for (sql, what) in cases {
        let (data, signer) = signed();
        edit(&store(data.path(), "main.db"), sql);
        let found = findings(data.path(), &trust(&[signer.public()], None));
        match what {
            // What may be gone is what was signed, whatever the main file says.
            "no finding" => assert_eq!(found, Vec::<String>::new(), "{sql}"),
            what => expect(&found, what),
        }
    }
}

#[test]
fn missing_days_are_named_also_if_they_are_said_to_be_let_go() {
    let (data, signer) = signed();
    let day = store(data.path(), "2026-11-23.db");
    std::fs::remove_file(&day).unwrap();
    edit(
        &store(data.path(), "main.db"),
        "UPDATE meta SET value = 99999; DELETE FROM day",
    );
    let found = findings(data.path(), &trust(&[signer.public()], None));
    expect(&found, "a block is missing: lane 0, entries");
    expect(&found, "of 2026-11-23; checkpoint ");
}

/// Whoever rewrites entries, chain and tree alike is caught by the signature.
#[test]
fn a_store_that_was_made_anew_is_found() {
    let (data, signer) = signed();
    let forged = tempfile::tempdir().unwrap();
    let other = Arc::new(Signer::generate(signer.public().name()).unwrap());
    for day in [0, 2] {
        run_proxy(forged.path(), &other, day);
    }
    let found = findings(forged.path(), &trust(&[signer.public()], None));
    expect(&found, "is signed by another key");
    expect(&found, &other.public().label());
    // With the true checkpoints in place of the false ones.
    let notes = std::fs::read_to_string(data.path().join(CHECKPOINTS)).unwrap();
    let first = read_checkpoints(&notes).unwrap().remove(0);
    let main = store(forged.path(), "main.db");
    let connection = rusqlite::Connection::open(&main).unwrap();
    connection.execute("DELETE FROM checkpoint", []).unwrap();
    connection
        .execute(
            "INSERT INTO checkpoint (size, note) VALUES (?, ?)",
            (first.size as i64, first.to_string()),
        )
        .unwrap();
    drop(connection);
    let found = findings(forged.path(), &trust(&[signer.public()], None));
    expect(&found, "does not fit: blocks were changed");
}

#[test]
fn a_roll_back_is_found_by_a_witness() {
    let data = tempfile::tempdir().unwrap();
    let signer = signer();
    run_proxy(data.path(), &signer, 0);
    run_proxy(data.path(), &signer, 1);
    let older = crashed(data.path());
    run_proxy(data.path(), &signer, 2);
    let witness = data.path().join(CHECKPOINTS);
    let alone = findings(older.path(), &trust(&[signer.public()], None));
    assert_eq!(alone, Vec::<String>::new(), "it is a whole store");
    let found = findings(older.path(), &trust(&[signer.public()], Some(&witness)));
    expect(&found, "rolled back to an older copy: the newest");
    expect(&found, "all after checkpoint");
    // And the other way round: an older copy that went on.
    run_proxy(older.path(), &signer, 3);
    let found = findings(older.path(), &trust(&[signer.public()], Some(&witness)));
    expect(&found, "does not fit");
}

#[test]
fn edits_of_sums_are_found() {
    let cases = [
        "UPDATE rollup SET count = count + 1",
        "UPDATE rollup SET user = user + 1",
        "UPDATE rollup SET max_duration = 0",
        "DELETE FROM rollup",
        "INSERT INTO rollup SELECT minute + 1, user, database, application, fingerprint, verb, decision,
            count, errors, denied, rows, affected, bytes, total_duration, max_duration FROM rollup",
    ];
    for sql in cases {
        let (data, signer) = signed();
        edit(&store(data.path(), "2026-11-24.db"), sql);
        let found = findings(data.path(), &trust(&[signer.public()], None));
        expect(
            &found,
            "the sums were changed, from the minute 2026-11-24T0",
        );
    }
}
