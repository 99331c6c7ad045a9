//! Where a ClickHouse store is, and as whom it is asked.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// A store's address: `clickhouse://[user@]host[:port]/database`, over HTTP, or `clickhouses://…`, over HTTPS.
///
/// The password is no part of it: see [`Target::with_password`].
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    pub(crate) url: String,
    pub(crate) database: String,
    pub(crate) user: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) authorities: Option<PathBuf>,
}

/// A text that is no store's address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTarget {
    /// Another scheme.
    #[error("expected `clickhouse://[user@]host[:port]/database`, or `clickhouses://` for HTTPS")]
    Form,
    /// A password where others can read it.
    #[error("no password in the address, please: other users of the machine see it there")]
    Password,
    /// A name of a database that is none.
    #[error("`{0}` is no name of a database: letters, digits and `_`, please")]
    Database(String),
}

impl FromStr for Target {
    type Err = InvalidTarget;

    fn from_str(text: &str) -> Result<Self, InvalidTarget> {
        let (scheme, port, rest) = match text.split_once("://") {
            Some(("clickhouse", rest)) => ("http", 8123, rest),
            Some(("clickhouses", rest)) => ("https", 8443, rest),
            Some(_) | None => return Err(InvalidTarget::Form),
        };
        let (place, database) = rest.split_once('/').ok_or(InvalidTarget::Form)?;
        let (user, host) = match place.rsplit_once('@') {
            Some((user, host)) => (Some(user.to_owned()), host),
            None => (None, place),
        };
        if user.as_ref().is_some_and(|user| user.contains(':')) {
            return Err(InvalidTarget::Password);
        }
        let plain = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        if database.is_empty() || !database.chars().all(plain) {
            return Err(InvalidTarget::Database(database.to_owned()));
        }
        let in_host = |letter: char| letter.is_ascii_alphanumeric() || "-._:[]".contains(letter);
        if host.is_empty() || !host.chars().all(in_host) {
            return Err(InvalidTarget::Form);
        }
        let with_port = match host.rsplit_once(':') {
            Some((_, port)) if port.parse::<u16>().is_ok() => host.to_owned(),
            _ => format!("{host}:{port}"),
        };
        Ok(Self {
            url: format!("{scheme}://{with_port}"),
            database: database.to_owned(),
            user,
            password: None,
            authorities: None,
        })
    }
}

impl Target {
    /// The name of the database.
    #[must_use]
    pub fn database(&self) -> &str {
        &self.database
    }

    /// The same store, asked as another user.
    #[must_use]
    pub fn with_user(self, user: Option<String>) -> Self {
        Self { user, ..self }
    }

    /// The same store, whose certificate one of the authorities in a PEM file must have issued; without, one of the
    /// web's.
    #[must_use]
    pub fn with_authorities(self, authorities: Option<PathBuf>) -> Self {
        Self {
            authorities,
            ..self
        }
    }

    /// Reads the authorities' certificates.
    ///
    /// # Errors
    /// Where they can't be used.
    pub fn check_authorities(&self) -> Result<(), super::ClickHouseError> {
        super::tls::client(self).map(drop)
    }

    /// Whether it is asked over HTTPS.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.url.starts_with("https:")
    }

    /// The user's name.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// The same store, asked with a password.
    #[must_use]
    pub fn with_password(self, password: Option<String>) -> Self {
        Self { password, ..self }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.url, self.database)
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A name, quoted.
pub(crate) fn identifier(name: &str) -> String {
    format!("`{}`", name.replace('\\', "\\\\").replace('`', "\\`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_or_refused() {
        let target: Target = "clickhouse://ann@ch.example:9000/audit".parse().unwrap();
        assert_eq!(target.to_string(), "http://ch.example:9000/audit");
        assert_eq!(target.user.as_deref(), Some("ann"));
        let target: Target = "clickhouse://[::1]/audit".parse().unwrap();
        assert_eq!(target.url, "http://[::1]:8123");
        let target: Target = "clickhouses://ch.example/audit".parse().unwrap();
        assert_eq!(target.url, "https://ch.example:8443");
        for text in [
            "http://h/d",
            "clickhouse://h",
            "clickhouse:///d",
            "clickhouse://h/",
            "clickhouse://h/a b",
            "clickhouse://h?x/a",
            "clickhouse://u:p@h/d",
        ] {
            assert!(text.parse::<Target>().is_err(), "{text}");
        }
        let target = target.with_password(Some("secret".to_owned()));
        assert!(!format!("{target:?}").contains("secret"));
    }
}
