//! openraft's own storage suite, on our log and state machine. It applies no normal entries: `storage` does.

use std::sync::Arc;

use openraft::StorageError;
use openraft::testing::log::{StoreBuilder, Suite};
use tempfile::TempDir;
use trilith_storage::engine::Engine;
use trilith_storage::{
    Driver, LogOptions, MemEngine, MemFiles, OsFiles, RaftLog, RocksEngine, RocksSettings, RocksShared,
};
use trilith_values::{NodeId, ReplicaId, ShardId};

use crate::log_store::LogStore;
use crate::replica::ReplicaName;
use crate::state_machine::StateMachine;
use crate::types::TypeConfig;

const NAME: ReplicaName = ReplicaName { shard: ShardId(1), replica: ReplicaId(1), node: NodeId(1) };

fn options() -> LogOptions {
    LogOptions { segment_bytes: 64 << 10, ..LogOptions::default() }
}

fn on(log: &RaftLog, engine: Arc<dyn Engine>) -> (LogStore, StateMachine) {
    let machine = StateMachine::open(NAME, engine).expect("the state machine opens");
    (LogStore::new(log.open_log(NAME.replica.0), 0), machine)
}

struct InMemory;

impl StoreBuilder<TypeConfig, LogStore, StateMachine, RaftLog> for InMemory {
    async fn build(&self) -> Result<(RaftLog, LogStore, StateMachine), StorageError<TypeConfig>> {
        let log = RaftLog::open(Arc::new(MemFiles::new()), options(), Driver::Inline).expect("the log opens");
        let (store, machine) = on(&log, Arc::new(MemEngine::new()));
        Ok((log, store, machine))
    }
}

struct OnDisk;

impl StoreBuilder<TypeConfig, LogStore, StateMachine, (RaftLog, TempDir)> for OnDisk {
    async fn build(&self) -> Result<((RaftLog, TempDir), LogStore, StateMachine), StorageError<TypeConfig>> {
        let folder = TempDir::new().expect("a folder");
        let files = OsFiles::new(folder.path().join("log")).expect("a folder for the log");
        let log = RaftLog::open(Arc::new(files), options(), Driver::Thread).expect("the log opens");
        let state = folder.path().join("state");
        let engine = RocksEngine::open(&state, &RocksSettings::compact(), &RocksShared::default());
        let (store, machine) = on(&log, Arc::new(engine.expect("the engine opens")));
        Ok(((log, folder), store, machine))
    }
}

#[tokio::test]
async fn openrafts_suite_passes_in_memory() {
    Suite::test_all(InMemory).await.expect("every case passes");
}

#[tokio::test]
async fn openrafts_suite_passes_on_disk() {
    Suite::test_all(OnDisk).await.expect("every case passes");
}
