//! A message as a frame of the stream between two nodes, and back.

use std::sync::Arc;

use bytes::Bytes;
use trilith_proto::cluster::v1::Frame;
use trilith_values::{NodeId, ReplicaId};

use crate::error::TransportError;
use crate::message::{decode_request, decode_response, encode_request, encode_response};
use crate::network::{Handler, PeerRequest, PeerResponse};
use crate::node::Replicas;

/// The largest frame: an append of many large entries, or a snapshot chunk with one large row.
pub const MAX_BYTES: usize = 64 * 1024 * 1024;

const KIND_SERVICE: u32 = 1;
const KIND_RAFT: u32 = 2;
const REPLICA_BYTES: usize = 8;

/// What kind of message a frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Service,
    Raft,
}

impl Kind {
    pub(crate) fn of(request: &PeerRequest) -> Self {
        match request {
            PeerRequest::Raft { .. } => Self::Raft,
            PeerRequest::Service(_) => Self::Service,
        }
    }

    fn tag(self) -> u32 {
        match self {
            Self::Service => KIND_SERVICE,
            Self::Raft => KIND_RAFT,
        }
    }
}

/// The frame of a request. A raft message is preceded by the replica it is for.
pub(crate) fn request(id: u64, from: NodeId, to: NodeId, cluster: &Bytes, request: &PeerRequest) -> Frame {
    let body = match request {
        PeerRequest::Service(body) => body.clone(),
        PeerRequest::Raft { to, message } => {
            let message = encode_request(message);
            let mut body = Vec::with_capacity(REPLICA_BYTES + message.len());
            body.extend_from_slice(&to.0.to_be_bytes());
            body.extend_from_slice(&message);
            body.into()
        }
    };
    Frame {
        id,
        kind: Kind::of(request).tag(),
        is_reply: false,
        body,
        error: String::new(),
        from_node: from.0,
        to_node: to.0,
        cluster_id: cluster.clone(),
    }
}

/// The response that an answering frame carries.
pub(crate) fn response(kind: Kind, frame: Frame) -> Result<PeerResponse, TransportError> {
    if !frame.error.is_empty() {
        return Err(TransportError::Unreachable(frame.error));
    }
    match kind {
        Kind::Service => Ok(PeerResponse::Service(frame.body)),
        Kind::Raft => decode_response(&frame.body)
            .map(PeerResponse::Raft)
            .map_err(|e| TransportError::NoAnswer(format!("the peer's answer cannot be read: {e}"))),
    }
}

/// Answers one frame that arrived: for this cluster and this node, or refused with the reason.
pub async fn answer(replicas: &Arc<Replicas>, node: NodeId, cluster: &Bytes, frame: Frame) -> Frame {
    let id = frame.id;
    let kind = frame.kind;
    let handled = handle(replicas, node, cluster, frame).await;
    let (body, error) = match handled {
        Ok(PeerResponse::Service(body)) => (body, String::new()),
        Ok(PeerResponse::Raft(response)) => (encode_response(&response), String::new()),
        Err(error) => (Bytes::new(), error.to_string()),
    };
    Frame {
        id,
        kind,
        is_reply: true,
        body,
        error,
        from_node: node.0,
        to_node: 0,
        cluster_id: cluster.clone(),
    }
}

/// Whether a frame carries a message between replicas.
pub(crate) fn is_raft(frame: &Frame) -> bool {
    frame.kind == KIND_RAFT
}

/// The answer to a frame that is not looked at.
pub(crate) fn refuse(frame: &Frame, node: NodeId, why: &str) -> Frame {
    Frame {
        id: frame.id,
        kind: frame.kind,
        is_reply: true,
        body: Bytes::new(),
        error: why.to_owned(),
        from_node: node.0,
        to_node: frame.from_node,
        cluster_id: frame.cluster_id.clone(),
    }
}

async fn handle(
    replicas: &Arc<Replicas>,
    node: NodeId,
    cluster: &Bytes,
    frame: Frame,
) -> Result<PeerResponse, TransportError> {
    let refuse = |why: String| Err(TransportError::Unreachable(why));
    if frame.cluster_id != *cluster {
        return refuse("the message is for another cluster".into());
    }
    if frame.to_node != node.0 {
        return refuse(format!("the message is for node {}, this is node {node}", frame.to_node));
    }
    let from = NodeId(frame.from_node);
    let request = match frame.kind {
        KIND_SERVICE => PeerRequest::Service(frame.body),
        KIND_RAFT => {
            let Some((to, message)) = frame.body.split_at_checked(REPLICA_BYTES) else {
                return refuse("the message is too short".into());
            };
            let to = ReplicaId(u64::from_be_bytes(to.try_into().expect("eight bytes")));
            match decode_request(message) {
                Ok(message) => PeerRequest::Raft { to, message },
                Err(e) => return refuse(format!("the message cannot be read: {e}")),
            }
        }
        other => return refuse(format!("messages of kind {other} are unknown here")),
    };
    replicas.handle(from, request).await
}
