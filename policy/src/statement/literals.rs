//! The literals of a text and what each belongs to, by its tokens: read only where a rule asks for them.

use std::borrow::Cow;

use super::LexState;
use super::{mysql, pg};
use crate::rule::value::{Literal, Literals, Role};

/// The most literals that are looked at; of a text with more, the others may be anything.
pub const MAX_LITERALS: usize = 4096;

/// What a token is for a literal beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece<'t> {
    /// A name or keyword as the server folds it, and whether it was quoted.
    Word(Cow<'t, str>, Quoted),
    /// A literal; `None` where only the server knows its value.
    Literal(Option<Cow<'t, str>>, Shape),
    /// An operator.
    Operator(Cow<'t, str>),
    Dot,
    Comma,
    Open,
    Close,
    Semicolon,
    /// A cast changes nothing that is looked at.
    Cast,
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quoted {
    Yes,
    No,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Number,
    Text,
}

/// The literals of a text.
#[must_use]
pub fn literals(text: &[u8], lex: &LexState) -> Literals {
    match lex {
        LexState::Postgres(lex) => {
            let Some(decoded) = lex.encoding.decode(text) else {
                return NONE_KNOWN;
            };
            find(pg::pieces(&decoded, lex))
        }
        LexState::Mysql(lex) => find(mysql::pieces(text, lex)),
    }
}

const NONE_KNOWN: Literals = Literals {
    list: Vec::new(),
    complete: false,
};

fn find((pieces, complete): (Vec<Piece<'_>>, bool)) -> Literals {
    let mut finder = Finder {
        pieces: &pieces,
        frames: vec![Frame::new(Kind::Group)],
        list: Vec::new(),
        columns: Vec::new(),
        stage: Stage::Start,
    };
    for at in 0..pieces.len() {
        if finder.list.len() >= MAX_LITERALS {
            return Literals {
                list: finder.list,
                complete: false,
            };
        }
        finder.step(at);
    }
    Literals {
        list: finder.list,
        complete,
    }
}

/// How far a statement has been read, where its form says what parentheses hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Start,
    Execute,
    Insert,
    Values,
    Limit,
    Body,
}

/// An open parenthesis.
struct Frame {
    kind: Kind,
    /// Commas so far.
    position: usize,
    /// The column that a comparison has named, until its literal has come.
    compared: Option<Box<str>>,
}

enum Kind {
    Group,
    Function(Box<str>),
    In(Box<str>),
    Arguments,
    Columns,
    Row,
}

impl Frame {
    fn new(kind: Kind) -> Self {
        Self {
            kind,
            position: 0,
            compared: None,
        }
    }
}

struct Finder<'p, 't> {
    pieces: &'p [Piece<'t>],
    frames: Vec<Frame>,
    list: Vec<Literal>,
    /// The columns of an INSERT.
    columns: Vec<Box<str>>,
    stage: Stage,
}

/// Words behind which a parenthesis is no list of arguments, and which are no columns.
const KEYWORDS: [&str; 45] = [
    "select",
    "from",
    "where",
    "and",
    "or",
    "not",
    "on",
    "having",
    "when",
    "then",
    "else",
    "case",
    "by",
    "union",
    "except",
    "intersect",
    "all",
    "distinct",
    "as",
    "using",
    "returning",
    "set",
    "values",
    "value",
    "limit",
    "offset",
    "between",
    "like",
    "ilike",
    "rlike",
    "regexp",
    "similar",
    "to",
    "is",
    "any",
    "some",
    "exists",
    "with",
    "in",
    "end",
    "escape",
    "xor",
    "binary",
    "row",
    "array",
];

/// Operators that compare; `:=` and `=` assign as well.
const COMPARISONS: [&str; 18] = [
    "=", "<", ">", "<=", ">=", "<>", "!=", "<=>", "~", "~*", "!~", "!~*", "~~", "~~*", "!~~", ":=",
    "^@", "==",
];

impl Finder<'_, '_> {
    fn step(&mut self, at: usize) {
        let pieces = self.pieces;
        let Some(piece) = pieces.get(at) else { return };
        match piece {
            Piece::Word(word, quoted) => self.word(at, word, *quoted),
            Piece::Literal(value, shape) => self.literal(at, value.as_deref(), *shape),
            Piece::Operator(operator) => self.operator(at, operator),
            Piece::Open => self.open(at),
            Piece::Close => {
                self.end_argument();
                if self.frames.len() > 1 {
                    self.frames.pop();
                }
                self.forget();
            }
            Piece::Comma => {
                self.end_argument();
                if let Some(frame) = self.frames.last_mut() {
                    frame.position += 1;
                }
                self.forget();
            }
            Piece::Semicolon => {
                self.frames = vec![Frame::new(Kind::Group)];
                self.columns.clear();
                self.stage = Stage::Start;
            }
            Piece::Dot | Piece::Cast => {}
            Piece::Other => self.forget(),
        }
    }

    /// An argument of EXECUTE that is no literal may have any value.
    fn end_argument(&mut self) {
        let Some(Frame {
            kind: Kind::Arguments,
            position,
            ..
        }) = self.frames.last()
        else {
            return;
        };
        let role = Role::Argument(u16::try_from(position + 1).unwrap_or(u16::MAX));
        if !self.list.iter().any(|literal| literal.role == role) {
            self.list.push(Literal { role, value: None });
        }
    }

    fn forget(&mut self) {
        if let Some(frame) = self.frames.last_mut() {
            frame.compared = None;
        }
    }

    fn word(&mut self, at: usize, word: &str, quoted: Quoted) {
        if quoted == Quoted::Yes {
            return;
        }
        let lower = word.to_ascii_lowercase();
        let top = self.frames.len() == 1;
        self.stage = match (self.stage, lower.as_str()) {
            (Stage::Start, "execute") => Stage::Execute,
            (Stage::Start, "insert" | "replace") => Stage::Insert,
            (Stage::Insert, "values" | "value") if top => Stage::Values,
            (Stage::Insert | Stage::Values, "select" | "on" | "returning") if top => Stage::Body,
            (Stage::Values | Stage::Body, "limit" | "offset") => Stage::Limit,
            (Stage::Start, _) => Stage::Body,
            (stage, _) => stage,
        };
        match lower.as_str() {
            "like" | "ilike" | "rlike" | "regexp" | "between" | "similar" => {
                self.compare_before(at)
            }
            // Between a column and its literal, or between two of them.
            "not" | "to" | "any" | "some" | "all" | "binary" | "in" | "array" | "date"
            | "timestamp" | "interval" | "time" | "symmetric" => {}
            "and" => {
                let between = self.follows_between(at);
                if !between {
                    self.forget();
                }
            }
            _ => self.forget(),
        }
    }

    /// Whether the AND at `at` belongs to a BETWEEN.
    fn follows_between(&self, at: usize) -> bool {
        let from = at.saturating_sub(MOST_BETWEEN);
        let before = self.pieces.get(from..at).unwrap_or_default();
        before.iter().rev().find_map(|piece| match piece {
            Piece::Word(word, Quoted::No) if word.eq_ignore_ascii_case("between") => Some(true),
            Piece::Word(word, Quoted::No) if word.eq_ignore_ascii_case("and") => Some(false),
            _ => None,
        }) == Some(true)
    }

    fn operator(&mut self, at: usize, operator: &str) {
        if COMPARISONS.contains(&operator) {
            self.compare_before(at);
        } else if !matches!(operator, "-" | "+") || !self.is_sign(at) {
            self.forget();
        }
    }

    /// The name before `at` is what the next literal belongs to.
    fn compare_before(&mut self, at: usize) {
        let mut before = at;
        if let Some(Piece::Word(word, Quoted::No)) =
            before.checked_sub(1).and_then(|at| self.pieces.get(at))
            && word.eq_ignore_ascii_case("not")
        {
            before -= 1;
        }
        let column = before.checked_sub(1).and_then(|at| self.column(at));
        if let Some(frame) = self.frames.last_mut() {
            frame.compared = column;
        }
    }

    /// The column whose name ends at `at`.
    fn column(&self, at: usize) -> Option<Box<str>> {
        match self.pieces.get(at)? {
            Piece::Word(word, quoted) => {
                let keyword = *quoted == Quoted::No && is_keyword(word);
                (!keyword).then(|| (&**word).into())
            }
            _ => None,
        }
    }

    /// The column whose name begins at `at`, on the right of a comparison.
    fn column_from(&self, at: usize) -> Option<Box<str>> {
        let mut last = at;
        while matches!(self.pieces.get(last + 1), Some(Piece::Dot)) {
            last += 2;
        }
        match self.pieces.get(last + 1) {
            Some(Piece::Open) => None,
            _ => self.column(last),
        }
    }

    /// Whether the operator at `at` is the sign of what follows.
    fn is_sign(&self, at: usize) -> bool {
        match at.checked_sub(1).and_then(|before| self.pieces.get(before)) {
            None => true,
            Some(Piece::Word(word, Quoted::No)) => is_keyword(word),
            Some(Piece::Operator(_) | Piece::Comma | Piece::Open | Piece::Semicolon) => true,
            Some(Piece::Word(_, Quoted::Yes)) => false,
            Some(Piece::Literal(..) | Piece::Dot | Piece::Close | Piece::Cast | Piece::Other) => {
                false
            }
        }
    }

    fn open(&mut self, at: usize) {
        let top = self.frames.len() == 1;
        let before = at.checked_sub(1).and_then(|at| self.pieces.get(at));
        let named = match before {
            Some(Piece::Word(word, Quoted::Yes)) => Some(&**word),
            Some(Piece::Word(word, Quoted::No)) if !is_keyword(word) => Some(&**word),
            _ => None,
        };
        let kind = match (self.stage, named) {
            (Stage::Execute, Some(_)) if top => Kind::Arguments,
            (Stage::Insert, Some(_)) if top && self.columns.is_empty() => Kind::Columns,
            (Stage::Values, None) if top => Kind::Row,
            (_, Some(name)) => Kind::Function(name.into()),
            (_, None) => match self.compared_by_in(at) {
                Some(column) => Kind::In(column),
                None => match self
                    .frames
                    .last_mut()
                    .and_then(|frame| frame.compared.take())
                {
                    Some(column) => Kind::In(column),
                    None => Kind::Group,
                },
            },
        };
        if matches!(kind, Kind::Columns) {
            self.columns = self.column_list(at + 1);
        }
        self.frames.push(Frame::new(kind));
    }

    /// The column in `column [NOT] IN (`.
    fn compared_by_in(&self, at: usize) -> Option<Box<str>> {
        let is = |at: Option<usize>, word: &str| match at.and_then(|at| self.pieces.get(at)) {
            Some(Piece::Word(found, Quoted::No)) => found.eq_ignore_ascii_case(word),
            _ => false,
        };
        if !is(at.checked_sub(1), "in") {
            return None;
        }
        let before = if is(at.checked_sub(2), "not") { 3 } else { 2 };
        self.column(at.checked_sub(before)?)
    }

    /// The names of a list of columns that begins at `from`.
    fn column_list(&self, from: usize) -> Vec<Box<str>> {
        let list = self.pieces.get(from..).unwrap_or_default();
        let mut names = Vec::new();
        let mut last: Option<&str> = None;
        for piece in list {
            match piece {
                Piece::Word(word, _) => last = Some(word),
                Piece::Comma | Piece::Close => {
                    names.push(last.take().unwrap_or_default().into());
                    if *piece == Piece::Close {
                        break;
                    }
                }
                _ => {}
            }
        }
        names
    }

    fn literal(&mut self, at: usize, value: Option<&str>, shape: Shape) {
        let negative = matches!(
            at.checked_sub(1).and_then(|before| self.pieces.get(before)),
            Some(Piece::Operator(sign)) if &**sign == "-"
        );
        let signed = at.checked_sub(1).is_some_and(|before| {
            matches!(self.pieces.get(before), Some(Piece::Operator(sign)) if matches!(&**sign, "-" | "+"))
                && self.is_sign(before)
        });
        let first = if signed { at - 1 } else { at };
        let computed = self.is_computed(first, at);
        let value = match (value, negative && signed, shape) {
            _ if computed => None,
            (Some(text), true, Shape::Number) => Some(format!("-{text}").into()),
            (Some(_), true, Shape::Text) | (None, _, _) => None,
            (Some(text), false, _) => Some(text.into()),
        };
        let role = self.role(at);
        self.list.push(Literal { role, value });
    }

    /// Whether the literal is but a part of what is compared.
    fn is_computed(&self, first: usize, last: usize) -> bool {
        let arithmetic = |piece: Option<&Piece<'_>>| match piece {
            Some(Piece::Operator(operator)) => !COMPARISONS.contains(&&**operator),
            Some(Piece::Literal(..)) => true,
            _ => false,
        };
        let before = first.checked_sub(1).and_then(|at| self.pieces.get(at));
        arithmetic(before) || arithmetic(self.pieces.get(last + 1))
    }

    fn role(&mut self, at: usize) -> Role {
        if let Some(Piece::Operator(operator)) = self.pieces.get(at + 1)
            && COMPARISONS.contains(&&**operator)
            && let Some(column) = self.column_from(at + 2)
        {
            return Role::Column(column);
        }
        let (stage, columns) = (self.stage, &self.columns);
        let Some(frame) = self.frames.last_mut() else {
            return Role::Free;
        };
        if let Some(column) = &frame.compared {
            return Role::Column(column.clone());
        }
        match &frame.kind {
            Kind::In(column) => Role::Column(column.clone()),
            Kind::Function(name) => Role::Function(name.clone()),
            Kind::Arguments => {
                Role::Argument(u16::try_from(frame.position + 1).unwrap_or(u16::MAX))
            }
            Kind::Row => match columns.get(frame.position) {
                Some(column) if !column.is_empty() => Role::Column(column.clone()),
                _ => Role::Free,
            },
            Kind::Group if stage == Stage::Limit => Role::Limit,
            Kind::Group | Kind::Columns => Role::Free,
        }
    }
}

/// How far back a BETWEEN is looked for.
const MOST_BETWEEN: usize = 64;

fn is_keyword(word: &str) -> bool {
    KEYWORDS
        .iter()
        .any(|keyword| word.eq_ignore_ascii_case(keyword))
}
