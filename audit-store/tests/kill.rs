//! `kill -9` at random instants: what was acknowledged is there, once, in an unbroken chain.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    unreachable_pub,
    reason = "a test that fails may panic"
)]

mod support;

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use sqlward_audit_store::record::Seq;
use support::*;

const CHILD: &str = "SQLWARD_TEST_KILL_CHILD";

/// Not a test of its own: what the killed process runs.
#[test]
fn child() {
    let Ok(data) = std::env::var(CHILD) else {
        return;
    };
    let (audit, recovery) = open(Path::new(&data));
    assert!(recovery.lanes.iter().all(|lane| lane.gaps.is_empty()));
    let mut lane = audit.lane(0).unwrap();
    let mut out = std::io::stdout().lock();
    let session = u64::from(std::process::id());
    start(&mut lane, session, NOW, "bob");
    let text = vec![b'x'; 3000];
    for number in 0.. {
        let length = 10 + (number as usize * 37) % 2900;
        let seq = begin(&mut lane, intent(session, number, NOW, &text[..length]));
        // Acknowledged: only now might the statement leave for the server.
        writeln!(out, "ack {}", seq.0).unwrap();
        out.flush().unwrap();
        if number % 3 != 0 {
            finish(&mut lane, done(seq));
        }
    }
}

#[test]
fn nothing_acknowledged_is_lost_and_nothing_comes_twice() {
    let data = tempfile::tempdir().unwrap();
    let said = data.path().join("child.log");
    let rounds = 60u64;
    let mut acknowledged: Vec<u64> = Vec::new();
    for round in 0..rounds {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child", "--nocapture", "--test-threads=1"])
            .env(CHILD, data.path())
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(&said).unwrap())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // A different number of statements each round, and a different instant within one.
        let least = 1 + round * 7 % 200;
        let mut pause = Some(Duration::from_micros(round * 131 % 2000));
        let mut seen = 0;
        while let Some(Ok(line)) = lines.next() {
            let Some(seq) = line.rsplit("ack ").next().and_then(|seq| seq.parse().ok()) else {
                continue;
            };
            acknowledged.push(seq);
            seen += 1;
            if seen >= least
                && let Some(pause) = pause.take()
            {
                let begun = Instant::now();
                while begun.elapsed() < pause {
                    std::hint::spin_loop();
                }
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        assert!(
            seen >= least,
            "the child ended by itself in round {round}: {}",
            std::fs::read_to_string(&said).unwrap_or_default()
        );
    }
    ship_all(data.path());
    let mut stored: Vec<u64> = all(data.path()).iter().map(|row| row.seq as u64).collect();
    stored.sort_unstable();
    let count = stored.len();
    stored.dedup();
    assert_eq!(stored.len(), count, "a row came twice");
    for seq in &acknowledged {
        assert!(
            stored.binary_search(seq).is_ok(),
            "entry {} was lost",
            Seq(*seq).0
        );
    }
    // At most one per kill was appended but not acknowledged.
    assert!(count as u64 <= acknowledged.len() as u64 + rounds);
    let report = archive(data.path()).verify().unwrap();
    assert!(report.is_intact(), "{:#?}", report.findings);
    assert_eq!(report.rows, count as u64);
    println!(
        "{rounds} kills, {} acknowledged, {count} stored",
        acknowledged.len()
    );
}
