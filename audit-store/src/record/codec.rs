//! Bounded byte writer and reader under the record's encoding.

use sqlward_policy::vocabulary::{Action, Mode, Severity, Unreadable};

/// Why bytes are not an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// The bytes end inside a field.
    #[error("the entry ends inside `{0}`")]
    Truncated(&'static str),
    /// A field holds what it can't.
    #[error("the entry's `{0}` is invalid")]
    Invalid(&'static str),
    /// Bytes are left after the last field.
    #[error("{0} bytes are left after the entry")]
    Trailing(usize),
}

/// Writes into a fixed buffer; past its end it only counts, so that the caller learns the length needed.
pub(crate) struct Writer<'b> {
    buffer: &'b mut [u8],
    length: usize,
}

impl<'b> Writer<'b> {
    pub(crate) fn new(buffer: &'b mut [u8]) -> Self {
        Self { buffer, length: 0 }
    }

    /// The bytes written, or, where the buffer is too short, how many there would have been.
    pub(crate) fn finish(self) -> Result<usize, usize> {
        if self.length <= self.buffer.len() {
            Ok(self.length)
        } else {
            Err(self.length)
        }
    }

    #[inline]
    pub(crate) fn put(&mut self, bytes: &[u8]) {
        let end = self.length.saturating_add(bytes.len());
        if let Some(place) = self.buffer.get_mut(self.length..end) {
            place.copy_from_slice(bytes);
        }
        self.length = end;
    }

    #[inline]
    pub(crate) fn u8(&mut self, value: u8) {
        self.put(&[value]);
    }

    #[inline]
    pub(crate) fn u64(&mut self, value: u64) {
        self.put(&value.to_le_bytes());
    }

    /// LEB128.
    #[inline]
    pub(crate) fn var(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.u8(value as u8 | 0x80);
            value >>= 7;
        }
        self.u8(value as u8);
    }

    #[inline]
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.var(bytes.len() as u64);
        self.put(bytes);
    }

    #[inline]
    pub(crate) fn option<T>(&mut self, value: Option<T>, put: impl FnOnce(&mut Self, T)) {
        match value {
            None => self.u8(0),
            Some(value) => {
                self.u8(1);
                put(self, value);
            }
        }
    }

    #[inline]
    pub(crate) fn list<T>(&mut self, items: &[T], mut put: impl FnMut(&mut Self, &T)) {
        self.var(items.len() as u64);
        for item in items {
            put(self, item);
        }
    }
}

/// Reads fields from bytes; never past their end, never allocating more than they could fill.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Demands that nothing is left.
    pub(crate) fn finish(self) -> Result<(), CodecError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(CodecError::Trailing(self.rest.len()))
        }
    }

    pub(crate) fn take(
        &mut self,
        length: usize,
        field: &'static str,
    ) -> Result<&'a [u8], CodecError> {
        let (taken, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or(CodecError::Truncated(field))?;
        self.rest = rest;
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(
        &mut self,
        field: &'static str,
    ) -> Result<[u8; N], CodecError> {
        let (taken, rest) = self
            .rest
            .split_first_chunk::<N>()
            .ok_or(CodecError::Truncated(field))?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(crate) fn u8(&mut self, field: &'static str) -> Result<u8, CodecError> {
        self.array::<1>(field).map(|[byte]| byte)
    }

    pub(crate) fn u64(&mut self, field: &'static str) -> Result<u64, CodecError> {
        self.array(field).map(u64::from_le_bytes)
    }

    pub(crate) fn var(&mut self, field: &'static str) -> Result<u64, CodecError> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8(field)?;
            let bits = u64::from(byte & 0x7F);
            // The tenth byte has room for one bit only; and there is one way to write each number.
            if (shift == 63 && bits > 1) || (shift > 0 && byte == 0) {
                return Err(CodecError::Invalid(field));
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(CodecError::Invalid(field))
    }

    pub(crate) fn var32(&mut self, field: &'static str) -> Result<u32, CodecError> {
        u32::try_from(self.var(field)?).map_err(|_| CodecError::Invalid(field))
    }

    pub(crate) fn bytes(&mut self, field: &'static str) -> Result<&'a [u8], CodecError> {
        let length = self.var(field)?;
        self.take(
            usize::try_from(length).map_err(|_| CodecError::Truncated(field))?,
            field,
        )
    }

    pub(crate) fn text(&mut self, field: &'static str) -> Result<&'a str, CodecError> {
        std::str::from_utf8(self.bytes(field)?).map_err(|_| CodecError::Invalid(field))
    }

    pub(crate) fn flag(&mut self, field: &'static str) -> Result<bool, CodecError> {
        match self.u8(field)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(CodecError::Invalid(field)),
        }
    }

    pub(crate) fn option<T>(
        &mut self,
        field: &'static str,
        get: impl FnOnce(&mut Self) -> Result<T, CodecError>,
    ) -> Result<Option<T>, CodecError> {
        if self.flag(field)? {
            get(self).map(Some)
        } else {
            Ok(None)
        }
    }

    /// A list; every item takes at least one byte, so a count beyond the bytes left is a lie.
    pub(crate) fn list<T>(
        &mut self,
        field: &'static str,
        mut get: impl FnMut(&mut Self) -> Result<T, CodecError>,
    ) -> Result<Vec<T>, CodecError> {
        let count = usize::try_from(self.var(field)?).map_err(|_| CodecError::Invalid(field))?;
        if count > self.rest.len() {
            return Err(CodecError::Truncated(field));
        }
        let mut items = Vec::new();
        for _ in 0..count {
            items.push(get(self)?);
        }
        Ok(items)
    }

    /// A word of the policy's vocabulary, by its spelling.
    pub(crate) fn word<T>(
        &mut self,
        field: &'static str,
        from_word: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, CodecError> {
        from_word(self.text(field)?).ok_or(CodecError::Invalid(field))
    }

    /// A word by its code.
    pub(crate) fn coded<T>(
        &mut self,
        field: &'static str,
        from_code: impl FnOnce(u8) -> Option<T>,
    ) -> Result<T, CodecError> {
        from_code(self.u8(field)?).ok_or(CodecError::Invalid(field))
    }
}

/// Stored codes for words of the policy's vocabulary that every intent carries. Codes never change meaning.
macro_rules! codes {
    ($($to:ident $from:ident $kind:ident { $($variant:ident = $code:literal),+ $(,)? })+) => {$(
        pub(crate) const fn $to(word: $kind) -> u8 {
            match word { $($kind::$variant => $code,)+ }
        }
        pub(crate) const fn $from(code: u8) -> Option<$kind> {
            match code { $($code => Some($kind::$variant),)+ _ => None }
        }
    )+};
}

codes! {
    action_code action_of Action { Allow = 1, Alert = 2, Deny = 3, Terminate = 4 }
    mode_code mode_of Mode { Observe = 1, Enforce = 2, Learn = 3 }
    severity_code severity_of Severity { Info = 1, Low = 2, Medium = 3, High = 4, Critical = 5 }
    unreadable_code unreadable_of Unreadable {
        Syntax = 1, TooComplex = 2, Encoding = 3, Unsettled = 4, UnknownPrepared = 5, Disagreement = 6,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_short_buffer_tells_the_length_needed() {
        let mut buffer = [0; 4];
        let mut writer = Writer::new(&mut buffer);
        writer.bytes(b"hello");
        assert_eq!(writer.finish(), Err(6));
    }

    #[test]
    fn numbers_have_one_spelling() {
        assert_eq!(
            Reader::new(&[0x80, 0x00]).var("n"),
            Err(CodecError::Invalid("n"))
        );
        assert_eq!(
            Reader::new(&[0xFF; 10]).var("n"),
            Err(CodecError::Invalid("n"))
        );
    }

    #[test]
    fn a_lying_count_allocates_nothing() {
        let mut bytes = [0u8; 10];
        let mut writer = Writer::new(&mut bytes);
        writer.var(u64::MAX >> 1);
        let list = Reader::new(&bytes).list("items", |reader| reader.u8("item"));
        assert_eq!(list, Err(CodecError::Truncated("items")));
    }

    proptest! {
        #[test]
        fn var_round_trips(value: u64) {
            let mut bytes = [0u8; 10];
            let mut writer = Writer::new(&mut bytes);
            writer.var(value);
            let length = writer.finish().unwrap();
            let mut reader = Reader::new(&bytes[..length]);
            prop_assert_eq!(reader.var("n"), Ok(value));
            prop_assert_eq!(reader.finish(), Ok(()));
        }
    }
}
