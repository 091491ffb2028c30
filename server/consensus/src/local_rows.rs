//! Rows of the node itself, apart from every shard: which replicas it holds, and snapshots on their way in.
//!
//! They stand in the meta family under a prefix that no shard id has, so that no span, shard or snapshot ever
//! includes them.

use std::ops::ControlFlow;

use trilith_domain::codec;
use trilith_domain::keyspace::prefix_end;
use trilith_domain::node_key::NodeKey;
use trilith_storage::StorageError;
use trilith_storage::engine::{Engine, EngineView, Family, Visit, WriteBatch};
use trilith_values::ReplicaId;

use crate::codec::decode;
use crate::host::HeldReplica;

/// Every replica this node ever held.
pub(crate) fn held(engine: &dyn Engine) -> Result<Vec<(ReplicaId, HeldReplica)>, StorageError> {
    let mut rows = Vec::new();
    scan_prefix(engine, &NodeKey::held_prefix(), &mut |key, value| {
        rows.push((key.to_vec(), value.to_vec()));
        ControlFlow::Continue(())
    })?;
    rows.into_iter()
        .map(|(key, value)| {
            let damaged = |detail: String| StorageError::Corrupt {
                place: "the list of replicas this node holds".into(),
                detail,
                affected: Vec::new(),
            };
            let Some(NodeKey::Held(replica)) = NodeKey::decode(&key) else {
                return Err(damaged("the key is none of a held replica".into()));
            };
            let row = codec::open(&value).map_err(|e| damaged(e.to_string()))?;
            let row = decode::<HeldReplica>(row).map_err(|e| damaged(e.to_string()))?;
            Ok((replica, row))
        })
        .collect()
}

/// Remembers a replica, durably.
pub(crate) fn put(engine: &dyn Engine, replica: ReplicaId, row: HeldReplica) -> Result<(), StorageError> {
    let mut batch = WriteBatch::new();
    let value = borsh::to_vec(&row).expect("encoding to memory cannot fail");
    batch.put(Family::Meta, NodeKey::Held(replica).encode(), codec::seal(&value));
    engine.write(batch)?;
    engine.sync()
}

/// Removes what a replica received of snapshots, and the mark of one that was being installed.
pub(crate) fn forget_snapshots(engine: &dyn Engine, replica: ReplicaId) -> Result<(), StorageError> {
    let prefix = NodeKey::staged_prefix(replica);
    let mark = NodeKey::Installing(replica).encode();
    let mut any = engine.get(Family::Meta, &mark)?.is_some();
    scan_prefix(engine, &prefix, &mut |_, _| {
        any = true;
        ControlFlow::Break(())
    })?;
    if !any {
        return Ok(());
    }
    let mut batch = WriteBatch::new();
    batch.delete(Family::Meta, mark);
    delete_prefix(&mut batch, prefix);
    engine.write(batch)
}

/// Visits the meta rows that begin with `prefix`.
pub(crate) fn scan_prefix(
    view: &dyn EngineView,
    prefix: &[u8],
    visit: &mut Visit<'_>,
) -> Result<(), StorageError> {
    view.scan(Family::Meta, prefix, Some(&prefix_end(prefix)), false, visit)
}

/// Deletes the meta rows that begin with `prefix`.
pub(crate) fn delete_prefix(batch: &mut WriteBatch, prefix: Vec<u8>) {
    let end = prefix_end(&prefix);
    batch.delete_range(Family::Meta, prefix, end);
}
