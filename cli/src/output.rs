//! What commands print: problems with their source, tables in three formats.

use std::{
    io::{self, IsTerminal, Write},
    process::ExitCode,
};

use anyhow::Result;
use clap::ValueEnum;
use sqlward_audit_store::query::{self, Table};
use sqlward_policy::{
    Problems,
    problem::{self, Colour},
};

use crate::BAD_INPUT;

/// How an answer is printed.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Format {
    /// Aligned columns for people.
    Table,
    /// One JSON object per line.
    Json,
    /// Comma-separated values with a header line.
    Csv,
}

/// Print a table, and mind a reader that has seen enough.
pub(crate) fn table(table: &Table, format: Format) -> Result<()> {
    let format = match format {
        Format::Table => query::Format::Table,
        Format::Json => query::Format::Json,
        Format::Csv => query::Format::Csv,
    };
    let mut out = io::BufWriter::new(io::stdout().lock());
    quietly(table.write(format, &mut out).and_then(|()| out.flush()))
}

/// A closed pipe is how `| head` says that it has enough; it is no failure.
pub(crate) fn quietly(written: io::Result<()>) -> Result<()> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}

/// Say everything that is wrong with a file.
pub(crate) fn bad_input(problems: &Problems) -> ExitCode {
    eprint!("{}", problems.draw(colour()));
    let count = problems.0.iter().filter(|problem| problem.fatal).count();
    eprintln!("{count} error{}", if count == 1 { "" } else { "s" });
    ExitCode::from(BAD_INPUT)
}

/// Say what is suspicious but no error.
pub(crate) fn warnings(problems: &[problem::Problem]) {
    if !problems.is_empty() {
        eprint!("{}", problem::draw(problems, colour()));
    }
}

/// Whether standard error is a terminal to colour for.
pub(crate) fn colour() -> Colour {
    if io::stderr().is_terminal() {
        Colour::Always
    } else {
        Colour::Never
    }
}
