//! One pass over a text: its tokens, and its normal form without comments, spacing, letter case of keywords and the values
//! of literals.
//!
//! The normal form is written as a *key*, in which a placeholder is a control byte that no token can be, and from it as the
//! readable text that records carry. Two texts with one key have the same tokens but for literal values, the length of
//! lists of literals and the number of equal rows.

use super::lex::{Comments, Lexer};
use super::state::MysqlLex;
use super::token::{Kind, LexError, Token};
use super::word::{Reserved, Word as W};

/// What one pass over a text tells besides its key and tokens.
pub(super) struct Scan {
    /// Why the text could not be read to its end, and where.
    pub(super) error: Option<(LexError, usize)>,
    pub(super) comments: Comments,
    /// Whether something follows a semicolon.
    pub(super) several: bool,
    /// Where its last token ends.
    pub(super) end: usize,
}

/// Reads `text` once, writes its key and, if wanted, its tokens: of long lists and many rows, some.
pub(super) fn scan(
    text: &[u8],
    lex: &MysqlLex,
    key: &mut Vec<u8>,
    mut tokens: Option<&mut Vec<Token>>,
) -> Scan {
    let mut lexer = Lexer::new(text, lex);
    let mut writer = Writer::new(text, lex.folds_names, key);
    let mut several = false;
    let mut ended = false;
    let mut end = 0;
    let error = if text.len() >= MAX_TEXT_BYTES {
        Some((LexError::TooLong, 0))
    } else {
        loop {
            match lexer.next_token() {
                Ok(Some(token)) => {
                    end = token.end as usize;
                    several |= ended && token.kind != Kind::Semicolon;
                    ended |= token.kind == Kind::Semicolon;
                    writer.push(token, tokens.as_deref_mut());
                    if writer.key.len() > MAX_KEY_BYTES {
                        break Some((LexError::TooLong, lexer.position()));
                    }
                }
                Ok(None) => break None,
                Err(error) => break Some((error, lexer.position())),
            }
        }
    };
    Scan {
        error,
        comments: lexer.comments().clone(),
        several,
        end,
    }
}

const MAX_TEXT_BYTES: usize = u32::MAX as usize;
/// The longest key; literals and equal rows take next to nothing of it.
const MAX_KEY_BYTES: usize = 1 << 20;
/// How many elements of a list, and how many equal rows, the parser is given.
const KEPT: u32 = 4;

const INTEGER: u8 = 1;
const DECIMAL: u8 = 2;
const TEXT: u8 = 3;
const BITS: u8 = 4;
const LIST: u8 = 5;
const PARAMS: u8 = 6;
const ROWS: u8 = 7;

/// A bracket that holds mere literals, or mere parameters, so far.
#[derive(Clone, Copy, Debug)]
struct Group {
    /// Length of the key behind the bracket.
    key: usize,
    count: u32,
    params: bool,
    /// An element must come.
    wanted: bool,
    signed: bool,
    /// One element is a list, too: behind IN.
    single: bool,
    /// Tokens were left out.
    skipped: bool,
    /// The last token that was left out.
    last: Kind,
}

/// The rows behind VALUES.
#[derive(Clone, Copy, Debug)]
struct Rows {
    depth: u32,
    /// Where the last row stands in the key.
    start: usize,
    end: usize,
    /// Ends behind the last row, the marker included.
    key: usize,
    tokens: usize,
    count: u32,
    marked: bool,
    state: RowState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RowState {
    /// VALUES or a comma has come.
    Wanted,
    Inside {
        start: usize,
    },
    /// A row has ended.
    Between,
}

struct Writer<'k> {
    text: &'k [u8],
    key: &'k mut Vec<u8>,
    folds: bool,
    previous: Token,
    depth: u32,
    group: Option<Group>,
    rows: Option<Rows>,
}

impl<'k> Writer<'k> {
    fn new(text: &'k [u8], folds: bool, key: &'k mut Vec<u8>) -> Self {
        Writer {
            text,
            key,
            folds,
            previous: Token::END,
            depth: 0,
            group: None,
            rows: None,
        }
    }

    fn push(&mut self, token: Token, mut tokens: Option<&mut Vec<Token>>) {
        let mut kept = true;
        if let Some(mut group) = self.group.take() {
            match group.take(&token) {
                Step::Inside => {
                    kept = !group.skipped;
                    self.group = Some(group);
                }
                Step::Closed => self.close_group(&group, &mut tokens),
                Step::Foreign => {
                    if group.skipped {
                        self.key.extend_from_slice(&[b',', LIST]);
                        match group.last {
                            Kind::Comma => self.key.push(b','),
                            Kind::Minus | Kind::Plus => self.key.push(b'-'),
                            _ => {}
                        }
                    }
                    rejoin(&group, &mut tokens);
                }
            }
        }
        if !kept {
            self.previous = token;
            return;
        }
        if let Some(tokens) = tokens.as_deref_mut() {
            tokens.push(token);
        }
        self.write(token);
        match token.kind {
            Kind::Open => {
                self.group = Some(Group {
                    key: self.key.len(),
                    count: 0,
                    params: false,
                    wanted: true,
                    signed: false,
                    single: self.previous.word == W::In,
                    skipped: false,
                    last: Kind::End,
                });
                self.open_row();
                self.depth += 1;
            }
            Kind::Close => {
                self.depth = self.depth.saturating_sub(1);
                self.close_row(&mut tokens);
            }
            _ => self.between_rows(&token),
        }
        self.previous = token;
    }

    /// A list of literals ends: its elements leave the key.
    fn close_group(&mut self, group: &Group, tokens: &mut Option<&mut Vec<Token>>) {
        if group.count >= 2 || (group.single && group.count == 1) {
            self.key.truncate(group.key);
            self.key.push(if group.params { PARAMS } else { LIST });
        }
        if group.skipped {
            rejoin(group, tokens);
        }
    }

    fn open_row(&mut self) {
        let start = self.key.len().saturating_sub(1);
        let depth = self.depth;
        if let Some(rows) = &mut self.rows
            && rows.depth == depth
        {
            match rows.state {
                RowState::Wanted => rows.state = RowState::Inside { start },
                RowState::Between => self.rows = None,
                RowState::Inside { .. } => {}
            }
        }
    }

    fn close_row(&mut self, tokens: &mut Option<&mut Vec<Token>>) {
        let Some(rows) = &mut self.rows else {
            return;
        };
        let RowState::Inside { start } = rows.state else {
            if self.depth < rows.depth {
                self.rows = None;
            }
            return;
        };
        if self.depth != rows.depth {
            return;
        }
        let end = self.key.len();
        let equal =
            rows.count > 0 && self.key.get(rows.start..rows.end) == self.key.get(start..end);
        rows.state = RowState::Between;
        rows.count = if equal {
            rows.count.saturating_add(1)
        } else {
            1
        };
        if equal {
            self.key.truncate(rows.key);
            if !rows.marked {
                self.key.push(ROWS);
                rows.marked = true;
            }
            if rows.count > KEPT
                && let Some(tokens) = tokens.as_deref_mut()
            {
                tokens.truncate(rows.tokens);
            }
        } else {
            rows.start = start;
            rows.end = end;
            rows.marked = false;
        }
        rows.key = self.key.len();
        rows.tokens = tokens.as_ref().map_or(0, |tokens| tokens.len());
    }

    fn between_rows(&mut self, token: &Token) {
        if matches!(token.word, W::Values | W::Value) && token.kind == Kind::Word {
            self.rows = Some(Rows {
                depth: self.depth,
                start: 0,
                end: 0,
                key: 0,
                tokens: 0,
                count: 0,
                marked: false,
                state: RowState::Wanted,
            });
            return;
        }
        let depth = self.depth;
        let Some(rows) = &mut self.rows else {
            return;
        };
        match (rows.state, token.kind) {
            (RowState::Inside { .. }, _) => {}
            (RowState::Between, Kind::Comma) if depth == rows.depth => {
                rows.state = RowState::Wanted
            }
            (RowState::Wanted, Kind::Word) if token.word == W::Row => {}
            _ => self.rows = None,
        }
    }

    fn write(&mut self, token: Token) {
        if !self.is_glued(&token) {
            self.key.push(b' ');
        }
        let bytes = token.bytes(self.text);
        match token.kind {
            Kind::Word => {
                let keyword = self.folds
                    || token.word.reserved() != Reserved::Nowhere
                    || matches!(self.previous.kind, Kind::End | Kind::Semicolon);
                if keyword {
                    self.key.extend(bytes.iter().map(u8::to_ascii_lowercase));
                } else {
                    self.key.extend_from_slice(bytes);
                }
            }
            Kind::Integer => self.key.push(INTEGER),
            Kind::Decimal | Kind::Float => self.key.push(DECIMAL),
            Kind::Text => self.key.push(TEXT),
            Kind::National => self.key.extend_from_slice(&[b'n', TEXT]),
            Kind::Dollar => self.key.extend_from_slice(&[b'$', TEXT]),
            Kind::Hex | Kind::Bits => self.key.push(BITS),
            _ => self.key.extend_from_slice(bytes),
        }
    }

    /// Whether a token is written right behind the one before: where nothing else can be read from that.
    fn is_glued(&self, token: &Token) -> bool {
        match (self.previous.kind, token.kind) {
            (Kind::End | Kind::Open, _) => true,
            (_, Kind::Comma | Kind::Close | Kind::Semicolon | Kind::Name) => {
                token.kind != Kind::Name || self.previous.kind == Kind::Dot
            }
            (Kind::Name | Kind::Quoted, Kind::Dot) | (Kind::Dot, Kind::Quoted | Kind::Star) => true,
            (Kind::Word, Kind::Open) => self.previous.word.reserved() == Reserved::Nowhere,
            (Kind::Name | Kind::Quoted, Kind::Open) => true,
            (Kind::AtAt, _) => true,
            _ => false,
        }
    }
}

enum Step {
    Inside,
    Closed,
    Foreign,
}

impl Group {
    /// Takes the next token of the bracket.
    fn take(&mut self, token: &Token) -> Step {
        let param = token.kind == Kind::Param;
        let element = param
            || token.kind.is_literal()
            || token.kind == Kind::Null
            || (token.kind == Kind::Word && matches!(token.word, W::Null | W::True | W::False));
        match token.kind {
            Kind::Comma if !self.wanted => {
                self.wanted = true;
                self.signed = false;
                self.skipped |= self.count >= KEPT;
            }
            Kind::Minus | Kind::Plus if self.wanted && !self.signed => self.signed = true,
            Kind::Close if !self.wanted => return Step::Closed,
            _ if element && self.wanted && (self.count == 0 || param == self.params) => {
                self.wanted = false;
                self.params = param;
                self.count = self.count.saturating_add(1);
            }
            _ => return Step::Foreign,
        }
        if self.skipped {
            self.last = token.kind;
        }
        Step::Inside
    }
}

/// Puts what stands for the tokens that were left out.
fn rejoin(group: &Group, tokens: &mut Option<&mut Vec<Token>>) {
    let Some(tokens) = tokens.as_deref_mut().filter(|_| group.skipped) else {
        return;
    };
    let put = |kind| Token { kind, ..Token::END };
    tokens.push(put(Kind::Comma));
    match group.last {
        // Only the comma was left out.
        Kind::Comma if group.count == KEPT => {}
        Kind::Comma => tokens.extend([put(Kind::Ellipsis), put(Kind::Comma)]),
        Kind::Minus | Kind::Plus => tokens.push(put(group.last)),
        _ => tokens.push(put(Kind::Ellipsis)),
    }
}

/// The readable text of a key, of at most `limit` bytes, and whether it was cut.
pub(super) fn render(key: &[u8], limit: usize) -> (Box<str>, bool) {
    let mut text = Vec::with_capacity(key.len().saturating_add(16).min(limit));
    let mut quoted = None;
    let mut cut = false;
    for byte in key {
        let own = std::slice::from_ref(byte);
        let piece: &[u8] = match (quoted, *byte) {
            (Some(open), byte) => {
                if open == byte {
                    quoted = None;
                }
                own
            }
            (None, quote @ (b'`' | b'"')) => {
                quoted = Some(quote);
                own
            }
            (None, INTEGER) => b"?",
            (None, DECIMAL) => b"?.?",
            (None, TEXT) => b"'?'",
            (None, BITS) => b"x'?'",
            (None, LIST) => "?, \u{2026}".as_bytes(),
            (None, PARAMS) => "?, ?, \u{2026}".as_bytes(),
            (None, ROWS) => ", \u{2026}".as_bytes(),
            (None, _) => own,
        };
        if text.len() + piece.len() > limit {
            cut = true;
            break;
        }
        text.extend_from_slice(piece);
    }
    let text = match String::from_utf8(text) {
        Ok(text) => text,
        Err(error) => {
            let text = error.into_bytes();
            text.utf8_chunks().map(|chunk| chunk.valid()).collect()
        }
    };
    (text.into_boxed_str(), cut)
}
