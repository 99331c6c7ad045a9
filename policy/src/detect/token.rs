//! Tokens as the detectors see them: what both scanners have in common, and no more.

/// The tokens of a text, and the comment at its end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tokens {
    /// The tokens, up to the first place that can't be scanned.
    pub(crate) list: Vec<Token>,
    /// The line comment that reaches the end of the text, from its dashes or `#` on.
    pub(crate) tail: Option<std::ops::Range<usize>>,
}

/// One token and where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    /// Its kind.
    pub(crate) kind: Kind,
    /// Offset of its first byte.
    pub(crate) start: u32,
    /// Offset after its last byte.
    pub(crate) end: u32,
}

impl Token {
    /// Its bytes in `text`.
    pub(crate) fn bytes<'t>(&self, text: &'t [u8]) -> &'t [u8] {
        text.get(self.start as usize..self.end as usize)
            .unwrap_or_default()
    }
}

/// What kind of token it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An unquoted word that is one of the keywords below.
    Key(Key),
    /// Any other name, quoted or not.
    Name,
    /// A string.
    Text,
    /// A number.
    Number,
    /// `0x…`, `x'…'`, `b'…'`.
    Hex,
    /// `$1`, `?`.
    Param,
    /// `@name`, and `@@`, which a name follows.
    Variable,
    /// An operator.
    Op(Op),
    /// `(`
    Open,
    /// `)`
    Close,
    /// `[`, `{`
    OpenOther,
    /// `]`, `}`
    CloseOther,
    /// `,`
    Comma,
    /// `;`
    Semicolon,
    /// `.`
    Dot,
    /// `::`
    Cast,
    /// Anything else.
    Other,
}

/// What an operator does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    /// `=`, `<=>`
    Eq,
    /// `<>`, `<`, `>=` and the like
    Compare,
    /// `||` where it joins strings
    Concat,
    /// `||` where it is OR
    Or,
    /// `&&` where it is AND
    And,
    /// `!`
    Not,
    /// `+`, `-`
    Sum,
    /// `*`
    Star,
    /// `/`, `%`
    Product,
    /// `~`
    Tilde,
    /// Any other.
    Other,
}

macro_rules! keys {
    ($($variant:ident $text:literal,)+) => {
        /// A keyword that gives statements their structure.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Key { $(#[doc = $text] $variant,)+ }

        const KEYS: &[(&str, Key)] = &[$(($text, Key::$variant),)+];
    };
}

// In alphabetical order: they are searched by halves.
keys! {
    All "all",
    And "and",
    Any "any",
    As "as",
    Asc "asc",
    Between "between",
    Binary "binary",
    By "by",
    Case "case",
    Collate "collate",
    Cross "cross",
    Delete "delete",
    Desc "desc",
    Distinct "distinct",
    Div "div",
    Else "else",
    End "end",
    Escape "escape",
    Except "except",
    Exists "exists",
    False "false",
    Fetch "fetch",
    For "for",
    From "from",
    Full "full",
    Group "group",
    Having "having",
    Ilike "ilike",
    In "in",
    Inner "inner",
    Insert "insert",
    Intersect "intersect",
    Interval "interval",
    Into "into",
    Is "is",
    Join "join",
    Lateral "lateral",
    Left "left",
    Like "like",
    Limit "limit",
    Mod "mod",
    Natural "natural",
    Not "not",
    Null "null",
    Offset "offset",
    On "on",
    Or "or",
    Order "order",
    Procedure "procedure",
    Regexp "regexp",
    Replace "replace",
    Returning "returning",
    Right "right",
    Rlike "rlike",
    Select "select",
    Set "set",
    Similar "similar",
    Some "some",
    Then "then",
    True "true",
    Union "union",
    Update "update",
    Using "using",
    Values "values",
    When "when",
    Where "where",
    Window "window",
    With "with",
    Xor "xor",
}

impl Kind {
    /// The kind of an unquoted word.
    pub(crate) fn of_word(bytes: &[u8]) -> Kind {
        let mut lower = [0_u8; LONGEST_KEY];
        let Some(lower) = lower.get_mut(..bytes.len()) else {
            return Kind::Name;
        };
        lower.copy_from_slice(bytes);
        lower.make_ascii_lowercase();
        let lower: &[u8] = lower;
        match KEYS.binary_search_by(|(text, _)| text.as_bytes().cmp(lower)) {
            Ok(found) => KEYS
                .get(found)
                .map_or(Kind::Name, |(_, key)| Kind::Key(*key)),
            Err(_) => Kind::Name,
        }
    }

    /// Whether it is a value that was written down.
    pub(crate) fn is_literal(self) -> bool {
        matches!(
            self,
            Kind::Text | Kind::Number | Kind::Hex | Kind::Key(Key::Null | Key::True | Key::False)
        )
    }
}

const LONGEST_KEY: usize = 9;

/// Whether a text ends in a line comment: no normal form holds it, and detectors look at it.
#[inline]
pub(crate) fn ends_in_comment(text: &[u8], from: usize) -> bool {
    from < text.len() && tail_comment(text, from).is_some()
}

/// The line comment in which a text ends, looked for behind its last token: only blanks and comments stand there.
pub(crate) fn tail_comment(text: &[u8], from: usize) -> Option<std::ops::Range<usize>> {
    let mut at = from;
    loop {
        let rest = text.get(at..)?;
        match rest {
            [] => return None,
            [b'#', ..] | [b'-', b'-', ..] => match rest.iter().position(|byte| *byte == b'\n') {
                Some(line) if !rest.get(line..).unwrap_or_default().trim_ascii().is_empty() => {
                    at += line + 1;
                }
                _ => return Some(at..text.len()),
            },
            [b'/', b'*', ..] => {
                let end = rest.windows(2).skip(2).position(|pair| pair == b"*/")?;
                at += end + 4;
            }
            _ => at += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_are_sorted_and_found() {
        assert!(KEYS.is_sorted_by(|a, b| a.0 < b.0));
        assert!(KEYS.iter().all(|(text, _)| text.len() <= LONGEST_KEY));
        assert_eq!(Kind::of_word(b"UnIoN"), Kind::Key(Key::Union));
        assert_eq!(Kind::of_word(b"unions"), Kind::Name);
        assert_eq!(Kind::of_word(b"a_long_name_indeed"), Kind::Name);
    }

    #[test]
    fn the_comment_at_the_end_is_the_line_that_nothing_follows() {
        let tail = |text: &str| tail_comment(text.as_bytes(), 0).map(|range| range.start);
        assert_eq!(tail(" -- x"), Some(1));
        assert_eq!(tail(" /* -- */ # x\n"), Some(10));
        assert_eq!(tail(" /* -- */ "), None);
        assert_eq!(tail("-- a\n-- b"), Some(5));
        assert_eq!(tail(""), None);
    }
}
