//! sqlx: statement cache, binary protocol, nested transactions by savepoints.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use sqlward_tests::driver::{Refused, Report};
use sqlward_tests::endpoint::Endpoint;
use sqlward_tests::server::{DATABASE, PASSWORD};
use sqlx_core::connection::{ConnectOptions, Connection};
use sqlx_core::executor::Executor;
use sqlx_core::query::query;
use sqlx_core::query_scalar::query_scalar;
use sqlx_core::raw_sql::raw_sql;
use sqlx_core::sql_str::AssertSqlSafe;
use sqlx_mysql::{MySql, MySqlConnectOptions, MySqlConnection, MySqlDatabaseError, MySqlSslMode};

use super::everywhere;

#[test]
fn sqlx() -> Result<()> {
    let plugins = [
        "mysql_native_password",
        "caching_sha2_password",
        "sha256_password",
    ];
    // It has no LOAD DATA LOCAL.
    let extra = ["large-up", "large-down", "savepoint"];
    everywhere(&plugins, &extra, |visit| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(session(visit.endpoint))
    })
}

async fn connect(endpoint: &Endpoint) -> Result<MySqlConnection> {
    let options = MySqlConnectOptions::new()
        .host("127.0.0.1")
        .port(endpoint.port)
        .username(&endpoint.user)
        .password(PASSWORD)
        .database(DATABASE);
    let options = match &endpoint.authority {
        Some(pem) => options.ssl_mode(MySqlSslMode::VerifyCa).ssl_ca(pem),
        None => options.ssl_mode(MySqlSslMode::Disabled),
    };
    Ok(options.connect().await?)
}

async fn number(c: &mut MySqlConnection, sql: &str) -> Result<i64> {
    Ok(query_scalar::<MySql, i64>(AssertSqlSafe(sql.to_owned()))
        .fetch_one(c)
        .await?)
}

fn failure<T>(result: Result<T, sqlx_core::Error>) -> Result<(u16, String, String)> {
    match result {
        Err(sqlx_core::Error::Database(error)) => {
            let error = error
                .try_downcast_ref::<MySqlDatabaseError>()
                .context("no error of MySQL")?;
            Ok((
                error.number(),
                error.code().unwrap_or_default().to_owned(),
                error.message().to_owned(),
            ))
        }
        Err(other) => bail!("no error of the server: {other}"),
        Ok(_) => bail!("no error"),
    }
}

async fn session(endpoint: &Endpoint) -> Result<Report> {
    let mut report = Report::default();
    let mut held = |name: &str| report.held.push(name.to_owned());
    let mut c = connect(endpoint).await.context("connect")?;
    ensure!(number(&mut c, "SELECT 1").await? == 1);
    held("connect");
    let (_, cipher): (String, String) =
        sqlx_core::query_as::query_as("SHOW STATUS LIKE 'Ssl_cipher'")
            .fetch_one(&mut c)
            .await?;
    ensure!(cipher.is_empty() != endpoint.authority.is_some());
    held("tls");
    let rows = query::<MySql>("SELECT id FROM accounts WHERE id <= ?")
        .bind(3)
        .fetch_all(&mut c)
        .await?;
    ensure!(rows.len() == 3);
    held("query");
    let text: String = query_scalar::<MySql, String>("SELECT ?")
        .bind("größe 長い 🙂")
        .fetch_one(&mut c)
        .await?;
    ensure!(text == "größe 長い 🙂", "{text}");
    held("unicode");
    for n in 1..5_i64 {
        let next: i64 = query_scalar::<MySql, i64>("SELECT id + 1 FROM accounts WHERE id = ?")
            .bind(n)
            .fetch_one(&mut c)
            .await?;
        ensure!(next == n + 1);
    }
    held("prepared");
    let rows = raw_sql("SELECT 1; SELECT 2; SELECT 3")
        .fetch_all(&mut c)
        .await?;
    ensure!(rows.len() == 3);
    held("multi");
    transaction(&mut c).await.context("transaction")?;
    held("transaction");
    held("savepoint");
    let length: i64 = query_scalar::<MySql, i64>("SELECT length(?)")
        .bind("x".repeat(LARGE))
        .fetch_one(&mut c)
        .await?;
    ensure!(usize::try_from(length)? == LARGE);
    held("large-up");
    let back: String =
        query_scalar::<MySql, String>(AssertSqlSafe(format!("SELECT repeat('y', {LARGE})")))
            .fetch_one(&mut c)
            .await?;
    ensure!(back.len() == LARGE);
    held("large-down");
    ensure!(failure(c.execute("SELECT nonesuch").await)?.0 == 1054);
    ensure!(number(&mut c, "SELECT 7").await? == 7);
    held("error");
    cancel(endpoint, &mut c).await.context("cancel")?;
    held("cancel");
    if endpoint.refuses {
        report.refused = refusals(&mut c).await.context("refusals")?;
        report.held.push("kept".to_owned());
        report.held.push("continues".to_owned());
    }
    c.close().await?;
    Ok(report)
}

async fn transaction(c: &mut MySqlConnection) -> Result<()> {
    let mut outer = c.begin().await?;
    outer
        .execute("INSERT INTO notes(id, body) VALUES (9301, 'outer')")
        .await?;
    let mut inner = outer.begin().await?;
    inner
        .execute("INSERT INTO notes(id, body) VALUES (9302, 'inner')")
        .await?;
    inner.rollback().await?;
    ensure!(number(&mut outer, NOTES).await? == 1);
    outer.rollback().await?;
    ensure!(number(c, NOTES).await? == 0);
    Ok(())
}

async fn cancel(endpoint: &Endpoint, c: &mut MySqlConnection) -> Result<()> {
    let id: u64 = query_scalar::<MySql, u64>("SELECT connection_id()")
        .fetch_one(&mut *c)
        .await?;
    let endpoint = endpoint.clone();
    let killer = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let mut other = connect(&endpoint).await?;
        other
            .execute(raw_sql(AssertSqlSafe(format!("KILL QUERY {id}"))))
            .await?;
        other.close().await?;
        anyhow::Ok(())
    });
    let ended = failure(c.execute(ENDLESS).await)?;
    killer.await??;
    ensure!(ended.0 == 1317, "{ended:?}");
    ensure!(number(c, "SELECT 8").await? == 8);
    Ok(())
}

async fn refusals(c: &mut MySqlConnection) -> Result<Vec<Refused>> {
    let mut all = vec![refused("refused", c.execute("DELETE FROM accounts").await)?];
    let multi = c
        .execute(raw_sql("SELECT 1; DELETE FROM accounts; SELECT 2"))
        .await;
    all.push(refused("refused-in-multi", multi)?);
    let prepared = query::<MySql>("UPDATE accounts SET balance = ?")
        .bind(0)
        .execute(&mut *c)
        .await;
    all.push(refused("refused-prepared", prepared)?);
    let mut transaction = c.begin().await?;
    transaction
        .execute("INSERT INTO notes(id, body) VALUES (9301, 'kept by the transaction')")
        .await?;
    let inside = transaction.execute("DELETE FROM accounts").await;
    all.push(refused("refused-in-transaction", inside)?);
    ensure!(
        number(&mut transaction, NOTES).await? == 1,
        "the transaction is gone"
    );
    transaction.rollback().await?;
    ensure!(number(c, NOTES).await? == 0);
    ensure!(number(c, "SELECT count(*) FROM accounts WHERE balance = 1000").await? == 100);
    Ok(all)
}

fn refused<T>(name: &str, result: Result<T, sqlx_core::Error>) -> Result<Refused> {
    let (errno, sqlstate, message) = failure(result).with_context(|| name.to_owned())?;
    Ok(Refused {
        name: name.to_owned(),
        sqlstate,
        message,
        detail: errno.to_string(),
        hint: String::new(),
    })
}

const LARGE: usize = 17 << 20;
const NOTES: &str = "SELECT count(*) FROM notes WHERE id BETWEEN 9300 AND 9399";
const ENDLESS: &str = "SELECT count(*) FROM accounts a, accounts b, accounts c, accounts d, \
                       accounts e WHERE a.id + b.id + c.id + d.id + e.id < 0";
