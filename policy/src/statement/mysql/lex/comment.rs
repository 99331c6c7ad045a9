//! Comments: plain ones, those that the server runs, and hints.

use super::{Lexer, find};
use crate::statement::mysql::state::Flavour;
use crate::statement::mysql::token::LexError;

impl Lexer<'_> {
    pub(super) fn line_comment(&mut self) -> Result<(), LexError> {
        let rest = self.rest();
        let length = rest.iter().position(|&byte| byte == b'\n' || byte == 0);
        self.pos += length.unwrap_or(rest.len());
        match length.map(|_| self.peek(0)) {
            Some(0) => Err(LexError::Nul),
            _ => Ok(()),
        }
    }

    /// A comment between slashes and stars; the content of one that the server runs is left to be read.
    pub(super) fn block_comment(&mut self) -> Result<(), LexError> {
        let start = self.pos;
        let mariadb = self.flavour == Flavour::Mariadb;
        let own = mariadb && self.peek(2) == b'M' && self.peek(3) == b'!';
        if self.peek(2) != b'!' && !own {
            self.pos += 2;
            if self.peek(0) == b'+' {
                self.hints()?;
            }
            self.comment_end(0)?;
            let range = start..self.pos;
            if !self.started {
                self.comments.leading = Some(range.clone());
            }
            self.comments.last = Some(range);
            return Ok(());
        }
        self.pos += if own { 4 } else { 3 };
        let digits = match (0..6)
            .take_while(|&at| self.peek(at).is_ascii_digit())
            .count()
        {
            // MySQL takes the sixth digit for the version's only where white space follows it.
            6 if !mariadb && !matches!(self.peek(6), b' ' | b'\t'..=b'\r') => 5,
            digits => digits,
        };
        if digits >= 5 {
            let version = (0..digits).fold(0, |number, at| {
                number * 10 + u32::from(self.peek(at).wrapping_sub(b'0'))
            });
            // MariaDB leaves MySQL's own syntax from 5.7 on to MySQL.
            let foreign = mariadb && !own && matches!(version, 50_700..=99_999);
            if version > self.version || foreign {
                return self.comment_end(1);
            }
            self.pos += digits;
        }
        self.executed = true;
        Ok(())
    }

    /// Passes the end of a comment, in which as many levels of comments may stand.
    pub(super) fn comment_end(&mut self, levels: u32) -> Result<(), LexError> {
        let mut open = 0;
        loop {
            let rest = self.rest();
            let Some(length) = rest
                .iter()
                .position(|&byte| matches!(byte, b'*' | b'/' | 0))
            else {
                self.pos = self.text.len();
                return Err(LexError::Unterminated);
            };
            self.pos += length;
            match (self.peek(0), self.peek(1)) {
                (0, _) => return Err(LexError::Nul),
                (b'*', b'/') => {
                    self.pos += 2;
                    if open == 0 {
                        return Ok(());
                    }
                    open -= 1;
                }
                (b'/', b'*') if open < levels => {
                    self.pos += 2;
                    open += 1;
                }
                _ => self.pos += 1,
            }
        }
    }

    /// Hints have strings of their own: the comment must end where both readings see its end.
    pub(super) fn hints(&mut self) -> Result<(), LexError> {
        let rest = self.rest();
        let end = find(rest, b"*/").ok_or(LexError::Unterminated)?;
        let mut quote = None;
        for &byte in rest.get(..end).unwrap_or_default() {
            match (quote, byte) {
                (None, b'\'' | b'"' | b'`') => quote = Some(byte),
                (Some(open), _) if open == byte => quote = None,
                (Some(_), b'\\') => return Err(LexError::Hint),
                _ => {}
            }
        }
        match quote {
            None => Ok(()),
            Some(_) => Err(LexError::Hint),
        }
    }
}
