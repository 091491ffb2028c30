//! The `trilith` binary: arguments become one command, the command runs.
//!
//! Wiring only. This crate builds the layers bottom-up ([`node`], [`process`]), connects them to listeners
//! ([`listen`], [`serve`]) and stops them in the opposite order; it decides nothing about data.

mod admin;
mod cli;
mod clock;
mod cluster_commands;
mod config;
mod dev;
mod door;
mod first_start;
mod listen;
mod membership;
mod metrics;
mod node;
mod process;
mod serve;
mod server;
mod sql;
mod table_commands;
mod telemetry;

use clap::Parser;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    let command = cli::Cli::parse().command;
    match run(command) {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(line) => {
            eprintln!("trilith: {line}");
            std::process::ExitCode::FAILURE
        }
    }
}

/// Every failure ends as one line that says what to do.
fn run(command: cli::Command) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("the runtime cannot start: {error}"))?;
    match command {
        cli::Command::Dev(args) => runtime.block_on(dev::run(args)),
        cli::Command::Server(args) => runtime.block_on(server::run(args)),
        cli::Command::Cluster(command) => runtime.block_on(cluster_commands::run(command)),
        cli::Command::Table(command) => runtime.block_on(table_commands::run(command)),
        cli::Command::Config(command) => config::run(command),
        cli::Command::Healthcheck(args) => runtime.block_on(cluster_commands::healthcheck(args)),
        cli::Command::Sql(args) => runtime.block_on(sql::run(args)),
        cli::Command::Completion { shell } => {
            cli::completion(shell);
            Ok(())
        }
    }
}
