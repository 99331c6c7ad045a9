//! Wall times and UTC days.

use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use jiff::civil::Date;

/// Microseconds of a day.
pub(crate) const DAY_US: u64 = 86_400_000_000;

/// A UTC day, counted from 1970-01-01.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Day(pub(crate) u32);

/// 9999-12-31: clocks that claim more are wrong.
const LAST: u32 = 2_932_896;

impl Day {
    /// The day of a wall time.
    pub(crate) fn of(us: u64) -> Self {
        Self(u32::try_from(us / DAY_US).unwrap_or(LAST).min(LAST))
    }

    /// The first microsecond of the day behind it.
    pub(crate) fn end_us(self) -> u64 {
        (u64::from(self.0) + 1) * DAY_US
    }

    /// The day written `2026-11-23`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let date: Date = text.parse().ok()?;
        let days = date.since(Date::constant(1970, 1, 1)).ok()?.get_days();
        u32::try_from(days)
            .ok()
            .filter(|days| *days <= LAST)
            .map(Self)
    }
}

impl std::fmt::Display for Day {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = rfc3339(u64::from(self.0) * DAY_US);
        f.write_str(text.get(..10).unwrap_or(&text))
    }
}

/// A wall time as RFC 3339 in UTC with microseconds.
#[must_use]
pub(crate) fn rfc3339(us: u64) -> String {
    let us = i64::try_from(us).unwrap_or(i64::MAX);
    match Timestamp::from_microsecond(us) {
        Ok(at) => format!("{at:.6}"),
        Err(_) => "9999-12-31T23:59:59.999999Z".to_owned(),
    }
}

/// Now, in µs since 1970.
pub(crate) fn now_us() -> u64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(now.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_times_are_utc() {
        let us = 1_795_413_599_123_456;
        assert_eq!(rfc3339(us), "2026-11-23T05:59:59.123456Z");
        assert_eq!(Day::of(us).to_string(), "2026-11-23");
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00.000000Z");
        assert_eq!(rfc3339(u64::MAX), "9999-12-31T23:59:59.999999Z");
        assert_eq!(Day::of(u64::MAX).to_string(), "9999-12-31");
    }

    #[test]
    fn day_names_round_trip() {
        for day in [0, 1, 11_016, 20_780, LAST] {
            assert_eq!(Day::parse(&Day(day).to_string()), Some(Day(day)));
        }
        for text in ["", "2026-13-01", "1969-12-31", "x"] {
            assert_eq!(Day::parse(text), None, "{text}");
        }
    }
}
