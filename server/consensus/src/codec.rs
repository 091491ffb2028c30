//! openraft's values as bytes: for log records, for the applied row, and for messages between nodes.
//!
//! One form serves disk and wire. A log record is `version | term | kind | body`; its index and checksum belong to
//! the log's own frame. Versions are of the whole record, so that a reader of another version says so.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use borsh::{BorshDeserialize, BorshSerialize};
use bytes::{BufMut, Bytes, BytesMut};
use openraft::EntryPayload;
use openraft::entry::RaftEntry;

use crate::types::{
    CommittedLeaderId, Entry, LogId, Membership, Payload, Place, SnapshotMeta, StoredMembership, Vote,
};

const RECORD_VERSION: u8 = 1;
const RECORD_HEAD: usize = 1 + 8 + 1;

/// A log id: term and index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(crate) struct LogIdBytes {
    term: u64,
    index: u64,
}

impl From<&LogId> for LogIdBytes {
    fn from(id: &LogId) -> Self {
        Self { term: id.committed_leader_id().term, index: id.index() }
    }
}

impl From<LogIdBytes> for LogId {
    fn from(id: LogIdBytes) -> Self {
        LogId::new(CommittedLeaderId::new(id.term), id.index)
    }
}

/// A vote: term, replica, and whether a quorum granted it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(crate) struct VoteBytes {
    term: u64,
    replica: u64,
    committed: bool,
}

impl From<&Vote> for VoteBytes {
    fn from(vote: &Vote) -> Self {
        let leader = vote.leader_id();
        Self { term: leader.term, replica: leader.voted_for, committed: vote.is_committed() }
    }
}

impl From<VoteBytes> for Vote {
    fn from(vote: VoteBytes) -> Self {
        if vote.committed {
            Vote::new_committed(vote.term, vote.replica)
        } else {
            Vote::new(vote.term, vote.replica)
        }
    }
}

/// A membership: one set of voters, or two while joint; and where each member is.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(crate) struct MembershipBytes {
    voters: Vec<BTreeSet<u64>>,
    places: BTreeMap<u64, u64>,
}

impl From<&Membership> for MembershipBytes {
    fn from(membership: &Membership) -> Self {
        Self {
            voters: membership.get_joint_config().clone(),
            places: membership.nodes().map(|(id, place)| (*id, place.node)).collect(),
        }
    }
}

impl TryFrom<MembershipBytes> for Membership {
    type Error = io::Error;

    fn try_from(bytes: MembershipBytes) -> io::Result<Self> {
        let places: BTreeMap<u64, Place> =
            bytes.places.into_iter().map(|(id, node)| (id, Place { node })).collect();
        if bytes.voters.is_empty() && places.is_empty() {
            return Ok(Membership::default());
        }
        Membership::new(bytes.voters, places).map_err(io::Error::other)
    }
}

/// A membership with the log id that set it.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(crate) struct StoredMembershipBytes {
    log_id: Option<LogIdBytes>,
    membership: MembershipBytes,
}

impl From<&StoredMembership> for StoredMembershipBytes {
    fn from(stored: &StoredMembership) -> Self {
        Self {
            log_id: stored.log_id().as_ref().map(LogIdBytes::from),
            membership: stored.membership().into(),
        }
    }
}

impl TryFrom<StoredMembershipBytes> for StoredMembership {
    type Error = io::Error;

    fn try_from(bytes: StoredMembershipBytes) -> io::Result<Self> {
        Ok(StoredMembership::new(bytes.log_id.map(LogId::from), bytes.membership.try_into()?))
    }
}

/// What a replica has applied; also a snapshot's meta.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(crate) struct AppliedBytes {
    pub(crate) log_id: Option<LogIdBytes>,
    pub(crate) membership: StoredMembershipBytes,
}

impl AppliedBytes {
    pub(crate) fn new(log_id: Option<&LogId>, membership: &StoredMembership) -> Self {
        Self { log_id: log_id.map(LogIdBytes::from), membership: membership.into() }
    }

    pub(crate) fn parts(self) -> io::Result<(Option<LogId>, StoredMembership)> {
        Ok((self.log_id.map(LogId::from), self.membership.try_into()?))
    }
}

impl From<&SnapshotMeta> for AppliedBytes {
    fn from(meta: &SnapshotMeta) -> Self {
        Self::new(meta.last_log_id.as_ref(), &meta.last_membership)
    }
}

impl TryFrom<AppliedBytes> for SnapshotMeta {
    type Error = io::Error;

    fn try_from(bytes: AppliedBytes) -> io::Result<Self> {
        let (last_log_id, last_membership) = bytes.parts()?;
        Ok(SnapshotMeta { last_log_id, last_membership })
    }
}

/// A stored value that fails its checksum, as openraft's storage traits report it.
pub(crate) fn damaged(damage: impl std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, damage.to_string())
}

/// Encodes a value of this module or a message.
pub(crate) fn encode<T: BorshSerialize>(value: &T) -> Bytes {
    borsh::to_vec(value).expect("encoding to memory cannot fail").into()
}

/// Decodes what [`encode`] made.
pub(crate) fn decode<T: BorshDeserialize>(bytes: &[u8]) -> io::Result<T> {
    borsh::from_slice(bytes)
}

const BLANK: u8 = 0;
const NORMAL: u8 = 1;
const MEMBERSHIP: u8 = 2;

/// The log record of an entry.
pub(crate) fn encode_entry(entry: &Entry) -> Bytes {
    let log_id = entry.log_id();
    let membership;
    let (kind, body): (u8, &[u8]) = match &entry.payload {
        EntryPayload::Blank => (BLANK, &[]),
        EntryPayload::Normal(payload) => (NORMAL, payload.bytes()),
        EntryPayload::Membership(value) => {
            membership = encode(&MembershipBytes::from(value));
            (MEMBERSHIP, &membership)
        }
    };
    let mut record = BytesMut::with_capacity(RECORD_HEAD + body.len());
    record.put_u8(RECORD_VERSION);
    record.put_u64_le(log_id.committed_leader_id().term);
    record.put_u8(kind);
    record.put_slice(body);
    record.freeze()
}

/// The log id of a record without decoding its body.
pub(crate) fn record_log_id(index: u64, record: &[u8]) -> io::Result<LogId> {
    let (term, _) = record_head(index, record)?;
    Ok(LogId::new(CommittedLeaderId::new(term), index))
}

fn record_head(index: u64, record: &[u8]) -> io::Result<(u64, u8)> {
    let bad =
        |what: String| io::Error::new(io::ErrorKind::InvalidData, format!("log record {index}: {what}"));
    let Some((head, _)) = record.split_at_checked(RECORD_HEAD) else {
        return Err(bad(format!("{} bytes are too few", record.len())));
    };
    if head[0] != RECORD_VERSION {
        return Err(bad(format!("version {} is unknown here; this build reads {RECORD_VERSION}", head[0])));
    }
    let term = u64::from_le_bytes(head[1..9].try_into().expect("eight bytes"));
    Ok((term, head[9]))
}

/// The entry of a log record.
pub(crate) fn decode_entry(index: u64, record: &Bytes) -> io::Result<Entry> {
    let (term, kind) = record_head(index, record)?;
    let body = record.slice(RECORD_HEAD..);
    let payload = match kind {
        BLANK => EntryPayload::Blank,
        NORMAL => EntryPayload::Normal(Payload::from_bytes(body)),
        MEMBERSHIP => EntryPayload::Membership(decode::<MembershipBytes>(&body)?.try_into()?),
        other => {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("log record {index}: kind {other} is unknown here"),
            ));
        }
    };
    Ok(Entry::new(LogId::new(CommittedLeaderId::new(term), index), payload))
}
