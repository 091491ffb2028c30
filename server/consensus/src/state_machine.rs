//! A shard's state machine as openraft drives it: fetch, apply in memory, write once, answer.
//!
//! For each entry: the keys its commands name are fetched in one call, domain's pure `apply` decides, and its
//! effects and the applied log id go into the engine in one atomic batch. Replies leave after the batch is visible.
//! The batch is not synced: the log replays what a crash loses. An error here is of the disk and stops the replica;
//! it is never a reply.
//!
//! Applied state is shared with readers ([`Applied`]), who may look at any time: at rows through the engine, at
//! spans and counters through the shard's small state in memory.

use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures::{Stream, StreamExt};
use openraft::entry::RaftEntry;
use openraft::storage::{EntryResponder, RaftSnapshotBuilder, RaftStateMachine};
use openraft::{EntryPayload, OptionalSend, Snapshot};
use parking_lot::{Mutex, RwLock};
use tokio::sync::watch;
use tokio::time::Instant;
use trilith_domain::catalog::Catalog;
use trilith_domain::codec;
use trilith_domain::keyspace::{CATALOG_SHARD, Key, shard_ranges};
use trilith_domain::machine::{self, Batch, Effect, Effects, Prefetched, ShardState};
use trilith_domain::read::{self, Plan, ReadReply, StoredSpans, ViewError};
use trilith_storage::engine::{Engine, EngineView, Family, WriteBatch};
use trilith_values::ShardId;

use crate::codec::{AppliedBytes, damaged, decode, encode};
use crate::error::ReadError;
use crate::log_store::LogStore;
use crate::replica::ReplicaName;
use crate::snapshot::{self, SnapshotData, ranges_of};
use crate::types::{LogId, Replies, SnapshotMeta, StoredMembership, TypeConfig};
use crate::view::RowView;

/// What a replica has applied, shared with its readers.
pub struct Applied {
    name: ReplicaName,
    engine: Arc<dyn Engine>,
    state: RwLock<ShardState>,
    index: watch::Sender<u64>,
    /// Index up to which state was made durable in this life.
    durable: AtomicU64,
    writes: AtomicU64,
    dropped: Mutex<Vec<(Family, Bytes, Bytes)>>,
}

impl Applied {
    /// Index of the last entry applied.
    pub fn index(&self) -> u64 {
        *self.index.borrow()
    }

    /// Index up to which the log may go: everything applied up to it was synced since the start. (What openraft counts
    /// as a snapshot is no measure: at its start that is whatever is applied, synced or not.)
    pub(crate) fn durable(&self) -> u64 {
        self.durable.load(Ordering::SeqCst)
    }

    fn synced_up_to(&self, log_id: Option<&LogId>) {
        self.durable.fetch_max(log_id.map_or(0, |id| id.index()), Ordering::SeqCst);
    }

    /// Item writes applied since the start.
    pub fn writes(&self) -> u64 {
        self.writes.load(Ordering::Relaxed)
    }

    /// Hash over all effects ever applied: equal on every replica that has applied the same entries.
    pub fn state_hash(&self) -> u64 {
        self.state.read().hash()
    }

    /// What the shard owes to global indexes.
    pub fn outbox(&self) -> machine::Outbox {
        *self.state.read().outbox()
    }

    /// Commands set aside because applying them panicked.
    pub fn poisoned(&self) -> u64 {
        self.state.read().poisoned()
    }

    /// Waits until `index` is applied.
    ///
    /// # Errors
    /// When the deadline passes or the replica stops first.
    pub async fn wait_for(&self, index: u64, deadline: Instant) -> Result<(), ReadError> {
        let mut changes = self.index.subscribe();
        match tokio::time::timeout_at(deadline, changes.wait_for(|applied| *applied >= index)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) => Err(ReadError::Stopped("the replica was stopped".into())),
            Err(_) => Err(ReadError::Stopped(format!("entry {index} was not applied in time"))),
        }
    }

    /// Waits until something beyond `index` is applied, or the replica stops.
    pub async fn changed_from(&self, index: u64) {
        let mut changes = self.index.subscribe();
        let _ = changes.wait_for(|applied| *applied > index).await;
    }

    /// Runs a plan on what is applied now. Pages are read from one pinned state, spans included, so that a long page
    /// holds nobody up.
    ///
    /// A search of vectors may look at all rows of a span: it goes to where blocking does not hold others up.
    pub(crate) fn run(&self, plan: &Plan) -> Result<ReadReply, ReadError> {
        let reply = match plan {
            Plan::Vectors(_) => blocking(|| self.run_pinned(plan)),
            Plan::Get(_) | Plan::Count { .. } | Plan::CountIndexes { .. } => {
                let state = self.state.read();
                read::run(&*state, &RowView(&EngineRows(&*self.engine)), plan)
            }
            Plan::Query(_)
            | Plan::Scan(_)
            | Plan::Catalog { .. }
            | Plan::Index(_)
            | Plan::Owed { .. }
            | Plan::Backfilled { .. }
            | Plan::TransactGet { .. }
            | Plan::Transactions { .. }
            | Plan::Check(_) => self.run_pinned(plan),
        };
        reply.map_err(|error| ReadError::Storage(error.to_string()))
    }

    fn run_pinned(&self, plan: &Plan) -> Result<ReadReply, ViewError> {
        let view = self.engine.snapshot();
        let view = RowView(view.as_ref());
        read::run(&StoredSpans { shard: self.name.shard, view: &view }, &view, plan)
    }

    /// The catalog, as shard 0 has applied it; empty on other shards.
    pub fn catalog(&self) -> Catalog {
        self.state.read().catalog().clone()
    }

    /// Row ranges of spans that were dropped since the last call: their files may go once the drop is durable.
    pub(crate) fn take_dropped(&self) -> Vec<(Family, Bytes, Bytes)> {
        std::mem::take(&mut *self.dropped.lock())
    }
}

/// An engine behind a reference, as the view trait wants it.
struct EngineRows<'a>(&'a dyn Engine);

impl EngineView for EngineRows<'_> {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Bytes>, trilith_storage::StorageError> {
        self.0.get(family, key)
    }

    fn multi_get(
        &self,
        keys: &[(Family, Bytes)],
    ) -> Result<Vec<Option<Bytes>>, trilith_storage::StorageError> {
        self.0.multi_get(keys)
    }

    fn scan(
        &self,
        family: Family,
        start: &[u8],
        end: Option<&[u8]>,
        reverse: bool,
        visit: &mut trilith_storage::engine::Visit<'_>,
    ) -> Result<(), trilith_storage::StorageError> {
        self.0.scan(family, start, end, reverse, visit)
    }
}

/// One replica's state machine.
pub struct StateMachine {
    applied: Arc<Applied>,
    last: Option<LogId>,
    membership: StoredMembership,
}

fn load_applied(engine: &dyn EngineView, shard: ShardId) -> io::Result<(Option<LogId>, StoredMembership)> {
    match engine.get(Family::Meta, &Key::Applied(shard).encode()).map_err(io::Error::other)? {
        Some(sealed) => decode::<AppliedBytes>(codec::open(&sealed).map_err(damaged)?)?.parts(),
        None => Ok((None, StoredMembership::default())),
    }
}

/// Whether the engine holds any row under the shard's id.
fn has_rows(engine: &dyn Engine, shard: ShardId) -> io::Result<bool> {
    let mut found = false;
    for (family, start, end) in shard_ranges(shard) {
        engine
            .scan(family, &start, Some(&end), false, &mut |_, _| {
                found = true;
                ControlFlow::Break(())
            })
            .map_err(io::Error::other)?;
    }
    Ok(found)
}

/// [`wipe`], without a write where nothing is left.
pub(crate) fn wipe_leftovers(engine: &dyn Engine, shard: ShardId) -> io::Result<()> {
    if has_rows(engine, shard)? { wipe(engine, shard) } else { Ok(()) }
}

/// Runs work that takes long on a thread that may block, where the runtime has others to go on with.
fn blocking<T>(work: impl FnOnce() -> T) -> T {
    use tokio::runtime::{Handle, RuntimeFlavor};
    match Handle::try_current().map(|runtime| runtime.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        Ok(_) | Err(_) => work(),
    }
}

/// Removes every row of a shard: its spans' items and its own rows. Nothing of it is read again afterwards.
pub(crate) fn wipe(engine: &dyn Engine, shard: ShardId) -> io::Result<()> {
    let view = engine.snapshot();
    let state = ShardState::load(shard, &RowView(view.as_ref())).map_err(io::Error::other)?;
    let mut batch = WriteBatch::new();
    for (family, start, end) in ranges_of(&state, shard) {
        batch.delete_range(family, start, end);
    }
    engine.write(batch).map_err(io::Error::other)
}

impl StateMachine {
    /// On whatever the engine holds of the shard. Finishes a snapshot install that a crash cut short.
    pub(crate) fn open(name: ReplicaName, engine: Arc<dyn Engine>) -> io::Result<Self> {
        snapshot::finish(engine.as_ref(), name)?;
        let (last, membership) = load_applied(&EngineRows(&*engine), name.shard)?;
        let state =
            ShardState::load(name.shard, &RowView(&EngineRows(&*engine))).map_err(io::Error::other)?;
        let applied = Applied {
            name,
            engine,
            state: RwLock::new(state),
            index: watch::Sender::new(last.as_ref().map_or(0, |id| id.index())),
            durable: AtomicU64::new(0),
            writes: AtomicU64::new(0),
            dropped: Mutex::default(),
        };
        Ok(Self { applied: Arc::new(applied), last, membership })
    }

    pub(crate) fn applied(&self) -> Arc<Applied> {
        Arc::clone(&self.applied)
    }

    /// Makes sure that log and state can go on together.
    ///
    /// State may be ahead of the log, as applying waits for a quorum and not for this disk. openraft then lets the
    /// log go up to the state, so the state must be durable first.
    ///
    /// # Errors
    /// When the log was purged beyond the state: rows were lost, and with them acknowledged writes.
    pub(crate) fn check_against(&self, log: &LogStore) -> io::Result<()> {
        let applied = self.last.as_ref().map(|id| id.index());
        if log.purged_index() > applied {
            return Err(damaged(format!(
                "the log of replica {} begins after entry {:?}, its state ends with {applied:?}: rows were lost",
                self.applied.name.replica,
                log.purged_index(),
            )));
        }
        if log.last_index() < applied {
            self.applied.engine.sync().map_err(io::Error::other)?;
        }
        Ok(())
    }

    /// Applies one entry: effects and the applied row in one atomic batch.
    pub(crate) fn apply_entry(&mut self, log_id: LogId, batch: Option<&Batch>) -> io::Result<Replies> {
        let shard = self.applied.name.shard;
        let mut write = WriteBatch::new();
        let mut replies = Vec::new();
        if let Some(batch) = batch {
            let fetched = self.fetch(batch)?;
            let mut state = self.applied.state.write();
            let before = state.poisoned();
            let applied = machine::apply_batch(&mut state, fetched, batch, log_id.index());
            let poisoned = state.poisoned() - before;
            drop(state);
            if poisoned > 0 {
                tracing::error!(
                    %shard,
                    entry = log_id.index(),
                    poisoned,
                    "commands were set aside because applying them panicked; the rest goes on. This is a defect: report it"
                );
            }
            let (answers, effects) = applied.map_err(io::Error::other)?;
            assert_eq!(answers.len(), batch.commands.len(), "one reply for each command");
            replies = answers;
            let dropped =
                effects.dropped_ranges().map(|(family, start, end)| (family, start.clone(), end.clone()));
            self.applied.dropped.lock().extend(dropped);
            translate(effects, &mut write);
        }
        self.last = Some(log_id);
        let applied = encode(&AppliedBytes::new(self.last.as_ref(), &self.membership));
        write.put(Family::Meta, Key::Applied(shard).encode(), codec::seal(&applied));
        self.applied.engine.write(write).map_err(io::Error::other)?;
        if let Some(batch) = batch {
            let items: usize = batch.commands.iter().map(|command| command.body.writes()).sum();
            self.applied.writes.fetch_add(items as u64, Ordering::Relaxed);
        }
        self.applied.index.send_replace(log_id.index());
        Ok(Replies(replies))
    }

    /// Every key the commands name, with its value, in one call to the engine.
    fn fetch(&self, batch: &Batch) -> io::Result<Prefetched> {
        let keys = machine::reads_of(batch);
        let values = self.applied.engine.multi_get(&keys).map_err(io::Error::other)?;
        Ok(Prefetched::new(keys, values))
    }
}

fn translate(effects: Effects, write: &mut WriteBatch) {
    for effect in effects.0 {
        match effect {
            Effect::Put { family, key, value } => write.put(family, key, value),
            Effect::Delete { family, key } => write.delete(family, key),
            Effect::DeleteRange { family, start, end } => write.delete_range(family, start, end),
        }
    }
}

impl RaftStateMachine<TypeConfig> for StateMachine {
    type SnapshotData = SnapshotData;
    type SnapshotBuilder = Marker;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, StoredMembership), io::Error> {
        Ok((self.last, self.membership.clone()))
    }

    async fn apply<Strm>(&mut self, mut entries: Strm) -> Result<(), io::Error>
    where
        Strm: Stream<Item = Result<EntryResponder<TypeConfig>, io::Error>> + Unpin + OptionalSend,
    {
        while let Some(next) = entries.next().await {
            let (entry, responder) = next?;
            let log_id = entry.log_id();
            let replies = match entry.payload {
                EntryPayload::Blank => self.apply_entry(log_id, None)?,
                EntryPayload::Membership(membership) => {
                    self.membership = StoredMembership::new(Some(log_id), membership);
                    self.apply_entry(log_id, None)?
                }
                EntryPayload::Normal(payload) => self.apply_entry(log_id, Some(payload.batch()?.as_ref()))?,
            };
            if let Some(responder) = responder {
                responder.send(replies);
            }
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> Self::SnapshotBuilder {
        Marker { applied: Arc::clone(&self.applied) }
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta,
        snapshot: Self::SnapshotData,
    ) -> Result<(), io::Error> {
        let name = self.applied.name;
        // Rows are wiped and copied in several steps: until they are whole, this replica owns no span. (The catalog
        // is not read from rows; whoever asks meanwhile gets the one before.)
        if name.shard != CATALOG_SHARD {
            *self.applied.state.write() = ShardState::new(name.shard);
        }
        blocking(|| snapshot::install(self.applied.engine.as_ref(), name, meta, &snapshot))?;
        let view = RowView(&EngineRows(&*self.applied.engine)).reload(name.shard)?;
        *self.applied.state.write() = view;
        self.applied.synced_up_to(meta.last_log_id.as_ref());
        self.last = meta.last_log_id;
        self.membership = meta.last_membership.clone();
        self.applied.index.send_replace(self.last.as_ref().map_or(0, |id| id.index()));
        Ok(())
    }

    async fn get_current_snapshot(
        &mut self,
    ) -> Result<Option<openraft::type_config::alias::SnapshotOf<TypeConfig, SnapshotData>>, io::Error> {
        let pinned = pinned(self.applied.engine.as_ref(), self.applied.name.shard)?;
        Ok(Some(pinned).filter(|snapshot| snapshot.meta.last_log_id.is_some()))
    }
}

impl RowView<'_> {
    fn reload(&self, shard: ShardId) -> io::Result<ShardState> {
        ShardState::load(shard, self).map_err(io::Error::other)
    }
}

type Pinned = openraft::type_config::alias::SnapshotOf<TypeConfig, SnapshotData>;

/// The shard as it is applied now, pinned.
fn pinned(engine: &dyn Engine, shard: ShardId) -> io::Result<Pinned> {
    let view: Arc<dyn EngineView + Send + Sync> = Arc::from(engine.snapshot());
    let (last_log_id, last_membership) = load_applied(view.as_ref(), shard)?;
    let snapshot = SnapshotData::pin(view, shard)?;
    Ok(Snapshot { meta: SnapshotMeta { last_log_id, last_membership }, snapshot })
}

/// Makes a snapshot by making state durable: the rows are where they are.
pub struct Marker {
    applied: Arc<Applied>,
}

impl RaftSnapshotBuilder<TypeConfig> for Marker {
    type SnapshotData = SnapshotData;

    async fn build_snapshot(&mut self) -> Result<Pinned, io::Error> {
        // Pinned first, synced after: everything the mark names is durable, and the log may go up to it.
        let engine = self.applied.engine.as_ref();
        let snapshot = pinned(engine, self.applied.name.shard)?;
        blocking(|| engine.sync()).map_err(io::Error::other)?;
        self.applied.synced_up_to(snapshot.meta.last_log_id.as_ref());
        Ok(snapshot)
    }
}
