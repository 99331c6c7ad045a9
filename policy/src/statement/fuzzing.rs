//! Bodies of the fuzz targets.

use super::{Encoding, LexState, Limits, PostgresLex, Reader, analyse, analyse_replication};

/// Reads arbitrary bytes as a statement; recalled and fresh analyses must agree.
pub fn statement(data: &[u8]) {
    let Some((&first, text)) = data.split_first() else {
        return;
    };
    let encodings = [
        "UTF8",
        "SQL_ASCII",
        "LATIN1",
        "SJIS",
        "EUC_JP",
        "WIN1252",
        "GBK",
        "JOHAB",
    ];
    let name = encodings
        .get(usize::from(first >> 1) % encodings.len())
        .copied();
    let lex = LexState::Postgres(PostgresLex {
        standard_conforming_strings: first & 1 == 0,
        encoding: Encoding::from_postgres_name(name.unwrap_or_default()),
    });
    let limits = Limits::default();
    let fresh = analyse(text, &lex, &limits);
    assert!(!fresh.facts.statements.is_empty(), "no statement");
    for range in &fresh.secrets {
        assert!(
            range.start <= range.end && range.end <= text.len(),
            "a secret out of bounds"
        );
    }
    let mut reader = Reader::new(1 << 20, limits.clone());
    reader.remember(text, &lex, fresh.clone());
    if let Some(known) = reader.recall(text, &lex).known {
        assert!(*known.analysis == fresh, "the recalled analysis differs");
    }
    let replication = analyse_replication(text, &lex, &limits);
    assert!(
        !replication.facts.statements.is_empty(),
        "no replication command"
    );
}
