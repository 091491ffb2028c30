//! Making the shards look as the catalog says: level-triggered, one small step at a time, by whoever leads the shard.
//!
//! Each pass looks at what is, and does the next step towards what should be: finish a membership change that
//! somebody left half done, add a learner, make it a voter in the place of a lost replica (through a joint
//! configuration), tell the catalog. A step that fails is done again at the next pass, by the same leader or its
//! successor; no step depends on who did the one before.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use trilith_consensus::{ReadError, Replica, ReplicaStatus};
use trilith_domain::catalog::{Catalog, CatalogCommand, NodeRecord, NodeState, ReplicaPlace, ShardRecord};
use trilith_values::{ReplicaId, ShardId};

use crate::directory::CATALOG;
use crate::port::{Cluster, now};
use crate::raft_cluster::RaftCluster;

/// Entries that a learner may lack when it becomes a voter.
const CAUGHT_UP: u64 = 64;
/// A leader stays at least this long before it hands over to the preferred replica.
const SETTLED: Duration = Duration::from_secs(10);

/// What a shard's leader should do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Everything is as the catalog says.
    Nothing,
    /// Add this replica as a learner.
    AddLearner(ReplicaPlace),
    /// Make exactly these the voters.
    ChangeVoters(BTreeSet<ReplicaId>),
    /// Tell the catalog that this replica is in.
    Placed(ReplicaId),
    /// Hand the leadership to this replica.
    HandOver(ReplicaId),
}

/// The next step for a shard, from what is and what should be. `lag` is what a replica still lacks, as the leader
/// knows it; `settled` is whether the leader has led for a while.
pub(crate) fn next_step(
    is: &ReplicaStatus,
    should: &ShardRecord,
    lag: &dyn Fn(ReplicaId) -> Option<u64>,
    settled: bool,
) -> Step {
    let voters: BTreeSet<ReplicaId> = is.voters.iter().map(|(replica, _)| *replica).collect();
    let learners: BTreeSet<ReplicaId> = is.learners.iter().map(|(replica, _)| *replica).collect();
    let caught_up = |replica| lag(replica).is_some_and(|lag| lag <= CAUGHT_UP);
    for (place, replaces) in &should.incoming {
        let with: BTreeSet<ReplicaId> =
            voters.iter().copied().filter(|id| Some(*id) != *replaces).chain([place.replica]).collect();
        if voters.contains(&place.replica) && !is.joint && voters == with {
            return Step::Placed(place.replica);
        }
        if voters.contains(&place.replica) || (learners.contains(&place.replica) && caught_up(place.replica))
        {
            return Step::ChangeVoters(with);
        }
        if !learners.contains(&place.replica) {
            return Step::AddLearner(*place);
        }
    }
    if is.joint {
        return Step::ChangeVoters(should.replicas.iter().map(|place| place.replica).collect());
    }
    match preferred(should) {
        Some(replica) if should.incoming.is_empty() && settled && replica != is.name.replica => {
            if voters.contains(&replica) && lag(replica) == Some(0) {
                Step::HandOver(replica)
            } else {
                Step::Nothing
            }
        }
        _ => Step::Nothing,
    }
}

/// The replica that should lead: leaderships go round the nodes by shard number.
fn preferred(shard: &ShardRecord) -> Option<ReplicaId> {
    let mut places = shard.replicas.clone();
    places.sort_by_key(|place| place.node);
    let at = shard.id.0 as usize % places.len().max(1);
    places.get(at).map(|place| place.replica)
}

/// Runs until aborted.
pub(crate) async fn run(cluster: Arc<RaftCluster>) {
    let mut every = tokio::time::interval(cluster.settings.reconcile);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut led_since: BTreeMap<ShardId, Instant> = BTreeMap::new();
    loop {
        every.tick().await;
        let catalog = cluster.catalog();
        for shard in catalog.shards() {
            let Some(replica) = cluster.members().leading(shard.id) else {
                led_since.remove(&shard.id);
                continue;
            };
            let since = *led_since.entry(shard.id).or_insert_with(now);
            let step = next_step(
                &replica.status(),
                shard,
                &|id| replica.lag_of(id),
                now().saturating_duration_since(since) > SETTLED,
            );
            if matches!(step, Step::HandOver(_)) {
                led_since.insert(shard.id, now());
            }
            if let Err(why) = take(&cluster, &replica, shard.id, step).await {
                tracing::debug!(shard = %shard.id, %why, "a placement step did not succeed; it is tried again");
            }
        }
        if cluster.members().leading(CATALOG).is_some() {
            settle_nodes(&cluster, &catalog).await;
        }
    }
}

async fn take(cluster: &RaftCluster, replica: &Replica, shard: ShardId, step: Step) -> Result<(), String> {
    let text = |error: ReadError| error.to_string();
    match step {
        Step::Nothing => Ok(()),
        Step::AddLearner(place) => {
            tracing::info!(%shard, replica = %place.replica, node = %place.node, "adding a replica as learner");
            replica.add_learner(place.replica, place.node).await.map_err(text)
        }
        Step::ChangeVoters(voters) => {
            tracing::info!(%shard, ?voters, "changing the voters");
            replica.change_voters(voters).await.map_err(text)
        }
        Step::Placed(placed) => {
            let command = CatalogCommand::ReplicaPlaced { shard, replica: placed };
            let deadline = now() + Duration::from_secs(5);
            cluster.change_catalog(command, deadline).await.map(|_| ()).map_err(|e| e.to_string())
        }
        Step::HandOver(to) => {
            tracing::info!(%shard, %to, "handing the leadership to the preferred replica");
            replica.transfer_leadership(to).await;
            Ok(())
        }
    }
}

async fn settle_nodes(cluster: &RaftCluster, catalog: &Catalog) {
    for node in catalog.nodes() {
        let Some(command) = next_state(catalog, node) else { continue };
        let deadline = now() + Duration::from_secs(5);
        if let Err(why) = cluster.change_catalog(command, deadline).await {
            tracing::debug!(node = %node.id, %why, "the catalog was not told of a node's state; it is told again");
        }
    }
}

/// A joining node all of whose replicas are in is up. A node that holds no replica any more, as another took its
/// place, has left; so has one whose join was given up, as the same machine joined again.
fn next_state(catalog: &Catalog, node: &NodeRecord) -> Option<CatalogCommand> {
    let holds = catalog.shards().any(|shard| shard.replicas.iter().any(|place| place.node == node.id));
    let waits = catalog.shards().any(|shard| shard.incoming.iter().any(|(place, _)| place.node == node.id));
    let again = |other: &NodeRecord| other.id > node.id && other.zone == node.zone && other.peer == node.peer;
    match node.state {
        NodeState::Joining if holds && !waits => Some(CatalogCommand::NodeUp { node: node.id }),
        NodeState::Joining if !holds && !waits && catalog.nodes().any(again) => {
            Some(CatalogCommand::NodeLeft { node: node.id })
        }
        NodeState::Up if !holds && !waits => Some(CatalogCommand::NodeLeft { node: node.id }),
        NodeState::Joining | NodeState::Up | NodeState::Left => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use trilith_consensus::ReplicaName;
    use trilith_values::NodeId;

    fn status(voters: &[u64], learners: &[u64], joint: bool) -> ReplicaStatus {
        let place = |id: &u64| (ReplicaId(*id), NodeId(*id));
        ReplicaStatus {
            name: ReplicaName { shard: ShardId(1), replica: ReplicaId(2), node: NodeId(2) },
            leads: true,
            leader: Some((ReplicaId(2), NodeId(2))),
            term: 1,
            last_log: 10,
            applied: 10,
            purged: 0,
            voters: voters.iter().map(place).collect(),
            learners: learners.iter().map(place).collect(),
            joint,
            writes: 0,
            poisoned: 0,
            failed: None,
        }
    }

    fn record(incoming: &[(u64, u64)]) -> ShardRecord {
        let place = |id: u64| ReplicaPlace { replica: ReplicaId(id), node: NodeId(id) };
        ShardRecord {
            id: ShardId(1),
            replicas: vec![place(1), place(2), place(3)],
            incoming: incoming.iter().map(|(new, old)| (place(*new), Some(ReplicaId(*old)))).collect(),
        }
    }

    fn ids(ids: &[u64]) -> BTreeSet<ReplicaId> {
        ids.iter().copied().map(ReplicaId).collect()
    }

    fn near(_: ReplicaId) -> Option<u64> {
        Some(0)
    }

    #[test]
    fn a_replacement_goes_through_learner_joint_change_and_catalog() {
        let should = record(&[(9, 3)]);
        let far = |_| Some(1_000);
        let step =
            |is: &ReplicaStatus, lag: &dyn Fn(ReplicaId) -> Option<u64>| next_step(is, &should, lag, false);
        let newcomer = ReplicaPlace { replica: ReplicaId(9), node: NodeId(9) };
        assert_eq!(step(&status(&[1, 2, 3], &[], false), &near), Step::AddLearner(newcomer));
        assert_eq!(step(&status(&[1, 2, 3], &[9], false), &far), Step::Nothing, "it catches up first");
        assert_eq!(step(&status(&[1, 2, 3], &[9], false), &near), Step::ChangeVoters(ids(&[1, 2, 9])));
        assert_eq!(step(&status(&[1, 2, 3, 9], &[], true), &near), Step::ChangeVoters(ids(&[1, 2, 9])));
        assert_eq!(step(&status(&[1, 2, 9], &[], false), &near), Step::Placed(ReplicaId(9)));
    }

    #[test]
    fn a_joint_configuration_that_was_left_behind_is_finished() {
        let is = status(&[1, 2, 3, 9], &[], true);
        assert_eq!(next_step(&is, &record(&[]), &near, true), Step::ChangeVoters(ids(&[1, 2, 3])));
    }

    #[test]
    fn a_settled_leader_hands_over_only_to_a_preferred_replica_that_lacks_nothing() {
        let mut is = status(&[1, 2, 3], &[], false);
        is.name.replica = ReplicaId(1);
        let should = record(&[]);
        assert_eq!(next_step(&is, &should, &near, true), Step::HandOver(ReplicaId(2)));
        assert_eq!(next_step(&is, &should, &near, false), Step::Nothing);
        assert_eq!(next_step(&is, &should, &|_| Some(1), true), Step::Nothing);
        is.name.replica = ReplicaId(2);
        assert_eq!(next_step(&is, &should, &near, true), Step::Nothing);
    }
}
