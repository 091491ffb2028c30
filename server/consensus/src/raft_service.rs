//! Messages from other processes: the gRPC side that answers the streams of [`crate::peers`].

use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use futures::{Stream, StreamExt};
use tokio::sync::{Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};
use trilith_proto::cluster::v1::Frame;
use trilith_proto::cluster::v1::peer_server::{Peer, PeerServer};
use trilith_values::NodeId;

use crate::frame;
use crate::node::Replicas;

/// Forwards of one stream that are worked on at the same time; more are refused, and their sender tries again. Raft's
/// own messages are never held up: a heartbeat must not wait behind requests.
const AT_WORK: usize = 1_024;

/// Answers the messages of peers on behalf of one node.
pub struct PeerService {
    replicas: Arc<Replicas>,
    node: NodeId,
    cluster: Bytes,
}

impl PeerService {
    /// The service, ready to be added to a tonic server.
    pub fn server(replicas: Arc<Replicas>, node: NodeId, cluster: u128) -> PeerServer<Self> {
        let cluster = Bytes::copy_from_slice(&cluster.to_be_bytes());
        PeerServer::new(Self { replicas, node, cluster })
            .max_decoding_message_size(frame::MAX_BYTES)
            .max_encoding_message_size(frame::MAX_BYTES)
    }
}

#[tonic::async_trait]
impl Peer for PeerService {
    type FramesStream = Pin<Box<dyn Stream<Item = Result<Frame, Status>> + Send>>;

    async fn frames(
        &self,
        request: Request<Streaming<Frame>>,
    ) -> Result<Response<Self::FramesStream>, Status> {
        let mut incoming = request.into_inner();
        let (outgoing, answers) = mpsc::channel(AT_WORK);
        let (replicas, node, cluster) = (Arc::clone(&self.replicas), self.node, self.cluster.clone());
        tokio::spawn(async move {
            let at_work = Arc::new(Semaphore::new(AT_WORK));
            while let Some(Ok(frame)) = incoming.next().await {
                let permit =
                    if frame::is_raft(&frame) { None } else { Arc::clone(&at_work).try_acquire_owned().ok() };
                if permit.is_none() && !frame::is_raft(&frame) {
                    let refusal = frame::refuse(&frame, node, "too many forwards are at work here");
                    // The caller hung up; it counts the call as unanswered.
                    let _ = outgoing.send(Ok(refusal)).await;
                    continue;
                }
                let (replicas, cluster, outgoing) =
                    (Arc::clone(&replicas), cluster.clone(), outgoing.clone());
                tokio::spawn(async move {
                    let answer = frame::answer(&replicas, node, &cluster, frame).await;
                    // The caller hung up; it counts the call as unanswered.
                    let _ = outgoing.send(Ok(answer)).await;
                    drop(permit);
                });
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(answers))))
    }
}
