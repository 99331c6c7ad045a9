//! Reads tokens into a [`Tree`]: clauses by their keywords, one query after the other.
//!
//! It never fails: a token that fits nowhere is skipped. Depth is bounded, and so is the work: each token is passed once.

use super::expression::Height;
use super::token::{Key, Kind, Token};
use super::tree::{Arm, Node, Place, Query, Shape, Tree};

/// Reads a text's tokens.
pub(crate) fn read<'t>(text: &'t [u8], tokens: &'t [Token]) -> Tree<'t> {
    let mut reader = Reader {
        tree: Tree {
            text,
            tokens,
            nodes: Vec::with_capacity(tokens.len() / 2),
            queries: Vec::new(),
            statements: Vec::new(),
        },
        heights: Vec::with_capacity(tokens.len() / 2),
        at: 0,
        depth: 0,
        place: Place::Other,
        query: 0,
        statement: 0,
    };
    while reader.kind().is_some() {
        let start = reader.at;
        reader.query(None);
        reader.tree.statements.push(start..reader.at);
        reader.statement += 1;
        reader.at += 1;
    }
    reader.tree
}

/// How deep queries and brackets may nest; deeper ones are passed over.
pub(super) const MAX_DEPTH: u32 = 100;

/// Where the reading stands.
pub(super) struct Reader<'t> {
    pub(super) tree: Tree<'t>,
    pub(super) heights: Vec<Height>,
    pub(super) at: u32,
    pub(super) depth: u32,
    pub(super) place: Place,
    pub(super) query: u32,
    statement: usize,
}

impl Reader<'_> {
    pub(super) fn kind(&self) -> Option<Kind> {
        self.ahead(0)
    }

    pub(super) fn ahead(&self, ahead: u32) -> Option<Kind> {
        self.tree.token(self.at + ahead).map(|token| token.kind)
    }

    pub(super) fn eat(&mut self, kind: Kind) -> bool {
        let found = self.kind() == Some(kind);
        self.at += u32::from(found);
        found
    }

    pub(super) fn eat_key(&mut self, key: Key) -> bool {
        self.eat(Kind::Key(key))
    }

    /// Whether the bracket here holds a query, and not an expression that starts with one.
    pub(super) fn opens_query(&self) -> bool {
        let brackets = (0..MAX_DEPTH)
            .take_while(|ahead| self.ahead(*ahead) == Some(Kind::Open))
            .count();
        let brackets = u32::try_from(brackets).unwrap_or(u32::MAX);
        let selects = matches!(
            self.ahead(brackets),
            Some(Kind::Key(Key::Select | Key::With | Key::Values))
        );
        selects && (brackets < 2 || self.goes_on_as_query())
    }

    /// Whether what follows the second bracket's end belongs to a query: UNION, ORDER BY, the end.
    fn goes_on_as_query(&self) -> bool {
        let mut open = 0_u32;
        let mut ahead = 1;
        loop {
            match self.ahead(ahead) {
                None | Some(Kind::Semicolon) => return true,
                Some(Kind::Open) => open += 1,
                Some(Kind::Close) => open = open.saturating_sub(1),
                Some(_) => {}
            }
            ahead += 1;
            if open == 0 {
                break;
            }
        }
        matches!(
            self.ahead(ahead),
            None | Some(
                Kind::Close
                    | Kind::Key(
                        Key::Union
                            | Key::Except
                            | Key::Intersect
                            | Key::Order
                            | Key::Limit
                            | Key::Offset
                    )
            )
        )
    }

    /// Reads a query up to a bracket or semicolon that ends it; its number.
    pub(super) fn query(&mut self, outer: Option<u32>) -> u32 {
        let number = u32::try_from(self.tree.queries.len()).unwrap_or(u32::MAX);
        self.tree.queries.push(Query {
            arms: Vec::new(),
            has_rows: false,
            outer,
            statement: self.statement,
        });
        let around = (self.query, self.place);
        (self.query, self.place) = (number, Place::Other);
        let mut arms = Vec::new();
        let mut open = Open::new(self.at);
        loop {
            match self.kind() {
                None | Some(Kind::Semicolon) => break,
                Some(Kind::Close) if open.brackets == 0 && outer.is_some() => break,
                Some(Kind::Close) => {
                    // In a text with brackets that nothing opened, what follows them is read all the same.
                    open.brackets = open.brackets.saturating_sub(1);
                    self.at += 1;
                }
                Some(Kind::Comma) => self.at += 1,
                Some(Kind::Key(Key::Union | Key::Except | Key::Intersect)) => {
                    arms.push(open.close(self.at));
                    self.at += 1;
                    while self.eat_key(Key::All) || self.eat_key(Key::Distinct) {}
                    self.place = Place::Other;
                }
                Some(Kind::Open) if !open.started && self.opens_query() => {
                    open.brackets += 1;
                    self.at += 1;
                }
                Some(Kind::Key(key)) => self.keyword(key, &mut open),
                Some(_) => self.item(&mut open),
            }
        }
        arms.push(open.close(self.at));
        (self.query, self.place) = around;
        if let Some(query) = self.tree.queries.get_mut(number as usize) {
            query.has_rows = arms.iter().any(Arm::has_rows);
            query.arms = arms;
        }
        number
    }

    /// A keyword between items: most begin a clause.
    fn keyword(&mut self, key: Key, open: &mut Open) {
        let changes = matches!(key, Key::Insert | Key::Update | Key::Delete | Key::Replace);
        open.arm.changes |= changes && !self.is_call(key);
        let place = match key {
            Key::Select => {
                open.arm.selects = true;
                Place::Select
            }
            Key::From => {
                open.arm.from = true;
                Place::From
            }
            Key::Where => {
                open.started = true;
                self.at += 1;
                self.place = Place::Where;
                open.arm.filter = self.expression();
                return;
            }
            Key::Or | Key::And | Key::Xor => {
                // Behind a bracket that nothing opened.
                let left = open.arm.filter;
                let joined = self.dangling(key, left);
                open.arm.filter = joined.or(left);
                return;
            }
            Key::On => {
                open.arm.joined = true;
                // What follows may also be `ON DUPLICATE KEY UPDATE`.
                self.at += 1;
                self.expression();
                return;
            }
            Key::Group => Place::Group,
            Key::Having => Place::Having,
            Key::Order => Place::Order,
            Key::Limit | Key::Offset | Key::Fetch => Place::Limit,
            Key::Values => {
                open.arm.selects |= !open.started;
                Place::Assign
            }
            Key::Using => {
                open.arm.joined = true;
                self.place
            }
            Key::Set => Place::Assign,
            Key::Returning => Place::Select,
            Key::Into if self.place == Place::Select => Place::Other,
            Key::By
            | Key::All
            | Key::Distinct
            | Key::As
            | Key::Asc
            | Key::Desc
            | Key::Cross
            | Key::Delete
            | Key::For
            | Key::Full
            | Key::Inner
            | Key::Insert
            | Key::Into
            | Key::Join
            | Key::Lateral
            | Key::Left
            | Key::Natural
            | Key::Procedure
            | Key::Replace
            | Key::Right
            | Key::Update
            | Key::Window
            | Key::With
                if !self.is_call(key) =>
            {
                self.place
            }
            _ => return self.item(open),
        };
        open.started = true;
        self.place = place;
        self.at += 1;
    }

    /// Keywords that are functions where a bracket follows.
    pub(super) fn is_call(&self, key: Key) -> bool {
        matches!(
            key,
            Key::Left | Key::Right | Key::Replace | Key::Insert | Key::Mod
        ) && self.ahead(1) == Some(Kind::Open)
    }

    /// Something selected, a table, a value: what stands between commas.
    fn item(&mut self, open: &mut Open) {
        open.started = true;
        let before = self.at;
        let Some(id) = self.expression() else {
            self.at = self.at.max(before + 1);
            return;
        };
        let named = match self.kind() {
            Some(Kind::Key(Key::As)) => {
                self.at += 1;
                if !matches!(self.kind(), Some(Kind::Open | Kind::Key(_))) {
                    self.at += 1;
                }
                true
            }
            Some(Kind::Name) => {
                self.at += 1;
                true
            }
            _ => false,
        };
        match self.place {
            Place::Select => open.arm.list.push((id, named)),
            Place::From => {
                if let Some(Node {
                    shape: Shape::Column,
                    tokens,
                    ..
                }) = self.tree.node(id)
                {
                    open.arm.tables.push(tokens.clone());
                }
            }
            Place::Where
            | Place::Group
            | Place::Having
            | Place::Order
            | Place::Limit
            | Place::Assign
            | Place::Other => {}
        }
    }
}

/// The arm that is being read.
struct Open {
    arm: Arm,
    started: bool,
    brackets: u32,
}

impl Open {
    fn new(start: u32) -> Self {
        Open {
            arm: Arm {
                tokens: start..start,
                ..Arm::default()
            },
            started: false,
            brackets: 0,
        }
    }

    /// Ends the arm before the token `at` and begins the next one there.
    fn close(&mut self, at: u32) -> Arm {
        self.started = false;
        let next = Arm {
            tokens: at..at,
            ..Arm::default()
        };
        let mut arm = std::mem::replace(&mut self.arm, next);
        arm.tokens.end = at;
        arm
    }
}
