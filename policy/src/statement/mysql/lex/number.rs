//! Numbers, and the literals written in digits.

use super::{Lexer, is_word_byte};
use crate::statement::mysql::token::{Kind, LexError};

impl Lexer<'_> {
    /// A number, or an identifier that starts with digits.
    pub(super) fn number(&mut self) -> Result<Kind, LexError> {
        let start = self.pos;
        if self.peek(0) == b'0' && matches!(self.peek(1), b'x' | b'b') {
            let hex = self.peek(1) == b'x';
            let digits = self.text.get(self.pos + 2..).unwrap_or_default();
            let fits = |byte: &&u8| match hex {
                true => byte.is_ascii_hexdigit(),
                false => matches!(byte, b'0' | b'1'),
            };
            let length = digits.iter().take_while(fits).count();
            let next = digits.get(length).copied().unwrap_or(0);
            if length > 0 && !is_word_byte(next) {
                self.pos += 2 + length;
                return Ok(if hex { Kind::Hex } else { Kind::Bits });
            }
            self.skip_word()?;
            return Ok(Kind::Word);
        }
        self.skip_digits();
        let next = self.peek(0);
        if !is_word_byte(next) {
            if next != b'.' {
                return Ok(Kind::Integer);
            }
            return self.fraction();
        }
        if matches!(next, b'e' | b'E') {
            let signed = matches!(self.peek(1), b'+' | b'-');
            if self.peek(1 + usize::from(signed)).is_ascii_digit() {
                self.pos += 2 + usize::from(signed);
                self.skip_digits();
                return Ok(Kind::Float);
            }
        }
        self.pos = start;
        self.skip_word()?;
        Ok(Kind::Word)
    }

    /// The point of a number and what follows.
    pub(super) fn fraction(&mut self) -> Result<Kind, LexError> {
        self.pos += 1;
        self.skip_digits();
        if matches!(self.peek(0), b'e' | b'E') {
            let signed = matches!(self.peek(1), b'+' | b'-');
            if !self.peek(1 + usize::from(signed)).is_ascii_digit() {
                return Err(LexError::Literal);
            }
            self.pos += 2 + usize::from(signed);
            self.skip_digits();
            return Ok(Kind::Float);
        }
        Ok(Kind::Decimal)
    }

    pub(super) fn skip_digits(&mut self) {
        while self.peek(0).is_ascii_digit() {
            self.pos += 1;
        }
    }

    pub(super) fn digits_in_quotes(
        &mut self,
        fits: impl Fn(&u8) -> bool,
        kind: Kind,
    ) -> Result<Kind, LexError> {
        let inner = self.text.get(self.pos + 2..).unwrap_or_default();
        let length = inner.iter().take_while(|byte| fits(byte)).count();
        if inner.get(length) != Some(&b'\'') || (kind == Kind::Hex && length % 2 == 1) {
            return Err(LexError::Literal);
        }
        self.pos += length + 3;
        Ok(kind)
    }
}
