//! What it costs to remember a statement: its intent before it leaves, its outcome after.

use std::time::{Duration, Instant};

use anyhow::Result;
use criterion::{Criterion, criterion_group, criterion_main};
use sqlward_audit_store::journal::{Journal, JournalSettings};
use sqlward_audit_store::record::{
    Completion, Entry, Intent, IntentKind, Judgement, List, Outcome, Reduction, Seq, SessionId,
    Text, TxStatus,
};
use sqlward_policy::vocabulary::{Action, Mode};

fn intent(text: &str) -> Entry<'_> {
    Entry::Intent(Intent {
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
    })
}

fn outcome(intent: Seq) -> Entry<'static> {
    Entry::Outcome(Outcome {
        intent,
        completion: Completion::Done,
        rows: 1,
        affected: 0,
        bytes: 30,
        sqlstate: None,
        first_byte_us: Some(100),
        duration_us: 120,
        statements: 1,
        warnings: 0,
    })
}

/// The time that `n` statements take, in fresh journals so that none is full.
fn remember(text: &str, n: u64) -> Result<Duration> {
    let entry = intent(text);
    let (mut spent, mut left) = (Duration::ZERO, n);
    while left > 0 {
        let chunk = left.min(CHUNK);
        let folder = tempfile::tempdir()?;
        let (journal, _) = Journal::open(folder.path(), JournalSettings::default())?;
        let mut lane = journal.lane(0)?;
        let started = Instant::now();
        for _ in 0..chunk {
            let seq = lane.append(&entry)?;
            lane.append(&outcome(seq))?;
        }
        spent += started.elapsed();
        left -= chunk;
    }
    Ok(spent)
}

fn statements(c: &mut Criterion) {
    let mut group = c.benchmark_group("journal");
    group.sample_size(20);
    let short = "SELECT abalance FROM pgbench_accounts WHERE aid = 77777";
    let long = format!("SELECT {}1", "column_of_a_table, ".repeat(100));
    for (name, text) in [
        ("statement of 55 bytes", short),
        ("statement of 2 KB", long.as_str()),
    ] {
        group.bench_function(name, |b| {
            // A journal that can't be written is no measurement: show it as an absurd one.
            b.iter_custom(|n| remember(text, n).unwrap_or(Duration::MAX));
        });
    }
    group.finish();
}

const CHUNK: u64 = 100_000;

criterion_group!(benches, statements);
criterion_main!(benches);
