//! The versions of a policy: each kept as it was applied, with its hash, its author and reason; one of them current.
//!
//! ```text
//! <data>/policy/0001/000-app.toml …   the files, in the order in which they were read
//! <data>/policy/0001/version.json     Version
//! <data>/policy/log.jsonl             an Activation a line
//! <data>/policy/current -> 0001       what the proxy loads, where its configuration says so
//! ```
//! A version is complete before `current` names it, and never changes after that: whoever loads `current` sees one or the
//! other, whole.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use sqlward_audit_store::proof::{KeyError, Note, NoteError, PublicKey, Signer};
use sqlward_policy::{Policy, Problems};
use thiserror::Error;

use crate::{record::hex, shared::wall_us};

/// The folder below the data folder.
const FOLDER: &str = "policy";
/// The link to the version in force.
const CURRENT: &str = "current";
const MANIFEST: &str = "version.json";
const LOG: &str = "log.jsonl";

/// The versions of one data folder.
#[derive(Clone, Debug)]
pub struct Versions {
    folder: PathBuf,
}

/// Who changes what is in force, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Who.
    pub author: String,
    /// Why.
    pub reason: String,
    /// The label of the key of the second person who approved it.
    pub approved_by: Option<String>,
}

/// A policy as it was applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// Its number, from 1.
    pub number: u32,
    /// SHA-256 over its texts, in hexadecimal: what reloads record.
    pub hash: String,
    /// When it was applied, RFC 3339.
    pub at: String,
    /// By whom, and why.
    #[serde(flatten)]
    pub change: Change,
    /// Its files, as they were called.
    pub files: Vec<String>,
}

/// A version that came into force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Activation {
    /// When, RFC 3339.
    pub at: String,
    /// `apply` or `rollback`.
    pub action: String,
    /// Which.
    pub version: u32,
    /// Its hash.
    pub hash: String,
    /// By whom, and why.
    #[serde(flatten)]
    pub change: Change,
}

/// A version and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The version.
    pub version: Version,
    /// Whether it is in force.
    pub current: bool,
    /// Whether its files still have its hash.
    pub intact: bool,
}

/// Why versions can't be read or made.
#[derive(Debug, Error)]
pub enum VersionError {
    /// A file can't be read or written.
    #[error("`{path}`: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A manifest or the log is not what was written.
    #[error("`{0}` is damaged: {1}")]
    Damaged(PathBuf, String),
    /// There is no such version.
    #[error("there is no version {0}")]
    Unknown(u32),
    /// The files of a version were changed.
    #[error("version {0} does not have its hash any more: its files were changed")]
    Changed(u32),
    /// The policy has errors.
    #[error("{0}")]
    Policy(Problems),
    /// A key can't be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The approval is no signed note.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// The approval is of something else.
    #[error("the approval is not of this policy, author and reason")]
    OtherApproval,
    /// Nobody who may approve has signed.
    #[error("no key of those who may approve has signed it")]
    NotApproved,
    /// The author has approved.
    #[error("`{0}` is the author: a second person must approve")]
    SamePerson(String),
    /// An author or a reason is missing or no line of text.
    #[error("`{0}` must be one line of text")]
    Line(&'static str),
}

impl Versions {
    /// The versions of a data folder.
    #[must_use]
    pub fn of(data: &Path) -> Self {
        Self {
            folder: data.join(FOLDER),
        }
    }

    /// The versions that a path of a policy belongs to, if it is `current` of some.
    pub(crate) fn behind(path: &Path) -> Option<Self> {
        let is_current = path.file_name().is_some_and(|name| name == CURRENT);
        let folder = path.parent().filter(|_| is_current)?;
        folder.join(LOG).is_file().then(|| Self {
            folder: folder.to_owned(),
        })
    }

    /// What the proxy's configuration names as its policy.
    #[must_use]
    pub fn current_path(&self) -> PathBuf {
        self.folder.join(CURRENT)
    }

    /// Keeps a policy as a new version, and puts it into force.
    ///
    /// # Errors
    /// Files can't be written, or the change does not say who and why.
    pub fn apply(&self, policy: &Policy, change: &Change) -> Result<Version, VersionError> {
        let _lock = self.lock(change)?;
        let versions = self.list()?;
        let number = versions
            .iter()
            .map(|kept| kept.version.number)
            .max()
            .unwrap_or(0)
            + 1;
        let version = Version {
            number,
            hash: hex(&policy.hash),
            at: now(),
            change: change.clone(),
            files: policy
                .sources
                .iter()
                .map(|source| source.name.to_string())
                .collect(),
        };
        let folder = self.place(number);
        let unfinished = folder.with_extension("new");
        if unfinished.exists() {
            fs::remove_dir_all(&unfinished).map_err(io_error(&unfinished))?;
        }
        fs::create_dir(&unfinished).map_err(io_error(&unfinished))?;
        for (at, source) in policy.sources.iter().enumerate() {
            let name = Path::new(&*source.name).file_name().unwrap_or_default();
            let path = unfinished.join(format!("{at:03}-{}", name.to_string_lossy()));
            let path = if path.extension().is_some_and(|ext| ext == "toml") {
                path
            } else {
                path.with_added_extension("toml")
            };
            write(&path, source.text.as_bytes())?;
        }
        let manifest = unfinished.join(MANIFEST);
        write(&manifest, &json(&version, &manifest)?)?;
        fs::rename(&unfinished, &folder).map_err(io_error(&folder))?;
        self.activate(&version, "apply", change)?;
        Ok(version)
    }

    /// Puts a version into force again.
    ///
    /// # Errors
    /// There is no such version, it was changed, it can't be loaded any more, or files can't be written.
    pub fn rollback(&self, number: u32, change: &Change) -> Result<Version, VersionError> {
        let _lock = self.lock(change)?;
        let version = self.version(number)?;
        let policy = self.load(number)?;
        if hex(&policy.hash) != version.hash {
            return Err(VersionError::Changed(number));
        }
        self.activate(&version, "rollback", change)?;
        Ok(version)
    }

    /// Every version, the oldest first.
    ///
    /// # Errors
    /// A manifest can't be read.
    pub fn list(&self) -> Result<Vec<Kept>, VersionError> {
        let current = self.current()?.map(|activation| activation.version);
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.map_err(io_error(&self.folder))?,
        };
        let mut all = Vec::new();
        for entry in entries {
            let entry = entry.map_err(io_error(&self.folder))?;
            let Some(number) = entry
                .file_name()
                .to_str()
                .and_then(|name| name.parse().ok())
            else {
                continue;
            };
            let version = self.version(number)?;
            let intact = self
                .load(number)
                .is_ok_and(|policy| hex(&policy.hash) == version.hash);
            all.push(Kept {
                current: current == Some(number),
                intact,
                version,
            });
        }
        all.sort_by_key(|kept| kept.version.number);
        Ok(all)
    }

    /// What was put into force, the newest last.
    ///
    /// # Errors
    /// The log can't be read.
    pub fn log(&self) -> Result<Vec<Activation>, VersionError> {
        let path = self.folder.join(LOG);
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.map_err(io_error(&path))?,
        };
        let read = |line: &str| {
            serde_json::from_str(line)
                .map_err(|error| VersionError::Damaged(path.clone(), error.to_string()))
        };
        text.lines().map(read).collect()
    }

    /// The activation that holds; none where `current` names nothing.
    ///
    /// # Errors
    /// The log or the link can't be read.
    pub fn current(&self) -> Result<Option<Activation>, VersionError> {
        let path = self.current_path();
        let target = match fs::read_link(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(io_error(&path))?,
        };
        let number = target.to_str().and_then(|name| name.parse::<u32>().ok());
        let log = self.log()?;
        Ok(log
            .into_iter()
            .rev()
            .find(|one| Some(one.version) == number))
    }

    /// The policy of a version that has this hash.
    ///
    /// # Errors
    /// A manifest can't be read.
    pub fn with_hash(&self, hash: &str) -> Result<Option<Policy>, VersionError> {
        let found = self
            .list()?
            .into_iter()
            .find(|kept| kept.version.hash == hash && kept.intact);
        found.map(|kept| self.load(kept.version.number)).transpose()
    }

    fn load(&self, number: u32) -> Result<Policy, VersionError> {
        sqlward_policy::load(&[self.place(number)]).map_err(VersionError::Policy)
    }

    fn version(&self, number: u32) -> Result<Version, VersionError> {
        let path = self.place(number).join(MANIFEST);
        let text = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(VersionError::Unknown(number));
            }
            other => other.map_err(io_error(&path))?,
        };
        serde_json::from_slice(&text)
            .map_err(|error| VersionError::Damaged(path, error.to_string()))
    }

    fn place(&self, number: u32) -> PathBuf {
        self.folder.join(format!("{number:04}"))
    }

    /// Keeps others from changing what is in force for as long as the answer lives.
    fn lock(&self, change: &Change) -> Result<File, VersionError> {
        for (name, text) in [("author", &change.author), ("reason", &change.reason)] {
            if text.trim().is_empty() || text.chars().any(char::is_control) {
                return Err(VersionError::Line(name));
            }
        }
        fs::create_dir_all(&self.folder).map_err(io_error(&self.folder))?;
        let path = self.folder.join("lock");
        let lock = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(io_error(&path))?;
        flock(&lock, FlockOperation::LockExclusive)
            .map_err(|error| io_error(&path)(error.into()))?;
        Ok(lock)
    }

    /// The log first: what is in force is always told in it.
    fn activate(
        &self,
        version: &Version,
        action: &str,
        change: &Change,
    ) -> Result<(), VersionError> {
        let path = self.folder.join(LOG);
        let activation = Activation {
            at: now(),
            action: action.to_owned(),
            version: version.number,
            hash: version.hash.clone(),
            change: change.clone(),
        };
        let mut line = json(&activation, &path)?;
        line.push(b'\n');
        let mut log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(io_error(&path))?;
        log.write_all(&line)
            .and_then(|()| log.sync_all())
            .map_err(io_error(&path))?;
        let (current, next) = (self.current_path(), self.folder.join("next"));
        match fs::remove_file(&next) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(io_error(&next)(error));
            }
            Ok(()) | Err(_) => {}
        }
        symlink(format!("{:04}", version.number), &next).map_err(io_error(&next))?;
        fs::rename(&next, &current).map_err(io_error(&current))?;
        File::open(&self.folder)
            .and_then(|folder| folder.sync_all())
            .map_err(io_error(&self.folder))
    }
}

/// The version in force that a configuration's policy paths name.
pub(crate) fn in_force(paths: &[PathBuf]) -> Option<Activation> {
    let versions = paths.iter().find_map(|path| Versions::behind(path))?;
    versions
        .current()
        .inspect_err(|error| tracing::error!(%error, "the log of policy versions can't be read"))
        .ok()
        .flatten()
}

/// Policy paths with `current` replaced by what it names now: all files that are read then are of one version.
pub(crate) fn resolved(paths: &[PathBuf]) -> Vec<PathBuf> {
    let resolve = |path: &PathBuf| match Versions::behind(path) {
        Some(_) => fs::canonicalize(path).unwrap_or_else(|_| path.clone()),
        None => path.clone(),
    };
    paths.iter().map(resolve).collect()
}

impl Activation {
    /// What the administration records of it.
    pub(crate) fn told(&self) -> String {
        let Change {
            reason,
            approved_by,
            ..
        } = &self.change;
        let approved = approved_by
            .as_ref()
            .map_or(String::new(), |key| format!(", approved by {key}"));
        format!(
            "policy {}: version {}, {}{approved}: {reason}",
            self.action, self.version, self.hash
        )
    }
}

/// What a second person signs: the policy, and who applies it why.
#[must_use]
pub fn approval_text(policy: &Policy, author: &str, reason: &str) -> String {
    format!(
        "sqlward policy approval\nhash {}\nauthor {author}\nreason {reason}\n",
        hex(&policy.hash)
    )
}

/// Signs a policy as the second person.
#[must_use]
pub fn approve(policy: &Policy, author: &str, reason: &str, signer: &Signer) -> Note {
    Note::sign(approval_text(policy, author, reason), signer)
}

/// The label of the key that has approved a policy.
///
/// # Errors
/// The approval is of something else, or of nobody who may give it, or of the author.
pub fn approved_by(
    policy: &Policy,
    change: &Change,
    (approval, keys): (&str, &[PublicKey]),
) -> Result<String, VersionError> {
    let note = Note::parse(approval)?;
    if note.text != approval_text(policy, &change.author, &change.reason) {
        return Err(VersionError::OtherApproval);
    }
    let key = keys.iter().find(|key| note.is_signed_by(key));
    let key = key.ok_or(VersionError::NotApproved)?;
    if key.name() == change.author {
        return Err(VersionError::SamePerson(change.author.clone()));
    }
    Ok(key.label())
}

fn now() -> String {
    jiff::Timestamp::from_microsecond(wall_us().cast_signed())
        .map_or_else(|_| String::new(), |at| at.to_string())
}

fn json(value: &impl Serialize, path: &Path) -> Result<Vec<u8>, VersionError> {
    serde_json::to_vec(value)
        .map_err(|error| VersionError::Damaged(path.to_owned(), error.to_string()))
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), VersionError> {
    let written = File::create_new(path).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.map_err(io_error(path))
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> VersionError {
    let path = path.to_owned();
    move |source| VersionError::Io { path, source }
}
