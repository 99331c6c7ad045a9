//! File → [`Config`], or every problem at once, each where it stands.

use std::{
    net::SocketAddr,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use sqlward_audit_store::{journal::Durability, redact::RedactionKey};
use sqlward_policy::{Problem, Problems, problem::Source};
use toml::{Spanned, de::DeTable};

use super::{
    fields,
    file::{self, File},
    proof::Proof,
    repair::{self, STAND_IN},
    retention::Retention,
    store::Store,
    words::{Protocol, TlsMode},
};
use crate::tls::{ClientFiles, ServerFiles, Verification};

/// Everything the proxy runs on.
#[derive(Clone, Debug)]
pub struct Config {
    /// Journal and store.
    pub data_dir: PathBuf,
    /// Policy files and folders.
    pub policy: Vec<PathBuf>,
    /// This proxy's number in event ids.
    pub node: u16,
    /// Worker threads.
    pub workers: usize,
    /// The nice value that was asked for them, -20 to 19.
    pub worker_priority: Option<i32>,
    /// Admin endpoint.
    pub admin: Option<SocketAddr>,
    /// How log lines look.
    pub log: file::LogFormat,
    /// Bounds.
    pub limits: Limits,
    /// How long records are kept.
    pub retention: Retention,
    /// Journal bound.
    pub max_journal_bytes: u64,
    /// When a record counts as taken.
    pub durability: Durability,
    /// Text bytes in a record.
    pub max_text_bytes: usize,
    /// Checkpoints.
    pub proof: Proof,
    /// The key of redaction by hash.
    pub redaction_key: Option<RedactionKey>,
    /// The ClickHouse store, if it is one.
    pub store: Option<Store>,
    /// Sources of the end user.
    pub end_user: file::EndUser,
    /// Where clients connect.
    pub listeners: Vec<Listener>,
}

/// Bounds on connections and statements.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Client connections in all.
    pub max_connections: usize,
    /// Client connections from one address.
    pub max_connections_per_client: usize,
    /// Accept to authenticated.
    pub authentication_timeout: Duration,
    /// To reach an upstream.
    pub connect_timeout: Duration,
    /// Without traffic; `None` = never.
    pub idle_timeout: Option<Duration>,
    /// Longest statement.
    pub max_statement_bytes: usize,
    /// Parameter bytes in a record.
    pub max_recorded_parameter_bytes: usize,
    /// Wait at SIGTERM.
    pub drain_timeout: Duration,
}

/// An address that clients connect to, and where it leads.
#[derive(Clone, Debug)]
pub struct Listener {
    /// Its name.
    pub name: Arc<str>,
    /// Its address.
    pub address: SocketAddr,
    /// What is spoken there, and with the upstream.
    pub protocol: Protocol,
    /// TLS towards clients.
    pub tls: ClientTls,
    /// Where it leads.
    pub upstream: Arc<Upstream>,
}

/// TLS towards clients.
#[derive(Clone, Debug)]
pub struct ClientTls {
    /// How strictly.
    pub mode: TlsMode,
    /// With what; present unless disabled.
    pub files: Option<ServerFiles>,
}

/// A database server.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// Its name.
    pub name: Arc<str>,
    /// `host:port`.
    pub address: Arc<str>,
    /// TLS towards it.
    pub tls: ServerTls,
}

/// TLS towards a server.
#[derive(Clone, Debug)]
pub struct ServerTls {
    /// How strictly.
    pub mode: TlsMode,
    /// What of its certificate is verified.
    pub verification: Verification,
    /// With what.
    pub files: ClientFiles,
    /// The name it must carry.
    pub server_name: String,
    /// Without asking first.
    pub direct: bool,
}

impl Config {
    /// Read and check the configuration file at `path`. Relative paths in it start at its folder.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn load(path: &Path) -> Result<Self, Problems> {
        let name: Arc<str> = path.display().to_string().into();
        match std::fs::read_to_string(path) {
            Ok(text) => {
                let source = Source {
                    name,
                    text: text.into(),
                };
                Self::parse(&source, path.parent().unwrap_or(Path::new(".")))
            }
            Err(error) => {
                let source = Source {
                    name,
                    text: "".into(),
                };
                let message = format!("cannot be read: {error}");
                Err(Problems(vec![Problem::at(&source, 0..0, message)]))
            }
        }
    }

    /// Check the configuration in `source`; relative paths start at `base`.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(source: &Source, base: &Path) -> Result<Self, Problems> {
        let (mut root, broken) = DeTable::parse_recoverable(&source.text);
        let mut problems: Vec<Problem> = broken
            .iter()
            .map(|error| Problem::at(source, error.span().unwrap_or_default(), error.message()))
            .collect();
        if problems.is_empty() {
            fields::take_unknown(source, root.get_mut(), &mut problems);
            if let Some(file) = repair::read(source, root, &mut problems) {
                let mut checker = Checker {
                    base,
                    source,
                    problems,
                };
                let config = checker.config(file);
                problems = checker.problems;
                if problems.is_empty() {
                    return Ok(config);
                }
            }
        }
        problems.sort_by_key(|problem| (problem.line, problem.column));
        Err(Problems(problems))
    }
}

/// Collects problems while it resolves.
pub(super) struct Checker<'a> {
    pub(super) base: &'a Path,
    source: &'a Source,
    problems: Vec<Problem>,
}

impl Checker<'_> {
    pub(super) fn problem(&mut self, span: Range<usize>, message: impl Into<String>) {
        if span == STAND_IN {
            return;
        }
        self.problems.push(Problem::at(self.source, span, message));
    }

    fn unknown<'n>(
        &mut self,
        found: &Spanned<String>,
        what: &str,
        known: impl IntoIterator<Item = &'n str>,
    ) {
        if found.span() == STAND_IN {
            return;
        }
        let name = found.get_ref();
        let problem = Problem::at(self.source, found.span(), format!("`{name}` is no {what}"));
        self.problems.push(problem.one_of(name, known));
    }

    fn config(&mut self, file: File) -> Config {
        let upstreams: Vec<Arc<Upstream>> = file
            .upstreams
            .into_iter()
            .map(|table| Arc::new(self.upstream(table)))
            .collect();
        let mut listeners = Vec::new();
        for table in file.listeners {
            listeners.extend(self.listener(table, &upstreams, &listeners));
        }
        if listeners.is_empty() && self.problems.is_empty() {
            self.problem(0..0, "no [[listener]]: nothing to listen on");
        }
        if file.policy.get_ref().is_empty() {
            self.problem(
                file.policy.span(),
                "policy = [] names no file: expected at least one file or folder",
            );
        }
        let policy = file
            .policy
            .into_inner()
            .into_iter()
            .map(|path| self.existing(path))
            .collect();
        let workers = self.workers(file.workers, &listeners);
        let worker_priority = self.worker_priority(file.worker_priority);
        let max_journal_bytes = self.max_journal_bytes(&file.audit, workers);
        let durability = self.durability(&file.audit);
        let retention = self.retention(&file.audit);
        let proof = self.proof(&file.audit);
        let redaction_key = self.redaction_key(file.audit.redaction_key);
        let store = file.audit.store.map(|store| self.store(store));
        Config {
            data_dir: self.base.join(file.data_dir),
            policy,
            node: file.node,
            workers,
            worker_priority,
            admin: file.admin.listen,
            log: file.log.format,
            limits: limits(&file.limits),
            retention,
            max_journal_bytes,
            durability,
            max_text_bytes: file.audit.max_text_bytes,
            proof,
            redaction_key,
            store,
            end_user: file.end_user,
            listeners,
        }
    }

    pub(super) fn existing(&mut self, path: Spanned<PathBuf>) -> PathBuf {
        let full = self.base.join(path.get_ref());
        if !full.exists() {
            self.problem(path.span(), format!("`{}` does not exist", full.display()));
        }
        full
    }

    fn listener(
        &mut self,
        table: Spanned<file::Listener>,
        upstreams: &[Arc<Upstream>],
        earlier: &[Listener],
    ) -> Option<Listener> {
        let listener = table.into_inner();
        for other in earlier {
            if *other.name == **listener.name.get_ref() {
                self.problem(listener.name.span(), "another listener has this name");
            }
            if other.address == *listener.address.get_ref() && other.address.port() != 0 {
                self.problem(listener.address.span(), "another listener has this address");
            }
        }
        let tls = listener.tls.map_or(
            ClientTls {
                mode: TlsMode::Disable,
                files: None,
            },
            |tls| self.client_tls(tls),
        );
        let protocol = match &listener.protocol {
            None => Protocol::default(),
            Some(word) => Protocol::from_word(word.get_ref()).unwrap_or_else(|| {
                let known = [Protocol::Postgres, Protocol::Mysql].map(Protocol::as_str);
                self.unknown(word, "protocol", known);
                Protocol::default()
            }),
        };
        let wanted = listener.upstream.get_ref();
        let Some(upstream) = upstreams.iter().find(|upstream| *upstream.name == **wanted) else {
            // One whose own name could not be read may be the one that is meant.
            if upstreams.iter().all(|upstream| !upstream.name.is_empty()) {
                let names = upstreams.iter().map(|upstream| &*upstream.name);
                self.unknown(&listener.upstream, "[[upstream]]", names);
            }
            return None;
        };
        if let Some(other) = earlier
            .iter()
            .find(|other| Arc::ptr_eq(&other.upstream, upstream) && other.protocol != protocol)
        {
            let message = format!(
                "listener `{}` speaks {} with this upstream, this one {}",
                other.name,
                other.protocol.as_str(),
                protocol.as_str()
            );
            self.problem(listener.upstream.span(), message);
        }
        if protocol == Protocol::Mysql && upstream.tls.direct {
            let message = "direct TLS is PostgreSQL's, and this upstream is reached by mysql";
            self.problem(listener.upstream.span(), message);
        }
        Some(Listener {
            name: listener.name.into_inner().into(),
            address: listener.address.into_inner(),
            protocol,
            tls,
            upstream: Arc::clone(upstream),
        })
    }

    fn client_tls(&mut self, tls: file::ListenerTls) -> ClientTls {
        let mode = match tls.mode.get_ref().as_str() {
            "disable" => TlsMode::Disable,
            "prefer" => TlsMode::Prefer,
            "require" => TlsMode::Require,
            _ => {
                self.unknown(&tls.mode, "TLS mode", ["disable", "prefer", "require"]);
                TlsMode::Disable
            }
        };
        let told = self.problems.len();
        let files = match (tls.certificate, tls.key) {
            (Some(certificate), Some(key)) => Some(ServerFiles {
                certificate: self.existing(certificate),
                key: self.existing(key),
                client_ca: tls.client_ca.map(|path| self.existing(path)),
            }),
            (None, None) if mode == TlsMode::Disable => None,
            _ => {
                self.problem(tls.mode.span(), "TLS needs both `certificate` and `key`");
                None
            }
        };
        if let (Some(files), true) = (&files, self.problems.len() == told)
            && let Err(error) = files.load(None)
        {
            self.problem(tls.mode.span(), error.to_string());
        }
        ClientTls { mode, files }
    }

    fn upstream(&mut self, table: Spanned<file::Upstream>) -> Upstream {
        let upstream = table.into_inner();
        let address = upstream.address.get_ref();
        let host = match address.rsplit_once(':') {
            Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => host,
            _ => {
                let message = format!("`{address}` is no address: expected host:port");
                self.problem(upstream.address.span(), message);
                ""
            }
        };
        let host = host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned();
        let tls = match upstream.tls {
            Some(tls) => self.server_tls(tls, host),
            None => ServerTls {
                mode: TlsMode::Prefer,
                verification: Verification::None,
                files: ClientFiles {
                    ca: None,
                    identity: None,
                },
                server_name: host,
                direct: false,
            },
        };
        Upstream {
            name: upstream.name.into_inner().into(),
            address: upstream.address.into_inner().into(),
            tls,
        }
    }

    fn server_tls(&mut self, tls: file::UpstreamTls, host: String) -> ServerTls {
        let (mode, verification) = match tls.mode.get_ref().as_str() {
            "disable" => (TlsMode::Disable, Verification::None),
            "prefer" => (TlsMode::Prefer, Verification::None),
            "require" => (TlsMode::Require, Verification::None),
            "verify-ca" => (TlsMode::Require, Verification::Authority),
            "verify-full" => (TlsMode::Require, Verification::Full),
            _ => {
                let modes = ["disable", "prefer", "require", "verify-ca", "verify-full"];
                self.unknown(&tls.mode, "TLS mode", modes);
                (TlsMode::Disable, Verification::None)
            }
        };
        if tls.direct && mode != TlsMode::Require {
            self.problem(tls.mode.span(), "direct TLS needs mode require or stricter");
        }
        let told = self.problems.len();
        let identity = match (tls.certificate, tls.key) {
            (Some(certificate), Some(key)) => {
                Some((self.existing(certificate), self.existing(key)))
            }
            (None, None) => None,
            _ => {
                self.problem(tls.mode.span(), "`certificate` and `key` go together");
                None
            }
        };
        let files = ClientFiles {
            ca: tls.ca.map(|path| self.existing(path)),
            identity,
        };
        if self.problems.len() == told
            && let Err(error) = files.load(verification, None)
        {
            self.problem(tls.mode.span(), error.to_string());
        }
        let server_name = tls.server_name.map_or(host, Spanned::into_inner);
        ServerTls {
            mode,
            verification,
            files,
            server_name,
            direct: tls.direct,
        }
    }
}

pub(super) fn limits(file: &file::Limits) -> Limits {
    Limits {
        max_connections: file.max_connections,
        max_connections_per_client: file.max_connections_per_client,
        authentication_timeout: Duration::from_secs(file.authentication_timeout_secs),
        connect_timeout: Duration::from_secs(file.connect_timeout_secs),
        idle_timeout: (file.idle_timeout_secs > 0)
            .then(|| Duration::from_secs(file.idle_timeout_secs)),
        max_statement_bytes: file.max_statement_bytes,
        max_recorded_parameter_bytes: file.max_recorded_parameter_bytes,
        drain_timeout: Duration::from_secs(file.drain_timeout_secs),
    }
}

#[cfg(test)]
mod tests;
