//! Finds lists of mere literals or parameters: `IN (1, 2, 3)`, `ARRAY[…]` and the later rows of VALUES.
//!
//! Their length changes no fact, so that the normal form keeps one element and the parser is given a few.

use std::ops::Range;

use super::token::{Kind, Token};
use super::word::Word;

/// How many elements or rows of a long list the parser is given.
pub(crate) const KEPT: u32 = 4;

/// What the normal form does about a token that it has just written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fold {
    /// Nothing.
    Keep,
    /// A list ends here: cut the key back to this length, write the marker and the bracket.
    List { key: usize },
    /// A row ends here: cut the key back to this length and write the marker, if it isn't there.
    Row { key: usize },
}

/// What a list may hold if it is to be folded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Category {
    Constant,
    Param,
}

/// Reads `[sign] element` and what separates elements.
#[derive(Clone, Copy, Debug)]
struct Elements {
    wanted: bool,
    signed: bool,
}

/// What a token is in a list of elements.
enum Step {
    Element(Category),
    Inner,
    Foreign,
}

impl Elements {
    const START: Elements = Elements {
        wanted: true,
        signed: false,
    };

    fn push(&mut self, token: &Token, word: Word, text: &[u8]) -> Step {
        let category = match token.kind {
            Kind::Comma if !self.wanted => {
                *self = Elements::START;
                return Step::Inner;
            }
            Kind::Operator
                if self.wanted && !self.signed && matches!(token.bytes(text), b"-" | b"+") =>
            {
                self.signed = true;
                return Step::Inner;
            }
            kind if kind.is_literal() => Category::Constant,
            Kind::Param => Category::Param,
            Kind::Word if matches!(word, Word::Null | Word::True | Word::False) => {
                Category::Constant
            }
            _ => return Step::Foreign,
        };
        if !self.wanted {
            return Step::Foreign;
        }
        self.wanted = false;
        Step::Element(category)
    }
}

#[derive(Clone, Debug)]
enum List {
    Idle,
    Announced(Kind),
    Open {
        closer: Kind,
        elements: Elements,
        category: Option<Category>,
        count: u32,
        key: usize,
        kept_end: usize,
    },
}

#[derive(Clone, Debug)]
enum Rows {
    Idle,
    Announced,
    Open {
        depth: u32,
        foldable: Option<Origin>,
        elements: Elements,
    },
    Closed,
    Separated(Origin),
}

/// Where a row's separator stands.
#[derive(Clone, Copy, Debug)]
struct Origin {
    key: usize,
    text: usize,
}

/// Follows the tokens of a text.
#[derive(Clone, Debug)]
pub(crate) struct Lists {
    list: List,
    rows: Rows,
    folded_rows: u32,
    /// Tokens since the first element of the open list, and since the separator before the open row.
    pending: (u32, u32),
    spare: u32,
}

impl Lists {
    /// Starts before the first token.
    pub(crate) fn new() -> Self {
        Lists {
            list: List::Idle,
            rows: Rows::Idle,
            folded_rows: 0,
            pending: (0, 0),
            spare: 0,
        }
    }

    /// How many tokens the normal form leaves out, those of the lists at hand included.
    #[inline]
    pub(crate) fn spare(&self) -> u32 {
        let list = match &self.list {
            List::Open { count, .. } if *count > 0 => self.pending.0,
            List::Open { .. } | List::Idle | List::Announced(_) => 0,
        };
        let row = match self.rows {
            Rows::Open {
                foldable: Some(_), ..
            } => self.pending.1,
            Rows::Open { foldable: None, .. }
            | Rows::Idle
            | Rows::Announced
            | Rows::Closed
            | Rows::Separated(_) => 0,
        };
        self.spare.saturating_add(list.max(row))
    }

    /// Whether no list is at hand.
    #[inline]
    pub(crate) fn is_idle(&self) -> bool {
        matches!((&self.list, &self.rows), (List::Idle, Rows::Idle))
    }

    /// Takes account of a token while no list is at hand.
    #[inline]
    pub(crate) fn announce(&mut self, word: Word) {
        match word {
            Word::In => self.list = List::Announced(Kind::OpenParen),
            Word::Array => self.list = List::Announced(Kind::OpenBracket),
            Word::Values => self.rows = Rows::Announced,
            _ => {}
        }
    }

    /// Whether the token is an element that may be folded away, and thus deepens nothing.
    #[inline]
    pub(crate) fn skips(&self, token: &Token, word: Word) -> bool {
        let listed = match &self.list {
            List::Open { count, .. } => *count > 0,
            List::Idle | List::Announced(_) => false,
        };
        let rowed = matches!(
            self.rows,
            Rows::Open {
                foldable: Some(_),
                ..
            }
        );
        (listed || rowed)
            && match token.kind {
                Kind::Word => {
                    matches!(word, Word::Null | Word::True | Word::False | Word::Default)
                }
                Kind::Operator => token.end == token.start + 1,
                kind => kind.is_literal() || kind == Kind::Param,
            }
    }

    /// Takes account of a token that took the key from length `before` to `after`; long lists are added to `cuts`.
    pub(crate) fn push(
        &mut self,
        (token, word): (&Token, Word),
        text: &[u8],
        (before, after): (usize, usize),
        cuts: Option<&mut Vec<Range<usize>>>,
    ) -> Fold {
        self.pending.0 = self.pending.0.saturating_add(1);
        self.pending.1 = self.pending.1.saturating_add(1);
        let mut cut = None;
        let row = self.push_rows((token, word), text, before, &mut cut);
        let list = self.push_list((token, word), text, after, &mut cut);
        if let (Some(cuts), Some(cut)) = (cuts, cut) {
            cuts.push(cut);
        }
        if list == Fold::Keep { row } else { list }
    }

    fn push_list(
        &mut self,
        (token, word): (&Token, Word),
        text: &[u8],
        after: usize,
        cut: &mut Option<Range<usize>>,
    ) -> Fold {
        match &mut self.list {
            List::Open {
                closer,
                elements,
                category,
                count,
                key,
                kept_end,
            } => {
                if token.kind == *closer && !elements.wanted {
                    let fold = Fold::List { key: *key };
                    if *count > KEPT {
                        *cut = Some(*kept_end..token.start);
                    }
                    self.list = List::Idle;
                    self.spare = self.spare.saturating_add(self.pending.0.saturating_sub(1));
                    return fold;
                }
                match elements.push(token, word, text) {
                    Step::Inner => return Fold::Keep,
                    Step::Element(found) if category.is_none_or(|known| known == found) => {
                        *category = Some(found);
                        *count = count.saturating_add(1);
                        if *count == 1 {
                            *key = after;
                            self.pending.0 = 0;
                        }
                        if *count <= KEPT {
                            *kept_end = token.end;
                        }
                        return Fold::Keep;
                    }
                    Step::Element(_) | Step::Foreign => self.list = List::Idle,
                }
            }
            List::Announced(opener) if token.kind == *opener => {
                let closer = match token.kind {
                    Kind::OpenBracket => Kind::CloseBracket,
                    _ => Kind::CloseParen,
                };
                self.list = List::Open {
                    closer,
                    elements: Elements::START,
                    category: None,
                    count: 0,
                    key: 0,
                    kept_end: 0,
                };
                return Fold::Keep;
            }
            List::Announced(_) | List::Idle => self.list = List::Idle,
        }
        match word {
            Word::In => self.list = List::Announced(Kind::OpenParen),
            Word::Array => self.list = List::Announced(Kind::OpenBracket),
            _ => {}
        }
        Fold::Keep
    }

    fn push_rows(
        &mut self,
        (token, word): (&Token, Word),
        text: &[u8],
        before: usize,
        cut: &mut Option<Range<usize>>,
    ) -> Fold {
        if word == Word::Values {
            self.rows = Rows::Announced;
            return Fold::Keep;
        }
        match (&mut self.rows, token.kind) {
            (Rows::Announced, Kind::OpenParen) => {
                self.folded_rows = 0;
                self.rows = Rows::Open {
                    depth: 1,
                    foldable: None,
                    elements: Elements::START,
                };
            }
            (Rows::Separated(origin), Kind::OpenParen) => {
                let foldable = Some(*origin);
                self.rows = Rows::Open {
                    depth: 1,
                    foldable,
                    elements: Elements::START,
                };
            }
            (Rows::Closed, Kind::Comma) => {
                self.pending.1 = 1;
                self.rows = Rows::Separated(Origin {
                    key: before,
                    text: token.start,
                });
            }
            (
                Rows::Open {
                    depth,
                    foldable,
                    elements,
                },
                kind,
            ) => match kind {
                Kind::OpenParen => {
                    *depth += 1;
                    *foldable = None;
                }
                Kind::CloseParen if *depth > 1 => *depth -= 1,
                Kind::CloseParen => {
                    let folded = foldable.filter(|_| !elements.wanted);
                    self.rows = Rows::Closed;
                    if let Some(origin) = folded {
                        self.folded_rows = self.folded_rows.saturating_add(1);
                        self.spare = self.spare.saturating_add(self.pending.1);
                        if self.folded_rows > KEPT {
                            *cut = Some(origin.text..token.end);
                        }
                        return Fold::Row { key: origin.key };
                    }
                }
                _ => {
                    let default = word == Word::Default && elements.wanted && !elements.signed;
                    if default {
                        elements.wanted = false;
                    } else if matches!(elements.push(token, word, text), Step::Foreign) {
                        *foldable = None;
                    }
                }
            },
            (Rows::Idle | Rows::Announced | Rows::Closed | Rows::Separated(_), _) => {
                self.rows = Rows::Idle;
            }
        }
        Fold::Keep
    }
}
