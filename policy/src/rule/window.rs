//! Time windows: days of the week and hours of the day in a time zone.

use jiff::Timestamp;
use jiff::civil::Weekday;
use jiff::tz::TimeZone;

/// A named window of `[time.NAME]`.
#[derive(Clone, Debug)]
pub struct Window {
    /// Its name.
    pub name: Box<str>,
    /// The days on which it opens; bit 0 is Monday.
    pub days: u8,
    /// The minute of the day at which it opens.
    pub from: u16,
    /// The minute of the day at which it has closed; before `from`, it closes on the next day.
    pub to: u16,
    /// The zone that days and hours are read in.
    pub zone: TimeZone,
}

/// The spellings of the days, Monday first.
pub const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// One past the last minute of a day.
pub const END_OF_DAY: u16 = 24 * 60;

impl Window {
    /// Whether `now` lies in the window.
    #[must_use]
    pub fn covers(&self, now: Timestamp) -> bool {
        let local = self.zone.to_datetime(now);
        let minute =
            u16::from(local.hour().unsigned_abs()) * 60 + u16::from(local.minute().unsigned_abs());
        let today = local.weekday();
        if self.from < self.to {
            return self.opens_on(today) && (self.from..self.to).contains(&minute);
        }
        (minute >= self.from && self.opens_on(today))
            || (minute < self.to && self.opens_on(today.previous()))
    }

    fn opens_on(&self, day: Weekday) -> bool {
        let bit = u32::from(day.to_monday_zero_offset().unsigned_abs());
        self.days & 1u8.wrapping_shl(bit) != 0
    }
}

/// Reads `HH:MM` as minutes since midnight; `24:00` is the end of the day.
#[must_use]
pub fn minute_of_day(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let number = |digits: &str| -> Option<u16> {
        (digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_digit()))
            .then(|| digits.parse().ok())
            .flatten()
    };
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    let minute = hours * 60 + minutes;
    (minutes < 60 && minute <= END_OF_DAY).then_some(minute)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(days: u8, from: &str, to: &str, zone: &str) -> Window {
        Window {
            name: "w".into(),
            days,
            from: minute_of_day(from).unwrap(),
            to: minute_of_day(to).unwrap(),
            zone: TimeZone::get(zone).unwrap(),
        }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn hours_are_read_in_the_zone() {
        // 2026-11-23 is a Monday; Berlin is one hour ahead of UTC then.
        let office = window(0b001_1111, "09:00", "17:30", "Europe/Berlin");
        assert!(office.covers(at("2026-11-23T08:00:00Z")));
        assert!(!office.covers(at("2026-11-23T07:59:59Z")));
        assert!(office.covers(at("2026-11-23T16:29:59Z")));
        assert!(!office.covers(at("2026-11-23T16:30:00Z")));
        assert!(!office.covers(at("2026-11-22T10:00:00Z")));
    }

    #[test]
    fn a_window_over_midnight_belongs_to_the_day_it_opened() {
        let night = window(0b000_0001, "22:00", "06:00", "UTC");
        assert!(night.covers(at("2026-11-23T22:00:00Z")));
        assert!(night.covers(at("2026-11-24T05:59:00Z")));
        assert!(!night.covers(at("2026-11-24T06:00:00Z")));
        assert!(!night.covers(at("2026-11-23T05:00:00Z")));
        assert!(!night.covers(at("2026-11-24T22:00:00Z")));
    }

    #[test]
    fn summer_time_moves_the_hours() {
        let office = window(0b111_1111, "09:00", "10:00", "Europe/Berlin");
        assert!(office.covers(at("2026-07-01T07:30:00Z")));
        assert!(!office.covers(at("2026-12-01T07:30:00Z")));
    }

    #[test]
    fn minutes_are_bounded() {
        assert_eq!(minute_of_day("24:00"), Some(1440));
        for bad in ["24:01", "9:00", "09:60", "0900", "+1:00", "", "09:00:00"] {
            assert_eq!(minute_of_day(bad), None, "{bad}");
        }
    }
}
