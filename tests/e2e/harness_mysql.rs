//! The tools of the MySQL and MariaDB tests, shown on servers without a proxy.

use anyhow::{Context, Result, ensure};
use sqlward_tests::mysql::oracle::tell_errors;
use sqlward_tests::mysql::raw::{self, Raw, capability};
use sqlward_tests::mysql::{Options, Product, Record, Server, record, traffic};
use sqlward_tests::oracle::{self, Session};
use sqlward_tests::server::{DATABASE, TRUSTED_USER};
use sqlward_tests::traffic::Played;

fn raw_client(product: Product) -> Result<()> {
    let server = Server::start(&Options {
        tls: true,
        ..Options::new(product)
    })?;
    let authority = &server.certificates().context("no certificates")?.authority;
    for deprecate_eof in [0, capability::DEPRECATE_EOF] {
        for authority in [None, Some(authority.as_path())] {
            let mut raw = Raw::start(
                server.port(),
                &raw::Login {
                    user: TRUSTED_USER,
                    database: Some(DATABASE),
                    capabilities: capability::MULTI_STATEMENTS
                        | capability::LOCAL_FILES
                        | deprecate_eof,
                    authority,
                },
            )?;
            speak(&mut raw, authority.is_some())?;
        }
    }
    ensure!(server.sql("app", "SELECT count(*) FROM accounts")? == "100");
    ensure!(server.sql("app", "SELECT v FROM secret")? == "marker");
    Ok(())
}

fn speak(raw: &mut Raw, encrypted: bool) -> Result<()> {
    ensure!(raw.value("SELECT connection_id()")? == raw.id.to_string());
    let results = raw.query("SELECT 1; SELECT nonesuch; SELECT 3")?;
    let [one, two] = results.as_slice() else {
        anyhow::bail!("{results:?}");
    };
    ensure!(one.rows == 1 && one.failure.is_none());
    let failure = two.failure.as_ref().context("no error")?;
    ensure!(failure.errno == 1054 && failure.sqlstate == "42S22");
    ensure!(raw.simple(14, &[])?.failure.is_none(), "ping");
    ensure!(raw.simple(2, b"nonesuch")?.failure.is_some(), "init_db");
    let statement = raw.prepare("SELECT id FROM accounts WHERE id <= ? ORDER BY id")?;
    let statement = statement.map_err(|error| anyhow::anyhow!("{error:?}"))?;
    let rows = raw.execute(statement, &[Some("7")], false)?;
    ensure!(rows.first().is_some_and(|one| one.rows == 7), "{rows:?}");
    let opened = raw.execute(statement, &[Some("9")], true)?;
    let opened = opened.first().context("no answer")?;
    ensure!(opened.rows == 0 && opened.status & raw::CURSOR_EXISTS != 0);
    ensure!(raw.fetch(statement, 5)?.rows == 5);
    ensure!(raw.fetch(statement, 5)?.rows == 4);
    raw.close(statement)?;
    raw.query("CREATE TEMPORARY TABLE t (a int)")?;
    let loaded = raw.query_with("LOAD DATA LOCAL INFILE 'given' INTO TABLE t", b"1\n2\n3\n")?;
    ensure!(
        loaded.first().is_some_and(|one| one.affected == 3),
        "{loaded:?}"
    );
    raw.simple(31, &[])?;
    let gone = raw.query("SELECT * FROM t")?;
    ensure!(gone.first().is_some_and(|one| one.failure.is_some()));
    raw.change_user(TRUSTED_USER, DATABASE)?;
    let long = "x".repeat(17 << 20);
    ensure!(raw.value(&format!("SELECT length('{long}')"))? == long.len().to_string());
    ensure!(raw.value(&format!("SELECT '{long}'"))? == long);
    let sql = "SHOW STATUS LIKE 'Ssl_cipher'";
    raw.command(3, sql.as_bytes())?;
    let mut seen = String::new();
    for _ in 0..32 {
        let Some(payload) = raw.receive()? else { break };
        seen.push_str(&String::from_utf8_lossy(&payload));
        if payload.first() == Some(&0xfe) && seen.contains("Ssl_cipher") {
            break;
        }
    }
    ensure!(seen.contains("TLS_") == encrypted, "{seen:?}");
    Ok(())
}

#[test]
fn mariadb10_raw() -> Result<()> {
    raw_client(Product::MariaDb10)
}

#[test]
fn mariadb11_raw() -> Result<()> {
    raw_client(Product::MariaDb11)
}

#[test]
fn mysql_raw() -> Result<()> {
    raw_client(Product::MySql)
}

/// The reader of the server's record finds exactly what the clients did: without this, agreement
/// of record and audit would prove little.
fn recorded(product: Product, kind: Record) -> Result<()> {
    let mut server = Server::start(&Options {
        record: kind,
        ..Options::new(product)
    })?;
    let played = traffic::play_all(server.port(), SESSIONS, wanted()?)?;
    let commands: usize = played.iter().map(|one| one.done.len()).sum();
    if kind == Record::Table {
        tell_errors(&played, &mut record::general_log_table(&server)?)?;
    }
    server.stop()?;
    if kind != Record::Table {
        tell_errors(&played, &mut record::general_log(&server.general_log())?)?;
    }
    if kind == Record::FileAndAudit {
        compare_errors(&played, &record::server_audit(&server.audit_log())?)?;
    }
    println!(
        "{}: {commands} commands in {SESSIONS} sessions",
        product.name()
    );
    Ok(())
}

/// `SQLWARD_STATEMENTS` sets the number of commands.
fn wanted() -> Result<usize> {
    match std::env::var("SQLWARD_STATEMENTS") {
        Ok(text) => text.parse().context("SQLWARD_STATEMENTS"),
        Err(_) => Ok(5_000),
    }
}

/// The errors of the executed commands, in order, are those of server_audit.
fn compare_errors(played: &[Played], record: &[Session]) -> Result<()> {
    for one in played {
        let found = record.iter().find(|session| session.pid == one.pid);
        let found = found.with_context(|| format!("no session {}", one.pid))?;
        let client: Vec<&str> = one
            .done
            .iter()
            .filter_map(|done| done.error.as_deref())
            .collect();
        // A failed COM_STMT_PREPARE is an error here, and in the general log nothing.
        let server: Vec<&str> = found
            .entries
            .iter()
            .filter(|entry| !entry.text.starts_with("SELECT nonesuch") || !never_ran(one, entry))
            .filter_map(|entry| entry.error.as_deref())
            .collect();
        ensure!(
            client == server,
            "session {}: {client:?}\n{server:?}",
            one.pid
        );
    }
    Ok(())
}

/// Whether the client has no command that holds the statement.
fn never_ran(played: &Played, entry: &oracle::Entry) -> bool {
    !played
        .done
        .iter()
        .any(|done| done.text.contains(&entry.text))
}

const SESSIONS: u64 = 16;

#[test]
fn mariadb10_record() -> Result<()> {
    recorded(Product::MariaDb10, Record::FileAndAudit)
}

#[test]
fn mariadb11_record() -> Result<()> {
    recorded(Product::MariaDb11, Record::Table)
}

#[test]
fn mysql_record() -> Result<()> {
    recorded(Product::MySql, Record::File)
}

#[test]
fn mysql_record_in_a_table() -> Result<()> {
    recorded(Product::MySql, Record::Table)
}
