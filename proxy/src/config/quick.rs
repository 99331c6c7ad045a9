//! The configuration of a quick start, made of a few options instead of a file.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use sqlward_audit_store::journal::Durability;

use super::{
    ClientTls, Config, Listener, Proof, Protocol, ServerTls, TlsMode, Upstream, compile::limits,
    file, journal::default_journal_bytes, retention::Retention, workers::default_workers,
};
use crate::tls::{ClientFiles, Verification};

impl Config {
    /// The configuration of a quick start: one listener, one upstream, defaults for the rest.
    #[must_use]
    pub fn quick(
        protocol: Protocol,
        (listen, upstream): (SocketAddr, &str),
        policy: Vec<PathBuf>,
        data_dir: PathBuf,
        admin: Option<SocketAddr>,
    ) -> Self {
        let host = upstream.rsplit_once(':').map_or(upstream, |(host, _)| host);
        let audit = file::Audit::default();
        let workers = default_workers(std::iter::once(protocol));
        Self {
            data_dir,
            policy,
            node: 0,
            workers,
            worker_priority: None,
            admin,
            log: file::LogFormat::Text,
            limits: limits(&file::Limits::default()),
            retention: Retention {
                days: *audit.retention_days.get_ref(),
                legal_minimum_days: None,
                below: None,
            },
            max_journal_bytes: default_journal_bytes(workers),
            durability: Durability::Process,
            max_text_bytes: audit.max_text_bytes,
            proof: Proof {
                signer: None,
                interval: Duration::from_secs(*audit.checkpoint_interval_secs.get_ref()),
                witnesses: Vec::new(),
            },
            redaction_key: None,
            store: None,
            end_user: file::EndUser::default(),
            listeners: vec![Listener {
                name: protocol.as_str().into(),
                address: listen,
                protocol,
                tls: ClientTls {
                    mode: TlsMode::Disable,
                    files: None,
                },
                upstream: Arc::new(Upstream {
                    name: protocol.as_str().into(),
                    address: upstream.into(),
                    tls: ServerTls {
                        mode: TlsMode::Prefer,
                        verification: Verification::None,
                        files: ClientFiles {
                            ca: None,
                            identity: None,
                        },
                        server_name: host.trim_matches(['[', ']']).to_owned(),
                        direct: false,
                    },
                }),
            }],
        }
    }
}
