//! The scanner: PostgreSQL's own token rules (`src/backend/parser/scan.l`, version 18), linear and without allocation.
//!
//! It reads raw bytes: in every encoding in which bytes below 0x80 are always ASCII, tokens start and end at the same
//! bytes as they do for the server after conversion.

use std::ops::Range;

use super::bytes::{
    ByteClass, CLASS_OF, is_operator_byte, is_space, is_word_byte, is_word_start, line_end,
};
use super::token::{Kind, LexError, Token};
use crate::statement::Limits;

/// A cursor over one text that yields its tokens.
#[derive(Clone, Debug)]
pub(crate) struct Lexer<'t> {
    text: &'t [u8],
    pos: usize,
    conforming: bool,
    max_comment_nesting: u32,
    max_operator: usize,
    /// How many more bytes the server's scanner may read a second time.
    reread_budget: usize,
    /// End of the run of operator characters that `pos` was last seen in.
    run_end: usize,
    comments: Comments,
}

/// The comments that may carry the application's context.
#[derive(Clone, Debug, Default)]
pub(crate) struct Comments {
    /// The first block comment, if it stands before every token.
    pub(crate) leading: Option<Range<usize>>,
    /// The last block comment.
    pub(crate) last: Option<Range<usize>>,
}

impl<'t> Lexer<'t> {
    /// Starts at the beginning of `text`.
    pub(crate) fn new(text: &'t [u8], conforming: bool, limits: &Limits) -> Self {
        Lexer {
            text,
            pos: 0,
            conforming,
            max_comment_nesting: limits.max_comment_nesting,
            max_operator: limits.max_operator_run,
            reread_budget: limits.max_rereads.saturating_add(text.len()),
            run_end: 0,
            comments: Comments::default(),
        }
    }

    /// The offset at which the next token is looked for; after an error, where the faulty token starts.
    pub(crate) fn position(&self) -> usize {
        self.pos
    }

    /// The comments seen so far.
    pub(crate) fn comments(&self) -> &Comments {
        &self.comments
    }

    /// Reads the next token; `None` at the end.
    #[inline]
    pub(crate) fn next_token(&mut self) -> Result<Option<Token>, LexError> {
        // Most tokens stand behind one space or none.
        if self.at(self.pos) == Some(b' ') {
            self.pos += 1;
        }
        if matches!(self.at(self.pos), Some(b'\t'..=b'\r' | b' ' | b'-' | b'/')) {
            self.skip_blank()?;
        }
        let start = self.pos;
        let Some(&first) = self.text.get(start) else {
            return Ok(None);
        };
        let token = match CLASS_OF
            .get(usize::from(first))
            .copied()
            .unwrap_or(ByteClass::Other)
        {
            ByteClass::Letter => self.word(first)?,
            ByteClass::Digit => self.number()?,
            ByteClass::Quote => self.quoted(start, start + 1, !self.conforming, Kind::Text)?,
            ByteClass::DoubleQuote => self.identifier(start, start + 1, Kind::QuotedIdent)?,
            ByteClass::Operator => self.operator()?,
            ByteClass::Punctuation => self.punctuation(first)?,
            ByteClass::Dollar => self.dollar()?,
            ByteClass::Nul => return Err(LexError::Nul),
            ByteClass::Blank | ByteClass::Other => self.token(Kind::Other, start + 1),
        };
        self.pos = token.end;
        Ok(Some(token))
    }

    #[inline]
    fn token(&self, kind: Kind, end: usize) -> Token {
        Token {
            kind,
            start: self.pos,
            end,
            hazard: false,
        }
    }

    #[inline]
    fn at(&self, offset: usize) -> Option<u8> {
        self.text.get(offset).copied()
    }

    /// Skips white space and comments.
    #[inline(never)]
    fn skip_blank(&mut self) -> Result<(), LexError> {
        loop {
            match self.at(self.pos) {
                Some(b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c) => self.pos += 1,
                Some(b'-') if self.at(self.pos + 1) == Some(b'-') => {
                    self.pos = line_end(self.text, self.pos + 2);
                }
                Some(b'/') if self.at(self.pos + 1) == Some(b'*') => {
                    let end = self.comment_end()?;
                    let range = self.pos..end;
                    if self.comments.last.is_none() && self.leads() {
                        self.comments.leading = Some(range.clone());
                    }
                    self.comments.last = Some(range);
                    self.pos = end;
                }
                _ => return Ok(()),
            }
        }
    }

    /// Whether only white space precedes the position.
    fn leads(&self) -> bool {
        self.text
            .get(..self.pos)
            .is_some_and(|before| before.iter().all(|&b| is_space(b)))
    }

    /// Finds the end of the block comment at the position; comments nest.
    fn comment_end(&mut self) -> Result<usize, LexError> {
        let mut depth = 0_u32;
        let mut pos = self.pos;
        loop {
            let rest = self.text.get(pos..).unwrap_or_default();
            let Some(skip) = rest.iter().position(|&b| b == b'*' || b == b'/' || b == 0) else {
                return Err(LexError::Unterminated);
            };
            pos += skip;
            match (self.at(pos), self.at(pos + 1)) {
                (Some(b'/'), Some(b'*')) => {
                    depth += 1;
                    if depth > self.max_comment_nesting {
                        return Err(LexError::CommentNesting);
                    }
                    // The server reads the whole run of operator characters and puts it back.
                    let run = self.operator_run_end(pos) - pos;
                    self.charge(run)?;
                    pos += 2;
                }
                (Some(b'*'), Some(b'/')) => {
                    depth -= 1;
                    pos += 2;
                    if depth == 0 {
                        return Ok(pos);
                    }
                }
                (Some(0), _) => return Err(LexError::Nul),
                _ => pos += 1,
            }
        }
    }

    /// The end of the run of operator characters around `pos`, found once per run.
    fn operator_run_end(&mut self, pos: usize) -> usize {
        if pos >= self.run_end {
            let rest = self.text.get(pos..).unwrap_or_default();
            self.run_end = pos + rest.iter().take_while(|&&b| is_operator_byte(b)).count();
        }
        self.run_end
    }

    fn charge(&mut self, bytes: usize) -> Result<(), LexError> {
        self.reread_budget = self
            .reread_budget
            .checked_sub(bytes)
            .ok_or(LexError::Rereads)?;
        Ok(())
    }

    #[inline]
    /// An identifier, a keyword, or a literal that starts with a letter.
    fn word(&mut self, first: u8) -> Result<Token, LexError> {
        let start = self.pos;
        match (first, self.at(start + 1)) {
            (b'b' | b'B', Some(b'\'')) => return self.quoted(start, start + 2, false, Kind::Bits),
            (b'x' | b'X', Some(b'\'')) => {
                return self.quoted(start, start + 2, false, Kind::HexBits);
            }
            (b'e' | b'E', Some(b'\'')) => return self.quoted(start, start + 2, true, Kind::Text),
            (b'n' | b'N', Some(b'\'')) => return Ok(self.token(Kind::National, start + 1)),
            (b'u' | b'U', Some(b'&')) => match self.at(start + 2) {
                Some(b'"') => return self.identifier(start, start + 3, Kind::UnicodeIdent),
                Some(b'\'') if !self.conforming => return Err(LexError::UnsafeUnicode),
                Some(b'\'') => return self.quoted(start, start + 3, false, Kind::UnicodeText),
                _ => {}
            },
            _ => {}
        }
        let rest = self.text.get(start..).unwrap_or_default();
        let length = rest
            .iter()
            .position(|&b| !is_word_byte(b))
            .unwrap_or(rest.len());
        Ok(self.token(Kind::Word, start + length))
    }

    /// A string in single quotes, with the parts that continue it on later lines.
    fn quoted(
        &self,
        start: usize,
        body: usize,
        escapes: bool,
        kind: Kind,
    ) -> Result<Token, LexError> {
        let mut hazard = kind == Kind::UnicodeText;
        let doubles = !matches!(kind, Kind::Bits | Kind::HexBits);
        let mut pos = body;
        loop {
            let rest = self.text.get(pos..).unwrap_or_default();
            let stop = rest
                .iter()
                .position(|&b| b == b'\'' || b == 0 || (escapes && b == b'\\'))
                .ok_or(LexError::Unterminated)?;
            pos += stop;
            match self.at(pos) {
                Some(b'\\') => {
                    let escaped = self.at(pos + 1).ok_or(LexError::Unterminated)?;
                    if escaped == 0 {
                        return Err(LexError::Nul);
                    }
                    hazard |= matches!(escaped, b'0'..=b'7' | b'x' | b'u' | b'U' | 0x80..);
                    pos += 2;
                }
                Some(b'\'') if doubles && self.at(pos + 1) == Some(b'\'') => pos += 2,
                Some(b'\'') => match self.continuation(pos + 1) {
                    Some(next) => pos = next,
                    None => {
                        return Ok(Token {
                            kind,
                            start,
                            end: pos + 1,
                            hazard,
                        });
                    }
                },
                _ => return Err(LexError::Nul),
            }
        }
    }

    /// Where the next part of a string goes on: after white space with a line break, and a quote.
    fn continuation(&self, after: usize) -> Option<usize> {
        let mut pos = after;
        let mut broken = false;
        loop {
            match self.at(pos)? {
                b'\n' | b'\r' => {
                    broken = true;
                    pos += 1;
                }
                b' ' | b'\t' | 0x0b | 0x0c => pos += 1,
                b'-' if self.at(pos + 1) == Some(b'-') => pos = line_end(self.text, pos + 2),
                b'\'' if broken => return Some(pos + 1),
                _ => return None,
            }
        }
    }

    /// An identifier in double quotes.
    fn identifier(&self, start: usize, body: usize, kind: Kind) -> Result<Token, LexError> {
        let mut pos = body;
        loop {
            let rest = self.text.get(pos..).unwrap_or_default();
            let stop = rest
                .iter()
                .position(|&b| b == b'"' || b == 0)
                .ok_or(LexError::Unterminated)?;
            pos += stop;
            match (self.at(pos), self.at(pos + 1)) {
                (Some(b'"'), Some(b'"')) => pos += 2,
                (Some(b'"'), _) if pos == body => return Err(LexError::EmptyIdentifier),
                (Some(b'"'), _) => {
                    let hazard = kind == Kind::UnicodeIdent;
                    return Ok(Token {
                        kind,
                        start,
                        end: pos + 1,
                        hazard,
                    });
                }
                _ => return Err(LexError::Nul),
            }
        }
    }

    /// An operator: the run of operator characters, cut before a comment and after its last meaningful character.
    fn operator(&mut self) -> Result<Token, LexError> {
        let start = self.pos;
        let run_end = self.operator_run_end(start);
        if run_end == start + 1 {
            return Ok(self.token(Kind::Operator, run_end));
        }
        let run = self.text.get(start..run_end).unwrap_or_default();
        let comment = run
            .windows(2)
            .position(|pair| pair == b"/*" || pair == b"--");
        let mut length = comment.unwrap_or(run.len());
        let body = run.get(..length).unwrap_or_default();
        if length > 1 && matches!(body.last(), Some(b'+' | b'-')) {
            let nonstandard = |b: &u8| b"~!@#^&|`?%".contains(b);
            if !body.iter().any(nonstandard) {
                let tail = body
                    .iter()
                    .rev()
                    .take_while(|&&b| b == b'+' || b == b'-')
                    .count();
                length = (length - tail).max(1);
            }
        }
        self.charge(run.len() - length)?;
        if length > self.max_operator {
            return Err(LexError::Operator);
        }
        let kind = if run.get(..length) == Some(b"=>") {
            Kind::Arrow
        } else {
            Kind::Operator
        };
        Ok(self.token(kind, start + length))
    }

    fn punctuation(&mut self, first: u8) -> Result<Token, LexError> {
        let (start, next) = (self.pos, self.at(self.pos + 1));
        Ok(match (first, next) {
            (b'.', Some(b'0'..=b'9')) => return self.number(),
            (b'.', Some(b'.')) => self.token(Kind::DotDot, start + 2),
            (b'.', _) => self.token(Kind::Dot, start + 1),
            (b':', Some(b':')) => self.token(Kind::Cast, start + 2),
            (b':', Some(b'=')) => self.token(Kind::Assign, start + 2),
            (b':', _) => self.token(Kind::Colon, start + 1),
            (b',', _) => self.token(Kind::Comma, start + 1),
            (b';', _) => self.token(Kind::Semicolon, start + 1),
            (b'(', _) => self.token(Kind::OpenParen, start + 1),
            (b')', _) => self.token(Kind::CloseParen, start + 1),
            (b'[', _) => self.token(Kind::OpenBracket, start + 1),
            (b']', _) => self.token(Kind::CloseBracket, start + 1),
            _ => self.token(Kind::Other, start + 1),
        })
    }

    /// A number; letters right behind it make it malformed.
    fn number(&self) -> Result<Token, LexError> {
        let start = self.pos;
        let radix = match (self.at(start), self.at(start + 1)) {
            (Some(b'0'), Some(b'x' | b'X')) => 16,
            (Some(b'0'), Some(b'o' | b'O')) => 8,
            (Some(b'0'), Some(b'b' | b'B')) => 2,
            _ => 10,
        };
        if radix != 10 {
            let end = self.digits(start + 2, radix);
            if end == start + 2 || self.at(end).is_some_and(is_word_start) {
                return Err(LexError::Number);
            }
            return Ok(self.token(self.integer_kind(start + 2..end, radix), end));
        }
        let whole = if self.at(start) == Some(b'.') {
            start
        } else {
            self.digits_from_first(start)
        };
        let mut end = whole;
        let mut kind = self.integer_kind(start..whole, 10);
        if self.at(whole) == Some(b'.') && self.at(whole + 1) != Some(b'.') {
            kind = Kind::Float;
            end = match self.at(whole + 1) {
                Some(b'0'..=b'9') => self.digits_from_first(whole + 1),
                _ => whole + 1,
            };
        }
        if matches!(self.at(end), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(self.at(end + 1), Some(b'+' | b'-')));
            if !matches!(self.at(end + 1 + sign), Some(b'0'..=b'9')) {
                return Err(LexError::Number);
            }
            kind = Kind::Float;
            end = self.digits_from_first(end + 1 + sign);
        }
        if self.at(end).is_some_and(is_word_start) {
            return Err(LexError::Number);
        }
        Ok(self.token(kind, end))
    }

    /// The end of `digit(_?digit)*` whose first digit stands at `pos`.
    fn digits_from_first(&self, pos: usize) -> usize {
        self.digits(pos + 1, 10)
    }

    /// The end of `(_?digit)*` at `pos`.
    fn digits(&self, mut pos: usize, radix: u32) -> usize {
        let digit = |b: Option<u8>| b.is_some_and(|b| char::from(b).is_digit(radix));
        loop {
            if digit(self.at(pos)) {
                pos += 1;
            } else if self.at(pos) == Some(b'_') && digit(self.at(pos + 1)) {
                pos += 2;
            } else {
                return pos;
            }
        }
    }

    /// Whether the digits fit the 32 bits that the grammar calls an integer.
    fn integer_kind(&self, digits: Range<usize>, radix: u32) -> Kind {
        let mut value = 0_i64;
        for &byte in self.text.get(digits).unwrap_or_default() {
            if let Some(digit) = char::from(byte).to_digit(radix) {
                value = value
                    .saturating_mul(i64::from(radix))
                    .saturating_add(i64::from(digit));
            }
        }
        if i32::try_from(value).is_ok() {
            Kind::Integer
        } else {
            Kind::Float
        }
    }

    /// A parameter, a dollar-quoted string, or a lone `$`.
    fn dollar(&self) -> Result<Token, LexError> {
        let start = self.pos;
        if matches!(self.at(start + 1), Some(b'0'..=b'9')) {
            let rest = self.text.get(start + 1..).unwrap_or_default();
            let end = start + 1 + rest.iter().take_while(|b| b.is_ascii_digit()).count();
            // Servers since 15 refuse a letter right behind; earlier ones start a word with it.
            if self.integer_kind(start + 1..end, 10) != Kind::Integer {
                return Err(LexError::Number);
            }
            return Ok(self.token(Kind::Param, end));
        }
        let rest = self.text.get(start + 1..).unwrap_or_default();
        let tag = match rest.first() {
            Some(&b) if is_word_start(b) => rest
                .iter()
                .take_while(|&&b| is_word_byte(b) && b != b'$')
                .count(),
            _ => 0,
        };
        if rest.get(tag) != Some(&b'$') {
            return Ok(self.token(Kind::Other, start + 1));
        }
        let delimiter = self.text.get(start..start + tag + 2).unwrap_or_default();
        let mut pos = start + tag + 2;
        loop {
            let rest = self.text.get(pos..).unwrap_or_default();
            let stop = rest
                .iter()
                .position(|&b| b == b'$' || b == 0)
                .ok_or(LexError::Unterminated)?;
            let tail = rest.get(stop..).unwrap_or_default();
            if tail.first() == Some(&0) {
                return Err(LexError::Nul);
            }
            if tail.starts_with(delimiter) {
                return Ok(self.token(Kind::Text, pos + stop + delimiter.len()));
            }
            pos += stop + 1;
        }
    }
}

#[cfg(test)]
#[path = "lex_tests.rs"]
mod tests;
