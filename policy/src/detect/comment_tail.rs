//! **comment-tail**: the text ends in a line comment that swallows the rest of the statement it was put into.
//!
//! `… WHERE name = 'x' OR 1=1 -- ' AND active = 1`, `… #`, `…--+`. Matched is a comment at the very end that is empty, is one
//! short word, or reads on like SQL: with quotes, brackets, comparisons or clauses. Prose is not matched, nor comments at
//! the start or in lines before the end, nor `/* … */`, in which tools put their context.

use super::Sight;
use super::token::{Key, Kind};
use super::tree::Arm;
use crate::vocabulary::Detector;

pub(super) fn find(sight: &mut Sight<'_>) {
    let Some(tail) = sight.tail.clone() else {
        return;
    };
    let tree = &sight.tree;
    let named = tree
        .queries
        .iter()
        .flat_map(|query| &query.arms)
        .any(Arm::has_rows);
    let Some(last) = tree.tokens.last() else {
        return;
    };
    let body = tree.text.get(tail.clone()).unwrap_or_default();
    let body = body
        .strip_prefix(b"#")
        .or_else(|| body.strip_prefix(b"--"))
        .unwrap_or(body);
    if last.kind == Kind::Semicolon && tree.statements.len() < 2 && !is_code(body) {
        return;
    }
    if named && (is_cut(body) || is_code(body)) {
        let statement = tree.statements.len().saturating_sub(1);
        let start = last.start as usize;
        sight.report_bytes(
            Detector::CommentTail,
            statement,
            start..tail.end,
            "a comment that swallows the rest",
        );
    }
}

/// Nothing that anybody would write down for a reader.
fn is_cut(body: &[u8]) -> bool {
    let body = body.trim_ascii();
    body.len() <= MAX_WORD && !body.iter().any(u8::is_ascii_whitespace)
}

/// What would have been read had the comment not stood there.
fn is_code(body: &[u8]) -> bool {
    let body = body.trim_ascii();
    if body
        .iter()
        .any(|byte| matches!(byte, b'\'' | b'"' | b'`' | b'=' | b'%' | b';'))
    {
        return true;
    }
    if matches!(body.first(), Some(b')' | b',' | b'+' | b'-')) {
        return true;
    }
    let words: Vec<Kind> = body
        .split(|byte| !byte.is_ascii_alphanumeric() && *byte != b'_')
        .filter(|word| !word.is_empty())
        .take(MAX_WORDS)
        .map(|word| match word {
            [b'0'..=b'9', ..] => Kind::Number,
            word => Kind::of_word(word),
        })
        .collect();
    words.windows(2).any(|pair| {
        matches!(
            pair,
            [Kind::Key(Key::Limit | Key::Offset), Kind::Number]
                | [Kind::Key(Key::Order | Key::Group), Kind::Key(Key::By)]
        )
    })
}

const MAX_WORD: usize = 6;
const MAX_WORDS: usize = 64;
