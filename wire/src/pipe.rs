//! One direction of a session: one buffer, inspected and forwarded in place.
//!
//! ```text
//!   0        start           passed            end            buffer.len()
//!   |  free   |  may be sent   |  not yet judged |   space()    |
//! ```

use std::fmt;

/// A buffer between one socket that is read and another that is written.
#[derive(Default)]
pub struct Pipe {
    buffer: Vec<u8>,
    start: usize,
    passed: usize,
    end: usize,
    /// How long the message at `passed` is when it has to be seen whole; 0 when nobody waits.
    need: usize,
    /// How much room the next read is offered.
    ask: usize,
}

impl fmt::Debug for Pipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipe")
            .field("unsent", &self.unsent())
            .field("unjudged", &self.end.saturating_sub(self.passed))
            .finish_non_exhaustive()
    }
}

impl Pipe {
    /// The room offered to a read at first.
    pub const SMALL: usize = 8 * 1024;
    /// The room offered while reads fill it; also the bytes that may wait for a slow peer.
    pub const LARGE: usize = 64 * 1024;

    /// Offers room to read into; empty while the pipe is full.
    pub fn space(&mut self) -> &mut [u8] {
        self.split().1
    }

    /// Shows the bytes that may be written to the peer, and room to read into, for those who do
    /// both at once.
    pub fn split(&mut self) -> (&[u8], &mut [u8]) {
        let room = self.room();
        if room > 0 {
            self.make_space(self.ask.clamp(Self::SMALL, Self::LARGE).min(room));
        }
        let unsent = self.start..self.passed;
        match self.buffer.split_at_mut_checked(self.end) {
            Some((there, free)) => {
                let room = room.min(free.len());
                (
                    there.get(unsent).unwrap_or_default(),
                    free.get_mut(..room).unwrap_or_default(),
                )
            }
            None => (&[], &mut []),
        }
    }

    /// Tells whether the reader has to wait, for the peer to drain or for a verdict.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.room() == 0
    }

    /// Shows the bytes that may be written to the peer.
    #[must_use]
    pub fn ready(&self) -> &[u8] {
        self.buffer.get(self.start..self.passed).unwrap_or_default()
    }

    /// Takes note that the peer has taken the first `n` ready bytes.
    pub fn sent(&mut self, n: usize) {
        self.start = self.start.saturating_add(n).min(self.passed);
        if self.start == self.end {
            self.start = 0;
            self.passed = 0;
            self.end = 0;
            if self.buffer.len() > Self::LARGE {
                self.buffer = Vec::new();
            }
        }
    }

    /// Gives the memory back if the pipe is empty.
    pub fn release_idle(&mut self) {
        if self.start == self.end {
            *self = Self::default();
        }
    }

    /// Tells how many bytes of memory the pipe holds.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.buffer.capacity()
    }

    /// Takes note that a read has put `n` bytes into `space()`.
    pub(crate) fn filled(&mut self, n: usize) {
        let offered = self.buffer.len().saturating_sub(self.end);
        self.end = self.end.saturating_add(n).min(self.buffer.len());
        self.ask = if n >= offered {
            self.ask.clamp(Self::SMALL, Self::LARGE).saturating_mul(2)
        } else if n.saturating_mul(4) < self.ask {
            self.ask / 2
        } else {
            self.ask
        };
    }

    /// Shows the bytes that are not yet judged.
    pub(crate) fn unjudged(&self) -> &[u8] {
        self.buffer.get(self.passed..self.end).unwrap_or_default()
    }

    /// Tells whether nothing is in the pipe.
    pub(crate) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Tells how many bytes wait for the peer.
    pub(crate) fn unsent(&self) -> usize {
        self.passed.saturating_sub(self.start)
    }

    /// Lets the next `n` bytes go to the peer.
    pub(crate) fn pass(&mut self, n: usize) {
        self.passed = self.passed.saturating_add(n).min(self.end);
        self.need = 0;
    }

    /// Says that the message at the front has to be seen whole and is `n` bytes long.
    pub(crate) fn need(&mut self, n: usize) {
        self.need = n;
    }

    /// Removes the next `n` unjudged bytes.
    pub(crate) fn swallow(&mut self, n: usize) {
        self.replace(n, &[]);
    }

    /// Puts bytes of our own before the unjudged ones.
    pub(crate) fn inject(&mut self, bytes: &[u8]) {
        self.replace(0, bytes);
    }

    /// Replaces the next `n` unjudged bytes by `bytes`, which may be sent.
    pub(crate) fn replace(&mut self, n: usize, bytes: &[u8]) {
        let n = n.min(self.end.saturating_sub(self.passed));
        self.need = 0;
        if bytes.is_empty() && self.start == self.passed {
            self.start = self.start.saturating_add(n);
            self.passed = self.start;
            self.sent(0);
            return;
        }
        let tail = self.passed.saturating_add(n);
        let stop = self.passed.saturating_add(bytes.len());
        let end = stop.saturating_add(self.end.saturating_sub(tail));
        if end > self.buffer.len() {
            self.buffer.resize(end, 0);
        }
        self.buffer.copy_within(tail..self.end, stop);
        if let Some(gap) = self.buffer.get_mut(self.passed..stop) {
            gap.copy_from_slice(bytes);
        }
        self.passed = stop;
        self.end = end;
        self.sent(0);
    }

    /// Writes over unjudged bytes, from the `at`th on, as far as they are there.
    pub(crate) fn overwrite(&mut self, at: usize, bytes: &[u8]) {
        let start = self.passed.saturating_add(at);
        let there = self.buffer.get_mut(start..self.end).unwrap_or_default();
        for (to, from) in there.iter_mut().zip(bytes) {
            *to = *from;
        }
    }

    /// Forgets the bytes that wait for the peer.
    pub(crate) fn drop_unsent(&mut self) {
        self.sent(self.unsent());
    }

    /// Forgets the unjudged bytes.
    pub(crate) fn drop_unjudged(&mut self) {
        self.end = self.passed;
        self.need = 0;
        self.sent(0);
    }

    /// Takes all unjudged bytes out.
    pub(crate) fn take_unjudged(&mut self) -> Vec<u8> {
        let bytes = self.unjudged().to_vec();
        self.swallow(bytes.len());
        bytes
    }

    fn room(&self) -> usize {
        let unsent = self.unsent();
        if unsent >= Self::LARGE {
            return 0;
        }
        let limit = Self::LARGE.max(unsent.saturating_add(self.need));
        limit.saturating_sub(self.end.saturating_sub(self.start))
    }

    fn make_space(&mut self, ask: usize) {
        if self.buffer.len().saturating_sub(self.end) >= ask {
            return;
        }
        self.compact();
        let length = self.end.saturating_add(ask);
        if length > self.buffer.len() {
            if length <= Self::LARGE {
                self.buffer
                    .reserve_exact(length.saturating_sub(self.buffer.len()));
            }
            self.buffer.resize(length, 0);
        }
    }

    fn compact(&mut self) {
        if self.start == 0 {
            return;
        }
        self.buffer.copy_within(self.start..self.end, 0);
        self.passed = self.passed.saturating_sub(self.start);
        self.end = self.end.saturating_sub(self.start);
        self.start = 0;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fill(pipe: &mut Pipe, bytes: &[u8]) {
        pipe.space()[..bytes.len()].copy_from_slice(bytes);
        pipe.filled(bytes.len());
    }

    #[test]
    fn bytes_pass_in_place() {
        let mut pipe = Pipe::default();
        fill(&mut pipe, b"abcdef");
        assert_eq!((pipe.ready(), pipe.unjudged()), (&b""[..], &b"abcdef"[..]));
        pipe.pass(2);
        pipe.replace(2, b"WXYZ");
        pipe.swallow(1);
        pipe.inject(b"!");
        assert_eq!(
            (pipe.ready(), pipe.unjudged()),
            (&b"abWXYZ!"[..], &b"f"[..])
        );
        let (ready, space) = pipe.split();
        assert_eq!(ready, b"abWXYZ!");
        space[0] = b'g';
        pipe.filled(1);
        assert_eq!(pipe.unjudged(), b"fg");
        pipe.sent(6);
        pipe.pass(1);
        pipe.swallow(1);
        assert_eq!(pipe.ready(), b"!f");
        pipe.sent(2);
        assert!(pipe.is_empty());
    }

    #[test]
    fn room_grows_with_reads_and_goes_with_idleness() {
        let mut pipe = Pipe::default();
        assert_eq!(pipe.space().len(), Pipe::SMALL);
        for _ in 0..10 {
            let n = pipe.space().len();
            pipe.filled(n);
            pipe.pass(n);
            pipe.sent(n);
        }
        assert_eq!(pipe.space().len(), Pipe::LARGE);
        pipe.release_idle();
        assert_eq!(pipe.capacity(), 0);
        fill(&mut pipe, b"x");
        pipe.release_idle();
        assert_eq!(pipe.unjudged(), b"x");
    }

    #[test]
    fn a_slow_peer_stops_the_reader() {
        let mut pipe = Pipe::default();
        while !pipe.is_full() {
            let n = pipe.space().len();
            pipe.filled(n);
            pipe.pass(n);
        }
        assert_eq!(pipe.unsent(), Pipe::LARGE);
        assert!(pipe.space().is_empty());
        pipe.sent(1);
        assert_eq!(pipe.space().len(), 1);
    }

    #[test]
    fn a_needed_message_makes_room_beyond_the_limit() {
        let mut pipe = Pipe::default();
        let mut there = 0;
        while there < 300_000 {
            pipe.need(300_000);
            let n = pipe.space().len().min(300_000 - there);
            assert!(n > 0);
            pipe.filled(n);
            there += n;
        }
        assert!(pipe.space().is_empty());
        pipe.pass(300_000);
        pipe.sent(300_000);
        assert!(pipe.capacity() <= Pipe::LARGE);
    }

    #[derive(Debug, Clone)]
    enum Step {
        Fill(Vec<u8>),
        Pass(usize),
        Sent(usize),
        Replace(usize, Vec<u8>),
        Release,
    }

    fn step() -> impl Strategy<Value = Step> {
        let bytes = || prop::collection::vec(any::<u8>(), 0..5_000);
        prop_oneof![
            bytes().prop_map(Step::Fill),
            (0_usize..9_000).prop_map(Step::Pass),
            (0_usize..9_000).prop_map(Step::Sent),
            (0_usize..3_000, bytes()).prop_map(|(n, bytes)| Step::Replace(n, bytes)),
            Just(Step::Release),
        ]
    }

    proptest! {
        #[test]
        fn it_is_two_queues(steps in prop::collection::vec(step(), 0..60)) {
            let mut pipe = Pipe::default();
            let (mut ready, mut unjudged) = (Vec::<u8>::new(), Vec::<u8>::new());
            for step in steps {
                match step {
                    Step::Fill(bytes) => {
                        let n = pipe.space().len().min(bytes.len());
                        fill(&mut pipe, &bytes[..n]);
                        unjudged.extend_from_slice(&bytes[..n]);
                    }
                    Step::Pass(n) => {
                        pipe.pass(n);
                        ready.extend(unjudged.drain(..n.min(unjudged.len())));
                    }
                    Step::Sent(n) => {
                        pipe.sent(n);
                        ready.drain(..n.min(ready.len()));
                    }
                    Step::Replace(n, bytes) => {
                        pipe.replace(n, &bytes);
                        unjudged.drain(..n.min(unjudged.len()));
                        ready.extend(bytes);
                    }
                    Step::Release => pipe.release_idle(),
                }
                prop_assert_eq!((pipe.ready(), pipe.unjudged()), (&ready[..], &unjudged[..]));
            }
        }
    }
}
