//! What a proposal or read on a replica can fail with. Each variant says whether a retry is safe.

use trilith_values::NodeId;

/// Why a command was not answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProposeError {
    /// The command did not enter any log. Retrying is safe; the hint is the node that leads, if known.
    #[error("not the leader (leader: {leader:?})")]
    NotProposed {
        /// Node to try.
        leader: Option<NodeId>,
    },
    /// Too many commands wait for this shard. Nothing was proposed.
    #[error("too many commands are waiting for this shard")]
    Overloaded,
    /// The command may or may not have been applied, or may still be. Never retry.
    #[error("the outcome of the command is unknown: {0}")]
    Unknown(String),
    /// This replica is stopped or its disk failed. Nothing was proposed; another replica may serve.
    #[error("the replica is stopped: {0}")]
    Stopped(String),
}

/// Why a read was not served here. Reads change nothing, so every retry is safe.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// This replica cannot serve it; the hint is the node that leads, if known.
    #[error("not the leader (leader: {leader:?})")]
    NotLeader {
        /// Node to try.
        leader: Option<NodeId>,
    },
    /// The replica is stopped.
    #[error("the replica is stopped: {0}")]
    Stopped(String),
    /// The data could not be read, or its checksum is wrong: reported, never served.
    #[error("{0}")]
    Storage(String),
}

/// Why a message did not reach a peer or its answer did not come back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// The message was not delivered; the peer has not seen it.
    #[error("peer not reachable: {0}")]
    Unreachable(String),
    /// The message may have been delivered; no answer came.
    #[error("no answer from the peer: {0}")]
    NoAnswer(String),
}
