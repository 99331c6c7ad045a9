//! The configuration file as typed: TOML, one struct per table, nouns with units, nothing resolved.

use std::{net::SocketAddr, path::PathBuf};

use serde::Deserialize;
use toml::Spanned;

/// `sqlward.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Where the journal and the audit store live.
    pub data_dir: PathBuf,
    /// Policy files and folders, in order.
    pub policy: Spanned<Vec<Spanned<PathBuf>>>,
    /// This proxy's number in event ids, 0 to 65,535; distinct per proxy that shares a store.
    #[serde(default)]
    pub node: u16,
    /// Worker threads; one per two processors if absent, or one per processor where a listener speaks MySQL.
    pub workers: Option<Spanned<usize>>,
    /// The nice value of the worker threads, -20 to 19.
    pub worker_priority: Option<Spanned<i32>>,
    /// Admin endpoint: `/metrics` and `/healthz`.
    #[serde(default)]
    pub admin: Admin,
    /// Logging.
    #[serde(default)]
    pub log: Log,
    /// Bounds on connections and statements.
    #[serde(default)]
    pub limits: Limits,
    /// Audit store.
    #[serde(default)]
    pub audit: Audit,
    /// Where the end user's name is looked for.
    #[serde(default)]
    pub end_user: EndUser,
    /// Addresses that applications connect to.
    #[serde(rename = "listener")]
    pub listeners: Vec<Spanned<Listener>>,
    /// Database servers.
    #[serde(rename = "upstream")]
    pub upstreams: Vec<Spanned<Upstream>>,
}

/// `[admin]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Admin {
    /// Address of the admin endpoint; none if absent.
    pub listen: Option<SocketAddr>,
}

/// `[log]`.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// How lines look.
    #[serde(default)]
    pub format: LogFormat,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// `[limits]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Client connections in all.
    pub max_connections: usize,
    /// Client connections from one address.
    pub max_connections_per_client: usize,
    /// From accept to the end of authentication.
    pub authentication_timeout_secs: u64,
    /// To reach an upstream.
    pub connect_timeout_secs: u64,
    /// A session without traffic, outside a running statement; 0 = never.
    pub idle_timeout_secs: u64,
    /// Longest statement text (and Bind message) that is judged; longer ones are refused.
    pub max_statement_bytes: usize,
    /// Parameter bytes that a record keeps.
    pub max_recorded_parameter_bytes: usize,
    /// How long SIGTERM waits for running statements and transactions.
    pub drain_timeout_secs: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_connections: 10_000,
            max_connections_per_client: 10_000,
            authentication_timeout_secs: 60,
            connect_timeout_secs: 10,
            idle_timeout_secs: 0,
            max_statement_bytes: 16 << 20,
            max_recorded_parameter_bytes: 64 << 10,
            drain_timeout_secs: 30,
        }
    }
}

/// `[audit]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Audit {
    /// When a record counts as taken.
    pub durability: Durability,
    /// How long `deferred` records may wait for the disk, in milliseconds.
    pub sync_interval_ms: Option<Spanned<u64>>,
    /// Days that the embedded store keeps.
    pub retention_days: Spanned<u32>,
    /// Days that records must be kept by law.
    pub legal_minimum_days: Option<Spanned<u32>>,
    /// Why fewer are kept all the same; it is recorded.
    pub below_legal_minimum: Option<Spanned<String>>,
    /// Bytes of journal that may wait for the store before `audit_failure` applies; 4 GiB if absent, or more where
    /// the number of workers demands it.
    pub max_journal_bytes: Option<Spanned<u64>>,
    /// Bytes of statement text that a record keeps.
    pub max_text_bytes: usize,
    /// The private key that signs checkpoints; none are made if absent.
    pub signing_key: Option<Spanned<PathBuf>>,
    /// How long new records wait for a checkpoint at most.
    pub checkpoint_interval_secs: Spanned<u64>,
    /// A further file that checkpoints are appended to, for a witness.
    pub witness_file: Option<PathBuf>,
    /// The key of redaction by hash; needed where a policy has some.
    pub redaction_key: Option<Spanned<PathBuf>>,
    /// A server that checkpoints are sent to by POST, for a witness.
    pub witness_url: Option<Spanned<String>>,
    /// A system log that checkpoints are sent to, for a witness.
    pub witness_syslog: Option<Spanned<String>>,
    /// A ClickHouse store; files in `data_dir` if absent.
    pub store: Option<Store>,
}

/// `[audit.store]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Store {
    /// The servers of one store: `clickhouse://host[:port]/database`, or `clickhouses://` for HTTPS; the first that
    /// takes a batch gets it.
    pub urls: Spanned<Vec<Spanned<String>>>,
    /// As whom.
    pub user: Option<String>,
    /// A file with the password.
    pub password_file: Option<Spanned<PathBuf>>,
    /// A variable of the environment with the password.
    pub password_env: Option<Spanned<String>>,
    /// Authorities that may have issued the servers' certificates, in PEM; the web's if absent.
    pub ca: Option<Spanned<PathBuf>>,
    /// How long a server may take to answer.
    pub timeout_secs: Option<Spanned<u64>>,
    /// Entries of the journal in one batch at most.
    pub batch_entries: Option<Spanned<u64>>,
    /// Bytes of them.
    pub batch_bytes: Option<Spanned<u64>>,
}

impl Default for Audit {
    fn default() -> Self {
        Self {
            durability: Durability::Process,
            sync_interval_ms: None,
            retention_days: Spanned::new(0..0, 190),
            legal_minimum_days: None,
            below_legal_minimum: None,
            max_journal_bytes: None,
            max_text_bytes: 1 << 20,
            signing_key: None,
            checkpoint_interval_secs: Spanned::new(0..0, 60),
            witness_file: None,
            redaction_key: None,
            witness_url: None,
            witness_syslog: None,
            store: None,
        }
    }
}

/// When a record counts as taken.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// In the page cache: survives the death of the process, not of the machine.
    Process,
    /// In the page cache, and soon on the disk: the loss of power loses `sync_interval_ms` at most.
    Deferred,
    /// On the disk before the statement leaves for the server.
    Disk,
}

/// `[end_user]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EndUser {
    /// Keys of a statement comment (sqlcommenter, marginalia) that hold the end user.
    pub comment_keys: Vec<String>,
    /// Names of connection and query attributes (MySQL, MariaDB) that hold the end user.
    pub attribute_keys: Vec<String>,
    /// Whether `application_name` of the form `app;end_user=NAME` names the end user.
    pub application_name: bool,
    /// Whether `SET sqlward.end_user = '…'` names the end user.
    pub setting: bool,
}

impl Default for EndUser {
    fn default() -> Self {
        Self {
            comment_keys: ["end_user", "user", "db_user", "enduser"]
                .map(String::from)
                .into(),
            attribute_keys: ["end_user", "enduser"].map(String::from).into(),
            application_name: true,
            setting: true,
        }
    }
}

/// `[[listener]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listener {
    /// Its name in policies and records.
    pub name: Spanned<String>,
    /// Address to listen on.
    pub address: Spanned<SocketAddr>,
    /// The upstream it leads to.
    pub upstream: Spanned<String>,
    /// `postgres` (if absent) or `mysql`.
    pub protocol: Option<Spanned<String>>,
    /// TLS towards clients.
    pub tls: Option<ListenerTls>,
}

/// `[listener.tls]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListenerTls {
    /// `disable`, `prefer` or `require`.
    pub mode: Spanned<String>,
    /// Certificate chain, PEM.
    pub certificate: Option<Spanned<PathBuf>>,
    /// Private key, PEM.
    pub key: Option<Spanned<PathBuf>>,
    /// Authorities that client certificates must come from, PEM; clients then must show one.
    pub client_ca: Option<Spanned<PathBuf>>,
}

/// `[[upstream]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Upstream {
    /// Its name.
    pub name: Spanned<String>,
    /// `host:port`.
    pub address: Spanned<String>,
    /// TLS towards the server.
    pub tls: Option<UpstreamTls>,
}

/// `[upstream.tls]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpstreamTls {
    /// `disable`, `prefer`, `require`, `verify-ca` or `verify-full`.
    pub mode: Spanned<String>,
    /// Authorities that the server's certificate must come from, PEM; the web's if absent.
    pub ca: Option<Spanned<PathBuf>>,
    /// Name that the server's certificate must carry; the address's host if absent.
    pub server_name: Option<Spanned<String>>,
    /// Own certificate chain shown to the server, PEM.
    pub certificate: Option<Spanned<PathBuf>>,
    /// Its private key, PEM.
    pub key: Option<Spanned<PathBuf>>,
    /// Speak TLS at once, without asking first (PostgreSQL 17 and later).
    #[serde(default)]
    pub direct: bool,
}
