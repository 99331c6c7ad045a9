//! sqlx: statement cache, extended protocol, COPY, nested transactions by savepoints.

use anyhow::{Context, Result, ensure};
use sqlward_tests::driver::{Refused, Report};
use sqlward_tests::endpoint::Endpoint;
use sqlward_tests::server::{DATABASE, PASSWORD};
use sqlx_core::connection::{ConnectOptions, Connection};
use sqlx_core::executor::Executor;
use sqlx_core::query::query;
use sqlx_core::query_scalar::query_scalar;
use sqlx_core::sql_str::AssertSqlSafe;
use sqlx_postgres::{PgConnectOptions, PgConnection, PgDatabaseError, PgSslMode, Postgres};

use crate::everywhere;

#[test]
fn sqlx() -> Result<()> {
    everywhere(&["savepoint"], |endpoint| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(session(endpoint))
    })
}

async fn connect(endpoint: &Endpoint) -> Result<PgConnection> {
    let mut options = PgConnectOptions::new_without_pgpass()
        .host("127.0.0.1")
        .port(endpoint.port)
        .username(&endpoint.user)
        .password(PASSWORD)
        .database(DATABASE)
        .application_name("sqlx");
    options = match &endpoint.authority {
        Some(pem) => options.ssl_mode(PgSslMode::VerifyCa).ssl_root_cert(pem),
        None => options.ssl_mode(PgSslMode::Disable),
    };
    Ok(options.connect().await?)
}

async fn count(connection: &mut PgConnection, sql: &str) -> Result<i64> {
    Ok(query_scalar::<Postgres, i64>(AssertSqlSafe(sql.to_owned()))
        .fetch_one(connection)
        .await?)
}

async fn session(endpoint: &Endpoint) -> Result<Report> {
    let mut report = Report::default();
    let mut held = |name: &str| report.held.push(name.to_owned());
    let mut c = connect(endpoint).await.context("connect")?;
    ensure!(count(&mut c, "SELECT 1::int8").await? == 1);
    held("connect");
    let rows = query::<Postgres>("SELECT g FROM generate_series(1, $1::int) g")
        .bind(3)
        .fetch_all(&mut c)
        .await?;
    ensure!(rows.len() == 3);
    held("query");
    for n in 0..5_i32 {
        let next: i32 = query_scalar::<Postgres, i32>("SELECT $1::int + 1")
            .bind(n)
            .fetch_one(&mut c)
            .await?;
        ensure!(next == n + 1);
    }
    held("prepared");

    let mut outer = c.begin().await?;
    query::<Postgres>("INSERT INTO notes(id, body) VALUES ($1, $2)")
        .bind(9450)
        .bind("sqlx")
        .execute(&mut *outer)
        .await?;
    let mut inner = outer.begin().await?;
    query::<Postgres>("INSERT INTO notes(id, body) VALUES (9451, 'inner')")
        .execute(&mut *inner)
        .await?;
    inner.rollback().await?;
    ensure!(
        count(
            &mut outer,
            "SELECT count(*) FROM notes WHERE id IN (9450, 9451)"
        )
        .await?
            == 1
    );
    held("savepoint");
    outer.rollback().await?;
    ensure!(
        count(
            &mut c,
            "SELECT count(*) FROM notes WHERE id IN (9450, 9451)"
        )
        .await?
            == 0
    );
    held("transaction");

    let mut transaction = c.begin().await?;
    let mut copy = transaction
        .copy_in_raw("COPY notes(id, body) FROM STDIN")
        .await?;
    copy.send(&b"9460\tone\n9461\ttwo\n"[..]).await?;
    ensure!(copy.finish().await? == 2);
    held("copy-in");
    {
        let mut out = transaction.copy_out_raw("COPY notes(id) TO STDOUT").await?;
        let mut lines = 0;
        while let Some(chunk) = futures_util::StreamExt::next(&mut out).await {
            lines += chunk?.iter().filter(|byte| **byte == b'\n').count();
        }
        ensure!(lines == 2, "{lines} rows came out");
    }
    held("copy-out");
    transaction.rollback().await?;

    let error = c
        .execute("SELECT nonesuch")
        .await
        .err()
        .context("no error")?;
    ensure!(
        error.as_database_error().and_then(|e| e.code()).as_deref() == Some("42703"),
        "{error}"
    );
    ensure!(count(&mut c, "SELECT 7::int8").await? == 7);
    held("error");

    if endpoint.refuses {
        report.refused = refusals(&mut c).await?;
        report.held.extend(["kept", "continues"].map(str::to_owned));
    }
    c.close().await?;
    Ok(report)
}

async fn refusals(c: &mut PgConnection) -> Result<Vec<Refused>> {
    let mut found = Vec::new();
    let error = query::<Postgres>("DELETE FROM accounts")
        .execute(&mut *c)
        .await
        .err();
    found.push(refusal("refused", error)?);
    let error = query::<Postgres>("UPDATE accounts SET balance = $1")
        .bind(0)
        .execute(&mut *c)
        .await;
    found.push(refusal("refused-prepared", error.err())?);

    let mut transaction = c.begin().await?;
    query::<Postgres>("INSERT INTO notes(id, body) VALUES (9452, 'kept out')")
        .execute(&mut *transaction)
        .await?;
    let error = query::<Postgres>("DELETE FROM accounts")
        .execute(&mut *transaction)
        .await
        .err();
    found.push(refusal("refused-in-transaction", error)?);
    let next = query::<Postgres>("SELECT 1")
        .execute(&mut *transaction)
        .await
        .err();
    let next = next.context("the transaction did not fail")?;
    ensure!(
        next.as_database_error().and_then(|e| e.code()).as_deref() == Some("25P02"),
        "{next}"
    );
    transaction.rollback().await?;

    ensure!(
        count(c, "SELECT count(*) FROM accounts").await? == 100,
        "rows were deleted"
    );
    ensure!(
        count(c, "SELECT count(*) FROM notes WHERE id = 9452").await? == 0,
        "a row was kept"
    );
    Ok(found)
}

fn refusal(name: &str, error: Option<sqlx_core::Error>) -> Result<Refused> {
    let error = error.with_context(|| format!("{name}: the statement was not refused"))?;
    let report = error
        .as_database_error()
        .and_then(|e| e.try_downcast_ref::<PgDatabaseError>())
        .with_context(|| format!("{name}: {error}"))?;
    Ok(Refused {
        name: name.to_owned(),
        sqlstate: report.code().to_owned(),
        message: report.message().to_owned(),
        detail: report.detail().unwrap_or_default().to_owned(),
        hint: report.hint().unwrap_or_default().to_owned(),
    })
}
