//! Connections: accepted from several listeners, counted, and bounded.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, Fuse, FusedFuture};
use futures::stream::{self, Stream, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tonic::transport::server::{Connected, TcpConnectInfo};

use crate::metrics::Metrics;

/// After an accept that failed (too many open files, mostly): time for others to close.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Where connections come in: it knows how many there are, and can close them all.
pub struct Door {
    max: u32,
    places: Arc<Semaphore>,
    metrics: Arc<Metrics>,
    closed: watch::Sender<bool>,
}

impl Door {
    /// A door that lets in `max` connections at one time.
    pub fn new(max: u32, metrics: Arc<Metrics>) -> Arc<Self> {
        let places = Arc::new(Semaphore::new(max as usize));
        Arc::new(Self { max, places, metrics, closed: watch::Sender::new(false) })
    }

    /// The connections of all listeners; one too many is closed at once. Never ends.
    pub fn incoming(
        self: &Arc<Self>,
        listeners: Vec<TcpListener>,
    ) -> impl Stream<Item = io::Result<Connection>> + use<> {
        let door = Arc::clone(self);
        let accepted = stream::select_all(listeners.into_iter().map(|listener| {
            Box::pin(stream::unfold(
                listener,
                |listener| async move { Some((accept(&listener).await, listener)) },
            ))
        }));
        accepted.filter_map(move |stream| std::future::ready(door.admit(stream).map(Ok)))
    }

    /// Closes what is open, and waits until it is.
    pub async fn close(&self) {
        self.closed.send_replace(true);
        // Closed semaphores do not occur: nobody closes this one.
        drop(self.places.acquire_many(self.max).await);
    }

    fn admit(&self, stream: TcpStream) -> Option<Connection> {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            self.metrics.refused.inc();
            return None;
        };
        // Without it a small answer waits for the client's acknowledgement. Not vital, so no reason to refuse.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY could not be set");
        }
        let mut closed = self.closed.subscribe();
        let closed = async move {
            // An error means that the door is gone, and with it whoever could close this.
            if closed.wait_for(|closed| *closed).await.is_err() {
                std::future::pending().await
            }
        };
        self.metrics.connections.inc();
        let closed = closed.boxed().fuse();
        Some(Connection { stream, closed, metrics: Arc::clone(&self.metrics), _place: place })
    }
}

/// The listener's next connection; an accept that fails is tried again.
async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            Err(error) => {
                tracing::warn!(%error, "a gRPC connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// An open connection that holds its place until it is dropped.
pub struct Connection {
    stream: TcpStream,
    /// Done when the door closes. HTTP/2 always reads, so it is enough that reading ends then.
    closed: Fuse<BoxFuture<'static, ()>>,
    metrics: Arc<Metrics>,
    _place: OwnedSemaphorePermit,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.metrics.connections.dec();
    }
}

impl Connected for Connection {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.stream.connect_info()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.closed.is_terminated() || self.closed.poll_unpin(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
