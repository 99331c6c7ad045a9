//! `sqlward config`.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use clap::Subcommand;

use crate::{BAD_INPUT, output};

/// Check a configuration file.
#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// Check a configuration file, its TLS files and its policies; say everything that is wrong.
    #[command(after_help = "Example:\n  sqlward config check /etc/sqlward/sqlward.toml")]
    Check {
        /// The configuration file.
        file: PathBuf,
    },
}

impl Config {
    /// Carry it out.
    pub(crate) fn run(self) -> Result<ExitCode> {
        let Self::Check { file } = self;
        let config = match sqlward_proxy::config::Config::load(&file) {
            Ok(config) => config,
            Err(problems) => return Ok(output::bad_input(&problems)),
        };
        match sqlward_policy::load(&config.policy) {
            Ok(policy) => {
                let key = config.redaction_key.as_ref();
                if let Err(problem) = sqlward_proxy::redaction::check(&policy, key) {
                    eprintln!("{}: {problem}", file.display());
                    return Ok(ExitCode::from(BAD_INPUT));
                }
                output::warnings(&policy.warnings);
                println!(
                    "{}: good; {} listener(s), {} rule(s)",
                    file.display(),
                    config.listeners.len(),
                    policy.rules.len()
                );
                Ok(ExitCode::SUCCESS)
            }
            Err(problems) => Ok(output::bad_input(&problems)),
        }
    }
}
