//! The first start of a cluster: which replicas there are, and the catalog's first command.
//!
//! Everything follows from the list of first members, so that a first start that was cut short can be done again.

use trilith_domain::catalog::{
    CatalogCommand, ClusterRecord, NodeRecord, NodeState, ReplicaPlace, ShardRecord,
};
use trilith_values::{NodeId, ReplicaId, ShardId};

/// A first member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FirstMember {
    /// Its zone.
    pub zone: String,
    /// Where peers reach it; empty inside one process.
    pub peer: String,
    /// Where clients reach it.
    pub http: String,
}

/// A cluster about to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Founding {
    /// Its identity.
    pub cluster: ClusterRecord,
    /// Its first members, one a zone; node ids count from 1 in this order.
    pub members: Vec<FirstMember>,
    /// Data shards.
    pub shards: u32,
}

impl Founding {
    /// The id of the `i`th member.
    pub fn node(&self, i: usize) -> NodeId {
        NodeId(i as u64 + 1)
    }

    /// Every shard with its replicas: the catalog (0) and the data shards (1 and up), one replica on each member.
    pub fn shards(&self) -> Vec<ShardRecord> {
        let members = self.members.len() as u64;
        let replica = |shard: u32, i: u64| ReplicaPlace {
            replica: ReplicaId(u64::from(shard) * members + i + 1),
            node: NodeId(i + 1),
        };
        (0..=self.shards)
            .map(|shard| ShardRecord {
                id: ShardId(shard),
                replicas: (0..members).map(|i| replica(shard, i)).collect(),
                incoming: Vec::new(),
            })
            .collect()
    }

    /// The node that should lead a shard at first: round robin.
    pub fn first_leader(&self, shard: ShardId) -> NodeId {
        NodeId(u64::from(shard.0) % self.members.len() as u64 + 1)
    }

    /// The catalog's first command.
    pub fn command(&self) -> CatalogCommand {
        let nodes = self.members.iter().enumerate().map(|(i, member)| NodeRecord {
            id: self.node(i),
            zone: member.zone.clone(),
            peer: member.peer.clone(),
            http: member.http.clone(),
            state: NodeState::Up,
        });
        CatalogCommand::Bootstrap {
            cluster: self.cluster.clone(),
            nodes: nodes.collect(),
            shards: self.shards(),
        }
    }
}
