//! Messages between processes: one multiplexed stream for each direction of a pair of nodes.
//!
//! A caller's frames carry a number; the answer comes back under the same number on the same stream, in any order.
//! The stream is opened when it is first needed and again after a failure, at most once every [`RECONNECT`]; while it
//! is down, calls fail at once as unreachable, so that the layers above can try another node. When a stream breaks,
//! every call without an answer fails as "no answer": its message may have been delivered.
//!
//! Snapshots go over a stream of their own, so that a heartbeat never waits behind a megabyte.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use futures::future::BoxFuture;
use parking_lot::{Mutex, RwLock};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Endpoint;
use trilith_proto::cluster::v1::Frame;
use trilith_proto::cluster::v1::peer_client::PeerClient;
use trilith_values::NodeId;

use crate::error::TransportError;
use crate::frame::{self, Kind};
use crate::message::RaftRequest;
use crate::network::{PeerRequest, PeerResponse, Transport};

/// Shortest time between two attempts to reach a peer.
const RECONNECT: Duration = Duration::from_millis(100);
/// How long an attempt may take.
const CONNECT: Duration = Duration::from_millis(500);
/// Frames waiting to be sent on one stream; more are refused.
const QUEUE: usize = 1_024;

type Answer = oneshot::Sender<Result<Frame, TransportError>>;

/// Where the nodes are.
pub type Addresses = Arc<RwLock<HashMap<NodeId, String>>>;

/// Messages to the other processes of a cluster.
#[derive(Clone)]
pub struct GrpcTransport {
    inner: Arc<Inner>,
}

struct Inner {
    from: NodeId,
    cluster: Bytes,
    addresses: Addresses,
    links: Mutex<HashMap<(NodeId, bool), Arc<Link>>>,
}

/// One stream to one peer.
#[derive(Default)]
struct Link {
    state: Mutex<LinkState>,
    connecting: tokio::sync::Mutex<()>,
    numbers: AtomicU64,
}

#[derive(Default)]
struct LinkState {
    open: Option<Open>,
    last_attempt: Option<(Instant, String)>,
}

#[derive(Clone)]
struct Open {
    frames: mpsc::Sender<Frame>,
    waiting: Arc<Mutex<Option<HashMap<u64, Answer>>>>,
}

impl GrpcTransport {
    /// For node `from` of the cluster with this id. `addresses` may change while it runs.
    pub fn new(from: NodeId, cluster: u128, addresses: Addresses) -> Self {
        let cluster = Bytes::copy_from_slice(&cluster.to_be_bytes());
        Self { inner: Arc::new(Inner { from, cluster, addresses, links: Mutex::default() }) }
    }

    fn link(&self, to: NodeId, bulk: bool) -> Arc<Link> {
        Arc::clone(self.inner.links.lock().entry((to, bulk)).or_default())
    }

    async fn call_frame(&self, to: NodeId, request: PeerRequest) -> Result<PeerResponse, TransportError> {
        let bulk = matches!(&request, PeerRequest::Raft { message: RaftRequest::Snapshot(_), .. });
        let kind = Kind::of(&request);
        let link = self.link(to, bulk);
        let open = self.open(&link, to).await?;
        let id = link.numbers.fetch_add(1, Ordering::Relaxed);
        let (tx, rx) = oneshot::channel();
        match open.waiting.lock().as_mut() {
            Some(waiting) => waiting.insert(id, tx),
            None => return Err(TransportError::Unreachable(format!("the stream to node {to} just broke"))),
        };
        let guard = Forget { waiting: &open.waiting, id };
        let frame = frame::request(id, self.inner.from, to, &self.inner.cluster, &request);
        if open.frames.try_send(frame).is_err() {
            return Err(TransportError::Unreachable(format!(
                "the queue to node {to} is full or its stream broke"
            )));
        }
        let answer = rx.await;
        drop(guard);
        let answer = answer.unwrap_or_else(|_| {
            Err(TransportError::NoAnswer(format!("the stream to node {to} broke before the answer came")))
        })?;
        frame::response(kind, answer)
    }

    async fn open(&self, link: &Arc<Link>, to: NodeId) -> Result<Open, TransportError> {
        if let Some(open) = link.usable() {
            return Ok(open);
        }
        let _one = link.connecting.lock().await;
        if let Some(open) = link.usable() {
            return Ok(open);
        }
        if let Some((when, why)) = &link.state.lock().last_attempt
            && when.elapsed() < RECONNECT
        {
            return Err(TransportError::Unreachable(why.clone()));
        }
        let connected = self.connect(to).await;
        let mut state = link.state.lock();
        match connected {
            Ok(open) => {
                state.open = Some(open.clone());
                Ok(open)
            }
            Err(why) => {
                state.last_attempt = Some((Instant::now(), why.clone()));
                Err(TransportError::Unreachable(why))
            }
        }
    }

    async fn connect(&self, to: NodeId) -> Result<Open, String> {
        let Some(address) = self.inner.addresses.read().get(&to).cloned() else {
            return Err(format!("the address of node {to} is not known"));
        };
        let endpoint = Endpoint::from_shared(format!("http://{address}"))
            .map_err(|e| format!("node {to}: {address} is no address: {e}"))?
            .connect_timeout(CONNECT)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(Duration::from_secs(2))
            .keep_alive_timeout(Duration::from_secs(4))
            .keep_alive_while_idle(true)
            .initial_stream_window_size(Some(4 * 1024 * 1024))
            .initial_connection_window_size(Some(8 * 1024 * 1024));
        let attempt = async {
            let channel = endpoint.connect().await.map_err(|e| e.to_string())?;
            let mut client = PeerClient::new(channel)
                .max_decoding_message_size(frame::MAX_BYTES)
                .max_encoding_message_size(frame::MAX_BYTES);
            let (frames, outgoing) = mpsc::channel(QUEUE);
            let answers = client.frames(ReceiverStream::new(outgoing)).await.map_err(|e| e.to_string())?;
            Ok::<_, String>((frames, answers.into_inner()))
        };
        let (frames, mut answers) = match tokio::time::timeout(CONNECT, attempt).await {
            Ok(Ok(streams)) => streams,
            Ok(Err(why)) => return Err(format!("node {to} at {address}: {why}")),
            Err(_) => return Err(format!("node {to} at {address} did not answer within {CONNECT:?}")),
        };
        let waiting = Arc::new(Mutex::new(Some(HashMap::<u64, Answer>::new())));
        let open = Open { frames, waiting: Arc::clone(&waiting) };
        tokio::spawn(async move {
            while let Some(Ok(frame)) = answers.next().await {
                let answer = waiting.lock().as_mut().and_then(|waiting| waiting.remove(&frame.id));
                if let Some(answer) = answer {
                    let _ = answer.send(Ok(frame));
                }
            }
            // Dropping the senders tells every caller that no answer comes.
            drop(waiting.lock().take());
        });
        Ok(open)
    }
}

impl Link {
    fn usable(&self) -> Option<Open> {
        let mut state = self.state.lock();
        let open = state.open.as_ref()?;
        if open.frames.is_closed() || open.waiting.lock().is_none() {
            state.open = None;
            return None;
        }
        Some(open.clone())
    }
}

/// Forgets a call that nobody waits for any more.
struct Forget<'a> {
    waiting: &'a Mutex<Option<HashMap<u64, Answer>>>,
    id: u64,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        if let Some(waiting) = self.waiting.lock().as_mut() {
            waiting.remove(&self.id);
        }
    }
}

impl Transport for GrpcTransport {
    fn call(
        &self,
        to: NodeId,
        request: PeerRequest,
    ) -> BoxFuture<'static, Result<PeerResponse, TransportError>> {
        let transport = self.clone();
        Box::pin(async move { transport.call_frame(to, request).await })
    }
}
