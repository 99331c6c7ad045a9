//! `sqlward config`.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use clap::Subcommand;

use crate::{BAD_INPUT, output};

/// Check a configuration file.
#[derive(Debug, Subcommand)]
pub enum Config {
    /// Check a configuration file, its TLS files and its policies; say everything that is wrong.
    #[command(after_help = "Example:\n  sqlward config check /etc/sqlward/sqlward.toml")]
    Check {
        /// The configuration file.
        file: PathBuf,
    },
}

impl Config {
    /// Carry it out.
    pub fn run(self) -> Result<ExitCode> {
        let Self::Check { file } = self;
        let config = match sqlward_proxy::config::Config::load(&file) {
            Ok(config) => config,
            Err(error) => {
                output::problems(&error.lines(), &*error);
                return Ok(ExitCode::from(BAD_INPUT));
            }
        };
        match sqlward_policy::load(&config.policy) {
            Ok(policy) => {
                println!(
                    "{}: good; {} listener(s), {} rule(s)",
                    file.display(),
                    config.listeners.len(),
                    policy.rule_count()
                );
                Ok(ExitCode::SUCCESS)
            }
            Err(problems) => {
                output::problems(&problems.lines(), &problems);
                Ok(ExitCode::from(BAD_INPUT))
            }
        }
    }
}
