//! All replicas of one node: where messages arrive, and who is told of changes of leadership.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use openraft::error::RaftError;
use openraft::raft::AppendEntriesResponse;
use parking_lot::RwLock;
use trilith_values::{NodeId, ReplicaId, ShardId};

use crate::error::TransportError;
use crate::message::{RaftRequest, RaftResponse, transfer_refusal};
use crate::network::{Handler, PeerRequest, PeerResponse};
use crate::replica::Replica;

/// Answers messages of the layer above.
pub trait ServiceHandler: Send + Sync + 'static {
    /// Answers one opaque message.
    fn serve(&self, from: NodeId, body: Bytes) -> BoxFuture<'static, Result<Bytes, TransportError>>;
}

/// The replicas of one node.
#[derive(Default)]
pub struct Replicas {
    by_id: RwLock<BTreeMap<ReplicaId, Replica>>,
    service: RwLock<Option<Arc<dyn ServiceHandler>>>,
}

impl Replicas {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Registers a started replica.
    ///
    /// # Panics
    /// When a live replica of the same shard is here already: two would overlap in the engine.
    pub fn insert(&self, replica: Replica) {
        let mut by_id = self.by_id.write();
        let name = replica.name();
        assert!(
            by_id.values().all(|other| other.name().shard != name.shard),
            "node {} already holds a replica of shard {}",
            name.node,
            name.shard
        );
        by_id.insert(name.replica, replica);
    }

    /// Forgets a replica (stopped by the caller).
    pub fn remove(&self, id: ReplicaId) -> Option<Replica> {
        self.by_id.write().remove(&id)
    }

    /// The replica with this id.
    pub fn get(&self, id: ReplicaId) -> Option<Replica> {
        self.by_id.read().get(&id).cloned()
    }

    /// This node's replica of a shard.
    pub fn of_shard(&self, shard: ShardId) -> Option<Replica> {
        self.by_id.read().values().find(|replica| replica.name().shard == shard).cloned()
    }

    /// All of them, by id.
    pub fn all(&self) -> Vec<Replica> {
        self.by_id.read().values().cloned().collect()
    }

    /// Who answers messages of the layer above.
    pub fn set_service(&self, service: Arc<dyn ServiceHandler>) {
        *self.service.write() = Some(service);
    }

    async fn raft(&self, to: ReplicaId, message: RaftRequest) -> Result<RaftResponse, TransportError> {
        let Some(replica) = self.get(to) else {
            return Err(TransportError::Unreachable(format!("replica {to} is not on this node")));
        };
        deliver(&replica, message).await
    }
}

fn stopped(error: &impl std::fmt::Display) -> TransportError {
    TransportError::Unreachable(format!("the replica is stopped: {error}"))
}

/// Hands a message to its replica. Votes pass the gate first: a replica that withholds its vote is, for that
/// question, not there.
pub(crate) async fn deliver(replica: &Replica, message: RaftRequest) -> Result<RaftResponse, TransportError> {
    let raft = replica.raft();
    match message {
        RaftRequest::Append(request) => {
            let response = raft.append_entries(request).await.map_err(|e| stopped(&e))?;
            if !matches!(response, AppendEntriesResponse::HigherVote(_)) {
                replica.heard_leader();
            }
            Ok(RaftResponse::Append(response))
        }
        RaftRequest::Vote(request) => {
            if !request.leadership_transfer {
                check_gate(replica)?;
            }
            raft.vote(request).await.map(RaftResponse::Vote).map_err(|e| stopped(&e))
        }
        RaftRequest::PreVote(request) => {
            check_gate(replica)?;
            raft.pre_vote(request).await.map(RaftResponse::Vote).map_err(|e| stopped(&e))
        }
        RaftRequest::Transfer(request) => {
            if replica.stands_aside() {
                return Err(TransportError::Unreachable("this node leads nothing: its clock is off".into()));
            }
            let outcome = raft.handle_transfer_leader(request).await.map_err(|e| stopped(&e))?;
            Ok(RaftResponse::Transfer(outcome.map_err(|refusal| transfer_refusal(&refusal))))
        }
        RaftRequest::Snapshot(chunk) => {
            let received = replica.receiver().accept(chunk);
            let whole =
                received.map_err(|e| TransportError::Unreachable(format!("snapshot chunk refused: {e}")))?;
            let Some((vote, snapshot)) = whole else { return Ok(RaftResponse::Snapshot(None)) };
            match raft.install_full_snapshot(vote, snapshot).await {
                Ok(response) => Ok(RaftResponse::Snapshot(Some(response.vote))),
                Err(error) => Err(stopped(&RaftError::<_, openraft::error::Infallible>::from(error))),
            }
        }
    }
}

fn check_gate(replica: &Replica) -> Result<(), TransportError> {
    match replica.gate().remaining() {
        None => Ok(()),
        Some(wait) => {
            Err(TransportError::Unreachable(format!("the vote is withheld for {wait:?} after a start")))
        }
    }
}

impl Handler for Arc<Replicas> {
    fn handle(
        &self,
        from: NodeId,
        request: PeerRequest,
    ) -> BoxFuture<'static, Result<PeerResponse, TransportError>> {
        let node = Arc::clone(self);
        Box::pin(async move {
            match request {
                PeerRequest::Raft { to, message } => node.raft(to, message).await.map(PeerResponse::Raft),
                PeerRequest::Service(body) => {
                    let service = node.service.read().clone();
                    match service {
                        Some(service) => service.serve(from, body).await.map(PeerResponse::Service),
                        None => Err(TransportError::Unreachable("the node is starting".into())),
                    }
                }
            }
        })
    }
}
