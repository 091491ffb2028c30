//! Two logs that both have an entry have the same one.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::world::{NODES, World};

/// Compares the logs of all nodes, entry by entry, byte by byte.
///
/// # Errors
/// The first index at which two logs differ, or a log that cannot be read.
pub(crate) fn logs_match(world: &World) -> Result<(), String> {
    let mut entries: BTreeMap<u64, (u64, Bytes)> = BTreeMap::new();
    for node in NODES {
        let process = world.process(node).ok_or(format!("node {node} does not run"))?;
        // A node's replica has its number in this world.
        let log = process.host.log().open_log(node);
        let read =
            log.read(0..u64::MAX).map_err(|e| format!("the log of node {node} cannot be read: {e}"))?;
        if read.is_empty() {
            return Err(format!("the log of node {node} is empty, after writes a moment ago"));
        }
        for entry in read {
            let (by, known) = entries.entry(entry.index).or_insert_with(|| (node, entry.payload.clone()));
            if *known != entry.payload {
                return Err(format!("the logs of nodes {by} and {node} differ at entry {}", entry.index));
            }
        }
    }
    Ok(())
}
