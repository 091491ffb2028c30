//! A cluster in memory ([`LocalCluster`]) and an engine on it: operations run in process, over the same commands, plans
//! and apply function as in a real cluster, without consensus, disks or sockets. For tests of this crate and others.
//!
//! Shards are told to fail, to lag and to lose answers by [`LocalCluster::on_write`] and its siblings, so that what the
//! engine makes of failures is tested without any.

mod client;
mod local_cluster;
mod local_shard;
pub mod requests;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use trilith_cluster::now;

use crate::engine::Engine;
use crate::service::{Caller, Identity};

pub use client::Client;
pub use local_cluster::{Fault, LocalCluster};
pub use local_shard::LocalShard;

/// The account of every caller here, and of the cluster.
pub const ACCOUNT: u64 = 0;
/// The cluster's region.
pub const REGION: &str = "us-east-1";

/// An engine on a node of a cluster in memory. Its randomness counts, so that a test is the same each time.
pub fn engine(cluster: &Arc<LocalCluster>) -> Engine {
    let counter = AtomicU64::new(1);
    // Spread over all bits: a seed and a UUID are made of this.
    let entropy = move || {
        u128::from(counter.fetch_add(1, Ordering::Relaxed))
            .wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)
    };
    let identity = Identity { region: REGION.to_owned(), account: ACCOUNT };
    Engine::new(Arc::clone(cluster) as _, identity, Arc::new(entropy))
}

/// A caller whose deadline is ten seconds away.
pub fn caller() -> Caller {
    caller_within(Duration::from_secs(10))
}

/// A caller whose deadline is so far away.
pub fn caller_within(time: Duration) -> Caller {
    Caller { request_id: "TEST".into(), account: ACCOUNT, deadline: now() + time }
}
