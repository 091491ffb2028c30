//! What the handles, the readers and the writer of a log share: the queue, the states, the open segments.
//!
//! Lock order: the map of logs, a log's state, then the queue or the map of segments. The writer's lock is outermost
//! and only ever tried, except by the writer's own thread, so a callback that queues more work cannot lock up.

use super::Done;
use super::frame::Kind;
use super::recover::Recovered;
use super::segment::{Location, Segment};
use super::state::LogState;
use super::stats::Meter;
use super::writer::Writer;
use super::{Driver, LogOptions};
use crate::error::StorageError;
use crate::files::Files;
use bytes::Bytes;
use parking_lot::{Condvar, Mutex, MutexGuard, RwLock};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// One log: its id and state.
pub(super) struct Log {
    pub(super) id: u64,
    pub(super) state: Mutex<LogState>,
}

/// Frames of one log that are written together, and whom to tell.
pub(super) struct Op {
    pub(super) log: Arc<Log>,
    pub(super) frames: Vec<Queued>,
    /// Whether the caller waits for durability.
    pub(super) sync: bool,
    pub(super) done: Option<Done>,
}

/// A frame to be written.
pub(super) struct Queued {
    pub(super) kind: Kind,
    pub(super) index: u64,
    pub(super) birth: u64,
    pub(super) payload: Bytes,
    /// Whether the frame was written before, in an older segment.
    pub(super) moved: bool,
}

impl Op {
    /// Tells the caller, if one waits.
    pub(super) fn answer(self, result: Result<(), StorageError>) {
        if let Some(done) = self.done {
            done(result.map_err(Into::into));
        }
    }

    /// Whether this may leave a segment without live frames.
    fn releases(&self) -> bool {
        self.frames.iter().any(|frame| matches!(frame.kind, Kind::Truncate | Kind::Purge | Kind::Forget))
    }
}

#[derive(Default)]
struct Queue {
    ops: Vec<Op>,
    /// Number of operations ever queued.
    ticket: u64,
    /// Why nothing is accepted any more.
    closed: Option<StorageError>,
}

pub(super) struct Core {
    pub(super) files: Arc<dyn Files>,
    pub(super) options: LogOptions,
    pub(super) driver: Driver,
    pub(super) meter: Meter,
    pub(super) segments: RwLock<BTreeMap<u64, Arc<Segment>>>,
    pub(super) logs: RwLock<BTreeMap<u64, Arc<Log>>>,
    births: AtomicU64,
    queue: Mutex<Queue>,
    wake: Condvar,
    writer: Mutex<Option<Writer>>,
}

impl Core {
    pub(super) fn new(
        files: Arc<dyn Files>,
        options: LogOptions,
        driver: Driver,
        mut found: Recovered,
    ) -> Result<Core, StorageError> {
        let logs = std::mem::take(&mut found.logs);
        let logs = logs.into_iter().map(|(id, state)| (id, Arc::new(Log { id, state: Mutex::new(state) })));
        let core = Core {
            files,
            options,
            driver,
            meter: Meter::new(),
            segments: RwLock::new(BTreeMap::new()),
            logs: RwLock::new(logs.collect()),
            births: AtomicU64::new(found.births),
            queue: Mutex::new(Queue::default()),
            wake: Condvar::new(),
            writer: Mutex::new(None),
        };
        let writer = Writer::start(&core, found)?;
        *core.writer.lock() = Some(writer);
        Ok(core)
    }

    /// A number never given before.
    pub(super) fn birth(&self) -> u64 {
        self.births.fetch_add(1, Relaxed) + 1
    }

    /// Queues an operation. The caller holds the log's lock, so that the queue has the order of the changes.
    ///
    /// # Errors
    /// The operation back, with the reason, when the log is closed.
    pub(super) fn push(&self, op: Op) -> Result<(), Box<(Op, StorageError)>> {
        let mut queue = self.queue.lock();
        if let Some(reason) = &queue.closed {
            return Err(Box::new((op, reason.clone())));
        }
        queue.ticket += 1;
        queue.ops.push(op);
        Ok(())
    }

    /// The number of operations queued so far.
    pub(super) fn newest_ticket(&self) -> u64 {
        self.queue.lock().ticket
    }

    /// # Errors
    /// [`StorageError::Fenced`] once the log is closed.
    pub(super) fn check(&self) -> Result<(), StorageError> {
        self.queue.lock().closed.clone().map_or(Ok(()), Err)
    }

    /// Sees to it that what was queued gets written. Called without any lock.
    pub(super) fn kick(&self) {
        match self.driver {
            Driver::Thread => {
                self.wake.notify_one();
            }
            Driver::Inline => self.drive(),
            Driver::Manual => {}
        }
    }

    /// Writes all that is queued on the calling thread. Does nothing if another call is at it; that one will see to it.
    pub(super) fn drive(&self) {
        loop {
            let Some(mut writer) = self.writer.try_lock() else {
                return;
            };
            self.step_all(&mut writer);
            drop(writer);
            // What was queued between the last look and the unlocking found the lock taken, and relies on us.
            if self.queue.lock().ops.is_empty() {
                return;
            }
        }
    }

    /// The writer's thread: until the log is closed and all is written.
    pub(super) fn run(&self) {
        let mut writer = self.writer.lock();
        loop {
            {
                let mut queue = self.queue.lock();
                while queue.ops.is_empty() {
                    if queue.closed.is_some() {
                        return;
                    }
                    self.wake.wait(&mut queue);
                }
            }
            self.step_all(&mut writer);
        }
    }

    fn step_all(&self, writer: &mut MutexGuard<'_, Option<Writer>>) {
        if let Some(writer) = writer.as_mut() {
            while self.step(writer) {}
        }
    }

    /// Writes and answers what waits. False when nothing did.
    fn step(&self, writer: &mut Writer) -> bool {
        let (batch, ticket) = {
            let mut queue = self.queue.lock();
            (std::mem::take(&mut queue.ops), queue.ticket)
        };
        if batch.is_empty() {
            return false;
        }
        let released = batch.iter().any(Op::releases);
        match writer.write(self, &batch, ticket) {
            Ok(()) => {
                batch.into_iter().for_each(|op| op.answer(Ok(())));
                // After the answers: nobody waits for this.
                if let Err(error) = writer.tidy(self, released) {
                    self.close(&error);
                }
            }
            Err(error) => {
                let fenced = self.close(&error);
                batch.into_iter().for_each(|op| op.answer(Err(fenced.clone())));
            }
        }
        true
    }

    /// Refuses everything from now on, and what is queued too. Returns the error that callers get.
    pub(super) fn close(&self, reason: &StorageError) -> StorageError {
        let fenced = StorageError::Fenced { reason: reason.to_string() };
        let (fenced, rest) = {
            let mut queue = self.queue.lock();
            let fenced = queue.closed.get_or_insert(fenced).clone();
            (fenced, std::mem::take(&mut queue.ops))
        };
        rest.into_iter().for_each(|op| op.answer(Err(fenced.clone())));
        fenced
    }

    /// Accepts nothing more, but lets the writer's thread finish what is queued.
    pub(super) fn end(&self) {
        let reason = StorageError::Fenced { reason: "the log was closed".to_owned() };
        self.queue.lock().closed.get_or_insert(reason);
        self.wake.notify_all();
    }

    /// The payload of a stored frame.
    ///
    /// # Errors
    /// [`StorageError::Corrupt`] if it is damaged, or gone because its segment was freed: the caller finds out which.
    pub(super) fn read_stored(&self, place: Location, log: u64, index: u64) -> Result<Bytes, StorageError> {
        let segment = self.segments.read().get(&place.segment).cloned();
        let Some(segment) = segment else {
            return Err(StorageError::Corrupt {
                place: format!(
                    "log segment {} at offset {}",
                    super::segment::name(place.segment),
                    place.offset
                ),
                detail: "the segment is gone".to_owned(),
                affected: vec![log],
            });
        };
        segment.read(place, log, index)
    }

    /// Changes a log's state, keeping count of the cache. The lock is held while `change` runs.
    pub(super) fn change<T>(&self, log: &Log, change: impl FnOnce(&mut LogState) -> T) -> T {
        let mut state = log.state.lock();
        let before = state.cached();
        let answer = change(&mut state);
        let after = state.cached();
        if after >= before {
            self.meter.cached_bytes.fetch_add(after - before, Relaxed);
        } else {
            self.meter.cached_bytes.fetch_sub(before - after, Relaxed);
        }
        answer
    }

    /// Drops the oldest cached entries of all logs when there are more than the budget allows, and an eighth of the
    /// budget more, so that this is seldom.
    pub(super) fn evict(&self) {
        let budget = self.options.cache_bytes;
        let cached = self.meter.cached_bytes.load(Relaxed);
        if cached <= budget {
            return;
        }
        let mut excess = cached - budget + budget / 8;
        let logs: Vec<Arc<Log>> = self.logs.read().values().cloned().collect();
        let oldest = |at: usize| logs[at].state.lock().oldest_cached().map(|birth| Reverse((birth, at)));
        let mut heap: BinaryHeap<Reverse<(u64, usize)>> = (0..logs.len()).filter_map(oldest).collect();
        while excess > 0
            && let Some(Reverse((_, at))) = heap.pop()
        {
            let age = heap.peek().map_or(u64::MAX, |Reverse((birth, _))| *birth);
            let dropped = self.change(&logs[at], |state| state.evict(excess, age));
            excess = excess.saturating_sub(dropped);
            heap.extend(oldest(at));
        }
    }
}
