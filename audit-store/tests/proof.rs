//! The tamper matrix: whatever is changed in a signed store is found and named; a clean store never raises an alarm.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    unreachable_pub,
    reason = "a test that fails may panic"
)]

mod support;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sqlward_audit_store::embedded::Trust;
use sqlward_audit_store::proof::{ProofSettings, PublicKey, Signer, key_record, read_checkpoints};
use sqlward_audit_store::record::{
    Admin, AdminAction, Completion, Entry, Intent, IntentKind, Outcome, Text,
};
use sqlward_audit_store::{Audit, CHECKPOINTS};
use support::*;

const DAY_US: u64 = 86_400_000_000;

/// A run of the proxy: two lanes with sessions, statements and administration on one day, ended in order.
fn run_proxy(data: &Path, signer: &Arc<Signer>, day: u64) {
    let mut settings = settings();
    settings.shipper.proof = ProofSettings {
        signer: Some(Arc::clone(signer)),
        file: Some(data.join(CHECKPOINTS)),
        ..ProofSettings::default()
    };
    let (audit, _) = Audit::open(data, settings).unwrap();
    let at = NOW + day * DAY_US;
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

fn signer() -> Arc<Signer> {
    Arc::new(Signer::generate("audit.example.org/shop").unwrap())
}

/// A signed store of three runs on three days.
fn signed() -> (tempfile::TempDir, Arc<Signer>) {
    let data = tempfile::tempdir().unwrap();
    let signer = signer();
    for day in 0..3 {
        run_proxy(data.path(), &signer, day);
    }
    (data, signer)
}

fn trust(keys: &[&PublicKey], witness: Option<&Path>) -> Trust {
    let witnessed = witness.map(|path| {
        let text = std::fs::read_to_string(path).unwrap();
        let kept = read_checkpoints(&text).unwrap().into_iter();
        kept.map(|one| (path.to_owned(), one)).collect()
    });
    Trust {
        keys: keys.iter().map(|key| (*key).clone()).collect(),
        witnessed: witnessed.unwrap_or_default(),
    }
}

fn findings(data: &Path, trust: &Trust) -> Vec<String> {
    let report = archive(data).verify_against(trust).unwrap();
    report
        .findings
        .into_iter()
        .map(|found| format!("{}: {}", found.file.display(), found.what))
        .collect()
}

#[track_caller]
fn expect(found: &[String], what: &str) {
    assert!(
        found.iter().any(|one| one.contains(what)),
        "no `{what}`: {found:#?}"
    );
}

fn store(data: &Path, name: &str) -> PathBuf {
    data.join("store").join(name)
}

fn edit(path: &Path, sql: &str) {
    let mode = path.metadata().unwrap().permissions();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let connection = rusqlite::Connection::open(path).unwrap();
    connection.execute_batch(sql).unwrap();
    drop(connection);
    std::fs::set_permissions(path, mode).unwrap();
}

#[test]
fn a_clean_store_is_silent_and_signed_to_its_end() {
    let (data, signer) = signed();
    let file = data.path().join(CHECKPOINTS);
    let trust = trust(&[signer.public()], Some(&file));
    let report = archive(data.path()).verify_against(&trust).unwrap();
    assert_eq!(report.findings, []);
    assert_eq!((report.checkpoints, report.unsigned_blocks), (3, 0));
    assert_eq!(report.signed.unwrap().signer, signer.public().label());
    assert_eq!(trust.witnessed.len(), 3);
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
fn a_key_is_replaced_with_the_old_ones_word() {
    let data = tempfile::tempdir().unwrap();
    let old = signer();
    run_proxy(data.path(), &old, 0);
    let new = Arc::new(old.succeed().unwrap());
    let (audit, _) = open(data.path());
    let mut lane = audit.lane(0).unwrap();
    let record = key_record(&new, Some(&old.public().label()));
    lane.append(&Entry::Admin(Admin {
        at_us: NOW + DAY_US,
        action: AdminAction::SigningKey,
        actor: "start",
        detail: &record,
        generation: 0,
        config_hash: None,
        count: 0,
    }))
    .unwrap();
    drop(lane);
    stop(audit);
    run_proxy(data.path(), &new, 1);
    for key in [&old, &new] {
        let found = findings(data.path(), &trust(&[key.public()], None));
        assert_eq!(found, Vec::<String>::new(), "{key:?}");
    }
    let stranger = signer();
    let found = findings(data.path(), &trust(&[stranger.public()], None));
    expect(&found, "is signed by another key");
}

/// A checkpoint that claims to be of a replaced key proves nothing: its signature can't be checked.
#[test]
fn a_replaced_key_vouches_for_nothing() {
    let data = tempfile::tempdir().unwrap();
    let (old, new) = (signer(), signer());
    run_proxy(data.path(), &old, 0);
    let (audit, _) = open(data.path());
    let mut lane = audit.lane(0).unwrap();
    let record = key_record(&new, Some(&old.public().label()));
    lane.append(&Entry::Admin(Admin {
        at_us: NOW + DAY_US,
        action: AdminAction::SigningKey,
        actor: "start",
        detail: &record,
        generation: 0,
        config_hash: None,
        count: 0,
    }))
    .unwrap();
    drop(lane);
    stop(audit);
    run_proxy(data.path(), &new, 1);
    assert_eq!(
        findings(data.path(), &trust(&[new.public()], None)),
        Vec::<String>::new()
    );
    // No handover: who trusts the old key has no reason to trust the new one.
    let found = findings(data.path(), &trust(&[old.public()], None));
    expect(&found, "is signed by another key");
    // Everything signed by the new key goes, what the old one said stays.
    edit(
        &store(data.path(), "main.db"),
        "DELETE FROM checkpoint WHERE id > 1",
    );
    let found = findings(data.path(), &trust(&[new.public()], None));
    expect(&found, "no checkpoint of a trusted key fits");
}

/// Who speaks, and what was prepared, is known from the tree when the day that told it is gone.
#[test]
fn sessions_and_texts_of_days_that_were_let_go_are_still_verified() {
    let cases = [
        (
            "UPDATE block SET grams = zeroblob(8) WHERE statements > 0",
            "the filter of its texts",
        ),
        (
            "UPDATE block SET grams = x'' WHERE statements > 0",
            "the filter of its texts",
        ),
        ("SELECT 1 FROM name", ""),
        (
            "UPDATE name SET value = 'eve' WHERE value = 'bob'",
            "who speaks in it, or an earlier text",
        ),
        (
            "UPDATE who SET client = '10.9.9.9'",
            "who speaks in it, or an earlier text",
        ),
        (
            "UPDATE prepared SET intent = zeroblob(length(intent))",
            "who speaks in it, or an earlier text",
        ),
        (
            "DELETE FROM prepared",
            "who speaks in it, or an earlier text",
        ),
    ];
    for (sql, what) in cases {
        let (data, signer) = let_go();
        edit(&store(data.path(), "2026-11-24.db"), &format!("{sql};"));
        let report = archive(data.path())
            .verify_against(&trust(&[signer.public()], None))
            .unwrap();
        assert!(report.unknown_sessions > 0 && report.unknown_texts > 0);
        let found: Vec<String> = report
            .findings
            .into_iter()
            .map(|found| found.what)
            .collect();
        match what {
            "" => assert_eq!(found, Vec::<String>::new()),
            what => expect(&found, what),
        }
    }
}

/// A session that began, and prepared a statement, on a day that retention then let go.
fn let_go() -> (tempfile::TempDir, Arc<Signer>) {
    let (data, signer) = (tempfile::tempdir().unwrap(), signer());
    let open = |retention_days| {
        let mut settings = settings();
        settings.shipper.proof.signer = Some(Arc::clone(&signer));
        settings.store.retention_days = retention_days;
        Audit::open(data.path(), settings).unwrap().0
    };
    let audit = open(190);
    let mut lane = audit.lane(0).unwrap();
    start(&mut lane, 1, NOW, "bob");
    let prepare = begin(
        &mut lane,
        Intent {
            kind: IntentKind::Prepare,
            prepared_name: b"p",
            ..intent(1, 1, NOW + 1, b"SELECT $1 -- prepared")
        },
    );
    let prepared = Completion::Prepared;
    finish(
        &mut lane,
        Outcome {
            completion: prepared,
            ..done(prepare)
        },
    );
    for number in 2..5 {
        let execute = begin(
            &mut lane,
            Intent {
                kind: IntentKind::Execute,
                text: Text::Of(prepare),
                ..intent(1, number, NOW + DAY_US + u64::from(number), b"")
            },
        );
        finish(&mut lane, done(execute));
    }
    end(&mut lane, 1, NOW + DAY_US + 100);
    drop(lane);
    stop(audit);
    // Seals the days, which writes to them.
    stop(open(190));
    let day = store(data.path(), "2026-11-23.db");
    let at = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_micros(NOW);
    let file = std::fs::File::open(&day).unwrap();
    file.set_modified(at).unwrap();
    drop(file);
    stop(open(1));
    assert!(!day.exists() && store(data.path(), "2026-11-24.db").exists());
    (data, signer)
}

/// Any bit of any file: either it is found, or nothing that any table says has changed.
#[test]
fn flipped_bits_are_found_or_mean_nothing() {
    let (data, signer) = signed();
    let trust = trust(&[signer.public()], None);
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut random = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % below as u64).unwrap()
    };
    let files: Vec<PathBuf> = data
        .path()
        .join("store")
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "db"))
        .collect();
    assert!(files.len() >= 4);
    // Those of days that are over are sealed, and each bit counts; so as not to test that alone, forget it.
    edit(&store(data.path(), "main.db"), "DELETE FROM day");
    let mut found = 0;
    for _ in 0..400 {
        let path = &files[random(files.len())];
        let good = std::fs::read(path).unwrap();
        let said = dump(path);
        let mut bad = good.clone();
        let (at, bit) = (random(bad.len()), random(8));
        bad[at] ^= 1 << bit;
        std::fs::write(path, &bad).unwrap();
        let changed = dump(path) != said;
        let report = archive(data.path()).verify_against(&trust);
        let alarm = report.map_or(true, |report| !report.is_intact());
        assert!(
            alarm || !changed,
            "bit {bit} of byte {at} of {} is not found",
            path.display()
        );
        found += u32::from(alarm);
        std::fs::write(path, good).unwrap();
    }
    assert!(found > 10, "{found}");
    assert_eq!(findings(data.path(), &trust), Vec::<String>::new());
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

/// What the tables of a file say that anything is answered or proved from.
fn dump(path: &Path) -> Result<Vec<String>, String> {
    let main: &[&str] = &[
        "SELECT id, block, hex(data) FROM leaf ORDER BY id",
        "SELECT what, size, hex(peaks) FROM edge ORDER BY what",
        "SELECT id, note FROM checkpoint ORDER BY id",
        "SELECT lane, seq, hex(chain) FROM lane ORDER BY lane",
    ];
    let day: &[&str] = &[
        "SELECT id, last, hex(previous), hex(head), from_us, to_us, statements, flagged, hex(speakers),
            hex(grams), hex(rows), length, hex(frames) FROM block ORDER BY id",
        "SELECT id, block, who, role, end_user, hex(intent), hex(outcome) FROM carried ORDER BY id",
        "SELECT * FROM block_who ORDER BY who, block",
        "SELECT id, at_us, action, actor, detail, generation, count FROM admin ORDER BY id",
        "SELECT id, step, session, who, at_us, cause, sqlstate, client_bytes, server_bytes
            FROM session_event ORDER BY id, step",
        "SELECT minute, user, database, application, hex(fingerprint), verb, decision, count, errors, denied,
            rows, affected, bytes, total_duration, max_duration FROM rollup
            ORDER BY minute, user, database, application, fingerprint, verb, decision",
        "SELECT e.id, e.step, n.value FROM session_event e JOIN who w ON w.id = e.who
            JOIN name n ON n.id = w.user ORDER BY 1, 2",
    ];
    let read = || -> rusqlite::Result<Vec<String>> {
        let connection = rusqlite::Connection::open(path)?;
        let mut said = Vec::new();
        let tables = if path.ends_with("main.db") { main } else { day };
        for sql in tables {
            let mut select = connection.prepare(sql)?;
            let columns = select.column_count();
            let mut rows = select.query([])?;
            while let Some(row) = rows.next()? {
                let cells: rusqlite::Result<Vec<rusqlite::types::Value>> =
                    (0..columns).map(|at| row.get(at)).collect();
                said.push(format!("{:?}", cells?));
            }
        }
        Ok(said)
    };
    read().map_err(|error| error.to_string())
}
