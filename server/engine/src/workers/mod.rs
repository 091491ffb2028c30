//! Work that no request waits for. Every node runs all of it: each step is idempotent, so nobody needs to be chosen.

pub mod backfill;
pub mod reconcile;
pub mod ship;
pub mod txn_sweep;

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use trilith_cluster::Cluster;

pub use reconcile::Reconciler;
pub use txn_sweep::TxnSweep;

/// How a worker that finishes what others began takes its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Between two passes.
    pub every: Duration,
    /// How long something is left to those who began it.
    pub patience: Duration,
    /// How long one attempt may take.
    pub attempt: Duration,
}

/// Starts every worker. They end when their handles are aborted; that is safe at any moment.
pub fn start(cluster: &Arc<dyn Cluster>) -> Vec<JoinHandle<()>> {
    let reconciler = Reconciler::new(Arc::clone(cluster), Reconciler::PACE);
    let sweep = TxnSweep::new(Arc::clone(cluster), TxnSweep::PACE);
    vec![
        tokio::spawn(reconciler.run()),
        tokio::spawn(ship::run(Arc::clone(cluster))),
        tokio::spawn(backfill::run(Arc::clone(cluster))),
        tokio::spawn(sweep.run()),
    ]
}
