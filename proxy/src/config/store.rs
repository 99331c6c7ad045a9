//! Where records are shipped to, if not into files beside the journal.

use std::{ops::RangeInclusive, path::PathBuf, time::Duration};

use sqlward_audit_store::clickhouse::Target;
use toml::Spanned;

use super::{compile::Checker, file};

/// A ClickHouse store.
#[derive(Clone, Debug)]
pub struct Store {
    /// Its servers, in the order in which they are tried.
    pub targets: Vec<Target>,
    /// How long one may take to answer.
    pub timeout: Duration,
    /// Entries of the journal in one batch at most.
    pub batch_entries: usize,
    /// Bytes of them.
    pub batch_bytes: usize,
}

impl Checker<'_> {
    /// Reads addresses and password, and checks the bounds.
    pub(super) fn store(&mut self, store: file::Store) -> Store {
        let password = self.password(store.password_file, store.password_env);
        let authorities = store.ca.map(|ca| (ca.span(), self.existing(ca)));
        let urls = store.urls;
        let mut targets: Vec<Target> = Vec::new();
        for url in urls.get_ref() {
            let target = match url.get_ref().parse::<Target>() {
                Ok(target) => target,
                Err(error) => {
                    self.problem(url.span(), error.to_string());
                    continue;
                }
            };
            if let Some(first) = targets.first()
                && first.database() != target.database()
            {
                let message = "expected the database of the first: all are servers of one store";
                self.problem(url.span(), message);
            }
            let user = match (target.user(), &store.user) {
                (Some(_), Some(_)) => {
                    self.problem(url.span(), "the user is named in `user`, too: expected one");
                    None
                }
                (Some(user), None) => Some(user.to_owned()),
                (None, user) => user.clone(),
            };
            targets.push(
                target
                    .with_user(user)
                    .with_password(password.clone())
                    .with_authorities(authorities.as_ref().map(|(_, path)| path.clone())),
            );
        }
        if urls.get_ref().is_empty() {
            self.problem(urls.span(), "expected at least one address");
        }
        match &authorities {
            Some((span, _)) if !targets.iter().any(Target::is_secure) => {
                let message = "ca goes with clickhouses:// only: nothing else shows a certificate";
                self.problem(span.clone(), message);
            }
            Some((span, _)) => {
                let problem = targets
                    .iter()
                    .find_map(|target| target.check_authorities().err());
                if let Some(error) = problem {
                    self.problem(span.clone(), error.to_string());
                }
            }
            None => {}
        }
        let timeout = self.within(store.timeout_secs, 1..=600, 30, "seconds");
        let entries = self.within(store.batch_entries, 1_000..=1_000_000, 200_000, "entries");
        let bytes = self.within(store.batch_bytes, 1 << 20..=256 << 20, 32 << 20, "bytes");
        Store {
            targets,
            timeout: Duration::from_secs(timeout),
            batch_entries: usize::try_from(entries).unwrap_or(usize::MAX),
            batch_bytes: usize::try_from(bytes).unwrap_or(usize::MAX),
        }
    }

    fn password(
        &mut self,
        file: Option<Spanned<PathBuf>>,
        variable: Option<Spanned<String>>,
    ) -> Option<String> {
        match (file, variable) {
            (Some(_), Some(variable)) => {
                self.problem(variable.span(), "password_file says it, too: expected one");
                None
            }
            (Some(file), None) => match std::fs::read_to_string(self.base.join(file.get_ref())) {
                Ok(text) => Some(text.trim_end_matches(['\r', '\n']).to_owned()),
                Err(error) => {
                    self.problem(file.span(), format!("cannot be read: {error}"));
                    None
                }
            },
            (None, Some(variable)) => {
                let value = std::env::var(variable.get_ref());
                if value.is_err() {
                    let message = format!("the environment has no `{}`", variable.get_ref());
                    self.problem(variable.span(), message);
                }
                value.ok()
            }
            (None, None) => None,
        }
    }

    fn within(
        &mut self,
        value: Option<Spanned<u64>>,
        range: RangeInclusive<u64>,
        default: u64,
        unit: &str,
    ) -> u64 {
        let Some(value) = value else { return default };
        if !range.contains(value.get_ref()) {
            let message = format!("expected {} to {} {unit}", range.start(), range.end());
            self.problem(value.span(), message);
        }
        value.into_inner()
    }
}
