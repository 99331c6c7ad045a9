//! Finds what a text must not show, token by token.

use std::ops::Range;

use super::owner::{Owner, owners};
use super::piece::{Kind, Piece, Pieces};
use super::{Fate, Fates, Hidden, Place, Redactions, StandIn};
use crate::rule::glob::Glob;

/// One look at one text.
pub(super) struct Finder<'a> {
    rules: &'a Redactions,
    text: &'a [u8],
    pieces: &'a Pieces,
    /// The fate of each piece.
    fates: Vec<Fate>,
    /// Something of the text is hidden for what it names.
    hides: bool,
}

impl<'a> Finder<'a> {
    pub(super) fn new(rules: &'a Redactions, text: &'a [u8], pieces: &'a Pieces) -> Self {
        Finder {
            rules,
            text,
            pieces,
            fates: vec![Fate::Keep; pieces.all.len()],
            hides: false,
        }
    }

    pub(super) fn judge(&mut self) {
        if self.rules.named {
            if self.is_veiled() {
                self.all(0..self.fates.len(), Fate::Mask);
            }
            self.functions();
            self.positions();
            self.carriers();
        }
        for (piece, fate) in self.pieces.all.iter().zip(&mut self.fates) {
            let shown = match &piece.kind {
                Kind::Literal {
                    value: Some(value), ..
                } => self.rules.value(value),
                Kind::Other
                | Kind::Comment
                | Kind::Literal { .. }
                | Kind::Quoted(_)
                | Kind::Word(_) => Fate::Keep,
                _ => continue,
            };
            let written = self.text.get(piece.range.clone()).unwrap_or_default();
            let written = match self.rules.value(written) {
                // Only a value has a hash that tells anything.
                Fate::Hash if shown != Fate::Hash => Fate::Mask,
                other => other,
            };
            *fate = (*fate).max(shown).max(written);
        }
    }

    /// Some name, or a literal or comment that may be SQL, may be one of an entry's.
    fn is_veiled(&self) -> bool {
        let broken = self.pieces.broken.is_some_and(|from| {
            self.rules
                .mentions(self.text.get(from..).unwrap_or_default())
        });
        broken
            || self.pieces.all.iter().any(|piece| match &piece.kind {
                Kind::Veiled => true,
                Kind::Literal {
                    value,
                    string: true,
                } => match value {
                    Some(value) => self.rules.mentions(value),
                    None => self
                        .rules
                        .mentions(self.text.get(piece.range.clone()).unwrap_or_default()),
                },
                Kind::Comment => self
                    .rules
                    .mentions(self.text.get(piece.range.clone()).unwrap_or_default()),
                _ => false,
            })
            || (self.pieces.broken.is_some()
                && self
                    .pieces
                    .all
                    .iter()
                    .filter_map(Piece::name)
                    .any(|name| self.rules.is_named(name)))
    }

    fn all(&mut self, places: Range<usize>, fate: Fate) {
        self.hides |= fate > Fate::Keep;
        for at in places {
            self.raise(at, fate);
        }
    }

    fn raise(&mut self, at: usize, fate: Fate) {
        let value = self.pieces.all.get(at).is_some_and(Piece::is_value);
        if let Some(known) = self.fates.get_mut(at).filter(|_| value) {
            *known = (*known).max(fate);
            self.hides |= fate > Fate::Keep;
        }
    }

    /// The arguments of functions.
    fn functions(&mut self) {
        let mut open: Vec<Option<Fate>> = Vec::new();
        let mut callee: Option<&str> = None;
        for (at, piece) in self.pieces.all.iter().enumerate() {
            match &piece.kind {
                Kind::Open => open.push(callee.and_then(|name| self.argument(name))),
                Kind::Close => {
                    open.pop();
                }
                Kind::Literal { .. } | Kind::Parameter(_) => {
                    if let Some(fate) = open.iter().flatten().max() {
                        self.raise(at, *fate);
                    }
                }
                _ => {}
            }
            if piece.kind != Kind::Comment {
                callee = piece.name();
            }
        }
    }

    fn argument(&self, name: &str) -> Option<Fate> {
        let entries = self.rules.entries.iter();
        entries
            .filter(|entry| {
                entry
                    .functions
                    .iter()
                    .any(|function| function.matches(name))
            })
            .map(|entry| Fate::from(entry.how))
            .max()
    }

    /// What belongs to columns and tables.
    fn positions(&mut self) {
        let pieces = self.pieces;
        let numbered = || {
            pieces
                .all
                .iter()
                .enumerate()
                .filter(|(_, piece)| piece.kind != Kind::Comment)
        };
        let names: Vec<&str> = pieces.all.iter().filter_map(Piece::name).collect();
        let statements: Vec<Vec<(usize, &Piece)>> = numbered()
            .collect::<Vec<_>>()
            .split(|(_, piece)| piece.kind == Kind::Semicolon)
            .map(<[_]>::to_vec)
            .filter(|statement| !statement.is_empty())
            .collect();
        let blind = statements
            .iter()
            .any(|statement| inserts_blindly(statement));
        let named = |glob: &Glob| names.iter().any(|name| glob.matches(name));
        let mut tables = Fate::Keep;
        let mut columns: Vec<(&Glob, Fate)> = Vec::new();
        for entry in &self.rules.entries {
            if entry.tables.iter().any(named) {
                tables = tables.max(entry.how.into());
            }
            let touched = entry.columns.iter().filter(|(table, column)| match table {
                Some(table) => named(table),
                None => blind || named(column),
            });
            columns.extend(touched.map(|(_, column)| (column, entry.how.into())));
        }
        if tables == Fate::Keep && columns.is_empty() {
            return;
        }
        self.hides = true;
        let plain: Option<Vec<_>> = statements
            .iter()
            .map(|statement| owned(statement))
            .collect();
        let Some(plain) = plain.filter(|_| self.pieces.broken.is_none()) else {
            let fate = if columns.is_empty() {
                tables
            } else {
                Fate::Mask
            };
            self.all(0..pieces.all.len(), fate);
            return;
        };
        let hidden = |name: &str| {
            let fates = columns.iter().filter(|(column, _)| column.matches(name));
            fates.map(|(_, fate)| *fate).max().unwrap_or(Fate::Keep)
        };
        for (at, owner) in plain.into_iter().flatten() {
            let fate = match owner {
                Owner::Nobody => Fate::Keep,
                Owner::Unknown if columns.is_empty() => Fate::Keep,
                Owner::Unknown => Fate::Mask,
                Owner::Column(name) => hidden(name),
                Owner::Within(name) if hidden(name) == Fate::Keep => Fate::Keep,
                Owner::Within(_) => Fate::Mask,
            };
            self.raise(at, fate.max(tables));
        }
    }

    /// What other statements may use later: variables, own settings, arguments of what was prepared.
    fn carriers(&mut self) {
        let pieces = self.pieces;
        let mut start = 0;
        for end in 0..=pieces.all.len() {
            let ends = pieces
                .all
                .get(end)
                .is_none_or(|piece| piece.kind == Kind::Semicolon);
            if !ends {
                continue;
            }
            let statement = pieces.all.get(start..end).unwrap_or_default();
            if carries(statement) {
                self.all(start..end, Fate::Mask);
            }
            start = end + 1;
        }
    }

    pub(super) fn finish(self) -> Hidden {
        let mut hidden = Hidden::default();
        let hides = self.hides;
        for (piece, fate) in self.pieces.all.iter().zip(&self.fates) {
            let stand_in = match (&piece.kind, fate) {
                (Kind::Parameter(number), fate) => {
                    hidden.parameters.add(*number, *fate);
                    continue;
                }
                (Kind::Comment, fate) if hides || *fate > Fate::Keep => StandIn::Comment,
                (_, Fate::Keep) => continue,
                (
                    Kind::Literal {
                        value: Some(value), ..
                    },
                    Fate::Hash,
                ) => StandIn::Hash(value.clone()),
                (_, Fate::Hash | Fate::Mask) => StandIn::Mask,
            };
            hidden.places.push(Place {
                range: piece.range.clone(),
                stand_in,
            });
        }
        let broken = self.pieces.broken.filter(|from| {
            let rest = self.text.get(*from..).unwrap_or_default();
            hides || self.rules.value(rest) > Fate::Keep
        });
        if let Some(from) = broken.filter(|from| *from < self.text.len()) {
            hidden.places.push(Place {
                range: from..self.text.len(),
                stand_in: StandIn::Mask,
            });
        }
        let hides = hides || broken.is_some();
        hidden.parameters.rest = hides.then_some(Fate::Mask);
        if broken.is_some() {
            hidden.parameters = Fates::all(Fate::Mask);
        }
        hidden
    }
}

/// The owners of a statement's values, each with its place in the text's pieces.
fn owned<'p>(statement: &[(usize, &'p Piece)]) -> Option<Vec<(usize, Owner<'p>)>> {
    let tokens: Vec<&Piece> = statement.iter().map(|(_, piece)| *piece).collect();
    let first = tokens.first().and_then(|token| token.word());
    let valued = tokens.iter().any(|token| token.is_value());
    if !valued && first.is_some_and(|word| HARMLESS.contains(&word)) {
        return Some(Vec::new());
    }
    let owners = owners(&tokens)?;
    Some(statement.iter().map(|(at, _)| *at).zip(owners).collect())
}

/// Statements that only begin and end transactions.
const HARMLESS: &[&str] = &[
    "begin",
    "start",
    "commit",
    "end",
    "rollback",
    "abort",
    "savepoint",
    "release",
];

/// An INSERT that names no columns: which they are only the server knows.
fn inserts_blindly(statement: &[(usize, &Piece)]) -> bool {
    let words = || statement.iter().map(|(_, piece)| piece.word());
    let inserts = words().any(|word| matches!(word, Some("insert" | "replace" | "merge")));
    let values = words()
        .position(|word| matches!(word, Some("values" | "value" | "select" | "set" | "table")));
    let open = statement
        .iter()
        .position(|(_, piece)| piece.kind == Kind::Open);
    let set = values.is_some_and(|at| words().nth(at) == Some(Some("set")));
    let listed = open.zip(values).is_some_and(|(open, values)| open < values);
    inserts && !set && !listed
}

/// Whether a statement hands values on to others.
fn carries(statement: &[Piece]) -> bool {
    let mut tokens = statement.iter().filter(|piece| piece.kind != Kind::Comment);
    let first = tokens.clone().next().and_then(Piece::word);
    let has = |kind: &Kind| statement.iter().any(|piece| piece.kind == *kind);
    let word = |wanted: &str| statement.iter().any(|piece| piece.word() == Some(wanted));
    match first {
        Some("execute") => true,
        // SET own.name = …
        Some("set") if has(&Kind::Variable) || has(&Kind::Dot) => true,
        _ => {
            (has(&Kind::Variable) && (has(&Kind::Assign) || word("into")))
                || tokens.any(|piece| piece.name() == Some("set_config"))
        }
    }
}
