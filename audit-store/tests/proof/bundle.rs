//! Bundles: whole ones verify with nothing but the key, and whatever is changed in one is found and named.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sqlward_audit_store::Audit;
use sqlward_audit_store::bundle::{BundleError, BundleReport, Range, export, verify};
use sqlward_audit_store::proof::{ProofSettings, Signer, key_record};
use sqlward_audit_store::record::{
    Admin, AdminAction, Completion, Entry, Intent, IntentKind, Outcome, SessionId, Text,
};
use sqlward_policy::vocabulary::Verb;

use crate::help::*;
use crate::support::*;

/// A signed store of four hours: one proxy whose sessions, prepared texts and shapes begin in the first hour, two lanes,
/// a checkpoint an hour, and statements that end in the hour behind the one they began in.
fn hours(data: &Path, signer: &Arc<Signer>) {
    let mut settings = settings();
    settings.shipper.proof = ProofSettings {
        signer: Some(Arc::clone(signer)),
        interval: std::time::Duration::from_millis(1),
        ..ProofSettings::default()
    };
    let (audit, _) = Audit::open(data, settings).unwrap();
    let mut lanes: Vec<_> = (0..2).map(|lane| audit.lane(lane).unwrap()).collect();
    let metrics = audit.metrics();
    let shipped = || metrics.entries.load(std::sync::atomic::Ordering::Relaxed);
    let mut prepared = Vec::new();
    for (number, lane) in lanes.iter_mut().enumerate() {
        lane.append(&shape(9, Verb::Select, "ledger")).unwrap();
        let session = number as u64 + 1;
        start(lane, session, BEGIN, "bob");
        let prepare = begin(
            lane,
            Intent {
                kind: IntentKind::Prepare,
                prepared_name: b"p",
                ..intent(session, 1, BEGIN + 2, b"SELECT $1 -- prepared")
            },
        );
        finish(
            lane,
            Outcome {
                completion: Completion::Prepared,
                ..done(prepare)
            },
        );
        prepared.push(prepare);
    }
    for hour in 0..4u64 {
        let mut written = 0;
        for (number, lane) in lanes.iter_mut().enumerate() {
            let (session, at) = (number as u64 + 1, BEGIN + hour * HOUR_US + 10);
            for statement in 0..20u32 {
                let text = format!("SELECT {statement} FROM finance.ledger -- hour {hour}");
                let seq = begin(
                    lane,
                    Intent {
                        shape: Some([9; 16]),
                        ..intent(
                            session,
                            2 + statement,
                            at + u64::from(statement),
                            text.as_bytes(),
                        )
                    },
                );
                finish(lane, done(seq));
            }
            let execute = begin(
                lane,
                Intent {
                    kind: IntentKind::Execute,
                    text: Text::Of(prepared[number]),
                    ..intent(session, 50, at + 50, b"")
                },
            );
            finish(lane, done(execute));
            written += lane
                .append(&Entry::Admin(Admin {
                    at_us: at + 60,
                    action: AdminAction::Reload,
                    actor: "signal",
                    detail: "",
                    generation: hour,
                    config_hash: None,
                    count: 0,
                }))
                .unwrap()
                .0;
        }
        until("all is shipped", || shipped() == written);
    }
    for (number, lane) in lanes.iter_mut().enumerate() {
        end(lane, number as u64 + 1, BEGIN + 4 * HOUR_US);
    }
    drop(lanes);
    stop(audit);
}

const HOUR_US: u64 = 3_600_000_000;

/// Some while before checkpoints are made.
const BEGIN: u64 = NOW - 100 * DAY_US;

fn hour(from: u64, to: u64) -> Range {
    Range {
        from_us: BEGIN + from * HOUR_US,
        to_us: BEGIN + to * HOUR_US,
        session: None,
    }
}

fn exported(data: &Path, range: Range) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let bundle = dir.path().join("bundle.tar");
    export(&archive(data), range, &bundle).unwrap();
    (dir, bundle)
}

fn check(bundle: &Path, signer: &Signer) -> BundleReport {
    verify(bundle, &trust(&[signer.public()], None), (None, None)).unwrap()
}

fn said(report: &BundleReport) -> Vec<String> {
    let findings = report.chain.findings.iter();
    findings
        .map(|found| format!("{}: {}", found.file.display(), found.what))
        .collect()
}

/// The files of a bundle.
fn members(bundle: &Path) -> Vec<(String, Vec<u8>)> {
    let mut archive = tar::Archive::new(std::fs::File::open(bundle).unwrap());
    let mut members = Vec::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().to_str().unwrap().to_owned();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        members.push((name, content));
    }
    members
}

fn pack(members: &[(String, Vec<u8>)], bundle: &Path) {
    let mut tar = tar::Builder::new(std::fs::File::create(bundle).unwrap());
    for (name, content) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o600);
        tar.append_data(&mut header, name, content.as_slice())
            .unwrap();
    }
    tar.into_inner().unwrap().flush().unwrap();
}

/// Changes the lines of a file, and what the manifest says of that.
fn tamper(bundle: &Path, name: &str, change: impl FnOnce(&mut Vec<String>)) {
    let mut members = members(bundle);
    let member = members.iter_mut().find(|(known, _)| known == name).unwrap();
    let text = String::from_utf8(member.1.clone()).unwrap();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    change(&mut lines);
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let old = serde_json::json!({
        "name": name, "lines": member.1.iter().filter(|b| **b == b'\n').count(), "bytes": member.1.len(),
    });
    member.1 = text.clone().into_bytes();
    if name != "manifest.json" {
        let manifest = &mut members[0].1;
        let mut said: serde_json::Value = serde_json::from_slice(manifest).unwrap();
        for file in said["files"].as_array_mut().unwrap() {
            if file["name"] == old["name"] {
                assert_eq!(
                    (&file["lines"], &file["bytes"]),
                    (&old["lines"], &old["bytes"])
                );
                file["lines"] = text.lines().count().into();
                file["bytes"] = text.len().into();
                file["sha256"] = sha256(text.as_bytes()).into();
            }
        }
        *manifest = serde_json::to_vec(&said).unwrap();
    }
    pack(&members, bundle);
}

fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest;
    let digest = sha2::Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn every_range_of_a_store_makes_a_bundle_that_verifies() {
    let (data, signer) = (tempfile::tempdir().unwrap(), signer());
    hours(data.path(), &signer);
    for from in 0..4 {
        for to in from + 1..5 {
            let (_dir, bundle) = exported(data.path(), hour(from, to));
            let report = check(&bundle, &signer);
            assert_eq!(said(&report), Vec::<String>::new(), "{from}..{to}");
            let expected = archive(data.path())
                .search(&sqlward_audit_store::query::AuditQuery {
                    from: Some(BEGIN + from * HOUR_US),
                    to: Some(BEGIN + to * HOUR_US),
                    order: sqlward_audit_store::query::Order::Oldest,
                    ..Default::default()
                })
                .unwrap();
            assert_eq!(report.records[0], expected.len() as u64);
            let lines = members(&bundle)
                .into_iter()
                .find(|(name, _)| name == "statements.jsonl");
            let lines = String::from_utf8(lines.unwrap().1).unwrap();
            let expected: Vec<String> = expected
                .iter()
                .map(|row| serde_json::to_string(row).unwrap())
                .collect();
            assert_eq!(lines.lines().collect::<Vec<_>>(), expected, "{from}..{to}");
            assert!(report.chain.signed.is_some() && report.chain.unknown_sessions == 0);
        }
    }
    // A part of the store is a part of the bundle.
    let size = |range| std::fs::metadata(exported(data.path(), range).1).map(|found| found.len());
    assert!(size(hour(2, 3)).is_err() || size(hour(2, 3)).unwrap() < size(hour(0, 4)).unwrap());
}

#[test]
fn a_bundle_of_one_session_holds_its_records_only() {
    let (data, signer) = (tempfile::tempdir().unwrap(), signer());
    hours(data.path(), &signer);
    let range = Range {
        session: Some(SessionId(2)),
        ..hour(1, 3)
    };
    let (_dir, bundle) = exported(data.path(), range);
    let report = check(&bundle, &signer);
    assert_eq!(said(&report), Vec::<String>::new());
    assert_eq!(report.records, [42, 0, 0]);
}

/// Each of them with a manifest that was made to fit.
#[test]
fn what_is_changed_in_a_bundle_is_named() {
    let (data, signer) = (tempfile::tempdir().unwrap(), signer());
    hours(data.path(), &signer);
    type Change = fn(&mut Vec<String>);
    let cases: &[(&str, Change, &str)] = &[
        (
            "statements.jsonl",
            |lines| lines[3] = lines[3].replace("\"bob\"", "\"eve\""),
            "was changed: user",
        ),
        (
            "statements.jsonl",
            |lines| drop(lines.remove(3)),
            "is missing",
        ),
        ("statements.jsonl", |lines| lines.truncate(5), "is missing"),
        (
            "statements.jsonl",
            |lines| lines.swap(3, 9),
            "is not in its place",
        ),
        (
            "statements.jsonl",
            |lines| lines.push(lines[0].clone()),
            "is there twice",
        ),
        (
            "statements.jsonl",
            |lines| lines.push(lines[0].replace("\"event_id\":\"0", "\"event_id\":\"1")),
            "was added: no block holds it",
        ),
        (
            "statements.jsonl",
            |lines| lines[0] = "{}".to_owned(),
            "is missing",
        ),
        (
            "statements.jsonl",
            |lines| lines[0].insert(0, ' '),
            "not written as they were",
        ),
        ("administration.jsonl", |lines| lines.clear(), "is missing"),
        (
            "administration.jsonl",
            |lines| lines[0] = lines[0].replace("signal", "nobody"),
            "was changed: actor",
        ),
        (
            "blocks.jsonl",
            |lines| drop(lines.remove(0)),
            "a block is missing: lane",
        ),
        (
            "blocks.jsonl",
            |lines| drop(lines.pop()),
            "a block of the range is missing",
        ),
        (
            "blocks.jsonl",
            |lines| lines.swap(0, 1),
            "is not in its place",
        ),
        ("blocks.jsonl", |lines| lines.truncate(0), "is missing"),
        (
            "blocks.jsonl",
            |lines| lines[0] = lines[0].replace("\"length\":", "\"length\":9"),
            "is not as long as it says",
        ),
        (
            "tree.jsonl",
            |lines| drop(lines.remove(2)),
            "of the tree are missing",
        ),
        (
            "tree.jsonl",
            |lines| lines.swap(1, 2),
            "is not in its place",
        ),
        (
            "tree.jsonl",
            |lines| drop(lines.pop()),
            "cut off or rolled back",
        ),
        (
            "tree.jsonl",
            |lines| lines[0] = "{\"leaves\":0,\"edge\":[]}".to_owned(),
            "of the tree are missing",
        ),
        ("tree.jsonl", |lines| lines.clear(), "tree.jsonl is empty"),
        (
            "checkpoint.txt",
            |lines| lines[3] = "time 2030-01-01T00:00:00.000000Z".to_owned(),
            "its signature is not good",
        ),
        (
            "checkpoint.txt",
            |lines| lines.clear(),
            "no checkpoint of a trusted key fits",
        ),
        (
            "lanes.jsonl",
            |lines| lines.clear(),
            "a block is missing: entries of the range may stand before",
        ),
        (
            "lanes.jsonl",
            |lines| {
                lines[0] = lines[0].replace(
                    "\"before\":[{",
                    "\"before\":[{\"kind\":2,\"payload\":\"\"},{",
                )
            },
            "do not lead to it",
        ),
        (
            "lanes.jsonl",
            |lines| {
                lines[0] = lines[0].replace("\"earlier\":[{\"seq\":", "\"earlier\":[{\"seq\":99999")
            },
            "an earlier entry is none",
        ),
        (
            "manifest.json",
            |lines| edit_manifest(lines, "from_us", (BEGIN + HOUR_US / 2).into()),
            "contradict",
        ),
        (
            "manifest.json",
            |lines| edit_manifest(lines, "behind_leaf", 1.into()),
            "are claimed",
        ),
        (
            "manifest.json",
            |lines| edit_manifest(lines, "session", 2.into()),
            "was added",
        ),
        (
            "manifest.json",
            |lines| edit_manifest(lines, "origin", "x".into()),
            "its origin is not",
        ),
        (
            "manifest.json",
            |lines| edit_manifest(lines, "format", "x".into()),
            "its format is",
        ),
        (
            "manifest.json",
            |lines| lines.truncate(3),
            "manifest.json can't be read",
        ),
    ];
    for (number, (name, change, what)) in cases.iter().enumerate() {
        let (_dir, bundle) = exported(data.path(), hour(1, 3));
        tamper(&bundle, name, change);
        let found = said(&check(&bundle, &signer));
        assert!(
            found.iter().any(|one| one.contains(what)),
            "{number} {name}: no `{what}`: {found:#?}"
        );
    }
}

fn edit_manifest(lines: &mut Vec<String>, field: &str, value: serde_json::Value) {
    let mut manifest: serde_json::Value = serde_json::from_str(&lines.concat()).unwrap();
    manifest[field] = value;
    *lines = vec![manifest.to_string()];
}

/// What a speaker said before the range is proved by the blocks in it.
#[test]
fn a_forged_beginning_of_a_session_is_found() {
    use base64::Engine;
    let engine = base64::engine::general_purpose::STANDARD;
    let (data, signer) = (tempfile::tempdir().unwrap(), signer());
    hours(data.path(), &signer);
    for (was, is) in [("bob", "eve"), ("-- prepared", "-- forgotten")] {
        let (_dir, bundle) = exported(data.path(), hour(1, 3));
        tamper(&bundle, "lanes.jsonl", |lines| {
            for line in lines {
                let mut lane: serde_json::Value = serde_json::from_str(line).unwrap();
                for entry in lane["earlier"].as_array_mut().unwrap() {
                    let payload = engine.decode(entry["payload"].as_str().unwrap()).unwrap();
                    let is = is.get(..was.len()).unwrap_or(is);
                    let payload = replace(&payload, was.as_bytes(), is.as_bytes());
                    entry["payload"] = engine.encode(payload).into();
                }
                *line = lane.to_string();
            }
        });
        let found = said(&check(&bundle, &signer));
        expect(&found, "who speaks in it, or an earlier text that it uses");
    }
}

fn replace(bytes: &[u8], was: &[u8], is: &[u8]) -> Vec<u8> {
    let at = bytes.windows(was.len()).position(|window| window == was);
    match at {
        Some(at) => [&bytes[..at], is, &bytes[at + was.len()..]].concat(),
        None => bytes.to_vec(),
    }
}

#[test]
fn another_key_and_an_older_store_are_named() {
    let (data, signer) = (tempfile::tempdir().unwrap(), signer());
    hours(data.path(), &signer);
    let (_dir, bundle) = exported(data.path(), hour(0, 4));
    let stranger = Signer::generate(signer.public().name()).unwrap();
    let found = said(&check(&bundle, &stranger));
    expect(&found, "is signed by another key");
    // Nothing is said of a signature where no key is given, and all else is checked.
    let open = verify(&bundle, &trust(&[], None), (None, None)).unwrap();
    assert_eq!(said(&open), Vec::<String>::new());
    // What is asked for must be covered.
    let trust = trust(&[signer.public()], None);
    let asked = |from, to| said(&verify(&bundle, &trust, (from, to)).unwrap());
    assert_eq!(
        asked(Some(BEGIN), Some(BEGIN + HOUR_US)),
        Vec::<String>::new()
    );
    expect(&asked(Some(BEGIN - 1), None), "it covers only");
    expect(&asked(None, Some(BEGIN + 9 * HOUR_US)), "it covers only");
}

/// A successor's bundle verifies with the old key, by the handover in it.
#[test]
fn a_bundle_tells_of_rotations() {
    let data = tempfile::tempdir().unwrap();
    let old = signer();
    run_at(data.path(), &old, 0, BEGIN);
    let new = Arc::new(old.succeed().unwrap());
    let (audit, _) = open(data.path());
    let mut lane = audit.lane(0).unwrap();
    let record = key_record(&new, Some(&old.public().label()));
    lane.append(&Entry::Admin(Admin {
        at_us: BEGIN + DAY_US,
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
    run_at(data.path(), &new, 2, BEGIN + 2 * DAY_US);
    let range = Range {
        from_us: BEGIN + 2 * DAY_US,
        to_us: BEGIN + 3 * DAY_US,
        session: None,
    };
    let (_dir, bundle) = exported(data.path(), range);
    for key in [&old, &new] {
        assert_eq!(said(&check(&bundle, key)), Vec::<String>::new());
    }
    tamper(&bundle, "keys.jsonl", Vec::clear);
    expect(&said(&check(&bundle, &old)), "is signed by another key");
}

#[test]
fn what_can_not_be_proved_is_not_exported() {
    let (data, signer) = (tempfile::tempdir().unwrap(), signer());
    let dir = tempfile::tempdir().unwrap();
    let (audit, _) = open(data.path());
    let mut lane = audit.lane(0).unwrap();
    start(&mut lane, 1, BEGIN, "bob");
    drop(lane);
    stop(audit);
    let bundle = dir.path().join("bundle.tar");
    let refused = export(&archive(data.path()), hour(0, 1), &bundle);
    assert!(matches!(refused, Err(BundleError::Unsigned)));
    run_at(data.path(), &signer, 1, BEGIN + DAY_US);
    let refused = export(&archive(data.path()), hour(100, 101), &bundle);
    assert!(matches!(refused, Err(BundleError::Empty)), "{refused:?}");
    assert!(!bundle.exists());
}

/// Hostile input: any bit, any cut; an answer every time, and silence only where nothing has changed.
#[test]
fn damaged_bundles_are_found() {
    let (data, signer) = (tempfile::tempdir().unwrap(), signer());
    hours(data.path(), &signer);
    let (_dir, bundle) = exported(data.path(), hour(1, 2));
    let good = std::fs::read(&bundle).unwrap();
    let before = members(&bundle);
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut random = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % below as u64).unwrap()
    };
    for _ in 0..50 {
        let mut bad = good.clone();
        let (at, bit) = (random(bad.len()), random(8));
        bad[at] ^= 1 << bit;
        std::fs::write(&bundle, &bad).unwrap();
        let silent = check(&bundle, &signer).is_intact();
        assert!(
            !silent || members(&bundle) == before,
            "bit {bit} of byte {at}"
        );
        // Padding and the end of the archive hold nothing.
        bad.truncate(at.min(good.len() - 2048));
        std::fs::write(&bundle, &bad).unwrap();
        assert!(!check(&bundle, &signer).is_intact(), "cut at {at}");
    }
}
