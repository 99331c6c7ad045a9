//! Collecting: entries of all lanes into one batch for the store.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::chain::Hash;
use crate::embedded::{Batch, Block, LaneProgress, LaneState, MOST_BYTES, Store, StoreError};
use crate::event::Seq;
use crate::journal::{Frame, LaneHead, LaneReader, Shared, Step, Stopped};
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
    pub(crate) unreadable: u64,
}

struct Lane {
    reader: LaneReader,
    pairing: Pairing,
    /// The last entry whose progress is noted.
    shipped: Seq,
}

impl Collector {
    /// Goes on where the store's progress ends.
    pub(crate) fn new(journal: Arc<Shared>, store: &Store) -> Result<Self, StoreError> {
        let mut collector = Self {
            journal,
            lanes: BTreeMap::new(),
            caught_up: false,
            entries: 0,
            unreadable: 0,
        };
        for state in store.lanes()? {
            collector.restore(&state);
        }
        Ok(collector)
    }

    fn restore(&mut self, state: &LaneState) {
        let LaneProgress { head, node, day } = state.progress;
        let Some(reader) = self.journal.reader(head) else {
            return;
        };
        let mut pairing = Pairing::new(head.lane, node, day);
        for kept in &state.kept {
            let frame = Frame::kept(kept.seq, kept.kind, &kept.payload, kept.chain);
            if let Err(error) = pairing.restore(&frame, kept.how) {
                self.unreadable += 1;
                tracing::error!(lane = head.lane, seq = kept.seq.0, %error, "kept entry unreadable");
            }
        }
        self.lanes.insert(
            head.lane,
            Lane {
                reader,
                pairing,
                shipped: head.seq,
            },
        );
    }

    /// Takes up lanes that have appeared.
    fn find_lanes(&mut self) {
        for number in self.journal.lane_numbers() {
            if self.lanes.contains_key(&number) {
                continue;
            }
            let Some(reader) = self.journal.reader(LaneHead::none(number)) else {
                continue;
            };
            let pairing = Pairing::new(number, self.journal.node(), Day::of(now_us()));
            self.lanes.insert(
                number,
                Lane {
                    reader,
                    pairing,
                    shipped: Seq(0),
                },
            );
        }
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
            let mut gathering = Gathering::new(lane.reader.head());
            // Asked before reading: if it has no writer now, nothing follows what is read.
            let abandoned = lane.reader.is_idle();
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
                        gathering.cut(pairing.day(), &mut batch);
                        let lane = gathering.lane;
                        gathering = Gathering::new(LaneHead {
                            lane,
                            seq: gap.after,
                            chain,
                        });
                        batch.gaps.push((lane, gap));
                    }
                }
                share.left()
            });
            match stopped {
                Stopped::CaughtUp if abandoned && pairing.has_leftovers() => {
                    let mut out = Emitted::default();
                    pairing.lose_all(&mut out);
                    add(out, pairing.day(), &mut batch);
                }
                Stopped::CaughtUp => {}
                Stopped::Enough => self.caught_up = false,
                Stopped::Broken(damage) => {
                    tracing::error!(lane = gathering.lane, %damage, "journal unreadable");
                }
            }
            gathering.cut(pairing.day(), &mut batch);
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
        std::mem::take(&mut self.entries)
    }

    pub(crate) fn lag_bytes(&self) -> u64 {
        self.lanes
            .values()
            .map(|lane| lane.reader.lag_bytes())
            .sum()
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
}

impl Budget {
    fn new(settings: &ShipperSettings) -> Self {
        Self {
            entries_left: settings.batch_entries,
            bytes_left: settings.batch_bytes,
            entries: 0,
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
        }
    }

    fn take(&mut self, frame: &Frame<'_>) {
        self.entries += 1;
        self.entries_left = self.entries_left.saturating_sub(1);
        self.bytes_left = self.bytes_left.saturating_sub(frame.payload.len());
    }

    fn left(&self) -> bool {
        self.entries_left > 0 && self.bytes_left > 0
    }
}

/// One lane's part of a batch.
struct Gathering {
    lane: u16,
    block: Option<Block>,
    /// The link that the next block is chained to.
    chain: Hash,
    day: Option<Day>,
}

impl Gathering {
    fn new(head: LaneHead) -> Self {
        Self {
            lane: head.lane,
            block: None,
            chain: head.chain,
            day: None,
        }
    }

    fn take(
        &mut self,
        frame: &Frame<'_>,
        pairing: &mut Pairing,
        batch: &mut Batch,
        unreadable: &mut u64,
    ) {
        let mut out = Emitted::default();
        if let Err(error) = pairing.apply(frame, &mut out) {
            *unreadable += 1;
            tracing::error!(lane = self.lane, seq = frame.seq.0, %error, "entry unreadable");
        }
        let day = pairing.day();
        if self.day.is_some_and(|before| before != day)
            || self
                .block
                .as_ref()
                .is_some_and(|block| block.bytes() >= MOST_BYTES)
        {
            self.cut(self.day.unwrap_or(day), batch);
        }
        self.day = Some(day);
        let (lane, previous) = (self.lane, self.chain);
        let block = self
            .block
            .get_or_insert_with(|| Block::begin(lane, frame.seq, previous));
        block.push(frame);
        self.chain = frame.chain;
        add(out, day, batch);
    }

    /// Puts the block so far into the batch.
    fn cut(&mut self, day: Day, batch: &mut Batch) {
        let day = self.day.unwrap_or(day);
        if let Some(block) = self.block.take().filter(|block| !block.is_empty()) {
            batch.day(day).blocks.push(block);
        }
    }
}

/// Puts rows into the batch, each into its day.
fn add(out: Emitted, lane_day: Day, batch: &mut Batch) {
    for row in out.statements {
        batch.day(row.day).statements.push(row);
    }
    for (day, key) in out.removals {
        batch.day(day).removals.push(key);
    }
    for row in out.events {
        batch.day(row.day).events.push(row);
    }
    for row in out.admins {
        batch.day(row.day).admins.push(row);
    }
    batch
        .shapes
        .extend(out.shapes.into_iter().map(|shape| (lane_day, shape)));
}
