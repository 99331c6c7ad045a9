//! The only byte reader: bounded, never indexes, never panics.

use std::ffi::CStr;

/// Why a read could not be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CursorError {
    /// At least this many more bytes are needed.
    #[error("{0} more bytes are needed")]
    Need(usize),
    /// The bytes that are there can't be what was asked for.
    #[error("the bytes are not well-formed")]
    Invalid,
}

/// Reads a borrowed slice from front to back.
#[derive(Debug, Clone, Copy)]
pub struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    /// Starts at the first byte of `bytes`.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Shows what has not been read yet.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Tells how many bytes have not been read yet.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Takes `n` bytes.
    ///
    /// # Errors
    /// `Need` when fewer are there.
    pub fn take(&mut self, n: usize) -> Result<&'a [u8], CursorError> {
        match self.rest.split_at_checked(n) {
            Some((head, tail)) => {
                self.rest = tail;
                Ok(head)
            }
            None => Err(CursorError::Need(n.saturating_sub(self.rest.len()))),
        }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], CursorError> {
        match self.rest.split_first_chunk::<N>() {
            Some((head, tail)) => {
                self.rest = tail;
                Ok(*head)
            }
            None => Err(CursorError::Need(N.saturating_sub(self.rest.len()))),
        }
    }

    /// Takes one byte.
    ///
    /// # Errors
    /// `Need` when none is there.
    pub fn u8(&mut self) -> Result<u8, CursorError> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// Takes a 16-bit integer in network order.
    ///
    /// # Errors
    /// `Need` when fewer than two bytes are there.
    pub fn u16(&mut self) -> Result<u16, CursorError> {
        self.array().map(u16::from_be_bytes)
    }

    /// Takes an unsigned 32-bit integer in network order.
    ///
    /// # Errors
    /// `Need` when fewer than four bytes are there.
    pub fn u32(&mut self) -> Result<u32, CursorError> {
        self.array().map(u32::from_be_bytes)
    }

    /// Takes a signed 32-bit integer in network order.
    ///
    /// # Errors
    /// `Need` when fewer than four bytes are there.
    pub fn i32(&mut self) -> Result<i32, CursorError> {
        self.array().map(i32::from_be_bytes)
    }

    /// Takes a 16-bit integer, its lowest byte first.
    ///
    /// # Errors
    /// `Need` when fewer than two bytes are there.
    pub fn u16_le(&mut self) -> Result<u16, CursorError> {
        self.array().map(u16::from_le_bytes)
    }

    /// Takes an unsigned 32-bit integer, its lowest byte first.
    ///
    /// # Errors
    /// `Need` when fewer than four bytes are there.
    pub fn u32_le(&mut self) -> Result<u32, CursorError> {
        self.array().map(u32::from_le_bytes)
    }

    /// Takes an unsigned 64-bit integer, its lowest byte first.
    ///
    /// # Errors
    /// `Need` when fewer than eight bytes are there.
    pub fn u64_le(&mut self) -> Result<u64, CursorError> {
        self.array().map(u64::from_le_bytes)
    }

    /// Takes MySQL's length-encoded integer: one byte, or 2, 3 or 8 behind 0xfc, 0xfd or 0xfe.
    ///
    /// # Errors
    /// `Need` when bytes are missing, `Invalid` for 0xfb (NULL) and 0xff.
    pub fn lenenc(&mut self) -> Result<u64, CursorError> {
        match self.u8()? {
            0xfb | 0xff => Err(CursorError::Invalid),
            0xfc => self.u16_le().map(u64::from),
            0xfd => {
                let [a, b, c] = self.array()?;
                Ok(u64::from(u32::from_le_bytes([a, b, c, 0])))
            }
            0xfe => self.u64_le(),
            small => Ok(small.into()),
        }
    }

    /// Takes bytes with a length-encoded integer in front.
    ///
    /// # Errors
    /// `Need` when bytes are missing, `Invalid` for a length that can't be one.
    pub fn lenenc_bytes(&mut self) -> Result<&'a [u8], CursorError> {
        let length = self.lenenc()?;
        let length = usize::try_from(length).map_err(|_| CursorError::Invalid)?;
        self.take(length)
    }

    /// Takes the bytes before the next NUL, and the NUL.
    ///
    /// # Errors
    /// `Need` when no NUL is there.
    pub fn cstr(&mut self) -> Result<&'a [u8], CursorError> {
        let Ok(text) = CStr::from_bytes_until_nul(self.rest) else {
            return Err(CursorError::Need(1));
        };
        let text = text.to_bytes();
        self.rest = self
            .rest
            .get(text.len().saturating_add(1)..)
            .unwrap_or_default();
        Ok(text)
    }

    /// Takes a value with a 32-bit length in front; −1 is null.
    ///
    /// # Errors
    /// `Need` when bytes are missing, `Invalid` for another negative length.
    pub fn value(&mut self) -> Result<Option<&'a [u8]>, CursorError> {
        match self.i32()? {
            -1 => Ok(None),
            length => {
                let length = usize::try_from(length).map_err(|_| CursorError::Invalid)?;
                self.take(length).map(Some)
            }
        }
    }

    /// Makes sure that nothing is left.
    ///
    /// # Errors
    /// `Invalid` when bytes are left.
    pub fn finish(self) -> Result<(), CursorError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(CursorError::Invalid)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_in_order_and_says_what_is_missing() {
        let mut cursor = Cursor::new(b"\x01\x00\x02abc\0\xff\xff\xff\xff\0\0\0\x02xy");
        assert_eq!(cursor.u8(), Ok(1));
        assert_eq!(cursor.u16(), Ok(2));
        assert_eq!(cursor.cstr(), Ok(&b"abc"[..]));
        assert_eq!(cursor.value(), Ok(None));
        assert_eq!(cursor.value(), Ok(Some(&b"xy"[..])));
        assert_eq!(cursor.u32(), Err(CursorError::Need(4)));
        assert_eq!(cursor.cstr(), Err(CursorError::Need(1)));
        assert_eq!(cursor.finish(), Ok(()));
    }

    #[test]
    fn reads_length_encoded_integers() {
        let mut cursor =
            Cursor::new(b"\xfa\xfc\x01\x02\xfd\x01\x02\x03\xfe\0\0\0\0\0\0\0\x80\x02ab");
        assert_eq!(cursor.lenenc(), Ok(0xfa));
        assert_eq!(cursor.lenenc(), Ok(0x201));
        assert_eq!(cursor.lenenc(), Ok(0x0003_0201));
        assert_eq!(cursor.lenenc(), Ok(1 << 63));
        assert_eq!(cursor.lenenc_bytes(), Ok(&b"ab"[..]));
        let huge = b"\xfe\xff\xff\xff\xff\xff\xff\xff\xffx";
        assert!(Cursor::new(huge).lenenc_bytes().is_err());
        assert_eq!(Cursor::new(b"\xfb").lenenc(), Err(CursorError::Invalid));
        assert_eq!(Cursor::new(b"\xff").lenenc(), Err(CursorError::Invalid));
    }

    #[test]
    fn refuses_negative_lengths_and_leftovers() {
        assert_eq!(
            Cursor::new(b"\xff\xff\xff\xfe").value(),
            Err(CursorError::Invalid)
        );
        assert_eq!(
            Cursor::new(b"\0\0\0\x05abc").value(),
            Err(CursorError::Need(2))
        );
        assert_eq!(Cursor::new(b"x").finish(), Err(CursorError::Invalid));
    }
}
