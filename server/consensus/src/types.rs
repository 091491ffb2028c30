//! The types openraft is instantiated with.
//!
//! A raft "node id" here is a **replica id**: allocated once by the catalog, never used again. A replica that
//! leaves a node and later returns to it is another replica, so no stale vote or log can speak in its name.
//! `Node` carries the server process that holds the replica.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use openraft::impls::leader_id_std;
use trilith_domain::machine::{Batch, Reply};

use crate::runtime::Runtime;

openraft::declare_raft_types!(
    /// openraft, as Trilith uses it.
    pub TypeConfig:
        D = Payload,
        R = Replies,
        NodeId = u64,
        Node = Place,
        LeaderId = leader_id_std::LeaderId<u64, u64>,
        AsyncRuntime = Runtime,
);

/// A raft group's handle.
pub(crate) type Raft = openraft::Raft<TypeConfig, crate::state_machine::StateMachine>;
pub(crate) type LogId = openraft::type_config::alias::LogIdOf<TypeConfig>;
pub(crate) type Vote = openraft::type_config::alias::VoteOf<TypeConfig>;
pub(crate) type Entry = openraft::type_config::alias::EntryOf<TypeConfig>;
pub(crate) type Membership = openraft::Membership<u64, Place>;
pub(crate) type StoredMembership = openraft::type_config::alias::StoredMembershipOf<TypeConfig>;
pub(crate) type SnapshotMeta = openraft::type_config::alias::SnapshotMetaOf<TypeConfig>;
pub(crate) type CommittedLeaderId = openraft::type_config::alias::CommittedLeaderIdOf<TypeConfig>;

/// Where a replica is: the node that holds it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Node id.
    pub node: u64,
}

/// The content of a normal entry: an encoded [`Batch`], and beside it the decoded one wherever it is already at
/// hand (on the leader, and on peers in the same process), so that nobody decodes it again.
#[derive(Clone)]
pub struct Payload {
    bytes: Bytes,
    batch: Option<Arc<Batch>>,
}

impl Payload {
    /// From a batch: encodes it once, for the log and for both followers.
    pub fn of(batch: Batch) -> Self {
        assert!(!batch.commands.is_empty(), "an entry holds at least one command");
        let bytes = borsh::to_vec(&batch).expect("encoding to memory cannot fail");
        Self { bytes: bytes.into(), batch: Some(Arc::new(batch)) }
    }

    /// From the bytes of a log entry or a message; decoded when it is first applied.
    pub fn from_bytes(bytes: Bytes) -> Self {
        Self { bytes, batch: None }
    }

    /// The encoded form.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The batch, decoded now if it was not yet.
    ///
    /// # Errors
    /// When the bytes are no batch: the log record passed its checksum, so another version wrote it.
    pub fn batch(&self) -> std::io::Result<Arc<Batch>> {
        match &self.batch {
            Some(batch) => Ok(Arc::clone(batch)),
            None => borsh::from_slice::<Batch>(&self.bytes).map(Arc::new),
        }
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Payload({} bytes)", self.bytes.len())
    }
}

impl fmt::Display for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl PartialEq for Payload {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

/// What applying an entry answers: one reply for each of its commands, in order; empty for entries without commands.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Replies(pub Vec<Reply>);

impl fmt::Display for Replies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} replies", self.0.len())
    }
}
