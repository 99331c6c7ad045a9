//! Identifiers: sequence numbers, sessions, and the event id that clients, operators and auditors quote.

use std::fmt;
use std::str::FromStr;

/// The position of an entry in its lane; starts at 1 and never repeats, restarts included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
pub struct Seq(pub u64);

/// A session; unique per node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
pub struct SessionId(pub u64);

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl FromStr for SessionId {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(SessionId)
    }
}

/// The largest sequence number: the store's row key has 48 bits for it.
pub(crate) const MAX_SEQ: u64 = (1 << 48) - 1;

/// The largest lane number: the store's row key is a positive 64-bit integer.
pub(crate) const MAX_LANE: u16 = i16::MAX as u16;

/// The name of one intent: a ULID made of its wall time, node, lane and sequence number.
///
/// Deterministic: the same journal always yields the same ids. Sorts by time.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventId(u128);

/// A text that is not an event id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an event id: expected 26 characters of Crockford's base 32")]
pub struct InvalidEventId;

impl EventId {
    /// Names the intent at `seq` of `lane`, begun at `wall_ms` milliseconds since 1970.
    #[must_use]
    pub const fn new(wall_ms: u64, node: u16, lane: u16, seq: Seq) -> Self {
        let time = (wall_ms as u128 & 0xFFFF_FFFF_FFFF) << 80;
        let place = ((node as u128) << 64) | ((lane as u128) << 48);
        Self(time | place | (seq.0 & MAX_SEQ) as u128)
    }

    /// The intent's wall time in milliseconds since 1970.
    #[must_use]
    pub const fn wall_ms(self) -> u64 {
        (self.0 >> 80) as u64
    }

    /// The node that recorded it.
    #[must_use]
    pub const fn node(self) -> u16 {
        (self.0 >> 64) as u16
    }

    /// The lane that recorded it.
    #[must_use]
    pub const fn lane(self) -> u16 {
        (self.0 >> 48) as u16
    }

    /// Its position in the lane.
    #[must_use]
    pub const fn seq(self) -> Seq {
        Seq(self.0 as u64 & MAX_SEQ)
    }

    /// The key of its row in a day file.
    pub(crate) const fn row_key(self) -> i64 {
        row_key(self.lane(), self.seq())
    }
}

/// The key of a row: lane and sequence number in one integer.
pub(crate) const fn row_key(lane: u16, seq: Seq) -> i64 {
    ((lane as i64) << 48) | (seq.0 & MAX_SEQ) as i64
}

/// The lane and sequence number in a row key.
pub(crate) const fn split_row_key(key: i64) -> (u16, Seq) {
    ((key >> 48) as u16, Seq(key as u64 & MAX_SEQ))
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0u8; 26];
        for (place, letter) in text.iter_mut().rev().enumerate() {
            let value = (self.0 >> (5 * place)) & 31;
            *letter = ALPHABET.get(value as usize).copied().unwrap_or(b'0');
        }
        f.write_str(std::str::from_utf8(&text).unwrap_or(""))
    }
}

impl fmt::Debug for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl serde::Serialize for EventId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl FromStr for EventId {
    type Err = InvalidEventId;

    fn from_str(text: &str) -> Result<Self, InvalidEventId> {
        if text.len() != 26 {
            return Err(InvalidEventId);
        }
        let mut value: u128 = 0;
        for (place, letter) in text.bytes().enumerate() {
            let upper = letter.to_ascii_uppercase();
            let digit = ALPHABET
                .iter()
                .position(|known| *known == upper)
                .ok_or(InvalidEventId)?;
            if place == 0 && digit > 7 {
                return Err(InvalidEventId);
            }
            value = (value << 5) | digit as u128;
        }
        Ok(Self(value))
    }
}

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rejects_what_is_no_id() {
        for text in [
            "",
            "0123",
            "01ARZ3NDEKTSV4RRFFQ69G5FA!",
            "81ARZ3NDEKTSV4RRFFQ69G5FAV",
        ] {
            assert_eq!(text.parse::<EventId>(), Err(InvalidEventId), "{text}");
        }
    }

    proptest! {
        #[test]
        fn round_trips(wall in 0u64..1 << 48, node: u16, lane in 0..MAX_LANE, seq in 0..=MAX_SEQ) {
            let id = EventId::new(wall, node, lane, Seq(seq));
            prop_assert_eq!(id.to_string().parse::<EventId>(), Ok(id));
            prop_assert_eq!((id.wall_ms(), id.node(), id.lane(), id.seq()), (wall, node, lane, Seq(seq)));
            prop_assert_eq!(split_row_key(id.row_key()), (lane, Seq(seq)));
        }

        #[test]
        fn sorts_by_time(a in 0u64..1 << 48, b in 0u64..1 << 48) {
            let (x, y) = (EventId::new(a, 9, 9, Seq(9)), EventId::new(b, 0, 0, Seq(1)));
            prop_assert!(a >= b || x.to_string() < y.to_string());
        }
    }
}
