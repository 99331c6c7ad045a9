//! Private directories and files.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// Makes `dir` (and what leads to it) for the owner's eyes only, and makes sure that it can be written.
///
/// # Errors
/// Where it can't be made, is no directory, or can't be written.
pub(crate) fn private_dir(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    if dir.metadata()?.permissions().mode() & 0o077 != 0 {
        std::fs::set_permissions(dir, Permissions::from_mode(0o700))?;
    }
    let probe = dir.join(".probe");
    private_file(&probe)?;
    std::fs::remove_file(&probe)
}

/// Opens (or makes) a file for the owner's eyes only.
pub(crate) fn private_file(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_become_private() {
        let outer = tempfile::tempdir().unwrap();
        let dir = outer.path().join("a/b");
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::set_permissions(&dir, Permissions::from_mode(0o755)).unwrap();
        private_dir(&dir).unwrap();
        assert_eq!(dir.metadata().unwrap().permissions().mode() & 0o777, 0o700);
        assert!(dir.read_dir().unwrap().next().is_none());
    }

    #[test]
    fn a_file_in_the_way_is_an_error() {
        let outer = tempfile::tempdir().unwrap();
        let path = outer.path().join("a");
        std::fs::write(&path, "x").unwrap();
        assert!(private_dir(&path).is_err());
        assert!(private_dir(&path.join("b")).is_err());
    }
}
