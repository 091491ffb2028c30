//! The state engine: ordered rows in a few families, written in atomic batches.
//!
//! The state machine of every shard on a node writes here; [`RocksEngine`] keeps the rows on disk, [`MemEngine`] in
//! memory. Both pass the same suite. The rules a caller can rely on:
//!
//! - A [`WriteBatch`] is applied as a whole or not at all, over all families, in the order of its operations, and is
//!   visible to every read that starts after [`Engine::write`] returned.
//! - Nothing is durable until [`Engine::sync`] returns. A crash keeps some prefix of the batches written since the
//!   last sync, never a batch without the ones before it: the caller's log replays the rest.
//! - A snapshot does not change, however long it is held; holding one keeps old versions alive.
//!
//! Deliberately absent: transactions, merges, time to live, and any knowledge of what a key means.

mod memory;
mod options;
mod rocks;

pub use memory::MemEngine;
pub use options::{RocksSettings, RocksShared};
pub use rocks::RocksEngine;

use crate::error::StorageError;
use bytes::Bytes;
use std::ops::ControlFlow;

pub use trilith_domain::keyspace::Family;

/// What [`EngineView::scan`] calls for each row: key, value. `Break` ends the scan.
pub type Visit<'a> = dyn FnMut(&[u8], &[u8]) -> ControlFlow<()> + 'a;

/// The reading half of an engine: of its present state, or of a pinned one.
pub trait EngineView {
    /// The value of `key`, or `None`.
    ///
    /// # Errors
    /// [`StorageError::Engine`] or [`StorageError::Corrupt`] when the rows cannot be read.
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Bytes>, StorageError>;

    /// The values of many keys, in the order of `keys`. Keys may repeat. On an engine that is being written to, the
    /// answers may come from different moments; on a snapshot they cannot.
    ///
    /// # Errors
    /// As [`EngineView::get`].
    fn multi_get(&self, keys: &[(Family, Bytes)]) -> Result<Vec<Option<Bytes>>, StorageError>;

    /// Visits the rows with `start <= key < end` in ascending order, or in descending order when `reverse`. No `end`
    /// means to the family's last row; an empty `start` means from its first. The rows are of one moment. The visitor
    /// may write to the engine; it does not see its own writes.
    ///
    /// # Errors
    /// As [`EngineView::get`]; rows visited before the error are intact.
    fn scan(
        &self,
        family: Family,
        start: &[u8],
        end: Option<&[u8]>,
        reverse: bool,
        visit: &mut Visit<'_>,
    ) -> Result<(), StorageError>;
}

/// A pinned state of an engine. It keeps the engine open.
pub type Snapshot = Box<dyn EngineView + Send + Sync>;

/// An ordered store of rows.
pub trait Engine: EngineView + Send + Sync + 'static {
    /// Applies `batch` atomically. Not durable before [`Engine::sync`].
    ///
    /// # Errors
    /// Any error means that the node must stop applying: whether the batch was kept is unknown.
    fn write(&self, batch: WriteBatch) -> Result<(), StorageError>;

    /// Makes everything written so far durable.
    ///
    /// # Errors
    /// As [`Engine::write`]; after an error the call must not be repeated.
    fn sync(&self) -> Result<(), StorageError>;

    /// Pins the present state.
    fn snapshot(&self) -> Snapshot;

    /// Gives the space of `start..end` back to the file system. All rows there must have been deleted before and
    /// synced beyond; one that was not is removed now. Snapshots lose the range too, since whole files are removed at
    /// once. It may take seconds and is not for the path of a request.
    ///
    /// # Errors
    /// As [`Engine::write`].
    fn reclaim(&self, family: Family, start: &[u8], end: &[u8]) -> Result<(), StorageError>;

    /// Sizes and health, for metrics.
    fn stats(&self) -> EngineStats;
}

/// Sizes in bytes and health of an engine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EngineStats {
    /// Bytes of all files of the engine (0 in memory).
    pub disk_bytes: u64,
    /// Bytes of writes held in memory, not yet in table files.
    pub memtable_bytes: u64,
    /// Bytes of the block cache in use, shared by all engines of the process.
    pub cache_bytes: u64,
    /// Estimate of the bytes that compaction has yet to rewrite.
    pub pending_compaction_bytes: u64,
    /// Failed flushes and compactions since the start. Anything but 0 calls for attention.
    pub background_errors: u64,
}

/// One operation of a [`WriteBatch`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WriteOp {
    /// Sets a row.
    Put {
        /// The row's family.
        family: Family,
        /// The row's key.
        key: Bytes,
        /// The row's new value.
        value: Bytes,
    },
    /// Removes a row; no error if there is none.
    Delete {
        /// The row's family.
        family: Family,
        /// The row's key.
        key: Bytes,
    },
    /// Removes the rows with `start <= key < end`.
    DeleteRange {
        /// The rows' family.
        family: Family,
        /// The first key that goes.
        start: Bytes,
        /// The first key that stays.
        end: Bytes,
    },
}

/// Operations that are applied together, in order: a later one sees and overrides the earlier ones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WriteBatch {
    ops: Vec<WriteOp>,
    bytes: usize,
}

impl WriteBatch {
    /// An empty batch.
    pub fn new() -> WriteBatch {
        WriteBatch::default()
    }

    /// Adds a put.
    pub fn put(&mut self, family: Family, key: impl Into<Bytes>, value: impl Into<Bytes>) {
        self.push(WriteOp::Put { family, key: key.into(), value: value.into() });
    }

    /// Adds a delete.
    pub fn delete(&mut self, family: Family, key: impl Into<Bytes>) {
        self.push(WriteOp::Delete { family, key: key.into() });
    }

    /// Adds a delete of all rows with `start <= key < end`; nothing when the range is empty.
    pub fn delete_range(&mut self, family: Family, start: impl Into<Bytes>, end: impl Into<Bytes>) {
        self.push(WriteOp::DeleteRange { family, start: start.into(), end: end.into() });
    }

    /// Adds one operation. A delete of an empty range is dropped: engines need not know that case.
    pub fn push(&mut self, op: WriteOp) {
        if matches!(&op, WriteOp::DeleteRange { start, end, .. } if start >= end) {
            return;
        }
        self.bytes += match &op {
            WriteOp::Put { key, value, .. } => key.len() + value.len(),
            WriteOp::Delete { key, .. } => key.len(),
            WriteOp::DeleteRange { start, end, .. } => start.len() + end.len(),
        };
        self.ops.push(op);
    }

    /// Adds all operations of `other` after the present ones.
    pub fn append(&mut self, other: WriteBatch) {
        self.bytes += other.bytes;
        self.ops.extend(other.ops);
    }

    /// The operations, in order.
    pub fn ops(&self) -> &[WriteOp] {
        &self.ops
    }

    /// Number of operations.
    pub fn len(&self) -> usize {
        self.ops.len()
    }

    /// True when there is nothing to apply.
    pub fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }

    /// Bytes of all keys and values.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

/// The smallest key above every key that begins with `prefix`; `None` when there is none (all bytes are 0xff).
pub fn prefix_end(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|&byte| byte != 0xff)?;
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    Some(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_after_its_last_key() {
        assert_eq!(prefix_end(b"ab"), Some(b"ac".to_vec()));
        assert_eq!(prefix_end(&[1, 0xff, 0xff]), Some(vec![2]));
        assert_eq!(prefix_end(&[0xff, 0xff]), None);
        assert_eq!(prefix_end(b""), None);
    }

    #[test]
    fn a_batch_counts_its_bytes_and_drops_empty_ranges() {
        let mut batch = WriteBatch::new();
        batch.put(Family::Items, "k", "value");
        batch.delete(Family::Meta, "key");
        batch.delete_range(Family::Meta, "b", "b");
        batch.delete_range(Family::Meta, "c", "b");
        assert_eq!((batch.len(), batch.bytes()), (2, 9));
        let mut other = WriteBatch::new();
        other.delete_range(Family::Meta, "a", "b");
        batch.append(other);
        assert_eq!((batch.len(), batch.bytes()), (3, 11));
    }

    #[test]
    fn names_of_families_are_fixed() {
        let names: Vec<&str> = Family::ALL.iter().map(|family| family.name()).collect();
        assert_eq!(names, ["items", "local_index", "global_index", "outbox", "expiry", "intents", "meta"]);
        for (position, family) in Family::ALL.iter().enumerate() {
            assert_eq!(*family as usize, position);
        }
    }
}
