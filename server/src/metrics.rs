//! What the lower layers count, as metrics.

use std::sync::{Arc, Weak};

use trilith_api::metrics::{MetricsSource, Samples};
use trilith_cluster::{Cluster, RaftCluster};

/// Samples of a process's replicas, logs and engines.
pub struct ClusterMetrics(Weak<RaftCluster>);

impl ClusterMetrics {
    /// Of this cluster, for as long as it lives.
    pub fn of(cluster: &Arc<RaftCluster>) -> Self {
        Self(Arc::downgrade(cluster))
    }
}

impl MetricsSource for ClusterMetrics {
    fn samples(&self, into: &mut Samples) {
        let Some(cluster) = self.0.upgrade() else { return };
        into.gauge("trilith_tables", "Tables in the catalog", &[], cluster.catalog().tables().count() as f64);
        for status in cluster.replica_statuses() {
            let shard = status.name.shard.to_string();
            let node = status.name.node.to_string();
            let labels: &[(&str, &str)] = &[("shard", &shard), ("node", &node)];
            let leads = f64::from(u8::from(status.leads));
            into.gauge("trilith_shard_leader", "1 where this node leads the shard", labels, leads);
            into.gauge("trilith_raft_term", "Term of the replica", labels, status.term as f64);
            into.gauge("trilith_raft_applied_index", "Last log entry applied", labels, status.applied as f64);
            let lag = status.last_log.saturating_sub(status.applied);
            into.gauge("trilith_raft_apply_lag", "Log entries not applied yet", labels, lag as f64);
            if status.leads {
                let labels: &[(&str, &str)] = &[("shard", &shard)];
                into.counter(
                    "trilith_shard_writes_total",
                    "Item writes applied on the shard's leader",
                    labels,
                    status.writes as f64,
                );
            }
            into.counter(
                "trilith_poisoned_commands_total",
                "Commands set aside because applying them panicked: a defect, whenever it is not 0",
                labels,
                status.poisoned as f64,
            );
            into.gauge(
                "trilith_replica_failed",
                "1 for a replica that stopped after a fault",
                labels,
                f64::from(u8::from(status.failed.is_some())),
            );
        }
        for host in cluster.members().hosts() {
            let node = host.node().to_string();
            let labels: &[(&str, &str)] = &[("node", &node)];
            let log = host.log().stats();
            into.counter("trilith_log_fsyncs_total", "Syncs of the log", labels, log.fsyncs as f64);
            into.counter(
                "trilith_log_entries_total",
                "Entries appended to the log",
                labels,
                log.appends as f64,
            );
            into.counter("trilith_log_bytes_total", "Bytes written to the log", labels, log.bytes as f64);
            let engine = host.engine().stats();
            into.gauge("trilith_engine_disk_bytes", "Bytes of table files", labels, engine.disk_bytes as f64);
            into.gauge(
                "trilith_engine_memtable_bytes",
                "Bytes in memtables",
                labels,
                engine.memtable_bytes as f64,
            );
            into.gauge(
                "trilith_engine_background_errors",
                "Errors of flush and compaction",
                labels,
                engine.background_errors as f64,
            );
        }
    }
}
