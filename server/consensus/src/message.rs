//! Messages between the replicas of a shard, as values and as bytes.
//!
//! Within one process they travel as they are; between processes as [`encode_request`] and [`encode_response`]
//! make them. Snapshots travel as chunks of rows, each chunk within [`CHUNK_BYTES`] or a single row.

use std::io;

use borsh::{BorshDeserialize, BorshSerialize};
use bytes::Bytes;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, TransferLeaderError, TransferLeaderRequest, VoteRequest,
    VoteResponse,
};

use crate::codec::{AppliedBytes, LogIdBytes, VoteBytes, decode, decode_entry, encode, encode_entry};
use crate::types::{LogId, TypeConfig, Vote};
use openraft::entry::RaftEntry;

/// Bytes of rows after which a snapshot chunk is sent.
pub(crate) const CHUNK_BYTES: usize = 1024 * 1024;

/// A message to a replica.
#[derive(Clone, Debug)]
pub enum RaftRequest {
    /// Entries, or a heartbeat without any.
    Append(AppendEntriesRequest<TypeConfig>),
    /// Asks for a vote.
    Vote(VoteRequest<TypeConfig>),
    /// Asks whether a vote would be given; changes nothing.
    PreVote(VoteRequest<TypeConfig>),
    /// A leader hands its leadership over.
    Transfer(TransferLeaderRequest<TypeConfig>),
    /// Part of a snapshot.
    Snapshot(SnapshotChunk),
}

/// The answer to a [`RaftRequest`] of the same kind.
#[derive(Clone, Debug)]
pub enum RaftResponse {
    /// To Append.
    Append(AppendEntriesResponse<TypeConfig>),
    /// To Vote and PreVote.
    Vote(VoteResponse<TypeConfig>),
    /// To Transfer: whether the target takes over.
    Transfer(Result<(), String>),
    /// To every chunk; to the last one with the receiver's vote after the install.
    Snapshot(Option<Vote>),
}

/// Part of a snapshot on its way.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub struct SnapshotChunk {
    pub(crate) vote: VoteBytes,
    pub(crate) meta: AppliedBytes,
    /// Tells transfers apart: chosen by the sender, new for each attempt.
    pub(crate) transfer: u64,
    /// 0, 1, 2 …; a gap or repeat fails the transfer.
    pub(crate) sequence: u64,
    /// Family tag, key, value.
    pub(crate) rows: Vec<SnapshotRow>,
    /// After this chunk the snapshot is whole.
    pub(crate) last: bool,
    /// Rows of the whole snapshot, known with the last chunk; the receiver compares.
    pub(crate) rows_total: u64,
}

/// One row of a snapshot. The value bears its own checksum.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub(crate) struct SnapshotRow {
    pub(crate) family: u8,
    pub(crate) key: Vec<u8>,
    pub(crate) value: Vec<u8>,
}

#[derive(BorshSerialize, BorshDeserialize)]
enum RequestBytes {
    Append {
        vote: VoteBytes,
        prev: Option<LogIdBytes>,
        commit: Option<LogIdBytes>,
        entries: Vec<(u64, Vec<u8>)>,
    },
    Vote {
        pre: bool,
        vote: VoteBytes,
        last: Option<LogIdBytes>,
        transfer: bool,
    },
    Transfer {
        from: VoteBytes,
        to: u64,
        last: Option<LogIdBytes>,
    },
    Snapshot(SnapshotChunk),
}

#[derive(BorshSerialize, BorshDeserialize)]
enum ResponseBytes {
    Success,
    PartialSuccess(Option<LogIdBytes>),
    Conflict,
    HigherVote(VoteBytes),
    Vote { vote: VoteBytes, granted: bool, last: Option<LogIdBytes> },
    Transfer(Result<(), String>),
    Snapshot(Option<VoteBytes>),
}

fn id(log_id: Option<&LogId>) -> Option<LogIdBytes> {
    log_id.map(LogIdBytes::from)
}

/// A request as bytes.
pub fn encode_request(request: &RaftRequest) -> Bytes {
    let vote_request = |pre: bool, request: &VoteRequest<TypeConfig>| RequestBytes::Vote {
        pre,
        vote: (&request.vote).into(),
        last: id(request.last_log_id.as_ref()),
        transfer: request.leadership_transfer,
    };
    encode(&match request {
        RaftRequest::Append(append) => RequestBytes::Append {
            vote: (&append.vote).into(),
            prev: id(append.prev_log_id.as_ref()),
            commit: id(append.leader_commit.as_ref()),
            entries: append.entries.iter().map(|e| (e.log_id().index(), encode_entry(e).to_vec())).collect(),
        },
        RaftRequest::Vote(request) => vote_request(false, request),
        RaftRequest::PreVote(request) => vote_request(true, request),
        RaftRequest::Transfer(request) => RequestBytes::Transfer {
            from: request.from_leader().into(),
            to: *request.to_node_id(),
            last: id(request.last_log_id()),
        },
        RaftRequest::Snapshot(chunk) => RequestBytes::Snapshot(chunk.clone()),
    })
}

/// What [`encode_request`] made.
///
/// # Errors
/// When the bytes are none of it.
pub fn decode_request(bytes: &[u8]) -> io::Result<RaftRequest> {
    Ok(match decode::<RequestBytes>(bytes)? {
        RequestBytes::Append { vote, prev, commit, entries } => RaftRequest::Append(AppendEntriesRequest {
            vote: vote.into(),
            prev_log_id: prev.map(LogId::from),
            leader_commit: commit.map(LogId::from),
            entries: entries
                .into_iter()
                .map(|(index, record)| decode_entry(index, &record.into()))
                .collect::<io::Result<_>>()?,
        }),
        RequestBytes::Vote { pre, vote, last, transfer } => {
            let mut request = VoteRequest::new(vote.into(), last.map(LogId::from));
            request.leadership_transfer = transfer;
            if pre { RaftRequest::PreVote(request) } else { RaftRequest::Vote(request) }
        }
        RequestBytes::Transfer { from, to, last } => {
            RaftRequest::Transfer(TransferLeaderRequest::new(from.into(), to, last.map(LogId::from)))
        }
        RequestBytes::Snapshot(chunk) => RaftRequest::Snapshot(chunk),
    })
}

/// A response as bytes.
pub fn encode_response(response: &RaftResponse) -> Bytes {
    encode(&match response {
        RaftResponse::Append(AppendEntriesResponse::Success) => ResponseBytes::Success,
        RaftResponse::Append(AppendEntriesResponse::PartialSuccess(log_id)) => {
            ResponseBytes::PartialSuccess(id(log_id.as_ref()))
        }
        RaftResponse::Append(AppendEntriesResponse::Conflict) => ResponseBytes::Conflict,
        RaftResponse::Append(AppendEntriesResponse::HigherVote(vote)) => {
            ResponseBytes::HigherVote(vote.into())
        }
        RaftResponse::Vote(vote) => ResponseBytes::Vote {
            vote: (&vote.vote).into(),
            granted: vote.vote_granted,
            last: id(vote.last_log_id.as_ref()),
        },
        RaftResponse::Transfer(result) => ResponseBytes::Transfer(result.clone()),
        RaftResponse::Snapshot(vote) => ResponseBytes::Snapshot(vote.as_ref().map(VoteBytes::from)),
    })
}

/// What [`encode_response`] made.
///
/// # Errors
/// When the bytes are none of it.
pub fn decode_response(bytes: &[u8]) -> io::Result<RaftResponse> {
    Ok(match decode::<ResponseBytes>(bytes)? {
        ResponseBytes::Success => RaftResponse::Append(AppendEntriesResponse::Success),
        ResponseBytes::PartialSuccess(log_id) => {
            RaftResponse::Append(AppendEntriesResponse::PartialSuccess(log_id.map(LogId::from)))
        }
        ResponseBytes::Conflict => RaftResponse::Append(AppendEntriesResponse::Conflict),
        ResponseBytes::HigherVote(vote) => {
            RaftResponse::Append(AppendEntriesResponse::HigherVote(vote.into()))
        }
        ResponseBytes::Vote { vote, granted, last } => {
            RaftResponse::Vote(VoteResponse::new(Vote::from(vote), last.map(LogId::from), granted))
        }
        ResponseBytes::Transfer(result) => RaftResponse::Transfer(result),
        ResponseBytes::Snapshot(vote) => RaftResponse::Snapshot(vote.map(Vote::from)),
    })
}

/// The text of a refused transfer.
pub(crate) fn transfer_refusal(error: &TransferLeaderError<TypeConfig>) -> String {
    error.to_string()
}
