//! Prints what appending to the journal costs: `cargo run --release --example append_cost`.
use std::time::Instant;

use sqlward_audit_store::journal::{Journal, JournalError, JournalSettings};
use sqlward_audit_store::record::{
    Completion, Entry, Intent, IntentKind, Judgement, List, Outcome, Reduction, SessionId, Text,
    TxStatus,
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
        reduction: Reduction::NONE,
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
            warnings: 0,
        })
    };
    // Batches, so that what else the machine does shows as a spread instead of in the figure.
    let mut costs = Vec::new();
    for _ in 0..BATCHES {
        let begin = Instant::now();
        for _ in 0..PAIRS {
            let seq = lane.append(&intent)?;
            lane.append(&outcome(seq))?;
        }
        costs.push(begin.elapsed().as_nanos() / u128::from(2 * PAIRS));
    }
    costs.sort_unstable();
    let at = |percent: usize| costs.get(costs.len() * percent / 100).copied().unwrap_or(0);
    let bytes = journal.allocated_bytes() >> 20;
    println!(
        "ns per entry: least {}, median {}, p90 {}",
        at(0),
        at(50),
        at(90)
    );
    println!("{} entries, {bytes} MiB of segments", 2 * PAIRS * BATCHES);
    match lane.append(&intent) {
        Ok(_) | Err(JournalError::Full { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// How many batches are timed.
const BATCHES: u32 = 2000;

/// How many intents and outcomes a batch has.
const PAIRS: u32 = 250;
