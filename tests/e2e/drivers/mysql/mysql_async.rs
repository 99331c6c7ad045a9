//! mysql_async: text and binary protocol, several results, local files, KILL QUERY.

use std::time::Duration;

use ::mysql_async::prelude::{Query, Queryable, WithParams};
use ::mysql_async::{
    Conn, Error, InfileData, LocalInfileError, Opts, OptsBuilder, SslOpts, TxOpts,
};
use anyhow::{Context, Result, bail, ensure};
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt};
use sqlward_tests::driver::{Refused, Report};
use sqlward_tests::endpoint::Endpoint;
use sqlward_tests::server::{DATABASE, PASSWORD};

use super::{FULL, everywhere};

#[test]
fn mysql_async() -> Result<()> {
    // It has no sha256_password.
    let plugins = [
        "mysql_native_password",
        "caching_sha2_password",
        "client_ed25519",
        "parsec",
    ];
    everywhere(&plugins, &FULL, |visit| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(session(visit.endpoint))
    })
}

async fn connect(endpoint: &Endpoint) -> Result<Conn> {
    let tls = endpoint
        .authority
        .as_ref()
        .map(|pem| SslOpts::default().with_root_certs(vec![pem.clone().into()]));
    let options = OptsBuilder::default()
        .ip_or_hostname("127.0.0.1")
        .tcp_port(endpoint.port)
        .user(Some(&endpoint.user))
        .pass(Some(PASSWORD))
        .db_name(Some(DATABASE))
        .max_allowed_packet(Some(1 << 27))
        .prefer_socket(false)
        .enable_cleartext_plugin(false)
        .ssl_opts(tls)
        .local_infile_handler(Some(local_file));
    let options = Opts::from(options);
    // The driver takes a nonce of 32 bytes that ends with 0 for a text of 31, and panics; the next one ends otherwise.
    for _ in 0..3 {
        match tokio::spawn(Conn::new(options.clone())).await {
            Ok(connected) => return Ok(connected?),
            Err(panic) if panic.is_panic() => {}
            Err(error) => return Err(error.into()),
        }
    }
    bail!("the driver panics at every nonce")
}

/// A thousand rows, whatever file the server asks for.
fn local_file(_name: &[u8]) -> BoxFuture<'static, Result<InfileData, LocalInfileError>> {
    async {
        let rows = (0..1000).map(|n| Ok(format!("{}\trow\n", 9200 + n).into()));
        Ok(futures_util::stream::iter(rows).boxed())
    }
    .boxed()
}

async fn value<T: ::mysql_async::prelude::FromValue + Send + 'static>(
    conn: &mut Conn,
    sql: &str,
) -> Result<T> {
    conn.query_first::<T, _>(sql)
        .await?
        .with_context(|| format!("no row of {}", sql.chars().take(80).collect::<String>()))
}

fn errno<T>(result: Result<T, Error>) -> Result<(u16, String, String)> {
    match result {
        Err(Error::Server(error)) => Ok((error.code, error.state, error.message)),
        Err(other) => bail!("no error of the server: {other}"),
        Ok(_) => bail!("no error"),
    }
}

async fn session(endpoint: &Endpoint) -> Result<Report> {
    let mut report = Report::default();
    let mut held = |name: &str| report.held.push(name.to_owned());
    let mut c = connect(endpoint).await.context("connect")?;
    ensure!(value::<u32>(&mut c, "SELECT 1").await? == 1);
    held("connect");
    let cipher: Option<(String, String)> = c.query_first("SHOW STATUS LIKE 'Ssl_cipher'").await?;
    ensure!(cipher.context("no row")?.1.is_empty() != endpoint.authority.is_some());
    held("tls");
    let rows: Vec<u32> = c
        .query("SELECT id FROM accounts WHERE id <= 3 ORDER BY id")
        .await?;
    ensure!(rows == [1, 2, 3]);
    held("query");
    ensure!(value::<String>(&mut c, "SELECT 'größe 長い 🙂'").await? == "größe 長い 🙂");
    held("unicode");
    let statement = c.prep("SELECT id + 1 FROM accounts WHERE id = ?").await?;
    for n in 1..5_u32 {
        let next: Option<u32> = c.exec_first(&statement, (n,)).await?;
        ensure!(next == Some(n + 1));
    }
    c.close(statement).await?;
    held("prepared");
    multi(&mut c).await.context("multi")?;
    held("multi");
    transaction(&mut c).await.context("transaction")?;
    held("transaction");
    held("local-infile");
    let long = "x".repeat(LARGE);
    let length: Option<usize> = "SELECT length(?)".with((&long,)).first(&mut c).await?;
    ensure!(length == Some(LARGE));
    held("large-up");
    let back = value::<String>(&mut c, &format!("SELECT repeat('y', {LARGE})")).await?;
    ensure!(back.len() == LARGE);
    held("large-down");
    ensure!(errno(c.query_drop("SELECT nonesuch").await)?.0 == 1054);
    ensure!(value::<u32>(&mut c, "SELECT 7").await? == 7);
    held("error");
    cancel(endpoint, &mut c).await.context("cancel")?;
    held("cancel");
    if endpoint.refuses {
        report.refused = refusals(&mut c).await.context("refusals")?;
        report.held.push("kept".to_owned());
        report.held.push("continues".to_owned());
    }
    c.disconnect().await?;
    Ok(report)
}

async fn multi(c: &mut Conn) -> Result<()> {
    let mut results = c.query_iter("SELECT 1; SELECT 2; SELECT 3").await?;
    let mut seen = Vec::new();
    while !results.is_empty() {
        seen.extend(results.collect::<u32>().await?);
    }
    drop(results);
    ensure!(seen == [1, 2, 3], "{seen:?}");
    Ok(())
}

async fn transaction(c: &mut Conn) -> Result<()> {
    let mut transaction = c.start_transaction(TxOpts::default()).await?;
    transaction
        .query_drop("LOAD DATA LOCAL INFILE 'given' INTO TABLE notes")
        .await?;
    ensure!(transaction.affected_rows() == 1000);
    let inside: Option<u32> = transaction.query_first(NOTES).await?;
    ensure!(inside == Some(1000));
    transaction.rollback().await?;
    ensure!(value::<u32>(c, NOTES).await? == 0);
    Ok(())
}

async fn cancel(endpoint: &Endpoint, c: &mut Conn) -> Result<()> {
    let id = c.id();
    let endpoint = endpoint.clone();
    let killer = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let mut other = connect(&endpoint).await?;
        other.query_drop(format!("KILL QUERY {id}")).await?;
        other.disconnect().await?;
        anyhow::Ok(())
    });
    let ended = errno(c.query_drop(ENDLESS).await)?;
    killer.await??;
    ensure!(ended.0 == 1317, "{ended:?}");
    ensure!(value::<u32>(c, "SELECT 8").await? == 8);
    Ok(())
}

async fn refusals(c: &mut Conn) -> Result<Vec<Refused>> {
    let mut all = vec![refused(
        "refused",
        c.query_drop("DELETE FROM accounts").await,
    )?];
    let multi = c
        .query_drop("SELECT 1; DELETE FROM accounts; SELECT 2")
        .await;
    all.push(refused("refused-in-multi", multi)?);
    let prepared = c.exec_drop("UPDATE accounts SET balance = ?", (0,)).await;
    all.push(refused("refused-prepared", prepared)?);
    let mut transaction = c.start_transaction(TxOpts::default()).await?;
    transaction
        .query_drop("INSERT INTO notes(id, body) VALUES (9201, 'kept by the transaction')")
        .await?;
    let inside = transaction.query_drop("DELETE FROM accounts").await;
    all.push(refused("refused-in-transaction", inside)?);
    let seen: Option<u32> = transaction.query_first(NOTES).await?;
    ensure!(seen == Some(1), "the transaction is gone");
    transaction.rollback().await?;
    ensure!(value::<u32>(c, NOTES).await? == 0);
    ensure!(value::<u32>(c, "SELECT count(*) FROM accounts WHERE balance = 1000").await? == 100);
    Ok(all)
}

fn refused<T>(name: &str, result: Result<T, Error>) -> Result<Refused> {
    let (code, sqlstate, message) = errno(result).with_context(|| name.to_owned())?;
    Ok(Refused {
        name: name.to_owned(),
        sqlstate,
        message,
        detail: code.to_string(),
        hint: String::new(),
    })
}

const LARGE: usize = 17 << 20;
const NOTES: &str = "SELECT count(*) FROM notes WHERE id BETWEEN 9200 AND 10199";
const ENDLESS: &str = "SELECT count(*) FROM accounts a, accounts b, accounts c, accounts d, \
                       accounts e WHERE a.id + b.id + c.id + d.id + e.id < 0";
