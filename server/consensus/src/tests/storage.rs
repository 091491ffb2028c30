//! Log and state machine of one replica against the model, with a power cut or a kill after every step.
//!
//! The truth is a sequence of entries, as the rest of the group has it. The replica under test appends, applies and
//! purges it, and after each step its process ends; a power cut takes any part of what was not synced: bytes of the
//! log's files, batches of the engine. What must hold then: nothing that was called durable is gone, nothing is there that
//! never was, and whatever index the state is at, rows, counters and hash are those of that index.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::executor::block_on;
use openraft::entry::RaftEntry;
use openraft::storage::{IOFlushed, RaftLogReader, RaftLogStorage, RaftSnapshotBuilder, RaftStateMachine};
use openraft::{EntryPayload, Membership};
use proptest::prelude::*;
use trilith_domain::machine::{CommandBody, Reply};
use trilith_domain::read::{Plan, ReadReply};
use trilith_storage::engine::Engine;
use trilith_storage::{Driver, LogOptions, MemEngine, MemFiles, RaftLog};
use trilith_values::{NodeId, ReplicaId, ShardId, TableId};

use super::model::{Model, any_entry, batch, items_in};
use crate::log_store::LogStore;
use crate::replica::ReplicaName;
use crate::state_machine::StateMachine;
use crate::types::{CommittedLeaderId, Entry, LogId, Payload, Place, Vote};

const SHARD: ShardId = ShardId(5);
/// Bytes of decoded entries that a log keeps: a few, so that some reads find them and some do not.
const CACHE: usize = 1_500;

pub(super) fn name(replica: u64) -> ReplicaName {
    ReplicaName { shard: SHARD, replica: ReplicaId(replica), node: NodeId(replica) }
}

/// Entries as the group has them, and what each does.
pub(super) struct Truth {
    pub(super) entries: Vec<Entry>,
    pub(super) term: u64,
    /// After each committed entry: the model, the replies, the hash.
    pub(super) after: Vec<(Model, Vec<Reply>, u64)>,
    reference: StateMachine,
}

impl Truth {
    pub(super) fn new() -> Self {
        let reference = StateMachine::open(name(99), Arc::new(MemEngine::new())).expect("opens");
        Self { entries: Vec::new(), term: 1, after: Vec::new(), reference }
    }

    pub(super) fn id(&self, index: usize) -> LogId {
        self.entries[index].log_id()
    }

    pub(super) fn push(&mut self, bodies: Vec<CommandBody>) {
        let payload = Payload::of(batch(self.entries.len() as u64, bodies));
        self.push_payload(EntryPayload::Normal(payload));
    }

    fn push_payload(&mut self, payload: EntryPayload<Payload, u64, Place>) {
        let log_id = LogId::new(CommittedLeaderId::new(self.term), self.entries.len() as u64);
        self.entries.push(Entry::new(log_id, payload));
    }

    fn push_membership(&mut self) {
        let voters = BTreeSet::from([1, 2, 3 + self.entries.len() as u64 % 2]);
        let places =
            voters.iter().map(|id| (*id, Place { node: *id })).collect::<std::collections::BTreeMap<_, _>>();
        self.push_payload(EntryPayload::Membership(Membership::new(vec![voters], places).expect("valid")));
    }

    /// Everything so far is committed.
    pub(super) fn commit(&mut self) {
        for index in self.after.len()..self.entries.len() {
            let mut model = self.after.last().map(|(model, _, _)| model.clone()).unwrap_or_default();
            let entry = self.entries[index].clone();
            let replies = match &entry.payload {
                EntryPayload::Normal(payload) => model.apply(&payload.batch().expect("decodes")),
                EntryPayload::Blank | EntryPayload::Membership(_) => Vec::new(),
            };
            apply(&mut self.reference, &entry);
            self.after.push((model, replies, self.reference.applied().state_hash()));
        }
    }

    /// Another leader has other entries after the committed ones.
    fn rewrite(&mut self) {
        self.entries.truncate(self.after.len());
        self.term += 1;
    }
}

/// As openraft applies: by a stream.
pub(super) fn apply(machine: &mut StateMachine, entry: &Entry) {
    let stream = futures::stream::iter([Ok((entry.clone(), None))]);
    block_on(machine.apply(stream)).expect("applied");
}

/// Entries applied by a machine.
pub(super) fn applied(machine: &mut StateMachine) -> usize {
    let (last, _) = block_on(machine.applied_state()).expect("readable");
    last.map_or(0, |id| usize::try_from(id.index()).expect("small") + 1)
}

/// The state is that of the index it says it is at.
pub(super) fn check_state(machine: &mut StateMachine, engine: &dyn Engine, truth: &Truth) {
    let count = applied(machine);
    let (model, hash) = match count {
        0 => (Model::default(), 0),
        count => (truth.after[count - 1].0.clone(), truth.after[count - 1].2),
    };
    let shared = machine.applied();
    assert_eq!(items_in(engine), model.items, "after {count} entries");
    assert_eq!((shared.state_hash(), shared.poisoned()), (hash, model.poisoned));
    for table in [TableId(1), TableId(2)] {
        let counted = match shared.run(&Plan::Count { table }).expect("readable") {
            ReadReply::Counted { items, bytes } => Some((items, bytes)),
            ReadReply::NotMine => None,
            other => panic!("not a count: {other:?}"),
        };
        assert_eq!(counted, model.count(table), "table {table} after {count} entries");
    }
    let (_, membership) = block_on(machine.applied_state()).expect("readable");
    let expected = truth.entries[..count].iter().rev().find_map(|entry| match &entry.payload {
        EntryPayload::Membership(membership) => Some((entry.log_id(), membership.clone())),
        EntryPayload::Blank | EntryPayload::Normal(_) => None,
    });
    let found = membership.log_id().map(|id| (id, membership.membership().clone()));
    assert_eq!(found, expected);
}

/// How far an append gets before the power is cut.
#[derive(Clone, Copy, Debug)]
enum Reaches {
    /// It is durable.
    Disk,
    /// It is written and the sync does not return.
    Sync,
    /// It is queued.
    Queue,
}

#[derive(Clone, Debug)]
enum Step {
    /// Appends what the replica lacks, and these; applies them before they are durable, if `early`.
    Append {
        entries: Vec<Vec<CommandBody>>,
        membership: bool,
        reaches: Reaches,
        early: bool,
    },
    Vote,
    /// Saves the commit note and applies up to `most` entries.
    Apply {
        most: usize,
    },
    /// Appends one more, but another leader has other entries after the committed ones.
    Truncate,
    /// Builds a snapshot and purges the log up to it, but for `keep` entries.
    Purge {
        keep: u64,
    },
}

fn any_step() -> impl Strategy<Value = Step> {
    let reaches = prop_oneof![3 => Just(Reaches::Disk), 2 => Just(Reaches::Sync), 1 => Just(Reaches::Queue)];
    prop_oneof![
        6 => (proptest::collection::vec(any_entry(), 1..4), proptest::bool::weighted(0.2), reaches, any::<bool>())
            .prop_map(|(entries, membership, reaches, early)| Step::Append { entries, membership, reaches, early }),
        1 => Just(Step::Vote),
        4 => (1usize..8).prop_map(|most| Step::Apply { most }),
        1 => Just(Step::Truncate),
        2 => (0u64..4).prop_map(|keep| Step::Purge { keep }),
    ]
}

/// How a process ends.
#[derive(Clone, Copy, Debug)]
enum End {
    /// By a signal: what was written stays, synced or not.
    Kill,
    /// What was not synced goes, but for a part that the numbers name.
    PowerCut { bytes: u64, batches: usize },
}

fn any_end() -> impl Strategy<Value = End> {
    prop_oneof![
        1 => Just(End::Kill),
        3 => (any::<u64>(), any::<usize>()).prop_map(|(bytes, batches)| End::PowerCut { bytes, batches }),
    ]
}

/// The replica under test and what it must still have after a power cut.
struct Replica {
    files: MemFiles,
    engine: MemEngine,
    log: RaftLog,
    store: LogStore,
    machine: StateMachine,
    /// Entries that were called durable.
    durable: usize,
    /// Entries whose effects were synced.
    synced: usize,
    /// Purged at the most.
    purged: usize,
    vote: Option<Vote>,
}

fn open_log(files: &MemFiles) -> RaftLog {
    let options = LogOptions { segment_bytes: 1 << 10, cache_bytes: 512, ..LogOptions::default() };
    RaftLog::open(Arc::new(files.clone()), options, Driver::Manual).expect("a crash never damages the log")
}

impl Replica {
    fn new() -> Self {
        let (files, engine) = (MemFiles::new(), MemEngine::crashable());
        let log = open_log(&files);
        let store = LogStore::new(log.open_log(1), CACHE);
        let machine = StateMachine::open(name(1), Arc::new(engine.clone())).expect("opens");
        Self { files, engine, log, store, machine, durable: 0, synced: 0, purged: 0, vote: None }
    }

    /// Waits for something that waits for the disk.
    fn with_disk<T>(&mut self, work: impl AsyncFnOnce(&mut LogStore) -> std::io::Result<T>) -> T {
        let log = self.log.clone();
        let (done, ()) = block_on(async { futures::join!(work(&mut self.store), async { log.drive() }) });
        done.expect("the disk works")
    }

    /// Entries in the log, purged ones included.
    fn log_end(&self) -> usize {
        self.store.last_index().map_or(0, |index| usize::try_from(index).expect("small") + 1)
    }

    fn step(&mut self, step: Step, truth: &mut Truth) {
        match step {
            Step::Append { entries, membership, reaches, early } => {
                entries.into_iter().for_each(|bodies| truth.push(bodies));
                if membership {
                    truth.push_membership();
                }
                let missing = truth.entries[self.log_end()..].to_vec();
                block_on(self.store.append(missing, IOFlushed::noop())).expect("queued");
                if early {
                    truth.commit();
                    self.apply(truth, usize::MAX);
                }
                self.let_reach(reaches);
            }
            Step::Vote => {
                truth.term += 1;
                let vote = Vote::new(truth.term, 1);
                self.with_disk(async |store: &mut LogStore| store.save_vote(&vote).await);
                self.vote = Some(vote);
            }
            Step::Apply { most } => {
                truth.commit();
                if let Some(last) = truth.after.len().checked_sub(1) {
                    block_on(self.store.save_committed(Some(truth.id(last)))).expect("queued");
                }
                self.apply(truth, most);
            }
            Step::Truncate => {
                truth.push(vec![super::commands::open(2)]);
                let missing = truth.entries[self.log_end()..].to_vec();
                block_on(self.store.append(missing, IOFlushed::noop())).expect("queued");
                truth.rewrite();
                if self.log_end() > truth.after.len() {
                    let keep = truth.after.len().checked_sub(1).map(|last| truth.id(last));
                    self.with_disk(async |store: &mut LogStore| store.truncate_after(keep).await);
                    self.durable = self.durable.min(truth.after.len());
                }
            }
            Step::Purge { keep } => self.purge(keep, truth),
        }
    }

    fn let_reach(&mut self, reaches: Reaches) {
        match reaches {
            Reaches::Disk => {
                self.log.drive();
                self.durable = self.log_end();
            }
            Reaches::Sync => {
                self.files.fail_next_sync();
                self.log.drive();
            }
            Reaches::Queue => {}
        }
    }

    /// Applies committed entries that are in the log, and compares every reply.
    fn apply(&mut self, truth: &Truth, most: usize) {
        let from = applied(&mut self.machine);
        let to = truth.after.len().min(self.log_end()).min(from.saturating_add(most));
        if from >= to {
            return;
        }
        let entries = block_on(self.store.try_get_log_entries(from as u64..to as u64)).expect("readable");
        assert_eq!(entries.len(), to - from);
        for entry in entries {
            let index = usize::try_from(entry.log_id().index()).expect("small");
            match &entry.payload {
                EntryPayload::Normal(payload) => {
                    let batch = payload.batch().expect("decodes");
                    let replies = self.machine.apply_entry(entry.log_id(), Some(&batch)).expect("applied");
                    assert_eq!(replies.0, truth.after[index].1, "replies of entry {index}");
                }
                EntryPayload::Blank | EntryPayload::Membership(_) => apply(&mut self.machine, &entry),
            }
            assert_eq!(self.machine.applied().state_hash(), truth.after[index].2, "hash after entry {index}");
        }
    }

    fn purge(&mut self, keep: u64, truth: &Truth) {
        let count = applied(&mut self.machine);
        let snapshot = block_on(async { self.machine.get_snapshot_builder().await.build_snapshot().await });
        let meta = snapshot.expect("built").meta;
        assert_eq!(meta.last_log_id, count.checked_sub(1).map(|last| truth.id(last)));
        self.synced = count;
        let Some(upto) = count.checked_sub(1 + usize::try_from(keep).expect("small")) else { return };
        if upto < self.log_end() {
            block_on(self.store.purge(truth.id(upto))).expect("queued");
            self.purged = self.purged.max(upto + 1);
        }
    }

    /// Ends the process and starts it again.
    fn end(&mut self, end_of: End, truth: &Truth) {
        let (end, before) = (self.log_end(), applied(&mut self.machine));
        match end_of {
            End::Kill => self.files = self.files.crash(&mut |most| most),
            End::PowerCut { bytes, batches } => {
                self.files = self.files.crash(&mut |most| bytes % (most + 1));
                self.engine = self.engine.crash(batches % (self.engine.unsynced() + 1));
            }
        }
        self.log = open_log(&self.files);
        self.store = LogStore::new(self.log.open_log(1), CACHE);
        self.machine = StateMachine::open(name(1), Arc::new(self.engine.clone())).expect("opens");
        self.check_log(end, truth);
        let count = applied(&mut self.machine);
        assert!(
            (self.synced..=before).contains(&count),
            "{count} of {before} applied, {} synced",
            self.synced
        );
        assert!(matches!(end_of, End::PowerCut { .. }) || count == before, "rows were written");
        check_state(&mut self.machine, &self.engine, truth);
        self.machine.check_against(&self.store).expect("log and state belong together");
        if matches!(end_of, End::PowerCut { .. }) {
            // What survived it is on the disk.
            self.synced = count;
        }
        self.durable = self.log_end();
        if self.log_end() < count {
            self.synced = count;
            // As openraft does at its start.
            block_on(self.store.purge(truth.id(count - 1))).expect("queued");
            self.purged = count;
        }
    }

    /// What the log reads while the process lives: what was appended and not truncated or purged.
    fn check_reads(&mut self, truth: &Truth) {
        let (end, purged) = (self.log_end(), self.store.purged_index().map_or(0, |index| index as usize + 1));
        let all = block_on(self.store.try_get_log_entries(0..u64::MAX));
        let beyond = block_on(self.store.limited_get_log_entries(end as u64, end as u64 + 5));
        assert_eq!(all.expect("intact"), truth.entries[purged.min(end)..end]);
        assert_eq!(beyond.expect("nothing"), []);
    }

    /// What the log has after an end at which it had `end` entries.
    fn check_log(&mut self, end: usize, truth: &Truth) {
        assert_eq!(block_on(self.store.read_vote()).expect("readable"), self.vote);
        let state = block_on(self.store.get_log_state()).expect("readable");
        let now = self.log_end();
        assert!((self.durable..=end).contains(&now), "{now} entries, {} were durable of {end}", self.durable);
        assert_eq!(state.last_log_id, now.checked_sub(1).map(|last| truth.id(last)));
        let purged = state.last_purged_log_id.map_or(0, |id| usize::try_from(id.index()).expect("small") + 1);
        assert!(purged <= self.purged, "purged {purged}, asked for {}", self.purged);
        let entries = block_on(self.store.try_get_log_entries(0..u64::MAX)).expect("intact");
        assert_eq!(entries, truth.entries[purged.min(now)..now]);
        if let Some(committed) = block_on(self.store.read_committed()).expect("readable") {
            let index = usize::try_from(committed.index()).expect("small");
            assert!(index < truth.after.len(), "a commit note ahead of every commit");
            assert_eq!(committed, truth.id(index));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 250, max_shrink_iters: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn log_and_state_survive_an_end_after_every_step(
        steps in proptest::collection::vec((any_step(), any_end()), 1..40),
    ) {
        let mut truth = Truth::new();
        let mut replica = Replica::new();
        for (step, end) in steps {
            let fails = matches!(&step, Step::Append { reaches: Reaches::Sync, .. });
            replica.step(step, &mut truth);
            check_state(&mut replica.machine, &replica.engine, &truth);
            if !fails {
                replica.check_reads(&truth);
            }
            replica.end(end, &truth);
        }
        // At the end it still can do all the others can.
        let rest = Step::Append { entries: Vec::new(), membership: true, reaches: Reaches::Disk, early: true };
        replica.step(rest, &mut truth);
        prop_assert_eq!(applied(&mut replica.machine), truth.entries.len());
        check_state(&mut replica.machine, &replica.engine, &truth);
    }
}
