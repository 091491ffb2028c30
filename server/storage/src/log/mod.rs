//! The raft log of a node: one sequence of files for all its shards, one writer, one fsync for all who wait.
//!
//! # The idea
//!
//! Every replica on the node has a log of its own, a [`LogHandle`]: entries, a vote, a purge note, a commit note. All
//! of them are frames in one stream of segments ([`frame`], [`segment`]). An operation changes the log's state in
//! memory at once ([`state`]), so an appended entry can be read as soon as the call returns, and queues its frames. The
//! [`writer`] takes whatever has been queued while its last fsync ran, writes it with one call, syncs once, and
//! answers all callers. So the busier the node, the fewer fsyncs an entry costs, and a quiet node never waits.
//!
//! ```text
//! handle.append ─┐                                    ┌─> done(Ok)
//! handle.vote  ──┼─> queue ─> write ─> fdatasync ─────┼─> done(Ok)
//! handle.purge ──┘            (one)     (one or none) └─> free, move (nobody waits)
//! ```
//!
//! # What holds
//!
//! - The frames of one log are in the order of its calls, and answers are given in that order.
//! - `append`, `truncate_after` and `save_vote` are answered once they are durable. `purge` and `save_committed` need
//!   not be durable and cause no fsync; they are never ahead of what was written before them.
//! - A write or sync that fails closes the log for good ([`StorageError::Fenced`]).
//! - A damaged frame is reported by [`RaftLog::open`] and by reads, and never passed over. Only the tail of the last
//!   segment may be torn, and only where nothing shows that it was durable ([`recover`]).
//! - The space is bounded: segments are freed oldest first when no log needs them; when there are more than twice what
//!   the live frames take (and a few), the live frames of the oldest are written again at the end, so that an idle log
//!   cannot pin all the others' history. Freed files are used again, since writing into space that a file already has
//!   makes an fsync a third cheaper.
//! - Memory is bounded too: entries stay cached up to a budget, the oldest of the node go first, and are read back
//!   from their segment when asked for.
//!
//! # What is absent
//!
//! Terms and memberships (payloads are opaque), retries, waiting for a batch to grow, and any clock beside the
//! counters' one.

mod core;
mod frame;
mod handle;
mod recover;
mod segment;
mod state;
mod stats;
mod writer;

pub use handle::{LogEntry, LogHandle};
pub use stats::{BUCKETS, LogStats};

use self::core::{Core, Log, Op, Queued};
use crate::error::StorageError;
use crate::files::Files;
use bytes::Bytes;
use parking_lot::Mutex;
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

/// Called once when an operation is durable, or has failed. It runs on the writer's thread (or, inline, on the
/// caller's) and holds up all logs of the node while it does: it must only pass the news on.
pub type Done = Box<dyn FnOnce(io::Result<()>) + Send>;

/// Who runs the writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Driver {
    /// A thread of its own.
    Thread,
    /// The thread of each call, before the call returns. For simulation: nothing happens at any other time.
    Inline,
    /// Whoever calls [`RaftLog::drive`]. For tests that need to stand between the queue and the disk.
    Manual,
}

/// Sizes of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogOptions {
    /// Bytes of a segment file, at most 1 GiB. An entry larger than that gets a segment of its own.
    pub segment_bytes: u64,
    /// Freed files kept for the next segments.
    pub spares_max: usize,
    /// Segments allowed beyond twice the live bytes, before live frames are moved out of the oldest one.
    pub segments_slack: u64,
    /// Bytes of entries cached in memory, over all logs of the node.
    pub cache_bytes: u64,
}

impl Default for LogOptions {
    fn default() -> LogOptions {
        LogOptions { segment_bytes: 64 << 20, spares_max: 1, segments_slack: 2, cache_bytes: 32 << 20 }
    }
}

impl LogOptions {
    /// For several nodes on one machine, and for files in memory: small segments and a small cache.
    pub fn compact() -> LogOptions {
        LogOptions { segment_bytes: 8 << 20, cache_bytes: 8 << 20, ..LogOptions::default() }
    }

    /// The most segments that `live` bytes of frames may take.
    fn segments_max(&self, live: u64) -> u64 {
        self.segments_slack + (2 * live).div_ceil(self.segment_bytes)
    }

    fn bounded(mut self) -> LogOptions {
        self.segment_bytes = self.segment_bytes.clamp(1 << 10, 1 << 30);
        self
    }
}

/// The log of a node. A clone is the same log; it ends with the last clone, after what is queued has been written.
#[derive(Clone)]
pub struct RaftLog {
    owner: Arc<Owner>,
}

struct Owner {
    core: Arc<Core>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl std::fmt::Debug for RaftLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RaftLog").field("logs", &self.owner.core.logs.read().len()).finish_non_exhaustive()
    }
}

impl RaftLog {
    /// Reads the log in `files` and makes it ready for writing; an empty folder becomes an empty log.
    ///
    /// # Errors
    /// [`StorageError::Corrupt`] names segment, offset and logs; [`StorageError::NewerFormat`]; [`StorageError::Io`].
    /// Nothing has been written in the first two cases.
    pub fn open(files: Arc<dyn Files>, options: LogOptions, driver: Driver) -> Result<RaftLog, StorageError> {
        let found = recover::recover(&*files)?;
        let core = Arc::new(Core::new(files, options.bounded(), driver, found)?);
        let mut thread = None;
        if driver == Driver::Thread {
            let core = Arc::clone(&core);
            let spawned =
                std::thread::Builder::new().name("trilith-log".to_owned()).spawn(move || core.run());
            thread = Some(spawned.map_err(|error| StorageError::io("starting the log's thread", error))?);
        }
        Ok(RaftLog { owner: Arc::new(Owner { core, thread: Mutex::new(thread) }) })
    }

    /// The log of replica `id`, which begins empty if there is none.
    pub fn open_log(&self, id: u64) -> LogHandle {
        let core = &self.owner.core;
        let mut logs = core.logs.write();
        let log = logs.entry(id).or_insert_with(|| Arc::new(Log { id, state: Mutex::default() }));
        LogHandle::new(Arc::clone(core), Arc::clone(log))
    }

    /// Ids of the logs that exist, ascending: those found on disk and those opened since.
    pub fn known(&self) -> Vec<u64> {
        self.owner.core.logs.read().keys().copied().collect()
    }

    /// Destroys a log. Its handles are refused from now on. A crash right after this may bring the log back: whoever
    /// destroys a replica compares [`RaftLog::known`] with its own list at the start.
    pub fn forget(&self, id: u64) {
        let core = &self.owner.core;
        let refused = {
            let mut logs = core.logs.write();
            let Some(log) = logs.remove(&id) else { return };
            core.change(&log, |state| {
                state.forget();
                let frame = Queued {
                    kind: frame::Kind::Forget,
                    index: 0,
                    birth: 0,
                    payload: Bytes::new(),
                    moved: false,
                };
                core.push(Op { log: Arc::clone(&log), frames: vec![frame], sync: true, done: None })
            })
        };
        // When the log is closed there is nothing left to destroy, and nobody to tell.
        drop(refused);
        core.kick();
    }

    /// Writes and syncs what is queued, on this thread. For [`Driver::Manual`]; harmless otherwise.
    pub fn drive(&self) {
        self.owner.core.drive();
    }

    /// The failure that closed the log, if one did.
    ///
    /// # Errors
    /// [`StorageError::Fenced`].
    pub fn check(&self) -> Result<(), StorageError> {
        self.owner.core.check()
    }

    /// Counters, for metrics.
    pub fn stats(&self) -> LogStats {
        self.owner.core.meter.snapshot(self.check().is_err())
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.core.end();
        match self.thread.lock().take() {
            // The last clone can fall in a callback, on the writer's own thread, which cannot wait for itself.
            Some(thread) if thread.thread().id() != std::thread::current().id() => {
                // A panic there has been reported by its thread; this one goes on closing.
                let _ = thread.join();
            }
            Some(_) => {}
            None => {
                self.core.close(&StorageError::Fenced { reason: "the log was closed".to_owned() });
            }
        }
    }
}

#[cfg(test)]
mod tests;
