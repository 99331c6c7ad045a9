//! Takes secrets out of texts before anything is written.
//!
//! Where the secrets are is for statement analysis to say; this is the one place that removes them.

use std::borrow::Cow;
use std::ops::Range;

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
