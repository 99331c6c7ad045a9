//! The structure of a text, as far as detectors need it: queries, their arms and clauses, expressions.
//!
//! It is built from tokens by one reader for all dialects ([`super::read`]), is good enough for any text and exact for
//! none: what it does not understand is [`Shape::Other`]. Facts that decide about objects come from elsewhere.

use std::ops::Range;

use smallvec::SmallVec;

use super::token::{Key, Kind, Op, Token};

/// The number of a node.
pub(crate) type Id = u32;

/// An expression.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// What it is.
    pub(crate) shape: Shape,
    /// Its tokens.
    pub(crate) tokens: Range<u32>,
    /// Where it stands.
    pub(crate) place: Place,
    /// Whether parentheses stand around it.
    pub(crate) enclosed: bool,
    /// The query that it belongs to.
    pub(crate) query: u32,
}

/// What an expression is.
#[derive(Clone, Debug)]
pub(crate) enum Shape {
    /// A value that was written down.
    Literal,
    /// A bound value.
    Param,
    /// A column, or a word that may be one.
    Column,
    /// `@name`, `@@name`.
    Variable,
    /// A call; the name's tokens, and the arguments.
    Call(Range<u32>, SmallVec<[Id; 4]>),
    /// A value and the name of a type it is made.
    Cast(Id, Range<u32>),
    /// Conditions and results, in order.
    Case(SmallVec<[Id; 4]>),
    /// `(SELECT …)`: the number of the query.
    Query(u32),
    /// An operator before a value.
    Prefix(Prefix, Id),
    /// An operator between two values.
    Infix(Infix, Id, Id),
    /// `(a, b)`
    List(SmallVec<[Id; 4]>),
    /// Not understood.
    Other,
}

/// Operators before a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Prefix {
    /// NOT, `!`
    Not,
    /// `+`, `-`, BINARY
    Sign,
    /// `~`
    Invert,
    /// EXISTS, ANY, DISTINCT
    Other,
}

/// Operators between values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Infix {
    /// OR
    Or,
    /// XOR
    Xor,
    /// AND
    And,
    /// `=`
    Equal,
    /// Another comparison, IN, BETWEEN
    Compare,
    /// LIKE, RLIKE, SIMILAR TO
    Match,
    /// IS
    Is,
    /// `||`
    Concat,
    /// `+ - * / %`
    Arithmetic,
    /// Any other.
    Other,
}

impl Infix {
    /// Whether it compares.
    pub(crate) fn compares(self) -> bool {
        matches!(
            self,
            Infix::Equal | Infix::Compare | Infix::Match | Infix::Is
        )
    }

    /// Whether it joins conditions.
    pub(crate) fn joins(self) -> bool {
        matches!(self, Infix::Or | Infix::Xor | Infix::And)
    }
}

/// The clause that an expression stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// What is selected.
    Select,
    /// FROM and ON.
    From,
    /// WHERE.
    Where,
    /// GROUP BY.
    Group,
    /// HAVING.
    Having,
    /// ORDER BY.
    Order,
    /// LIMIT, OFFSET.
    Limit,
    /// SET of UPDATE, VALUES of INSERT.
    Assign,
    /// Elsewhere.
    Other,
}

/// One SELECT, or one INSERT, UPDATE or DELETE; a UNION has several.
#[derive(Clone, Debug, Default)]
pub(crate) struct Arm {
    /// Its tokens.
    pub(crate) tokens: Range<u32>,
    /// Whether it is a SELECT or VALUES.
    pub(crate) selects: bool,
    /// Whether it is an INSERT, UPDATE or DELETE.
    pub(crate) changes: bool,
    /// What it selects, and whether a name is given to it.
    pub(crate) list: Vec<(Id, bool)>,
    /// Names in FROM, as token ranges.
    pub(crate) tables: Vec<Range<u32>>,
    /// Whether a condition says how its tables belong together.
    pub(crate) joined: bool,
    /// Whether it has a FROM.
    pub(crate) from: bool,
    /// Its WHERE.
    pub(crate) filter: Option<Id>,
}

impl Arm {
    /// Whether it reads or changes rows of tables.
    pub(crate) fn has_rows(&self) -> bool {
        self.from || self.changes
    }
}

/// A query or another statement with all its arms.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query {
    /// Its arms.
    pub(crate) arms: Vec<Arm>,
    /// Whether one of its arms reads or changes rows of tables.
    pub(crate) has_rows: bool,
    /// The query around it.
    pub(crate) outer: Option<u32>,
    /// The statement that it belongs to, counted from 0.
    pub(crate) statement: usize,
}

/// A text's structure.
#[derive(Clone, Debug)]
pub(crate) struct Tree<'t> {
    /// The text.
    pub(crate) text: &'t [u8],
    /// Its tokens.
    pub(crate) tokens: &'t [Token],
    /// Its expressions.
    pub(crate) nodes: Vec<Node>,
    /// Its queries.
    pub(crate) queries: Vec<Query>,
    /// Where its statements lie, as token ranges.
    pub(crate) statements: Vec<Range<u32>>,
}

impl<'t> Tree<'t> {
    /// A node.
    pub(crate) fn node(&self, id: Id) -> Option<&Node> {
        self.nodes.get(id as usize)
    }

    /// A node's shape.
    pub(crate) fn shape(&self, id: Id) -> &Shape {
        self.node(id).map_or(&Shape::Other, |node| &node.shape)
    }

    /// A token.
    pub(crate) fn token(&self, at: u32) -> Option<&Token> {
        self.tokens.get(at as usize)
    }

    /// A token's bytes.
    pub(crate) fn bytes(&self, at: u32) -> &'t [u8] {
        let text = self.text;
        self.token(at).map_or(&[], |token| token.bytes(text))
    }

    /// The bytes of the text that some tokens cover.
    pub(crate) fn range(&self, tokens: &Range<u32>) -> Range<usize> {
        let start = self
            .token(tokens.start)
            .map_or(0, |token| token.start as usize);
        let last = tokens.end.saturating_sub(1).max(tokens.start);
        let end = self.token(last).map_or(start, |token| token.end as usize);
        start..end.max(start)
    }

    /// The last part of a name, without its quotes, in lower case; longer names than any that is asked for are cut.
    pub(crate) fn last_name(&self, tokens: &Range<u32>) -> SmallVec<[u8; 32]> {
        self.folded(tokens.end.saturating_sub(1))
    }

    /// The first part of a name.
    pub(crate) fn first_name(&self, tokens: &Range<u32>) -> SmallVec<[u8; 32]> {
        self.folded(tokens.start)
    }

    fn folded(&self, at: u32) -> SmallVec<[u8; 32]> {
        self.bytes(at)
            .iter()
            .filter(|byte| !matches!(byte, b'"' | b'`'))
            .take(32)
            .map(u8::to_ascii_lowercase)
            .collect()
    }

    /// Whether nothing in the expression differs between rows or executions, and nothing is asked of the server.
    pub(crate) fn is_constant(&self, id: Id) -> bool {
        match self.shape(id) {
            Shape::Literal => true,
            Shape::Param | Shape::Column | Shape::Variable | Shape::Query(_) | Shape::Other => {
                false
            }
            Shape::Call(name, arguments) => {
                super::names::is_pure(&self.last_name(name))
                    && arguments.iter().all(|id| self.is_constant(*id))
            }
            Shape::Cast(value, _) | Shape::Prefix(_, value) => self.is_constant(*value),
            Shape::Infix(_, left, right) => self.is_constant(*left) && self.is_constant(*right),
            Shape::Case(parts) | Shape::List(parts) => parts.iter().all(|id| self.is_constant(*id)),
        }
    }

    /// Whether some node in the expression fits; queries in it are asked as nodes, their insides are not.
    pub(crate) fn any(&self, id: Id, fits: &impl Fn(&Self, Id) -> bool) -> bool {
        fits(self, id)
            || match self.shape(id) {
                Shape::Literal
                | Shape::Param
                | Shape::Column
                | Shape::Variable
                | Shape::Query(_)
                | Shape::Other => false,
                Shape::Call(_, parts) | Shape::Case(parts) | Shape::List(parts) => {
                    parts.iter().any(|id| self.any(*id, fits))
                }
                Shape::Cast(value, _) | Shape::Prefix(_, value) => self.any(*value, fits),
                Shape::Infix(_, left, right) => self.any(*left, fits) || self.any(*right, fits),
            }
    }

    /// Whether two expressions have the same tokens.
    pub(crate) fn same(&self, left: Id, right: Id) -> bool {
        let (Some(left), Some(right)) = (self.node(left), self.node(right)) else {
            return false;
        };
        left.tokens.len() == right.tokens.len()
            && left
                .tokens
                .clone()
                .zip(right.tokens.clone())
                .all(|(a, b)| self.bytes(a).eq_ignore_ascii_case(self.bytes(b)))
    }

    /// Whether a node is a plain string, number or the like.
    pub(crate) fn literal_kind(&self, id: Id) -> Option<Kind> {
        match self.node(id)? {
            Node {
                shape: Shape::Literal,
                tokens,
                ..
            } => self
                .token(tokens.end.saturating_sub(1))
                .map(|token| token.kind),
            _ => None,
        }
    }

    /// Every node with its number.
    pub(crate) fn all(&self) -> impl Iterator<Item = (Id, &Node)> {
        (0..).zip(&self.nodes)
    }

    /// Whether a node belongs to a statement that reads or changes rows, or to a query in one.
    pub(crate) fn is_beside_rows(&self, node: &Node) -> bool {
        self.queries.len() > 1 || self.query_of(node).is_some_and(|query| query.has_rows)
    }

    /// The query that a node belongs to.
    pub(crate) fn query_of(&self, node: &Node) -> Option<&Query> {
        self.queries.get(node.query as usize)
    }

    /// The statement that a token belongs to.
    pub(crate) fn statement_at(&self, at: u32) -> usize {
        let number = self.statements.partition_point(|tokens| tokens.end <= at);
        number.min(self.statements.len().saturating_sub(1))
    }

    /// The queries of a statement.
    pub(crate) fn queries_of(&self, statement: usize) -> impl Iterator<Item = &Query> {
        let from = self
            .queries
            .partition_point(|query| query.statement < statement);
        let rest = self.queries.get(from..).unwrap_or_default();
        rest.iter()
            .take_while(move |query| query.statement == statement)
    }

    /// Whether a token is this keyword.
    pub(crate) fn is(&self, at: u32, key: Key) -> bool {
        self.token(at)
            .is_some_and(|token| token.kind == Kind::Key(key))
    }

    /// Whether a token is this operator.
    pub(crate) fn is_op(&self, at: u32, op: Op) -> bool {
        self.token(at)
            .is_some_and(|token| token.kind == Kind::Op(op))
    }
}
