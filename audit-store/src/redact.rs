//! Takes secrets out of texts before anything is written.
//!
//! Where the secrets are is for statement analysis to say; this is the one place that removes them.

use std::borrow::Cow;
use std::ops::Range;

use ring::hmac;

/// What stands in a secret's place.
pub const MASK: &[u8] = b"'***'";

/// Replaces the byte ranges of `text`, in any order and overlapping as they may, by [`MASK`].
///
/// A range beyond the text is cut to it; one that begins behind its end is empty and replaces nothing.
#[must_use]
pub fn redact<'t>(text: &'t [u8], secrets: &[Range<usize>]) -> Cow<'t, [u8]> {
    let mut ranges: Vec<Range<usize>> = secrets
        .iter()
        .map(|range| range.start..range.end.min(text.len()))
        .filter(|range| range.start < range.end)
        .collect();
    if ranges.is_empty() {
        return Cow::Borrowed(text);
    }
    ranges.sort_by_key(|range| range.start);
    let mut clean = Vec::with_capacity(text.len());
    let mut copied = 0;
    let mut masked_to = None;
    for range in ranges {
        // Ranges that touch or overlap share one mask.
        if masked_to.is_none_or(|end| range.start > end) {
            clean.extend_from_slice(text.get(copied..range.start).unwrap_or_default());
            clean.extend_from_slice(MASK);
        }
        copied = copied.max(range.end);
        masked_to = Some(copied);
    }
    clean.extend_from_slice(text.get(copied..).unwrap_or_default());
    Cow::Owned(clean)
}

/// What stands in a comment's place.
pub const COMMENT: &[u8] = b"/***/";

/// Replaces byte ranges of `text`, in any order, each by what is given with it; what overlaps becomes one [`MASK`].
#[must_use]
pub fn replace<'t>(text: &'t [u8], places: Vec<(Range<usize>, Cow<'_, [u8]>)>) -> Cow<'t, [u8]> {
    let mut places: Vec<_> = places
        .into_iter()
        .map(|(range, stand_in)| (range.start..range.end.min(text.len()), stand_in))
        .filter(|(range, _)| range.start < range.end)
        .collect();
    places.sort_by_key(|(range, _)| range.start);
    let mut merged: Vec<(Range<usize>, Cow<'_, [u8]>)> = Vec::with_capacity(places.len());
    for (range, stand_in) in places {
        match merged.last_mut() {
            Some((last, mask)) if range.start < last.end => {
                last.end = last.end.max(range.end);
                *mask = Cow::Borrowed(MASK);
            }
            _ => merged.push((range, stand_in)),
        }
    }
    if merged.is_empty() {
        return Cow::Borrowed(text);
    }
    let mut clean = Vec::with_capacity(text.len());
    let mut copied = 0;
    for (range, stand_in) in merged {
        clean.extend_from_slice(text.get(copied..range.start).unwrap_or_default());
        clean.extend_from_slice(&stand_in);
        copied = range.end;
    }
    clean.extend_from_slice(text.get(copied..).unwrap_or_default());
    Cow::Owned(clean)
}

/// The key of redaction by hash (HMAC-SHA-256): who has it can tell which value a hash is of, nobody else.
#[derive(Clone)]
pub struct RedactionKey(hmac::Key);

/// Why bytes are no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a redaction key needs at least {MIN_KEY_BYTES} bytes, as from `openssl rand -hex 32`")]
pub struct ShortKey;

/// The shortest key, in bytes.
const MIN_KEY_BYTES: usize = 32;

/// How many bytes of a hash are recorded.
const HASH_BYTES: usize = 16;

impl RedactionKey {
    /// The key in a file's content; white space around it does not belong to it.
    ///
    /// # Errors
    /// It is too short.
    pub fn new(content: &[u8]) -> Result<Self, ShortKey> {
        let key = content.trim_ascii();
        if key.len() < MIN_KEY_BYTES {
            return Err(ShortKey);
        }
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, key)))
    }

    /// What stands in a value's place: `hmac:` and the first half of the hash, in hexadecimal.
    #[must_use]
    pub fn stand_in(&self, value: &[u8]) -> String {
        let tag = hmac::sign(&self.0, value);
        let half = tag.as_ref().get(..HASH_BYTES).unwrap_or_default();
        format!("hmac:{}", crate::chain::hex(half))
    }
}

impl std::fmt::Debug for RedactionKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RedactionKey")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(text: &str, secrets: &[Range<usize>], expected: &str) {
        assert_eq!(
            String::from_utf8_lossy(&redact(text.as_bytes(), secrets)),
            expected
        );
    }

    #[test]
    #[expect(
        clippy::single_range_in_vec_init,
        reason = "the ranges are secrets, not elements"
    )]
    fn masks_ranges() {
        check(
            "ALTER ROLE a PASSWORD 'x'",
            &[22..25],
            "ALTER ROLE a PASSWORD '***'",
        );
        check("abcdef", &[4..5, 1..2], "a'***'cd'***'f");
        check("abcdef", &[1..4, 2..5, 5..6], "a'***'");
        check("abc", &[2..99], "ab'***'");
        check("abc", &[9..99], "abc");
        check("abc", &[], "abc");
    }

    #[test]
    fn replaces_ranges_by_what_is_given() {
        let place = |range, stand_in: &'static str| (range, Cow::Borrowed(stand_in.as_bytes()));
        let shown = |places| String::from_utf8(replace(b"abcdef", places).into_owned()).unwrap();
        assert_eq!(shown(vec![]), "abcdef");
        assert_eq!(shown(vec![place(4..5, "Y"), place(1..2, "X")]), "aXcdYf");
        assert_eq!(shown(vec![place(1..2, "X"), place(2..3, "Y")]), "aXYdef");
        assert_eq!(shown(vec![place(1..3, "X"), place(2..9, "Y")]), "a'***'");
        assert_eq!(shown(vec![place(1..3, "X"), place(1..3, "Y")]), "a'***'def");
    }

    /// The value is what Python's `hmac` makes.
    #[test]
    fn a_hash_tells_nothing_but_equality() {
        let key = RedactionKey::new(b" 0123456789abcdef0123456789abcdef\n").unwrap();
        assert_eq!(
            key.stand_in(b"123-45-6789"),
            "hmac:c5e5fd81ed3e05504b23ff6146781b13"
        );
        assert_ne!(key.stand_in(b"123-45-6780"), key.stand_in(b"123-45-6789"));
        assert_eq!(RedactionKey::new(b"short").unwrap_err(), ShortKey);
    }

    proptest! {
        #[test]
        fn no_secret_byte_is_left(
            length in 0usize..60,
            secrets in proptest::collection::vec((0usize..70, 0usize..20), 0..6),
        ) {
            // Secret bytes are `s`, all others `o`; the mask has neither.
            let mut text = vec![b'o'; length];
            let ranges: Vec<_> = secrets.iter().map(|(start, len)| *start..start + len).collect();
            for range in &ranges {
                for at in range.clone() {
                    if let Some(byte) = text.get_mut(at) { *byte = b's'; }
                }
            }
            let clean = redact(&text, &ranges);
            prop_assert!(!clean.contains(&b's'));
            let open = |bytes: &[u8]| bytes.iter().filter(|byte| **byte == b'o').count();
            prop_assert_eq!(open(&clean), open(&text));
        }
    }
}
