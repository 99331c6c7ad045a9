//! Collecting: entries of all lanes into one batch for the store.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::chain::Hash;
use crate::embedded::{
    Aside, Batch, Block, LaneProgress, LaneState, MOST_BYTES, Store, StoreError,
};
use crate::event::{Seq, row_key};
use crate::journal::{Frame, LaneHead, LaneReader, Shared, Step, Stopped};
use crate::record::Entry;
use crate::ship::ShipperSettings;
use crate::ship::pairing::Pairing;
use crate::ship::rows::Emitted;
use crate::time::{Day, now_us};

/// Reads all lanes and pairs their entries.
pub(crate) struct Collector {
    journal: Arc<Shared>,
    lanes: BTreeMap<u16, Lane>,
    caught_up: bool,
    /// Entries in the batch that is being written.
    entries: u64,
    /// Bytes of them.
    bytes: u64,
    pub(crate) unreadable: u64,
    rows: Rows,
}

/// What of statements a store wants beside the blocks that hold them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rows {
    /// Those that no block holds whole.
    Carried,
    /// All.
    All,
}

struct Lane {
    reader: LaneReader,
    pairing: Pairing,
    /// The last entry whose progress is noted.
    shipped: Seq,
    /// Where blocks must end that an earlier shipment wrote without noting its progress.
    ends: VecDeque<Seq>,
}

impl Collector {
    /// Goes on where the store's progress ends.
    pub(crate) fn new(journal: Arc<Shared>, store: &Store, rows: Rows) -> Result<Self, StoreError> {
        let mut collector = Self {
            journal,
            lanes: BTreeMap::new(),
            caught_up: false,
            entries: 0,
            bytes: 0,
            unreadable: 0,
            rows,
        };
        for state in store.lanes()? {
            let ends = store.blocks_behind(state.progress.head, Some(state.progress.day))?;
            collector.restore(&state, ends.iter().map(|end| end.seq).collect());
        }
        // Lanes of which not even a first shipment was noted.
        for number in collector.journal.lane_numbers() {
            if !collector.lanes.contains_key(&number) {
                let ends = store.blocks_behind(LaneHead::none(number), None)?;
                collector.take_up(number, ends.iter().map(|end| end.seq).collect());
            }
        }
        Ok(collector)
    }

    fn restore(&mut self, state: &LaneState, ends: VecDeque<Seq>) {
        let LaneProgress { head, node, day } = state.progress;
        let Some(reader) = self.journal.reader(head) else {
            return;
        };
        let mut pairing = Pairing::new(head.lane, node, day);
        for (seq, error) in pairing.restore_all(&state.kept) {
            self.unreadable += 1;
            tracing::error!(lane = head.lane, seq = seq.0, %error, "kept entry unreadable");
        }
        self.lanes.insert(
            head.lane,
            Lane {
                reader,
                pairing,
                shipped: head.seq,
                ends,
            },
        );
    }

    /// Takes up lanes that have appeared.
    fn find_lanes(&mut self) {
        for number in self.journal.lane_numbers() {
            if !self.lanes.contains_key(&number) {
                self.take_up(number, VecDeque::new());
            }
        }
    }

    fn take_up(&mut self, number: u16, ends: VecDeque<Seq>) {
        let Some(reader) = self.journal.reader(LaneHead::none(number)) else {
            return;
        };
        let pairing = Pairing::new(number, self.journal.node(), Day::of(now_us()));
        self.lanes.insert(
            number,
            Lane {
                reader,
                pairing,
                shipped: Seq(0),
                ends,
            },
        );
    }

    /// The next batch; `None` where there is nothing new.
    pub(crate) fn collect(&mut self, settings: &ShipperSettings) -> Option<Batch> {
        self.find_lanes();
        let mut batch = Batch::default();
        let mut budget = Budget::new(settings);
        self.caught_up = true;
        let lanes = self.lanes.len();
        for (place, lane) in self.lanes.values_mut().enumerate() {
            // No lane may starve the ones behind it.
            let mut share = budget.share(lanes - place);
            let mut gathering = Gathering::new(lane.reader.head(), &mut lane.ends, self.rows);
            let pairing = &mut lane.pairing;
            let stopped = lane.reader.read(|step| {
                match step {
                    Step::Frame(frame) => {
                        share.take(&frame);
                        budget.take(&frame);
                        gathering.take(&frame, pairing, &mut batch, &mut self.unreadable);
                    }
                    Step::Gap(gap, chain) => {
                        tracing::error!(after = gap.after.0, next = gap.next.0, "journal gap");
                        gathering.skip(gap.after, chain, &mut batch);
                        batch.gaps.push((gathering.lane, gap));
                    }
                }
                share.left() || gathering.must_go_on()
            });
            gathering.cut(&mut batch);
            match stopped {
                // Asked after reading: a writer that took the lane meanwhile has left entries behind the last one read.
                Stopped::CaughtUp if pairing.has_leftovers() && lane.reader.is_abandoned() => {
                    let mut out = Emitted::default();
                    pairing.lose_all(&mut out);
                    if self.rows == Rows::All {
                        add_whole(&out, lane.reader.number(), &mut batch);
                    }
                    add(&mut out, lane.reader.number(), None, &mut batch);
                }
                Stopped::CaughtUp => {}
                Stopped::Enough => self.caught_up = false,
                Stopped::Broken(damage) => {
                    tracing::error!(lane = lane.reader.number(), %damage, "journal unreadable");
                }
            }
            let head = lane.reader.head();
            let kept = pairing.changes();
            if head.seq != lane.shipped || !kept.is_empty() {
                let (node, day) = (pairing.node(), pairing.day());
                batch.lanes.push(LaneProgress { head, node, day });
                let number = head.lane;
                batch
                    .kept
                    .extend(kept.into_iter().map(|keep| (number, keep)));
            }
        }
        self.entries = budget.entries;
        self.bytes = budget.bytes;
        (!batch.lanes.is_empty()).then_some(batch)
    }

    /// Whether the last batch held everything there was.
    pub(crate) fn caught_up(&self) -> bool {
        self.caught_up
    }

    /// Notes that the last batch is in the store, and lets go of the segments behind it.
    ///
    /// Answers how many entries it held.
    pub(crate) fn committed(&mut self) -> u64 {
        for lane in self.lanes.values_mut() {
            let head = lane.reader.head();
            if lane.shipped == head.seq {
                continue;
            }
            lane.shipped = head.seq;
            if let Err(error) = lane.reader.release(&self.journal, head.seq) {
                tracing::warn!(lane = head.lane, %error, "a shipped segment could not be removed");
            }
        }
        self.bytes = 0;
        std::mem::take(&mut self.entries)
    }

    /// Bytes that the store does not have yet: those of the batch that is being written, and what is unread.
    pub(crate) fn lag_bytes(&self) -> u64 {
        let unread = self.lanes.values().map(|lane| lane.reader.lag_bytes());
        unread.sum::<u64>().saturating_add(self.bytes)
    }

    pub(crate) fn orphans(&self) -> u64 {
        self.lanes.values().map(|lane| lane.pairing.orphans).sum()
    }

    pub(crate) fn oldest_open_day(&self) -> Option<Day> {
        self.lanes
            .values()
            .filter_map(|lane| lane.pairing.oldest_open_day())
            .min()
    }
}

/// How much more goes into a batch.
struct Budget {
    entries_left: usize,
    bytes_left: usize,
    entries: u64,
    bytes: u64,
}

impl Budget {
    fn new(settings: &ShipperSettings) -> Self {
        Self {
            entries_left: settings.batch_entries,
            bytes_left: settings.batch_bytes,
            entries: 0,
            bytes: 0,
        }
    }

    /// An equal part for each of `lanes` lanes, but something at least.
    fn share(&self, lanes: usize) -> Self {
        let lanes = lanes.max(1);
        let (entries_left, bytes_left) = (
            (self.entries_left / lanes).max(1),
            (self.bytes_left / lanes).max(1),
        );
        Self {
            entries_left,
            bytes_left,
            entries: 0,
            bytes: 0,
        }
    }

    fn take(&mut self, frame: &Frame<'_>) {
        self.entries += 1;
        self.bytes += frame.payload.len() as u64;
        self.entries_left = self.entries_left.saturating_sub(1);
        self.bytes_left = self.bytes_left.saturating_sub(frame.payload.len());
    }

    fn left(&self) -> bool {
        self.entries_left > 0 && self.bytes_left > 0
    }
}

/// One lane's part of a batch.
struct Gathering<'g> {
    lane: u16,
    block: Option<(Day, Block)>,
    /// The link that the next block is chained to.
    chain: Hash,
    ends: &'g mut VecDeque<Seq>,
    rows: Rows,
    out: Emitted,
}

impl<'g> Gathering<'g> {
    fn new(head: LaneHead, ends: &'g mut VecDeque<Seq>, rows: Rows) -> Self {
        while ends.front().is_some_and(|end| *end <= head.seq) {
            ends.pop_front();
        }
        Self {
            lane: head.lane,
            block: None,
            chain: head.chain,
            ends,
            rows,
            out: Emitted::default(),
        }
    }

    /// Whether the block so far was longer when it was shipped before.
    fn must_go_on(&self) -> bool {
        self.block.is_some() && !self.ends.is_empty()
    }

    fn take(
        &mut self,
        frame: &Frame<'_>,
        pairing: &mut Pairing,
        batch: &mut Batch,
        unreadable: &mut u64,
    ) {
        let entry = Entry::decode(frame.kind, frame.payload);
        if let Ok(entry) = &entry {
            pairing.apply(entry, frame, &mut self.out);
        }
        let day = pairing.day();
        if let Some((before, block)) = &self.block
            && (*before != day || block.bytes() >= MOST_BYTES)
        {
            self.cut(batch);
        }
        let (lane, previous) = (self.lane, self.chain);
        let (_, block) = self
            .block
            .get_or_insert_with(|| (day, Block::begin(lane, frame.seq, previous)));
        block.push(frame, entry.as_ref().ok());
        self.chain = frame.chain;
        if let Err(error) = entry {
            *unreadable += 1;
            tracing::error!(lane, seq = frame.seq.0, %error, "entry unreadable");
        }
        if self.rows == Rows::All {
            add_whole(&self.out, lane, batch);
        }
        settle(&mut self.out, day, block);
        let block = block.id();
        add(&mut self.out, lane, Some((day, block)), batch);
        for shape in self.out.shapes.drain(..) {
            batch.shapes.push((day, shape));
        }
        if self.ends.front() == Some(&frame.seq) {
            self.ends.pop_front();
            self.cut(batch);
        }
    }

    /// Goes on behind entries that are missing.
    fn skip(&mut self, after: Seq, chain: Hash, batch: &mut Batch) {
        self.cut(batch);
        self.chain = chain;
        while self.ends.front().is_some_and(|end| *end <= after) {
            self.ends.pop_front();
        }
    }

    /// Puts the block so far into the batch.
    fn cut(&mut self, batch: &mut Batch) {
        if let Some((day, block)) = self.block.take()
            && let Some(packed) = block.finish()
        {
            batch.day(day).blocks.push(packed);
        }
    }
}

/// Puts the statements that a block of `day` holds into it; what is left in `out` must be stored whole.
pub(crate) fn settle(out: &mut Emitted, day: Day, block: &mut Block) {
    out.statements
        .retain(|row| row.day != day || !block.add(row));
    out.removals
        .retain(|(of, prepare)| *of != day || !block.remove(*prepare));
    for row in out.statements.iter().filter(|row| row.day == day) {
        block.set_aside(Aside::statement(row));
    }
    for row in &out.events {
        if let Some(aside) = Aside::event(row) {
            block.set_aside(aside);
        }
    }
}

/// Puts finished statements into the batch, whether or not a block holds them, and the prepares that they took over.
fn add_whole(out: &Emitted, lane: u16, batch: &mut Batch) {
    for row in out.statements.iter().chain(&out.lost) {
        batch.day(row.day).finished.push(row.clone());
    }
    for (day, prepare) in &out.removals {
        let key = row_key(lane, *prepare);
        batch.day(*day).taken_over.push(key);
    }
}

/// Puts rows into the batch, each into its day; `ended` is the block that ended the statements, and its day.
pub(crate) fn add(out: &mut Emitted, lane: u16, ended: Option<(Day, i64)>, batch: &mut Batch) {
    for row in out.statements.drain(..) {
        let block = ended.filter(|(day, _)| *day == row.day);
        let block = block.map_or(0, |(_, block)| block);
        batch.day(row.day).carried.push((block, row));
    }
    for row in out.lost.drain(..) {
        batch.day(row.day).carried.push((0, row));
    }
    for (day, prepare) in out.removals.drain(..) {
        batch.day(day).removals.push(row_key(lane, prepare));
    }
    for row in out.events.drain(..) {
        batch.day(row.day).events.push(row);
    }
    for row in out.admins.drain(..) {
        batch.day(row.day).admins.push(row);
    }
}
