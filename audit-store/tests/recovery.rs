//! Recovery of a damaged journal: cut and bent at every byte.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    unreachable_pub,
    reason = "a test that fails may panic"
)]

mod support;

use std::path::{Path, PathBuf};

use sqlward_audit_store::journal::{Broken, Journal, JournalError, JournalSettings, Recovery};
use sqlward_audit_store::record::{Entry, Intent, Seq, Text};
use support::*;

fn settings() -> JournalSettings {
    JournalSettings {
        node: 3,
        segment_bytes: 64 * 1024,
        max_journal_bytes: 1 << 20,
        ..JournalSettings::default()
    }
}

fn reopen(dir: &Path) -> (Journal, Recovery) {
    Journal::open(dir, settings()).unwrap()
}

fn segment(dir: &Path, first: u64) -> PathBuf {
    dir.join("0").join(format!("{first:020}.seg"))
}

/// A journal of six entries in one segment, whole; where the header and the entries end, padding not counted.
fn small(dir: &Path) -> (Vec<u8>, Vec<usize>) {
    let (journal, _) = reopen(dir);
    let mut lane = journal.lane(0).unwrap();
    for number in 0..5 {
        begin(&mut lane, intent(1, number, NOW, b"SELECT 1"));
    }
    // As a kill would leave it: not closed.
    let bytes = std::fs::read(segment(dir, 1)).unwrap();
    let mut ends = vec![80];
    let mut at = 80;
    while let Some(length) = bytes.get(at..at + 4) {
        let length = u32::from_le_bytes(length.try_into().unwrap()) as usize;
        if length == 0 {
            break;
        }
        ends.push(at + 8 + length);
        at += 8 + length.next_multiple_of(8);
    }
    assert_eq!(ends.len(), 7, "the epoch and five intents");
    (bytes[..at].to_vec(), ends)
}

/// A journal directory with one segment of these bytes.
fn planted(bytes: &[u8]) -> tempfile::TempDir {
    let dir = quick_dir();
    std::fs::create_dir(dir.path().join("0")).unwrap();
    std::fs::write(segment(dir.path(), 1), bytes).unwrap();
    dir
}

#[test]
fn cut_at_every_byte_the_whole_entries_are_recovered() {
    let dir = quick_dir();
    let (bytes, ends) = small(dir.path());
    for cut in 0..=bytes.len() {
        // A cut file, and one whose rest reads as zeros, as after a lost page.
        for filled in [false, true] {
            let mut cut_bytes = bytes[..cut].to_vec();
            if filled {
                cut_bytes.resize(bytes.len() + 4096, 0);
            }
            let dir = planted(&cut_bytes);
            let (journal, recovery) = reopen(dir.path());
            let report = &recovery.lanes[0];
            // What is whole, be it that the bytes lost were zeros anyway.
            let whole = |end: &&usize| cut_bytes.get(..**end) == bytes.get(..**end);
            let whole = ends.iter().take_while(whole).count() as u64;
            assert_eq!(
                report.entries,
                whole.saturating_sub(1),
                "cut {cut} {filled}: {report:?}"
            );
            assert_eq!(report.last.0, report.entries, "cut {cut} {filled}");
            // It goes on behind them, in the same chain.
            let lane = journal.lane(0).unwrap();
            assert_eq!(
                lane.next_seq(),
                Seq(report.entries + 2),
                "cut {cut} {filled}"
            );
            drop(lane);
            drop(journal);
            let (_journal, again) = reopen(dir.path());
            assert!(again.is_clean(), "cut {cut} {filled}: {again:?}");
            assert_eq!(
                again.lanes[0].last,
                Seq(report.entries + 1),
                "cut {cut} {filled}"
            );
        }
    }
}

#[test]
fn bent_at_every_byte_nothing_false_is_recovered_and_nothing_is_thrown_away() {
    let dir = quick_dir();
    let (bytes, ends) = small(dir.path());
    for at in 0..bytes.len() {
        let mut bent = bytes.clone();
        bent[at] ^= 0x40;
        let dir = planted(&bent);
        let (_journal, recovery) = reopen(dir.path());
        let report = &recovery.lanes[0];
        let before = ends.iter().filter(|end| **end <= at).count() as u64;
        // A bent padding byte changes nothing that counts.
        if report.torn.is_empty() {
            assert_eq!(report.entries, 6, "byte {at}");
            assert!(
                ends.iter()
                    .any(|end| (*end..end.next_multiple_of(8)).contains(&at)),
                "{at}"
            );
            continue;
        }
        assert_eq!(report.entries, before.saturating_sub(1), "byte {at}");
        let torn = &report.torn[0];
        assert!(torn.damage.is_some(), "byte {at}");
        // What can't be read is set aside, byte for byte.
        let saved = std::fs::read(&torn.saved).unwrap();
        let from = usize::try_from(torn.offset).unwrap();
        assert!(bent[from..].starts_with(&saved[..(torn.bytes as usize).min(saved.len())]));
    }
}

#[test]
fn a_forged_entry_breaks_the_chain() {
    let dir = quick_dir();
    let (mut bytes, ends) = small(dir.path());
    // A forger who mends the checksum still can't mend the chain.
    let (start, end) = (ends[2].next_multiple_of(8), ends[3]);
    let length = u32::from_le_bytes(bytes[start..start + 4].try_into().unwrap()) as usize;
    let text = bytes[start..end]
        .windows(8)
        .position(|eight| eight == b"SELECT 1")
        .unwrap();
    bytes[start + text + 7] = b'2';
    let crc = crc32c::crc32c(&bytes[start + 8..start + 8 + length]);
    bytes[start + 4..start + 8].copy_from_slice(&crc.to_le_bytes());
    let dir = planted(&bytes);
    let (_journal, recovery) = reopen(dir.path());
    let report = &recovery.lanes[0];
    assert_eq!(
        (report.entries, report.torn[0].damage),
        (2, Some(Broken::Chain))
    );
}

#[test]
fn a_missing_segment_is_a_gap_and_the_rest_is_kept() {
    let dir = quick_dir();
    let (journal, _) = reopen(dir.path());
    let mut lane = journal.lane(0).unwrap();
    let text = vec![b'x'; 20_000];
    for number in 0..12 {
        begin(&mut lane, intent(1, number, NOW, &text));
    }
    drop(lane);
    drop(journal);
    let mut segments: Vec<_> = std::fs::read_dir(dir.path().join("0"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    segments.sort();
    assert!(segments.len() >= 4, "{segments:?}");
    std::fs::remove_file(&segments[1]).unwrap();
    let (journal, recovery) = reopen(dir.path());
    let report = &recovery.lanes[0];
    assert_eq!(report.gaps.len(), 1, "{report:?}");
    assert_eq!(report.last, Seq(13));
    assert_eq!(journal.lane(0).unwrap().next_seq(), Seq(15));
}

#[test]
fn a_full_journal_says_so_and_still_takes_outcomes() {
    let dir = quick_dir();
    let (journal, _) = reopen(dir.path());
    let mut lane = journal.lane(0).unwrap();
    let text = vec![b'x'; 30_000];
    let mut last = Seq(0);
    let error = loop {
        match lane.append(&Entry::Intent(intent(1, 1, NOW, &text))) {
            Ok(seq) => last = seq,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, JournalError::Full { .. }), "{error}");
    let full = journal.allocated_bytes();
    assert!(full <= 1 << 20);
    // Outcomes have a reserve.
    for _ in 0..300 {
        finish(&mut lane, done(last));
    }
    // And nothing was written for the intent that was refused.
    let next = lane.next_seq();
    assert_eq!(next.0, last.0 + 301);
    assert!(journal.allocated_bytes() <= full + 64 * 1024);
}

#[test]
fn an_entry_beyond_a_segment_is_refused_and_the_lane_goes_on() {
    let dir = quick_dir();
    let (journal, _) = reopen(dir.path());
    let mut lane = journal.lane(0).unwrap();
    let text = vec![b'x'; 70_000];
    let error = lane
        .append(&Entry::Intent(intent(1, 1, NOW, &text)))
        .unwrap_err();
    assert!(matches!(error, JournalError::TooLarge { .. }), "{error}");
    // Cut, with its length and hash, it fits.
    let cut = Intent {
        text: Text::cut(&text, 1000),
        ..intent(1, 1, NOW, b"")
    };
    begin(&mut lane, cut);
    drop(lane);
    drop(journal);
    assert!(reopen(dir.path()).1.is_clean());
}

#[test]
fn every_size_of_entry_fits_or_rolls() {
    let dir = quick_dir();
    let (journal, _) = reopen(dir.path());
    let mut lane = journal.lane(0).unwrap();
    let text = vec![b'x'; 66_000];
    let mut written = 1;
    for length in (64_000..65_536).step_by(7) {
        match lane.append(&Entry::Intent(intent(1, 1, NOW, &text[..length]))) {
            Ok(_) => written += 1,
            Err(JournalError::TooLarge { .. } | JournalError::Full { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(lane.next_seq(), Seq(written + 1));
    drop(lane);
    drop(journal);
    let (_journal, recovery) = reopen(dir.path());
    assert!(recovery.is_clean(), "{recovery:?}");
    assert_eq!(recovery.lanes[0].entries, written);
}

#[test]
fn a_lane_has_one_writer() {
    let dir = quick_dir();
    let (journal, _) = reopen(dir.path());
    let lane = journal.lane(0).unwrap();
    assert!(matches!(journal.lane(0), Err(JournalError::LaneTaken(0))));
    assert!(matches!(
        journal.lane(u16::MAX),
        Err(JournalError::LaneNumber(_))
    ));
    drop(lane);
    assert!(journal.lane(0).is_ok());
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let dir = quick_dir();
    for (segment_bytes, max_journal_bytes) in [(1000, 1 << 20), (65_537, 1 << 20), (65_536, 65_536)]
    {
        let settings = JournalSettings {
            node: 0,
            segment_bytes,
            max_journal_bytes,
            ..JournalSettings::default()
        };
        let error = Journal::open(dir.path(), settings).err().unwrap();
        assert!(matches!(error, JournalError::Settings(_)), "{error}");
    }
}

/// Wakes the thread that waits.
struct Unpark(std::thread::Thread);

impl std::task::Wake for Unpark {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.unpark();
    }
}

#[test]
fn entries_are_on_the_disk_when_that_is_said() {
    use std::task::{Context, Poll, Waker};
    let dir = tempfile::tempdir().unwrap();
    let settings = JournalSettings {
        durability: sqlward_audit_store::journal::Durability::Disk,
        ..settings()
    };
    let (journal, _) = Journal::open(dir.path(), settings.clone()).unwrap();
    let mut lane = journal.lane(1).unwrap();
    let disk = lane.disk().unwrap();
    let waker = Waker::from(std::sync::Arc::new(Unpark(std::thread::current())));
    let mut cx = Context::from_waker(&waker);
    // Segments are small here: the lane rolls while syncs are under way.
    for number in 0..400 {
        let seq = lane
            .append(&Entry::Intent(intent(1, number, NOW, b"SELECT 1")))
            .unwrap();
        if number % 7 == 0 {
            while disk.poll_synced(seq, &mut cx) == Poll::Pending {
                std::thread::park();
            }
            // What is there stays there.
            assert_eq!(disk.poll_synced(seq, &mut cx), Poll::Ready(Ok(())));
        }
    }
    drop(lane);
    // The lane's end brings the rest along.
    let last = journal.lane(1).unwrap().next_seq();
    assert!(last.0 > 400);
    drop(journal);
    let (_journal, recovery) = Journal::open(dir.path(), settings).unwrap();
    assert!(recovery.lanes.iter().all(|lane| lane.torn.is_empty()));
}
