//! `sqlward run`.

use std::{io::IsTerminal, net::SocketAddr, path::PathBuf, process::ExitCode};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use sqlward_proxy::{
    StartError,
    config::{Config, Protocol, file::LogFormat},
};
use tracing_subscriber::EnvFilter;

use crate::output;

/// Run the proxy, from a configuration file or, for a quick start, from options.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sqlward run --config /etc/sqlward/sqlward.toml
  sqlward run --listen postgres://127.0.0.1:6432 --upstream postgres://127.0.0.1:5432 \\
              --policy rules/baseline --data ./data --admin 127.0.0.1:9187
  sqlward run --listen mysql://127.0.0.1:6306 --upstream mysql://127.0.0.1:3306 \\
              --policy rules/baseline --data ./data

SIGHUP reloads policy and certificates; SIGTERM drains and stops. Log level: SQLWARD_LOG=debug.")]
pub(crate) struct Run {
    /// Configuration file.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["listen", "upstream", "policy", "data", "admin"])]
    config: Option<PathBuf>,
    /// Where applications connect.
    #[arg(long, value_name = "URL", requires_all = ["upstream", "policy", "data"])]
    listen: Option<String>,
    /// The database server.
    #[arg(long, value_name = "URL")]
    upstream: Option<String>,
    /// Policy files and folders.
    #[arg(long, value_name = "PATH", num_args = 1..)]
    policy: Vec<PathBuf>,
    /// Folder of the journal and the audit store.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Address of /metrics and /healthz.
    #[arg(long, value_name = "ADDRESS")]
    admin: Option<SocketAddr>,
    /// How log lines look.
    #[arg(long, value_name = "FORMAT")]
    log: Option<Log>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Log {
    Text,
    Json,
}

impl Run {
    /// Run until told to stop.
    pub(crate) fn run(self) -> Result<ExitCode> {
        let log = self.log;
        let config = match self.into_config()? {
            Ok(config) => config,
            Err(code) => return Ok(code),
        };
        start_logging(log.map_or(config.log, |log| match log {
            Log::Text => LogFormat::Text,
            Log::Json => LogFormat::Json,
        }));
        match sqlward_proxy::run(config) {
            Ok(()) => Ok(ExitCode::SUCCESS),
            Err(StartError::Policy(problems)) => Ok(output::bad_input(&problems)),
            Err(error) => Err(error).context("sqlward can't start"),
        }
    }

    fn into_config(self) -> Result<Result<Config, ExitCode>> {
        if let Some(path) = &self.config {
            return Ok(Config::load(path).map_err(|problems| output::bad_input(&problems)));
        }
        let (Some(listen), Some(upstream), Some(data)) = (self.listen, self.upstream, self.data)
        else {
            bail!(
                "nothing to run: give --config FILE, or --listen, --upstream, --policy and --data"
            );
        };
        let (protocol, listen) = address(&listen)?;
        let (spoken, upstream) = address(&upstream)?;
        if spoken != protocol {
            bail!(
                "--listen says {}, --upstream {}: both must be of one protocol",
                protocol.as_str(),
                spoken.as_str()
            );
        }
        let listen = listen
            .parse::<SocketAddr>()
            .with_context(|| format!("--listen: `{listen}` is no IP address and port"))?;
        Ok(Ok(Config::quick(
            protocol,
            (listen, upstream),
            self.policy,
            data,
            self.admin,
        )))
    }
}

/// `postgres://host:port` → the protocol and `host:port`.
fn address(url: &str) -> Result<(Protocol, &str)> {
    let Some((scheme, rest)) = url.split_once("://") else {
        bail!("`{url}` is no URL: expected postgres://HOST:PORT or mysql://HOST:PORT");
    };
    let protocol = match scheme {
        "postgres" | "postgresql" => Protocol::Postgres,
        "mysql" | "mariadb" => Protocol::Mysql,
        _ => bail!("`{url}`: unknown protocol `{scheme}`: expected postgres or mysql"),
    };
    let rest = rest.trim_end_matches('/');
    if rest.contains(['/', '@', '?'])
        || rest
            .rsplit_once(':')
            .is_none_or(|(_, port)| port.parse::<u16>().is_err())
    {
        bail!("`{url}`: expected {scheme}://HOST:PORT, with nothing else in it");
    }
    Ok((protocol, rest))
}

/// Log to standard error.
fn start_logging(format: LogFormat) {
    let filter = EnvFilter::try_from_env("SQLWARD_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    match format {
        LogFormat::Text => builder.init(),
        LogFormat::Json => builder.json().init(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Protocol, address};

    #[test]
    fn urls_are_host_and_port() {
        assert_eq!(
            address("postgres://127.0.0.1:5432").unwrap(),
            (Protocol::Postgres, "127.0.0.1:5432")
        );
        assert_eq!(
            address("postgresql://db:5432/").unwrap(),
            (Protocol::Postgres, "db:5432")
        );
        for scheme in ["mysql", "mariadb"] {
            let url = format!("{scheme}://[::1]:3306");
            assert_eq!(address(&url).unwrap(), (Protocol::Mysql, "[::1]:3306"));
        }
        for bad in [
            "127.0.0.1:5432",
            "oracle://h:1",
            "mysql://h",
            "postgres://h",
            "postgres://u:p@h:1",
            "postgres://h:1/db",
        ] {
            assert!(address(bad).is_err(), "{bad}");
        }
    }
}
