//! The tools of these tests, shown on a server without a proxy.

use anyhow::{Context, Result, ensure};
use sqlward_tests::oracle;
use sqlward_tests::raw::{Raw, bind, execute, extended, function_call, parse, sync, tags};
use sqlward_tests::server::{Options, Server, TRUSTED_USER};
use sqlward_tests::traffic::{self, Played};

#[test]
fn raw_client_speaks_to_a_server() -> Result<()> {
    let server = Server::start(&Options {
        tls: true,
        ..Options::default()
    })?;
    let mut raw = Raw::login(server.port(), TRUSTED_USER, &[("application_name", "raw")])?;
    ensure!(raw.value("SELECT current_setting('application_name')")? == "raw");
    ensure!(tags(&raw.query("SELECT 1; SELECT nonesuch")?) == "TDCEZ");
    raw.send(&extended("SELECT 1"))?;
    ensure!(tags(&raw.until_ready()?) == "12TDCZ");
    raw.send(&[parse("s", "SELECT $1::int"), sync()].concat())?;
    ensure!(tags(&raw.until_ready()?) == "1Z");
    raw.send(&[bind("p", "s", &[Some("5")]), execute("p", 0), sync()].concat())?;
    ensure!(tags(&raw.until_ready()?) == "2DCZ");
    // 1598: random(); FunctionCall answers V.
    raw.send(&function_call(1598, &[]))?;
    ensure!(tags(&raw.until_ready()?) == "VZ");
    let error = raw.query("SELECT nonesuch")?;
    let error = error
        .iter()
        .find(|message| message.tag == b'E')
        .context("no error")?;
    ensure!(error.sqlstate() == "42703");

    let authority = &server.certificates().context("no certificates")?.authority;
    let mut encrypted = Raw::open_tls(server.port(), authority)?;
    encrypted.start(TRUSTED_USER, &[])?;
    let version =
        encrypted.value("SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid()")?;
    ensure!(version.starts_with("TLSv1"), "{version}");
    Ok(())
}

/// The reader of the server's record finds exactly what the clients did: without this, agreement
/// of record and audit would prove little.
#[test]
fn the_servers_record_holds_what_clients_did() -> Result<()> {
    let mut server = Server::start(&Options {
        record: true,
        ..Options::default()
    })?;
    let port = server.port();
    let played = std::thread::scope(|scope| -> Result<Vec<Played>> {
        let sessions: Vec<_> = (1..=4)
            .map(|seed| scope.spawn(move || traffic::play(port, TRUSTED_USER, seed, 400)))
            .collect();
        sessions
            .into_iter()
            .map(|session| {
                session
                    .join()
                    .map_err(|_| anyhow::anyhow!("a session panicked"))?
            })
            .collect()
    })?;
    server.stop()?;
    let record = oracle::read(&server.record_files()?)?;
    for one in &played {
        let found = record
            .iter()
            .find(|session| session.pid == one.pid && !session.entries.is_empty());
        let found = found.with_context(|| format!("no session of backend {}", one.pid))?;
        for (done, entry) in one.done.iter().zip(&found.entries) {
            ensure!(
                done.text == entry.text && done.kind == entry.kind && done.error == entry.error,
                "client: {done:?}\nserver: {entry:?}"
            );
        }
        ensure!(
            one.done.len() == found.entries.len(),
            "{} {}",
            one.done.len(),
            found.entries.len()
        );
    }
    Ok(())
}

/// A fact that one of the parser cases rests on.
#[test]
fn a_full_width_space_is_a_letter() -> Result<()> {
    let server = Server::start(&Options::default())?;
    let mut raw = Raw::login(server.port(), TRUSTED_USER, &[])?;
    let answer = raw.query("SELECT v FROM\u{3000}secret")?;
    let error = answer
        .iter()
        .find(|one| one.tag == b'E')
        .context("no error")?;
    // An alias without AS: the column is missed, not the syntax.
    ensure!(error.sqlstate() == "42703", "{error:?}");
    Ok(())
}
