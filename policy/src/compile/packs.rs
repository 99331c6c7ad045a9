//! The packs that a policy is made of, and what they need.

use super::Compiler;
use crate::file::{File, RawPack};
use crate::policy::Pack;

impl Compiler {
    /// The packs, each once; one that is missing, or there in another version, is a problem.
    pub(super) fn packs(&mut self, files: &[File]) -> Vec<Pack> {
        let mut packs: Vec<&RawPack> = Vec::new();
        for pack in files.iter().filter_map(|file| file.pack.as_ref()) {
            match packs.iter().find(|known| known.id.value == pack.id.value) {
                None => packs.push(pack),
                Some(known) if known.version == pack.version => {}
                Some(known) => {
                    let message = format!(
                        "the pack `{}` is {} here and {} at {}",
                        pack.id.value,
                        pack.version,
                        known.version,
                        self.place(&known.id.span)
                    );
                    let problem = self.problem(&pack.id.span, message);
                    self.report(problem);
                }
            }
        }
        for pack in files.iter().filter_map(|file| file.pack.as_ref()) {
            for needed in &pack.requires {
                let found = packs.iter().find(|known| known.id.value == needed.id.value);
                let message = match found {
                    Some(found) if found.version >= needed.least => continue,
                    Some(found) => format!(
                        "`{}` needs `{}` >= {}, and there is {}",
                        pack.id.value, needed.id.value, needed.least, found.version
                    ),
                    None => format!("`{}` needs the pack `{}`", pack.id.value, needed.id.value),
                };
                let problem = self.problem(&needed.id.span, message);
                let problem = match found {
                    Some(_) => problem,
                    None => problem.one_of(
                        &needed.id.value,
                        packs.iter().map(|known| known.id.value.as_str()),
                    ),
                };
                self.report(problem);
            }
        }
        packs
            .into_iter()
            .map(|pack| Pack {
                id: pack.id.value.as_str().into(),
                version: pack.version,
            })
            .collect()
    }
}
