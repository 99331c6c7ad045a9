//! The net: table names found by tokens alone, as a check on the fact parser. Every one must be among the facts' objects.

use hashbrown::HashSet;

use super::charset::ClientCharset;
use super::parse::{fold, spelling};
use super::token::{Kind, Token};
use super::word::Word as W;
use crate::statement::facts::StatementFacts;
use crate::vocabulary::ObjectKind;

/// Whether every table that the net finds in a statement is among its objects.
pub(super) fn holds(
    text: &[u8],
    tokens: &[Token],
    charset: ClientCharset,
    facts: &StatementFacts,
) -> bool {
    let net = Net {
        text,
        tokens,
        charset,
        deletes: tokens.iter().any(|token| token.word == W::Delete),
    };
    let ctes = net.ctes();
    let known: HashSet<Box<str>> = facts
        .objects
        .iter()
        .filter(|object| object.kind == ObjectKind::Relation)
        .map(|object| fold(&object.name.name))
        .collect();
    net.tables()
        .iter()
        .all(|name| known.contains(name) || ctes.contains(name))
}

/// One level of brackets.
#[derive(Clone, Copy, Default)]
struct Level {
    /// A query stands in it: FROM means tables.
    query: bool,
    /// Names of tables are listed.
    listing: bool,
    /// A table's name must come.
    wanted: bool,
}

struct Net<'t> {
    text: &'t [u8],
    tokens: &'t [Token],
    charset: ClientCharset,
    deletes: bool,
}

impl Net<'_> {
    fn token(&self, at: usize) -> Token {
        self.tokens.get(at).copied().unwrap_or(Token::END)
    }

    fn name(&self, at: usize) -> Option<Box<str>> {
        let token = self.token(at);
        let named = matches!(
            token.kind,
            Kind::Word | Kind::Name | Kind::Quoted | Kind::Introducer
        );
        let spelt = named.then(|| spelling(self.text, token, self.charset))??;
        Some(fold(&spelt))
    }

    /// Names that WITH defines: `name [(columns)] AS (`.
    fn ctes(&self) -> HashSet<Box<str>> {
        if !self.tokens.iter().any(|token| token.word == W::With) {
            return HashSet::new();
        }
        let mut names = HashSet::new();
        for (place, token) in self.tokens.iter().enumerate() {
            if token.word != W::As || self.token(place + 1).kind != Kind::Open {
                continue;
            }
            let mut at = place.wrapping_sub(1);
            if self.token(at).kind == Kind::Close {
                let mut open = 1_u32;
                while open > 0 && at > 0 {
                    at -= 1;
                    match self.token(at).kind {
                        Kind::Close => open += 1,
                        Kind::Open => open -= 1,
                        _ => {}
                    }
                }
                at = at.wrapping_sub(1);
            }
            names.extend(self.name(at));
        }
        names
    }

    /// Whether this FROM belongs to `DELETE FROM targets USING tables`.
    fn is_delete_using(&self, from: usize) -> bool {
        if !self.deletes {
            return false;
        }
        let rest = self.tokens.get(from + 1..).unwrap_or_default();
        let end = rest.iter().find(|token| {
            !matches!(
                token.kind,
                Kind::Name | Kind::Quoted | Kind::Dot | Kind::Comma | Kind::Star
            ) && !is_name(token)
        });
        end.is_some_and(|token| token.word == W::Using)
    }

    /// The last parts of the names behind FROM, JOIN, INTO, UPDATE and TABLE.
    fn tables(&self) -> Vec<Box<str>> {
        let mut found = Vec::new();
        let mut levels: Vec<Level> = Vec::new();
        let mut level = Level {
            query: true,
            ..Level::default()
        };
        let mut at = 0;
        while at < self.tokens.len() {
            let token = self.token(at);
            let before = if at == 0 {
                Token::END
            } else {
                self.token(at - 1)
            };
            match token.kind {
                Kind::Open => {
                    levels.push(level);
                    let inner = self.token(at + 1).word;
                    level = Level {
                        query: matches!(inner, W::Select | W::With | W::Values | W::Table),
                        listing: level.wanted,
                        wanted: level.wanted
                            && !matches!(inner, W::Select | W::With | W::Values | W::Table),
                    };
                }
                Kind::Close => {
                    level = levels.pop().unwrap_or_default();
                    level.wanted = false;
                }
                Kind::Comma if level.listing => level.wanted = true,
                // `{OJ a LEFT JOIN b …}`
                Kind::OpenBrace if level.wanted => at += 1,
                Kind::Word | Kind::Name | Kind::Quoted if level.wanted && is_name(&token) => {
                    let mut last = at;
                    while self.token(last + 1).kind == Kind::Dot && is_name(&self.token(last + 2)) {
                        last += 2;
                    }
                    let called = self.token(last + 1).kind == Kind::Open
                        && !matches!(before.word, W::Into | W::Insert | W::Replace | W::Ignore);
                    if !called {
                        found.extend(self.name(last));
                    }
                    level.wanted = false;
                    at = last;
                }
                Kind::Word => match token.word {
                    W::Select => {
                        level = Level {
                            query: true,
                            ..Level::default()
                        }
                    }
                    W::From if level.query && before.word != W::Distinct => {
                        // DELETE FROM targets USING tables: targets may be aliases.
                        level.listing = !self.is_delete_using(at);
                        level.wanted = level.listing;
                    }
                    W::Using
                        if levels.is_empty()
                            && self.deletes
                            && self.token(at + 1).kind != Kind::Open =>
                    {
                        level.listing = true;
                        level.wanted = true;
                    }
                    W::Join | W::StraightJoin if level.listing && before.word != W::For => {
                        level.wanted = true
                    }
                    W::Into
                        if matches!(
                            before.word,
                            W::Insert
                                | W::Replace
                                | W::Ignore
                                | W::LowPriority
                                | W::Delayed
                                | W::HighPriority
                        ) =>
                    {
                        level.wanted = true;
                        level.listing = false;
                    }
                    W::Where
                    | W::Group
                    | W::Having
                    | W::Order
                    | W::Limit
                    | W::Set
                    | W::Union
                    | W::Except
                    | W::Intersect
                    | W::Window
                    | W::Returning => {
                        level.listing = false;
                        level.wanted = false;
                    }
                    W::Lateral | W::LowPriority | W::Quick | W::Ignore => {}
                    _ => level.wanted = false,
                },
                _ => {}
            }
            at += 1;
        }
        found
    }
}

/// Whether a token can name a table: no word that is reserved in both families.
fn is_name(token: &Token) -> bool {
    match token.kind {
        Kind::Name | Kind::Quoted => true,
        Kind::Word => {
            token.word.reserved() == super::word::Reserved::Nowhere
                && !matches!(token.word, W::Dual | W::JsonTable)
        }
        _ => false,
    }
}
