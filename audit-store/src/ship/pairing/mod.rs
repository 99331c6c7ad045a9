//! Pairing: a lane's entries in, finished rows out. Pure and deterministic, so that verification can repeat it.
//!
//! A row is one intent with its outcome. A prepare that an execution continues has no row of its own: its text
//! belongs to the execution, and so does its failure. What is open when its session or its writer ends is lost.

mod sessions;
#[cfg(test)]
mod tests;
mod texts;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use crate::chain::{GENESIS, Hash};
use crate::embedded::KeptEntry;
use crate::event::{Seq, SessionId, row_key};
use crate::journal::Frame;
use crate::record::{CodecError, Completion, Entry, Intent, IntentKind, Outcome, Text};
use crate::ship::rows::{AdminRow, Brief, Emitted, SessionStep, StatementRow, TextRef};
use crate::ship::subject::Session;
use crate::time::Day;

/// What a lane's entries have left open.
pub(crate) struct Pairing {
    lane: u16,
    node: u16,
    /// The day that the lane's latest entry with a time spoke of.
    day: Day,
    sessions: HashMap<SessionId, Session>,
    open: BTreeMap<Seq, Open>,
    texts: BTreeMap<Seq, Prepared>,
    text_bytes: usize,
    /// Entries about sessions and failed prepares that a restart needs again.
    frames: BTreeMap<Seq, (u8, Arc<[u8]>)>,
    /// Entries before this one were told of by `changes`.
    mark: Seq,
    /// Entries before `mark` that have changed since.
    dirty: BTreeSet<Seq>,
    persisted: HashSet<Seq>,
    /// Outcomes that belong to no open intent.
    pub(crate) orphans: u64,
}

/// An intent without an outcome.
struct Open {
    session: SessionId,
    row: StatementRow,
    kind: IntentKind,
    continues: Option<Seq>,
    /// The execution that continues this prepare.
    taken_by: Option<Seq>,
    /// The outcome of the prepare that this execution continues, where that failed, and the entry that said so.
    failed: Option<(Seq, Outcome)>,
}

/// A text that later intents may name.
struct Prepared {
    session: SessionId,
    payload: Arc<[u8]>,
    /// The row that was written for it and that an execution may still take over.
    row: Option<Day>,
}

/// An entry that must survive a restart, or no longer.
pub(crate) enum Keep {
    /// Keep it.
    Put {
        seq: Seq,
        kind: u8,
        chain: Hash,
        payload: Arc<[u8]>,
        how: Restored,
    },
    /// It is done with.
    Drop(Seq),
}

impl Pairing {
    pub(crate) fn new(lane: u16, node: u16, day: Day) -> Self {
        Self {
            lane,
            node,
            day,
            sessions: HashMap::new(),
            open: BTreeMap::new(),
            texts: BTreeMap::new(),
            text_bytes: 0,
            frames: BTreeMap::new(),
            mark: Seq(0),
            dirty: BTreeSet::new(),
            persisted: HashSet::new(),
            orphans: 0,
        }
    }

    /// The day that the latest entry with a time spoke of.
    pub(crate) fn day(&self) -> Day {
        self.day
    }

    /// The node of the lane's present writer.
    pub(crate) fn node(&self) -> u16 {
        self.node
    }

    /// Whether anything is open.
    pub(crate) fn has_leftovers(&self) -> bool {
        !self.open.is_empty() || !self.sessions.is_empty()
    }

    /// The day of the oldest open intent.
    pub(crate) fn oldest_open_day(&self) -> Option<Day> {
        self.open.values().map(|open| open.row.day).min()
    }

    /// Takes in one entry, which is the frame's.
    pub(crate) fn apply(&mut self, entry: &Entry<'_>, frame: &Frame<'_>, out: &mut Emitted) {
        if let Some(at_us) = wall_us(entry) {
            self.day = Day::of(at_us);
        }
        match entry {
            Entry::Epoch(epoch) => {
                self.lose_all(out);
                self.node = epoch.node;
            }
            Entry::SessionStart(start) => {
                self.session_frame(start.session, frame);
                let session = self.session(start.session);
                session.started.get_or_insert(frame.seq);
                session.learn(|who| who.start(start));
                self.event(start.session, frame, SessionStep::Start, start.at_us, out);
            }
            Entry::SessionAuthenticated(done) => {
                self.session_frame(done.session, frame);
                let session = self.session(done.session);
                session.learn(|who| who.authenticate(done));
                session.act_as(done.role);
                self.event(
                    done.session,
                    frame,
                    SessionStep::Authenticated,
                    done.at_us,
                    out,
                );
            }
            Entry::Context(context) => {
                self.session_context(context.session, frame);
                self.session(context.session).change(context);
                self.event(
                    context.session,
                    frame,
                    SessionStep::Context,
                    context.at_us,
                    out,
                );
            }
            Entry::SessionEnd(end) => self.end_session(end, frame, out),
            Entry::Shape(_) => out.shapes.push(frame.payload.to_vec()),
            Entry::Intent(intent) => self.begin(intent, frame),
            Entry::Outcome(outcome) => self.finish(*outcome, frame, out),
            Entry::Admin(admin) => out.admins.push(AdminRow {
                key: row_key(self.lane, frame.seq),
                day: Day::of(admin.at_us),
                chain: frame.chain,
                payload: frame.payload.into(),
            }),
        }
    }

    /// Takes in what was kept over a restart; answers what can't be read of it.
    pub(crate) fn restore_all(&mut self, kept: &[KeptEntry]) -> Vec<(Seq, CodecError)> {
        let mut unreadable = Vec::new();
        for kept in kept {
            let frame = Frame::kept(kept.seq, kept.kind, &kept.payload, kept.chain);
            if let Err(error) = self.restore(&frame, kept.how) {
                unreadable.push((kept.seq, error));
            }
        }
        unreadable
    }

    /// Whether an intent of this span of time, in µs since 1970, has no outcome yet.
    pub(crate) fn has_open(&self, from_us: u64, to_us: u64) -> bool {
        let mut begun = self.open.values().map(|open| open.row.brief.wall_us);
        begun.any(|at_us| (from_us..to_us).contains(&at_us))
    }

    /// Takes in an entry that was kept over a restart, in the order of sequence numbers.
    pub(crate) fn restore(&mut self, frame: &Frame<'_>, flags: Restored) -> Result<(), CodecError> {
        self.persisted.insert(frame.seq);
        let entry = Entry::decode(frame.kind, frame.payload)?;
        match &entry {
            Entry::Intent(intent) => {
                if flags.open {
                    self.begin(intent, frame);
                }
                if flags.text && !flags.open {
                    let row = flags.row.then(|| Day::of(intent.wall_us));
                    self.remember_text(intent, frame, row);
                }
            }
            Entry::Outcome(outcome) => {
                let execution = self.open.iter_mut().find(|(_, open)| {
                    open.continues == Some(outcome.intent) && open.failed.is_none()
                });
                if let Some((_, open)) = execution {
                    open.failed = Some((frame.seq, *outcome));
                    self.frames
                        .insert(frame.seq, (frame.kind, frame.payload.into()));
                }
            }
            Entry::SessionStart(_)
            | Entry::SessionAuthenticated(_)
            | Entry::Context(_)
            | Entry::SessionEnd(_)
            | Entry::Epoch(_)
            | Entry::Shape(_)
            | Entry::Admin(_) => self.apply(&entry, frame, &mut Emitted::default()),
        }
        self.dirty.clear();
        self.mark = Seq(frame.seq.0 + 1);
        Ok(())
    }

    /// What a restart needs, as changes since the last call.
    pub(crate) fn changes(&mut self) -> Vec<Keep> {
        let mut changed = std::mem::take(&mut self.dirty);
        let new = self.mark..;
        changed.extend(self.open.range(new.clone()).map(|(seq, _)| *seq));
        changed.extend(self.texts.range(new.clone()).map(|(seq, _)| *seq));
        changed.extend(self.frames.range(new).map(|(seq, _)| *seq));
        let mut changes = Vec::new();
        for seq in changed {
            self.mark = self.mark.max(Seq(seq.0 + 1));
            match self.keep(seq) {
                Some(keep) => {
                    self.persisted.insert(seq);
                    changes.push(keep);
                }
                None if self.persisted.remove(&seq) => changes.push(Keep::Drop(seq)),
                None => {}
            }
        }
        changes
    }

    /// Something about an entry is no longer as it was told.
    fn done_with(&mut self, seq: Seq) {
        if seq < self.mark {
            self.dirty.insert(seq);
        }
    }

    fn keep(&self, seq: Seq) -> Option<Keep> {
        if let Some((kind, payload)) = self.frames.get(&seq) {
            let (kind, payload) = (*kind, Arc::clone(payload));
            let how = Restored {
                open: false,
                text: false,
                row: false,
            };
            return Some(Keep::Put {
                seq,
                kind,
                chain: GENESIS,
                payload,
                how,
            });
        }
        let (open, text) = (self.open.get(&seq), self.texts.get(&seq));
        let payload = match (open, text) {
            (Some(open), _) => &open.row.payload,
            (None, Some(text)) => &text.payload,
            (None, None) => return None,
        };
        let how = Restored {
            open: open.is_some(),
            text: text.is_some(),
            row: text.is_some_and(|text| text.row.is_some()),
        };
        let chain = open.map_or(GENESIS, |open| open.row.chain);
        Some(Keep::Put {
            seq,
            kind: INTENT,
            chain,
            payload: Arc::clone(payload),
            how,
        })
    }

    fn begin(&mut self, intent: &Intent<'_>, frame: &Frame<'_>) {
        let (lane, seq) = (self.lane, frame.seq);
        let payload: Arc<[u8]> = frame.payload.into();
        let text = match intent.text {
            Text::None | Text::Sent { .. } => TextRef::Own,
            Text::Of(of) => match self.texts.get(&of) {
                Some(prepared) => TextRef::Of(of, Arc::clone(&prepared.payload)),
                None => TextRef::Missing,
            },
        };
        let session = self.session(intent.session);
        session.open.insert(seq);
        let row = StatementRow {
            lane,
            seq,
            day: Day::of(intent.wall_us),
            chain: frame.chain,
            speaker: session.speaks(intent.role, intent.end_user),
            brief: Brief::of(intent),
            payload,
            text,
            outcome: nothing(seq, Completion::Lost),
            told: None,
        };
        if let Some(prepare) = intent
            .continues
            .and_then(|prepare| self.open.get_mut(&prepare))
        {
            prepare.taken_by.get_or_insert(seq);
        }
        let (kind, continues) = (intent.kind, intent.continues);
        let session = intent.session;
        let open = Open {
            session,
            row,
            kind,
            continues,
            taken_by: None,
            failed: None,
        };
        self.open.insert(seq, open);
        if intent.kind == IntentKind::Prepare && matches!(intent.text, Text::Sent { .. }) {
            self.remember_text(intent, frame, None);
        }
    }

    fn finish(&mut self, outcome: Outcome, frame: &Frame<'_>, out: &mut Emitted) {
        let Some(mut open) = self.open.remove(&outcome.intent) else {
            self.orphans += 1;
            return;
        };
        self.done_with(outcome.intent);
        if let Some(session) = self.sessions.get_mut(&open.session) {
            session.open.remove(&outcome.intent);
        }
        if open.kind == IntentKind::Prepare {
            self.finish_prepare(open, outcome, frame, out);
            return;
        }
        let failed = self.take_failure(&mut open);
        // What is continued may continue something itself: a failure that is told in full, the execution, its prepare.
        let (mut taker, mut next) = (outcome.intent, open.continues);
        for _ in 0..LONGEST_CONTINUATION {
            let Some(taken) = next else { break };
            next = self.open.get(&taken).and_then(|taken| taken.continues);
            self.take_over(taken, open.row.day, out);
            self.close_taken(taken, taker);
            taker = taken;
        }
        let (outcome, told) = match (outcome.completion, failed) {
            (Completion::Skipped | Completion::Unexecuted | Completion::Lost, Some(failed)) => {
                (failed, None)
            }
            _ => (outcome, Some(frame.seq)),
        };
        out.statements.push(StatementRow {
            outcome,
            told,
            ..open.row
        });
    }

    fn finish_prepare(
        &mut self,
        open: Open,
        outcome: Outcome,
        frame: &Frame<'_>,
        out: &mut Emitted,
    ) {
        let execution = open.taken_by.and_then(|seq| self.open.get_mut(&seq));
        let told = Some(frame.seq);
        match (execution, outcome.completion) {
            // Its execution has the row.
            (Some(_), Completion::Prepared | Completion::Done) => {}
            // Its execution has the row, and can't succeed.
            (Some(execution), _) => {
                execution.failed = Some((frame.seq, outcome));
                self.frames
                    .insert(frame.seq, (frame.kind, frame.payload.into()));
            }
            (None, Completion::Prepared | Completion::Done) => {
                if let Some(text) = self.texts.get_mut(&outcome.intent) {
                    text.row = Some(open.row.day);
                }
                out.statements.push(StatementRow {
                    outcome,
                    told,
                    ..open.row
                });
            }
            (None, _) => out.statements.push(StatementRow {
                outcome,
                told,
                ..open.row
            }),
        }
        if outcome.completion != Completion::Prepared && outcome.completion != Completion::Done {
            self.forget_text(outcome.intent);
        }
    }

    /// The failure of the prepare that an execution continues.
    fn take_failure(&mut self, open: &mut Open) -> Option<Outcome> {
        let (seq, failed) = open.failed.take()?;
        self.frames.remove(&seq);
        self.done_with(seq);
        Some(failed)
    }
}

/// How an intent was kept over a restart.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Restored {
    /// It has no outcome yet.
    pub(crate) open: bool,
    /// Its text may be named by others.
    pub(crate) text: bool,
    /// It has a row that an execution may take over.
    pub(crate) row: bool,
}

/// The outcome of what has none.
fn nothing(intent: Seq, completion: Completion) -> Outcome {
    Outcome {
        intent,
        completion,
        rows: 0,
        affected: 0,
        bytes: 0,
        sqlstate: None,
        first_byte_us: None,
        duration_us: 0,
        statements: 0,
        warnings: 0,
    }
}

/// The wall time that an entry tells, µs since 1970; outcomes and shapes tell none.
pub(crate) fn wall_us(entry: &Entry<'_>) -> Option<u64> {
    match entry {
        Entry::Epoch(epoch) => Some(epoch.at_us),
        Entry::SessionStart(start) => Some(start.at_us),
        Entry::SessionAuthenticated(done) => Some(done.at_us),
        Entry::Context(context) => Some(context.at_us),
        Entry::SessionEnd(end) => Some(end.at_us),
        Entry::Intent(intent) => Some(intent.wall_us),
        Entry::Admin(admin) => Some(admin.at_us),
        Entry::Shape(_) | Entry::Outcome(_) => None,
    }
}

/// The kind of intents in the journal.
const INTENT: u8 = 7;

/// How many intents may stand behind one row.
const LONGEST_CONTINUATION: usize = 3;
