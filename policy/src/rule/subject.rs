//! Who is asking: the session's subject and the conditions on it.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;

use super::Sense;
use super::glob::Glob;
use super::version::{ServerVersion, VersionRange};
use super::words::Words;
use crate::vocabulary::{Dialect, EndUserTrust};

/// What a session is known by. It changes with SET ROLE, application_name and the end user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The language of the session's server.
    pub dialect: Dialect,
    /// The server's version; `None` while it is not known.
    pub server_version: Option<ServerVersion>,
    /// The user that the session logged in as.
    pub user: String,
    /// The role whose rights hold now; `None` while it can't be known (SET ROLE inside a routine).
    pub role: Option<String>,
    /// The database.
    pub database: String,
    /// The client's address.
    pub client: IpAddr,
    /// The application's name; empty if it gave none.
    pub application: String,
    /// The name of the listener that the client came through.
    pub listener: String,
    /// The business user behind the session and how it was learnt.
    pub end_user: Option<EndUser>,
    /// The name in the client's TLS certificate.
    pub tls_identity: Option<String>,
    /// Where the session's unqualified names lie, as far as the session has said so itself (PostgreSQL).
    pub search_path: SessionPath,
}

/// Where a session's unqualified names lie.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SessionPath {
    /// Where the policy says: the session has said nothing.
    #[default]
    Policy,
    /// In these schemas; `$user` is the one of the role's name.
    Known(Vec<String>),
    /// Anywhere.
    Unknown,
}

impl SessionPath {
    /// Reads the value of a `search_path`. What could be written with quotes or capitals is not known: as a list of
    /// words and as a text of its own it reads differently.
    #[must_use]
    pub fn parse(value: &str) -> Self {
        let plain = |item: &str| {
            item == "$user"
                || (item.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
                    && item
                        .chars()
                        .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "_$".contains(c)))
        };
        let items: Vec<String> = value
            .split(',')
            .map(str::trim)
            .map(|item| {
                item.strip_prefix('"')
                    .and_then(|rest| rest.strip_suffix('"'))
                    .unwrap_or(item)
            })
            .map(str::to_owned)
            .collect();
        if items.iter().all(|item| plain(item)) {
            Self::Known(items)
        } else {
            Self::Unknown
        }
    }
}

/// A business user behind a database session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndUser {
    /// The name.
    pub name: String,
    /// How the name was learnt, as the record stores it (`comment`, `setting`, …).
    pub trust: String,
}

impl Default for Subject {
    fn default() -> Self {
        Self {
            dialect: Dialect::Postgres,
            server_version: None,
            user: String::new(),
            role: Some(String::new()),
            database: String::new(),
            client: IpAddr::V4(Ipv4Addr::LOCALHOST),
            application: String::new(),
            listener: String::new(),
            end_user: None,
            tls_identity: None,
            search_path: SessionPath::Policy,
        }
    }
}

/// A condition on the subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubjectTest {
    /// The login user.
    User(Vec<Glob>),
    /// The effective role.
    Role(Vec<Glob>),
    /// The database.
    Database(Vec<Glob>),
    /// The application's name.
    Application(Vec<Glob>),
    /// The listener.
    Listener(Vec<Glob>),
    /// The end user's name.
    EndUser(Vec<Glob>),
    /// Where the end user's name comes from.
    EndUserTrust(Words<EndUserTrust>),
    /// The name in the client's certificate.
    TlsIdentity(Vec<Glob>),
    /// The client's address.
    Client(Vec<IpNet>),
    /// The dialect.
    Dialect(Words<Dialect>),
    /// The server's version.
    ServerVersion(Vec<VersionRange>),
}

impl SubjectTest {
    /// The field of `when` that holds this condition.
    #[must_use]
    pub const fn field(&self) -> &'static str {
        match self {
            Self::User(_) => "user",
            Self::Role(_) => "role",
            Self::Database(_) => "database",
            Self::Application(_) => "application",
            Self::Listener(_) => "listener",
            Self::EndUser(_) => "end_user",
            Self::EndUserTrust(_) => "end_user_trust",
            Self::TlsIdentity(_) => "tls_identity",
            Self::Client(_) => "client",
            Self::Dialect(_) => "dialect",
            Self::ServerVersion(_) => "server_version",
        }
    }

    /// Whether the condition holds. What is not known holds for a denial and not for a permission.
    #[must_use]
    pub fn holds(&self, subject: &Subject, sense: Sense) -> bool {
        let fits = |globs: &[Glob], text: &str| globs.iter().any(|glob| glob.matches(text));
        match self {
            Self::User(globs) => fits(globs, &subject.user),
            Self::Role(globs) => match &subject.role {
                Some(role) => fits(globs, role),
                None => sense == Sense::Any,
            },
            Self::Database(globs) => fits(globs, &subject.database),
            Self::Application(globs) => fits(globs, &subject.application),
            Self::Listener(globs) => fits(globs, &subject.listener),
            Self::EndUser(_) | Self::EndUserTrust(_) => {
                self.holds_of_end_users([subject.end_user.as_ref(), None], sense)
            }
            Self::TlsIdentity(globs) => subject
                .tls_identity
                .as_ref()
                .is_some_and(|identity| fits(globs, identity)),
            Self::Client(networks) => {
                let address = subject.client.to_canonical();
                networks.iter().any(|network| network.contains(&address))
            }
            Self::Dialect(dialects) => dialects.contains(subject.dialect),
            Self::ServerVersion(ranges) => match subject.server_version {
                Some(version) => ranges.iter().any(|range| range.contains(version)),
                None => sense == Sense::Any,
            },
        }
    }

    /// Whether it is a condition on the end user, whom each statement may name anew.
    #[must_use]
    pub const fn of_statement(&self) -> bool {
        match self {
            Self::EndUser(_) | Self::EndUserTrust(_) => true,
            Self::User(_)
            | Self::Role(_)
            | Self::Database(_)
            | Self::Application(_)
            | Self::Listener(_)
            | Self::TlsIdentity(_)
            | Self::Client(_)
            | Self::Dialect(_)
            | Self::ServerVersion(_) => false,
        }
    }

    /// Whether a condition on the end user holds of the session's and the statement's own: of either for a denial, of
    /// both, as far as there are, for a permission.
    #[must_use]
    pub fn holds_of_end_users(&self, claimed: [Option<&EndUser>; 2], sense: Sense) -> bool {
        let fits = |user: &EndUser| match self {
            Self::EndUser(globs) => globs.iter().any(|glob| glob.matches(&user.name)),
            Self::EndUserTrust(set) => match EndUserTrust::from_word(&user.trust) {
                Some(trust) => set.contains(trust),
                None => sense == Sense::Any,
            },
            Self::User(_)
            | Self::Role(_)
            | Self::Database(_)
            | Self::Application(_)
            | Self::Listener(_)
            | Self::TlsIdentity(_)
            | Self::Client(_)
            | Self::Dialect(_)
            | Self::ServerVersion(_) => false,
        };
        let mut users = claimed.into_iter().flatten().peekable();
        match sense {
            Sense::Any => users.any(fits),
            Sense::All => users.peek().is_some() && users.all(fits),
        }
    }

    /// The values that fit, as they were written.
    #[must_use]
    pub fn wanted(&self) -> String {
        match self {
            Self::User(globs)
            | Self::Role(globs)
            | Self::Database(globs)
            | Self::Application(globs)
            | Self::Listener(globs)
            | Self::EndUser(globs)
            | Self::TlsIdentity(globs) => join(globs),
            Self::EndUserTrust(set) => set.to_string(),
            Self::Client(networks) => join(networks),
            Self::Dialect(dialects) => dialects.to_string(),
            Self::ServerVersion(ranges) => ranges
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(" or "),
        }
    }

    /// The subject's value that the condition looks at, for people.
    #[must_use]
    pub fn seen(&self, subject: &Subject) -> String {
        let quoted = |text: &str| format!("`{text}`");
        match self {
            Self::User(_) => quoted(&subject.user),
            Self::Role(_) => subject.role.as_deref().map_or("unknown".into(), quoted),
            Self::Database(_) => quoted(&subject.database),
            Self::Application(_) => quoted(&subject.application),
            Self::Listener(_) => quoted(&subject.listener),
            Self::EndUser(_) => subject
                .end_user
                .as_ref()
                .map_or("none".into(), |user| quoted(&user.name)),
            Self::EndUserTrust(_) => subject
                .end_user
                .as_ref()
                .map_or("none".into(), |user| quoted(&user.trust)),
            Self::TlsIdentity(_) => subject
                .tls_identity
                .as_deref()
                .map_or("none".into(), quoted),
            Self::Client(_) => subject.client.to_canonical().to_string(),
            Self::Dialect(_) => subject.dialect.to_string(),
            Self::ServerVersion(_) => subject
                .server_version
                .map_or("unknown".into(), |version| version.to_string()),
        }
    }
}

/// Items as a list for people.
pub(super) fn join(items: &[impl ToString]) -> String {
    items
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mapped_addresses_are_ipv4() {
        let test = SubjectTest::Client(vec!["10.1.0.0/16".parse().unwrap()]);
        let subject = Subject {
            client: "::ffff:10.1.2.3".parse().unwrap(),
            ..Subject::default()
        };
        assert!(test.holds(&subject, Sense::Any));
        let other = Subject {
            client: "10.2.0.1".parse().unwrap(),
            ..Subject::default()
        };
        assert!(!test.holds(&other, Sense::Any));
    }

    #[test]
    fn an_unknown_role_holds_for_denials_only() {
        let test = SubjectTest::Role(vec![Glob::parse("postgres").unwrap()]);
        let subject = Subject {
            role: None,
            ..Subject::default()
        };
        assert!(test.holds(&subject, Sense::Any));
        assert!(!test.holds(&subject, Sense::All));
    }
}
