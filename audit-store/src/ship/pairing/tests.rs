//! What pairing holds while a client pipelines and the prepares' outcomes never come.

use std::time::Instant;

use sqlward_policy::vocabulary::{Action, Mode};

use super::texts::{MOST_TEXT_BYTES, MOST_UNNAMED, SHARE};
use super::{Keep, Pairing, Restored};
use crate::chain::GENESIS;
use crate::event::{Seq, SessionId};
use crate::journal::Frame;
use crate::record::samples::encoded;
use crate::record::{
    Completion, Entry, Intent, IntentKind, Judgement, List, Reduction, Text, TxStatus,
};
use crate::ship::rows::{Emitted, StatementRow, TextRef};
use crate::time::Day;

const NOW: u64 = 1_795_413_599_000_000;
const TRIPLES: u32 = 50_000;
const BATCH: u32 = 1_000;

/// A lane that numbers its entries and hands them on at once.
struct Feed {
    pairing: Pairing,
    seq: u64,
    out: Emitted,
}

impl Feed {
    fn new() -> Self {
        Self {
            pairing: Pairing::new(0, 1, Day::of(NOW)),
            seq: 0,
            out: Emitted::default(),
        }
    }

    fn add(&mut self, entry: &Entry<'_>) -> Seq {
        self.seq += 1;
        let (seq, payload) = (Seq(self.seq), encoded(entry));
        let frame = Frame::kept(seq, entry.kind(), &payload, GENESIS);
        self.pairing.apply(entry, &frame, &mut self.out);
        seq
    }

    /// The execution of a text sent with it; its prepare gets no outcome.
    fn triple(&mut self, number: u32, name: &[u8]) {
        let (seq, _) = self.begin(number, name);
        self.add(&outcome(seq, Completion::Done));
    }

    /// The execution and its prepare, both open.
    fn begin(&mut self, number: u32, name: &[u8]) -> (Seq, Seq) {
        let text = format!("SELECT {number}");
        let prepare = self.add(&Entry::Intent(Intent {
            prepared_name: name,
            ..intent(
                IntentKind::Prepare,
                2 * number,
                Text::whole(text.as_bytes()),
            )
        }));
        let execution = self.add(&Entry::Intent(Intent {
            continues: Some(prepare),
            ..intent(IntentKind::Execute, 2 * number + 1, Text::Of(prepare))
        }));
        (execution, prepare)
    }

    fn open_in_session(&self) -> usize {
        self.pairing
            .sessions
            .get(&SessionId(1))
            .map_or(0, |session| session.open.len())
    }
}

fn intent(kind: IntentKind, number: u32, text: Text<'_>) -> Intent<'_> {
    Intent {
        session: SessionId(1),
        number,
        kind,
        continues: None,
        text,
        shape: None,
        parameters: List::empty(),
        prepared_name: b"",
        portal: b"",
        wall_us: NOW,
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
    }
}

fn outcome(intent: Seq, completion: Completion) -> Entry<'static> {
    Entry::Outcome(super::nothing(intent, completion))
}

fn text_of(row: &StatementRow) -> Vec<u8> {
    let payload = match &row.text {
        TextRef::Own => &row.payload,
        TextRef::Of(_, payload) => payload,
        TextRef::Missing => panic!("the text is forgotten"),
    };
    match Entry::decode(super::INTENT, payload).unwrap() {
        Entry::Intent(Intent {
            text: Text::Sent { bytes, .. },
            ..
        }) => bytes.to_vec(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn pipelined_executions_close_their_prepares() {
    let mut feed = Feed::new();
    let begun = Instant::now();
    for number in 0..TRIPLES {
        feed.triple(number, b"");
        if (number + 1) % BATCH != 0 {
            continue;
        }
        let changes = feed.pairing.changes();
        assert!(
            changes.len() <= MOST_UNNAMED * 2,
            "{} changes",
            changes.len()
        );
        let kept = feed.pairing.persisted.len();
        assert!(kept <= MOST_UNNAMED, "{kept} entries are kept");
        assert_eq!((feed.pairing.open.len(), feed.open_in_session()), (0, 0));
        assert_eq!(
            feed.pairing.oldest_open_day(),
            None,
            "the day can be sealed"
        );
        assert!(feed.pairing.texts.len() <= MOST_UNNAMED);
    }
    println!("{TRIPLES} triples in {:?}", begun.elapsed());
    assert_eq!(feed.pairing.orphans, 0);
    assert!(feed.out.removals.is_empty());
    assert_eq!(feed.out.statements.len(), TRIPLES as usize);
    for (number, row) in feed.out.statements.iter().enumerate() {
        assert_eq!(row.outcome.completion, Completion::Done);
        assert_eq!(text_of(row), format!("SELECT {number}").into_bytes());
    }
}

#[test]
fn the_text_of_a_closed_prepare_serves_later_executions() {
    let mut feed = Feed::new();
    let (first, prepare) = feed.begin(0, b"named");
    feed.add(&outcome(first, Completion::Done));
    assert!(feed.pairing.open.is_empty());
    let changes = feed.pairing.changes();
    let [
        Keep::Put {
            seq, payload, how, ..
        },
    ] = changes.as_slice()
    else {
        panic!("{} changes", changes.len())
    };
    assert_eq!(*seq, prepare);
    assert!(how.text && !how.open && !how.row);
    // After a restart as before it:
    let mut restarted = Feed::new();
    restarted.seq = feed.seq;
    let frame = Frame::kept(*seq, super::INTENT, payload, GENESIS);
    restarted.pairing.restore(&frame, *how).unwrap();
    for feed in [&mut feed, &mut restarted] {
        feed.out = Emitted::default();
        let again = feed.add(&Entry::Intent(intent(
            IntentKind::Execute,
            9,
            Text::Of(prepare),
        )));
        feed.add(&outcome(again, Completion::Done));
        let [row] = feed.out.statements.as_slice() else {
            panic!("{} rows", feed.out.statements.len())
        };
        assert_eq!(text_of(row), b"SELECT 0");
    }
}

#[test]
fn a_restart_between_prepare_and_execution_closes_both() {
    let mut feed = Feed::new();
    let (execution, _) = feed.begin(0, b"");
    let mut kept: Vec<(Seq, Vec<u8>, Restored)> = Vec::new();
    for change in feed.pairing.changes() {
        if let Keep::Put {
            seq, payload, how, ..
        } = change
        {
            kept.push((seq, payload.to_vec(), how));
        }
    }
    let mut restarted = Feed::new();
    restarted.seq = feed.seq;
    for (seq, payload, how) in &kept {
        let frame = Frame::kept(*seq, super::INTENT, payload, GENESIS);
        restarted.pairing.restore(&frame, *how).unwrap();
    }
    assert_eq!(restarted.pairing.open.len(), 2);
    restarted.add(&outcome(execution, Completion::Done));
    assert!(restarted.pairing.open.is_empty());
    assert_eq!(restarted.open_in_session(), 0);
    assert_eq!(restarted.out.statements.len(), 1);
}

#[test]
fn only_the_execution_that_took_a_prepare_closes_it() {
    let mut feed = Feed::new();
    let (first, prepare) = feed.begin(0, b"");
    let second = feed.add(&Entry::Intent(Intent {
        continues: Some(prepare),
        ..intent(IntentKind::Execute, 2, Text::Of(prepare))
    }));
    feed.add(&outcome(second, Completion::Skipped));
    assert_eq!(feed.open_in_session(), 2);
    feed.add(&outcome(first, Completion::Done));
    assert_eq!((feed.pairing.open.len(), feed.open_in_session()), (0, 0));
}

#[test]
fn no_session_makes_a_lane_forget_the_texts_of_others() {
    let mut feed = Feed::new();
    let long = "x".repeat(60 * 1024);
    let prepare = |session, number, text| {
        Entry::Intent(Intent {
            session: SessionId(session),
            prepared_name: b"named",
            ..intent(IntentKind::Prepare, number, Text::whole(text))
        })
    };
    let other = feed.add(&prepare(2, 0, b"SELECT 1"));
    for number in 0..1_200 {
        feed.add(&prepare(1, number, long.as_bytes()));
    }
    assert!(feed.pairing.texts.contains_key(&other));
    let greedy = feed.pairing.sessions.get(&SessionId(1)).unwrap();
    assert!(greedy.text_bytes <= MOST_TEXT_BYTES / SHARE && greedy.texts.len() > 100);
    for seq in greedy.texts.clone() {
        feed.pairing.forget_text(seq);
    }
    let greedy = feed.pairing.sessions.get(&SessionId(1)).unwrap();
    assert_eq!((greedy.texts.len(), greedy.text_bytes), (0, 0));
}

#[test]
fn a_session_lists_no_more_named_texts_than_are_remembered() {
    let mut feed = Feed::new();
    for number in 0..100 {
        feed.triple(number, b"named");
    }
    let remembered = |feed: &Feed| {
        let session = feed.pairing.sessions.get(&SessionId(1)).unwrap();
        (session.texts.len(), feed.pairing.texts.len())
    };
    assert_eq!(remembered(&feed), (100, 100));
    feed.pairing.forget_text(Seq(1));
    assert_eq!(remembered(&feed), (99, 99));
}
