//! Snapshots: everything a shard has, read from one pinned state of the engine, sent in chunks, staged and installed.
//!
//! For openraft a snapshot is only a mark ("applied up to here, and durable"): the rows are in the engine, so taking
//! one costs a sync and no copy. A peer that needs one gets a view pinned at that moment, row by row.
//!
//! The receiver stages rows under its own prefix until the last chunk came and the row count agrees. Then the mark
//! `Installing` is set and synced, the union of the old and the new spans is wiped, the rows are copied into place,
//! and the mark is removed together with the applied row. A node that dies in between finds the mark and does the
//! copy again: staged rows are only dropped with the mark. Shard rows of the sender and the receiver have the same
//! keys, as they bear the shard's id and not the replica's.

use std::collections::BTreeMap;
use std::io;
use std::ops::ControlFlow;
use std::sync::{Arc, Weak};

use bytes::Bytes;
use parking_lot::Mutex;
use trilith_domain::codec;
use trilith_domain::keyspace::{Key, shard_ranges, span_ranges};
use trilith_domain::machine::ShardState;
use trilith_domain::node_key::{NodeKey, family_of, family_tag};
use trilith_domain::schema::Span;
use trilith_storage::engine::{Engine, EngineView, Family, WriteBatch};
use trilith_values::{ReplicaId, ShardId};

use crate::codec::{AppliedBytes, damaged, decode, encode};
use crate::local_rows::{delete_prefix, scan_prefix};
use crate::message::{CHUNK_BYTES, SnapshotChunk, SnapshotRow};
use crate::replica::ReplicaName;
use crate::types::{SnapshotMeta, TypeConfig, Vote};
use crate::view::RowView;

/// A batch of copied rows is written when it has grown to this.
const COPY_BYTES: usize = 1024 * 1024;

/// A range of rows of one family.
type RowRange = (Family, Bytes, Bytes);

/// A snapshot's rows: pinned here, or staged here after they were received.
pub enum SnapshotData {
    /// On the sender.
    Pinned {
        /// The pinned state.
        view: Arc<dyn EngineView + Send + Sync>,
        /// What of it.
        ranges: Vec<RowRange>,
        /// The shard's applied row is left out: the receiver writes its own.
        shard: ShardId,
    },
    /// On the receiver.
    Staged {
        /// Under whose prefix.
        replica: ReplicaId,
        /// While it lives, the staged rows stay as they are.
        _hold: Arc<Hold>,
    },
}

/// Keeps staged rows from being replaced by the next transfer before they are installed.
#[derive(Debug)]
pub struct Hold(());

impl std::fmt::Debug for SnapshotData {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Pinned { shard, .. } => write!(f, "rows of shard {shard}"),
            Self::Staged { replica, .. } => write!(f, "rows staged for replica {replica}"),
        }
    }
}

/// Everything a shard has in a state of the engine.
pub(crate) fn ranges_of(state: &ShardState, shard: ShardId) -> Vec<RowRange> {
    let spans = state.spans().values().flat_map(|span| span_ranges(span.schema.table, &span.interval));
    shard_ranges(shard).into_iter().chain(spans).collect()
}

impl SnapshotData {
    /// Pins the shard's rows in `view`.
    pub(crate) fn pin(view: Arc<dyn EngineView + Send + Sync>, shard: ShardId) -> io::Result<Self> {
        let state = ShardState::load(shard, &RowView(view.as_ref())).map_err(io::Error::other)?;
        let ranges = ranges_of(&state, shard);
        Ok(Self::Pinned { view, ranges, shard })
    }

    /// Reads the rows chunk by chunk.
    pub(crate) fn reader(&self) -> io::Result<ChunkReader<'_>> {
        match self {
            Self::Pinned { view, ranges, shard } => {
                let left_out = Key::Applied(*shard).encode();
                Ok(ChunkReader { view: view.as_ref(), ranges, left_out, at: 0, from: None })
            }
            Self::Staged { .. } => Err(io::Error::other("a staged snapshot is installed here, not sent on")),
        }
    }
}

/// Walks the ranges of a pinned snapshot.
pub(crate) struct ChunkReader<'a> {
    view: &'a (dyn EngineView + Send + Sync),
    ranges: &'a [RowRange],
    left_out: Bytes,
    at: usize,
    from: Option<Vec<u8>>,
}

impl ChunkReader<'_> {
    /// The next rows, and whether they are the last.
    pub(crate) fn next_chunk(&mut self) -> io::Result<(Vec<SnapshotRow>, bool)> {
        let mut rows = Vec::new();
        let mut bytes = 0;
        while let Some((family, start, end)) = self.ranges.get(self.at) {
            let begin = self.from.take().unwrap_or_else(|| start.to_vec());
            let mut stopped_at = None;
            let left_out = &self.left_out;
            self.view
                .scan(*family, &begin, Some(end), false, &mut |key, value| {
                    if bytes >= CHUNK_BYTES {
                        stopped_at = Some(key.to_vec());
                        return ControlFlow::Break(());
                    }
                    if key != left_out {
                        bytes += key.len() + value.len();
                        let (key, value) = (key.to_vec(), value.to_vec());
                        rows.push(SnapshotRow { family: family_tag(*family), key, value });
                    }
                    ControlFlow::Continue(())
                })
                .map_err(io::Error::other)?;
            match stopped_at {
                Some(key) => {
                    self.from = Some(key);
                    return Ok((rows, false));
                }
                None => self.at += 1,
            }
        }
        Ok((rows, true))
    }
}

/// A snapshot as it comes in.
struct Incoming {
    transfer: u64,
    next: u64,
    rows: u64,
}

/// Stages the chunks that arrive for one replica.
pub(crate) struct Receiver {
    name: ReplicaName,
    engine: Arc<dyn Engine>,
    incoming: Mutex<Option<Incoming>>,
    /// The whole snapshot that was handed over last, while it waits for its install.
    handed_over: Mutex<Weak<Hold>>,
}

type Whole = (Vote, openraft::type_config::alias::SnapshotOf<TypeConfig, SnapshotData>);

impl Receiver {
    pub(crate) fn new(name: ReplicaName, engine: Arc<dyn Engine>) -> Self {
        Self { name, engine, incoming: Mutex::new(None), handed_over: Mutex::default() }
    }

    /// Takes a chunk. Gives the whole snapshot after the last one.
    ///
    /// # Errors
    /// When the chunk is out of order or the disk fails; the sender begins anew.
    pub(crate) fn accept(&self, chunk: SnapshotChunk) -> io::Result<Option<Whole>> {
        let replica = self.name.replica;
        let mut incoming = self.incoming.lock();
        let mut handed_over = self.handed_over.lock();
        if handed_over.strong_count() > 0 {
            return Err(io::Error::other("another snapshot is being installed"));
        }
        let mut batch = WriteBatch::new();
        if chunk.sequence == 0 {
            delete_prefix(&mut batch, NodeKey::staged_prefix(replica));
            *incoming = Some(Incoming { transfer: chunk.transfer, next: 0, rows: 0 });
        }
        let expected = incoming.as_mut().filter(|i| i.transfer == chunk.transfer && i.next == chunk.sequence);
        let Some(state) = expected else {
            *incoming = None;
            return Err(io::Error::other(format!("chunk {} is out of order", chunk.sequence)));
        };
        for row in &chunk.rows {
            let Some(family) = family_of(row.family) else {
                return Err(io::Error::other(format!("family {} is unknown here", row.family)));
            };
            codec::open(&row.value).map_err(damaged)?;
            let key = NodeKey::Staged { replica, family, key: row.key.clone().into() };
            batch.put(Family::Meta, key.encode(), row.value.clone());
        }
        self.engine.write(batch).map_err(io::Error::other)?;
        state.next += 1;
        state.rows += chunk.rows.len() as u64;
        if !chunk.last {
            return Ok(None);
        }
        let received = state.rows;
        *incoming = None;
        if received != chunk.rows_total {
            return Err(io::Error::other(format!("{received} rows came of {}", chunk.rows_total)));
        }
        let meta = SnapshotMeta::try_from(chunk.meta)?;
        let hold = Arc::new(Hold(()));
        *handed_over = Arc::downgrade(&hold);
        let snapshot = SnapshotData::Staged { replica, _hold: hold };
        Ok(Some((chunk.vote.into(), openraft::Snapshot { meta, snapshot })))
    }
}

/// Installs a snapshot in place of everything the shard has here.
pub(crate) fn install(
    engine: &dyn Engine,
    name: ReplicaName,
    meta: &SnapshotMeta,
    data: &SnapshotData,
) -> io::Result<()> {
    if let SnapshotData::Pinned { .. } = data {
        stage(engine, name, data)?;
    }
    let mut batch = WriteBatch::new();
    let mark = encode(&AppliedBytes::from(meta));
    batch.put(Family::Meta, NodeKey::Installing(name.replica).encode(), codec::seal(&mark));
    engine.write(batch).map_err(io::Error::other)?;
    engine.sync().map_err(io::Error::other)?;
    finish(engine, name)
}

/// Stages a snapshot that is pinned in this very process.
fn stage(engine: &dyn Engine, name: ReplicaName, data: &SnapshotData) -> io::Result<()> {
    let mut batch = WriteBatch::new();
    delete_prefix(&mut batch, NodeKey::staged_prefix(name.replica));
    let mut reader = data.reader()?;
    loop {
        let (rows, last) = reader.next_chunk()?;
        for row in rows {
            let family = family_of(row.family).expect("the reader knows its families");
            let key = NodeKey::Staged { replica: name.replica, family, key: row.key.into() };
            batch.put(Family::Meta, key.encode(), row.value);
        }
        engine.write(std::mem::take(&mut batch)).map_err(io::Error::other)?;
        if last {
            return Ok(());
        }
    }
}

/// Does the copy that an `Installing` mark asks for, if there is one. Done again after a crash, it ends the same.
pub(crate) fn finish(engine: &dyn Engine, name: ReplicaName) -> io::Result<()> {
    let mark = NodeKey::Installing(name.replica).encode();
    let Some(sealed) = engine.get(Family::Meta, &mark).map_err(io::Error::other)? else { return Ok(()) };
    let meta: AppliedBytes = decode(codec::open(&sealed).map_err(damaged)?)?;
    crate::state_machine::wipe(engine, name.shard)?;
    let mut staged_spans = BTreeMap::new();
    copy_staged(engine, name, &mut staged_spans)?;
    let mut batch = WriteBatch::new();
    batch.put(Family::Meta, Key::Applied(name.shard).encode(), codec::seal(&encode(&meta)));
    batch.delete(Family::Meta, mark);
    delete_prefix(&mut batch, NodeKey::staged_prefix(name.replica));
    engine.write(batch).map_err(io::Error::other)?;
    engine.sync().map_err(io::Error::other)
}

/// Wipes the new spans, then copies the staged rows into place. Meta rows come first in key order within the staging
/// prefix only by family tag, so the spans are read in a pass of their own.
fn copy_staged(
    engine: &dyn Engine,
    name: ReplicaName,
    spans: &mut BTreeMap<Vec<u8>, Vec<RowRange>>,
) -> io::Result<()> {
    let view = engine.snapshot();
    let prefix = NodeKey::staged_prefix(name.replica);
    let mut failure = None;
    scan_prefix(view.as_ref(), &prefix, &mut |key, value| {
        if let Some(NodeKey::Staged { family: Family::Meta, key, .. }) = NodeKey::decode(key)
            && let Ok(Key::Span(..)) = Key::decode(Family::Meta, &key)
        {
            match codec::open_row::<Span>(value) {
                Ok(span) => {
                    spans.insert(key.to_vec(), span_ranges(span.schema.table, &span.interval));
                }
                Err(damage) => {
                    failure = Some(damage.to_string());
                    return ControlFlow::Break(());
                }
            }
        }
        ControlFlow::Continue(())
    })
    .map_err(io::Error::other)?;
    if let Some(why) = failure {
        return Err(io::Error::other(why));
    }
    let mut batch = WriteBatch::new();
    for (family, start, end) in spans.values().flatten() {
        batch.delete_range(*family, start.clone(), end.clone());
    }
    let mut failed = None;
    scan_prefix(view.as_ref(), &prefix, &mut |key, value| {
        if let Some(NodeKey::Staged { family, key, .. }) = NodeKey::decode(key) {
            batch.put(family, key, value.to_vec());
        }
        if batch.bytes() >= COPY_BYTES
            && let Err(error) = engine.write(std::mem::take(&mut batch))
        {
            failed = Some(error);
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    })
    .map_err(io::Error::other)?;
    match failed {
        Some(error) => Err(io::Error::other(error)),
        None => engine.write(batch).map_err(io::Error::other),
    }
}
