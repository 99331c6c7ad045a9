//! The envelope of every message: packets of a 3-byte length, a sequence number and a payload. A payload of
//! 2^24−1 bytes or more goes on in further packets, up to one that is shorter.
//!
//! Source: MySQL source documentation, "MySQL Packets".

use crate::cursor::Cursor;

/// The bytes in front of a payload.
pub(crate) const HEADER: usize = 4;

/// The longest payload of one packet; it goes on in the next one.
pub(crate) const FULL: usize = 0xff_ffff;

/// The front of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Packet {
    /// The length of the payload.
    pub(crate) length: usize,
    pub(crate) seq: u8,
}

/// Reads the front of a packet; none when bytes are missing.
pub(crate) fn peek(bytes: &[u8]) -> Option<Packet> {
    let front = Cursor::new(bytes).u32_le().ok()?;
    let [a, b, c, seq] = front.to_le_bytes();
    let length = usize::try_from(u32::from_le_bytes([a, b, c, 0])).ok()?;
    Some(Packet { length, seq })
}

impl Packet {
    /// The length of the packet, its front included.
    pub(crate) fn total(self) -> usize {
        self.length.saturating_add(HEADER)
    }

    /// Tells whether its payload goes on in the next packet.
    pub(crate) fn goes_on(self) -> bool {
        self.length == FULL
    }

    /// Shows the payload of a packet that is there as a whole.
    pub(crate) fn payload(self, bytes: &[u8]) -> &[u8] {
        bytes.get(HEADER..self.total()).unwrap_or_default()
    }
}

/// Puts a payload into packets, from sequence number `seq` on; gives the next number back.
pub(crate) fn frame(payload: &[u8], mut seq: u8) -> (Vec<u8>, u8) {
    let mut bytes = Vec::with_capacity(payload.len().saturating_add(HEADER));
    let mut rest = payload;
    loop {
        let (part, tail) = rest.split_at_checked(FULL).unwrap_or((rest, &[]));
        let length = u32::try_from(part.len()).unwrap_or(0).to_le_bytes();
        bytes.extend_from_slice(length.get(..3).unwrap_or_default());
        bytes.push(seq);
        bytes.extend_from_slice(part);
        seq = seq.wrapping_add(1);
        rest = tail;
        if part.len() < FULL {
            return (bytes, seq);
        }
    }
}

/// A message that may consist of several packets, as far as it was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Message {
    /// Its length on the wire.
    pub(crate) total: usize,
    /// The length of its payload.
    pub(crate) payload: usize,
    /// The number of its packets.
    pub(crate) packets: usize,
}

/// How far a message has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Measured {
    /// It is there.
    Whole(Message),
    /// So many bytes are needed to see more of it.
    Need(usize),
    /// Its payload is longer than the limit; so much of it is announced.
    TooLong(usize),
    /// A packet of it has the wrong number.
    Disorder,
}

/// Measures the message that begins at the front of `bytes` with sequence number 0.
pub(crate) fn measure(bytes: &[u8], limit: usize) -> Measured {
    let mut message = Message {
        total: 0,
        payload: 0,
        packets: 0,
    };
    loop {
        let rest = bytes.get(message.total..).unwrap_or_default();
        let Some(packet) = peek(rest) else {
            return Measured::Need(message.total.saturating_add(HEADER));
        };
        if usize::from(packet.seq) != message.packets & 0xff {
            return Measured::Disorder;
        }
        message.payload = message.payload.saturating_add(packet.length);
        message.total = message.total.saturating_add(packet.total());
        message.packets = message.packets.saturating_add(1);
        if message.payload > limit {
            return Measured::TooLong(message.payload);
        }
        if bytes.len() < message.total {
            return Measured::Need(message.total);
        }
        if !packet.goes_on() {
            return Measured::Whole(message);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_and_measures() {
        for length in [0, 1, FULL - 1, FULL, FULL + 1] {
            let payload = vec![7; length];
            let (bytes, next) = frame(&payload, 0);
            let packets = length / FULL + 1;
            assert_eq!(usize::from(next), packets);
            let whole = Message {
                total: length + packets * HEADER,
                payload: length,
                packets,
            };
            assert_eq!(measure(&bytes, usize::MAX), Measured::Whole(whole));
            if length > 1 {
                assert_eq!(
                    measure(&bytes, 1),
                    Measured::TooLong(length.min(FULL)),
                    "{length}"
                );
            }
            let cut = &bytes[..bytes.len() - 1];
            assert!(matches!(measure(cut, usize::MAX), Measured::Need(_)));
        }
        assert_eq!(measure(&frame(b"x", 1).0, 9), Measured::Disorder);
    }
}
