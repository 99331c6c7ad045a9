//! Reads `[time.NAME]` and `[calendar.NAME]`.

use jiff::tz::TimeZone;
use toml::de::DeValue;

use super::RawWindow;
use super::reader::{At, Fields, Reader, Value};
use crate::rule::calendar::{Calendar, Dates};
use crate::rule::window::{DAYS, Days, END_OF_DAY, Window, minute_of_day};

/// `days`, as it was written.
#[derive(Clone, Copy, Default)]
struct RawDays {
    week: u8,
    workday: bool,
    holiday: bool,
}

/// Whether a list of days may have those of a calendar.
#[derive(Clone, Copy)]
enum Special {
    Known,
    Unknown,
}

impl Reader<'_> {
    pub(super) fn window(&mut self, name: &str, table: Fields<'_, '_>) -> Option<RawWindow> {
        let before = self.problem_count();
        let days = match table.get("days") {
            Some(value) => self.days("days", value, Special::Known),
            None => RawDays {
                week: 0b0111_1111,
                ..RawDays::default()
            },
        };
        let dates = table.get("dates").map(|value| self.dates("dates", value));
        let calendar = table
            .get("calendar")
            .and_then(|value| self.text("calendar", value));
        self.calendar_is_used(table, days, calendar.as_ref());
        let from = table
            .get("from")
            .map_or(Some(0), |value| self.time_of_day("from", value));
        let to = table
            .get("to")
            .map_or(Some(END_OF_DAY), |value| self.time_of_day("to", value));
        let zone = match table.get("zone") {
            Some(value) => self.zone(value),
            None => Some(TimeZone::UTC),
        };
        let window = Window {
            name: name.into(),
            days: Days {
                week: days.week,
                ..Days::default()
            },
            dates: dates.unwrap_or_default(),
            from: from?,
            to: to?,
            zone: zone?,
        };
        if window.from == window.to {
            let value = table.get("to").or_else(|| table.get("from"))?;
            let problem = self
                .problem(value.span(), "the window closes when it opens")
                .expected("`to` other than `from`; for the whole day, neither");
            self.report(problem);
        }
        (self.problem_count() == before).then_some(RawWindow {
            window,
            calendar,
            workday: days.workday,
            holiday: days.holiday,
        })
    }

    /// Working days and holidays need a calendar, and it them.
    fn calendar_is_used(
        &mut self,
        table: Fields<'_, '_>,
        days: RawDays,
        calendar: Option<&At<String>>,
    ) {
        let asks = days.workday || days.holiday;
        let (field, message, expected) = match (asks, calendar) {
            (true, None) => (
                "days",
                "workday and holiday need a calendar",
                "`calendar`, the name of a `[calendar.NAME]`",
            ),
            (false, Some(_)) => (
                "calendar",
                "no day asks for the calendar",
                "`days` with workday or holiday",
            ),
            (true, Some(_)) | (false, None) => return,
        };
        let span = table.get(field).map(|value| value.span());
        let problem = self
            .problem(span.unwrap_or_default(), message)
            .expected(expected);
        self.report(problem);
    }

    pub(super) fn calendar(&mut self, name: &str, table: Fields<'_, '_>) -> Option<Calendar> {
        let before = self.problem_count();
        let mut dates = |field: &str| {
            let value = table.get(field);
            value
                .map(|value| self.dates(field, value))
                .unwrap_or_default()
        };
        let (holidays, workdays) = (dates("holidays"), dates("workdays"));
        let weekend = match table.get("weekend") {
            Some(value) => self.days("weekend", value, Special::Unknown).week,
            None => 0b0110_0000,
        };
        (self.problem_count() == before).then(|| Calendar {
            name: name.into(),
            weekend,
            holidays,
            workdays,
        })
    }

    /// Days and ranges of them, as TOML dates or texts.
    fn dates(&mut self, field: &str, value: &Value<'_>) -> Vec<Dates> {
        let items: Vec<&Value<'_>> = match value.get_ref() {
            DeValue::Array(items) => items.iter().collect(),
            _ => vec![value],
        };
        if items.is_empty() {
            let problem = self
                .problem(value.span(), format!("`{field}` is an empty list"))
                .expected("at least one value, or no such field");
            self.report(problem);
        }
        let mut all = Vec::new();
        for item in items {
            let text = match item.get_ref() {
                DeValue::Datetime(date) => date.to_string(),
                DeValue::String(text) => text.to_string(),
                _ => {
                    self.wrong_type(field, item, "a date such as 2026-10-01");
                    continue;
                }
            };
            match Dates::parse(&text) {
                Some(dates) => all.push(dates),
                None => {
                    let problem = self
                        .problem(item.span(), format!("`{text}` is no date"))
                        .expected("`2026-10-01`, or `2026-10-01..2026-10-07`");
                    self.report(problem);
                }
            }
        }
        all
    }

    fn days(&mut self, field: &str, value: &Value<'_>, special: Special) -> RawDays {
        let mut days = RawDays::default();
        for text in self.texts(field, value) {
            match (text.value.as_str(), special) {
                ("workday", Special::Known) => days.workday = true,
                ("holiday", Special::Known) => days.holiday = true,
                (word, _) => match week(word) {
                    Some(found) => days.week |= found,
                    None => {
                        let special = match special {
                            Special::Known => &["workday", "holiday"][..],
                            Special::Unknown => &[],
                        };
                        let words = DAYS.into_iter().chain(["mon-fri"]);
                        self.unknown_word(field, &text, words.chain(special.iter().copied()));
                    }
                },
            }
        }
        days
    }

    fn time_of_day(&mut self, field: &str, value: &Value<'_>) -> Option<u16> {
        let text = match value.get_ref() {
            DeValue::Datetime(time) => time.to_string().chars().take(5).collect(),
            _ => self.text(field, value)?.value,
        };
        let minute = minute_of_day(&text);
        if minute.is_none() {
            let problem = self
                .problem(value.span(), format!("`{text}` is no time of day"))
                .expected("`HH:MM` from 00:00 to 24:00");
            self.report(problem);
        }
        minute
    }

    fn zone(&mut self, value: &Value<'_>) -> Option<TimeZone> {
        let text = self.text("zone", value)?;
        match TimeZone::get(&text.value) {
            Ok(zone) => Some(zone),
            Err(_) => {
                let problem = self
                    .problem(text.span.bytes, format!("`{}` is no time zone", text.value))
                    .expected("a name such as `Europe/Berlin`, `Asia/Shanghai` or `UTC`");
                self.report(problem);
                None
            }
        }
    }
}

/// A day of the week, or a range of them.
fn week(text: &str) -> Option<u8> {
    let day = |word: &str| DAYS.iter().position(|day| *day == word);
    let (first, last) = match text.split_once('-') {
        Some((first, last)) => day(first).zip(day(last))?,
        None => day(text).map(|only| (only, only))?,
    };
    let (mut days, mut at) = (0u8, first);
    loop {
        days |= 1u8.wrapping_shl(u32::try_from(at).unwrap_or(0));
        if at == last {
            return Some(days);
        }
        at = (at + 1) % DAYS.len();
    }
}
