//! This process's nodes and their way to the others: one node in a server, three in `trilith dev`.
//!
//! Every question about a shard is asked of a node: a local one is asked directly, another over the transport. That
//! is all the difference between one process and many.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::future::BoxFuture;
use parking_lot::RwLock;
use trilith_consensus::{
    Consistency, Host, PeerRequest, PeerResponse, ProposeError, ReadError, Replica, ServiceHandler,
    Transport, TransportError,
};
use trilith_domain::machine::{Command, Reply};
use trilith_domain::read::{Plan, ReadReply};
use trilith_values::{NodeId, ShardId};

use crate::forward::{ForwardReply, ForwardRequest, decode, encode};
use crate::port::now;

/// How often a request that waits for another node looks whether that node still leads.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// The nodes of this process.
pub struct Members {
    hosts: RwLock<Vec<Arc<Host>>>,
    transport: Option<Arc<dyn Transport>>,
}

impl Members {
    /// `transport` reaches nodes of other processes; `None` where there are none.
    pub fn new(hosts: Vec<Arc<Host>>, transport: Option<Arc<dyn Transport>>) -> Arc<Self> {
        let members = Arc::new(Self { hosts: RwLock::new(Vec::new()), transport });
        for host in hosts {
            members.add(host);
        }
        members
    }

    /// Adds a node to this process.
    pub fn add(&self, host: Arc<Host>) {
        host.replicas().set_service(Arc::new(ForwardService { host: Arc::downgrade(&host) }));
        self.hosts.write().push(host);
    }

    /// Takes a node out of this process (its folder was replaced).
    pub fn remove(&self, node: NodeId) -> Option<Arc<Host>> {
        let mut hosts = self.hosts.write();
        let at = hosts.iter().position(|host| host.node() == node)?;
        Some(hosts.remove(at))
    }

    /// All nodes of this process.
    pub fn hosts(&self) -> Vec<Arc<Host>> {
        self.hosts.read().clone()
    }

    /// The local node with this id.
    pub fn host(&self, node: NodeId) -> Option<Arc<Host>> {
        self.hosts.read().iter().find(|host| host.node() == node).cloned()
    }

    /// Local replicas of a shard.
    pub fn replicas(&self, shard: ShardId) -> Vec<Replica> {
        self.hosts.read().iter().filter_map(|host| host.replicas().of_shard(shard)).collect()
    }

    /// The local replica that leads the shard, if one does.
    pub fn leading(&self, shard: ShardId) -> Option<Replica> {
        self.hosts.read().iter().filter_map(|host| host.replicas().of_shard(shard)).find(Replica::leads)
    }

    /// The node that leads the shard, as far as local replicas know.
    pub fn leader(&self, shard: ShardId) -> Option<NodeId> {
        let replicas = self.replicas(shard);
        if let Some(leading) = replicas.iter().find(|replica| replica.leads()) {
            return Some(leading.name().node);
        }
        replicas.iter().filter_map(Replica::leader).map(|(_, node)| node).next()
    }

    /// Whether the shard has a leader that gave a sign of life lately, as far as local replicas can tell.
    pub fn is_led(&self, shard: ShardId) -> bool {
        self.replicas(shard).iter().any(Replica::is_led)
    }

    fn local(&self, node: NodeId, shard: ShardId) -> Option<Option<Replica>> {
        let host = self.host(node)?;
        Some(host.replicas().of_shard(shard))
    }

    /// Proposes on `node`'s replica of the shard.
    pub async fn write_on(
        &self,
        node: NodeId,
        shard: ShardId,
        command: &Command,
        size: usize,
        deadline: Instant,
    ) -> Result<Reply, ProposeError> {
        match self.local(node, shard) {
            Some(Some(replica)) => replica.propose(command.clone(), size).await,
            Some(None) => Err(ProposeError::NotProposed { leader: None }),
            None => {
                let request = ForwardRequest::Write {
                    shard: shard.0,
                    command: command.clone(),
                    millis_left: u64::try_from(deadline.saturating_duration_since(now()).as_millis())
                        .unwrap_or(u64::MAX),
                };
                match self.forward(node, shard, &request, deadline).await {
                    Ok(reply) => reply.into_write(),
                    Err(TransportError::Unreachable(_)) => Err(ProposeError::NotProposed { leader: None }),
                    Err(TransportError::NoAnswer(why)) => Err(ProposeError::Unknown(why)),
                }
            }
        }
    }

    /// Reads on `node`'s replica of the shard.
    pub async fn read_on(
        &self,
        node: NodeId,
        shard: ShardId,
        consistency: Consistency,
        plan: &Plan,
        deadline: Instant,
    ) -> Result<ReadReply, ReadError> {
        match self.local(node, shard) {
            Some(Some(replica)) => replica.read(consistency, plan).await,
            Some(None) => Err(ReadError::NotLeader { leader: None }),
            None => {
                let request =
                    ForwardRequest::Read { shard: shard.0, mode: consistency.into(), plan: plan.clone() };
                match self.forward(node, shard, &request, deadline).await {
                    Ok(reply) => reply.into_read(),
                    Err(_) => Err(ReadError::NotLeader { leader: None }),
                }
            }
        }
    }

    /// Asks the leader on `node` up to where a replica must have applied to read strongly.
    pub async fn read_index_on(
        &self,
        node: NodeId,
        shard: ShardId,
        deadline: Instant,
    ) -> Result<u64, ReadError> {
        match self.local(node, shard) {
            Some(Some(replica)) => read_index(&replica).await,
            Some(None) => Err(ReadError::NotLeader { leader: None }),
            None => {
                match self.forward(node, shard, &ForwardRequest::ReadIndex { shard: shard.0 }, deadline).await
                {
                    Ok(reply) => reply.into_index(),
                    Err(_) => Err(ReadError::NotLeader { leader: None }),
                }
            }
        }
    }

    /// Ends when another node is seen to have taken the leadership over from `to`.
    async fn overtaken(&self, to: NodeId, shard: ShardId) -> NodeId {
        let before = self.leader(shard);
        loop {
            tokio::time::sleep(LOOK_AGAIN).await;
            if let Some(leader) = overtook(to, before, self.leader(shard)) {
                return leader;
            }
        }
    }

    /// One hop. A node that fell silent is given up once somebody else is seen to lead the shard.
    async fn forward(
        &self,
        node: NodeId,
        shard: ShardId,
        request: &ForwardRequest,
        deadline: Instant,
    ) -> Result<ForwardReply, TransportError> {
        let Some(transport) = &self.transport else {
            return Err(TransportError::Unreachable(format!("node {node} is not in this process")));
        };
        let call = transport.call(node, PeerRequest::Service(encode(request)));
        let answer = tokio::select! {
            biased;
            answer = tokio::time::timeout_at(deadline.into(), call) => answer.unwrap_or_else(|_| {
                Err(TransportError::NoAnswer(format!("node {node} did not answer by the deadline")))
            }),
            leader = self.overtaken(node, shard) => {
                Err(TransportError::NoAnswer(format!("node {node} did not answer, and node {leader} leads now")))
            }
        };
        match answer? {
            PeerResponse::Service(body) => {
                decode(&body).map_err(|e| TransportError::NoAnswer(format!("node {node}: {e}")))
            }
            PeerResponse::Raft(_) => {
                Err(TransportError::NoAnswer(format!("node {node} answered another question")))
            }
        }
    }
}

/// Who leads instead of `to`, to which a request was sent: a leader that is seen now and was not seen when it was sent,
/// as what was known here then may be older than the hint that named `to`.
fn overtook(to: NodeId, before: Option<NodeId>, now: Option<NodeId>) -> Option<NodeId> {
    now.filter(|now| *now != to && Some(*now) != before)
}

async fn read_index(replica: &Replica) -> Result<u64, ReadError> {
    replica.barrier(Consistency::ReadIndex).await?;
    Ok(replica.applied().index())
}

/// Answers forwards on behalf of one node.
struct ForwardService {
    host: std::sync::Weak<Host>,
}

impl ServiceHandler for ForwardService {
    fn serve(&self, _from: NodeId, body: Bytes) -> BoxFuture<'static, Result<Bytes, TransportError>> {
        let host = self.host.upgrade();
        Box::pin(async move {
            let Some(host) = host else {
                return Err(TransportError::Unreachable("the node is stopping".into()));
            };
            let request: ForwardRequest = decode(&body)
                .map_err(|e| TransportError::Unreachable(format!("the forward cannot be read: {e}")))?;
            Ok(encode(&serve(&host, request).await))
        })
    }
}

async fn serve(host: &Host, request: ForwardRequest) -> ForwardReply {
    let shard = match &request {
        ForwardRequest::Write { shard, .. }
        | ForwardRequest::Read { shard, .. }
        | ForwardRequest::ReadIndex { shard } => ShardId(*shard),
    };
    let Some(replica) = host.replicas().of_shard(shard) else {
        return ForwardReply::NotHere { leader: None };
    };
    match request {
        ForwardRequest::Write { command, millis_left, .. } => {
            let size = borsh::object_length(&command).unwrap_or(0);
            let bound = Duration::from_millis(millis_left.min(60_000));
            // Giving up drops the command if it is still waiting, and leaves its outcome unknown if it is not.
            let proposed = tokio::time::timeout(bound, replica.propose(command, size)).await;
            let unknown = || Err(ProposeError::Unknown("no answer by the sender's deadline".into()));
            ForwardReply::of_write(proposed.unwrap_or_else(|_| unknown()))
        }
        ForwardRequest::Read { mode, plan, .. } => {
            ForwardReply::of_read(replica.read(mode.into(), &plan).await)
        }
        ForwardRequest::ReadIndex { .. } => match read_index(&replica).await {
            Ok(index) => ForwardReply::Index(index),
            Err(error) => ForwardReply::of_read_error(error),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_node_is_overtaken_by_a_leader_that_is_news() {
        let (a, b, c) = (NodeId(1), NodeId(2), NodeId(3));
        assert_eq!(overtook(a, Some(a), Some(b)), Some(b));
        assert_eq!(overtook(a, None, Some(b)), Some(b));
        assert_eq!(overtook(a, Some(a), Some(a)), None, "it still leads");
        assert_eq!(overtook(a, Some(a), None), None, "nobody else does");
        assert_eq!(overtook(b, Some(a), Some(a)), None, "this node has not heard of b's election yet");
        assert_eq!(overtook(b, Some(a), Some(c)), Some(c));
    }
}
