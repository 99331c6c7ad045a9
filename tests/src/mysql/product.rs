//! The server products, where `make setup` has put them, and how their users log in.

use std::path::PathBuf;

use crate::paths::repository;

/// A server product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Product {
    /// MariaDB 10.11.
    MariaDb10,
    /// MariaDB 11.8.
    MariaDb11,
    /// MySQL 9.
    MySql,
}

/// A user of the fixture and how the server knows them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Login {
    /// The user's name; the password is [`crate::server::PASSWORD`], or none for
    /// [`TRUSTED_USER`](crate::server::TRUSTED_USER).
    pub user: &'static str,
    /// The authentication plugin's name in the protocol.
    pub plugin: &'static str,
    /// What follows `CREATE USER name IDENTIFIED`; `{}` stands for the quoted password.
    identified: &'static str,
}

impl Login {
    /// Whether a client can use it over TCP at all.
    #[must_use]
    pub fn over_tcp(&self) -> bool {
        !self.identified.contains("socket")
    }

    /// The statement that makes the user.
    #[must_use]
    pub fn create(&self, password: &str) -> String {
        let identified = self.identified.replace("{}", &format!("'{password}'"));
        format!("CREATE USER {} IDENTIFIED {identified}", self.user)
    }
}

impl Product {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::MariaDb10, Self::MariaDb11, Self::MySql];

    /// The name used in messages, results and arguments.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::MariaDb10 => "mariadb-10.11",
            Self::MariaDb11 => "mariadb-11.8",
            Self::MySql => "mysql-9",
        }
    }

    /// The product of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }

    /// Whether it is MariaDB.
    #[must_use]
    pub fn is_mariadb(self) -> bool {
        match self {
            Self::MariaDb10 | Self::MariaDb11 => true,
            Self::MySql => false,
        }
    }

    /// The `usr` folder of its packages.
    #[must_use]
    pub fn base(self) -> PathBuf {
        repository()
            .join("build/beside")
            .join(self.name())
            .join("usr")
    }

    /// The server program.
    #[must_use]
    pub fn daemon(self) -> PathBuf {
        let name = if self.is_mariadb() {
            "mariadbd"
        } else {
            "mysqld"
        };
        self.base().join("sbin").join(name)
    }

    /// The command-line client.
    #[must_use]
    pub fn client(self) -> PathBuf {
        let name = if self.is_mariadb() {
            "mariadb"
        } else {
            "mysql"
        };
        self.base().join("bin").join(name)
    }

    /// The folder of messages and character sets.
    #[must_use]
    pub fn share(self) -> PathBuf {
        let name = match self {
            Self::MariaDb11 => "mariadb",
            Self::MariaDb10 | Self::MySql => "mysql",
        };
        self.base().join("share").join(name)
    }

    /// Plugins that the server loads when it starts.
    #[must_use]
    pub fn plugins(self) -> &'static [&'static str] {
        match self {
            Self::MariaDb10 => &["auth_ed25519", "server_audit"],
            Self::MariaDb11 => &["auth_ed25519", "auth_parsec", "server_audit"],
            Self::MySql => &["auth_socket.so"],
        }
    }

    /// The fixture's users, one for each authentication plugin that the server has; the first has a
    /// password and works with every driver.
    #[must_use]
    pub fn logins(self) -> &'static [Login] {
        match self {
            Self::MariaDb10 => &[NATIVE, ED25519, UNIX_SOCKET],
            Self::MariaDb11 => &[NATIVE, ED25519, PARSEC, UNIX_SOCKET],
            Self::MySql => &[CACHING, SHA256, AUTH_SOCKET],
        }
    }
}

const NATIVE: Login = Login {
    user: "app_native",
    plugin: "mysql_native_password",
    identified: "VIA mysql_native_password USING PASSWORD({})",
};
const ED25519: Login = Login {
    user: "app_ed25519",
    plugin: "client_ed25519",
    identified: "VIA ed25519 USING PASSWORD({})",
};
const PARSEC: Login = Login {
    user: "app_parsec",
    plugin: "parsec",
    identified: "VIA parsec USING PASSWORD({})",
};
const UNIX_SOCKET: Login = Login {
    user: "app_socket",
    plugin: "auth_socket",
    identified: "VIA unix_socket",
};
const CACHING: Login = Login {
    user: "app_caching",
    plugin: "caching_sha2_password",
    identified: "WITH caching_sha2_password BY {}",
};
const SHA256: Login = Login {
    user: "app_sha256",
    plugin: "sha256_password",
    identified: "WITH sha256_password BY {}",
};
const AUTH_SOCKET: Login = Login {
    user: "app_socket",
    plugin: "auth_socket",
    identified: "WITH auth_socket AS 'nobody'",
};
