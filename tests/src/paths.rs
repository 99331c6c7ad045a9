//! Where things are: the build output, the repository, PostgreSQL's binaries.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// The folder that cargo puts this profile's binaries into.
///
/// # Errors
/// When the running program is not one that cargo built.
pub fn profile_dir() -> Result<PathBuf> {
    let program = std::env::current_exe()?;
    let folder = program.parent().context("the program has no folder")?;
    if folder
        .file_name()
        .is_some_and(|name| name == "deps" || name == "examples")
    {
        return Ok(folder
            .parent()
            .context("no folder above deps")?
            .to_path_buf());
    }
    Ok(folder.to_path_buf())
}

/// The `sqlward` binary: `SQLWARD_BIN`, or the one that cargo built beside this program.
///
/// # Errors
/// When there is none.
pub fn sqlward() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("SQLWARD_BIN") {
        return Ok(PathBuf::from(path));
    }
    let path = profile_dir()?.join("sqlward");
    if !path.is_file() {
        bail!(
            "no sqlward binary at {}: run `cargo build -p sqlward-cli` first",
            path.display()
        );
    }
    Ok(path)
}

/// The root of the repository.
#[must_use]
pub fn repository() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap_or(tests).to_path_buf()
}

/// Which PostgreSQL a test runs against.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Release {
    /// The system's own: `SQLWARD_PG_BIN`, or Debian's folder.
    #[default]
    Installed,
    /// PostgreSQL 18 of a newer Debian suite, unpacked into build/ by `tools/setup.sh beside`.
    Newer,
}

/// A program of the installed PostgreSQL's packages.
#[must_use]
pub fn postgres_program(name: &str) -> PathBuf {
    Release::Installed.program(name)
}

impl Release {
    /// A program of its packages.
    #[must_use]
    pub fn program(self, name: &str) -> PathBuf {
        match self {
            Self::Installed => std::env::var_os("SQLWARD_PG_BIN")
                .map_or_else(
                    || PathBuf::from("/usr/lib/postgresql/15/bin"),
                    PathBuf::from,
                )
                .join(name),
            Self::Newer => repository()
                .join("build/beside/postgresql-18/usr/lib/postgresql/18/bin")
                .join(name),
        }
    }
}
