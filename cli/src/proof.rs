//! `sqlward audit keygen`, `sqlward audit export` and `sqlward audit verify`.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use sqlward_audit_store::{
    CHECKPOINTS,
    bundle::{self, Exported, Range, export},
    clickhouse::Target,
    embedded::{ChainReport, Finding, Scope, Trust},
    proof::{Checkpoint, Signer, read_public_keys, read_witnessed},
    record::SessionId,
};

use crate::{asking, audit::archive, source::open_clickhouse, values::time};

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

/// Write a part of a store into a file that proves itself.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sqlward audit export --data ./data --from 2026-11-01 --to 2026-11-08 --output november.bundle
  sqlward audit export --data ./data --from 24h --session 1763880000000001 --output session.bundle
  sqlward audit verify november.bundle --public-key signing.pub

The bundle is a tar archive: records as JSON lines, the journal's entries that they come from, and the signed checkpoint
over them; docs/audit-bundle.md describes it. It reaches as far as the last checkpoint. Entries are proved by blocks, and
blocks go whole: with --session, its records are of that session only, but its blocks hold what others said then, too.
It holds what the store holds, texts and parameters included: give it to those who may see these.")]
pub(crate) struct Export {
    /// The proxy's data folder.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// From this time on.
    #[arg(long, value_parser = time)]
    from: u64,
    /// Before this time; the last checkpoint, if it is not given.
    #[arg(long, value_parser = time)]
    to: Option<u64>,
    /// Only the records of this session.
    #[arg(long)]
    session: Option<SessionId>,
    /// The bundle; one that is there is replaced.
    #[arg(long, value_name = "BUNDLE")]
    output: PathBuf,
}

impl Export {
    /// Carry it out.
    pub(crate) fn run(self) -> Result<ExitCode> {
        let range = Range {
            from_us: self.from,
            to_us: self.to.unwrap_or(u64::MAX),
            session: self.session,
        };
        let archive = archive(&self.data)?;
        ensure!(
            !archive.ships_elsewhere()?,
            "the records of `{}` are on ClickHouse, and bundles are made of files: ask there with \
             `sqlward audit search --store URL`",
            self.data.display()
        );
        let Exported {
            manifest,
            checkpoint,
            records: [statements, steps, administration],
        } = export(&archive, range, &self.output)?;
        // A bundle that nobody knows of must not leave.
        let rows = usize::try_from(statements + steps + administration).unwrap_or(usize::MAX);
        if let Err(error) = asking::note(&self.data, rows) {
            std::fs::remove_file(&self.output)?;
            return Err(error);
        }
        if self.to.is_some_and(|to| manifest.to_us < to) {
            println!("nothing behind {} is signed yet", manifest.to);
        }
        println!(
            "{statements} statements, {steps} steps of sessions, {administration} administrative records from {} to {}, \
             proved by {checkpoint}",
            manifest.from, manifest.to
        );
        Ok(ExitCode::SUCCESS)
    }
}

/// Verify a store, or a bundle of one.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sqlward audit verify --data ./data --public-key signing.pub
  sqlward audit verify --data ./data --public-key signing.pub --witness /mnt/witness/checkpoints
  sqlward audit verify --data ./data --public-key signing.pub --from 2026-11-01 --to 2026-11-08
  sqlward audit verify november.bundle --public-key signing.pub
  sqlward audit verify --store clickhouse://auditor@ch.example.org/audit --public-key signing.pub

Exit code 0: intact. 1: something is wrong, and each finding is named. Without --public-key signatures are not checked, and
who can write the data folder can rewrite it whole. A store that is rolled back whole to an older copy is found only
against checkpoints that are kept elsewhere: --witness. With --from or --to, what days outside of the range say is not
looked at; the tree and its checkpoints always are, whole. A bundle must cover --from and --to. With --store, what each node's
proxy has shipped is read anew, block by block, into temporary files ($TMPDIR), and each row is compared with it.")]
pub(crate) struct Verify {
    /// A bundle that `sqlward audit export` wrote.
    #[arg(value_name = "BUNDLE", required_unless_present_any = ["data", "store"])]
    bundle: Option<PathBuf>,
    /// The proxy's data folder.
    #[arg(long, value_name = "DIR", conflicts_with = "bundle")]
    data: Option<PathBuf>,
    /// A ClickHouse store that proxies ship to; the password is in SQLWARD_STORE_PASSWORD.
    #[arg(long, value_name = "URL", conflicts_with_all = ["bundle", "data", "from", "to"])]
    store: Option<Target>,
    /// Only what this node's proxy has shipped.
    #[arg(long, requires = "store")]
    node: Option<u16>,
    /// Public keys that are trusted, one a line (as `keygen` prints them).
    #[arg(long, value_name = "FILE")]
    public_key: Option<PathBuf>,
    /// Checkpoints that a witness has kept, one behind the other, or a system log that has some.
    #[arg(long, value_name = "FILE")]
    witness: Vec<PathBuf>,
    /// Only the days (UTC) from this time on; a bundle must begin there or before.
    #[arg(long, value_parser = time)]
    from: Option<u64>,
    /// Only the days (UTC) before this time; a bundle must end there or behind.
    #[arg(long, value_parser = time)]
    to: Option<u64>,
}

impl Verify {
    /// Carry it out.
    pub(crate) fn run(self) -> Result<ExitCode> {
        let keys = match &self.public_key {
            Some(path) => read_public_keys(path)?,
            None => Vec::new(),
        };
        let mut witnessed = Vec::new();
        for path in &self.witness {
            let kept = witness(path)?.into_iter();
            witnessed.extend(kept.map(|checkpoint| (path.clone(), checkpoint)));
        }
        let trust = Trust {
            keys,
            witnessed,
            key_records: Vec::new(),
        };
        match (&self.bundle, &self.data, &self.store) {
            (Some(bundle), ..) => self.bundle(bundle, &trust),
            (None, Some(data), _) => self.folder(data, trust),
            (None, None, Some(store)) => self.clickhouse(store, &trust),
            (None, None, None) => bail!("give --data, --store or a bundle"),
        }
    }

    fn clickhouse(&self, store: &Target, trust: &Trust) -> Result<ExitCode> {
        let opened = open_clickhouse(store)?;
        let mut nodes = opened.nodes()?;
        if let Some(node) = self.node {
            nodes.retain(|other| *other == node);
            if nodes.is_empty() {
                println!("{store}: node {node} has no records");
                return Ok(ExitCode::FAILURE);
            }
        }
        if nodes.is_empty() {
            println!("{store}: no proxy has shipped anything");
            return Ok(ExitCode::FAILURE);
        }
        let mut intact = true;
        for node in nodes {
            let report = opened.verify(node, trust)?;
            println!(
                "node {node}: {}",
                if report.is_intact() {
                    "intact"
                } else {
                    "not as it should be"
                }
            );
            tell(&report, trust);
            intact &= report.is_intact();
        }
        Ok(if intact {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }

    fn folder(&self, data: &Path, mut trust: Trust) -> Result<ExitCode> {
        let archive = archive(data)?;
        ensure!(
            !archive.ships_elsewhere()?,
            "`{}` only notes how far its proxy has shipped; the records are on ClickHouse: verify them with \
             `sqlward audit verify --store URL`, where URL is one of [audit.store]",
            data.display()
        );
        let own = data.join(CHECKPOINTS);
        let kept = own.exists().then(|| witness(&own)).transpose();
        let damage = kept
            .as_ref()
            .err()
            .map(|error| format!("the checkpoints' file was changed: {error:#}"));
        let kept = kept.unwrap_or_default();
        let missing = kept.is_none() && damage.is_none();
        let kept = kept.into_iter().flatten();
        trust
            .witnessed
            .extend(kept.map(|checkpoint| (own.clone(), checkpoint)));
        let scope = Scope::span(self.from, self.to);
        let mut report = archive.verify_against(&trust, &scope)?;
        let missing = missing && report.checkpoints > 0;
        let missing = missing.then(|| "the checkpoints' file is missing".to_owned());
        report
            .findings
            .extend(damage.or(missing).map(|what| Finding {
                file: own,
                lane: None,
                seq: None,
                what,
            }));
        tell(&report, &trust);
        Ok(exit(&report))
    }

    fn bundle(&self, bundle: &Path, trust: &Trust) -> Result<ExitCode> {
        let report = bundle::verify(bundle, trust, (self.from, self.to))?;
        if let Some(manifest) = &report.manifest {
            let session = manifest
                .session
                .map(|session| format!(", session {session}"));
            println!(
                "records of {} from {} to {}{}",
                manifest.origin,
                manifest.from,
                manifest.to,
                session.unwrap_or_default()
            );
        }
        for note in &report.notes {
            println!("note: {note}");
        }
        let [statements, steps, administration] = report.records;
        println!(
            "{statements} statements, {steps} steps of sessions, {administration} administrative records"
        );
        tell(&report.chain, trust);
        Ok(exit(&report.chain))
    }
}

fn tell(report: &ChainReport, trust: &Trust) {
    for finding in &report.findings {
        let place = match (finding.lane, finding.seq) {
            (Some(lane), Some(seq)) => format!(": lane {lane}, entry {seq}"),
            (Some(lane), None) => format!(": lane {lane}"),
            (None, _) => String::new(),
        };
        println!("{}{place}: {}", finding.file.display(), finding.what);
    }
    match &report.signed {
        Some(up_to) if !trust.keys.is_empty() => println!(
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
        report.findings.len()
    );
}

fn exit(report: &ChainReport) -> ExitCode {
    if report.is_intact() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn witness(path: &Path) -> Result<Vec<Checkpoint>> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("`{}` can't be read", path.display()))?;
    read_witnessed(&text).with_context(|| format!("`{}`", path.display()))
}
