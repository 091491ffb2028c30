//! One node's ground: its folder, log and engine, opened and checked; nothing runs on it yet.

use std::path::Path;
use std::sync::Arc;

use trilith_storage::engine::{Engine, MemEngine, RocksEngine, RocksSettings, RocksShared};
use trilith_storage::log::{Driver, LogOptions, RaftLog};
use trilith_storage::{Folder, Identity, MemFiles, StorageError};
use trilith_values::NodeId;

/// What a node stands on.
pub struct Ground {
    /// Locked for as long as this lives.
    _folder: Option<Folder>,
    /// Rows of all its shards.
    pub engine: Arc<dyn Engine>,
    /// The log of all its shards.
    pub log: RaftLog,
}

/// How much memory and disk nodes may use.
pub struct Budget {
    /// Shared by the nodes of the process.
    pub shared: RocksShared,
    /// For each node.
    pub rocks: RocksSettings,
    /// For each node.
    pub log: LogOptions,
}

impl Budget {
    /// For `nodes` nodes in this process.
    pub fn for_nodes(nodes: usize) -> Self {
        let each = if nodes > 1 { 1 } else { 2 };
        Self {
            shared: RocksShared::new(64 << 20, 48 << 20),
            rocks: RocksSettings {
                memtable_bytes: each * (8 << 20),
                table_bytes: 8 << 20,
                level_base_bytes: 32 << 20,
                wal_bytes_max: 32 << 20,
                background_jobs: 2,
            },
            log: LogOptions {
                segment_bytes: 8 << 20,
                spares_max: 1,
                segments_slack: 2,
                cache_bytes: (each as u64) * (8 << 20),
            },
        }
    }
}

impl Ground {
    /// Locks and checks a folder, without opening what is in it.
    pub fn lock(path: &Path) -> Result<Folder, StorageError> {
        Folder::open(path)
    }

    /// Writes the node's identity into a locked folder, then opens what is in it: log and state are never there
    /// without an identity.
    pub fn open(
        mut folder: Folder,
        cluster: u128,
        node: NodeId,
        budget: &Budget,
    ) -> Result<Self, StorageError> {
        folder.claim(Identity { cluster: format!("{cluster:032x}"), node: node.0 })?;
        let files = Arc::new(folder.log_files()?);
        let engine = RocksEngine::open(&folder.state_path(), &budget.rocks, &budget.shared)?;
        let log = RaftLog::open(files, budget.log, Driver::Thread)?;
        Ok(Self { _folder: Some(folder), engine: Arc::new(engine), log })
    }

    /// In memory; gone with the process.
    pub fn in_memory(budget: &Budget) -> Result<Self, StorageError> {
        let log = RaftLog::open(Arc::new(MemFiles::new()), budget.log, Driver::Thread)?;
        Ok(Self { _folder: None, engine: Arc::new(MemEngine::new()), log })
    }
}

/// The identity in a folder: cluster and node.
pub fn identity(folder: &Folder) -> Result<Option<(u128, NodeId)>, String> {
    let Some(found) = folder.identity() else { return Ok(None) };
    let cluster = u128::from_str_radix(&found.cluster, 16).map_err(|_| {
        format!(
            "the data folder {} names the cluster {:?}, which is no cluster id; restore it or name another folder with --data-dir",
            folder.path().display(),
            found.cluster
        )
    })?;
    Ok(Some((cluster, NodeId(found.node))))
}
