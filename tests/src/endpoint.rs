//! Where a client connects to, and as whom: what drivers need to know.

use std::path::PathBuf;
use std::process::Command;

use crate::server::{DATABASE, PASSWORD};

/// An address to connect to, and the login to use there.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// TCP port on 127.0.0.1.
    pub port: u16,
    /// Database user.
    pub user: String,
    /// The authority to trust; `None` connects without TLS.
    pub authority: Option<PathBuf>,
    /// Whether a policy in between refuses dangerous statements.
    pub refuses: bool,
}

impl Endpoint {
    /// Gives a program the libpq environment of this endpoint.
    pub fn describe(&self, command: &mut Command) {
        command
            .env("PGHOST", "127.0.0.1")
            .env("PGPORT", self.port.to_string())
            .env("PGUSER", &self.user)
            .env("PGPASSWORD", PASSWORD)
            .env("PGDATABASE", DATABASE)
            .env("PGCONNECT_TIMEOUT", "20")
            .env("PGGSSENCMODE", "disable")
            .env("PGCHANNELBINDING", "disable")
            .env("EXPECT_REFUSALS", if self.refuses { "yes" } else { "no" });
        match &self.authority {
            Some(path) => command
                .env("PGSSLMODE", "verify-ca")
                .env("PGSSLROOTCERT", path),
            None => command.env("PGSSLMODE", "disable"),
        };
    }

    /// Gives a program of the MySQL drivers this endpoint.
    pub fn describe_mysql(&self, command: &mut Command) {
        let authority = self.authority.clone().unwrap_or_default();
        command
            .env("DB_HOST", "127.0.0.1")
            .env("DB_PORT", self.port.to_string())
            .env("DB_USER", &self.user)
            .env("DB_PASSWORD", PASSWORD)
            .env("DB_NAME", DATABASE)
            .env("DB_TLS_CA", authority)
            .env("EXPECT_REFUSALS", if self.refuses { "yes" } else { "no" });
    }

    /// The tokio-postgres configuration of this endpoint.
    #[must_use]
    pub fn config(&self) -> tokio_postgres::Config {
        let mut config = tokio_postgres::Config::new();
        config
            .host("127.0.0.1")
            .port(self.port)
            .user(&self.user)
            .password(PASSWORD)
            .dbname(DATABASE)
            .connect_timeout(std::time::Duration::from_secs(20))
            .channel_binding(tokio_postgres::config::ChannelBinding::Disable)
            .ssl_mode(if self.authority.is_some() {
                tokio_postgres::config::SslMode::Require
            } else {
                tokio_postgres::config::SslMode::Disable
            });
        config
    }
}
