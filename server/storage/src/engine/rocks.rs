//! The engine on disk: one RocksDB for all shards of a node, a column family for each [`Family`].

use super::options::{self, RocksSettings, RocksShared};
use super::{Engine, EngineStats, EngineView, Family, Snapshot, Visit, WriteBatch, WriteOp};
use crate::error::StorageError;
use bytes::Bytes;
use rocksdb::{
    BottommostLevelCompaction, ColumnFamily, ColumnFamilyDescriptor, CompactOptions, DB, DBPinnableSlice,
    DBRawIterator, ErrorKind, ReadOptions, WriteOptions, properties,
};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// An engine over RocksDB. A clone is the same engine; the database closes with the last clone and snapshot.
#[derive(Clone)]
pub struct RocksEngine {
    inner: Arc<Inner>,
}

struct Inner {
    db: DB,
    path: PathBuf,
    shared: RocksShared,
}

impl std::fmt::Debug for RocksEngine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RocksEngine").field("path", &self.inner.path).finish_non_exhaustive()
    }
}

impl RocksEngine {
    /// Opens or creates the database in `path`, after replaying its WAL.
    ///
    /// # Errors
    /// [`StorageError::Corrupt`] or [`StorageError::Engine`] when RocksDB refuses.
    pub fn open(
        path: &Path,
        settings: &RocksSettings,
        shared: &RocksShared,
    ) -> Result<RocksEngine, StorageError> {
        let families = Family::ALL
            .map(|family| ColumnFamilyDescriptor::new(family.name(), options::family(settings, shared)));
        let db = DB::open_cf_descriptors(&options::database(settings, shared), path, families)
            .map_err(|error| failed("opening", &error))?;
        let inner = Inner { db, path: path.to_owned(), shared: shared.clone() };
        Ok(RocksEngine { inner: Arc::new(inner) })
    }
}

impl Inner {
    fn family(&self, family: Family) -> &ColumnFamily {
        self.db.cf_handle(family.name()).expect("open() creates every family and none is ever dropped")
    }

    fn get(&self, family: Family, key: &[u8], read: &ReadOptions) -> Result<Option<Bytes>, StorageError> {
        let found = self.db.get_pinned_cf_opt(self.family(family), key, read);
        Ok(found.map_err(|error| failed("reading", &error))?.map(to_bytes))
    }

    /// One lookup for each family that occurs, with its keys sorted, as RocksDB batches block reads that way.
    fn multi_get(
        &self,
        keys: &[(Family, Bytes)],
        read: &ReadOptions,
    ) -> Result<Vec<Option<Bytes>>, StorageError> {
        let mut order: Vec<usize> = (0..keys.len()).collect();
        order.sort_by(|&a, &b| keys[a].cmp(&keys[b]));
        let mut answers = vec![None; keys.len()];
        for group in order.chunk_by(|&a, &b| keys[a].0 == keys[b].0) {
            let handle = self.family(keys[group[0]].0);
            let wanted = group.iter().map(|&at| &keys[at].1[..]);
            let found = self.db.batched_multi_get_cf_opt(handle, wanted, true, read);
            for (&at, value) in group.iter().zip(found) {
                answers[at] = value.map_err(|error| failed("reading", &error))?.map(to_bytes);
            }
        }
        Ok(answers)
    }

    fn scan(
        &self,
        family: Family,
        (start, end): (&[u8], Option<&[u8]>),
        reverse: bool,
        mut read: ReadOptions,
        visit: &mut Visit<'_>,
    ) -> Result<(), StorageError> {
        if end.is_some_and(|end| end <= start) {
            return Ok(());
        }
        read.set_iterate_lower_bound(start);
        if let Some(end) = end {
            read.set_iterate_upper_bound(end);
        }
        let mut rows = self.db.raw_iterator_cf_opt(self.family(family), read);
        if reverse {
            rows.seek_to_last()
        } else {
            rows.seek_to_first()
        }
        walk(&mut rows, reverse, visit);
        rows.status().map_err(|error| failed("scanning", &error))
    }
}

fn walk(rows: &mut DBRawIterator<'_>, reverse: bool, visit: &mut Visit<'_>) {
    while let Some((key, value)) = rows.item() {
        if let ControlFlow::Break(()) = visit(key, value) {
            return;
        }
        if reverse { rows.prev() } else { rows.next() }
    }
}

fn to_bytes(value: DBPinnableSlice<'_>) -> Bytes {
    Bytes::copy_from_slice(&value)
}

fn read_options() -> ReadOptions {
    let mut options = ReadOptions::default();
    options.set_verify_checksums(true);
    options
}

/// RocksDB's error as ours: damage is told apart, since it concerns rows and not the node.
fn failed(action: &'static str, error: &rocksdb::Error) -> StorageError {
    let reason = error.to_string();
    match error.kind() {
        ErrorKind::Corruption => StorageError::Corrupt {
            place: format!("the state engine, while {action}"),
            detail: reason,
            affected: Vec::new(),
        },
        _ => StorageError::Engine { action, reason },
    }
}

impl EngineView for RocksEngine {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Bytes>, StorageError> {
        self.inner.get(family, key, &read_options())
    }

    fn multi_get(&self, keys: &[(Family, Bytes)]) -> Result<Vec<Option<Bytes>>, StorageError> {
        self.inner.multi_get(keys, &read_options())
    }

    fn scan(
        &self,
        family: Family,
        start: &[u8],
        end: Option<&[u8]>,
        reverse: bool,
        visit: &mut Visit<'_>,
    ) -> Result<(), StorageError> {
        self.inner.scan(family, (start, end), reverse, read_options(), visit)
    }
}

impl Engine for RocksEngine {
    fn write(&self, batch: WriteBatch) -> Result<(), StorageError> {
        self.inner.write(&batch, &options::write())
    }

    fn sync(&self) -> Result<(), StorageError> {
        self.inner.db.flush_wal(true).map_err(|error| failed("syncing", &error))
    }

    fn snapshot(&self) -> Snapshot {
        Box::new(Pinned(PinnedCell::new(Arc::clone(&self.inner), |inner| inner.db.snapshot())))
    }

    fn reclaim(&self, family: Family, start: &[u8], end: &[u8]) -> Result<(), StorageError> {
        let Some(last) = below(start, end) else {
            return Ok(());
        };
        let handle = self.inner.family(family);
        // Whole files go first, which costs nothing. One of them may hold the range tombstone that hides rows of a
        // file which reaches beyond the range and so stays: a new, synced tombstone hides them until compaction has
        // removed them for good.
        let mut tombstone = WriteBatch::new();
        tombstone.delete_range(family, start.to_vec(), end.to_vec());
        self.write(tombstone)?;
        self.sync()?;
        self.inner
            .db
            .delete_file_in_range_cf(handle, start, &last[..])
            .map_err(|error| failed("removing files", &error))?;
        let mut compact = CompactOptions::default();
        compact.set_exclusive_manual_compaction(false);
        compact.set_bottommost_level_compaction(BottommostLevelCompaction::ForceOptimized);
        self.inner.db.compact_range_cf_opt(handle, Some(start), Some(end), &compact);
        Ok(())
    }

    fn stats(&self) -> EngineStats {
        let sum = |name| -> u64 {
            let of =
                |family| self.inner.db.property_int_value_cf(self.inner.family(family), name).ok().flatten();
            Family::ALL.into_iter().filter_map(of).sum()
        };
        EngineStats {
            disk_bytes: folder_bytes(&self.inner.path),
            memtable_bytes: sum(properties::CUR_SIZE_ALL_MEM_TABLES),
            cache_bytes: self.inner.shared.cache.get_usage() as u64,
            pending_compaction_bytes: sum(properties::ESTIMATE_PENDING_COMPACTION_BYTES),
            // Counted for the whole database, so any one family tells it.
            background_errors: self
                .inner
                .db
                .property_int_value(properties::BACKGROUND_ERRORS)
                .ok()
                .flatten()
                .unwrap_or(0),
        }
    }
}

impl Inner {
    fn write(&self, batch: &WriteBatch, write: &WriteOptions) -> Result<(), StorageError> {
        if batch.is_empty() {
            return Ok(());
        }
        let mut rows = rocksdb::WriteBatch::default();
        for op in batch.ops() {
            match op {
                WriteOp::Put { family, key, value } => rows.put_cf(self.family(*family), key, value),
                WriteOp::Delete { family, key } => rows.delete_cf(self.family(*family), key),
                WriteOp::DeleteRange { family, start, end } => {
                    rows.delete_range_cf(self.family(*family), start, end)
                }
            }
        }
        self.db.write_opt(rows, write).map_err(|error| failed("writing", &error))
    }
}

/// A key below `end`, and not far below: RocksDB takes the end of a file range as included, and the row at `end`
/// must stay. `None` when the range is empty.
fn below(start: &[u8], end: &[u8]) -> Option<Vec<u8>> {
    let (&byte, head) = end.split_last()?;
    let mut last = head.to_vec();
    if byte > 0 {
        last.push(byte - 1);
        last.extend_from_slice(&[0xff; 64]);
    }
    (start <= &last[..] && start < end).then_some(last)
}

/// Bytes of all files in `path`; files that vanish while we look count nothing.
fn folder_bytes(path: &Path) -> u64 {
    let Ok(files) = std::fs::read_dir(path) else {
        return 0;
    };
    files
        .flatten()
        .filter_map(|file| file.metadata().ok())
        .filter(|meta| meta.is_file())
        .map(|meta| meta.len())
        .sum()
}

type DbSnapshot<'a> = rocksdb::Snapshot<'a>;

self_cell::self_cell!(
    /// A RocksDB snapshot together with the engine it borrows from.
    struct PinnedCell {
        owner: Arc<Inner>,
        #[covariant]
        dependent: DbSnapshot,
    }
);

/// A pinned state of a [`RocksEngine`].
struct Pinned(PinnedCell);

impl Pinned {
    fn read_options(&self) -> ReadOptions {
        let mut options = read_options();
        options.set_snapshot(self.0.borrow_dependent());
        options
    }
}

impl EngineView for Pinned {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Bytes>, StorageError> {
        self.0.borrow_owner().get(family, key, &self.read_options())
    }

    fn multi_get(&self, keys: &[(Family, Bytes)]) -> Result<Vec<Option<Bytes>>, StorageError> {
        self.0.borrow_owner().multi_get(keys, &self.read_options())
    }

    fn scan(
        &self,
        family: Family,
        start: &[u8],
        end: Option<&[u8]>,
        reverse: bool,
        visit: &mut Visit<'_>,
    ) -> Result<(), StorageError> {
        self.0.borrow_owner().scan(family, (start, end), reverse, self.read_options(), visit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_key_of_a_range_is_below_its_end() {
        for (start, end) in [(&b"a"[..], &b"b"[..]), (b"a", b"a\0"), (b"", b"\x01"), (b"ab", b"b\0")] {
            let last = below(start, end).expect("the range is not empty");
            assert!(start <= &last[..] && &last[..] < end, "{start:?} {last:?} {end:?}");
        }
        assert_eq!(below(b"b", b"b"), None);
        assert_eq!(below(b"c", b"b"), None);
        assert_eq!(below(b"", b""), None);
    }
}
