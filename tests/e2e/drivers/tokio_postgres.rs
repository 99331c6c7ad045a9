//! tokio-postgres: extended protocol, pipelined by concurrency, COPY, portals, cancel.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use sqlward_tests::driver::{Refused, Report};
use sqlward_tests::endpoint::Endpoint;
use sqlward_tests::tls;
use tokio_postgres::{Client, CopyInSink, NoTls, Row};

use crate::everywhere;

#[test]
fn tokio_postgres() -> Result<()> {
    everywhere(&["cancel", "pipeline", "portal"], |endpoint| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(session(endpoint))
    })
}

async fn connect(endpoint: &Endpoint) -> Result<Client> {
    let config = endpoint.config();
    // The connections run until their client is dropped; what ends them early shows in the client.
    match &endpoint.authority {
        Some(pem) => {
            let (client, connection) = config.connect(tls::Connect::new(pem)?).await?;
            tokio::spawn(connection);
            Ok(client)
        }
        None => {
            let (client, connection) = config.connect(NoTls).await?;
            tokio::spawn(connection);
            Ok(client)
        }
    }
}

fn first<T: for<'a> tokio_postgres::types::FromSql<'a>>(rows: &[Row]) -> Result<T> {
    Ok(rows.first().context("no row")?.try_get(0)?)
}

async fn session(endpoint: &Endpoint) -> Result<Report> {
    let mut report = Report::default();
    let mut held = |name: &str| report.held.push(name.to_owned());
    let mut client = connect(endpoint).await.context("connect")?;
    ensure!(first::<i32>(&client.query("SELECT 1", &[]).await?)? == 1);
    held("connect");
    let rows = client
        .query("SELECT g FROM generate_series(1, $1::int) g", &[&3])
        .await?;
    ensure!(rows.len() == 3);
    held("query");
    let statement = client.prepare("SELECT $1::int + 1").await?;
    for n in 0..5 {
        ensure!(first::<i32>(&client.query(&statement, &[&n]).await?)? == n + 1);
    }
    held("prepared");
    transaction(&mut client).await.context("transaction")?;
    held("transaction");
    copy(&mut client).await.context("copy")?;
    held("copy-in");
    held("copy-out");
    pipeline(&client).await.context("pipeline")?;
    held("pipeline");
    portal(&mut client).await.context("portal")?;
    held("portal");
    let error = client
        .query("SELECT nonesuch", &[])
        .await
        .err()
        .context("no error")?;
    ensure!(
        error.code().is_some_and(|code| code.code() == "42703"),
        "{error}"
    );
    ensure!(first::<i32>(&client.query("SELECT 7", &[]).await?)? == 7);
    held("error");
    cancel(endpoint, &client).await.context("cancel")?;
    held("cancel");
    if endpoint.refuses {
        let (mut refused, checks) = refusals(&mut client).await.context("refusals")?;
        report.refused.append(&mut refused);
        report.held.extend(checks.map(str::to_owned));
    }
    Ok(report)
}

async fn transaction(client: &mut Client) -> Result<()> {
    let transaction = client.transaction().await?;
    let inserted = transaction
        .execute(
            "INSERT INTO notes(id, body) VALUES ($1, $2)",
            &[&9400, &"tokio"],
        )
        .await?;
    ensure!(inserted == 1);
    transaction.rollback().await?;
    let rows = client
        .query("SELECT count(*) FROM notes WHERE id = 9400", &[])
        .await?;
    ensure!(first::<i64>(&rows)? == 0);
    Ok(())
}

async fn copy(client: &mut Client) -> Result<()> {
    let transaction = client.transaction().await?;
    let sink: CopyInSink<bytes::Bytes> = transaction
        .copy_in("COPY notes(id, body) FROM STDIN")
        .await?;
    let mut sink = std::pin::pin!(sink);
    for n in 40_000..40_500 {
        let row = bytes::Bytes::from(format!("{n}\trow\n"));
        futures_util::SinkExt::send(&mut sink, row).await?;
    }
    ensure!(sink.as_mut().finish().await? == 500);
    let out = transaction.copy_out("COPY notes(id) TO STDOUT").await?;
    let mut out = std::pin::pin!(out);
    let mut lines = 0;
    while let Some(chunk) = futures_util::StreamExt::next(&mut out).await {
        lines += chunk?.iter().filter(|byte| **byte == b'\n').count();
    }
    ensure!(lines == 500, "{lines} rows came out");
    transaction.rollback().await?;
    Ok(())
}

async fn pipeline(client: &Client) -> Result<()> {
    // Requests made together are sent together; the answers come in order.
    let statement = client.prepare("SELECT $1::int").await?;
    let requests = (0..100).map(|n| {
        let statement = statement.clone();
        async move { anyhow::Ok((n, first::<i32>(&client.query(&statement, &[&n]).await?)?)) }
    });
    for (asked, got) in futures_util::future::try_join_all(requests).await? {
        ensure!(asked == got);
    }
    Ok(())
}

async fn portal(client: &mut Client) -> Result<()> {
    let transaction = client.transaction().await?;
    let portal = transaction
        .bind("SELECT g FROM generate_series(1, 250) g", &[])
        .await?;
    let mut sizes = Vec::new();
    loop {
        let rows = transaction.query_portal(&portal, 100).await?;
        sizes.push(rows.len());
        if rows.len() < 100 {
            break;
        }
    }
    ensure!(sizes == [100, 100, 50], "{sizes:?}");
    transaction.commit().await?;
    Ok(())
}

async fn cancel(endpoint: &Endpoint, client: &Client) -> Result<()> {
    let token = client.cancel_token();
    let authority = endpoint.authority.clone();
    let canceller = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        match authority {
            Some(pem) => token.cancel_query(tls::Connect::new(&pem)?).await?,
            None => token.cancel_query(NoTls).await?,
        }
        anyhow::Ok(())
    };
    let sleeping = client.batch_execute(LONG);
    let (slept, cancelled) = tokio::join!(sleeping, canceller);
    cancelled?;
    let error = slept.err().context("the query was not cancelled")?;
    ensure!(
        error.code().is_some_and(|code| code.code() == "57014"),
        "{error}"
    );
    ensure!(first::<i32>(&client.query("SELECT 8", &[]).await?)? == 8);
    Ok(())
}

async fn refusals(client: &mut Client) -> Result<(Vec<Refused>, [&'static str; 2])> {
    let mut found = Vec::new();
    let error = client.execute("DELETE FROM accounts", &[]).await.err();
    found.push(refusal("refused", error)?);
    let error = client.batch_execute("DELETE FROM accounts").await.err();
    found.push(refusal("refused-simple", error)?);

    let transaction = client.transaction().await?;
    transaction
        .execute("INSERT INTO notes(id, body) VALUES (9401, 'kept out')", &[])
        .await?;
    let error = transaction.execute("DELETE FROM accounts", &[]).await.err();
    found.push(refusal("refused-in-transaction", error)?);
    let next = transaction
        .query("SELECT 1", &[])
        .await
        .err()
        .context("no failed transaction")?;
    ensure!(
        next.code().is_some_and(|code| code.code() == "25P02"),
        "{next}"
    );
    transaction.rollback().await?;

    let rows = client.query("SELECT count(*) FROM accounts", &[]).await?;
    ensure!(first::<i64>(&rows)? == 100, "rows were deleted");
    let rows = client
        .query("SELECT count(*) FROM notes WHERE id = 9401", &[])
        .await?;
    ensure!(first::<i64>(&rows)? == 0, "a row was kept");
    Ok((found, ["kept", "continues"]))
}

fn refusal(name: &str, error: Option<tokio_postgres::Error>) -> Result<Refused> {
    let error = error.with_context(|| format!("{name}: the statement was not refused"))?;
    let Some(report) = error.as_db_error() else {
        bail!("{name}: {error}")
    };
    Ok(Refused {
        name: name.to_owned(),
        sqlstate: report.code().code().to_owned(),
        message: report.message().to_owned(),
        detail: report.detail().unwrap_or_default().to_owned(),
        hint: report.hint().unwrap_or_default().to_owned(),
    })
}

const LONG: &str =
    "SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 100000) b";
