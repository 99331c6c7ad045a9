//! libpq over TLS on both legs: channel binding where listener and server share a certificate, and
//! what it is told where they don't.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use sqlward_tests::paths::postgres_program;
use sqlward_tests::process::{run, until};
use sqlward_tests::proxy::{self, Policy, Proxy};
use sqlward_tests::server::{DATABASE, Options, PASSWORD, SCRAM_USER, Server};

/// Whether the listener shows the server's certificate.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shown {
    Shared,
    Own,
}

fn setup(shown: Shown, server_tls: &'static str) -> Result<(Server, Proxy)> {
    let server = Server::start(&Options {
        tls: true,
        ..Options::default()
    })?;
    let options = proxy::Options {
        policy: Policy::RecordAll,
        client_tls: "require",
        server_tls,
        shown: match shown {
            Shown::Shared => server.certificates().cloned(),
            Shown::Own => None,
        },
        ..Default::default()
    };
    let proxy = Proxy::start(&[&server], &options)?;
    Ok((server, proxy))
}

fn psql(proxy: &Proxy, binding: &str) -> Result<String> {
    let mut command = Command::new(postgres_program("psql"));
    command.args(["-X", "-q", "-A", "-t", "-c"]);
    command.arg("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()");
    command
        .env("PGHOST", "127.0.0.1")
        .env("PGPORT", proxy.port().to_string())
        .env("PGUSER", SCRAM_USER)
        .env("PGPASSWORD", PASSWORD)
        .env("PGDATABASE", DATABASE)
        .env("PGGSSENCMODE", "disable")
        .env("PGSSLMODE", "verify-full")
        .env("PGSSLROOTCERT", &proxy.certificates().authority)
        .env("PGCHANNELBINDING", binding)
        .env("PGAPPNAME", binding);
    Ok(run(&mut command)?.trim_end().to_owned())
}

fn method(proxy: &Proxy, application: &str) -> Result<String> {
    let sql = format!("SELECT auth_method FROM sessions WHERE application = '{application}'");
    let row = until("the session's record", Duration::from_secs(10), || {
        Ok(proxy.audit(&["sql", &sql])?.pop())
    })?;
    let method = row.get("auth_method").and_then(serde_json::Value::as_str);
    Ok(method
        .with_context(|| format!("no method: {row}"))?
        .to_owned())
}

#[test]
fn one_certificate_on_both_legs_binds_the_channel() -> Result<()> {
    let (_server, proxy) = setup(Shown::Shared, "verify-full")?;
    for binding in ["require", "prefer"] {
        ensure!(psql(&proxy, binding)? == "t", "{binding}");
        ensure!(
            method(&proxy, binding)? == "scram-sha-256-plus",
            "{binding}"
        );
    }
    ensure!(psql(&proxy, "disable")? == "t");
    ensure!(method(&proxy, "disable")? == "scram-sha-256");
    ensure!(proxy.metric("sqlward_upstream_plaintext_fallbacks_total")? == 0.0);
    Ok(())
}

#[test]
fn with_two_certificates_and_require_the_client_is_told_the_ways_out() -> Result<()> {
    let (_server, proxy) = setup(Shown::Own, "require")?;
    let told = psql(&proxy, "prefer")
        .err()
        .context("it was let in")?
        .to_string();
    for expected in ["channel_binding=disable", "certificate"] {
        ensure!(told.contains(expected), "no `{expected}` in {told}");
    }
    // libpq itself gives up: nobody offers it what it requires.
    ensure!(psql(&proxy, "require").is_err());
    ensure!(psql(&proxy, "disable")? == "t");
    ensure!(proxy.metric("sqlward_upstream_plaintext_fallbacks_total")? == 0.0);
    Ok(())
}

#[test]
fn with_two_certificates_and_prefer_the_server_leg_does_without_tls() -> Result<()> {
    let (_server, proxy) = setup(Shown::Own, "prefer")?;
    ensure!(psql(&proxy, "prefer")? == "f");
    ensure!(proxy.metric("sqlward_upstream_plaintext_fallbacks_total")? == 1.0);
    ensure!(psql(&proxy, "disable")? == "t");
    Ok(())
}
