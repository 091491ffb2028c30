//! The engine in memory: for `--memory`, for tests, and for the simulation, where it can lose what was not synced.
//!
//! Rows keep the versions that some snapshot can still see, newest last, each with the number of the batch that wrote
//! it. A read looks at a row as of one number; a snapshot is a number that is registered until it is dropped. Old
//! versions go when the row is written again or when the last snapshot that needed them ends.
//!
//! An engine made by [`MemEngine::crashable`] also remembers how to undo each batch since the last sync, so that
//! [`MemEngine::crash`] can return to any state a disk could have kept: the synced state plus a prefix of the batches
//! written since. The crashed engine and its snapshots then refuse to work, as the memory of a dead process would.

use super::{Engine, EngineStats, EngineView, Family, Snapshot, Visit, WriteBatch, WriteOp};
use crate::error::StorageError;
use bytes::Bytes;
use parking_lot::RwLock;
use std::collections::{BTreeMap, VecDeque};
use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

/// Rows of a scan copied out per lock: large enough to amortise it, small enough not to hold up writers.
const CHUNK: usize = 128;

/// An ordered store in memory. A clone is the same store.
#[derive(Debug, Clone)]
pub struct MemEngine {
    shared: Arc<RwLock<State>>,
}

/// One version of a row; no value means that it was deleted.
#[derive(Debug, Clone)]
struct Version {
    written: u64,
    value: Option<Bytes>,
}

type Rows = BTreeMap<Bytes, Vec<Version>>;

#[derive(Debug, Default)]
struct State {
    families: [Rows; Family::ALL.len()],
    /// Number of the newest batch.
    newest: u64,
    /// Numbers that snapshots read at, and how many of them.
    pinned: BTreeMap<u64, usize>,
    /// Rows that have more than one version or a deleted last one, in the order they came to it.
    garbage: VecDeque<(u64, Family, Bytes)>,
    /// How to undo each batch since the last sync, oldest first; `None` when crashes are not simulated.
    undo: Option<Vec<Vec<Undo>>>,
    /// Bytes of all keys and values of all versions.
    bytes: u64,
    crashed: bool,
}

/// What a row was before a batch touched it.
type Undo = (Family, Bytes, Option<Bytes>);

impl Default for MemEngine {
    fn default() -> MemEngine {
        MemEngine::new()
    }
}

impl MemEngine {
    /// An empty engine.
    pub fn new() -> MemEngine {
        MemEngine { shared: Arc::new(RwLock::new(State::default())) }
    }

    /// An empty engine that remembers what was not synced, so that [`MemEngine::crash`] can lose it.
    pub fn crashable() -> MemEngine {
        MemEngine { shared: Arc::new(RwLock::new(State { undo: Some(Vec::new()), ..State::default() })) }
    }

    /// Number of batches written since the last sync: the largest useful argument of [`MemEngine::crash`].
    /// 0 for an engine that is not crashable.
    pub fn unsynced(&self) -> usize {
        self.shared.read().undo.as_ref().map_or(0, Vec::len)
    }

    /// Ends this engine as a power cut would, and returns the one that a restart finds: the synced state and the
    /// first `keep` batches written since. The old engine and its snapshots answer [`StorageError::Fenced`] from now
    /// on. An engine that is not crashable keeps everything.
    pub fn crash(&self, keep: usize) -> MemEngine {
        let mut state = self.shared.write();
        let crashable = state.undo.is_some();
        let undo = state.undo.take().unwrap_or_default();
        for batch in undo.into_iter().skip(keep).rev() {
            for (family, key, before) in batch.into_iter().rev() {
                state.set(family, key, before);
            }
        }
        let mut survivor = State { undo: crashable.then(Vec::new), ..State::default() };
        for (target, rows) in survivor.families.iter_mut().zip(std::mem::take(&mut state.families)) {
            for (key, versions) in rows {
                let Some(Version { value: Some(value), .. }) = versions.into_iter().next_back() else {
                    continue;
                };
                survivor.bytes += (key.len() + value.len()) as u64;
                target.insert(key, vec![Version { written: 0, value: Some(value) }]);
            }
        }
        *state = State { crashed: true, ..State::default() };
        MemEngine { shared: Arc::new(RwLock::new(survivor)) }
    }

    fn pin(&self) -> Pin {
        let mut state = self.shared.write();
        let at = state.newest;
        *state.pinned.entry(at).or_default() += 1;
        Pin { shared: Arc::clone(&self.shared), at }
    }
}

impl State {
    fn check(&self) -> Result<(), StorageError> {
        if self.crashed {
            return Err(StorageError::Fenced { reason: "this engine in memory has crashed".to_owned() });
        }
        Ok(())
    }

    /// The value of a row as batch `at` left it.
    fn value_at(&self, family: Family, key: &[u8], at: u64) -> Option<Bytes> {
        visible(self.families[family as usize].get(key)?, at)
    }

    /// The oldest batch number that a snapshot still reads at, or the newest one.
    fn horizon(&self) -> u64 {
        self.pinned.keys().next().copied().unwrap_or(self.newest)
    }

    /// Writes one row as part of batch `newest`.
    fn set(&mut self, family: Family, key: Bytes, value: Option<Bytes>) {
        let (newest, horizon) = (self.newest, self.horizon());
        let rows = &mut self.families[family as usize];
        let deleted = value.is_none();
        if deleted && !rows.contains_key(&key) {
            return;
        }
        let versions = rows.entry(key.clone()).or_default();
        let size = |version: &Version| (key.len() + version.value.as_ref().map_or(0, Bytes::len)) as u64;
        let before: u64 = versions.iter().map(size).sum();
        // A second write in one batch replaces the first: nobody can have seen it.
        if versions.last().is_some_and(|last| last.written == newest) {
            versions.pop();
        }
        versions.push(Version { written: newest, value });
        prune(versions, horizon);
        let after: u64 = versions.iter().map(size).sum();
        self.bytes = self.bytes + after - before;
        if versions.len() > 1 || deleted {
            self.garbage.push_back((newest, family, key));
        }
    }

    /// Drops the versions that no snapshot can see any more.
    fn collect_garbage(&mut self) {
        let horizon = self.horizon();
        while let Some((written, _, _)) = self.garbage.front() {
            if *written > horizon {
                break;
            }
            let Some((_, family, key)) = self.garbage.pop_front() else {
                break;
            };
            let rows = &mut self.families[family as usize];
            let Some(versions) = rows.get_mut(&key) else {
                continue;
            };
            let size = |version: &Version| (key.len() + version.value.as_ref().map_or(0, Bytes::len)) as u64;
            let before: u64 = versions.iter().map(size).sum();
            prune(versions, horizon);
            let gone = versions.len() == 1 && versions[0].value.is_none() && versions[0].written <= horizon;
            let after: u64 = if gone { 0 } else { versions.iter().map(size).sum() };
            self.bytes = self.bytes + after - before;
            if gone {
                rows.remove(&key);
            }
        }
    }

    fn apply(&mut self, batch: WriteBatch) {
        self.newest += 1;
        let mut undo = self.undo.is_some().then(Vec::new);
        for op in batch.ops {
            match op {
                WriteOp::Put { family, key, value } => self.change(family, key, Some(value), &mut undo),
                WriteOp::Delete { family, key } => self.change(family, key, None, &mut undo),
                WriteOp::DeleteRange { family, start, end } => {
                    let doomed: Vec<Bytes> = self.families[family as usize]
                        .range(start..end)
                        .filter(|(_, versions)| versions.last().is_some_and(|last| last.value.is_some()))
                        .map(|(key, _)| key.clone())
                        .collect();
                    for key in doomed {
                        self.change(family, key, None, &mut undo);
                    }
                }
            }
        }
        if let (Some(all), Some(undo)) = (&mut self.undo, undo) {
            all.push(undo);
        }
        self.collect_garbage();
    }

    fn change(&mut self, family: Family, key: Bytes, value: Option<Bytes>, undo: &mut Option<Vec<Undo>>) {
        if let Some(undo) = undo {
            undo.push((family, key.clone(), self.value_at(family, &key, u64::MAX)));
        }
        self.set(family, key, value);
    }

    /// Up to [`CHUNK`] rows of a range as of batch `at`, in the order of the scan.
    fn chunk(
        &self,
        family: Family,
        range: (Bound<&[u8]>, Bound<&[u8]>),
        reverse: bool,
        at: u64,
    ) -> Vec<(Bytes, Bytes)> {
        let rows = self.families[family as usize].range::<[u8], _>(range);
        let live = |(key, versions): (&Bytes, &Vec<Version>)| Some((key.clone(), visible(versions, at)?));
        if reverse {
            rows.rev().filter_map(live).take(CHUNK).collect()
        } else {
            rows.filter_map(live).take(CHUNK).collect()
        }
    }
}

fn visible(versions: &[Version], at: u64) -> Option<Bytes> {
    versions.iter().rev().find(|version| version.written <= at)?.value.clone()
}

/// Drops every version that is older than the newest one at or below `horizon`.
fn prune(versions: &mut Vec<Version>, horizon: u64) {
    if let Some(keep_from) = versions.iter().rposition(|version| version.written <= horizon) {
        versions.drain(..keep_from);
    }
}

/// A registered batch number to read at.
#[derive(Debug)]
struct Pin {
    shared: Arc<RwLock<State>>,
    at: u64,
}

impl Drop for Pin {
    fn drop(&mut self) {
        let mut state = self.shared.write();
        if let Some(count) = state.pinned.get_mut(&self.at) {
            *count -= 1;
            if *count == 0 {
                state.pinned.remove(&self.at);
            }
        }
        state.collect_garbage();
    }
}

impl EngineView for Pin {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Bytes>, StorageError> {
        let state = self.shared.read();
        state.check()?;
        Ok(state.value_at(family, key, self.at))
    }

    fn multi_get(&self, keys: &[(Family, Bytes)]) -> Result<Vec<Option<Bytes>>, StorageError> {
        let state = self.shared.read();
        state.check()?;
        Ok(keys.iter().map(|(family, key)| state.value_at(*family, key, self.at)).collect())
    }

    fn scan(
        &self,
        family: Family,
        start: &[u8],
        end: Option<&[u8]>,
        reverse: bool,
        visit: &mut Visit<'_>,
    ) -> Result<(), StorageError> {
        if end.is_some_and(|end| end <= start) {
            return Ok(());
        }
        let mut last: Option<Bytes> = None;
        loop {
            let mut lower = Bound::Included(start);
            let mut upper = end.map_or(Bound::Unbounded, Bound::Excluded);
            match (&last, reverse) {
                (Some(key), false) => lower = Bound::Excluded(&key[..]),
                (Some(key), true) => upper = Bound::Excluded(&key[..]),
                (None, _) => {}
            }
            // When the last visited key is the range's first one, nothing is left; BTreeMap would panic on it.
            if reverse && last.as_ref().is_some_and(|key| key[..] <= *start) {
                return Ok(());
            }
            let rows = {
                let state = self.shared.read();
                state.check()?;
                state.chunk(family, (lower, upper), reverse, self.at)
            };
            for (key, value) in &rows {
                if let ControlFlow::Break(()) = visit(key, value) {
                    return Ok(());
                }
            }
            if rows.len() < CHUNK {
                return Ok(());
            }
            last = rows.into_iter().next_back().map(|(key, _)| key);
        }
    }
}

impl EngineView for MemEngine {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Bytes>, StorageError> {
        let state = self.shared.read();
        state.check()?;
        Ok(state.value_at(family, key, u64::MAX))
    }

    fn multi_get(&self, keys: &[(Family, Bytes)]) -> Result<Vec<Option<Bytes>>, StorageError> {
        let state = self.shared.read();
        state.check()?;
        Ok(keys.iter().map(|(family, key)| state.value_at(*family, key, u64::MAX)).collect())
    }

    fn scan(
        &self,
        family: Family,
        start: &[u8],
        end: Option<&[u8]>,
        reverse: bool,
        visit: &mut Visit<'_>,
    ) -> Result<(), StorageError> {
        self.pin().scan(family, start, end, reverse, visit)
    }
}

impl Engine for MemEngine {
    fn write(&self, batch: WriteBatch) -> Result<(), StorageError> {
        let mut state = self.shared.write();
        state.check()?;
        state.apply(batch);
        Ok(())
    }

    fn sync(&self) -> Result<(), StorageError> {
        let mut state = self.shared.write();
        state.check()?;
        if let Some(undo) = &mut state.undo {
            undo.clear();
        }
        Ok(())
    }

    fn snapshot(&self) -> Snapshot {
        Box::new(self.pin())
    }

    fn reclaim(&self, family: Family, start: &[u8], end: &[u8]) -> Result<(), StorageError> {
        let mut batch = WriteBatch::new();
        batch.delete_range(family, start.to_vec(), end.to_vec());
        self.write(batch)
    }

    fn stats(&self) -> EngineStats {
        EngineStats { memtable_bytes: self.shared.read().bytes, ..EngineStats::default() }
    }
}
