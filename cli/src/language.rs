//! `sqlward policy schema` and `sqlward policy show`.

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use anyhow::Result;
use clap::Args;
use jiff::Timestamp;
use sqlward_policy::file::schema::schema;

use crate::output;

/// Show what is in force at a time.
#[derive(Debug, Args)]
pub(crate) struct Show {
    /// Policy files and folders.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// The time, RFC 3339; now if not given.
    #[arg(long)]
    at: Option<Timestamp>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Show {
    /// Carry it out.
    pub(crate) fn run(self) -> Result<ExitCode> {
        let policy = match sqlward_policy::load(&self.files) {
            Ok(policy) => policy,
            Err(problems) => return Ok(output::bad_input(&problems)),
        };
        let in_force = policy.at(self.at.unwrap_or_else(Timestamp::now));
        let text = if self.json {
            format!("{:#}\n", in_force.json())
        } else {
            in_force.text()
        };
        output::quietly(io::stdout().write_all(text.as_bytes()))?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Print the JSON Schema of policy files.
pub(crate) fn print_schema() -> Result<ExitCode> {
    let text = format!("{:#}\n", schema());
    output::quietly(io::stdout().write_all(text.as_bytes()))?;
    Ok(ExitCode::SUCCESS)
}
