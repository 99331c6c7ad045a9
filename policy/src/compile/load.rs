//! Finds and reads the files of a policy.

use std::fs;
use std::path::{Path, PathBuf};

use super::compile;
use crate::policy::Policy;
use crate::problem::{Problem, Problems, Source};

/// Loads files and folders; of a folder, every `*.toml` beneath it, sorted by path.
///
/// A process that loads more than once gives each policy another generation, with [`Policy::with_generation`].
///
/// # Errors
/// Everything that is wrong, at once.
pub fn load(paths: &[PathBuf]) -> Result<Policy, Problems> {
    let mut problems = Vec::new();
    let mut files = Vec::new();
    for path in paths {
        let before = files.len();
        find(path, 0, &mut files, &mut problems);
        if files.len() == before && problems.is_empty() {
            problems.push(unreadable_path(path, "the folder has no `*.toml`"));
        }
    }
    let mut seen = Vec::new();
    let mut sources = Vec::new();
    for path in files {
        let identity = fs::canonicalize(&path).unwrap_or_else(|_| path.clone());
        if seen.contains(&identity) {
            continue;
        }
        seen.push(identity);
        match fs::read(&path).map(String::from_utf8) {
            Ok(Ok(text)) => sources.push((path.display().to_string(), text)),
            Ok(Err(_)) => problems.push(unreadable_path(&path, "the file is not UTF-8")),
            Err(error) => problems.push(unreadable_path(&path, &error.to_string())),
        }
    }
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
