//! The tools of the MySQL and MariaDB tests, shown on servers without a proxy.

use anyhow::{Context, Result, ensure};
use sqlward_tests::mysql::raw::{self, Raw, capability};
use sqlward_tests::mysql::{Options, Product, Server};
use sqlward_tests::server::{DATABASE, TRUSTED_USER};

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
