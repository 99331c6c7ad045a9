//! Prints what appending to the journal costs: `cargo run --release --example append_cost`.
use std::time::Instant;

use sqlward_audit_store::journal::{Journal, JournalError, JournalSettings};
use sqlward_audit_store::record::{
    Completion, Entry, Intent, IntentKind, Judgement, List, Outcome, SessionId, Text, TxStatus,
};
use sqlward_policy::vocabulary::{Action, Mode};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = tempfile::tempdir()?;
    let (journal, _) = Journal::open(dir.path(), JournalSettings::default())?;
    let mut lane = journal.lane(0)?;
    let text = "UPDATE pgbench_accounts SET abalance = abalance + $1 WHERE aid = $2";
    let intent = Entry::Intent(Intent {
        session: SessionId(1),
        number: 1,
        kind: IntentKind::Simple,
        continues: None,
        text: Text::whole(text.as_bytes()),
        shape: Some([7; 16]),
        parameters: List::empty(),
        prepared_name: b"",
        portal: b"",
        wall_us: 1_700_000_000_000_000,
        mono_ns: 1,
        transaction: 1,
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
    });
    let outcome = |seq| {
        Entry::Outcome(Outcome {
            intent: seq,
            completion: Completion::Done,
            rows: 0,
            affected: 1,
            bytes: 30,
            sqlstate: None,
            first_byte_us: Some(100),
            duration_us: 120,
            statements: 1,
        })
    };
    for round in 1..=5 {
        let pairs = 200_000;
        let before = journal.allocated_bytes();
        let begin = Instant::now();
        let mut slowest = 0;
        for _ in 0..pairs {
            let one = Instant::now();
            let seq = lane.append(&intent)?;
            slowest = slowest.max(one.elapsed().as_nanos());
            lane.append(&outcome(seq))?;
        }
        let each = begin.elapsed().as_nanos() / (2 * pairs);
        let grown = (journal.allocated_bytes() - before) >> 20;
        println!("round {round}: {each} ns per entry, slowest intent {slowest} ns, +{grown} MiB");
    }
    match lane.append(&intent) {
        Ok(_) | Err(JournalError::Full { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
