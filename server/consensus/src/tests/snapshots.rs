//! Snapshots from one replica to another: in chunks, as bytes, and cut short by a crash at every write.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures::executor::block_on;
use openraft::storage::RaftStateMachine;
use proptest::prelude::*;
use trilith_domain::keyspace::prefix_end;
use trilith_domain::machine::CommandBody;
use trilith_domain::node_key::NodeKey;
use trilith_domain::read::ReadReply;
use trilith_storage::engine::{Engine, EngineStats, EngineView, Family, Visit, WriteBatch};
use trilith_storage::{MemEngine, StorageError};

use super::commands::{get, open, put};
use super::model::any_entry;
use super::storage::{Truth, applied, apply, check_state, name};
use crate::message::{RaftRequest, SnapshotChunk, decode_request, encode_request};
use crate::snapshot::Receiver;
use crate::state_machine::StateMachine;
use crate::types::Vote;

/// An engine that dies at a given write.
struct Mortal {
    inner: MemEngine,
    writes_left: AtomicUsize,
}

impl Mortal {
    fn new(inner: &MemEngine, writes: usize) -> Arc<Self> {
        Arc::new(Self { inner: inner.clone(), writes_left: AtomicUsize::new(writes) })
    }

    fn live(&self) -> Result<(), StorageError> {
        let dead = || StorageError::Fenced { reason: "the process died here".into() };
        let left = self.writes_left.load(Ordering::SeqCst).checked_sub(1).ok_or_else(dead)?;
        self.writes_left.store(left, Ordering::SeqCst);
        Ok(())
    }
}

impl EngineView for Mortal {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Bytes>, StorageError> {
        self.inner.get(family, key)
    }

    fn multi_get(&self, keys: &[(Family, Bytes)]) -> Result<Vec<Option<Bytes>>, StorageError> {
        self.inner.multi_get(keys)
    }

    fn scan(
        &self,
        family: Family,
        start: &[u8],
        end: Option<&[u8]>,
        reverse: bool,
        visit: &mut Visit<'_>,
    ) -> Result<(), StorageError> {
        self.inner.scan(family, start, end, reverse, visit)
    }
}

impl Engine for Mortal {
    fn write(&self, batch: WriteBatch) -> Result<(), StorageError> {
        self.live()?;
        self.inner.write(batch)
    }

    fn sync(&self) -> Result<(), StorageError> {
        self.live()?;
        self.inner.sync()
    }

    fn snapshot(&self) -> Box<dyn EngineView + Send + Sync> {
        self.inner.snapshot()
    }

    fn reclaim(&self, family: Family, start: &[u8], end: &[u8]) -> Result<(), StorageError> {
        self.inner.reclaim(family, start, end)
    }

    fn stats(&self) -> EngineStats {
        self.inner.stats()
    }
}

/// The chunks of a machine's present snapshot, as they come out of the wire.
fn chunks_of(machine: &mut StateMachine, transfer: u64) -> Vec<SnapshotChunk> {
    let snapshot = block_on(machine.get_current_snapshot()).expect("pinned").expect("something is applied");
    let mut reader = snapshot.snapshot.reader().expect("pinned here");
    let (mut chunks, mut rows_total) = (Vec::new(), 0);
    loop {
        let (rows, last) = reader.next_chunk().expect("readable");
        rows_total += rows.len() as u64;
        let chunk = SnapshotChunk {
            vote: (&Vote::new_committed(9, 1)).into(),
            meta: (&snapshot.meta).into(),
            transfer,
            sequence: chunks.len() as u64,
            rows,
            last,
            rows_total,
        };
        let bytes = encode_request(&RaftRequest::Snapshot(chunk));
        let Ok(RaftRequest::Snapshot(chunk)) = decode_request(&bytes) else {
            panic!("decodes to what it was")
        };
        chunks.push(chunk);
        if last {
            return chunks;
        }
    }
}

/// Receives and installs; fails where the engine died.
fn receive(
    machine: &mut StateMachine,
    engine: Arc<dyn Engine>,
    chunks: Vec<SnapshotChunk>,
) -> std::io::Result<()> {
    let receiver = Receiver::new(name(2), engine);
    for chunk in chunks {
        if let Some((vote, whole)) = receiver.accept(chunk)? {
            assert_eq!(vote, Vote::new_committed(9, 1));
            return block_on(machine.install_snapshot(&whole.meta, whole.snapshot));
        }
    }
    panic!("the last chunk makes it whole");
}

fn has_transfer_rows(engine: &dyn EngineView) -> bool {
    let mut found =
        engine.get(Family::Meta, &NodeKey::Installing(name(2).replica).encode()).expect("read").is_some();
    let prefix = NodeKey::staged_prefix(name(2).replica);
    let scan = engine.scan(Family::Meta, &prefix, Some(&prefix_end(&prefix)), false, &mut |_, _| {
        found = true;
        ControlFlow::Break(())
    });
    scan.expect("read");
    found
}

/// A machine on a fresh engine that has applied the first `count` entries, durably.
fn machine_at(replica: u64, truth: &Truth, count: usize) -> (MemEngine, StateMachine) {
    let engine = MemEngine::crashable();
    let mut machine = StateMachine::open(name(replica), Arc::new(engine.clone())).expect("opens");
    truth.entries[..count].iter().for_each(|entry| apply(&mut machine, entry));
    engine.sync().expect("synced");
    (engine, machine)
}

fn reopened(engine: &MemEngine) -> StateMachine {
    StateMachine::open(name(2), Arc::new(engine.clone())).expect("opens")
}

/// Sends what the sender has to a receiver that dies at write `dies_at` and loses batches; then goes on with it.
fn send_and_die(truth: &Truth, sender_at: usize, receiver_at: usize, dies_at: usize, keep: usize) -> bool {
    let (_, mut sender) = machine_at(1, truth, sender_at);
    let (engine, _) = machine_at(2, truth, receiver_at);
    let mortal = Mortal::new(&engine, dies_at);
    let mut receiver = StateMachine::open(name(2), Arc::clone(&mortal) as Arc<dyn Engine>).expect("opens");
    let received = receive(&mut receiver, mortal, chunks_of(&mut sender, 1));
    let engine = engine.crash(keep % (engine.unsynced() + 1));
    let mut receiver = reopened(&engine);
    let now = applied(&mut receiver);
    match received {
        Ok(()) => assert_eq!(now, sender_at, "an installed snapshot is durable"),
        Err(_) => assert!(now == receiver_at || now == sender_at, "{now}: neither before nor after"),
    }
    check_state(&mut receiver, &engine, truth);
    if now == receiver_at {
        // The sender begins anew.
        receive(&mut receiver, Arc::new(engine.clone()), chunks_of(&mut sender, 2)).expect("received");
        check_state(&mut receiver, &engine, truth);
    }
    assert!(!has_transfer_rows(&engine), "nothing is left of the transfer");
    truth.entries[sender_at..].iter().for_each(|entry| apply(&mut receiver, entry));
    check_state(&mut receiver, &engine, truth);
    received.is_ok()
}

fn truth_of(entries: Vec<Vec<CommandBody>>) -> Truth {
    let mut truth = Truth::new();
    entries.into_iter().for_each(|bodies| truth.push(bodies));
    truth.commit();
    truth
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 250, ..ProptestConfig::default() })]

    #[test]
    fn a_snapshot_arrives_whole_or_not_at_all(
        entries in proptest::collection::vec(any_entry(), 2..12),
        (sender, receiver) in (any::<prop::sample::Index>(), any::<prop::sample::Index>()),
        dies_at in 0usize..16,
        keep in any::<usize>(),
    ) {
        let truth = truth_of(entries);
        let sender_at = 1 + sender.index(truth.entries.len());
        let receiver_at = receiver.index(sender_at);
        send_and_die(&truth, sender_at, receiver_at, dies_at, keep);
    }
}

/// Several megabytes: several chunks, several writes to stage them and to copy them into place.
fn large() -> Truth {
    let value = "v".repeat(300_000);
    let mut entries =
        vec![vec![open(1), put(1, "old", "gone with the install")], vec![open(2), put(2, "y", "1")]];
    entries.push(vec![CommandBody::SpanDrop { table: trilith_values::TableId(1) }]);
    entries.extend((0..10).map(|n| vec![put(2, &format!("k{n}"), &value)]));
    entries.push(vec![put(2, "y", "2")]);
    truth_of(entries)
}

#[test]
fn an_install_cut_short_at_any_write_is_finished_or_undone() {
    let truth = large();
    let (sender_at, receiver_at) = (truth.entries.len() - 1, 2);
    let (_, mut sender) = machine_at(1, &truth, sender_at);
    assert!(chunks_of(&mut sender, 1).len() > 2, "the snapshot takes several chunks");
    for keep in [0, usize::MAX - 1, 3] {
        let mut dies_at = 0;
        while !send_and_die(&truth, sender_at, receiver_at, dies_at, keep) {
            dies_at += 1;
            assert!(dies_at < 50, "it gets through in the end");
        }
        assert!(dies_at > 6, "it died at each of its writes: {dies_at}");
    }
}

#[test]
fn a_second_crash_in_the_middle_of_finishing_does_no_harm() {
    let truth = large();
    let (sender_at, receiver_at) = (truth.entries.len(), 2);
    for first in 0..20 {
        for second in 0..8 {
            let (_, mut sender) = machine_at(1, &truth, sender_at);
            let (engine, _) = machine_at(2, &truth, receiver_at);
            let mortal = Mortal::new(&engine, first);
            let mut receiver =
                StateMachine::open(name(2), Arc::clone(&mortal) as Arc<dyn Engine>).expect("opens");
            let _ = receive(&mut receiver, mortal, chunks_of(&mut sender, 1));
            let engine = engine.crash(engine.unsynced());
            let _ = StateMachine::open(name(2), Mortal::new(&engine, second));
            let engine = engine.crash(second);
            let mut receiver = reopened(&engine);
            let now = applied(&mut receiver);
            assert!(now == receiver_at || now == sender_at, "{now}: neither before nor after");
            check_state(&mut receiver, &engine, &truth);
        }
    }
}

#[test]
fn chunks_out_of_order_are_refused_and_the_transfer_begins_anew() {
    let truth = large();
    let (_, mut sender) = machine_at(1, &truth, truth.entries.len());
    let engine = MemEngine::new();
    let receiver = Receiver::new(name(2), Arc::new(engine.clone()));
    let chunks = chunks_of(&mut sender, 1);
    assert!(receiver.accept(chunks[1].clone()).is_err(), "the first is missing");
    assert!(receiver.accept(chunks[0].clone()).expect("first").is_none());
    assert!(receiver.accept(chunks[2].clone()).is_err(), "the second is missing");
    assert!(receiver.accept(chunks[1].clone()).is_err(), "a failed transfer does not go on");
    let other = chunks_of(&mut sender, 2);
    assert!(receiver.accept(chunks[0].clone()).expect("first").is_none());
    assert!(receiver.accept(other[1].clone()).is_err(), "of another transfer");
    let mut fewer = chunks_of(&mut sender, 3);
    fewer[1].rows.pop();
    let last = fewer.len() - 1;
    for chunk in fewer.drain(..last) {
        assert!(receiver.accept(chunk).expect("in order").is_none());
    }
    assert!(receiver.accept(fewer.remove(0)).is_err(), "a row is missing");
    let mut damaged = chunks_of(&mut sender, 4);
    *damaged[0].rows[0].value.last_mut().expect("not empty") ^= 1;
    assert!(receiver.accept(damaged.remove(0)).is_err(), "a row is damaged");
}

/// The sender gave up waiting and begins anew, or there is a new leader, while the first snapshot waits for its turn.
#[test]
fn a_snapshot_that_waits_for_its_install_is_not_overwritten() {
    let truth = large();
    let (_, mut early) = machine_at(1, &truth, 4);
    let (_, mut late) = machine_at(1, &truth, truth.entries.len());
    let engine = MemEngine::new();
    let receiver = Receiver::new(name(2), Arc::new(engine.clone()));
    let mut whole = None;
    for chunk in chunks_of(&mut early, 1) {
        whole = receiver.accept(chunk).expect("in order");
    }
    let (_, whole) = whole.expect("whole");
    let chunks = chunks_of(&mut late, 2);
    assert!(receiver.accept(chunks[0].clone()).is_err(), "the staged rows are still needed");
    let mut machine = reopened(&engine);
    block_on(machine.install_snapshot(&whole.meta, whole.snapshot)).expect("installed");
    assert_eq!(applied(&mut machine), 4);
    check_state(&mut machine, &engine, &truth);
    receive(&mut machine, Arc::new(engine.clone()), chunks).expect("now it is welcome");
    check_state(&mut machine, &engine, &truth);
}

/// A reader that comes in the middle of an install is told to look elsewhere, not that there is no such item.
#[test]
fn a_read_during_an_install_is_never_answered_from_half_of_the_rows() {
    let truth = truth_of(vec![vec![open(1), put(1, "a", "1"), put(1, "b", "1")], vec![put(1, "c", "1")]]);
    let (_, mut sender) = machine_at(1, &truth, 2);
    let mut refused = 0;
    for dies_at in 0.. {
        let (engine, _) = machine_at(2, &truth, 1);
        let mortal = Mortal::new(&engine, dies_at);
        let mut machine = StateMachine::open(name(2), Arc::clone(&mortal) as Arc<dyn Engine>).expect("opens");
        let installed = receive(&mut machine, mortal, chunks_of(&mut sender, 1)).is_ok();
        // What a reader sees at the moment at which the install stands.
        match machine.applied().run(&get(1, "a")).expect("readable") {
            ReadReply::NotMine => refused += 1,
            ReadReply::Got { item, .. } => assert!(item.is_some(), "at write {dies_at}"),
            other => panic!("not a get: {other:?}"),
        }
        if installed {
            break;
        }
    }
    assert!(refused > 2, "{refused}");
}
