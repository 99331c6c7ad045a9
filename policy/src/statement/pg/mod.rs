//! PostgreSQL: scanner, guard, normal form, the server's grammar and the walk of its tree.

mod bytes;
#[cfg(test)]
mod corpus;
mod fallback;
mod functions;
mod guard;
mod harmless;
mod lex;
mod lists;
mod normal;
mod parse;
mod pieces;
mod redaction;
mod replication;
mod secrets;
mod sight;
mod token;
mod walk;
mod word;

use std::borrow::Cow;
use std::ops::Range;

use super::facts::{Facts, StatementFacts};
use super::{Analysis, Encoding, Fingerprint, Limits, PostgresLex};
use crate::detect::detect;
use crate::vocabulary::{Class, Unreadable, Verb};

pub(crate) use normal::Sketch;
pub(super) use pieces::pieces;
pub(crate) use redaction::pieces as tokens;
pub(crate) use replication::analyse_replication;
pub(crate) use secrets::speaks_of_secrets;

/// Reads a text from scratch. Pure and total; needs [`super::ANALYSIS_STACK_BYTES`] of stack.
#[must_use]
pub(crate) fn analyse(text: &[u8], lex: &PostgresLex, limits: &Limits) -> Analysis {
    let Some(decoded) = lex.encoding.decode(text) else {
        return undecodable(text, lex, limits);
    };
    let conforming = lex.standard_conforming_strings;
    let mut key = Vec::with_capacity(decoded.len().saturating_add(64));
    let mut cuts = Vec::new();
    let sketch = normal::sketch(
        decoded.as_bytes(),
        conforming,
        limits,
        &mut key,
        Some(&mut cuts),
    );
    let mut read = read(&decoded, lex, limits, &sketch, &cuts);
    let seen = sight::tokens(decoded.as_bytes(), conforming, limits);
    read.literals |= detect(decoded.as_bytes(), &seen, &mut read.facts.statements);
    let found = secrets::find(decoded.as_bytes(), conforming, limits);
    let secrets = raw_ranges(found.ranges, text, &decoded, lex, limits);
    let (normal, normal_cut) = normal::render(&key, limits.max_normal_bytes);
    Analysis {
        facts: read.facts,
        fingerprint: Fingerprint::of(&key),
        normal,
        normal_cut,
        secrets,
        secret_parameters: found.parameters,
        depends_on_literals: read.literals || found.looked,
    }
}

/// Writes the key of a text.
pub(crate) fn key(text: &[u8], lex: &PostgresLex, limits: &Limits, key: &mut Vec<u8>) -> Sketch {
    normal::sketch(text, lex.standard_conforming_strings, limits, key, None)
}

/// The block comment at the end of a text (a semicolon may follow), else the one at its start.
pub(crate) fn context_comment(comments: &lex::Comments, text: &[u8]) -> Option<Range<usize>> {
    let trails = |range: &Range<usize>| {
        let rest = text.get(range.end..).unwrap_or_default();
        rest.iter()
            .all(|&byte| bytes::is_space(byte) || byte == b';')
    };
    let last = comments.last.clone().filter(trails);
    last.or_else(|| comments.leading.clone())
}

/// Facts, and whether they hold for the exact text only.
struct Read {
    facts: Facts,
    literals: bool,
}

/// Reads a decoded text, by the grammar if the guard lets it through.
fn read(
    text: &str,
    lex: &PostgresLex,
    limits: &Limits,
    sketch: &Sketch,
    cuts: &[Range<usize>],
) -> Read {
    let reason = match sketch.error {
        Some((error, _)) if error.is_complexity() => Some(Unreadable::TooComplex),
        Some(_) => Some(Unreadable::Syntax),
        None if sketch.depth > limits.max_depth => Some(Unreadable::TooComplex),
        None if has_ambiguous_names(text, lex, limits) => Some(Unreadable::Encoding),
        None => None,
    };
    if let Some(reason) = reason {
        return unreadable(text.as_bytes(), lex, limits, reason);
    }
    let cut = text.len() > MAX_UNCUT_BYTES && !cuts.is_empty();
    let given = if cut {
        without(text, cuts)
    } else {
        Cow::Borrowed(text)
    };
    let tree = match parse::parse(&given, lex.standard_conforming_strings) {
        Ok(tree) => tree,
        Err(parse::ParseError::Syntax) => {
            return unreadable(text.as_bytes(), lex, limits, Unreadable::Syntax);
        }
        Err(parse::ParseError::Depth) => {
            return unreadable(text.as_bytes(), lex, limits, Unreadable::TooComplex);
        }
    };
    let mut literals = false;
    let mut statements = Vec::with_capacity(tree.stmts.len().max(1));
    for raw in &tree.stmts {
        let walked = walk::walk(pg_query::NodeRef::RawStmt(raw), cut);
        literals |= walked.literals || !is_everyday(walked.facts.verb);
        statements.push(walked.facts);
    }
    if statements.is_empty() {
        statements.push(StatementFacts::new(Verb::Empty, Class::Utility));
    }
    Read {
        facts: Facts {
            statements,
            unreadable: None,
        },
        literals,
    }
}

/// Commands whose grammar accepts or refuses them whatever the values of their literals.
fn is_everyday(verb: Verb) -> bool {
    matches!(
        verb,
        Verb::Select
            | Verb::Insert
            | Verb::Update
            | Verb::Delete
            | Verb::Merge
            | Verb::Begin
            | Verb::Commit
            | Verb::Rollback
            | Verb::Savepoint
            | Verb::Show
            | Verb::Explain
            | Verb::Prepare
            | Verb::Execute
            | Verb::Deallocate
            | Verb::Declare
            | Verb::Fetch
            | Verb::Close
            | Verb::Empty
    )
}

/// What the scanner alone can tell.
fn unreadable(text: &[u8], lex: &PostgresLex, limits: &Limits, reason: Unreadable) -> Read {
    let statements = fallback::facts(text, lex.standard_conforming_strings, limits);
    Read {
        facts: Facts {
            statements,
            unreadable: Some(reason),
        },
        literals: true,
    }
}

/// A text with bytes that mean nothing in its encoding.
fn undecodable(text: &[u8], lex: &PostgresLex, limits: &Limits) -> Analysis {
    let conforming = lex.standard_conforming_strings;
    let statements = fallback::facts(text, conforming, limits);
    let mut key = Vec::new();
    normal::sketch(text, conforming, limits, &mut key, None);
    let (normal, normal_cut) = normal::render(&key, limits.max_normal_bytes);
    let found = secrets::find(text, conforming, limits);
    let mut secrets = found.ranges;
    let unsafe_scan = !lex.encoding.is_ascii_safe();
    if unsafe_scan && !secrets.is_empty() {
        secrets = whole(text);
    }
    Analysis {
        facts: Facts {
            statements,
            unreadable: Some(Unreadable::Encoding),
        },
        fingerprint: Fingerprint::of(&key),
        normal,
        normal_cut,
        secrets,
        secret_parameters: found.parameters || unsafe_scan,
        depends_on_literals: true,
    }
}

/// Identifiers that the server truncates by its own encoding, which is not known to be UTF-8.
fn has_ambiguous_names(text: &str, lex: &PostgresLex, limits: &Limits) -> bool {
    if text.is_ascii() || lex.encoding == Encoding::Utf8 {
        return false;
    }
    let mut lexer = lex::Lexer::new(text.as_bytes(), lex.standard_conforming_strings, limits);
    while let Ok(Some(token)) = lexer.next_token() {
        let bytes = token.bytes(text.as_bytes());
        if token.kind.is_name() && bytes.len() > MAX_NAME_BYTES && !bytes.is_ascii() {
            return true;
        }
    }
    false
}

/// The text without the given places.
fn without<'t>(text: &'t str, cuts: &[Range<usize>]) -> Cow<'t, str> {
    let mut cuts = cuts.to_vec();
    cuts.sort_by_key(|cut| cut.start);
    let mut kept = String::with_capacity(text.len() / 2);
    let mut from = 0;
    for cut in cuts {
        if cut.start < from {
            continue;
        }
        kept.push_str(text.get(from..cut.start).unwrap_or_default());
        kept.push(' ');
        from = cut.end;
    }
    kept.push_str(text.get(from..).unwrap_or_default());
    Cow::Owned(kept)
}

/// Secrets found in the decoded text, as ranges of the text as sent.
fn raw_ranges(
    found: Vec<Range<usize>>,
    text: &[u8],
    decoded: &str,
    lex: &PostgresLex,
    limits: &Limits,
) -> Vec<Range<usize>> {
    if found.is_empty() || decoded.as_bytes() == text {
        return found;
    }
    if lex.encoding.is_ascii_safe() {
        return secrets::find(text, lex.standard_conforming_strings, limits).ranges;
    }
    whole(text)
}

/// All of a text.
fn whole(text: &[u8]) -> Vec<Range<usize>> {
    std::iter::once(0..text.len()).collect()
}

/// Texts up to this size are given to the parser as they are.
const MAX_UNCUT_BYTES: usize = 4 * 1024;
/// NAMEDATALEN less its terminator.
const MAX_NAME_BYTES: usize = 63;
