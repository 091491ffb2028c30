//! The HTTP listener: DynamoDB's JSON protocol over HTTP/1.1.
//!
//! One task per connection, one request at a time on each (a pipelined one waits in the socket). What a client may
//! take from the server is bounded everywhere: connections, header and body bytes, bytes of all bodies together, the
//! time a head, a body or the reading of an answer may take. [`stream`] watches the socket, [`body`] reads bodies,
//! [`handle`] does requests, [`answer`] shapes responses.
//!
//! Absent on purpose: HTTP/2 (SDKs of this protocol do not speak it; gRPC has its own port), TLS, and the
//! verification of signatures: a request may be signed by any key, for any region, or not at all.

mod answer;
mod body;
mod handle;
mod origin;
mod stream;
#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

use crate::budget::Budget;
use crate::metrics::{MetricsSource, Samples};
use crate::pipeline::Pipeline;
use stream::{Guarded, Phase, Watch};

/// Bounds of the listener. The defaults are the service's where it has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Longest request body in bytes, as sent and also after decompression.
    pub max_body: usize,
    /// Longest request line and headers in bytes.
    pub max_header: usize,
    /// Bytes of all bodies in memory at once, over all connections.
    pub max_bodies: usize,
    /// Open connections at once; those beyond are answered 503 and closed.
    pub max_connections: u32,
    /// Within this, a request's head must be complete once its first byte came.
    pub head_timeout: Duration,
    /// Within this, a request's body must be complete, plus what `body_rate` allows.
    pub body_timeout: Duration,
    /// Bytes per second that extend `body_timeout`: a large body may take longer, a trickle may not.
    pub body_rate: usize,
    /// How long a connection may stand without a request.
    pub idle_timeout: Duration,
    /// How long a client may leave an answer unread.
    pub write_timeout: Duration,
    /// Answers of at least so many bytes are compressed for clients that accept it.
    pub gzip_from: usize,
    /// How long requests in flight may take to end once the server stops.
    pub drain: Duration,
    /// Origins besides loopback whose pages may send requests, such as `https://console.example.com`.
    pub trusted_origins: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_body: 16 * 1024 * 1024,
            max_header: 16 * 1024,
            max_bodies: 64 * 1024 * 1024,
            max_connections: 10_000,
            head_timeout: Duration::from_secs(15),
            body_timeout: Duration::from_secs(20),
            body_rate: 64 * 1024,
            idle_timeout: Duration::from_secs(15 * 60),
            write_timeout: Duration::from_secs(30),
            gzip_from: 8 * 1024,
            drain: Duration::from_secs(10),
            trusted_origins: Vec::new(),
        }
    }
}

/// Read buffer of a connection: holds any head, and large bodies come in few pieces.
const READ_BUFFER: usize = 64 * 1024;
/// Pause after an accept that failed for want of file descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// What a connection beyond the maximum is told.
const TOO_MANY: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\nRetry-After: 1\r\n\r\n";

/// What every connection shares.
#[derive(Debug)]
struct Door {
    pipeline: Arc<Pipeline>,
    settings: Settings,
    budget: Arc<Budget>,
    places: Arc<Semaphore>,
}

/// How far the stop has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Serving,
    /// Requests in flight end, no new ones begin.
    Draining,
    /// Whatever is left is dropped.
    Stopped,
}

/// Serves `listeners` until `shutdown` completes; then closes them, lets requests in flight end for as long as
/// `settings.drain`, and returns when no connection is left.
pub async fn serve(
    listeners: Vec<TcpListener>,
    pipeline: Arc<Pipeline>,
    settings: Settings,
    shutdown: impl Future<Output = ()> + Send,
) {
    let budget = Budget::new(settings.max_bodies);
    pipeline.metrics().add_source(Arc::new(BodyBytes(Arc::clone(&budget))));
    let places = Arc::new(Semaphore::new(settings.max_connections as usize));
    let door = Arc::new(Door { pipeline, settings, budget, places });
    let (stage, watching) = watch::channel(Stage::Serving);
    let mut accepting = JoinSet::new();
    for listener in listeners {
        accepting.spawn(accept(listener, Arc::clone(&door), watching.clone()));
    }
    shutdown.await;
    stage.send_replace(Stage::Draining);
    while accepting.join_next().await.is_some() {}
    if tokio::time::timeout(door.settings.drain, all_closed(&door)).await.is_err() {
        let left = door.settings.max_connections as usize - door.places.available_permits();
        tracing::warn!(
            connections = left,
            "connections were still busy after the drain time and are dropped"
        );
        stage.send_replace(Stage::Stopped);
        all_closed(&door).await;
    }
}

/// Waits until every connection has given its place back.
async fn all_closed(door: &Door) {
    // Closed semaphores do not occur: nobody closes this one.
    drop(door.places.acquire_many(door.settings.max_connections).await);
}

/// Accepts connections until the server drains.
async fn accept(listener: TcpListener, door: Arc<Door>, mut stage: watch::Receiver<Stage>) {
    loop {
        let accepted = tokio::select! {
            _ = stage.wait_for(|stage| *stage != Stage::Serving) => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => match Arc::clone(&door.places).try_acquire_owned() {
                Ok(place) => {
                    let connection = connection(stream, peer, Arc::clone(&door), stage.clone(), place);
                    tokio::spawn(connection);
                }
                Err(_) => {
                    door.pipeline.metrics().refused.inc();
                    // Best effort: the socket is fresh, so this fits its buffer.
                    let _ = stream.try_write(TOO_MANY);
                }
            },
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Serves one connection to its end.
async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    door: Arc<Door>,
    mut stage: watch::Receiver<Stage>,
    place: OwnedSemaphorePermit,
) {
    let open = door.pipeline.metrics().connections.clone();
    open.inc();
    // Without it a small answer may wait for an acknowledgement; where it fails the connection still works.
    let _ = stream.set_nodelay(true);
    let watch = Arc::new(Watch::default());
    let guarded = Guarded::new(stream, Arc::clone(&watch), &door.settings);
    let service = service_fn(|request| {
        let busy = watch.enter(Phase::Busy);
        let door = Arc::clone(&door);
        async move {
            let answer = handle::handle(&door, request).await;
            drop(busy);
            Ok::<_, Infallible>(answer)
        }
    });
    let mut connection = std::pin::pin!(
        http1::Builder::new()
            .max_header_size(door.settings.max_header)
            .max_buf_size(READ_BUFFER.max(door.settings.max_header))
            .header_read_timeout(None)
            .serve_connection(TokioIo::new(guarded), service)
    );
    let mut draining = false;
    let ended = loop {
        tokio::select! {
            ended = connection.as_mut() => break ended,
            stage = stage.wait_for(|stage| *stage == Stage::Stopped || !draining && *stage == Stage::Draining) => {
                match stage.as_deref() {
                    Ok(Stage::Draining) => {
                        draining = true;
                        connection.as_mut().graceful_shutdown();
                    }
                    _ => break Ok(()),
                }
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%peer, %error, "connection ended early");
    }
    open.dec();
    drop(place);
}

/// Shows the bytes held by bodies.
struct BodyBytes(Arc<Budget>);

impl MetricsSource for BodyBytes {
    fn samples(&self, into: &mut Samples) {
        let help = "Bytes of request bodies and answers in memory";
        into.gauge("trilith_body_bytes_in_flight", help, &[], self.0.used() as f64);
    }
}
