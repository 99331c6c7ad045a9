//! How checkpoints are made and handed out, and the keys of the record.

use std::{path::PathBuf, str::FromStr, sync::Arc, time::Duration};

use sqlward_audit_store::{proof::Signer, redact::RedactionKey};
use toml::Spanned;

use super::{compile::Checker, file};
use crate::witness::Witness;

/// How checkpoints are made and handed out.
#[derive(Clone, Debug)]
pub struct Proof {
    /// Who signs; without, there are none.
    pub signer: Option<Arc<Signer>>,
    /// How long new records wait for one at most.
    pub interval: Duration,
    /// Who keeps them elsewhere.
    pub witnesses: Vec<Witness>,
}

impl Checker<'_> {
    /// Reads the key, and checks the interval and the witnesses.
    pub(super) fn proof(&mut self, audit: &file::Audit) -> Proof {
        let interval = &audit.checkpoint_interval_secs;
        let seconds = *interval.get_ref();
        if !(1..=3600).contains(&seconds) {
            self.problem(interval.span(), "expected 1 to 3600 seconds");
        }
        let signer = audit.signing_key.as_ref().and_then(|path| {
            let span = path.span();
            match Signer::read(&self.base.join(path.get_ref())) {
                Ok(signer) => Some(Arc::new(signer)),
                Err(error) => {
                    self.problem(span, error.to_string());
                    None
                }
            }
        });
        Proof {
            signer,
            interval: Duration::from_secs(seconds),
            witnesses: self.witnesses(audit),
        }
    }

    fn witnesses(&mut self, audit: &file::Audit) -> Vec<Witness> {
        let file = audit.witness_file.as_ref();
        let mut witnesses: Vec<Witness> = file
            .map(|path| Witness::File(self.base.join(path)))
            .into_iter()
            .collect();
        let url = audit.witness_url.as_ref();
        witnesses.extend(url.and_then(|url| self.address(url)).map(Witness::Http));
        let log = audit.witness_syslog.as_ref();
        witnesses.extend(log.and_then(|log| self.address(log)).map(Witness::Syslog));
        witnesses
    }

    fn address<T: FromStr<Err = &'static str>>(&mut self, text: &Spanned<String>) -> Option<T> {
        match text.get_ref().parse() {
            Ok(address) => Some(address),
            Err(expected) => {
                self.problem(text.span(), expected);
                None
            }
        }
    }

    /// Reads the key of redaction by hash.
    pub(super) fn redaction_key(&mut self, file: Option<Spanned<PathBuf>>) -> Option<RedactionKey> {
        let file = file?;
        let path = self.base.join(file.get_ref());
        let key = std::fs::read(&path)
            .map_err(|error| format!("`{}` can't be read: {error}", path.display()))
            .and_then(|content| RedactionKey::new(&content).map_err(|error| error.to_string()));
        match key {
            Ok(key) => Some(key),
            Err(error) => {
                self.problem(file.span(), error);
                None
            }
        }
    }
}
