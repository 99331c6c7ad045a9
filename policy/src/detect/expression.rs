//! Reads expressions, by the precedence that both grammars share as far as conditions are concerned.

use smallvec::SmallVec;

use super::read::{MAX_DEPTH, Reader};
use super::token::{Key, Kind, Op};
use super::tree::{Id, Infix, Node, Prefix, Shape};

/// How many nodes stand above each other below a node.
pub(super) type Height = u16;

/// Chains that are higher start anew: walks over the tree recurse.
const MAX_HEIGHT: Height = 300;

/// How tightly operators bind.
const OR: u8 = 1;
const XOR: u8 = 2;
const AND: u8 = 3;
const NOT: u8 = 4;
const COMPARE: u8 = 5;
const OTHER: u8 = 7;
const SUM: u8 = 8;
const PRODUCT: u8 = 9;
const SIGN: u8 = 10;

impl Reader<'_> {
    /// An expression; `None` if none starts here.
    pub(super) fn expression(&mut self) -> Option<Id> {
        self.binding(0)
    }

    /// AND, OR or XOR and what follows, with `left` before it.
    pub(super) fn dangling(&mut self, key: Key, left: Option<Id>) -> Option<Id> {
        let start = self.at;
        let left = left.unwrap_or_else(|| self.push(Shape::Other, start));
        self.at += 1;
        let right = self.expression()?;
        let infix = match key {
            Key::Or => Infix::Or,
            Key::Xor => Infix::Xor,
            _ => Infix::And,
        };
        Some(self.push(Shape::Infix(infix, left, right), start))
    }

    fn push(&mut self, shape: Shape, start: u32) -> Id {
        let height = |id: &Id| self.heights.get(*id as usize).copied().unwrap_or(0);
        let below = match &shape {
            Shape::Literal
            | Shape::Param
            | Shape::Column
            | Shape::Variable
            | Shape::Query(_)
            | Shape::Other => 0,
            Shape::Call(_, parts) | Shape::Case(parts) | Shape::List(parts) => {
                parts.iter().map(height).max().unwrap_or(0)
            }
            Shape::Cast(value, _) | Shape::Prefix(_, value) => height(value),
            Shape::Infix(_, left, right) => height(left).max(height(right)),
        };
        let (shape, height) = match below {
            MAX_HEIGHT.. => (Shape::Other, 0),
            _ => (shape, below + 1),
        };
        let id = Id::try_from(self.tree.nodes.len()).unwrap_or(Id::MAX);
        self.tree.nodes.push(Node {
            shape,
            tokens: start..self.at,
            place: self.place,
            enclosed: false,
            query: self.query,
        });
        self.heights.push(height);
        id
    }

    /// An expression of operators that bind at least as tightly as `least`.
    fn binding(&mut self, least: u8) -> Option<Id> {
        if self.depth >= MAX_DEPTH {
            return self.too_deep();
        }
        self.depth += 1;
        let start = self.at;
        let mut left = self.prefixed();
        while let Some(done) = left {
            match self.infix(done, start, least) {
                Some(next) => left = Some(next),
                None => break,
            }
        }
        self.depth -= 1;
        left
    }

    fn too_deep(&mut self) -> Option<Id> {
        let start = self.at;
        let mut open = 0_u32;
        while let Some(kind) = self.kind() {
            match kind {
                Kind::Open => open += 1,
                Kind::Close if open == 0 => break,
                Kind::Close => open -= 1,
                Kind::Semicolon => break,
                _ => {}
            }
            self.at += 1;
        }
        (self.at > start).then(|| self.push(Shape::Other, start))
    }

    fn prefixed(&mut self) -> Option<Id> {
        let start = self.at;
        let (prefix, least) = match self.kind()? {
            Kind::Key(Key::Not) => (Prefix::Not, NOT),
            Kind::Op(Op::Not) => (Prefix::Not, SIGN),
            Kind::Op(Op::Sum) | Kind::Key(Key::Binary) => (Prefix::Sign, SIGN),
            Kind::Op(Op::Tilde) => (Prefix::Invert, SIGN),
            Kind::Key(Key::Exists | Key::Any | Key::Some | Key::All | Key::Distinct) => {
                (Prefix::Other, SIGN)
            }
            Kind::Op(Op::Other) => (Prefix::Other, SIGN),
            _ => return self.primary(),
        };
        self.at += 1;
        let value = self.binding(least)?;
        Some(self.push(Shape::Prefix(prefix, value), start))
    }

    /// Continues `left` with an operator that binds at least as tightly as `least`.
    fn infix(&mut self, left: Id, start: u32, least: u8) -> Option<Id> {
        let negated = self.kind() == Some(Kind::Key(Key::Not));
        let kind = self.ahead(u32::from(negated))?;
        let (infix, binds) = match kind {
            Kind::Key(Key::In | Key::Between) => (Infix::Compare, COMPARE),
            Kind::Key(Key::Like | Key::Ilike | Key::Rlike | Key::Regexp | Key::Similar) => {
                (Infix::Match, COMPARE)
            }
            _ if negated => return None,
            Kind::Key(Key::Or) | Kind::Op(Op::Or) => (Infix::Or, OR),
            Kind::Key(Key::Xor) => (Infix::Xor, XOR),
            Kind::Key(Key::And) | Kind::Op(Op::And) => (Infix::And, AND),
            Kind::Key(Key::Is) => (Infix::Is, COMPARE),
            Kind::Op(Op::Eq) => (Infix::Equal, COMPARE),
            Kind::Op(Op::Compare) => (Infix::Compare, COMPARE),
            Kind::Op(Op::Concat) => (Infix::Concat, OTHER),
            Kind::Op(Op::Sum) => (Infix::Arithmetic, SUM),
            Kind::Op(Op::Star | Op::Product) | Kind::Key(Key::Div | Key::Mod) => {
                (Infix::Arithmetic, PRODUCT)
            }
            Kind::Op(Op::Other | Op::Tilde | Op::Not) => (Infix::Other, OTHER),
            Kind::Cast | Kind::Key(Key::Collate) | Kind::OpenOther => {
                return self.postfix(left, start, kind);
            }
            _ => return None,
        };
        if binds < least {
            return None;
        }
        self.at += 1 + u32::from(negated);
        let right = self.operand(kind, binds + 1);
        Some(match right {
            Some(right) => self.push(Shape::Infix(infix, left, right), start),
            None => self.push(Shape::Other, start),
        })
    }

    /// What stands right of an operator.
    fn operand(&mut self, operator: Kind, least: u8) -> Option<Id> {
        let start = self.at;
        match operator {
            Kind::Key(Key::Between) => {
                let low = self.binding(COMPARE + 1)?;
                // `BETWEEN 1 PRECEDING AND …`
                self.eat(Kind::Name);
                self.eat_key(Key::And);
                let high = self.binding(COMPARE + 1)?;
                Some(self.push(Shape::List(SmallVec::from_slice(&[low, high])), start))
            }
            Kind::Key(Key::Is) => {
                self.eat_key(Key::Not);
                if self.eat_key(Key::Distinct) {
                    self.eat_key(Key::From);
                }
                self.binding(least)
            }
            Kind::Key(Key::Similar) => {
                self.eat(Kind::Name);
                self.binding(least)
            }
            Kind::Key(Key::Like | Key::Ilike) => {
                let pattern = self.binding(least)?;
                if self.eat_key(Key::Escape) {
                    self.primary();
                }
                Some(pattern)
            }
            _ => self.binding(least),
        }
    }

    /// `::type`, `COLLATE name`, `[index]`.
    fn postfix(&mut self, left: Id, start: u32, kind: Kind) -> Option<Id> {
        self.at += 1;
        if kind == Kind::OpenOther {
            self.inside();
            return Some(self.push(Shape::Other, start));
        }
        let name = self.at;
        self.type_name();
        let tokens = name..self.at;
        Some(self.push(Shape::Cast(left, tokens), start))
    }

    /// A type's name with its brackets.
    fn type_name(&mut self) {
        if matches!(self.kind(), Some(Kind::Name | Kind::Text | Kind::Key(_))) {
            self.at += 1;
            while self.eat(Kind::Dot) {
                self.at += 1;
            }
            if self.kind() == Some(Kind::Open) {
                self.at += 1;
                self.inside();
            }
        }
    }

    fn primary(&mut self) -> Option<Id> {
        let start = self.at;
        let kind = self.kind()?;
        match kind {
            Kind::Text => {
                while self.eat(Kind::Text) {}
                Some(self.push(Shape::Literal, start))
            }
            Kind::Number | Kind::Hex | Kind::Key(Key::Null | Key::True | Key::False) => {
                self.at += 1;
                Some(self.push(Shape::Literal, start))
            }
            Kind::Param => {
                self.at += 1;
                Some(self.push(Shape::Param, start))
            }
            Kind::Variable => {
                self.at += 1;
                if self.kind() == Some(Kind::Name) && self.tree.bytes(start) == b"@@" {
                    self.name_chain();
                }
                Some(self.push(Shape::Variable, start))
            }
            Kind::Op(Op::Star) => {
                self.at += 1;
                Some(self.push(Shape::Column, start))
            }
            Kind::Key(Key::Case) => Some(self.case()),
            Kind::Key(Key::Interval) if self.ahead(1) != Some(Kind::Open) => self.interval(),
            Kind::Key(key) if self.is_call(key) => {
                self.at += 1;
                Some(self.call(start))
            }
            Kind::Name | Kind::Key(Key::Interval) => Some(self.named(start)),
            Kind::Open => Some(self.brackets()),
            Kind::OpenOther => {
                self.at += 1;
                self.inside();
                Some(self.push(Shape::Other, start))
            }
            _ => None,
        }
    }

    /// `INTERVAL value unit`.
    fn interval(&mut self) -> Option<Id> {
        let start = self.at;
        self.at += 1;
        let value = match self.kind()? {
            Kind::Text | Kind::Number => self.primary(),
            _ => self.binding(SUM),
        }?;
        let unit = self.at;
        self.eat(Kind::Name);
        let unit = unit..self.at;
        Some(self.push(Shape::Cast(value, unit), start))
    }

    fn name_chain(&mut self) {
        self.at += 1;
        while self.eat(Kind::Dot) {
            if matches!(
                self.kind(),
                Some(Kind::Name | Kind::Key(_) | Kind::Op(Op::Star))
            ) {
                self.at += 1;
            }
        }
    }

    /// A column, a call, or a literal with its type before it.
    fn named(&mut self, start: u32) -> Id {
        self.name_chain();
        match self.kind() {
            Some(Kind::Open) => self.call(start),
            Some(Kind::Text | Kind::Hex) if self.at == start + 1 => {
                self.at += 1;
                self.push(Shape::Literal, start)
            }
            _ => self.push(Shape::Column, start),
        }
    }

    /// The arguments of a call whose name starts at `start`.
    fn call(&mut self, start: u32) -> Id {
        let name = start..self.at;
        self.at += 1;
        let mut arguments: SmallVec<[Id; 4]> = SmallVec::new();
        let mut kind_of = None;
        loop {
            match self.kind() {
                None | Some(Kind::Semicolon) => break,
                Some(Kind::Close) => {
                    self.at += 1;
                    break;
                }
                Some(Kind::Key(Key::As)) => {
                    self.at += 1;
                    let from = self.at;
                    self.type_name();
                    kind_of.get_or_insert(from..self.at);
                }
                Some(Kind::Key(Key::Select | Key::With)) => {
                    let from = self.at;
                    let query = self.query(Some(self.query));
                    let id = self.push(Shape::Query(query), from);
                    arguments.push(id);
                }
                Some(_) => match self.expression() {
                    Some(id) => arguments.push(id),
                    None => self.at += 1,
                },
            }
        }
        match (kind_of, arguments.first()) {
            (Some(kind), Some(&value)) => self.push(Shape::Cast(value, kind), start),
            _ => self.push(Shape::Call(name, arguments), start),
        }
    }

    fn case(&mut self) -> Id {
        let start = self.at;
        self.at += 1;
        let mut parts: SmallVec<[Id; 4]> = SmallVec::new();
        loop {
            match self.kind() {
                None | Some(Kind::Semicolon | Kind::Close) => break,
                Some(Kind::Key(Key::End)) => {
                    self.at += 1;
                    break;
                }
                Some(_) => match self.expression() {
                    Some(id) => parts.push(id),
                    None => self.at += 1,
                },
            }
        }
        self.push(Shape::Case(parts), start)
    }

    /// What stands in brackets: a query, an expression or a list.
    fn brackets(&mut self) -> Id {
        let start = self.at;
        let query = self.depth < MAX_DEPTH && self.opens_query();
        self.at += 1;
        if query {
            self.depth += 1;
            let query = self.query(Some(self.query));
            self.depth -= 1;
            self.eat(Kind::Close);
            return self.push(Shape::Query(query), start);
        }
        let parts = self.inside();
        match parts.as_slice() {
            [only] => {
                let (only, end) = (*only, self.at);
                if let Some(node) = self.tree.nodes.get_mut(only as usize) {
                    node.enclosed = true;
                    node.tokens = start..end;
                }
                only
            }
            _ => self.push(Shape::List(parts), start),
        }
    }

    /// Everything up to the bracket that closes.
    fn inside(&mut self) -> SmallVec<[Id; 4]> {
        let mut parts: SmallVec<[Id; 4]> = SmallVec::new();
        loop {
            match self.kind() {
                None | Some(Kind::Semicolon) => break,
                Some(Kind::Close | Kind::CloseOther) => {
                    self.at += 1;
                    break;
                }
                Some(_) => match self.expression() {
                    Some(id) => parts.push(id),
                    None => self.at += 1,
                },
            }
        }
        parts
    }
}
