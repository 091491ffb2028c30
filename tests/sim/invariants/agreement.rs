//! The same index is the same state, on every replica and for ever; and at the end all replicas are at the same one.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::world::{NODES, World};

/// Every state that was seen.
#[derive(Default)]
pub(super) struct Agreement {
    /// Index to hash.
    states: BTreeMap<u64, (u64, u64)>,
    /// Life and applied index of each node.
    applied: BTreeMap<u64, (u64, u64)>,
}

impl Agreement {
    pub(super) fn check(&mut self, world: &World) -> Result<(), String> {
        for node in NODES {
            let Some((replica, life)) = world.replica(node) else { continue };
            match replica.status().failed {
                None => {}
                // What it has in memory may be ahead of what it could write; it answers nobody.
                Some(_) if world.is_broken(node, life) => continue,
                Some(failure) => return Err(format!("node {node} failed on a disk that works: {failure}")),
            }
            let (index, hash) = (replica.applied().index(), replica.applied().state_hash());
            let (known, by) = *self.states.entry(index).or_insert((hash, node));
            if known != hash {
                return Err(format!("nodes {by} and {node} differ in their state at entry {index}"));
            }
            if let Some((before_life, before)) = self.applied.insert(node, (life, index))
                && before_life == life
                && before > index
            {
                return Err(format!("node {node} went from entry {before} back to {index}"));
            }
        }
        Ok(())
    }
}

/// Waits until all replicas have applied the same entries, and compares their states.
///
/// # Errors
/// When that does not come, or the states differ.
pub(crate) async fn converged(world: &World) -> Result<(), String> {
    // As long as a snapshot's sender may wait for the answer to a chunk that was lost, and an election more.
    let deadline = Instant::now() + Duration::from_secs(90);
    loop {
        let mut found = Vec::new();
        for node in NODES {
            let (replica, _) = world.replica(node).ok_or(format!("node {node} does not run"))?;
            let status = replica.status();
            if let Some(failure) = status.failed {
                return Err(format!("node {node} failed after everything healed: {failure}"));
            }
            found.push((
                status.last_log,
                replica.applied().index(),
                replica.applied().state_hash(),
                status.leads,
            ));
        }
        let (last, index, hash, _) = found[0];
        let led = found.iter().filter(|(_, _, _, leads)| *leads).count() == 1;
        if led && found.iter().all(|other| (other.0, other.1) == (last, index)) && last == index {
            let equal = found.iter().all(|other| other.2 == hash);
            return if equal { Ok(()) } else { Err(format!("states differ at entry {index}: {found:x?}")) };
        }
        if Instant::now() > deadline {
            return Err(format!("the replicas do not come together (log, applied, hash, leads): {found:x?}"));
        }
        sleep(Duration::from_millis(20)).await;
    }
}
