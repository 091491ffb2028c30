//! How replicas reach each other: openraft's network on top of a [`Transport`] that others implement.
//!
//! A transport carries one message to a node and brings its answer. It may lose either; it never alters, and never
//! delivers to another replica than the one named. In one process it is a function call, between processes a
//! multiplexed stream for each pair of nodes, in the simulation a model with delays, losses and cuts.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use openraft::error::{NetworkError, RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::{Backoff, RPCOption};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest, VoteResponse,
};
use openraft::{AnyError, RaftNetworkFactory, RaftNetworkV2};
use trilith_values::{NodeId, ReplicaId};

use crate::error::TransportError;
use crate::message::{RaftRequest, RaftResponse, SnapshotChunk};
use crate::snapshot::SnapshotData;
use crate::types::{Place, SnapshotMeta, TypeConfig, Vote};

/// How long a snapshot's sender waits until a chunk is staged, before it begins anew: a chunk that was lost must not
/// hold up a laggard for as long as a whole install may take.
const CHUNK_PATIENCE: Duration = Duration::from_secs(5);

/// A message to a node.
#[derive(Clone, Debug)]
pub enum PeerRequest {
    /// For one of its replicas.
    Raft {
        /// The addressee; another replica never answers for it.
        to: ReplicaId,
        /// The message.
        message: RaftRequest,
    },
    /// For the layer above (forwarded commands and reads); opaque here.
    Service(Bytes),
}

/// The answer of the same kind.
#[derive(Clone, Debug)]
pub enum PeerResponse {
    /// From the replica.
    Raft(RaftResponse),
    /// From the layer above.
    Service(Bytes),
}

/// Carries messages between nodes.
pub trait Transport: Send + Sync + 'static {
    /// Delivers `request` to node `to` and returns its answer. Dropping the future gives up waiting.
    fn call(
        &self,
        to: NodeId,
        request: PeerRequest,
    ) -> BoxFuture<'static, Result<PeerResponse, TransportError>>;
}

/// What a node does with messages that arrive.
pub trait Handler: Send + Sync + 'static {
    /// Answers one message of node `from`.
    fn handle(
        &self,
        from: NodeId,
        request: PeerRequest,
    ) -> BoxFuture<'static, Result<PeerResponse, TransportError>>;
}

/// Makes a client for each peer replica of one group.
pub(crate) struct Network {
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) transfers: Arc<AtomicU64>,
}

impl RaftNetworkFactory<TypeConfig> for Network {
    type Network = PeerClient;

    async fn new_client(&mut self, target: u64, place: &Place) -> PeerClient {
        PeerClient {
            to: ReplicaId(target),
            node: NodeId(place.node),
            transport: Arc::clone(&self.transport),
            transfers: Arc::clone(&self.transfers),
        }
    }
}

/// Speaks to one peer replica.
pub(crate) struct PeerClient {
    to: ReplicaId,
    node: NodeId,
    transport: Arc<dyn Transport>,
    transfers: Arc<AtomicU64>,
}

type RpcResult<T> = Result<T, RPCError<TypeConfig>>;

fn rpc_error(error: TransportError) -> RPCError<TypeConfig> {
    match error {
        TransportError::Unreachable(_) => RPCError::Unreachable(Unreachable::new(&error)),
        TransportError::NoAnswer(_) => RPCError::Network(NetworkError::new(&error)),
    }
}

fn wrong_kind() -> RPCError<TypeConfig> {
    RPCError::Network(NetworkError::new(&AnyError::error(
        "the peer's answer is of another kind than the request",
    )))
}

impl PeerClient {
    async fn call(&self, message: RaftRequest, ttl: Duration) -> RpcResult<RaftResponse> {
        let request = PeerRequest::Raft { to: self.to, message };
        let call = self.transport.call(self.node, request);
        match tokio::time::timeout(ttl, call).await {
            Ok(Ok(PeerResponse::Raft(response))) => Ok(response),
            Ok(Ok(PeerResponse::Service(_))) => Err(wrong_kind()),
            Ok(Err(error)) => Err(rpc_error(error)),
            Err(_) => Err(rpc_error(TransportError::NoAnswer(format!(
                "node {} did not answer within {ttl:?}",
                self.node
            )))),
        }
    }

    async fn vote_call(&self, message: RaftRequest, ttl: Duration) -> RpcResult<VoteResponse<TypeConfig>> {
        match self.call(message, ttl).await? {
            RaftResponse::Vote(response) => Ok(response),
            _ => Err(wrong_kind()),
        }
    }
}

impl RaftNetworkV2<TypeConfig> for PeerClient {
    type SnapshotData = SnapshotData;

    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<TypeConfig>,
        option: RPCOption,
    ) -> RpcResult<AppendEntriesResponse<TypeConfig>> {
        match self.call(RaftRequest::Append(rpc), option.hard_ttl()).await? {
            RaftResponse::Append(response) => Ok(response),
            _ => Err(wrong_kind()),
        }
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> RpcResult<VoteResponse<TypeConfig>> {
        self.vote_call(RaftRequest::Vote(rpc), option.hard_ttl()).await
    }

    async fn pre_vote(
        &mut self,
        rpc: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> RpcResult<VoteResponse<TypeConfig>> {
        self.vote_call(RaftRequest::PreVote(rpc), option.hard_ttl()).await
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: openraft::type_config::alias::SnapshotOf<TypeConfig, SnapshotData>,
        cancel: impl Future<Output = ReplicationClosed> + Send + 'static,
        option: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        tokio::select! {
            biased;
            closed = cancel => Err(StreamingError::Closed(closed)),
            sent = self.send_snapshot(vote, snapshot.meta, snapshot.snapshot, option.hard_ttl()) => sent,
        }
    }

    async fn transfer_leader(
        &mut self,
        req: TransferLeaderRequest<TypeConfig>,
        option: RPCOption,
    ) -> RpcResult<TransferLeaderResponse<TypeConfig>> {
        match self.call(RaftRequest::Transfer(req), option.hard_ttl()).await? {
            RaftResponse::Transfer(Ok(())) => Ok(Ok(())),
            RaftResponse::Transfer(Err(refusal)) => {
                Err(RPCError::Network(NetworkError::new(&AnyError::error(refusal))))
            }
            _ => Err(wrong_kind()),
        }
    }

    fn backoff(&self) -> Option<Backoff> {
        Some(Backoff::new(std::iter::repeat(Duration::from_millis(100))))
    }
}

impl PeerClient {
    async fn send_snapshot(
        &self,
        vote: Vote,
        meta: SnapshotMeta,
        data: SnapshotData,
        ttl: Duration,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        let transfer = self.transfers.fetch_add(1, Ordering::Relaxed);
        let unreadable = |error: io::Error| StreamingError::Unreachable(Unreachable::new(&error));
        let mut reader = data.reader().map_err(unreadable)?;
        let mut sequence = 0;
        let mut rows_total = 0;
        loop {
            let (rows, last) = reader.next_chunk().map_err(unreadable)?;
            rows_total += rows.len() as u64;
            let chunk = SnapshotChunk {
                vote: (&vote).into(),
                meta: (&meta).into(),
                transfer,
                sequence,
                rows,
                last,
                rows_total,
            };
            sequence += 1;
            // Only the last answer waits for the install.
            let patience = if last { ttl } else { ttl.min(CHUNK_PATIENCE) };
            let response =
                self.call(RaftRequest::Snapshot(chunk), patience).await.map_err(|error| match error {
                    RPCError::Unreachable(e) => StreamingError::Unreachable(e),
                    RPCError::Network(e) => StreamingError::Network(e),
                    other => StreamingError::Network(NetworkError::new(&other)),
                })?;
            match (response, last) {
                (RaftResponse::Snapshot(Some(vote)), _) => return Ok(SnapshotResponse::new(vote)),
                (RaftResponse::Snapshot(None), false) => {}
                _ => {
                    return Err(StreamingError::Network(NetworkError::new(&AnyError::error(
                        "the peer did not confirm the snapshot",
                    ))));
                }
            }
        }
    }
}
