//! Sealing, retention and the text index, with days that are over at will.

use std::fs::File;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::{Store, StoreSettings};
use crate::event::SessionId;
use crate::holds::{Hold, HoldFile};
use crate::journal::LaneHead;
use crate::query::{Archive, AuditQuery};
use crate::record::{
    Completion, Entry, Intent, IntentKind, Judgement, List, Outcome, Reduction, Seq, Shape, Text,
    TxStatus,
};
use crate::time::{DAY_US, Day};
use crate::{Audit, AuditSettings, STORE};
use sqlward_policy::vocabulary::{Action, Class, LimitShape, Mode, Verb, WhereShape};

const NOW: u64 = 1_795_413_599_000_000;

fn intent(wall_us: u64, text: &str) -> Entry<'_> {
    Entry::Intent(Intent {
        session: SessionId(1),
        number: 1,
        kind: IntentKind::Simple,
        continues: None,
        text: Text::whole(text.as_bytes()),
        shape: None,
        parameters: List::empty(),
        prepared_name: b"",
        portal: b"",
        wall_us,
        mono_ns: 0,
        transaction: 0,
        status: TxStatus::Idle,
        judgement: Judgement {
            action: Action::Allow,
            judged: Action::Allow,
            mode: Mode::Enforce,
            rules: List::empty(),
            severity: None,
            generation: 1,
            unreadable: None,
        },
        end_user: None,
        role: None,
        trace: None,
        reduction: Reduction::NONE,
    })
}

fn done(intent: Seq) -> Entry<'static> {
    Entry::Outcome(Outcome {
        intent,
        completion: Completion::Done,
        rows: 0,
        affected: 0,
        bytes: 0,
        sqlstate: None,
        first_byte_us: None,
        duration_us: 0,
        statements: 1,
        warnings: 0,
    })
}

fn shape(key: u8) -> Entry<'static> {
    Entry::Shape(Shape {
        key: [key; 16],
        fingerprint: [key; 16],
        normal: "SELECT ?",
        statements: 1,
        verb: Verb::Select,
        class: Class::Read,
        verbs: List::empty(),
        objects: List::empty(),
        columns: List::empty(),
        functions: List::empty(),
        egress: List::empty(),
        where_shape: WhereShape::Restricting,
        limit: LimitShape::Absent,
        dynamic: false,
    })
}

/// Ships statements with these texts, begun at `wall_us`.
fn ship(data: &Path, wall_us: u64, texts: &[&str]) {
    let (audit, _) = Audit::open(data, AuditSettings::default()).unwrap();
    let mut lane = audit.lane(0).unwrap();
    for text in texts {
        let seq = lane.append(&intent(wall_us, text)).unwrap();
        lane.append(&done(seq)).unwrap();
    }
    drop(lane);
    let _ = audit.stop(Duration::from_secs(60));
}

fn store(data: &Path) -> Store {
    Store::open(&data.join(STORE), StoreSettings::default()).unwrap()
}

fn retain(store: &mut Store, now_us: u64) -> Vec<Day> {
    let old = store.let_go_days(now_us).unwrap();
    store.drop_days(&old.days).unwrap();
    old.days
}

fn find(data: &Path, text: &str) -> usize {
    let query = AuditQuery {
        text: Some(text.to_owned()),
        ..AuditQuery::default()
    };
    Archive::open(&data.join(STORE))
        .unwrap()
        .search(&query)
        .unwrap()
        .len()
}

#[test]
fn a_day_that_is_over_is_sealed_and_a_late_record_opens_it_again() {
    let data = tempfile::tempdir().unwrap();
    ship(data.path(), NOW, &["SELECT 'punctual 工资'"]);
    let day = Day::of(NOW);
    let path = data.path().join(STORE).join(super::day_name(day));
    let mode = || path.metadata().unwrap().permissions().mode() & 0o777;
    let late = NOW + 40 * DAY_US;
    let mut writer = store(data.path());
    assert_eq!(
        writer.seal_days(day.end_us() + 1, None).unwrap(),
        [],
        "records may still come"
    );
    assert_eq!(
        writer.seal_days(late, Some(day)).unwrap(),
        [],
        "a statement of that day is open"
    );
    assert!(writer.seal_days(late, None).unwrap().contains(&day));
    assert_eq!(mode(), 0o400);
    assert!(!path.with_extension("db-wal").exists());
    assert!(
        writer.seal_days(late, None).unwrap().is_empty(),
        "it is sealed already"
    );
    // A shipment that was cut short before the day was sealed is repeated with the same ends.
    let from_the_start = LaneHead::none(0);
    let ends = |since| writer.blocks_behind(from_the_start, since).unwrap().len();
    assert!(ends(None) > 0 && ends(Some(day)) == ends(None));
    assert_eq!(ends(Some(Day::of(late))), 0, "the lane was further then");
    drop(writer);
    let archive = Archive::open(&data.path().join(STORE)).unwrap();
    assert!(archive.verify().unwrap().is_intact());
    assert_eq!(find(data.path(), "punctual 工"), 1);
    // One bit of the sealed file.
    let bytes = std::fs::read(&path).unwrap();
    let mut bent = bytes.clone();
    let last = bent.len() - 1;
    bent[last] ^= 1;
    let rewrite = |bytes: &[u8]| {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::write(&path, bytes).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o400)).unwrap();
    };
    rewrite(&bent);
    let report = archive.verify().unwrap();
    assert!(
        report
            .findings
            .iter()
            .any(|found| found.what.contains("sealed day's file"))
    );
    rewrite(&bytes);
    ship(data.path(), NOW + 1, &["SELECT 'late'"]);
    assert_eq!(mode(), 0o600);
    assert_eq!(find(data.path(), "select"), 2);
    assert!(archive.verify().unwrap().is_intact());
}

#[test]
fn old_days_are_dropped_unless_they_were_written_lately() {
    let data = tempfile::tempdir().unwrap();
    ship(data.path(), NOW, &["SELECT 'old'"]);
    ship(data.path(), NOW + 300 * DAY_US, &["SELECT 'new'"]);
    let day = Day::of(NOW);
    let path = data.path().join(STORE).join(super::day_name(day));
    let later = NOW + 301 * DAY_US;
    let written = |us: u64| {
        let at = SystemTime::UNIX_EPOCH + Duration::from_micros(us);
        File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_modified(at)
            .unwrap();
    };
    let mut writer = store(data.path());
    written(NOW + 300 * DAY_US);
    assert!(
        !retain(&mut writer, later).contains(&day),
        "a wrong clock must not delete"
    );
    written(NOW);
    assert!(!retain(&mut writer, NOW + 189 * DAY_US).contains(&day));
    assert!(retain(&mut writer, later).contains(&day));
    assert!(!path.exists());
    drop(writer);
    assert_eq!(find(data.path(), "SELECT"), 1);
    let report = Archive::open(&data.path().join(STORE))
        .unwrap()
        .verify()
        .unwrap();
    assert!(report.is_intact(), "{:#?}", report.findings);
}

#[test]
fn a_held_day_stays_until_it_is_released() {
    let data = tempfile::tempdir().unwrap();
    ship(data.path(), NOW, &["SELECT 'held'"]);
    ship(data.path(), NOW + DAY_US, &["SELECT 'old'"]);
    ship(data.path(), NOW + 300 * DAY_US, &["SELECT 'new'"]);
    let (held, old) = (Day::of(NOW), Day::of(NOW + DAY_US));
    for day in [held, old] {
        let path = data.path().join(STORE).join(super::day_name(day));
        let at = SystemTime::UNIX_EPOCH + Duration::from_micros(NOW);
        File::open(path).unwrap().set_modified(at).unwrap();
    }
    let later = NOW + 301 * DAY_US;
    let intact = || {
        let archive = Archive::open(&data.path().join(STORE)).unwrap();
        assert_eq!(archive.verify().unwrap().findings, []);
    };
    let holds = HoldFile::of(&data.path().join(STORE));
    let hold = Hold {
        id: 0,
        from_us: NOW,
        to_us: Some(NOW + 1),
        reason: "case 17".into(),
        by: "root".into(),
        at_us: NOW,
    };
    let mut writer = store(data.path());

    // While somebody places it, nothing goes; nor while the file can't be read.
    let placed = holds.edit(|list| {
        assert_eq!(retain(&mut writer, later), []);
        list.add(hold)
    });
    let id = placed.unwrap().id;
    let path = data.path().join(STORE).join("holds.json");
    let text = std::fs::read(&path).unwrap();
    std::fs::write(&path, "[]").unwrap();
    let error = writer.let_go_days(later).err().unwrap().to_string();
    assert!(error.contains("every day is kept"), "{error}");
    std::fs::write(&path, text).unwrap();

    let dropped = retain(&mut writer, later);
    assert!(
        dropped.contains(&old) && !dropped.contains(&held),
        "{dropped:?}"
    );
    assert_eq!(find(data.path(), "held"), 1);
    intact();

    holds.edit(|list| list.release(id)).unwrap();
    assert_eq!(retain(&mut writer, later), [held]);
    assert_eq!(find(data.path(), "held"), 0);
    intact();
}

#[test]
fn shapes_are_forgotten_only_when_the_store_is_opened() {
    let data = tempfile::tempdir().unwrap();
    let long_after = NOW + 300 * DAY_US;
    let (audit, _) = Audit::open(data.path(), AuditSettings::default()).unwrap();
    let mut lane = audit.lane(0).unwrap();
    // Shapes are of the day that the entries before them speak of; the lane's first entry is of today.
    let first = lane.append(&intent(NOW, "SELECT 0")).unwrap();
    lane.append(&done(first)).unwrap();
    for key in [1, 2] {
        lane.append(&shape(key)).unwrap();
    }
    for (key, at) in [(1, NOW), (2, NOW), (2, long_after)] {
        let Entry::Intent(plain) = intent(at, "SELECT 1") else {
            panic!("an intent")
        };
        let shaped = Entry::Intent(Intent {
            shape: Some([key; 16]),
            ..plain
        });
        let seq = lane.append(&shaped).unwrap();
        lane.append(&done(seq)).unwrap();
    }
    drop(lane);
    let _ = audit.stop(Duration::from_secs(60));
    let day = Day::of(NOW);
    let path = data.path().join(STORE).join(super::day_name(day));
    File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_modified(SystemTime::UNIX_EPOCH + Duration::from_micros(NOW))
        .unwrap();
    // Asked for the oldest of days, so that asking does not make a shape younger.
    let known =
        |store: &Store| [1, 2].map(|key| store.main.shape(&[key; 16], Day(0)).unwrap().is_some());
    let mut writer = store(data.path());
    assert_eq!(known(&writer), [true, true]);
    assert!(retain(&mut writer, long_after).contains(&day));
    assert_eq!(
        known(&writer),
        [true, true],
        "a writer may still refer to them"
    );
    drop(writer);
    assert_eq!(known(&store(data.path())), [false, true]);
}

#[test]
fn a_lane_that_retention_let_go_is_not_missed() {
    let data = tempfile::tempdir().unwrap();
    let stored = || super::stored_days(&data.path().join(STORE)).unwrap();
    let path = |day: &Day| data.path().join(STORE).join(super::day_name(*day));
    let findings = || {
        let archive = Archive::open(&data.path().join(STORE)).unwrap();
        archive.verify().unwrap().findings
    };
    ship(data.path(), NOW, &["SELECT 'old'"]);
    for day in stored() {
        let at = SystemTime::UNIX_EPOCH + Duration::from_micros(NOW);
        File::open(path(&day)).unwrap().set_modified(at).unwrap();
    }
    // Entries are also of the day on which the test runs.
    let now = NOW.max(crate::time::now_us());
    let mut writer = store(data.path());
    let dropped = retain(&mut writer, now + 192 * DAY_US);
    drop(writer);
    assert!(dropped.contains(&Day::of(NOW)) && stored().is_empty());
    assert_eq!(findings(), []);
    ship(data.path(), now + 300 * DAY_US, &["SELECT 'new'"]);
    assert_eq!(findings(), []);
    // Retention never came this far.
    for day in stored() {
        std::fs::remove_file(path(&day)).unwrap();
    }
    assert!(
        findings()
            .iter()
            .any(|found| found.what == "all of the lane's entries are missing")
    );
}

#[test]
fn a_search_answers_alike_with_and_without_the_filter() {
    let data = tempfile::tempdir().unwrap();
    let texts = [
        "SELECT 'Größe'",
        "select \"a\"\"b\"",
        "SELECT '工资表' AS 工",
        "x%_",
        "ab",
    ];
    ship(data.path(), NOW, &texts);
    let path = data.path().join(STORE).join(super::day_name(Day::of(NOW)));
    let pieces: Vec<String> = texts
        .iter()
        .flat_map(|text| {
            let letters: Vec<char> = text.chars().collect();
            (1..=letters.len()).flat_map(move |length| {
                letters
                    .windows(length)
                    .map(|piece| piece.iter().collect())
                    .collect::<Vec<_>>()
            })
        })
        .collect();
    let answers = || {
        pieces
            .iter()
            .map(|piece| find(data.path(), piece))
            .collect::<Vec<_>>()
    };
    let with = answers();
    assert!(with.iter().all(|found| *found > 0));
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection
        .execute("UPDATE block SET grams = x''", [])
        .unwrap();
    assert_eq!(answers(), with);
    // The filter alone must be in use now: what it does not know is not found.
    connection
        .execute("UPDATE block SET grams = zeroblob(8)", [])
        .unwrap();
    assert_eq!(find(data.path(), "工资表"), 0);
    assert!(find(data.path(), "x%") > 0, "too short for the filter");
}

#[test]
fn a_file_of_another_version_is_refused() {
    let data = tempfile::tempdir().unwrap();
    ship(data.path(), NOW, &["SELECT 1"]);
    let path = data.path().join(STORE).join(super::day_name(Day::of(NOW)));
    rusqlite::Connection::open(&path)
        .unwrap()
        .pragma_update(None, "user_version", 1)
        .unwrap();
    let archive = Archive::open(&data.path().join(STORE)).unwrap();
    for error in [
        archive
            .search(&AuditQuery::default())
            .err()
            .unwrap()
            .to_string(),
        archive
            .sql("SELECT 1", Default::default())
            .err()
            .unwrap()
            .to_string(),
        Audit::open(data.path(), AuditSettings::default())
            .err()
            .unwrap()
            .to_string(),
    ] {
        assert!(
            error.contains("has schema version 1; this program knows 5"),
            "{error}"
        );
    }
}
