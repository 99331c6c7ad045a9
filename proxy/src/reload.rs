//! Reload on SIGHUP and on file change: all or nothing; what is bad never replaces what is good.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use sqlward_policy::Policy;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::{
    administration::Administration,
    listener::Listener,
    record::hex,
    redaction,
    shared::Shared,
    versions::{self, Activation, Versions},
};

/// Changes that come closer together than this are one change.
const SETTLE: Duration = Duration::from_millis(200);

/// What a reload touches.
pub(crate) struct Reload {
    shared: Arc<Shared>,
    listeners: Vec<Arc<Listener>>,
    administration: Administration,
    /// The version of the policy that the administration knows of.
    version: Mutex<Option<Activation>>,
}

impl Reload {
    /// A reload of the policy and the certificates of `listeners`, recorded in `administration`.
    pub(crate) fn new(
        shared: Arc<Shared>,
        listeners: Vec<Arc<Listener>>,
        administration: Administration,
    ) -> Self {
        let version = versions::in_force(&shared.config.policy);
        if let Some(version) = &version {
            administration.applied(version, shared.policy.load().generation);
        }
        Self {
            shared,
            listeners,
            administration,
            version: Mutex::new(version),
        }
    }

    /// Record the version of the policy, where it is another one than before.
    fn tell_version(&self, generation: u64) {
        let version = versions::in_force(&self.shared.config.policy);
        let Ok(mut known) = self.version.lock() else {
            return;
        };
        if *known == version {
            return;
        }
        if let Some(version) = &version {
            self.administration.applied(version, generation);
        }
        *known = version;
    }

    /// Take in what auditors have asked since.
    pub(crate) fn take_questions(&self) {
        let policy = self.shared.policy.load();
        self.administration
            .take_questions(&self.shared.config, &policy);
    }

    /// Read policy and certificates again and put them in force if all of them are good.
    pub(crate) fn reload(&self, trigger: &str) {
        match self.load() {
            Ok(policy) => {
                let generation = policy.generation;
                let hash = hex(&policy.hash);
                let before = self.shared.policy.load_full();
                let changed = policy.hash != before.hash;
                let policy = Arc::new(policy);
                self.shared.policy.store(Arc::clone(&policy));
                self.shared
                    .metrics
                    .policy_generation
                    .set(generation.cast_signed());
                self.shared.metrics.reloads_total.inc();
                tracing::info!(trigger, generation, hash, changed, "policy in force");
                self.tell_version(generation);
                self.administration.reloaded(trigger, &before, &policy);
            }
            Err(problems) => {
                self.shared.metrics.reload_failures_total.inc();
                tracing::error!(trigger, "reload refused, the old policy stays:\n{problems}");
                self.administration.reload_refused(trigger, &problems);
            }
        }
    }

    /// Everything is read before anything is put in force.
    fn load(&self) -> Result<Policy, String> {
        let policy = sqlward_policy::load(&versions::resolved(&self.shared.config.policy))
            .map_err(|problems| problems.to_string())?
            .with_generation(self.shared.policy.load().generation + 1);
        redaction::check(&policy, self.shared.config.redaction_key.as_ref())?;
        let mut material = Vec::with_capacity(self.listeners.len());
        for listener in &self.listeners {
            let ours = listener.load_tls().map_err(|error| error.to_string())?;
            let theirs = listener
                .upstream
                .load_tls()
                .map_err(|error| error.to_string())?;
            material.push((listener, ours, theirs));
        }
        for (listener, ours, theirs) in material {
            listener.use_tls(ours);
            listener.upstream.use_tls(theirs);
        }
        Ok(policy)
    }
}

/// Tells when one of the watched files has changed.
#[derive(Debug)]
pub(crate) struct Watch {
    _watcher: Option<RecommendedWatcher>,
    changes: Receiver<()>,
}

impl Watch {
    /// Watch policy files and TLS files. Where the system can't, SIGHUP remains.
    pub(crate) fn start(shared: &Shared) -> Self {
        let (sender, changes) = channel(1);
        let watcher = watch(&watched(shared), sender)
            .inspect_err(|error| tracing::warn!(%error, "files are not watched; SIGHUP reloads"))
            .ok();
        Self {
            _watcher: watcher,
            changes,
        }
    }

    /// Wait for a change and for the dust to settle.
    ///
    /// Cancel safe: a change seen by a dropped call may be missed only while it settles.
    pub(crate) async fn changed(&mut self) {
        if self.changes.recv().await.is_none() {
            return std::future::pending().await;
        }
        tokio::time::sleep(SETTLE).await;
        while self.changes.try_recv().is_ok() {}
    }
}

fn watched(shared: &Shared) -> Vec<PathBuf> {
    let mut paths = shared.config.policy.clone();
    // What they include may lie elsewhere; files included later are watched from the next start on.
    let sources = &shared.policy.load().sources;
    paths.extend(sources.iter().map(|source| PathBuf::from(&*source.name)));
    for listener in &shared.config.listeners {
        if let Some(files) = &listener.tls.files {
            paths.extend([files.certificate.clone(), files.key.clone()]);
            paths.extend(files.client_ca.clone());
        }
        let files = &listener.upstream.tls.files;
        paths.extend(files.ca.clone());
        paths.extend(
            files
                .identity
                .iter()
                .flat_map(|(chain, key)| [chain.clone(), key.clone()]),
        );
    }
    paths
}

/// Editors replace files, so it is the folder of a file that is watched.
fn watch(paths: &[PathBuf], changes: Sender<()>) -> notify::Result<RecommendedWatcher> {
    let links: Vec<PathBuf> = paths
        .iter()
        .filter(|path| Versions::behind(path).is_some())
        .filter_map(|path| Some(path.parent()?.canonicalize().ok()?.join(path.file_name()?)))
        .collect();
    let wanted: Vec<PathBuf> = paths
        .iter()
        .filter(|path| Versions::behind(path).is_none())
        .filter_map(|path| path.canonicalize().ok())
        .collect();
    let concerned = [wanted.as_slice(), links.as_slice()].concat();
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let Ok(event) = event else { return };
        let relevant = !event.kind.is_access()
            && event
                .paths
                .iter()
                .any(|path| concerned.iter().any(|root| path.starts_with(root)));
        // A full channel already announces a change.
        if relevant && changes.try_send(()).is_err() {
            tracing::trace!("change already announced");
        }
    })?;
    let mut folders: Vec<&Path> = wanted
        .iter()
        .filter_map(|path| {
            if path.is_dir() {
                Some(path.as_path())
            } else {
                path.parent()
            }
        })
        .collect();
    folders.extend(links.iter().filter_map(|link| link.parent()));
    folders.sort_unstable();
    folders.dedup();
    for folder in folders {
        watcher.watch(folder, RecursiveMode::Recursive)?;
    }
    Ok(watcher)
}
