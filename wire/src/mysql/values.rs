//! Parameters in the binary form: of prepared statements, bulk executions and query attributes.
//!
//! Source: MySQL source documentation, "COM_STMT_EXECUTE", "Binary Protocol Resultset", "COM_QUERY";
//! MariaDB "COM_STMT_BULK_EXECUTE".

use crate::cursor::{Cursor, CursorError};

/// The type of a parameter: a field type, and whether it is unsigned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Type {
    /// The number of the field type, such as 253 for `VAR_STRING`.
    pub number: u8,
    /// Whether integers are unsigned.
    pub unsigned: bool,
}

/// The value of a parameter, borrowed from the message.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// NULL.
    Null,
    /// An integer of a signed type.
    Int(i64),
    /// An integer of an unsigned type.
    UInt(u64),
    /// FLOAT.
    Float(f32),
    /// DOUBLE.
    Double(f64),
    /// Text, binary data, decimals, JSON and geometries, as sent.
    Bytes(&'a [u8]),
    /// DATE, DATETIME or TIMESTAMP.
    Date {
        /// The year.
        year: u16,
        /// The month; 0 in a zero date.
        month: u8,
        /// The day; 0 in a zero date.
        day: u8,
        /// Hours, minutes and seconds.
        time: (u8, u8, u8),
        /// Microseconds.
        micros: u32,
    },
    /// TIME.
    Time {
        /// Whether it is before zero.
        negative: bool,
        /// Whole days.
        days: u32,
        /// Hours, minutes and seconds.
        time: (u8, u8, u8),
        /// Microseconds.
        micros: u32,
    },
    /// It was sent by COM_STMT_SEND_LONG_DATA before; so many bytes.
    Long(u64),
    /// The column's default (MariaDB, bulk).
    Default,
    /// The column is left alone (MariaDB, bulk).
    Ignore,
}

/// A parameter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Parameter<'a> {
    /// Its name: of query attributes only; empty otherwise.
    pub name: &'a [u8],
    /// Its type.
    pub kind: Type,
    /// Its value.
    pub value: Value<'a>,
}

/// What of a parameter was sent before the execution: its position and how many bytes.
pub(crate) type LongData = (u16, u64);

/// Walks over the parameters of a COM_STMT_EXECUTE or the attributes of a COM_QUERY. It was walked
/// over once before it is shown: nothing is missing, nothing is left over.
#[derive(Debug, Clone)]
pub struct Parameters<'a> {
    nulls: &'a [u8],
    types: Types<'a>,
    values: Cursor<'a>,
    long: &'a [LongData],
    at: u16,
    count: u16,
}

/// Where the types are.
#[derive(Debug, Clone)]
enum Types<'a> {
    /// In the message, each perhaps with a name.
    Sent { cursor: Cursor<'a>, names: Names },
    /// As an earlier execution had them.
    Remembered(&'a [Type]),
}

/// Whether types have names beside them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Names {
    /// QUERY_ATTRIBUTES is agreed on.
    Sent,
    /// It is not.
    None,
}

impl Default for Parameters<'_> {
    fn default() -> Self {
        Self {
            nulls: &[],
            types: Types::Remembered(&[]),
            values: Cursor::new(&[]),
            long: &[],
            at: 0,
            count: 0,
        }
    }
}

impl<'a> Parameters<'a> {
    /// Reads `count` parameters from the null bitmap on; what `cursor` stands at when it is done is behind them.
    pub(crate) fn read(
        cursor: &mut Cursor<'a>,
        count: u16,
        names: Names,
        (remembered, long): (&'a [Type], &'a [LongData]),
    ) -> Result<Self, CursorError> {
        if count == 0 {
            return Ok(Self::default());
        }
        let nulls = cursor.take(usize::from(count).div_ceil(8))?;
        let types = match cursor.u8()? {
            0 if remembered.len() == usize::from(count) => Types::Remembered(remembered),
            1 => {
                let sent = *cursor;
                for _ in 0..count {
                    kind(cursor)?;
                    if names == Names::Sent {
                        cursor.lenenc_bytes()?;
                    }
                }
                Types::Sent {
                    cursor: sent,
                    names,
                }
            }
            _ => return Err(CursorError::Invalid),
        };
        let all = Self {
            nulls,
            types,
            values: *cursor,
            long,
            at: 0,
            count,
        };
        let mut walk = all.clone();
        while walk.at < count {
            walk.step()?;
        }
        *cursor = walk.values;
        Ok(all)
    }

    /// Tells whether the types are in the message.
    pub(crate) fn sends_types(&self) -> bool {
        matches!(self.types, Types::Sent { .. })
    }

    /// Tells whether the types are these.
    pub(crate) fn has_same_types(&self, types: &[Type]) -> bool {
        self.clone()
            .map(|parameter| parameter.kind)
            .eq(types.iter().copied())
    }

    /// Copies the types into `to`.
    pub(crate) fn copy_types(&self, to: &mut Vec<Type>) {
        to.extend(self.clone().map(|parameter| parameter.kind));
    }

    fn step(&mut self) -> Result<Parameter<'a>, CursorError> {
        let at = self.at;
        self.at = at.saturating_add(1);
        let (kind, name) = match &mut self.types {
            Types::Sent { cursor, names } => {
                let kind = kind(cursor)?;
                let name = match names {
                    Names::Sent => cursor.lenenc_bytes()?,
                    Names::None => &[],
                };
                (kind, name)
            }
            Types::Remembered(types) => {
                let kind = types.get(usize::from(at)).ok_or(CursorError::Invalid)?;
                (*kind, &[][..])
            }
        };
        let null = self.nulls.get(usize::from(at / 8)).copied().unwrap_or(0) >> (at % 8) & 1 == 1;
        let long = self.long.iter().find(|(position, _)| *position == at);
        let value = match (long, null) {
            (Some(&(_, length)), _) => Value::Long(length),
            (None, true) => Value::Null,
            (None, false) => value(&mut self.values, kind)?,
        };
        Ok(Parameter { name, kind, value })
    }
}

impl<'a> Iterator for Parameters<'a> {
    type Item = Parameter<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.count {
            return None;
        }
        self.step().ok()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = usize::from(self.count.saturating_sub(self.at));
        (left, Some(left))
    }
}

impl ExactSizeIterator for Parameters<'_> {}

/// Walks over the rows of a bulk execution, value by value: each row has as many as there are types.
#[derive(Debug, Clone)]
pub struct BulkRows<'a> {
    types: &'a [Type],
    values: Cursor<'a>,
    at: usize,
}

impl<'a> BulkRows<'a> {
    /// Reads all rows, to the end of the message.
    pub(crate) fn read(cursor: Cursor<'a>, types: &'a [Type]) -> Result<Self, CursorError> {
        let all = Self {
            types,
            values: cursor,
            at: 0,
        };
        let mut walk = all.clone();
        if types.is_empty() {
            return Err(CursorError::Invalid);
        }
        while walk.at != 0 || walk.values.remaining() > 0 {
            walk.step()?;
        }
        Ok(all)
    }

    /// The types of the values of a row.
    #[must_use]
    pub fn types(&self) -> &'a [Type] {
        self.types
    }

    fn step(&mut self) -> Result<Value<'a>, CursorError> {
        let kind = *self.types.get(self.at).ok_or(CursorError::Invalid)?;
        let value = match self.values.u8()? {
            0 => value(&mut self.values, kind)?,
            1 => Value::Null,
            2 => Value::Default,
            3 => Value::Ignore,
            _ => return Err(CursorError::Invalid),
        };
        self.at = self.at.saturating_add(1);
        if self.at == self.types.len() {
            self.at = 0;
        }
        Ok(value)
    }
}

impl<'a> Iterator for BulkRows<'a> {
    type Item = Value<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at == 0 && self.values.remaining() == 0 {
            return None;
        }
        self.step().ok()
    }
}

/// Reads a type: its number, then a byte whose highest bit says unsigned.
pub(crate) fn kind(cursor: &mut Cursor<'_>) -> Result<Type, CursorError> {
    let number = cursor.u8()?;
    let unsigned = match cursor.u8()? {
        0 => false,
        0x80 => true,
        _ => return Err(CursorError::Invalid),
    };
    Ok(Type { number, unsigned })
}

fn value<'a>(cursor: &mut Cursor<'a>, kind: Type) -> Result<Value<'a>, CursorError> {
    let bits = |value: u64, width: u32| {
        let shift = 64_u32.saturating_sub(width);
        if kind.unsigned {
            Value::UInt(value)
        } else {
            Value::Int((value << shift).cast_signed() >> shift)
        }
    };
    Ok(match kind.number {
        1 => bits(cursor.u8()?.into(), 8),
        2 | 13 => bits(cursor.u16_le()?.into(), 16),
        3 | 9 => bits(cursor.u32_le()?.into(), 32),
        8 => bits(cursor.u64_le()?, 64),
        4 => Value::Float(f32::from_bits(cursor.u32_le()?)),
        5 => Value::Double(f64::from_bits(cursor.u64_le()?)),
        // NULL has no value, only a bit in the bitmap: what a server would read here isn't told.
        7 | 10 | 12 | 14 | 17 | 18 => date(cursor)?,
        11 | 19 => time(cursor)?,
        // DECIMAL, VARCHAR, BIT; VECTOR, JSON, NEWDECIMAL, ENUM, SET, BLOBs, strings, GEOMETRY
        0 | 15 | 16 | 242 | 245..=255 => Value::Bytes(cursor.lenenc_bytes()?),
        _ => return Err(CursorError::Invalid),
    })
}

fn date<'a>(cursor: &mut Cursor<'_>) -> Result<Value<'a>, CursorError> {
    let length = cursor.u8()?;
    let (mut year, mut month, mut day) = (0, 0, 0);
    if length >= 4 {
        year = cursor.u16_le()?;
        month = cursor.u8()?;
        day = cursor.u8()?;
    }
    let (time, micros) = match length {
        0 | 4 => ((0, 0, 0), 0),
        7 => (clock(cursor)?, 0),
        11 => (clock(cursor)?, cursor.u32_le()?),
        _ => return Err(CursorError::Invalid),
    };
    Ok(Value::Date {
        year,
        month,
        day,
        time,
        micros,
    })
}

fn time<'a>(cursor: &mut Cursor<'_>) -> Result<Value<'a>, CursorError> {
    let length = cursor.u8()?;
    let (negative, days, time) = match length {
        0 => (false, 0, (0, 0, 0)),
        8 | 12 => (cursor.u8()? != 0, cursor.u32_le()?, clock(cursor)?),
        _ => return Err(CursorError::Invalid),
    };
    let micros = if length == 12 { cursor.u32_le()? } else { 0 };
    Ok(Value::Time {
        negative,
        days,
        time,
        micros,
    })
}

fn clock(cursor: &mut Cursor<'_>) -> Result<(u8, u8, u8), CursorError> {
    Ok((cursor.u8()?, cursor.u8()?, cursor.u8()?))
}
