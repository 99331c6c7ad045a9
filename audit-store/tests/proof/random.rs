//! Whatever a proxy wrote, whenever it was killed, and however its clock went: a clean store never raises an alarm, and
//! neither does any part of it.

use std::collections::HashMap;
use std::sync::Arc;

use proptest::prelude::*;
use sqlward_audit_store::Audit;
use sqlward_audit_store::bundle::{BundleError, Range, export, verify};
use sqlward_audit_store::embedded::Scope;
use sqlward_audit_store::journal::Lane;
use sqlward_audit_store::proof::ProofSettings;
use sqlward_audit_store::record::{Completion, Intent, IntentKind, Outcome, Seq, Text};
use sqlward_policy::vocabulary::Verb;

use crate::help::*;
use crate::support::*;

/// Something that happens in a lane.
#[derive(Clone, Debug)]
enum Step {
    Start(u64),
    Context(u64),
    Statement(u64),
    Prepare(u64),
    Execute(u64),
    Open(u64),
    Close,
    End(u64),
    Shape(u8),
    /// The clock goes on, or back.
    Clock(i64),
    /// The proxy stops, or is killed.
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let session = 1..4u64;
    prop_oneof![
        2 => session.clone().prop_map(Step::Start),
        1 => session.clone().prop_map(Step::Context),
        6 => session.clone().prop_map(Step::Statement),
        2 => session.clone().prop_map(Step::Prepare),
        4 => session.clone().prop_map(Step::Execute),
        2 => session.clone().prop_map(Step::Open),
        2 => Just(Step::Close),
        1 => session.prop_map(Step::End),
        1 => (1..4u8).prop_map(Step::Shape),
        3 => (-30..200i64).prop_map(Step::Clock),
        1 => Just(Step::Restart),
    ]
}

/// Takes the lanes, and tells the shape of statements first, as proxies do.
fn take(audit: &Audit) -> Vec<Lane> {
    let mut lanes = vec![audit.lane(0).unwrap(), audit.lane(1).unwrap()];
    for lane in &mut lanes {
        lane.append(&shape(2, Verb::Select, "ledger")).unwrap();
    }
    lanes
}

/// A lane's writer.
#[derive(Default)]
struct Writer {
    number: u32,
    /// Sessions by their place: their numbers are never used again, in no lane.
    sessions: HashMap<u64, u64>,
    prepared: HashMap<u64, Seq>,
    open: Vec<Seq>,
}

impl Writer {
    fn write(&mut self, lane: &mut Lane, step: &Step, at: u64) {
        self.number += 1;
        let place = match step {
            Step::Start(place) => {
                self.sessions.insert(*place, at);
                place
            }
            Step::Context(place)
            | Step::Statement(place)
            | Step::Prepare(place)
            | Step::Execute(place)
            | Step::Open(place)
            | Step::End(place) => place,
            Step::Close | Step::Shape(_) | Step::Clock(_) | Step::Restart => &0,
        };
        let session = match self.sessions.get(place) {
            Some(session) => session,
            // Nothing is said in a session that has not begun.
            None if *place > 0 => return,
            None => &0,
        };
        let number = self.number;
        match step {
            Step::Start(_) => start(lane, *session, at, "bob"),
            Step::Context(_) => context(lane, *session, at, None),
            Step::Statement(_) => {
                let shape = Some([2; 16]);
                let text = format!("SELECT {number}");
                let intent = Intent {
                    shape,
                    ..intent(*session, number, at, text.as_bytes())
                };
                let seq = begin(lane, intent);
                finish(lane, done(seq));
            }
            Step::Prepare(_) => {
                let intent = Intent {
                    kind: IntentKind::Prepare,
                    prepared_name: b"p",
                    ..intent(*session, number, at, b"SELECT $1")
                };
                let seq = begin(lane, intent);
                let completion = Completion::Prepared;
                finish(
                    lane,
                    Outcome {
                        completion,
                        ..done(seq)
                    },
                );
                self.prepared.insert(*session, seq);
            }
            Step::Execute(_) => {
                let Some(prepare) = self.prepared.get(session) else {
                    return;
                };
                let intent = Intent {
                    kind: IntentKind::Execute,
                    text: Text::Of(*prepare),
                    ..intent(*session, number, at, b"")
                };
                let seq = begin(lane, intent);
                finish(lane, done(seq));
            }
            Step::Open(_) => {
                let seq = begin(lane, intent(*session, number, at, b"SELECT pg_sleep(9)"));
                self.open.push(seq);
            }
            Step::Close => {
                if let Some(seq) = self.open.pop() {
                    finish(lane, done(seq));
                }
            }
            Step::End(_) => {
                end(lane, *session, at);
                self.prepared.remove(session);
                self.sessions.remove(place);
                self.open.clear();
            }
            Step::Shape(key) => {
                lane.append(&shape(*key, Verb::Select, "ledger")).unwrap();
            }
            Step::Clock(_) | Step::Restart => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn a_clean_store_is_silent_in_whole_and_in_part(
        steps in proptest::collection::vec((0..2usize, step()), 1..120),
        from in 0..90u64,
        hours in 1..60u64,
    ) {
        let (data, signer) = (quick_dir(), signer());
        let open = || {
            let mut settings = settings();
            settings.shipper.proof = ProofSettings {
                signer: Some(Arc::clone(&signer)),
                interval: std::time::Duration::from_millis(2),
                ..ProofSettings::default()
            };
            Audit::open(data.path(), settings).unwrap().0
        };
        let mut audit = open();
        let mut lanes = take(&audit);
        let mut writers = [Writer::default(), Writer::default()];
        // Some while before checkpoints are made.
        let begun = NOW - 100 * DAY_US;
        let mut at = begun;
        for (lane, step) in &steps {
            match step {
                Step::Clock(minutes) => at = at.saturating_add_signed(minutes * 60_000_000),
                Step::Restart => {
                    lanes.clear();
                    stop(audit);
                    writers = [Writer::default(), Writer::default()];
                    audit = open();
                    lanes = take(&audit);
                }
                step => {
                    at += 7;
                    writers[*lane].write(&mut lanes[*lane], step, at);
                }
            }
        }
        lanes.clear();
        stop(audit);

        let trust = trust(&[signer.public()], None);
        let (from, to) = (begun + from * HOUR_US, begun + (from + hours) * HOUR_US);
        for scope in [Scope::default(), Scope::span(Some(from), Some(to)), Scope::span(None, Some(to))] {
            let report = archive(data.path()).verify_against(&trust, &scope).unwrap();
            prop_assert_eq!(&report.findings, &[], "{:?}", scope);
        }
        for (from_us, to_us) in [(begun, u64::MAX), (from, to)] {
            let bundle = data.path().join("bundle");
            let range = Range { from_us, to_us, session: None };
            match export(&archive(data.path()), range, &bundle) {
                Err(BundleError::Empty) => {}
                other => {
                    other.unwrap();
                    let report = verify(&bundle, &trust, (None, None)).unwrap();
                    prop_assert_eq!(&report.chain.findings, &[]);
                }
            }
        }
    }
}

const HOUR_US: u64 = 3_600_000_000;
