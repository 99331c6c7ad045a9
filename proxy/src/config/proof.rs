//! How checkpoints are made and handed out, and the keys of the record.

use std::{path::PathBuf, sync::Arc, time::Duration};

use sqlward_audit_store::{proof::Signer, redact::RedactionKey};
use toml::Spanned;

use super::compile::Checker;

/// How checkpoints are made and handed out.
#[derive(Clone, Debug)]
pub struct Proof {
    /// Who signs; without, there are none.
    pub signer: Option<Arc<Signer>>,
    /// How long new records wait for one at most.
    pub interval: Duration,
    /// A file for a witness.
    pub witness_file: Option<PathBuf>,
}

impl Checker<'_> {
    /// Reads the key, and checks the interval.
    pub(super) fn proof(
        &mut self,
        signing_key: Option<Spanned<PathBuf>>,
        interval: &Spanned<u64>,
        witness_file: Option<PathBuf>,
    ) -> Proof {
        let seconds = *interval.get_ref();
        if !(1..=3600).contains(&seconds) {
            self.problem(interval.span(), "expected 1 to 3600 seconds");
        }
        let signer = signing_key.and_then(|path| {
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
            witness_file: witness_file.map(|path| self.base.join(path)),
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
