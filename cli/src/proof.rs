//! `sqlward audit keygen` and `sqlward audit verify`.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result, bail};
use clap::Args;
use sqlward_audit_store::{
    CHECKPOINTS,
    embedded::Trust,
    proof::{Checkpoint, Signer, read_checkpoints, read_public_keys},
};

use crate::audit::archive;

/// Make the key that signs checkpoints.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sqlward audit keygen --name audit.example.org/shop --out signing.key --public signing.pub
  sqlward audit keygen --rotate signing.key --out signing-2.key --public signing-2.pub

The private key goes to a new file that only its owner can read, in the form of signed notes (PRIVATE+KEY+…); name it as
`signing_key` in [audit]. The public key is printed and, with --public, written to a file for those who verify.
--rotate makes a key of the same name that the old one signs: who trusts the old key then can trust the new one.")]
pub(crate) struct Keygen {
    /// The key's name, which checkpoints bear as their origin: like a URL without scheme; no spaces, no plus signs.
    #[arg(long, required_unless_present = "rotate")]
    name: Option<String>,
    /// The private key that the new one shall replace.
    #[arg(long, value_name = "FILE", conflicts_with = "name")]
    rotate: Option<PathBuf>,
    /// Where the private key goes; must not exist.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Where the public key goes.
    #[arg(long, value_name = "FILE")]
    public: Option<PathBuf>,
}

impl Keygen {
    /// Carry it out.
    pub(crate) fn run(self) -> Result<ExitCode> {
        let signer = match (&self.rotate, &self.name) {
            (Some(old), _) => Signer::read(old)?.succeed()?,
            (None, Some(name)) => Signer::generate(name)?,
            (None, None) => bail!("give --name, or --rotate"),
        };
        signer.write(&self.out)?;
        if let Some(path) = &self.public {
            std::fs::write(path, format!("{}\n", signer.public()))
                .with_context(|| format!("`{}` can't be written", path.display()))?;
        }
        println!("{}", signer.public());
        Ok(ExitCode::SUCCESS)
    }
}

/// Verify a store.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sqlward audit verify --data ./data --public-key signing.pub
  sqlward audit verify --data ./data --public-key signing.pub --witness /mnt/witness/checkpoints

Exit code 0: intact. 1: something is wrong, and each finding is named. Without --public-key signatures are not checked, and
who can write the data folder can rewrite it whole. A store that is rolled back whole to an older copy is found only
against checkpoints that are kept elsewhere: --witness.")]
pub(crate) struct Verify {
    /// The proxy's data folder.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Public keys that are trusted, one a line (as `keygen` prints them).
    #[arg(long, value_name = "FILE")]
    public_key: Option<PathBuf>,
    /// Checkpoints that a witness has kept, one behind the other.
    #[arg(long, value_name = "FILE")]
    witness: Vec<PathBuf>,
}

impl Verify {
    /// Carry it out.
    pub(crate) fn run(self) -> Result<ExitCode> {
        let keys = match &self.public_key {
            Some(path) => read_public_keys(path)?,
            None => Vec::new(),
        };
        let signed = !keys.is_empty();
        let mut witnessed = Vec::new();
        let own = self.data.join(CHECKPOINTS);
        for path in self.witness.iter().chain(own.exists().then_some(&own)) {
            let kept = witness(path)?.into_iter();
            witnessed.extend(kept.map(|checkpoint| (path.clone(), checkpoint)));
        }
        let report = archive(&self.data)?.verify_against(&Trust { keys, witnessed })?;
        for finding in &report.findings {
            let place = match (finding.lane, finding.seq) {
                (Some(lane), Some(seq)) => format!(": lane {lane}, entry {seq}"),
                (Some(lane), None) => format!(": lane {lane}"),
                (None, _) => String::new(),
            };
            println!("{}{place}: {}", finding.file.display(), finding.what);
        }
        let unkept = report.checkpoints > 0 && !own.exists();
        if unkept {
            println!("{}: the checkpoints' file is missing", own.display());
        }
        match &report.signed {
            Some(up_to) if signed => println!(
                "signed up to {} by {}; {} newer blocks are not signed yet",
                up_to.checkpoint, up_to.signer, report.unsigned_blocks
            ),
            Some(up_to) => println!(
                "fits {}; without --public-key its signature is not checked",
                up_to.checkpoint
            ),
            None => println!("no checkpoint fits: nothing here is signed"),
        }
        println!(
            "{} entries chained, {} rows compared, {} checkpoints, {} findings",
            report.entries,
            report.rows,
            report.checkpoints,
            report.findings.len() + usize::from(unkept)
        );
        Ok(if report.is_intact() && !unkept {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}

fn witness(path: &Path) -> Result<Vec<Checkpoint>> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("`{}` can't be read", path.display()))?;
    read_checkpoints(&text).with_context(|| format!("`{}`", path.display()))
}
