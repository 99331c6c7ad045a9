//! Finds and reads the files of a policy.

use std::fs;

use hashbrown::HashSet;
use std::path::{Path, PathBuf};

use super::compile;
use crate::file::includes;
use crate::policy::Policy;
use crate::problem::{Problem, Problems, Source};

/// Loads files and folders; of a folder, every `*.toml` beneath it, sorted by path.
///
/// A process that loads more than once gives each policy another generation, with [`Policy::with_generation`].
///
/// # Errors
/// Everything that is wrong, at once.
pub fn load(paths: &[PathBuf]) -> Result<Policy, Problems> {
    let mut loader = Loader::default();
    for path in paths {
        loader.add(path);
    }
    let Loader {
        sources,
        mut problems,
        ..
    } = loader;
    if sources.is_empty() && !problems.is_empty() {
        return Err(Problems(problems));
    }
    match compile(sources) {
        Ok(policy) if problems.is_empty() => Ok(policy),
        Ok(_) => Err(Problems(problems)),
        Err(Problems(more)) => {
            problems.extend(more);
            Err(Problems(problems))
        }
    }
}

/// What has been read so far.
#[derive(Default)]
struct Loader {
    seen: HashSet<PathBuf>,
    sources: Vec<(String, String)>,
    problems: Vec<Problem>,
}

impl Loader {
    /// Reads a file or the files of a folder.
    fn add(&mut self, path: &Path) {
        let mut files = Vec::new();
        let before = self.problems.len();
        find(path, 0, &mut files, &mut self.problems);
        if files.is_empty() && self.problems.len() == before {
            self.problems
                .push(unreadable_path(path, "the folder has no `*.toml`"));
        }
        for file in files {
            self.read(&file);
        }
    }

    /// Reads a file, behind those that it includes; each file once, also if files include each other.
    fn read(&mut self, path: &Path) {
        let identity = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        if self.seen.len() >= MAX_FILES {
            let message = format!("there are more than {MAX_FILES} files");
            if self.seen.len() == MAX_FILES && self.seen.insert(identity) {
                self.problems.push(unreadable_path(path, &message));
            }
            return;
        }
        if !self.seen.insert(identity) {
            return;
        }
        let text = match fs::read(path).map(String::from_utf8) {
            Ok(Ok(text)) => text,
            Ok(Err(_)) => {
                return self
                    .problems
                    .push(unreadable_path(path, "the file is not UTF-8"));
            }
            Err(error) => {
                return self
                    .problems
                    .push(unreadable_path(path, &error.to_string()));
            }
        };
        let name = path.display().to_string();
        for (bytes, wanted) in includes(&text) {
            let target = path.parent().unwrap_or(Path::new("")).join(&wanted);
            if let Err(error) = fs::metadata(&target) {
                let source = Source {
                    name: name.as_str().into(),
                    text: text.as_str().into(),
                };
                let message = format!("`{wanted}` cannot be included: {error}");
                self.problems.push(Problem::at(&source, bytes, message));
                continue;
            }
            self.add(&target);
        }
        self.sources.push((name, text));
    }
}

/// The most files that a policy may have.
const MAX_FILES: usize = 4096;

/// The deepest folder that is looked into.
const MAX_FOLDER_DEPTH: usize = 16;

fn find(path: &Path, depth: usize, files: &mut Vec<PathBuf>, problems: &mut Vec<Problem>) {
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) => return problems.push(unreadable_path(path, &error.to_string())),
    };
    if !metadata.is_dir() {
        if depth == 0
            || path
                .extension()
                .is_some_and(|extension| extension == "toml")
        {
            files.push(path.to_owned());
        }
        return;
    }
    if depth >= MAX_FOLDER_DEPTH {
        return problems.push(unreadable_path(path, "folders are nested too deep"));
    }
    let mut entries = match fs::read_dir(path).and_then(Iterator::collect::<Result<Vec<_>, _>>) {
        Ok(entries) => entries,
        Err(error) => return problems.push(unreadable_path(path, &error.to_string())),
    };
    entries.sort_by_key(fs::DirEntry::path);
    for entry in entries {
        find(&entry.path(), depth + 1, files, problems);
    }
}

fn unreadable_path(path: &Path, why: &str) -> Problem {
    let source = Source {
        name: path.display().to_string().into(),
        text: "".into(),
    };
    Problem::at(&source, 0..0, format!("cannot be read: {why}"))
}
