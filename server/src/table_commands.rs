//! `trilith table …`: a client of the admin service.

use trilith_proto::admin::v1 as proto;

use crate::cli::TableCommand;
use crate::cluster_commands::connect;

/// Runs one of them.
///
/// # Errors
/// One line: what is wrong with the table, or why that cannot be said.
pub async fn run(command: TableCommand) -> Result<(), String> {
    match command {
        TableCommand::Check { table, admin, wait, json } => check(table, &admin, wait, json).await,
    }
}

async fn check(table: String, admin: &str, wait: u64, json: bool) -> Result<(), String> {
    let name = table.clone();
    let request = proto::CheckTableRequest { table, patience_millis: wait * 1_000 };
    let told = |status: tonic::Status| format!("{admin}: {}", status.message());
    let mut answers = connect(admin).await?.check_table(request).await.map_err(told)?.into_inner();
    let (mut indexes, mut odd) = (0, Vec::new());
    while let Some(index) = answers.message().await.map_err(told)? {
        indexes += 1;
        if json {
            println!("{}", as_json(&index));
        } else {
            print(&index);
        }
        if differences(&index) > 0 {
            odd.push(index.index);
        }
    }
    match (odd.is_empty(), indexes) {
        (true, 0) if !json => println!("table {name} has no indexes"),
        (true, _) => {}
        (false, _) => return Err(format!("table {name} differs from {}", odd.join(", "))),
    }
    Ok(())
}

fn differences(index: &proto::CheckTableResponse) -> u64 {
    index.missing + index.ghosts + index.differing
}

fn print(index: &proto::CheckTableResponse) {
    let kind = if index.local { "local" } else { "global" };
    let verdict = match differences(index) {
        0 => "equal".to_owned(),
        _ => format!("{} missing, {} ghosts, {} differing", index.missing, index.ghosts, index.differing),
    };
    let undecided = match index.undecided {
        0 => String::new(),
        count => format!(", {count} undecided: their items kept changing"),
    };
    println!("{} ({kind}): {} entries, {verdict}{undecided}", index.index, index.entries);
    for finding in &index.findings {
        println!("  {}: {}", finding.kind, finding.entry);
    }
}

fn as_json(index: &proto::CheckTableResponse) -> serde_json::Value {
    let finding =
        |finding: &proto::IndexFinding| serde_json::json!({ "kind": finding.kind, "entry": finding.entry });
    serde_json::json!({
        "index": index.index,
        "local": index.local,
        "expected": index.expected,
        "entries": index.entries,
        "missing": index.missing,
        "ghosts": index.ghosts,
        "differing": index.differing,
        "undecided": index.undecided,
        "findings": index.findings.iter().map(finding).collect::<Vec<_>>(),
    })
}
