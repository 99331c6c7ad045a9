//! Bodies of the fuzz targets.

use super::{
    ClientCharset, Encoding, Flavour, LexState, Limits, MysqlLex, PostgresLex, Reader, SqlMode,
    analyse, analyse_replication,
};

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

/// The same on a stack as deep as analyses need: fuzzers run on a shallow one.
pub fn statement_on_stack(data: &[u8]) {
    std::thread::scope(|scope| {
        let run = std::thread::Builder::new()
            .stack_size(super::ANALYSIS_STACK_BYTES)
            .spawn_scoped(scope, || statement(data));
        if let Ok(Err(panic)) = run.map(std::thread::ScopedJoinHandle::join) {
            std::panic::resume_unwind(panic);
        }
    });
}

/// Reads arbitrary bytes as a MySQL or MariaDB text; recalled and fresh analyses must agree.
pub fn mysql_statement(data: &[u8]) {
    let [first, second, text @ ..] = data else {
        return;
    };
    let flavour = if first & 1 == 0 {
        Flavour::Mysql
    } else {
        Flavour::Mariadb
    };
    let charsets = [
        "utf8mb4", "latin1", "gbk", "sjis", "big5", "gb18030", "ujis", "euckr", "binary", "cp1251",
        "swe7",
    ];
    let modes = [
        "",
        "ANSI_QUOTES",
        "NO_BACKSLASH_ESCAPES",
        "ANSI,NO_BACKSLASH_ESCAPES",
        "HIGH_NOT_PRECEDENCE",
    ];
    let charset = charsets.get(usize::from(second >> 4)).copied();
    let mode = modes.get(usize::from(second & 7)).copied();
    let lex = LexState::Mysql(MysqlLex {
        charset: charset.map(ClientCharset::from_name),
        sql_mode: mode.and_then(SqlMode::parse),
        multi_statements: first & 2 == 0,
        folds_names: first & 4 != 0,
        ..MysqlLex::new(flavour)
    });
    let limits = Limits::default();
    let fresh = analyse(text, &lex, &limits);
    assert!(!fresh.facts.statements.is_empty(), "no statement");
    let mut end = 0;
    for range in &fresh.secrets {
        assert!(
            end <= range.start && range.start <= range.end && range.end <= text.len(),
            "a secret out of order or bounds"
        );
        end = range.end;
    }
    let mut reader = Reader::new(1 << 20, limits);
    reader.remember(text, &lex, fresh.clone());
    if let Some(known) = reader.recall(text, &lex).known {
        assert!(*known.analysis == fresh, "the recalled analysis differs");
    }
}
