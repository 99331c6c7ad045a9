//! What auditors ask, on its way into the record.
//!
//! Who asks is another process than the one that writes the journal, and often another user; the proxy may not even run.
//! So each question is a file of its own in the `inbox` of the data folder, on the disk before it is answered. The proxy
//! takes it into its lane of the administration, at its start and every second: from then on it is chained, stored and
//! verified like every other record. Who asked is the owner of the file, which no other user can forge.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::time::now_us;

/// The name of the folder below the data folder.
const INBOX: &str = "inbox";

/// Who may do what there: everybody may add, nobody but the owner of the folder may list or remove others' files.
const MODE: u32 = 0o1733;

/// How long a question may be.
const MAX_BYTES: u64 = 64 << 10;

/// A question of an auditor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// When it was asked, µs since 1970.
    pub at_us: u64,
    /// What was asked: the command and all it was told.
    pub what: String,
    /// How many rows the answer had.
    pub rows: u64,
    /// What kind of thing was done.
    #[serde(default)]
    pub deed: Deed,
}

/// What somebody does to the record from the command line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Deed {
    /// Ask.
    #[default]
    Question,
    /// Place a legal hold.
    Hold,
    /// Release one.
    HoldRelease,
}

/// A question that waits for the record.
#[derive(Debug)]
pub struct Noted {
    /// Its file.
    pub path: PathBuf,
    /// Who asked: the number of the user whose file it is.
    pub uid: u32,
    /// What was asked; `None` where the file is no question.
    pub question: Option<Question>,
}

/// Makes the inbox of a data folder, open for the questions of other users.
///
/// # Errors
/// The folder can't be made.
pub fn open(data: &Path) -> io::Result<()> {
    let folder = data.join(INBOX);
    match DirBuilder::new().mode(MODE).create(&folder) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error),
    }
    // Not what the umask left of it.
    fs::set_permissions(&folder, std::os::unix::fs::PermissionsExt::from_mode(MODE))
}

/// Notes a question; it is on the disk when this returns.
///
/// # Errors
/// It can't be written: then it must not be answered.
pub fn note(data: &Path, what: &str, rows: u64) -> io::Result<()> {
    note_deed(data, Deed::Question, what, rows)
}

/// Notes what is done; it is on the disk when this returns.
///
/// # Errors
/// It can't be written: then it must not be done.
pub fn note_deed(data: &Path, deed: Deed, what: &str, rows: u64) -> io::Result<()> {
    let folder = data.join(INBOX);
    if !folder.is_dir() {
        open(data)?;
    }
    let question = Question {
        at_us: now_us(),
        what: shorten(what),
        rows,
        deed,
    };
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let name = format!("{:032}-{}", since.as_nanos(), std::process::id());
    let (open, done) = (
        folder.join(format!("{name}.new")),
        folder.join(format!("{name}.json")),
    );
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o644)
        .open(&open)?;
    file.write_all(&serde_json::to_vec(&question)?)?;
    file.sync_all()?;
    fs::rename(&open, &done)?;
    // A folder that can't be listed can't be synced either: the file then is as safe as the file system makes it.
    if let Ok(folder) = File::open(&folder) {
        folder.sync_all()?;
    }
    Ok(())
}

/// The questions that wait, the oldest first; at most `most`.
///
/// # Errors
/// The folder can't be read.
pub fn waiting(data: &Path, most: usize) -> io::Result<Vec<Noted>> {
    let folder = data.join(INBOX);
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut paths: Vec<PathBuf> = entries
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|end| end == "json"))
        .collect();
    paths.sort();
    paths.truncate(most);
    Ok(paths.into_iter().filter_map(read).collect())
}

/// A file of the inbox. Whose it is says the file system; what it says is anybody's word.
fn read(path: PathBuf) -> Option<Noted> {
    // Neither a link to elsewhere nor a pipe that never ends.
    let told = fs::symlink_metadata(&path).ok()?;
    let mut question = None;
    if told.is_file() && told.len() <= MAX_BYTES {
        let mut bytes = Vec::new();
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
            .open(&path);
        if let Ok(file) = file
            && file.take(MAX_BYTES).read_to_end(&mut bytes).is_ok()
        {
            question = serde_json::from_slice(&bytes).ok();
        }
    }
    Some(Noted {
        path,
        uid: told.uid(),
        question,
    })
}

/// What is longer than a record may be keeps its beginning.
fn shorten(what: &str) -> String {
    const MOST: usize = 16 << 10;
    match what.char_indices().find(|(at, _)| *at >= MOST) {
        Some((at, _)) => format!(
            "{}… ({} bytes)",
            what.get(..at).unwrap_or_default(),
            what.len()
        ),
        None => what.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_noted_waits_in_order() {
        let data = tempfile::tempdir().unwrap();
        assert!(waiting(data.path(), 10).unwrap().is_empty());
        open(data.path()).unwrap();
        note(data.path(), "audit search --user app", 3).unwrap();
        note(data.path(), &"x".repeat(100_000), 0).unwrap();
        fs::write(data.path().join("inbox/9.json"), "{}").unwrap();
        fs::write(data.path().join("inbox/8.new"), "{}").unwrap();
        std::os::unix::fs::symlink("/etc/passwd", data.path().join("inbox/99.json")).unwrap();
        let found = waiting(data.path(), 10).unwrap();
        let told: Vec<_> = found.iter().map(|one| one.question.as_ref()).collect();
        let [Some(first), Some(long), None, None] = told.as_slice() else {
            panic!("{found:?}");
        };
        assert_eq!(
            (first.what.as_str(), first.rows),
            ("audit search --user app", 3)
        );
        assert!(long.what.len() < 20_000 && long.what.ends_with("(100000 bytes)"));
        assert!(
            found
                .iter()
                .all(|one| one.uid == rustix::process::getuid().as_raw())
        );
        assert_eq!(waiting(data.path(), 1).unwrap().len(), 1);
    }
}
