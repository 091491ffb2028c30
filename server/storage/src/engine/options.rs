//! How RocksDB is set up: small, bounded, and shared between the nodes of one process.
//!
//! Three nodes may live in one process (`trilith dev`), so what costs memory is one per process and passed in: the
//! block cache and the budget of the write buffers, which is charged to it. What costs disk is bounded for each node:
//! small files and an early first compaction keep the overwritten versions of a row from piling up, and the WAL ends
//! where the oldest memtable begins.
//!
//! The WAL is written with each batch and not synced: a crash of the process loses nothing, a crash of the machine
//! loses a suffix that the raft log replays. Recovery stops at the first damaged record (point in time), which keeps
//! the prefix rule even when the tail is torn.

use rocksdb::{
    BlockBasedOptions, Cache, DBCompressionType, DBRecoveryMode, LogLevel, Options, WriteBufferManager,
    WriteOptions,
};

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// What all engines of one process share. Cheap to clone.
#[derive(Clone)]
pub struct RocksShared {
    pub(super) cache: Cache,
    pub(super) write_buffers: WriteBufferManager,
}

impl RocksShared {
    /// A block cache of `cache_bytes`, of which the memtables of all engines may use `write_buffer_bytes`.
    pub fn new(cache_bytes: usize, write_buffer_bytes: usize) -> RocksShared {
        let cache = Cache::new_lru_cache(cache_bytes);
        // No stall: over the budget RocksDB flushes earlier, and admission above bounds what is in flight.
        let write_buffers =
            WriteBufferManager::new_write_buffer_manager_with_cache(write_buffer_bytes, false, cache.clone());
        RocksShared { cache, write_buffers }
    }
}

impl Default for RocksShared {
    /// 64 MiB of cache, of which 32 MiB may be memtables.
    fn default() -> RocksShared {
        RocksShared::new(64 * MIB, 32 * MIB)
    }
}

impl std::fmt::Debug for RocksShared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RocksShared")
            .field("cache_used", &self.cache.get_usage())
            .field("write_buffers_used", &self.write_buffers.get_usage())
            .finish()
    }
}

/// Sizes of one engine, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RocksSettings {
    /// A memtable is flushed when it has grown to this.
    pub memtable_bytes: usize,
    /// Size of a table file that compaction writes.
    pub table_bytes: u64,
    /// Target size of the first level below the flushed files.
    pub level_base_bytes: u64,
    /// The oldest memtable is flushed when the WAL files exceed this.
    pub wal_bytes_max: u64,
    /// Threads for flush and compaction.
    pub background_jobs: i32,
}

impl Default for RocksSettings {
    fn default() -> RocksSettings {
        RocksSettings {
            memtable_bytes: 8 * MIB,
            table_bytes: 8 << 20,
            level_base_bytes: 32 << 20,
            wal_bytes_max: 32 << 20,
            background_jobs: 2,
        }
    }
}

impl RocksSettings {
    /// For several nodes on one small machine: about half the disk of the default, for more compaction.
    pub fn compact() -> RocksSettings {
        RocksSettings {
            memtable_bytes: 4 * MIB,
            table_bytes: 4 << 20,
            level_base_bytes: 16 << 20,
            wal_bytes_max: 12 << 20,
            background_jobs: 2,
        }
    }
}

/// Options of the whole database.
pub(super) fn database(settings: &RocksSettings, shared: &RocksShared) -> Options {
    let mut options = Options::default();
    options.create_if_missing(true);
    options.create_missing_column_families(true);
    options.set_paranoid_checks(true);
    options.set_write_buffer_manager(&shared.write_buffers);
    options.set_max_background_jobs(settings.background_jobs);
    options.set_max_total_wal_size(settings.wal_bytes_max);
    options.set_wal_recovery_mode(DBRecoveryMode::PointInTime);
    options.set_manual_wal_flush(false);
    // Spread the write-back of flushes and compactions, so that the log's fsync does not wait behind it.
    options.set_bytes_per_sync(MIB as u64);
    options.set_wal_bytes_per_sync(MIB as u64);
    options.set_max_open_files(512);
    options.set_skip_stats_update_on_db_open(true);
    options.set_stats_dump_period_sec(0);
    options.set_stats_persist_period_sec(0);
    options.set_log_level(LogLevel::Warn);
    options.set_keep_log_file_num(2);
    options.set_max_log_file_size(MIB);
    options.set_max_manifest_file_size(4 * MIB);
    options
}

/// Options of one column family.
pub(super) fn family(settings: &RocksSettings, shared: &RocksShared) -> Options {
    let mut options = Options::default();
    options.set_write_buffer_size(settings.memtable_bytes);
    options.set_max_write_buffer_number(3);
    // Seven memtables a node, most of them nearly empty: small blocks. Never near a memtable's size, or it is flushed at once.
    options.set_arena_block_size((256 * KIB).min(settings.memtable_bytes / 8));
    options.set_target_file_size_base(settings.table_bytes);
    options.set_max_bytes_for_level_base(settings.level_base_bytes);
    // The last level holds nearly all rows, whatever their number, so obsolete versions are about a tenth of it.
    options.set_level_compaction_dynamic_level_bytes(true);
    options.set_level_zero_file_num_compaction_trigger(4);
    options.set_level_zero_slowdown_writes_trigger(16);
    options.set_level_zero_stop_writes_trigger(24);
    options.set_compression_type(DBCompressionType::Lz4);
    options.set_bottommost_compression_type(DBCompressionType::Lz4);
    options.set_block_based_table_factory(&table(shared));
    options
}

fn table(shared: &RocksShared) -> BlockBasedOptions {
    let mut table = BlockBasedOptions::default();
    table.set_block_cache(&shared.cache);
    table.set_block_size(8 * KIB);
    table.set_bloom_filter(10.0, false);
    table.set_whole_key_filtering(true);
    table.set_optimize_filters_for_memory(true);
    // Indexes and filters count against the cache: memory stays bounded however many rows there are.
    table.set_cache_index_and_filter_blocks(true);
    table.set_pin_l0_filter_and_index_blocks_in_cache(true);
    table
}

/// Options of every write: in the WAL, not synced.
pub(super) fn write() -> WriteOptions {
    let mut options = WriteOptions::default();
    options.set_sync(false);
    options.disable_wal(false);
    options
}
