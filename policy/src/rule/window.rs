//! Time windows: days of the week and hours of the day in a time zone.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::calendar::{Calendar, Dates, any_holds, bit};

/// A named window of `[time.NAME]`.
#[derive(Clone, Debug)]
pub struct Window {
    /// Its name.
    pub name: Box<str>,
    /// The days on which it opens.
    pub days: Days,
    /// It opens on these days only; on any without them.
    pub dates: Vec<Dates>,
    /// The minute of the day at which it opens.
    pub from: u16,
    /// The minute of the day at which it has closed; before `from`, it closes on the next day.
    pub to: u16,
    /// The zone that days and hours are read in.
    pub zone: TimeZone,
}

/// Days on which a window opens: any of these.
#[derive(Clone, Debug, Default)]
pub struct Days {
    /// Days of the week; bit 0 is Monday.
    pub week: u8,
    /// The working days of this calendar.
    pub workdays: Option<Arc<Calendar>>,
    /// The holidays of this calendar.
    pub holidays: Option<Arc<Calendar>>,
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
        let today = local.date();
        if self.from < self.to {
            return self.opens_on(today) && (self.from..self.to).contains(&minute);
        }
        (minute >= self.from && self.opens_on(today))
            || (minute < self.to
                && today
                    .yesterday()
                    .is_ok_and(|yesterday| self.opens_on(yesterday)))
    }

    fn opens_on(&self, day: Date) -> bool {
        let days = &self.days;
        let among = days.week & bit(day.weekday()) != 0
            || days.workdays.as_ref().is_some_and(|c| c.is_workday(day))
            || days.holidays.as_ref().is_some_and(|c| c.is_holiday(day));
        among && (self.dates.is_empty() || any_holds(&self.dates, day))
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
            days: Days {
                week: days,
                ..Days::default()
            },
            dates: Vec::new(),
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

    #[test]
    fn calendars_say_what_is_worked_on() {
        // China's National Day holidays of 2026, with the Saturday that is worked on for them.
        let calendar = Arc::new(Calendar {
            name: "cn".into(),
            weekend: 0b110_0000,
            holidays: vec![Dates::parse("2026-10-01..2026-10-07").unwrap()],
            workdays: vec![Dates::parse("2026-10-10").unwrap()],
        });
        let with = |days| Window {
            days,
            ..window(0, "09:00", "18:00", "Asia/Shanghai")
        };
        let work = with(Days {
            workdays: Some(Arc::clone(&calendar)),
            ..Days::default()
        });
        let holiday = with(Days {
            holidays: Some(calendar),
            ..Days::default()
        });
        for (day, works, rests) in [
            ("2026-09-30T02:00:00Z", true, false),
            ("2026-10-01T02:00:00Z", false, true),
            ("2026-10-07T02:00:00Z", false, true),
            ("2026-10-08T02:00:00Z", true, false),
            ("2026-10-10T02:00:00Z", true, false),
            ("2026-10-11T02:00:00Z", false, false),
        ] {
            assert_eq!(work.covers(at(day)), works, "{day}");
            assert_eq!(holiday.covers(at(day)), rests, "{day}");
        }
        let mut some = window(0b111_1111, "00:00", "24:00", "UTC");
        some.dates = vec![Dates::parse("2026-12-24..2026-12-31").unwrap()];
        assert!(some.covers(at("2026-12-31T23:59:59Z")));
        assert!(!some.covers(at("2027-01-01T00:00:00Z")));
        assert_eq!(Dates::parse("2026-12-31..2026-12-24"), None);
    }
}
