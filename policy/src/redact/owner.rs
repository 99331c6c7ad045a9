//! Which column a value belongs to, in statements plain enough to tell.
//!
//! A plain statement is one SELECT, INSERT, REPLACE, UPDATE or DELETE over named tables, without sub-queries, so that a name
//! is a column of a table and no alias of an expression. Everything that isn't recognised here belongs to nobody known,
//! and what belongs to nobody known is hidden.

use super::piece::{Kind, Piece};

/// Whose a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner<'p> {
    /// It can't be told.
    Unknown,
    /// No column's: a LIMIT.
    Nobody,
    /// It is compared with this column or assigned to it.
    Column(&'p str),
    /// It is part of an expression that is assigned to this column.
    Within(&'p str),
}

/// The owner of each token of a statement (`Unknown` for those that are no values); `None` if it isn't plain.
pub(super) fn owners<'p>(tokens: &[&'p Piece]) -> Option<Vec<Owner<'p>>> {
    let region = match tokens.first().and_then(|token| token.word())? {
        "select" => Region::Head,
        "insert" | "replace" => Region::Insert,
        "update" | "delete" => Region::From,
        _ => return None,
    };
    let mut walk = Walk {
        tokens,
        owners: vec![Owner::Unknown; tokens.len()],
        region,
        depth: 0,
        columns: None,
    };
    let mut at = 1;
    while at < tokens.len() {
        at = walk.step(at)?;
    }
    Some(walk.owners)
}

/// The part of a statement.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Region {
    /// What is selected.
    Head,
    /// Behind INSERT, before the values.
    Insert,
    /// The rows of an INSERT.
    Values,
    /// Tables.
    From,
    /// Conditions and assignments.
    Conditions,
    /// What comes behind them.
    Tail,
}

struct Walk<'w, 'p> {
    tokens: &'w [&'p Piece],
    owners: Vec<Owner<'p>>,
    region: Region,
    depth: u32,
    /// The columns that an INSERT names; `None` for what is no plain name.
    columns: Option<Vec<Option<&'p str>>>,
}

impl<'p> Walk<'_, 'p> {
    /// Looks at the token at `at`; the next to be looked at, or `None` if the statement isn't plain.
    fn step(&mut self, at: usize) -> Option<usize> {
        let token = self.token(at)?;
        match &token.kind {
            Kind::Open => return self.open(at),
            Kind::Close => self.depth = self.depth.checked_sub(1)?,
            Kind::Word(word) if !self.is_kind(at.checked_sub(1), &Kind::Dot) => {
                return self.word(at, word);
            }
            Kind::Literal { .. } | Kind::Parameter(_) => {
                let owner = self.owner(at);
                self.set(at, owner);
            }
            _ => {}
        }
        Some(at + 1)
    }

    fn word(&mut self, at: usize, word: &str) -> Option<usize> {
        if NOT_PLAIN.contains(&word) || (word == "as" && self.region == Region::Values) {
            return None;
        }
        if word == "in"
            && self.region == Region::Conditions
            && self.is_kind(Some(at + 1), &Kind::Open)
        {
            return self.list(at);
        }
        if self.depth > 0 {
            return Some(at + 1);
        }
        self.region = match word {
            "values" | "value"
                if self.region == Region::Insert
                    && (self.is_kind(Some(at + 1), &Kind::Open)
                        || self.word_at(at + 1) == Some("row")) =>
            {
                Region::Values
            }
            "from" | "join" => Region::From,
            "where" | "on" | "set" => Region::Conditions,
            "group" | "order" | "limit" | "offset" | "fetch" | "returning" | "for" | "into"
                if self.region != Region::Insert =>
            {
                Region::Tail
            }
            _ => self.region,
        };
        Some(at + 1)
    }

    /// A bracket: the columns or a row of an INSERT are read whole; among tables it may give columns other names.
    fn open(&mut self, at: usize) -> Option<usize> {
        match self.region {
            Region::Insert if self.depth == 0 => {
                let close = self.closing(at)?;
                self.columns = Some(self.names(at + 1, close));
                Some(close + 1)
            }
            Region::Values if self.depth == 0 => {
                let close = self.closing(at)?;
                self.row(at + 1, close)?;
                Some(close + 1)
            }
            Region::From
                if self.depth == 0 && self.word_at(at.checked_sub(1)?) != Some("using") =>
            {
                None
            }
            _ => {
                self.depth = self.depth.checked_add(1)?;
                Some(at + 1)
            }
        }
    }

    /// The bracket that closes the one at `at`.
    fn closing(&self, at: usize) -> Option<usize> {
        let mut depth = 0_u32;
        for (offset, token) in self.tokens.get(at..)?.iter().enumerate() {
            match token.kind {
                Kind::Open => depth = depth.checked_add(1)?,
                Kind::Close => depth = depth.checked_sub(1)?,
                _ => {}
            }
            if depth == 0 {
                return Some(at + offset);
            }
        }
        None
    }

    /// The names of a list of columns.
    fn names(&self, from: usize, to: usize) -> Vec<Option<&'p str>> {
        let inner = self.tokens.get(from..to).unwrap_or_default();
        inner
            .split(|token| token.kind == Kind::Comma)
            .map(|item| match item {
                [only] => only.name(),
                _ => None,
            })
            .collect()
    }

    /// The values of a row belong to the columns that stand at their places.
    fn row(&mut self, from: usize, to: usize) -> Option<()> {
        let (mut start, mut number, mut depth) = (from, 0, 0_u32);
        for at in from..=to {
            let token = self.token(at)?;
            match &token.kind {
                _ if at == to => {}
                Kind::Open => depth = depth.checked_add(1)?,
                Kind::Close => depth = depth.checked_sub(1)?,
                Kind::Word(word) if NOT_PLAIN.contains(&&**word) => return None,
                _ => {}
            }
            if at == to || (depth == 0 && token.kind == Kind::Comma) {
                self.element(start, at, number);
                start = at + 1;
                number += 1;
            }
        }
        Some(())
    }

    fn element(&mut self, from: usize, to: usize, number: usize) {
        let columns = self.columns.as_ref();
        let Some(column) = columns.and_then(|columns| columns.get(number).copied().flatten())
        else {
            return;
        };
        let owner = match self.lone_value(from, to) {
            Some(_) => Owner::Column(column),
            None => Owner::Within(column),
        };
        for at in from..to {
            self.set(at, owner);
        }
    }

    /// `column IN (…)`: the values of the list are the column's.
    fn list(&mut self, at: usize) -> Option<usize> {
        let close = self.closing(at + 1)?;
        let before = self.behind_not(at);
        let column = before.and_then(|place| self.column(place));
        let inner = at + 2..close;
        let lone = self
            .tokens
            .get(inner.clone())?
            .split(|token| token.kind == Kind::Comma)
            .all(|item| is_lone_value(item).is_some());
        match column {
            Some(column) if lone => {
                for at in inner {
                    self.set(at, Owner::Column(column));
                }
                Some(close + 1)
            }
            // Not understood: whatever is in it is looked at as usual.
            _ => Some(at + 1),
        }
    }

    /// Whose the value at `at` is.
    fn owner(&self, at: usize) -> Owner<'p> {
        match self.region {
            Region::Conditions => self.compared_with(at).map_or(Owner::Unknown, Owner::Column),
            Region::Tail => {
                let number = !matches!(
                    self.token(at).map(|token| &token.kind),
                    Some(Kind::Literal { string: true, .. })
                );
                let limits = |word: &str| matches!(word, "limit" | "offset" | "first" | "next");
                let before = at.checked_sub(1);
                let directly = before.and_then(|at| self.word_at(at)).is_some_and(limits);
                // LIMIT 5, 10
                let second = self.is_kind(before, &Kind::Comma)
                    && at.checked_sub(3).and_then(|at| self.word_at(at)) == Some("limit");
                if number && self.depth == 0 && (directly || second) {
                    Owner::Nobody
                } else {
                    Owner::Unknown
                }
            }
            Region::Head | Region::Insert | Region::Values | Region::From => Owner::Unknown,
        }
    }

    /// The column that the value at `at`, and nothing else, is compared with or assigned to.
    fn compared_with(&self, at: usize) -> Option<&'p str> {
        let mut left = at.checked_sub(1)?;
        while matches!(self.token(left)?.kind, Kind::Sign | Kind::Prefix) {
            left = left.checked_sub(1)?;
        }
        let mut right = self.behind_casts(at + 1);
        // = ANY ($1)
        let quantified = self.token(left)?.kind == Kind::Open
            && matches!(
                left.checked_sub(1).and_then(|at| self.word_at(at)),
                Some("any" | "all" | "some")
            );
        if quantified {
            if !self.is_kind(Some(right), &Kind::Close) {
                return None;
            }
            right += 1;
            left = left.checked_sub(2)?;
        }
        if !self.ends_at(right) {
            return None;
        }
        let place = match (&self.token(left)?.kind, self.word_at(left)) {
            (Kind::Compare, _) => left.checked_sub(1)?,
            (_, Some("like" | "ilike" | "between")) => self.behind_not(left)?,
            // column BETWEEN value AND value
            (_, Some("and")) => {
                let low = left.checked_sub(1)?;
                let between = (0..=low)
                    .rev()
                    .take(5)
                    .find(|at| self.word_at(*at) == Some("between"))?;
                is_lone_value(self.tokens.get(between + 1..left)?)?;
                self.behind_not(between)?
            }
            _ => return None,
        };
        self.column(place)
    }

    /// The place before a word that NOT may stand before.
    fn behind_not(&self, at: usize) -> Option<usize> {
        let before = at.checked_sub(1)?;
        if self.word_at(before) == Some("not") {
            before.checked_sub(1)
        } else {
            Some(before)
        }
    }

    /// The column whose name ends at `at`, if its name is all that stands on its side.
    fn column(&self, at: usize) -> Option<&'p str> {
        let name = self.token(at)?.name()?;
        let mut start = at;
        while self.is_kind(start.checked_sub(1), &Kind::Dot) {
            start = start.checked_sub(2)?;
            self.token(start)?.name()?;
        }
        let before = start.checked_sub(1)?;
        let opens = match &self.token(before)?.kind {
            Kind::Open | Kind::Comma => true,
            Kind::Word(word) => matches!(
                &**word,
                "where" | "and" | "or" | "xor" | "not" | "on" | "set" | "when" | "update"
            ),
            _ => false,
        };
        opens.then_some(name)
    }

    /// The place behind `::type`, as often as it comes.
    fn behind_casts(&self, mut at: usize) -> usize {
        while self.is_kind(Some(at), &Kind::Cast)
            && self
                .token(at + 1)
                .is_some_and(|token| token.name().is_some())
        {
            at += 2;
            while self.is_kind(Some(at), &Kind::Bracket) {
                at += 1;
            }
        }
        at
    }

    /// Whether an operand ends before `at`.
    fn ends_at(&self, at: usize) -> bool {
        match self.token(at).map(|token| &token.kind) {
            None | Some(Kind::Semicolon | Kind::Close | Kind::Comma) => true,
            Some(Kind::Word(word)) => matches!(
                &**word,
                "and"
                    | "or"
                    | "xor"
                    | "then"
                    | "group"
                    | "order"
                    | "limit"
                    | "offset"
                    | "fetch"
                    | "returning"
                    | "for"
                    | "from"
                    | "where"
                    | "on"
                    | "join"
                    | "left"
                    | "right"
                    | "inner"
                    | "cross"
                    | "full"
                    | "natural"
                    | "set"
                    | "do"
            ),
            Some(_) => false,
        }
    }

    fn lone_value(&self, from: usize, to: usize) -> Option<usize> {
        is_lone_value(self.tokens.get(from..to)?).map(|at| from + at)
    }

    fn token(&self, at: usize) -> Option<&'p Piece> {
        self.tokens.get(at).copied()
    }

    fn word_at(&self, at: usize) -> Option<&'p str> {
        self.token(at)?.word()
    }

    fn is_kind(&self, at: Option<usize>, kind: &Kind) -> bool {
        at.and_then(|at| self.token(at))
            .is_some_and(|token| token.kind == *kind)
    }

    fn set(&mut self, at: usize, owner: Owner<'p>) {
        let value = self.token(at).is_some_and(Piece::is_value);
        if let Some(place) = self.owners.get_mut(at).filter(|_| value) {
            *place = owner;
        }
    }
}

/// Where the only value of some tokens is, with nothing around it but a sign, a prefix and casts.
fn is_lone_value(tokens: &[&Piece]) -> Option<usize> {
    let at = tokens
        .iter()
        .position(|token| !matches!(token.kind, Kind::Sign | Kind::Prefix))?;
    let (value, rest) = tokens.get(at..)?.split_first()?;
    let rest_is_cast = rest
        .iter()
        .enumerate()
        .all(|(number, token)| match &token.kind {
            Kind::Cast => number == 0,
            Kind::Word(_) | Kind::Quoted(_) => number == 1,
            Kind::Bracket => number > 1,
            _ => false,
        });
    (value.is_value() && rest_is_cast).then_some(at)
}

/// Words with which a statement may give names of its own to expressions, or holds more than one query.
const NOT_PLAIN: &[&str] = &[
    "select",
    "with",
    "union",
    "intersect",
    "except",
    "minus",
    "having",
    "window",
    "lateral",
    "table",
    "merge",
    "procedure",
    "execute",
    "json_table",
    "xmltable",
    "qualify",
];
