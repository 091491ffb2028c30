//! Where things are; getting a command to the right leader.
//!
//! The catalog (tables, shards, nodes) is a Raft group like any other: shard 0. Every node follows its own replica
//! of it ([`directory`]), so the data plane goes on while the catalog has no leader. A request for a key finds its
//! shard in the directory, the shard's leader through local replicas or a refusal's hint, and gets there with at most
//! one forward ([`dispatch`], the only retry loop of the server). What the catalog says should be, the leaders of
//! the shards make so, step by step ([`reconciler`]).
//!
//! Deliberately absent: storage, HTTP, expressions; any knowledge of what a command does.

pub mod bootstrap;
pub mod directory;
mod dispatch;
mod forward;
pub mod members;
pub mod port;
pub mod raft_cluster;
pub mod reconciler;

pub use bootstrap::{FirstMember, Founding};
pub use directory::{CATALOG, Directory};
pub use members::Members;
pub use port::{Cluster, ClusterError, Freshness, now};
pub use raft_cluster::{ClusterSettings, RaftCluster};
