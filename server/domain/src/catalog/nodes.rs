//! Commands about the cluster's members and the places of replicas.

use std::collections::BTreeSet;

use trilith_values::{NodeId, ReplicaId, ShardId};

use super::apply::{Draft, Outcome};
use super::command::{CatalogReply, ClusterRecord, NodeRecord, NodeState, ReplicaPlace, ShardRecord};
use super::view::{Catalog, Change};
use crate::keyspace::{CATALOG_SHARD, NO_SHARD};

/// The cluster's first command: its identity, first members and shards. Ids go on above the highest that they bear.
pub(super) fn bootstrap(
    catalog: &Catalog,
    cluster: &ClusterRecord,
    nodes: &[NodeRecord],
    shards: &[ShardRecord],
) -> Outcome {
    match catalog.cluster() {
        Some(known) if known.cluster == cluster.cluster => {
            return Outcome::reply(CatalogReply::Done);
        }
        Some(_) => return Outcome::invalid("the cluster has another identity already"),
        None => {}
    }
    if let Err(text) = check_bootstrap(nodes, shards) {
        return Outcome::invalid(text);
    }
    let mut draft = Draft::of(catalog);
    let top_node = nodes.iter().map(|node| node.id.0).max().unwrap_or(0);
    let replicas = shards.iter().flat_map(|shard| &shard.replicas);
    let top_replica = replicas.map(|place| place.replica.0).max().unwrap_or(0);
    let counters = draft.counters();
    counters.next_node = counters.next_node.max(top_node + 1);
    counters.next_replica = counters.next_replica.max(top_replica + 1);
    draft.push(Change::Cluster(cluster.clone()));
    nodes.iter().for_each(|node| draft.push(Change::Node(node.clone())));
    shards.iter().for_each(|shard| draft.push(Change::Shard(shard.clone())));
    draft.done(CatalogReply::Done)
}

fn check_bootstrap(nodes: &[NodeRecord], shards: &[ShardRecord]) -> Result<(), String> {
    let ids: BTreeSet<NodeId> = nodes.iter().map(|node| node.id).collect();
    if ids.len() < nodes.len() {
        return Err("two nodes have one id".to_owned());
    }
    let shard_ids: BTreeSet<ShardId> = shards.iter().map(|shard| shard.id).collect();
    if shard_ids.len() < shards.len() || !shard_ids.contains(&CATALOG_SHARD) {
        return Err("shards need distinct ids, one of them 0".to_owned());
    }
    if shard_ids.contains(&NO_SHARD) {
        return Err(format!("shard id {NO_SHARD} is reserved"));
    }
    let places: Vec<ReplicaPlace> = shards.iter().flat_map(|shard| shard.replicas.clone()).collect();
    let replicas: BTreeSet<ReplicaId> = places.iter().map(|place| place.replica).collect();
    if replicas.len() < places.len() {
        return Err("two replicas have one id".to_owned());
    }
    if places.iter().any(|place| !ids.contains(&place.node)) {
        return Err("a replica is on a node that is no member".to_owned());
    }
    if replicas.last().is_some_and(|id| id.0 == u64::MAX) || ids.last().is_some_and(|id| id.0 == u64::MAX) {
        return Err("the highest id is not to be used".to_owned());
    }
    Ok(())
}

/// A node that asks to join.
pub(super) struct Joining<'c> {
    pub(super) token: u128,
    pub(super) zone: &'c str,
    pub(super) peer: &'c str,
    pub(super) http: &'c str,
    pub(super) replaces: Option<NodeId>,
}

/// Admits a node. Where it stands in for another, it gets an incoming replica for every copy that node has, or was
/// about to have. The one it replaces stays a member until its last copy is replaced and someone says that it left.
pub(super) fn add(catalog: &Catalog, joining: &Joining<'_>) -> Outcome {
    if let Some(node) = catalog.joined(joining.token) {
        return Outcome::reply(CatalogReply::Node(node.clone()));
    }
    if catalog.cluster().is_none() {
        return Outcome::invalid("the cluster is not initialised");
    }
    if let Some(replaced) = joining.replaces {
        let Some(replaced) = catalog.node(replaced) else {
            return Outcome::reply(CatalogReply::NotFound);
        };
        if replaced.state == NodeState::Left || !catalog.has_place(replaced.id) {
            return Outcome::invalid(format!(
                "node {} holds no replica any more, so there is nothing to take over from it",
                replaced.id
            ));
        }
        // One voter a zone: a stand-in from another zone would put two copies into one failure domain.
        if replaced.zone != joining.zone {
            return Outcome::invalid(format!(
                "node {} is in zone {}, so a node in zone {} cannot replace it",
                replaced.id, replaced.zone, joining.zone
            ));
        }
    }
    let mut draft = Draft::of(catalog);
    let node = NodeRecord {
        id: NodeId(draft.counters().next_node),
        zone: joining.zone.to_owned(),
        peer: joining.peer.to_owned(),
        http: joining.http.to_owned(),
        state: NodeState::Joining,
    };
    draft.counters().next_node += 1;
    draft.push(Change::Node(node.clone()));
    draft.push(Change::Join(joining.token, node.id));
    if let Some(replaced) = joining.replaces {
        for shard in catalog.shards() {
            if let Some(shard) = stand_in(&mut draft, shard, replaced, node.id) {
                draft.push(Change::Shard(shard));
            }
        }
    }
    draft.done(CatalogReply::Node(node))
}

/// The shard with incoming replicas on `node` for all that `replaced` has of it; `None` if that is nothing.
fn stand_in(draft: &mut Draft, shard: &ShardRecord, replaced: NodeId, node: NodeId) -> Option<ShardRecord> {
    let leaving = shard.replicas.iter().filter(|place| place.node == replaced);
    let leaving: Vec<ReplicaId> = leaving.map(|place| place.replica).collect();
    let mut next = shard.clone();
    // An earlier stand-in that never arrived is superseded, whether it was for a copy of this node or on this node.
    let (superseded, kept): (Vec<_>, Vec<_>) = shard.incoming.iter().partition(|(place, instead_of)| {
        place.node == replaced || instead_of.is_some_and(|old| leaving.contains(&old))
    });
    next.incoming = kept;
    let orphaned = superseded.iter().map(|(_, instead_of)| *instead_of);
    let orphaned = orphaned.filter(|old| old.is_none_or(|old| !leaving.contains(&old)));
    let wanted: Vec<Option<ReplicaId>> = leaving.iter().copied().map(Some).chain(orphaned).collect();
    if wanted.is_empty() {
        return None;
    }
    for instead_of in wanted {
        let replica = ReplicaId(draft.counters().next_replica);
        draft.counters().next_replica += 1;
        next.incoming.push((ReplicaPlace { replica, node }, instead_of));
    }
    Some(next)
}

/// An incoming replica has become a voter: it takes the place of the one it replaces.
pub(super) fn replica_placed(catalog: &Catalog, shard: ShardId, replica: ReplicaId) -> Outcome {
    let Some(shard) = catalog.shard(shard) else {
        return Outcome::reply(CatalogReply::NotFound);
    };
    if shard.replicas.iter().any(|place| place.replica == replica) {
        return Outcome::reply(CatalogReply::Done);
    }
    let Some(at) = shard.incoming.iter().position(|(place, _)| place.replica == replica) else {
        return Outcome::reply(CatalogReply::NotFound);
    };
    let mut shard = shard.clone();
    let (place, instead_of) = shard.incoming.remove(at);
    let old = shard.replicas.iter_mut().find(|place| Some(place.replica) == instead_of);
    match old {
        Some(old) => *old = place,
        None => shard.replicas.push(place),
    }
    let mut draft = Draft::of(catalog);
    draft.push(Change::Shard(shard));
    draft.done(CatalogReply::Done)
}

/// A joining node becomes a full member.
pub(super) fn up(catalog: &Catalog, node: NodeId) -> Outcome {
    let Some(node) = catalog.node(node) else {
        return Outcome::reply(CatalogReply::NotFound);
    };
    match node.state {
        NodeState::Joining => set_state(catalog, node, NodeState::Up),
        NodeState::Up => Outcome::reply(CatalogReply::Node(node.clone())),
        NodeState::Left => Outcome::invalid(format!("node {} has left for good", node.id)),
    }
}

/// A node is gone for good.
pub(super) fn left(catalog: &Catalog, node: NodeId) -> Outcome {
    let Some(node) = catalog.node(node) else {
        return Outcome::reply(CatalogReply::NotFound);
    };
    match node.state {
        NodeState::Joining | NodeState::Up => set_state(catalog, node, NodeState::Left),
        NodeState::Left => Outcome::reply(CatalogReply::Node(node.clone())),
    }
}

fn set_state(catalog: &Catalog, node: &NodeRecord, state: NodeState) -> Outcome {
    let node = NodeRecord { state, ..node.clone() };
    let mut draft = Draft::of(catalog);
    draft.push(Change::Node(node.clone()));
    draft.done(CatalogReply::Node(node))
}
