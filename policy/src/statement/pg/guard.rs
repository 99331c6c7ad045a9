//! Bounds the depth of the tree that the parser will build, from the tokens alone.
//!
//! Decoding, walking and dropping the tree recurse once per level. The figure kept here is never smaller than the depth
//! that the grammar can reach: every level takes at least one token that is counted, and a count is forgotten only where
//! the grammar goes back to a list whose elements are siblings (`,`, `AND`, `OR`, the arms of CASE).

use smallvec::SmallVec;

use super::token::{Kind, Token};
use super::word::Word;

/// What one open bracket (or CASE) has accumulated.
#[derive(Clone, Copy, Debug, Default)]
struct Level {
    /// Tokens since the last list separator.
    soft: u32,
    /// Set operations and joins: they nest across list separators.
    hard: u32,
    /// BETWEENs whose AND is still to come; that one separates nothing.
    between: u32,
    /// Opened by CASE, closed by END.
    case: bool,
}

/// The depth meter.
#[derive(Clone, Debug)]
pub(crate) struct Guard {
    stack: SmallVec<[Level; 16]>,
    top: Level,
    /// Sum over the levels below the top.
    below: u32,
    atomic: bool,
    deepest: u32,
    after_dot: bool,
    after_as: bool,
}

impl Guard {
    /// Starts before the first token.
    pub(crate) fn new() -> Self {
        Guard {
            stack: SmallVec::new(),
            top: Level::default(),
            below: 0,
            atomic: false,
            deepest: 0,
            after_dot: false,
            after_as: false,
        }
    }

    /// The greatest depth that the tokens seen so far allow for.
    pub(crate) fn deepest(&self) -> u32 {
        self.deepest
    }

    /// Takes account of a token; `word` is [`Word::Other`] for everything but unquoted words.
    #[inline]
    pub(crate) fn push(&mut self, token: &Token, word: Word) {
        match token.kind {
            Kind::OpenParen | Kind::OpenBracket => self.open(false),
            Kind::CloseParen | Kind::CloseBracket => self.close(),
            Kind::Comma => self.separate(),
            Kind::Semicolon => {
                self.separate();
                if self.stack.is_empty() && !self.atomic {
                    self.top = Level::default();
                }
            }
            Kind::Word if !self.after_dot => self.word(word),
            Kind::Word | Kind::Operator | Kind::Cast | Kind::Colon | Kind::Assign | Kind::Arrow => {
                self.deepen();
            }
            // Operands, and what a longer name or value is made of.
            Kind::QuotedIdent
            | Kind::UnicodeIdent
            | Kind::Integer
            | Kind::Float
            | Kind::Text
            | Kind::UnicodeText
            | Kind::National
            | Kind::Bits
            | Kind::HexBits
            | Kind::Param
            | Kind::Dot
            | Kind::DotDot
            | Kind::Other => {}
        }
        self.after_dot = token.kind == Kind::Dot;
        self.after_as = token.kind == Kind::Word && word == Word::As;
    }

    fn word(&mut self, word: Word) {
        match word {
            Word::And if self.top.between > 0 => {
                self.top.between -= 1;
                self.deepen();
            }
            Word::And | Word::Or | Word::When | Word::Then | Word::Else => self.separate(),
            Word::Between => {
                self.top.between += 1;
                self.deepen();
            }
            Word::Case if !self.after_as => self.open(true),
            Word::End if self.top.case && !self.after_as => {
                self.pop();
                self.deepen();
            }
            Word::Join | Word::Union | Word::Except | Word::Intersect => self.harden(),
            Word::Atomic => {
                self.atomic = true;
                self.harden();
            }
            _ => self.deepen(),
        }
    }

    fn deepen(&mut self) {
        self.top.soft += 1;
        self.measure();
    }

    fn harden(&mut self) {
        self.top.hard += 1;
        self.measure();
    }

    fn measure(&mut self) {
        let depth = self.below + self.top.soft + self.top.hard;
        self.deepest = self.deepest.max(depth);
    }

    fn separate(&mut self) {
        self.top.soft = 0;
        self.top.between = 0;
    }

    fn open(&mut self, case: bool) {
        self.deepen();
        self.below += self.top.soft + self.top.hard;
        self.stack.push(self.top);
        self.top = Level {
            case,
            ..Level::default()
        };
    }

    /// Closes a bracket, and the CASEs left open in it.
    fn close(&mut self) {
        while self.top.case && !self.stack.is_empty() {
            self.pop();
        }
        self.pop();
    }

    fn pop(&mut self) {
        if let Some(level) = self.stack.pop() {
            self.below -= level.soft + level.hard;
            self.top = level;
        }
        self.measure();
    }
}
