//! Readers behind the writers: the shipper's view of a lane.

use std::sync::Arc;

use super::frame::{self, Broken, Frame, Place};
use super::recovery::Gap;
use super::segment::{HEADER, Segment};
use super::{LaneHead, LaneShared, Shared, held};
use crate::chain::{GENESIS, Hash};
use crate::event::Seq;

/// Reads one lane's entries in order.
pub(crate) struct LaneReader {
    lane: Arc<LaneShared>,
    place: Option<(Segment, usize)>,
    seq: Seq,
    chain: Hash,
}

/// What a reader meets.
pub(crate) enum Step<'a> {
    /// An entry.
    Frame(Frame<'a>),
    /// A break in the chain, and the link that the next entry is chained to.
    Gap(Gap, Hash),
}

/// Why a reader stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stopped {
    /// It has seen everything there is for now.
    CaughtUp,
    /// The visitor has had enough.
    Enough,
    /// The bytes at its place are no frame, and there is no later segment to go on with.
    Broken(Broken),
}

impl Shared {
    /// The numbers of all lanes.
    pub(crate) fn lane_numbers(&self) -> Vec<u16> {
        held(&self.lanes).keys().copied().collect()
    }

    /// A reader of lane `head.lane` for what comes behind `head`.
    pub(crate) fn reader(&self, head: LaneHead) -> Option<LaneReader> {
        let lane = held(&self.lanes).get(&head.lane).cloned()?;
        Some(LaneReader {
            lane,
            place: None,
            seq: head.seq,
            chain: head.chain,
        })
    }
}

impl LaneReader {
    /// The last entry read, or, at the beginning, what the first one is chained to.
    pub(crate) fn head(&mut self) -> LaneHead {
        if self.place.is_none() {
            self.place = self.enter();
        }
        LaneHead {
            lane: self.lane.number,
            seq: self.seq,
            chain: self.chain,
        }
    }

    /// Whether no writer has the lane now, and none has left anything that is not read.
    pub(crate) fn is_abandoned(&self) -> bool {
        held(&self.lane.idle).is_some_and(|head| head.seq <= self.seq)
    }

    /// The lane's number.
    pub(crate) fn number(&self) -> u16 {
        self.lane.number
    }

    /// Bytes that are published and not read yet.
    pub(crate) fn lag_bytes(&self) -> u64 {
        let segments = self.lane.lock_segments();
        let unread = segments.iter().map(|segment| {
            let published = segment.read.published_len() as u64;
            match &self.place {
                Some((at, offset)) if at.header.first_seq == segment.header.first_seq => {
                    published.saturating_sub(*offset as u64)
                }
                Some((at, _)) if segment.header.first_seq < at.header.first_seq => 0,
                Some(_) | None => published,
            }
        });
        unread.sum()
    }

    /// Shows entries to `visit` until it answers `false` or there are no more.
    pub(crate) fn read(&mut self, mut visit: impl FnMut(Step<'_>) -> bool) -> Stopped {
        loop {
            let Some((segment, offset)) = self.place.take().or_else(|| self.enter()) else {
                return Stopped::CaughtUp;
            };
            if segment.header.first_seq.0 > self.seq.0 + 1 && !self.cross(&segment, &mut visit) {
                self.place = Some((segment, offset));
                return Stopped::Enough;
            }
            // Asked before reading: once there is a successor, nothing is added to this segment.
            let successor = self.successor(&segment);
            let (offset, stopped) = self.read_segment(&segment, offset, &mut visit);
            match (stopped, successor) {
                (Stopped::Enough, _) | (_, None) => {
                    self.place = Some((segment, offset));
                    return stopped;
                }
                (Stopped::CaughtUp | Stopped::Broken(_), Some(next)) => {
                    if !self.cross(&next, &mut visit) {
                        self.place = Some((next, HEADER));
                        return Stopped::Enough;
                    }
                    self.place = Some((next, HEADER));
                }
            }
        }
    }

    /// Reads on in one segment; answers where it stopped and why.
    fn read_segment(
        &mut self,
        segment: &Segment,
        mut offset: usize,
        visit: &mut impl FnMut(Step<'_>) -> bool,
    ) -> (usize, Stopped) {
        let bytes = segment.read.published();
        loop {
            match frame::read(bytes, offset) {
                Place::Frame(frame, next) => {
                    offset = next;
                    if frame.seq <= self.seq {
                        continue;
                    }
                    (self.seq, self.chain) = (frame.seq, frame.chain);
                    if !visit(Step::Frame(frame)) {
                        return (offset, Stopped::Enough);
                    }
                }
                Place::Empty | Place::Closed => return (offset, Stopped::CaughtUp),
                Place::Broken(damage) => return (offset, Stopped::Broken(damage)),
            }
        }
    }

    /// Steps over to the next segment, telling the visitor where it does not connect.
    fn cross(&mut self, next: &Segment, visit: &mut impl FnMut(Step<'_>) -> bool) -> bool {
        let first = next.header.first_seq;
        if first.0 == self.seq.0 + 1 && next.header.previous == self.chain {
            return true;
        }
        let gap = Gap {
            after: self.seq,
            next: first,
        };
        (self.seq, self.chain) = (Seq(first.0.saturating_sub(1)), next.header.previous);
        visit(Step::Gap(gap, next.header.previous))
    }

    /// The segment to begin with: the last one that begins at or before the entry wanted.
    fn enter(&mut self) -> Option<(Segment, usize)> {
        let segments = self.lane.lock_segments();
        let wanted = Seq(self.seq.0 + 1);
        let begun = segments
            .iter()
            .rev()
            .find(|segment| segment.header.first_seq <= wanted);
        let segment = begun.or_else(|| segments.front())?.clone();
        if self.seq.0 == 0 && self.chain == GENESIS {
            // Nothing is known of this lane: its oldest segment says what it is linked to.
            self.seq = Seq(segment.header.first_seq.0.saturating_sub(1));
            self.chain = segment.header.previous;
        }
        Some((segment, HEADER))
    }

    fn successor(&self, segment: &Segment) -> Option<Segment> {
        let first = segment.header.first_seq;
        self.lane
            .lock_segments()
            .iter()
            .find(|other| other.header.first_seq > first)
            .cloned()
    }

    /// Removes segments whose entries are all at or before `shipped`; the newest one stays, it holds the head.
    pub(crate) fn release(&self, shared: &Shared, shipped: Seq) -> std::io::Result<()> {
        loop {
            let mut segments = self.lane.lock_segments();
            let done = segments
                .get(1)
                .is_some_and(|next| next.header.first_seq.0 <= shipped.0 + 1);
            let Some(oldest) = segments.front().filter(|_| done) else {
                return Ok(());
            };
            std::fs::remove_file(&oldest.path)?;
            shared.release(oldest.size);
            segments.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::{Journal, JournalSettings};

    #[test]
    fn a_lane_that_is_taken_while_it_is_read_is_not_abandoned() {
        let dir = tempfile::tempdir().unwrap();
        let (journal, _) = Journal::open(dir.path(), JournalSettings::default()).unwrap();
        drop(journal.lane(0).unwrap());
        let mut reader = journal.shared().reader(LaneHead::none(0)).unwrap();
        assert!(!reader.is_abandoned(), "there is something to read");
        let mut taken = None;
        let stopped = reader.read(|_| {
            taken.get_or_insert_with(|| journal.lane(0).unwrap());
            true
        });
        assert_eq!(stopped, Stopped::CaughtUp);
        assert!(!reader.is_abandoned(), "it has a writer");
        let mut taken = taken.unwrap();
        let last = taken
            .append(&crate::record::Entry::Epoch(crate::record::Epoch {
                node: 0,
                at_us: 1,
            }))
            .unwrap();
        drop(taken);
        assert!(!reader.is_abandoned(), "its writer has left something");
        assert_eq!(reader.read(|_| true), Stopped::CaughtUp);
        assert_eq!(reader.head().seq, last);
        assert!(reader.is_abandoned());
    }
}
