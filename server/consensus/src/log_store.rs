//! openraft's log on the node's shared raft log.
//!
//! One [`LogStore`] is one replica's view of the log that all shards of the node share. Entries are readable as
//! soon as `append` returns and durable when the callback runs; votes are awaited until durable; purges and the
//! committed mark are only queued, as they must never stall a shard for an fsync. All of it passes through one
//! queue in one order, which the protocol needs.
//!
//! Recent entries stay decoded in a bounded cache: the leader reads each entry three times (to apply it and for
//! two followers), and none of these reads decodes anything.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::io;
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;

use openraft::entry::RaftEntry;
use openraft::storage::{IOFlushed, LogState, RaftLogReader, RaftLogStorage};
use openraft::{EntryPayload, OptionalSend};
use parking_lot::Mutex;
use tokio::sync::oneshot;
use trilith_storage::log::{Done, LogEntry, LogHandle};

use crate::codec::{LogIdBytes, VoteBytes, decode, decode_entry, encode, encode_entry, record_log_id};
use crate::types::{Entry, LogId, TypeConfig, Vote};

/// Entries handed out by one read at the most; openraft asks again for more.
const READ_BYTES: u64 = 1024 * 1024;

/// One replica's log.
#[derive(Clone)]
pub struct LogStore {
    log: LogHandle,
    cache: Arc<Mutex<Cache>>,
}

#[derive(Default)]
struct Cache {
    /// Bytes of entries to keep; one entry is always kept.
    budget: usize,
    /// Consecutive indexes.
    entries: VecDeque<(Entry, usize)>,
    bytes: usize,
}

impl Cache {
    fn first(&self) -> Option<u64> {
        self.entries.front().map(|(entry, _)| entry.log_id().index())
    }

    fn push(&mut self, entry: Entry, size: usize) {
        let index = entry.log_id().index();
        if let Some((last, _)) = self.entries.back()
            && last.log_id().index() + 1 != index
        {
            self.clear();
        }
        self.entries.push_back((entry, size));
        self.bytes += size;
        while self.bytes > self.budget && self.entries.len() > 1 {
            if let Some((_, size)) = self.entries.pop_front() {
                self.bytes -= size;
            }
        }
    }

    fn clear(&mut self) {
        self.entries.clear();
        self.bytes = 0;
    }

    fn truncate_from(&mut self, index: u64) {
        while self.entries.back().is_some_and(|(entry, _)| entry.log_id().index() >= index) {
            if let Some((_, size)) = self.entries.pop_back() {
                self.bytes -= size;
            }
        }
    }

    /// Entries `start..end` as far as [`READ_BYTES`], when `start` is cached.
    fn read(&self, start: u64, end: u64) -> Option<Vec<Entry>> {
        let first = self.first()?;
        let skip = usize::try_from(start.checked_sub(first)?).ok()?;
        if skip >= self.entries.len() {
            return None;
        }
        let mut bytes = 0_u64;
        let wanted = usize::try_from(end - start).unwrap_or(usize::MAX);
        let page = self.entries.iter().skip(skip).take(wanted).take_while(|(_, size)| {
            let fits = bytes < READ_BYTES;
            bytes += *size as u64;
            fits
        });
        Some(page.map(|(entry, _)| entry.clone()).collect())
    }
}

fn size_of(entry: &Entry) -> usize {
    let body = match &entry.payload {
        EntryPayload::Normal(payload) => payload.bytes().len(),
        EntryPayload::Blank | EntryPayload::Membership(_) => 0,
    };
    body + 64
}

impl LogStore {
    /// On top of one replica's log handle, keeping about `kept_bytes` of recent entries decoded.
    pub fn new(log: LogHandle, kept_bytes: usize) -> Self {
        let cache = Cache { budget: kept_bytes, ..Cache::default() };
        Self { log, cache: Arc::new(Mutex::new(cache)) }
    }

    /// Whether this replica ever voted: a replica with a past must withhold its vote after a start.
    pub(crate) fn has_voted(&self) -> bool {
        self.log.vote().is_some()
    }

    /// Index of the last entry purged.
    pub(crate) fn purged_index(&self) -> Option<u64> {
        self.log.purged().map(|(index, _)| index)
    }

    /// Index of the last entry, purged or not.
    pub(crate) fn last_index(&self) -> Option<u64> {
        self.log.last_index().or(self.purged_index())
    }

    /// Bytes of the log that are not purged: what decides when to purge.
    pub(crate) fn live_bytes(&self) -> u64 {
        self.log.live_bytes()
    }

    /// The first entry that is still at hand in memory.
    pub(crate) fn first_cached(&self) -> Option<u64> {
        self.cache.lock().first()
    }

    fn read(&self, start: u64, end: u64, max_bytes: u64) -> io::Result<Vec<Entry>> {
        if start >= end {
            return Ok(Vec::new());
        }
        let records = self.log.read_limited(start, end, max_bytes).map_err(io::Error::other)?;
        records.iter().map(|record| decode_entry(record.index, &record.payload)).collect()
    }

    async fn durable(rx: oneshot::Receiver<io::Result<()>>) -> io::Result<()> {
        rx.await.map_err(|_| io::Error::other("the log writer stopped"))?
    }
}

fn signal() -> (Done, oneshot::Receiver<io::Result<()>>) {
    let (tx, rx) = oneshot::channel();
    let done: Done = Box::new(move |result| {
        // Nobody waits any more when the replica was stopped meanwhile.
        let _ = tx.send(result);
    });
    (done, rx)
}

fn bounds(range: &impl RangeBounds<u64>, next: u64) -> (u64, u64) {
    let start = match range.start_bound() {
        Bound::Included(&i) => i,
        Bound::Excluded(&i) => i + 1,
        Bound::Unbounded => 0,
    };
    let end = match range.end_bound() {
        Bound::Included(&i) => i + 1,
        Bound::Excluded(&i) => i,
        Bound::Unbounded => u64::MAX,
    };
    (start, end.min(next))
}

impl RaftLogReader<TypeConfig> for LogStore {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Result<Vec<Entry>, io::Error> {
        let next = self.log.last_index().map_or(0, |last| last + 1);
        let (mut start, end) = bounds(&range, next);
        start = start.max(self.log.first_index().unwrap_or(next));
        let mut entries = Vec::new();
        // Readers of whole ranges (recovery, apply) get all of it, page by page.
        while start < end {
            let page = self.limited_get_log_entries(start, end).await?;
            let Some(last) = page.last() else { break };
            start = last.log_id().index() + 1;
            entries.extend(page);
        }
        Ok(entries)
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, io::Error> {
        self.log.vote().map(|bytes| decode::<VoteBytes>(&bytes).map(Vote::from)).transpose()
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> Result<Vec<Entry>, io::Error> {
        if start >= end {
            return Ok(Vec::new());
        }
        if let Some(entries) = self.cache.lock().read(start, end) {
            return Ok(entries);
        }
        self.read(start, end, READ_BYTES)
    }
}

impl RaftLogStorage<TypeConfig> for LogStore {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<TypeConfig>, io::Error> {
        let last_purged_log_id = match self.log.purged() {
            Some((_, meta)) => Some(LogId::from(decode::<LogIdBytes>(&meta)?)),
            None => None,
        };
        let last_log_id = match self.log.last_entry().map_err(io::Error::other)? {
            Some(entry) => Some(record_log_id(entry.index, &entry.payload)?),
            None => last_purged_log_id,
        };
        Ok(LogState { last_purged_log_id, last_log_id })
    }

    async fn get_log_reader(&mut self) -> Self::LogReader {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), io::Error> {
        let (done, rx) = signal();
        self.log.save_vote(encode(&VoteBytes::from(vote)), done);
        Self::durable(rx).await
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> Result<(), io::Error> {
        self.log.save_committed(encode(&committed.as_ref().map(LogIdBytes::from)));
        Ok(())
    }

    async fn read_committed(&mut self) -> Result<Option<LogId>, io::Error> {
        match self.log.committed() {
            Some(bytes) => Ok(decode::<Option<LogIdBytes>>(&bytes)?.map(LogId::from)),
            None => Ok(None),
        }
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<TypeConfig>) -> Result<(), io::Error>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut records = Vec::new();
        {
            let mut cache = self.cache.lock();
            for entry in entries {
                let size = size_of(&entry);
                records.push(LogEntry { index: entry.log_id().index(), payload: encode_entry(&entry) });
                cache.push(entry, size);
            }
        }
        self.log.append(records, Box::new(move |result| callback.io_completed(result)));
        Ok(())
    }

    async fn truncate_after(&mut self, last_log_id: Option<LogId>) -> Result<(), io::Error> {
        let keep = last_log_id.map(|id| id.index());
        self.cache.lock().truncate_from(keep.map_or(0, |index| index + 1));
        let (done, rx) = signal();
        self.log.truncate_after(keep, done);
        Self::durable(rx).await
    }

    async fn purge(&mut self, log_id: LogId) -> Result<(), io::Error> {
        {
            let mut cache = self.cache.lock();
            while cache.first().is_some_and(|index| index <= log_id.index()) {
                if let Some((_, size)) = cache.entries.pop_front() {
                    cache.bytes -= size;
                }
            }
        }
        self.log.purge(log_id.index(), encode(&LogIdBytes::from(&log_id)));
        Ok(())
    }
}
