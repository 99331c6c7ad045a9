//! The `sqlward` binary: one subcommand per verb, no logic of its own.

mod asking;
mod audit;
mod block;
mod config;
mod demo;
mod explain;
mod hold;
mod language;
mod operator;
mod output;
mod policy;
mod proof;
mod run;
mod source;
mod store;
mod values;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Inline firewall and audit proxy for PostgreSQL, MySQL and MariaDB.
#[derive(Debug, Parser)]
#[command(version, about, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  sqlward demo
  sqlward run --listen postgres://127.0.0.1:6432 --upstream postgres://127.0.0.1:5432 --policy rules/baseline --data ./data
  sqlward run --listen mysql://127.0.0.1:6306 --upstream mysql://127.0.0.1:3306 --policy rules/baseline --data ./data
  sqlward run --config sqlward.toml
  sqlward policy explain --sql 'DELETE FROM accounts' rules/baseline
  sqlward audit search --data ./data --decision deny --format json";

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the proxy.
    Run(Box<run::Run>),
    /// Check a configuration file.
    #[command(subcommand)]
    Config(config::Config),
    /// Check, test, explain, replay and apply policies.
    #[command(subcommand)]
    Policy(Box<policy::Policy>),
    /// Keep somebody out for a time, whatever the policy says.
    #[command(subcommand)]
    Block(block::Block),
    /// Ask who did what.
    #[command(subcommand)]
    Audit(Box<audit::Audit>),
    /// Tell the whole story of one event, by the id that the client saw.
    Explain(Box<explain::Explain>),
    /// Make a ClickHouse store, and move an embedded one into it.
    #[command(subcommand)]
    Store(Box<store::Store>),
    /// Start an ephemeral server and the proxy, and show a refusal and its record.
    Demo(demo::Demo),
}

/// Bad input: a configuration, a policy, an argument.
const BAD_INPUT: u8 = 2;

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Run(run) => run.run(),
        Command::Config(config) => config.run(),
        Command::Policy(policy) => policy.run(),
        Command::Block(block) => block.run(),
        Command::Audit(audit) => audit.run(),
        Command::Explain(explain) => explain.run(),
        Command::Store(store) => store.run(),
        Command::Demo(demo) => demo.run(),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
