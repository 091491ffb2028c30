//! The proposer of one shard replica: many waiting commands become one log entry.
//!
//! Batches form by themselves: while the entries in flight are written and acknowledged, commands queue up and go
//! into the next entry together. Nothing waits for company. No data has been read when a command is proposed, so
//! nothing can be stale and no latch is held.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use openraft::error::{ClientWriteError, RaftError};
use tokio::sync::{mpsc, oneshot};
use trilith_domain::machine::{Batch, Command, Reply};
use trilith_domain::{Clock, Stamp};
use trilith_values::NodeId;

use crate::error::ProposeError;
use crate::settings::RaftSettings;
use crate::types::{Payload, Raft, Replies, TypeConfig};

/// A command and where its reply goes.
pub(crate) struct Waiting {
    pub(crate) command: Command,
    /// Its share of the queue's bytes.
    pub(crate) held: Held,
    pub(crate) reply: oneshot::Sender<Result<Reply, ProposeError>>,
}

/// A command's share of the bytes that may wait for one shard, given back when the command leaves the queue.
pub(crate) struct Held {
    queued: Arc<AtomicUsize>,
    /// Roughly how many bytes the command adds to an entry.
    size: usize,
}

impl Held {
    /// Takes `size` of at most `bound` bytes. A command of any size fits into an empty queue.
    pub(crate) fn take(queued: &Arc<AtomicUsize>, size: usize, bound: usize) -> Option<Self> {
        let before = queued.fetch_add(size, Ordering::Relaxed);
        let held = Self { queued: Arc::clone(queued), size };
        (before == 0 || before + size <= bound).then_some(held)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.queued.fetch_sub(self.size, Ordering::Relaxed);
    }
}

type WriteOutcome = Result<
    openraft::raft::ClientWriteResponse<TypeConfig>,
    RaftError<TypeConfig, ClientWriteError<TypeConfig>>,
>;

/// Runs until the queue's senders are gone.
pub(crate) async fn run(
    raft: Raft,
    clock: Arc<dyn Clock>,
    settings: RaftSettings,
    mut queue: mpsc::Receiver<Waiting>,
) {
    let mut in_flight = FuturesUnordered::new();
    let mut held = None;
    loop {
        let may_propose = in_flight.len() < settings.entries_in_flight;
        tokio::select! {
            biased;
            Some(()) = in_flight.next(), if !in_flight.is_empty() => {}
            next = next_waiting(&mut held, &mut queue), if may_propose => {
                let Some(first) = next else { break };
                let waiting = gather(first, &mut held, &mut queue, &settings);
                in_flight.push(write(raft.clone(), clock.now_micros(), waiting));
            }
        }
    }
    while in_flight.next().await.is_some() {}
}

async fn next_waiting(held: &mut Option<Waiting>, queue: &mut mpsc::Receiver<Waiting>) -> Option<Waiting> {
    match held.take() {
        Some(waiting) => Some(waiting),
        None => queue.recv().await,
    }
}

fn gather(
    first: Waiting,
    held: &mut Option<Waiting>,
    queue: &mut mpsc::Receiver<Waiting>,
    settings: &RaftSettings,
) -> Vec<Waiting> {
    let mut bytes = first.held.size;
    let alone = first.command.body.stands_alone();
    let mut batch = vec![first];
    while !alone && batch.len() < settings.entry_commands && bytes < settings.entry_bytes {
        let Ok(next) = queue.try_recv() else { break };
        if next.command.body.stands_alone() {
            *held = Some(next);
            break;
        }
        bytes += next.held.size;
        batch.push(next);
    }
    batch
}

async fn write(raft: Raft, now_micros: u64, waiting: Vec<Waiting>) {
    let mut senders = Vec::with_capacity(waiting.len());
    let mut commands = Vec::with_capacity(waiting.len());
    for Waiting { command, reply, .. } in waiting {
        // Whoever gave up before its command was proposed does not want it done.
        if !reply.is_closed() {
            commands.push(command);
            senders.push(reply);
        }
    }
    if commands.is_empty() {
        return;
    }
    let batch = Batch { leader_stamp: Stamp(now_micros), commands };
    let outcome = raft.client_write(Payload::of(batch)).await;
    match replies(outcome, senders.len()) {
        Ok(replies) => {
            for (sender, reply) in senders.into_iter().zip(replies) {
                let _ = sender.send(Ok(reply));
            }
        }
        Err(error) => {
            for sender in senders {
                let _ = sender.send(Err(error.clone()));
            }
        }
    }
}

fn replies(outcome: WriteOutcome, expected: usize) -> Result<Vec<Reply>, ProposeError> {
    match outcome {
        Ok(response) => {
            let Replies(replies) = response.data;
            assert_eq!(replies.len(), expected, "one reply for each command");
            Ok(replies)
        }
        Err(RaftError::APIError(ClientWriteError::ForwardToLeader(forward))) => {
            Err(ProposeError::NotProposed { leader: forward.leader_node.map(|place| NodeId(place.node)) })
        }
        Err(RaftError::APIError(other)) => Err(ProposeError::Unknown(other.to_string())),
        // The core may have stopped after the entry went out.
        Err(RaftError::Fatal(fatal)) => Err(ProposeError::Unknown(fatal.to_string())),
    }
}
