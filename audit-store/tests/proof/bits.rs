//! Any bit of any file.

use std::path::{Path, PathBuf};

use sqlward_audit_store::embedded::Scope;

use crate::help::*;
use crate::support::*;

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
        let report = archive(data.path()).verify_against(&trust, &Scope::default());
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
