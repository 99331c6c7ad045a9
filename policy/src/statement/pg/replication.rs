//! The command language of replication connections.

use crate::statement::facts::{Facts, StatementFacts};
use crate::statement::{Analysis, Fingerprint, Limits, PostgresLex};
use crate::vocabulary::{Class, Verb};

use super::{bytes, normal, secrets};

/// Reads a text that came over a replication connection: its commands first, SQL otherwise.
#[must_use]
pub(crate) fn analyse_replication(text: &[u8], lex: &PostgresLex, limits: &Limits) -> Analysis {
    if !is_command(text) {
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
        secret_parameters: false,
        depends_on_literals: true,
    }
}

/// Whether the server's replication scanner takes the text: its keywords are in upper case, it knows no comments, and
/// nothing but blanks may follow the semicolon that ends a command.
fn is_command(text: &[u8]) -> bool {
    let blanks = text.iter().take_while(|&&byte| bytes::is_space(byte));
    let text = text.get(blanks.count()..).unwrap_or_default();
    let length = text
        .iter()
        .position(|&byte| !bytes::is_word_byte(byte))
        .unwrap_or(text.len());
    let Some((word, rest)) = text.split_at_checked(length) else {
        return false;
    };
    COMMANDS.iter().any(|command| command.as_bytes() == word) && is_single(rest)
}

/// Whether all quotes are closed and no semicolon outside of them has more behind it; a doubled quote closes and opens.
fn is_single(text: &[u8]) -> bool {
    let mut quote = None;
    let mut ended = false;
    for &byte in text {
        if ended && !bytes::is_space(byte) {
            return false;
        }
        match (quote, byte) {
            (None, b'\'' | b'"') => quote = Some(byte),
            (Some(open), byte) if open == byte => quote = None,
            (None, b';') => ended = true,
            (None | Some(_), _) => {}
        }
    }
    quote.is_none()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_what_the_replication_scanner_takes() {
        for text in [
            "IDENTIFY_SYSTEM",
            " \t\n\r\x0c\x0bSHOW x",
            "SHOW x;",
            "SHOW x ; \n",
            "CREATE_REPLICATION_SLOT \"a;b\" LOGICAL p",
            "START_REPLICATION SLOT a LOGICAL 0/0 (o 'a;''b')",
        ] {
            assert!(is_command(text.as_bytes()), "{text}");
        }
        for text in [
            "",
            "show x",
            "Show x",
            "SHOWx",
            "SHOW$ x",
            "SHOW_ x",
            "identify_system",
            "/**/SHOW x",
            "--\nSHOW x",
            "\u{a0}SHOW x",
            "\"SHOW\" x",
            "SHOW x; DROP TABLE t",
            "SHOW x;;",
            "SHOW x; -- y",
            "SHOW '",
            "SHOW \"; DROP TABLE t",
            "SHOW 'a\\'; DROP TABLE t --'",
        ] {
            assert!(!is_command(text.as_bytes()), "{text}");
        }
    }
}
