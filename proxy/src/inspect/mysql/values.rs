//! Binary values as the record keeps them: as text, where they have one.

use std::fmt::Write;

use smallvec::SmallVec;
use sqlward_audit_store::{
    record::{Parameter, ParameterFormat},
    redact,
};
use sqlward_wire::mysql::{self, Type, Value};

use crate::{audit::Secrecy, inspect::given, redaction::Screen};
use sqlward_policy::rule::value::{self as policy, Parameters};

/// How many values of a bulk execution are recorded; its rows may be millions.
pub(super) const MAX_BULK_VALUES: usize = 4096;

/// A value, rendered and cut.
#[derive(Debug)]
pub(super) struct Rendered<'a> {
    kind: u32,
    format: ParameterFormat,
    value: Option<Shown<'a>>,
    full_len: u64,
    redacted: bool,
}

#[derive(Debug)]
enum Shown<'a> {
    Sent(&'a [u8]),
    Written(Vec<u8>),
}

impl Shown<'_> {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Sent(bytes) => bytes,
            Self::Written(bytes) => bytes,
        }
    }
}

impl Rendered<'_> {
    /// How many bytes of it are recorded.
    pub(super) fn recorded(&self) -> usize {
        self.value.as_ref().map_or(0, |value| value.bytes().len())
    }

    /// The parameter as the record keeps it. A secret leaves nothing but its length.
    pub(super) fn parameter(&self, secrecy: Secrecy) -> Parameter<'_> {
        let value = self.value.as_ref().map(Shown::bytes);
        Parameter {
            format: self.format,
            type_oid: self.kind,
            value: match secrecy {
                Secrecy::Open => value,
                Secrecy::Secret => value.map(|_| redact::MASK),
            },
            full_len: self.full_len,
            redacted: self.redacted || secrecy == Secrecy::Secret,
        }
    }
}

/// Parameters as rules see them.
pub(super) struct Sent<'a>(pub(super) &'a [Rendered<'a>]);

impl Parameters for Sent<'_> {
    fn each(&self, show: &mut dyn FnMut(policy::Value<'_>)) {
        for rendered in self.0 {
            let value = rendered.value.as_ref().map(Shown::bytes);
            show(match value {
                None => policy::Value::Null,
                Some(bytes) if (bytes.len() as u64) < rendered.full_len => policy::Value::Opaque,
                Some(bytes) => given::text(bytes),
            });
        }
        // Rows of a bulk execution beyond what is looked at may hold anything.
        if self.0.len() >= MAX_BULK_VALUES {
            show(policy::Value::Opaque);
        }
    }
}

/// What is rendered, as the record keeps it.
pub(super) fn parameters<'a>(
    rendered: &'a [Rendered<'_>],
    secrecy: Secrecy,
) -> SmallVec<[Parameter<'a>; 8]> {
    let parameters = rendered.iter().map(|value| value.parameter(secrecy));
    parameters.collect()
}

/// Render `values`, `limit` bytes in all; what is cut is marked with its length, what is redacted has its stand-in.
pub(super) fn render<'a>(
    values: impl Iterator<Item = (Type, Value<'a>)>,
    limit: usize,
    screen: &Screen<'_>,
) -> Vec<Rendered<'a>> {
    let mut left = limit;
    values
        .enumerate()
        .map(|(place, (kind, value))| {
            let hidden = match screen.is_clear() {
                true => None,
                false => hidden(place, kind, value, screen),
            };
            let rendered = hidden.unwrap_or_else(|| one(kind, value, left));
            left = left.saturating_sub(rendered.recorded());
            rendered
        })
        .collect()
}

/// A value that is not recorded as it is: all of it decides, not only what would be recorded.
fn hidden<'a>(
    place: usize,
    kind: Type,
    value: Value<'a>,
    screen: &Screen<'_>,
) -> Option<Rendered<'a>> {
    let whole = one(kind, value, usize::MAX);
    let stand_in = screen.stand_in(place, whole.value.as_ref()?.bytes())?;
    Some(Rendered {
        format: ParameterFormat::Text,
        value: Some(Shown::Written(stand_in)),
        redacted: true,
        ..whole
    })
}

/// Take out of rendered query attributes what must not be recorded.
pub(super) fn screen_attributes(rendered: &mut [Rendered<'_>], screen: &Screen<'_>) {
    if screen.is_clear() {
        return;
    }
    for one in rendered {
        let value = one.value.as_ref().map(Shown::bytes);
        if let Some(stand_in) = value.and_then(|value| screen.beside(value)) {
            one.value = Some(Shown::Written(stand_in));
            one.redacted = true;
        }
    }
}

/// Render query attributes as `name=value`, a NULL as `name`; `limit` bytes in all, what is cut is marked with its length.
pub(super) fn render_attributes<'a>(
    attributes: impl Iterator<Item = mysql::Parameter<'a>>,
    limit: usize,
) -> Vec<Rendered<'a>> {
    let mut left = limit;
    attributes
        .map(|attribute| {
            let mut rendered = one(attribute.kind, attribute.value, left);
            let mut shown = attribute.name.to_vec();
            let mut full_len = shown.len() as u64;
            if let Some(value) = &rendered.value {
                shown.push(b'=');
                shown.extend_from_slice(value.bytes());
                full_len = full_len.saturating_add(rendered.full_len).saturating_add(1);
            }
            shown.truncate(left);
            rendered.value = Some(Shown::Written(shown));
            rendered.full_len = full_len;
            left = left.saturating_sub(rendered.recorded());
            rendered
        })
        .collect()
}

fn one<'a>(kind: Type, value: Value<'a>, limit: usize) -> Rendered<'a> {
    let written = match value {
        Value::Null => None,
        Value::Int(number) => Some(number.to_string()),
        Value::UInt(number) => Some(number.to_string()),
        Value::Float(number) => Some(number.to_string()),
        Value::Double(number) => Some(number.to_string()),
        Value::Date {
            year,
            month,
            day,
            time,
            micros,
        } => {
            let mut text = format!("{year:04}-{month:02}-{day:02}");
            if time != (0, 0, 0) || micros != 0 || kind.number != DATE {
                text.push(' ');
                clock(&mut text, time.0.into(), time, micros);
            }
            Some(text)
        }
        Value::Time {
            negative,
            days,
            time,
            micros,
        } => {
            let mut text = String::from(if negative { "-" } else { "" });
            let hours = u64::from(days) * 24 + u64::from(time.0);
            clock(&mut text, hours, time, micros);
            Some(text)
        }
        Value::Default => Some("DEFAULT".to_owned()),
        Value::Ignore => Some("IGNORE".to_owned()),
        Value::Bytes(bytes) => {
            let cut = bytes.get(..limit).unwrap_or(bytes);
            return Rendered {
                kind: number(kind),
                format: match kind.number {
                    // BIT, the blobs and GEOMETRY
                    16 | 249..=252 | 255 => ParameterFormat::Binary,
                    _ => ParameterFormat::Text,
                },
                value: Some(Shown::Sent(cut)),
                full_len: bytes.len() as u64,
                redacted: false,
            };
        }
        // It went by before; only its length is known.
        Value::Long(length) => {
            return Rendered {
                kind: number(kind),
                format: ParameterFormat::Binary,
                value: Some(Shown::Sent(&[])),
                full_len: length,
                redacted: false,
            };
        }
    };
    Rendered {
        kind: number(kind),
        format: ParameterFormat::Text,
        full_len: written.as_ref().map_or(0, |text| text.len() as u64),
        redacted: false,
        value: written.map(|mut text| {
            // All of it is ASCII.
            text.truncate(limit);
            Shown::Written(text.into_bytes())
        }),
    }
}

/// The type as the protocol writes it: the field type, and 0x8000 for unsigned.
fn number(kind: Type) -> u32 {
    u32::from(kind.number) | if kind.unsigned { 0x8000 } else { 0 }
}

fn clock(text: &mut String, hours: u64, (_, minutes, seconds): (u8, u8, u8), micros: u32) {
    // Writing into a string does not fail.
    let _written = write!(text, "{hours:02}:{minutes:02}:{seconds:02}");
    if micros != 0 {
        let _written = write!(text, ".{micros:06}");
    }
}

/// The field type of a DATE.
const DATE: u8 = 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(number: u8, value: Value<'_>) -> Option<String> {
        let kind = Type {
            number,
            unsigned: false,
        };
        let rendered = render(std::iter::once((kind, value)), 100, &Screen::CLEAR);
        let parameter = rendered.first()?.parameter(Secrecy::Open);
        parameter
            .value
            .map(|value| String::from_utf8_lossy(value).into_owned())
    }

    #[test]
    fn values_are_shown_as_text() {
        let date = |number, time, micros| {
            let (year, month, day) = (2026, 2, 3);
            let value = Value::Date {
                year,
                month,
                day,
                time,
                micros,
            };
            shown(number, value).unwrap()
        };
        assert_eq!(shown(3, Value::Int(-7)).unwrap(), "-7");
        assert_eq!(
            shown(8, Value::UInt(u64::MAX)).unwrap(),
            u64::MAX.to_string()
        );
        assert_eq!(shown(5, Value::Double(1.5)).unwrap(), "1.5");
        assert_eq!(shown(253, Value::Bytes(b"O'Hara")).unwrap(), "O'Hara");
        assert_eq!(date(10, (0, 0, 0), 0), "2026-02-03");
        assert_eq!(date(12, (0, 0, 0), 0), "2026-02-03 00:00:00");
        assert_eq!(date(12, (4, 5, 6), 7), "2026-02-03 04:05:06.000007");
        let time = Value::Time {
            negative: true,
            days: 2,
            time: (1, 2, 3),
            micros: 0,
        };
        assert_eq!(shown(11, time).unwrap(), "-49:02:03");
        assert_eq!(shown(6, Value::Null), None);
    }

    #[test]
    fn attributes_are_shown_with_their_names() {
        let kind = Type {
            number: 253,
            unsigned: false,
        };
        let attributes = [
            (&b"end_user"[..], Value::Bytes(b"alice")),
            (b"n", Value::Int(7)),
            (b"none", Value::Null),
            (b"long", Value::Bytes(b"abcdef")),
        ];
        let attributes = attributes.map(|(name, value)| mysql::Parameter { name, kind, value });
        let rendered = render_attributes(attributes.into_iter(), 27);
        let told: Vec<_> = rendered
            .iter()
            .map(|value| value.parameter(Secrecy::Open))
            .map(|parameter| (parameter.value.unwrap(), parameter.full_len))
            .collect();
        let expected: [(&[u8], u64); 4] = [
            (b"end_user=alice", 14),
            (b"n=7", 3),
            (b"none", 4),
            (b"long=a", 11),
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn what_is_cut_or_secret_keeps_its_length() {
        let kind = Type {
            number: 253,
            unsigned: true,
        };
        let values = [
            Value::Bytes(b"abcdef"),
            Value::Bytes(b"xyz"),
            Value::Long(9),
        ];
        let rendered = render(
            values.map(|value| (kind, value)).into_iter(),
            4,
            &Screen::CLEAR,
        );
        let told: Vec<_> = rendered
            .iter()
            .map(|value| value.parameter(Secrecy::Open))
            .map(|parameter| (parameter.value.unwrap(), parameter.full_len))
            .collect();
        assert_eq!(told, [(&b"abcd"[..], 6), (b"", 3), (b"", 9)]);
        let secret = rendered[0].parameter(Secrecy::Secret);
        assert!(secret.redacted && secret.value == Some(redact::MASK) && secret.full_len == 6);
        assert_eq!(secret.type_oid, 0x80fd);
    }
}
