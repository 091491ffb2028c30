//! Logs: to standard error, as JSON or for people, filtered by `TRILITH_LOG`.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// Starts logging. `TRILITH_LOG` holds a filter (default `info`, with openraft at `error`, as its elections and retries
/// are told by Trilith's own lines, as is every replica that stops); `TRILITH_LOG_FORMAT=json` makes each line an object.
pub fn start() {
    let usual = "info,openraft=error,openraft::raft::raft_inner=off";
    let filter = EnvFilter::try_from_env("TRILITH_LOG").unwrap_or_else(|_| EnvFilter::new(usual));
    // Colours are for a person at a terminal; a log file is plain.
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    let json = std::env::var("TRILITH_LOG_FORMAT").is_ok_and(|format| format == "json");
    // A second start in one process changes nothing.
    let _ = if json { builder.json().try_init() } else { builder.try_init() };
}
