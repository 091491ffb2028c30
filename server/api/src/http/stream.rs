//! A client's socket with the patience for it: idle time, time for a head, time for the reading of an answer.
//!
//! hyper has one timer for heads, which also runs while a connection is idle; SDKs keep connections for minutes and a
//! slow head should end after seconds, so the socket keeps time itself. It sees bytes, the connection's task tells it
//! when a request is being worked on ([`Watch`]). Bodies have a timer of their own (see [`super::body`]).
//!
//! Timers are lazy: a request moves a deadline, and only a timer that fires early is set anew.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};

use super::Settings;

/// What a connection is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Phase {
    /// Between requests.
    #[default]
    Idle,
    /// Bytes of a head have come.
    Head,
    /// A request is being read or worked on.
    Busy,
}

/// The phase, shared by the socket and the connection's task.
#[derive(Debug, Default)]
pub(super) struct Watch(AtomicU8);

impl Watch {
    fn phase(&self) -> Phase {
        match self.0.load(Ordering::Relaxed) {
            0 => Phase::Idle,
            1 => Phase::Head,
            _ => Phase::Busy,
        }
    }

    fn set(&self, phase: Phase) {
        self.0.store(phase as u8, Ordering::Relaxed);
    }

    /// Enters a phase; idle again when what is returned is dropped.
    pub(super) fn enter(self: &Arc<Self>, phase: Phase) -> Within {
        self.set(phase);
        Within(Arc::clone(self))
    }
}

/// See [`Watch::enter`].
#[derive(Debug)]
pub(super) struct Within(Arc<Watch>);

impl Drop for Within {
    fn drop(&mut self) {
        self.0.set(Phase::Idle);
    }
}

/// A deadline that may be moved often and cheaply.
#[derive(Debug, Default)]
struct Timer {
    wanted: Option<Instant>,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Timer {
    fn set(&mut self, after: Duration) {
        self.wanted = Some(Instant::now() + after);
    }

    fn clear(&mut self) {
        self.wanted = None;
    }

    /// Ready when the deadline has passed; else the task is woken when it does.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(wanted) = self.wanted else {
            return Poll::Pending;
        };
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(wanted)));
        if sleep.deadline() > wanted {
            sleep.as_mut().reset(wanted);
        }
        while sleep.as_mut().poll(cx).is_ready() {
            if sleep.deadline() >= wanted {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(wanted);
        }
        Poll::Pending
    }
}

/// The socket.
#[derive(Debug)]
pub(super) struct Guarded {
    stream: TcpStream,
    watch: Arc<Watch>,
    idle: Duration,
    head: Duration,
    write: Duration,
    timed: Option<Phase>,
    reading: Timer,
    writing: Timer,
}

impl Guarded {
    pub(super) fn new(stream: TcpStream, watch: Arc<Watch>, settings: &Settings) -> Self {
        Self {
            stream,
            watch,
            idle: settings.idle_timeout,
            head: settings.head_timeout,
            write: settings.write_timeout,
            timed: None,
            reading: Timer::default(),
            writing: Timer::default(),
        }
    }

    /// Starts the timer that the phase asks for, unless it runs.
    fn time(&mut self, phase: Phase) {
        if self.timed == Some(phase) {
            return;
        }
        self.timed = Some(phase);
        match phase {
            Phase::Idle => self.reading.set(self.idle),
            Phase::Head => self.reading.set(self.head),
            Phase::Busy => self.reading.clear(),
        }
    }

    /// Lets a write wait only so long.
    fn limit<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.writing.clear();
            return written;
        }
        if self.writing.wanted.is_none() {
            self.writing.set(self.write);
        }
        self.writing.poll(cx).map(|()| Err(too_slow("the client does not read its answer")))
    }
}

fn too_slow(text: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, text)
}

impl AsyncRead for Guarded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        let mut phase = self.watch.phase();
        match read {
            Poll::Ready(result) => {
                if phase == Phase::Idle && buffer.filled().len() > before {
                    phase = Phase::Head;
                    self.watch.set(phase);
                    self.time(phase);
                }
                Poll::Ready(result)
            }
            Poll::Pending => {
                self.time(phase);
                self.reading.poll(cx).map(|()| Err(too_slow("no request came in time")))
            }
        }
    }
}

impl AsyncWrite for Guarded {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.limit(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        self.limit(cx, written)
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
