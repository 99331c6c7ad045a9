//! The command language of replication connections.

use crate::statement::facts::{Facts, StatementFacts};
use crate::statement::{Analysis, Fingerprint, LexState, Limits};
use crate::vocabulary::{Class, Verb};

use super::lex::Lexer;
use super::token::Kind;
use super::{normal, secrets};

/// Reads a text that came over a replication connection: its commands first, SQL otherwise.
#[must_use]
pub fn analyse_replication(text: &[u8], lex: &LexState, limits: &Limits) -> Analysis {
    if !is_command(text, limits) {
        return super::analyse(text, lex, limits);
    }
    let mut key = Vec::new();
    // The replication scanner knows one kind of strings, in which backslashes are ordinary.
    normal::sketch(text, true, limits, &mut key, None);
    let (normal, normal_cut) = normal::render(&key, limits.max_normal_bytes);
    let statements = vec![StatementFacts::new(Verb::Replication, Class::Admin)];
    Analysis {
        facts: Facts {
            statements,
            unreadable: None,
        },
        fingerprint: Fingerprint::of(&key),
        normal,
        normal_cut,
        secrets: secrets::find(text, true, limits).ranges,
        depends_on_literals: true,
    }
}

/// Whether the first word is one that the replication grammar takes.
fn is_command(text: &[u8], limits: &Limits) -> bool {
    let mut lexer = Lexer::new(text, true, limits);
    let Ok(Some(first)) = lexer.next_token() else {
        return false;
    };
    if first.kind != Kind::Word {
        return false;
    }
    let word = first.bytes(text);
    COMMANDS
        .iter()
        .any(|command| word.eq_ignore_ascii_case(command.as_bytes()))
}

/// What `src/backend/replication/repl_gram.y` starts a command with, SHOW (also SQL) included.
const COMMANDS: &[&str] = &[
    "IDENTIFY_SYSTEM",
    "BASE_BACKUP",
    "START_REPLICATION",
    "CREATE_REPLICATION_SLOT",
    "DROP_REPLICATION_SLOT",
    "READ_REPLICATION_SLOT",
    "ALTER_REPLICATION_SLOT",
    "TIMELINE_HISTORY",
    "UPLOAD_MANIFEST",
    "SHOW",
];
