//! `sqlward policy apply` and `sqlward policy approve`.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result};
use clap::Args;
use sqlward_audit_store::proof::{Signer, read_public_keys};
use sqlward_policy::Policy;
use sqlward_proxy::versions::{Change, Versions, approve, approved_by};

use super::with;
use crate::output;

/// Keep a policy as a new version, and put it into force.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sqlward policy apply rules/ --data ./data --author ann --reason 'protect the ledger, ticket 4711'
  sqlward policy apply rules/ --data ./data --author ann --reason 'ticket 4711' \\
      --approve-signature approval --approvers approvers.pub

The files must load and their tests must pass. They are copied to a folder of their own below DIR/policy, and DIR/policy/current
is made to name it; a proxy whose configuration says policy = [\"DIR/policy/current\"] takes the version over at once, whole, and
records it with author and reason. With --approvers nothing is applied without the signature of one of these keys, made by
`sqlward policy approve` over the same files, author and reason.")]
pub(crate) struct Apply {
    /// Policy files and folders.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// The proxy's data folder.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Who applies it.
    #[arg(long)]
    author: String,
    /// Why.
    #[arg(long)]
    reason: String,
    /// A second person's approval, as `policy approve` wrote it.
    #[arg(long, value_name = "FILE", requires = "approvers")]
    approve_signature: Option<PathBuf>,
    /// Public keys of those who may approve, one a line.
    #[arg(long, value_name = "FILE", requires = "approve_signature")]
    approvers: Option<PathBuf>,
}

/// Approve a policy as the second person.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  sqlward audit keygen --name bob --out bob.key --public bob.pub
  sqlward policy approve rules/ --author ann --reason 'ticket 4711' --key bob.key > approval

Writes a signed note over the policy's hash, author and reason: `sqlward policy apply --approve-signature` wants all three the
same.")]
pub(crate) struct Approve {
    /// Policy files and folders.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Who will apply it.
    #[arg(long)]
    author: String,
    /// Why.
    #[arg(long)]
    reason: String,
    /// The private key of the one who approves (`sqlward audit keygen`).
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
}

impl Apply {
    /// Carry it out.
    pub(crate) fn run(self) -> Result<ExitCode> {
        with(&self.files, |policy| {
            let results = policy.run_tests()?;
            if !results.passed() {
                eprint!("{results}");
                eprintln!("not applied: its tests must pass");
                return Ok(ExitCode::FAILURE);
            }
            let change = self.change(policy)?;
            let version = Versions::of(&self.data).apply(policy, &change)?;
            println!("version {} is in force: {}", version.number, version.hash);
            Ok(ExitCode::SUCCESS)
        })
    }

    fn change(&self, policy: &Policy) -> Result<Change> {
        let mut change = Change {
            author: self.author.clone(),
            reason: self.reason.clone(),
            approved_by: None,
        };
        if let (Some(approval), Some(keys)) = (&self.approve_signature, &self.approvers) {
            let (approval, keys) = (read(approval)?, read_public_keys(keys)?);
            change.approved_by = Some(approved_by(policy, &change, (&approval, &keys))?);
        }
        Ok(change)
    }
}

impl Approve {
    /// Carry it out.
    pub(crate) fn run(self) -> Result<ExitCode> {
        with(&self.files, |policy| {
            let signer = Signer::read(&self.key)?;
            let note = approve(policy, &self.author, &self.reason, &signer);
            output::quietly(write!(std::io::stdout(), "{note}"))?;
            Ok(ExitCode::SUCCESS)
        })
    }
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("`{}`", path.display()))
}
