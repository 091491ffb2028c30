//! Getting a command or a read to the shard's leader: the only retry loop in the server.
//!
//! Not proposed: try again, elsewhere if somebody said where, until the deadline. Outcome unknown: never. A request
//! that finds no leader waits for one, so that a failover is latency to an unmodified SDK and not an error.

use std::time::{Duration, Instant};

use trilith_consensus::{Consistency, ProposeError, ReadError};
use trilith_domain::machine::{Command, Reply};
use trilith_domain::read::{Plan, ReadReply};
use trilith_values::{NodeId, ShardId};

use crate::port::{ClusterError, now};
use crate::raft_cluster::RaftCluster;

/// How long a request waits for a leader at the most, within its deadline.
pub(crate) const LEADER_WAIT: Duration = Duration::from_secs(5);
/// Pause between attempts when nobody knows a leader.
const PAUSE: Duration = Duration::from_millis(10);

/// Where to try next.
struct Course<'a> {
    cluster: &'a RaftCluster,
    shard: ShardId,
    until: Instant,
    hint: Option<NodeId>,
    attempts: u32,
}

impl<'a> Course<'a> {
    fn new(cluster: &'a RaftCluster, shard: ShardId, deadline: Instant) -> Self {
        let until = deadline.min(now() + LEADER_WAIT);
        Self { cluster, shard, until, hint: None, attempts: 0 }
    }

    /// The node to try, once one is known; `None` when the time is over.
    async fn next(&mut self) -> Option<NodeId> {
        if self.attempts > 0 && self.hint.is_none() {
            tokio::time::sleep(PAUSE).await;
        }
        self.attempts += 1;
        loop {
            if let Some(node) = self.hint.take().or_else(|| self.known()) {
                return (now() < self.until).then_some(node);
            }
            if now() >= self.until {
                return None;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Who leads, as local replicas know; where none of them runs, one node after the other of those that hold the
    /// shard, who then lead it or say who does.
    fn known(&self) -> Option<NodeId> {
        let members = self.cluster.members();
        if let Some(leader) = members.leader(self.shard) {
            return Some(leader);
        }
        if members.replicas(self.shard).iter().any(|replica| replica.failed().is_none()) {
            return None;
        }
        let catalog = self.cluster.directory().catalog();
        let places = &catalog.shard(self.shard)?.replicas;
        let elsewhere = places.iter().map(|place| place.node).filter(|node| members.host(*node).is_none());
        let elsewhere: Vec<NodeId> = elsewhere.collect();
        let turn = (self.attempts as usize).checked_rem(elsewhere.len())?;
        Some(elsewhere[turn])
    }

    /// Takes a hint from a refusal, unless it points back at the node that refused.
    fn refused(&mut self, by: NodeId, leader: Option<NodeId>) {
        self.hint = leader.filter(|node| *node != by && !self.attempts.is_multiple_of(4));
    }

    fn gave_up(&self) -> ClusterError {
        ClusterError::NotDone(format!("shard {} has no leader that answers", self.shard))
    }
}

/// Applies a command on the shard.
pub(crate) async fn write(
    cluster: &RaftCluster,
    shard: ShardId,
    command: &Command,
    size: usize,
    deadline: Instant,
) -> Result<Reply, ClusterError> {
    // The common case first: the leader is here, and no clock is asked.
    if let Some(replica) = cluster.members().leading(shard) {
        match propose_by(replica.propose(command.clone(), size), deadline).await {
            Err(ProposeError::NotProposed { .. } | ProposeError::Stopped(_)) => {}
            other => return other.map_err(write_error),
        }
    }
    let mut course = Course::new(cluster, shard, deadline);
    while let Some(node) = course.next().await {
        match propose_by(cluster.members().write_on(node, shard, command, size, deadline), deadline).await {
            Err(ProposeError::NotProposed { leader }) => course.refused(node, leader),
            Err(ProposeError::Stopped(_)) => course.refused(node, None),
            other => return other.map_err(write_error),
        }
    }
    Err(course.gave_up())
}

async fn propose_by(
    attempt: impl Future<Output = Result<Reply, ProposeError>>,
    deadline: Instant,
) -> Result<Reply, ProposeError> {
    tokio::time::timeout_at(deadline.into(), attempt)
        .await
        .unwrap_or_else(|_| Err(ProposeError::Unknown("no answer by the deadline".into())))
}

fn write_error(error: ProposeError) -> ClusterError {
    match error {
        ProposeError::Unknown(why) => ClusterError::Unknown(why),
        ProposeError::NotProposed { .. } | ProposeError::Overloaded | ProposeError::Stopped(_) => {
            ClusterError::NotDone(error.to_string())
        }
    }
}

/// Runs a plan on the shard's leader.
pub(crate) async fn read_strong(
    cluster: &RaftCluster,
    shard: ShardId,
    consistency: Consistency,
    plan: &Plan,
    deadline: Instant,
) -> Result<ReadReply, ClusterError> {
    if let Some(replica) = cluster.members().leading(shard) {
        match read_by(replica.read(consistency, plan), deadline).await {
            Ok(reply) => return Ok(reply),
            Err(ReadError::Storage(why)) => return Err(ClusterError::Storage(why)),
            Err(ReadError::NotLeader { .. } | ReadError::Stopped(_)) => {}
        }
    }
    let mut course = Course::new(cluster, shard, deadline);
    while let Some(node) = course.next().await {
        match read_by(cluster.members().read_on(node, shard, consistency, plan, deadline), deadline).await {
            Ok(reply) => return Ok(reply),
            Err(ReadError::NotLeader { leader }) => course.refused(node, leader),
            Err(ReadError::Stopped(_)) => course.refused(node, None),
            Err(ReadError::Storage(why)) => return Err(ClusterError::Storage(why)),
        }
    }
    Err(course.gave_up())
}

async fn read_by<T>(
    attempt: impl Future<Output = Result<T, ReadError>>,
    deadline: Instant,
) -> Result<T, ReadError> {
    // A replica that cannot reach its quorum answers late or never; another one may lead by then.
    let bound = deadline.min(now() + Duration::from_secs(2));
    tokio::time::timeout_at(bound.into(), attempt).await.unwrap_or(Err(ReadError::NotLeader { leader: None }))
}

/// The index a local replica of the shard must have applied to read strongly.
pub(crate) async fn read_index(
    cluster: &RaftCluster,
    shard: ShardId,
    deadline: Instant,
) -> Result<u64, ClusterError> {
    let mut course = Course::new(cluster, shard, deadline);
    while let Some(node) = course.next().await {
        match read_by(cluster.members().read_index_on(node, shard, deadline), deadline).await {
            Ok(index) => return Ok(index),
            Err(ReadError::NotLeader { leader }) => course.refused(node, leader),
            Err(ReadError::Stopped(_)) => course.refused(node, None),
            Err(ReadError::Storage(why)) => return Err(ClusterError::Storage(why)),
        }
    }
    Err(course.gave_up())
}
