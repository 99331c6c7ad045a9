//! A lane's writer: the hot path.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use super::disk::{Disk, Durability, Syncer};
use super::frame::{self, CLOSED};
use super::keeper::Spare;
use super::map::WriteHalf;
use super::segment::{Header, file_name};
use super::{Claim, JournalError, LaneHead, LaneShared, Shared, held};
use crate::chain::Hash;
use crate::event::{EventId, MAX_SEQ, Seq};
use crate::record::{Entry, Epoch};

/// The one writer of a lane. Belongs to one thread at a time.
pub struct Lane {
    shared: Arc<Shared>,
    lane: Arc<LaneShared>,
    writer: WriteHalf,
    next: Seq,
    chain: Hash,
    /// Where more is asked for than the page cache.
    syncer: Option<Syncer>,
}

impl Lane {
    pub(super) fn take(shared: &Arc<Shared>, number: u16) -> Result<Self, JournalError> {
        let lane = shared.lane(number)?;
        let head = held(&lane.idle)
            .take()
            .ok_or(JournalError::LaneTaken(number))?;
        let next = Seq(head.seq.0.saturating_add(1));
        let writer = match fresh(shared, &lane, next, &head.chain, Claim::Completing) {
            Ok(writer) => writer,
            Err(error) => {
                *held(&lane.idle) = Some(head);
                return Err(error);
            }
        };
        let mut taken = Self {
            shared: Arc::clone(shared),
            lane,
            writer,
            next,
            chain: head.chain,
            syncer: None,
        };
        taken.syncer = match shared.settings.durability {
            Durability::Process => None,
            durability => Some(
                Syncer::start(&taken.lane, head.seq, durability)
                    .map_err(JournalError::io(&taken.lane.dir))?,
            ),
        };
        let at_us = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_micros();
        let node = shared.settings.node;
        taken.append(&Entry::Epoch(Epoch {
            node,
            at_us: u64::try_from(at_us).unwrap_or(0),
        }))?;
        Ok(taken)
    }

    /// How far the lane is on the disk, where its durability asks for more than the page cache.
    #[must_use]
    pub fn disk(&self) -> Option<Arc<Disk>> {
        self.syncer.as_ref().map(|syncer| Arc::clone(&syncer.disk))
    }

    /// The lane's number.
    #[must_use]
    pub fn number(&self) -> u16 {
        self.lane.number
    }

    /// The sequence number that the next entry gets.
    #[must_use]
    pub fn next_seq(&self) -> Seq {
        self.next
    }

    /// The event id that the next entry gets if it is an intent whose `wall_us` is `wall_ms` milliseconds
    /// (rounded down). It holds as long as nothing else is appended in between.
    #[must_use]
    pub fn next_event_id(&self, wall_ms: u64) -> EventId {
        EventId::new(
            wall_ms,
            self.shared.settings.node,
            self.lane.number,
            self.next,
        )
    }

    /// Appends an entry. It survives a kill of the process once this returns.
    ///
    /// No system call, lock or allocation, save when a segment is full and the next one takes its place.
    ///
    /// # Errors
    /// [`JournalError::Full`] where the store lags too far behind, [`JournalError::TooLarge`] where the entry
    /// exceeds a segment, [`JournalError::Io`] where no segment can be made. The entry is then not recorded, and
    /// the lane can be used as before.
    #[inline]
    pub fn append(&mut self, entry: &Entry<'_>) -> Result<Seq, JournalError> {
        match self.try_append(entry) {
            Ok(seq) => Ok(seq),
            Err(needed) => self.append_rolling(entry, needed),
        }
    }

    #[inline]
    fn try_append(&mut self, entry: &Entry<'_>) -> Result<Seq, usize> {
        let seq = self.next;
        let encoded = frame::encode(self.writer.room(), seq, &self.chain, entry)?;
        if !self.writer.publish(encoded.word, encoded.length) {
            return Err(encoded.length);
        }
        self.chain = encoded.chain;
        self.next = Seq(seq.0 + 1);
        if let Some(syncer) = &self.syncer {
            syncer.disk.appended(seq);
        }
        Ok(seq)
    }

    #[cold]
    fn append_rolling(&mut self, entry: &Entry<'_>, needed: usize) -> Result<Seq, JournalError> {
        // What a fresh segment offers, less what aligning may take.
        let room = self.shared.settings.segment_bytes.saturating_sub(256);
        if needed as u64 > room {
            return Err(JournalError::TooLarge { needed });
        }
        if self.next.0 >= MAX_SEQ {
            return Err(JournalError::Exhausted(self.lane.number));
        }
        let claim = if entry.completes() {
            Claim::Completing
        } else {
            Claim::Ordinary
        };
        let writer = fresh(&self.shared, &self.lane, self.next, &self.chain, claim)?;
        self.writer.publish(CLOSED, 0);
        self.writer = writer;
        self.try_append(entry)
            .map_err(|needed| JournalError::TooLarge { needed })
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.writer.publish(CLOSED, 0);
        let seq = Seq(self.next.0.saturating_sub(1));
        *held(&self.lane.idle) = Some(LaneHead {
            lane: self.lane.number,
            seq,
            chain: self.chain,
        });
    }
}

/// Makes a segment that begins with `next` the lane's newest.
fn fresh(
    shared: &Shared,
    lane: &LaneShared,
    next: Seq,
    chain: &Hash,
    claim: Claim,
) -> Result<WriteHalf, JournalError> {
    let spare = held(&lane.spare).take();
    let spare = match spare {
        Some(spare) => spare,
        None => Spare::make(shared, lane, claim)?,
    };
    let header = Header {
        node: shared.settings.node,
        lane: lane.number,
        first_seq: next,
        previous: *chain,
    };
    let path = lane.dir.join(file_name(next));
    let (writer, segment) = match spare.activate(path, header) {
        Ok(activated) => activated,
        Err(error) => {
            shared.release(shared.settings.segment_bytes);
            return Err(error);
        }
    };
    let mut segments = lane.lock_segments();
    // A segment without entries that begins with the same number has just been replaced on the disk.
    if let Some(empty) = segments.pop_back_if(|last| last.header.first_seq == next) {
        shared.release(empty.size);
    }
    segments.push_back(segment);
    Ok(writer)
}
