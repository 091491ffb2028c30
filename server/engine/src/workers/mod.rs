//! Work that no request waits for. Every node runs all of it: each step is idempotent, so nobody needs to be chosen.

pub mod backfill;
pub mod reconcile;
pub mod ship;
pub mod txn_sweep;

use std::sync::Arc;

use tokio::task::JoinHandle;
use trilith_cluster::Cluster;

pub use reconcile::{Reconciler, Settings as ReconcileSettings};
pub use txn_sweep::{Settings as SweepSettings, TxnSweep};

/// Starts every worker. They end when their handles are aborted; that is safe at any moment.
pub fn start(cluster: &Arc<dyn Cluster>) -> Vec<JoinHandle<()>> {
    let reconciler = Reconciler::new(Arc::clone(cluster), ReconcileSettings::default());
    let sweep = TxnSweep::new(Arc::clone(cluster), SweepSettings::default());
    vec![
        tokio::spawn(reconciler.run()),
        tokio::spawn(ship::run(Arc::clone(cluster))),
        tokio::spawn(backfill::run(Arc::clone(cluster))),
        tokio::spawn(sweep.run()),
    ]
}
