//! Drivers of MySQL and MariaDB: every driver × TLS on and off × every authentication plugin that the
//! driver and the server both know.
//!
//! `SQLWARD_MYSQL_WAY` says what they connect to: `sqlward` (the default), `direct` (the server itself) or `blind` (a
//! byte-blind forwarder).

mod mysql_async;
mod programs;
mod sqlx;

use anyhow::{Context, Result, bail, ensure};
use sqlward_tests::driver::Report;
use sqlward_tests::endpoint::Endpoint;
use sqlward_tests::forward;
use sqlward_tests::mysql::{Options, Product, Server};
use sqlward_tests::proxy::{self, Proxy};

use crate::{Expectation, judge, log};

/// What every driver of MySQL must show.
pub(crate) const EXPECTED: Expectation = Expectation {
    common: &[
        "connect",
        "tls",
        "query",
        "unicode",
        "prepared",
        "multi",
        "transaction",
        "error",
        "cancel",
    ],
    sqlstate: "42000",
};

/// What drivers without limits of their own show beyond that.
const FULL: [&str; 3] = ["local-infile", "large-up", "large-down"];

/// Where and how a driver logs in.
struct Visit<'a> {
    plugin: &'static str,
    endpoint: &'a Endpoint,
}

/// Plays a driver's session with every product, plugin of `plugins`, and TLS on and off.
///
/// A plugin that ends with `+tls` is one that the driver uses under TLS only.
fn everywhere(
    plugins: &[&str],
    extra: &[&str],
    play: impl Fn(&Visit) -> Result<Report>,
) -> Result<()> {
    let mut played = 0;
    for product in Product::ALL {
        let server = Server::start(&Options {
            tls: true,
            ..Options::new(product)
        })?;
        let between = Between::start(&server)?;
        for login in product.logins().iter().filter(|login| login.over_tcp()) {
            let always = plugins.contains(&login.plugin);
            let encrypted = format!("{}+tls", login.plugin);
            if !always && !plugins.contains(&encrypted.as_str()) {
                continue;
            }
            let authority = between.authority(&server)?;
            for authority in [None, Some(authority)] {
                if authority.is_none() && !always {
                    continue;
                }
                let endpoint = Endpoint {
                    port: between.port(&server, authority.is_some()),
                    user: login.user.to_owned(),
                    authority,
                    refuses: matches!(between, Between::Sqlward(_)),
                };
                let visit = Visit {
                    plugin: login.plugin,
                    endpoint: &endpoint,
                };
                let context = || format!("{} {}", product.name(), between.log());
                let report = play(&visit).with_context(context)?;
                judge(&report, &endpoint, &EXPECTED, extra).with_context(context)?;
                played += 1;
            }
        }
    }
    println!("{played} sessions");
    ensure!(played > 0, "no server has a plugin of {plugins:?}");
    Ok(())
}

/// What stands between the drivers and the server.
enum Between {
    Nothing,
    Forwarder(u16),
    Sqlward(Box<Pair>),
}

/// Passwords are sent in another form where the way is encrypted: either both legs are, or none.
struct Pair {
    plain: Proxy,
    encrypted: Proxy,
}

fn in_front(server: &Server, server_tls: &'static str) -> Result<Proxy> {
    Proxy::before(
        server,
        &proxy::Options {
            server_tls,
            // One check sends 17 MiB, in packets of 16 MiB at most; the default takes statements up to 16 MiB.
            limits: "max_statement_bytes = 33554432".to_owned(),
            ..proxy::Options::default()
        },
    )
}

impl Between {
    fn start(server: &Server) -> Result<Self> {
        let way = std::env::var("SQLWARD_MYSQL_WAY");
        match way.as_deref() {
            Ok("direct") => Ok(Self::Nothing),
            Ok("blind") => Ok(Self::Forwarder(forward::start(server.port())?)),
            Err(_) | Ok("sqlward") => Ok(Self::Sqlward(Box::new(Pair {
                plain: in_front(server, "disable")?,
                encrypted: in_front(server, "require")?,
            }))),
            Ok(other) => bail!("SQLWARD_MYSQL_WAY is `{other}`: sqlward, direct or blind"),
        }
    }

    fn port(&self, server: &Server, encrypted: bool) -> u16 {
        match self {
            Self::Nothing => server.port(),
            Self::Forwarder(port) => *port,
            Self::Sqlward(pair) if encrypted => pair.encrypted.port(),
            Self::Sqlward(pair) => pair.plain.port(),
        }
    }

    fn authority(&self, server: &Server) -> Result<std::path::PathBuf> {
        let certificates = match self {
            Self::Nothing | Self::Forwarder(_) => server.certificates(),
            Self::Sqlward(pair) => Some(pair.encrypted.certificates()),
        };
        Ok(certificates.context("no certificates")?.authority.clone())
    }

    fn log(&self) -> String {
        match self {
            Self::Nothing | Self::Forwarder(_) => String::new(),
            Self::Sqlward(pair) => log(Some(&pair.plain)) + &log(Some(&pair.encrypted)),
        }
    }
}
