//! Calendars: which days are worked on.

use jiff::civil::{Date, Weekday};

/// A named calendar of `[calendar.NAME]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calendar {
    /// Its name.
    pub name: Box<str>,
    /// The days of the week that are not worked on; bit 0 is Monday.
    pub weekend: u8,
    /// Days that are not worked on, whatever day of the week they are.
    pub holidays: Vec<Dates>,
    /// Days that are worked on, whatever else is said of them.
    pub workdays: Vec<Dates>,
}

/// From a day to a later one, or the same, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Dates {
    /// The first day.
    pub first: Date,
    /// The last day.
    pub last: Date,
}

impl Dates {
    /// Reads `2026-10-01` or `2026-10-01..2026-10-07`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (first, last) = text.split_once("..").unwrap_or((text, text));
        let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        (first <= last).then_some(Self { first, last })
    }

    /// Whether the day is one of them.
    #[must_use]
    pub fn hold(&self, day: Date) -> bool {
        self.first <= day && day <= self.last
    }
}

/// Whether any of the ranges holds a day.
#[must_use]
pub fn any_holds(ranges: &[Dates], day: Date) -> bool {
    ranges.iter().any(|dates| dates.hold(day))
}

impl Calendar {
    /// Whether the day is a holiday: not worked on, although its day of the week is; or named as one.
    #[must_use]
    pub fn is_holiday(&self, day: Date) -> bool {
        any_holds(&self.holidays, day) && !any_holds(&self.workdays, day)
    }

    /// Whether the day is worked on.
    #[must_use]
    pub fn is_workday(&self, day: Date) -> bool {
        any_holds(&self.workdays, day)
            || (!any_holds(&self.holidays, day) && self.weekend & bit(day.weekday()) == 0)
    }
}

/// The bit of a day of the week.
#[must_use]
pub fn bit(day: Weekday) -> u8 {
    1u8.wrapping_shl(u32::from(day.to_monday_zero_offset().unsigned_abs()))
}
