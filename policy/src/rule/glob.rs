//! Patterns for names: `*` stands for any text, `?` for one character, `\` takes the next character literally.

use std::fmt;

use thiserror::Error;

/// A pattern over one name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Glob {
    source: Box<str>,
    form: Form,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Form {
    Any,
    Exact(Box<str>),
    Prefix(Box<str>),
    Suffix(Box<str>),
    General(Box<[Piece]>),
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Piece {
    One(char),
    AnyOne,
    AnyText,
}

/// Why a text is not a pattern.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum GlobError {
    /// It has no characters.
    #[error("a pattern must not be empty")]
    Empty,
    /// A backslash ends it.
    #[error("`\\` at the end of a pattern stands for nothing")]
    DanglingEscape,
    /// It uses a bracket, which other pattern languages give a meaning.
    #[error(
        "`{0}` has no meaning here: only `*` and `?` are wildcards, and `\\{0}` is the character itself"
    )]
    Bracket(char),
    /// It has more parts than a name can have.
    #[error("a name has at most {0} parts here; `\\.` is a dot within a part")]
    TooManyParts(usize),
    /// It is longer than a name can be.
    #[error("a pattern may have at most {MAX_PATTERN_BYTES} bytes")]
    TooLong,
}

const MAX_PATTERN_BYTES: usize = 1024;

impl Glob {
    /// Reads a pattern.
    ///
    /// # Errors
    /// The pattern is empty, too long, or uses characters that mean something elsewhere.
    pub fn parse(source: &str) -> Result<Self, GlobError> {
        if source.is_empty() {
            return Err(GlobError::Empty);
        }
        if source.len() > MAX_PATTERN_BYTES {
            return Err(GlobError::TooLong);
        }
        let mut pieces: Vec<Piece> = Vec::new();
        let mut characters = source.chars();
        while let Some(character) = characters.next() {
            match character {
                '*' => {
                    if pieces.last() != Some(&Piece::AnyText) {
                        pieces.push(Piece::AnyText);
                    }
                }
                '?' => pieces.push(Piece::AnyOne),
                '\\' => {
                    let escaped = characters.next().ok_or(GlobError::DanglingEscape)?;
                    pieces.push(Piece::One(escaped));
                }
                '[' | ']' | '{' | '}' => return Err(GlobError::Bracket(character)),
                literal => pieces.push(Piece::One(literal)),
            }
        }
        Ok(Self {
            source: source.into(),
            form: Form::of(pieces),
        })
    }

    /// Whether `text` as a whole fits the pattern.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        match &self.form {
            Form::Any => true,
            Form::Exact(exact) => **exact == *text,
            Form::Prefix(prefix) => text.starts_with(&**prefix),
            Form::Suffix(suffix) => text.ends_with(&**suffix),
            Form::General(pieces) => matches_pieces(pieces, text),
        }
    }

    /// Whether every text fits.
    #[must_use]
    pub fn is_any(&self) -> bool {
        self.form == Form::Any
    }

    /// The only text that fits, where there is only one.
    #[must_use]
    pub fn literal(&self) -> Option<&str> {
        match &self.form {
            Form::Exact(exact) => Some(exact),
            Form::Any | Form::Prefix(_) | Form::Suffix(_) | Form::General(_) => None,
        }
    }

    /// The pattern as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.source
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}

impl fmt::Debug for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.source)
    }
}

impl Form {
    fn of(pieces: Vec<Piece>) -> Self {
        let text = |pieces: &[Piece]| -> Option<Box<str>> {
            let letters = pieces.iter().map(|piece| match piece {
                Piece::One(letter) => Some(*letter),
                Piece::AnyOne | Piece::AnyText => None,
            });
            Some(letters.collect::<Option<String>>()?.into_boxed_str())
        };
        if let Some(exact) = text(&pieces) {
            return Self::Exact(exact);
        }
        match pieces.as_slice() {
            [Piece::AnyText] => return Self::Any,
            [head @ .., Piece::AnyText] => {
                if let Some(prefix) = text(head) {
                    return Self::Prefix(prefix);
                }
            }
            [Piece::AnyText, tail @ ..] => {
                if let Some(suffix) = text(tail) {
                    return Self::Suffix(suffix);
                }
            }
            _ => {}
        }
        Self::General(pieces.into_boxed_slice())
    }
}

/// Matches with one point of return: the last `*` seen. Quadratic at worst, in names of bounded length.
fn matches_pieces(pieces: &[Piece], text: &str) -> bool {
    let mut pattern = pieces;
    let mut rest = text.chars();
    let mut resume: Option<(&[Piece], std::str::Chars<'_>)> = None;
    loop {
        if let Some((Piece::AnyText, after)) = pattern.split_first() {
            pattern = after;
            resume = Some((after, rest.clone()));
            continue;
        }
        let mut ahead = rest.clone();
        let fits = match (pattern.split_first(), ahead.next()) {
            (None, None) => return true,
            (Some((Piece::AnyOne, after)), Some(_)) => Some(after),
            (Some((Piece::One(wanted), after)), Some(found)) if *wanted == found => Some(after),
            _ => None,
        };
        if let Some(after) = fits {
            pattern = after;
            rest = ahead;
            continue;
        }
        let Some((after, from)) = resume.as_mut() else {
            return false;
        };
        if from.next().is_none() {
            return false;
        }
        pattern = after;
        rest = from.clone();
    }
}

/// Splits a dotted pattern at its unescaped dots.
///
/// # Errors
/// It has more than `most` parts.
pub fn split_parts(source: &str, most: usize) -> Result<Vec<&str>, GlobError> {
    let mut parts = Vec::new();
    let mut rest = source;
    let mut from = 0;
    let mut escaped = false;
    for (at, character) in source.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '.' => {
                if let Some((part, after)) = rest.split_at_checked(at - from) {
                    parts.push(part);
                    rest = after.strip_prefix('.').unwrap_or(after);
                    from = at + 1;
                }
            }
            _ => {}
        }
    }
    parts.push(rest);
    if parts.len() > most {
        return Err(GlobError::TooManyParts(most));
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, text: &str) -> bool {
        Glob::parse(pattern).unwrap().matches(text)
    }

    #[test]
    fn wildcards_stand_for_text() {
        for (pattern, yes, no) in [
            ("*", "", "-"),
            ("a", "a", "ab"),
            ("app_*", "app_", "ap"),
            ("*_log", "x_log", "x_logs"),
            ("a?c", "abc", "ac"),
            ("a*b*c", "a-b-b-c", "acb"),
            ("*a*", "xax", "xx"),
            ("?*", "x", ""),
            ("\\*", "*", "x"),
            ("é?", "éß", "é"),
            ("*ab", "aab", "aba"),
            ("a*ab?", "aababx", "aabab"),
        ] {
            assert!(matches(pattern, yes), "{pattern} {yes}");
            if no != "-" {
                assert!(!matches(pattern, no), "{pattern} {no}");
            }
        }
    }

    #[test]
    fn bad_patterns_are_refused() {
        assert_eq!(Glob::parse(""), Err(GlobError::Empty));
        assert_eq!(Glob::parse("a\\"), Err(GlobError::DanglingEscape));
        assert_eq!(Glob::parse("a[bc]"), Err(GlobError::Bracket('[')));
        assert_eq!(Glob::parse(&"x".repeat(2000)), Err(GlobError::TooLong));
    }

    #[test]
    fn parts_split_at_unescaped_dots() {
        assert_eq!(split_parts("a.b", 2).unwrap(), ["a", "b"]);
        assert_eq!(split_parts("a\\.b", 2).unwrap(), ["a\\.b"]);
        assert_eq!(split_parts("é.*", 2).unwrap(), ["é", "*"]);
        assert_eq!(split_parts("a.", 2).unwrap(), ["a", ""]);
        assert_eq!(split_parts("a.b.c", 2), Err(GlobError::TooManyParts(2)));
    }

    #[test]
    fn many_stars_end_in_time() {
        assert!(!matches(
            &"a*".repeat(500),
            &format!("{}b", "a".repeat(499))
        ));
    }

    proptest::proptest! {
        #[test]
        fn agrees_with_the_recursive_definition(pattern in "[ab*?]{1,8}", text in "[ab]{0,10}") {
            fn naive(pattern: &[u8], text: &[u8]) -> bool {
                match (pattern.split_first(), text.split_first()) {
                    (None, None) => true,
                    (None, Some(_)) => false,
                    (Some((b'*', rest)), None) => naive(rest, text),
                    (Some((b'*', rest)), Some((_, tail))) => naive(rest, text) || naive(pattern, tail),
                    (Some(_), None) => false,
                    (Some((b'?', rest)), Some((_, tail))) => naive(rest, tail),
                    (Some((p, rest)), Some((t, tail))) => p == t && naive(rest, tail),
                }
            }
            proptest::prop_assert_eq!(matches(&pattern, &text), naive(pattern.as_bytes(), text.as_bytes()));
        }
    }
}
