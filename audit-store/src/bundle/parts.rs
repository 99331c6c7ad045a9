//! The files of a bundle: written one by one and packed, unpacked and read line by line.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::BundleError;
use super::format::{FORMAT, MANIFEST, MEMBERS, Manifest, MemberNote};
use crate::chain::hex;

/// A file of a bundle in the making.
pub(super) struct Part {
    name: &'static str,
    path: PathBuf,
    file: BufWriter<File>,
    hasher: Sha256,
    lines: u64,
    bytes: u64,
}

impl Part {
    pub(super) fn new(dir: &Path, name: &'static str) -> Result<Self, BundleError> {
        let path = dir.join(name);
        let file = File::create(&path).map_err(BundleError::io(&path))?;
        Ok(Self {
            name,
            path,
            file: BufWriter::new(file),
            hasher: Sha256::new(),
            lines: 0,
            bytes: 0,
        })
    }

    /// Adds a line of JSON.
    pub(super) fn line(&mut self, value: &impl Serialize) -> Result<(), BundleError> {
        let text = serde_json::to_string(value)
            .map_err(|error| BundleError::Form(format!("{}: {error}", self.name)))?;
        self.text(&text)?;
        self.text("\n")
    }

    /// Adds text as it is.
    pub(super) fn text(&mut self, text: &str) -> Result<(), BundleError> {
        self.hasher.update(text.as_bytes());
        self.lines += text.bytes().filter(|byte| *byte == b'\n').count() as u64;
        self.bytes += text.len() as u64;
        self.file
            .write_all(text.as_bytes())
            .map_err(BundleError::io(&self.path))
    }

    /// Ends it.
    pub(super) fn finish(mut self) -> Result<MemberNote, BundleError> {
        self.file.flush().map_err(BundleError::io(&self.path))?;
        Ok(MemberNote {
            name: self.name.to_owned(),
            lines: self.lines,
            bytes: self.bytes,
            sha256: hex(&self.hasher.finalize()),
        })
    }
}

/// Packs the files in `dir` into a bundle. A bundle that is there already is replaced, at once.
pub(super) fn pack(dir: &Path, manifest: &Manifest, output: &Path) -> Result<(), BundleError> {
    let parent = output.parent().filter(|dir| !dir.as_os_str().is_empty());
    let beside = tempfile::NamedTempFile::new_in(parent.unwrap_or(Path::new(".")))
        .map_err(BundleError::io(output))?;
    let write = || -> std::io::Result<()> {
        let mut tar = tar::Builder::new(BufWriter::new(beside.as_file()));
        let text = serde_json::to_string_pretty(manifest)? + "\n";
        add(&mut tar, MANIFEST, text.len() as u64, text.as_bytes())?;
        for name in MEMBERS {
            let file = File::open(dir.join(name))?;
            let length = file.metadata()?.len();
            add(&mut tar, name, length, file)?;
        }
        tar.into_inner()?.into_inner()?.sync_all()
    };
    write().map_err(BundleError::io(output))?;
    beside
        .persist(output)
        .map(drop)
        .map_err(|error| BundleError::io(output)(error.error))
}

fn add(
    tar: &mut tar::Builder<impl Write>,
    name: &str,
    length: u64,
    content: impl Read,
) -> std::io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(length);
    header.set_mode(0o600);
    tar.append_data(&mut header, name, content)
}

/// The files of a bundle, in a directory.
pub(super) struct Files {
    dir: PathBuf,
}

/// A bundle, unpacked.
pub(super) struct Parts {
    _dir: TempDir,
    pub(super) files: Files,
    pub(super) manifest: Manifest,
    /// Files that are not what the manifest says.
    pub(super) changed: Vec<(&'static str, String)>,
}

impl Parts {
    /// Unpacks a bundle. Takes as much room as the bundle does.
    ///
    /// # Errors
    /// Where the file can't be read, or is no bundle.
    pub(super) fn unpack(path: &Path) -> Result<Self, BundleError> {
        let failed = || BundleError::io(path);
        let file = File::open(path).map_err(failed())?;
        let dir = tempfile::tempdir().map_err(failed())?;
        let mut archive = tar::Archive::new(BufReader::new(file));
        let entries = archive.entries().map_err(|_| no_archive())?.raw(true);
        let mut due = std::iter::once(MANIFEST).chain(MEMBERS);
        let mut found = Vec::new();
        let mut manifest = None;
        for entry in entries {
            let mut entry = entry.map_err(|_| cut_off())?;
            let plain = entry.header().entry_type() == tar::EntryType::Regular;
            let name = entry.path_bytes();
            let Some(expected) = due.next().filter(|due| plain && due.as_bytes() == &*name) else {
                let name = String::from_utf8_lossy(&name).into_owned();
                return Err(form(format!(
                    "`{name:.80}` does not belong into a bundle there"
                )));
            };
            drop(name);
            if expected == MANIFEST {
                let mut text = String::new();
                let read = (&mut entry).take(MOST_MANIFEST).read_to_string(&mut text);
                read.map_err(|_| cut_off())?;
                manifest = Some(read_manifest(&text)?);
                continue;
            }
            let path = dir.path().join(expected);
            found.push(unpack_one(&mut entry, expected, &path)?);
        }
        if let Some(missing) = due.next() {
            return Err(form(format!(
                "the bundle was cut off: `{missing}` is missing"
            )));
        }
        let manifest = manifest.ok_or_else(no_archive)?;
        let changed = differing(&manifest, &found);
        Ok(Self {
            files: Files::of(dir.path()),
            _dir: dir,
            manifest,
            changed,
        })
    }
}

impl Files {
    pub(super) fn of(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
        }
    }

    /// The whole text of a small file.
    pub(super) fn text(&self, name: &str) -> Result<String, BundleError> {
        let path = self.dir.join(name);
        let mut text = String::new();
        let file = File::open(&path).map_err(BundleError::io(&path))?;
        let read = file.take(MOST_TEXT).read_to_string(&mut text);
        read.map_err(|_| form(format!("{name} is no text")))?;
        Ok(text)
    }

    /// The lines of a file.
    pub(super) fn lines(&self, name: &'static str) -> Result<Lines, BundleError> {
        let path = self.dir.join(name);
        let file = File::open(&path).map_err(BundleError::io(&path))?;
        Ok(Lines {
            name,
            file: BufReader::new(file),
            line: String::new(),
            number: 0,
        })
    }
}

/// The lines of a file of a bundle.
pub(super) struct Lines {
    name: &'static str,
    file: BufReader<File>,
    line: String,
    number: u64,
}

impl Lines {
    /// The next line; `None` at the end.
    pub(super) fn next_text(&mut self) -> Result<Option<&str>, BundleError> {
        self.line.clear();
        self.number += 1;
        let mut limited = (&mut self.file).take(MOST_LINE);
        let read = limited.read_line(&mut self.line);
        if read.map_err(|_| self.wrong("is no text"))? == 0 {
            return Ok(None);
        }
        match self.line.strip_suffix('\n') {
            Some(line) => Ok(Some(line)),
            None => Err(self.wrong("is cut off or too long")),
        }
    }

    /// The next line, read; `None` at the end.
    pub(super) fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>, BundleError> {
        let Some(text) = self.next_text()? else {
            return Ok(None);
        };
        let read = serde_json::from_str(text);
        read.map(Some)
            .map_err(|error| self.wrong(&format!("can't be read: {error}")))
    }

    pub(super) fn wrong(&self, what: &str) -> BundleError {
        form(format!("{}: line {} {what}", self.name, self.number))
    }
}

fn unpack_one(
    from: &mut impl Read,
    name: &'static str,
    to: &Path,
) -> Result<(&'static str, MemberNote), BundleError> {
    let mut file = BufWriter::new(File::create(to).map_err(BundleError::io(to))?);
    let (mut hasher, mut lines, mut bytes) = (Sha256::new(), 0, 0);
    let mut buffer = vec![0; 1 << 16];
    loop {
        let length = from.read(&mut buffer).map_err(|_| cut_off())?;
        let Some(read) = buffer.get(..length).filter(|read| !read.is_empty()) else {
            break;
        };
        hasher.update(read);
        lines += read.iter().filter(|byte| **byte == b'\n').count() as u64;
        bytes += length as u64;
        file.write_all(read).map_err(BundleError::io(to))?;
    }
    file.flush().map_err(BundleError::io(to))?;
    let note = MemberNote {
        name: name.to_owned(),
        lines,
        bytes,
        sha256: hex(&hasher.finalize()),
    };
    Ok((name, note))
}

fn read_manifest(text: &str) -> Result<Manifest, BundleError> {
    let manifest: Manifest = serde_json::from_str(text)
        .map_err(|error| form(format!("{MANIFEST} can't be read: {error}")))?;
    if manifest.format == FORMAT {
        Ok(manifest)
    } else {
        let found = &manifest.format;
        Err(form(format!(
            "its format is `{found:.80}`; this program knows `{FORMAT}`"
        )))
    }
}

fn differing(
    manifest: &Manifest,
    found: &[(&'static str, MemberNote)],
) -> Vec<(&'static str, String)> {
    let mut changed = Vec::new();
    for (name, is) in found {
        let what = match manifest.files.iter().find(|said| said.name == *name) {
            None => "the manifest does not name it".to_owned(),
            Some(said) if said == is => continue,
            Some(said) if said.lines != is.lines => {
                format!(
                    "it has {} lines, the manifest says {}",
                    is.lines, said.lines
                )
            }
            Some(_) => "its SHA-256 is not what the manifest says".to_owned(),
        };
        changed.push((*name, what));
    }
    changed
}

pub(super) fn form(what: impl Into<String>) -> BundleError {
    BundleError::Form(what.into())
}

fn no_archive() -> BundleError {
    form("no bundle: it is no tar archive that begins with a manifest")
}

fn cut_off() -> BundleError {
    form("the bundle was cut off, or is no tar archive")
}

const MOST_MANIFEST: u64 = 1 << 20;
const MOST_TEXT: u64 = 16 << 20;

/// How long a line can be: a block whose last entry is as large as entries are.
const MOST_LINE: u64 = 512 << 20;
