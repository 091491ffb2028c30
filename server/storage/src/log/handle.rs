//! The log of one replica.

use super::Done;
use super::core::{Core, Log, Op, Queued};
use super::frame::{Kind, PAYLOAD_MAX};
use super::state::{LogState, Source};
use crate::error::StorageError;
use bytes::Bytes;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// An entry of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// Its position. Positions have no gaps.
    pub index: u64,
    /// Its content, opaque here.
    pub payload: Bytes,
}

/// The log of one replica. A clone is the same log. It works until the [`super::RaftLog`] it came from ends.
#[derive(Clone)]
pub struct LogHandle {
    core: Arc<Core>,
    log: Arc<Log>,
}

impl std::fmt::Debug for LogHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogHandle").field("id", &self.log.id).finish_non_exhaustive()
    }
}

impl LogHandle {
    pub(super) fn new(core: Arc<Core>, log: Arc<Log>) -> LogHandle {
        LogHandle { core, log }
    }

    /// The id of the replica.
    pub fn id(&self) -> u64 {
        self.log.id
    }

    /// Appends entries, which can be read when this returns; `done` is called when they are durable. Their indexes
    /// follow each other, and the first follows the last entry (or the purged ones; in a fresh log it is free). An
    /// index that exists already replaces that entry and all after it.
    ///
    /// `done` gets [`StorageError::OutOfOrder`] for a gap and [`StorageError::Fenced`] after a failure (as the inner
    /// error).
    pub fn append(&self, entries: Vec<LogEntry>, done: Done) {
        self.submit(Some(done), true, move |core, id, state| {
            check_order(id, state, &entries)?;
            let mut frames = Vec::with_capacity(entries.len());
            for LogEntry { index, payload } in entries {
                let birth = core.birth();
                state.append(index, birth, payload.clone());
                frames.push(Queued { kind: Kind::Append, index, birth, payload, moved: false });
            }
            Ok(frames)
        });
    }

    /// Removes the entries after `keep` (all with `None`); `done` is called when that is durable.
    pub fn truncate_after(&self, keep: Option<u64>, done: Done) {
        let from = keep.map_or(0, |keep| keep + 1);
        self.submit(Some(done), true, move |_, _, state| {
            state.truncate(from);
            Ok(vec![Queued {
                kind: Kind::Truncate,
                index: from,
                birth: 0,
                payload: Bytes::new(),
                moved: false,
            }])
        });
    }

    /// Removes the entries up to `upto`, which may lie beyond the last one: the log is empty then, and goes on at
    /// `upto + 1`. `note` is kept as the caller's word on the last purged entry. Not durable when it returns, and
    /// causes no fsync; a purge that a crash undoes is asked for again. Going back is ignored.
    pub fn purge(&self, upto: u64, note: Bytes) {
        self.submit(None, false, move |core, _, state| {
            let birth = core.birth();
            if !state.purge(upto, birth, note.clone()) {
                return Ok(Vec::new());
            }
            Ok(vec![Queued { kind: Kind::Purge, index: upto, birth, payload: note, moved: false }])
        });
    }

    /// Replaces the vote; `done` is called when it is durable.
    pub fn save_vote(&self, vote: Bytes, done: Done) {
        self.submit(Some(done), true, |core, _, state| Ok(vec![marked(core, state, Kind::Vote, vote)]));
    }

    /// Replaces the commit note. Not durable when it returns, and causes no fsync.
    pub fn save_committed(&self, committed: Bytes) {
        self.submit(None, false, |core, _, state| Ok(vec![marked(core, state, Kind::Committed, committed)]));
    }

    /// The vote saved last.
    pub fn vote(&self) -> Option<Bytes> {
        self.log.state.lock().vote()
    }

    /// The commit note saved last.
    pub fn committed(&self) -> Option<Bytes> {
        self.log.state.lock().committed()
    }

    /// How far the log is purged, and the note given with it.
    pub fn purged(&self) -> Option<(u64, Bytes)> {
        self.log.state.lock().purged()
    }

    /// Index of the first entry; `None` when there is none.
    pub fn first_index(&self) -> Option<u64> {
        self.log.state.lock().first_index()
    }

    /// Index of the last entry; `None` when there is none (see [`LogHandle::purged`]).
    pub fn last_index(&self) -> Option<u64> {
        self.log.state.lock().last_index()
    }

    /// Bytes of the log's frames on disk that are still needed: the measure for when to purge.
    pub fn live_bytes(&self) -> u64 {
        self.log.state.lock().live_bytes()
    }

    /// The last entry; `None` when there is none.
    ///
    /// # Errors
    /// As [`LogHandle::read`].
    pub fn last_entry(&self) -> Result<Option<LogEntry>, StorageError> {
        let Some(last) = self.last_index() else {
            return Ok(None);
        };
        Ok(self.read(last..last + 1)?.pop())
    }

    /// The entries of `range` that exist, in order.
    ///
    /// # Errors
    /// [`StorageError::Corrupt`] if one of them is damaged on disk, [`StorageError::Io`], [`StorageError::Fenced`],
    /// [`StorageError::OutOfOrder`] for a destroyed log.
    pub fn read(&self, range: Range<u64>) -> Result<Vec<LogEntry>, StorageError> {
        self.read_limited(range.start, range.end, u64::MAX)
    }

    /// The entries of `start..end` that exist, in order, up to `bytes_max` bytes of payload, but at least one.
    ///
    /// # Errors
    /// As [`LogHandle::read`].
    pub fn read_limited(&self, start: u64, end: u64, bytes_max: u64) -> Result<Vec<LogEntry>, StorageError> {
        loop {
            self.core.check()?;
            let sources = {
                let state = self.log.state.lock();
                check_exists(self.log.id, &state)?;
                state.sources(start, end, bytes_max)
            };
            if let Some(entries) = self.fetch(sources)? {
                return Ok(entries);
            }
        }
    }

    /// Gets the payloads. `None` if one was purged, replaced or moved while we read: then the answer is another one.
    fn fetch(&self, sources: Vec<(u64, Source)>) -> Result<Option<Vec<LogEntry>>, StorageError> {
        let mut entries = Vec::with_capacity(sources.len());
        for (index, source) in sources {
            let payload = match source {
                Source::Cached(payload) => payload,
                Source::Stored(place) => {
                    self.core.meter.cache_misses.fetch_add(1, Relaxed);
                    match self.core.read_stored(place, self.log.id, index) {
                        Ok(payload) => payload,
                        Err(error) if self.log.state.lock().lies_at(index, place) => {
                            return Err(error);
                        }
                        Err(_) => return Ok(None),
                    }
                }
            };
            entries.push(LogEntry { index, payload });
        }
        Ok(Some(entries))
    }

    /// Changes the state and queues the frames that say so, in one. A refused change leaves the state as it was.
    fn submit(
        &self,
        done: Option<Done>,
        sync: bool,
        change: impl FnOnce(&Core, u64, &mut LogState) -> Result<Vec<Queued>, StorageError>,
    ) {
        let mut op = Op { log: Arc::clone(&self.log), frames: Vec::new(), sync, done };
        let refused = self.core.change(&self.log, |state| {
            let checked = self.core.check().and_then(|()| check_exists(self.log.id, state));
            match checked.and_then(|()| change(&self.core, self.log.id, state)) {
                Ok(frames) if frames.is_empty() && op.done.is_none() => None,
                Ok(frames) => {
                    op.frames = frames;
                    self.core.push(op).err()
                }
                Err(error) => Some(Box::new((op, error))),
            }
        });
        match refused {
            // Without the lock: the callback may call us.
            Some(refused) => refused.0.answer(Err(refused.1)),
            None => self.core.kick(),
        }
    }
}

fn marked(core: &Core, state: &mut LogState, kind: Kind, value: Bytes) -> Queued {
    let birth = core.birth();
    state.set_mark(kind, 0, birth, value.clone(), None);
    Queued { kind, index: 0, birth, payload: value, moved: false }
}

fn check_exists(id: u64, state: &LogState) -> Result<(), StorageError> {
    if state.forgotten {
        return Err(StorageError::OutOfOrder { log: id, detail: "the log was destroyed".to_owned() });
    }
    Ok(())
}

/// Refuses entries that would leave a gap.
fn check_order(id: u64, state: &LogState, entries: &[LogEntry]) -> Result<(), StorageError> {
    let Some(first) = entries.first() else {
        return Ok(());
    };
    let refuse = |detail: String| Err(StorageError::OutOfOrder { log: id, detail });
    let floor = state.first_index().or(state.next_index()).unwrap_or(first.index);
    let next = state.next_index().unwrap_or(first.index);
    if first.index > next || first.index < floor {
        return refuse(format!("entry {} was appended where {floor} to {next} may be", first.index));
    }
    for (expected, entry) in (first.index..).zip(entries) {
        if entry.index != expected {
            return refuse(format!(
                "entry {} was appended after entry {}",
                entry.index,
                expected.wrapping_sub(1)
            ));
        }
        if entry.payload.len() > PAYLOAD_MAX {
            return refuse(format!(
                "entry {} has {} bytes, at most {PAYLOAD_MAX} are possible",
                entry.index,
                entry.payload.len()
            ));
        }
    }
    Ok(())
}
