//! The fact parser: recursive descent on tokens with an explicit depth limit; chains are read iteratively, no tree is built.
//!
//! It accepts more than the servers do where that reads nothing differently, and refuses what it does not know.

mod account;
mod admin;
mod body;
mod ddl;
mod dml;
mod expr;
mod from;
mod function;
mod names;
mod path;
mod query;
mod session;
mod set;
mod statement;
mod table;
mod tail;

pub(super) use names::{fold, spelling};
pub(super) use set::is_reading;

use super::draft::Draft;
use super::state::{Flavour, MysqlLex};
use super::token::{Kind, Token};
use super::word::Word as W;
use crate::statement::SessionEffect;
use crate::statement::facts::StatementFacts;
use crate::vocabulary::{ObjectKind, Unreadable, Verb};

/// Why a text is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Not in the grammar known here.
    Syntax,
    /// Nested too deeply.
    Depth,
    /// A name whose bytes mean nothing.
    Encoding,
    /// It depends on state that the statement itself changes.
    Unsettled,
}

impl Fault {
    pub(super) fn reason(self) -> Unreadable {
        match self {
            Fault::Syntax => Unreadable::Syntax,
            Fault::Depth => Unreadable::TooComplex,
            Fault::Encoding => Unreadable::Encoding,
            Fault::Unsettled => Unreadable::Unsettled,
        }
    }
}

type Parse<T = ()> = Result<T, Fault>;

/// One statement that was read.
pub(super) struct Statement {
    pub(super) facts: StatementFacts,
    /// Whether the value of a literal had a say in them.
    pub(super) literals: bool,
    /// The tokens that it is made of.
    pub(super) tokens: std::ops::Range<usize>,
}

/// Reads the statements of a text.
pub(super) struct Parser<'t> {
    text: &'t [u8],
    tokens: &'t [Token],
    /// For each opening bracket, where it is closed, and where the run of opening brackets ends that it stands in.
    brackets: Vec<Bracket>,
    lex: &'t MysqlLex,
    at: usize,
    depth: u32,
    max_depth: u32,
    draft: Draft,
}

impl<'t> Parser<'t> {
    pub(super) fn new(
        text: &'t [u8],
        tokens: &'t [Token],
        lex: &'t MysqlLex,
        max_depth: u32,
    ) -> Self {
        Parser {
            text,
            tokens,
            brackets: brackets(tokens),
            lex,
            at: 0,
            depth: 0,
            max_depth,
            draft: Draft::default(),
        }
    }

    /// The same for a statement that a string of another holds.
    pub(super) fn below(mut self, depth: u32, schema: Option<Box<str>>) -> Self {
        self.depth = depth;
        self.draft.schema = schema;
        self
    }

    /// Reads every statement.
    pub(super) fn statements(mut self) -> Parse<Vec<Statement>> {
        let mut statements = Vec::new();
        let mut schema = self.draft.schema.take();
        // Something may have changed the database since the text began.
        let mut moved = false;
        loop {
            while self.eat_kind(Kind::Semicolon) {}
            if self.kind() == Kind::End {
                return Ok(statements);
            }
            let start = self.at;
            self.draft = Draft::default();
            self.draft.schema = schema.clone();
            self.statement()?;
            if !matches!(self.kind(), Kind::End | Kind::Semicolon) {
                return Err(Fault::Syntax);
            }
            let (facts, literals) = std::mem::take(&mut self.draft).finish();
            if moved && names_by_database(&facts) {
                return Err(Fault::Unsettled);
            }
            if may_use(&facts) {
                (moved, schema) = (true, None);
            }
            for effect in &facts.effects {
                if let SessionEffect::Use(name) = effect
                    && facts.verb == Verb::Use
                {
                    (moved, schema) = (false, Some(name.clone()));
                }
            }
            statements.push(Statement {
                facts,
                literals,
                tokens: start..self.at,
            });
        }
    }

    fn is_mariadb(&self) -> bool {
        self.lex.flavour == Flavour::Mariadb
    }

    #[inline]
    fn token(&self) -> Token {
        self.tokens.get(self.at).copied().unwrap_or(Token::END)
    }

    fn token_at(&self, ahead: usize) -> Token {
        self.tokens
            .get(self.at + ahead)
            .copied()
            .unwrap_or(Token::END)
    }

    #[inline]
    fn kind(&self) -> Kind {
        self.token().kind
    }

    fn kind_at(&self, ahead: usize) -> Kind {
        self.token_at(ahead).kind
    }

    #[inline]
    fn word(&self) -> W {
        self.token().word
    }

    fn word_at(&self, ahead: usize) -> W {
        self.token_at(ahead).word
    }

    fn advance(&mut self) -> Token {
        let token = self.token();
        self.at += 1;
        token
    }

    fn at(&self, word: W) -> bool {
        self.word() == word
    }

    fn at_any(&self, words: &[W]) -> bool {
        let word = self.word();
        word != W::None && words.contains(&word)
    }

    /// Whether these words come next.
    fn at_words(&self, words: &[W]) -> bool {
        (0..)
            .zip(words)
            .all(|(ahead, &word)| self.word_at(ahead) == word)
    }

    fn eat(&mut self, word: W) -> bool {
        let found = self.word() == word;
        self.at += usize::from(found);
        found
    }

    fn eat_any(&mut self, words: &[W]) -> bool {
        let found = self.at_any(words);
        self.at += usize::from(found);
        found
    }

    fn eat_words(&mut self, words: &[W]) -> bool {
        let found = self.at_words(words);
        if found {
            self.at += words.len();
        }
        found
    }

    fn eat_kind(&mut self, kind: Kind) -> bool {
        let found = self.kind() == kind;
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, word: W) -> Parse {
        if self.eat(word) {
            Ok(())
        } else {
            Err(Fault::Syntax)
        }
    }

    fn expect_kind(&mut self, kind: Kind) -> Parse {
        if self.eat_kind(kind) {
            Ok(())
        } else {
            Err(Fault::Syntax)
        }
    }

    /// Runs `f` one level deeper.
    fn nested<T>(&mut self, f: impl FnOnce(&mut Self) -> Parse<T>) -> Parse<T> {
        if self.depth >= self.max_depth {
            return Err(Fault::Depth);
        }
        self.depth += 1;
        let result = f(self);
        self.depth -= 1;
        result
    }

    /// Reads `item (, item)*`.
    fn list(&mut self, mut item: impl FnMut(&mut Self) -> Parse) -> Parse {
        loop {
            item(self)?;
            if !self.eat_kind(Kind::Comma) {
                return Ok(());
            }
        }
    }

    /// Whether the statement ends here.
    fn at_end(&self) -> bool {
        matches!(self.kind(), Kind::End | Kind::Semicolon)
    }

    /// Passes what stands between brackets, the brackets included, without looking at it.
    fn skip_brackets(&mut self) -> Parse {
        self.expect_kind(Kind::Open)?;
        let mut open = 1_u32;
        while open > 0 {
            match self.advance().kind {
                Kind::Open => open += 1,
                Kind::Close => open -= 1,
                Kind::End => return Err(Fault::Syntax),
                _ => {}
            }
        }
        Ok(())
    }

    /// Passes the rest of a statement whose end says nothing about objects.
    fn skip_rest(&mut self) -> Parse {
        while !self.at_end() {
            if self.kind() == Kind::Open {
                self.skip_brackets()?;
            } else if self.kind() == Kind::Close {
                return Err(Fault::Syntax);
            } else {
                self.at += 1;
            }
        }
        Ok(())
    }

    fn text_literal(&mut self) -> Parse<Token> {
        let token = self.token();
        if !token.kind.is_text() {
            return Err(Fault::Syntax);
        }
        self.at += 1;
        // Adjacent strings are one.
        while self.kind().is_text() {
            self.at += 1;
        }
        Ok(token)
    }
}

/// Whether code that the text does not show runs at the top of the session, where a USE lasts.
fn may_use(facts: &StatementFacts) -> bool {
    matches!(facts.verb, Verb::Call | Verb::Execute | Verb::Do)
        && facts.effects.iter().any(|effect| {
            matches!(
                effect,
                SessionEffect::Execute(_) | SessionEffect::MayChangeSettings
            )
        })
}

/// Whether which things are meant depends on the session's database.
fn names_by_database(facts: &StatementFacts) -> bool {
    facts.objects.iter().any(|object| {
        matches!(object.kind, ObjectKind::Relation | ObjectKind::Routine)
            && object.name.schema.is_none()
    })
}

/// What is known of an opening bracket beforehand.
#[derive(Clone, Copy, Debug, Default)]
struct Bracket {
    /// The place of the bracket that closes it; 0 if there is none.
    close: u32,
    /// The first place behind it that is no opening bracket.
    inside: u32,
}

/// Looks at the brackets of all tokens, others being left out.
fn brackets(tokens: &[Token]) -> Vec<Bracket> {
    if !tokens.iter().any(|token| token.kind == Kind::Open) {
        return Vec::new();
    }
    let mut brackets = vec![Bracket::default(); tokens.len()];
    let mut open: Vec<usize> = Vec::new();
    for (place, token) in (0_u32..).zip(tokens) {
        match token.kind {
            Kind::Open => open.push(place as usize),
            Kind::Close => {
                if let Some(bracket) = open.pop().and_then(|open| brackets.get_mut(open)) {
                    bracket.close = place;
                }
            }
            _ => {}
        }
    }
    let mut inside = 0;
    for (place, (token, bracket)) in tokens.iter().zip(&mut brackets).enumerate().rev() {
        match token.kind {
            Kind::Open => bracket.inside = inside,
            _ => inside = place as u32,
        }
    }
    brackets
}
