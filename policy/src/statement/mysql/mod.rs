//! MySQL and MariaDB: scanner, normal form, fact parser and the net of table names.

mod charset;
mod draft;
mod fallback;
mod functions;
mod lex;
mod literal;
mod net;
mod normal;
mod parse;
mod pieces;
mod redaction;
mod secrets;
mod sight;
mod state;
mod token;
mod truth;
mod word;

use std::ops::Range;

use super::facts::{Facts, SessionEffect, StatementFacts};
use super::{Analysis, Fingerprint, Limits};
use crate::detect::detect;
use crate::detect::token::ends_in_comment;
use crate::vocabulary::{Class, Unreadable, Verb};

pub use charset::{ClientCharset, MultiByte};
use parse::{Fault, Parser};
pub(super) use pieces::pieces;
pub(crate) use redaction::pieces as tokens;
pub use state::{Flavour, MysqlLex, SqlMode};
use token::{LexError, Token};

/// What one pass over a text tells besides its key.
pub(crate) struct Sketch {
    /// Only the exact text identifies it.
    pub(crate) exact: bool,
    /// The comment in which applications put their context.
    pub(crate) comment: Option<Range<usize>>,
}

/// Writes the key of a text.
pub(crate) fn key(text: &[u8], lex: &MysqlLex, _limits: &Limits, key: &mut Vec<u8>) -> Sketch {
    let scan = normal::scan(text, lex, key, None);
    // Where the reading may depend on bytes that no key holds, only the text itself will do.
    let unknown = lex.sql_mode.is_none() || lex.charset.is_none();
    Sketch {
        exact: scan.error.is_some() || scan.several || unknown || ends_in_comment(text, scan.end),
        comment: context_comment(&scan.comments, text),
    }
}

/// Reads a text from scratch. Pure and total; needs [`super::ANALYSIS_STACK_BYTES`] of stack.
pub(crate) fn analyse(text: &[u8], lex: &MysqlLex, limits: &Limits) -> Analysis {
    let mut key = Vec::with_capacity(text.len().min(MAX_KEY_GUESS).saturating_add(64));
    let mut tokens = Vec::with_capacity(text.len().min(MAX_KEY_GUESS) / 4 + 8);
    let scan = normal::scan(text, lex, &mut key, Some(&mut tokens));
    let mut read = read(text, lex, limits, &scan, &tokens);
    let seen = sight::tokens(text, lex, &scan, &tokens);
    read.literals |= detect(text, &seen, &mut read.facts.statements);
    let found = secrets::find(text, lex);
    let (normal, normal_cut) = normal::render(&key, limits.max_normal_bytes);
    let depends = read.literals || found.looked;
    Analysis {
        facts: read.facts,
        fingerprint: Fingerprint::of(&key),
        normal,
        normal_cut,
        secrets: found.ranges,
        secret_parameters: found.parameters,
        depends_on_literals: depends,
    }
}

/// How much is set aside for a key at first.
const MAX_KEY_GUESS: usize = 16 * 1024;

/// Facts, and whether they hold for the exact text only.
struct Read {
    facts: Facts,
    literals: bool,
}

fn read(
    text: &[u8],
    lex: &MysqlLex,
    limits: &Limits,
    scan: &normal::Scan,
    tokens: &[Token],
) -> Read {
    match understand(text, lex, limits.max_depth, scan, tokens) {
        Ok((mut statements, literals)) => {
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
        Err(reason) => Read {
            facts: Facts {
                statements: fallback::facts(text, lex),
                unreadable: Some(reason),
            },
            literals: true,
        },
    }
}

/// Reads a text, or says why that can't be done exactly.
fn understand(
    text: &[u8],
    lex: &MysqlLex,
    max_depth: u32,
    scan: &normal::Scan,
    tokens: &[Token],
) -> Result<(Vec<StatementFacts>, bool), Unreadable> {
    if let Some(reason) = doubt(text, lex) {
        return Err(reason);
    }
    match scan.error {
        Some((LexError::TooLong, _)) => return Err(Unreadable::TooComplex),
        Some((LexError::Encoding, _)) => return Err(Unreadable::Encoding),
        Some(_) => return Err(Unreadable::Syntax),
        None => {}
    }
    let statements = Parser::new(text, tokens, lex, max_depth)
        .statements()
        .map_err(Fault::reason)?;
    if statements.len() > 1 && !lex.multi_statements {
        return Err(Unreadable::Syntax);
    }
    let charset = lex.charset.unwrap_or(ClientCharset::Utf8);
    let mut literals = false;
    let mut read = Vec::with_capacity(statements.len());
    let last = statements.len().saturating_sub(1);
    for (number, statement) in statements.into_iter().enumerate() {
        let own = tokens.get(statement.tokens).unwrap_or_default();
        if has_net(statement.facts.verb) && !net::holds(text, own, charset, &statement.facts) {
            return Err(Unreadable::Disagreement);
        }
        if number < last
            && statement
                .facts
                .effects
                .iter()
                .any(|effect| changes_reading(effect, lex))
        {
            let end = own.last().map_or(0, |token| token.end as usize);
            if is_sensitive(text.get(end..).unwrap_or_default()) {
                return Err(Unreadable::Unsettled);
            }
        }
        literals |= statement.literals || !is_everyday(statement.facts.verb);
        read.push(statement.facts);
    }
    Ok((read, literals))
}

/// Why the session's state does not let this text be read.
fn doubt(text: &[u8], lex: &MysqlLex) -> Option<Unreadable> {
    if lex.charset == Some(ClientCharset::Refused) {
        return Some(Unreadable::Encoding);
    }
    if lex.charset.is_none() && !text.is_ascii() {
        return Some(Unreadable::Unsettled);
    }
    match lex.sql_mode {
        // MariaDB's other grammar is not known here.
        Some(mode) if mode.has(SqlMode::ORACLE) => Some(Unreadable::Syntax),
        None if is_sensitive(text) || (lex.flavour == Flavour::Mariadb && !is_common(text)) => {
            Some(Unreadable::Unsettled)
        }
        _ => None,
    }
}

/// Bytes whose reading depends on sql_mode or the character set.
fn is_sensitive(text: &[u8]) -> bool {
    text.iter()
        .any(|&byte| matches!(byte, b'"' | b'\\' | b'|' | 0x80..))
}

/// Whether a text starts with a command that MariaDB's two grammars have in common.
fn is_common(text: &[u8]) -> bool {
    let text = text.trim_ascii_start();
    [
        "select", "insert", "update", "delete", "replace", "set", "show", "use", "commit",
        "rollback",
    ]
    .iter()
    .any(|command| {
        let (head, rest) = text.split_at_checked(command.len()).unwrap_or((b"", text));
        head.eq_ignore_ascii_case(command.as_bytes())
            && rest
                .first()
                .is_none_or(|byte| !byte.is_ascii_alphanumeric())
    })
}

/// Whether later statements of the same text may be read differently.
fn changes_reading(effect: &SessionEffect, lex: &MysqlLex) -> bool {
    match effect {
        SessionEffect::Set { name, value, .. } if &**name == "sql_mode" => {
            let mode = value.as_deref().and_then(SqlMode::parse);
            mode.is_none() || mode != lex.sql_mode
        }
        SessionEffect::Set { name, .. } => parse::is_reading(name),
        SessionEffect::Reset(_)
        | SessionEffect::Discard
        | SessionEffect::Execute(_)
        | SessionEffect::MayChangeSettings => true,
        SessionEffect::Use(_)
        | SessionEffect::Prepare { .. }
        | SessionEffect::Deallocate(_)
        | SessionEffect::Declare { .. }
        | SessionEffect::ReadFile(_)
        | SessionEffect::Cursor(_) => false,
    }
}

/// The facts of the one statement that a string literal holds.
fn read_nested(
    text: &[u8],
    lex: &MysqlLex,
    depth: u32,
    schema: Option<Box<str>>,
) -> Result<StatementFacts, Fault> {
    let mut key = Vec::new();
    let mut tokens = Vec::new();
    let scan = normal::scan(text, lex, &mut key, Some(&mut tokens));
    match scan.error {
        Some((LexError::TooLong, _)) => return Err(Fault::Depth),
        Some((LexError::Encoding, _)) => return Err(Fault::Encoding),
        Some(_) => return Err(Fault::Syntax),
        None => {}
    }
    let mut statements = Parser::new(text, &tokens, lex, MAX_NESTED_DEPTH)
        .below(depth, schema)
        .statements()?;
    match (statements.pop(), statements.is_empty()) {
        (Some(only), true) => {
            let own = tokens.get(only.tokens).unwrap_or_default();
            let charset = lex.charset.unwrap_or(ClientCharset::Utf8);
            if has_net(only.facts.verb) && !net::holds(text, own, charset, &only.facts) {
                return Err(Fault::Syntax);
            }
            Ok(only.facts)
        }
        _ => Err(Fault::Syntax),
    }
}

/// How deep a statement in a string may be, the statement around it included.
const MAX_NESTED_DEPTH: u32 = 500;

/// Commands whose tables the net knows how to find.
fn has_net(verb: Verb) -> bool {
    matches!(
        verb,
        Verb::Select | Verb::Insert | Verb::Update | Verb::Delete | Verb::Explain | Verb::Do
    )
}

/// Commands whose reading is the same whatever the values of their literals.
fn is_everyday(verb: Verb) -> bool {
    matches!(
        verb,
        Verb::Select
            | Verb::Insert
            | Verb::Update
            | Verb::Delete
            | Verb::Truncate
            | Verb::Begin
            | Verb::Commit
            | Verb::Rollback
            | Verb::Savepoint
            | Verb::Explain
            | Verb::Use
            | Verb::Call
            | Verb::Lock
            | Verb::Do
            | Verb::Deallocate
            | Verb::Empty
    )
}

/// The block comment at the end of a text (a semicolon may follow), else the one at its start.
fn context_comment(comments: &lex::Comments, text: &[u8]) -> Option<Range<usize>> {
    let trails = |range: &Range<usize>| {
        let rest = text.get(range.end..).unwrap_or_default();
        rest.iter()
            .all(|byte| byte.is_ascii_whitespace() || matches!(byte, b';' | 0x0b))
    };
    let last = comments.last.clone().filter(trails);
    last.or_else(|| comments.leading.clone())
}
