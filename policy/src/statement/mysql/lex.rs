//! The scanner: linear, without recursion or allocation.
//!
//! It follows what the servers do with quotes, comments, numbers and words (MySQL manual, "Language Structure"; MariaDB's
//! "Language Structure"), under the session's sql_mode and character set and the server's flavour and version.

mod comment;
mod number;

use std::ops::Range;

use super::charset::ClientCharset;
use super::state::{Flavour, MysqlLex, SqlMode};
use super::token::{Kind, LexError, Token};
use super::word::Word;

/// Block comments of a text, for context that applications put there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Comments {
    /// One before the first token.
    pub(super) leading: Option<Range<usize>>,
    /// The last one so far, if no token came behind it.
    pub(super) last: Option<Range<usize>>,
}

/// Reads tokens.
#[derive(Clone, Debug)]
pub(super) struct Lexer<'t> {
    text: &'t [u8],
    pos: usize,
    flavour: Flavour,
    version: u32,
    ansi_quotes: bool,
    backslashes: bool,
    charset: ClientCharset,
    /// Inside `/*! … */` whose content the server runs.
    executed: bool,
    /// A dot has come and a name follows directly.
    name_follows: bool,
    /// A name has come, and directly behind it stand a dot and another.
    dot_follows: bool,
    started: bool,
    comments: Comments,
}

impl<'t> Lexer<'t> {
    /// Starts at the beginning of `text`; what is not known of the state is taken as a fresh session has it.
    pub(super) fn new(text: &'t [u8], lex: &MysqlLex) -> Self {
        let mode = lex.sql_mode.unwrap_or_default();
        Lexer {
            text,
            pos: 0,
            flavour: lex.flavour,
            version: lex.version,
            ansi_quotes: mode.has(SqlMode::ANSI_QUOTES),
            backslashes: !mode.has(SqlMode::NO_BACKSLASH_ESCAPES),
            charset: lex.charset.unwrap_or(ClientCharset::Utf8),
            executed: false,
            name_follows: false,
            dot_follows: false,
            started: false,
            comments: Comments::default(),
        }
    }

    /// Where it stands.
    pub(super) fn position(&self) -> usize {
        self.pos
    }

    /// The comments seen so far.
    pub(super) fn comments(&self) -> &Comments {
        &self.comments
    }

    #[inline]
    fn peek(&self, ahead: usize) -> u8 {
        self.text.get(self.pos + ahead).copied().unwrap_or(0)
    }

    fn rest(&self) -> &'t [u8] {
        self.text.get(self.pos..).unwrap_or_default()
    }

    /// The next token; `None` at the end.
    #[inline]
    pub(super) fn next_token(&mut self) -> Result<Option<Token>, LexError> {
        if std::mem::take(&mut self.dot_follows) {
            let start = self.pos;
            self.pos += 1;
            self.name_follows = true;
            return Ok(Some(self.token(Kind::Dot, start)));
        }
        if std::mem::take(&mut self.name_follows) {
            let start = self.pos;
            self.skip_word()?;
            if self.pos == start {
                return Err(LexError::Character);
            }
            self.name_before_dot();
            return Ok(Some(self.token(Kind::Name, start)));
        }
        loop {
            let Some(&byte) = self.text.get(self.pos) else {
                if self.executed {
                    return Err(LexError::Unterminated);
                }
                return Ok(None);
            };
            match byte {
                b' ' | b'\t' | b'\n' | 0x0b | 0x0c | b'\r' => self.pos += 1,
                0xa0 if self.charset == ClientCharset::Latin1 => self.pos += 1,
                b'#' => self.line_comment()?,
                b'-' if self.peek(1) == b'-' && self.opens_comment(self.peek(2)) => {
                    self.line_comment()?;
                }
                b'/' if self.peek(1) == b'*' => self.block_comment()?,
                b'*' if self.executed && self.peek(1) == b'/' => {
                    self.executed = false;
                    self.pos += 2;
                }
                _ => break,
            }
        }
        if self.text.get(self.pos) != Some(&b';') {
            self.started = true;
            self.comments.last = None;
        }
        let start = self.pos;
        let kind = self.scan()?;
        let mut token = self.token(kind, start);
        if kind == Kind::Word {
            token.word = Word::of(token.bytes(self.text));
            if self.name_before_dot() {
                token.kind = Kind::Name;
                token.word = Word::None;
            } else if self.text.get(start) == Some(&b'_') && is_introducer(token.bytes(self.text)) {
                token.kind = Kind::Introducer;
            }
        }
        if kind == Kind::Semicolon && self.executed {
            return Err(LexError::Unterminated);
        }
        Ok(Some(token))
    }

    /// Whether two dashes before this byte start a comment: it must be blank or a control character.
    fn opens_comment(&self, byte: u8) -> bool {
        matches!(byte, 0..=b' ' | 0x7f) || byte == 0xa0 && self.charset == ClientCharset::Latin1
    }

    fn token(&self, kind: Kind, start: usize) -> Token {
        // Texts are shorter than 4 GiB: the caller sees to it.
        Token {
            kind,
            word: Word::None,
            start: start as u32,
            end: self.pos as u32,
        }
    }

    /// Whether a dot follows at once, and a word at once behind it: then both are names, whatever they spell.
    fn name_before_dot(&mut self) -> bool {
        self.dot_follows = self.peek(0) == b'.' && is_word_byte(self.peek(1));
        self.dot_follows
    }

    fn scan(&mut self) -> Result<Kind, LexError> {
        let byte = self.peek(0);
        match byte {
            b'x' | b'X' if self.peek(1) == b'\'' => {
                self.digits_in_quotes(u8::is_ascii_hexdigit, Kind::Hex)
            }
            b'b' | b'B' if self.peek(1) == b'\'' => {
                self.digits_in_quotes(|byte| matches!(byte, b'0' | b'1'), Kind::Bits)
            }
            b'n' | b'N' if self.peek(1) == b'\'' => {
                self.pos += 1;
                self.string(b'\'').map(|()| Kind::National)
            }
            b'$' if self.flavour == Flavour::Mysql => self.dollar(),
            b'a'..=b'z' | b'A'..=b'Z' | b'_' | b'$' | 0x80.. => {
                let start = self.pos;
                self.skip_word()?;
                if self.pos == start {
                    return Err(LexError::Encoding);
                }
                Ok(Kind::Word)
            }
            b'0'..=b'9' => self.number(),
            b'\'' => self.string(b'\'').map(|()| Kind::Text),
            b'"' if !self.ansi_quotes => self.string(b'"').map(|()| Kind::Text),
            b'"' | b'`' => self.quoted(byte).map(|()| Kind::Quoted),
            b'@' => self.variable(),
            0 => Err(LexError::Nul),
            _ => self.symbol(byte),
        }
    }

    /// Operators and punctuation.
    fn symbol(&mut self, byte: u8) -> Result<Kind, LexError> {
        let (second, third) = (self.peek(1), self.peek(2));
        let (kind, length) = match byte {
            b',' => (Kind::Comma, 1),
            b';' => (Kind::Semicolon, 1),
            b'(' => (Kind::Open, 1),
            b')' => (Kind::Close, 1),
            b'{' => (Kind::OpenBrace, 1),
            b'}' => (Kind::CloseBrace, 1),
            b'?' => (Kind::Param, 1),
            b'+' => (Kind::Plus, 1),
            b'-' if second == b'>' && third == b'>' => (Kind::LongArrow, 3),
            b'-' if second == b'>' => (Kind::Arrow, 2),
            b'-' => (Kind::Minus, 1),
            b'*' => (Kind::Star, 1),
            b'/' => (Kind::Slash, 1),
            b'%' => (Kind::Percent, 1),
            b'^' => (Kind::Caret, 1),
            b'~' => (Kind::Tilde, 1),
            b'&' if second == b'&' => (Kind::AndAnd, 2),
            b'&' => (Kind::Amp, 1),
            b'|' if second == b'|' => (Kind::OrOr, 2),
            b'|' => (Kind::Pipe, 1),
            b':' if second == b'=' => (Kind::Assign, 2),
            b':' => (Kind::Colon, 1),
            b'.' if second.is_ascii_digit() => return self.fraction(),
            b'.' => {
                self.name_follows = is_word_byte(second);
                (Kind::Dot, 1)
            }
            b'\\' if second == b'N' && self.flavour == Flavour::Mariadb => (Kind::Null, 2),
            b'<' | b'>' | b'=' | b'!' => self.comparison(byte, second, third)?,
            _ => return Err(LexError::Character),
        };
        self.pos += length;
        Ok(kind)
    }

    /// MySQL takes every `<`, `>`, `=`, `!` that follows one of them as part of the operator and knows only some.
    fn comparison(&self, byte: u8, second: u8, third: u8) -> Result<(Kind, usize), LexError> {
        let found = match (byte, second, third) {
            (b'<', b'=', b'>') => (Kind::NullSafeEq, 3),
            (b'<', b'>', _) | (b'!', b'=', _) => (Kind::Ne, 2),
            (b'<', b'=', _) => (Kind::Le, 2),
            (b'<', b'<', _) => (Kind::Shl, 2),
            (b'>', b'=', _) => (Kind::Ge, 2),
            (b'>', b'>', _) => (Kind::Shr, 2),
            (b'<', ..) => (Kind::Lt, 1),
            (b'>', ..) => (Kind::Gt, 1),
            (b'=', ..) => (Kind::Eq, 1),
            _ => (Kind::Bang, 1),
        };
        let next = match found.1 {
            1 => second,
            2 if byte == b'<' => third,
            _ => 0,
        };
        let runs_on = match found.1 {
            1 => matches!(next, b'<' | b'>' | b'=' | b'!'),
            _ => matches!(next, b'>' | b'=' | b'!'),
        };
        if runs_on && (self.flavour == Flavour::Mysql || found.0 != Kind::Bang && next != b'!') {
            return Err(LexError::Character);
        }
        Ok(found)
    }

    fn skip_word(&mut self) -> Result<(), LexError> {
        loop {
            let byte = self.peek(0);
            if is_ascii_word_byte(byte) {
                self.pos += 1;
            } else if byte >= 0x80 {
                match self.charset {
                    ClientCharset::Latin1 if is_latin1_letter(byte) => self.pos += 1,
                    ClientCharset::Latin1 if byte == 0xa0 => return Ok(()),
                    charset => match charset.char_len(self.rest()) {
                        0 => return Err(LexError::Encoding),
                        length => self.pos += length,
                    },
                }
            } else {
                return Ok(());
            }
        }
    }

    /// A string, from its opening quote on.
    fn string(&mut self, quote: u8) -> Result<(), LexError> {
        let multi = matches!(self.charset, ClientCharset::Multi(_));
        self.pos += 1;
        loop {
            let rest = self.rest();
            let stops = |byte: &u8| *byte == quote || *byte == b'\\' || (multi && *byte >= 0x80);
            let Some(length) = rest.iter().position(stops) else {
                self.pos = self.text.len();
                return Err(LexError::Unterminated);
            };
            self.pos += length;
            match self.peek(0) {
                byte if byte == quote => {
                    if self.peek(1) != quote {
                        self.pos += 1;
                        return Ok(());
                    }
                    self.pos += 2;
                }
                b'\\' if self.backslashes => {
                    self.pos += 2;
                    if self.pos > self.text.len() {
                        self.pos = self.text.len();
                        return Err(LexError::Unterminated);
                    }
                }
                b'\\' => self.pos += 1,
                _ => self.pos += self.charset.char_len(self.rest()).max(1),
            }
        }
    }

    /// A quoted identifier, from its opening quote on.
    fn quoted(&mut self, quote: u8) -> Result<(), LexError> {
        self.pos += 1;
        loop {
            let byte = self.peek(0);
            match byte {
                0 if self.pos >= self.text.len() => return Err(LexError::Unterminated),
                0 => return Err(LexError::Nul),
                _ if byte == quote => {
                    if self.peek(1) != quote {
                        self.pos += 1;
                        return Ok(());
                    }
                    self.pos += 2;
                }
                0x80.. => self.pos += self.charset.char_len(self.rest()).max(1),
                _ => self.pos += 1,
            }
        }
    }

    /// MySQL: a word that starts with a dollar sign, or `$tag$…$tag$` (routines in other languages).
    fn dollar(&mut self) -> Result<Kind, LexError> {
        let start = self.pos;
        let rest = self.text.get(self.pos + 1..).unwrap_or_default();
        let tag = rest
            .iter()
            .take_while(|&&byte| byte != b'$' && is_word_byte(byte))
            .count();
        if rest.get(tag) != Some(&b'$') {
            self.skip_word()?;
            return Ok(Kind::Word);
        }
        let delimiter = self.text.get(start..start + tag + 2).unwrap_or_default();
        let body = self.text.get(start + tag + 2..).unwrap_or_default();
        let end = find(body, delimiter).filter(|_| self.version >= 90_000);
        let Some(end) = end else {
            return Err(LexError::Character);
        };
        self.pos = start + tag + 2 + end + delimiter.len();
        Ok(Kind::Dollar)
    }

    /// `@@`, `@name`, `` @`name` ``, `@'name'`.
    fn variable(&mut self) -> Result<Kind, LexError> {
        self.pos += 1;
        match self.peek(0) {
            b'@' => {
                self.pos += 1;
                Ok(Kind::AtAt)
            }
            b'`' => self.quoted(b'`').map(|()| Kind::UserVar),
            b'"' if self.ansi_quotes => self.quoted(b'"').map(|()| Kind::UserVar),
            quote @ (b'\'' | b'"') => self.string(quote).map(|()| Kind::UserVar),
            _ => {
                while matches!(self.peek(0), b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'_' | b'$')
                {
                    self.pos += 1;
                }
                if self.peek(0) >= 0x80 {
                    // Whether that is a letter is the character set's business.
                    return Err(LexError::Encoding);
                }
                Ok(Kind::UserVar)
            }
        }
    }
}

/// Where `wanted` first stands in `text`.
fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    let &first = wanted.first()?;
    let mut from = 0;
    loop {
        let rest = text.get(from..)?;
        let at = from + rest.iter().position(|&byte| byte == first)?;
        if text.get(at..)?.starts_with(wanted) {
            return Some(at);
        }
        from = at + 1;
    }
}

#[inline]
fn is_ascii_word_byte(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'$')
}

fn is_word_byte(byte: u8) -> bool {
    is_ascii_word_byte(byte) || byte >= 0x80
}

/// Letters of latin1, as its character type table has them.
fn is_latin1_letter(byte: u8) -> bool {
    matches!(byte, 0xc0..=0xd6 | 0xd8..=0xf6 | 0xf8..=0xff)
}

/// Whether a word is a character set behind an underscore.
fn is_introducer(word: &[u8]) -> bool {
    let name = word.get(1..).unwrap_or_default();
    CHARSETS
        .iter()
        .any(|known| name.eq_ignore_ascii_case(known))
}

const CHARSETS: &[&[u8]] = &[
    b"armscii8",
    b"ascii",
    b"big5",
    b"binary",
    b"cp1250",
    b"cp1251",
    b"cp1256",
    b"cp1257",
    b"cp850",
    b"cp852",
    b"cp866",
    b"cp932",
    b"dec8",
    b"eucjpms",
    b"euckr",
    b"gb18030",
    b"gb2312",
    b"gbk",
    b"geostd8",
    b"greek",
    b"hebrew",
    b"hp8",
    b"keybcs2",
    b"koi8r",
    b"koi8u",
    b"latin1",
    b"latin2",
    b"latin5",
    b"latin7",
    b"macce",
    b"macroman",
    b"sjis",
    b"swe7",
    b"tis620",
    b"ucs2",
    b"ujis",
    b"utf16",
    b"utf16le",
    b"utf32",
    b"utf8",
    b"utf8mb3",
    b"utf8mb4",
    b"filename",
];
