//! The values of `sqlward audit`'s options: words, times, durations, networks.

use std::time::{SystemTime, UNIX_EPOCH};

use ipnet::IpNet;
use jiff::{SignedDuration, Timestamp, civil, tz::TimeZone};
use sqlward_audit_store::{
    query::{Dimension, Measure},
    record::IntentKind,
};
use sqlward_policy::vocabulary::{Action, Class, Severity, Verb};

/// A word of one of the vocabularies, or what they are.
fn word<T: Copy + std::fmt::Display>(
    found: &str,
    all: &[T],
    read: impl Fn(&str) -> Option<T>,
) -> Result<T, String> {
    read(found).ok_or_else(|| {
        let words: Vec<String> = all.iter().map(T::to_string).collect();
        format!("expected one of {}", words.join(", "))
    })
}

/// A verb's word.
pub(crate) fn verb(text: &str) -> Result<Verb, String> {
    word(text, Verb::ALL, Verb::from_word)
}

/// A class's word.
pub(crate) fn class(text: &str) -> Result<Class, String> {
    word(text, Class::ALL, Class::from_word)
}

/// An action's word.
pub(crate) fn action(text: &str) -> Result<Action, String> {
    word(text, Action::ALL, Action::from_word)
}

/// A severity's word.
pub(crate) fn severity(text: &str) -> Result<Severity, String> {
    word(text, Severity::ALL, Severity::from_word)
}

/// A message kind's word.
pub(crate) fn kind(text: &str) -> Result<IntentKind, String> {
    word(text, IntentKind::ALL, IntentKind::from_word)
}

/// A dimension's word.
pub(crate) fn dimension(text: &str) -> Result<Dimension, String> {
    let words = Dimension::ALL
        .iter()
        .map(|(word, _)| *word)
        .collect::<Vec<_>>()
        .join(", ");
    Dimension::from_word(text).ok_or_else(|| format!("expected one of {words}"))
}

/// A measure's word.
pub(crate) fn measure(text: &str) -> Result<Measure, String> {
    let words = Measure::ALL
        .iter()
        .map(|(word, _)| *word)
        .collect::<Vec<_>>()
        .join(", ");
    Measure::from_word(text).ok_or_else(|| format!("expected one of {words}"))
}

/// An address or a network.
pub(crate) fn network(text: &str) -> Result<IpNet, String> {
    text.parse::<IpNet>()
        .or_else(|_| text.parse::<std::net::IpAddr>().map(IpNet::from))
        .map_err(|_| "expected an address or a network such as 10.1.0.0/16".to_owned())
}

/// A fingerprint's 32 hexadecimal digits.
pub(crate) fn fingerprint(text: &str) -> Result<[u8; 16], String> {
    u128::from_str_radix(text, 16)
        .ok()
        .filter(|_| text.len() == 32)
        .map(u128::to_be_bytes)
        .ok_or_else(|| "expected 32 hexadecimal digits".to_owned())
}

/// A time as µs since 1970.
pub(crate) fn time(text: &str) -> Result<u64, String> {
    let us = |at: Timestamp| u64::try_from(at.as_microsecond()).unwrap_or(0);
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(us(at));
    }
    if let Ok(date) = text.parse::<civil::Date>()
        && let Ok(midnight) = date.to_zoned(TimeZone::UTC)
    {
        return Ok(us(midnight.timestamp()));
    }
    let back = text
        .strip_suffix('d')
        .and_then(|days| days.parse::<i64>().ok())
        .map(|days| SignedDuration::from_hours(days.saturating_mul(24)))
        .or_else(|| text.parse::<SignedDuration>().ok());
    match back {
        Some(back) => Ok(now_us().saturating_sub(u64::try_from(back.as_micros()).unwrap_or(0))),
        None => {
            Err("expected 2026-11-23T08:00:00Z, 2026-11-23, or a span such as 90m, 24h, 7d".into())
        }
    }
}

/// A minute, µs.
pub(crate) const MINUTE_US: u64 = 60_000_000;

/// An hour, µs.
pub(crate) const HOUR_US: u64 = 60 * MINUTE_US;

/// Now, µs since 1970.
pub(crate) fn now_us() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| {
            u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
        })
}

/// A duration as µs.
pub(crate) fn duration(text: &str) -> Result<u64, String> {
    text.parse::<SignedDuration>()
        .ok()
        .and_then(|duration| u64::try_from(duration.as_micros()).ok())
        .ok_or_else(|| "expected a duration such as 500us, 20ms or 1.5s".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        assert_eq!(time("1970-01-01T00:00:01Z").unwrap(), 1_000_000);
        assert_eq!(time("1970-01-02").unwrap(), 86_400_000_000);
        let hour = now_us() - time("1h").unwrap();
        assert!((3_590_000_000..3_610_000_000).contains(&hour), "{hour}");
        assert!((now_us() - time("2d").unwrap()).abs_diff(172_800_000_000) < 10_000_000);
        assert!(time("yesterday").is_err());
    }

    #[test]
    fn durations() {
        assert_eq!(duration("20ms").unwrap(), 20_000);
        assert_eq!(duration("1.5s").unwrap(), 1_500_000);
        assert!(duration("fast").is_err());
    }

    #[test]
    fn networks() {
        assert_eq!(network("10.1.2.3").unwrap().to_string(), "10.1.2.3/32");
        assert!(network("10.1.2.3/33").is_err());
    }
}
