//! Real drivers through the proxy: every driver × TLS on and off × SCRAM and md5; MySQL's and
//! MariaDB's in `mysql`.
//!
//! `SQLWARD_DIRECT=1` plays the same sessions with the server itself, to tell a fault of the
//! proxy from one of the program.

mod mysql;
mod programs;
mod sqlx;
mod tokio_postgres;

use anyhow::{Context, Result, ensure};
use sqlward_tests::driver::{Refused, Report};
use sqlward_tests::endpoint::Endpoint;
use sqlward_tests::proxy::{self, Proxy};
use sqlward_tests::server::{MD5_USER, Options, SCRAM_USER, Server};

/// What every driver shows.
const COMMON: [&str; 7] = [
    "connect",
    "query",
    "prepared",
    "transaction",
    "copy-in",
    "copy-out",
    "error",
];
/// What every driver of PostgreSQL must show.
const POSTGRES: Expectation = Expectation {
    common: &COMMON,
    sqlstate: "42501",
};

/// What the drivers of an engine must show.
struct Expectation {
    /// Checks without a policy in between.
    common: &'static [&'static str],
    /// The SQLSTATE of a refusal.
    sqlstate: &'static str,
}

impl Expectation {
    /// Whether a refusal names the rule and the event.
    fn explained(&self, refusal: &Refused) -> bool {
        match self.sqlstate {
            // PostgreSQL has fields for them.
            "42501" => !refusal.detail.is_empty() && holds_ulid(&refusal.hint),
            // MySQL has the message alone; its detail is the error number here.
            _ => refusal.detail == "1227" && holds_ulid(&refusal.message),
        }
    }
}

/// What every driver shows when a policy is in between.
const REFUSED: [&str; 2] = ["refused", "refused-in-transaction"];

/// Plays a driver's session in all four ways of connecting.
fn everywhere(extra: &[&str], play: impl Fn(&Endpoint) -> Result<Report>) -> Result<()> {
    everywhere_with(&proxy::Options::default(), extra, play)
}

/// The same, with a proxy of the driver's own.
fn everywhere_with(
    options: &proxy::Options,
    extra: &[&str],
    play: impl Fn(&Endpoint) -> Result<Report>,
) -> Result<()> {
    let server = Server::start(&Options {
        tls: true,
        ..Options::default()
    })?;
    let direct = std::env::var_os("SQLWARD_DIRECT").is_some();
    let proxy = if direct {
        None
    } else {
        Some(Proxy::start(&[&server], options)?)
    };
    let (port, certificates) = match &proxy {
        Some(proxy) => (proxy.port(), Some(proxy.certificates())),
        None => (server.port(), server.certificates()),
    };
    let authority = certificates.map(|made| made.authority.clone());
    for user in [SCRAM_USER, MD5_USER] {
        for authority in [None, authority.clone()] {
            let endpoint = Endpoint {
                port,
                user: user.to_owned(),
                authority,
                refuses: !direct,
            };
            let report = play(&endpoint).with_context(|| log(proxy.as_ref()))?;
            judge(&report, &endpoint, &POSTGRES, extra).with_context(|| log(proxy.as_ref()))?;
        }
    }
    Ok(())
}

fn log(proxy: Option<&Proxy>) -> String {
    proxy.map_or_else(String::new, |proxy| {
        format!("sqlward's log:\n{}", proxy.log())
    })
}

fn judge(
    report: &Report,
    endpoint: &Endpoint,
    expected: &Expectation,
    extra: &[&str],
) -> Result<()> {
    let way = format!(
        "{} {}",
        endpoint.user,
        if endpoint.authority.is_some() {
            "tls"
        } else {
            "plain"
        }
    );
    ensure!(report.failed.is_empty(), "{way}: {:#?}", report.failed);
    for name in expected.common.iter().chain(extra) {
        ensure!(
            report.held.iter().any(|held| held == name),
            "{way}: no check `{name}`"
        );
    }
    if !endpoint.refuses {
        return Ok(());
    }
    for name in REFUSED {
        ensure!(
            report.refused.iter().any(|one| one.name == name),
            "{way}: no refusal `{name}`"
        );
    }
    for name in ["kept", "continues"] {
        ensure!(
            report.held.iter().any(|held| held == name),
            "{way}: no check `{name}`"
        );
    }
    for refusal in &report.refused {
        // Two of MySQL's drivers keep the SQLSTATE to themselves.
        ensure!(
            refusal.sqlstate == expected.sqlstate
                || (refusal.sqlstate.is_empty() && expected.sqlstate == mysql::EXPECTED.sqlstate),
            "{way}: {refusal:?}"
        );
        ensure!(
            !refusal.message.is_empty(),
            "{way}: no message in {refusal:?}"
        );
        ensure!(
            expected.explained(refusal),
            "{way}: no rule or event in {refusal:?}"
        );
    }
    Ok(())
}

/// Whether a text names an event: 26 letters and digits of Crockford's alphabet in a row.
fn holds_ulid(text: &str) -> bool {
    text.split(|c: char| !c.is_ascii_alphanumeric())
        .any(|word| word.len() == 26 && !word.contains(['I', 'L', 'O', 'U', 'i', 'l', 'o', 'u']))
}
