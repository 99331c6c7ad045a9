//! Ranges of numbers and dates: `>= 70`, `< 2026-01-01`, `10..20`, `= 5`.

use std::cmp::Ordering;
use std::fmt;

use jiff::civil::DateTime;
use thiserror::Error;

/// A range of numbers or of dates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    source: Box<str>,
    low: Option<(Bound, Edge)>,
    high: Option<(Bound, Edge)>,
}

/// An end of a range.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Bound {
    Number(Decimal),
    Date(DateTime),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Edge {
    Included,
    Excluded,
}

/// Whether a value fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// It does.
    Yes,
    /// It does not.
    No,
    /// That can't be told.
    Maybe,
}

/// Why a text is no range.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RangeError {
    /// It has another form.
    #[error("a range is a comparison or two values with `..` between")]
    Form,
    /// A value is neither number nor date.
    #[error("`{0}` is neither a number nor a date")]
    Value(String),
    /// Its ends are of two kinds.
    #[error("its ends are a number and a date")]
    Mixed,
    /// Nothing lies in it.
    #[error("nothing lies in it")]
    Empty,
    /// It is no range of whole numbers.
    #[error("`{0}` is no whole number from 0 to {MAX_WHOLE}")]
    Whole(String),
}

/// The greatest whole number of a range of counts.
pub const MAX_WHOLE: u32 = 10_000;

impl Range {
    /// Reads a range.
    ///
    /// # Errors
    /// It is none, or nothing lies in it.
    pub fn parse(source: &str) -> Result<Self, RangeError> {
        let text = source.trim();
        let (low, high) = if let Some((low, high)) = text.split_once("..") {
            let bound = |text| Ok(Some((Bound::parse(text)?, Edge::Included)));
            (bound(low)?, bound(high)?)
        } else if let Some(rest) = text.strip_prefix(">=") {
            (Some((Bound::parse(rest)?, Edge::Included)), None)
        } else if let Some(rest) = text.strip_prefix("<=") {
            (None, Some((Bound::parse(rest)?, Edge::Included)))
        } else if let Some(rest) = text.strip_prefix('>') {
            (Some((Bound::parse(rest)?, Edge::Excluded)), None)
        } else if let Some(rest) = text.strip_prefix('<') {
            (None, Some((Bound::parse(rest)?, Edge::Excluded)))
        } else if let Some(rest) = text.strip_prefix('=') {
            let bound = Bound::parse(rest)?;
            (
                Some((bound.clone(), Edge::Included)),
                Some((bound, Edge::Included)),
            )
        } else {
            return Err(RangeError::Form);
        };
        if let (Some((low, _)), Some((high, _))) = (&low, &high) {
            match low.compare(high) {
                None => return Err(RangeError::Mixed),
                Some(Ordering::Greater) => return Err(RangeError::Empty),
                Some(_) => {}
            }
        }
        Ok(Self {
            source: text.into(),
            low,
            high,
        })
    }

    /// Reads a range of whole numbers from 0 to [`MAX_WHOLE`].
    ///
    /// # Errors
    /// It is none.
    pub fn parse_whole(source: &str) -> Result<Self, RangeError> {
        let range = Self::parse(source)?;
        for (bound, _) in [&range.low, &range.high].into_iter().flatten() {
            let whole = match bound {
                Bound::Number(number) => number.whole(),
                Bound::Date(_) => None,
            };
            if whole.is_none() {
                return Err(RangeError::Whole(source.trim().to_owned()));
            }
        }
        let no_less = range.high.as_ref().is_some_and(|(bound, edge)| {
            *edge == Edge::Excluded && matches!(bound, Bound::Number(n) if n.whole() == Some(0))
        });
        if no_less {
            return Err(RangeError::Empty);
        }
        Ok(range)
    }

    /// The greatest whole number that must be told from the next one.
    #[must_use]
    pub fn greatest(&self) -> u32 {
        let bounds = [&self.low, &self.high].into_iter().flatten();
        let whole = bounds.filter_map(|(bound, _)| match bound {
            Bound::Number(number) => number.whole(),
            Bound::Date(_) => None,
        });
        whole.max().unwrap_or(MAX_WHOLE).saturating_add(1)
    }

    /// Whether a whole number fits.
    #[must_use]
    pub fn holds(&self, number: u32) -> bool {
        self.fit(&number.to_string()) == Fit::Yes
    }

    /// Whether every number from 0 to `most` fits, or none.
    #[must_use]
    pub fn over(&self, most: u32) -> Option<bool> {
        let first = self.holds(0);
        (1..=most)
            .all(|number| self.holds(number) == first)
            .then_some(first)
    }

    /// Whether a value fits: one that is no number does not fit a range of numbers.
    #[must_use]
    pub fn fit(&self, value: &str) -> Fit {
        let value = value.trim();
        let sample = self.low.as_ref().or(self.high.as_ref());
        let read = match sample {
            Some((Bound::Number(_), _)) => Decimal::parse(value).map(Bound::Number),
            Some((Bound::Date(_), _)) => date(value).map(Bound::Date),
            None => None,
        };
        let Some(read) = read else {
            // What looks like one and is written in another way may be one for the server.
            let alike = value.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c));
            return if alike { Fit::Maybe } else { Fit::No };
        };
        let above = self
            .low
            .as_ref()
            .is_none_or(|(bound, edge)| inside(read.compare(bound), Ordering::Greater, *edge));
        let below = self
            .high
            .as_ref()
            .is_none_or(|(bound, edge)| inside(read.compare(bound), Ordering::Less, *edge));
        if above && below { Fit::Yes } else { Fit::No }
    }
}

fn inside(found: Option<Ordering>, wanted: Ordering, edge: Edge) -> bool {
    found == Some(wanted) || (found == Some(Ordering::Equal) && edge == Edge::Included)
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}

impl Bound {
    fn parse(text: &str) -> Result<Self, RangeError> {
        let text = text.trim();
        Decimal::parse(text)
            .map(Self::Number)
            .or_else(|| date(text).map(Self::Date))
            .ok_or_else(|| RangeError::Value(text.to_owned()))
    }

    fn compare(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Number(a), Self::Number(b)) => Some(a.compare(b)),
            (Self::Date(a), Self::Date(b)) => Some(a.cmp(b)),
            (Self::Number(_), Self::Date(_)) | (Self::Date(_), Self::Number(_)) => None,
        }
    }
}

/// A date, or a date and a time of day, without a zone.
fn date(text: &str) -> Option<DateTime> {
    text.parse().ok()
}

/// A decimal number of any size, exactly.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Decimal {
    negative: bool,
    /// Digits before the point, without leading zeros.
    whole: Box<[u8]>,
    /// Digits behind it, without trailing zeros.
    fraction: Box<[u8]>,
}

/// The longest number that is read, with its exponent written out.
const MAX_DIGITS: usize = 400;

impl Decimal {
    fn parse(text: &str) -> Option<Self> {
        let (negative, rest) = match text.as_bytes() {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            rest => (false, rest),
        };
        let mut parts = rest.splitn(2, |byte| matches!(byte, b'e' | b'E'));
        let mantissa = parts.next()?;
        let exponent: i32 = match parts.next() {
            Some(digits) => std::str::from_utf8(digits).ok()?.parse().ok()?,
            None => 0,
        };
        let mut halves = mantissa.splitn(2, |byte| *byte == b'.');
        let whole = halves.next()?;
        let fraction = halves.next().unwrap_or_default();
        let digits = |part: &[u8]| part.iter().all(u8::is_ascii_digit);
        let shift = usize::try_from(exponent.unsigned_abs()).ok()?;
        if whole.len() + fraction.len() == 0
            || !digits(whole)
            || !digits(fraction)
            || whole.len() + fraction.len() + shift > MAX_DIGITS
        {
            return None;
        }
        let mut all = vec![b'0'; if exponent < 0 { shift } else { 0 }];
        all.extend_from_slice(whole);
        let mut point = all.len();
        all.extend_from_slice(fraction);
        if exponent < 0 {
            point -= shift;
        } else {
            point += shift;
            let missing = point.saturating_sub(all.len());
            all.extend(std::iter::repeat_n(b'0', missing));
        }
        let (whole, fraction) = all.split_at_checked(point)?;
        let leading = whole.iter().take_while(|byte| **byte == b'0').count();
        let trailing = fraction
            .iter()
            .rev()
            .take_while(|byte| **byte == b'0')
            .count();
        let whole = whole.get(leading..)?;
        let fraction = fraction.get(..fraction.len() - trailing)?;
        Some(Self {
            negative: negative && !(whole.is_empty() && fraction.is_empty()),
            whole: whole.into(),
            fraction: fraction.into(),
        })
    }

    fn compare(&self, other: &Self) -> Ordering {
        match (self.negative, other.negative) {
            (false, true) => return Ordering::Greater,
            (true, false) => return Ordering::Less,
            (false, false) | (true, true) => {}
        }
        let size = self
            .whole
            .len()
            .cmp(&other.whole.len())
            .then_with(|| self.whole.cmp(&other.whole))
            .then_with(|| self.fraction.cmp(&other.fraction));
        if self.negative { size.reverse() } else { size }
    }

    fn whole(&self) -> Option<u32> {
        if self.negative || !self.fraction.is_empty() {
            return None;
        }
        let text = std::str::from_utf8(&self.whole).ok()?;
        let number = if text.is_empty() {
            Some(0)
        } else {
            text.parse().ok()
        };
        number.filter(|number| *number <= MAX_WHOLE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fit(range: &str, value: &str) -> Fit {
        Range::parse(range).unwrap().fit(value)
    }

    #[test]
    fn numbers_are_compared_exactly() {
        for (range, value, expected) in [
            (">= 70", "70", Fit::Yes),
            ("> 70", "70.0", Fit::No),
            ("> 70", "70.0000000000000000000001", Fit::Yes),
            ("> 9007199254740992", "9007199254740993", Fit::Yes),
            ("10..20", "20", Fit::Yes),
            ("10..20", "2e1", Fit::Yes),
            ("10..20", "200e-1", Fit::Yes),
            ("10..20", "20.1", Fit::No),
            ("< 0", "-0", Fit::No),
            ("< 0", "-0.5", Fit::Yes),
            ("= 5", " +05.00 ", Fit::Yes),
            ("-20..-10", "-15", Fit::Yes),
            ("> 1", "abc", Fit::No),
            ("> 1", "0x10", Fit::Maybe),
            ("> 1", "1e999999999", Fit::Maybe),
        ] {
            assert_eq!(fit(range, value), expected, "{value} in {range}");
        }
    }

    #[test]
    fn dates_are_compared() {
        assert_eq!(fit("< 2026-01-01", "2025-12-31"), Fit::Yes);
        assert_eq!(fit("< 2026-01-01", "2026-01-01 00:00:00"), Fit::No);
        assert_eq!(
            fit("2026-01-01..2026-12-31", "2026-06-01T12:00:00"),
            Fit::Yes
        );
        assert_eq!(fit("< 2026-01-01", "now"), Fit::No);
        assert_eq!(fit("< 2026-01-01", "20251231x"), Fit::Maybe);
    }

    #[test]
    fn what_is_no_range_is_said() {
        for (text, expected) in [
            ("70", RangeError::Form),
            ("> x", RangeError::Value("x".into())),
            ("20..10", RangeError::Empty),
            ("1..2026-01-01", RangeError::Mixed),
        ] {
            assert_eq!(Range::parse(text), Err(expected), "{text}");
        }
        for text in ["> 1.5", "> -1", "> 10001", "< 0", "> 2026-01-01"] {
            assert!(Range::parse_whole(text).is_err(), "{text}");
        }
        assert_eq!(Range::parse_whole("> 100").unwrap().greatest(), 101);
    }
}
